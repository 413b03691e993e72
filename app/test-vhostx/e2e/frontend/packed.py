# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Driver side of a packed virtqueue (virtio 1.3, 2.8)."""

from .ring import (DESC_SIZE, INDIRECT, NEXT, WRITE, Chain, GuestFault, Raw, Ring,
                   Used, fence, need_event, pack_desc)

AVAIL = 1 << 7   # 2.8.1
USED = 1 << 15
EVENT_ENABLE = 0  # 2.8.14
EVENT_DISABLE = 1
EVENT_DESC = 2


class PackedRing(Ring):
    """A packed ring; it begins at slot start with this wrap counter."""

    packed = True

    def __init__(self, memory, size, features, start=0, wrap=1, seed=1):
        super().__init__(memory, size, features, seed)
        self.desc = self._area(DESC_SIZE * size, 16)
        self.driver = self._area(4, 4)
        self.device = self._area(4, 4)
        self.next_avail = self.last_used = start
        self.avail_wrap = self.used_wrap = wrap
        self._heads = []  # (slot, flags) that publish() will store
        self._added = 0   # descriptors since the last publish()
        self._free_slots = size
        self._history(start, wrap)
        self.interrupts("never")

    def _history(self, start, wrap):
        """Leave the flags that an earlier lap would have left."""
        for slot in range(self.size):
            lap = wrap if slot < start else 1 - wrap
            flags = AVAIL | USED if lap else 0
            self.memory.store(self.desc + DESC_SIZE * slot + 14, 2, flags)

    def addresses(self):
        """Guest-physical (descriptor, used, available) of SET_VRING_ADDR."""
        return self.desc, self.device, self.driver

    def room(self):
        """Free descriptors."""
        return self._free_slots

    # Lending

    def add(self, segments, indirect=False, token=None):
        """Write a chain; the device sees it on publish()."""
        raws = [Raw(s.gpa, s.length, WRITE if s.writable else 0) for s in segments]
        if indirect:
            table = self._table(indirect_table(raws))
            return self._put([Raw(*table, INDIRECT)], segments, token, table)
        for i, raw in enumerate(raws[:-1]):
            raws[i] = raw._replace(flags=raw.flags | NEXT)
        return self._put(raws, segments, token)

    def add_raw(self, raws, token=None):
        """Write descriptors as given; a Raw's next replaces the buffer id."""
        return self._put(raws, None, token)

    def _put(self, raws, segments, token, table=None):
        if self._free_slots < len(raws):
            raise ValueError("ring is full")
        ident = self._free_ids.pop(0) if self.in_order else self._free_ids.pop()
        for i, raw in enumerate(raws):
            flags = raw.flags | self.avail_bits()
            shown = ident if raw.next is None else raw.next
            if i:
                self.poke_desc(self.next_avail, raw.gpa, raw.length, shown, flags)
            else:
                self._write_body(self.next_avail, raw.gpa, raw.length, shown)
                self._heads.append((self.next_avail, flags))
            self._advance()
        self._free_slots -= len(raws)
        self._added += len(raws)
        self._lend(Chain(ident, len(raws), segments, token, table))
        return ident

    def avail_bits(self):
        """AVAIL and USED as an available descriptor has them now."""
        return AVAIL if self.avail_wrap else USED

    def _advance(self):
        self.next_avail += 1
        if self.next_avail == self.size:
            self.next_avail = 0
            self.avail_wrap ^= 1

    def publish(self):
        """Make added chains available; does the device want a kick (2.8.21)?"""
        fence()
        for slot, flags in self._heads:
            self.memory.store(self.desc + DESC_SIZE * slot + 14, 2, flags)
        fence()
        added, self._heads, self._added = self._added, [], 0
        off_wrap = self.memory.load(self.device, 2)
        mode = self.memory.load(self.device + 2, 2) & 3
        if mode != EVENT_DESC:
            return mode == EVENT_ENABLE
        return self._event_passed(off_wrap, added)

    def _event_passed(self, off_wrap, added):
        if not self.event_idx:
            raise GuestFault("RING_EVENT_FLAGS_DESC without EVENT_IDX")
        event = off_wrap & 0x7FFF
        if off_wrap >> 15 != self.avail_wrap:
            event -= self.size
        return need_event(event, self.next_avail, self.next_avail - added)

    # Taking back

    def used(self):
        """Everything the device has used since the last call (2.8.22)."""
        out = []
        while True:
            while self._is_used():
                out += self._collect()
            if self.mode != "event":
                return out
            self.interrupts("event")
            fence()
            if not self._is_used():
                return out

    def pending(self):
        """Used chains that used() has not taken yet, if all are one descriptor."""
        count, slot, wrap = 0, self.last_used, self.used_wrap
        while count < self.size and self._marked_used(slot, wrap):
            count += 1
            slot += 1
            if slot == self.size:
                slot, wrap = 0, wrap ^ 1
        return count

    def _marked_used(self, slot, wrap):
        flags = self.memory.load(self.desc + DESC_SIZE * slot + 14, 2)
        return flags & (AVAIL | USED) == (AVAIL | USED if wrap else 0)

    def _is_used(self):
        return self._marked_used(self.last_used, self.used_wrap)

    def _collect(self):
        gpa = self.desc + DESC_SIZE * self.last_used
        flags = self.memory.load(gpa + 14, 2)
        ident = self.memory.load(gpa + 12, 2)
        length = self.memory.load(gpa + 8, 4) if flags & WRITE else 0
        back = self._take_back(ident, length)
        for chain, _ in back:
            self._free_ids.append(chain.ident)
            self._free_slots += chain.slots
            self.last_used += chain.slots
        if self.last_used >= self.size:
            self.last_used -= self.size
            self.used_wrap ^= 1
        return [Used(c.ident, n, c.token) for c, n in back]

    # Notifications

    def interrupts(self, mode, after=1):
        """always, never, or event: when `after` more descriptors were used."""
        self.mode = mode
        if mode == "event" and self.event_idx:
            slot, wrap = self.last_used + after - 1, self.used_wrap
            if slot >= self.size:
                slot, wrap = slot - self.size, wrap ^ 1
            value = EVENT_DESC << 16 | wrap << 15 | slot
        else:
            value = (EVENT_DISABLE if mode == "never" else EVENT_ENABLE) << 16
        self.memory.store(self.driver, 4, value)

    # Stopping and starting again

    def base(self):
        """What SET_VRING_BASE takes to go on where the device is.

        Call used() first: this is the driver's view of the device's place.
        """
        half = self.last_used | self.used_wrap << 15
        return half << 16 | half

    def drop(self, base):
        """What QEMU does without a back-end: give back the chain at base, if there is one.

        Returns the base after it.
        """
        slot, wrap = base & 0x7fff, base >> 15 & 1
        head = self.desc + DESC_SIZE * slot
        flags = self.memory.load(head + 14, 2)
        if flags & (AVAIL | USED) != (AVAIL if wrap else USED):
            return base
        end = slot
        while flags & NEXT:
            end += 1
            flags = self.memory.load(self.desc + DESC_SIZE * (end % self.size) + 14, 2)
        ident = self.memory.load(self.desc + DESC_SIZE * (end % self.size) + 12, 2)
        self.memory.store(head + 8, 4, 0)
        self.memory.store(head + 12, 2, ident)
        fence()
        self.memory.store(head + 14, 2, AVAIL | USED if wrap else 0)
        half = (end + 1) % self.size | (wrap ^ (end + 1 >= self.size)) << 15
        return half << 16 | half

    # Raw access for hostile guests

    def poke_desc(self, slot, gpa, length, ident, flags):
        """Overwrite a descriptor of the ring, flags last."""
        self._write_body(slot, gpa, length, ident)
        fence()
        self.memory.store(self.desc + DESC_SIZE * slot + 14, 2, flags)

    def _write_body(self, slot, gpa, length, ident):
        body = pack_desc(gpa, length, ident, 0)[:14]
        self.memory.write(self.desc + DESC_SIZE * slot, body)


def indirect_table(raws):
    """Bytes of an indirect table; only WRITE counts in it (2.8.7)."""
    return b"".join(pack_desc(r.gpa, r.length, r.next or 0, r.flags) for r in raws)
