# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan vhost_virtio_user_interrupt: the vhost port wakes virtio-user's lcore.

Link events between the two ends are checked in both directions. Cases 2 and 5
are about the kernel's vhost-net.
"""

from rig import vdev
from sleeper import assert_wakes_with_traffic


def run_wake(rig, sleeper, **devargs):
    """Cases 1 and 4: packets of the vhost end, which stand for a NIC's."""
    vhost = rig.vhost()
    virtio = sleeper(vdev("net_virtio_user0", path=rig.socket, **devargs), look=True)
    assert_wakes_with_traffic(virtio, vhost)


def run_link(rig, path):
    """Cases 3 and 6: either end quits, and the other one's link is down."""
    vhost = rig.vhost()
    for _ in range(2):
        mark = len(vhost.log)
        virtio = rig.virtio(path)
        virtio.wait_link(up=True)
        vhost.wait_link(up=True)
        vhost.wait_log("Port 0: link state change event", start=mark)
        mark = len(vhost.log)
        virtio.quit()
        vhost.wait_link(up=False)
        vhost.wait_log("Port 0: link state change event", start=mark)
    virtio = rig.virtio(path)
    virtio.wait_link(up=True)
    vhost.quit()
    virtio.wait_link(up=False)


def test_split_ring_virtio_user_interrupt_with_vhost_user_as_backed(rig, sleeper):
    """Test case 1."""
    run_wake(rig, sleeper)


def test_lsc_event_between_vhost_user_and_virtio_user_with_split_ring(rig):
    """Test case 3."""
    run_link(rig, "split-mergeable")


def test_packed_ring_virtio_user_interrupt_with_vhost_user_as_backed(rig, sleeper):
    """Test case 4."""
    run_wake(rig, sleeper, packed_vq=1)


def test_lsc_event_between_vhost_user_and_virtio_user_with_packed_ring(rig):
    """Test case 6."""
    run_link(rig, "packed-mergeable")
