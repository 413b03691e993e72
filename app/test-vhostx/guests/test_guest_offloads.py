# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Two Linux guests with checksum and segmentation offloads, on ports with tso=1."""

import pytest

import net
from guestrig import NO_GUEST_OFFLOADS

CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, HOST_TSO4, HOST_TSO6 = 0, 1, 7, 8, 11, 12
OFFLOADS = {CSUM, GUEST_CSUM, GUEST_TSO4, GUEST_TSO6, HOST_TSO4, HOST_TSO6}


@pytest.fixture(name="host")
def _host(shared_guests):
    """A host whose ports offer segmentation to the guests."""
    if shared_guests.pmd is None or not shared_guests.pmd.alive():
        shared_guests.host(tso=1)
    shared_guests.pmd.command("clear port xstats all")
    return shared_guests


def large_packets(host, port):
    """Packets longer than a frame that a guest has sent, and those that it was sent."""
    counters = host.pmd.xstats(port)
    return counters["rx_q0_size_1519_max_packets"], counters["tx_q0_size_1519_max_packets"]


@pytest.mark.parametrize("options", [(), ("--packed",)], ids=["split", "packed"])
def test_tso_on_and_off(host, figures, options):
    """Large packets pass as they are; none are sent once the guest has switched that off."""
    one, two = host.pair(*options)
    for end in (one, two):
        assert OFFLOADS <= end.features(), sorted(end.features())
    on = net.tcp(one, two), net.tcp(two, one), net.tcp(one, two, v6=True)
    assert large_packets(host, 0)[0] > 0 and large_packets(host, 1)[1] > 0
    net.assert_file_arrives(one, two)
    for end in (one, two):
        end.host.run("ethtool -K eth0 tso off gso off")
    before = large_packets(host, 0)
    off = net.tcp(one, two), net.tcp(two, one)
    assert large_packets(host, 0) == before
    net.assert_file_arrives(two, one)
    one.ping(two)
    figures(f"TCP with TSO {on[0]:.0f} and {on[1]:.0f}, IPv6 {on[2]:.0f} Mbit/s, "
            f"without {off[0]:.0f} and {off[1]:.0f} Mbit/s")
    for end in (one, two):
        end.assert_checksums_right()


@pytest.mark.parametrize("device", ["", ",mrg_rxbuf=off"], ids=["mergeable", "mrg_rxbuf=off"])
def test_large_packets_for_a_guest_without_offloads(host, figures, device):
    """The port segments and computes checksums, which the receiving guest verifies."""
    guests = [host.guest(0), host.guest(1, device=NO_GUEST_OFFLOADS + device)]
    one, two = host.introduce(guests)
    assert not two.features() & {GUEST_CSUM, GUEST_TSO4, GUEST_TSO6}
    rates = net.tcp(one, two), net.tcp(one, two, v6=True)
    sent, received = large_packets(host, 0)[0], large_packets(host, 1)[1]
    assert sent > 0 and received == 0
    net.assert_file_arrives(one, two)
    figures(f"TCP {rates[0]:.0f}, IPv6 {rates[1]:.0f} Mbit/s, UDP {net.udp(one, two, '10M'):.1%} of 10 Mbit/s")
    two.assert_checksums_right()
