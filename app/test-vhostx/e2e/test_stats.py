# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Statistics: exact per queue, by cause, over reconnects and resets."""

import pytest

from frontend import Raw, make_frame
from frontend.host import Host, Traffic
from frontend.protocol import Msg
from frontend.ring import INDIRECT, NEXT, WRITE, pack_desc
from testpmd import wait_until

vhostx_only = pytest.mark.vhostx_only
formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])

BINS = [("undersize_packets", 0, 63), ("size_64_packets", 64, 64),
        ("size_65_127_packets", 65, 127), ("size_128_255_packets", 128, 255),
        ("size_256_511_packets", 256, 511), ("size_512_1023_packets", 512, 1023),
        ("size_1024_1518_packets", 1024, 1518), ("size_1519_max_packets", 1519, 1 << 32)]
CAUSES = ("drop_", "chain_", "ring_stopped_")
UNMAPPED = 0xDEAD0000000
NOTHING = ([], b"")  # what the front-end expects back of a chain that it does not know
UNICAST = bytes.fromhex("020000000001")
MULTICAST = bytes.fromhex("01005e000001")
BROADCAST = b"\xff" * 6


@pytest.fixture(name="host")
def _host(shared):
    """testpmd that echoes on two pairs; its statistics begin at zero."""
    shared.ensure()
    shared.pmd.command("clear port xstats 0")
    yield shared
    shared.assert_alive()


def expected(direction, queue, frames):
    """What the statistics must tell of these frames."""
    prefix = f"{direction}_q{queue}_"
    counts = {name: sum(low <= len(f) <= high for f in frames)
              for name, low, high in BINS}
    counts["good_packets"] = len(frames)
    counts["good_bytes"] = sum(map(len, frames))
    counts["broadcast_packets"] = sum(f[:6] == BROADCAST for f in frames)
    counts["multicast_packets"] = (sum(f[0] & 1 for f in frames)
                                   - counts["broadcast_packets"])
    return {prefix + name: count for name, count in counts.items()}


def assert_xstats(host, wanted):
    """Wait until these statistics have these values; net_vhost counts late."""
    def now():
        xstats = host.pmd.xstats()
        return {name: xstats[name] for name in wanted}
    try:
        wait_until(lambda: now() == wanted, 3, "statistics")
    except AssertionError:
        assert now() == wanted


def causes(host):
    """The counters of drops and errors that are not zero."""
    return {name: value for name, value in host.pmd.xstats().items() if value
            and name.partition("_q")[2][2:].startswith(CAUSES)}


# What is counted


@formats
@pytest.mark.parametrize("pair", [0, 1])
def test_every_size_is_exact(host, packed, pair):
    sizes = [60, 63, 64, 65, 100, 127, 128, 255, 256, 511, 512, 1023, 1024, 1518, 1519, 1800]
    frames = [make_frame(size, i) for i, size in enumerate(sizes)
              for _ in range(1 + size % 3)]
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(pair, frames)
        assert_xstats(host, {**expected("rx", pair, frames), **expected("tx", pair, frames),
                             **expected("rx", 1 - pair, []), **expected("tx", 1 - pair, [])})


@formats
def test_frames_longer_than_a_buffer_are_exact(host, packed):
    frames = [make_frame(size, i) for i, size in enumerate((3000, 6000, 9000, 2100))]
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(0, frames)
        assert_xstats(host, {**expected("rx", 0, frames), **expected("tx", 0, frames)})


@formats
def test_groups_are_exact(host, packed):
    frames = [to + make_frame(64 + i, i)[6:] for i, to in enumerate(
        [UNICAST] * 7 + [MULTICAST] * 3 + [BROADCAST] * 5 + [b"\xff" * 5 + b"\xfe"])]
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(0, frames)
        assert_xstats(host, {**expected("rx", 0, frames), **expected("tx", 0, frames)})


@vhostx_only
@formats
def test_interrupts_sent_and_suppressed(host, packed):
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.calls(0)
        frontend.vrings[0].ring.interrupts("always")
        for i in range(3):
            frontend.echo(0, [make_frame(64, i)])
        assert_xstats(host, {"tx_q0_guest_notifications": frontend.calls(0),
                             "rx_q0_guest_notifications": 0,
                             "rx_q0_guest_notifications_suppressed": 3})


@vhostx_only
def test_bursts_without_descriptors(host):
    with host.frontend(pairs=2, rx_limit=2) as frontend:
        frontend.send_burst(0, [make_frame(64, i) for i in range(8)])
        frontend.flush(0)
        wait_until(lambda: host.pmd.xstats()["tx_q0_no_descriptors"] > 0, 3, "no_descriptors")
        assert host.pmd.xstats()["tx_q0_good_packets"] == 2


# When they can be asked, and from where they count


@vhostx_only
def test_answer_when_nobody_is_connected(host):
    xstats = host.pmd.xstats()
    assert xstats["rx_q1_good_packets"] == xstats["tx_q1_good_packets"] == 0
    assert xstats["connects"] == 0
    assert host.pmd.stats()["rx_packets"] == 0


@vhostx_only
@formats
def test_survive_a_reconnect(host, packed):
    first = [make_frame(100, i) for i in range(20)]
    second = [make_frame(700, i) for i in range(30)]
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(1, first)
        frontend.reconnect()
        frontend.echo(1, second)
        assert_xstats(host, {**expected("rx", 1, first + second),
                             **expected("tx", 1, first + second), "connects": 2})
    wait_until(lambda: not host.pmd.link_up(), 5, "link down")
    assert_xstats(host, expected("rx", 1, first + second))


@vhostx_only  # net_vhost leaves the basic ones as they are
@formats
def test_reset_to_zero_and_count_on(host, packed):
    frames = [make_frame(300, i) for i in range(10)]
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.echo(0, frames * 3)
        host.pmd.command("clear port xstats 0")
        assert not any(host.pmd.xstats().values()), host.pmd.xstats()
        frontend.echo(0, frames)
        assert_xstats(host, {**expected("rx", 0, frames), **expected("tx", 0, frames)})


@vhostx_only
def test_reset_under_traffic(host):
    """Never more than what came since the last reset."""
    with host.frontend(pairs=2) as frontend:
        with Traffic(frontend, pair=0) as traffic:
            for _ in range(20):
                traffic.progress(16)
                before = traffic.count
                host.pmd.command("clear port xstats 0")
                seen = host.pmd.xstats()["rx_q0_good_packets"]
                assert seen <= traffic.count + 2 * traffic.burst - before


@vhostx_only
def test_basic_statistics_agree(host):
    frames = [make_frame(200, i) for i in range(25)]
    with host.frontend(pairs=2) as frontend:
        frontend.echo(0, frames)
        frontend.echo(1, frames)
        stats, xstats = host.pmd.stats(), host.pmd.xstats()
    assert stats["rx_packets"] == xstats["rx_good_packets"] == 50
    assert stats["tx_bytes"] == xstats["tx_q0_good_bytes"] + xstats["tx_q1_good_bytes"]
    assert xstats["rx_q1_packets"] == xstats["rx_q1_good_packets"] == 25


# Drops and errors by cause


def indirect(frontend, *rows):
    """A descriptor of a table of (gpa, length, flags, next)."""
    packed = frontend.config.packed
    table = frontend.memory.alloc(16 * len(rows), 16)
    frontend.memory.write(table, b"".join(
        pack_desc(g, n, link if packed else flags, flags if packed else link)
        for g, n, flags, link in rows))
    return Raw(table, 16 * len(rows), INDIRECT)


def bad_chains(frontend, way):
    """Cause to descriptors; way is the flag that is right for the ring."""
    buf = frontend.memory.alloc(1 << 16, 4096)
    good = (buf, 100, way, 0)
    table = indirect(frontend, good)
    return {
        "bad_address": [Raw(UNMAPPED, 100, way)],
        "bad_direction": [Raw(buf, 100, way ^ WRITE)],
        "bad_indirect": [table._replace(length=15)],
        "bad_chain": [indirect(frontend, *[(buf, 16, way | NEXT, i + 1)
                                           for i in range(600)])],
        "bad_length": [Raw(buf, 11, way)],
    }


CHAINS = ["bad_address", "bad_direction", "bad_indirect", "bad_chain", "bad_length"]


@vhostx_only
@formats
@pytest.mark.parametrize("cause", CHAINS)
def test_rx_drop_by_cause(host, packed, cause):
    with host.frontend(pairs=2, packed=packed) as frontend:
        ring = frontend.vrings[1].ring
        ring.add_raw(bad_chains(frontend, 0)[cause], NOTHING)
        ring.publish()
        frontend.echo(0, [make_frame(64, i) for i in range(4)])
        assert causes(host) == {f"rx_q0_drop_{cause}": 1}
        assert host.pmd.stats()["rx_errors"] == 1


@vhostx_only
@formats
@pytest.mark.parametrize("cause", CHAINS)
def test_tx_chain_by_cause(host, packed, cause):
    """The packet goes into the chains behind the wrong one, perhaps by a retry."""
    with host.patient(), host.frontend(pairs=2, packed=packed, rx_limit=0) as frontend:
        ring = frontend.vrings[0].ring
        ring.add_raw(bad_chains(frontend, WRITE)[cause])
        frontend.rx[0].limit = 17
        frontend.rx[0].fill()
        ring.publish()
        frontend.send_burst(0, [make_frame(64, i) for i in range(4)])
        assert_xstats(host, {"tx_q0_good_packets": 4})
        assert causes(host) == {f"tx_q0_chain_{cause}": 1}
        assert host.pmd.stats()["tx_errors"] == 0


@vhostx_only
@formats
def test_rx_drop_oversize(host, packed):
    with host.frontend(pairs=2, packed=packed) as frontend:
        buf = frontend.memory.alloc(1 << 16, 4096)
        ring = frontend.vrings[1].ring
        ring.add_raw([Raw(buf, 1 << 16, NEXT)] * 4 + [Raw(buf, 100, 0)], NOTHING)
        ring.publish()
        frontend.echo(0, [make_frame(64, i) for i in range(4)])
        assert causes(host) == {"rx_q0_drop_oversize": 1}


@vhostx_only
@formats
def test_tx_drop_oversize(host, packed):
    with host.frontend(pairs=2, packed=packed, mergeable=False, rx_size=300) as frontend:
        frontend.send(0, make_frame(800))
        frontend.flush(0)
        assert_xstats(host, {"rx_q0_good_packets": 1, "tx_q0_drop_oversize": 1})
        assert host.pmd.stats()["tx_errors"] == 1


@vhostx_only
@formats
def test_rx_drop_disabled(host, packed):
    with host.frontend(pairs=2, packed=packed) as frontend:
        frontend.enable(1, False)
        frontend.send_burst(0, [make_frame(64, i) for i in range(5)])
        frontend.flush(0)
        assert causes(host) == {"rx_q0_drop_disabled": 5}


@vhostx_only
@pytest.mark.parametrize("vring,name", [(1, "rx_q0"), (0, "tx_q0")])
def test_ring_stopped_by_a_bad_head(host, vring, name):
    with host.frontend(pairs=2, rx_limit=8) as frontend:
        ring = frontend.vrings[vring].ring
        ring.poke_avail(ring.avail_idx, ring.size)
        ring.poke_avail_idx(ring.avail_idx + 1)
        if vring == 0:  # tx comes to that entry behind eight good ones
            frontend.send_burst(0, [make_frame(64, i) for i in range(9)])
        wait_until(lambda: causes(host), 3, "the ring stops")
        assert causes(host) == {f"{name}_ring_stopped_bad_head": 1}
        assert host.pmd.stats()["rx_errors"] == host.pmd.stats()["tx_errors"] == 0


@vhostx_only
@pytest.mark.parametrize("vring,name", [(1, "rx_q0"), (0, "tx_q0")])
def test_ring_stopped_by_a_bad_index(host, vring, name):
    with host.frontend(pairs=2) as frontend:
        ring = frontend.vrings[vring].ring
        ring.poke_avail_idx(ring.avail_idx + ring.size + 1)
        if vring == 0:
            frontend.send(0, make_frame(64))
        wait_until(lambda: causes(host), 3, "the ring stops")
        assert causes(host) == {f"{name}_ring_stopped_bad_index": 1}


@vhostx_only
def test_ring_that_restarts_counts_on(host):
    """The cause stays told after the front-end has started the ring again."""
    with host.frontend(pairs=2) as frontend:
        ring = frontend.vrings[1].ring
        ring.poke_avail_idx(ring.avail_idx + ring.size + 1)
        wait_until(lambda: causes(host), 3, "the ring stops")
        ring.poke_avail_idx(ring.avail_idx)
        frontend.conn.ask(Msg.GET_FEATURES)
        frontend.stop_vring(1)
        frontend.start_vring(1)
        frontend.echo(0, [make_frame(64, i) for i in range(4)])
        assert causes(host) == {"rx_q0_ring_stopped_bad_index": 1}


# The port


@vhostx_only
def test_queues_that_nobody_polls(rig):
    """The application has one rx queue, the guest transmits on two."""
    pmd = rig.vhost(queues=2, args=["--rxq=1", "--txq=1"])
    host = Host(rig.setup)
    host.pmd, host.socket = pmd, lambda port=0: str(rig.socket)
    with host.frontend(pairs=2):
        assert_xstats(host, {"rx_unpolled_queues": 1, "connects": 1})
    assert_xstats(host, {"rx_unpolled_queues": 0, "connects": 1})
