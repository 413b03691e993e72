# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A Linux guest in QEMU as an object: commands go in by a serial port, answers come out.

QEMU emulates the processor ("-accel tcg"): that works on every machine, also
inside a virtual one. A guest has booted when it says so on its second serial
port; the kernel's messages are on the first.
"""

import itertools
import os
import re
import signal
import socket
import subprocess
import threading
import time

from testpmd import die_with_parent

from image import tool

BOOT_TIMEOUT = 60
COMMAND_TIMEOUT = 30
LOG_TAIL = 6000
KERNEL_COMMAND_LINE = "console=ttyS0 quiet panic=-1 cryptomgr.notests"
# With RDRAND the guest has random numbers at once; iperf3 waits for the first ones.
CPU = "qemu64,+rdrand"
ANSWER = re.compile(rb"answer (\d+) (\d+) (\d+)\n")
READY = b"ready\n"


def guest_cpus():
    """CPUs of the guests: all but the one that testpmd polls on, if there are others."""
    cpus = sorted(os.sched_getaffinity(0))
    return set(cpus[1:]) or set(cpus)


class GuestError(AssertionError):
    """A guest ended, did not answer in time, or a command in it failed."""


class Shell:
    """The shell in a guest, behind the guest's second serial port."""

    def __init__(self, name):
        self.name = name
        self._numbers = itertools.count(1)
        self._jobs = itertools.count(1)
        self._sock = None

    def attach(self, sock):
        """Use a socket that is joined to the serial port."""
        self._sock = sock
        self._seen = b""
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, args=(sock,), daemon=True)
        self._reader.start()

    def detach(self):
        """Close the socket, when whoever was behind it has ended."""
        self._sock.close()
        self._reader.join(5)

    def _read(self, sock):
        while True:
            try:
                data = sock.recv(65536)
            except OSError:
                data = b""
            with self._changed:
                self._seen += data
                self._changed.notify_all()
            if not data:
                return

    def seen(self):
        """What came from the serial port last, for a failed test."""
        with self._changed:
            return self._seen[-LOG_TAIL:].decode(errors="replace")

    # --- waiting -------------------------------------------------------------

    def _wait(self, check, timeout, what):
        """What check(bytes seen so far) returns once that is true."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                value = check(self._seen)
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    break
                self._changed.wait(min(left, 0.5))
        ended = "" if self._reader.is_alive() else " (it ended)"
        raise GuestError(f"{self.name}: not within {timeout} s{ended}: {what}")

    def wait_boot(self, times=1, timeout=BOOT_TIMEOUT):
        """Wait until this QEMU's guest has booted so many times."""
        self._wait(lambda seen: seen.count(READY) >= times, timeout, f"boot number {times}")
        return self

    # --- commands ------------------------------------------------------------

    def attempt(self, command, timeout=COMMAND_TIMEOUT):
        """Run a line of shell; (exit status, output)."""
        number = next(self._numbers)
        with self._changed:
            mark = len(self._seen)
        self._sock.sendall(f"{number} {command}\n".encode())

        def answer(seen):
            for head in ANSWER.finditer(seen, mark):
                end = head.end() + int(head.group(3))
                if int(head.group(1)) == number and len(seen) >= end:
                    return int(head.group(2)), seen[head.end():end].decode(errors="replace")
            return None
        return self._wait(answer, timeout, command)

    def run(self, command, timeout=COMMAND_TIMEOUT):
        """Run a line of shell that must succeed; its output."""
        status, output = self.attempt(command, timeout)
        if status != 0:
            raise GuestError(f"{self.name}: {command}: exit status {status}\n{output}")
        return output

    def spawn(self, command):
        """Run a line of shell in the background; a Job to wait for."""
        job = f"/tmp/job{next(self._jobs)}"
        self.run(f"( ( {command} ) >{job} 2>&1; echo $? >{job}.new; mv {job}.new {job}.rc ) "
                 "</dev/null >/dev/null 2>&1 &")
        return Job(self, job, command)

    def send(self, command):
        """Send a line of shell and wait for nothing: for those that end the guest."""
        self._sock.sendall(f"0 {command}\n".encode())


class Guest(Shell):
    """One QEMU process; network and memory arguments come from the caller, and more of the kernel's."""

    def __init__(self, name, folder, image, arguments, *, cpus=1, run_on=None, kernel=""):
        super().__init__(name)
        self._run_on = run_on or guest_cpus()
        self._boot_on = run_on or os.sched_getaffinity(0)
        self.console_path = folder / f"{name}.console"
        self.log_path = folder / f"{name}.qemu"
        self._image = image
        self._arguments = arguments
        self._cpus = cpus
        self._kernel = f"{KERNEL_COMMAND_LINE} {kernel}"
        self.start()

    def command(self):
        """The command line, but for the shell's serial port, which is the second one."""
        return [tool("qemu-system-x86_64"), *self._arguments, "-smp", str(self._cpus),
                "-cpu", CPU, "-nodefaults", "-no-user-config", "-display", "none",
                "-kernel", str(self._image.kernel), "-initrd", str(self._image.initrd),
                "-append", self._kernel, "-serial", f"file:{self.console_path}"]

    def start(self):
        """Start QEMU (again); the guest is not up yet."""
        ours, theirs = socket.socketpair()
        self.argv = [*self.command(), "-chardev", f"socket,id=shell,fd={theirs.fileno()}",
                     "-serial", "chardev:shell"]
        with open(self.log_path, "wb") as log:
            self._proc = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[theirs.fileno()], preexec_fn=self._in_child)
        theirs.close()
        self.attach(ours)
        return self

    def _in_child(self):
        die_with_parent()
        os.sched_setaffinity(0, self._boot_on)

    def _move(self, cpus):
        """Let all of QEMU's threads run on these CPUs."""
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            os.sched_setaffinity(int(thread), cpus)

    def wait_boot(self, times=1, timeout=BOOT_TIMEOUT):
        """Wait until the guest has booted so many times; then it leaves testpmd's CPU alone."""
        super().wait_boot(times, timeout)
        self._move(self._run_on)
        return self

    def send(self, command):
        """Send a line that ends the guest, which may boot on all CPUs."""
        self._move(self._boot_on)
        super().send(command)

    @property
    def pid(self):
        """Process id of QEMU."""
        return self._proc.pid

    def alive(self):
        """Whether QEMU still runs."""
        return self._proc.poll() is None

    def log(self):
        """What QEMU itself has said."""
        return self.log_path.read_text(errors="replace")

    def console(self):
        """What the guest's kernel has said."""
        try:
            return self.console_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def describe(self):
        """Command line, state and the ends of the logs, for a failed test."""
        state = "running" if self.alive() else f"ended: {self._proc.returncode}"
        return (f"$ {' '.join(self.argv)}\n[{state}]\n{self.log()[-LOG_TAIL:]}\n"
                f"--- kernel ---\n{self.console()[-LOG_TAIL:]}\n--- shell ---\n{self.seen()}")

    def kill(self):
        """SIGKILL by process id, as a crash of QEMU would be."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
        self._proc.wait()
        self.detach()


class Job:
    """A command that runs in a guest's background."""

    def __init__(self, guest, path, command):
        self.guest, self.path, self.command = guest, path, command

    def ended(self):
        """Whether the command has ended."""
        return self.guest.attempt(f"test -e {self.path}.rc")[0] == 0

    def attempt(self, timeout=COMMAND_TIMEOUT):
        """Wait for the end; (exit status, output)."""
        status, text = self.guest.attempt(
            f"for i in $(seq {int(timeout * 10)}); do test ! -e {self.path}.rc || break; "
            f"usleep 100000; done; cat {self.path}.rc {self.path}", timeout * 2)
        if status != 0:
            raise GuestError(f"{self.guest.name}: still running after {timeout} s: {self.command}\n{text}")
        first, _, output = text.partition("\n")
        return int(first), output

    def wait(self, timeout=COMMAND_TIMEOUT):
        """Wait for an end that must be a success; the output."""
        status, output = self.attempt(timeout)
        if status != 0:
            raise GuestError(f"{self.guest.name}: {self.command}: exit status {status}\n{output}")
        return output
