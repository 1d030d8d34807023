#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "model/kv.h"
#include "plan/backend.h"
#include "plan/spread.h"

enum { MOST_TOKENS = 16384, USUAL_CONTEXT = 4096, LEAST_BATCH = 128, MOST_ON_CPU = 4096 };

EngPlanSettings eng_plan_defaults(void) { return (EngPlanSettings){.kv = ENG_KV_F16}; }

/* For the driver's context and kernels, and for what else draws on the screen. A context that is
 * there may still grow by kernels that it loads. */
static uint64_t vram_reserve(uint64_t vram, uint64_t taken)
{
    uint64_t usual = ((uint64_t)384 << 20) + vram / 64, known = taken + ENG_VRAM_SPARE;
    return ENG_MIN(ENG_MAX(usual, taken ? known : 0), vram);
}

static uint64_t dram_reserve(uint64_t dram) { return ENG_MIN(dram / 16, (uint64_t)4 << 30); }

/* ---- what is wanted -------------------------------------------------------------------------- */

static bool check(const EngOutline *o, const EngPlanSettings *want, EngError *err)
{
    if (want->context < 0 || want->context > 1 << 26)
        return eng_fail(err, ENG_ERR_USAGE,
                        "A context of %d tokens cannot be planned: choose 1 to %d.", want->context,
                        1 << 26);
    if (want->batch < 0 || want->batch > MOST_TOKENS)
        return eng_fail(err, ENG_ERR_USAGE,
                        "A prefill chunk of %d tokens cannot be used: choose 1 to %d.", want->batch,
                        MOST_TOKENS);
    if (want->prompt < 0 || want->answer < 0 || want->depth < 0)
        return eng_fail(err, ENG_ERR_USAGE,
                        "A prompt, an answer and a depth of %d, %d and %d tokens cannot be "
                        "predicted: choose 0 or more.",
                        want->prompt, want->answer, want->depth);
    return eng_kv_check(&o->graph, want->kv, err);
}

/* What is derived lies with what it comes from; it may have another format. */
static void rule_derived(const EngOutline *o, EngRuled *ruled)
{
    for (size_t i = 0; i < o->parts.n; i++)
        for (size_t j = 0; j < o->parts.n && !*o->parts.data[i].name; j++)
            if (o->parts.data[j].layer == o->parts.data[i].layer &&
                strstr(o->parts.data[j].name, ".attn_kv_b."))
                ruled[i] = (EngRuled){.line = ruled[j].line, .place = ruled[j].place};
}

static bool read_rules(EngPlanner *p, const EngPlanSettings *want, EngError *err)
{
    if (!want->rules) return true;
    EngRegistry *registry = eng_registry_new(&p->m->kernels);
    if (!eng_rules_read(want->rules, p->o, p->m->n_gpus, p->m->nodes, registry, p->ruled, &p->cache,
                        err)) {
        eng_registry_free(registry);
        return false;
    }
    rule_derived(p->o, p->ruled);
    p->choice = eng_choice_new(registry, p->o, p->ruled, err);
    return p->choice != NULL;
}

/* Of a layer's experts all are sent or none. */
static void find_sent(EngPlanner *p)
{
    const EngGraph *g = &p->o->graph;
    p->sends = eng_alloc0((g->ops.n + 1) * sizeof *p->sends);
    p->stays = eng_alloc0((p->o->parts.n + 1) * sizeof *p->stays);
    for (size_t i = 0; i < g->ops.n; i++) {
        if (g->ops.data[i].kind != ENG_OP_EXPERTS) continue;
        p->sends[i] = !eng_layout_keeps(p, p->o->parts.data[p->o->op_parts[i]].layer);
    }
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        p->stays[i] = part->kind == ENG_PLAN_EXPERTS && eng_layout_keeps(p, part->layer);
    }
}

/* How many GPUs rules need. */
static int gpus_ruled(const EngPlanner *p)
{
    int n = 0;
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (p->ruled[i].line && p->ruled[i].place.kind == ENG_PLACE_GPU)
            n = ENG_MAX(n, p->ruled[i].place.index + 1);
    return n;
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* What is needed never reads as less than it is, and what there is never as more. */
static const char *size_text(uint64_t bytes, bool up, char ret[32])
{
    uint64_t unit = 1 << 30, hundredths = (bytes * 100 + (up ? unit - 1 : 0)) / unit;
    snprintf(ret, 32, "%llu.%02llu GiB", (unsigned long long)hundredths / 100,
             (unsigned long long)hundredths % 100);
    return ret;
}

static int first_short(const EngPlanner *p, const EngLayout *l)
{
    for (int g = 0; g < l->gpus; g++)
        if (l->least_vram[g] > p->vram[g]) return g;
    return -1;
}

static void refuse_vram(const EngPlanner *p, const EngLayout *l, int g, EngError *err)
{
    char need[32], have[32], kv[32], buffers[32], weights[32], where[32] = "";
    const EngPlanGpu *gpu = &p->m->gpus[g];
    uint64_t cache = (uint64_t)l->kv_layers[g] * p->kv_layer, sum = l->least_vram[g];
    /* The reserve grows with the card */
    uint64_t least = (sum + ((uint64_t)385 << 20)) / 63 * 64;
    if (gpu->taken) least = ENG_MAX(least, sum + gpu->taken + ((uint64_t)65 << 20));
    if (l->gpus > 1) snprintf(where, sizeof where, " on GPU %d", g);
    eng_fail(err, ENG_ERR_MEMORY,
             "At least %s of VRAM are needed%s (context %s, buffers %s, weights %s) and there are "
             "%s: shorten the context, keep it in 8 bits, take a smaller quantization, or do "
             "without the GPU.",
             size_text(least, true, need), where, size_text(cache, true, kv),
             size_text(l->gpu_buffers[g], true, buffers),
             size_text(sum - cache - l->gpu_buffers[g], true, weights),
             size_text(gpu->vram, false, have));
}

static bool refuse_dram(const EngPlanner *p, const EngLayout *l, EngError *err)
{
    char need[32], have[32];
    uint64_t least = l->least_dram + l->least_dram / 15 + (1 << 20);
    return eng_fail(err, ENG_ERR_MEMORY,
                    "At least %s of DRAM are needed for the context and the buffers and there are "
                    "%s: shorten the context, keep it in 8 bits, or close other programs.",
                    size_text(least, true, need), size_text(p->m->dram, false, have));
}

/* ---- the search ------------------------------------------------------------------------------ */

/* The better of two; the other is cleared. */
static void keep_better(EngLayout *best, bool *has, EngLayout *next)
{
    if (*has && eng_layout_exchange(next) >= eng_layout_exchange(best)) {
        eng_layout_clear(next);
        return;
    }
    if (*has) eng_layout_clear(best);
    *best = *next;
    *has = true;
}

typedef struct {
    EngLayout best;
    bool found;
    bool gpu_fits;
    EngError no_room; /* why not, with the smallest chunk */
    bool dram_short;
    EngLayout least; /* numbers alone */
} Search;

static void try_one(const EngPlanner *p, Search *s, int gpus, bool streams, int batch)
{
    EngLayout layout;
    if (eng_layout_make(p, gpus, streams, batch, &layout)) {
        s->gpu_fits = s->gpu_fits || gpus;
        keep_better(&s->best, &s->found, &layout);
        return;
    }
    int g = first_short(p, &layout);
    if (g >= 0)
        refuse_vram(p, &layout, g, &s->no_room);
    else
        s->dram_short = true;
    s->least.least_dram = layout.least_dram;
    eng_layout_clear(&layout);
}

/* ---- the CPU alone --------------------------------------------------------------------------- */

/* Of what may be in DRAM. */
static bool spills(const EngPlanner *p, const EngLayout *l)
{
    for (size_t i = 0; i < p->o->parts.n; i++)
        if (l->spread.disk[i] && !p->ruled[i].line && p->o->parts.data[i].kind != ENG_PLAN_UNUSED)
            return true;
    return false;
}

/* Weights and the context in DRAM, without a GPU. */
static uint64_t beside_buffers(const EngPlanner *p, const EngLayout *l)
{
    uint64_t sum = (uint64_t)p->o->graph.n_layers * p->kv_layer;
    for (size_t i = 0; i < p->o->parts.n; i++) sum += p->o->parts.data[i].bytes - l->spread.disk[i];
    return sum;
}

/* Whether a larger chunk is to be taken: see plan.h. */
static bool is_worth(const EngPlanner *p, const EngLayout *more, const EngLayout *less)
{
    static const double least = 0.97; /* predictions are no better than that */
    double same = eng_cost_attention(p->o, &p->m->speeds, p->prompt, p->depth);
    return eng_time_sum(&more->prompt) - same <= least * (eng_time_sum(&less->prompt) - same) &&
           eng_layout_exchange(more) < eng_layout_exchange(less) &&
           (spills(p, less) || !spills(p, more));
}

static void enlarge_chunk(const EngPlanner *p, int most, EngLayout *l)
{
    for (int batch = 2 * l->batch; batch <= most; batch *= 2) {
        EngLayout next;
        bool ok = eng_layout_make(p, 0, false, batch, &next) &&
                  next.cpu_buffers <= eng_plan_chunk_most(p->dram, beside_buffers(p, &next)) &&
                  is_worth(p, &next, l);
        if (!ok) {
            eng_layout_clear(&next);
            return;
        }
        eng_layout_clear(l);
        *l = next;
    }
}

/* ---- all ways -------------------------------------------------------------------------------- */

static void try_cpu(const EngPlanner *p, int batch, Search *s)
{
    int most = ENG_MIN(MOST_ON_CPU, p->context);
    EngLayout layout;
    if (!eng_layout_make(p, 0, false, batch ? batch : ENG_MIN(ENG_USUAL_BATCH, most), &layout)) {
        s->dram_short = true;
        s->least.least_dram = layout.least_dram;
        eng_layout_clear(&layout);
        return;
    }
    if (!batch) enlarge_chunk(p, most, &layout);
    keep_better(&s->best, &s->found, &layout);
}

static bool can_send(const EngPlanner *p)
{
    bool any = false;
    for (size_t i = 0; i < p->o->graph.ops.n; i++) any = any || p->sends[i];
    return any;
}

static bool search(const EngPlanner *p, const EngPlanSettings *want, Search *s, EngError *err)
{
    *s = (Search){0};
    int most = ENG_MIN(MOST_TOKENS, p->context), ruled = gpus_ruled(p);
    bool sends = want->streaming != ENG_STREAM_CPU && can_send(p);
    for (int gpus = ENG_MAX(ruled, 1); gpus <= p->m->n_gpus; gpus++)
        for (int batch = want->batch ? want->batch : most;; batch /= 2) {
            if (sends) try_one(p, s, gpus, true, batch);
            if (!sends || want->streaming == ENG_STREAM_AUTO) try_one(p, s, gpus, false, batch);
            if (want->batch || batch / 2 < LEAST_BATCH) break;
        }
    if (p->m->n_gpus && !s->gpu_fits && !s->dram_short && p->m->vram_given)
        return eng_fail(err, s->no_room.code, "%s", s->no_room.message);
    if (!ruled) try_cpu(p, want->batch, s);
    if (s->found) return true;
    return s->dram_short ? refuse_dram(p, &s->least, err)
                         : eng_fail(err, s->no_room.code, "%s", s->no_room.message);
}

/* ---- the result ------------------------------------------------------------------------------ */

typedef struct {
    uint64_t vram[ENG_MAX_GPUS], disk, dealt, node[ENG_MAX_NODES];
} Amounts;

static void count(const EngPlanner *p, const EngLayout *l, Amounts sums[ENG_PLAN_KINDS])
{
    memset(sums, 0, ENG_PLAN_KINDS * sizeof *sums);
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        Amounts *a = &sums[part->kind];
        uint64_t here = part->bytes - l->spread.vram[i] - l->spread.disk[i];
        if (l->gpus) a->vram[eng_layout_gpu(p, l, i)] += l->spread.vram[i];
        a->disk += l->spread.disk[i];
        if (p->ruled[i].line && here && p->ruled[i].place.index >= 0)
            a->node[p->ruled[i].place.index] += here;
        else
            a->dealt += here;
    }
    int near = p->o->graph.n_layers;
    for (int g = 0; g < l->gpus; g++) {
        sums[ENG_PLAN_KV].vram[g] += (uint64_t)l->kv_layers[g] * p->kv_layer;
        sums[ENG_PLAN_BUFFERS].vram[g] += l->gpu_buffers[g];
        sums[ENG_PLAN_CACHE].vram[g] += l->cached[g];
        near -= l->kv_layers[g];
    }
    sums[ENG_PLAN_KV].dealt += (uint64_t)near * p->kv_layer;
    sums[ENG_PLAN_BUFFERS].dealt += l->cpu_buffers;
}

/* Over the nodes, by what rules have left of each. False when a rule fills one beyond its part. */
static bool deal(const EngPlanner *p, Amounts sums[ENG_PLAN_KINDS], EngError *err)
{
    int nodes = p->m->nodes;
    uint64_t each = p->dram / (uint64_t)nodes, left[ENG_MAX_NODES], all = 0;
    for (int n = 0; n < nodes; n++) {
        uint64_t taken = 0;
        for (int k = 0; k < ENG_PLAN_KINDS; k++) taken += sums[k].node[n];
        if (taken > each) {
            char need[32], have[32];
            return eng_fail(err, ENG_ERR_MEMORY,
                            "The rules put %s on NUMA node %d, which has %s: name other nodes or "
                            "cpu.",
                            size_text(taken, true, need), n, size_text(each, false, have));
        }
        left[n] = each - taken;
        all += left[n];
    }
    for (int k = 0; k < ENG_PLAN_KINDS; k++) {
        uint64_t rest = sums[k].dealt;
        for (int n = 0; n < nodes; n++) {
            double share = all > 0 ? (double)left[n] / (double)all : 1.0 / nodes;
            uint64_t part = (uint64_t)((double)sums[k].dealt * share);
            part = n == nodes - 1 ? rest : ENG_MIN(part, rest);
            sums[k].node[n] += part;
            rest -= part;
        }
    }
    return true;
}

static void add_row(EngPlan *plan, int kind, EngPlace place, uint64_t bytes)
{
    if (bytes) plan->rows[plan->n_rows++] = (EngPlanRow){(EngPlanKind)kind, place, bytes};
}

static void add_rows(EngPlan *plan, const Amounts sums[ENG_PLAN_KINDS])
{
    plan->rows = eng_alloc0((size_t)ENG_PLAN_KINDS * (ENG_MAX_NODES + ENG_MAX_GPUS + 1) *
                            sizeof *plan->rows);
    for (int k = 0; k < ENG_PLAN_KINDS; k++) {
        for (int g = 0; g < plan->n_gpus; g++)
            add_row(plan, k, (EngPlace){ENG_PLACE_GPU, g}, sums[k].vram[g]);
        for (int n = 0; n < plan->nodes; n++)
            add_row(plan, k, (EngPlace){ENG_PLACE_CPU, n}, sums[k].node[n]);
        add_row(plan, k, (EngPlace){ENG_PLACE_DISK, -1}, sums[k].disk);
    }
}

static void predict(const EngPlanner *p, const EngLayout *l, EngPlan *plan)
{
    double read[3], load = 0, send = 0;
    eng_cost_token(p->o, &l->spread, &p->m->speeds, p->positions, read);
    plan->token_vram_bytes = read[0];
    plan->token_dram_bytes = read[1];
    plan->token_disk_bytes = read[2];
    double used = p->o->h.n_experts ? (double)p->o->h.n_experts_used / p->o->h.n_experts : 1;
    for (size_t i = 0; i < p->o->parts.n; i++) {
        const EngPlanPart *part = &p->o->parts.data[i];
        plan->token_products += part->products * (part->kind == ENG_PLAN_EXPERTS ? used : 1);
        load += (double)(part->bytes - l->spread.disk[i]);
        send += (double)l->spread.vram[i];
    }
    const EngPlanSpeeds *s = &p->m->speeds;
    plan->load_s = load * 1e-9 / s->disk_gb_s;
    if (send > 0) plan->load_s += send * 1e-9 / s->pcie_gb_s;
    plan->prompt = p->prompt;
    plan->expert_tokens = eng_cost_met(p->o, ENG_MIN(l->batch, p->prompt));
    plan->decode_tok_s = 1 / eng_time_sum(&l->token);
    plan->prefill_tok_s = p->prompt / eng_time_sum(&l->prompt);
    plan->decode_term = eng_time_term(&l->token);
    plan->prefill_term = eng_time_term(&l->prompt);
}

/* "A", "2 x A", or "A and B". */
static void name_gpus(const EngPlanner *p, int n, char ret[96])
{
    const EngPlanGpu *gpus = p->m->gpus;
    size_t at = 0;
    bool alike = true;
    for (int g = 1; g < n; g++) alike = alike && strcmp(gpus[g].name, gpus[0].name) == 0;
    if (n > 1 && alike) {
        snprintf(ret, 96, "%d x %.80s", n, gpus[0].name);
        return;
    }
    for (int g = 0; g < n; g++)
        at += (size_t)snprintf(ret + at, 96 - at, "%s%.*s", g ? " and " : "", 90 / n - 5,
                               gpus[g].name);
}

/* What the plan says of GPUs. */
static void describe_gpus(const EngPlanner *p, const Search *s, EngPlan *plan)
{
    plan->n_gpus = s->best.gpus;
    for (int g = 0; g < ENG_MAX(plan->n_gpus, ENG_MIN(p->m->n_gpus, 1)); g++) {
        plan->vram += p->m->gpus[g].vram;
        plan->vram_reserve += p->m->gpus[g].vram - p->vram[g];
        if (g < plan->n_gpus) plan->gpu_vram[g] = p->m->gpus[g].vram;
    }
    plan->assumed = plan->n_gpus && p->m->assumed;
    name_gpus(p, plan->n_gpus, plan->gpu);
    const char *why = p->m->n_gpus == 0 ? p->m->reason
                      : s->gpu_fits     ? "the CPU alone is quicker with a model this small"
                                        : "not enough of its VRAM is free";
    if (plan->n_gpus == 0) snprintf(plan->reason, sizeof plan->reason, "%s", why);
    plan->no_room = plan->n_gpus == 0 && p->m->n_gpus > 0 && !s->gpu_fits;
}

static EngPlan *write_plan(EngPlanner *p, const EngPlanSettings *want, Search *s, EngError *err)
{
    Amounts sums[ENG_PLAN_KINDS];
    eng_layout_cache(p, &s->best);
    count(p, &s->best, sums);
    if (!deal(p, sums, err) ||
        (p->choice && !eng_choice_check(p->choice, p->o, p->ruled, s->best.ops, err)))
        return NULL;
    EngPlan *plan = eng_alloc0(sizeof *plan);
    *plan = (EngPlan){.dram = p->m->dram,
                      .dram_reserve = p->m->dram - p->dram,
                      .nodes = p->m->nodes,
                      .context = p->context,
                      .batch = s->best.batch,
                      .kv = want->kv,
                      .streams = s->best.gpus && s->best.streams,
                      .expert_layers = s->best.all_expert_layers,
                      .expert_layers_in_vram = s->best.expert_layers,
                      .crossings = s->best.spread.crossings,
                      .cache_policy = p->cache.policy,
                      .cached_experts = s->best.cached_experts,
                      .cache_hit_rate = s->best.hit_rate,
                      .speeds = p->m->speeds,
                      .n_ops = p->o->graph.ops.n,
                      .ops = s->best.ops,
                      .caches = s->best.caches,
                      .sends = p->sends,
                      .choice = p->choice};
    plan->speeds.kernels = NULL; /* whose are the caller's */
    s->best.ops = NULL;
    s->best.caches = NULL;
    p->sends = NULL;
    p->choice = NULL;
    describe_gpus(p, s, plan);
    add_rows(plan, sums);
    predict(p, &s->best, plan);
    return plan;
}

EngPlan *eng_plan_make(const EngOutline *outline, const EngPlanSettings *want,
                       const EngPlanMachine *machine, EngError *err)
{
    EngPlan *plan = NULL;
    Search s = {0};
    int trained = outline->h.context_trained;
    EngPlanner p = {.o = outline, .m = machine};
    if (!check(outline, want, err)) return NULL;
    p.context = want->context ? want->context
                : trained     ? ENG_MIN(trained, USUAL_CONTEXT)
                              : USUAL_CONTEXT;
    p.prompt = want->prompt ? want->prompt : ENG_MIN(p.context, MOST_TOKENS);
    p.depth = want->depth;
    if (want->answer || want->depth) p.positions = eng_cost_seen(want->answer, want->depth);
    for (int g = 0; g < machine->n_gpus; g++) {
        const EngPlanGpu *gpu = &machine->gpus[g];
        p.vram[g] = gpu->vram - vram_reserve(gpu->vram, gpu->taken);
    }
    p.dram = machine->dram - dram_reserve(machine->dram);
    size_t token = eng_kv_token_bytes(&outline->graph, want->kv);
    p.kv_layer =
        (uint64_t)(token / (size_t)ENG_MAX(outline->graph.n_layers, 1)) * (uint64_t)p.context;
    p.ruled = eng_alloc0((outline->parts.n + 1) * sizeof *p.ruled);
    bool ok = read_rules(&p, want, err);
    if (ok) find_sent(&p);
    if (ok && search(&p, want, &s, err)) plan = write_plan(&p, want, &s, err);
    eng_layout_clear(&s.best);
    eng_choice_free(p.choice);
    free(p.ruled);
    free(p.sends);
    free(p.stays);
    return plan;
}

void eng_plan_free(EngPlan *plan)
{
    if (!plan) return;
    free(plan->rows);
    free(plan->ops);
    free(plan->caches);
    free(plan->sends);
    eng_choice_free(plan->choice);
    free(plan);
}

EngPlace eng_plan_device(const EngPlan *plan, size_t op)
{
    return op < plan->n_ops ? plan->ops[op] : (EngPlace){ENG_PLACE_CPU, -1};
}
