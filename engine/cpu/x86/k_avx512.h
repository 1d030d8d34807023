/* What the kernels of 256-number blocks share on AVX-512, with VNNI or without: how scales find
 * their quants, and tiles for many tokens: 16 rows of weights are unpacked once and meet all the
 * tokens. A family brings a step for rows (rows.h) and a function that packs one block of 16 rows.
 *
 * Sums of quants that count from a zero point start at -zero * sum(qx), so that they are exact. */
#ifndef ENG_CPU_X86_K_AVX512_H
#define ENG_CPU_X86_K_AVX512_H

#include "cpu/x86/tile_avx512.h"
#include "cpu/x86/rows.h"

typedef EngBlockQ8_KA Act;

INLINE const Act *act(const char *x, size_t x_stride, int t)
{
    return (const Act *)(x + (size_t)t * x_stride);
}

/* Spread scales are 16 bits each. Quarter i of the vector holds those of groups i, 4 + i, 8 + i,
 * 12 + i: entry v serves quants 64 v … 64 v + 63, whose quarters are groups 4 v … 4 v + 3. */
INLINE Ints scales_at(Ints scales, int v)
{
    return lookup(scales, _mm512_set1_epi16((short)(2 * v + (2 * v + 1) * 256)));
}

/* From 16 signed scales, one per group of 16. */
INLINE Ints spread_scales(__m128i s)
{
    const __m128i turn = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const Ints quarters = _mm512_setr_epi64(0, 0, 1, 1, 2, 2, 3, 3);
    __m256i wide = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(s, turn));
    return _mm512_permutexvar_epi64(quarters, _mm512_castsi256_si512(wide));
}

typedef struct {       /* one block of sixteen rows */
    uint8_t q[64][64]; /* [numbers / 4][row][4] */
    float s[16][16];   /* [group][row]: d times the scale */
    int16_t m[8][32];  /* [group / 2][row][minima of two groups] */
    float d[16], dmin[16];
} __attribute__((aligned(64))) Tile;

INLINE void put_d(float *to, Ints halves) { storef(to, low_halves(halves)); }

INLINE void put_scales(Tile *tile, int group, Ints four)
{
    UNROLL for (int i = 0; i < 4; i++)
        storef(tile->s[group + i], mul(loadf(tile->d), floats(byte_of(four, i))));
}

INLINE void put_mins(Tile *tile, int group, Ints four)
{
    UNROLL for (int i = 0; i < 4; i += 2)
    {
        Ints first = byte_of(four, i), second = left(byte_of(four, i + 1), 16);
        store(tile->m[(group + i) / 2], _mm512_mask_blend_epi16(0xaaaaaaaa, first, second));
    }
}

/* Sums begin at -zero * sum(qx) instead. */
INLINE void put_zeros(Tile *tile, int group, Ints four, int shift)
{
    (void)tile, (void)group, (void)four, (void)shift;
}

typedef struct {
    int group;  /* numbers that share a scale: 16 or 32 */
    int zero;   /* zero point; 0: the format has minima */
    int most;   /* largest byte of a tile */
    bool whole; /* scales went into the quants, and one sum runs through all 256 numbers */
} TileKind;

/* Sums of a block are scaled, or weights asked for, so many times. */
INLINE int runs_of(TileKind kind) { return kind.whole ? 8 : 256 / kind.group; }

/* Sums of a token's activations, two neighbouring groups in each word pair. */
INLINE void pair_sums(TileKind kind, const Act *a, int16_t ret[16])
{
    __m256i sums = load32(a->sums);
    if (kind.group == 32) { /* sums of 32, at most 32 * 127 */
        sums = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
        sums = _mm256_zextsi128_si256(_mm256_cvtepi32_epi16(sums));
    }
    _mm256_store_si256((__m256i *)ret, sums);
}

/* -dmin times the products of the minima with the activations' sums. */
INLINE Floats tile_mins(const Tile *tile, TileKind kind, const int16_t sums[16])
{
    const int pairs = 128 / kind.group;
    Ints mins = zero();
    UNROLL for (int j = 0; j < pairs; j++) mins =
        add_pairs(mins, load(tile->m[j]), all_words(sums + 2 * j));
    return sub_mul(all(0), loadf(tile->dmin), floats(mins));
}

/* Where the sums of a token's groups begin when quants count from a zero point. */
INLINE void zero_sums(TileKind kind, const Act *a, int32_t ret[16])
{
    Ints sums = _mm512_cvtepi16_epi32(load32(a->sums));
    if (kind.group == 32)
        sums = _mm512_castsi256_si512(_mm256_madd_epi16(load32(a->sums), _mm256_set1_epi16(1)));
    if (kind.whole) sums = _mm512_set1_epi32(_mm512_reduce_add_epi32(sums));
    store(ret, _mm512_mullo_epi32(sums, _mm512_set1_epi32(-zero_left(kind.zero, kind.most))));
}

/* One group of all the numbers of a block. */
INLINE void tile_group(const Tile *tile, int tiles, TileKind kind, const int8_t *const q[],
                       int tokens, int group, Ints sum[TILES][TILE_TOKENS])
{
    const int steps = kind.group / 4;
    TileQuants *w[TILES];
    const int8_t *x[TILE_TOKENS];
    UNROLL for (int h = 0; h < tiles; h++) w[h] = tile[h].q + group * steps;
    UNROLL for (int t = 0; t < tokens; t++) x[t] = q[t] + kind.group * group;
    tile_products(w, tiles, kind.most, steps, x, tokens, sum);
}

INLINE void scale_group(const Tile *tile, int tiles, int tokens, int group,
                        Ints sum[TILES][TILE_TOKENS], Floats acc[TILES][TILE_TOKENS])
{
    UNROLL for (int h = 0; h < tiles; h++)
    {
        Floats s = loadf(tile[h].s[group]);
        UNROLL for (int t = 0; t < tokens; t++) acc[h][t] =
            mul_add(s, floats(sum[h][t]), acc[h][t]);
    }
}

/* Where the sums begin is added last: it takes long to find, and nothing waits for it here. */
INLINE void add_whole(const Tile *tile, int tiles, TileKind kind, const int8_t *const q[],
                      int32_t start[][16], int tokens, Floats acc[TILES][TILE_TOKENS], Ask *ask)
{
    const TileKind run = {.group = 32, .most = kind.most};
    Ints sum[TILES][TILE_TOKENS];
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int h = 0; h < tiles; h++) sum[h][t] =
        zero();
    for (int i = 0; i < runs_of(kind); i++) {
        ask_some(ask);
        tile_group(tile, tiles, run, q, tokens, i, sum);
    }
    if (kind.zero)
        UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int h = 0; h < tiles; h++) sum[h][t] =
            _mm512_add_epi32(sum[h][t], _mm512_set1_epi32(start[t][0]));
    scale_group(tile, tiles, tokens, 0, sum, acc);
}

/* One block of 16 or 32 rows with 1 … 6 tokens; `first` sets y, later blocks add to it. The
 * activations of the tokens that come after these are asked for. */
INLINE void tile_tokens(const Tile *tile, int tiles, TileKind kind, const char *x, size_t x_stride,
                        int tokens, bool first, float *y, size_t y_stride, Ask *ask)
{
    Floats acc[TILES][TILE_TOKENS];
    int32_t start[TILE_TOKENS][16] __attribute__((aligned(64)));
    const int8_t *q[TILE_TOKENS];
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const Act *a = act(x, x_stride, t);
        q[t] = a->q;
        int16_t sums[16] __attribute__((aligned(32)));
        if (kind.zero)
            zero_sums(kind, a, start[t]);
        else
            pair_sums(kind, a, sums);
        UNROLL for (int h = 0; h < tiles; h++) acc[h][t] =
            kind.zero ? all(0) : tile_mins(tile + h, kind, sums);
        const char *next = x + (size_t)(t + tokens) * x_stride;
        for (size_t at = 0; at < sizeof(Act) + 63; at += 64) _mm_prefetch(next + at, _MM_HINT_T0);
    }
    if (kind.whole) add_whole(tile, tiles, kind, q, start, tokens, acc, ask);
    for (int group = 0; !kind.whole && group < 256 / kind.group; group++) {
        Ints sum[TILES][TILE_TOKENS];
        ask_some(ask);
        UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int h = 0; h < tiles; h++) sum[h][t] =
            kind.zero ? _mm512_set1_epi32(start[t][group]) : zero();
        tile_group(tile, tiles, kind, q, tokens, group, sum);
        scale_group(tile, tiles, tokens, group, sum, acc);
    }
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int h = 0; h < tiles; h++)
    {
        Floats dx = all(act(x, x_stride, t)->d);
        float *to = y + (size_t)t * y_stride + h * TILE_ROWS;
        storef(to, first ? mul(dx, acc[h][t]) : mul_add(dx, acc[h][t], loadf(to)));
    }
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile);

enum { ACTS = 1 };

INLINE TileKind kind_of(TileKind kind, int64_t left) { return (void)left, kind; }

INLINE void tile_pack(PackFn *pack, TileKind kind, const char *w, size_t w_stride, Tile *tile)
{
    (void)kind;
    pack(w, w_stride, tile);
}

#include "cpu/x86/tile_walk_avx512.h"
#include "cpu/x86/k_matmul.h"

#endif
