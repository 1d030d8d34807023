/* Steps that bring back from a GPU the largest logits alone: the tokens drawn are those that all
 * logits give, which are still there for who asks. */
#include "gpu_model.h"
#include "session.h"

static const EngMessage hello[] = {{.role = "user", .content = "Hello there, how are you?"}};
static const EngMessage other[] = {{.role = "user", .content = "Tell me of the sea"}};
static const char all_there[] = ". device=gpu0";

enum { WRITTEN = 14 };

static EngSampling sampling_of(int which, bool *ret_few)
{
    EngSampling s = eng_sampling_defaults();
    s.seed = 7 + (uint64_t)which;
    s.max_tokens = WRITTEN;
    *ret_few = which < 4;
    switch (which) {
    case 1: s.temperature = 0, s.top_k = 0; break;
    case 2: s.temperature = 1.5f, s.top_k = ENG_TOPS, s.top_p = 1, s.min_p = 0; break;
    case 3: s.temperature = 2, s.top_k = 20, s.typical_p = 0.7f; break;
    case 4: s.temperature = 2, s.top_k = ENG_TOPS + 1; break;
    case 5: s.temperature = 2, s.top_k = 0; break;
    case 6: s.presence_penalty = 0.5f; break;
    case 7: s.dry_multiplier = 0.8f; break;
    default: break;
    }
    return s;
}

static EngSession *begin(EngModel *m, const EngMessage *message, const EngSampling *sampling)
{
    EngError err = {0};
    EngSession *s = open_session(m, 256, ENG_KV_F32);
    CHECK(eng_session_sampler(s, sampling, &err));
    CHECK_MSG(eng_session_prompt(s, message, 1, NULL, &err), "%s", err.message);
    return s;
}

/* Until an answer is written; asks for logits now and then. Returns the steps that brought back a
 * few, and checks those of all against `want`, by position, if there is any. */
static int write_answer(EngSession *s, bool asks, const float *want)
{
    EngError err = {0};
    EngStep step = {0};
    int few = 0, n = s->model->h.n_vocab;
    while (step.kind != ENG_DONE) {
        if (!eng_step(&s, 1, &step, &err)) {
            CHECK_MSG(false, "%s", err.message);
            break;
        }
        few += step.kind == ENG_TEXT && s->has_tops && !s->has_logits;
        if (!asks || s->n_past <= s->answer_at || s->n_past % 3) continue;
        const float *all = eng_session_logits(s);
        int at = s->n_past - s->answer_at;
        CHECK(all && s->has_logits);
        if (all && want)
            CHECK_MSG(memcmp(all, want + at * n, (size_t)n * sizeof *all) == 0, "token %d", at);
    }
    return few;
}

/* Reads the same tokens by themselves, and draws from all logits. logits: [WRITTEN + 1][n_vocab] */
static void check_tokens(const EngSession *wrote, const EngSampling *sampling, float *ret_logits)
{
    EngError err = {0};
    int n = wrote->model->h.n_vocab, at = wrote->answer_at;
    EngSession *s = open_session(wrote->model, 256, ENG_KV_F32);
    EngSampler *sampler = eng_sampler_new(sampling, n, 256, &err);
    CHECK(sampler && wrote->n_tokens > at + 4);
    CHECK_MSG(eng_session_eval(s, wrote->tokens, (size_t)at, NULL, &err), "%s", err.message);
    for (int i = at; i < wrote->n_tokens; i++) {
        int32_t token = -1;
        const float *all = eng_session_logits(s);
        memcpy(ret_logits + (size_t)(i - at) * (size_t)n, all, (size_t)n * sizeof *all);
        CHECK(eng_sampler_next(sampler, all, wrote->tokens, i, &token, &err));
        CHECK_MSG(token == wrote->tokens[i], "token %d is %d, not %d", i - at, wrote->tokens[i],
                  token);
        CHECK(eng_session_eval(s, wrote->tokens + i, 1, NULL, &err));
    }
    const float *all = eng_session_logits(s);
    memcpy(ret_logits + (size_t)(wrote->n_tokens - at) * (size_t)n, all, (size_t)n * sizeof *all);
    eng_sampler_free(sampler);
    eng_session_free(s);
}

static void tokens_are_those_of_all_logits(void)
{
    EngModel *m = on_gpu("llama.gguf", all_there);
    float *logits = calloc((WRITTEN + 1) * (size_t)m->h.n_vocab, sizeof *logits);
    for (int which = 0; which < 8; which++) {
        bool is_few;
        EngSampling sampling = sampling_of(which, &is_few);
        EngSession *s = begin(m, hello, &sampling);
        long launches = calls("cuGraphLaunch");
        int few = write_answer(s, false, NULL);
        if (!getenv("HEARTH_GPU")) {
            launches = calls("cuGraphLaunch") - launches - (s->n_tokens - s->answer_at - 1);
            CHECK_MSG(launches == 0 || launches == 1, "%ld launches more than tokens", launches);
        }
        CHECK_MSG((few > 4) == is_few && (few == 0) == !is_few, "sampling %d: %d steps", which,
                  few);
        check_tokens(s, &sampling, logits);
        EngSession *again = begin(m, hello, &sampling);
        write_answer(again, true, logits);
        CHECK_INT(again->n_tokens, s->n_tokens);
        CHECK(memcmp(again->tokens, s->tokens, (size_t)s->n_tokens * sizeof *s->tokens) == 0);
        eng_session_free(s), eng_session_free(again);
    }
    free(logits);
    eng_model_free(m);
}

/* Where the head is the CPU's all logits are there anyway. */
static void the_cpus_head_gives_all(void)
{
    bool few;
    EngSampling sampling = sampling_of(0, &few);
    EngModel *m = on_gpu("llama.gguf", "^output device=cpu\n. device=gpu0");
    float *logits = calloc((WRITTEN + 1) * (size_t)m->h.n_vocab, sizeof *logits);
    EngSession *s = begin(m, hello, &sampling);
    CHECK_INT(write_answer(s, true, NULL), 0);
    check_tokens(s, &sampling, logits);
    eng_session_free(s);
    free(logits);
    eng_model_free(m);
}

/* The second of two has the head. */
static void the_second_gpu_gives_a_few(void)
{
    if (!simulated()) return;
    setenv("SIM_DEVICES", "2", 1);
    bool few;
    EngSampling sampling = sampling_of(2, &few);
    EngModel *m = on_gpu("llama.gguf", "blk.0 device=gpu0\n. device=gpu1");
    float *logits = calloc((WRITTEN + 1) * (size_t)m->h.n_vocab, sizeof *logits);
    EngSession *s = begin(m, hello, &sampling);
    CHECK(write_answer(s, false, NULL) > 4);
    check_tokens(s, &sampling, logits);
    eng_session_free(s);
    free(logits);
    eng_model_free(m);
    unsetenv("SIM_DEVICES");
}

/* In one batch all get what the most demanding needs. */
static void sessions_of_one_batch(void)
{
    EngModel *m = on_gpu("llama.gguf", all_there);
    for (int demanding = 0; demanding < 2; demanding++) {
        bool few;
        EngSampling some[2] = {sampling_of(0, &few), sampling_of(demanding ? 6 : 3, &few)};
        EngSession *alone[2] = {begin(m, hello, &some[0]), begin(m, other, &some[1])};
        EngSession *both[2] = {begin(m, hello, &some[0]), begin(m, other, &some[1])};
        EngStep steps[2] = {0};
        EngError err = {0};
        int with_few = 0;
        for (int i = 0; i < 2; i++) write_answer(alone[i], false, NULL);
        for (int i = 0;
             i < 1000 && !(both[0]->state == ENG_AT_REST && both[1]->state == ENG_AT_REST); i++) {
            CHECK_MSG(eng_step(both, 2, steps, &err), "%s", err.message);
            if (both[0]->state == ENG_WRITING && both[1]->state == ENG_WRITING)
                with_few += both[0]->has_tops + both[1]->has_tops;
        }
        CHECK_MSG((with_few > 4) == !demanding, "%d", with_few);
        for (int i = 0; i < 2; i++) {
            CHECK_INT(both[i]->n_tokens, alone[i]->n_tokens);
            CHECK(memcmp(both[i]->tokens, alone[i]->tokens,
                         (size_t)alone[i]->n_tokens * sizeof(int32_t)) == 0);
            eng_session_free(both[i]), eng_session_free(alone[i]);
        }
    }
    eng_model_free(m);
}

/* The last position is computed again also where the GPU fails at it. */
static void logits_outlive_the_gpu(void)
{
    if (!simulated()) return;
    bool few;
    EngError err = {0};
    EngSampling sampling = sampling_of(1, &few);
    EngModel *m = on_gpu("llama.gguf", all_there), *cpu = on_cpu("llama.gguf");
    EngSession *s = begin(m, hello, &sampling), *t = open_session(cpu, 256, ENG_KV_F32);
    write_answer(s, false, NULL);
    CHECK(s->has_tops && !s->has_logits);
    fail_from("cuGraphLaunch", 1, 700);
    const float *all = eng_session_logits(s);
    unsetenv("SIM_FAIL");
    CHECK_STR(eng_model_info(m).gpu, "");
    CHECK(eng_session_eval(t, s->tokens, (size_t)s->n_past, NULL, &err));
    CHECK(all && distance(all, eng_session_logits(t), (size_t)m->h.n_vocab) < 1e-4);
    CHECK_INT(eng_session_stats(s).used, s->n_past);
    eng_session_free(s), eng_session_free(t);
    eng_model_free(m), eng_model_free(cpu);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"tokens_are_those_of_all_logits", tokens_are_those_of_all_logits},
        {"the_cpus_head_gives_all", the_cpus_head_gives_all},
        {"the_second_gpu_gives_a_few", the_second_gpu_gives_a_few},
        {"sessions_of_one_batch", sessions_of_one_batch},
        {"logits_outlive_the_gpu", logits_outlive_the_gpu},
    };
    choose_driver();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
