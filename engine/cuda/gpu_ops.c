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

/* Floats that lie as products read them need no copy. */
static bool is_packed(EngCuView src, int rows)
{
    int all = src.heads * src.n;
    return (src.heads == 1 || src.stride == src.n) && (rows == 1 || src.row == all) &&
           ((uintptr_t)src.data & 15) == 0 && src.n % 4 == 0;
}

/* Of rows that are no buffer of the graph: `of` NULL. */
static EngCuAct prepare_few(EngGpu *g, EngType type, EngCuView src, const EngView *of, int rows)
{
    EngCuKernel kind = eng_cuda_act_of(type);
    EngCuPrepare p = {.src = src, .q = g->q, .scale = g->scale, .x = g->x, .rows = rows};
    if (kind == ENG_CU_copy_act) {
        if (is_packed(src, rows)) return (EngCuAct){.x = src.data};
        eng_cuda_prepare(g->cuda, kind, &p);
        return (EngCuAct){.x = g->x};
    }
    bool there = of && g->bytes_rows == rows && eng_gpu_same_numbers(g->bytes_of, *of);
    if (!there) eng_cuda_prepare(g->cuda, kind, &p);
    g->bytes_rows = rows;
    if (of) g->bytes_of = *of;
    if (!of) g->bytes_of.buf = -1;
    return (EngCuAct){.q = g->q, .scale = g->scale};
}

static EngCuHalves prepare_many(EngGpu *g, EngCuView src, int rows)
{
    EngCuPrepare p = {.src = src, .half = g->halves, .scale = g->half_scale, .rows = rows};
    eng_cuda_prepare(g->cuda, ENG_CU_halve, &p);
    return (EngCuHalves){g->halves, g->half_scale};
}

/* ---- products -------------------------------------------------------------------------------- */

static void product_many(EngGpu *g, const EngWeight *w, const EngCuWeight *there, EngCuHalves act,
                         EngCuView dst, const float *bias, bool add, int rows)
{
    EngCuMatmul a = {.w = *there, .act = act, .dst = dst, .bias = bias, .tokens = rows, .add = add};
    eng_cuda_matmul(g->cuda, w->type, &a);
}

/* Matrices `i` … of an op that one launch can do; returns the one behind. */
static int linear_few(EngGpu *g, const EngOp *op, const EngGpuOp *there, int i, int rows)
{
    const EngOpLinear *p = &op->linear;
    EngType type = p->w[i].type;
    EngCuMatvec a = {.tokens = rows, .add = p->add};
    a.act = prepare_few(g, type, eng_gpu_view(g, op->src), &op->src, rows);
    a.w = there->w[i], a.bias = there->vector[i];
    a.dst = eng_gpu_view(g, eng_view_flat(p->dst[i]));
    for (i++; i < p->n && p->w[i].type == type; i++) {
        if (rows == 1 && there->gate == i) break;
        EngCuView dst = eng_gpu_view(g, eng_view_flat(p->dst[i]));
        a.more[a.n_more++] = (EngCuProduct){there->w[i], dst, there->vector[i]};
    }
    eng_cuda_matvec(g->cuda, type, &a);
    return i;
}

static void linear(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    const EngOpLinear *p = &op->linear;
    if (rows <= ENG_CU_MATVEC_TOKENS) {
        for (int i = 0; i < p->n;)
            i = rows == 1 && there->gate == i ? i + 2 : linear_few(g, op, there, i, rows);
        return;
    }
    EngCuHalves halves = prepare_many(g, eng_gpu_view(g, op->src), rows);
    for (int i = 0; i < p->n; i++)
        product_many(g, &p->w[i], &there->w[i], halves, eng_gpu_view(g, eng_view_flat(p->dst[i])),
                     there->vector[i], p->add, rows);
}

/* GLU with the two matrices that were left to it. */
static void gated(EngGpu *g, const EngOp *glu, const EngGpuOp *there)
{
    const EngOp *op = &g->graph->ops.data[there->gates];
    const EngGpuOp *linear = &g->ops[there->gates];
    EngType type = op->linear.w[linear->gate].type;
    EngCuExperts a = {.tokens = 1, .chosen = {.n_used = 1}};
    a.w = linear->w[linear->gate], a.up = linear->w[linear->gate + 1];
    a.act = prepare_few(g, type, eng_gpu_view(g, op->src), &op->src, 1);
    a.dst = eng_gpu_view(g, eng_view_flat(glu->dst));
    eng_cuda_experts_up(g->cuda, type, &a);
}

static void heads(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    EngCuView src = eng_gpu_view(g, op->src), dst = eng_gpu_view(g, op->dst);
    const EngWeight *w = &op->heads.w;
    if (rows > ENG_CU_MATVEC_TOKENS) {
        product_many(g, w, &there->w[0], prepare_many(g, src, rows), dst, NULL, false, rows);
        return;
    }
    EngCuMatvec a = {.w = there->w[0], .dst = dst, .tokens = rows};
    a.act = prepare_few(g, w->type, src, &op->src, rows);
    eng_cuda_matvec(g->cuda, w->type, &a);
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
    a.act = prepare_few(g, e->gate.type, src, &op->src, rows);
    a.w = there->w[0], a.dst = gate;
    if (e->up.type == e->gate.type) {
        a.up = there->w[1];
        eng_cuda_experts_up(g->cuda, e->gate.type, &a);
        a.up.rows = 0;
    } else {
        eng_cuda_experts_up(g->cuda, e->gate.type, &a);
        a.act = prepare_few(g, e->up.type, src, &op->src, rows);
        a.w = there->w[1], a.dst = up;
        eng_cuda_experts_up(g->cuda, e->up.type, &a);
        glu(g, gate, up, gate, rows);
    }
    a.act = prepare_few(g, e->down.type, gate, NULL, rows);
    a.w = there->w[2], a.dst = dst;
    eng_cuda_experts_down(g->cuda, e->down.type, &a);
}

/* n matrices of an op's experts, from `first` of gate, up and down on. */
static void products_many(EngGpu *g, int op, int first, int n, EngCuMatmulExperts a,
                          const bool *used)
{
    const EngOpExperts *e = &g->graph->ops.data[op].experts;
    const EngType types[] = {e->gate.type, e->up.type, e->down.type};
    float *const dst[] = {g->gate, g->up, g->sums};
    if (g->guests.is && g->guests.is[op]) {
        eng_guests_multiply(g, op, first, n, a, dst + first, used);
        return;
    }
    for (int j = first; j < first + n; j++) {
        a.w = g->ops[op].w[j], a.dst = dst[j];
        eng_cuda_matmul_experts(g->cuda, types[j], &a);
    }
}

/* The sums of n ops. */
static void combine(EngGpu *g, const EngOp *ops, int n, const EngCuMoe *all)
{
    EngCuMoe moe = *all;
    moe.src = g->sums;
    for (int i = 0; i < n; i++) {
        moe.chosen = chosen_of(g, &ops[i].experts);
        moe.dst = eng_gpu_view(g, ops[i].dst);
        moe.set = ops[i].experts.set;
        eng_cuda_moe_combine(g->cuda, &moe);
        moe.slots.slot += ops[i].experts.n_used;
    }
}

/* Of n ops with the same experts; used: see EngDevice.guests. */
static void experts_many(EngGpu *g, int i, int n, int rows, const bool *used)
{
    const EngOp *op = &g->graph->ops.data[i];
    const EngOpExperts *e = &op->experts;
    EngCuMoe moe = {.chosen = chosen_of(g, e), .slots = g->slots, .tokens = rows};
    for (int k = 1; k < n; k++) moe.chosen.n_used += op[k].experts.n_used;
    int ff = (int)e->gate.rows, most = rows * moe.chosen.n_used;
    moe.slot_row = moe.chosen.n_used;
    moe.slots.experts = (int)e->gate.mats;
    eng_cuda_moe_group(g->cuda, &moe);
    EngCuMatmulExperts a = {.slots = moe.slots, .most = most, .gather = true};
    a.act = prepare_many(g, eng_gpu_view(g, op->src), rows);
    products_many(g, i, 0, 2, a, used);
    EngCuView gate = packed(g->gate, ff);
    glu(g, gate, packed(g->up, ff), gate, most);
    a.act = prepare_many(g, gate, most);
    a.gather = false;
    products_many(g, i, 2, 1, a, used);
    combine(g, op, n, &moe);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void attention(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
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
    bool leaves = there->leaves_bytes && !many;
    if (leaves) a.out_q = g->q, a.out_scale = g->scale;
    eng_cuda_attn(g->cuda, g->kv_form, &a, many);
    if (leaves) g->bytes_of = op->dst, g->bytes_rows = rows;
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

static void turn(EngGpu *g, const EngGpuTurn *t, int rows)
{
    EngCuTurn a = {.n_jobs = t->n_jobs, .rows = rows};
    if (t->table) a.table = eng_gpu_view(g, t->table->rope.table);
    for (int k = 0; k < t->n_jobs; k++) {
        const EngGpuTurnJob *from = &t->jobs[k];
        EngCuTurnJob *job = &a.jobs[k];
        job->src = eng_gpu_view(g, from->src), job->dst = eng_gpu_view(g, from->dst);
        if (from->norm) {
            job->normed = true;
            job->weight = g->ops[from->norm].vector[0];
            job->eps = t->ops[from->norm].norm.eps;
        }
        if (from->rope) job->dims = from->rope->rope.dims, job->neox = from->rope->rope.neox;
    }
    eng_cuda_turn(g->cuda, &a);
}

static void norm(EngGpu *g, const EngOp *op, const EngGpuOp *there, EngCuElem *a)
{
    a->weight = there->vector[0];
    a->eps = op->norm.eps;
    bool leaves = there->leaves_bytes && a->rows <= ENG_CU_MATVEC_TOKENS;
    if (leaves) a->q = g->q, a->q_scale = g->scale;
    eng_cuda_norm(g->cuda, a);
    if (leaves) g->bytes_of = op->dst, g->bytes_rows = a->rows;
}

static void element(EngGpu *g, const EngOp *op, const EngGpuOp *there, int rows)
{
    EngCuElem a = {.src = eng_gpu_view(g, op->src), .dst = eng_gpu_view(g, op->dst), .rows = rows};
    switch (op->kind) {
    case ENG_OP_NORM: norm(g, op, there, &a); break;
    case ENG_OP_ROPE:
        a.other = eng_gpu_view(g, op->rope.table);
        a.dims = op->rope.dims;
        a.neox = op->rope.neox;
        eng_cuda_rope(g->cuda, &a);
        break;
    case ENG_OP_GLU:
        if (rows == 1 && there->gates >= 0) {
            gated(g, op, there);
            break;
        }
        a.other = eng_gpu_view(g, op->glu.up);
        eng_cuda_glu(g->cuda, &a);
        break;
    case ENG_OP_ADD: eng_cuda_add(g->cuda, &a); break;
    default: /* SELECT */ a.out = wanted_of(g); eng_cuda_select(g->cuda, &a);
    }
}

static void forget_written(EngGpu *g, const EngOp *op, bool leaves)
{
    EngUses u = eng_op_uses(op);
    for (int i = 0; i < u.n_writes && !leaves; i++) eng_gpu_written(g, u.writes[i].buf);
}

void eng_gpu_guests(EngDevice *device, int op, int n, int rows, const bool *used)
{
    EngGpu *g = (EngGpu *)device;
    if (rows > 0) experts_many(g, op, n, rows, used);
    for (int i = op; i < op + n; i++) forget_written(g, &g->graph->ops.data[i], false);
}

void eng_gpu_op(EngGpu *gpu, int i, int rows)
{
    const EngOp *op = &gpu->graph->ops.data[i];
    const EngGpuOp *there = &gpu->ops[i];
    bool few = rows <= ENG_CU_MATVEC_TOKENS;
    if (rows == 0 || (few && there->is_left)) return;
    forget_written(gpu, op, few && there->leaves_bytes);
    if (few && there->turn >= 0) {
        turn(gpu, &gpu->turns.data[there->turn], rows);
        return;
    }
    switch (op->kind) {
    case ENG_OP_LINEAR: linear(gpu, op, there, rows); break;
    case ENG_OP_HEADS: heads(gpu, op, there, rows); break;
    case ENG_OP_KV: store(gpu, op, rows); break;
    case ENG_OP_ATTN: attention(gpu, op, there, rows); break;
    case ENG_OP_ROUTE: route(gpu, op, there, rows); break;
    case ENG_OP_EXPERTS:
        if (few)
            experts_few(gpu, op, there, rows);
        else
            experts_many(gpu, i, 1, rows, NULL);
        break;
    default: element(gpu, op, there, rows);
    }
}
