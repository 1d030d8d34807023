#include "plan/exec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"

enum { FEW = 8 };

typedef struct {
    EngBackend base;
    const EngGraph *graph;
    const bool *on_device;
    EngBackend *cpu;
    EngDevice *device;
    EngSchedule schedule;
    float *up, *down; /* pinned: what is handed over */
    uint32_t *flags;  /* pinned: [parts] up, then [parts] down */
    uint32_t turn;
    int select;   /* op */
    bool *places; /* owned copy of on_device */
    EngError error;
    bool failed;
    bool lost; /* the device is not used any more: all ops are the CPU's */
} Exec;

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

static void copy_in(Exec *e, const EngHostPart *p, const EngBatch *batch)
{
    EngHandOver moves[ENG_HAND_VIEWS];
    int rows = rows_of(batch, p->select);
    int n = hand(p->in, p->n_in, rows, e->up, moves);
    for (int i = 0; i < n; i++)
        memcpy(e->cpu->buffer(e->cpu, moves[i].view.buf), moves[i].host,
               view_floats(moves[i].view, rows) * sizeof(float));
    if (p->sum != ENG_NONE)
        memset(e->cpu->buffer(e->cpu, p->sum), 0,
               view_floats(eng_buffer_view(e->graph, p->sum), rows) * sizeof(float));
}

static void copy_out(Exec *e, const EngHostPart *p, const EngBatch *batch)
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
static bool is_published(const EngHostPart *p, int k) { return k > 0 || p->n_in > 0; }

static void run_part(Exec *e, int k, const EngBatch *batch)
{
    const EngHostPart *p = &e->schedule.parts.data[k];
    uint32_t *up = &e->flags[k], *down = &e->flags[e->schedule.parts.n + (size_t)k];
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

static void enqueue(Exec *e, const EngScheduleStep *s, const EngBatch *batch)
{
    EngHandOver moves[ENG_HAND_VIEWS];
    if (s->kind == ENG_STEP_OP) {
        e->device->op(e->device, s->what, rows_of(batch, s->what >= e->select));
        return;
    }
    const EngHostPart *p = &e->schedule.parts.data[s->what];
    if (s->kind == ENG_STEP_PUBLISH && is_published(p, s->what)) {
        int rows = rows_of(batch, p->select), n = hand(p->in, p->n_in, rows, e->up, moves);
        e->device->publish(e->device, moves, n, rows, &e->flags[s->what]);
    } else if (s->kind == ENG_STEP_ACCEPT) {
        int rows = rows_of(batch, p->select_out);
        int n = hand(p->out, p->n_out, rows, e->down, moves);
        e->device->accept(e->device, moves, n, rows, p->sum != ENG_NONE,
                          &e->flags[e->schedule.parts.n + (size_t)s->what]);
    }
}

static void enqueue_all(Exec *e, const EngBatch *batch)
{
    for (size_t i = 0; i < e->schedule.steps.n; i++)
        if (e->schedule.steps.data[i].kind != ENG_STEP_CPU)
            enqueue(e, &e->schedule.steps.data[i], batch);
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
    for (size_t i = 0; i < e->schedule.steps.n; i++)
        if (e->schedule.steps.data[i].kind == ENG_STEP_CPU)
            run_part(e, e->schedule.steps.data[i].what, batch);
}

static void run_range(Exec *e, int first, int end, const EngBatch *batch)
{
    int ops = (int)e->graph->ops.n;
    for (size_t i = 0; i < e->schedule.steps.n; i++) {
        const EngScheduleStep *s = &e->schedule.steps.data[i];
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
        if (e->failed) memset(e->flags, 0, 2 * (e->schedule.parts.n + 1) * sizeof *e->flags);
        e->failed = false;
        if (++e->turn == UINT32_MAX) e->turn = 1; /* the abandoned turn, and the flags' beginning */
        e->device->begin(e->device, batch, e->turn);
    }
    if (first == 0 && end == ops && batch->n <= FEW && batch->n_out <= FEW)
        run_few(e, batch);
    else
        run_range(e, first, end, batch);
    if (e->failed) /* kernels that wait for the host wait no longer */
        for (size_t k = 0; k < 2 * e->schedule.parts.n; k++)
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
    eng_schedule_clear(&e->schedule);
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
    for (size_t i = 0; i < e->schedule.steps.n; i++) ret_steps[e->schedule.steps.data[i].kind]++;
}

/* ---- making ---------------------------------------------------------------------------------- */

static bool get_areas(Exec *e, EngError *err)
{
    size_t up = 0, down = 0, flags = 2 * (e->schedule.parts.n + 1) * sizeof *e->flags;
    int rows = e->base.max_tokens;
    for (size_t i = 0; i < e->schedule.parts.n; i++) {
        const EngHostPart *p = &e->schedule.parts.data[i];
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
    if (eng_schedule_write(&e->schedule, graph, e->on_device, err) && get_areas(e, err))
        return &e->base;
    exec_free(&e->base);
    return NULL;
}
