/* Matrix products with the 32-number blocks on AVX-512, with VNNI or without: tiles of 16 rows for
 * many tokens. Few tokens, and rows that fill no tile, go to the level below, which memory limits
 * anyway.
 *
 * Quants are unsigned and count from a zero point (Q8_0: stored + 128): sums start at
 * -zero * sum(qx), so that they are exact. 32 * 255 * 127 stays far below 2^31. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/rows.h"

typedef EngBlockQ8_0A Act;

enum { TILE_ROWS = 16, TILE_TOKENS = 8, TILE_BLOCKS = 8, TILE_FROM = 6, WIDE_ZERO = 128 };

typedef struct {                   /* up to eight blocks of sixteen rows */
    uint8_t q[TILE_BLOCKS][8][64]; /* [block][numbers / 4][row][4] */
    float d[TILE_BLOCKS][16], m[TILE_BLOCKS][16];
} __attribute__((aligned(64))) Tile;

#include "cpu/x86/unpack/pack_legacy.h"

INLINE const Act *act(const char *x, size_t x_stride, int t, int block)
{
    return (const Act *)(x + (size_t)t * x_stride) + block;
}

/* Adds the products of block i. most: the largest byte of the tile. */
INLINE void tile_sums(const Tile *tile, int i, int most, const char *x, size_t x_stride, int tokens,
                      Ints sum[TILE_TOKENS])
{
#if defined(__AVX512VNNI__)
    (void)most;
    UNROLL for (int c = 0; c < 8; c++)
    {
        Ints w = load(tile->q[i][c]);
        UNROLL for (int t = 0; t < tokens; t++) sum[t] =
            add_fours(sum[t], w, all_words(act(x, x_stride, t, i)->q + 4 * c));
    }
#else
    const int chain = chain_of(most, 8), steps = ENG_MAX(chain, 1);
    Ints part[TILE_TOKENS];
    UNROLL for (int c = 0; c < 8; c++)
    {
        Ints w = load(tile->q[i][c]);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            Ints four = all_words(act(x, x_stride, t, i)->q + 4 * c);
            if (chain == 0) {
                sum[t] = add_wide_fours(sum[t], w, four);
                continue;
            }
            part[t] = add_step(part[t], c % steps == 0, w, four);
            if (c % steps == steps - 1) sum[t] = add_pairs(sum[t], part[t], _mm512_set1_epi16(1));
        }
    }
#endif
}

/* `blocks` blocks of 16 rows with 1 … 8 tokens; `first` sets y, later blocks add to it.
 * zero < 0: the format has minima instead of a zero point. */
INLINE void tile_tokens(const Tile *tile, int blocks, int zero_point, int most, const char *x,
                        size_t x_stride, int tokens, bool first, float *y, size_t y_stride)
{
    Floats acc[TILE_TOKENS];
    UNROLL for (int t = 0; t < tokens; t++) acc[t] =
        first ? all(0) : loadf(y + (size_t)t * y_stride);
    for (int i = 0; i < blocks; i++) {
        Ints sum[TILE_TOKENS];
        UNROLL for (int t = 0; t < tokens; t++) sum[t] =
            zero_point < 0
                ? zero()
                : _mm512_set1_epi32(-zero_left(zero_point, most) * act(x, x_stride, t, i)->sum);
        tile_sums(tile, i, most, x, x_stride, tokens, sum);
        Floats d = loadf(tile->d[i]);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const Act *a = act(x, x_stride, t, i);
            acc[t] = mul_add(mul(d, all(a->d)), floats(sum[t]), acc[t]);
            if (zero_point < 0)
                acc[t] = mul_add(loadf(tile->m[i]), all(a->d * (float)a->sum), acc[t]);
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) storef(y + (size_t)t * y_stride, acc[t]);
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile, int i);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, int zero_point, int most, size_t w_size, int64_t n,
                        int n_rows, int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    int64_t blocks = n / 32, step = 0;
    for (int r = 0; r < n_rows; r += TILE_ROWS)
        for (int64_t i = 0; i < blocks; i += TILE_BLOCKS) {
            Tile tile;
            int some = (int)ENG_MIN(blocks - i, TILE_BLOCKS);
            for (int j = 0; j < some; j++, step++) {
                tile_prefetch(step + TILE_BLOCKS, blocks, n_rows, TILE_ROWS, w_size, w, w_stride);
                pack(w + (size_t)r * w_stride + (size_t)(i + j) * w_size, w_stride, &tile, j);
            }
            const char *xi = x + (size_t)i * sizeof(Act);
            int t = 0;
            for (; t + 8 <= n_tokens; t += 8)
                tile_tokens(&tile, some, zero_point, most, xi + (size_t)t * x_stride, x_stride, 8,
                            i == 0, y + (size_t)t * y_stride + r, y_stride);
            if (t + 4 <= n_tokens) {
                tile_tokens(&tile, some, zero_point, most, xi + (size_t)t * x_stride, x_stride, 4,
                            i == 0, y + (size_t)t * y_stride + r, y_stride);
                t += 4;
            }
            for (; t < n_tokens; t++)
                tile_tokens(&tile, some, zero_point, most, xi + (size_t)t * x_stride, x_stride, 1,
                            i == 0, y + (size_t)t * y_stride + r, y_stride);
        }
}

/* The kernels of the level below; written when the tables are filled. */
static EngMatmulFn *below[ENG_TYPE_COUNT];

#define MATMUL(name, TYPE, Block, zero_point, most)                                                \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;                     \
        tile_matmul(pack_##name, zero_point, most, sizeof(Block), n, tiled, n_tokens, w, w_stride, \
                    x, x_stride, y, y_stride);                                                     \
        if (tiled < n_rows)                                                                        \
            below[TYPE](n, n_rows - tiled, n_tokens, (const char *)w + (size_t)tiled * w_stride,   \
                        w_stride, x, x_stride, y + tiled, y_stride);                               \
    }
MATMUL(q4_0, ENG_TYPE_Q4_0, EngBlockQ4_0, 8, 15)
MATMUL(q4_1, ENG_TYPE_Q4_1, EngBlockQ4_1, -1, 15)
MATMUL(q5_0, ENG_TYPE_Q5_0, EngBlockQ5_0, 16, 31)
MATMUL(q5_1, ENG_TYPE_Q5_1, EngBlockQ5_1, -1, 31)
MATMUL(q8_0, ENG_TYPE_Q8_0, EngBlockQ8_0, WIDE_ZERO, 255)
MATMUL(iq4_nl, ENG_TYPE_IQ4_NL, EngBlockIQ4_NL, WIDE_ZERO, 255)
MATMUL(mxfp4, ENG_TYPE_MXFP4, EngBlockMXFP4, 16, 28)
#undef MATMUL

void ISA(eng_kernels_dot_legacy)(EngKernels *k)
{
    static const struct {
        EngType type;
        EngMatmulFn *matmul;
    } own[] = {{ENG_TYPE_Q4_0, matmul_q4_0},  {ENG_TYPE_Q4_1, matmul_q4_1},
               {ENG_TYPE_Q5_0, matmul_q5_0},  {ENG_TYPE_Q5_1, matmul_q5_1},
               {ENG_TYPE_Q8_0, matmul_q8_0},  {ENG_TYPE_IQ4_NL, matmul_iq4_nl},
               {ENG_TYPE_MXFP4, matmul_mxfp4}};
    for (size_t i = 0; i < ENG_LEN(own); i++) {
        below[own[i].type] = k->matmul[own[i].type];
        k->matmul[own[i].type] = own[i].matmul;
    }
}
