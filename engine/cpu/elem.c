/* Kernels over vectors of floats: conversions, norm, activation. */
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
    k->scale = scale;
    k->add_scaled = add_scaled;
}
