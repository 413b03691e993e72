# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A short soak; devtools/soak.sh runs the long one."""

import os

import pytest

from soak import Soak

MINUTES = float(os.environ.get("VHOSTX_SOAK_MINUTES", "0.2"))

pytestmark = pytest.mark.vhostx_only


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("client", [False, True], ids=["server", "client"])
def test_soak(setup, capsys, client, packed):
    """Everything dies and comes back; nothing grows."""
    tally = Soak(setup, client, packed).run(60 * MINUTES / 4)
    tally.report(capsys)
    assert not tally.grown
