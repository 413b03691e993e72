# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What guest-config.py check says would stop a guest does stop it, and the words that it quotes are QEMU's."""

import re
import shlex
import subprocess

import pytest

from guestrig import GUEST_CONFIG
from testpmd import wait_until


def assert_found(guest, what):
    """The program must say of a guest's command line that this stops it."""
    done = subprocess.run(["/usr/bin/python3", GUEST_CONFIG, "check", "--mode", "server", "-"],
                          input=shlex.join(guest.argv), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(f"^stops: .*{re.escape(what)}", done.stdout, re.M), done.stdout


def edit(old, new):
    """A change of a guest's arguments."""
    def apply(arguments):
        text = shlex.join(arguments)
        assert old in text
        return shlex.split(text.replace(old, new))
    return apply


def other_device(arguments):
    """The arguments with a device that is not virtio."""
    return [*arguments[:-1], "e1000,netdev=net0"]


# What QEMU says at once, before the guest boots.
REFUSED = [
    ("two sizes", edit("size=256M", "size=128M"), "should equal RAM size", "-m says 256M"),
    ("odd ring", edit("rx_queue_size=1024", "rx_queue_size=300"), "Invalid rx_queue_size", "rx_queue_size=300"),
    ("other device", other_device, "vhost-user requires frontend driver virtio-net-*",
     "vhost-user requires frontend driver virtio-net-*"),
    ("no memory object", edit("memdev=mem", "memdev=other"), "other", "memory object other does not exist"),
    ("long path", lambda arguments: edit("path=/tmp", "path=/tmp" + "/x" * 60)(
        edit(",reconnect=1", "")(arguments)), "too long", "107 are possible"),
]


@pytest.mark.parametrize("apply, qemu, ours", [fault[1:] for fault in REFUSED],
                         ids=[fault[0] for fault in REFUSED])
def test_qemu_refuses(shared_guests, apply, qemu, ours):
    """QEMU ends, and says why."""
    host(shared_guests)
    guest = shared_guests.guest(0, change=apply)
    assert_found(guest, ours)
    wait_until(lambda: not guest.alive(), 10, "QEMU has ended")
    assert qemu in guest.log()


def test_more_queues_than_the_port(shared_guests):
    """QEMU tries for ever; check knows it if it knows the port."""
    host(shared_guests)
    guest = shared_guests.guest(0, change=edit("queues=1", "queues=2"))
    wait_until(lambda: "you are asking more queues than supported" in guest.log(), 20, "QEMU says so")


def test_memory_that_the_host_does_not_see(shared_guests):
    """Private memory, another memory than the guest's; and MSI-X, with which QEMU crashes."""
    host(shared_guests)
    private = shared_guests.guest(0, change=edit("share=on", "share=off"))
    unbound = shared_guests.guest(1, change=edit(" -numa node,memdev=mem", ""))
    vectors = shared_guests.guest(2, change=edit("vectors=0", "vectors=4"))
    for guest, ours in ((private, "memory mem is not shared"), (unbound, "no numa node is bound"),
                        (vectors, "crashes with MSI-X")):
        assert_found(guest, ours)
    shared_guests.pmd.wait_log("net_vhostx1: ring 0 cannot run: the front-end has shared no guest memory", 60)
    wait_until(lambda: not vectors.alive(), 60, "QEMU has crashed")
    private.wait_boot().run("ip link set eth0 up")
    private.run("ip addr add 10.9.9.1/24 dev eth0; ping -c 1 -W 1 10.9.9.2 || true")
    assert shared_guests.pmd.stats(0)["rx_packets"] == 0


def host(guests):
    """A testpmd with three ports of one queue pair, for all tests."""
    if guests.pmd is None or not guests.pmd.alive():
        guests.host(ports=3)
