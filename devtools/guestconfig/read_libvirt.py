# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Reads a libvirt domain."""

import xml.etree.ElementTree as ElementTree

from .guest import parse_size
from .machine import Device, Machine, Memory

QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
# <host> and <guest> below <driver>, as the properties of QEMU's device.
OFFLOADS = {("host", "csum"): "csum", ("host", "gso"): "gso", ("host", "mrg_rxbuf"): "mrg_rxbuf",
            ("host", "tso4"): "host_tso4", ("host", "tso6"): "host_tso6",
            ("guest", "csum"): "guest_csum", ("guest", "tso4"): "guest_tso4",
            ("guest", "tso6"): "guest_tso6"}


def size_of(element):
    """Bytes of an element with a unit; libvirt's default is KiB."""
    if element is None or not (element.text or "").strip():
        return None
    unit = element.get("unit", "KiB")
    number = int(element.text)
    return number if unit in ("b", "bytes") else parse_size(f"{number}{unit[0].upper()}")


def get(element, path, attribute, default=None):
    """An attribute of the element at a path below."""
    found = element.find(path)
    return default if found is None else found.get(attribute, default)


def read_memory(domain):
    """The memory of the domain, in as many pieces as it has NUMA cells."""
    backing = domain.find("memoryBacking")
    backing = ElementTree.Element("none") if backing is None else backing
    huge = backing.find("hugepages") is not None
    in_file = huge or get(backing, "source", "type") in ("memfd", "file")
    mode = get(backing, "access", "mode", "private")
    cells = domain.findall("cpu/numa/cell")
    if not cells:
        return [Memory("of the domain", mode == "shared", in_file, size_of(domain.find("memory")), huge)]
    return [Memory(f"of cell {number}", cell.get("memAccess", mode) == "shared",
                   # libvirt makes a file for a cell that has memAccess
                   in_file or "memAccess" in cell.attrib, None, huge)
            for number, cell in enumerate(cells)]


def overridden_vectors(domain, alias):
    """vectors of the device with that alias, where <qemu:override> sets them."""
    path = (f"{QEMU}override/{QEMU}device[@alias='{alias}']/{QEMU}frontend/"
            f"{QEMU}property[@name='vectors']")
    vectors = get(domain, path, "value")
    return None if vectors is None else int(vectors)


def read_device(domain, interface, number):
    """An interface of type vhostuser."""
    source = interface.find("source")
    mac = get(interface, "mac", "address")
    device = Device(f"interface {mac or number}")
    if source is not None:
        device.socket = source.get("path")
        device.server = source.get("mode") == "server"
        device.reconnects = get(source, "reconnect", "enabled") == "yes"
    device.model = get(interface, "model", "type", "the default model")
    device.model = "virtio" if device.model.startswith("virtio") else device.model
    device.vectors = overridden_vectors(domain, get(interface, "alias", "name"))
    driver = interface.find("driver")
    if driver is None:
        return device
    device.queues = int(driver.get("queues", 1))
    device.ring_sizes = {key: int(driver.get(key)) for key in ("rx_queue_size", "tx_queue_size")
                         if driver.get(key)}
    device.off = sorted(name for (side, key), name in OFFLOADS.items()
                        if get(driver, side, key) == "off")
    if driver.get("event_idx") == "off":
        device.off.append("event_idx")
    return device


def read(text):
    """The machine that a domain describes."""
    domain = ElementTree.fromstring(text)
    if domain.tag != "domain":
        found = domain.find("domain") if domain.tag == "domstatus" else None
        if found is None:
            raise ValueError(f"<{domain.tag}> is no libvirt domain; give the output of virsh dumpxml")
        domain = found
    machine = Machine("libvirt", accel="tcg" if domain.get("type") == "qemu" else domain.get("type"))
    machine.size = size_of(domain.find("memory"))
    machine.memory = read_memory(domain)
    machine.vcpus = int(domain.findtext("vcpu", "1"))
    machine.pinned = len(domain.findall("cputune/vcpupin"))
    machine.devices = [read_device(domain, interface, number) for number, interface
                       in enumerate(domain.findall("devices/interface[@type='vhostuser']"))]
    return machine
