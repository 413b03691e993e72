#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# More ports than the distribution's DPDK has: builds a DPDK with room for them, the driver inside it, and lets one
# testpmd serve a front-end on each of 500 ports (or as many as the first option says). The build, some minutes and
# 200 MB, stays in .deps for the next time.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

ports=${1:-500}
[[ $ports =~ ^[0-9]+$ && $ports -ge 1 && $ports -le 1000 ]] || die "$ports: not a number of ports from 1 to 1000"
version=$(dpdk_version)
source=$(dpdk_source_dir "$version")
[ -f "$source/VERSION" ] || die "no DPDK source in $source; run devtools/get-dpdk-source.sh"
tree=$top/.deps/dpdk-$version-many-ports
mkdir -p "$tree"
! path_is_world_writable "$tree" || die "$top: below a world-writable folder, where the EAL loads no drivers from"

if [ ! -f "$tree/build/build.ninja" ]; then
    step "DPDK $version with room for 1024 ports"
    rm -rf "$tree"
    mkdir -p "$tree"
    cp -rs "$source/." "$tree" # a farm of symbolic links
    list=$tree/drivers/net/meson.build
    cp --remove-destination "$source/drivers/net/meson.build" "$list"
    sed -i "s/^\( *\)'vhost',/&\n\1'vhostx',/" "$list"
    ln -s "$top/drivers/net/vhostx" "$tree/drivers/net/vhostx"
    (cd "$tree" && meson setup build --default-library=shared -Dplatform=generic -Dmax_ethports=1024 -Dtests=false -Denable_docs=false \
        -Denable_apps=test-pmd -Denable_drivers=bus/vdev,mempool/ring,net/vhostx >setup.log 2>&1 </dev/null) || {
        tail -n 30 "$tree/setup.log"
        rm -rf "$tree/build"
        die "DPDK does not configure"
    }
fi
step "build"
abi=$(cat "$source/ABI_VERSION")
ninja -C "$tree/build" app/dpdk-testpmd drivers/librte_{bus_vdev,mempool_ring,net_vhostx}.so."$abi" \
    >"$tree/build.log" 2>&1 </dev/null || { tail -n 40 "$tree/build.log"; die "DPDK does not build"; }

testpmd=$tree/build/testpmd
printf '#!/bin/sh\nexec %q -d %q "$@"\n' "$tree/build/app/dpdk-testpmd" "$tree/build/drivers" >"$testpmd"
chmod +x "$testpmd"
step "$ports ports"
VHOSTX_PORTS=$ports VHOSTX_TESTPMD=$testpmd PYTHONDONTWRITEBYTECODE=1 \
    VHOSTX_PLUGIN=$tree/build/drivers/librte_net_vhostx.so \
    /usr/bin/python3 -m pytest -q -s "$top/app/test-vhostx/e2e/test_all_ports.py"
