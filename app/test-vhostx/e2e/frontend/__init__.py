# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A scripted vhost-user front-end: the guest's and QEMU's side, for tests."""

from .buffers import (CHAINED, DIRECT, INDIRECT, INDIRECT_ONE, SPLINTERS, Layout,
                      Pool, crossing)
from .device import Config, Frontend, make_frame
from .iommu import IommuFrontend, IovaMemory
from .memory import Memory, Region, Unmapped
from .packed import PackedRing
from .protocol import Closed, Connection, Feature, Msg, Protocol, Refused
from .ring import GuestFault, Raw, Segment
from .split import SplitRing

__all__ = ["CHAINED", "DIRECT", "INDIRECT", "INDIRECT_ONE", "SPLINTERS", "Closed",
           "Config", "Connection", "Feature", "Frontend", "GuestFault",
           "IommuFrontend", "IovaMemory", "Layout",
           "Memory", "Msg", "PackedRing", "Pool", "Protocol", "Raw", "Refused",
           "Region", "Segment", "SplitRing", "Unmapped", "crossing", "make_frame"]
