"""Proves model.py equal to transformers' DeepseekV3ForCausalLM: `python test_parity.py ember.gguf`.

Both get the dequantized weights of the shipped file and the same random tokens.
"""
import sys

import torch
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

from reference import read

BOUND = 1e-4    # relative to the largest logit; both sides compute in float32


def counterpart(model):
    c = model.cfg
    hf = DeepseekV3ForCausalLM(DeepseekV3Config(
        vocab_size=c.n_vocab, hidden_size=c.n_embd, intermediate_size=c.ff_dense, moe_intermediate_size=c.ff_expert,
        num_hidden_layers=c.n_layer, num_attention_heads=c.n_head, num_key_value_heads=c.n_head, n_shared_experts=1,
        n_routed_experts=c.n_expert, routed_scaling_factor=c.route_scale, kv_lora_rank=c.kv_lora, q_lora_rank=c.q_lora,
        qk_rope_head_dim=c.d_rope, v_head_dim=c.d_v, qk_nope_head_dim=c.d_nope, n_group=1, topk_group=1,
        num_experts_per_tok=c.n_used, first_k_dense_replace=c.n_dense, norm_topk_prob=True, rms_norm_eps=c.eps,
        rope_theta=c.rope_base, rope_interleave=True, max_position_embeddings=c.n_ctx, tie_word_embeddings=False)).eval()
    state = {"model.embed_tokens.weight": model.embed.weight, "model.norm.weight": model.norm.weight,
             "lm_head.weight": model.head.weight}

    def swiglu(prefix, gate_up, down):
        state[prefix + "gate_proj.weight"], state[prefix + "up_proj.weight"] = gate_up.chunk(2)
        state[prefix + "down_proj.weight"] = down

    for i, block in enumerate(model.blocks):
        a, f, p = block.attn, block.ffn, f"model.layers.{i}."
        for ours, theirs in (("q_a", "q_a_proj"), ("q_a_norm", "q_a_layernorm"), ("q_b", "q_b_proj"), ("kv_a", "kv_a_proj_with_mqa"),
                             ("kv_a_norm", "kv_a_layernorm"), ("kv_b", "kv_b_proj"), ("out", "o_proj")):
            state[f"{p}self_attn.{theirs}.weight"] = getattr(a, ours).weight
        state[p + "input_layernorm.weight"] = block.attn_norm.weight
        state[p + "post_attention_layernorm.weight"] = block.ffn_norm.weight
        if i < c.n_dense:
            swiglu(p + "mlp.", f.gate_up.weight, f.down.weight)
            continue
        state[p + "mlp.gate.weight"], state[p + "mlp.gate.e_score_correction_bias"] = f.router, f.bias
        swiglu(p + "mlp.shared_experts.", f.shared.gate_up.weight, f.shared.down.weight)
        if p + "mlp.experts.gate_up_proj" in hf.state_dict():       # transformers 5 keeps experts in one tensor
            state[p + "mlp.experts.gate_up_proj"], state[p + "mlp.experts.down_proj"] = f.gate_up, f.down
        else:
            for e in range(c.n_expert):
                swiglu(f"{p}mlp.experts.{e}.", f.gate_up[e], f.down[e])
    hf.load_state_dict(state)
    return hf


def main():
    torch.set_num_threads(2)
    torch.manual_seed(1)
    model, _ = read(sys.argv[1])
    hf = counterpart(model)
    tokens = torch.randint(0, model.cfg.n_vocab, (3, 70))
    with torch.no_grad():
        ours, theirs = model(tokens), hf(tokens).logits
    error = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    print(f"relative error {error:.2e}, bound {BOUND:.0e}")
    raise SystemExit(not error <= BOUND)


if __name__ == "__main__":
    main()
