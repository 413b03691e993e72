# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""What two ends of a network do to each other: addresses, ping, iperf3, files, counters.

An end is anything with run(), attempt() and spawn(): a guest, or a network
namespace of this machine.
"""

import json
import re
from dataclasses import dataclass

IPERF_PORT, HTTP_PORT = 5201, 8080
FILE_KIB = 2048
# What an iperf3 run sends unless it is given a time: bytes by TCP, or datagrams.
BYTES, DATAGRAMS = "-n 8M", "-k 300"
V4, V6 = "10.9.9.{}", "fd00:99::{}"


@dataclass
class End:
    """One end with its number on the network and the name of its interface."""

    host: object
    number: int
    interface: str = "eth0"

    @property
    def v4(self):
        """Its IPv4 address."""
        return V4.format(self.number)

    @property
    def v6(self):
        """Its IPv6 address."""
        return V6.format(self.number)

    def configure(self, mtu=None):
        """Give the interface its addresses, and switch it on."""
        dev = self.interface
        # an address that is tried out first cannot be used at once
        self.host.run(f"echo 0 >/proc/sys/net/ipv6/conf/{dev}/accept_dad")
        if mtu:
            self.host.run(f"ip link set {dev} mtu {mtu}")
        self.host.run(f"ip link set {dev} up")
        self.host.run(f"ip addr add {self.v4}/24 dev {dev}")
        self.host.run(f"ip -6 addr add {self.v6}/64 dev {dev}")
        return self

    def reach(self, other, tries=50):
        """Ping until the first answer: links and addresses take a moment."""
        self.host.run(f"for i in $(seq {tries}); do ping -c 1 -W 1 {other.v4} && exit 0; "
                      "usleep 100000; done; exit 1", timeout=2 * tries)

    def ping(self, other, count=10, size=56, v6=False):
        """No ping may be lost; average round trip in ms."""
        address = other.v6 if v6 else other.v4
        text = self.host.run(f"ping -{'6' if v6 else '4'} -c {count} -i 0.02 -W 2 -s {size} {address}")
        assert f"{count} packets transmitted, {count} packets received" in text, text
        return float(re.search(r"min/avg/max = [\d.]+/([\d.]+)/", text).group(1))

    def counters(self):
        """Protocol counters of its kernel, "TcpInCsumErrors" and the like, v4 and v6."""
        values = {}
        lines = self.host.run("cat /proc/net/snmp").splitlines()
        for names, numbers in zip(lines[::2], lines[1::2]):
            kind, _, rest = names.partition(": ")
            values.update((kind + name, int(number)) for name, number
                          in zip(rest.split(), numbers.partition(": ")[2].split()))
        for line in self.host.run("cat /proc/net/snmp6").splitlines():
            name, number = line.split()
            values[name] = int(number)
        return values

    def assert_checksums_right(self):
        """No packet may have reached its kernel with a wrong checksum."""
        wrong = {name: value for name, value in self.counters().items()
                 if "CsumErrors" in name and value != 0}
        assert not wrong, f"{wrong} at {self.v4}"

    def queue_pairs(self, number):
        """Change how many queue pairs are in use."""
        self.host.run(f"ethtool -L {self.interface} combined {number}")

    def features(self):
        """virtio features of its device, as a set of bit numbers."""
        bits = self.host.run(f"cat /sys/class/net/{self.interface}/device/features").strip()
        return {number for number, bit in enumerate(bits) if bit == "1"}


def flood(sender, receiver, streams=4):
    """Pings and their answers as fast as they go, until quiet(); ping gives up when the link is away for long."""
    sender.host.run("touch /tmp/flood")
    for _ in range(streams):
        sender.host.run(f"while [ -e /tmp/flood ]; do ping -q -i 0.002 -s 1000 {receiver.v4}; done "
                        ">/dev/null 2>&1 &")


def quiet(sender):
    """End what flood() began, and any other ping."""
    sender.host.run("rm /tmp/flood; killall -INT ping")


def listen(end, command, port):
    """Start a server in the background, and wait until it listens on its port."""
    job = end.host.spawn(command)
    end.host.run(f"for i in $(seq 100); do netstat -ltn | grep -q ':{port} ' && exit 0; "
                 "usleep 50000; done; exit 1")
    return job


def serve(end, options=""):
    """Start an iperf3 server for one test."""
    return listen(end, f"iperf3 -s -1 -p {IPERF_PORT} {options}", IPERF_PORT)


def iperf(client, server, amount, options="", seconds=0, v6=False):
    """One iperf3 run from client to server, of an amount of data or for a time; its report."""
    job = serve(server)
    address = server.v6 if v6 else server.v4
    end = f"-t {seconds}" if seconds else amount
    text = client.host.run(f"iperf3 -J -i 0 -c {address} -p {IPERF_PORT} {end} {options}",
                           timeout=seconds + 30)
    job.wait()
    return text[text.index("{"):]  # a warning may come first


def received(text):
    """TCP throughput of an iperf3 report as the receiver saw it, in Mbit/s."""
    rate = json.loads(text)["end"]["sum_received"]["bits_per_second"] / 1e6
    assert rate > 1, f"TCP stands still: {rate} Mbit/s"
    return rate


def tcp(client, server, **options):
    """TCP throughput from client to server in Mbit/s."""
    return received(iperf(client, server, BYTES, **options))


def udp_total(client, server, rate, length=1400, **options):
    """Sums of a UDP run at a rate ("20M"), as the receiver saw them."""
    report = json.loads(iperf(client, server, DATAGRAMS, f"-u -b {rate} -l {length}", **options))
    total = report["end"]["sum"]
    assert total["packets"] > 100, total
    return total


def udp(client, server, rate, **options):
    """Share of UDP datagrams that arrive, 0 to 1, when sent at a rate."""
    total = udp_total(client, server, rate, **options)
    return 1 - total["lost_packets"] / total["packets"]


def udp_rate(client, server, rate, **options):
    """UDP that arrives in Mbit/s, when sent at a rate."""
    total = udp_total(client, server, rate, **options)
    return total["bits_per_second"] / 1e6 * (1 - total["lost_packets"] / total["packets"])


def assert_file_arrives(sender, receiver, kib=FILE_KIB):
    """A file of random bytes, sent by TCP, must arrive unchanged."""
    sent = sender.host.run(f"dd if=/dev/urandom of=$HOME/file bs=1k count={kib} 2>/dev/null; "
                           "md5sum <$HOME/file")
    if sender.host.attempt(f"netstat -ltn | grep -q ':{HTTP_PORT} '")[0] != 0:
        listen(sender, f"httpd -f -p {HTTP_PORT} -h $HOME", HTTP_PORT)
    arrived = receiver.host.run(f"wget -q -O - http://{sender.v4}:{HTTP_PORT}/file | md5sum")
    assert arrived == sent
