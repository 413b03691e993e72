#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Everything builds without a warning: check-warnings.sh gcc | clang.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

[ "$#" -eq 1 ] || die "usage: check-warnings.sh gcc | clang"
dir=$top/build-$1
cd "$top"
if [ -f "$dir/build.ninja" ]; then
    meson setup --reconfigure "$dir"
else
    # clang's warnings do not depend on the optimisation, gcc's do.
    CC=$1 meson setup "$dir" --werror $([ "$1" != clang ] || echo -Doptimization=0)
fi
ninja -k 0 -C "$dir"
