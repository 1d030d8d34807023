/* The GPU as a device of exec.h: a graph's weights and buffers in its memory, and each op as
 * launches of kernels.
 *
 * Few tokens (up to ENG_CU_MATVEC_TOKENS) meet weights as quantized vectors, one product per row;
 * more as halves on tensor cores. Buffers are those of the graph, so that any op may be the
 * device's or the CPU's.
 *
 * What it takes is known beforehand, by the very code that takes it: eng_gpu_bytes. */
#ifndef ENG_CUDA_GPU_H
#define ENG_CUDA_GPU_H

#include "cuda/device.h"
#include "plan/backend.h"

/* Bytes that the ops with on_device[op] take: their matrices; norms, biases and what lies between;
 * buffers, also for experts that may be cached (model/slot.h). Only shapes are looked at.
 */
typedef struct {
    uint64_t slot;   /* bytes in which experts of other ops come as guests; 0 = none come */
    const bool *ops; /* [ops] whose may, as far as they can (stream/guests.h); NULL = all */
} EngGpuGuests;
typedef struct {
    uint64_t matrices, small, buffers;
} EngGpuBytes;
EngGpuBytes eng_gpu_bytes(const EngGraph *graph, const bool *on_device, int max_tokens, int max_out,
                          EngGpuGuests guests, int processors);

/* A cache of other ops' experts: of so many bytes, for those with ops[op]; NULL = for all that may.
 */
typedef struct {
    uint64_t bytes;
    const bool *ops;
} EngGpuCache;

/* Gets memory for all that and, as far as there is any, for `cache`; sees that there is room for
 * `contexts` bytes more (kv_new). The weights are still to be loaded. Takes over `cuda`; `graph`
 * must outlive it. ENG_ERR_MEMORY names bytes and device. */
EngDevice *eng_gpu_new(const EngGraph *graph, const bool *on_device, int max_tokens, int max_out,
                       uint64_t contexts, EngGpuCache cache, EngGpuGuests guests, EngCuda *cuda,
                       EngError *err);

#endif
