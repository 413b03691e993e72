# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A guest as the parts of a libvirt domain that concern it."""

import xml.etree.ElementTree as ElementTree

from .qemu import switch

QEMU_NAMESPACE = "http://libvirt.org/schemas/domain/qemu/1.0"
HOST_OFFLOADS = ["csum", "gso", "tso4", "tso6", "ecn", "ufo"]
GUEST_OFFLOADS = ["csum", "tso4", "tso6", "ecn", "ufo"]


def child(parent, tag, text=None, **attributes):
    """Append an element; attributes that are None are left out."""
    element = ElementTree.SubElement(parent, tag, {
        key: str(value) for key, value in attributes.items() if value is not None})
    element.text = text
    return element


def add_memory(domain, guest):
    """Memory in a file that is shared."""
    child(domain, "memory", str(guest.memory // 1024), unit="KiB")
    backing = child(domain, "memoryBacking")
    if guest.hugepages:
        child(backing, "hugepages")
    child(backing, "source", type="memfd")
    child(backing, "access", mode="shared")
    if guest.node is not None:
        child(child(domain, "numatune"), "memory", mode="strict", nodeset=guest.node)


def add_interface(devices, guest):
    """The device; libvirt adds mq and vectors to several queues by itself."""
    interface = child(devices, "interface", type="vhostuser")
    child(interface, "mac", address=guest.address)
    source = child(interface, "source", type="unix", path=guest.port.socket,
                   mode="server" if guest.qemu_is_server else "client")
    if not guest.qemu_is_server:
        child(source, "reconnect", enabled="yes", timeout=1)
    child(interface, "model", type="virtio")
    driver = child(interface, "driver", queues=guest.queues if guest.queues > 1 else None,
                   rx_queue_size=guest.ring_size, tx_queue_size=guest.ring_size,
                   packed=switch(True) if guest.packed else None,
                   iommu=switch(True) if guest.iommu else None, ats=switch(True) if guest.iommu else None)
    if not guest.offloads:
        child(driver, "host", **dict.fromkeys(HOST_OFFLOADS, "off"))
        child(driver, "guest", **dict.fromkeys(GUEST_OFFLOADS, "off"))
    if guest.mtu is not None:
        child(interface, "mtu", size=guest.mtu)
    child(interface, "alias", name=f"ua-net{guest.index}")


def add_iommu(devices):
    """An IOMMU; the domain's machine must be a q35."""
    child(child(devices, "iommu", model="intel"), "driver", intremap="off", iotlb="on")


def add_override(domain, guest):
    """INTx in the place of MSI-X: libvirt has no element for it."""
    override = child(domain, f"{{{QEMU_NAMESPACE}}}override")
    device = child(override, f"{{{QEMU_NAMESPACE}}}device", alias=f"ua-net{guest.index}")
    child(child(device, f"{{{QEMU_NAMESPACE}}}frontend"), f"{{{QEMU_NAMESPACE}}}property",
          name="vectors", type="unsigned", value=guest.vectors)


def domain_xml(guest):
    """A domain that holds nothing but what the device needs."""
    ElementTree.register_namespace("qemu", QEMU_NAMESPACE)
    domain = ElementTree.Element("domain", type="qemu" if guest.tcg else "kvm")
    if guest.index == 0:
        add_memory(domain, guest)
    devices = child(domain, "devices")
    add_interface(devices, guest)
    if guest.iommu and guest.index == 0:
        add_iommu(devices)
    if guest.tcg:
        add_override(domain, guest)
    ElementTree.indent(domain)
    return ElementTree.tostring(domain, encoding="unicode")
