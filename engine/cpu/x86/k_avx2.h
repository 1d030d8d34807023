/* What the AVX2 kernels of 256-number blocks share: how scales find their quants, and tiles for
 * many tokens: 16 rows of weights are unpacked once and meet all the tokens. A family brings a step
 * for rows (rows.h) and a function that packs one block of eight rows. */
#ifndef ENG_CPU_X86_K_AVX2_H
#define ENG_CPU_X86_K_AVX2_H

#include "cpu/x86/avx2.h"
#include "cpu/x86/rows.h"

INLINE const EngBlockQ8_KA *act(const char *x, size_t x_stride, int t)
{
    return (const EngBlockQ8_KA *)(x + (size_t)t * x_stride);
}

/* Scales are 16 bits each, so that lookup finds for quants 32 v … 32 v + 31 that of their group:
 * entry v of the low half for the first 16, of the high half for the others. */
INLINE Ints scales_at(Ints scales, int v)
{
    return lookup(scales, _mm256_set1_epi16((short)(2 * v + (2 * v + 1) * 256)));
}

/* From 16 signed scales, one per group of 16. */
INLINE Ints scales_of_16(__m128i s)
{
    const __m128i even_odd = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(s, even_odd));
}

/* A tile lies across: lane r of a vector belongs to row r, and a vector holds four neighbouring
 * numbers of eight rows. Four activations broadcast to all lanes then give eight rows' sums with no
 * horizontal addition, and sums of 16 bits can take several steps before they are widened
 * (`chain`, chosen per type so that chain * 2 * max(q) * 127 stays below 32768). */
enum { TILE_ROWS = 16, TILE_TOKENS = 4 };

typedef struct {       /* one block of eight rows */
    uint8_t q[64][32]; /* [numbers / 4][row][4] */
    int16_t s[16][16]; /* [group][row][the scale twice] */
    int16_t m[8][16];  /* [group / 2][row][minima of two groups] */
    float d[8], dmin[8];
} __attribute__((aligned(64))) Tile;

INLINE void put_d(float *to, Ints halves) { storef(to, low_halves(halves)); }

INLINE Ints byte_of(Ints a, int i) /* signed byte i of each lane, as 32 bits */
{
    return _mm256_srai_epi32(left(a, 24 - 8 * i), 24);
}

INLINE void put_scales(Tile *tile, int group, Ints four)
{
    UNROLL for (int i = 0; i < 4; i++)
    {
        Ints s = byte_of(four, i);
        store(tile->s[group + i], _mm256_blend_epi16(s, left(s, 16), 0xaa));
    }
}

INLINE void put_zeros(Tile *tile, int group, Ints four, int shift)
{
    UNROLL for (int i = 0; i < 4; i += 2)
    {
        Ints pair = _mm256_blend_epi16(byte_of(four, i), left(byte_of(four, i + 1), 16), 0xaa);
        store(tile->m[(group + i) / 2], _mm256_slli_epi16(pair, shift));
    }
}

INLINE void put_mins(Tile *tile, int group, Ints four) { put_zeros(tile, group, four, 0); }

/* What a tile's bytes are. */
enum {
    FORM_MINS,  /* unsigned; the groups' minima count in units of dmin */
    FORM_ZERO,  /* unsigned, from a zero point; minima count in units of d */
    FORM_SIGNED /* at least -127; no minima */
};

typedef struct {
    int group; /* numbers that share a scale: 16 or 32 */
    int chain; /* steps that a sum of 16 bits can take */
    int form;
} TileKind;

/* Products of the minima with the activations' sums. */
INLINE void tile_mins(const Tile tile[2], TileKind kind, const char *x, size_t x_stride, int tokens,
                      Ints ret[2][TILE_TOKENS])
{
    const int pairs = 128 / kind.group;
    UNROLL for (int t = 0; t < tokens; t++)
    {
        const EngBlockQ8_KA *a = (const EngBlockQ8_KA *)(x + (size_t)t * x_stride);
        int16_t sums[16] __attribute__((aligned(32)));
        Ints all_sums = load(a->sums);
        if (kind.group == 32) { /* sums of 32, at most 32 * 127 */
            all_sums = pairs_16(all_sums, _mm256_set1_epi16(1));
            all_sums = _mm256_permute4x64_epi64(_mm256_packs_epi32(all_sums, all_sums), 0x08);
        }
        store(sums, all_sums);
        ret[0][t] = ret[1][t] = _mm256_setzero_si256();
        UNROLL for (int j = 0; j < pairs; j++)
        {
            Ints two = _mm256_set1_epi32((int)word(sums + 2 * j));
            ret[0][t] = add_pairs(ret[0][t], load(tile[0].m[j]), two);
            ret[1][t] = add_pairs(ret[1][t], load(tile[1].m[j]), two);
        }
    }
}

/* One block of 16 rows with 1 … 4 tokens; `first` sets y, later blocks add to it. */
INLINE void tile_tokens(const Tile tile[2], TileKind kind, const char *x, size_t x_stride,
                        int tokens, bool first, float *y, size_t y_stride)
{
    Ints sum[2][TILE_TOKENS], mins[2][TILE_TOKENS];
    if (kind.form != FORM_SIGNED) tile_mins(tile, kind, x, x_stride, tokens, mins);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        sum[0][t] = kind.form == FORM_ZERO ? sub32(_mm256_setzero_si256(), mins[0][t])
                                           : _mm256_setzero_si256();
        sum[1][t] = kind.form == FORM_ZERO ? sub32(_mm256_setzero_si256(), mins[1][t])
                                           : _mm256_setzero_si256();
    }
    const int chain = WHOLE_GROUPS ? kind.group / 4 : kind.chain;
    for (int at = 0; at < 64; at += chain) {
        Ints part[2][TILE_TOKENS];
        UNROLL for (int c = 0; c < chain; c++)
        {
            Ints w0 = load(tile[0].q[at + c]), w1 = load(tile[1].q[at + c]);
            Ints size0 = kind.form == FORM_SIGNED ? _mm256_abs_epi8(w0) : w0;
            Ints size1 = kind.form == FORM_SIGNED ? _mm256_abs_epi8(w1) : w1;
            UNROLL for (int t = 0; t < tokens; t++)
            {
                const EngBlockQ8_KA *a = (const EngBlockQ8_KA *)(x + (size_t)t * x_stride);
                Ints four = _mm256_set1_epi32((int)word(a->q + 4 * (at + c)));
                Ints x0 = kind.form == FORM_SIGNED ? _mm256_sign_epi8(four, w0) : four;
                Ints x1 = kind.form == FORM_SIGNED ? _mm256_sign_epi8(four, w1) : four;
                part[0][t] = add_step(part[0][t], c == 0, size0, x0);
                part[1][t] = add_step(part[1][t], c == 0, size1, x1);
            }
        }
        Ints s0 = load(tile[0].s[4 * at / kind.group]), s1 = load(tile[1].s[4 * at / kind.group]);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            sum[0][t] = add32(sum[0][t], scaled_sums_of(part[0][t], s0));
            sum[1][t] = add32(sum[1][t], scaled_sums_of(part[1][t], s1));
        }
    }
    UNROLL for (int t = 0; t < tokens; t++)
    {
        Floats dx = all(((const EngBlockQ8_KA *)(x + (size_t)t * x_stride))->d);
        UNROLL for (int h = 0; h < 2; h++)
        {
            Floats value = _mm256_mul_ps(loadf(tile[h].d), floats(sum[h][t]));
            if (kind.form == FORM_MINS)
                value = _mm256_fnmadd_ps(loadf(tile[h].dmin), floats(mins[h][t]), value);
            float *to = y + (size_t)t * y_stride + 8 * h;
            storef(to, first ? _mm256_mul_ps(dx, value) : mul_add(dx, value, loadf(to)));
        }
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
            Tile tile[2];
            const char *block = w + (size_t)r * w_stride + (size_t)i * w_size;
            pack(block, w_stride, tile);
            pack(block + 8 * w_stride, w_stride, tile + 1);
            const char *xi = x + (size_t)i * sizeof(EngBlockQ8_KA);
            int t = 0;
            for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
                tile_tokens(tile, kind, xi + (size_t)t * x_stride, x_stride, TILE_TOKENS, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
            for (; t < n_tokens; t++)
                tile_tokens(tile, kind, xi + (size_t)t * x_stride, x_stride, 1, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
        }
}

#include "cpu/x86/k_matmul.h"

#endif
