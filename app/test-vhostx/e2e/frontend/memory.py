# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Guest memory: memfds at chosen guest-physical and user addresses.

The user address of a region is only a number for the back-end (vhost-user,
"Memory access"), so it needs no mapping there.  Aligned integers are stored
and loaded in one access: a torn ring index would be our fault, not the
driver's.
"""

import mmap
import os
import threading

from . import protocol

PAGE = 4096
HUGE = 2 << 20
USER_BASE = 0x7F00_0000_0000
_CASTS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Unmapped(Exception):
    """A guest-physical range that no region covers."""


class Region:
    """One region; addresses and sizes in bytes.

    The file can be shared with another region: give its fd, and offsets that
    do not overlap. page is what its memory is made of: PAGE or HUGE bytes.
    """

    def __init__(self, gpa, size, user=None, offset=0, fd=None, file_size=None, page=PAGE):
        self.page = page
        self.gpa = gpa
        self.size = size
        self.user = USER_BASE + gpa * 2 if user is None else user
        self.offset = offset
        flags = os.MFD_CLOEXEC | (os.MFD_HUGETLB if page == HUGE else 0)
        self.fd = os.memfd_create("guest", flags) if fd is None else os.dup(fd)
        needed = offset + size if file_size is None else file_size
        if os.fstat(self.fd).st_size < needed:
            os.ftruncate(self.fd, needed)
        self.map = mmap.mmap(self.fd, size, offset=offset)
        self.views = {n: memoryview(self.map).cast(c) for n, c in _CASTS.items()}
        self.free = [(gpa, gpa + size)]

    @property
    def end(self):
        """First guest-physical address after the region."""
        return self.gpa + self.size

    def describe(self):
        """The region as the specification's four numbers."""
        return self.gpa, self.size, self.user, self.offset

    def close(self):
        """Give mapping and file back; the back-end keeps its own."""
        for view in self.views.values():
            view.release()
        self.map.close()
        os.close(self.fd)


class Memory:
    """The guest-physical address space."""

    def __init__(self, regions=()):
        self.regions = sorted(regions, key=lambda r: r.gpa)
        self._last = None
        self._lock = threading.RLock()  # queues may allocate from threads
        self.watcher = None  # its write(region, off, data) hears of every write
        self.fetcher = None  # its fetch(region, off, length) comes before every access

    @classmethod
    def simple(cls, size=64 << 20, gpa=0):
        """One region of size bytes."""
        return cls([Region(gpa, size)])

    @classmethod
    def adjacent(cls, count, size, gpa=0, page=PAGE):
        """count regions side by side in the guest, apart in the back-end."""
        gap = max(size, 1 << 21)
        return cls(Region(gpa + i * size, size,
                          user=USER_BASE + (count - i) * 2 * gap, page=page)
                   for i in range(count))

    @classmethod
    def one_file(cls, areas, gap=0):
        """Regions (gpa, size) of one file, gap bytes apart in it."""
        regions, offset = [], 0
        for gpa, size in areas:
            fd = regions[0].fd if regions else None
            regions.append(Region(gpa, size, offset=offset, fd=fd))
            offset += size + gap
        return cls(regions)

    def add(self, region):
        """Plug a region in; telling the back-end is the caller's job."""
        self.regions = sorted(self.regions + [region], key=lambda r: r.gpa)
        return region

    def remove(self, region):
        """Unplug a region without closing it."""
        self.regions.remove(region)
        self._last = None
        return region

    def close(self):
        """Close every region."""
        for region in self.regions:
            region.close()
        self.regions = []
        self._last = None

    def table(self):
        """Payload and fds of SET_MEM_TABLE."""
        regions = self.regions
        return (protocol.mem_table([r.describe() for r in regions]),
                [r.fd for r in regions])

    def find(self, gpa):
        """The region that holds a guest-physical address."""
        last = self._last
        if last is not None and last.gpa <= gpa < last.end:
            return last
        for region in self.regions:
            if region.gpa <= gpa < region.end:
                self._last = region
                return region
        raise Unmapped(hex(gpa))

    def user(self, gpa):
        """User address of a guest-physical one."""
        region = self.find(gpa)
        return region.user + gpa - region.gpa

    def pieces(self, gpa, length):
        """Cut a guest-physical range at region borders: (region, off, len)."""
        while length:
            region = self.find(gpa)
            part = min(length, region.end - gpa)
            if self.fetcher:
                self.fetcher.fetch(region, gpa - region.gpa, part)
            yield region, gpa - region.gpa, part
            gpa += part
            length -= part

    def read(self, gpa, length):
        """Bytes at a guest-physical address, across regions."""
        return b"".join(r.map[o:o + n] for r, o, n in self.pieces(gpa, length))

    def write(self, gpa, data):
        """Store bytes at a guest-physical address, across regions."""
        done = 0
        for region, off, part in self.pieces(gpa, len(data)):
            region.map[off:off + part] = data[done:done + part]
            if self.watcher:
                self.watcher.write(region, off, data[done:done + part])
            done += part

    def load(self, gpa, width):
        """Load an aligned integer of 1, 2, 4 or 8 bytes in one access."""
        region = self.find(gpa)
        if self.fetcher:
            self.fetcher.fetch(region, gpa - region.gpa, width)
        return region.views[width][(gpa - region.gpa) // width]

    def store(self, gpa, width, value):
        """Store an aligned integer of 1, 2, 4 or 8 bytes in one access."""
        region = self.find(gpa)
        if self.fetcher:
            self.fetcher.fetch(region, gpa - region.gpa, width)
        region.views[width][(gpa - region.gpa) // width] = value
        if self.watcher:
            self.watcher.write(region, gpa - region.gpa,
                               value.to_bytes(width, "little"))

    def alloc(self, length, align=64):
        """Claim free guest-physical memory within one region."""
        with self._lock:
            for region in self.regions:
                for start, end in region.free:
                    gpa = -(-start // align) * align
                    if gpa + length <= end:
                        self.claim(gpa, length)
                        return gpa
        raise MemoryError(f"no {length} bytes of guest memory left")

    def alloc_crossing(self, length, before=None):
        """Claim memory that crosses a border of two adjacent regions.

        before is how many of its bytes lie in the first region.
        """
        before = length // 2 if before is None else before
        with self._lock:
            for low, high in zip(self.regions, self.regions[1:]):
                gpa = low.end - before
                if low.end == high.gpa and self.is_free(gpa, length):
                    self.claim(gpa, length)
                    return gpa
        raise MemoryError("no border of adjacent regions left")

    def is_free(self, gpa, length):
        """Can the range be claimed?"""
        try:
            parts = list(self.pieces(gpa, length))
        except Unmapped:
            return False
        return all(_hole(r, r.gpa + o, n) is not None for r, o, n in parts)

    def claim(self, gpa, length):
        """Claim a range that is free."""
        for region, off, part in self.pieces(gpa, length):
            start, end = hole = _hole(region, region.gpa + off, part)
            at = region.free.index(hole)
            rest = [(start, region.gpa + off), (region.gpa + off + part, end)]
            region.free[at:at + 1] = [h for h in rest if h[0] < h[1]]

    def release(self, gpa, length):
        """Give a claimed range back."""
        with self._lock:
            for region, off, part in self.pieces(gpa, length):
                start = region.gpa + off
                region.free = _merged(sorted(region.free + [(start, start + part)]))


def _hole(region, gpa, length):
    for start, end in region.free:
        if start <= gpa and gpa + length <= end:
            return start, end
    return None


def _merged(holes):
    out = holes[:1]
    for start, end in holes[1:]:
        if start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out
