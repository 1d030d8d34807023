/* One token and the 32-number blocks on AVX-512 with VNNI: four rows at once, two blocks of each at
 * a time, a half of each vector per block.
 *
 * Quants are unsigned, and sums of those that count from a zero point start at -zero * sum(qx),
 * lane by lane, so that they are exact. */
#ifndef ENG_CPU_X86_FOUR_LEGACY_AVX512_H
#define ENG_CPU_X86_FOUR_LEGACY_AVX512_H

#include "cpu/x86/avx512.h"
#include "cpu/x86/rows.h"
#include "load/unpack_iq.h"

typedef struct {
    size_t size, qs, qh;  /* bytes of a block, and where in it; qh 0: no fifth bits */
    int zero;             /* zero point; 0: the format has minima */
    const int8_t *values; /* what nibbles mean; NULL: themselves less zero */
    bool power;           /* the scale is a power of two */
} FourKind;

typedef struct {
    Ints x, start;
    Floats d, sum; /* sum: of the activations, in one lane of each half */
} FourAct;

/* Scales of MXFP4; filled with the tables. */
static float powers[256];

INLINE Ints halves(__m256i low, __m256i high)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

INLINE Floats halves_all(float low, float high)
{
    return _mm512_mask_blend_ps(0xff00, all(low), all(high));
}

/* Where `one`, the second block is missing: it weighs nothing. */
INLINE FourAct four_act(const EngBlockQ8_0A *a, bool one, int zero_point)
{
    const EngBlockQ8_0A *b = one ? a : a + 1;
    FourAct f = {.x = halves(load32(a->q), load32(b->q)), .d = halves_all(a->d, one ? 0 : b->d)};
    if (zero_point)
        f.start = sub32(zero(), add_fours(zero(), bytes(zero_point), f.x));
    else
        f.sum = _mm512_maskz_mul_ps(0x0202, f.d, halves_all((float)a->sum, (float)b->sum));
    return f;
}

INLINE Ints both_nibbles(const char *low, const char *high)
{
    Ints qs =
        halves(_mm256_broadcastsi128_si256(load16(low)), _mm256_broadcastsi128_si256(load16(high)));
    const Ints shifts = _mm512_setr_epi64(0, 0, 4, 4, 0, 0, 4, 4);
    return and(_mm512_srlv_epi64(qs, shifts), bytes(15));
}

/* d in each lane, or d and m in turn. */
INLINE Floats both_d(FourKind kind, const char *low, const char *high)
{
    if (kind.power)
        return halves_all(powers[*(const uint8_t *)low], powers[*(const uint8_t *)high]);
    __m128i a, b;
    if (kind.zero) {
        a = _mm_set1_epi16(*(const int16_t *)low);
        b = _mm_set1_epi16(*(const int16_t *)high);
    } else {
        a = _mm_set1_epi32((int)word(low));
        b = _mm_set1_epi32((int)word(high));
    }
    return _mm512_cvtph_ps(_mm256_set_m128i(b, a));
}

INLINE Floats four_step(FourKind kind, const char *w, size_t next, const FourAct *a, Floats acc)
{
    Ints q = both_nibbles(w + kind.qs, w + next + kind.qs);
    if (kind.values) {
        Ints values = add8(in_lanes(load16(kind.values)), bytes(kind.zero));
        q = lookup(values, q);
    }
    if (kind.qh) {
        uint64_t top = word(w + kind.qh) | (uint64_t)word(w + next + kind.qh) << 32;
        q = _mm512_mask_add_epi8(q, top, q, bytes(16));
    }
    Floats d = both_d(kind, w, w + next);
    if (!kind.zero) {
        acc = mul_add(d, a->sum, acc);
        d = _mm512_moveldup_ps(d);
    }
    Floats sums = floats(add_fours(kind.zero ? a->start : zero(), q, a->x));
    return mul_add(mul(d, a->d), sums, acc);
}

/* Rows in four streams, as in rows.h. A row gives the same result in whichever four it is: rows
 * that are left over are computed with the last one in the empty places. */
INLINE void four_matvec(FourKind kind, int64_t n, int n_rows, const char *w, size_t w_stride,
                        const char *x, float *y)
{
    int quarter = (n_rows + ROW_STREAMS - 1) / ROW_STREAMS;
    int64_t blocks = n / 32;
    for (int r = 0; r < quarter; r++) {
        const char *at[ROW_STREAMS];
        Floats acc[ROW_STREAMS];
        UNROLL for (int s = 0; s < ROW_STREAMS; s++)
        {
            acc[s] = all(0);
            at[s] = w + (size_t)ENG_MIN(r + s * quarter, n_rows - 1) * w_stride;
        }
        const EngBlockQ8_0A *xi = (const EngBlockQ8_0A *)x;
        for (int64_t i = 0; i + 2 <= blocks; i += 2, xi += 2) {
            FourAct a = four_act(xi, false, kind.zero);
            UNROLL for (int s = 0; s < ROW_STREAMS; s++)
            {
                rows_prefetch(at[s], 2 * kind.size);
                acc[s] = four_step(kind, at[s], kind.size, &a, acc[s]);
                at[s] += 2 * kind.size;
            }
        }
        if (blocks % 2) {
            FourAct a = four_act(xi, true, kind.zero);
            UNROLL for (int s = 0; s < ROW_STREAMS; s++)
            {
                rows_prefetch(at[s], kind.size);
                acc[s] = four_step(kind, at[s], 0, &a, acc[s]);
            }
        }
        float part[ROW_STREAMS];
        _mm_storeu_ps(part, four_totals(acc));
        for (int s = 0; s < ROW_STREAMS && r + s * quarter < n_rows; s++)
            y[r + s * quarter] = part[s];
    }
}

/* DO(name, kind). */
#define EACH_FOUR(DO)                                                                              \
    DO(q4_0, ((FourKind){sizeof(EngBlockQ4_0), 2, 0, 8, NULL, false}))                             \
    DO(q4_1, ((FourKind){sizeof(EngBlockQ4_1), 4, 0, 0, NULL, false}))                             \
    DO(q5_0, ((FourKind){sizeof(EngBlockQ5_0), 6, 2, 16, NULL, false}))                            \
    DO(q5_1, ((FourKind){sizeof(EngBlockQ5_1), 8, 4, 0, NULL, false}))                             \
    DO(iq4_nl, ((FourKind){sizeof(EngBlockIQ4_NL), 2, 0, 128, eng_values_iq4, false}))             \
    DO(mxfp4, ((FourKind){sizeof(EngBlockMXFP4), 1, 0, 16, eng_values_mxfp4, true}))

#define FOUR(name, kind)                                                                           \
    static void four_##name(int64_t n, int n_rows, const char *w, size_t w_stride, const char *x,  \
                            float *y)                                                              \
    {                                                                                              \
        four_matvec(kind, n, n_rows, w, w_stride, x, y);                                           \
    }
EACH_FOUR(FOUR)
#undef FOUR
#undef EACH_FOUR

static void powers_fill(void)
{
    for (int e = 0; e < 256; e++) powers[e] = eng_e8m0_half((uint8_t)e);
}

#endif
