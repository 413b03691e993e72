# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Fixtures of the tests with virtual machines."""

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest

import image
from guestrig import GuestRig

FIGURES = pytest.StashKey()


@pytest.fixture(scope="session", name="boot_image")
def _boot_image():
    """What the guests boot; tests that need it are skipped where there is none."""
    reason = image.lacking()
    if reason:
        pytest.skip(reason)
    return image.build()


@pytest.fixture(scope="module", name="mode_rig", params=["server", "client"])
def _mode_rig(request, setup, boot_image):
    """A host whose two ports are servers of their sockets, or clients."""
    with guest_rig(setup, boot_image) as rig:
        rig.host(client=int(request.param == "client"))
        yield rig


@pytest.fixture(name="guests")
def _guests(setup, boot_image):
    """A host and guests of one test's own."""
    with guest_rig(setup, boot_image) as rig:
        yield rig


@pytest.fixture(scope="module", name="shared_rig")
def _shared_rig(setup, boot_image):
    """A host for all tests of a file."""
    with guest_rig(setup, boot_image) as rig:
        yield rig


@pytest.fixture(name="shared_guests")
def _shared_guests(shared_rig):
    """That host, without guests; those of the test end with it."""
    yield shared_rig
    shared_rig.end_guests()


@contextlib.contextmanager
def guest_rig(setup, boot_image):
    """A host and guests, and a folder for what they write."""
    folder = Path(tempfile.mkdtemp(prefix="vxg-"))
    rig = GuestRig(setup, folder, boot_image)
    try:
        yield rig
    finally:
        problems = rig.end()
        shutil.rmtree(folder, ignore_errors=True)
    assert not problems, "\n".join(problems)


@pytest.fixture(name="figures")
def _figures(request):
    """Call it with a text: the figures of a run are listed at its end."""
    def note(text):
        request.config.stash.setdefault(FIGURES, []).append((request.node.name, text))
    return note


def pytest_terminal_summary(terminalreporter, config):
    """List what was measured."""
    figures = config.stash.get(FIGURES, [])
    if figures:
        terminalreporter.section("figures")
    for name, text in figures:
        terminalreporter.line(f"{name}: {text}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the logs of the processes below a test that failed."""
    report = (yield).get_result()
    for rig in getattr(item, "funcargs", {}).values():
        if not report.failed or not isinstance(rig, GuestRig):
            continue
        rig.failed = True
        for process in rig.processes():
            report.sections.append((process.name, process.describe()))
