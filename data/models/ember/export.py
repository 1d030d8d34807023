"""Writes the trained weights as a K-quantized GGUF: `python export.py build ember.gguf`.

The file is an ordinary `deepseek2` model in the split form (attn_k_b and attn_v_b), with the
vocabulary and the chat template inside.
"""
import sys
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))     # ../kquants.py
import tokenizer
from kquants import quantize
from model import Config, Ember

# What is small and decides much keeps more bits. Rows of attn_k_b, attn_v_b and the experts' down are
# no multiple of a K superblock.
TYPES = [("attn_k_b", T.Q8_0), ("attn_v_b", T.Q8_0), ("attn_", T.Q5_K), ("output.", T.Q5_K), ("token_embd", T.Q4_K),
         ("ffn_down_shexp", T.Q8_0), ("ffn_down_exps", T.Q5_0), ("_exps", T.Q4_K), ("ffn_down", T.Q5_K), ("ffn_", T.Q4_K)]


def tensors(model):
    """(GGUF name, float32 array) of every tensor, in the file's order."""
    cfg = model.cfg
    yield "token_embd.weight", model.embed.weight
    yield "output_norm.weight", model.norm.weight
    yield "output.weight", model.head.weight
    for i, block in enumerate(model.blocks):
        attn, ffn, p = block.attn, block.ffn, f"blk.{i}."
        yield p + "attn_norm.weight", block.attn_norm.weight
        yield p + "attn_q_a.weight", attn.q_a.weight
        yield p + "attn_q_a_norm.weight", attn.q_a_norm.weight
        yield p + "attn_q_b.weight", attn.q_b.weight
        yield p + "attn_kv_a_mqa.weight", attn.kv_a.weight
        yield p + "attn_kv_a_norm.weight", attn.kv_a_norm.weight
        kv_b = attn.kv_b.weight.view(cfg.n_head, cfg.d_nope + cfg.d_v, cfg.kv_lora)
        yield p + "attn_k_b.weight", kv_b[:, :cfg.d_nope].transpose(1, 2)
        yield p + "attn_v_b.weight", kv_b[:, cfg.d_nope:]
        yield p + "attn_output.weight", attn.out.weight
        yield p + "ffn_norm.weight", block.ffn_norm.weight
        if i < cfg.n_dense:
            gate, up = ffn.gate_up.weight.chunk(2)
            yield p + "ffn_gate.weight", gate
            yield p + "ffn_up.weight", up
            yield p + "ffn_down.weight", ffn.down.weight
            continue
        yield p + "ffn_gate_inp.weight", ffn.router
        yield p + "exp_probs_b.bias", ffn.bias
        gate, up = ffn.gate_up.chunk(2, 1)
        yield p + "ffn_gate_exps.weight", gate
        yield p + "ffn_up_exps.weight", up
        yield p + "ffn_down_exps.weight", ffn.down
        gate, up = ffn.shared.gate_up.weight.chunk(2)
        yield p + "ffn_gate_shexp.weight", gate
        yield p + "ffn_up_shexp.weight", up
        yield p + "ffn_down_shexp.weight", ffn.shared.down.weight


def type_of(name, array):
    if array.ndim == 1 or "ffn_gate_inp" in name:
        return T.F32
    return next(t for part, t in TYPES if part in name)


def write_header(w, cfg):
    a = "deepseek2"
    w.add_type("model")
    w.add_name("Ember")
    w.add_description("The model built into Hearth: answers about Hearth and local inference in English and Chinese")
    w.add_license("apache-2.0")
    w.add_languages(["en", "zh"])
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    w.add_quantization_version(2)
    for key, value in {
        "vocab_size": cfg.n_vocab, "context_length": cfg.n_ctx, "embedding_length": cfg.n_embd,
        "block_count": cfg.n_layer, "leading_dense_block_count": cfg.n_dense, "feed_forward_length": cfg.ff_dense,
        "attention.head_count": cfg.n_head, "attention.head_count_kv": 1,
        "attention.q_lora_rank": cfg.q_lora, "attention.kv_lora_rank": cfg.kv_lora,
        "attention.key_length": cfg.kv_lora + cfg.d_rope, "attention.value_length": cfg.kv_lora,
        "attention.key_length_mla": cfg.d_nope + cfg.d_rope, "attention.value_length_mla": cfg.d_v,
        "rope.dimension_count": cfg.d_rope, "expert_count": cfg.n_expert, "expert_used_count": cfg.n_used,
        "expert_shared_count": 1, "expert_feed_forward_length": cfg.ff_expert, "expert_gating_func": 2,
        "expert_group_count": 1, "expert_group_used_count": 1,
    }.items():
        w.add_uint32(f"{a}.{key}", value)
    w.add_float32(f"{a}.attention.layer_norm_rms_epsilon", cfg.eps)
    w.add_float32(f"{a}.rope.freq_base", cfg.rope_base)
    w.add_float32(f"{a}.expert_weights_scale", cfg.route_scale)
    w.add_bool(f"{a}.expert_weights_norm", True)


def write_vocabulary(w, path):
    chat = tokenizer.Chat(path)
    size = chat.tok.get_vocab_size()
    tokens = [chat.tok.id_to_token(i) for i in range(size)]
    kind = {t: gguf.TokenType.CONTROL for t in tokenizer.CONTROL}
    # As in DeepSeek-R1 and Qwen3, the marks of a thought are shown, so they are not CONTROL.
    kind.update({t: gguf.TokenType.USER_DEFINED for t in (tokenizer.THINK, tokenizer.THINK_END)})
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(tokens)
    w.add_token_types([int(kind.get(t, gguf.TokenType.NORMAL)) for t in tokens])
    w.add_token_merges(tokenizer.merges(chat.tok))
    w.add_bos_token_id(chat.bos)
    w.add_eos_token_id(chat.end)
    w.add_pad_token_id(chat.end)
    # The chat template writes the first token itself.
    w.add_add_bos_token(False)
    w.add_add_eos_token(False)
    w.add_chat_template(tokenizer.CHAT_TEMPLATE)


def main():
    source, target = Path(sys.argv[1]), sys.argv[2]
    saved = torch.load(source / "model.pt", weights_only=True)
    model = Ember(Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    w = gguf.GGUFWriter(target, "deepseek2")
    write_header(w, model.cfg)
    write_vocabulary(w, source / "tokenizer.json")
    for name, tensor in tensors(model):
        array = np.ascontiguousarray(tensor.detach().numpy(), dtype=np.float32)
        kind = type_of(name, array)
        w.add_tensor(name, array if kind == T.F32 else quantize(array, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    print(f"{target}: {Path(target).stat().st_size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
