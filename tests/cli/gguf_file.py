"""A writer of small GGUF files, and of damaged ones: every field can be given wrong."""
import random
import struct

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
TYPE_F32, TYPE_Q8_0 = 0, 8
ALIGNMENT = 32


def text(s):
    data = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(data)) + data


def value(v):
    """The value's kind and bytes, by its Python type."""
    if isinstance(v, bool):
        return BOOL, struct.pack("<?", v)
    if isinstance(v, int):
        return U32, struct.pack("<I", v)
    if isinstance(v, float):
        return F32, struct.pack("<f", v)
    if isinstance(v, (str, bytes)):
        return STRING, text(v)
    kinds, items = zip(*(value(item) for item in v))
    kind = I32 if kinds[0] == U32 else kinds[0]
    return ARRAY, struct.pack("<IQ", kind, len(v)) + b"".join(items)


class Tensor:
    """`data` None: random float32. `offset` None: where it belongs."""

    def __init__(self, name, shape, data=None, kind=TYPE_F32, offset=None):
        self.name, self.shape, self.kind, self.offset = name, shape, kind, offset
        self.data = data

    def fill(self, rng):
        if self.data is None:
            n = 1
            for size in self.shape:
                n *= size
            scale = 1 if len(self.shape) == 1 else self.shape[0] ** -0.5
            base = 1 if len(self.shape) == 1 else 0
            self.data = struct.pack(f"<{n}f", *(base + scale * rng.uniform(-1, 1)
                                                for _ in range(n)))


def build(metadata, tensors, seed=1, version=3, n_tensors=None, n_metadata=None):
    """The bytes of a file. n_…: counts to claim instead of the true ones."""
    rng = random.Random(seed)
    head = b"GGUF" + struct.pack("<IQQ", version,
                                 len(tensors) if n_tensors is None else n_tensors,
                                 len(metadata) if n_metadata is None else n_metadata)
    for key, v in metadata.items():
        kind, data = value(v)
        head += text(key) + struct.pack("<I", kind) + data
    body = bytearray()
    for tensor in tensors:
        tensor.fill(rng)
        body += bytes(-len(body) % ALIGNMENT)
        offset = len(body) if tensor.offset is None else tensor.offset
        head += text(tensor.name) + struct.pack("<I", len(tensor.shape))
        head += struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
        head += struct.pack("<IQ", tensor.kind, offset)
        body += tensor.data
    return head + bytes(-len(head) % ALIGNMENT) + bytes(body)


TEMPLATE = ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
            "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def byte_letters():
    """GPT-2's printable stand-in of each byte."""
    plain = [*range(0x21, 0x7f), *range(0xa1, 0xad), *range(0xae, 0x100)]
    letters, more = {}, 0
    for byte in range(256):
        if byte in plain:
            letters[byte] = chr(byte)
        else:
            letters[byte] = chr(256 + more)
            more += 1
    return letters


def vocabulary(template=TEMPLATE):
    """Bytes, one merge, and ChatML's control tokens."""
    tokens = list(byte_letters().values()) + ["he", "<|im_start|>", "<|im_end|>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * 257 + [3, 3],
        "tokenizer.ggml.merges": ["h e"],
        "tokenizer.ggml.bos_token_id": 257,
        "tokenizer.ggml.eos_token_id": 258,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": template,
    }


N_VOCAB = 259


def llama_metadata(context=100000, **more):
    return {
        "general.architecture": "llama",
        "general.name": "Tiny",
        "llama.context_length": context,
        "llama.embedding_length": 32,
        "llama.block_count": 2,
        "llama.feed_forward_length": 64,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": 8,
        **vocabulary(), **more,
    }


def llama_tensors():
    """A random model. The head's rows of the control tokens are zero, so that among 256 others
    they are never drawn: an answer goes on until something stops it."""
    rows = struct.pack("<32f", *[0.0] * 32)
    rng = random.Random(7)
    head = b"".join(struct.pack("<32f", *(rng.uniform(-2, 2) for _ in range(32)))
                    for _ in range(256)) + rows * 3
    tensors = [Tensor("token_embd.weight", [32, N_VOCAB]), Tensor("output_norm.weight", [32]),
               Tensor("output.weight", [32, N_VOCAB], head)]
    for i in range(2):
        shapes = {"attn_norm": [32], "attn_q": [32, 32], "attn_k": [32, 16], "attn_v": [32, 16],
                  "attn_output": [32, 32], "ffn_norm": [32], "ffn_gate": [32, 64],
                  "ffn_up": [32, 64], "ffn_down": [64, 32]}
        tensors += [Tensor(f"blk.{i}.{name}.weight", shape) for name, shape in shapes.items()]
    return tensors


def llama(**more):
    return build(llama_metadata(**more), llama_tensors())
