#include "plan/schedule.h"

#include <stdlib.h>

#include "base/mem.h"

/* Where buffers' numbers are: [0] on the CPU, [1] on the device. */
typedef struct {
    EngSchedule *s;
    const EngGraph *graph;
    const bool *on_device;
    bool (*valid)[2];
    int part;    /* the CPU part being put together; ENG_NONE */
    int *sum_of; /* per buffer: the part whose sum the device has not added yet; ENG_NONE */
    int *open;   /* per part: not accepted yet */
    bool after_select;
} Writer;

static void step(Writer *w, EngStepOf kind, int at, int what)
{
    EngScheduleStep s = {kind, at, what};
    eng_vec_push(&w->s->steps, s);
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

/* CPU part k ends here at the latest: the device takes over what it wrote. */
static void accept(Writer *w, int k, int at)
{
    if (!w->open[k]) return;
    w->open[k] = 0;
    step(w, ENG_STEP_CPU, at, k);
    step(w, ENG_STEP_ACCEPT, at, k);
    int sum = w->s->parts.data[k].sum;
    if (sum != ENG_NONE) w->sum_of[sum] = ENG_NONE;
}

/* Parts are accepted in the order in which they were begun: the host goes through them so. */
static void accept_all(Writer *w, int at)
{
    for (size_t k = 0; k < w->s->parts.n; k++) accept(w, (int)k, at);
}

static bool add_view(EngView *views, int *n, EngView v)
{
    for (int i = 0; i < *n; i++)
        if (views[i].buf == v.buf) return true;
    if (*n == ENG_HAND_VIEWS) return false;
    views[(*n)++] = v;
    return true;
}

/* What the CPU part reads and does not have yet. */
static bool bring_in(Writer *w, const EngUses *u)
{
    EngHostPart *p = &w->s->parts.data[w->part];
    for (int i = 0; i < u->n_reads + u->n_writes; i++) {
        EngView v = i < u->n_reads ? u->reads[i] : u->writes[i - u->n_reads];
        bool needs = i < u->n_reads || u->adds == v.buf || !is_whole(w, v);
        if (!needs || w->valid[v.buf][0] || !w->valid[v.buf][1]) continue;
        if (p->sum == v.buf && u->adds == v.buf) continue;
        if (!add_view(p->in, &p->n_in, eng_buffer_view(w->graph, v.buf))) return false;
        w->valid[v.buf][0] = true;
    }
    return true;
}

static void begin_part(Writer *w, int op, const EngUses *u)
{
    EngHostPart p = {.from = op, .to = op, .sum = ENG_NONE, .select = w->after_select};
    if (u->adds != ENG_NONE && w->valid[u->adds][1] && !w->valid[u->adds][0]) p.sum = u->adds;
    eng_vec_push(&w->s->parts, p);
    w->part = (int)w->s->parts.n - 1;
}

/* The part's inputs are known: it is handed over before, its results after. */
static void end_part(Writer *w)
{
    EngHostPart *p = &w->s->parts.data[w->part];
    p->select_out = w->after_select;
    w->open[w->part] = 1;
    if (p->sum != ENG_NONE) {
        w->sum_of[p->sum] = w->part;
        add_view(p->out, &p->n_out, eng_buffer_view(w->graph, p->sum));
    }
    step(w, ENG_STEP_PUBLISH, p->from, w->part);
    w->part = ENG_NONE;
}

/* Whether the op may join the part: a part that sums is of its one op. */
static bool joins(const Writer *w, const EngUses *u)
{
    const EngHostPart *p = &w->s->parts.data[w->part];
    if (p->sum != ENG_NONE) return false;
    for (int i = 0; i < u->n_reads; i++)
        if (!w->valid[u->reads[i].buf][0] && p->to > p->from && p->n_in == ENG_HAND_VIEWS)
            return false;
    return true;
}

static bool on_cpu(Writer *w, int op, const EngUses *u)
{
    if (w->part != ENG_NONE && !joins(w, u)) end_part(w);
    if (w->part == ENG_NONE) {
        accept_all(w, op);
        begin_part(w, op, u);
    }
    if (!bring_in(w, u)) return false;
    EngHostPart *p = &w->s->parts.data[w->part];
    p->to = op + 1;
    for (int i = 0; i < u->n_writes; i++) {
        int buf = u->writes[i].buf;
        if (p->sum == buf) continue;
        w->valid[buf][0] = true;
        w->valid[buf][1] = false;
    }
    if (p->sum != ENG_NONE) end_part(w);
    return true;
}

static bool reads_buffer(const Writer *w, const EngUses *u, int buf)
{
    for (int i = 0; i < u->n_reads; i++)
        if (u->reads[i].buf == buf) return true;
    for (int i = 0; i < u->n_writes; i++)
        if (u->writes[i].buf == buf && (u->adds == buf || !is_whole(w, u->writes[i]))) return true;
    return false;
}

/* Whether the device will want what `buf` holds now. */
static bool is_wanted(const Writer *w, int op, int buf)
{
    for (int i = op; i < (int)w->graph->ops.n; i++) {
        EngUses u = eng_op_uses(&w->graph->ops.data[i]);
        if (reads_buffer(w, &u, buf) && w->on_device[i]) return true;
        for (int j = 0; j < u.n_writes; j++)
            if (u.writes[j].buf == buf && is_whole(w, u.writes[j]) && u.adds != buf) return false;
    }
    return false;
}

/* Buffers that the device lacks and the part has are handed over with it. Only the part that was
 * begun last can have written them: earlier ones were accepted when it began. */
static bool take_over(Writer *w, int buf)
{
    if (w->valid[buf][1] || !w->valid[buf][0]) return true;
    EngHostPart *p = &w->s->parts.data[w->s->parts.n - 1];
    if (!w->open[w->s->parts.n - 1]) return false;
    w->valid[buf][1] = true;
    return add_view(p->out, &p->n_out, eng_buffer_view(w->graph, buf));
}

/* Of what the last part wrote, also what the device reads much later. */
static bool take_over_all(Writer *w, int op)
{
    const EngHostPart *p = &w->s->parts.data[w->s->parts.n - 1];
    for (int i = p->from; i < p->to; i++) {
        EngUses u = eng_op_uses(&w->graph->ops.data[i]);
        for (int j = 0; j < u.n_writes; j++)
            if (is_wanted(w, op, u.writes[j].buf) && !take_over(w, u.writes[j].buf)) return false;
    }
    return true;
}

static bool on_device(Writer *w, int op, const EngUses *u)
{
    if (w->part != ENG_NONE) {
        end_part(w);
        if (!take_over_all(w, op)) return false;
    }
    for (int i = 0; i < u->n_reads + u->n_writes; i++) {
        EngView v = i < u->n_reads ? u->reads[i] : u->writes[i - u->n_reads];
        bool only_adds = i >= u->n_reads && u->adds == v.buf;
        int sum = w->sum_of[v.buf];
        if (sum != ENG_NONE && !only_adds) accept(w, sum, op);
        for (size_t k = 0; k < w->s->parts.n; k++) {
            const EngHostPart *p = &w->s->parts.data[k];
            for (int j = 0; p->sum == ENG_NONE && j < p->n_out; j++)
                if (p->out[j].buf == v.buf) accept(w, (int)k, op);
        }
    }
    step(w, ENG_STEP_OP, op, op);
    for (int i = 0; i < u->n_writes; i++) {
        w->valid[u->writes[i].buf][1] = true;
        w->valid[u->writes[i].buf][0] = false;
    }
    return true;
}

static bool write_ops(Writer *w)
{
    for (int i = 0; i < (int)w->graph->ops.n; i++) {
        const EngOp *op = &w->graph->ops.data[i];
        EngUses u = eng_op_uses(op);
        bool ok = w->on_device[i] ? on_device(w, i, &u) : on_cpu(w, i, &u);
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
    if (w->valid[buf][0]) return true;
    EngHostPart p = {.from = end, .to = end, .sum = ENG_NONE, .select = true, .select_out = true};
    p.in[p.n_in++] = eng_buffer_view(w->graph, buf);
    eng_vec_push(&w->s->parts, p);
    step(w, ENG_STEP_PUBLISH, end, (int)w->s->parts.n - 1);
    step(w, ENG_STEP_CPU, end, (int)w->s->parts.n - 1);
    return true;
}

bool eng_schedule_write(EngSchedule *ret, const EngGraph *graph, const bool *on_device,
                        EngError *err)
{
    size_t n = graph->widths.n, ops = graph->ops.n;
    Writer w = {.s = ret, .graph = graph, .on_device = on_device, .part = ENG_NONE};
    w.valid = eng_alloc0((n + 1) * sizeof *w.valid);
    w.sum_of = eng_alloc0((n + 1) * sizeof *w.sum_of);
    w.open = eng_alloc0((ops + 2) * sizeof *w.open);
    for (size_t i = 0; i < n; i++) w.sum_of[i] = ENG_NONE;
    bool ok = write_ops(&w) && write_end(&w);
    free(w.valid);
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
