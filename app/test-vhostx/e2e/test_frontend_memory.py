# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The scripted front-end's own parts: messages and guest memory."""

import os
import socket
import struct

import pytest

from frontend import Closed, Connection, Memory, Msg, Pool, Refused, Region, Unmapped
from frontend import crossing, protocol
from frontend.buffers import GUARD, Layout
from frontend.ring import GuestFault


@pytest.fixture(name="ends")
def _ends():
    """A connection and the plain socket of the far end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    yield Connection(ours, timeout=1), theirs
    ours.close()
    theirs.close()


def reply(request, payload, flags=protocol.VERSION | protocol.REPLY):
    """Bytes of a back-end's answer."""
    return protocol.message(request, payload, flags=flags)


def test_message_has_header_and_payload():
    data = protocol.message(Msg.SET_VRING_NUM, protocol.vring_state(3, 256), True)
    assert struct.unpack("=5I", data) == (8, 1 | 8, 8, 3, 256)


def test_message_fields_can_lie():
    data = protocol.message(99, b"abc", size=7, version=2)
    assert struct.unpack("=3I", data[:12]) == (99, 2, 7)
    assert data[12:] == b"abc"


def test_every_message_has_its_number():
    assert sorted(Msg) == list(range(1, 45))


def test_send_passes_descriptors(ends):
    conn, far = ends
    fds = [os.memfd_create(f"f{i}") for i in range(9)]
    os.write(fds[8], b"ninth")
    conn.send(Msg.SET_LOG_FD, fds=fds)
    data, got, _, _ = socket.recv_fds(far, 100, 20)
    assert len(data) == 12 and len(got) == 9
    assert os.pread(got[8], 10, 0) == b"ninth"
    for fd in fds + got:
        os.close(fd)


def test_ask_returns_the_answer(ends):
    conn, far = ends
    far.sendall(reply(Msg.GET_FEATURES, protocol.u64(5)))
    assert conn.ask(Msg.GET_FEATURES).u64() == 5


@pytest.mark.parametrize("answer", [
    reply(Msg.GET_STATUS, protocol.u64(0)),
    reply(Msg.GET_FEATURES, protocol.u64(0), flags=1),
    reply(Msg.GET_FEATURES, protocol.u64(0), flags=4 | 2)])
def test_ask_rejects_a_wrong_answer(ends, answer):
    conn, far = ends
    far.sendall(answer)
    with pytest.raises(AssertionError):
        conn.ask(Msg.GET_FEATURES)


def test_must_raises_on_a_non_zero_answer(ends):
    conn, far = ends
    far.sendall(reply(Msg.SET_OWNER, protocol.u64(1)))
    with pytest.raises(Refused):
        conn.must(Msg.SET_OWNER)
    assert struct.unpack("=I", far.recv(12)[4:8])[0] & protocol.NEED_REPLY


def test_recv_tells_silence_from_the_end(ends):
    conn, far = ends
    far.sendall(b"half")
    with pytest.raises(TimeoutError):
        conn.recv(timeout=0.01)
    assert not conn.wait_closed(0.01)
    far.close()
    assert conn.wait_closed(1)
    with pytest.raises(Closed):
        conn.recv()


def test_memory_reads_across_regions():
    memory = Memory.adjacent(3, 4096, gpa=0x10000)
    data = bytes(i & 0xFF for i in range(6000))
    memory.write(0x10000 + 3000, data)
    assert memory.read(0x10000 + 3000, 6000) == data
    first, second, _ = memory.regions
    assert os.pread(second.fd, 16, 0) == data[1096:1112]
    assert memory.user(second.gpa) != memory.user(first.end - 1) + 1
    memory.close()


def test_memory_regions_share_a_file():
    low = Region(0, 8192, offset=0)
    high = Region(1 << 20, 8192, offset=8192, fd=low.fd)
    memory = Memory([high, low])
    memory.write(1 << 20, b"high")
    assert os.pread(low.fd, 4, 8192) == b"high"
    payload, fds = memory.table()
    assert struct.unpack("=II", payload[:8]) == (2, 0) and len(fds) == 2
    assert struct.unpack("=4Q", payload[8:40]) == (0, 8192, low.user, 0)
    assert struct.unpack("=4Q", payload[40:])[3] == 8192
    memory.close()


def test_memory_holes_are_unmapped():
    memory = Memory([Region(0, 4096), Region(8192, 4096)])
    with pytest.raises(Unmapped):
        memory.read(4090, 10)
    gone = memory.remove(memory.regions[1])
    with pytest.raises(Unmapped):
        memory.load(8192, 2)
    gone.close()
    memory.close()


def test_memory_stores_integers_whole():
    memory = Memory.simple(4096)
    memory.store(6, 2, 0xBEEF)
    memory.store(8, 8, 0x0102030405060708)
    assert memory.read(4, 12).hex() == "0000efbe0807060504030201"
    assert memory.load(6, 2) == 0xBEEF
    memory.close()


def test_memory_allocates_and_takes_back():
    memory = Memory.simple(8192)
    first = memory.alloc(4096)
    memory.alloc(4096)
    with pytest.raises(MemoryError):
        memory.alloc(1)
    memory.release(first, 4096)
    assert memory.alloc(4096) == first
    memory.close()


def test_memory_allocates_across_a_border():
    memory = Memory.adjacent(2, 4096)
    gpa = memory.alloc_crossing(100, before=1)
    assert gpa == 4095 and not memory.is_free(4095, 2)
    with pytest.raises(MemoryError):
        memory.alloc_crossing(100)
    memory.close()


def test_pool_sees_bytes_beside_a_buffer():
    memory = Memory.simple(1 << 16)
    pool = Pool(memory)
    good, bad = pool.take(10), pool.take(10)
    pool.give(good)
    memory.write(bad.gpa + 9, b"xy")
    with pytest.raises(GuestFault):
        pool.give(bad)
    memory.write(bad.gpa + 10, GUARD)
    memory.write(bad.gpa - 1, b"z")
    with pytest.raises(GuestFault):
        pool.give(bad)
    memory.close()


def test_pool_places_buffers_across_borders():
    memory = Memory.adjacent(4, 4096)
    pool = Pool(memory, crossing)
    buffer = pool.take(1000)
    assert len(list(memory.pieces(buffer.gpa, 1000))) == 2
    memory.close()


def test_layout_lengths_add_up():
    assert Layout((12, 100)).lengths(2000) == [12, 100, 1888]
    assert Layout((12, 100)).lengths(50) == [12, 38]
    assert Layout((12, 100)).lengths(12) == [12]
