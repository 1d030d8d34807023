/* What cannot be done, and whether the message names the line, the cause and what there is. */
#define TEST_PART
#include <unistd.h>

#include "plugin.h"
#include "unit/model/thought_model.h"

typedef struct {
    const char *fault; /* of broken.c */
    const char *rules;
    const char *words[4];
} Refusal;

/* Never a model, never a plan; not even one that is asked for no plug-in's kernel. */
static void check_refused(const Refusal *r)
{
    EngHeader header = thought_model("qwen3moe", "Q8_0");
    EngModelSettings set = {.threads = 1, .batch = 8, .rules = r->rules, .no_gpu = true};
    EngPlanSettings want = eng_plan_defaults();
    want.rules = r->rules;
    want.no_gpu = true;
    if (r->fault) setenv("BROKEN_PLUGIN", r->fault, 1);
    for (int plans = 0; plans < 2; plans++) {
        EngError err = {0};
        EngModel *m = plans ? NULL : eng_model_rehearse(&header, 1, (uint64_t)1 << 28, &set, &err);
        EngPlan *plan = plans ? eng_plan(&header, 1, &want, &err) : NULL;
        CHECK_MSG(!m && !plan, "%s: not refused", r->fault ? r->fault : r->rules);
        CHECK_INT(err.code, ENG_ERR_USAGE);
        for (int i = 0; i < 4 && r->words[i]; i++)
            CHECK_MSG(strstr(err.message, r->words[i]), "%s: \"%s\" is not in: %s",
                      r->fault ? r->fault : r->rules, r->words[i], err.message);
        CHECK_MSG(strchr(".:", err.message[strlen(err.message) - 1]) ||
                      strstr(err.message, "opened ("),
                  "cut: %s", err.message);
        eng_model_free(m);
        eng_plan_free(plan);
    }
    unsetenv("BROKEN_PLUGIN");
    free((void *)header.data);
}

#define BROKEN "\nplugin=" BROKEN_PLUGIN "\n"
#define NEW_HEADER "with this version's hearth_plugin.h"

static const Refusal refusals[] = {
    /* files */
    {NULL, "plugin=./none.so", {"Line 1 ", "./none.so", "No such file"}},
    {NULL, "plugin=libm.so.6", {"Line 1 ", "./libm.so.6", "No such file"}},
    {NULL, "# none\n plugin=", {"Line 2 ", "no file"}},
    {NULL, "plugin=/", {"Line 1 ", "directory"}},
    {NULL, "plugin=" NO_PLUGIN_PLUGIN, {"Line 1 ", "no plug-in", "hearth_plugin_version"}},
    /* what they register */
    {"version", BROKEN, {"Line 2 ", "version 2", "version 1", NEW_HEADER}},
    {"nothing", BROKEN, {"Line 2 ", "no kernel"}},
    {"size", BROKEN, {"Line 2 ", "not filled in", NEW_HEADER}},
    {"no name", BROKEN, {"Line 2 ", "not filled in"}},
    {"no function", BROKEN, {"Line 2 ", "not filled in"}},
    {"no kernel", BROKEN, {"Line 2 ", "not filled in"}},
    {"format", BROKEN, {"Line 2 ", "\"broken\"", "format number 4"}},
    {"far format", BROKEN, {"Line 2 ", "\"broken\"", "format number 123456"}},
    {"float form", BROKEN, {"Line 2 ", "form 1", "F32"}},
    {"wide form", BROKEN, {"Line 2 ", "form 2", "Q8_0"}},
    {"no form", BROKEN, {"Line 2 ", "form 3"}},
    {"empty name", BROKEN, {"Line 2 ", "1 to 63 characters"}},
    {"blank", BROKEN, {"Line 2 ", "two words", "no blanks"}},
    {"long name", BROKEN, {"Line 2 ", "1 to 63 characters"}},
    {"taken", BROKEN, {"Line 2 ", "\"q8_0.c\"", "already"}},
    {"twice", BROKEN, {"Line 2 ", "\"broken\"", "already"}},
    {"", BROKEN BROKEN, {"Line 4 ", "\"broken\"", "already"}},
    /* names */
    {"",
     BROKEN "_exps kernel=broken2",
     {"Line 3 ", "\"broken2\"", "Q8_0 has q8_0.c", ", broken, and what"}},
    {NULL, "_exps kernel=broken" BROKEN, {"Line 1 ", "no kernel \"broken\"", "Q8_0 has q8_0.c"}},
    {NULL, "attn_q kernel=q8_0.c\nattn_q kernel=nobody", {"Line 2 ", "no kernel \"nobody\""}},
    {NULL, "attn_q kernel=q4_k.c", {"Line 1 ", "q4_k.c", "Q4_K", "Q8_0: that has q8_0.c"}},
    {NULL, "ffn_ kernel=q8_0.c", {"Line 1 ", "ffn_gate_inp.weight", "F32", "f32.c"}},
    {NULL, "_norm kernel=f32.c", {"Line 1 ", "\"_norm\"", "nothing is multiplied"}},
    {NULL, "attn_q kernel=", {"Line 1 ", "no kernel behind"}},
    {NULL, "attn_q kernel=q8_0.c kernel=q8_0.c", {"Line 1 ", "two kernels"}},
};

void plugin_refused(void)
{
    for (size_t i = 0; i < TEST_COUNT(refusals); i++) check_refused(&refusals[i]);
    setenv("HEARTH_CPU_MASK", "c", 1);
#if defined(__x86_64__)
    Refusal masked = {
        NULL, "attn_q kernel=q8_0.avx2", {"Line 1 ", "HEARTH_CPU_MASK", "has q8_0.c."}};
    check_refused(&masked);
#endif
    unsetenv("HEARTH_CPU_MASK");
}

/* The CPU's kernels are for what lies on the CPU. */
void plugin_refused_on_gpu(void)
{
    EngHeader header = thought_model("qwen3moe", "Q8_0");
    EngPlanSettings want = eng_plan_defaults();
    want.vram = (uint64_t)8 << 30;
    want.rules = "attn_ device=gpu0\n_exps device=cpu kernel=q8_0.c\nattn_output kernel=q8_0.c";
    EngError err = {0};
    EngPlan *plan = eng_plan(&header, 1, &want, &err);
    CHECK(!plan && err.code == ENG_ERR_USAGE);
    CHECK_MSG(strstr(err.message, "Line 3 ") && strstr(err.message, "lies on the GPU") &&
                  strstr(err.message, "attn_output.weight") && strstr(err.message, "device=cpu"),
              "%s", err.message);
    eng_plan_free(plan);
    want.rules = "attn_ device=gpu0\n_exps device=cpu kernel=q8_0.c";
    plan = eng_plan(&header, 1, &want, &err);
    CHECK_MSG(plan, "%s", err.message);
    eng_plan_free(plan);
    free((void *)header.data);
}

/* Files whose experts are tensors of their own: an op multiplies with all of a layer's. */
void plugin_experts_apart(void)
{
    EngPlanSettings want = eng_plan_defaults();
    want.no_gpu = true;
    want.rules = "ffn_gate.1.weight kernel=f32.c";
    EngError err = {0};
    EngPlan *plan = eng_plan_file(VECTORS "/mixtral_old.gguf", &want, &err);
    CHECK(!plan && err.code == ENG_ERR_USAGE);
    CHECK_MSG(strstr(err.message, "Line 1 ") && strstr(err.message, "ffn_gate.1.weight"), "%s",
              err.message);
    eng_plan_free(plan);
    want.rules = "ffn_gate.[0-9].weight kernel=f32.c";
    plan = eng_plan_file(VECTORS "/mixtral_old.gguf", &want, &err);
    CHECK_MSG(plan, "%s", err.message);
    const char *name = "";
    int n = 0;
    CHECK(plan && eng_plan_kernel(plan, 0, &name, &n));
    CHECK_STR(name, "f32.c");
    CHECK_INT(n, 2);
    eng_plan_free(plan);
}
