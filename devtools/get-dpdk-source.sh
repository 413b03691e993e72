#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Fetches the distribution's source package of the installed libdpdk-dev into .deps/dpdk-<version>, for the
# driver headers that libdpdk-dev leaves out. The machine's apt configuration is read, not changed.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
take_no_options "$@"

version=$(dpdk_version) || die "libdpdk is not installed (apt-get install libdpdk-dev)"
target=$(dpdk_source_dir "$version")
if [ -f "$target/VERSION" ]; then
    step "DPDK $version source: already in ${target#"$top"/}"
    exit 0
fi

for tool in apt-get dpkg-query dpkg-source; do
    command -v "$tool" >/dev/null ||
        die "$tool is missing; unpack the source of DPDK $version yourself and use meson's -Ddpdk_source=DIR"
done
package=$(dpkg-query -W -f '${source:Version}' libdpdk-dev 2>/dev/null) || package=
case $package in
    "$version"[-+~]* | *:"$version"[-+~]*) ;;
    *) die "libdpdk $version of pkg-config is not the distribution's (libdpdk-dev ${package:-not installed});" \
        "give its source tree with meson's -Ddpdk_source=DIR" ;;
esac

step "DPDK $version source: fetching source package dpdk=$package"
mkdir -p "$top/.deps"
tmp=$(mktemp -d "$top/.deps/fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# The same sources as the machine has, as deb-src, in places of our own. Those that have libdpdk-dev, when that can be
# told: a third party's repository need not be asked.
mkdir -p "$tmp/lists/partial" "$tmp/cache/archives/partial"
eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
uris=$(apt-cache madison libdpdk-dev | awk -F ' [|] ' '{ split($3, f, " "); print f[1] }' | sort -u)

as_deb_src() { # from to: if the file is there and has one of the URIs of $wanted (any file, if that is empty)
    [ -f "$1" ] || return 0
    [ -z "$wanted" ] || grep -qF -e "$wanted" "$1" || return 0
    sed -E -e 's/^Types:.*/Types: deb-src/' -e '/^[[:space:]]*deb-src[[:space:]]/d' \
        -e 's/^[[:space:]]*deb([[:space:]])/deb-src\1/' "$1" >"$2"
}
for wanted in "$uris" ""; do
    rm -rf "$tmp/main.list" "$tmp/parts"
    mkdir "$tmp/parts"
    as_deb_src "${list:-}" "$tmp/main.list"
    for file in "${parts:-}"/*.list "${parts:-}"/*.sources; do
        as_deb_src "$file" "$tmp/parts/$(basename "$file")"
    done
    [ -z "$(find "$tmp/main.list" "$tmp/parts" -type f 2>/dev/null)" ] || break
done
[ -f "$tmp/main.list" ] || touch "$tmp/main.list"

private_apt=(
    -o "Dir::Etc::sourcelist=$tmp/main.list" -o "Dir::Etc::sourceparts=$tmp/parts"
    -o "Dir::State::Lists=$tmp/lists" -o "Dir::Cache=$tmp/cache"
    -o "APT::Sandbox::User=" -o "Acquire::Retries=2" -q
)
cd "$tmp"
apt-get "${private_apt[@]}" update </dev/null >"$tmp/log" 2>&1 ||
    note "some package sources could not be read"
apt-get "${private_apt[@]}" source --download-only --only-source "dpdk=$package" </dev/null >>"$tmp/log" 2>&1 || {
    cat "$tmp/log" >&2
    die "the package sources have no dpdk $package; bring libdpdk-dev up to date (apt-get update," \
        "apt-get install dpdk libdpdk-dev), or use meson's -Ddpdk_source=DIR"
}
note "unpacking"
dpkg-source -x ./dpdk_*.dsc unpacked >>"$tmp/log" 2>&1 || {
    cat "$tmp/log" >&2
    die "the source package does not unpack"
}
found=$(cat unpacked/VERSION)
[ "$found" = "$version" ] || die "the source package dpdk=$package holds DPDK $found, not $version"
mv unpacked "$target"
note "now in ${target#"$top"/}"
