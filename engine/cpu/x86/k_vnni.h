/* What the kernels of 256-number blocks share on AVX-512 with VNNI: how scales find their quants,
 * and tiles for many tokens: 16 rows of weights are unpacked once and meet all the tokens. A family
 * brings a step for rows (rows.h) and a function that packs one block of 16 rows.
 *
 * A tile's quants are unsigned and count from a zero point; sums start at -zero * sum(qx), so that
 * they are exact. 32 * 255 * 127 stays far below 2^31. */
#ifndef ENG_CPU_X86_K_VNNI_H
#define ENG_CPU_X86_K_VNNI_H

#include "cpu/x86/avx512.h"
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

/* A tile lies across: lane r of a vector belongs to row r, and a vector holds four neighbouring
 * numbers of sixteen rows. Four activations broadcast to all lanes give sixteen rows' sums. */
enum { TILE_ROWS = 16, TILE_TOKENS = 8 };

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
    int group; /* numbers that share a scale: 16 or 32 */
    int zero;  /* zero point; 0: the format has minima */
} TileKind;

/* dmin times the products of the minima with the activations' sums. */
INLINE Floats tile_mins(const Tile *tile, TileKind kind, const Act *a)
{
    int16_t sums[16] __attribute__((aligned(32)));
    __m256i all_sums = load32(a->sums);
    if (kind.group == 32) { /* sums of 32, at most 32 * 127 */
        all_sums = _mm256_madd_epi16(all_sums, _mm256_set1_epi16(1));
        all_sums = _mm256_zextsi128_si256(_mm256_cvtepi32_epi16(all_sums));
    }
    _mm256_store_si256((__m256i *)sums, all_sums);
    const int pairs = 128 / kind.group;
    Ints mins = zero();
    UNROLL for (int j = 0; j < pairs; j++) mins =
        add_pairs(mins, load(tile->m[j]), all_words(sums + 2 * j));
    return mul(loadf(tile->dmin), floats(mins));
}

/* One block of 16 rows with 1 … 8 tokens; `first` sets y, later blocks add to it. */
INLINE void tile_tokens(const Tile *tile, TileKind kind, const char *x, size_t x_stride, int tokens,
                        bool first, float *y, size_t y_stride)
{
    Floats acc[TILE_TOKENS];
    int32_t start[TILE_TOKENS][16] __attribute__((aligned(64)));
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const Act *a = act(x, x_stride, t);
        acc[t] = kind.zero ? all(0) : sub_mul(all(0), all(1), tile_mins(tile, kind, a));
        if (kind.zero) {
            Ints sums = kind.group == 16 ? _mm512_cvtepi16_epi32(load32(a->sums))
                                         : _mm512_castsi256_si512(_mm256_madd_epi16(
                                               load32(a->sums), _mm256_set1_epi16(1)));
            store(start[t], _mm512_mullo_epi32(sums, _mm512_set1_epi32(-kind.zero)));
        }
    }
    for (int group = 0; group < 256 / kind.group; group++) {
        Ints sum[TILE_TOKENS];
        const int steps = kind.group / 4;
        UNROLL for (int t = 0; t < tokens; t++) sum[t] =
            kind.zero ? _mm512_set1_epi32(start[t][group]) : zero();
        UNROLL for (int c = 0; c < steps; c++)
        {
            Ints w = load(tile->q[group * steps + c]);
            UNROLL for (int t = 0; t < tokens; t++)
            {
                const int8_t *q = act(x, x_stride, t)->q + 4 * (group * steps + c);
                sum[t] = add_fours(sum[t], w, all_words(q));
            }
        }
        Floats s = loadf(tile->s[group]);
        UNROLL for (int t = 0; t < tokens; t++) acc[t] = mul_add(s, floats(sum[t]), acc[t]);
    }
    UNROLL for (int t = 0; t < tokens; t++)
    {
        Floats dx = all(act(x, x_stride, t)->d);
        float *to = y + (size_t)t * y_stride;
        storef(to, first ? mul(dx, acc[t]) : mul_add(dx, acc[t], loadf(to)));
    }
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, TileKind kind, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    int64_t blocks = n / 256, step = 0;
    for (int r = 0; r < n_rows; r += TILE_ROWS)
        for (int64_t i = 0; i < blocks; i++, step++) {
            tile_prefetch(step, blocks, n_rows, TILE_ROWS, w_size, w, w_stride);
            Tile tile;
            pack(w + (size_t)r * w_stride + (size_t)i * w_size, w_stride, &tile);
            const char *xi = x + (size_t)i * sizeof(Act);
            int t = 0;
            for (; t + 8 <= n_tokens; t += 8)
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, 8, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
            if (t + 4 <= n_tokens) {
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, 4, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
                t += 4;
            }
            for (; t < n_tokens; t++)
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, 1, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
        }
}

#include "cpu/x86/k_matmul.h"

#endif
