/* Attention over the KV cache with an online softmax (FlashAttention, arXiv 2205.14135), for decode
 * cut along the past (flash decoding) and for prefill cut along tokens: one body, which takes up to
 * 32 queries that share a KV head through a stretch of cells, 64 at a time. In decode the queries are
 * the heads of one token, in prefill heads and neighbouring tokens of one session; so a cell's
 * numbers are read once for all of them, which decides at MLA's 128 heads on one.
 *
 * Everything is in floats. On the cards that this is for, floats run at half the tensor cores' speed
 * with float sums, and to be exact those would need each number in two halves.
 *
 * Scores: keys and queries pass through shared memory in chunks of 64 numbers as floats; a thread
 * sums 4 queries by 1 or 2 cells (6 reads of 16 bytes for 32 sums; queries are broadcasts). With
 * fewer queries several lanes share a cell's numbers, so that no warp idles. What is fetched for
 * the next chunk is on its way meanwhile. Rows are 4 floats longer than their numbers: eight lanes
 * that read 16 bytes of eight rows then meet all banks once.
 *
 * Values: a thread keeps 4 numbers of 16 queries' sums in registers and reads values straight from
 * global memory, each read once by one thread per 16 queries; weights are broadcasts. Where fewer
 * than all threads suffice for that, the others take other cells, and sums meet at the end, in
 * order. */
#include "cache.cuh"

enum {
    QUERIES = ENG_CU_ATTN_QUERIES,
    CELLS = 64,
    CHUNK = 64,
    THREADS = 256,
    ROW = CHUNK + 4,
    P_ROW = QUERIES + 4,
    ROOM = (CELLS + QUERIES) * ROW + CELLS * P_ROW
};

/* Query r is head head0 + r % heads of token row0 + r / heads. */
struct Tile {
    int row0, heads, head0, n, from, to;
    const uint8_t *keys, *values; /* of the KV head, cell 0 */
    size_t k_row, v_row;
    bool wide;
};

/* Shared memory. `keys` and the two behind it serve again for the meeting of sums. The tile lies
 * here because registers are what is short. */
struct Room {
    float keys[CELLS * ROW], queries[QUERIES * ROW], weights[CELLS * P_ROW];
    float keep[QUERIES], sum[QUERIES], most[QUERIES];
    int seen[QUERIES];           /* a query sees cells 0 … seen - 1 */
    const float *query[QUERIES]; /* NULL: there is none */
    Tile tile;
};

template <int KIND>
ENG_DEVICE Tile tile_of(const EngCuAttn &a, int row0, int tokens, int head_tile)
{
    const EngCuRow &t = a.tokens[row0];
    int group = a.q.heads / a.n_kv, tiles = (group + QUERIES - 1) / QUERIES;
    int heads = (group + tiles - 1) / tiles, kv_head = head_tile / tiles;
    int first = head_tile % tiles * heads;
    Tile tile;
    tile.row0 = row0;
    tile.heads = max(0, min(heads, group - first));
    tile.head0 = kv_head * group + first;
    tile.n = tokens * tile.heads;
    tile.from = tile.to = 0;
    tile.k_row = cache_part<KIND>(a.k_width);
    tile.keys = cache_keys<KIND>(t, a.layer) + cache_part<KIND>(kv_head * a.dk);
    tile.v_row = tile.k_row;
    tile.values = tile.keys;
    if (a.v_width > 0) {
        tile.v_row = cache_part<KIND>(a.v_width);
        tile.values = cache_values<KIND>(t, a.layer, a.k_width) + cache_part<KIND>(kv_head * a.dv);
    }
    tile.wide = ((a.k_width | a.v_width | a.dk | a.dv) & 3) == 0;
    return tile;
}

/* ---- scores ---- */

/* A thread's share of a chunk: 4 numbers of 4 cells and of 2 queries. */
template <int KIND> struct Fetched {
    Raw<KIND> key[4];
    float query[2][4];
};

template <int KIND>
ENG_DEVICE void fetch(const EngCuAttn &a, const Room *room, int at, int d, Fetched<KIND> *f)
{
    const Tile &t = room->tile;
    int i = d + (int)threadIdx.x % 16 * 4, row = (int)threadIdx.x / 16;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        int cell = at + row + 16 * j;
        f->key[j] = cache_fetch<KIND>(t.keys + (size_t)cell * t.k_row, i,
                                      cell < t.to ? a.dk : 0, t.wide);
    }
#pragma unroll
    for (int j = 0; j < 2; j++) {
        const float *query = room->query[row + 16 * j];
#pragma unroll
        for (int k = 0; k < 4; k++)
            f->query[j][k] = query && i + k < a.dk ? query[i + k] : 0.0f;
    }
}

template <int KIND> ENG_DEVICE void put(const Fetched<KIND> &f, Room *room)
{
    int i = (int)threadIdx.x % 16 * 4, row = (int)threadIdx.x / 16;
#pragma unroll
    for (int j = 0; j < 4; j++)
        *(float4 *)&room->keys[(row + 16 * j) * ROW + i] = cache_numbers<KIND>(f.key[j]);
#pragma unroll
    for (int j = 0; j < 2; j++)
        *(float4 *)&room->queries[(row + 16 * j) * ROW + i] =
            make_float4(f.query[j][0], f.query[j][1], f.query[j][2], f.query[j][3]);
}

/* Whose scores a thread sums: queries 4 quad …, cell and, with `two`, cell + 32, over numbers d0 …
 * d0 + d_n - 1 of each chunk. `lanes` lanes apart is the next that shares the cell. */
struct Place {
    int quad, cell, d0, d_n, lanes;
    bool two;
};

/* Found anew for every 64 cells, by shifts: cheaper than the registers that would keep it. */
ENG_DEVICE Place place_of(int n)
{
    int warp = (int)threadIdx.x / WARP, lane = (int)threadIdx.x % WARP;
    int share = n > 16 ? 0 : n > 8 ? 1 : n > 4 ? 2 : 3; /* 1 << share warps have the same queries */
    int cells = CELLS >> share, lanes = share == 0 ? 5 : 6 - share;
    Place p;
    p.lanes = 1 << lanes;
    p.quad = warp >> share;
    p.cell = (warp & ((1 << share) - 1)) * cells + (lane & (p.lanes - 1));
    p.d_n = CHUNK >> (5 - lanes);
    p.d0 = (lane >> lanes) * p.d_n;
    p.two = share == 0;
    return p;
}

ENG_DEVICE float add_dot(float sum, float4 a, float4 b)
{
    return sum + a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
}

template <int COUNT> ENG_DEVICE void dots(const Room *room, const Place &p, float s[2][4])
{
    const float *key = room->keys + p.cell * ROW + p.d0;
    const float *query = room->queries + 4 * p.quad * ROW + p.d0;
#pragma unroll 1
    for (int d = 0; d < p.d_n; d += 4) {
        float4 k[COUNT];
#pragma unroll
        for (int c = 0; c < COUNT; c++)
            k[c] = *(const float4 *)&key[c * WARP * ROW + d];
#pragma unroll
        for (int j = 0; j < 4; j++) {
            float4 q = *(const float4 *)&query[j * ROW + d];
#pragma unroll
            for (int c = 0; c < COUNT; c++)
                s[c][j] = add_dot(s[c][j], q, k[c]);
        }
    }
}

/* Scores of cells at … into room->weights. */
template <int KIND>
ENG_DEVICE void score(const EngCuAttn &a, int at, Room *room)
{
    Place p = place_of(room->tile.n);
    Fetched<KIND> f;
    fetch<KIND>(a, room, at, 0, &f);
    float s[2][4] = {};
    for (int d = 0; d < a.dk; d += CHUNK) {
        __syncthreads();
        put<KIND>(f, room);
        __syncthreads();
        if (d + CHUNK < a.dk) fetch<KIND>(a, room, at, d + CHUNK, &f);
        if (p.two)
            dots<2>(room, p, s);
        else
            dots<1>(room, p, s);
    }
    for (int step = p.lanes; step < WARP; step *= 2)
#pragma unroll
        for (int j = 0; j < 4; j++)
            s[0][j] += __shfl_xor_sync(FULL_WARP, s[0][j], step);
    float *to = room->weights + p.cell * P_ROW + 4 * p.quad;
    if (p.d0 == 0) *(float4 *)to = make_float4(s[0][0], s[0][1], s[0][2], s[0][3]);
    if (p.two) *(float4 *)&to[WARP * P_ROW] = make_float4(s[1][0], s[1][1], s[1][2], s[1][3]);
    __syncthreads();
}

/* ---- softmax ---- */

/* Eight lanes per query. Returns the lane's own part of the sum, carried on from `sum`. */
ENG_DEVICE float soften(const EngCuAttn &a, int at, float sum, Room *room)
{
    int r = (int)threadIdx.x / 8, part = (int)threadIdx.x % 8, seen = room->seen[r] - at;
    if ((int)threadIdx.x / WARP * 4 >= room->tile.n) return 0;
    float *s = room->weights + r, score[CELLS / 8], before = room->most[r], most = before;
#pragma unroll
    for (int i = 0; i < CELLS / 8; i++) {
        int cell = 8 * i + part;
        score[i] = cell < seen ? s[cell * P_ROW] * a.scale : -INFINITY;
        most = fmaxf(most, score[i]);
    }
#pragma unroll
    for (int step = 4; step > 0; step /= 2)
        most = fmaxf(most, __shfl_xor_sync(FULL_WARP, most, step));
    float from = most == -INFINITY ? 0.0f : most, keep = expf(before - from);
    sum *= keep;
#pragma unroll
    for (int i = 0; i < CELLS / 8; i++) {
        float weight = expf(score[i] - from);
        s[(8 * i + part) * P_ROW] = weight;
        sum += weight;
    }
    if (part == 0) room->keep[r] = keep, room->most[r] = most;
    return sum;
}

/* ---- values ---- */

/* A thread's sums: numbers d … d + 3 of queries query … + 15, over cells `cell`, cell + cells, … */
struct Share {
    int d, query, fours, cell, cells;
};

ENG_DEVICE Share share_of(int n, int dv)
{
    int quads = dv > 256 ? 7 : dv > 128 ? 6 : dv > 64 ? 5 : 4; /* logarithms */
    int queries = n > 16 ? 1 : 0, thread = (int)threadIdx.x;
    Share s;
    s.d = (thread & ((1 << quads) - 1)) * 4;
    s.query = (thread >> quads & queries) * 16;
    s.fours = s.d < dv ? max(0, min(4, (n - s.query + 3) / 4)) : 0;
    s.cell = thread >> (quads + queries);
    s.cells = THREADS >> (quads + queries);
    return s;
}

template <int KIND>
ENG_DEVICE void weigh(const EngCuAttn &a, int at, const Room *room, float o[16][4])
{
    const Tile &t = room->tile;
    Share s = share_of(t.n, a.dv);
    if (s.fours == 0) return;
#pragma unroll
    for (int r = 0; r < 16; r++) {
        if (r / 4 >= s.fours) break;
        float keep = s.query + r < t.n ? room->keep[s.query + r] : 0.0f;
#pragma unroll
        for (int i = 0; i < 4; i++)
            o[r][i] *= keep;
    }
    int n = min(CELLS, t.to - at);
    for (int first = s.cell; first < n; first += 4 * s.cells) {
        Raw<KIND> raw[4];
#pragma unroll
        for (int u = 0; u < 4; u++) {
            int cell = first + u * s.cells;
            raw[u] = cache_fetch<KIND>(t.values + (size_t)(at + cell) * t.v_row, s.d,
                                       cell < n ? a.dv : 0, t.wide);
        }
#pragma unroll
        for (int u = 0; u < 4; u++) {
            int cell = first + u * s.cells;
            if (cell >= n) break;
            float4 v = cache_numbers<KIND>(raw[u]);
            const float *weights = room->weights + cell * P_ROW + s.query;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                if (j >= s.fours) break;
                float4 p = *(const float4 *)&weights[4 * j];
                float weight[4] = {p.x, p.y, p.z, p.w};
#pragma unroll
                for (int k = 0; k < 4; k++) {
                    o[4 * j + k][0] += weight[k] * v.x;
                    o[4 * j + k][1] += weight[k] * v.y;
                    o[4 * j + k][2] += weight[k] * v.z;
                    o[4 * j + k][3] += weight[k] * v.w;
                }
            }
        }
    }
}

/* Sums over other cells come to the first threads, in order. At most 32 * 256 or 16 * 512 floats
 * lie in the room at a time. */
ENG_DEVICE void meet(int dv, Room *room, float o[16][4])
{
    Share s = share_of(room->tile.n, dv);
    for (int other = 1; other < s.cells; other++) {
        __syncthreads();
#pragma unroll
        for (int r = 0; r < 16; r++) {
            float *at = room->keys + (s.query + r) * dv + s.d;
            if (r / 4 >= s.fours) break;
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (s.cell == other && s.d + i < dv) at[i] = o[r][i];
        }
        __syncthreads();
#pragma unroll
        for (int r = 0; r < 16; r++) {
            const float *at = room->keys + (s.query + r) * dv + s.d;
            if (r / 4 >= s.fours) break;
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (s.cell == 0 && s.d + i < dv) o[r][i] += at[i];
        }
    }
}

/* ---- the whole ---- */

ENG_DEVICE void give(const EngCuAttn &a, int part, const Room *room, const float o[16][4])
{
    const Tile &t = room->tile;
    Share s = share_of(t.n, a.dv);
    if (s.cell != 0) return;
#pragma unroll
    for (int r = 0; r < 16; r++) {
        int query = s.query + r;
        if (r / 4 >= s.fours || query >= t.n) break;
        size_t token = (size_t)(t.row0 + query / t.heads), head = t.head0 + query % t.heads;
        float sum = room->sum[query], *to;
        if (part < 0) {
            to = a.dst.data + token * a.dst.row + head * a.dst.stride;
        } else {
            to = a.partial + ((token * a.q.heads + head) * a.parts + part) * (a.dv + 2);
            if (s.d == 0) to[0] = room->most[query], to[1] = sum;
            to += 2;
            sum = 1;
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (s.d + i < a.dv) to[s.d + i] = o[r][i] / sum;
    }
}

/* part < 0: the whole past, into dst. */
template <int KIND>
ENG_DEVICE void attend(const EngCuAttn &a, const Tile &tile, int part, Room *room)
{
    int mine = (int)threadIdx.x / 8, from = tile.from, to = tile.to;
    size_t token = (size_t)(tile.row0 + mine / tile.heads), head = tile.head0 + mine % tile.heads;
    float sum = 0, o[16][4] = {};
    __syncthreads();
    if (threadIdx.x % 8 == 0) {
        bool is = mine < tile.n;
        room->query[mine] = is ? a.q.data + token * a.q.row + head * a.q.stride : NULL;
        room->seen[mine] = is ? min(a.tokens[token].position + 1, to) : 0;
        room->most[mine] = -INFINITY;
    }
    if (threadIdx.x == 0) room->tile = tile;
    __syncthreads();
    for (int at = from; at < to; at += CELLS) {
        score<KIND>(a, at, room);
        sum = soften(a, at, sum, room);
        __syncthreads();
        weigh<KIND>(a, at, room, o);
    }
#pragma unroll
    for (int step = 4; step > 0; step /= 2)
        sum += __shfl_xor_sync(FULL_WARP, sum, step);
    if (threadIdx.x % 8 == 0) room->sum[mine] = sum;
    meet(a.dv, room, o);
    __syncthreads();
    give(a, part, room, o);
}

/* Grid: parts, tiles of heads, tokens. A part is a whole number of tiles of cells, so short pasts
 * leave parts empty: those say so by sum 0 alone. */
template <int KIND> ENG_DEVICE void split(const EngCuAttn &a, Room *room)
{
    int part = (int)blockIdx.x, row = (int)blockIdx.z;
    Tile t = tile_of<KIND>(a, row, 1, (int)blockIdx.y);
    int past = a.tokens[row].position + 1, tiles = (past + CELLS - 1) / CELLS;
    int length = (tiles + a.parts - 1) / a.parts * CELLS;
    t.from = min(part * length, past);
    t.to = min(t.from + length, past);
    if (t.from < t.to) {
        attend<KIND>(a, t, part, room);
    } else if ((int)threadIdx.x < t.n) {
        size_t head = (size_t)t.head0 + threadIdx.x;
        float *to = a.partial + (((size_t)row * a.q.heads + head) * a.parts + part) * (a.dv + 2);
        to[0] = -INFINITY;
        to[1] = 0;
    }
}

/* Grid: tiles of tokens, the last ones, which have the most to do, first; tiles of heads. A tile's
 * tokens are taken session by session. */
template <int KIND> ENG_DEVICE void many(const EngCuAttn &a, Room *room)
{
    int group = a.q.heads / a.n_kv, tiles = (group + QUERIES - 1) / QUERIES;
    int tokens = QUERIES / ((group + tiles - 1) / tiles);
    int row = (int)(gridDim.x - 1 - blockIdx.x) * tokens, end = min(row + tokens, a.rows);
    while (row < end) {
        const uint8_t *session = a.tokens[row].kv;
        int n = 0, past = 0;
        for (; row + n < end && a.tokens[row + n].kv == session; n++)
            past = max(past, a.tokens[row + n].position + 1);
        Tile t = tile_of<KIND>(a, row, n, (int)blockIdx.y);
        t.to = past;
        if (t.n > 0) attend<KIND>(a, t, -1, room);
        row += n;
    }
}

#define KERNELS(form, KIND)                                                                        \
    ENG_KERNEL_BOUNDS(256, 2, attn_split_##form, EngCuAttn a)                                      \
    {                                                                                              \
        __shared__ __align__(16) Room room;                                                        \
        split<KIND>(a, &room);                                                                     \
    }                                                                                              \
    ENG_KERNEL_BOUNDS(256, 2, attn_many_##form, EngCuAttn a)                                       \
    {                                                                                              \
        __shared__ __align__(16) Room room;                                                        \
        many<KIND>(a, &room);                                                                      \
    }
KERNELS(f16, ENG_CU_KV_F16)
KERNELS(f32, ENG_CU_KV_F32)
KERNELS(q8_0, ENG_CU_KV_Q8_0)

/* A block per token and head. To the softmax a part is what a cell is: its largest score is the
 * score, what it summed the value. */
ENG_KERNEL_BOUNDS(128, 1, attn_merge, EngCuAttn a)
{
    size_t token = blockIdx.x / a.q.heads, head = blockIdx.x % a.q.heads;
    const float *part = a.partial + (size_t)blockIdx.x * a.parts * (a.dv + 2);
    float *to = a.dst.data + token * a.dst.row + head * a.dst.stride;
    __shared__ float weight[ENG_CU_ATTN_PARTS];
    float most = -INFINITY, sum = 0;
    for (int p = 0; p < a.parts; p++)
        most = fmaxf(most, part[(size_t)p * (a.dv + 2)]);
    float from = most == -INFINITY ? 0.0f : most;
    for (int p = 0; p < a.parts; p++) {
        const float *one = part + (size_t)p * (a.dv + 2);
        float w = one[1] == 0.0f ? 0.0f : expf(one[0] - from);
        sum += w * one[1];
        if ((int)threadIdx.x == p % (int)blockDim.x) weight[p] = one[1] == 0.0f ? 0.0f : w;
    }
    __syncthreads();
    for (int d = (int)threadIdx.x; d < a.dv; d += (int)blockDim.x) {
        float o = 0;
        for (int p = 0; p < a.parts; p++) /* an empty part's numbers were never written */
            if (part[(size_t)p * (a.dv + 2) + 1] != 0.0f)
                o += weight[p] * part[(size_t)p * (a.dv + 2) + 2 + d];
        to[d] = o / sum;
    }
}
