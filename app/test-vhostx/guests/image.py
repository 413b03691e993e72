# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The guests' boot image: busybox, virtio-net modules, iperf3 and ethtool, in a cpio archive."""

import hashlib
import os
import platform
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[3]
KERNEL_DIR = CHECKOUT / ".deps" / "guest-linux"
CACHE = CHECKOUT / ".cache" / "guests"
INIT = Path(__file__).with_name("guest-init.sh")
PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static",
         "iperf3": "iperf3", "ethtool": "ethtool"}


@dataclass(frozen=True)
class Image:
    """What QEMU boots."""

    kernel: Path
    initrd: Path


def tool(name):
    """Path of a program; not through PATH alone, which may lack /usr/sbin."""
    return shutil.which(name, path=PATH)


def lacking():
    """Why no guest can be booted here, in words; None if one can."""
    if platform.machine() != "x86_64":
        return "the guests are x86-64 machines"
    missing = [package for name, package in TOOLS.items() if tool(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)} (devtools/setup.sh --tests)"
    if not (KERNEL_DIR / "release").exists():
        return "no guest kernel: run devtools/get-guest-kernel.sh"
    if "not a dynamic" not in _ldd(tool("busybox")):
        return "busybox is linked dynamically: install busybox-static"
    return None


def _ldd(program):
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def libraries(program):
    """Shared objects that a program loads, its loader included."""
    return sorted(set(re.findall(r"(/\S+) \(0x", _ldd(program))))


class Archive:
    """A cpio archive in the form that the kernel unpacks ("newc")."""

    def __init__(self):
        self._parts = []
        self._names = set()

    def _entry(self, name, mode, data, device=(0, 0)):
        if name in self._names:
            return
        self._names.add(name)
        fields = [len(self._names), mode, 0, 0, 1, 0, len(data), 0, 0, *device,
                  len(name) + 1, 0]
        header = b"070701" + "".join(f"{field:08X}" for field in fields).encode()
        for part in (header + name.encode() + b"\0", data):
            self._parts.append(part + bytes(-len(part) % 4))

    def folder(self, name):
        """A folder, and those above it."""
        parts = name.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            self._entry("/".join(parts[:depth]), stat.S_IFDIR | 0o755, b"")

    def device(self, name, kind, major, minor):
        """A device node."""
        self._entry(name, kind | 0o600, b"", (major, minor))

    def file(self, name, source, mode=0o755):
        """A copy of a file, links followed."""
        name = name.strip("/")
        if "/" in name:
            self.folder(os.path.dirname(name))
        self._entry(name, stat.S_IFREG | mode, Path(source).read_bytes())

    def data(self):
        """The whole archive."""
        self._entry("TRAILER!!!", 0, b"")
        return b"".join(self._parts)


def _archive():
    archive = Archive()
    for folder in ("proc", "sys", "dev", "tmp", "bin", "modules", "etc"):
        archive.folder(folder)
    archive.device("dev/console", stat.S_IFCHR, 5, 1)
    archive.file("init", INIT)
    archive.file("bin/busybox", tool("busybox"))
    for name in ("iperf3", "ethtool"):
        archive.file(f"bin/{name}", tool(name))
        for library in libraries(tool(name)):
            archive.file(library, library)
    modules = (KERNEL_DIR / "modules").read_text(encoding="ascii").split()
    for module in modules:
        archive.file(f"modules/{module}", KERNEL_DIR / module)
    archive.file("modules/list", KERNEL_DIR / "modules")
    return archive


def build():
    """The image for what is installed now; made anew only if that has changed."""
    data = _archive().data()
    path = CACHE / f"initrd-{hashlib.sha256(data).hexdigest()[:16]}.cpio"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob("initrd-*.cpio"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(data)
        part.rename(path)
    return Image(KERNEL_DIR / "vmlinuz", path)
