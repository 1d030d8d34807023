/* The limit beside which matmul is measured: products of tensor cores from registers, as many
 * chains per warp as hide one product's latency. */
#include "common.cuh"
#include "matmul_shape.h"

ENG_KERNEL(bench_mma, EngCuBench a)
{
    uint32_t w[4], x[2];
    float sums[BENCH_MMA_CHAINS][4] = {};
    /* Half subnormals, of no value known to the compiler. */
    for (int i = 0; i < 4; i++) w[i] = threadIdx.x + i;
    for (int i = 0; i < 2; i++) x[i] = threadIdx.x ^ i;
#pragma unroll 1
    for (int i = 0; i < a.n; i += BENCH_MMA_CHAINS)
#pragma unroll
        for (int c = 0; c < BENCH_MMA_CHAINS; c++) mma_m16n8k16(sums[c], w, x);
    float all = 0;
    for (int c = 0; c < BENCH_MMA_CHAINS; c++)
        for (int i = 0; i < 4; i++) all += sums[c][i];
    if (all < 0) *(float *)a.dst = all; /* never, which only we know */
}
