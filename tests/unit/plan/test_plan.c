/* Plans: of models drawn by chance, on machines drawn by chance. What a plan adds up to is compared
 * with what the file's directory and an opened model say of themselves. */
#include <math.h>

#include "base/num.h"
#include "plan/stream/regime.h"
#include "plans.h"

static Shape any_shape(void)
{
    static const char *const types[] = {"Q4_K", "Q6_K", "Q8_0", "F16", "IQ2_XXS"};
    Shape s = {.layers = test_range(1, 9),
               .embd = 256 * test_range(1, 12),
               .ff = 256 * test_range(1, 24),
               .ff_expert = 256 * test_range(1, 8),
               .experts = 8 * test_range(1, 12),
               .heads = 4 * test_range(1, 8),
               .vocab = test_range(300, 60000),
               .latent = test_range(0, 1),
               .old_form = test_range(0, 1),
               .head = test_range(0, 1),
               .type = types[test_range(0, 4)]};
    s.used = test_range(1, 8);
    if (s.latent) {
        s.dense = test_range(0, s.layers - 1);
        s.shared = test_range(0, 2);
    }
    return s;
}

/* ---- machines -------------------------------------------------------------------------------- */

/* A GPU is quicker than the CPU beside it, in all that it does. */
static EngPlanSettings any_machine(void)
{
    EngPlanSettings s = eng_plan_defaults();
    s.dram = GIB + test_random() % (64 * GIB);
    s.context = test_range(1, 30000);
    s.kv = test_range(0, 1) ? ENG_KV_F16 : ENG_KV_Q8_0;
    s.nodes = test_range(1, 4);
    s.speeds = (EngPlanSpeeds){.dram_gb_s = test_range(10, 500),
                               .cpu_gop_s = test_range(100, 20000),
                               .pcie_gb_s = test_range(10, 60),
                               .disk_gb_s = test_range(1, 10)};
    s.speeds.vram_gb_s = s.speeds.dram_gb_s * test_range(2, 20);
    s.speeds.gpu_gop_s = s.speeds.cpu_gop_s * test_range(2, 100);
    return s;
}

/* What the file holds, what opening it would derive from it, and the KV cache: counted elsewhere.
 */
static uint64_t weights_of(const EngHeader *h, const EngPlanSettings *want, uint64_t *ret_kv)
{
    EngError err = {0};
    EngModelSettings settings = eng_model_defaults();
    settings.threads = 1;
    settings.batch = 1;
    EngModel *model = eng_model_rehearse(h, 1, 64 * GIB, &settings, &err);
    CHECK_MSG(model, "%s", err.message);
    if (!model) return 0;
    EngModelInfo info = eng_model_info(model);
    *ret_kv = info.kv_bytes_per_token[want->kv] * (uint64_t)want->context;
    eng_model_free(model);
    return info.weight_bytes;
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Every byte is somewhere, once, but for copies; and no budget is exceeded, node by node. */
static void check_sums(const EngHeader *h, const EngPlanSettings *want, const EngPlan *plan)
{
    uint64_t kv = 0, weights = weights_of(h, want, &kv), buffers = sum(plan, ENG_PLAN_BUFFERS, -1);
    CHECK_INT(sum(plan, ENG_PLAN_KV, -1), kv);
    CHECK_INT(sum(plan, -1, -1), weights + kv + buffers + sum(plan, ENG_PLAN_CACHE, -1));
    CHECK(sum(plan, -1, ENG_PLACE_GPU) + plan->vram_reserve <= plan->vram);
    CHECK(sum(plan, -1, ENG_PLACE_CPU) + plan->dram_reserve <= plan->dram);
    uint64_t least = UINT64_MAX, most = 0;
    for (int n = 0; n < plan->nodes; n++) {
        uint64_t node = 0;
        for (size_t i = 0; i < plan->n_rows; i++)
            if (plan->rows[i].place.kind == ENG_PLACE_CPU && plan->rows[i].place.index == n)
                node += plan->rows[i].bytes;
        least = node < least ? node : least;
        most = node > most ? node : most;
    }
    CHECK_MSG(most - least < 1024, "nodes differ by %llu", (unsigned long long)(most - least));
    if (want->vram == 0) CHECK_INT(sum(plan, -1, ENG_PLACE_GPU), 0);
    uint64_t reserve = 0;
    for (int g = 0; g < plan->n_gpus; g++) {
        uint64_t gpu = 0;
        for (size_t i = 0; i < plan->n_rows; i++)
            if (plan->rows[i].place.kind == ENG_PLACE_GPU && plan->rows[i].place.index == g)
                gpu += plan->rows[i].bytes;
        CHECK_INT(plan->gpu_vram[g], want->vram);
        CHECK(gpu > 0 && gpu + plan->vram_reserve / (uint64_t)plan->n_gpus <= want->vram);
        reserve += plan->gpu_vram[g];
    }
    if (plan->n_gpus) CHECK_INT(plan->vram, reserve);
    CHECK(plan->n_gpus <= ENG_MAX(want->gpus, 1));
    CHECK(plan->decode_tok_s > 0 && plan->prefill_tok_s > 0 && plan->load_s >= 0);
}

static void bytes_add_up(void)
{
    int planned = 0;
    for (int i = 0; i < 60; i++) {
        Shape shape = any_shape();
        EngHeader h = header_of(&shape);
        EngPlanSettings want = any_machine();
        EngError err = {0};
        want.vram = test_range(0, 3) ? test_random() % (12 * GIB) : 0;
        want.gpus = test_range(0, ENG_MAX_GPUS);
        EngPlan *plan = eng_plan(&h, 1, &want, &err);
        if (plan)
            check_sums(&h, &want, plan), planned++;
        else
            CHECK_MSG(err.code == ENG_ERR_MEMORY, "%s", err.message);
        eng_plan_free(plan);
        free((void *)h.data);
    }
    CHECK_MSG(planned > 20, "only %d of 60 could be planned", planned);
}

/* An exchange is what both speeds are for. Decode alone, too, when the chunk is given and whether
 * experts are sent, but for the step from the CPU to a GPU that reads prompts faster and decodes a
 * tiny model more slowly. */
static void more_vram_is_never_slower(void)
{
    int compared = 0;
    for (int i = 0; i < 40; i++) {
        Shape shape = any_shape();
        EngHeader h = header_of(&shape);
        EngPlanSettings want = any_machine();
        want.batch = test_range(0, 1) ? 512 : 0;
        if (want.batch) want.streaming = test_range(0, 1) ? ENG_STREAM_CPU : ENG_STREAM_ALL;
        want.gpus = test_range(1, 3);
        double before = 0, decode = 0;
        int on_gpus = 0;
        for (want.vram = 512 * MIB; want.vram < 10 * GIB; want.vram += 256 * MIB) {
            EngPlan *plan = eng_plan(&h, 1, &want, NULL);
            if (!plan) {
                CHECK_MSG(before == 0, "%llu MiB are refused after less was not",
                          (unsigned long long)(want.vram / MIB));
                continue;
            }
            double time = plan->prompt / plan->prefill_tok_s + 512 / plan->decode_tok_s;
            CHECK_MSG(before == 0 || time <= before * (1 + 1e-9), "%llu MiB: %g s, not %g",
                      (unsigned long long)(want.vram / MIB), time, before);
            if (want.batch && plan->n_gpus == on_gpus)
                CHECK_MSG(plan->decode_tok_s >= decode * (1 - 1e-9), "%llu MiB: %g tok/s, not %g",
                          (unsigned long long)(want.vram / MIB), plan->decode_tok_s, decode);
            compared += before > 0;
            before = time;
            decode = plan->decode_tok_s;
            on_gpus = plan->n_gpus;
            eng_plan_free(plan);
        }
        free((void *)h.data);
    }
    CHECK(compared > 200);
}

/* Of the named minimum, neither less nor much more: what is said is enough, and 2 % less is not. */
static void refusals_name_the_least(void)
{
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    EngPlanSettings want = eng_plan_defaults();
    EngError err = {0};
    want.vram = 300 * MIB;
    want.dram = 64 * GIB;
    want.context = 16384;
    CHECK(!eng_plan(&h, 1, &want, &err));
    CHECK_INT(err.code, ENG_ERR_MEMORY);
    CHECK(strstr(err.message, "shorten the context") && strstr(err.message, "0.29 GiB"));
    double least = 0;
    CHECK_MSG(sscanf(err.message, "At least %lf GiB of VRAM", &least) == 1, "%s", err.message);
    want.vram = (uint64_t)(least * (double)GIB);
    EngPlan *plan = eng_plan(&h, 1, &want, &err);
    CHECK_MSG(plan, "%s", err.message);
    eng_plan_free(plan);
    want.vram -= want.vram / 50;
    CHECK(!eng_plan(&h, 1, &want, NULL));
    want.vram = 0;
    want.dram = 10 * MIB;
    CHECK(!eng_plan(&h, 1, &want, &err));
    CHECK_INT(err.code, ENG_ERR_MEMORY);
    CHECK(strstr(err.message, "DRAM") != NULL);
    free((void *)h.data);
}

static void settings_out_of_range_are_refused(void)
{
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    EngPlanSettings bad[] = {{.context = -1},      {.batch = 20000}, {.batch = -1}, {.nodes = 99},
                             {.context = 1 << 30}, {.gpus = 5},      {.gpus = -1},  {.prompt = -1},
                             {.answer = -1},       {.depth = -1}};
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        EngError err = {0};
        CHECK(!eng_plan(&h, 1, &bad[i], &err));
        CHECK_INT(err.code, ENG_ERR_USAGE);
    }
    free((void *)h.data);
}

/* By value: what is read whole comes before experts, and these before the token table. */
static void vram_is_filled_by_value(void)
{
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    EngPlanSettings want = eng_plan_defaults();
    want.speeds = (EngPlanSpeeds){50, 1000, 800, 80000, 25, 2};
    want.dram = 64 * GIB;
    want.batch = 512;
    bool some_dense = false, head = false, experts = false;
    for (want.vram = 600 * MIB; want.vram < 8 * GIB; want.vram += 16 * MIB) {
        EngPlan *plan = eng_plan(&h, 1, &want, NULL);
        if (!plan) continue;
        CHECK_INT(sum(plan, ENG_PLAN_ATTENTION, ENG_PLACE_CPU), 0);
        CHECK_INT(sum(plan, ENG_PLAN_SHARED, ENG_PLACE_CPU), 0);
        CHECK_INT(sum(plan, ENG_PLAN_TABLE, ENG_PLACE_GPU), 0);
        bool all_dense = sum(plan, ENG_PLAN_DENSE, ENG_PLACE_CPU) == 0;
        bool has_head = sum(plan, ENG_PLAN_HEAD, ENG_PLACE_GPU) > 0;
        CHECK(!has_head || all_dense);
        int layers = plan->expert_layers_in_vram;
        CHECK(layers == 0 || has_head);
        CHECK_INT(plan->expert_layers, shape.layers - shape.dense);
        uint64_t there = sum(plan, ENG_PLAN_EXPERTS, ENG_PLACE_GPU);
        CHECK_INT(layers > 0, there > 0);
        CHECK_INT(there % (uint64_t)ENG_MAX(1, layers), 0);
        some_dense |= !all_dense && sum(plan, ENG_PLAN_DENSE, ENG_PLACE_GPU) > 0;
        head |= has_head && layers == 0;
        experts |= layers > plan->expert_layers / 2;
        eng_plan_free(plan);
    }
    CHECK(some_dense && head && experts);
    free((void *)h.data);
}

/* Layers that follow each other on each GPU, the head behind the last, and a token quicker with
 * what both hold. */
static void several_gpus(void)
{
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    EngPlanSettings want = eng_plan_defaults();
    want.speeds = (EngPlanSpeeds){50, 1000, 800, 80000, 25, 2};
    want.dram = 64 * GIB;
    want.batch = 512;
    want.vram = 2 * GIB;
    EngPlan *one = eng_plan(&h, 1, &want, NULL);
    want.gpus = 2;
    EngPlan *two = eng_plan(&h, 1, &want, NULL);
    CHECK(one && two);
    CHECK_INT(one->n_gpus, 1);
    CHECK_INT(two->n_gpus, 2);
    CHECK_MSG(strncmp(two->gpu, "2 x ", 4) == 0, "%s", two->gpu);
    CHECK(two->expert_layers_in_vram > one->expert_layers_in_vram);
    CHECK(two->decode_tok_s > one->decode_tok_s);
    int at = 0;
    for (size_t i = 0; i < two->n_ops; i++) {
        EngPlace place = eng_plan_device(two, i);
        if (place.kind != ENG_PLACE_GPU) continue;
        CHECK(place.index >= at);
        at = place.index;
    }
    CHECK_INT(at, 1);
    uint64_t head[2] = {0};
    for (size_t i = 0; i < two->n_rows; i++)
        if (two->rows[i].kind == ENG_PLAN_HEAD && two->rows[i].place.kind == ENG_PLACE_GPU)
            head[two->rows[i].place.index] += two->rows[i].bytes;
    CHECK(head[0] == 0 && head[1] > 0);
    eng_plan_free(one);
    eng_plan_free(two);
    free((void *)h.data);
}

/* ---- experts that prompts send --------------------------------------------------------------- */

/* DeepSeek-R1 in Q4_K_M's main types. */
static EngHeader r1(void)
{
    Shape s = {.layers = 61,
               .dense = 3,
               .embd = 7168,
               .ff = 18432,
               .ff_expert = 2048,
               .experts = 256,
               .used = 8,
               .shared = 1,
               .heads = 128,
               .vocab = 129280,
               .latent = true,
               .head = true,
               .type = "Q4_K"};
    return header_of(&s);
}

/* 24 GB hold its attention and a context of 128 K in bytes, and the slots; more room, longer
 * chunks. Sending pays where the bus is fast enough. */
static void experts_are_sent_where_it_pays(void)
{
    EngHeader h = r1();
    EngError err = {0};
    EngPlanSettings want = eng_plan_defaults();
    want.speeds = (EngPlanSpeeds){300, 10000, 800, 80000, 25, 2};
    want.vram = 24 * GIB;
    want.dram = 512 * GIB;
    want.context = 131072;
    want.kv = ENG_KV_Q8_0;
    EngPlan *plan = eng_plan(&h, 1, &want, &err);
    CHECK_MSG(plan && *plan->gpu, "%s", err.message);
    if (!plan) return;
    CHECK(plan->streams && plan->batch >= 2048);
    CHECK(sum(plan, -1, ENG_PLACE_GPU) + plan->vram_reserve <= 24 * GIB);
    CHECK_STR(plan->prefill_term, "PCIe");
    want.streaming = ENG_STREAM_CPU;
    EngPlan *without = eng_plan(&h, 1, &want, &err);
    CHECK(without && !without->streams);
    CHECK(without->prefill_tok_s < plan->prefill_tok_s);
    want.streaming = ENG_STREAM_AUTO;
    want.vram = 48 * GIB;
    EngPlan *larger = eng_plan(&h, 1, &want, &err);
    CHECK(larger && larger->streams && larger->batch > plan->batch);
    want.speeds.pcie_gb_s = 0.2;
    EngPlan *slow = eng_plan(&h, 1, &want, &err);
    CHECK(slow && !slow->streams);
    eng_plan_free(plan), eng_plan_free(without), eng_plan_free(larger), eng_plan_free(slow);
    free((void *)h.data);
}

static int chunk_of(const EngHeader *h, const EngPlanSettings *want, uint64_t *ret_buffers)
{
    EngError err = {0};
    EngPlan *plan = eng_plan(h, 1, want, &err);
    CHECK_MSG(plan, "%s", err.message);
    int batch = plan ? plan->batch : 0;
    uint64_t buffers = plan ? sum(plan, ENG_PLAN_BUFFERS, -1) : 0;
    uint64_t others = plan ? sum(plan, -1, ENG_PLACE_CPU) - buffers : 0;
    uint64_t left = want->dram > others ? want->dram - others : 0;
    CHECK_MSG(batch <= 512 || want->batch || buffers <= ENG_MAX(want->dram / 32, left / 4),
              "%d tokens take %llu MiB", batch, (unsigned long long)(buffers / MIB));
    if (ret_buffers) *ret_buffers = buffers;
    eng_plan_free(plan);
    return batch;
}

/* With 256 experts the CPU reads more at once than with 16 of which each token meets half; but only
 * where that is a small part of memory, or of what is free, and pushes no weights out of it. */
static void the_cpu_reads_more_where_it_pays(void)
{
    EngHeader h = r1();
    EngPlanSettings want = eng_plan_defaults();
    uint64_t usual = 0, more = 0;
    want.no_gpu = true;
    want.speeds = (EngPlanSpeeds){200, 2000, 0, 0, 0, 2};
    want.context = 16384;
    want.dram = 768 * GIB;
    CHECK(chunk_of(&h, &want, &more) >= 2048);
    want.batch = 512;
    CHECK_INT(chunk_of(&h, &want, &usual), 512);
    CHECK(more > usual);
    want.batch = 0;
    want.context = 1500;
    CHECK_INT(chunk_of(&h, &want, NULL), 1024);
    want.context = 300;
    CHECK_INT(chunk_of(&h, &want, NULL), 300);
    want.context = 16384;
    for (want.dram = 8 * GIB; want.dram <= 512 * GIB; want.dram *= 2) {
        int batch = chunk_of(&h, &want, NULL);
        if (want.dram <= 16 * GIB) CHECK_INT(batch, 512);
    }
    /* so that it just fits: more would take it out of memory */
    for (want.dram = 360 * GIB; want.dram < 420 * GIB; want.dram += GIB) {
        EngPlan *plan = eng_plan(&h, 1, &want, NULL);
        want.batch = 512;
        EngPlan *less = eng_plan(&h, 1, &want, NULL);
        want.batch = 0;
        bool fits = less && sum(less, -1, ENG_PLACE_DISK) == 0;
        CHECK(plan && less && (!fits || sum(plan, -1, ENG_PLACE_DISK) == 0));
        eng_plan_free(plan), eng_plan_free(less);
    }
    free((void *)h.data);
    Shape few = large_shape();
    few.experts = 16, few.used = 8, few.latent = false, few.dense = few.shared = 0;
    h = header_of(&few);
    want.dram = 64 * GIB;
    CHECK_INT(chunk_of(&h, &want, NULL), 512);
    free((void *)h.data);
}

/* Over latents a chunk makes keys and values of all its past: with a long past that alone is worth
 * larger chunks, with a short one it is not. Without latents attention takes the same in any. */
static void the_past_is_expanded_seldom(void)
{
    Shape shape = large_shape();
    shape.heads = 64, shape.experts = 16, shape.used = 8, shape.dense = shape.shared = 0;
    EngPlanSettings want = eng_plan_defaults();
    want.no_gpu = true;
    want.speeds = (EngPlanSpeeds){200, 2000, 0, 0, 0, 2};
    want.dram = 64 * GIB;
    for (int latent = 0; latent < 2; latent++) {
        shape.latent = latent;
        EngHeader h = header_of(&shape);
        want.context = 16384;
        int batch = chunk_of(&h, &want, NULL);
        CHECK_MSG(latent ? batch >= 2048 : batch == 512, "%d", batch);
        want.context = 600;
        CHECK_INT(chunk_of(&h, &want, NULL), 512);
        want.context = 16384, want.dram = 8 * GIB; /* its 1/32 alone would not do */
        CHECK_INT(chunk_of(&h, &want, NULL), latent ? 2048 : 512);
        want.dram = 2 * GIB;
        CHECK_INT(chunk_of(&h, &want, NULL), 512);
        want.dram = 64 * GIB;
        free((void *)h.data);
    }
    /* what attention takes in any chunk hides no gain */
    shape.experts = 128, shape.latent = false;
    EngHeader h = header_of(&shape);
    want.context = 2048;
    int batch = chunk_of(&h, &want, NULL);
    CHECK(batch > 512);
    want.context = 16384;
    CHECK_MSG(chunk_of(&h, &want, NULL) >= batch, "less than %d", batch);
    free((void *)h.data);
}

/* 58 layers of DeepSeek-R1's experts. */
static EngRegimes regimes_of(EngPlanSpeeds speeds)
{
    EngOp op = {.kind = ENG_OP_EXPERTS};
    EngWeight *w[] = {&op.experts.gate, &op.experts.up, &op.experts.down};
    for (int i = 0; i < 3; i++)
        *w[i] = (EngWeight){.cols = i < 2 ? 7168 : 2048,
                            .rows = i < 2 ? 2048 : 7168,
                            .mats = 256,
                            .row_bytes = i < 2 ? 4032 : 1152};
    op.experts.n_used = 8;
    EngRegimes r = {.speeds = speeds};
    CHECK_INT(eng_regime_choose(&r, 16384), ENG_STREAM_CPU); /* there are none */
    for (int i = 0; i < 58; i++) eng_regimes_add(&r, &op);
    return r;
}

/* A GPU that multiplies slower than its plan thought is sent less, down to nothing, but a single
 * measurement does not keep it out; a faster one is sent more. */
static void the_regime_learns_the_gpus_speed(void)
{
    const EngPlanSpeeds speeds = {300, 3000, 800, 80000, 25, 2};
    EngRegimes r = regimes_of(speeds);
    const int n = 8192;
    CHECK_INT(eng_regime_choose(&r, n), ENG_STREAM_ALL);
    double sent = eng_regime_seconds(&r, ENG_STREAM_ALL, n);
    double cpu = eng_regime_seconds(&r, ENG_STREAM_CPU, n);
    for (int i = 0; i < 40; i++) eng_regimes_sent(&r, 25, 80000); /* as planned */
    CHECK(fabs(eng_regime_seconds(&r, ENG_STREAM_ALL, n) / sent - 1) < 1e-9);
    eng_regimes_sent(&r, 25, 1);
    CHECK(r.gpu == 1.0 / 8 && r.gpu * r.gpu == 1.0 / ENG_REGIME_MOST);
    CHECK_INT(eng_regime_choose(&r, n), ENG_STREAM_ALL);
    for (int i = 0; i < 40; i++) eng_regimes_sent(&r, 25, 80000 / 40.0);
    CHECK(fabs(r.gpu * 40 - 1) < 1e-6);
    CHECK_INT(eng_regime_choose(&r, n), ENG_STREAM_CPU);
    CHECK_MSG(eng_regime_seconds(&r, ENG_STREAM_ALL, n) > cpu, "%.0f s, and the CPU %.0f s",
              eng_regime_seconds(&r, ENG_STREAM_ALL, n), cpu);
    eng_regimes_cpu_took(&r, n, cpu); /* which tells nothing new */
    CHECK_INT(eng_regime_choose(&r, n), ENG_STREAM_CPU);
    eng_regimes_sent(&r, 0, 0); /* nor does this */
    CHECK_INT(eng_regime_choose(&r, n), ENG_STREAM_CPU);
    r = regimes_of(speeds);
    int least = 1, with = 1;
    while (eng_regime_choose(&r, least) == ENG_STREAM_CPU) least++;
    for (int i = 0; i < 40; i++) eng_regimes_sent(&r, 1000, 1e9);
    CHECK(r.gpu <= ENG_REGIME_MOST && r.bus <= 1000.0 / 25 * 1.0001);
    while (eng_regime_choose(&r, with) == ENG_STREAM_CPU) with++;
    CHECK_MSG(with < least, "from %d tokens on, not %d", with, least);
}

/* A few tokens on the CPU, then those used, then all; each where its seconds are the least, and
 * where a measurement moves that. */
static void the_regime_follows_the_seconds(void)
{
    EngRegimes r = regimes_of((EngPlanSpeeds){300, 3000, 800, 80000, 25, 2});
    CHECK(fabs(r.bytes / (58.0 * 256 * 3 * 2048 * 4032) - 1) < 1e-9);
    EngStreaming before = ENG_STREAM_CPU;
    bool seen[ENG_STREAMINGS] = {false};
    for (int n = 1; n <= 16384; n += 1 + n / 16) {
        EngStreaming s = eng_regime_choose(&r, n);
        CHECK_MSG(s >= before, "%d tokens: %s", n, eng_streaming_name(s));
        double cpu = eng_regime_seconds(&r, ENG_STREAM_CPU, n);
        CHECK_INT(s == ENG_STREAM_CPU, eng_regime_seconds(&r, ENG_STREAM_USED, n) >= cpu);
        seen[before = s] = true;
    }
    CHECK(seen[ENG_STREAM_CPU] && seen[ENG_STREAM_ALL] && !seen[ENG_STREAM_AUTO]);
    CHECK_INT(eng_regime_choose(&r, 8), ENG_STREAM_CPU);
    eng_regimes_cpu_took(&r, 8, 100 * eng_regime_seconds(&r, ENG_STREAM_CPU, 8));
    CHECK_INT(eng_regime_choose(&r, 8), ENG_STREAM_USED);
    CHECK_INT(eng_regime_choose(&r, 4096), ENG_STREAM_ALL);
    for (int i = 0; i < 4; i++) eng_regimes_sent(&r, 0.01, 0);
    CHECK_INT(eng_regime_choose(&r, 4096), ENG_STREAM_CPU);
    r.only = ENG_STREAM_USED;
    CHECK_INT(eng_regime_choose(&r, 4096), ENG_STREAM_USED);
    EngStreaming named = ENG_STREAM_AUTO;
    CHECK(eng_streaming("all", &named) && named == ENG_STREAM_ALL &&
          !eng_streaming("some", &named));
}

/* Used or all, wherever the CPU is out of it: nothing to hide copies behind, few are used; much to
 * hide them behind, or none left out, all come. Where products are the longer, copies cost nothing.
 */
static void used_or_all_is_what_costs_less(void)
{
    const EngPlanSpeeds speeds = {1, 1, 800, 80000, 25, 2};
    EngWeight wide = {.cols = 7168, .rows = 1 << 20, .mats = 1};
    EngOp other = {.kind = ENG_OP_LINEAR};
    other.linear.n = 1, other.linear.w[0] = wide;
    EngRegimes r = regimes_of(speeds);
    for (int n = 1; n <= 16384; n *= 2) {
        double used = eng_regime_seconds(&r, ENG_STREAM_USED, n);
        double all = eng_regime_seconds(&r, ENG_STREAM_ALL, n);
        CHECK_INT(eng_regime_choose(&r, n), used < all ? ENG_STREAM_USED : ENG_STREAM_ALL);
    }
    CHECK_INT(eng_regime_choose(&r, 64), ENG_STREAM_USED);
    CHECK_INT(eng_regime_choose(&r, 100),
              ENG_STREAM_USED); /* 96 % of them: nothing hides the rest */
    CHECK_INT(eng_regime_choose(&r, 1024), ENG_STREAM_ALL);
    for (int i = 0; i < 58; i++) eng_regimes_beside(&r, &other);
    CHECK_INT(r.beside > 0, true);
    CHECK_INT(eng_regime_choose(&r, 100), ENG_STREAM_ALL);
    CHECK_INT(eng_regime_choose(&r, 1), ENG_STREAM_USED);
    r = regimes_of((EngPlanSpeeds){1, 1, 800, 10, 25, 2});
    CHECK_INT(eng_regime_choose(&r, 8), ENG_STREAM_ALL);
}

/* ---- kernels --------------------------------------------------------------------------------- */

/* Different for each format, and higher with more tokens. */
static double kernel_speed(void *of, const char *type, double tokens)
{
    (void)of;
    return (100 + 40 * (double)eng_type_named(type)) * tokens / (tokens + 7);
}

/* Seconds of a chunk's products by the file's directory. */
static double seconds_of(const Shape *s, double read_gb_s, double tokens, bool head)
{
    double chosen = (double)s->used / s->experts, at_work = 1 - pow(1 - chosen, tokens), sum = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        const EngTensorShape *t = &tensors[i];
        bool table = strstr(t->name, "token_embd"), experts = strstr(t->name, "_exps");
        bool is_head = table ? !s->head : !strncmp(t->name, "output.", 7);
        if (t->n_dims < 2 || (table && !is_head) || (is_head && !head)) continue;
        double rows = (double)t->shape[1] * (double)ENG_MAX(t->shape[2], 1);
        double share = experts ? at_work : 1;
        double each = is_head ? 1 : experts ? tokens * chosen / at_work : tokens;
        double bytes = rows * (double)eng_row_bytes(eng_type_named(t->type), t->shape[0]);
        double products = rows * (double)t->shape[0] * each;
        sum += share * ENG_MAX(bytes * 1e-9 / read_gb_s,
                               2e-9 * products / kernel_speed(NULL, t->type, each));
    }
    return sum;
}

/* A token and a prompt take the sum of their products, each with the tokens that it meets, the head
 * once, and of the attention. */
static void kernels_add_up(void)
{
    for (int i = 0; i < 60; i++) {
        Shape shape = any_shape();
        shape.old_form = false; /* its weights are in no directory */
        EngHeader h = header_of(&shape);
        EngPlanKernels kernels = {kernel_speed, NULL, 400};
        EngPlanSettings want = any_machine();
        want.dram = 1024 * GIB, want.no_gpu = true;
        want.batch = test_range(1, 600), want.prompt = test_range(1, 2000);
        want.answer = test_range(1, 100), want.depth = test_range(0, 9000);
        want.speeds.kernels = &kernels;
        EngError err = {0};
        EngPlan *plan = eng_plan(&h, 1, &want, &err);
        CHECK_MSG(plan && !plan->speeds.kernels, "%s", err.message);
        if (!plan) continue;
        double width = shape.latent ? RANK + ROPE + RANK : 2 * 64;
        double seen = 2e-9 * width * shape.heads * shape.layers / kernels.attention;
        double gb_s = want.speeds.dram_gb_s;
        double token =
            seconds_of(&shape, gb_s, 1, true) + seen * (want.depth + want.answer / 2.0 + 32);
        CHECK_MSG(fabs(plan->decode_tok_s * token - 1) < 1e-6, "%g", plan->decode_tok_s * token);
        double prompt = seen * want.prompt * (want.depth + want.prompt / 2.0 + 32);
        for (int at = 0, n; at < want.prompt; at += n) {
            n = ENG_MIN(want.batch, want.prompt - at);
            prompt += seconds_of(&shape, gb_s, n, at + n == want.prompt);
        }
        double part = plan->prefill_tok_s * prompt / want.prompt;
        if (!shape.latent) /* which prompts expand, as products of their own */
            CHECK_MSG(fabs(part - 1) < 1e-6, "%g", part);
        eng_plan_free(plan);
        free((void *)h.data);
    }
}

static double slow_kernel(void *of, const char *type, double tokens)
{
    (void)of, (void)type, (void)tokens;
    return 10;
}

/* What a GPU gains is weighed by the CPU's own kernels, where these are known. */
static void kernels_decide_what_gains(void)
{
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    EngPlanKernels slow = {slow_kernel, NULL, 400};
    EngPlanSettings want = eng_plan_defaults();
    want.speeds = (EngPlanSpeeds){2000, 1e6, 200, 80000, 25, 2, NULL};
    want.vram = 6 * GIB, want.dram = 64 * GIB, want.batch = 512;
    want.rules = "attn device=gpu0";
    for (int known = 0; known < 2; known++) {
        EngError err = {0};
        want.speeds.kernels = known ? &slow : NULL;
        EngPlan *plan = eng_plan(&h, 1, &want, &err);
        CHECK_MSG(plan && plan->n_gpus == 1, "%s", err.message);
        if (!plan) continue;
        CHECK_INT(sum(plan, ENG_PLAN_DENSE, ENG_PLACE_GPU) > 0, known);
        CHECK_INT(sum(plan, ENG_PLAN_HEAD, ENG_PLACE_GPU) > 0, known);
        CHECK_INT(plan->expert_layers_in_vram, known ? plan->expert_layers : 0);
        eng_plan_free(plan);
    }
    free((void *)h.data);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"bytes add up", bytes_add_up},
        {"more VRAM is never slower", more_vram_is_never_slower},
        {"experts are sent where it pays", experts_are_sent_where_it_pays},
        {"the CPU reads more where it pays", the_cpu_reads_more_where_it_pays},
        {"the past is expanded seldom", the_past_is_expanded_seldom},
        {"the regime follows the seconds", the_regime_follows_the_seconds},
        {"used or all is what costs less", used_or_all_is_what_costs_less},
        {"the regime learns the GPU's speed", the_regime_learns_the_gpus_speed},
        {"refusals name the least", refusals_name_the_least},
        {"settings out of range are refused", settings_out_of_range_are_refused},
        {"VRAM is filled by value", vram_is_filled_by_value},
        {"several GPUs", several_gpus},
        {"kernels add up", kernels_add_up},
        {"kernels decide what gains", kernels_decide_what_gains},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
