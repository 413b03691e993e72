#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# The benchmark: net_vhostx beside net_vhost, with the default SIMD width and with 512 bits where the CPU has them.
# Options go to dpdk-test-vhostx perf (perf.sh --help lists them). Figures and plots: build/perf/.
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
! grep -qw avx512f /proc/cpuinfo || widths+=(512)
[ -z "${PERF_WIDTHS:-}" ] || read -ra widths <<<"$PERF_WIDTHS"

find_plugin
work=$(mktemp -d)
# shellcheck disable=SC2064 # their values of now
trap "rm -rf '$work' ${plugin_copy:+'$plugin_copy'}" EXIT
mkdir -p "$out"
rm -f "$out/perf.csv"

status=0
for width in "${widths[@]}"; do
    eal=(-l "$cpu" --no-pci --file-prefix perf "${memory[@]}" --log-level=lib.vhost.config:warning -d "$plugin")
    [ "$width" = default ] || eal+=("--force-max-simd-bitwidth=$width")
    # shellcheck disable=SC2206 # a list of words
    eal+=(${PERF_EAL:-})
    # the guest's side, where it is a process of its own
    peer="-l $peer_cpu --no-pci --file-prefix perf-peer ${memory[*]} --log-level=1"
    step "SIMD width: $width"
    RUNTIME_DIRECTORY=$work "$program" perf "${eal[@]}" -- --csv "$out/perf.csv" --label "$width" \
        --peer-eal "$peer" "$@" || status=$?
done
note "figures: $out/perf.csv"
if /usr/bin/python3 -c 'import matplotlib' 2>/dev/null; then
    /usr/bin/python3 "$top/devtools/plot-perf.py" "$out/perf.csv" "$out"
else
    note "no plots: python3-matplotlib is missing"
fi
exit "$status"
