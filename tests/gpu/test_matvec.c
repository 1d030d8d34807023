/* matvec_T, experts_up_T, experts_down_T, and quantize, halve, copy_act.
 *
 * Products are held to sums in double precision over weights decoded by the type table times the
 * very numbers that the bytes of the activations stand for, so only float rounding is left:
 *   |got - s| <= 1e-5 * sum of |W| |a|,
 * |W| being the largest weight of the 32 around, for w = s q - m rounds with s q and m. (One part
 * adds a few roundings of 2^-24, hundreds of parts are added in no more than dozens of steps.) */
#include <math.h>

#include "base/num.h"
#include "cuda/launch/matvec.h"
#include "kernels/check.h"
#include "on_gpu.h"

static const float untouched = -12345.5f;

static const EngType types[] = {
#define X(type) ENG_TYPE_##type,
    ENG_CU_FORMATS(X)
#undef X
};

/* ---- inputs ---- */

typedef struct {
    EngCuWeight w;
    float *value; /* [mats][rows][cols], decoded */
    float *size;  /* the same: the largest magnitude of the 32 around */
} Weights;

static Weights weights_new(EngType type, int mats, int rows, int cols)
{
    const EngTypeInfo *info = eng_type_info(type);
    size_t row = eng_row_bytes(type, (uint64_t)cols), mat = row * (size_t)rows;
    size_t n = (size_t)mats * (size_t)rows * (size_t)cols;
    Weights w = {.value = malloc(n * sizeof(float)), .size = malloc(n * sizeof(float))};
    Rows data = rows_new(mats * rows, row, 0);
    fill_weights(type, WEIGHTS_RANDOM, data, mats * rows, cols);
    for (int r = 0; r < mats * rows; r++)
        info->to_f32(data.base + (size_t)r * row, w.value + (size_t)r * (size_t)cols, cols);
    for (size_t i = 0; i < n; i++) {
        w.size[i] = fabsf(w.value[i]);
        if (info->block == 1) continue;
        for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; j++)
            w.size[i] = fmaxf(w.size[i], fabsf(w.value[j]));
    }
    w.w = (EngCuWeight){NULL, NULL, row, mat, cols, rows};
    if (test_range(0, 2) == 0 && mats < 16) { /* matrices that lie apart */
        const uint8_t *table[16];
        for (int m = 0; m < mats; m++) table[m] = device(mat, data.base + (size_t)m * mat);
        w.w.mats = device((size_t)mats * sizeof *table, table);
    } else {
        w.w.data = device(mat * (size_t)mats, data.base);
    }
    free(data.base);
    return w;
}

typedef struct {
    EngCuAct act;
    float *value; /* [vectors][cols] what the bytes stand for; exact in double, here d and q */
    double *exact;
} Acts;

static Acts acts_new(EngType type, int vectors, int cols)
{
    size_t n = (size_t)vectors * (size_t)cols;
    Acts a = {.exact = malloc(n * sizeof(double))};
    if (eng_type_info(type)->act == ENG_ACT_F32) {
        a.value = malloc(n * sizeof(float));
        for (size_t i = 0; i < n; i++) a.exact[i] = a.value[i] = test_float();
        a.act.x = device(n * sizeof(float), a.value);
        return a;
    }
    int8_t *q = malloc(n);
    float *scale = malloc(n / 32 * 2 * sizeof(float));
    for (size_t i = 0; i < n / 32; i++) {
        int sum = 0;
        scale[2 * i] = fabsf(test_float()) * 0.01f;
        for (size_t j = i * 32; j < i * 32 + 32; j++) {
            q[j] = (int8_t)test_range(-127, 127), sum += q[j];
            a.exact[j] = (double)scale[2 * i] * q[j];
        }
        scale[2 * i + 1] = scale[2 * i] * (float)sum;
    }
    a.act.q = device(n, q);
    a.act.scale = device(n / 32 * 2 * sizeof(float), scale);
    free(q), free(scale);
    return a;
}

static void inputs_free(Weights *w, Acts *a)
{
    free(w->value), free(w->size), free(a->value), free(a->exact);
    gpu_clear();
}

/* Row r of matrix mat times vector; ret_bound is added to. */
static double product(const Weights *w, const Acts *a, int mat, int r, int vector, double by,
                      double *ret_bound)
{
    size_t cols = (size_t)w->w.cols;
    size_t row = ((size_t)mat * (size_t)w->w.rows + (size_t)r) * cols, act = (size_t)vector * cols;
    double sum = 0, size = 0;
    for (size_t i = 0; i < cols; i++) {
        sum += w->value[row + i] * a->exact[act + i];
        size += w->size[row + i] * fabs(a->exact[act + i]);
    }
    *ret_bound += 1e-5 * size * fabs(by);
    return by * sum;
}

/* A buffer of `rows` rows with a view of heads x n in it, all of it known before. */
typedef struct {
    EngCuView view;
    float *base; /* on the device */
    float *was, *is;
    size_t count;
    int at;
} Dst;

static Dst dst_new(int rows, int heads, int n)
{
    int stride = n + test_range(0, 3), at = test_range(0, 3);
    int row = at + heads * stride + test_range(0, 3);
    Dst d = {.count = (size_t)rows * (size_t)row, .at = at};
    d.was = malloc(d.count * sizeof(float)), d.is = malloc(d.count * sizeof(float));
    for (size_t i = 0; i < d.count; i++) d.was[i] = untouched;
    d.view = (EngCuView){NULL, row, heads, n, stride};
    return d;
}

static float *dst_at(const Dst *d, float *of, int t, int h, int i)
{
    return of + (size_t)t * (size_t)d->view.row + d->at + h * d->view.stride + i;
}

static void dst_send(Dst *d)
{
    d->base = device(d->count * sizeof(float), d->was);
    d->view.data = d->base + d->at;
}

/* Numbers that were checked become `untouched`; then all of them must be. */
static void dst_end(Dst *d, EngType type)
{
    size_t wrong = 0;
    for (size_t i = 0; i < d->count; i++) wrong += d->is[i] != untouched;
    CHECK_MSG(wrong == 0, "%s: %zu numbers beside the view were written", eng_type_info(type)->name,
              wrong);
    free(d->was), free(d->is);
}

static void check_number(Dst *d, int t, int h, int r, double want, double bound, EngType type,
                         const Weights *w)
{
    float *got = dst_at(d, d->is, t, h, r);
    CHECK_MSG(fabs(*got - want) <= bound + 1e-7 * fabs(want) + 1e-30,
              "%s %d x %d: row %d of head %d, token %d is %.9g, not %.9g (bound %.3g)",
              eng_type_info(type)->name, w->w.rows, w->w.cols, r, h, t, (double)*got, want, bound);
    *got = untouched;
}

/* ---- products ---- */

static void one_matvec(EngType type, int heads, int rows, int cols, int tokens)
{
    Weights w = weights_new(type, heads, rows, cols);
    Acts a = acts_new(type, tokens * heads, cols);
    Dst d = dst_new(tokens, heads, rows);
    bool add = test_range(0, 1), biased = heads == 1 && test_range(0, 1);
    float *bias = malloc((size_t)rows * sizeof *bias);
    for (int r = 0; r < rows; r++) bias[r] = test_float();
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < heads * rows; i++)
            *dst_at(&d, d.was, t, i / rows, i % rows) = add ? test_float() : NAN;
    dst_send(&d);
    EngCuMatvec args = {
        .w = w.w,
        .act = a.act,
        .dst = d.view,
        .bias = biased ? device((size_t)rows * sizeof *bias, bias) : NULL,
        .tokens = tokens,
        .add = add,
    };
    eng_cuda_matvec(gpu, type, &args);
    fetch(d.is, d.base, d.count * sizeof(float));
    for (int t = 0; t < tokens; t++)
        for (int h = 0; h < heads; h++)
            for (int r = 0; r < rows; r++) {
                double bound = 0, want = product(&w, &a, h, r, t * heads + h, 1, &bound);
                double old = add ? *dst_at(&d, d.was, t, h, r) : 0, plus = biased ? bias[r] : 0;
                bound += 1e-7 * (fabs(want) + fabs(old) + fabs(plus));
                check_number(&d, t, h, r, want + old + plus, bound, type, &w);
            }
    dst_end(&d, type);
    free(bias);
    inputs_free(&w, &a);
}

static int some_cols(EngType type)
{
    int block = eng_type_info(type)->block;
    return block == 1 ? test_range(1, 300) : block * test_range(1, 5);
}

static void matvec_linear(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        one_matvec(types[i], 1, test_range(1, 40), some_cols(types[i]), 1);
        one_matvec(types[i], 1, test_range(1, 40), some_cols(types[i]), test_range(2, 8));
    }
    one_matvec(ENG_TYPE_F32, 1, 3, 8, 8);
    one_matvec(ENG_TYPE_F16, 1, 1, 1, 1);
    one_matvec(ENG_TYPE_BF16, 1, 5, 264, 3);
}

/* Groups of 8, 16, 32, 64 and 128 lanes, whole parts and not. */
static void matvec_lanes(void)
{
    EngType type = types[test_range(3, TEST_COUNT(types) - 1)];
    for (int blocks = 1; blocks <= 24; blocks += test_range(1, 3))
        one_matvec(type, 1, test_range(1, 9), 256 * blocks, test_range(1, 3));
    one_matvec(ENG_TYPE_F32, 1, 7, 128 * 8 + 5, 2);
    one_matvec(ENG_TYPE_F16, 1, 7, 130 * 8, 2);
    one_matvec(type, 1, 2050 + test_range(0, 3), 2048, 1);
}

static void matvec_heads(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++)
        one_matvec(types[i], test_range(2, 5), test_range(1, 12), some_cols(types[i]),
                   test_range(1, 11));
}

typedef struct {
    EngCuChosen chosen;
    int32_t ids[64];
    float weights[64];
} Chosen;

/* Rows of ids and weights are wider than what is used of them. */
static Chosen chosen_new(int tokens, int n_used, int experts, bool none)
{
    Chosen c = {.chosen = {.ids_row = n_used + 2, .weights_row = n_used + 1, .n_used = n_used}};
    for (int i = 0; i < 64; i++) {
        c.ids[i] = none || test_range(0, 3) == 0 ? -1 : test_range(0, experts - 1);
        c.weights[i] = test_float();
    }
    size_t n_ids = (size_t)((tokens - 1) * c.chosen.ids_row + n_used),
           n_weights = (size_t)((tokens - 1) * c.chosen.weights_row + n_used);
    c.chosen.ids = device(n_ids * sizeof(int32_t), c.ids);
    c.chosen.weights = device(n_weights * sizeof(float), c.weights);
    return c;
}

/* Several matrices of one format and different heights, in one launch. */
static void one_linear(EngType type, int cols, int tokens, int n)
{
    Weights w[4];
    Dst d[4];
    Acts a = acts_new(type, tokens, cols);
    EngCuMatvec args = {.act = a.act, .tokens = tokens, .n_more = n - 1};
    for (int i = 0; i < n; i++) {
        int rows = test_range(1, 30);
        w[i] = weights_new(type, 1, rows, cols);
        d[i] = dst_new(tokens, 1, rows);
        dst_send(&d[i]);
        if (i == 0)
            args.w = w[i].w, args.dst = d[i].view;
        else
            args.more[i - 1] = (EngCuProduct){w[i].w, d[i].view, NULL};
    }
    eng_cuda_matvec(gpu, type, &args);
    for (int i = 0; i < n; i++) {
        fetch(d[i].is, d[i].base, d[i].count * sizeof(float));
        for (int t = 0; t < tokens; t++)
            for (int r = 0; r < w[i].w.rows; r++) {
                double bound = 0, want = product(&w[i], &a, 0, r, t, 1, &bound);
                check_number(&d[i], t, 0, r, want, bound, type, &w[i]);
            }
        dst_end(&d[i], type);
        free(w[i].value), free(w[i].size);
    }
    free(a.value), free(a.exact);
    gpu_clear();
}

static void matvec_several(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++)
        one_linear(types[i], some_cols(types[i]), test_range(1, 3), test_range(2, 4));
    one_linear(ENG_TYPE_Q4_K, 2048, 8, 4);
}

/* silu(gate) * up, of which the first has an error of its own by the gate's. */
static void one_gated(EngType type, int tokens, int n_used, int rows, int cols, bool chosen)
{
    int experts = chosen ? test_range(1, 6) : 1;
    Weights w = weights_new(type, experts, rows, cols), up = weights_new(type, experts, rows, cols);
    Acts a = acts_new(type, tokens, cols);
    Chosen c = chosen_new(tokens, n_used, experts, false);
    Dst d = dst_new(tokens, n_used, rows);
    dst_send(&d);
    EngCuExperts args = {.w = w.w, .up = up.w, .act = a.act, .dst = d.view, .tokens = tokens};
    args.chosen = chosen ? c.chosen : (EngCuChosen){.n_used = 1};
    eng_cuda_experts_up(gpu, type, &args);
    fetch(d.is, d.base, d.count * sizeof(float));
    for (int t = 0; t < tokens; t++)
        for (int k = 0; k < n_used; k++) {
            int id = chosen ? c.ids[t * c.chosen.ids_row + k] : 0;
            for (int r = 0; id >= 0 && r < rows; r++) {
                double e1 = 0, e2 = 0, x = product(&w, &a, id, r, t, 1, &e1),
                       y = product(&up, &a, id, r, t, 1, &e2), silu = x / (1 + exp(-x));
                double bound = 1.2 * e1 * (fabs(y) + e2) + fabs(silu) * e2 + 1e-6 * fabs(silu * y);
                check_number(&d, t, k, r, silu * y, bound + 1e-30, type, &w);
            }
        }
    dst_end(&d, type);
    free(up.value), free(up.size);
    inputs_free(&w, &a);
}

static void gated(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        bool chosen = test_range(0, 1);
        one_gated(types[i], test_range(1, 3), chosen ? test_range(1, 4) : 1, test_range(1, 20),
                  some_cols(types[i]), chosen);
    }
    one_gated(ENG_TYPE_Q4_K, 1, 1, 300, 2048, false);
}

/* Of experts that lie apart one is not here: who wants it passes it over, as it does ids below 0.
 */
static void lose_one(const Weights *w, int experts, Chosen *c)
{
    enum { MOST = 8 };
    const uint8_t *table[MOST];
    EngError err = {0};
    size_t bytes = (size_t)experts * sizeof *table;
    int lost = test_range(0, experts - 1);
    if (!w->w.mats || experts > MOST) return;
    fetch(table, w->w.mats, bytes);
    table[lost] = NULL;
    CHECK(eng_cuda_write(gpu, (void *)w->w.mats, table, bytes, &err));
    for (int i = 0; i < 64; i++)
        if (c->ids[i] == lost) c->ids[i] = -1;
}

static void one_up(EngType type, int tokens, int n_used, int rows, int cols)
{
    int experts = test_range(1, 6);
    Weights w = weights_new(type, experts, rows, cols);
    Acts a = acts_new(type, tokens, cols);
    Chosen c = chosen_new(tokens, n_used, experts, false);
    lose_one(&w, experts, &c);
    Dst d = dst_new(tokens, n_used, rows);
    dst_send(&d);
    EngCuExperts args = {
        .w = w.w, .act = a.act, .dst = d.view, .chosen = c.chosen, .tokens = tokens};
    eng_cuda_experts_up(gpu, type, &args);
    fetch(d.is, d.base, d.count * sizeof(float));
    for (int t = 0; t < tokens; t++)
        for (int k = 0; k < n_used; k++) {
            int id = c.ids[t * c.chosen.ids_row + k];
            for (int r = 0; id >= 0 && r < rows; r++) {
                double bound = 0, want = product(&w, &a, id, r, t, 1, &bound);
                check_number(&d, t, k, r, want, bound, type, &w);
            }
        }
    dst_end(&d, type);
    inputs_free(&w, &a);
}

static void one_down(EngType type, int tokens, int n_used, int rows, int cols, bool none)
{
    int experts = test_range(1, 6);
    Weights w = weights_new(type, experts, rows, cols);
    Acts a = acts_new(type, tokens * n_used, cols);
    Chosen c = chosen_new(tokens, n_used, experts, none);
    lose_one(&w, experts, &c);
    Dst d = dst_new(tokens, 1, rows);
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++) *dst_at(&d, d.was, t, 0, r) = test_float();
    dst_send(&d);
    EngCuExperts args = {.w = w.w,
                         .act = a.act,
                         .dst = d.view,
                         .chosen = c.chosen,
                         .tokens = tokens,
                         .set = test_range(0, 1)};
    eng_cuda_experts_down(gpu, type, &args);
    fetch(d.is, d.base, d.count * sizeof(float));
    for (int t = 0; t < tokens; t++)
        for (int r = 0; r < rows; r++) {
            double want = args.set ? 0 : *dst_at(&d, d.was, t, 0, r), bound = 1e-7 * fabs(want);
            for (int k = 0; k < n_used; k++) {
                int id = c.ids[t * c.chosen.ids_row + k];
                double by = c.weights[t * c.chosen.weights_row + k];
                if (id >= 0) want += product(&w, &a, id, r, t * n_used + k, by, &bound);
            }
            check_number(&d, t, 0, r, want, bound, type, &w);
        }
    dst_end(&d, type);
    inputs_free(&w, &a);
}

static void experts_up(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++)
        one_up(types[i], test_range(1, 3), test_range(1, 4), test_range(1, 20),
               some_cols(types[i]));
}

static void experts_down(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++)
        one_down(types[i], test_range(1, 3), test_range(1, 6), test_range(1, 20),
                 some_cols(types[i]), false);
    one_down(ENG_TYPE_Q4_K, 2, 3, 5, 256, true);
    one_down(ENG_TYPE_Q6_K, 1, 8, 6, 2048, false);
}

/* ---- activations ---- */

typedef struct {
    EngCuPrepare args;
    float *src; /* [vectors][n] */
    int vectors, n;
} Source;

/* A view in a buffer that ends with it. */
static Source source_new(int n)
{
    int rows = test_range(1, 5), heads = test_range(1, 3), stride = n + test_range(0, 5);
    int row = heads * stride + test_range(0, 5);
    size_t count = (size_t)(rows - 1) * (size_t)row + (size_t)((heads - 1) * stride + n);
    Source s = {.vectors = rows * heads, .n = n};
    float *buffer = malloc(count * sizeof(float));
    for (size_t i = 0; i < count; i++) buffer[i] = NAN;
    s.src = malloc((size_t)s.vectors * (size_t)n * sizeof(float));
    for (int v = 0; v < s.vectors; v++) {
        float *x = s.src + (size_t)v * (size_t)n;
        fill_floats((ActKind)test_range(0, ACT_KINDS - 1), x, n);
        memcpy(buffer + (size_t)(v / heads) * (size_t)row + v % heads * stride, x,
               (size_t)n * sizeof(float));
    }
    float *base = device(count * sizeof(float), buffer);
    s.args = (EngCuPrepare){.src = {base, row, heads, n, stride}, .rows = rows};
    free(buffer);
    return s;
}

static void source_free(Source *s)
{
    free(s->src);
    gpu_clear();
}

static void check_group(const float *x, const int8_t *q, const float scale[2])
{
    float amax = 0;
    int sum = 0;
    for (int i = 0; i < 32; i++) amax = fmaxf(amax, fabsf(x[i]));
    CHECK_MSG(scale[0] == amax / 127.0f, "scale %.9g of amax %.9g", (double)scale[0], (double)amax);
    for (int i = 0; i < 32; i++) {
        double exact = amax > 0 ? (double)x[i] * 127 / (double)amax : 0;
        CHECK_MSG(fabs(q[i] - exact) <= 0.5 + 127 * 0x1p-23, "%.9g became %d", exact, q[i]);
        sum += q[i];
    }
    CHECK_MSG(scale[1] == scale[0] * (float)sum, "sum %.9g", (double)scale[1]);
}

static void quantize(void)
{
    for (int i = 0; i < 10; i++) {
        Source s = source_new(32 * test_range(1, 9));
        size_t n = (size_t)s.vectors * (size_t)s.n;
        int8_t *q = malloc(n);
        float *scale = malloc(n / 16 * sizeof(float));
        s.args.q = device(n, NULL), s.args.scale = device(n / 16 * sizeof(float), NULL);
        eng_cuda_prepare(gpu, ENG_CU_quantize, &s.args);
        fetch(q, s.args.q, n), fetch(scale, s.args.scale, n / 16 * sizeof(float));
        for (size_t g = 0; g < n / 32; g++) check_group(s.src + 32 * g, q + 32 * g, scale + 2 * g);
        free(q), free(scale);
        source_free(&s);
    }
}

static void halve(void)
{
    for (int i = 0; i < 10; i++) {
        Source s = source_new(test_range(1, 700));
        size_t n = (size_t)s.vectors * (size_t)s.n;
        uint16_t *half = malloc(n * sizeof *half);
        float *scale = malloc((size_t)s.vectors * sizeof(float));
        s.args.half = device(n * sizeof *half, NULL);
        s.args.scale = device((size_t)s.vectors * sizeof(float), NULL);
        eng_cuda_prepare(gpu, ENG_CU_halve, &s.args);
        fetch(half, s.args.half, n * sizeof *half);
        fetch(scale, s.args.scale, (size_t)s.vectors * sizeof(float));
        for (int v = 0; v < s.vectors; v++) {
            const float *x = s.src + (size_t)v * (size_t)s.n;
            float amax = 0;
            for (int j = 0; j < s.n; j++) amax = fmaxf(amax, fabsf(x[j]));
            CHECK(scale[v] == (amax > 0 ? amax : 1));
            for (int j = 0; j < s.n; j++) {
                uint16_t want = eng_f32_to_f16(x[j] / scale[v]), got = half[v * s.n + j];
                CHECK_MSG(got == want, "%.9g became %04x, not %04x", (double)x[j], got, want);
            }
        }
        free(half), free(scale);
        source_free(&s);
    }
}

static void copies(void)
{
    Source s = source_new(test_range(1, 700));
    size_t bytes = (size_t)s.vectors * (size_t)s.n * sizeof(float);
    float *x = malloc(bytes);
    s.args.x = device(bytes, NULL);
    eng_cuda_prepare(gpu, ENG_CU_copy_act, &s.args);
    fetch(x, s.args.x, bytes);
    CHECK(memcmp(x, s.src, bytes) == 0);
    free(x);
    source_free(&s);
}

/* One number that is not finite, in the second of three groups or vectors. */
static void not_finite(void)
{
    const float lost[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (int i = 0; i < 4; i++) {
        float x[96], scale[6];
        for (int j = 0; j < 96; j++) x[j] = test_float();
        x[32 + test_range(0, 31)] = lost[i];
        EngCuPrepare args = {.src = {device(sizeof x, x), 96, 3, 32, 32}, .rows = 1};
        args.q = device(96, NULL), args.half = device(192, NULL);
        args.scale = device(sizeof scale, NULL);
        eng_cuda_prepare(gpu, ENG_CU_quantize, &args);
        fetch(scale, args.scale, sizeof scale);
        for (int j = 0; j < 6; j++) CHECK(isfinite(scale[j]) == (j / 2 != 1));
        eng_cuda_prepare(gpu, ENG_CU_halve, &args);
        fetch(scale, args.scale, sizeof scale);
        for (int j = 0; j < 3; j++) CHECK(isfinite(scale[j]) == (j != 1));
        gpu_clear();
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"quantize is the nearest of amax / 127", quantize},
        {"halve is x / amax, rounded to half", halve},
        {"copy_act packs floats", copies},
        {"a number that is not finite spoils its scale", not_finite},
        {"matvec: every format, 1 to 8 tokens, add, bias", matvec_linear},
        {"matvec: every number of lanes", matvec_lanes},
        {"matvec: a matrix per head", matvec_heads},
        {"matvec: several matrices in one launch", matvec_several},
        {"experts_up: with a gate", gated},
        {"experts_up: negative ids are passed over", experts_up},
        {"experts_down: sums over the token's experts", experts_down},
    };
    if (!gpu_open()) return 1;
    int failed = test_main(argc, argv, tests, TEST_COUNT(tests));
    eng_cuda_close(gpu);
    return failed;
}
