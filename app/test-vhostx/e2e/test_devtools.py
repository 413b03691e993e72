# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The scripts of devtools say what they do when they are asked, and do nothing else then."""

import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "devtools"
SCRIPTS = sorted(path.name for path in FOLDER.iterdir() if path.suffix in (".sh", ".py") and path.name != "lib.sh")

pytestmark = pytest.mark.vhostx_only


def run(script, *options):
    """Exit status of a script, and all that it printed."""
    done = subprocess.run([FOLDER / script, *options], check=False, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    return done.returncode, done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script):
    if script == "plot-perf.py":
        pytest.importorskip("matplotlib")
    if script == "perf.sh" and not (FOLDER.parent / "build" / "app" / "dpdk-test-vhostx").exists():
        pytest.skip("the benchmark is not built")
    status, printed = run(script, "--help")
    assert status == 0 and len(printed) > 60, printed
    assert not any(word in printed for word in ("==>", "Traceback", "SPDX")), printed


@pytest.mark.parametrize("script, options, told", [
    ("quickstart.sh", ["--quick"], "--quick: quickstart.sh takes no options"),
    ("build-docs.sh", ["html"], "html: build-docs.sh takes no options"),
    ("soak.sh", ["long"], "long: not a number of minutes"),
    ("soak.sh", ["0"], "0: not a number of minutes"),
    ("reconnect.sh", ["0"], "0: not a number of turns"),
    ("many-ports.sh", ["0"], "0: not a number of ports from 1 to 1000"),
    ("check-warnings.sh", [], "check-warnings.sh gcc | clang"),
    ("check-plugin.sh", [], "check-plugin.sh pmdinfo | load"),
    ("slower-cases.py", [], "slower-cases.py FILE.csv"),
    ("zero-copy-figures.py", [], "zero-copy-figures.py FILE.csv"),
    ("count-results.py", [], "count-results.py FILE")])
def test_wrong_options(script, options, told):
    status, printed = run(script, *options)
    assert status == 1 and told in printed, printed
    assert "Traceback" not in printed


def test_plot_of_drivers_with_offloads(tmp_path):
    """Names of drivers may have a slash, as net_vhostx/vlan."""
    pytest.importorskip("matplotlib")
    case = "default,one-core,split,1,1,0,1,1,rx,64,32,1024"
    figures = tmp_path / "perf.csv"
    figures.write_text(
        "label,mode,format,mergeable,in_order,jumbo,queues,ports,direction,frame,burst,ring,series,unit,"
        "median,p10,p90,samples\n" +
        "".join(f"{case},{series},cycles ratio,1.0,0.9,1.1,5\n" for series in (
            "net_vhostx/vlan/net_vhostx", "net_vhostx'/net_vhostx", "net_vhostx/vlan'/net_vhostx/vlan")),
        encoding="ascii")
    status, printed = run("plot-perf.py", figures, tmp_path)
    assert status == 0 and "1 plots" in printed, printed
