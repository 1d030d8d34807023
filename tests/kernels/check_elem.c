/* The kernels over vectors. */
#define TEST_PART
#include "check.h"

static void near_all(const float *got, const float *want, int64_t n, double relative)
{
    for (int64_t i = 0; i < n && test_failures_ < 5; i++)
        CHECK_MSG(fabs((double)got[i] - want[i]) <= relative * fabs((double)want[i]) + 1e-37 ||
                      (isnan(got[i]) && isnan(want[i])),
                  "%s: number %lld of %lld is %.9g, not %.9g", kernel_now, (long long)i,
                  (long long)n, (double)got[i], (double)want[i]);
}

static void halves_of(EngCpuLevel level, const EngKernels *k, const EngKernels *c, int64_t n)
{
    kernel_name("f16_to_f32", "", level);
    uint16_t *h = malloc((size_t)n * 2), *h2 = malloc((size_t)n * 2);
    float *x = malloc((size_t)n * 4), *y = malloc((size_t)n * 4);
    for (int64_t i = 0; i < n; i++) {
        h[i] = (uint16_t)test_random();
        if ((h[i] & 0x7c00) == 0x7c00) h[i] &= 0xfc00; /* NaN payloads are nobody's promise */
    }
    k->f16_to_f32(h, x, n);
    c->f16_to_f32(h, y, n);
    CHECK_MSG(memcmp(x, y, (size_t)n * 4) == 0, "%s differs from C", kernel_now);
    kernel_name("f32_to_f16", "", level);
    for (int64_t i = 0; i < n; i++) { /* halves, and numbers on and near the middle of two */
        uint32_t bits = eng_f32_bits(x[i]) + (uint32_t)test_range(-1, 1) * 0x1000u;
        x[i] = isfinite(x[i]) ? eng_f32_from_bits(bits + (uint32_t)test_range(-1, 1)) : x[i];
        if (isnan(x[i])) x[i] = 0;
    }
    k->f32_to_f16(x, h, n);
    c->f32_to_f16(x, h2, n);
    CHECK_MSG(memcmp(h, h2, (size_t)n * 2) == 0, "%s differs from C", kernel_now);
    free(h);
    free(h2);
    free(x);
    free(y);
}

/* Maps of a vector to a vector: bounds are a few float roundings of each result. */
static void maps_of(EngCpuLevel level, const EngKernels *k, const EngKernels *c, int64_t n)
{
    float size = exp2f((float)test_range(-10, 6)), a = test_float();
    float *x = random_floats((size_t)n, size), *w = random_floats((size_t)n, 2);
    float *got = malloc((size_t)n * 4), *want = malloc((size_t)n * 4);

    kernel_name("rms_norm", "", level);
    for (int weighted = 0; weighted < 2; weighted++) {
        k->rms_norm(x, weighted ? w : NULL, got, n, 1e-6f);
        c->rms_norm(x, weighted ? w : NULL, want, n, 1e-6f);
        near_all(got, want, n, 1e-6);
    }
    kernel_name("silu_mul", "", level);
    x[0] = 200, x[n / 2] = -200, x[n - 1] = test_range(0, 1) ? 0 : -87.5f;
    k->silu_mul(x, w, got, n);
    c->silu_mul(x, w, want, n);
    near_all(got, want, n, 3e-6);
    kernel_name("scale", "", level);
    memcpy(got, x, (size_t)n * 4), memcpy(want, x, (size_t)n * 4);
    k->scale(got, n, a);
    c->scale(want, n, a);
    near_all(got, want, n, 0);
    kernel_name("add_scaled", "", level);
    memcpy(got, w, (size_t)n * 4), memcpy(want, w, (size_t)n * 4);
    k->add_scaled(x, got, n, a);
    c->add_scaled(x, want, n, a);
    for (int64_t i = 0; i < n; i++)
        CHECK(fabsf(got[i] - want[i]) <= 0x1p-22f * (fabsf(a * x[i]) + fabsf(w[i])));
    free(x);
    free(w);
    free(got);
    free(want);
}

static void elem_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    if (k->rms_norm == below->rms_norm && k->f16_to_f32 == below->f16_to_f32 &&
        k->silu_mul == below->silu_mul)
        return;
    for (int i = 0; i < 60; i++) {
        int64_t n = i < 40 ? i + 1 : test_range(41, 3000);
        halves_of(level, k, c, n);
        maps_of(level, k, c, n);
    }
}

void check_elem(void) { each_level(elem_of_level); }
