#include "cli/command.h"
#include "cli/base/io.h"
#include "cli/gauge.h"
#include "cli/loader.h"
#include "cli/measure.h"

typedef struct {
    HearthCommon common;
    const char *model, *weights;
    HearthMeasure measure;
    gboolean kernels, ops;
} Values;

static const HearthOption options[] = {
    {"model", 'm', HEARTH_OPTION_TEXT, "MODEL", offsetof(Values, model), 0, 0,
     "GGUF file (otherwise the built-in model)"},
    HEARTH_MEASURE_OPTIONS(Values, measure, "64", "5, after a warm-up"),
    {"weights", 0, HEARTH_OPTION_CHOICE, "mapped|copied", offsetof(Values, weights), 0, 0,
     "read where the file is mapped, or in huge pages of DRAM (mapped)"},
    {"ops", 0, HEARTH_OPTION_FLAG, NULL, offsetof(Values, ops), 0, 0,
     "also what the CPU's time goes to, op by op"},
    {"kernels", 0, HEARTH_OPTION_FLAG, NULL, offsetof(Values, kernels), 0, 0,
     "measure the machine and the engine's kernels instead of a model"},
    {NULL},
};

static void defaults(void *data)
{
    Values *values = data;
    values->measure = hearth_measure_defaults(64, 5);
    values->weights = "mapped";
}

static bool print(const GArray *rows, double load_s, bool json, GError **error)
{
    if (json) {
        g_autoptr(JsonBuilder) out = json_builder_new();
        json_builder_begin_object(out);
        hearth_measure_add_json(out, rows);
        hearth_io_json_real(out, "load_s", load_s);
        json_builder_end_object(out);
        return hearth_io_write_json(out, error);
    }
    g_autoptr(GString) out = g_string_new(NULL);
    hearth_measure_append(out, rows);
    return hearth_io_write(out->str, out->len, error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    (void)operands;
    if (values->kernels && values->model)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--kernels measures no model: leave out --model.");
    if (values->kernels)
        return hearth_gauge_run(values->measure.threads, values->common.json, error);
    HearthMeasure measure = values->measure;
    measure.warm_up = true;
    measure.ops = values->ops;
    measure.quiet = values->common.json;
    HearthLoad load = {.path = values->model,
                       .threads = measure.threads,
                       .batch = measure.batch,
                       .context = hearth_measure_context(&measure),
                       .kv = hearth_measure_kv(&measure),
                       .gpu = measure.gpu,
                       .experts = measure.experts,
                       .copy = g_str_equal(values->weights, "copied"),
                       .quiet = measure.quiet};
    double load_s;
    g_autoptr(EngModel) model = hearth_loader_open(&load, &load_s, error);
    if (!model) return false;
    g_autoptr(GArray) rows = NULL;
    if (!hearth_measure_run(model, &measure, &rows, error)) return false;
    hearth_loader_tell_lost(model);
    return print(rows, load_s, values->common.json, error);
}

const HearthCommand hearth_bench_command = {
    .name = "bench",
    .summary = "measure how fast a model reads and writes here",
    .synopsis = "[-m MODEL | --kernels] [-p N] [-n N] [-d N] [-r N] [OPTION…]",
    .details =
        "Measures reading a prompt (\"pp512\") and generating token by token (\"tg64\") on\n"
        "random tokens, each several times; \"@d1024\" marks tests behind 1024 tokens of\n"
        "context. Prints tokens per second: median, slowest, fastest.\n\n"
        "With --ops: the time that the CPU's threads take for each kind of op, and how fast\n"
        "it multiplies a prompt with its matrices or, token by token, reads them.\n\n"
        "With --kernels: how fast the threads can read from memory and multiply bytes and\n"
        "floats, what a barrier costs, and how near to that the product with each weight\n"
        "format comes, for one token, for 16 and for 128, and every other kernel. Takes\n"
        "about half a minute.",
    .options = options,
    .values_size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
