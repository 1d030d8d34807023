/* The GPU as the rest of the engine sees it before one is opened. */
#ifndef ENG_CUDA_CUDA_H
#define ENG_CUDA_CUDA_H

#include "engine.h"
#include "plan/kernel/kernel.h"

/* Describes the GPUs that the engine can use (Turing, compute capability 7.5, or later), in the
 * driver's order: fastest first, CUDA_VISIBLE_DEVICES respected. Returns how many; 0: there is
 * none, or there are no kernels for it, which is no error: a phrase says why. Without NVML the
 * driver does not tell how much VRAM is free. */
int eng_cuda_probe(EngHostGpu ret[ENG_MAX_GPUS], char ret_reason[160]);

/* What the GPU multiplies a format with, whether there is one or not: "q4_k.cuda". NULL: it cannot
 * be in its memory. */
const EngKernel *eng_cuda_kernel(EngType type);

#endif
