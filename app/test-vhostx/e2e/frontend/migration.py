# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The source's side of a live migration: dirty log, and what really changed.

A Shadow is a second copy of guest memory that gets every byte that the guest
writes and none that the back-end writes, so a page that differs was written by
the back-end. It knows nothing of the log.
"""

import collections
import mmap
import os
import struct

from . import protocol
from .memory import PAGE
from .protocol import Feature, Msg

LOG_FLAG = 1  # VHOST_VRING_F_LOG


class DirtyLog:
    """A bitmap for all of a guest's memory, offset bytes into its file."""

    def __init__(self, memory, offset=0):
        top = max(region.end for region in memory.regions)
        self.size = -(-top // (PAGE * 64)) * 8
        self.offset = offset
        self.fd = os.memfd_create("log")
        os.ftruncate(self.fd, offset + self.size)
        self.map = mmap.mmap(self.fd, offset + self.size)

    def pages(self):
        """Numbers of the pages that are marked."""
        bits = self.map[self.offset:]
        return {8 * at + bit for at, byte in enumerate(bits) if byte
                for bit in range(8) if byte >> bit & 1}

    def install(self, frontend):
        """SET_LOG_BASE: the back-end uses this one when it has answered."""
        reply = frontend.conn.ask(
            Msg.SET_LOG_BASE, struct.pack("=QQ", self.size, self.offset), [self.fd])
        assert reply.u64() == 0

    def close(self):
        """Give the file back; the back-end keeps its mapping."""
        self.map.close()
        os.close(self.fd)


def switch_log(frontend, on, flags=True):
    """Turn the log on or off in QEMU's order: features, then each ring."""
    frontend.features &= ~Feature.LOG_ALL
    frontend.features |= Feature.LOG_ALL if on else 0
    frontend.say(Msg.SET_FEATURES, protocol.u64(frontend.features))
    for vring in frontend.vrings if flags else ():
        desc, used, avail = vring.ring.addresses()
        user = frontend.ring_address
        frontend.say(Msg.SET_VRING_ADDR, protocol.vring_addr(
            vring.index, user(desc), user(used), user(avail),
            flags=LOG_FLAG if on else 0, log=used if on else 0))


class Shadow:
    """Guest memory as it would be had the back-end written nothing."""

    def __init__(self, memory):
        self.memory = memory
        self.copies = {region.gpa: bytearray(region.map) for region in memory.regions}
        memory.watcher = self

    def write(self, region, off, data):
        """The guest writes."""
        self.copies[region.gpa][off:off + len(data)] = data

    def written(self):
        """Numbers of the pages that the back-end has written."""
        pages = set()
        for region in self.memory.regions:
            copy = self.copies[region.gpa]
            for off in range(0, region.size, PAGE):
                if region.map[off:off + PAGE] != copy[off:off + PAGE]:
                    pages.add((region.gpa + off) // PAGE)
        return pages

    def close(self):
        """Stop watching."""
        self.memory.watcher = None


class Destination:
    """Memory of the other host, filled page by page as by pre-copy.

    What the guest writes is known from its own side, as KVM knows it.
    """

    def __init__(self, memory):
        self.memory = memory
        self.copies = {region.gpa: bytearray(region.size) for region in memory.regions}
        self.guest = collections.deque()  # filled while others take from it
        self.copied = 0
        memory.watcher = self

    def write(self, region, off, data):
        """The guest writes: its pages have to go over once more."""
        first, last = region.gpa + off, region.gpa + off + len(data) - 1
        self.guest.extend(range(first // PAGE, last // PAGE + 1))

    def copy(self, pages):
        """Send these pages and those that the guest wrote."""
        guest = {self.guest.popleft() for _ in range(len(self.guest))}
        for page in pages | guest:
            region = self.memory.find(page * PAGE)
            off = page * PAGE - region.gpa
            self.copies[region.gpa][off:off + PAGE] = region.map[off:off + PAGE]
            self.copied += 1

    def copy_all(self):
        """The first round."""
        for region in self.memory.regions:
            self.copies[region.gpa][:] = region.map[:]

    def lost(self):
        """Numbers of the pages that are not as at the source."""
        return {(region.gpa + off) // PAGE for region in self.memory.regions
                for off in range(0, region.size, PAGE)
                if region.map[off:off + PAGE] !=
                self.copies[region.gpa][off:off + PAGE]}

    def close(self):
        """Stop watching."""
        self.memory.watcher = None
