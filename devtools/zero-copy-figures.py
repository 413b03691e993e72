#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What is asked of dequeue zero-copy beside what was measured: zero-copy-figures.py FILE.csv

The file is that of devtools/perf.sh --zero-copy.
"""
import csv

import cmdline

LENT, LINEAR, COPYING, THEIRS = "net_vhostx+dequeue-z", "net_vhostx+linear-bu", "net_vhostx", "net_vhost"
# (format, bytes): net_vhost's cycles over ours, at least, and what would be good
ASKED = {
    ("split", "1518"): (5, 8),
    ("split", "9000"): (10, 15),
    ("packed", "1518"): (2.5, 4),
    ("packed", "9000"): (4, 6),
}
TWO_CORES_GOAL = 1.5
PLACES = {"cache": "in the cache", "cold": "in no cache"}


class Figures:
    """Medians of the CSV, with p10 and p90."""

    def __init__(self, path):
        self.rows = {}
        with open(path, newline="") as lines:
            for row in csv.DictReader(lines):
                if row["mode"] == "two-cores" and not row["unit"].startswith("Mpps"):
                    continue  # what the host's core spends
                key = (row["label"], row["format"], row["jumbo"], row["direction"], row["frame"])
                self.rows[key, row["series"]] = [float(row[k]) for k in ("median", "p10", "p90")]

    def of(self, key, series):
        return self.rows.get((key, series), [None])[0]

    def keys(self, label):
        return dict.fromkeys(key for key, _ in self.rows if key[0] == label)


def cell(value, width, decimals=1):
    return f"{'-':>{width}s}" if value is None else f"{value:{width}.{decimals}f}"


def over(a, b):
    return None if a is None or b is None else a / b


def name_of(key):
    _, fmt, jumbo, direction, frame = key
    return f"{fmt:7s}{direction:5s}{frame:>5s}{' one buffer' if jumbo == '1' else ''}"


def print_lent(figures, label):
    """Cycles of each driver, net_vhost's over ours, and what is asked of that."""
    print(f"\nthe guest's bytes are {PLACES[label]}; cycles a packet")
    print(f"{'':29s}{'zero-copy':>10s}{'linear':>8s}{'copying':>9s}{'net_vhost':>10s}"
          f"{'/zero-copy':>12s}{'/linear':>9s}{'must':>6s}{'goal':>6s}")
    for key in figures.keys(label):
        lent, linear, copying, theirs = (figures.of(key, name) for name in (LENT, LINEAR, COPYING, THEIRS))
        asked = ASKED.get((key[1], key[4])) if key[3] == "drop" else None
        print(f"{name_of(key):29s}{cell(lent, 10)}{cell(linear, 8)}{cell(copying, 9)}{cell(theirs, 10)}"
              f"{cell(over(theirs, lent), 12, 2)}{cell(over(theirs, linear), 9, 2)}"
              + (f"{asked[0]:6g}{asked[1]:6g}" if asked else ""))


def print_default(figures, label):
    """A zero-copy port as it is by default beside one that copies; noise: each beside its twin."""
    print(f"\nthe default threshold; the guest's bytes are {PLACES[label]}; cycles a packet")
    print(f"{'':29s}{'zero-copy':>10s}{'copying':>9s}{'copying/zero-copy':>19s}   noise, p10 to p90")
    for key in figures.keys(label + "-default"):
        noise = [figures.rows[key, f"{name}'/{name}"][1:] for name in (LENT, COPYING)]
        lent, copying = (figures.of(key, name) for name in (LENT, COPYING))
        print(f"{name_of(key):29s}{cell(lent, 10)}{cell(copying, 9)}{cell(over(copying, lent), 19, 2)}"
              f"   {min(n[0] for n in noise):.2f} to {max(n[1] for n in noise):.2f}")


def print_two_cores(figures):
    """Millions of packets a second on the way between two guests."""
    print("\nguest to guest on two cores, 1518 bytes, one copy in all; millions of packets a second")
    print(f"{'':29s}{'zero-copy':>10s}{'copying':>9s}{'net_vhost':>10s}{'zero-copy/net_vhost':>21s}{'goal':>6s}")
    for key in figures.keys("two-cores"):
        lent, copying, theirs = (figures.of(key, name) for name in (LENT, COPYING, THEIRS))
        print(f"{name_of(key):29s}{cell(lent, 10, 2)}{cell(copying, 9, 2)}{cell(theirs, 10, 2)}"
              f"{cell(over(lent, theirs), 21, 2)}{TWO_CORES_GOAL:6g}")


def main():
    path, = cmdline.words(__doc__, 1, 1)
    figures = Figures(path)
    for label in PLACES:
        print_lent(figures, label)
        print_default(figures, label)
    print_two_cores(figures)


if __name__ == "__main__":
    main()
