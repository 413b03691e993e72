#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Sets everything up and shows the main job: a testpmd with a net_vhostx port exchanges packets with a second
# testpmd, whose virtio-user port stands for a guest. Leaves nothing running and no file outside the checkout.
#
# From the environment: SECONDS_OF_TRAFFIC (8), VHOSTX_DRIVER (net_vhostx; net_vhost compares with DPDK's own).
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
take_no_options "$@"

driver=${VHOSTX_DRIVER:-net_vhostx}
seconds=${SECONDS_OF_TRAFFIC:-8}
circulating=1024 # packets that tx_first puts on the way: 32 bursts of 32
ring_size=1024

"$top/devtools/setup.sh"

declare -A pid=() input=()
work=$(mktemp -d)
plugin_copy=

stop_testpmd() { # name: ask it to quit, insist after five seconds
    local p=${pid[$1]:-} i
    [ -n "$p" ] || return 0
    unset "pid[$1]"
    { echo "quit" >&"${input[$1]}"; } 2>/dev/null || true
    for i in $(seq 70); do
        kill -0 "$p" 2>/dev/null || break
        [ "$i" -ne 50 ] || kill -TERM "$p" 2>/dev/null || true
        [ "$i" -ne 69 ] || kill -KILL "$p" 2>/dev/null || true
        sleep 0.1
    done
    wait "$p" 2>/dev/null || true
}

cleanup() {
    trap '' INT TERM HUP
    stop_testpmd guest
    stop_testpmd host
    rm -rf "$work" ${plugin_copy:+"$plugin_copy"}
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() { # reason
    local name
    for name in host guest; do
        [ -s "$work/$name.log" ] || continue
        printf -- '--- last lines of the %s side\n' "$name" >&2
        tail -n 15 "$work/$name.log" >&2
    done
    printf '\nFAIL: %s\n' "$1"
    exit 1
}

# --- where to run ---

plugin_arg=()
if [ "$driver" = net_vhostx ]; then
    find_plugin
    plugin_arg=(-d "$plugin")
fi

mapfile -t cpus < <(allowed_cpus)
if [ "${#cpus[@]}" -ge 4 ]; then
    host_lcores=0@${cpus[0]},1@${cpus[1]}
    guest_lcores=0@${cpus[2]},1@${cpus[3]}
elif [ "${#cpus[@]}" -ge 2 ]; then
    # each side's idle main thread shares the CPU of the other side's polling one
    host_lcores=0@${cpus[0]},1@${cpus[1]}
    guest_lcores=0@${cpus[1]},1@${cpus[0]}
else
    host_lcores=0@${cpus[0]},1@${cpus[0]}
    guest_lcores=$host_lcores
    step "one CPU only: both sides take turns on it, the rates will be low"
fi

if [ "$(free_hugepages)" -ge 256 ]; then
    memory=(--in-memory --single-file-segments -m 256)
    step "memory: hugepages"
else
    memory=(--no-huge -m 256)
    step "memory: ordinary pages, slower than hugepages; root can reserve some with"
    note "echo 512 > /proc/sys/vm/nr_hugepages"
fi

# --- the two sides ---

start_testpmd() { # name lcores EAL-options...
    local name=$1 lcores=$2 fd
    shift 2
    mkfifo "$work/$name.in"
    exec {fd}<>"$work/$name.in"
    input[$name]=$fd
    # RUNTIME_DIRECTORY: where the EAL puts its files, here to go away with the rest
    RUNTIME_DIRECTORY=$work stdbuf -oL dpdk-testpmd --lcores "$lcores" --no-pci --file-prefix "$name" "${memory[@]}" "$@" \
        -- -i --total-num-mbufs=16384 --nb-cores=1 --txd=$ring_size --rxd=$ring_size \
        <"$work/$name.in" >"$work/$name.log" 2>&1 {fd}>&- &
    pid[$name]=$!
}

say() { echo "$2" >&"${input[$1]}"; } # name command

wait_for() { # name seconds pattern: until its log has the pattern
    local i
    for i in $(seq "$(($2 * 10))"); do
        ! grep -q -e "$3" "$work/$1.log" || return 0
        kill -0 "${pid[$1]}" 2>/dev/null || fail "the $1 side ended by itself"
        sleep 0.1
    done
    return 1
}

# Ask for the port's counters and print the values of the fields given, in order.
port_stats() { # name field...
    local name=$1 before i
    shift
    before=$(grep -c 'Tx-bps' "$work/$name.log" || true)
    say "$name" "show port stats 0"
    for i in $(seq 50); do
        [ "$(grep -c 'Tx-bps' "$work/$name.log" || true)" -le "$before" ] || break
        sleep 0.05
    done
    [ "$i" -lt 50 ] || fail "the $name side does not answer"
    awk -v fields="$*" '
        { for (i = 1; i < NF; i++) if ($i ~ /:$/) value[$i] = $(i + 1) }
        END { n = split(fields, f, " "); for (i = 1; i <= n; i++) printf "%s ", value[f[i] ":"]; print "" }
    ' "$work/$name.log"
}

socket=$work/vhost.sock
host_vdev=${driver}0,iface=$socket
guest_vdev=net_virtio_user0,path=$socket,queue_size=$ring_size

step "host side: dpdk-testpmd with --vdev $host_vdev"
start_testpmd host "$host_lcores" "${plugin_arg[@]}" --vdev "$host_vdev"
wait_for host 20 'testpmd> ' || fail "the host side does not start"
[ -S "$socket" ] || fail "the port has not made its socket"

step "guest side: dpdk-testpmd with --vdev $guest_vdev"
start_testpmd guest "$guest_lcores" --vdev "$guest_vdev"
wait_for guest 20 'testpmd> ' || fail "the guest side does not start"

say host "show port info 0"
wait_for host 5 "Driver name: $driver" || fail "port 0 of the host side does not belong to $driver"
for i in $(seq 50); do
    say host "show port summary 0"
    sleep 0.1
    ! tail -n 4 "$work/host.log" | grep -w up >/dev/null || break
done
[ "$i" -lt 50 ] || fail "the host side's link does not come up"

# --- traffic ---

step "traffic: $circulating packets of 64 bytes go round, forwarded by both sides, for $seconds s"
say host "set fwd io"
say host "start"
say guest "set fwd io"
say guest "start tx_first $((circulating / 32))"
wait_for guest 10 'io packet forwarding' || fail "the guest side does not forward"
sleep 0.5

port_stats host Rx-pps >/dev/null # rates count from the last look
slowest=
for ((i = 1; i <= seconds; i++)); do
    sleep 1
    read -r rx tx < <(port_stats host Rx-pps Tx-pps)
    awk -v t="$i" -v rx="$rx" -v tx="$tx" \
        'BEGIN { printf "    %2d s   guest to host %7.3f Mpps   host to guest %7.3f Mpps\n", t, rx / 1e6, tx / 1e6 }'
    for rate in "$rx" "$tx"; do
        if [ -z "$slowest" ] || [ "$rate" -lt "$slowest" ]; then slowest=$rate; fi
    done
done

# The guest stops first: what it has sent reaches the host, which goes on forwarding for a moment.
say guest "stop"
wait_for guest 10 'Accumulated forward' || fail "the guest side does not stop"
sleep 0.5
say host "stop"
wait_for host 10 'Accumulated forward' || fail "the host side does not stop"

read -r host_rx host_tx host_rx_missed host_tx_errors < <(port_stats host RX-packets TX-packets RX-missed TX-errors)
read -r guest_rx guest_tx _ < <(port_stats guest RX-packets TX-packets)

step "packets"
printf '    %-14s %15s %15s\n' '' sent received
printf '    %-14s %15s %15s\n' 'guest to host' "$guest_tx" "$host_rx" 'host to guest' "$host_tx" "$guest_rx"
on_the_ring=$((host_tx - guest_rx))
note "$on_the_ring on the ring when the guest stopped; host: $host_rx_missed missed, $host_tx_errors errors"

stop_testpmd guest
stop_testpmd host

[ "$slowest" -gt 0 ] || fail "the traffic stood still"
[ "$host_rx" -eq "$guest_tx" ] || fail "the guest sent $guest_tx packets, the host received $host_rx"
if [ "$on_the_ring" -lt 0 ] || [ "$on_the_ring" -gt "$ring_size" ]; then
    fail "the host sent $host_tx packets, the guest received $guest_rx"
fi

printf '\nPASS: %s forwarded %s packets from the guest and %s back, none lost\n' "$driver" "$host_rx" "$host_tx"

by_hand_socket=${XDG_RUNTIME_DIR:-/run}/vhost.sock
[ -w "$(dirname "$by_hand_socket")" ] || by_hand_socket=$HOME/vhost.sock
by_hand=$top/build/drivers/librte_net_vhostx.so
echo
echo "To go on by hand, in two terminals (host side first):"
echo
if [ -n "$plugin_copy" ]; then
    echo "    cp -L $by_hand ~/   # the EAL refuses a plugin below a world-writable folder"
    by_hand=~/librte_net_vhostx.so
fi
cat <<EOF
    dpdk-testpmd --lcores $host_lcores --no-pci --file-prefix host ${memory[*]} \\
        -d $by_hand --vdev net_vhostx0,iface=$by_hand_socket \\
        -- -i --total-num-mbufs=16384
    dpdk-testpmd --lcores $guest_lcores --no-pci --file-prefix guest ${memory[*]} \\
        --vdev net_virtio_user0,path=$by_hand_socket,queue_size=$ring_size -- -i --total-num-mbufs=16384

and type "start" in the first, "start tx_first" in the second, "show port stats 0" in either.
A container or a virtual machine as the guest: see "First steps" in README.md.
EOF
