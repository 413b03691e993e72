# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A long life of two Linux guests: whoever serves them, and one of them, die and come back, again and again.

One guest has split rings, the other one packed rings. devtools/soak.sh runs
this; without VHOSTX_SOAK_MINUTES it is skipped.
"""

import os
import random
import time

import pytest

import net
from net import End
from qmp import Qmp
from soak import Tally, holds

MINUTES = float(os.environ.get("VHOSTX_SOAK_MINUTES", "0"))
GAP = 0.01          # seconds between two pings
MAC = "52:54:00:00:00:02"
LOG = "/tmp/pings"  # in the first guest
STREAMS = 2         # of pings that nobody counts, without a gap

pytestmark = [pytest.mark.vhostx_only,
              pytest.mark.skipif(MINUTES == 0, reason="devtools/soak.sh runs it")]


class GuestSoak:
    """See above; its tally tells what happened."""

    def __init__(self, rig, state, client):
        self.rig = rig
        self.options = {"client": client, "state-dir": state}
        self.random = random.Random(1)
        self.tally = Tally(f"Linux guests, {'client' if client else 'server'}", "pings")
        self.first = None

    def boot(self):
        """Both guests; the first one has a monitor, and never dies."""
        rig, path = self.rig, self.rig.folder / "qmp"
        rig.host(**self.options)
        self.one, self.two = rig.introduce([
            rig.guest(0, change=lambda args: [*args, "-qmp", f"unix:{path},server=on,wait=off"]),
            rig.guest(1, "--packed", "--mac", MAC)])
        self.qmp = Qmp(path)
        self.one.host.run(f"arp -s {self.two.v4} {MAC}")
        self.one.host.run(f"touch {LOG}.on; "
                          # ping gives up when the link is away for long; each line gets the time
                          f"(while [ -e {LOG}.on ]; do ping -i {GAP} {self.two.v4}; done) 2>&1 | "
                          f"while read line; do read now rest </proc/uptime; echo $now $line; done >{LOG} &")
        net.flood(self.one, self.two, STREAMS)

    # --- events ------------------------------------------------------------

    def host_killed(self):
        """SIGKILL of the program that serves both."""
        self.rig.pmd.kill()
        self.rig.host(**self.options)
        self.first = None

    def guest_killed(self):
        """SIGKILL of the second QEMU."""
        self.two.host.kill()
        self._boot_two(1)

    def guest_rebooted(self):
        """The second guest boots without a word to its device."""
        boots = self.boots + 1
        # reboot -f can hang under traffic, see test_guest_life.py
        self.two.host.send("echo b >/proc/sysrq-trigger")
        self._boot_two(boots)

    def _boot_two(self, boots):
        guest = self.two.host
        if not guest.alive():
            guest.start()
        guest.wait_boot(boots)
        self.boots = boots
        self.two = End(guest, 2).configure()

    def link_switched(self):
        """QEMU takes the first guest's link away for a moment; see test_guest_link.py for packed rings."""
        self.qmp.do("set_link", name="net0", up=False)
        time.sleep(self.random.uniform(0, 0.2))
        self.qmp.do("set_link", name="net0", up=True)

    def port_restarted(self):
        """The application stops and starts a port."""
        pmd, port = self.rig.pmd, self.random.choice((0, 1))
        pmd.stop()
        pmd.port_stop(port)
        pmd.port_start(port)
        pmd.start()

    # --- running -----------------------------------------------------------

    def _answers(self):
        """How many pings were answered, and the longest silence in seconds since the last call."""
        lines, gap = self.one.host.run(
            f"awk '/seq=/ {{ if (++n > {self.answers} && p && $1 - p > g) g = $1 - p; p = $1 }} "
            f"END {{ print n + 0, g + 0 }}' {LOG}").split()
        return int(lines), float(gap)

    def _event(self, name, act):
        self.answers = max(0, self._answers()[0] - 1)
        act()
        self.one.reach(self.two)
        self.two.reach(self.one)
        self.tally.note(name, self._answers()[1])

    def check_leaks(self):
        """With both guests there, testpmd must hold what it held when it had just met them."""
        self.rig.pmd.stop()
        now = holds(self.rig.pmd)
        self.rig.pmd.start()
        first = self.first = self.first or now
        if any(now[key] > first[key] for key in now):
            self.tally.grown.append({key: (first[key], now[key]) for key in now})

    def run(self, seconds):
        """Events in random order until the time is up."""
        self.answers, self.boots = 0, 1
        self.boot()
        events = [("guest killed", self.guest_killed), ("guest rebooted", self.guest_rebooted),
                  *[("link switched", self.link_switched), ("port restarted", self.port_restarted)] * 2]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(3):
                self._event("host killed", self.host_killed)
            self.check_leaks()
            for event in self.random.sample(events, len(events)):
                self._event(*event)
            # A guest whose processor is emulated loses letters of its console under both.
            net.quiet(self.one)
            net.assert_file_arrives(self.one, self.two)
            net.tcp(self.two, self.one)
            net.flood(self.one, self.two, STREAMS)
            self.check_leaks()
        return self._end()

    def _end(self):
        self.one.host.run(f"rm {LOG}.on")
        net.quiet(self.one)
        self.one.host.run("sleep 1")
        for end, other in ((self.one, self.two), (self.two, self.one)):
            end.ping(other)
            end.assert_checksums_right()
        self.tally.passed = self._answers()[0]
        sent = self.one.host.run(f"awk '/packets transmitted/ {{ n += $2 }} END {{ print n + 0 }}' {LOG}")
        self.tally.lost = int(sent) - self.tally.passed
        self.qmp.close()
        return self.tally


@pytest.mark.parametrize("client", [0, 1], ids=["server", "client"])
def test_guest_soak(guests, state_dir, capsys, client):
    """Everything dies and comes back; nothing grows."""
    tally = GuestSoak(guests, state_dir, client).run(60 * MINUTES / 2)
    tally.report(capsys)
    assert not tally.grown
