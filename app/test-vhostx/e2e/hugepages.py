# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Hugepages for tests: memory with a name, as a secondary process needs it, or large pages for a guest."""

import contextlib
import subprocess
import tempfile
from pathlib import Path

POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def _number(name):
    return int((POOL / name).read_text(encoding="ascii"))


@contextlib.contextmanager
def borrowed(pages):
    """A hugetlbfs folder with that many free 2 MB pages, or None.

    What the machine lacks is reserved for the time of the block, and given
    back; that takes root.
    """
    folder = tempfile.mkdtemp(prefix="vx-huge-")
    before = None
    try:
        before = _number("nr_hugepages")
        missing = max(0, pages - _number("free_hugepages"))
        if missing:
            (POOL / "nr_hugepages").write_text(str(before + missing), encoding="ascii")
        subprocess.run(["mount", "-t", "hugetlbfs", "-o", "pagesize=2M", "none", folder],
                       check=True, capture_output=True)
        mounted = True
    except (OSError, subprocess.CalledProcessError):
        mounted = False
    try:
        yield folder if mounted and _number("free_hugepages") >= pages else None
    finally:
        if mounted:
            subprocess.run(["umount", folder], check=True)
        if before is not None:
            with contextlib.suppress(OSError):
                (POOL / "nr_hugepages").write_text(str(before), encoding="ascii")
        Path(folder).rmdir()
