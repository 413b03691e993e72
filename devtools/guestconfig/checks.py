# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What in a machine would keep vhost-user from working, or make it slow, and what to do."""

import os
import pwd
import stat
from collections import Counter
from dataclasses import dataclass

from .guest import RING_SIZES, show_size, vectors_for
from .port import PATH_MAX

STOPS, SLOW, NOTE = "stops", "slow", "note"
# Which of these depends on the QEMU and on the host's driver; this one offers memory slots, and QEMU is silent.
NO_MAP = ('QEMU says "Failed initializing vhost-user memory map", '
          'or the host "the front-end has shared no guest memory"')
READ, WRITE, SEARCH = 4, 2, 1


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and its remedy."""

    level: str
    what: str
    remedy: str


class Checker:
    """Looks at one machine, beside the port that it shall fit."""

    def __init__(self, machine, port, user=None):
        self.machine = machine
        self.port = port
        self.user = user
        self.findings = []

    def add(self, level, what, qemu, libvirt=None):
        """Note a finding with the remedy in the words of the machine's kind."""
        remedy = libvirt if libvirt and self.machine.kind == "libvirt" else qemu
        self.findings.append(Finding(level, what, remedy))

    def run(self):
        """All findings, the worst first."""
        for what, remedy in self.machine.errors:
            self.add(STOPS, what, remedy)
        self.check_memory()
        self.check_processor()
        if not self.machine.devices:
            self.add(STOPS, "there is no vhost-user network device",
                     "let guest-config.py qemu print one", "let guest-config.py libvirt print one")
        self.check_sockets_differ()
        for device in self.machine.devices:
            self.check_role(device)
            self.check_path(device)
            self.check_queues(device)
            self.check_vectors(device)
            self.check_rings(device)
            self.check_device(device)
        order = [STOPS, SLOW, NOTE]
        return sorted(self.findings, key=lambda finding: order.index(finding.level))

    # --- memory and processor ------------------------------------------------

    def check_memory(self):
        """All of the memory must be in files that are shared."""
        machine = self.machine
        for memory in machine.memory:
            self.check_piece(memory)
        for memory in machine.spare:
            self.add(STOPS, f"no numa node is bound to memory object {memory.name}: "
                     f"the guest's memory is elsewhere, and not shared; {NO_MAP}",
                     f"add -numa node,memdev={memory.name}")
        sizes = [memory.size for memory in machine.memory if memory.size is not None]
        if machine.kind == "qemu" and len(sizes) == len(machine.memory) > 0 and machine.size:
            if sum(sizes) != machine.size:
                self.add(STOPS, f"the memory objects have {show_size(sum(sizes))}, -m says "
                         f"{show_size(machine.size)}; QEMU refuses to start", "give both the same size")
        if machine.memory and not any(memory.huge for memory in machine.memory):
            self.add(NOTE, "the memory is not in hugepages: the processor looks up more addresses",
                     "reserve hugepages and add hugetlb=on to the memory object",
                     "reserve hugepages and use <memoryBacking><hugepages/>")

    def check_piece(self, memory):
        """One piece of memory."""
        if not memory.shared:
            told = ("the host sees none of what the guest writes, and nobody says why" if memory.in_file
                    else NO_MAP)
            self.add(STOPS, f"memory {memory.name} is not shared; {told}",
                     "use -object memory-backend-memfd,id=mem,size=...,share=on -numa node,memdev=mem",
                     "use <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>")
        elif not memory.in_file:
            self.add(STOPS, f"memory {memory.name} is in no file that could be shared; "
                     f"{NO_MAP}",
                     "use memory-backend-memfd in the place of memory-backend-ram",
                     "add <source type='memfd'/> to <memoryBacking>")

    def check_processor(self):
        """Emulation, and vCPUs that move from CPU to CPU."""
        machine = self.machine
        if machine.accel not in ("kvm", "hvf", "xen"):
            self.add(SLOW, "QEMU emulates the guest's processor", "use -accel kvm -cpu host",
                     "use <domain type='kvm'> with <cpu mode='host-passthrough'/>")
        if machine.pinned is None:
            self.add(NOTE, "whether vCPUs are pinned is not in a command line",
                     "see with guest-config.py check --pid, QEMU started with -name guest,debug-threads=on; "
                     "pin the threads with taskset -p, off the CPUs that the host polls on")
        elif machine.pinned < machine.vcpus:
            self.add(SLOW, f"{machine.vcpus - machine.pinned} of {machine.vcpus} vCPUs are not pinned: "
                     "they may share a CPU with a polling lcore",
                     "bind each vCPU thread to a CPU of its own with taskset -p",
                     "give each a CPU of its own: <cputune><vcpupin vcpu='0' cpuset='2'/></cputune>")

    # --- sockets ---------------------------------------------------------------

    def check_sockets_differ(self):
        """A port serves one device."""
        counts = Counter(device.socket for device in self.machine.devices if device.socket)
        for path, count in counts.items():
            if count > 1:
                self.add(STOPS, f"{count} devices have the socket {path}; a port serves one at a time",
                         "give each a port of its own")

    def check_role(self, device):
        """One side makes the socket, the other one connects."""
        if self.port.mode is not None and device.server == (self.port.mode == "server"):
            self.wrong_role(device)
        if device.waits:
            self.add(NOTE, f"{device.name}: the guest does not start before the host's program is there",
                     "add wait=off to the chardev")
        if not device.server and not device.reconnects:
            self.add(NOTE, f"{device.name}: after a restart of the host's program nobody connects again",
                     "add reconnect=1 to the chardev (reconnect-ms=1000 from QEMU 9.2 on)",
                     "add <reconnect enabled='yes' timeout='1'/> to <source>")

    def wrong_role(self, device):
        """Both sides make the socket, or both connect."""
        if device.server:
            self.add(STOPS, f"{device.name}: both sides make the socket, neither connects",
                     "remove server=on from the chardev, or give the port client=1",
                     "use mode='client' in <source>, or give the port client=1")
        else:
            self.add(STOPS, f"{device.name}: both sides connect, nobody makes the socket",
                     "add server=on,wait=off to the chardev, or remove client=1 from the port",
                     "use mode='server' in <source>, or remove client=1 from the port")

    def check_path(self, device):
        """The same path on both sides, short enough, and open to the user of QEMU."""
        path = device.socket
        if path is None:
            return
        if len(os.fsencode(path)) > PATH_MAX:
            self.add(STOPS, f"{device.name}: the socket's path has {len(os.fsencode(path))} characters; "
                     f"{PATH_MAX} are possible", "use a shorter one, for instance below /run")
        elif self.port.socket is not None and not same_path(path, self.port.socket):
            self.add(STOPS, f"{device.name}: the socket is {path}, that of {self.port.name} is "
                     f"{self.port.socket}", "give both sides the same path")
        for what in obstacles(path, self.user, device.server):
            self.add(STOPS, f"{device.name}: {what}",
                     "change owner or permissions, or let the port do it: owner=, group= and mode=")

    # --- the device ------------------------------------------------------------

    def check_queues(self, device):
        """No more than the port has, and all of them in use."""
        if self.port.queues is not None and device.queues > self.port.queues:
            self.add(STOPS, f"{device.name} has {device.queues} queue pairs, {self.port.name} has "
                     f"{self.port.queues}; QEMU says \"you are asking more queues than supported\"",
                     f"give the port queues={device.queues}, or the device fewer")
        if device.queues > 1 and not device.mq:
            self.add(SLOW, f"{device.name}: the guest uses one of {device.queues} queue pairs",
                     "add mq=on to the device")

    def check_vectors(self, device):
        """An interrupt of its own for each queue, or none at all under emulation."""
        needed = vectors_for(device.queues)
        if self.machine.accel == "tcg" and device.vectors != 0:
            self.add(STOPS, f"{device.name}: QEMU 7.2 crashes with MSI-X when it emulates the processor",
                     "add vectors=0 to the device",
                     "add <qemu:override> with vectors=0, as guest-config.py libvirt --tcg prints it")
        elif self.machine.accel != "tcg" and device.vectors is not None and device.vectors < needed:
            self.add(SLOW, f"{device.name} has {device.vectors} interrupt vectors for {device.queues} "
                     "queue pairs: queues share them", f"use vectors={needed}, that is 2 * queues + 2")

    def check_rings(self, device):
        """Sizes that QEMU takes, and that hold a burst."""
        for name in ("rx_queue_size", "tx_queue_size"):
            size = device.ring_sizes.get(name, RING_SIZES[0])
            if size not in RING_SIZES:
                self.add(STOPS, f"{device.name}: {name}={size}; QEMU refuses to start",
                         f"use one of {', '.join(map(str, RING_SIZES))}")
            elif size < RING_SIZES[-1]:
                self.add(SLOW, f"{device.name}: {name} is {size}: short bursts overflow the ring",
                         f"add {name}={RING_SIZES[-1]} to the device",
                         f"add {name}='{RING_SIZES[-1]}' to <driver>")

    def check_device(self, device):
        """Kind of device, and what was switched off."""
        if device.model != "virtio":
            self.add(STOPS, f"{device.name}: {device.model or 'the device'} is not virtio-net; QEMU says "
                     "\"vhost-user requires frontend driver virtio-net-*\"",
                     "use -device virtio-net-pci", "use <model type='virtio'/>")
        if device.off:
            self.add(SLOW, f"{device.name}: switched off: {', '.join(device.off)}",
                     "remove these from the device, or set them on")


def same_path(one, other):
    """Whether two paths are the same, links followed where they exist."""
    return os.path.realpath(one) == os.path.realpath(other)


def allowed(status, user, groups, wish):
    """Whether permissions grant a wish (READ, WRITE, SEARCH) to a user."""
    if user == 0:
        return True
    if status.st_uid == user:
        return bool(status.st_mode >> 6 & wish)
    if status.st_gid in groups:
        return bool(status.st_mode >> 3 & wish)
    return bool(status.st_mode & wish)


def obstacles(path, user, makes_socket):
    """What keeps a user (a name) from a socket, as far as files here tell it."""
    if user is None or not path.startswith("/"):
        return
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise ValueError(f"{user} is no user of this machine") from None
    groups = set(os.getgrouplist(user, entry.pw_gid))
    folder = os.path.dirname(path)
    parts = folder.split("/")
    for above in ["/".join(parts[:depth]) or "/" for depth in range(1, len(parts) + 1)]:
        if not os.path.isdir(above):
            yield f"the folder {above} is not there"
            return
        if not allowed(os.stat(above), entry.pw_uid, groups, SEARCH):
            yield f"{user} may not enter {above}"
            return
    if makes_socket:
        if not allowed(os.stat(folder), entry.pw_uid, groups, WRITE):
            yield f"{user} may not make a socket in {folder}"
    elif os.path.exists(path):
        status = os.stat(path)
        if not stat.S_ISSOCK(status.st_mode):
            yield f"{path} is not a socket"
        elif not allowed(status, entry.pw_uid, groups, WRITE):
            yield f"{user} may not write to {path}, and so not connect"


def check(machine, port, user=None):
    """Findings about a machine that shall use a port, the worst first."""
    return Checker(machine, port, user).run()
