#include "cli/forecast/predict.h"

#include <math.h>
#include <string.h>

#include "error_from.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngGauge, eng_gauge_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngPlan, eng_plan_free)

/* ---- kernels --------------------------------------------------------------------------------- */

typedef struct {
    const char *type;
    double tokens, gop_s;
} Measured;

typedef struct {
    EngGauge *gauge;
    GArray *measured; /* each once: a plan asks for every matrix */
} Kernels;

/* Between whole numbers of tokens by the time that they take. */
static double measure_product(EngGauge *gauge, const char *type, double tokens)
{
    int below = (int)floor(tokens);
    double low = eng_gauge_product(gauge, type, below);
    if (low == 0 || tokens - below < 0.05) return low;
    double high = eng_gauge_product(gauge, type, below + 1), part = tokens - below;
    return tokens / ((1 - part) * below / low + part * (below + 1) / high);
}

static double kernel_speed(void *of, const char *type, double tokens)
{
    enum { MOST = 256 }; /* more are multiplied so many at a time */
    Kernels *k = of;
    tokens = MIN(tokens, MOST);
    for (guint i = 0; i < k->measured->len; i++) {
        const Measured *m = &g_array_index(k->measured, Measured, i);
        if (m->tokens == tokens && strcmp(m->type, type) == 0) return m->gop_s;
    }
    /* Noise only ever makes it smaller, and all matrices of the format count with it. */
    double once = measure_product(k->gauge, type, tokens);
    double again = measure_product(k->gauge, type, tokens);
    Measured fresh = {type, tokens, MAX(once, again)};
    g_array_append_val(k->measured, fresh);
    return fresh.gop_s;
}

static double most_speed(void *of, const char *type, double tokens)
{
    (void)type, (void)tokens;
    return ((const EngLimits *)of)->int8_gop_s;
}

/* ---- the model ------------------------------------------------------------------------------- */

/* As it was opened, on a machine that holds all the weights. */
static EngPlanSettings settings_of(const EngModel *model, const HearthMeasure *measure,
                                   const char *rules)
{
    EngModelInfo info = eng_model_info(model);
    EngPlanSettings s = eng_plan_defaults();
    s.dram = (guint64)1 << 50;
    s.context = hearth_measure_context(measure);
    s.kv = hearth_measure_kv(measure);
    s.batch = info.batch;
    s.experts = measure->experts.used;
    s.defer = measure->experts.defer;
    s.prompt = MAX(measure->prompt, 1);
    s.answer = measure->generate;
    s.depth = measure->depth;
    s.no_gpu = !*info.gpu;
    if (s.no_gpu) return s;
    const EngPlan *made = eng_model_plan(model);
    s.vram = made->gpu_vram[0];
    s.gpus = made->n_gpus;
    s.rules = rules;
    s.streaming = made->streams ? ENG_STREAM_AUTO : ENG_STREAM_CPU;
    s.speeds = made->speeds;
    return s;
}

static EngPlan *make_plan(const EngModel *model, EngPlanSettings *settings, double read_gb_s,
                          const EngPlanKernels *kernels, GError **error)
{
    EngError failure = {0};
    settings->speeds.dram_gb_s = read_gb_s;
    settings->speeds.kernels = kernels;
    EngPlan *plan = eng_plan_model(model, settings, &failure);
    if (!plan) hearth_error_from_engine(error, &failure);
    return plan;
}

/* With a GPU the limit of a token: DRAM and VRAM are read at the same time, and nothing else takes
 * any. */
static void limit_by_reading(const EngPlan *plan, HearthPrediction *p)
{
    double vram_s = plan->token_vram_bytes * 1e-9 / plan->speeds.vram_gb_s;
    double dram_s = plan->token_dram_bytes * 1e-9 / plan->speeds.dram_gb_s;
    p->decode.limit = 1 / MAX(vram_s, dram_s);
    p->prefill.limit = plan->prefill_tok_s;
}

static bool predict(const EngModel *model, EngPlanSettings *settings, EngGauge *gauge,
                    HearthPrediction *p, GError **error)
{
    g_autoptr(GArray) measured = g_array_new(FALSE, FALSE, sizeof(Measured));
    Kernels kernels = {gauge, measured};
    EngPlanKernels known = {kernel_speed, &kernels, eng_gauge_attention(gauge, settings->kv)};
    EngPlanKernels most = {most_speed, &p->limits, p->limits.int8_gop_s};
    g_autoptr(EngPlan) plan = make_plan(model, settings, p->limits.read_gb_s, &known, error);
    g_autoptr(EngPlan) limit =
        plan ? make_plan(model, settings, p->limits.read_gb_s, &most, error) : NULL;
    if (!limit) return false;
    p->bytes = plan->token_vram_bytes + plan->token_dram_bytes;
    p->products = plan->token_products;
    p->expert_tokens = plan->expert_tokens;
    p->prefill = (HearthSpeed){plan->prefill_tok_s, limit->prefill_tok_s};
    p->decode = (HearthSpeed){plan->decode_tok_s, limit->decode_tok_s};
    if (plan->n_gpus) limit_by_reading(plan, p);
    return true;
}

bool hearth_predict(const EngModel *model, const HearthMeasure *measure, const char *rules,
                    HearthPrediction *ret, GError **error)
{
    EngError failure = {0};
    EngPlanSettings settings = settings_of(model, measure, rules);
    g_autoptr(EngGauge) gauge = eng_gauge_new(measure->threads, &failure);
    if (!gauge) return hearth_error_from_engine(error, &failure);
    *ret = (HearthPrediction){.limits = eng_gauge_limits(gauge)};
    if (!predict(model, &settings, gauge, ret, error)) return false;
    if (measure->prompt == 0) ret->prefill = (HearthSpeed){0}, ret->expert_tokens = 0;
    if (measure->generate == 0) ret->decode = (HearthSpeed){0};
    return true;
}

static double mean_speed(double a, double b) { return a > 0 && b > 0 ? 2 / (1 / a + 1 / b) : 0; }

void hearth_predict_mean(HearthPrediction *p, const HearthPrediction *later)
{
    p->limits.read_gb_s = mean_speed(p->limits.read_gb_s, later->limits.read_gb_s);
    p->limits.int8_gop_s = mean_speed(p->limits.int8_gop_s, later->limits.int8_gop_s);
    HearthSpeed *to[] = {&p->prefill, &p->decode};
    const HearthSpeed *from[] = {&later->prefill, &later->decode};
    for (int i = 0; i < 2; i++) {
        to[i]->predicted = mean_speed(to[i]->predicted, from[i]->predicted);
        to[i]->limit = mean_speed(to[i]->limit, from[i]->limit);
    }
}
