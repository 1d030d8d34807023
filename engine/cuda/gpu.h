/* The GPU as a device of exec.h: a graph's weights and buffers in its memory, and each op as
 * launches of kernels.
 *
 * Few tokens (up to ENG_CU_MATVEC_TOKENS) meet weights as quantized vectors, one product per row;
 * more as halves on tensor cores. Buffers are those of the graph, so that any op may be the
 * device's or the CPU's. */
#ifndef ENG_CUDA_GPU_H
#define ENG_CUDA_GPU_H

#include "cuda/device.h"
#include "plan/backend.h"

/* Gets memory for the buffers of all ops and the weights of those with on_device[op], and copies
 * the weights. Takes over `cuda`; `graph` must outlive it. ENG_ERR_MEMORY names bytes and device.
 */
EngDevice *eng_gpu_new(const EngGraph *graph, const bool *on_device, int max_tokens, int max_out,
                       EngCuda *cuda, EngError *err);

/* Memory for the cells of those layers whose attention is the device's: kv->far. */
bool eng_gpu_kv_new(EngDevice *gpu, EngKv *kv, EngError *err);
void eng_gpu_kv_free(EngDevice *gpu, EngKv *kv);

#endif
