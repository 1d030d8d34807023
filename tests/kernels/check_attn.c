/* Attention's products and its softmax, against double precision. */
#define TEST_PART
#include "check.h"

/* Bound 2^-20 of the terms' size. */
static void gemm_once(const EngKernels *k, bool turned, bool keeps)
{
    int m = test_range(1, 40), n = LANES * test_range(1, 9), kk = test_range(1, 300);
    size_t ldb = (size_t)(n + LANES * test_range(0, 2)),
           ldc = (size_t)(n + LANES * test_range(0, 2));
    size_t a_row = turned ? 1 : (size_t)(kk + test_range(0, 3));
    size_t a_step = turned ? (size_t)(m + test_range(0, 3)) : 1;
    size_t a_n = (size_t)(m - 1) * a_row + (size_t)(kk - 1) * a_step + 1;
    float *a = malloc(a_n * sizeof *a); /* ends with its last number */
    for (size_t i = 0; i < a_n; i++) a[i] = test_float() * 3;
    float *b = random_floats((size_t)kk * ldb, 3), *c = random_floats((size_t)m * ldc, 3);
    float *keep = random_floats((size_t)n, 1), *old = floats_new((size_t)m * ldc);
    if (!keeps) c[0] = NAN; /* is not read */
    memcpy(old, c, (size_t)m * ldc * sizeof *c);
    k->gemm(m, n, kk, a, a_row, a_step, b, ldb, keeps ? keep : NULL, c, ldc);
    for (size_t i = 0; i < (size_t)m * ldc && test_failures_ < 5; i++) {
        size_t row = i / ldc, col = i % ldc;
        if (col >= (size_t)n) {
            CHECK_MSG(c[i] == old[i], "%s writes past its columns", kernel_now);
            continue;
        }
        double want = keeps ? (double)old[i] * keep[col] : 0, terms = fabs(want);
        for (size_t p = 0; p < (size_t)kk; p++) {
            double part = (double)a[row * a_row + p * a_step] * b[p * ldb + col];
            want += part, terms += fabs(part);
        }
        CHECK_MSG(fabs(c[i] - want) <= 0x1p-20 * terms, "%s %d x %d x %d: %.9g, not %.9g",
                  kernel_now, m, n, kk, (double)c[i], want);
    }
    free(a);
    free(b);
    free(c);
    free(old);
    free(keep);
}

static void gemm_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    if (k->gemm == below->gemm) return;
    kernel_name("gemm", "", level);
    for (int i = 0; i < 80; i++) gemm_once(k, i & 1, i & 2);
}

void check_gemm(void)
{
    static const EngKernels none;
    gemm_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(gemm_of_level);
}

/* ---- softmax --------------------------------------------------------------------------------- */

typedef struct {
    int n, rows;
    float scale;
    float *s, *max, *sum, *keep;
    int32_t *seen;
} Block;

static Block block_new(int kind)
{
    Block b = {.n = test_range(1, 70), .rows = LANES * test_range(1, 5)};
    size_t rows = (size_t)b.rows;
    b.scale = kind % 2 ? 1 : 0.07f;
    b.s = random_floats((size_t)b.n * rows, kind % 3 ? 5 : 90);
    b.max = random_floats(rows, 3);
    b.sum = random_floats(rows, 0);
    b.keep = random_floats(rows, 1);
    b.seen = (int32_t *)(void *)floats_new(rows);
    for (size_t j = 0; j < rows; j++) {
        b.seen[j] = test_range(-3, b.n + 3);
        b.sum[j] = 1 + fabsf(b.max[j]);
        if (test_range(0, 2) == 0) b.max[j] = -INFINITY, b.sum[j] = 0; /* the first block */
    }
    for (int i = 0; i < 4; i++) b.s[test_range(0, b.n * b.rows - 1)] = i % 2 ? -INFINITY : -3e38f;
    return b;
}

static void block_free(Block *b)
{
    free(b->s);
    free(b->max);
    free(b->sum);
    free(b->keep);
    free(b->seen);
}

static bool near(double got, double want, double relative)
{
    return fabs(got - want) <= relative * fabs(want) + 1.2e-38;
}

/* One query: exp within 2e-6, the sum within twice that. */
static void query_is_right(const Block *old, const Block *b, int j)
{
    double max = old->max[j], total = 0;
    for (int i = 0; i < ENG_MIN(b->n, b->seen[j]); i++)
        max = fmax(max, (double)(old->s[i * b->rows + j] * b->scale));
    CHECK_MSG(b->max[j] == max, "%s: max %g, not %g", kernel_now, (double)b->max[j], max);
    double from = isinf(max) ? 0 : max;
    for (int i = 0; i < b->n; i++) {
        float x = old->s[i * b->rows + j] * b->scale, got = b->s[i * b->rows + j];
        double want = i < b->seen[j] ? exp((double)(x - (float)from)) : 0;
        total += want;
        CHECK_MSG(near((double)got, want, 2e-6), "%s: weight %.9g, not %.9g", kernel_now,
                  (double)got, want);
    }
    double keep = exp((double)(old->max[j] - (float)from));
    CHECK_MSG(near((double)b->keep[j], keep, 2e-6), "%s: keep %.9g, not %.9g", kernel_now,
              (double)b->keep[j], keep);
    total += keep * old->sum[j];
    CHECK_MSG(near((double)b->sum[j], total, 4e-6), "%s: sum %.9g, not %.9g", kernel_now,
              (double)b->sum[j], total);
}

static void soften_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    if (k->soften == below->soften) return;
    kernel_name("soften", "", level);
    for (int kind = 0; kind < 40 && test_failures_ < 5; kind++) {
        Block b = block_new(kind), old = b;
        size_t rows = (size_t)b.rows, n = (size_t)b.n * rows;
        old.s = memcpy(floats_new(n), b.s, n * sizeof *b.s);
        old.max = memcpy(floats_new(rows), b.max, rows * sizeof *b.max);
        old.sum = memcpy(floats_new(rows), b.sum, rows * sizeof *b.sum);
        k->soften(b.n, b.rows, b.scale, b.seen, b.s, b.max, b.sum, b.keep);
        for (int j = 0; j < b.rows && test_failures_ < 5; j++) query_is_right(&old, &b, j);
        b.s[b.rows / 2] = NAN;
        b.seen[b.rows / 2] = 1;
        k->soften(b.n, b.rows, b.scale, b.seen, b.s, b.max, b.sum, b.keep);
        CHECK_MSG(isnan(b.sum[b.rows / 2]), "%s loses a NaN", kernel_now);
        free(old.s);
        free(old.max);
        free(old.sum);
        block_free(&b);
    }
}

/* ---- q8_0 ------------------------------------------------------------------------------------ */

typedef struct {
    int n, rows, d; /* d numbers per row of the cache */
    Rows cells;
    EngQueryQ8 *q; /* [d / 32][rows / LANES] */
    uint8_t *room;
} Cache;

static Cache cache_new(int kind)
{
    Cache c = {test_range(1, ENG_Q8_POSITIONS), LANES * test_range(1, 5), 32 * test_range(1, 18)};
    size_t n = (size_t)c.n, d = (size_t)c.d, rows = (size_t)c.rows, blocks = d / 32 * rows / LANES;
    c.cells = rows_new(c.n, d / 32 * sizeof(EngBlockQ8_0), (size_t)test_range(0, 1) * 68);
    for (size_t i = 0; i < n; i++)
        for (size_t b = 0; b < d / 32; b++) {
            EngBlockQ8_0 *block = (EngBlockQ8_0 *)(void *)(c.cells.base + i * c.cells.stride) + b;
            for (int j = 0; j < 32; j++)
                block->qs[j] =
                    (int8_t)(kind % 3 ? test_range(-127, 127) : test_range(0, 1) * 254 - 127);
            float scale = fabsf(test_float()) * (kind % 4 == 1   ? 0x1p-20f
                                                 : kind % 4 == 2 ? 500
                                                                 : 1);
            block->d = eng_f32_to_f16(test_range(0, 9) ? scale : 0);
        }
    c.q = (EngQueryQ8 *)(void *)floats_new(blocks * sizeof *c.q / sizeof(float));
    for (size_t b = 0; b < blocks; b++)
        for (int j = 0; j < 16; j++) {
            c.q[b].d[j] = fabsf(test_float());
            c.q[b].start[j] = 0;
            for (int i = 0; i < 32; i++) {
                c.q[b].q[i / 4][j][i % 4] = (int8_t)(kind % 3 ? test_range(-127, 127) : -127);
                c.q[b].start[j] -= 128 * c.q[b].q[i / 4][j][i % 4];
            }
        }
    c.room = malloc(ENG_MAX(n * d * 2, (n + 3) * (4 * rows + d / 16 + 32) + 4 * rows));
    return c;
}

static void cache_free(Cache *c)
{
    free(c->cells.base);
    free(c->q);
    free(c->room);
}

/* Whole numbers times scales: 2^-20 of the terms' size. */
static void scores_once(const EngKernels *k, const Cache *c)
{
    size_t total = (size_t)c->n * (size_t)c->rows, blocks = (size_t)c->d / 32;
    float *got = floats_new(total), *want = floats_new(total), *size = floats_new(blocks);
    k->scores_q8(c->n, c->rows, c->d, c->q, c->cells.base, c->cells.stride, c->room, got);
    eng_kernels(ENG_CPU_C)->scores_q8(c->n, c->rows, c->d, c->q, c->cells.base, c->cells.stride,
                                      c->room, want);
    for (int i = 0; i < c->n; i++)
        for (int j = 0; j < c->rows && test_failures_ < 5; j++) {
            const uint8_t *row = c->cells.base + (size_t)i * c->cells.stride;
            double terms = 0;
            for (size_t b = 0; b < blocks; b++)
                terms += 32 * 127 * 127.0 *
                         c->q[b * (size_t)(c->rows / LANES) + (size_t)(j / LANES)].d[j % LANES] *
                         eng_f16_to_f32(((const EngBlockQ8_0 *)(const void *)row)[b].d);
            float a = got[i * c->rows + j], b = want[i * c->rows + j];
            CHECK_MSG(fabs((double)a - b) <= 0x1p-20 * terms, "%s %d x %d x %d: %.9g, not %.9g",
                      kernel_now, c->n, c->rows, c->d, (double)a, (double)b);
        }
    free(got);
    free(want);
    free(size);
}

/* What kernels.h allows each weight to be off by, and 2^-17 of the terms' size: 2^-24 for each of
 * the sums. */
static void values_once(const EngKernels *k, const Cache *c)
{
    size_t n = (size_t)c->n, rows = (size_t)c->rows, d = (size_t)c->d;
    float *p = random_floats(n * rows, 1), *keep = random_floats(rows, 1);
    float *o = random_floats(d * rows, 100), *old = memcpy(floats_new(d * rows), o, d * rows * 4);
    float *sum = floats_new(rows);
    for (size_t i = 0; i < n * rows; i++) p[i] = test_range(0, 9) ? expf(-9 * fabsf(p[i])) : 0;
    int past = test_range(0, 2) * 40; /* on whose weights these come: none, or enough for most */
    for (size_t j = 0; j < rows; j++) {
        sum[j] = (float)past + (float)test_range(0, past);
        for (size_t i = 0; i < n; i++) sum[j] += p[i * rows + j];
    }
    k->values_q8(c->n, c->rows, c->d, p, c->cells.base, c->cells.stride, sum, keep, c->room, o);
    for (size_t col = 0; col < d; col++)
        for (size_t j = 0; j < rows && test_failures_ < 5; j++) {
            double want = (double)old[col * rows + j] * keep[j], terms = fabs(want), error = 0;
            double most_p = 0, most_d = 0;
            for (size_t i = 0; i < n; i++) {
                const uint8_t *row = c->cells.base + i * c->cells.stride;
                most_p = fmax(most_p, (double)p[i * rows + j]);
                most_d = fmax(most_d, (double)eng_f16_to_f32(
                                          ((const EngBlockQ8_0 *)(const void *)row)[col / 32].d));
            }
            for (size_t i = 0; i < n; i++) {
                const uint8_t *row = c->cells.base + i * c->cells.stride;
                const EngBlockQ8_0 *b = (const EngBlockQ8_0 *)(const void *)row + col / 32;
                double v = (double)eng_f16_to_f32(b->d) * b->qs[col % 32], w = p[i * rows + j];
                want += w * v, terms += fabs(w * v);
                error += fmax(most_p * 0x1p-15, (double)sum[j] * 0x1p-13) * most_d *
                         abs(b->qs[col % 32]);
            }
            CHECK_MSG(fabs(o[col * rows + j] - want) <= error + 0x1p-17 * terms,
                      "%s %d x %d x %d: %.9g, not %.9g within %.3g", kernel_now, c->n, c->rows,
                      c->d, (double)o[col * rows + j], want, error);
        }
    free(p);
    free(sum);
    free(keep);
    free(o);
    free(old);
}

/* Small weights beside a large one, behind many: together they count as they should. */
static void small_weights_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    if (k->values_q8 == below->values_q8) return;
    kernel_name("values_q8", "", level);
    enum { N = ENG_Q8_POSITIONS, ROWS = LANES, D = 32 };
    EngBlockQ8_0 v[N];
    float *p = floats_new(N * ROWS), *keep = random_floats(ROWS, 0),
          *o = random_floats(D * ROWS, 0);
    float *sum = floats_new(ROWS);
    void *room = floats_new((N + 3) * (4 * ROWS + D / 16 + 32) / 4 + ROWS);
    for (int i = 0; i < N; i++) {
        v[i].d = eng_f32_to_f16(0.25f);
        memset(v[i].qs, i ? 100 : 0, sizeof v[i].qs);
        for (int j = 0; j < ROWS; j++) p[i * ROWS + j] = i ? 0.0001f * (float)(j + 1) : 1;
    }
    for (int j = 0; j < ROWS; j++) sum[j] = 300;
    k->values_q8(N, ROWS, D, p, v, sizeof *v, sum, keep, room, o);
    for (int j = 0; j < ROWS; j++) {
        double want = (N - 1) * 25 * 0.0001 * (j + 1), place = 25.0 / 254;
        for (int d = 0; d < D; d++)
            CHECK_MSG(fabs((double)o[d * ROWS + j] - want) <= 2 * place,
                      "%s: small weights make up %g, not %g", kernel_now, (double)o[d * ROWS + j],
                      want);
    }
    free(p);
    free(sum);
    free(keep);
    free(o);
    free(room);
}

static void q8_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    for (int kind = 0; kind < 48 && test_failures_ < 5; kind++) {
        Cache c = cache_new(kind);
        kernel_name("scores_q8", "", level);
        if (k->scores_q8 != below->scores_q8) scores_once(k, &c);
        kernel_name("values_q8", "", level);
        if (k->values_q8 != below->values_q8) values_once(k, &c);
        kernel_name("q8_0_to_f32", "", level);
        float *got = floats_new((size_t)c.d), *want = floats_new((size_t)c.d);
        k->q8_0_to_f32(c.cells.base, got, c.d);
        eng_kernels(ENG_CPU_C)->q8_0_to_f32(c.cells.base, want, c.d);
        CHECK_MSG(memcmp(got, want, (size_t)c.d * sizeof *got) == 0, "%s differs from C",
                  kernel_now);
        free(got);
        free(want);
        cache_free(&c);
    }
}

/* A scale that is not a number must show. */
static void q8_nan_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    (void)below;
    kernel_name("q8 NaN", "", level);
    Cache c = cache_new(1);
    size_t rows = (size_t)c.rows;
    ((EngBlockQ8_0 *)(void *)(c.cells.base + (size_t)(c.n - 1) * c.cells.stride))->d = 0x7e00;
    float *s = random_floats((size_t)c.n * rows, 1), *keep = random_floats(rows, 1);
    float *o = random_floats((size_t)c.d * rows, 1);
    for (size_t i = 0; i < (size_t)c.n * rows; i++) s[i] = 0.5f;
    k->values_q8(c.n, c.rows, c.d, s, c.cells.base, c.cells.stride, keep, keep, c.room, o);
    CHECK_MSG(isnan(o[0]) && isnan(o[31 * rows]), "%s lost among the values", kernel_now);
    k->scores_q8(c.n, c.rows, c.d, c.q, c.cells.base, c.cells.stride, c.room, s);
    CHECK_MSG(isnan(s[(size_t)(c.n - 1) * rows]), "%s lost among the scores", kernel_now);
    free(s);
    free(keep);
    free(o);
    cache_free(&c);
}

void check_attn_q8(void)
{
    static const EngKernels none;
    q8_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(q8_of_level);
    each_level(q8_nan_of_level);
    each_level(small_weights_of_level);
}

void check_soften(void)
{
    static const EngKernels none;
    soften_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(soften_of_level);
}
