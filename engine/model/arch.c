#include "model/arch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

static const EngArch archs[] = {
    {"deepseek2", eng_arch_build_deepseek2},
    {"llama", eng_arch_build_llama},
    {"qwen3", eng_arch_build_qwen3},
    {"qwen3moe", eng_arch_build_qwen3moe},
};

const EngArch *eng_arch_find(const char *name)
{
    for (size_t i = 0; i < ENG_LEN(archs); i++)
        if (strcmp(archs[i].name, name) == 0) return &archs[i];
    return NULL;
}

void eng_arch_names(char *ret_names, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < ENG_LEN(archs) && at < size; i++)
        at += (size_t)snprintf(ret_names + at, size - at, "%s%s", i ? ", " : "", archs[i].name);
}

/* What a person wants changed of the experts. */
static bool choose_experts(EngBuild *build)
{
    EngHparams *h = &build->h;
    int own = h->n_experts_used;
    if ((build->experts || build->defer) && h->n_experts == 0)
        return eng_fail(build->err, ENG_ERR_USAGE,
                        "This model has no experts: there is nothing to use less of or to defer.");
    if (build->experts < 0 || build->experts > own)
        return eng_fail(
            build->err, ENG_ERR_USAGE,
            "This model sends a token to %d experts: it can be 1 to %d instead, not %d.", own, own,
            build->experts);
    if (build->experts) h->n_experts_used = build->experts;
    if (build->defer < 0 || build->defer > ENG_MAX(h->n_experts_used - 1, 0))
        return eng_fail(build->err, ENG_ERR_USAGE,
                        "A token is sent to %d experts: 0 to %d of them can be deferred, not %d.",
                        h->n_experts_used, h->n_experts_used - 1, build->defer);
    return true;
}

bool eng_arch_build(EngBuild *build, const EngGguf *gguf)
{
    const EngArch *arch = eng_arch_find(gguf->arch);
    if (!arch) {
        char names[128];
        eng_arch_names(names, sizeof names);
        return eng_fail(
            build->err, ENG_ERR_REFUSED,
            "This model's family is \"%.40s\", which this version cannot run. It runs %s.",
            gguf->arch, names);
    }
    if (!eng_hparams_read(gguf, &build->h, build->err) || !choose_experts(build)) return false;
    eng_binder_init(&build->b, gguf, build->arena, build->err);
    build->b.outline = build->outline != 0;
    bool ok = arch->build(build);
    eng_binder_clear(&build->b);
    return ok;
}

struct EngDerived {
    EngDerived *next;
    void *data;
    size_t bytes;
};

void *eng_arch_derive(EngBuild *build, size_t n, const char *what)
{
    if (build->outline) {
        void *address = (void *)build->outline;
        build->outline += (uintptr_t)eng_align_up(n, 64);
        return address;
    }
    void *data = eng_try_alloc(n, what, build->err);
    if (!data) return NULL;
    EngDerived *d = eng_alloc0(sizeof *d);
    *d = (EngDerived){build->derived, data, n};
    build->derived = d;
    return data;
}

void eng_derived_free(EngDerived *derived)
{
    while (derived) {
        EngDerived *next = derived->next;
        eng_big_free(derived->data, derived->bytes);
        free(derived);
        derived = next;
    }
}

size_t eng_derived_bytes(const EngDerived *derived)
{
    size_t n = 0;
    for (; derived; derived = derived->next) n += derived->bytes;
    return n;
}

/* Where in the rotary dimensions a wavelength makes `turns` turns over the original context: the
 * YaRN paper (arXiv 2309.00071), appendix A.2, as in the reference implementation. */
static double yarn_dim(const EngHparams *h, double turns)
{
    return h->rope_dims * log(h->rope_context / (turns * 2 * M_PI)) / (2 * log(h->rope_base));
}

/* Radians per position for each pair of rotary dimensions. `factors` (rope_freqs.weight, Llama 3.1)
 * divides each frequency; NULL = none. */
static float *rope_frequencies(EngBuild *build, const float *factors)
{
    const EngHparams *h = &build->h;
    int half = h->rope_dims / 2;
    float *freq = eng_arena_alloc(build->arena, (size_t)half * sizeof *freq);
    double low = ENG_MAX(floor(yarn_dim(h, h->yarn_beta_fast)), 0);
    double high = ENG_MIN(ceil(yarn_dim(h, h->yarn_beta_slow)), h->rope_dims - 1);
    if (low == high) high += 0.001;
    for (int i = 0; i < half; i++) {
        double f = pow(h->rope_base, -2.0 * i / h->rope_dims);
        if (factors) f /= factors[i];
        if (h->rope_scaling == ENG_ROPE_LINEAR) f /= h->rope_factor;
        if (h->rope_scaling == ENG_ROPE_YARN) {
            double ramp = ENG_MIN(ENG_MAX((i - low) / (high - low), 0.0), 1.0);
            f = f / h->rope_factor * ramp + f * (1 - ramp);
        }
        freq[i] = (float)f;
    }
    return freq;
}

EngTrunk eng_arch_begin(EngBuild *build, int ff)
{
    const EngHparams *h = &build->h;
    EngGraph *g = build->g;
    EngTrunk t = {
        .x = eng_graph_buffer(g, 1, h->n_embd),
        .norm = eng_graph_buffer(g, 1, h->n_embd),
        .rope_table = eng_graph_buffer(g, 1, h->rope_dims),
        .gate = eng_graph_buffer(g, 1, ENG_MAX(ff, 1)),
        .up = eng_graph_buffer(g, 1, ENG_MAX(ff, 1)),
        .router = eng_graph_buffer(g, 1, ENG_MAX(h->n_experts, 1)),
        .ids = eng_graph_buffer(g, 1, ENG_MAX(h->n_experts_used, 1)),
        .weights = eng_graph_buffer(g, 1, ENG_MAX(h->n_experts_used, 1)),
    };
    if (build->defer > 0) t.deferred = eng_graph_buffer(g, 1, h->n_embd);
    const float *factors =
        eng_bind_vector(&build->b, false, "rope_freqs.weight", 0, h->rope_dims / 2);
    /* YaRN's attention factor goes into cos and sin; where a file states DeepSeek's mscale_all_dim
     * it goes into the softmax scale instead (arch/deepseek.c). */
    bool scaled = h->rope_scaling == ENG_ROPE_YARN && h->rope_factor > 1 && h->yarn_log_mul == 0;
    float mscale = scaled ? h->yarn_attn_factor * (0.1f * logf(h->rope_factor) + 1) : 1;
    EngWeight table = eng_bind(&build->b, true, "token_embd.weight", 0, h->n_embd, h->n_vocab, 1);
    eng_graph_embed(g, t.x, table);
    eng_graph_rope_table(g, t.rope_table, rope_frequencies(build, factors), mscale);
    g->n_layers = h->n_layers;
    return t;
}

bool eng_arch_end(EngBuild *build, const EngTrunk *trunk)
{
    const EngHparams *h = &build->h;
    EngGraph *g = build->g;
    EngBinder *b = &build->b;
    EngView last = eng_graph_buffer(g, 1, h->n_embd), logits = eng_graph_buffer(g, 1, h->n_vocab);
    eng_graph_select(g, last, trunk->x);
    eng_graph_norm(g, last, last, eng_bind_vector(b, true, "output_norm.weight", 0, h->n_embd),
                   h->norm_eps);
    EngWeight head = eng_bind(b, false, "output.weight", 0, h->n_embd, h->n_vocab, 1);
    if (!head.data) head = eng_bind(b, true, "token_embd.weight", 0, h->n_embd, h->n_vocab, 1);
    eng_graph_linear(g, logits, last, head, NULL, false);
    g->logits = logits.buf;
    return eng_binder_finish(b, h->n_layers);
}

static EngWeight bind_ffn(EngBuild *build, int layer, const char *part, const char *suffix,
                          int cols, int rows)
{
    char name[64];
    snprintf(name, sizeof name, "blk.%%d.ffn_%s%s.weight", part, suffix);
    return eng_bind(&build->b, true, name, layer, cols, rows, 1);
}

static void ffn_in(EngBuild *build, const EngTrunk *t, int layer, const char *suffix, int ff)
{
    EngGraph *g = build->g;
    int d = build->h.n_embd;
    EngView gate = eng_view_part(t->gate, 0, ff), up = eng_view_part(t->up, 0, ff);
    eng_graph_linear(g, gate, t->norm, bind_ffn(build, layer, "gate", suffix, d, ff), NULL, false);
    eng_graph_linear(g, up, t->norm, bind_ffn(build, layer, "up", suffix, d, ff), NULL, false);
}

static void ffn_out(EngBuild *build, const EngTrunk *t, int layer, const char *suffix, int ff)
{
    EngView gate = eng_view_part(t->gate, 0, ff), up = eng_view_part(t->up, 0, ff);
    EngWeight down = bind_ffn(build, layer, "down", suffix, ff, build->h.n_embd);
    eng_graph_glu(build->g, gate, gate, up);
    eng_graph_linear(build->g, t->x, gate, down, NULL, true);
}

void eng_arch_ffn(EngBuild *build, const EngTrunk *t, int layer, const char *suffix, int ff)
{
    ffn_in(build, t, layer, suffix, ff);
    ffn_out(build, t, layer, suffix, ff);
}

/* The chosen experts by weight: the first of them now, `later` when the next layer adds its own. */
static void experts_ops(EngBuild *build, const EngTrunk *t, EngOpExperts experts, int later)
{
    EngGraph *g = build->g;
    EngView ids = experts.ids, weights = experts.weights;
    int now = experts.n_used - later;
    if (build->deferred) eng_graph_add(g, t->x, t->deferred);
    experts.n_used = now;
    experts.ids = eng_view_part(ids, 0, now), experts.weights = eng_view_part(weights, 0, now);
    eng_graph_experts(g, t->x, t->norm, experts);
    build->deferred = later > 0;
    if (later == 0) return;
    experts.n_used = later;
    experts.ids = eng_view_part(ids, now, later);
    experts.weights = eng_view_part(weights, now, later);
    experts.set = true;
    eng_graph_experts(g, t->deferred, t->norm, experts);
}

void eng_arch_experts(EngBuild *build, const EngTrunk *t, int layer, EngOpRoute route,
                      int ff_shared)
{
    const EngHparams *h = &build->h;
    EngBinder *b = &build->b;
    int d = h->n_embd, ff = h->n_ff_expert, n = h->n_experts;
    EngWeight router = eng_bind(b, true, "blk.%d.ffn_gate_inp.weight", layer, d, n, 1);
    EngOpExperts experts = {
        .ids = t->ids,
        .weights = t->weights,
        .n_used = h->n_experts_used,
        .gate = eng_bind_experts(b, "blk.%d.ffn_gate_exps.weight", "blk.%d.ffn_gate.%d.weight",
                                 layer, d, ff, n),
        .up = eng_bind_experts(b, "blk.%d.ffn_up_exps.weight", "blk.%d.ffn_up.%d.weight", layer, d,
                               ff, n),
        .down = eng_bind_experts(b, "blk.%d.ffn_down_exps.weight", "blk.%d.ffn_down.%d.weight",
                                 layer, ff, d, n),
    };
    route.weights = t->weights;
    route.n_used = h->n_experts_used;
    route.by_weight = build->defer > 0;
    int later = layer < h->n_layers - 1 ? build->defer : 0;
    eng_graph_linear(build->g, t->router, t->norm, router, NULL, false);
    if (ff_shared > 0) ffn_in(build, t, layer, "_shexp", ff_shared); /* one op with the router */
    eng_graph_route(build->g, t->ids, t->router, route);
    if (b->ok) experts_ops(build, t, experts, later);
    if (ff_shared > 0) ffn_out(build, t, layer, "_shexp", ff_shared);
}

EngGqa eng_arch_gqa_begin(EngBuild *build)
{
    const EngHparams *h = &build->h;
    build->g->k_width = h->n_heads_kv * h->head_k;
    build->g->v_width = h->n_heads_kv * h->head_v;
    return (EngGqa){
        .q = eng_graph_buffer(build->g, h->n_heads, h->head_k),
        .k = eng_graph_buffer(build->g, h->n_heads_kv, h->head_k),
        .v = eng_graph_buffer(build->g, h->n_heads_kv, h->head_v),
        .out = eng_graph_buffer(build->g, h->n_heads, h->head_v),
    };
}

void eng_arch_gqa(EngBuild *build, const EngTrunk *t, const EngGqa *a, int layer, bool qk_norm,
                  bool neox)
{
    const EngHparams *h = &build->h;
    EngGraph *g = build->g;
    EngBinder *b = &build->b;
    int d = h->n_embd, dk = h->head_k, dv = h->head_v;
    static const char *const names[] = {"blk.%d.attn_q.weight", "blk.%d.attn_k.weight",
                                        "blk.%d.attn_v.weight"};
    static const char *const biases[] = {"blk.%d.attn_q.bias", "blk.%d.attn_k.bias",
                                         "blk.%d.attn_v.bias"};
    EngView q = a->q, k = a->k, qkv[] = {a->q, a->k, a->v};
    for (int i = 0; i < 3; i++) {
        int rows = qkv[i].heads * qkv[i].n;
        EngWeight w = eng_bind(b, true, names[i], layer, d, rows, 1);
        const float *bias = eng_bind_vector(b, false, biases[i], layer, rows);
        eng_graph_linear(g, eng_view_flat(qkv[i]), t->norm, w, bias, false);
    }
    if (qk_norm) {
        const float *qn = eng_bind_vector(b, true, "blk.%d.attn_q_norm.weight", layer, dk);
        const float *kn = eng_bind_vector(b, true, "blk.%d.attn_k_norm.weight", layer, dk);
        eng_graph_norm(g, q, q, qn, h->norm_eps);
        eng_graph_norm(g, k, k, kn, h->norm_eps);
    }
    eng_graph_rope(g, q, q, t->rope_table, h->rope_dims, neox);
    eng_graph_rope(g, k, k, t->rope_table, h->rope_dims, neox);
    eng_graph_kv(g, layer, k, &a->v);
    eng_graph_attn(g, a->out, q,
                   (EngOpAttn){.layer = layer,
                               .n_kv = h->n_heads_kv,
                               .dk = dk,
                               .dv = dv,
                               .scale = 1 / sqrtf((float)dk)});
    EngWeight o = eng_bind(b, true, "blk.%d.attn_output.weight", layer, h->n_heads * dv, d, 1);
    const float *bias = eng_bind_vector(b, false, "blk.%d.attn_output.bias", layer, d);
    eng_graph_linear(g, t->x, eng_view_flat(a->out), o, bias, true);
}
