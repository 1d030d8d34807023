/* What gpu.c, which owns it, gpu_memory.c, which lays it out, and gpu_ops.c, which computes with
 * it, share. */
#ifndef ENG_CUDA_GPU_OPS_H
#define ENG_CUDA_GPU_OPS_H

#include "cuda/gpu.h"
#include "cuda/launch/attn.h"
#include "cuda/launch/elem.h"
#include "cuda/launch/matmul.h"
#include "cuda/launch/matvec.h"
#include "cuda/stream/guests.h"

/* An op's weights in the device's memory. */
typedef struct {
    EngCuWeight w[ENG_LINEAR_MAX]; /* experts: gate, up, down */
    const float *vector[ENG_LINEAR_MAX];
    /* fuse.c, for few tokens: */
    bool leaves_bytes; /* NORM, ATTN: what follows wants its result as bytes */
    bool is_left;      /* to the turn of a later op */
    int turn;          /* done here; -1 */
    int gate;          /* LINEAR: of its matrices this and the next are left to a GLU; -1 */
    int gates;         /* GLU: that LINEAR; -1 */
} EngGpuOp;

/* NORM and ROPE ops that one launch does. */
typedef struct {
    EngView src, dst;
    int norm;          /* op; 0 (which never is one) = none */
    const EngOp *rope; /* or NULL */
} EngGpuTurnJob;

typedef struct {
    const EngOp *ops;
    EngGpuTurnJob jobs[ENG_CU_TURN_JOBS];
    int n_jobs;
    const EngOp *table; /* one of its ROPE ops; NULL = there is none */
} EngGpuTurn;

typedef struct {
    EngCuGraphExec *exec;
    int kv_form, context;
} EngGpuGraph;

enum { ENG_GPU_GRAPHS = 2 * 72 }; /* keys of exec.c: tops or not, tokens, wanted rows */

typedef struct { /* numbers, vectors, bytes of what ops need at most; few: up to 8 tokens' */
    size_t act, few, vectors, partial, slots, experts, hidden, sums;
} EngGpuNeeds;

/* Weights that are to be copied. */
typedef struct {
    const uint8_t *from;
    uint8_t *to;
    size_t bytes;
} EngGpuPiece;

struct EngGpu {
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
    EngVec(EngGpuTurn) turns;
    EngView bytes_of; /* whose bytes are in q; buf -1 = nobody's */
    int bytes_rows;

    uint8_t *step, *host_step; /* turn, rows, wanted rows: see gpu_begin */
    size_t step_bytes;
    int batch_rows, kv_form, context;
    bool dirty; /* begun and not finished */
    EngGpuGraph graphs[ENG_GPU_GRAPHS];

    EngVec(EngGpuPiece) pieces;
    size_t piece, piece_at;            /* what is copied next */
    uint64_t contexts, contexts_taken; /* bytes set aside, and given out */
    EngGuests guests;

    /* Cached experts: [layers][3][experts] addresses, as of the next step and as they are sent. */
    const uint8_t **table, **sent_table;
    uint8_t *cache; /* the device's table, then slots */
    EngSlotShape cache_shape;
    bool table_changed;
    EngCuEvent *cache_events[ENG_CACHE_PENDING];
};

/* gpu_memory.c */
bool eng_gpu_allocate(EngGpu *gpu, const bool *on_device, uint64_t contexts, EngGpuCache cache,
                      EngError *err);
bool eng_gpu_cache_new(EngGpu *gpu, const bool *on_device, EngGpuCache cache, EngError *err);
bool eng_gpu_caches(const EngDevice *device, int op);
void eng_gpu_cache_set(EngDevice *device, int op, int expert, int slot);
void eng_gpu_cache_copy(EngDevice *device, int pending, int slot, const void *pinned, size_t bytes);
bool eng_gpu_cache_copied(EngDevice *device, int pending);
void eng_gpu_send_table(EngGpu *gpu);
uint64_t eng_gpu_next(EngDevice *device, uint64_t most, const uint8_t **ret_from);
bool eng_gpu_load(EngDevice *device, uint64_t bytes, EngError *err);

/* fuse.c */
void eng_gpu_fuse(EngGpu *gpu, const bool *on_device);
bool eng_gpu_same_view(EngView a, EngView b);
bool eng_gpu_same_numbers(EngView a, EngView b);

/* What is in q is of no use when a buffer is written. */
static inline void eng_gpu_written(EngGpu *gpu, int buf)
{
    if (gpu->bytes_of.buf == buf) gpu->bytes_of.buf = -1;
}

EngCuView eng_gpu_view(const EngGpu *gpu, EngView view);
void eng_gpu_op(EngGpu *gpu, int op, int rows);
/* EngDevice.guests */
void eng_gpu_guests(EngDevice *device, int op, int n, int rows, const bool *used);

#endif
