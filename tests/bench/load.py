#!/usr/bin/env python3
"""How long a model takes to its first token, with its file in the system's cache, and what of the
memory it takes at most; with the weights mapped, and copied into huge pages.

Usage: tests/bench/load.py HEARTH_CLI MODEL.gguf [--rounds N] [--threads N]

A round starts the program three times: for its first token alone (the time is that of the whole
process), and with each kind of weights for the speed of a few tokens. Rates of copying are beside
what as many threads copy between two large blocks of memory.
"""
import argparse
import ctypes
import json
import mmap
import os
import statistics
import subprocess
import sys
import threading
import time

MIB = 1 << 20
TOKENS = 12


def run(command):
    """(seconds, most bytes resident, standard output)"""
    start = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = status
    if status:
        sys.exit(f"load: {command[0]} failed; its message is above.")
    return time.monotonic() - start, usage.ru_maxrss * 1024, out


def copy_bandwidth(threads, size=512 * MIB):
    """Bytes per second, counted once, that threads copy between huge pages: the best of five."""
    blocks = [mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2)]
    for block in blocks:
        block.madvise(mmap.MADV_HUGEPAGE)
    to, source = (ctypes.addressof(ctypes.c_char.from_buffer(block)) for block in blocks)
    ctypes.memset(to, 1, size)
    ctypes.memset(source, 2, size)
    part, best = size // threads, 0
    for _ in range(5):
        workers = [threading.Thread(target=ctypes.memmove, args=(to + i * part, source + i * part, part))
                   for i in range(threads)]
        start = time.monotonic()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, part * threads / (time.monotonic() - start))
    return best


def warm(path):
    with open(path, "rb", buffering=0) as file:
        while file.read(64 * MIB):
            pass


def spread(values, digits=2):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("cli")
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    size = os.path.getsize(options.model)
    base = ["-m", options.model, "--threads", options.threads]
    first, peak, copying = [], [], []
    speed = {"mapped": [], "copied": []}
    copy = copy_bandwidth(options.threads)
    for _ in range(options.rounds):
        warm(options.model)
        seconds, most, _ = run([options.cli, "logits", *base, "--tokens", 1, "--out", os.devnull])
        first.append(seconds)
        peak.append((most - size) / MIB)
        spent = {}
        for kind in speed:
            warm(options.model)
            spent[kind], _, out = run([options.cli, "bench", *base, "-p", 0, "-n", TOKENS, "-r", 1,
                                       "--weights", kind, "--json"])
            row = json.loads(out)["rows"][0]
            speed[kind].append(row["tok_s_median"])
            spent[kind] -= 2 * TOKENS / row["tok_s_median"]  # a warm-up, and once more
        copying.append(size / spent["copied"] * 1e-9)
    print(f"{os.path.basename(options.model)}, {size * 1e-9:.2f} GB, {options.threads} threads, "
          f"{options.rounds} rounds, median (least-most)\n"
          f"first token, mapped    {spread(first)} s\n"
          f"peak beyond the file   {spread(peak, 0)} MiB\n"
          f"opening, copied        {spread(copying)} GB/s; memory copies {copy * 1e-9:.2f} GB/s\n"
          f"decode, mapped         {spread(speed['mapped'])} tok/s\n"
          f"decode, copied         {spread(speed['copied'])} tok/s")


if __name__ == "__main__":
    main()
