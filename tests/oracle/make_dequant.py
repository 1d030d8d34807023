"""Writes vectors/dequant_<type>.bin: random blocks of every weight type and what they decode to.

    python tests/oracle/make_dequant.py        (needs only numpy and gguf)

Blocks are random bytes, so every pattern of quants and scales occurs; the half floats are made
finite, because weights of a valid file are, and then the last two blocks have an infinity and a
NaN. Signs and subnormal halves stay. BF16 and F16 blocks keep infinity out, subnormals in. The expected values come from gguf.quants.dequantize
(gguf 0.19.0) in float32 and the test asks for equal bits: decoding is one to three float32
operations per weight, whose order is part of the format:
    Q8_0 Q4_0 Q5_0   d * q
    Q4_1 Q5_1        d * q + m
    Q2_K Q4_K Q5_K   (d * s) * q - (dmin * m)     three roundings: no fused multiply-add
    Q3_K Q6_K        (d * s) * q
    IQ… MXFP4        few enough bits that every order gives the same
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
    QT.Q6_K: (24, [208]), QT.IQ4_NL: (64, [0]), QT.MXFP4: (512, []), QT.IQ4_XS: (24, [0]),
    QT.IQ2_XXS: (24, [0]), QT.IQ2_XS: (48, [0]), QT.IQ2_S: (64, [0]), QT.IQ3_XXS: (24, [0]),
    QT.IQ3_S: (32, [0]), QT.IQ1_S: (96, [0]), QT.IQ1_M: (96, []),
}
NIBBLES_IQ1_M = (48, 50, 52, 54)  # of its half float, lowest first: the top bits of four words


def half_of_iq1_m(raw, halves):
    for i, at in enumerate(NIBBLES_IQ1_M):
        raw[:, at + 1] = raw[:, at + 1] & 0x0F | (halves >> 4 * i & 15) << 4


def make(qtype, count, halves, folder):
    weights, size = GGML_QUANT_SIZES[qtype]
    rng = np.random.default_rng(1000 + int(qtype))
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in halves:
        raw[:, at + 1] = np.where(raw[:, at + 1] & 0x7C == 0x7C, raw[:, at + 1] ^ 0x40,
                                  raw[:, at + 1])
        raw[::8, at + 1] &= 0x83  # every eighth block: a subnormal half, either sign
        raw[1::16, at:at + 2] = [0, 0x80]  # negative zero
    if halves and qtype != QT.F16:
        raw[-2:, halves[0]:halves[0] + 2] = [[0, 0xFC], [0x01, 0x7E]]
    if qtype == QT.IQ1_M:
        bits = rng.integers(0, 0x7C00, count, dtype=np.uint16) | np.uint16(0x8000) * (
            rng.integers(0, 2, count, dtype=np.uint16))
        bits[::8] &= 0x83FF
        bits[1::16] = 0x8000
        bits[-2:] = [0xFC00, 0x7E01]
        half_of_iq1_m(raw, bits)
    if qtype == QT.MXFP4:
        raw[:256, 0] = np.arange(256)
    if qtype == QT.BF16:
        infinite = (raw[:, 1] & 0x7F == 0x7F) & (raw[:, 0] & 0x80 == 0x80)
        raw[infinite, 1] ^= 0x40
        raw[::8, 1] &= 0x80
        raw[::8, 0] &= 0x7F
    decoded = gguf.quants.dequantize(raw.reshape(-1) if qtype != QT.F16
                                     else raw.reshape(-1).view(np.float16), qtype)
    decoded = np.ascontiguousarray(decoded, dtype="<f4").reshape(count, weights)
    assert qtype == QT.MXFP4 or np.isfinite(decoded[:-2]).all(), qtype.name
    path = folder / f"dequant_{qtype.name.lower()}.bin"
    path.write_bytes(f"{count} {size} {weights}\n".encode() + raw.tobytes() + decoded.tobytes())
    print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    target = Path(__file__).parent / "vectors"
    target.mkdir(exist_ok=True)
    for kind, (blocks, half_offsets) in TYPES.items():
        make(kind, blocks, half_offsets, target)
