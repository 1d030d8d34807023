#include "cli/measure.h"

#include "cli/base/console.h"
#include "cli/base/io.h"
#include "cli/loader.h"

typedef struct {
    const HearthMeasure *what;
    EngModel *model;
    EngSession *session;
    int32_t *tokens; /* [depth + the longer test], random */
    GArray *rows;
} Run;

static void clear_row(void *data)
{
    HearthMeasured *row = data;
    g_free(row->name);
    g_clear_pointer(&row->ops, g_array_unref);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* n tokens after the first `depth`, `step` at a time. */
static bool run_once(Run *run, int n, int step, double *ret_speed, GError **error)
{
    EngError failure = {0};
    int depth = run->what->depth;
    eng_session_rewind(run->session, (size_t)depth);
    gint64 start = g_get_monotonic_time();
    for (int i = 0; i < n; i += step)
        if (!eng_session_eval(run->session, run->tokens + depth + i, (size_t)step, NULL, &failure))
            return hearth_error_from_engine(error, &failure);
    gint64 spent = g_get_monotonic_time() - start;
    *ret_speed = (double)n * G_USEC_PER_SEC / (double)MAX(spent, 1);
    return true;
}

/* Since `before`. */
static double hit_rate(const EngSession *session, const EngStats *before)
{
    EngStats now = eng_session_stats(session);
    double hits = (double)(now.expert_hits - before->expert_hits),
           misses = (double)(now.expert_misses - before->expert_misses);
    return hits + misses > 0 ? hits / (hits + misses) : -1;
}

/* Of `tokens` tokens in all. */
static GArray *op_times(const EngModel *model, int tokens)
{
    enum { MOST = 256 };
    GArray *ops = g_array_sized_new(FALSE, FALSE, sizeof(EngOpTime), MOST);
    g_array_set_size(ops, MOST);
    EngOpTime *times = &g_array_index(ops, EngOpTime, 0);
    g_array_set_size(ops, (guint)eng_model_op_times(model, times, MOST));
    for (guint i = 0; i < ops->len; i++) times[i].seconds /= tokens;
    return ops;
}

static bool measure(Run *run, bool reads, GError **error)
{
    const HearthMeasure *what = run->what;
    int n = reads ? what->prompt : what->generate, repeat = what->repeat;
    if (n == 0) return true;
    g_autofree double *speeds = g_new(double, repeat);
    HearthMeasured row = {.n = n, .reads = reads};
    const char *kind = reads ? "pp" : "tg";
    row.name = what->depth ? g_strdup_printf("%s%d@d%d", kind, n, what->depth)
                           : g_strdup_printf("%s%d", kind, n);
    g_array_append_val(run->rows, row);
    EngStats before = {0};
    for (int i = what->warm_up ? -1 : 0; i < repeat; i++) {
        double speed = 0;
        if (i <= 0) before = eng_session_stats(run->session);
        if (i <= 0 && what->ops) eng_model_time_ops(run->model, true);
        if (!what->quiet)
            hearth_console_progress("%s · run %d/%d", row.name, MAX(i + 1, 1), repeat);
        if (!run_once(run, n, reads ? n : 1, &speed, error)) return false;
        if (i >= 0) speeds[i] = speed;
    }
    qsort(speeds, (size_t)repeat, sizeof *speeds, compare);
    HearthMeasured *kept = &g_array_index(run->rows, HearthMeasured, run->rows->len - 1);
    kept->min = speeds[0];
    kept->max = speeds[repeat - 1];
    EngStats stats = eng_session_stats(run->session);
    for (int i = 1; i < ENG_STREAMINGS && reads; i++)
        if (stats.streamed[i] > stats.streamed[kept->streaming]) kept->streaming = (EngStreaming)i;
    kept->median = (speeds[(repeat - 1) / 2] + speeds[repeat / 2]) / 2;
    kept->hit_rate = hit_rate(run->session, &before);
    if (what->ops) kept->ops = op_times(run->model, n * repeat);
    return true;
}

static bool measure_all(Run *run, GError **error)
{
    EngError failure = {0};
    int depth = run->what->depth;
    if (!eng_session_pretend(run->session, (size_t)depth, &failure))
        return hearth_error_from_engine(error, &failure);
    return measure(run, true, error) && measure(run, false, error);
}

HearthMeasure hearth_measure_defaults(int generate, int repeat)
{
    return (HearthMeasure){.prompt = 512, .generate = generate, .repeat = repeat, .kv = "f16"};
}

EngKvType hearth_measure_kv(const HearthMeasure *what)
{
    EngKvType type = ENG_KV_F16;
    bool known = eng_kv_type(what->kv, &type); /* a choice of the options */
    g_assert(known);
    return type;
}

bool hearth_measure_check(const HearthMeasure *what, GError **error)
{
    return what->prompt > 0 || what->generate > 0 ||
           hearth_error(error, HEARTH_ERROR_USAGE,
                        "There is nothing to measure: -p and -n are both 0.");
}

int hearth_measure_context(const HearthMeasure *what)
{
    return what->depth + MAX(what->prompt, what->generate);
}

bool hearth_measure_run(EngModel *model, const HearthMeasure *what, GArray **ret_rows,
                        GError **error)
{
    if (!hearth_measure_check(what, error)) return false;
    int n = hearth_measure_context(what);
    EngSessionSettings settings = eng_session_defaults();
    settings.context = n;
    settings.kv = hearth_measure_kv(what);
    EngError failure = {0};
    g_autoptr(EngSession) session = eng_session_new(model, &settings, &failure);
    if (!session) return hearth_error_from_engine(error, &failure);

    /* Always the same ids: two runs do the same work. */
    g_autoptr(GRand) random = g_rand_new_with_seed(20260301);
    g_autofree int32_t *tokens = g_new(int32_t, n);
    for (int i = 0; i < n; i++)
        tokens[i] = g_rand_int_range(random, 0, eng_model_info(model).n_vocab);
    g_autoptr(GArray) rows = g_array_new(FALSE, FALSE, sizeof(HearthMeasured));
    g_array_set_clear_func(rows, clear_row);
    Run run = {what, model, session, tokens, rows};
    bool done = measure_all(&run, error);
    hearth_console_progress_done();
    if (done) *ret_rows = g_steal_pointer(&rows);
    return done;
}

/* A prompt's ops multiply, those of a token read; 0: that of a prompt's last token, and what has no
 * matrices. */
static double op_rate(const HearthMeasured *row, const EngOpTime *op)
{
    if (row->reads && op->wanted) return 0;
    return 1e-9 * (row->reads ? 2 * op->multiply_adds : op->bytes) / op->seconds;
}

static void add_ops(JsonBuilder *out, const HearthMeasured *row)
{
    json_builder_set_member_name(out, "ops");
    json_builder_begin_array(out);
    for (guint i = 0; i < row->ops->len; i++) {
        const EngOpTime *op = &g_array_index(row->ops, EngOpTime, i);
        json_builder_begin_object(out);
        hearth_io_json_text(out, "name", op->name, -1);
        hearth_io_json_text(out, "matrices", op->matrices, -1);
        hearth_io_json_int(out, "ops", (uint64_t)op->ops);
        hearth_io_json_real(out, "us_per_token", 1e6 * op->seconds);
        double rate = op_rate(row, op);
        if (rate > 0) hearth_io_json_real(out, row->reads ? "gop_s" : "gb_s", rate);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
}

static void append_ops(GString *out, const HearthMeasured *row)
{
    double all = 0;
    for (guint i = 0; i < row->ops->len; i++) all += g_array_index(row->ops, EngOpTime, i).seconds;
    g_string_append_printf(out, "\n%-16s %10s %6s %8s  %s\n", row->name, "µs/token", "share",
                           row->reads ? "Gop/s" : "GB/s", "ops, columns x rows");
    for (guint i = 0; i < row->ops->len; i++) {
        const EngOpTime *op = &g_array_index(row->ops, EngOpTime, i);
        double rate = op_rate(row, op);
        g_autofree char *text = rate > 0 ? g_strdup_printf("%.1f", rate) : g_strdup("");
        g_string_append_printf(out, "%-16s %10.1f %4.0f %% %8s  %d%s%s\n", op->name,
                               1e6 * op->seconds, 100 * op->seconds / all, text, op->ops,
                               *op->matrices ? " of " : "", op->matrices);
    }
}

void hearth_measure_add_json(JsonBuilder *out, const GArray *rows)
{
    json_builder_set_member_name(out, "rows");
    json_builder_begin_array(out);
    for (guint i = 0; i < rows->len; i++) {
        const HearthMeasured *row = &g_array_index(rows, HearthMeasured, i);
        json_builder_begin_object(out);
        hearth_io_json_text(out, "test", row->name, -1);
        hearth_io_json_int(out, "n", (uint64_t)row->n);
        if (row->reads)
            hearth_io_json_text(out, "streaming", eng_streaming_name(row->streaming), -1);
        hearth_io_json_real(out, "tok_s_median", row->median);
        hearth_io_json_real(out, "tok_s_min", row->min);
        hearth_io_json_real(out, "tok_s_max", row->max);
        if (row->hit_rate >= 0) hearth_io_json_real(out, "expert_hit_rate", row->hit_rate);
        if (row->ops) add_ops(out, row);
        json_builder_end_object(out);
    }
    json_builder_end_array(out);
}

void hearth_measure_append(GString *out, const GArray *rows)
{
    g_string_append_printf(out, "%-16s %10s %10s %10s  tok/s\n", "test", "median", "min", "max");
    for (guint i = 0; i < rows->len; i++) {
        const HearthMeasured *row = &g_array_index(rows, HearthMeasured, i);
        g_string_append_printf(out, "%-16s %10.2f %10.2f %10.2f", row->name, row->median, row->min,
                               row->max);
        if (row->hit_rate >= 0)
            g_string_append_printf(out, "  %.0f %% of the experts from the cache",
                                   100 * row->hit_rate);
        g_string_append_c(out, '\n');
    }
    for (guint i = 0; i < rows->len; i++) {
        const HearthMeasured *row = &g_array_index(rows, HearthMeasured, i);
        if (row->ops) append_ops(out, row);
    }
}
