/* Matrix products with the 32-number blocks. Few tokens: a row at a time. Many tokens: tiles of 16
 * rows.
 *
 * Range. pairs_u8 wants one unsigned operand: |q| takes the sign of q from the activations.
 * |-128| = 128 as an unsigned byte, and activations stop at 127, so the largest sum of two products
 * is 2 * 128 * 127 = 32512 and nothing saturates. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/rows.h"
#include "load/unpack_iq.h"

INLINE Ints nibbles(const uint8_t qs[16])
{
    __m128i both = load16(qs), four = _mm_set1_epi8(15);
    return join(_mm_and_si128(both, four), _mm_and_si128(_mm_srli_epi16(both, 4), four));
}

/* 0x10 in byte i where bit i of qh is set. */
INLINE Ints fifth_bits(const uint8_t qh[4])
{
    const Ints spread =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const Ints bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    Ints own = lookup(_mm256_set1_epi32((int)word(qh)), spread);
    return and(_mm256_cmpeq_epi8(and(own, bit), bit), bytes(16));
}

INLINE Ints quants_q4_0(const EngBlockQ4_0 *b) { return _mm256_sub_epi8(nibbles(b->qs), bytes(8)); }
INLINE Ints quants_q4_1(const EngBlockQ4_1 *b) { return nibbles(b->qs); }
INLINE Ints quants_q5_0(const EngBlockQ5_0 *b)
{
    return _mm256_sub_epi8(or (nibbles(b->qs), fifth_bits(b->qh)), bytes(16));
}
INLINE Ints quants_q5_1(const EngBlockQ5_1 *b) { return or (nibbles(b->qs), fifth_bits(b->qh)); }
INLINE Ints quants_q8_0(const EngBlockQ8_0 *b) { return load(b->qs); }

INLINE Ints values(const int8_t table[16], const uint8_t qs[16])
{
    return lookup(in_lanes(load16(table)), nibbles(qs));
}

INLINE Ints quants_iq4_nl(const EngBlockIQ4_NL *b) { return values(eng_values_iq4, b->qs); }
INLINE Ints quants_mxfp4(const EngBlockMXFP4 *b) { return values(eng_values_mxfp4, b->qs); }

typedef EngBlockQ8_0A Act;

INLINE const Act *act(const char *x, size_t x_stride, int t)
{
    return (const Act *)(x + (size_t)t * x_stride);
}

/* scale, and min: what the block adds per unit of the activations' sum; in one lane of the
 * accumulator. */
#define STEP(name, Block, scale, min)                                                              \
    INLINE void step_##name(const char *w, const char *x, size_t x_stride, int tokens,             \
                            Floats *acc)                                                           \
    {                                                                                              \
        const Block *b = (const Block *)w;                                                         \
        Ints q = quants_##name(b), size = _mm256_abs_epi8(q);                                      \
        float d = scale, m = min;                                                                  \
        UNROLL for (int t = 0; t < tokens; t++)                                                    \
        {                                                                                          \
            const Act *a = act(x, x_stride, t);                                                    \
            Ints x8 = _mm256_sign_epi8(load(a->q), q);                                             \
            Ints sum = add_fours(_mm256_setzero_si256(), size, x8);                                \
            acc[t] = mul_add(all(d * a->d), floats(sum), acc[t]);                                  \
            if (m != 0)                                                                            \
                acc[t] = _mm256_add_ps(                                                            \
                    acc[t], _mm256_zextps128_ps256(_mm_set_ss(m * (a->d * (float)a->sum))));       \
        }                                                                                          \
    }
STEP(q4_0, EngBlockQ4_0, half(b->d), 0)
STEP(q4_1, EngBlockQ4_1, half(b->d), half(b->m))
STEP(q5_0, EngBlockQ5_0, half(b->d), 0)
STEP(q5_1, EngBlockQ5_1, half(b->d), half(b->m))
STEP(q8_0, EngBlockQ8_0, half(b->d), 0)
STEP(iq4_nl, EngBlockIQ4_NL, half(b->d), 0)
STEP(mxfp4, EngBlockMXFP4, eng_e8m0_half(b->e), 0)
#undef STEP

/* ---- tiles ----------------------------------------------------------------------------------- */

/* A tile lies across: lane r of a vector belongs to row r, and a vector holds four neighbouring
 * numbers of eight rows. Sums of 16 bits take `chain` steps before they are widened:
 * chain * 2 * max(q) * 127 < 32768. */
enum { TILE_ROWS = 16, TILE_TOKENS = 4, TILE_BLOCKS = 4, TILE_FROM = 2 };

typedef struct {                   /* up to four blocks of eight rows */
    uint8_t q[TILE_BLOCKS][8][32]; /* [block][numbers / 4][row][4] */
    float d[TILE_BLOCKS][8], m[TILE_BLOCKS][8];
} __attribute__((aligned(64))) Tile;

/* Of TileKind.zero. WIDE: for quants that need all 8 bits. */
enum { SIGNED = -1, MINS = 0, WIDE = WHOLE_GROUPS ? 128 : SIGNED, WIDE_ZERO = ENG_MAX(WIDE, 0) };

typedef struct {
    int zero; /* zero point of unsigned bytes, or one of the above */
    int chain;
} TileKind;

#include "cpu/x86/unpack/pack_legacy.h"

/* Block i of 16 rows with 1 … 4 tokens. */
INLINE void tile_sums(const Tile tile[2], int i, TileKind kind, const char *x, size_t x_stride,
                      int tokens, Ints sum[2][TILE_TOKENS])
{
    UNROLL for (int t = 0; t < tokens; t++) sum[0][t] = sum[1][t] =
        _mm256_set1_epi32(kind.zero > 0 ? -kind.zero * act(x, x_stride, t)[i].sum : 0);
    const int chain = WHOLE_GROUPS ? 8 : kind.chain;
    UNROLL for (int at = 0; at < 8; at += chain)
    {
        Ints part[2][TILE_TOKENS];
        UNROLL for (int c = 0; c < chain; c++)
        {
            UNROLL for (int h = 0; h < 2; h++)
            {
                Ints w = load(tile[h].q[i][at + c]);
                Ints size = kind.zero == SIGNED ? _mm256_abs_epi8(w) : w;
                UNROLL for (int t = 0; t < tokens; t++)
                {
                    const int8_t *q = act(x, x_stride, t)[i].q + 4 * (at + c);
                    Ints four = _mm256_set1_epi32((int)word(q));
                    if (kind.zero == SIGNED) four = _mm256_sign_epi8(four, w);
                    part[h][t] = add_step(part[h][t], c == 0, size, four);
                }
            }
        }
        UNROLL for (int t = 0; t < tokens; t++)
        {
            UNROLL for (int h = 0; h < 2; h++) sum[h][t] = add32(sum[h][t], sums_of(part[h][t]));
        }
    }
}

/* `blocks` blocks; `first` sets y, later blocks add to it. */
INLINE void tile_tokens(const Tile tile[2], int blocks, TileKind kind, const char *x,
                        size_t x_stride, int tokens, bool first, float *y, size_t y_stride)
{
    Floats acc[2][TILE_TOKENS];
    UNROLL for (int t = 0; t < tokens; t++)
    {
        UNROLL for (int h = 0; h < 2; h++) acc[h][t] =
            first ? all(0) : loadf(y + (size_t)t * y_stride + 8 * h);
    }
    for (int i = 0; i < blocks; i++) {
        Ints sum[2][TILE_TOKENS];
        tile_sums(tile, i, kind, x, x_stride, tokens, sum);
        UNROLL for (int t = 0; t < tokens; t++)
        {
            const Act *a = act(x, x_stride, t) + i;
            UNROLL for (int h = 0; h < 2; h++)
            {
                Floats scale = _mm256_mul_ps(loadf(tile[h].d[i]), all(a->d));
                acc[h][t] = mul_add(scale, floats(sum[h][t]), acc[h][t]);
                if (kind.zero == MINS)
                    acc[h][t] = mul_add(loadf(tile[h].m[i]), all(a->d * (float)a->sum), acc[h][t]);
            }
        }
    }
    UNROLL for (int t = 0; t < tokens; t++)
    {
        UNROLL for (int h = 0; h < 2; h++) storef(y + (size_t)t * y_stride + 8 * h, acc[h][t]);
    }
}

typedef void PackFn(const char *w, size_t w_stride, Tile *tile, int i);

/* n_rows a multiple of 16. */
INLINE void tile_matmul(PackFn *pack, TileKind kind, size_t w_size, int64_t n, int n_rows,
                        int n_tokens, const char *w, size_t w_stride, const char *x,
                        size_t x_stride, float *y, size_t y_stride)
{
    int64_t blocks = n / 32, step = 0;
    for (int r = 0; r < n_rows; r += TILE_ROWS)
        for (int64_t i = 0; i < blocks; i += TILE_BLOCKS) {
            Tile tile[2];
            int some = (int)ENG_MIN(blocks - i, TILE_BLOCKS);
            for (int j = 0; j < some; j++, step++) {
                tile_prefetch(step + TILE_BLOCKS, blocks, n_rows, TILE_ROWS, w_size, w, w_stride);
                const char *block = w + (size_t)r * w_stride + (size_t)(i + j) * w_size;
                pack(block, w_stride, tile, j);
                pack(block + 8 * w_stride, w_stride, tile + 1, j);
            }
            const char *xi = x + (size_t)i * sizeof(Act);
            int t = 0;
            for (; t + TILE_TOKENS <= n_tokens; t += TILE_TOKENS)
                tile_tokens(tile, some, kind, xi + (size_t)t * x_stride, x_stride, TILE_TOKENS,
                            i == 0, y + (size_t)t * y_stride + r, y_stride);
            for (; t < n_tokens; t++)
                tile_tokens(tile, some, kind, xi + (size_t)t * x_stride, x_stride, 1, i == 0,
                            y + (size_t)t * y_stride + r, y_stride);
        }
}

#define MATMUL(name, Block, zero, chain)                                                           \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const RowKind row_kind = {step_##name, 32, sizeof(Block), sizeof(Act)};                    \
        const TileKind tile_kind = {zero, chain};                                                  \
        int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;                     \
        tile_matmul(pack_##name, tile_kind, sizeof(Block), n, tiled, n_tokens, w, w_stride, x,     \
                    x_stride, y, y_stride);                                                        \
        if (tiled < n_rows)                                                                        \
            rows_matmul(row_kind, n, n_rows - tiled, n_tokens,                                     \
                        (const char *)w + (size_t)tiled * w_stride, w_stride, x, x_stride,         \
                        y + tiled, y_stride);                                                      \
    }
MATMUL(q4_0, EngBlockQ4_0, 8, 8)
MATMUL(q4_1, EngBlockQ4_1, MINS, 8)
MATMUL(q5_0, EngBlockQ5_0, 16, 4)
MATMUL(q5_1, EngBlockQ5_1, MINS, 4)
MATMUL(q8_0, EngBlockQ8_0, WIDE, 1)
MATMUL(iq4_nl, EngBlockIQ4_NL, WIDE, 1)
MATMUL(mxfp4, EngBlockMXFP4, 16, 4)
#undef MATMUL

void ISA(eng_kernels_dot_legacy)(EngKernels *k)
{
    k->matmul[ENG_TYPE_Q4_0] = matmul_q4_0;
    k->matmul[ENG_TYPE_Q4_1] = matmul_q4_1;
    k->matmul[ENG_TYPE_Q5_0] = matmul_q5_0;
    k->matmul[ENG_TYPE_Q5_1] = matmul_q5_1;
    k->matmul[ENG_TYPE_Q8_0] = matmul_q8_0;
    k->matmul[ENG_TYPE_IQ4_NL] = matmul_iq4_nl;
    k->matmul[ENG_TYPE_MXFP4] = matmul_mxfp4;
}
