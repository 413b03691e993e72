# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Ports stop and start, and either end dies and comes back, under traffic.

After each of these, traffic must flow again, and every byte of it must be right.
"""

import pytest

from rig import ContentRig, VHOST_PORT

PATHS = ["split-mergeable", "packed-mergeable", "split-vectorised",
         "packed-in-order-non-mergeable"]
ROUNDS = 5
SERVER, CLIENT = {}, {"client": 1}
PEER_SERVES = {"server": 1}


@pytest.mark.parametrize("path", PATHS)
def test_vhost_port_restart_under_traffic(rig, path):
    """The guest goes on sending while the vhost port stops and starts."""
    vhost = rig.vhost()
    vhost.set_fwd("rxonly")
    flood(rig.virtio(path))
    for _ in range(ROUNDS):
        vhost.start()
        vhost.wait_growth(by=10000)
        vhost.stop()
        vhost.port_stop(VHOST_PORT)
        vhost.port_start(VHOST_PORT)


@pytest.mark.parametrize("path", PATHS)
def test_virtio_port_restart_under_traffic(rig, path):
    """The vhost end polls and sends while the guest's driver comes and goes."""
    vhost = rig.vhost()
    flood(vhost)
    virtio = rig.virtio(path)
    virtio.set_fwd("rxonly")
    for _ in range(ROUNDS):
        virtio.start()
        virtio.wait_growth(by=10000)
        virtio.stop()
        virtio.port_stop(0)
        virtio.port_start(0)
    assert vhost.alive()


@pytest.mark.parametrize("path", PATHS)
def test_contents_after_port_restarts(rig, path):
    """Stopping and starting both ends' ports changes no byte of what follows."""
    vhost = ContentRig(rig)
    virtio = rig.echo(path)
    vhost.check(count=700)
    for seed in range(3):
        vhost.pmd.port_stop(VHOST_PORT)
        vhost.pmd.port_start(VHOST_PORT)
        virtio.stop()
        virtio.port_stop(0)
        virtio.port_start(0)
        virtio.start()
        vhost.check(count=700, seed=10 * seed)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("devargs, peer", [(SERVER, {}), (CLIENT, PEER_SERVES)],
                         ids=["server", "client"])
def test_killed_virtio_comes_back(rig, path, devargs, peer):
    """A guest dies under traffic; the vhost end takes the next one."""
    vhost = ContentRig(rig, devargs=devargs)
    virtio = rig.virtio(path, devargs=peer)
    vhost.pmd.wait_link(up=True)
    vhost.leave_pcap_out()
    stir(vhost.pmd, virtio)
    virtio.kill()
    vhost.pmd.wait_link(up=False)
    vhost.pmd.stop()
    if peer:
        rig.socket.unlink()
    rig.echo(path, devargs=peer)
    vhost.pmd.wait_link(up=True)
    vhost.check(count=1500)


@pytest.mark.parametrize("path", PATHS)
def test_killed_vhost_client_comes_back(rig, path):
    """The host's switch dies under traffic; the guest runs on with the next."""
    first = rig.vhost(devargs=CLIENT)
    virtio = rig.virtio(path, devargs=PEER_SERVES)
    first.wait_link(up=True)
    stir(first, virtio)
    first.kill()
    virtio.wait_link(up=False)
    virtio.stop()
    virtio.set_patient()
    virtio.start()
    second = ContentRig(rig, devargs=CLIENT)
    second.pmd.wait_link(up=True)
    second.drain()
    second.check(count=1500)


@pytest.mark.parametrize("path", PATHS[:2])
def test_killed_vhost_server_comes_back(rig, path):
    """A new server takes the dead one's socket path; guests connect to it."""
    first = rig.vhost()
    virtio = rig.virtio(path)
    stir(first, virtio)
    first.kill()
    virtio.quit()
    if rig.setup.driver == "net_vhost":
        rig.socket.unlink()
    second = ContentRig(rig)
    rig.echo(path)
    second.check(count=1500)


def test_guests_come_and_go(rig):
    """Guests one after the other, the pool whole at the end."""
    vhost = rig.vhost()
    whole = vhost.free_mbufs()
    vhost.set_fwd("rxonly")
    vhost.start()
    for _ in range(2):
        for path in ("split-mergeable", "packed-mergeable"):
            virtio = rig.virtio(path)
            flood(virtio)
            vhost.wait_growth(by=1000)
            virtio.kill()
            vhost.wait_link(up=False)
    vhost.stop()
    assert vhost.free_mbufs() == whole


def test_no_mbuf_is_lost_when_the_peer_dies(rig):
    """The pool is whole after a guest died while frames went both ways."""
    vhost = rig.vhost()
    whole = vhost.free_mbufs()
    virtio = rig.virtio("split-mergeable")
    stir(vhost, virtio)
    virtio.kill()
    vhost.wait_link(up=False)
    vhost.stop()
    vhost.port_stop(VHOST_PORT)
    assert vhost.free_mbufs() == whole


def test_socket_is_gone_after_quit(rig):
    """A server takes its socket file with it."""
    vhost = rig.vhost()
    assert rig.socket.is_socket()
    vhost.quit()
    assert not rig.socket.exists()


def flood(pmd):
    """Send as fast as it can, and drop what arrives."""
    pmd.set_fwd("txonly")
    pmd.start()


def stir(vhost, virtio):
    """Frames of two segments in a loop between the ends, both ways."""
    vhost.set_fwd("io")
    virtio.set_fwd("io")
    virtio.start()
    vhost.command("set txpkts 200,300")
    vhost.start(tx_first=8)
    vhost.wait_growth(keys=("rx_packets", "tx_packets"), by=1000)
