# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The plugin loads beside the stock driver, in any order, or says why not."""

import ctypes.util
import re
import subprocess

import pytest

from rig import assert_driver, vdev

pytestmark = pytest.mark.vhostx_only

FAKE_RELEASE = "DPDK 23.11.0"
FAKE_SOURCE = f"""
const char *rte_version(void);
const char *rte_version(void) {{ return "{FAKE_RELEASE}"; }}
"""


@pytest.fixture
def stock_driver():
    """The name that loads the distribution's librte_net_vhost.so."""
    name = ctypes.util.find_library("rte_net_vhost")
    if name is None:
        pytest.skip("no librte_net_vhost.so that the loader finds")
    return name


@pytest.fixture
def fake_release(rig):
    """A library that makes the EAL look like another release."""
    library = rig.folder / "release.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)],
                   input=FAKE_SOURCE.encode(), check=True)
    return library


def both_devices(rig):
    """Options for a device of either driver."""
    ours = rig.setup.device(0, iface=rig.folder / "ours.sock")
    stock = vdev("net_vhost0", iface=rig.folder / "stock.sock")
    return ["--vdev", ours, "--vdev", stock]


@pytest.mark.parametrize("ours_first", [True, False],
                         ids=["before-net_vhost", "after-net_vhost"])
def test_each_driver_owns_its_devices(rig, stock_driver, ours_first):
    """net_vhostx0 is ours and net_vhost0 is not, whichever was loaded first."""
    libraries = [str(rig.setup.plugin), stock_driver]
    if not ours_first:
        libraries.reverse()
    load = [option for lib in libraries for option in ("-d", lib)]
    pmd = rig.launch("both", [*load, *both_devices(rig)], [])
    assert_driver(pmd, "net_vhostx", port=0)
    assert_driver(pmd, "net_vhost", port=1)


@pytest.mark.parametrize("ours_first", [True, False],
                         ids=["before-net_vhost", "after-net_vhost"])
def test_both_drivers_move_packets(rig, stock_driver, ours_first):
    """Guests on both ports of one process get their packets through it."""
    libraries = [str(rig.setup.plugin), stock_driver]
    if not ours_first:
        libraries.reverse()
    load = [option for lib in libraries for option in ("-d", lib)]
    pmd = rig.launch("both", [*load, *both_devices(rig)], [])
    peers = []
    for port, name in enumerate(["ours.sock", "stock.sock"]):
        peers += ["--vdev", vdev(f"net_virtio_user{port}", path=rig.folder / name)]
    guest = rig.launch("virtio", peers, [], worker=1)
    pmd.start()
    guest.set_txpkts(200)
    guest.start(tx_first=1)
    for port in (0, 1):
        pmd.wait_growth(port, keys=("rx_packets", "tx_packets"), by=100)


def test_hotplugged_net_vhost_stays_the_stock_driver(rig):
    """net_vhost0 attached later still belongs to net_vhost."""
    pmd = rig.launch("ours", rig.setup.load(), [])
    stock = vdev("net_vhost7", iface=rig.folder / "stock.sock")
    pmd.command(f"port attach {stock}")
    assert pmd.port_info(0)["Driver name"] == "net_vhost"


def test_other_release_is_refused(rig, fake_release):
    """Under a release that it was not built for there is no port, and a reason."""
    pmd = rig.launch("other", [*rig.setup.load(), "--vdev", rig.setup.device(
        0, iface=rig.socket)], [], env={"LD_PRELOAD": str(fake_release)})
    refusal = [line for line in pmd.log.splitlines()
               if "vhostx" in line and FAKE_RELEASE in line]
    assert refusal, "no line names the plugin and the release"
    assert len(set(re.findall(r"\d\d\.\d\d", refusal[0]))) == 2, refusal
    drivers = [pmd.port_info(port)["Driver name"]
               for port in range(len(pmd.ports()))]
    assert "net_vhostx" not in drivers
