/* Launches of products with many tokens (kernels/matmul.cuh). Weights and activations lie at
 * addresses that 16 divides; a row of weights anywhere its format puts it. */
#ifndef ENG_CUDA_LAUNCH_MATMUL_H
#define ENG_CUDA_LAUNCH_MATMUL_H

#include "cuda/device.h"

/* Heads are those of dst. No tokens or rows: nothing is launched. */
void eng_cuda_matmul(EngCuda *cuda, EngType type, const EngCuMatmul *args);

/* Slots are read on the device: `most` alone sizes the launch. */
void eng_cuda_matmul_experts(EngCuda *cuda, EngType type, const EngCuMatmulExperts *args);

/* `products` 16 x 8 x 16 per warp, in `blocks` blocks; returns the floating-point operations.
 * `sink`: four bytes. */
double eng_cuda_bench_mma(EngCuda *cuda, int blocks, int products, void *sink);

#endif
