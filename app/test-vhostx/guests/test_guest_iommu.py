# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Guests whose devices are behind an IOMMU, which QEMU emulates too.

What it costs depends on the guest's kernel. With passthrough its tables never
change; strict, each packet is mapped, and unmapped before the kernel goes on.
Lazy, the default, it unmaps many at once: QEMU 7.2 does not pass that on, so
that a device goes on with pages that are none of its own, whoever serves it.

Where each packet is mapped, little is sent.
"""

import json

import pytest

import net

ACCESS_PLATFORM, RING_PACKED = 33, 34
KERNELS = {"passthrough": "intel_iommu=on iommu=pt", "strict": "intel_iommu=on iommu.strict=1"}
AMOUNTS = {"passthrough": net.BYTES, "strict": "-n 512K"}
FILES_KIB = {"passthrough": net.FILE_KIB, "strict": 128}
VARIANTS = [(ring, kernel) for kernel in KERNELS for ring in ("split", "packed")]
MEMORY_PAGES = (256 << 20) // 4096


@pytest.fixture(name="pairs")
def _pairs(shared_guests):
    """A host of two ports, for guests that come and go."""
    if shared_guests.pmd is None or not shared_guests.pmd.alive():
        shared_guests.host(**{"iommu-support": 1})
        # A ring that waits for an answer takes nothing meanwhile: what is not taken is sent again.
        shared_guests.pmd.stop()
        shared_guests.pmd.set_patient()
        shared_guests.pmd.start()
    shared_guests.pmd.command("clear port xstats all")
    return shared_guests


def boot(pairs, kernel, *options):
    """Two guests that reach each other."""
    ends = pairs.pair("--iommu", *options, kernel=KERNELS[kernel])
    for end in ends:
        assert ACCESS_PLATFORM in end.features()
        assert (RING_PACKED in end.features()) == ("--packed" in options)
        types = end.host.run("cat /sys/kernel/iommu_groups/*/type").split()
        assert set(types) == {"identity" if kernel == "passthrough" else "DMA"}, types
    return ends


def rate(client, server, amount):
    """TCP throughput in Mbit/s, as slow as it may be."""
    return json.loads(net.iperf(client, server, amount))["end"]["sum_received"]["bits_per_second"] / 1e6


@pytest.mark.parametrize("ring, kernel", VARIANTS, ids=map("-".join, VARIANTS))
def test_guests_behind_iommu(pairs, figures, ring, kernel):
    """Ping, TCP both ways, files that arrive as they were sent."""
    one, two = boot(pairs, kernel, *(["--packed"] if ring == "packed" else []))
    one.ping(two, size=1400, v6=True)
    ping = one.ping(two)
    rates = [rate(*ends, AMOUNTS[kernel]) for ends in ((one, two), (two, one)) * 2]
    figures(f"ping {ping:.1f} ms, TCP there and back, twice: {', '.join(f'{value:.0f}' for value in rates)} Mbit/s")
    net.assert_file_arrives(one, two, FILES_KIB[kernel])
    net.assert_file_arrives(two, one, FILES_KIB[kernel])
    for end in (one, two):
        end.assert_checksums_right()
    if pairs.setup.driver == "net_vhostx":
        counters = pairs.pmd.xstats(0)
        misses, packets = counters["iotlb_misses"], counters["rx_good_packets"] + counters["tx_good_packets"]
        figures(f"{misses} pages were asked for, {packets} packets, {counters['iotlb_entries']} entries")
        assert 0 < misses < (MEMORY_PAGES if kernel == "passthrough" else 4 * packets)
