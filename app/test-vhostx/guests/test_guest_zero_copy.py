# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Two Linux guests on zero-copy ports with tso=1: what one sends is copied once, into the other."""

import pytest

import net
from testpmd import wait_until

LEND = {"tso": 1, "dequeue-zero-copy": 1, "zc-threshold": 512}
formats = pytest.mark.parametrize("options", [(), ("--packed",)], ids=["split", "packed"])

pytestmark = pytest.mark.vhostx_only


@pytest.fixture(name="host")
def _host(shared_guests):
    """A host that lends what the guests send, and has all mbufs back when they have gone."""
    if shared_guests.pmd is None or not shared_guests.pmd.alive():
        shared_guests.host(**LEND)
    pmd = shared_guests.pmd
    pmd.command("clear port xstats all")
    yield shared_guests
    shared_guests.end_guests()
    for port in (0, 1):
        pmd.wait_link(up=False, port=port)
    wait_until(lambda: pmd.free_mbufs() == pmd.pool_size(), 5, "all mbufs are back")


@formats
def test_tcp_with_large_packets(host, figures, options):
    """Bytes, checksums and counters are right; large packets are lent."""
    one, two = host.pair(*options)
    rates = net.tcp(one, two), net.tcp(two, one), net.tcp(one, two, v6=True)
    net.assert_file_arrives(one, two)
    net.assert_file_arrives(two, one)
    one.ping(two, size=1400)
    for port, end in enumerate((one, two)):
        counts = host.pmd.xstats(port)
        assert counts["rx_q0_zc_packets"] > 100, counts
        end.assert_checksums_right()
    figures(f"TCP {rates[0]:.0f} and {rates[1]:.0f}, IPv6 {rates[2]:.0f} Mbit/s; of {counts['rx_good_packets']} "
            f"packets {counts['rx_q0_zc_packets']} were lent")


@formats
def test_guest_dies_under_tcp(host, options):
    """The other one gets what was sent, and meets the next."""
    one, two = host.pair(*options)
    job = net.serve(two)
    one.host.spawn(f"iperf3 -c {two.v4} -p {net.IPERF_PORT} -t 20")
    wait_until(lambda: host.pmd.xstats(0)["rx_q0_zc_packets"] > 200, 10, "packets are lent")
    host.guests[0].kill()
    host.pmd.wait_link(up=False, port=0)
    wait_until(lambda: host.pmd.xstats(0)["zc_outstanding"] == 0, 5, "all is back")
    two.host.run("killall iperf3")
    job.attempt()
    again = host.guest(0, *options)
    one = net.End(again.wait_boot(), 1).configure()
    one.reach(two)
    net.assert_file_arrives(one, two)
