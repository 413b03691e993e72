# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Well-formed messages in any order, with values that are nearly right, while rings run and a guest scribbles in them.

What such a front-end gets is its own affair. The process must live, and the
other port must forward every frame.

VHOSTX_CHAOS is how many messages each case sends, 150 unless told. Some thousands
beside a plugin that was built with AddressSanitizer tell more.
"""

import contextlib
import os
import random
import socket
import struct

import pytest

from frontend import Closed, Frontend, Memory, Msg, Refused, Region, make_frame, protocol
from frontend.host import Host, Traffic
from frontend.iommu import BOTH, INVALIDATE, READ, UPDATE, iotlb
from frontend.memory import PAGE
from frontend.migration import DirtyLog
from frontend.protocol import Feature, Protocol
from frontend.ring import INDIRECT, NEXT, WRITE, pack_desc

MESSAGES = int(os.environ.get("VHOSTX_CHAOS", "150"))
PAIRS = 2
RINGS = 2 * PAIRS
SIZES = [1, 2, 8, 64, 100, 128, 256, 256, 256, 1024, 32768]
POSITIONS = [0, 1, 63, 64, 255, 256, 300, 32767, 32768, 60000, 65535]
PORTS = {
    "copied": {},
    "lent": {"dequeue-zero-copy": 1, "zc-threshold": 100, "zc-deadline": 2},
    "iommu": {"iommu-support": 1},
}

pytestmark = pytest.mark.vhostx_only


class Chaos:
    """A front-end and what it may say next."""

    def __init__(self, host, seed, packed):
        self.random = random.Random(seed)
        self.host = host
        self.packed = packed
        self.memory = Memory([Region(0, 8 << 20), Region(1 << 32, 2 << 20), Region(2 << 32, 2 << 20)])
        self.frontend = None
        self.inflight = None
        self.channels = []
        self.said = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("say_")]

    def begin(self):
        """Up and running, as an honest one."""
        self.frontend = Frontend(self.host.socket(0), self.host.config(
            pairs=PAIRS, packed=self.packed, more_features=Feature.LOG_ALL), memory=self.memory).up()
        self.frontend.conn.timeout = 10

    def end(self):
        """Nobody would know the rings again."""
        self.frontend._drop_rings()
        self.frontend.close()
        self.frontend = None
        self.drop_inflight()

    def drop_inflight(self):
        """Close the record's file."""
        if self.inflight:
            os.close(self.inflight[0])
        self.inflight = None

    def run(self, messages):
        """Say things until so many were said; a connection that is closed is made anew."""
        for _ in range(messages):
            if self.frontend is None:
                self.begin()
            try:
                for _ in range(self.random.randrange(4)):
                    self.scribble()
                self.random.choice(self.said)()
                if self.random.random() < 0.02:
                    self.end()
            except (Closed, BrokenPipeError):
                self.end()

    def close(self):
        """Give everything back."""
        if self.frontend:
            self.end()
        for channel in self.channels:
            channel.close()
        self.memory.close()

    # What the guest does

    def scribble(self):
        """Entries that make sense more or less, indices that do not."""
        rng = self.random
        ring = rng.choice(self.frontend.vrings)
        first = ring.ring.addresses()[0]
        for _ in range(rng.choice([1, 8, 64])):
            slot = rng.randrange(rng.choice([8, 256, 1024]))
            flags = rng.choice([0, WRITE, NEXT, NEXT | WRITE, INDIRECT]) | rng.choice([0, 0x80, 0x8000, 0x8080])
            where = rng.choice([0x100000, 0x7fff00, 1 << 32, (2 << 32) + 0x1ff800, 0xdead0000, first])
            entry = pack_desc(where + rng.randrange(256), rng.choice([0, 12, 60, 1500, 4096, 1 << 31]),
                              slot if rng.random() < 0.5 else flags, flags if self.packed else rng.randrange(300))
            self.memory.write(first + 16 * slot, entry)
        for area in ring.ring.addresses()[1:]:
            if rng.random() < 0.3:
                self.memory.write(area, struct.pack("<HH", rng.randrange(4), rng.choice(POSITIONS)))
        self.frontend.kick(ring.index)

    # What the front-end says

    def tell(self, request, payload=b"", fds=()):
        """Send it, with or without a wish to know how it went."""
        with contextlib.suppress(Refused):
            if self.frontend.protocol & Protocol.REPLY_ACK:
                self.frontend.conn.must(request, payload, fds)

    def ring(self):
        """A ring of the port."""
        return self.random.randrange(RINGS)

    def say_num(self):
        """Another size."""
        self.tell(Msg.SET_VRING_NUM, protocol.vring_state(self.ring(), self.random.choice(SIZES)))

    def say_base(self):
        """Another position."""
        half = self.random.choice(POSITIONS)
        self.tell(Msg.SET_VRING_BASE, protocol.vring_state(
            self.ring(), self.random.choice([half, half << 16 | half])))

    def say_addr(self):
        """Addresses of one of the rings, or nearly."""
        index, rng = self.ring(), self.random
        desc, used, avail = (self.memory.user(gpa) for gpa in self.frontend.vrings[self.ring()].ring.addresses())
        off = rng.choice([0, 0, 0, 16, 4096, 0x700000])
        self.tell(Msg.SET_VRING_ADDR, protocol.vring_addr(
            index, desc + off, used, avail, flags=rng.randrange(2), log=rng.choice([0, used, 1 << 60])))

    def say_kick(self):
        """Start a ring."""
        index = self.ring()
        self.tell(Msg.SET_VRING_KICK, protocol.u64(index), [self.frontend.vrings[index].kick])

    def say_call(self):
        """Another call file, or none."""
        index = self.ring()
        if self.random.random() < 0.3:
            self.tell(Msg.SET_VRING_CALL, protocol.u64(index | protocol.NOFD))
        else:
            self.tell(Msg.SET_VRING_CALL, protocol.u64(index), [self.frontend.vrings[index].call])

    def say_enable(self):
        """On or off."""
        self.tell(Msg.SET_VRING_ENABLE, protocol.vring_state(self.ring(), self.random.randrange(2)))

    def say_stop(self):
        """GET_VRING_BASE."""
        self.frontend.conn.ask(Msg.GET_VRING_BASE, protocol.vring_state(self.ring(), 0))

    def say_features(self):
        """Some of what is offered."""
        features = self.frontend.offered
        for _ in range(self.random.randrange(4)):
            features &= ~(1 << self.random.randrange(64))
        if self.random.random() < 0.7:
            features &= ~Feature.RING_PACKED
            features |= Feature.RING_PACKED if self.packed else 0
        self.tell(Msg.SET_FEATURES, protocol.u64(features & self.frontend.offered))

    def say_table(self):
        """The memory, or a part of it."""
        regions = [r for r in self.memory.regions if self.random.random() < 0.8]
        if regions:
            self.tell(Msg.SET_MEM_TABLE, protocol.mem_table([r.describe() for r in regions]),
                      [r.fd for r in regions])

    def say_add(self):
        """A region that may be there already."""
        region = self.random.choice(self.memory.regions)
        self.tell(Msg.ADD_MEM_REG, protocol.mem_region(region.describe()), [region.fd])

    def say_remove(self):
        """A region that may be needed."""
        self.tell(Msg.REM_MEM_REG, protocol.mem_region(self.random.choice(self.memory.regions).describe()))

    def say_log(self):
        """A dirty log, that may be too short."""
        log = DirtyLog(self.memory, offset=self.random.choice([0, 64]))
        if self.random.random() < 0.3:
            log.size = 4096
        with contextlib.suppress(AssertionError):
            log.install(self.frontend)
        log.close()

    def say_inflight(self):
        """A record, new or the last one, or that of another number of entries."""
        rng = self.random
        if self.inflight is None or rng.random() < 0.3:
            size = rng.choice([64, 256, 1024])
            reply = self.frontend.conn.ask(Msg.GET_INFLIGHT_FD, protocol.inflight(0, 0, RINGS, size))
            self.drop_inflight()
            self.inflight = [reply.fds[0], reply.payload]
        fd, payload = self.inflight
        if rng.random() < 0.5:  # whoever has it may write to it
            size = os.fstat(fd).st_size
            for _ in range(16):
                os.pwrite(fd, rng.randbytes(rng.choice([1, 2, 8])), rng.randrange(min(size, 20000)))
        self.tell(Msg.SET_INFLIGHT_FD, payload, [fd])

    def say_iotlb(self):
        """Pages come and go; the device sees the guest's memory at its user addresses."""
        rng = self.random
        region = rng.choice(self.memory.regions)
        kind = rng.choice([UPDATE, UPDATE, INVALIDATE])
        at = rng.choice([0, 0, PAGE * rng.randrange(region.size // PAGE), 1 << 63])
        size = rng.choice([PAGE, 1 << 16, region.size, region.size - at if at < region.size else 0, (1 << 64) - 1])
        user = region.user + rng.choice([at, at, at, 0]) if kind == UPDATE else 0
        if self.frontend.offered & Feature.ACCESS_PLATFORM:
            self.tell(Msg.IOTLB_MSG, iotlb(kind, (region.user + at) % (1 << 64), size, user % (1 << 64),
                                           rng.choice([0, READ, BOTH, BOTH])))

    def say_channel(self):
        """Where to ask for pages; nobody reads there."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        if self.frontend.offered_protocol & Protocol.BACKEND_REQ:
            self.tell(Msg.SET_BACKEND_REQ_FD, b"", [theirs.fileno()])
        theirs.close()
        self.channels.append(ours)
        for old in self.channels[:-2]:
            old.close()
        del self.channels[:-2]

    def say_reset(self):
        """The device, or its status."""
        if self.random.random() < 0.5:
            self.tell(Msg.RESET_DEVICE)
        else:
            self.tell(Msg.SET_STATUS, protocol.u64(self.random.choice([0, protocol.STATUS_RUNNING])))

    def say_again(self):
        """All that it takes to run, so that not all goes down for good."""
        frontend = self.frontend
        self.tell(Msg.SET_FEATURES, protocol.u64(frontend.features))
        self.tell(Msg.SET_MEM_TABLE, *self.memory.table())
        for vring in frontend.vrings:
            desc, used, avail = (self.memory.user(gpa) for gpa in vring.ring.addresses())
            self.tell(Msg.SET_VRING_NUM, protocol.vring_state(vring.index, vring.ring.size))
            self.tell(Msg.SET_VRING_ADDR, protocol.vring_addr(vring.index, desc, used, avail))
            self.tell(Msg.SET_VRING_KICK, protocol.u64(vring.index), [vring.kick])
            self.tell(Msg.SET_VRING_ENABLE, protocol.vring_state(vring.index, 1))


@pytest.fixture(scope="module", name="hosts")
def _hosts(setup):
    """Of each kind one, made when it is asked for."""
    hosts = {}

    def get(kind):
        if kind not in hosts:
            hosts[kind] = Host(setup, pairs=PAIRS, ports=2, **PORTS[kind])
        return hosts[kind].ensure()

    yield get
    for host in hosts.values():
        host.close()


@pytest.mark.parametrize("kind", PORTS)
@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
def test_messages_in_any_order(hosts, kind, packed):
    host = hosts(kind)
    chaos = Chaos(host, f"{kind} {packed}", packed)
    try:
        with host.frontend(port=1, timeout=15) as other, Traffic(other) as traffic:
            chaos.run(MESSAGES)
            traffic.progress(200, timeout=20)
    finally:
        chaos.close()
        host.assert_alive()
    host.check(pairs=PAIRS, port=0)
    host.check(port=1)
