#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Builds the guides into build/doc/html; a warning is an error. Also checks that the rows of the feature
# table are rows of DPDK's, in its order, where the DPDK source is there to tell.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"

cd "$top"
/usr/bin/python3 -c 'import sphinx' 2>/dev/null ||
    die "the guides need Sphinx for /usr/bin/python3; install python3-sphinx"

rows() { # file: names of the rows of its first section
    awk '/^\[/ { section++ } section == 1 && / *= */ { sub(/ *=.*/, ""); print }' "$1"
}

ours=doc/guides/nics/features/vhostx.ini
theirs=$(dpdk_source_dir "$(dpdk_version)")/doc/guides/nics/features/default.ini
if [ -f "$theirs" ]; then
    step "rows of the feature table"
    diff <(rows "$ours") <(rows "$theirs" | grep -Fx -f <(rows "$ours")) ||
        die "$ours has rows that DPDK does not know (<), or has them in another order"
    note "$(rows "$ours" | wc -l) rows, as DPDK has them"
fi

step "guides"
/usr/bin/python3 -m sphinx -W --keep-going -q -b html -d build/doc/doctrees doc/guides build/doc/html
note "built build/doc/html/index.html"
