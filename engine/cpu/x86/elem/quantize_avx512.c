/* Activations to bytes, in both block sizes, in AVX-512: a block stays in registers from its
 * largest number to its sums. */
#include "cpu/families.h"
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

INLINE Ints magnitude(Floats x) { return and(_mm512_castps_si512(x), each32(0x7fffffff)); }

/* As eng_finite_amax: of the largest bits of all. */
INLINE float finite_amax(Ints most)
{
    uint32_t bits = (uint32_t)_mm512_reduce_max_epi32(most);
    return eng_f32_from_bits(bits >= 0x7f800000 ? 0x7fc00000 : bits);
}

/* 16 numbers to bytes. Where the factor is 0 a number that is not finite must not matter. */
INLINE __m128i quantize_16(Floats x, float factor)
{
    __mmask16 some = factor == 0 ? 0 : 0xffff;
    return _mm512_maskz_cvtsepi32_epi8(some, _mm512_cvtps_epi32(mul(x, all(factor))));
}

static void quantize_q8_0(const float *x, void *y, int64_t n)
{
    EngBlockQ8_0A *b = y;
    for (int64_t i = 0; i < n / 32; i++, b++, x += 32) {
        Floats low = loadf(x), high = loadf(x + 16);
        float amax = finite_amax(_mm512_max_epi32(magnitude(low), magnitude(high)));
        float factor = eng_quant_factor(amax);
        __m256i q = _mm256_set_m128i(quantize_16(high, factor), quantize_16(low, factor));
        __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), q);
        __m256i fours = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        __m128i s =
            _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
        s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
        b->d = amax / 127.0f;
        b->sum = _mm_cvtsi128_si32(s);
        _mm256_storeu_si256((__m256i *)(void *)b->q, q);
    }
}

/* Of four vectors of sixteen sums of four neighbours: the sums of sixteen, in order. */
INLINE __m256i sums_of_16(const Ints *v)
{
    Ints a = _mm512_add_epi32(_mm512_unpacklo_epi32(v[0], v[1]), _mm512_unpackhi_epi32(v[0], v[1]));
    Ints b = _mm512_add_epi32(_mm512_unpacklo_epi32(v[2], v[3]), _mm512_unpackhi_epi32(v[2], v[3]));
    Ints c = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    const Ints order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_cvtepi32_epi16(_mm512_permutexvar_epi32(order, c));
}

static void quantize_q8_k(const float *x, void *y, int64_t n)
{
    EngBlockQ8_KA *b = y;
    for (int64_t i = 0; i < n / 256; i++, b++, x += 256) {
        Floats part[16];
        Ints most = zero(), fours[4];
        UNROLL for (int v = 0; v < 16; v++)
        {
            part[v] = loadf(x + 16 * v);
            most = _mm512_max_epi32(most, magnitude(part[v]));
        }
        float amax = finite_amax(most), factor = eng_quant_factor(amax);
        b->d = amax / 127.0f;
        UNROLL for (int v = 0; v < 4; v++)
        {
            Ints q = _mm512_castsi128_si512(quantize_16(part[4 * v], factor));
            q = _mm512_inserti32x4(q, quantize_16(part[4 * v + 1], factor), 1);
            q = _mm512_inserti32x4(q, quantize_16(part[4 * v + 2], factor), 2);
            q = _mm512_inserti32x4(q, quantize_16(part[4 * v + 3], factor), 3);
            store(b->q + 64 * v, q);
            fours[v] = _mm512_madd_epi16(pairs_u8(bytes(1), q), _mm512_set1_epi16(1));
        }
        _mm256_storeu_si256((__m256i *)(void *)b->sums, sums_of_16(fours));
    }
}

void eng_kernels_quantize_avx512(EngKernels *k)
{
    k->quantize[ENG_ACT_Q8_0] = quantize_q8_0;
    k->quantize[ENG_ACT_Q8_K] = quantize_q8_k;
}
