# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The dirty log of a live migration: no page that was written may be missing."""

import pytest

from frontend import (CHAINED, DIRECT, INDIRECT, Feature, Memory, Msg, Protocol,
                      crossing, make_frame)
from frontend.host import Traffic
from frontend.migration import Destination, DirtyLog, Shadow, switch_log

formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
shapes = pytest.mark.parametrize("layout,rx_size,length", [
    (DIRECT, 2060, 1514), (CHAINED, 2060, 1514), (INDIRECT, 2060, 1514),
    (DIRECT, 300, 9000), (INDIRECT, 700, 9000), (DIRECT, 66000, 60000)],
    ids=["direct", "chained", "indirect", "merged", "merged-indirect", "jumbo"])


@pytest.fixture(name="memory")
def _memory():
    """Little enough to compare often, in regions that buffers may cross."""
    memory = Memory.adjacent(8, 2 << 20)
    yield memory
    memory.close()


def frames(length, count, number=0):
    """Frames of at most this length."""
    return [make_frame(length - 7 * i, number + i) for i in range(count)]


@formats
@shapes
@pytest.mark.parametrize("event_idx", [False, True], ids=["", "event"])
def test_log_has_every_page_that_changed(host, memory, packed, layout, rx_size,
                                         length, event_idx):
    wishes = {"packed": packed, "rx_layout": layout, "tx_layout": layout,
              "rx_size": rx_size, "event_idx": event_idx, "size": 64,
              "place": crossing, "more_features": Feature.LOG_ALL}
    with host.frontend(memory=memory, **wishes) as frontend:
        assert frontend.features & Feature.LOG_ALL
        for turn in range(3):
            log = DirtyLog(memory, offset=64 * turn)
            log.install(frontend)
            switch_log(frontend, True, flags=turn != 1)
            shadow = Shadow(memory)
            for burst in range(4):
                frontend.echo(0, frames(length, 12, 100 * turn + 12 * burst))
            frontend.flush(0)
            frontend.stop()
            changed, marked = shadow.written(), log.pages()
            assert changed, "the back-end wrote nothing"
            assert changed <= marked, f"not in the log: {sorted(changed - marked)}"
            frontend.start()
            shadow.close()
            log.close()


@formats
def test_log_is_off_until_it_is_turned_on(host, memory, packed):
    with host.frontend(memory=memory, packed=packed) as frontend:
        switch_log(frontend, False)
        log = DirtyLog(memory)
        log.install(frontend)
        frontend.echo(0, frames(600, 20))
        assert not log.pages()
        switch_log(frontend, True)
        frontend.echo(0, frames(600, 20))
        assert log.pages()
        switch_log(frontend, False)
        log.map[:] = bytes(len(log.map))
        frontend.echo(0, frames(600, 20))
        assert not log.pages()
        log.close()


@formats
def test_log_is_replaced_under_traffic(host, memory, packed):
    """Pre-copy in rounds, each with a bitmap of its own, while frames run."""
    with host.frontend(memory=memory, pairs=2, packed=packed) as frontend:
        log = DirtyLog(memory)
        log.install(frontend)
        switch_log(frontend, True)
        destination = Destination(memory)
        with host.patient(), Traffic(frontend, pair=0) as traffic:
            destination.copy_all()
            for _ in range(30):
                fresh = DirtyLog(memory)
                fresh.install(frontend)
                destination.copy(log.pages())
                log.close()
                log = fresh
                traffic.progress(40)
        frontend.flush(0)
        frontend.stop()
        destination.copy(log.pages())
        assert not destination.lost()
        assert destination.copied > 100
        destination.close()
        log.close()


@formats
def test_log_switches_do_not_disturb_traffic(host, memory, packed):
    """As migrations that are cancelled: on and off, nothing lost, in order."""
    with host.frontend(memory=memory, packed=packed) as frontend:
        log = DirtyLog(memory)
        log.install(frontend)
        with Traffic(frontend) as traffic:
            for turn in range(40):
                switch_log(frontend, turn % 2 == 0)
                traffic.progress(20)
        log.close()


def test_log_needs_its_protocol_feature(host, memory):
    wish = Protocol.MQ | Protocol.REPLY_ACK
    with host.frontend(memory=memory, protocol=wish) as frontend:
        log = DirtyLog(memory)
        frontend.conn.send(Msg.SET_LOG_BASE, bytes(16), [log.fd])
        assert frontend.conn.wait_closed()
        log.close()
    host.check()
