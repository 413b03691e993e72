# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Whose file may lie at the socket's path, and who may connect to it."""

import socket

import pytest

from rig import VHOST_PORT, assert_driver

DEVICE = "net_vhostx1"


def listen_at(path):
    """A listening UNIX socket of this process."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def connect_to(path):
    """A connection to whoever listens at the path."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(str(path))
    return sock


def attach(rig, port_start=True):
    """A testpmd with one hotplugged server port at rig.socket."""
    pmd = rig.launch("server", rig.setup.load(), [])
    pmd.command(f"port attach {DEVICE},iface={rig.socket}")
    assert pmd.ports() == [DEVICE]
    if port_start:
        pmd.command("port start 0")
    return pmd


@pytest.mark.vhostx_only
def test_stale_socket_is_replaced(rig):
    """The file that a dead server left does not stop the next one."""
    listen_at(rig.socket).close()
    with pytest.raises(ConnectionRefusedError):
        connect_to(rig.socket)
    attach(rig)
    connect_to(rig.socket).close()


@pytest.mark.vhostx_only
def test_live_socket_is_left_alone(rig):
    """Another process's listening socket keeps its path; the port says so."""
    with listen_at(rig.socket) as owner:
        inode = rig.socket.stat().st_ino
        pmd = attach(rig)
        assert refused(pmd, str(rig.socket))
        assert rig.socket.stat().st_ino == inode
        connect_to(rig.socket).close()
        owner.settimeout(5)
        owner.accept()[0].close()


@pytest.mark.vhostx_only
def test_regular_file_is_left_alone(rig):
    """A file that is no socket is not deleted for having the wrong name."""
    rig.socket.write_text("precious", encoding="ascii")
    pmd = attach(rig)
    assert refused(pmd, str(rig.socket))
    assert rig.socket.read_text(encoding="ascii") == "precious"


@pytest.mark.vhostx_only
def test_socket_appears_at_configure(rig):
    """As with net_vhost, probing alone makes no socket."""
    pmd = attach(rig, port_start=False)
    assert not rig.socket.exists()
    pmd.port_start(0)
    assert rig.socket.is_socket()


@pytest.mark.vhostx_only
def test_second_front_end_is_turned_away(rig):
    """It is closed at once, the log names the port, the first one goes on."""
    vhost = rig.vhost()
    virtio = rig.virtio("split-mergeable")
    vhost.wait_link(up=True)
    with connect_to(rig.socket) as second:
        assert second.recv(1) == b""
    vhost.wait_log(r"net_vhostx0.*(already|second|another|busy)")
    assert vhost.link_up()
    vhost.start()
    virtio.start(tx_first=1)
    vhost.wait_growth(by=100)


@pytest.mark.vhostx_only
def test_hotplug(rig):
    """A port attached to a running process carries packets; detached, it ends."""
    pmd = attach(rig)
    assert_driver(pmd, "net_vhostx")
    virtio = rig.virtio("packed-mergeable")
    pmd.start()
    virtio.start(tx_first=1)
    pmd.wait_growth(keys=("rx_packets", "tx_packets"), by=100)
    pmd.stop()
    pmd.port_stop(VHOST_PORT)
    pmd.command("port detach 0")
    assert pmd.ports() == []
    assert not rig.socket.exists()
    virtio.wait_link(up=False)


@pytest.mark.vhostx_only
def test_unconfigured_port_can_be_detached(rig):
    """A port that was only probed can go, and so can the process with one."""
    pmd = attach(rig, port_start=False)
    pmd.command("port detach 0")
    assert pmd.ports() == []
    pmd.command(f"port attach {DEVICE},iface={rig.socket},queues=128")
    assert pmd.ports() == [DEVICE]


@pytest.mark.vhostx_only
def test_attach_again_after_detach(rig):
    """Name, path and memory are free again after each detach."""
    pmd = attach(rig)
    for _ in range(5):
        pmd.port_stop(0)
        pmd.command("port detach 0")
        pmd.command(f"port attach {DEVICE},iface={rig.socket}")
        pmd.port_start(0)
    virtio = rig.virtio("split-mergeable")
    pmd.start()
    virtio.start(tx_first=1)
    pmd.wait_growth(by=100)


def test_close_takes_the_socket_along(rig):
    """A closed port listens no more, and its guest sees the link go."""
    vhost = rig.vhost()
    virtio = rig.virtio("split-mergeable")
    vhost.port_stop(VHOST_PORT)
    vhost.command("port close 0")
    assert not rig.socket.exists()
    virtio.wait_link(up=False)


@pytest.mark.vhostx_only
@pytest.mark.parametrize("mtu", [68, 1500, 9000])
def test_mtu_can_be_set(rig, mtu):
    """An MTU that is set is the one that is shown."""
    vhost = rig.vhost()
    answer = vhost.command(f"port config mtu 0 {mtu}")
    assert "fail" not in answer.lower(), answer
    assert vhost.port_info()["MTU"] == str(mtu)


def refused(pmd, path):
    """Whether the log has a line that names the port and the path in its way."""
    return any(DEVICE in line and path in line and "attach" not in line
               for line in pmd.log.splitlines())
