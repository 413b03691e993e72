#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# The built plugin from outside: check-plugin.sh pmdinfo | load.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

check_pmdinfo() {
    local found
    found=$(/usr/bin/python3 "$(command -v dpdk-pmdinfo.py)" "$top/build/drivers/librte_net_vhostx.so")
    echo "$found"
    /usr/bin/python3 -c '
import json, sys
drivers = {d["name"]: d.get("params", "") for d in json.load(sys.stdin)}
sys.exit("iface=" not in drivers.get("net_vhostx", ""))' <<<"$found" || die "no PMD info of net_vhostx"
}

# Is the driver in charge of its device in the distribution's testpmd?
check_load() {
    local tmp plugin plugin_copy
    find_plugin
    tmp=$(mktemp -d)
    # shellcheck disable=SC2064 # their values of now
    trap "rm -rf '$tmp' ${plugin_copy:+'$plugin_copy'}" EXIT
    printf 'show port info 0\nquit\n' |
        RUNTIME_DIRECTORY=$tmp timeout 60 dpdk-testpmd --no-pci --no-huge -m 128 --file-prefix load -d "$plugin" \
            --vdev "net_vhostx0,iface=$tmp/sock" -- -i --total-num-mbufs=2048 >"$tmp/log" 2>&1 ||
        { cat "$tmp/log"; die "testpmd fails"; }
    grep 'Driver name: net_vhostx' "$tmp/log" || { cat "$tmp/log"; die "port 0 is not net_vhostx's"; }
}

case ${1:-} in
    pmdinfo) check_pmdinfo ;;
    load) check_load ;;
    *) die "usage: check-plugin.sh pmdinfo | load" ;;
esac
