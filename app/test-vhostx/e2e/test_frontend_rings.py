# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The scripted front-end's rings and queues against a toy device."""

import pytest

from frontend import (CHAINED, DIRECT, INDIRECT, Feature, GuestFault, Memory,
                      PackedRing, Pool, Raw, Segment, SplitRing, make_frame)
from frontend.netqueue import RxQueue, TxQueue
from frontend.toydevice import toy

# kind, size, index (or slot) to begin at, wrap counter
PLACES = [(SplitRing, 8, 0, 1), (SplitRing, 8, 65533, 1), (SplitRing, 256, 65500, 1),
          (PackedRing, 8, 0, 1), (PackedRing, 7, 5, 0), (PackedRing, 7, 6, 1),
          (PackedRing, 100, 99, 1)]
KINDS = [(SplitRing, 16, 0, 1), (PackedRing, 16, 0, 1)]
places = pytest.mark.parametrize("place", PLACES, ids=lambda p: f"{p[0].__name__}{p[1:]}")
kinds = pytest.mark.parametrize("place", KINDS, ids=lambda p: p[0].__name__)


def make(place, features=0):
    """A ring and its toy device."""
    kind, size, start, wrap = place
    ring = kind(Memory.simple(1 << 20), size, features, start, wrap)
    return ring, toy(ring, start, wrap)


def chain(number, count, writable=False):
    """Segments that tell their number."""
    return [Segment(0x100000 + 256 * number + 16 * i, 16, writable)
            for i in range(count)]


def lend(ring, numbers, count=1, **how):
    """Add and publish one chain for each number, which is its token."""
    for number in numbers:
        ring.add(chain(number, count, **how), token=number)
    return ring.publish()


@places
@pytest.mark.parametrize("count,indirect", [(1, False), (3, False), (3, True)])
def test_ring_lends_and_takes_back(place, count, indirect):
    ring, device = make(place)
    for number in range(3 * ring.size):
        ring.add(chain(number, count), indirect, number)
        assert device.fetch() is None
        ring.publish()
        ident, got = device.fetch()
        assert got == [tuple(s) for s in chain(number, count)]
        device.complete(ident, 0)
        assert [u.token for u in ring.used()] == [number]
        assert ring.room() == ring.size


@places
def test_ring_fills_up(place):
    ring, device = make(place)
    lend(ring, range(ring.size))
    with pytest.raises(ValueError):
        ring.add(chain(0, 1))
    fetched = [device.fetch()[0] for _ in range(ring.size)]
    assert device.fetch() is None and sorted(fetched) == list(range(ring.size))


@places
def test_ring_takes_back_out_of_order(place):
    ring, device = make(place)
    for lap in range(5):
        lend(ring, [10 * lap + i for i in range(3)])
        idents = [device.fetch()[0] for _ in range(3)]
        for ident in reversed(idents):
            device.complete(ident, 0)
        assert [u.token - 10 * lap for u in ring.used()] == [2, 1, 0]


@places
def test_ring_takes_an_in_order_batch(place):
    ring, device = make(place, Feature.IN_ORDER)
    for lap in range(5):
        lend(ring, [10 * lap, 10 * lap + 1], 2, writable=True)
        device.fetch()
        last = device.fetch()[0]
        if ring.packed:
            device.complete(last, 5, slots=4)
        else:
            device.complete(last, 5, chains=2)
        used = ring.used()
        assert [(u.token - 10 * lap, u.length) for u in used] == [(0, 32), (1, 5)]


@places
def test_ring_base_tells_where_the_device_is(place):
    ring, device = make(place)
    for number in range(5):
        lend(ring, [number])
        device.complete(device.fetch()[0], 0)
        ring.used()
    half = device.next | device.wrap << 15 if ring.packed else device.next
    assert ring.base() == (half << 16 | half if ring.packed else half)


@places
@pytest.mark.parametrize("event_idx", [0, Feature.EVENT_IDX])
def test_ring_kicks_only_when_asked(place, event_idx):
    ring, device = make(place, event_idx)
    for number in range(3 * ring.size):
        device.suppress(number % 2)
        assert lend(ring, [number]) == (number % 2 == 0)
        device.complete(device.fetch()[0], 0)
        ring.used()


@places
@pytest.mark.parametrize("event_idx", [0, Feature.EVENT_IDX])
def test_ring_asks_for_interrupts(place, event_idx):
    ring, device = make(place, event_idx)
    for number in range(3 * ring.size):
        ring.interrupts("event" if number % 2 else "never")
        lend(ring, [number])
        device.complete(device.fetch()[0], 0)
        assert device.wants_call() == (number % 2 == 1)
        ring.used()


@places
def test_ring_asks_for_a_late_interrupt(place):
    ring, device = make(place, Feature.EVENT_IDX)
    ring.interrupts("event", after=3)
    calls = []
    lend(ring, range(4))
    for _ in range(4):
        device.complete(device.fetch()[0], 0)
        calls.append(device.wants_call())
    assert calls == [False, False, True, False]


@kinds
def test_ring_refuses_an_unknown_id(place):
    ring, device = make(place)
    ident = [ring.add(chain(0, 1))]
    ring.publish()
    device.fetch()
    if ring.packed:
        device.slots[15 - ident[0]] = 1
    device.complete(15 - ident[0], 0)
    with pytest.raises(GuestFault):
        ring.used()


@kinds
def test_ring_refuses_more_bytes_than_writable(place):
    ring, device = make(place)
    lend(ring, [0], 2, writable=True)
    device.complete(device.fetch()[0], 33)
    with pytest.raises(GuestFault):
        ring.used()


@kinds
def test_ring_refuses_use_of_nothing(place):
    ring, device = make(place)
    if ring.packed:
        device.slots[3] = 1
    device.complete(3, 0)
    with pytest.raises(GuestFault):
        ring.used()


@kinds
def test_ring_writes_raw_descriptors(place):
    ring, device = make(place)
    ring.add_raw([Raw(0xDEAD000, 7, 1), Raw(0xBEEF000, 9, 2)], token="raw")
    ring.publish()
    ident, got = device.fetch()
    assert got == [(0xDEAD000, 7, False), (0xBEEF000, 9, True)]
    device.complete(ident, 99)
    assert ring.used() == [(ident, 99, "raw")]


def queues(place, layout, mergeable=True, size=500):
    """A transmit and a receive queue, each with its toy device."""
    tx_ring, tx_device = make(place)
    rx_ring, rx_device = make(place)
    tx = TxQueue(tx_ring, Pool(tx_ring.memory), 12, layout)
    rx = RxQueue(rx_ring, Pool(rx_ring.memory), 12, layout, size, mergeable, True)
    return (tx, tx_device), (rx, rx_device)


def take(device, memory):
    """What the guest transmitted next: (id, bytes with header)."""
    ident, segs = device.fetch()
    return ident, b"".join(memory.read(g, n) for g, n, _ in segs)


def put(device, memory, data):
    """Write data into the next chain; (id, bytes written)."""
    ident, segs = device.fetch()
    for gpa, length, _ in segs:
        memory.write(gpa, data[:length])
        data = data[length:]
    return ident, data


@kinds
@pytest.mark.parametrize("layout", [DIRECT, CHAINED, INDIRECT])
def test_queues_carry_frames(place, layout):
    (tx, txd), (rx, rxd) = queues(place, layout)
    for number in range(40):
        frame = make_frame(14 + 11 * number, number)
        tx.post(frame)
        tx.ring.publish()
        ident, data = take(txd, tx.ring.memory)
        assert data[:12] == bytes(12) and data[12:] == frame
        txd.complete(ident, 0)
        assert tx.reap() == 1
        rx.fill()
        rx.ring.publish()
        assert rx.poll() is None
        head = bytes(10) + b"\1\0"
        ident, _ = put(rxd, rx.ring.memory, head + frame)
        rxd.complete(ident, 12 + len(frame))
        assert rx.poll() == frame


@kinds
@pytest.mark.parametrize("count,second,good", [
    (2, 300, True), (1, 300, False), (3, 300, False), (0, 300, False)])
def test_rx_joins_buffers(place, count, second, good):
    _, (rx, device) = queues(place, DIRECT)
    rx.fill()
    rx.ring.publish()
    frame = make_frame(488 + second)
    data = bytes(10) + bytes([count, 0]) + frame
    first, rest = put(device, rx.ring.memory, data)
    other, _ = put(device, rx.ring.memory, rest)
    device.complete(first, 500)
    device.complete(other, second)
    if good:
        assert rx.poll() == frame
    elif count == 1:
        assert rx.poll() == frame[:488]
    else:
        with pytest.raises(GuestFault):
            rx.poll()


@kinds
@pytest.mark.parametrize("header,mergeable", [
    (b"\1" + bytes(9) + b"\1\0", True),          # flags without GUEST_CSUM
    (b"\0\1" + bytes(8) + b"\1\0", True),        # gso without GUEST_TSO
    (bytes(10) + b"\0\0", False),                # num_buffers must be 1
    (bytes(4), True)])                           # header not whole
def test_rx_refuses_a_wrong_header(place, header, mergeable):
    _, (rx, device) = queues(place, DIRECT, mergeable)
    rx.fill()
    rx.ring.publish()
    data = header if len(header) < 12 else header + make_frame(60)
    ident, _ = put(device, rx.ring.memory, data)
    device.complete(ident, len(data))
    with pytest.raises(GuestFault):
        rx.poll()


@kinds
def test_rx_refuses_a_buffer_not_full_before_the_last(place):
    _, (rx, device) = queues(place, DIRECT)
    rx.fill()
    rx.ring.publish()
    data = bytes(10) + b"\2\0" + make_frame(600)
    first, rest = put(device, rx.ring.memory, data)
    other, _ = put(device, rx.ring.memory, rest)
    device.complete(first, 499)
    device.complete(other, 112)
    with pytest.raises(GuestFault):
        rx.poll()


@kinds
def test_tx_refuses_writes_into_its_buffers(place):
    (tx, device), _ = queues(place, DIRECT)
    tx.post(make_frame(60))
    tx.ring.publish()
    ident, segs = device.fetch()
    tx.ring.memory.write(segs[0][0] + 20, b"!")
    device.complete(ident, 0)
    with pytest.raises(GuestFault):
        tx.reap()
