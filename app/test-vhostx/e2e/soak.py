# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A long life under traffic: both sides die and come back, memory and rings change.

One Soak is one testpmd port in one mode with one kind of ring. Each event
happens while frames go round; afterwards they must go round again, and from
time to time, without a front-end, testpmd must hold no more than at first.
"""

import os
import random
import select
import signal
import threading
import time

from frontend import Frontend, Region, make_frame, protocol
from frontend.host import Host
from frontend.migration import DirtyLog, switch_log
from testpmd import TestpmdError, wait_until

GIVE_UP = 20  # seconds until traffic must flow again
NUMBER = 14   # where make_frame() puts a frame's number


class Pump:
    """Frames that go round without anybody waiting for each of them.

    One that comes back must be one that was sent, to the last byte.
    """

    def __init__(self, frontend):
        self.frontend = frontend
        self.sent = self.received = 0
        self.error = None
        self.arrivals = []
        self._thread = None
        self._ending = threading.Event()

    def run_until(self, received):
        """Run, until so many frames are back."""
        if self._thread is None:
            self._ending.clear()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        deadline = time.monotonic() + GIVE_UP
        while self.received < received:
            if self.error:
                raise self.error
            if time.monotonic() > deadline:
                raise TestpmdError(f"no traffic within {GIVE_UP} s")
            time.sleep(0.0005)

    def pause(self):
        """Leave the rings alone."""
        if self._thread:
            self._ending.set()
            self._thread.join(GIVE_UP)
            self._thread = None
        if self.error:
            raise self.error

    def _run(self):
        try:
            while not self._ending.is_set():
                self.frontend.tx[0].reap()
                if self.frontend.tx[0].ring.room() >= 32:
                    self.frontend.send_burst(0, [self._frame(self.sent + i) for i in range(16)])
                    self.sent += 16
                self.take()
        except BaseException as error:  # handed on by run_until() and pause()
            self.error = error

    @staticmethod
    def _frame(number):
        return make_frame(60 + number % 1400, number)

    def take(self):
        """Take what has come back; how many frames."""
        count = 0
        while (frame := self.frontend.poll(0)) is not None:
            number = int.from_bytes(frame[NUMBER:NUMBER + 4], "big")
            assert frame == self._frame(number), f"frame {number} is corrupt"
            count += 1
        if count:
            self.received += count
            self.arrivals.append(time.monotonic())
        return count

    def drain(self):
        """Wait for stragglers; how many were lost."""
        quiet = time.monotonic() + 0.1
        while time.monotonic() < quiet:
            if self.take():
                quiet = time.monotonic() + 0.1
            time.sleep(0.001)
        return max(0, self.sent - self.received)

    def gap(self, began):
        """Seconds of the longest silence since then."""
        times = [began, *(t for t in self.arrivals if t > began)]
        return max(b - a for a, b in zip(times, times[1:]))


def holds(pmd):
    """Files, threads, mappings of guest memory and free mbufs of a testpmd."""
    folder = f"/proc/{pmd.pid}"
    with open(f"{folder}/maps", encoding="ascii") as maps:
        guest = sum("memfd:guest" in line or "memfd:log" in line or "memfd:memory-backend" in line
                    for line in maps)
    return {"files": len(os.listdir(f"{folder}/fd")),
            "threads": len(os.listdir(f"{folder}/task")), "mappings": guest,
            "mbufs used": pmd.pool_size() - pmd.free_mbufs()}


class Tally:
    """What one run survived."""

    def __init__(self, name, unit="frames"):
        self.name = name
        self.unit = unit       # what is counted: "frames"
        self.downtimes = {}    # seconds of each event, by the event's name
        self.passed = 0        # units that came back
        self.lost = 0          # that were under way when somebody died
        self.grown = []        # what testpmd held too much of

    def note(self, event, seconds):
        """An event was survived; traffic was away for some time."""
        self.downtimes.setdefault(event, []).append(seconds)

    def summary(self):
        """Lines for people."""
        events = sum(map(len, self.downtimes.values()))
        yield (f"{self.name}: {events} events survived, {self.passed} {self.unit} came back, {self.lost} "
               f"were lost; leaks of files, threads, mappings or mbufs: {self.grown or 'none'}")
        for name, times in sorted(self.downtimes.items()):
            ms = sorted(1000 * t for t in times)
            yield (f"    {name} {len(ms)} times: back after {ms[len(ms) // 2]:.0f} ms "
                   f"(median), {ms[int(0.9 * len(ms))]:.0f} ms (90 %), "
                   f"{ms[-1]:.0f} ms at most")

    def report(self, capsys):
        """Print the summary, whatever pytest catches."""
        with capsys.disabled():
            print()
            for line in self.summary():
                print(line)


class Soak:
    """See above; its tally tells what happened."""

    def __init__(self, setup, client, packed, seed=1):
        self.random = random.Random(seed)
        self.client, self.packed = client, packed
        self.host = Host(setup, pairs=1, **({"client": 1} if client else {}))
        self.tally = Tally(f"{'client' if client else 'server'}, {'packed' if packed else 'split'}")
        self.listener = protocol.listen(self.host.socket()) if client else None
        self.frontend = None
        self.pump = None       # of the event that happens now
        self.first = None      # what it holds without a front-end

    # --- the two sides -----------------------------------------------------

    def _config(self):
        return self.host.config(packed=self.packed, add_regions=True, timeout=GIVE_UP)

    def _connect(self):
        self.frontend = Frontend(None if self.client else self.host.socket(),
                                 self._config(), listener=self.listener).up()

    def _listen(self):
        """A restarted front-end that is the server makes its socket anew."""
        if self.client:
            self.listener.close()
            os.unlink(self.host.socket())
            self.listener = protocol.listen(self.host.socket())
            self.frontend.listener = self.listener

    def check_leaks(self):
        """Without a front-end testpmd must hold what it held at first."""
        self.frontend.close()
        if self.client:
            self._listen()
            # a connection that waits is a file too
            wait_until(lambda: select.select([self.listener], [], [], 0)[0], 5, "the driver connects")
        try:
            wait_until(lambda: self.first is None or not self._more(), 5, "nothing is left")
        except TestpmdError:
            self.tally.grown.append(self._more())
        if self.first is None:
            wait_until(lambda: holds(self.host.pmd)["mappings"] == 0, 5, "memory is unmapped")
            self.first = holds(self.host.pmd)
        self._connect()

    def _more(self):
        now = holds(self.host.pmd)
        return {key: (self.first[key], now[key]) for key in now if now[key] > self.first[key]}

    # --- events ------------------------------------------------------------

    def front_end_dies(self):
        """Its socket closes without a word; the guest's rings live on."""
        self.frontend.disconnect()
        self.pump.pause()  # nobody else may touch rings that are taken up again
        self._listen()
        self.frontend.reconnect()

    def front_end_killed(self):
        """SIGKILL of a process that was the front-end, in the middle of sending."""
        self.pump.pause()
        self.frontend.close()
        self._listen()
        pid = os.fork()
        if pid == 0:
            try:
                self._connect()
                while True:
                    self.frontend.echo(0, [make_frame(300, n) for n in range(32)])
            finally:
                os._exit(1)
        time.sleep(self.random.uniform(0.05, 0.3))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self._listen()
        self._connect()

    def testpmd_killed(self):
        """SIGKILL of the host's program, which is started again."""
        self.host.pmd.kill()
        self.pump.pause()
        self.frontend.disconnect()
        self.host.ensure()
        self.frontend.reconnect()

    def region_plugged(self):
        """Memory comes and goes."""
        region = Region(1 << 32, 4 << 20)
        self.frontend.add_region(region)
        time.sleep(self.random.uniform(0, 0.02))
        self.frontend.remove_region(region)
        region.close()

    def log_switched(self):
        """A migration begins, and is cancelled."""
        log = DirtyLog(self.frontend.memory)
        log.install(self.frontend)
        switch_log(self.frontend, True)
        time.sleep(self.random.uniform(0, 0.02))
        switch_log(self.frontend, False)
        log.close()

    def port_restarted(self):
        """The application stops and starts its port."""
        pmd = self.host.pmd
        pmd.stop()
        pmd.port_stop(0)
        pmd.port_start(0)
        pmd.start()

    def enabled_again(self):
        """Rings are disabled and enabled."""
        for on in (False, True):
            for index in (0, 1):
                self.frontend.enable(index, on)

    # --- running -----------------------------------------------------------

    def _event(self, name, act):
        pump = self.pump = Pump(self.frontend)
        pump.run_until(64)
        time.sleep(self.random.uniform(0, 0.05))
        began = time.monotonic()
        act()
        pump.frontend = self.frontend
        pump.run_until(pump.received + 64)
        pump.pause()
        self.tally.passed += pump.received
        self.tally.lost += pump.drain()
        self.tally.note(name, pump.gap(began))

    def run(self, seconds):
        """Events in random order until the time is up."""
        self.host.ensure()
        self._connect()
        self._event("front-end dies", self.front_end_dies)
        self.check_leaks()
        events = [("front-end dies", self.front_end_dies),
                  ("front-end killed", self.front_end_killed),
                  ("region plugged", self.region_plugged),
                  ("log switched", self.log_switched),
                  ("port restarted", self.port_restarted),
                  ("rings enabled again", self.enabled_again)]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for event in self.random.sample(events, len(events)):
                self._event(*event)
            self.check_leaks()
            self._event("testpmd killed", self.testpmd_killed)
            self.first = None
            self.check_leaks()
        self.frontend.close()
        self.host.close()
        return self.tally
