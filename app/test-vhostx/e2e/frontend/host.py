# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The other end for the scripted front-end: testpmd that loops every frame.

Port 0 (and 1, if asked for) belongs to the driver under test and sends on
queue q whatever the guest transmits on pair q.
"""

import contextlib
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from rig import Rig, assert_driver, queue_args
from testpmd import wait_until

from .device import Config, Frontend, make_frame


class Host:
    """A testpmd that echoes; started again if a test has killed it.

    mbufs is the size of its pool; it holds none of them between two bursts.
    topology is testpmd's: "paired" sends what port 0 receives on port 1. args
    are more options of testpmd; vdevs are ports that come after the driver's;
    memory is the EAL's, in MB, where it is not the usual. port is the one that
    is meant where none is named.
    """

    def __init__(self, setup, pairs=2, ports=1, mbufs=None, topology="loop", args=(),
                 vdevs=(), memory=None, **devargs):
        self.setup = setup
        self.pairs = pairs
        self.ports = ports
        self.mbufs = mbufs
        self.topology = topology
        self.args = args
        self.vdevs = vdevs
        self.memory = memory
        self.devargs = devargs
        self.folder = Path(tempfile.mkdtemp(prefix="vxfe-"))
        self.rig = Rig(setup, self.folder)
        self.pmd = None
        self.port = 0

    def socket(self, port=None):
        """Path of a port's socket."""
        return str(self.folder / f"p{self.port if port is None else port}.sock")

    def ensure(self):
        """Start testpmd unless it runs; returns self."""
        if self.pmd is None or not self.pmd.alive():
            options = self.setup.load()
            for port in range(self.ports):
                options += ["--vdev", self.setup.device(
                    port, iface=self.socket(port), queues=self.pairs, **self.devargs)]
            for vdev in self.vdevs:
                options += ["--vdev", vdev]
            if self.memory is not None:
                options += ["-m", str(self.memory)]
            self.pmd = self.rig.launch("host", options, [
                "--forward-mode=io", f"--port-topology={self.topology}", *self.args,
                *queue_args(self.pairs, mbufs=self.mbufs)],
                hugepages=False)  # the guest's memory is ours: none are needed
            assert_driver(self.pmd, self.setup.driver)
            self.pmd.start()
        return self

    def config(self, **wishes):
        """A Config that asks no more of the driver than it promises."""
        wishes.setdefault("strict", self.setup.driver == "net_vhostx")
        return Config(**wishes)

    def frontend(self, port=None, memory=None, kind=Frontend, **wishes):
        """A front-end that is up and running on a port."""
        return self._begun(kind.up, port, memory, kind, wishes)

    def newcomer(self, port=None, memory=None, kind=Frontend, **wishes):
        """A front-end that has negotiated features and nothing else."""
        def begin(frontend):
            frontend.open()
            frontend.negotiate()

        return self._begun(begin, port, memory, kind, wishes)

    def _begun(self, begin, port, memory, kind, wishes):
        frontend = kind(self.socket(port), self.config(**wishes), memory=memory)
        try:
            begin(frontend)
        except BaseException:
            frontend.close()
            raise
        return frontend

    def check(self, pairs=1, port=None):
        """A new front-end must find a port that forwards."""
        with self.frontend(port, pairs=pairs) as frontend:
            for pair in range(pairs):
                frontend.echo(pair, [make_frame(100 + i, i) for i in range(4)])

    @contextlib.contextmanager
    def patient(self):
        """Forward with retries meanwhile: a short pause of a ring costs nothing."""
        self.pmd.stop()
        self.pmd.set_patient()
        self.pmd.start()
        try:
            yield self
        finally:
            if self.pmd.alive():
                self.pmd.stop()
                self.pmd.set_fwd("io")
                self.pmd.start()

    def open_files(self):
        """Number of descriptors that testpmd holds."""
        return len(os.listdir(f"/proc/{self.pmd.pid}/fd"))

    def wait_open_files(self, count, timeout=5):
        """Wait until testpmd holds no more descriptors than count."""
        wait_until(lambda: self.open_files() <= count, timeout,
                   f"no more than {count} open files, {self.open_files()} now")

    def assert_alive(self):
        """testpmd must have survived."""
        assert self.pmd.alive(), f"testpmd died\n{self.pmd.describe()}"

    def close(self):
        """End testpmd; complaints as assertion."""
        problems = self.rig.end()
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not problems, "\n".join(problems)


class Traffic(threading.Thread):
    """Frames that go round on one pair until the with block ends.

    Every frame must come back, unchanged and in order; a thread of its own, so
    the block can send messages meanwhile.
    """

    def __init__(self, frontend, pair=0, length=200, burst=16):
        super().__init__(daemon=True)
        self.frontend, self.pair = frontend, pair
        self.length, self.burst = length, burst
        self.count = 0
        self.error = None
        self.ending = threading.Event()

    def __enter__(self):
        self.start()
        self.progress()
        return self

    def __exit__(self, kind, *_):
        self.ending.set()
        self.join(30)
        if kind is None and self.error:
            raise self.error

    def run(self):
        """Echo bursts until told to end."""
        try:
            while not self.ending.is_set():
                self.frontend.echo(self.pair, [
                    make_frame(self.length + i, self.count + i)
                    for i in range(self.burst)])
                self.count += self.burst
        except BaseException as error:  # handed to the test by __exit__
            self.error = error

    def progress(self, frames=64, timeout=10.0):
        """Wait until so many more frames have come back."""
        goal = self.count + frames
        deadline = time.monotonic() + timeout
        while self.count < goal:
            if self.error:
                raise self.error
            if time.monotonic() > deadline:
                raise TimeoutError(f"{goal - self.count} frames short")
            time.sleep(0.0005)
