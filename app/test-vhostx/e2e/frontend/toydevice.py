# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The device side of both ring formats, as plain as can be, to test ours with."""

import struct

from .ring import DESC_SIZE, INDIRECT, NEXT, WRITE, need_event


class ToySplit:
    """Device side of a split ring (virtio 1.3, 2.7)."""

    def __init__(self, ring, start=0, wrap=1):
        del wrap
        self.memory, self.size = ring.memory, ring.size
        self.desc, self.used, self.avail = ring.addresses()
        self.event_idx = ring.event_idx
        self.next = self.used_idx = self.called = start

    def _desc(self, table, slot):
        return struct.unpack("<QIHH", self.memory.read(table + DESC_SIZE * slot, 16))

    def fetch(self):
        """The next chain as (id, [(gpa, length, writable)]), or None."""
        if self.memory.load(self.avail + 2, 2) == self.next:
            return None
        head = self.memory.load(self.avail + 4 + 2 * (self.next % self.size), 2)
        self.next = (self.next + 1) & 0xFFFF
        gpa, length, flags, _ = self._desc(self.desc, head)
        if flags & INDIRECT:
            return head, self._walk(gpa, 0)
        return head, self._walk(self.desc, head)

    def _walk(self, table, slot):
        out = []
        while len(out) < self.size:
            gpa, length, flags, slot = self._desc(table, slot)
            out.append((gpa, length, bool(flags & WRITE)))
            if not flags & NEXT:
                return out
        raise AssertionError("the chain has a loop")

    def complete(self, ident, length, chains=1):
        """Use one chain, or a batch of which ident is the last (in-order)."""
        gpa = self.used + 4 + 8 * (self.used_idx % self.size)
        self.memory.write(gpa, struct.pack("<II", ident, length))
        self.used_idx = (self.used_idx + chains) & 0xFFFF
        self.memory.store(self.used + 2, 2, self.used_idx)

    def wants_call(self):
        """Would a device have to interrupt for what it has used since?"""
        old, self.called = self.called, self.used_idx
        if not self.event_idx:
            return not self.memory.load(self.avail, 2) & 1
        event = self.memory.load(self.avail + 4 + 2 * self.size, 2)
        return need_event(event, self.used_idx, old)

    def suppress(self, on):
        """Ask for no kicks, or for one with the next chain."""
        if self.event_idx:
            event = self.next - 1 if on else self.next
            self.memory.store(self.used + 4 + 8 * self.size, 2, event & 0xFFFF)
        else:
            self.memory.store(self.used, 2, int(on))


class ToyPacked:
    """Device side of a packed ring (virtio 1.3, 2.8)."""

    def __init__(self, ring, start=0, wrap=1):
        self.memory, self.size = ring.memory, ring.size
        self.desc, self.device, self.driver = ring.addresses()
        self.event_idx = ring.event_idx
        self.next = self.used = self.called = start
        self.wrap = self.used_wrap = wrap
        self.slots = {}

    def fetch(self):
        """The next chain as (id, [(gpa, length, writable)]), or None."""
        flags = self.memory.load(self.desc + DESC_SIZE * self.next + 14, 2)
        if (flags >> 7 & 1, flags >> 15) != (self.wrap, 1 - self.wrap):
            return None
        out, count = [], 0
        while True:
            gpa, length, ident, flags = struct.unpack(
                "<QIHH", self.memory.read(self.desc + DESC_SIZE * self.next, 16))
            assert (flags >> 7 & 1, flags >> 15) == (self.wrap, 1 - self.wrap)
            self._step()
            count += 1
            if flags & INDIRECT:
                out = self._indirect(gpa, length)
            else:
                out.append((gpa, length, bool(flags & WRITE)))
            if not flags & NEXT:
                self.slots[ident] = count
                return ident, out

    def _step(self):
        self.next += 1
        if self.next == self.size:
            self.next, self.wrap = 0, 1 - self.wrap

    def _indirect(self, table, length):
        rows = struct.iter_unpack("<QIHH", self.memory.read(table, length))
        return [(gpa, size, bool(flags & WRITE)) for gpa, size, _, flags in rows]

    def complete(self, ident, length, chains=1, slots=None):
        """Use one chain; for an in-order batch give all the slots it takes."""
        del chains
        gpa = self.desc + DESC_SIZE * self.used
        flags = (0x8080 if self.used_wrap else 0) | (WRITE if length else 0)
        self.memory.write(gpa + 8, struct.pack("<IH", length, ident))
        self.memory.store(gpa + 14, 2, flags)
        self.used += self.slots.pop(ident) if slots is None else slots
        if self.used >= self.size:
            self.used, self.used_wrap = self.used - self.size, 1 - self.used_wrap

    def wants_call(self):
        """Would a device have to interrupt for what it has used since?"""
        old, self.called = self.called, self.used
        word = self.memory.load(self.driver, 4)
        if word >> 16 != 2:
            return word >> 16 == 0
        event = word & 0x7FFF
        assert event < self.size, f"event at slot {event} of {self.size}"
        new = self.used
        if old > new:
            old -= self.size
        if word >> 15 & 1 != self.used_wrap:
            event -= self.size
        return need_event(event, new, old)

    def suppress(self, on):
        """Ask for no kicks, or for one with the next descriptor."""
        if on:
            word = 1 << 16
        elif self.event_idx:
            word = 2 << 16 | self.wrap << 15 | self.next
        else:
            word = 0
        self.memory.store(self.device, 4, word)


def toy(ring, start=0, wrap=1):
    """The device side for a ring."""
    return (ToyPacked if ring.packed else ToySplit)(ring, start, wrap)
