#include "cli/command.h"
#include "cli/base/io.h"
#include "cli/gauge.h"
#include "cli/loader.h"
#include "cli/measure.h"

typedef struct {
    HearthCommon common;
    const char *model, *gpu, *kv;
    int prompt, generate, depth, repeat, threads;
    gboolean kernels;
} Values;

static const HearthOption options[] = {
    {"model", 'm', HEARTH_OPTION_TEXT, "MODEL", offsetof(Values, model), 0, 0,
     "GGUF file (otherwise the built-in model)"},
    {"prompt-tokens", 'p', HEARTH_OPTION_INT, "N", offsetof(Values, prompt), 0, 1000000,
     "length of the prompt to read (512); 0: skip this test"},
    {"new-tokens", 'n', HEARTH_OPTION_INT, "N", offsetof(Values, generate), 0, 1000000,
     "tokens to generate, one by one (64); 0: skip this test"},
    {"depth", 'd', HEARTH_OPTION_INT, "N", offsetof(Values, depth), 0, 1000000,
     "tokens, made up, already in the context before each test (0)"},
    {"repeat", 'r', HEARTH_OPTION_INT, "N", offsetof(Values, repeat), 1, 1000,
     "times each test is measured, after a warm-up (5)"},
    {"threads", 0, HEARTH_OPTION_INT, "N", offsetof(Values, threads), 1, 512,
     "worker threads (otherwise one per physical core)"},
    {"kv", 0, HEARTH_OPTION_CHOICE, "f16|q8_0", offsetof(Values, kv), 0, 0,
     "16 bits per number of the context, or 8 (f16)"},
    {"gpu", 0, HEARTH_OPTION_CHOICE, "auto|off", offsetof(Values, gpu), 0, 0,
     "whether a GPU may be used where there is one (auto)"},
    {"kernels", 0, HEARTH_OPTION_FLAG, NULL, offsetof(Values, kernels), 0, 0,
     "measure the machine and the engine's kernels instead of a model"},
    {NULL},
};

static void defaults(void *data)
{
    Values *values = data;
    values->prompt = 512;
    values->generate = 64;
    values->repeat = 5;
    values->gpu = "auto";
    values->kv = "f16";
}

static bool print(const GArray *rows, bool json, GError **error)
{
    if (json) {
        g_autoptr(JsonBuilder) out = json_builder_new();
        json_builder_begin_object(out);
        hearth_measure_add_json(out, rows);
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
    if (values->kernels) return hearth_gauge_run(values->threads, values->common.json, error);
    HearthLoad load = {values->model, values->threads, 0, values->common.json};
    g_autoptr(EngModel) model = hearth_loader_open(&load, error);
    if (!model) return false;
    HearthMeasure measure = {.prompt = values->prompt,
                             .generate = values->generate,
                             .depth = values->depth,
                             .repeat = values->repeat,
                             .warm_up = true,
                             .quiet = values->common.json,
                             .kv = values->kv};
    g_autoptr(GArray) rows = NULL;
    return hearth_measure_run(model, &measure, &rows, error) &&
           print(rows, values->common.json, error);
}

const HearthCommand hearth_bench_command = {
    .name = "bench",
    .summary = "measure how fast a model reads and writes here",
    .synopsis = "[-m MODEL | --kernels] [-p N] [-n N] [-d N] [-r N] [OPTION…]",
    .details =
        "Measures reading a prompt (\"pp512\") and generating token by token (\"tg64\") on\n"
        "random tokens, each several times; \"@d1024\" marks tests behind 1024 tokens of\n"
        "context. Prints tokens per second: median, slowest, fastest.\n\n"
        "With --kernels: how fast the threads can read from memory and multiply bytes, what\n"
        "a barrier costs, and how near to that the product with each weight format comes,\n"
        "for one token and for 128. Takes about half a minute.",
    .options = options,
    .values_size = sizeof(Values),
    .defaults = defaults,
    .run = run,
};
