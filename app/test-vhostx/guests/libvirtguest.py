# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""A guest that libvirt starts: a session daemon of an ordinary user, which ends with the test."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import xml.etree.ElementTree as ElementTree

from guest import KERNEL_COMMAND_LINE, Shell
from image import CHECKOUT, PATH, tool

USER = "nobody"
QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
DAEMONS = ("libvirtd", "virtlogd")


def lacking():
    """Why libvirt cannot be used here, in words; None if it can."""
    if os.geteuid() != 0:
        return "another user's libvirt takes root"
    missing = [name for name in ("virsh", "libvirtd", "setpriv") if tool(name) is None]
    return f"not installed: {', '.join(missing)} (devtools/setup.sh --tests)" if missing else None


def adapt(path, boot_image, folder, port):
    """The domain of the page, to boot here: emulated, another disk, another socket; a copy in the folder."""
    ElementTree.register_namespace("qemu", QEMU)
    tree = ElementTree.parse(path)
    domain = tree.getroot()
    domain.set("type", "qemu")
    domain.remove(domain.find("cpu"))
    devices = domain.find("devices")
    for name in ("disk", "console"):
        devices.remove(devices.find(name))
    system = domain.find("os")
    for name, source in (("kernel", boot_image.kernel), ("initrd", boot_image.initrd)):
        ElementTree.SubElement(system, name).text = str(shutil.copy(source, folder / name))
    ElementTree.SubElement(system, "cmdline").text = KERNEL_COMMAND_LINE
    console = ElementTree.SubElement(devices, "serial", type="file")
    ElementTree.SubElement(console, "source", path=str(folder / "libvirt" / "console"))
    shell = ElementTree.SubElement(devices, "serial", type="unix")
    ElementTree.SubElement(shell, "source", mode="connect", path=str(folder / "shell.sock"))
    interface = devices.find("interface")
    interface.find("source").set("path", str(port))
    ElementTree.SubElement(interface, "alias", name="ua-net0")
    device = ElementTree.SubElement(ElementTree.SubElement(domain, f"{{{QEMU}}}override"),
                                    f"{{{QEMU}}}device", alias="ua-net0")
    ElementTree.SubElement(ElementTree.SubElement(device, f"{{{QEMU}}}frontend"),
                           f"{{{QEMU}}}property", name="vectors", type="unsigned", value="0")
    adapted = folder / "guest.xml"
    tree.write(adapted)
    return adapted


class Libvirt:
    """A user's libvirt, its files in a folder; it stops in the end, with the guests."""

    def __init__(self, folder):
        self._folder = folder
        self._home = folder / "libvirt"
        self._listener = None

    def __enter__(self):
        self._home.mkdir(mode=0o700)
        os.chown(self._home, pwd.getpwnam(USER).pw_uid, -1)
        return self

    def __exit__(self, *exception):
        subprocess.run(self._as_user("virsh destroy guest"), env=self._environment(),
                       capture_output=True, check=False)
        for name in DAEMONS:
            file = self._home / "libvirt" / f"{name}.pid"
            if file.exists():
                os.kill(int(file.read_text(encoding="ascii")), signal.SIGTERM)

    def _environment(self):
        return {"PATH": PATH, "HOME": str(self._home), "XDG_RUNTIME_DIR": str(self._home),
                "XDG_CONFIG_HOME": str(self._home / "config"),
                "XDG_CACHE_HOME": str(self._home / "cache"),
                "LIBVIRT_DEFAULT_URI": "qemu:///session", "LC_ALL": "C.UTF-8"}

    @staticmethod
    def _as_user(command):
        return ["setpriv", f"--reuid={USER}", "--clear-groups", "sh", "-c", command]

    def run(self, command):
        """Run a line of shell as the user; what it printed."""
        command = command.replace("devtools/", f"{CHECKOUT}/devtools/")
        done = subprocess.run(self._as_user(command), env=self._environment(), cwd=self._folder,
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, commands, domain):
        """Run the page's commands, which start the domain and list it; the guest."""
        guest = Shell("guest")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(domain.parent / "shell.sock"))
            (domain.parent / "shell.sock").chmod(0o777)
            listener.listen()
            listener.settimeout(20)
            printed = "".join(self.run(line) for line in commands)
            assert "running" in printed, printed
            connection, _ = listener.accept()
        guest.attach(connection)
        return guest
