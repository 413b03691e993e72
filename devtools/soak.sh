#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# The long run: for some minutes (default 10), in both modes and on both kinds of ring, each side is killed under traffic
# again and again, ports restart, memory and dirty log come and go. Prints what was survived, what was lost, how long
# it took, and what has grown.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"

find_plugin
# shellcheck disable=SC2064 # their values of now
trap "rm -rf ${plugin_copy:+'$plugin_copy'}" EXIT
VHOSTX_SOAK_MINUTES=${1:-10} VHOSTX_PLUGIN=$plugin PYTHONDONTWRITEBYTECODE=1 \
    /usr/bin/python3 -m pytest -q "$top/app/test-vhostx/e2e/test_soak.py"
