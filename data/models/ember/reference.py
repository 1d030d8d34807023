"""Ember as it is shipped: the GGUF, dequantized with the `gguf` package, computed by model.py.

    python reference.py ember.gguf "what is hearth"             one answer
    python reference.py ember.gguf --vectors ember_greedy.json  token sequences for the engine's tests
"""
import json
import sys

import gguf
import numpy as np
import torch

import tokenizer
from export import tensors
from model import Config, Ember


def read(path):
    """(model, chat) of a file that export.py wrote."""
    file = gguf.GGUFReader(path)

    def get(key, prefix="deepseek2."):
        return file.fields[prefix + key].contents()

    cfg = Config(n_vocab=get("vocab_size"), n_layer=get("block_count"), n_dense=get("leading_dense_block_count"),
                 n_embd=get("embedding_length"), n_head=get("attention.head_count"), q_lora=get("attention.q_lora_rank"),
                 kv_lora=get("attention.kv_lora_rank"), d_rope=get("rope.dimension_count"),
                 d_nope=get("attention.key_length_mla") - get("rope.dimension_count"),
                 d_v=get("attention.value_length_mla"), ff_dense=get("feed_forward_length"),
                 ff_expert=get("expert_feed_forward_length"), n_expert=get("expert_count"),
                 n_used=get("expert_used_count"), route_scale=get("expert_weights_scale"),
                 rope_base=get("rope.freq_base"), eps=get("attention.layer_norm_rms_epsilon"), n_ctx=get("context_length"))
    model = Ember(cfg).eval()
    stored = {t.name: t for t in file.tensors}
    with torch.no_grad():
        for name, place in tensors(model):      # views of the parameters: writing them fills the model
            t = stored.pop(name)
            values = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)
            place.copy_(torch.from_numpy(values).reshape(place.shape))
    if stored:
        raise ValueError(f"tensors that model.py does not know: {', '.join(stored)}")
    tokens, rules = get("tokens", "tokenizer.ggml."), get("merges", "tokenizer.ggml.")
    return model, tokenizer.Chat(tokenizer.rebuild(tokens, rules))


def answers(model, chat, conversations, n_max=200, batch=50):
    """The greedy answer to each conversation, a (turns, system) pair as in Chat.prompt."""
    prompts = [chat.prompt(turns, system) for turns, system in conversations]
    out = []
    for i in range(0, len(prompts), batch):
        out += [chat.text(ids) for ids in model.greedy(prompts[i:i + batch], n_max, chat.end)]
    return out


def vectors(model, chat, path):
    """20 prompts and their greedy continuations, the end token included."""
    talks = [([(q, None)], None) for q in (
        "What is Hearth?", "who are you", "What does a router do?", "Why is decode limited by memory?", "what is 47+38",
        "123 + 989", "7 x 8", "hello", "write a poem about the sea", "How much memory does DeepSeek-R1 need?",
        "Hearth 是什么？", "你是谁", "什么是量化？", "没有显卡能用吗", "35减17等于多少", "谢谢")]
    talks += [([("What is Hearth?", "Hearth is a desktop chat app."), ("Is it free?", None)], None),
              ([("你好", "你好！"), ("什么是 KV 缓存？", None)], "请用简短的语言回答。"),
              ([("what is MoE", None)], "You are a helpful assistant."), ([("thanks", "You are welcome!"), ("bye", None)], None)]
    cases = []
    for turns, system in talks:
        prompt = chat.prompt(turns, system)
        ids = model.greedy([prompt], 200, chat.end)[0] + [chat.end]
        cases.append({"prompt_tokens": prompt, "greedy": ids})
    with open(path, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


def main():
    torch.set_num_threads(2)
    model, chat = read(sys.argv[1])
    if sys.argv[2] == "--vectors":
        vectors(model, chat, sys.argv[3])
    else:
        print(*answers(model, chat, [([(q, None)], None) for q in sys.argv[2:]]), sep="\n")


if __name__ == "__main__":
    main()
