# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What devtools/guest-config.py is made of: ports, guests, and what joins them."""
