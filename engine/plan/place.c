#include "plan/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

enum { ALIGN = 64, PIECE = 1 << 20 };

/* A matrix (or `mats` of them) and the ops that multiply with it. */
typedef struct {
    EngWeight from; /* where it was; without a split */
    EngSplit split;
    EngVec(EngWeight *) users;
    size_t at[ENG_MAX_NODES]; /* in the node's block */
    uint64_t bytes;
    bool stays; /* where it is: only a device reads it */
} Item;

struct EngPlacement {
    EngVec(Item *) items;
    int n_nodes;
    uint8_t *blocks[ENG_MAX_NODES];
    size_t sizes[ENG_MAX_NODES];
    uint64_t total, filled;
    /* what is copied next: rows of an item, counted over all its matrices */
    size_t item;
    int64_t row;
    EngPool *pool;
    int64_t until; /* row that the threads stop before */
};

/* ---- which matrices there are ---------------------------------------------------------------- */

/* Two ops may share one (a token table that is the head, too); views of one tensor are two. */
static Item *item_of(EngPlacement *p, const EngWeight *w)
{
    for (size_t i = 0; i < p->items.n; i++) {
        const EngWeight *has = &p->items.data[i]->from;
        if (has->data == w->data && has->mat_data == w->mat_data && has->rows == w->rows)
            return p->items.data[i];
    }
    Item *item = eng_alloc0(sizeof *item);
    item->from = *w;
    eng_vec_push(&p->items, item);
    return item;
}

static void take(EngPlacement *p, EngWeight *w, bool far)
{
    if (!w->data && !w->mat_data) return;
    Item *item = item_of(p, w);
    item->stays = far && (item->stays || item->users.n == 0);
    eng_vec_push(&item->users, w);
}

static void take_all(EngPlacement *p, EngGraph *graph, const int *device_of)
{
    for (size_t i = 0; i < graph->ops.n; i++) {
        const EngWeight *w[ENG_LINEAR_MAX];
        int n = eng_op_weights(&graph->ops.data[i], w);
        for (int j = 0; j < n; j++) take(p, (EngWeight *)w[j], device_of && device_of[i] >= 0);
    }
}

static void split(EngPlacement *p, const EngSeats *seats)
{
    for (size_t i = 0; i < p->items.n; i++) {
        Item *item = p->items.data[i];
        const EngWeight *w = &item->from;
        item->split.n_nodes = seats->n_nodes;
        eng_seats_rows(seats, w->rows, item->split.first);
        item->bytes = (uint64_t)w->mats * (uint64_t)w->rows * w->row_bytes;
        for (int k = 0; k < seats->n_nodes && !item->stays; k++) {
            int64_t rows = item->split.first[k + 1] - item->split.first[k];
            item->at[k] = p->sizes[k];
            p->sizes[k] += (size_t)eng_align_up((uint64_t)(w->mats * rows) * w->row_bytes, ALIGN);
        }
        for (size_t j = 0; j < item->users.n; j++) item->users.data[j]->split = &item->split;
    }
}

static bool allocate(EngPlacement *p, const EngSeats *seats, EngError *err)
{
    for (int k = 0; k < seats->n_nodes; k++) {
        p->blocks[k] = eng_try_alloc(p->sizes[k], "the model's weights", err);
        if (!p->blocks[k]) return false;
        eng_mem_prefer(p->blocks[k], p->sizes[k], &seats->numbers[k], 1);
    }
    for (size_t i = 0; i < p->items.n; i++)
        if (!p->items.data[i]->stays) p->total += p->items.data[i]->bytes;
    return true;
}

EngPlacement *eng_placement_new(EngGraph *graph, const EngSeats *seats, bool copy,
                                const int *device_of, EngError *err)
{
    EngPlacement *p = eng_alloc0(sizeof *p);
    p->n_nodes = seats->n_nodes;
    take_all(p, graph, device_of);
    split(p, seats);
    if (!copy || allocate(p, seats, err)) return p;
    eng_placement_free(p);
    return NULL;
}

void eng_placement_free(EngPlacement *placement)
{
    if (!placement) return;
    for (size_t i = 0; i < placement->items.n; i++) {
        free(placement->items.data[i]->users.data);
        free(placement->items.data[i]);
    }
    free(placement->items.data);
    for (int k = 0; k < placement->n_nodes; k++)
        if (placement->blocks[k]) eng_big_free(placement->blocks[k], placement->sizes[k]);
    free(placement);
}

uint64_t eng_placement_bytes(const EngPlacement *placement, uint64_t *ret_filled)
{
    *ret_filled = placement->filled;
    return placement->total;
}

/* ---- copying --------------------------------------------------------------------------------- */

/* The part of rows `row` … `end` - 1 that lies in one matrix and in one node; returns its end. */
static int64_t copy_part(const EngPlacement *p, const Item *item, int64_t row, int64_t end)
{
    const EngWeight *w = &item->from;
    const EngSplit *s = &item->split;
    int64_t mat = row / w->rows, in = row % w->rows;
    int k = 0;
    while (in >= s->first[k + 1]) k++;
    int64_t n = ENG_MIN(end - row, s->first[k + 1] - in);
    int64_t to = mat * (s->first[k + 1] - s->first[k]) + in - s->first[k];
    memcpy(p->blocks[k] + item->at[k] + (size_t)to * w->row_bytes,
           eng_weight_mat(w, mat) + (size_t)in * w->row_bytes, (size_t)n * w->row_bytes);
    return row + n;
}

static int64_t piece_rows(const Item *item)
{
    return ENG_MAX((int64_t)(PIECE / item->from.row_bytes), 1);
}

static void copy_pieces(void *arg, int thread, int n_threads)
{
    EngPlacement *p = arg;
    const Item *item = p->items.data[p->item];
    int64_t rows = piece_rows(item), n = (p->until - p->row + rows - 1) / rows;
    (void)thread, (void)n_threads;
    for (int64_t i; (i = eng_pool_next(p->pool, n)) >= 0;) {
        int64_t row = p->row + i * rows, end = ENG_MIN(row + rows, p->until);
        while (row < end) row = copy_part(p, item, row, end);
    }
}

/* What lies between two rows' beginnings in the file, or in what was derived from it. */
static void let_go(const Item *item, int64_t row, int64_t end, const EngGguf *gguf)
{
    const EngWeight *w = &item->from;
    while (row < end) {
        int64_t mat = row / w->rows, in = row % w->rows, n = ENG_MIN(end - row, w->rows - in);
        const uint8_t *data = eng_weight_mat(w, mat) + (size_t)in * w->row_bytes;
        uint64_t bytes = (uint64_t)n * w->row_bytes;
        const EngMap *part = eng_gguf_part(gguf, data);
        if (part)
            eng_map_drop(part, (uint64_t)(data - part->data), bytes);
        else
            eng_mem_forget((void *)data, bytes);
        row += n;
    }
}

void eng_placement_fill(EngPlacement *placement, uint64_t n, EngPool *pool, const EngGguf *gguf)
{
    EngPlacement *p = placement;
    p->pool = pool;
    for (uint64_t done = 0; done < n && p->filled < p->total;) {
        Item *item = p->items.data[p->item];
        if (item->stays) {
            p->item++;
            continue;
        }
        const EngWeight *w = &item->from;
        int64_t all = w->mats * w->rows, more = (int64_t)((n - done) / w->row_bytes) + 1;
        p->until = ENG_MIN(all, p->row + more);
        eng_pool_run(pool, copy_pieces, p);
        let_go(item, p->row, p->until, gguf);
        uint64_t bytes = (uint64_t)(p->until - p->row) * w->row_bytes;
        done += bytes;
        p->filled += bytes;
        p->row = p->until;
        if (p->row < all) continue;
        for (int k = 0; k < p->n_nodes; k++) item->split.data[k] = p->blocks[k] + item->at[k];
        p->item++;
        p->row = 0;
    }
}
