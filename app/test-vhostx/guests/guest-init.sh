#!/bin/busybox sh
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
#
# shellcheck shell=dash
#
# First process of a test guest. The kernel has the first serial port; the second one takes a command a line,
# with a number before it, and answers with a header (number, exit status, bytes) and what the command printed.

/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs -o size=80% tmp /tmp
while read -r module; do insmod "/modules/$module"; done </modules/list
ip link set lo up

exec </dev/ttyS1 >/dev/ttyS1
stty raw -echo
echo "ready"
while read -r number command; do
    # not this loop's standard input: a command that reads would eat the next one
    sh -c "$command" </dev/null >/tmp/answer 2>&1
    status=$?
    echo "answer $number $status $(stat -c %s /tmp/answer)"
    cat /tmp/answer
done
