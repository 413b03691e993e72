# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""From a NIC to a guest: what a host with virtual machines does all day.

A network namespace on a veth stands for the wire, net_af_packet on the veth's
other end for the NIC.
"""

import os
import subprocess

import pytest

import net
from image import tool
from namespace import Namespace, lacking

NIC = f"vxnic{os.getpid()}"


@pytest.fixture(name="wire")
def _wire():
    """The other end of the NIC's cable."""
    reason = lacking()
    if reason:
        pytest.skip(reason)
    with Namespace("vxwire") as wire:
        subprocess.run([tool("ip"), "link", "add", NIC, "type", "veth", "peer", "name", "wire",
                        "netns", wire.name], check=True)
        try:
            subprocess.run([tool("ip"), "link", "set", NIC, "up"], check=True)
            # a veth passes unfinished checksums and segments on; a wire does not
            wire.run("ethtool -K wire tx off tso off gso off gro off")
            yield net.End(wire, 2, "wire")
        finally:
            subprocess.run([tool("ip"), "link", "del", NIC], check=True)


def test_nic_to_guest(guests, wire, figures):
    """The wire reaches the guest by ping and iperf3, and the other way round."""
    guests.host(ports=1, vdevs=[f"net_af_packet0,iface={NIC}"])
    guest = net.End(guests.guest(0).wait_boot(), 1).configure()
    wire.configure()
    wire.reach(guest)
    figures(f"ping {wire.ping(guest):.1f} ms, IPv6 {guest.ping(wire, v6=True):.1f} ms, "
            f"TCP to the guest {net.tcp(wire, guest):.0f}, from it {net.tcp(guest, wire):.0f} Mbit/s, "
            f"UDP to it {net.udp(wire, guest, '10M'):.1%} of 10 Mbit/s")
    net.assert_file_arrives(guest, wire)
    net.assert_file_arrives(wire, guest)
    for end in (guest, wire):
        end.assert_checksums_right()
