# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The hosts of the page on segmentation, run as they stand there, with scripted guests."""

import os
import sys
import tempfile
from pathlib import Path

import pytest

from frontend import Config, Feature, Frontend
from frontend.packets import ACK, PSH, Packet, payload

# The reader of the pages lives beside the tests with Linux guests.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "guests"))
import guide  # noqa: E402 pylint: disable=wrong-import-position

pytestmark = [
    pytest.mark.vhostx_only,
    pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="the page uses CPUs 0 and 1")]

HOST = Feature.CSUM | Feature.HOST_TSO4 | Feature.HOST_TSO6
GUEST = Feature.GUEST_CSUM | Feature.GUEST_TSO4 | Feature.GUEST_TSO6
LONG = Packet(payload(20000), flags=ACK | PSH)
MSS = 1400


@pytest.fixture(name="start")
def _start(setup):
    """Call it with the name of a block; guests with these features on its two ports."""
    with tempfile.TemporaryDirectory(prefix="vxh-") as folder:
        page = guide.Page("tso", {"/run/vhost": f"{folder}/vhost", "PLUGIN": setup.plugin})
        ends = []

        def start(title, *features):
            ends.append(page.testpmd(title))
            for port, more in enumerate(features):
                ends.append(Frontend(f"{folder}/vhost{port}.sock", Config(more_features=more)))
                ends[-1].up()
            return ends
        yield start
        for end in reversed(ends[1:]):
            end.close()
        if ends:
            print(ends[0].describe())
            ends[0].kill()


@pytest.mark.parametrize("title", ["tso host", "tso lro host"])
def test_tso_page_passes_long_packets(start, title):
    """Whole, and both counters of the page tell."""
    pmd, near, far = start(title, HOST, GUEST)
    near.send(0, LONG.open().frame(), head=LONG.header(MSS))
    assert far.recv_packet(0) == (LONG.header(MSS)[:10], LONG.open().frame())
    assert pmd.xstats(0)["rx_q0_size_1519_max_packets"] == 1
    assert pmd.xstats(1)["tx_q0_size_1519_max_packets"] == 1


def test_tso_page_cuts_long_packets(start):
    """For the guest that takes none."""
    _, near, far = start("tso host", HOST, 0)
    near.send(0, LONG.open().frame(), head=LONG.header(MSS))
    for segment in LONG.segments(MSS):
        assert far.recv_packet(0) == (bytes(10), segment.frame())


def test_tso_page_engine(start):
    """The host's program asks for segments."""
    _, near, far = start("tso engine", 0, GUEST)
    near.send(0, LONG.frame())
    header, frame = far.recv_packet(0)
    assert header == LONG.header(MSS)[:10]
    assert frame[12:] == LONG.open().frame()[12:]
