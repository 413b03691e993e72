# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan loopback_multi_paths_port_restart: ten paths, a port restart on each."""

from plans import (assert_no_throughput, assert_throughput,
                   assert_throughput_at_every_size, begin)
from rig import VHOST_PORT


def run_case(rig, path, restarts=1):
    """Throughput, none while the port is stopped, one packet in flight after."""
    vhost = rig.vhost()
    begin(rig.virtio(path))
    assert_throughput_at_every_size(vhost)
    vhost.port_stop(VHOST_PORT)
    assert_no_throughput(vhost)
    vhost.port_start(VHOST_PORT)
    for _ in range(restarts - 1):
        vhost.port_stop(VHOST_PORT)
        vhost.port_start(VHOST_PORT)
    vhost.command("set burst 1")
    vhost.start(tx_first=1)
    assert_throughput(vhost)


def test_packed_ring_mergeable_path(rig):
    """Test case 1."""
    run_case(rig, "packed-mergeable")


def test_packed_ring_non_mergeable_path(rig):
    """Test case 2."""
    run_case(rig, "packed-non-mergeable")


def test_packed_ring_inorder_mergeable_path(rig):
    """Test case 3."""
    run_case(rig, "packed-in-order")


def test_packed_ring_inorder_non_mergeable_path(rig):
    """Test case 4."""
    run_case(rig, "packed-in-order-non-mergeable")


def test_split_ring_inorder_mergeable_path(rig):
    """Test case 5."""
    run_case(rig, "split-in-order")


def test_split_ring_inorder_non_mergeable_path(rig):
    """Test case 6."""
    run_case(rig, "split-in-order-non-mergeable")


def test_split_ring_mergeable_path(rig):
    """Test case 7, in which the plan restarts the port a hundred times."""
    run_case(rig, "split-mergeable", restarts=100)


def test_split_ring_non_mergeable_path(rig):
    """Test case 8."""
    run_case(rig, "split-non-mergeable")


def test_split_ring_vector_rx_path(rig):
    """Test case 9."""
    run_case(rig, "split-vectorised")


def test_packed_ring_vectorized_path(rig):
    """Test case 10."""
    run_case(rig, "packed-vectorised")
