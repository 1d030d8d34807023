/* The quants of the codebook formats on AVX-512, 64 at a time, as magnitudes and signs. Included
 * after avx512.h.
 *
 * Grid entries are loaded one by one: the gather instructions are slow on many processors, and
 * became slower where a leak through them had to be closed. */
#ifndef ENG_CPU_X86_UNPACK_QUANTS_IQ_H
#define ENG_CPU_X86_UNPACK_QUANTS_IQ_H

#include "cpu/x86/avx512.h"
#include "cpu/x86/unpack/iq.h"
#include "load/unpack_iq.h"

typedef struct {
    __m128i s;         /* 16 signed scales, one per group of 16 */
    uint64_t minus[4]; /* a bit per number; IQ1: in the low bits, one per eight numbers */
    float d;
} Head;

typedef struct {
    Ints size; /* 64 magnitudes */
    __mmask64 minus;
} Quants;

/* ---- heads ----------------------------------------------------------------------------------- */

INLINE __m256i wide8(const uint64_t *p) { return _mm256_set1_epi64x((long long)*p); }
INLINE __m128i wide4(const uint32_t *p) { return _mm_set1_epi32((int)*p); }

/* The eighth sign of each byte's seven is their parity. */
INLINE void put_signs_of_7(Head *h, __m256i seven)
{
    const __m256i four = _mm256_set1_epi8(15),
                  odd_bits = _mm256_broadcastsi128_si256(_mm_setr_epi8(
                      0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128, -128, 0));
    __m256i low = _mm256_shuffle_epi8(odd_bits, _mm256_and_si256(seven, four));
    __m256i high =
        _mm256_shuffle_epi8(odd_bits, _mm256_and_si256(_mm256_srli_epi16(seven, 4), four));
    seven = _mm256_or_si256(seven, _mm256_xor_si256(low, high));
    _mm256_storeu_si256((__m256i *)h->minus, seven);
}

/* mask ? a : b */
INLINE __m256i choose(uint32_t mask, __m256i a, __m256i b)
{
    return _mm256_ternarylogic_epi32(_mm256_set1_epi32((int)mask), a, b, 0xca);
}

/* Eight words: four times seven bits of signs, four bits of scale. */
INLINE void put_signs_and_scales(Head *h, __m256i words)
{
    __m256i first = choose(0x7f, words, _mm256_slli_epi32(words, 1));
    __m256i last = choose(0x7f0000, _mm256_slli_epi32(words, 2), _mm256_slli_epi32(words, 3));
    put_signs_of_7(h, _mm256_and_si256(choose(0x7fff, first, last), _mm256_set1_epi8(127)));
    h->s = doubled(odd(_mm256_cvtepi32_epi8(_mm256_srli_epi32(words, 28))));
}

INLINE Head head_iq2_xxs(const EngBlockIQ2_XXS *b)
{
    Head h = {.d = half(b->d) * 0.125f};
    put_signs_and_scales(&h, _mm512_cvtepi64_epi32(_mm512_srli_epi64(load(b->qs), 32)));
    return h;
}

INLINE Head head_iq2_xs(const EngBlockIQ2_XS *b)
{
    Head h = {.d = half(b->d) * 0.125f, .s = odd(nibbles(load8(b->scales)))};
    Ints qs = load(b->qs);
    put_signs_of_7(&h, _mm512_cvtepi16_epi8(_mm512_srli_epi16(qs, 9)));
    return h;
}

INLINE Head head_iq2_s(const EngBlockIQ2_S *b)
{
    Head h = {.d = half(b->d) * 0.125f, .s = odd(nibbles(load8(b->scales)))};
    memcpy(h.minus, b->signs, 32);
    return h;
}

INLINE Head head_iq3_xxs(const EngBlockIQ3_XXS *b)
{
    Head h = {.d = half(b->d) * 0.25f};
    put_signs_and_scales(&h, load32(b->signs));
    return h;
}

INLINE Head head_iq3_s(const EngBlockIQ3_S *b)
{
    Head h = {.d = half(b->d), .s = scales_iq3_s(b->scales)};
    memcpy(h.minus, b->signs, 32);
    return h;
}

INLINE Head head_iq1_s(const EngBlockIQ1_S *b)
{
    __m128i qh = load16(b->qh);
    Head h = {.d = half(b->d) * 0.125f, .s = scales_iq1_s(qh)};
    h.minus[0] = _pdep_u32(_mm_movepi16_mask(qh), 0x11111111) * 15;
    return h;
}

INLINE Head head_iq1_m(const EngBlockIQ1_M *b)
{
    Head h = {.d = half(eng_d_iq1_m(b)) * 0.125f};
    uint64_t scales, each = 0x0707070707070707;
    memcpy(&scales, b->scales, sizeof scales);
    scales = _pext_u64(scales, 0x0fff0fff0fff0fff);
    h.s = odd(_mm_set_epi64x((long long)_pdep_u64(scales >> 24, each),
                             (long long)_pdep_u64(scales, each)));
    h.minus[0] =
        _pdep_u64((uint64_t)_mm_movepi8_mask(_mm_slli_epi16(load16(b->qh), 4)), 0x55555555) |
        _pdep_u64((uint64_t)_mm_movepi8_mask(load16(b->qh)), 0xaaaaaaaa);
    return h;
}

INLINE Head head_iq4_xs(const EngBlockIQ4_XS *b)
{
    return (Head){.d = half(b->d), .s = scales_iq4_xs(b)};
}

/* ---- quants 64 v … 64 v + 63 ----------------------------------------------------------------- */

/* Four entries. A broadcast from memory needs no more than the load, and blends run on more ports
 * than inserts do. */
INLINE __m256i four_of_8(const uint64_t *a, const uint64_t *b, const uint64_t *c, const uint64_t *d)
{
    __m256i low = _mm256_blend_epi32(wide8(a), wide8(b), 0x0c);
    return _mm256_blend_epi32(low, _mm256_blend_epi32(wide8(c), wide8(d), 0xc0), 0xf0);
}

INLINE __m128i four_of_4(const uint32_t *a, const uint32_t *b, const uint32_t *c, const uint32_t *d)
{
    __m128i low = _mm_blend_epi32(wide4(a), wide4(b), 2);
    return _mm_blend_epi32(low, _mm_blend_epi32(wide4(c), wide4(d), 8), 12);
}

INLINE Ints both(__m256i low, __m256i high)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* Eight entries of eight numbers; INDEX(i) is the index of the i-th. */
#define EIGHT(grid, INDEX)                                                                         \
    both(four_of_8(grid + INDEX(0), grid + INDEX(1), grid + INDEX(2), grid + INDEX(3)),            \
         four_of_8(grid + INDEX(4), grid + INDEX(5), grid + INDEX(6), grid + INDEX(7)))

/* Sixteen entries of four numbers. */
#define FOUR(grid, INDEX, i)                                                                       \
    four_of_4(grid + INDEX(i), grid + INDEX(i + 1), grid + INDEX(i + 2), grid + INDEX(i + 3))
#define SIXTEEN(grid, INDEX)                                                                       \
    both(_mm256_set_m128i(FOUR(grid, INDEX, 4), FOUR(grid, INDEX, 0)),                             \
         _mm256_set_m128i(FOUR(grid, INDEX, 12), FOUR(grid, INDEX, 8)))

/* Four indices of 16 bits: bytes, and above them the bits of `high` that `places` has room for. */
INLINE uint64_t four_indices(const uint8_t *low, uint32_t high, uint64_t places)
{
    return _pdep_u64(word(low), 0x00ff00ff00ff00ff) | _pdep_u64(high, places);
}

#define FOUR_PLACES(bits) ((bits)*0x0001000100010001u)
#define INDEX(i) (uint16_t)(four[(i) / 4] >> 16 * ((i) % 4))

INLINE Quants quants_iq2_xxs(const EngBlockIQ2_XXS *b, const Head *h, int v)
{
#define AT(i) b->qs[16 * v + (i) / 4 * 8 + (i) % 4]
    return (Quants){EIGHT(eng_grid_iq2_xxs, AT), h->minus[v]};
#undef AT
}

INLINE Quants quants_iq2_xs(const EngBlockIQ2_XS *b, const Head *h, int v)
{
#define AT(i) (b->qs[8 * v + (i)] & 511)
    return (Quants){EIGHT(eng_grid_iq2_xs, AT), h->minus[v]};
#undef AT
}

INLINE Quants quants_iq2_s(const EngBlockIQ2_S *b, const Head *h, int v)
{
    uint64_t four[2];
    UNROLL for (int i = 0; i < 2; i++) four[i] =
        four_indices(b->qs + 8 * v + 4 * i, b->qh[2 * v + i], FOUR_PLACES(0x300));
    return (Quants){EIGHT(eng_grid_iq2_s, INDEX), h->minus[v]};
}

INLINE Quants quants_iq3_xxs(const EngBlockIQ3_XXS *b, const Head *h, int v)
{
#define AT(i) b->qs[16 * v + (i)]
    return (Quants){SIXTEEN(eng_grid_iq3_xxs, AT), h->minus[v]};
#undef AT
}

INLINE Quants quants_iq3_s(const EngBlockIQ3_S *b, const Head *h, int v)
{
    /* Through memory: so many indices are more than pdep and shifts can take apart, and a compiler
     * that keeps them in a register takes it apart word by word. */
    uint16_t index[16] __attribute__((aligned(32))), top;
    memcpy(&top, b->qh + 2 * v, sizeof top);
    __m256i high = _mm256_maskz_set1_epi16(top, 0x100);
    high = _mm256_or_si256(high, _mm256_cvtepu8_epi16(load16(b->qs + 16 * v)));
    _mm256_store_si256((__m256i *)index, high);
    __asm__("" : "+m"(index));
#define AT(i) index[i]
    return (Quants){SIXTEEN(eng_grid_iq3_s, AT), h->minus[v]};
#undef AT
}

INLINE Quants quants_iq1(const uint64_t four[2], const Head *h, int v)
{
    __mmask8 down = (__mmask8)(h->minus[0] >> 8 * v);
    Ints delta = _mm512_mask_blend_epi64(down, bytes(1), bytes(-1));
    Ints q = _mm512_add_epi8(EIGHT(eng_grid_iq1, INDEX), delta);
    return (Quants){_mm512_abs_epi8(q), _mm512_movepi8_mask(q)};
}

INLINE Quants quants_iq1_s(const EngBlockIQ1_S *b, const Head *h, int v)
{
    uint64_t four[2];
    UNROLL for (int i = 0; i < 2; i++) four[i] =
        four_indices(b->qs + 8 * v + 4 * i, b->qh[2 * v + i], FOUR_PLACES(0x700));
    return quants_iq1(four, h, v);
}

INLINE Quants quants_iq1_m(const EngBlockIQ1_M *b, const Head *h, int v)
{
    uint64_t four[2];
    UNROLL for (int i = 0; i < 2; i++)
    {
        const uint8_t *qh = b->qh + 4 * v + 2 * i; /* of each nibble, its top bit is not index */
        four[i] = four_indices(b->qs + 8 * v + 4 * i, (uint32_t)(qh[0] | qh[1] << 8),
                               FOUR_PLACES(0xf00)) &
                  FOUR_PLACES(0x7ff);
    }
    return quants_iq1(four, h, v);
}

INLINE Quants quants_iq4_xs(const EngBlockIQ4_XS *b, const Head *h, int v)
{
    (void)h;
    /* 16 bytes are 16 numbers in their low and 16 in their high nibbles */
    Ints qs = _mm512_castsi256_si512(load32(b->qs + 32 * v));
    Ints index = and(
        _mm512_srlv_epi64(_mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), qs),
                          _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4)),
        bytes(15));
    Ints sizes = _mm512_broadcast_i32x4(_mm_abs_epi8(load16(eng_values_iq4)));
    return (Quants){lookup(sizes, index), _mm512_testn_epi8_mask(index, bytes(8))};
}

INLINE Ints negated(Ints a, __mmask64 where) { return _mm512_mask_sub_epi8(a, where, zero(), a); }

/* ---- sixteen rows ---------------------------------------------------------------------------- */

typedef struct { /* a block of each, before it is turned into a tile */
    int8_t q[16][256];
    int8_t s[16][16]; /* [row][group of 16, or of 32 and then eight of them] */
} __attribute__((aligned(64))) Block16;

/* `group` a constant. */
#define ROWS(name, Block)                                                                          \
    INLINE void rows_##name(const char *w, size_t w_stride, int group, float d[16], Block16 *to)   \
    {                                                                                              \
        for (int r = 0; r < 16; r++, w += w_stride) {                                              \
            const Block *b = (const Block *)w;                                                     \
            Head h = head_##name(b);                                                               \
            d[r] = h.d;                                                                            \
            if (group == 32) h.s = every_second(h.s);                                              \
            _mm_store_si128((__m128i *)to->s[r], h.s);                                             \
            UNROLL for (int v = 0; v < 4; v++)                                                     \
            {                                                                                      \
                Quants q = quants_##name(b, &h, v);                                                \
                store(to->q[r] + 64 * v, negated(q.size, q.minus));                                \
            }                                                                                      \
        }                                                                                          \
    }
ROWS(iq1_s, EngBlockIQ1_S)
ROWS(iq1_m, EngBlockIQ1_M)
ROWS(iq2_xxs, EngBlockIQ2_XXS)
ROWS(iq2_xs, EngBlockIQ2_XS)
ROWS(iq2_s, EngBlockIQ2_S)
ROWS(iq3_xxs, EngBlockIQ3_XXS)
ROWS(iq3_s, EngBlockIQ3_S)
ROWS(iq4_xs, EngBlockIQ4_XS)
#undef ROWS

#endif
