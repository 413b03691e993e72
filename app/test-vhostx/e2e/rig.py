# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The two ends of a vhost-user device, each in a testpmd of its own.

The vhost end runs the driver under test and, where contents are checked, a
net_pcap port as the place that packets come from and go to. The virtio end is
virtio-user, which sends back what it receives.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from pcap import (assert_same_frames, make_frames, mixed_lengths, read_pcap,
                  write_pcap)
from testpmd import Testpmd, TestpmdError, lcore_options

HUGEPAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
HUGEPAGES_NEEDED = 256
NO_HUGE_MEGABYTES = 400
RING = 1024

# A guest's queue pair holds a ring of receive buffers and a ring of sent frames
# that nobody has fetched, of four segments in the longest chains of the tests.
POOL_BASE, POOL_QUEUE = 8192, 6 * RING

# What testpmd would do at its starts and stops that no test needs: receive what is left in a ring, touch every
# page of a memory that is hardly used, look for a tenth of a second whether links have come up.
QUICK = ["--no-flush-rx", "--no-mlockall", "--disable-link-check"]

VHOST_WORKER, VIRTIO_WORKER = 0, 1
VHOST_PORT, PCAP_PORT = 0, 1


def enough_hugepages():
    """Whether two testpmds would find enough free 2 MB pages."""
    try:
        return int(HUGEPAGES.read_text(encoding="ascii")) >= HUGEPAGES_NEEDED
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Setup:
    """What a whole run tests: driver name, plugin or None, testpmd, memory."""

    driver: str
    plugin: Optional[Path]
    program: str
    hugepages: bool

    def device(self, index=0, **devargs):
        """Name and devargs of one vhost device, as --vdev takes them."""
        return vdev(f"{self.driver}{index}", **devargs)

    def memory(self, hugepages=None):
        """EAL options for memory that the other end can map."""
        if self.hugepages if hugepages is None else hugepages:
            return ["--in-memory", "--single-file-segments"]
        return ["--no-huge", "-m", str(NO_HUGE_MEGABYTES)]

    def load(self):
        """EAL options that load the driver; the stock one loads by itself."""
        return ["-d", str(self.plugin)] if self.plugin else []


@dataclass(frozen=True)
class RingPath:
    """One of virtio-user's ways to use a ring: devargs, EAL options, proof."""

    name: str
    devargs: dict
    rx_log: str
    simd: bool = False

    @property
    def mergeable(self):
        """Whether a packet may span several buffers of the guest."""
        return self.devargs.get("mrg_rxbuf") == 1


def _path(name, rx_log, simd=False, **devargs):
    return RingPath(name, {"mrg_rxbuf": 0, "in_order": 0, **devargs}, rx_log, simd)


RING_PATHS = {path.name: path for path in [
    _path("split-mergeable", "using mergeable buffer Rx path", mrg_rxbuf=1),
    _path("split-non-mergeable", "using standard Rx path"),
    _path("split-in-order", "using inorder Rx path", mrg_rxbuf=1, in_order=1),
    _path("split-in-order-non-mergeable", "using inorder Rx path", in_order=1),
    _path("split-vectorised", "using vectorized Rx path", vectorized=1),
    _path("packed-mergeable", "using packed ring mergeable buffer Rx path",
          packed_vq=1, mrg_rxbuf=1),
    _path("packed-non-mergeable", "using packed ring standard Rx path",
          packed_vq=1),
    _path("packed-in-order", "using packed ring mergeable buffer Rx path",
          packed_vq=1, mrg_rxbuf=1, in_order=1),
    _path("packed-in-order-non-mergeable", "using packed ring standard Rx path",
          packed_vq=1, in_order=1),
    _path("packed-vectorised", "using packed ring vectorized Rx path",
          simd=True, packed_vq=1, in_order=1, vectorized=1),
]}
MERGEABLE_PATHS = [name for name, path in RING_PATHS.items() if path.mergeable]


def vdev(name, **devargs):
    """A --vdev value."""
    return ",".join([name, *(f"{k}={v}" for k, v in devargs.items())])


def queue_args(queues, ring=RING, mbufs=None):
    """testpmd options for a number of queue pairs, and mbufs enough for them."""
    return [f"--rxq={queues}", f"--txq={queues}", f"--rxd={ring}", f"--txd={ring}",
            *pool_args(queues, mbufs)]


def pool_args(queues, mbufs=None):
    """testpmd option for mbufs, unless told enough for a number of queue pairs."""
    return [f"--total-num-mbufs={mbufs or POOL_BASE + POOL_QUEUE * queues}"]


class Rig:
    """Starts both ends in one folder and sees to it that both end."""

    def __init__(self, setup, folder):
        self.setup = setup
        self.folder = folder
        self.processes = []
        self.failed = False

    @property
    def socket(self):
        """Path of the vhost-user socket that both ends use unless told."""
        return self.folder / "vhost.sock"

    def launch(self, name, eal, args, *, worker=VHOST_WORKER, hugepages=None,
               env=None, ready=True, ignore_sigpipe=False):
        """Start a testpmd; wait for its prompt unless told not to."""
        common = lcore_options(worker) + self.setup.memory(hugepages)
        pmd = Testpmd(f"{name}{len(self.processes)}", common + eal,
                      [*QUICK, *(args or pool_args(1))],
                      program=self.setup.program, env=env,
                      ignore_sigpipe=ignore_sigpipe)
        self.processes.append(pmd)
        return pmd.wait_ready() if ready else pmd

    def vhost(self, *, queues=1, args=(), eal=(), vdevs=(), devargs=None,
              hugepages=None):
        """The vhost end; its port 0 must belong to the driver under test."""
        device = self.setup.device(0, iface=self.socket, queues=queues,
                                   **(devargs or {}))
        options = [*self.setup.load(), "--vdev", device]
        for extra in vdevs:
            options += ["--vdev", extra]
        pmd = self.launch("vhost", [*options, *eal],
                          [*queue_args(queues), *args], hugepages=hugepages)
        assert_driver(pmd, self.setup.driver)
        return pmd

    def virtio(self, path, **options):
        """The virtio end; virtio-user must take the wanted receive path."""
        return ready_virtio(self.begin_virtio(path, **options), path)

    def begin_virtio(self, path, *, queues=1, ring=RING, args=(), eal=(),
                     devargs=None, hugepages=None):
        """Start the virtio end, which as a server waits for its client.

        virtio-user writes to a socket whose other end is gone when it quits, so
        SIGPIPE is ignored here, and here only.
        """
        path = RING_PATHS[path]
        device = vdev("net_virtio_user0", path=self.socket, queues=queues,
                      queue_size=ring, **path.devargs, **(devargs or {}))
        options = ["--vdev", device, "--log-level=pmd.net.virtio.init:info"]
        if path.simd:
            options.append("--force-max-simd-bitwidth=512")
        return self.launch("virtio", [*options, *eal],
                           [*queue_args(queues, ring), *args],
                           worker=VIRTIO_WORKER, hugepages=hugepages,
                           ready=False, ignore_sigpipe=True)

    def echo(self, path, **options):
        """A virtio end that sends back all that it receives, in order."""
        pmd = self.virtio(path, **options)
        pmd.set_patient()
        pmd.start()
        return pmd

    def end(self):
        """End every process; what went wrong at the end, newest first."""
        problems = [ended for pmd in reversed(self.processes)
                    if (ended := end_process(pmd, gently=not self.failed))]
        return [] if self.failed else problems


def end_process(pmd, gently):
    """Quit, or kill after a failure; a complaint if quitting did not work."""
    if not pmd.alive():
        expected = pmd.killed or pmd.returncode == 0
        pmd.wait_exit()
        return None if expected else f"{pmd.name} died\n{pmd.describe()}"
    complaint = None
    if gently:
        try:
            status = pmd.quit()
            complaint = f"{pmd.name} quit with {status}" if status else None
        except TestpmdError as error:
            complaint = str(error)
    pmd.kill()
    return complaint


def assert_driver(pmd, driver, port=0):
    """The port must belong to that driver: the vdev bus matches by prefix."""
    assert pmd.port_info(port)["Driver name"] == driver


def ready_virtio(pmd, path):
    """Wait for a begun virtio end, and see that it takes the wanted path."""
    pmd.wait_ready()
    wanted = RING_PATHS[path].rx_log
    assert wanted in pmd.log, f"virtio-user is not {wanted}"
    return pmd


class ContentRig:
    """A vhost end between pcap files, to compare what comes back bit by bit.

    Port 0 is the vhost port, port 1 the pcap port; restarting port 1 reads the
    input again and writes the outputs anew.
    """

    def __init__(self, rig, queues=1, **options):
        self.rig = rig
        self.queues = queues
        self.write_input([make_frames([64], 0)] * queues)
        self.pmd = rig.vhost(queues=queues, vdevs=[self.pcap_device()], **options)

    def file(self, direction, queue):
        """Path of one pcap file; direction is "in" or "out"."""
        return self.rig.folder / f"{direction}{queue}.pcap"

    def pcap_device(self):
        """One file in and one out for every queue."""
        files = [f"{way}_pcap={self.file(name, q)}" for q in range(self.queues)
                 for way, name in (("rx", "in"), ("tx", "out"))]
        return ",".join(["net_pcap0", *files])

    def write_input(self, streams):
        """One list of frames a queue."""
        for queue, frames in enumerate(streams):
            write_pcap(self.file("in", queue), frames)

    def exchange(self, streams, timeout=20):
        """Send the frames of each queue round; what came back of each queue."""
        self.pmd.port_stop(PCAP_PORT)
        self.write_input(streams)
        self.pmd.port_start(PCAP_PORT)
        self.pmd.command(f"set portlist {VHOST_PORT},{PCAP_PORT}")
        self.pmd.set_patient()
        base = self.pmd.stats(PCAP_PORT)["tx_packets"]
        self.pmd.start()
        total = sum(map(len, streams))
        self.pmd.wait_stat(PCAP_PORT, "tx_packets", base + total, timeout)
        self.pmd.stop()
        self.pmd.port_stop(PCAP_PORT)
        return [read_pcap(self.file("out", q)) for q in range(self.queues)]

    def check(self, count=3000, seed=1, low=64, high=1518):
        """Frames of mixed sizes must come back on their queue unchanged."""
        streams = [make_frames(mixed_lengths(count, seed + q, low, high), seed + q)
                   for q in range(self.queues)]
        for sent, received in zip(streams, self.exchange(streams)):
            assert_same_frames(sent, received)

    def drain(self):
        """Receive and drop what an earlier life left in the ring."""
        self.leave_pcap_out()
        self.pmd.set_fwd("rxonly")
        self.pmd.start()
        self.pmd.wait_quiet(VHOST_PORT)
        self.pmd.stop()

    def leave_pcap_out(self):
        """Forward between the vhost port and itself until the next exchange."""
        self.pmd.command(f"set portlist {VHOST_PORT}")
