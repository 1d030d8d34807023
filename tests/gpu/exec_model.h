/* What tests of a graph's walk with devices stand on: every family's tiny model, placements of its
 * ops, and its logits beside those of the CPU alone. */
#ifndef TESTS_GPU_EXEC_MODEL_H
#define TESTS_GPU_EXEC_MODEL_H

#include <dlfcn.h>
#include <math.h>

#include "cuda/gpu.h"
#include "model.h"
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

static inline bool open_model(const char *file, int defer)
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

static inline void close_model(void)
{
    free(want), free(got);
    eng_kv_clear(&kv);
    eng_model_free(model);
}

/* `noise`: what the embedding's numbers are off by, relative. */
static inline void run(EngBackend *backend, int first, int n, double noise, float *ret)
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

static inline void run_all(EngBackend *backend, double noise, float *ret)
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
    TWO_NEAR_SUMS,
    MIXED,
    PLACEMENTS
} Placement;

/* The residual stream is complete behind it: layers' attention and feed-forward parts may part. */
static inline bool is_joint(const EngOp *op)
{
    return op->kind == ENG_OP_EXPERTS || (op->kind == ENG_OP_LINEAR && op->linear.add);
}

static inline int middle(void)
{
    int n = (int)model->graph.ops.n, at = test_range(n / 4, 3 * n / 4);
    while (at < n && !is_joint(&model->graph.ops.data[at - 1])) at++;
    return at;
}

/* A layer's keys are kept where they are read. */
static inline void join_attention(int *device_of)
{
    int n = (int)model->graph.ops.n, attention = ENG_NONE;
    for (int i = n; i-- > 0;) {
        EngOpKind kind = model->graph.ops.data[i].kind;
        if (kind == ENG_OP_ATTN) attention = device_of[i];
        if (kind == ENG_OP_KV) device_of[i] = attention;
    }
}

static inline int *place(Placement placement)
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
        if (placement == NEAR_SUMS || placement == TWO_NEAR_SUMS)
            here = !experts && model->graph.ops.data[i].kind != ENG_OP_ADD;
        device_of[i] = !here ? ENG_NONE : placement >= TWO && i >= cut;
        if (placement == MIXED) device_of[i] = test_range(ENG_NONE, 1);
    }
    join_attention(device_of);
    return device_of;
}

static inline double distance(const float *a, const float *b, int n)
{
    double difference = 0, size = 0;
    for (int i = 0; i < n; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        size += (double)b[i] * b[i];
    }
    return sqrt(difference / size);
}

static inline long count(const char *name)
{
    static long (*sim_count)(const char *);
    if (!sim_count) {
        void *dl = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
        void *f = dl ? dlsym(dl, "hearth_sim_count") : NULL;
        memcpy(&sim_count, &f, sizeof f);
    }
    return sim_count ? sim_count(name) : -1;
}

static inline EngDevice *open_device(const int *device_of, int number)
{
    char reason[160] = "";
    EngError err = {0};
    EngCudaSettings settings = {.cuda_library = library, .ordinal = number};
    EngCuda *cuda = eng_cuda_open(&settings, reason);
    CHECK_MSG(cuda, "%s", reason);
    if (!cuda) return NULL;
    bool *here = calloc(model->graph.ops.n, sizeof *here);
    for (size_t i = 0; i < model->graph.ops.n; i++) here[i] = device_of[i] == number;
    EngDevice *gpu = eng_gpu_new(
        &model->graph, here, model->backend->max_tokens, model->backend->max_out, 1 << 20,
        (EngGpuCache){cached_bytes, NULL}, (EngGpuGuests){stream.slot, NULL}, cuda, &err);
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

static inline EngBackend *open_exec(Placement placement)
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
static inline void abandon(EngBackend *backend)
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
static inline bool is_of_a_tie(int step, double bound)
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

/* Noise of the size of the bound moves the logits of the tokens that are chosen (below) up to four
 * times as far: that of halves, which is smaller, may move them twice. */
static inline bool is_near(int step, double distance_from_want, double bound)
{
    return distance_from_want <= 2 * bound || is_of_a_tie(step, bound);
}

static inline void compare(const char *file, Placement placement, double bound)
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
        CHECK_MSG(is_near(i, d, bound), "%s, placement %d, step %d: %.5f from the CPU's logits",
                  file, (int)placement, i, d);
    }
    memset(kv.far, 0, sizeof kv.far); /* gone with it */
    exec->free(exec);
}

static inline double farthest(void)
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
static inline void choose_tokens(const char *file, double bound)
{
    enum { TRIES = 2000, DRAWS = 16, AMPLIFIED = 4 };
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
static inline int placements(void)
{
    EngCudaSettings second = {.cuda_library = library, .ordinal = 1};
    char reason[160];
    EngCuda *cuda = eng_cuda_open(&second, reason);
    eng_cuda_close(cuda);
    return cuda ? PLACEMENTS : TWO;
}

#endif
