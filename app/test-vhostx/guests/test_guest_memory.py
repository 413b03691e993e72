# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""DIMMs are plugged into a running guest and pulled out again under traffic."""

import pytest

import net
from qmp import Qmp
from testpmd import wait_until

TURNS = 5
SIZE = 128 << 20


def with_slots(path):
    """Arguments of a guest that has room for DIMMs, and a monitor."""
    def change(arguments):
        out = list(arguments)
        out[out.index("-m") + 1] += ",slots=4,maxmem=1G"
        return [*out, "-qmp", f"unix:{path},server=on,wait=off"]
    return change


def total(guest):
    """KiB of memory that the guest's kernel has."""
    return int(guest.host.run("grep MemTotal /proc/meminfo").split()[1])


def plug(qmp, number):
    """A DIMM of SIZE bytes comes."""
    qmp.do("object-add", **{"qom-type": "memory-backend-memfd", "id": f"mem{number}",
                            "size": SIZE, "share": True})
    qmp.do("device_add", driver="pc-dimm", id=f"dimm{number}", memdev=f"mem{number}")


def unplug(qmp, number):
    """The guest is asked to let the DIMM go; once it has, its memory goes as well."""
    qmp.do("device_del", id=f"dimm{number}")
    wait_until(lambda: not qmp.do("query-memory-devices"), 30, "the guest ejects the DIMM")
    qmp.do("object-del", id=f"mem{number}")


@pytest.mark.parametrize("options", [[], ["--packed"]], ids=["split", "packed"])
def test_dimms_come_and_go_under_traffic(guests, figures, options):
    """Files arrive unchanged before, between and after; the driver maps each and lets it go."""
    pmd = guests.host(eal=["--log-level=pmd.net.vhostx:debug"])
    path = guests.folder / "qmp"
    ends = guests.introduce([guests.guest(0, *options, change=with_slots(path)),
                             guests.guest(1, *options)])
    one, two = ends
    qmp = Qmp(path)
    one.host.run("echo online_movable >/sys/devices/system/memory/auto_online_blocks")
    before = total(one)
    net.serve(two)
    one.host.spawn(f"iperf3 -c {two.v4} -t 120")
    for turn in range(TURNS):
        plug(qmp, turn)
        wait_until(lambda: total(one) >= before + SIZE // 2048, 20, "the guest has the DIMM")
        pmd.wait_growth(0, by=200)
        one.ping(two, count=5)
        unplug(qmp, turn)
        pmd.wait_growth(0, by=200)
        assert total(one) == before
    one.host.attempt("killall iperf3")
    two.host.attempt("killall iperf3")
    net.assert_file_arrives(one, two)
    net.assert_file_arrives(two, one)
    changes = sum(pmd.log.count(name) for name in ("SET_MEM_TABLE (", "ADD_MEM_REG (", "REM_MEM_REG ("))
    assert changes >= 2 * TURNS
    figures(f"{TURNS} DIMMs of {SIZE >> 20} MiB came and went, {changes} messages about memory")
    qmp.close()
