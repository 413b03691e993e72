# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Steps that the replayed DTS plans share.

The plans are written for a machine with many cores; here each end has one
polling core, so a plan's number of forwarding cores is always one.
"""

from rig import VHOST_PORT
from testpmd import wait_until

FRAME_SIZES = [64, 128, 256, 512, 1024, 1518]
BOTH_WAYS = ("rx_packets", "tx_packets")


def begin(pmd, mode="mac", txpkts=None, tx_first=None):
    """Set mode and frame, and start."""
    pmd.set_fwd(mode)
    if txpkts:
        pmd.set_txpkts(*txpkts)
    pmd.start(tx_first=tx_first)


def assert_throughput(pmd, by=1000, timeout=10):
    """Frames arrive and leave, now."""
    pmd.wait_growth(VHOST_PORT, BOTH_WAYS, by, timeout)


def assert_no_throughput(pmd):
    """No frame arrives or leaves any more."""
    first, later = pmd.stats(), pmd.stats()
    assert [first[k] for k in BOTH_WAYS] == [later[k] for k in BOTH_WAYS]


def assert_throughput_at_every_size(pmd, queues=1):
    """Frames of each size loop, on every queue."""
    for size in FRAME_SIZES:
        begin(pmd, txpkts=[size], tx_first=32)
        assert_throughput(pmd)
        stop_and_check_queues(pmd, queues)


def wait_queues(pmd, queues):
    """Wait until the other end has enabled every queue.

    The link is up before that, and until then a queue drops what it should send.
    """
    def all_busy():
        begin(pmd, tx_first=1)
        return len(busy_queues(pmd.stop())) == queues
    if queues > 1:
        wait_until(all_busy, 10, f"{queues} queues move packets", interval=0.1)


def busy_queues(streams):
    """The vhost port's queues that have both received and sent."""
    return {queue for (port, queue), count in streams.items()
            if port == VHOST_PORT and count["rx"] and count["tx"]}


def stop_and_check_queues(pmd, queues):
    """Stop; every queue must have received and sent."""
    streams = pmd.stop()
    if queues > 1:
        assert busy_queues(streams) == set(range(queues)), streams
