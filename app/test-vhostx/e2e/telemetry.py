# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The telemetry socket of a testpmd that was started with --telemetry."""

import contextlib
import json
import os
import socket
import subprocess

from rig import Setup

SCRIPT = "dpdk-telemetry.py"


class TalkingSetup(Setup):
    """What is under test, with telemetry on and the files that it needs."""

    def load(self):
        """EAL options that load the driver and open the socket."""
        return [*super().load(), "--telemetry"]


def talking(setup):
    """The same setup with telemetry."""
    return TalkingSetup(**vars(setup))


def socket_path(pmd):
    """Path of the process's telemetry socket."""
    return os.path.join(pmd.runtime_dir, "dpdk", pmd.file_prefix, "dpdk_telemetry.v2")


def ask(pmd, command):
    """The answer to one command ("/vhostx/info,0"); None where it has none."""
    kind = socket.SOCK_SEQPACKET
    with contextlib.closing(socket.socket(socket.AF_UNIX, kind)) as sock:
        sock.settimeout(10)
        sock.connect(socket_path(pmd))
        limit = json.loads(sock.recv(1024))["max_output_len"]
        sock.send(command.encode())
        return json.loads(sock.recv(limit))[command.split(",")[0]]


def ask_by_script(pmd, command):
    """The same through dpdk-telemetry.py."""
    env = {**os.environ, "RUNTIME_DIRECTORY": pmd.runtime_dir}
    done = subprocess.run([SCRIPT, "-f", pmd.file_prefix], input=command + "\n",
                          env=env, capture_output=True, text=True, timeout=20,
                          check=True)
    answers = [line for line in done.stdout.splitlines() if command.split(",")[0] in line]
    return json.loads(answers[-1])[command.split(",")[0]]
