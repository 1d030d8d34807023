/* Routed experts: who goes where, then the work, expert by expert, so that a weight row is read
 * once for all the tokens that want it. Decode is the same with one token.
 *
 * A token's place in an expert is a slot. Phases: group slots by expert; quantize activations into
 * their slots; hidden = silu(gate x) * (up x) for tiles of (expert, rows); quantize hidden; for
 * tiles of output rows add weight * (down hidden), experts in ascending order, so that a token's
 * sum has one order whatever else is in the batch. */
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

enum { DOWN_ROWS = 16 }; /* at least, of each expert: a stream of fewer is not worth its start */

/* Bytes per row of what `w` is multiplied with. */
static size_t act_stride(const EngWeight *w)
{
    return eng_cpu_act_stride(eng_act_row_bytes(eng_type_info(w->type)->act, w->cols));
}

void eng_cpu_needs_experts(const EngOp *op, int max_tokens, EngCpuNeeds *needs)
{
    const EngOpExperts *e = &op->experts;
    size_t slots = (size_t)max_tokens * (size_t)e->n_used;
    size_t in = ENG_MAX(act_stride(&e->gate), act_stride(&e->up));
    /* gate and up of different forms (never seen, but legal) keep two copies */
    needs->slot_act = ENG_MAX(needs->slot_act, 2 * slots * in);
    needs->hidden = ENG_MAX(needs->hidden, slots * (size_t)e->gate.rows * sizeof(float));
    needs->hidden_act = ENG_MAX(needs->hidden_act, slots * act_stride(&e->down));
    needs->scratch =
        ENG_MAX(needs->scratch, 2 * (size_t)ENG_TILE_TOKENS * ENG_TILE_ROWS * sizeof(float));
    needs->n_used = ENG_MAX(needs->n_used, e->n_used);
    needs->n_experts = ENG_MAX(needs->n_experts, (int)e->gate.mats);
}

static const int32_t *token_ids(const EngCpu *cpu, const EngOpExperts *e, int token)
{
    return (const int32_t *)(const void *)eng_cpu_row(cpu, e->ids, token);
}

/* Counting sort of (token, expert) pairs by expert. */
void eng_cpu_experts_group(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpExperts *e = &op->experts;
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

/* Where the activations that `w` wants begin; the second form, if any, lies behind the first. The
 * slots of a single token share one copy: stride 0. */
static uint8_t *slot_activations(const EngCpu *cpu, const EngOpExperts *e, const EngWeight *w,
                                 size_t *ret_stride)
{
    EngAct act = eng_type_info(w->type)->act, first = eng_type_info(e->gate.type)->act;
    *ret_stride = cpu->rows == 1 ? 0 : act_stride(w);
    if (act == first) return cpu->slot_act;
    size_t slots = cpu->rows == 1 ? 1 : (size_t)cpu->rows * (size_t)e->n_used;
    return cpu->slot_act + slots * act_stride(&e->gate);
}

static void fill_slots(EngCpu *cpu, const EngOp *op, const EngWeight *w, int token)
{
    const EngOpExperts *e = &op->experts;
    EngAct act = eng_type_info(w->type)->act;
    const int32_t *slot = cpu->slots.slot + token * e->n_used;
    size_t stride;
    uint8_t *base = slot_activations(cpu, e, w, &stride);
    uint8_t *one = base + (size_t)slot[0] * stride;
    cpu->k->quantize[act](eng_cpu_row(cpu, op->src, token), one, w->cols);
    if (stride)
        for (int k = 1; k < e->n_used; k++) memcpy(base + (size_t)slot[k] * stride, one, stride);
}

void eng_cpu_experts_fill(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpExperts *e = &op->experts;
    bool two = eng_type_info(e->up.type)->act != eng_type_info(e->gate.type)->act;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;) {
        fill_slots(cpu, op, &e->gate, (int)t);
        if (two) fill_slots(cpu, op, &e->up, (int)t);
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
        if (cpu->rows == 1) eng_cpu_ask(up, t->expert, t->row0, t->rows);
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
    size_t stride = act_stride(w);
    const uint8_t *x = cpu->hidden_act;
    float *y = eng_cpu_scratch(cpu, thread);
    for (int i = 0; i < s->n_active; i++) {
        int expert = s->active[i], end = s->first[expert + 1];
        const uint8_t *wr = eng_weight_mat(w, expert) + (size_t)row0 * w->row_bytes;
        if (cpu->rows == 1 && i + 1 < s->n_active) eng_cpu_ask(w, s->active[i + 1], row0, rows);
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

/* Tile i of gate and up of the active experts. */
static ExpertTile tile_at(const EngCpu *cpu, const EngOpExperts *e, int64_t i)
{
    const EngSlots *s = &cpu->slots;
    int size = eng_cpu_tile_rows(cpu, e->gate.row_bytes + e->up.row_bytes);
    int64_t tiles = (e->gate.rows + size - 1) / size;
    int expert = s->active[i / tiles], row0 = (int)(i % tiles) * size;
    return (ExpertTile){expert, s->first[expert], s->first[expert + 1] - s->first[expert], row0,
                        (int)ENG_MIN(size, e->gate.rows - row0)};
}

static void hidden_work(EngCpu *cpu, const void *arg, int64_t i, int thread)
{
    ExpertTile t = tile_at(cpu, arg, i);
    hidden_tile(cpu, arg, &t, thread);
}

static void hidden_ask(EngCpu *cpu, const void *arg, int64_t i, int thread)
{
    (void)thread;
    const EngOpExperts *e = arg;
    ExpertTile t = tile_at(cpu, e, i);
    eng_cpu_ask(&e->gate, t.expert, t.row0, t.rows);
}

/* gate and up for all active experts. */
void eng_cpu_experts_hidden(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngOpExperts *e = &op->experts;
    int size = eng_cpu_tile_rows(cpu, e->gate.row_bytes + e->up.row_bytes);
    int64_t tiles = (e->gate.rows + size - 1) / size;
    eng_cpu_pieces(cpu, tiles * cpu->slots.n_active, hidden_work, hidden_ask, e, thread);
}

void eng_cpu_experts_quantize(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpExperts *e = &op->experts;
    EngAct act = eng_type_info(e->down.type)->act;
    size_t stride = act_stride(&e->down);
    for (int64_t i; (i = eng_pool_next(cpu->pool, (int64_t)cpu->rows * e->n_used)) >= 0;)
        cpu->k->quantize[act](cpu->hidden + (size_t)i * (size_t)e->down.cols,
                              cpu->hidden_act + (size_t)i * stride, e->down.cols);
}

/* Rows of all experts' down matrices that make a piece. */
static int down_rows(const EngCpu *cpu, const EngOpExperts *e)
{
    int rows = eng_cpu_tile_rows(cpu, e->down.row_bytes * (size_t)e->n_used);
    return ENG_MIN(ENG_MAX(rows, DOWN_ROWS), ENG_TILE_ROWS);
}

static void down_work(EngCpu *cpu, const void *arg, int64_t i, int thread)
{
    const EngOp *op = arg;
    int size = down_rows(cpu, &op->experts), row0 = (int)i * size;
    down_tile(cpu, op, row0, (int)ENG_MIN(size, op->experts.down.rows - row0), thread);
}

static void down_ask(EngCpu *cpu, const void *arg, int64_t i, int thread)
{
    (void)thread;
    const EngOpExperts *e = &((const EngOp *)arg)->experts;
    int size = down_rows(cpu, e), row0 = (int)i * size;
    eng_cpu_ask(&e->down, cpu->slots.active[0], row0, (int)ENG_MIN(size, e->down.rows - row0));
}

void eng_cpu_experts_down(EngCpu *cpu, const EngOp *op, int thread)
{
    int size = down_rows(cpu, &op->experts);
    eng_cpu_pieces(cpu, (op->experts.down.rows + size - 1) / size, down_work, down_ask, op, thread);
}
