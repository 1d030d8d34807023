/* DeepSeek V2, V3, R1 and what is built like them (Kimi K2, Moonlight, GLM-4.7-Flash): multi-head
 * latent attention and experts behind leading dense layers.
 *
 * Attention is computed in its absorbed form (DeepSeek-V2, arXiv 2405.04434, section 2.1.2): the
 * cache holds per token one compressed vector c (kv_lora numbers) and one rotary key shared by all
 * heads. A head's query is taken through its own key matrix k_b first, so that scores are plain
 * dot products with c; the weighted sum of c goes through the head's value matrix v_b at the end.
 * So all heads share one "KV head" whose value is the first kv_lora numbers of its key. The ops say
 * so; for a chunk of a prompt the CPU makes keys and values of the heads instead, which is less.
 *
 * Files come in two forms: attn_kv_b holds [k_b^T; v_b] of each head in one matrix, or the two
 * stand apart. The first is turned into the second when the model is opened.
 *
 * Reference: DeepseekV2ForCausalLM and DeepseekV3ForCausalLM of `transformers`. */
#include <math.h>
#include <stdlib.h>

#include "base/num.h"
#include "model/arch.h"

typedef struct {
    int rope, nope, value; /* numbers per head: rotary part of q and k, the rest of them, value */
    int rank;              /* kv_lora */
    float scale;
    EngView q_low, q, kv, q_absorbed, latent, out;
} Mla;

/* Old files: key_length 192 = nope + rope, value_length 128. New ones give the compressed form's
 * lengths there (576, 512) and these in the *_mla keys. */
static bool mla_sizes(EngBuild *build, Mla *m)
{
    EngHparams *h = &build->h;
    int key = h->mla_head_k ? h->mla_head_k : h->head_k;
    *m = (Mla){.rope = h->rope_dims,
               .nope = key - h->rope_dims,
               .rank = h->kv_lora,
               .value = h->mla_head_v ? h->mla_head_v : h->head_v};
    if (m->rank == 0 || m->nope <= 0 || m->value <= 0)
        return eng_fail(
            build->err, ENG_ERR_REFUSED,
            "This GGUF file is damaged: the sizes of its latent attention make no sense. "
            "Download it again.");
    float mscale = 1;
    if (h->rope_scaling == ENG_ROPE_YARN && h->rope_factor > 1 && h->yarn_log_mul != 0)
        mscale = h->yarn_attn_factor * (1 + h->yarn_log_mul * logf(h->rope_factor));
    m->scale = mscale * mscale / sqrtf((float)key);
    return true;
}

static void mla_buffers(EngBuild *build, Mla *m)
{
    EngGraph *g = build->g;
    int heads = build->h.n_heads;
    m->q_low = eng_graph_buffer(g, 1, ENG_MAX(build->h.q_lora, 1));
    m->q = eng_graph_buffer(g, heads, m->nope + m->rope);
    m->kv = eng_graph_buffer(g, 1, m->rank + m->rope);
    m->q_absorbed = eng_graph_buffer(g, heads, m->rank + m->rope);
    m->latent = eng_graph_buffer(g, heads, m->rank);
    m->out = eng_graph_buffer(g, heads, m->value);
    g->k_width = m->rank + m->rope;
    g->v_width = 0;
}

/* k_b of each head, [rank rows][nope], from the first `nope` rows of the head in kv_b, transposed.
 * Kept in full when the file is, in half precision otherwise. */
static EngWeight split_k(EngBuild *build, const Mla *m, EngWeight kv_b)
{
    int heads = build->h.n_heads;
    bool full = kv_b.type == ENG_TYPE_F32 || kv_b.type == ENG_TYPE_BF16;
    size_t item = full ? 4 : 2, n = (size_t)heads * (size_t)m->rank * (size_t)m->nope;
    uint8_t *data = eng_arch_derive(build, n * item, "the attention's key matrices");
    if (!data) {
        build->b.ok = false;
        return (EngWeight){0};
    }
    float *row = eng_alloc0((size_t)m->rank * sizeof *row);
    for (int h = 0; h < heads && !build->outline; h++)
        for (int i = 0; i < m->nope; i++) {
            size_t src = (size_t)h * (size_t)(m->nope + m->value) + (size_t)i;
            eng_type_info(kv_b.type)->to_f32(kv_b.data + src * kv_b.row_bytes, row, m->rank);
            for (int j = 0; j < m->rank; j++) {
                size_t dst =
                    ((size_t)h * (size_t)m->rank + (size_t)j) * (size_t)m->nope + (size_t)i;
                if (full)
                    ((float *)(void *)data)[dst] = row[j];
                else
                    ((uint16_t *)(void *)data)[dst] = eng_f32_to_f16(row[j]);
            }
        }
    free(row);
    EngWeight w = {.data = data,
                   .type = full ? ENG_TYPE_F32 : ENG_TYPE_F16,
                   .cols = m->nope,
                   .rows = m->rank,
                   .mats = heads,
                   .row_bytes = (size_t)m->nope * item};
    w.mat_bytes = w.row_bytes * (size_t)w.rows;
    return w;
}

/* v_b of each head lies in kv_b as it is: a view. */
static EngWeight split_v(const Mla *m, EngWeight kv_b, int heads)
{
    EngWeight w = kv_b;
    w.data += (size_t)m->nope * kv_b.row_bytes;
    w.rows = m->value;
    w.mats = heads;
    w.mat_bytes = (size_t)(m->nope + m->value) * kv_b.row_bytes;
    return w;
}

static void bind_k_v(EngBuild *build, const Mla *m, int layer, EngWeight *ret_k, EngWeight *ret_v)
{
    EngBinder *b = &build->b;
    int heads = build->h.n_heads;
    bool apart = eng_binder_has(b, "blk.%d.attn_k_b.weight", layer);
    EngWeight kv_b = eng_bind(b, !apart, "blk.%d.attn_kv_b.weight", layer, m->rank,
                              (int64_t)heads * (m->nope + m->value), 1);
    if (apart) {
        *ret_k = eng_bind(b, true, "blk.%d.attn_k_b.weight", layer, m->nope, m->rank, heads);
        *ret_v = eng_bind(b, true, "blk.%d.attn_v_b.weight", layer, m->rank, m->value, heads);
    } else if (b->ok) {
        *ret_k = split_k(build, m, kv_b);
        *ret_v = split_v(m, kv_b, heads);
    }
}

static void queries(EngBuild *build, const Mla *m, const EngTrunk *t, int layer)
{
    const EngHparams *h = &build->h;
    EngBinder *b = &build->b;
    EngView q = eng_view_flat(m->q);
    if (h->q_lora == 0) {
        EngWeight w = eng_bind(b, true, "blk.%d.attn_q.weight", layer, h->n_embd, q.n, 1);
        eng_graph_linear(build->g, q, t->norm, w, NULL, false);
        return;
    }
    const float *norm = eng_bind_vector(b, true, "blk.%d.attn_q_a_norm.weight", layer, h->q_lora);
    EngWeight w = eng_bind(b, true, "blk.%d.attn_q_b.weight", layer, h->q_lora, q.n, 1);
    eng_graph_norm(build->g, m->q_low, m->q_low, norm, h->norm_eps);
    eng_graph_linear(build->g, q, m->q_low, w, NULL, false);
}

static void attention(EngBuild *build, const Mla *m, const EngTrunk *t, int layer)
{
    const EngHparams *h = &build->h;
    EngBinder *b = &build->b;
    EngGraph *g = build->g;
    EngWeight k_b = {0}, v_b = {0};
    EngWeight kv_a =
        eng_bind(b, true, "blk.%d.attn_kv_a_mqa.weight", layer, h->n_embd, m->rank + m->rope, 1);
    eng_graph_linear(g, m->kv, t->norm, kv_a, NULL, false);
    if (h->q_lora > 0) {
        EngWeight q_a = eng_bind(b, true, "blk.%d.attn_q_a.weight", layer, h->n_embd, h->q_lora, 1);
        eng_graph_linear(g, m->q_low, t->norm, q_a, NULL, false);
    }
    queries(build, m, t, layer);
    bind_k_v(build, m, layer, &k_b, &v_b);
    EngView c = eng_view_part(m->kv, 0, m->rank), k_rope = eng_view_part(m->kv, m->rank, m->rope);
    const float *norm = eng_bind_vector(b, true, "blk.%d.attn_kv_a_norm.weight", layer, m->rank);
    eng_graph_norm(g, c, c, norm, h->norm_eps);
    eng_graph_rope(g, k_rope, k_rope, t->rope_table, m->rope, false);
    eng_graph_rope(g, eng_view_part(m->q_absorbed, m->rank, m->rope),
                   eng_view_part(m->q, m->nope, m->rope), t->rope_table, m->rope, false);
    eng_graph_kv(g, layer, m->kv, NULL);
    eng_graph_heads(g, eng_view_part(m->q_absorbed, 0, m->rank), eng_view_part(m->q, 0, m->nope),
                    k_b);
    eng_graph_attn(g, m->latent, m->q_absorbed,
                   (EngOpAttn){.layer = layer,
                               .n_kv = 1,
                               .dk = m->rank + m->rope,
                               .dv = m->rank,
                               .scale = m->scale,
                               .absorbed = true});
    eng_graph_heads(g, m->out, m->latent, v_b);
    EngWeight o = eng_bind(b, true, "blk.%d.attn_output.weight", layer,
                           (int64_t)h->n_heads * m->value, h->n_embd, 1);
    eng_graph_linear(g, t->x, eng_view_flat(m->out), o, NULL, true);
}

/* What files leave out. Groups by expert count: 256 (V3, R1) choose 4 of 8, 160 (V2) 3 of 8; V2
 * Lite (64) and Kimi K2 (384) have no groups, nor has a model that uses more experts than the
 * groups would hold. The gate: the bias for the choice exists in V3 alone. */
static EngOpRoute routing(EngBuild *build)
{
    EngHparams *h = &build->h;
    bool bias = eng_binder_has(&build->b, "blk.%d.exp_probs_b.bias", h->n_layers_dense);
    if (!h->gate_stated && bias) h->gate = ENG_GATE_SIGMOID;
    bool v3 = h->gate == ENG_GATE_SIGMOID;
    if (h->n_groups == 0 && (h->n_experts == 256 || h->n_experts == 160)) {
        int groups_used = h->n_experts == 256 ? 4 : 3;
        if (h->n_experts_used <= h->n_experts / 8 * groups_used) {
            h->n_groups = 8;
            h->n_groups_used = groups_used;
        }
    }
    return (EngOpRoute){.n_groups = ENG_MAX(h->n_groups, 1),
                        .n_groups_used = ENG_MAX(h->n_groups_used, 1),
                        .gate = h->gate,
                        .group_top2 = v3,
                        .scale = h->weights_scale,
                        .norm = h->weights_norm_stated ? h->weights_norm : v3};
}

bool eng_arch_build_deepseek2(EngBuild *build)
{
    EngHparams *h = &build->h;
    EngBinder *b = &build->b;
    Mla mla;
    if (!mla_sizes(build, &mla)) return false;
    if (h->n_experts == 0) h->n_layers_dense = h->n_layers;
    h->n_ff_shared = h->n_ff_expert * h->n_experts_shared;
    EngTrunk t = eng_arch_begin(build, ENG_MAX(h->n_ff, h->n_ff_shared));
    mla_buffers(build, &mla);
    EngOpRoute route = routing(build);
    for (int i = 0; i < h->n_layers && b->ok; i++) {
        const float *norm = eng_bind_vector(b, true, "blk.%d.attn_norm.weight", i, h->n_embd);
        eng_graph_norm(build->g, t.norm, t.x, norm, h->norm_eps);
        attention(build, &mla, &t, i);
        norm = eng_bind_vector(b, true, "blk.%d.ffn_norm.weight", i, h->n_embd);
        eng_graph_norm(build->g, t.norm, t.x, norm, h->norm_eps);
        if (i < h->n_layers_dense) {
            eng_arch_ffn(build, &t, i, "", h->n_ff);
            continue;
        }
        route.bias = eng_bind_vector(b, false, "blk.%d.exp_probs_b.bias", i, h->n_experts);
        eng_arch_experts(build, &t, i, route, h->n_experts_shared > 0 ? h->n_ff_shared : 0);
    }
    return b->ok && eng_arch_end(build, &t);
}
