# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A guest behind an IOMMU: misses, answers, and pages that the guest takes back."""

import random
import threading
import time

import pytest

from frontend import (CHAINED, DIRECT, INDIRECT, Feature, IommuFrontend, IovaMemory,
                      Msg, Protocol, Segment, crossing, make_frame, protocol)
from frontend.host import Host, Traffic
from frontend.iommu import BOTH, GPA, IOVA, READ, UPDATE, WRITE, iotlb
from frontend.memory import PAGE
from frontend.migration import DirtyLog, Shadow, switch_log

formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
layouts = pytest.mark.parametrize("layout", [DIRECT, CHAINED, INDIRECT],
                                  ids=["direct", "chained", "indirect"])
vhostx_only = pytest.mark.vhostx_only
PORTS = 2
LIMIT = 0.050  # seconds, that a message of another port may wait


@pytest.fixture(scope="module", name="shared")
def _shared(setup):
    host = Host(setup, pairs=2, ports=PORTS, **{"iommu-support": 1})
    yield host
    host.close()


@pytest.fixture(name="host")
def _host(shared):
    """It sends again what a ring does not take while it waits for an answer."""
    with shared.ensure().patient():
        yield shared
    shared.assert_alive()


@pytest.fixture(name="memory")
def _memory():
    memory = IovaMemory()
    yield memory
    memory.close()


def guest(host, memory, **wishes):
    """A front-end with an IOMMU that is up and running."""
    return host.frontend(memory=memory, kind=IommuFrontend, **wishes)


def frames(count, number=0, low=60, high=1514):
    """Frames of all lengths."""
    step = max(1, (high - low) // count)
    return [make_frame(low + i * step, number + i) for i in range(count)]


@formats
@layouts
@pytest.mark.parametrize("mergeable", [True, False], ids=["mergeable", "plain"])
@pytest.mark.parametrize("place", [None, crossing], ids=["", "crossing"])
def test_iommu_echo(host, memory, packed, layout, mergeable, place):
    """Every page once is all that has to be asked for."""
    with guest(host, memory, packed=packed, rx_layout=layout, tx_layout=layout,
               mergeable=mergeable, place=place, size=64,
               rx_size=512 if mergeable else 2060) as frontend:
        frontend.echo(0, frames(200))
        frontend.flush(0)
        # Both rings may want a page at once, and a slow answer is asked for again.
        assert len(frontend.asked) < 2 * len(set(frontend.asked))
        once = len(frontend.asked)
        frontend.echo(0, frames(200))
        # Buffers move on through the pool: pages are new at times, never all.
        assert len(frontend.asked) < 1.5 * once


@formats
def test_iommu_jumbo_frames(host, memory, packed):
    with guest(host, memory, packed=packed, mergeable=False, place=crossing, size=32,
               rx_size=60012) as frontend:
        frontend.echo(0, [make_frame(59000 + i, i) for i in range(60)])


@formats
def test_iommu_permissions_are_kept(host, memory, packed):
    """Each page is allowed what was asked for and no more."""
    with guest(host, memory, packed=packed) as frontend:
        frontend.allow = lambda iova, perm: perm
        frontend.invalidate(0, 0)
        frontend.echo(0, frames(100))
        wanted = {perm for _, perm in frontend.asked}
        assert wanted == {READ, WRITE, BOTH}


@formats
def test_iommu_invalidation_under_traffic(host, memory, packed):
    """Pages go all the time, those of rings too; no frame is lost or wrong."""
    with guest(host, memory, packed=packed, pairs=2, timeout=20) as frontend:
        pick = random.Random(5)
        pages = [IOVA + i * PAGE for i in range(memory.size // PAGE)]
        with Traffic(frontend, 0) as one, Traffic(frontend, 1) as two:
            for turn in range(300):
                if turn % 50 == 0:
                    frontend.invalidate(0, 0)
                elif turn % 10 == 0:
                    ring = pick.choice(frontend.vrings).ring
                    frontend.invalidate(pick.choice(ring.addresses()) & -PAGE)
                else:
                    asked = pick.choice(frontend.asked or [(pages[0], 0)])[0]
                    frontend.invalidate(asked, PAGE * pick.choice([1, 1, 2, 16]))
            one.progress(100)
            two.progress(100)


@vhostx_only
@formats
def test_iommu_page_taken_back_is_not_written(host, memory, packed):
    """After the acknowledgement a lent buffer's page belongs to the guest alone."""
    with guest(host, memory, packed=packed, size=8, rx_size=2060) as frontend:
        frontend.echo(0, frames(50))
        buffers = [chain.token[0] for chain in frontend.vrings[0].ring.outstanding.values()]
        lent = {buffer.gpa & -PAGE for buffer in buffers}
        frontend.allow = lambda iova, perm: None if iova in lent else BOTH
        for page in lent:
            frontend.invalidate(page, 2 * PAGE)
        before = [buffer.read() for buffer in buffers]
        asked = sum(page in lent for page, _ in frontend.asked)
        sent = frames(6, 1000)
        frontend.send_burst(0, sent)
        # Asked twice, so that the host has tried in between.
        frontend.wait(lambda: sum(page in lent for page, _ in frontend.asked) >= asked + 2,
                      "misses of a page that was taken back")
        assert [buffer.read() for buffer in buffers] == before
        frontend.allow = lambda iova, perm: BOTH
        for page in lent:
            frontend.update(page)
        assert [frontend.recv(0) for _ in sent] == sent


def asked_pages(frontend):
    """Pages that were asked for so far."""
    return {iova for iova, _ in frontend.asked}


@vhostx_only
@formats
def test_iommu_burst_is_asked_for_at_once(host, memory, packed):
    """All pages of a burst are known before the first is answered: one round trip."""
    with guest(host, memory, packed=packed) as frontend:
        frontend.echo(0, frames(20))
        frontend.flush(0)
        sent = frames(32, 500)
        pages = {memory.alloc(PAGE, PAGE): frame for frame in sent}
        frontend.allow = lambda iova, perm: None if iova in pages else BOTH
        for page, frame in pages.items():
            memory.write(page, bytes(12) + frame)
            frontend.vrings[1].ring.add([Segment(page, 12 + len(frame), False)], token=([], b""))
        frontend._publish(1)
        frontend.wait(lambda: pages.keys() <= asked_pages(frontend), "all pages to be asked for", timeout=1)
        for page in pages:
            frontend.update(page)
        assert [frontend.recv(0) for _ in sent] == sent


@vhostx_only
@formats
def test_iommu_lent_pages_are_asked_for_ahead(host, memory, packed):
    """One frame makes the host ask for the buffers of the next ones too."""
    def page_each(memory, _):
        return memory.alloc(PAGE, PAGE)
    with guest(host, memory, packed=packed, size=64, place=page_each) as frontend:
        frontend.allow = lambda iova, perm: perm
        frontend.echo(0, frames(1))
        lent = {chain.token[0].gpa & -PAGE for chain in frontend.vrings[0].ring.outstanding.values()}
        frontend.wait(lambda: lent <= asked_pages(frontend), "all lent pages to be asked for")
        asked = len(frontend.asked)
        frontend.send_burst(0, frames(40))
        assert len([frontend.recv(0) for _ in range(40)]) == 40
        assert not lent & {iova for iova, _ in frontend.asked[asked:]}


@vhostx_only
@formats
def test_iommu_ring_is_asked_for_at_once(host, memory, packed):
    """A ring of many pages does not come back page by page."""
    with guest(host, memory, packed=packed, size=1024, rx_limit=16) as frontend:
        frontend.echo(0, frames(20))
        own = set()
        for vring in frontend.vrings:
            for address, length in vring.ring._areas:
                own |= set(range(address & -PAGE, address + length, PAGE))
        frontend.allow = lambda iova, perm: None
        before = len(frontend.asked)
        frontend.invalidate(0, 0)
        frontend.wait(lambda: own <= {iova for iova, _ in frontend.asked[before:]},
                      "all pages of both rings to be asked for", timeout=1)
        frontend.allow = lambda iova, perm: BOTH
        for page in own:
            frontend.update(page)
        frontend.echo(0, frames(20))


@vhostx_only
@formats
def test_iommu_ring_in_pieces(host, packed):
    """A Linux guest gets the pages of a ring one by one, wherever they are free."""
    memory = IovaMemory(size=1 << 20, chunk=PAGE)
    try:
        with guest(host, memory, packed=packed, size=512, rx_limit=32, rx_size=1600) as frontend:
            ring = frontend.vrings[0].ring
            assert memory.user(ring.desc) + PAGE != memory.user(ring.desc + PAGE)
            frontend.echo(0, frames(600))
            for address in ring.addresses():
                frontend.invalidate(address & -PAGE)
                frontend.echo(0, frames(20))
            frontend.stop()
            frontend.start()
            frontend.echo(0, frames(600))
    finally:
        memory.close()


@vhostx_only
@formats
def test_iommu_silence_stops_one_ring_only(host, memory, packed):
    """A page that nobody answers for: its ring waits, all others go on."""
    with guest(host, memory, packed=packed, pairs=2) as frontend:
        frontend.echo(0, frames(20))
        frontend.echo(1, frames(20))
        frontend.allow = lambda iova, perm: BOTH if hole != iova else None
        hole = memory.alloc(PAGE, PAGE)
        frontend.vrings[1].ring.add([Segment(hole, 100, False)], token=([], b""))
        frontend._publish(1)
        frontend.wait(lambda: (hole, READ) in frontend.asked, "the miss")
        frontend.echo(1, frames(100))
        with host.frontend(port=1) as other:
            other.echo(0, frames(20))
        frontend.update(hole)
        frontend.wait(lambda: not frontend.vrings[1].ring.outstanding or
                      frontend.vrings[1].ring.used(), "the chain to come back")


@vhostx_only
@formats
def test_iommu_denial_costs_one_chain(host, memory, packed):
    """"No access" is an answer: the chain goes back, and the next one is taken."""
    with guest(host, memory, packed=packed) as frontend:
        frontend.echo(0, frames(20))
        hole = memory.alloc(PAGE, PAGE)
        frontend.allow = lambda iova, perm: BOTH if hole != iova else 0
        frontend.flush(0)
        frontend.vrings[1].ring.add([Segment(hole, 100, False)], token=([], b""))
        frontend._publish(1)
        frontend.echo(0, frames(20))


@vhostx_only
@formats
def test_iommu_question_comes_again(host, memory, packed):
    """A front-end that forgets a question is asked once more."""
    with guest(host, memory, packed=packed) as frontend:
        seen = []
        frontend.allow = lambda iova, perm: BOTH if iova in seen else seen.append(iova)
        frontend.invalidate(0, 0)
        frontend.echo(0, [make_frame(64)])


@vhostx_only
@formats
def test_iommu_restart_begins_anew(host, memory, packed):
    """From the stop of a ring on the guest may remap what it likes."""
    with guest(host, memory, packed=packed) as frontend:
        for turn in range(5):
            frontend.echo(0, frames(20, turn * 20))
            frontend.flush(0)
            asked = len(frontend.asked)
            frontend.stop()
            frontend.start()
            frontend.echo(0, frames(20))
            assert len(frontend.asked) > asked


@formats
def test_iommu_reconnect(host, memory, packed):
    with guest(host, memory, packed=packed) as frontend:
        for turn in range(5):
            frontend.echo(0, frames(20, turn * 20))
            frontend.flush(0)
            frontend.reconnect()
        frontend.echo(0, frames(20))


def logged(frontend, memory, sent):
    """Echo frames with the log on, in which every page must be that has changed. Returns the pages in it."""
    log = DirtyLog(memory)
    log.install(frontend)
    switch_log(frontend, True)
    shadow = Shadow(memory)
    frontend.echo(0, sent)
    frontend.flush(0)
    frontend.stop()
    changed = {memory.gpa(page * PAGE) // PAGE for page in shadow.written()}
    marked = log.pages()
    shadow.close()
    log.close()
    assert changed, "the back-end wrote nothing"
    assert changed <= marked, f"not in the log: {sorted(changed - marked)}"
    return marked


@vhostx_only
@formats
@layouts
def test_iommu_log_has_guest_physical_pages(host, memory, packed, layout):
    with guest(host, memory, packed=packed, rx_layout=layout, tx_layout=layout, size=64,
               place=crossing, more_features=Feature.LOG_ALL) as frontend:
        frontend.echo(0, frames(20))
        marked = logged(frontend, memory, frames(60))
        assert all(GPA <= page * PAGE < GPA + memory.size for page in marked)


@vhostx_only
@formats
def test_iommu_log_has_ring_in_pieces(host, packed):
    """What is written into such a ring is logged where it really is."""
    memory = IovaMemory(size=1 << 20, chunk=PAGE)
    try:
        with guest(host, memory, packed=packed, size=512, rx_limit=32, rx_size=1600,
                   more_features=Feature.LOG_ALL) as frontend:
            logged(frontend, memory, frames(600))
    finally:
        memory.close()


@vhostx_only
def test_iommu_flood_of_updates_stays_bounded(host, memory):
    """More entries than the cache has, beside a port that wants to be served."""
    with guest(host, memory, protocol=~Protocol.STATUS) as frontend, \
            host.frontend(port=1) as other:
        frontend.echo(0, frames(20))
        ending = threading.Event()
        sent = []

        def flood():
            number = 0
            while not ending.is_set():
                batch = b"".join(protocol.message(Msg.IOTLB_MSG, iotlb(
                    UPDATE, (1 << 50) + 2 * PAGE * (number + i), PAGE,
                    memory.user(IOVA), BOTH)) for i in range(100))
                with frontend.conn.lock:
                    frontend.conn.send_raw(batch)
                number += 100
                sent.append(100)
        before = memory_of(host)
        thread = threading.Thread(target=flood)
        thread.start()
        try:
            waits = []
            while sum(sent) < 60000:
                began = time.monotonic()
                other.conn.ask(Msg.GET_FEATURES)
                waits.append(time.monotonic() - began)
                time.sleep(0.002)
        finally:
            ending.set()
            thread.join(30)
        waits.sort()
        assert waits[-1 - len(waits) // 100] <= LIMIT, waits[-10:]
        assert int(host.pmd.xstats(0)["iotlb_entries"]) <= 16384
        assert memory_of(host) - before < 8 << 20
        frontend.echo(0, frames(20))
        other.echo(0, frames(20))


def memory_of(host):
    """Bytes of memory that testpmd has in use."""
    with open(f"/proc/{host.pmd.pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE


@vhostx_only
def test_iommu_without_channel_is_told(host, memory):
    """Rings that cannot be found are no reason to fail, but to say so."""
    wish = ~(Protocol.BACKEND_REQ | Protocol.STATUS)

    class Mute(IommuFrontend):
        """Has no channel."""

        def negotiate(self):
            self.config.more_features |= Feature.ACCESS_PLATFORM
            super(IommuFrontend, self).negotiate()

    with host.frontend(memory=memory, kind=Mute, protocol=wish):
        host.pmd.wait_log("cannot be asked for the guest's addresses")
