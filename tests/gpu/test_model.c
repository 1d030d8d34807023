/* Models and sessions with a GPU, through engine.h alone: what a plan promises is kept, what is
 * computed is what the CPU computes, and a GPU that fails costs nothing but time. On the simulated
 * driver or, with HEARTH_GPU, on the machine's, which neither counts nor fails when it is told to.
 */
#include "gpu_model.h"

/* Logits differ by roundings: see test_exec.c. Where a router might choose other experts for one,
 * the tokens, which are fixed, keep away from that. */
static const struct {
    const char *file;
    double bound;
} models[] = {
    {"llama.gguf", 0.004},
    {"mixtral_old.gguf", 0.004},
    {"v3_fused.gguf", 0.004},
    {"qwen3_q4_k.gguf", 0.05},
};

static const char no_head[] = "^output device=cpu\n. device=gpu0";

static const char only_attention[] = "attn device=gpu0\n"
                                     "ffn_.*exps device=cpu\n"
                                     "ffn_(up|gate|down)\\. device=cpu\n"
                                     "output\\. device=cpu";

static const char *const placements[] = {
    ". device=gpu0",
    only_attention,
    "blk.0 device=gpu0\nblk.1 device=cpu",
    "blk.0 device=cpu\nattn_(norm|q|k|v|output|kv) device=gpu0",
};

/* For machines with a second card. */
static const char *const on_two[] = {
    "blk.0 device=gpu0\n. device=gpu1",
    "blk.0 device=gpu1\nattn device=gpu0\noutput device=gpu1",
    "blk.0 device=gpu1\n. device=cpu",
};

/* ---- what is computed ------------------------------------------------------------------------ */

static void logits_are_the_cpus(void)
{
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        EngModel *cpu = on_cpu(models[i].file);
        float *want = cpu ? logits_on(cpu, ENG_KV_F32) : NULL;
        for (size_t p = 0; p < TEST_COUNT(placements); p++) {
            EngError err = {0};
            EngModelSettings set = {.rules = placements[p]};
            EngModel *m = try_model(models[i].file, &set, &err);
            if (!m && err.code == ENG_ERR_USAGE) continue; /* a rule that names nothing in it */
            CHECK_MSG(m, "%s", err.message);
            float *got = m ? logits_on(m, ENG_KV_F32) : NULL;
            if (m) compare(m, got, want, models[i].bound, models[i].file);
            free(got);
            eng_model_free(m);
        }
        free(want);
        eng_model_free(cpu);
    }
}

static void every_kind_of_cache(void)
{
    static const double bounds[ENG_KV_TYPES] = {0.004, 0.004, 0.05};
    for (int kv = 0; kv < ENG_KV_TYPES; kv++) {
        const char *file = kv == ENG_KV_Q8_0 ? "qwen3_q6_k.gguf" : "qwen3.gguf";
        EngModel *cpu = on_cpu(file), *gpu = on_gpu(file, placements[0]);
        float *want = logits_on(cpu, (EngKvType)kv), *got = logits_on(gpu, (EngKvType)kv);
        compare(gpu, got, want, bounds[kv], file);
        free(want), free(got);
        eng_model_free(cpu), eng_model_free(gpu);
    }
}

typedef struct {
    char text[2048];
    size_t len;
    int tokens;
    bool done;
} Answer;

static const EngMessage hello[] = {{.role = "user", .content = "Hello there, how are you?"}};
static const EngMessage other[] = {{.role = "user", .content = "Tell me of the sea"}};

static void ask(EngSession *s, const EngMessage *message, int tokens)
{
    EngError err = {0};
    EngSampling sampling = eng_sampling_defaults();
    sampling.temperature = 0;
    sampling.max_tokens = tokens;
    CHECK(eng_session_sampler(s, &sampling, &err));
    CHECK_MSG(eng_session_prompt(s, message, 1, NULL, &err), "%s", err.message);
}

static void take(Answer *a, const EngStep *step)
{
    if (step->kind == ENG_DONE) a->done = true;
    if (step->kind != ENG_TEXT || a->len + step->len >= sizeof a->text) return;
    memcpy(a->text + a->len, step->text, step->len);
    a->len += step->len;
}

static Answer answer(EngSession *s, const EngMessage *message, int tokens)
{
    Answer a = {0};
    EngError err = {0};
    EngStep step;
    ask(s, message, tokens);
    for (int i = 0; i < 1000 && !a.done; i++) {
        if (!eng_step(&s, 1, &step, &err)) {
            CHECK_MSG(false, "%s", err.message);
            break;
        }
        take(&a, &step);
    }
    CHECK(a.done);
    a.tokens = eng_session_stats(s).tokens;
    return a;
}

static Answer answer_of(EngModel *m, const EngMessage *message, EngKvType kv)
{
    EngSession *s = open_session(m, 512, kv);
    Answer a = answer(s, message, 7);
    eng_session_free(s);
    return a;
}

/* Also with more tokens of context than the plan has: these are in DRAM then. */
static void a_token_is_one_launch(void)
{
    if (!simulated()) return;
    EngModel *cpu = on_cpu("llama.gguf"), *gpu = on_gpu("llama.gguf", no_head);
    Answer want = answer_of(cpu, hello, ENG_KV_F16);
    EngSession *s = open_session(gpu, 512, ENG_KV_F16);
    CHECK_INT(eng_session_stats(s).kv_vram_bytes, 0);
    CHECK_INT(eng_session_stats(s).kv_bytes,
              eng_model_info(gpu).kv_bytes_per_token[ENG_KV_F16] * 512);
    long launches = calls("cuGraphLaunch");
    Answer got = answer(s, hello, 7);
    /* the first token's logits are the prompt's; the last piece of the prompt may be small, too */
    launches = calls("cuGraphLaunch") - launches - (got.tokens - 1);
    CHECK_MSG(launches == 0 || launches == 1, "%ld launches more than tokens", launches);
    CHECK_STR(got.text, want.text);
    CHECK(got.len > 0);
    got = answer(s, hello, 7); /* from the cache */
    CHECK_STR(got.text, want.text);
    eng_session_free(s);
    eng_model_free(cpu), eng_model_free(gpu);
}

static void two_sessions_in_one_step(void)
{
    EngModel *cpu = on_cpu("llama.gguf"), *gpu = on_gpu("llama.gguf", placements[0]);
    Answer want[2] = {answer_of(cpu, hello, ENG_KV_F16), answer_of(cpu, other, ENG_KV_F32)};
    EngSession *both[2] = {open_session(gpu, 512, ENG_KV_F16), open_session(gpu, 512, ENG_KV_F32)};
    Answer got[2] = {0};
    EngError err = {0};
    ask(both[0], hello, 7);
    ask(both[1], other, 7);
    for (int i = 0; i < 1000 && !(got[0].done && got[1].done); i++) {
        EngStep steps[2];
        if (!eng_step(both, 2, steps, &err)) break;
        take(&got[0], &steps[0]);
        take(&got[1], &steps[1]);
    }
    CHECK_STR(got[0].text, want[0].text);
    CHECK_STR(got[1].text, want[1].text);
    eng_session_free(both[0]), eng_session_free(both[1]);
    eng_model_free(cpu), eng_model_free(gpu);
}

static void rewinding_and_pretending(void)
{
    EngModel *m = on_gpu("v3_fused.gguf", placements[0]);
    EngSession *s = open_session(m, CONTEXT, ENG_KV_F16);
    EngError err = {0};
    float *first = logits_of(m, s);
    eng_session_rewind(s, 0);
    float *second = logits_of(m, s);
    compare(m, second, first, 0, "after rewinding");
    eng_session_rewind(s, 4);
    CHECK_MSG(eng_session_pretend(s, 20, &err), "%s", err.message);
    CHECK_INT(eng_session_stats(s).used, 24);
    CHECK_MSG(eng_session_eval(s, some_tokens(m), 3, NULL, &err), "%s", err.message);
    CHECK(eng_session_logits(s) != NULL);
    free(first), free(second);
    eng_session_free(s);
    eng_model_free(m);
}

/* ---- what it takes --------------------------------------------------------------------------- */

static uint64_t planned_on(const EngModel *m, int gpu)
{
    const EngPlan *plan = eng_model_plan(m);
    uint64_t bytes = 0;
    for (size_t i = 0; plan && i < plan->n_rows; i++)
        if (plan->rows[i].place.kind == ENG_PLACE_GPU && plan->rows[i].place.index == gpu)
            bytes += plan->rows[i].bytes;
    return bytes;
}

/* The card counts. A plan is no more than a little above what is taken. */
static void no_more_is_taken_than_planned(void)
{
    if (!simulated()) return;
    for (size_t i = 0; i < TEST_COUNT(models); i++)
        for (size_t p = 0; p < 2; p++) {
            const char *rules = p ? no_head : placements[0];
            sim("hearth_sim_peak", NULL); /* from here on */
            EngModel *m = on_gpu(models[i].file, rules);
            if (!m) continue;
            EngSession *s = open_session(m, CONTEXT, ENG_KV_F16);
            CHECK_INT(eng_session_stats(s).kv_vram_bytes, planned(m, ENG_PLAN_KV));
            CHECK(planned(m, ENG_PLAN_KV) > 0);
            EngError err = {0};
            CHECK(eng_session_eval(s, some_tokens(m), 9, NULL, &err));
            uint64_t peak = (uint64_t)sim("hearth_sim_peak", NULL), plan = planned(m, -1);
            CHECK_MSG(peak <= plan && peak > plan / 2, "%s: %llu bytes of %llu planned",
                      models[i].file, (unsigned long long)peak, (unsigned long long)plan);
            eng_session_free(s);
            eng_model_free(m);
        }
}

/* Each card takes what its own plan says; a token is one launch on each; what the second one lacks
 * is told. */
static void two_gpus(void)
{
    if (!simulated()) return;
    setenv("SIM_DEVICES", "2", 1);
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        EngModel *cpu = on_cpu(models[i].file);
        EngSession *s = open_session(cpu, CONTEXT, ENG_KV_F32);
        float *want = logits_of(cpu, s);
        eng_session_free(s);
        for (size_t p = 0; p < TEST_COUNT(on_two); p++) {
            sim("hearth_sim_peak", "0"), sim("hearth_sim_peak", "1");
            EngModelSettings set = {.rules = on_two[p], .kv = ENG_KV_F32};
            EngModel *m = open_model(models[i].file, set);
            if (!m) continue;
            CHECK_STR(eng_model_info(m).gpu, "2 x Simulated GPU");
            s = open_session(m, CONTEXT, ENG_KV_F32);
            long launches = calls("cuGraphLaunch");
            float *got = logits_of(m, s);
            CHECK_INT(calls("cuGraphLaunch") - launches, 2 * (TOKENS - PROMPT));
            compare(m, got, want, models[i].bound, on_two[p]);
            for (int d = 0; d < 2; d++) {
                uint64_t peak = (uint64_t)sim("hearth_sim_peak", d ? "1" : "0");
                CHECK(peak > 0 && peak <= planned_on(m, d));
            }
            free(got);
            eng_session_free(s);
            eng_model_free(m);
        }
        free(want);
        eng_model_free(cpu);
    }
    setenv("SIM_DEVICES", "1", 1);
    EngError err = {0};
    EngModelSettings set = {.rules = on_two[0]};
    CHECK(!try_model("llama.gguf", &set, &err));
    CHECK_MSG(strstr(err.message, "Line 2 ") && strstr(err.message, "gpu1"), "%s", err.message);
    set = (EngModelSettings){.gpus = 2};
    CHECK(!try_model("llama.gguf", &set, &err));
    CHECK_MSG(strstr(err.message, "2 GPUs cannot be used"), "%s", err.message);
    unsetenv("SIM_DEVICES");
}

/* Experts that rules leave in DRAM, and what VRAM is left. */
static void cached_experts(void)
{
    static const char *const policies[] = {"lru", "pinned", "uniform", "off"};
    static const char *const files[] = {"v2_group.gguf", "mixtral_old.gguf"};
    for (size_t i = 0; i < 2 * TEST_COUNT(policies); i++) {
        const char *file = files[i % 2], *policy = policies[i / 2];
        char rules[128];
        snprintf(rules, sizeof rules,
                 "experts=%s\nffn_(gate|up|down)(_exps|\\.[0-9]+\\.) device=cpu\n. device=gpu0",
                 policy);
        if (!getenv("HEARTH_GPU")) sim("hearth_sim_peak", NULL);
        EngModel *cpu = on_cpu(file), *m = on_gpu(file, rules);
        EngSession *s = open_session(m, CONTEXT, ENG_KV_F32);
        float *want = logits_on(cpu, ENG_KV_F32), *got = NULL;
        for (int time = 0; time < 14; time++) { /* more than 32 tokens */
            free(got);
            eng_session_rewind(s, 0);
            got = logits_of(m, s);
            compare(m, got, want, 0.004, policy);
        }
        EngStats stats = eng_session_stats(s);
        bool off = strcmp(policy, "off") == 0;
        CHECK_MSG((stats.expert_hits > 0) == !off && (stats.expert_misses > 0) == !off,
                  "%s, %s: %llu hits, %llu misses", file, policy,
                  (unsigned long long)stats.expert_hits, (unsigned long long)stats.expert_misses);
        CHECK_INT(stats.expert_hits, stats.model_expert_hits);
        CHECK_INT(stats.expert_misses, stats.model_expert_misses);
        CHECK_INT(planned(m, ENG_PLAN_EXPERTS), 0);
        CHECK((planned(m, ENG_PLAN_CACHE) > 0) == !off);
        if (!getenv("HEARTH_GPU")) CHECK((uint64_t)sim("hearth_sim_peak", NULL) <= planned(m, -1));
        free(want), free(got);
        eng_session_free(s);
        eng_model_free(m), eng_model_free(cpu);
    }
    EngError err = {0};
    EngModelSettings set = {.rules = "experts=best"};
    CHECK(!try_model("v3_fused.gguf", &set, &err));
    CHECK_MSG(err.code == ENG_ERR_USAGE && strstr(err.message, "lru, pinned"), "%s", err.message);
    set.rules = "experts=lru\nexperts=off";
    CHECK(!try_model("v3_fused.gguf", &set, &err));
    CHECK_MSG(strstr(err.message, "Lines 1 and 2"), "%s", err.message);
}

/* With this the experts of all layers but one are the device's, and half of its are cached. */
static uint64_t vram_for_half(const char *file, const char *rules)
{
    char path[4096];
    EngError err = {0};
    EngPlanSettings want = eng_plan_defaults();
    want.batch = BATCH, want.context = CONTEXT, want.rules = rules;
    snprintf(path, sizeof path, "%s/%s", VECTORS, file);
    uint64_t few = 0, enough = 8192 * MIB, layer = 0;
    while (enough - few > 16) {
        want.vram = few + (enough - few) / 2;
        EngPlan *plan = eng_plan_file(path, &want, &err);
        bool all = plan && plan->expert_layers_in_vram == plan->expert_layers;
        for (size_t i = 0; all && i < plan->n_rows; i++)
            if (plan->rows[i].kind == ENG_PLAN_EXPERTS)
                layer = plan->rows[i].bytes / (uint64_t)plan->expert_layers;
        *(all ? &enough : &few) = want.vram;
        eng_plan_free(plan);
    }
    CHECK_MSG(layer > 0, "%s", err.message);
    return enough - layer / 2 / 63 * 64;
}

/* Nothing is said of a cache, and of VRAM too little is allowed for all experts. */
static void experts_are_cached_without_a_word(void)
{
    static const char rules[] = "attn device=gpu0";
    static const char *const files[] = {"v2_group.gguf", "mixtral_old.gguf", "v3_fused.gguf"};
    if (!simulated()) return;
    for (size_t i = 0; i < 2 * TEST_COUNT(files); i++) {
        const char *file = files[i % TEST_COUNT(files)];
        bool fails = i >= TEST_COUNT(files); /* to get its memory: it is done without */
        EngModelSettings set = {.rules = rules, .vram = vram_for_half(file, rules)};
        sim("hearth_sim_peak", NULL);
        EngModel *cpu = on_cpu(file);
        float *want = logits_on(cpu, ENG_KV_F32), *got = NULL;
        if (fails) fail_from("cuMemAlloc_v2", 3, 2); /* behind weights and buffers */
        EngModel *m = open_model(file, set);
        unsetenv("SIM_FAIL");
        const EngPlan *plan = eng_model_plan(m);
        CHECK_MSG(plan && plan->cache_policy == ENG_CACHE_LRU && plan->cached_experts > 0, "%s",
                  file);
        CHECK(planned(m, ENG_PLAN_CACHE) > 0 && planned(m, -1) <= set.vram);
        CHECK_INT(eng_model_info(m).cache_bytes, fails ? 0 : planned(m, ENG_PLAN_CACHE));
        EngSession *s = open_session(m, CONTEXT, ENG_KV_F32);
        for (int time = 0; time < 6; time++) {
            long launches = calls("cuGraphLaunch");
            free(got);
            eng_session_rewind(s, 0);
            got = logits_of(m, s);
            compare(m, got, want, 0.004, file);
            CHECK_INT(calls("cuGraphLaunch") - launches, TOKENS - PROMPT);
        }
        EngStats stats = eng_session_stats(s);
        CHECK_MSG((stats.expert_hits > 0) == !fails && (stats.expert_misses > 0) == !fails,
                  "%s: %llu hits, %llu misses", file, (unsigned long long)stats.expert_hits,
                  (unsigned long long)stats.expert_misses);
        CHECK((uint64_t)sim("hearth_sim_peak", NULL) <= planned(m, -1));
        free(want), free(got);
        eng_session_free(s);
        eng_model_free(m), eng_model_free(cpu);
    }
}

/* Named, it is the kernel that it is anyway; the CPU, which has it not, goes on without the GPU. */
static void a_kernel_of_the_gpu_is_named(void)
{
    if (!simulated()) return;
    static const char rules[] = ". device=gpu0\nattn_q.weight kernel=q4_k.cuda";
    EngModel *cpu = on_cpu("qwen3_q4_k.gguf"), *plain = on_gpu("qwen3_q4_k.gguf", placements[0]),
             *m = on_gpu("qwen3_q4_k.gguf", rules);
    float *want = logits_on(plain, ENG_KV_F32), *got = logits_on(m, ENG_KV_F32);
    compare(m, got, want, 0, "named");
    fail_from("cuLaunchKernel", 3, 700);
    free(want), free(got);
    want = logits_on(cpu, ENG_KV_F32), got = logits_on(m, ENG_KV_F32);
    unsetenv("SIM_FAIL");
    CHECK_STR(eng_model_info(m).gpu, "");
    compare(m, got, want, 1e-5, "lost");
    free(want), free(got);
    eng_model_free(cpu), eng_model_free(plain), eng_model_free(m);
    EngError err = {0};
    EngModelSettings set = {.rules = rules, .no_gpu = true};
    CHECK(!try_model("qwen3_q4_k.gguf", &set, &err) && err.code == ENG_ERR_USAGE);
}

static void too_little_is_refused(void)
{
    if (!simulated()) return;
    EngError err = {0};
    EngModelSettings set = {.rules = placements[0], .vram = 200 * MIB};
    CHECK(!try_model("llama.gguf", &set, &err));
    CHECK_INT(err.code, ENG_ERR_MEMORY);
    double least = 0;
    CHECK_MSG(sscanf(err.message, "At least %lf GiB of VRAM", &least) == 1, "%s", err.message);
    CHECK(strstr(err.message, "shorten the context") != NULL);
    set.vram = (uint64_t)(least * 1024 * (double)MIB);
    EngModel *m = try_model("llama.gguf", &set, &err);
    CHECK_MSG(m, "%s", err.message);
    if (m) CHECK_INT(eng_model_plan(m)->vram, set.vram);
    eng_model_free(m);
    setenv("SIM_CONTEXT", "800000000", 1); /* more than is left alone for it usually */
    CHECK(!try_model("llama.gguf", &set, &err));
    CHECK_MSG(sscanf(err.message, "At least %lf GiB of VRAM", &least) == 1, "%s", err.message);
    set.vram = (uint64_t)(least * 1024 * (double)MIB);
    m = try_model("llama.gguf", &set, &err);
    CHECK_MSG(m, "%s", err.message);
    eng_model_free(m);
    unsetenv("SIM_CONTEXT");
    setenv("SIM_MEMORY", "100000000", 1); /* a smaller card than what it may take */
    CHECK(!try_model("llama.gguf", &set, &err));
    CHECK_MSG(strstr(err.message, "there are 0.09 GiB"), "%s", err.message);
    unsetenv("SIM_MEMORY");
    set = (EngModelSettings){.rules = "blk.9 device=gpu0"};
    CHECK(!try_model("llama.gguf", &set, &err));
    CHECK_INT(err.code, ENG_ERR_USAGE);
}

/* The plan's own choice, with a model that small. */
static void without_wishes_the_cpu_may_be_quicker(void)
{
    if (!simulated()) return;
    EngModel *m = open_model("llama.gguf", (EngModelSettings){0});
    CHECK_STR(eng_model_info(m).gpu, "");
    CHECK_STR(eng_model_info(m).gpu_reason, "the CPU alone is quicker with a model this small");
    CHECK(eng_model_plan(m) == NULL);
    eng_model_free(m);
    m = on_cpu("llama.gguf");
    CHECK_STR(eng_model_info(m).gpu_reason, "it is switched off");
    eng_model_free(m);
}

static void a_driver_that_fails_is_a_reason(void)
{
    if (!simulated()) return;
    EngError err = {0};
    EngModelSettings set = {.rules = placements[0]};
    fail_from("cuMemAlloc_v2", 1, 2);
    CHECK(!try_model("llama.gguf", &set, &err)); /* it was asked for */
    CHECK_INT(err.code, ENG_ERR_MEMORY);
    unsetenv("SIM_FAIL");
    fail_from("cuDevicePrimaryCtxRetain", 1, 2);
    EngModel *m = open_model("llama.gguf", (EngModelSettings){0});
    CHECK_STR(eng_model_info(m).gpu, "");
    CHECK(strstr(eng_model_info(m).gpu_reason, "starting it failed") != NULL);
    unsetenv("SIM_FAIL");
    eng_model_free(m);
}

/* As with one. A wish for more than there are is refused as ever. */
static void two_that_cannot_be_used_are_a_reason(void)
{
    if (!simulated()) return;
    EngError err = {0};
    EngModelSettings set = {.gpus = 2};
    setenv("SIM_DEVICES", "2", 1);
    fail_from("cuDevicePrimaryCtxRetain", 2, 2); /* the first one starts */
    EngModel *m = open_model("llama.gguf", set);
    CHECK_INT(eng_model_info(m).gpu_state, ENG_GPU_FAILED);
    CHECK(strstr(eng_model_info(m).gpu_reason, "starting it failed") != NULL);
    unsetenv("SIM_FAIL");
    eng_model_free(m);
    EngUsage usage;
    m = on_cpu("llama.gguf");
    set.context = 1 << 26; /* for which hardly a machine has the memory */
    bool fits = eng_host_usage(&usage, &err) &&
                eng_model_info(m).kv_bytes_per_token[ENG_KV_F32] << 26 < usage.dram_available;
    eng_model_free(m);
    set.kv = ENG_KV_F32;
    CHECK(eng_model_check(VECTORS "/llama.gguf", &set, NULL, &err));
    for (set.gpus = 0; set.gpus <= 2 && !fits; set.gpus++) {
        m = open_model("llama.gguf", set);
        CHECK_INT(eng_model_info(m).gpu_state, ENG_GPU_NO_ROOM);
        CHECK(strstr(eng_model_info(m).gpu_reason, "are needed for the context") != NULL);
        eng_model_free(m);
    }
    set.gpus = 3;
    CHECK(!eng_model_check(VECTORS "/llama.gguf", &set, NULL, &err));
    CHECK_INT(err.code, ENG_ERR_USAGE);
    unsetenv("SIM_DEVICES");
}

/* A model that gains by a GPU, with nothing said about one. */
static EngModel *rehearsed(const EngModelSettings *settings, EngError *err)
{
    EngHeader header = thought_model("deepseek2", "Q4_K");
    EngModel *m = eng_model_rehearse(&header, 1, (uint64_t)1 << 30, settings, err);
    CHECK_MSG(m, "%s", err->message);
    free((void *)header.data);
    uint64_t done = 0, total = 1;
    while (m && done < total) CHECK(eng_model_load(m, &done, &total, err));
    return m;
}

static void without_wishes_a_gpu_is_used_when_it_gains(void)
{
    EngError err = {0};
    EngModelSettings set = {.threads = 2, .batch = BATCH, .context = CONTEXT};
    EngModel *gpu = rehearsed(&set, &err);
    CHECK_MSG(*eng_model_info(gpu).gpu, "%s", eng_model_info(gpu).gpu_reason);
    set.no_gpu = true;
    EngModel *cpu = rehearsed(&set, &err), *both[2] = {gpu, cpu};
    EngSession *s[2];
    for (int i = 0; i < 2; i++) {
        s[i] = open_session(both[i], CONTEXT, ENG_KV_F16);
        CHECK_MSG(eng_session_eval(s[i], some_tokens(cpu), 2, NULL, &err), "%s", err.message);
    }
    double d = distance(eng_session_logits(s[0]), eng_session_logits(s[1]), VOCAB);
    CHECK_MSG(d < 0.05, "%.4f", d);
    eng_session_free(s[0]), eng_session_free(s[1]);
    eng_model_free(gpu), eng_model_free(cpu);
    if (getenv("HEARTH_GPU")) return;
    set.no_gpu = false;
    fail_from("cuMemAlloc_v2", 1, 2); /* the CPU does it, if another program has taken the memory */
    EngModel *m = rehearsed(&set, &err);
    unsetenv("SIM_FAIL");
    EngModelInfo info = eng_model_info(m);
    CHECK_MSG(!*info.gpu && strstr(info.gpu_reason, "of VRAM"), "%s", info.gpu_reason);
    eng_model_free(m);
}

/* ---- experts that prompts send --------------------------------------------------------------- */

/* The stats tell where experts were. */
static void a_stopped_prompt_is_read_again(void)
{
    EngError err = {0};
    EngStep step;
    int stop = 1;
    EngModel *cpu = on_cpu("v3_fused.gguf"), *m = streaming("v3_fused.gguf", ENG_STREAM_ALL);
    Answer want = answer_of(cpu, hello, ENG_KV_F32);
    EngSession *s = open_session(m, 512, ENG_KV_F32);
    ask(s, hello, 7);
    eng_session_pace(s, 0, &stop);
    CHECK_MSG(eng_step(&s, 1, &step, &err), "%s", err.message);
    CHECK_INT(step.kind, ENG_PREFILL);
    CHECK_INT(step.done, 0);
    stop = 0;
    Answer got = answer(s, hello, 7);
    CHECK_STR(got.text, want.text);
    EngStats stats = eng_session_stats(s);
    CHECK(stats.streamed[ENG_STREAM_ALL] > 0 && stats.streamed[ENG_STREAM_USED] == 0);
    int tokens = stats.streamed[ENG_STREAM_ALL] + stats.streamed[ENG_STREAM_CPU];
    CHECK_INT(tokens, stats.prompt_tokens - stats.reused_tokens);
    eng_session_free(s);
    eng_model_free(cpu), eng_model_free(m);
}

/* ---- loading --------------------------------------------------------------------------------- */

static void loading_counts_both_memories(void)
{
    EngError err = {0};
    EngModel *m = on_gpu("qwen3_q4_k.gguf", placements[0]), *cpu = on_cpu("qwen3_q4_k.gguf");
    uint64_t done = 0, total = 1, before = 0, file = 0;
    while (done < total) {
        CHECK_MSG(eng_model_load(m, &done, &total, &err), "%s", err.message);
        CHECK(done > before && done <= total);
        before = done;
    }
    CHECK(eng_model_load(cpu, &done, &file, &err));
    CHECK_MSG(total > file && total <= 2 * file, "%llu bytes of a file of %llu",
              (unsigned long long)total, (unsigned long long)file);
    float *want = logits_on(cpu, ENG_KV_F32), *got = logits_on(m, ENG_KV_F32);
    compare(m, got, want, 0.05, "loaded");
    free(want), free(got);
    eng_model_free(m), eng_model_free(cpu);
}

static void copied_weights_leave_out_the_devices(void)
{
    if (!simulated()) return;
    EngError err = {0};
    EngModelSettings set = {.rules = placements[1], .copy = true, .nodes = 2};
    EngModel *m = open_model("v3_fused.gguf", set), *cpu = on_cpu("v3_fused.gguf");
    set.rules = NULL;
    set.no_gpu = true;
    EngModel *all = open_model("v3_fused.gguf", set);
    CHECK(eng_model_info(m).copied_bytes > 0);
    CHECK(eng_model_info(m).copied_bytes < eng_model_info(all).copied_bytes);
    uint64_t done = 0, total = 1;
    while (done < total && eng_model_load(m, &done, &total, &err)) continue;
    float *want = logits_on(cpu, ENG_KV_F32), *got = logits_on(m, ENG_KV_F32);
    compare(m, got, want, 0.004, "copied");
    fail_from("cuGraphLaunch", 2, 700); /* and what was not copied is still to be had */
    free(got);
    got = logits_on(m, ENG_KV_F32);
    compare(m, got, want, 0.004, "copied, lost");
    unsetenv("SIM_FAIL");
    free(want), free(got);
    eng_model_free(m), eng_model_free(cpu), eng_model_free(all);
}

/* ---- failing --------------------------------------------------------------------------------- */

static void the_conversation_goes_on(void)
{
    if (!simulated()) return;
    static const struct {
        const char *call;
        int at, error;
    } cases[] = {{"cuGraphLaunch", 1, 700},         {"cuGraphLaunch", 5, 719},
                 {"cuLaunchKernel", 40, 700},       {"cuMemcpyHtoDAsync_v2", 1, 999},
                 {"cuMemcpyHtoDAsync_v2", 24, 700}, {"cuStreamSynchronize", 25, 700}};
    EngModel *cpu = on_cpu("llama.gguf");
    Answer want = answer_of(cpu, hello, ENG_KV_F16), next = answer_of(cpu, other, ENG_KV_F16);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        EngModel *gpu = on_gpu("llama.gguf", i % 2 ? no_head : placements[0]);
        EngSession *s = open_session(gpu, 512, ENG_KV_F16);
        fail_from(cases[i].call, cases[i].at, cases[i].error);
        Answer got = answer(s, hello, 7);
        CHECK_STR(got.text, want.text);
        EngModelInfo info = eng_model_info(gpu);
        CHECK_MSG(!*info.gpu && strstr(info.gpu_reason, "Simulated GPU stopped working"),
                  "%s, %zu: %s", info.gpu, i, info.gpu_reason);
        CHECK_INT(eng_session_stats(s).kv_vram_bytes, 0);
        got = answer(s, other, 7);
        CHECK_STR(got.text, next.text);
        got = answer_of(gpu, hello, ENG_KV_F16); /* a new session */
        CHECK_STR(got.text, want.text);
        unsetenv("SIM_FAIL");
        eng_session_free(s);
        eng_model_free(gpu);
    }
    EngModel *again = on_gpu("llama.gguf", placements[0]);
    Answer got = answer_of(again, hello, ENG_KV_F16);
    CHECK_STR(got.text, want.text);
    eng_model_free(again);
    eng_model_free(cpu);
}

static void a_failure_while_loading_or_pretending(void)
{
    if (!simulated()) return;
    EngError err = {0};
    EngModel *cpu = on_cpu("qwen3.gguf"), *gpu = on_gpu("qwen3.gguf", placements[0]);
    float *want = logits_on(cpu, ENG_KV_F32);
    fail_from("cuMemcpyHtoDAsync_v2", 3, 700);
    uint64_t done = 0, total = 1;
    while (done < total && eng_model_load(gpu, &done, &total, &err)) continue;
    CHECK_MSG(done == total, "%s", err.message);
    CHECK(strstr(eng_model_info(gpu).gpu_reason, "while copying to it") != NULL);
    float *got = logits_on(gpu, ENG_KV_F32);
    compare(gpu, got, want, 0, "lost while loading");
    unsetenv("SIM_FAIL");
    eng_model_free(gpu);
    gpu = on_gpu("qwen3.gguf", placements[0]);
    EngSession *s = open_session(gpu, CONTEXT, ENG_KV_F32);
    free(got), got = logits_of(gpu, s);
    eng_session_rewind(s, 3);
    fail_from("cuMemcpyHtoDAsync_v2", 2, 700);
    CHECK_MSG(eng_session_pretend(s, 9, &err), "%s", err.message);
    CHECK_INT(eng_session_stats(s).used, 12);
    CHECK_STR(eng_model_info(gpu).gpu, "");
    eng_session_rewind(s, 3);
    CHECK_MSG(eng_session_eval(s, some_tokens(gpu) + 3, 1, got, &err), "%s", err.message);
    size_t vocab = (size_t)eng_model_info(cpu).n_vocab;
    double d = distance(got, want + 3 * vocab, vocab);
    CHECK_MSG(d < 1e-4, "%.6f", d);
    unsetenv("SIM_FAIL");
    free(want), free(got);
    eng_session_free(s);
    eng_model_free(cpu), eng_model_free(gpu);
}

/* Sessions that rest have their caches there as well: what they hold is computed again. */
static void a_session_at_rest_is_computed_again(void)
{
    if (!simulated()) return;
    EngError err = {0};
    EngModel *cpu = on_cpu("llama.gguf"), *gpu = on_gpu("llama.gguf", placements[0]);
    float *want = logits_on(cpu, ENG_KV_F32);
    size_t vocab = (size_t)eng_model_info(cpu).n_vocab;
    EngSession *rests = open_session(gpu, CONTEXT, ENG_KV_F32);
    const int32_t *tokens = some_tokens(gpu);
    CHECK(eng_session_eval(rests, tokens, PROMPT, NULL, &err));
    fail_from("cuLaunchKernel", 30, 700);
    float *got = logits_on(gpu, ENG_KV_F32);
    compare(gpu, got, want, 0.004, "lost");
    CHECK_INT(eng_session_stats(rests).used, PROMPT);
    CHECK_MSG(eng_session_eval(rests, tokens + PROMPT, 1, got, &err), "%s", err.message);
    double d = distance(got, want + PROMPT * vocab, vocab);
    CHECK_MSG(d < 1e-4, "%.6f", d);
    CHECK_MSG(eng_session_pretend(rests, 5, &err), "%s", err.message);
    unsetenv("SIM_FAIL");
    free(want), free(got);
    eng_session_free(rests);
    eng_model_free(cpu), eng_model_free(gpu);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"logits_are_the_cpus", logits_are_the_cpus},
        {"every_kind_of_cache", every_kind_of_cache},
        {"a_token_is_one_launch", a_token_is_one_launch},
        {"two_sessions_in_one_step", two_sessions_in_one_step},
        {"rewinding_and_pretending", rewinding_and_pretending},
        {"no_more_is_taken_than_planned", no_more_is_taken_than_planned},
        {"two that cannot be used are a reason", two_that_cannot_be_used_are_a_reason},
        {"two_gpus", two_gpus},
        {"cached_experts", cached_experts},
        {"experts_are_cached_without_a_word", experts_are_cached_without_a_word},
        {"a_kernel_of_the_gpu_is_named", a_kernel_of_the_gpu_is_named},
        {"too_little_is_refused", too_little_is_refused},
        {"without_wishes_the_cpu_may_be_quicker", without_wishes_the_cpu_may_be_quicker},
        {"without_wishes_a_gpu_is_used_when_it_gains", without_wishes_a_gpu_is_used_when_it_gains},
        {"a_driver_that_fails_is_a_reason", a_driver_that_fails_is_a_reason},
        {"a_stopped_prompt_is_read_again", a_stopped_prompt_is_read_again},
        {"loading_counts_both_memories", loading_counts_both_memories},
        {"copied_weights_leave_out_the_devices", copied_weights_leave_out_the_devices},
        {"the_conversation_goes_on", the_conversation_goes_on},
        {"a_failure_while_loading_or_pretending", a_failure_while_loading_or_pretending},
        {"a_session_at_rest_is_computed_again", a_session_at_rest_is_computed_again},
    };
    choose_driver();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
