# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A front-end whose device is behind an IOMMU.

What the guest writes into rings and descriptors are I/O virtual addresses. The
back-end knows none of them until it asks, on a channel of its own, and is told
by an update; it forgets them when it is told to (vhost-user, "IOMMU support").
"""

import random
import select
import socket
import struct
import threading

from . import protocol
from .device import Frontend
from .memory import PAGE, USER_BASE, Memory, Region
from .protocol import Connection, Feature, Msg, Protocol

MISS, UPDATE, INVALIDATE = 1, 2, 3
READ, WRITE, BOTH = 1, 2, 3
BACKEND_IOTLB_MSG = 1
CHUNK = 1 << 16
GPA = 1 << 28       # where the guest's memory really is
IOVA = 1 << 40      # where its device sees it
_IOTLB = struct.Struct("=QQQBB6x")  # iova, size, user address, permission, type


def iotlb(kind, iova, size=PAGE, user=0, perm=0):
    """Payload of an IOTLB message."""
    return _IOTLB.pack(iova, size, user, perm, kind)


class IovaMemory(Memory):
    """Guest memory as the device is to see it: shuffled pieces of one region.

    Neighbours in the device's space are none in the guest's. What is allocated
    lies in one piece as far as a piece has room for it.
    """

    def __init__(self, size=16 << 20, seed=1, chunk=CHUNK):
        self.size = size
        self.backing = Region(GPA, size, user=USER_BASE)
        order = list(range(size // chunk))
        random.Random(seed).shuffle(order)
        super().__init__(
            Region(IOVA + i * chunk, chunk, user=USER_BASE + at * chunk,
                   offset=at * chunk, fd=self.backing.fd)
            for i, at in enumerate(order))

    def alloc(self, length, align=64):
        """As usual, or from the beginning of a piece on."""
        try:
            return super().alloc(length, align)
        except MemoryError:
            for region in self.regions:
                if self.is_free(region.gpa, length):
                    self.claim(region.gpa, length)
                    return region.gpa
            raise

    def table(self):
        """The back-end is told of the guest's memory as it is."""
        return protocol.mem_table([self.backing.describe()]), [self.backing.fd]

    def gpa(self, iova):
        """Guest-physical address behind one that the device has."""
        return self.user(iova) - USER_BASE + GPA

    def close(self):
        """Close the pieces and the whole."""
        super().close()
        self.backing.close()


class IommuFrontend(Frontend):
    """Answers misses from a thread of its own; give it an IovaMemory.

    allow(iova, perm) may name the permission to answer with, or None for no
    answer. `asked` is every miss so far, as (page, permission).
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.allow = lambda iova, perm: BOTH
        self.asked = []
        self.error = None
        self._channel = None
        self._thread = None

    def negotiate(self):
        """As usual, and the channel."""
        self.config.more_features |= Feature.ACCESS_PLATFORM
        super().negotiate()
        assert self.features & Feature.ACCESS_PLATFORM, "no IOMMU is offered"
        assert self.protocol & Protocol.BACKEND_REQ, "no back-end channel is offered"
        self.open_channel()

    def open_channel(self):
        """SET_BACKEND_REQ_FD, and a thread at this end of it."""
        self._end_thread()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self.say(Msg.SET_BACKEND_REQ_FD, b"", [theirs.fileno()])
        self._channel = Connection(ours)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def ring_address(self, gpa):
        """Behind an IOMMU "a ring address is an IOVA"."""
        return gpa

    def disconnect(self):
        """The channel ends with the connection."""
        channel = self._channel
        self._channel = None
        super().disconnect()
        self._channel = channel
        self._end_thread()

    def close(self):
        """Complain about what the thread met."""
        super().close()
        if self.error:
            raise self.error

    def _end_thread(self):
        channel, self._channel = self._channel, None
        if channel:
            channel.sock.shutdown(socket.SHUT_RDWR)
            self._thread.join(10)
            channel.close()

    def _serve(self):
        channel, conn = self._channel, self.conn
        try:
            while True:
                select.select([channel.sock], [], [])
                request = channel.recv()
                self._answer(conn, request)
        except BaseException as error:  # raised by close(), but at an end that was wanted
            if self._channel is channel and not isinstance(error, protocol.Closed):
                self.error = error

    def _answer(self, conn, request):
        assert request.request == BACKEND_IOTLB_MSG, request.request
        assert request.flags == protocol.VERSION, f"flags {request.flags:#x}"
        iova, size, user, perm, kind = _IOTLB.unpack(request.payload)
        assert kind == MISS and size == user == 0 and perm in (READ, WRITE, BOTH)
        self.asked.append((iova, perm))
        given = self.allow(iova, perm)
        if given is not None:
            self.update(iova, given, conn)

    # What a guest's driver does to its mappings

    def update(self, iova, perm=BOTH, conn=None, size=PAGE):
        """Tell the back-end of a page; at 0 permission, that there is none."""
        iova -= iova % PAGE
        user = self.memory.user(iova) if perm else 0
        (conn or self.conn).must(Msg.IOTLB_MSG, iotlb(UPDATE, iova, size, user, perm))

    def invalidate(self, iova, size=PAGE):
        """Take pages back; when this returns the back-end uses them no more."""
        self.conn.must(Msg.IOTLB_MSG, iotlb(INVALIDATE, iova, size))
