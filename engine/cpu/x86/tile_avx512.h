/* Products of weights with many tokens on AVX-512, with VNNI or without: the innermost loop, and
 * what asks the memory for weights that come later. tile_walk_avx512.h goes over a matrix with
 * them.
 *
 * A tile lies across: lane r of a vector belongs to row r, and a vector holds four neighbouring
 * numbers of sixteen rows. Four activations broadcast to all lanes give sixteen rows' sums. Two
 * tiles share each broadcast, and six tokens give twelve sums, enough to hide the five cycles of
 * each. Quants are unsigned and count from a zero point; 32 * 255 * 127 stays far below 2^31. */
#ifndef ENG_CPU_X86_TILE_AVX512_H
#define ENG_CPU_X86_TILE_AVX512_H

#include "cpu/x86/avx512.h"

enum { TILE_ROWS = 16, TILES = 2, TILE_TOKENS = 6 };

typedef const uint8_t TileQuants[64]; /* [row][4] */

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

/* Adds the products of 4 * steps numbers: w[h][steps] of each tile, x[t] of each token. most: the
 * largest byte of w. A broadcast that two tiles share is an instruction more and a load less than
 * one in each product: every other token has the one and the other, so that neither is what all
 * wait for. */
INLINE void tile_products(TileQuants *const w[TILES], int tiles, int most, int steps,
                          const int8_t *const x[], int tokens, Ints sum[TILES][TILE_TOKENS])
{
    (void)most;
    UNROLL for (int c = 0; c < steps; c++)
    {
        Ints four_w[TILES];
        UNROLL for (int h = 0; h < tiles; h++) four_w[h] = load(w[h][c]);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const int8_t *at = x[t] + 4 * c;
            if (tiles > 1 && t % 2) {
                UNROLL for (int h = 0; h < tiles; h++) add_fours_at(&sum[h][t], four_w[h], at);
            } else {
                Ints four = all_words(at);
                UNROLL for (int h = 0; h < tiles; h++) add_fours_to(&sum[h][t], four_w[h], four);
            }
        }
    }
}

#else

/* Sums of 16 bits take a few steps before they are widened. */
INLINE void tile_products(TileQuants *const w[TILES], int tiles, int most, int steps,
                          const int8_t *const x[], int tokens, Ints sum[TILES][TILE_TOKENS])
{
    const int chain = chain_of(most, steps);
    UNROLL for (int from = 0; from < steps; from += ENG_MAX(chain, 1))
    {
        Ints part[TILES][TILE_TOKENS];
        UNROLL for (int c = from; c < from + ENG_MAX(chain, 1); c++)
        {
            Ints four_w[TILES];
            UNROLL for (int h = 0; h < tiles; h++) four_w[h] = load(w[h][c]);
            UNROLL for (int t = 0; t < tokens; t++)
            {
                Ints four = all_words(x[t] + 4 * c);
                UNROLL for (int h = 0; h < tiles; h++)
                {
                    if (chain == 0)
                        sum[h][t] = add_wide_fours(sum[h][t], four_w[h], four);
                    else
                        part[h][t] = add_step(part[h][t], c == from, four_w[h], four);
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
    int rows, at_once; /* rows left; lines each time */
} Ask;

INLINE void ask_some(Ask *ask)
{
    for (int i = 0; i < ask->at_once && ask->rows > 0; i++) {
        _mm_prefetch(ask->row + ask->line, _MM_HINT_T1);
        ask->line += 64;
        if (ask->line < ask->size) continue;
        ask->line = 0;
        ask->row += ask->stride;
        ask->rows--;
    }
}

/* step: number of the tile at work, in the order in which they are read; a row has `tiles` of
 * w_size bytes. runs: how often ask_some is called for six tokens. */
INLINE Ask ask_for(int64_t step, int64_t tiles, int n_rows, int n_tokens, int runs, size_t w_size,
                   const char *w, size_t w_stride)
{
    int64_t next = step + 2, r = next / tiles * TILES * TILE_ROWS;
    if (r >= n_rows) return (Ask){0};
    int rows = (int)ENG_MIN(n_rows - r, TILES * TILE_ROWS);
    int lines = rows * (int)((w_size + 63) / 64);
    int turns = (n_tokens + TILE_TOKENS - 1) / TILE_TOKENS * runs;
    return (Ask){.row = w + (size_t)r * w_stride + (size_t)(next % tiles) * w_size,
                 .stride = w_stride,
                 .size = w_size,
                 .rows = rows,
                 .at_once = (lines + turns - 1) / turns};
}

#endif
