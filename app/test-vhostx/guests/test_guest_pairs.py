# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Two Linux guests talk to each other through one testpmd, on every kind of ring.

The receiving guests verify every checksum themselves: their devices have no
offload that would tell them not to.
"""

from dataclasses import dataclass

import pytest

import net
from guestrig import NO_GUEST_OFFLOADS
from testpmd import wait_until

GUEST_CSUM, MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, RING_PACKED = 1, 15, 28, 29, 34


@dataclass(frozen=True)
class Variant:
    """One kind of device: guest-config.py's options, QEMU's properties, what must show in a guest."""

    name: str
    options: tuple = ()
    device: str = ""
    has: frozenset = frozenset()
    lacks: frozenset = frozenset()
    ring: int = 256
    mtu: int = 1500

    def check(self, end):
        """The guest must have the device that was meant."""
        features = end.features()
        assert self.has <= features, sorted(features)
        assert not features & (self.lacks | {GUEST_CSUM}), sorted(features)
        assert f"RX:\t\t{self.ring}" in end.host.run("ethtool -g eth0").partition("Current")[2]
        assert int(end.host.run("cat /sys/class/net/eth0/mtu")) == self.mtu


USUAL = frozenset({INDIRECT_DESC, EVENT_IDX, MRG_RXBUF})
VARIANTS = [
    Variant("split", has=USUAL, lacks=frozenset({RING_PACKED})),
    Variant("packed", ("--packed",), has=USUAL | {RING_PACKED}),
    Variant("mrg_rxbuf=off", device=",mrg_rxbuf=off", lacks=frozenset({MRG_RXBUF})),
    Variant("event_idx=off", device=",event_idx=off", lacks=frozenset({EVENT_IDX})),
    Variant("indirect_desc=off", device=",indirect_desc=off", lacks=frozenset({INDIRECT_DESC})),
    Variant("ring size 1024", ("--ring-size", "1024"), ring=1024),
    Variant("host_mtu=9000", ("--mtu", "9000"), mtu=9000),
]


@pytest.fixture(name="pairs")
def _pairs(shared_guests):
    """A host of two ports with two queue pairs each, for guests that come and go."""
    if shared_guests.pmd is None or not shared_guests.pmd.alive():
        shared_guests.host(queues=2)
    shared_guests.pmd.command("clear port xstats all")
    return shared_guests


def boot(pairs, variant, *options, **keywords):
    """Two guests of a variant that reach each other."""
    ring = () if "--ring-size" in variant.options else ("--ring-size", "256")
    ends = pairs.pair(*ring, *variant.options, *options,
                      device=NO_GUEST_OFFLOADS + variant.device, **keywords)
    for end in ends:
        variant.check(end)
    return ends


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_two_guests(pairs, figures, variant):
    """Ping, TCP both ways, and a file that arrives as it was sent."""
    one, two = boot(pairs, variant)
    one.ping(two, size=variant.mtu - 100, v6=True)
    figures(f"ping {one.ping(two):.1f} ms, TCP {net.tcp(one, two):.0f} and {net.tcp(two, one):.0f} Mbit/s")
    net.assert_file_arrives(one, two)
    if variant.mtu > 1500:
        assert pairs.pmd.xstats(1)["tx_q0_size_1519_max_packets"] > 0
    if variant in VARIANTS[:2]:
        exchange_datagrams(one, two, figures)
    for end in (one, two):
        end.assert_checksums_right()


def exchange_datagrams(one, two, figures):
    """Datagrams of one frame and of several, and IPv6."""
    arrived = net.udp(one, two, "10M"), net.udp(two, one, "10M", length=4000)
    figures(f"UDP {arrived[0]:.1%} and in fragments {arrived[1]:.1%} of 10 Mbit/s, "
            f"IPv6 UDP {net.udp(one, two, '10M', v6=True):.1%}, "
            f"TCP {net.tcp(one, two, v6=True):.0f} Mbit/s")
    assert min(arrived) > 0.5  # how many is a figure: a busy machine loses some


def rx_packets(pairs, port):
    """Packets that a port received from its guest, by queue."""
    counters = pairs.pmd.xstats(port)
    return [counters[f"rx_q{queue}_good_packets"] for queue in (0, 1)]


def wait_for_queues(pairs, busy):
    """Wait until port 0 receives on just so many queues over a number of looks."""
    def now():
        before = rx_packets(pairs, 0)
        wait_until(lambda: sum(rx_packets(pairs, 0)) > sum(before) + 1000, 10, "traffic")
        after = rx_packets(pairs, 0)
        return sum(new > old for old, new in zip(before, after)) == busy
    wait_until(now, 10, f"traffic on {busy} queues")


def test_queue_pairs_change_under_traffic(pairs, figures):
    """ethtool -L up and down while eight connections run; none of them breaks."""
    one, two = boot(pairs, Variant("two queue pairs"), "--queues", "2", cpus=2)
    for end in (one, two):
        assert "Combined:\t2" in end.host.run("ethtool -l eth0").partition("Current")[0]
        end.queue_pairs(1)
    server = net.serve(two)
    client = one.host.spawn(f"iperf3 -J -i 0 -P 8 -t 6 -c {two.v4}")
    for number in (1, 2, 1, 2):
        for end in (one, two):
            end.queue_pairs(number)
        wait_for_queues(pairs, number)
    figures(f"TCP {net.received(client.wait(60)):.0f} Mbit/s")
    server.wait()
    one.ping(two)
    for end in (one, two):
        end.assert_checksums_right()
