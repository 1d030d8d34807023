/* Attention of one token behind a past that is cut into parts: against sums in double precision
 * over what the cache holds, and the same bits whatever the number of threads, which decides how
 * many heads a tile has. */
#include <math.h>

#include "cpu/cpu.h"
#include "model/kv.h"
#include "test.h"

enum { MOST = 2600 };

typedef struct {
    int heads, n_kv, dk, dv;
    bool apart; /* otherwise a value is the beginning of its key */
} Shape;

typedef struct {
    EngGraph graph;
    EngKv kv;
    EngView q, out;
    const Shape *shape;
    int past; /* positions before the token */
} Case;

static const Shape shapes[] = {
    {128, 1, 576, 512, false}, {80, 1, 96, 64, false},  {96, 2, 64, 64, true},
    {24, 1, 128, 128, true},   {16, 2, 128, 128, true},
};
static const EngKvType types[] = {ENG_KV_F32, ENG_KV_F16, ENG_KV_Q8_0};

static Case case_new(const Shape *s, EngKvType type, int past)
{
    Case c = {.shape = s, .past = past};
    EngError err = {0};
    c.graph.n_layers = 1;
    c.graph.k_width = s->n_kv * s->dk;
    c.graph.v_width = s->apart ? s->n_kv * s->dv : 0;
    c.q = eng_graph_buffer(&c.graph, s->heads, s->dk);
    c.out = eng_graph_buffer(&c.graph, s->heads, s->dv);
    eng_graph_attn(
        &c.graph, c.out, c.q,
        (EngOpAttn){.n_kv = s->n_kv, .dk = s->dk, .dv = s->dv, .scale = 1 / sqrtf((float)s->dk)});
    CHECK_MSG(eng_kv_init(&c.kv, &c.graph, type, past + 1, NULL, &err), "%s", err.message);
    uint64_t state = 7;
    eng_kv_random(&c.kv, eng_kv_key(&c.kv, 0, 0), c.kv.k_width, past + 1, &state);
    if (s->apart) eng_kv_random(&c.kv, eng_kv_value(&c.kv, 0, 0), c.kv.v_width, past + 1, &state);
    return c;
}

static void case_free(Case *c)
{
    eng_kv_clear(&c->kv);
    eng_graph_clear(&c->graph);
}

static void attend(const Case *c, int threads, const float *q, float *ret_out)
{
    EngPool *pool = eng_pool_new(threads, NULL, NULL);
    EngCpuLevel level;
    CHECK(eng_cpu_level(&level, NULL));
    EngCpuSettings settings = {.max_tokens = 1, .max_out = 1, .pool = pool, .level = level};
    EngBackend *cpu = eng_cpu_new(&c->graph, &settings, NULL);
    const Shape *s = c->shape;
    EngKv *kv = (EngKv *)&c->kv;
    EngBatch batch = {.n = 1, .positions = (int32_t[]){c->past}, .kvs = &kv};
    memcpy(cpu->buffer(cpu, c->q.buf), q, (size_t)(s->heads * s->dk) * sizeof *q);
    cpu->run(cpu, 0, 1, &batch);
    memcpy(ret_out, cpu->buffer(cpu, c->out.buf), (size_t)(s->heads * s->dv) * sizeof *ret_out);
    cpu->free(cpu);
    eng_pool_free(pool);
}

/* A head's row of the cache as floats. */
static void cached_row(const EngKv *kv, const uint8_t *row, int head, int n, float *ret)
{
    static const EngType as[] = {
        [ENG_KV_F32] = ENG_TYPE_F32, [ENG_KV_F16] = ENG_TYPE_F16, [ENG_KV_Q8_0] = ENG_TYPE_Q8_0};
    row += (size_t)head * eng_kv_part(kv->type, n);
    eng_type_info(as[kv->type])->to_f32(row, ret, n);
}

static void reference(const Case *c, int head, const float *q, double *ret)
{
    const Shape *s = c->shape;
    int kv_head = head / (s->heads / s->n_kv);
    static double weight[MOST];
    float row[1024];
    double most = -INFINITY, sum = 0;
    for (int i = 0; i <= c->past; i++) {
        cached_row(&c->kv, eng_kv_key(&c->kv, 0, i), kv_head, s->dk, row);
        weight[i] = 0;
        for (int d = 0; d < s->dk; d++) weight[i] += (double)row[d] * q[head * s->dk + d];
        weight[i] /= sqrt(s->dk);
        most = fmax(most, weight[i]);
    }
    memset(ret, 0, (size_t)s->dv * sizeof *ret);
    for (int i = 0; i <= c->past; i++) {
        weight[i] = exp(weight[i] - most), sum += weight[i];
        const uint8_t *at = s->apart ? eng_kv_value(&c->kv, 0, i) : eng_kv_key(&c->kv, 0, i);
        cached_row(&c->kv, at, kv_head, s->apart ? s->dv : s->dk, row);
        for (int d = 0; d < s->dv; d++) ret[d] += weight[i] * (double)row[d];
    }
    for (int d = 0; d < s->dv; d++) ret[d] /= sum;
}

/* Of some heads: relative to all numbers of them. */
static double off(const Case *c, const float *q, const float *got)
{
    double want[1024], error = 0, size = 0;
    for (int head = 0; head < c->shape->heads; head += 5) {
        reference(c, head, q, want);
        for (int d = 0; d < c->shape->dv; d++) {
            double e = (double)got[head * c->shape->dv + d] - want[d];
            error += e * e, size += want[d] * want[d];
        }
    }
    return sqrt(error / size);
}

/* Queries so large that some positions count much more than others; with a q8_0 cache they are
 * bytes, which is what its bound is for. */
static void once(const Shape *s, EngKvType type, int past)
{
    static const double bounds[] = {[ENG_KV_F32] = 1e-5, [ENG_KV_F16] = 1e-3, [ENG_KV_Q8_0] = 0.02};
    static const int threads[] = {1, 2, 5, 9, 20, 40};
    static float q[128 * 576], got[128 * 512], first[128 * 512];
    Case c = case_new(s, type, past);
    size_t floats = (size_t)(s->heads * s->dv);
    for (int i = 0; i < s->heads * s->dk; i++) {
        int sixteen = i / s->dk / 16; /* the same kernel takes another way with those of some */
        q[i] = test_float() * (0.2f + 2 * (float)(sixteen % 3));
    }
    for (size_t i = 0; i < TEST_COUNT(threads); i++) {
        attend(&c, threads[i], q, i ? got : first);
        if (i > 0)
            CHECK_MSG(memcmp(got, first, floats * sizeof *got) == 0,
                      "%d heads, cache %d, behind %d: %d threads", s->heads, type, past,
                      threads[i]);
    }
    double d = off(&c, q, first);
    CHECK_MSG(d <= bounds[type], "%d heads, cache %d, behind %d: off by %.3g", s->heads, type, past,
              d);
    case_free(&c);
}

static void a_past_in_parts(void)
{
    for (size_t s = 0; s < TEST_COUNT(shapes); s++)
        for (size_t t = 0; t < TEST_COUNT(types); t++) {
            once(&shapes[s], types[t], test_range(1, 300));
            once(&shapes[s], types[t], test_range(300, 1100));
            once(&shapes[s], types[t], test_range(1100, MOST - 1));
        }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"a past in parts", a_past_in_parts}};
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
