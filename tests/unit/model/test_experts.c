/* What a person may change of a model's experts. Fewer of them: bit for bit the model whose file
 * says so. Deferred ones: the model without any, walked op by op here, with the experts of least
 * weight taken out of each layer and added one layer later. */
#include <math.h>

#include "model.h"
#include "test.h"

enum { PROMPT = 9, DECODE = 3, TOKENS = PROMPT + DECODE, CONTEXT = 16 };

/* Sums in another order: 1e-5 of the logits' root mean square. */
#define BOUND 1e-5

static const char *const models[] = {"mixtral.gguf",     "mixtral_old.gguf",  "v2_group.gguf",
                                     "v3_fused.gguf",    "v3_q4_k_m.gguf",    "qwen3moe.gguf",
                                     "qwen3moe_32.gguf", "qwen3moe_kmix.gguf"};

static int32_t tokens[TOKENS];

static char *path_of(const char *file)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/../oracle/vectors/%s", TEST_DIR, file);
    return path;
}

static EngModelSettings settings_of(int experts, int defer)
{
    EngModelSettings s = eng_model_defaults();
    s.threads = 2;
    s.batch = 16;
    s.no_gpu = true;
    s.experts = experts;
    s.defer = defer;
    return s;
}

static EngModel *open_model(const char *file, int experts, int defer)
{
    EngError err = {0};
    EngModelSettings s = settings_of(experts, defer);
    EngModel *m = eng_model_open(path_of(file), &s, &err);
    CHECK_MSG(m, "%s: %s", file, err.message);
    return m;
}

/* A prompt, then token by token: [TOKENS][n_vocab]. free(). */
static float *logits_of(EngModel *m)
{
    EngError err = {0};
    EngSessionSettings set = {CONTEXT, ENG_KV_F32};
    size_t vocab = (size_t)m->h.n_vocab;
    float *all = calloc(TOKENS * vocab, sizeof *all);
    EngSession *s = eng_session_new(m, &set, &err);
    CHECK_MSG(s && eng_session_eval(s, tokens, PROMPT, all, &err), "%s", err.message);
    for (size_t i = PROMPT; s && i < TOKENS; i++)
        CHECK(eng_session_eval(s, tokens + i, 1, all + i * vocab, &err));
    eng_session_free(s);
    return all;
}

static void choose_tokens(const EngModel *m)
{
    for (int i = 0; i < TOKENS; i++) tokens[i] = test_range(0, m->h.n_vocab - 1);
}

/* ---- fewer ----------------------------------------------------------------------------------- */

/* The file with another number in it; 32-byte aligned. free(). */
static uint8_t *patched(const char *file, uint32_t used, size_t *ret_size)
{
    static const char key[] = "expert_used_count";
    FILE *f = fopen(path_of(file), "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *ret_size = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = aligned_alloc(32, (*ret_size + 31) / 32 * 32);
    CHECK(fread(data, 1, *ret_size, f) == *ret_size);
    fclose(f);
    for (size_t i = 0; i + sizeof key + 8 < *ret_size; i++)
        if (memcmp(data + i, key, sizeof key - 1) == 0) {
            memcpy(data + i + sizeof key - 1 + 4, &used, sizeof used); /* behind the type */
            return data;
        }
    CHECK_MSG(false, "%s says no %s", file, key);
    return data;
}

static void fewer_are_what_a_file_might_say(void)
{
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        EngModel *own = open_model(models[i], 0, 0);
        if (!own) continue;
        choose_tokens(own);
        float *as_made = logits_of(own);
        size_t bytes = TOKENS * (size_t)own->h.n_vocab * sizeof(float);
        for (int n = 1; n <= own->h.n_experts_used; n++) {
            size_t size = 0;
            uint8_t *data = patched(models[i], (uint32_t)n, &size);
            EngModelSettings s = settings_of(0, 0);
            EngError err = {0};
            EngModel *said = eng_model_open_memory(data, size, &s, &err);
            EngModel *wanted = open_model(models[i], n, 0);
            CHECK_MSG(said, "%s", err.message);
            CHECK_INT(eng_model_info(wanted).n_experts_used, n);
            float *want = logits_of(said), *got = logits_of(wanted);
            CHECK_MSG(memcmp(got, want, bytes) == 0, "%s with %d experts", models[i], n);
            CHECK((memcmp(got, as_made, bytes) == 0) == (n == own->h.n_experts_used));
            free(want), free(got);
            eng_model_free(said), eng_model_free(wanted);
            free(data);
        }
        free(as_made);
        eng_model_free(own);
    }
}

static void what_cannot_be_is_refused(void)
{
    static const struct {
        const char *file;
        int experts, defer;
        const char *says;
    } cases[] = {{"v3_fused.gguf", 99, 0, "1 to"},  {"v3_fused.gguf", -1, 0, "1 to"},
                 {"v3_fused.gguf", 0, 99, "0 to"},  {"v3_fused.gguf", 0, -1, "0 to"},
                 {"v3_fused.gguf", 1, 1, "0 to 0"}, {"llama.gguf", 1, 0, "no experts"},
                 {"llama.gguf", 0, 1, "no experts"}};
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        EngError err = {0};
        EngModelSettings s = settings_of(cases[i].experts, cases[i].defer);
        EngModel *m = eng_model_open(path_of(cases[i].file), &s, &err);
        CHECK_MSG(!m && err.code == ENG_ERR_USAGE && strstr(err.message, cases[i].says), "%zu: %s",
                  i, err.message);
        eng_model_free(m);
        EngPlanSettings want = eng_plan_defaults();
        want.experts = cases[i].experts;
        want.defer = cases[i].defer;
        CHECK(!eng_plan_file(path_of(cases[i].file), &want, &err));
    }
}

/* ---- deferred -------------------------------------------------------------------------------- */

/* Walks a model that defers nothing as if it did. */
typedef struct {
    EngModel *m;
    EngKv kv;
    int defer, layers; /* with experts */
    float *later;      /* [rows][n_embd] of the layer before */
    bool waits;
} Walk;

/* weights[k] of a row: whether k is one of the `defer` smallest; of equal ones the first is kept.
 */
static bool is_deferred(const float *weights, int n, int k, int defer)
{
    int before = 0;
    for (int j = 0; j < n; j++)
        before += weights[j] > weights[k] || (weights[j] == weights[k] && j < k);
    return before >= n - defer;
}

/* Runs the op with the weights of some experts alone. */
static void run_some(Walk *w, int op, const EngBatch *batch, const float *all, int defer, bool late)
{
    EngBackend *b = w->m->backend;
    const EngOpExperts *e = &w->m->graph.ops.data[op].experts;
    float *weights = b->buffer(b, e->weights.buf);
    for (int i = 0; i < batch->n * e->n_used; i++) {
        const float *row = all + i / e->n_used * e->n_used;
        bool is = is_deferred(row, e->n_used, i % e->n_used, defer);
        weights[i] = is == late ? all[i] : 0;
    }
    b->run(b, op, 1, batch);
}

static void experts(Walk *w, int op, const EngBatch *batch, bool is_last)
{
    EngBackend *b = w->m->backend;
    const EngOp *o = &w->m->graph.ops.data[op];
    size_t n = (size_t)batch->n * (size_t)o->dst.n, used = (size_t)(batch->n * o->experts.n_used);
    float *x = b->buffer(b, o->dst.buf), *now = malloc(n * sizeof *now);
    float *all = malloc(used * sizeof *all);
    memcpy(all, b->buffer(b, o->experts.weights.buf), used * sizeof *all);
    run_some(w, op, batch, all, is_last ? 0 : w->defer, false);
    for (size_t i = 0; i < n; i++) now[i] = x[i] + (w->waits ? w->later[i] : 0);
    memset(x, 0, n * sizeof *x);
    run_some(w, op, batch, all, is_last ? 0 : w->defer, true);
    memcpy(w->later, x, n * sizeof *x);
    memcpy(x, now, n * sizeof *x);
    w->waits = !is_last;
    free(now), free(all);
}

static void walk(Walk *w, int first, int n, float *ret)
{
    EngKv *kvs[TOKENS];
    int32_t positions[TOKENS], out[TOKENS];
    for (int i = 0; i < n; i++) kvs[i] = &w->kv, positions[i] = first + i, out[i] = i;
    EngBatch batch = {n, tokens + first, positions, kvs, n, out};
    EngBackend *b = w->m->backend;
    w->waits = false;
    for (int i = 0, layer = 0; i < (int)w->m->graph.ops.n; i++)
        if (w->m->graph.ops.data[i].kind == ENG_OP_EXPERTS)
            experts(w, i, &batch, ++layer == w->layers);
        else
            b->run(b, i, 1, &batch);
    memcpy(ret, b->logits(b), (size_t)n * (size_t)w->m->h.n_vocab * sizeof *ret);
}

static int moe_layers(const EngModel *m)
{
    int n = 0;
    for (size_t i = 0; i < m->graph.ops.n; i++) n += m->graph.ops.data[i].kind == ENG_OP_EXPERTS;
    return n;
}

static float *walked(EngModel *plain, int defer)
{
    EngError err = {0};
    Walk w = {.m = plain, .defer = defer};
    size_t vocab = (size_t)plain->h.n_vocab;
    float *all = calloc(TOKENS * vocab, sizeof *all);
    w.later = calloc((size_t)TOKENS * (size_t)plain->h.n_embd, sizeof *w.later);
    CHECK(eng_kv_init(&w.kv, &plain->graph, ENG_KV_F32, CONTEXT, NULL, &err));
    w.layers = moe_layers(plain);
    walk(&w, 0, PROMPT, all);
    for (int i = PROMPT; i < TOKENS; i++) walk(&w, i, 1, all + (size_t)i * vocab);
    eng_kv_clear(&w.kv);
    free(w.later);
    return all;
}

static double distance(const float *a, const float *b, size_t n)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(difference / size);
}

static void deferred_are_added_one_layer_later(void)
{
    int n_deferred = 0;
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        EngModel *plain = open_model(models[i], 0, 0);
        if (!plain) continue;
        choose_tokens(plain);
        float *as_made = logits_of(plain);
        size_t n = TOKENS * (size_t)plain->h.n_vocab;
        for (int defer = 1; defer < plain->h.n_experts_used; defer++) {
            EngModel *m = open_model(models[i], 0, defer);
            float *want = walked(plain, defer), *got = logits_of(m);
            double far = distance(got, want, n);
            CHECK_MSG(far <= BOUND, "%s with %d deferred: %.7f", models[i], defer, far);
            bool defers = moe_layers(plain) > 1; /* the last one does not */
            CHECK((distance(as_made, got, n) > 100 * BOUND) == defers);
            n_deferred += defers;
            free(want), free(got);
            eng_model_free(m);
        }
        free(as_made);
        eng_model_free(plain);
    }
    CHECK_MSG(n_deferred >= 5, "only %d comparisons", n_deferred);
}

/* ---- not here -------------------------------------------------------------------------------- */

/* Ids below 0 are somebody else's: what is left out is what the same op adds for them alone. */
static void negative_ids_are_passed_over(void)
{
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        EngModel *m = open_model(models[i], 0, 0);
        if (!m) continue;
        EngError err = {0};
        EngKv kv;
        CHECK(eng_kv_init(&kv, &m->graph, ENG_KV_F32, CONTEXT, NULL, &err));
        int op = 0, n = test_range(0, 1) ? 1 : test_range(2, PROMPT);
        while (m->graph.ops.data[op].kind != ENG_OP_EXPERTS) op++;
        const EngOp *o = &m->graph.ops.data[op];
        EngKv *kvs[TOKENS];
        int32_t positions[TOKENS], out = 0;
        choose_tokens(m);
        for (int t = 0; t < n; t++) kvs[t] = &kv, positions[t] = t;
        EngBatch batch = {n, tokens, positions, kvs, 1, &out};
        EngBackend *b = m->backend;
        b->run(b, 0, op, &batch);
        size_t size = (size_t)n * (size_t)o->dst.n, used = (size_t)(n * o->experts.n_used);
        float *x = b->buffer(b, o->dst.buf), *sums = calloc(3 * size, sizeof *sums);
        int32_t *ids = (int32_t *)(void *)b->buffer(b, o->experts.ids.buf), all[256];
        memcpy(all, ids, used * sizeof *all);
        bool mine[256];
        for (size_t k = 0; k < used; k++) mine[k] = i > 0 && test_range(0, 1); /* also none */
        for (int part = 0; part < 3; part++) { /* all, mine, the others */
            for (size_t k = 0; k < used; k++)
                ids[k] = part == 0 || mine[k] == (part == 1) ? all[k] : -1 - (int)k;
            memset(x, 0, size * sizeof *x);
            b->run(b, op, 1, &batch);
            memcpy(sums + (size_t)part * size, x, size * sizeof *x);
        }
        for (size_t k = 0; k < size; k++) sums[size + k] += sums[2 * size + k];
        CHECK(distance(sums + size, sums, size) <= 1e-6);
        free(sums);
        eng_kv_clear(&kv);
        eng_model_free(m);
    }
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"fewer_are_what_a_file_might_say", fewer_are_what_a_file_might_say},
        {"what_cannot_be_is_refused", what_cannot_be_is_refused},
        {"deferred_are_added_one_layer_later", deferred_are_added_one_layer_later},
        {"negative_ids_are_passed_over", negative_ids_are_passed_over},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
