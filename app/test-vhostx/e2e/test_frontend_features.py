# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The back-end is killed and comes back with other arguments; its guest runs on with what it has negotiated."""

import os

import pytest

from frontend import Frontend, make_frame
from frontend.host import Host
from frontend.protocol import Feature

pytestmark = pytest.mark.vhostx_only

HOST_TSO = Feature.HOST_TSO4 | Feature.HOST_TSO6 | Feature.HOST_ECN | Feature.HOST_UFO
LEND = {"dequeue-zero-copy": 1, "zc-threshold": 100, "zc-dma": 0}
FRAMES = [make_frame(60 + 100 * number, number) for number in range(14)]


class Restarts:
    """A host whose program is killed, and started again with other arguments."""

    def __init__(self, setup, state_dir):
        self.host = Host(setup, pairs=1)
        self.folder = state_dir

    def start(self, **devargs):
        """Kill what runs, and start."""
        if self.host.pmd:
            self.host.pmd.kill()
        self.host.devargs = {"state-dir": self.folder, **devargs}
        return self.host.ensure()

    def end(self):
        """An orderly end without a guest, after which nothing is left."""
        self.host.close()
        assert not os.listdir(self.folder), "the state file was left behind"


@pytest.fixture(name="restarts")
def _restarts(setup, state_dir):
    restarts = Restarts(setup, state_dir)
    yield restarts
    restarts.end()


CASES = {
    "tso": ({"tso": 1}, {}, HOST_TSO, "VIRTIO_NET_F_HOST_TSO4, .*"),
    "in-order": ({}, LEND, Feature.IN_ORDER, "VIRTIO_F_IN_ORDER"),
}


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("case", CASES)
def test_features_of_a_running_guest_are_offered_again(restarts, case, packed):
    """By a port that offers them to nobody else."""
    before, after, features, names = CASES[case]
    host = restarts.start(**before)
    with host.frontend(packed=packed, more_features=features) as guest:
        assert guest.features & features == features
        guest.echo(0, FRAMES)
        for _ in range(2):
            guest.flush(0)
            restarts.start(**after)
            guest.reconnect()
            assert guest.features & features == features
            guest.echo(0, FRAMES)
        host.pmd.wait_log(f"the guest has {names} from before: offered again")
        guest.disconnect()
        assert offered_elsewhere(host) & features == 0


def offered_elsewhere(host):
    """What the front-end of another guest, in another process, is offered."""
    path = host.socket()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with Frontend(path, host.config()) as other:
                other.open()
                other.negotiate()
                os.write(writer, str(int(other.offered)).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    assert os.waitpid(pid, 0)[1] == 0, "the other front-end failed"
    return int(text)


def test_features_that_cannot_be_served_are_named(restarts):
    """A port without its IOMMU cannot serve a guest behind one, and says which feature is missing."""
    host = restarts.start(**{"iommu-support": 1})
    with Frontend(host.socket(), host.config(more_features=Feature.ACCESS_PLATFORM)) as guest:
        guest.open()
        guest.negotiate()
        assert guest.features & Feature.ACCESS_PLATFORM
        restarts.start()
        guest.disconnect()
        guest.open()
        guest.negotiate()
        assert not guest.offered & Feature.ACCESS_PLATFORM
        host.pmd.wait_log("the guest has VIRTIO_F_ACCESS_PLATFORM from before, which is not offered any more")
