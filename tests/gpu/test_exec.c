/* Whole models with a device beside the CPU: every family's tiny model, at several placements,
 * gives the CPU's logits, in prefill and in decode, and decode is one graph launch per token. */
#include "exec_model.h"
#include "lru.h"
#include "model/slot.h"

static void at_every_placement(int defer)
{
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        if (defer && !models[i].defers) continue;
        if (!open_model(models[i].file, defer)) continue;
        choose_tokens(models[i].file, models[i].bound);
        for (int p = 0; p < placements(); p++)
            compare(models[i].file, (Placement)p, models[i].bound);
        close_model();
    }
}

static void logits_are_the_cpus_at_every_placement(void) { at_every_placement(0); }
static void and_so_with_deferred_experts(void) { at_every_placement(1); }

/* The experts' part of a layer is the host's: one publish and one accept each; the shared expert is
 * enqueued between the two. */
static void the_shared_expert_overlaps(void)
{
    int steps[ENG_STEPS], layers = 0;
    if (!open_model("v3_fused.gguf", 0)) return;
    EngBackend *exec = open_exec(BUT_EXPERTS);
    for (size_t i = 0; i < model->graph.ops.n; i++)
        layers += model->graph.ops.data[i].kind == ENG_OP_EXPERTS;
    if (exec) {
        eng_exec_count(exec, false, steps);
        /* the token table before, the logits behind */
        CHECK_INT(steps[ENG_STEP_CPU], layers + 2);
        CHECK_INT(steps[ENG_STEP_ACCEPT], layers + 1);
        exec->free(exec);
    }
    close_model();
}

static int op_of(EngOpKind kind, int from)
{
    while (model->graph.ops.data[from].kind != kind) from++;
    return from;
}

/* The place among the steps of one of an op: itself, or of the part that it is in. */
static int place_of(const EngSchedule *s, EngStepOf kind, int op)
{
    for (size_t i = 0; i < s->steps.n; i++) {
        const EngScheduleStep *step = &s->steps.data[i];
        const EngHostPart *p = kind == ENG_STEP_OP ? NULL : &s->parts.data[step->what];
        if (step->kind == kind && (p ? p->from <= op && op < p->to : step->what == op))
            return (int)i;
    }
    return ENG_NONE;
}

/* The CPU computes them while the device attends: the device waits for the others before, and for
 * these behind; and it is asked for nothing more when the next layer's experts are the CPU's. */
static void deferred_experts_overlap_attention(void)
{
    if (!open_model("v3_fused.gguf", 1)) return;
    for (int near = 0; near < 2; near++) {
        int now = op_of(ENG_OP_EXPERTS, 0), later = now + 1, attn = op_of(ENG_OP_ATTN, later);
        int add = op_of(ENG_OP_ADD, later), *device_of = place(BUT_EXPERTS);
        EngSchedule s = {0};
        EngError err = {0};
        CHECK(model->graph.ops.data[later].experts.set && attn < add);
        device_of[0] = device_of[1] = ENG_NONE; /* what exec.c does of itself */
        if (near) device_of[add] = ENG_NONE;
        CHECK(eng_schedule_write(&s, &model->graph, device_of, &err));
        int attends = place_of(&s, ENG_STEP_OP, attn);
        CHECK(place_of(&s, ENG_STEP_ACCEPT, now) < attends);
        CHECK(place_of(&s, ENG_STEP_CPU, now) < place_of(&s, ENG_STEP_CPU, later));
        CHECK(place_of(&s, ENG_STEP_CPU, later) > attends);
        CHECK(place_of(&s, ENG_STEP_ACCEPT, near ? add : later) > attends);
        if (near) CHECK_INT(place_of(&s, ENG_STEP_ACCEPT, later), ENG_NONE);
        if (near) CHECK_INT(place_of(&s, ENG_STEP_PUBLISH, later), ENG_NONE);
        if (near)
            CHECK_INT(place_of(&s, ENG_STEP_ACCEPT, add), place_of(&s, ENG_STEP_ACCEPT, add + 1));
        for (size_t i = 1; i < s.steps.n; i++) CHECK(s.steps.data[i].at >= s.steps.data[i - 1].at);
        eng_schedule_clear(&s);
        free(device_of);
    }
    close_model();
}

/* A launch costs a token microseconds, whatever it does: fuse.c puts together what can be. */
static void a_layer_is_few_launches(void)
{
    static const struct {
        const char *file;
        Placement placement;
        int layer, rest; /* at most */
    } most[] = {{"qwen3moe_q8_0.gguf", ALL, 13, 6},
                {"v3_q4_k_m.gguf", ALL, 21, 6},
                {"v3_q4_k_m.gguf", BUT_EXPERTS, 19, 6}};
    for (size_t i = 0; library && i < TEST_COUNT(most); i++) {
        if (!open_model(most[i].file, 0)) continue;
        EngBackend *exec = open_exec(most[i].placement);
        for (int t = 0; t < TOKENS; t++) tokens[t] = test_range(0, model->h.n_vocab - 1);
        run(exec, 0, PROMPT, 0, got);
        long before = count("cuLaunchKernel");
        run(exec, PROMPT, 1, 0, got);
        long launches = count("cuLaunchKernel") - before, layers = model->graph.n_layers;
        CHECK_MSG(launches <= layers * most[i].layer + most[i].rest, "%s: %ld launches, %ld layers",
                  most[i].file, launches, layers);
        memset(kv.far, 0, sizeof kv.far);
        exec->free(exec);
        close_model();
    }
}

/* ---- cached experts -------------------------------------------------------------------------- */

static int total(const EngBackend *exec, bool hits)
{
    int n = 0;
    for (int t = 0; t < 8; t++) n += hits ? exec->cached[t].hits : exec->cached[t].misses;
    return n;
}

/* Experts of a token, in all layers, with those that are deferred or without. */
static int chosen(bool deferred)
{
    int n = 0;
    for (size_t i = 0; i < model->graph.ops.n; i++) {
        const EngOp *op = &model->graph.ops.data[i];
        if (op->kind == ENG_OP_EXPERTS && (deferred || !op->experts.set)) n += op->experts.n_used;
    }
    return n;
}

/* Deferred experts have a cache where the CPU adds what they make; between two devices they have
 * none, as the one that had the hits does not have the sum. */
static bool asks_for(Placement placement, int n)
{
    if (policy == ENG_CACHE_OFF) return n == 0;
    if (placement == TWO_NEAR_SUMS) return n >= chosen(false) && n <= chosen(true);
    return n == chosen(placement == NEAR_SUMS);
}

/* For `slots` experts. */
static uint64_t bytes_for(int slots)
{
    int *device_of = place(BUT_EXPERTS);
    bool *here = calloc(model->graph.ops.n, sizeof *here);
    for (size_t i = 0; i < model->graph.ops.n; i++) here[i] = device_of[i] == 0;
    EngSlotShape shape = eng_slot_shape(&model->graph, here, NULL);
    free(device_of), free(here);
    CHECK(eng_slot_count(&shape, eng_slot_bytes(&shape, slots)) == slots);
    return eng_slot_bytes(&shape, slots);
}

static int keys(void)
{
    int n = 0;
    for (size_t i = 0; i < model->graph.ops.n; i++)
        n += model->graph.ops.data[i].kind == ENG_OP_EXPERTS &&
             !model->graph.ops.data[i].experts.set;
    return n * model->h.n_experts;
}

static int hits_by[ENG_CACHE_OFF + 1], misses_by[ENG_CACHE_OFF + 1];

/* The same tokens again and again, while experts come in. */
static void decode_with_cache(const char *file, Placement placement, double bound)
{
    int times = policy == ENG_CACHE_PINNED ? 12
                : policy == ENG_CACHE_LRU  ? 4
                                           : 2,
        hits = 0, misses = 0, n = model->h.n_vocab;
    EngError err = {0};
    EngBackend *exec = open_exec(placement);
    for (int time = 0; exec && time < times; time++) {
        long launches = count("cuGraphLaunch");
        eng_guard_begin();
        run(exec, 0, PROMPT, 0, got);
        for (int i = 0; i < DECODE; i++) {
            run(exec, PROMPT + i, 1, 0, got + (size_t)(1 + i) * (size_t)n);
            int all = total(exec, true) + total(exec, false);
            CHECK_MSG(asks_for(placement, all), "%s, policy %d, placement %d: %d of %d, %d", file,
                      (int)policy, (int)placement, all, chosen(false), chosen(true));
            hits += total(exec, true), misses += total(exec, false);
        }
        eng_guard_end();
        CHECK_MSG(exec->check(exec, &err), "%s", err.message);
        if (library) CHECK_INT(count("cuGraphLaunch") - launches, DECODE * devices_of(placement));
        for (int i = 0; i < 1 + DECODE; i++) {
            double d = distance(got + (size_t)i * (size_t)n, want + (size_t)i * (size_t)n, n);
            CHECK_MSG(is_near(i, d, bound),
                      "%s, policy %d, placement %d, step %d: %.5f from the CPU's", file,
                      (int)policy, (int)placement, time * DECODE + i, d);
        }
    }
    hits_by[policy] += hits;
    misses_by[policy] += misses;
    memset(kv.far, 0, sizeof kv.far);
    if (exec) exec->free(exec);
}

/* PINNED begins after 32 steps. */
static void cached_experts_change_nothing(void)
{
    for (size_t i = 0; i < TEST_COUNT(models); i++) {
        if (!models[i].caches) continue;
        int defer = models[i].defers && test_range(0, 1);
        if (!open_model(models[i].file, defer)) continue;
        choose_tokens(models[i].file, models[i].bound);
        for (int p = ENG_CACHE_LRU; p <= ENG_CACHE_OFF; p++) {
            policy = (EngCachePolicy)p;
            cache_waits = test_range(0, 2) > 0;
            cached_bytes = bytes_for(test_range(keys() / model->h.n_experts, keys()));
            bool two = models[i].defers && placements() > TWO && test_range(0, 1);
            Placement where = two ? TWO_BUT_EXPERTS : BUT_EXPERTS;
            if (defer && test_range(0, 2)) where = two ? TWO_NEAR_SUMS : NEAR_SUMS;
            decode_with_cache(models[i].file, where, models[i].bound);
        }
        close_model();
    }
    for (int p = ENG_CACHE_LRU; p < ENG_CACHE_OFF; p++)
        CHECK_MSG(hits_by[p] > 0 && misses_by[p] > 0, "policy %d: %d hits, %d misses", p,
                  hits_by[p], misses_by[p]);
    cached_bytes = 0;
}

/* A token, op by op on the CPU, whose choices are taken; returns the hits. */
static int simulate(Lru *l, int token, int step)
{
    EngKv *kvs = &kv;
    int32_t position = token, out = 0;
    EngBatch batch = {1, tokens + token, &position, &kvs, 1, &out};
    int hits = 0, layer = 0;
    lru_begin(l, step);
    for (int i = 0; i < (int)model->graph.ops.n; i++) {
        const EngOp *op = &model->graph.ops.data[i];
        for (int k = 0; op->kind == ENG_OP_EXPERTS && k < op->experts.n_used; k++) {
            float *ids = model->backend->buffer(model->backend, op->experts.ids.buf);
            int key = layer * model->h.n_experts + ((const int32_t *)(void *)ids)[k];
            Slot *slot = find(l, key);
            bool hit = slot && !slot->coming;
            hits += hit;
            if (hit) slot->step = step;
            if (!slot) l->missed[l->n_missed++] = key;
        }
        layer += op->kind == ENG_OP_EXPERTS;
        model->backend->run(model->backend, i, 1, &batch);
    }
    return hits;
}

/* In decode floats differ by 1e-6 alone: the same experts are chosen. */
static void hits_are_those_of_an_lru_cache(void)
{
    static const char *const floats[] = {"mixtral.gguf", "v2_group.gguf", "v3_fused.gguf"};
    policy = ENG_CACHE_LRU;
    cache_waits = true;
    for (size_t i = 0; i < TEST_COUNT(floats); i++) {
        if (!open_model(floats[i], 0)) continue;
        Lru lru = {.n_slots = test_range(keys() / 2, keys() - 1),
                   .layer = -1,
                   .layer_size = model->h.n_experts};
        int hits[40], all = 0, step = 1;
        for (int s = 0; s < lru.n_slots; s++) lru.slots[s].key = -1;
        for (int t = 0; t < TOKENS; t++) tokens[t] = test_range(0, model->h.n_vocab - 1);
        for (; step <= 2 * TOKENS; step++) {
            hits[step] = simulate(&lru, (step - 1) % TOKENS, step);
            all += hits[step];
        }
        cached_bytes = bytes_for(lru.n_slots);
        EngBackend *exec = open_exec(BUT_EXPERTS);
        for (int at = 1; exec && at < step; at++) {
            run(exec, (at - 1) % TOKENS, 1, 0, got);
            CHECK_MSG(total(exec, true) == hits[at], "%s, %d slots, step %d: %d hits, not %d",
                      floats[i], lru.n_slots, at, total(exec, true), hits[at]);
        }
        CHECK_MSG(all > 0, "%s: nothing was hit", floats[i]);
        memset(kv.far, 0, sizeof kv.far);
        if (exec) exec->free(exec);
        close_model();
    }
    cached_bytes = 0;
}

/* A copy beside the step that fails is the device's failure. */
static void a_copy_that_fails_ends_the_device(void)
{
    if (!library) {
        test_skip("only the simulated driver fails when it is told to");
        return;
    }
    if (!open_model("v3_fused.gguf", 0)) return;
    policy = ENG_CACHE_LRU;
    cache_waits = test_range(0, 1);
    cached_bytes = bytes_for(keys() / 2);
    EngBackend *exec = open_exec(BUT_EXPERTS);
    EngError err = {0};
    char fail[64];
    /* per step: positions, the table, two experts */
    snprintf(fail, sizeof fail, "cuMemcpyHtoDAsync_v2:%ld:700",
             count("cuMemcpyHtoDAsync_v2") + test_range(4, 12));
    setenv("SIM_FAIL", fail, 1);
    bool ok = true;
    for (int t = 0; exec && ok && t < TOKENS; t++) {
        tokens[t] = t;
        run(exec, t, 1, 0, got);
        ok = exec->check(exec, &err);
    }
    CHECK_MSG(!ok && strstr(err.message, "while copying to it"), "%s", err.message);
    unsetenv("SIM_FAIL");
    memset(kv.far, 0, sizeof kv.far);
    if (exec) exec->free(exec);
    close_model();
    cached_bytes = 0;
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"logits_are_the_cpus_at_every_placement", logits_are_the_cpus_at_every_placement},
        {"and_so_with_deferred_experts", and_so_with_deferred_experts},
        {"the_shared_expert_overlaps", the_shared_expert_overlaps},
        {"deferred_experts_overlap_attention", deferred_experts_overlap_attention},
        {"cached_experts_change_nothing", cached_experts_change_nothing},
        {"hits_are_those_of_an_lru_cache", hits_are_those_of_an_lru_cache},
        {"a_copy_that_fails_ends_the_device", a_copy_that_fails_ends_the_device},
        {"a_layer_is_few_launches", a_layer_is_few_launches},
    };
    library = getenv("HEARTH_GPU") ? NULL : CUDA_SIM;
    setenv("SIM_DEVICES", "2", 1);
    if (library) dlopen(library, RTLD_NOW); /* stays, for its counters */
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
