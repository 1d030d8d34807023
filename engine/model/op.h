/* One step of a forward pass, as plain data. A model family writes its pass once as a list of these
 * (graph.h); a backend walks the list for a batch of tokens. No op owns anything.
 *
 * A buffer is a matrix of floats, one row per token of the batch. A view is some columns of it:
 * `heads` groups of `n` numbers, `stride` columns apart, beginning at column `at`. */
#ifndef ENG_MODEL_OP_H
#define ENG_MODEL_OP_H

#include "load/hparams.h"
#include "load/weights.h"

typedef struct {
    int buf;    /* index into the graph's buffers */
    int at;     /* first column */
    int heads;  /* groups; 1 for a plain vector */
    int n;      /* numbers per group */
    int stride; /* columns from one group to the next */
} EngView;

typedef enum {
    ENG_OP_EMBED,      /* dst = rows of the token table */
    ENG_OP_ROPE_TABLE, /* dst = cos and sin of every position: [rope_dims / 2] cos, then sin */
    ENG_OP_NORM,       /* dst = RMS norm of each group of src, times weight */
    ENG_OP_LINEAR,     /* up to 4 matrices on one src: dst (+)= W src + bias */
    ENG_OP_HEADS,      /* one matrix per group: dst group h = W[h] src group h */
    ENG_OP_ROPE,       /* dst = src with the first rope_dims numbers of each group turned */
    ENG_OP_KV,         /* stores key (and value) at each token's position */
    ENG_OP_ATTN,       /* dst = softmax(scale q K) V over the token's own past and itself */
    ENG_OP_GLU,        /* dst = silu(gate) * up */
    ENG_OP_ROUTE,      /* from router logits: ids and weights of the chosen experts */
    ENG_OP_EXPERTS,    /* dst (+)= sum of weight * expert(src) over the chosen experts */
    ENG_OP_ADD,        /* dst += src */
    ENG_OP_SELECT,     /* dst = the rows whose logits are wanted; later ops see only these */
    ENG_OP_COUNT
} EngOpKind;

enum { ENG_LINEAR_MAX = 4 };

typedef struct {
    const float *weight; /* [src.n]; NULL = ones */
    float eps;
} EngOpNorm;

typedef struct {
    int n;
    EngView dst[ENG_LINEAR_MAX];
    EngWeight w[ENG_LINEAR_MAX];
    const float *bias[ENG_LINEAR_MAX]; /* [rows] or NULL */
    bool add;                          /* dst += instead of dst = (residual) */
} EngOpLinear;

typedef struct {
    EngWeight table;
} EngOpEmbed;

typedef struct {
    EngWeight w; /* mats = groups */
} EngOpHeads;

typedef struct {
    const float *freq; /* [rope_dims / 2] radians per position */
    float mscale;      /* multiplies cos and sin */
} EngOpRopeTable;

typedef struct {
    EngView table;
    int dims;
    bool neox; /* pairs (i, i + dims/2) instead of (2i, 2i + 1) */
} EngOpRope;

typedef struct {
    int layer;
    EngView value; /* buf < 0: the value is the key's first numbers (MLA) */
} EngOpKv;

typedef struct {
    int layer;
    int n_kv;   /* KV heads */
    int dk, dv; /* numbers per key, per value */
    float scale;
    /* The HEADS before took src's first dv numbers through k_b of each head, and the HEADS behind
     * takes dst through v_b: both, and this op, may be computed in another form (cpu/cpu.h), which
     * leaves their results but the last's undefined. */
    bool absorbed;
} EngOpAttn;

typedef struct {
    EngView up;
} EngOpGlu;

typedef struct {
    const float *bias; /* [n_experts] added for the choice only; NULL = none */
    EngView weights;   /* [n_used]; dst receives the ids, as int32 */
    int n_used, n_groups, n_groups_used;
    EngGate gate;
    bool group_top2; /* a group's score: sum of its two best (V3) instead of its best (V2) */
    bool norm;
    float scale;
    bool by_weight; /* the chosen in the order of their weights, largest first; else of choice */
} EngOpRoute;

typedef struct {
    EngView ids, weights; /* [n_used]; an id below 0: somebody else computes that one */
    EngWeight gate, up, down;
    int n_used;
    bool set; /* dst = instead of dst += */
} EngOpExperts;

typedef struct {
    EngOpKind kind;
    EngView src, dst;
    union {
        EngOpEmbed embed;
        EngOpRopeTable rope_table;
        EngOpNorm norm;
        EngOpLinear linear;
        EngOpHeads heads;
        EngOpRope rope;
        EngOpKv kv;
        EngOpAttn attn;
        EngOpGlu glu;
        EngOpRoute route;
        EngOpExperts experts;
    };
} EngOp;

/* What an op reads and writes of the buffers. */
typedef struct {
    EngView reads[8], writes[8];
    int n_reads, n_writes;
    int adds; /* buffer that is only added to; -1 = none */
} EngUses;

EngUses eng_op_uses(const EngOp *op);

/* The matrices that it multiplies with; returns how many. */
int eng_op_weights(const EngOp *op, const EngWeight *ret[ENG_LINEAR_MAX]);

#endif
