/* Models to plan for: headers alone. */
#ifndef TESTS_UNIT_PLANS_H
#define TESTS_UNIT_PLANS_H

#include "load/gguf.h"
#include "plan/outline.h"
#include "test.h"

#include "../model/tensors.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

typedef struct {
    int layers, dense, embd, ff, ff_expert, experts, used, shared, heads, vocab;
    bool latent, old_form, head;
    const char *type;
} Shape;

enum { ROPE = 64, NOPE = 64, VALUE = 64, RANK = 256 };

static void add_attention(const Shape *s, int i)
{
    if (!s->latent) {
        add(s->type, i, "attn_q.weight", s->embd, s->heads * 64, 0);
        add(s->type, i, "attn_k.weight", s->embd, 128, 0);
        add(s->type, i, "attn_v.weight", s->embd, 128, 0);
        add("F32", i, "attn_q_norm.weight", 64, 0, 0);
        add("F32", i, "attn_k_norm.weight", 64, 0, 0);
        add(s->type, i, "attn_output.weight", s->heads * 64, s->embd, 0);
        return;
    }
    add(s->type, i, "attn_q.weight", s->embd, s->heads * (NOPE + ROPE), 0);
    add(s->type, i, "attn_kv_a_mqa.weight", s->embd, RANK + ROPE, 0);
    add("F32", i, "attn_kv_a_norm.weight", RANK, 0, 0);
    if (s->old_form) {
        add(s->type, i, "attn_kv_b.weight", RANK, s->heads * (NOPE + VALUE), 0);
    } else {
        add("Q8_0", i, "attn_k_b.weight", NOPE, RANK, s->heads);
        add(s->type, i, "attn_v_b.weight", RANK, VALUE, s->heads);
    }
    add(s->type, i, "attn_output.weight", s->heads * VALUE, s->embd, 0);
}

static void add_feed_forward(const Shape *s, int i)
{
    add("F32", i, "ffn_norm.weight", s->embd, 0, 0);
    if (i < s->dense) {
        add(s->type, i, "ffn_gate.weight", s->embd, s->ff, 0);
        add(s->type, i, "ffn_up.weight", s->embd, s->ff, 0);
        add("Q6_K", i, "ffn_down.weight", s->ff, s->embd, 0);
        return;
    }
    add("F32", i, "ffn_gate_inp.weight", s->embd, s->experts, 0);
    add(s->type, i, "ffn_gate_exps.weight", s->embd, s->ff_expert, s->experts);
    add(s->type, i, "ffn_up_exps.weight", s->embd, s->ff_expert, s->experts);
    add("Q6_K", i, "ffn_down_exps.weight", s->ff_expert, s->embd, s->experts);
    if (s->shared == 0) return;
    add(s->type, i, "ffn_gate_shexp.weight", s->embd, s->ff_expert * s->shared, 0);
    add(s->type, i, "ffn_up_shexp.weight", s->embd, s->ff_expert * s->shared, 0);
    add(s->type, i, "ffn_down_shexp.weight", s->ff_expert * s->shared, s->embd, 0);
}

/* free() its data. */
static EngHeader header_of(const Shape *s)
{
    const char *family = s->latent ? "deepseek2" : "qwen3moe";
    bool absorbed = s->latent && !s->old_form;
    const struct {
        const char *key;
        int number; /* 0 = left out */
    } numbers[] = {{"block_count", s->layers},
                   {"embedding_length", s->embd},
                   {"feed_forward_length", s->ff},
                   {"context_length", 32768},
                   {"leading_dense_block_count", s->dense},
                   {"attention.head_count", s->heads},
                   {"attention.head_count_kv", s->latent ? absorbed ? 1 : s->heads : 2},
                   {"attention.key_length", absorbed    ? RANK + ROPE
                                            : s->latent ? NOPE + ROPE
                                                        : 64},
                   {"attention.value_length", absorbed ? RANK : 64},
                   {"attention.key_length_mla", absorbed ? NOPE + ROPE : 0},
                   {"attention.value_length_mla", absorbed ? VALUE : 0},
                   {"attention.kv_lora_rank", s->latent ? RANK : 0},
                   {"rope.dimension_count", s->latent ? ROPE : 0},
                   {"expert_count", s->experts},
                   {"expert_used_count", s->used},
                   {"expert_shared_count", s->shared},
                   {"expert_feed_forward_length", s->ff_expert}};
    char keys[TEST_COUNT(numbers)][64];
    EngMetaValue values[TEST_COUNT(numbers) + 1] = {
        {.key = "general.architecture", .text = family}};
    size_t n = 1;
    for (size_t i = 0; i < TEST_COUNT(numbers); i++) {
        if (numbers[i].number == 0) continue;
        snprintf(keys[i], sizeof keys[i], "%s.%s", family, numbers[i].key);
        values[n++] = (EngMetaValue){.key = keys[i], .number = numbers[i].number, .whole = true};
    }
    n_tensors = 0;
    add(s->type, -1, "token_embd.weight", s->embd, s->vocab, 0);
    add("F32", -1, "output_norm.weight", s->embd, 0, 0);
    if (s->head) add("Q6_K", -1, "output.weight", s->embd, s->vocab, 0);
    for (int i = 0; i < s->layers; i++) {
        add("F32", i, "attn_norm.weight", s->embd, 0, 0);
        add_attention(s, i);
        add_feed_forward(s, i);
    }
    EngHeader header = {0};
    EngError err = {0};
    CHECK_MSG(eng_header_write(values, n, tensors, n_tensors, &header, &err), "%s", err.message);
    return header;
}

/* A large model of 8 layers, the first two dense, with a shared expert. */
static Shape large_shape(void)
{
    return (Shape){.layers = 8,
                   .dense = 2,
                   .embd = 2048,
                   .ff = 8192,
                   .ff_expert = 1024,
                   .experts = 64,
                   .used = 6,
                   .shared = 1,
                   .heads = 16,
                   .vocab = 50000,
                   .latent = true,
                   .head = true,
                   .type = "Q4_K"};
}

/* Bytes of a kind, -1: of all, in a kind of place, -1: in all. */
static uint64_t sum(const EngPlan *plan, int kind, int place)
{
    uint64_t n = 0;
    for (size_t i = 0; i < plan->n_rows; i++)
        if ((kind < 0 || (int)plan->rows[i].kind == kind) &&
            (place < 0 || (int)plan->rows[i].place.kind == place))
            n += plan->rows[i].bytes;
    return n;
}

#endif
