# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan vhost_user_interrupt: the guest's packets wake the vhost port's lcores.

virtio-user is the server, as in the plan; cases 5 and 6 need a DMA engine.
"""

from rig import ready_virtio
from sleeper import assert_wakes_with_traffic
from testpmd import wait_until


def run(rig, sleeper, path, queues):
    """The guest sends, stops, and sends again."""
    virtio = rig.begin_virtio(path, queues=queues, devargs={"server": 1})
    wait_until(rig.socket.exists, 10, "virtio-user listens")
    vhost = sleeper(rig.setup.device(0, iface=rig.socket, queues=queues, client=1),
                    queues)
    assert_wakes_with_traffic(vhost, ready_virtio(virtio, path))


def test_wake_up_split_ring_vhost_user_core_with_l3fwd_power_sample(rig, sleeper):
    """Test case 1."""
    run(rig, sleeper, "split-mergeable", 1)


def test_wake_up_split_ring_vhost_user_core_with_l3fwd_power_sample_when_multi_queues_enabled(  # noqa: E501
        rig, sleeper):
    """Test case 2."""
    run(rig, sleeper, "split-mergeable", 4)


def test_wake_up_packed_ring_vhost_user_core_with_l3fwd_power_sample(rig, sleeper):
    """Test case 3."""
    run(rig, sleeper, "packed-mergeable", 1)


def test_wake_up_packed_ring_vhost_user_core_with_l3fwd_power_sample_when_multi_queues_enabled(  # noqa: E501
        rig, sleeper):
    """Test case 4."""
    run(rig, sleeper, "packed-mergeable", 4)
