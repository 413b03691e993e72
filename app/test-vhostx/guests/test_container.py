# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""testpmd with virtio-user in a container, which shares nothing with the host but a folder for sockets."""

import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

import net
from namespace import Namespace, lacking
from rig import VIRTIO_WORKER, ContentRig, Rig, queue_args, vdev

CONTAINER = Path(__file__).with_name("container.sh")
INSIDE = Path("/run/vhost")
NAMESPACES = ("mnt", "net", "pid", "ipc", "uts")


@pytest.fixture(name="cage")
def _cage():
    """The network namespace of a container."""
    reason = lacking()
    if reason:
        pytest.skip(reason)
    with Namespace("vxcage") as cage:
        yield cage


def container_rig(setup, cage, shared):
    """A rig whose testpmds run in containers that see the folder as /run/vhost."""
    script = shared.parent / f"{shared.name}-testpmd"
    command = shlex.join(cage.argv(str(CONTAINER), str(shared), setup.program))
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return Rig(replace(setup, program=str(script)), INSIDE)


@pytest.fixture(name="contained")
def _contained(setup, cage, rig):
    """A rig in a container that shares the folder of the host's rig."""
    inside = container_rig(setup, cage, rig.folder)
    yield inside
    inside.failed = rig.failed
    problems = inside.end()
    Path(inside.setup.program).unlink()
    assert not problems, "\n".join(problems)


def process_inside(pmd):
    """The testpmd in the container, as the host sees it."""
    children = Path(f"/proc/{pmd.pid}/task/{pmd.pid}/children").read_text(encoding="ascii")
    return Path("/proc") / children.split()[0]


def assert_shares_nothing(pmd, folder):
    """Namespaces of its own, no file of the host but programs, libraries and the folder."""
    inside = process_inside(pmd)
    for kind in NAMESPACES:
        assert os.readlink(inside / "ns" / kind) != os.readlink(f"/proc/self/ns/{kind}")
    root = inside / "root"
    assert {path.name for path in root.iterdir()} == {
        "bin", "sbin", "lib", "lib64", "usr", "proc", "sys", "dev", "run", "tmp"}
    assert (root / "run" / "vhost").stat().st_ino == folder.stat().st_ino
    assert os.statvfs(root / "usr").f_flag & os.ST_RDONLY


@pytest.mark.parametrize("path", ["split-mergeable", "packed-mergeable"])
@pytest.mark.parametrize("devargs, peer", [({}, {}), ({"client": 1}, {"server": 1})],
                         ids=["server", "client"])
def test_container_loopback(rig, contained, path, devargs, peer):
    """Frames of all sizes go to the container and come back unchanged."""
    host = ContentRig(rig, devargs=devargs)
    pmd = contained.begin_virtio(path, devargs=peer, hugepages=False)
    pmd.wait_ready()
    host.pmd.wait_link()
    assert_shares_nothing(pmd, rig.folder)
    pmd.set_patient()
    pmd.start()
    host.check(count=2000)


def test_exception_path(guests, setup, cage, figures):
    """The kernel in the container reaches a guest: tap, virtio-user, net_vhostx, guest."""
    if not Path("/dev/net/tun").exists():
        pytest.skip("no /dev/net/tun")
    guests.host(client=0)
    inside = container_rig(setup, cage, guests.folder)
    guest = net.End(guests.guest(1).wait_boot(), 1).configure()
    try:
        virtio = vdev("net_virtio_user0", path=INSIDE / guests.socket(0).name, queue_size=1024)
        pmd = inside.launch("exception", ["--vdev", virtio, "--vdev", "net_tap0,iface=vxtap"],
                            queue_args(1), worker=VIRTIO_WORKER, hugepages=False, ignore_sigpipe=True)
        pmd.start()
        kernel = net.End(cage, 2, "vxtap").configure()
        guests.pmd.wait_link(port=0)
        kernel.reach(guest)
        figures(f"ping {kernel.ping(guest):.1f} ms, TCP to the guest {net.tcp(kernel, guest):.0f}, "
                f"from it {net.tcp(guest, kernel):.0f} Mbit/s")
        net.assert_file_arrives(guest, kernel)
        net.assert_file_arrives(kernel, guest)
        for end in (guest, kernel):
            end.assert_checksums_right()
    finally:
        inside.failed = guests.failed
        problems = inside.end()
        Path(inside.setup.program).unlink()
    assert not problems, "\n".join(problems)
