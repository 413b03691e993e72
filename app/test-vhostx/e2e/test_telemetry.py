# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What telemetry tells of a port, through the socket and the script."""

import shutil
import time

import pytest

import telemetry
from frontend import Frontend, Region, make_frame, protocol
from frontend.host import Host
from frontend.protocol import Msg
from testpmd import wait_until

pytestmark = pytest.mark.vhostx_only
formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])


@pytest.fixture(scope="module", name="shared")
def _shared(setup):
    host = Host(telemetry.talking(setup), pairs=2)
    yield host
    host.close()


@pytest.fixture(name="host")
def _host(shared):
    """testpmd that echoes on two pairs, and nobody connected."""
    shared.ensure()
    wait_until(lambda: not info(shared)["connected"], 5, "the last front-end is gone")
    shared.pmd.command("clear port xstats 0")
    yield shared
    shared.assert_alive()


def info(host):
    """/vhostx/info of port 0."""
    return telemetry.ask(host.pmd, "/vhostx/info,0")


def ring(host, index):
    """/vhostx/ring of a ring of port 0."""
    return telemetry.ask(host.pmd, f"/vhostx/ring,0,{index}")


def test_list_of_ports(host):
    assert telemetry.ask(host.pmd, "/vhostx/list") == [0]


@pytest.mark.parametrize("command", [
    "/vhostx/info", "/vhostx/info,", "/vhostx/info,7", "/vhostx/info,0x", "/vhostx/info,-1",
    "/vhostx/info,99999999999999999999", "/vhostx/info,0,1", "/vhostx/ring", "/vhostx/ring,0",
    "/vhostx/ring,0,", "/vhostx/ring,0,4", "/vhostx/ring,0,1x", "/vhostx/ring,1,0"])
def test_wrong_parameters_have_no_answer(host, command):
    assert telemetry.ask(host.pmd, command) is None


def test_port_without_front_end(host):
    told = info(host)
    assert told["name"] == "net_vhostx0"
    assert told["socket"] == host.socket()
    assert told["mode"] == "server"
    assert told["connected"] == told["connected_seconds"] == told["nr_regions"] == 0
    assert told["features"] == told["protocol_features"] == told["regions"] == []
    assert told["nr_rings"] == len(told["rings"]) == 4
    assert ring(host, 3)["state"] == "no front-end"


@formats
def test_port_that_runs(host, packed):
    before = info(host)["connects"]
    with host.frontend(pairs=2, packed=packed):
        told = info(host)
        assert told["connected"] == 1 and told["connects"] == before + 1
        assert ("VIRTIO_F_RING_PACKED" in told["features"]) == packed
        assert "VIRTIO_NET_F_MRG_RXBUF" in told["features"]
        assert {"REPLY_ACK", "MQ", "MTU"} <= set(told["protocol_features"])
        assert told["format"] == ("packed" if packed else "split")
        assert all(line.endswith("running") for line in told["rings"]), told["rings"]


def test_connected_since(host):
    with host.frontend():
        wait_until(lambda: info(host)["connected_seconds"] >= 1, 5, "a second passes")


def test_memory_regions(host):
    with host.frontend(add_regions=True) as frontend:
        region = frontend.memory.add(Region(1 << 32, 1 << 20))
        frontend.add_region(region)
        told = info(host)
        assert told["nr_regions"] == 2
        assert told["regions"][1] == "gpa 0x100000000 size 0x100000"
        frontend.remove_region(region)
        assert info(host)["nr_regions"] == 1
        frontend.memory.remove(region).close()


@formats
def test_ring_counters_and_position(host, packed):
    frames = [make_frame(300, i) for i in range(20)]
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(1, frames)
        rx, tx = ring(host, 3), ring(host, 2)
    assert (rx["direction"], rx["queue"], rx["size"]) == ("rx", 1, 256)
    assert (tx["direction"], tx["queue"], tx["size"]) == ("tx", 1, 256)
    assert rx["size_256_511_packets"] == tx["good_packets"] == 20
    assert rx["last_avail"] == rx["last_used"] == tx["last_avail"] == 20
    assert rx["format"] == ("packed" if packed else "split")


@formats
def test_ring_fill(host, packed):
    """Receive buffers that are lent, and frames that nobody fetches."""
    with host.frontend(packed=packed, rx_limit=40) as frontend:
        assert ring(host, 0)["offered"] == 40
        host.pmd.stop()  # nobody polls from here on
        frontend.send_burst(0, [make_frame(64, i) for i in range(7)])
        assert ring(host, 1)["offered"] == 7
        host.pmd.start()
        frontend.flush(0)
        assert ring(host, 1)["offered"] == 0


def test_ring_states_on_the_way_up(host):
    with Frontend(host.socket(), host.config()) as frontend:
        frontend.open()
        assert_state(host, "waiting for features")
        frontend.negotiate()
        assert_state(host, "waiting for memory")
        frontend.share_memory()
        assert_state(host, "waiting for a size")
        frontend.make_rings()
        frontend.say(Msg.SET_VRING_NUM, protocol.vring_state(1, 256))
        assert_state(host, "waiting for addresses")
        frontend.start_vring(1)
        assert_state(host, "disabled")
        frontend.enable(1, True)
        assert_state(host, "running")
        frontend.stop_vring(1)
        assert_state(host, "waiting for a start")


def assert_state(host, state):
    """Wait for the state of ring 1: the control thread may not be there yet."""
    wait_until(lambda: ring(host, 1)["state"] == state, 3, state)


def test_ring_refused_with_reason(host):
    with Frontend(host.socket(), host.config()) as frontend:
        frontend.open()
        frontend.negotiate()
        frontend.share_memory()
        frontend.make_rings()
        frontend.start_vring(1)
        frontend.conn.send(Msg.SET_VRING_NUM, protocol.vring_state(1, 100))
        assert_state(host, "refused")
        assert "power of two" in ring(host, 1)["reason"]


def test_ring_broken_with_reason(host):
    with host.frontend(pairs=2) as frontend:
        broken = frontend.vrings[1].ring
        broken.poke_avail_idx(broken.avail_idx + broken.size + 1)
        assert_state(host, "broken")
        wait_until(lambda: ring(host, 1)["reason"], 3, "a reason")
        assert "more entries" in ring(host, 1)["reason"]
        assert "broken: it offers" in info(host)["rings"][1]
        assert ring(host, 3)["state"] == "running"


def test_ring_of_a_stopped_port(host):
    with host.frontend(pairs=2):
        host.pmd.stop()
        host.pmd.port_stop(0)
        try:
            assert ring(host, 1)["state"] == "not polled"
        finally:
            host.pmd.port_start(0)
            host.pmd.start()
        assert_state(host, "running")


def test_traffic_goes_on_while_telemetry_asks(host):
    frames = [make_frame(200, i) for i in range(64)]
    with host.frontend(pairs=2) as frontend:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            frontend.echo(0, frames)
            assert ring(host, 1)["offered"] <= 256
            assert info(host)["connected"] == 1


@pytest.mark.skipif(not shutil.which(telemetry.SCRIPT), reason="no dpdk-telemetry.py")
def test_script_of_dpdk(host):
    with host.frontend(pairs=2):
        told = telemetry.ask_by_script(host.pmd, "/vhostx/info,0")
        assert told["socket"] == host.socket()
        assert telemetry.ask_by_script(host.pmd, "/vhostx/ring,0,0")["state"] == "running"


def test_most_queues_fit_one_answer(rig):
    """256 rings: the lists are cut, the answer is whole."""
    rig.setup = telemetry.talking(rig.setup)
    pmd = rig.vhost(queues=128, args=["--rxq=1", "--txq=1", "--total-num-mbufs=8192"])
    told = telemetry.ask(pmd, "/vhostx/info,0")
    assert told["nr_rings"] == 256 and len(told["rings"]) == 80
    assert told["regions"] == []
    assert telemetry.ask(pmd, "/vhostx/ring,0,255")["state"] == "no front-end"
