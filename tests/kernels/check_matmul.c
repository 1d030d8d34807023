/* Matrix products of every weight type, and the activations' quantizers. */
#define TEST_PART
#include "check.h"
#include "load/unpack_iq.h"

/* One random problem: weights and activations of a type. */
typedef struct {
    EngType type;
    int64_t n;
    int n_rows, n_tokens;
    Rows w, x;
    size_t y_stride;
} Problem;

/* n: 0: some that fit the type. */
static Problem problem_of(const EngKernels *c, EngType type, int64_t n, int max_rows,
                          int max_tokens)
{
    const EngTypeInfo *info = eng_type_info(type);
    Problem p = {.type = type,
                 .n = n,
                 .n_rows = test_range(1, max_rows),
                 .n_tokens = test_range(1, max_tokens)};
    if (!n) p.n = info->block == 256 ? 256 * test_range(1, 5) : info->block * test_range(1, 30);
    if (!n && info->block == 1) p.n = test_range(1, 700);
    size_t w_unit = type == ENG_TYPE_F32 ? 4 : type == ENG_TYPE_MXFP4 ? 1 : 2;
    p.w = rows_new(p.n_rows, eng_row_bytes(type, (uint64_t)p.n), w_unit * (size_t)test_range(0, 9));
    p.x = rows_new(p.n_tokens, eng_act_row_bytes(info->act, p.n), 4 * (size_t)test_range(0, 9));
    p.y_stride = (size_t)(p.n_rows + test_range(0, 5));
    fill_weights(type, (WeightKind)test_range(0, WEIGHTS_KINDS - 1), p.w, p.n_rows, p.n);
    float *row = malloc((size_t)p.n * sizeof *row);
    for (int t = 0; t < p.n_tokens; t++) {
        fill_floats((ActKind)test_range(0, ACT_KINDS - 1), row, p.n);
        c->quantize[info->act](row, p.x.base + (size_t)t * p.x.stride, p.n);
    }
    free(row);
    return p;
}

static Problem problem_new(const EngKernels *c, EngType type, int max_rows, int max_tokens)
{
    return problem_of(c, type, 0, max_rows, max_tokens);
}

/* Of more numbers than kernels take in one go. */
static Problem problem_long(const EngKernels *c, EngType type)
{
    return problem_of(c, type, 256 * test_range(90, 200), 9, 1);
}

static void problem_free(Problem *p)
{
    free(p->w.base);
    free(p->x.base);
}

static float *problem_run(const Problem *p, EngMatmulFn *matmul)
{
    size_t n = p->y_stride * (size_t)p->n_tokens;
    float *y = malloc(n * sizeof *y);
    for (size_t i = 0; i < n; i++) y[i] = 12345.0f;
    matmul(p->n, p->n_rows, p->n_tokens, p->w.base, p->w.stride, p->x.base, p->x.stride, y,
           p->y_stride);
    return y;
}

static void decode_act(EngAct act, const void *row, float *ret, int64_t n)
{
    const EngBlockQ8_0A *a = row;
    const EngBlockQ8_KA *b = row;
    for (int64_t i = 0; i < n; i++)
        ret[i] = act == ENG_ACT_Q8_0   ? a[i / 32].d * (float)a[i / 32].q[i % 32]
                 : act == ENG_ACT_Q8_K ? b[i / 256].d * (float)b[i / 256].q[i % 256]
                                       : ((const float *)row)[i];
}

/* What rounding errors are measured on: |d s q| + |dmin m| of each weight. A weight with a minimum
 * is a difference, and both parts are rounded. The same holds for a zero point: a kernel may keep
 * the quants of Q3_K and Q6_K as stored, 4 and 32 higher, and subtract later. */
static void weight_sizes(EngType type, const uint8_t *row, double *ret, int64_t n)
{
    const EngTypeInfo *info = eng_type_info(type);
    EngUnpacked32 u = {0};
    EngUnpacked256 k = {0};
    float w;
    int zero = type == ENG_TYPE_Q3_K ? 4 : type == ENG_TYPE_Q6_K ? 32 : 0;
    for (int64_t i = 0; i < n; i++) {
        const void *block = row + i / info->block * info->bytes;
        int j = (int)(i % info->block);
        switch (j == 0 ? type : ENG_TYPE_COUNT) {
        case ENG_TYPE_Q4_0: eng_unpack_q4_0(block, &u); break;
        case ENG_TYPE_Q4_1: eng_unpack_q4_1(block, &u); break;
        case ENG_TYPE_Q5_0: eng_unpack_q5_0(block, &u); break;
        case ENG_TYPE_Q5_1: eng_unpack_q5_1(block, &u); break;
        case ENG_TYPE_Q8_0: eng_unpack_q8_0(block, &u); break;
        case ENG_TYPE_Q2_K: eng_unpack_q2_k(block, &k); break;
        case ENG_TYPE_Q3_K: eng_unpack_q3_k(block, &k); break;
        case ENG_TYPE_Q4_K: eng_unpack_q4_k(block, &k); break;
        case ENG_TYPE_Q5_K: eng_unpack_q5_k(block, &k); break;
        case ENG_TYPE_Q6_K: eng_unpack_q6_k(block, &k); break;
        case ENG_TYPE_IQ4_NL: eng_unpack_iq4_nl(block, &u); break;
        case ENG_TYPE_MXFP4: eng_unpack_mxfp4(block, &u); break;
        case ENG_TYPE_IQ1_S: eng_unpack_iq1_s(block, &k); break;
        case ENG_TYPE_IQ1_M: eng_unpack_iq1_m(block, &k); break;
        case ENG_TYPE_IQ2_XXS: eng_unpack_iq2_xxs(block, &k); break;
        case ENG_TYPE_IQ2_XS: eng_unpack_iq2_xs(block, &k); break;
        case ENG_TYPE_IQ2_S: eng_unpack_iq2_s(block, &k); break;
        case ENG_TYPE_IQ3_XXS: eng_unpack_iq3_xxs(block, &k); break;
        case ENG_TYPE_IQ3_S: eng_unpack_iq3_s(block, &k); break;
        case ENG_TYPE_IQ4_XS: eng_unpack_iq4_xs(block, &k); break;
        default: break;
        }
        if (info->block == 32)
            ret[i] = fabs((double)u.d * u.q[j]) + fabs((double)u.m);
        else if (info->block == 256)
            ret[i] = fabs((double)k.d * k.s[j / 16]) * (abs(k.q[j]) + zero) +
                     fabs((double)k.dmin * k.m[j / 16]);
        else
            info->to_f32(block, &w, 1), ret[i] = fabs((double)w);
    }
}

/* Bound: float rounds by 2^-24 of a number. A block's part is rounded up to twenty times, for a
 * kernel may add the products of its sixteen groups in float, then each addition to the sum rounds
 * once: blocks, or with float weights one eighth of the numbers.
 * 1e-38: results below the normal range. */
static void compare(const Problem *p, const float *got, const float *ref, const char *what)
{
    const EngTypeInfo *info = eng_type_info(p->type);
    float *w = malloc((size_t)p->n * sizeof *w), *x = malloc((size_t)p->n * sizeof *x);
    double bound = 0x1p-24 * (20.0 + (double)p->n / (info->block > 1 ? info->block : 8));
    for (int r = 0; r < p->n_rows; r++) {
        info->to_f32(p->w.base + (size_t)r * p->w.stride, w, p->n);
        double *size = malloc((size_t)p->n * sizeof *size);
        weight_sizes(p->type, p->w.base + (size_t)r * p->w.stride, size, p->n);
        for (int t = 0; t < p->n_tokens && test_failures_ < 5; t++) {
            decode_act(info->act, p->x.base + (size_t)t * p->x.stride, x, p->n);
            double want = 0, terms = 0;
            for (int64_t i = 0; i < p->n; i++) {
                want += (double)w[i] * x[i];
                terms += size[i] * fabs((double)x[i]);
            }
            size_t at = (size_t)t * p->y_stride + (size_t)r;
            if (ref) want = ref[at];
            CHECK_MSG(fabs(got[at] - want) <= bound * terms + 1e-38,
                      "%s %s: row %d of %d, token %d of %d, n %lld: %.9g, not %.9g (size %g)", what,
                      info->name, r, p->n_rows, t, p->n_tokens, (long long)p->n, (double)got[at],
                      want, terms);
        }
        free(size);
    }
    for (int t = 0; t < p->n_tokens; t++)
        for (size_t r = (size_t)p->n_rows; r < p->y_stride; r++)
            CHECK_MSG(got[(size_t)t * p->y_stride + r] == 12345.0f,
                      "%s %s writes past its rows: %d rows, %d tokens", what, info->name, p->n_rows,
                      p->n_tokens);
    free(w);
    free(x);
}

void check_matmul_c(void) /* the twins against double precision */
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++) {
        CHECK(!c->matmul[type] == !eng_type_info(type)->to_f32);
        for (int i = 0; i < 12 && c->matmul[type]; i++) {
            kernel_name("matmul", eng_type_info(type)->name, ENG_CPU_C);
            Problem p = problem_new(c, (EngType)type, 12, 6);
            float *y = problem_run(&p, c->matmul[type]);
            compare(&p, y, NULL, "c");
            free(y);
            problem_free(&p);
        }
    }
}

static void matmul_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++) {
        if (k->matmul[type] == below->matmul[type]) continue;
        kernel_name("matmul", eng_type_info(type)->name, level);
        for (int i = 0; i < 26; i++) {
            Problem p = i < 24 ? problem_new(c, (EngType)type, i % 3 ? 70 : 9, i % 4 ? 70 : 1)
                               : problem_long(c, (EngType)type);
            float *ref = problem_run(&p, c->matmul[type]), *y = problem_run(&p, k->matmul[type]);
            compare(&p, y, ref, kernel_now);
            free(ref);
            free(y);
            problem_free(&p);
        }
    }
}

void check_matmul(void) { each_level(matmul_of_level); }

static void alone_as_among_others(const EngKernels *k, Problem p)
{
    float *y = problem_run(&p, k->matmul[p.type]);
    for (int r = 0; r < p.n_rows; r++) {
        float alone;
        k->matmul[p.type](p.n, 1, 1, p.w.base + (size_t)r * p.w.stride, p.w.stride, p.x.base,
                          p.x.stride, &alone, 1);
        CHECK_MSG(memcmp(&alone, y + r, sizeof alone) == 0,
                  "%s: row %d of %d alone gives %a, among the others %a", kernel_now, r, p.n_rows,
                  (double)alone, (double)y[r]);
    }
    free(y);
    problem_free(&p);
}

static void one_token_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++) {
        if (k->matmul[type] == below->matmul[type]) continue;
        kernel_name("matmul", eng_type_info(type)->name, level);
        alone_as_among_others(k, problem_new(c, (EngType)type, 70, 1));
        alone_as_among_others(k, problem_long(c, (EngType)type));
    }
}

/* Rows are dealt to threads in any grouping: a decode step must not depend on it by a bit. */
void check_matmul_one_token(void) { each_level(one_token_of_level); }

static void together_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    if (level == ENG_CPU_AMX) return; /* its tiles add up in an order of their own */
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++) {
        if (k->matmul[type] == below->matmul[type]) continue;
        if (eng_type_info(type)->act != ENG_ACT_F32) continue;
        kernel_name("matmul", eng_type_info(type)->name, level);
        for (int i = 0; i < 12; i++) {
            Problem p = problem_new(eng_kernels(ENG_CPU_C), (EngType)type, 150, i % 2 ? 70 : 8);
            float *y = problem_run(&p, k->matmul[type]), alone;
            for (int t = 0; t < p.n_tokens; t++)
                for (int r = 0; r < p.n_rows; r++) {
                    k->matmul[type](p.n, 1, 1, p.w.base + (size_t)r * p.w.stride, p.w.stride,
                                    p.x.base + (size_t)t * p.x.stride, p.x.stride, &alone, 1);
                    CHECK_MSG(memcmp(&alone, &y[(size_t)t * p.y_stride + (size_t)r], 4) == 0,
                              "%s: row %d, token %d of %d, alone %.9g, among others %.9g",
                              kernel_now, r, t, p.n_tokens, (double)alone,
                              (double)y[(size_t)t * p.y_stride + (size_t)r]);
                }
            free(y);
            problem_free(&p);
        }
    }
}

/* Float weights: the same bits whatever rows and tokens meet in a call. */
void check_matmul_together(void) { each_level(together_of_level); }

static void nan_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++) {
        if (k->matmul[type] == below->matmul[type]) continue;
        const EngTypeInfo *info = eng_type_info(type);
        kernel_name("matmul", info->name, level);
        Problem p = problem_new(c, (EngType)type, 40, 40);
        float *row = malloc((size_t)p.n * sizeof *row);
        fill_weights(p.type, WEIGHTS_RANDOM, p.w, p.n_rows, p.n);
        fill_floats(ACT_RANDOM, row, p.n);
        row[test_range(0, (int)p.n - 1)] = test_range(0, 1) ? NAN : INFINITY;
        int bad = test_range(0, p.n_tokens - 1);
        k->quantize[info->act](row, p.x.base + (size_t)bad * p.x.stride, p.n);
        float *y = problem_run(&p, k->matmul[type]);
        for (int t = 0; t < p.n_tokens; t++)
            for (int r = 0; r < p.n_rows; r++) {
                bool finite = isfinite(y[(size_t)t * p.y_stride + (size_t)r]);
                CHECK_MSG(finite == (t != bad), "%s: token %d (NaN in %d) is %s", kernel_now, t,
                          bad, finite ? "finite" : "not finite");
            }
        free(y);
        free(row);
        problem_free(&p);
    }
}

/* A NaN or an infinity in one token's activations shows in all its results, and in no other's. */
void check_matmul_nan(void)
{
    static const EngKernels none;
    nan_of_level(ENG_CPU_C, eng_kernels(ENG_CPU_C), &none);
    each_level(nan_of_level);
}

static void quantize_of_level(EngCpuLevel level, const EngKernels *k, const EngKernels *below)
{
    const EngKernels *c = eng_kernels(ENG_CPU_C);
    for (int act = 0; act < ENG_ACT_COUNT; act++) {
        if (k->quantize[act] == below->quantize[act]) continue;
        kernel_name("quantize",
                    act == ENG_ACT_Q8_K   ? "Q8_K"
                    : act == ENG_ACT_Q8_0 ? "Q8_0"
                                          : "F32",
                    level);
        for (int i = 0; i < 60; i++) {
            int64_t n = 256 * test_range(1, 4);
            if (act == ENG_ACT_Q8_0) n = 32 * test_range(1, 20);
            size_t size = eng_act_row_bytes((EngAct)act, n);
            float *x = malloc((size_t)n * sizeof *x);
            uint8_t *got = malloc(size), *want = malloc(size);
            fill_floats((ActKind)(i % ACT_KINDS), x, n);
            if (i % 7 == 3) x[test_range(0, (int)n - 1)] = NAN;
            if (i % 7 == 4) x[test_range(0, (int)n - 1)] = -INFINITY;
            if (i % 7 == 5)
                for (int64_t j = 0; j < n; j++) x[j] *= 1e-38f; /* too small to divide by */
            k->quantize[act](x, got, n);
            c->quantize[act](x, want, n);
            CHECK_MSG(memcmp(got, want, size) == 0, "%s differs from C, n %lld, input %d",
                      kernel_now, (long long)n, i);
            free(x);
            free(got);
            free(want);
        }
    }
}

void check_quantize(void) { each_level(quantize_of_level); } /* equal bits */
