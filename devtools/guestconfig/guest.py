# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A guest that fits a port: the choices, before QEMU's or libvirt's way of writing them."""

import hashlib
import re
from dataclasses import dataclass
from typing import Optional

from .port import PATH_MAX, Port, PortError

UNITS = {"": 1 << 20, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# What QEMU takes for rx_queue_size and, with vhost-user, for tx_queue_size.
RING_SIZES = (256, 512, 1024)
QEMU_QUEUES_MAX = 128
MTU_MIN, MTU_MAX = 68, 65535


def parse_size(text):
    """Bytes of a size as QEMU reads it: "512M", "2G"; without a unit, MiB."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", text.strip().upper().replace("IB", "B"))
    if not found:
        raise ValueError(f"{text} is no size; write for instance 512M or 2G")
    return int(float(found.group(1)) * UNITS[found.group(2)])


def show_size(size):
    """A size in bytes with the largest unit that divides it."""
    for unit in "TGMK":
        if size and size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return str(size)


def vectors_for(queues):
    """Interrupt vectors: two a queue pair, the control queue, and configuration changes."""
    return 2 * queues + 2


def mac_for(socket):
    """A MAC address that is another for another socket."""
    digest = hashlib.sha256(socket.encode()).digest()
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in digest[:3])


def is_unicast(mac):
    """Whether the text is the address of one device."""
    return bool(re.fullmatch(r"[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}", mac)) and mac.strip("0:") != ""


@dataclass(frozen=True)
class Guest:
    """One device of a guest, and the memory behind it."""

    port: Port
    queues: int = 1
    memory: int = 1 << 30          # bytes
    ring_size: int = 1024
    packed: bool = False
    offloads: bool = True          # checksum and segmentation offloads
    tcg: bool = False              # QEMU emulates the processor
    mac: Optional[str] = None
    mtu: Optional[int] = None      # what the guest is told
    node: Optional[int] = None     # NUMA node of the host that the memory is bound to
    hugepages: bool = False
    index: int = 0                 # of the device in its guest
    iommu: bool = False            # the guest decides what the device may see

    def __post_init__(self):
        if self.port.socket is None:
            raise PortError("which socket? Give --socket or --telemetry")
        if len(self.port.socket.encode()) > PATH_MAX:
            raise PortError(f"{self.port.socket} has {len(self.port.socket.encode())} characters; "
                            f"the path of a UNIX socket has at most {PATH_MAX}")
        if "," in self.port.socket:
            raise PortError(f"{self.port.socket}: a comma in the path ends a device argument; "
                            "use a path without one")
        if self.port.queues is not None and self.queues > self.port.queues:
            raise PortError(f"{self.port.name} has {self.port.queues} queue pairs, not {self.queues}; "
                            "give it more with queues=")
        if not 1 <= self.queues <= QEMU_QUEUES_MAX:
            raise PortError(f"{self.queues} queue pairs are not 1 to {QEMU_QUEUES_MAX}")
        if self.ring_size not in RING_SIZES:
            raise PortError(f"QEMU makes rings of {', '.join(map(str, RING_SIZES))} entries, "
                            f"not of {self.ring_size}")
        self.check_numbers()

    def check_numbers(self):
        """What QEMU would refuse, or take and make a device of that does not work."""
        if self.memory <= 0:
            raise PortError("a guest needs memory; write for instance --memory 2G")
        if self.mtu is not None and not MTU_MIN <= self.mtu <= MTU_MAX:
            raise PortError(f"an MTU of {self.mtu} is not {MTU_MIN} to {MTU_MAX}")
        if self.mac is not None and not is_unicast(self.mac):
            raise PortError(f"{self.mac} is not a unicast address like 52:54:00:12:34:56")
        if self.node is not None and self.node < 0:
            raise PortError(f"{self.node} is no NUMA node; the first is 0")
        if self.index < 0:
            raise PortError(f"{self.index} is no number of a device; the first is 0")

    @property
    def qemu_is_server(self):
        """Whether QEMU makes the socket: the opposite of the port's mode."""
        return self.port.mode == "client"

    @property
    def address(self):
        """MAC address of the device."""
        return self.mac or mac_for(self.port.socket)

    @property
    def vectors(self):
        """Interrupt vectors; 0, that is INTx, where QEMU 7.2 crashes with MSI-X."""
        return 0 if self.tcg else vectors_for(self.queues)
