#include "cuda/gpu.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/num.h"
#include "cuda/gpu_ops.h"

/* ---- memory ---------------------------------------------------------------------------------- */

static void *get(EngGpu *g, size_t bytes, const char *what, EngError *err)
{
    return eng_cuda_alloc(g->cuda, ENG_MAX(bytes, 16), what, err);
}

static bool upload_matrix(EngGpu *g, const EngWeight *w, EngCuWeight *ret, EngError *err)
{
    size_t mat = (size_t)w->rows * w->row_bytes;
    uint8_t *to = get(g, (size_t)w->mats * mat, "a layer's weights", err);
    if (!to) return false;
    *ret = (EngCuWeight){.data = to,
                         .row_bytes = w->row_bytes,
                         .mat_bytes = mat,
                         .cols = (int)w->cols,
                         .rows = (int)w->rows};
    for (int64_t m = 0; m < w->mats; m++)
        if (!eng_cuda_write(g->cuda, to + (size_t)m * mat, eng_weight_mat(w, m), mat, err))
            return false;
    return true;
}

static bool upload_vector(EngGpu *g, const float *x, int64_t n, const float **ret, EngError *err)
{
    if (!x) return true;
    float *to = get(g, (size_t)n * sizeof *x, "a layer's norms and biases", err);
    *ret = to;
    return to && eng_cuda_write(g->cuda, to, x, (size_t)n * sizeof *x, err);
}

static bool upload_linear(EngGpu *g, const EngOp *op, EngGpuOp *to, EngError *err)
{
    for (int i = 0; i < op->linear.n; i++)
        if (!upload_matrix(g, &op->linear.w[i], &to->w[i], err) ||
            !upload_vector(g, op->linear.bias[i], op->linear.w[i].rows, &to->vector[i], err))
            return false;
    return true;
}

static bool upload_op(EngGpu *g, int i, EngError *err)
{
    const EngOp *op = &g->graph->ops.data[i];
    EngGpuOp *to = &g->ops[i];
    switch (op->kind) {
    case ENG_OP_NORM: return upload_vector(g, op->norm.weight, op->src.n, &to->vector[0], err);
    case ENG_OP_LINEAR: return upload_linear(g, op, to, err);
    case ENG_OP_HEADS: return upload_matrix(g, &op->heads.w, &to->w[0], err);
    case ENG_OP_ROUTE:
        return upload_vector(g, op->route.bias, op->src.heads * op->src.n, &to->vector[0], err);
    case ENG_OP_EXPERTS:
        return upload_matrix(g, &op->experts.gate, &to->w[0], err) &&
               upload_matrix(g, &op->experts.up, &to->w[1], err) &&
               upload_matrix(g, &op->experts.down, &to->w[2], err);
    case ENG_OP_ATTN:
        g->layer_of[op->attn.layer] = g->n_layers++;
        return op->attn.dv <= ENG_CU_ATTN_DV ||
               eng_fail(err, ENG_ERR_REFUSED,
                        "The GPU's attention takes values of at most %d numbers, and this model's "
                        "have %d: leave its attention on the CPU.",
                        ENG_CU_ATTN_DV, op->attn.dv);
    default: return true;
    }
}

static size_t buffer_rows(const EngGpu *g, size_t buf)
{
    return (int)buf >= g->first_out ? (size_t)g->max_out : (size_t)g->max_tokens;
}

static bool get_buffers(EngGpu *g, EngError *err)
{
    for (size_t i = 0; i < g->graph->ops.n; i++)
        if (g->graph->ops.data[i].kind == ENG_OP_SELECT)
            g->first_out = g->graph->ops.data[i].dst.buf;
    for (size_t i = 0; i < g->graph->widths.n; i++) {
        size_t floats = buffer_rows(g, i) * (size_t)g->graph->widths.data[i];
        g->buffers[i] = get(g, floats * sizeof(float), "the compute buffers", err);
        if (!g->buffers[i]) return false;
    }
    return true;
}

/* The largest of what ops need beside the buffers. */
static EngGpuNeeds needs_of(const EngGpu *g, const bool *on_device)
{
    EngGpuNeeds n = {0};
    size_t t = (size_t)g->max_tokens;
    for (size_t i = 0; i < g->graph->ops.n; i++) {
        const EngOp *op = &g->graph->ops.data[i];
        if (!on_device[i]) continue;
        if (op->kind == ENG_OP_LINEAR || op->kind == ENG_OP_HEADS || op->kind == ENG_OP_EXPERTS) {
            n.act = ENG_MAX(n.act, t * (size_t)op->src.heads * (size_t)op->src.n);
            n.vectors = ENG_MAX(n.vectors, t * (size_t)op->src.heads);
        }
        if (op->kind == ENG_OP_ATTN) {
            int processors = eng_cuda_info(g->cuda).processors;
            size_t bytes = eng_cuda_attn_partial_most(processors, ENG_CU_MATVEC_TOKENS,
                                                      op->src.heads, op->attn.n_kv, op->attn.dv);
            n.partial = ENG_MAX(n.partial, bytes);
        }
        if (op->kind != ENG_OP_EXPERTS) continue;
        size_t slots = t * (size_t)op->experts.n_used, ff = (size_t)op->experts.gate.rows;
        n.slots = ENG_MAX(n.slots, slots);
        n.experts = ENG_MAX(n.experts, (size_t)op->experts.gate.mats);
        n.hidden = ENG_MAX(n.hidden, slots * ff);
        n.act = ENG_MAX(n.act, slots * ff);
        n.vectors = ENG_MAX(n.vectors, slots);
        n.sums = ENG_MAX(n.sums, slots * (size_t)op->dst.n);
    }
    return n;
}

static bool get_scratch(EngGpu *g, const EngGpuNeeds *n, EngError *err)
{
    static const char what[] = "the compute buffers";
    size_t scales = ENG_MAX(n->vectors, n->act / 16 + 2) * sizeof(float);
    g->x = get(g, n->act * sizeof(float), what, err);
    g->q = g->x ? get(g, n->act, what, err) : NULL;
    g->halves = g->q ? get(g, n->act * sizeof(uint16_t), what, err) : NULL;
    g->scale = g->halves ? get(g, scales, what, err) : NULL;
    g->half_scale = g->scale ? get(g, n->vectors * sizeof(float), what, err) : NULL;
    g->partial = g->half_scale ? get(g, n->partial, what, err) : NULL;
    g->gate = g->partial ? get(g, n->hidden * sizeof(float), what, err) : NULL;
    g->up = g->gate ? get(g, n->hidden * sizeof(float), what, err) : NULL;
    g->sums = g->up ? get(g, n->sums * sizeof(float), what, err) : NULL;
    g->slots.first = g->sums ? get(g, (n->experts + 1) * sizeof(int32_t), what, err) : NULL;
    g->slots.token = g->slots.first ? get(g, n->slots * sizeof(int32_t), what, err) : NULL;
    g->slots.slot = g->slots.token ? get(g, n->slots * sizeof(int32_t), what, err) : NULL;
    return g->slots.slot != NULL;
}

static bool get_step(EngGpu *g, EngError *err)
{
    size_t rows = (size_t)g->max_tokens * sizeof(EngCuRow), out = (size_t)g->max_out * 4;
    g->step_bytes = 16 + rows + out;
    g->step = get(g, g->step_bytes, "the positions", err);
    g->host_step = eng_cuda_alloc_host(g->cuda, g->step_bytes, "the positions", err);
    return g->step && g->host_step;
}

/* ---- the device's calls ---------------------------------------------------------------------- */

/* [turn, 12 bytes of nothing][rows][out] in one copy. */
static void gpu_begin(EngDevice *device, const EngBatch *batch, uint32_t turn)
{
    EngGpu *g = (EngGpu *)device;
    if (g->dirty) eng_cuda_sync(g->cuda, NULL); /* a walk that was left off still reads these */
    memcpy(g->host_step, &turn, sizeof turn);
    EngCuRow *rows = (EngCuRow *)(void *)(g->host_step + 16);
    for (int i = 0; i < batch->n; i++) {
        const EngKv *kv = batch->kvs[i];
        rows[i] = (EngCuRow){.kv = kv->far,
                             .layer = kv->layer_bytes,
                             .context = kv->context,
                             .position = batch->positions[i]};
        g->kv_form = (int)kv->type;
        g->context = ENG_MAX(i ? g->context : 0, kv->context);
    }
    memcpy(g->host_step + 16 + (size_t)g->max_tokens * sizeof *rows, batch->out,
           (size_t)batch->n_out * sizeof *batch->out);
    eng_cuda_enqueue_write(g->cuda, g->step, g->host_step, g->step_bytes);
    g->batch_rows = batch->n;
    g->dirty = true;
}

static void gpu_op(EngDevice *device, int op, int rows) { eng_gpu_op((EngGpu *)device, op, rows); }

static EngCuHand hand_of(EngGpu *g, const EngHandOver *moves, int n, int rows, uint32_t *flag)
{
    EngCuHand hand = {.n_views = n, .rows = rows, .flag = flag, .turn = (uint32_t *)g->step};
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
    eng_cuda_accept(g->cuda, &hand);
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

static bool gpu_failed(EngDevice *device) { return eng_cuda_failed(((EngGpu *)device)->cuda); }

static bool gpu_finish(EngDevice *device, EngError *err)
{
    EngGpu *g = (EngGpu *)device;
    g->dirty = false;
    return eng_cuda_sync(g->cuda, err);
}

static void *gpu_pinned(EngDevice *device, size_t bytes, const char *what, EngError *err)
{
    EngGpu *g = (EngGpu *)device;
    void *p = eng_cuda_alloc_host(g->cuda, bytes, what, err);
    if (p) eng_vec_push(&g->pinned, p);
    return p;
}

static void gpu_free(EngDevice *device)
{
    EngGpu *g = (EngGpu *)device;
    eng_cuda_sync(g->cuda, NULL);
    for (int i = 0; i < ENG_GPU_GRAPHS; i++)
        if (g->graphs[i].exec) eng_cuda_graph_free(g->cuda, g->graphs[i].exec);
    for (size_t i = 0; i < g->pinned.n; i++) eng_cuda_free_host(g->cuda, g->pinned.data[i]);
    eng_cuda_free_host(g->cuda, g->host_step);
    eng_cuda_close(g->cuda);
    free(g->pinned.data);
    free(g->buffers);
    free(g->ops);
    free(g->layer_of);
    free(g);
}

/* ---- making ---------------------------------------------------------------------------------- */

bool eng_gpu_kv_new(EngDevice *gpu, EngKv *kv, EngError *err)
{
    EngGpu *g = (EngGpu *)gpu;
    kv->far = get(g, kv->layer_bytes * (size_t)g->n_layers, "the context", err);
    return kv->far != NULL;
}

void eng_gpu_kv_free(EngDevice *gpu, EngKv *kv)
{
    eng_cuda_free(((EngGpu *)gpu)->cuda, kv->far);
    kv->far = NULL;
}

EngDevice *eng_gpu_new(const EngGraph *graph, const bool *on_device, int max_tokens, int max_out,
                       EngCuda *cuda, EngError *err)
{
    EngGpu *g = eng_alloc0(sizeof *g);
    g->base =
        (EngDevice){gpu_begin,  gpu_op,     gpu_publish, gpu_accept, gpu_keep_begin, gpu_keep_end,
                    gpu_replay, gpu_failed, gpu_finish,  gpu_pinned, gpu_free};
    g->cuda = cuda;
    g->graph = graph;
    g->max_tokens = max_tokens;
    g->max_out = max_out;
    g->first_out = (int)graph->widths.n;
    g->buffers = eng_alloc0((graph->widths.n + 1) * sizeof *g->buffers);
    g->ops = eng_alloc0((graph->ops.n + 1) * sizeof *g->ops);
    g->layer_of = eng_alloc0((size_t)(graph->n_layers + 1) * sizeof *g->layer_of);
    EngGpuNeeds needs = needs_of(g, on_device);
    bool ok = get_buffers(g, err) && get_scratch(g, &needs, err) && get_step(g, err);
    for (size_t i = 0; ok && i < graph->ops.n; i++) ok = !on_device[i] || upload_op(g, (int)i, err);
    if (ok) return &g->base;
    gpu_free(&g->base);
    return NULL;
}
