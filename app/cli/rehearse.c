#include <string.h>

#include "cli/base/console.h"
#include "cli/base/io.h"
#include "cli/command.h"
#include "cli/loader.h"
#include "cli/measure.h"
#include "models/remote.h"
#include "models/shape.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngGauge, eng_gauge_free)

typedef struct {
    HearthCommon common;
    const char *quant, *gpu, *kv;
    guint64 dram;
    int prompt, generate, depth, repeat, threads;
} Values;

static const HearthOption options[] = {
    {"quant", 'q', HEARTH_OPTION_TEXT, "NAME", offsetof(Values, quant), 0, 0,
     "quantization of a SHAPE: Q4_K_M, Q2_K, IQ2_XXS, … (Q4_K_M)"},
    {"dram", 0, HEARTH_OPTION_SIZE, "SIZE", offsetof(Values, dram), 0, 0,
     "memory that stands for the weights: 12GiB (most of what is free)"},
    {"prompt-tokens", 'p', HEARTH_OPTION_INT, "N", offsetof(Values, prompt), 0, 1000000,
     "length of the prompt to read (512); 0: skip this test"},
    {"new-tokens", 'n', HEARTH_OPTION_INT, "N", offsetof(Values, generate), 0, 1000000,
     "tokens to generate, one by one (16); 0: skip this test"},
    {"depth", 'd', HEARTH_OPTION_INT, "N", offsetof(Values, depth), 0, 1000000,
     "tokens, made up, already in the context before each test (0)"},
    {"repeat", 'r', HEARTH_OPTION_INT, "N", offsetof(Values, repeat), 1, 1000,
     "times each test is measured (1)"},
    {"threads", 0, HEARTH_OPTION_INT, "N", offsetof(Values, threads), 1, 512,
     "worker threads (otherwise one per physical core)"},
    {"kv", 0, HEARTH_OPTION_CHOICE, "f16|q8_0", offsetof(Values, kv), 0, 0,
     "16 bits per number of the context, or 8 (f16)"},
    {"gpu", 0, HEARTH_OPTION_CHOICE, "auto|off", offsetof(Values, gpu), 0, 0,
     "whether a GPU may be used where there is one (auto)"},
    {NULL},
};

static void defaults(void *data)
{
    Values *values = data;
    values->gpu = "auto";
    values->kv = "f16";
    values->prompt = 512;
    values->generate = 16;
    values->repeat = 1;
}

/* ---- what is rehearsed ----------------------------------------------------------------------- */

typedef struct {
    char *name;
    const char *path; /* of a file; otherwise: */
    GArray *headers;  /* of EngHeader, borrowed from one of the next two */
    HearthShape *shape;
    GPtrArray *remote; /* of HearthRemotePart */
    GPtrArray *peeks;  /* of EngPeek, borrowed where `remote` has them */
} Subject;

static void subject_clear(Subject *s)
{
    g_free(s->name);
    g_clear_pointer(&s->headers, g_array_unref);
    g_clear_pointer(&s->shape, hearth_shape_free);
    g_clear_pointer(&s->peeks, g_ptr_array_unref);
    g_clear_pointer(&s->remote, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Subject, subject_clear)

static bool take_remote(Subject *s, const char *url, GError **error)
{
    s->remote = hearth_remote_parts(url, error);
    if (!s->remote) return false;
    s->peeks = g_ptr_array_new();
    for (guint i = 0; i < s->remote->len; i++) {
        const HearthRemotePart *part = s->remote->pdata[i];
        EngHeader header = {part->bytes->data, part->bytes->len, part->file_size};
        g_array_append_val(s->headers, header);
        g_ptr_array_add(s->peeks, part->peek);
    }
    return true;
}

static bool take_peek(Subject *s, EngPeek *peek, const EngError *failure, GError **error)
{
    if (!peek) return hearth_error_from_engine(error, failure);
    s->peeks = g_ptr_array_new_with_free_func((GDestroyNotify)eng_peek_free);
    g_ptr_array_add(s->peeks, peek);
    return true;
}

static bool take_shape(Subject *s, const char *name, const char *quant, GError **error)
{
    EngError failure = {0};
    s->shape = hearth_shape_new(name, quant, error);
    if (!s->shape) return false;
    const EngHeader *h = &s->shape->header;
    g_array_append_val(s->headers, *h);
    return take_peek(s, eng_peek_bytes(h->data, h->size, h->file_size, &failure), &failure, error);
}

static bool take_file(Subject *s, const char *path, GError **error)
{
    EngError failure = {0};
    s->path = path;
    return take_peek(s, eng_peek(path, &failure), &failure, error);
}

static bool choose(Subject *s, const char *what, const char *quant, GError **error)
{
    bool is_shape = hearth_shape_is_known(what);
    if (quant && !is_shape)
        return hearth_error(error, HEARTH_ERROR_USAGE,
                            "--quant is for shapes: \"%s\" is quantized as it is.", what);
    s->headers = g_array_new(FALSE, FALSE, sizeof(EngHeader));
    bool taken = hearth_remote_is_url(what) ? take_remote(s, what, error)
                 : is_shape                 ? take_shape(s, what, quant ? quant : "Q4_K_M", error)
                                            : take_file(s, what, error);
    if (!taken) {
        if (!is_shape && !hearth_remote_is_url(what) && !g_file_test(what, G_FILE_TEST_EXISTS)) {
            g_autofree char *names = hearth_shape_names();
            g_clear_error(error);
            return hearth_error(error, HEARTH_ERROR_FAILED,
                                "There is no file \"%s\", and no shape of that name: %s.", what,
                                names);
        }
        return false;
    }
    const EngPeek *first = s->peeks->pdata[0];
    s->name = g_strdup_printf("%s, %s", *first->name ? first->name : what,
                              is_shape ? quant ? quant : "Q4_K_M" : first->quant);
    return true;
}

/* ---- what a token costs ---------------------------------------------------------------------- */

/* Of one type of weights. The head works for the last token of a prompt alone. */
typedef struct {
    const char *type;
    double bytes;    /* read for a generated token */
    double products; /* multiply-adds for a token of a prompt */
} Cost;

static Cost *cost_of(GArray *costs, const char *type)
{
    for (guint i = 0; i < costs->len; i++)
        if (strcmp(g_array_index(costs, Cost, i).type, type) == 0)
            return &g_array_index(costs, Cost, i);
    Cost cost = {.type = type};
    g_array_append_val(costs, cost);
    return &g_array_index(costs, Cost, costs->len - 1);
}

static GArray *count_costs(const GPtrArray *peeks)
{
    const EngPeek *first = peeks->pdata[0];
    GArray *costs = g_array_new(FALSE, FALSE, sizeof(Cost));
    for (guint p = 0; p < peeks->len; p++) {
        const EngPeek *part = peeks->pdata[p];
        for (size_t i = 0; i < part->n_tensors; i++) {
            const EngPeekTensor *t = &part->tensors[i];
            if (t->n_dims < 2 || strcmp(t->name, "token_embd.weight") == 0) continue;
            double share = strstr(t->name, "_exps.")
                               ? (double)first->n_experts_used / MAX(first->n_experts, 1)
                               : 1;
            double elements = 1;
            for (int d = 0; d < t->n_dims; d++) elements *= (double)t->shape[d];
            Cost *cost = cost_of(costs, t->type);
            cost->bytes += share * (double)t->bytes;
            if (strcmp(t->name, "output.weight") != 0) cost->products += share * elements;
        }
    }
    return costs;
}

typedef struct {
    EngLimits limits;
    double parameters;      /* of the model */
    double bytes, products; /* of a token, all types together */
    double decode, prefill; /* tok/s, if nothing but the products took time */
} Prediction;

/* From the speed that each kernel has alone. */
static bool predict(const GPtrArray *peeks, const Values *values, Prediction *ret, GError **error)
{
    g_autoptr(GArray) costs = count_costs(peeks);
    EngError failure = {0};
    if (!values->common.json) hearth_console_progress("Measuring what the machine can do");
    g_autoptr(EngGauge) gauge = eng_gauge_new(values->threads, &failure);
    if (!gauge) return hearth_error_from_engine(error, &failure);
    Prediction sum = {.limits = eng_gauge_limits(gauge)};
    for (guint i = 0; i < peeks->len; i++)
        sum.parameters += (double)((const EngPeek *)peeks->pdata[i])->parameters;
    double decode_s = 0, prefill_s = 0;
    for (guint i = 0; i < costs->len; i++) {
        const Cost *cost = &g_array_index(costs, Cost, i);
        EngKernelSpeed speed;
        if (!eng_gauge_kernel_of(gauge, cost->type, &speed)) continue;
        sum.bytes += cost->bytes;
        sum.products += cost->products;
        decode_s += cost->bytes * 1e-9 / speed.decode_gb_s;
        prefill_s += 2 * cost->products * 1e-9 / speed.prefill_gop_s;
    }
    hearth_console_progress_done();
    sum.decode = 1 / decode_s;
    sum.prefill = 1 / prefill_s;
    *ret = sum;
    return true;
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

static EngModel *open_subject(const Subject *s, const Values *values, GError **error)
{
    EngModelSettings settings = eng_model_defaults();
    EngError failure = {0};
    guint64 dram = 0;
    if (!allowance(values->dram, &dram, error)) return NULL;
    settings.threads = values->threads;
    g_autoptr(EngModel) model =
        s->path ? eng_model_rehearse_file(s->path, dram, &settings, &failure)
                : eng_model_rehearse((const EngHeader *)(void *)s->headers->data, s->headers->len,
                                     dram, &settings, &failure);
    if (!model) {
        hearth_error_from_engine(error, &failure);
        return NULL;
    }
    const char *doing = values->common.json ? NULL : "Making random weights";
    return hearth_loader_bring_in(model, doing, error) ? g_steal_pointer(&model) : NULL;
}

/* ---- the report ------------------------------------------------------------------------------ */

static double predicted(const Prediction *p, const HearthMeasured *row)
{
    return row->reads ? p->prefill : p->decode;
}

static bool print_json(const Subject *s, const EngModelInfo *info, const Prediction *p,
                       const GArray *rows, GError **error)
{
    g_autoptr(JsonBuilder) out = json_builder_new();
    json_builder_begin_object(out);
    hearth_io_json_text(out, "name", s->name, -1);
    hearth_io_json_int(out, "parameters", (uint64_t)p->parameters);
    hearth_io_json_int(out, "weight_bytes", info->weight_bytes);
    hearth_io_json_int(out, "stand_in_bytes", info->stand_in_bytes);
    hearth_io_json_real(out, "stands_for",
                        (double)info->weight_bytes / (double)info->stand_in_bytes);
    hearth_io_json_real(out, "token_gb", p->bytes * 1e-9);
    hearth_io_json_real(out, "token_gop", 2 * p->products * 1e-9);
    hearth_io_json_int(out, "threads", (uint64_t)p->limits.threads);
    hearth_io_json_real(out, "read_gb_s", p->limits.read_gb_s);
    hearth_io_json_real(out, "int8_gop_s", p->limits.int8_gop_s);
    hearth_io_json_real(out, "predicted_prefill_tok_s", p->prefill);
    hearth_io_json_real(out, "predicted_decode_tok_s", p->decode);
    hearth_measure_add_json(out, rows);
    json_builder_end_object(out);
    return hearth_io_write_json(out, error);
}

static void append_row(GString *out, const Prediction *p, const HearthMeasured *row)
{
    double limit = row->reads ? 2 * p->products * row->median * 1e-9 / p->limits.int8_gop_s
                              : p->bytes * row->median * 1e-9 / p->limits.read_gb_s;
    g_string_append_printf(out,
                           "%-12s%.2f tok/s predicted from its kernels, %.0f %% reached; %.0f "
                           "%% of the machine's limit\n",
                           row->name, predicted(p, row), 100 * row->median / predicted(p, row),
                           100 * limit);
}

static bool print_plain(const Subject *s, const EngModelInfo *info, const Prediction *p,
                        const GArray *rows, GError **error)
{
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
                           "Machine     %d threads, %.1f GB/s, %.0f Gop/s with bytes\n\n",
                           p->bytes * 1e-9, p->products * 1e-9, p->limits.threads,
                           p->limits.read_gb_s, p->limits.int8_gop_s);
    hearth_measure_append(out, rows);
    g_string_append_c(out, '\n');
    for (guint i = 0; i < rows->len; i++)
        append_row(out, p, &g_array_index(rows, HearthMeasured, i));
    g_autofree char *clean = hearth_console_clean(out->str);
    return hearth_io_write(clean, strlen(clean), error);
}

static bool run(const void *data, char **operands, GError **error)
{
    const Values *values = data;
    g_auto(Subject) subject = {0};
    Prediction prediction = {0};
    HearthMeasure measure = {.prompt = values->prompt,
                             .generate = values->generate,
                             .depth = values->depth,
                             .repeat = values->repeat,
                             .warm_up = values->repeat > 1,
                             .quiet = values->common.json,
                             .kv = values->kv};
    if (!hearth_command_require(operands[0], "rehearse", "a file, an address or a shape", error) ||
        !hearth_measure_check(&measure, error) ||
        !choose(&subject, operands[0], values->quant, error) ||
        !predict(subject.peeks, values, &prediction, error))
        return false;
    g_autoptr(EngModel) model = open_subject(&subject, values, error);
    if (!model) return false;
    g_autoptr(GArray) rows = NULL;
    if (!hearth_measure_run(model, &measure, &rows, error)) return false;
    EngModelInfo info = eng_model_info(model);
    return values->common.json ? print_json(&subject, &info, &prediction, rows, error)
                               : print_plain(&subject, &info, &prediction, rows, error);
}

const HearthCommand hearth_rehearse_command = {
    .name = "rehearse",
    .summary = "measure how fast a model would be here, without having it",
    .synopsis = "[-q NAME] [--dram SIZE] [-p N] [-n N] [-r N] [OPTION…] MODEL|URL|SHAPE",
    .details =
        "Runs a model of random weights that has the shapes of MODEL, of the file behind URL\n"
        "(of which only the header is fetched), or of a known SHAPE: deepseek-r1, kimi-k2,\n"
        "qwen3-235b-a22b, qwen3-30b-a3b, deepseek-v2-lite, mixtral-8x7b. It reads and writes\n"
        "as fast as the model would, and writes nothing sensible. When the memory is smaller\n"
        "than the model, the same random blocks stand for several of its layers.\n\n"
        "Prints tokens per second beside what the speed of the kernels alone would give.\n"
        "Ctrl-C ends it at once.",
    .options = options,
    .values_size = sizeof(Values),
    .max_operands = 1,
    .defaults = defaults,
    .run = run,
};
