/* What gpu.c, which owns it, gpu_memory.c, which lays it out, and gpu_ops.c, which computes with
 * it, share. */
#ifndef ENG_CUDA_GPU_OPS_H
#define ENG_CUDA_GPU_OPS_H

#include "cuda/gpu.h"
#include "cuda/launch_attn.h"
#include "cuda/launch_elem.h"
#include "cuda/launch_matmul.h"
#include "cuda/launch_matvec.h"

/* An op's weights in the device's memory. */
typedef struct {
    EngCuWeight w[ENG_LINEAR_MAX]; /* experts: gate, up, down */
    const float *vector[ENG_LINEAR_MAX];
} EngGpuOp;

typedef struct {
    EngCuGraphExec *exec;
    int kv_form, context;
} EngGpuGraph;

enum { ENG_GPU_GRAPHS = 72 + 1 }; /* keys of exec.c: tokens, wanted rows */

typedef struct { /* numbers, vectors, bytes of what ops need at most; few: up to 8 tokens' */
    size_t act, few, vectors, partial, slots, experts, hidden, sums;
} EngGpuNeeds;

/* Weights that are to be copied. */
typedef struct {
    const uint8_t *from;
    uint8_t *to;
    size_t bytes;
} EngGpuPiece;

typedef struct {
    EngDevice base;
    EngCuda *cuda;
    const EngGraph *graph;
    int max_tokens, max_out;
    float **buffers; /* NULL where no op is here that would use it */
    EngGpuOp *ops;
    int *layer_of; /* per layer: its place among those whose attention is here */
    int n_layers;

    /* activations of the op at work, in three forms */
    float *x, *scale, *half_scale;
    int8_t *q;
    uint16_t *halves;
    float *partial;          /* attention */
    float *gate, *up, *sums; /* experts: [slots][ff], [slots][ff], [slots][n_embd] */
    EngCuSlots slots;

    uint8_t *step, *host_step; /* turn, rows, wanted rows: see gpu_begin */
    size_t step_bytes;
    int batch_rows, kv_form, context;
    bool dirty; /* begun and not finished */
    EngGpuGraph graphs[ENG_GPU_GRAPHS];

    EngVec(EngGpuPiece) pieces;
    size_t piece, piece_at;            /* what is copied next */
    uint64_t contexts, contexts_taken; /* bytes set aside, and given out */
} EngGpu;

/* gpu_memory.c */
bool eng_gpu_allocate(EngGpu *gpu, const bool *on_device, uint64_t contexts, EngError *err);
uint64_t eng_gpu_next(EngDevice *device, uint64_t most, const uint8_t **ret_from);
bool eng_gpu_load(EngDevice *device, uint64_t bytes, EngError *err);

EngCuView eng_gpu_view(const EngGpu *gpu, EngView view);
void eng_gpu_op(EngGpu *gpu, int op, int rows);

#endif
