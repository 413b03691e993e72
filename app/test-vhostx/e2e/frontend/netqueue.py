# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The guest's two queues of a pair: frames to chains and back (virtio 1.3, 5.1.6)."""

import collections
import struct

from .buffers import gather, scatter, segments
from .protocol import Feature
from .ring import GuestFault

_HEADER = struct.Struct("<BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum x 2


def header(length, flags=0, gso_type=0, hdr_len=0, gso_size=0, csum_start=0,
           csum_offset=0):
    """struct virtio_net_hdr of 10 or 12 bytes as a driver fills it."""
    base = _HEADER.pack(flags, gso_type, hdr_len, gso_size, csum_start, csum_offset)
    return base + bytes(length - len(base))


_GSO = {1: Feature.GUEST_TSO4, 3: Feature.GUEST_UFO, 4: Feature.GUEST_TSO6,
        0x81: Feature.GUEST_TSO4 | Feature.GUEST_ECN,
        0x84: Feature.GUEST_TSO6 | Feature.GUEST_ECN}


def may_tell(features, flags, gso_type):
    """Whether these features let the device write that (virtio 1.3, 5.1.6.4.1)."""
    need = Feature.GUEST_CSUM if flags or gso_type else 0
    if gso_type and (gso_type not in _GSO or not flags):
        return False
    need |= _GSO.get(gso_type, 0)
    return flags in (0, 1) and features & need == need


class TxQueue:
    """The guest's transmitq: what it sends, the host receives (vring 2q+1)."""

    def __init__(self, ring, pool, header_length, layout):
        self.ring = ring
        self.pool = pool
        self.header_length = header_length
        self.layout = layout

    def post(self, frame, head=None, layout=None):
        """Add one frame without publishing; ValueError when the ring is full."""
        layout = layout or self.layout
        data = (header(self.header_length) if head is None else head) + frame
        slots = 1 if layout.indirect else len(layout.lengths(len(data)))
        if self.ring.room() < slots:
            raise ValueError("ring is full")
        buffers = layout.take(self.pool, len(data))
        scatter(buffers, data)
        return self.ring.add(segments(buffers, False), layout.indirect,
                             (buffers, data))

    def reap(self):
        """Take sent buffers back; how many chains. Raises if they changed."""
        done = self.ring.used()
        for used in done:
            buffers, data = used.token
            if gather(buffers, len(data)) != data:
                raise GuestFault("the device wrote into a transmit buffer")
            for buffer in buffers:
                self.pool.give(buffer)
        return len(done)


class RxQueue:
    """The guest's receiveq: what the host sends, the guest gets (vring 2q)."""

    def __init__(self, ring, pool, header_length, layout, size, mergeable, strict):
        self.ring = ring
        self.pool = pool
        self.header_length = header_length
        self.layout = layout
        self.size = size  # bytes of a whole chain, header included
        self.mergeable = mergeable
        self.strict = strict  # net_vhost leaves num_buffers unset if not mergeable
        self.limit = None     # at most so many chains lent, None: all that fit
        self.features = 0     # negotiated: what offloads the header may tell
        self.header = None    # of the last frame, 10 bytes
        self._done = collections.deque()

    def fill(self):
        """Lend as many chains as fit, without publishing; how many."""
        slots = 1 if self.layout.indirect else len(self.layout.lengths(self.size))
        count = 0
        while self.ring.room() >= slots and (
                self.limit is None or len(self.ring.outstanding) < self.limit):
            buffers = self.layout.take(self.pool, self.size)
            self.ring.add(segments(buffers, True), self.layout.indirect, buffers)
            count += 1
        return count

    def collect(self):
        """Take used chains from the ring; poll() hands their frames out."""
        self._done.extend(self.ring.used())

    def poll(self):
        """The next received frame, None if there is none yet."""
        if not self._done:
            self.collect()
        if not self._done:
            return None
        first = self._done.popleft()
        data = self._data(first)
        if len(data) < self.header_length:
            raise GuestFault(f"{len(data)} bytes received, header not whole")
        for _ in range(self._check_header(data) - 1):
            data += self._follower(first)
            first = self._last
        return data[self.header_length:]

    def _data(self, used):
        data = gather(used.token, used.length)
        for buffer in used.token:
            self.pool.give(buffer)
        self._last = used
        return data

    def _follower(self, before):
        if before.length != self.size:
            raise GuestFault(f"{before.length} of {self.size} bytes used in a "
                             "buffer that is not the packet's last (5.1.6.4.1)")
        if not self._done:
            raise GuestFault("num_buffers promises buffers that are not used yet")
        return self._data(self._done.popleft())

    def _check_header(self, data):
        self.header = data[:_HEADER.size]
        flags, gso_type, _, gso_size, start, offset = _HEADER.unpack_from(data)
        if not may_tell(self.features, flags, gso_type) or bool(gso_type) != bool(gso_size):
            raise GuestFault(f"offload without negotiation: flags {flags:#x}, gso "
                             f"type {gso_type:#x}, size {gso_size}, csum {start}+"
                             f"{offset}")
        if self.header_length < 12:
            return 1
        count = struct.unpack_from("<H", data, 10)[0]
        if not self.mergeable:
            if self.strict and count != 1:
                raise GuestFault(f"num_buffers {count}, not mergeable (5.1.6.4.1)")
            return 1
        if not count:
            raise GuestFault("num_buffers is 0")
        return count
