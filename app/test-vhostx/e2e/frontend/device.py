# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A scripted front-end: the part that QEMU and a guest's driver play."""

import os
import select
import time
from dataclasses import dataclass, field

from . import protocol
from .buffers import DIRECT, Layout, Pool
from .memory import Memory
from .netqueue import RxQueue, TxQueue
from .packed import PackedRing
from .protocol import Connection, Feature, Msg, Protocol
from .split import SplitRing

ALL = (1 << 64) - 1
POLL = 0.0002  # seconds between two looks


@dataclass
class Config:
    """What a front-end asks for; queue sizes in descriptors, rest in bytes."""

    pairs: int = 1
    size: int = 256
    packed: bool = False
    mergeable: bool = True
    event_idx: bool = False
    in_order: bool = False
    indirect: bool = True
    version_1: bool = True
    more_features: int = 0        # ORed to the wish, then ANDed with the offer
    protocol: int = ALL           # mask of wanted protocol features
    rx_layout: Layout = DIRECT
    tx_layout: Layout = DIRECT
    rx_size: int = 2060           # of one receive chain, header included
    rx_limit: int = None          # receive chains lent at most, None: all
    start: int = 0                # ring index that fresh rings begin at
    wrap: int = 1                 # packed: wrap counter they begin with
    inflight: bool = False        # keep an in-flight buffer for the back-end
    add_regions: bool = False     # ADD_MEM_REG for each instead of one table
    interrupts: str = "never"     # or "event": recv() sleeps on the call fd
    place: object = None          # see buffers.Pool
    strict: bool = True           # insist on what net_vhost leaves out
    timeout: float = 5.0          # seconds, for answers and for frames

    def wish(self):
        """The virtio features to ask for."""
        bits = Feature.PROTOCOL_FEATURES | Feature.ANY_LAYOUT | self.more_features
        for wanted, bit in (
                (self.packed, Feature.RING_PACKED),
                (self.mergeable, Feature.MRG_RXBUF),
                (self.event_idx, Feature.EVENT_IDX),
                (self.in_order, Feature.IN_ORDER),
                (self.indirect, Feature.INDIRECT_DESC),
                (self.version_1, Feature.VERSION_1),
                (self.pairs > 1, Feature.MQ | Feature.CTRL_VQ)):
            if wanted:
                bits |= bit
        return bits


@dataclass
class Vring:
    """One ring with its eventfds; base is what the next start will say."""

    index: int
    ring: object
    kick: int = field(default_factory=lambda: _eventfd())
    call: int = field(default_factory=lambda: _eventfd())
    base: int = None
    running: bool = False


class Frontend:
    """One vhost-user connection with its rings; a context manager.

    path is the driver's socket, or give a listening socket as listener for a
    driver that is the client.  Memory that is passed in stays the caller's.
    """

    def __init__(self, path=None, config=None, listener=None, memory=None):
        self.path = path
        self.listener = listener
        self.config = config or Config()
        self.own_memory = memory is None
        self.memory = memory or Memory.simple()
        self.conn = None
        self.offered = self.features = 0
        self.offered_protocol = self.protocol = 0
        self.inflight = None  # fd and description of the in-flight buffer
        self.vrings = []
        self.tx = []
        self.rx = []

    # Life

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def up(self):
        """Everything that QEMU does until traffic can flow; returns self."""
        self.open()
        self.negotiate()
        self.share_memory()
        self.share_inflight()
        self.make_rings()
        self.start()
        return self

    def open(self):
        """Connect, or wait for the driver to connect."""
        timeout = self.config.timeout
        self.conn = (Connection.accept(self.listener, timeout) if self.listener
                     else Connection.connect(self.path, timeout))

    def disconnect(self):
        """Close the socket abruptly; rings and memory stay as they are."""
        if self.conn:
            self.conn.close()
            self.conn = None

    def close(self):
        """Disconnect and give everything back."""
        self.disconnect()
        for vring in self.vrings:
            os.close(vring.kick)
            os.close(vring.call)
        self.vrings = []
        if self.inflight:
            os.close(self.inflight[0])
            self.inflight = None
        if self.own_memory:
            self.memory.close()

    def reconnect(self):
        """After a lost connection: as a front-end whose guest runs on.

        Rings resume where the device left them: used index (split) or the
        driver's view of it (packed).
        """
        self.disconnect()
        self.open()
        self.negotiate()
        self.share_memory()
        self.resume_rings()

    def reset(self):
        """RESET_DEVICE, then as after a reboot of the guest: fresh rings."""
        self.say(Msg.RESET_DEVICE)
        self._drop_rings()
        self.say(Msg.SET_FEATURES, protocol.u64(self.features))
        self.share_memory()
        self.make_rings()
        self.start()

    def _drop_rings(self):
        for vring in self.vrings:
            vring.ring.close()
            os.close(vring.kick)
            os.close(vring.call)
        for queue in self.tx + self.rx:
            queue.pool.close()
        self.vrings, self.tx, self.rx = [], [], []

    def resume_rings(self):
        """Start all rings where the device left them."""
        for vring in self.vrings:
            self._collect(vring.index)
            vring.base = vring.ring.base()
            vring.running = False
        self.start()

    # Messages

    def say(self, request, payload=b"", fds=()):
        """Send a message without answer, acknowledged if that is negotiated."""
        if self.protocol & Protocol.REPLY_ACK:
            self.conn.must(request, payload, fds)
        else:
            self.conn.send(request, payload, fds)

    def negotiate(self):
        """Features and protocol features, in QEMU's order."""
        ask = self.conn.ask
        self.offered = ask(Msg.GET_FEATURES).u64()
        if self.offered & Feature.PROTOCOL_FEATURES:
            self.offered_protocol = ask(Msg.GET_PROTOCOL_FEATURES).u64()
            self.conn.send(Msg.SET_PROTOCOL_FEATURES, protocol.u64(
                self.offered_protocol & self.config.protocol))
            self.protocol = self.offered_protocol & self.config.protocol
        self.say(Msg.SET_OWNER)
        self.features = self.offered & self.config.wish()
        self.say(Msg.SET_FEATURES, protocol.u64(self.features))

    def header_length(self):
        """Bytes of struct virtio_net_hdr (virtio 1.3, 5.1.6)."""
        long = Feature.VERSION_1 | Feature.MRG_RXBUF
        return 12 if self.features & long else 10

    def share_memory(self):
        """Hand the guest's memory over."""
        if self.config.add_regions:
            for region in self.memory.regions:
                self.add_region(region)
        else:
            self.say(Msg.SET_MEM_TABLE, *self.memory.table())

    def share_inflight(self):
        """Hand the in-flight buffer over; at first the back-end makes it."""
        if not self.config.inflight:
            return
        assert self.protocol & Protocol.INFLIGHT_SHMFD, "INFLIGHT_SHMFD is not offered"
        if not self.inflight:
            reply = self.conn.ask(Msg.GET_INFLIGHT_FD, protocol.inflight(
                0, 0, 2 * self.config.pairs, self.config.size))
            self.inflight = reply.fds[0], reply.payload
        self.say(Msg.SET_INFLIGHT_FD, self.inflight[1], [self.inflight[0]])

    def add_region(self, region):
        """ADD_MEM_REG for one region of the memory."""
        self.say(Msg.ADD_MEM_REG, protocol.mem_region(region.describe()), [region.fd])

    def remove_region(self, region):
        """REM_MEM_REG for one region."""
        self.say(Msg.REM_MEM_REG, protocol.mem_region(region.describe()))

    # Rings

    def make_rings(self):
        """Lay fresh rings and queues out in guest memory."""
        cfg, kind = self.config, PackedRing if self.config.packed else SplitRing
        for index in range(2 * cfg.pairs):
            ring = kind(self.memory, cfg.size, self.features, cfg.start, cfg.wrap,
                        seed=index + 1)
            vring = Vring(index, ring)
            vring.base = ring.base()
            self.vrings.append(vring)
            self._make_queue(index, ring)

    def _make_queue(self, index, ring):
        cfg, pool = self.config, Pool(self.memory, self.config.place)
        if index % 2:
            self.tx.append(TxQueue(ring, pool, self.header_length(), cfg.tx_layout))
            return
        merge = bool(self.features & Feature.MRG_RXBUF)
        queue = RxQueue(ring, pool, self.header_length(), cfg.rx_layout, cfg.rx_size,
                        merge, cfg.strict)
        queue.limit = cfg.rx_limit
        queue.features = self.features
        self.rx.append(queue)

    def start(self):
        """Enable, set up and start every ring, then DRIVER_OK.

        Enabled first, as by QEMU: a ring that is started but disabled discards
        what the guest has transmitted ("Ring states").
        """
        for vring in self.vrings:
            self.enable(vring.index, True)
        for vring in self.vrings:
            self.start_vring(vring.index)
        if self.protocol & Protocol.STATUS:
            self.set_status(protocol.STATUS_RUNNING)

    def ring_address(self, gpa):
        """What SET_VRING_ADDR says of a place in the guest: its user address."""
        return self.memory.user(gpa)

    def start_vring(self, index):
        """Num, base, addresses, call and kick of one ring, then a kick."""
        vring = self.vrings[index]
        desc, used, avail = map(self.ring_address, vring.ring.addresses())
        self.say(Msg.SET_VRING_NUM, protocol.vring_state(index, vring.ring.size))
        self.say(Msg.SET_VRING_BASE, protocol.vring_state(index, vring.base))
        self.say(Msg.SET_VRING_ADDR, protocol.vring_addr(index, desc, used, avail))
        self.say(Msg.SET_VRING_CALL, protocol.u64(index), [vring.call])
        if index % 2 == 0:
            self.rx[index // 2].fill()
        if self.config.interrupts == "event":
            vring.ring.interrupts("event")
        vring.ring.publish()
        self.say(Msg.SET_VRING_KICK, protocol.u64(index), [vring.kick])
        vring.running = True
        self.kick(index)

    def enable(self, index, on):
        """SET_VRING_ENABLE."""
        self.say(Msg.SET_VRING_ENABLE, protocol.vring_state(index, int(on)))

    def set_status(self, status):
        """SET_STATUS with the device status bits of virtio 1.3, 2.1."""
        self.say(Msg.SET_STATUS, protocol.u64(status))

    def stop_vring(self, index):
        """GET_VRING_BASE: stop one ring; returns and keeps its base."""
        vring = self.vrings[index]
        reply = self.conn.ask(Msg.GET_VRING_BASE, protocol.vring_state(index, 0))
        which, base = reply.state()
        assert which == index, f"asked base of {index}, answered {which}"
        vring.base, vring.running = base, False
        return base

    def stop(self):
        """Stop every ring; the bases, by vring."""
        return [self.stop_vring(v.index) for v in self.vrings]

    def kick(self, index):
        """Signal a ring's kick eventfd, whatever the device wants."""
        os.eventfd_write(self.vrings[index].kick, 1)

    def _publish(self, index):
        if self.vrings[index].ring.publish():
            self.kick(index)

    def _collect(self, index):
        if index % 2:
            self.tx[index // 2].reap()
        else:
            self.rx[index // 2].collect()

    def calls(self, index):
        """Take the call eventfd's count: signals since the last look."""
        try:
            return os.eventfd_read(self.vrings[index].call)
        except BlockingIOError:
            return 0

    # Frames

    def send(self, pair, frame, **how):
        """The guest transmits one frame on vring 2*pair+1; see TxQueue.post."""
        self.send_burst(pair, [frame], **how)

    def send_burst(self, pair, frames, **how):
        """Transmit frames with one publish, waiting for room if needed."""
        for frame in frames:
            self._post(pair, frame, how)
        self._publish(2 * pair + 1)

    def _post(self, pair, frame, how):
        queue = self.tx[pair]
        try:
            queue.post(frame, **how)
            return
        except ValueError:
            self._publish(2 * pair + 1)
        while True:  # at most the configured time for each chain
            self.wait(queue.reap, "room in the transmit ring", wake=2 * pair + 1)
            try:
                queue.post(frame, **how)
                return
            except ValueError:
                continue

    def flush(self, pair, timeout=None):
        """Wait until the device has used everything the guest transmitted."""
        queue = self.tx[pair]

        def returned():
            queue.reap()
            return not queue.ring.outstanding
        self.wait(returned, "transmitted chains to come back", timeout)

    def recv(self, pair, timeout=None):
        """The next frame on vring 2*pair; TimeoutError when none comes."""
        frame = self.poll(pair)
        if frame is None:
            frame = self.wait(lambda: self.poll(pair), f"a frame on pair {pair}",
                              timeout, wake=2 * pair)
        return frame

    def recv_packet(self, pair, timeout=None):
        """The next frame with its virtio-net header: (10 bytes, frame)."""
        frame = self.recv(pair, timeout)
        return self.rx[pair].header, frame

    def poll(self, pair):
        """The next frame or None; lends new buffers for the used ones."""
        queue = self.rx[pair]
        frame = queue.poll()
        if frame is not None and self.vrings[2 * pair].running:
            if queue.fill():
                self._publish(2 * pair)
        return frame

    def echo(self, pair, frames, timeout=None):
        """Send frames through a back-end that loops them; assert they return.

        As many are under way at a time as the receive ring has room for.
        """
        window = self._window(pair, max(map(len, frames)))
        for at in range(0, len(frames), window):
            part = frames[at:at + window]
            self.send_burst(pair, part)
            for number, sent in enumerate(part):
                got = self.recv(pair, timeout)
                assert got == sent, difference(at + number, sent, got)
            self.tx[pair].reap()

    def _window(self, pair, longest):
        """How many frames of this length the lent receive chains can hold."""
        queue = self.rx[pair]
        each = -(-(longest + queue.header_length) // queue.size)
        return max(1, min(32, len(queue.ring.outstanding) // each))

    def wait(self, look, what, timeout=None, wake=None):
        """Look until it is true; wake is the vring whose call would tell."""
        timeout = self.config.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout
        sleeping = wake is not None and self.config.interrupts == "event"
        while True:
            found = look()
            if found:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"waited {timeout} s for {what}")
            if sleeping:
                self._await_call(wake, left, look, what)
            else:
                time.sleep(POLL)

    def _await_call(self, index, left, look, what):
        poller = select.poll()
        poller.register(self.vrings[index].call, select.POLLIN)
        if poller.poll(left * 1000):
            self.calls(index)
        elif look():
            raise AssertionError(f"no interrupt on vring {index} for {what}")


def make_frame(length, number=0):
    """A frame of length bytes (14 at least) that tells its number."""
    start = bytes.fromhex("02000000000102000000000288b5")
    body = number.to_bytes(4, "big") + bytes((number + i) & 0xFF for i in range(256))
    repeat = -(-length // len(body))
    return (start + body * repeat)[:length]


def difference(number, sent, got):
    """A short text on how two frames differ."""
    if len(sent) != len(got):
        return f"frame {number}: {len(sent)} bytes sent, {len(got)} received"
    at = next(i for i, (a, b) in enumerate(zip(sent, got)) if a != b)
    return (f"frame {number} differs at byte {at}: sent {sent[at:at + 8].hex()}, "
            f"got {got[at:at + 8].hex()}")


def _eventfd():
    return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
