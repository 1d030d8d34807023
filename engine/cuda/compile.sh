#!/bin/sh
# compile.sh REPORT NVCC ARGUMENT…: runs nvcc and keeps what its assembler says of registers and
# spills in REPORT, which tests/gpu/ptxas.py reads. Warnings and errors are shown.
set -eu
report=$1
shift
if ! "$@" -Xptxas -v 2>"$report"; then
    cat "$report" >&2
    exit 1
fi
grep -iE 'warning|error' "$report" >&2 || true
