# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""As many queue pairs as a port can have, all of them busy at the same time."""

import pytest

from frontend import make_frame
from frontend.host import Host

PAIRS = 128
ROUNDS = 3
BURST = 8  # frames of one pair that are under way at a time

formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])


def burst(pair, lap):
    """Frames that no other pair or lap has, of mixed lengths."""
    return [make_frame(60 + (7 * pair + 71 * i) % 1459, (lap * PAIRS + pair) * BURST + i)
            for i in range(BURST)]


def exchange(frontend, lap):
    """A burst on every pair before any comes back; bytes that were sent."""
    total = 0
    for pair in range(PAIRS):
        frames = burst(pair, lap)
        frontend.send_burst(pair, frames)
        total += sum(map(len, frames))
    for pair in range(PAIRS):
        for number, sent in enumerate(burst(pair, lap)):
            assert frontend.recv(pair) == sent, f"pair {pair}, lap {lap}, frame {number}"
    return total


@pytest.fixture(name="host")
def _host(setup):
    """A testpmd that echoes on all pairs."""
    host = Host(setup, pairs=PAIRS, mbufs=32768)
    yield host.ensure()
    host.close()


@formats
def test_all_pairs_carry_frames_both_ways(host, packed):
    pmd = host.pmd
    with host.frontend(pairs=PAIRS, packed=packed, size=16, mergeable=False) as frontend:
        total = sum(exchange(frontend, lap) for lap in range(ROUNDS))
        for pair in range(PAIRS):
            frontend.flush(pair)
            assert frontend.poll(pair) is None
        streams = pmd.stop()
        stats = pmd.stats()
    each = ROUNDS * BURST
    assert streams == {(0, pair): {"rx": each, "tx": each, "dropped": 0}
                       for pair in range(PAIRS)}
    if host.setup.driver == "net_vhostx":  # net_vhost adds up the first 16 queues
        assert stats["rx_packets"] == stats["tx_packets"] == each * PAIRS
        assert stats["rx_bytes"] == stats["tx_bytes"] == total
    assert pmd.free_mbufs() == pmd.pool_size()
