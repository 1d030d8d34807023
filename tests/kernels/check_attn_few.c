/* Attention's products of few queries, against double precision. */
#define TEST_PART
#include "check.h"

typedef struct {
    int n, rows, d;
    size_t stride, s_stride;
    float *x;       /* [n] keys or values of d numbers, stride apart; ends with the last number */
    float *queries; /* [rows][d]: or results */
    float *s;       /* [n] scores or weights, s_stride apart */
    float *keep;    /* [rows] */
} Few;

static Few few_new(void)
{
    Few f = {.n = test_range(1, 70), .rows = 4 * test_range(1, 4), .d = LANES * test_range(1, 18)};
    f.stride = (size_t)f.d + (size_t)test_range(0, 40);
    f.s_stride = (size_t)f.rows + (size_t)test_range(0, 9);
    size_t numbers = (size_t)(f.n - 1) * f.stride + (size_t)f.d;
    f.x = malloc(numbers * sizeof *f.x);
    for (size_t i = 0; i < numbers; i++) f.x[i] = test_float() * 2;
    f.queries = random_floats((size_t)f.rows * (size_t)f.d, 3);
    f.s = random_floats((size_t)f.n * f.s_stride, 1);
    f.keep = random_floats((size_t)f.rows, 1);
    return f;
}

static void few_free(Few *f)
{
    free(f->x);
    free(f->queries);
    free(f->s);
    free(f->keep);
}

/* Bound 2^-20 of the terms' size, here and below. */
static void scores_few_once(const EngKernels *k, const Few *f)
{
    size_t size = (size_t)f->n * f->s_stride;
    float *s = memcpy(floats_new(size), f->s, size * sizeof *s);
    k->scores_few(f->n, f->rows, f->d, f->queries, f->x, f->stride, s, f->s_stride);
    for (size_t i = 0; i < size && test_failures_ < 5; i++) {
        size_t row = i / f->s_stride, j = i % f->s_stride;
        if (j >= (size_t)f->rows) {
            CHECK_MSG(s[i] == f->s[i], "%s writes past its queries", kernel_now);
            continue;
        }
        double want = 0, terms = 0;
        for (size_t d = 0; d < (size_t)f->d; d++) {
            double part = (double)f->x[row * f->stride + d] * f->queries[j * (size_t)f->d + d];
            want += part, terms += fabs(part);
        }
        CHECK_MSG(fabs(s[i] - want) <= 0x1p-20 * terms, "%s %d x %d x %d: %.9g, not %.9g",
                  kernel_now, f->n, f->rows, f->d, (double)s[i], want);
    }
    float *four = floats_new((size_t)f->n * 4);
    k->scores_few(f->n, 4, f->d, f->queries, f->x, f->stride, four, 4);
    for (size_t i = 0; i < (size_t)f->n * 4; i++)
        CHECK_MSG(four[i] == s[i / 4 * f->s_stride + i % 4], "%s: more queries change a score",
                  kernel_now);
    free(four);
    free(s);
}

static void values_few_once(const EngKernels *k, const Few *f)
{
    size_t d = (size_t)f->d, size = (size_t)f->rows * d;
    float *o = memcpy(floats_new(size), f->queries, size * sizeof *o);
    k->values_few(f->n, f->rows, f->d, f->s, f->s_stride, f->x, f->stride, f->keep, o);
    for (size_t i = 0; i < size && test_failures_ < 5; i++) {
        size_t j = i / d;
        double want = (double)f->queries[i] * f->keep[j], terms = fabs(want);
        for (size_t p = 0; p < (size_t)f->n; p++) {
            double part = (double)f->s[p * f->s_stride + j] * f->x[p * f->stride + i % d];
            want += part, terms += fabs(part);
        }
        CHECK_MSG(fabs(o[i] - want) <= 0x1p-20 * terms, "%s %d x %d x %d: %.9g, not %.9g",
                  kernel_now, f->n, f->rows, f->d, (double)o[i], want);
    }
    float *four = memcpy(floats_new(4 * d), f->queries, 4 * d * sizeof *four);
    k->values_few(f->n, 4, f->d, f->s, f->s_stride, f->x, f->stride, f->keep, four);
    CHECK_MSG(memcmp(four, o, 4 * d * sizeof *o) == 0, "%s: more queries change a sum", kernel_now);
    free(four);
    free(o);
}

/* A number that is none must show, one that weighs nothing too. */
static void nan_shows(const EngKernels *k, const Few *f)
{
    size_t last = (size_t)(f->n - 1) * f->stride + (size_t)f->d - 1, size = (size_t)f->n * 4;
    float *s = floats_new(size), *o = floats_new((size_t)f->rows * (size_t)f->d);
    memset(o, 0, (size_t)f->rows * (size_t)f->d * sizeof *o);
    f->x[last] = NAN;
    k->scores_few(f->n, 4, f->d, f->queries, f->x, f->stride, s, 4);
    k->values_few(f->n, f->rows, f->d, f->s, f->s_stride, f->x, f->stride, f->keep, o);
    CHECK_MSG(isnan(s[size - 1]) && isnan(o[f->d - 1]) && !isnan(o[0]), "%s lost", kernel_now);
    free(s);
    free(o);
}

static void few_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    if (k->scores_few == below->scores_few && k->values_few == below->values_few) return;
    for (int i = 0; i < 60; i++) {
        Few f = few_new();
        kernel_name("scores of few", "", level);
        scores_few_once(k, &f);
        kernel_name("values of few", "", level);
        values_few_once(k, &f);
        kernel_name("NaN of few", "", level);
        nan_shows(k, &f);
        few_free(&f);
    }
}

void check_attn_few(void)
{
    static const EngKernels none;
    few_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(few_of_level);
}
