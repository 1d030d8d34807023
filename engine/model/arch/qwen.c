/* Qwen3, dense and Mixture-of-Experts: per-head RMS norm of q and k, softmax router.
 * Reference: Qwen3ForCausalLM and Qwen3MoeForCausalLM of `transformers`. */
#include "model/arch.h"

static bool build_qwen3(EngBuild *build, bool moe)
{
    EngHparams *h = &build->h;
    EngBinder *b = &build->b;
    if (moe && h->n_experts == 0)
        return eng_fail(
            build->err, ENG_ERR_REFUSED,
            "This GGUF file does not say how many experts it has: get a complete file of "
            "the model.");
    if (h->n_ff_expert == 0) h->n_ff_expert = h->n_ff;
    EngTrunk t = eng_arch_begin(build, moe ? 0 : h->n_ff);
    EngGqa gqa = eng_arch_gqa_begin(build);
    EngOpRoute route = {.gate = h->gate,
                        .scale = h->weights_scale,
                        .norm = h->weights_norm_stated ? h->weights_norm : true};
    for (int i = 0; i < h->n_layers && b->ok; i++) {
        const float *norm = eng_bind_vector(b, true, "blk.%d.attn_norm.weight", i, h->n_embd);
        eng_graph_norm(build->g, t.norm, t.x, norm, h->norm_eps);
        eng_arch_gqa(build, &t, &gqa, i, true, true);
        norm = eng_bind_vector(b, true, "blk.%d.ffn_norm.weight", i, h->n_embd);
        eng_graph_norm(build->g, t.norm, t.x, norm, h->norm_eps);
        if (moe)
            eng_arch_experts(build, &t, i, route, 0);
        else
            eng_arch_ffn(build, &t, i, "", h->n_ff);
    }
    return eng_arch_end(build, &t);
}

bool eng_arch_build_qwen3(EngBuild *build) { return build_qwen3(build, false); }
bool eng_arch_build_qwen3moe(EngBuild *build) { return build_qwen3(build, true); }
