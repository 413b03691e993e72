# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan loopback_virtio_user_server_mode: either end goes and comes back.

virtio-user is the server and the vhost port the client. In cases 13 and 14 the
plan captures packets with pdump; here both ends of the way are pcap files, with
random contents, and frames go through the same number of segments.
"""

from plans import assert_throughput, begin, stop_and_check_queues, wait_queues
from rig import ContentRig, RING, RING_PATHS, VHOST_PORT, ready_virtio
from testpmd import wait_until

CLIENT = {"client": 1}
SERVER = {"server": 1}
CHAIN = [2000, 2000, 2000, 2000]
MULTI_SEGS = ["--tx-offloads=0x8000"]
FRAMES = 50


class Loop:
    """Both ends of one case, either of which can be launched again."""

    def __init__(self, rig, path, queues, txpkts=None):
        self.rig, self.path = rig, path
        self.queues, self.txpkts = queues, txpkts
        self.vhost = self.virtio = None

    def launch_vhost(self, tx_first=None):
        """The vhost end, forwarding; it sends tx_first bursts if given."""
        self.vhost = self.rig.vhost(queues=self.queues, devargs=CLIENT)
        if tx_first:
            self.vhost.wait_link(up=True)
        begin(self.vhost, txpkts=self.txpkts, tx_first=tx_first)

    def launch_virtio(self, tx_first=None):
        """The virtio end, likewise."""
        segments = MULTI_SEGS if self.txpkts else []
        self.virtio = self.rig.virtio(self.path, queues=self.queues,
                                      devargs=SERVER, args=segments)
        if tx_first:
            self.vhost.wait_link(up=True)
        begin(self.virtio, txpkts=self.txpkts, tx_first=tx_first)

    def quit_vhost(self):
        """The vhost end goes, which the virtio end must see."""
        self.vhost.quit()
        self.virtio.wait_link(up=False)

    def quit_virtio(self):
        """The virtio end goes, which the vhost end must see."""
        self.virtio.quit()
        self.vhost.wait_link(up=False)

    def restart_vhost_port(self):
        """Stop and start the port, and send again."""
        self.vhost.stop()
        self.vhost.port_stop(VHOST_PORT)
        self.vhost.port_start(VHOST_PORT)
        self.vhost.start(tx_first=32)


def run_basic(rig, path):
    """Cases 1 and 2: the virtio end is launched first."""
    virtio = rig.begin_virtio(path, devargs=SERVER)
    wait_until(rig.socket.exists, 10, "virtio-user listens")
    vhost = rig.vhost(devargs=CLIENT)
    begin(ready_virtio(virtio, path))
    vhost.wait_link(up=True)
    begin(vhost, tx_first=32)
    assert_throughput(vhost)


def run_reconnect(rig, path, queues, txpkts=None):
    """Cases 3 to 12: launch again from either side, then restart the port."""
    loop = Loop(rig, path, queues, txpkts)
    loop.launch_vhost()
    loop.launch_virtio(tx_first=32)
    assert_throughput(loop.virtio)
    loop.quit_vhost()
    loop.launch_vhost(tx_first=32)
    loop.virtio.wait_link(up=True)
    assert_throughput(loop.vhost)
    stop_and_check_queues(loop.vhost, queues)
    loop.vhost.start()
    loop.quit_virtio()
    loop.launch_virtio(tx_first=32)
    assert_throughput(loop.vhost)
    loop.restart_vhost_port()
    assert_throughput(loop.vhost)
    stop_and_check_queues(loop.vhost, queues)


def check_payload(vhost, length, seed):
    """Contents on eight queues, once frames come back on all of them."""
    vhost.leave_pcap_out()
    wait_queues(vhost.pmd, vhost.queues)
    vhost.drain()
    vhost.check(count=FRAMES, seed=seed, low=length, high=length)


def run_payload(rig, path, length, ring=RING, mbuf=2176):
    """Cases 13 and 14: contents on eight queues, then with the next vhost end."""
    segments = MULTI_SEGS if RING_PATHS[path].mergeable else []
    options = {"queues": 8, "devargs": CLIENT, "args": [f"--mbuf-size={mbuf}"]}
    vhost = ContentRig(rig, **options)
    virtio = rig.echo(path, queues=8, ring=ring, devargs=SERVER,
                      args=segments)
    check_payload(vhost, length, seed=1)
    vhost.pmd.quit()
    virtio.wait_link(up=False)
    vhost = ContentRig(rig, **options)
    check_payload(vhost, length, seed=2)
    vhost.pmd.quit()
    virtio.quit()


def run_chain(rig, path):
    """8000 bytes in four segments of 2048."""
    run_payload(rig, path, 8000)


def run_short_chain(rig, path, ring=RING):
    """960 bytes in four segments of 256."""
    run_payload(rig, path, 960, ring=ring, mbuf=384)


def test_basic_test_for_packed_ring_server_mode(rig):
    """Test case 1."""
    run_basic(rig, "packed-mergeable")


def test_basic_test_for_split_ring_server_mode(rig):
    """Test case 2."""
    run_basic(rig, "split-mergeable")


def test_reconnect_with_split_ring_mergeable_path(rig):
    """Test case 3."""
    run_reconnect(rig, "split-mergeable", 8, CHAIN)


def test_reconnect_with_split_ring_inorder_mergeable_path(rig):
    """Test case 4."""
    run_reconnect(rig, "split-in-order", 2, CHAIN)


def test_reconnect_with_split_ring_inorder_non_mergeable_path(rig):
    """Test case 5."""
    run_reconnect(rig, "split-in-order-non-mergeable", 2)


def test_reconnect_with_split_ring_non_mergeable_path(rig):
    """Test case 6."""
    run_reconnect(rig, "split-non-mergeable", 2)


def test_reconnect_with_split_ring_vector_rx_path(rig):
    """Test case 7."""
    run_reconnect(rig, "split-vectorised", 2)


def test_reconnect_with_packed_ring_mergeable_path(rig):
    """Test case 8."""
    run_reconnect(rig, "packed-mergeable", 2, CHAIN)


def test_reconnect_with_packed_ring_non_mergeable_path(rig):
    """Test case 9."""
    run_reconnect(rig, "packed-non-mergeable", 2)


def test_reconnect_with_packed_ring_inorder_mergeable_path(rig):
    """Test case 10."""
    run_reconnect(rig, "packed-in-order", 8, CHAIN)


def test_reconnect_with_packed_ring_inorder_non_mergeable_path(rig):
    """Test case 11."""
    run_reconnect(rig, "packed-in-order-non-mergeable", 2)


def test_reconnect_with_packed_ring_vectorized_path(rig):
    """Test case 12."""
    run_reconnect(rig, "packed-vectorised", 2)


def test_packed_ring_all_path_payload_check(rig):
    """Test case 13."""
    run_chain(rig, "packed-in-order")
    run_chain(rig, "packed-mergeable")
    run_short_chain(rig, "packed-non-mergeable")
    run_short_chain(rig, "packed-in-order-non-mergeable")
    run_short_chain(rig, "packed-vectorised")
    run_short_chain(rig, "packed-vectorised", ring=1025)


def test_split_ring_all_path_payload_check(rig):
    """Test case 14."""
    run_chain(rig, "split-in-order")
    run_chain(rig, "split-mergeable")
    run_short_chain(rig, "split-non-mergeable")
    run_short_chain(rig, "split-in-order-non-mergeable")
    run_short_chain(rig, "split-vectorised")
