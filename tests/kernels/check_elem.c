/* Small float products and the kernels over vectors. */
#define TEST_PART
#include "check.h"

static float *random_floats(size_t n, float size)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = test_float() * size;
    return x;
}

static double dot(int k, const float *a, const float *b, size_t b_step, double *ret_terms)
{
    double sum = 0, terms = 0;
    for (int p = 0; p < k; p++) {
        double part = (double)a[p] * b[(size_t)p * b_step];
        sum += part, terms += fabs(part);
    }
    *ret_terms = terms;
    return sum;
}

/* One product against double precision; bound 2^-20 of the terms' size. */
static void gemm_once(const EngKernels *k, bool nt)
{
    int m = test_range(1, 20), n = test_range(1, 80), kk = test_range(1, 200);
    size_t lda = (size_t)kk + (size_t)test_range(0, 3), ldc = (size_t)n + (size_t)test_range(0, 3);
    size_t ldb = (size_t)(nt ? kk : n) + (size_t)test_range(0, 3);
    size_t b_rows = (size_t)(nt ? n : kk), b_cols = (size_t)(nt ? kk : n);
    float *a = random_floats((size_t)(m - 1) * lda + (size_t)kk, 3);
    float *b = random_floats((b_rows - 1) * ldb + b_cols, 3);
    size_t c_n = (size_t)(m - 1) * ldc + (size_t)n;
    float *c = random_floats(c_n, 3), *old = malloc(c_n * sizeof *old);
    memcpy(old, c, c_n * sizeof *old);
    float alpha = test_float();
    if (nt)
        k->gemm_nt(m, n, kk, alpha, a, lda, b, ldb, c, ldc);
    else
        k->gemm_nn(m, n, kk, a, lda, b, ldb, c, ldc);
    for (size_t i = 0; i < c_n && test_failures_ < 5; i++) {
        size_t row = i / ldc, col = i % ldc;
        if (col >= (size_t)n) {
            CHECK_MSG(c[i] == old[i], "%s writes past its columns", kernel_now);
            continue;
        }
        double terms,
            want = dot(kk, a + row * lda, nt ? b + col * ldb : b + col, nt ? 1 : ldb, &terms);
        want = nt ? want * alpha : want + old[i];
        terms = nt ? terms * fabs((double)alpha) : terms + fabs((double)old[i]);
        CHECK_MSG(fabs(c[i] - want) <= 0x1p-20 * terms, "%s %d x %d x %d: %.9g, not %.9g",
                  kernel_now, m, n, kk, (double)c[i], want);
    }
    free(a);
    free(b);
    free(c);
    free(old);
}

static void gemm_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    for (int i = 0; i < 60; i++) {
        if (k->gemm_nt != below->gemm_nt) {
            kernel_name("gemm_nt", "", level);
            gemm_once(k, true);
        }
        if (k->gemm_nn != below->gemm_nn) {
            kernel_name("gemm_nn", "", level);
            gemm_once(k, false);
        }
    }
}

void check_gemm(void)
{
    static const EngKernels none;
    gemm_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(gemm_of_level);
}

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
    kernel_name("max", "", level);
    float most = -test_range(1, 100) * 1.0f; /* all negative: zero must not slip in */
    for (int64_t i = 0; i < n; i++) x[i] = most * (1 + fabsf(x[i]));
    x[test_range(0, (int)n - 1)] = most / 2;
    CHECK_MSG(k->max(x, n) == most / 2, "%s: %g, not %g", kernel_now, (double)k->max(x, n),
              (double)(most / 2));
    free(x);
    free(w);
    free(got);
    free(want);
}

static void elem_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    if (k->rms_norm == below->rms_norm && k->f16_to_f32 == below->f16_to_f32 &&
        k->silu_mul == below->silu_mul && k->max == below->max)
        return;
    for (int i = 0; i < 60; i++) {
        int64_t n = i < 40 ? i + 1 : test_range(41, 3000);
        halves_of(level, k, c, n);
        maps_of(level, k, c, n);
    }
}

void check_elem(void) { each_level(elem_of_level); }

static void exp_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    if (k->exp_sum == below->exp_sum) return;
    kernel_name("exp_sum", "", level);
    for (int i = 0; i < 60; i++) {
        int64_t n = test_range(1, 300);
        float *x = random_floats((size_t)n, i % 2 ? 100 : 1), *y = malloc((size_t)n * 4);
        float max = i % 3 ? (i % 2 ? 100 : 1) : -20;
        if (i % 3 == 0)
            for (int64_t j = 0; j < n; j++) x[j] = fminf(x[j], 60); /* up to exp(80) */
        if (i % 4 == 0) x[test_range(0, (int)n - 1)] = -INFINITY;
        if (i % 5 == 0) x[test_range(0, (int)n - 1)] = -3e38f;
        memcpy(y, x, (size_t)n * 4);
        float sum = k->exp_sum(y, n, max);
        double want_sum = 0;
        for (int64_t j = 0; j < n; j++) {
            double want = exp((double)(x[j] - max));
            want_sum += want;
            CHECK_MSG(fabs(y[j] - want) <= 2e-6 * want + 1.2e-38, "%s: exp(%.9g) is %.9g, not %.9g",
                      kernel_now, (double)(x[j] - max), (double)y[j], want);
            if (isinf(x[j])) CHECK(y[j] == 0);
        }
        CHECK_MSG(fabs(sum - want_sum) <= 4e-6 * want_sum + 1e-36, "%s: sum %.9g, not %.9g",
                  kernel_now, (double)sum, want_sum);
        x[n / 2] = NAN;
        CHECK_MSG(isnan(k->exp_sum(x, n, 0)), "%s loses a NaN", kernel_now);
        free(x);
        free(y);
    }
}

void check_exp(void)
{
    static const EngKernels none;
    exp_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(exp_of_level);
}
