# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The host's program is killed under traffic, and started again; the guests go on.

QEMU keeps no in-flight record for a network device, and of a packed ring it
repeats the position that it knew when the device started. One guest has split
rings, the other one packed rings, so that each ping needs both.

VHOSTX_GUEST_KILLS is the number of kills in each mode, 1 unless told.
"""

import os
import time

import pytest

import net
from testpmd import TestpmdError

KILLS = int(os.environ.get("VHOSTX_GUEST_KILLS", "1"))

pytestmark = pytest.mark.vhostx_only


@pytest.mark.parametrize("client", [0, 1], ids=["server", "client"])
def test_host_is_killed(guests, figures, state_dir, client):
    """Two guests reach each other after each kill, and nothing is lost when all is quiet."""
    options = {"client": client, "state-dir": state_dir}
    guests.host(**options)
    one, two = guests.introduce([guests.guest(0), guests.guest(1, "--packed")])
    net.flood(one, two)
    net.flood(two, one)
    away = []
    for kill in range(KILLS):
        for port in (0, 1):
            guests.pmd.wait_growth(port, ("rx_packets", "tx_packets"), by=200)
        guests.pmd.kill()
        began = time.monotonic()
        guests.host(**options)
        try:
            one.reach(two)
        except AssertionError as error:
            raise TestpmdError(f"kill {kill + 1}: {error}\n{guests.pmd.log[-3000:]}") from error
        away.append(time.monotonic() - began)
        two.reach(one)
    net.quiet(one)
    net.quiet(two)
    one.ping(two)
    two.ping(one)
    net.assert_file_arrives(one, two)
    net.assert_file_arrives(two, one)
    figures(f"{KILLS} kills, back after {min(away):.1f} to {max(away):.1f} s")
