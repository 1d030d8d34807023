/* matmul_T and matmul_experts_T beside sums in double precision over weights decoded by the type
 * table. Bound of a sum S = scale * sum of w * a (kernels/matmul.cuh): weights rounded to half,
 * 2^-11 of each or 2^-25 where they are small, and float sums, 2^-22 per column at worst:
 *   |got - S| <= scale * ((2^-11 + cols * 2^-22) * sum |w||a| + 2^-25 * sum |a|)
 * and a few roundings of bias and what was there. Of blocks w = s q - m, whose s and m are rounded
 * too: |w| there is |s q| + |m|, 2^-10 of it, and 130 * 2^-25 instead. Weights beyond 65504 count
 * as 65504, or the sum is not finite. */
#include <math.h>

#include "base/num.h"
#include "cuda/launch/matmul.h"
#include "kernels/check.h"
#include "on_gpu.h"

static const float untouched = -12345.5f;

static const EngType types[] = {
#define X(type) ENG_TYPE_##type,
    ENG_CU_FORMATS(X)
#undef X
};

/* Freed one by one: there are many. */
static void *lasting(size_t bytes, const void *from)
{
    void *memory = device(bytes, from);
    n_memories = 0;
    return memory;
}

/* Weights of `mats` matrices on both sides; `clamped`: decoded, within half's range. */
typedef struct {
    EngType type;
    int mats, rows, cols;
    EngCuWeight w;
    float *clamped, *size; /* of w: what rounding is relative to */
    void *memory, *table;
} Weights;

/* Where a block has the half that its minima are multiples of; 0: there are none. */
static size_t minimum_of(EngType type)
{
    switch (type) {
    case ENG_TYPE_Q4_1: return offsetof(EngBlockQ4_1, m);
    case ENG_TYPE_Q5_1: return offsetof(EngBlockQ5_1, m);
    case ENG_TYPE_Q2_K: return offsetof(EngBlockQ2_K, dmin);
    case ENG_TYPE_Q4_K: return offsetof(EngBlockQ4_K, dmin);
    case ENG_TYPE_Q5_K: return offsetof(EngBlockQ5_K, dmin);
    default: return 0;
    }
}

/* |s q| + |m|: the larger of |s q - m| and, with the minima's sign turned, |s q + m|. */
static void sizes(EngType type, uint8_t *row, size_t row_bytes, int cols, float *ret)
{
    const EngTypeInfo *info = eng_type_info((uint32_t)type);
    size_t at = minimum_of(type);
    float *other = malloc((size_t)cols * sizeof *other);
    info->to_f32(row, ret, cols);
    for (size_t b = 0; at && b < row_bytes; b += (size_t)info->bytes) row[b + at + 1] ^= 0x80;
    info->to_f32(row, other, cols);
    for (size_t b = 0; at && b < row_bytes; b += (size_t)info->bytes) row[b + at + 1] ^= 0x80;
    for (int i = 0; i < cols; i++) ret[i] = fmaxf(fabsf(ret[i]), fabsf(other[i]));
    free(other);
}

static Weights weights_new(EngType type, WeightKind kind, int mats, int rows, int cols, bool apart)
{
    const EngTypeInfo *info = eng_type_info(type);
    Weights w = {type, mats, rows, cols};
    size_t row_bytes = eng_row_bytes(type, (uint64_t)cols), bytes = row_bytes * (size_t)rows;
    Rows data = rows_new(mats * rows, row_bytes, 0);
    fill_weights(type, kind, data, mats * rows, cols);
    size_t n = (size_t)mats * (size_t)rows * (size_t)cols;
    w.clamped = malloc(n * sizeof *w.clamped), w.size = malloc(n * sizeof *w.size);
    for (int r = 0; r < mats * rows; r++) {
        uint8_t *row = data.base + (size_t)r * row_bytes;
        info->to_f32(row, w.clamped + (size_t)r * (size_t)cols, cols);
        sizes(type, row, row_bytes, cols, w.size + (size_t)r * (size_t)cols);
    }
    for (size_t i = 0; i < n; i++) w.clamped[i] = fmaxf(fminf(w.clamped[i], 65504), -65504);
    w.memory = lasting(bytes * (size_t)mats, data.base);
    w.w = (EngCuWeight){w.memory, NULL, row_bytes, bytes, cols, rows};
    if (apart) {
        const uint8_t **table = malloc((size_t)mats * sizeof *table);
        for (int m = 0; m < mats; m++) table[m] = (uint8_t *)w.memory + bytes * (size_t)m;
        w.table = lasting((size_t)mats * sizeof *table, table);
        w.w.mats = w.table, w.w.data = NULL;
        free(table);
    }
    free(data.base);
    return w;
}

static void weights_free(Weights *w)
{
    eng_cuda_free(gpu, w->memory), eng_cuda_free(gpu, w->table);
    free(w->clamped), free(w->size);
}

typedef struct {
    int n, cols;
    uint16_t *x;
    float *scale;
    EngCuHalves act;
} Halves;

static Halves halves_new(int n, int cols)
{
    Halves h = {n, cols};
    size_t count = (size_t)n * (size_t)cols;
    h.x = malloc(count * sizeof *h.x), h.scale = malloc((size_t)n * sizeof *h.scale);
    for (size_t i = 0; i < count; i++) h.x[i] = eng_f32_to_f16(test_float());
    for (int i = 0; i < n; i++)
        h.scale[i] = exp2f((float)test_range(-8, 8)) * (1.5f + test_float());
    h.act.x = lasting(count * sizeof *h.x, h.x);
    h.act.scale = lasting((size_t)n * sizeof *h.scale, h.scale);
    return h;
}

static void halves_free(Halves *h)
{
    eng_cuda_free(gpu, (void *)h->act.x), eng_cuda_free(gpu, (void *)h->act.scale);
    free(h->x), free(h->scale);
}

/* One number beside what it should be: row r of matrix m times vector v, plus `more`. */
static void compare(const Weights *w, int m, int r, const Halves *h, int v, double more, float got)
{
    size_t first = ((size_t)m * (size_t)w->rows + (size_t)r) * (size_t)w->cols;
    const float *row = w->clamped + first, *sizes = w->size + first;
    bool blocks = eng_type_info((uint32_t)w->type)->block > 1, beyond = false;
    const uint16_t *x = h->x + (size_t)v * (size_t)w->cols;
    double sum = 0, size = 0, act = 0, scale = h->scale[v];
    for (int i = 0; i < w->cols; i++) {
        double a = eng_f16_to_f32(x[i]), product = row[i] * a;
        sum += product, size += sizes[i] * fabs(a), act += fabs(a);
        beyond |= blocks && sizes[i] > 65504;
    }
    if (beyond && !isfinite(got)) return;
    double want = sum * scale + more;
    double bound = scale * (((blocks ? 0x1p-10 : 0x1p-11) + w->cols * 0x1p-22) * size +
                            (blocks ? 130 : 1) * 0x1p-25 * act) +
                   (fabs(more) + fabs(want)) * 0x1p-21;
    CHECK_MSG(fabs(got - want) <= bound,
              "%s %d rows x %d, matrix %d, row %d, vector %d: %.9g, not %.9g +- %.3g",
              eng_type_info((uint32_t)w->type)->name, w->rows, w->cols, m, r, v, (double)got, want,
              bound);
}

typedef struct {
    int rows, cols, tokens, heads;
    bool add, bias, apart;
} Shape;

static void check_linear(EngType type, WeightKind kind, Shape s)
{
    Weights w = weights_new(type, kind, s.heads, s.rows, s.cols, s.apart);
    Halves h = halves_new(s.tokens * s.heads, s.cols);
    int stride = s.rows + test_range(0, 3), width = stride * s.heads + test_range(0, 5);
    size_t n = (size_t)s.tokens * (size_t)width;
    float *old = malloc(n * sizeof *old), *got = malloc(n * sizeof *got),
          *bias = malloc((size_t)s.rows * sizeof *bias);
    for (size_t i = 0; i < n; i++) old[i] = untouched;
    for (int r = 0; r < s.rows; r++) bias[r] = test_float();
    float *dst = lasting(n * sizeof *dst, old);
    void *biases = s.bias ? lasting((size_t)s.rows * sizeof *bias, bias) : NULL;

    EngCuMatmul args = {w.w, h.act, {dst, width, s.heads, s.rows, stride}, biases, s.tokens, s.add};
    eng_cuda_matmul(gpu, type, &args);
    EngError err = {0};
    CHECK(eng_cuda_read(gpu, got, dst, n * sizeof *got, &err) && eng_cuda_sync(gpu, &err));
    int moved = 0;
    for (int t = 0; t < s.tokens; t++) {
        for (int i = 0; i < width; i++) {
            float value = got[(size_t)t * (size_t)width + (size_t)i];
            int head = i / stride, r = i % stride;
            if (head >= s.heads || r >= s.rows)
                moved += value != untouched;
            else
                compare(&w, head, r, &h, t * s.heads + head,
                        (s.add ? untouched : 0.0) + (s.bias ? bias[r] : 0.0), value);
        }
    }
    CHECK_INT(moved, 0);
    eng_cuda_free(gpu, dst), eng_cuda_free(gpu, biases);
    free(old), free(got), free(bias);
    halves_free(&h), weights_free(&w);
}

static int columns(EngType type, int most)
{
    int block = eng_type_info((uint32_t)type)->block;
    return block == 1 ? test_range(1, most) : block * test_range(1, most / block);
}

static void every_format(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        Shape s = {test_range(1, 64), columns(types[i], 512), test_range(1, 16), 1,
                   test_range(0, 1),  test_range(0, 1)};
        check_linear(types[i], WEIGHTS_RANDOM, s);
    }
}

/* The ends of quants, scales and of half's range. */
static void every_kind(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        int block = eng_type_info((uint32_t)types[i])->block;
        for (WeightKind kind = WEIGHTS_RANDOM + 1; kind < WEIGHTS_KINDS; kind++)
            check_linear(types[i], kind,
                         (Shape){test_range(1, 8), block == 1 ? 40 : block, test_range(1, 3), 1});
    }
}

/* One row and token more or less than blocks, warps and pieces have. */
static void edges(void)
{
    static const int rows[] = {1, 63, 65, 128, 129, 200}, tokens[] = {1, 31, 33, 127, 129, 140};
    static const EngType some[] = {ENG_TYPE_Q8_0,  ENG_TYPE_Q4_0, ENG_TYPE_F16,
                                   ENG_TYPE_MXFP4, ENG_TYPE_BF16, ENG_TYPE_F32};
    for (int i = 0; i < 6; i++) {
        Shape s = {rows[i], 64, tokens[(i + test_range(0, 5)) % 6], 1, i % 2, i % 3 == 0};
        check_linear(some[(i + test_range(0, 5)) % 6], WEIGHTS_RANDOM, s);
    }
    static const int cols[] = {1, 7, 8, 33, 40, 100};
    for (int i = 0; i < 6; i++)
        check_linear(i % 2              ? ENG_TYPE_F32
                     : test_range(0, 1) ? ENG_TYPE_F16
                                        : ENG_TYPE_BF16,
                     WEIGHTS_RANDOM, (Shape){test_range(1, 9), cols[i], test_range(1, 9), 1});
}

static void heads(void)
{
    for (int i = 0; i < 4; i++) {
        EngType type = types[test_range(0, (int)TEST_COUNT(types) - 1)];
        Shape s = {
            test_range(1, 40), columns(type, 256), test_range(1, 9), test_range(2, 5), i % 2, false,
            i / 2 % 2};
        check_linear(type, WEIGHTS_RANDOM, s);
    }
}

/* What is not finite is not hidden: weights, scales of weights and of activations. */
static void not_finite(void)
{
    enum { ROWS = 3, COLS = 256, TOKENS = 2 };
    static const EngType some[] = {ENG_TYPE_F32,  ENG_TYPE_F16,  ENG_TYPE_BF16,
                                   ENG_TYPE_Q4_0, ENG_TYPE_Q4_K, ENG_TYPE_Q8_0};
    static const uint16_t bad16[] = {0x7e00, 0x7c00}; /* half: NaN, infinity */
    for (int i = 0; i < 12; i++) {
        EngType type = some[i / 2];
        Weights w = weights_new(type, WEIGHTS_ALL_ONES, 1, ROWS, COLS, false);
        Halves h = halves_new(TOKENS, COLS);
        float bad = i % 2 ? INFINITY : NAN, got[TOKENS][ROWS];
        uint16_t half = type == ENG_TYPE_BF16 ? (uint16_t)(eng_f32_bits(bad) >> 16) : bad16[i % 2];
        EngError err = {0};
        CHECK(eng_cuda_write(gpu, (uint8_t *)w.memory + w.w.row_bytes,
                             type == ENG_TYPE_F32 ? (void *)&bad : (void *)&half,
                             type == ENG_TYPE_F32 ? 4 : 2, &err));
        h.scale[1] = bad;
        CHECK(eng_cuda_write(gpu, (void *)h.act.scale, h.scale, sizeof(float) * TOKENS, &err));
        float *dst = lasting(sizeof got, NULL);
        EngCuMatmul args = {w.w, h.act, {dst, ROWS, 1, ROWS, ROWS}, NULL, TOKENS, 0};
        eng_cuda_matmul(gpu, type, &args);
        CHECK(eng_cuda_read(gpu, got, dst, sizeof got, &err) && eng_cuda_sync(gpu, &err));
        for (int r = 0; r < ROWS; r++) {
            CHECK_MSG(isfinite(got[0][r]) == (r != 1), "%s row %d: %g", eng_type_info(type)->name,
                      r, (double)got[0][r]);
            CHECK(!isfinite(got[1][r]));
        }
        eng_cuda_free(gpu, dst), halves_free(&h), weights_free(&w);
    }
}

/* Experts with `slots[e]` slots each; tokens of a slot at random, ascending in an expert. */
static void check_experts(EngType type, int rows, int cols, const int *slots, int experts,
                          bool gather, bool apart, int spare)
{
    int *first = malloc((size_t)(experts + 1) * sizeof *first), n = 0, tokens = 1;
    for (int e = 0; e < experts; e++) {
        first[e] = n, n += slots[e];
        if (slots[e] > tokens) tokens = slots[e];
    }
    first[experts] = n;
    tokens += test_range(0, 9);
    int *token = malloc((size_t)(n + 1) * sizeof *token);
    for (int e = 0; e < experts; e++)
        for (int i = 0; i < slots[e]; i++)
            token[first[e] + i] = i + test_range(0, 1) * (tokens - slots[e]);
    Weights w = weights_new(type, WEIGHTS_RANDOM, experts, rows, cols, apart);
    Halves h = halves_new(gather ? tokens : n + 1, cols);
    size_t size = (size_t)(n + spare + 1) * (size_t)rows;
    float *got = malloc(size * sizeof *got);
    for (size_t i = 0; i < size; i++) got[i] = untouched;
    float *dst = lasting(size * sizeof *dst, got);
    EngCuMatmulExperts args = {w.w, h.act, .dst = dst, .most = n + spare, .gather = gather};
    args.slots = (EngCuSlots){.first = lasting((size_t)(experts + 1) * sizeof *first, first),
                              .token = lasting((size_t)(n + 1) * sizeof *token, token),
                              .experts = experts};
    eng_cuda_matmul_experts(gpu, type, &args);
    EngError err = {0};
    CHECK(eng_cuda_read(gpu, got, dst, size * sizeof *got, &err) && eng_cuda_sync(gpu, &err));
    for (int e = 0; e < experts; e++)
        for (int s = first[e]; s < first[e + 1]; s++)
            for (int r = 0; r < rows; r++)
                compare(&w, e, r, &h, gather ? token[s] : s, 0,
                        got[(size_t)s * (size_t)rows + (size_t)r]);
    int moved = 0;
    for (size_t i = (size_t)n * (size_t)rows; i < size; i++) moved += got[i] != untouched;
    CHECK_INT(moved, 0);
    eng_cuda_free(gpu, args.slots.first), eng_cuda_free(gpu, args.slots.token);
    eng_cuda_free(gpu, dst);
    free(first), free(token), free(got);
    halves_free(&h), weights_free(&w);
}

static void experts_every_format(void)
{
    for (size_t i = 0; i < TEST_COUNT(types); i++) {
        int slots[4];
        for (int e = 0; e < 4; e++) slots[e] = test_range(0, 6);
        check_experts(types[i], test_range(1, 40), columns(types[i], 256), slots, 4, i % 2,
                      test_range(0, 1), test_range(0, 70));
    }
}

/* None, one, whole tiles, one more and one less; more experts than threads; nothing at all. */
static void experts_edges(void)
{
    static const int counts[] = {0, 1, 64, 0, 65, 63, 0, 130, 0}, none[3];
    int many[300];
    for (int e = 0; e < 300; e++) many[e] = test_range(0, 9) == 0;
    for (int gather = 0; gather < 2; gather++) {
        check_experts(ENG_TYPE_Q4_0, test_range(1, 9), 64, counts, 9, gather, gather, 0);
        check_experts(ENG_TYPE_F16, 1, 8, many, 300, gather, !gather, test_range(0, 200));
        check_experts(ENG_TYPE_Q8_0, 3, 32, none, 3, gather, false, 5);
    }
    check_experts(ENG_TYPE_Q8_0, 129 + test_range(0, 9), 32, counts, 3, true, false, 0);
}

static void measures_mma(void)
{
    float *sink = lasting(sizeof *sink, NULL), got = 1;
    EngError err = {0};
    double operations = eng_cuda_bench_mma(gpu, 1, 16, sink);
    CHECK(operations == 2.0 * 16 * 8 * 16 * 16 * 8);
    CHECK(eng_cuda_read(gpu, &got, sink, sizeof got, &err) && eng_cuda_sync(gpu, &err) && got == 0);
    eng_cuda_free(gpu, sink);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"every format", every_format},
        {"every kind of weights", every_kind},
        {"edges", edges},
        {"heads", heads},
        {"not finite", not_finite},
        {"experts, every format", experts_every_format},
        {"experts, edges", experts_edges},
        {"measures mma", measures_mma},
    };
    if (!gpu_open()) return 1;
    int failed = test_main(argc, argv, tests, TEST_COUNT(tests));
    eng_cuda_close(gpu);
    return failed;
}
