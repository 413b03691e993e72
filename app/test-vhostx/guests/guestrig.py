# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A host, that is testpmd with net_vhostx ports, and the guests on these ports."""

import shlex
import subprocess

from rig import Rig, assert_driver, pool_args, vdev

from guest import Guest
from image import CHECKOUT
from net import End

GUEST_CONFIG = CHECKOUT / "devtools" / "guest-config.py"
MEMORY_MIB = 256
# Properties of a device whose guest verifies every checksum itself, and takes no packet longer than a frame.
NO_GUEST_OFFLOADS = "guest_csum=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off"


def guest_config(*options):
    """What guest-config.py prints for a guest, as QEMU's arguments."""
    done = subprocess.run(["/usr/bin/python3", GUEST_CONFIG, "qemu", "--tcg", "--memory", f"{MEMORY_MIB}M",
                           *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return shlex.split(done.stdout.replace("\\\n", ""))


class GuestRig:
    """Starts testpmd and guests in one folder, and sees to it that all end."""

    def __init__(self, setup, folder, boot_image):
        self.setup = setup
        self.folder = folder
        self._image = boot_image
        self._rig = Rig(setup, folder)
        self.guests = []
        self.ends = []
        self.pmd = None
        self.client = False

    @property
    def failed(self):
        """Whether a test of this rig has failed."""
        return self._rig.failed

    @failed.setter
    def failed(self, value):
        self._rig.failed = value

    def processes(self):
        """All that run or ran."""
        return [*self._rig.processes, *self.guests]

    def socket(self, port):
        """Path of a port's socket."""
        return self.folder / f"port{port}.sock"

    def host(self, *, ports=2, queues=1, vdevs=(), args=(), eal=(), **devargs):
        """A testpmd that forwards between its ports in pairs; other vdevs come last."""
        self.client = bool(devargs.get("client"))
        return self.host_of([(self.setup.driver, devargs)] * ports, queues=queues, vdevs=vdevs,
                            args=args, eal=eal)

    def host_of(self, devices, *, queues=1, vdevs=(), args=(), eal=()):
        """The same with ports of several drivers: [(driver, devargs)]."""
        options = self.setup.load()
        for port, (driver, devargs) in enumerate(devices):
            options += ["--vdev", vdev(f"{driver}{port}", iface=self.socket(port), queues=queues,
                                       **devargs)]
        for other in vdevs:
            options += ["--vdev", other]
        self.pmd = self._rig.launch("host", [*options, *eal],
                                    ["--nb-cores=1", f"--rxq={queues}", f"--txq={queues}",
                                     *pool_args(queues * len(devices)), *args],
                                    hugepages=False)
        for port, (driver, _) in enumerate(devices):
            assert_driver(self.pmd, driver, port)
        self.pmd.start()
        return self.pmd

    def guest(self, port, *options, cpus=1, device="", change=None, kernel=""):
        """A guest on a port, configured by guest-config.py; not up yet.

        options go to guest-config.py, device is more properties of the device,
        change makes other arguments of all of them, kernel is more of its command line.
        """
        arguments = guest_config("--socket", str(self.socket(port)),
                                 "--mode", "client" if self.client else "server", *options)
        if device:
            arguments[-1] += f",{device}"
        guest = Guest(f"guest{len(self.guests)}", self.folder, self._image,
                      change(arguments) if change else arguments, cpus=cpus, kernel=kernel)
        self.guests.append(guest)
        return guest

    def pair(self, *options, first=0, **keywords):
        """Guests on two ports, the first and the next, that reach each other as ends 1 and 2."""
        return self.introduce([self.guest(first + number, *options, **keywords) for number in (0, 1)])

    def introduce(self, guests):
        """Wait until two guests have booted and reach each other; they as ends 1 and 2.

        The host forwards nothing meanwhile, and so leaves its CPU to them.
        """
        self.pmd.stop()
        for guest in guests:
            guest.wait_boot()
        self.pmd.start()
        ends = [End(guest, number).configure() for number, guest in enumerate(guests, 1)]
        ends[0].reach(ends[1])
        return ends

    def end_guests(self):
        """End all guests and forget them; the host goes on."""
        for guest in self.guests:
            guest.kill()
        self.guests.clear()

    def end(self):
        """End everything; what went wrong at the end."""
        self.end_guests()
        return self._rig.end()
