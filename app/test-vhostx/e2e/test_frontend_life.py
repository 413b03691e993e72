# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Rings, memory and connections that come and go while the port stays."""

import os
import time

import pytest

from frontend import (Closed, Feature, Frontend, Memory, Msg, Protocol, Raw, Refused,
                      Region, make_frame, protocol)
from frontend.host import Host, Traffic

vhostx_only = pytest.mark.vhostx_only
formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
MARKER = make_frame(300, 0xFACE)


@pytest.fixture(scope="module", name="calling")
def _calling(setup):
    """A testpmd whose port is the client."""
    host = Host(setup, pairs=1, client=1)
    yield host
    host.close()


def frames(count, number=0):
    """Frames of slightly different lengths, numbered on."""
    return [make_frame(60 + (number + i) % 1400, number + i) for i in range(count)]


# Stop and start of rings


@pytest.mark.parametrize("packed,size,start,wrap", [
    (False, 256, 0, 1), (False, 256, 65500, 1), (False, 8, 65530, 1),
    (True, 256, 0, 1), (True, 256, 250, 0), (True, 7, 5, 1), (True, 100, 90, 0)])
def test_stop_and_restart_at_the_base(host, packed, size, start, wrap):
    with host.frontend(packed=packed, size=size, start=start, wrap=wrap) as frontend:
        for turn in range(12):
            frontend.echo(0, frames(10, 10 * turn))
            frontend.flush(0)
            check_bases(frontend, frontend.stop())
            frontend.start()


def check_bases(frontend, bases):
    """The bases must be where the driver saw the device get to."""
    for vring, base in zip(frontend.vrings, bases):
        wanted = vring.ring.base()
        if not frontend.config.strict:  # net_vhost leaves the used half out
            base, wanted = base & 0xFFFF, wanted & 0xFFFF
        assert base == wanted, f"vring {vring.index}: {base:#x}, not {wanted:#x}"


@vhostx_only
@formats
def test_stop_leaves_the_ring_alone_and_its_neighbour_running(host, packed):
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(0, frames(10))
        frontend.flush(0)
        frontend.stop_vring(0)
        frontend.stop_vring(1)
        frontend.send_burst(0, frames(20))
        frontend.kick(1)
        frontend.echo(1, frames(100))
        assert frontend.tx[0].reap() == 0
        for vring in (0, 1):
            frontend.start_vring(vring)
            frontend.enable(vring, True)
        for sent in frames(20):
            assert frontend.recv(0) == sent


@vhostx_only
@formats
def test_stop_receive_ring_alone(host, packed):
    # Patient: the neighbour's tx queue pauses when its ring becomes shared.
    with (host.patient(), host.frontend(pairs=2, packed=packed) as frontend,
          Traffic(frontend, pair=1) as traffic):
        frontend.echo(0, frames(10))
        for _ in range(5):
            frontend.stop_vring(0)
            traffic.progress()
            assert frontend.vrings[0].ring.pending() == 0
            frontend.start_vring(0)
            frontend.enable(0, True)
            frontend.echo(0, frames(10))


@vhostx_only
@formats
def test_disabled_transmit_ring_discards(host, packed):
    with host.frontend(packed=packed) as frontend:
        frontend.echo(0, frames(10))
        frontend.enable(1, False)
        frontend.send_burst(0, frames(50, 1000))
        frontend.flush(0)
        frontend.enable(1, True)
        frontend.send(0, MARKER)
        assert frontend.recv(0) == MARKER


@vhostx_only
@formats
def test_disabled_receive_ring_gets_nothing(host, packed):
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(0, frames(10))
        frontend.echo(1, frames(10))
        frontend.enable(0, False)
        frontend.send_burst(0, frames(20, 1000))
        frontend.flush(0)
        frontend.send(1, MARKER)
        while frontend.recv(1) != MARKER:
            pass  # a disabled ring's frames may be sent on an enabled one
        assert frontend.vrings[0].ring.pending() == 0
        frontend.enable(0, True)
        frontend.echo(0, frames(10))


# Connections


@formats
def test_reconnect_resumes_rings(host, packed):
    with host.frontend(packed=packed) as frontend:
        for turn in range(5):
            frontend.echo(0, frames(20, 20 * turn))
            frontend.flush(0)
            frontend.reconnect()


@vhostx_only  # net_vhost forwards before the ring to forward to is up
@formats
def test_reconnect_takes_up_what_was_sent_meanwhile(host, packed):
    with host.frontend(packed=packed) as frontend:
        for turn in range(5):
            frontend.echo(0, frames(20, 20 * turn))
            frontend.flush(0)
            frontend.disconnect()
            frontend.open()
            frontend.conn.ask(Msg.GET_FEATURES)  # the old connection is gone now
            late = frames(10, 1000 * turn)
            frontend.send_burst(0, late)
            frontend.negotiate()
            frontend.share_memory()
            frontend.resume_rings()
            for sent in late:
                assert frontend.recv(0) == sent


@vhostx_only
@formats
def test_reconnect_signals_the_guest(host, packed):
    with host.frontend(packed=packed, interrupts="event") as frontend:
        frontend.echo(0, frames(20))
        frontend.flush(0)
        frontend.disconnect()
        for vring in (0, 1):
            frontend.calls(vring)
        frontend.reconnect()
        for vring in (0, 1):
            frontend.wait(lambda v=vring: frontend.calls(v), "a signal on resume")


@formats
def test_disconnect_under_traffic(host, packed):
    for turn in range(10):
        with host.frontend(packed=packed) as frontend:
            frontend.send_burst(0, frames(30, turn))
            frontend.recv(0)
    host.check(pairs=2)


def test_disconnect_leaves_no_open_files(host):
    host.check()
    before = host.open_files()
    for _ in range(5):
        host.check(pairs=2)
    host.wait_open_files(before)


@vhostx_only
def test_second_frontend_is_closed_at_once(host):
    with host.frontend() as first, Traffic(first) as traffic:
        for _ in range(5):
            second = protocol.Connection.connect(host.socket())
            assert second.wait_closed(0.5)
            second.close()
            traffic.progress()
    host.check()


def test_client_comes_back(calling):
    host = calling
    listener = protocol.listen(host.socket())
    host.ensure()
    with Frontend(config=host.config(), listener=listener) as frontend:
        frontend.up()
        for turn in range(5):
            frontend.echo(0, frames(20, turn))
            frontend.flush(0)
            listener.close()
            os.unlink(host.socket())
            frontend.disconnect()
            frontend.listener = listener = protocol.listen(host.socket())
            frontend.reconnect()
            frontend.echo(0, frames(20, turn))
        listener.close()
        os.unlink(host.socket())


@vhostx_only
def test_client_comes_back_within_200_ms(calling):
    host = calling
    host.ensure()
    for _ in range(5):
        listener = protocol.listen(host.socket())
        began = time.monotonic()
        connection = protocol.Connection.accept(listener)
        took = time.monotonic() - began
        connection.close()
        listener.close()
        os.unlink(host.socket())
        assert took < 0.2


# Memory


def plug_and_unplug(frontend, traffic, turns):
    """A region comes, is used, and goes while the other pair has traffic."""
    for turn in range(turns):
        region = frontend.memory.add(Region(1 << 32, 4 << 20))
        frontend.add_region(region)
        probe_region(frontend, region, turn)
        frontend.remove_region(region)
        frontend.memory.remove(region).close()
        traffic.progress(16)


def replace_table(frontend, traffic, turns):
    """SET_MEM_TABLE with one region more, and with one less, under traffic."""
    extra = Region(1 << 32, 4 << 20)
    for _ in range(turns):
        frontend.memory.add(extra)
        frontend.share_memory()
        traffic.progress(32)
        frontend.memory.remove(extra)
        frontend.share_memory()
        traffic.progress(32)
    extra.close()


@vhostx_only
@formats
def test_region_comes_and_goes_under_traffic(host, packed):
    with (host.patient(),
          host.frontend(pairs=2, packed=packed, add_regions=True) as frontend,
          Traffic(frontend) as traffic):
        plug_and_unplug(frontend, traffic, 20)


@formats
def test_mem_table_is_replaced_under_traffic(host, packed):
    with (host.patient(), host.frontend(packed=packed) as frontend,
          Traffic(frontend) as traffic):
        replace_table(frontend, traffic, 10)


@formats
def test_mem_table_is_replaced_without_a_drop(host, packed):
    """Forwarding that never retries loses nothing either, as with net_vhost."""
    with host.frontend(packed=packed) as frontend, Traffic(frontend) as traffic:
        replace_table(frontend, traffic, 20)


def probe_region(frontend, region, number):
    """Transmit on pair 1 from a region that was just added."""
    frame = make_frame(500, number)
    frontend.memory.write(region.gpa, bytes(frontend.header_length()) + frame)
    ring = frontend.vrings[3].ring
    raw = ring.add_raw([Raw(region.gpa, frontend.header_length() + len(frame), 0)])
    if ring.publish():
        frontend.kick(3)
    frontend.wait(lambda: [u for u in ring.used() if u.ident == raw], "the probe")
    assert frontend.recv(1) == frame


@vhostx_only
def test_mem_regions_are_refused_by_name(host):
    with host.frontend(add_regions=True) as frontend:
        assert frontend.conn.ask(Msg.GET_MAX_MEM_SLOTS).u64() == 509
        region = frontend.memory.regions[0]
        overlap = (region.gpa + 4096, 4096, region.user + (1 << 40), 0)
        assert frontend.conn.acked(Msg.ADD_MEM_REG, protocol.mem_region(overlap),
                                   [region.fd])
        absent = (1 << 40, 4096, 1 << 41, 0)
        assert frontend.conn.acked(Msg.REM_MEM_REG, protocol.mem_region(absent))
        frontend.echo(0, frames(10))


@vhostx_only
def test_mem_region_beyond_its_file_is_refused(host):
    with host.frontend(add_regions=True) as frontend:
        small = Region(1 << 32, 4096)
        lie = (small.gpa, 1 << 20, small.user, 0)
        with pytest.raises(Refused):
            frontend.conn.must(Msg.ADD_MEM_REG, protocol.mem_region(lie), [small.fd])
        small.close()
        frontend.echo(0, frames(10))


@vhostx_only
def test_mem_slots_are_509(host):
    memory = Memory.adjacent(509, 1 << 16)
    with host.frontend(memory=memory, add_regions=True) as frontend:
        frontend.echo(0, frames(50))
        extra = Region(1 << 40, 4096)
        with pytest.raises(Refused):
            frontend.add_region(extra)
        extra.close()
        frontend.echo(0, frames(50))
    memory.close()


# Device


@vhostx_only
@formats
def test_reset_device_starts_afresh(host, packed):
    with host.frontend(packed=packed) as frontend:
        for turn in range(3):
            frontend.echo(0, frames(30, turn))
            frontend.reset()
            frontend.echo(0, frames(30, turn))


@vhostx_only
def test_reset_device_stops_rings(host):
    with host.frontend() as frontend:
        frontend.echo(0, frames(10))
        frontend.flush(0)
        frontend.say(Msg.RESET_DEVICE)
        frontend.send_burst(0, frames(10))
        for _ in range(20):  # each a trip through the control thread
            frontend.conn.ask(Msg.GET_FEATURES)
        assert frontend.tx[0].reap() == 0


@pytest.mark.parametrize("mtu,good", [
    (68, True), (1500, True), (9000, True), (65535, True), (0, False), (67, False),
    (65536, False), (1 << 63, False)])
def test_mtu_is_checked(host, mtu, good):
    with host.frontend(more_features=Feature.MTU) as frontend:
        assert frontend.features & Feature.MTU
        answer = frontend.conn.acked(Msg.NET_SET_MTU, protocol.u64(mtu))
        assert (answer == 0) == good
        frontend.echo(0, frames(10))


def test_mtu_wrong_without_ack_closes(host):
    wish = protocol.Protocol(Protocol.MQ | Protocol.NET_MTU)
    with host.frontend(more_features=Feature.MTU, protocol=wish) as frontend:
        frontend.conn.send(Msg.NET_SET_MTU, protocol.u64(1))
        assert frontend.conn.wait_closed()
    host.check()


def test_status_is_kept(host):
    with host.frontend() as frontend:
        assert frontend.protocol & Protocol.STATUS
        assert frontend.conn.ask(Msg.GET_STATUS).u64() == protocol.STATUS_RUNNING


@vhostx_only
def test_queue_number_is_the_ports_own(host):
    with host.frontend() as frontend:
        assert frontend.conn.ask(Msg.GET_QUEUE_NUM).u64() == host.pairs


@formats
def test_without_protocol_features_rings_start_enabled(host, packed):
    config = host.config(packed=packed)
    with Frontend(host.socket(), config) as frontend:
        frontend.open()
        frontend.offered = frontend.conn.ask(Msg.GET_FEATURES).u64()
        wish = config.wish() & ~Feature.PROTOCOL_FEATURES
        frontend.features = frontend.offered & wish
        frontend.conn.send(Msg.SET_OWNER)
        frontend.conn.send(Msg.SET_FEATURES, protocol.u64(frontend.features))
        frontend.share_memory()
        frontend.make_rings()
        for vring in frontend.vrings:
            frontend.start_vring(vring.index)
        frontend.echo(0, frames(50))


@formats
def test_rings_start_one_by_one(host, packed):
    config = host.config(pairs=2, packed=packed)
    with Frontend(host.socket(), config) as frontend:
        frontend.open()
        frontend.negotiate()
        frontend.share_memory()
        frontend.make_rings()
        if frontend.protocol & Protocol.STATUS:
            frontend.set_status(protocol.STATUS_RUNNING)
        for vring in range(2):
            frontend.enable(vring, True)
            frontend.start_vring(vring)
        frontend.echo(0, frames(20))
        for vring in (2, 3):
            frontend.start_vring(vring)
            frontend.enable(vring, True)
        frontend.echo(1, frames(20))
        frontend.echo(0, frames(20))


def test_feature_not_offered_is_refused(host):
    with host.frontend() as frontend:
        frontend.stop()
        bad = frontend.features | 1 << 60
        try:
            assert frontend.conn.acked(Msg.SET_FEATURES, protocol.u64(bad))
        except Closed:
            pass
    host.check()
