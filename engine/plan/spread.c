#include "plan/spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"

enum { ANSWER = 512, STAGING = 128 << 20, FEW_TOKENS = 8, ATTENTION_PARTS = 16 };

double eng_layout_exchange(const EngLayout *layout)
{
    return eng_time_sum(&layout->prompt) + ANSWER * eng_time_sum(&layout->token);
}

void eng_layout_clear(EngLayout *layout)
{
    free(layout->spread.vram);
    free(layout->spread.disk);
    free(layout->ops);
    *layout = (EngLayout){0};
}

/* ---- ops ------------------------------------------------------------------------------------- */

static bool in_vram(const EngPlanner *p, const EngLayout *l, int part)
{
    uint64_t bytes = p->o->parts.data[part].bytes;
    return bytes > 0 && l->spread.vram[part] == bytes;
}

/* Experts that lie apart are one op: it is the GPU's when all are there. */
static bool op_in_vram(const EngPlanner *p, const EngLayout *l, size_t op)
{
    int part = p->o->op_parts[op];
    if (!in_vram(p, l, part)) return false;
    return p->o->parts.data[part].expert < 0 || l->experts == p->o->h.n_experts ||
           p->ruled[part].line > 0;
}

/* What has no weights is done where the next weights are, for it prepares their input; but experts
 * are chosen where the router is. */
static void place_ops(const EngPlanner *p, EngLayout *l)
{
    const EngGraph *g = &p->o->graph;
    EngPlace next = {ENG_PLACE_CPU, -1};
    for (size_t i = g->ops.n; i-- > 0;) {
        int part = p->o->op_parts[i];
        if (part >= 0) {
            next = (EngPlace){ENG_PLACE_CPU, -1};
            if (op_in_vram(p, l, i))
                next = (EngPlace){ENG_PLACE_GPU, 0};
            else if (p->ruled[part].line && p->ruled[part].place.kind == ENG_PLACE_CPU)
                next = p->ruled[part].place;
        }
        l->ops[i] = next;
    }
    l->kv_layers = l->spread.crossings = 0;
    bool was = false;
    for (size_t i = 0; i < g->ops.n; i++) {
        if (g->ops.data[i].kind == ENG_OP_ROUTE && i > 0) l->ops[i] = l->ops[i - 1];
        bool is = l->ops[i].kind == ENG_PLACE_GPU;
        l->spread.crossings += is != was;
        was = is;
        l->kv_layers += is && g->ops.data[i].kind == ENG_OP_ATTN;
    }
    l->spread.crossings += was; /* logits come back */
    l->spread.gpu_attention = l->kv_layers > 0;
}

/* ---- buffers --------------------------------------------------------------------------------- */

/* Of a batch: the graph's own; activations as the kernels read them, two bytes per number and
 * scales; hidden rows and results of chosen experts; parts of attention while few tokens are
 * decoded; and, to send experts, two pieces on their way. */
static uint64_t gpu_buffers(const EngOutline *o, int batch)
{
    uint64_t n = (uint64_t)batch, act = 0, experts = 0, attention = 0, sum = 0;
    for (size_t i = 0; i < o->graph.widths.n; i++) {
        bool is_logits = (int)i == o->graph.logits;
        sum += (is_logits ? ENG_MIN(n, 32) : n) * (uint64_t)o->graph.widths.data[i] * sizeof(float);
    }
    for (size_t i = 0; i < o->graph.ops.n; i++) {
        const EngOp *op = &o->graph.ops.data[i];
        if (op->kind == ENG_OP_LINEAR || op->kind == ENG_OP_HEADS)
            act = ENG_MAX(act, n * (uint64_t)op->src.heads * (uint64_t)op->src.n * 3);
        if (op->kind == ENG_OP_ATTN)
            attention = ENG_MAX(attention, (uint64_t)op->src.heads * (uint64_t)(op->attn.dv + 2) *
                                               FEW_TOKENS * ATTENTION_PARTS * sizeof(float));
        if (op->kind != ENG_OP_EXPERTS) continue;
        const EngOpExperts *e = &op->experts;
        uint64_t slot = (uint64_t)e->gate.rows * (2 * sizeof(float) + 3) +
                        (uint64_t)e->down.rows * sizeof(float);
        experts = ENG_MAX(experts, n * (uint64_t)e->n_used * slot + 2 * (uint64_t)STAGING);
    }
    return sum + act + attention + experts;
}

/* ---- filling --------------------------------------------------------------------------------- */

static void take(EngLayout *l, const EngPlanner *p, size_t part)
{
    l->spread.vram[part] = p->o->parts.data[part].bytes;
    l->vram_used += p->o->parts.data[part].bytes;
}

/* What is decided before anything is weighed up; the least of both memories. */
static void place_fixed(const EngPlanner *p, EngLayout *l)
{
    uint64_t cpu = l->cpu_buffers;
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        const EngRuled *rule = &p->ruled[i];
        bool must = part->kind == ENG_PLAN_ATTENTION || part->kind == ENG_PLAN_SHARED;
        if (rule->line ? rule->place.kind == ENG_PLACE_GPU : l->gpu && must)
            take(l, p, i);
        else if (rule->line ? rule->place.kind == ENG_PLACE_DISK : part->kind == ENG_PLAN_UNUSED)
            l->spread.disk[i] = part->bytes;
        else if (rule->line)
            cpu += part->bytes;
    }
    place_ops(p, l);
    uint64_t kv = (uint64_t)l->kv_layers * p->kv_layer;
    if (l->gpu) l->gpu_buffers = gpu_buffers(p->o, l->batch);
    l->vram_used += kv + l->gpu_buffers;
    l->least_vram = l->vram_used;
    l->least_dram = cpu + (uint64_t)p->o->graph.n_layers * p->kv_layer - kv;
}

/* Parts of a kind and layer (-1: any) that no rule has placed. */
typedef struct {
    uint64_t bytes;
    double read, products;
} Group;

static bool in_group(const EngPlanner *p, size_t i, EngPlanKind kind, int layer)
{
    const EngPlanPart *part = &p->o->parts.data[i];
    return part->kind == kind && (layer < 0 || part->layer == layer) && !p->ruled[i].line;
}

static Group group_of(const EngPlanner *p, EngPlanKind kind, int layer)
{
    Group g = {0};
    for (size_t i = 0; i < p->o->parts.n; i++) {
        if (!in_group(p, i, kind, layer)) continue;
        g.bytes += p->o->parts.data[i].bytes;
        g.read += p->o->parts.data[i].read;
        g.products += p->o->parts.data[i].products;
    }
    return g;
}

/* False when there is no room: what comes after must not be put in its place, or a little more VRAM
 * could make things slower. */
static bool fill_group(const EngPlanner *p, EngLayout *l, EngPlanKind kind, int layer)
{
    Group g = group_of(p, kind, layer);
    if (g.bytes == 0 || !eng_cost_gains(&p->m->speeds, g.read, g.products)) return true;
    if (g.bytes > p->vram - l->vram_used) return false;
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (in_group(p, i, kind, layer)) take(l, p, i);
    return true;
}

static void set_experts(const EngPlanner *p, EngLayout *l, int n)
{
    uint64_t all = (uint64_t)ENG_MAX(p->o->h.n_experts, 1);
    l->experts = n;
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        if (!in_group(p, i, ENG_PLAN_EXPERTS, -1)) continue;
        l->vram_used -= l->spread.vram[i];
        if (part->expert >= 0)
            l->spread.vram[i] = part->expert < n ? part->bytes : 0;
        else
            l->spread.vram[i] = part->bytes / all * (uint64_t)n;
        l->vram_used += l->spread.vram[i];
    }
}

/* What is in neither VRAM nor DRAM, least missed first. */
static void spill(const EngPlanner *p, EngLayout *l)
{
    static const EngPlanKind order[] = {ENG_PLAN_TABLE, ENG_PLAN_EXPERTS, ENG_PLAN_DENSE,
                                        ENG_PLAN_HEAD,  ENG_PLAN_SHARED,  ENG_PLAN_ATTENTION};
    uint64_t need = l->least_dram;
    for (size_t i = 0; i < p->o->parts.n; i++) {
        if (p->ruled[i].line || p->o->parts.data[i].kind == ENG_PLAN_UNUSED) continue;
        l->spread.disk[i] = 0;
        need += p->o->parts.data[i].bytes - l->spread.vram[i];
    }
    for (size_t k = 0; k < ENG_LEN(order); k++)
        for (size_t i = p->o->parts.n; i-- > 0 && need > p->dram;) {
            if (!in_group(p, i, order[k], -1)) continue;
            uint64_t here = p->o->parts.data[i].bytes - l->spread.vram[i];
            l->spread.disk[i] = ENG_MIN(here, need - p->dram);
            need -= l->spread.disk[i];
        }
}

static void weigh(const EngPlanner *p, EngLayout *l, int experts)
{
    set_experts(p, l, experts);
    spill(p, l);
    place_ops(p, l);
    l->token = eng_cost_token(p->o, &l->spread, &p->m->speeds, NULL);
}

/* As many as make a token quickest: hits and misses are computed at the same time. */
static void fill_experts(const EngPlanner *p, EngLayout *l, bool may)
{
    Group all = group_of(p, ENG_PLAN_EXPERTS, -1);
    int experts = p->o->h.n_experts, most = 0, best = 0;
    if (may && all.bytes > 0 && experts > 0) {
        uint64_t each = (all.bytes + (uint64_t)experts - 1) / (uint64_t)experts;
        most = (int)ENG_MIN((p->vram - l->vram_used) / each, (uint64_t)experts);
    }
    int step = ENG_MAX(most / 512, 1);
    double quickest = 0;
    for (int n = most; n >= 0; n = n > 0 && n < step ? 0 : n - step) {
        weigh(p, l, n);
        double time = eng_time_sum(&l->token);
        if (n < most && time >= quickest) continue;
        quickest = time;
        best = n;
    }
    weigh(p, l, best);
}

bool eng_layout_make(const EngPlanner *planner, bool gpu, int batch, EngLayout *ret_layout)
{
    const EngPlanner *p = planner;
    EngLayout *l = ret_layout;
    *l = (EngLayout){.gpu = gpu, .batch = batch};
    l->spread.vram = eng_alloc0((p->o->parts.n + 1) * sizeof *l->spread.vram);
    l->spread.disk = eng_alloc0((p->o->parts.n + 1) * sizeof *l->spread.disk);
    l->ops = eng_alloc0((p->o->graph.ops.n + 1) * sizeof *l->ops);
    l->cpu_buffers = p->m->cpu_bytes(&p->o->graph, batch, p->m->threads);
    place_fixed(p, l);
    if (l->least_vram > p->vram || l->least_dram > p->dram) return false;
    bool room = gpu;
    for (int i = 0; i < p->o->h.n_layers && room; i++) room = fill_group(p, l, ENG_PLAN_DENSE, i);
    room = room && fill_group(p, l, ENG_PLAN_HEAD, -1);
    fill_experts(p, l, room);
    l->prompt = eng_cost_prompt(p->o, &l->spread, &p->m->speeds, p->prompt, batch);
    return true;
}
