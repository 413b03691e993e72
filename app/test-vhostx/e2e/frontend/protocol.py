# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""vhost-user messages on a UNIX socket, well-formed or not.

Names and layouts follow the vhost-user specification, "Message
Specification" and "Front-end message types".  Nothing here refuses to send
nonsense: that is what the hostile tests need.
"""

import array
import enum
import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

VERSION = 1
VERSION_MASK = 0x3
REPLY = 1 << 2
NEED_REPLY = 1 << 3
NOFD = 1 << 8  # in the u64 of SET_VRING_KICK/CALL/ERR: no descriptor
HEADER = struct.Struct("=III")  # request, flags, size of the payload
MAX_FDS = 253  # the kernel's SCM_MAX_FD


class Msg(enum.IntEnum):
    """Front-end message types ("Front-end message types")."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_LOG_BASE = 6
    SET_LOG_FD = 7
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SEND_RARP = 19
    NET_SET_MTU = 20
    SET_BACKEND_REQ_FD = 21
    IOTLB_MSG = 22
    SET_VRING_ENDIAN = 23
    GET_CONFIG = 24
    SET_CONFIG = 25
    CREATE_CRYPTO_SESSION = 26
    CLOSE_CRYPTO_SESSION = 27
    POSTCOPY_ADVISE = 28
    POSTCOPY_LISTEN = 29
    POSTCOPY_END = 30
    GET_INFLIGHT_FD = 31
    SET_INFLIGHT_FD = 32
    GPU_SET_SOCKET = 33
    RESET_DEVICE = 34
    VRING_KICK = 35
    GET_MAX_MEM_SLOTS = 36
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40
    GET_SHARED_OBJECT = 41
    SET_DEVICE_STATE_FD = 42
    CHECK_DEVICE_STATE = 43
    GET_SHMEM_CONFIG = 44


class Feature(enum.IntFlag):
    """Virtio feature bits as masks (virtio 1.3, 5.1.3 and 6)."""

    CSUM = 1 << 0
    GUEST_CSUM = 1 << 1
    MTU = 1 << 3
    GUEST_TSO4 = 1 << 7
    GUEST_TSO6 = 1 << 8
    GUEST_ECN = 1 << 9
    GUEST_UFO = 1 << 10
    HOST_TSO4 = 1 << 11
    HOST_TSO6 = 1 << 12
    HOST_ECN = 1 << 13
    HOST_UFO = 1 << 14
    MRG_RXBUF = 1 << 15
    CTRL_VQ = 1 << 17
    CTRL_RX = 1 << 18
    GUEST_ANNOUNCE = 1 << 21
    MQ = 1 << 22
    LOG_ALL = 1 << 26
    ANY_LAYOUT = 1 << 27
    INDIRECT_DESC = 1 << 28
    EVENT_IDX = 1 << 29
    PROTOCOL_FEATURES = 1 << 30
    VERSION_1 = 1 << 32
    ACCESS_PLATFORM = 1 << 33
    RING_PACKED = 1 << 34
    IN_ORDER = 1 << 35


class Protocol(enum.IntFlag):
    """vhost-user protocol feature bits as masks ("Protocol features")."""

    MQ = 1 << 0
    LOG_SHMFD = 1 << 1
    RARP = 1 << 2
    REPLY_ACK = 1 << 3
    NET_MTU = 1 << 4
    BACKEND_REQ = 1 << 5
    PAGEFAULT = 1 << 8
    CONFIG = 1 << 9
    INFLIGHT_SHMFD = 1 << 12
    RESET_DEVICE = 1 << 13
    INBAND_NOTIFICATIONS = 1 << 14
    CONFIGURE_MEM_SLOTS = 1 << 15
    STATUS = 1 << 16
    DEVICE_STATE = 1 << 19


# Device status bits (virtio 1.3, 2.1)
STATUS_ACKNOWLEDGE = 1
STATUS_DRIVER = 2
STATUS_DRIVER_OK = 4
STATUS_FEATURES_OK = 8
STATUS_RUNNING = 15


class Closed(ConnectionError):
    """The peer closed the connection."""


class Refused(Exception):
    """A REPLY_ACK answer was not zero."""


@dataclass
class Reply:
    """One received message; fds are the receiver's to close."""

    request: int
    flags: int
    payload: bytes
    fds: list = field(default_factory=list)

    def u64(self):
        """The payload as one u64; anything else is a wrong answer."""
        assert len(self.payload) == 8, f"u64 expected, {len(self.payload)} bytes"
        return struct.unpack("=Q", self.payload)[0]

    def state(self):
        """The payload as a vring state description: (index, num)."""
        assert len(self.payload) == 8, f"state expected, {len(self.payload)} bytes"
        return struct.unpack("=II", self.payload)


def u64(value):
    """Payload: a single 64-bit integer."""
    return struct.pack("=Q", value & (2**64 - 1))


def vring_state(index, num):
    """Payload: a vring state description (u32 index, u32 num)."""
    return struct.pack("=II", index, num)


def vring_addr(index, desc, used, avail, flags=0, log=0):
    """Payload: a vring address description; addresses are user addresses."""
    return struct.pack("=IIQQQQ", index, flags, desc, used, avail, log)


def mem_table(regions):
    """Payload: multiple memory regions; (gpa, size, user addr, offset) each."""
    body = b"".join(struct.pack("=QQQQ", *r) for r in regions)
    return struct.pack("=II", len(regions), 0) + body


def mem_region(region):
    """Payload: a single memory region (gpa, size, user addr, offset)."""
    return struct.pack("=QQQQQ", 0, *region)


def inflight(size, offset, queues, entries):
    """Payload: an inflight description, padded as QEMU's."""
    return struct.pack("=QQHH4x", size, offset, queues, entries)


def message(request, payload=b"", need_reply=False, *, flags=None, size=None,
            version=VERSION):
    """Bytes of a message; flags, size and version can be given false values."""
    if flags is None:
        flags = version | (NEED_REPLY if need_reply else 0)
    if size is None:
        size = len(payload)
    return HEADER.pack(request, flags, size) + payload


def listen(path, backlog=1):
    """A listening UNIX socket at path; a stale file there is replaced."""
    if os.path.exists(path):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    sock.listen(backlog)
    return sock


class Connection:
    """One vhost-user socket, front-end's side; time-outs are in seconds."""

    def __init__(self, sock, timeout=5.0):
        self.sock = sock
        self.timeout = timeout
        self.lock = threading.RLock()  # for questions from several threads

    @classmethod
    def connect(cls, path, timeout=5.0):
        """Connect to a listening back-end, trying until the time-out."""
        deadline = time.monotonic() + timeout
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(path)
                return cls(sock, timeout)
            except (FileNotFoundError, ConnectionRefusedError):
                sock.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.002)

    @classmethod
    def accept(cls, listener, timeout=5.0):
        """Wait for a back-end that is the client."""
        if not _readable(listener, timeout):
            raise TimeoutError("no back-end connected")
        return cls(listener.accept()[0], timeout)

    def close(self):
        """Close at once, whatever is under way."""
        self.sock.close()

    def send_raw(self, data, fds=()):
        """Send any bytes with any list of descriptors."""
        ancillary = []
        if fds:
            packed = array.array("i", fds)
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, packed)]
        try:
            sent = self.sock.sendmsg([data], ancillary) if data else 0
            if sent < len(data):
                self.sock.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError) as err:
            raise Closed(str(err)) from err

    def send(self, request, payload=b"", fds=(), need_reply=False, **malform):
        """Send one message; see message() for what can be malformed."""
        self.send_raw(message(request, payload, need_reply, **malform), fds)

    def recv(self, timeout=None):
        """Receive one message; Closed at end of file, TimeoutError if none."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        fds = []
        head = self._read(HEADER.size, deadline, fds)
        request, flags, size = HEADER.unpack(head)
        return Reply(request, flags, self._read(size, deadline, fds), fds)

    def _read(self, count, deadline, fds):
        data = b""
        while len(data) < count:
            if not _readable(self.sock, deadline - time.monotonic()):
                raise TimeoutError(f"no answer, {len(data)} of {count} bytes")
            try:
                part, more, _, _ = socket.recv_fds(self.sock, count - len(data), 8)
            except ConnectionResetError as err:
                raise Closed("connection reset by the back-end") from err
            fds.extend(more)
            if not part:
                raise Closed("closed by the back-end")
            data += part
        return data

    def ask(self, request, payload=b"", fds=(), timeout=None, need_reply=False):
        """Send a message that has an answer of its own and return that."""
        with self.lock:
            self.send(request, payload, fds, need_reply)
            reply = self.recv(timeout)
        check_reply(reply, request)
        return reply

    def acked(self, request, payload=b"", fds=(), timeout=None):
        """Send with need_reply; the u64 of the REPLY_ACK answer."""
        return self.ask(request, payload, fds, timeout, need_reply=True).u64()

    def must(self, request, payload=b"", fds=(), timeout=None):
        """Send with need_reply and raise Refused unless the answer is zero."""
        value = self.acked(request, payload, fds, timeout)
        if value:
            raise Refused(f"{name(request)} answered {value:#x}")

    def wait_closed(self, timeout=None):
        """True when the peer closes within the time-out; answers are skipped."""
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        while _readable(self.sock, deadline - time.monotonic()):
            try:
                if not self.sock.recv(4096):
                    return True
            except ConnectionResetError:
                return True
        return False


def check_reply(reply, request):
    """Assert what every answer must have ("Header")."""
    assert reply.request == request, (
        f"asked {name(request)}, answered {name(reply.request)}")
    assert reply.flags & VERSION_MASK == VERSION, f"flags {reply.flags:#x}"
    assert reply.flags & REPLY, f"reply bit missing in {reply.flags:#x}"


def name(request):
    """A message's name, or its number when it has none."""
    try:
        return Msg(request).name
    except ValueError:
        return f"message {request}"


def _readable(sock, timeout):
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    return bool(poller.poll(max(0, timeout) * 1000))
