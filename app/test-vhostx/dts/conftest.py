# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What the plans need beside testpmd."""

from pathlib import Path

import pytest

from sleeper import Sleeper


@pytest.fixture
def sleeper(rig, pytestconfig):
    """Start a program that sleeps on its queues' interrupts, on one device."""
    build = Path(pytestconfig.getoption("--plugin")).resolve().parent.parent
    program = build / "app" / "test-vhostx" / "sleeper" / "vhostx-sleeper"
    if not program.exists():
        pytest.exit(f"{program} does not exist: build it", 4)

    def start(device, queues=1, look=False):
        process = Sleeper(rig, program, device, queues, look)
        rig.processes.append(process)
        return process.wait_ready()
    return start
