# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A wrong device argument stops the probe and names the key, value and remedy."""

import re

import pytest

pytestmark = pytest.mark.vhostx_only

DEVICE = "net_vhostx5"
LONG = "/tmp/" + "x" * 104
GOOD = "iface=/nonexistent/vx.sock"

WRONG = [
    ("unknown-key", f"{GOOD},queue=4", ["queue", "iface", "queues", "client"]),
    ("queues-0", f"{GOOD},queues=0", ["queues", "0", "1", "128"]),
    ("queues-129", f"{GOOD},queues=129", ["queues", "129", "1", "128"]),
    ("queues-x", f"{GOOD},queues=x", ["queues", "x", "1", "128"]),
    ("queues-negative", f"{GOOD},queues=-1", ["queues", "-1", "1", "128"]),
    ("queues-empty", f"{GOOD},queues=", ["queues", "1", "128"]),
    ("client-2", f"{GOOD},client=2", ["client", "2", "0", "1"]),
    ("linear-buffer-yes", f"{GOOD},linear-buffer=yes", ["linear-buffer", "yes"]),
    ("iface-missing", "queues=1", ["iface", "missing"]),
    ("iface-empty", "iface=", ["iface"]),
    ("iface-long", f"iface={LONG}", ["iface", LONG, "107"]),
    ("iface-vduse", "iface=/dev/vduse/x", ["iface", "/dev/vduse/x"]),
    ("postcopy-zero-copy", f"{GOOD},postcopy-support=1,dequeue-zero-copy=1",
     ["postcopy-support", "dequeue-zero-copy", "remove"]),
    ("tso", f"{GOOD},tso=2", ["tso", "2", "0", "1"]),
    ("numa-missing", f"{GOOD},numa=31", ["numa", "31", "machine", "0"]),
    ("iommu", f"{GOOD},iommu-support=1,dequeue-zero-copy=1",
     ["iommu-support=1", "dequeue-zero-copy=1", "exclude", "remove"]),
]


@pytest.mark.parametrize("devargs, told", [row[1:] for row in WRONG],
                         ids=[row[0] for row in WRONG])
def test_wrong_argument_is_refused(rig, devargs, told):
    """One line of the log says all of it, and there is no port."""
    pmd = rig.launch("wrong", [*rig.setup.load(), "--vdev", f"{DEVICE},{devargs}"],
                     [])
    assert pmd.ports() == []
    lines = [line for line in pmd.log.splitlines() if DEVICE in line]
    assert any(tells(line, told) for line in lines), lines


def test_several_wrong_devices_do_not_stop_a_good_one(rig):
    """Attaching goes on after refusals in one process."""
    pmd = rig.launch("attach", rig.setup.load(), [])
    for _, devargs, _ in WRONG:
        if len(devargs) < 100:
            pmd.command(f"port attach {DEVICE},{devargs}")
            assert pmd.ports() == []
    pmd.command(f"port attach {DEVICE},iface={rig.socket},queues=128")
    assert pmd.ports() == [DEVICE]


def tells(line, words):
    """Whether the line holds each of the words as a word of its own."""
    return all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", line)
               for word in words)
