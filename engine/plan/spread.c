#include "plan/spread.h"

#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "model/slot.h"

enum { ANSWER = 512 };

double eng_layout_exchange(const EngLayout *layout)
{
    return eng_time_sum(&layout->prompt) + ANSWER * eng_time_sum(&layout->token);
}

void eng_layout_clear(EngLayout *layout)
{
    free(layout->spread.vram);
    free(layout->spread.disk);
    free(layout->caches);
    free(layout->ops);
    free(layout->on_gpu);
    free(layout->gpu_of_layer);
    *layout = (EngLayout){0};
}

static EngTime token_time(const EngPlanner *p, const EngLayout *l)
{
    return eng_cost_token(p->o, &l->spread, &p->m->speeds, p->positions, NULL);
}

/* ---- GPUs ------------------------------------------------------------------------------------ */

/* Each has layers that follow each other, as many as its VRAM is of all. */
static void deal_layers(const EngPlanner *p, EngLayout *l)
{
    int layers = p->o->h.n_layers, at = 0;
    double all = 0, so_far = 0;
    for (int g = 0; g < l->gpus; g++) all += (double)p->vram[g];
    for (int g = 0; g < l->gpus; g++) {
        so_far += (double)p->vram[g];
        int end = g == l->gpus - 1 || all <= 0 ? layers : (int)(layers * so_far / all + 0.5);
        while (at < end) l->gpu_of_layer[at++] = g;
    }
}

/* What is behind the last layer is where that is. */
int eng_layout_gpu(const EngPlanner *p, const EngLayout *l, size_t part)
{
    int layer = p->o->parts.data[part].layer;
    const EngRuled *rule = &p->ruled[part];
    if (rule->line && rule->place.kind == ENG_PLACE_GPU) return rule->place.index;
    if (layer < 0 || layer >= p->o->h.n_layers) layer = p->o->h.n_layers - 1;
    return l->gpu_of_layer[layer];
}

static bool fits(const EngPlanner *p, const EngLayout *l)
{
    for (int g = 0; g < l->gpus; g++)
        if (l->vram_used[g] > p->vram[g]) return false;
    return true;
}

/* ---- ops ------------------------------------------------------------------------------------- */

static bool in_vram(const EngPlanner *p, const EngLayout *l, int part)
{
    uint64_t bytes = p->o->parts.data[part].bytes;
    return bytes > 0 && l->spread.vram[part] == bytes;
}

/* Hand-overs and contexts. */
static void count_ops(const EngPlanner *p, EngLayout *l)
{
    const EngGraph *g = &p->o->graph;
    int was = -1;
    l->spread.crossings = 0;
    l->spread.gpu_attention = false;
    memset(l->kv_layers, 0, sizeof l->kv_layers);
    for (size_t i = 0; i < g->ops.n; i++) {
        EngOpKind kind = g->ops.data[i].kind;
        if (kind == ENG_OP_ROUTE && i > 0) l->ops[i] = l->ops[i - 1];
        int is = l->ops[i].kind == ENG_PLACE_GPU ? l->ops[i].index : -1;
        l->spread.crossings += is != was;
        was = is;
        if (is < 0 || kind != ENG_OP_ATTN) continue;
        l->kv_layers[is]++;
        l->spread.gpu_attention = true;
    }
    l->spread.crossings += was >= 0; /* logits come back */
    l->spread.may_send = l->streams && l->spread.gpu_attention;
    l->spread.stays = p->stays;
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
                next = (EngPlace){ENG_PLACE_GPU, eng_layout_gpu(p, l, (size_t)part)};
            else if (p->ruled[part].line && p->ruled[part].place.kind == ENG_PLACE_CPU)
                next = p->ruled[part].place;
        }
        EngOpKind kind = g->ops.data[i].kind;
        if (kind == ENG_OP_ATTN) attention = next;
        l->ops[i] = kind == ENG_OP_KV ? attention : next;
        if (kind == ENG_OP_ROPE_TABLE) l->ops[i] = (EngPlace){ENG_PLACE_CPU, -1};
    }
    count_ops(p, l);
}

/* ---- what it takes --------------------------------------------------------------------------- */

/* Matrices that are multiplied together go together, also where a rule names one of them alone:
 * what is there without being planned for counts as buffers. */
static void count_buffers(const EngPlanner *p, EngLayout *l, int gpu)
{
    uint64_t matrices = 0, planned = 0;
    for (size_t i = 0; i < p->o->graph.ops.n; i++)
        l->on_gpu[i] = l->ops[i].kind == ENG_PLACE_GPU && l->ops[i].index == gpu;
    l->gpu_buffers[gpu] =
        p->m->gpu_bytes(&p->o->graph, l->on_gpu, l->batch, l->streams ? p->sends : NULL,
                        p->m->gpus[gpu].processors, &matrices);
    for (size_t i = 0; i < p->o->parts.n; i++) {
        EngPlanKind kind = p->o->parts.data[i].kind;
        if (kind != ENG_PLAN_TABLE && kind != ENG_PLAN_UNUSED && eng_layout_gpu(p, l, i) == gpu)
            planned += l->spread.vram[i];
    }
    if (matrices > planned) l->gpu_buffers[gpu] += matrices - planned;
}

/* After parts have come or gone. */
static void settle(const EngPlanner *p, EngLayout *l)
{
    place_ops(p, l);
    for (int g = 0; g < l->gpus; g++) {
        count_buffers(p, l, g);
        l->vram_used[g] = (uint64_t)l->kv_layers[g] * p->kv_layer + l->gpu_buffers[g];
    }
    for (size_t i = 0; i < p->o->parts.n && l->gpus; i++)
        l->vram_used[eng_layout_gpu(p, l, i)] += l->spread.vram[i];
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
        if (rule->line ? rule->place.kind == ENG_PLACE_GPU : l->gpus && must)
            take(l, p, i);
        else if (rule->line ? rule->place.kind == ENG_PLACE_DISK : part->kind == ENG_PLAN_UNUSED)
            l->spread.disk[i] = part->bytes;
        else if (rule->line)
            cpu += part->bytes;
    }
    settle(p, l);
    memcpy(l->least_vram, l->vram_used, sizeof l->least_vram);
    int near = p->o->graph.n_layers;
    for (int g = 0; g < l->gpus; g++) near -= l->kv_layers[g];
    l->least_dram = cpu + (uint64_t)near * p->kv_layer;
}

bool eng_layout_keeps(const EngPlanner *p, int layer)
{
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        const EngKernel *kernel = p->ruled[i].kernel;
        if (part->kind == ENG_PLAN_EXPERTS && part->layer == layer && kernel && kernel->matmul)
            return true;
    }
    return false;
}

/* Parts of a kind and layer (-1: any) that no rule has placed. */
static bool in_group(const EngPlanner *p, size_t i, EngPlanKind kind, int layer)
{
    const EngPlanPart *part = &p->o->parts.data[i];
    return part->kind == kind && (layer < 0 || part->layer == layer) && !p->ruled[i].line;
}

static bool has_group(const EngPlanner *p, EngPlanKind kind, int layer)
{
    if (kind == ENG_PLAN_EXPERTS && eng_layout_keeps(p, layer)) return false;
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (in_group(p, i, kind, layer) && p->o->parts.data[i].bytes) return true;
    return false;
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
    l->token = token_time(p, l);
}

/* A group that does not gain, hand-overs counted, is left where it is. False when there is no room:
 * what comes after must not be put in its place, or a little more VRAM could make things slower. */
static bool fill_group(const EngPlanner *p, EngLayout *l, EngPlanKind kind, int layer)
{
    if (!has_group(p, kind, layer)) return true;
    weigh(p, l);
    double before = eng_time_sum(&l->token);
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (in_group(p, i, kind, layer)) take(l, p, i);
    settle(p, l);
    weigh(p, l);
    bool gains = eng_time_sum(&l->token) <= before;
    if (gains && fits(p, l)) return true;
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (in_group(p, i, kind, layer)) l->spread.vram[i] = 0;
    settle(p, l);
    return !gains;
}

static void set_experts(const EngPlanner *p, EngLayout *l, int layer, bool there)
{
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (in_group(p, i, ENG_PLAN_EXPERTS, layer))
            l->spread.vram[i] = there ? p->o->parts.data[i].bytes : 0;
}

/* Layers with experts that no rule has placed: the first of each GPU, the second of each, … */
static int order_layers(const EngPlanner *p, const EngLayout *l, int *ret_order)
{
    int layers = p->o->h.n_layers, n = 0, *at = eng_alloc0(ENG_MAX_GPUS * sizeof *at);
    for (bool more = true; more;) {
        more = false;
        for (int g = 0; g < ENG_MAX(l->gpus, 1); g++) {
            int i = at[g];
            while (i < layers && (l->gpu_of_layer[i] != g || !has_group(p, ENG_PLAN_EXPERTS, i)))
                i++;
            at[g] = i + 1;
            if (i >= layers) continue;
            ret_order[n++] = i;
            more = true;
        }
    }
    free(at);
    return n;
}

/* Those of as many layers as make a token quickest. A GPU that has no room for a layer's gets none
 * of what comes after. */
static void fill_experts(const EngPlanner *p, EngLayout *l, const bool room[ENG_MAX_GPUS])
{
    int *order = eng_alloc0((size_t)(p->o->h.n_layers + 1) * sizeof *order), taken = 0;
    bool full[ENG_MAX_GPUS];
    for (int g = 0; g < ENG_MAX_GPUS; g++) full[g] = !room[g];
    l->all_expert_layers = order_layers(p, l, order);
    settle(p, l);
    weigh(p, l);
    double quickest = eng_time_sum(&l->token);
    for (int i = 0; i < l->all_expert_layers; i++) {
        int layer = order[i], gpu = l->gpu_of_layer[layer];
        if (full[gpu]) continue;
        set_experts(p, l, layer, true);
        settle(p, l);
        full[gpu] = !fits(p, l);
        if (full[gpu]) {
            set_experts(p, l, layer, false);
            continue;
        }
        order[taken++] = layer;
        weigh(p, l);
        double time = eng_time_sum(&l->token);
        if (time > quickest) continue;
        quickest = time;
        l->expert_layers = taken;
    }
    for (int i = l->expert_layers; i < taken; i++) set_experts(p, l, order[i], false);
    settle(p, l);
    weigh(p, l);
    free(order);
}

bool eng_layout_make(const EngPlanner *planner, int gpus, bool streams, int batch,
                     EngLayout *ret_layout)
{
    const EngPlanner *p = planner;
    EngLayout *l = ret_layout;
    *l = (EngLayout){.gpus = gpus, .streams = streams, .batch = batch};
    l->spread.vram = eng_alloc0((p->o->parts.n + 1) * sizeof *l->spread.vram);
    l->spread.disk = eng_alloc0((p->o->parts.n + 1) * sizeof *l->spread.disk);
    l->ops = eng_alloc0((p->o->graph.ops.n + 1) * sizeof *l->ops);
    l->on_gpu = eng_alloc0((p->o->graph.ops.n + 1) * sizeof *l->on_gpu);
    l->gpu_of_layer = eng_alloc0((size_t)(p->o->h.n_layers + 1) * sizeof *l->gpu_of_layer);
    l->cpu_buffers =
        p->m->cpu_bytes(&p->o->graph, batch, p->m->threads, p->choice ? p->choice->kernels : NULL);
    deal_layers(p, l);
    place_fixed(p, l);
    if (!fits(p, l) || l->least_dram > p->dram) return false;
    bool room[ENG_MAX_GPUS] = {false};
    for (int g = 0; g < gpus; g++) room[g] = true;
    for (int i = 0; i < p->o->h.n_layers && gpus; i++) {
        bool *here = &room[l->gpu_of_layer[i]];
        *here = *here && fill_group(p, l, ENG_PLAN_DENSE, i);
    }
    bool *last = &room[ENG_MAX(gpus, 1) - 1];
    *last = *last && fill_group(p, l, ENG_PLAN_HEAD, -1);
    fill_experts(p, l, room);
    l->prompt = eng_cost_prompt(p->o, &l->spread, &p->m->speeds, p->prompt, p->depth, batch);
    return true;
}

/* ---- what is left ---------------------------------------------------------------------------- */

/* Rules about some experts of a layer are about them all. */
static bool is_ruled(const EngPlanner *p, int layer)
{
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        if (part->kind == ENG_PLAN_EXPERTS && part->layer == layer && p->ruled[i].line) return true;
    }
    return eng_layout_keeps(p, layer);
}

static void find_cached(const EngPlanner *p, EngLayout *l)
{
    for (size_t i = 0; i < p->o->graph.ops.n; i++) {
        if (p->o->graph.ops.data[i].kind != ENG_OP_EXPERTS) continue;
        int layer = p->o->parts.data[p->o->op_parts[i]].layer;
        l->caches[i] = l->ops[i].kind != ENG_PLACE_GPU && (p->cache.line || !is_ruled(p, layer));
    }
}

void eng_layout_cache(const EngPlanner *planner, EngLayout *layout)
{
    const EngPlanner *p = planner;
    EngLayout *l = layout;
    double all = 0;
    l->caches = eng_alloc0((p->o->graph.ops.n + 1) * sizeof *l->caches);
    find_cached(p, l);
    for (int g = 0; g < l->gpus && p->cache.policy != ENG_CACHE_OFF; g++) {
        for (size_t i = 0; i < p->o->graph.ops.n; i++)
            l->on_gpu[i] = l->ops[i].kind == ENG_PLACE_GPU && l->ops[i].index == g;
        EngSlotShape shape = eng_slot_shape(&p->o->graph, l->on_gpu, l->caches);
        int slots = eng_slot_count(&shape, p->vram[g] - l->vram_used[g]);
        l->cached[g] = eng_slot_bytes(&shape, slots);
        l->vram_used[g] += l->cached[g];
        l->cached_experts += slots;
        all += (double)shape.layers * shape.experts;
    }
    if (l->cached_experts) l->hit_rate = l->cached_experts / all;
}
