# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Guest memory before and after a move, byte by byte.

QEMU without hardware virtualisation loses pages now and then that the guest's
processor wrote while the bitmap of such pages was read. Seen with QEMU 7.2: in
one move of some sixty, also of a guest that has no network device at all. Sooner
or later the guest crashes, or its TCP stalls. So who moves a guest compares, and
takes what is missing from the old memory. A driver that logs nothing loses
pages in every second move: ten of them tell.
"""

import mmap
import os

PAGE = 4096
CHUNK = 1 << 20


def memory(guest):
    """The memory of a guest, by its QEMU's file."""
    folder = f"/proc/{guest.pid}/fd"
    path = next(f"{folder}/{fd}" for fd in os.listdir(folder)
                if "memfd:memory-backend" in os.readlink(f"{folder}/{fd}"))
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


def differing(one, other):
    """Offsets of the pages that are not the same in two memories."""
    for chunk in range(0, len(one), CHUNK):
        if one[chunk:chunk + CHUNK] != other[chunk:chunk + CHUNK]:
            yield from (at for at in range(chunk, chunk + CHUNK, PAGE)
                        if one[at:at + PAGE] != other[at:at + PAGE])


def repair(old, new):
    """Bring pages over that did not move with a guest, while it stands still; how many there were."""
    count = 0
    with memory(old) as source, memory(new) as target:
        for count, at in enumerate(differing(source, target), 1):
            target[at:at + PAGE] = source[at:at + PAGE]
    return count
