#!/usr/bin/env python3
"""Records what the sampler chain must give: tests/unit/vectors/sampler/cases.bin.

The repetition penalty, top-k, typical, top-p, min-p and temperature are transformers' logits
processors, run in float64 on float32 logits. Presence and frequency penalties and DRY are written
here from their definitions: OpenAI's API reference, and p-e-w's description of DRY (the quadratic
search of the original, so nothing is shared with the linear one under test).

Each case is a record of little-endian numbers: name[32]; float32 temperature, top_p, min_p,
typical_p, repeat, presence, frequency, dry_multiplier, dry_base; int32 top_k, penalty_last_n,
dry_allowed_length, dry_last_n, n_vocab, n_history, n_breakers, n_kept; then float32
logits[n_vocab], int32 history[n_history], int32 breakers[n_breakers], int32 kept[n_kept] by
ascending id, float32 probability[n_kept].
"""
import itertools
import pathlib
import struct

import numpy as np
import torch
from transformers.generation import logits_process as hf

OUT = pathlib.Path(__file__).parent / "vectors" / "sampler" / "cases.bin"
NEUTRAL = dict(temperature=1.0, top_p=1.0, min_p=0.0, typical_p=1.0, repeat=1.0, presence=0.0,
               frequency=0.0, dry_multiplier=0.0, dry_base=1.75, top_k=0, penalty_last_n=64,
               dry_allowed_length=2, dry_last_n=-1)
FLOATS = ("temperature", "top_p", "min_p", "typical_p", "repeat", "presence", "frequency",
          "dry_multiplier", "dry_base")
INTS = ("top_k", "penalty_last_n", "dry_allowed_length", "dry_last_n")


def last(history, n):
    return history if n < 0 else history[len(history) - min(n, len(history)):]


def dry_penalties(history, breakers, s):
    """Token -> penalty, from the definition: try every earlier place, walk backwards."""
    history = last(history, s["dry_last_n"])
    longest = {}
    if not history or history[-1] in breakers:
        return {}
    for end in range(len(history) - 1):
        follower = history[end + 1]
        length = 0
        while length <= end and history[end - length] == history[-1 - length]:
            if history[end - length] in breakers:
                break
            length += 1
        if length and follower not in breakers:
            longest[follower] = max(length, longest.get(follower, 0))
    return {t: s["dry_multiplier"] * s["dry_base"] ** (n - s["dry_allowed_length"])
            for t, n in longest.items() if n >= s["dry_allowed_length"]}


def reference(logits, history, breakers, s):
    x = torch.tensor(logits.astype(np.float64))[None]
    recent = last(history, s["penalty_last_n"])
    if s["repeat"] != 1 and recent:
        x = hf.RepetitionPenaltyLogitsProcessor(s["repeat"])(torch.tensor([recent]), x)
    for token in set(recent):
        x[0, token] -= s["presence"] + recent.count(token) * s["frequency"]
    if s["dry_multiplier"]:
        for token, penalty in dry_penalties(history, breakers, s).items():
            x[0, token] -= penalty
    chain = []
    if s["top_k"]:
        chain.append(hf.TopKLogitsWarper(s["top_k"]))
    if s["typical_p"] < 1:
        chain.append(hf.TypicalLogitsWarper(s["typical_p"]))
    if s["top_p"] < 1:
        chain.append(hf.TopPLogitsWarper(s["top_p"]))
    if s["min_p"] > 0:
        chain.append(hf.MinPLogitsWarper(s["min_p"]))
    if s["temperature"] not in (0, 1):
        chain.append(hf.TemperatureLogitsWarper(s["temperature"]))
    for step in chain:
        x = step(None, x)
    if s["temperature"] == 0:
        x = torch.where(x == x.max(), x, -torch.inf)
    return torch.softmax(x, -1)[0].numpy()


class Maker:
    """Random logits and histories."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def logits(self, n, scale=3.0):
        return (self.rng.standard_normal(n) * scale).astype(np.float32)

    def words(self, n_vocab, n):
        return [int(t) for t in self.rng.integers(0, n_vocab, n)]

    def loops(self, n_vocab, n):
        """A history that repeats itself: DRY's food."""
        out = self.words(min(n_vocab, 8), 5)
        while len(out) < n:
            start = int(self.rng.integers(0, len(out)))
            out += out[start:start + int(self.rng.integers(1, 12))]
            out += self.words(min(n_vocab, 8), 1)
        return out[:n]


# The generators below yield: name, logits, history, breakers, settings that differ from NEUTRAL.

def truncations(m):
    yield "neutral", m.logits(200), [], [], {}
    for k in (1, 2, 40, 199, 200, 5000):
        yield f"top_k {k}", m.logits(200), [], [], dict(top_k=k)
    for p in (0.0, 0.1, 0.5, 0.9, 0.95, 0.999):
        for scale in (0.05, 2.0, 12.0):
            yield f"top_p {p} scale {scale}", m.logits(300, scale), [], [], dict(top_p=p)
    for p in (0.1, 0.5, 0.9, 0.99):
        for scale in (0.05, 2.0, 12.0):
            yield f"typical {p} scale {scale}", m.logits(300, scale), [], [], dict(typical_p=p)
    for p in (0.01, 0.05, 0.3, 1.0):
        yield f"min_p {p}", m.logits(500), [], [], dict(min_p=p)
    for t in (0.0, 0.1, 0.6, 1.7, 50.0):
        yield f"temperature {t}", m.logits(100), [], [], dict(temperature=t)
    impossible = m.logits(400)
    impossible[m.rng.random(400) < 0.4] = -np.inf
    for name, s in (("top_k", dict(top_k=300)), ("typical", dict(typical_p=0.8)),
                    ("top_p", dict(top_p=0.9)), ("min_p", dict(min_p=0.02))):
        yield f"-inf, {name}", impossible, [], [], s


def penalties(m):
    for r in (0.8, 1.1, 5.0):
        yield f"repeat {r}", m.logits(100), m.words(100, 50), [], dict(repeat=r)
    for n in (10, -1, 0):
        yield (f"repeat, last {n}", m.logits(100), m.words(100, 90), [],
               dict(repeat=1.3, penalty_last_n=n))
    yield "presence", m.logits(60), m.words(60, 64), [], dict(presence=1.5)
    yield ("frequency", m.logits(60), m.words(60, 200), [],
           dict(frequency=0.7, penalty_last_n=150))
    yield ("encouragement", m.logits(60), m.words(60, 64), [],
           dict(presence=-1.5, frequency=-0.3))
    for i in range(6):
        yield (f"dry {i}", m.logits(50), m.loops(50, 30 + 60 * i), [],
               dict(dry_multiplier=0.8, dry_allowed_length=1 + i % 3))
    for i in range(6):  # the end repeats what follows token 20, with a breaker on the way
        history = m.loops(50, 100)
        history += history[20:25 + 2 * i]
        yield (f"dry, breakers {i}", m.logits(50), history, [history[-4]],
               dict(dry_multiplier=0.5, dry_base=1.3, dry_allowed_length=1))
    yield "dry, window", m.logits(50), m.loops(50, 300), [], dict(dry_multiplier=1.0, dry_last_n=20)
    yield ("dry, one token for ever", m.logits(50), [7] * 40, [],
           dict(dry_multiplier=0.1, dry_base=1.1))


def whole_chains(m):
    rng = m.rng
    yield ("one token", m.logits(1), [0, 0, 0], [],
           dict(repeat=1.2, top_k=40, top_p=0.9, min_p=0.1))
    full = dict(temperature=0.6, top_k=40, top_p=0.95, min_p=0.05)
    for scale in (0.2, 1.0, 3.0, 8.0):
        yield f"defaults, scale {scale}", m.logits(1000, scale), m.words(1000, 100), [], full
    for i in range(8):
        n = int(rng.integers(50, 600))
        yield (f"everything {i}", m.logits(n, rng.uniform(0.3, 6)), m.loops(n, 120), m.words(8, 1),
               dict(temperature=round(rng.uniform(0.2, 2), 2), top_k=int(rng.integers(10, n)),
                    top_p=round(rng.uniform(0.3, 0.99), 3),
                    typical_p=round(rng.uniform(0.3, 0.99), 3),
                    min_p=round(rng.uniform(0.001, 0.2), 3), repeat=round(rng.uniform(0.9, 1.5), 2),
                    presence=round(rng.uniform(-1, 1), 2),
                    frequency=round(rng.uniform(-0.2, 0.2), 2),
                    penalty_last_n=int(rng.integers(-1, 200)),
                    dry_multiplier=round(rng.uniform(0, 1), 2),
                    dry_allowed_length=int(rng.integers(1, 4)),
                    dry_last_n=int(rng.integers(20, 200))))


def main():
    m, out = Maker(20250123), bytearray()
    cases = itertools.chain(truncations(m), penalties(m), whole_chains(m))
    for name, logits, history, breakers, changes in cases:
        s = NEUTRAL | changes
        for key in FLOATS:  # the engine is given float32
            s[key] = float(np.float32(s[key]))
        p = reference(logits, history, breakers, s)
        kept = np.flatnonzero(p > 0)
        out += struct.pack("<32s", name.encode())
        out += struct.pack("<9f", *(s[k] for k in FLOATS))
        out += struct.pack("<8i", *(s[k] for k in INTS), len(logits), len(history), len(breakers),
                           len(kept))
        out += logits.astype("<f4").tobytes() + np.array(history, "<i4").tobytes()
        out += np.array(breakers, "<i4").tobytes() + kept.astype("<i4").tobytes()
        out += p[kept].astype("<f4").tobytes()
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_bytes(out)
    print(f"{OUT.name}: {len(out)} bytes")


if __name__ == "__main__":
    main()
