/* Attention over f16 and q8_0 caches on tensor cores: FlashAttention 2 (arXiv 2307.08691), for
 * decode cut along the past, for prefill along tokens (attn.cuh).
 *
 * A block has 16 … 128 queries as halves in shared memory and walks through cells by tiles of up to
 * 64. Keys and values of a tile lie in shared memory as halves; where values are the beginning of
 * keys (MLA) one tile serves both, read from memory once. While a tile is worked on, the next is
 * under way: f16 comes by cp.async into the other stage; q8_0 comes as it is and is unpacked when
 * its turn has come. A warp owns 16 or 32 queries by up to 128 numbers of their results, in
 * registers.
 *
 *   few   4 warps, 16 queries, which all share: each takes 16 cells' scores, then a quarter of the
 *         values' numbers. For decode of ordinary heads, which waits for memory: three or more
 *         blocks on a multiprocessor keep enough of it under way.
 *   wide  8 warps, twice 32 queries by four. For values of up to 512 numbers, whose sums do not
 *         fit a warp.
 *   tall  4 warps of 32 queries, nothing shared: weights stay in registers, as the product of
 *         scores leaves them just where the product with values wants them. For prefill.
 *
 * What binds is less the tensor cores than reading operands out of shared memory, 128 bytes per
 * cycle; an H100 does a product in one and a half cycles, which is 196 bytes. A product needs 160 in
 * a warp's 32 queries by 128 numbers, 256 in scores of 32 by 32, but 384 in 32 by 16: so two warps
 * of wide share the numbers of 32 cells' keys instead of the cells, and add up.
 *
 * Error: queries are rounded to halves, q8_0's numbers and weights too; all sums are floats. A
 * number beyond half's range becomes infinite and what depends on it NaN: seen, not hidden. Cells
 * that are not there are zeros, for 0 * NaN would be seen by all. */
#include "attn_load.cuh"

/* ---- a tile ---- */

/* What a warp keeps. Row g of products is query g of 16, column 2 q and the next; as mma has them.
 * most: the largest score so far, of rows g and g + 8, unscaled; sum: this thread's part. */
template <class F> struct Sums {
    float o[F::MT][16][4], s[F::MT][F::NT][4], most[F::MT][2], sum[F::MT][2];
};

/* Operands of one step: 16 numbers of MT times 16 queries and of COUNT times 8 keys. */
template <int MT, int COUNT> struct Operands {
    uint32_t q[MT][4], k[(COUNT + 1) / 2][4];
};

/* Adds to s products of the warp's queries with COUNT times 8 cells from cell0 on, over steps of 16
 * numbers. The next step's operands are fetched meanwhile. */
template <class F, int COUNT, int NT>
ENG_DEVICE void multiply(const EngCuAttn &a, const Room &r, const uint16_t *keys, int row0,
                         int cell0, int from, int to, float s[F::MT][NT][4])
{
    int lane = (int)threadIdx.x % WARP, x = lane % 8, q_mine = lane / 16 ^ x,
        k_mine = lane / 8 % 2 ^ x;
    const uint16_t *query = r.queries + (row0 + lane % 16) * r.k_pitch;
    const uint16_t *key[(COUNT + 1) / 2];
#pragma unroll
    for (int n = 0; n < COUNT; n += 2) /* of 8 cells alone the second half is not used */
        key[n / 2] = keys + min(cell0 + 8 * n + lane / 16 * 8 + x, a.cells - 8 + x) * r.k_pitch;
    auto fetch = [&](int step, Operands<F::MT, COUNT> &to) {
#pragma unroll
        for (int m = 0; m < F::MT; m++)
            ldmatrix_x4(to.q[m], query + 16 * m * r.k_pitch + ((2 * step) ^ q_mine) * 8);
#pragma unroll
        for (int n = 0; n < COUNT; n += 2)
            ldmatrix_x4(to.k[n / 2], key[n / 2] + ((2 * step) ^ k_mine) * 8);
    };
    auto add = [&](const Operands<F::MT, COUNT> &from) {
#pragma unroll
        for (int n = 0; n < COUNT; n++)
#pragma unroll
            for (int m = 0; m < F::MT; m++)
                mma_m16n8k16(s[m][n], from.q[m], &from.k[n / 2][n % 2 * 2]);
    };
    if (from >= to) return;
    Operands<F::MT, COUNT> now, next;
    fetch(from, now);
#pragma unroll 2
    for (int k = from + 1; k < to; k++) {
        fetch(k, next);
        add(now);
        now = next;
    }
    add(now);
}

/* Scores of the warp's queries with COUNT times 8 cells from cell0 on; of others none. */
template <class F, int COUNT>
ENG_DEVICE void score(const EngCuAttn &a, const Room &r, const uint16_t *keys, int row0, int cell0,
                      Sums<F> *u)
{
#pragma unroll
    for (int m = 0; m < F::MT; m++)
#pragma unroll
        for (int n = 0; n < F::NT; n++)
#pragma unroll
            for (int c = 0; c < 4; c++)
                u->s[m][n][c] = n < COUNT ? 0.0f : -INFINITY;
    if constexpr (COUNT > 0)
        multiply<F, COUNT, F::NT>(a, r, keys, row0, cell0, 0, (a.dk + 15) / 16, u->s);
}

/* The same for wide's whole tiles, by twos: both warps take half of the numbers of both's 32 cells,
 * from cell0 on, and give each other what the other lacks of its 16. A third less to read. The room
 * of weights is free meanwhile. */
template <class F>
ENG_DEVICE void score_by_twos(const EngCuAttn &a, const Room &r, const uint16_t *keys, int row0,
                              int cell0, int half, Sums<F> *u)
{
    float s[F::MT][4][4] = {};
    int lane = (int)threadIdx.x % WARP, warp = (int)threadIdx.x / WARP % F::WC, partner = warp ^ 2;
    int steps = (a.dk + 15) / 16, middle = (steps + 1) / 2;
    multiply<F, 4, 4>(a, r, keys, row0, cell0, half ? middle : 0, half ? steps : middle, s);
    float4 *room = (float4 *)(r.weights + row0 * ATTN_WEIGHTS_PITCH(F::cells)) + lane;
    static_assert(F::WC * 2 * WARP * 16 <= F::rows * 2 * ATTN_WEIGHTS_PITCH(F::cells) || F::MT == 1,
                  "[WC][2][lane] float4");
#pragma unroll
    for (int m = 0; m < F::MT; m++) {
        if (m > 0) meet_warps<F>();
#pragma unroll
        for (int n = 0; n < 2; n++) {
            const float *low = s[m][n], *high = s[m][n + 2];
#pragma unroll
            for (int c = 0; c < 4; c++)
                u->s[m][n][c] = half ? high[c] : low[c];
            room[(2 * warp + n) * WARP] =
                make_float4(half ? low[0] : high[0], half ? low[1] : high[1],
                            half ? low[2] : high[2], half ? low[3] : high[3]);
        }
        meet_warps<F>();
#pragma unroll
        for (int n = 0; n < 2; n++) {
            float4 more = room[(2 * partner + n) * WARP];
            u->s[m][n][0] += more.x, u->s[m][n][1] += more.y;
            u->s[m][n][2] += more.z, u->s[m][n][3] += more.w;
        }
    } /* the warps meet again before weights come there */
}

/* Hides what a query does not see. */
template <class F>
ENG_DEVICE void hide(const Room &r, int at, int row0, int cell0, Sums<F> *u)
{
    int lane = (int)threadIdx.x % WARP;
#pragma unroll
    for (int m = 0; m < F::MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int left = r.seen[row0 + 16 * m + 8 * h + lane / 4] - at - cell0 - lane % 4 * 2;
#pragma unroll
            for (int n = 0; n < F::NT; n++)
#pragma unroll
                for (int i = 0; i < 2; i++)
                    if (8 * n + i >= left) u->s[m][n][2 * h + i] = -INFINITY;
        }
}

/* The largest score of each query among the warp's cells. */
template <class F> ENG_DEVICE void largest(const Sums<F> &u, float most[F::MT][2])
{
#pragma unroll
    for (int m = 0; m < F::MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float x = -INFINITY;
#pragma unroll
            for (int n = 0; n < F::NT; n++)
                x = fmaxf(x, fmaxf(u.s[m][n][2 * h], u.s[m][n][2 * h + 1]));
            x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 1));
            most[m][h] = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, 2));
        }
}

/* Scores become weights; sums and results so far shrink where a larger score was met. */
template <class F> ENG_DEVICE void soften(float scale, const float most[F::MT][2], Sums<F> *u)
{
    float keep[F::MT][2];
    bool same = true;
#pragma unroll
    for (int m = 0; m < F::MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float now = fmaxf(u->most[m][h], most[m][h]);
            float from = now == -INFINITY ? 0.0f : now * scale, sum = 0;
            keep[m][h] = exp2f_fast(fmaf(u->most[m][h], scale, -from));
            same = same && keep[m][h] == 1.0f;
            u->most[m][h] = now;
#pragma unroll
            for (int n = 0; n < F::NT; n++)
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    float *s = &u->s[m][n][2 * h + i];
                    *s = exp2f_fast(fmaf(*s, scale, -from));
                    sum += *s;
                }
            u->sum[m][h] = fmaf(u->sum[m][h], keep[m][h], sum);
        }
    if (__all_sync(FULL_WARP, same)) return;
#pragma unroll
    for (int m = 0; m < F::MT; m++)
#pragma unroll
        for (int n = 0; n < 16; n++)
#pragma unroll
            for (int c = 0; c < 4; c++)
                u->o[m][n][c] *= keep[m][c / 2];
}

/* Weights of the warp's `count` times 8 cells, for the other warps. */
template <class F>
ENG_DEVICE void give_weights(const EngCuAttn &a, const Room &r, int row0, int cell0, int count,
                             const Sums<F> &u)
{
    int lane = (int)threadIdx.x % WARP, pitch = ATTN_WEIGHTS_PITCH(a.cells);
    uint16_t *to = r.weights + (row0 + lane / 4) * pitch + cell0 + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < F::MT; m++)
#pragma unroll
        for (int n = 0; n < F::NT; n++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                if (n < count)
                    *(uint32_t *)(to + (16 * m + 8 * h) * pitch + 8 * n) =
                        floats_to_halves(u.s[m][n][2 * h], u.s[m][n][2 * h + 1]);
}

/* Adds 16 cells' values, from row `cell` on, times weights w to the columns of the warp: `pairs`
 * times 16 from column0 on. FULL: all 128, without asking, from a multiple of 64 on. */
template <class F, bool FULL>
ENG_DEVICE void weigh(const uint16_t *values, int pitch, int cell, int column0, int pairs,
                      const uint32_t w[F::MT][4], Sums<F> *u)
{
    int lane = (int)threadIdx.x % WARP, x = lane % 8, mine = lane / 16 ^ x;
    const uint16_t *row = values + (cell + lane / 8 % 2 * 8 + x) * pitch + (FULL ? column0 : 0);
#pragma unroll
    for (int c = 0; c < 8; c++) {
        if (!FULL && c >= pairs) break;
        int place = FULL ? ((2 * (c % 4)) ^ mine) * 8 + c / 4 * 64 : ((column0 / 8 + 2 * c) ^ mine) * 8;
        uint32_t b[4];
        ldmatrix_x4_trans(b, row + place);
#pragma unroll
        for (int m = 0; m < F::MT; m++) {
            mma_m16n8k16(u->o[m][2 * c], w[m], b);
            mma_m16n8k16(u->o[m][2 * c + 1], w[m], b + 2);
        }
    }
}

template <class F, bool FULL>
ENG_DEVICE void weigh_all(const EngCuAttn &a, const Room &r, const uint16_t *values, int pitch,
                          int row0, int column0, int pairs, Sums<F> *u)
{
    int lane = (int)threadIdx.x % WARP;
    if constexpr (F::WC == 1) {
#pragma unroll
        for (int k = 0; k < F::NT / 2; k++) {
            uint32_t w[F::MT][4];
#pragma unroll
            for (int m = 0; m < F::MT; m++)
#pragma unroll
                for (int i = 0; i < 4; i++) {
                    const float *s = &u->s[m][2 * k + i / 2][i % 2 * 2];
                    w[m][i] = floats_to_halves(s[0], s[1]);
                }
            weigh<F, FULL>(values, pitch, 16 * k, column0, pairs, w, u);
        }
    } else {
        int w_pitch = ATTN_WEIGHTS_PITCH(a.cells);
#pragma unroll 1
        for (int cell = 0; cell < a.cells; cell += 16) {
            uint32_t w[F::MT][4];
#pragma unroll
            for (int m = 0; m < F::MT; m++)
                ldmatrix_x4(w[m], r.weights + (row0 + 16 * m + lane % 16) * w_pitch + cell +
                                      lane / 16 * 8);
            weigh<F, FULL>(values, pitch, cell, column0, pairs, w, u);
        }
    }
}

/* ---- the whole ---- */

/* Columns of a warp: `pairs` times 16 from *ret_first on. */
template <class F> ENG_DEVICE int columns_of(int dv, int column, int *ret_first)
{
    int each = ((dv + 15) / 16 + F::WC - 1) / F::WC;
    *ret_first = column * each * 16;
    return max(0, min(each, (dv - *ret_first + 15) / 16));
}

/* Sums of four lanes, and of the warps that share queries, in order. */
template <class F>
ENG_DEVICE void meet_sums(const EngCuAttn &a, const Room &r, int row0, int column, Sums<F> *u)
{
    int lane = (int)threadIdx.x % WARP, row = row0 + lane / 4;
#pragma unroll
    for (int i = 0; i < 2 * F::MT; i++) {
        float *sum = &u->sum[i / 2][i % 2];
        *sum += __shfl_xor_sync(FULL_WARP, *sum, 1);
        *sum += __shfl_xor_sync(FULL_WARP, *sum, 2);
        if (F::WC > 1 && lane % 4 == 0) r.meet[column * a.queries + row + 8 * i] = *sum;
    }
    if (F::WC == 1) return;
    meet_warps<F>();
#pragma unroll
    for (int i = 0; i < 2 * F::MT; i++) {
        float sum = 0;
#pragma unroll
        for (int c = 0; c < F::WC; c++) sum += r.meet[c * a.queries + row + 8 * i];
        u->sum[i / 2][i % 2] = sum;
    }
}

template <class F>
ENG_DEVICE void give(const EngCuAttn &a, const Room &r, int part, int row0, int column,
                     const Sums<F> &u)
{
    const AttnTile &t = *r.tile;
    int lane = (int)threadIdx.x % WARP, first, pairs = columns_of<F>(a.dv, column, &first);
#pragma unroll
    for (int m = 0; m < F::MT; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int query = row0 + 16 * m + 8 * h + lane / 4, d0 = first + lane % 4 * 2;
            if (query >= t.n) continue;
            float *to = attn_result(a, t, query, part), by = 1 / u.sum[m][h];
            if (part >= 0) {
                if (d0 == 0) to[-2] = u.most[m][h] * a.scale, to[-1] = u.sum[m][h];
                by = 1;
            }
            bool both = ((uintptr_t)to & 7) == 0 && a.dv % 2 == 0;
#pragma unroll
            for (int n = 0; n < 16; n++) {
                int d = d0 + 8 * n;
                if (n >= 2 * pairs || d >= a.dv) break;
                float x = u.o[m][n][2 * h] * by, y = u.o[m][n][2 * h + 1] * by;
                if (both) {
                    *(float2 *)(to + d) = make_float2(x, y);
                } else {
                    to[d] = x;
                    if (d + 1 < a.dv) to[d + 1] = y;
                }
            }
        }
}

/* The largest scores of all warps that share queries. */
template <class F>
ENG_DEVICE void meet_most(const EngCuAttn &a, const Room &r, int row0, int column,
                          float most[F::MT][2])
{
    int lane = (int)threadIdx.x % WARP, row = row0 + lane / 4;
#pragma unroll
    for (int i = 0; i < 2 * F::MT; i++)
        if (lane % 4 == 0) r.meet[column * a.queries + row + 8 * i] = most[i / 2][i % 2];
    meet_warps<F>();
#pragma unroll
    for (int i = 0; i < 2 * F::MT; i++)
#pragma unroll
        for (int c = 0; c < F::WC; c++)
            most[i / 2][i % 2] = fmaxf(most[i / 2][i % 2], r.meet[c * a.queries + row + 8 * i]);
}

/* Up to F::cells cells of a tile, from its cell `first` on, for warps that have queries. */
template <class F>
ENG_DEVICE void work(const EngCuAttn &a, const Room &r, int at, int first, const uint16_t *keys,
                     Sums<F> *u)
{
    int row0, column, column0;
    place_of<F>(&row0, &column);
    int each = F::WC == 1 ? 8 * F::NT : max(8, a.cells / F::WC), cell0 = first + column * each;
    bool by_twos = F::WC > 1 && F::MT > 1 && a.cells == F::cells, scores = cell0 < a.cells;
    float most[F::MT][2];
    if (by_twos) {
        cell0 = column % 2 * 32 + column / 2 * 16;
        score_by_twos<F>(a, r, keys, row0, column % 2 * 32, column / 2, u);
    } else if (F::WC > 1 && !scores) {
        score<F, 0>(a, r, keys, row0, 0, u);
    } else if (F::WC > 1 && each < 8 * F::NT) {
        score<F, F::NT / 2>(a, r, keys, row0, cell0, u);
    } else if (F::WC == 1 || F::MT == 1) {
        score<F, F::NT>(a, r, keys, row0, cell0, u);
    }
    if (scores && at + a.cells > r.tile->all) hide<F>(r, at, row0, cell0, u);
    largest<F>(*u, most);
    if (F::WC > 1) meet_most<F>(a, r, row0, column, most);
    soften<F>(a.scale * 1.44269504f, most, u);
    if (F::WC > 1 && scores) give_weights<F>(a, r, row0, cell0, each / 8, *u);
    meet_warps<F>();
    int pairs = columns_of<F>(a.dv, column, &column0);
    const uint16_t *values = r.v_pitch ? keys + a.cells * r.k_pitch : keys;
    int pitch = r.v_pitch ? r.v_pitch : r.k_pitch;
    if (pairs == 8)
        weigh_all<F, true>(a, r, values + first * pitch, pitch, row0, column0, pairs, u);
    else
        weigh_all<F, false>(a, r, values + first * pitch, pitch, row0, column0, pairs, u);
}

template <int KIND, class F>
ENG_DEVICE void attend(const EngCuAttn &a, const AttnTile &t, int part, const Room &r)
{
    constexpr bool raw = KIND == ENG_CU_KV_Q8_0;
    int row0, column, to = t.to, stage = 0, thread = (int)threadIdx.x;
    place_of<F>(&row0, &column);
    bool busy = row0 < t.n;
    Sums<F> u = {};
#pragma unroll
    for (int i = 0; i < 2 * F::MT; i++) u.most[i / 2][i % 2] = -INFINITY;
    __syncthreads(); /* nobody needs what was there before */
    if (thread == 0) *r.tile = t;
    for (int q = thread; q < a.queries; q += F::threads) {
        int token = t.row0 + q / t.heads, head = t.head0 + q % t.heads;
        bool is = q < t.n;
        r.query[q] = is ? a.q.data + (size_t)token * a.q.row + (size_t)head * a.q.stride : nullptr;
        r.seen[q] = is ? min(a.tokens[token].position + 1, to) : 0;
    }
    __syncthreads();
    load<KIND, F>(a, r, t.from, 0);
    load_queries<F>(a, r);
#pragma unroll 1
    for (int at = t.from; at < to; at += a.cells) {
        int next = at + a.cells;
        cp_async_wait<0>();
        __syncthreads();
        if (raw) {
            unpack<F>(a, r, at);
            __syncthreads();
        }
        if (next < to && (raw || a.stages > 1)) load<KIND, F>(a, r, next, 1 - stage);
#pragma unroll 1
        for (int first = 0; first < (F::WC > 1 ? 1 : a.cells); first += F::cells)
            if (busy) work<F>(a, r, at, first, r.tiles + stage * r.stage, &u);
        if (!raw && a.stages > 1) {
            stage = 1 - stage;
        } else if (!raw && next < to) {
            __syncthreads();
            load<KIND, F>(a, r, next, 0);
        }
    }
    if (!busy) return;
    meet_sums<F>(a, r, row0, column, &u);
    give<F>(a, r, part, row0, column, u);
}

#define KERNEL(name, F, KIND, threads, blocks)                                                     \
    ENG_KERNEL_BOUNDS(threads, blocks, name, EngCuAttn a)                                          \
    {                                                                                              \
        DYN_SHARED(unsigned char, memory);                                                         \
        Room room = room_of<KIND, F>(a, memory);                                                   \
        attn_walk<KIND>(a, a.queries,                                                              \
                        [&](const AttnTile &t, int part) { attend<KIND, F>(a, t, part, room); });  \
    }
#define KERNELS(form, KIND)                                                                        \
    KERNEL(attn_few_##form, Few, KIND, ATTN_FEW_THREADS, 3)                                        \
    KERNEL(attn_wide_##form, Wide, KIND, ATTN_WIDE_THREADS, 1)                                     \
    KERNEL(attn_tall_##form, Tall, KIND, ATTN_TALL_THREADS, 2)
KERNELS(f16, ENG_CU_KV_F16)
KERNELS(q8_0, ENG_CU_KV_Q8_0)
