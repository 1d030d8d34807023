/* Prompts whose experts are the CPU's, multiplied by a device that they come to as guests: the
 * logits are the CPU's, whichever experts are copied, in slots of any size, pinned or not. */
#include "exec_model.h"

static const struct {
    const char *file;
    double bound;
} sparse[] = {
    {"mixtral.gguf", 0.004},  {"mixtral_old.gguf", 0.004},  {"v2_group.gguf", 0.004},
    {"v3_fused.gguf", 0.004}, {"qwen3moe_kmix.gguf", 0.05}, {"qwen3moe_q8_0.gguf", 0.05},
    {"v3_q4_k_m.gguf", 0.05}, {"v3_ud_iq1.gguf", 0.05},
};

/* Of one expert's three matrices, in the first layer that has some. */
static uint64_t expert_bytes(void)
{
    for (size_t i = 0; i < model->graph.ops.n; i++) {
        const EngWeight *w[ENG_LINEAR_MAX];
        uint64_t bytes = 0;
        if (model->graph.ops.data[i].kind != ENG_OP_EXPERTS) continue;
        int n = eng_op_weights(&model->graph.ops.data[i], w);
        for (int j = 0; j < n; j++) bytes += (uint64_t)w[j]->rows * w[j]->row_bytes;
        return bytes;
    }
    return 1;
}

/* Slots of one expert, of a few, of all. A driver that pins nothing, or only what it is asked for
 * first. */
static void choose_stream(EngStreaming how)
{
    static const char *const refusals[] = {NULL, NULL, "cuMemHostRegister_v2:1:1", "later"};
    stream.slot = test_range(0, 2) ? 1 + test_random() % (5 * expert_bytes()) : (uint64_t)1 << 30;
    stream.streaming = how;
    stream.pin = test_range(0, 3) > 0;
    const char *refusal = refusals[test_range(0, 3)];
    char text[64];
    snprintf(text, sizeof text, "cuMemHostRegister_v2:%ld:304",
             count("cuMemHostRegister_v2") + test_range(2, 4));
    if (refusal) setenv("SIM_FAIL", *refusal == 'l' ? text : refusal, 1);
}

static void compare_guests(const char *file, Placement placement, EngStreaming how, double bound)
{
    EngError err = {0};
    if (library) choose_stream(how);
    EngBackend *exec = open_exec(placement);
    unsetenv("SIM_FAIL");
    if (!exec) return;
    int n = model->h.n_vocab;
    memset(kv.data, 0, kv.bytes);
    if (test_range(0, 1)) abandon(exec);
    uint64_t copied = 0, bounced = 0;
    run(exec, 0, test_range(9, PROMPT), 0, got);
    CHECK_INT(exec->streaming, how);
    run_all(exec, 0, got);
    CHECK_MSG(exec->check(exec, &err), "%s", err.message);
    for (int d = 0; d < devices_of(placement); d++) {
        const EngDevice *gpu = opened[d];
        copied += gpu->guests_copied, bounced += gpu->bounced_bytes;
        CHECK_INT(gpu->copied_gb_s > 0, gpu->guests_copied > 0);
        CHECK_INT(gpu->guests_gop_s > 0, gpu->guests_copied > 0);
        if (!stream.pin) CHECK_INT(gpu->bounced_bytes, gpu->guests_copied);
        if (stream.pin && !*gpu->pin_reason) CHECK_INT(gpu->bounced_bytes, 0);
        if (stream.pin && *gpu->pin_reason) CHECK(strstr(gpu->pin_reason, "does not pin"));
    }
    CHECK(copied > 0 && bounced <= copied);
    for (int i = 0; i < 1 + DECODE; i++) {
        double d = distance(got + (size_t)i * (size_t)n, want + (size_t)i * (size_t)n, n);
        CHECK_MSG(is_near(i, d, bound),
                  "%s, placement %d, %s, %llu bytes, step %d: %.5f from the CPU's", file,
                  (int)placement, eng_streaming_name(how), (unsigned long long)stream.slot, i, d);
    }
    memset(kv.far, 0, sizeof kv.far);
    exec->free(exec);
}

/* Whichever are copied, each number is made alike: `got` is what `before` was. */
static void is_the_same(const char *file, const float *before)
{
    size_t n = (size_t)(1 + DECODE) * (size_t)model->h.n_vocab, differ = 0;
    for (size_t i = 0; i < n; i++) differ += memcmp(&before[i], &got[i], sizeof *got) != 0;
    CHECK_MSG(differ == 0, "%s: %zu of %zu logits depend on what is copied", file, differ, n);
}

static void guests_are_multiplied_alike(void)
{
    int n = placements() == PLACEMENTS ? 2 : 1;
    for (size_t i = 0; i < TEST_COUNT(sparse); i++) {
        stream.nodes = i % 3;
        if (open_model(sparse[i].file, 0)) {
            choose_tokens(sparse[i].file, sparse[i].bound);
            Placement where = i % (size_t)n ? TWO_BUT_EXPERTS : BUT_EXPERTS;
            compare_guests(sparse[i].file, where, ENG_STREAM_USED, sparse[i].bound);
            size_t all = (size_t)(1 + DECODE) * (size_t)model->h.n_vocab * sizeof *got;
            float *before = malloc(all);
            memcpy(before, got, all);
            compare_guests(sparse[i].file, where, ENG_STREAM_ALL, sparse[i].bound);
            if (where == BUT_EXPERTS) is_the_same(sparse[i].file, before);
            free(before);
            close_model();
        }
        memset(&stream, 0, sizeof stream);
    }
    if (library) CHECK(count("a copy beside a kernel") > 0);
}

/* A layer's experts that are computed at once and those that are deferred are the same: they come
 * together, and what each op makes of them is no other than when they come twice. */
static void deferred_experts_come_once(void)
{
    static const char *const files[] = {"mixtral.gguf", "v3_fused.gguf"};
    int n = placements() == PLACEMENTS ? 2 : 1;
    for (size_t i = 0; i < 2 * TEST_COUNT(files); i++) {
        const char *file = files[i / 2];
        EngStreaming how = test_range(0, 1) ? ENG_STREAM_USED : ENG_STREAM_ALL;
        if (!open_model(file, 1)) continue;
        choose_tokens(file, 0.004);
        compare_guests(file, i % (size_t)n ? TWO_BUT_EXPERTS : BUT_EXPERTS, how, 0.004);
        stream.streaming = ENG_STREAM_ALL;
        stream.slot = test_range(1, 3) * expert_bytes();
        uint64_t bytes = 0;
        for (size_t k = 0; k < model->graph.ops.n; k++) {
            const EngWeight *w[ENG_LINEAR_MAX];
            const EngOp *op = &model->graph.ops.data[k];
            int m = op->kind == ENG_OP_EXPERTS && !op->experts.set ? eng_op_weights(op, w) : 0;
            for (int j = 0; j < m; j++)
                bytes += (uint64_t)w[j]->mats * (uint64_t)w[j]->rows * w[j]->row_bytes;
        }
        EngBackend *exec = open_exec(NEAR_SUMS);
        memset(kv.data, 0, kv.bytes);
        if (exec) run(exec, 0, PROMPT, 0, got);
        if (exec) {
            CHECK_INT(opened[0]->guest_bytes, bytes);
            CHECK_INT(opened[0]->guests_copied, bytes);
            CHECK(distance(got, want, model->h.n_vocab) <= 0.004);
            memset(kv.far, 0, sizeof kv.far);
            exec->free(exec);
        }
        close_model();
        memset(&stream, 0, sizeof stream);
    }
}

/* With all experts sent, a chunk is the host's to enqueue and the device's to compute: between the
 * token table and the logits nobody waits. */
static void a_streamed_chunk_never_waits(void)
{
    int steps[ENG_STEPS];
    if (!open_model("v3_fused.gguf", 0)) return;
    choose_tokens("v3_fused.gguf", 0.004);
    stream.slot = 2 * expert_bytes();
    stream.streaming = ENG_STREAM_ALL;
    stream.pin = true;
    EngBackend *exec = open_exec(BUT_EXPERTS);
    if (exec) {
        eng_exec_count(exec, true, steps);
        CHECK_INT(steps[ENG_STEP_CPU], 2);
        CHECK_INT(steps[ENG_STEP_ACCEPT], 1);
        long events = count("cuEventSynchronize"), streams = count("cuStreamSynchronize");
        run(exec, 0, PROMPT, 0, got);
        if (library) CHECK_INT(count("cuEventSynchronize"), events);
        if (library) CHECK_INT(count("cuStreamSynchronize"), streams + 1);
        CHECK(distance(got, want, model->h.n_vocab) <= 0.004);
        memset(kv.far, 0, sizeof kv.far);
        exec->free(exec);
    }
    close_model();
    memset(&stream, 0, sizeof stream);
}

/* What the driver measured moves where a chunk goes: this GPU, a thread that plays one, multiplies
 * far slower than the plan thinks. The CPU's own speed is then measured, too, and kept. */
static void a_gpu_slower_than_planned_is_sent_less(void)
{
    enum { CHUNKS = 12 };
    if (!library) {
        test_skip("a card may be as fast as it is planned to be");
        return;
    }
    if (!open_model("v3_fused.gguf", 0)) return;
    choose_tokens("v3_fused.gguf", 0.004);
    stream.slot = (uint64_t)1 << 30;
    stream.pin = true;
    EngBackend *exec = open_exec(BUT_EXPERTS);
    int sent = 0;
    if (exec) {
        EngRegimes *r = eng_exec_regimes(exec);
        r->speeds =
            (EngPlanSpeeds){.dram_gb_s = 100, .cpu_gop_s = 1, .pcie_gb_s = 10, .gpu_gop_s = 4};
        r->only = ENG_STREAM_AUTO;
        for (int i = 0; i < CHUNKS; i++) {
            memset(kv.data, 0, kv.bytes);
            run(exec, 0, PROMPT, 0, got);
            sent += exec->streaming != ENG_STREAM_CPU;
            CHECK_MSG(distance(got, want, model->h.n_vocab) <= 0.004, "chunk %d, %s", i,
                      eng_streaming_name(exec->streaming));
        }
        CHECK_MSG(r->gpu < 1 && r->gpu >= 1.0 / ENG_REGIME_MOST, "%g", r->gpu);
        CHECK_MSG(sent > 0 && sent < CHUNKS, "%d of %d chunks were sent", sent, CHUNKS);
        memset(kv.far, 0, sizeof kv.far);
        exec->free(exec);
    }
    close_model();
    memset(&stream, 0, sizeof stream);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"guests_are_multiplied_alike", guests_are_multiplied_alike},
        {"deferred_experts_come_once", deferred_experts_come_once},
        {"a_streamed_chunk_never_waits", a_streamed_chunk_never_waits},
        {"a_gpu_slower_than_planned_is_sent_less", a_gpu_slower_than_planned_is_sent_less},
    };
    library = getenv("HEARTH_GPU") ? NULL : CUDA_SIM;
    setenv("SIM_DEVICES", "2", 1);
    if (library) dlopen(library, RTLD_NOW); /* stays, for its counters */
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
