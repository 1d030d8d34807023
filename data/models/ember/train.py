"""Trains Ember from scratch on the corpus: `python train.py --out build`, about an hour on 2 free cores.

Writes build/tokenizer.json and build/model.pt; export.py makes the GGUF of them.
"""
import argparse
import ctypes
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import tokenizer
from corpus import Source
from model import Config, Ember

WIDTH, WIDE = 256, 1024     # tokens per row; long conversations gather until they fill wide rows


def keep_memory():
    """Lets glibc keep freed blocks: mapping them afresh for each step costs a fifth of the time."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)     # M_MMAP_THRESHOLD
        libc.mallopt(-1, 1 << 30)     # M_TRIM_THRESHOLD
    except OSError:
        pass


class Packer:
    """Rows of `width` tokens filled with whole conversations that cannot see each other."""

    def __init__(self, chat, source, seed, n_ctx):
        self.chat, self.source, self.n_ctx = chat, source, n_ctx
        self.rng = random.Random(seed + 1)
        self.pool, self.long = [], []

    def positions(self, n, starts):
        """0, 1, 2 … with leaps between turns, so that far-away first turns are nothing new."""
        pos, at, leaps = [], 0, set(starts[1:]) if self.rng.random() < 0.3 else ()
        for i in range(n):
            if i in leaps:
                at += self.rng.randrange(0, 250)
            pos.append(min(at, self.n_ctx - 1))
            at += 1
        return pos

    def fill(self):
        """Keeps 48 conversations at hand; those too long for the usual row wait for a wide one."""
        while len(self.pool) < 48:
            opening = self.rng.randrange(4, 12) if self.rng.random() < 0.7 else None
            example = self.chat.example(self.source.conversation(), opening)
            if len(example[0]) <= WIDTH:
                self.pool.append(example)
            elif len(example[0]) <= WIDE:
                self.long.append(example)

    def row(self, width):
        columns, n_doc = [[], [], [], [], []], 0      # ids, targets, kinds, positions, documents
        while True:
            self.fill()
            if width == WIDE:
                self.pool, self.long = self.long + self.pool, []
            room = width - len(columns[0])
            fits = [e for e in self.pool if len(e[0]) <= room]
            if not fits:
                break
            # The oldest that fits, or near the end of the row the longest, so that little is wasted.
            best = fits[0] if room > 160 else max(fits, key=lambda e: len(e[0]))
            self.pool.remove(best)
            n = len(best[0])
            for column, part in zip(columns, (*best[:3], self.positions(n, best[3]), [n_doc] * n)):
                column += part
            n_doc += 1
        if width == WIDE:
            self.long = [e for e in self.pool if len(e[0]) > WIDTH]
            self.pool = [e for e in self.pool if len(e[0]) <= WIDTH]
        pad = width - len(columns[0])
        return [column + [filler] * pad for column, filler in zip(columns, (self.chat.end, 0, -1, 0, n_doc))]

    def batch(self, n_tokens):
        width = WIDE if 3 * sum(len(e[0]) for e in self.long) > 2 * n_tokens else WIDTH
        rows = [self.row(width) for _ in range(n_tokens // width)]
        ids, targets, kinds, pos, doc = (torch.tensor(x) for x in zip(*rows))
        mask = (doc[:, :, None] == doc[:, None, :]).tril()[:, None]
        return ids, pos, mask, targets[:, 1:] > 0, kinds[:, :-1]


def rate(step, steps, peak):
    """Warm-up, a plateau, and a linear fall to nothing over the second half."""
    if step < 100:
        return peak * (step + 1) / 100
    return peak * min(1.0, (steps - step) / (0.55 * steps))


def loss_of(model, guide, ids, pos, mask, target, kind):
    """(loss of what Ember has to say, loss of the guide).

    target [B, T-1] marks Ember's tokens among ids[:, 1:]; kind [B, T-1] is the number of the answer
    where one begins, else -1. The guide, a linear layer that is thrown away after training, reads
    that number from the state before the first word: many answers begin alike, and it tells early
    which one is meant.
    """
    hidden = model.hidden(ids, pos, mask)[:, :-1]
    spoken = F.cross_entropy(model.head(hidden[target]), ids[:, 1:][target])
    start = kind >= 0
    return spoken, F.cross_entropy(guide(hidden[start]), kind[start])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", default="build")
    ap.add_argument("--steps", type=int, default=3000)
    ap.add_argument("--tokens", type=int, default=2048, help="per step")
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--seed", type=int, default=20261)
    ap.add_argument("--threads", type=int, default=2)
    a = ap.parse_args()
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    keep_memory()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)

    cfg = Config()
    tok = tokenizer.train(Source(a.seed).texts(12000), cfg.n_vocab)
    cfg.n_vocab = tok.get_vocab_size()
    tok.save(str(out / "tokenizer.json"))
    chat = tokenizer.Chat(tok)
    model = Ember(cfg)
    print(f"{model.n_params():,} parameters, {model.n_params(True):,} active, {cfg.n_vocab} tokens", flush=True)

    source = Source(a.seed + 2)
    packer = Packer(chat, source, a.seed, cfg.n_ctx)
    guide = torch.nn.Linear(cfg.n_embd, source.n_kinds, bias=False)

    decay = [p for p in (*model.parameters(), *guide.parameters()) if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() == 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
                            lr=a.lr, betas=(0.9, 0.97), fused=True)
    began, seen, mean = time.time(), 0, None
    model.train()
    for step in range(a.steps):
        for group in opt.param_groups:
            group["lr"] = rate(step, a.steps, a.lr)
        batch = packer.batch(a.tokens)
        spoken, guided = loss_of(model, guide, *batch)
        loss = spoken + 0.3 * guided
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        if not math.isfinite(norm):
            raise SystemExit(f"step {step}: loss {loss.item()}, gradient norm {norm}")
        opt.step()
        opt.zero_grad()
        for block in model.blocks[cfg.n_dense:]:
            block.ffn.balance(0.002 * min(1.0, 2 * (1 - step / a.steps)))
        seen += batch[0].numel()
        now = torch.stack((spoken, guided)).detach()
        mean = now if step == 0 else 0.97 * mean + 0.03 * now
        if step % 25 == 24:
            took = time.time() - began
            print(f"step {step + 1}  loss {mean[0]:.4f}  guide {mean[1]:.4f}  {seen / took:,.0f} tokens/s  {took / 60:.1f} min", flush=True)
        if step % 100 == 99 or step == a.steps - 1:
            torch.save({"config": vars(cfg), "model": model.state_dict()}, out / "model.pt")


if __name__ == "__main__":
    main()
