# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""QEMU's monitor: commands as methods, answers as dictionaries."""

import json
import socket
import time

TIMEOUT = 60


class QmpError(AssertionError):
    """QEMU refused a command, or did not get there in time."""


class Qmp:
    """A connection to a monitor that was made by "-qmp unix:PATH,server=on,wait=off"."""

    def __init__(self, path):
        self._sock = self._connect(str(path))
        self._sock.settimeout(TIMEOUT)
        self._lines = self._sock.makefile("rw", encoding="utf-8")
        self._lines.readline()  # the greeting
        self.do("qmp_capabilities")

    @staticmethod
    def _connect(path):
        deadline = time.monotonic() + TIMEOUT
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(path)
                return sock
            except (FileNotFoundError, ConnectionRefusedError):
                sock.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def do(self, command, **arguments):
        """Run one command; what it returns."""
        json.dump({"execute": command, "arguments": arguments}, self._lines)
        self._lines.write("\n")
        self._lines.flush()
        while True:
            answer = json.loads(self._lines.readline())
            if "error" in answer:
                raise QmpError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def close(self):
        """Hang up."""
        self._lines.close()
        self._sock.close()

    def wait_status(self, *wanted):
        """Wait until the machine is in one of these states."""
        deadline = time.monotonic() + TIMEOUT
        while (status := self.do("query-status")["status"]) not in wanted:
            if time.monotonic() > deadline:
                raise QmpError(f"{status}, not {wanted}")
            time.sleep(0.005)

    def allow_postcopy(self):
        """Both ends of a migration must, before it begins."""
        self.do("migrate-set-capabilities",
                capabilities=[{"capability": "postcopy-ram", "state": True}])

    def migrate(self, uri):
        """Migrate to a QEMU that listens there; what QEMU tells of it."""
        self.do("migrate-set-parameters", **{"max-bandwidth": 1 << 30, "downtime-limit": 300})
        self.do("migrate", uri=uri)
        return self._migrated()

    def migrate_postcopy(self, uri, bandwidth=32 << 20):
        """The same by post-copy, at so many bytes a second: most pages come when the guest runs there."""
        self.do("migrate-set-parameters", **{"max-bandwidth": bandwidth,
                                             "max-postcopy-bandwidth": bandwidth})
        self.do("migrate", uri=uri)
        deadline = time.monotonic() + TIMEOUT
        while self.do("query-migrate")["status"] == "setup":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.do("migrate-start-postcopy")
        return self._migrated()

    def _migrated(self):
        deadline = time.monotonic() + TIMEOUT
        while True:
            state = self.do("query-migrate")
            if state["status"] == "completed":
                return state
            if state["status"] in ("failed", "cancelled") or time.monotonic() > deadline:
                raise QmpError(f"migration: {state}")
            time.sleep(0.02)
