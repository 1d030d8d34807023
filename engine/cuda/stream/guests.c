#include "cuda/stream/guests.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "cuda/gpu_ops.h"

enum { ALIGN = 256, PAGE = 4096, PIN = 1 << 30, MATRICES = 3 };

static void weights_of(const EngOp *op, const EngWeight *ret[MATRICES])
{
    ret[0] = &op->experts.gate, ret[1] = &op->experts.up, ret[2] = &op->experts.down;
}

static size_t mat_bytes(const EngWeight *w) { return (size_t)w->rows * w->row_bytes; }

/* Of matrices first … first + n - 1 of a group of `each` experts: where each begins; returns all.
 */
static size_t lay_out(const EngWeight *const *w, int n, int each, size_t ret_at[MATRICES])
{
    size_t at = 0;
    for (int j = 0; j < n; j++) {
        ret_at[j] = at;
        at += (size_t)eng_align_up((uint64_t)each * mat_bytes(w[j]), ALIGN);
    }
    return at;
}

/* ---- which there are ------------------------------------------------------------------------- */

static size_t round_bytes(const EngOp *op, int each)
{
    const EngWeight *w[MATRICES];
    size_t at[MATRICES];
    weights_of(op, w);
    return ENG_MAX(lay_out(w, 2, each, at), lay_out(w + 2, 1, each, at));
}

void eng_guests_find(EngGuests *guests, const EngGraph *graph, const bool *on_device,
                     EngGpuGuests wanted)
{
    size_t least = 0, all = 0;
    for (int i = 0; wanted.slot > 0 && i < (int)graph->ops.n; i++) {
        const EngOp *op = &graph->ops.data[i];
        int router = op->kind == ENG_OP_EXPERTS ? eng_graph_router(graph, i) : -1;
        if (router < 0 || on_device[i] || !on_device[router]) continue;
        if (wanted.ops && !wanted.ops[i]) continue;
        if (!guests->is) guests->is = eng_alloc0(graph->ops.n * sizeof *guests->is);
        guests->is[i] = true;
        guests->most = ENG_MAX(guests->most, (int)op->experts.gate.mats);
        least = ENG_MAX(least, round_bytes(op, 1));
        all = ENG_MAX(all, round_bytes(op, (int)op->experts.gate.mats));
    }
    guests->slot_bytes = (size_t)ENG_MAX(least, ENG_MIN(wanted.slot, all));
}

/* Whose weights another op brings. */
static bool comes_along(const EngGpu *g, size_t op)
{
    return eng_graph_continues(g->graph, (int)op) && g->guests.is[op - 1];
}

void eng_guests_clear(EngGuests *guests)
{
    free(guests->is);
    free(guests->pins.data);
}

bool eng_guests_open(EngGpu *g, EngError *err)
{
    static const char what[] = "sending experts to it";
    EngGuests *s = &g->guests;
    bool ok = true;
    if (!s->is) return true;
    for (int i = 0; ok && i < ENG_GUEST_SLOTS; i++)
        ok = (s->begun[i] = eng_cuda_event_new(g->cuda, err)) &&
             (s->copied[i] = eng_cuda_event_new(g->cuda, err)) &&
             (s->read[i] = eng_cuda_event_new(g->cuda, err));
    for (int i = 0; ok && i < ENG_GUEST_SAMPLES; i++)
        ok = (s->samples[i].begun = eng_cuda_event_new(g->cuda, err)) &&
             (s->samples[i].done = eng_cuda_event_new(g->cuda, err));
    for (int i = 0; ok && i < ENG_GUEST_PIECES; i++)
        ok = (s->sent[i] = eng_cuda_event_new(g->cuda, err)) &&
             (s->pieces[i] = eng_cuda_alloc_host(g->cuda, ENG_GUEST_PIECE, what, err));
    size_t table = MATRICES * (size_t)s->most * sizeof *s->host_table;
    if (ok) s->host_table = eng_cuda_alloc_host(g->cuda, table, what, err);
    for (size_t i = 0; i < g->graph->ops.n; i++) {
        const EngWeight *w[ENG_LINEAR_MAX];
        int n = s->is[i] && !comes_along(g, i) ? eng_op_weights(&g->graph->ops.data[i], w) : 0;
        for (int j = 0; j < n; j++) g->base.guest_bytes += (uint64_t)w[j]->mats * mat_bytes(w[j]);
    }
    return ok && s->host_table;
}

/* ---- copying --------------------------------------------------------------------------------- */

/* Bytes that lie side by side here and there. */
typedef struct {
    const uint8_t *from;
    uint8_t *to;
    size_t bytes;
} Run;

/* The first pin that ends behind `at`. */
static size_t pin_behind(const EngGuests *s, const uint8_t *at)
{
    size_t lo = 0, hi = s->pins.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->pins.data[mid].data + s->pins.data[mid].bytes > at)
            hi = mid;
        else
            lo = mid + 1;
    }
    return lo;
}

/* How many of the run's first bytes are of one pin, or of none. */
static size_t alike(const EngGuests *s, const Run *run, bool *ret_pinned)
{
    size_t i = pin_behind(s, run->from);
    const EngGuestPin *pin = i < s->pins.n ? &s->pins.data[i] : NULL;
    *ret_pinned = pin && pin->data <= run->from;
    if (!pin) return run->bytes;
    const uint8_t *end = *ret_pinned ? pin->data + pin->bytes : pin->data;
    return ENG_MIN(run->bytes, (size_t)(end - run->from));
}

/* Through a piece that the device reads. */
static size_t send_piece(EngGpu *g, const Run *run, size_t most)
{
    EngGuests *s = &g->guests;
    unsigned i = s->next_piece++ % ENG_GUEST_PIECES;
    size_t n = ENG_MIN(most, (size_t)ENG_GUEST_PIECE);
    eng_cuda_event_wait(g->cuda, s->sent[i]);
    if (g->base.cpu && g->base.cpu->copy)
        g->base.cpu->copy(g->base.cpu, s->pieces[i], run->from, n);
    else
        memcpy(s->pieces[i], run->from, n);
    eng_cuda_enqueue_write(g->cuda, ENG_CU_COPIES, run->to, s->pieces[i], n);
    eng_cuda_event_mark(g->cuda, s->sent[i], ENG_CU_COPIES);
    g->base.bounced_bytes += n;
    return n;
}

static void send(EngGpu *g, Run run)
{
    while (run.bytes > 0) {
        bool pinned;
        size_t n = alike(&g->guests, &run, &pinned);
        if (pinned)
            eng_cuda_enqueue_write(g->cuda, ENG_CU_COPIES, run.to, run.from, n);
        else
            n = send_piece(g, &run, n);
        run.from += n, run.to += n, run.bytes -= n;
    }
}

/* Joins it to the run, which is sent when it cannot be. */
static void join(EngGpu *g, Run *run, const uint8_t *from, uint8_t *to, size_t bytes)
{
    if (run->bytes > 0 && run->from + run->bytes == from && run->to + run->bytes == to) {
        run->bytes += bytes;
        return;
    }
    send(g, *run);
    *run = (Run){from, to, bytes};
}

/* Its rows may lie in the memory of several nodes. */
static void join_matrix(EngGpu *g, Run *run, const EngWeight *w, int64_t mat, uint8_t *to)
{
    const EngSplit *s = w->split && w->split->data[0] ? w->split : NULL;
    int k = 0;
    for (int64_t row = 0, end; row < w->rows; row = end) {
        while (s && row >= s->first[k + 1]) k++;
        end = s ? s->first[k + 1] : w->rows;
        join(g, run, eng_weight_rows(w, mat, row), to + (size_t)row * w->row_bytes,
             (size_t)(end - row) * w->row_bytes);
    }
}

/* ---- a round --------------------------------------------------------------------------------- */

/* Some matrices of all experts of an op, `each` experts at once; a group is those used of experts
 * from … to - 1. */
typedef struct {
    const EngWeight *w[MATRICES];
    size_t at[MATRICES]; /* in a slot */
    int first, n, mats, each;
    const bool *used;
    int from, to, n_used;
    double products; /* multiply-adds of one of its experts, on average */
} Round;

static bool is_used(const Round *r, int expert) { return !r->used || r->used[expert]; }

static bool next_group(Round *r)
{
    while (r->to < r->mats && !is_used(r, r->to)) r->to++;
    r->from = r->to;
    for (r->n_used = 0; r->to < r->mats && r->n_used < r->each; r->to++)
        r->n_used += is_used(r, r->to);
    return r->n_used > 0;
}

static Round round_of(const EngGpu *g, int op, int first, int n, const bool *used)
{
    const EngWeight *w[MATRICES];
    Round r = {.first = first, .n = n, .used = used};
    weights_of(&g->graph->ops.data[op], w);
    for (int j = 0; j < n; j++) r.w[j] = w[first + j];
    r.mats = (int)r.w[0]->mats;
    for (r.each = r.mats; r.each > 1; r.each--)
        if (lay_out(r.w, n, r.each, r.at) <= g->guests.slot_bytes) break;
    lay_out(r.w, n, r.each, r.at);
    return r;
}

/* `slots`: tokens of all experts that are used. */
static double products_of(const Round *r, int slots)
{
    double weights = 0;
    int n = 0;
    for (int e = 0; e < r->mats; e++) n += is_used(r, e);
    for (int j = 0; j < r->n; j++) weights += (double)r->w[j]->rows * (double)r->w[j]->cols;
    return n > 0 ? weights * slots / n : 0;
}

/* The table says where those used will lie, for a group's are not all neighbours. */
static void write_table(EngGpu *g, Round r)
{
    EngGuests *s = &g->guests;
    for (unsigned slot = s->next; next_group(&r); slot++)
        for (int e = r.from, k = 0; e < r.to; e++) {
            if (!is_used(&r, e)) continue;
            for (int j = 0; j < r.n; j++)
                s->host_table[(r.first + j) * s->most + e] =
                    s->slots[slot % ENG_GUEST_SLOTS] + r.at[j] + (size_t)k * mat_bytes(r.w[j]);
            k++;
        }
    size_t at = (size_t)(r.first * s->most);
    eng_cuda_enqueue_write(g->cuda, ENG_CU_COPIES, s->table + at, s->host_table + at,
                           (size_t)(r.n * s->most) * sizeof *s->table);
}

static void bring_group(EngGpu *g, const Round *r, unsigned slot)
{
    EngGuests *s = &g->guests;
    eng_cuda_event_await(g->cuda, s->read[slot], ENG_CU_COPIES);
    eng_cuda_event_mark(g->cuda, s->begun[slot], ENG_CU_COPIES);
    s->bytes[slot] = 0;
    for (int j = 0; j < r->n; j++) {
        Run run = {0};
        uint8_t *to = s->slots[slot] + r->at[j];
        for (int e = r->from; e < r->to; e++) {
            if (!is_used(r, e)) continue;
            join_matrix(g, &run, r->w[j], e, to);
            to += mat_bytes(r->w[j]);
        }
        send(g, run);
        s->bytes[slot] += (size_t)r->n_used * mat_bytes(r->w[j]);
    }
    eng_cuda_event_mark(g->cuda, s->copied[slot], ENG_CU_COPIES);
    g->base.guests_copied += s->bytes[slot];
}

static void multiply_group(EngGpu *g, const Round *r, unsigned slot, const EngCuMatmulExperts *args,
                           float *const *dst)
{
    enum { EVERY = 4 }; /* no divisor in common with the samples: each has its turn */
    EngGuests *s = &g->guests;
    unsigned sample = s->groups % ENG_GUEST_SAMPLES;
    bool is_timed = s->groups++ % EVERY == 0;
    eng_cuda_event_await(g->cuda, s->copied[slot], ENG_CU_COMPUTE);
    if (is_timed) {
        eng_cuda_event_mark(g->cuda, s->samples[sample].begun, ENG_CU_COMPUTE);
        s->samples[sample].products = r->products * r->n_used;
    }
    for (int j = 0; j < r->n; j++) {
        EngCuMatmulExperts a = *args;
        const EngWeight *w = r->w[j];
        a.w = (EngCuWeight){.row_bytes = w->row_bytes,
                            .mat_bytes = mat_bytes(w),
                            .cols = (int)w->cols,
                            .rows = (int)w->rows};
        a.w.data = s->slots[slot] + r->at[j];
        if (r->used) a.w.mats = s->table + (r->first + j) * s->most + r->from;
        a.slots.first += r->from;
        a.slots.experts = r->to - r->from;
        a.dst = dst[j];
        eng_cuda_matmul_experts(g->cuda, w->type, &a);
    }
    if (is_timed) eng_cuda_event_mark(g->cuda, s->samples[sample].done, ENG_CU_COMPUTE);
    eng_cuda_event_mark(g->cuda, s->read[slot], ENG_CU_COMPUTE);
}

void eng_guests_multiply(EngGpu *g, int op, int first, int n, EngCuMatmulExperts args,
                         float *const *dst, const bool *used)
{
    Round r = round_of(g, op, first, n, used);
    r.products = products_of(&r, args.most);
    if (used) write_table(g, r);
    while (next_group(&r) && !eng_cuda_failed(g->cuda)) {
        unsigned slot = g->guests.next++ % ENG_GUEST_SLOTS;
        bring_group(g, &r, slot);
        multiply_group(g, &r, slot, &args, dst);
    }
}

void eng_guests_begin(EngGpu *g)
{
    EngGuests *s = &g->guests;
    s->groups = 0;
    for (int i = 0; i < ENG_GUEST_SAMPLES; i++) s->samples[i].products = 0;
}

/* The last group of each slot stands for all. */
static double copies_gb_s(EngGpu *g)
{
    EngGuests *s = &g->guests;
    double seconds = 0, bytes = 0;
    for (int i = 0; i < ENG_GUEST_SLOTS; i++) {
        if (s->bytes[i] == 0) continue;
        seconds += eng_cuda_event_seconds(g->cuda, s->begun[i], s->copied[i]);
        bytes += (double)s->bytes[i];
        s->bytes[i] = 0;
    }
    return seconds > 0 ? bytes * 1e-9 / seconds : 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle one of the groups that were timed: a driver may have to load a kernel's code for the
 * first, and a group's experts may have met more tokens than others'. */
static double products_gop_s(EngGpu *g)
{
    EngGuests *s = &g->guests;
    double rates[ENG_GUEST_SAMPLES];
    size_t n = 0;
    for (int i = 0; i < ENG_GUEST_SAMPLES; i++) {
        if (s->samples[i].products <= 0) continue;
        double t = eng_cuda_event_seconds(g->cuda, s->samples[i].begun, s->samples[i].done);
        if (t > 0) rates[n++] = 2e-9 * s->samples[i].products / t;
    }
    qsort(rates, n, sizeof *rates, by_size);
    return n > 0 ? rates[n / 2] : 0;
}

void eng_guests_time(EngGpu *g)
{
    if (!g->guests.is) return;
    double gb_s = copies_gb_s(g), gop_s = products_gop_s(g);
    if (gb_s > 0) g->base.copied_gb_s = gb_s;
    if (gop_s > 0) g->base.guests_gop_s = gop_s;
}

/* ---- pinning --------------------------------------------------------------------------------- */

static void insert(EngGuests *s, size_t at, EngGuestPin pin)
{
    eng_vec_push(&s->pins, pin);
    memmove(s->pins.data + at + 1, s->pins.data + at, (s->pins.n - 1 - at) * sizeof pin);
    s->pins.data[at] = pin;
}

/* The pages that hold these bytes, but for those that are pinned: tensors share pages, and in a
 * rehearsal more. */
static void pin_bytes(EngGpu *g, const uint8_t *data, size_t bytes)
{
    EngGuests *s = &g->guests;
    const uint8_t *at = data - (uintptr_t)data % PAGE, *end = data + bytes;
    end += (PAGE - (uintptr_t)end % PAGE) % PAGE;
    while (at < end && !s->refused) {
        size_t i = pin_behind(s, at);
        const EngGuestPin *next = i < s->pins.n ? &s->pins.data[i] : NULL;
        if (next && next->data <= at) {
            at = next->data + next->bytes;
            continue;
        }
        size_t n = ENG_MIN((size_t)(end - at), (size_t)PIN);
        if (next) n = ENG_MIN(n, (size_t)(next->data - at));
        s->refused = !eng_cuda_pin(g->cuda, at, n, g->base.pin_reason);
        if (s->refused) return;
        insert(s, i, (EngGuestPin){at, n});
        g->base.pinned_bytes += n;
        at += n;
    }
}

static void pin_weight(EngGpu *g, const EngWeight *w)
{
    const EngSplit *s = w->split && w->split->data[0] ? w->split : NULL;
    size_t mat = mat_bytes(w);
    for (int k = 0; s && k < s->n_nodes; k++) {
        size_t rows = (size_t)(s->first[k + 1] - s->first[k]);
        if (rows) pin_bytes(g, s->data[k], (size_t)w->mats * rows * w->row_bytes);
    }
    if (s) return;
    bool apart = w->mat_data || w->mat_bytes != mat;
    for (int64_t m = 0; m < (apart ? w->mats : 1); m++)
        pin_bytes(g, eng_weight_mat(w, m), apart ? mat : (size_t)w->mats * mat);
}

uint64_t eng_guests_pin(EngGpu *g)
{
    EngGuests *s = &g->guests;
    while (s->is && !s->refused && s->pin_at < MATRICES * (int)g->graph->ops.n) {
        int op = s->pin_at / MATRICES, j = s->pin_at % MATRICES;
        s->pin_at++;
        if (!s->is[op] || comes_along(g, (size_t)op)) continue;
        const EngWeight *w[MATRICES];
        weights_of(&g->graph->ops.data[op], w);
        pin_weight(g, w[j]);
        return s->refused ? 0 : (uint64_t)w[j]->mats * mat_bytes(w[j]);
    }
    return 0;
}
