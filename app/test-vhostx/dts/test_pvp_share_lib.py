# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan pvp_share_lib: drivers are shared libraries that -d loads.

The plan's cases differ in the NIC that the packets come from. There is none
here: the packets come from tx_first, from the guest, and from the host instead.
"""

import ctypes.util

from plans import assert_throughput, begin

MEMPOOL = "rte_mempool_ring"


def load(*libraries):
    """-d options for the distribution's libraries."""
    names = [ctypes.util.find_library(library) for library in libraries]
    assert all(names), f"not installed: {libraries}"
    return [option for name in names for option in ("-d", name)]


def launch(rig):
    """Both ends, each with the plan's list of libraries."""
    stock = ["rte_net_vhost"] if rig.setup.driver == "net_vhost" else []
    vhost = rig.vhost(eal=load(*stock, MEMPOOL))
    virtio = rig.virtio("split-mergeable", eal=load("rte_net_virtio", MEMPOOL))
    return vhost, virtio


def test_pvp_share_lib_test_with_82599_series(rig):
    """Test case 1, with packets that go round between the ends."""
    vhost, virtio = launch(rig)
    begin(virtio, "io")
    begin(vhost, "io", tx_first=32)
    assert_throughput(vhost)


def test_pvp_share_lib_test_with_700_series(rig):
    """Test case 2, with packets from the guest."""
    vhost, virtio = launch(rig)
    begin(vhost, "rxonly")
    begin(virtio, "txonly")
    vhost.wait_growth(keys=("rx_packets",), by=10000)


def test_pvp_share_lib_test_with_800_series(rig):
    """Test case 3, with packets from the host."""
    vhost, virtio = launch(rig)
    begin(virtio, "rxonly")
    begin(vhost, "txonly")
    virtio.wait_growth(keys=("rx_packets",), by=10000)
