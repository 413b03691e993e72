# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What the driver side of both ring formats shares.

A ring lends chains of segments to the device and takes them back; it raises
GuestFault as soon as the device does what a strict guest would not stand.
"""

import collections
import random
import struct
import threading
from typing import NamedTuple

from .protocol import Feature

# Descriptor flags (virtio 1.3, 2.7.5 and 2.8)
NEXT = 1
WRITE = 2
INDIRECT = 4
DESC_SIZE = 16


class GuestFault(AssertionError):
    """The device broke a rule that a guest relies on."""


class Segment(NamedTuple):
    """One piece of a chain: guest-physical address, bytes, who writes."""

    gpa: int
    length: int
    writable: bool


class Raw(NamedTuple):
    """One descriptor with every field as given; next may be wrong."""

    gpa: int
    length: int
    flags: int
    next: int = None


class Chain:
    """What was lent to the device under one id."""

    def __init__(self, ident, slots, segments, token, table=None):
        self.ident = ident        # head (split) or buffer id (packed)
        self.slots = slots        # descriptors of the ring it occupies
        self.token = token        # whatever the caller gave
        self.table = table        # (gpa, bytes) of its indirect table
        self.writable = None if segments is None else sum(
            s.length for s in segments if s.writable)


class Used(NamedTuple):
    """What the device gave back: bytes written, and the caller's token."""

    ident: int
    length: int
    token: object


_fence_lock = threading.Lock()


def fence():
    """Full memory barrier: an uncontended lock is a locked instruction."""
    with _fence_lock:
        pass


def need_event(event, new, old):
    """Was event passed between old and new (virtio 1.3, 2.7.10)?"""
    return (new - event - 1) & 0xFFFF < (new - old) & 0xFFFF


class Ring:
    """Base of SplitRing and PackedRing: the same functions, one format each."""

    def __init__(self, memory, size, features, seed=1):
        self.memory = memory
        self.size = size
        self.event_idx = bool(features & Feature.EVENT_IDX)
        self.in_order = bool(features & Feature.IN_ORDER)
        self.outstanding = {}
        self.order = collections.deque()
        self.mode = "never"
        self._tables = {}
        self._areas = []
        # A device that mistakes slots for ids must not get away with it.
        self._free_ids = list(range(size))
        random.Random(seed).shuffle(self._free_ids)

    def close(self):
        """Give the ring's guest memory back."""
        for gpa, length in self._areas:
            self.memory.release(gpa, length)
        for length, tables in self._tables.items():
            for gpa in tables:
                self.memory.release(gpa, length)
        self._areas, self._tables = [], {}

    def _area(self, length, align):
        gpa = self.memory.alloc(length, align)
        self.memory.write(gpa, bytes(length))
        self._areas.append((gpa, length))
        return gpa

    def _table(self, descriptors):
        """Guest memory for an indirect table holding these bytes."""
        length = len(descriptors)
        spare = self._tables.setdefault(length, [])
        gpa = spare.pop() if spare else self.memory.alloc(length, 16)
        self.memory.write(gpa, descriptors)
        return gpa, length

    def _lend(self, chain):
        if chain.ident in self.outstanding:
            raise ValueError(f"id {chain.ident} is already lent")
        self.outstanding[chain.ident] = chain
        self.order.append(chain.ident)

    def _take_back(self, ident, length):
        """Chains that a used element returns; in order it may be several."""
        if ident not in self.outstanding:
            raise GuestFault(f"used id {ident} is not outstanding")
        out = []
        while self.in_order and self.order[0] != ident:
            chain = self.outstanding.pop(self.order.popleft())
            out.append((chain, chain.writable or 0))
        self.order.remove(ident)
        out.append((self.outstanding.pop(ident), length))
        for chain, written in out:
            self._check_length(chain, written)
            if chain.table is not None:
                self._tables[chain.table[1]].append(chain.table[0])
        return out

    @staticmethod
    def _check_length(chain, written):
        if chain.writable is not None and written > chain.writable:
            raise GuestFault(f"id {chain.ident}: {written} bytes written, "
                             f"{chain.writable} were writable")


def pack_desc(gpa, length, third, fourth):
    """16 bytes of a descriptor; the last two u16 differ between formats."""
    return struct.pack("<QIHH", gpa, length, third, fourth)
