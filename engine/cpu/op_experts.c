/* Routed experts: who goes where, then the work, expert by expert, so that a weight row is read
 * once for all the tokens that want it. Decode is the same with one token.
 *
 * A token's place in an expert is a slot. Phases: group slots by expert; quantize activations into
 * their slots; hidden = silu(gate x) * (up x) for tiles of (expert, rows); quantize hidden; for
 * tiles of output rows add weight * (down hidden), experts in ascending order, so that a token's
 * sum has one order whatever else is in the batch. What is chosen may be nobody's here. */
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"

enum {
    DOWN_ROWS = 16, /* at least, of each expert: a stream of fewer is not worth its start */
    /* For many tokens, at most: each tile reads the hidden numbers of all of them. */
    DOWN_TILE = 4 * ENG_TILE_ROWS,
    TILES = 4 /* for each thread, at least */
};
enum { GATE, UP, DOWN }; /* an op's kernels */

/* Bytes per row of what a kernel multiplies rows of `cols` numbers with. */
static size_t act_stride(const EngKernel *kernel, int64_t cols)
{
    return eng_cpu_act_stride(eng_act_row_bytes(kernel->act, cols));
}

void eng_cpu_needs_experts(const EngOp *op, const EngKernel *const *kernels, int max_tokens,
                           EngCpuNeeds *needs)
{
    const EngOpExperts *e = &op->experts;
    size_t slots = (size_t)max_tokens * (size_t)e->n_used;
    size_t in = act_stride(kernels[GATE], e->gate.cols);
    /* gate and up of different forms keep two copies */
    if (kernels[UP]->act != kernels[GATE]->act) in += act_stride(kernels[UP], e->up.cols);
    needs->slot_act = ENG_MAX(needs->slot_act, slots * in);
    needs->hidden = ENG_MAX(needs->hidden, slots * (size_t)e->gate.rows * sizeof(float));
    needs->hidden_act = ENG_MAX(needs->hidden_act, slots * act_stride(kernels[DOWN], e->down.cols));
    needs->scratch = ENG_MAX(needs->scratch, (size_t)ENG_TILE_TOKENS * DOWN_TILE * sizeof(float));
    needs->n_used = ENG_MAX(needs->n_used, e->n_used);
    needs->n_experts = ENG_MAX(needs->n_experts, (int)e->gate.mats);
}

static const int32_t *token_ids(const EngCpu *cpu, const EngOpExperts *e, int token)
{
    return (const int32_t *)(const void *)eng_cpu_row(cpu, e->ids, token);
}

/* Counting sort of (token, expert) pairs by expert; those of a negative id have no slot. */
void eng_cpu_experts_group(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpExperts *e = &op->experts;
    EngSlots *s = &cpu->slots;
    int n_experts = (int)e->gate.mats;
    memset(s->first, 0, ((size_t)n_experts + 1) * sizeof *s->first);
    for (int t = 0; t < cpu->rows; t++)
        for (int k = 0; k < e->n_used; k++) {
            int id = token_ids(cpu, e, t)[k];
            if (id >= 0) s->first[id + 1]++;
        }
    s->n_active = 0;
    for (int i = 0; i < n_experts; i++) {
        if (s->first[i + 1] > 0) s->active[s->n_active++] = i;
        s->first[i + 1] += s->first[i];
    }
    for (int t = 0; t < cpu->rows; t++) {
        const float *weights = eng_cpu_row(cpu, e->weights, t);
        for (int k = 0; k < e->n_used; k++) {
            int id = token_ids(cpu, e, t)[k], slot = id < 0 ? -1 : s->first[id]++;
            s->slot[t * e->n_used + k] = slot;
            if (slot < 0) continue;
            s->token[slot] = t;
            s->weight[slot] = weights[k];
        }
    }
    for (int i = n_experts; i > 0; i--) s->first[i] = s->first[i - 1]; /* undo the advance */
    s->first[0] = 0;
}

/* Where the activations that GATE or UP wants begin; the second form, if any, lies behind the
 * first. The slots of a single token share one copy: stride 0. */
static uint8_t *slot_activations(const EngCpu *cpu, const EngOp *op, int which, size_t *ret_stride)
{
    const EngOpExperts *e = &op->experts;
    const EngKernel *const *kernels = eng_cpu_kernels(cpu, op);
    *ret_stride = cpu->rows == 1 ? 0 : act_stride(kernels[which], e->gate.cols);
    if (kernels[which]->act == kernels[GATE]->act) return cpu->slot_act;
    size_t slots = cpu->rows == 1 ? 1 : (size_t)cpu->rows * (size_t)e->n_used;
    return cpu->slot_act + slots * act_stride(kernels[GATE], e->gate.cols);
}

static void fill_slots(EngCpu *cpu, const EngOp *op, int which, int token)
{
    const EngOpExperts *e = &op->experts;
    EngAct act = eng_cpu_kernels(cpu, op)[which]->act;
    const int32_t *slot = cpu->slots.slot + token * e->n_used;
    size_t stride;
    uint8_t *base = slot_activations(cpu, op, which, &stride), *one = NULL;
    for (int k = 0; k < e->n_used && !(one && stride == 0); k++) {
        uint8_t *at = base + (size_t)ENG_MAX(slot[k], 0) * stride;
        if (slot[k] < 0) continue;
        if (one)
            memcpy(at, one, stride);
        else
            cpu->k->quantize[act](eng_cpu_row(cpu, op->src, token), one = at, e->gate.cols);
    }
}

void eng_cpu_experts_fill(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngKernel *const *kernels = eng_cpu_kernels(cpu, op);
    bool two = kernels[UP]->act != kernels[GATE]->act;
    for (int64_t t; (t = eng_pool_next(cpu->pool, cpu->rows)) >= 0;) {
        fill_slots(cpu, op, GATE, (int)t);
        if (two) fill_slots(cpu, op, UP, (int)t);
    }
}

/* Rows of gate and up of one expert. */
static void hidden_work(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    const EngOp *op = arg;
    const EngKernel *const *kernels = eng_cpu_kernels(cpu, op);
    const EngWeight *gate = &op->experts.gate, *up = &op->experts.up;
    const EngSlots *s = &cpu->slots;
    float *g = eng_cpu_scratch(cpu, thread), *u = g + ENG_TILE_TOKENS * ENG_TILE_ROWS;
    size_t g_stride, u_stride, rows = (size_t)tile->rows;
    int expert = s->active[tile->time], end = s->first[expert + 1];
    const uint8_t *gx = slot_activations(cpu, op, GATE, &g_stride);
    const uint8_t *ux = slot_activations(cpu, op, UP, &u_stride);
    const uint8_t *gw = eng_weight_rows(gate, expert, tile->row0);
    const uint8_t *uw = eng_weight_rows(up, expert, tile->row0);
    for (int at = s->first[expert]; at < end; at += ENG_TILE_TOKENS) {
        int n = ENG_MIN(ENG_TILE_TOKENS, end - at);
        size_t slot = (size_t)at;
        if (cpu->rows == 1) eng_cpu_ask(up, expert, tile->row0, tile->rows);
        kernels[GATE]->matmul(gate->cols, tile->rows, n, gw, gate->row_bytes, gx + slot * g_stride,
                              g_stride, g, rows);
        kernels[UP]->matmul(up->cols, tile->rows, n, uw, up->row_bytes, ux + slot * u_stride,
                            u_stride, u, rows);
        for (int i = 0; i < n; i++)
            cpu->k->silu_mul(g + (size_t)i * rows, u + (size_t)i * rows,
                             cpu->hidden + (slot + (size_t)i) * (size_t)gate->rows + tile->row0,
                             tile->rows);
    }
}

static void hidden_ask(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    (void)thread;
    const EngOpExperts *e = &((const EngOp *)arg)->experts;
    eng_cpu_ask(&e->gate, cpu->slots.active[tile->time], tile->row0, tile->rows);
}

/* gate and up for all active experts. */
void eng_cpu_experts_hidden(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngOpExperts *e = &op->experts;
    EngCpuTiles tiles = {.n = 1, .times = cpu->slots.n_active, .w = {&e->gate}};
    size_t both = e->gate.row_bytes + e->up.row_bytes;
    size_t all_bytes = (size_t)cpu->slots.n_active * (size_t)e->gate.rows * both;
    tiles.tile[0] = cpu->rows > 1 ? ENG_TILE_ROWS : eng_cpu_piece_rows(cpu, both, all_bytes);
    eng_cpu_tiles(cpu, &tiles, hidden_work, hidden_ask, op, thread);
}

void eng_cpu_experts_quantize(EngCpu *cpu, const EngOp *op, int thread)
{
    (void)thread;
    const EngOpExperts *e = &op->experts;
    const EngKernel *down = eng_cpu_kernels(cpu, op)[DOWN];
    size_t stride = act_stride(down, e->down.cols);
    int64_t slots = cpu->slots.first[e->gate.mats];
    for (int64_t i; (i = eng_pool_next(cpu->pool, slots)) >= 0;)
        cpu->k->quantize[down->act](cpu->hidden + (size_t)i * (size_t)e->down.cols,
                                    cpu->hidden_act + (size_t)i * stride, e->down.cols);
}

/* Rows of the down matrices of all active experts. */
static void down_work(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    const EngOp *op = arg;
    const EngOpExperts *e = &op->experts;
    const EngKernel *kernel = eng_cpu_kernels(cpu, op)[DOWN];
    const EngWeight *w = &e->down;
    const EngSlots *s = &cpu->slots;
    int row0 = tile->row0, rows = tile->rows;
    size_t stride = act_stride(kernel, w->cols);
    const uint8_t *x = cpu->hidden_act;
    float *y = eng_cpu_scratch(cpu, thread);
    for (int t = 0; e->set && t < cpu->rows; t++)
        memset(eng_cpu_row(cpu, op->dst, t) + row0, 0, (size_t)rows * sizeof *y);
    for (int i = 0; i < s->n_active; i++) {
        int expert = s->active[i], end = s->first[expert + 1];
        const uint8_t *wr = eng_weight_rows(w, expert, row0);
        if (cpu->rows == 1 && i + 1 < s->n_active) eng_cpu_ask(w, s->active[i + 1], row0, rows);
        for (int at = s->first[expert]; at < end; at += ENG_TILE_TOKENS) {
            int n = ENG_MIN(ENG_TILE_TOKENS, end - at);
            kernel->matmul(w->cols, rows, n, wr, w->row_bytes, x + (size_t)at * stride, stride, y,
                           (size_t)rows);
            for (int j = 0; j < n; j++)
                cpu->k->add_scaled(y + (size_t)j * (size_t)rows,
                                   eng_cpu_row(cpu, op->dst, s->token[at + j]) + row0, rows,
                                   s->weight[at + j]);
        }
    }
}

static void down_ask(EngCpu *cpu, const void *arg, const EngCpuTile *tile, int thread)
{
    (void)thread;
    const EngOp *op = arg;
    if (cpu->slots.n_active > 0)
        eng_cpu_ask(&op->experts.down, cpu->slots.active[0], tile->row0, tile->rows);
}

/* A multiple of ENG_TILE_ROWS: kernels then see the same groups of rows whatever it is. */
static int down_tile(const EngCpu *cpu, const EngWeight *w)
{
    int tile = DOWN_TILE, threads = eng_pool_threads(cpu->pool);
    while (tile > ENG_TILE_ROWS && w->rows / tile < TILES * threads) tile /= 2;
    return tile;
}

void eng_cpu_experts_down(EngCpu *cpu, const EngOp *op, int thread)
{
    const EngOpExperts *e = &op->experts;
    size_t row = e->down.row_bytes * (size_t)e->n_used, all_bytes = row * (size_t)e->down.rows;
    EngCpuTiles tiles = {.n = 1, .times = 1, .w = {&e->down}};
    tiles.tile[0] = cpu->rows > 1 ? down_tile(cpu, &e->down)
                                  : ENG_MAX(eng_cpu_piece_rows(cpu, row, all_bytes), DOWN_ROWS);
    eng_cpu_tiles(cpu, &tiles, down_work, down_ask, op, thread);
}
