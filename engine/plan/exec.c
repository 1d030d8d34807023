#include "plan/exec.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "base/sys.h"
#include "plan/cache/cache.h"

enum { FEW = 8 };

typedef struct {
    EngBackend base;
    const EngGraph *graph;
    EngBackend *cpu;
    EngDevice *devices[ENG_MAX_GPUS];
    int n_devices;
    EngSchedule schedules[2];                           /* with guests: 1 */
    EngSchedule *schedule;                              /* of this chunk */
    float *up[ENG_MAX_GPUS][2], *down[ENG_MAX_GPUS][2]; /* pinned: what is handed over */
    uint32_t *flags; /* pinned: [devices][parts] up, then [parts] down */
    uint32_t turn;
    int select; /* op */
    EngRegimes regimes;
    bool *is_guest; /* [ops] experts of the CPU's that a device can have as guests */
    float
        *ids[ENG_MAX_GPUS]; /* pinned: where a device tells which experts of a guest have tokens */
    bool *used;             /* [experts] of the op at work */
    double guests_s;        /* that they took on the CPU, in this chunk */
    EngCache *caches[ENG_MAX_GPUS]; /* NULL: none */
    struct {
        int device, layer; /* ENG_NONE; its number in the device's cache */
    } * cached;            /* [ops] of EXPERTS, and of an ADD of what deferred ones were hits */
    bool asks_caches;      /* this run does */
    int logits_part;       /* the last, when it only fetches these; ENG_NONE */
    EngTops *tops;         /* pinned: [FEW]; NULL = the CPU has the logits */
    bool has_tops;         /* of the last run, in place of its logits */
    EngError error;
    bool failed;
    bool lost; /* the device is not used any more: all ops are the CPU's */
} Exec;

/* ---- running --------------------------------------------------------------------------------- */

static size_t view_floats(EngView v, int rows) { return (size_t)rows * (size_t)(v.heads * v.n); }

static int rows_of(const EngBatch *batch, bool select) { return select ? batch->n_out : batch->n; }

/* Those of the views that are a device's, one behind the other in its area. */
static int hand(const EngHandView *views, int n, int device, int rows, float *area,
                EngHandOver ret[ENG_HAND_VIEWS])
{
    int found = 0;
    for (int i = 0; i < n; i++) {
        if (!(views[i].devices >> device & 1)) continue;
        ret[found++] = (EngHandOver){views[i].view, area};
        area += view_floats(views[i].view, rows);
    }
    return found;
}

static uint32_t *up_flag(Exec *e, int part, int device)
{
    return &e->flags[(size_t)device * e->schedule->parts.n + (size_t)part];
}

static uint32_t *down_flag(Exec *e, int part) { return up_flag(e, part, e->n_devices); }

/* Those of either schedule lie in the same place; then come the guests'. */
static size_t part_flags(const Exec *e)
{
    size_t parts = ENG_MAX(e->schedules[0].parts.n, e->schedules[1].parts.n);
    return (size_t)(e->n_devices + 1) * parts;
}

static uint32_t *guest_flag(Exec *e, int op) { return &e->flags[part_flags(e) + (size_t)op]; }

static size_t flags_of(const Exec *e) { return part_flags(e) + e->graph->ops.n; }

/* Each device has a context of the driver, which calls are made in. */
static EngDevice *use(Exec *e, int device)
{
    EngDevice *d = e->devices[device];
    if (e->n_devices > 1) d->enter(d);
    return d;
}

/* What to do meanwhile; false: nothing. */
static bool copy_experts(Exec *e)
{
    for (int d = 0; d < e->n_devices && e->asks_caches; d++)
        if (e->caches[d] && (use(e, d), eng_cache_copy(e->caches[d]))) return true;
    return false;
}

/* Waits for a device's flag; false when the device failed. */
static bool wait_flag(Exec *e, const uint32_t *flag, int device)
{
    enum { SPINS = 4096 };
    while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) != e->turn) {
        if (copy_experts(e)) continue;
        for (int i = 0; i < SPINS; i++)
            if (__atomic_load_n(flag, __ATOMIC_ACQUIRE) == e->turn) return true;
        if (use(e, device)->failed(e->devices[device])) return false;
    }
    return true;
}

static bool wait_flags(Exec *e, int part, unsigned devices)
{
    for (int d = 0; d < e->n_devices; d++)
        if (devices >> d & 1 && !wait_flag(e, up_flag(e, part, d), d)) e->failed = true;
    return !e->failed;
}

static void copy_in(Exec *e, int k, const EngBatch *batch)
{
    const EngHostPart *p = &e->schedule->parts.data[k];
    EngHandOver moves[ENG_HAND_VIEWS];
    int rows = rows_of(batch, p->select);
    for (int d = 0; d < e->n_devices; d++) {
        int n = hand(p->in, p->n_in, d, rows, e->up[d][k % 2], moves);
        for (int i = 0; i < n; i++)
            memcpy(e->cpu->buffer(e->cpu, moves[i].view.buf), moves[i].host,
                   view_floats(moves[i].view, rows) * sizeof(float));
    }
    if (p->sum != ENG_NONE)
        memset(e->cpu->buffer(e->cpu, p->sum), 0,
               view_floats(eng_buffer_view(e->graph, p->sum), rows) * sizeof(float));
}

static void copy_out(Exec *e, int k, const EngBatch *batch)
{
    const EngHostPart *p = &e->schedule->parts.data[k];
    EngHandOver moves[ENG_HAND_VIEWS];
    int rows = rows_of(batch, p->select_out);
    for (int d = 0; d < e->n_devices; d++) {
        int n = hand(p->out, p->n_out, d, rows, e->down[d][k % 2], moves);
        for (int i = 0; i < n; i++)
            memcpy(moves[i].host, e->cpu->buffer(e->cpu, moves[i].view.buf),
                   view_floats(moves[i].view, rows) * sizeof(float));
    }
}

/* What a device has is not the CPU's to compute. */
static void leave_hits(Exec *e, const EngHostPart *p, const EngBatch *batch)
{
    for (int op = p->from; op < p->to && e->asks_caches; op++) {
        const EngOpExperts *experts = &e->graph->ops.data[op].experts;
        if (e->graph->ops.data[op].kind != ENG_OP_EXPERTS || e->cached[op].device == ENG_NONE)
            continue;
        size_t width = (size_t)e->graph->widths.data[experts->ids.buf];
        int32_t *ids = (int32_t *)(void *)e->cpu->buffer(e->cpu, experts->ids.buf);
        for (int t = 0; t < batch->n; t++)
            for (int i = 0; i < experts->n_used; i++) {
                int32_t *id = ids + (size_t)t * width + experts->ids.at + i;
                if (*id < 0) continue;
                bool hit = eng_cache_use(e->caches[e->cached[op].device], e->cached[op].layer, *id);
                e->base.cached[t].hits += hit;
                e->base.cached[t].misses += !hit;
                if (hit) *id = -1;
            }
    }
}

static void run_part(Exec *e, int k, const EngBatch *batch)
{
    const EngHostPart *p = &e->schedule->parts.data[k];
    if (e->failed || !wait_flags(e, k, p->gives) || (e->has_tops && k == e->logits_part)) return;
    copy_in(e, k, batch);
    leave_hits(e, p, batch);
    double start = e->is_guest[p->from] ? eng_sys_now() : 0;
    if (p->to > p->from) e->cpu->run(e->cpu, p->from, p->to - p->from, batch);
    if (e->is_guest[p->from]) e->guests_s += eng_sys_now() - start;
    if (!wait_flags(e, k, p->frees)) return;
    copy_out(e, k, batch);
    __atomic_store_n(down_flag(e, k), e->turn, __ATOMIC_RELEASE);
}

/* Guests come once for an op and the one that continues it: as one op, what is chosen for both. */
static bool comes_along(const Exec *e, int op)
{
    return eng_graph_continues(e->graph, op) && e->is_guest[op - 1];
}

static int guests_of(const Exec *e, int op, EngOp *ret_op)
{
    const EngOp *ops = &e->graph->ops.data[op];
    bool both = op + 1 < (int)e->graph->ops.n && e->is_guest[op + 1] && comes_along(e, op + 1);
    *ret_op = *ops;
    if (both) ret_op->experts.n_used += ops[1].experts.n_used;
    if (both) ret_op->experts.ids.n += ops[1].experts.ids.n;
    return both ? 2 : 1;
}

/* Which experts have tokens: the device has chosen, and tells. */
static bool learn_used(Exec *e, int op, const EngOpExperts *p, EngDevice *device, int rows)
{
    int mats = (int)p->gate.mats, n = rows * p->n_used;
    EngHandOver move = {p->ids, e->ids[device->number]};
    uint32_t *flag = guest_flag(e, op);
    device->publish(device, &move, 1, rows, flag);
    if (!wait_flag(e, flag, device->number)) return false;
    memset(e->used, 0, (size_t)mats * sizeof *e->used);
    const int32_t *ids = (const int32_t *)(const void *)move.host;
    for (int i = 0; i < n; i++)
        if (ids[i] >= 0 && ids[i] < mats) e->used[ids[i]] = true;
    return true;
}

static void enqueue_guests(Exec *e, int op, EngDevice *device, int rows)
{
    bool all = e->base.streaming == ENG_STREAM_ALL;
    EngOp guests;
    if (e->failed || comes_along(e, op)) return;
    int n = guests_of(e, op, &guests);
    if (all || learn_used(e, op, &guests.experts, device, rows))
        device->guests(device, op, n, rows, all ? NULL : e->used);
    else
        e->failed = true;
}

/* Beside the CPU's part. Deferred experts, which are a part of their own, need what the device
 * hands over for the others; their hits wait in a buffer of its own, as the misses do on the CPU,
 * to be added in the next layer. */
static void enqueue_hits(Exec *e, const EngHostPart *p, int device, int rows)
{
    EngDevice *d = e->devices[device];
    for (int op = p->from; op < p->to && e->asks_caches; op++) {
        if (e->cached[op].device != device || eng_graph_continues(e->graph, op)) continue;
        if (e->graph->ops.data[op].kind == ENG_OP_ADD) {
            d->op(d, op, rows);
            continue;
        }
        d->hits(d, op, rows);
        bool more = op + 1 < (int)e->graph->ops.n && eng_graph_continues(e->graph, op + 1);
        if (more && e->cached[op + 1].device == device) d->hits(d, op + 1, rows);
    }
}

static void enqueue(Exec *e, const EngScheduleStep *s, const EngBatch *batch)
{
    EngHandOver moves[ENG_HAND_VIEWS];
    EngDevice *device = use(e, s->device);
    if (s->kind == ENG_STEP_OP) {
        int rows = rows_of(batch, s->what >= e->select);
        if (e->is_guest[s->what])
            enqueue_guests(e, s->what, device, rows);
        else
            device->op(device, s->what, rows);
        return;
    }
    const EngHostPart *p = &e->schedule->parts.data[s->what];
    if (s->kind == ENG_STEP_PUBLISH) {
        int rows = rows_of(batch, p->select);
        int n = hand(p->in, p->n_in, s->device, rows, e->up[s->device][s->what % 2], moves);
        if (e->has_tops && s->what == e->logits_part && n > 0) {
            device->tops(device, moves[0].view, rows, e->tops);
            n = 0;
        }
        device->publish(device, moves, n, rows, up_flag(e, s->what, s->device));
        enqueue_hits(e, p, s->device, rows);
    } else {
        int rows = rows_of(batch, p->select_out);
        int n = hand(p->out, p->n_out, s->device, rows, e->down[s->device][s->what % 2], moves);
        device->accept(device, moves, n, rows, p->sum != ENG_NONE, down_flag(e, s->what));
    }
}

static void enqueue_all(Exec *e, int device, const EngBatch *batch)
{
    for (size_t i = 0; i < e->schedule->steps.n; i++)
        if (e->schedule->steps.data[i].device == device)
            enqueue(e, &e->schedule->steps.data[i], batch);
}

/* All of the devices' work at once, then the host's parts. */
static void run_few(Exec *e, const EngBatch *batch)
{
    int key = (e->has_tops * FEW + batch->n - 1) * (FEW + 1) + batch->n_out;
    for (int d = 0; d < e->n_devices; d++) {
        EngDevice *device = use(e, d);
        if (device->replay(device, key)) continue;
        bool kept = device->keep_begin(device);
        enqueue_all(e, d, batch);
        if (kept && device->keep_end(device, key)) device->replay(device, key);
    }
    for (size_t i = 0; i < e->schedule->steps.n; i++)
        if (e->schedule->steps.data[i].kind == ENG_STEP_CPU)
            run_part(e, e->schedule->steps.data[i].what, batch);
    for (int d = 0; d < e->n_devices; d++)
        while (e->devices[d]->cache_waits && !e->failed && copy_experts(e)) continue;
}

static void run_range(Exec *e, int first, int end, const EngBatch *batch)
{
    int ops = (int)e->graph->ops.n;
    for (size_t i = 0; i < e->schedule->steps.n; i++) {
        const EngScheduleStep *s = &e->schedule->steps.data[i];
        if (s->at < first || (s->at >= end && end < ops)) continue;
        if (s->kind == ENG_STEP_CPU)
            run_part(e, s->what, batch);
        else
            enqueue(e, s, batch);
    }
}

static void begin(Exec *e, const EngBatch *batch)
{
    if (e->failed) memset(e->flags, 0, flags_of(e) * sizeof *e->flags);
    e->failed = false;
    e->guests_s = 0;
    e->base.streaming = batch->n > FEW ? eng_regime_choose(&e->regimes, batch->n) : ENG_STREAM_CPU;
    e->schedule = &e->schedules[e->base.streaming != ENG_STREAM_CPU];
    if (++e->turn == UINT32_MAX) e->turn = 1; /* the abandoned turn, and the flags' beginning */
    memset(e->base.cached, 0, sizeof e->base.cached);
    for (int d = 0; d < e->n_devices && e->asks_caches; d++)
        if (e->caches[d]) use(e, d), eng_cache_begin(e->caches[d]);
    for (int d = 0; d < e->n_devices; d++) e->devices[d]->begin(e->devices[d], batch, e->turn);
}

/* By the slower of the devices that had guests. */
static void take_speeds(Exec *e)
{
    double gb_s = 0, gop_s = 0;
    for (int d = 0; d < e->n_devices; d++) {
        const EngDevice *device = e->devices[d];
        if (device->copied_gb_s > 0 && (gb_s == 0 || device->copied_gb_s < gb_s))
            gb_s = device->copied_gb_s;
        if (device->guests_gop_s > 0 && (gop_s == 0 || device->guests_gop_s < gop_s))
            gop_s = device->guests_gop_s;
    }
    eng_regimes_sent(&e->regimes, gb_s, gop_s);
}

/* What failed first is told. */
static void finish(Exec *e, const EngBatch *batch)
{
    for (int d = 0; d < e->n_devices; d++) {
        EngError err = {0};
        EngDevice *device = use(e, d);
        if (device->finish(device, &err)) continue;
        e->failed = true;
        if (!e->error.code) e->error = err;
    }
    if (e->failed || batch->n <= FEW) return;
    if (e->base.streaming != ENG_STREAM_CPU)
        take_speeds(e);
    else
        eng_regimes_cpu_took(&e->regimes, batch->n, e->guests_s);
}

static void exec_run(EngBackend *backend, int first, int n, const EngBatch *batch)
{
    Exec *e = (Exec *)backend;
    int ops = (int)e->graph->ops.n, end = first + n;
    e->has_tops = false;
    if (e->lost) {
        e->base.streaming = ENG_STREAM_CPU;
        e->cpu->run(e->cpu, first, n, batch);
        return;
    }
    bool few = first == 0 && end == ops && batch->n <= FEW && batch->n_out <= FEW;
    e->asks_caches = few;
    e->has_tops = few && batch->tops && batch->n_out > 0 && e->tops;
    if (first == 0) begin(e, batch);
    if (few)
        run_few(e, batch);
    else
        run_range(e, first, end, batch);
    if (e->failed) /* kernels that wait for the host wait no longer */
        for (size_t i = 0; i < flags_of(e); i++)
            __atomic_store_n(&e->flags[i], UINT32_MAX, __ATOMIC_RELEASE);
    if (end == ops) finish(e, batch);
}

static const float *exec_logits(const EngBackend *backend)
{
    const Exec *e = (const Exec *)backend;
    return e->cpu->logits(e->cpu);
}

static const EngTops *exec_tops(const EngBackend *backend)
{
    const Exec *e = (const Exec *)backend;
    return e->has_tops ? e->tops : NULL;
}

static float *exec_buffer(EngBackend *backend, int buf)
{
    Exec *e = (Exec *)backend;
    return e->cpu->buffer(e->cpu, buf);
}

static void exec_free(EngBackend *backend)
{
    Exec *e = (Exec *)backend;
    for (int d = 0; d < e->n_devices; d++) {
        eng_cache_free(e->caches[d]);
        e->devices[d]->free(e->devices[d]);
    }
    free(e->cached);
    for (int i = 0; i < 2; i++) eng_schedule_clear(&e->schedules[i]);
    free(e->is_guest);
    free(e->used);
    free(e);
}

static bool exec_check(EngBackend *backend, EngError *err)
{
    Exec *e = (Exec *)backend;
    if (!e->failed || e->lost) return true;
    e->lost = true;
    return eng_fail(err, e->error.code, "%s", e->error.message);
}

void eng_exec_count(const EngBackend *exec, bool guests, int ret_steps[ENG_STEPS])
{
    const EngSchedule *s = &((const Exec *)exec)->schedules[guests];
    memset(ret_steps, 0, ENG_STEPS * sizeof *ret_steps);
    for (size_t i = 0; i < s->steps.n; i++) ret_steps[s->steps.data[i].kind]++;
}

EngRegimes *eng_exec_regimes(EngBackend *exec) { return &((Exec *)exec)->regimes; }

/* ---- making ---------------------------------------------------------------------------------- */

/* The most that the views of a device's parts take. */
static size_t area_floats(const Exec *e, const EngSchedule *s, int device, bool out)
{
    size_t most = 0;
    for (size_t i = 0; i < s->parts.n; i++) {
        const EngHostPart *p = &s->parts.data[i];
        const EngHandView *views = out ? p->out : p->in;
        int rows = (out ? p->select_out : p->select) ? e->base.max_out : e->base.max_tokens;
        size_t floats = 0;
        for (int j = 0; j < (out ? p->n_out : p->n_in); j++)
            if (views[j].devices >> device & 1) floats += view_floats(views[j].view, rows);
        most = ENG_MAX(most, floats);
    }
    return most;
}

static void *pinned(Exec *e, int device, size_t bytes, EngError *err)
{
    EngDevice *d = use(e, device);
    e->base.bytes += bytes;
    return d->pinned(d, bytes, "handing over between GPU and CPU", err);
}

static bool get_areas(Exec *e, EngError *err)
{
    for (int d = 0; d < e->n_devices; d++) {
        size_t up = ENG_MAX(area_floats(e, &e->schedules[0], d, false),
                            area_floats(e, &e->schedules[1], d, false));
        size_t down = ENG_MAX(area_floats(e, &e->schedules[0], d, true),
                              area_floats(e, &e->schedules[1], d, true));
        float *areas = pinned(e, d, 2 * (up + down) * sizeof *areas, err);
        if (!areas) return false;
        for (int i = 0; i < 2; i++, areas += up + down)
            e->up[d][i] = areas, e->down[d][i] = areas + up;
    }
    e->flags = pinned(e, 0, (flags_of(e) + 1) * sizeof *e->flags, err);
    return e->flags != NULL;
}

/* Two ops read what the host alone has. `guests`: where those are that can be a device's. */
static bool write_schedule(Exec *e, EngSchedule *ret, const int *device_of, bool guests,
                           EngError *err)
{
    int *places = eng_alloc0(e->graph->ops.n * sizeof *places);
    for (int i = 0; i < (int)e->graph->ops.n; i++) {
        EngOpKind kind = e->graph->ops.data[i].kind;
        bool near = kind == ENG_OP_EMBED || kind == ENG_OP_ROPE_TABLE;
        places[i] = near ? ENG_NONE : device_of[i];
        if (guests && e->is_guest[i]) places[i] = device_of[eng_graph_router(e->graph, i)];
        if (kind == ENG_OP_SELECT) e->select = i + 1;
    }
    bool ok = eng_schedule_write(ret, e->graph, places, err);
    free(places);
    return ok;
}

/* Experts of the CPU's that are guests of the device which has their router. */
static bool find_guests(Exec *e, const int *device_of, const EngStreams *streams, EngError *err)
{
    size_t most = 0, ids[ENG_MAX_GPUS] = {0};
    bool all_rows = true;
    e->is_guest = eng_alloc0((e->graph->ops.n + 1) * sizeof *e->is_guest);
    if (!streams) return true;
    e->regimes = (EngRegimes){.speeds = streams->speeds, .only = streams->streaming};
    for (int i = 0; i < (int)e->graph->ops.n; i++) {
        const EngOp *op = &e->graph->ops.data[i];
        int router = op->kind == ENG_OP_EXPERTS ? eng_graph_router(e->graph, i) : ENG_NONE;
        int d = router >= 0 ? device_of[router] : ENG_NONE;
        e->is_guest[i] = d >= 0 && device_of[i] < 0 && e->devices[d]->is_guest(e->devices[d], i);
    }
    for (int i = 0; i < (int)e->graph->ops.n; i++) {
        EngOp op;
        all_rows = all_rows && e->graph->ops.data[i].kind != ENG_OP_SELECT;
        if (device_of[i] >= 0 && all_rows) eng_regimes_beside(&e->regimes, &e->graph->ops.data[i]);
        if (!e->is_guest[i] || comes_along(e, i)) continue;
        int d = device_of[eng_graph_router(e->graph, i)];
        guests_of(e, i, &op);
        most = ENG_MAX(most, (size_t)op.experts.gate.mats);
        eng_regimes_add(&e->regimes, &op);
        ids[d] = ENG_MAX(ids[d], view_floats(op.experts.ids, e->base.max_tokens));
    }
    for (int d = 0; d < e->n_devices; d++) {
        if (ids[d]) e->ids[d] = pinned(e, d, ids[d] * sizeof(float), err);
        if (ids[d] && !e->ids[d]) return false;
    }
    e->used = eng_alloc0((most + 1) * sizeof *e->used);
    return true;
}

static bool gives(const EngHostPart *p, int buf, int device)
{
    for (int i = 0; i < p->n_in; i++)
        if (p->in[i].view.buf == buf) return p->in[i].devices >> device & 1;
    return false;
}

/* A device that has all that the op reads, and that the part's sum goes to; or ENG_NONE. */
static int cacher_of(const Exec *e, const EngHostPart *p, int op)
{
    const EngOp *o = &e->graph->ops.data[op];
    for (int d = 0; d < e->n_devices && o->kind == ENG_OP_EXPERTS && p->sum == o->dst.buf; d++)
        if (e->devices[d]->n_slots > 0 && e->devices[d]->caches(e->devices[d], op) &&
            p->takes == 1u << d && gives(p, o->src.buf, d) && gives(p, o->experts.ids.buf, d) &&
            gives(p, o->experts.weights.buf, d))
            return d;
    return ENG_NONE;
}

/* The part in which the CPU adds what was deferred by `op`; *ret_add: which op does. NULL: it is
 * not the CPU's. */
static const EngHostPart *adds_deferred(const Exec *e, int op, int *ret_add)
{
    const EngOp *ops = e->graph->ops.data;
    int n = (int)e->graph->ops.n, add = op + 1;
    while (add < n && !(ops[add].kind == ENG_OP_ADD && ops[add].src.buf == ops[op].dst.buf)) add++;
    *ret_add = add;
    for (size_t k = 0; k < e->schedules[0].parts.n; k++) {
        const EngHostPart *p = &e->schedules[0].parts.data[k];
        if (p->from <= add && add < p->to) return p;
    }
    return NULL;
}

/* Where the same device has their layer's others in its cache and then the stream, too. */
static void cache_deferred(Exec *e)
{
    for (int op = 1; op < (int)e->graph->ops.n; op++) {
        int add, d = eng_graph_continues(e->graph, op) ? e->cached[op - 1].device : ENG_NONE;
        const EngHostPart *p = d == ENG_NONE ? NULL : adds_deferred(e, op, &add);
        bool sums = p && p->sum == e->graph->ops.data[add].dst.buf;
        if (!sums || p->takes != 1u << d || !(p->gives >> d & 1)) continue;
        e->cached[op] = e->cached[op - 1];
        e->cached[add].device = d;
    }
}

static void find_cached(Exec *e)
{
    int n[ENG_MAX_GPUS] = {0};
    e->cached = eng_alloc0((e->graph->ops.n + 1) * sizeof *e->cached);
    for (size_t i = 0; i < e->graph->ops.n; i++) e->cached[i].device = ENG_NONE;
    for (size_t k = 0; k < e->schedules[0].parts.n; k++) {
        const EngHostPart *p = &e->schedules[0].parts.data[k];
        for (int op = p->from; op < p->to; op++) {
            int d = e->cached[op].device = cacher_of(e, p, op);
            if (d != ENG_NONE) e->cached[op].layer = n[d]++;
        }
    }
    cache_deferred(e);
}

static bool make_caches(Exec *e, EngError *err)
{
    int *ops = eng_alloc0((e->graph->ops.n + 1) * sizeof *ops);
    bool ok = true;
    find_cached(e);
    for (int d = 0; d < e->n_devices && ok; d++) {
        int found = 0;
        for (int i = 0; i < (int)e->graph->ops.n; i++)
            if (e->cached[i].device == d && e->graph->ops.data[i].kind == ENG_OP_EXPERTS &&
                !eng_graph_continues(e->graph, i))
                ops[found++] = i;
        if (found == 0 || e->devices[d]->cache_policy == ENG_CACHE_OFF) continue;
        e->caches[d] = eng_cache_new(e->graph, ops, found, use(e, d), err);
        ok = e->caches[d] != NULL;
        if (ok) e->base.bytes += eng_cache_staging_bytes(e->caches[d]);
    }
    for (size_t i = 0; i < e->graph->ops.n && ok; i++)
        if (e->cached[i].device != ENG_NONE && !e->caches[e->cached[i].device])
            e->cached[i].device = ENG_NONE;
    free(ops);
    return ok;
}

/* Where the last part has no ops, one device has the logits. */
static bool make_tops(Exec *e, EngError *err)
{
    const EngSchedule *s = &e->schedules[0];
    const EngHostPart *p = s->parts.n ? &s->parts.data[s->parts.n - 1] : NULL;
    e->logits_part = ENG_NONE;
    if (!p || p->from != (int)e->graph->ops.n || p->n_in != 1 ||
        e->graph->widths.data[e->graph->logits] <= ENG_TOPS)
        return true;
    int d = 0;
    while (!(p->in[0].devices >> d & 1)) d++;
    e->logits_part = (int)s->parts.n - 1;
    e->tops = pinned(e, d, FEW * sizeof *e->tops, err);
    return e->tops != NULL;
}

EngBackend *eng_exec_new(const EngGraph *graph, const int *device_of, EngBackend *cpu,
                         EngDevice *const *devices, int n_devices, const EngStreams *streams,
                         EngError *err)
{
    Exec *e = eng_alloc0(sizeof *e);
    e->base = (EngBackend){.run = exec_run,
                           .logits = exec_logits,
                           .tops = exec_tops,
                           .buffer = exec_buffer,
                           .check = exec_check,
                           .free = exec_free,
                           .max_tokens = cpu->max_tokens,
                           .max_out = cpu->max_out,
                           .threads = cpu->threads,
                           .bytes = cpu->bytes};
    e->graph = graph;
    e->cpu = cpu;
    e->n_devices = n_devices;
    e->schedule = e->schedules;
    e->select = (int)graph->ops.n;
    for (int d = 0; d < n_devices; d++) {
        e->devices[d] = devices[d];
        devices[d]->cpu = cpu;
    }
    if (find_guests(e, device_of, streams, err) &&
        write_schedule(e, &e->schedules[0], device_of, false, err) &&
        write_schedule(e, &e->schedules[1], device_of, true, err) && get_areas(e, err) &&
        make_caches(e, err) && make_tops(e, err))
        return &e->base;
    exec_free(&e->base);
    return NULL;
}
