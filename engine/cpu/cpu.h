/* The CPU backend: a pool of threads that walk the ops together (SPMD). An op has phases; each
 * hands out its work in pieces, and threads meet at a barrier after it. Which thread takes a piece
 * never changes a result. A phase that is small (most are when one token is decoded) is done by the
 * last thread to arrive at the barrier before it, which costs less than the barrier that it saves.
 *
 * op_*.c hold the ops; they see this header, which nobody outside cpu/ needs beyond eng_cpu_new. */
#ifndef ENG_CPU_CPU_H
#define ENG_CPU_CPU_H

#include "base/pool.h"
#include "cpu/kernels.h"
#include "plan/backend.h"

typedef struct {
    int max_tokens, max_out; /* per batch */
    EngPool *pool;
    const int *nodes; /* what the system calls the pool's nodes, see EngSeats; NULL: who knows */
    EngCpuLevel level;
    /* [ops][ENG_LINEAR_MAX] what multiplies the matrices of an op, in the order of eng_op_weights;
     * NULL there, or for all: the level's own. What they point to must outlive the backend. */
    const EngKernel *const *kernels;
} EngCpuSettings;

/* `graph` and the pool must outlive it. */
EngBackend *eng_cpu_new(const EngGraph *graph, const EngCpuSettings *settings, EngError *err);

/* Rows of one batch whose logits can be wanted: a token of each of many sessions, or a piece of
 * eng_session_eval. */
static inline int eng_cpu_max_out(int max_tokens) { return max_tokens < 32 ? max_tokens : 32; }

/* Bytes of buffers that a backend of so many threads would have; `kernels` as in the settings. */
size_t eng_cpu_bytes(const EngGraph *graph, int max_tokens, int threads,
                     const EngKernel *const *kernels);

/* ---- for op_*.c ------------------------------------------------------------------------------ */

/* Chosen experts of a batch, grouped: the slots of expert e are first[e] … first[e + 1] - 1, and
 * slot s belongs to token[s] with weight[s]. Ascending tokens within an expert. */
typedef struct {
    int32_t *first;  /* [n_experts + 1] */
    int32_t *active; /* [n_active] experts with slots, ascending */
    int32_t *token;  /* [slots] */
    float *weight;   /* [slots] */
    int32_t *slot;   /* [token][n_used]: the token's slots */
    int n_active;
} EngSlots;

typedef struct {
    EngBackend base;
    const EngGraph *graph;
    const EngKernels *k;
    const EngKernel **kernels; /* [ops][ENG_LINEAR_MAX] of each matrix: found once, see below */
    EngPool *pool;
    float **buffers;  /* per graph buffer: [max_tokens or max_out][width] */
    uint8_t *act;     /* quantized activations of the op at work */
    uint8_t *scratch; /* per thread */
    size_t scratch_bytes;
    /* experts: gathered activations, hidden rows, the same quantized */
    uint8_t *slot_act, *hidden_act;
    float *hidden;
    EngSlots slots;
    float *partial;  /* attention over a split past: see op_attn.c */
    uint8_t *memory; /* one block behind all of the above */

    const EngBatch *batch;
    int rows;           /* rows of the op at work: batch->n, after SELECT batch->n_out */
    int first;          /* op that the run began with */
    int op, phase, end; /* what the threads do now: phase of ops.data[op]; end: stop before it */
} EngCpu;

static inline float *eng_cpu_row(const EngCpu *cpu, EngView v, int row)
{
    return cpu->buffers[v.buf] + (size_t)row * (size_t)cpu->graph->widths.data[v.buf] + v.at;
}

static inline size_t eng_cpu_stride(const EngCpu *cpu, EngView v) /* floats from row to row */
{
    return (size_t)cpu->graph->widths.data[v.buf];
}

/* [ENG_LINEAR_MAX] of an op of the graph, in the order of eng_op_weights. */
static inline const EngKernel *const *eng_cpu_kernels(const EngCpu *cpu, const EngOp *op)
{
    return cpu->kernels + (op - cpu->graph->ops.data) * ENG_LINEAR_MAX;
}

static inline void *eng_cpu_scratch(const EngCpu *cpu, int thread)
{
    return cpu->scratch + (size_t)thread * cpu->scratch_bytes;
}

/* Bytes from one token's activations to the next: an odd number of cache lines, so that one block
 * of several tokens does not fall into the same few sets of the cache. */
static inline size_t eng_cpu_act_stride(size_t bytes)
{
    size_t lines = (bytes + 63) / 64;
    return bytes ? 64 * (lines + (21 - lines % 16) % 16) : 0;
}

/* Asked between pieces of work, of which there are many in an op for many tokens. Once one thread
 * has left something out all do. */
static inline bool eng_cpu_is_stopped(EngCpu *cpu)
{
    const int *stop = cpu->batch->stop;
    if (!stop) return false;
    if (!__atomic_load_n(stop, __ATOMIC_RELAXED))
        return __atomic_load_n(&cpu->base.left_off, __ATOMIC_RELAXED);
    __atomic_store_n(&cpu->base.left_off, true, __ATOMIC_RELAXED);
    return true;
}

typedef void EngCpuOp(EngCpu *cpu, const EngOp *op, int thread);
EngCpuOp eng_cpu_op_embed, eng_cpu_op_rope_table, eng_cpu_op_norm, eng_cpu_op_rope, eng_cpu_op_kv,
    eng_cpu_op_glu, eng_cpu_op_add, eng_cpu_op_select, eng_cpu_op_attn, eng_cpu_op_route;
EngCpuOp eng_cpu_linear_prepare, eng_cpu_op_linear, eng_cpu_op_heads, eng_cpu_attn_expanded;
EngCpuOp eng_cpu_experts_group, eng_cpu_experts_fill, eng_cpu_experts_hidden,
    eng_cpu_experts_quantize, eng_cpu_experts_down;

/* What an op needs beyond the buffers, in bytes; asked once per op when the backend is made. */
typedef struct {
    size_t act;                          /* shared by the threads, for max_tokens */
    size_t scratch;                      /* per thread */
    size_t slot_act, hidden_act, hidden; /* experts, for max_tokens */
    size_t partial;
    int n_experts, n_used;
} EngCpuNeeds;

void eng_cpu_needs_linear(const EngOp *op, const EngKernel *const *kernels, int max_tokens,
                          EngCpuNeeds *needs);
void eng_cpu_needs_attn(const EngOp *op, EngCpuNeeds *needs);
void eng_cpu_needs_expanded(const EngOp *attn, int max_tokens, EngCpuNeeds *needs);
void eng_cpu_needs_experts(const EngOp *op, const EngKernel *const *kernels, int max_tokens,
                           EngCpuNeeds *needs);

/* Attention over latent vectors has two forms (op_attn_expanded.c), and each session's run of
 * tokens in a batch the one that costs less. Whether n tokens from row0 on, all of their session's,
 * are expanded; whether a phase of an attention's ops has nothing to do because all tokens are of
 * the other form. Where both are in a batch, the matrices of the absorbed form are multiplied with
 * all of its rows, and the results of the expanded one come last. */
bool eng_cpu_attn_expands(const EngCpu *cpu, const EngOp *attn, int row0, int n);
bool eng_cpu_left_out(const EngCpu *cpu, const EngOp *op, EngCpuOp *phase);

/* Weight rows of a piece of work and tokens of a pass over it, so that activations stay in the
 * second-level cache; rows of a piece at most when one token is decoded. */
enum { ENG_TILE_ROWS = 32, ENG_TILE_TOKENS = 256, ENG_DECODE_ROWS = 4096 };

/* Weight rows, of so many bytes, per piece of work for one token, when an op reads all_bytes: large
 * enough to stream, small enough that no thread waits long for the last. A row's result does not
 * depend on the piece that it is in. */
int eng_cpu_piece_rows(const EngCpu *cpu, size_t row_bytes, size_t all_bytes);

/* Matrices whose rows are dealt out: sets of rows, each set `times` times over (heads, experts). A
 * piece of work is a tile of rows that one node reads; node by node they are numbered by set, time
 * and row. */
typedef struct {
    int n;
    int64_t times;
    const EngWeight *w[ENG_LINEAR_MAX];
    int tile[ENG_LINEAR_MAX];                   /* rows of a piece */
    int64_t end[ENG_MAX_NODES][ENG_LINEAR_MAX]; /* number of the first piece after the node's set */
} EngCpuTiles;

typedef struct {
    int set;
    int64_t time;
    int row0, rows;
} EngCpuTile;

/* Does all pieces together with the other threads: first those that the thread's own node reads,
 * then, so that nobody is idle, those of others. A stream of weights begins slowly: while a token
 * is decoded, `ask` (for its first bytes, see eng_cpu_ask) comes one piece before `work`. */
typedef void EngCpuPiece(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread);
void eng_cpu_tiles(EngCpu *cpu, EngCpuTiles *tiles, EngCpuPiece *work, EngCpuPiece *ask,
                   const void *arg, int thread);
void eng_cpu_ask(const EngWeight *w, int64_t mat, int64_t row0, int rows);

#endif
