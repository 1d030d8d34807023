#include "model/graph.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"

void eng_graph_clear(EngGraph *graph)
{
    free(graph->ops.data);
    free(graph->widths.data);
    *graph = (EngGraph){0};
}

EngView eng_graph_buffer(EngGraph *graph, int heads, int n)
{
    eng_vec_push(&graph->widths, heads * n);
    return (EngView){(int)graph->widths.n - 1, 0, heads, n, n};
}

EngView eng_view_part(EngView view, int from, int n)
{
    assert(from >= 0 && from + n <= view.n);
    view.at += from;
    view.n = n;
    return view;
}

EngView eng_view_flat(EngView view)
{
    assert(view.heads == 1 || view.n == view.stride);
    return (EngView){view.buf, view.at, 1, view.heads * view.n, view.heads * view.n};
}

static EngOp *append(EngGraph *g, EngOpKind kind, EngView dst, EngView src)
{
    EngOp op = {.kind = kind, .dst = dst, .src = src};
    eng_vec_push(&g->ops, op);
    return &g->ops.data[g->ops.n - 1];
}

void eng_graph_embed(EngGraph *g, EngView dst, EngWeight table)
{
    append(g, ENG_OP_EMBED, dst, dst)->embed.table = table;
}

void eng_graph_rope_table(EngGraph *g, EngView dst, const float *freq, float mscale)
{
    append(g, ENG_OP_ROPE_TABLE, dst, dst)->rope_table = (EngOpRopeTable){freq, mscale};
}

void eng_graph_norm(EngGraph *g, EngView dst, EngView src, const float *weight, float eps)
{
    append(g, ENG_OP_NORM, dst, src)->norm = (EngOpNorm){weight, eps};
}

static bool same_view(EngView a, EngView b)
{
    return a.buf == b.buf && a.at == b.at && a.heads == b.heads && a.n == b.n &&
           a.stride == b.stride;
}

void eng_graph_linear(EngGraph *g, EngView dst, EngView src, EngWeight w, const float *bias,
                      bool add)
{
    if (!w.data) return;
    assert(w.cols == src.n && src.heads == 1);
    EngOp *op = g->ops.n ? &g->ops.data[g->ops.n - 1] : NULL;
    bool join = op && op->kind == ENG_OP_LINEAR && op->linear.n < ENG_LINEAR_MAX &&
                same_view(op->src, src) && op->linear.add == add;
    for (int i = 0; join && i < op->linear.n; i++) /* two results into one place need an order */
        if (op->linear.dst[i].buf == dst.buf && op->linear.dst[i].at == dst.at) join = false;
    if (!join) {
        op = append(g, ENG_OP_LINEAR, dst, src);
        op->linear.n = 0;
        op->linear.add = add;
    }
    int i = op->linear.n++;
    op->linear.dst[i] = dst;
    op->linear.w[i] = w;
    op->linear.bias[i] = bias;
}

void eng_graph_heads(EngGraph *g, EngView dst, EngView src, EngWeight w)
{
    if (!w.data) return;
    assert(w.cols == src.n && w.rows == dst.n && w.mats == src.heads && src.heads == dst.heads);
    append(g, ENG_OP_HEADS, dst, src)->heads.w = w;
}

void eng_graph_rope(EngGraph *g, EngView dst, EngView src, EngView table, int dims, bool neox)
{
    assert(dims <= src.n && src.n == dst.n && src.heads == dst.heads);
    append(g, ENG_OP_ROPE, dst, src)->rope = (EngOpRope){table, dims, neox};
}

void eng_graph_kv(EngGraph *g, int layer, EngView key, const EngView *value)
{
    EngView none = {.buf = -1};
    append(g, ENG_OP_KV, key, key)->kv = (EngOpKv){layer, value ? *value : none};
}

void eng_graph_attn(EngGraph *g, EngView dst, EngView q, EngOpAttn attn)
{
    assert(q.n == attn.dk && dst.n == attn.dv && q.heads % attn.n_kv == 0);
    append(g, ENG_OP_ATTN, dst, q)->attn = attn;
}

void eng_graph_glu(EngGraph *g, EngView dst, EngView gate, EngView up)
{
    append(g, ENG_OP_GLU, dst, gate)->glu.up = up;
}

void eng_graph_route(EngGraph *g, EngView ids, EngView logits, EngOpRoute route)
{
    append(g, ENG_OP_ROUTE, ids, logits)->route = route;
}

void eng_graph_experts(EngGraph *g, EngView dst, EngView src, EngOpExperts experts)
{
    append(g, ENG_OP_EXPERTS, dst, src)->experts = experts;
}

void eng_graph_add(EngGraph *g, EngView dst, EngView src) { append(g, ENG_OP_ADD, dst, src); }

void eng_graph_select(EngGraph *g, EngView dst, EngView src) { append(g, ENG_OP_SELECT, dst, src); }

int eng_graph_router(const EngGraph *graph, int op)
{
    int ids = graph->ops.data[op].experts.ids.buf;
    while (--op >= 0)
        if (graph->ops.data[op].kind == ENG_OP_ROUTE && graph->ops.data[op].dst.buf == ids) break;
    return op;
}

bool eng_graph_continues(const EngGraph *graph, int op)
{
    const EngOp *p = &graph->ops.data[op];
    if (op == 0 || p->kind != ENG_OP_EXPERTS || p[-1].kind != ENG_OP_EXPERTS) return false;
    const EngOpExperts *e = &p->experts, *before = &p[-1].experts;
    return e->ids.buf == before->ids.buf && e->ids.at == before->ids.at + before->n_used &&
           e->weights.buf == before->weights.buf &&
           e->weights.at == before->weights.at + before->n_used &&
           eng_weight_mat(&e->gate, 0) == eng_weight_mat(&before->gate, 0);
}

int eng_graph_cut(const EngGraph *graph, int op)
{
    const EngOp *ops = graph->ops.data;
    int n = (int)graph->ops.n;
    while (op > 0 && op < n && (ops[op].kind == ENG_OP_ATTN || ops[op - 1].kind == ENG_OP_ATTN))
        op++;
    return ENG_MIN(op, n);
}

uint64_t eng_graph_attention_products(const EngGraph *graph)
{
    uint64_t n = 0;
    for (size_t i = 0; i < graph->ops.n; i++) {
        const EngOp *op = &graph->ops.data[i];
        if (op->kind == ENG_OP_ATTN)
            n += (uint64_t)op->src.heads * (uint64_t)(op->attn.dk + op->attn.dv);
    }
    return n;
}

uint64_t eng_graph_expanded_products(const EngGraph *graph, uint64_t *ret_position)
{
    uint64_t n = 0;
    *ret_position = 0;
    for (size_t i = 0; i < graph->ops.n; i++) {
        const EngOp *op = &graph->ops.data[i];
        if (op->kind != ENG_OP_ATTN) continue;
        uint64_t heads = (uint64_t)op->src.heads, dk = (uint64_t)op->attn.dk,
                 dv = (uint64_t)op->attn.dv;
        if (op->attn.absorbed) { /* rank + rope and rank become nope + rope and the value */
            uint64_t rank = dv, nope = (uint64_t)op[-1].src.n, value = (uint64_t)op[1].dst.n;
            *ret_position += heads * rank * (nope + value);
            dk = dk - rank + nope;
            dv = value;
        }
        n += heads * (dk + dv);
    }
    return n;
}
