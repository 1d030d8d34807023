/* Plans with rules, and what VRAM becomes that they leave. */
#include "base/num.h"
#include "plans.h"

static EngPlan *with_rules(const EngHeader *h, const char *rules, uint64_t vram, EngError *err)
{
    EngPlanSettings want = eng_plan_defaults();
    want.vram = vram;
    want.dram = 64 * GIB;
    want.nodes = 2;
    want.rules = rules;
    return eng_plan(h, 1, &want, err);
}

static void rules_decide(void)
{
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    EngError err = {0};
    EngPlan *plan = with_rules(&h,
                               "# experts of one layer, whole\n"
                               "blk\\.3\\.ffn_.*_exps device=gpu0\n"
                               "\n"
                               "_exps device=numa1 # all others\n"
                               "^token_embd device=disk layout=file\n",
                               4 * GIB, &err);
    CHECK_MSG(plan, "%s", err.message);
    if (!plan) return;
    uint64_t layer = 0, all = 0, table = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        EngType type = eng_type_named(tensors[i].type);
        uint64_t bytes = eng_row_bytes(type, tensors[i].shape[0]) * tensors[i].shape[1] *
                         ENG_MAX(tensors[i].shape[2], 1);
        if (strstr(tensors[i].name, "_exps")) all += bytes;
        if (strstr(tensors[i].name, "_exps") && strstr(tensors[i].name, "blk.3.")) layer += bytes;
        if (strstr(tensors[i].name, "token_embd")) table = bytes;
    }
    CHECK_INT(sum(plan, ENG_PLAN_EXPERTS, ENG_PLACE_GPU), layer);
    CHECK_INT(sum(plan, ENG_PLAN_TABLE, ENG_PLACE_DISK), table);
    for (size_t i = 0; i < plan->n_rows; i++)
        if (plan->rows[i].kind == ENG_PLAN_EXPERTS && plan->rows[i].place.kind == ENG_PLACE_CPU) {
            CHECK_INT(plan->rows[i].place.index, 1);
            CHECK_INT(plan->rows[i].bytes, all - layer);
        }
    EngGguf *gguf = eng_gguf_open_headers(&h, 1, &err);
    EngOutline *o = eng_outline_new(gguf, 0, 0, &err);
    CHECK_INT(plan->n_ops, o->graph.ops.n);
    int experts = shape.dense;
    for (size_t i = 0; i < plan->n_ops; i++) {
        EngPlace place = eng_plan_device(plan, i);
        EngOpKind kind = o->graph.ops.data[i].kind;
        if (kind == ENG_OP_EXPERTS)
            CHECK_INT(place.kind, experts++ == 3 ? ENG_PLACE_GPU : ENG_PLACE_CPU);
        if (kind == ENG_OP_ATTN || kind == ENG_OP_ROUTE || kind == ENG_OP_KV)
            CHECK_INT(place.kind, ENG_PLACE_GPU);
        if (kind == ENG_OP_EMBED) CHECK_INT(place.kind, ENG_PLACE_CPU);
    }
    CHECK_INT(experts, shape.layers);
    eng_outline_free(o);
    eng_gguf_free(gguf);
    eng_plan_free(plan);
    free((void *)h.data);
}

/* What of a plan is not about a cache. */
static void check_same(const EngPlan *a, const EngPlan *b)
{
    CHECK(a->decode_tok_s == b->decode_tok_s && a->prefill_tok_s == b->prefill_tok_s);
    CHECK(a->token_vram_bytes == b->token_vram_bytes);
    CHECK_INT(a->batch, b->batch);
    CHECK_INT(a->n_gpus, b->n_gpus);
    for (int kind = 0; kind < ENG_PLAN_KINDS; kind++)
        if (kind != ENG_PLAN_CACHE)
            CHECK_INT(sum(a, kind, ENG_PLACE_GPU), sum(b, kind, ENG_PLACE_GPU));
}

/* Bits: the layers whose single experts may be cached. */
static unsigned cached_layers(const EngHeader *h, const EngPlan *plan)
{
    EngError err = {0};
    unsigned layers = 0;
    EngGguf *gguf = eng_gguf_open_headers(h, 1, &err);
    EngOutline *o = eng_outline_new(gguf, 0, 0, &err);
    CHECK_INT(plan->n_ops, o->graph.ops.n);
    for (size_t i = 0; i < plan->n_ops; i++) {
        EngOpKind kind = o->graph.ops.data[i].kind;
        if (plan->caches[i]) CHECK(kind == ENG_OP_EXPERTS && plan->ops[i].kind != ENG_PLACE_GPU);
        if (plan->caches[i]) layers |= 1u << o->parts.data[o->op_parts[i]].layer;
    }
    eng_outline_free(o);
    eng_gguf_free(gguf);
    return layers;
}

/* With nothing said what VRAM is left caches experts, as many as there is room for, and nothing
 * else changes by that. */
static void what_is_left_is_a_cache(void)
{
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    EngError err = {0};
    uint64_t expert =
        2 * eng_row_bytes(ENG_TYPE_Q4_K, 2048) * 1024 + eng_row_bytes(ENG_TYPE_Q6_K, 1024) * 2048;
    int cached = 0, whole = 0;
    for (uint64_t vram = 7 * GIB / 8; vram < 3 * GIB; vram += 47 * MIB) {
        EngPlan *with = with_rules(&h, NULL, vram, &err);
        EngPlan *without = with_rules(&h, "experts=off", vram, &err);
        CHECK_MSG(with && without, "%s", err.message);
        if (!with || !without) break;
        check_same(with, without);
        CHECK_INT(sum(without, ENG_PLAN_CACHE, -1), 0);
        CHECK_INT(without->cached_experts, 0);
        uint64_t bytes = sum(with, ENG_PLAN_CACHE, ENG_PLACE_GPU);
        uint64_t all = sum(with, -1, ENG_PLACE_GPU) + with->vram_reserve;
        CHECK_INT(with->cache_policy, ENG_CACHE_LRU);
        CHECK(all <= vram && bytes >= expert * (uint64_t)with->cached_experts);
        int left = (with->expert_layers - with->expert_layers_in_vram) * shape.experts;
        CHECK(with->cached_experts <= left);
        if (*with->gpu && with->cached_experts < left) CHECK(vram - all < expert + 64 * 1024);
        CHECK_INT(__builtin_popcount(cached_layers(&h, with)) * shape.experts, left);
        cached += with->cached_experts > 0, whole += left == 0;
        eng_plan_free(with), eng_plan_free(without);
    }
    CHECK_MSG(cached > 10 && whole > 1, "%d plans with a cache, %d without need", cached, whole);
    free((void *)h.data);
}

/* Layers that rules are about have no part in it, but for a rule that asks for it. */
static void rules_keep_experts_out_of_the_cache(void)
{
    static const struct {
        const char *rules;
        unsigned layers; /* of 2 … 7 */
    } some[] = {
        {"_exps device=cpu", 0},
        {"blk.[2-6].ffn_down_exps device=numa1\nblk.[2-6].ffn_(up|gate)_exps device=numa1", 1 << 7},
        {"blk.3.*_exps device=gpu0\nblk.[567].*_exps device=cpu", 1 << 2 | 1 << 4},
        {"blk.3.*_exps device=gpu0\nblk.[567].*_exps device=cpu\nexperts=uniform",
         1 << 2 | 1 << 4 | 7 << 5},
        {"_exps device=cpu\nexperts=lru", 63 << 2},
        {"blk.[23].ffn_down_exps kernel=q6_k.c", 15 << 4},
    };
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    for (size_t i = 0; i < TEST_COUNT(some); i++) {
        EngError err = {0};
        EngPlan *plan = with_rules(&h, some[i].rules, 5 * GIB / 4, &err);
        CHECK_MSG(plan && plan->n_gpus == 1, "%s: %s", some[i].rules, err.message);
        if (!plan) continue;
        unsigned layers = cached_layers(&h, plan), whole = 0;
        for (size_t op = 0; op < plan->n_ops; op++) whole += plan->ops[op].kind == ENG_PLACE_GPU;
        CHECK_MSG(layers == some[i].layers, "%s: %#x", some[i].rules, layers);
        CHECK_INT(plan->cached_experts > 0, layers > 0);
        CHECK(sum(plan, -1, ENG_PLACE_GPU) + plan->vram_reserve <= plan->vram && whole > 0);
        eng_plan_free(plan);
    }
    free((void *)h.data);
}

/* A kernel of the GPU asks that its tensors lie there, one of the CPU that they do not. */
static void kernels_are_named_where_they_run(void)
{
    static const struct {
        const char *rules, *line, *word; /* NULL: it can be followed */
    } some[] = {
        {"ffn_(gate|up)_exps kernel=q4_k.cuda\nffn_down_exps kernel=q6_k.cuda", NULL, NULL},
        {"_exps device=cpu\nattn_output kernel=q4_k.cuda\n_(gate|up)_exps kernel=q4_k.c", NULL,
         NULL},
        {"_exps device=cpu\n_(gate|up)_exps kernel=q4_k.cuda", "Line 2 ", "is one of the GPU"},
        {"\n_exps device=disk\n_down_exps kernel=q6_k.cuda", "Line 3 ", "does not lie on the GPU"},
        {"attn_output kernel=q4_k.c", "Line 1 ", "is one of the CPU"},
        {"attn_output kernel=q6_k.cuda", "Line 1 ", "is for Q6_K"},
        {"attn_output kernel=q4_k.metal", "Line 1 ", "q4_k.c, "},
        {"attn_output kernel=q4_k.metal", "Line 1 ", "q4_k.cuda"},
    };
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    for (size_t i = 0; i < TEST_COUNT(some); i++) {
        EngError err = {0};
        EngPlan *plan = with_rules(&h, some[i].rules, 4 * GIB, &err);
        CHECK_MSG(!plan == (some[i].line != NULL), "%s: %s", some[i].rules, err.message);
        if (some[i].line)
            CHECK_MSG(err.code == ENG_ERR_USAGE && strstr(err.message, some[i].line) &&
                          strstr(err.message, some[i].word),
                      "%s: %s", some[i].rules, err.message);
        const char *name = "";
        int matrices = 0;
        if (plan && i == 0) {
            CHECK(eng_plan_kernel(plan, 0, &name, &matrices));
            CHECK_STR(name, "q4_k.cuda");
            CHECK_INT(matrices, 2 * (shape.layers - shape.dense));
            CHECK(eng_plan_kernel(plan, 1, &name, &matrices));
            CHECK_STR(name, "q6_k.cuda");
            CHECK_INT(matrices, shape.layers - shape.dense);
            CHECK(!eng_plan_kernel(plan, 2, &name, &matrices));
        }
        eng_plan_free(plan);
    }
    EngPlanSettings want = eng_plan_defaults();
    EngError err = {0};
    want.no_gpu = true, want.dram = 64 * GIB, want.rules = "attn_output kernel=q4_k.cuda";
    CHECK(!eng_plan(&h, 1, &want, &err));
    CHECK_MSG(strstr(err.message, "there is none here") && strstr(err.message, "q4_k.c") &&
                  !strstr(err.message, "has q4_k.cuda"),
              "%s", err.message);
    free((void *)h.data);
}

static void rules_that_cannot_be_followed(void)
{
    static const struct {
        const char *rules, *line, *word;
    } bad[] = {
        {"_exps device=cpu\nnothing_is_called_so device=cpu", "Line 2 ", "nothing_is_called_so"},
        {"_exps device=gpu1", "Line 1 ", "gpu0, cpu, disk or numa0 to numa1"},
        {"_exps device=numa2", "Line 1 ", "numa2"},
        {"\n\n_exps device=", "Line 3 ", "device"},
        {"_exps device=cpu device=disk", "Line 1 ", "two devices"},
        {"_exps kernel=fast", "Line 1 ", "fast"},
        {"_exps layout=rows", "Line 1 ", "rows"},
        {"_exps place=cpu", "Line 1 ", "place=cpu"},
        {"_exps", "Line 1 ", "says nothing"},
        {"plugin=none.so", "Line 1 ", "none.so"},
        {"_ex(ps device=cpu", "Line 1 ", "regular expression"},
        {"(.*)*(.*)*(.*)*x$|(a*)*b\\1 device=cpu", "Line 1 ", ""},
        {"blk.3.attn_q.weight device=cpu", "Line 1 ", "multiplied together"},
    };
    Shape shape = large_shape();
    EngHeader h = header_of(&shape);
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        EngError err = {0};
        EngPlan *plan = with_rules(&h, bad[i].rules, 4 * GIB, &err);
        CHECK_MSG(!plan, "%s", bad[i].rules);
        CHECK_INT(err.code, ENG_ERR_USAGE);
        CHECK_MSG(strstr(err.message, bad[i].line) && strstr(err.message, bad[i].word), "%s: %s",
                  bad[i].rules, err.message);
        eng_plan_free(plan);
    }
    EngError err = {0};
    EngPlan *plan = with_rules(&h, "_exps device=gpu0", 0, &err);
    if (!plan) CHECK(strstr(err.message, "no GPU") || err.code == ENG_ERR_MEMORY);
    eng_plan_free(plan);
    plan = with_rules(&h, "_exps device=gpu0", GIB, &err);
    CHECK(!plan && err.code == ENG_ERR_MEMORY);
    free((void *)h.data);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {
        {"rules decide", rules_decide},
        {"what is left is a cache", what_is_left_is_a_cache},
        {"rules keep experts out of the cache", rules_keep_experts_out_of_the_cache},
        {"kernels are named where they run", kernels_are_named_where_they_run},
        {"rules that cannot be followed", rules_that_cannot_be_followed},
    };
    return test_main(argc, argv, tests, TEST_COUNT(tests));
}
