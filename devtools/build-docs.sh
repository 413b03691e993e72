#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Builds the guides into build/doc/html; a warning is an error. Also checks that the rows of the feature
# table are rows of DPDK's, in its order, where the DPDK source is there to tell, and that the guides have every
# file and every counter of the driver.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
take_no_options "$@"

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

untold() { # guide: those of the names on standard input that it does not have
    local name
    while IFS= read -r name; do
        grep -qF "\`\`$name\`\`" "$1" || printf '%s ' "$name"
    done
}

step "names of the code in the guides"
missing=$(cd drivers/net/vhostx && find . -name '*.c' -printf '%P\n' | sort | untold "$top/doc/guides/prog_guide/vhostx_design.rst")
[ -z "$missing" ] || die "the design guide does not tell of $missing"
missing=$(sed -n 's/^\t{ "\([a-z0-9_]*\)", AT(.*/\1/p' drivers/net/vhostx/vhostx_stats.c | untold doc/guides/nics/vhostx.rst)
[ -z "$missing" ] || die "the driver's guide does not tell of the counters $missing"
note "files and counters are all there"

step "guides"
/usr/bin/python3 -m sphinx -W --keep-going -q -b html -d build/doc/doctrees doc/guides build/doc/html
note "built build/doc/html/index.html"
