#include <string.h>

#include "cli/base/console.h"
#include "cli/base/io.h"
#include "cli/command.h"
#include "cli/loader.h"
#include "cli/forecast/predict.h"
#include "cli/forecast/subject.h"

typedef struct {
    HearthCommon common;
    const char *quant;
    guint64 dram;
    HearthMeasure measure;
} Values;

static const HearthOption options[] = {
    {"quant", 'q', HEARTH_OPTION_TEXT, "NAME", offsetof(Values, quant), 0, 0,
     "quantization of a SHAPE: Q4_K_M, Q2_K, IQ2_XXS, … (Q4_K_M)"},
    {"dram", 0, HEARTH_OPTION_SIZE, "SIZE", offsetof(Values, dram), 0, 0,
     "memory that stands for the weights: 12GiB (most of what is free)"},
    HEARTH_MEASURE_OPTIONS(Values, measure, "16", "1, without a warm-up"),
    {NULL},
};

static void defaults(void *data)
{
    Values *values = data;
    values->measure = hearth_measure_defaults(16, 1);
}

/* ---- running --------------------------------------------------------------------------------- */

/* What may be taken: with nothing said, all that is free but what the rest needs. */
static bool allowance(guint64 wanted, guint64 *ret, GError **error)
{
    EngUsage usage;
    EngError failure = {0};
    if (!eng_host_usage(&usage, &failure)) return hearth_error_from_engine(error, &failure);
    if (wanted > usage.dram_available) {
        g_autofree char *want = g_format_size_full(wanted, G_FORMAT_SIZE_IEC_UNITS),
                        *have = g_format_size_full(usage.dram_available, G_FORMAT_SIZE_IEC_UNITS);
        return hearth_error(error, HEARTH_ERROR_FAILED,
                            "%s of DRAM are wanted and %s are free: give --dram less, or close "
                            "other programs.",
                            want, have);
    }
    *ret = wanted ? wanted : usage.dram_available / 10 * 8;
    return true;
}

static EngModel *open_subject(const HearthSubject *s, const Values *values, char **ret_rules,
                              GError **error)
{
    EngModelSettings settings = eng_model_defaults();
    EngError failure = {0};
    guint64 dram = 0;
    if (!allowance(values->dram, &dram, error)) return NULL;
    settings.threads = values->measure.threads;
    settings.batch = values->measure.batch;
    settings.context = hearth_measure_context(&values->measure);
    settings.kv = hearth_measure_kv(&values->measure);
    settings.experts = values->measure.experts.used;
    settings.defer = values->measure.experts.defer;
    if (!hearth_loader_gpu(&values->measure.gpu, &settings, ret_rules, error)) return NULL;
    g_autoptr(EngModel) model =
        s->path ? eng_model_rehearse_file(s->path, dram, &settings, &failure)
                : eng_model_rehearse((const EngHeader *)(void *)s->headers->data, s->headers->len,
                                     dram, &settings, &failure);
    if (!model) {
        hearth_error_from_engine(error, &failure);
        return NULL;
    }
    const char *doing = values->common.json ? NULL : "Making random weights";
    hearth_loader_tell_gpu(&values->measure.gpu, model);
    return hearth_loader_bring_in(model, doing, error) ? g_steal_pointer(&model) : NULL;
}

static bool predict(const EngModel *model, const HearthMeasure *measure, const char *rules,
                    HearthPrediction *ret, GError **error)
{
    if (!measure->quiet) hearth_console_progress("Measuring what the machine can do");
    bool done = hearth_predict(model, measure, rules, ret, error);
    hearth_console_progress_done();
    return done;
}

/* What the machine can do changes with its neighbours: it is asked again behind a long run. */
static bool predict_and_run(EngModel *model, const HearthMeasure *measure, const char *rules,
                            HearthPrediction *ret, GArray **ret_rows, GError **error)
{
    enum { LONG = 5 * G_USEC_PER_SEC };
    HearthPrediction later;
    if (!predict(model, measure, rules, ret, error)) return false;
    gint64 start = g_get_monotonic_time();
    if (!hearth_measure_run(model, measure, ret_rows, error)) return false;
    if (g_get_monotonic_time() - start < LONG) return true;
    if (!predict(model, measure, rules, &later, error)) {
        g_clear_pointer(ret_rows, g_array_unref);
        return false;
    }
    hearth_predict_mean(ret, &later);
    return true;
}

/* ---- the report ------------------------------------------------------------------------------ */

static bool print_json(const HearthSubject *s, const EngModelInfo *info, const HearthPrediction *p,
                       const GArray *rows, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    uint64_t parameters = 0;
    for (guint i = 0; i < s->peeks->len; i++)
        parameters += ((const EngPeek *)s->peeks->pdata[i])->parameters;
    json_builder_begin_object(out);
    hearth_io_json_text(out, "name", s->name, -1);
    hearth_io_json_int(out, "parameters", parameters);
    hearth_io_json_int(out, "weight_bytes", info->weight_bytes);
    hearth_io_json_int(out, "stand_in_bytes", info->stand_in_bytes);
    hearth_io_json_real(out, "stands_for",
                        (double)info->weight_bytes / (double)info->stand_in_bytes);
    hearth_io_json_real(out, "token_gb", p->bytes * 1e-9);
    hearth_io_json_real(out, "token_gop", 2 * p->products * 1e-9);
    hearth_io_json_text(out, "gpu", info->gpu, -1);
    hearth_io_json_int(out, "threads", (uint64_t)p->limits.threads);
    hearth_io_json_real(out, "read_gb_s", p->limits.read_gb_s);
    hearth_io_json_real(out, "int8_gop_s", p->limits.int8_gop_s);
    hearth_io_json_real(out, "predicted_prefill_tok_s", p->prefill.predicted);
    hearth_io_json_real(out, "predicted_decode_tok_s", p->decode.predicted);
    hearth_io_json_real(out, "limit_prefill_tok_s", p->prefill.limit);
    hearth_io_json_real(out, "limit_decode_tok_s", p->decode.limit);
    hearth_measure_add_json(out, rows);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static void append_row(GString *out, const HearthPrediction *p, const HearthMeasured *row, bool gpu)
{
    HearthSpeed speed = row->reads ? p->prefill : p->decode;
    if (gpu) {
        g_string_append_printf(out, "%-12s%.2f tok/s planned, %.0f %% reached", row->name,
                               speed.predicted, 100 * row->median / speed.predicted);
        if (!row->reads) g_string_append_printf(out, "; DRAM and VRAM permit %.2f", speed.limit);
        g_string_append_c(out, '\n');
        return;
    }
    g_string_append_printf(out,
                           "%-12s%.2f tok/s predicted from its kernels, %.0f %% reached; %.0f "
                           "%% of the machine's limit\n",
                           row->name, speed.predicted, 100 * row->median / speed.predicted,
                           100 * row->median / speed.limit);
}

static bool print_plain(const HearthSubject *s, const EngModel *model, const HearthPrediction *p,
                        const GArray *rows, GError **error)
{
    const EngModelInfo made = eng_model_info(model), *info = &made;
    g_autoptr(GString) out = g_string_new(NULL);
    g_autofree char *weights = g_format_size_full(info->weight_bytes, G_FORMAT_SIZE_IEC_UNITS),
                    *there = g_format_size_full(info->stand_in_bytes, G_FORMAT_SIZE_IEC_UNITS);
    g_string_append_printf(out, "%s\n\n", s->name);
    double times = (double)info->weight_bytes / (double)info->stand_in_bytes;
    if (times > 1.05)
        g_string_append_printf(out,
                               "Weights     %s, for which %s of random blocks stand:\n"
                               "            each of them is used in about %.0f places\n",
                               weights, there, times);
    else
        g_string_append_printf(out, "Weights     %s of random blocks\n", weights);
    g_string_append_printf(out,
                           "A token     reads %.2f GB and multiplies %.1f billion times\n"
                           "Machine     %d threads, %.1f GB/s, %.0f Gop/s with bytes\n",
                           p->bytes * 1e-9, p->products * 1e-9, p->limits.threads,
                           p->limits.read_gb_s, p->limits.int8_gop_s);
    if (*info->gpu) {
        const EngPlan *plan = eng_model_plan(model);
        g_string_append_printf(
            out, "GPU         %s: a token reads %.2f GB of VRAM and %.2f GB of DRAM\n", info->gpu,
            plan->token_vram_bytes * 1e-9, plan->token_dram_bytes * 1e-9);
    }
    if (p->expert_tokens > 0)
        g_string_append_printf(out,
                               "Experts     multiply about %.1f tokens of the prompt at once\n",
                               p->expert_tokens);
    g_string_append_c(out, '\n');
    hearth_measure_append(out, rows);
    g_string_append_c(out, '\n');
    for (guint i = 0; i < rows->len; i++)
        append_row(out, p, &g_array_index(rows, HearthMeasured, i), *info->gpu);
    g_autofree char *clean = hearth_console_clean(out->str);
    return hearth_io_write(clean, strlen(clean), error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    g_auto(HearthSubject) subject = {0};
    HearthPrediction prediction = {0};
    HearthMeasure measure = values->measure;
    measure.warm_up = measure.repeat > 1;
    measure.quiet = values->common.json;
    if (!hearth_command_require(operands[0], "rehearse", "a file, an address or a shape", error) ||
        !hearth_measure_check(&measure, error) ||
        !hearth_subject_choose(&subject, operands[0], values->quant, error))
        return false;
    g_autofree char *rules = NULL;
    g_autoptr(EngModel) model = open_subject(&subject, values, &rules, error);
    g_autoptr(GArray) rows = NULL;
    if (!model || !predict_and_run(model, &measure, rules, &prediction, &rows, error)) return false;
    EngModelInfo info = eng_model_info(model);
    hearth_loader_tell_lost(model);
    return values->common.json ? print_json(&subject, &info, &prediction, rows, error)
                               : print_plain(&subject, model, &prediction, rows, error);
}

const HearthCommand hearth_rehearse_command = {
    .name = "rehearse",
    .summary = "measure how fast a model would be here, without having it",
    .synopsis = "[-q NAME] [--dram SIZE] [--vram SIZE] [OPTION…] MODEL|URL|SHAPE",
    .details =
        "Runs a model of random weights that has the shapes of MODEL, of the file behind URL\n"
        "(of which only the header is fetched), or of a known SHAPE: deepseek-r1, kimi-k2,\n"
        "qwen3-235b-a22b, qwen3-30b-a3b, deepseek-v2-lite, mixtral-8x7b. It reads and writes\n"
        "as fast as the model would, and writes nothing sensible. When the memory is smaller\n"
        "than the model, the same random blocks stand for several of its layers.\n\n"
        "Prints tokens per second beside what they should be: the sum, over all matrices, of\n"
        "the time that their kernel takes alone with as many tokens as it meets (an expert of\n"
        "DeepSeek-R1 16 of 512), or that their bytes take to be read, whichever is longer, and\n"
        "of the attention's. The machine is measured before the model and, if that takes long,\n"
        "behind it. The machine's limit is the same with the most that it can multiply in the\n"
        "place of each kernel.\n\n"
        "Ctrl-C ends it at once.",
    .options = options,
    .values_size = sizeof(Values),
    .max_operands = 1,
    .defaults = defaults,
    .run = run,
};
