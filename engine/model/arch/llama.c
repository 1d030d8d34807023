/* Llama 1–3 and their descendants, dense, and Mixtral (the same with experts).
 * Reference: LlamaForCausalLM and MixtralForCausalLM of `transformers`. In GGUF the rows of q and k
 * are permuted so that rotary pairs are neighbours (neox = false). */
#include "model/arch.h"

bool eng_arch_build_llama(EngBuild *build)
{
    EngHparams *h = &build->h;
    EngBinder *b = &build->b;
    if (h->n_experts > 0 && h->n_ff_expert == 0) h->n_ff_expert = h->n_ff;
    EngTrunk t = eng_arch_begin(build, h->n_ff);
    EngGqa gqa = eng_arch_gqa_begin(build);
    /* Mixtral: softmax over the chosen logits alone = softmax over all, divided by the chosen sum.
     */
    EngOpRoute route = {.gate = ENG_GATE_SOFTMAX, .norm = true, .scale = h->weights_scale};
    for (int i = 0; i < h->n_layers && b->ok; i++) {
        const float *norm = eng_bind_vector(b, true, "blk.%d.attn_norm.weight", i, h->n_embd);
        eng_graph_norm(build->g, t.norm, t.x, norm, h->norm_eps);
        eng_arch_gqa(build, &t, &gqa, i, false, false);
        norm = eng_bind_vector(b, true, "blk.%d.ffn_norm.weight", i, h->n_embd);
        eng_graph_norm(build->g, t.norm, t.x, norm, h->norm_eps);
        if (h->n_experts > 0)
            eng_arch_experts(build, &t, i, route, 0);
        else
            eng_arch_ffn(build, &t, i, "", h->n_ff);
    }
    return eng_arch_end(build, &t);
}
