/* What the host hands a kernel, as plain data: read by the launch code (C11) and by the kernels
 * (C++17). A kernel takes one of these structs by value and nothing else. Pointers are addresses of
 * the device's memory, or of pinned memory of the host where it says so.
 *
 * A batch's tokens are the graph's rows (model/op.h): a buffer is [tokens][width] floats. What
 * differs from one decode step to the next (positions, whose cache) lies in EngCuRow and is read by
 * the kernel, so that a captured graph stays good for every step. */
#ifndef ENG_CUDA_KERNELS_ARGS_H
#define ENG_CUDA_KERNELS_ARGS_H

#include <stddef.h>
#include <stdint.h>

/* EngView with its buffer's address: number i of group h of row t is
 * data[t * row + h * stride + i]. */
typedef struct {
    float *data;
    int row, heads, n, stride;
} EngCuView;

/* One token of the batch. */
typedef struct {
    uint8_t *kv;     /* the session's cache of this device's first layer */
    uint64_t layer;  /* bytes from one layer's cells to the next's */
    int32_t context; /* cells per layer: values begin behind so many keys */
    int32_t position;
} EngCuRow;

/* A weight: `mats` matrices of `rows` rows of `cols` numbers of one format, blocks as in the file.
 */
typedef struct {
    const uint8_t *data;        /* matrix m: data + m * mat_bytes, or */
    const uint8_t *const *mats; /* mats[m] where this is not NULL (experts that lie apart) */
    uint64_t row_bytes, mat_bytes;
    int cols, rows;
} EngCuWeight;

/* Activations as products read them. Vector a of `cols` numbers. */
typedef struct {
    const float *x;     /* [vectors][cols], for F32, F16 and BF16 weights; else NULL */
    const int8_t *q;    /* [vectors][cols] */
    const float *scale; /* [vectors][cols / 32][2]: d, and d * sum of the 32 q. number = d * q */
} EngCuAct;

/* matvec_T: one token; matvec_few_T: a few. LINEAR: dst(t, r) (+)= W[0] row r . act t (+ bias r),
 * heads == 1, and the same for `more`, of the same format and columns. HEADS: dst(t, h, r) = W[h]
 * row r . act (t * heads + h). */
enum { ENG_CU_MATVEC_MORE = 3 };
typedef struct {
    EngCuWeight w;
    EngCuView dst;
    const float *bias;
} EngCuProduct;

typedef struct {
    EngCuWeight w;
    EngCuAct act;
    EngCuView dst;
    const float *bias; /* [rows] or NULL */
    EngCuProduct more[ENG_CU_MATVEC_MORE];
    int n_more;
    int tokens;        /* 1 … ENG_CU_MATVEC_TOKENS for LINEAR, any for HEADS */
    int add;           /* dst += */
    int lanes;         /* threads that share two rows: 8 … 128, a power of two; the launch sets it */
} EngCuMatvec;

enum { ENG_CU_MATVEC_TOKENS = 8 };

/* Chosen experts of each token: ids[t * ids_row + k] (int32) and weights[t * weights_row + k],
 * k < n_used. A negative id is passed over: somebody else computes that expert. Few tokens: so is
 * one whose matrix, of those that lie apart, is NULL. */
typedef struct {
    const int32_t *ids;
    const float *weights;
    int ids_row, weights_row, n_used;
} EngCuChosen;

/* experts_up_T: dst(t, k, r) = W[ids(t, k)] row r . act t; as it was where the id is negative. With
 * `up` (of the same shape and format): silu(that) * (up[ids(t, k)] row r . act t). ids NULL: all 0.
 * experts_down_T: dst(t, r) (+)= sum over k of weight(t, k) * W[ids(t, k)] row r .
 * act (t * n_used + k), always in the same order. Few tokens. */
typedef struct {
    EngCuWeight w, up; /* up.rows 0 = none */
    EngCuAct act;
    EngCuView dst; /* for up: heads = n_used, n = rows, one row per token */
    EngCuChosen chosen;
    int tokens;
    int lanes; /* as above */
    int set;   /* down: dst = */
} EngCuExperts;

/* Activations for tensor cores: number = scale[a] * half q. */
typedef struct {
    const uint16_t *x;  /* [vectors][cols] binary16 in [-1, 1] */
    const float *scale; /* [vectors] */
} EngCuHalves;

/* matmul_T: many tokens. dst(t, h, r) (+)= W[h] row r . act (t * heads + h) (+ bias r). */
typedef struct {
    EngCuWeight w;
    EngCuHalves act;
    EngCuView dst;
    const float *bias;
    int tokens;
    int add;
} EngCuMatmul;

/* Slots: a token's place in an expert, slots of one expert together and ascending by token. */
typedef struct {
    int32_t *first; /* [experts + 1] */
    int32_t *token; /* [slots] whose token */
    int32_t *slot;  /* [tokens][n_used] the token's slots; -1 where its id was negative */
    int experts;
} EngCuSlots;

/* matmul_experts_T: dst[s * rows + r] = W[e] row r . act (gather ? token[s] : s), for the slots s
 * of every expert e. Slots may be fewer than `slots`, which sizes the launch. */
typedef struct {
    EngCuWeight w;
    EngCuHalves act;
    EngCuSlots slots;
    float *dst;
    int most;   /* slots at most: tokens * n_used */
    int gather; /* activations are per token */
} EngCuMatmulExperts;

/* moe_group: fills slots from chosen. moe_combine: dst(t, r) (+)= sum over k, ascending, of
 * weight(t, k) * src[slot(t, k) * rows + r]; it may be about some of a token's slots alone, which
 * begin at slots.slot and are slot_row apart. */
typedef struct {
    EngCuChosen chosen;
    EngCuSlots slots;
    const float *src;
    EngCuView dst;
    int tokens, slot_row;
    int set; /* dst = */
} EngCuMoe;

/* quantize: act.q and act.scale of every group of every row of src. halve: the same for EngCuHalves
 * (x / scale, scale = the group's largest magnitude, or 1 where all are 0). `vectors` = rows *
 * heads. A vector that is not finite gives a scale that is not finite: a wrong number is never
 * hidden. */
typedef struct {
    EngCuView src;
    int8_t *q;
    uint16_t *half;
    float *scale;
    float *x; /* copy_act: floats as they are, packed */
    int rows;
} EngCuPrepare;

/* rms_norm: dst = src / rms(src) * weight, each group; with `q`, also as quantize makes it (n a
 * multiple of 32). glu: dst = silu(gate) * up. add: dst += src,
 * of one group. rope: the first
 * `dims` numbers of each group turned, pairs (2i, 2i + 1) or, `neox`, (i, i + dims / 2); the rest
 * copied; table(t) = [dims / 2] cos, then sin. select: dst row i = src row out[i]. All may be in
 * place (dst = src, or up). */
typedef struct {
    EngCuView src, dst, other; /* other: glu's up, rope's table */
    const float *weight;       /* norm; NULL = ones */
    int8_t *q;                 /* norm: as EngCuAct's; NULL = not wanted */
    float *q_scale;
    const int32_t *out;        /* select */
    float eps;
    int dims, neox;
    int rows;
} EngCuElem;

/* turn: of each job dst = src or, normed, rms_norm of src; then, with dims, rope of that. Few rows:
 * a warp per group. In place or apart; jobs do not read what others write. */
enum { ENG_CU_TURN_JOBS = 4 };
typedef struct {
    EngCuView src, dst;
    const float *weight; /* NULL = ones */
    float eps;
    int normed, dims, neox;
} EngCuTurnJob;
typedef struct {
    EngCuTurnJob jobs[ENG_CU_TURN_JOBS];
    int n_jobs;
    EngCuView table; /* rope's */
    int rows;
} EngCuTurn;

/* route: EngOpRoute (model/op.h). ids as int32. logits.n <= ENG_CU_ROUTE_MOST. */
enum { ENG_CU_ROUTE_MOST = 1024 };
typedef struct {
    EngCuView logits, ids, weights;
    const float *bias; /* [experts] or NULL */
    int n_used, n_groups, n_groups_used;
    int sigmoid; /* gate: sigmoid instead of softmax */
    int group_top2, norm, by_weight;
    float scale;
    int rows;
} EngCuRoute;

enum { ENG_CU_KV_F16, ENG_CU_KV_F32, ENG_CU_KV_Q8_0 }; /* as EngKvType */

/* kv_store_K: key and value (value.data NULL: inside the key) into each row's cell. */
typedef struct {
    EngCuView key, value;
    const EngCuRow *tokens;
    int layer; /* of this device */
    int rows;
} EngCuKvStore;

/* Attention of every query head over the cells 0 … position of its own session; head h reads KV
 * head h / (heads / n_kv). Keys: [context][k_width] numbers, values: [context][v_width] behind
 * them, or (v_width 0) the first dv numbers of the keys. dst = softmax(scale q K) V, [heads][dv]
 * per row.
 *
 * With parts > 0 (decode), part p of the past gives partial[((t * heads + h) * parts + p)] =
 * {largest score, sum, dv numbers}, of a part without cells nothing; attn_merge puts them together
 * and, with `out_q`, leaves the result as quantize makes it, too (dv a multiple of 32). parts 0:
 * prefill, tiles of tokens that are neighbours of one session, straight into dst. attn_f32: in
 * floats. attn_few_K, attn_wide_K, attn_tall_K: on tensor cores, for caches K. dv <= ENG_CU_ATTN_DV,
 * parts <= ENG_CU_ATTN_PARTS. */
enum { ENG_CU_ATTN_DV = 512, ENG_CU_ATTN_PARTS = 128 };
typedef struct {
    EngCuView q, dst;
    const EngCuRow *tokens;
    float *partial;
    int8_t *out_q; /* NULL = not wanted */
    float *out_scale;
    int layer;
    int n_kv, dk, dv, k_width, v_width;
    float scale;
    int parts;
    int rows;
    int queries, cells, stages; /* of a block (attn_shape.h); the launch sets them */
} EngCuAttn;

/* The hand-over of some of a buffer's columns between the device's memory and the host's pinned
 * memory. publish: copies `n_views` views to `far`, then sets *flag = *turn, seen by the host after
 * the data. accept: waits until *flag == *turn, then copies from `far` (add: adds). Flags are
 * pinned; turn is in the device's memory and changes with each step. *flag == ENG_CU_ABANDON ends a
 * wait. */
enum { ENG_CU_HAND_VIEWS = 8 };
typedef struct {
    EngCuView near[ENG_CU_HAND_VIEWS], far[ENG_CU_HAND_VIEWS]; /* same heads, n */
    int n_views;
    int rows;
    int add;
    volatile uint32_t *flag;
    const uint32_t *turn;
    uint32_t *done; /* publish: 0, in the device's memory */
} EngCuHand;

#define ENG_CU_ABANDON UINT32_C(0xffffffff)

/* topk: the `n` largest of each row of src with their places, descending, for the sampler.
 * Not finite numbers come first, of equal ones the earlier. n <= ENG_CU_TOPK_MOST and <= src.n.
 * Rows of results are `row` words apart. */
enum { ENG_CU_TOPK_MOST = 1024 };
typedef struct {
    EngCuView src;
    float *values;   /* [rows][n] */
    int32_t *places; /* [rows][n] */
    int row, n, rows;
} EngCuTopk;

/* bench_copy: dst = src, 16 bytes a thread in turn. bench_mma: products of tensor cores in
 * registers, `n` per warp: the limits beside which kernels are measured. */
typedef struct {
    const uint8_t *src;
    uint8_t *dst;
    uint64_t bytes;
    int n;
} EngCuBench;

#endif
