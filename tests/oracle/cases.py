"""The oracle's cases: groups of variants that share architecture, weights and prompts.

A group: `model` (prefix of the transformers classes), `arch` (GGUF), `config`, `seed`,
`gain` (of random weights), `margin` (smallest distance of a routing choice to the next one).
A variant: `name`, and what differs: `config`, `zero_bias`, `split_kv`, `per_expert_names`,
`omit` (keys left out of the file), `types` (tensor name -> type), `activations` (how a kernel may
round its input, for the bound), `shards`, `version`, `differs` / `same_as` (another variant's
expectation), `zero_mask` (asserts that masking with -inf matters).

Sizes are small and odd on purpose (20, 36: no multiple of a vector), except where a block type
needs rows of 32 or 256.
"""

from gguf import GGMLQuantizationType as QT

VOCAB = 104


def yarn(factor, original, theta=10000.0, **more):
    return {"rope_type": "yarn", "rope_theta": theta, "factor": factor,
            "original_max_position_embeddings": original, **more}


def plain(theta=10000.0):
    return {"rope_type": "default", "rope_theta": theta}


def deepseek(rope, **more):
    return {"vocab_size": VOCAB, "hidden_size": 20, "intermediate_size": 36,
            "moe_intermediate_size": 8, "num_hidden_layers": 3, "num_attention_heads": 2,
            "num_key_value_heads": 2, "n_shared_experts": 1, "n_routed_experts": 12,
            "num_experts_per_tok": 3, "kv_lora_rank": 20, "q_lora_rank": 28,
            "qk_rope_head_dim": 16, "qk_nope_head_dim": 12, "v_head_dim": 20,
            "first_k_dense_replace": 1, "rms_norm_eps": 1e-6, "max_position_embeddings": 640,
            "bos_token_id": 0, "eos_token_id": 1, "rope_parameters": rope, **more}


V3_ROPE = yarn(40.0, 16, theta=1000.0, mscale=1.0, mscale_all_dim=1.0)
V2_ROPE = yarn(40.0, 16, theta=1000.0, mscale=0.707, mscale_all_dim=0.707)
V3 = {"num_mtp_layers": 0, "n_group": 4, "topk_group": 2, "num_experts_per_tok": 4,
      "norm_topk_prob": True, "routed_scaling_factor": 2.5}
V2 = {"topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2,
      "routed_scaling_factor": 16.0, "n_shared_experts": 2}


def dense(**more):
    return {"vocab_size": VOCAB, "hidden_size": 24, "intermediate_size": 40,
            "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "bos_token_id": 0,
            "eos_token_id": 1, "tie_word_embeddings": False,
            "rope_parameters": plain(), **more}


QWEN = {"head_dim": 16, "rms_norm_eps": 1e-6, "rope_parameters": plain(1000.0)}
QWEN_MOE = {**QWEN, "num_experts": 9, "num_experts_per_tok": 3, "moe_intermediate_size": 8,
            "norm_topk_prob": True}
LLAMA3_ROPE = {"rope_type": "llama3", "rope_theta": 1000.0, "factor": 8.0, "low_freq_factor": 1.0,
               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}

F32_GROUPS = {
    "v3": {
        "model": "DeepseekV3", "arch": "deepseek2", "seed": 3, "config": deepseek(V3_ROPE, **V3),
        "variants": [
            {"name": "v3_fused", "zero_mask": True},
            {"name": "v3_split", "split_kv": True, "same_as": "v3_fused"},
            {"name": "v3_nogroup", "config": {"n_group": 1, "topk_group": 1},
             "differs": "v3_fused"},
            {"name": "v3_nobias", "zero_bias": True, "split_kv": True, "differs": "v3_fused"},
            {"name": "v3_noyarn", "config": {"rope_parameters": plain(1000.0)},
             "differs": "v3_fused"},
        ],
    },
    "v3_256": {  # a file without group keys, as converters of early 2025 wrote them
        "model": "DeepseekV3", "arch": "deepseek2", "seed": 4,
        "config": deepseek(V3_ROPE, **{**V3, "n_group": 8, "topk_group": 4,
                                      "num_experts_per_tok": 8},
                           hidden_size=16, n_routed_experts=256, moe_intermediate_size=2,
                           num_hidden_layers=2),
        "margin": 1e-3,
        "variants": [
            {"name": "v3_256_nokeys", "omit": ("groups",)},
            # more experts than four of eight groups hold: there are no groups to assume
            {"name": "v3_256_many", "omit": ("groups",), "differs": "v3_256_nokeys",
             "config": {"n_group": 1, "topk_group": 1, "num_experts_per_tok": 136}},
        ],
    },
    "v2": {
        "model": "DeepseekV2", "arch": "deepseek2", "seed": 5, "gain": {"experts": 0.6},
        "config": deepseek(V2_ROPE, **V2, num_hidden_layers=2),
        "variants": [
            {"name": "v2_group"},
            {"name": "v2_nogroup", "config": {"n_group": 1, "topk_group": 1}, "split_kv": True,
             "differs": "v2_group"},
            {"name": "v2_noyarn", "config": {"rope_parameters": plain(1000.0)},
             "differs": "v2_group"},
            {"name": "v2_yarn_nomul",
             "config": {"rope_parameters": yarn(40.0, 16, theta=1000.0)}, "differs": "v2_group"},
        ],
    },
    "v2lite": {
        "model": "DeepseekV2", "arch": "deepseek2", "seed": 6,
        "config": deepseek(V2_ROPE, topk_method="greedy", q_lora_rank=None,
                           routed_scaling_factor=1.0, n_shared_experts=2,
                           num_hidden_layers=2),
        "variants": [{"name": "v2lite_nokeys", "omit": ("gating", "groups")},
                     {"name": "v2lite_split", "split_kv": True, "same_as": "v2lite_nokeys"}],
    },
    "v2_160": {
        "model": "DeepseekV2", "arch": "deepseek2", "seed": 7, "gain": {"experts": 0.6},
        "config": deepseek(V2_ROPE, **{**V2, "n_group": 8, "topk_group": 3}, hidden_size=16,
                           n_routed_experts=160, num_experts_per_tok=6, moe_intermediate_size=2,
                           num_hidden_layers=2),
        "variants": [{"name": "v2_160_nokeys", "omit": ("gating", "groups")}],
    },
    "qwen3moe": {
        "model": "Qwen3Moe", "arch": "qwen3moe", "seed": 8, "config": dense(**QWEN_MOE),
        "variants": [
            {"name": "qwen3moe"},
            {"name": "qwen3moe_yarn", "differs": "qwen3moe",
             "config": {"max_position_embeddings": 64,
                        "rope_parameters": yarn(4.0, 16, theta=1000.0)}},
        ],
    },
    "qwen3": {
        "model": "Qwen3", "arch": "qwen3", "seed": 9, "config": dense(**QWEN),
        "variants": [
            {"name": "qwen3"},
            {"name": "qwen3_yarn", "differs": "qwen3",
             "config": {"max_position_embeddings": 128,
                        "rope_parameters": yarn(4.0, 32, theta=1000.0, beta_fast=2.0,
                                                beta_slow=0.25)}},
        ],
    },
    "qwen3_tied": {  # and an epsilon that cannot be overlooked
        "model": "Qwen3", "arch": "qwen3", "seed": 10,
        "config": dense(**{**QWEN, "rms_norm_eps": 0.05}, tie_word_embeddings=True),
        "variants": [{"name": "qwen3_tied"}],
    },
    "llama": {
        "model": "Llama", "arch": "llama", "seed": 11, "difference": 0.02,
        "config": dense(hidden_size=32, rope_parameters=plain(1000.0)),
        "variants": [
            {"name": "llama"},
            {"name": "llama_shards", "shards": 3, "same_as": "llama"},
            {"name": "llama_v2file", "version": 2, "same_as": "llama"},
            {"name": "llama_linear", "differs": "llama",
             "config": {"rope_parameters": {"rope_type": "linear", "rope_theta": 1000.0,
                                            "factor": 4.0}}},
            {"name": "llama_llama3", "differs": "llama",
             "config": {"rope_parameters": LLAMA3_ROPE}},
        ],
    },
    "mixtral": {
        "model": "Mixtral", "arch": "llama", "seed": 12,
        "config": dense(hidden_size=32, intermediate_size=12, num_local_experts=5,
                        num_experts_per_tok=2),
        "variants": [{"name": "mixtral"},
                     {"name": "mixtral_old", "per_expert_names": True, "same_as": "mixtral"}],
    },
}


def uniform(qtype):
    return lambda _name: qtype


def half_variants(stem, split_kv=False):
    kinds = ((QT.F16, "f16"), (QT.BF16, "bf16"), (QT.Q8_0, "32"), (QT.Q4_0, "32"))
    return [{"name": f"{stem}_{qtype.name.lower()}", "types": uniform(qtype), "activations": kind,
             "split_kv": split_kv} for qtype, kind in kinds]


def mix(table, default):
    """The first entry whose key occurs in the tensor's name decides."""
    def type_of(name):
        return next((qtype for part, qtype in table.items() if part in name), default)
    return type_of


# deepseek2's attn_k_b has rows of qk_nope, too short for a K-quant: real files use Q8_0 there too
DEEPSEEK_Q4_K_M = mix({"token_embd": QT.Q4_K, "output.weight": QT.Q6_K, "attn_k_b": QT.Q8_0,
                       "attn_v_b": QT.Q4_K, "attn_kv_a": QT.Q5_K, "down": QT.Q6_K}, QT.Q4_K)
DEEPSEEK_Q2_K = mix({"token_embd": QT.Q2_K, "output.weight": QT.Q6_K, "attn_kv_b": QT.Q3_K,
                     "attn_output": QT.Q3_K, "down": QT.Q3_K}, QT.Q2_K)
QWEN_MIX = mix({"token_embd": QT.Q6_K, "output.weight": QT.Q5_K, "attn_q": QT.Q3_K,
                "attn_k": QT.Q2_K, "attn_v": QT.Q6_K, "attn_output": QT.Q4_K,
                "gate_exps": QT.Q5_K, "up_exps": QT.Q3_K}, QT.Q2_K)

# every codebook format once, and every 32-number format that has no case of its own
QWEN_IQ = mix({"token_embd": QT.IQ3_S, "attn_q": QT.IQ4_XS, "attn_k": QT.IQ2_XXS,
               "attn_v": QT.IQ3_XXS, "attn_output": QT.IQ2_XS, "gate": QT.IQ1_S, "up": QT.IQ2_S},
              QT.IQ1_M)
QWEN_32 = mix({"token_embd": QT.Q5_1, "attn": QT.Q4_1, "gate": QT.MXFP4, "up": QT.IQ4_NL}, QT.Q5_0)
# what dynamic mixes look like: codebooks for the experts, K-quants around them
DEEPSEEK_UD = mix({"token_embd": QT.Q4_K, "output.weight": QT.Q6_K, "attn_k_b": QT.Q8_0,
                   "gate_exps": QT.IQ1_S, "up_exps": QT.IQ1_M, "down_exps": QT.IQ2_XXS,
                   "attn_output": QT.IQ4_XS, "shexp": QT.Q5_K}, QT.Q4_K)

# one MoE layer of three experts: routing stays put under rounded activations (margin), and the
# rows of 256 that a superblock needs make every matrix large
K_DEEPSEEK = {"hidden_size": 256, "intermediate_size": 256, "moe_intermediate_size": 256,
              "num_hidden_layers": 1, "first_k_dense_replace": 0, "n_routed_experts": 3,
              "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "kv_lora_rank": 256,
              "q_lora_rank": None, "qk_nope_head_dim": 32, "v_head_dim": 128}
K_QWEN = {**QWEN, "hidden_size": 256, "intermediate_size": 256, "head_dim": 64,
          "num_key_value_heads": 1, "num_hidden_layers": 1}
SMALL_DEEPSEEK = {"hidden_size": 32, "intermediate_size": 64, "moe_intermediate_size": 32,
                  "num_hidden_layers": 1, "first_k_dense_replace": 0, "n_routed_experts": 6,
                  "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "kv_lora_rank": 32,
                  "q_lora_rank": 32, "qk_nope_head_dim": 32, "v_head_dim": 32}

# rounding errors should stay what they are and not be amplified: flat attention, clear routing
CALM = {"router": 4.0, "attention": 0.6}

QUANT_GROUPS = {
    "v3_small": {
        "model": "DeepseekV3", "arch": "deepseek2", "seed": 20, "margin": 0.04,
        "gain": CALM,
        "config": deepseek(V3_ROPE, **{**V3, **SMALL_DEEPSEEK}),
        "variants": half_variants("v3", split_kv=True),
    },
    "qwen3moe_small": {
        "model": "Qwen3Moe", "arch": "qwen3moe", "seed": 21, "margin": 0.3,
        "gain": CALM,
        "config": dense(**{**QWEN_MOE, "hidden_size": 32, "moe_intermediate_size": 32,
                           "num_experts": 6, "num_experts_per_tok": 2, "num_hidden_layers": 1}),
        "variants": half_variants("qwen3moe"),
    },
    "v3_k": {
        "model": "DeepseekV3", "arch": "deepseek2", "seed": 22, "margin": 0.04,
        "gain": CALM,
        "config": deepseek(V3_ROPE, **{**V3, **K_DEEPSEEK}),
        "variants": [
            {"name": "v3_q4_k_m", "types": DEEPSEEK_Q4_K_M, "split_kv": True,
             "activations": "256"},
            {"name": "v3_q2_k", "types": DEEPSEEK_Q2_K, "activations": "256"},
        ],
    },
    "v3_ud": {
        "model": "DeepseekV3", "arch": "deepseek2", "seed": 27, "margin": 0.04, "gain": CALM,
        "config": deepseek(V3_ROPE, **{**V3, **K_DEEPSEEK}),
        "variants": [{"name": "v3_ud_iq1", "types": DEEPSEEK_UD, "split_kv": True,
                      "activations": "256"}],
    },
    "qwen3moe_k": {
        "model": "Qwen3Moe", "arch": "qwen3moe", "seed": 23, "margin": 0.3,
        "gain": CALM,
        "config": dense(**{**QWEN_MOE, **K_QWEN, "moe_intermediate_size": 256, "num_experts": 3,
                           "num_experts_per_tok": 2}),
        "variants": [{"name": "qwen3moe_kmix", "types": QWEN_MIX, "activations": "256"}],
    },
    "qwen3_k": {  # one type per file, so that a failure names it
        "model": "Qwen3", "arch": "qwen3", "seed": 24, "gain": CALM,
        "config": dense(**K_QWEN, tie_word_embeddings=True),
        "variants": [{"name": f"qwen3_{q.name.lower()}", "types": uniform(q), "activations": "256"}
                     for q in (QT.Q2_K, QT.Q3_K, QT.Q4_K, QT.Q5_K, QT.Q6_K)],
    },
    "qwen3_iq": {
        "model": "Qwen3", "arch": "qwen3", "seed": 25, "gain": CALM,
        "config": dense(**K_QWEN, tie_word_embeddings=True),
        "variants": [{"name": "qwen3_iq", "types": QWEN_IQ, "activations": "256"}],
    },
    "qwen3moe_32": {
        "model": "Qwen3Moe", "arch": "qwen3moe", "seed": 26, "margin": 0.3, "gain": CALM,
        "config": dense(**{**QWEN_MOE, "hidden_size": 64, "moe_intermediate_size": 64,
                           "num_experts": 6, "num_experts_per_tok": 2, "num_hidden_layers": 1}),
        "variants": [{"name": "qwen3moe_32", "types": QWEN_32, "activations": "32"}],
    },
}

GROUPS = {**F32_GROUPS, **QUANT_GROUPS}
