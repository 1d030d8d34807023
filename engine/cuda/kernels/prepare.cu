/* Activations as products want them: quantize (bytes with a scale per 32), halve (halves with a
 * scale per vector), copy_act (packed floats). Vector t * heads + h is group h of row t.
 *
 * A number that is not finite makes its scale NaN, and thereby every product that it would have
 * been in. */
#include "common.cuh"
#include "matvec_shape.h"

ENG_DEVICE const float *prepare_vector(const EngCuView &src, unsigned vector)
{
    unsigned heads = (unsigned)src.heads;
    return src.data + (size_t)(vector / heads) * (size_t)src.row +
           (size_t)(vector % heads) * (size_t)src.stride;
}

/* A warp per 32 numbers, a lane each. */
ENG_KERNEL_BOUNDS(PREPARE_THREADS, 1, quantize, EngCuPrepare a)
{
    unsigned lane = threadIdx.x % WARP;
    size_t group = (size_t)blockIdx.x * (PREPARE_THREADS / WARP) + threadIdx.x / WARP;
    size_t groups = (size_t)a.src.n / 32, vectors = (size_t)a.rows * (size_t)a.src.heads;
    if (group >= vectors * groups) return; /* the whole warp */
    unsigned vector = (unsigned)(group / groups);
    float x = prepare_vector(a.src, vector)[group % groups * 32 + lane];
    quantize_store(a.q, a.scale, group * 32 + lane, x);
}

/* A block per vector. */
ENG_KERNEL_BOUNDS(PREPARE_THREADS, 1, halve, EngCuPrepare a)
{
    __shared__ float warps[PREPARE_THREADS / WARP];
    const float *src = prepare_vector(a.src, blockIdx.x);
    int n = a.src.n;
    float most = 0;
    for (int i = (int)threadIdx.x; i < n; i += PREPARE_THREADS)
        most = fmaxf(most, quantize_size(src[i]));
    most = warp_max(most);
    if (threadIdx.x % WARP == 0) warps[threadIdx.x / WARP] = most;
    __syncthreads();
    for (int i = 0; i < PREPARE_THREADS / WARP; i++) most = fmaxf(most, warps[i]);
    bool lost = most == INFINITY;
    float scale = most == 0 || lost ? 1 : most;
    uint16_t *half = a.half + (size_t)blockIdx.x * (size_t)n;
    for (int i = (int)threadIdx.x; i < n; i += PREPARE_THREADS)
        half[i] = float_to_half_bits(lost ? 0 : src[i] / scale);
    if (threadIdx.x == 0) a.scale[blockIdx.x] = lost ? NAN : scale;
}

/* A block per vector. */
ENG_KERNEL_BOUNDS(PREPARE_THREADS, 1, copy_act, EngCuPrepare a)
{
    const float *src = prepare_vector(a.src, blockIdx.x);
    float *x = a.x + (size_t)blockIdx.x * (size_t)a.src.n;
    for (int i = (int)threadIdx.x; i < a.src.n; i += PREPARE_THREADS) x[i] = src[i];
}
