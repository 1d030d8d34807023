/* Activations to bytes, in both block sizes. */
#include "cpu/families.h"
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"

/* As eng_finite_amax, over a multiple of 32 numbers. */
INLINE float finite_amax(const float *x, int n)
{
    const Ints magnitude = _mm256_set1_epi32(0x7fffffff);
    Ints most = _mm256_setzero_si256();
    for (int i = 0; i < n; i += 8) most = _mm256_max_epi32(most, and(load(x + i), magnitude));
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    uint32_t bits = (uint32_t)_mm_cvtsi128_si32(m);
    return eng_f32_from_bits(bits >= 0x7f800000 ? 0x7fc00000 : bits);
}

/* 32 numbers to bytes. Where the factor is 0 a number that is not finite must not matter. */
INLINE Ints quantize_32(const float *x, float factor)
{
    Floats by = all(factor);
    Ints some = _mm256_set1_epi32(factor == 0 ? 0 : -1), part[4];
    UNROLL for (int i = 0; i < 4; i++) part[i] =
        and(some, _mm256_cvtps_epi32(_mm256_mul_ps(loadf(x + 8 * i), by)));
    Ints low = _mm256_packs_epi32(part[0], part[1]), high = _mm256_packs_epi32(part[2], part[3]);
    /* packs works within halves: put the groups of four bytes in order */
    const Ints order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
}

/* 16 sums of two neighbours in 16 bits. */
INLINE Ints sums_of_2(Ints q) { return pairs_u8(bytes(1), q); }

static void quantize_q8_0(const float *x, void *y, int64_t n)
{
    EngBlockQ8_0A *b = y;
    for (int64_t i = 0; i < n / 32; i++, b++, x += 32) {
        float amax = finite_amax(x, 32);
        Ints q = quantize_32(x, eng_quant_factor(amax));
        Ints sums = pairs_16(sums_of_2(q), _mm256_set1_epi16(1));
        __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
        b->d = amax / 127.0f;
        b->sum = _mm_cvtsi128_si32(s);
        store(b->q, q);
    }
}

static void quantize_q8_k(const float *x, void *y, int64_t n)
{
    EngBlockQ8_KA *b = y;
    for (int64_t i = 0; i < n / 256; i++, b++, x += 256) {
        float amax = finite_amax(x, 256), factor = eng_quant_factor(amax);
        b->d = amax / 127.0f;
        for (int v = 0; v < 8; v++) {
            Ints q = quantize_32(x + 32 * v, factor), s = sums_of_2(q);
            s = _mm256_hadd_epi16(s, s);
            s = _mm256_hadd_epi16(s, s);
            s = _mm256_hadd_epi16(s, s); /* each half: its 16 numbers' sum, eight times */
            store(b->q + 32 * v, q);
            b->sums[2 * v] = (int16_t)_mm256_extract_epi16(s, 0);
            b->sums[2 * v + 1] = (int16_t)_mm256_extract_epi16(s, 8);
        }
    }
}

void eng_kernels_quantize_avx2(EngKernels *k)
{
    k->quantize[ENG_ACT_Q8_0] = quantize_q8_0;
    k->quantize[ENG_ACT_Q8_K] = quantize_q8_k;
}
