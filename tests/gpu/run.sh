#!/bin/sh
# Proof on a card, from a bare checkout: nvcc, meson, ninja, gcc, g++, libpcre2 and hwloc; no window,
# no network. Builds, runs the programs of tests/gpu on the GPU, then the same under
# compute-sanitizer, and writes tests/gpu/results/DEVICE-DATE.md.
#
# Usage: tests/gpu/run.sh [--simulated]    --simulated: kernels on the CPU; nothing is written
#                                          into results/, the table is printed
# BUILD: the build's folder (build-gpu). Exit status 1 when anything failed.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build-gpu}
simulated=
[ "${1:-}" != --simulated ] || simulated=1

if [ -z "$simulated" ]; then
    command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
    command -v nvcc >/dev/null || { echo "run.sh: nvcc is missing" >&2; exit 1; }
    card=$(nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total \
        --format=csv,noheader | head -n 1)
    archs=$(echo "$card" | cut -d, -f2 | tr -d ' .')
    export HEARTH_GPU=1
else
    card="simulated, 8.6, none, none"
    archs='[]'
fi
device=$(echo "$card" | cut -d, -f1)
driver=$(echo "$card" | cut -d, -f3 | tr -d ' ')

[ -e "$build/build.ninja" ] || meson setup "$build" -Dgui=disabled "-Dgpu_archs=$archs"
programs=$(ls tests/gpu/test_*.c | sed 's,.*/test_\(.*\)\.c,\1,')
targets=
for name in $programs; do
    if ninja -C "$build" -t targets all | grep -q "^tests/gpu/test-gpu-$name:"; then
        targets="$targets tests/gpu/test-gpu-$name"
    fi
done
[ -n "$targets" ] || { echo "run.sh: no test was configured: is g++ there?" >&2; exit 1; }
library=$(ninja -C "$build" -t targets all | sed -n 's,^\(tests/gpu/libcuda_sim\.so\):.*,\1,p')
ninja -C "$build" $targets $library

failed=0
rows=
# run NAME COMMAND…: counts the TAP of one program and adds its row.
run() {
    name=$1
    shift
    began=$(date +%s)
    status=0
    timeout 900 "$@" >"$build/gpu-$name.log" 2>&1 || status=$?
    good=$(grep -c '^ok ' "$build/gpu-$name.log" || true)
    bad=$(grep -c '^not ok ' "$build/gpu-$name.log" || true)
    [ "$status" -eq 0 ] && [ "$good" -gt 0 ] && [ "$bad" -eq 0 ] || failed=1
    rows="$rows| $name | $good | $bad | $status | $(($(date +%s) - began)) |
"
}

for target in $targets; do
    run "${target##*test-gpu-}" "$build/$target"
done
if [ -z "$simulated" ]; then
    sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    for target in $targets; do
        for tool in memcheck racecheck synccheck; do
            run "${target##*test-gpu-}-$tool" "$sanitizer" --tool "$tool" --error-exitcode 9 \
                "$build/$target"
        done
    done
fi

table() {
    echo "# Kernels on $device"
    echo
    echo "Driver $driver, $(date -u +%Y-%m-%d), commit $(git rev-parse --short HEAD)," \
        "$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')"
    echo
    echo "| program | ok | not ok | exit status | seconds |"
    echo "|---|---|---|---|---|"
    printf '%s' "$rows"
}
if [ -n "$simulated" ]; then
    table
else
    mkdir -p tests/gpu/results
    result=tests/gpu/results/$(echo "$device" | tr -c 'A-Za-z0-9\n' -)-$(date -u +%Y-%m-%d).md
    table >"$result"
    cat "$result"
fi
exit $failed
