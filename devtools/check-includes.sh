#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# The driver's layers: who may include whom, and which file alone makes which system calls.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
take_no_options "$@"
cd "$top"

driver=drivers/net/vhostx
guest=app/test-vhostx/guest
broken=0

report() { # rule, then lines file:line:text on standard input
    local rule=$1 line
    while IFS= read -r line; do
        printf '%s\n    %s\n' "$rule" "$line"
        broken=1
    done
}

files() { # folder: its C files
    [ ! -d "$1" ] || find "$1" -name '*.[ch]' | sort
}

# Lines of the files on standard input that include what the pattern names.
includes() {
    xargs -r grep -nHE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"][^>\"]*($1)" || true
}

# Code without comments and strings, numbered as in the file, of the files on standard input.
code() {
    # shellcheck disable=SC2016 # awk
    xargs -r awk '
        FNR == 1 { comment = 0 }
        {
            line = $0
            gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
            out = ""
            while (line != "") {
                if (comment) {
                    end = index(line, "*/")
                    if (!end) break
                    line = substr(line, end + 2)
                    comment = 0
                } else if (start = match(line, /\/[*\/]/)) {
                    out = out substr(line, 1, start - 1)
                    if (substr(line, start, 2) == "//") break
                    line = substr(line, start + 2)
                    comment = 1
                } else {
                    out = out line
                    break
                }
            }
            print FILENAME ":" FNR ":" out
        }'
}

# Calls of the functions that the pattern names; a struct's member of that name is none.
calls() { grep -E "(^|[^A-Za-z0-9_.>])($1)[[:space:]]*\(" || true; }

all_but() { files "$driver" | grep -vx "$driver/$1" || true; } # a pattern: the files that may

report "mem/ includes neither ring/ nor user/ nor the port" < <(
    files $driver/mem | includes 'ring/|user/|snapshot\.h|vhostx_(ethdev|port|stats|args)|ethdev')
report "ring/ includes nothing of user/, the port or ethdev" < <(
    files $driver/ring | includes 'user/|vhostx_(ethdev|port|stats|args)|ethdev')
report "user/ includes nothing of ring/ but snapshot.h" < <(
    files $driver/user | includes 'ring/' | grep -v 'ring/snapshot\.h"' || true)
report "guest/ includes nothing of the driver" < <(
    files $guest | includes 'vhostx|drivers/|mem/|ring/|user/')
report "only user/sock*.c uses sockets" < <(
    all_but "user/sock[a-z_]*.c" | code |
        calls 'socket|socketpair|bind|listen|accept4?|connect|shutdown|send(to|m?msg)?|recv(from|m?msg)?|[gs]etsockopt')
report "only mem/map.c, mem/unmap.c and mem/view.c map memory" < <(all_but "mem/\(map\|unmap\|view\).c" | code | calls 'mmap|munmap|mremap')
report "only ring/notify.h writes eventfds" < <(all_but ring/notify.h | code | calls 'write|writev|eventfd_write')

[ "$broken" -eq 0 ] && echo "layers: as they should be"
exit "$broken"
