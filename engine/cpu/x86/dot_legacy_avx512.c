/* Matrix products with the 32-number blocks on AVX-512, with VNNI or without: tiles of 16 rows for
 * many tokens; with VNNI, four rows at once for one. Few tokens, and rows that fill no tile, go to
 * the level below.
 *
 * Sums of quants that count from a zero point (Q8_0: stored + 128) start at -zero * sum(qx), so
 * that they are exact. */
#include "cpu/x86/ladder.h"
#include "cpu/x86/tile_avx512.h"

typedef EngBlockQ8_0A Act;

enum { ACTS = 8, TILE_FROM = 2, WIDE_ZERO = 128 };

typedef struct {            /* up to eight blocks of sixteen rows */
    uint8_t q[ACTS][8][64]; /* [block][numbers / 4][row][4] */
    float d[ACTS][16], m[ACTS][16];
} __attribute__((aligned(64))) Tile;

#include "cpu/x86/unpack/pack_legacy.h"

typedef void PackFn(const char *w, size_t w_stride, Tile *tile, int i);

typedef struct {
    size_t size; /* bytes of a block */
    int zero;    /* zero point; negative: the format has minima */
    int most;    /* largest byte of a tile */
    int blocks;  /* of a tile */
} TileKind;

INLINE int runs_of(TileKind kind) { return kind.blocks; }

INLINE TileKind kind_of(TileKind kind, int64_t left)
{
    kind.blocks = (int)ENG_MIN(left / 32, ACTS);
    return kind;
}

INLINE void tile_pack(PackFn *pack, TileKind kind, const char *w, size_t w_stride, Tile *tile)
{
    for (int i = 0; i < kind.blocks; i++) pack(w + (size_t)i * kind.size, w_stride, tile, i);
}

/* Adds a block's sums to those of the row. */
INLINE void scale_block(const Tile *tile, int i, bool minima, const Act *const a[], int tokens,
                        const Ints sum[TILE_TOKENS], Floats acc[TILE_TOKENS])
{
    Floats d = loadf(tile->d[i]);
    UNROLL for (int t = 0; t < tokens; t++)
    {
        acc[t] = mul_add(mul(d, all(a[t]->d)), floats(sum[t]), acc[t]);
        if (minima) acc[t] = mul_add(loadf(tile->m[i]), all(a[t]->d * (float)a[t]->sum), acc[t]);
    }
}

INLINE void tile_tokens(const Tile *tile, int tiles, TileKind kind, const char *x, size_t x_stride,
                        int tokens, bool first, float *y, size_t y_stride, Ask *ask)
{
    const bool minima = kind.zero < 0;
    Floats acc[TILES][TILE_TOKENS];
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int h = 0; h < tiles; h++) acc[h][t] =
        first ? all(0) : loadf(y + (size_t)t * y_stride + h * TILE_ROWS);
    for (int i = 0; i < kind.blocks; i++) {
        const Act *a[TILE_TOKENS];
        const int8_t *q[TILE_TOKENS];
        TileQuants *w[TILES];
        Ints sum[TILES][TILE_TOKENS];
        ask_some(ask);
        UNROLL for (int h = 0; h < tiles; h++) w[h] = tile[h].q[i];
        UNROLL for (int t = 0; t < tokens; t++)
        {
            a[t] = (const Act *)(x + (size_t)t * x_stride) + i;
            q[t] = a[t]->q;
            Ints start =
                minima ? zero() : _mm512_set1_epi32(-zero_left(kind.zero, kind.most) * a[t]->sum);
            UNROLL for (int h = 0; h < tiles; h++) sum[h][t] = start;
        }
        tile_products(w, tiles, kind.most, 8, q, tokens, sum);
        UNROLL for (int h = 0; h < tiles; h++)
            scale_block(tile + h, i, minima, a, tokens, sum[h], acc[h]);
    }
    UNROLL for (int t = 0; t < tokens; t++) UNROLL for (int h = 0; h < tiles; h++)
        storef(y + (size_t)t * y_stride + h * TILE_ROWS, acc[h][t]);
}

#include "cpu/x86/tile_walk_avx512.h"
#if defined(__AVX512VNNI__)
#include "cpu/x86/four_legacy_avx512.h"
#endif

typedef void OneTokenFn(int64_t n, int n_rows, const char *w, size_t w_stride, const char *x,
                        float *y);

/* Without VNNI, IQ4_NL's bytes are too wide for pairs of products. */
#if defined(__AVX512VNNI__)
#define ONE_TOKEN(name) four_##name
#else
#define ONE_TOKEN(name) NULL
#endif

/* The kernels of the level below; written when the tables are filled. */
static EngMatmulFn *below[ENG_TYPE_COUNT];

#define MATMUL(name, TYPE, Block, zero_point, most, four)                                          \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        OneTokenFn *one_token = four;                                                              \
        if (n_tokens == 1 && one_token) {                                                          \
            one_token(n, n_rows, w, w_stride, x, y);                                               \
            return;                                                                                \
        }                                                                                          \
        int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;                     \
        const TileKind kind = {sizeof(Block), zero_point, most, 0};                                \
        tile_matmul(pack_##name, kind, ACTS * sizeof(Block), n, tiled, n_tokens, w, w_stride, x,   \
                    x_stride, y, y_stride);                                                        \
        if (tiled < n_rows)                                                                        \
            below[TYPE](n, n_rows - tiled, n_tokens, (const char *)w + (size_t)tiled * w_stride,   \
                        w_stride, x, x_stride, y + tiled, y_stride);                               \
    }
MATMUL(q4_0, ENG_TYPE_Q4_0, EngBlockQ4_0, 8, 15, ONE_TOKEN(q4_0))
MATMUL(q4_1, ENG_TYPE_Q4_1, EngBlockQ4_1, -1, 15, ONE_TOKEN(q4_1))
MATMUL(q5_0, ENG_TYPE_Q5_0, EngBlockQ5_0, 16, 31, ONE_TOKEN(q5_0))
MATMUL(q5_1, ENG_TYPE_Q5_1, EngBlockQ5_1, -1, 31, ONE_TOKEN(q5_1))
MATMUL(q8_0, ENG_TYPE_Q8_0, EngBlockQ8_0, WIDE_ZERO, 255, NULL)
MATMUL(iq4_nl, ENG_TYPE_IQ4_NL, EngBlockIQ4_NL, WIDE_ZERO, 255, ONE_TOKEN(iq4_nl))
MATMUL(mxfp4, ENG_TYPE_MXFP4, EngBlockMXFP4, 16, 28, ONE_TOKEN(mxfp4))
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
#if defined(__AVX512VNNI__)
    powers_fill();
#endif
    for (size_t i = 0; i < ENG_LEN(own); i++) {
        below[own[i].type] = k->matmul[own[i].type];
        k->matmul[own[i].type] = own[i].matmul;
    }
}
