# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Guests whose devices are behind an IOMMU, which QEMU emulates too."""

import re

import pytest

import net

ACCESS_PLATFORM, RING_PACKED = 33, 34
# In the first, every packet is mapped for the device, and unmapped before the guest goes on.
KERNELS = {"strict": "intel_iommu=on iommu.strict=1", "lazy": "intel_iommu=on",
           "passthrough": "intel_iommu=on iommu.passthrough=1"}


def behind_iommu(arguments):
    """A machine with an IOMMU, and the device behind it."""
    machine = arguments.index("-machine") if "-machine" in arguments else None
    out = list(arguments)
    if machine is None:
        out = ["-machine", "q35", *out]
    else:
        out[machine + 1] = re.sub(r"^(pc|q35)[^,]*", "q35", out[machine + 1])
    out[-1] += ",disable-legacy=on,iommu_platform=on,ats=on"
    return [*out[:-2], "-device", "intel-iommu,device-iotlb=on,intremap=off", *out[-2:]]


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
    ends = pairs.pair("--ring-size", "256", *options, change=behind_iommu, kernel=KERNELS[kernel])
    for end in ends:
        assert ACCESS_PLATFORM in end.features()
        assert (RING_PACKED in end.features()) == ("--packed" in options)
        assert end.host.run("ls /sys/class/iommu").strip(), "the guest has no IOMMU"
    return ends


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("options", [[], ["--packed"]], ids=["split", "packed"])
def test_guests_behind_iommu(pairs, figures, kernel, options):
    """Ping, TCP both ways, files that arrive as they were sent."""
    one, two = boot(pairs, kernel, *options)
    one.ping(two, size=1400, v6=True)
    figures(f"ping {one.ping(two):.1f} ms, TCP {net.tcp(one, two):.0f} and {net.tcp(two, one):.0f} Mbit/s")
    net.assert_file_arrives(one, two)
    net.assert_file_arrives(two, one)
    counters = pairs.pmd.xstats(0)
    misses, packets = counters["iotlb_misses"], counters["rx_good_packets"]
    figures(f"{misses} pages were asked for, {packets} packets received, {counters['iotlb_entries']} entries")
    assert misses > 0
    # Where the mapping is fixed, each page of the guest is asked for once at most.
    assert kernel != "passthrough" or misses < (256 << 20) / 4096
