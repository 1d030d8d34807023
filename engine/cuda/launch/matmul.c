/* Grids of matmul_T, matmul_experts_T and bench_mma. */
#include "cuda/launch/matmul.h"
#include "cuda/kernels/matmul_shape.h"

static unsigned tiles(int n, int of) { return (unsigned)((n + of - 1) / of); }

void eng_cuda_matmul(EngCuda *cuda, EngType type, const EngCuMatmul *args)
{
    if (args->tokens <= 0 || args->w.rows <= 0) return;
    ENG_CUDA_LAUNCH(cuda, ENG_CU_matmul + (int)type, args, .x = tiles(args->tokens, MATMUL_TOKENS),
                    .y = tiles(args->w.rows, MATMUL_ROWS), .z = (unsigned)args->dst.heads,
                    .threads = MATMUL_THREADS(MATMUL_TOKENS, MATMUL_WIDE));
}

void eng_cuda_matmul_experts(EngCuda *cuda, EngType type, const EngCuMatmulExperts *args)
{
    if (args->most <= 0 || args->w.rows <= 0) return;
    ENG_CUDA_LAUNCH(cuda, ENG_CU_matmul_experts + (int)type, args,
                    .x = (unsigned)(args->most / MATMUL_SLOTS + args->slots.experts),
                    .y = tiles(args->w.rows, MATMUL_ROWS), .z = 1,
                    .threads = MATMUL_THREADS(MATMUL_SLOTS, MATMUL_SLOTS_WIDE));
}

double eng_cuda_bench_mma(EngCuda *cuda, int blocks, int products, void *sink)
{
    EngCuBench args = {.dst = sink, .n = products / BENCH_MMA_CHAINS * BENCH_MMA_CHAINS};
    ENG_CUDA_LAUNCH(cuda, ENG_CU_bench_mma, &args, .x = (unsigned)blocks, .y = 1, .z = 1,
                    .threads = BENCH_MMA_THREADS);
    return 2.0 * 16 * 8 * 16 * args.n * blocks * (BENCH_MMA_THREADS / 32);
}
