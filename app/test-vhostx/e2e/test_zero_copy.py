# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Ports with dequeue-zero-copy=1 and virtio-user: every byte, and no mbuf that is not given back."""

import pytest

from rig import MERGEABLE_PATHS, RING_PATHS, ContentRig, VHOST_PORT, ready_virtio
from testpmd import wait_until

pytestmark = pytest.mark.vhostx_only

LEND = {"dequeue-zero-copy": 1, "zc-threshold": 256}
JUMBO = ["--max-pkt-len=9600"]
MULTI_SEGS = ["--tx-offloads=0x8000", "--enable-scatter"]
# A zero-copy port does not offer IN_ORDER: what virtio-user does that asked for it.
FALLS_BACK = {
    "split-in-order": "split-mergeable",
    "split-in-order-non-mergeable": "split-non-mergeable",
    "packed-in-order": "packed-mergeable",
    "packed-in-order-non-mergeable": "packed-non-mergeable",
    "packed-vectorised": "packed-non-mergeable",
}


def echo(rig, path, **options):
    """As rig.echo(), on the path that is left without IN_ORDER."""
    pmd = ready_virtio(rig.begin_virtio(path, **options), FALLS_BACK.get(path, path))
    pmd.set_patient()
    pmd.start()
    return pmd


def lent(pmd):
    """Packets that the vhost port has lent."""
    return pmd.xstats(VHOST_PORT)["rx_q0_zc_packets"]


def assert_all_back(pmd, whole):
    """No buffer is out, and the pool has what it had."""
    assert pmd.xstats(VHOST_PORT)["zc_outstanding"] == 0
    assert pmd.free_mbufs() == whole


@pytest.mark.parametrize("path", RING_PATHS)
def test_every_path(rig, path):
    """Contents on every path; what is long is lent, what is short is copied."""
    vhost = ContentRig(rig, devargs=LEND)
    whole = vhost.pmd.free_mbufs()
    echo(rig, path)
    vhost.pmd.wait_link(up=True)
    vhost.check(count=4000)
    counts = vhost.pmd.xstats(VHOST_PORT)
    assert counts["rx_q0_zc_copied_short"] > 100
    assert counts["rx_q0_zc_packets"] > 3000
    assert counts["rx_q0_zc_packets"] + counts["rx_q0_zc_copied_short"] == counts["rx_good_packets"]
    assert_all_back(vhost.pmd, whole)


@pytest.mark.parametrize("path", MERGEABLE_PATHS)
def test_jumbo_frames(rig, path):
    """A chain of several buffers is as many segments."""
    vhost = ContentRig(rig, args=JUMBO, devargs=LEND)
    whole = vhost.pmd.free_mbufs()
    echo(rig, path, args=[*JUMBO, *MULTI_SEGS])
    vhost.check(count=1200, low=64, high=9000)
    assert lent(vhost.pmd) > 1000
    assert_all_back(vhost.pmd, whole)


@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
def test_small_buffers(rig, path):
    """A frame in many small buffers of the guest, and small mbufs of the host."""
    small = ["--mbuf-size=384"]
    vhost = ContentRig(rig, args=small, devargs=LEND)
    whole = vhost.pmd.free_mbufs()
    echo(rig, path, args=[*small, *MULTI_SEGS])
    vhost.check(count=1500)
    assert lent(vhost.pmd) > 1000
    assert_all_back(vhost.pmd, whole)


@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
def test_one_segment(rig, path):
    """With linear-buffer=1 all of a packet is in the guest's memory."""
    vhost = ContentRig(rig, devargs={**LEND, "linear-buffer": 1})
    whole = vhost.pmd.free_mbufs()
    echo(rig, path)
    vhost.check(count=3000)
    assert lent(vhost.pmd) > 2000
    assert_all_back(vhost.pmd, whole)


@pytest.mark.parametrize("ring", [256, 1025])
def test_packed_ring_sizes(rig, ring):
    """A packed ring may have any size; some of its ids are in no whole group."""
    vhost = ContentRig(rig, devargs=LEND)
    echo(rig, "packed-mergeable", ring=ring)
    vhost.check(count=3000)
    assert lent(vhost.pmd) > 2000


@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
def test_eight_queues(rig, path):
    """Each queue has a table of its own."""
    vhost = ContentRig(rig, queues=8, devargs=LEND)
    whole = vhost.pmd.free_mbufs()
    echo(rig, path, queues=8)
    vhost.check(count=1000)
    counts = vhost.pmd.xstats(VHOST_PORT)
    assert all(counts[f"rx_q{q}_zc_packets"] > 500 for q in range(8))
    assert_all_back(vhost.pmd, whole)


@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
@pytest.mark.parametrize("end", ["quit", "kill"])
def test_guest_ends_under_traffic(rig, path, end):
    """Large frames are in every stage of their way when the guest goes, and the next one comes."""
    vhost = ContentRig(rig, devargs=LEND)
    whole = vhost.pmd.free_mbufs()
    vhost.leave_pcap_out()
    vhost.pmd.set_fwd("io")
    vhost.pmd.start()
    for _ in range(3):
        virtio = ready_virtio(rig.begin_virtio(path), path)
        virtio.set_fwd("io")
        virtio.set_txpkts(1500)
        vhost.pmd.wait_link(up=True)
        virtio.start(tx_first=16)
        before = lent(vhost.pmd)
        wait_until(lambda: lent(vhost.pmd) > before + 20000, 20, "20000 packets are lent")
        getattr(virtio, end)()
        vhost.pmd.wait_link(up=False)
        wait_until(lambda: vhost.pmd.xstats(VHOST_PORT)["zc_outstanding"] == 0, 5, "all is back")
    vhost.pmd.stop()
    assert_all_back(vhost.pmd, whole)
    echo(rig, path)
    vhost.check(count=1000)


@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
def test_port_restarts_under_traffic(rig, path):
    """The guest goes on sending while the port stops and starts: nothing is lost of either."""
    vhost = ContentRig(rig, devargs=LEND)
    whole = vhost.pmd.free_mbufs()
    virtio = echo(rig, path)
    for seed in range(3):
        vhost.check(count=1000, seed=seed)
        vhost.pmd.port_stop(VHOST_PORT)
        assert_all_back(vhost.pmd, whole)
        vhost.pmd.port_start(VHOST_PORT)
    virtio.quit()
    vhost.pmd.wait_link(up=False)
    assert_all_back(vhost.pmd, whole)
