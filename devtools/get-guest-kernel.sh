#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# Fetches a Linux kernel for the tests' virtual machines into .deps/guest-linux: Debian's cloud kernel and its
# virtio-net modules, out of the package, which is not installed. Needs no root if the package lists are fresh.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
take_no_options "$@"

meta=linux-image-cloud-amd64
modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci failover net_failover virtio_net)
target=$(guest_kernel_dir)

if [ -f "$target/release" ]; then
    step "guest kernel: $(cat "$target/release") already in ${target#"$top"/}"
    exit 0
fi
[ "$(uname -m)" = x86_64 ] || die "no guest kernel: the guest tests are for x86-64"
for tool in apt-get apt-cache dpkg-deb; do
    command -v "$tool" >/dev/null || die "no guest kernel: $tool is missing"
done

mkdir -p "$top/.deps"
tmp=$(mktemp -d "$top/.deps/guest-linux.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"

download() {
    package=$(apt-cache depends "$meta" 2>/dev/null | awk '$1 == "Depends:" && /linux-image/ { print $2; exit }')
    [ -n "$package" ] || {
        echo "the package lists have no $meta"
        return 1
    }
    apt-get -q -o APT::Sandbox::User= download "$package" </dev/null
}

step "guest kernel: fetching Debian's cloud kernel"
download >log 2>&1 ||
    { [ "$(id -u)" -eq 0 ] && apt-get -q update </dev/null >>log 2>&1 && download >>log 2>&1; } || {
    cat log >&2
    die "no guest kernel: $meta cannot be downloaded; run apt-get update as root, then this again"
}
release=${package#linux-image-}
mkdir unpacked kernel
dpkg-deb --fsys-tarfile ./"$package"_*.deb | tar -x -C unpacked
cp "unpacked/boot/vmlinuz-$release" kernel/vmlinuz
for module in "${modules[@]}"; do
    found=$(find unpacked -name "$module.ko" -type f)
    # a kernel may have it built in
    [ -z "$found" ] || {
        cp "$found" kernel/
        echo "$module.ko" >>kernel/modules
    }
done
echo "$release" >kernel/release
rm -rf "$target"
mv kernel "$target"
note "$release is now in ${target#"$top"/}"
