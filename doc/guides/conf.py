# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Settings of the guides, as near to those of DPDK's own as one driver needs."""

import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]

project = "net_vhostx"
author = "net_vhostx developers"
copyright = "2026 " + author  # pylint: disable=redefined-builtin
release = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text()).group(1)
version = release

master_doc = "index"
# Not a page of its own: it is shown by nics/vhostx.rst.
exclude_patterns = ["nics/features/*"]

highlight_language = "none"
numfig = True
nitpicky = True
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "240px"}
html_permalinks = False
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
