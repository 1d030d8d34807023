/* The CPU backend: a pool of threads that walk the ops together (SPMD). Each op hands out its work
 * in pieces; threads meet at a barrier after every op and, inside some, between phases. Which
 * thread takes a piece never changes a result.
 *
 * op_*.c hold the ops; they see this header, which nobody outside cpu/ needs beyond eng_cpu_new. */
#ifndef ENG_CPU_CPU_H
#define ENG_CPU_CPU_H

#include "base/pool.h"
#include "cpu/kernels.h"
#include "plan/backend.h"

typedef struct {
    int max_tokens, max_out; /* per batch */
    int threads;
    const int *cpus; /* [threads] to pin to, or NULL */
    EngCpuLevel level;
} EngCpuSettings;

/* `graph` must outlive it. */
EngBackend *eng_cpu_new(const EngGraph *graph, const EngCpuSettings *settings, EngError *err);

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
    int rows; /* rows of the op at work: batch->n, after SELECT batch->n_out */
    int first, count;
} EngCpu;

static inline float *eng_cpu_row(const EngCpu *cpu, EngView v, int row)
{
    return cpu->buffers[v.buf] + (size_t)row * (size_t)cpu->graph->widths.data[v.buf] + v.at;
}

static inline size_t eng_cpu_stride(const EngCpu *cpu, EngView v) /* floats from row to row */
{
    return (size_t)cpu->graph->widths.data[v.buf];
}

static inline void *eng_cpu_scratch(const EngCpu *cpu, int thread)
{
    return cpu->scratch + (size_t)thread * cpu->scratch_bytes;
}

typedef void EngCpuOp(EngCpu *cpu, const EngOp *op, int thread);
EngCpuOp eng_cpu_op_embed, eng_cpu_op_rope_table, eng_cpu_op_norm, eng_cpu_op_rope, eng_cpu_op_kv,
    eng_cpu_op_glu, eng_cpu_op_select, eng_cpu_op_linear, eng_cpu_op_heads, eng_cpu_op_attn,
    eng_cpu_op_route, eng_cpu_op_experts;

/* What an op needs beyond the buffers, in bytes; asked once per op when the backend is made. */
typedef struct {
    size_t act;                          /* shared by the threads, for max_tokens */
    size_t scratch;                      /* per thread */
    size_t slot_act, hidden_act, hidden; /* experts, for max_tokens */
    size_t partial;
    int n_experts, n_used;
} EngCpuNeeds;

void eng_cpu_needs_linear(const EngOp *op, int max_tokens, EngCpuNeeds *needs);
void eng_cpu_needs_attn(const EngOp *op, EngCpuNeeds *needs);
void eng_cpu_needs_experts(const EngOp *op, int max_tokens, EngCpuNeeds *needs);

/* y (+)= rows row0 … row0 + n_rows - 1 of one matrix times `n` activation rows, in token tiles that
 * keep activations in the second-level cache. `scratch` takes ENG_TILE_ROWS * ENG_TILE_TOKENS
 * floats. */
enum { ENG_TILE_ROWS = 32, ENG_TILE_TOKENS = 256, ENG_DECODE_ROWS = 256 };

#endif
