/* Kernels over vectors of floats: conversions, norm, activation, softmax's parts. */
#include <math.h>
#include "base/num.h"
#include "cpu/families.h"

static void f16_to_f32(const uint16_t *x, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = eng_f16_to_f32(x[i]);
}

static void f32_to_f16(const float *x, uint16_t *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = eng_f32_to_f16(x[i]);
}

static void rms_norm(const float *x, const float *w, float *y, int64_t n, float eps)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    float scale = 1.0f / sqrtf((float)(sum / (double)n) + eps);
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * scale * (w ? w[i] : 1.0f);
}

static void silu_mul(const float *gate, const float *up, float *y, int64_t n)
{
    for (int64_t i = 0; i < n; i++) y[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

static float exp_sum(float *x, int64_t n, float max)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    return (float)sum;
}

static float max_of(const float *x, int64_t n)
{
    float max = x[0];
    for (int64_t i = 1; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

static void scale(float *x, int64_t n, float a)
{
    for (int64_t i = 0; i < n; i++) x[i] *= a;
}

static void add_scaled(const float *x, float *y, int64_t n, float a)
{
    for (int64_t i = 0; i < n; i++) y[i] += a * x[i];
}

void eng_kernels_elem_c(EngKernels *k)
{
    k->f16_to_f32 = f16_to_f32;
    k->f32_to_f16 = f32_to_f16;
    k->rms_norm = rms_norm;
    k->silu_mul = silu_mul;
    k->exp_sum = exp_sum;
    k->max = max_of;
    k->scale = scale;
    k->add_scaled = add_scaled;
}
