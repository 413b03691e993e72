# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The testpmd that most tests of the scripted front-end share; a module that needs another one has its own."""

import pytest

from frontend.host import Host


@pytest.fixture(scope="module", name="shared")
def _shared(setup):
    host = Host(setup, pairs=2)
    yield host
    host.close()


@pytest.fixture(name="host")
def _host(shared):
    """An echoing testpmd, which must be alive afterwards."""
    yield shared.ensure()
    shared.assert_alive()
