#!/usr/bin/env python3
"""Writes the seeds of fuzz_tokenizer.c: small vocabularies with texts, the same on every run.

Usage: make_tokenizer_corpus.py CORPUS_FOLDER
"""
import random
import sys
from pathlib import Path

SPM, SPECIAL, NO_SPACE, NO_UNKNOWN = 1, 2, 4, 8
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = range(1, 7)
RULES = 33  # rows of split_table.c
TEXTS = ["It's 12,345 o'clock — they'LL say: “naïve”!\r\n\r\n  def f(x):\n\treturn x**2\n",
         "我想在apple工作1314151天～ カタカナ 한국어 กำลัง हिन्दी",
         "<s>a<|x|> <|x|><think>   \n\n\n</s>", "\x01\x7f\u00a0\u2028\u3000\u180e\U0001f469\u200d\U0001f692",
         "e\u0301\u0323\u1100\u1161\u11a8\u0344", "IMGIMGABCZ<sentinel:12>", " " * 70 + "a" * 70]


def alphabet():
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    out, extra = {}, 256
    for b in range(256):
        if b in printable:
            out[b] = chr(b)
        else:
            out[b], extra = chr(extra), extra + 1
    return out


def token(kind, text):
    return bytes([kind + 64]) + text


def seed(rng, rule, spm):
    text = rng.choice(TEXTS).encode()
    if rng.random() < 0.3:
        text = bytes(rng.choice(text) if rng.random() < 0.8 else rng.randrange(256)
                     for _ in range(len(text)))
    merges, letters = [], alphabet()
    if spm:
        tokens = [token(UNKNOWN, b"<unk>"), token(CONTROL, b"<s>"), token(CONTROL, b"</s>")]
        if rng.random() < 0.7:
            tokens += [token(BYTE, b"<0x%02X>" % b) for b in range(256)]
        words = text.decode(errors="ignore").replace(" ", "▁").replace("\n", "")
        tokens += [token(rng.choice([NORMAL, NORMAL, UNUSED]), words[i:i + n].encode())
                   for n in (1, 2, 3, 5) for i in range(len(words) - n)]
    else:
        tokens = [token(NORMAL, c.encode()) for c in letters.values()]
        mapped = [letters[b] for b in text]
        for n in (2, 3, 4):
            for i in range(0, len(mapped) - n, 2):
                whole = mapped[i:i + n]
                merges.append("".join(whole[:-1]) + " " + whole[-1])
                tokens.append(token(NORMAL, "".join(whole).encode()))
        tokens.append(token(CONTROL, b"<s>"))
    tokens += [token(CONTROL, b"<|x|>"), token(USER, b"<think>"), token(USER, b"   "),
               token(USER, "ü".encode())]
    flags = spm * SPM + rng.choice([0, SPECIAL]) + rng.choice([0, 0, NO_SPACE, NO_UNKNOWN])
    return (bytes([flags, rule]) + b"\n".join(tokens) + b"\0" +
            "\n".join(merges).encode() + b"\0" + text)


def main():
    rng, folder = random.Random(5), Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for rule in range(RULES):
        (folder / ("bpe-%02d" % rule)).write_bytes(seed(rng, rule, 0))
    for i in range(6):
        (folder / ("spm-%d" % i)).write_bytes(seed(rng, 0, 1))


main()
