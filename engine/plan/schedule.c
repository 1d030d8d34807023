#include "plan/schedule.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"

typedef struct {
    EngSchedule *s;
    const EngGraph *graph;
    const int *device_of;
    unsigned *valid;   /* [buffers] which devices have its numbers, as bits */
    bool *near;        /* [buffers] whether the CPU has */
    int part;          /* the CPU part being put together; ENG_NONE */
    int *sum_of;       /* [buffers] the part whose sum a device has not added yet; ENG_NONE */
    bool *open;        /* [parts] not accepted yet */
    unsigned has_used; /* devices whose areas have been used */
    bool after_select;
} Writer;

/* Never before the last one: a range of ops has a stretch of the steps. */
static void step(Writer *w, EngStepOf kind, int at, int what, int device)
{
    const EngScheduleStep *last = w->s->steps.n ? &w->s->steps.data[w->s->steps.n - 1] : NULL;
    EngScheduleStep s = {kind, last ? ENG_MAX(at, last->at) : at, what, device};
    eng_vec_push(&w->s->steps, s);
}

static void step_each(Writer *w, EngStepOf kind, int at, int what, unsigned devices)
{
    for (int d = 0; d < ENG_MAX_GPUS; d++)
        if (devices >> d & 1) step(w, kind, at, what, d);
}

EngView eng_buffer_view(const EngGraph *graph, int buf)
{
    int n = graph->widths.data[buf];
    return (EngView){buf, 0, 1, n, n};
}

static bool is_whole(const Writer *w, EngView v)
{
    return v.heads * v.n == w->graph->widths.data[v.buf];
}

static EngHostPart *last_part(Writer *w) { return &w->s->parts.data[w->s->parts.n - 1]; }

static unsigned lowest(unsigned devices) { return devices & (~devices + 1); }

/* The i-th view that an op reads or writes. */
static EngView used(const EngUses *u, int i)
{
    return i < u->n_reads ? u->reads[i] : u->writes[i - u->n_reads];
}

/* Whether it needs what is there: it reads it, adds to it, or leaves a part of it as it is. */
static bool needs(const Writer *w, const EngUses *u, int i)
{
    EngView v = used(u, i);
    return i < u->n_reads || u->adds == v.buf || !is_whole(w, v);
}

/* ---- parts ----------------------------------------------------------------------------------- */

static bool hand(const Writer *w, EngHandView *views, int *n, int buf, unsigned devices)
{
    for (int i = 0; i < *n; i++)
        if (views[i].view.buf == buf) return views[i].devices |= devices, true;
    if (*n == ENG_HAND_VIEWS) return false;
    views[(*n)++] = (EngHandView){eng_buffer_view(w->graph, buf), devices};
    return true;
}

/* A buffer that the CPU does not have yet, of one who has it. */
static bool hand_in(Writer *w, EngHostPart *p, int buf)
{
    unsigned from = lowest(w->valid[buf]);
    if (!hand(w, p->in, &p->n_in, buf, from)) return false;
    p->gives |= from;
    w->near[buf] = true;
    return true;
}

static bool hand_out(Writer *w, EngHostPart *p, int buf, unsigned to)
{
    if (!hand(w, p->out, &p->n_out, buf, to)) return false;
    p->takes |= to;
    return true;
}

static void accept_one(Writer *w, int k, int at)
{
    EngHostPart *p = &w->s->parts.data[k];
    if (!w->open[k]) return;
    w->open[k] = false;
    p->frees = p->takes & ~p->gives & w->has_used;
    w->has_used |= p->gives | p->takes;
    step_each(w, ENG_STEP_PUBLISH, at, k, p->frees);
    step(w, ENG_STEP_CPU, at, k, ENG_NONE);
    step_each(w, ENG_STEP_ACCEPT, at, k, p->gives | p->takes);
    if (p->sum != ENG_NONE) w->sum_of[p->sum] = ENG_NONE;
}

/* CPU part k ends here at the latest: devices take over what it wrote. So do parts before it: the
 * host goes through them in the order in which they were begun. */
static void accept(Writer *w, int k, int at)
{
    for (int i = 0; i <= k; i++) accept_one(w, i, at);
}

static void accept_all(Writer *w, int at) { accept(w, (int)w->s->parts.n - 1, at); }

static bool touches(const EngUses *u, int buf)
{
    bool is = false;
    for (int i = 0; i < u->n_reads + u->n_writes; i++) is |= used(u, i).buf == buf;
    return is;
}

/* Before an op begins a part. The part before it may stay open when it sums, which nobody has asked
 * for yet: one part and the next have areas of their own. */
static void accept_earlier(Writer *w, const EngUses *u, int at)
{
    int last = (int)w->s->parts.n - 1;
    int sum = last < 0 ? ENG_NONE : last_part(w)->sum;
    accept(w, sum == ENG_NONE || touches(u, sum) ? last : last - 1, at);
}

/* Sums that the op is about. */
static void accept_sums(Writer *w, const EngUses *u, int at)
{
    for (int i = 0; i < u->n_reads + u->n_writes; i++)
        if (w->sum_of[used(u, i).buf] != ENG_NONE) accept(w, w->sum_of[used(u, i).buf], at);
}

/* Devices that will want what `buf` holds now: who needs it up to when it is written next. */
static unsigned wanted_by(const Writer *w, int op, int buf)
{
    unsigned devices = 0;
    for (int i = op; i < (int)w->graph->ops.n; i++) {
        EngUses u = eng_op_uses(&w->graph->ops.data[i]);
        bool is_written = false;
        for (int j = 0; j < u.n_reads + u.n_writes; j++) {
            if (used(&u, j).buf != buf) continue;
            if (needs(w, &u, j) && w->device_of[i] >= 0) devices |= 1u << w->device_of[i];
            is_written = is_written || j >= u.n_reads;
        }
        if (is_written) break;
    }
    return devices;
}

/* Devices that have a sum and will read it, or add to it, behind what the CPU adds from `op` on. */
static unsigned awaits_sum(const Writer *w, int op, int buf)
{
    for (; op < (int)w->graph->ops.n && w->device_of[op] < 0; op++) {
        EngUses u = eng_op_uses(&w->graph->ops.data[op]);
        if (touches(&u, buf) && u.adds != buf) break;
    }
    return w->valid[buf] & wanted_by(w, op, buf);
}

static EngHostPart *begin_part(Writer *w, int op)
{
    EngHostPart p = {.from = op, .to = op, .sum = ENG_NONE, .select = w->after_select};
    eng_vec_push(&w->s->parts, p);
    w->part = (int)w->s->parts.n - 1;
    return last_part(w);
}

/* The part's inputs are known: it is handed over before, its results after. */
static void end_part(Writer *w)
{
    EngHostPart *p = &w->s->parts.data[w->part];
    p->select_out = w->after_select;
    w->open[w->part] = true;
    if (p->sum != ENG_NONE) {
        w->sum_of[p->sum] = w->part;
        hand_out(w, p, p->sum, w->valid[p->sum]);
    }
    step_each(w, ENG_STEP_PUBLISH, p->from, w->part, p->gives);
    w->part = ENG_NONE;
}

/* ---- the CPU's ops --------------------------------------------------------------------------- */

/* What the CPU part reads and does not have yet. */
static bool bring_in(Writer *w, const EngUses *u)
{
    EngHostPart *p = &w->s->parts.data[w->part];
    for (int i = 0; i < u->n_reads + u->n_writes; i++) {
        int buf = used(u, i).buf;
        if (!needs(w, u, i) || w->near[buf] || !w->valid[buf]) continue;
        if (p->sum == buf && u->adds == buf) continue;
        if (!hand_in(w, p, buf)) return false;
    }
    return true;
}

static void begin_with(Writer *w, int op, const EngUses *u)
{
    EngHostPart *p = begin_part(w, op);
    if (u->adds == ENG_NONE || !w->valid[u->adds]) return;
    unsigned await = awaits_sum(w, op + 1, u->adds);
    if (w->near[u->adds] && !await) return; /* it came from one that has no more to do with it */
    p->sum = u->adds;
    w->near[u->adds] = false;
    w->valid[u->adds] = lowest(await ? await : w->valid[u->adds]);
}

/* Whether the op may join the part: one that sums has ops which add to that sum alone. */
static bool joins(const Writer *w, const EngUses *u)
{
    const EngHostPart *p = &w->s->parts.data[w->part];
    if (p->sum != ENG_NONE && u->adds != p->sum) return false;
    for (int i = 0; i < u->n_reads; i++)
        if (u->reads[i].buf == p->sum) return false;
    for (int i = 0; i < u->n_reads; i++)
        if (!w->near[u->reads[i].buf] && p->to > p->from && p->n_in == ENG_HAND_VIEWS) return false;
    return true;
}

static bool on_cpu(Writer *w, int op, const EngUses *u)
{
    if (w->part != ENG_NONE && !joins(w, u)) end_part(w);
    if (w->part == ENG_NONE) {
        accept_earlier(w, u, op);
        begin_with(w, op, u);
    }
    accept_sums(w, u, op);
    if (!bring_in(w, u)) return false;
    EngHostPart *p = &w->s->parts.data[w->part];
    p->to = op + 1;
    for (int i = 0; i < u->n_writes; i++) {
        int buf = u->writes[i].buf;
        if (p->sum == buf) continue;
        w->near[buf] = true;
        w->valid[buf] = 0;
    }
    return true;
}

/* ---- devices' ops ---------------------------------------------------------------------------- */

/* Of what the last part wrote, also what a device reads much later. What does not fit is fetched
 * then. */
static void take_over_all(Writer *w, int op)
{
    EngHostPart *p = last_part(w);
    for (int i = p->from; i < p->to; i++) {
        EngUses u = eng_op_uses(&w->graph->ops.data[i]);
        for (int j = 0; j < u.n_writes; j++) {
            int buf = u.writes[j].buf;
            unsigned to = wanted_by(w, op, buf) & ~w->valid[buf];
            if (to && w->near[buf] && hand_out(w, p, buf, to)) w->valid[buf] |= to;
        }
    }
}

/* What other parts have not handed over yet. */
static void accept_used(Writer *w, int op, const EngUses *u, int device)
{
    for (int i = 0; i < u->n_reads + u->n_writes; i++) {
        int buf = used(u, i).buf, sum = w->sum_of[buf];
        bool only_adds = i >= u->n_reads && u->adds == buf && w->valid[buf] == 1u << device;
        if (sum != ENG_NONE && !only_adds) accept(w, sum, op);
        for (size_t k = 0; k < w->s->parts.n; k++) {
            const EngHostPart *p = &w->s->parts.data[k];
            for (int j = 0; p->sum == ENG_NONE && j < p->n_out; j++)
                if (p->out[j].view.buf == buf) accept(w, (int)k, op);
        }
    }
}

/* What another device or the CPU has, through a part without ops. */
static bool fetch(Writer *w, int op, const EngUses *u, int device)
{
    EngHostPart *p = NULL;
    for (int i = 0; i < u->n_reads + u->n_writes; i++) {
        int buf = used(u, i).buf;
        bool is_there = w->near[buf] || w->valid[buf];
        if (!needs(w, u, i) || !is_there || w->valid[buf] >> device & 1) continue;
        if (!p) {
            accept_all(w, op);
            p = begin_part(w, op);
        }
        if (!w->near[buf] && !hand_in(w, p, buf)) return false;
        if (!hand_out(w, p, buf, 1u << device)) return false;
        w->valid[buf] |= 1u << device;
    }
    if (!p) return true;
    end_part(w);
    accept(w, (int)w->s->parts.n - 1, op);
    return true;
}

static bool on_device(Writer *w, int op, const EngUses *u, int device)
{
    if (w->part != ENG_NONE) {
        end_part(w);
        take_over_all(w, op);
    }
    accept_used(w, op, u, device);
    if (!fetch(w, op, u, device)) return false;
    step(w, ENG_STEP_OP, op, op, device);
    for (int i = 0; i < u->n_writes; i++) {
        w->valid[u->writes[i].buf] = 1u << device;
        w->near[u->writes[i].buf] = false;
    }
    return true;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static bool write_ops(Writer *w)
{
    for (int i = 0; i < (int)w->graph->ops.n; i++) {
        const EngOp *op = &w->graph->ops.data[i];
        EngUses u = eng_op_uses(op);
        int device = w->device_of[i];
        bool ok = device >= 0 ? on_device(w, i, &u, device) : on_cpu(w, i, &u);
        if (!ok) return false;
        if (op->kind == ENG_OP_SELECT) w->after_select = true;
    }
    return true;
}

/* The logits are wanted on the CPU: a last part without ops fetches them. */
static bool write_end(Writer *w)
{
    int end = (int)w->graph->ops.n, buf = w->graph->logits;
    if (w->part != ENG_NONE) end_part(w);
    accept_all(w, end);
    if (w->near[buf]) return true;
    EngHostPart *p = begin_part(w, end);
    if (!hand_in(w, p, buf)) return false;
    end_part(w);
    step(w, ENG_STEP_CPU, end, (int)w->s->parts.n - 1, ENG_NONE);
    return true;
}

bool eng_schedule_write(EngSchedule *ret, const EngGraph *graph, const int *device_of,
                        EngError *err)
{
    size_t n = graph->widths.n, ops = graph->ops.n;
    Writer w = {.s = ret, .graph = graph, .device_of = device_of, .part = ENG_NONE};
    w.valid = eng_alloc0((n + 1) * sizeof *w.valid);
    w.near = eng_alloc0((n + 1) * sizeof *w.near);
    w.sum_of = eng_alloc0((n + 1) * sizeof *w.sum_of);
    w.open = eng_alloc0((2 * ops + 2) * sizeof *w.open);
    for (size_t i = 0; i < n; i++) w.sum_of[i] = ENG_NONE;
    bool ok = write_ops(&w) && write_end(&w);
    free(w.valid);
    free(w.near);
    free(w.sum_of);
    free(w.open);
    return ok || eng_fail(err, ENG_ERR_USAGE,
                          "This placement hands too many things over at once between GPU and CPU: "
                          "place whole layers.");
}

void eng_schedule_clear(EngSchedule *schedule)
{
    free(schedule->steps.data);
    free(schedule->parts.data);
    *schedule = (EngSchedule){0};
}
