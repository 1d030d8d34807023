/* What of a model is on GPUs: the plan that it was opened by, its devices, the caches there; and
 * what becomes of all that when one fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "cpu/cpu.h"
#include "cuda/cuda.h"
#include "cuda/gpu.h"
#include "plan/kernel/choice.h"
#include "plan/exec.h"
#include "plan/plan.h"
#include "plan/rules.h"
#include "session.h"

/* ---- opening --------------------------------------------------------------------------------- */

/* As a phrase. */
static void give_reason(EngModel *m, const EngError *why)
{
    size_t n = strlen(why->message);
    if (n && why->message[n - 1] == '.') n--;
    snprintf(m->gpu_reason, sizeof m->gpu_reason, "%.*s", (int)n, why->message);
}

/* Without GPUs all goes on with the CPU, unless something else was asked for: a size of VRAM,
 * rules, or more cards than there are. */
static bool do_without(EngModel *m, const EngModelSettings *s, EngGpuState state,
                       const EngError *why, EngError *err)
{
    eng_plan_free(m->plan);
    free(m->device_of);
    m->plan = NULL;
    m->device_of = NULL;
    if (s->vram || s->rules || (s->gpus && why->code == ENG_ERR_USAGE))
        return eng_fail(err, why->code, "%s", why->message);
    m->gpu_state = state;
    give_reason(m, why);
    return true;
}

/* A rehearsal is of a machine that holds all the weights. */
static EngPlanSettings wishes(const EngModel *m, const EngModelSettings *s)
{
    EngPlanSettings want = eng_plan_defaults();
    want.vram = s->vram;
    want.gpus = s->gpus;
    want.context = s->context;
    want.kv = s->kv;
    want.batch = s->batch;
    want.nodes = s->nodes;
    want.no_gpu = s->no_gpu;
    want.rules = s->rules;
    want.experts = s->experts;
    want.defer = s->defer;
    want.streaming = s->streaming;
    if (m->rehearsal) want.dram = (uint64_t)1 << 50;
    return want;
}

static void take_ops(EngModel *m)
{
    m->device_of = eng_alloc0((m->graph.ops.n + 1) * sizeof *m->device_of);
    for (size_t i = 0; i < m->graph.ops.n; i++) {
        EngPlace place = eng_plan_device(m->plan, i);
        m->device_of[i] = place.kind == ENG_PLACE_GPU ? place.index : ENG_NONE;
    }
}

/* What rules chose outlives the plan. */
static void take_choice(EngModel *m, EngPlan *plan)
{
    if (!plan) return;
    m->choice = plan->choice;
    plan->choice = NULL;
}

/* A plan's chunk for the CPU alone, as far as there is memory: a rehearsal's plan is for a larger
 * machine. Sessions may be longer than what is planned for, and many. */
static void take_batch(EngModel *m, const EngPlan *plan)
{
    EngUsage usage;
    if (!plan || !eng_host_usage(&usage, NULL)) return;
    const EngKernel *const *kernels = m->choice ? m->choice->kernels : NULL;
    uint64_t others = 0;
    for (size_t i = 0; i < plan->n_rows; i++)
        if (plan->rows[i].kind != ENG_PLAN_BUFFERS && plan->rows[i].place.kind == ENG_PLACE_CPU)
            others += plan->rows[i].bytes;
    uint64_t most = eng_plan_chunk_most(usage.dram_available, others);
    int batch = plan->batch;
    while (batch > ENG_USUAL_BATCH && eng_cpu_bytes(&m->graph, batch, 1, kernels) > most)
        batch /= 2;
    m->cpu_batch = ENG_MAX(batch, ENG_USUAL_BATCH);
}

/* Rules must make sense even where there is no GPU for them. The chunk needs a plan where there are
 * experts; it may say that there is too little memory, of which the system may still find some. */
static bool without_device(EngModel *m, const EngModelSettings *s, EngError *err)
{
    EngPlanSettings want = wishes(m, s);
    bool chunk = !s->batch && m->h.n_experts > 0;
    want.vram = 0;
    want.no_gpu = true;
    if (!s->rules && !chunk) return true;
    EngPlan *plan = eng_plan_gguf(m->gguf, &want, NULL, s->rules ? err : NULL);
    take_choice(m, plan);
    take_batch(m, plan);
    eng_plan_free(plan);
    return plan || !s->rules;
}

static void close_from(EngModel *m, int n)
{
    for (int d = n; d < ENG_MAX_GPUS; d++) {
        eng_cuda_close(m->cudas[d]);
        m->cudas[d] = NULL;
    }
}

/* As many as are wanted, or none with a reason; of those that rules alone name, as many as there
 * are. Returns how many. */
static int open_all(EngModel *m, const EngModelSettings *s, EngVramLeft *left, char reason[160])
{
    int named = s->gpus ? 0 : eng_rules_gpus(s->rules), least = ENG_MAX(s->gpus, 1);
    for (int d = 0; d < ENG_MIN(ENG_MAX(least, named), ENG_MAX_GPUS); d++) {
        EngCudaSettings set = {.ordinal = d};
        char none[160];
        m->cudas[d] = eng_cuda_open(&set, d < least ? reason : none);
        if (!m->cudas[d] && d >= least) return d;
        if (!m->cudas[d]) return close_from(m, 0), 0;
        left[d].taken = eng_cuda_info(m->cudas[d]).own;
        left[d].bytes = left[d].taken + eng_cuda_available(m->cudas[d]);
    }
    return ENG_MAX(least, named);
}

bool eng_model_place(EngModel *m, const EngModelSettings *settings, EngError *err)
{
    EngError why = {0};
    EngVramLeft left[ENG_MAX_GPUS];
    char reason[160] = "it is switched off";
    if (settings->no_gpu || !open_all(m, settings, left, reason)) {
        EngHostGpu gpus[ENG_MAX_GPUS];
        char none[160];
        int seen = settings->no_gpu ? 0 : eng_cuda_probe(gpus, none);
        snprintf(m->gpu_reason, sizeof m->gpu_reason, "%s", reason);
        if (settings->gpus > ENG_MAX(seen, 1) && !settings->no_gpu)
            return eng_fail(err, ENG_ERR_USAGE, "%d GPUs cannot be used: %s.", settings->gpus,
                            reason);
        if (seen) m->gpu_state = ENG_GPU_FAILED; /* and one cannot be opened */
        return without_device(m, settings, err);
    }
    EngPlanSettings want = wishes(m, settings);
    m->plan = eng_plan_gguf(m->gguf, &want, left, &why);
    take_choice(m, m->plan);
    close_from(m, m->plan ? m->plan->n_gpus : 0);
    if (m->plan && m->plan->n_gpus) {
        for (int d = 0; d < m->plan->n_gpus; d++) eng_cuda_limit(m->cudas[d], m->plan->gpu_vram[d]);
        take_ops(m);
        return true;
    }
    if (!m->plan) return do_without(m, settings, ENG_GPU_NO_ROOM, &why, err);
    m->gpu_state = m->plan->no_room ? ENG_GPU_NO_ROOM : ENG_GPU_SLOWER;
    snprintf(m->gpu_reason, sizeof m->gpu_reason, "%s", m->plan->reason);
    take_batch(m, m->plan);
    eng_plan_free(m->plan);
    m->plan = NULL;
    return true;
}

/* Without wishes the CPU takes over what a GPU has no room for. Rules must make sense either way.
 */
bool eng_model_may_place(const EngModel *m, const EngModelSettings *settings, const EngModel *gone,
                         EngError *err)
{
    EngHostGpu gpus[ENG_MAX_GPUS];
    EngPlanSettings want = wishes(m, settings);
    char reason[160] = "it is switched off";
    if (settings->no_gpu || !eng_cuda_probe(gpus, reason)) {
        if (settings->gpus > 1 && !settings->no_gpu)
            return eng_fail(err, ENG_ERR_USAGE, "%d GPUs cannot be used: %s.", settings->gpus,
                            reason);
        want.vram = 0;
        want.no_gpu = true;
        if (!settings->rules) return true;
    }
    if (!settings->vram && !settings->rules && !settings->gpus) return true;
    EngError why = {0};
    EngPlan *plan = eng_plan_instead(m->gguf, &want, gone, &why);
    bool placed = plan || (!settings->vram && !settings->rules && why.code != ENG_ERR_USAGE);
    eng_plan_free(plan);
    return placed || eng_fail(err, why.code, "%s", why.message);
}

/* [layers] where a layer's cache lies in a session's DRAM; -1: it is the device's. */
static void number_layers(EngModel *m)
{
    int n = 0;
    m->kv_at = eng_alloc0((size_t)(m->graph.n_layers + 1) * sizeof *m->kv_at);
    for (size_t i = 0; i < m->graph.ops.n; i++) {
        const EngOp *op = &m->graph.ops.data[i];
        if (op->kind == ENG_OP_ATTN) m->kv_at[op->attn.layer] = m->device_of[i] >= 0 ? -1 : n++;
    }
}

static uint64_t planned(const EngPlan *plan, EngPlanKind kind, int gpu)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < plan->n_rows; i++) {
        const EngPlanRow *row = &plan->rows[i];
        if (row->kind == kind && row->place.kind == ENG_PLACE_GPU && row->place.index == gpu)
            bytes += row->bytes;
    }
    return bytes;
}

/* Takes over cudas[d]. */
static EngDevice *new_device(EngModel *m, int d, EngError *err)
{
    bool *here = eng_alloc0((m->graph.ops.n + 1) * sizeof *here);
    for (size_t i = 0; i < m->graph.ops.n; i++) here[i] = m->device_of[i] == d;
    EngGpuGuests guests = {m->plan->streams ? ENG_GUEST_SLOT : 0, m->plan->sends};
    EngGpuCache cache = {planned(m->plan, ENG_PLAN_CACHE, d), m->plan->caches};
    EngDevice *device =
        eng_gpu_new(&m->graph, here, m->backend->max_tokens, m->backend->max_out,
                    planned(m->plan, ENG_PLAN_KV, d), cache, guests, m->cudas[d], err);
    m->cudas[d] = NULL;
    free(here);
    if (device) device->number = d, device->cache_policy = m->plan->cache_policy;
    return device;
}

static EngBackend *new_exec(EngModel *m, EngStreaming streaming, EngError *err)
{
    EngDevice *devices[ENG_MAX_GPUS];
    int n = 0;
    for (int d = 0; d < ENG_MAX_GPUS && m->cudas[d]; d++, n++) {
        devices[n] = new_device(m, d, err);
        if (devices[n]) continue;
        while (n-- > 0) devices[n]->free(devices[n]);
        close_from(m, 0);
        return NULL;
    }
    EngStreams streams = {streaming, m->plan->speeds};
    EngBackend *exec = eng_exec_new(&m->graph, m->device_of, m->backend, devices, n, &streams, err);
    m->n_devices = exec ? n : 0;
    if (exec) memcpy(m->devices, devices, (size_t)n * sizeof(EngDevice *));
    return exec;
}

bool eng_model_attach(EngModel *m, const EngModelSettings *settings, EngError *err)
{
    EngError why = {0};
    if (!m->cudas[0]) return true;
    EngBackend *exec = new_exec(m, settings->streaming, &why);
    if (!exec) return do_without(m, settings, ENG_GPU_FAILED, &why, err);
    m->cpu = m->backend;
    m->backend = exec;
    number_layers(m);
    snprintf(m->gpu, sizeof m->gpu, "%s", m->plan->gpu);
    m->gpu_state = ENG_GPU_WORKS;
    return true;
}

void eng_model_detach(EngModel *m)
{
    if (m->backend) m->backend->free(m->backend);
    if (m->cpu) m->cpu->free(m->cpu);
    close_from(m, 0);
    eng_choice_free(m->choice); /* the backends are gone that call into plug-ins */
    eng_plan_free(m->plan);
    free(m->device_of);
    free(m->kv_at);
    free(m->far.data);
}

const EngPlan *eng_model_plan(const EngModel *model) { return model->plan; }

uint64_t eng_model_gpu_bytes(const EngModel *m, int gpu)
{
    uint64_t bytes = 0;
    if (gpu >= m->n_devices || eng_model_is_lost(m)) return 0;
    for (int kind = 0; kind < ENG_PLAN_KINDS; kind++)
        if (kind != ENG_PLAN_CACHE) bytes += planned(m->plan, (EngPlanKind)kind, gpu);
    return bytes + m->devices[gpu]->cache_bytes;
}

/* ---- failing --------------------------------------------------------------------------------- */

bool eng_model_is_lost(const EngModel *m) { return __atomic_load_n(&m->lost, __ATOMIC_ACQUIRE); }

/* Others read the reason only when they have seen `lost`. */
void eng_model_lose(EngModel *m, const EngError *why)
{
    if (eng_model_is_lost(m)) return;
    give_reason(m, why);
    __atomic_store_n(&m->lost, true, __ATOMIC_RELEASE);
}

bool eng_model_computed(EngModel *m)
{
    EngError why = {0};
    if (!m->backend->check || m->backend->check(m->backend, &why)) return true;
    eng_model_lose(m, &why);
    return false;
}

/* What it did not get yet; the caller holds the compute lock. */
static void load_rest(EngModel *m)
{
    EngError why = {0};
    while (m->n_devices && !eng_model_is_lost(m) && eng_model_load_far(m, UINT64_MAX, &why))
        continue;
    if (why.code) eng_model_lose(m, &why);
}

/* ---- caches ---------------------------------------------------------------------------------- */

static void kv_free(EngModel *m, EngKv *kv)
{
    for (int d = 0; d < m->n_devices; d++) m->devices[d]->kv_free(m->devices[d], kv);
    eng_kv_clear(kv);
}

/* Threads of all nodes read all of a cache, so its pages come from them in turn. */
static bool kv_new(EngModel *m, EngKv *kv, EngKvType type, int context, const int *at,
                   EngError *err)
{
    if (!eng_kv_init(kv, &m->graph, type, context, at, err)) return false;
    int n_nodes = eng_pool_nodes(m->pool);
    if (n_nodes > 1 && kv->data) eng_mem_prefer(kv->data, kv->bytes, m->nodes, n_nodes);
    return true;
}

bool eng_session_kv_new(EngSession *s, EngKvType type, int context, EngError *err)
{
    EngModel *m = s->model;
    eng_lock_take(m->compute);
    bool far = m->n_devices && !eng_model_is_lost(m);
    bool ok = kv_new(m, &s->kv, type, context, far ? m->kv_at : NULL, err);
    for (int d = 0; ok && far && d < m->n_devices; d++)
        ok = m->devices[d]->kv_new(m->devices[d], &s->kv, err);
    if (!ok) kv_free(m, &s->kv);
    eng_lock_give(m->compute);
    return ok;
}

void eng_session_kv_free(EngSession *s)
{
    eng_lock_take(s->model->compute);
    kv_free(s->model, &s->kv);
    eng_lock_give(s->model->compute);
}

bool eng_session_is_lost(const EngSession *s) { return s->kv.at && eng_model_is_lost(s->model); }

bool eng_session_settle(EngSession *s, EngError *err)
{
    EngModel *m = s->model;
    if (!m->n_devices) return true;
    eng_lock_take(m->compute);
    load_rest(m);
    EngKv kv;
    bool ok = true, moves = eng_session_is_lost(s);
    if (moves) ok = kv_new(m, &kv, s->kv.type, s->kv.context, NULL, err);
    if (moves && ok) {
        kv_free(m, &s->kv);
        s->kv = kv;
        s->n_past = 0;
    }
    eng_lock_give(m->compute);
    return ok;
}

/* n rows of a layer there, piece by piece. */
static bool pretend_rows(const EngKv *kv, EngDevice *device, size_t at, int width, int n,
                         uint64_t *state, EngError *err)
{
    enum { PIECE = 1024 };
    size_t row = eng_kv_part(kv->type, width);
    uint8_t *rows = eng_alloc0(PIECE * row);
    bool ok = true;
    for (int done = 0; ok && done < n; done += PIECE) {
        int now = ENG_MIN(PIECE, n - done);
        eng_kv_random(kv, rows, width, now, state);
        ok = device->kv_write(device, kv, at + (size_t)done * row, rows, (size_t)now * row, err);
    }
    free(rows);
    return ok;
}

static bool pretend_far(const EngKv *kv, EngDevice *device, int first, int n, EngError *err)
{
    uint64_t state = 0x9e3779b97f4a7c15u;
    bool ok = true;
    size_t all = kv->far_bytes[device->number];
    for (size_t at = 0; ok && at < all; at += kv->layer_bytes)
        ok = pretend_rows(kv, device, at + eng_kv_key_at(kv, first), kv->k_width, n, &state, err) &&
             (kv->v_width == 0 || pretend_rows(kv, device, at + eng_kv_value_at(kv, first),
                                               kv->v_width, n, &state, err));
    return ok;
}

bool eng_session_pretend_kv(EngSession *s, int first, int n)
{
    EngModel *m = s->model;
    EngError why = {0};
    eng_lock_take(m->compute);
    eng_kv_pretend(&s->kv, first, n);
    bool ok = true;
    for (int d = 0; ok && d < m->n_devices; d++)
        ok = pretend_far(&s->kv, m->devices[d], first, n, &why);
    if (!ok) eng_model_lose(m, &why);
    eng_lock_give(m->compute);
    return ok;
}
