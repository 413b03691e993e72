# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""TCP and UDP packets whose checksums or segments are left to the device."""

import struct
from dataclasses import dataclass, field, replace

TCP, UDP = 6, 17
FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80
NEEDS_CSUM = 1
GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_ECN = 1, 3, 4, 0x80
FIELD = {TCP: 16, UDP: 6}  # of the checksum, from the beginning of the header
MACS = bytes.fromhex("020000000001" "020000000002")


def fold(data, start=0):
    """One's complement sum of 16 bit words (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total = start + sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Packet:
    """A packet by its fields; payload lengths in bytes."""

    payload: bytes
    proto: int = TCP
    ipv6: bool = False
    vlan: int = None
    options: bytes = b""       # of TCP, a multiple of 4 bytes
    flags: int = ACK
    seq: int = 1000
    ident: int = 7             # of IPv4
    csum: int = field(default=None, compare=False)  # in the field; None: right

    @property
    def l2_len(self):
        """Bytes before the IP header."""
        return 14 if self.vlan is None else 18

    @property
    def l3_len(self):
        """Bytes of the IP header."""
        return 40 if self.ipv6 else 20

    @property
    def start(self):
        """Where the TCP or UDP header begins."""
        return self.l2_len + self.l3_len

    @property
    def headers(self):
        """Bytes before the payload."""
        return self.start + (8 if self.proto == UDP else 20 + len(self.options))

    def pseudo(self):
        """Sum of addresses, protocol and length."""
        length = self.headers - self.start + len(self.payload)
        addresses = self._ip(0)[8:] if self.ipv6 else self._ip(0)[12:]
        return fold(addresses + struct.pack(">IHBB", length, 0, 0, self.proto))

    def _l2(self):
        tag = b"" if self.vlan is None else struct.pack(">HH", 0x8100, self.vlan)
        return MACS + tag + (b"\x86\xdd" if self.ipv6 else b"\x08\x00")

    def _ip(self, length):
        if self.ipv6:
            return struct.pack(">IHBB", 6 << 28, length, self.proto, 64) + \
                bytes(range(0x20, 0x40))
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, self.ident, 0x4000,
                           64, self.proto, 0) + bytes([10, 0, 0, 1, 10, 0, 0, 2])
        return head[:10] + struct.pack(">H", 0xFFFF ^ fold(head)) + head[12:]

    def _l4(self, csum):
        if self.proto == UDP:
            return struct.pack(">HHHH", 1111, 2222, 8 + len(self.payload), csum)
        return struct.pack(">HHIIBBHHH", 1111, 2222, self.seq, 5,
                           (20 + len(self.options)) // 4 << 4, self.flags, 512,
                           csum, 0) + self.options

    def frame(self):
        """The bytes."""
        csum = self.csum
        if csum is None:
            csum = 0xFFFF ^ fold(self._l4(0) + self.payload, self.pseudo())
            csum = csum or (0xFFFF if self.proto == UDP else 0)
        l4 = self._l4(csum) + self.payload
        return self._l2() + self._ip(len(l4)) + l4

    def open(self):
        """The same with the checksum left to the device."""
        return replace(self, csum=self.pseudo())

    def header(self, gso_size=0, length=12):
        """struct virtio_net_hdr for the open packet (virtio 1.3, 5.1.6)."""
        kind = 0
        if gso_size:
            kind = {TCP: GSO_TCPV6 if self.ipv6 else GSO_TCPV4, UDP: GSO_UDP}[self.proto]
            if self.proto == TCP and self.flags & CWR:
                kind |= GSO_ECN
        base = struct.pack("<BBHHHH", NEEDS_CSUM, kind, self.headers if gso_size else 0,
                           gso_size, self.start, FIELD[self.proto])
        return base + bytes(length - len(base))

    def segments(self, size):
        """What cutting must make of it, with right checksums."""
        parts = [self.payload[at:at + size] for at in range(0, len(self.payload), size)]
        for k, part in enumerate(parts):
            flags = self.flags
            if k + 1 < len(parts):
                flags &= ~(FIN | PSH)
            if k:
                flags &= ~CWR
            yield replace(self, payload=part, flags=flags, csum=None,
                          seq=(self.seq + k * size) & 0xFFFFFFFF,
                          ident=(self.ident + k) & 0xFFFF)


def payload(length, seed=0):
    """Bytes that differ by place and seed."""
    return bytes((i * 7 + (i >> 8) * 13 + seed * 31) & 0xFF for i in range(length))
