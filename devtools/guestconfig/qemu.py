# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A guest as QEMU's arguments."""

from .guest import show_size

# Each of these costs throughput, and a guest that lacks one of the last two cannot use the ones before.
OFFLOADS = ["csum", "guest_csum", "host_tso4", "host_tso6", "host_ecn",
            "guest_tso4", "guest_tso6", "guest_ecn", "host_ufo", "guest_ufo", "gso"]
# Before the devices that are behind it. Interrupts do not go by it: with KVM that takes a split irqchip.
IOMMU = "intel-iommu,device-iotlb=on,intremap=off"


def prop(name, values):
    """An argument with its properties: a plain name, then key=value of what is not None."""
    return ",".join([name, *(f"{key}={value}" for key, value in values.items() if value is not None)])


def switch(value):
    """A truth as QEMU writes it."""
    return "on" if value else "off"


def memory_object(guest):
    """The guest's memory, in a file that QEMU can hand to the driver."""
    bound = guest.node is not None
    return prop("memory-backend-memfd", {
        "id": "mem", "size": show_size(guest.memory), "share": "on",
        "hugetlb": "on" if guest.hugepages else None,
        "host-nodes": guest.node, "policy": "bind" if bound else None,
        "prealloc": "on" if guest.hugepages else None})


def chardev(guest):
    """The socket: QEMU connects to it, again and again, or makes it."""
    end = {"server": "on", "wait": "off"} if guest.qemu_is_server else {"reconnect": 1}
    return prop("socket", {"id": f"char{guest.index}", "path": guest.port.socket, **end})


def device(guest):
    """The network device that the guest sees."""
    values = {"netdev": f"net{guest.index}", "mac": guest.address}
    if guest.queues > 1:
        values["mq"] = "on"
    values["vectors"] = guest.vectors
    values["rx_queue_size"] = values["tx_queue_size"] = guest.ring_size
    values["host_mtu"] = guest.mtu
    if guest.packed:
        values["packed"] = "on"
    if guest.iommu:
        # A device that a driver from before virtio 1 can use has none; with ats it is told what it forgets.
        values.update({"disable-legacy": "on", "iommu_platform": "on", "ats": "on"})
    if not guest.offloads:
        values.update((name, "off") for name in OFFLOADS)
    return prop("virtio-net-pci", values)


def memory_arguments(guest):
    """Arguments that a guest has once, as (option, value)."""
    return [*([("-machine", "q35")] if guest.iommu else []),
            ("-accel", "tcg" if guest.tcg else "kvm"),
            *([] if guest.tcg else [("-cpu", "host")]),
            ("-m", show_size(guest.memory)),
            ("-object", memory_object(guest)),
            ("-numa", "node,memdev=mem"),
            *([("-device", IOMMU)] if guest.iommu else [])]


def device_arguments(guest):
    """Arguments that a guest has once for each device, as (option, value)."""
    return [("-chardev", chardev(guest)),
            ("-netdev", prop("vhost-user", {
                "id": f"net{guest.index}", "chardev": f"char{guest.index}",
                "queues": guest.queues})),
            ("-device", device(guest))]


def arguments(guest):
    """All arguments as (option, value); those of the memory with the first device only."""
    once = memory_arguments(guest) if guest.index == 0 else []
    return once + device_arguments(guest)
