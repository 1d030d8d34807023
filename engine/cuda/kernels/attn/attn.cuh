/* What a block of attention has to do, in floats (attn.cu) and on tensor cores (attn_mma.cu): which
 * queries share a KV head, and through which cells they go. In decode the queries are the heads of
 * one token, and the past is cut into parts; in prefill heads and neighbouring tokens of one
 * session. So a cell's numbers are read once for all of them, which decides at MLA's 128 heads on
 * one. */
#ifndef ENG_CUDA_KERNELS_ATTN_CUH
#define ENG_CUDA_KERNELS_ATTN_CUH

#include "attn_shape.h"
#include "../cache.cuh"

/* Query r is head head0 + r % heads of token row0 + r / heads, r < n. Cells from … to - 1, of which
 * all queries see those before `all`. */
struct AttnTile {
    int row0, heads, head0, n, from, to, all;
    const uint8_t *keys, *values; /* of the KV head, cell 0 */
    size_t k_row, v_row;
};

/* Tiles of a KV head's group of query heads, and heads in each. */
ENG_DEVICE int attn_tiles(const EngCuAttn &a, int queries, int *heads)
{
    int group = a.q.heads / a.n_kv, tiles = (group + queries - 1) / queries;
    *heads = (group + tiles - 1) / tiles;
    return tiles;
}

template <int KIND>
ENG_DEVICE AttnTile attn_tile(const EngCuAttn &a, int row0, int tokens, int queries)
{
    const EngCuRow &t = a.tokens[row0];
    int group = a.q.heads / a.n_kv, heads, tiles = attn_tiles(a, queries, &heads);
    int kv_head = (int)blockIdx.y / tiles, first = (int)blockIdx.y % tiles * heads;
    AttnTile tile;
    tile.row0 = row0;
    tile.heads = max(0, min(heads, group - first));
    tile.head0 = kv_head * group + first;
    tile.n = tokens * tile.heads;
    tile.from = tile.to = tile.all = 0;
    tile.k_row = cache_part<KIND>(a.k_width);
    tile.keys = cache_keys<KIND>(t, a.layer) + cache_part<KIND>(kv_head * a.dk);
    tile.v_row = tile.k_row;
    tile.values = tile.keys;
    if (a.v_width > 0) {
        tile.v_row = cache_part<KIND>(a.v_width);
        tile.values = cache_values<KIND>(t, a.layer, a.k_width) + cache_part<KIND>(kv_head * a.dv);
    }
    return tile;
}

/* How many tokens from `row` on are of its session, and how many cells the last and the first of
 * them see: every warp looks, a lane per token. */
ENG_DEVICE int attn_neighbours(const EngCuAttn &a, int row, int end, int *most, int *least)
{
    const uint8_t *session = a.tokens[row].kv;
    int lane = (int)threadIdx.x % WARP, n = 0, found;
    *most = 0, *least = 0x7fffffff;
    do {
        int at = row + n + lane;
        bool same = at < end && a.tokens[at].kv == session;
        unsigned votes = __ballot_sync(FULL_WARP, same);
        found = votes == FULL_WARP ? WARP : __ffs((int)~votes) - 1;
        if (lane < found) {
            int seen = a.tokens[at].position + 1;
            *most = max(*most, seen), *least = min(*least, seen);
        }
        n += found;
    } while (found == WARP && row + n < end);
#pragma unroll
    for (int step = WARP / 2; step > 0; step /= 2) {
        *most = max(*most, __shfl_xor_sync(FULL_WARP, *most, step));
        *least = min(*least, __shfl_xor_sync(FULL_WARP, *least, step));
    }
    return n;
}

/* Cells of a part: at least 64, and a whole number of these, or of 16 where the tensor cores have
 * time. Short pasts leave parts empty, behind those that are not. */
ENG_DEVICE int attn_part_length(const EngCuAttn &a, int past)
{
    int unit = a.queries > ATTN_FEW_QUERIES ? ATTN_CELLS : 16;
    return max((int)ATTN_CELLS, ((past - 1) / (a.parts * unit) + 1) * unit);
}

/* Calls attend(tile, part) for each tile of a block that takes `queries`. part < 0: the whole past,
 * into dst.
 *
 * Grid: parts, tiles of heads, tokens. Or (a.parts 0): tiles of tokens,
 * the last ones, which have the most to do, first; tiles of heads. A tile's tokens are taken
 * session by session. */
template <int KIND, class Attend>
ENG_DEVICE void attn_walk(const EngCuAttn &a, int queries, Attend attend)
{
    int part = a.parts > 0 ? (int)blockIdx.x : -1, row = (int)blockIdx.z, end = row + 1, heads;
    attn_tiles(a, queries, &heads);
    if (part < 0) {
        int tokens = queries / heads;
        row = (int)(gridDim.x - 1 - blockIdx.x) * tokens, end = min(row + tokens, a.rows);
    }
    while (row < end) {
        int past, all, n = attn_neighbours(a, row, end, &past, &all);
        AttnTile t = attn_tile<KIND>(a, row, n, queries);
        t.all = all, t.to = past;
        if (part >= 0) {
            int length = attn_part_length(a, past);
            t.from = min(part * length, past);
            t.to = t.all = min(t.from + length, past);
        }
        if (t.from < t.to && t.n > 0) attend(t, part);
        row += n;
    }
}

/* Where number 0 of a query's result goes; of a part, behind its largest score and sum. */
ENG_DEVICE float *attn_result(const EngCuAttn &a, const AttnTile &t, int query, int part)
{
    size_t token = (size_t)(t.row0 + query / t.heads), head = t.head0 + query % t.heads;
    if (part < 0) return a.dst.data + token * a.dst.row + head * a.dst.stride;
    return a.partial + ((token * a.q.heads + head) * a.parts + part) * (a.dv + 2) + 2;
}

#endif
