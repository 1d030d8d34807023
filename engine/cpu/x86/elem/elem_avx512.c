/* Kernels over vectors of floats, in AVX-512. Tails of fewer than sixteen numbers are masked loads
 * and stores, so that a number's result does not depend on where in the vector it stands. */
#include "cpu/x86/avx512.h"
#include "cpu/x86/exp.h"
#include "cpu/x86/ladder.h"

INLINE __mmask16 first(int64_t n) { return (__mmask16)((1u << n) - 1); } /* n < 16 */

static void f32_to_f16(const float *x, uint16_t *y, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(y + i),
                            _mm512_cvtps_ph(loadf(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++) y[i] = (uint16_t)_cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}

/* As exp8 of exp_avx2.h; 2^k is applied by the instruction for it. */
INLINE Floats exp16(Floats x)
{
    x = _mm512_min_ps(all(89.0f), _mm512_max_ps(all(-104.0f), x)); /* NaN stays */
    Floats k = _mm512_roundscale_ps(mul(x, all(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
    return _mm512_scalef_ps(exp_rest(x, k), k);
}

INLINE Floats silu_times(Floats gate, Floats up)
{
    Floats e = exp16(_mm512_sub_ps(all(-0.0f), gate));
    return mul(_mm512_div_ps(gate, add(all(1.0f), e)), up);
}

static void silu_mul(const float *gate, const float *up, float *y, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) storef(y + i, silu_times(loadf(gate + i), loadf(up + i)));
    if (i == n) return;
    __mmask16 some = first(n - i);
    Floats g = _mm512_maskz_loadu_ps(some, gate + i), u = _mm512_maskz_loadu_ps(some, up + i);
    _mm512_mask_storeu_ps(y + i, some, silu_times(g, u));
}

static void rms_norm(const float *x, const float *w, float *y, int64_t n, float eps)
{
    Floats acc[4] = {{0}};
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) UNROLL for (int v = 0; v < 4; v++)
        {
            Floats a = loadf(x + i + 16 * v);
            acc[v] = mul_add(a, a, acc[v]);
        }
    for (; i + 16 <= n; i += 16) acc[0] = mul_add(loadf(x + i), loadf(x + i), acc[0]);
    __mmask16 some = first(n - i);
    Floats last = _mm512_maskz_loadu_ps(some, x + i);
    acc[1] = mul_add(last, last, acc[1]);
    Floats sum = add(add(acc[0], acc[1]), add(acc[2], acc[3]));
    Floats scale = all(1.0f / __builtin_sqrtf(total(sum) / (float)n + eps));
    last = mul(last, scale);
    if (w) {
        for (i = 0; i + 16 <= n; i += 16)
            storef(y + i, mul(mul(loadf(x + i), scale), loadf(w + i)));
        last = mul(last, _mm512_maskz_loadu_ps(some, w + i));
    } else {
        for (i = 0; i + 16 <= n; i += 16) storef(y + i, mul(loadf(x + i), scale));
    }
    _mm512_mask_storeu_ps(y + i, some, last);
}

static void scale(float *x, int64_t n, float a)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) storef(x + i, mul(loadf(x + i), all(a)));
    __mmask16 some = first(n - i);
    _mm512_mask_storeu_ps(x + i, some, mul(_mm512_maskz_loadu_ps(some, x + i), all(a)));
}

static void add_scaled(const float *x, float *y, int64_t n, float a)
{
    int64_t i = 0;
    for (; i + 64 <= n; i += 64)
        UNROLL for (int64_t j = i; j < i + 64; j += 16)
            storef(y + j, mul_add(all(a), loadf(x + j), loadf(y + j)));
    for (; i + 16 <= n; i += 16) storef(y + i, mul_add(all(a), loadf(x + i), loadf(y + i)));
    if (i == n) return;
    __mmask16 some = first(n - i);
    Floats sum =
        mul_add(all(a), _mm512_maskz_loadu_ps(some, x + i), _mm512_maskz_loadu_ps(some, y + i));
    _mm512_mask_storeu_ps(y + i, some, sum);
}

void eng_kernels_elem_avx512(EngKernels *k)
{
    k->f32_to_f16 = f32_to_f16;
    k->silu_mul = silu_mul;
    k->rms_norm = rms_norm;
    k->scale = scale;
    k->add_scaled = add_scaled;
}
