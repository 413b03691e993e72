# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Messages that no honest front-end sends: each ends that connection at most."""

import os
import struct

import pytest

from frontend import Closed, Connection, Msg, make_frame, protocol
from frontend.host import Host, Traffic

vhostx_only = pytest.mark.vhostx_only


# The tests take turns: a port lets 200 connections in without a wait, and then ten a second.
PORTS = 4


@pytest.fixture(scope="module", name="shared")
def _shared(setup):
    host = Host(setup, pairs=2, ports=PORTS)
    yield host
    host.close()


@pytest.fixture(name="host")
def _host(shared):
    """testpmd, which must be alive afterwards, and the port forward."""
    shared.port = (shared.port + 1) % PORTS
    yield shared.ensure()
    shared.assert_alive()
    shared.check(pairs=2)


# What a well-formed message has: payload bytes and numbers of descriptors.
U64, STATE, ADDR, REGION, INFLIGHT = 8, 8, 40, 40, 20
FORMS = {
    Msg.GET_FEATURES: (0, {0}), Msg.SET_FEATURES: (U64, {0}),
    Msg.SET_OWNER: (0, {0}), Msg.RESET_OWNER: (0, {0}),
    Msg.SET_MEM_TABLE: (40, {1}),
    Msg.SET_VRING_NUM: (STATE, {0}), Msg.SET_VRING_ADDR: (ADDR, {0}),
    Msg.SET_VRING_BASE: (STATE, {0}), Msg.GET_VRING_BASE: (STATE, {0}),
    Msg.SET_VRING_KICK: (U64, {0, 1}), Msg.SET_VRING_CALL: (U64, {0, 1}),
    Msg.SET_VRING_ERR: (U64, {0, 1}),
    Msg.GET_PROTOCOL_FEATURES: (0, {0}), Msg.SET_PROTOCOL_FEATURES: (U64, {0}),
    Msg.GET_QUEUE_NUM: (0, {0}), Msg.SET_VRING_ENABLE: (STATE, {0}),
    Msg.NET_SET_MTU: (U64, {0}), Msg.RESET_DEVICE: (0, {0}),
    Msg.GET_MAX_MEM_SLOTS: (0, {0}), Msg.ADD_MEM_REG: (REGION, {1}),
    Msg.REM_MEM_REG: (REGION, {0, 1}),
    Msg.SET_STATUS: (U64, {0}), Msg.GET_STATUS: (0, {0}),
    Msg.GET_INFLIGHT_FD: (INFLIGHT, {0}), Msg.SET_INFLIGHT_FD: (INFLIGHT, {1}),
}
# Served, too; their forms are checked with what they are for.
OTHERS = {Msg.SET_LOG_BASE, Msg.SET_LOG_FD, Msg.SEND_RARP, Msg.GET_CONFIG, Msg.SET_CONFIG,
          Msg.POSTCOPY_ADVISE, Msg.POSTCOPY_LISTEN, Msg.POSTCOPY_END,
          Msg.SET_BACKEND_REQ_FD, Msg.IOTLB_MSG}
NOT_OFFERED = sorted(set(Msg) - set(FORMS) - OTHERS)
UNKNOWN = [0, 45, 1000, 0x80000000, 0xFFFFFFFF]
everything = pytest.mark.parametrize("request_id", [*Msg, *UNKNOWN], ids=protocol.name)


def variants(request_id):
    """Malformed messages as (payload bytes, descriptors)."""
    size, fds = FORMS.get(request_id, (8, {0}))
    wrong = [(size, n) for n in (0, 1, 2, 9) if n not in fds]
    some = max(fds)
    short = [(size - 1, some), (1, some), (0, some)] if size else []
    return wrong + short + [(size + 1, some), (size + 8, some), (4096, some)]


def files(count):
    """Descriptors to send along; the caller closes them."""
    return [os.memfd_create("surplus") for _ in range(count)]


def provoke(host, data, fds=0, timeout=2.0, running=True):
    """Send bytes to a port, to a running one if not told otherwise; did it close the connection?"""
    with host.frontend() if running else host.newcomer() as frontend:
        surplus = files(fds)
        frontend.conn.send_raw(data, surplus)
        for fd in surplus:
            os.close(fd)
        return frontend.conn.wait_closed(timeout)


@vhostx_only
@everything
def test_malformed_message_closes(host, request_id):
    before = host.open_files()
    for number, (size, fds) in enumerate(variants(request_id)):
        data = protocol.message(request_id, bytes(size))
        assert provoke(host, data, fds, running=number == 0), f"{size} bytes, {fds} descriptors"
    host.wait_open_files(before)


@everything
def test_malformed_message_is_survived(host, request_id):
    """Whatever the answer is: the port takes the next front-end."""
    size, fds = FORMS.get(request_id, (8, {0}))
    if request_id == Msg.GET_VRING_BASE and host.setup.driver == "net_vhost":
        fds = {0}
    provoke(host, protocol.message(request_id, bytes(size), need_reply=True),
            9, timeout=0.05)
    host.check()


@pytest.mark.parametrize("request_id", [
    *[pytest.param(n, marks=vhostx_only) for n in NOT_OFFERED], 45, 1000])
def test_unknown_message_is_answered_if_asked(host, request_id):
    with host.frontend() as frontend:
        assert frontend.conn.acked(request_id, bytes(8)) != 0
        frontend.echo(0, [make_frame(64)])


@vhostx_only
@pytest.mark.parametrize("request_id", [Msg.SET_LOG_BASE, Msg.GET_CONFIG, 45, 1000])
def test_unknown_message_closes_if_not_asked(host, request_id):
    assert provoke(host, protocol.message(request_id, bytes(8)))


@vhostx_only
@pytest.mark.parametrize("flags", [0, 2, 3, 1 | protocol.REPLY])
def test_wrong_version_closes(host, flags):
    assert provoke(host, protocol.message(Msg.GET_FEATURES, flags=flags))


@vhostx_only
@pytest.mark.parametrize("size", [1 << 16, 0x7FFFFFFF, 0xFFFFFFFF])
def test_enormous_size_closes(host, size):
    assert provoke(host, protocol.message(Msg.GET_FEATURES, size=size))
    data = protocol.message(Msg.SET_MEM_TABLE, size=size)
    assert provoke(host, data, 1)


@pytest.mark.parametrize("length", [1, 11, 12, 13, 19])
def test_half_message_then_end(host, length):
    before = host.open_files()
    data = protocol.message(Msg.SET_VRING_NUM, protocol.vring_state(0, 256))
    with host.frontend() as frontend:
        frontend.conn.send_raw(data[:length], files(1))
    host.check()
    host.wait_open_files(before)


@vhostx_only
@pytest.mark.parametrize("length", [1, 11, 12, 13, 19])
def test_half_message_holds_nobody_up(host, length):
    data = protocol.message(Msg.SET_VRING_NUM, protocol.vring_state(0, 256))
    with host.frontend(port=0) as frontend:
        frontend.conn.send_raw(data[:length])
        host.check(port=1, pairs=2)
        frontend.conn.send_raw(data[length:])
        assert frontend.conn.ask(Msg.GET_FEATURES).u64() == frontend.offered


def test_messages_in_one_piece(host):
    """Several messages in one write, and one message byte by byte."""
    with host.frontend() as frontend:
        frontend.conn.send_raw(protocol.message(Msg.GET_FEATURES) * 5)
        for _ in range(5):
            assert frontend.conn.recv().u64() == frontend.offered


@vhostx_only
def test_message_byte_by_byte(host):
    data = protocol.message(Msg.SET_STATUS, protocol.u64(15), need_reply=True)
    with host.frontend() as frontend:
        for byte in data:
            frontend.conn.send_raw(bytes([byte]))
        assert frontend.conn.recv().u64() == 0


# Well-formed messages with wrong values: answered non-zero where asked


def region(gpa=1 << 33, size=4096, user=1 << 46, offset=0):
    """Payload of ADD_MEM_REG."""
    return protocol.mem_region((gpa, size, user, offset))


def table(*regions):
    """Payload of SET_MEM_TABLE."""
    return protocol.mem_table(regions)


HUGE = (1 << 64) - 4096
VALUES = [
    ("vring-256", Msg.SET_VRING_NUM, protocol.vring_state(256, 256), 0),
    ("vring-65536", Msg.SET_VRING_ADDR, protocol.vring_addr(65536, 0, 0, 0), 0),
    ("vring-huge", Msg.SET_VRING_ENABLE, protocol.vring_state(0xFFFFFFFF, 1), 0),
    ("kick-vring-255", Msg.SET_VRING_KICK, protocol.u64(255), 1),
    ("size-0", Msg.SET_VRING_NUM, protocol.vring_state(0, 0), 0),
    ("size-32769", Msg.SET_VRING_NUM, protocol.vring_state(0, 32769), 0),
    ("size-huge", Msg.SET_VRING_NUM, protocol.vring_state(0, 0xFFFFFFFF), 0),
    ("region-empty", Msg.ADD_MEM_REG, region(size=0), 1),
    ("region-gpa-wraps", Msg.ADD_MEM_REG, region(gpa=HUGE, size=8192), 1),
    ("region-user-wraps", Msg.ADD_MEM_REG, region(user=HUGE, size=8192), 1),
    ("region-offset-wraps", Msg.ADD_MEM_REG, region(offset=HUGE, size=8192), 1),
    ("region-huge", Msg.ADD_MEM_REG, region(size=1 << 63), 1),
    ("region-not-there", Msg.REM_MEM_REG, region(), 0),
    ("table-of-overlap", Msg.SET_MEM_TABLE,
     table((0, 8192, 1 << 46, 0), (4096, 8192, 1 << 45, 0)), 2),
    ("table-count-lies", Msg.SET_MEM_TABLE,
     struct.pack("=II", 7, 0) + table((0, 4096, 1 << 46, 0))[8:], 1),
    ("table-count-huge", Msg.SET_MEM_TABLE,
     struct.pack("=II", 0xFFFFFFFF, 0) + table((0, 4096, 1 << 46, 0))[8:], 1),
    ("table-empty-file", Msg.SET_MEM_TABLE, table((0, 1 << 20, 1 << 46, 0)), 1),
]


@vhostx_only
@pytest.mark.parametrize("request_id,payload,fds", [v[1:] for v in VALUES],
                         ids=[v[0] for v in VALUES])
def test_wrong_value_is_refused(host, request_id, payload, fds):
    before = host.open_files()
    surplus = files(fds)
    with host.frontend(pairs=2) as frontend:
        try:
            assert frontend.conn.acked(request_id, payload, surplus) != 0
            frontend.echo(1, [make_frame(64)])
        except Closed:
            pass  # malformed rather than wrong: closing is right, too
    with host.frontend(pairs=2) as frontend:
        frontend.conn.send(request_id, payload, surplus)
        assert frontend.conn.wait_closed()
    for fd in surplus:
        os.close(fd)
    host.check(pairs=2)
    host.wait_open_files(before)


@vhostx_only
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("what", ["unmapped", "last-byte", "misaligned", "wraps"])
def test_wrong_ring_address_leaves_the_ring_down(host, packed, what):
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.stop_vring(1)
        desc, used, avail = (frontend.memory.user(g)
                             for g in frontend.vrings[1].ring.addresses())
        end = frontend.memory.regions[-1]
        desc = {"unmapped": 0x1000, "last-byte": end.user + end.size - 16,
                "misaligned": desc + 1, "wraps": (1 << 64) - 16}[what]
        payload = protocol.vring_addr(1, desc, used, avail)
        try:
            frontend.conn.acked(Msg.SET_VRING_ADDR, payload)
            frontend.conn.acked(Msg.SET_VRING_KICK, protocol.u64(1),
                                [frontend.vrings[1].kick])
            frontend.conn.acked(Msg.SET_VRING_ENABLE, protocol.vring_state(1, 1))
            frontend.kick(1)
            frontend.echo(1, [make_frame(64)])
        except Closed:
            pass
    host.check(pairs=2)


@pytest.mark.parametrize("seed", range(4))
def test_noise(host, seed):
    """Random bytes: the port outlives them."""
    data = bytes((seed * 7919 + i * i * 31 + (i >> 3)) & 0xFF for i in range(2000))
    connection = Connection.connect(host.socket())
    try:
        connection.send_raw(data)
    except Closed:
        pass
    connection.close()
    host.check()


@vhostx_only
def test_order_of_messages_does_not_matter_for_safety(host):
    """Kick before address, address before memory, features after size."""
    connection = Connection.connect(host.socket())
    kick = os.eventfd(0)
    try:
        connection.send(Msg.SET_VRING_KICK, protocol.u64(0), [kick])
        connection.send(Msg.SET_VRING_ENABLE, protocol.vring_state(0, 1))
        connection.send(Msg.SET_VRING_BASE, protocol.vring_state(0, 0xFFFF))
        connection.send(Msg.SET_VRING_ADDR, protocol.vring_addr(0, 1 << 40, 1, 2))
        connection.send(Msg.SET_VRING_NUM, protocol.vring_state(0, 256))
        connection.send(Msg.GET_VRING_BASE, protocol.vring_state(0, 0))
        connection.wait_closed(0.05)
    except Closed:
        pass
    os.close(kick)
    connection.close()
    host.check(pairs=2)


@vhostx_only
def test_bad_front_end_leaves_the_other_port_alone(host):
    with host.frontend(port=(host.port + 1) % PORTS) as good, Traffic(good) as traffic:
        for request_id in (Msg.SET_MEM_TABLE, Msg.SET_VRING_ADDR, 45, 0xFFFFFFFF):
            assert provoke(host, protocol.message(request_id, bytes(5)))
            traffic.progress()


# Configuration


@pytest.mark.vhostx_only
def test_config_tells_mac_mtu_and_pairs(host):
    with host.frontend() as frontend:
        ask = struct.pack("=III", 0, 12, 0) + bytes(12)
        reply = frontend.conn.ask(Msg.GET_CONFIG, ask).payload
        assert reply[:12] == ask[:12]
        mac, status, pairs, mtu = struct.unpack("<6sHHH", reply[12:])
        info = host.pmd.port_info(0)
        assert mac.hex(":").upper() == info["MAC address"]
        assert (status, pairs, mtu) == (1, host.pairs, int(info["MTU"]))
        beyond = struct.pack("=III", 200, 12, 0) + bytes(12)
        assert not frontend.conn.ask(Msg.GET_CONFIG, beyond).payload
        assert frontend.conn.acked(Msg.SET_CONFIG, ask)
        moved = struct.pack("=III", 0, 12, 1) + reply[12:]
        assert not frontend.conn.acked(Msg.SET_CONFIG, moved)
        frontend.echo(0, [make_frame(100)])
