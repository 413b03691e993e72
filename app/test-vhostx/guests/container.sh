#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# container.sh FOLDER COMMAND...: runs the command in a container that shares nothing with the host but FOLDER,
# which it sees as /run/vhost. Programs and libraries are the host's, read-only. The network namespace is that
# of the caller.
set -eu
if [ "$1" != --inside ]; then
    exec unshare --mount --uts --ipc --pid --fork --kill-child "$0" --inside "$@"
fi
folder=$2
shift 2

mount --make-rprivate /
exec 3<"$folder"
mount -t tmpfs -o mode=755 container /run
root=/run/root
mkdir -p $root/usr $root/proc $root/sys $root/dev/net $root/tmp $root/run/vhost $root/host
mount --bind /proc/self/fd/3 $root/run/vhost
exec 3<&-
mount --bind /usr $root/usr
mount -o remount,bind,ro $root/usr
for link in bin sbin lib lib64; do ln -s usr/$link $root/$link; done
mount -t proc proc $root/proc
mount -t sysfs -o ro sys $root/sys
for device in null zero random urandom tty net/tun; do
    [ ! -e /dev/$device ] || { : >$root/dev/$device && mount --bind /dev/$device $root/dev/$device; }
done
mount --rbind $root $root
cd $root
pivot_root . host
umount -l /host
rmdir /host
export RUNTIME_DIRECTORY=/run
exec "$@"
