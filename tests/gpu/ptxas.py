#!/usr/bin/env python3
"""What nvcc's assembler said of every kernel: registers, shared memory, spills. Prints a table as
TAP comments; not ok where a kernel that a token's time depends on spills registers to memory.

Usage: ptxas.py REPORT…     as engine/cuda/compile.sh writes them
"""
import re
import sys
from pathlib import Path

ARCH = "sm_86"
HOT = re.compile(r"(matvec|experts_up|experts_down|matmul|matmul_experts|attn)_")
# What is kept over a tile, not in its loops; as much as the compiler may, in bytes:
ATTENTION, ATTENTION_MOST = re.compile(r"attn_"), 16
KERNEL = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def rows_of(report):
    """(kernel, registers, shared bytes, spilled bytes) of each kernel for ARCH."""
    rows, name, spilled = [], None, 0
    for line in report.splitlines():
        if match := KERNEL.search(line):
            name, spilled = match[1] if match[2] == ARCH else None, 0
        elif match := SPILLS.search(line):
            spilled = max(int(match[1]), int(match[2]))
        elif (match := USED.search(line)) and name:
            rows.append((name, int(match[1]), int(match[2] or 0), spilled))
            name = None
    return rows


def main(reports):
    print(f"1..{len(reports)}")
    for number, path in enumerate(map(Path, reports), 1):
        rows = rows_of(path.read_text())
        bad = [name for name, _, _, spilled in rows if HOT.match(name) and
               spilled > (ATTENTION_MOST if ATTENTION.match(name) else 0)]
        for name, registers, shared, spilled in rows:
            print(f"# {name:28} {registers:4} registers {shared:6} shared {spilled:5} spilled")
        good = rows and not bad
        print(f"{'ok' if good else 'not ok'} {number} - {path.stem}{' spills: ' if bad else ''}"
              f"{', '.join(bad)}")


main(sys.argv[1:])
