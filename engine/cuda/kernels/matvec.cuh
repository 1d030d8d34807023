/* Matrix times few vectors, in which reading the weights is all the time there is.
 *
 * The columns are dealt out in pieces (32 or 64 weights of a block format, 8 of a float one) to
 * `lanes` threads, 8 to 128, which share MATVEC_ROWS rows. A lane has the same part of both rows,
 * so that activations are fetched once for two and the loads of both rows are under way together;
 * neighbours read neighbouring parts. A part's weights become bytes in registers, eight words for
 * __dp4a, and meet all the tokens there: weights are read once however many tokens there are.
 * Activations come through L1, which all rows of a block share.
 *
 * What keeps memory busy is bytes under way. The launch therefore takes more lanes per row the
 * fewer rows there are (launch/matvec.c), from the weight's shape alone: a row's sum is the same
 * number on every card, and with every number of tokens the same order.
 *
 * experts_down goes through columns of all chosen experts as if they were one long row. */
#ifndef ENG_CUDA_KERNELS_MATVEC_CUH
#define ENG_CUDA_KERNELS_MATVEC_CUH

#include "matvec_shape.h"
#include "quant/quant.cuh"
#include "quant/float.cuh"

/* The rows that a thread works on, of one matrix. */
struct MatvecRows {
    const uint8_t *w[MATVEC_ROWS];
};

ENG_DEVICE const uint8_t *matvec_data(const EngCuWeight &w, int mat)
{
    return w.mats ? w.mats[mat] : w.data + (uint64_t)mat * w.mat_bytes;
}

ENG_DEVICE MatvecRows matvec_rows(const EngCuWeight &w, int mat, int row)
{
    const uint8_t *data = matvec_data(w, mat);
    MatvecRows ret;
#pragma unroll
    for (int r = 0; r < MATVEC_ROWS; r++) /* past the end the last one again, not to be written */
        ret.w[r] = keep_pointer(data + (uint64_t)min(row + r, w.rows - 1) * w.row_bytes);
    return ret;
}

/* The same row of two matrices of one shape. */
ENG_DEVICE MatvecRows matvec_twins(const EngCuWeight &w, const EngCuWeight &up, int mat, int row)
{
    uint64_t at = (uint64_t)min(row, w.rows - 1) * w.row_bytes;
    MatvecRows ret;
    ret.w[0] = keep_pointer(matvec_data(w, mat) + at);
    ret.w[1] = keep_pointer(matvec_data(up, mat) + at);
    return ret;
}

/* Vectors `first`, first + step, … of the activations, for one lane. */
struct MatvecAct {
    const int8_t *q;
    const float2 *scale;
    const float *x;
    unsigned q_step, scale_step; /* from one to the next */
};

template <bool FLOATS>
ENG_DEVICE MatvecAct matvec_act(const EngCuAct &a, int cols, size_t first, unsigned step)
{
    MatvecAct ret = {};
    ret.q_step = step * (unsigned)cols, ret.scale_step = step * (unsigned)(cols / 32);
    if (FLOATS) {
        ret.x = keep_pointer(a.x + first * (size_t)cols);
    } else {
        ret.q = keep_pointer(a.q + first * (size_t)cols);
        ret.scale = keep_pointer((const float2 *)a.scale + first * (size_t)(cols / 32));
    }
    return ret;
}

/* Adds the piece of block p / pieces that is this lane's (`piece`: the same for all its p, as lanes
 * are a multiple of the pieces) to the sums of N vectors, of which n are there: what comes after is
 * the last one again, for nobody, as a branch would keep one vector's loads behind the other's
 * products. */
template <int TYPE, int N> struct MatvecPart {
    using Q = Quant<TYPE>;
    static constexpr bool floats = false;
    static constexpr unsigned pieces = Q::parts / Q::together; /* of a block */

    static __device__ __forceinline__ unsigned parts(int cols)
    {
        return (unsigned)cols / (32 * Q::together);
    }

    static __device__ __forceinline__ unsigned piece(unsigned lane) { return lane % pieces; }

    static __device__ __forceinline__ void add(const MatvecRows &rows, int, unsigned p,
                                               unsigned piece, const MatvecAct &act, int n,
                                               float sum[MATVEC_ROWS][N])
    {
        unsigned block = p / pieces;
        const uint8_t *at[MATVEC_ROWS];
#pragma unroll
        for (int r = 0; r < MATVEC_ROWS; r++) at[r] = rows.w[r] + (size_t)block * Q::bytes;
        const int8_t *q = act.q + (size_t)block * Q::block;
        const float2 *scale = act.scale + (size_t)block * (Q::block / 32);
#pragma unroll
        for (unsigned i = 0; i < Q::together; i++) add_part(at, piece, i, q, scale, act, n, sum);
    }

    /* q, scale: of the block's first column. */
    static __device__ __forceinline__ void add_part(const uint8_t *const at[MATVEC_ROWS],
                                                    unsigned piece, unsigned i, const int8_t *q,
                                                    const float2 *scale, const MatvecAct &act,
                                                    int n, float sum[MATVEC_ROWS][N])
    {
        QuantPart u[MATVEC_ROWS];
#pragma unroll
        for (int r = 0; r < MATVEC_ROWS; r++) Q::part(at[r], piece, i, u[r]);
        unsigned at0 = Q::run(piece, i, 0), at1 = Q::run(piece, i, 1);
#pragma unroll
        for (unsigned t = 0; t < N; t++) {
            if (t % 2 == 0 && (int)t >= n) break;
            unsigned of = min((int)t, n - 1);
            int a[8];
            quant_act(q + of * act.q_step + at0, a), quant_act(q + of * act.q_step + at1, a + 4);
            const float2 *s = scale + of * act.scale_step;
            float2 s0 = s[at0 / 32], s1 = Q::apart ? s[at1 / 32] : s0;
            one(u, i, a, s0, s1, (int)t, sum);
        }
    }

    /* One vector; s0, s1: its scales of the two runs' groups. */
    static __device__ __forceinline__ void one(const QuantPart u[MATVEC_ROWS], unsigned i,
                                               const int a[8], float2 s0, float2 s1, int t,
                                               float sum[MATVEC_ROWS][N])
    {
        const int ones[4] = {0x01010101, 0x01010101, 0x01010101, 0x01010101};
        float sum0 = 0, sum1 = 0;
        if (Q::minima == QUANT_BY_RUN) {
            sum0 = s0.x * (float)quant_dot16(ones, a, 0);
            sum1 = s1.x * (float)quant_dot16(ones, a + 4, 0);
        } else if (Q::minima == QUANT_BY_GROUP) {
            sum0 = Q::apart && i == 1 ? s1.y : s0.y;
        }
#pragma unroll
        for (int r = 0; r < MATVEC_ROWS; r++) {
            float x0 = u[r].s[0] * (float)quant_dot16(u[r].q, a, 0);
            float x1 = u[r].s[1] * (float)quant_dot16(u[r].q + 4, a + 4, 0);
            sum[r][t] += Q::apart ? s0.x * x0 + s1.x * x1 : s0.x * (x0 + x1);
            if (Q::minima != QUANT_NONE) sum[r][t] -= u[r].m[0] * sum0;
            if (Q::minima == QUANT_BY_RUN) sum[r][t] -= u[r].m[1] * sum1;
        }
    }
};

/* Of float weights: 8 columns, the last part perhaps fewer. */
template <int TYPE, int N> struct MatvecFloat {
    using Q = Quant<TYPE>;
    static constexpr bool floats = true;

    static __device__ __forceinline__ unsigned parts(int cols) { return ((unsigned)cols + 7) / 8; }
    static __device__ __forceinline__ unsigned piece(unsigned) { return 0; }

    static __device__ __forceinline__ void add(const MatvecRows &rows, int cols, unsigned p,
                                               unsigned, const MatvecAct &act, int n,
                                               float sum[MATVEC_ROWS][N])
    {
        bool wide = cols % 8 == 0;
        int have = min(8, cols - 8 * (int)p);
        float u[MATVEC_ROWS][8];
#pragma unroll
        for (int r = 0; r < MATVEC_ROWS; r++) {
            if (wide) {
                Q::unpack8_wide(rows.w[r], (int)p, u[r]);
            } else {
#pragma unroll
                for (int i = 0; i < 8; i++)
                    u[r][i] = i < have ? Q::one(rows.w[r] + (size_t)(8 * p + i) * Q::bytes) : 0;
            }
        }
#pragma unroll
        for (unsigned t = 0; t < N; t++) {
            if (t % 2 == 0 && (int)t >= n) break;
            const float *x = act.x + min((int)t, n - 1) * act.q_step + 8 * p;
            float a[8];
            if (wide) {
                float4 v = *(const float4 *)x, y = *(const float4 *)(x + 4);
                a[0] = v.x, a[1] = v.y, a[2] = v.z, a[3] = v.w;
                a[4] = y.x, a[5] = y.y, a[6] = y.z, a[7] = y.w;
            } else {
#pragma unroll
                for (int i = 0; i < 8; i++) a[i] = i < have ? x[i] : 0;
            }
#pragma unroll
            for (int r = 0; r < MATVEC_ROWS; r++)
#pragma unroll
                for (int i = 0; i < 8; i++) sum[r][t] += u[r][i] * a[i];
        }
    }
};
template <int N> struct MatvecPart<ENG_TYPE_F32, N> : MatvecFloat<ENG_TYPE_F32, N> {
};
template <int N> struct MatvecPart<ENG_TYPE_F16, N> : MatvecFloat<ENG_TYPE_F16, N> {
};
template <int N> struct MatvecPart<ENG_TYPE_BF16, N> : MatvecFloat<ENG_TYPE_BF16, N> {
};

/* A thread's place: its lane among those of its rows, and the first of these. */
struct MatvecPlace {
    unsigned lane;
    int row;
};

ENG_DEVICE MatvecPlace matvec_place(int lanes)
{
    unsigned group = threadIdx.x / (unsigned)lanes;
    unsigned groups = MATVEC_THREADS / (unsigned)lanes;
    return {threadIdx.x % (unsigned)lanes, (int)(MATVEC_ROWS * (blockIdx.x * groups + group))};
}

/* The lanes' sums together, for the lane 0 of each group. By all threads of the block. */
template <int N> ENG_DEVICE void matvec_gather(float sum[MATVEC_ROWS][N], int lanes, int n)
{
    __shared__ float warps[MATVEC_THREADS / WARP][MATVEC_ROWS * N];
    unsigned warp = threadIdx.x / WARP;
#pragma unroll
    for (int i = 0; i < MATVEC_ROWS * N; i++) {
        float &x = sum[i / N][i % N];
        if (i % N >= n) continue;
        for (int step = min(lanes, WARP) / 2; step > 0; step /= 2)
            x += __shfl_xor_sync(FULL_WARP, x, step);
        if (lanes > WARP && threadIdx.x % WARP == 0) warps[warp][i] = x;
    }
    if (lanes <= WARP) return;
    __syncthreads();
    if (threadIdx.x % (unsigned)lanes != 0) return;
#pragma unroll
    for (int i = 0; i < MATVEC_ROWS * N; i++)
        for (unsigned j = 1; j < (unsigned)lanes / WARP && i % N < n; j++)
            sum[i / N][i % N] += warps[warp + j][i];
}

/* How many pieces' loads are under way at once. Float weights need more: a piece has few. */
template <int TYPE> struct MatvecUnroll {
    static constexpr int n =
        TYPE == ENG_TYPE_F32 || TYPE == ENG_TYPE_F16 || TYPE == ENG_TYPE_BF16 ? 4 : 1;
};

/* Asks for the rows of this block, which lie together: as much of a matrix as memory gives while
 * launches follow each other, and no more, or L2 loses it before it is read. */
enum { MATVEC_AHEAD = 6 << 20 };
ENG_DEVICE void matvec_ahead(const EngCuMatvec &a)
{
    unsigned other = a.n_more ? blockIdx.y : 0, head = a.n_more ? 0 : blockIdx.y;
    const EngCuWeight &w = other ? a.more[other - 1].w : a.w;
    int per = MATVEC_ROWS * (MATVEC_THREADS / a.lanes), row = per * (int)blockIdx.x;
    uint64_t before_it = (uint64_t)row * w.row_bytes;
    if (threadIdx.x != 0 || blockIdx.z != 0 || before_it >= MATVEC_AHEAD) return;
    const uint8_t *from = matvec_data(w, (int)head) + before_it;
    unsigned before = (unsigned)(uintptr_t)from & 15;
    uint64_t bytes = before + (uint64_t)min(per, w.rows - row) * w.row_bytes;
    if (row < w.rows) prefetch_l2(from - before, (uint32_t)bytes & ~15u);
}

/* LINEAR is HEADS with one head. Block: y = head or, of several products, which; z = eight tokens.
 */
template <int TYPE, int N>
ENG_DEVICE void matvec_product(const EngCuMatvec &a, const EngCuWeight &w, const EngCuView &to,
                               const float *bias_of, int head, int heads, int token, int n)
{
    using Part = MatvecPart<TYPE, N>;
    MatvecPlace at = matvec_place(a.lanes);
    if ((int)blockIdx.x * MATVEC_ROWS * (MATVEC_THREADS / a.lanes) >= w.rows) return; /* a block */
    MatvecRows rows = matvec_rows(w, head, at.row);
    MatvecAct act =
        matvec_act<Part::floats>(a.act, w.cols, (size_t)(token * heads + head), (unsigned)heads);
    float sum[MATVEC_ROWS][N] = {};
    unsigned piece = Part::piece(at.lane);
#pragma unroll(N == 1 ? MatvecUnroll <TYPE>::n : 1)
    for (unsigned p = at.lane, parts = Part::parts(w.cols); p < parts; p += (unsigned)a.lanes)
        Part::add(rows, w.cols, p, piece, act, n, sum);
    matvec_gather<N>(sum, a.lanes, n);
    if (at.lane != 0) return;
#pragma unroll
    for (int r = 0; r < MATVEC_ROWS; r++) {
        int row = at.row + r;
        if (row >= w.rows) break;
        float bias = bias_of ? bias_of[row] : 0;
        float *dst = to.data + (size_t)head * (size_t)to.stride + row;
#pragma unroll
        for (int t = 0; t < N; t++) {
            if (t >= n) break;
            float *x = dst + (size_t)(token + t) * (size_t)to.row;
            *x = (a.add ? *x : 0) + (sum[r][t] + bias);
        }
    }
}

template <int TYPE, int N> ENG_DEVICE void matvec_tokens(const EngCuMatvec &a, int token, int n)
{
    int y = (int)blockIdx.y, other = a.n_more ? y : 0, head = a.n_more ? 0 : y;
    int heads = a.n_more ? 1 : (int)gridDim.y;
    const EngCuProduct *p = &a.more[other ? other - 1 : 0];
    const EngCuWeight &w = other ? p->w : a.w;
    const EngCuView &to = other ? p->dst : a.dst;
    matvec_product<TYPE, N>(a, w, to, other ? p->bias : a.bias, head, heads, token, n);
}

/* Of several tokens: what these need in registers would keep warps away from the one. */
template <int TYPE> ENG_DEVICE void matvec_few(const EngCuMatvec &a)
{
    int token = (int)blockIdx.z * ENG_CU_MATVEC_TOKENS;
    int n = min((int)ENG_CU_MATVEC_TOKENS, a.tokens - token);
    if (n <= 2)
        matvec_tokens<TYPE, 2>(a, token, n);
    else
        matvec_tokens<TYPE, ENG_CU_MATVEC_TOKENS>(a, token, n);
}

/* -1: not to be computed here. Without ids there is one matrix. */
ENG_DEVICE int experts_id(const EngCuExperts &a, int token, int k)
{
    const int32_t *ids = a.chosen.ids;
    int id = ids ? ids[(size_t)token * (size_t)a.chosen.ids_row + (size_t)k] : 0;
    return id >= 0 && a.w.mats && !a.w.mats[id] ? -1 : id;
}

/* Block: y = which of the token's experts, z = token. */
template <int TYPE> ENG_DEVICE void experts_up(const EngCuExperts &a)
{
    using Part = MatvecPart<TYPE, 1>;
    int k = (int)blockIdx.y, token = (int)blockIdx.z;
    int id = experts_id(a, token, k);
    if (id < 0) return;
    MatvecPlace at = matvec_place(a.lanes);
    bool gates = a.up.rows > 0;
    if (gates) at.row /= MATVEC_ROWS;
    MatvecRows rows = gates ? matvec_twins(a.w, a.up, id, at.row) : matvec_rows(a.w, id, at.row);
    MatvecAct act = matvec_act<Part::floats>(a.act, a.w.cols, (size_t)token, 1);
    float sum[MATVEC_ROWS][1] = {};
    unsigned piece = Part::piece(at.lane);
#pragma unroll(MatvecUnroll <TYPE>::n)
    for (unsigned p = at.lane, parts = Part::parts(a.w.cols); p < parts; p += (unsigned)a.lanes)
        Part::add(rows, a.w.cols, p, piece, act, 1, sum);
    matvec_gather<1>(sum, a.lanes, 1);
    float *dst = a.dst.data + (size_t)token * (size_t)a.dst.row + (size_t)k * (size_t)a.dst.stride;
    if (gates) {
        float gate = sum[0][0];
        if (at.lane == 0 && at.row < a.w.rows)
            dst[at.row] = gate / (1.0f + expf(-gate)) * sum[1][0];
        return;
    }
#pragma unroll
    for (int r = 0; r < MATVEC_ROWS; r++)
        if (at.lane == 0 && at.row + r < a.w.rows) dst[at.row + r] = sum[r][0];
}

/* Block: y = token. A lane's parts are `lanes` apart in the columns of all experts together. */
template <int TYPE> ENG_DEVICE void experts_down(const EngCuExperts &a)
{
    using Part = MatvecPart<TYPE, 1>;
    int token = (int)blockIdx.y, n_used = a.chosen.n_used;
    const float *weights = a.chosen.weights + (size_t)token * (size_t)a.chosen.weights_row;
    MatvecPlace at = matvec_place(a.lanes);
    float sum[MATVEC_ROWS][1] = {};
    unsigned parts = Part::parts(a.w.cols), p = at.lane, piece = Part::piece(at.lane);
#pragma unroll 1
    for (int k = 0;; p += (unsigned)a.lanes) {
        while (p >= parts && k < n_used) p -= parts, k++;
        if (k >= n_used) break;
        int id = experts_id(a, token, k);
        if (id < 0) continue;
        float one[MATVEC_ROWS][1] = {};
        MatvecAct act = matvec_act<Part::floats>(a.act, a.w.cols, (size_t)(token * n_used + k), 1);
        Part::add(matvec_rows(a.w, id, at.row), a.w.cols, p, piece, act, 1, one);
#pragma unroll
        for (int r = 0; r < MATVEC_ROWS; r++) sum[r][0] += weights[k] * one[r][0];
    }
    matvec_gather<1>(sum, a.lanes, 1);
    float *dst = a.dst.data + (size_t)token * (size_t)a.dst.row;
#pragma unroll
    for (int r = 0; r < MATVEC_ROWS; r++)
        if (at.lane == 0 && at.row + r < a.w.rows)
            dst[at.row + r] = a.set ? sum[r][0] : dst[at.row + r] + sum[r][0];
}

#define MATVEC_KERNELS(T)                                                                          \
    ENG_KERNEL_AHEAD(MATVEC_THREADS, 5, matvec_##T, EngCuMatvec a, matvec_ahead(a))                \
    {                                                                                              \
        matvec_tokens<ENG_TYPE_##T, 1>(a, (int)blockIdx.z, 1);                                     \
    }                                                                                              \
    ENG_KERNEL_AHEAD(MATVEC_THREADS, 3, matvec_few_##T, EngCuMatvec a, matvec_ahead(a))            \
    {                                                                                              \
        matvec_few<ENG_TYPE_##T>(a);                                                               \
    }                                                                                              \
    ENG_KERNEL_BOUNDS(MATVEC_THREADS, 5, experts_up_##T, EngCuExperts a)                           \
    {                                                                                              \
        experts_up<ENG_TYPE_##T>(a);                                                               \
    }                                                                                              \
    ENG_KERNEL_BOUNDS(MATVEC_THREADS, 5, experts_down_##T, EngCuExperts a)                         \
    {                                                                                              \
        experts_down<ENG_TYPE_##T>(a);                                                             \
    }

#endif
