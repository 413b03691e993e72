# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What the small programs of devtools share: how they take their arguments."""
import sys


def words(doc, least, most):
    """The arguments, so many. Asked for help, or with another number of them, print what the program is, and end."""
    given = sys.argv[1:]
    if "--help" in given or not least <= len(given) <= most:
        print(doc)
        sys.exit("--help" not in given)
    return given
