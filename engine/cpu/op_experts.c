/* Routed experts: who goes where, then the work, expert by expert, so that a weight row is read
 * once for all the tokens that want it. Decode is the same with one token.
 *
 * A token's place in an expert is a slot. Phases, with a barrier after each: group slots by expert;
 * quantize activations into their slots; hidden = silu(gate x) * (up x) for tiles of (expert,
 * rows); quantize hidden; for tiles of output rows add weight * (down hidden), experts in ascending
 * order, so that a token's sum has one order whatever else is in the batch. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

void eng_cpu_needs_experts(const EngOp *op, int max_tokens, EngCpuNeeds *needs)
{
    const EngOpExperts *e = &op->experts;
    size_t slots = (size_t)max_tokens * (size_t)e->n_used;
    size_t in = ENG_MAX(eng_act_row_bytes(eng_type_info(e->gate.type)->act, e->gate.cols),
                        eng_act_row_bytes(eng_type_info(e->up.type)->act, e->up.cols));
    /* gate and up of different forms (never seen, but legal) keep two copies */
    needs->slot_act = ENG_MAX(needs->slot_act, 2 * slots * in);
    needs->hidden = ENG_MAX(needs->hidden, slots * (size_t)e->gate.rows * sizeof(float));
    size_t mid = eng_act_row_bytes(eng_type_info(e->down.type)->act, e->down.cols);
    needs->hidden_act = ENG_MAX(needs->hidden_act, slots * mid);
    needs->scratch =
        ENG_MAX(needs->scratch, 2 * (size_t)ENG_TILE_TOKENS * ENG_TILE_ROWS * sizeof(float));
    needs->n_used = ENG_MAX(needs->n_used, e->n_used);
    needs->n_experts = ENG_MAX(needs->n_experts, (int)e->gate.mats);
}

/* ---- routing --------------------------------------------------------------------------------- */

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

/* Best of x[from … to) that is not yet taken; the lower index wins a tie, and a NaN never does. */
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
}

void eng_cpu_op_route(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;)
        route_token(&op->route, eng_cpu_row(cpu, op->src, (int)t), op->src.n,
                    (int32_t *)(void *)eng_cpu_row(cpu, op->dst, (int)t),
                    eng_cpu_row(cpu, op->route.weights, (int)t));
}

/* ---- experts --------------------------------------------------------------------------------- */

static const int32_t *token_ids(const EngCpu *cpu, const EngOpExperts *e, int token)
{
    return (const int32_t *)(const void *)eng_cpu_row(cpu, e->ids, token);
}

/* Counting sort of (token, expert) pairs by expert. */
static void group_slots(EngCpu *cpu, const EngOpExperts *e)
{
    EngSlots *s = &cpu->slots;
    int n_experts = (int)e->gate.mats;
    memset(s->first, 0, ((size_t)n_experts + 1) * sizeof *s->first);
    for (int t = 0; t < cpu->rows; t++)
        for (int k = 0; k < e->n_used; k++) s->first[token_ids(cpu, e, t)[k] + 1]++;
    s->n_active = 0;
    for (int i = 0; i < n_experts; i++) {
        if (s->first[i + 1] > 0) s->active[s->n_active++] = i;
        s->first[i + 1] += s->first[i];
    }
    for (int t = 0; t < cpu->rows; t++) {
        const float *weights = eng_cpu_row(cpu, e->weights, t);
        for (int k = 0; k < e->n_used; k++) {
            int slot = s->first[token_ids(cpu, e, t)[k]]++;
            s->token[slot] = t;
            s->weight[slot] = weights[k];
            s->slot[t * e->n_used + k] = slot;
        }
    }
    for (int i = n_experts; i > 0; i--) s->first[i] = s->first[i - 1]; /* undo the advance */
    s->first[0] = 0;
}

/* Where the activations that `w` wants begin; the second form, if any, lies behind the first. */
static uint8_t *slot_activations(const EngCpu *cpu, const EngOpExperts *e, const EngWeight *w,
                                 size_t *ret_stride)
{
    EngAct act = eng_type_info(w->type)->act, first = eng_type_info(e->gate.type)->act;
    *ret_stride = eng_act_row_bytes(act, w->cols);
    if (act == first) return cpu->slot_act;
    size_t slots = (size_t)cpu->rows * (size_t)e->n_used;
    return cpu->slot_act + slots * eng_act_row_bytes(first, w->cols);
}

static void fill_slots(EngCpu *cpu, const EngOp *op, const EngWeight *w)
{
    const EngOpExperts *e = &op->experts;
    EngAct act = eng_type_info(w->type)->act;
    size_t stride;
    uint8_t *base = slot_activations(cpu, e, w, &stride);
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;) {
        const int32_t *slot = cpu->slots.slot + t * e->n_used;
        uint8_t *one = base + (size_t)slot[0] * stride;
        cpu->k->quantize[act](eng_cpu_row(cpu, op->src, (int)t), one, w->cols);
        for (int k = 1; k < e->n_used; k++) memcpy(base + (size_t)slot[k] * stride, one, stride);
    }
}

typedef struct {
    int expert, first, n; /* slots */
    int row0, rows;
} ExpertTile;

static void hidden_tile(EngCpu *cpu, const EngOpExperts *e, const ExpertTile *t, int thread)
{
    const EngWeight *gate = &e->gate, *up = &e->up;
    float *g = eng_cpu_scratch(cpu, thread), *u = g + ENG_TILE_TOKENS * ENG_TILE_ROWS;
    size_t g_stride, u_stride, rows = (size_t)t->rows;
    const uint8_t *gx = slot_activations(cpu, e, gate, &g_stride);
    const uint8_t *ux = slot_activations(cpu, e, up, &u_stride);
    const uint8_t *gw = eng_weight_mat(gate, t->expert) + (size_t)t->row0 * gate->row_bytes;
    const uint8_t *uw = eng_weight_mat(up, t->expert) + (size_t)t->row0 * up->row_bytes;
    for (int at = 0; at < t->n; at += ENG_TILE_TOKENS) {
        int n = ENG_MIN(ENG_TILE_TOKENS, t->n - at);
        size_t slot = (size_t)(t->first + at);
        cpu->k->matmul[gate->type](gate->cols, t->rows, n, gw, gate->row_bytes,
                                   gx + slot * g_stride, g_stride, g, rows);
        cpu->k->matmul[up->type](up->cols, t->rows, n, uw, up->row_bytes, ux + slot * u_stride,
                                 u_stride, u, rows);
        for (int i = 0; i < n; i++)
            cpu->k->silu_mul(g + (size_t)i * rows, u + (size_t)i * rows,
                             cpu->hidden + (slot + (size_t)i) * (size_t)gate->rows + t->row0,
                             t->rows);
    }
}

static void down_tile(EngCpu *cpu, const EngOp *op, int row0, int rows, int thread)
{
    const EngOpExperts *e = &op->experts;
    const EngWeight *w = &e->down;
    const EngSlots *s = &cpu->slots;
    size_t stride = eng_act_row_bytes(eng_type_info(w->type)->act, w->cols);
    const uint8_t *x = cpu->hidden_act;
    float *y = eng_cpu_scratch(cpu, thread);
    for (int i = 0; i < s->n_active; i++) {
        int expert = s->active[i], end = s->first[expert + 1];
        const uint8_t *wr = eng_weight_mat(w, expert) + (size_t)row0 * w->row_bytes;
        for (int at = s->first[expert]; at < end; at += ENG_TILE_TOKENS) {
            int n = ENG_MIN(ENG_TILE_TOKENS, end - at);
            cpu->k->matmul[w->type](w->cols, rows, n, wr, w->row_bytes, x + (size_t)at * stride,
                                    stride, y, (size_t)rows);
            for (int j = 0; j < n; j++)
                cpu->k->add_scaled(y + (size_t)j * (size_t)rows,
                                   eng_cpu_row(cpu, op->dst, s->token[at + j]) + row0, rows,
                                   s->weight[at + j]);
        }
    }
}

/* gate and up for all active experts. */
static void hidden_phase(EngCpu *cpu, const EngOpExperts *e, int thread)
{
    const EngSlots *s = &cpu->slots;
    int64_t tiles = (e->gate.rows + ENG_TILE_ROWS - 1) / ENG_TILE_ROWS;
    for (int64_t i; (i = eng_pool_next(cpu->pool, tiles * s->n_active)) >= 0;) {
        int expert = s->active[i / tiles];
        int row0 = (int)(i % tiles) * ENG_TILE_ROWS;
        ExpertTile t = {expert, s->first[expert], s->first[expert + 1] - s->first[expert], row0,
                        (int)ENG_MIN(ENG_TILE_ROWS, e->gate.rows - row0)};
        hidden_tile(cpu, e, &t, thread);
    }
}

void eng_cpu_op_experts(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngOpExperts *e = &op->experts;
    if (thread == 0) group_slots(cpu, e);
    eng_pool_barrier(cpu->pool, thread);
    fill_slots(cpu, op, &e->gate);
    eng_pool_barrier(cpu->pool, thread);
    if (eng_type_info(e->up.type)->act != eng_type_info(e->gate.type)->act) {
        fill_slots(cpu, op, &e->up);
        eng_pool_barrier(cpu->pool, thread);
    }
    hidden_phase(cpu, e, thread);
    eng_pool_barrier(cpu->pool, thread);
    EngAct act = eng_type_info(e->down.type)->act;
    size_t stride = eng_act_row_bytes(act, e->down.cols);
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)cpu->rows * e->n_used)) >= 0;)
        cpu->k->quantize[act](cpu->hidden + (size_t)i * (size_t)e->down.cols,
                              cpu->hidden_act + (size_t)i * stride, e->down.cols);
    eng_pool_barrier(cpu->pool, thread);
    int64_t tiles = (e->down.rows + ENG_TILE_ROWS - 1) / ENG_TILE_ROWS;
    for (int64_t i; (i = eng_pool_next(cpu->pool, tiles)) >= 0;) {
        int row0 = (int)i * ENG_TILE_ROWS;
        down_tile(cpu, op, row0, (int)ENG_MIN(ENG_TILE_ROWS, e->down.rows - row0), thread);
    }
}
