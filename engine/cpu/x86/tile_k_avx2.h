/* Tiles of the 256-number blocks for many tokens: the part of dot_k_avx2.c that unpacks 16 rows at
 * once and reuses them over all tokens.
 *
 * A tile lies across: lane r of a vector belongs to row r, and a vector holds four neighbouring
 * numbers of eight rows. Four activations broadcast to all lanes then give eight rows' sums with no
 * horizontal addition, and sums of 16 bits can take several steps before they are widened
 * (`chain`, chosen per type so that chain * 2 * max(q) * 127 stays below 32768). */
#ifndef ENG_CPU_X86_TILE_K_AVX2_H
#define ENG_CPU_X86_TILE_K_AVX2_H

#include "cpu/x86/avx2.h"

enum { TILE_ROWS = 16, TILE_TOKENS = 4 };

typedef struct { /* one block of 16 rows; [2]: rows 0 … 7 and 8 … 15 */
    uint8_t q[64][2][32];  /* [numbers / 4][half][row][4] */
    int16_t s[16][2][16];  /* [group][half][row][the scale twice] */
    int16_t m[8][2][16];   /* [group / 2][half][row][minima of two groups] */
    float d[2][8], dmin[2][8];
} __attribute__((aligned(64))) Tile;

/* 16 bytes at `w` of eight rows, turned: ret[i] holds bytes 4 i … 4 i + 3 of each row. */
INLINE void columns(const char *w, size_t w_stride, Ints ret[4])
{
    Ints row[4];
    UNROLL for (int i = 0; i < 4; i++)
        row[i] = join(load16(w + (size_t)i * w_stride), load16(w + (size_t)(i + 4) * w_stride));
    Ints a = _mm256_unpacklo_epi32(row[0], row[1]), b = _mm256_unpackhi_epi32(row[0], row[1]);
    Ints c = _mm256_unpacklo_epi32(row[2], row[3]), d = _mm256_unpackhi_epi32(row[2], row[3]);
    ret[0] = _mm256_unpacklo_epi64(a, c), ret[1] = _mm256_unpackhi_epi64(a, c);
    ret[2] = _mm256_unpacklo_epi64(b, d), ret[3] = _mm256_unpackhi_epi64(b, d);
}

/* Four bytes at `w` of eight rows. */
INLINE Ints column(const char *w, size_t w_stride)
{
    int v[8];
    UNROLL for (size_t i = 0; i < 8; i++) v[i] = (int)word(w + i * w_stride);
    return _mm256_setr_epi32(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]);
}

/* Half floats in the low 16 bits of each lane. */
INLINE Floats low_halves(Ints a)
{
    Ints low = and(a, _mm256_set1_epi32(0xffff));
    Ints packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return _mm256_cvtph_ps(_mm256_castsi256_si128(packed));
}

INLINE Ints byte_of(Ints a, int i) /* signed byte i of each lane, as 32 bits */
{
    return _mm256_srai_epi32(left(a, 24 - 8 * i), 24);
}

/* Scales of four groups from four signed bytes per row. */
INLINE void put_scales(Tile *tile, int half_, int group, Ints four)
{
    UNROLL for (int i = 0; i < 4; i++)
    {
        Ints s = byte_of(four, i);
        store(tile->s[group + i][half_], _mm256_blend_epi16(s, left(s, 16), 0xaa));
    }
}

/* Minima of four groups: the bytes, times 2^shift. */
INLINE void put_mins(Tile *tile, int half_, int group, Ints four, int shift)
{
    UNROLL for (int i = 0; i < 4; i += 2)
    {
        Ints pair = _mm256_blend_epi16(byte_of(four, i), left(byte_of(four, i + 1), 16), 0xaa);
        store(tile->m[(group + i) / 2][half_], _mm256_slli_epi16(pair, shift));
    }
}

typedef struct {
    int group;    /* numbers that share a scale: 16 or 32 */
    int chain;    /* steps that a sum of 16 bits can take */
    int has_zero; /* minima count in units of d, not dmin */
} TileKind;

/* Products of the minima with the activations' sums. */
INLINE void tile_mins(const Tile *tile, TileKind kind, const char *x, size_t x_stride, int tokens,
                      Ints ret[2][TILE_TOKENS])
{
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
        UNROLL for (int j = 0; j < 128 / kind.group; j++)
        {
            Ints two = _mm256_set1_epi32((int)word(sums + 2 * j));
            ret[0][t] = add32(ret[0][t], pairs_16(load(tile->m[j][0]), two));
            ret[1][t] = add32(ret[1][t], pairs_16(load(tile->m[j][1]), two));
        }
    }
}

/* One block of 16 rows with 1 … 4 tokens; `first` sets y, later blocks add to it. */
INLINE void tile_tokens(const Tile *tile, TileKind kind, const char *x, size_t x_stride, int tokens,
                        bool first, float *y, size_t y_stride)
{
    Ints sum[2][TILE_TOKENS], mins[2][TILE_TOKENS];
    tile_mins(tile, kind, x, x_stride, tokens, mins);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        sum[0][t] = kind.has_zero ? sub32(_mm256_setzero_si256(), mins[0][t])
                                  : _mm256_setzero_si256();
        sum[1][t] = kind.has_zero ? sub32(_mm256_setzero_si256(), mins[1][t])
                                  : _mm256_setzero_si256();
    }
    for (int at = 0; at < 64; at += kind.chain) {
        Ints part[2][TILE_TOKENS];
        UNROLL for (int c = 0; c < kind.chain; c++)
        {
            Ints w0 = load(tile->q[at + c][0]), w1 = load(tile->q[at + c][1]);
            UNROLL for (int t = 0; t < tokens; t++)
            {
                const EngBlockQ8_KA *a = (const EngBlockQ8_KA *)(x + (size_t)t * x_stride);
                Ints four = _mm256_set1_epi32((int)word(a->q + 4 * (at + c)));
                Ints p0 = pairs_u8(w0, four), p1 = pairs_u8(w1, four);
                part[0][t] = c ? add16(part[0][t], p0) : p0;
                part[1][t] = c ? add16(part[1][t], p1) : p1;
            }
        }
        Ints s0 = load(tile->s[4 * at / kind.group][0]), s1 = load(tile->s[4 * at / kind.group][1]);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            sum[0][t] = add32(sum[0][t], pairs_16(part[0][t], s0));
            sum[1][t] = add32(sum[1][t], pairs_16(part[1][t], s1));
        }
    }
    UNROLL for (int t = 0; t < tokens; t++)
    {
        Floats dx = all(((const EngBlockQ8_KA *)(x + (size_t)t * x_stride))->d);
        UNROLL for (int h = 0; h < 2; h++)
        {
            Floats value = _mm256_mul_ps(loadf(tile->d[h]), floats(sum[h][t]));
            if (!kind.has_zero)
                value = _mm256_fnmadd_ps(loadf(tile->dmin[h]), floats(mins[h][t]), value);
            float *to = y + (size_t)t * y_stride + 8 * h;
            storef(to, first ? _mm256_mul_ps(dx, value) : mul_add(dx, value, loadf(to)));
        }
    }
}

typedef void PackFn(const char *w, size_t w_stride, int half_, Tile *tile);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, TileKind kind, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    for (int r = 0; r < n_rows; r += TILE_ROWS)
        for (int64_t i = 0; i < n / 256; i++) {
            Tile tile;
            const char *block = w + (size_t)r * w_stride + (size_t)i * w_size;
            pack(block, w_stride, 0, &tile);
            pack(block + 8 * w_stride, w_stride, 1, &tile);
            const char *xi = x + (size_t)i * sizeof(EngBlockQ8_KA);
            int t = 0;
            for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, TILE_TOKENS, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
            for (; t < n_tokens; t++)
                tile_tokens(&tile, kind, xi + (size_t)t * x_stride, x_stride, 1, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
        }
}

#endif
