/* Matrix products with F32, F16 and BF16 weights. Weights become float as they are loaded. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/ladder.h"

/* Of the 16 registers 12 are sums, 2 weights and 1 activations: 8 loads for 12 products. */
enum { LANES = 8, TILE_ROWS = 2 };
#define HELD(a) __asm__("" : "+x"(a))

/* Lane i and i + 4, then + 2, + 1; the same for eight at once. */
INLINE float total_of(Floats a) { return total(a); }
INLINE Floats totals_of(const Floats *a)
{
    Floats b[4], c[2];
    UNROLL for (int i = 0; i < 4; i++) b[i] =
        _mm256_add_ps(_mm256_permute2f128_ps(a[2 * i], a[2 * i + 1], 0x20),
                      _mm256_permute2f128_ps(a[2 * i], a[2 * i + 1], 0x31));
    UNROLL for (int i = 0; i < 2; i++) c[i] =
        _mm256_add_ps(_mm256_shuffle_ps(b[2 * i], b[2 * i + 1], 0x44),
                      _mm256_shuffle_ps(b[2 * i], b[2 * i + 1], 0xee));
    Floats d =
        _mm256_add_ps(_mm256_shuffle_ps(c[0], c[1], 0x88), _mm256_shuffle_ps(c[0], c[1], 0xdd));
    return _mm256_permutevar8x32_ps(d, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

#include "cpu/x86/float/matmul.h"

INLINE Floats from_f16(__m128i h) { return _mm256_cvtph_ps(h); }
INLINE Floats from_bf16(__m128i h)
{
    return _mm256_castsi256_ps(left(_mm256_cvtepu16_epi32(h), 16));
}

INLINE __m128i some_16(const char *at, int n)
{
    uint16_t h[8] = {0};
    __builtin_memcpy(h, at, (size_t)n * sizeof *h);
    return load16(h);
}

INLINE Floats load_f32(const char *row, int64_t i) { return loadf((const float *)row + i); }
INLINE Floats some_f32(const char *row, int64_t i, int n)
{
    float x[8] = {0};
    __builtin_memcpy(x, row + 4 * i, (size_t)n * sizeof *x);
    return loadf(x);
}
INLINE Floats load_f16(const char *row, int64_t i) { return from_f16(load16(row + 2 * i)); }
INLINE Floats some_f16(const char *row, int64_t i, int n)
{
    return from_f16(some_16(row + 2 * i, n));
}
INLINE Floats load_bf16(const char *row, int64_t i) { return from_bf16(load16(row + 2 * i)); }
INLINE Floats some_bf16(const char *row, int64_t i, int n)
{
    return from_bf16(some_16(row + 2 * i, n));
}

FLOAT_MATMUL(f32, 4)
FLOAT_MATMUL(f16, 2)
FLOAT_MATMUL(bf16, 2)

/* Ten sums, so that none waits for itself. */
static int64_t float_peak(int64_t n)
{
    enum { SUMS = 10 };
    __m256 sum[SUMS] = {{0}}, a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.25f);
    for (int64_t i = 0; i < n; i++) {
        UNROLL for (int j = 0; j < SUMS; j++)
        {
            __asm__ volatile("" : "+x"(a)); /* not the same product every time round */
            sum[j] = _mm256_fmadd_ps(a, b, sum[j]);
        }
    }
    UNROLL for (int j = 0; j < SUMS; j++) __asm__ volatile("" : : "x"(sum[j]));
    return n * SUMS * 16;
}

void eng_kernels_dot_float_avx2(EngKernels *k)
{
    k->float_peak = float_peak;
    k->matmul[ENG_TYPE_F32] = matmul_f32;
    k->matmul[ENG_TYPE_F16] = matmul_f16;
    k->matmul[ENG_TYPE_BF16] = matmul_bf16;
}
