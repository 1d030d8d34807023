"""Writes vectors/dequant_<type>.bin: random blocks of every weight type and what they decode to.

    python tests/oracle/make_dequant.py        (needs only numpy and gguf)

Blocks are random bytes, so every pattern of quants and scales occurs; only the half floats are
made finite, because weights of a valid file are. Signs and subnormal halves stay. BF16 and F16
blocks keep infinity out, subnormals in. The expected values come from gguf.quants.dequantize
(gguf 0.19.0) in float32 and the test asks for equal bits: decoding is one to three float32
operations per weight, whose order is part of the format:
    Q8_0 Q4_0 Q5_0   d * q
    Q4_1 Q5_1        d * q + m
    Q2_K Q4_K Q5_K   (d * s) * q - (dmin * m)     three roundings: no fused multiply-add
    Q3_K Q6_K        (d * s) * q
File: "block_count block_bytes block_weights\\n" in ASCII, then the raw blocks, then
block_count*block_weights float32, all little endian.
"""

from pathlib import Path

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES
from gguf import GGMLQuantizationType as QT

# type: (blocks, byte offsets of the half floats in a block)
TYPES = {
    QT.F16: (1024, [0]), QT.BF16: (1024, []), QT.Q8_0: (64, [0]), QT.Q4_0: (64, [0]),
    QT.Q4_1: (64, [0, 2]), QT.Q5_0: (64, [0]), QT.Q5_1: (64, [0, 2]),
    QT.Q2_K: (24, [80, 82]), QT.Q3_K: (24, [108]), QT.Q4_K: (24, [0, 2]), QT.Q5_K: (24, [0, 2]),
    QT.Q6_K: (24, [208]),
}


def make(qtype, count, halves, folder):
    weights, size = GGML_QUANT_SIZES[qtype]
    rng = np.random.default_rng(1000 + int(qtype))
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in halves:
        raw[:, at + 1] = np.where(raw[:, at + 1] & 0x7C == 0x7C, raw[:, at + 1] ^ 0x40,
                                  raw[:, at + 1])
        raw[::8, at + 1] &= 0x83  # every eighth block: a subnormal half, either sign
        raw[1::16, at:at + 2] = [0, 0x80]  # negative zero
    if qtype == QT.BF16:
        infinite = (raw[:, 1] & 0x7F == 0x7F) & (raw[:, 0] & 0x80 == 0x80)
        raw[infinite, 1] ^= 0x40
        raw[::8, 1] &= 0x80
        raw[::8, 0] &= 0x7F
    decoded = gguf.quants.dequantize(raw.reshape(-1) if qtype != QT.F16
                                     else raw.reshape(-1).view(np.float16), qtype)
    decoded = np.ascontiguousarray(decoded, dtype="<f4").reshape(count, weights)
    assert np.isfinite(decoded).all(), qtype.name
    path = folder / f"dequant_{qtype.name.lower()}.bin"
    path.write_bytes(f"{count} {size} {weights}\n".encode() + raw.tobytes() + decoded.tobytes())
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    target = Path(__file__).parent / "vectors"
    target.mkdir(exist_ok=True)
    for kind, (blocks, half_offsets) in TYPES.items():
        make(kind, blocks, half_offsets, target)
