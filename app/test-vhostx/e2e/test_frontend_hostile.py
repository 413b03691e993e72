# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Descriptors that no honest driver writes.

They may cost the ring that they are in; the other pair, the process and the
next front-end must not notice, and no byte beside a lent buffer may change.
"""

import os
from types import SimpleNamespace

import pytest

from frontend import Raw, Region, make_frame, protocol
from frontend.buffers import GUARD
from frontend.host import Host, Traffic
from frontend.protocol import Feature, Msg
from frontend.ring import INDIRECT, NEXT, WRITE, pack_desc

vhostx_only = pytest.mark.vhostx_only
formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
UNMAPPED = 0xDEAD0000000
HUGE = (1 << 64) - 64
AT = 64         # where in the guarded half a case's data begins
HALF = 1 << 16  # bytes for guarded data, and as many for a table


@pytest.fixture(scope="module", name="shared")
def _shared(setup):
    host = Host(setup, pairs=2, ports=2)
    yield host
    host.close()


@pytest.fixture(name="host")
def _host(shared):
    """testpmd with two pairs, which must be alive afterwards and forward."""
    yield shared.ensure()
    shared.assert_alive()
    shared.check(pairs=2)
    shared.assert_alive()


class Trap:
    """Guest memory for one case: a buffer among guards, and an indirect table."""

    def __init__(self, frontend):
        self.memory = frontend.memory
        self.packed = frontend.config.packed
        self.end = self.memory.regions[-1].end
        self.space = self.memory.alloc(2 * HALF, 4096)
        self.data = self.space + AT
        self.tables = self.space + HALF
        self.memory.write(self.space, GUARD * (HALF // len(GUARD)))

    def table(self, *rows):
        """Address and length of a table of (gpa, length, flags, next)."""
        data = b"".join(pack_desc(g, n, link if self.packed else flags,
                                  flags if self.packed else link)
                        for g, n, flags, link in rows)
        self.memory.write(self.tables, data)
        return self.tables, len(data)

    def check(self, written):
        """Only these first bytes of the data may have changed."""
        fresh = GUARD * (HALF // len(GUARD))
        now = self.memory.read(self.space, HALF)
        assert now[:AT] == fresh[:AT], "bytes before the buffer changed"
        assert now[AT + written:] == fresh[AT + written:], "bytes after it changed"


# Each case: name, descriptors from a Trap, bytes at its buffer that the device
# may write. W is the flag of the direction that is right for the ring.


def chains(trap, w):
    """Name to (descriptors, writable bytes) for both formats."""
    buf = trap.data
    good = (buf, 100, w, 0)
    cases = {
        "unmapped": lambda: ([Raw(UNMAPPED, 100, w)], 0),
        "unmapped-second": lambda: ([Raw(buf, 64, w | NEXT), Raw(UNMAPPED, 100, w)], 64),
        "null": lambda: ([Raw(1 << 60, 100, w)], 0),
        "wraps": lambda: ([Raw(HUGE, 128, w)], 0),
        "beyond-the-end": lambda: ([Raw(trap.end - 16, 4096, w)], 0),
        "length-0": lambda: ([Raw(buf, 0, w)], 0),
        "length-0-then-good": lambda: ([Raw(buf, 0, w | NEXT), Raw(buf, 256, w)], 256),
        "length-0-often": lambda: ([Raw(buf, 0, w | NEXT)] * 20 + [Raw(buf, 256, w)], 256),
        "length-1": lambda: ([Raw(buf, 1, w)], 1),
        "length-9": lambda: ([Raw(buf, 9, w)], 9),
        "length-11": lambda: ([Raw(buf, 11, w)], 11),
        "header-only": lambda: ([Raw(buf, 12, w)], 12),
        "header-plus-1": lambda: ([Raw(buf, 13, w)], 13),
        "ones": lambda: ([Raw(buf + i, 1, w | NEXT) for i in range(12)]
            + [Raw(buf + 12, 1, w)], 13),
        "one-then-short": lambda: ([Raw(buf, 1, w | NEXT), Raw(buf + 1, 2, w | NEXT),
            Raw(buf + 3, 1, w)], 4),
        "length-max": lambda: ([Raw(buf, 0xFFFFFFFF, w)], 0),
        "sum-over-4g": lambda: ([Raw(buf, 0x80000000, w | NEXT)] * 3
            + [Raw(buf, 64, w)], 64),
        "wrong-direction": lambda: ([Raw(buf, 256, w ^ WRITE)], 0),
        "mixed-direction": lambda: ([Raw(buf, 256, w | NEXT), Raw(buf + 256, 256, w ^ WRITE)],
            512),
        "indirect-and-next": lambda: ([Raw(*trap.table(good), INDIRECT | NEXT),
            Raw(buf, 100, w)], 100),
        "indirect-nested": lambda: ([Raw(*trap.table((trap.tables, 32, INDIRECT, 0),
            good), INDIRECT)], 100),
        "indirect-odd": lambda: ([Raw(trap.table(good, good)[0], 17, INDIRECT)], 100),
        "indirect-empty": lambda: ([Raw(trap.table(good)[0], 0, INDIRECT)], 0),
        "indirect-15": lambda: ([Raw(trap.table(good)[0], 15, INDIRECT)], 0),
        "indirect-huge": lambda: ([Raw(trap.table(good)[0], 0xFFFFFFF0, INDIRECT)], 100),
        "indirect-64k": lambda: ([Raw(trap.table(*[good] * 4000)[0], 64000, INDIRECT)], 100),
        "indirect-unmapped": lambda: ([Raw(UNMAPPED, 16, INDIRECT)], 0),
        "indirect-to-unmapped": lambda: ([Raw(*trap.table((UNMAPPED, 100, w, 0)), INDIRECT)],
            0),
        "indirect-across-the-end": lambda: ([Raw(trap.end - 16, 64, INDIRECT)], 0),
        "indirect-of-zeroes": lambda: ([Raw(*trap.table(*[(buf, 0, w | NEXT, i + 1)
            for i in range(8)]), INDIRECT)], 0),
        "reserved-flags": lambda: ([Raw(buf, 256, w | 0x7F78 & ~(1 << 7))], 256),
    }
    if not trap.packed:
        cases.update(split_chains(trap, w, buf))
    return cases


def split_chains(trap, w, buf):
    """Cases that only a table with next fields can have."""
    return {
        # NEXT on the last descriptor leads back to the first.
        "loop-of-one": lambda: ([Raw(buf, 16, w | NEXT)], 4096),
        "loop-of-two": lambda: ([Raw(buf, 16, w | NEXT), Raw(buf, 16, w | NEXT)], 4096),
        "loop-of-zeroes": lambda: ([Raw(buf, 0, w | NEXT)], 0),
        "next-past-the-table": lambda: ([Raw(buf, 64, w | NEXT, next=256)], 64),
        "next-65535": lambda: ([Raw(buf, 64, w | NEXT, next=0xFFFF)], 64),
        "indirect-loop": lambda: ([Raw(*trap.table((buf, 16, w | NEXT, 1),
            (buf, 16, w | NEXT, 0)), INDIRECT)], 4096),
        "indirect-next-outside": lambda: ([Raw(*trap.table((buf, 16, w | NEXT, 9)),
            INDIRECT)], 16),
    }


def names(packed):
    """Names of the cases of a format: only called cases touch the trap."""
    return chains(SimpleNamespace(packed=packed, tables=0, end=0, data=0), 0)


CASES = [pytest.param(packed, name, id=f"{'packed' if packed else 'split'}-{name}")
         for packed in (False, True) for name in names(packed)]


def control_trip(frontend, times=5):
    """Let the control thread go round: it must be free."""
    for _ in range(times):
        frontend.conn.ask(Msg.GET_FEATURES)


@vhostx_only
@pytest.mark.parametrize("packed,name", CASES)
def test_hostile_transmit_chain(host, packed, name):
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(0, [make_frame(100 + i, i) for i in range(10)])
        trap = Trap(frontend)
        raws, _ = chains(trap, 0)[name]()
        with Traffic(frontend, pair=1) as traffic:
            frontend.vrings[1].ring.add_raw(raws)
            frontend.vrings[1].ring.publish()
            frontend.kick(1)
            traffic.progress()
            control_trip(frontend)
        trap.check(0)
    host.assert_alive()


@vhostx_only
@pytest.mark.parametrize("mergeable", [True, False], ids=["mergeable", "plain"])
@pytest.mark.parametrize("packed,name", CASES)
def test_hostile_receive_chain(host, packed, name, mergeable):
    with host.frontend(pairs=2, packed=packed, mergeable=mergeable,
                       rx_limit=0) as frontend:
        trap = Trap(frontend)
        raws, writable = chains(trap, WRITE)[name]()
        ring = frontend.vrings[0].ring
        ring.add_raw(raws)  # the hostile chain first, good ones behind it
        for pair in (0, 1):
            frontend.rx[pair].limit = 16
            frontend.rx[pair].fill()
            frontend.vrings[2 * pair].ring.publish()
            frontend.kick(2 * pair)
        with Traffic(frontend, pair=1, burst=8) as traffic:
            frontend.send_burst(0, [make_frame(60 + 340 * (i % 2), i) for i in range(8)])
            traffic.progress()
            control_trip(frontend)
        for buffer in lent_buffers(frontend):
            buffer.check()
        trap.check(writable)
    host.assert_alive()


def lent_buffers(frontend):
    """Buffers of pair 0's receive ring that are still lent."""
    ring = frontend.vrings[0].ring
    return [b for c in ring.outstanding.values() for b in c.token or ()]


# Rings


def avail_jump(ring):
    """More available than the ring has entries."""
    ring.poke_avail_idx(ring.avail_idx + ring.size + 1)


def avail_jump_far(ring):
    """Half the index space at once."""
    ring.poke_avail_idx(ring.avail_idx + 0x8000)


def avail_back(ring):
    """The index steps back."""
    ring.poke_avail_idx(ring.avail_idx - 3)


def head_past_table(ring):
    """A head that the table has not."""
    ring.poke_avail(ring.avail_idx, ring.size)
    ring.poke_avail_idx(ring.avail_idx + 1)


def head_65535(ring):
    """The largest head."""
    ring.poke_avail(ring.avail_idx, 0xFFFF)
    ring.poke_avail_idx(ring.avail_idx + 1)


@vhostx_only
@pytest.mark.parametrize("vring", [0, 1], ids=["receive", "transmit"])
@pytest.mark.parametrize("poke", [avail_jump, avail_jump_far, avail_back,
                                  head_past_table, head_65535])
def test_hostile_split_ring(host, poke, vring):
    with host.frontend(pairs=2) as frontend:
        frontend.echo(0, [make_frame(100 + i, i) for i in range(10)])
        with Traffic(frontend, pair=1) as traffic:
            poke(frontend.vrings[vring].ring)
            frontend.kick(vring)
            if vring == 0:
                frontend.send_burst(0, [make_frame(400, i) for i in range(8)])
            traffic.progress()
            control_trip(frontend)


def endless_chain(ring):
    """Every descriptor of the ring has NEXT."""
    gpa = ring.desc
    for slot in range(ring.size):
        wrap = ring.avail_wrap if slot >= ring.next_avail else 1 - ring.avail_wrap
        bits = 1 << 7 if wrap else 1 << 15
        ring.poke_desc(slot, gpa, 16, 0, bits | NEXT)


def unfinished_chain(ring):
    """NEXT, but the descriptor after is not available."""
    ring.poke_desc(ring.next_avail, ring.desc, 64, 0, ring.avail_bits() | NEXT)


def id_past_ring(ring):
    """A buffer id beyond the ring's size, legal or not: it is returned or refused."""
    ring.poke_desc(ring.next_avail, ring.desc, 64, 0xFFFF, ring.avail_bits())


def id_repeated(ring):
    """The same buffer id twice."""
    slot = ring.next_avail
    for _ in range(2):
        ring.poke_desc(slot, ring.desc, 64, 5, ring.avail_bits())
        slot += 1


def flags_flap(ring):
    """A descriptor comes and goes."""
    slot, bits = ring.next_avail, ring.avail_bits()
    for turn in range(2000):
        ring.poke_desc(slot, ring.desc, 64, 5, bits if turn % 2 else bits ^ 0x8080)


@vhostx_only
@pytest.mark.parametrize("vring", [0, 1], ids=["receive", "transmit"])
@pytest.mark.parametrize("poke", [endless_chain, unfinished_chain, id_past_ring,
                                  id_repeated, flags_flap])
def test_hostile_packed_ring(host, poke, vring):
    with host.frontend(pairs=2, packed=True, rx_limit=16) as frontend:
        frontend.echo(0, [make_frame(100 + i, i) for i in range(10)])
        with Traffic(frontend, pair=1) as traffic:
            poke(frontend.vrings[vring].ring)
            frontend.kick(vring)
            if vring == 0:
                frontend.send_burst(0, [make_frame(400, i) for i in range(8)])
            traffic.progress()
            control_trip(frontend)


@vhostx_only
@pytest.mark.parametrize("vring", [0, 1], ids=["receive", "transmit"])
def test_packed_ring_gets_fewer_entries_than_its_position(host, vring):
    """Nothing behind its new end is taken; with its entries back it goes on."""
    sent = [make_frame(400, i) for i in range(8)]
    with host.frontend(packed=True, start=200) as frontend:
        frontend.echo(0, [make_frame(100 + i, i) for i in range(10)])
        frontend.flush(0)
        frontend.say(Msg.SET_VRING_NUM, protocol.vring_state(vring, 64))
        frontend.send_burst(0, sent)
        host.check(port=1)  # its poller has been at this port as well
        assert frontend.vrings[vring].ring.pending() == 0
        frontend.say(Msg.SET_VRING_NUM, protocol.vring_state(vring, 256))
        if vring == 0:  # what was sent meanwhile was for a guest that took nothing
            frontend.send_burst(0, sent)
        assert [frontend.recv(0) for _ in sent] == sent


@vhostx_only
def test_split_ring_becomes_packed_behind_its_end(host):
    """Its index is no slot: what would be there must not be looked at."""
    with host.frontend(pairs=2, start=60000) as frontend:
        frontend.echo(0, [make_frame(100 + i, i) for i in range(10)])
        frontend.flush(0)
        ring, frame = frontend.vrings[1].ring, bytes(12) + make_frame(200)
        buffer = frontend.memory.alloc(len(frame))
        frontend.memory.write(buffer, frame)
        # To be taken by a ring whose wrap counter is 0, as it is in one that was split.
        behind = ring.desc + 16 * 60000
        entries = b"".join(pack_desc(buffer, len(frame), i, 1 << 15) for i in range(32))
        frontend.memory.write(behind, entries)
        frontend.say(Msg.SET_FEATURES, protocol.u64(frontend.features | Feature.RING_PACKED))
        host.check(port=1)  # its poller has been at this port as well
        assert frontend.memory.read(behind, len(entries)) == entries


@vhostx_only
@formats
def test_hostile_event_fields(host, packed):
    """used_event and driver event with values that make no sense."""
    with host.frontend(packed=packed, event_idx=True) as frontend:
        ring = frontend.vrings[0].ring
        for value in (0xFFFF, 0x8000 | ring.size, 0x7FFF, 3):
            if packed:
                for mode in (2, 3, 0xFFFF):
                    frontend.memory.store(ring.driver, 4, mode << 16 | value)
                    frontend.echo(0, [make_frame(64, value)])
            else:
                frontend.memory.store(ring.avail + 4 + 2 * ring.size, 2, value)
                frontend.memory.store(ring.avail, 2, value)
                frontend.echo(0, [make_frame(64, value)])


# Notification


@vhostx_only
@formats
@pytest.mark.parametrize("vring", [0, 1], ids=["receive", "transmit"])
def test_full_call_eventfd_blocks_nobody(host, packed, vring):
    with host.frontend(pairs=2, packed=packed) as frontend:
        full = os.eventfd(0)  # blocking
        os.eventfd_write(full, (1 << 64) - 2)
        frontend.say(Msg.SET_VRING_CALL, protocol.u64(vring), [full])
        frontend.vrings[vring].ring.interrupts("always")
        frontend.echo(0, [make_frame(100 + i, i) for i in range(100)])
        frontend.flush(0)
        frontend.echo(1, [make_frame(100 + i, i) for i in range(20)])
        control_trip(frontend)
        os.close(full)


@vhostx_only
@formats
@pytest.mark.parametrize("kind", ["file", "socket", "none"])
def test_strange_call_descriptor(host, packed, kind):
    with host.frontend(pairs=2, packed=packed) as frontend:
        strange = (os.memfd_create("call") if kind == "file" else
                   os.dup(frontend.conn.sock.fileno()))
        value, fds = (0, [strange]) if kind != "none" else (protocol.NOFD, [])
        try:
            answer = frontend.conn.acked(Msg.SET_VRING_CALL, protocol.u64(value), fds)
        except ConnectionError:
            answer = 1
        os.close(strange)
        if not answer:
            frontend.vrings[0].ring.interrupts("always")
            frontend.echo(0, [make_frame(100 + i, i) for i in range(20)])


@vhostx_only
@formats
def test_memory_shrinks_after_a_region_is_unplugged(host, packed):
    """Ring entries that point into memory that is gone are faults, no crash."""
    with host.frontend(pairs=2, packed=packed, add_regions=True) as frontend:
        region = frontend.memory.add(Region(1 << 32, 1 << 20))
        frontend.add_region(region)
        frontend.remove_region(region)
        ring = frontend.vrings[1].ring
        with Traffic(frontend, pair=1) as traffic:
            ring.add_raw([Raw(region.gpa, 200, 0)])
            ring.publish()
            frontend.kick(1)
            traffic.progress()
        frontend.memory.remove(region).close()
