# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
# shellcheck shell=bash
#
# Sourced by the scripts of this folder: messages, and the paths that they share.

# Debian's Python modules and tools belong to /usr/bin, whatever else comes first on PATH.
export PATH="/usr/bin:/bin:/usr/sbin:/sbin:$PATH"
export LC_ALL=C.UTF-8

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

step() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Given the options of the script: if one is --help, print what its heading says, and end.
offer_help() {
    case " $* " in
        *" --help "*) ;;
        *) return 0 ;;
    esac
    awk 'NR > 4 && !/^#/ { exit } NR > 4 { sub(/^# ?/, ""); print }' "$0"
    exit 0
}

# The same for a script without any other option.
take_no_options() {
    offer_help "$@"
    [ "$#" -eq 0 ] || die "$1: ${0##*/} takes no options"
}

# Version of the libdpdk that pkg-config finds.
dpdk_version() { pkg-config --modversion libdpdk; }

# Where get-dpdk-source.sh puts the source of DPDK version $1.
dpdk_source_dir() { printf '%s/.deps/dpdk-%s\n' "$top" "$1"; }

# Where get-guest-kernel.sh puts the kernel of the tests' virtual machines.
guest_kernel_dir() { printf '%s/.deps/guest-linux\n' "$top"; }

# Does a folder of path $1 (made absolute, links followed) let everybody write? The EAL refuses plugins there.
path_is_world_writable() {
    local dir
    dir=$(realpath "$1")
    while [ "$dir" != / ]; do
        dir=$(dirname "$dir")
        [ -z "$(find "$dir" -maxdepth 0 -perm -o+w)" ] || return 0
    done
    return 1
}

# Print a new private folder, on a path that the EAL accepts plugins from.
private_dir() {
    local base
    for base in "${XDG_RUNTIME_DIR:-}" /run "${HOME:-/}/.cache"; do
        if [ -z "$base" ] || [ ! -w "$base" ] || path_is_world_writable "$base/x"; then
            continue
        fi
        mktemp -d "$base/net_vhostx.XXXXXX"
        return 0
    done
    die "no folder to copy the plugin to: the EAL refuses plugins below a world-writable folder;" \
        "move the checkout, or make ${HOME:-/}/.cache"
}

# Set plugin to a path of the built plugin that the EAL accepts. If that takes a copy, plugin_copy is its folder,
# which the caller removes; otherwise it is empty.
find_plugin() {
    plugin=$top/build/drivers/librte_net_vhostx.so
    plugin_copy=
    [ -f "$plugin" ] || die "the plugin is not built; run devtools/setup.sh"
    path_is_world_writable "$plugin" || return 0
    plugin_copy=$(private_dir)
    cp -L "$plugin" "$plugin_copy/"
    plugin=$plugin_copy/librte_net_vhostx.so
    note "plugin copied to $plugin_copy: the EAL refuses one below a world-writable folder"
}

# CPUs this process may use, one a line, in order.
allowed_cpus() {
    local range
    awk '/^Cpus_allowed_list:/ { gsub(",", "\n", $2); print $2 }' /proc/self/status |
        while IFS= read -r range; do seq "${range%-*}" "${range#*-}"; done
}

# Free 2 MB hugepages.
free_hugepages() {
    cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages 2>/dev/null || echo 0
}
