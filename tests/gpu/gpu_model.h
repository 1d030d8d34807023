/* What tests of whole models with a GPU stand on: the simulated driver's counters and failures, and
 * models and sessions of it. */
#ifndef TESTS_GPU_GPU_MODEL_H
#define TESTS_GPU_GPU_MODEL_H

#include <dlfcn.h>
#include <math.h>

#include "../unit/model/thought_model.h"

enum { CONTEXT = 64, PROMPT = 13, TOKENS = 16, BATCH = 16 };
#define MIB ((uint64_t)1 << 20)

/* ---- the driver ------------------------------------------------------------------------------ */

/* The machine's with HEARTH_GPU, else the simulated one. */
static void choose_driver(void)
{
    if (getenv("HEARTH_GPU")) {
        unsetenv("HEARTH_CUDA_LIBRARY");
    } else {
        setenv("HEARTH_CUDA_LIBRARY", CUDA_SIM, 1);
        dlopen(CUDA_SIM, RTLD_NOW); /* stays, for its counters */
    }
}

static bool simulated(void)
{
    if (getenv("HEARTH_GPU")) test_skip("only the simulated driver tells");
    return !getenv("HEARTH_GPU");
}

static long sim(const char *function, const char *name)
{
    void *dl = dlopen(CUDA_SIM, RTLD_NOW | RTLD_NOLOAD);
    void *f = dl ? dlsym(dl, function) : NULL;
    long (*call)(const char *);
    if (!f) return -1;
    memcpy(&call, &f, sizeof f);
    long n = call(name);
    dlclose(dl);
    return n;
}

static long calls(const char *name) { return sim("hearth_sim_count", name); }

/* The n-th call from now on and all later ones. */
static void fail_from(const char *name, long n, int error)
{
    char text[96];
    snprintf(text, sizeof text, "%s:%ld:%d", name, calls(name) + n, error);
    setenv("SIM_FAIL", text, 1);
}

/* ---- models ---------------------------------------------------------------------------------- */

static EngModel *try_model(const char *file, const EngModelSettings *more, EngError *err)
{
    char path[4096];
    EngModelSettings settings = *more;
    settings.threads = 2;
    settings.batch = BATCH;
    settings.context = CONTEXT;
    snprintf(path, sizeof path, "%s/%s", VECTORS, file);
    return eng_model_open(path, &settings, err);
}

static EngModel *open_model(const char *file, EngModelSettings settings)
{
    EngError err = {0};
    EngModel *m = try_model(file, &settings, &err);
    CHECK_MSG(m, "%s: %s", file, err.message);
    return m;
}

static inline EngModel *on_gpu(const char *file, const char *rules)
{
    EngModel *m = open_model(file, (EngModelSettings){.rules = rules});
    if (m) CHECK_MSG(*eng_model_info(m).gpu, "%s", eng_model_info(m).gpu_reason);
    return m;
}

static EngModel *on_cpu(const char *file)
{
    return open_model(file, (EngModelSettings){.no_gpu = true});
}

static EngSession *open_session(EngModel *m, int context, EngKvType kv)
{
    EngError err = {0};
    EngSessionSettings set = {context, kv};
    EngSession *s = eng_session_new(m, &set, &err);
    CHECK_MSG(s, "%s", err.message);
    return s;
}

static const int32_t *some_tokens(const EngModel *m)
{
    static int32_t tokens[TOKENS];
    for (int i = 0; i < TOKENS; i++) tokens[i] = (37 * i + 11) % eng_model_info(m).n_vocab;
    return tokens;
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

/* A prompt in chunks, then token by token; logits of each. free(). */
static float *logits_of(EngModel *m, EngSession *s)
{
    EngError err = {0};
    size_t vocab = (size_t)eng_model_info(m).n_vocab;
    float *all = malloc(TOKENS * vocab * sizeof *all);
    const int32_t *tokens = some_tokens(m);
    CHECK_MSG(eng_session_eval(s, tokens, PROMPT, all, &err), "%s", err.message);
    for (size_t i = PROMPT; i < TOKENS; i++)
        CHECK_MSG(eng_session_eval(s, tokens + i, 1, all + i * vocab, &err), "%s", err.message);
    return all;
}

static inline float *logits_on(EngModel *m, EngKvType kv)
{
    EngSession *s = open_session(m, CONTEXT, kv);
    float *all = s ? logits_of(m, s) : NULL;
    eng_session_free(s);
    return all;
}

static inline void compare(const EngModel *m, const float *got, const float *want, double bound,
                           const char *what)
{
    size_t vocab = (size_t)eng_model_info(m).n_vocab;
    for (size_t i = 0; got && want && i < TOKENS; i++) {
        double d = distance(got + i * vocab, want + i * vocab, vocab);
        CHECK_MSG(d <= bound, "%s, token %zu: %.5f from the CPU's logits", what, i, d);
    }
}

static inline uint64_t planned(const EngModel *m, int kind)
{
    const EngPlan *plan = eng_model_plan(m);
    uint64_t bytes = 0;
    for (size_t i = 0; plan && i < plan->n_rows; i++)
        if (plan->rows[i].place.kind == ENG_PLACE_GPU &&
            (kind < 0 || (int)plan->rows[i].kind == kind))
            bytes += plan->rows[i].bytes;
    return bytes;
}

/* ---- experts that prompts send --------------------------------------------------------------- */

static const char *const sent_rules =
    "ffn_(gate|up|down)(_exps|\\.[0-9]) device=cpu\n. device=gpu0";

static inline EngModel *streaming(const char *file, EngStreaming how)
{
    EngError err = {0};
    EngModel *m = open_model(file, (EngModelSettings){.rules = sent_rules, .streaming = how});
    uint64_t done = 0, total = 1;
    while (m && done < total) CHECK_MSG(eng_model_load(m, &done, &total, &err), "%s", err.message);
    return m;
}

#endif
