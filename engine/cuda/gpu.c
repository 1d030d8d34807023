#include "cuda/gpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cuda/gpu_ops.h"

/* ---- the device's calls ---------------------------------------------------------------------- */

/* [turn, the counter of hand-overs, 8 bytes of nothing][rows][out] in one copy. */
static void gpu_begin(EngDevice *device, const EngBatch *batch, uint32_t turn)
{
    EngGpu *g = (EngGpu *)device;
    eng_cuda_enter(g->cuda);
    if (g->dirty) eng_cuda_sync(g->cuda, NULL); /* a walk that was left off still reads these */
    memcpy(g->host_step, &turn, sizeof turn);
    EngCuRow *rows = (EngCuRow *)(void *)(g->host_step + 16);
    for (int i = 0; i < batch->n; i++) {
        const EngKv *kv = batch->kvs[i];
        rows[i] = (EngCuRow){.kv = kv->far[device->number],
                             .layer = kv->layer_bytes,
                             .context = kv->context,
                             .position = batch->positions[i]};
        g->kv_form = (int)kv->type;
        g->context = ENG_MAX(i ? g->context : 0, kv->context);
    }
    memcpy(g->host_step + 16 + (size_t)g->max_tokens * sizeof *rows, batch->out,
           (size_t)batch->n_out * sizeof *batch->out);
    eng_cuda_enqueue_write(g->cuda, ENG_CU_COMPUTE, g->step, g->host_step, g->step_bytes);
    if (g->table_changed) eng_gpu_send_table(g);
    eng_guests_begin(g);
    g->batch_rows = batch->n;
    g->bytes_of.buf = -1;
    g->dirty = true;
}

static void gpu_enter(EngDevice *device) { eng_cuda_enter(((EngGpu *)device)->cuda); }

static void gpu_op(EngDevice *device, int op, int rows) { eng_gpu_op((EngGpu *)device, op, rows); }

static EngCuHand hand_of(EngGpu *g, const EngHandOver *moves, int n, int rows, uint32_t *flag)
{
    uint32_t *step = (uint32_t *)(void *)g->step;
    EngCuHand hand = {.n_views = n, .rows = rows, .flag = flag, .turn = step, .done = step + 1};
    for (int i = 0; i < n; i++) {
        EngView v = moves[i].view;
        hand.near[i] = eng_gpu_view(g, v);
        hand.far[i] = (EngCuView){moves[i].host, v.heads * v.n, v.heads, v.n, v.n};
    }
    return hand;
}

static void gpu_publish(EngDevice *device, const EngHandOver *moves, int n, int rows,
                        uint32_t *flag)
{
    EngGpu *g = (EngGpu *)device;
    EngCuHand hand = hand_of(g, moves, n, rows, flag);
    eng_cuda_publish(g->cuda, &hand);
}

static void gpu_accept(EngDevice *device, const EngHandOver *moves, int n, int rows, bool add,
                       uint32_t *flag)
{
    EngGpu *g = (EngGpu *)device;
    EngCuHand hand = hand_of(g, moves, n, rows, flag);
    hand.add = add;
    for (int i = 0; i < n; i++) eng_gpu_written(g, moves[i].view.buf);
    eng_cuda_accept(g->cuda, &hand);
}

/* Results are written where the host reads them, some hundred bytes. */
static void gpu_tops(EngDevice *device, EngView view, int rows, EngTops *pinned)
{
    EngGpu *g = (EngGpu *)device;
    EngCuTopk a = {.src = eng_gpu_view(g, view),
                   .values = pinned->logits,
                   .places = pinned->tokens,
                   .row = sizeof *pinned / sizeof(float),
                   .n = ENG_TOPS,
                   .rows = rows};
    eng_cuda_topk(g->cuda, &a);
}

static bool gpu_keep_begin(EngDevice *device)
{
    return eng_cuda_capture_begin(((EngGpu *)device)->cuda);
}

/* A graph is good for one form of cache and contexts of one size. */
static EngGpuGraph *graph_of(EngGpu *g, int key)
{
    return key < ENG_GPU_GRAPHS ? &g->graphs[key] : NULL;
}

static bool gpu_keep_end(EngDevice *device, int key)
{
    EngGpu *g = (EngGpu *)device;
    EngGpuGraph *graph = graph_of(g, key);
    EngCuGraphExec *exec = eng_cuda_capture_end(g->cuda);
    if (!exec || !graph) return false;
    if (graph->exec) eng_cuda_graph_free(g->cuda, graph->exec);
    *graph = (EngGpuGraph){exec, g->kv_form, g->context};
    return true;
}

static bool gpu_replay(EngDevice *device, int key)
{
    EngGpu *g = (EngGpu *)device;
    const EngGpuGraph *graph = graph_of(g, key);
    if (!graph || !graph->exec || graph->kv_form != g->kv_form || graph->context != g->context)
        return false;
    eng_cuda_graph_launch(g->cuda, graph->exec);
    return true;
}

static bool gpu_is_guest(const EngDevice *device, int op)
{
    const EngGuests *guests = &((const EngGpu *)device)->guests;
    return guests->is && guests->is[op];
}

static uint64_t gpu_pin(EngDevice *device)
{
    EngGpu *g = (EngGpu *)device;
    eng_cuda_enter(g->cuda);
    return eng_guests_pin(g);
}

static bool gpu_failed(EngDevice *device) { return eng_cuda_failed(((EngGpu *)device)->cuda); }

static bool gpu_finish(EngDevice *device, EngError *err)
{
    EngGpu *g = (EngGpu *)device;
    g->dirty = false;
    bool ok = eng_cuda_sync(g->cuda, err);
    if (ok) eng_guests_time(g);
    return ok;
}

static void *gpu_pinned(EngDevice *device, size_t bytes, const char *what, EngError *err)
{
    EngGpu *g = (EngGpu *)device;
    return eng_cuda_alloc_host(g->cuda, bytes, what, err);
}

static void gpu_free(EngDevice *device)
{
    EngGpu *g = (EngGpu *)device;
    eng_cuda_enter(g->cuda);
    eng_cuda_close(g->cuda); /* and all that it gave */
    eng_guests_clear(&g->guests);
    free(g->buffers);
    free(g->ops);
    free(g->layer_of);
    free(g->pieces.data);
    free(g->turns.data);
    free(g->table);
    free(g);
}

/* ---- contexts -------------------------------------------------------------------------------- */

static bool gpu_kv_new(EngDevice *device, EngKv *kv, EngError *err)
{
    static const char what[] = "the context";
    EngGpu *g = (EngGpu *)device;
    void **far = &kv->far[device->number];
    bool *is_near = &kv->far_is_near[device->number];
    uint64_t bytes;
    if (!eng_mul_u64(kv->layer_bytes, (uint64_t)g->n_layers, &bytes)) bytes = SIZE_MAX;
    if (bytes == 0) return true;
    eng_cuda_enter(g->cuda);
    if (bytes <= g->contexts - ENG_MIN(g->contexts_taken, g->contexts))
        *far = eng_cuda_alloc(g->cuda, (size_t)bytes, what, NULL);
    *is_near = !*far;
    if (!*far) *far = eng_cuda_alloc_host(g->cuda, (size_t)bytes, what, err);
    if (!*far) return false;
    kv->far_bytes[device->number] = (size_t)bytes;
    if (!*is_near) g->contexts_taken += bytes;
    return true;
}

static void gpu_kv_free(EngDevice *device, EngKv *kv)
{
    EngGpu *g = (EngGpu *)device;
    int n = device->number;
    if (!kv->far[n]) return;
    eng_cuda_enter(g->cuda);
    eng_cuda_sync(g->cuda, NULL); /* a walk that was left off still reads it */
    if (kv->far_is_near[n]) {
        eng_cuda_free_host(g->cuda, kv->far[n]);
    } else {
        eng_cuda_free(g->cuda, kv->far[n]);
        g->contexts_taken -= kv->far_bytes[n];
    }
    kv->far[n] = NULL;
    kv->far_bytes[n] = 0;
}

static bool gpu_kv_write(EngDevice *device, const EngKv *kv, size_t at, const void *from,
                         size_t bytes, EngError *err)
{
    EngGpu *g = (EngGpu *)device;
    eng_cuda_enter(g->cuda);
    return eng_cuda_write(g->cuda, (uint8_t *)kv->far[device->number] + at, from, bytes, err);
}

/* ---- making ---------------------------------------------------------------------------------- */

static bool attention_fits(const EngGpu *g, const EngOpAttn *op, EngError *err)
{
    if (eng_cuda_attn_fits(eng_cuda_info(g->cuda).shared, op->dk, op->dv, g->graph->v_width == 0))
        return true;
    return eng_fail(err, ENG_ERR_REFUSED,
                    "The GPU's attention does not take keys of %d and values of %d numbers, as "
                    "this model has: leave its attention on the CPU.",
                    op->dk, op->dv);
}

/* Numbers the layers whose attention is here; refuses what kernels cannot do. */
static bool number_layers(EngGpu *g, const bool *on_device, EngError *err)
{
    for (size_t i = 0; i < g->graph->ops.n; i++) {
        const EngOp *op = &g->graph->ops.data[i];
        int experts = op->src.heads * op->src.n;
        if (!on_device[i]) continue;
        if (op->kind == ENG_OP_ROUTE && experts > ENG_CU_ROUTE_MOST)
            return eng_fail(err, ENG_ERR_REFUSED,
                            "The GPU chooses among at most %d experts, and this model has %d: use "
                            "it without the GPU.",
                            ENG_CU_ROUTE_MOST, experts);
        if (op->kind != ENG_OP_ATTN) continue;
        g->layer_of[op->attn.layer] = g->n_layers++;
        if (!attention_fits(g, &op->attn, err)) return false;
    }
    return true;
}

EngDevice *eng_gpu_new(const EngGraph *graph, const bool *on_device, int max_tokens, int max_out,
                       uint64_t contexts, EngGpuCache cache, EngGpuGuests guests, EngCuda *cuda,
                       EngError *err)
{
    EngGpu *g = eng_alloc0(sizeof *g);
    g->base = (EngDevice){.enter = gpu_enter,
                          .begin = gpu_begin,
                          .op = gpu_op,
                          .publish = gpu_publish,
                          .accept = gpu_accept,
                          .tops = gpu_tops,
                          .keep_begin = gpu_keep_begin,
                          .keep_end = gpu_keep_end,
                          .replay = gpu_replay,
                          .is_guest = gpu_is_guest,
                          .guests = eng_gpu_guests,
                          .pin = gpu_pin,
                          .failed = gpu_failed,
                          .finish = gpu_finish,
                          .pinned = gpu_pinned,
                          .next = eng_gpu_next,
                          .load = eng_gpu_load,
                          .kv_new = gpu_kv_new,
                          .kv_free = gpu_kv_free,
                          .kv_write = gpu_kv_write,
                          .caches = eng_gpu_caches,
                          .hits = gpu_op,
                          .cache_set = eng_gpu_cache_set,
                          .cache_copy = eng_gpu_cache_copy,
                          .cache_copied = eng_gpu_cache_copied,
                          .free = gpu_free};
    g->cuda = cuda;
    g->graph = graph;
    g->max_tokens = max_tokens;
    g->max_out = max_out;
    g->contexts = contexts;
    g->buffers = eng_alloc0((graph->widths.n + 1) * sizeof *g->buffers);
    g->ops = eng_alloc0((graph->ops.n + 1) * sizeof *g->ops);
    g->layer_of = eng_alloc0((size_t)(graph->n_layers + 1) * sizeof *g->layer_of);
    eng_guests_find(&g->guests, graph, on_device, guests);
    eng_cuda_enter(cuda);
    eng_gpu_fuse(g, on_device);
    if (number_layers(g, on_device, err) && eng_gpu_allocate(g, on_device, contexts, cache, err) &&
        eng_guests_open(g, err))
        return &g->base;
    gpu_free(&g->base);
    return NULL;
}
