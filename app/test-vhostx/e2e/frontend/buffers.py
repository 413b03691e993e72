# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Guest buffers between guard bytes, and ways to cut a packet into them."""

from .ring import GuestFault, Segment

GUARD = bytes(range(0xA0, 0xC0))  # 32 bytes on each side of every buffer
FILL = 0x5A                       # what a buffer holds before the device writes


class Buffer:
    """length bytes at a guest-physical address, guarded on both sides."""

    def __init__(self, memory, gpa, length):
        self.memory = memory
        self.gpa = gpa
        self.length = length
        memory.write(gpa - len(GUARD), GUARD + bytes([FILL]) * length + GUARD)

    def read(self, length=None):
        """The first length bytes."""
        return self.memory.read(self.gpa, self.length if length is None else length)

    def write(self, data):
        """Replace the first bytes."""
        self.memory.write(self.gpa, data)

    def check(self):
        """Raise if anybody wrote beside the buffer."""
        n = len(GUARD)
        low = self.memory.read(self.gpa - n, n)
        high = self.memory.read(self.gpa + self.length, n)
        if low != GUARD or high != GUARD:
            raise GuestFault(f"bytes beside buffer {self.gpa:#x}+{self.length} "
                             f"overwritten: {low.hex()} {high.hex()}")


class Pool:
    """Buffers by length; place(memory, bytes) chooses where new ones lie."""

    def __init__(self, memory, place=None):
        self.memory = memory
        self.place = place or (lambda memory, length: memory.alloc(length))
        self._spare = {}
        self._all = []

    def take(self, length):
        """A buffer of exactly length bytes."""
        spare = self._spare.setdefault(length, [])
        if spare:
            return spare.pop()
        block = length + 2 * len(GUARD)
        gpa = self.place(self.memory, block)
        self._all.append((gpa, block))
        return Buffer(self.memory, gpa + len(GUARD), length)

    def give(self, buffer):
        """Check the guards and keep the buffer for the next taker."""
        buffer.check()
        self._spare[buffer.length].append(buffer)

    def close(self):
        """Give all guest memory back, lent or not."""
        for gpa, block in self._all:
            self.memory.release(gpa, block)
        self._all, self._spare = [], {}


def crossing(memory, length):
    """A place for Pool: across borders of regions while there are any left."""
    try:
        return memory.alloc_crossing(length)
    except MemoryError:
        return memory.alloc(length)


class Layout:
    """How a packet's bytes are spread over descriptors.

    cuts are the lengths of the leading segments; the rest is the last one.
    """

    def __init__(self, cuts=(), indirect=False):
        self.cuts = tuple(cuts)
        self.indirect = indirect

    def lengths(self, total):
        """Segment lengths that add up to total bytes."""
        out = []
        for cut in self.cuts:
            if total <= cut:
                break
            out.append(cut)
            total -= cut
        return out + [total]

    def take(self, pool, total):
        """Buffers for total bytes, one for each segment."""
        return [pool.take(n) for n in self.lengths(total)]


DIRECT = Layout()
CHAINED = Layout((12, 100, 300))
INDIRECT = Layout((12, 100, 300), indirect=True)
INDIRECT_ONE = Layout((), indirect=True)
SPLINTERS = Layout((1, 1, 3, 5, 1, 1, 7))  # the header over many descriptors


def segments(buffers, writable):
    """Segments of a chain made of these buffers."""
    return [Segment(b.gpa, b.length, writable) for b in buffers]


def scatter(buffers, data):
    """Write data over buffers in order."""
    for buffer in buffers:
        buffer.write(data[:buffer.length])
        data = data[buffer.length:]


def gather(buffers, length):
    """The first length bytes of buffers in order."""
    out = []
    for buffer in buffers:
        part = min(length, buffer.length)
        out.append(buffer.read(part))
        length -= part
    return b"".join(out)
