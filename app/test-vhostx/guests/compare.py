# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""net_vhost and net_vhostx between the same Linux guests, taking turns.

One testpmd has a pair of ports of each driver, with two guests on each pair,
and polls all of them on one lcore. Each round measures every pair in turn, so
that what else the machine does falls on all alike. Ratios are taken round by
round: net_vhostx over net_vhost, above 1 where net_vhostx is better.
"""

import argparse
import math
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))

# pylint: disable=wrong-import-position
import image  # noqa: E402
import net  # noqa: E402
from guestrig import GuestRig  # noqa: E402
from rig import Setup  # noqa: E402

OURS, THEIRS = "net_vhostx", "net_vhost"
# net_vhostx is below if so many rounds say so that chance would do it less often than this, and if the
# middle ratio is below the other figure. Four rounds cannot tell; six can, if all agree.
CHANCE, RATIO_BELOW = 0.02, 0.95
TSO_GAIN = 2.0
# Faster than the guests can go: what arrives is the rate.
UDP_OFFERED = "1G"


@dataclass(frozen=True)
class Side:
    """One of the two that are compared: its name here, its driver and devargs."""

    label: str
    driver: str
    devargs: dict


@dataclass(frozen=True)
class Kind:
    """One way to configure the ports of both sides."""

    name: str
    ours: Side
    theirs: Side

    def sides(self):
        """Both."""
        return self.ours, self.theirs


PLAIN = Kind("plain", Side(OURS, OURS, {}), Side(THEIRS, THEIRS, {}))
# net_vhost loses segmentation on its way between two ports without its older flags
TSO = Kind("tso=1", Side(OURS, OURS, {"tso": 1}), Side(THEIRS, THEIRS, {"tso": 1, "legacy-ol-flags": 1}))
ZERO_COPY = Kind("tso=1, zero-copy beside copying", Side("zero-copy", OURS, {"tso": 1, "dequeue-zero-copy": 1}),
                 Side("copying", OURS, {"tso": 1}))
KINDS = {"plain": [PLAIN], "tso": [TSO], "both": [PLAIN, TSO], "zero-copy": [ZERO_COPY]}


@dataclass(frozen=True)
class Metric:
    """One figure that is measured between two guests."""

    name: str
    unit: str
    measure: object
    less_is_better: bool = False

    def ratio(self, ours, theirs):
        """How many times better ours is."""
        return theirs / ours if self.less_is_better else ours / theirs


METRICS = [
    Metric("TCP", "Mbit/s", lambda one, two: net.tcp(one, two, seconds=2)),
    Metric("TCP back", "Mbit/s", lambda one, two: net.tcp(two, one, seconds=2)),
    Metric("UDP", "Mbit/s", lambda one, two: net.udp_rate(one, two, UDP_OFFERED, seconds=1)),
    Metric("ping", "ms", lambda one, two: one.ping(two, count=20), less_is_better=True),
]


def measure(rig, kind, rounds):
    """{(metric name, side's label): [a value each round]} for one kind of ports."""
    sides = kind.sides()
    rig.host_of([(side.driver, side.devargs) for side in sides for _ in range(2)])
    guests = [rig.guest(port) for port in range(4)]
    pairs = {side.label: rig.introduce(guests[2 * number:2 * number + 2])
             for number, side in enumerate(sides)}
    values = {(metric.name, side.label): [] for metric in METRICS for side in sides}
    for number in range(rounds):
        # who is first changes: the second of a pair has the warmer machine
        for metric in METRICS:
            for side in sides[::1 if number % 2 else -1]:
                values[metric.name, side.label].append(metric.measure(*pairs[side.label]))
    if kind is ZERO_COPY:
        lent = rig.pmd.xstats(0)["rx_q0_zc_packets"]
        assert lent > 0, "nothing was lent"
        print(f"{lent} packets of the first guest were lent, of {rig.pmd.stats(0)['rx_packets']}")
    rig.end_guests()
    rig.pmd.quit()
    return values


def is_below(ratios):
    """Whether ratios below 1 are more than noise: a sign test."""
    below = sum(ratio < 1 for ratio in ratios)
    chance = sum(math.comb(len(ratios), k) for k in range(below, len(ratios) + 1)) / 2 ** len(ratios)
    return chance < CHANCE and statistics.median(ratios) < RATIO_BELOW


def spread(values):
    """Middle, least and most, as text."""
    return f"{statistics.median(values):8.2f} ({min(values):.2f} to {max(values):.2f})"


def report(kind, values):
    """Print one kind's figures; names of the metrics in which net_vhostx is below."""
    below = []
    labels = kind.ours.label, kind.theirs.label
    print(f"\n{kind.name}: middle (least to most) of {len(values['TCP', labels[0]])} rounds")
    print(f"{'':17s}{labels[0]:>28s}{labels[1]:>28s}  times better, middle (least to most)")
    for metric in METRICS:
        ours, theirs = (values[metric.name, label] for label in labels)
        ratios = [metric.ratio(*pair) for pair in zip(ours, theirs)]
        print(f"{metric.name:9s}{metric.unit:8s}{spread(ours):>28s}{spread(theirs):>28s}  {spread(ratios)}", flush=True)
        if is_below(ratios):
            below.append(f"{metric.name} ({kind.name})")
    return below


def tso_gain(plain, with_tso):
    """How many times more TCP there is with TSO, net_vhostx, both directions."""
    def middle(values):
        return statistics.median(values["TCP", OURS] + values["TCP back", OURS])
    return middle(with_tso) / middle(plain)


def parse_arguments():
    """Options; devtools/compare-guests.sh gives the plugin."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugin", type=Path, required=True, help="path of librte_net_vhostx.so")
    parser.add_argument("--testpmd", default=shutil.which("dpdk-testpmd"), help="the testpmd to run")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--ports", choices=KINDS, default="both",
                        help="without segmentation offload, with it, or one after the other (default); or "
                             "zero-copy ports beside copying ones, both net_vhostx with tso=1")
    return parser.parse_args()


def main():
    """Exit status: 0, or 1 if net_vhostx is below, or TSO not worth what it should be."""
    options = parse_arguments()
    reason = image.lacking()
    if reason:
        print(f"no guests here: {reason}", file=sys.stderr)
        return 2
    setup = Setup(OURS, options.plugin.resolve(), options.testpmd, False)
    faults, results = [], []
    for kind in KINDS[options.ports]:
        folder = Path(tempfile.mkdtemp(prefix="vxcmp-"))
        rig = GuestRig(setup, folder, image.build())
        try:
            results.append(measure(rig, kind, options.rounds))
        finally:
            rig.end()
            shutil.rmtree(folder, ignore_errors=True)
        faults += [f"below {kind.theirs.label}: {name}" for name in report(kind, results[-1])]
    if len(results) == 2:
        gain = tso_gain(*results)
        print(f"\nTCP with tso=1 is {gain:.1f} times that without")
        if gain < TSO_GAIN:
            faults.append(f"TSO gains less than {TSO_GAIN} times")
    other = KINDS[options.ports][0].theirs.label
    print("\n" + ("\n".join(faults) if faults else f"nothing is below {other} beyond the noise"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
