/* Kernels by name, and those of plug-ins, in whole models of random weights: which one multiplies
 * is seen in the bits of the logits. */
#include <dlfcn.h>
#include <math.h>

#include "base/num.h"
#include "cpu/kernels.h"
#include "model.h"
#include "plugin.h"
#include "unit/model/thought_model.h"

enum { PROMPT = 19, WRITTEN = 3, LOGITS = (WRITTEN + 1) * VOCAB };

/* Everything that is multiplied, but for the router, which is F32. */
#define ALL "attn_[qkvo]|_exps|token_embd"

/* ---- models ---------------------------------------------------------------------------------- */

typedef struct {
    const char *family, *type, *rules;
    int threads, nodes;
    int defer; /* experts */
} Setup;

static EngModel *open_model(const Setup *s)
{
    EngError err = {0};
    EngHeader header = thought_model(s->family, s->type);
    EngModelSettings set = {.threads = s->threads,
                            .batch = 64,
                            .nodes = s->nodes,
                            .defer = s->defer,
                            .rules = s->rules};
    EngModel *m = eng_model_rehearse(&header, 1, (uint64_t)1 << 28, &set, &err);
    CHECK_MSG(m, "%s %s, %s: %s", s->family, s->type, s->rules ? s->rules : "", err.message);
    uint64_t done = 0, total = 1;
    while (m && done < total) CHECK_MSG(eng_model_load(m, &done, &total, &err), "%s", err.message);
    free((void *)header.data);
    return m;
}

/* Logits of a prompt's last token, then of tokens one by one. */
static void compute(EngModel *m, float ret_logits[LOGITS])
{
    EngError err = {0};
    EngSessionSettings set = {.context = PROMPT + WRITTEN, .kv = ENG_KV_F32};
    EngSession *s = m ? eng_session_new(m, &set, &err) : NULL;
    int32_t tokens[PROMPT + WRITTEN];
    for (int i = 0; i < PROMPT + WRITTEN; i++) tokens[i] = (i * 37 + 11) % VOCAB;
    memset(ret_logits, 0, LOGITS * sizeof *ret_logits);
    for (int i = 0; s && i <= WRITTEN; i++) {
        CHECK(
            eng_session_eval(s, i ? tokens + PROMPT + i - 1 : tokens, i ? 1 : PROMPT, NULL, &err));
        memcpy(ret_logits + i * VOCAB, eng_session_logits(s), VOCAB * sizeof *ret_logits);
    }
    eng_session_free(s);
}

static void run(Setup s, float ret_logits[LOGITS])
{
    EngModel *m = open_model(&s);
    compute(m, ret_logits);
    eng_model_free(m);
}

static bool same(const float *a, const float *b) { return memcmp(a, b, LOGITS * sizeof *a) == 0; }

/* Of all logits, relative to those wanted. */
static double distance(const float *got, const float *want)
{
    double d = 0, w = 0;
    for (int i = 0; i < LOGITS; i++) {
        d += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        w += (double)want[i] * want[i];
    }
    return sqrt(d / w);
}

/* ---- kernels by name ------------------------------------------------------------------------- */

static void names_are_listed(void)
{
    EngHost host;
    EngKernelInfo a, b;
    int n = 0, runs = 0, on_gpu = 0;
    CHECK(eng_probe(&host, NULL));
    for (; eng_kernel_info(n, &host, &a); n++) {
        const char *level = strrchr(a.name, '.');
        CHECK(level && strncasecmp(a.name, a.type, strlen(a.type)) == 0 &&
              a.name + strlen(a.type) == level);
        bool gpu = strcmp(level, ".cuda") == 0;
        CHECK_MSG(a.runs == (gpu ? host.n_gpus > 0 : strstr(host.isa, level + 1) != NULL), "%s",
                  a.name);
        EngHost with = host, without = host;
        with.n_gpus = 1, without.n_gpus = 0;
        CHECK(eng_kernel_info(n, &with, &b) && b.runs == (gpu || a.runs));
        CHECK(eng_kernel_info(n, &without, &b) && b.runs == (!gpu && a.runs));
        for (int i = 0; i < n && eng_kernel_info(i, &host, &b); i++)
            CHECK(strcmp(a.name, b.name) != 0 && eng_type_named(b.type) <= eng_type_named(a.type));
        runs += !gpu && a.runs, on_gpu += gpu;
    }
    int formats = 0;
    for (uint32_t type = 0; type < ENG_TYPE_COUNT; type++)
        formats += eng_type_info(type)->to_f32 != NULL;
    CHECK(on_gpu == formats && runs >= formats && !eng_kernel_info(n, &host, &a));
}

/* The head's product by hand, with the kernel that is called so, from what the model left in the
 * buffer before it. */
static void check_head(EngModel *m, const EngKernel *kernel, const float *got)
{
    static float want[VOCAB];
    static _Alignas(64) uint8_t act[EMBD * sizeof(float)];
    const EngOp *head = &m->graph.ops.data[m->graph.ops.n - 1];
    CHECK(head->kind == ENG_OP_LINEAR && head->linear.n == 1 && head->src.n == EMBD);
    EngCpuLevel level;
    CHECK(eng_cpu_level(&level, NULL));
    const float *x = m->backend->buffer(m->backend, head->src.buf) + head->src.at;
    eng_kernels(level)->quantize[kernel->act](x, act, EMBD);
    const EngWeight *w = &head->linear.w[0];
    for (int r = 0; r < VOCAB; r++)
        kernel->matmul(EMBD, 1, 1, eng_weight_rows(w, 0, r), w->row_bytes, act, 0, want + r, 1);
    CHECK_MSG(memcmp(want, got, sizeof want) == 0, "%s did not multiply the head", kernel->name);
}

/* Under the mask, what is not a product rounds otherwise, too, which moves some bytes of
 * activations by one of 127 steps: by as much as their rounding does, 1 to 2 % for these models.
 * Where all is float, 2e-5. The head alone is compared bit by bit. */
static void check_kernel(const EngKernel *kernel, EngCpuLevel level)
{
    static float got[LOGITS], own[LOGITS], masked[LOGITS];
    char rules[64];
    const char *type = eng_type_info(kernel->type)->name;
    snprintf(rules, sizeof rules, ALL " kernel=%s", kernel->name);
    Setup s = {"qwen3moe", type, NULL, 2, 0};
    EngModel *m = open_model(&s);
    EngCpuLevel best;
    CHECK(eng_cpu_level(&best, NULL));
    bool is_own = eng_kernel(best, kernel->type) == kernel;
    compute(m, own);
    eng_model_free(m);
    s.rules = rules;
    m = open_model(&s);
    compute(m, got);
    if (m) check_head(m, kernel, got + WRITTEN * VOCAB);
    eng_model_free(m);
    setenv("HEARTH_CPU_MASK", eng_cpu_level_names[level], 1);
    run((Setup){"qwen3moe", type, NULL, 2, 0}, masked);
    unsetenv("HEARTH_CPU_MASK");
    double d = distance(got, masked), bound = kernel->act == ENG_ACT_F32 ? 2e-5 : 3e-2;
    CHECK_MSG(d <= bound, "%s: %.3g from the logits under its mask", kernel->name, d);
    CHECK_MSG(!is_own || same(got, own), "%s named is not %s by default", kernel->name, type);
}

static void each_that_runs_is_used(void)
{
    EngCpuLevel level;
    const EngKernel *kernel;
    EngKernelInfo info;
    EngHost host;
    CHECK(eng_probe(&host, NULL));
    for (int i = 0; (kernel = eng_kernel_at(i, &level)); i++) {
        bool found = false;
        for (int j = 0; !found && eng_kernel_info(j, &host, &info); j++)
            found = strcmp(info.name, kernel->name) == 0;
        CHECK(found);
        if (found && info.runs) check_kernel(kernel, level);
    }
}

/* ---- of plug-ins ----------------------------------------------------------------------------- */

#define LOAD "plugin=" EXAMPLE_PLUGIN "\n"

/* Bytes for activations are off by 1/254 of the largest of 32 or 256 numbers, which moves logits of
 * these models by 1e-4 at least and 3 % at most; floats are not. Threads and nodes do not show in a
 * bit. */
static void floats_for_bytes(const char *family, const char *type, const char *rules)
{
    static const int threads[] = {1, 2, 3, 5}, nodes[] = {0, 2, 3, 1};
    static float want[LOGITS], got[LOGITS], first[LOGITS];
    run((Setup){family, type, NULL, 2, 0}, want);
    for (size_t i = 0; i < TEST_COUNT(threads); i++) {
        run((Setup){family, type, rules, threads[i], nodes[i]}, got);
        if (i == 0) memcpy(first, got, sizeof got);
        CHECK_MSG(same(got, first), "%s %s: %d threads, %d nodes: other numbers", family, type,
                  threads[i], nodes[i]);
    }
    double d = distance(first, want);
    printf("# %s %s: %.2g from bytes\n", family, type, d);
    CHECK_MSG(d > 1e-4 && d < 0.03, "%s %s: %.3g from the built-in kernels", family, type, d);
}

static void example_instead_of_our_own(void)
{
    floats_for_bytes("qwen3moe", "Q8_0", LOAD ALL " kernel=example.q8_0");
    floats_for_bytes("qwen3moe", "Q4_K", LOAD ALL " kernel=example.q4_k");
    floats_for_bytes("deepseek2", "Q8_0", LOAD ALL " kernel=example.q8_0");
    floats_for_bytes("deepseek2", "Q4_K",
                     LOAD "k_b kernel=example.q8_0\n" ALL " kernel=example.q4_k");
}

/* The same sums in the same order as the portable C. */
static void example_with_bytes(void)
{
    static float want[LOGITS], got[LOGITS];
    static const char *const families[] = {"qwen3moe", "deepseek2"};
    for (size_t i = 0; i < TEST_COUNT(families); i++) {
        run((Setup){families[i], "Q8_0", ALL " kernel=q8_0.c", 2, 0}, want);
        run((Setup){families[i], "Q8_0", LOAD ALL " kernel=example.q8_0.bytes", 3, 0}, got);
        CHECK_MSG(same(got, want), "%s: bytes give other numbers", families[i]);
    }
}

static const char *const tensors_of[] = {"attn_q", "attn_k",    "attn_v",  "attn_output",
                                         "embd",   "gate_exps", "up_exps", "down_exps"};

/* A matrix with a kernel of its own beside others with the built-in ones changes something. */
static void each_matrix_by_itself(void)
{
    static float want[LOGITS], got[LOGITS];
    static const char *const families[] = {"qwen3moe", "deepseek2"};
    for (size_t f = 0; f < TEST_COUNT(families); f++) {
        run((Setup){families[f], "Q8_0", NULL, 2, 0}, want);
        for (size_t t = 0; t < TEST_COUNT(tensors_of); t++) {
            char rules[512];
            snprintf(rules, sizeof rules, LOAD "%s kernel=example.q8_0", tensors_of[t]);
            run((Setup){families[f], "Q8_0", rules, 2, 0}, got);
            double d = distance(got, want);
            CHECK_MSG(d > 1e-5 && d < 0.03, "%s, %s: %.3g", families[f], tensors_of[t], d);
        }
    }
}

/* Each matrix its own kernel, by chance: ops meet activations in several forms. */
static void all_mixed(void)
{
    static const char *const kernels[] = {"", "q8_0.c", "example.q8_0", "example.q8_0.bytes"};
    static float want[LOGITS], got[LOGITS];
    for (int i = 0; i < 12; i++) {
        char rules[1024] = LOAD;
        for (size_t t = TEST_COUNT(tensors_of); t-- > 0;) {
            const char *kernel = kernels[test_range(0, 3)];
            if (*kernel)
                snprintf(rules + strlen(rules), sizeof rules - strlen(rules),
                         "%s kernel=%s # mixed\n", tensors_of[t], kernel);
        }
        const char *family = i % 2 ? "qwen3moe" : "deepseek2";
        int defer = test_range(0, 2); /* more ops with the same matrices */
        run((Setup){family, "Q8_0", NULL, 2, 0, defer}, want);
        run((Setup){family, "Q8_0", rules, test_range(1, 4), test_range(0, 2), defer}, got);
        double d = distance(got, want);
        CHECK_MSG(d < 0.03, "%s: %.3g with\n%s", family, d, rules);
    }
}

static bool is_loaded(void)
{
    void *handle = dlopen(EXAMPLE_PLUGIN, RTLD_NOW | RTLD_NOLOAD);
    if (handle) dlclose(handle);
    return handle != NULL;
}

static void stays_as_long_as_its_models(void)
{
    static float want[LOGITS], got[LOGITS];
    const Setup s = {"qwen3moe", "Q8_0", LOAD ALL " kernel=example.q8_0", 2, 0};
    CHECK(!is_loaded());
    EngModel *a = open_model(&s), *b = open_model(&s);
    compute(a, want);
    CHECK(is_loaded());
    eng_model_free(a);
    CHECK(is_loaded());
    compute(b, got);
    CHECK(same(got, want));
    eng_model_free(b);
    CHECK(!is_loaded());
}

static void plans_tell_kernels(void)
{
    EngError err = {0};
    EngHeader header = thought_model("qwen3moe", "Q8_0");
    EngPlanSettings set = eng_plan_defaults();
    set.no_gpu = true;
    set.rules = LOAD "attn_[qk] kernel=example.q8_0\n_exps kernel=q8_0.c device=cpu\n"
                     "attn_ kernel=q8_0.c # q and k have theirs\n";
    EngPlan *plan = eng_plan(&header, 1, &set, &err);
    CHECK_MSG(plan, "%s", err.message);
    const char *name = "";
    int n = 0;
    CHECK(is_loaded() && plan && eng_plan_kernel(plan, 0, &name, &n));
    CHECK_STR(name, "example.q8_0");
    CHECK_INT(n, 2 * LAYERS);
    CHECK(plan && eng_plan_kernel(plan, 1, &name, &n));
    CHECK_STR(name, "q8_0.c");
    CHECK_INT(n, (2 + 3) * LAYERS);
    CHECK(plan && !eng_plan_kernel(plan, 2, &name, &n));
    eng_plan_free(plan);
    CHECK(!is_loaded());
    set.rules = NULL;
    plan = eng_plan(&header, 1, &set, &err);
    CHECK(plan && !eng_plan_kernel(plan, 0, &name, &n));
    eng_plan_free(plan);
    free((void *)header.data);
}

/* What float activations need in buffers is planned for. */
static void buffers_are_planned(void)
{
    EngError err = {0};
    uint64_t planned[2] = {0};
    static const char *const rules[] = {NULL, LOAD ALL " kernel=example.q8_0"};
    for (int i = 0; i < 2; i++) {
        EngHeader header = thought_model("qwen3moe", "Q8_0");
        EngPlanSettings set = eng_plan_defaults();
        set.no_gpu = true;
        set.nodes = 1;
        set.batch = 64;
        set.rules = rules[i];
        EngHost host;
        EngPlan *plan = eng_plan(&header, 1, &set, &err);
        CHECK(plan && eng_probe(&host, &err));
        for (size_t r = 0; plan && r < plan->n_rows; r++)
            if (plan->rows[r].kind == ENG_PLAN_BUFFERS) planned[i] += plan->rows[r].bytes;
        EngModel *m = open_model(&(Setup){"qwen3moe", "Q8_0", rules[i], host.cores, 0});
        if (m) CHECK_INT(planned[i], eng_model_info(m).compute_bytes);
        eng_model_free(m);
        eng_plan_free(plan);
        free((void *)header.data);
    }
    CHECK(planned[1] > planned[0]);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"names are listed", names_are_listed},
        {"each that runs is used", each_that_runs_is_used},
        {"example instead of our own", example_instead_of_our_own},
        {"example with bytes", example_with_bytes},
        {"each matrix by itself", each_matrix_by_itself},
        {"all mixed", all_mixed},
        {"stays as long as its models", stays_as_long_as_its_models},
        {"plans tell kernels", plans_tell_kernels},
        {"buffers are planned", buffers_are_planned},
        {"refused", plugin_refused},
        {"refused on the GPU", plugin_refused_on_gpu},
        {"experts apart", plugin_experts_apart},
    };
    unsetenv("HEARTH_CPU_MASK");
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
