/* Attention over an f32 cache, in floats throughout, with an online softmax (FlashAttention, arXiv
 * 2205.14135): up to 32 queries that share a KV head go through cells 64 at a time (attn.cuh). For
 * exactness; attn_mma.cu is many times as fast.
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
#include "attn.cuh"

enum {
    KIND = ENG_CU_KV_F32,
    QUERIES = ATTN_F32_QUERIES,
    CELLS = ATTN_CELLS,
    CHUNK = 64,
    THREADS = ATTN_F32_THREADS,
    ROW = CHUNK + 4,
    P_ROW = QUERIES + 4,
    ROOM = (CELLS + QUERIES) * ROW + CELLS * P_ROW
};

/* Shared memory. `keys` and the two behind it serve again for the meeting of sums. The tile lies
 * here because registers are what is short. */
struct Room {
    float keys[CELLS * ROW], queries[QUERIES * ROW], weights[CELLS * P_ROW];
    float keep[QUERIES], sum[QUERIES], most[QUERIES];
    int seen[QUERIES];           /* a query sees cells 0 … seen - 1 */
    const float *query[QUERIES]; /* NULL: there is none */
    AttnTile tile;
    bool wide;
};

/* ---- scores ---- */

/* A thread's share of a chunk: 4 numbers of 4 cells and of 2 queries. */
struct Fetched {
    Raw<KIND> key[4];
    float query[2][4];
};

ENG_DEVICE void fetch(const EngCuAttn &a, const Room *room, int at, int d, Fetched *f)
{
    const AttnTile &t = room->tile;
    int i = d + (int)threadIdx.x % 16 * 4, row = (int)threadIdx.x / 16;
#pragma unroll
    for (int j = 0; j < 4; j++) {
        int cell = at + row + 16 * j;
        f->key[j] = cache_fetch<KIND>(t.keys + (size_t)cell * t.k_row, i,
                                      cell < t.to ? a.dk : 0, room->wide);
    }
#pragma unroll
    for (int j = 0; j < 2; j++) {
        const float *query = room->query[row + 16 * j];
#pragma unroll
        for (int k = 0; k < 4; k++)
            f->query[j][k] = query && i + k < a.dk ? query[i + k] : 0.0f;
    }
}

ENG_DEVICE void put(const Fetched &f, Room *room)
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
ENG_DEVICE void score(const EngCuAttn &a, int at, Room *room)
{
    Place p = place_of(room->tile.n);
    Fetched f;
    fetch(a, room, at, 0, &f);
    float s[2][4] = {};
    for (int d = 0; d < a.dk; d += CHUNK) {
        __syncthreads();
        put(f, room);
        __syncthreads();
        if (d + CHUNK < a.dk) fetch(a, room, at, d + CHUNK, &f);
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
    __syncwarp(); /* all eight lanes have read what was the most */
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

ENG_DEVICE void weigh(const EngCuAttn &a, int at, const Room *room, float o[16][4])
{
    const AttnTile &t = room->tile;
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
                                       cell < n ? a.dv : 0, room->wide);
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
    const AttnTile &t = room->tile;
    Share s = share_of(t.n, a.dv);
    if (s.cell != 0) return;
#pragma unroll
    for (int r = 0; r < 16; r++) {
        int query = s.query + r;
        if (r / 4 >= s.fours || query >= t.n) break;
        float sum = room->sum[query], *to = attn_result(a, t, query, part);
        if (part >= 0) {
            if (s.d == 0) to[-2] = room->most[query], to[-1] = sum;
            sum = 1;
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (s.d + i < a.dv) to[s.d + i] = o[r][i] / sum;
    }
}

/* part < 0: the whole past, into dst. */
ENG_DEVICE void attend(const EngCuAttn &a, const AttnTile &tile, int part, Room *room)
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
    if (threadIdx.x == 0) {
        room->tile = tile;
        room->wide = ((a.k_width | a.v_width | a.dk | a.dv) & 3) == 0;
    }
    __syncthreads();
    for (int at = from; at < to; at += CELLS) {
        score(a, at, room);
        sum = soften(a, at, sum, room);
        __syncthreads();
        weigh(a, at, room, o);
    }
#pragma unroll
    for (int step = 4; step > 0; step /= 2)
        sum += __shfl_xor_sync(FULL_WARP, sum, step);
    if (threadIdx.x % 8 == 0) room->sum[mine] = sum;
    meet(a.dv, room, o);
    __syncthreads();
    give(a, part, room, o);
}

ENG_KERNEL_BOUNDS(ATTN_F32_THREADS, 1, attn_f32, EngCuAttn a)
{
    __shared__ __align__(16) Room room;
    attn_walk<KIND>(a, QUERIES, [&](const AttnTile &t, int part) { attend(a, t, part, &room); });
}

/* A block per token, head and 128 numbers. To the softmax a part is what a cell is: its largest
 * score is the score, what it summed the value. A thread looks after a part's weight, then after a
 * number, of which it fetches many parts' at once. */
ENG_KERNEL_BOUNDS(ATTN_MERGE_THREADS, 8, attn_merge, EngCuAttn a)
{
    enum { AT_ONCE = 32, WARPS = ATTN_MERGE_THREADS / WARP };
    __shared__ float weights[ATTN_MERGE_THREADS], mosts[WARPS], sums[WARPS];
    static_assert((int)ENG_CU_ATTN_PARTS <= (int)ATTN_MERGE_THREADS, "a thread each");
    size_t token = blockIdx.x / a.q.heads, head = blockIdx.x % a.q.heads, one = a.dv + 2;
    int thread = (int)threadIdx.x, d = (int)blockIdx.y * ATTN_MERGE_THREADS + thread;
    int past = a.tokens[token].position + 1, length = attn_part_length(a, past);
    int n = (past + length - 1) / length, numbers = d < a.dv ? n : 0;
    const float *part = a.partial + (size_t)blockIdx.x * a.parts * one, *number = part + 2 + d;

    float most = thread < n ? part[thread * one] : -INFINITY;
    float sum = thread < n ? part[thread * one + 1] : 0;
    float all = warp_max(most);
    if (thread % WARP == 0) mosts[thread / WARP] = all;
    __syncthreads();
#pragma unroll
    for (int w = 0; w < WARPS; w++) all = fmaxf(all, mosts[w]);
    float weight = thread < n ? expf(most - (all == -INFINITY ? 0 : all)) : 0;
    weights[thread] = weight;
    sum = warp_sum(weight * sum);
    if (thread % WARP == 0) sums[thread / WARP] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) sum += sums[w];

    float o = 0;
    for (int first = 0; first < numbers; first += AT_ONCE) {
        float x[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            x[i] = first + i < numbers ? number[(first + i) * one] : 0;
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++)
            if (first + i < numbers) o += weights[first + i] * x[i];
    }
    if (d >= a.dv) return;
    a.dst.data[token * a.dst.row + head * a.dst.stride + d] = o / sum;
    if (a.out_q) quantize_store(a.out_q, a.out_scale, (size_t)blockIdx.x * a.dv + d, o / sum);
}
