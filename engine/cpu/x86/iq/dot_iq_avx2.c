/* Matrix products with the codebook formats of 256 numbers. Few tokens: 32 quants at a time become
 * signed bytes, and their signs go to the activations, for pairs_u8 wants one unsigned operand: its
 * largest sum of two products is IQ4_XS's 2 * 127 * 127 = 32258, below 2^15. Many tokens: tiles,
 * whose bytes count from a zero point that keeps the same bound; only IQ4_XS reaches too far for
 * one without VNNI. */
#include "cpu/x86/k_avx2.h"
#include "cpu/x86/unpack/iq.h"
#include "cpu/x86/ladder.h"
#include "load/unpack_iq.h"

typedef struct {
    __m128i s;         /* 16 signed scales, one per group of 16 */
    uint8_t minus[32]; /* a bit per number; IQ1: a byte per eight numbers, what they move by */
    float d;
} Head;

/* ---- heads ----------------------------------------------------------------------------------- */

/* Eight numbers of 32 bits that fit in a byte. */
INLINE __m128i bytes_of_8(Ints a)
{
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    return _mm_packus_epi16(words, words);
}

/* The eighth sign of each byte's seven is their parity. */
INLINE void put_signs_of_7(Head *h, Ints seven)
{
    const Ints odd_bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
    Ints low = lookup(odd_bits, and(seven, bytes(15)));
    Ints high = lookup(odd_bits, and(right(seven, 4), bytes(15)));
    store(h->minus, or (seven, _mm256_xor_si256(low, high)));
}

/* Eight words: four times seven bits of signs, four bits of scale. */
INLINE void put_signs_and_scales(Head *h, Ints words)
{
    Ints first =
        or (and(words, _mm256_set1_epi32(0x7f)), and(left(words, 1), _mm256_set1_epi32(0x7f00)));
    Ints last = or (and(left(words, 2), _mm256_set1_epi32(0x7f0000)),
                    and(left(words, 3), _mm256_set1_epi32(0x7f000000)));
    put_signs_of_7(h, or (first, last));
    h->s = doubled(odd(bytes_of_8(right(words, 28))));
}

INLINE Head head_iq2_xxs(const EngBlockIQ2_XXS *b)
{
    Head h = {.d = half(b->d) * 0.125f};
    __m256 first = _mm256_castsi256_ps(load(b->qs)), last = _mm256_castsi256_ps(load(b->qs + 32));
    Ints words = _mm256_castps_si256(_mm256_shuffle_ps(first, last, 0xdd)); /* the odd ones */
    put_signs_and_scales(&h, _mm256_permute4x64_epi64(words, 0xd8));
    return h;
}

INLINE Head head_iq2_xs(const EngBlockIQ2_XS *b)
{
    Head h = {.d = half(b->d) * 0.125f, .s = odd(nibbles(load8(b->scales)))};
    Ints first = _mm256_srli_epi16(load(b->qs), 9), last = _mm256_srli_epi16(load(b->qs + 16), 9);
    put_signs_of_7(&h, _mm256_permute4x64_epi64(_mm256_packus_epi16(first, last), 0xd8));
    return h;
}

INLINE Head head_iq2_s(const EngBlockIQ2_S *b)
{
    Head h = {.d = half(b->d) * 0.125f, .s = odd(nibbles(load8(b->scales)))};
    store(h.minus, load(b->signs));
    return h;
}

INLINE Head head_iq3_xxs(const EngBlockIQ3_XXS *b)
{
    Head h = {.d = half(b->d) * 0.25f};
    put_signs_and_scales(&h, load(b->signs));
    return h;
}

INLINE Head head_iq3_s(const EngBlockIQ3_S *b)
{
    Head h = {.d = half(b->d), .s = scales_iq3_s(b->scales)};
    store(h.minus, load(b->signs));
    return h;
}

/* -1 where the top bit of a byte is set, else 1. */
INLINE Ints deltas(Ints tops)
{
    return or (_mm256_cmpgt_epi8(_mm256_setzero_si256(), tops), bytes(1));
}

INLINE Head head_iq1_s(const EngBlockIQ1_S *b)
{
    const __m128i upper = _mm_setr_epi8(1, 1, 1, 1, 3, 3, 3, 3, 5, 5, 5, 5, 7, 7, 7, 7);
    __m128i qh = load16(b->qh);
    Head h = {.d = half(b->d) * 0.125f, .s = scales_iq1_s(qh)};
    Ints tops = join(_mm_shuffle_epi8(qh, upper),
                     _mm_shuffle_epi8(qh, _mm_add_epi8(upper, _mm_set1_epi8(8))));
    store(h.minus, deltas(tops));
    return h;
}

INLINE Head head_iq1_m(const EngBlockIQ1_M *b)
{
    Head h = {.d = half(eng_d_iq1_m(b)) * 0.125f};
    int8_t s[16];
    UNROLL for (int g = 0; g < 16; g++) s[g] =
        (int8_t)(2 * (b->scales[g / 4] >> (g % 4 * 3) & 7) + 1);
    h.s = load16(s);
    __m128i qh = load16(b->qh), low = _mm_slli_epi16(qh, 4);
    store(h.minus, deltas(join(_mm_unpacklo_epi8(low, qh), _mm_unpackhi_epi8(low, qh))));
    return h;
}

INLINE Head head_iq4_xs(const EngBlockIQ4_XS *b)
{
    return (Head){.d = half(b->d), .s = scales_iq4_xs(b)};
}

/* ---- quants 32 v … 32 v + 31, signed --------------------------------------------------------- */

/* Four entries of eight numbers, eight of four. A broadcast from memory needs no more than the
 * load, and blends run on more ports than inserts do. */
#define WIDE8(p) _mm256_set1_epi64x((long long)*(p))
#define FOUR(grid, INDEX)                                                                          \
    _mm256_blend_epi32(_mm256_blend_epi32(WIDE8(grid + INDEX(0)), WIDE8(grid + INDEX(1)), 0x0c),   \
                       _mm256_blend_epi32(WIDE8(grid + INDEX(2)), WIDE8(grid + INDEX(3)), 0xc0),   \
                       0xf0)
#define WIDE4(p) _mm256_set1_epi32((int)*(p))
#define TWO4(grid, INDEX, i)                                                                       \
    _mm256_blend_epi32(WIDE4(grid + INDEX(i)), WIDE4(grid + INDEX(i + 1)), 2 << i)
#define EIGHT(grid, INDEX)                                                                         \
    _mm256_blend_epi32(_mm256_blend_epi32(TWO4(grid, INDEX, 0), TWO4(grid, INDEX, 2), 0x0c),       \
                       _mm256_blend_epi32(TWO4(grid, INDEX, 4), TWO4(grid, INDEX, 6), 0xc0), 0xf0)

/* Each of four bytes eight times. */
INLINE Ints eight_times(const uint8_t four[4])
{
    const Ints spread =
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    return lookup(_mm256_set1_epi32((int)word(four)), spread);
}

/* Minus where a bit of four bytes of signs is set. */
INLINE Ints with_signs(Ints size, const uint8_t signs[4])
{
    const Ints bit = _mm256_set1_epi64x((long long)0x8040201008040201u);
    Ints minus = _mm256_cmpeq_epi8(and(eight_times(signs), bit), bit);
    return sub8(_mm256_xor_si256(size, minus), minus);
}

INLINE Ints quants_iq2_xxs(const EngBlockIQ2_XXS *b, const Head *h, int v)
{
#define AT(i) b->qs[8 * v + (i)]
    return with_signs(FOUR(eng_grid_iq2_xxs, AT), h->minus + 4 * v);
#undef AT
}

INLINE Ints quants_iq2_xs(const EngBlockIQ2_XS *b, const Head *h, int v)
{
#define AT(i) (b->qs[4 * v + (i)] & 511)
    return with_signs(FOUR(eng_grid_iq2_xs, AT), h->minus + 4 * v);
#undef AT
}

INLINE Ints quants_iq2_s(const EngBlockIQ2_S *b, const Head *h, int v)
{
    int high = b->qh[v] << 8;
#define AT(i) (b->qs[4 * v + (i)] | (high >> 2 * (i)&0x300))
    return with_signs(FOUR(eng_grid_iq2_s, AT), h->minus + 4 * v);
#undef AT
}

INLINE Ints quants_iq3_xxs(const EngBlockIQ3_XXS *b, const Head *h, int v)
{
#define AT(i) b->qs[8 * v + (i)]
    return with_signs(EIGHT(eng_grid_iq3_xxs, AT), h->minus + 4 * v);
#undef AT
}

INLINE Ints quants_iq3_s(const EngBlockIQ3_S *b, const Head *h, int v)
{
    int high = b->qh[v] << 8;
#define AT(i) (b->qs[8 * v + (i)] | (high >> (i)&0x100))
    return with_signs(EIGHT(eng_grid_iq3_s, AT), h->minus + 4 * v);
#undef AT
}

INLINE Ints quants_iq1_s(const EngBlockIQ1_S *b, const Head *h, int v)
{
    int high = b->qh[v] << 8;
#define AT(i) (b->qs[4 * v + (i)] | (high >> 3 * (i)&0x700))
    return _mm256_add_epi8(FOUR(eng_grid_iq1, AT), eight_times(h->minus + 4 * v));
#undef AT
}

INLINE Ints quants_iq1_m(const EngBlockIQ1_M *b, const Head *h, int v)
{
    int high = (b->qh[2 * v] | b->qh[2 * v + 1] << 8) << 8;
#define AT(i) (b->qs[4 * v + (i)] | (high >> 4 * (i)&0x700))
    return _mm256_add_epi8(FOUR(eng_grid_iq1, AT), eight_times(h->minus + 4 * v));
#undef AT
}

INLINE Ints quants_iq4_xs(const EngBlockIQ4_XS *b, const Head *h, int v)
{
    (void)h;
    __m128i both = load16(b->qs + 16 * v);
    Ints index = and(join(both, _mm_srli_epi16(both, 4)), bytes(15));
    return lookup(_mm256_broadcastsi128_si256(load16(eng_values_iq4)), index);
}

/* ---- rows and tiles -------------------------------------------------------------------------- */

typedef struct { /* a block of eight rows, before it is turned */
    int8_t q[8][256], s[8][16];
} __attribute__((aligned(64))) Block8;

/* shift: the zero point is 2^shift; 0: none. */
INLINE void turn(const Block8 *rows, int group, int shift, Tile *tile)
{
    Ints four[4];
    for (int i = 0; i < 16; i++) {
        columns((const char *)rows->q[0] + 16 * i, sizeof rows->q[0], four);
        UNROLL for (int j = 0; j < 4; j++) store(
            tile->q[4 * i + j], shift ? _mm256_add_epi8(four[j], bytes(1 << shift)) : four[j]);
    }
    columns((const char *)rows->s[0], sizeof rows->s[0], four);
    const int fours = 64 / group;
    UNROLL for (int i = 0; i < fours; i++)
    {
        put_scales(tile, 4 * i, four[i]);
        put_zeros(tile, 4 * i, four[i], shift);
    }
}

/* Few tokens gain little from AVX-VNNI, for most of their work is to find the quants. */
INLINE void tiles_or_below(PackFn *pack, TileKind kind, size_t w_size, EngMatmulFn *below,
                           int64_t n, int n_rows, int n_tokens, const char *w, size_t w_stride,
                           const void *x, size_t x_stride, float *y, size_t y_stride)
{
    int tiled = n_tokens < TILE_FROM ? 0 : n_rows / TILE_ROWS * TILE_ROWS;
    tile_matmul(pack, kind, w_size, n, tiled, n_tokens, w, w_stride, x, x_stride, y, y_stride);
    if (tiled < n_rows)
        below(n, n_rows - tiled, n_tokens, w + (size_t)tiled * w_stride, w_stride, x, x_stride,
              y + tiled, y_stride);
}

#define KERNEL(name, Block, group, chain, shift)                                                   \
    INLINE void step_##name(const char *w, const char *x, size_t x_stride, int tokens,             \
                            Floats *acc)                                                           \
    {                                                                                              \
        const Block *b = (const Block *)w;                                                         \
        Head h = head_##name(b);                                                                   \
        Ints scales = scales_of_16(h.s), sum[4];                                                   \
        UNROLL for (int t = 0; t < tokens; t++) sum[t] = _mm256_setzero_si256();                   \
        UNROLL for (int v = 0; v < 8; v++)                                                         \
        {                                                                                          \
            Ints q = quants_##name(b, &h, v), size = _mm256_abs_epi8(q), s = scales_at(scales, v); \
            UNROLL for (int t = 0; t < tokens; t++)                                                \
            {                                                                                      \
                Ints x8 = _mm256_sign_epi8(load(act(x, x_stride, t)->q + 32 * v), q);              \
                sum[t] = add_pairs(sum[t], s, pairs_u8(size, x8));                                 \
            }                                                                                      \
        }                                                                                          \
        UNROLL for (int t = 0; t < tokens; t++) acc[t] =                                           \
            mul_add(all(h.d * act(x, x_stride, t)->d), floats(sum[t]), acc[t]);                    \
    }                                                                                              \
    INLINE void pack_##name(const char *w, size_t w_stride, Tile *tile)                            \
    {                                                                                              \
        Block8 rows;                                                                               \
        for (int r = 0; r < 8; r++, w += w_stride) {                                               \
            const Block *b = (const Block *)w;                                                     \
            Head h = head_##name(b);                                                               \
            tile->d[r] = h.d;                                                                      \
            if (group == 32) h.s = every_second(h.s);                                              \
            _mm_store_si128((__m128i *)rows.s[r], h.s);                                            \
            UNROLL for (int v = 0; v < 8; v++) store(rows.q[r] + 32 * v, quants_##name(b, &h, v)); \
        }                                                                                          \
        turn(&rows, group, shift, tile);                                                           \
    }                                                                                              \
    static EngMatmulFn *below_##name; /* of the level below; written when tables are filled */     \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const RowKind row_kind = {step_##name, 256, sizeof(Block), sizeof(EngBlockQ8_KA)};         \
        const TileKind tile_kind = {group, chain, shift ? FORM_ZERO : FORM_SIGNED};                \
        if (WHOLE_GROUPS)                                                                          \
            tiles_or_below(pack_##name, tile_kind, sizeof(Block), below_##name, n, n_rows,         \
                           n_tokens, w, w_stride, x, x_stride, y, y_stride);                       \
        else                                                                                       \
            k_matmul(pack_##name, tile_kind, row_kind, n, n_rows, n_tokens, w, w_stride, x,        \
                     x_stride, y, y_stride);                                                       \
    }
enum { WIDE_SHIFT = WHOLE_GROUPS ? 7 : 0 };
/* Largest bytes, for chain * 2 * 127 times them: 25, 107, 126, 31. */
KERNEL(iq1_s, EngBlockIQ1_S, 32, 4, 4)
KERNEL(iq1_m, EngBlockIQ1_M, 16, 4, 4)
KERNEL(iq2_xxs, EngBlockIQ2_XXS, 32, 1, 6)
KERNEL(iq2_xs, EngBlockIQ2_XS, 16, 1, 6)
KERNEL(iq2_s, EngBlockIQ2_S, 16, 1, 6)
KERNEL(iq3_xxs, EngBlockIQ3_XXS, 32, 1, 6)
KERNEL(iq3_s, EngBlockIQ3_S, 32, 4, 4)
KERNEL(iq4_xs, EngBlockIQ4_XS, 32, 1, WIDE_SHIFT)
#undef KERNEL

void ISA(eng_kernels_dot_iq)(EngKernels *k)
{
#define SET(TYPE, name) below_##name = k->matmul[TYPE], k->matmul[TYPE] = matmul_##name
    EACH_IQ(SET)
#undef SET
}
