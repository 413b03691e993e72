# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Post-copy: traffic flows before the guest's memory is there, and not a byte is wrong."""

import contextlib
import time
from pathlib import Path

import pytest

import hugepages
from frontend import DIRECT, INDIRECT, Frontend, Memory, Msg, Protocol, crossing, make_frame, protocol
from frontend.host import Host, Traffic
from frontend.memory import HUGE, PAGE
from frontend.postcopy import PostCopy
from testpmd import wait_until

pytestmark = pytest.mark.vhostx_only

formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
WAITING = 16  # frames in the ring while the guest moves


@pytest.fixture(scope="module", name="shared")
def _shared(setup):
    host = Host(setup, pairs=1, ports=2, **{"postcopy-support": 1})
    yield host
    host.close()


@pytest.fixture(name="memory")
def _memory(request):
    """8 MiB, in pages of the usual size unless a test asks for others."""
    page = getattr(request, "param", PAGE)
    with hugepages.borrowed(16) if page == HUGE else contextlib.nullcontext(True) as there:
        if not there:
            pytest.skip("no hugepages")
        memory = Memory.adjacent(4, HUGE, page=page)
        yield memory
        memory.close()


both_pages = pytest.mark.parametrize("memory", [PAGE, HUGE], indirect=True, ids=["", "huge"])


def frames(count, first=0, length=1400):
    """Frames that tell their numbers."""
    return [make_frame(length, first + i) for i in range(count)]


class Move:
    """A guest that moves to the host's other port by post-copy."""

    def __init__(self, host, memory, delay=0.0, regions=False, **wishes):
        self.regions = regions
        self.host = host
        self.guest = Frontend(host.socket(0), host.config(**wishes), memory=memory).up()
        assert self.guest.protocol & Protocol.PAGEFAULT
        self.guest.echo(0, frames(40))
        self.guest.flush(0)
        self.guest.stop()
        # Not seen by the old host: their pages come when the new one asks for them.
        self.guest.send_burst(0, frames(WAITING, 1000))
        self.guest.disconnect()
        self.copy = PostCopy(memory, delay)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.copy.stop()
        self.guest.close()

    def begin(self):
        """Up to POSTCOPY_LISTEN."""
        self.guest.path = self.host.socket(1)
        self.guest.open()
        self.guest.negotiate()
        conn = self.guest.conn
        for _ in range(2):  # once for each queue pair
            self.copy.advise(conn)
        self.copy.listen(conn)
        return self

    def run(self):
        """Memory, then the rings, where they were."""
        conn = self.guest.conn
        if self.regions:
            for region in self.guest.memory.regions:
                self.copy.add(conn, region)
            self.copy.acknowledge(conn, Msg.ADD_MEM_REG)
        else:
            self.copy.share(conn)
        for vring in self.guest.vrings:
            vring.running = False
        self.guest.start()
        return self

    def start_untouched(self, index):
        """Start one ring, of which the guest touches nothing either."""
        guest, vring = self.guest, self.guest.vrings[index]
        desc, used, avail = (guest.memory.user(gpa) for gpa in vring.ring.addresses())
        guest.enable(index, True)
        guest.say(Msg.SET_VRING_NUM, protocol.vring_state(index, vring.ring.size))
        guest.say(Msg.SET_VRING_BASE, protocol.vring_state(index, vring.base))
        guest.say(Msg.SET_VRING_ADDR, protocol.vring_addr(index, desc, used, avail))
        guest.say(Msg.SET_VRING_KICK, protocol.u64(index), [vring.kick])

    def put_poller_to_sleep(self):
        """Begin, and start the ring that the guest sends on. The ring is there, its buffers are not, nor do they come."""
        guest = self.begin().guest
        self.copy.share(guest.conn)
        for gpa in guest.vrings[1].ring.addresses():
            guest.memory.read(gpa, 8192)
        self.copy.mute()
        guest.enable(1, True)
        guest.start_vring(1)
        self.copy.wait_fault()

    def receive_waiting(self):
        """What was in the ring meanwhile comes back right."""
        for sent in frames(WAITING, 1000):
            assert self.guest.recv(0) == sent


@formats
@pytest.mark.parametrize("layout", [DIRECT, INDIRECT], ids=["direct", "indirect"])
@pytest.mark.parametrize("regions", [False, True], ids=["table", "add"])
def test_postcopy_brings_what_is_touched(host, memory, packed, layout, regions):
    with Move(host, memory, packed=packed, regions=regions, rx_layout=layout,
              tx_layout=layout) as move:
        move.begin().run().receive_waiting()
        # The frames, the rings, and what they are received into.
        assert move.copy.faults >= 8
        with Traffic(move.guest) as traffic:
            traffic.progress(200)
            move.copy.send_all()
            traffic.progress(200)
            move.copy.end(move.guest.conn)
            traffic.progress(200)


@formats
@pytest.mark.parametrize("memory", [HUGE], indirect=True, ids=["huge"])
def test_postcopy_on_hugepages(host, memory, packed):
    """Each fault brings 2 MiB. Buffers cross from one page into the next; the guest has touched the first one."""
    with Move(host, memory, packed=packed, place=crossing, size=64, rx_limit=16) as move:
        move.begin().run().receive_waiting()
        assert 1 <= move.copy.faults <= len(memory.regions)
        with Traffic(move.guest) as traffic:
            traffic.progress(200)
            move.copy.send_all()
            move.copy.end(move.guest.conn)
            traffic.progress(200)


@formats
def test_postcopy_slow_pages_delay_and_nothing_more(host, memory, packed):
    """5 ms a page; frames that come meanwhile wait in their ring, all come back."""
    with Move(host, memory, delay=0.005, packed=packed) as move:
        move.begin().run().receive_waiting()
        with Traffic(move.guest) as traffic:
            traffic.progress(100)
            move.copy.send_all()
            move.copy.end(move.guest.conn)
            traffic.progress(100)


@both_pages
@formats
def test_postcopy_ring_waits_for_its_pages_apart(host, memory, packed):
    """While nobody brings a ring's pages, messages and the other port are served."""
    with Move(host, memory, packed=packed) as move:
        move.begin()
        move.copy.mute()
        move.copy.share(move.guest.conn)
        move.start_untouched(1)
        move.copy.wait_fault()
        start = time.monotonic()
        move.guest.conn.ask(Msg.GET_FEATURES)
        assert time.monotonic() - start < 0.5
        with host.frontend(0, packed=packed) as other:
            other.echo(0, frames(100))
        move.guest.stop_vring(1)
        move.guest.disconnect()
    host.check(port=1)


def threads(pid):
    """Names of a process's threads."""
    return [comm.read_text().strip() for comm in Path(f"/proc/{pid}/task").glob("*/comm")]


@formats
def test_postcopy_ring_stopped_before_its_pages_stops_no_other(host, memory, packed):
    """The pages of a ring come that runs no more. Nothing is said of the other one, which goes on."""
    with Move(host, memory, packed=packed) as move:
        guest = move.begin().guest
        move.copy.share(guest.conn)
        guest.enable(1, True)
        guest.start_vring(1)
        guest.flush(0)
        move.copy.mute()
        move.start_untouched(0)
        move.copy.wait_fault()
        guest.stop_vring(0)
        move.copy.send_all()
        wait_until(lambda: "vhostx-fetch" not in threads(host.pmd.pid), 5, "the end of the fetch")
        guest.send_burst(0, frames(WAITING, 2000))
        guest.flush(0, timeout=2)
        move.guest.disconnect()
    host.check(port=1)


@formats
def test_postcopy_poller_asleep_delays_no_other_port(host, memory, packed):
    """Messages that take a ring from a poller which sleeps in a fault wait alone, and are answered in the end."""
    with Move(host, memory, packed=packed) as move:
        move.put_poller_to_sleep()
        move.guest.conn.send(Msg.GET_VRING_BASE, protocol.vring_state(1, 0))
        with Frontend(host.socket(0), host.config(packed=packed)) as other:
            other.open()
            for _ in range(20):
                start = time.monotonic()
                other.conn.ask(Msg.GET_FEATURES)
                assert time.monotonic() - start < 0.05
        move.copy.send_all()
        assert move.guest.conn.recv().state()[0] == 1
        move.guest.disconnect()
        host.check(port=1)
        host.check(port=0)


@formats
def test_postcopy_dead_front_end_frees_its_poller(host, memory, packed):
    """It dies while the poller sleeps in a fault, and its file lives on."""
    with Move(host, memory, packed=packed) as move:
        move.put_poller_to_sleep()
        move.guest.disconnect()
        host.check(port=1)
        host.check(port=0)


@formats
def test_postcopy_waiting_message_ends_with_its_front_end(host, memory, packed):
    """It dies while its question waits for the poller; the next one is there before the driver has looked again."""
    for _ in range(3):
        with Move(host, memory, packed=packed) as move:
            move.put_poller_to_sleep()
            move.guest.conn.send(Msg.GET_VRING_BASE, protocol.vring_state(1, 0))
            with Frontend(host.socket(0), host.config(packed=packed)) as other:
                other.open()
                other.conn.ask(Msg.GET_FEATURES)  # the question was read
            move.guest.disconnect()
            newcomer = protocol.Connection.connect(host.socket(1))
            with pytest.raises(TimeoutError):
                newcomer.recv(0.05)
            newcomer.close()
    host.check(port=1)


def test_postcopy_needs_its_argument(setup, memory):
    """Without postcopy-support=1 PAGEFAULT is not offered."""
    plain = Host(setup, pairs=1).ensure()
    try:
        with plain.frontend(memory=memory) as frontend:
            assert not frontend.offered_protocol & Protocol.PAGEFAULT
            frontend.conn.send(Msg.POSTCOPY_ADVISE)
            assert frontend.conn.wait_closed()
        plain.check()
    finally:
        plain.close()
