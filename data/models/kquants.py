"""K-quant encoders in NumPy: Q2_K, Q3_K, Q4_K, Q5_K, Q6_K.

The `gguf` package decodes these formats but has no encoder for them. The byte layouts below are
the inverse of what gguf.quants.dequantize reads; the selftest holds the two against each other.

    from kquants import quantize
    rows_of_bytes = quantize(weights_f32, gguf.GGMLQuantizationType.Q4_K)

A superblock holds 256 consecutive weights of one row, cut into sub-blocks of 16 or 32.

    Q2_K Q4_K Q5_K   x ~ (d * s) * q - (dmin * m)   q, s, m unsigned; s and m one per sub-block
    Q3_K Q6_K        x ~ (d * s) * q                q, s signed;      s one per sub-block

with d and dmin half floats, one of each per superblock. Every encoder works in three steps:
 1. for each sub-block alone, try several ranges: round to q, solve the (weighted) least squares
    for scale and minimum given q, keep the best;
 2. round those scales and minima to the superblock's integers;
 3. alternate: given all q, s, m solve for d and dmin; given d and dmin try the neighbouring
    integers of s and m; q is always rounded again under the scales that will really be decoded.
    A superblock takes a step only when its error falls.

Without calibration data all weights count the same, which minimises the expected error of the
product with white activations. `importance`, one positive number per column (for example the
mean square of the activation that meets this column), changes that.

Run `python kquants.py --selftest` for the round trip of every type.
"""

import sys
import time

import gguf
import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

SUPERBLOCK = 256
CHUNK = 512  # superblocks per pass, so that the temporaries stay in the cache
HALF_MAX = np.float32(65504)
RANGE_STEPS = np.linspace(-0.6, 0.9, 11, dtype=np.float32)  # in units of one quant step
NEIGHBOURS = (-1, 0, 1)
ROUNDS = 2

# sub-block length, largest q, largest s and m
UNSIGNED = {
    GGMLQuantizationType.Q2_K: (16, 3, 15),
    GGMLQuantizationType.Q4_K: (32, 15, 63),
    GGMLQuantizationType.Q5_K: (32, 31, 63),
}
# sub-block length, -min q, -min s (both ranges are [-n, n-1])
SIGNED = {
    GGMLQuantizationType.Q3_K: (16, 4, 32),
    GGMLQuantizationType.Q6_K: (16, 32, 128),
}


def quantize(array, qtype, importance=None):
    """float array [..., n] -> uint8 array [..., bytes of n weights], as gguf.quants.quantize.

    Types that gguf can encode itself are passed on to it (importance is not used there).
    """
    qtype = GGMLQuantizationType(qtype)
    array = np.ascontiguousarray(array, dtype=np.float32)
    if qtype not in UNSIGNED and qtype not in SIGNED:
        return gguf.quants.quantize(array, qtype)
    if array.shape[-1] % SUPERBLOCK:
        raise ValueError(f"{qtype.name} needs rows of a multiple of {SUPERBLOCK} weights, "
                         f"not {array.shape[-1]}")
    if not np.isfinite(array).all():
        raise ValueError("weights must be finite")
    blocks = array.reshape(-1, SUPERBLOCK)
    weight = None
    if importance is not None:
        importance = np.asarray(importance, dtype=np.float32).reshape(-1)
        weight = np.broadcast_to(importance, array.shape).reshape(-1, SUPERBLOCK)
    encode = _encode_unsigned if qtype in UNSIGNED else _encode_signed
    parts = [encode(blocks[i:i + CHUNK], None if weight is None else weight[i:i + CHUNK], qtype)
             for i in range(0, len(blocks), CHUNK)]
    packed = np.concatenate(parts)
    assert packed.shape[1] == GGML_QUANT_SIZES[qtype][1]
    return packed.reshape(*array.shape[:-1], -1)


def _to_columns(blocks, length):
    """[B, 256] -> [length, 256/length, B]: sums over a sub-block then run over the long axis."""
    return np.ascontiguousarray(blocks.reshape(len(blocks), -1, length).transpose(2, 1, 0))


def _normalise(blocks, weight, length):
    """Columns scaled by a power of two into [-1, 1] (exact, and squares neither overflow nor
    vanish), the exponent per superblock, and the weights of the least squares."""
    exponent = np.frexp(np.abs(blocks).max(axis=1))[1]
    x = np.ldexp(_to_columns(blocks, length), -exponent).astype(np.float32)
    if weight is None:
        return x, exponent, np.ones((1, 1, 1), np.float32)
    return x, exponent, _to_columns(np.maximum(weight, np.float32(1e-12)), length)


def _half(value, exponent, away=False):
    """The normalised value of the half float that will be stored for `value`, and that half.
    `away` rounds away from zero: the integers of step 2 are then never clipped, which matters
    where the half is subnormal and coarse."""
    wanted = np.clip(np.ldexp(value.astype(np.float64), exponent), -HALF_MAX, HALF_MAX)
    stored = wanted.astype(np.float16)
    if away:
        outer = np.nextafter(stored, np.copysign(np.float16(HALF_MAX), stored))
        stored = np.where(np.abs(stored) < np.abs(wanted), outer, stored)
    return np.ldexp(stored.astype(np.float64), -exponent).astype(np.float32), stored


def _over(a, b):
    """a / b, and 0 where b is 0."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return np.nan_to_num(np.where(b == 0, np.float32(0), a / b), posinf=0, neginf=0)


def _sum_superblock(v):
    return v.sum(axis=(0, 1))


# ---- Q2_K, Q4_K, Q5_K -------------------------------------------------------------------------

def _fit_unsigned(x, w, q_max):
    """Step 1: best (scale, minimum) of each sub-block; both [sub-blocks, B] and >= 0."""
    low = np.minimum(x.min(axis=0), 0)
    span = np.maximum(x.max(axis=0), 0) - low
    scale, minimum = span / q_max, -low
    sw = np.broadcast_to(w, x.shape).sum(axis=0)
    sx = (w * x).sum(axis=0)
    best = None
    for step in RANGE_STEPS:
        inverse = _over(q_max + step, span)
        q = np.clip(np.rint((x - low) * inverse), 0, q_max)
        wq = w * q
        sq, sqq, sxq = wq.sum(axis=0), (wq * q).sum(axis=0), (wq * x).sum(axis=0)
        determinant = sw * sqq - sq * sq
        s = _over(sw * sxq - sx * sq, determinant)
        m = _over(sq * sxq - sqq * sx, determinant)
        s = np.where(m < 0, _over(sxq, sqq), s)
        m = np.maximum(m, 0)
        s = np.where(determinant <= 1e-6 * sw * sqq, span / q_max, np.maximum(s, 0))
        m = np.where(determinant <= 1e-6 * sw * sqq, -low, m)
        error = _error_unsigned(x, w, s, m, q_max)[0]
        if best is None:
            best, scale, minimum = error, s, m
        better = error < best
        best = np.where(better, error, best)
        scale, minimum = np.where(better, s, scale), np.where(better, m, minimum)
    return scale, minimum


def _error_unsigned(x, w, step, minimum, q_max):
    """Error per sub-block and q, under the decoded scale and minimum of each sub-block."""
    q = np.clip(np.rint((x + minimum) * _over(np.float32(1), step)), 0, q_max)
    difference = step * q - minimum - x
    return (w * difference * difference).sum(axis=0), q


def _encode_unsigned(blocks, weight, qtype):
    length, q_max, s_max = UNSIGNED[qtype]
    x, exponent, w = _normalise(blocks, weight, length)
    scale, minimum = _fit_unsigned(x, w, q_max)
    d, d_half = _half(scale.max(axis=0) / s_max, exponent, away=True)
    dm, dm_half = _half(minimum.max(axis=0) / s_max, exponent, away=True)
    s = np.clip(np.rint(_over(scale, d)), 0, s_max)
    m = np.clip(np.rint(_over(minimum, dm)), 0, s_max)
    for _ in range(ROUNDS):
        s, m, error, q = _neighbours_unsigned(x, w, d, dm, s, m, q_max, s_max)
        new_d, new_d_half, new_dm, new_dm_half = _solve_superblock(x, w, s, m, q, exponent,
                                                                   d, dm)
        new_error, _ = _error_unsigned(x, w, new_d * s, new_dm * m, q_max)
        better = new_error.sum(axis=0) < error.sum(axis=0)
        d, d_half = np.where(better, new_d, d), np.where(better, new_d_half, d_half)
        dm, dm_half = np.where(better, new_dm, dm), np.where(better, new_dm_half, dm_half)
    s, m, error, q = _neighbours_unsigned(x, w, d, dm, s, m, q_max, s_max)
    pack = {GGMLQuantizationType.Q2_K: _pack_q2, GGMLQuantizationType.Q4_K: _pack_q4,
            GGMLQuantizationType.Q5_K: _pack_q5}[qtype]
    return pack(_to_blocks(q), s.T.astype(np.uint8), m.T.astype(np.uint8),
                _bytes_of(d_half), _bytes_of(dm_half))


def _neighbours_unsigned(x, w, d, dm, s, m, q_max, s_max):
    """Step 3b: the best of the nine neighbours (s, m) of each sub-block."""
    best, q = _error_unsigned(x, w, d * s, dm * m, q_max)
    s_best, m_best = s, m
    for ds in NEIGHBOURS:
        for dmin in NEIGHBOURS:
            if ds == 0 and dmin == 0:
                continue
            s_try = np.clip(s + ds, 0, s_max)
            m_try = np.clip(m + dmin, 0, s_max)
            error, q_try = _error_unsigned(x, w, d * s_try, dm * m_try, q_max)
            better = error < best
            best = np.where(better, error, best)
            s_best, m_best = np.where(better, s_try, s_best), np.where(better, m_try, m_best)
            q = np.where(better, q_try, q)
    return s_best, m_best, best, q


def _solve_superblock(x, w, s, m, q, exponent, d, dm):
    """Step 3a: least squares of x ~ d*(s q) - dm*m over the whole superblock."""
    a, b = s * q, np.broadcast_to(m, q.shape)
    aa, ab, bb = (_sum_superblock(w * a * a), _sum_superblock(w * a * b),
                  _sum_superblock(w * b * b))
    ax, bx = _sum_superblock(w * a * x), _sum_superblock(w * b * x)
    determinant = aa * bb - ab * ab
    regular = determinant > 1e-6 * aa * bb
    new_d = np.where(regular, _over(ax * bb - bx * ab, determinant), _over(ax + dm * ab, aa))
    new_dm = np.where(regular, _over(ax * ab - bx * aa, determinant), dm)
    new_d = np.where(new_d > 0, new_d, d)
    new_dm = np.where(new_dm > 0, new_dm, dm)
    return *_half(new_d, exponent), *_half(new_dm, exponent)


# ---- Q3_K, Q6_K -------------------------------------------------------------------------------

def _fit_signed(x, w, n):
    """Step 1: the best signed scale of each sub-block, [sub-blocks, B]."""
    largest = np.take_along_axis(x, np.abs(x).argmax(axis=0)[None], axis=0)[0]
    best, scale = None, None
    for sign in (-1, 1):  # the largest weight may sit on the long (-n) or the short (n-1) side
        for step in RANGE_STEPS:
            q = np.clip(np.rint(x * _over(sign * (n - 0.3 + step), largest)), -n, n - 1)
            wq = w * q
            s = _over((wq * x).sum(axis=0), (wq * q).sum(axis=0))
            error, _ = _error_signed(x, w, s, n)
            if best is None:
                best, scale = error, s
            better = error < best
            best, scale = np.where(better, error, best), np.where(better, s, scale)
    return scale


def _error_signed(x, w, step, n):
    q = np.clip(np.rint(x * _over(np.float32(1), step)), -n, n - 1)
    difference = step * q - x
    return (w * difference * difference).sum(axis=0), q


def _encode_signed(blocks, weight, qtype):
    length, n, s_n = SIGNED[qtype]
    x, exponent, w = _normalise(blocks, weight, length)
    scale = _fit_signed(x, w, n)
    largest = np.take_along_axis(scale, np.abs(scale).argmax(axis=0)[None], axis=0)[0]
    d, d_half = _half(largest / -s_n, exponent, away=True)
    s = np.clip(np.rint(_over(scale, d)), -s_n, s_n - 1)
    for _ in range(ROUNDS):
        s, error, q = _neighbours_signed(x, w, d, s, n, s_n)
        a = s * q
        new_d, new_d_half = _half(_over(_sum_superblock(w * a * x), _sum_superblock(w * a * a)),
                                  exponent)
        new_error, _ = _error_signed(x, w, new_d * s, n)
        better = new_error.sum(axis=0) < error.sum(axis=0)
        d, d_half = np.where(better, new_d, d), np.where(better, new_d_half, d_half)
    s, error, q = _neighbours_signed(x, w, d, s, n, s_n)
    pack = _pack_q3 if qtype == GGMLQuantizationType.Q3_K else _pack_q6
    return pack(_to_blocks(q + n), s.T.astype(np.int8), _bytes_of(d_half))


def _neighbours_signed(x, w, d, s, n, s_n):
    best, q = _error_signed(x, w, d * s, n)
    s_best = s
    for ds in NEIGHBOURS:
        if ds == 0:
            continue
        s_try = np.clip(s + ds, -s_n, s_n - 1)
        error, q_try = _error_signed(x, w, d * s_try, n)
        better = error < best
        best, s_best = np.where(better, error, best), np.where(better, s_try, s_best)
        q = np.where(better, q_try, q)
    return s_best, best, q


# ---- byte layouts -----------------------------------------------------------------------------

def _to_blocks(q):
    """[length, sub-blocks, B] -> uint8 [B, 256]"""
    return q.transpose(2, 1, 0).reshape(q.shape[2], SUPERBLOCK).astype(np.uint8)


def _bytes_of(halves):
    return np.ascontiguousarray(halves).view(np.uint8).reshape(-1, 2)


def _stack_bits(values, shape, bits):
    """Values [B, 256] seen as [B, *shape]; axis 2 is stacked `bits` apart into bytes."""
    values = values.reshape(-1, *shape)
    out = np.zeros_like(values[:, :, 0])
    for i in range(shape[1]):
        out |= values[:, :, i] << np.uint8(bits * i)
    return out.reshape(len(values), -1)


def _pack_q2(q, s, m, d, dm):
    return np.concatenate([s | (m << 4), _stack_bits(q, (2, 4, 32), 2), d, dm], axis=1)


def _pack_q3(v, s, d):
    u = (s.astype(np.int16) + 32).astype(np.uint8)
    low = _stack_bits(u & 15, (1, 2, 8), 4)
    high = _stack_bits(u >> 4, (1, 4, 4), 2)
    return np.concatenate([_stack_bits(v >> 2, (1, 8, 32), 1), _stack_bits(v & 3, (2, 4, 32), 2),
                           low, high, d], axis=1)


def _pack_scales_6bit(s, m):
    """Eight s and eight m of 6 bits each in 12 bytes; the upper four lend their two high bits
    to the free top bits of the lower four."""
    return np.concatenate([s[:, :4] | ((s[:, 4:] >> 4) << 6), m[:, :4] | ((m[:, 4:] >> 4) << 6),
                           (s[:, 4:] & 15) | ((m[:, 4:] & 15) << 4)], axis=1)


def _pack_q4(q, s, m, d, dm):
    return np.concatenate([d, dm, _pack_scales_6bit(s, m), _stack_bits(q, (4, 2, 32), 4)], axis=1)


def _pack_q5(q, s, m, d, dm):
    return np.concatenate([d, dm, _pack_scales_6bit(s, m), _stack_bits(q >> 4, (1, 8, 32), 1),
                           _stack_bits(q & 15, (4, 2, 32), 4)], axis=1)


def _pack_q6(v, s, d):
    return np.concatenate([_stack_bits(v & 15, (2, 2, 64), 4), _stack_bits(v >> 4, (2, 4, 32), 2),
                           s.view(np.uint8), d], axis=1)


# ---- selftest ---------------------------------------------------------------------------------

# relative RMS error allowed on Gaussian weights
BOUNDS = {"Q2_K": 0.27, "Q3_K": 0.15, "Q4_K": 0.073, "Q5_K": 0.036, "Q6_K": 0.018}


def _relative_error(x, qtype):
    packed = quantize(x, qtype)
    y = gguf.quants.dequantize(packed, qtype).astype(np.float64)
    assert np.isfinite(y).all()
    norm = np.sqrt((x.astype(np.float64) ** 2).mean())
    return np.sqrt(((y - x) ** 2).mean()) / norm if norm else np.abs(y).max()


def selftest():
    rng = np.random.default_rng(7)
    gaussian = rng.standard_normal((1024, 1024), dtype=np.float32)
    column = (1 + 9 * (rng.random(1024) > 0.9)).astype(np.float32)
    for name, bound in BOUNDS.items():
        qtype = GGMLQuantizationType[name]
        start = time.perf_counter()
        error = _relative_error(gaussian, qtype)
        rate = gaussian.size / (time.perf_counter() - start) / 1e6
        cases = {
            "gaussian": (error, bound),
            "zero": (_relative_error(np.zeros((2, 512), np.float32), qtype), 0),
            "constant": (_relative_error(np.full((2, 512), 0.37, np.float32), qtype), 4e-3),
            "negative": (_relative_error(np.full((2, 512), -2.5, np.float32), qtype), 4e-3),
            "huge": (_relative_error(gaussian[:8] * np.float32(3e4), qtype), bound),
            "tiny": (_relative_error(gaussian[:8] * np.float32(2e-4), qtype), 1.5 * bound),
            "one outlier": (_relative_error(np.eye(4, 256, dtype=np.float32) * 40, qtype), 4e-3),
            "shifted": (_relative_error(gaussian[:64] + np.float32(3), qtype), bound),
        }
        # saturates (half d), and underflows to zero: only finiteness is asked for
        for scale in (1e30, 3e38, 1e-12, 1e-44):
            with np.errstate(over="ignore"):
                _relative_error(np.clip(gaussian[:2] * np.float32(scale), -3e38, 3e38), qtype)
        weighted = gguf.quants.dequantize(quantize(gaussian[:64], qtype, column), qtype)
        plain = gguf.quants.dequantize(quantize(gaussian[:64], qtype), qtype)
        gain = ((weighted - gaussian[:64]) ** 2 @ column) / ((plain - gaussian[:64]) ** 2 @ column)
        cases["importance gain"] = (gain.mean(), 1)
        print(f"{name}: {rate:.1f} Mweights/s, " +
              ", ".join(f"{case} {value:.4f}" for case, (value, _) in cases.items()))
        for case, (value, limit) in cases.items():
            assert value <= limit, f"{name} {case}: {value} > {limit}"
    print("selftest passed")


if __name__ == "__main__":
    if sys.argv[1:] != ["--selftest"]:
        sys.exit("usage: kquants.py --selftest")
    selftest()
