#include "plan/exec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"

enum { FEW = 8, NONE = -1 };

typedef struct {
    EngStepOf kind;
    int at;   /* op before which it stands */
    int what; /* op, or part */
} Step;

/* Ops that the CPU runs in one go. */
typedef struct {
    int from, to;
    EngView in[ENG_HAND_VIEWS], out[ENG_HAND_VIEWS];
    int n_in, n_out;
    int sum;     /* buffer that begins at zero here and is added there; NONE */
    bool select; /* rows are those after SELECT when it begins */
    bool select_out;
} Part;

typedef struct {
    EngBackend base;
    const EngGraph *graph;
    const bool *on_device;
    EngBackend *cpu;
    EngDevice *device;
    EngVec(Step) steps;
    EngVec(Part) parts;
    float *up, *down; /* pinned: what is handed over */
    uint32_t *flags;  /* pinned: [parts] up, then [parts] down */
    uint32_t turn;
    int select;   /* op */
    bool *places; /* owned copy of on_device */
    EngError error;
    bool failed;
    bool lost; /* the device is not used any more: all ops are the CPU's */
} Exec;

/* ---- writing the schedule -------------------------------------------------------------------- */

/* Where buffers' numbers are: [0] on the CPU, [1] on the device. */
typedef struct {
    Exec *e;
    bool (*valid)[2];
    int part;    /* the CPU part being put together; NONE */
    int *sum_of; /* per buffer: the part whose sum the device has not added yet; NONE */
    int *open;   /* per part: not accepted yet */
    bool after_select;
} Writer;

static void step(Writer *w, EngStepOf kind, int at, int what)
{
    Step s = {kind, at, what};
    eng_vec_push(&w->e->steps, s);
}

static EngView whole(const Exec *e, int buf)
{
    int n = e->graph->widths.data[buf];
    return (EngView){buf, 0, 1, n, n};
}

static bool is_whole(const Exec *e, EngView v)
{
    return v.heads * v.n == e->graph->widths.data[v.buf];
}

/* CPU part k ends here at the latest: the device takes over what it wrote. */
static void accept(Writer *w, int k, int at)
{
    if (!w->open[k]) return;
    w->open[k] = 0;
    step(w, ENG_STEP_CPU, at, k);
    step(w, ENG_STEP_ACCEPT, at, k);
    int sum = w->e->parts.data[k].sum;
    if (sum != NONE) w->sum_of[sum] = NONE;
}

/* Parts are accepted in the order in which they were begun: the host goes through them so. */
static void accept_all(Writer *w, int at)
{
    for (size_t k = 0; k < w->e->parts.n; k++) accept(w, (int)k, at);
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
    Part *p = &w->e->parts.data[w->part];
    for (int i = 0; i < u->n_reads + u->n_writes; i++) {
        EngView v = i < u->n_reads ? u->reads[i] : u->writes[i - u->n_reads];
        bool needs = i < u->n_reads || u->adds == v.buf || !is_whole(w->e, v);
        if (!needs || w->valid[v.buf][0] || !w->valid[v.buf][1]) continue;
        if (p->sum == v.buf && u->adds == v.buf) continue;
        if (!add_view(p->in, &p->n_in, whole(w->e, v.buf))) return false;
        w->valid[v.buf][0] = true;
    }
    return true;
}

static void begin_part(Writer *w, int op, const EngUses *u)
{
    Part p = {.from = op, .to = op, .sum = NONE, .select = w->after_select};
    if (u->adds != NONE && w->valid[u->adds][1] && !w->valid[u->adds][0]) p.sum = u->adds;
    eng_vec_push(&w->e->parts, p);
    w->part = (int)w->e->parts.n - 1;
}

/* The part's inputs are known: it is handed over before, its results after. */
static void end_part(Writer *w)
{
    Part *p = &w->e->parts.data[w->part];
    p->select_out = w->after_select;
    w->open[w->part] = 1;
    if (p->sum != NONE) {
        w->sum_of[p->sum] = w->part;
        add_view(p->out, &p->n_out, whole(w->e, p->sum));
    }
    step(w, ENG_STEP_PUBLISH, p->from, w->part);
    w->part = NONE;
}

/* Whether the op may join the part: a part that sums is of its one op. */
static bool joins(const Writer *w, const EngUses *u)
{
    const Part *p = &w->e->parts.data[w->part];
    if (p->sum != NONE) return false;
    for (int i = 0; i < u->n_reads; i++)
        if (!w->valid[u->reads[i].buf][0] && p->to > p->from && p->n_in == ENG_HAND_VIEWS)
            return false;
    return true;
}

static bool on_cpu(Writer *w, int op, const EngUses *u)
{
    if (w->part != NONE && !joins(w, u)) end_part(w);
    if (w->part == NONE) {
        accept_all(w, op);
        begin_part(w, op, u);
    }
    if (!bring_in(w, u)) return false;
    Part *p = &w->e->parts.data[w->part];
    p->to = op + 1;
    for (int i = 0; i < u->n_writes; i++) {
        int buf = u->writes[i].buf;
        if (p->sum == buf) continue;
        w->valid[buf][0] = true;
        w->valid[buf][1] = false;
    }
    if (p->sum != NONE) end_part(w);
    return true;
}

static bool reads_buffer(const Exec *e, const EngUses *u, int buf)
{
    for (int i = 0; i < u->n_reads; i++)
        if (u->reads[i].buf == buf) return true;
    for (int i = 0; i < u->n_writes; i++)
        if (u->writes[i].buf == buf && (u->adds == buf || !is_whole(e, u->writes[i]))) return true;
    return false;
}

/* Whether the device will want what `buf` holds now. */
static bool is_wanted(const Exec *e, int op, int buf)
{
    for (int i = op; i < (int)e->graph->ops.n; i++) {
        EngUses u = eng_op_uses(&e->graph->ops.data[i]);
        if (reads_buffer(e, &u, buf) && e->on_device[i]) return true;
        for (int j = 0; j < u.n_writes; j++)
            if (u.writes[j].buf == buf && is_whole(e, u.writes[j]) && u.adds != buf) return false;
    }
    return false;
}

/* Buffers that the device lacks and the part has are handed over with it. Only the part that was
 * begun last can have written them: earlier ones were accepted when it began. */
static bool take_over(Writer *w, int buf)
{
    Exec *e = w->e;
    if (w->valid[buf][1] || !w->valid[buf][0]) return true;
    Part *p = &e->parts.data[e->parts.n - 1];
    if (!w->open[e->parts.n - 1]) return false;
    w->valid[buf][1] = true;
    return add_view(p->out, &p->n_out, whole(e, buf));
}

/* Of what the last part wrote, also what the device reads much later. */
static bool take_over_all(Writer *w, int op)
{
    const Part *p = &w->e->parts.data[w->e->parts.n - 1];
    for (int i = p->from; i < p->to; i++) {
        EngUses u = eng_op_uses(&w->e->graph->ops.data[i]);
        for (int j = 0; j < u.n_writes; j++)
            if (is_wanted(w->e, op, u.writes[j].buf) && !take_over(w, u.writes[j].buf))
                return false;
    }
    return true;
}

static bool on_device(Writer *w, int op, const EngUses *u)
{
    if (w->part != NONE) {
        end_part(w);
        if (!take_over_all(w, op)) return false;
    }
    for (int i = 0; i < u->n_reads + u->n_writes; i++) {
        EngView v = i < u->n_reads ? u->reads[i] : u->writes[i - u->n_reads];
        bool only_adds = i >= u->n_reads && u->adds == v.buf;
        int sum = w->sum_of[v.buf];
        if (sum != NONE && !only_adds) accept(w, sum, op);
        for (size_t k = 0; k < w->e->parts.n; k++) {
            const Part *p = &w->e->parts.data[k];
            for (int j = 0; p->sum == NONE && j < p->n_out; j++)
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
    Exec *e = w->e;
    for (int i = 0; i < (int)e->graph->ops.n; i++) {
        const EngOp *op = &e->graph->ops.data[i];
        EngUses u = eng_op_uses(op);
        bool ok = e->on_device[i] ? on_device(w, i, &u) : on_cpu(w, i, &u);
        if (!ok) return false;
        if (op->kind == ENG_OP_SELECT) w->after_select = true;
    }
    return true;
}

/* The logits are wanted on the CPU: a last part without ops fetches them. */
static bool write_end(Writer *w)
{
    Exec *e = w->e;
    int end = (int)e->graph->ops.n, buf = e->graph->logits;
    if (w->part != NONE) end_part(w);
    accept_all(w, end);
    if (w->valid[buf][0]) return true;
    Part p = {.from = end, .to = end, .sum = NONE, .select = true, .select_out = true};
    p.in[p.n_in++] = whole(e, buf);
    eng_vec_push(&e->parts, p);
    step(w, ENG_STEP_PUBLISH, end, (int)e->parts.n - 1);
    step(w, ENG_STEP_CPU, end, (int)e->parts.n - 1);
    return true;
}

static bool write_schedule(Exec *e, EngError *err)
{
    size_t n = e->graph->widths.n, ops = e->graph->ops.n;
    Writer w = {.e = e, .part = NONE};
    w.valid = eng_alloc0((n + 1) * sizeof *w.valid);
    w.sum_of = eng_alloc0((n + 1) * sizeof *w.sum_of);
    w.open = eng_alloc0((ops + 2) * sizeof *w.open);
    for (size_t i = 0; i < n; i++) w.sum_of[i] = NONE;
    bool ok = write_ops(&w) && write_end(&w);
    free(w.valid);
    free(w.sum_of);
    free(w.open);
    return ok || eng_fail(err, ENG_ERR_USAGE,
                          "This placement hands too many things over at once between GPU and CPU: "
                          "place whole layers.");
}

/* ---- running --------------------------------------------------------------------------------- */

static size_t view_floats(EngView v, int rows) { return (size_t)rows * (size_t)(v.heads * v.n); }

static int rows_of(const EngBatch *batch, bool select) { return select ? batch->n_out : batch->n; }

static int hand(const EngView *views, int n, int rows, float *area, EngHandOver ret[ENG_HAND_VIEWS])
{
    for (int i = 0; i < n; i++) {
        ret[i] = (EngHandOver){views[i], area};
        area += view_floats(views[i], rows);
    }
    return n;
}

/* Waits for the device's flag; false when the device failed. */
static bool wait_flag(Exec *e, const uint32_t *flag)
{
    enum { SPINS = 4096 };
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != e->turn) {
        for (int i = 0; i < SPINS; i++)
            if (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == e->turn) return true;
        if (e->device->failed(e->device)) return false;
    }
    return true;
}

static void copy_in(Exec *e, const Part *p, const EngBatch *batch)
{
    EngHandOver moves[ENG_HAND_VIEWS];
    int rows = rows_of(batch, p->select);
    int n = hand(p->in, p->n_in, rows, e->up, moves);
    for (int i = 0; i < n; i++)
        memcpy(e->cpu->buffer(e->cpu, moves[i].view.buf), moves[i].host,
               view_floats(moves[i].view, rows) * sizeof(float));
    if (p->sum != NONE)
        memset(e->cpu->buffer(e->cpu, p->sum), 0,
               view_floats(whole(e, p->sum), rows) * sizeof(float));
}

static void copy_out(Exec *e, const Part *p, const EngBatch *batch)
{
    EngHandOver moves[ENG_HAND_VIEWS];
    int rows = rows_of(batch, p->select_out);
    int n = hand(p->out, p->n_out, rows, e->down, moves);
    for (int i = 0; i < n; i++)
        memcpy(moves[i].host, e->cpu->buffer(e->cpu, moves[i].view.buf),
               view_floats(moves[i].view, rows) * sizeof(float));
}

/* Also where nothing is read: the areas are free for this part when the one before is taken over.
 */
static bool is_published(const Part *p, int k) { return k > 0 || p->n_in > 0; }

static void run_part(Exec *e, int k, const EngBatch *batch)
{
    const Part *p = &e->parts.data[k];
    uint32_t *up = &e->flags[k], *down = &e->flags[e->parts.n + (size_t)k];
    if (e->failed) return;
    if (is_published(p, k) && !wait_flag(e, up)) {
        e->failed = true;
        return;
    }
    copy_in(e, p, batch);
    if (p->to > p->from) e->cpu->run(e->cpu, p->from, p->to - p->from, batch);
    copy_out(e, p, batch);
    __atomic_store_n(down, e->turn, __ATOMIC_RELEASE);
}

static void enqueue(Exec *e, const Step *s, const EngBatch *batch)
{
    EngHandOver moves[ENG_HAND_VIEWS];
    if (s->kind == ENG_STEP_OP) {
        e->device->op(e->device, s->what, rows_of(batch, s->what >= e->select));
        return;
    }
    const Part *p = &e->parts.data[s->what];
    if (s->kind == ENG_STEP_PUBLISH && is_published(p, s->what)) {
        int rows = rows_of(batch, p->select), n = hand(p->in, p->n_in, rows, e->up, moves);
        e->device->publish(e->device, moves, n, rows, &e->flags[s->what]);
    } else if (s->kind == ENG_STEP_ACCEPT) {
        int rows = rows_of(batch, p->select_out);
        int n = hand(p->out, p->n_out, rows, e->down, moves);
        e->device->accept(e->device, moves, n, rows, p->sum != NONE,
                          &e->flags[e->parts.n + (size_t)s->what]);
    }
}

static void enqueue_all(Exec *e, const EngBatch *batch)
{
    for (size_t i = 0; i < e->steps.n; i++)
        if (e->steps.data[i].kind != ENG_STEP_CPU) enqueue(e, &e->steps.data[i], batch);
}

/* All of the device's work at once, then the host's parts. */
static void run_few(Exec *e, const EngBatch *batch)
{
    int key = (batch->n - 1) * (FEW + 1) + batch->n_out;
    if (!e->device->replay(e->device, key)) {
        bool kept = e->device->keep_begin(e->device);
        enqueue_all(e, batch);
        if (kept && e->device->keep_end(e->device, key)) e->device->replay(e->device, key);
    }
    for (size_t i = 0; i < e->steps.n; i++)
        if (e->steps.data[i].kind == ENG_STEP_CPU) run_part(e, e->steps.data[i].what, batch);
}

static void run_range(Exec *e, int first, int end, const EngBatch *batch)
{
    int ops = (int)e->graph->ops.n;
    for (size_t i = 0; i < e->steps.n; i++) {
        const Step *s = &e->steps.data[i];
        if (s->at < first || (s->at >= end && end < ops)) continue;
        if (s->kind == ENG_STEP_CPU)
            run_part(e, s->what, batch);
        else
            enqueue(e, s, batch);
    }
}

static void exec_run(EngBackend *backend, int first, int n, const EngBatch *batch)
{
    Exec *e = (Exec *)backend;
    int ops = (int)e->graph->ops.n, end = first + n;
    if (e->lost) {
        e->cpu->run(e->cpu, first, n, batch);
        return;
    }
    if (first == 0) {
        if (e->failed) memset(e->flags, 0, 2 * (e->parts.n + 1) * sizeof *e->flags);
        e->failed = false;
        if (++e->turn == UINT32_MAX) e->turn = 1; /* the abandoned turn, and the flags' beginning */
        e->device->begin(e->device, batch, e->turn);
    }
    if (first == 0 && end == ops && batch->n <= FEW && batch->n_out <= FEW)
        run_few(e, batch);
    else
        run_range(e, first, end, batch);
    if (e->failed) /* kernels that wait for the host wait no longer */
        for (size_t k = 0; k < 2 * e->parts.n; k++)
            __atomic_store_n(&e->flags[k], UINT32_MAX, __ATOMIC_RELEASE);
    if (end == ops && !e->device->finish(e->device, &e->error)) e->failed = true;
}

static const float *exec_logits(const EngBackend *backend)
{
    const Exec *e = (const Exec *)backend;
    return e->cpu->logits(e->cpu);
}

static float *exec_buffer(EngBackend *backend, int buf)
{
    Exec *e = (Exec *)backend;
    return e->cpu->buffer(e->cpu, buf);
}

static void exec_free(EngBackend *backend)
{
    Exec *e = (Exec *)backend;
    if (e->device) e->device->free(e->device);
    free(e->steps.data);
    free(e->parts.data);
    free(e->places);
    free(e);
}

static bool exec_check(EngBackend *backend, EngError *err)
{
    Exec *e = (Exec *)backend;
    if (!e->failed || e->lost) return true;
    e->lost = true;
    return eng_fail(err, e->error.code, "%s", e->error.message);
}

void eng_exec_count(const EngBackend *exec, int ret_steps[ENG_STEPS])
{
    const Exec *e = (const Exec *)exec;
    memset(ret_steps, 0, ENG_STEPS * sizeof *ret_steps);
    for (size_t i = 0; i < e->steps.n; i++) ret_steps[e->steps.data[i].kind]++;
}

/* ---- making ---------------------------------------------------------------------------------- */

static bool get_areas(Exec *e, EngError *err)
{
    size_t up = 0, down = 0, flags = 2 * (e->parts.n + 1) * sizeof *e->flags;
    int rows = e->base.max_tokens;
    for (size_t i = 0; i < e->parts.n; i++) {
        const Part *p = &e->parts.data[i];
        size_t in = 0, out = 0;
        for (int j = 0; j < p->n_in; j++)
            in += view_floats(p->in[j], p->select ? e->base.max_out : rows);
        for (int j = 0; j < p->n_out; j++)
            out += view_floats(p->out[j], p->select_out ? e->base.max_out : rows);
        up = ENG_MAX(up, in);
        down = ENG_MAX(down, out);
    }
    const char *what = "handing over between GPU and CPU";
    e->up = e->device->pinned(e->device, up * sizeof(float), what, err);
    e->down = e->up ? e->device->pinned(e->device, down * sizeof(float), what, err) : NULL;
    e->flags = e->down ? e->device->pinned(e->device, flags, what, err) : NULL;
    e->base.bytes += (up + down) * sizeof(float) + flags;
    return e->flags != NULL;
}

EngBackend *eng_exec_new(const EngGraph *graph, const bool *on_device, EngBackend *cpu,
                         EngDevice *device, EngError *err)
{
    Exec *e = eng_alloc0(sizeof *e);
    e->base = (EngBackend){.run = exec_run,
                           .logits = exec_logits,
                           .buffer = exec_buffer,
                           .check = exec_check,
                           .free = exec_free,
                           .max_tokens = cpu->max_tokens,
                           .max_out = cpu->max_out,
                           .threads = cpu->threads,
                           .bytes = cpu->bytes};
    e->graph = graph;
    e->cpu = cpu;
    e->device = device;
    e->select = (int)graph->ops.n;
    e->places = eng_alloc0(graph->ops.n * sizeof *e->places);
    e->on_device = e->places;
    for (size_t i = 0; i < graph->ops.n; i++) {
        EngOpKind kind = graph->ops.data[i].kind;
        e->places[i] = on_device[i] && kind != ENG_OP_EMBED && kind != ENG_OP_ROPE_TABLE;
        if (kind == ENG_OP_SELECT) e->select = (int)i + 1;
    }
    if (write_schedule(e, err) && get_areas(e, err)) return &e->base;
    exec_free(&e->base);
    return NULL;
}
