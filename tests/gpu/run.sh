#!/bin/sh
# Proof on a card, from a bare checkout: nvcc, meson, ninja, gcc, g++, libpcre2 and hwloc; no window,
# no network. Builds, runs the programs of tests/gpu on the GPU, then under compute-sanitizer, then
# bench, and writes tests/gpu/results/DEVICE-DATE.md.
#
# Usage: tests/gpu/run.sh [--simulated]    --simulated: kernels on the CPU; nothing is written
#                                          into results/, the table is printed
# BUILD: the build's folder (build-gpu). COMMIT: what to call this state where there is no git.
# LIMIT: seconds that a program may take (900). Exit status 1 when anything failed.
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

[ -e "$build/build.ninja" ] || meson setup "$build" -Dengine_only=true "-Dgpu_archs=$archs"
all=$(ninja -C "$build" -t targets all)
programs=
for name in $(ls tests/gpu/test_*.c | sed 's,.*/test_\(.*\)\.c,\1,'); do
    if echo "$all" | grep -q "^tests/gpu/test-gpu-$name:"; then
        programs="$programs $name"
    fi
done
[ -n "$programs" ] || { echo "run.sh: no test was configured: is g++ there?" >&2; exit 1; }
targets="tests/gpu/gpu-bench tests/gpu/gpu-bench-step"
for name in $programs; do targets="$targets tests/gpu/test-gpu-$name"; done
library=$(echo "$all" | sed -n 's,^\(tests/gpu/libcuda_sim\.so\):.*,\1,p')
ninja -C "$build" $targets $library

# run NAME COMMAND…: what a program of tests says goes to NAME's log, and a row to NAME's row.
run() {
    name=$1
    shift
    began=$(date +%s)
    status=0
    timeout "${LIMIT:-900}" "$@" >"$build/gpu-$name.log" 2>&1 || status=$?
    good=$(grep -c '^ok ' "$build/gpu-$name.log" || true)
    bad=$(grep -c '^not ok ' "$build/gpu-$name.log" || true)
    verdict=passed
    [ "$status" -eq 0 ] && [ "$good" -gt 0 ] && [ "$bad" -eq 0 ] || verdict=FAILED
    echo "| $name | $verdict | $good | $bad | $status | $(($(date +%s) - began)) |" \
        >"$build/gpu-$name.row"
}

rm -f "$build"/gpu-*.row "$build"/gpu-*.log
for name in $programs; do
    run "$name" "$build/tests/gpu/test-gpu-$name"
done
# Kernels that a library lacks are asked for on purpose: those errors are none. Whole models add
# nothing for racecheck and synccheck but hours.
if [ -z "$simulated" ]; then
    sanitizer=$(command -v compute-sanitizer || echo /usr/local/cuda/bin/compute-sanitizer)
    for name in $programs; do
        tools="memcheck racecheck synccheck"
        case $name in exec | guests | model | stream | tops) tools=memcheck ;; esac
        for tool in $tools; do
            run "$name-$tool" "$sanitizer" --tool "$tool" --report-api-errors no \
                --error-exitcode 9 "$build/tests/gpu/test-gpu-$name" &
        done
    done
    wait
fi
status=0
"$build/tests/gpu/gpu-bench" ${simulated:+--quick} >"$build/gpu-bench.log" || status=$?
"$build/tests/gpu/gpu-bench-step" ${simulated:+--quick} >>"$build/gpu-bench.log" || status=$?

table() {
    echo "# Kernels on $device"
    echo
    echo "Driver $driver, $(date -u +%Y-%m-%d), commit ${COMMIT:-$(git rev-parse --short HEAD)}," \
        "$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/nvcc \1/p')"
    echo
    echo "| program | | ok | not ok | exit status | seconds |"
    echo "|---|---|---|---|---|---|"
    cat "$build"/gpu-*.row
    echo
    echo "## Beside the card's limits (tests/gpu/bench, exit status $status)"
    echo
    cat "$build/gpu-bench.log"
}
if [ -n "$simulated" ]; then
    table
else
    mkdir -p tests/gpu/results
    result=tests/gpu/results/$(echo "$device" | tr -c 'A-Za-z0-9\n' -)-$(date -u +%Y-%m-%d).md
    table >"$result"
    cat "$result"
fi
! grep -q FAILED "$build"/gpu-*.row && [ "$status" -eq 0 ]
