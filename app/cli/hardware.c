#include "cli/command.h"
#include "cli/base/io.h"

typedef struct {
    HearthCommon common;
    gboolean kernels;
} Values;

static const HearthOption options[] = {
    {"kernels", 0, HEARTH_OPTION_FLAG, NULL, offsetof(Values, kernels), 0, 0,
     "list the kernels that rules can name; (those) cannot run here"},
    {NULL},
};

/* ---- the machine ----------------------------------------------------------------------------- */

/* "gpu" is the one that is used when nothing else is said. */
static void add_gpus(JsonBuilder *out, const EngHost *host)
{
    const EngHostGpu none = {0}, *first = host->n_gpus ? host->gpus : &none;
    json_builder_set_member_name(out, "gpu");
    json_builder_begin_object(out);
    hearth_io_json_text(out, "name", first->name, -1);
    hearth_io_json_text(out, "reason", host->gpu_reason, -1);
    hearth_io_json_int(out, "vram_total", first->vram_total);
    hearth_io_json_int(out, "vram_available", first->vram_available);
    json_builder_end_object(out);
    json_builder_set_member_name(out, "gpus");
    json_builder_begin_array(out);
    for (int i = 0; i < host->n_gpus; i++) {
        json_builder_begin_object(out);
        hearth_io_json_text(out, "name", host->gpus[i].name, -1);
        hearth_io_json_int(out, "vram_total", host->gpus[i].vram_total);
        hearth_io_json_int(out, "vram_available", host->gpus[i].vram_available);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
}

static bool print_json(const EngHost *host, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    json_builder_set_member_name(out, "cpu");
    json_builder_begin_object(out);
    hearth_io_json_text(out, "name", host->cpu_name, -1);
    hearth_io_json_text(out, "isa", host->isa, -1);
    hearth_io_json_text(out, "isa_limit", host->isa_limit, -1);
    hearth_io_json_text(out, "no_amx", host->no_amx, -1);
    hearth_io_json_int(out, "cores", (uint64_t)host->cores);
    hearth_io_json_int(out, "threads", (uint64_t)host->threads);
    hearth_io_json_int(out, "l1d_bytes", host->l1d_bytes);
    hearth_io_json_int(out, "l2_bytes", host->l2_bytes);
    hearth_io_json_int(out, "l3_bytes", host->l3_bytes);
    json_builder_end_object(out);
    json_builder_set_member_name(out, "nodes");
    json_builder_begin_array(out);
    for (int i = 0; i < host->nodes; i++) {
        json_builder_begin_object(out);
        hearth_io_json_int(out, "dram_bytes", host->node_bytes[i]);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
    hearth_io_json_int(out, "dram_total", host->dram_total);
    hearth_io_json_int(out, "dram_available", host->dram_available);
    add_gpus(out, host);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static void add_line(GString *out, const char *name, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
static void add_line(GString *out, const char *name, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    g_string_append_printf(out, "%-14s ", name);
    g_string_append_vprintf(out, fmt, args);
    g_string_append_c(out, '\n');
    va_end(args);
}

static char *size_text(uint64_t bytes)
{
    return bytes ? g_format_size_full(bytes, G_FORMAT_SIZE_IEC_UNITS) : g_strdup("unknown");
}

static bool print_plain(const EngHost *host, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *l1 = size_text(host->l1d_bytes), *l2 = size_text(host->l2_bytes),
                    *l3 = size_text(host->l3_bytes), *dram = size_text(host->dram_total),
                    *free_dram = size_text(host->dram_available);
    add_line(out, "CPU", "%s", host->cpu_name);
    add_line(out, "Cores", "%d, with %d hardware threads", host->cores, host->threads);
    add_line(out, "Instructions", "%s", *host->isa ? host->isa : "portable C only");
    if (*host->no_amx) add_line(out, "", "without AMX: %s", host->no_amx);
    if (*host->isa_limit) add_line(out, "", "limited by HEARTH_CPU_MASK=%s", host->isa_limit);
    add_line(out, "Caches", "L1 %s, L2 %s, L3 %s", l1, l2, l3);
    add_line(out, "DRAM", "%s, %s available", dram, free_dram);
    for (int i = 0; i < host->nodes && host->nodes > 1; i++) {
        g_autofree char *size = size_text(host->node_bytes[i]);
        add_line(out, i ? "" : "NUMA nodes", "%d: %s", i, size);
    }
    for (int i = 0; i < host->n_gpus; i++) {
        const EngHostGpu *gpu = &host->gpus[i];
        g_autofree char *vram = size_text(gpu->vram_total),
                        *free_vram = size_text(gpu->vram_available),
                        *name = host->n_gpus > 1 ? g_strdup_printf("GPU %d", i) : g_strdup("GPU");
        add_line(out, name, "%s, VRAM %s, %s available", gpu->name, vram, free_vram);
    }
    if (host->n_gpus == 0) add_line(out, "GPU", "none in use: %s", host->gpu_reason);
    return hearth_io_write(out->str, out->len, error);
}

/* ---- kernels --------------------------------------------------------------------------------- */

static bool print_kernels_json(const EngHost *host, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    json_builder_set_member_name(out, "kernels");
    json_builder_begin_array(out);
    EngKernelInfo kernel;
    for (int i = 0; eng_kernel_info(i, host, &kernel); i++) {
        json_builder_begin_object(out);
        hearth_io_json_text(out, "name", kernel.name, -1);
        hearth_io_json_text(out, "type", kernel.type, -1);
        json_builder_set_member_name(out, "runs");
        json_builder_add_boolean_value(out, kernel.runs);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

/* A line for each format; in brackets what cannot be used here. */
static bool print_kernels_plain(const EngHost *host, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    const char *type = "";
    EngKernelInfo kernel;
    for (int i = 0; eng_kernel_info(i, host, &kernel); i++) {
        if (!g_str_equal(kernel.type, type))
            g_string_append_printf(out, "%s%-8s", *type ? "\n" : "", kernel.type);
        g_string_append_printf(out, kernel.runs ? " %s" : " (%s)", kernel.name);
        type = kernel.type;
    }
    g_string_append_c(out, '\n');
    return hearth_io_write(out->str, out->len, error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    (void)operands;
    EngError failure = {0};
    EngHost host;
    if (!eng_probe(&host, &failure)) return hearth_error_from_engine(error, &failure);
    if (values->kernels)
        return values->common.json ? print_kernels_json(&host, error)
                                   : print_kernels_plain(&host, error);
    return values->common.json ? print_json(&host, error) : print_plain(&host, error);
}

const HearthCommand hearth_hardware_command = {
    .name = "hardware",
    .summary = "show what this computer offers",
    .synopsis = "[--kernels] [--json]",
    .details = "Shows the CPU with the instruction sets that will be used, the caches, DRAM, and\n"
               "the GPU or why none is used. With --kernels: what can stand behind kernel= in\n"
               "the rules of `plan`.",
    .options = options,
    .values_size = sizeof(Values),
    .run = run,
};
