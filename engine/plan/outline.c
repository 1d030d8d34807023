#include "plan/outline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

/* Not NULL, which means absent; and apart from each other, so that a weight's address tells whose
 * it is. */
enum { FIRST_ADDRESS = 1 << 20, ALIGN = 64 };

static const char *const kind_names[ENG_PLAN_KINDS] = {
    "KV cache", "buffers", "attention",    "shared experts", "dense layers",
    "head",     "experts", "expert cache", "token table",    "unused"};

const char *eng_plan_kind_name(EngPlanKind kind) { return kind_names[kind]; }

/* What the binder asks for by these names (model/arch.c). */
static EngPlanPart classify(const EngOutline *o, const EngTensor *t, bool tied)
{
    EngPlanPart p = {.name = t->name,
                     .kind = ENG_PLAN_ATTENTION,
                     .layer = -1,
                     .expert = -1,
                     .type = ENG_TYPE_COUNT};
    char what[16];
    p.bytes = t->bytes;
    if (sscanf(t->name, "blk.%d.", &p.layer) == 1) {
        if (p.layer >= o->h.n_layers)
            p.kind = ENG_PLAN_UNUSED;
        else if (strstr(t->name, "_exps."))
            p.kind = ENG_PLAN_EXPERTS;
        else if (sscanf(t->name, "blk.%*d.ffn_%15[a-z].%d.weight", what, &p.expert) == 2)
            p.kind = ENG_PLAN_EXPERTS;
        else if (strstr(t->name, "_shexp."))
            p.kind = ENG_PLAN_SHARED;
        else if (strstr(t->name, ".ffn_gate.") || strstr(t->name, ".ffn_up.") ||
                 strstr(t->name, ".ffn_down."))
            p.kind = ENG_PLAN_DENSE;
        return p;
    }
    if (strcmp(t->name, "token_embd.weight") == 0) p.kind = tied ? ENG_PLAN_HEAD : ENG_PLAN_TABLE;
    if (strncmp(t->name, "output", 6) == 0) p.kind = ENG_PLAN_HEAD;
    return p;
}

int eng_outline_part(const EngOutline *outline, const void *address)
{
    const EngOutline *o = outline;
    uintptr_t at = (uintptr_t)address;
    size_t lo = 0, hi = o->parts.n; /* the last part that begins at or before `at` */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (o->parts.data[mid].address <= at)
            lo = mid;
        else
            hi = mid;
    }
    const EngPlanPart *p = &o->parts.data[lo];
    return at >= p->address && at - p->address < ENG_MAX(p->bytes, 1) ? (int)lo : -1;
}

static const void *first_data(const EngWeight *w) { return w->mat_data ? w->mat_data[0] : w->data; }

int eng_outline_op(const EngOutline *outline, size_t op, int ret_parts[ENG_LINEAR_MAX])
{
    const EngWeight *w[ENG_LINEAR_MAX];
    int n = eng_op_weights(&outline->graph.ops.data[op], w);
    for (int i = 0; i < n; i++) ret_parts[i] = eng_outline_part(outline, first_data(w[i]));
    return n;
}

/* Derived weights come in the order of their addresses, behind those of the tensors. */
static int part_of(EngOutline *o, const void *address, const EngWeight *w)
{
    int at = eng_outline_part(o, address);
    if (at >= 0) return at;
    EngPlanPart p = {.name = "",
                     .kind = ENG_PLAN_ATTENTION,
                     .layer = -1,
                     .expert = -1,
                     .bytes = (uint64_t)w->mats * w->mat_bytes,
                     .address = (uintptr_t)address};
    eng_vec_push(&o->parts, p);
    return (int)o->parts.n - 1;
}

static void walk_weight(EngOutline *o, const EngWeight *w, int layer)
{
    int64_t apart = w->mat_data ? w->mats : 1, mats = w->mats / apart;
    for (int64_t i = 0; i < apart; i++) {
        const void *data = w->mat_data ? (const void *)w->mat_data[i] : w->data;
        int part = part_of(o, data, w); /* may move them all */
        EngPlanPart *p = &o->parts.data[part];
        p->type = w->type;
        p->read += (double)mats * (double)w->rows * (double)w->row_bytes;
        p->products += (double)mats * (double)w->rows * (double)w->cols;
        if (p->layer < 0 && !*p->name) p->layer = layer;
    }
}

static void walk(EngOutline *o)
{
    int layer = 0;
    o->op_parts = eng_alloc0((o->graph.ops.n + 1) * sizeof *o->op_parts);
    for (size_t i = 0; i < o->graph.ops.n; i++) {
        const EngOp *op = &o->graph.ops.data[i];
        const EngWeight *w[ENG_LINEAR_MAX];
        if (op->kind == ENG_OP_KV) layer = op->kv.layer;
        int n = eng_op_weights(op, w);
        bool again = op->kind == ENG_OP_EXPERTS && op->experts.set; /* those of the op before */
        for (int j = 0; j < n && !again; j++) walk_weight(o, w[j], layer);
        if (op->kind == ENG_OP_EMBED)
            o->op_parts[i] = eng_outline_part(o, op->embed.table.data);
        else
            o->op_parts[i] = n ? eng_outline_part(o, first_data(w[0])) : -1;
    }
    for (size_t i = 0; i < o->parts.n; i++) o->bytes += o->parts.data[i].bytes;
    o->attention_products = eng_graph_attention_products(&o->graph);
    o->expanded_products = eng_graph_expanded_products(&o->graph, &o->position_products);
}

/* The tensors with addresses of their own; *ret_end: behind the last. */
static EngTensor *addressed(EngOutline *o, const EngGguf *gguf, uintptr_t *ret_end)
{
    EngTensor *tensors = eng_arena_alloc(&o->arena, (gguf->n_tensors + 1) * sizeof *tensors);
    uintptr_t at = FIRST_ADDRESS;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        tensors[i] = gguf->tensors[i];
        tensors[i].data = (const uint8_t *)at;
        at += (uintptr_t)eng_align_up(tensors[i].bytes, ALIGN) + ALIGN;
    }
    *ret_end = at;
    return tensors;
}

EngOutline *eng_outline_new(const EngGguf *gguf, int experts, int defer, EngError *err)
{
    EngOutline *o = eng_alloc0(sizeof *o);
    EngGguf view = *gguf;
    EngBuild build = {
        .g = &o->graph, .arena = &o->arena, .experts = experts, .defer = defer, .err = err};
    o->defer = defer;
    view.tensors = addressed(o, gguf, &build.outline);
    bool ok = eng_arch_build(&build, &view);
    o->h = build.h;
    if (!ok) {
        eng_outline_free(o);
        return NULL;
    }
    bool tied = eng_gguf_tensor(gguf, "output.weight") == NULL;
    for (size_t i = 0; i < gguf->n_tensors; i++) {
        EngPlanPart p = classify(o, &gguf->tensors[i], tied);
        p.address = (uintptr_t)view.tensors[i].data;
        eng_vec_push(&o->parts, p);
    }
    walk(o);
    return o;
}

void eng_outline_free(EngOutline *outline)
{
    if (!outline) return;
    eng_graph_clear(&outline->graph);
    eng_arena_clear(&outline->arena);
    free(outline->parts.data);
    free(outline->op_parts);
    free(outline);
}
