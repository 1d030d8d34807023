/* What whole steps reach on a card beside what it and the machine's DRAM permit: rows for the table
 * of bench.c, on stdout. Models of random weights, in DeepSeek-R1's and Qwen3-30B-A3B's shapes:
 *
 *   the GPU's side of a token of R1, with the host answering for the experts at once: bytes of its
 *   matrices beside the copy's rate
 *   a token of R1 on a card that behaves as one of 24 GiB, experts in DRAM: beside the slower of
 *   DRAM and VRAM
 *   a chunk of 8192 tokens whose experts are sent from DRAM, eight of R1's layers of them: beside
 * the rate from pinned memory to the card Qwen3 wholly in VRAM: a token beside VRAM, and a prompt
 *
 * Usage: gpu-bench-step [--quick]    --quick: tiny shapes, to see that it runs; numbers mean
 * nothing HEARTH_GPU=1: the machine's own card. */
#include "base/num.h"
#include "base/sys.h"
#include "cuda/gpu.h"
#include "cuda/launch/elem.h"
#include "model.h"
#include "plan/exec.h"
#include "test.h"

#include "../../unit/model/tensors.h"

#define GIB ((uint64_t)1 << 30)

static bool quick;
static double copy_s, read_s, send_s; /* bytes per second: VRAM, DRAM, from that to the card */

/* ---- models ---------------------------------------------------------------------------------- */

typedef struct {
    const char *family;
    int layers, dense, embd, ff, ff_expert, experts, used, shared, heads, vocab;
    int q_lora, rank, rope, nope, value; /* latent attention; rank 0 = grouped */
    int kv_heads, head;
} Shape;

static Shape deepseek_r1(void)
{
    Shape s = {.family = "deepseek2",
               .layers = 61,
               .dense = 3,
               .embd = 7168,
               .ff = 18432,
               .ff_expert = 2048,
               .experts = 256,
               .used = 8,
               .shared = 1,
               .heads = 128,
               .vocab = 129280,
               .q_lora = 1536,
               .rank = 512,
               .rope = 64,
               .nope = 128,
               .value = 128};
    if (!quick) return s;
    s.layers = 3, s.dense = 1, s.embd = 512, s.ff = 512, s.ff_expert = 256, s.experts = 8;
    s.used = 4, s.heads = 8, s.vocab = 300, s.q_lora = 256, s.rank = 256;
    return s;
}

static Shape qwen3_30b_a3b(void)
{
    Shape s = {.family = "qwen3moe",
               .layers = 48,
               .embd = 2048,
               .ff_expert = 768,
               .experts = 128,
               .used = 8,
               .heads = 32,
               .vocab = 151936,
               .kv_heads = 4,
               .head = 128};
    if (!quick) return s;
    s.layers = 2, s.embd = 512, s.ff_expert = 256, s.experts = 8, s.used = 4, s.heads = 4;
    s.vocab = 300, s.kv_heads = 2, s.head = 64;
    return s;
}

static void add_attention(const Shape *s, int i)
{
    if (s->rank == 0) {
        add("Q4_K", i, "attn_q.weight", s->embd, s->heads * s->head, 0);
        add("Q4_K", i, "attn_k.weight", s->embd, s->kv_heads * s->head, 0);
        add("Q6_K", i, "attn_v.weight", s->embd, s->kv_heads * s->head, 0);
        add("F32", i, "attn_q_norm.weight", s->head, 0, 0);
        add("F32", i, "attn_k_norm.weight", s->head, 0, 0);
        add("Q4_K", i, "attn_output.weight", s->heads * s->head, s->embd, 0);
        return;
    }
    add("Q4_K", i, "attn_q_a.weight", s->embd, s->q_lora, 0);
    add("F32", i, "attn_q_a_norm.weight", s->q_lora, 0, 0);
    add("Q4_K", i, "attn_q_b.weight", s->q_lora, s->heads * (s->nope + s->rope), 0);
    add("Q4_K", i, "attn_kv_a_mqa.weight", s->embd, s->rank + s->rope, 0);
    add("F32", i, "attn_kv_a_norm.weight", s->rank, 0, 0);
    add("Q8_0", i, "attn_k_b.weight", s->nope, s->rank, s->heads);
    add("Q4_K", i, "attn_v_b.weight", s->rank, s->value, s->heads);
    add("Q4_K", i, "attn_output.weight", s->heads * s->value, s->embd, 0);
}

/* Q4_K_M: half of the last matrices have more bits. */
static void add_feed_forward(const Shape *s, int i)
{
    const char *down = i % 2 ? "Q4_K" : "Q6_K";
    add("F32", i, "ffn_norm.weight", s->embd, 0, 0);
    if (i < s->dense) {
        add("Q4_K", i, "ffn_gate.weight", s->embd, s->ff, 0);
        add("Q4_K", i, "ffn_up.weight", s->embd, s->ff, 0);
        add(down, i, "ffn_down.weight", s->ff, s->embd, 0);
        return;
    }
    add("F32", i, "ffn_gate_inp.weight", s->embd, s->experts, 0);
    if (s->shared) add("F32", i, "exp_probs_b.bias", s->experts, 0, 0);
    add("Q4_K", i, "ffn_gate_exps.weight", s->embd, s->ff_expert, s->experts);
    add("Q4_K", i, "ffn_up_exps.weight", s->embd, s->ff_expert, s->experts);
    add(down, i, "ffn_down_exps.weight", s->ff_expert, s->embd, s->experts);
    if (s->shared == 0) return;
    add("Q4_K", i, "ffn_gate_shexp.weight", s->embd, s->ff_expert, 0);
    add("Q4_K", i, "ffn_up_shexp.weight", s->embd, s->ff_expert, 0);
    add(down, i, "ffn_down_shexp.weight", s->ff_expert, s->embd, 0);
}

/* free() its data. */
static EngHeader header_of(const Shape *s)
{
    bool latent = s->rank > 0;
    const struct {
        const char *key;
        int number; /* 0 = left out */
    } numbers[] = {{"block_count", s->layers},
                   {"embedding_length", s->embd},
                   {"feed_forward_length", s->ff},
                   {"context_length", 32768},
                   {"leading_dense_block_count", s->dense},
                   {"attention.head_count", s->heads},
                   {"attention.head_count_kv", latent ? 1 : s->kv_heads},
                   {"attention.key_length", latent ? s->rank + s->rope : s->head},
                   {"attention.value_length", latent ? s->rank : s->head},
                   {"attention.key_length_mla", latent ? s->nope + s->rope : 0},
                   {"attention.value_length_mla", s->value},
                   {"attention.kv_lora_rank", s->rank},
                   {"attention.q_lora_rank", s->q_lora},
                   {"rope.dimension_count", s->rope},
                   {"expert_count", s->experts},
                   {"expert_used_count", s->used},
                   {"expert_shared_count", s->shared},
                   {"expert_group_count", latent && !quick ? 8 : 0},
                   {"expert_group_used_count", latent && !quick ? 4 : 0},
                   {"expert_gating_func", latent ? 2 : 0},
                   {"expert_feed_forward_length", s->ff_expert}};
    char keys[TEST_COUNT(numbers)][64];
    EngMetaValue values[TEST_COUNT(numbers) + 1] = {
        {.key = "general.architecture", .text = s->family}};
    size_t n = 1;
    for (size_t i = 0; i < TEST_COUNT(numbers); i++) {
        if (numbers[i].number == 0) continue;
        snprintf(keys[i], sizeof keys[i], "%s.%s", s->family, numbers[i].key);
        values[n++] = (EngMetaValue){.key = keys[i], .number = numbers[i].number, .whole = true};
    }
    n_tensors = 0;
    add("Q4_K", -1, "token_embd.weight", s->embd, s->vocab, 0);
    add("F32", -1, "output_norm.weight", s->embd, 0, 0);
    add("Q6_K", -1, "output.weight", s->embd, s->vocab, 0);
    for (int i = 0; i < s->layers; i++) {
        add("F32", i, "attn_norm.weight", s->embd, 0, 0);
        add_attention(s, i);
        add_feed_forward(s, i);
    }
    EngHeader header = {0};
    EngError err = {0};
    CHECK_MSG(eng_header_write(values, n, tensors, n_tensors, &header, &err), "%s", err.message);
    return header;
}

static EngModel *rehearse(Shape shape, EngModelSettings settings)
{
    EngError err = {0};
    EngHeader header = header_of(&shape);
    uint64_t done = 0, total = 1;
    settings.batch = quick ? 16 : settings.batch;
    EngModel *m = eng_model_rehearse(&header, 1, quick ? GIB / 16 : 24 * GIB, &settings, &err);
    CHECK_MSG(m, "%s: %s", shape.family, err.message);
    free((void *)header.data);
    while (m && done < total)
        if (!eng_model_load(m, &done, &total, &err)) {
            CHECK_MSG(false, "%s: %s", shape.family, err.message);
            eng_model_free(m);
            return NULL;
        }
    return m;
}

/* ---- limits ---------------------------------------------------------------------------------- */

static EngCuda *open_card(void)
{
    char reason[160] = "";
    EngCudaSettings settings = {0};
    EngCuda *cuda = eng_cuda_open(&settings, reason);
    CHECK_MSG(cuda, "%s", reason);
    return cuda;
}

static void limits(void)
{
    EngError err = {0};
    EngCuda *cuda = open_card();
    size_t bytes = quick ? 1 << 20 : 1 << 30;
    uint8_t *memory = cuda ? eng_cuda_alloc(cuda, 2 * bytes, "a test", &err) : NULL;
    CHECK_MSG(memory, "%s", err.message);
    EngCuBench copy = {.src = memory, .dst = memory + bytes, .bytes = bytes};
    for (int i = 0; memory && i < (quick ? 1 : 9); i++) {
        double start = eng_sys_now();
        for (int j = 0; j < 4; j++) eng_cuda_bench_copy(cuda, &copy);
        CHECK_MSG(eng_cuda_sync(cuda, &err), "%s", err.message);
        copy_s = ENG_MAX(copy_s, 8.0 * (double)bytes / (eng_sys_now() - start));
    }
    void *pinned = memory ? eng_cuda_alloc_host(cuda, bytes / 4, "a test", &err) : NULL;
    CHECK_MSG(pinned, "%s", err.message);
    for (int i = 0; pinned && i < (quick ? 1 : 9); i++) {
        double start = eng_sys_now();
        for (int j = 0; j < 4; j++)
            eng_cuda_enqueue_write(cuda, ENG_CU_COMPUTE, memory, pinned, bytes / 4);
        CHECK_MSG(eng_cuda_sync(cuda, &err), "%s", err.message);
        send_s = ENG_MAX(send_s, (double)bytes / (eng_sys_now() - start));
    }
    eng_cuda_close(cuda);
    EngGauge *gauge = quick ? NULL : eng_gauge_new(0, &err);
    read_s = gauge ? eng_gauge_limits(gauge).read_gb_s * 1e9 : 1e9;
    eng_gauge_free(gauge);
    printf("| copy in memory, by the host's clock | | | %.1f GB/s | limit |\n", copy_s / 1e9);
    printf("| DRAM, all threads read | | | %.1f GB/s | limit |\n", read_s / 1e9);
    printf("| pinned memory to the card, by the host's clock | | | %.1f GB/s | limit |\n",
           send_s / 1e9);
}

static void row(const char *what, const char *shape, double s, double least)
{
    printf("| %s | %s | %.0f | %.2f tok/s | %.0f %% |\n", what, shape, s * 1e6, 1 / s,
           100 * least / s);
    fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* ---- the GPU's side -------------------------------------------------------------------------- */

/* The CPU's ops but for the experts, whose sums stay zero. */
typedef struct {
    EngBackend base;
    EngBackend *cpu;
    const EngGraph *graph;
} NoExperts;

static void run_without(EngBackend *backend, int first, int n, const EngBatch *batch)
{
    NoExperts *b = (NoExperts *)backend;
    if (b->graph->ops.data[first].kind != ENG_OP_EXPERTS) b->cpu->run(b->cpu, first, n, batch);
}

static float *buffer_of(EngBackend *backend, int buf)
{
    NoExperts *b = (NoExperts *)backend;
    return b->cpu->buffer(b->cpu, buf);
}

static const float *logits_of(const EngBackend *backend)
{
    const NoExperts *b = (const NoExperts *)backend;
    return b->cpu->logits(b->cpu);
}

static double median_step(EngBackend *exec, int ops, EngKv *kv)
{
    enum { TIMES = 33, POSITION = 500 };
    double times[TIMES];
    EngError err = {0};
    int n = quick ? 2 : TIMES;
    for (int i = -2; i < n; i++) {
        int32_t token = 1, position = quick ? 5 + i : POSITION + i, out = 0;
        EngBatch batch = {1, &token, &position, &kv, 1, &out};
        double start = eng_sys_now();
        exec->run(exec, 0, ops, &batch);
        if (i >= 0) times[i] = eng_sys_now() - start;
        CHECK_MSG(exec->check(exec, &err), "%s", err.message);
    }
    qsort(times, (size_t)n, sizeof *times, by_value);
    return times[n / 2];
}

static void gpu_side(void)
{
    EngError err = {0};
    EngKv kv;
    EngModel *m = rehearse(deepseek_r1(), (EngModelSettings){.no_gpu = true, .batch = 16});
    EngCuda *cuda = m ? open_card() : NULL;
    if (!cuda) return;
    size_t ops = m->graph.ops.n;
    bool *here = calloc(ops, sizeof *here);
    int *device_of = calloc(ops, sizeof *device_of);
    for (size_t i = 0; i < ops; i++) {
        here[i] = m->graph.ops.data[i].kind != ENG_OP_EXPERTS;
        device_of[i] = here[i] ? 0 : ENG_NONE;
    }
    NoExperts rest = {*m->backend, m->backend, &m->graph};
    rest.base.run = run_without, rest.base.buffer = buffer_of, rest.base.logits = logits_of;
    EngDevice *gpu = eng_gpu_new(&m->graph, here, m->backend->max_tokens, m->backend->max_out,
                                 GIB / 4, (EngGpuCache){0}, (EngGpuGuests){0}, cuda, &err);
    CHECK_MSG(gpu, "%s", err.message);
    CHECK(eng_kv_init(&kv, &m->graph, ENG_KV_F16, quick ? 64 : 1024, NULL, &err));
    const uint8_t *from;
    for (uint64_t n; gpu && (n = gpu->next(gpu, 64 << 20, &from)) > 0;)
        if (!gpu->load(gpu, n, &err)) break;
    bool ready = gpu && gpu->loaded == gpu->weight_bytes && gpu->kv_new(gpu, &kv, &err);
    CHECK_MSG(ready, "%s", err.message);
    double bytes = gpu ? (double)gpu->weight_bytes : 0;
    EngBackend *exec =
        ready ? eng_exec_new(&m->graph, device_of, &rest.base, &gpu, 1, NULL, &err) : NULL;
    CHECK_MSG(exec, "%s", err.message);
    if (exec) {
        row("GPU's side of a token, experts excluded", "DeepSeek-R1 Q4_K_M",
            median_step(exec, (int)ops, &kv), bytes / copy_s);
        exec->free(exec);
    }
    memset(kv.far, 0, sizeof kv.far);
    eng_kv_clear(&kv);
    free(here), free(device_of);
    eng_model_free(m);
}

/* ---- whole models ---------------------------------------------------------------------------- */

static void whole(Shape shape, const char *name, EngModelSettings settings, int prompt)
{
    enum { TIMES = 17 };
    EngError err = {0};
    double times[TIMES];
    EngModel *m = rehearse(shape, settings);
    EngSessionSettings set = {quick ? 64 : 1024, ENG_KV_F16};
    EngSession *s = m ? eng_session_new(m, &set, &err) : NULL;
    CHECK_MSG(s && *eng_model_info(m).gpu, "%s: %s%s", name, err.message,
              m ? eng_model_info(m).gpu_reason : "");
    const EngPlan *plan = m ? eng_model_plan(m) : NULL;
    int n = quick ? 2 : TIMES, pre = quick ? 20 : prompt;
    int32_t *tokens = calloc((size_t)pre, sizeof *tokens);
    for (int i = -2; s && plan && i < n; i++) {
        double start = eng_sys_now();
        CHECK_MSG(eng_session_eval(s, tokens, 1, NULL, &err), "%s", err.message);
        if (i >= 0) times[i] = eng_sys_now() - start;
    }
    if (s && plan) {
        qsort(times, (size_t)n, sizeof *times, by_value);
        row("a token", name, times[n / 2],
            ENG_MAX(plan->token_vram_bytes / copy_s, plan->token_dram_bytes / read_s));
        eng_session_rewind(s, 0);
        double start = eng_sys_now();
        CHECK_MSG(eng_session_eval(s, tokens, (size_t)pre, NULL, &err), "%s", err.message);
        double taken = eng_sys_now() - start;
        printf("| a prompt of %d tokens | %s | %.0f | %.1f tok/s | |\n", pre, name, taken * 1e6,
               pre / taken);
    }
    free(tokens);
    eng_session_free(s);
    eng_model_free(m);
}

/* The first walk warms up. */
static void streamed(EngModelSettings settings)
{
    enum { TOKENS = 8192, TIMES = 3 };
    EngError err = {0};
    Shape shape = deepseek_r1();
    int n = quick ? 12 : TOKENS;
    if (!quick) shape.layers = shape.dense + 8;
    settings.rules = "_exps device=cpu\n. device=gpu0";
    settings.streaming = ENG_STREAM_ALL;
    settings.batch = settings.context = n;
    EngModel *m = rehearse(shape, settings);
    EngSessionSettings set = {n, ENG_KV_F16};
    EngSession *s = m ? eng_session_new(m, &set, &err) : NULL;
    EngModelInfo info = m ? eng_model_info(m) : (EngModelInfo){0};
    CHECK_MSG(s && info.guest_bytes > 0, "%s %s", err.message, info.gpu_reason);
    CHECK_MSG(!*info.pin_reason, "%s", info.pin_reason);
    int32_t *tokens = calloc((size_t)n, sizeof *tokens);
    for (int i = 0; i < n; i++) tokens[i] = test_range(0, shape.vocab - 1);
    double best = 0;
    for (int i = 0; s && i < (quick ? 1 : TIMES + 1); i++) {
        double start = eng_sys_now();
        eng_session_rewind(s, 0);
        CHECK_MSG(eng_session_eval(s, tokens, (size_t)n, NULL, &err), "%s", err.message);
        double taken = eng_sys_now() - start;
        if (i == (quick ? 0 : 1) || taken < best) best = taken;
    }
    if (s)
        CHECK_MSG(eng_session_stats(s).streamed[ENG_STREAM_ALL] >= n, "it was not sent: %s",
                  eng_model_info(m).gpu_reason);
    double rate = (double)info.guest_bytes / best;
    printf("| a chunk of %d tokens, experts sent | DeepSeek-R1 Q4_K_M, %d layers of them | %.0f | "
           "%.1f GB/s | %.0f %% |\n",
           n, shape.layers - shape.dense, best * 1e6, rate / 1e9, 100 * rate / send_s);
    free(tokens);
    eng_session_free(s);
    eng_model_free(m);
}

int main(int argc, char **argv)
{
    quick = argc > 1 && strcmp(argv[1], "--quick") == 0;
    if (!getenv("HEARTH_GPU")) setenv("HEARTH_CUDA_LIBRARY", CUDA_SIM, 1);
    EngModelSettings near = eng_model_defaults(), all = near;
    near.vram = quick ? GIB : 24 * GIB;
    near.rules = quick ? "_exps device=cpu\n. device=gpu0" : NULL;
    all.rules = ". device=gpu0";
    limits();
    gpu_side();
    whole(deepseek_r1(), "DeepSeek-R1 Q4_K_M, 24 GiB of VRAM", near, 256);
    streamed(near);
    whole(qwen3_30b_a3b(), "Qwen3-30B-A3B Q4_K_M, all in VRAM", all, 512);
    return test_failures_ > 0;
}
