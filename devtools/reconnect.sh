#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# How long a guest is without network when its front-end comes back, for net_vhostx and net_vhost. As a client from the
# front-end's listen(), as a server from its connect(), to the first packet. Argument: turns (default 50).
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

turns=${1:-50}
[[ $turns =~ ^[1-9][0-9]*$ ]] || die "$turns: not a number of turns"
find_plugin
work=$(mktemp)
# shellcheck disable=SC2064 # their values of now
trap "rm -rf '$work' ${plugin_copy:+'$plugin_copy'}" EXIT
status=0
for driver in net_vhostx net_vhost; do
    VHOSTX_TURNS=$turns VHOSTX_PLUGIN=$plugin PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q \
        --driver "$driver" "$top/app/test-vhostx/e2e/test_reconnect_time.py" >"$work" 2>&1 || status=$?
    grep ' ms, ' "$work" || cat "$work"
done
exit "$status"
