/* The header of a small Mixture of Experts that nobody trained, for eng_model_rehearse: its
 * matrices are all of one type, its heads are blocks of 32 numbers, whatever the family, and all
 * its experts are used, for a rounding must not choose another. */
#ifndef THOUGHT_MODEL_H
#define THOUGHT_MODEL_H

#include "engine.h"
#include "test.h"
#include "tensors.h"

enum { EMBD = 512, VOCAB = 300, FF = 256, EXPERTS = 4, LAYERS = 2 };
enum { RANK = 256, ROPE = 32, NOPE = 32, HEADS = 8, VALUE = 32 }; /* of latent attention */

static void add_grouped_attention(const char *type, int i)
{
    add(type, i, "attn_q.weight", EMBD, EMBD, 0);
    add(type, i, "attn_k.weight", EMBD, EMBD / 4, 0);
    add(type, i, "attn_v.weight", EMBD, EMBD / 4, 0);
    add("F32", i, "attn_q_norm.weight", EMBD / HEADS, 0, 0);
    add("F32", i, "attn_k_norm.weight", EMBD / HEADS, 0, 0);
    add(type, i, "attn_output.weight", EMBD, EMBD, 0);
}

static void add_latent_attention(const char *type, int i)
{
    add(type, i, "attn_q.weight", EMBD, HEADS * (NOPE + ROPE), 0);
    add(type, i, "attn_kv_a_mqa.weight", EMBD, RANK + ROPE, 0);
    add("F32", i, "attn_kv_a_norm.weight", RANK, 0, 0);
    const char *of_32 = strcmp(type, "F32") == 0 ? type : "Q8_0";
    add(of_32, i, "attn_k_b.weight", NOPE, RANK, HEADS);
    add(type, i, "attn_v_b.weight", RANK, VALUE, HEADS);
    add(type, i, "attn_output.weight", HEADS * VALUE, EMBD, 0);
}

static int unread_rows; /* of a table that nobody reads, 4 KiB each */

static void add_tensors(const char *type, bool latent)
{
    n_tensors = 0;
    if (unread_rows) add("F32", 0, "attn_rot_embd.weight", 1024, unread_rows, 0);
    add(type, -1, "token_embd.weight", EMBD, VOCAB, 0);
    add("F32", -1, "output_norm.weight", EMBD, 0, 0);
    for (int i = 0; i < LAYERS; i++) {
        add("F32", i, "attn_norm.weight", EMBD, 0, 0);
        (latent ? add_latent_attention : add_grouped_attention)(type, i);
        add("F32", i, "ffn_norm.weight", EMBD, 0, 0);
        add("F32", i, "ffn_gate_inp.weight", EMBD, EXPERTS, 0);
        add(type, i, "ffn_gate_exps.weight", EMBD, FF, EXPERTS);
        add(type, i, "ffn_up_exps.weight", EMBD, FF, EXPERTS);
        add(type, i, "ffn_down_exps.weight", FF, EMBD, EXPERTS);
    }
}

typedef struct {
    const char *key;
    double number;
} Number;

static size_t add_numbers(EngMetaValue *values, char keys[][64], const char *family,
                          const Number *numbers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], "%s.%s", family, numbers[i].key);
        bool whole = numbers[i].number == (double)(int)numbers[i].number;
        values[i] = (EngMetaValue){.key = keys[i], .number = numbers[i].number, .whole = whole};
    }
    return n;
}

/* `family`: "qwen3moe" or "deepseek2". free() its data. */
static inline EngHeader thought_model(const char *family, const char *type)
{
    static const Number all[] = {
        {"block_count", LAYERS},         {"embedding_length", EMBD},
        {"attention.head_count", HEADS}, {"expert_count", EXPERTS},
        {"expert_used_count", EXPERTS},  {"expert_feed_forward_length", FF},
        {"rope.freq_base", 12345.5}};
    static const Number grouped[] = {{"attention.head_count_kv", 2}};
    static const Number latent[] = {{"attention.key_length_mla", NOPE + ROPE},
                                    {"attention.value_length_mla", VALUE},
                                    {"attention.key_length", RANK + ROPE},
                                    {"attention.value_length", RANK},
                                    {"attention.kv_lora_rank", RANK},
                                    {"rope.dimension_count", ROPE},
                                    {"attention.head_count_kv", 1}};
    bool is_latent = strcmp(family, "deepseek2") == 0;
    char keys[TEST_COUNT(all) + TEST_COUNT(latent)][64];
    EngMetaValue values[TEST_COUNT(all) + TEST_COUNT(latent) + 2] = {
        {.key = "general.architecture", .text = family},
        {.key = "general.name", .text = "Rehearsed"}};
    size_t n = 2 + add_numbers(values + 2, keys, family, all, TEST_COUNT(all));
    n += add_numbers(values + n, keys + n - 2, family, is_latent ? latent : grouped,
                     is_latent ? TEST_COUNT(latent) : TEST_COUNT(grouped));
    add_tensors(type, is_latent);
    EngHeader header = {0};
    EngError err = {0};
    CHECK_MSG(eng_header_write(values, n, tensors, n_tensors, &header, &err), "%s", err.message);
    return header;
}

#endif
