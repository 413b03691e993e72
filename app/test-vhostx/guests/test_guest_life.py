# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Guests reboot, lose their driver and are killed under traffic, and come back.

With the port as the server of the socket and as its client. All the time the
other guest goes on sending to the one that is away.
"""

import contextlib

import pytest

import net
from net import End

MAC = "52:54:00:00:00:02"
SENDERS = 4


@pytest.fixture(name="ends")
def _ends(mode_rig):
    """Two guests that reach each other; started again if the last test broke them."""
    rig = mode_rig
    if not rig.guests:
        rig.guest(0)
        rig.guest(1, "--mac", MAC)
    elif rig.failed:
        for guest in rig.guests:
            guest.kill()
            guest.start()
    else:
        return rig.ends
    rig.ends = [End(guest.wait_boot(), number + 1).configure()
                for number, guest in enumerate(rig.guests)]
    one, two = rig.ends
    # so that the first goes on sending when the second is away
    one.host.run(f"arp -s {two.v4} {MAC}")
    one.reach(two)
    return rig.ends


@contextlib.contextmanager
def traffic(one, two):
    """Packets in both directions at the beginning, and towards the second until the end."""
    for _ in range(SENDERS):
        one.host.run(f"ping -q -i 0.002 -s 1400 {two.v4} >/dev/null 2>&1 &")
    net.serve(one)
    two.host.spawn(f"iperf3 -c {one.v4} -t 60")
    try:
        yield
    finally:
        one.host.attempt("killall ping iperf3")


def assert_works(one, two):
    """What follows must be as if nothing had happened."""
    one.reach(two)
    two.ping(one)
    net.assert_file_arrives(two, one)
    net.assert_file_arrives(one, two)
    for end in (one, two):
        end.assert_checksums_right()


# Not a plain "reboot -f": Linux 6.1.192 breaks its virtio devices while it shuts down, and a poll of a
# broken queue that holds used buffers never ends there. That is so with any back-end.
REBOOTS = ["echo b >/proc/sysrq-trigger", "ip link set eth0 down; reboot -f"]


def test_guest_reboots(mode_rig, ends, request):
    """The second guest is reset: by a server's without a word to its driver, by a client's with one."""
    one, two = ends
    with traffic(one, two):
        mode_rig.pmd.wait_growth(0, by=2000)
        two.host.send(REBOOTS["client" in request.node.name])
        two.host.wait_boot(2)
        two.configure()
        one.reach(two)
    assert_works(one, two)


@pytest.mark.parametrize("mode_rig", ["server"], indirect=True)
def test_guest_driver_unbinds(mode_rig, ends):
    """The second guest's driver is taken from its device and given back."""
    one, two = ends
    driver = "/sys/bus/virtio/drivers/virtio_net"
    with traffic(one, two):
        for _ in range(3):
            mode_rig.pmd.wait_growth(1, ("tx_packets",), by=500)
            two.host.run(f"echo virtio0 >{driver}/unbind")
            mode_rig.pmd.wait_link(up=False, port=1)
            two.host.run(f"echo virtio0 >{driver}/bind")
            two.configure()
            one.reach(two)
    assert_works(one, two)


@pytest.mark.parametrize("mode_rig", ["client"], indirect=True)
def test_qemu_is_killed(mode_rig, ends):
    """QEMU dies in the middle of everything and is started again."""
    one, two = ends
    with traffic(one, two):
        mode_rig.pmd.wait_growth(0, by=2000)
        two.host.kill()
        mode_rig.pmd.wait_link(up=False, port=1)
        two.host.start().wait_boot()
        two.configure()
        one.reach(two)
    assert_works(one, two)
