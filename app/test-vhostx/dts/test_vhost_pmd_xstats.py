# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DTS plan vhost_pmd_xstats: exact statistics per queue on each path.

The plan's traffic generator and NIC are a pcap port here: frames go to the
vhost port, to virtio-user and back, 1000 of a kind on each queue where the plan
sends 10000 over both.
"""

from pcap import make_frames
from rig import VHOST_PORT, ContentRig
from testpmd import wait_until

QUEUES = 2
COUNT = 1000
SIZES = {64: "size_64", 128: "size_128_255", 255: "size_128_255", 512: "size_512_1023",
         1024: "size_1024_1518", 1523: "size_1519_max"}
BINS = ["undersize", "size_64", "size_65_127", "size_128_255", "size_256_511",
        "size_512_1023", "size_1024_1518", "size_1519_max"]
GROUPS = {"broadcast": b"\xff" * 6, "multicast": bytes.fromhex("01005e000001"),
          "unicast": bytes.fromhex("020000000001")}


def run_case(rig, path, **options):
    """Every size, then every kind of address, on two queues."""
    content = ContentRig(rig, queues=QUEUES)
    rig.echo(path, queues=QUEUES, **options)
    wait_echo(content)
    for size, name in SIZES.items():
        send_and_check(content, make_frames([size] * COUNT, size), {name: COUNT})
    for group, address in GROUPS.items():
        frames = [address + frame[6:] for frame in make_frames([64] * COUNT, 1)]
        send_and_check(content, frames, {"size_64": COUNT, group: COUNT})


def wait_echo(content):
    """Wait until frames come back on every queue: the guest enables one by one."""
    content.pmd.wait_link(port=VHOST_PORT)
    probe = [make_frames([64] * 32, 0)] * QUEUES

    def loops():
        content.pmd.command(f"clear port xstats {VHOST_PORT}")
        content.exchange(probe)
        now = content.pmd.xstats(VHOST_PORT)
        return all(now[f"{way}_q{q}_good_packets"] == 32
                   for q in range(QUEUES) for way in ("rx", "tx"))
    wait_until(loops, 20, "frames loop on every queue")


def send_and_check(content, frames, wanted):
    """Send the frames on each queue; both directions must count them exactly."""
    content.pmd.command(f"clear port xstats {VHOST_PORT}")
    content.exchange([frames] * QUEUES)
    xstats = content.pmd.xstats(VHOST_PORT)
    for queue in range(QUEUES):
        for way in ("rx", "tx"):
            prefix = f"{way}_q{queue}_"
            assert xstats[prefix + "good_packets"] == len(frames)
            assert xstats[prefix + "good_bytes"] == sum(map(len, frames))
            for name in [*BINS, "broadcast", "multicast"]:
                assert xstats[f"{prefix}{name}_packets"] == wanted.get(name, 0), name
    content.pmd.command(f"clear port xstats {VHOST_PORT}")
    cleared = content.pmd.xstats(VHOST_PORT)
    assert not any(v for k, v in cleared.items() if "_good_" in k and "_q" in k)


def test_xstats_stability_split_ring_inorder_mergeable_path(rig):
    """Test case 1."""
    run_case(rig, "split-in-order")


def test_xstats_split_ring_inorder_non_mergeable_path(rig):
    """Test case 2."""
    run_case(rig, "split-in-order-non-mergeable")


def test_xstats_split_ring_mergeable_path(rig):
    """Test case 3."""
    run_case(rig, "split-mergeable")


def test_xstats_split_ring_non_mergeable_path(rig):
    """Test case 4."""
    run_case(rig, "split-non-mergeable")


def test_xstats_split_ring_vector_rx_path(rig):
    """Test case 5."""
    run_case(rig, "split-vectorised")


def test_xstats_packed_ring_inorder_mergeable_path(rig):
    """Test case 6."""
    run_case(rig, "packed-in-order")


def test_xstats_packed_ring_inorder_non_mergeable_path(rig):
    """Test case 7."""
    run_case(rig, "packed-in-order-non-mergeable")


def test_xstats_packed_ring_mergeable_path(rig):
    """Test case 8."""
    run_case(rig, "packed-mergeable")


def test_xstats_packed_ring_non_mergeable_path(rig):
    """Test case 9."""
    run_case(rig, "packed-non-mergeable")


def test_xstats_packed_ring_vectorized_path(rig):
    """Test case 10."""
    run_case(rig, "packed-vectorised")


def test_xstats_packed_ring_vectorized_path_ring_size_not_power_of_2(rig):
    """Test case 11."""
    run_case(rig, "packed-vectorised", ring=255)
