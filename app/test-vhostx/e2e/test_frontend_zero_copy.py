# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Zero-copy ports whose packets are kept: what the guest may and may not do meanwhile.

testpmd's "noisy" mode keeps packets in a FIFO of 512. It sends all of it when it was idle for a while, which is
after the first packet, and then again KEEP_MS after that.
"""

import random
import select
import threading
import time
from pathlib import Path

import pytest

from frontend import CHAINED, INDIRECT, Feature, Memory, Msg, Raw, Region, make_frame, protocol
from frontend.host import Host
from testpmd import wait_until

pytestmark = pytest.mark.vhostx_only

formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
layouts = pytest.mark.parametrize("layout", [CHAINED, INDIRECT], ids=["chained", "indirect"])
LEND = {"dequeue-zero-copy": 1, "zc-threshold": 256}
KEEP_MS = 500
FIFO = 512
KEEP = ["--forward-mode=noisy", f"--noisy-tx-sw-buffer-size={FIFO}",
        f"--noisy-tx-sw-buffer-flushtime={KEEP_MS}"]
HEADER = 128  # bytes of a packet that are copied
LIMIT = 0.050  # seconds, that a message of another port may wait


@pytest.fixture(scope="module", name="keeping")
def _keeping(setup):
    """A testpmd that keeps what it receives, on two ports."""
    host = Host(setup, pairs=1, ports=2, args=KEEP, **LEND)
    yield host
    host.close()


@pytest.fixture(name="keeper")
def _keeper(keeping):
    """That testpmd, which must have all its mbufs afterwards, and no guest's memory."""
    keeping.ensure()
    whole = keeping.pmd.pool_size()
    yield keeping
    keeping.assert_alive()
    wait_until(lambda: keeping.pmd.free_mbufs() == whole, 5, "all mbufs are back")
    wait_until(lambda: guest_mappings(keeping) == 0, 5, "no guest's memory is mapped")
    assert out(keeping) == 0


@pytest.fixture(scope="module", name="passing")
def _passing(setup):
    """A testpmd that sends packets back at once."""
    host = Host(setup, pairs=1, **LEND)
    yield host
    host.close()


def out(host, port=0):
    """Buffers that are lent out."""
    return host.pmd.xstats(port)["zc_outstanding"]


def guest_mappings(host):
    """How many of the front-ends' memfds testpmd has mapped."""
    maps = Path(f"/proc/{host.pmd.pid}/maps").read_text(encoding="ascii")
    return sum("memfd:guest" in line for line in maps.splitlines())


def registered(host):
    """Memory regions that testpmd's EAL was told of: it keeps a file for each."""
    return len(list(Path(host.pmd.runtime_dir).rglob("fbarray_extmem_*")))


def frames(count, length=1000, number=0):
    """Frames that are lent."""
    return [make_frame(length - i % 50, number + i) for i in range(count)]


def keep(host, frontend, sent, port=0):
    """Have testpmd keep these frames."""
    frontend.send(0, make_frame(60))  # too short to be lent: the FIFO begins to wait
    assert frontend.recv(0) == make_frame(60)
    frontend.flush(0)
    frontend.send_burst(0, sent)
    wait_until(lambda: out(host, port) == len(sent), 1, f"{len(sent)} packets are kept")


def arrive(frontend, sent):
    """The kept frames come, as they were."""
    for frame in sent:
        assert frontend.recv(0, timeout=4) == frame


# Devices may read what is lent


@formats
def test_memory_is_registered_for_devices(keeper, packed):
    """Until the last packet is freed, which is after the front-end has gone."""
    with keeper.frontend(packed=packed) as frontend:
        sent = frames(10)
        keep(keeper, frontend, sent)
        assert registered(keeper) == 1
    assert registered(keeper) == 1
    wait_until(lambda: registered(keeper) == 0, 5, "the memory is registered no more")


@formats
def test_more_regions_than_can_be_registered(passing, packed):
    """The EAL has 128 lists: packets in other regions are copied, which the log tells."""
    passing.ensure()
    memory = Memory([Region(i << 21, 1 << 16 if i else 8 << 20, user=(1 << 40) + (i << 24))
                     for i in [0, *range(4, 304)]])
    start = len(passing.pmd.log)
    with passing.frontend(memory=memory, packed=packed, add_regions=True) as frontend:
        passing.pmd.wait_log(r"packets in \d+ of 301 memory regions of the guest are copied.*fewer and larger",
                             start=start)
        assert 100 < registered(passing) < 128  # the EAL's own memory has some
        pool = frontend.tx[0].pool
        for name, region in [("rx_q0_zc_packets", memory.regions[0]), ("rx_q0_zc_copied_no_dma", memory.regions[-1])]:
            places = iter(range(region.end - (1 << 15), region.end, 2048))
            pool._spare, pool.place = {}, lambda memory, length, places=places: next(places)
            before = passing.pmd.xstats(0)[name]
            frontend.echo(0, frames(10))
            assert passing.pmd.xstats(0)[name] == before + 10
            frontend.flush(0)
    wait_until(lambda: registered(passing) == 0, 5, "the memory is registered no more")
    memory.close()


# The guest goes on


@formats
@pytest.mark.parametrize("size", [64, 256])
def test_keeper_does_not_starve_the_guest(keeper, packed, size):
    """The FIFO has room for more packets than the ring has buffers."""
    with keeper.frontend(packed=packed, size=size) as frontend:
        keep(keeper, frontend, frames(1))
        before = keeper.pmd.xstats(0)
        last = -1
        for number in range(3 * FIFO):
            frontend.send(0, make_frame(600, number))  # waits for room in the ring
            if (frame := frontend.poll(0)) is not None and len(frame) == 600:
                number = int.from_bytes(frame[14:18], "big")
                assert frame == make_frame(600, number) and number > last
                last = number
        wait_until(lambda: sum(since(keeper, before)) == 3 * FIFO, 5, "all were received")
        lent, copied = since(keeper, before)
        assert lent >= size // 2 - 1 and copied > FIFO, (lent, copied)
        frontend.flush(0)


def since(host, before):
    """Packets that were lent since then, and those that were copied because enough was out."""
    now = host.pmd.xstats(0)
    return [now[name] - before[name] for name in ("rx_q0_zc_packets", "rx_q0_zc_copied_inflight")]


@formats
@layouts
def test_chains_that_are_kept(keeper, packed, layout):
    """Each takes several entries of the ring; what may be out is counted in entries."""
    with keeper.frontend(packed=packed, size=128, tx_layout=layout) as frontend:
        sent = frames(12)
        keep(keeper, frontend, sent)
        assert frontend.tx[0].reap() == 0
        arrive(frontend, sent)
        frontend.flush(0)


# What the guest does to its own buffers


@formats
def test_rewritten_buffer(keeper, packed):
    """The headers that were received stay; what follows is the guest's to change."""
    with keeper.frontend(packed=packed) as frontend:
        sent = frames(10)
        keep(keeper, frontend, sent)
        for chain in frontend.tx[0].ring.outstanding.values():
            buffers, _ = chain.token
            for buffer in buffers:
                buffer.write(b"\xee" * buffer.length)
        for frame in sent:
            got = frontend.recv(0, timeout=4)
            assert got[:HEADER] == frame[:HEADER]
            assert got[HEADER:] == b"\xee" * (len(frame) - HEADER)
        for chain in frontend.tx[0].ring.outstanding.values():
            buffers, data = chain.token
            buffers[0].write(data)
        frontend.flush(0)


@formats
def test_buffers_rewritten_all_the_time(passing, packed):
    """The guest writes into headers and packets while they are received and sent; it gets what it made of them."""
    passing.ensure()
    features = Feature.CSUM | Feature.GUEST_CSUM | Feature.HOST_TSO4 | Feature.GUEST_TSO4
    with passing.frontend(packed=packed, more_features=features, rx_size=4096) as frontend:
        tx, memory = frontend.tx[0], frontend.memory
        buffers = [tx.pool.take(1512) for _ in range(200)]
        ending = threading.Event()

        def scribble():
            rng = random.Random(5)
            while not ending.is_set():
                buffer = rng.choice(buffers)
                memory.write(buffer.gpa + rng.randrange(60), rng.randbytes(rng.choice([1, 2, 8])))
        thread = threading.Thread(target=scribble)
        thread.start()
        try:
            returned, lent, deadline = 0, 0, time.monotonic() + 20
            while returned < 5000:
                assert time.monotonic() < deadline, f"{returned} of {lent} chains came back"
                while tx.ring.room() and lent < 5000:
                    buffer = buffers[lent % len(buffers)]
                    tx.ring.add_raw([raw_of(buffer)])
                    lent += 1
                frontend._publish(1)
                returned += len(tx.ring.used())
                drain_unchecked(frontend)
        finally:
            ending.set()
            thread.join()
    passing.assert_alive()
    passing.check()
    wait_until(lambda: out(passing) == 0, 2, "all is back")
    assert passing.pmd.free_mbufs() == passing.pmd.pool_size()


def raw_of(buffer):
    """A descriptor of a whole buffer that the device reads."""
    return Raw(buffer.gpa, buffer.length, 0)


def drain_unchecked(frontend):
    """Take what arrived, whatever its header says, and lend its buffers again."""
    queue = frontend.rx[0]
    for used in queue.ring.used():
        for buffer in used.token:
            queue.pool.give(buffer)
    if queue.fill():
        frontend._publish(0)


@formats
def test_head_that_is_out_is_offered_again(keeper, packed):
    """That ring stops; the other port goes on, and a reset makes the ring new."""
    with keeper.frontend(packed=packed) as frontend, keeper.frontend(port=1, packed=packed) as other:
        sent = frames(5)
        keep(keeper, frontend, sent)
        offer_again(frontend)
        keeper.pmd.wait_log("ring 1 stopped, the guest broke it")
        keep(keeper, other, sent, port=1)
        arrive(other, sent)
        frontend.reset()
        again = frames(5, number=100)
        frontend.send_burst(0, again)
        wait_until(lambda: frontend.poll(0) == again[-1], 5, "the ring runs again")


def offer_again(frontend):
    """Make available what is available already."""
    ring = frontend.tx[0].ring
    chain = next(iter(ring.outstanding.values()))
    buffers, _ = chain.token
    if ring.packed:
        bits = ring.avail_bits()
        ring.poke_desc(ring.next_avail, buffers[0].gpa, buffers[0].length, chain.ident, bits)
    else:
        ring.poke_avail(ring.avail_idx, chain.ident)
        ring.poke_avail_idx(ring.avail_idx + 1)
    frontend.kick(1)


# What ends while packets are out


@formats
def test_front_end_goes(keeper, packed):
    """The next front-end receives what the last one sent: its memory is there until then."""
    sent = frames(40)
    with keeper.frontend(packed=packed) as frontend:
        keep(keeper, frontend, sent)
        assert guest_mappings(keeper) == 1
    with keeper.frontend(packed=packed) as frontend:
        assert out(keeper) == len(sent)
        assert guest_mappings(keeper) == 2
        arrive(frontend, sent)
        wait_until(lambda: guest_mappings(keeper) == 1, 2, "the first guest's memory is unmapped")
        early = keeper.pmd.xstats(0)["rx_q0_zc_completed_early"]
        assert early >= len(sent)


@formats
def test_rings_stop(keeper, packed):
    """GET_VRING_BASE is answered when the deadline is over; then the guest has everything back."""
    with keeper.frontend(packed=packed) as frontend:
        sent = frames(20)
        keep(keeper, frontend, sent)
        start = time.monotonic()
        bases = frontend.stop()
        assert 0.045 < time.monotonic() - start < 0.5
        frontend.flush(0)
        assert bases[1] == frontend.vrings[1].ring.base()
        frontend.start()
        more = frames(20, number=50)
        frontend.send_burst(0, more)
        for frame in sent:  # of which the guest has written anew what was not copied
            assert frontend.recv(0, timeout=4)[:HEADER] == frame[:HEADER]
        arrive(frontend, more)


@pytest.fixture(scope="module", name="keeps_long")
def _keeps_long(setup):
    """The same with a deadline that is longer than anything is kept."""
    host = Host(setup, pairs=1, ports=2, args=KEEP, **LEND, **{"zc-deadline": 10000})
    yield host
    host.close()


def longest_wait(host, packed, end):
    """Of another port's messages, seconds, while a front-end or its successor waits for packets that are kept."""
    with host.frontend(packed=packed) as frontend, host.frontend(port=1) as other:
        keep(host, frontend, frames(20))
        began = time.monotonic()
        if end == "stop":
            frontend.conn.send(Msg.GET_VRING_BASE, protocol.vring_state(1, 0))
        elif end == "reset":
            frontend.conn.send(Msg.RESET_DEVICE, need_reply=True)
        else:
            frontend.disconnect()
            frontend.open()
            frontend.conn.send(Msg.GET_FEATURES)
        longest = 0
        while not select.select([frontend.conn.sock], [], [], 0)[0]:
            before = time.monotonic()
            other.conn.ask(Msg.GET_FEATURES)
            longest = max(longest, time.monotonic() - before)
        assert time.monotonic() - began > KEEP_MS / 2000, "nobody waited"
        return longest


@pytest.mark.parametrize("end", ["stop", "reset", "gone"])
@formats
def test_kept_packets_hold_up_no_other_port(keeps_long, packed, end):
    host = keeps_long.ensure()
    # Now and then the machine has something else to do: what the driver does it does each time.
    assert any(longest_wait(host, packed, end) <= LIMIT for _ in range(4))


@formats
def test_region_is_removed(keeper, packed):
    """The answer comes when the deadline is over; the mapping stays until the packets are freed."""
    memory = Memory([Region(0, 8 << 20), Region(1 << 30, 1 << 20)])
    dimm = memory.regions[1]
    with keeper.frontend(memory=memory, packed=packed, add_regions=True) as frontend:
        places = iter(range(dimm.gpa, dimm.end, 4096))
        frontend.tx[0].pool.place = lambda memory, length: next(places)
        sent = frames(20)
        keep(keeper, frontend, sent)
        assert guest_mappings(keeper) == 2
        start = time.monotonic()
        frontend.remove_region(dimm)
        assert 0.045 < time.monotonic() - start < 0.5
        assert guest_mappings(keeper) == 2 and out(keeper) == len(sent)
        arrive(frontend, sent)
        wait_until(lambda: guest_mappings(keeper) == 1, 2, "the region is unmapped")
        frontend.flush(0)
        frontend.tx[0].pool._spare = {}  # they are in the region that is gone
        frontend.tx[0].pool.place = lambda memory, length: memory.alloc(length)
        more = frames(20, number=50)
        frontend.send_burst(0, more)
        arrive(frontend, more)
    memory.close()
