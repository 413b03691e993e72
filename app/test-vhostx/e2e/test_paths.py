# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Every ring path carries every byte, both ways, in order, and loses nothing."""

import pytest

from rig import MERGEABLE_PATHS, RING_PATHS, ContentRig, VHOST_PORT

JUMBO = ["--max-pkt-len=9600"]
MULTI_SEGS = ["--tx-offloads=0x8000", "--enable-scatter"]


@pytest.mark.parametrize("path", RING_PATHS)
def test_one_queue_mixed_sizes(rig, path):
    """64 to 1518 bytes come back unchanged over several turns of the ring."""
    vhost = ContentRig(rig)
    rig.echo(path)
    vhost.pmd.wait_link(up=True)
    vhost.check(count=4000)


@pytest.mark.parametrize("queues", [2, 8])
@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
def test_queues_keep_their_streams(rig, path, queues):
    """Each queue pair carries its own stream and no other's."""
    vhost = ContentRig(rig, queues=queues)
    rig.echo(path, queues=queues)
    vhost.check(count=2000)


@pytest.mark.parametrize("path", MERGEABLE_PATHS)
def test_jumbo_frames(rig, path):
    """9000 bytes go as several segments through several buffers, both ways."""
    vhost = ContentRig(rig, args=JUMBO)
    rig.echo(path, args=[*JUMBO, *MULTI_SEGS])
    vhost.check(count=1200, low=64, high=9000)


@pytest.mark.parametrize("path", MERGEABLE_PATHS)
def test_small_buffers(rig, path):
    """A frame of ordinary size in many small segments on both sides."""
    small = ["--mbuf-size=384"]
    vhost = ContentRig(rig, args=small)
    rig.echo(path, args=[*small, *MULTI_SEGS])
    vhost.check(count=1500)


@pytest.mark.parametrize("ring", [256, 1025])
def test_packed_ring_sizes(rig, ring):
    """A packed ring may have any size, powers of two or not."""
    vhost = ContentRig(rig)
    rig.echo("packed-mergeable", ring=ring)
    vhost.check(count=3000)


def test_small_split_ring(rig):
    """A ring of 256 turns a dozen times."""
    vhost = ContentRig(rig)
    rig.echo("split-mergeable", ring=256)
    vhost.check(count=3000)


@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
def test_no_mbuf_is_lost(rig, path):
    """The pool is whole after traffic, and after the peer and the port went."""
    vhost = ContentRig(rig)
    pmd = vhost.pmd
    whole = pmd.free_mbufs()
    assert whole == pmd.pool_size()
    virtio = rig.echo(path)
    vhost.check()
    assert pmd.free_mbufs() == whole
    virtio.quit()
    pmd.wait_link(up=False)
    pmd.port_stop(VHOST_PORT)
    assert pmd.free_mbufs() == whole


def test_without_hugepages(rig):
    """Both ends on ordinary pages, whatever the machine has."""
    vhost = ContentRig(rig, hugepages=False)
    rig.echo("split-mergeable", hugepages=False)
    vhost.check()
