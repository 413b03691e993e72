# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What a secondary process sees: dpdk-proc-info beside testpmd."""

import os
import re
import shutil
import subprocess

import pytest

import hugepages
from frontend import make_frame
from frontend.host import Host
from rig import Setup
from testpmd import parse_xstats

pytestmark = [
    pytest.mark.vhostx_only,
    pytest.mark.skipif(not shutil.which("dpdk-proc-info"), reason="no dpdk-proc-info")]
PAGES = 96
FRAMES = [make_frame(100, i) for i in range(30)]


class SharedSetup(Setup):
    """What is under test, in memory that another process can find."""

    folder = None

    def memory(self, hugepages=None):
        """EAL options for files on the borrowed hugetlbfs."""
        return [f"--huge-dir={self.folder}", "-m", "128"]


@pytest.fixture(scope="module", name="host")
def _host(setup):
    """testpmd that a secondary can join; it has echoed FRAMES on pair 1."""
    with hugepages.borrowed(PAGES) as folder:
        if folder is None:
            pytest.skip(f"a secondary process needs {PAGES} hugepages of 2 MB")
        SharedSetup.folder = folder
        host = Host(SharedSetup(**vars(setup)), pairs=2)
        try:
            with host.ensure().frontend(pairs=2) as frontend:
                frontend.echo(1, FRAMES)
                yield host
        finally:
            host.close()


def proc_info(host, *options):
    """What dpdk-proc-info prints of port 0."""
    pmd = host.pmd
    done = subprocess.run(
        ["dpdk-proc-info", f"--file-prefix={pmd.file_prefix}", "--no-pci", "--no-telemetry",
         *host.setup.load(), "--", "-p", "1", *options],
        env={**os.environ, "RUNTIME_DIRECTORY": pmd.runtime_dir}, check=False,
        capture_output=True, text=True, timeout=30)
    host.assert_alive()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_secondary_extended_statistics(host):
    seen = parse_xstats(proc_info(host, "--xstats"))
    assert seen["rx_q1_good_packets"] == seen["tx_q1_size_65_127_packets"] == len(FRAMES)
    mine = host.pmd.xstats()
    for gauge in "connects", "rx_unpolled_queues", "zc_outstanding", "zc_longest_us", "iotlb_misses", "iotlb_entries":
        del mine[gauge]  # the primary's alone
    assert seen == mine


def test_secondary_basic_statistics(host):
    text = proc_info(host, "--stats")
    assert re.search(rf"RX-packets: +{len(FRAMES)}\b", text), text
    assert re.search(rf"TX-bytes: +{100 * len(FRAMES)}\b", text), text


def test_secondary_statistic_by_name_and_by_id(host):
    """The id that the name has is the same in both processes."""
    text = proc_info(host, "--xstats-name", "rx_q1_good_bytes")
    ident = list(host.pmd.xstats()).index("rx_q1_good_bytes")
    assert parse_xstats(text)["rx_q1_good_bytes"] == ident, text
    text = proc_info(host, "--xstats-ids", str(ident))
    assert re.search(rf"\b{100 * len(FRAMES)}\b", text), text


def test_secondary_port_and_link(host):
    text = proc_info(host, "--show-port")
    assert "driver net_vhostx" in text, text
    assert "Link up" in text, text


def test_secondary_reset_is_seen_by_the_primary(host):
    proc_info(host, "--xstats-reset")
    assert host.pmd.xstats()["rx_q1_good_packets"] == 0
    assert host.pmd.stats()["rx_packets"] == 0
