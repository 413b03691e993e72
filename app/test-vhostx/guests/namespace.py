# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A network namespace of this machine as an end of a network: commands as in a guest."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from guest import COMMAND_TIMEOUT, GuestError
from image import PATH, tool


def lacking():
    """Why there can be no namespaces here, in words; None if there can."""
    if os.geteuid() != 0:
        return "network namespaces take root"
    if tool("ip") is None:
        return "not installed: iproute2 (devtools/setup.sh --tests)"
    name = f"vxtry-{os.getpid()}"
    done = subprocess.run([tool("ip"), "netns", "add", name], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        return f"no network namespaces here: {done.stderr.strip()}"
    subprocess.run([tool("ip"), "netns", "del", name], check=True)
    return None


class Namespace:
    """A network namespace; busybox gives it the commands that a guest has.

    Use it in a with block: it ends with all that runs in it in the background.
    """

    def __init__(self, name):
        self.name = f"{name}-{os.getpid()}"
        self._tools = Path(tempfile.mkdtemp(prefix="vxns-"))
        self._jobs = []

    def __enter__(self):
        subprocess.run([tool("busybox"), "--install", "-s", self._tools], check=True)
        subprocess.run([tool("ip"), "netns", "add", self.name], check=True)
        self.run("ip link set lo up")
        return self

    def __exit__(self, *exception):
        for job in self._jobs:
            job.end()
        subprocess.run([tool("ip"), "netns", "del", self.name], check=True)
        shutil.rmtree(self._tools)

    def argv(self, *words):
        """A command line that runs the words in the namespace."""
        return [tool("ip"), "netns", "exec", self.name, *words]

    def _popen(self, command):
        environment = {**os.environ, "PATH": f"{self._tools}:{PATH}", "HOME": str(self._tools)}
        return subprocess.Popen(self.argv("/bin/sh", "-c", command), env=environment,
                                cwd=self._tools, stdin=subprocess.DEVNULL, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)

    def attempt(self, command, timeout=COMMAND_TIMEOUT):
        """Run a line of shell; (exit status, output)."""
        return NamespaceJob(self, command, self._popen(command)).attempt(timeout)

    def run(self, command, timeout=COMMAND_TIMEOUT):
        """Run a line of shell that must succeed; its output."""
        return NamespaceJob(self, command, self._popen(command)).wait(timeout)

    def spawn(self, command):
        """Run a line of shell in the background; a job to wait for."""
        job = NamespaceJob(self, command, self._popen(command))
        self._jobs.append(job)
        return job


class NamespaceJob:
    """A command that runs in a namespace."""

    def __init__(self, namespace, command, process):
        self.namespace, self.command, self.process = namespace, command, process

    def attempt(self, timeout=COMMAND_TIMEOUT):
        """Wait for the end; (exit status, output)."""
        try:
            output, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as late:
            self.end()
            raise GuestError(f"{self.namespace.name}: still running after {timeout} s: "
                             f"{self.command}") from late
        return self.process.returncode, output

    def wait(self, timeout=COMMAND_TIMEOUT):
        """Wait for an end that must be a success; the output."""
        status, output = self.attempt(timeout)
        if status != 0:
            raise GuestError(f"{self.namespace.name}: {self.command}: exit status {status}\n{output}")
        return output

    def end(self):
        """End the command and what it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.communicate()
