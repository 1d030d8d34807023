/* What the kernels of 256-number blocks share on AVX-512, with VNNI or without: how scales find
 * their quants, and tiles for many tokens: 16 rows of weights are unpacked once and meet all the
 * tokens. A family brings a step for rows (rows.h) and a function that packs one block of 16 rows.
 *
 * A tile's quants are unsigned and count from a zero point; sums start at -zero * sum(qx), so that
 * they are exact. 32 * 255 * 127 stays far below 2^31. */
#ifndef ENG_CPU_X86_K_AVX512_H
#define ENG_CPU_X86_K_AVX512_H

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
 * numbers of sixteen rows. Four activations broadcast to all lanes give sixteen rows' sums. Two
 * tiles share each broadcast, and six tokens give twelve sums, enough to hide the five cycles of
 * each. */
enum { TILE_ROWS = 16, TILES = 2, TILE_TOKENS = 6 };

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

#if defined(__AVX512VNNI__)

/* Not the intrinsic: gcc 12 copies its sums. */
INLINE void add_fours_to(Ints *sum, Ints a, Ints b)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* b: four bytes, broadcast on their way from memory. */
INLINE void add_fours_at(Ints *sum, Ints a, const int8_t *b)
{
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(*sum) : "v"(a), "m"(*(const int8_t(*)[4])b));
}

/* One group of all the numbers of a block. A broadcast that two tiles share is an instruction more
 * and a load less than one in each product: every other token has the one and the other, so that
 * neither is what all wait for. */
INLINE void tile_group(const Tile *tile, int tiles, TileKind kind, const int8_t *const q[],
                       int tokens, int group, Ints sum[TILES][TILE_TOKENS])
{
    const int steps = kind.group / 4;
    UNROLL for (int c = 0; c < steps; c++)
    {
        Ints w[TILES];
        UNROLL for (int h = 0; h < tiles; h++) w[h] = load(tile[h].q[group * steps + c]);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const int8_t *at = q[t] + 4 * (group * steps + c);
            if (tiles > 1 && t % 2) {
                UNROLL for (int h = 0; h < tiles; h++) add_fours_at(&sum[h][t], w[h], at);
            } else {
                Ints four = all_words(at);
                UNROLL for (int h = 0; h < tiles; h++) add_fours_to(&sum[h][t], w[h], four);
            }
        }
    }
}

#else

/* Sums of 16 bits take a few steps before they are widened. */
INLINE void tile_group(const Tile *tile, int tiles, TileKind kind, const int8_t *const q[],
                       int tokens, int group, Ints sum[TILES][TILE_TOKENS])
{
    const int steps = kind.group / 4, chain = chain_of(kind.most, steps);
    UNROLL for (int from = 0; from < steps; from += ENG_MAX(chain, 1))
    {
        Ints part[TILES][TILE_TOKENS];
        UNROLL for (int c = from; c < from + ENG_MAX(chain, 1); c++)
        {
            Ints w[TILES];
            UNROLL for (int h = 0; h < tiles; h++) w[h] = load(tile[h].q[group * steps + c]);
            UNROLL for (int t = 0; t < tokens; t++)
            {
                Ints four = all_words(q[t] + 4 * (group * steps + c));
                UNROLL for (int h = 0; h < tiles; h++)
                {
                    if (chain == 0)
                        sum[h][t] = add_wide_fours(sum[h][t], w[h], four);
                    else
                        part[h][t] = add_step(part[h][t], c == from, w[h], four);
                }
            }
        }
        if (chain == 0) continue;
        UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int h = 0; h < tiles; h++) sum[h][t] =
            add_pairs(sum[h][t], part[h][t], _mm512_set1_epi16(1));
    }
}

#endif

/* Weights of the tile that comes after the next, asked for line by line while this one is worked
 * on: all at once they would fill the line buffers and hold up everything else. */
typedef struct {
    const char *row;
    size_t stride, size, line;
    int rows, at_once; /* rows left; lines per group of numbers */
} Ask;

INLINE void ask_some(Ask *ask)
{
    for (int i = 0; i < ask->at_once && ask->rows > 0; i++) {
        _mm_prefetch(ask->row + ask->line, _MM_HINT_T0);
        ask->line += 64;
        if (ask->line < ask->size) continue;
        ask->line = 0;
        ask->row += ask->stride;
        ask->rows--;
    }
}

/* step: number of the tile at work, in the order in which they are read. */
INLINE Ask ask_for(int64_t step, int64_t blocks, int n_rows, int n_tokens, TileKind kind,
                   size_t w_size, const char *w, size_t w_stride)
{
    int64_t next = step + 2, r = next / blocks * TILES * TILE_ROWS;
    if (r >= n_rows) return (Ask){0};
    int rows = (int)ENG_MIN(n_rows - r, TILES * TILE_ROWS);
    int lines = rows * (int)((w_size + 63) / 64);
    int turns = (n_tokens + TILE_TOKENS - 1) / TILE_TOKENS * runs_of(kind);
    return (Ask){w + (size_t)r * w_stride + (size_t)(next % blocks) * w_size,
                 w_stride,
                 w_size,
                 0,
                 rows,
                 (lines + turns - 1) / turns};
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

/* All tokens with one block of 16 or 32 rows. */
INLINE void tile_all(const Tile *tile, int tiles, TileKind kind, int n_tokens, const char *x,
                     size_t x_stride, bool first, float *y, size_t y_stride, Ask *ask)
{
    int t = 0;
    for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, TILE_TOKENS, first,
                    y + (size_t)t * y_stride, y_stride, ask);
    if (t + 4 <= n_tokens) {
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, 4, first,
                    y + (size_t)t * y_stride, y_stride, ask);
        t += 4;
    }
    if (t + 2 <= n_tokens) {
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, 2, first,
                    y + (size_t)t * y_stride, y_stride, ask);
        t += 2;
    }
    for (; t < n_tokens; t++)
        tile_tokens(tile, tiles, kind, x + (size_t)t * x_stride, x_stride, 1, first,
                    y + (size_t)t * y_stride, y_stride, ask);
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, TileKind kind, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    int64_t blocks = n / 256, step = 0;
    for (int r = 0; r < n_rows; r += TILES * TILE_ROWS) {
        int tiles = r + TILE_ROWS < n_rows ? TILES : 1;
        for (int64_t i = 0; i < blocks; i++, step++) {
            Ask ask = ask_for(step, blocks, n_rows, n_tokens, kind, w_size, w, w_stride);
            Tile tile[TILES];
            for (int h = 0; h < tiles; h++)
                pack(w + (size_t)(r + h * TILE_ROWS) * w_stride + (size_t)i * w_size, w_stride,
                     tile + h);
            const char *xi = x + (size_t)i * sizeof(Act);
            if (tiles == TILES)
                tile_all(tile, TILES, kind, n_tokens, xi, x_stride, i == 0, y + r, y_stride, &ask);
            else
                tile_all(tile, 1, kind, n_tokens, xi, x_stride, i == 0, y + r, y_stride, &ask);
        }
    }
}

#include "cpu/x86/k_matmul.h"

#endif
