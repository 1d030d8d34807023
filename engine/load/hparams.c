#include "load/hparams.h"

#include <math.h>
#include <string.h>

#include "base/num.h"

/* One row per number. `min` … `max` also bounds what a missing key's default may be replaced by. */
typedef struct {
    const char *key;
    size_t field; /* offset of an int */
    int missing, min, max;
} IntKey;

typedef struct {
    const char *key;
    size_t field; /* offset of a float */
    float missing, min, max;
} FloatKey;

#define REQUIRED (-1)
#define F(name) offsetof(EngHparams, name)

static const IntKey int_keys[] = {
    {"%s.block_count", F(n_layers), REQUIRED, 1, 4096},
    {"%s.nextn_predict_layers", F(n_layers_extra), 0, 0, 64},
    {"%s.embedding_length", F(n_embd), REQUIRED, 1, 1 << 20},
    {"%s.feed_forward_length", F(n_ff), 0, 0, 1 << 22},
    {"%s.attention.head_count", F(n_heads), REQUIRED, 1, 8192},
    {"%s.attention.head_count_kv", F(n_heads_kv), 0, 0, 8192},
    {"%s.attention.key_length", F(head_k), 0, 0, 1 << 16},
    {"%s.attention.value_length", F(head_v), 0, 0, 1 << 16},
    {"%s.context_length", F(context_trained), 0, 0, 1 << 30},
    {"%s.rope.dimension_count", F(rope_dims), 0, 0, 1 << 16},
    {"%s.rope.scaling.original_context_length", F(rope_context), 0, 0, 1 << 30},
    {"%s.expert_count", F(n_experts), 0, 0, 4096},
    {"%s.expert_used_count", F(n_experts_used), 0, 0, 4096},
    {"%s.expert_shared_count", F(n_experts_shared), 0, 0, 256},
    {"%s.expert_feed_forward_length", F(n_ff_expert), 0, 0, 1 << 22},
    {"%s.expert_shared_feed_forward_length", F(n_ff_shared), 0, 0, 1 << 22},
    {"%s.leading_dense_block_count", F(n_layers_dense), 0, 0, 4096},
    {"%s.expert_group_count", F(n_groups), 0, 0, 4096},
    {"%s.expert_group_used_count", F(n_groups_used), 0, 0, 4096},
    {"%s.attention.q_lora_rank", F(q_lora), 0, 0, 1 << 16},
    {"%s.attention.kv_lora_rank", F(kv_lora), 0, 0, 1 << 16},
    {"%s.attention.key_length_mla", F(mla_head_k), 0, 0, 1 << 16},
    {"%s.attention.value_length_mla", F(mla_head_v), 0, 0, 1 << 16},
};

static const FloatKey float_keys[] = {
    {"%s.attention.layer_norm_rms_epsilon", F(norm_eps), 1e-6f, 0.0f, 1.0f},
    {"%s.rope.freq_base", F(rope_base), 10000.0f, 1.0f, 1e12f},
    {"%s.rope.scaling.factor", F(rope_factor), 1.0f, 0.0f, 1e6f},
    {"%s.rope.scaling.attn_factor", F(yarn_attn_factor), 1.0f, 1e-3f, 1e3f},
    {"%s.rope.scaling.yarn_log_multiplier", F(yarn_log_mul), 0.0f, -1e3f, 1e3f},
    {"%s.rope.scaling.yarn_beta_fast", F(yarn_beta_fast), 32.0f, 1e-3f, 1e6f},
    {"%s.rope.scaling.yarn_beta_slow", F(yarn_beta_slow), 1.0f, 1e-6f, 1e6f},
    {"%s.expert_weights_scale", F(weights_scale), 1.0f, 0.0f, 1e6f},
};
#undef F

static bool read_int(const EngGguf *gguf, const IntKey *k, EngHparams *h, EngError *err)
{
    const char *name = k->key + 3;
    uint64_t x;
    if (k->missing == REQUIRED && !eng_gguf_find(gguf, k->key))
        return eng_fail(
            err, ENG_ERR_REFUSED,
            "This GGUF file does not say its \"%s\", so it cannot be run: get a complete "
            "file of the model.",
            name);
    if (!eng_gguf_u64_of_all(gguf, k->key, (uint64_t)ENG_MAX(k->missing, 0), &x, err)) return false;
    if (x < (uint64_t)k->min || x > (uint64_t)k->max)
        return eng_fail(
            err, ENG_ERR_REFUSED,
            "This GGUF file is damaged: its \"%s\" is %llu, which is no possible value. "
            "Download it again.",
            name, (unsigned long long)x);
    int value = (int)x;
    memcpy((char *)h + k->field, &value, sizeof value);
    return true;
}

static bool read_float(const EngGguf *gguf, const FloatKey *k, EngHparams *h, EngError *err)
{
    float x;
    if (!eng_gguf_f32(gguf, k->key, k->missing, &x, err)) return false;
    if (!(x >= k->min && x <= k->max))
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This GGUF file is damaged: its \"%s\" is %g, which is no possible value. "
                        "Download it again.",
                        k->key + 3, (double)x);
    memcpy((char *)h + k->field, &x, sizeof x);
    return true;
}

static bool read_rope_scaling(const EngGguf *gguf, EngHparams *h, EngError *err)
{
    EngGgufString s;
    if (!eng_gguf_string(gguf, "%s.rope.scaling.type", &s, err)) return false;
    static const struct {
        const char *name;
        EngRopeScaling scaling;
    } kinds[] = {{"none", ENG_ROPE_PLAIN}, {"linear", ENG_ROPE_LINEAR}, {"yarn", ENG_ROPE_YARN}};
    if (h->rope_factor < 1e-3f) h->rope_factor = 1.0f; /* 0 is written for "none" */
    /* Files from before the key existed wrote the factor of linear scaling alone. */
    h->rope_scaling = h->rope_factor != 1.0f && !s.s ? ENG_ROPE_LINEAR : ENG_ROPE_PLAIN;
    bool known = !s.s;
    for (size_t i = 0; i < ENG_LEN(kinds) && !known; i++) {
        known = s.n == strlen(kinds[i].name) && memcmp(s.s, kinds[i].name, s.n) == 0;
        if (known) h->rope_scaling = kinds[i].scaling;
    }
    if (!known)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This model extends its context by \"%.*s\", which this version does not "
                        "know: use a newer version of Hearth.",
                        (int)ENG_MIN(s.n, 40), s.s);
    if (h->rope_scaling == ENG_ROPE_YARN && h->rope_context == 0)
        h->rope_context = h->context_trained;
    if (h->rope_scaling == ENG_ROPE_YARN && h->rope_context == 0)
        return eng_fail(err, ENG_ERR_REFUSED,
                        "This GGUF file does not say the context before its YaRN extension: get a "
                        "complete file of the model.");
    return true;
}

static bool read_gate(const EngGguf *gguf, EngHparams *h, EngError *err)
{
    uint64_t gate, norm;
    h->gate_stated = eng_gguf_find(gguf, "%s.expert_gating_func") != NULL;
    h->weights_norm_stated = eng_gguf_find(gguf, "%s.expert_weights_norm") != NULL;
    if (!eng_gguf_u64(gguf, "%s.expert_gating_func", ENG_GATE_SOFTMAX, &gate, err) ||
        !eng_gguf_u64(gguf, "%s.expert_weights_norm", 0, &norm, err))
        return false;
    if (gate == 0) { /* written by some tools for "not stated" */
        gate = ENG_GATE_SOFTMAX;
        h->gate_stated = false;
    }
    if (gate != ENG_GATE_SOFTMAX && gate != ENG_GATE_SIGMOID)
        return eng_fail(
            err, ENG_ERR_REFUSED,
            "This model's router uses gating function %llu, which this version does not "
            "know: use a newer version of Hearth.",
            (unsigned long long)gate);
    h->gate = (EngGate)gate;
    h->weights_norm = norm != 0;
    return true;
}

static bool inconsistent(EngError *err, const char *what)
{
    return eng_fail(err, ENG_ERR_REFUSED, "This GGUF file is damaged: %s. Download it again.",
                    what);
}

static bool check(EngHparams *h, EngError *err)
{
    if (h->n_layers_extra >= h->n_layers) return inconsistent(err, "it has no layers to run");
    h->n_layers -= h->n_layers_extra;
    if (h->n_heads_kv == 0) h->n_heads_kv = h->n_heads;
    if (h->n_heads % h->n_heads_kv != 0)
        return inconsistent(err, "its heads are no multiple of its KV heads");
    if (h->head_k == 0) {
        if (h->n_embd % h->n_heads != 0)
            return inconsistent(err, "its heads do not divide its width");
        h->head_k = h->n_embd / h->n_heads;
    }
    if (h->head_v == 0) h->head_v = h->head_k;
    if (h->rope_dims == 0) h->rope_dims = h->head_k;
    if (h->rope_dims % 2 != 0 || h->rope_dims > h->head_k)
        return inconsistent(err, "its rotary dimensions do not fit its heads");
    if (h->n_experts_used > h->n_experts)
        return inconsistent(err, "it uses more experts than it has");
    if (h->n_experts > 0 && h->n_experts_used == 0)
        return inconsistent(err, "it has experts and uses none");
    if (h->weights_scale == 0.0f) h->weights_scale = 1.0f;
    if (h->n_groups > 0) {
        if (h->n_groups_used == 0) h->n_groups_used = h->n_groups;
        if (h->n_experts % h->n_groups != 0 || h->n_groups_used > h->n_groups)
            return inconsistent(err, "its expert groups do not divide its experts");
        if (h->n_experts / h->n_groups * h->n_groups_used < h->n_experts_used)
            return inconsistent(err, "its expert groups hold fewer experts than are used");
    }
    return true;
}

bool eng_hparams_read(const EngGguf *gguf, EngHparams *ret_hparams, EngError *err)
{
    EngHparams h = {0};
    for (size_t i = 0; i < ENG_LEN(int_keys); i++)
        if (!read_int(gguf, &int_keys[i], &h, err)) return false;
    for (size_t i = 0; i < ENG_LEN(float_keys); i++)
        if (!read_float(gguf, &float_keys[i], &h, err)) return false;
    const EngTensor *table = eng_gguf_tensor(gguf, "token_embd.weight");
    if (!table)
        return eng_fail(
            err, ENG_ERR_REFUSED,
            "This GGUF file has no \"token_embd.weight\", so it holds no whole model: get "
            "the model's own file.");
    if (table->ne[1] > 1 << 24 || table->ne[2] != 1)
        return inconsistent(err, "its token table has an impossible shape");
    h.n_vocab = (int)table->ne[1];
    if (!read_rope_scaling(gguf, &h, err) || !read_gate(gguf, &h, err) || !check(&h, err))
        return false;
    *ret_hparams = h;
    return true;
}
