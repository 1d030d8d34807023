#include <string.h>

#include "cli/command.h"
#include "cli/base/console.h"
#include "cli/base/io.h"
#include "models/remote.h"

typedef struct {
    HearthCommon common;
} Values;

static const HearthOption options[] = {{NULL}};

/* Sums over the parts of a model. Only the first part knows the counts of experts. */
typedef struct {
    uint64_t parameters, active_parameters, tensor_bytes;
    size_t n_tensors;
} Totals;

static uint64_t active_elements(const EngPeek *part, const EngPeek *first)
{
    double active = 0;
    for (size_t i = 0; i < part->n_tensors; i++) {
        const EngPeekTensor *tensor = &part->tensors[i];
        double elements = 1;
        for (int d = 0; d < tensor->n_dims; d++) elements *= (double)tensor->shape[d];
        bool routed = strstr(tensor->name, "_exps.") && first->n_experts > 0;
        active += routed ? elements * first->n_experts_used / first->n_experts : elements;
    }
    return (uint64_t)active;
}

static Totals sum(const GPtrArray *parts)
{
    const EngPeek *first = parts->pdata[0];
    Totals totals = {.active_parameters = first->active_parameters};
    for (guint i = 0; i < parts->len; i++) {
        const EngPeek *part = parts->pdata[i];
        totals.parameters += part->parameters;
        totals.tensor_bytes += part->tensor_bytes;
        totals.n_tensors += part->n_tensors;
        if (i > 0) totals.active_parameters += active_elements(part, first);
    }
    return totals;
}

static void add_tensor(JsonBuilder *out, const EngPeekTensor *tensor)
{
    json_builder_begin_object(out);
    hearth_io_json_text(out, "name", tensor->name, -1);
    hearth_io_json_text(out, "type", tensor->type, -1);
    json_builder_set_member_name(out, "shape");
    json_builder_begin_array(out);
    for (int d = 0; d < tensor->n_dims; d++)
        json_builder_add_int_value(out, (gint64)tensor->shape[d]);
    json_builder_end_array(out);
    hearth_io_json_int(out, "bytes", tensor->bytes);
    json_builder_end_object(out);
}

static bool print_json(const GPtrArray *parts, GError **error)
{
    const EngPeek *first = parts->pdata[0];
    Totals totals = sum(parts);
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_text(out, "arch", first->arch, -1);
    hearth_io_json_text(out, "name", first->name, -1);
    hearth_io_json_int(out, "parameters", totals.parameters);
    hearth_io_json_int(out, "active_parameters", totals.active_parameters);
    hearth_io_json_int(out, "context", first->context);
    hearth_io_json_text(out, "quant", first->quant, -1);
    hearth_io_json_int(out, "layers", (uint64_t)first->n_layers);
    hearth_io_json_int(out, "experts", (uint64_t)first->n_experts);
    hearth_io_json_int(out, "experts_used", (uint64_t)first->n_experts_used);
    hearth_io_json_int(out, "parts", (uint64_t)first->n_parts);
    hearth_io_json_int(out, "tensor_bytes", totals.tensor_bytes);
    json_builder_set_member_name(out, "supported");
    json_builder_add_boolean_value(out, first->supported);
    hearth_io_json_text(out, "reason", first->reason, -1);
    json_builder_set_member_name(out, "tensors");
    json_builder_begin_array(out);
    for (guint i = 0; i < parts->len; i++) {
        const EngPeek *part = parts->pdata[i];
        for (size_t t = 0; t < part->n_tensors; t++) add_tensor(out, &part->tensors[t]);
    }
    json_builder_end_array(out);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

/* 671026419200 → "671 billion", 7910400 → "7.91 million" */
static char *count_text(uint64_t n)
{
    static const struct {
        double unit;
        const char *name;
    } scales[] = {{1e9, "billion"}, {1e6, "million"}, {1e3, "thousand"}};
    for (size_t i = 0; i < G_N_ELEMENTS(scales); i++)
        if ((double)n >= scales[i].unit)
            return g_strdup_printf("%.4g %s", (double)n / scales[i].unit, scales[i].name);
    return g_strdup_printf("%" G_GUINT64_FORMAT, n);
}

static void append_tensor(GString *out, const EngPeekTensor *tensor)
{
    g_autoptr(GString) shape = g_string_new(NULL);
    for (int d = 0; d < tensor->n_dims; d++)
        g_string_append_printf(shape, "%s%" G_GUINT64_FORMAT, d ? " x " : "", tensor->shape[d]);
    g_string_append_printf(out, "%-40s %-7s %24s %14" G_GUINT64_FORMAT "\n", tensor->name,
                           tensor->type, shape->str, tensor->bytes);
}

static void append_summary(GString *out, const GPtrArray *parts)
{
    const EngPeek *first = parts->pdata[0];
    Totals totals = sum(parts);
    g_autofree char *all = count_text(totals.parameters),
                    *active = count_text(totals.active_parameters),
                    *size = g_format_size_full(totals.tensor_bytes, G_FORMAT_SIZE_IEC_UNITS);
    if (*first->name) g_string_append_printf(out, "Name        %s\n", first->name);
    g_string_append_printf(out, "Family      %s, %s\n", *first->arch ? first->arch : "not stated",
                           first->supported ? "runs here" : "does not run here");
    if (!first->supported) g_string_append_printf(out, "            %s\n", first->reason);
    g_string_append_printf(out, "Parameters  %s, %s of them used for a token\n", all, active);
    if (first->n_experts > 0)
        g_string_append_printf(out, "Experts     %d in a layer, %d used for a token\n",
                               first->n_experts, first->n_experts_used);
    g_string_append_printf(out, "Layers      %d\n", first->n_layers);
    if (first->context)
        g_string_append_printf(out, "Context     %" G_GUINT64_FORMAT " tokens\n", first->context);
    else
        g_string_append(out, "Context     not stated\n");
    g_string_append_printf(out, "Weights     %s, %s in %zu tensors", first->quant, size,
                           totals.n_tensors);
    if (first->n_parts > 1) g_string_append_printf(out, " and %d files", first->n_parts);
    g_string_append(out, "\n");
}

static bool print_plain(const GPtrArray *parts, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    append_summary(out, parts);
    g_string_append_printf(out, "\n%-40s %-7s %24s %14s\n", "Tensor", "Type", "Shape", "Bytes");
    for (guint i = 0; i < parts->len; i++) {
        const EngPeek *part = parts->pdata[i];
        for (size_t t = 0; t < part->n_tensors; t++) append_tensor(out, &part->tensors[t]);
    }
    g_autofree char *clean = hearth_console_clean(out->str);
    return hearth_io_write(clean, strlen(clean), error);
}

static GPtrArray *peek_remote(const char *url, GError **error)
{
    g_autoptr(GPtrArray) remote = hearth_remote_parts(url, error);
    if (!remote) return NULL;
    GPtrArray *parts = g_ptr_array_new_with_free_func((GDestroyNotify)eng_peek_free);
    for (guint i = 0; i < remote->len; i++)
        g_ptr_array_add(parts, g_steal_pointer(&((HearthRemotePart *)remote->pdata[i])->peek));
    return parts;
}

static GPtrArray *peek(const char *where, GError **error)
{
    if (hearth_remote_is_url(where)) return peek_remote(where, error);
    EngError failure = {0};
    EngPeek *file = eng_peek(where, &failure);
    if (!file) {
        hearth_error_from_engine(error, &failure);
        return NULL;
    }
    GPtrArray *parts = g_ptr_array_new_with_free_func((GDestroyNotify)eng_peek_free);
    g_ptr_array_add(parts, file);
    return parts;
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    if (!hearth_command_require(operands[0], "inspect", "a file or an address", error))
        return false;
    g_autoptr(GPtrArray) parts = peek(operands[0], error);
    if (!parts) return false;
    return values->common.json ? print_json(parts, error) : print_plain(parts, error);
}

const HearthCommand hearth_inspect_command = {
    .name = "inspect",
    .summary = "show what is in a model file, without loading it",
    .synopsis = "[--json] MODEL|URL",
    .details = "Reads only the header of a GGUF file, and of all its parts. Over http and https\n"
               "a few megabytes are fetched. Shapes are written as in the file: the contiguous\n"
               "dimension first.",
    .options = options,
    .values_size = sizeof(Values),
    .max_operands = 1,
    .run = run,
};
