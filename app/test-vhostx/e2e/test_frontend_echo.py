# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Frames through the driver and back, over every shape of ring and buffer."""

import random

import pytest

from frontend import (CHAINED, DIRECT, INDIRECT, INDIRECT_ONE, SPLINTERS, Feature,
                      Layout, Memory, crossing, make_frame)

LAYOUTS = {"direct": DIRECT, "chained": CHAINED, "indirect": INDIRECT,
           "indirect-one": INDIRECT_ONE}
vhostx_only = pytest.mark.vhostx_only


def layouts(*names):
    """Parametrise over layouts by name."""
    return pytest.mark.parametrize("layout", [LAYOUTS[n] for n in names], ids=names)


formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
merges = pytest.mark.parametrize("mergeable", [True, False], ids=["mergeable", "plain"])


def frames(count, low=60, high=1518, seed=1):
    """Frames of mixed lengths, the extremes among them."""
    pick = random.Random(seed)
    lengths = [low, high] + [pick.randint(low, high) for _ in range(count - 2)]
    return [make_frame(length, i) for i, length in enumerate(lengths)]


def rx_size(mergeable, size=256, layout=DIRECT):
    """Bytes of a receive chain: small where packets may be spread."""
    roomy = size >= 64 or layout in (DIRECT, INDIRECT, INDIRECT_ONE)
    return 512 if mergeable and roomy else 2060


def run(host, mixed=None, **wishes):
    """Echo through one front-end, then assert where the rings stand."""
    mixed = mixed or frames(300)
    with host.frontend(**wishes) as frontend:
        frontend.echo(0, mixed)
        frontend.flush(0)
        return frontend.features


@formats
@merges
@layouts(*LAYOUTS)
@pytest.mark.parametrize("event_idx", [False, True], ids=["flags", "event-idx"])
@pytest.mark.parametrize("in_order", [False, True], ids=["any-order", "in-order"])
def test_echo_shapes(host, packed, mergeable, layout, event_idx, in_order):
    features = run(host, packed=packed, mergeable=mergeable, rx_layout=layout,
                   tx_layout=layout, event_idx=event_idx, in_order=in_order,
                   rx_size=rx_size(mergeable), interrupts="event" if event_idx
                   else "never")
    assert bool(features & Feature.RING_PACKED) == packed
    assert bool(features & Feature.EVENT_IDX) == event_idx
    assert bool(features & Feature.IN_ORDER) == in_order


@pytest.mark.parametrize("packed,size,start", [
    (False, 8, 0), (False, 8, 65530), (False, 1024, 1000), (False, 32768, 32700),
    (True, 7, 0), (True, 7, 3), (True, 100, 99), (True, 1024, 0),
    (True, 32768, 32700)])
@merges
@layouts("direct", "chained")
def test_echo_sizes(host, packed, size, start, mergeable, layout):
    run(host, packed=packed, size=size, start=start, mergeable=mergeable,
        rx_layout=layout, tx_layout=layout, rx_limit=1024,
        rx_size=rx_size(mergeable, size, layout))


@pytest.mark.parametrize("size", [pytest.param(1, marks=vhostx_only), 2, 4])
@formats
def test_echo_tiny_rings(host, packed, size):
    run(host, mixed=frames(40), packed=packed, size=size)


@layouts(*LAYOUTS)
@pytest.mark.parametrize("mergeable,length", [(False, 10), (True, 12)])
def test_echo_legacy_header(host, layout, mergeable, length):
    with host.frontend(version_1=False, mergeable=mergeable, rx_layout=layout,
                       tx_layout=layout) as frontend:
        assert frontend.header_length() == length
        frontend.echo(0, frames(200))


@vhostx_only
@formats
@merges
@pytest.mark.parametrize("indirect", [False, True])
def test_echo_header_in_splinters(host, packed, mergeable, indirect):
    layout = Layout(SPLINTERS.cuts, indirect)
    run(host, packed=packed, mergeable=mergeable, tx_layout=layout,
        rx_layout=layout)


@formats
@pytest.mark.parametrize("length", [9000, 60000])
@pytest.mark.parametrize("tx", [DIRECT, Layout((12,) + (4000,) * 15),
                                Layout((12,) + (4000,) * 15, indirect=True)],
                         ids=["one", "chained", "indirect"])
def test_echo_jumbo_mergeable(host, packed, length, tx):
    run(host, mixed=[make_frame(length - i, i) for i in range(60)], packed=packed,
        tx_layout=tx, rx_size=2048)


@formats
@pytest.mark.parametrize("length", [9000, 60000])
@pytest.mark.parametrize("rx", [DIRECT, Layout((12,) + (4000,) * 15),
                                Layout((12,) + (4000,) * 15, indirect=True)],
                         ids=["one", "chained", "indirect"])
def test_echo_jumbo_plain(host, packed, length, rx):
    run(host, mixed=[make_frame(length - i, i) for i in range(60)], packed=packed,
        mergeable=False, rx_layout=rx, rx_size=length + 12)


@formats
@merges
@layouts("direct", "chained", "indirect")
def test_echo_buffers_cross_regions(host, packed, mergeable, layout):
    memory = Memory.adjacent(8, 1 << 20)
    run(host, memory=memory, packed=packed, mergeable=mergeable, rx_layout=layout,
        tx_layout=layout, place=crossing, size=16)
    memory.close()


@vhostx_only
@formats
@pytest.mark.parametrize("count, layout", [(64, DIRECT), (64, INDIRECT), (509, DIRECT)],
                         ids=["64-direct", "64-indirect", "509-direct"])
def test_echo_many_regions(host, packed, layout, count):
    memory = Memory.adjacent(count, 1 << 16)
    run(host, memory=memory, packed=packed, add_regions=True, place=crossing,
        rx_layout=layout, tx_layout=layout)
    memory.close()


@formats
def test_echo_regions_of_one_file(host, packed):
    memory = Memory.one_file([(0, 4 << 20), (1 << 32, 4 << 20)], gap=1 << 21)
    memory.claim(0, 3 << 20)  # so that most buffers lie in the high one
    run(host, memory=memory, packed=packed)
    memory.close()


@formats
def test_echo_pairs_are_apart(host, packed):
    with host.frontend(pairs=2, packed=packed) as frontend:
        for number in range(50):
            frontend.send(0, make_frame(100, number))
            frontend.send(1, make_frame(200, number))
        for number in range(50):
            assert frontend.recv(1) == make_frame(200, number)
            assert frontend.recv(0) == make_frame(100, number)


@formats
@pytest.mark.parametrize("event_idx", [False, True], ids=["flags", "event-idx"])
def test_echo_without_interrupts_raises_none(host, packed, event_idx):
    with host.frontend(packed=packed, event_idx=event_idx) as frontend:
        frontend.echo(0, frames(20))
        frontend.flush(0)
        for vring in (0, 1):
            frontend.calls(vring)
        frontend.echo(0, frames(100))
        frontend.flush(0)
        assert [frontend.calls(v) for v in (0, 1)] == [0, 0]


@formats
def test_echo_polled_ring_wants_no_kick(host, packed):
    with host.frontend(packed=packed) as frontend:
        frontend.echo(0, frames(20))
        frontend.tx[0].post(make_frame(60))
        assert not frontend.vrings[1].ring.publish()
        assert frontend.recv(0) == make_frame(60)


@formats
def test_echo_interrupt_comes_at_the_event_only(host, packed):
    with host.frontend(packed=packed, event_idx=True) as frontend:
        frontend.echo(0, frames(20))
        ring = frontend.vrings[0].ring
        ring.interrupts("event", after=5)
        frontend.calls(0)
        signals = []
        for number in range(1, 9):
            frontend.send(0, make_frame(64, number))
            frontend.wait(lambda: ring.pending() == number, "a used chain")
            if number == 5:
                frontend.wait(lambda: signals.append(5) if frontend.calls(0) else
                              signals, "an interrupt at the event")
            elif frontend.calls(0):
                signals.append(number)
        assert signals == [5]
