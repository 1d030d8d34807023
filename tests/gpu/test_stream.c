/* Prompts whose experts lie in DRAM and are sent to a GPU, through engine.h alone: on the simulated
 * driver or, with HEARTH_GPU, on the machine's. */
#include "gpu_model.h"

static void prompts_send_experts(void)
{
    static const struct {
        const char *file;
        double bound;
    } sparse[] = {{"mixtral_old.gguf", 0.006}, {"v3_fused.gguf", 0.006}};
    for (size_t i = 0; i < TEST_COUNT(sparse); i++) {
        EngModel *cpu = on_cpu(sparse[i].file);
        float *want = logits_on(cpu, ENG_KV_F32);
        for (int how = ENG_STREAM_CPU; how <= ENG_STREAM_ALL; how++) {
            if (simulated()) sim("hearth_sim_peak", NULL);
            EngModel *m = streaming(sparse[i].file, (EngStreaming)how);
            if (!m) continue;
            EngModelInfo info = eng_model_info(m);
            CHECK_INT(eng_model_plan(m)->streams, how != ENG_STREAM_CPU);
            CHECK_INT(info.guest_bytes > 0, how != ENG_STREAM_CPU);
            if (simulated()) CHECK_INT(info.pinned_bytes >= info.guest_bytes, true);
            float *got = logits_on(m, ENG_KV_F32);
            compare(m, got, want, sparse[i].bound, eng_streaming_name((EngStreaming)how));
            if (simulated()) {
                uint64_t peak = (uint64_t)sim("hearth_sim_peak", NULL);
                CHECK_MSG(peak <= planned(m, -1), "%llu bytes of %llu planned",
                          (unsigned long long)peak, (unsigned long long)planned(m, -1));
            }
            free(got);
            eng_model_free(m);
        }
        free(want);
        eng_model_free(cpu);
    }
}

/* A device that fails in the middle costs time alone, and so does memory that is not pinned. */
static void a_streamed_prompt_can_be_lost(void)
{
    if (!simulated()) return;
    EngModel *cpu = on_cpu("mixtral.gguf");
    float *want = logits_on(cpu, ENG_KV_F32);
    setenv("SIM_FAIL", "cuMemHostRegister_v2:1:304", 1);
    EngModel *m = streaming("mixtral.gguf", ENG_STREAM_ALL);
    unsetenv("SIM_FAIL");
    EngModelInfo info = eng_model_info(m);
    CHECK_INT(info.pinned_bytes, 0);
    CHECK_MSG(strstr(info.pin_reason, "does not pin"), "%s", info.pin_reason);
    long copies = calls("cuMemcpyHtoDAsync_v2");
    float *got = logits_on(m, ENG_KV_F32);
    compare(m, got, want, 0.006, "not pinned");
    copies = calls("cuMemcpyHtoDAsync_v2") - copies;
    for (int i = 0; i < 4; i++) {
        free(got);
        fail_from("cuMemcpyHtoDAsync_v2", test_range(1, (int)copies), 700);
        got = logits_on(m, ENG_KV_F32);
        unsetenv("SIM_FAIL");
        compare(m, got, want, 0.006, "lost");
        CHECK_STR(eng_model_info(m).gpu, "");
        eng_model_free(m);
        m = streaming("mixtral.gguf", i % 2 ? ENG_STREAM_USED : ENG_STREAM_ALL);
    }
    free(want), free(got);
    eng_model_free(m), eng_model_free(cpu);
}

/* A kernel that a rule names for some experts multiplies them, be the prompt long or short: they
 * stay, and others go. Where no other is left, nothing is kept ready for them. */
static void named_kernels_are_used_for_prompts(void)
{
    static const char rules[] = "%s device=cpu kernel=f32.c\n"
                                "ffn_(gate|up|down)_exps device=cpu\n. device=gpu0";
    EngModel *plain = on_cpu("mixtral.gguf");
    float *want = logits_on(plain, ENG_KV_F32), *kept = NULL;
    const struct {
        const char *part;
        EngStreaming how;
    } cases[] = {{"blk.*_exps", ENG_STREAM_CPU},
                 {"blk.*_exps", ENG_STREAM_ALL},
                 {"blk.0.ffn_down_exps", ENG_STREAM_ALL},
                 {"blk.0.ffn_up_exps", ENG_STREAM_USED}};
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        char text[160];
        snprintf(text, sizeof text, rules, cases[i].part);
        EngModel *m = open_model("mixtral.gguf",
                                 (EngModelSettings){.rules = text, .streaming = cases[i].how});
        if (!m) continue;
        bool some = i > 1;
        const EngPlan *plan = eng_model_plan(m);
        int sent = 0, layers = 0;
        for (size_t op = 0; op < plan->n_ops; op++) sent += plan->sends[op];
        layers = (int)eng_model_info(m).n_layers;
        CHECK_INT(sent, some ? layers - 1 : 0);
        CHECK_INT(plan->streams, some);
        CHECK_INT(eng_model_info(m).guest_bytes > 0, some);
        EngSession *s = open_session(m, CONTEXT, ENG_KV_F32);
        float *got = logits_of(m, s);
        compare(m, got, want, 0.006, cases[i].part);
        EngStats stats = eng_session_stats(s);
        CHECK(stats.streamed[some ? cases[i].how : ENG_STREAM_CPU] > 0);
        size_t n = TOKENS * (size_t)eng_model_info(m).n_vocab * sizeof *got;
        if (i == 1) CHECK_MSG(memcmp(kept, got, n) == 0, "other products than the named kernel's");
        free(kept);
        kept = got;
        eng_session_free(s);
        eng_model_free(m);
    }
    free(want), free(kept);
    eng_model_free(plain);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"prompts_send_experts", prompts_send_experts},
        {"a_streamed_prompt_can_be_lost", a_streamed_prompt_can_be_lost},
        {"named_kernels_are_used_for_prompts", named_kernels_are_used_for_prompts},
    };
    choose_driver();
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
