#!/usr/bin/env python3
"""Writes the seeds of the targets `gguf` and `model`: tiny files, each sound or wrong in one known
way, the same bytes on every run. Python's standard library alone.

Usage: make_corpus.py CORPUS_FOLDER
"""
import random
import struct
import sys
from pathlib import Path

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
_FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q",
            I64: "q", F64: "d"}
# type: (number in the file, numbers per block, bytes per block, offsets of half-precision scales)
TYPES = {"F32": (0, 1, 4, ()), "F16": (1, 1, 2, ()), "Q4_0": (2, 32, 18, (0,)),
         "Q5_0": (6, 32, 22, (0,)), "Q8_0": (8, 32, 34, (0,)), "Q2_K": (10, 256, 84, (80, 82)),
         "Q3_K": (11, 256, 110, (108,)), "Q4_K": (12, 256, 144, (0, 2)),
         "Q5_K": (13, 256, 176, (0, 2)), "Q6_K": (14, 256, 210, (208,)), "BF16": (30, 1, 2, ())}


def text(s):
    raw = s.encode()
    return struct.pack("<Q", len(raw)) + raw


def value(kind, x):
    return text(x) if kind == STRING else struct.pack("<" + _FORMATS[kind], x)


class Gguf:
    def __init__(self, arch, version=3, align=32):
        self.version, self.align = version, align
        self.kvs, self.tensors, self.data = [], [], b""
        self.put("general.architecture", STRING, arch)
        if align != 32:
            self.put("general.alignment", U32, align)

    def put(self, key, kind, x):
        self.kvs.append(text(key) + struct.pack("<I", kind) + value(kind, x))

    def put_array(self, key, kind, items):
        self.kvs.append(text(key) + struct.pack("<IIQ", ARRAY, kind, len(items))
                        + b"".join(value(kind, x) for x in items))

    def tensor(self, name, shape, qtype, data):
        self.data += b"\0" * (-len(self.data) % self.align)
        self.tensors.append(text(name) + struct.pack("<I", len(shape))
                            + b"".join(struct.pack("<Q", n) for n in shape)
                            + struct.pack("<IQ", TYPES[qtype][0], len(self.data)))
        self.data += data

    def bytes(self):
        head = b"GGUF" + struct.pack("<IQQ", self.version, len(self.tensors), len(self.kvs))
        head += b"".join(self.kvs) + b"".join(self.tensors)
        return head + b"\0" * (-len(head) % self.align) + self.data


def weights(rng, n, qtype, mean=0.0):
    """n numbers near mean +- 0.1; quantized blocks are random bits under small scales."""
    _, block, size, scales = TYPES[qtype]
    if qtype in ("F32", "F16"):
        code = "f" if qtype == "F32" else "e"
        return struct.pack(f"<{n}{code}", *(mean + rng.uniform(-0.1, 0.1) for _ in range(n)))
    if qtype == "BF16":
        return b"".join(struct.pack("<f", mean + rng.uniform(-0.1, 0.1))[2:] for _ in range(n))
    out = bytearray(rng.randbytes(n // block * size))
    for start in range(0, len(out), size):
        for at in scales:
            out[start + at:start + at + 2] = struct.pack("<e", 0.0005)
    return bytes(out)


class Model(Gguf):
    """Tensors by name and shape; which type each gets is the caller's `pick(name)`."""

    def __init__(self, arch, seed, pick, **keys):
        super().__init__(arch)
        self.rng, self.pick = random.Random(seed), pick
        for key, x in keys.items():
            key = key.replace("__", ".")
            kind = {bool: BOOL, float: F32, str: STRING}.get(type(x), U32)
            self.put(key if key.startswith("tokenizer.") else f"{arch}.{key}", kind, x)

    def matrix(self, name, *shape):
        n = 1
        for size in shape:
            n *= size
        qtype = self.pick(name)
        self.tensor(name + ".weight", shape, qtype, weights(self.rng, n, qtype))

    def vector(self, name, n, suffix=".weight", mean=1.0):
        self.tensor(name + suffix, (n,), "F32", weights(self.rng, n, "F32", mean))

    def trunk(self, width, vocab):
        self.matrix("token_embd", width, vocab)
        self.vector("output_norm", width)
        self.matrix("output", width, vocab)

    def feed_forward(self, prefix, width, inner, suffix=""):
        for part in ("gate", "up"):
            self.matrix(f"{prefix}ffn_{part}{suffix}", width, inner)
        self.matrix(f"{prefix}ffn_down{suffix}", inner, width)

    def experts(self, prefix, width, inner, count):
        self.tensor(f"{prefix}ffn_gate_inp.weight", (width, count), "F32",
                    weights(self.rng, width * count, "F32"))
        for part in ("gate", "up"):
            self.matrix(f"{prefix}ffn_{part}_exps", width, inner, count)
        self.matrix(f"{prefix}ffn_down_exps", inner, width, count)


def bpe(model):
    tokens = ["<s>", "</s>", "<|think|>"] + list("abcdehilnorstw.,?!") + ["Ġ", "Ċ", "th", "the", "Ġa"]
    model.put("tokenizer.ggml.model", STRING, "gpt2")
    model.put("tokenizer.ggml.pre", STRING, "qwen2")
    model.put_array("tokenizer.ggml.tokens", STRING, tokens)
    model.put_array("tokenizer.ggml.token_type", I32, [3, 3, 4] + [1] * (len(tokens) - 3))
    model.put_array("tokenizer.ggml.merges", STRING, ["t h", "th e", "Ġ a"])
    model.put("tokenizer.ggml.bos_token_id", U32, 0)
    model.put("tokenizer.ggml.eos_token_id", U32, 1)
    model.put("tokenizer.chat_template", STRING,
              "{% for m in messages %}{{ m.role + ':' + m.content }}\n{% endfor %}the")
    return len(tokens)


def spm(model):
    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    types = [2, 3, 3] + [6] * 256
    pieces = ["▁", "a", "b", "e", "h", "t", "th", "▁t", "▁the", "he"]
    model.put("tokenizer.ggml.model", STRING, "llama")
    model.put_array("tokenizer.ggml.tokens", STRING, tokens + pieces)
    model.put_array("tokenizer.ggml.scores", F32, [0.0] * 259 + [-float(i) for i in range(len(pieces))])
    model.put_array("tokenizer.ggml.token_type", I32, types + [1] * len(pieces))
    model.put("tokenizer.ggml.bos_token_id", U32, 1)
    model.put("tokenizer.ggml.eos_token_id", U32, 2)
    return len(tokens) + len(pieces)


def grouped(arch, seed, pick, width=16, head=8, inner=16, experts=0, vocabulary=bpe):
    """llama, qwen3 and qwen3moe: two query heads on one KV head, two layers."""
    keys = dict(block_count=2, context_length=64, embedding_length=width, feed_forward_length=inner,
                attention__head_count=2, attention__head_count_kv=1, attention__key_length=head,
                attention__value_length=head, attention__layer_norm_rms_epsilon=1e-6)
    if experts:
        keys.update(expert_count=experts, expert_used_count=2, expert_feed_forward_length=inner)
    model = Model(arch, seed, pick, **keys)
    model.trunk(width, vocabulary(model))
    for i in range(2):
        prefix = f"blk.{i}."
        model.vector(prefix + "attn_norm", width)
        model.matrix(prefix + "attn_q", width, 2 * head)
        model.matrix(prefix + "attn_k", width, head)
        model.matrix(prefix + "attn_v", width, head)
        model.matrix(prefix + "attn_output", 2 * head, width)
        if arch != "llama":
            model.vector(prefix + "attn_q_norm", head)
            model.vector(prefix + "attn_k_norm", head)
        model.vector(prefix + "ffn_norm", width)
        if experts:
            model.experts(prefix, width, inner, experts)
        else:
            model.feed_forward(prefix, width, inner)
    return model


def latent(seed, pick, split):
    """deepseek2: one dense layer, one of four experts in two groups and a shared one."""
    width, heads, nope, rope, v, rank, low, inner = 16, 2, 4, 4, 4, 8, 8, 16
    keys = dict(block_count=2, context_length=256, embedding_length=width, feed_forward_length=inner,
                attention__head_count=heads, attention__head_count_kv=1 if split else heads,
                attention__key_length=(rank if split else nope) + rope,
                attention__value_length=rank if split else v, attention__kv_lora_rank=rank,
                rope__dimension_count=rope, leading_dense_block_count=1, expert_count=4,
                expert_used_count=2, expert_shared_count=1, expert_feed_forward_length=inner,
                expert_weights_scale=2.5, expert_gating_func=2 if split else 1)
    if split:
        keys.update(attention__q_lora_rank=low, attention__key_length_mla=nope + rope,
                    attention__value_length_mla=v, expert_group_count=2, expert_group_used_count=1,
                    expert_weights_norm=True, rope__scaling__type="yarn", rope__scaling__factor=4.0,
                    rope__scaling__original_context_length=64,
                    rope__scaling__yarn_log_multiplier=0.1)
    model = Model("deepseek2", seed, pick, **keys)
    model.trunk(width, bpe(model))
    for i in range(2):
        prefix = f"blk.{i}."
        model.vector(prefix + "attn_norm", width)
        if split:
            model.matrix(prefix + "attn_q_a", width, low)
            model.vector(prefix + "attn_q_a_norm", low)
            model.matrix(prefix + "attn_q_b", low, heads * (nope + rope))
        else:
            model.matrix(prefix + "attn_q", width, heads * (nope + rope))
        model.matrix(prefix + "attn_kv_a_mqa", width, rank + rope)
        model.vector(prefix + "attn_kv_a_norm", rank)
        if split:
            model.matrix(prefix + "attn_k_b", nope, rank, heads)
            model.matrix(prefix + "attn_v_b", rank, v, heads)
        else:
            model.matrix(prefix + "attn_kv_b", rank, heads * (nope + v))
        model.matrix(prefix + "attn_output", heads * v, width)
        model.vector(prefix + "ffn_norm", width)
        if i == 0:
            model.feed_forward(prefix, width, inner)
            continue
        model.experts(prefix, width, inner, 4)
        if split:
            model.vector(prefix + "exp_probs_b", 4, ".bias", 0.0)
        model.feed_forward(prefix, width, inner, "_shexp")
    return model


def k_quants(name):
    """Rows of 256 in every K-quant, of 32 in the older types."""
    order = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
    if "attn_output" in name:
        return "Q8_0"
    if "ffn_down" in name:
        return "Q5_0" if "blk.0" in name else "Q4_0"
    return order[sum(name.encode()) % len(order)]


def models():
    yield "llama-spm", grouped("llama", 1, lambda name: "F16", vocabulary=spm)
    yield "mixtral", grouped("llama", 2, lambda name: "F32", experts=3)
    yield "qwen3-k", grouped("qwen3", 3, k_quants, width=256, head=16, inner=32)
    yield "qwen3moe", grouped("qwen3moe", 4, lambda name: "BF16", experts=4)
    yield "deepseek-fused", latent(5, lambda name: "F32", split=False)
    yield "deepseek-split", latent(6, lambda name: "F16", split=True)


def container(version=3, align=32):
    """Every kind of value, alone and in an array, and three tensors."""
    file = Gguf("llama", version, align)
    sample = {F32: 1.5, F64: -2.5, BOOL: True, STRING: "text"}
    for kind in [*_FORMATS, STRING]:
        file.put(f"one.{kind}", kind, sample.get(kind, 7))
        file.put_array(f"many.{kind}", kind, [sample.get(kind, i) for i in range(3)])
    rng = random.Random(9)
    for name, shape, qtype in (("a", (8, 2), "F32"), ("b", (32, 2, 2), "Q8_0"), ("c", (4,), "F16")):
        n = 1
        for size in shape:
            n *= size
        file.tensor(name, shape, qtype, weights(rng, n, qtype))
    return file


def containers():
    sound = container().bytes()
    yield "sound", sound
    yield "sound-v2", container(version=2).bytes()
    yield "sound-align-64", container(align=64).bytes()
    yield "header-alone", Gguf("llama").bytes()
    yield "empty", b""
    yield "magic-alone", b"GGUF"
    yield "big-endian", b"GGUF\0\0\0\3" + sound[8:]
    yield "half", sound[:len(sound) // 2]
    yield "counts", sound[:8] + b"\xff" * 16 + sound[24:]
    split = container()
    split.put("split.no", U16, 1)
    split.put("split.count", U16, 3)
    split.put("split.tensors.count", I32, 9)
    yield "part", split.bytes()


def main():
    corpus = Path(sys.argv[1])
    for folder, files in (("gguf", containers()),
                          ("model", ((name, model.bytes()) for name, model in models()))):
        (corpus / folder).mkdir(parents=True, exist_ok=True)
        for name, data in files:
            (corpus / folder / f"{name}.gguf").write_bytes(data)


if __name__ == "__main__":
    main()
