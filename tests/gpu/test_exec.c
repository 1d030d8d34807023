/* Whole models with a device beside the CPU: every family's tiny model, at several placements,
 * gives the CPU's logits, in prefill and in decode, and decode is one graph launch per token. */
#include <dlfcn.h>
#include <math.h>

#include "cuda/gpu.h"
#include "lru.h"
#include "model.h"
#include "model/slot.h"
#include "plan/exec.h"
#include "test.h"

enum { PROMPT = 11, DECODE = 3, TOKENS = PROMPT + DECODE, CONTEXT = 40 };

/* Relative to the logits' root mean square. Floats: products of prompts are halves, 2^-11 each.
 * Quantized: activations have a scale per 32 numbers here and per 256 there. */
static const struct {
    const char *file;
    double bound;
    bool caches; /* for tests that take long */
    bool defers; /* has several layers of experts; two such do */
} models[] = {
    {"qwen3.gguf", 0.004},        {"mixtral.gguf", 0.004, true, true},
    {"v2_group.gguf", 0.004},     {"v3_fused.gguf", 0.004, true, true},
    {"qwen3moe_kmix.gguf", 0.05}, {"qwen3moe_q8_0.gguf", 0.05, true},
    {"v3_q4_k_m.gguf", 0.05},     {"v3_ud_iq1.gguf", 0.05},
};

static const char *library;
static EngModel *model;
static int cut_at;            /* of the last placement */
static uint64_t cached_bytes; /* of devices to come, for their caches */
static EngCachePolicy policy;
static bool cache_waits;
static EngKv kv;
static int32_t tokens[TOKENS];
static float *want, *got; /* [1 + DECODE][n_vocab] */

/* How experts of the CPU's come to a device: bytes of a slot, 0: they do not. */
static struct {
    uint64_t slot;
    EngStreaming streaming;
    bool pin;
    int nodes; /* that rows are dealt out to */
} stream;

static bool open_model(const char *file, int defer)
{
    char path[4096];
    EngError err = {0};
    EngModelSettings settings = eng_model_defaults();
    settings.threads = 2;
    settings.batch = 32;
    settings.no_gpu = true;
    settings.defer = defer;
    settings.nodes = stream.nodes;
    settings.copy = stream.nodes > 1;
    snprintf(path, sizeof path, "%s/%s", VECTORS, file);
    model = eng_model_open(path, &settings, &err);
    CHECK_MSG(model, "%s: %s", file, err.message);
    if (!model) return false;
    uint64_t done = 0, total = 1;
    while (stream.nodes && done < total) CHECK(eng_model_load(model, &done, &total, &err));
    CHECK(eng_kv_init(&kv, &model->graph, ENG_KV_F32, CONTEXT, NULL, &err));
    size_t n = (size_t)(1 + DECODE) * (size_t)model->h.n_vocab * sizeof(float);
    want = malloc(n), got = malloc(n);
    return true;
}

static void close_model(void)
{
    free(want), free(got);
    eng_kv_clear(&kv);
    eng_model_free(model);
}

/* `noise`: what the embedding's numbers are off by, relative. */
static void run(EngBackend *backend, int first, int n, double noise, float *ret)
{
    EngKv *kvs[TOKENS];
    int32_t positions[TOKENS], out = n - 1;
    for (int i = 0; i < n; i++) kvs[i] = &kv, positions[i] = first + i;
    EngBatch batch = {n, tokens + first, positions, kvs, 1, &out};
    int ops = (int)model->graph.ops.n, done = 0;
    if (noise > 0) {
        int buf = model->graph.ops.data[0].dst.buf;
        backend->run(backend, 0, done = 1, &batch);
        float *x = backend->buffer(backend, buf);
        for (int i = 0; i < n * model->graph.widths.data[buf]; i++)
            x[i] *= 1 + (float)noise * test_float();
    }
    backend->run(backend, done, ops - done, &batch);
    memcpy(ret, backend->logits(backend), (size_t)model->h.n_vocab * sizeof *ret);
}

static void run_all(EngBackend *backend, double noise, float *ret)
{
    run(backend, 0, PROMPT, noise, ret);
    for (int i = 0; i < DECODE; i++)
        run(backend, PROMPT + i, 1, noise, ret + (size_t)(1 + i) * (size_t)model->h.n_vocab);
}

/* ---- placements ------------------------------------------------------------------------------ */

/* TWO: of two devices the first has the first half; TWO_BUT_EXPERTS: and the CPU the experts;
 * MIXED: any op is anybody's. */
typedef enum {
    ALL,
    BUT_EXPERTS,
    ONLY_EXPERTS,
    FIRST_HALF,
    SECOND_HALF,
    NEAR_SUMS, /* as plans do: what is deferred stays with the CPU */
    TWO,
    TWO_BUT_EXPERTS,
    MIXED,
    PLACEMENTS
} Placement;

/* The residual stream is complete behind it: layers' attention and feed-forward parts may part. */
static bool is_joint(const EngOp *op)
{
    return op->kind == ENG_OP_EXPERTS || (op->kind == ENG_OP_LINEAR && op->linear.add);
}

static int middle(void)
{
    int n = (int)model->graph.ops.n, at = test_range(n / 4, 3 * n / 4);
    while (at < n && !is_joint(&model->graph.ops.data[at - 1])) at++;
    return at;
}

/* A layer's keys are kept where they are read. */
static void join_attention(int *device_of)
{
    int n = (int)model->graph.ops.n, attention = ENG_NONE;
    for (int i = n; i-- > 0;) {
        EngOpKind kind = model->graph.ops.data[i].kind;
        if (kind == ENG_OP_ATTN) attention = device_of[i];
        if (kind == ENG_OP_KV) device_of[i] = attention;
    }
}

static int *place(Placement placement)
{
    int *device_of = calloc(model->graph.ops.n, sizeof *device_of);
    int cut = cut_at = middle();
    for (int i = 0; i < (int)model->graph.ops.n; i++) {
        bool experts = model->graph.ops.data[i].kind == ENG_OP_EXPERTS, here = true;
        switch (placement) {
        case BUT_EXPERTS: here = !experts; break;
        case ONLY_EXPERTS: here = experts; break;
        case FIRST_HALF: here = i < cut; break;
        case SECOND_HALF: here = i >= cut; break;
        default: here = placement != TWO_BUT_EXPERTS || !experts;
        }
        if (placement == NEAR_SUMS) here = !experts && model->graph.ops.data[i].kind != ENG_OP_ADD;
        device_of[i] = !here ? ENG_NONE : placement >= TWO && i >= cut;
        if (placement == MIXED) device_of[i] = test_range(ENG_NONE, 1);
    }
    join_attention(device_of);
    return device_of;
}

static double distance(const float *a, const float *b, int n)
{
    double difference = 0, size = 0;
    for (int i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(difference / size);
}

static long count(const char *name)
{
    static long (*sim_count)(const char *);
    if (!sim_count) {
        void *dl = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
        void *f = dl ? dlsym(dl, "hearth_sim_count") : NULL;
        memcpy(&sim_count, &f, sizeof f);
    }
    return sim_count ? sim_count(name) : -1;
}

static EngDevice *open_device(const int *device_of, int number)
{
    char reason[160] = "";
    EngError err = {0};
    EngCudaSettings settings = {.cuda_library = library, .ordinal = number};
    EngCuda *cuda = eng_cuda_open(&settings, reason);
    CHECK_MSG(cuda, "%s", reason);
    if (!cuda) return NULL;
    bool *here = calloc(model->graph.ops.n, sizeof *here);
    for (size_t i = 0; i < model->graph.ops.n; i++) here[i] = device_of[i] == number;
    EngDevice *gpu =
        eng_gpu_new(&model->graph, here, model->backend->max_tokens, model->backend->max_out,
                    1 << 20, (EngGpuCache){cached_bytes, NULL}, stream.slot, cuda, &err);
    free(here);
    CHECK_MSG(gpu, "%s", err.message);
    if (!gpu) return NULL;
    gpu->number = number;
    gpu->cache_policy = policy;
    gpu->cache_waits = cache_waits;
    CHECK_MSG(gpu->kv_new(gpu, &kv, &err), "%s", err.message);
    const uint8_t *from;
    for (uint64_t n; (n = gpu->next(gpu, 100000, &from)) > 0;)
        CHECK_MSG(gpu->load(gpu, n, &err), "%s", err.message);
    CHECK_INT(gpu->loaded, gpu->weight_bytes);
    return gpu;
}

static int devices_of(Placement placement) { return placement >= TWO ? 2 : 1; }

/* Of as many devices as the placement names. */
static EngDevice *opened[2]; /* by the last call */

static EngBackend *open_exec(Placement placement)
{
    EngStreams streams = {.streaming = stream.streaming};
    EngError err = {0};
    EngDevice *devices[2] = {NULL};
    int n = devices_of(placement), *device_of = place(placement);
    for (int d = 0; d < n; d++) devices[d] = open_device(device_of, d);
    for (int d = 0; d < n && stream.pin; d++) {
        devices[d]->enter(devices[d]);
        while (devices[d]->pin(devices[d]) > 0) continue;
    }
    EngBackend *exec =
        eng_exec_new(&model->graph, device_of, model->backend, devices, n, &streams, &err);
    CHECK_MSG(exec, "%s: %d of %d ops", err.message, cut_at, (int)model->graph.ops.n);
    free(device_of);
    memcpy(opened, devices, sizeof opened);
    return exec;
}

/* A prompt that is stopped between its layers: what was enqueued must not disturb what follows. */
static void abandon(EngBackend *backend)
{
    EngKv *kvs[TOKENS];
    int32_t positions[TOKENS], out = PROMPT - 1;
    for (int i = 0; i < PROMPT; i++) kvs[i] = &kv, positions[i] = i;
    EngBatch batch = {PROMPT, tokens, positions, kvs, 1, &out};
    backend->run(backend, 0, test_range(1, (int)model->graph.ops.n - 1), &batch);
}

/* Logits are no continuous function of the weights: where two experts score alike, a rounding
 * decides between them. Whether one step's are those of the other expert: then noise of a tenth of
 * the bound takes the CPU's own further from `want` than the bound, to within it of these. */
static bool is_of_a_tie(int step, double bound)
{
    enum { DRAWS = 400 };
    size_t n = (size_t)model->h.n_vocab, at = (size_t)step * n;
    float *noisy = malloc((1 + DECODE) * n * sizeof *noisy);
    bool found = false;
    for (int i = 0; i < DRAWS && !found; i++) {
        run_all(model->backend, bound / 10, noisy);
        found = distance(noisy + at, want + at, (int)n) > bound &&
                distance(noisy + at, got + at, (int)n) <= bound;
    }
    free(noisy);
    return found;
}

static void compare(const char *file, Placement placement, double bound)
{
    EngError err = {0};
    EngBackend *exec = open_exec(placement);
    if (!exec) return;
    memset(kv.data, 0, kv.bytes);
    abandon(exec);
    long launches = count("cuGraphLaunch");
    run_all(exec, 0, got);
    CHECK_MSG(exec->check(exec, &err), "%s", err.message);
    if (library) CHECK_INT(count("cuGraphLaunch") - launches, DECODE * devices_of(placement));
    int n = model->h.n_vocab;
    for (int i = 0; i < 1 + DECODE; i++) {
        double d = distance(got + (size_t)i * (size_t)n, want + (size_t)i * (size_t)n, n);
        CHECK_MSG(d <= bound || is_of_a_tie(i, bound),
                  "%s, placement %d, step %d: %.5f from the CPU's logits", file, (int)placement, i,
                  d);
    }
    memset(kv.far, 0, sizeof kv.far); /* gone with it */
    exec->free(exec);
}

static double farthest(void)
{
    double most = 0;
    int n = model->h.n_vocab;
    for (int i = 0; i < 1 + DECODE; i++) {
        size_t at = (size_t)i * (size_t)n;
        most = fmax(most, distance(got + at, want + at, n));
    }
    return most;
}

/* Tokens are drawn until the CPU's own logits move no further under some noise as large as the
 * bound than noise explains (is_of_a_tie); `want` is theirs. */
static void choose_tokens(const char *file, double bound)
{
    enum { TRIES = 200, DRAWS = 16, AMPLIFIED = 4 };
    for (int tries = 0; tries < TRIES; tries++) {
        bool steady = true;
        for (int i = 0; i < TOKENS; i++) tokens[i] = test_range(0, model->h.n_vocab - 1);
        run_all(model->backend, 0, want);
        for (int i = 0; i < DRAWS && steady; i++) {
            run_all(model->backend, bound, got);
            steady = farthest() <= AMPLIFIED * bound;
        }
        if (steady) return;
    }
    CHECK_MSG(false, "%s: no tokens are far from a tie of its router", file);
}

/* A machine may have one card. */
static int placements(void)
{
    EngCudaSettings second = {.cuda_library = library, .ordinal = 1};
    char reason[160];
    EngCuda *cuda = eng_cuda_open(&second, reason);
    eng_cuda_close(cuda);
    return cuda ? PLACEMENTS : TWO;
}

static void at_every_placement(int defer)
{
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        if (defer && !models[i].defers) continue;
        if (!open_model(models[i].file, defer)) continue;
        choose_tokens(models[i].file, models[i].bound);
        for (int p = 0; p < placements(); p++)
            compare(models[i].file, (Placement)p, models[i].bound);
        close_model();
    }
}

static void logits_are_the_cpus_at_every_placement(void) { at_every_placement(0); }
static void and_so_with_deferred_experts(void) { at_every_placement(1); }

/* The experts' part of a layer is the host's: one publish and one accept each; the shared expert is
 * enqueued between the two. */
static void the_shared_expert_overlaps(void)
{
    int steps[ENG_STEPS], layers = 0;
    if (!open_model("v3_fused.gguf", 0)) return;
    EngBackend *exec = open_exec(BUT_EXPERTS);
    for (size_t i = 0; i < model->graph.ops.n; i++)
        layers += model->graph.ops.data[i].kind == ENG_OP_EXPERTS;
    if (exec) {
        eng_exec_count(exec, false, steps);
        /* the token table before, the logits behind */
        CHECK_INT(steps[ENG_STEP_CPU], layers + 2);
        CHECK_INT(steps[ENG_STEP_ACCEPT], layers + 1);
        exec->free(exec);
    }
    close_model();
}

static int op_of(EngOpKind kind, int from)
{
    while (model->graph.ops.data[from].kind != kind) from++;
    return from;
}

/* The place among the steps of one of an op: itself, or of the part that it is in. */
static int place_of(const EngSchedule *s, EngStepOf kind, int op)
{
    for (size_t i = 0; i < s->steps.n; i++) {
        const EngScheduleStep *step = &s->steps.data[i];
        const EngHostPart *p = kind == ENG_STEP_OP ? NULL : &s->parts.data[step->what];
        if (step->kind == kind && (p ? p->from <= op && op < p->to : step->what == op))
            return (int)i;
    }
    return ENG_NONE;
}

/* The CPU computes them while the device attends: the device waits for the others before, and for
 * these behind; and it is asked for nothing more when the next layer's experts are the CPU's. */
static void deferred_experts_overlap_attention(void)
{
    if (!open_model("v3_fused.gguf", 1)) return;
    for (int near = 0; near < 2; near++) {
        int now = op_of(ENG_OP_EXPERTS, 0), later = now + 1, attn = op_of(ENG_OP_ATTN, later);
        int add = op_of(ENG_OP_ADD, later), *device_of = place(BUT_EXPERTS);
        EngSchedule s = {0};
        EngError err = {0};
        CHECK(model->graph.ops.data[later].experts.set && attn < add);
        device_of[0] = device_of[1] = ENG_NONE; /* what exec.c does of itself */
        if (near) device_of[add] = ENG_NONE;
        CHECK(eng_schedule_write(&s, &model->graph, device_of, &err));
        int attends = place_of(&s, ENG_STEP_OP, attn);
        CHECK(place_of(&s, ENG_STEP_ACCEPT, now) < attends);
        CHECK(place_of(&s, ENG_STEP_CPU, now) < place_of(&s, ENG_STEP_CPU, later));
        CHECK(place_of(&s, ENG_STEP_CPU, later) > attends);
        CHECK(place_of(&s, ENG_STEP_ACCEPT, near ? add : later) > attends);
        if (near) CHECK_INT(place_of(&s, ENG_STEP_ACCEPT, later), ENG_NONE);
        if (near) CHECK_INT(place_of(&s, ENG_STEP_PUBLISH, later), ENG_NONE);
        if (near)
            CHECK_INT(place_of(&s, ENG_STEP_ACCEPT, add), place_of(&s, ENG_STEP_ACCEPT, add + 1));
        for (size_t i = 1; i < s.steps.n; i++) CHECK(s.steps.data[i].at >= s.steps.data[i - 1].at);
        eng_schedule_clear(&s);
        free(device_of);
    }
    close_model();
}

/* A launch costs a token microseconds, whatever it does: fuse.c puts together what can be. */
static void a_layer_is_few_launches(void)
{
    static const struct {
        const char *file;
        Placement placement;
        int layer, rest; /* at most */
    } most[] = {{"qwen3moe_q8_0.gguf", ALL, 13, 6},
                {"v3_q4_k_m.gguf", ALL, 21, 6},
                {"v3_q4_k_m.gguf", BUT_EXPERTS, 19, 6}};
    for (size_t i = 0; library && i < TEST_COUNT(most); i++) {
        if (!open_model(most[i].file, 0)) continue;
        EngBackend *exec = open_exec(most[i].placement);
        for (int t = 0; t < TOKENS; t++) tokens[t] = test_range(0, model->h.n_vocab - 1);
        run(exec, 0, PROMPT, 0, got);
        long before = count("cuLaunchKernel");
        run(exec, PROMPT, 1, 0, got);
        long launches = count("cuLaunchKernel") - before, layers = model->graph.n_layers;
        CHECK_MSG(launches <= layers * most[i].layer + most[i].rest, "%s: %ld launches, %ld layers",
                  most[i].file, launches, layers);
        memset(kv.far, 0, sizeof kv.far);
        exec->free(exec);
        close_model();
    }
}

/* ---- experts as guests ----------------------------------------------------------------------- */

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
        if (!stream.pin) CHECK_INT(gpu->bounced_bytes, gpu->guests_copied);
        if (stream.pin && !*gpu->pin_reason) CHECK_INT(gpu->bounced_bytes, 0);
        if (stream.pin && *gpu->pin_reason) CHECK(strstr(gpu->pin_reason, "does not pin"));
    }
    CHECK(copied > 0 && bounced <= copied);
    for (int i = 0; i < 1 + DECODE; i++) {
        double d = distance(got + (size_t)i * (size_t)n, want + (size_t)i * (size_t)n, n);
        CHECK_MSG(d <= bound || is_of_a_tie(i, bound),
                  "%s, placement %d, %s, %llu bytes, step %d: %.5f from the CPU's", file,
                  (int)placement, eng_streaming_name(how), (unsigned long long)stream.slot, i, d);
    }
    memset(kv.far, 0, sizeof kv.far);
    exec->free(exec);
}

static void guests_are_multiplied_alike(void)
{
    int n = placements() == PLACEMENTS ? 2 : 1;
    for (size_t i = 0; i < TEST_COUNT(sparse); i++) {
        stream.nodes = i % 3;
        if (open_model(sparse[i].file, 0)) {
            choose_tokens(sparse[i].file, sparse[i].bound);
            for (int how = ENG_STREAM_USED; how <= ENG_STREAM_ALL; how++)
                compare_guests(sparse[i].file, i % (size_t)n ? TWO_BUT_EXPERTS : BUT_EXPERTS,
                               (EngStreaming)how, sparse[i].bound);
            close_model();
        }
        memset(&stream, 0, sizeof stream);
    }
    if (library) CHECK(count("a copy beside a kernel") > 0);
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

/* ---- cached experts -------------------------------------------------------------------------- */

static int total(const EngBackend *exec, bool hits)
{
    int n = 0;
    for (int t = 0; t < 8; t++) n += hits ? exec->cached[t].hits : exec->cached[t].misses;
    return n;
}

/* Experts of a token, in all layers, that are not deferred. */
static int chosen(void)
{
    int n = 0;
    for (size_t i = 0; i < model->graph.ops.n; i++)
        if (model->graph.ops.data[i].kind == ENG_OP_EXPERTS &&
            !model->graph.ops.data[i].experts.set)
            n += model->graph.ops.data[i].experts.n_used;
    return n;
}

/* For `slots` experts. */
static uint64_t bytes_for(int slots)
{
    int *device_of = place(BUT_EXPERTS);
    bool *here = calloc(model->graph.ops.n, sizeof *here);
    for (size_t i = 0; i < model->graph.ops.n; i++) here[i] = device_of[i] == 0;
    EngSlotShape shape = eng_slot_shape(&model->graph, here, NULL);
    free(device_of), free(here);
    CHECK(eng_slot_count(&shape, eng_slot_bytes(&shape, slots)) == slots);
    return eng_slot_bytes(&shape, slots);
}

static int keys(void)
{
    int n = 0;
    for (size_t i = 0; i < model->graph.ops.n; i++)
        n += model->graph.ops.data[i].kind == ENG_OP_EXPERTS &&
             !model->graph.ops.data[i].experts.set;
    return n * model->h.n_experts;
}

static int hits_by[ENG_CACHE_OFF + 1], misses_by[ENG_CACHE_OFF + 1];

/* The same tokens again and again, while experts come in. */
static void decode_with_cache(const char *file, Placement placement, double bound)
{
    int times = policy == ENG_CACHE_PINNED ? 12
                : policy == ENG_CACHE_LRU  ? 4
                                           : 2,
        hits = 0, misses = 0, n = model->h.n_vocab;
    EngError err = {0};
    EngBackend *exec = open_exec(placement);
    for (int time = 0; exec && time < times; time++) {
        long launches = count("cuGraphLaunch");
        eng_guard_begin();
        run(exec, 0, PROMPT, 0, got);
        for (int i = 0; i < DECODE; i++) {
            run(exec, PROMPT + i, 1, 0, got + (size_t)(1 + i) * (size_t)n);
            int all = total(exec, true) + total(exec, false);
            /* a layer between two devices has no cache */
            CHECK_MSG(policy == ENG_CACHE_OFF      ? all == 0
                      : devices_of(placement) == 1 ? all == chosen()
                                                   : all > 0 && all <= chosen(),
                      "%s, policy %d: %d of %d", file, (int)policy, all, chosen());
            hits += total(exec, true), misses += total(exec, false);
        }
        eng_guard_end();
        CHECK_MSG(exec->check(exec, &err), "%s", err.message);
        if (library) CHECK_INT(count("cuGraphLaunch") - launches, DECODE * devices_of(placement));
        for (int i = 0; i < 1 + DECODE; i++) {
            double d = distance(got + (size_t)i * (size_t)n, want + (size_t)i * (size_t)n, n);
            CHECK_MSG(d <= bound || is_of_a_tie(i, bound),
                      "%s, policy %d, placement %d, step %d: %.5f from the CPU's", file,
                      (int)policy, (int)placement, time * DECODE + i, d);
        }
    }
    hits_by[policy] += hits;
    misses_by[policy] += misses;
    memset(kv.far, 0, sizeof kv.far);
    if (exec) exec->free(exec);
}

/* PINNED begins after 32 steps. */
static void cached_experts_change_nothing(void)
{
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        if (!models[i].caches) continue;
        int defer = models[i].defers && test_range(0, 1);
        if (!open_model(models[i].file, defer)) continue;
        choose_tokens(models[i].file, models[i].bound);
        for (int p = ENG_CACHE_LRU; p <= ENG_CACHE_OFF; p++) {
            policy = (EngCachePolicy)p;
            cache_waits = test_range(0, 2) > 0;
            cached_bytes = bytes_for(test_range(keys() / model->h.n_experts, keys()));
            bool two = models[i].defers && placements() > TWO && test_range(0, 1);
            decode_with_cache(models[i].file, two ? TWO_BUT_EXPERTS : BUT_EXPERTS, models[i].bound);
        }
        close_model();
    }
    for (int p = ENG_CACHE_LRU; p < ENG_CACHE_OFF; p++)
        CHECK_MSG(hits_by[p] > 0 && misses_by[p] > 0, "policy %d: %d hits, %d misses", p,
                  hits_by[p], misses_by[p]);
    cached_bytes = 0;
}

/* A token, op by op on the CPU, whose choices are taken; returns the hits. */
static int simulate(Lru *l, int token, int step)
{
    EngKv *kvs = &kv;
    int32_t position = token, out = 0;
    EngBatch batch = {1, tokens + token, &position, &kvs, 1, &out};
    int hits = 0, layer = 0;
    lru_begin(l, step);
    for (int i = 0; i < (int)model->graph.ops.n; i++) {
        const EngOp *op = &model->graph.ops.data[i];
        for (int k = 0; op->kind == ENG_OP_EXPERTS && k < op->experts.n_used; k++) {
            float *ids = model->backend->buffer(model->backend, op->experts.ids.buf);
            int key = layer * model->h.n_experts + ((const int32_t *)(void *)ids)[k];
            Slot *slot = find(l, key);
            bool hit = slot && !slot->coming;
            hits += hit;
            if (hit) slot->step = step;
            if (!slot) l->missed[l->n_missed++] = key;
        }
        layer += op->kind == ENG_OP_EXPERTS;
        model->backend->run(model->backend, i, 1, &batch);
    }
    return hits;
}

/* In decode floats differ by 1e-6 alone: the same experts are chosen. */
static void hits_are_those_of_an_lru_cache(void)
{
    static const char *const floats[] = {"mixtral.gguf", "v2_group.gguf", "v3_fused.gguf"};
    policy = ENG_CACHE_LRU;
    cache_waits = true;
    for (size_t i = 0; i < TEST_COUNT(floats); i++) {
        if (!open_model(floats[i], 0)) continue;
        Lru lru = {.n_slots = test_range(keys() / 2, keys() - 1),
                   .layer = -1,
                   .layer_size = model->h.n_experts};
        int hits[40], all = 0, step = 1;
        for (int s = 0; s < lru.n_slots; s++) lru.slots[s].key = -1;
        for (int t = 0; t < TOKENS; t++) tokens[t] = test_range(0, model->h.n_vocab - 1);
        for (; step <= 2 * TOKENS; step++) {
            hits[step] = simulate(&lru, (step - 1) % TOKENS, step);
            all += hits[step];
        }
        cached_bytes = bytes_for(lru.n_slots);
        EngBackend *exec = open_exec(BUT_EXPERTS);
        for (int at = 1; exec && at < step; at++) {
            run(exec, (at - 1) % TOKENS, 1, 0, got);
            CHECK_MSG(total(exec, true) == hits[at], "%s, %d slots, step %d: %d hits, not %d",
                      floats[i], lru.n_slots, at, total(exec, true), hits[at]);
        }
        CHECK_MSG(all > 0, "%s: nothing was hit", floats[i]);
        memset(kv.far, 0, sizeof kv.far);
        if (exec) exec->free(exec);
        close_model();
    }
    cached_bytes = 0;
}

/* A copy beside the step that fails is the device's failure. */
static void a_copy_that_fails_ends_the_device(void)
{
    if (!library) {
        test_skip("only the simulated driver fails when it is told to");
        return;
    }
    if (!open_model("v3_fused.gguf", 0)) return;
    policy = ENG_CACHE_LRU;
    cache_waits = test_range(0, 1);
    cached_bytes = bytes_for(keys() / 2);
    EngBackend *exec = open_exec(BUT_EXPERTS);
    EngError err = {0};
    char fail[64];
    /* per step: positions, the table, two experts */
    snprintf(fail, sizeof fail, "cuMemcpyHtoDAsync_v2:%ld:700",
             count("cuMemcpyHtoDAsync_v2") + test_range(4, 12));
    setenv("SIM_FAIL", fail, 1);
    bool ok = true;
    for (int t = 0; exec && ok && t < TOKENS; t++) {
        tokens[t] = t;
        run(exec, t, 1, 0, got);
        ok = exec->check(exec, &err);
    }
    CHECK_MSG(!ok && strstr(err.message, "while copying to it"), "%s", err.message);
    unsetenv("SIM_FAIL");
    memset(kv.far, 0, sizeof kv.far);
    if (exec) exec->free(exec);
    close_model();
    cached_bytes = 0;
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"logits_are_the_cpus_at_every_placement", logits_are_the_cpus_at_every_placement},
        {"and_so_with_deferred_experts", and_so_with_deferred_experts},
        {"the_shared_expert_overlaps", the_shared_expert_overlaps},
        {"deferred_experts_overlap_attention", deferred_experts_overlap_attention},
        {"cached_experts_change_nothing", cached_experts_change_nothing},
        {"hits_are_those_of_an_lru_cache", hits_are_those_of_an_lru_cache},
        {"a_copy_that_fails_ends_the_device", a_copy_that_fails_ends_the_device},
        {"a_layer_is_few_launches", a_layer_is_few_launches},
        {"guests_are_multiplied_alike", guests_are_multiplied_alike},
        {"a_streamed_chunk_never_waits", a_streamed_chunk_never_waits},
    };
    library = getenv("HEARTH_GPU") ? NULL : CUDA_SIM;
    setenv("SIM_DEVICES", "2", 1);
    if (library) dlopen(library, RTLD_NOW); /* stays, for its counters */
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
