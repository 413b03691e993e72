#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# What quickstart.sh and test.sh share: packages, driver headers, build. --tests, if it comes first, adds what the
# tests alone need; the other options go to meson.
set -euo pipefail
# shellcheck source=devtools/lib.sh
. "$(dirname "$0")/lib.sh"
offer_help "$@"

tests=no
if [ "${1:-}" = --tests ]; then
    tests=yes
    shift
fi

packages=(
    dpdk               # dpdk-pmdinfo.py
    dpdk-dev           # dpdk-testpmd
    libdpdk-dev        # libdpdk, and the drivers that come with it
    dpkg-dev           # dpkg-source, to unpack the driver headers
    gcc libc6-dev
    meson ninja-build
    pkg-config
    python3-pyelftools # PMD info
)
test_packages=(
    libcmocka-dev      # unit tests
    python3-pytest     # end-to-end tests
    python3-sphinx     # guides
    # virtual machines
    qemu-system-x86 busybox-static iperf3 ethtool
    iproute2           # network namespaces
    libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients
    libxml2-utils      # virt-xml-validate
)
[ "$tests" = no ] || packages+=("${test_packages[@]}")

missing_packages() {
    local package
    for package in "${packages[@]}"; do
        case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
            installed) ;;
            *) printf '%s ' "$package" ;;
        esac
    done
}

install_packages() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" </dev/null
}

step "packages"
if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    missing=
    for tool in dpdk-testpmd pkg-config meson ninja cc /usr/bin/python3; do
        command -v "$tool" >/dev/null || missing+="$tool "
    done
    pkg-config --exists libdpdk 2>/dev/null || missing+="libdpdk (with its headers) "
    [ -z "$missing" ] ||
        die "this machine has no apt; install these first: $missing" \
            "(also cmocka, and pyelftools and pytest for /usr/bin/python3)"
else
    missing=$(missing_packages)
    if [ -n "$missing" ] && [ "$(id -u)" -ne 0 ]; then
        printf 'Missing packages: %s\nInstall them as root, then run this again:\n' "$missing" >&2
        printf '    apt-get update\n    apt-get install --no-install-recommends %s\n' "$missing" >&2
        exit 1
    elif [ -n "$missing" ]; then
        note "installing: $missing"
        log=$(mktemp)
        trap 'rm -f "$log"' EXIT
        # shellcheck disable=SC2086 # a list of words
        install_packages $missing >"$log" 2>&1 || {
            note "not with the package lists as they are: apt-get update, once more"
            { apt-get -q update </dev/null && install_packages $missing; } >"$log" 2>&1 || {
                cat "$log" >&2
                die "apt-get could not install: $missing"
            }
        }
    else
        note "all there"
    fi
fi

fetch=yes
for option in "$@"; do
    case $option in -Ddpdk_source=?*) fetch=no ;; esac
done
if [ "$fetch" = yes ]; then
    # shellcheck disable=SC2046 # several flags
    if echo '#include <bus_vdev_driver.h>' | cc $(pkg-config --cflags libdpdk) -E - >/dev/null 2>&1; then
        step "driver headers: libdpdk has them"
    else
        "$top/devtools/get-dpdk-source.sh"
    fi
fi

# The tests with virtual machines are skipped where there is no kernel for them.
[ "$tests" = no ] || "$top/devtools/get-guest-kernel.sh" || note "going on without"

step "build"
cd "$top"
log=build/setup.log
mkdir -p build
if [ -f build/build.ninja ]; then
    meson setup --reconfigure build "$@" >"$log" 2>&1 </dev/null
else
    meson setup build "$@" >"$log" 2>&1 </dev/null
fi || {
    cat "$log" >&2
    die "meson setup failed"
}
grep -E 'WARNING' "$log" | sed 's/^/    /' || true
ninja -C build </dev/null >>"$log" 2>&1 || {
    cat "$log" >&2
    die "the build failed"
}
sed -n 's/^.*warning: /    &/p' "$log"
note "built build/drivers/librte_net_vhostx.so"
