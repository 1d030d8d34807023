/* The KV cache and attention. What is stored: the bytes that the engine's own op writes on the CPU.
 * Attention beside a softmax in double precision over the cache as its decoders read it. An f32
 * cache: bound 2e-5 of the size of a result's terms, sum of weight * |value|. Others run on tensor
 * cores, with queries and numbers of q8_0 rounded to halves, which the reference does too; left are
 * weights, rounded to halves: by 2^-11 of themselves, or 2^-25 of the largest where they are below
 * 2^-14, and half as much again for sums in floats. Cells behind a session's past are NaN.
 */
#include "elem_inputs.h"

#include "base/num.h"
#include "cpu/cpu.h"
#include "cuda/launch/attn.h"
#include "cuda/launch/matvec.h"

enum { SESSIONS = 3, LAYERS = 2, MOST_ROWS = 60 };

/* ---- sessions ---- */

typedef struct {
    EngKv kv[SESSIONS];
    void *memory[SESSIONS];
    int past[SESSIONS]; /* cells that are filled */
} Caches;

/* Halves, floats and blocks of moderate numbers in the first `past` cells, NaN in the rest. */
static void fill(EngKv *kv, uint8_t *cells, int width, int past)
{
    size_t row = eng_kv_part(kv->type, width);
    memset(cells, 0xff, row * (size_t)kv->context);
    for (int i = 0; i < past * width; i++) {
        uint8_t *cell = cells + (size_t)(i / width) * row;
        int at = i % width;
        if (kv->type == ENG_KV_F32) {
            ((float *)(void *)cell)[at] = test_float() * 3;
        } else if (kv->type == ENG_KV_F16) {
            ((uint16_t *)(void *)cell)[at] = eng_f32_to_f16(test_float() * 3);
        } else {
            EngBlockQ8_0 *block = (EngBlockQ8_0 *)(void *)cell + at / 32;
            if (at % 32 == 0) block->d = eng_f32_to_f16(0.02f + 0.01f * test_float());
            block->qs[at % 32] = (int8_t)test_range(-127, 127);
        }
    }
}

static Caches caches_new(EngKvType type, int k_width, int v_width, int most)
{
    Caches c;
    for (int s = 0; s < SESSIONS; s++) {
        EngKv *kv = &c.kv[s];
        c.past[s] = test_range(1, most);
        *kv = (EngKv){.type = type, .k_width = k_width, .v_width = v_width};
        kv->context = c.past[s] + test_range(0, 1) * test_range(1, 9);
        kv->layer_bytes =
            (size_t)kv->context * (eng_kv_part(type, k_width) + eng_kv_part(type, v_width));
        kv->bytes = kv->layer_bytes * LAYERS;
        kv->data = malloc(kv->bytes);
        memset(kv->data, 0xff, kv->bytes);
        fill(kv, eng_kv_key(kv, LAYERS - 1, 0), k_width, c.past[s]);
        if (v_width) fill(kv, eng_kv_value(kv, LAYERS - 1, 0), v_width, c.past[s]);
        c.memory[s] = device(kv->bytes, kv->data);
    }
    return c;
}

static void caches_free(Caches *c)
{
    for (int s = 0; s < SESSIONS; s++) free(c->kv[s].data);
    gpu_clear();
}

static EngCuRow row_of(const Caches *c, int session, int position)
{
    const EngKv *kv = &c->kv[session];
    return (EngCuRow){c->memory[session], kv->layer_bytes, kv->context, position};
}

/* ---- what is stored ---- */

static void store_on_cpu(Caches *c, const Buffer *key, const Buffer *value, int rows,
                         const int *session, const int32_t *position)
{
    int widths[] = {key->view.row, value->view.row};
    EngGraph graph = {.widths = {.data = widths}};
    float *buffers[] = {key->host + key->at, value->host + value->at};
    EngKv *kvs[MOST_ROWS];
    for (int t = 0; t < rows; t++) kvs[t] = &c->kv[session[t]];
    EngBatch batch = {.n = rows, .positions = position, .kvs = kvs};
    EngPool *pool = eng_pool_new(1, NULL, NULL);
    EngCpu cpu = {.graph = &graph,
                  .k = eng_kernels(ENG_CPU_C),
                  .pool = pool,
                  .buffers = buffers,
                  .batch = &batch,
                  .rows = rows};
    EngOp op = {.kind = ENG_OP_KV, .src = {0, 0, key->view.heads, key->view.n, key->view.stride}};
    op.kv.layer = LAYERS - 1;
    op.kv.value = (EngView){c->kv[0].v_width ? 1 : -1, 0, value->view.heads, value->view.n,
                            value->view.stride};
    eng_cpu_op_kv(&cpu, &op, 0);
    eng_pool_free(pool);
}

/* Sometimes huge, tiny or not finite: the same bytes all the same. */
static void odd_numbers(Buffer *b)
{
    static const float odd[] = {INFINITY, -INFINITY, 1e6f, -7e-6f, 3e-39f, 0, -0.0f, 65519.9f};
    for (size_t i = 0; i < b->count; i++) {
        if (test_range(0, 199) == 0) b->host[i] = odd[test_range(0, 7)];
        if (test_range(0, 999) == 0) b->host[i] = test_range(0, 1) ? NAN : -NAN;
    }
    buffer_write(b);
}

static void store_once(EngKvType type)
{
    int rows = test_range(1, 5), heads = test_range(1, 4);
    int unit = type == ENG_KV_Q8_0 ? 32 : 1, most = type == ENG_KV_Q8_0 ? 9 : 200;
    int dk = unit * test_range(1, most), dv = unit * test_range(1, most);
    bool apart = test_range(0, 2);
    Caches c = caches_new(type, heads * dk, apart ? heads * dv : 0, 9);
    Buffer key = buffer_new(rows, heads, dk, 3), value = buffer_new(rows, heads, dv, 3);
    odd_numbers(&key), odd_numbers(&value);
    int session[MOST_ROWS];
    int32_t position[MOST_ROWS];
    EngCuRow tokens[MOST_ROWS];
    for (int t = 0; t < rows; t++) {
        session[t] = t % SESSIONS;
        position[t] = (t / SESSIONS + test_range(0, 1)) % c.kv[session[t]].context;
        tokens[t] = row_of(&c, session[t], position[t]);
    }
    EngCuKvStore args = {key.view, value.view, device((size_t)rows * sizeof *tokens, tokens),
                         LAYERS - 1, rows};
    if (!apart) args.value.data = NULL;
    if (rows > SESSIONS) rows = args.rows = SESSIONS; /* no cell twice */
    eng_cuda_kv_store(gpu, (int)type, &args);
    gpu_sync();
    store_on_cpu(&c, &key, &value, rows, session, position);
    for (int s = 0; s < SESSIONS; s++) {
        uint8_t *got = malloc(c.kv[s].bytes);
        fetch(got, c.memory[s], c.kv[s].bytes);
        for (size_t i = 0; i < c.kv[s].bytes && test_failures_ < 5; i++)
            CHECK_MSG(got[i] == c.kv[s].data[i], "form %d, byte %zu is %d, not %d", (int)type, i,
                      got[i], c.kv[s].data[i]);
        free(got);
    }
    buffer_free(&key), buffer_free(&value), caches_free(&c);
}

static void stores(void)
{
    for (int round = 0; round < 20; round++)
        for (int type = 0; type < ENG_KV_TYPES; type++) store_once((EngKvType)type);
}

/* ---- attention ---- */

typedef struct {
    int heads, n_kv, dk, dv;
    bool inside; /* values inside the keys */
} Shape;

typedef struct {
    Shape shape;
    Caches caches;
    int rows, session[MOST_ROWS];
    EngCuRow tokens[MOST_ROWS];
    Buffer q, dst;
    EngCuAttn args;
} Case;

/* Tokens of each session neighbours, positions ascending up to its last cell; or (decode) each the
 * last cell of some session. */
static void take_tokens(Case *c, int most, bool many)
{
    c->rows = 0;
    for (int s = 0; s < SESSIONS; s++) {
        int past = c->caches.past[s], n = test_range(many ? 1 : 0, many ? ENG_MIN(most, past) : 1);
        if (s == SESSIONS - 1 && c->rows == 0) n = 1;
        for (int i = 0; i < n; i++, c->rows++) {
            c->session[c->rows] = s;
            c->tokens[c->rows] = row_of(&c->caches, s, past - n + i);
        }
    }
}

static Case case_new(EngKvType type, Shape s, int past, bool many)
{
    Case c = {.shape = s};
    int k_width = s.n_kv * s.dk, v_width = s.inside ? 0 : s.n_kv * s.dv;
    c.caches = caches_new(type, k_width, v_width, past);
    take_tokens(&c, MOST_ROWS / SESSIONS, many);
    c.q = buffer_new(c.rows, s.heads, s.dk, 3), c.dst = buffer_new(c.rows, s.heads, s.dv, 3);
    c.args = (EngCuAttn){.q = c.q.view,
                         .dst = c.dst.view,
                         .tokens = device((size_t)c.rows * sizeof *c.tokens, c.tokens),
                         .layer = LAYERS - 1,
                         .n_kv = s.n_kv,
                         .dk = s.dk,
                         .dv = s.dv,
                         .k_width = k_width,
                         .v_width = v_width,
                         .scale = 1 / sqrtf((float)s.dk),
                         .parts = many ? 0 : test_range(1, 5),
                         .rows = c.rows};
    if (many) return c;
    if (test_range(0, 1))
        c.args.parts = eng_cuda_attn_parts(6, c.rows, s.heads, s.n_kv, c.caches.kv[0].context);
    size_t bytes = eng_cuda_attn_partial_bytes(c.rows, s.heads, s.dv, c.args.parts);
    c.args.partial = device(bytes, NULL);
    float *poison = malloc(bytes);
    memset(poison, 0xff, bytes);
    CHECK(eng_cuda_write(gpu, c.args.partial, poison, bytes, NULL));
    free(poison);
    size_t numbers = (size_t)(c.rows * s.heads * s.dv);
    if (s.dv % 32 == 0) {
        c.args.out_q = device(numbers, NULL);
        c.args.out_scale = device(numbers / 16 * sizeof(float), NULL);
    }
    return c;
}

static void case_free(Case *c)
{
    buffer_free(&c->q), buffer_free(&c->dst);
    caches_free(&c->caches);
}

static float as_half(float x) { return eng_f16_to_f32(eng_f32_to_f16(x)); }

static float cached(const EngKv *kv, const uint8_t *cell, int at)
{
    if (kv->type == ENG_KV_F32) return ((const float *)(const void *)cell)[at];
    if (kv->type == ENG_KV_F16) return eng_f16_to_f32(((const uint16_t *)(const void *)cell)[at]);
    const EngBlockQ8_0 *block = (const EngBlockQ8_0 *)(const void *)cell + at / 32;
    return as_half(eng_f16_to_f32(block->d) * (float)block->qs[at % 32]);
}

/* sum[d] and the bounds, behind them. */
static void attend(const Case *c, int t, int h, double *sum)
{
    const Shape *s = &c->shape;
    const EngKv *kv = &c->caches.kv[c->session[t]];
    int past = c->tokens[t].position + 1, kv_head = h / (s->heads / s->n_kv);
    bool halves = kv->type != ENG_KV_F32;
    double part = halves ? 1.5 * 0x1p-11 : 2e-5, least = halves ? 1.5 * 0x1p-25 : 0;
    double *weight = malloc((size_t)past * sizeof *weight), most = -INFINITY, all = 0;
    for (int p = 0; p < past; p++) {
        const uint8_t *key = eng_kv_key(kv, LAYERS - 1, p);
        double dot = 0;
        for (int d = 0; d < s->dk; d++) {
            float q = c->q.old[buffer_index(&c->q, t, h, d)];
            dot += (double)(halves ? as_half(q) : q) * cached(kv, key, kv_head * s->dk + d);
        }
        weight[p] = dot * c->args.scale;
        most = fmax(most, weight[p]);
    }
    for (int p = 0; p < past; p++) all += weight[p] = exp(weight[p] - most);
    memset(sum, 0, 2 * (size_t)s->dv * sizeof *sum);
    for (int p = 0; p < past; p++) {
        const uint8_t *value =
            s->inside ? eng_kv_key(kv, LAYERS - 1, p) : eng_kv_value(kv, LAYERS - 1, p);
        int first = kv_head * (s->inside ? s->dk : s->dv);
        for (int d = 0; d < s->dv; d++) {
            double number = cached(kv, value, first + d), share = weight[p] / all;
            sum[d] += share * number;
            sum[s->dv + d] += (part * share + least / all) * fabs(number);
        }
    }
    free(weight);
}

/* `few`: only some of the heads, where a reference of all takes too long. */
static void check_case(Case *c, bool few)
{
    const Shape *s = &c->shape;
    double *sum = malloc(2 * (size_t)s->dv * sizeof *sum);
    buffer_read(&c->dst);
    for (int t = 0; t < c->rows; t++)
        for (int h = 0; h < s->heads; h += few ? test_range(1, 20) : 1) {
            attend(c, t, h, sum);
            for (int d = 0; d < s->dv && test_failures_ < 5; d++) {
                float got = c->dst.host[buffer_index(&c->dst, t, h, d)];
                CHECK_MSG(fabs(got - sum[d]) <= sum[s->dv + d],
                          "%d/%d heads of %d/%d, form %d, token %d of %d at %d, head %d, number "
                          "%d: %.9g, not %.9g (by %.2g, at most %.2g)",
                          s->heads, s->n_kv, s->dk, s->dv, (int)c->caches.kv[0].type, t, c->rows,
                          c->tokens[t].position, h, d, (double)got, sum[d], got - sum[d],
                          sum[s->dv + d]);
            }
        }
    check_rest(&c->dst, c->rows);
    free(sum);
}

/* The same bytes as quantize makes of the result. */
static void check_bytes(const Case *c)
{
    size_t n = (size_t)(c->rows * c->shape.heads * c->shape.dv), scales = n / 16 * sizeof(float);
    if (!c->args.out_q) return;
    EngCuPrepare p = {
        .src = c->dst.view, .q = device(n, NULL), .scale = device(scales, NULL), .rows = c->rows};
    eng_cuda_prepare(gpu, ENG_CU_quantize, &p);
    int8_t *got = malloc(2 * n);
    float *by = malloc(2 * scales);
    fetch(got, c->args.out_q, n), fetch(got + n, p.q, n);
    fetch(by, c->args.out_scale, scales), fetch(by + n / 16, p.scale, scales);
    CHECK(memcmp(got, got + n, n) == 0 && memcmp(by, by + n / 16, scales) == 0);
    free(got), free(by);
}

static void attend_once(EngKvType type, Shape shape, int past, bool many, bool few)
{
    Case c = case_new(type, shape, past, many);
    eng_cuda_attn(gpu, (int)type, &c.args, many);
    gpu_sync();
    check_case(&c, few);
    check_bytes(&c);
    case_free(&c);
}

/* Groups of 1 … 16 and more, heads of 64 … 256 numbers, keys longer than values. */
static const Shape shapes[] = {
    {4, 4, 64, 64, false},  {8, 2, 128, 128, false}, {16, 1, 64, 128, false},
    {6, 2, 96, 64, false},  {7, 1, 256, 256, false}, {2, 1, 192, 128, false},
    {40, 1, 64, 32, false}, {5, 5, 32, 32, true},    {9, 1, 96, 64, true},
};
/* Not multiples of anything, which q8_0 cannot be. */
static const Shape odd_shapes[] = {
    {3, 1, 6, 6, false}, {4, 2, 50, 31, false}, {2, 2, 77, 5, true}, {33, 1, 10, 7, false}};

static void all_shapes(bool many)
{
    for (int type = 0; type < ENG_KV_TYPES; type++) {
        for (size_t i = 0; i < ENG_LEN(shapes); i++)
            attend_once((EngKvType)type, shapes[i], i & 1 ? 140 : 40, many, false);
        for (size_t i = 0; i < ENG_LEN(odd_shapes) && type != ENG_KV_Q8_0; i++)
            attend_once((EngKvType)type, odd_shapes[i], 70, many, false);
    }
}

static void splits(void) { all_shapes(false); }
static void manys(void) { all_shapes(true); }

/* DeepSeek's absorbed form: 128 heads on one KV head, a value is the beginning of its key. */
static void mla(void)
{
    static const Shape shape = {128, 1, 576, 512, true}, half = {20, 1, 576, 512, true};
    for (int type = 0; type < ENG_KV_TYPES; type++) {
        attend_once((EngKvType)type, shape, 80, false, true);
        attend_once((EngKvType)type, half, 10, true, true);
    }
}

/* A number that is none is never hidden, and stays with the queries that see it. */
static void keeps_nan(void)
{
    for (int round = 0; round < 2 * ENG_KV_TYPES; round++) {
        bool many = round & 1;
        Case c = case_new((EngKvType)(round / 2), shapes[1], 60, many);
        int t = c.rows - 1, head = test_range(0, 7);
        c.q.host[buffer_index(&c.q, t, head, 17)] = test_range(0, 1) ? NAN : INFINITY;
        buffer_write(&c.q);
        eng_cuda_attn(gpu, round / 2, &c.args, many);
        gpu_sync();
        buffer_read(&c.dst);
        for (int h = 0; h < 8; h++)
            for (int d = 0; d < 128; d++)
                CHECK(!isnan(c.dst.host[buffer_index(&c.dst, t, h, d)]) == (h != head));
        case_free(&c);
    }
}

/* One in a key is seen by all heads that read it, and by no others. */
static void keeps_cached_nan(void)
{
    for (int type = 0; type < ENG_KV_TYPES; type++) {
        Case c = case_new((EngKvType)type, shapes[1], 130, false);
        int t = c.rows - 1, s = c.session[t];
        EngKv *kv = &c.caches.kv[s];
        uint8_t *key = eng_kv_key(kv, LAYERS - 1, test_range(0, c.tokens[t].position));
        memset(key, 0xff, 2);
        if (type == ENG_KV_F32) memset(key, 0xff, 4);
        CHECK(eng_cuda_write(gpu, c.caches.memory[s], kv->data, kv->bytes, NULL));
        eng_cuda_attn(gpu, type, &c.args, false);
        gpu_sync();
        buffer_read(&c.dst);
        for (int h = 0; h < 8; h++)
            for (int d = 0; d < 128; d++)
                CHECK(isnan(c.dst.host[buffer_index(&c.dst, t, h, d)]) == (h < 4));
        case_free(&c);
    }
}

/* Cards with less and more shared memory have other tiles. A true card is only itself. */
static void other_cards(void)
{
    static const Shape mla_shape = {128, 1, 576, 512, true}, lite = {16, 1, 576, 512, true};
    static const char *const sizes[] = {"64", "163", "227"};
    for (size_t i = 0; i < ENG_LEN(sizes); i++) {
        eng_cuda_close(gpu);
        setenv("HEARTH_SIM_SHARED", sizes[i], 1);
        if (!gpu_open()) exit(1);
        for (int type = 0; type < ENG_KV_TYPES; type++) {
            if (type == ENG_KV_F32) continue;
            attend_once((EngKvType)type, mla_shape, 70, false, true);
            attend_once((EngKvType)type, lite, 100, false, true);
            attend_once((EngKvType)type, lite, 20, true, true);
            attend_once((EngKvType)type, shapes[1], 100, true, true);
            attend_once((EngKvType)type, shapes[5], 80, true, true);
        }
    }
    eng_cuda_close(gpu);
    unsetenv("HEARTH_SIM_SHARED");
    if (!gpu_open()) exit(1);
}

/* Whatever the model's shape, there is a block that fits, or it is refused. */
static void plans_blocks(void)
{
    static const int sizes[] = {64 << 10, 99 << 10, 163 << 10, 227 << 10};
    for (int round = 0; round < 4000; round++) {
        int shared = sizes[test_range(0, 3)], group = test_range(1, 130), form = test_range(0, 2);
        EngCuAttn a = {.n_kv = test_range(1, 4),
                       .dk = 32 * test_range(1, 24),
                       .dv = 32 * test_range(1, ENG_CU_ATTN_DV / 32)};
        bool inside = test_range(0, 1) && a.dv <= a.dk;
        a.q.heads = a.n_kv * group;
        a.v_width = inside ? 0 : a.n_kv * a.dv;
        EngCuAttnPlan p = eng_cuda_attn_plan(shared, form, &a, test_range(0, 1));
        if (!inside && (a.dk > 416 || a.dv > 416) &&
            !eng_cuda_attn_fits(shared, a.dk, a.dv, inside))
            continue;
        CHECK(eng_cuda_attn_fits(shared, a.dk, a.dv, inside));
        CHECK_MSG(p.kernel > 0 && p.threads > 0 && p.shared <= (size_t)shared,
                  "%d bytes, form %d, %d/%d, %d heads each", shared, form, a.dk, a.dv, group);
    }
    CHECK(!eng_cuda_attn_fits(227 << 10, 576, ENG_CU_ATTN_DV + 1, true));
    EngCuAttn mla_args = {.q = {.heads = 128}, .n_kv = 1, .dk = 576, .dv = 512};
    EngCuAttnPlan p = eng_cuda_attn_plan(227 << 10, ENG_CU_KV_F16, &mla_args, false);
    CHECK_INT(p.kernel, ENG_CU_attn_wide_f16);
    CHECK_INT(p.args.cells, 64);
    CHECK_INT(p.args.stages, 2);
    CHECK_INT(p.args.queries, 64);
}

static void plans_parts(void)
{
    CHECK_INT(eng_cuda_attn_parts(82, 1, 128, 1, 64), 1);
    CHECK_INT(eng_cuda_attn_parts(82, 1, 32, 32, 1 << 20), 7);
    CHECK_INT(eng_cuda_attn_parts(132, 1, 128, 1, 1 << 20), 66);
    CHECK_INT(eng_cuda_attn_parts(132, 1, 8, 1, 1 << 20), ENG_CU_ATTN_PARTS);
    CHECK_INT(eng_cuda_attn_parts(4, 99, 128, 1, 1 << 20), 1);
    CHECK_INT(eng_cuda_attn_partial_bytes(2, 3, 62, 5), 2 * 3 * 5 * 64 * 4);
    for (int round = 0; round < 200; round++) { /* whatever is run fits */
        int processors = test_range(1, 200), n_kv = test_range(1, 16);
        int heads = n_kv * test_range(1, 130), rows = test_range(1, 8);
        int parts = eng_cuda_attn_parts(processors, rows, heads, n_kv, test_range(1, 1 << 20));
        CHECK(eng_cuda_attn_partial_bytes(rows, heads, 64, parts) <=
              eng_cuda_attn_partial_most(processors, 8, heads, n_kv, 64));
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"kv_store", stores},         {"attn_split", splits},
        {"attn_many", manys},         {"MLA", mla},
        {"keeps NaN", keeps_nan},     {"keeps a cached NaN", keeps_cached_nan},
        {"plans parts", plans_parts}, {"plans blocks", plans_blocks},
        {"other cards", other_cards},
    };
    if (!gpu_open()) return 1;
    int rc = test_main(argc, argv, tests, TEST_COUNT(tests));
    eng_cuda_close(gpu);
    return rc;
}
