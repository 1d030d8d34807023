"""Trains Ember from scratch on the corpus: `python train.py --out build`. README.md tells how long it takes.

Writes build/tokenizer.json and build/model.pt; export.py makes the GGUF of them.
"""
import argparse
import ctypes
import math
import multiprocessing
import os
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import tokenizer
from corpus import Source
from model import Config, Ember
from muon import Muon
from tokenizer import ASKED, CHOICE, SPOKEN

WIDTH, WIDE = 256, 1024     # tokens per row; every 16th shard has long conversations in wide rows
SHARD = 1 << 18             # tokens
BAGS = (0, 2)               # blocks whose input, summed over a question, should tell the answer


def keep_memory():
    """Lets glibc keep freed blocks: mapping them afresh for each step costs a fifth of the time."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 1 << 30)     # M_MMAP_THRESHOLD
        libc.mallopt(-1, 1 << 30)     # M_TRIM_THRESHOLD
    except OSError:
        pass


def positions(rng, n, starts, n_ctx):
    """0, 1, 2 … with leaps between turns, so that far-away first turns are nothing new."""
    pos, at, leaps = [], 0, set(starts[1:]) if rng.random() < 0.3 else ()
    for i in range(n):
        if i in leaps:
            at += rng.randrange(0, 250)
        pos.append(min(at, n_ctx - 1))
        at += 1
    return pos


def shard(job):
    """Rows of whole conversations that cannot see each other: five int16 tensors [rows, width] with
    ids, roles, kinds (tokenizer.py says what these are), positions, and the number of the conversation."""
    path, seed, number, n_ctx, share_whole = job
    chat, source, rng = tokenizer.Chat(path), Source(seed * 10007 + number), random.Random(seed * 10007 + number)
    wide = number % 16 == 15
    width, rows, pool = WIDE if wide else WIDTH, [], []
    while len(rows) < SHARD // width:
        columns, n_doc = [[], [], [], [], []], 0
        while True:
            while len(pool) < 48:
                opening = None if rng.random() < share_whole else rng.randrange(4, tokenizer.N_CHOICE + 3)
                example = chat.example(source.conversation(wide), opening)
                if len(example[0]) <= width:
                    pool.append(example)
            room = width - len(columns[0])
            fits = [e for e in pool if len(e[0]) <= room]
            if not fits:
                break
            # The oldest that fits, or near the end of the row the longest, so that little is wasted.
            best = fits[0] if room > 120 else max(fits, key=lambda e: len(e[0]))
            pool.remove(best)
            n = len(best[0])
            for column, part in zip(columns, (*best[:3], positions(rng, n, best[3], n_ctx), [n_doc] * n)):
                column += part
            n_doc += 1
        pad = width - len(columns[0])
        rows.append([column + [filler] * pad for column, filler in zip(columns, (chat.end, 0, -1, 0, n_doc))])
    return [torch.tensor(x, dtype=torch.int16) for x in zip(*rows)]


def make_shards(path, seed, n, n_ctx, share_whole, workers):
    """One after the other, made here (which takes a fiftieth of the time on a CPU) or by other processes."""
    jobs = [(path, seed, i, n_ctx, share_whole) for i in range(n)]
    if not workers:
        yield from map(shard, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(shard, jobs)


def batches(shards, n_tokens, seed, device):
    rng = random.Random(seed)
    for parts in shards:
        n = max(1, n_tokens // parts[0].shape[1])
        order = list(range(len(parts[0])))
        rng.shuffle(order)
        for i in range(0, len(order) - n + 1, n):
            rows = torch.tensor(order[i:i + n])
            yield [p[rows].to(device, torch.int64) for p in parts]


def noisy(ids, roles, share):
    """Some words of the questions replaced by words of others: no single one may decide, and what
    stands in every question says little."""
    at = (roles == ASKED).nonzero(as_tuple=True)
    words = ids[at]
    hit = torch.rand(words.shape, device=ids.device) < share
    seen = ids.clone()
    seen[at] = torch.where(hit, words[torch.randperm(len(words), device=ids.device)], words)
    return seen


class Loss(torch.nn.Module):
    """The guide, a linear layer that is thrown away after training, reads the number of the answer
    from the state before its first word: many answers begin alike, and it tells early which one is
    meant. Weighted less, it reads it too from the state at each word of the question, and from the
    sum over the question of what goes into BAGS: so what a word says about the answer is learned
    for the word itself, which holds for questions that are put together in new ways.
    """

    def __init__(self, cfg, n_kinds, a):
        super().__init__()
        self.guide = torch.nn.Linear(cfg.n_embd, n_kinds, bias=False)
        self.a = a

    def forward(self, model, ids, roles, kinds, pos, doc):
        """What Ember says; the guide before the answer, at the words, over the bags; the question's words."""
        mask = (doc[:, :, None] == doc[:, None, :]).tril()[:, None]
        seen = noisy(ids, roles, self.a.noise)
        states = []
        hidden = model.hidden(seen, pos, mask, states=states)[:, :-1]
        target, role, kind = ids[:, 1:], roles[:, 1:], kinds[:, :-1]
        choice, rest = role == CHOICE, role == SPOKEN
        said = choice | rest
        each = F.cross_entropy(model.head(hidden[said]).float(), target[said], reduction="none")
        weight = torch.where(rest[said], self.a.rest, 1.0)
        spoken = (each * weight).sum() / weight.sum()

        asked = kind >= 0
        before = asked & choice
        ends = F.cross_entropy(self.guide(hidden[before]).float(), kind[before])
        words = F.cross_entropy(self.guide(hidden[asked & ~before]).float(), kind[asked & ~before])

        # Questions are numbered by how many answers have begun before.
        inside = roles[:, :-1] == ASKED
        number = (before.flatten().cumsum(0) - before.flatten().int())[inside.flatten()]
        bags = 0
        for i in BAGS:
            x = states[i][:, :-1][inside].float()
            mean = torch.zeros(len(kind[before]), x.shape[1], device=x.device).index_add(0, number, x)
            bags = bags + F.cross_entropy(self.guide(model.norm(mean / 8)).float(), kind[before]) / len(BAGS)
        reads = role == ASKED
        read = F.cross_entropy(model.head(hidden[reads]).float(), target[reads])
        return torch.stack((spoken, ends, words, bags, read))


def rate(step, steps):
    """Warm-up, a plateau, and a linear fall to nothing."""
    return min(1.0, (step + 1) / 50, (steps - step) / (0.6 * steps))


def optimizers(model, loss, a):
    hidden = [p for n, p in model.blocks.named_parameters() if p.dim() > 1 and "router" not in n]
    plain = [p for p in model.parameters() if p.dim() == 1]
    other = [p for p in (*model.parameters(), *loss.parameters()) if p.dim() > 1 and not any(p is h for h in hidden)]
    fused = {"betas": (0.9, 0.97), "fused": True}
    return [Muon(hidden, lr=a.muon, weight_decay=a.decay),
            torch.optim.AdamW([{"params": other, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}], lr=a.lr, **fused)]


def arguments():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", default="build")
    ap.add_argument("--million", type=float, default=24, help="tokens to train on, in millions")
    ap.add_argument("--batch", type=int, default=8192, help="tokens per step")
    ap.add_argument("--muon", type=float, default=0.02, help="learning rate of hidden matrices")
    ap.add_argument("--lr", type=float, default=3e-3, help="learning rate of everything else")
    ap.add_argument("--decay", type=float, default=0.05)
    ap.add_argument("--drop", type=float, default=0.05)
    ap.add_argument("--noise", type=float, default=0.05)
    ap.add_argument("--guide", type=float, default=0.5)
    ap.add_argument("--words", type=float, default=0.2)
    ap.add_argument("--bags", type=float, default=0.3)
    ap.add_argument("--read", type=float, default=0.1)
    ap.add_argument("--rest", type=float, default=0.5)
    ap.add_argument("--whole", type=float, default=0.12, help="share of answers that are not cut")
    ap.add_argument("--seed", type=int, default=20261)
    ap.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    ap.add_argument("--workers", type=int, default=0, help="processes that make examples")
    ap.add_argument("--device", default="cpu")
    ap.add_argument("--minutes", type=float, default=0, help="stop after so many, to measure the speed")
    return ap.parse_args()


def main():
    a = arguments()
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    keep_memory()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    began = time.time()

    cfg = Config(drop=a.drop)
    tok = tokenizer.train(Source(a.seed).texts(20000), cfg.n_vocab)
    cfg.n_vocab = tok.get_vocab_size()
    tok.save(str(out / "tokenizer.json"))
    model = Ember(cfg).to(a.device)
    loss_of = Loss(cfg, Source(0).n_kinds, a).to(a.device)
    opts = optimizers(model, loss_of, a)
    print(f"{model.n_params():,} parameters, {model.n_params(True):,} active, {cfg.n_vocab} tokens", flush=True)

    n_shards = math.ceil(a.million * 1e6 / SHARD)
    steps = n_shards * (SHARD // a.batch)
    shards = make_shards(str(out / "tokenizer.json"), a.seed, n_shards, cfg.n_ctx, a.whole, a.workers)
    share = torch.tensor((1.0, a.guide, a.words, a.bags, a.read), device=a.device)
    mean, started = None, None
    model.train()
    for step, batch in enumerate(batches(shards, a.batch, a.seed, a.device)):
        started = started or time.time()
        for opt, peak in zip(opts, (a.muon, a.lr)):
            for group in opt.param_groups:
                group["lr"] = rate(step, steps) * peak
        with torch.autocast("cuda", torch.bfloat16, enabled=a.device == "cuda"):
            losses = loss_of(model, *batch)
        (losses @ share).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for opt in opts:
            opt.step()
            opt.zero_grad()
        for block in model.blocks[cfg.n_dense:]:
            block.ffn.balance(0.002 * min(1.0, 2 * (1 - step / steps)))
        now = losses.detach()
        mean = now if step == 0 else 0.97 * mean + 0.03 * now
        late = a.minutes and time.time() - started > 60 * a.minutes
        if step % 50 == 49 or late:
            took = time.time() - started
            print(f"step {step + 1} of {steps}  loss {' '.join(f'{x:.4f}' for x in mean.tolist())}  "
                  f"{(step + 1) * a.batch / took:,.0f} tokens/s  {(time.time() - began) / 60:.1f} min", flush=True)
            if not math.isfinite(mean.sum()):
                raise SystemExit("the loss is no number")
        if step % 500 == 499 or step == steps - 1 or late:
            torch.save({"config": vars(cfg), "model": {k: v.cpu() for k, v in model.state_dict().items()}}, out / "model.pt")
        if late:
            break


if __name__ == "__main__":
    main()
