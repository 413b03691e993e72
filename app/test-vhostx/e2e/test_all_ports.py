# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""As many ports as DPDK has room for, each with a front-end; VHOSTX_PORTS says how many."""

import contextlib
import os
import time

import pytest

from frontend import make_frame
from frontend.host import Host
from testpmd import wait_until

PORTS = int(os.environ.get("VHOSTX_PORTS", "30"))
STARTED = 10 + PORTS // 5  # seconds in which all ports must have started or stopped

pytestmark = pytest.mark.vhostx_only


@pytest.fixture(name="host")
def _host(setup):
    # testpmd keeps some 300 KB for each port that DPDK has room for
    host = Host(setup, pairs=1, ports=PORTS, mbufs=4096 + 128 * PORTS, memory=400 + 2 * PORTS)
    yield host
    host.close()


def threads_of(pid):
    """Number of threads."""
    return len(os.listdir(f"/proc/{pid}/task"))


def test_all_ports_start_connect_and_stop(host):
    """Every port serves its front-end, one thread serves them all, and nothing is left when they are gone."""
    begin = time.monotonic()
    host.ensure()
    started = time.monotonic()
    files, threads = host.open_files(), threads_of(host.pmd.pid)
    with contextlib.ExitStack() as stack:
        fronts = [stack.enter_context(host.frontend(port)) for port in range(PORTS)]
        connected = time.monotonic()
        for port, front in enumerate(fronts):
            front.echo(0, [make_frame(60 + port % 1000, port)])
        echoed = time.monotonic()
        assert threads_of(host.pmd.pid) == threads
    host.wait_open_files(files, timeout=STARTED)
    for port in range(0, PORTS, max(1, PORTS // 10)):
        host.check(port=port)
    before = time.monotonic()
    host.pmd.stop()
    host.pmd.command("port stop all", timeout=STARTED)
    host.pmd.command("port close all", timeout=STARTED)
    wait_until(lambda: not list(host.folder.glob("p*.sock")), STARTED, "all sockets are gone")
    stopped = time.monotonic()
    print(f"\n{PORTS} ports: testpmd with all of them up {started - begin:.1f} s, all connected "
          f"{connected - started:.1f} s, a frame there and back on each {echoed - connected:.1f} s, "
          f"stopped and closed {stopped - before:.1f} s")
