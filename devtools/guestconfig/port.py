# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The host's end of a vhost-user device: a port, as told by hand or by telemetry."""

import contextlib
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

# sun_path of struct sockaddr_un is 108 bytes, the last one zero.
PATH_MAX = 107
TELEMETRY_FILE = "dpdk_telemetry.v2"
TELEMETRY_DEFAULT = Path("/var/run/dpdk/rte") / TELEMETRY_FILE


class PortError(Exception):
    """The port cannot be known; the text says why and what to do."""


@dataclass(frozen=True)
class Port:
    """What a guest must fit: None stands for what was not told."""

    socket: Optional[str] = None
    mode: Optional[str] = None     # "server": the port makes the socket; or "client"
    queues: Optional[int] = None   # queue pairs, the most that a guest may have
    name: str = "the port"


def ask(path, command):
    """The answer of a telemetry socket to one command; None where it has none."""
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as sock:
            sock.settimeout(5)
            sock.connect(str(path))
            limit = json.loads(sock.recv(1024))["max_output_len"]
            sock.send(command.encode())
            return json.loads(sock.recv(limit))[command.split(",")[0]]
    except (OSError, ValueError, KeyError) as error:
        raise PortError(f"{path}: no answer from telemetry ({error}); is the application running, "
                        "without --no-telemetry, and may this user connect?") from error


def telemetry_path(path):
    """The socket itself, where its folder was given (/var/run/dpdk/<file-prefix>)."""
    path = Path(path)
    return path / TELEMETRY_FILE if path.is_dir() else path


def from_telemetry(path, port_id=None):
    """The net_vhostx port of a running application; its only one, unless told which."""
    path = telemetry_path(path)
    ports = ask(path, "/vhostx/list")
    if not ports:
        raise PortError(f"{path}: that application has no net_vhostx port")
    if port_id is None and len(ports) > 1:
        raise PortError(f"{path}: which port? Give one of --port {', '.join(map(str, ports))}")
    port_id = ports[0] if port_id is None else port_id
    if port_id not in ports:
        raise PortError(f"{path}: port {port_id} is no net_vhostx port; "
                        f"those are {', '.join(map(str, ports))}")
    info = ask(path, f"/vhostx/info,{port_id}")
    return Port(socket=info["socket"], mode=info["mode"], queues=info["nr_rings"] // 2,
                name=info["name"])
