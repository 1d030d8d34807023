/* Attention's products in integers of 16 bits, against double precision and the C twin. */
#define TEST_PART
#include "check.h"

typedef struct {
    int n, rows, d;
    size_t stride;
    float *x;       /* [n] keys or values of d numbers, stride apart */
    float *queries; /* [rows][d] */
    int16_t *q;     /* [d / 2][rows][2] */
    float *q_scale; /* [blocks][rows] */
    void *keys, *values, *room;
} Wide;

/* Numbers that outweigh all others, all the same, or small. */
static float wide_float(int kind)
{
    if (kind % 4 == 1) return test_range(0, 40) ? test_float() : 300;
    if (kind % 4 == 2) return test_range(0, 1) ? 3 : -3;
    return test_float() * (kind % 4 == 3 ? 0x1p-20f : 2);
}

static void wide_query(const Wide *w, const EngKernels *k, int j)
{
    for (int d0 = 0; d0 < w->d; d0 += ENG_I16_BLOCK) {
        int16_t block[ENG_I16_BLOCK];
        int n = ENG_MIN(w->d - d0, ENG_I16_BLOCK);
        w->q_scale[d0 / ENG_I16_BLOCK * w->rows + j] =
            k->to_i16(w->queries + (size_t)j * (size_t)w->d + d0, block, n, ENG_I16_QUERY);
        for (int d = 0; d < n; d++) w->q[((d0 + d) / 2 * w->rows + j) * 2 + d % 2] = block[d];
    }
}

static Wide wide_new(const EngKernels *k, int kind)
{
    Wide w = {test_range(1, ENG_Q8_POSITIONS), LANES * test_range(1, 9), 32 * test_range(1, 18)};
    size_t n = (size_t)w.n, d = (size_t)w.d, rows = (size_t)w.rows;
    w.stride = d + (size_t)LANES * (size_t)test_range(0, 1);
    w.x = floats_new(n * w.stride);
    w.queries = floats_new(rows * d);
    w.q = (int16_t *)(void *)floats_new(rows * d / 2);
    w.q_scale = floats_new((size_t)ENG_I16_BLOCKS(w.d) * rows);
    for (size_t i = 0; i < n * w.stride; i++) w.x[i] = wide_float(kind);
    for (size_t i = 0; i < rows * d; i++) w.queries[i] = wide_float(kind / 4);
    for (int j = 0; j < w.rows; j++) wide_query(&w, k, j);
    w.keys = floats_new(n * (d / 2 + (size_t)ENG_I16_BLOCKS(w.d)));
    w.values = floats_new(eng_i16_values_bytes(w.d) / sizeof(float));
    w.room = floats_new(((n + 3) * 2 * rows + 4 * rows) / sizeof(float));
    return w;
}

static void wide_free(Wide *w)
{
    free(w->x);
    free(w->queries);
    free(w->q);
    free(w->q_scale);
    free(w->keys);
    free(w->values);
    free(w->room);
}

static double largest(const float *x, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++) most = fmax(most, fabs((double)x[i]));
    return most;
}

/* Both products with what is made of all positions, looking at the first n of them. */
static void wide_scores(const EngKernels *k, const Wide *w, int n, float *s)
{
    k->keys_i16(w->n, w->d, w->x, w->stride, w->keys);
    k->scores_i16(n, w->rows, w->d, w->q, w->q_scale, w->keys, s, (size_t)w->rows);
}

static void wide_values(const EngKernels *k, const Wide *w, int n, const float *p,
                        const float *keep, float *o)
{
    k->pairs_i16(w->n, w->d, w->x, w->stride, w->values);
    k->values_i16(n, w->rows, w->d, p, w->values, keep, w->room, o, (size_t)w->rows);
}

/* What kernels.h allows the numbers of both sides to be off by, and 2^-20 of the terms' size. */
static void scores_i16_once(const EngKernels *k, const Wide *w)
{
    float *s = floats_new((size_t)w->n * (size_t)w->rows);
    wide_scores(k, w, w->n, s);
    for (int i = 0; i < w->n; i++)
        for (int j = 0; j < w->rows && test_failures_ < 5; j++) {
            double want = 0, error = 0;
            for (int d = 0; d < w->d; d += ENG_I16_BLOCK) {
                const float *key = w->x + (size_t)i * w->stride + d;
                const float *query = w->queries + (size_t)j * (size_t)w->d + d;
                int n = ENG_MIN(w->d - d, ENG_I16_BLOCK);
                double k_off = largest(key, n) * 0x1p-14 * 1.001;
                double q_off = largest(query, n) * 0x1p-13 * 1.001;
                for (int c = 0; c < n; c++) {
                    want += (double)key[c] * query[c];
                    error += k_off * fabs((double)query[c]) + q_off * fabs((double)key[c]) +
                             k_off * q_off + 0x1p-20 * fabs((double)key[c] * query[c]);
                }
            }
            double got = s[i * w->rows + j];
            CHECK_MSG(fabs(got - want) <= error, "%s %d x %d x %d: %.9g, not %.9g within %.3g",
                      kernel_now, w->n, w->rows, w->d, got, want, error);
        }
    free(s);
}

/* Weights like those of a softmax, the same in `got` and `want`; what is not seen weighs 0. */
static float *wide_weights(const Wide *w)
{
    float *p = floats_new((size_t)w->n * (size_t)w->rows);
    for (int j = 0; j < w->rows; j++) {
        float steep = (float)test_range(0, 12);
        int seen = test_range(1, w->n);
        for (int i = 0; i < w->n; i++)
            p[i * w->rows + j] = i < seen ? expf(-steep * fabsf(test_float())) : 0;
    }
    return p;
}

static void values_i16_once(const EngKernels *k, const Wide *w)
{
    size_t rows = (size_t)w->rows, n = (size_t)w->n;
    float *p = wide_weights(w), *keep = random_floats(rows, 1),
          *o = random_floats(rows * (size_t)w->d, 3);
    float *old = memcpy(floats_new(rows * (size_t)w->d), o, rows * (size_t)w->d * sizeof *o);
    wide_values(k, w, w->n, p, keep, o);
    for (size_t j = 0; j < rows && test_failures_ < 5; j++) {
        double most = 0, sum = 0;
        for (size_t i = 0; i < n; i++) {
            double part = p[i * rows + j] * largest(w->x + i * w->stride, w->d);
            most = fmax(most, part), sum += part;
        }
        double step = fmax(most * 0x1p-15, sum * 0x1p-19) * 1.01; /* of weight times largest */
        for (int d = 0; d < w->d && test_failures_ < 5; d++) {
            double want = (double)old[(size_t)d * rows + j] * keep[j], error = 0x1p-20 * fabs(want);
            for (size_t i = 0; i < n; i++) {
                double v = w->x[i * w->stride + (size_t)d],
                       size = largest(w->x + i * w->stride, w->d);
                double part = p[i * rows + j] * v;
                want += part;
                if (p[i * rows + j] > 0 && size > 0)
                    error += step * fabs(v) / size + p[i * rows + j] * size * 0x1p-13 * 1.001 +
                             step * 0x1p-13 + 0x1p-20 * fabs(part);
            }
            double got = o[(size_t)d * rows + j];
            CHECK_MSG(fabs(got - want) <= error, "%s %d x %d x %d: %.9g, not %.9g within %.3g",
                      kernel_now, w->n, w->rows, w->d, got, want, error);
        }
    }
    free(p);
    free(keep);
    free(o);
    free(old);
}

/* The same whole numbers as the C twin's: a bound of 2^-20 of the largest result. */
static void i16_is_c(const EngKernels *k, const Wide *w)
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    size_t rows = (size_t)w->rows, all = (size_t)w->n * rows, out = (size_t)w->d * rows;
    float *p = wide_weights(w), *keep = random_floats(rows, 1);
    float *got = floats_new(all + out), *want = floats_new(all + out);
    for (size_t i = 0; i < out; i++) got[all + i] = want[all + i] = test_float();
    wide_scores(k, w, w->n, got);
    wide_values(k, w, w->n, p, keep, got + all);
    wide_scores(c, w, w->n, want);
    wide_values(c, w, w->n, p, keep, want + all);
    double most = fmax(largest(want, (int)all), largest(want + all, (int)out));
    for (size_t i = 0; i < all + out && test_failures_ < 5; i++)
        CHECK_MSG(fabs((double)got[i] - want[i]) <= 0x1p-20 * most, "%s differs from C: %.9g, %.9g",
                  kernel_now, (double)got[i], (double)want[i]);
    free(p);
    free(keep);
    free(got);
    free(want);
}

/* Who looks at fewer positions than there are gets what these alone would give. */
static void fewer_i16(const EngKernels *k, const Wide *w)
{
    Wide few = *w;
    few.n = test_range(1, w->n);
    size_t all = (size_t)few.n * (size_t)w->rows, out = (size_t)w->d * (size_t)w->rows;
    float *p = wide_weights(&few), *keep = random_floats((size_t)w->rows, 1);
    float *got = random_floats(all + out, 1), *want = floats_new(all + out);
    memcpy(want, got, (all + out) * sizeof *want);
    wide_scores(k, w, few.n, got);
    wide_values(k, w, few.n, p, keep, got + all);
    wide_scores(k, &few, few.n, want);
    wide_values(k, &few, few.n, p, keep, want + all);
    CHECK_MSG(memcmp(got, want, (all + out) * sizeof *got) == 0,
              "%s: %d of %d positions differ from those alone", kernel_now, few.n, w->n);
    free(p);
    free(keep);
    free(got);
    free(want);
}

/* The same bytes as of the same numbers as floats, also where one is not finite. */
static void halves_once(const EngKernels *k, const Wide *w)
{
    size_t n = (size_t)w->n, apart = w->stride, all = n * apart;
    uint16_t *h = (uint16_t *)(void *)floats_new(all / 2 + 1);
    k->f32_to_f16(w->x, h, (int64_t)all);
    if (test_range(0, 3) == 0)
        h[(size_t)test_range(0, (int)all - 1)] = test_range(0, 1) ? 0xfc00 : 0x7e00;
    Wide as = *w;
    as.x = floats_new(all);
    k->f16_to_f32(h, as.x, (int64_t)all);
    size_t key_bytes = n * (2 * (size_t)w->d + 4 * (size_t)ENG_I16_BLOCKS(w->d));
    size_t value_bytes = eng_i16_values_bytes(w->d);
    uint8_t *keys = (uint8_t *)floats_new(key_bytes / sizeof(float));
    uint8_t *values = (uint8_t *)floats_new(value_bytes / sizeof(float));
    memset(values, 0, value_bytes);
    memset(w->values, 0, value_bytes);
    k->keys_f16(w->n, w->d, h, apart, keys);
    int dv = w->d - LANES * test_range(0, 1);
    k->pairs_f16(w->n, dv, h, apart, values);
    k->keys_i16(w->n, w->d, as.x, apart, w->keys);
    k->pairs_i16(w->n, dv, as.x, apart, w->values);
    CHECK_MSG(memcmp(keys, w->keys, key_bytes) == 0, "%s: keys of halves differ, %d x %d",
              kernel_now, w->n, w->d);
    CHECK_MSG(memcmp(values, w->values, value_bytes) == 0, "%s: values of halves differ, %d x %d",
              kernel_now, w->n, dv);
    free(h);
    free(as.x);
    free(keys);
    free(values);
}

/* Of equal small weights beside a large one, a position that is not seen, and what is no number. */
static void i16_edges(const EngKernels *k)
{
    enum { N = ENG_Q8_POSITIONS, ROWS = LANES, D = 32 };
    float *v = random_floats(N * D, 0), *p = random_floats(N * ROWS, 0), *o = floats_new(D * ROWS);
    float *keep = random_floats(ROWS, 0), *again = floats_new(D * ROWS);
    Wide w = {.n = N, .rows = ROWS, .d = D, .stride = D, .x = v};
    w.values = floats_new(eng_i16_values_bytes(D) / sizeof(float));
    w.room = floats_new((N + 3) * ROWS / 2 + ROWS);
    for (int i = 0; i < N * D; i++) v[i] = i < D ? 0 : 0.25f;
    v[0] = 0.25f;
    for (int i = 0; i < N * ROWS; i++) p[i] = i < ROWS ? 1 : i < ROWS * (N - 8) ? 3e-5f : 0;
    memset(o, 0, D * ROWS * sizeof *o);
    wide_values(k, &w, N, p, keep, o);
    double want = (N - 9) * 3e-5 * 0.25, got = o[5 * ROWS];
    CHECK_MSG(fabs(got - want) <= 0.01 * want, "%s: small weights make up %g, not %g", kernel_now,
              got, want);
    for (int i = D * (N - 8); i < N * D; i++) v[i] = test_float() * 1000; /* of weight 0 */
    memset(again, 0, D * ROWS * sizeof *o);
    wide_values(k, &w, N, p, keep, again);
    CHECK_MSG(memcmp(o, again, D * ROWS * sizeof *o) == 0, "%s: what weighs 0 counts", kernel_now);
    v[3 * D + 7] = INFINITY;
    wide_values(k, &w, N, p, keep, again);
    CHECK_MSG(isnan(again[7 * ROWS]), "%s lost an infinity among the values", kernel_now);
    int16_t y[32];
    v[3 * D + 7] = NAN;
    CHECK_MSG(isnan(k->to_i16(v + 3 * D, y, 32, 100)), "%s lost a NaN", kernel_now);
    memset(v, 0, 32 * sizeof *v);
    CHECK_MSG(k->to_i16(v, y, 32, 100) == 0 && y[31] == 0, "%s: nothing is not 0", kernel_now);
    free(v);
    free(p);
    free(o);
    free(keep);
    free(again);
    free(w.values);
    free(w.room);
}

static void i16_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    if (k->values_i16 == below->values_i16) return;
    for (int kind = 0; kind < 32 && test_failures_ < 5; kind++) {
        Wide w = wide_new(k, kind);
        kernel_name("scores_i16", "", level);
        scores_i16_once(k, &w);
        kernel_name("values_i16", "", level);
        values_i16_once(k, &w);
        if (level != ENG_CPU_C) i16_is_c(k, &w);
        fewer_i16(k, &w);
        kernel_name("keys_f16, pairs_f16", "", level);
        halves_once(k, &w);
        wide_free(&w);
    }
    i16_edges(k);
}

void check_attn_i16(void)
{
    static const EngKernels none;
    i16_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(i16_of_level);
}
