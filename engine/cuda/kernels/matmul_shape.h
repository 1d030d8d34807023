/* Shapes of the blocks of matmul_T and matmul_experts_T, for the kernels and their launch. */
#ifndef ENG_CUDA_KERNELS_MATMUL_SHAPE_H
#define ENG_CUDA_KERNELS_MATMUL_SHAPE_H

enum {
    MATMUL_ROWS = 128,     /* of the weight, per block */
    MATMUL_K = 32,         /* columns of a stage */
    MATMUL_TOKENS = 128,   /* of a block of matmul_T */
    MATMUL_WIDE = 64,      /* of one warp of it, by half the rows */
    MATMUL_SLOTS = 64,     /* of a block of matmul_experts_T */
    MATMUL_SLOTS_WIDE = 32,
};

#define MATMUL_THREADS(tokens, wide) (64 * (tokens) / (wide))

/* bench_mma: chains of products that a warp has under way at once, and threads of a block. */
enum { BENCH_MMA_CHAINS = 8, BENCH_MMA_THREADS = 256 };

#endif
