#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Plot the figures of devtools/perf.sh: plot-perf.py FILE.csv FOLDER [png|svg]

One figure for each format and direction: the ratio by frame size, with its p10-p90, and the noise that
each driver shows against itself as a band around 1.
"""
import collections
import csv
import os

import cmdline
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

SIZES = ["64", "128", "256", "512", "1024", "1518", "9000", "imix"]
KEY = ("mode", "format", "mergeable", "in_order", "jumbo", "direction", "burst", "queues", "ports")


class Point:
    """Median and p10-p90 of one figure."""

    def __init__(self, row):
        self.median, self.low, self.high = (float(row[k]) for k in ("median", "p10", "p90"))


def read(path):
    """Ratios of the CSV: {key: {(label, series): {size: Point}}}."""
    figures = collections.defaultdict(lambda: collections.defaultdict(dict))
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            plain = row["mode"] != "latency" and row["queues"] == "1" and row["ports"] == "1"
            if plain and row["unit"].endswith("ratio") and row["direction"] != "idle":
                key = tuple(row[k] for k in KEY)
                figures[key][row["label"], row["series"]][row["frame"]] = Point(row)
    return figures


def is_noise(series):
    """Whether a ratio is that of a driver and its second port, which has a stroke; names may have slashes."""
    return "'/" in series


def draw_noise(axes, sizes, points):
    """A band: the furthest that a driver is from itself."""
    low = [min([p[s].low for p in points if s in p], default=1) for s in sizes]
    high = [max([p[s].high for p in points if s in p], default=1) for s in sizes]
    axes.fill_between(range(len(sizes)), low, high, color="0.85", label="each driver against itself, p10-p90")


def draw_ratio(axes, sizes, label, series, points):
    at = [i for i, s in enumerate(sizes) if s in points]
    median = [points[sizes[i]].median for i in at]
    below = [max(0, points[sizes[i]].median - points[sizes[i]].low) for i in at]
    above = [max(0, points[sizes[i]].high - points[sizes[i]].median) for i in at]
    axes.errorbar(at, median, yerr=[below, above], marker="o", capsize=3, label=f"{series}, SIMD {label}")


def title_of(key):
    mode, fmt, mergeable, in_order, jumbo, direction, burst, _, _ = key
    what = "packets per second" if mode == "two-cores" else "cycles per packet"
    return (f"{fmt} {direction}, burst {burst}, {'' if mergeable == '1' else 'not '}mergeable, "
            f"in_order={in_order}{', a frame in one buffer' if jumbo == '1' else ''}\n{what}, above 1 net_vhostx is faster")


def plot(key, lines, path):
    present = {size for points in lines.values() for size in points}
    sizes = [s for s in SIZES if s in present]
    figure, axes = plt.subplots(figsize=(7, 4.2))
    noise = [points for (_, series), points in lines.items() if is_noise(series)]
    draw_noise(axes, sizes, noise)
    for (label, series), points in sorted(lines.items()):
        if not is_noise(series):
            draw_ratio(axes, sizes, label, series, points)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_ylim(bottom=0)
    axes.set_xticks(range(len(sizes)), sizes)
    axes.set_xlabel("bytes of a frame")
    axes.set_ylabel("ratio")
    axes.set_title(title_of(key), fontsize=10)
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120, metadata={"Date": None} if path.endswith("svg") else None)
    plt.close(figure)


def main():
    source, folder, *kinds = cmdline.words(__doc__, 2, 3)
    kind = kinds[0] if kinds else "png"
    os.makedirs(folder, exist_ok=True)
    count = 0
    for key, lines in read(source).items():
        mode, fmt, mergeable, in_order, jumbo, direction, burst, _, _ = key
        name = "-".join([mode, fmt, "mrg" if mergeable == "1" else "nomrg",
                         "inorder" if in_order == "1" else "noorder", *["jumbo"] * (jumbo == "1"), direction,
                         "b" + burst])
        plot(key, lines, os.path.join(folder, f"{name}.{kind}"))
        count += 1
    print(f"    {count} plots: {folder}/*.{kind}")


if __name__ == "__main__":
    main()
