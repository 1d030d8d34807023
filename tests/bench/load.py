#!/usr/bin/env python3
"""How long a model takes to its first token, with its file in the system's cache, and what of the
memory it takes at most; with the weights mapped, and copied into huge pages.

Usage: tests/bench/load.py HEARTH_CLI MODEL.gguf [--rounds N] [--threads N]

A round starts the program three times: for its first token alone (the time is that of the whole
process), and with each kind of weights for the speed of a few tokens. Rates of copying are beside
those of as many threads between two large blocks of memory that have their pages, and into one that
gets them as it is written; the second is what copying weights can be at most. In a virtual machine
pages that the host must find first come slower by far: a block is written before the weights are
copied, too, and how fast is said.
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


def huge_pages(size):
    block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block.madvise(mmap.MADV_HUGEPAGE)
    return block


def address(block):
    return ctypes.addressof(ctypes.c_char.from_buffer(block))


def together(threads, size, work):
    """Bytes per second that threads get through, each calling work(offset, bytes) for a part."""
    part = size // threads // (2 * MIB) * (2 * MIB)
    workers = [threading.Thread(target=work, args=(i * part, part)) for i in range(threads)]
    start = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return part * threads / (time.monotonic() - start)


def copy_bandwidth(threads, size=512 * MIB):
    """Bytes per second, counted once, between huge pages: where they are there, and where those
    written to come with it; the best of five."""
    source = huge_pages(size)
    ctypes.memset(address(source), 2, size)
    there = fresh = 0
    for _ in range(5):
        to = huge_pages(size)
        copy = lambda at, n: ctypes.memmove(address(to) + at, address(source) + at, n)
        fresh = max(fresh, together(threads, size, copy))
        there = max(there, together(threads, size, copy))
    return there, fresh


def write_pages(threads, size):
    """Bytes per second at which new pages are written, and given back."""
    block = huge_pages(size)
    return together(threads, size, lambda at, n: ctypes.memset(address(block) + at, 1, n))


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
    first, copying, writing, there, fresh = [], [], [], [], []
    peak = {"mapped": [], "copied": []}
    speed = {"mapped": [], "copied": []}
    for _ in range(options.rounds):
        warm(options.model)
        seconds, most, _ = run([options.cli, "logits", *base, "--tokens", 1, "--out", os.devnull])
        first.append(seconds)
        peak["mapped"].append((most - size) / MIB)
        for kind in speed:
            warm(options.model)
            if kind == "copied":
                for rates, rate in zip((there, fresh), copy_bandwidth(options.threads)):
                    rates.append(rate * 1e-9)
                writing.append(write_pages(options.threads, size) * 1e-9)
            _, most, out = run([options.cli, "bench", *base, "-p", 0, "-n", TOKENS, "-r", 1,
                                       "--weights", kind, "--json"])
            got = json.loads(out)
            speed[kind].append(got["rows"][0]["tok_s_median"])
        peak["copied"].append((most - size) / MIB)
        copying.append(size / got["load_s"] * 1e-9)
    print(f"{os.path.basename(options.model)}, {size * 1e-9:.2f} GB, {options.threads} threads, "
          f"{options.rounds} rounds, median (least-most)\n"
          f"first token, mapped    {spread(first)} s\n"
          f"peak beyond the file   {spread(peak['mapped'], 0)} MiB, copied "
          f"{spread(peak['copied'], 0)} MiB\n"
          f"copying weights        {spread(copying)} GB/s\n"
          f"copying memory         {spread(there)} GB/s, to new pages {spread(fresh)} GB/s\n"
          f"writing new pages      {spread(writing)} GB/s\n"
          f"decode, mapped         {spread(speed['mapped'])} tok/s\n"
          f"decode, copied         {spread(speed['copied'])} tok/s")


if __name__ == "__main__":
    main()
