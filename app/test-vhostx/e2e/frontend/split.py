# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Driver side of a split virtqueue (virtio 1.3, 2.7)."""

import struct

from .ring import (DESC_SIZE, INDIRECT, NEXT, WRITE, Chain, GuestFault, Raw, Ring,
                   Used, fence, need_event, pack_desc)

NO_INTERRUPT = 1  # avail flags (2.7.6)
NO_NOTIFY = 1     # used flags (2.7.8)


class SplitRing(Ring):
    """A split ring; start is the free-running index it begins at."""

    packed = False

    def __init__(self, memory, size, features, start=0, wrap=1, seed=1):
        super().__init__(memory, size, features, seed)
        del wrap  # split rings have none
        self.desc = self._area(DESC_SIZE * size, 16)
        self.avail = self._area(6 + 2 * size, 2)
        self.used_ring = self._area(6 + 8 * size, 4)
        self.avail_idx = self.kicked_idx = self.last_used = start & 0xFFFF
        self._slot = start % size
        self._taken = 0
        memory.store(self.avail + 2, 2, self.avail_idx)
        memory.store(self.used_ring + 2, 2, self.last_used)
        self.interrupts("never")

    def addresses(self):
        """Guest-physical (descriptor, used, available) of SET_VRING_ADDR."""
        return self.desc, self.used_ring, self.avail

    def room(self):
        """Free descriptors."""
        return self.size - self._taken

    # Lending

    def add(self, segments, indirect=False, token=None):
        """Write a chain and its ring entry; the device sees it on publish()."""
        raws = [Raw(s.gpa, s.length, WRITE if s.writable else 0) for s in segments]
        if indirect:
            table = self._table(_link(raws, range(len(raws))))
            return self._put([Raw(*table, INDIRECT)], segments, token, table)
        for i, raw in enumerate(raws[:-1]):
            raws[i] = raw._replace(flags=raw.flags | NEXT)
        return self._put(raws, segments, token)

    def add_raw(self, raws, token=None):
        """Write descriptors exactly as given (their next: slot or natural)."""
        return self._put(raws, None, token)

    def _put(self, raws, segments, token, table=None):
        slots = self._take_slots(len(raws))
        for i, (slot, raw) in enumerate(zip(slots, raws)):
            natural = slots[(i + 1) % len(slots)] if raw.flags & NEXT else 0
            self.poke_desc(slot, raw.gpa, raw.length, raw.flags,
                           natural if raw.next is None else raw.next)
        chain = Chain(slots[0], len(slots), segments, token, table)
        chain.list = slots
        self._lend(chain)
        self.poke_avail(self.avail_idx, slots[0])
        self.avail_idx = (self.avail_idx + 1) & 0xFFFF
        return chain.ident

    def _take_slots(self, count):
        if self.room() < count:
            raise ValueError("ring is full")
        self._taken += count
        if not self.in_order:
            return [self._free_ids.pop() for _ in range(count)]
        slots = [(self._slot + i) % self.size for i in range(count)]
        self._slot = (self._slot + count) % self.size
        return slots

    def publish(self):
        """Make added chains available; does the device want a kick (2.7.13)?"""
        fence()
        self.memory.store(self.avail + 2, 2, self.avail_idx)
        fence()
        old, self.kicked_idx = self.kicked_idx, self.avail_idx
        if self.event_idx:
            event = self.memory.load(self.used_ring + 4 + 8 * self.size, 2)
            return need_event(event, self.avail_idx, old)
        return not self.memory.load(self.used_ring, 2) & NO_NOTIFY

    # Taking back

    def used(self):
        """Everything the device has used since the last call (2.7.14)."""
        out = []
        while True:
            out += self._collect()
            if self.mode != "event":
                return out
            self.interrupts("event")
            fence()
            if self.memory.load(self.used_ring + 2, 2) == self.last_used:
                return out

    def _collect(self):
        idx = self.memory.load(self.used_ring + 2, 2)
        count = (idx - self.last_used) & 0xFFFF
        if count > len(self.outstanding):
            raise GuestFault(f"used idx {idx}: {count} used since "
                             f"{self.last_used}, {len(self.outstanding)} lent")
        out = []
        while count > 0:
            back = self._take_back(*self.used_entry(self.last_used))
            for chain, length in back:
                self._taken -= chain.slots
                if not self.in_order:
                    self._free_ids.extend(chain.list)
                out.append(Used(chain.ident, length, chain.token))
            self.last_used = (self.last_used + len(back)) & 0xFFFF
            count -= len(back)
        if count:
            raise GuestFault(f"used idx {idx} ends inside an in-order batch")
        return out

    def pending(self):
        """Used chains that used() has not taken yet."""
        return (self.memory.load(self.used_ring + 2, 2) - self.last_used) & 0xFFFF

    def used_entry(self, position):
        """(id, len) in the used ring at a free-running position."""
        gpa = self.used_ring + 4 + 8 * (position % self.size)
        return struct.unpack("<II", self.memory.read(gpa, 8))

    # Notifications

    def interrupts(self, mode, after=1):
        """always, never, or event: when `after` more chains were used."""
        self.mode = mode
        if not self.event_idx:
            flag = NO_INTERRUPT if mode == "never" else 0
            self.memory.store(self.avail, 2, flag)
            return
        ahead = after - 1 if mode == "event" else -1
        if mode == "always":
            raise ValueError("with EVENT_IDX interrupts are never or event")
        self.memory.store(self.avail + 4 + 2 * self.size, 2,
                          (self.last_used + ahead) & 0xFFFF)

    # Stopping and starting again

    def base(self):
        """What SET_VRING_BASE takes to go on where the device is."""
        return self.memory.load(self.used_ring + 2, 2)

    # Raw access for hostile guests

    def poke_desc(self, slot, gpa, length, flags, link):
        """Overwrite a descriptor of the table."""
        self.memory.write(self.desc + DESC_SIZE * slot,
                          pack_desc(gpa, length, flags, link))

    def poke_avail(self, position, head):
        """Overwrite the available ring's entry at a free-running position."""
        self.memory.store(self.avail + 4 + 2 * (position % self.size), 2, head)

    def poke_avail_idx(self, idx):
        """Set the available index to anything."""
        self.memory.store(self.avail + 2, 2, idx & 0xFFFF)


def indirect_table(raws):
    """Bytes of an indirect table with every field as given."""
    return b"".join(pack_desc(r.gpa, r.length, r.flags, r.next or 0) for r in raws)


def _link(raws, places):
    """Bytes of an indirect table, chained by next (2.7.5.3)."""
    last = len(raws) - 1
    return b"".join(
        pack_desc(r.gpa, r.length, r.flags | (NEXT if i < last else 0),
                  places[i + 1] if i < last else 0)
        for i, r in enumerate(raws))
