/* Matrix products with the 32-number blocks, a row at a time, and both quantizers of activations.
 *
 * Range. pairs_u8 wants one unsigned operand: |q| takes the sign of q from the activations.
 * |-128| = 128 as an unsigned byte, and activations stop at 127, so the largest sum of two products
 * is 2 * 128 * 127 = 32512 and nothing saturates. */
#include "cpu/families.h"
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"
#include "cpu/x86/rows.h"

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

/* min: what the block adds per unit of the activations' sum; in one lane of the accumulator. */
#define STEP(name, Block, min)                                                                     \
    INLINE void step_##name(const char *w, const char *x, size_t x_stride, int tokens,             \
                            Floats *acc)                                                           \
    {                                                                                              \
        const Block *b = (const Block *)w;                                                         \
        Ints q = quants_##name(b), size = _mm256_abs_epi8(q);                                      \
        float d = half(b->d), m = min;                                                             \
        UNROLL for (int t = 0; t < tokens; t++)                                                    \
        {                                                                                          \
            const EngBlockQ8_0A *a = (const EngBlockQ8_0A *)(x + (size_t)t * x_stride);            \
            Ints pairs = pairs_u8(size, _mm256_sign_epi8(load(a->q), q));                          \
            Ints sum = pairs_16(pairs, _mm256_set1_epi16(1));                                      \
            acc[t] = mul_add(all(d * a->d), floats(sum), acc[t]);                                  \
            if (m != 0)                                                                            \
                acc[t] = _mm256_add_ps(                                                            \
                    acc[t], _mm256_zextps128_ps256(_mm_set_ss(m * (a->d * (float)a->sum))));       \
        }                                                                                          \
    }                                                                                              \
    static void matmul_##name(int64_t n, int n_rows, int n_tokens, const void *w, size_t w_stride, \
                              const void *x, size_t x_stride, float *y, size_t y_stride)           \
    {                                                                                              \
        const RowKind kind = {step_##name, 32, sizeof(Block), sizeof(EngBlockQ8_0A)};              \
        rows_matmul(kind, n, n_rows, n_tokens, w, w_stride, x, x_stride, y, y_stride);             \
    }
STEP(q4_0, EngBlockQ4_0, 0)
STEP(q4_1, EngBlockQ4_1, half(b->m))
STEP(q5_0, EngBlockQ5_0, 0)
STEP(q5_1, EngBlockQ5_1, half(b->m))
STEP(q8_0, EngBlockQ8_0, 0)
#undef STEP

/* ---- activations ----------------------------------------------------------------------------- */

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

void eng_kernels_dot_legacy_avx2(EngKernels *k)
{
    k->quantize[ENG_ACT_Q8_0] = quantize_q8_0;
    k->quantize[ENG_ACT_Q8_K] = quantize_q8_k;
    k->matmul[ENG_TYPE_Q4_0] = matmul_q4_0;
    k->matmul[ENG_TYPE_Q4_1] = matmul_q4_1;
    k->matmul[ENG_TYPE_Q5_0] = matmul_q5_0;
    k->matmul[ENG_TYPE_Q5_1] = matmul_q5_1;
    k->matmul[ENG_TYPE_Q8_0] = matmul_q8_0;
}
