# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The commands of the how-tos, run as they stand there."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import guide
import libvirtguest
from image import PATH, tool
from namespace import Namespace, lacking

pytestmark = [
    pytest.mark.vhostx_only,
    pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="the pages use CPUs 0 and 1")]


@pytest.fixture(name="folder")
def _folder():
    """A folder in the place of /run."""
    folder = Path(tempfile.mkdtemp(prefix="vxh-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(name="cage")
def _cage():
    """A network namespace, and its name in the place of the pages'."""
    reason = lacking()
    if reason:
        pytest.skip(reason)
    with Namespace("vxcage") as cage:
        yield cage


@pytest.fixture(name="ends")
def _ends():
    """Append what runs: it ends with the test, and tells what it was when it does."""
    started = []
    yield started
    for process in reversed(started):
        print(f"--- {process.name}\n{process.describe()}")
        process.kill()


@pytest.fixture(name="page")
def _page(setup, folder):
    """Call it with a page's name and replacements of its own; run is the beginning of paths in the folder."""
    def read(name, run="/run/vhost", **replacements):
        return guide.Page(name, {run: folder / run[len("/run/"):], "PLUGIN": setup.plugin, **replacements})
    return read


def exchange_addresses(line):
    """A guest's command for the other guest."""
    for one, other in (("10.9.9.1", "X"), ("10.9.9.2", "10.9.9.1"), ("X", "10.9.9.2")):
        line = line.replace(one, other)
    return line


def test_two_guests_of_the_qemu_page(page, folder, boot_image, ends):
    """They reach each other by the commands of the page."""
    qemu = page("qemu", VMLINUZ=boot_image.kernel, INITRD=boot_image.initrd)
    ends.append(qemu.testpmd("qemu host"))
    words = qemu.words("qemu guest")
    guests = [guide.GuideGuest("one", folder, words), guide.GuideGuest("two", folder, [
        word.replace("vhost0.sock", "vhost1.sock").replace("00:00:01", "00:00:02") for word in words])]
    ends.extend(guests)
    commands = qemu.block("guest commands")
    for guest in guests:
        guest.wait_boot()
    for line in commands[:-1]:
        guests[0].run(line)
        guests[1].run(exchange_addresses(line))
    guests[0].run("for i in $(seq 50); do ping -c 1 -W 1 10.9.9.2 && exit 0; done; exit 1", timeout=60)
    assert " 0% packet loss" in guests[0].run(commands[-1])
    assert " 0% packet loss" in guests[1].run(exchange_addresses(commands[-1]))


def test_programs_of_the_qemu_page(page, folder, ends):
    """guest-config.py prints what the page says that it prints."""
    pmd = page("qemu").testpmd("qemu host")
    ends.append(pmd)
    qemu = page("qemu", **{"/var/run/dpdk": Path(pmd.runtime_dir) / "dpdk"})
    assert f"path={folder}/vhost0.sock,reconnect=1" in qemu.run("print arguments", folder)
    assert f"path={folder}/vhost1.sock,reconnect=1" in qemu.run("print arguments by telemetry", folder)
    assert "server=on,wait=off" in qemu.run("qemu is server", folder)
    assert "mq=on" in qemu.run("two queues", folder)
    assert "iommu_platform=on" in qemu.run("behind an iommu", folder)


def test_check_of_the_qemu_page(page, folder):
    """guest-config.py check finds what the page shows."""
    qemu = page("qemu")
    (folder / "devtools").symlink_to(guide.CHECKOUT / "devtools")
    first, second, *shown = qemu.block("check")
    done = subprocess.run(["bash", "-c", f"{first[2:]}\n{second[2:]}"], cwd=folder,
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("\n".join(shown)), done.stdout


def test_nic_of_the_qemu_page(page, cage, ends):
    """The host of the page runs with a NIC."""
    nic = f"vxn{os.getpid()}"
    subprocess.run([tool("ip"), "link", "add", nic, "type", "veth", "peer", "name", "wire",
                    "netns", cage.name], check=True)
    try:
        pmd = page("qemu", nic0=nic).testpmd("nic host")
        ends.append(pmd)
        assert pmd.port_info(0)["Driver name"] == "net_vhostx"
        assert pmd.port_info(1)["Driver name"] == "net_af_packet"
    finally:
        subprocess.run([tool("ip"), "link", "del", nic], check=True)


@pytest.mark.parametrize("variant", [
    ("container host", "container"), ("container host, packed", "container, packed"),
    ("container host, client", "container, server")], ids=lambda names: names[1])
def test_container_page(page, ends, variant):
    """Packets go round between the host and the container."""
    if os.geteuid() != 0:
        pytest.skip("namespaces take root")
    container = page("container")
    host = container.testpmd(variant[0])
    ends.append(host)
    ends.append(container.testpmd(variant[1]))
    host.wait_growth(0, ("rx_packets", "tx_packets"), by=1000)


def test_kernel_of_the_container_page(page, folder, cage, ends):
    """A container that shares one folder; its kernel has the host's port for an interface."""
    if not Path("/dev/net/tun").exists():
        pytest.skip("no /dev/net/tun")
    (folder / "vhosts").mkdir()
    container = page("container", run="/run/vhosts", cage=cage.name, **{
        "app/test-vhostx": guide.CHECKOUT / "app" / "test-vhostx"})
    add, without_tap = container.block("container with a folder")
    assert add == f"ip netns add {cage.name}"
    host = page("container", **{"vhost.sock": "vhosts/vhost.sock"}).testpmd("container host")
    ends.append(host)
    pmd = guide.GuideTestpmd("folder", without_tap.split()).wait_ready()
    host.wait_link()
    pmd.quit()
    ends.append(container.testpmd("exception path"))
    for line in container.block("exception path commands"):
        subprocess.run(line.split(), check=True, env={**os.environ, "PATH": PATH})
    host.stop()
    host.set_fwd("icmpecho")
    host.start()
    cage.run("for i in $(seq 50); do ping -c 1 -W 1 10.9.9.1 && exit 0; done; exit 1", timeout=60)


def test_domain_of_the_libvirt_page(page, folder, boot_image, guests):
    """libvirt starts the domain of the page, and its guest reaches another one."""
    reason = libvirtguest.lacking()
    if reason:
        pytest.skip(reason)
    libvirt = page("libvirt", **{f"{folder}/vhost.sock": guests.socket(0)})
    guests.folder.chmod(0o755)
    guests.host(queues=2, mode=777)
    with libvirtguest.Libvirt(folder) as daemon:
        domain = libvirtguest.adapt(guide.HOWTO / "guest.xml", boot_image, folder, guests.socket(0))
        plain = guests.guest(1)
        guest = daemon.start(libvirt.block("virsh"), domain)
        one, two = guests.introduce([guest, plain])
        two.ping(one)
        assert "Combined:\t2" in guest.run("ethtool -l eth0").partition("Current")[0]
        assert "0 would stop" in daemon.run(libvirt.block("check domain")[0])
    assert "vhostuser" in libvirt.run("print domain", folder)
