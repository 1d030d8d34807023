"""From a `transformers` model to a GGUF file, for the oracle vectors (see make_vectors.py).

A GGUF tensor here is a *view* of a parameter of the model: its rows are quantized for the file
and the decoded rows are written back through the view, so that afterwards the model computes
with exactly the numbers that the file holds.

Names, shapes and keys are those that llama.cpp's converter writes:
 * deepseek2, fused form (older files): attn_kv_b [kv_lora, heads*(nope+v)], head_count_kv =
   heads, key_length = nope+rope, value_length = v.
 * deepseek2, split form: attn_k_b [nope, kv_lora, heads] (so transposed against kv_b), attn_v_b
   [kv_lora, v, heads], head_count_kv = 1, key_length = kv_lora+rope, value_length = kv_lora, the
   true sizes under key_length_mla and value_length_mla.
 * rope.scaling.yarn_log_multiplier = 0.1 * mscale_all_dim. The key has no room for `mscale`,
   which every published DeepSeek configuration sets equal to mscale_all_dim.
 * llama: rows of q and k are permuted from halves (x[i], x[i+d/2]) to neighbours (x[2i],
   x[2i+1]), the rotation that this architecture's readers apply. qwen3 and qwen3moe keep halves;
   deepseek2 has neighbours from the start.
 * llama3 rope scaling is not a key but the tensor rope_freqs.weight: one divisor per frequency.
(shapes as in GGUF, fastest axis first)
"""

import math
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as QT

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "data" / "models"))
from kquants import quantize  # noqa: E402
from make_dequant import half_of_iq1_m  # noqa: E402

NO_ENCODER = (QT.IQ1_S, QT.IQ1_M, QT.IQ2_XXS, QT.IQ2_XS, QT.IQ2_S, QT.IQ3_XXS, QT.IQ3_S,
              QT.IQ4_NL, QT.IQ4_XS)
F32_ONLY = ("norm", "ffn_gate_inp", "exp_probs_b", "rope_freqs")


def vocabulary():
    """104 tokens: two specials, the printable ASCII bytes, space, newline, six merges."""
    merges = ["Ġ t", "h e", "i n", "r e", "o n", "a t"]
    tokens = ["<s>", "</s>"] + [chr(c) for c in range(33, 127)] + ["Ġ", "Ċ"]
    tokens += [m.replace(" ", "") for m in merges]
    types = [gguf.TokenType.CONTROL] * 2 + [gguf.TokenType.NORMAL] * (len(tokens) - 2)
    return tokens, types, merges


def _attention(model, prefix, attn, heads, kv_heads, permute):
    """q, k, v, o of the grouped-query families."""
    def rows(weight, n):
        if not permute:
            return weight.data, weight.shape
        half = weight.shape[0] // n // 2
        return weight.data.view(n, 2, half, -1).transpose(1, 2), weight.shape
    yield prefix + "attn_q.weight", *rows(attn.q_proj.weight, heads)
    yield prefix + "attn_k.weight", *rows(attn.k_proj.weight, kv_heads)
    for name, part in (("attn_v", "v_proj"), ("attn_output", "o_proj"),
                       ("attn_q_norm", "q_norm"), ("attn_k_norm", "k_norm")):
        if hasattr(attn, part):
            weight = getattr(attn, part).weight
            yield f"{prefix}{name}.weight", weight.data, weight.shape


def _latent_attention(prefix, attn, split):
    """MLA of deepseek2."""
    for name, part in (("attn_q", "q_proj"), ("attn_q_a", "q_a_proj"), ("attn_q_b", "q_b_proj"),
                       ("attn_q_a_norm", "q_a_layernorm"),
                       ("attn_kv_a_mqa", "kv_a_proj_with_mqa"),
                       ("attn_kv_a_norm", "kv_a_layernorm"), ("attn_output", "o_proj")):
        if getattr(attn, part, None) is not None:
            weight = getattr(attn, part).weight
            yield f"{prefix}{name}.weight", weight.data, weight.shape
    kv_b = attn.kv_b_proj.weight
    if not split:
        yield prefix + "attn_kv_b.weight", kv_b.data, kv_b.shape
        return
    per_head = kv_b.data.view(attn.num_heads, -1, attn.kv_lora_rank)
    k_b = per_head[:, :attn.qk_nope_head_dim].transpose(1, 2)
    v_b = per_head[:, attn.qk_nope_head_dim:]
    yield prefix + "attn_k_b.weight", k_b, k_b.shape
    yield prefix + "attn_v_b.weight", v_b, v_b.shape


def _feed_forward(prefix, mlp, per_expert_names):
    if not hasattr(mlp, "experts"):
        for name in ("gate", "up", "down"):
            weight = getattr(mlp, name + "_proj").weight
            yield f"{prefix}ffn_{name}.weight", weight.data, weight.shape
        return
    yield prefix + "ffn_gate_inp.weight", mlp.gate.weight.data, mlp.gate.weight.shape
    bias = getattr(mlp.gate, "e_score_correction_bias", None)
    if bias is not None:
        yield prefix + "exp_probs_b.bias", bias.data, bias.shape
    gate, up = mlp.experts.gate_up_proj.data.chunk(2, dim=1)
    for name, stack in (("gate", gate), ("up", up), ("down", mlp.experts.down_proj.data)):
        if per_expert_names:
            for e in range(len(stack)):
                yield f"{prefix}ffn_{name}.{e}.weight", stack[e], stack[e].shape
        else:
            yield f"{prefix}ffn_{name}_exps.weight", stack, stack.shape
    if hasattr(mlp, "shared_experts"):
        for name in ("gate", "up", "down"):
            weight = getattr(mlp.shared_experts, name + "_proj").weight
            yield f"{prefix}ffn_{name}_shexp.weight", weight.data, weight.shape


def rope_freqs(config):
    """Divisors of the llama3 scheme: 1 for short waves, `factor` for long ones, between the two
    1 / ((1 - t)/factor + t) with t linear in original_length / wavelength."""
    p = config.rope_parameters
    dim = config.hidden_size // config.num_attention_heads
    out = []
    for i in range(0, dim, 2):
        turns = p["original_max_position_embeddings"] / (2 * math.pi * p["rope_theta"] ** (i / dim))
        t = (turns - p["low_freq_factor"]) / (p["high_freq_factor"] - p["low_freq_factor"])
        t = min(max(t, 0.0), 1.0)
        out.append(1 / ((1 - t) / p["factor"] + t))
    return torch.tensor(out, dtype=torch.float32)


def tensors(model, arch, split_kv=False, per_expert_names=False):
    """Yields (GGUF name, view of the parameter, shape with the slowest axis first)."""
    config, core = model.config, model.model
    yield "token_embd.weight", core.embed_tokens.weight.data, core.embed_tokens.weight.shape
    if not config.tie_word_embeddings:
        yield "output.weight", model.lm_head.weight.data, model.lm_head.weight.shape
    yield "output_norm.weight", core.norm.weight.data, core.norm.weight.shape
    if config.rope_parameters["rope_type"] == "llama3":
        freqs = rope_freqs(config)
        yield "rope_freqs.weight", freqs, freqs.shape
    for i, layer in enumerate(core.layers):
        prefix = f"blk.{i}."
        for name, norm in (("attn_norm", layer.input_layernorm),
                           ("ffn_norm", layer.post_attention_layernorm)):
            yield f"{prefix}{name}.weight", norm.weight.data, norm.weight.shape
        if arch == "deepseek2":
            yield from _latent_attention(prefix, layer.self_attn, split_kv)
        else:
            yield from _attention(model, prefix, layer.self_attn, config.num_attention_heads,
                                  config.num_key_value_heads, arch == "llama")
        yield from _feed_forward(prefix, layer.mlp, per_expert_names)


def random_blocks(values, qtype):
    """Blocks of a type that nothing here encodes: random bytes, which are as good a weight as any
    in a random model, with the scales of all blocks such that the size of the numbers stays."""
    weights, size = gguf.GGML_QUANT_SIZES[qtype]
    rng = np.random.default_rng([int(qtype), values.size])
    raw = rng.integers(0, 256, (values.size // weights, size), dtype=np.uint8)

    def scaled(factor):
        half = np.full(len(raw), factor, dtype=np.float16).view(np.uint16)
        if qtype == QT.IQ1_M:
            half_of_iq1_m(raw, half)
        else:
            raw[:, :2] = half.view(np.uint8).reshape(-1, 2)
        return gguf.quants.dequantize(raw, qtype)

    scaled(np.sqrt(np.square(values).mean() / np.square(scaled(1.0)).mean()))
    return raw.reshape(*values.shape[:-1], -1)


def encode(model, arch, type_of, **layout):
    """Quantizes every tensor as `type_of(name)` says (norms, router and biases stay F32), writes
    the decoded values back into the model, returns [(name, array for the writer, type)]."""
    out = []
    for name, view, shape in tensors(model, arch, **layout):
        qtype = QT.F32 if any(part in name for part in F32_ONLY) else type_of(name)
        values = np.ascontiguousarray(view.numpy())
        data = (random_blocks if qtype in NO_ENCODER else quantize)(values, qtype)
        decoded = gguf.quants.dequantize(data, qtype).reshape(values.shape)
        view.copy_(torch.from_numpy(np.ascontiguousarray(decoded)))
        out.append((name, data.reshape(*shape[:-1], -1), qtype))
    return out


def _deepseek_keys(writer, c, split_kv, omit):
    heads, nope, rope = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim
    writer.add_head_count_kv(1 if split_kv else heads)
    writer.add_key_length((c.kv_lora_rank if split_kv else nope) + rope)
    writer.add_value_length(c.kv_lora_rank if split_kv else c.v_head_dim)
    if split_kv:
        writer.add_key_length_mla(nope + rope)
        writer.add_value_length_mla(c.v_head_dim)
    if c.q_lora_rank is not None:
        writer.add_q_lora_rank(c.q_lora_rank)
    writer.add_kv_lora_rank(c.kv_lora_rank)
    writer.add_rope_dimension_count(rope)
    writer.add_leading_dense_block_count(c.first_k_dense_replace)
    writer.add_expert_feed_forward_length(c.moe_intermediate_size)
    writer.add_expert_count(c.n_routed_experts)
    writer.add_expert_used_count(c.num_experts_per_tok)
    writer.add_expert_shared_count(c.n_shared_experts)
    writer.add_expert_weights_scale(c.routed_scaling_factor)
    v3 = c.model_type == "deepseek_v3"
    if v3:
        writer.add_expert_weights_norm(c.norm_topk_prob)
    if "gating" not in omit:
        kind = gguf.ExpertGatingFuncType
        writer.add_expert_gating_func(kind.SIGMOID if v3 else kind.SOFTMAX)
    if "groups" not in omit and c.n_group is not None:
        writer.add_expert_group_count(c.n_group)
        writer.add_expert_group_used_count(c.topk_group)


def _rope_keys(writer, rope):
    writer.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] in ("default", "llama3"):
        return
    kind = gguf.RopeScalingType
    writer.add_rope_scaling_type(kind.YARN if rope["rope_type"] == "yarn" else kind.LINEAR)
    writer.add_rope_scaling_factor(rope["factor"])
    if rope["rope_type"] == "linear":
        return
    writer.add_rope_scaling_orig_ctx_len(rope["original_max_position_embeddings"])
    if "mscale_all_dim" in rope:
        writer.add_rope_scaling_yarn_log_mul(0.1 * rope["mscale_all_dim"])
    if "beta_fast" in rope:
        writer.add_rope_scaling_yarn_beta_fast(rope["beta_fast"])
        writer.add_rope_scaling_yarn_beta_slow(rope["beta_slow"])


def write(path, name, model, arch, encoded, split_kv=False, omit=(), split_max_tensors=0):
    """Writes the file (or, with split_max_tensors, the files <stem>-0000i-of-0000n.gguf)."""
    c = model.config
    writer = gguf.GGUFWriter(path, arch, split_max_tensors=split_max_tensors)
    writer.add_name(name)
    writer.add_context_length(c.max_position_embeddings)
    writer.add_embedding_length(c.hidden_size)
    writer.add_block_count(c.num_hidden_layers)
    writer.add_feed_forward_length(c.intermediate_size)
    writer.add_head_count(c.num_attention_heads)
    writer.add_layer_norm_rms_eps(c.rms_norm_eps)
    writer.add_vocab_size(c.vocab_size)
    _rope_keys(writer, c.rope_parameters)
    if arch == "deepseek2":
        _deepseek_keys(writer, c, split_kv, omit)
    else:
        writer.add_head_count_kv(c.num_key_value_heads)
        if arch != "llama":
            writer.add_key_length(c.head_dim)
            writer.add_value_length(c.head_dim)
        experts = getattr(c, "num_local_experts", None) or getattr(c, "num_experts", None)
        if experts:
            writer.add_expert_count(experts)
            writer.add_expert_used_count(c.num_experts_per_tok)
        if arch == "qwen3moe":
            writer.add_expert_feed_forward_length(c.moe_intermediate_size)
    tokens, types, merges = vocabulary()
    assert len(tokens) == c.vocab_size
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for tensor_name, data, qtype in encoded:
        writer.add_tensor(tensor_name, data, raw_dtype=qtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
