#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# TCP, UDP and ping between Linux guests, for net_vhost and net_vhostx taking turns in one run, without and with
# segmentation offload. QEMU emulates the guests' processors: the figures are for comparing, not for quoting.
# Options (--rounds N, --ports plain|tso|zero-copy) go to app/test-vhostx/guests/compare.py.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"

find_plugin
# shellcheck disable=SC2064 # its value of now
[ -z "$plugin_copy" ] || trap "rm -rf '$plugin_copy'" EXIT
PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$top/app/test-vhostx/guests/compare.py" --plugin "$plugin" "$@"
