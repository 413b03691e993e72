# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A virtual machine as somebody has configured it, before anything in it is judged."""

from dataclasses import dataclass, field
from typing import Optional


@dataclass
class Memory:
    """One piece of a guest's memory."""

    name: str                   # as the configuration calls it
    shared: bool                # whether another process would see what the guest writes
    in_file: bool               # whether there is a file to hand over
    size: Optional[int] = None  # bytes
    huge: bool = False


@dataclass
class Device:
    """One vhost-user network device."""

    name: str
    socket: Optional[str] = None         # None: not told, or handed over open
    server: bool = False                 # whether the virtual machine makes the socket
    waits: bool = False                  # whether QEMU waits for a client before the guest runs
    reconnects: bool = False
    queues: int = 1
    model: str = "virtio"                # of the device that the guest sees
    mq: bool = True
    vectors: Optional[int] = None        # None: QEMU's own choice
    ring_sizes: dict = field(default_factory=dict)  # by property, of those that were given
    off: list = field(default_factory=list)         # features that were switched off


@dataclass
class Machine:
    """One virtual machine."""

    kind: str                            # "qemu" or "libvirt": whose words a remedy uses
    accel: Optional[str] = None          # "kvm", "tcg", None: not told
    size: Optional[int] = None           # bytes of memory, None: not told
    memory: list = field(default_factory=list)      # what the guest uses
    spare: list = field(default_factory=list)       # memory objects that nothing uses
    devices: list = field(default_factory=list)
    vcpus: int = 1
    pinned: Optional[int] = None         # vCPUs bound to a CPU; None: cannot be seen
    errors: list = field(default_factory=list)      # (what, remedy) of references that lead nowhere
