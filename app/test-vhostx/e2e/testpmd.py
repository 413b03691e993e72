# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""An interactive dpdk-testpmd as an object: every command waits for its prompt."""

import ctypes
import os
import pty
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

PROMPT = "testpmd> "
# Other threads write events and log lines, even between two letters of an answer
# or a prompt; the line feed that an event begins with is a write of its own.
EVENT = r"\nPort \d+: [\w ]+ event\n"
STRAY = r"\n|(?:Port \d+|net_vhostx?\d*|VHOST_CONFIG|EAL|\w+\(\)): [^\n]*\n"
PROMPT_REGEX = re.compile(f"(?:{STRAY})*".join(map(re.escape, PROMPT)))
START_TIMEOUT = 30
COMMAND_TIMEOUT = 20
LOG_TAIL = 16000


class TestpmdError(AssertionError):
    """testpmd ended, or did not answer as it should in time."""

    __test__ = False


def wait_until(check, timeout, what, interval=0.02):
    """Call check() until it returns something true, and return that."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TestpmdError(f"not within {timeout} s: {what}")
        time.sleep(interval)


def lcore_options(worker_index):
    """EAL options for one worker lcore; different indices get different CPUs.

    The main lcore only reads commands, so it may share a CPU with another
    process's worker; two workers on one CPU would halve each other.
    """
    cpus = sorted(os.sched_getaffinity(0))
    worker = cpus[worker_index % len(cpus)]
    main = cpus[-1] if cpus[-1] != worker else cpus[0]
    return [f"--lcores=0@{main},1@{worker}", "--main-lcore=0"]


def die_with_parent():
    """In the child: be killed when the test run ends without a clean-up."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Testpmd:
    """One testpmd process on a pseudo terminal.

    The terminal keeps standard output line buffered, so that what a command
    prints stands before the next prompt; a thread reads it all the time, so
    that testpmd never blocks on its log.
    """

    __test__ = False

    def __init__(self, name, eal, args, *, program="dpdk-testpmd", env=None,
                 ignore_sigpipe=False):
        self.name = name
        self._ignore_sigpipe = ignore_sigpipe
        self.killed = False
        self.file_prefix = f"vxe2e-{os.getpid()}-{name}"
        self.argv = self._command(program, eal, args)
        self._text = ""
        self._changed = threading.Condition()
        self.runtime_dir = tempfile.mkdtemp(prefix="vxe2e-")
        self._spawn(env or {})

    def _command(self, program, eal, args):
        silence = [] if "--telemetry" in eal else ["--no-telemetry"]
        return [program, *eal, f"--file-prefix={self.file_prefix}",
                "--no-pci", *silence, "--", "-i", *args]

    def _spawn(self, env):
        master, slave = pty.openpty()
        try:
            self._proc = subprocess.Popen(
                self.argv, stdin=slave, stdout=slave, stderr=slave,
                env={**os.environ, "RUNTIME_DIRECTORY": self.runtime_dir, **env},
                start_new_session=True, preexec_fn=die_with_parent,
                restore_signals=not self._ignore_sigpipe)
        except OSError:
            os.close(master)
            raise
        finally:
            os.close(slave)
        self._master = master
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            if not data:
                break
            with self._changed:
                self._text += data.decode(errors="replace").replace("\r", "")
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    # --- waiting -----------------------------------------------------------

    @property
    def log(self):
        """All that testpmd has printed so far."""
        with self._changed:
            return self._text

    @property
    def pid(self):
        """Process id."""
        return self._proc.pid

    @property
    def returncode(self):
        """Exit status, negative for a signal, None while it runs."""
        return self._proc.poll()

    def alive(self):
        """Whether the process still runs."""
        return self._proc.poll() is None

    def describe(self):
        """Command line, state and the end of the log, for a failed test."""
        state = "running" if self.alive() else f"ended: {self._proc.returncode}"
        log = collapse_repeats(self.log)[-LOG_TAIL:]
        return f"$ {' '.join(self.argv)}\n[{state}]\n{log}"

    def _fail(self, what):
        raise TestpmdError(f"{self.name}: {what}")

    def _wait_prompt(self, start, timeout):
        """The first prompt from start on, as a match."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = PROMPT_REGEX.search(self._text, start)
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or not self._reader.is_alive():
                    break
                self._changed.wait(min(left, 0.5))
        ended = "" if self._reader.is_alive() else " (it ended)"
        return self._fail(f"no {PROMPT!r} within {timeout} s{ended}, but "
                          f"{self.log[start:][-300:]!r}")

    def wait_ready(self, timeout=START_TIMEOUT):
        """Wait for the first prompt."""
        self._wait_prompt(0, timeout)
        return self

    def wait_log(self, pattern, timeout=COMMAND_TIMEOUT, start=0):
        """Wait until the log matches the regular expression; the match."""
        regex = re.compile(pattern)
        return wait_until(lambda: regex.search(self.log, start), timeout,
                          f"{self.name}: log matches {pattern!r}")

    def wait_exit(self, timeout=COMMAND_TIMEOUT):
        """Wait until the process has ended by itself; its exit status."""
        try:
            status = self._proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self._fail(f"still running after {timeout} s")
        self._release()
        return status

    # --- commands ----------------------------------------------------------

    def command(self, line, timeout=COMMAND_TIMEOUT):
        """Run one command; what it printed up to the next prompt."""
        mark = len(self.log)
        os.write(self._master, line.encode() + b"\n")
        found = self._wait_prompt(mark, timeout)
        answer = re.sub(EVENT, "", self.log[mark:found.start()])
        return answer.partition("\n")[2]

    def start(self, tx_first=None):
        """Start forwarding, after tx_first bursts a queue if given."""
        suffix = "" if tx_first is None else f" tx_first {tx_first}"
        answer = self.command("start" + suffix)
        if "packets/burst" not in answer:
            self._fail(f"start refused: {answer}")
        return answer

    def stop(self):
        """Stop forwarding; {(port, queue): {rx, tx, dropped}} of the streams."""
        return parse_streams(self.command("stop"))

    def port_stop(self, port):
        """Stop one port."""
        return self.command(f"port stop {port}")

    def port_start(self, port):
        """Start one port."""
        answer = self.command(f"port start {port}")
        if "Fail" in answer:
            self._fail(f"port start {port}: {answer}")
        return answer

    def set_fwd(self, mode):
        """Set the forwarding mode, for example "io" or "io retry"."""
        return self.command(f"set fwd {mode}")

    def set_patient(self):
        """Forward with retries long enough that a slow peer loses nothing."""
        self.set_fwd("io retry")
        self.command("set burst tx delay 10 retry 1000000")

    def set_txpkts(self, *lengths):
        """Segment lengths of the frames that txonly and tx_first send."""
        return self.command("set txpkts " + ",".join(map(str, lengths)))

    def stats(self, port=0):
        """Basic statistics of a port as a dictionary of integers."""
        return parse_stats(self.command(f"show port stats {port}"))

    def xstats(self, port=0):
        """Extended statistics of a port by name."""
        return parse_xstats(self.command(f"show port xstats {port}"))

    def port_info(self, port=0):
        """What "show port info" prints, as a dictionary."""
        return parse_info(self.command(f"show port info {port}"))

    def ports(self):
        """Names of the devices, by port."""
        answer = self.command("show port summary all")
        return re.findall(r"^\d+\s+[0-9A-F:]{17}\s+(\S+)", answer, re.M)

    def link_up(self, port=0):
        """Whether the port's link is up."""
        return self.port_info(port)["Link status"] == "up"

    def wait_link(self, up=True, port=0, timeout=10):
        """Wait for a link state."""
        wait_until(lambda: self.link_up(port) == up, timeout,
                   f"{self.name}: port {port} link {'up' if up else 'down'}")

    def wait_stat(self, port, key, at_least, timeout=20):
        """Wait until a counter has reached a value; all counters then."""
        def reached():
            stats = self.stats(port)
            return stats if stats[key] >= at_least else None
        try:
            return wait_until(reached, timeout, f"{key} >= {at_least}")
        except TestpmdError as late:
            return self._fail(f"{late}; {self.stats(port)}")

    def wait_growth(self, port=0, keys=("rx_packets",), by=1, timeout=10):
        """Wait until the counters have grown from where they stand now."""
        before = self.stats(port)

        def grown():
            now = self.stats(port)
            return all(now[k] >= before[k] + by for k in keys)
        try:
            wait_until(grown, timeout, f"{keys} grow by {by}")
        except TestpmdError as late:
            self._fail(f"{late}; {before} then {self.stats(port)}")

    def wait_quiet(self, port, key="rx_packets", polls=10, timeout=20):
        """Wait until a counter has stood still over a number of polls."""
        seen = []

        def still():
            seen.append(self.stats(port)[key])
            return len(seen) > polls and len(set(seen[-polls:])) == 1
        wait_until(still, timeout, f"{self.name}: port {port} {key} stands still")

    def free_mbufs(self):
        """Free mbufs of the pool, those in the lcores' caches included."""
        return parse_mempool(self.command("dump_mempool"))["free"]

    def pool_size(self):
        """Number of mbufs that the pool has in all."""
        return parse_mempool(self.command("dump_mempool"))["size"]

    # --- the end -----------------------------------------------------------

    def quit(self, timeout=COMMAND_TIMEOUT):
        """Quit as a user does; the exit status."""
        os.write(self._master, b"quit\n")
        return self.wait_exit(timeout)

    def kill(self):
        """SIGKILL by process id: no clean-up in the process runs."""
        self.killed = True
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
        self._proc.wait()
        self._release()

    def _release(self):
        self._reader.join(5)
        if self._master >= 0:
            os.close(self._master)
            self._master = -1
        shutil.rmtree(self.runtime_dir, ignore_errors=True)


# --- what testpmd prints ---------------------------------------------------

def collapse_repeats(log):
    """The log with each run of one polled command and answer told once."""
    kept, repeats = [], 0
    for part in log.split(PROMPT):
        if kept and part == kept[-1]:
            repeats += 1
            continue
        if repeats:
            kept.append(f"[the same {repeats} times more]\n")
        kept.append(part)
        repeats = 0
    return PROMPT.join(kept)


STAT_NAMES = {
    "RX-packets": "rx_packets", "RX-missed": "rx_missed", "RX-bytes": "rx_bytes",
    "RX-errors": "rx_errors", "RX-nombuf": "rx_nombuf",
    "TX-packets": "tx_packets", "TX-errors": "tx_errors", "TX-bytes": "tx_bytes",
}


def parse_stats(text):
    """The counters of "show port stats N"."""
    pairs = re.findall(r"([RT]X-\w+):\s+(\d+)", text)
    return {STAT_NAMES[k]: int(v) for k, v in pairs if k in STAT_NAMES}


def parse_xstats(text):
    """The "name: value" lines of "show port xstats N" and dpdk-proc-info."""
    return {k: int(v) for k, v in re.findall(r"^(\w+): (\d+)$", text, re.M)}


def parse_info(text):
    """The "Key: value" lines of "show port info N"."""
    return dict(re.findall(r"^([A-Z][^:\n]+): +(.*)$", text, re.M))


def parse_streams(text):
    """Per-queue counts that "stop" prints when a port has several queues."""
    streams = re.findall(
        r"RX Port=\s*(\d+)/Queue=\s*(\d+).*\n\s*RX-packets:\s*(\d+)"
        r"\s+TX-packets:\s*(\d+)\s+TX-dropped:\s*(\d+)", text)
    return {(int(p), int(q)): {"rx": int(rx), "tx": int(tx), "dropped": int(drop)}
            for p, q, rx, tx, drop in streams}


def parse_mempool(text):
    """Size and free mbufs of the first pool that "dump_mempool" prints."""
    def number(key):
        return int(re.search(rf"\b{key}=(\d+)", text).group(1))
    return {"size": number("size"),
            "free": number("common_pool_count") + number("total_cache_count")}
