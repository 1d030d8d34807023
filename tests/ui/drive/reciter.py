"""Models that recite: a GGUF file whose every answer is a given text, token by token.

No weights are trained. A token's embedding is one unit vector, and the row of the head that the
vector meets belongs to the next token; attention and feed-forward are zero and only cost time. So
an answer is known beforehand, is as long as one likes, comes at a speed that one chooses, and is
still computed by the engine like any other.
"""
import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "cli"))
import gguf_file  # noqa: E402
from gguf_file import Tensor  # noqa: E402

# Only what was said last counts, so that a long conversation costs no time to read.
LAST_ONLY = ("{{ messages[-1].content }}<|im_end|>\n"
             "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def pieces(text):
    """The text cut between words into pieces that differ from each other."""
    words, seen, out = re.findall(r"\s*\S+\s*?(?=\s|$)|\s+$", text), set(), []
    piece = ""
    for word in words:
        piece += word
        if len(piece) > 1 and piece not in seen:
            seen.add(piece)
            out.append(piece)
            piece = ""
    if piece:
        out.append(piece)
    assert "".join(out) == text
    return out


def rows(n, width, hot):
    """n rows; hot: row → (column, value)."""
    data = bytearray(4 * n * width)
    for row, (column, value) in hot.items():
        struct.pack_into("<f", data, 4 * (row * width + column), value)
    return bytes(data)


def write(path, text, endless=False, layers=2, feed=64, context=8192, name="Reciter",
          template=gguf_file.TEMPLATE, ballast=0):
    """Writes the file. endless: begins again at the end. layers, feed: the more, the slower.
    ballast: bytes behind all else that only take time to load, and no room on the disk."""
    letters = gguf_file.byte_letters()
    parts = pieces(text)
    n, first = len(parts), gguf_file.N_VOCAB
    tokens = gguf_file.vocabulary()["tokenizer.ggml.tokens"] + [
        "".join(letters[byte] for byte in part.encode()) for part in parts]
    width = -(-(n + 1) // 32) * 32
    heads = width // 32
    # Column i stands for "part i comes next"; column n for the end.
    embedding = {token: (0, 1.0) for token in range(first)}
    embedding |= {first + i: (0 if endless and i == n - 1 else i + 1, 1.0) for i in range(n)}
    head = {first + i: (i, 100.0) for i in range(n)}
    head[258] = (n, 100.0)
    metadata = gguf_file.llama_metadata(context=context, **{
        "general.name": name,
        "llama.embedding_length": width, "llama.block_count": layers,
        "llama.feed_forward_length": feed, "llama.attention.head_count": heads,
        "llama.attention.head_count_kv": 1, "llama.rope.dimension_count": 32,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [1] * 257 + [3, 3] + [1] * n,
        "tokenizer.chat_template": template})
    vocabulary = len(tokens)
    ones = struct.pack(f"<{width}f", *[1.0] * width)
    tensors = [Tensor("token_embd.weight", [width, vocabulary], rows(vocabulary, width, embedding)),
               Tensor("output_norm.weight", [width], ones),
               Tensor("output.weight", [width, vocabulary], rows(vocabulary, width, head))]
    for i in range(layers):
        shapes = {"attn_norm": [width], "attn_q": [width, width], "attn_k": [width, 32],
                  "attn_v": [width, 32], "attn_output": [width, width], "ffn_norm": [width],
                  "ffn_gate": [width, feed], "ffn_up": [width, feed], "ffn_down": [feed, width]}
        for tensor, shape in shapes.items():
            data = ones if len(shape) == 1 else bytes(4 * shape[0] * shape[1])
            tensors.append(Tensor(f"blk.{i}.{tensor}.weight", shape, data))
    with open(path, "wb") as file:
        size = file.write(gguf_file.build(metadata, tensors))
        file.truncate(size + ballast)
    return path
