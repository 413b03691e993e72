#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Is drivers/net/vhostx a driver that the DPDK tree can take as it stands? Grafts it into a copy of the fetched
# DPDK source, configures that and builds the driver there.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

version=$(dpdk_version)
source=${1:-$(dpdk_source_dir "$version")}
[ -f "$source/VERSION" ] || die "no DPDK source in $source; run devtools/get-dpdk-source.sh"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

step "graft: drivers/net/vhostx into DPDK $(cat "$source/VERSION")"
cp -rs "$source" "$tmp/dpdk" # a farm of symbolic links
cp -r "$top/drivers/net/vhostx" "$tmp/dpdk/drivers/net/vhostx"
list=$tmp/dpdk/drivers/net/meson.build
cp --remove-destination "$source/drivers/net/meson.build" "$list"
sed -i "s/^\( *\)'vhost',/&\n\1'vhostx',/" "$list"
grep -q "'vhostx'," "$list" || die "drivers/net/meson.build has another form than expected"

cd "$tmp/dpdk"
meson setup build -Dplatform=generic -Doptimization=0 -Dtests=false -Denable_drivers=net/vhostx -Ddisable_apps='*' -Denable_docs=false \
    >setup.log 2>&1 </dev/null || { tail -n 30 setup.log; die "DPDK does not configure with net/vhostx in it"; }
drivers=$(sed -n '/^Drivers Enabled/,/^Drivers Disabled/p' setup.log)
grep -qw vhostx <<<"$drivers" || { echo "$drivers"; grep vhostx setup.log; die "net/vhostx is not enabled"; }
note "enabled"

ninja -C build "drivers/librte_net_vhostx.so.$(cat ABI_VERSION)" >build.log 2>&1 </dev/null ||
    { tail -n 40 build.log; die "net/vhostx does not build inside the DPDK tree"; }
if grep -A 8 'net/vhostx/.*warning:' build.log; then
    die "warnings in net/vhostx inside the DPDK tree"
fi
note "builds without a warning"
