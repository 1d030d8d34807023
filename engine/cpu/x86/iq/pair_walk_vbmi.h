/* The walk of one token with rows in pairs. A file that includes this has defined PairAct, the
 * activations of a block in the order of the format, and Found, what was looked up of a block of
 * each of four rows. */
#ifndef ENG_CPU_X86_IQ_PAIR_WALK_VBMI_H
#define ENG_CPU_X86_IQ_PAIR_WALK_VBMI_H

#include "cpu/x86/iq/iq_tile_avx512.h"
#include "cpu/x86/iq/pair_vbmi.h"

typedef void PairActFn(const Act *a, PairAct *to);
typedef Found FindFn(const char *const w[FOUR]);
typedef void AddFn(const char *const w[FOUR], const Found *f, const PairAct *a, Floats acc[2]);

typedef struct {
    FindFn *find;
    AddFn *add;
    PairActFn *act_of;
    size_t w_size;
} PairKind;

/* Sums of the halves of two vectors, at 0, 4, 8, 12. */
INLINE void totals(const Floats acc[2], float ret[16])
{
    Floats low = _mm512_shuffle_f32x4(acc[0], acc[1], 0x88);
    Floats sum = _mm512_add_ps(low, _mm512_shuffle_f32x4(acc[0], acc[1], 0xdd));
    sum = _mm512_add_ps(sum, _mm512_permute_ps(sum, 0x4e));
    storef(ret, _mm512_add_ps(sum, _mm512_permute_ps(sum, 0xb1)));
}

/* The next block's entries are found beside a block's products: the way from a block to its
 * product is longer than the processor looks ahead. */
INLINE void pair_four_rows(PairKind kind, int blocks, const PairAct *a, const char *const w[FOUR],
                           float ret[16])
{
    const char *at[FOUR] = {w[0], w[1], w[2], w[3]};
    Floats acc[2] = {all(0), all(0)};
    Found f = kind.find(at);
    for (int i = 1; i < blocks; i++) {
        const char *next[FOUR];
        UNROLL for (int s = 0; s < FOUR; s++)
        {
            rows_prefetch(at[s], kind.w_size);
            next[s] = at[s] + kind.w_size;
        }
        Found after = kind.find(next);
        kind.add(at, &f, a + i - 1, acc);
        f = after;
        UNROLL for (int s = 0; s < FOUR; s++) at[s] = next[s];
    }
    UNROLL for (int s = 0; s < FOUR; s++) rows_prefetch(at[s], kind.w_size);
    kind.add(at, &f, a + blocks - 1, acc);
    totals(acc, ret);
}

/* Rows in four streams, as in rows.h, and as in four_matvec the last row fills empty places. */
INLINE void pair_matvec(PairKind kind, int64_t n, int n_rows, const char *w, size_t w_stride,
                        const char *x, float *y)
{
    int quarter = (n_rows + FOUR - 1) / FOUR;
    for (int64_t from = 0; from < n / 256; from += ACTS_AT_ONCE) {
        PairAct acts[ACTS_AT_ONCE];
        int blocks = (int)ENG_MIN(n / 256 - from, ACTS_AT_ONCE);
        for (int i = 0; i < blocks; i++) kind.act_of((const Act *)x + from + i, acts + i);
        for (int r = 0; r < quarter; r++) {
            const char *at[FOUR];
            float part[16] __attribute__((aligned(64)));
            UNROLL for (int s = 0; s < FOUR; s++)
            {
                int row = ENG_MIN(r + s * quarter, n_rows - 1);
                at[s] = w + (size_t)row * w_stride + (size_t)from * kind.w_size;
            }
            pair_four_rows(kind, blocks, acts, at, part);
            for (int s = 0; s < FOUR && r + s * quarter < n_rows; s++) {
                float *to = y + r + s * quarter;
                *to = from == 0 ? part[4 * s] : *to + part[4 * s];
            }
        }
    }
}

/* below_name is the kernel of the level below: for rows that fill no tile, and few tokens. For
 * tiles there are Across, what of sixteen rows is turned, put(found, row, across) and
 * turn_across(across, weights, tile); numbers that share a scale, the zero point and the largest
 * byte come behind. */
#define PAIR_MATMUL(name, Block, put, weights, ...)                                                \
    static EngMatmulFn *below_##name;                                                              \
    INLINE Head head_at_##name(const char *w) { return head_##name((const Block *)w); }            \
    INLINE void pack_##name(const char *w, size_t w_stride, Tile *tile)                            \
    {                                                                                              \
        const TileKind kind = {__VA_ARGS__};                                                       \
        Across across;                                                                             \
        put_heads(head_at_##name, kind.group, w, w_stride, tile);                                  \
        for (int r = 0; r < TILE_ROWS; r += FOUR) {                                                \
            const char *four[FOUR];                                                                \
            UNROLL for (int s = 0; s < FOUR; s++) four[s] = w + (size_t)(r + s) * w_stride;        \
            Found f = find_##name(four);                                                           \
            put(&f, r, &across);                                                                   \
        }                                                                                          \
        turn_across(&across, weights, tile);                                                       \
    }                                                                                              \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const PairKind kind = {find_##name, add_##name, act_##name, sizeof(Block)};                \
        const TileKind tile_kind = {__VA_ARGS__};                                                  \
        if (n_tokens == 1) {                                                                       \
            pair_matvec(kind, n, n_rows, w, w_stride, x, y);                                       \
            return;                                                                                \
        }                                                                                          \
        int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;                     \
        tile_matmul(pack_##name, tile_kind, sizeof(Block), n, tiled, n_tokens, w, w_stride, x,     \
                    x_stride, y, y_stride);                                                        \
        if (tiled < n_rows)                                                                        \
            below_##name(n, n_rows - tiled, n_tokens, (const char *)w + (size_t)tiled * w_stride,  \
                         w_stride, x, x_stride, y + tiled, y_stride);                              \
    }

#endif
