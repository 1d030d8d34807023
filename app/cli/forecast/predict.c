#include "cli/forecast/predict.h"

#include <math.h>
#include <string.h>

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EngGauge, eng_gauge_free)

typedef enum {
    ALWAYS,  /* multiplied with every token */
    EXPERTS, /* with those that are sent to it */
    HEAD     /* with the last of a prompt, and with each that is generated */
} Role;

/* All matrices of one type and role. */
typedef struct {
    const char *type;
    Role role;
    double bytes, elements;
} Cost;

typedef struct {
    EngGauge *gauge;
    EngLimits limits;
    GArray *costs; /* of Cost */
    double experts, used;
} Machine;

/* Seconds: at the kernels' speed, at the machine's limits. */
typedef struct {
    double kernels, limits;
} Time;

static void add(GArray *costs, const EngPeekTensor *t, Role role)
{
    Cost *cost = NULL;
    double elements = 1;
    for (int d = 0; d < t->n_dims; d++) elements *= (double)t->shape[d];
    for (guint i = 0; i < costs->len && !cost; i++) {
        Cost *has = &g_array_index(costs, Cost, i);
        if (has->role == role && strcmp(has->type, t->type) == 0) cost = has;
    }
    if (!cost) {
        Cost fresh = {.type = t->type, .role = role};
        g_array_append_val(costs, fresh);
        cost = &g_array_index(costs, Cost, costs->len - 1);
    }
    cost->bytes += (double)t->bytes;
    cost->elements += elements;
}

/* A token table that is the head too is read whole. */
static void count(Machine *m, const GPtrArray *peeks)
{
    const EngPeekTensor *table = NULL;
    bool has_head = false;
    for (guint p = 0; p < peeks->len; p++) {
        const EngPeek *part = peeks->pdata[p];
        for (size_t i = 0; i < part->n_tensors; i++) {
            const EngPeekTensor *t = &part->tensors[i];
            if (t->n_dims < 2) continue;
            bool is_head = strcmp(t->name, "output.weight") == 0;
            has_head = has_head || is_head;
            if (strcmp(t->name, "token_embd.weight") == 0)
                table = t;
            else
                add(m->costs, t, is_head ? HEAD : strstr(t->name, "_exps.") ? EXPERTS : ALWAYS);
        }
    }
    if (table && !has_head) add(m->costs, table, HEAD);
}

/* Gop/s, between whole numbers of tokens by the time that they take. */
static double kernel_speed(const Machine *m, const char *type, double tokens)
{
    enum { MOST = 256 }; /* more are multiplied so many at a time */
    tokens = CLAMP(tokens, 1, MOST);
    int below = (int)floor(tokens);
    double low = eng_gauge_product(m->gauge, type, below);
    if (low == 0 || tokens - below < 0.05) return low;
    double high = eng_gauge_product(m->gauge, type, below + 1), part = tokens - below;
    return tokens / ((1 - part) * below / low + part * (below + 1) / high);
}

static void add_time(const Machine *m, const char *type, double bytes, double elements,
                     double tokens, Time *sum)
{
    double speed = kernel_speed(m, type, tokens), ops = 2 * elements * tokens;
    if (speed == 0) return;
    double reading = bytes * 1e-9 / m->limits.read_gb_s;
    sum->kernels += MAX(ops * 1e-9 / speed, reading);
    sum->limits += MAX(ops * 1e-9 / m->limits.int8_gop_s, reading);
}

/* Of the experts that `tokens` tokens are sent to by chance: how many, of all. */
static double share_at_work(const Machine *m, double tokens)
{
    return m->experts > 0 ? 1 - pow(1 - m->used / m->experts, tokens) : 1;
}

static void add_batch(const Machine *m, double tokens, Time *sum)
{
    double at_work = share_at_work(m, tokens);
    double each = m->experts > 0 ? tokens * m->used / (m->experts * at_work) : tokens;
    for (guint i = 0; i < m->costs->len; i++) {
        const Cost *c = &g_array_index(m->costs, Cost, i);
        if (c->role == ALWAYS) add_time(m, c->type, c->bytes, c->elements, tokens, sum);
        if (c->role == HEAD) add_time(m, c->type, c->bytes, c->elements, 1, sum);
        if (c->role == EXPERTS)
            add_time(m, c->type, c->bytes * at_work, c->elements * at_work, each, sum);
    }
}

static HearthSpeed speed_of(Time time, double tokens)
{
    return (HearthSpeed){tokens / time.kernels, tokens / time.limits};
}

static void add_token(const Machine *m, HearthPrediction *p)
{
    for (guint i = 0; i < m->costs->len; i++) {
        const Cost *c = &g_array_index(m->costs, Cost, i);
        double share = c->role == EXPERTS ? share_at_work(m, 1) : 1;
        p->bytes += share * c->bytes;
        p->products += share * c->elements;
    }
}

/* Blocks of 64 positions are multiplied whole. */
static void add_attention(const Machine *m, const HearthPredict *what, int tokens, Time *sum)
{
    double positions = (double)tokens * (what->depth + tokens / 2.0 + 32);
    double ops = 2 * positions * (double)what->attention_products;
    sum->kernels += ops * 1e-9 / eng_gauge_attention(m->gauge, what->kv);
    sum->limits += ops * 1e-9 / m->limits.int8_gop_s;
}

static void scale(Time *time, double by)
{
    time->kernels *= by;
    time->limits *= by;
}

static HearthSpeed predict_prompt(const Machine *m, const HearthPredict *what, double *ret_each)
{
    int batch = MIN(what->batch, what->prompt), rest = what->prompt % batch;
    Time time = {0};
    add_batch(m, batch, &time);
    scale(&time, what->prompt / batch);
    if (rest) add_batch(m, rest, &time);
    add_attention(m, what, what->prompt, &time);
    if (m->experts > 0) *ret_each = batch * m->used / (m->experts * share_at_work(m, batch));
    return speed_of(time, what->prompt);
}

static HearthSpeed predict_tokens(const Machine *m, const HearthPredict *what)
{
    Time time = {0};
    add_batch(m, 1, &time);
    scale(&time, what->generate);
    add_attention(m, what, what->generate, &time);
    return speed_of(time, what->generate);
}

bool hearth_predict(const HearthPredict *what, HearthPrediction *ret, GError **error)
{
    EngError failure = {0};
    const EngPeek *first = what->peeks->pdata[0];
    g_autoptr(EngGauge) gauge = eng_gauge_new(what->threads, &failure);
    if (!gauge) return hearth_error_from_engine(error, &failure);
    g_autoptr(GArray) costs = g_array_new(FALSE, FALSE, sizeof(Cost));
    Machine m = {gauge, eng_gauge_limits(gauge), costs, first->n_experts, what->experts_used};
    count(&m, what->peeks);
    HearthPrediction p = {.limits = m.limits};
    for (guint i = 0; i < what->peeks->len; i++)
        p.parameters += (double)((const EngPeek *)what->peeks->pdata[i])->parameters;
    add_token(&m, &p);
    if (what->prompt > 0) p.prefill = predict_prompt(&m, what, &p.expert_tokens);
    if (what->generate > 0) p.decode = predict_tokens(&m, what);
    *ret = p;
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
