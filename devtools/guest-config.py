#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Joins virtual machines and net_vhostx ports.

    guest-config.py qemu --socket /run/vhost.sock --memory 2G --queues 2
    guest-config.py libvirt --telemetry /var/run/dpdk/rte
    guest-config.py check --telemetry /var/run/dpdk/rte GUEST.xml
    guest-config.py check --pid $(pidof qemu-system-x86_64)

qemu and libvirt print what a guest needs to fit a port. check reads a QEMU
command line or a libvirt domain and says what in it would keep vhost-user from
working, or make it slow, and what to do.
"""

import argparse
import shlex
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from guestconfig import libvirt, qemu, read_libvirt, read_qemu
from guestconfig.checks import SLOW, STOPS, check
from guestconfig.guest import Guest, parse_size
from guestconfig.port import TELEMETRY_DEFAULT, Port, PortError, from_telemetry


def add_port_options(parser):
    """How the port is told."""
    group = parser.add_argument_group("the port")
    group.add_argument("--socket", metavar="PATH", help="iface of the port")
    group.add_argument("--telemetry", metavar="PATH",
                       help="ask a running application: its telemetry socket, or the folder of that "
                       f"({TELEMETRY_DEFAULT.parent})")
    group.add_argument("--port", type=int, metavar="ID",
                       help="which port of that application, if it has several")
    group.add_argument("--mode", choices=["server", "client"],
                       help="of the port: server if it makes the socket (client=0), else client")


def add_guest_options(parser):
    """How the guest is wanted."""
    group = parser.add_argument_group("the guest")
    group.add_argument("--queues", type=int, metavar="N",
                       help="queue pairs (with --telemetry those of the port, else 1)")
    group.add_argument("--memory", default="1G", metavar="SIZE", help="default: 1G")
    group.add_argument("--ring-size", type=int, default=1024, metavar="N",
                       help="256, 512 or 1024, the default")
    group.add_argument("--packed", action="store_true", help="packed rings")
    group.add_argument("--no-offloads", action="store_true",
                       help="a device without checksum and segmentation offloads")
    group.add_argument("--mac", help="default: made from the socket's path")
    group.add_argument("--mtu", type=int, help="MTU that the guest is told")
    group.add_argument("--numa-node", type=int, metavar="N",
                       help="node of the host that the memory is bound to")
    group.add_argument("--hugepages", action="store_true", help="memory from hugepages")
    group.add_argument("--iommu", action="store_true",
                       help="the device behind an IOMMU; the port needs iommu-support=1, and a Linux guest "
                       "intel_iommu=on in its command line")
    group.add_argument("--tcg", action="store_true",
                       help="without hardware virtualisation, and so without MSI-X")
    group.add_argument("--index", type=int, default=0, metavar="N",
                       help="number of the device in its guest; from 1 on without the memory")


def find_port(options):
    """The port that the options tell."""
    if options.telemetry is None:
        port = Port(socket=options.socket)
    else:
        port = from_telemetry(options.telemetry, options.port)
    return replace(port, mode=options.mode) if options.mode else port


def find_guest(options):
    """The guest that the options tell, on its port."""
    port = find_port(options)
    queues = (port.queues or 1) if options.queues is None else options.queues
    return Guest(port, queues=queues, memory=parse_size(options.memory),
                 ring_size=options.ring_size, packed=options.packed,
                 offloads=not options.no_offloads, tcg=options.tcg, mac=options.mac,
                 mtu=options.mtu, node=options.numa_node, hugepages=options.hugepages,
                 index=options.index, iommu=options.iommu)


def print_qemu(options):
    """QEMU's arguments, one option a line."""
    lines = [f"{option} {shlex.quote(value)}" for option, value in qemu.arguments(find_guest(options))]
    print(" \\\n".join(lines))
    return 0


def print_libvirt(options):
    """Parts of a domain, to be merged with what else the guest has."""
    print(libvirt.domain_xml(find_guest(options)))
    return 0


def read_machine(options):
    """The machine to check: a running QEMU, a command line or a domain."""
    if options.pid is not None:
        return read_qemu.read_process(options.pid)
    text = sys.stdin.read() if options.file == "-" else Path(options.file).read_text(encoding="utf-8")
    return (read_libvirt if text.lstrip().startswith("<") else read_qemu).read(text)


def print_check(options):
    """What is wrong, worst first. 1 if something stops vhost-user."""
    findings = check(read_machine(options), find_port(options), options.user)
    for finding in findings:
        print(f"{finding.level}: {finding.what}\n    {finding.remedy}")
    count = {level: sum(finding.level == level for finding in findings) for level in (STOPS, SLOW)}
    print(f"{count[STOPS]} would stop vhost-user, {count[SLOW]} make it slow")
    return 1 if count[STOPS] else 0


def add_check_options(parser):
    """What is checked."""
    group = parser.add_argument_group("the guest")
    what = group.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE",
                      help="QEMU command line, as in a script, or libvirt domain; - for standard input")
    what.add_argument("--pid", type=int, help="process id of a running QEMU")
    group.add_argument("--user", help="user that QEMU runs as, to see whether it may use the socket")


def parse_arguments(argv):
    """Options and the function that they choose."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, function, add, text in [
            ("qemu", print_qemu, add_guest_options, "print QEMU's arguments"),
            ("libvirt", print_libvirt, add_guest_options, "print parts of a libvirt domain"),
            ("check", print_check, add_check_options, "say what is wrong with a guest")]:
        command = commands.add_parser(name, help=text)
        add_port_options(command)
        add(command)
        command.set_defaults(function=function)
    return parser.parse_args(argv)


def main(argv):
    """Exit status: 0, or 1 if check found something that stops the guest, 2 for a wrong option."""
    options = parse_arguments(argv)
    try:
        return options.function(options)
    except (PortError, ValueError, OSError, KeyError, ElementTree.ParseError) as error:
        print(f"guest-config.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
