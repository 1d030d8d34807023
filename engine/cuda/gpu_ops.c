#include "cuda/gpu_ops.h"

#include "base/num.h"

EngCuView eng_gpu_view(const EngGpu *gpu, EngView v)
{
    return (EngCuView){gpu->buffers[v.buf] + v.at, gpu->graph->widths.data[v.buf], v.heads, v.n,
                       v.stride};
}

static const EngCuRow *rows_of(const EngGpu *g) { return (const EngCuRow *)(g->step + 16); }

static const int32_t *wanted_of(const EngGpu *g)
{
    return (const int32_t *)(rows_of(g) + g->max_tokens);
}

/* Vectors side by side, `rows` of them. */
static EngCuView packed(float *data, int n) { return (EngCuView){data, n, 1, n, n}; }

/* ---- activations ----------------------------------------------------------------------------- */

static EngCuAct prepare_few(EngGpu *g, EngType type, EngCuView src, int rows)
{
    EngCuKernel kind = eng_cuda_act_of(type);
    EngCuPrepare p = {.src = src, .q = g->q, .scale = g->scale, .x = g->x, .rows = rows};
    eng_cuda_prepare(g->cuda, kind, &p);
    if (kind == ENG_CU_copy_act) return (EngCuAct){.x = g->x};
    return (EngCuAct){.q = g->q, .scale = g->scale};
}

static EngCuHalves prepare_many(EngGpu *g, EngCuView src, int rows)
{
    EngCuPrepare p = {.src = src, .half = g->halves, .scale = g->half_scale, .rows = rows};
    eng_cuda_prepare(g->cuda, ENG_CU_halve, &p);
    return (EngCuHalves){g->halves, g->half_scale};
}

/* ---- products -------------------------------------------------------------------------------- */

/* dst of matrix i of an op with one source. Matrices of one form share its activations. */
static void product_few(EngGpu *g, const EngWeight *w, const EngCuWeight *there, EngCuAct act,
                        EngCuView dst, const float *bias, bool add, int rows)
{
    EngCuMatvec a = {.w = *there, .act = act, .dst = dst, .bias = bias, .tokens = rows, .add = add};
    eng_cuda_matvec(g->cuda, w->type, &a);
}

static void product_many(EngGpu *g, const EngWeight *w, const EngCuWeight *there, EngCuHalves act,
                         EngCuView dst, const float *bias, bool add, int rows)
{
    EngCuMatmul a = {.w = *there, .act = act, .dst = dst, .bias = bias, .tokens = rows, .add = add};
    eng_cuda_matmul(g->cuda, w->type, &a);
}

static void linear(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    const EngOpLinear *p = &op->linear;
    EngCuView src = eng_gpu_view(g, op->src);
    bool few = rows <= ENG_CU_MATVEC_TOKENS;
    EngCuAct act = {0};
    EngCuHalves halves = {0};
    if (!few) halves = prepare_many(g, src, rows);
    for (int i = 0; i < p->n; i++) {
        EngCuView dst = eng_gpu_view(g, eng_view_flat(p->dst[i]));
        EngType type = p->w[i].type;
        if (!few) {
            product_many(g, &p->w[i], &there->w[i], halves, dst, there->vector[i], p->add, rows);
            continue;
        }
        if (i == 0 || eng_cuda_act_of(type) != eng_cuda_act_of(p->w[i - 1].type))
            act = prepare_few(g, type, src, rows);
        product_few(g, &p->w[i], &there->w[i], act, dst, there->vector[i], p->add, rows);
    }
}

static void heads(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    EngCuView src = eng_gpu_view(g, op->src), dst = eng_gpu_view(g, op->dst);
    const EngWeight *w = &op->heads.w;
    if (rows <= ENG_CU_MATVEC_TOKENS)
        product_few(g, w, &there->w[0], prepare_few(g, w->type, src, rows), dst, NULL, false, rows);
    else
        product_many(g, w, &there->w[0], prepare_many(g, src, rows), dst, NULL, false, rows);
}

/* ---- experts --------------------------------------------------------------------------------- */

static EngCuChosen chosen_of(const EngGpu *g, const EngOpExperts *e)
{
    EngCuView ids = eng_gpu_view(g, e->ids), weights = eng_gpu_view(g, e->weights);
    return (EngCuChosen){(const int32_t *)(const void *)ids.data, weights.data, ids.row,
                         weights.row, e->n_used};
}

static void glu(EngGpu *g, EngCuView gate, EngCuView up, EngCuView dst, int rows)
{
    EngCuElem a = {.src = gate, .dst = dst, .other = up, .rows = rows};
    eng_cuda_glu(g->cuda, &a);
}

static void experts_few(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    const EngOpExperts *e = &op->experts;
    EngCuView src = eng_gpu_view(g, op->src), dst = eng_gpu_view(g, op->dst);
    int ff = (int)e->gate.rows, width = ff * e->n_used;
    EngCuView gate = {g->gate, width, e->n_used, ff, ff}, up = {g->up, width, e->n_used, ff, ff};
    EngCuExperts a = {.chosen = chosen_of(g, e), .tokens = rows, .set = e->set};
    a.act = prepare_few(g, e->gate.type, src, rows);
    a.w = there->w[0], a.dst = gate;
    eng_cuda_experts_up(g->cuda, e->gate.type, &a);
    if (eng_cuda_act_of(e->up.type) != eng_cuda_act_of(e->gate.type))
        a.act = prepare_few(g, e->up.type, src, rows);
    a.w = there->w[1], a.dst = up;
    eng_cuda_experts_up(g->cuda, e->up.type, &a);
    glu(g, gate, up, gate, rows);
    a.act = prepare_few(g, e->down.type, gate, rows);
    a.w = there->w[2], a.dst = dst;
    eng_cuda_experts_down(g->cuda, e->down.type, &a);
}

static void experts_many(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    const EngOpExperts *e = &op->experts;
    int ff = (int)e->gate.rows, most = rows * e->n_used;
    EngCuMoe moe = {.chosen = chosen_of(g, e), .slots = g->slots, .tokens = rows, .set = e->set};
    moe.slots.experts = (int)e->gate.mats;
    eng_cuda_moe_group(g->cuda, &moe);
    EngCuMatmulExperts a = {.slots = moe.slots, .most = most, .gather = true};
    a.act = prepare_many(g, eng_gpu_view(g, op->src), rows);
    a.w = there->w[0], a.dst = g->gate;
    eng_cuda_matmul_experts(g->cuda, e->gate.type, &a);
    a.w = there->w[1], a.dst = g->up;
    eng_cuda_matmul_experts(g->cuda, e->up.type, &a);
    EngCuView gate = packed(g->gate, ff);
    glu(g, gate, packed(g->up, ff), gate, most);
    a.act = prepare_many(g, gate, most);
    a.w = there->w[2], a.dst = g->sums, a.gather = false;
    eng_cuda_matmul_experts(g->cuda, e->down.type, &a);
    moe.src = g->sums;
    moe.dst = eng_gpu_view(g, op->dst);
    eng_cuda_moe_combine(g->cuda, &moe);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void attention(EngGpu *g, const EngOp *op, int rows)
{
    const EngOpAttn *p = &op->attn;
    EngCuAttn a = {.q = eng_gpu_view(g, op->src),
                   .dst = eng_gpu_view(g, op->dst),
                   .tokens = rows_of(g),
                   .partial = g->partial,
                   .layer = g->layer_of[p->layer],
                   .n_kv = p->n_kv,
                   .dk = p->dk,
                   .dv = p->dv,
                   .k_width = g->graph->k_width,
                   .v_width = g->graph->v_width,
                   .scale = p->scale,
                   .rows = rows};
    bool many = rows > ENG_CU_MATVEC_TOKENS;
    a.parts = many ? 1
                   : eng_cuda_attn_parts(eng_cuda_info(g->cuda).processors, rows, op->src.heads,
                                         p->n_kv, g->context);
    eng_cuda_attn(g->cuda, g->kv_form, &a, many);
}

static void store(EngGpu *g, const EngOp *op, int rows)
{
    EngCuKvStore a = {.key = eng_gpu_view(g, op->src),
                      .tokens = rows_of(g),
                      .layer = g->layer_of[op->kv.layer],
                      .rows = rows};
    if (op->kv.value.buf >= 0) a.value = eng_gpu_view(g, op->kv.value);
    eng_cuda_kv_store(g->cuda, g->kv_form, &a);
}

static void route(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    const EngOpRoute *p = &op->route;
    EngCuRoute a = {.logits = eng_gpu_view(g, op->src),
                    .ids = eng_gpu_view(g, op->dst),
                    .weights = eng_gpu_view(g, p->weights),
                    .bias = there->vector[0],
                    .n_used = p->n_used,
                    .n_groups = p->n_groups,
                    .n_groups_used = p->n_groups_used,
                    .sigmoid = p->gate == ENG_GATE_SIGMOID,
                    .group_top2 = p->group_top2,
                    .norm = p->norm,
                    .by_weight = p->by_weight,
                    .scale = p->scale,
                    .rows = rows};
    eng_cuda_route(g->cuda, &a);
}

static void element(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    EngCuElem a = {.src = eng_gpu_view(g, op->src), .dst = eng_gpu_view(g, op->dst), .rows = rows};
    switch (op->kind) {
    case ENG_OP_NORM:
        a.weight = there->vector[0];
        a.eps = op->norm.eps;
        eng_cuda_norm(g->cuda, &a);
        break;
    case ENG_OP_ROPE:
        a.other = eng_gpu_view(g, op->rope.table);
        a.dims = op->rope.dims;
        a.neox = op->rope.neox;
        eng_cuda_rope(g->cuda, &a);
        break;
    case ENG_OP_GLU:
        a.other = eng_gpu_view(g, op->glu.up);
        eng_cuda_glu(g->cuda, &a);
        break;
    case ENG_OP_ADD: eng_cuda_add(g->cuda, &a); break;
    default: /* SELECT */ a.out = wanted_of(g); eng_cuda_select(g->cuda, &a);
    }
}

void eng_gpu_op(EngGpu *gpu, int i, int rows)
{
    const EngOp *op = &gpu->graph->ops.data[i];
    const EngGpuOp *there = &gpu->ops[i];
    if (rows == 0) return;
    switch (op->kind) {
    case ENG_OP_LINEAR: linear(gpu, op, there, rows); break;
    case ENG_OP_HEADS: heads(gpu, op, there, rows); break;
    case ENG_OP_KV: store(gpu, op, rows); break;
    case ENG_OP_ATTN: attention(gpu, op, rows); break;
    case ENG_OP_ROUTE: route(gpu, op, there, rows); break;
    case ENG_OP_EXPERTS:
        if (rows <= ENG_CU_MATVEC_TOKENS)
            experts_few(gpu, op, there, rows);
        else
            experts_many(gpu, op, there, rows);
        break;
    default: element(gpu, op, there, rows);
    }
}
