# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""guest-config.py: what it prints fits the port, and what it finds wrong is wrong.

Nothing runs here but the program; the guest tests boot what it prints.
"""

import json
import os
import pwd
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from image import CHECKOUT

sys.path.insert(0, str(CHECKOUT / "devtools"))

from guestconfig import checks, libvirt, qemu, read_libvirt, read_qemu  # noqa: E402
from guestconfig.guest import Guest, mac_for, parse_size, show_size  # noqa: E402
from guestconfig.port import Port, PortError, from_telemetry  # noqa: E402

PROGRAM = CHECKOUT / "devtools" / "guest-config.py"
PATH = "/run/vhost.sock"
SERVER, CLIENT = Port(PATH, "server", 2), Port(PATH, "client", 2)
STOPS, SLOW, NOTE = checks.STOPS, checks.SLOW, checks.NOTE


def command(port=SERVER, **wishes):
    """QEMU's arguments for a port."""
    wishes.setdefault("queues", 2)
    return " ".join(f"{option} {shlex.quote(value)}"
                    for option, value in qemu.arguments(Guest(port, **wishes)))


def domain(port=SERVER, **wishes):
    """A libvirt domain for a port, its one vCPU pinned."""
    wishes.setdefault("queues", 2)
    text = libvirt.domain_xml(Guest(port, **wishes))
    return text.replace("<devices>", "<cputune><vcpupin vcpu='0' cpuset='1'/></cputune><devices>")


def findings(text, port=SERVER, user=None):
    """What is found in a command line or a domain."""
    reader = read_libvirt if text.startswith("<") else read_qemu
    return checks.check(reader.read(text), port, user)


def levels(text, port=SERVER):
    """Levels of what is found."""
    return {finding.level for finding in findings(text, port)}


def assert_found(text, level, what, remedy, port=SERVER, user=None):
    """One finding must have that level, those words and that remedy."""
    found = findings(text, port, user)
    assert any(finding.level == level and what in finding.what and remedy in finding.remedy
               for finding in found), found


# --- what is printed ---------------------------------------------------------------

@pytest.mark.parametrize("port", [SERVER, CLIENT], ids=["server", "client"])
@pytest.mark.parametrize("wishes", [
    {}, {"queues": 1}, {"packed": True}, {"ring_size": 512, "mtu": 9000}, {"hugepages": True, "node": 0},
    {"tcg": True}, {"iommu": True}], ids=str)
@pytest.mark.parametrize("write", [command, domain])
def test_what_is_printed_fits(port, wishes, write):
    assert STOPS not in levels(write(port, **wishes), port)


def test_nothing_is_slow_by_default():
    assert levels(command(hugepages=True)) == {NOTE}  # the vCPUs cannot be seen
    assert levels(domain(hugepages=True)) == set()


def test_arguments_of_two_queue_pairs():
    text = command(mac="52:54:00:00:00:01")
    assert "memory-backend-memfd,id=mem,size=1G,share=on" in text
    assert "node,memdev=mem" in text
    assert "queues=2" in text
    assert ("virtio-net-pci,netdev=net0,mac=52:54:00:00:00:01,mq=on,vectors=6,"
            "rx_queue_size=1024,tx_queue_size=1024") in text


def test_qemu_takes_the_other_role():
    assert "server=on,wait=off" in command(CLIENT)
    assert "server=on" not in command(SERVER)
    assert 'mode="server"' in domain(CLIENT)
    assert 'mode="client"' in domain(SERVER)


def test_emulation_has_no_vectors():
    assert "vectors=0" in command(tcg=True)
    assert '<qemu:property name="vectors" type="unsigned" value="0" />' in domain(tcg=True)


def test_device_behind_an_iommu():
    text = command(iommu=True)
    iommu, device = text.index("intel-iommu,device-iotlb=on"), text.index("virtio-net-pci")
    assert "-machine q35" in text and iommu < device
    assert "disable-legacy=on,iommu_platform=on,ats=on" in text[device:]
    second = command(iommu=True, index=1)
    assert "iommu_platform=on" in second and "intel-iommu" not in second and "q35" not in second
    assert "iommu" not in command()
    text = domain(iommu=True)
    assert '<iommu model="intel">' in text and 'iotlb="on"' in text and 'iommu="on" ats="on"' in text


def test_second_device_has_no_memory_of_its_own():
    text = command(index=1)
    assert "memory-backend" not in text and "id=net1,chardev=char1" in text


def test_offloads_can_be_left_out():
    assert "csum=off" in command(offloads=False) and "host_tso4=off" in command(offloads=False)
    assert "csum=off" not in command()
    assert '<host csum="off"' in domain(offloads=False)


def test_domains_are_valid(tmp_path):
    """libvirt's own schema takes what is printed, once the rest of a domain is there."""
    rest = ("<name>guest</name><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os>")
    for number, wishes in enumerate([{}, {"tcg": True, "packed": True, "mtu": 9000},
                                     {"offloads": False, "hugepages": True, "node": 0}, {"iommu": True}]):
        path = tmp_path / f"{number}.xml"
        path.write_text(domain(CLIENT, **wishes).replace("<memory unit", rest + "<memory unit"),
                        encoding="utf-8")
        try:
            done = subprocess.run(["virt-xml-validate", path, "domain"], capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("not installed: libvirt-clients (devtools/setup.sh --tests)")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("port, wishes, reason", [
    (Port(), {}, "which socket"),
    (Port("/run/" + "x" * 103), {}, "at most 107"),
    (Port("/run/a,b"), {}, "comma"),
    (SERVER, {"queues": 3}, "2 queue pairs, not 3"),
    (Port(PATH), {"queues": 129}, "not 1 to 128"),
    (SERVER, {"ring_size": 300}, "not of 300"),
    (SERVER, {"memory": 0}, "needs memory"),
    (SERVER, {"mtu": 67}, "67 is not 68 to 65535"), (SERVER, {"mtu": 65536}, "65536 is not 68 to 65535"),
    (SERVER, {"mac": "52:54:00:12:34"}, "unicast"), (SERVER, {"mac": "01:00:00:00:00:01"}, "unicast"),
    (SERVER, {"mac": "00:00:00:00:00:00"}, "unicast"),
    (SERVER, {"node": -1}, "no NUMA node"), (SERVER, {"index": -1}, "the first is 0")])
def test_what_cannot_be(port, wishes, reason):
    with pytest.raises(PortError, match=reason):
        Guest(port, **wishes)


def test_path_of_107_characters_is_taken():
    assert Guest(Port("/run/" + "x" * 102)).port.socket


def test_sizes():
    assert parse_size("2G") == 2 << 30 and parse_size("512") == 512 << 20
    assert parse_size("1.5G") == 3 << 29 and parse_size("4MiB") == 4 << 20
    assert show_size(2 << 30) == "2G" and show_size(3 << 29) == "1536M"
    with pytest.raises(ValueError, match="no size"):
        parse_size("much")


def test_addresses_differ():
    assert mac_for("/run/a") != mac_for("/run/b")
    assert mac_for("/run/a").startswith("52:54:00:")


# --- what is found ---------------------------------------------------------------

QEMU_FAULTS = [
    # what is edited, what becomes of it, level, words of the finding, words of the remedy
    ("private memory", "share=on", "share=off", STOPS, "memory mem is not shared", "share=on"),
    ("file without share", "memory-backend-memfd,id=mem,size=1G,share=on",
     "memory-backend-file,id=mem,size=1G,mem-path=/dev/hugepages", STOPS,
     "the host sees none of what the guest writes", "memory-backend-memfd"),
    ("memory without a file", "memory-backend-memfd", "memory-backend-ram", STOPS, "in no file",
     "memory-backend-memfd"),
    ("no numa node", "-numa node,memdev=mem", "", STOPS, "no numa node is bound to memory object mem",
     "-numa node,memdev=mem"),
    ("no memory object", "-object memory-backend-memfd,id=mem,size=1G,share=on -numa node,memdev=mem", "",
     STOPS, "Failed initializing vhost-user memory map", "-numa node,memdev=mem"),
    ("other memory object", "node,memdev=mem", "node,memdev=ram", STOPS, "memory object ram does not exist",
     "-object"),
    ("two sizes", "size=1G", "size=2G", STOPS, "have 2G, -m says 1G", "the same size"),
    ("both servers", ",reconnect=1", ",server=on,wait=off", STOPS, "both sides make the socket",
     "remove server=on"),
    ("other socket", PATH, "/run/other.sock", STOPS, "the socket is /run/other.sock", "the same path"),
    ("long path", PATH, "/run/" + "x" * 103, STOPS, "108 characters", "shorter"),
    ("too many queues", "queues=2", "queues=3", STOPS, "asking more queues than supported", "queues=3"),
    ("no multiqueue", "mq=on,", "", SLOW, "one of 2 queue pairs", "mq=on"),
    ("few vectors", "vectors=6", "vectors=3", SLOW, "3 interrupt vectors for 2 queue pairs", "vectors=6"),
    ("no vectors", "vectors=6", "vectors=0", SLOW, "0 interrupt vectors", "vectors=6"),
    ("emulated", "-accel kvm", "-accel tcg", STOPS, "crashes with MSI-X", "vectors=0"),
    ("emulated and slow", "-accel kvm", "-accel tcg", SLOW, "emulates", "-accel kvm"),
    ("emulated by default", "-accel kvm", "", SLOW, "emulates", "-accel kvm"),
    ("small ring", "rx_queue_size=1024,", "", SLOW, "rx_queue_size is 256", "rx_queue_size=1024"),
    ("odd ring", "tx_queue_size=1024", "tx_queue_size=2048", STOPS, "tx_queue_size=2048", "1024"),
    ("checksums off", "mq=on", "mq=on,csum=off", SLOW, "switched off: csum", "remove"),
    ("segmentation off", "mq=on", "mq=on,host_tso4=off,guest_tso6=no", SLOW, "guest_tso6, host_tso4",
     "remove"),
    ("mergeable off", "mq=on", "mq=on,mrg_rxbuf=off", SLOW, "switched off: mrg_rxbuf", "remove"),
    ("other device", "virtio-net-pci", "e1000", STOPS, "e1000 is not virtio-net", "virtio-net-pci"),
    ("no device", "-device virtio-net-pci,netdev=net0", "-device virtio-net-pci,netdev=net7", STOPS,
     "netdev net0 belongs to no device", "-device virtio-net-pci,netdev=net0"),
    ("other chardev", "chardev=char0", "chardev=char1", STOPS, "chardev char1 does not exist", "-chardev"),
    ("chardev of a pipe", "socket,id=char0,path=", "pipe,id=char0,path=", STOPS, "no UNIX socket", "socket"),
    ("no vhost-user", "vhost-user", "user", STOPS, "no vhost-user network device", "guest-config.py"),
    ("no reconnect", ",reconnect=1", "", NOTE, "nobody connects again", "reconnect=1"),
    ("ordinary pages", "hugetlb=on,", "", NOTE, "hugepages", "hugetlb=on"),
    ("pinning", "", "", NOTE, "vCPUs are pinned is not in a command line", "--pid"),
]


@pytest.mark.parametrize("old, new, level, what, remedy", [fault[1:] for fault in QEMU_FAULTS],
                         ids=[fault[0] for fault in QEMU_FAULTS])
def test_qemu_fault(old, new, level, what, remedy):
    """The fault is found where it is, and not in the command line without it."""
    good = command()
    assert old in good or level == NOTE
    assert_found(good.replace(old, new), level, what, remedy)
    if level != NOTE:
        assert not any(what in finding.what for finding in findings(good))


def test_client_of_a_client():
    text = command(SERVER)
    assert_found(text, STOPS, "both sides connect", "server=on,wait=off", CLIENT)


def test_server_that_waits():
    text = command(CLIENT).replace(",wait=off", "")
    assert_found(text, NOTE, "does not start before", "wait=off", CLIENT)


def test_two_devices_with_one_socket():
    assert_found(command() + " " + command(index=1), STOPS, f"2 devices have the socket {PATH}", "its own")


LIBVIRT_FAULTS = [
    ("private memory", '<access mode="shared" />', "", STOPS, "is not shared", "mode='shared'"),
    ("anonymous memory", '<source type="memfd" />', "", STOPS, "in no file", "memfd"),
    ("both servers", 'mode="client"', 'mode="server"', STOPS, "both sides make the socket", "mode='client'"),
    ("too many queues", 'queues="2"', 'queues="3"', STOPS, "asking more queues than supported", "queues=3"),
    ("small ring", 'rx_queue_size="1024"', "", SLOW, "rx_queue_size is 256", "rx_queue_size='1024'"),
    ("checksums off", ' tx_queue_size="1024" />', "><host csum='off'/></driver>", SLOW,
     "switched off: csum", "remove"),
    ("emulated", 'type="kvm"', 'type="qemu"', STOPS, "crashes with MSI-X", "qemu:override"),
    ("not pinned", "<vcpupin vcpu='0' cpuset='1'/>", "", SLOW, "1 of 1 vCPUs are not pinned", "vcpupin"),
    ("other model", 'model type="virtio"', 'model type="e1000"', STOPS, "not virtio-net", "virtio"),
    ("no interface", 'type="vhostuser"', 'type="ethernet"', STOPS, "no vhost-user network device",
     "guest-config.py libvirt"),
    ("no reconnect", '<reconnect enabled="yes" timeout="1" />', "", NOTE, "nobody connects again",
     "reconnect enabled"),
    ("ordinary pages", "", "", NOTE, "not in hugepages", "hugepages"),
    ("one private cell", "<devices>", "<cpu><numa><cell id='0' memAccess='shared'/>"
     "<cell id='1' memAccess='private'/></numa></cpu><devices>", STOPS, "of cell 1 is not shared", "shared"),
]


@pytest.mark.parametrize("old, new, level, what, remedy", [fault[1:] for fault in LIBVIRT_FAULTS],
                         ids=[fault[0] for fault in LIBVIRT_FAULTS])
def test_libvirt_fault(old, new, level, what, remedy):
    """Likewise in a domain."""
    good = domain()
    assert old in good
    assert_found(good.replace(old, new), level, what, remedy)
    if level != NOTE:
        assert not any(what in finding.what for finding in findings(good))


# --- other ways of writing -------------------------------------------------------

def test_script_with_comments_and_broken_lines():
    text = "# my guest\nexec -a vm /usr/bin/qemu-system-x86_64 -name vm \\\n  " + command().replace(
        " -", " \\\n  -") + " -nographic\n"
    assert STOPS not in levels(text)
    assert_found(text.replace("share=on", "share=off"), STOPS, "not shared", "share=on")


def test_json_arguments():
    """As libvirt writes them."""
    memory = json.dumps({"qom-type": "memory-backend-memfd", "id": "pc.ram", "share": True, "size": 1 << 30})
    device = json.dumps({"driver": "virtio-net-pci", "netdev": "net0", "mq": True, "vectors": 6,
                         "rx_queue_size": 1024, "tx_queue_size": 1024})
    text = (f"-machine pc,accel=kvm,memory-backend=pc.ram -m size=1048576k -object '{memory}' "
            f"-chardev socket,id=c,path={PATH},reconnect=1 "
            f"-netdev '{{\"type\":\"vhost-user\",\"id\":\"net0\",\"chardev\":\"c\",\"queues\":2}}' "
            f"-device '{device}'")
    assert levels(text) == {NOTE}
    assert_found(text.replace('"share": true', '"share": false'), STOPS, "pc.ram is not shared", "share=on")


def test_machine_binds_memory_without_numa():
    text = command().replace("-numa node,memdev=mem", "-machine q35,memory-backend=mem")
    assert STOPS not in levels(text)


def test_memfd_is_shared_by_default():
    assert STOPS not in levels(command().replace(",share=on", ""))


def test_old_spelling_of_server():
    text = command(CLIENT).replace("server=on,wait=off", "server,nowait")
    assert STOPS not in levels(text, CLIENT)


def test_unknown_port_is_not_judged():
    for port in (SERVER, CLIENT):
        assert STOPS not in levels(command(port, queues=1), Port())


# --- permissions -----------------------------------------------------------------

@pytest.fixture(name="folder")
def _folder(tmp_path):
    """A folder that everybody may enter."""
    for above in (tmp_path, *tmp_path.parents):
        if above.stat().st_uid == os.geteuid() and not above.stat().st_mode & 1:
            above.chmod(0o755)
    return tmp_path


NOBODY = "nobody"


def test_socket_that_may_not_be_written(folder):
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        path.chmod(0o755)
        port = Port(str(path), "server")
        assert_found(command(port), STOPS, f"nobody may not write to {path}", "mode=", port, NOBODY)
        path.chmod(0o777)
        assert not any("nobody" in finding.what for finding in findings(command(port), port, NOBODY))
        path.chmod(0o755)
        assert STOPS not in levels(command(port), port)  # nobody asked about a user


def test_folder_that_may_not_be_entered(folder):
    closed = folder / "closed"
    closed.mkdir(0o700)
    port = Port(str(closed / "s"), "server")
    assert_found(command(port), STOPS, f"nobody may not enter {closed}", "permissions", port, NOBODY)


def test_folder_that_qemu_may_not_write(folder):
    port = Port(str(folder / "s"), "client")
    assert_found(command(port), STOPS, f"may not make a socket in {folder}", "permissions", port, NOBODY)


def test_folder_that_is_not_there(folder):
    port = Port(str(folder / "none" / "s"), "server")
    assert_found(command(port), STOPS, "is not there", "permissions", port, NOBODY)


def test_own_user_may():
    me = pwd.getpwuid(os.geteuid()).pw_name
    port = Port("/tmp/s", "client")
    assert STOPS not in {finding.level for finding in findings(command(port), port, me)}


# --- the program -----------------------------------------------------------------

def run(*arguments, text=""):
    """The program's exit status and what it printed."""
    done = subprocess.run(["/usr/bin/python3", PROGRAM, *map(str, arguments)], input=text,
                          capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout + done.stderr


def test_program_checks_a_file_and_standard_input(tmp_path):
    status, printed = run("qemu", "--socket", PATH)
    assert status == 0 and printed.startswith("-accel kvm")
    good = tmp_path / "good.sh"
    good.write_text(f"qemu-system-x86_64 {printed}", encoding="utf-8")
    status, told = run("check", "--socket", PATH, "--mode", "server", good)
    assert status == 0 and "0 would stop vhost-user" in told
    status, told = run("check", "-", text=printed.replace("share=on", "share=off"))
    assert status == 1 and "1 would stop vhost-user" in told and "stops: memory mem" in told


def test_program_checks_a_process():
    arguments = shlex.split(command().replace("share=on", "share=off"))
    sleeper = "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", sleeper, *arguments]) as process:
        try:
            status, told = run("check", "--pid", process.pid)
        finally:
            process.kill()
    assert status == 1 and "memory mem is not shared" in told


@pytest.mark.parametrize("arguments, reason", [
    (["qemu"], "which socket"), (["qemu", "--socket", PATH, "--memory", "x"], "no size"),
    (["qemu", "--socket", PATH, "--queues", "0"], "0 queue pairs are not 1 to 128"),
    (["check", "/nowhere"], "No such file"), (["check"], "required"),
    (["check", "--pid", str(os.getpid())], f"process {os.getpid()} is "),
    (["check", "--pid", "4194305"], "there is no process 4194305"),
    (["qemu", "--telemetry", "/nowhere"], "is the application running")])
def test_program_refuses(arguments, reason):
    status, told = run(*arguments)
    assert status == 2 and reason in told


def test_program_refuses_other_text():
    status, told = run("check", "-", text="echo hello\n")
    assert status == 2 and "no QEMU command line" in told


def test_program_refuses_unknown_user():
    status, told = run("check", "--user", "nobody-of-that-name", "-", text=command())
    assert status == 2 and told.rstrip().endswith("nobody-of-that-name is no user of this machine")


def test_program_refuses_other_xml():
    status, told = run("check", "-", text="<network/>")
    assert status == 2 and "no libvirt domain" in told


# --- telemetry -------------------------------------------------------------------

PORTS = {"/vhostx/list": [0, 3], **{f"/vhostx/info,{number}": {
    "socket": f"/run/{number}.sock", "mode": mode, "nr_rings": rings, "name": f"net_vhostx{number}"}
    for number, mode, rings in ((0, "server", 2), (3, "client", 8))}}


@pytest.fixture(name="telemetry")
def _telemetry(tmp_path):
    """An application's telemetry socket, in a folder as the EAL has it."""
    path = tmp_path / "dpdk_telemetry.v2"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=answer, args=(listener,), daemon=True)
        thread.start()
        yield Path(path)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def answer(listener):
    """One question a connection."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.send(json.dumps({"version": "x", "max_output_len": 16384}).encode())
            asked = connection.recv(1024).decode()
            connection.send(json.dumps({asked.split(",")[0]: PORTS.get(asked)}).encode())


def test_port_from_telemetry(telemetry):
    assert from_telemetry(telemetry, 3) == Port("/run/3.sock", "client", 4, "net_vhostx3")
    assert from_telemetry(telemetry.parent, 0).queues == 1
    with pytest.raises(PortError, match="which port"):
        from_telemetry(telemetry)
    with pytest.raises(PortError, match="those are 0, 3"):
        from_telemetry(telemetry, 1)


def test_program_asks_telemetry(telemetry):
    status, printed = run("qemu", "--telemetry", telemetry.parent, "--port", 3)
    assert status == 0
    assert "path=/run/3.sock,server=on,wait=off" in printed and "queues=4" in printed
    status, told = run("check", "--telemetry", telemetry, "--port", 3, "-", text=printed)
    assert status == 0, told
    status, told = run("check", "--telemetry", telemetry, "--port", 0, "-", text=printed)
    assert status == 1 and "net_vhostx0 has 1" in told and "both sides make the socket" in told
