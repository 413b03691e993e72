#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# The benchmark: net_vhostx beside net_vhost, with the default SIMD width and with 512 bits where the CPU has them.
# Options go to dpdk-test-vhostx perf (perf.sh --help lists them). Figures and plots: build/perf/.
#
# perf.sh --zero-copy [options]: instead, all that is asked of dequeue zero-copy, with the default SIMD width, and
# at the end how far that is reached.
#
# From the environment: PERF_CPU and PERF_PEER_CPU (the last one allowed, and the one before), PERF_WIDTHS
# (default 512), PERF_EAL (more EAL options).
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"

program=$top/build/app/dpdk-test-vhostx
out=$top/build/perf
[ -x "$program" ] || die "the benchmark is not built; run devtools/setup.sh"

for option in "$@"; do
    case $option in
        --help | --list) # needs neither ports nor memory
            work=$(mktemp -d)
            trap 'rm -rf "$work"' EXIT
            RUNTIME_DIRECTORY=$work "$program" perf --no-pci --no-huge -m 64 --log-level=1 -- "$@"
            exit
            ;;
    esac
done

mapfile -t cpus < <(allowed_cpus)
cpu=${PERF_CPU:-${cpus[-1]}}
peer_cpu=${PERF_PEER_CPU:-${cpus[${#cpus[@]} - 2]:-$cpu}}
if [ "$(free_hugepages)" -ge 320 ]; then
    memory=(--in-memory --single-file-segments -m 600)
else
    memory=(--no-huge -m 600)
    note "ordinary pages, slower than hugepages; root can reserve some: echo 512 > /proc/sys/vm/nr_hugepages"
fi
widths=(default)
zero_copy=
if [ "${1:-}" = --zero-copy ]; then
    zero_copy=1
    shift
else
    ! grep -qw avx512f /proc/cpuinfo || widths+=(512)
fi
[ -z "${PERF_WIDTHS:-}" ] || read -ra widths <<<"$PERF_WIDTHS"

find_plugin
work=$(mktemp -d)
# shellcheck disable=SC2064 # their values of now
trap "rm -rf '$work' ${plugin_copy:+'$plugin_copy'}" EXIT
mkdir -p "$out"
rm -f "$out/perf.csv"

# run LABEL OPTION...: the benchmark once, at $width
run() {
    local label=$1
    local eal=(-l "$cpu" --no-pci --file-prefix perf "${memory[@]}" --log-level=lib.vhost.config:warning -d "$plugin")
    [ "$width" = default ] || eal+=("--force-max-simd-bitwidth=$width")
    # shellcheck disable=SC2206 # a list of words
    eal+=(${PERF_EAL:-})
    # the guest's side, where it is a process of its own
    local peer="-l $peer_cpu --no-pci --file-prefix perf-peer ${memory[*]} --log-level=1"
    shift
    RUNTIME_DIRECTORY=$work "$program" perf "${eal[@]}" -- --csv "$out/perf.csv" --label "$label" \
        --peer-eal "$peer" "$@" || status=$?
}

# The drivers' names in the figures are cut: what tells them apart comes first.
run_zero_copy() {
    local lender=net_vhostx+dequeue-zero-copy=1+zc-dma=0
    local linear=net_vhostx+linear-buffer=1+dequeue-zero-copy=1+zc-dma=0+zc-threshold=0
    local place cold
    for place in cache cold; do
        cold=()
        [ $place = cache ] || cold=(--cold)
        step "$place, all that can be lent"
        run "$place" --slots 11 "${cold[@]}" --filter 'noorder,drop|read,64|128|256|512|1024|1518|imix|jumbo' \
            --drivers "$lender+zc-threshold=0,$linear,net_vhostx,net_vhost" "$@"
        # one segment cannot hold these
        run "$place" --slots 11 "${cold[@]}" --filter 'noorder,drop|read,9000,nojumbo' \
            --drivers "$lender+zc-threshold=0,net_vhostx,net_vhost" "$@"
        step "$place, the default threshold"
        run "$place-default" --slots 11 "${cold[@]}" --filter 'noorder,drop' --drivers "$lender,net_vhostx" "$@"
    done
    step "guest to guest, two cores"
    run two-cores --two-cores --slots 15 --filter 'fwd,1518' \
        --drivers "$lender+zc-threshold=0,net_vhostx,net_vhost" "$@"
    [ ! -f "$out/perf.csv" ] || /usr/bin/python3 "$top/devtools/zero-copy-figures.py" "$out/perf.csv"
}

status=0
for width in "${widths[@]}"; do
    step "SIMD width: $width"
    if [ -n "$zero_copy" ]; then
        run_zero_copy "$@"
    else
        run "$width" "$@"
    fi
done
# none if the options were refused, or --csv named another file
[ -f "$out/perf.csv" ] || exit "$status"
[ -n "$zero_copy" ] || /usr/bin/python3 "$top/devtools/slower-cases.py" "$out/perf.csv"
note "figures: $out/perf.csv"
if /usr/bin/python3 -c 'import matplotlib' 2>/dev/null; then
    /usr/bin/python3 "$top/devtools/plot-perf.py" "$out/perf.csv" "$out"
else
    note "no plots: python3-matplotlib is missing"
fi
exit "$status"
