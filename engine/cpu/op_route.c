/* Which experts a token goes to. */
#include <float.h>
#include <math.h>

#include "base/num.h"
#include "cpu/cpu.h"

static void gate_scores(const EngOpRoute *p, float *x, int n)
{
    if (p->gate == ENG_GATE_SIGMOID) {
        for (int i = 0; i < n; i++) x[i] = 1 / (1 + expf(-x[i]));
        return;
    }
    float max = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) max = fmaxf(max, x[i]);
    for (int i = 0; i < n; i++) sum += x[i] = expf(x[i] - max);
    for (int i = 0; i < n; i++) x[i] /= sum;
}

/* Best of x[from … to) that is not yet taken; the lower index wins a tie. Nothing is better than a
 * NaN that is met first, and a later one is not better than anything. */
static int best(const float *choice, const bool *taken, int from, int to)
{
    int at = -1;
    for (int i = from; i < to; i++)
        if (!taken[i] && (at < 0 || choice[i] > choice[at])) at = i;
    return at;
}

static float group_score(const EngOpRoute *p, const float *choice, int from, int to)
{
    float first = -FLT_MAX, second = -FLT_MAX;
    for (int i = from; i < to; i++) {
        if (choice[i] > first) {
            second = first;
            first = choice[i];
        } else if (choice[i] > second) {
            second = choice[i];
        }
    }
    return p->group_top2 && to - from > 1 ? first + second : first;
}

enum { MAX_EXPERTS = 4096 }; /* hparams.c's limit */

/* Group-limited choice (DeepSeek-V2, section 2.2.2): only experts of the best groups stand. */
static void drop_groups(const EngOpRoute *p, const float *choice, bool *taken, int n)
{
    float score[MAX_EXPERTS];
    bool chosen[MAX_EXPERTS] = {false};
    int size = n / p->n_groups;
    for (int g = 0; g < p->n_groups; g++)
        score[g] = group_score(p, choice, g * size, (g + 1) * size);
    for (int i = 0; i < p->n_groups_used; i++) chosen[best(score, chosen, 0, p->n_groups)] = true;
    for (int i = 0; i < n; i++) taken[i] = !chosen[i / size];
}

/* A NaN comes first, that it is not lost among what is deferred. */
static bool is_before(float a, float b) { return isnan(a) ? !isnan(b) : a > b; }

/* Of equal weights the one chosen first. */
static void sort_by_weight(int32_t *ids, float *weights, int n)
{
    for (int i = 1; i < n; i++) {
        int32_t id = ids[i];
        float weight = weights[i];
        int at = i;
        for (; at > 0 && is_before(weight, weights[at - 1]); at--)
            ids[at] = ids[at - 1], weights[at] = weights[at - 1];
        ids[at] = id, weights[at] = weight;
    }
}

static void route_token(const EngOpRoute *p, float *scores, int n, int32_t *ids, float *weights)
{
    float choice[MAX_EXPERTS];
    bool taken[MAX_EXPERTS] = {false};
    gate_scores(p, scores, n);
    for (int i = 0; i < n; i++) choice[i] = scores[i] + (p->bias ? p->bias[i] : 0);
    if (p->n_groups > 1) drop_groups(p, choice, taken, n);
    float sum = 0;
    for (int k = 0; k < p->n_used; k++) {
        ids[k] = best(choice, taken, 0, n);
        taken[ids[k]] = true;
        weights[k] = scores[ids[k]];
        sum += weights[k];
    }
    for (int k = 0; k < p->n_used; k++)
        weights[k] = (p->norm ? weights[k] / (sum + 1e-20f) : weights[k]) * p->scale;
    if (p->by_weight) sort_by_weight(ids, weights, p->n_used);
}

void eng_cpu_op_route(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;)
        route_token(&op->route, eng_cpu_row(cpu, op->src, (int)t), op->src.n,
                    (int32_t *)(void *)eng_cpu_row(cpu, op->dst, (int)t),
                    eng_cpu_row(cpu, op->route.weights, (int)t));
}
