#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# The long run: for some minutes (default 10), in both modes and on both kinds of ring, each side is killed under traffic
# again and again, ports restart, memory, links and dirty log come and go. Half of the time with a scripted front-end,
# half with Linux guests in QEMU if that is installed. Prints what was survived, what was lost, how long it took, and
# what has grown.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

minutes=${1:-10}
[[ $minutes =~ ^[0-9]+([.][0-9]+)?$ && $minutes =~ [1-9] ]] || die "$minutes: not a number of minutes"
tests=("$top/app/test-vhostx/e2e/test_soak.py")
if command -v qemu-system-x86_64 >/dev/null && [ -f "$(guest_kernel_dir)/release" ]; then
    tests+=("$top/app/test-vhostx/guests/test_guest_soak.py")
    minutes=$(awk "BEGIN { print $minutes / 2 }")
fi
find_plugin
# shellcheck disable=SC2064 # their values of now
trap "rm -rf ${plugin_copy:+'$plugin_copy'}" EXIT
VHOSTX_SOAK_MINUTES=$minutes VHOSTX_PLUGIN=$plugin PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 -m pytest -q "${tests[@]}"
