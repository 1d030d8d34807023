/* Chunks of prompts: their size does not change what comes out, they can be left in the middle and
 * gone on with, told of meanwhile, and stopped inside of an op. */
#include <math.h>

#include "cpu/cpu.h"
#include "model.h"
#include "sessions.h"
#include "test.h"

#define VECTORS TEST_DIR "/../oracle/vectors/"

static EngModel *open_model(const char *file, int threads, int batch)
{
    char path[512];
    EngError err = {0};
    EngModelSettings s = eng_model_defaults();
    s.threads = threads;
    s.batch = batch;
    s.no_gpu = true;
    snprintf(path, sizeof path, VECTORS "%s.gguf", file);
    EngModel *m = eng_model_open(path, &s, &err);
    CHECK_MSG(m, "%s: %s", file, err.message);
    return m;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

enum { LONG = 1300, MORE = 40, PLENTY = LONG + MORE };

/* Logits behind a long prompt, read in chunks, and behind each of some more tokens read at once.
 * free(); NULL: this model's context cannot have this type. */
static float *logits_of(const char *file, int batch, EngKvType kv, const int32_t *tokens)
{
    EngError err = {0};
    EngModel *m = open_model(file, batch == 2048 ? 1 : 2, batch);
    EngSessionSettings set = {.context = PLENTY, .kv = kv};
    EngSession *s = m ? eng_session_new(m, &set, NULL) : NULL;
    float *logits = NULL;
    if (s) {
        size_t vocab = (size_t)eng_model_info(m).n_vocab;
        logits = calloc((1 + MORE) * vocab, sizeof *logits);
        CHECK_MSG(eng_session_eval(s, tokens, LONG, NULL, &err), "%s", err.message);
        memcpy(logits, eng_session_logits(s), vocab * sizeof *logits);
        CHECK_MSG(eng_session_eval(s, tokens + LONG, MORE, logits + vocab, &err), "%s",
                  err.message);
    }
    eng_session_free(s);
    eng_model_free(m);
    return logits;
}

/* Relative to the logits' root mean square; the worst of them. */
static double distance(const float *a, const float *b, size_t n)
{
    double size = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        size += (double)b[i] * b[i];
        most = fmax(most, fabs((double)a[i] - b[i]));
    }
    return most / sqrt(size / (double)n);
}

static const struct {
    const char *file;
    double bound;
} models[] = {{"v3_fused", 1e-4}, {"mixtral", 1e-4},      {"llama", 1e-4},
              {"v3_q4_k_m", 0.1}, {"qwen3moe_kmix", 0.1}, {"qwen3moe_q8_0", 0.1}};

static void compare_sizes(bool exactly)
{
    int32_t tokens[PLENTY];
    int compared = 0;
    for (int i = 0; i < PLENTY; i++) tokens[i] = test_range(2, 60);
    for (size_t i = 0; i < TEST_COUNT(models); i++)
        for (EngKvType kv = ENG_KV_F16; kv < ENG_KV_TYPES; kv++) {
            float *first = logits_of(models[i].file, 512, kv, tokens);
            EngModel *m = open_model(models[i].file, 1, 1);
            size_t n = (1 + MORE) * (size_t)eng_model_info(m).n_vocab;
            for (int batch = 1024; first && batch <= 2048; batch *= 2) {
                float *next = logits_of(models[i].file, batch, kv, tokens);
                bool same = next && memcmp(first, next, n * sizeof *first) == 0;
                double off = same || !next ? 0 : distance(next, first, n);
                CHECK_MSG(next && (same || !exactly) && off <= models[i].bound,
                          "%s, cache %d: chunks of %d are %.3g from 512", models[i].file, (int)kv,
                          batch, off);
                compared++;
                free(next);
            }
            eng_model_free(m);
            free(first);
        }
    CHECK_MSG(compared >= 20, "only %d", compared);
}

/* The CPU's kernels add up the row of an expert that meets a single token in another order than for
 * several, and how many a chunk sends to it depends on the chunk. */
static void their_size_hardly_matters(void) { compare_sizes(false); }

/* Those in C do not, and nothing else depends on it: cut into the same blocks of 256 tokens, by
 * which products of long rows are added up (op_linear.c), chunks give the same bits. */
static void it_matters_to_nothing_else(void)
{
    char *mask = getenv("HEARTH_CPU_MASK"), *before = mask ? strdup(mask) : NULL;
    setenv("HEARTH_CPU_MASK", "c", 1);
    compare_sizes(true);
    if (before)
        setenv("HEARTH_CPU_MASK", before, 1);
    else
        unsetenv("HEARTH_CPU_MASK");
    free(before);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static const EngMessage hello[] = {
    {"user",
     "Hello there, how are you? This goes on for a while, for the question shall have more tokens "
     "than one piece of work, and be told of in many parts until it has been read to its end.",
     NULL}};
static const EngMessage other[] = {{"user", "Something else, not as long.", NULL}};

typedef struct {
    char text[4096];
    int parts, chunks, done, total;
    bool at_end;
} Talk;

static void take(Talk *t, const EngStep *step)
{
    if (step->kind == ENG_PREFILL) {
        CHECK_MSG(step->done >= t->done, "%d tokens after %d", step->done, t->done);
        CHECK(step->done < step->total || !step->unfinished);
        t->done = step->done, t->total = step->total;
        if (step->unfinished)
            t->parts++;
        else
            t->chunks++;
    } else if (step->kind == ENG_TEXT) {
        strncat(t->text, step->text, sizeof t->text - strlen(t->text) - 1);
    }
    t->at_end = step->kind == ENG_DONE || step->kind == ENG_IDLE;
}

static void step_on(EngSession *s, Talk *t)
{
    EngStep step;
    EngError err = {0};
    CHECK_MSG(eng_step(&s, 1, &step, &err), "%s", err.message);
    take(t, &step);
}

static void ask(EngSession *s, const EngMessage *messages)
{
    EngError err = {0};
    CHECK_MSG(eng_session_prompt(s, messages, 1, NULL, &err), "%s", err.message);
}

static Talk talk(EngSession *s, const EngMessage *messages)
{
    Talk t = {0};
    ask(s, messages);
    while (!t.at_end) step_on(s, &t);
    return t;
}

/* What the model says when nothing is ever left in the middle; pace 0: in chunks of its own size.
 */
static Talk undisturbed(EngModel *m, const EngMessage *messages, int pace)
{
    double slice = m->slice_s;
    EngSession *s = open_session(m, 512, 12, 5);
    m->slice_s = INFINITY;
    if (pace) eng_session_pace(s, pace, NULL);
    Talk t = talk(s, messages);
    CHECK_INT(t.parts, 0);
    m->slice_s = slice;
    eng_session_free(s);
    return t;
}

static void they_are_told_of_in_parts(void)
{
    EngModel *m = open_model("v3_q4_k_m", 2, 2048);
    if (!m) return;
    Talk want = undisturbed(m, hello, 0);
    m->slice_s = 0;
    EngSession *s = open_session(m, 512, 12, 5);
    Talk got = talk(s, hello);
    int pieces = ((int)m->graph.ops.n + 15) / 16;
    CHECK_INT(got.parts, pieces - 1);
    CHECK_INT(got.chunks, 1);
    CHECK_STR(got.text, want.text);
    CHECK(eng_session_stats(s).prefill_s > 0);
    eng_session_rewind(s, 0);
    eng_session_pace(s, 64, NULL);
    got = talk(s, hello);
    CHECK_INT(got.chunks, (got.total + 63) / 64);
    CHECK_INT(got.parts, got.chunks * (pieces - 1));
    want = undisturbed(m, hello, 64); /* how latents are attended to depends on the chunk */
    CHECK_STR(got.text, want.text);
    eng_session_free(s);
    eng_model_free(m);
}

/* What others compute in between costs a part, not the answer; two that take turns both end. */
static void what_is_lost_is_begun_again(void)
{
    EngModel *m = open_model("qwen3moe_kmix", 2, 512);
    if (!m) return;
    Talk want[2] = {undisturbed(m, hello, 0), undisturbed(m, other, 0)}, got[2] = {0};
    m->slice_s = 0;
    EngSession *s[2] = {open_session(m, 512, 12, 5), open_session(m, 512, 12, 5)};
    ask(s[0], hello), ask(s[1], other);
    for (int i = 0; i < 400 && !(got[0].at_end && got[1].at_end); i++) {
        got[i % 2].done = 0; /* it may fall back */
        if (!got[i % 2].at_end) step_on(s[i % 2], &got[i % 2]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK(got[i].at_end);
        CHECK_STR(got[i].text, want[i].text);
        eng_session_rewind(s[i], 0);
    }
    /* the same session, changed or gone in the middle of a chunk */
    Talk part = {0};
    ask(s[0], hello);
    step_on(s[0], &part);
    CHECK_INT(part.parts, 1);
    Talk again = talk(s[0], other);
    CHECK_STR(again.text, want[1].text);
    eng_session_rewind(s[0], 0);
    ask(s[0], hello);
    step_on(s[0], &part);
    CHECK_INT(part.parts, 2);
    eng_session_free(s[0]);
    again = talk(s[1], hello);
    CHECK_STR(again.text, want[0].text);
    eng_session_free(s[1]);
    eng_model_free(m);
}

static void a_part_can_be_stopped(void)
{
    EngModel *m = open_model("v3_fused", 2, 512);
    if (!m) return;
    Talk want = undisturbed(m, hello, 0), got = {0};
    m->slice_s = 0;
    EngSession *s = open_session(m, 512, 12, 5);
    int stop = 0;
    eng_session_pace(s, 0, &stop);
    ask(s, hello);
    step_on(s, &got);
    CHECK(got.parts == 1 && got.done > 0);
    stop = 1, got.done = 0;
    step_on(s, &got);
    CHECK_INT(got.done, 0); /* nothing of it counts */
    CHECK_INT(eng_session_stats(s).used, 0);
    stop = 0;
    while (!got.at_end) step_on(s, &got);
    CHECK_STR(got.text, want.text);
    eng_session_free(s);
    eng_model_free(m);
}

/* ---- stops ----------------------------------------------------------------------------------- */

static int stop_now, calls;

/* Sets the flag in its third call, as a person might at any time. */
static void matmul(int64_t k, int n_rows, int n_tokens, const void *w, size_t w_stride,
                   const void *x, size_t x_stride, float *y, size_t y_stride)
{
    (void)k, (void)n_rows, (void)n_tokens, (void)w, (void)w_stride, (void)x, (void)x_stride;
    (void)y, (void)y_stride;
    if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) == 3)
        __atomic_store_n(&stop_now, 1, __ATOMIC_RELAXED);
}

static void an_op_is_left_off(void)
{
    enum { THREADS = 2, TOKENS = 1024, WIDTH = 256, ROWS = 64 * 100 };
    static const EngKernel kernel = {
        .name = "slow.c", .type = ENG_TYPE_F32, .act = ENG_ACT_F32, .matmul = matmul};
    const EngKernel *kernels[2 * ENG_LINEAR_MAX] = {&kernel, [ENG_LINEAR_MAX] = &kernel};
    float *data = calloc((size_t)ROWS * WIDTH, sizeof *data);
    EngWeight w = {.data = (const uint8_t *)data,
                   .type = ENG_TYPE_F32,
                   .cols = WIDTH,
                   .rows = ROWS,
                   .mats = 1,
                   .row_bytes = WIDTH * sizeof *data,
                   .mat_bytes = (size_t)ROWS * WIDTH * sizeof *data};
    EngGraph g = {0};
    EngView x = eng_graph_buffer(&g, 1, WIDTH), y = eng_graph_buffer(&g, 1, ROWS);
    EngView z = eng_graph_buffer(&g, 1, ROWS);
    eng_graph_linear(&g, y, x, w, NULL, false);
    eng_graph_linear(&g, z, x, w, NULL, true); /* an op of its own */
    CHECK_INT(g.ops.n, 2);
    EngPool *pool = eng_pool_new(THREADS, NULL, NULL);
    EngCpuSettings settings = {
        .max_tokens = TOKENS, .max_out = 1, .pool = pool, .level = ENG_CPU_C, .kernels = kernels};
    EngBackend *cpu = eng_cpu_new(&g, &settings, NULL);
    EngBatch batch = {.n = TOKENS, .stop = &stop_now};
    CHECK(pool && cpu);
    cpu->run(cpu, 0, 2, &batch);
    CHECK(cpu->left_off);
    /* no thread takes another tile, of which each is several calls for so many tokens */
    CHECK_MSG(calls <= 2 * THREADS * TOKENS / ENG_TILE_TOKENS, "%d calls", calls);
    stop_now = calls = 0;
    batch.stop = NULL;
    cpu->run(cpu, 0, 2, &batch);
    CHECK(!cpu->left_off);
    CHECK_INT(calls, 2 * 100 * TOKENS / ENG_TILE_TOKENS);
    cpu->free(cpu);
    eng_pool_free(pool);
    eng_graph_clear(&g);
    free(data);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"their size hardly matters", their_size_hardly_matters},
        {"it matters to nothing else", it_matters_to_nothing_else},
        {"they are told of in parts", they_are_told_of_in_parts},
        {"what is lost is begun again", what_is_lost_is_begun_again},
        {"a part can be stopped", a_part_can_be_stopped},
        {"an op is left off", an_op_is_left_off},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
