#include <string.h>

#include "cli/base/console.h"
#include "cli/base/io.h"
#include "cli/command.h"
#include "cli/forecast/subject.h"

typedef struct {
    HearthCommon common;
    const char *quant, *kv, *rules, *gpu;
    guint64 vram, dram;
    int context, gpus;
    HearthExpertOptions experts;
} Values;

static const HearthOption options[] = {
    {"quant", 'q', HEARTH_OPTION_TEXT, "NAME", offsetof(Values, quant), 0, 0,
     "quantization of a SHAPE: Q4_K_M, Q2_K, IQ2_XXS, … (Q4_K_M)"},
    {"vram", 0, HEARTH_OPTION_SIZE, "SIZE", offsetof(Values, vram), 0, 0,
     "memory of a GPU, there or not: 24GiB (what is free on the one here)"},
    {"dram", 0, HEARTH_OPTION_SIZE, "SIZE", offsetof(Values, dram), 0, 0,
     "memory beside it: 382GiB (what is free)"},
    {"gpus", 0, HEARTH_OPTION_INT, "N", offsetof(Values, gpus), 1, ENG_MAX_GPUS,
     "how many GPUs may be used (1, or as many as --rules name)"},
    {"context", 0, HEARTH_OPTION_INT, "N", offsetof(Values, context), 1, 1 << 26,
     "tokens of context (4096, or as many as the model knows)"},
    {"kv", 0, HEARTH_OPTION_CHOICE, "f16|q8_0", offsetof(Values, kv), 0, 0,
     "16 bits per number of the context, or 8 (f16)"},
    {"rules", 0, HEARTH_OPTION_TEXT, "FILE", offsetof(Values, rules), 0, 0,
     "lines that say what lies where, and what multiplies it: see above"},
    {"gpu", 0, HEARTH_OPTION_CHOICE, "auto|off", offsetof(Values, gpu), 0, 0,
     "whether a GPU may be used where there is one (auto)"},
    HEARTH_EXPERT_OPTIONS(Values, experts),
    {NULL},
};

static void defaults(void *data)
{
    Values *values = data;
    values->kv = "f16";
    values->gpu = "auto";
}

/* ---- making it ------------------------------------------------------------------------------- */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngGauge, eng_gauge_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngPlan, eng_plan_free)

/* The format that holds most bytes. */
static const char *main_type(const HearthSubject *s)
{
    g_autoptr(GHashTable) sums = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    const char *main = NULL;
    guint64 most = 0;
    for (guint p = 0; p < s->peeks->len; p++) {
        const EngPeek *peek = s->peeks->pdata[p];
        for (size_t i = 0; i < peek->n_tensors; i++) {
            const EngPeekTensor *t = &peek->tensors[i];
            guint64 *sum = g_hash_table_lookup(sums, t->type);
            if (!sum) g_hash_table_insert(sums, (void *)t->type, sum = g_new0(guint64, 1));
            *sum += t->bytes;
            if (*sum <= most) continue;
            most = *sum;
            main = t->type;
        }
    }
    return main;
}

/* What the memory gives here, and what the kernel reaches that multiplies most. */
static bool measure(const HearthSubject *s, EngPlanSpeeds *ret, GError **error)
{
    enum { TOKENS = 128 };
    EngError failure = {0};
    const char *type = main_type(s);
    hearth_console_progress("Measuring what the machine can do");
    g_autoptr(EngGauge) gauge = eng_gauge_new(0, &failure);
    if (gauge) {
        ret->dram_gb_s = eng_gauge_limits(gauge).read_gb_s;
        if (type) ret->cpu_gop_s = eng_gauge_product(gauge, type, TOKENS);
    }
    hearth_console_progress_done();
    return gauge || hearth_error_from_engine(error, &failure);
}

static EngPlan *make(const HearthSubject *s, const Values *values, GError **error)
{
    EngPlanSettings settings = eng_plan_defaults();
    EngError failure = {0};
    g_autofree char *rules = NULL;
    settings.vram = values->vram;
    settings.gpus = values->gpus;
    settings.dram = values->dram;
    settings.context = values->context;
    settings.experts = values->experts.used;
    settings.defer = values->experts.defer;
    settings.no_gpu = strcmp(values->gpu, "off") == 0;
    eng_kv_type(values->kv, &settings.kv);
    if (values->rules && !hearth_io_read_text(values->rules, "file of rules", &rules, error))
        return NULL;
    settings.rules = rules;
    if (!measure(s, &settings.speeds, error)) return NULL;
    EngPlan *plan = s->path ? eng_plan_file(s->path, &settings, &failure)
                            : eng_plan((const EngHeader *)(void *)s->headers->data, s->headers->len,
                                       &settings, &failure);
    if (!plan) hearth_error_from_engine(error, &failure);
    return plan;
}

/* ---- the report ------------------------------------------------------------------------------ */

static char *place_name(const EngPlan *plan, EngPlace place)
{
    if (place.kind == ENG_PLACE_GPU) return g_strdup_printf("gpu%d", place.index);
    if (place.kind == ENG_PLACE_DISK) return g_strdup("disk");
    return plan->nodes > 1 ? g_strdup_printf("numa%d", place.index) : g_strdup("cpu");
}

static void add_speeds(JsonBuilder *out, const EngPlanSpeeds *s)
{
    json_builder_set_member_name(out, "speeds");
    json_builder_begin_object(out);
    hearth_io_json_real(out, "dram_gb_s", s->dram_gb_s);
    hearth_io_json_real(out, "cpu_gop_s", s->cpu_gop_s);
    hearth_io_json_real(out, "vram_gb_s", s->vram_gb_s);
    hearth_io_json_real(out, "gpu_gop_s", s->gpu_gop_s);
    hearth_io_json_real(out, "pcie_gb_s", s->pcie_gb_s);
    hearth_io_json_real(out, "disk_gb_s", s->disk_gb_s);
    json_builder_end_object(out);
}

static void add_rows(JsonBuilder *out, const EngPlan *plan)
{
    json_builder_set_member_name(out, "rows");
    json_builder_begin_array(out);
    for (size_t i = 0; i < plan->n_rows; i++) {
        g_autofree char *place = place_name(plan, plan->rows[i].place);
        json_builder_begin_object(out);
        hearth_io_json_text(out, "kind", eng_plan_kind_name(plan->rows[i].kind), -1);
        hearth_io_json_text(out, "device", place, -1);
        hearth_io_json_int(out, "bytes", plan->rows[i].bytes);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
}

static void add_kernels(JsonBuilder *out, const EngPlan *plan)
{
    const char *name;
    json_builder_set_member_name(out, "kernels");
    json_builder_begin_array(out);
    for (int i = 0, n; eng_plan_kernel(plan, i, &name, &n); i++) {
        json_builder_begin_object(out);
        hearth_io_json_text(out, "name", name, -1);
        hearth_io_json_int(out, "matrices", (uint64_t)n);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
}

static bool print_json(const HearthSubject *s, const EngPlan *plan, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_text(out, "name", s->name, -1);
    hearth_io_json_text(out, "gpu", plan->gpu, -1);
    json_builder_set_member_name(out, "gpu_assumed");
    json_builder_add_boolean_value(out, plan->assumed);
    hearth_io_json_text(out, "reason", plan->reason, -1);
    hearth_io_json_int(out, "vram_bytes", plan->vram);
    hearth_io_json_int(out, "vram_reserve", plan->vram_reserve);
    hearth_io_json_int(out, "dram_bytes", plan->dram);
    hearth_io_json_int(out, "dram_reserve", plan->dram_reserve);
    hearth_io_json_int(out, "context", (uint64_t)plan->context);
    hearth_io_json_int(out, "batch", (uint64_t)plan->batch);
    add_rows(out, plan);
    add_kernels(out, plan);
    hearth_io_json_int(out, "expert_layers", (uint64_t)plan->expert_layers);
    hearth_io_json_int(out, "expert_layers_in_vram", (uint64_t)plan->expert_layers_in_vram);
    hearth_io_json_int(out, "cached_experts", (uint64_t)plan->cached_experts);
    hearth_io_json_real(out, "expert_hit_rate", plan->cache_hit_rate);
    hearth_io_json_real(out, "token_vram_gb", plan->token_vram_bytes * 1e-9);
    hearth_io_json_real(out, "token_dram_gb", plan->token_dram_bytes * 1e-9);
    hearth_io_json_real(out, "token_disk_gb", plan->token_disk_bytes * 1e-9);
    hearth_io_json_real(out, "token_gop", 2 * plan->token_products * 1e-9);
    hearth_io_json_int(out, "crossings", (uint64_t)plan->crossings);
    hearth_io_json_int(out, "prompt", (uint64_t)plan->prompt);
    hearth_io_json_real(out, "predicted_prefill_tok_s", plan->prefill_tok_s);
    hearth_io_json_text(out, "prefill_term", plan->prefill_term, -1);
    hearth_io_json_real(out, "predicted_decode_tok_s", plan->decode_tok_s);
    hearth_io_json_text(out, "decode_term", plan->decode_term, -1);
    hearth_io_json_real(out, "load_s", plan->load_s);
    add_speeds(out, &plan->speeds);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static char *size_text(guint64 bytes) { return g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS); }

static bool same(EngPlace a, EngPlace b) { return a.kind == b.kind && a.index == b.index; }

static guint64 amount(const EngPlan *plan, int kind, EngPlace place)
{
    guint64 sum = 0;
    for (size_t i = 0; i < plan->n_rows; i++)
        if ((kind < 0 || (int)plan->rows[i].kind == kind) && same(plan->rows[i].place, place))
            sum += plan->rows[i].bytes;
    return sum;
}

/* One column for each place that has anything, one line for each kind. */
static void append_table(GString *out, const EngPlan *plan)
{
    g_autoptr(GArray) places = g_array_new(FALSE, FALSE, sizeof(EngPlace));
    for (int g = 0; g < plan->n_gpus; g++) {
        EngPlace gpu = {ENG_PLACE_GPU, g};
        g_array_append_val(places, gpu);
    }
    for (int n = 0; n < plan->nodes; n++) {
        EngPlace node = {ENG_PLACE_CPU, n};
        g_array_append_val(places, node);
    }
    EngPlace disk = {ENG_PLACE_DISK, -1};
    if (amount(plan, -1, disk)) g_array_append_val(places, disk);
    g_string_append_printf(out, "%-16s", "");
    for (guint i = 0; i < places->len; i++) {
        g_autofree char *name = place_name(plan, g_array_index(places, EngPlace, i));
        g_string_append_printf(out, "%12s", name);
    }
    g_string_append_c(out, '\n');
    for (int kind = 0; kind <= ENG_PLAN_KINDS; kind++) {
        bool all = kind == ENG_PLAN_KINDS, any = all;
        g_autoptr(GString) line = g_string_new(NULL);
        for (guint i = 0; i < places->len; i++) {
            guint64 bytes = amount(plan, all ? -1 : kind, g_array_index(places, EngPlace, i));
            g_autofree char *text = bytes ? size_text(bytes) : g_strdup("");
            g_string_append_printf(line, "%12s", text);
            any = any || bytes;
        }
        const char *name = all ? "all" : eng_plan_kind_name((EngPlanKind)kind);
        if (any) g_string_append_printf(out, "%-16s%s\n", name, line->str);
    }
}

static void append_devices(GString *out, const EngPlan *plan)
{
    g_autofree char *vram = size_text(plan->vram), *spare = size_text(plan->vram_reserve),
                    *dram = size_text(plan->dram), *dram_spare = size_text(plan->dram_reserve);
    const EngPlanSpeeds *s = &plan->speeds;
    if (*plan->gpu)
        g_string_append_printf(out, "GPU       %s with %s of VRAM, %s of it left alone%s\n",
                               plan->gpu, vram, spare,
                               plan->assumed ? "; there is none here: one is assumed" : "");
    else
        g_string_append_printf(out, "GPU       none, all is on the CPU: %s\n", plan->reason);
    g_string_append_printf(out, "DRAM      %s, %s of it left alone\n", dram, dram_spare);
    g_string_append_printf(out, "Speeds    DRAM %.0f GB/s, CPU %.0f Gop/s", s->dram_gb_s,
                           s->cpu_gop_s);
    if (*plan->gpu)
        g_string_append_printf(out, ", VRAM %.0f GB/s, GPU %.0f Gop/s, PCIe %.0f GB/s",
                               s->vram_gb_s, s->gpu_gop_s, s->pcie_gb_s);
    g_string_append_printf(out, ", disk %.0f GB/s\n", s->disk_gb_s);
}

static bool print_plain(const HearthSubject *s, const EngPlan *plan, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_string_append_printf(out, "%s, %d tokens of context\n\n", s->name, plan->context);
    append_devices(out, plan);
    g_string_append_c(out, '\n');
    append_table(out, plan);
    if (*plan->gpu && plan->expert_layers)
        g_string_append_printf(out, "\nOf %d layers with experts, %d have theirs in VRAM.\n",
                               plan->expert_layers, plan->expert_layers_in_vram);
    if (plan->cached_experts)
        g_string_append_printf(
            out,
            "\nVRAM that is left caches %d experts of the other layers, %.0f %% of "
            "theirs;\nthe speeds below expect nothing of that.\n",
            plan->cached_experts, 100 * plan->cache_hit_rate);
    const char *kernel;
    for (int i = 0, n; eng_plan_kernel(plan, i, &kernel, &n); i++)
        g_string_append_printf(out, "%sKernel %s multiplies %d %s.\n", i ? "" : "\n", kernel, n,
                               n == 1 ? "matrix" : "matrices");
    g_string_append_printf(out, "\nA token reads ");
    if (*plan->gpu)
        g_string_append_printf(out, "%.2f GB of VRAM and ", plan->token_vram_bytes * 1e-9);
    g_string_append_printf(out, "%.2f GB of DRAM", plan->token_dram_bytes * 1e-9);
    if (plan->token_disk_bytes > 0)
        g_string_append_printf(out, ", and %.2f GB from the disk", plan->token_disk_bytes * 1e-9);
    g_string_append_printf(out,
                           "\n\nDecode    %.2f tok/s predicted; most time goes to %s\n"
                           "Prefill   %.2f tok/s predicted for %d tokens, %d at once; most time "
                           "goes to %s\n"
                           "Load      %.0f s\n",
                           plan->decode_tok_s, plan->decode_term, plan->prefill_tok_s, plan->prompt,
                           plan->batch, plan->prefill_term, plan->load_s);
    g_autofree char *clean = hearth_console_clean(out->str);
    return hearth_io_write(clean, strlen(clean), error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    g_auto(HearthSubject) subject = {0};
    if (!hearth_command_require(operands[0], "plan", "a file, an address or a shape", error) ||
        !hearth_subject_choose(&subject, operands[0], values->quant, error))
        return false;
    g_autoptr(EngPlan) plan = make(&subject, values, error);
    if (!plan) return false;
    return values->common.json ? print_json(&subject, plan, error)
                               : print_plain(&subject, plan, error);
}

const HearthCommand hearth_plan_command = {
    .name = "plan",
    .summary = "show where a model would lie, and how fast it should be",
    .synopsis = "[-q NAME] [--vram SIZE] [--dram SIZE] [--context N] [OPTION…] MODEL|URL|SHAPE",
    .details =
        "Fills the GPU's memory by value: the context, buffers, attention and shared experts,\n"
        "which it must have room for; dense layers; the head; then the experts of whole layers.\n"
        "What VRAM is left caches single experts of other layers; a line experts=off of --rules\n"
        "leaves it free. The rest is in DRAM, and what that cannot hold stays on the disk.\n"
        "Reads the header of MODEL, of the file behind URL, or of a known SHAPE: deepseek-r1,\n"
        "kimi-k2, qwen3-235b-a22b, qwen3-30b-a3b, deepseek-v2-lite, mixtral-8x7b. Nothing is\n"
        "loaded.\n\n"
        "Prints a table of bytes, and the speed that follows from what the CPU was just\n"
        "measured to reach and from what is known of the GPU by its name. With --vram and no\n"
        "GPU in the machine, the plan is for a usual card of that size, and says so.\n\n"
        "A line of --rules is REGEX device=gpuN|cpu|numaN|disk: what is found in a tensor's name\n"
        "says that it lies there. REGEX kernel=NAME says what multiplies it (`hardware --kernels`\n"
        "lists them): NAME.cuda where it lies on the GPU, any other where it does not. The first\n"
        "line that fits a tensor holds; # begins a comment. A line plugin=FILE loads a library\n"
        "with more kernels of the CPU for the lines below it, and runs its\n"
        "code with all your rights.",
    .options = options,
    .values_size = sizeof(Values),
    .max_operands = 1,
    .defaults = defaults,
    .run = run,
};
