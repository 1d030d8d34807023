/* Products with many tokens on tensor cores: matmul_T and, grouped by expert, matmul_experts_T.
 *
 * A block computes 128 rows of the weight for 128 tokens (experts: 64, for that is what an expert
 * gets of a long prompt). It walks along the columns by 32: the weights' blocks are unpacked once,
 * into halves in shared memory, d and minimum folded in; activations are copied there as they are,
 * asynchronously where the card can. Then each warp multiplies 64 rows by 64 tokens, 32 m16n8k16
 * per 16 columns for eight ldmatrix (experts: by 32 tokens, 16 for six): what shared memory has to
 * give is what limits smaller pieces. Two stages: while the tensor cores work on one, the next
 * one's activations are under way and its weights are unpacked into registers.
 *
 * What a scheduler can issue is the other limit: an m16n8k16 takes some six cycles of one, so that
 * more than about five other instructions for each are too many. Hence no branch in the loop, so
 * that loads and unpacking spread among the products (rows that 32 does not divide have a loop of
 * their own), and no address that is not a register and a constant. Two blocks of 128 threads
 * (experts: three) share a multiprocessor, one unpacking while the other multiplies.
 *
 * A row of a stage is 64 bytes, four pieces of 8 halves; piece p lies at place p ^ (row / 2 % 4),
 * so that the eight rows of an ldmatrix, and the eight writers of a phase, meet 32 banks once.
 *
 * Error. Sums are floats; activations come as halves with a scale per vector, which is multiplied
 * in at the end. A weight of F32 or BF16 is rounded to half: by at most 2^-11 of itself, or 2^-25
 * where it is smaller than 2^-14 (F16 is exact); a finite one beyond 65504, half's largest, becomes
 * 65504 with its sign. Of s q - m both s and m are rounded so, and then the result: by 2^-11 of
 * |s q|, of |m| and of itself, or (|q| + 2) 2^-25. What is beyond 65504 there becomes infinite and
 * is seen in the end: nothing that was trained has such weights. What is not finite stays so. */
#ifndef ENG_CUDA_KERNELS_MATMUL_CUH
#define ENG_CUDA_KERNELS_MATMUL_CUH

#include "common.cuh"
#include "matmul_shape.h"
#include "quant/float.cuh" /* the other formats: each file of kernels has its own */

/* Where piece `piece` of row `row` of a stage begins, in halves. */
ENG_DEVICE int matmul_place(int row, int piece)
{
    return row * MATMUL_K + ((piece ^ row >> 1) & 3) * 8;
}

/* A block's shared memory. */
template <int TOKENS> struct MatmulShared {
    alignas(16) uint16_t weights[2][MATMUL_ROWS * MATMUL_K];
    alignas(16) uint16_t tokens[2][TOKENS * MATMUL_K];
};

ENG_DEVICE constexpr bool matmul_is_plain(int type)
{
    return type == ENG_TYPE_F32 || type == ENG_TYPE_F16 || type == ENG_TYPE_BF16;
}

/* What is infinite must be seen in the end: as NaN it passes the hold at 65504. */
ENG_DEVICE float matmul_seen(float x) { return fmaf(x, 0.0f, x); }

/* Sixteen columns from k on of a row of F32, F16 or BF16, zeros where the row has ended, which it
 * has not if WHOLE. */
template <int TYPE, bool WHOLE>
ENG_DEVICE void matmul_plain(const uint8_t *row, int k, int cols, float w[16])
{
    using Q = Quant<TYPE>;
    if (WHOLE || cols % 16 == 0) { /* rows are aligned to 16 bytes and end with a run */
        const uint8_t *run = row + (size_t)(WHOLE ? k : min(k, cols - 16)) * Q::bytes;
        Q::unpack8_wide(run, 0, w), Q::unpack8_wide(run, 1, w + 8);
    } else {
#pragma unroll
        for (int i = 0; i < 16; i++) w[i] = Q::one(row + (size_t)min(k + i, cols - 1) * Q::bytes);
    }
#pragma unroll
    for (int i = 0; i < 16; i++) w[i] = WHOLE || k + i < cols ? matmul_seen(w[i]) : 0;
}

/* The same of blocks, as two pieces of halves. A byte becomes a half as the lowest byte of 2^10,
 * one permute for two; from there on two weights are one number. */
template <int TYPE> ENG_DEVICE void matmul_quants(uint4 ret[2], const uint8_t *row, int k)
{
    using Bits = QuantBits<TYPE>;
    const uint8_t *block = row + (unsigned)k / Bits::block * Bits::bytes;
    unsigned run = (unsigned)k % Bits::block / 16;
    int q[4];
    Bits::sixteen(block, run, q);
    float2 scale = Bits::scale(block, run);
    uint32_t s = floats_to_halves(matmul_seen(scale.x), matmul_seen(scale.x));
    uint32_t m = floats_to_halves(matmul_seen(-scale.y), matmul_seen(-scale.y));
    uint32_t w[8];
#pragma unroll
    for (int i = 0; i < 8; i++) {
        uint32_t bytes = (uint32_t)q[i / 2] ^ 0x80808080u;
        uint32_t above = __byte_perm(bytes, 0x64646464u, i % 2 ? 0x4342 : 0x4140);
        w[i] = halves_multiply_add(halves_sub(above, 0x64806480u), s, m);
    }
    ret[0] = make_uint4(w[0], w[1], w[2], w[3]);
    ret[1] = make_uint4(w[4], w[5], w[6], w[7]);
}

/* Two pieces of halves. */
template <int TYPE, bool WHOLE>
ENG_DEVICE void matmul_weights(uint4 ret[2], const uint8_t *row, int k, int cols)
{
    if constexpr (TYPE == ENG_TYPE_F16 && WHOLE) {
        const uint4 *run = (const uint4 *)(row + 2 * (size_t)k);
        ret[0] = run[0], ret[1] = run[1];
    } else if constexpr (matmul_is_plain(TYPE)) {
        float w[16];
        matmul_plain<TYPE, WHOLE>(row, k, cols, w);
#pragma unroll
        for (int i = 0; i < 2; i++) {
            ret[i].x = floats_to_halves(w[8 * i], w[8 * i + 1]);
            ret[i].y = floats_to_halves(w[8 * i + 2], w[8 * i + 3]);
            ret[i].z = floats_to_halves(w[8 * i + 4], w[8 * i + 5]);
            ret[i].w = floats_to_halves(w[8 * i + 6], w[8 * i + 7]);
        }
    } else {
        matmul_quants<TYPE>(ret, row, k);
    }
}

/* A piece of a token's halves from column k on; WHOLE: 32 divides `cols`, and there is always one.
 * Else zeros where the row has ended, slowly where not even 8 divides `cols`. */
template <bool WHOLE>
ENG_DEVICE void matmul_token(uint16_t *to, const uint16_t *row, int k, int cols)
{
    if (WHOLE)
        cp_async16(to, row + k);
    else if (cols % 8 == 0)
        cp_async16(to, k < cols ? row + k : row, k < cols ? 16 : 0);
    else
        for (int i = 0; i < 8; i++) to[i] = k + i < cols ? row[k + i] : (uint16_t)0;
}

/* A warp's sums: [16 rows][8 tokens][as mma has them]. */
template <int WIDE> struct MatmulSums {
    float c[4][WIDE / 8][4];
};

/* Where a lane finds its rows of the matrices that ldmatrix takes, in halves from the beginnings of
 * a stage's weights and tokens: those of the next 16 rows or tokens, and of the next 16 columns,
 * are a constant away. */
struct MatmulLane {
    int weights[MATMUL_K / 16], tokens[MATMUL_K / 16];

    __device__ __forceinline__ void init(int row0, int token0)
    {
        int lane = threadIdx.x % WARP;
#pragma unroll
        for (int k = 0; k < MATMUL_K / 16; k++) {
            /* Matrices: rows 0 … 7 and 8 … 15 of the left 8 columns, then of the right. */
            weights[k] = matmul_place(row0 + lane % 16, 2 * k + lane / 16);
            /* Matrices: left and right 8 columns of 8 tokens, then of the next 8. */
            tokens[k] = matmul_place(token0 + lane / 16 * 8 + lane % 8, 2 * k + lane / 8 % 2);
        }
    }
};

/* One stage into a warp's sums. */
template <int WIDE>
ENG_DEVICE void matmul_multiply(MatmulSums<WIDE> &sums, const uint16_t *weights,
                                const uint16_t *tokens, const MatmulLane &lane)
{
#pragma unroll
    for (int k = 0; k < MATMUL_K / 16; k++) {
        uint32_t b[WIDE / 8][2];
#pragma unroll
        for (int j = 0; j < WIDE / 8; j += 2) {
            uint32_t r[4];
            ldmatrix_x4(r, tokens + lane.tokens[k] + 8 * j * MATMUL_K);
            b[j][0] = r[0], b[j][1] = r[1], b[j + 1][0] = r[2], b[j + 1][1] = r[3];
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            uint32_t a[4];
            ldmatrix_x4(a, weights + lane.weights[k] + 16 * i * MATMUL_K);
#pragma unroll
            for (int j = 0; j < WIDE / 8; j++) mma_m16n8k16(sums.c[i][j], a, b[j]);
        }
    }
}

/* A thread's part in loading: 16 columns of its rows of weights, and pieces of its tokens. Rows and
 * tokens that are not there are read as the last one: their sums are right for nobody and kept by
 * nobody. */
template <int TYPE, int TOKENS, int WIDE> struct MatmulLoad {
    static constexpr int threads = MATMUL_THREADS(TOKENS, WIDE);
    static constexpr int row_step = threads / 2, rows = MATMUL_ROWS / row_step;
    static constexpr int token_step = threads / 4, tokens = TOKENS / token_step;
    const uint8_t *w[rows];
    const uint16_t *x[tokens];
    uint4 pieces[rows][2];
    int cols, at_row, at_token; /* of its first row and token in a stage, in halves */

    template <class Vector>
    __device__ __forceinline__ void init(const uint8_t *mat, uint64_t row_bytes, int n_rows,
                                         const uint16_t *act, int n_cols, int count, Vector vector)
    {
        cols = n_cols;
#pragma unroll
        for (int u = 0; u < rows; u++)
            w[u] = mat + min((int)threadIdx.x / 2 + row_step * u, n_rows - 1) * row_bytes;
#pragma unroll
        for (int u = 0; u < tokens; u++)
            x[u] = act + vector(min((int)threadIdx.x / 4 + token_step * u, count - 1)) * cols;
        at_row = matmul_place(threadIdx.x / 2, threadIdx.x % 2 * 2);
        at_token = matmul_place(threadIdx.x / 4, threadIdx.x % 4);
    }

    /* Weights stay in registers until the products of the stage before are done. */
    template <bool WHOLE> __device__ __forceinline__ void load(uint16_t *to, int step)
    {
        int k = step * MATMUL_K;
#pragma unroll
        for (int u = 0; u < tokens; u++)
            matmul_token<WHOLE>(to + at_token + token_step * u * MATMUL_K, x[u],
                                k + 8 * (threadIdx.x % 4), cols);
        cp_async_commit();
#pragma unroll
        for (int u = 0; u < rows; u++) {
            in_global(w[u]);
            matmul_weights<TYPE, WHOLE>(pieces[u], w[u], k + 16 * (threadIdx.x % 2), cols);
        }
    }

    __device__ __forceinline__ void store(uint16_t *to)
    {
#pragma unroll
        for (int u = 0; u < rows; u++)
#pragma unroll
            for (int i = 0; i < 2; i++) /* the second piece of two is the first's neighbour */
                *(uint4 *)(to + (at_row ^ 8 * i) + row_step * u * MATMUL_K) = pieces[u][i];
        cp_async_wait<0>();
        __syncthreads();
    }
};

/* Walks along the columns. A warp that has no rows or tokens loads for the others (BUSY false): a
 * loop of its own, for a branch in the loop would keep loads and products apart. */
template <bool BUSY, bool WHOLE, int WIDE, class Load, class Shared>
ENG_DEVICE void matmul_walk(MatmulSums<WIDE> &sums, Shared &shared, Load &load,
                            const MatmulLane &lane)
{
    int steps = (load.cols + MATMUL_K - 1) / MATMUL_K;
    load.template load<WHOLE>(shared.tokens[0], 0);
    load.store(shared.weights[0]);
#pragma unroll 1
    for (int s = 0; s < steps; s++) {
        int stage = s % 2, next = 1 - stage;
        /* The last step loads itself once more, into the stage that nobody reads. */
        load.template load<WHOLE>(shared.tokens[next], min(s + 1, steps - 1));
        if (BUSY) matmul_multiply(sums, shared.weights[stage], shared.tokens[stage], lane);
        load.store(shared.weights[next]);
    }
}

/* Sums of a block: the n_rows rows from `mat` on by `count` tokens, whose activations are those of
 * vector(token). */
template <int TYPE, int TOKENS, int WIDE, class Vector>
ENG_DEVICE void matmul_block(MatmulSums<WIDE> &sums, MatmulShared<TOKENS> &shared,
                             const uint8_t *mat, const EngCuWeight &w, int n_rows,
                             const uint16_t *act, int count, Vector vector)
{
    MatmulLoad<TYPE, TOKENS, WIDE> load;
    load.init(mat, w.row_bytes, n_rows, act, w.cols, count, vector);
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < WIDE / 8; j++)
#pragma unroll
            for (int c = 0; c < 4; c++) sums.c[i][j][c] = 0;
    int warp = threadIdx.x / WARP, row0 = warp % 2 * 64, token0 = warp / 2 * WIDE;
    bool busy = row0 < n_rows && token0 < count;
    MatmulLane lane;
    lane.init(row0, token0);
    if constexpr (matmul_is_plain(TYPE)) { /* blocks have at least MATMUL_K numbers */
        if (w.cols % MATMUL_K != 0) {
            if (busy)
                matmul_walk<true, false>(sums, shared, load, lane);
            else
                matmul_walk<false, false>(sums, shared, load, lane);
            return;
        }
    }
    if (busy)
        matmul_walk<true, true>(sums, shared, load, lane);
    else
        matmul_walk<false, true>(sums, shared, load, lane);
}

/* Puts what this thread has of a block where it belongs: row r of token i at at(i)[r], the sum
 * times scale(i), plus bias[r] where there is one, plus what was there if `add`. */
template <int WIDE, class At, class Scale>
ENG_DEVICE void matmul_keep(const MatmulSums<WIDE> &sums, int n_rows, int count, const float *bias,
                            bool add, At at, Scale scale)
{
    int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    int row0 = warp % 2 * 64 + lane / 4, token0 = warp / 2 * WIDE + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < WIDE / 4; j++) {
        int token = token0 + j / 2 * 8 + j % 2;
        if (token >= count) continue;
        float *to = at(token) + row0, by = scale(token);
#pragma unroll
        for (int i = 0; i < 8; i++) {
            if (row0 + 8 * i >= n_rows) continue;
            float sum = sums.c[i / 2][j / 2][i % 2 * 2 + j % 2] * by;
            if (bias) sum += bias[row0 + 8 * i];
            if (add) sum += to[8 * i];
            to[8 * i] = sum;
        }
    }
}

ENG_DEVICE const uint8_t *matmul_mat(const EngCuWeight &w, int m)
{
    return w.mats ? w.mats[m] : w.data + (uint64_t)m * w.mat_bytes;
}

/* Blocks: x tokens, y rows, z heads. */
template <int TYPE> ENG_DEVICE void matmul(const EngCuMatmul &a)
{
    __shared__ MatmulShared<MATMUL_TOKENS> shared;
    int token0 = blockIdx.x * MATMUL_TOKENS, row0 = blockIdx.y * MATMUL_ROWS, head = blockIdx.z;
    int count = min(a.tokens - token0, (int)MATMUL_TOKENS);
    int rows = min(a.w.rows - row0, (int)MATMUL_ROWS), heads = a.dst.heads;
    MatmulSums<MATMUL_WIDE> sums;
    auto vector = [&](int i) { return (size_t)(token0 + i) * heads + head; };
    matmul_block<TYPE, MATMUL_TOKENS>(sums, shared, matmul_mat(a.w, head) + row0 * a.w.row_bytes,
                                      a.w, rows, a.act.x, count, vector);
    float *dst = a.dst.data + (size_t)token0 * a.dst.row + (size_t)head * a.dst.stride + row0;
    matmul_keep(
        sums, rows, count, a.bias ? a.bias + row0 : nullptr, a.add,
        [&](int i) { return dst + (size_t)i * a.dst.row; },
        [&](int i) { return a.act.scale[vector(i)]; });
}

/* Blocks: x tiles of slots, y rows. Nobody outside knows how many slots an expert has, so that tile
 * x is that of expert e which has first[e] / 64 + e <= x < first[e + 1] / 64 + e + 1: at least as
 * many tiles as its slots need, most / 64 + experts altogether, and each thread can look at an
 * expert of its own without a sum over those before. */
template <int TYPE> ENG_DEVICE void matmul_experts(const EngCuMatmulExperts &a)
{
    __shared__ MatmulShared<MATMUL_SLOTS> shared;
    __shared__ int expert, slot0, end;
    int x = blockIdx.x, threads = MATMUL_THREADS(MATMUL_SLOTS, MATMUL_SLOTS_WIDE);
    if (threadIdx.x == 0) expert = -1;
    __syncthreads();
    for (int e = threadIdx.x; e < a.slots.experts; e += threads) {
        int from = a.slots.first[e], to = a.slots.first[e + 1];
        int tile = x - from / MATMUL_SLOTS - e;
        if (tile < 0 || x > to / MATMUL_SLOTS + e) continue;
        expert = e, slot0 = from + tile * MATMUL_SLOTS, end = to;
    }
    __syncthreads();
    if (expert < 0 || slot0 >= end) return;

    int row0 = blockIdx.y * MATMUL_ROWS, base = slot0;
    int count = min(end - base, (int)MATMUL_SLOTS), rows = min(a.w.rows - row0, (int)MATMUL_ROWS);
    MatmulSums<MATMUL_SLOTS_WIDE> sums;
    auto vector = [&](int i) { return (size_t)(a.gather ? a.slots.token[base + i] : base + i); };
    matmul_block<TYPE, MATMUL_SLOTS>(sums, shared, matmul_mat(a.w, expert) + row0 * a.w.row_bytes,
                                     a.w, rows, a.act.x, count, vector);
    float *dst = a.dst + (size_t)base * a.w.rows + row0;
    matmul_keep(
        sums, rows, count, nullptr, false, [&](int i) { return dst + (size_t)i * a.w.rows; },
        [&](int i) { return a.act.scale[vector(i)]; });
}

#define MATMUL_KERNELS(TYPE)                                                                       \
    ENG_KERNEL_BOUNDS(MATMUL_THREADS(MATMUL_TOKENS, MATMUL_WIDE), 2, matmul_##TYPE, EngCuMatmul a) \
    {                                                                                              \
        matmul<ENG_TYPE_##TYPE>(a);                                                                \
    }                                                                                              \
    ENG_KERNEL_BOUNDS(MATMUL_THREADS(MATMUL_SLOTS, MATMUL_SLOTS_WIDE), 3, matmul_experts_##TYPE,   \
                      EngCuMatmulExperts a)                                                        \
    {                                                                                              \
        matmul_experts<ENG_TYPE_##TYPE>(a);                                                        \
    }

#endif
