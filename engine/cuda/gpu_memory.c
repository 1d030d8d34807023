/* What of a graph lies in a GPU's memory: how much that is, which piece is whose, and how weights
 * come there. The same walk, over a block that is not there yet, is what plans count with. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cuda/gpu_ops.h"

enum { ALIGN = 256 };

/* Cuts a block into pieces; with base NULL to learn the size. */
typedef struct {
    uint8_t *base;
    size_t at, matrices; /* bytes; of those, matrices */
} Cutter;

static void *cut(Cutter *c, size_t bytes)
{
    void *p = c->base ? c->base + c->at : NULL;
    c->at += (size_t)eng_align_up(ENG_MAX(bytes, 16), ALIGN);
    return p;
}

/* Two ops read what the host alone has. */
static bool is_here(const EngGraph *graph, const bool *on_device, size_t op)
{
    EngOpKind kind = graph->ops.data[op].kind;
    return on_device[op] && kind != ENG_OP_EMBED && kind != ENG_OP_ROPE_TABLE;
}

static bool is_guest(const EngGpu *g, size_t op) { return g->guests.is && g->guests.is[op]; }

/* ---- weights --------------------------------------------------------------------------------- */

static void await(EngGpu *g, const void *from, void *to, size_t bytes)
{
    EngGpuPiece piece = {from, to, bytes};
    eng_vec_push(&g->pieces, piece);
    g->base.weight_bytes += bytes;
}

static void place_matrix(EngGpu *g, Cutter *c, const EngWeight *w, EngCuWeight *ret)
{
    size_t mat = (size_t)w->rows * w->row_bytes, all = (size_t)w->mats * mat;
    uint8_t *to = cut(c, all);
    c->matrices += all;
    if (!to) return;
    *ret = (EngCuWeight){.data = to,
                         .row_bytes = w->row_bytes,
                         .mat_bytes = mat,
                         .cols = (int)w->cols,
                         .rows = (int)w->rows};
    if (!w->mat_data && w->mat_bytes == mat) {
        await(g, eng_weight_mat(w, 0), to, all);
        return;
    }
    for (int64_t m = 0; m < w->mats; m++) await(g, eng_weight_mat(w, m), to + (size_t)m * mat, mat);
}

static void place_vector(EngGpu *g, Cutter *c, const float *x, int64_t n, const float **ret)
{
    if (!x) return;
    *ret = cut(c, (size_t)n * sizeof *x);
    if (*ret) await(g, x, (void *)*ret, (size_t)n * sizeof *x);
}

static void place_op(EngGpu *g, Cutter *c, size_t i)
{
    const EngOp *op = &g->graph->ops.data[i];
    EngGpuOp *to = &g->ops[i];
    const EngWeight *w[ENG_LINEAR_MAX];
    int n = eng_op_weights(op, w);
    for (int j = 0; j < n; j++) place_matrix(g, c, w[j], &to->w[j]);
    if (op->kind == ENG_OP_NORM) place_vector(g, c, op->norm.weight, op->src.n, &to->vector[0]);
    if (op->kind == ENG_OP_ROUTE)
        place_vector(g, c, op->route.bias, op->src.heads * op->src.n, &to->vector[0]);
    for (int j = 0; op->kind == ENG_OP_LINEAR && j < n; j++)
        place_vector(g, c, op->linear.bias[j], w[j]->rows, &to->vector[j]);
}

static void place_weights(EngGpu *g, Cutter *c, const bool *on_device)
{
    for (size_t i = 0; i < g->graph->ops.n; i++)
        if (!is_here(g->graph, on_device, i))
            continue;
        else if (eng_graph_continues(g->graph, (int)i) && on_device[i - 1])
            g->ops[i] = g->ops[i - 1]; /* experts that are computed in two goes are there once */
        else
            place_op(g, c, i);
}

uint64_t eng_gpu_next(EngDevice *device, uint64_t most, const uint8_t **ret_from)
{
    const EngGpu *g = (const EngGpu *)device;
    if (g->piece >= g->pieces.n) return 0;
    const EngGpuPiece *p = &g->pieces.data[g->piece];
    *ret_from = p->from + g->piece_at;
    return ENG_MIN(most, p->bytes - g->piece_at);
}

bool eng_gpu_load(EngDevice *device, uint64_t bytes, EngError *err)
{
    EngGpu *g = (EngGpu *)device;
    const EngGpuPiece *p = &g->pieces.data[g->piece];
    eng_cuda_enter(g->cuda);
    if (!eng_cuda_write(g->cuda, p->to + g->piece_at, p->from + g->piece_at, (size_t)bytes, err))
        return false;
    g->base.loaded += bytes;
    g->piece_at += (size_t)bytes;
    if (g->piece_at < p->bytes) return true;
    g->piece++;
    g->piece_at = 0;
    return true;
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* Of experts that are computed for few tokens alone. */
static void add_cached_needs(const EngOp *op, size_t few, EngGpuNeeds *n)
{
    size_t hidden = few * (size_t)op->experts.n_used * (size_t)op->experts.gate.rows;
    n->hidden = ENG_MAX(n->hidden, hidden);
    n->few = ENG_MAX(n->few, ENG_MAX(hidden, few * (size_t)op->src.n));
}

/* The largest of what ops need beside the graph's buffers. Few tokens meet weights as vectors in
 * two forms, many as halves. */
static EngGpuNeeds needs_of(const EngGpu *g, const bool *on_device, int processors)
{
    EngGpuNeeds n = {0};
    size_t t = (size_t)g->max_tokens, few = ENG_MIN(t, ENG_CU_MATVEC_TOKENS);
    for (size_t i = 0; i < g->graph->ops.n; i++) {
        const EngOp *op = &g->graph->ops.data[i];
        if (eng_slot_may(g->graph, on_device, i)) add_cached_needs(op, few, &n);
        if (!is_here(g->graph, on_device, i) && !is_guest(g, i)) continue;
        size_t heads = (size_t)op->src.heads, width = heads * (size_t)op->src.n;
        if (op->kind == ENG_OP_LINEAR || op->kind == ENG_OP_HEADS || op->kind == ENG_OP_EXPERTS) {
            n.act = ENG_MAX(n.act, t * width);
            n.few = ENG_MAX(n.few, few * width);
            n.vectors = ENG_MAX(n.vectors, t * heads);
        }
        if (op->kind == ENG_OP_ATTN) {
            size_t bytes = eng_cuda_attn_partial_most(processors, ENG_CU_MATVEC_TOKENS,
                                                      op->src.heads, op->attn.n_kv, op->attn.dv);
            n.partial = ENG_MAX(n.partial, bytes);
        }
        if (op->kind != ENG_OP_EXPERTS) continue;
        size_t used = (size_t)op->experts.n_used, ff = (size_t)op->experts.gate.rows;
        if (is_guest(g, i) && eng_graph_continues(g->graph, (int)i))
            used += (size_t)op[-1].experts.n_used; /* guests of both at once */
        n.slots = ENG_MAX(n.slots, t * used);
        n.experts = ENG_MAX(n.experts, (size_t)op->experts.gate.mats);
        n.hidden = ENG_MAX(n.hidden, t * used * ff);
        n.act = ENG_MAX(n.act, t * used * ff);
        n.few = ENG_MAX(n.few, few * used * ff);
        n.vectors = ENG_MAX(n.vectors, t * used);
        n.sums = ENG_MAX(n.sums, t * used * (size_t)op->dst.n);
    }
    return n;
}

static void mark(bool *used, const EngView *views, int n)
{
    for (int i = 0; i < n; i++) used[views[i].buf] = true;
}

/* Those that an op here reads or writes; from SELECT's on they have rows for wanted tokens alone.
 */
static void place_graph(EngGpu *g, Cutter *c, const bool *on_device)
{
    bool *used = eng_alloc0(g->graph->widths.n + 1);
    int first_out = (int)g->graph->widths.n;
    for (size_t i = 0; i < g->graph->ops.n; i++) {
        const EngOp *op = &g->graph->ops.data[i];
        if (op->kind == ENG_OP_SELECT) first_out = op->dst.buf;
        if (!is_here(g->graph, on_device, i) && !is_guest(g, i) &&
            !eng_slot_may(g->graph, on_device, i))
            continue;
        EngUses u = eng_op_uses(op);
        mark(used, u.reads, u.n_reads);
        mark(used, u.writes, u.n_writes);
    }
    for (size_t i = 0; i < g->graph->widths.n; i++) {
        size_t rows = (size_t)((int)i >= first_out ? g->max_out : g->max_tokens);
        if (used[i])
            g->buffers[i] = cut(c, rows * (size_t)g->graph->widths.data[i] * sizeof(float));
    }
    free(used);
}

static void place_buffers(EngGpu *g, Cutter *c, const bool *on_device, int processors)
{
    EngGpuNeeds n = needs_of(g, on_device, processors);
    place_graph(g, c, on_device);
    g->x = cut(c, n.few * sizeof(float));
    g->q = cut(c, n.few);
    g->scale = cut(c, (n.few / 16 + 2) * sizeof(float));
    g->halves = cut(c, n.act * sizeof(uint16_t));
    g->half_scale = cut(c, n.vectors * sizeof(float));
    g->partial = cut(c, n.partial);
    g->gate = cut(c, n.hidden * sizeof(float));
    g->up = cut(c, n.hidden * sizeof(float));
    g->sums = cut(c, n.sums * sizeof(float));
    g->slots.first = cut(c, (n.experts + 1) * sizeof(int32_t));
    g->slots.token = cut(c, n.slots * sizeof(int32_t));
    g->slots.slot = cut(c, n.slots * sizeof(int32_t));
    for (int i = 0; g->guests.is && i < ENG_GUEST_SLOTS; i++)
        g->guests.slots[i] = cut(c, g->guests.slot_bytes);
    if (g->guests.is) g->guests.table = cut(c, 3 * (size_t)g->guests.most * sizeof(void *));
    g->step_bytes = 16 + (size_t)g->max_tokens * sizeof(EngCuRow) + (size_t)g->max_out * 4;
    g->step = cut(c, g->step_bytes);
}

/* ---- cached experts -------------------------------------------------------------------------- */

/* The ops find their matrices by the table, whatever is in it. */
static void bind_cached(EngGpu *g, const bool *on_device, const bool *ops)
{
    size_t experts = (size_t)g->cache_shape.experts;
    const uint8_t *const *row = (const uint8_t *const *)(const void *)g->cache;
    for (size_t i = 0; i < g->graph->ops.n; i++) {
        const EngWeight *w[ENG_LINEAR_MAX];
        if (!eng_slot_may(g->graph, on_device, i) || (ops && !ops[i])) continue;
        int n = eng_op_weights(&g->graph->ops.data[i], w);
        if (eng_graph_continues(g->graph, (int)i)) { /* the same experts */
            memcpy(g->ops[i].w, g->ops[i - 1].w, sizeof g->ops[i].w);
            continue;
        }
        for (int j = 0; j < n; j++, row += experts)
            g->ops[i].w[j] = (EngCuWeight){.mats = row,
                                           .row_bytes = w[j]->row_bytes,
                                           .cols = (int)w[j]->cols,
                                           .rows = (int)w[j]->rows};
    }
}

bool eng_gpu_cache_new(EngGpu *g, const bool *on_device, EngGpuCache cache, EngError *err)
{
    g->cache_shape = eng_slot_shape(g->graph, on_device, cache.ops);
    int n = eng_slot_count(&g->cache_shape, cache.bytes);
    if (n == 0) return true;
    size_t table = g->cache_shape.table_bytes;
    size_t bytes = (size_t)eng_slot_bytes(&g->cache_shape, n);
    g->cache = eng_cuda_alloc(g->cuda, bytes, "cached experts", NULL);
    if (!g->cache) return true; /* it can be done without */
    g->sent_table = eng_cuda_alloc_host(g->cuda, table, "the cached experts' table", err);
    for (int i = 0; i < ENG_CACHE_PENDING && g->sent_table; i++) {
        g->cache_events[i] = eng_cuda_event_new(g->cuda, err);
        if (!g->cache_events[i]) return false;
    }
    g->table = eng_alloc0(table);
    bind_cached(g, on_device, cache.ops);
    g->base.n_slots = n;
    g->base.slot_bytes = g->cache_shape.slot_bytes;
    g->base.cache_bytes = bytes;
    return g->sent_table != NULL;
}

bool eng_gpu_caches(const EngDevice *device, int op)
{
    return ((const EngGpu *)device)->ops[op].w[0].mats != NULL;
}

static uint8_t *slot_at(const EngGpu *g, int slot)
{
    return g->cache + g->cache_shape.table_bytes + (size_t)slot * g->base.slot_bytes;
}

void eng_gpu_cache_set(EngDevice *device, int op, int expert, int slot)
{
    EngGpu *g = (EngGpu *)device;
    size_t at[3];
    eng_slot_layout(&g->graph->ops.data[op], at);
    for (int j = 0; j < 3; j++) {
        size_t row = (size_t)((const uint8_t *)g->ops[op].w[j].mats - g->cache) / sizeof *g->table;
        g->table[row + (size_t)expert] = slot < 0 ? NULL : slot_at(g, slot) + at[j];
    }
    g->table_changed = true;
}

/* What was sent before has arrived: steps end before the next begins. */
void eng_gpu_send_table(EngGpu *g)
{
    memcpy(g->sent_table, g->table, g->cache_shape.table_bytes);
    eng_cuda_enqueue_write(g->cuda, ENG_CU_COMPUTE, g->cache, g->sent_table,
                           g->cache_shape.table_bytes);
    g->table_changed = false;
}

void eng_gpu_cache_copy(EngDevice *device, int pending, int slot, const void *pinned, size_t bytes)
{
    EngGpu *g = (EngGpu *)device;
    eng_cuda_enqueue_write(g->cuda, ENG_CU_COPIES, slot_at(g, slot), pinned, bytes);
    eng_cuda_event_mark(g->cuda, g->cache_events[pending], ENG_CU_COPIES);
}

bool eng_gpu_cache_copied(EngDevice *device, int pending)
{
    EngGpu *g = (EngGpu *)device;
    if (device->cache_waits) eng_cuda_event_wait(g->cuda, g->cache_events[pending]);
    return eng_cuda_event_has_happened(g->cuda, g->cache_events[pending]);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static EngGpuBytes count(EngGpu *g, const bool *on_device, int processors)
{
    Cutter weights = {0}, buffers = {0};
    place_weights(g, &weights, on_device);
    place_buffers(g, &buffers, on_device, processors);
    return (EngGpuBytes){weights.matrices, weights.at - weights.matrices, buffers.at};
}

EngGpuBytes eng_gpu_bytes(const EngGraph *graph, const bool *on_device, int max_tokens, int max_out,
                          EngGpuGuests guests, int processors)
{
    EngGpu g = {.graph = graph, .max_tokens = max_tokens, .max_out = max_out};
    g.buffers = eng_alloc0((graph->widths.n + 1) * sizeof *g.buffers);
    g.ops = eng_alloc0((graph->ops.n + 1) * sizeof *g.ops);
    eng_guests_find(&g.guests, graph, on_device, guests);
    EngGpuBytes bytes = count(&g, on_device, processors);
    eng_guests_clear(&g.guests);
    free(g.buffers);
    free(g.ops);
    return bytes;
}

static bool has_room(const EngGpu *g, const EngGpuBytes *b, uint64_t more, uint64_t *ret_left,
                     EngError *err)
{
    uint64_t all = b->matrices + b->small + b->buffers + more, have = eng_cuda_available(g->cuda);
    *ret_left = have - ENG_MIN(all, have);
    if (all <= have) return true;
    char need[32], left[32];
    eng_bytes_text(all, need);
    eng_bytes_text(have, left);
    return eng_fail(err, ENG_ERR_MEMORY,
                    "The model needs %s of VRAM, and %s has %s left: close what else uses it, or "
                    "allow less with --vram.",
                    need, eng_cuda_info(g->cuda).name, left);
}

bool eng_gpu_allocate(EngGpu *g, const bool *on_device, uint64_t contexts, EngGpuCache cache,
                      EngError *err)
{
    int processors = eng_cuda_info(g->cuda).processors;
    EngGpuBytes bytes = count(g, on_device, processors);
    Cutter weights = {0}, buffers = {0};
    uint64_t left;
    if (!has_room(g, &bytes, contexts, &left, err)) return false;
    left -= ENG_MIN(left, ENG_VRAM_SPARE);
    cache.bytes = ENG_MIN(cache.bytes, left); /* what another program took is not missed */
    size_t all = (size_t)(bytes.matrices + bytes.small);
    if (all) weights.base = eng_cuda_alloc(g->cuda, all, "the model's weights", err);
    if (all && !weights.base) return false;
    buffers.base = eng_cuda_alloc(g->cuda, (size_t)bytes.buffers, "the compute buffers", err);
    if (!buffers.base) return false;
    place_weights(g, &weights, on_device);
    place_buffers(g, &buffers, on_device, processors);
    g->host_step = eng_cuda_alloc_host(g->cuda, g->step_bytes, "the positions", err);
    return g->host_step && eng_gpu_cache_new(g, on_device, cache, err);
}
