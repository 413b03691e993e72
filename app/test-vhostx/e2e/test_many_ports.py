# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""One control thread serves all ports: no front-end may hold up the others'."""

import contextlib
import multiprocessing
import os
import threading
import time

import pytest

from frontend import Closed, Frontend, Memory, Msg, Protocol, Region, make_frame, protocol
from frontend.host import Host, Traffic
from frontend.migration import DirtyLog
from testpmd import wait_until

PORTS = 8
LIMIT = 0.050  # seconds, that a message of another port may wait
LARGE = 64 << 30
WIDE = 128         # queue pairs

pytestmark = pytest.mark.vhostx_only


@pytest.fixture(scope="module", name="host")
def _host(setup):
    host = Host(setup, pairs=1, ports=PORTS).ensure()
    yield host
    host.assert_alive()
    host.close()


class Nuisances:
    """Front-ends that call act(connection) for ever and come back when closed.

    In a process of their own, and one that gives way: what is measured is the
    driver, and not how threads take turns on the machine's few cores.
    """

    def __init__(self, paths, act):
        self.act = act
        self.counts = multiprocessing.Array("Q", len(paths))
        self.process = multiprocessing.Process(target=self.run, args=(paths,),
                                               daemon=True)

    def run(self, paths):
        """One thread for each port; the last one is this one."""
        os.nice(19)
        for number, path in enumerate(paths[1:], 1):
            threading.Thread(target=self.annoy, args=(number, path)).start()
        self.annoy(0, paths[0])

    def annoy(self, number, path):
        """One front-end's life."""
        while True:
            with contextlib.suppress(Closed, OSError, TimeoutError):
                conn = protocol.Connection.connect(path, timeout=0.2)
                with contextlib.closing(conn):
                    while True:
                        self.act(conn)
                        self.counts[number] += 1

    def __enter__(self):
        self.process.start()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.join(10)


def hung(conn):
    """Half a message, and silence."""
    conn.send_raw(protocol.message(Msg.SET_FEATURES, bytes(8))[:13])
    time.sleep(0.2)


def deaf(conn):
    """Questions without end, whose answers nobody reads."""
    conn.send_raw(protocol.message(Msg.GET_FEATURES) * 100)


def slow(conn):
    """A byte now and then."""
    for byte in protocol.message(Msg.SET_OWNER):
        conn.send_raw(bytes([byte]))
        time.sleep(0.002)


def storm(conn):
    """Messages that are refused, each with a line in the log."""
    conn.send(Msg.GET_FEATURES)
    conn.send(Msg.SET_VRING_NUM, protocol.vring_state(200, 0))
    conn.recv(0.1)


def large(conn):
    """A huge guest that comes and goes, of which no page exists."""
    conn.ask(Msg.GET_FEATURES)
    conn.send(Msg.SET_PROTOCOL_FEATURES, protocol.u64(Protocol.REPLY_ACK))
    region = (0, LARGE, 1 << 40, 0)
    conn.acked(Msg.SET_MEM_TABLE, protocol.mem_table([region]), [HUGE])


def restless(conn):
    """Somebody who asks and leaves, and is back at once."""
    conn.ask(Msg.GET_FEATURES)
    conn.close()


HUGE = os.memfd_create("huge")
os.ftruncate(HUGE, LARGE)


def measure(good):
    """Seconds that 300 messages took to be answered, sorted."""
    waits = []
    for number in range(300):
        began = time.monotonic()
        good.conn.ask(Msg.GET_FEATURES)
        waits.append(time.monotonic() - began)
        if number % 100 == 0:
            good.echo(0, [make_frame(100 + number)])
        time.sleep(0.002)
    return sorted(waits)


def show(waits):
    """Median, 99 % and longest of 300."""
    median, most, longest = (1000 * waits[i] for i in (150, -4, -1))
    return f"{median:.1f} ms, 99 % {most:.1f} ms, longest {longest:.1f} ms"


@pytest.mark.parametrize("act", [hung, deaf, slow, storm, large, restless],
                         ids=lambda act: act.__name__)
def test_nuisance_delays_no_other_port(host, capsys, act):
    """Seven ports with such a front-end, and one that only wants to work."""
    with contextlib.ExitStack() as stack:
        good = stack.enter_context(host.frontend(port=0))
        calm = measure(good)
        others = stack.enter_context(Nuisances(
            [host.socket(port) for port in range(1, PORTS)], act))
        waits = measure(good)
        assert all(others.counts), list(others.counts)
    judge(capsys, act.__name__, waits, calm)


def judge(capsys, name, waits, calm):
    """Print what was measured, and hold the driver to its promise."""
    with capsys.disabled():
        print(f"\n{name}: a message of another port waits {show(waits)}; without them {show(calm)}")
    # What others do on the machine delays the calm ones as well.
    assert waits[150] <= LIMIT
    assert waits[-4] - calm[-4] <= LIMIT


# Messages that go to all rings of a port with 256 of them


def features(frontend):
    """The features that it has."""
    frontend.conn.send(Msg.SET_FEATURES, protocol.u64(frontend.features))


def table(frontend):
    """The memory that it has."""
    frontend.conn.send(Msg.SET_MEM_TABLE, *frontend.memory.table())


def bitmap(frontend):
    """A dirty log, as at each round of a migration."""
    log = DirtyLog(frontend.memory)
    log.install(frontend)
    log.close()


class Wide(Nuisances):
    """A front-end whose rings all run, and that gives way to nobody."""

    def annoy(self, number, path):
        """Say the same again and again."""
        config = self.config(pairs=WIDE, packed=True, size=16, rx_limit=4, timeout=30)
        with Frontend(path, config) as frontend:
            frontend.up()
            while True:
                self.act(frontend)
                self.counts[number] += 1

    def __init__(self, host, act):
        super().__init__([host.socket(1)], act)
        self.config = host.config

    def __enter__(self):
        super().__enter__()
        wait_until(lambda: self.counts[0] > 10, 60, "all rings are up")
        return self


@pytest.fixture(scope="module", name="wide")
def _wide(setup):
    host = Host(setup, pairs=WIDE, ports=2, mbufs=65536)
    yield host
    host.close()


@pytest.mark.parametrize("act", [features, table, bitmap], ids=lambda act: act.__name__)
def test_wide_front_end_delays_no_other_port(wide, capsys, act):
    """Each of its messages takes all rings from their pollers, and makes them anew."""
    with wide.ensure().frontend(port=0) as good:
        calm = measure(good)
        with Wide(wide, act) as others:
            before = others.counts[0]
            waits = measure(good)
            assert others.counts[0] > before + 10
    judge(capsys, act.__name__, waits, calm)


def test_509_regions_come_and_go_under_traffic(host):
    """One by one, each used by nobody, while the first carries packets."""
    memory = Memory([Region(0, 16 << 20)])
    with host.frontend(port=1, memory=memory, add_regions=True) as frontend, \
            Traffic(frontend) as traffic:
        assert frontend.conn.ask(Msg.GET_MAX_MEM_SLOTS).u64() == 509
        for turn in range(2):
            more = [Region((1 << 32) + (i << 21), 1 << 16) for i in range(508)]
            for number, region in enumerate(more):
                frontend.add_region(region)
                if number % 100 == 0:
                    traffic.progress(16)
            for number, region in enumerate(more[::1 if turn else -1]):
                frontend.remove_region(region)
                region.close()
                if number % 100 == 0:
                    traffic.progress(16)
        assert len(memory.regions) == 1
        traffic.progress(64)
    memory.close()
