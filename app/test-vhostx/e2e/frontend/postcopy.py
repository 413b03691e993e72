# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The destination's side of post-copy: a guest that runs before its memory is there.

Pages come by UFFDIO_COPY into the back-end's mapping, from a copy of what the
old host has: those that the back-end or the guest asks for at once, the others
when they are sent. "POSTCOPY_ADVISE" and the messages after it.
"""

import ctypes
import errno
import fcntl
import os
import select
import struct
import threading
import time

from . import protocol
from .memory import Region
from .protocol import Msg

UFFDIO_COPY = 0xC028AA03  # _IOWR(0xAA, 3, struct uffdio_copy)
UFFDIO_WAKE = 0x8010AA02  # _IOR(0xAA, 2, struct uffdio_range)
EVENT = struct.Struct("=B7xQQ8x")  # struct uffd_msg: event, flags, address
PAGEFAULT = 0x12


class PostCopy:
    """Empties a front-end's memory, and brings it back page by page.

    delay is how many seconds the old host takes for a page that is asked for.
    """

    def __init__(self, memory, delay=0.0):
        self.memory = memory
        self.delay = delay
        self.faults = 0           # that the back-end had
        self.touched = 0          # pages that the guest asked for
        self.uffd = None
        self._bases = {}          # by region's gpa: its address in the back-end
        self._pages = {region.gpa: region.page for region in memory.regions}
        self._here = set()
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._error = None
        self._old = {region.gpa: ctypes.create_string_buffer(bytes(region.map), region.size)
                     for region in memory.regions}
        self._replace()

    def _replace(self):
        """The same regions in new files, with nothing in them."""
        for region in list(self.memory.regions):
            fresh = Region(region.gpa, region.size, user=region.user, page=region.page)
            fresh.free = region.free
            self.memory.remove(region)
            self.memory.add(fresh)
            region.close()

    # The protocol

    def advise(self, conn):
        """POSTCOPY_ADVISE: the back-end's userfaultfd."""
        reply = conn.ask(Msg.POSTCOPY_ADVISE)
        assert reply.payload == b"" and len(reply.fds) == 1, reply
        if self.uffd is not None:
            os.close(self.uffd)
        self.uffd = reply.fds[0]

    def listen(self, conn):
        """POSTCOPY_LISTEN; faults are answered from now on."""
        conn.must(Msg.POSTCOPY_LISTEN)
        self._server.start()

    def share(self, conn):
        """SET_MEM_TABLE, its answer, and the acknowledgement of that."""
        payload, fds = self.memory.table()
        reply = conn.ask(Msg.SET_MEM_TABLE, payload, fds)
        assert len(reply.payload) == len(payload)
        for at in range(8, len(payload), 32):
            self._learn(payload[at:at + 32], reply.payload[at:at + 32])
        self.acknowledge(conn, Msg.SET_MEM_TABLE)

    def add(self, conn, region):
        """ADD_MEM_REG and its answer; to be acknowledged with the others."""
        payload = protocol.mem_region(region.describe())
        reply = conn.ask(Msg.ADD_MEM_REG, payload, [region.fd])
        assert len(reply.payload) == len(payload)
        self._learn(payload[8:], reply.payload[8:])

    def _learn(self, said, answered):
        gpa, size, _, offset = struct.unpack("=4Q", said)
        same_gpa, same_size, base, same_offset = struct.unpack("=4Q", answered)
        assert (gpa, size, offset) == (same_gpa, same_size, same_offset)
        assert base % self._pages[gpa] == 0 and base != 0
        self._bases[gpa] = base

    def acknowledge(self, conn, request):
        """As QEMU does: eight zeroes, named after the last message."""
        conn.send(request, protocol.u64(0))
        self.memory.fetcher = self

    def end(self, conn):
        """POSTCOPY_END, when all is there."""
        assert conn.ask(Msg.POSTCOPY_END).u64() == 0
        self.stop()

    def mute(self):
        """Answer no fault of the back-end any more."""
        self._ending.set()
        if self._server.is_alive():
            self._server.join(10)

    def wait_fault(self, timeout=5.0):
        """Wait until the back-end has touched a page that is missing; take no notice."""
        poller = select.poll()
        poller.register(self.uffd, select.POLLIN)
        assert poller.poll(timeout * 1000), "the back-end touches nothing"

    def stop(self):
        """Let go of everything."""
        self.memory.fetcher = None
        self.mute()
        if self.uffd is not None:
            os.close(self.uffd)
            self.uffd = None
        if self._error:
            raise self._error

    # Pages

    def fetch(self, region, off, length):
        """The guest is about to touch these bytes."""
        for page in range(off // region.page, (off + length - 1) // region.page + 1):
            if (region.gpa, page) not in self._here:
                self.touched += self._place(region.gpa, page)

    def send_all(self, pause=0.0):
        """What nobody has asked for yet, as the old host sends it by itself."""
        for region in self.memory.regions:
            for page in range(region.size // region.page):
                if self._place(region.gpa, page) and pause:
                    time.sleep(pause)

    def _place(self, gpa, page):
        with self._lock:
            if (gpa, page) in self._here:
                return False
            size = self._pages[gpa]
            source = ctypes.addressof(self._old[gpa]) + page * size
            copy = struct.pack("=QQQQq", self._bases[gpa] + page * size, source, size, 0, 0)
            fcntl.ioctl(self.uffd, UFFDIO_COPY, bytearray(copy))
            self._here.add((gpa, page))
            return True

    def _serve(self):
        poller = select.poll()
        poller.register(self.uffd, select.POLLIN)
        try:
            while not self._ending.is_set():
                if poller.poll(20):
                    self._answer()
        except BaseException as error:  # handed on by stop()
            self._error = error

    def _answer(self):
        try:
            data = os.read(self.uffd, EVENT.size)
        except BlockingIOError:
            return
        event, _, address = EVENT.unpack(data)
        assert event == PAGEFAULT, f"event {event:#x}"
        self.faults += 1
        time.sleep(self.delay)
        gpa = next(gpa for gpa, base in self._bases.items()
                   if base <= address < base + len(self._old[gpa]))
        page = (address - self._bases[gpa]) // self._pages[gpa]
        if not self._place(gpa, page):  # it came between
            self._wake(self._bases[gpa] + page * self._pages[gpa], self._pages[gpa])

    def _wake(self, address, size):
        try:
            fcntl.ioctl(self.uffd, UFFDIO_WAKE, bytearray(struct.pack("=QQ", address, size)))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
