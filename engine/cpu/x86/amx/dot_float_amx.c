/* F32, F16 and BF16 weights on AMX, whose floats are bfloat16, 8 bits of a number: a float is the
 * exact sum of three of them, a half of two. Parts are cut off, not rounded, so that none
 * overflows; infinities leave NaN. Of the products those are summed that a float of the result can
 * see: parts i and j with i + j < 3, the others are below 2^-24. What a processor takes for zero
 * there, parts below 2^-126, is no more than the results' own subnormal range. */
#include "cpu/x86/amx/amx.h"
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

enum { TILE_ROWS = 16, TILE_TOKENS = 16, TILES = 2, AMX_FROM = 8, PARTS = 3, CHUNK = 256 };

/* [part][numbers / 32][row or token][32 numbers] */
typedef uint16_t Cut[PARTS][CHUNK / 32][16][32] __attribute__((aligned(64)));

/* [part][numbers / 32][pair][row][2]: what a tile wants on its right. */
typedef uint16_t Turned[PARTS][CHUNK / 32][16][16][2] __attribute__((aligned(64)));

typedef Floats LoadFn(const char *row, int64_t i, __mmask16 some);

INLINE Floats load_f32(const char *row, int64_t i, __mmask16 some)
{
    return _mm512_maskz_loadu_ps(some, (const float *)row + i);
}
INLINE Floats load_f16(const char *row, int64_t i, __mmask16 some)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(some, (const uint16_t *)row + i));
}
INLINE Floats load_bf16(const char *row, int64_t i, __mmask16 some)
{
    __m256i wide = _mm256_maskz_loadu_epi16(some, (const uint16_t *)row + i);
    return _mm512_castsi512_ps(left(_mm512_cvtepu16_epi32(wide), 16));
}

/* Up to CHUNK numbers of a row in `parts` parts; what is missing of 32 is zero. */
INLINE void cut_row(LoadFn *load_some, int parts, const char *row, int64_t from, int n, Cut to,
                    int at)
{
    for (int i = 0; i < n; i += 16) {
        __mmask16 some = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
        Floats x = load_some(row, from + i, some);
        UNROLL for (int part = 0; part < parts; part++)
        {
            Ints top = _mm512_srli_epi32(_mm512_castps_si512(x), 16);
            _mm256_storeu_si256((__m256i *)(to[part][i / 32][at] + i % 32),
                                _mm512_cvtepi32_epi16(top));
            x = _mm512_sub_ps(x, _mm512_castsi512_ps(left(top, 16)));
        }
    }
    if ((n + 15) / 16 % 2)
        UNROLL for (int part = 0; part < parts; part++)
            _mm256_storeu_si256((__m256i *)(to[part][n / 32][at] + 16), _mm256_setzero_si256());
}

INLINE void turn(int parts, int blocks, const Cut from, Turned to)
{
    for (int part = 0; part < parts; part++)
        for (int b = 0; b < blocks; b++)
            for (int i = 0; i < 4; i++) {
                Ints four[4];
                columns((const char *)from[part][b][0] + 16 * i, sizeof from[part][b][0], four);
                UNROLL for (int j = 0; j < 4; j++) store(to[part][b][4 * i + j], four[j]);
            }
}

/* Tiles 0 and 5: sums of 16 rows each; 1 … 3: parts of activations; 4: weights. */
static const AmxConfig tile_config = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64},
    .rows = {16, 16, 16, 16, 16, 16},
};

#define ADD_TILE(w, parts, b, sums)                                                                \
    do {                                                                                           \
        amx_load(4, (w)[0][b], 64);                                                                \
        amx_add_bf16(sums, 3, 4);                                                                  \
        amx_add_bf16(sums, 2, 4);                                                                  \
        amx_add_bf16(sums, 1, 4);                                                                  \
        if (parts > 1) {                                                                           \
            amx_load(4, (w)[1][b], 64);                                                            \
            amx_add_bf16(sums, 2, 4);                                                              \
            amx_add_bf16(sums, 1, 4);                                                              \
        }                                                                                          \
        if (parts > 2) {                                                                           \
            amx_load(4, (w)[2][b], 64);                                                            \
            amx_add_bf16(sums, 1, 4);                                                              \
        }                                                                                          \
    } while (0)

INLINE void tile_sums(int tiles, int parts, int blocks, const Turned w[TILES], const Cut x,
                      float sums[TILES][16][16])
{
    amx_zero(0);
    amx_zero(5);
    for (int b = 0; b < blocks; b++) {
        amx_load(1, x[0][b], 64);
        amx_load(2, x[1][b], 64);
        amx_load(3, x[2][b], 64);
        ADD_TILE(w[0], parts, b, 0);
        if (tiles > 1) ADD_TILE(w[1], parts, b, 5);
    }
    amx_store(0, sums[0], 64);
    if (tiles > 1) amx_store(5, sums[1], 64);
}

typedef struct {
    LoadFn *load;
    int parts; /* of a weight */
} FloatKind;

/* 16 or 32 rows and all tokens, CHUNK numbers at a time: both are cut once. */
INLINE void tile_rows(FloatKind kind, int tiles, int64_t n, int n_tokens, const char *w,
                      size_t w_stride, const char *x, size_t x_stride, float *y, size_t y_stride)
{
    for (int64_t from = 0; from < n; from += CHUNK) {
        int some = (int)ENG_MIN(n - from, CHUNK), blocks = (some + 31) / 32;
        Cut cut;
        Turned turned[TILES];
        for (int h = 0; h < tiles; h++) {
            for (int r = 0; r < TILE_ROWS; r++)
                cut_row(kind.load, kind.parts, w + (size_t)(h * TILE_ROWS + r) * w_stride, from,
                        some, cut, r);
            turn(kind.parts, blocks, cut, turned[h]);
        }
        for (int t = 0; t < n_tokens; t += TILE_TOKENS) {
            int tokens = ENG_MIN(n_tokens - t, TILE_TOKENS);
            if (tokens < TILE_TOKENS) memset(cut, 0, sizeof cut);
            for (int i = 0; i < tokens; i++)
                cut_row(load_f32, PARTS, x + (size_t)(t + i) * x_stride, from, some, cut, i);
            float sums[TILES][16][16] __attribute__((aligned(64)));
            tile_sums(tiles, kind.parts, blocks, turned, cut, sums);
            for (int i = 0; i < tokens * tiles; i++) {
                float *to = y + (size_t)(t + i / tiles) * y_stride + i % tiles * TILE_ROWS;
                Floats sum = loadf(sums[i % tiles][i / tiles]);
                storef(to, from ? _mm512_add_ps(loadf(to), sum) : sum);
            }
        }
    }
}

INLINE void tiles_or_below(FloatKind kind, EngMatmulFn *below, int64_t n, int n_rows, int n_tokens,
                           const char *w, size_t w_stride, const char *x, size_t x_stride, float *y,
                           size_t y_stride)
{
    int tiled = n_tokens < AMX_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;
    if (tiled) amx_configure(&tile_config);
    for (int r = 0; r < tiled; r += TILES * TILE_ROWS)
        tile_rows(kind, ENG_MIN((tiled - r) / TILE_ROWS, TILES), n, n_tokens,
                  w + (size_t)r * w_stride, w_stride, x, x_stride, y + r, y_stride);
    if (tiled) amx_release();
    if (tiled < n_rows)
        below(n, n_rows - tiled, n_tokens, w + (size_t)tiled * w_stride, w_stride, x, x_stride,
              y + tiled, y_stride);
}

#define MATMUL(name, parts)                                                                        \
    static EngMatmulFn *below_##name; /* written when the tables are filled */                     \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const FloatKind kind = {load_##name, parts};                                               \
        tiles_or_below(kind, below_##name, n, n_rows, n_tokens, w, w_stride, x, x_stride, y,       \
                       y_stride);                                                                  \
    }
MATMUL(f32, 3)
MATMUL(f16, 2)
MATMUL(bf16, 1)
#undef MATMUL

void AMX_ISA(eng_kernels_dot_float)(EngKernels *k)
{
#define SET(TYPE, name) below_##name = k->matmul[TYPE], k->matmul[TYPE] = matmul_##name
    SET(ENG_TYPE_F32, f32);
    SET(ENG_TYPE_F16, f16);
    SET(ENG_TYPE_BF16, bf16);
#undef SET
}
