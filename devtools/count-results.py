#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""How many tests passed, how many failed, and the failed names, tabs between: count-results.py FILE

The file is meson's testlog.json or of JUnit's form.
"""

import json
import xml.etree.ElementTree as ET

import cmdline


def meson_results(path):
    """Yield (name, passed) of each test that ran."""
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            if test["result"] != "SKIP":
                yield test["name"], test["result"] in ("OK", "EXPECTEDFAIL")


def junit_results(path):
    """Yield (name, passed) of each test that ran."""
    for case in ET.parse(path).iter("testcase"):
        if case.find("skipped") is None:
            good = case.find("failure") is None and case.find("error") is None
            yield f"{case.get('classname')}.{case.get('name')}", good


def main():
    """Count one file, which its name's ending tells the kind of."""
    path, = cmdline.words(__doc__, 1, 1)
    results = list((junit_results if path.endswith(".xml") else meson_results)(path))
    failed = [name for name, passed in results if not passed]
    print(len(results) - len(failed), len(failed), "\t".join(failed))


if __name__ == "__main__":
    main()
