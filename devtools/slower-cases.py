#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The cases in which net_vhostx was slower than net_vhost: slower-cases.py FILE.csv

The file is that of devtools/perf.sh. A ratio is better the larger it is, of cycles as of packets per second. Below
the noise is one whose median is under the lower tenth of what both drivers show against themselves.
"""
import collections
import csv

import cmdline

RATIOS = ("net_vhost/net_vhostx", "net_vhostx/net_vhost")
NOISE = ("net_vhostx'/net_vhostx", "net_vhost'/net_vhost")
FIGURES = ("median", "p10", "p90", "samples", "series")


def read(path):
    """{case: {series: (median, p10)}} of all that the two drivers were compared in."""
    cases = collections.defaultdict(dict)
    with open(path, newline="") as lines:
        for row in csv.DictReader(lines):
            if row["unit"].endswith("ratio") and row["series"] in RATIOS + NOISE:
                case = tuple((k, v) for k, v in row.items() if k not in FIGURES)
                cases[case][row["series"]] = float(row["median"]), float(row["p10"])
    return cases


def slower(series):
    """The ratio if it is below 1, and the noise's lower tenth; None if it is not, or there is none."""
    ratio = next((series[name][0] for name in RATIOS if name in series), None)
    if ratio is None or ratio >= 1:
        return None
    return ratio, min((series[name][1] for name in NOISE if name in series), default=1.0)


def name_of(case):
    case = dict(case)
    words = [case["label"], case["mode"], case["format"]]
    words += [name for name in ("mergeable", "in_order", "jumbo") if case[name] == "1"]
    words += [f"{case['queues']} queues", f"{case['ports']} ports", case["direction"], case["frame"],
              f"burst {case['burst']}", case["unit"].removesuffix(" ratio")]
    return ", ".join(words)


def main():
    path, = cmdline.words(__doc__, 1, 1)
    cases = {case: slower(series) for case, series in read(path).items()
             if any(name in series for name in RATIOS)}
    if not cases:
        return
    below = sorted((found[0] - found[1], name_of(case), *found) for case, found in cases.items() if found)
    beyond = sum(gap < 0 for gap, *_ in below)
    print(f"\n{len(cases)} cases compared with net_vhost: {len(below)} below 1, {beyond} of them below the noise")
    for _, name, ratio, noise in below:
        print(f"    {ratio:.2f}  noise from {noise:.2f} on  {name}")


if __name__ == "__main__":
    main()
