# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""pcap files and frames whose every byte and place in the order is known."""

import random
import struct

MAGIC = 0xA1B2C3D4
NANOSECOND_MAGIC = 0xA1B23C4D
FILE_HEADER = struct.Struct("<IHHiIII")
RECORD_HEADER = struct.Struct("<IIII")
ETHERNET = 1
SNAPLEN = 262144


def write_pcap(path, frames):
    """Write frames (bytes) in order."""
    with open(path, "wb") as out:
        out.write(FILE_HEADER.pack(MAGIC, 2, 4, 0, 0, SNAPLEN, ETHERNET))
        for i, frame in enumerate(frames):
            out.write(RECORD_HEADER.pack(i // 1000000, i % 1000000,
                                         len(frame), len(frame)))
            out.write(frame)


def read_pcap(path):
    """The frames of a file, in order; a truncated record is an error."""
    with open(path, "rb") as file:
        data = file.read()
    magic = FILE_HEADER.unpack_from(data)[0]
    assert magic in (MAGIC, NANOSECOND_MAGIC), f"{path}: not a pcap file"
    frames, at = [], FILE_HEADER.size
    while at < len(data):
        _, _, captured, length = RECORD_HEADER.unpack_from(data, at)
        at += RECORD_HEADER.size
        assert captured == length and at + length <= len(data), f"{path}: cut short"
        frames.append(data[at:at + length])
        at += length
    return frames


def make_frames(lengths, seed):
    """One frame a length: Ethernet header, number in the order, random bytes."""
    rng = random.Random(seed)
    header = bytes.fromhex("020000000001" "020000000002" "88b5")
    return [header + struct.pack("<I", i) + rng.randbytes(length - 18)
            for i, length in enumerate(lengths)]


def mixed_lengths(count, seed, low=64, high=1518):
    """Frame lengths between two bounds, both bounds among them."""
    rng = random.Random(seed)
    lengths = [rng.randint(low, high) for _ in range(count - 2)]
    return [low, high, *lengths]


def assert_same_frames(sent, received):
    """Same frames, same order, same bytes; says where they first differ."""
    for i, (want, got) in enumerate(zip(sent, received)):
        assert got == want, describe_difference(i, want, got)
    assert len(received) == len(sent), \
        f"{len(received)} frames arrived of {len(sent)} sent"


def describe_difference(index, want, got):
    """Where frame number index differs from what was sent."""
    at = next((i for i, (a, b) in enumerate(zip(want, got)) if a != b),
              min(len(want), len(got)))
    number = struct.unpack_from("<I", got, 14)[0] if len(got) >= 18 else None
    return (f"frame {index} differs at byte {at}: sent {len(want)} bytes, got "
            f"{len(got)}, numbered {number}; {want[at:at + 16].hex()} became "
            f"{got[at:at + 16].hex()}")
