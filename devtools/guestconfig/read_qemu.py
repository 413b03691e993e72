# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Reads a QEMU command line."""

import json
import os
import re
import shlex
from pathlib import Path

from .guest import parse_size
from .machine import Device, Machine, Memory

OFF_VALUES = {"off", "no", "false", "0"}
PROGRAM = r"qemu-system-|qemu-kvm$|kvm$"
# A command line without its program has one of these, if it is QEMU's.
TELLING = {"-accel", "-chardev", "-device", "-drive", "-kernel", "-machine", "-M", "-netdev", "-object"}
# Properties of virtio-net whose absence costs throughput.
FEATURES = {"csum", "guest_csum", "gso", "host_tso4", "host_tso6", "guest_tso4", "guest_tso6",
            "mrg_rxbuf", "event_idx", "indirect_desc"}
# The first property of an option may be without its name.
FIRST = {"-object": "qom-type", "-device": "driver", "-netdev": "type", "-chardev": "backend",
         "-numa": "type", "-machine": "type", "-accel": "accel", "-m": "size", "-smp": "cpus",
         "-M": "type"}


def is_off(value):
    """Whether a property is switched off."""
    return str(value).lower() in OFF_VALUES


def flatten(values, prefix=""):
    """JSON properties as QEMU's dotted ones."""
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}."))
        elif isinstance(value, bool):
            flat[prefix + key] = "on" if value else "off"
        else:
            flat[prefix + key] = str(value)
    return flat


def properties(option, text):
    """Properties of an option's value, by name."""
    if text.lstrip().startswith("{"):
        return flatten(json.loads(text))
    values = {}
    for number, part in enumerate(re.split(r"(?<!,),(?!,)", text)):
        key, equals, value = part.replace(",,", ",").partition("=")
        if equals:
            values[key] = value
        elif number == 0 and option in FIRST:
            values[FIRST[option]] = key
        elif key.startswith("no") and key[2:] in ("wait", "delay"):
            values[key[2:]] = "off"
        else:
            values[key] = "on"
    return values


def is_program(word):
    """Whether a word is a path of QEMU."""
    return re.match(PROGRAM, os.path.basename(word)) is not None


def is_command_line(words):
    """Whether words without a program can be QEMU's options."""
    return not TELLING.isdisjoint(word[1:] if word.startswith("--") else word for word in words)


def words_of(text):
    """The words of a command line in a script: comments and broken lines understood."""
    words = shlex.split(text.replace("\\\n", " "), comments=True)
    for number, word in enumerate(words):
        if word.startswith("-"):
            break
        if is_program(word):
            return words[number + 1:]
    if not is_command_line(words):
        raise ValueError("there is no QEMU command line, and no libvirt domain, in that")
    return words


def options_of(words):
    """[(option, properties)] of a command line; an option without a value has none."""
    found = []
    for number, word in enumerate(words):
        if not word.startswith("-") or word == "-":
            continue
        option = word[1:] if word.startswith("--") else word
        following = words[number + 1] if number + 1 < len(words) else "-"
        has_value = not following.startswith("-") or following == "-"
        found.append((option, properties(option, following) if has_value else {}))
    return found


class Reader:
    """Collects options, then joins what refers to each other."""

    def __init__(self, options):
        self.options = options
        self.machine = Machine("qemu")
        self.chardevs = self.by_id("-chardev")
        self.netdevs = self.by_id("-netdev")
        self.objects = self.by_id("-object")

    def all(self, *names):
        """Properties of each option of that name, in order."""
        return [values for option, values in self.options if option in names]

    def by_id(self, name):
        """The same by their id."""
        return {values["id"]: values for values in self.all(name) if "id" in values}

    def last(self, *names):
        """Properties of all options of that name; the last value of each counts."""
        merged = {}
        for values in self.all(*names):
            merged.update(values)
        return merged

    def read(self):
        """The machine."""
        self.read_processor()
        self.read_memory()
        for name, netdev in self.netdevs.items():
            if netdev.get("type") == "vhost-user":
                self.read_device(name, netdev)
        return self.machine

    def read_processor(self):
        """Acceleration and number of vCPUs."""
        accels = [values.get("accel") for values in self.all("-accel", "-machine", "-M")]
        accels = [accel for accel in accels if accel]
        if self.all("-enable-kvm"):
            accels.insert(0, "kvm")
        self.machine.accel = re.split("[:,]", accels[0])[0] if accels else "tcg"
        smp = self.last("-smp")
        counts = [int(smp[key]) for key in ("sockets", "dies", "cores", "threads") if key in smp]
        self.machine.vcpus = int(smp["cpus"]) if smp.get("cpus", "").isdigit() else 1
        if "cpus" not in smp:
            for count in counts:
                self.machine.vcpus *= count

    def read_memory(self):
        """Memory objects, and whether the machine uses them."""
        size = self.last("-m").get("size")
        self.machine.size = parse_size(size) if size else None
        objects = {name: values for name, values in self.objects.items()
                   if values.get("qom-type", "").startswith("memory-backend-")}
        used = [values["memdev"] for values in self.all("-numa") if "memdev" in values]
        named = self.last("-machine", "-M").get("memory-backend")
        used += [named] if named else []
        used += [values["memdev"] for values in self.all("-device") if "dimm" in values.get("driver", "")
                 and "memdev" in values]
        for name in dict.fromkeys(used):
            if name in objects:
                self.machine.memory.append(read_object(name, objects[name]))
            else:
                self.machine.errors.append((f"memory object {name} does not exist",
                                            f"give it by -object memory-backend-memfd,id={name},"
                                            "size=...,share=on"))
        self.machine.spare = [read_object(name, values) for name, values in objects.items()
                              if name not in used]
        if not self.machine.memory and not self.machine.spare:
            path = self.last("-mem-path")
            self.machine.memory.append(Memory("of -mem-path" if path else "of -m", False, bool(path),
                                              self.machine.size))

    def read_device(self, name, netdev):
        """A vhost-user netdev with its chardev and the device in front of it."""
        device = Device(f"netdev {name}", queues=int(netdev.get("queues", 1)))
        self.machine.devices.append(device)
        chardev = self.chardevs.get(netdev.get("chardev"))
        if chardev is None:
            self.machine.errors.append((f"netdev {name}: chardev {netdev.get('chardev')} does not exist",
                                        "give it by -chardev socket,id=...,path=..."))
        elif chardev.get("backend") != "socket" or not {"path", "fd"} & chardev.keys():
            self.machine.errors.append((f"netdev {name}: chardev {chardev['id']} is no UNIX socket",
                                        "use -chardev socket,id=...,path=..."))
        else:
            read_chardev(device, chardev)
        fronts = [values for values in self.all("-device") if values.get("netdev") == name]
        if not fronts:
            self.machine.errors.append((f"netdev {name} belongs to no device",
                                        f"add -device virtio-net-pci,netdev={name}"))
        for front in fronts:
            read_front(device, front)


def read_object(name, values):
    """A memory object. Those of memfd and shm are shared by default, the others are not."""
    kind = values["qom-type"]
    shared_by_default = kind in ("memory-backend-memfd", "memory-backend-shm")
    share = values.get("share", "on" if shared_by_default else "off")
    size = values.get("size")
    huge = not is_off(values.get("hugetlb", "off")) or "huge" in values.get("mem-path", "")
    # the size of an object is in bytes where -m is in MiB
    return Memory(name, not is_off(share), kind != "memory-backend-ram",
                  (int(size) if size.isdigit() else parse_size(size)) if size else None, huge)


def read_chardev(device, chardev):
    """Socket and role."""
    device.socket = chardev.get("path")
    device.server = not is_off(chardev.get("server", "off"))
    device.waits = device.server and not is_off(chardev.get("wait", "on"))
    device.reconnects = any(chardev.get(key, "0") != "0" for key in ("reconnect", "reconnect-ms"))


def read_front(device, front):
    """The device that the guest sees."""
    driver = front.get("driver", "")
    device.model = "virtio" if driver.startswith("virtio-net") else driver
    device.mq = not is_off(front.get("mq", "off"))
    device.vectors = int(front["vectors"]) if "vectors" in front else None
    device.ring_sizes = {key: int(front[key]) for key in ("rx_queue_size", "tx_queue_size")
                         if key in front}
    device.off = sorted(key for key in FEATURES & front.keys() if is_off(front[key]))


def read(text):
    """The machine that a command line starts."""
    return Reader(options_of(words_of(text))).read()


def read_process(pid):
    """The machine that a running QEMU is, and whether its vCPU threads are bound to CPUs."""
    proc = Path("/proc") / str(pid)
    if not proc.is_dir():
        raise ValueError(f"there is no process {pid}")
    program, *words = proc.joinpath("cmdline").read_bytes().decode(errors="replace").split("\0")
    if not is_program(program) and not is_command_line(words):
        raise ValueError(f"process {pid} is {program or 'a thread of the kernel'}, not QEMU")
    machine = Reader(options_of(words)).read()
    allowed = len(os.sched_getaffinity(0))
    threads = [task for task in proc.joinpath("task").iterdir()
               if re.match(r"CPU \d+/", task.joinpath("comm").read_text(encoding="utf-8"))]
    if threads:  # only with -name debug-threads=on do they have names
        machine.pinned = sum(len(os.sched_getaffinity(int(task.name))) == 1 < allowed
                             for task in threads)
    return machine
