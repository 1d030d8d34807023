/* The 32-number blocks on AMX: sixteen rows and sixteen tokens at a time. Both have a scale for
 * each 32 numbers, so sums leave the tiles after half of what a tile instruction could add: two
 * blocks are under way at once, one in the tiles while the other's sums become floats. */
#include "cpu/x86/amx/amx.h"
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

typedef EngBlockQ8_0A Act;

enum { TILE_ROWS = 16, TILE_TOKENS = 16, TILE_BLOCKS = 8, AMX_FROM = 8, WIDE_ZERO = 128 };

typedef struct {                   /* up to eight blocks of sixteen rows */
    uint8_t q[TILE_BLOCKS][8][64]; /* [block][numbers / 4][row][4] */
    float d[TILE_BLOCKS][16], m[TILE_BLOCKS][16];
} __attribute__((aligned(64))) Tile;

#include "cpu/x86/unpack/pack_legacy.h"

/* Tiles 0 and 1: sums; 2: activations; 3: weights. */
static const AmxConfig tile_config = {
    .palette = 1, .row_bytes = {64, 64, 32, 64}, .rows = {16, 16, 16, 8}};

typedef int32_t Sums[TILE_TOKENS][16] __attribute__((aligned(64))); /* [token][row] */

#define TILE_SUMS(tile, i, x, x_stride, to, sums)                                                  \
    do {                                                                                           \
        amx_zero(to);                                                                              \
        amx_load(2, (x) + (size_t)(i) * sizeof(Act), x_stride);                                    \
        amx_load(3, (tile)->q[i], 64);                                                             \
        amx_add_su(to, 2, 3);                                                                      \
        amx_store(to, sums, 64);                                                                   \
    } while (0)

/* Block i; zero_point < 0: the format has minima instead. acc: [token][row]. */
INLINE void put_sums(const Tile *tile, int i, int zero_point, const Sums sums, const char *x,
                     size_t x_stride, int tokens, float acc[TILE_TOKENS][16])
{
    Floats d = loadf(tile->d[i]), m = zero_point < 0 ? loadf(tile->m[i]) : all(0);
    for (int t = 0; t < tokens; t++) {
        const Act *a = (const Act *)(x + (size_t)t * x_stride) + i;
        Ints sum = load(sums[t]);
        if (zero_point >= 0) sum = sub32(sum, _mm512_set1_epi32(zero_point * a->sum));
        Floats value = mul_add(mul(d, all(a->d)), floats(sum), loadf(acc[t]));
        if (zero_point < 0) value = mul_add(m, all(a->d * (float)a->sum), value);
        storef(acc[t], value);
    }
}

/* `blocks` blocks and up to 16 tokens; q: the first token's numbers, of sixteen tokens. */
INLINE void tile_tokens(const Tile *tile, int blocks, int zero_point, const char *x,
                        size_t x_stride, int tokens, const int8_t *q, size_t q_stride,
                        float acc[TILE_TOKENS][16])
{
    Sums sums[2];
    for (int i = 0; i < blocks; i += 2) {
        TILE_SUMS(tile, i, q, q_stride, 0, sums[0]);
        if (i + 1 < blocks) TILE_SUMS(tile, i + 1, q, q_stride, 1, sums[1]);
        put_sums(tile, i, zero_point, sums[0], x, x_stride, tokens, acc);
        if (i + 1 < blocks) put_sums(tile, i + 1, zero_point, sums[1], x, x_stride, tokens, acc);
    }
}

/* All tokens; the last few are made sixteen with zeros. */
INLINE void tile_all(const Tile *tile, int blocks, int zero_point, int n_tokens, const char *x,
                     size_t x_stride, bool first, float *y, size_t y_stride)
{
    for (int t = 0; t < n_tokens; t += TILE_TOKENS) {
        const char *xt = x + (size_t)t * x_stride;
        int tokens = ENG_MIN(n_tokens - t, TILE_TOKENS);
        float acc[TILE_TOKENS][16] __attribute__((aligned(64)));
        float *to = y + (size_t)t * y_stride;
        for (int i = 0; i < tokens; i++)
            storef(acc[i], first ? all(0) : loadf(to + (size_t)i * y_stride));
        if (tokens < TILE_TOKENS) {
            Act padded[TILE_TOKENS][TILE_BLOCKS];
            memset(padded, 0, sizeof padded);
            for (int i = 0; i < tokens; i++)
                memcpy(padded[i], xt + (size_t)i * x_stride, (size_t)blocks * sizeof(Act));
            tile_tokens(tile, blocks, zero_point, xt, x_stride, tokens, padded[0][0].q,
                        sizeof padded[0], acc);
        } else {
            tile_tokens(tile, blocks, zero_point, xt, x_stride, tokens, ((const Act *)xt)->q,
                        x_stride, acc);
        }
        for (int i = 0; i < tokens; i++) storef(to + (size_t)i * y_stride, loadf(acc[i]));
    }
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile, int i);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, int zero_point, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    amx_configure(&tile_config);
    for (int r = 0; r < n_rows; r += TILE_ROWS)
        for (int64_t i = 0; i < n / 32; i += TILE_BLOCKS) {
            Tile tile;
            int some = (int)ENG_MIN(n / 32 - i, TILE_BLOCKS);
            for (int j = 0; j < some; j++)
                pack(w + (size_t)r * w_stride + (size_t)(i + j) * w_size, w_stride, &tile, j);
            tile_all(&tile, some, zero_point, n_tokens, x + (size_t)i * sizeof(Act), x_stride,
                     i == 0, y + r, y_stride);
        }
    amx_release();
}

#define MATMUL(name, Block, zero_point)                                                            \
    static EngMatmulFn *below_##name; /* written when the tables are filled */                     \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        int tiled = n_tokens < AMX_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;                      \
        if (tiled)                                                                                 \
            tile_matmul(pack_##name, zero_point, sizeof(Block), n, tiled, n_tokens, w, w_stride,   \
                        x, x_stride, y, y_stride);                                                 \
        if (tiled < n_rows)                                                                        \
            below_##name(n, n_rows - tiled, n_tokens, (const char *)w + (size_t)tiled * w_stride,  \
                         w_stride, x, x_stride, y + tiled, y_stride);                              \
    }
MATMUL(q4_0, EngBlockQ4_0, 8)
MATMUL(q4_1, EngBlockQ4_1, -1)
MATMUL(q5_0, EngBlockQ5_0, 16)
MATMUL(q5_1, EngBlockQ5_1, -1)
MATMUL(q8_0, EngBlockQ8_0, WIDE_ZERO)
MATMUL(iq4_nl, EngBlockIQ4_NL, WIDE_ZERO)
MATMUL(mxfp4, EngBlockMXFP4, 16)
#undef MATMUL

void AMX_ISA(eng_kernels_dot_legacy)(EngKernels *k)
{
#define SET(TYPE, name) below_##name = k->matmul[TYPE], k->matmul[TYPE] = matmul_##name
    SET(ENG_TYPE_Q4_0, q4_0);
    SET(ENG_TYPE_Q4_1, q4_1);
    SET(ENG_TYPE_Q5_0, q5_0);
    SET(ENG_TYPE_Q5_1, q5_1);
    SET(ENG_TYPE_Q8_0, q8_0);
    SET(ENG_TYPE_IQ4_NL, iq4_nl);
    SET(ENG_TYPE_MXFP4, mxfp4);
#undef SET
}
