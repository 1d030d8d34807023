#include "plan/spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"

enum { ANSWER = 512 };

double eng_layout_exchange(const EngLayout *layout)
{
    return eng_time_sum(&layout->prompt) + ANSWER * eng_time_sum(&layout->token);
}

void eng_layout_clear(EngLayout *layout)
{
    free(layout->spread.vram);
    free(layout->spread.disk);
    free(layout->ops);
    free(layout->on_gpu);
    *layout = (EngLayout){0};
}

/* ---- ops ------------------------------------------------------------------------------------- */

static bool in_vram(const EngPlanner *p, const EngLayout *l, int part)
{
    uint64_t bytes = p->o->parts.data[part].bytes;
    return bytes > 0 && l->spread.vram[part] == bytes;
}

/* What has no weights is done where the next weights are, for it prepares their input; but experts
 * are chosen where the router is, and a layer's keys are kept where they are read. */
static void place_ops(const EngPlanner *p, EngLayout *l)
{
    const EngGraph *g = &p->o->graph;
    EngPlace next = {ENG_PLACE_CPU, -1}, attention = next;
    for (size_t i = g->ops.n; i-- > 0;) {
        int part = p->o->op_parts[i];
        if (part >= 0) {
            next = (EngPlace){ENG_PLACE_CPU, -1};
            if (in_vram(p, l, part))
                next = (EngPlace){ENG_PLACE_GPU, 0};
            else if (p->ruled[part].line && p->ruled[part].place.kind == ENG_PLACE_CPU)
                next = p->ruled[part].place;
        }
        EngOpKind kind = g->ops.data[i].kind;
        if (kind == ENG_OP_ATTN) attention = next;
        l->ops[i] = kind == ENG_OP_KV ? attention : next;
        if (kind == ENG_OP_ROPE_TABLE) l->ops[i] = (EngPlace){ENG_PLACE_CPU, -1};
    }
    l->kv_layers = l->spread.crossings = 0;
    bool was = false;
    for (size_t i = 0; i < g->ops.n; i++) {
        if (g->ops.data[i].kind == ENG_OP_ROUTE && i > 0) l->ops[i] = l->ops[i - 1];
        bool is = l->ops[i].kind == ENG_PLACE_GPU;
        l->spread.crossings += is != was;
        was = l->on_gpu[i] = is;
        l->kv_layers += is && g->ops.data[i].kind == ENG_OP_ATTN;
    }
    l->spread.crossings += was; /* logits come back */
    l->spread.gpu_attention = l->kv_layers > 0;
    l->spread.may_send = p->m->sends && l->spread.gpu_attention;
}

/* ---- what it takes --------------------------------------------------------------------------- */

/* Matrices that are multiplied together go together, also where a rule names one of them alone:
 * what is there without being planned for counts as buffers. */
static void count_buffers(const EngPlanner *p, EngLayout *l)
{
    uint64_t matrices = 0, planned = 0;
    l->gpu_buffers =
        p->m->gpu_bytes(&p->o->graph, l->on_gpu, l->batch, p->m->processors, &matrices);
    for (size_t i = 0; i < p->o->parts.n; i++) {
        EngPlanKind kind = p->o->parts.data[i].kind;
        if (kind != ENG_PLAN_TABLE && kind != ENG_PLAN_UNUSED) planned += l->spread.vram[i];
    }
    if (matrices > planned) l->gpu_buffers += matrices - planned;
}

static uint64_t kv_bytes(const EngPlanner *p, const EngLayout *l)
{
    return (uint64_t)l->kv_layers * p->kv_layer;
}

/* After parts have come or gone. */
static void settle(const EngPlanner *p, EngLayout *l)
{
    place_ops(p, l);
    l->gpu_buffers = l->vram_used = 0;
    if (l->gpu) count_buffers(p, l);
    for (size_t i = 0; i < p->o->parts.n; i++) l->vram_used += l->spread.vram[i];
    l->vram_used += kv_bytes(p, l) + l->gpu_buffers;
}

/* ---- filling --------------------------------------------------------------------------------- */

static void take(EngLayout *l, const EngPlanner *p, size_t part)
{
    l->spread.vram[part] = p->o->parts.data[part].bytes;
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
    settle(p, l);
    l->least_vram = l->vram_used;
    l->least_dram = cpu + (uint64_t)p->o->graph.n_layers * p->kv_layer - kv_bytes(p, l);
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
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (in_group(p, i, kind, layer)) take(l, p, i);
    settle(p, l);
    if (l->vram_used <= p->vram) return true;
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (in_group(p, i, kind, layer)) l->spread.vram[i] = 0;
    settle(p, l);
    return false;
}

/* Layers with experts that no rule has placed. */
static int expert_layers(const EngPlanner *p)
{
    int n = 0;
    for (int i = 0; i < p->o->h.n_layers; i++) n += group_of(p, ENG_PLAN_EXPERTS, i).bytes > 0;
    return n;
}

/* Those of the first n such layers. */
static void set_experts(const EngPlanner *p, EngLayout *l, int n)
{
    int end = 0;
    for (int left = n; left > 0; end++) left -= group_of(p, ENG_PLAN_EXPERTS, end).bytes > 0;
    l->expert_layers = n;
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        if (in_group(p, i, ENG_PLAN_EXPERTS, -1))
            l->spread.vram[i] = part->layer < end ? part->bytes : 0;
    }
    settle(p, l);
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

static void weigh(const EngPlanner *p, EngLayout *l)
{
    spill(p, l);
    l->token = eng_cost_token(p->o, &l->spread, &p->m->speeds, NULL);
}

/* Those of as many layers as make a token quickest. */
static void fill_experts(const EngPlanner *p, EngLayout *l, bool may)
{
    l->all_expert_layers = expert_layers(p);
    int most = may ? l->all_expert_layers : 0, best = 0;
    double quickest = 0;
    for (int n = 0; n <= most; n++) {
        set_experts(p, l, n);
        if (n > 0 && l->vram_used > p->vram) break;
        weigh(p, l);
        double time = eng_time_sum(&l->token);
        if (n > 0 && time > quickest) continue;
        quickest = time;
        best = n;
    }
    set_experts(p, l, best);
    weigh(p, l);
}

bool eng_layout_make(const EngPlanner *planner, bool gpu, int batch, EngLayout *ret_layout)
{
    const EngPlanner *p = planner;
    EngLayout *l = ret_layout;
    *l = (EngLayout){.gpu = gpu, .batch = batch};
    l->spread.vram = eng_alloc0((p->o->parts.n + 1) * sizeof *l->spread.vram);
    l->spread.disk = eng_alloc0((p->o->parts.n + 1) * sizeof *l->spread.disk);
    l->ops = eng_alloc0((p->o->graph.ops.n + 1) * sizeof *l->ops);
    l->on_gpu = eng_alloc0((p->o->graph.ops.n + 1) * sizeof *l->on_gpu);
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
