#include "cli/command.h"
#include "cli/base/console.h"
#include "cli/base/io.h"
#include "cli/gauge.h"
#include "cli/loader.h"

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

typedef struct {
    char *name; /* "pp512", "tg64", "tg64@d1024" */
    int n;
    double median, min, max; /* tok/s */
} Row;

typedef struct {
    const Values *values;
    EngSession *session;
    int32_t *tokens; /* [depth + the longer test], random */
    GArray *rows;    /* of Row */
} Bench;

static void clear_row(void *data) { g_free(((Row *)data)->name); }

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* One run of n tokens after the first `depth`, `step` at a time. */
static bool run_once(Bench *bench, int n, int step, double *ret_speed, GError **error)
{
    EngError failure = {0};
    int depth = bench->values->depth;
    eng_session_rewind(bench->session, (size_t)depth);
    gint64 start = g_get_monotonic_time();
    for (int i = 0; i < n; i += step)
        if (!eng_session_eval(bench->session, bench->tokens + depth + i, (size_t)step, NULL,
                              &failure))
            return hearth_error_from_engine(error, &failure);
    gint64 spent = g_get_monotonic_time() - start;
    *ret_speed = (double)n * G_USEC_PER_SEC / (double)MAX(spent, 1);
    return true;
}

static bool measure(Bench *bench, const char *kind, int n, int step, GError **error)
{
    int repeat = bench->values->repeat;
    g_autofree double *speeds = g_new(double, repeat);
    Row row = {.n = n,
               .name = bench->values->depth
                           ? g_strdup_printf("%s%d@d%d", kind, n, bench->values->depth)
                           : g_strdup_printf("%s%d", kind, n)};
    g_array_append_val(bench->rows, row);
    for (int i = -1; i < repeat; i++) { /* -1: warm-up */
        double speed = 0;
        if (!bench->values->common.json)
            hearth_console_progress("%s · run %d/%d", row.name, MAX(i + 1, 1), repeat);
        if (!run_once(bench, n, step, &speed, error)) return false;
        if (i >= 0) speeds[i] = speed;
    }
    qsort(speeds, (size_t)repeat, sizeof *speeds, compare);
    Row *kept = &g_array_index(bench->rows, Row, bench->rows->len - 1);
    kept->min = speeds[0];
    kept->max = speeds[repeat - 1];
    kept->median = (speeds[(repeat - 1) / 2] + speeds[repeat / 2]) / 2;
    return true;
}

static bool measure_all(Bench *bench, GError **error)
{
    const Values *values = bench->values;
    EngError failure = {0};
    if (!eng_session_pretend(bench->session, (size_t)values->depth, &failure))
        return hearth_error_from_engine(error, &failure);
    return (values->prompt == 0 || measure(bench, "pp", values->prompt, values->prompt, error)) &&
           (values->generate == 0 || measure(bench, "tg", values->generate, 1, error));
}

static bool print_json(const GArray *rows, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    json_builder_set_member_name(out, "rows");
    json_builder_begin_array(out);
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = &g_array_index(rows, Row, i);
        json_builder_begin_object(out);
        hearth_io_json_text(out, "test", row->name, -1);
        hearth_io_json_int(out, "n", (uint64_t)row->n);
        hearth_io_json_real(out, "tok_s_median", row->median);
        hearth_io_json_real(out, "tok_s_min", row->min);
        hearth_io_json_real(out, "tok_s_max", row->max);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static bool print_plain(const GArray *rows, GError **error)
{
    g_autoptr(GString) out = g_string_new(NULL);
    g_string_append_printf(out, "%-16s %10s %10s %10s  tok/s\n", "test", "median", "min", "max");
    for (guint i = 0; i < rows->len; i++) {
        const Row *row = &g_array_index(rows, Row, i);
        g_string_append_printf(out, "%-16s %10.2f %10.2f %10.2f\n", row->name, row->median,
                               row->min, row->max);
    }
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
    int n = values->depth + MAX(values->prompt, values->generate);
    if (n == values->depth)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "There is nothing to measure: -p and -n are both 0.");
    EngSessionSettings settings = eng_session_defaults();
    settings.context = n;
    if (g_str_equal(values->kv, "q8_0")) settings.kv = ENG_KV_Q8_0;
    EngError failure = {0};
    g_autoptr(EngSession) session = eng_session_new(model, &settings, &failure);
    if (!session) return hearth_error_from_engine(error, &failure);

    /* Always the same ids: two runs do the same work. */
    g_autoptr(GRand) random = g_rand_new_with_seed(20260301);
    g_autofree int32_t *tokens = g_new(int32_t, n);
    for (int i = 0; i < n; i++)
        tokens[i] = g_rand_int_range(random, 0, eng_model_info(model).n_vocab);
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(Row));
    g_array_set_clear_func(rows, clear_row);
    Bench bench = {values, session, tokens, rows};
    bool done = measure_all(&bench, error);
    hearth_console_progress_done();
    if (!done) return false;
    return values->common.json ? print_json(rows, error) : print_plain(rows, error);
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
