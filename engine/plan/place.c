#include "plan/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"

/* A piece is what a thread copies at once: whole huge pages, which nobody else clears as well. */
enum { ALIGN = 64, PAGE = 4096, HUGE_PAGE = 2 << 20, PIECE = 4 * HUGE_PAGE };

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
    /* what is copied next, and at the time: rows of an item, counted over all its matrices */
    size_t item, last;
    int64_t row, until;
    size_t begin[ENG_MAX_NODES], end[ENG_MAX_NODES]; /* of it, in the nodes' blocks */
    EngPool *pool;
    const EngGguf *gguf;
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

static size_t node_mat_bytes(const Item *item, int k)
{
    return (size_t)(item->split.first[k + 1] - item->split.first[k]) * item->from.row_bytes;
}

/* Where in node k's block a row comes to lie, or would if it were the node's: what lies behind
 * comes after it. */
static size_t place_of(const Item *item, int64_t row, int k)
{
    const EngWeight *w = &item->from;
    int64_t mat = row / w->rows, in = row % w->rows;
    in = ENG_MIN(ENG_MAX(in, item->split.first[k]), item->split.first[k + 1]);
    return item->at[k] + (size_t)mat * node_mat_bytes(item, k) +
           (size_t)(in - item->split.first[k]) * w->row_bytes;
}

/* What was read goes at once: the system makes the next huge page of it, while it is in the CPU's
 * caches, and needs no other. Pages at both ends may have bytes that another thread is yet to read.
 */
static void copy_file(const EngMap *part, uint64_t offset, uint8_t *to, uint64_t n)
{
    uint64_t begin = eng_align_up(offset, PAGE);
    for (uint64_t done = 0, size; done < n; done += size) {
        size = ENG_MIN(n - done, HUGE_PAGE);
        eng_map_copy(part, offset + done, to + done, size);
        uint64_t end = (offset + done + size) / PAGE * PAGE;
        if (begin < end) eng_map_drop(part, begin, end - begin);
    }
}

/* What of [at, end) in node k's block comes from one matrix; returns its end. */
static size_t copy_part(const EngPlacement *p, const Item *item, int k, size_t at, size_t end)
{
    const EngWeight *w = &item->from;
    size_t mat_bytes = node_mat_bytes(item, k);
    size_t mat = (at - item->at[k]) / mat_bytes, in = (at - item->at[k]) % mat_bytes;
    size_t n = ENG_MIN(end - at, mat_bytes - in);
    const uint8_t *from =
        eng_weight_mat(w, (int64_t)mat) + (size_t)item->split.first[k] * w->row_bytes + in;
    const EngMap *part = eng_gguf_part(p->gguf, from);
    if (part)
        copy_file(part, (uint64_t)(from - part->data), p->blocks[k] + at, n);
    else
        memcpy(p->blocks[k] + at, from, n);
    return at + n;
}

/* A piece of node k's block. */
static void copy_piece(const EngPlacement *p, int k, size_t piece)
{
    size_t at = ENG_MAX(piece * PIECE, p->begin[k]), end = ENG_MIN((piece + 1) * PIECE, p->end[k]);
    for (size_t i = p->item; at < end; i++) {
        const Item *item = p->items.data[i];
        if (item->stays) continue;
        size_t stop = place_of(item, item->from.mats * item->from.rows, k);
        at = ENG_MAX(at, item->at[k]);
        while (at < ENG_MIN(stop, end)) at = copy_part(p, item, k, at, ENG_MIN(stop, end));
    }
}

static void copy_pieces(void *arg, int thread, int n_threads)
{
    const EngPlacement *p = arg;
    int near = eng_pool_node(p->pool, thread);
    (void)n_threads;
    for (int i = 0; i < p->n_nodes; i++) {
        int k = (near + i) % p->n_nodes;
        size_t first = p->begin[k] / PIECE, last = (p->end[k] + PIECE - 1) / PIECE;
        for (int64_t j; (j = eng_pool_next_of(p->pool, k, (int64_t)(last - first))) >= 0;)
            copy_piece(p, k, first + (size_t)j);
    }
}

/* Of rows copied from the file, pages of its cache that pieces had in common. Such a page goes only
 * as a whole, and may be as large as a huge one: so from a little before on, but not from before
 * the matrix, where others may lie that are yet to be copied. */
static void let_go(const Item *item, int64_t row, int64_t end, const EngGguf *gguf)
{
    const EngWeight *w = &item->from;
    bool apart = w->mat_data || w->mat_bytes != (size_t)w->rows * w->row_bytes;
    int64_t in_one = apart ? w->rows : w->mats * w->rows; /* rows one behind the other */
    while (row < end) {
        int64_t in = row % in_one, n = ENG_MIN(end - row, in_one - in);
        const uint8_t *data = eng_weight_mat(w, row / in_one);
        const EngMap *part = eng_gguf_part(gguf, data);
        uint64_t skip = (uint64_t)in * w->row_bytes;
        skip -= ENG_MIN(skip, HUGE_PAGE);
        uint64_t stop = (uint64_t)(in + n) * w->row_bytes;
        if (part) eng_map_drop(part, (uint64_t)(data - part->data) + skip, stop - skip);
        row += n;
    }
}

/* All of it is where it is to be. What was derived does not come back when it is read, so that it
 * cannot go before. */
static void finish(EngPlacement *p, Item *item)
{
    const EngWeight *w = &item->from;
    for (int k = 0; k < p->n_nodes; k++) item->split.data[k] = p->blocks[k] + item->at[k];
    for (int64_t i = 0; i < w->mats; i++) {
        const uint8_t *mat = eng_weight_mat(w, i);
        if (!eng_gguf_part(p->gguf, mat))
            eng_mem_forget((void *)mat, (size_t)w->rows * w->row_bytes);
    }
}

/* The next item to copy of; NULL behind the last. */
static Item *next_item(EngPlacement *p)
{
    while (p->item < p->items.n && p->items.data[p->item]->stays) p->item++;
    return p->item < p->items.n ? p->items.data[p->item] : NULL;
}

/* Sets where about the next `n` bytes end. */
static void choose_end(EngPlacement *p, uint64_t n)
{
    uint64_t done = 0;
    for (size_t i = p->item; i < p->items.n && done < n; i++) {
        const Item *item = p->items.data[i];
        const EngWeight *w = &item->from;
        if (item->stays) continue;
        int64_t row = i == p->item ? p->row : 0, all = w->mats * w->rows;
        p->last = i;
        p->until = ENG_MIN(all, row + (int64_t)((n - done) / w->row_bytes) + 1);
        done += (uint64_t)(p->until - row) * w->row_bytes;
        for (int k = 0; k < p->n_nodes; k++) p->end[k] = place_of(item, p->until, k);
    }
    p->filled += done;
}

void eng_placement_fill(EngPlacement *placement, uint64_t n, EngPool *pool, const EngGguf *gguf)
{
    EngPlacement *p = placement;
    Item *item = next_item(p);
    if (!item || n == 0) return;
    p->pool = pool;
    p->gguf = gguf;
    for (int k = 0; k < p->n_nodes; k++) p->begin[k] = place_of(item, p->row, k);
    choose_end(p, n);
    eng_pool_run(pool, copy_pieces, p);
    for (; p->item <= p->last; p->item++, p->row = 0) {
        item = p->items.data[p->item];
        if (item->stays) continue;
        int64_t all = item->from.mats * item->from.rows;
        int64_t until = p->item < p->last ? all : p->until;
        let_go(item, p->row, until, gguf);
        p->row = until;
        if (until < all) return;
        finish(p, item);
    }
}
