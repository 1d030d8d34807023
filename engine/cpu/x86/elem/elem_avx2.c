/* Kernels over vectors of floats. Tails of fewer than eight numbers are masked loads and stores,
 * so that a number's result does not depend on where in the vector it stands; with masks for every
 * vector sums took half as long again on Zen 5. */
#include "cpu/x86/avx2.h"
#include "cpu/x86/exp_avx2.h"
#include "cpu/x86/ladder.h"

INLINE Ints tail_mask(int64_t left_over) /* ones in the first left_over lanes */
{
    const Ints lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)ENG_MIN(left_over, 8)), lane);
}

INLINE Floats load_part(const float *x, Ints mask) { return _mm256_maskload_ps(x, mask); }
INLINE void store_part(float *x, Ints mask, Floats a) { _mm256_maskstore_ps(x, mask, a); }

static void f16_to_f32(const uint16_t *x, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) storef(y + i, _mm256_cvtph_ps(load16(x + i)));
    for (; i < n; i++) y[i] = half(x[i]);
}

static void f32_to_f16(const float *x, uint16_t *y, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(y + i),
                         _mm256_cvtps_ph(loadf(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++) y[i] = (uint16_t)_cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

static void rms_norm(const float *x, const float *w, float *y, int64_t n, float eps)
{
    Floats acc[4] = {{0}};
    int64_t i = 0;
    for (; i + 32 <= n; i += 32) UNROLL for (int v = 0; v < 4; v++)
        {
            Floats a = loadf(x + i + 8 * v);
            acc[v] = mul_add(a, a, acc[v]);
        }
    for (; i < n; i += 8) {
        Floats a = load_part(x + i, tail_mask(n - i));
        acc[0] = mul_add(a, a, acc[0]);
    }
    Floats sum = _mm256_add_ps(_mm256_add_ps(acc[0], acc[1]), _mm256_add_ps(acc[2], acc[3]));
    Floats by = all(1.0f / __builtin_sqrtf(total(sum) / (float)n + eps));
    for (i = 0; i + 8 <= n; i += 8) {
        Floats a = _mm256_mul_ps(loadf(x + i), by);
        storef(y + i, w ? _mm256_mul_ps(a, loadf(w + i)) : a);
    }
    if (i == n) return;
    Ints mask = tail_mask(n - i);
    Floats a = _mm256_mul_ps(load_part(x + i, mask), by);
    store_part(y + i, mask, w ? _mm256_mul_ps(a, load_part(w + i, mask)) : a);
}

INLINE Floats silu_times(Floats gate, Floats up)
{
    Floats e = exp8(_mm256_xor_ps(gate, all(-0.0f)));
    return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(all(1.0f), e)), up);
}

static void silu_mul(const float *gate, const float *up, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) storef(y + i, silu_times(loadf(gate + i), loadf(up + i)));
    if (i == n) return;
    Ints mask = tail_mask(n - i);
    store_part(y + i, mask, silu_times(load_part(gate + i, mask), load_part(up + i, mask)));
}

static void scale(float *x, int64_t n, float a)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) storef(x + i, _mm256_mul_ps(loadf(x + i), all(a)));
    if (i == n) return;
    Ints mask = tail_mask(n - i);
    store_part(x + i, mask, _mm256_mul_ps(load_part(x + i, mask), all(a)));
}

static void add_scaled(const float *x, float *y, int64_t n, float a)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) storef(y + i, mul_add(all(a), loadf(x + i), loadf(y + i)));
    if (i == n) return;
    Ints mask = tail_mask(n - i);
    store_part(y + i, mask, mul_add(all(a), load_part(x + i, mask), load_part(y + i, mask)));
}

void eng_kernels_elem_avx2(EngKernels *k)
{
    k->f16_to_f32 = f16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->rms_norm = rms_norm;
    k->silu_mul = silu_mul;
    k->scale = scale;
    k->add_scaled = add_scaled;
}
