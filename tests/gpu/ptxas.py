#!/usr/bin/env python3
"""What nvcc's assembler says of every kernel: registers, shared memory, spills. Prints a table as
TAP comments; not ok where a kernel that a token's time depends on spills registers to memory.

Usage: ptxas.py NVCC INCLUDE_DIR FILE.cu…
"""
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ARCH = "sm_86"
HOT = re.compile(r"(matvec|experts_up|experts_down|matmul|matmul_experts|attn_split|attn_many)_")
KERNEL = re.compile(r"Compiling entry function '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def report(nvcc, include, source):
    """Rows (kernel, registers, shared bytes, spilled bytes), and the words of a failure."""
    done = subprocess.run([nvcc, f"-arch={ARCH}", "-std=c++17", "-O3", "-Xptxas", "-v", "-cubin",
                           "-I", include, "-o", "/dev/null", source],
                          capture_output=True, text=True, check=False)
    rows, name, spilled = [], None, 0
    for line in done.stderr.splitlines():
        if match := KERNEL.search(line):
            name, spilled = match[1], 0
        elif match := SPILLS.search(line):
            spilled = max(int(match[1]), int(match[2]))
        elif (match := USED.search(line)) and name:
            rows.append((name, int(match[1]), int(match[2] or 0), spilled))
            name = None
    return rows, done.stderr if done.returncode else ""


def main(nvcc, include, sources):
    print(f"1..{len(sources)}")
    with ThreadPoolExecutor(2) as pool:
        reports = pool.map(lambda source: report(nvcc, include, source), sources)
        for number, (source, (rows, failed)) in enumerate(zip(sources, reports), 1):
            for name, registers, shared, spilled in rows:
                print(f"# {name:28} {registers:4} registers {shared:6} shared {spilled:5} spilled")
            bad = [row[0] for row in rows if row[3] and HOT.match(row[0])]
            ok = rows and not bad and not failed
            print(f"{'ok' if ok else 'not ok'} {number} - {Path(source).stem} for {ARCH}")
            if not rows:
                print("# no kernel was compiled")
            for name in bad:
                print(f"# {name} spills: fewer numbers at once, or other launch bounds")
            for line in failed.splitlines():
                print(f"# {line}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
