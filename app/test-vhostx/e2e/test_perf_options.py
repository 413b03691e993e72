# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The benchmark refuses what it cannot measure, in a line that names the option, and measures nothing then."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "build" / "app" / "dpdk-test-vhostx"

pytestmark = [
    pytest.mark.vhostx_only,
    pytest.mark.skipif(not PROGRAM.exists(), reason="the benchmark is not built")]


def perf(folder, *options):
    """Exit status of the benchmark, and what it printed."""
    done = subprocess.run([PROGRAM, "perf", "--no-pci", "--no-huge", "-m", "64", "--log-level=1", "--", *options],
                          env={**os.environ, "RUNTIME_DIRECTORY": str(folder)}, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


REFUSED = {
    "--slots 0": "--slots 0: not a number from 1 to 100000",
    "--regions 1": "--regions 1: not a number from 2 to 508",
    "--regions 509": "--regions 509: not a number from 2 to 508",
    "--filter split,nothing": "--filter split,nothing: no case has these words",
    "--list --filter nothing": "--filter nothing: no case has these words",
    "--cold --latency": "--cold: on one core only",
    "--cold --regions 8": "--cold: on one core only",
}


@pytest.mark.parametrize("options", REFUSED)
def test_benchmark_refuses(tmp_path, options):
    status, printed = perf(tmp_path, *options.split())
    assert status == 1 and REFUSED[options] in printed, printed
    assert "median of the slots" not in printed


def test_benchmark_lists_cases(tmp_path):
    status, printed = perf(tmp_path, "--list", "--quick", "--filter", "packed,rx,64")
    assert status == 0 and re.findall(r"^packed/\S+/rx/64/b32$", printed, re.M), printed
