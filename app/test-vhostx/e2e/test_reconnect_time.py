# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""How long a guest is without network when its front-end is back.

devtools/reconnect.sh prints these figures for both drivers.
"""

import os
import random
import time

import pytest

from frontend import Frontend, make_frame, protocol
from frontend.host import Host

TURNS = int(os.environ.get("VHOSTX_TURNS", "15"))
FRAME = make_frame(100, 1)
LIMIT = 0.050  # seconds, median

formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])


def quantile(values, part):
    """The value that this part of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def report(capsys, setup, what, seconds):
    """Print the figures, and hold net_vhostx to its promise."""
    ms = [1000 * s for s in seconds]
    with capsys.disabled():
        print(f"\n{what}, {setup.driver}: median {quantile(ms, 0.5):.1f} ms, "
              f"90 % {quantile(ms, 0.9):.1f} ms, longest {max(ms):.1f} ms, "
              f"{len(ms)} turns")
    if setup.driver == "net_vhostx":
        assert quantile(seconds, 0.5) <= LIMIT


def time_reconnect(frontend, begin):
    """From begin() until a frame that waits in the ring came round."""
    frontend.flush(0)
    frontend.disconnect()
    began = begin()
    frontend.reconnect()
    frontend.send(0, FRAME)
    assert frontend.recv(0) == FRAME
    return time.monotonic() - began


@formats
def test_client_from_listen_to_first_packet(setup, capsys, packed):
    """The driver connects; its front-end was away for some time."""
    host = Host(setup, pairs=1, client=1)
    listener = protocol.listen(host.socket())
    host.ensure()
    away = random.Random(1)
    seconds = []
    with Frontend(config=host.config(packed=packed, timeout=10),
                  listener=listener) as frontend:
        frontend.up()
        frontend.echo(0, [FRAME])

        def begin():
            frontend.listener.close()
            os.unlink(host.socket())
            time.sleep(away.uniform(0.1, 0.4))
            began = time.monotonic()
            frontend.listener = protocol.listen(host.socket())
            return began
        for _ in range(TURNS):
            seconds.append(time_reconnect(frontend, begin))
        frontend.listener.close()
    host.close()
    report(capsys, setup, f"client, {'packed' if packed else 'split'}", seconds)


@formats
def test_server_from_accept_to_first_packet(setup, capsys, packed):
    """The driver listens; its front-end connects anew."""
    host = Host(setup, pairs=1).ensure()
    seconds = []
    with host.frontend(packed=packed) as frontend:
        frontend.echo(0, [FRAME])
        for _ in range(TURNS):
            seconds.append(time_reconnect(frontend, time.monotonic))
    host.close()
    report(capsys, setup, f"server, {'packed' if packed else 'split'}", seconds)
