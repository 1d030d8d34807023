#include "model/op.h"

static void reads(EngUses *u, EngView v) { u->reads[u->n_reads++] = v; }
static void writes(EngUses *u, EngView v) { u->writes[u->n_writes++] = v; }

EngUses eng_op_uses(const EngOp *op)
{
    EngUses u = {.adds = -1};
    if (op->kind != ENG_OP_EMBED && op->kind != ENG_OP_ROPE_TABLE) reads(&u, op->src);
    switch (op->kind) {
    case ENG_OP_LINEAR:
        for (int i = 0; i < op->linear.n; i++) writes(&u, op->linear.dst[i]);
        if (op->linear.add) u.adds = op->linear.dst[0].buf;
        return u;
    case ENG_OP_ROPE: reads(&u, op->rope.table); break;
    case ENG_OP_KV:
        if (op->kv.value.buf >= 0) reads(&u, op->kv.value);
        return u;
    case ENG_OP_GLU: reads(&u, op->glu.up); break;
    case ENG_OP_ROUTE: writes(&u, op->route.weights); break;
    case ENG_OP_EXPERTS:
        reads(&u, op->experts.ids);
        reads(&u, op->experts.weights);
        if (!op->experts.set) u.adds = op->dst.buf;
        break;
    case ENG_OP_ADD: u.adds = op->dst.buf; break;
    default: break;
    }
    writes(&u, op->dst);
    return u;
}

int eng_op_weights(const EngOp *op, const EngWeight *ret[ENG_LINEAR_MAX])
{
    int n = 0;
    if (op->kind == ENG_OP_HEADS) ret[n++] = &op->heads.w;
    for (int i = 0; op->kind == ENG_OP_LINEAR && i < op->linear.n; i++) ret[n++] = &op->linear.w[i];
    if (op->kind == ENG_OP_EXPERTS) {
        ret[n++] = &op->experts.gate;
        ret[n++] = &op->experts.up;
        ret[n++] = &op->experts.down;
    }
    return n;
}
