#include "plan/cache/cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

enum { PIECE = 128 << 10, WARM_STEPS = 32, MOST_ROWS = 8, NOWHERE = -1 };

/* ---- what is where --------------------------------------------------------------------------- */

typedef enum { IDLE, COPYING, SENT } PendingState;

/* An expert on its way into a slot. */
typedef struct {
    PendingState state;
    int key, slot;
    int mat; /* of gate, up, down the one at work, from `row` on */
    int64_t row;
    uint8_t *staging; /* pinned */
} Pending;

/* A key is an expert of a layer: layer * experts + expert. */
struct EngCache {
    const EngGraph *graph;
    EngDevice *device;
    int *ops; /* [layers] */
    int layers, experts;
    int *slot_of;   /* [keys] NOWHERE: not in the table */
    int *key_of;    /* [slots] NOWHERE: free; also of what is on its way */
    int64_t *stamp; /* [slots] step of its last use */
    uint32_t *uses; /* [keys] in the first steps */
    int *misses;    /* [n_misses] of this step */
    int n_misses, most_misses;
    int served; /* layer that something came in for last */
    int filled; /* UNIFORM: keys that were asked for so far */
    int64_t step;
    size_t staging_bytes;
    Pending pending[ENG_CACHE_PENDING];
};

EngCache *eng_cache_new(const EngGraph *graph, const int *ops, int n, EngDevice *device,
                        EngError *err)
{
    EngCache *c = eng_alloc0(sizeof *c);
    *c = (EngCache){.graph = graph, .device = device, .layers = n, .served = -1};
    c->ops = eng_alloc0((size_t)n * sizeof *c->ops);
    memcpy(c->ops, ops, (size_t)n * sizeof *ops);
    for (int i = 0; i < n; i++) {
        const EngOpExperts *e = &graph->ops.data[ops[i]].experts;
        c->experts = ENG_MAX(c->experts, (int)e->gate.mats);
        c->most_misses += MOST_ROWS * e->n_used;
        bool both = ops[i] + 1 < (int)graph->ops.n && eng_graph_continues(graph, ops[i] + 1);
        if (both) c->most_misses += MOST_ROWS * graph->ops.data[ops[i] + 1].experts.n_used;
    }
    size_t keys = (size_t)n * (size_t)c->experts, slots = (size_t)device->n_slots;
    c->slot_of = eng_alloc0(keys * sizeof *c->slot_of);
    c->uses = eng_alloc0(keys * sizeof *c->uses);
    c->key_of = eng_alloc0(slots * sizeof *c->key_of);
    c->stamp = eng_alloc0(slots * sizeof *c->stamp);
    c->misses = eng_alloc0((size_t)c->most_misses * sizeof *c->misses);
    for (size_t i = 0; i < keys; i++) c->slot_of[i] = NOWHERE;
    for (size_t i = 0; i < slots; i++) c->key_of[i] = NOWHERE;
    c->staging_bytes = ENG_CACHE_PENDING * device->slot_bytes;
    uint8_t *staging = device->pinned(device, c->staging_bytes, "copying experts", err);
    for (int i = 0; i < ENG_CACHE_PENDING && staging; i++)
        c->pending[i].staging = staging + (size_t)i * device->slot_bytes;
    if (staging) return c;
    eng_cache_free(c);
    return NULL;
}

void eng_cache_free(EngCache *cache)
{
    if (!cache) return;
    free(cache->ops);
    free(cache->slot_of);
    free(cache->key_of);
    free(cache->stamp);
    free(cache->uses);
    free(cache->misses);
    free(cache);
}

size_t eng_cache_staging_bytes(const EngCache *cache) { return cache->staging_bytes; }

static void set_table(EngCache *c, int key, int slot)
{
    c->slot_of[key] = slot;
    c->device->cache_set(c->device, c->ops[key / c->experts], key % c->experts, slot);
}

/* ---- who comes in ---------------------------------------------------------------------------- */

static bool is_wanted(const EngCache *c, int key)
{
    if (key < 0 || c->slot_of[key] != NOWHERE) return false;
    for (int i = 0; i < ENG_CACHE_PENDING; i++)
        if (c->pending[i].state != IDLE && c->pending[i].key == key) return false;
    return key % c->experts < c->graph->ops.data[c->ops[key / c->experts]].experts.gate.mats;
}

/* Misses are in the order of layers. */
static int next_miss(EngCache *c)
{
    int first = NOWHERE;
    for (int i = 0; i < c->n_misses; i++) {
        if (!is_wanted(c, c->misses[i])) continue;
        if (c->misses[i] / c->experts > c->served) return c->misses[i];
        if (first == NOWHERE) first = c->misses[i];
    }
    return first;
}

static int most_used(const EngCache *c)
{
    int best = NOWHERE;
    if (c->step <= WARM_STEPS) return best;
    for (int key = 0; key < c->layers * c->experts; key++)
        if (c->uses[key] > (best == NOWHERE ? 0 : c->uses[best]) && is_wanted(c, key)) best = key;
    return best;
}

/* One of every layer, then the next of every layer. */
static int next_uniform(EngCache *c)
{
    int each = ENG_MIN(c->device->n_slots / c->layers, c->experts);
    while (c->filled < each * c->layers) {
        int i = c->filled++, key = i % c->layers * c->experts + i / c->layers;
        if (is_wanted(c, key)) return key;
    }
    return NOWHERE;
}

static int next_key(EngCache *c)
{
    switch (c->device->cache_policy) {
    case ENG_CACHE_LRU: return next_miss(c);
    case ENG_CACHE_PINNED: return most_used(c);
    case ENG_CACHE_UNIFORM: return next_uniform(c);
    default: return NOWHERE;
    }
}

static bool is_coming(const EngCache *c, int slot)
{
    for (int i = 0; i < ENG_CACHE_PENDING; i++)
        if (c->pending[i].state != IDLE && c->pending[i].slot == slot) return true;
    return false;
}

/* A free one; of an LRU cache else the one not used for longest, and not in the last step. */
static int slot_for_next(const EngCache *c)
{
    int oldest = NOWHERE;
    for (int i = 0; i < c->device->n_slots; i++) {
        if (c->key_of[i] == NOWHERE) return i;
        if (c->device->cache_policy != ENG_CACHE_LRU || is_coming(c, i)) continue;
        if (c->stamp[i] < (oldest == NOWHERE ? c->step - 1 : c->stamp[oldest])) oldest = i;
    }
    return oldest;
}

static void admit(EngCache *c, Pending *p)
{
    int slot = slot_for_next(c), key = slot == NOWHERE ? NOWHERE : next_key(c);
    if (key == NOWHERE) return;
    if (c->key_of[slot] != NOWHERE) set_table(c, c->key_of[slot], NOWHERE);
    c->key_of[slot] = key;
    c->stamp[slot] = c->step - 1;
    c->served = key / c->experts;
    *p = (Pending){.state = COPYING, .key = key, .slot = slot, .staging = p->staging};
}

void eng_cache_begin(EngCache *c)
{
    c->step++;
    for (int i = 0; i < ENG_CACHE_PENDING; i++) {
        Pending *p = &c->pending[i];
        if (p->state != SENT || !c->device->cache_copied(c->device, i)) continue;
        set_table(c, p->key, p->slot);
        c->stamp[p->slot] = c->step - 1; /* that it gets its turn */
        p->state = IDLE;
    }
    for (int i = 0; i < ENG_CACHE_PENDING; i++)
        if (c->pending[i].state == IDLE) admit(c, &c->pending[i]);
    c->n_misses = 0;
}

bool eng_cache_use(EngCache *c, int layer, int expert)
{
    int key = layer * c->experts + expert, slot = c->slot_of[key];
    if (c->step <= WARM_STEPS) c->uses[key]++;
    if (slot != NOWHERE)
        c->stamp[slot] = c->step;
    else if (c->n_misses < c->most_misses)
        c->misses[c->n_misses++] = key;
    return slot != NOWHERE;
}

/* ---- copying --------------------------------------------------------------------------------- */

/* Rows from `row` on that lie together. */
static int64_t run_of(const EngWeight *w, int64_t row)
{
    int64_t end = w->rows;
    for (int k = 0; w->split && k < w->split->n_nodes; k++)
        if (row < w->split->first[k + 1]) {
            end = w->split->first[k + 1];
            break;
        }
    return ENG_MIN(end - row, ENG_MAX(1, PIECE / (int64_t)w->row_bytes));
}

/* True when the expert is complete. */
static bool copy_piece(const EngCache *c, Pending *p)
{
    const EngOp *op = &c->graph->ops.data[c->ops[p->key / c->experts]];
    const EngWeight *all[3] = {&op->experts.gate, &op->experts.up, &op->experts.down};
    const EngWeight *w = all[p->mat];
    size_t at[3];
    eng_slot_layout(op, at);
    int64_t rows = run_of(w, p->row);
    memcpy(p->staging + at[p->mat] + (size_t)p->row * w->row_bytes,
           eng_weight_rows(w, p->key % c->experts, p->row), (size_t)rows * w->row_bytes);
    p->row += rows;
    if (p->row < w->rows) return false;
    p->row = 0;
    return ++p->mat == 3;
}

bool eng_cache_copy(EngCache *c)
{
    for (int i = 0; i < ENG_CACHE_PENDING; i++) {
        Pending *p = &c->pending[i];
        if (p->state != COPYING) continue;
        if (!copy_piece(c, p)) return true;
        size_t at[3], bytes = eng_slot_layout(&c->graph->ops.data[c->ops[p->key / c->experts]], at);
        c->device->cache_copy(c->device, i, p->slot, p->staging, bytes);
        p->state = SENT;
        return true;
    }
    return false;
}
