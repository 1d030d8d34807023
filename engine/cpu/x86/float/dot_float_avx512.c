/* Matrix products with F32, F16 and BF16 weights, in AVX-512. Weights become float as they are
 * loaded, activations stay float. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/ladder.h"

/* Of the 32 registers 24 are sums, 4 weights and 1 activations: 10 loads for 24 products. */
enum { LANES = 16, TILE_ROWS = 4 };
#define HELD(a) __asm__("" : "+v"(a))

/* Lane i and i + 8, then + 4, + 2, + 1; the same for sixteen at once. */
INLINE float total_of(Floats a)
{
    __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
    c = _mm_add_ps(c, _mm_movehl_ps(c, c));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

INLINE Floats totals_of(const Floats *a)
{
    Floats b[8], c[4], d[2];
    UNROLL for (int i = 0; i < 8; i++) b[i] =
        add(_mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0x44),
            _mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0xee));
    UNROLL for (int i = 0; i < 4; i++) c[i] =
        add(_mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0x88),
            _mm512_shuffle_f32x4(b[2 * i], b[2 * i + 1], 0xdd));
    UNROLL for (int i = 0; i < 2; i++) d[i] = add(_mm512_shuffle_ps(c[2 * i], c[2 * i + 1], 0x44),
                                                  _mm512_shuffle_ps(c[2 * i], c[2 * i + 1], 0xee));
    Floats e = add(_mm512_shuffle_ps(d[0], d[1], 0x88), _mm512_shuffle_ps(d[0], d[1], 0xdd));
    const Ints order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_ps(order, e);
}

#include "cpu/x86/float/matmul.h"

INLINE __mmask16 first(int n) { return (__mmask16)((1u << n) - 1); }

INLINE Floats from_f16(__m256i h) { return _mm512_cvtph_ps(h); }
INLINE Floats from_bf16(__m256i h)
{
    return _mm512_castsi512_ps(left(_mm512_cvtepu16_epi32(h), 16));
}

INLINE Floats load_f32(const char *row, int64_t i) { return _mm512_loadu_ps(row + 4 * i); }
INLINE Floats some_f32(const char *row, int64_t i, int n)
{
    return _mm512_maskz_loadu_ps(first(n), row + 4 * i);
}
INLINE Floats load_f16(const char *row, int64_t i) { return from_f16(load32(row + 2 * i)); }
INLINE Floats some_f16(const char *row, int64_t i, int n)
{
    return from_f16(_mm256_maskz_loadu_epi16(first(n), row + 2 * i));
}
INLINE Floats load_bf16(const char *row, int64_t i) { return from_bf16(load32(row + 2 * i)); }
INLINE Floats some_bf16(const char *row, int64_t i, int n)
{
    return from_bf16(_mm256_maskz_loadu_epi16(first(n), row + 2 * i));
}

FLOAT_MATMUL(f32, 4)
FLOAT_MATMUL(f16, 2)
FLOAT_MATMUL(bf16, 2)

void eng_kernels_dot_float_avx512(EngKernels *k)
{
    k->matmul[ENG_TYPE_F32] = matmul_f32;
    k->matmul[ENG_TYPE_F16] = matmul_f16;
    k->matmul[ENG_TYPE_BF16] = matmul_bf16;
}
