# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan vhost_dequeue_zero_copy, which left DTS with the feature in 20.11.

The plan's traffic generator and NIC are a pcap port here, its virtual machine
with the virtio PMD is virtio-user, and 16 queues are 8, which is all that
virtio-user has. The plan lends packets of every size; so does zc-threshold=0.
Where it compares rates with dequeue-zero-copy=0, here every byte is compared,
with and without; the rates are the benchmark's.
"""

import pytest

from pcap import assert_same_frames, make_frames
from plans import FRAME_SIZES
from rig import ContentRig, VHOST_PORT, ready_virtio
from testpmd import wait_until

pytestmark = pytest.mark.vhostx_only

LEND = {"dequeue-zero-copy": 1, "zc-threshold": 0}
COPY = {"dequeue-zero-copy": 0}
CLIENT = {"client": 1}
SERVER = {"server": 1}  # with in_order=0, as every path without it has
TXFREET = ["--txfreet=992"]
COUNT = 2000
# What is not longer than what is copied of every packet is not lent.
HEADER = 128


def launch_vhost(rig, devargs, queues=1, args=TXFREET):
    """The vhost end between pcap files, and the number of its mbufs."""
    vhost = ContentRig(rig, queues=queues, devargs=devargs, args=[*args])
    return vhost, vhost.pmd.free_mbufs()


def launch_virtio(rig, path, queues=1, ring=1024, **devargs):
    """The virtio end, which forwards."""
    virtio = ready_virtio(rig.begin_virtio(path, queues=queues, ring=ring, devargs=devargs), path)
    virtio.set_patient()
    virtio.start()
    return virtio


def send_every_size(vhost, queues, lends=True):
    """Frames of each of the plan's sizes come back on each queue, in the way that they should."""
    vhost.pmd.wait_link(up=True)
    for size in FRAME_SIZES:
        vhost.pmd.command(f"clear port xstats {VHOST_PORT}")
        streams = [make_frames([size] * COUNT, size + q) for q in range(queues)]
        for sent, received in zip(streams, vhost.exchange(streams)):
            assert_same_frames(sent, received)
        counts = vhost.pmd.xstats(VHOST_PORT)
        for q in range(queues):
            assert counts[f"rx_q{q}_good_packets"] == COUNT
            assert counts[f"rx_q{q}_zc_packets"] == (COUNT if lends and size > HEADER else 0)


def assert_all_back(vhost, whole):
    """Nothing is out, no mbuf is lost."""
    wait_until(lambda: vhost.pmd.xstats(VHOST_PORT)["zc_outstanding"] == 0, 5, "all is back")
    assert vhost.pmd.free_mbufs() == whole


def run_pvp(rig, path, queues=1, ring=1024):
    """Cases 1, 2, 6 and 7: all sizes, with zero-copy and without."""
    for devargs in (LEND, COPY):
        vhost, whole = launch_vhost(rig, devargs, queues)
        virtio = launch_virtio(rig, path, queues, ring)
        send_every_size(vhost, queues, lends=devargs is LEND)
        assert_all_back(vhost, whole)
        virtio.quit()
        vhost.pmd.quit()


def run_server(rig, path, ring=1024):
    """Cases 5 and 9: the same with virtio-user as the server."""
    for devargs in (LEND, COPY):
        vhost, whole = launch_vhost(rig, {**devargs, **CLIENT})
        virtio = launch_virtio(rig, path, ring=ring, **SERVER)
        send_every_size(vhost, 1, lends=devargs is LEND)
        assert_all_back(vhost, whole)
        virtio.quit()
        vhost.pmd.quit()


def run_reload(rig, path, queues):
    """Cases 3 and 8: the guest's driver is loaded again, after packets that went nowhere."""
    vhost, whole = launch_vhost(rig, {**LEND, **CLIENT}, queues)
    virtio = ready_virtio(rig.begin_virtio(path, queues=queues, devargs=SERVER), path)
    virtio.set_fwd("rxonly")
    virtio.start()
    vhost.pmd.wait_link(up=True)
    vhost.leave_pcap_out()
    vhost.pmd.set_fwd("txonly")
    vhost.pmd.start()
    virtio.wait_growth(0)
    vhost.pmd.stop()
    virtio.quit()
    vhost.pmd.wait_link(up=False)
    launch_virtio(rig, path, queues, **SERVER)
    send_every_size(vhost, queues)
    assert_all_back(vhost, whole)


def test_pvp_split_ring_dequeue_zero_copy(rig):
    """Test case 1."""
    run_pvp(rig, "split-mergeable")


def test_pvp_split_ring_dequeue_zero_copy_with_2_queues(rig):
    """Test case 2."""
    run_pvp(rig, "split-mergeable", queues=2)


def test_pvp_split_ring_dequeue_zero_copy_with_driver_reload(rig):
    """Test case 3."""
    run_reload(rig, "split-mergeable", queues=8)


def test_pvp_split_ring_dequeue_zero_copy_with_maximum_txfreet(rig):
    """Test case 4: as many descriptors as the plan has, all but four of them kept before any is freed."""
    args = ["--txfreet=988", "--txrs=4", "--txd=992", "--rxd=992"]
    vhost, whole = launch_vhost(rig, {**LEND, **CLIENT}, 8, args)
    launch_virtio(rig, "split-mergeable", 8, **SERVER)
    send_every_size(vhost, 8)
    assert_all_back(vhost, whole)


def test_pvp_split_ring_dequeue_zero_copy_with_vector_rx_path(rig):
    """Test case 5."""
    run_server(rig, "split-vectorised")


def test_pvp_packed_ring_dequeue_zero_copy(rig):
    """Test case 6."""
    run_pvp(rig, "packed-mergeable")


def test_pvp_packed_ring_dequeue_zero_copy_with_2_queues(rig):
    """Test case 7."""
    run_pvp(rig, "packed-mergeable", queues=2)


def test_pvp_packed_ring_dequeue_zero_copy_with_driver_reload(rig):
    """Test case 8."""
    run_reload(rig, "packed-mergeable", queues=8)


def test_pvp_packed_ring_dequeue_zero_copy_with_ring_size_not_power_of_2(rig):
    """Test case 9."""
    run_server(rig, "packed-mergeable", ring=1025)
