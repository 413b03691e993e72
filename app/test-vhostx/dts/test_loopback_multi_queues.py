# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan loopback_multi_queues: each path with one queue, then with eight.

The plan's scaling of throughput needs a core a queue and is not judged here;
that every queue carries packets is.
"""

from plans import assert_throughput_at_every_size, begin, wait_queues


def run_case(rig, path):
    """Every frame size on every queue, with one queue pair and with eight."""
    for queues in (1, 8):
        vhost = rig.vhost(queues=queues)
        virtio = rig.virtio(path, queues=queues)
        begin(virtio)
        wait_queues(vhost, queues)
        assert_throughput_at_every_size(vhost, queues)
        virtio.quit()
        vhost.quit()


def test_virtio_1_1_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 1."""
    run_case(rig, "packed-mergeable")


def test_virtio_1_1_non_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 2."""
    run_case(rig, "packed-non-mergeable")


def test_virtio_1_0_inorder_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 3."""
    run_case(rig, "split-in-order")


def test_virtio_1_0_inorder_non_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 4."""
    run_case(rig, "split-in-order-non-mergeable")


def test_virtio_1_0_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 5."""
    run_case(rig, "split-mergeable")


def test_virtio_1_0_non_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 6."""
    run_case(rig, "split-non-mergeable")


def test_virtio_1_0_vector_rx_path_using_1_queue_and_8_queues(rig):
    """Test case 7."""
    run_case(rig, "split-vectorised")


def test_virtio_1_1_inorder_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 8."""
    run_case(rig, "packed-in-order")


def test_virtio_1_1_inorder_non_mergeable_path_using_1_queue_and_8_queues(rig):
    """Test case 9."""
    run_case(rig, "packed-in-order-non-mergeable")


def test_virtio_1_1_vectorized_path_using_1_queue_and_8_queues(rig):
    """Test case 10."""
    run_case(rig, "packed-vectorised")
