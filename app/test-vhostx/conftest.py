# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Options and fixtures of the end-to-end tests and the DTS plans."""

import fcntl
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "e2e"))

from rig import Rig, Setup, enough_hugepages  # noqa: E402

CHECKOUT = HERE.parent.parent
BUILT_PLUGIN = CHECKOUT / "build" / "drivers" / "librte_net_vhostx.so"


def pytest_addoption(parser):
    """Which driver to test, and with what."""
    group = parser.getgroup("net_vhostx")
    group.addoption("--driver", choices=["net_vhostx", "net_vhost"],
                    default="net_vhostx", help="vhost driver under test")
    group.addoption("--plugin", type=Path, help="path of librte_net_vhostx.so",
                    default=Path(os.environ.get("VHOSTX_PLUGIN", BUILT_PLUGIN)))
    group.addoption("--testpmd", help="the testpmd to run",
                    default=os.environ.get("VHOSTX_TESTPMD", "dpdk-testpmd"))
    group.addoption("--no-hugepages", action="store_true",
                    help="run without hugepages even where there are enough")


def pytest_collection_modifyitems(config, items):
    """Skip what net_vhost does not promise when it is the one under test."""
    if config.getoption("--driver") == "net_vhostx":
        return
    skip = pytest.mark.skip(reason="net_vhost does not promise this")
    for item in items:
        if item.get_closest_marker("vhostx_only"):
            item.add_marker(skip)


def pytest_report_header(config):
    """Name what is tested."""
    huge = use_hugepages(config)
    return (f"vhost driver: {config.getoption('--driver')}, "
            f"{'with' if huge else 'without'} hugepages")


def use_hugepages(config):
    """Whether testpmd gets hugepages in this run."""
    return not config.getoption("--no-hugepages") and enough_hugepages()


@pytest.fixture(scope="session", autouse=True)
def crash_records():
    """Remove what killed ports left for their next start, which no test makes. Live ones hold a lock."""
    folder = Path("/dev/shm")
    before = set(folder.glob("vhostx-*"))
    yield
    for record in set(folder.glob("vhostx-*")) - before:
        with open(record, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            record.unlink()


def world_writable(path):
    """Whether the EAL would refuse a plugin for the folders it lies in."""
    return any(parent.stat().st_mode & 0o002 for parent in path.parents)


def private_base():
    """A folder without a world-writable one above it, to put the plugin in."""
    if os.geteuid() == 0:
        return "/run"
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    base.mkdir(parents=True, exist_ok=True)
    return str(base)


@pytest.fixture(scope="session")
def plugin(pytestconfig):
    """Path of a plugin that the EAL accepts; a private copy where needed."""
    path = pytestconfig.getoption("--plugin").resolve()
    if not path.exists():
        pytest.exit(f"{path} does not exist: build it or give --plugin", 4)
    if not world_writable(path):
        yield path
        return
    folder = Path(tempfile.mkdtemp(prefix="vhostx-plugin-", dir=private_base()))
    yield Path(shutil.copy(path, folder))
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def setup(pytestconfig, request):
    """What is under test: driver, plugin, testpmd, memory."""
    driver = pytestconfig.getoption("--driver")
    path = request.getfixturevalue("plugin") if driver == "net_vhostx" else None
    program = shutil.which(pytestconfig.getoption("--testpmd"))
    if program is None:
        pytest.exit("no dpdk-testpmd: install it or give --testpmd", 4)
    return Setup(driver, path, program, use_hugepages(pytestconfig))


@pytest.fixture
def state_dir():
    """A folder in memory for what outlives a killed port, its devarg of that name."""
    path = tempfile.mkdtemp(prefix="vx-state-", dir="/dev/shm")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def rig(setup):
    """A folder for sockets and files, and every testpmd that the test starts."""
    folder = Path(tempfile.mkdtemp(prefix="vx-"))
    rig = Rig(setup, folder)
    yield rig
    problems = rig.end()
    shutil.rmtree(folder, ignore_errors=True)
    assert not problems, "\n".join(problems)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the logs of the processes below a test that failed."""
    report = (yield).get_result()
    rig = getattr(item, "funcargs", {}).get("rig")
    if not report.failed or not isinstance(rig, Rig):
        return
    rig.failed = True
    for pmd in rig.processes:
        report.sections.append((f"testpmd {pmd.name}", pmd.describe()))
