# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""Checksums and segments from one guest to another through testpmd, each byte checked."""

import struct
from dataclasses import replace

import pytest

from frontend import Feature
from frontend.host import Host
from frontend.packets import (ACK, CWR, FIN, GSO_ECN, PSH, TCP, UDP, Packet, fold,
                              payload)
from pcap import read_pcap
from rig import vdev

pytestmark = pytest.mark.vhostx_only

HOST = (Feature.CSUM | Feature.HOST_TSO4 | Feature.HOST_TSO6 | Feature.HOST_ECN
        | Feature.HOST_UFO)
GUEST = (Feature.GUEST_CSUM | Feature.GUEST_TSO4 | Feature.GUEST_TSO6
         | Feature.GUEST_ECN | Feature.GUEST_UFO)
TSO = HOST & ~Feature.CSUM
PLAIN = bytes(10)
NEAR, FAR = 0, 1  # ports, and the guests on them

SHORT = {
    "tcp4": Packet(payload(100), flags=ACK | PSH),
    "udp4": Packet(payload(101, 1), UDP),
    "tcp6": Packet(payload(102, 2), ipv6=True, options=b"\1" * 12),
    "udp6": Packet(payload(103, 3), UDP, ipv6=True),
    "tcp4-vlan": Packet(payload(1, 4), vlan=5),
}
LONG = {
    "tcp4": Packet(payload(60000), flags=ACK | PSH | FIN, options=b"\1" * 12),
    "tcp6": Packet(payload(30001, 1), ipv6=True, seq=0xFFFFF000),
    "tcp4-ecn": Packet(payload(9000, 2), flags=ACK | CWR, ident=0xFFFE),
    "tcp6-vlan": Packet(payload(20000, 3), ipv6=True, vlan=9, flags=ACK | PSH | CWR),
}
MSS = 1400


def named(packets):
    """Parametrise over packets by name."""
    return pytest.mark.parametrize("packet", packets.values(), ids=packets)


formats = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])


def host_fixture(name, **options):
    """A host that lives for the module, and must be alive after each test."""
    @pytest.fixture(scope="module", name=f"{name}_shared")
    def shared(setup):
        host = Host(setup, pairs=1, ports=2, topology="paired", **options)
        yield host
        host.close()

    @pytest.fixture(name=name)
    def one(request):
        host = request.getfixturevalue(f"{name}_shared")
        yield host.ensure()
        host.assert_alive()
    return shared, one


# Nothing enabled; segmentation enabled; flags looked at (and ignored by "io"); legacy flags.
_default_shared, _default = host_fixture("default")
_tso_shared, _tso = host_fixture("tso", tso=1)
_cksum_shared, _cksum = host_fixture("cksum", args=["--enable-rx-cksum", "--enable-lro"])
_legacy_shared, _legacy = host_fixture("legacy", **{"tso": 1, "legacy-ol-flags": 1})


class Guests:
    """A guest on either port; as a context manager."""

    def __init__(self, host, near=HOST, far=0, **wishes):
        self.near = host.frontend(NEAR, more_features=near, **wishes)
        try:
            self.far = host.frontend(FAR, more_features=far, **wishes)
        except BaseException:
            self.near.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.near.close()
        self.far.close()

    def send(self, packet, gso_size=0):
        """The near guest leaves checksum, and segments if there is a size."""
        self.near.send(0, packet.open().frame(), head=packet.header(gso_size))

    def recv(self):
        """What the far guest gets: header and frame."""
        return self.far.recv_packet(0)


# --- what is offered -------------------------------------------------------

@pytest.mark.parametrize("name,wanted", [("default", 0), ("tso", TSO), ("cksum", TSO),
                                      ("legacy", TSO)])
def test_offload_offers(request, name, wanted):
    """HOST_TSO and its like need tso=1 or LRO; the rest is always offered."""
    host = request.getfixturevalue(name)
    with host.frontend() as frontend:
        assert frontend.offered & (HOST | GUEST) == GUEST | Feature.CSUM | wanted


# --- checksums -------------------------------------------------------------

@named(SHORT)
@formats
@pytest.mark.parametrize("far", [0, GUEST], ids=["plain", "able"])
def test_offload_default_finishes_checksum(default, packet, packed, far):
    """Without flags anybody may get the packet: its checksum is right."""
    with Guests(default, far=far, packed=packed) as guests:
        guests.send(packet)
        assert guests.recv() == (PLAIN, packet.frame())


@named(SHORT)
@formats
@pytest.mark.parametrize("name", ["cksum", "legacy"])
def test_offload_open_checksum_passes(request, name, packet, packed):
    """io sets no flag, and the far guest finishes what the near one began."""
    host = request.getfixturevalue(name)
    with Guests(host, far=GUEST, packed=packed) as guests:
        guests.send(packet)
        assert guests.recv() == (packet.header()[:10], packet.open().frame())


@named(SHORT)
@pytest.mark.parametrize("name", ["cksum", "legacy"])
def test_offload_open_checksum_falls_back(request, name, packet):
    """A guest that negotiated nothing gets right checksums."""
    with Guests(request.getfixturevalue(name)) as guests:
        guests.send(packet)
        assert guests.recv() == (PLAIN, packet.frame())


def test_offload_checksum_inside_tunnel(cksum):
    """What no flag can say is finished, for any guest."""
    inner = Packet(payload(50), ipv6=True)
    packet = Packet(payload(8) + inner.open().frame(), UDP)
    head = struct.pack("<BBHHHH", 1, 0, 0, 0, packet.headers + 8 + inner.start, 16)
    with Guests(cksum, far=GUEST) as guests:
        guests.near.send(0, packet.frame(), head=head + bytes(2))
        header, frame = guests.recv()
    assert header == PLAIN
    assert frame[packet.headers + 8:] == inner.frame()


# --- segments --------------------------------------------------------------

@named(LONG)
@formats
@pytest.mark.parametrize("name", ["tso", "cksum", "legacy"])
def test_offload_long_packet_passes_whole(request, name, packet, packed):
    host = request.getfixturevalue(name)
    with Guests(host, far=GUEST, packed=packed) as guests:
        guests.send(packet, MSS)
        assert guests.recv() == (packet.header(MSS)[:10], packet.open().frame())


@pytest.mark.parametrize("name", ["tso", "cksum", "legacy"])
def test_offload_udp_fragmentation_passes_whole(request, name):
    packet = Packet(payload(5000), UDP)
    with Guests(request.getfixturevalue(name), far=GUEST) as guests:
        guests.send(packet, 1480)
        assert guests.recv() == (packet.header(1480)[:10], packet.open().frame())


@named(LONG)
@formats
@pytest.mark.parametrize("mergeable", [True, False], ids=["mergeable", "plain"])
@pytest.mark.parametrize("far", [0, Feature.GUEST_CSUM, GUEST & ~Feature.GUEST_ECN
                                 & ~Feature.GUEST_TSO4 & ~Feature.GUEST_TSO6],
                         ids=["none", "csum", "no-tso"])
def test_offload_long_packet_is_cut(tso, packet, packed, mergeable, far):
    """Every segment of a guest without TSO, with its checksum right or begun."""
    with Guests(tso, far=far, packed=packed, mergeable=mergeable) as guests:
        guests.send(packet, MSS)
        for number, segment in enumerate(packet.segments(MSS)):
            if far & Feature.GUEST_CSUM:
                wanted = segment.header()[:10], segment.open().frame()
            else:
                wanted = PLAIN, segment.frame()
            assert guests.recv() == wanted, f"segment {number}"
        assert guests.far.poll(0) is None


def test_offload_ecn_alone_is_cut(tso):
    """A guest with TSO, but without ECN, gets packets with CWR in segments."""
    able = GUEST & ~Feature.GUEST_ECN
    with Guests(tso, far=able) as guests:
        packet = LONG["tcp4-ecn"]
        guests.send(packet, MSS)
        for segment in packet.segments(MSS):
            assert guests.recv() == (segment.header()[:10], segment.open().frame())
        plain = LONG["tcp4"]
        guests.send(plain, MSS)
        assert guests.recv() == (plain.header(MSS)[:10], plain.open().frame())
        assert not plain.header(MSS)[1] & GSO_ECN


def test_offload_many_long_packets(tso):
    """More segments than the ring has buffers: none is lost, all in order."""
    packets = [replace(LONG["tcp4"], seq=k) for k in range(20)]
    with tso.patient(), Guests(tso) as guests:
        for packet in packets:
            guests.send(packet, MSS)
        for packet in packets:
            for segment in packet.segments(MSS):
                assert guests.recv() == (PLAIN, segment.frame())


# --- wrong headers ---------------------------------------------------------

WRONG = {
    "bad_csum": (SHORT["tcp4"], [(6, 3000)]),
    "bad_gso_type": (SHORT["tcp4"], [(1, 7), (4, 100)]),
    "bad_gso_size": (SHORT["tcp4"], [(1, 1)]),
    "bad_gso_csum": (SHORT["tcp4"], [(0, 0), (1, 1), (4, 100)]),
    "bad_hdr_len": (SHORT["tcp4"], [(1, 1), (2, 500), (4, 100)]),
    "bad_gso_packet": (SHORT["udp4"], [(1, 1), (4, 100)]),
}


def spoiled(packet, changes):
    """The packet's virtio-net header with other numbers at some offsets."""
    head = bytearray(packet.header())
    for offset, value in changes:
        struct.pack_into("<B" if offset < 2 else "<H", head, offset, value)
    return bytes(head)


@pytest.mark.parametrize("cause", WRONG)
@formats
def test_offload_wrong_header_costs_its_packet(tso, cause, packed):
    """Counted by cause, and the packets around it arrive."""
    packet, changes = WRONG[cause]
    counter = f"rx_q0_drop_{cause}"
    before = tso.pmd.xstats(NEAR)[counter]
    with Guests(tso, packed=packed) as guests:
        guests.send(SHORT["tcp6"])
        guests.near.send(0, packet.open().frame(), head=spoiled(packet, changes))
        guests.send(SHORT["udp6"])
        assert guests.recv() == (PLAIN, SHORT["tcp6"].frame())
        assert guests.recv() == (PLAIN, SHORT["udp6"].frame())
        assert tso.pmd.xstats(NEAR)[counter] == before + 1


# --- other ports, other programs ------------------------------------------

def test_offload_wire_gets_right_packets(setup, tmp_path):
    """A port of another driver: whatever the guest left is done."""
    out = tmp_path / "wire.pcap"
    host = Host(setup, pairs=1, topology="paired",
                vdevs=[vdev("net_pcap0", tx_pcap=out)])
    try:
        with host.ensure().frontend(NEAR, more_features=HOST) as guest:
            for packet in SHORT.values():
                guest.send(0, packet.open().frame(), head=packet.header())
            guest.flush(0)
        host.pmd.stop()
        host.pmd.port_stop(FAR)
        assert read_pcap(out) == [packet.frame() for packet in SHORT.values()]
    finally:
        host.close()


@pytest.fixture(scope="module", name="engine")
def _engine(setup):
    """testpmd's checksum engine: the flags of an application, for port 1."""
    host = Host(setup, pairs=1, ports=2, topology="paired").ensure()
    pmd = host.pmd
    pmd.stop()
    pmd.port_stop("all")
    for what in ("ip", "udp", "tcp"):
        pmd.command(f"csum set {what} hw {FAR}")
    assert "is not supported" not in pmd.command(f"tso set {MSS} {FAR}")
    pmd.port_start("all")
    pmd.set_fwd("csum")
    pmd.start()
    yield host
    host.close()


def rewritten(packet):
    """As the checksum engine sends it: with other Ethernet addresses."""
    return packet.frame()[12:]


@named({**SHORT, **{f"long-{k}": v for k, v in LONG.items()}})
@pytest.mark.parametrize("far", [0, GUEST], ids=["plain", "able"])
def test_offload_flags_of_an_application(engine, packet, far):
    """Checksums, and segments of all TCP that is longer than the size."""
    cut = packet.proto == TCP and len(packet.payload) > MSS
    with Guests(engine, near=0, far=far) as guests:
        guests.near.send(0, packet.frame())
        if not far:
            for segment in packet.segments(MSS) if cut else [packet]:
                header, frame = guests.recv()
                assert (header, frame[12:]) == (PLAIN, rewritten(segment))
            return
        header, frame = guests.recv()
        assert header == packet.header(MSS if cut else 0)[:10]
        assert frame[12:] == rewritten(packet.open())


def test_offload_segments_sum_up():
    """The judge itself: segments are right by another way of adding up."""
    for packet in LONG.values():
        for segment in packet.segments(MSS):
            frame = segment.frame()
            assert fold(frame[segment.start:], segment.pseudo()) == 0xFFFF
