/* Attention on tensor cores (attn_mma.cu): its forms of a block, how shared memory is laid out for
 * them, and what comes there from memory. Piece p (8 halves) of row r of keys, values and queries
 * lies at place p ^ r % 8, so that eight rows of an ldmatrix meet all banks once. */
#ifndef ENG_CUDA_KERNELS_ATTN_LOAD_CUH
#define ENG_CUDA_KERNELS_ATTN_LOAD_CUH

#include "attn.cuh"

/* MT times 16 queries per warp, WM warps along queries, WC that share these. */
template <int MT_, int WM_, int WC_> struct Form {
    static constexpr int MT = MT_, WM = WM_, WC = WC_;
    static constexpr int threads = WARP * WM * WC, rows = 16 * MT;
    static constexpr int NT = WC > 1 ? ATTN_CELLS / 8 / WC : 4; /* times 8 cells per warp at once */
    static constexpr int cells = 8 * NT * WC;
};
using Few = Form<1, 1, ATTN_COLUMN_WARPS>;
using Wide = Form<2, 2, ATTN_COLUMN_WARPS>;
using Tall = Form<2, 4, 1>;
static_assert(Few::threads == ATTN_FEW_THREADS && Wide::threads == ATTN_WIDE_THREADS &&
                  Tall::threads == ATTN_TALL_THREADS,
              "the launch's");

/* Dynamic shared memory, in this order. */
struct Room {
    AttnTile *tile;  /* here because registers are what is short */
    uint16_t *tiles; /* [stages][keys [cells][k_pitch], values [cells][v_pitch]] */
    uint8_t *raw;    /* q8_0: [cells] rows of keys, then of values */
    uint16_t *queries, *weights;
    const float **query; /* [queries], NULL: there is none */
    float *meet;         /* [WC][queries] */
    int *seen;           /* [queries] it sees cells 0 … seen - 1 */
    int k_pitch, v_pitch, stage, k_raw;
};

template <int KIND, class F>
ENG_DEVICE Room room_of(const EngCuAttn &a, unsigned char *memory)
{
    Room r;
    bool apart = a.v_width > 0;
    r.k_pitch = ATTN_PITCH(a.dk), r.v_pitch = apart ? ATTN_PITCH(a.dv) : 0;
    r.stage = a.cells * (r.k_pitch + r.v_pitch);
    r.k_raw = a.cells * ATTN_RAW_PITCH(a.dk);
    static_assert(sizeof(AttnTile) <= ATTN_TILE_BYTES, "the launch's");
    r.tile = (AttnTile *)memory;
    r.tiles = (uint16_t *)(memory + ATTN_TILE_BYTES);
    r.raw = memory + ATTN_TILE_BYTES + 2 * a.stages * r.stage;
    r.queries = (uint16_t *)r.raw;
    if (KIND == ENG_CU_KV_Q8_0)
        r.queries += (r.k_raw + (apart ? a.cells * ATTN_RAW_PITCH(a.dv) : 0)) / 2;
    r.weights = r.queries + a.queries * r.k_pitch;
    r.query = (const float **)(r.weights +
                               (F::WC > 1 ? a.queries * ATTN_WEIGHTS_PITCH(a.cells) : 0));
    r.seen = (int *)(r.query + a.queries);
    r.meet = (float *)(r.seen + a.queries);
    return r;
}

/* A warp's place: rows of queries row0 …, 1 of WC `column`. The warps that are left when there are
 * few cells or few queries are of different quarters of the multiprocessor. */
template <class F> ENG_DEVICE void place_of(int *row0, int *column)
{
    int warp = (int)threadIdx.x / WARP;
    *row0 = warp / F::WC * F::rows;
    *column = (warp % F::WC) ^ (F::WC > 1 ? warp / F::WC * 2 : 0);
}

/* The warps that share queries meet; others go their own way between two tiles, so that some can
 * multiply while others soften. */
template <class F> ENG_DEVICE void meet_warps()
{
    static_assert(F::WC == 1 || F::WM <= 2, "as many barriers");
    if (F::WC > 1 && F::WM > 1)
        sync_some((int)threadIdx.x / WARP / F::WC, WARP * F::WC);
    else if (F::WC > 1)
        __syncthreads();
}

/* ---- what comes from memory ---- */

/* Goes over [rows][pieces] by all threads. */
struct Walk {
    int row, piece, pieces, down, right;
};
ENG_DEVICE Walk walk_of(int pieces, int threads)
{
    float share = 1.0f / (float)pieces; /* exact enough to divide what is less than 2^11 */
    int thread = (int)threadIdx.x, row = (int)(((float)thread + 0.5f) * share);
    int down = (int)(((float)threads + 0.5f) * share);
    return {row, thread - row * pieces, pieces, down, threads - down * pieces};
}
ENG_DEVICE void step(Walk *w)
{
    w->row += w->down, w->piece += w->right;
    if (w->piece >= w->pieces) w->piece -= w->pieces, w->row++;
}

ENG_DEVICE int piece_place(int row, int piece) { return (piece ^ (row & 7)) * 8; }

/* Rows of f16, `there` of them; the others and what is behind a row's n numbers up to a multiple of
 * 16 are zeros. */
ENG_DEVICE void load_f16(uint16_t *to, int pitch, const uint8_t *from, size_t row_bytes, int n,
                         int cells, int there, int threads)
{
    for (Walk w = walk_of((n + 15) / 16 * 2, threads); w.row < cells; step(&w)) {
        bool is = w.row < there && 8 * w.piece < n;
        cp_async16(to + w.row * pitch + piece_place(w.row, w.piece),
                   is ? from + (size_t)w.row * row_bytes + 16 * w.piece : from, is ? 16 : 0);
    }
}

/* The same where rows are not aligned to 16 bytes. */
ENG_DEVICE void load_f16_odd(uint16_t *to, int pitch, const uint8_t *from, size_t row_bytes, int n,
                             int cells, int there, int threads)
{
#pragma unroll 1
    for (Walk w = walk_of((n + 15) / 16 * 2, threads); w.row < cells; step(&w)) {
        uint16_t *at = to + w.row * pitch + piece_place(w.row, w.piece);
        const uint16_t *row = (const uint16_t *)(from + (size_t)w.row * row_bytes) + 8 * w.piece;
        int left = w.row < there ? n - 8 * w.piece : 0;
        for (int i = 0; i < 8; i++) at[i] = i < left ? row[i] : (uint16_t)0;
    }
}

/* Rows of q8_0 as they lie there, each moved by its address modulo 16. */
ENG_DEVICE void load_q8(uint8_t *to, const uint8_t *from, size_t row_bytes, int n, int there,
                        int threads)
{
    int pitch = ATTN_RAW_PITCH(n), bytes = n / Q8_BLOCK * Q8_BYTES;
    for (Walk w = walk_of(pitch / 16, threads); w.row < there; step(&w)) {
        const uint8_t *row = from + (size_t)w.row * row_bytes;
        int shift = (int)((uintptr_t)row & 15), left = shift + bytes - 16 * w.piece;
        if (left > 0)
            cp_async16(to + w.row * pitch + 16 * w.piece, row - shift + 16 * w.piece,
                       min(left, 16));
    }
}

/* Four numbers of q8_0 times their scale: exact as 1024 + 128 + number, rounded once. */
ENG_DEVICE uint2 q8_halves(uint32_t q, half2 scale)
{
    q ^= 0x80808080u;
    uint32_t pair[2] = {__byte_perm(q, 0x64646464u, 0x4140), __byte_perm(q, 0x64646464u, 0x4342)};
    half2 offset = __float2half2_rn(1152.0f);
    uint2 ret;
    half2 low = __hmul2(__hsub2(*(half2 *)&pair[0], offset), scale);
    half2 high = __hmul2(__hsub2(*(half2 *)&pair[1], offset), scale);
    ret.x = *(uint32_t *)&low, ret.y = *(uint32_t *)&high;
    return ret;
}

/* What load_q8 brought, a block of 32 numbers per thread. */
ENG_DEVICE void unpack_q8(uint16_t *to, int pitch, const uint8_t *raw, const uint8_t *from,
                          size_t row_bytes, int n, int cells, int there, int threads)
{
    int raw_pitch = ATTN_RAW_PITCH(n);
#pragma unroll 1
    for (Walk w = walk_of(n / Q8_BLOCK, threads); w.row < cells; step(&w)) {
        uint16_t *row = to + w.row * pitch;
        uint32_t words[9];
        int shift = (int)(((uint32_t)(uintptr_t)from + (uint32_t)w.row * (uint32_t)row_bytes) & 15);
        int at = w.row * raw_pitch + shift + w.piece * Q8_BYTES;
        bool odd = at & 2, is = w.row < there;
#pragma unroll
        for (int i = 0; i < 9; i++)
            words[i] = is ? ((const uint32_t *)(raw + (at & ~3)))[i] : 0;
        half2 scale = __half2half2(__ushort_as_half((uint16_t)(odd ? words[0] >> 16 : words[0])));
#pragma unroll
        for (int p = 0; p < 4; p++) {
            uint2 halves[2];
#pragma unroll
            for (int i = 0; i < 2; i++) {
                uint32_t low = words[2 * p + i], high = words[2 * p + i + 1];
                halves[i] = q8_halves(odd ? high : __funnelshift_r(low, high, 16), scale);
            }
            *(uint4 *)(row + piece_place(w.row, 4 * w.piece + p)) =
                is ? make_uint4(halves[0].x, halves[0].y, halves[1].x, halves[1].y)
                   : make_uint4(0, 0, 0, 0);
        }
    }
}

/* Cells at … of a tile on their way. */
template <int KIND, class F>
ENG_DEVICE void load(const EngCuAttn &a, const Room &r, int at, int stage)
{
    const AttnTile &t = *r.tile;
    const uint8_t *keys = t.keys + (size_t)at * t.k_row, *values = t.values + (size_t)at * t.v_row;
    int there = min(a.cells, t.to - at);
    if (KIND == ENG_CU_KV_Q8_0) {
        load_q8(r.raw, keys, t.k_row, a.dk, there, F::threads);
        if (r.v_pitch) load_q8(r.raw + r.k_raw, values, t.v_row, a.dv, there, F::threads);
    } else {
        uint16_t *to = r.tiles + stage * r.stage, *v_to = to + a.cells * r.k_pitch;
        if (((a.k_width | a.v_width | a.dk | a.dv) & 7) == 0) {
            load_f16(to, r.k_pitch, keys, t.k_row, a.dk, a.cells, there, F::threads);
            if (r.v_pitch)
                load_f16(v_to, r.v_pitch, values, t.v_row, a.dv, a.cells, there, F::threads);
        } else {
            load_f16_odd(to, r.k_pitch, keys, t.k_row, a.dk, a.cells, there, F::threads);
            if (r.v_pitch)
                load_f16_odd(v_to, r.v_pitch, values, t.v_row, a.dv, a.cells, there, F::threads);
        }
    }
    cp_async_commit();
}

template <class F>
ENG_DEVICE void unpack(const EngCuAttn &a, const Room &r, int at)
{
    const AttnTile &t = *r.tile;
    const uint8_t *keys = t.keys + (size_t)at * t.k_row, *values = t.values + (size_t)at * t.v_row;
    int there = min(a.cells, t.to - at);
    unpack_q8(r.tiles, r.k_pitch, r.raw, keys, t.k_row, a.dk, a.cells, there, F::threads);
    if (r.v_pitch)
        unpack_q8(r.tiles + a.cells * r.k_pitch, r.v_pitch, r.raw + r.k_raw, values, t.v_row, a.dv,
                  a.cells, there, F::threads);
}

/* Two floats as halves, the first in the low bits; what is too large becomes infinite. */
ENG_DEVICE uint32_t to_halves(float low, float high)
{
    return float_to_half_bits(low) | (uint32_t)float_to_half_bits(high) << 16;
}

ENG_DEVICE void put_query(const Room &r, const Walk &w, float4 low, float4 high)
{
    *(uint4 *)(r.queries + w.row * r.k_pitch + piece_place(w.row, w.piece)) =
        make_uint4(to_halves(low.x, low.y), to_halves(low.z, low.w), to_halves(high.x, high.y),
                   to_halves(high.z, high.w));
}

/* Eight numbers at a time, and several of those under way at once. */
template <class F> ENG_DEVICE void load_queries(const EngCuAttn &a, const Room &r)
{
    constexpr int AHEAD = F::MT > 1 ? 6 : 4;
    Walk w = walk_of((a.dk + 15) / 16 * 2, F::threads);
    if ((((a.q.row | a.q.stride | a.dk) & 3) | ((uintptr_t)a.q.data & 15)) == 0) {
        while (w.row < a.queries) {
            Walk begin = w;
            float4 x[AHEAD][2];
#pragma unroll
            for (int u = 0; u < AHEAD; u++, step(&w)) {
                const float *query = w.row < a.queries ? r.query[w.row] : nullptr;
                int left = query ? a.dk - 8 * w.piece : 0;
                const float4 *from = (const float4 *)(query + 8 * w.piece);
                x[u][0] = x[u][1] = make_float4(0, 0, 0, 0);
                if (left > 0) x[u][0] = __ldg(from);
                if (left > 4) x[u][1] = __ldg(from + 1);
            }
#pragma unroll
            for (int u = 0; u < AHEAD; u++, step(&begin))
                if (begin.row < a.queries) put_query(r, begin, x[u][0], x[u][1]);
        }
    } else {
#pragma unroll 1
        for (; w.row < a.queries; step(&w)) {
            const float *query = r.query[w.row];
            float x[8];
#pragma unroll
            for (int i = 0; i < 8; i++)
                x[i] = query && 8 * w.piece + i < a.dk ? query[8 * w.piece + i] : 0.0f;
            put_query(r, w, make_float4(x[0], x[1], x[2], x[3]),
                      make_float4(x[4], x[5], x[6], x[7]));
        }
    }
}

#endif
