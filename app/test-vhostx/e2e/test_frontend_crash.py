# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The back-end is killed under traffic, again and again; the guest runs on.

The guest counts descriptors: each that it lent comes back once. Its front-end
is like QEMU's: of a packed ring it says the position that it said before.

VHOSTX_KILLS is the number of kills in all, 16 unless told.
"""

import os
import random
import threading
import time

import pytest

from frontend import make_frame
from frontend.buffers import CHAINED, DIRECT, INDIRECT
from frontend.host import Host

pytestmark = pytest.mark.vhostx_only

KILLS = int(os.environ.get("VHOSTX_KILLS", "16"))
CASES = {
    "split": {},
    "split-in-order-chained": {"in_order": True, "tx_layout": CHAINED, "rx_layout": CHAINED},
    "packed": {"packed": True},
    "packed-event": {"packed": True, "event_idx": True, "size": 100},
    "packed-in-order": {"packed": True, "in_order": True, "size": 256},
    "packed-chained": {"packed": True, "tx_layout": CHAINED, "rx_layout": CHAINED},
    "packed-indirect": {"packed": True, "tx_layout": INDIRECT, "size": 64},
    "packed-small-buffers": {"packed": True, "rx_size": 300, "size": 250},
    "split-record": {"inflight": True},
    "packed-record": {"packed": True, "inflight": True},
    "packed-chained-record": {"packed": True, "inflight": True, "size": 128,
                              "tx_layout": CHAINED, "rx_layout": CHAINED},
    "packed-short": {"packed": True},
    "split-lent": {},
    "packed-lent": {"packed": True, "size": 250},
    "split-lent-record": {"inflight": True},
    "packed-lent-record": {"packed": True, "inflight": True},
    "packed-lent-chained-record": {"packed": True, "inflight": True, "size": 128,
                                   "tx_layout": CHAINED, "rx_layout": CHAINED},
}
# Longer packets are lent, and given back when they are freed: out of order with the shorter ones.
LENT = {"dequeue-zero-copy": 1, "zc-threshold": 300}
# All packets are too short to be lent.
SHORT = {"dequeue-zero-copy": 1, "zc-threshold": 2000}


@pytest.fixture(name="host")
def _host(setup, state_dir, request):
    """An echoing testpmd that keeps its state in a folder of the test."""
    lent, short = (word in request.node.name for word in ("lent", "short"))
    devargs = {"state-dir": state_dir, **(LENT if lent else SHORT if short else {})}
    host = Host(setup, pairs=1, **devargs)
    yield host.ensure()
    host.close()


def numbered(number):
    """A frame with a number in it; long ones follow short ones."""
    return make_frame(60 + 389 * number % 1000, number)


class Guest:
    """A guest that sends numbered frames as fast as it can, and counts.

    again: frames that were under way at a kill may come twice, for nobody can
    tell whether the program had passed them on.
    """

    def __init__(self, frontend, again=False):
        self.fe = frontend
        self.tx, self.rx = frontend.tx[0], frontend.rx[0]
        self.first = [vring.base for vring in frontend.vrings]
        self.sent = self.returned = 0
        self.last = -1
        self.received = 0
        self.again = frontend.config.size if again else 0

    def work(self):
        """Send what fits; take back and check what came."""
        for _ in range(32):
            try:
                self.tx.post(numbered(self.sent))
            except ValueError:
                break
            self.sent += 1
        self.fe._publish(1)
        self.reap()
        self.fill()

    def fill(self):
        """Lend receive buffers again."""
        if self.rx.fill():
            self.fe._publish(0)

    def reap(self):
        """Take back what was used: GuestFault if that was not lent, or twice."""
        self.returned += self.tx.reap()
        while (frame := self.rx.poll()) is not None:
            number = int.from_bytes(frame[14:18], "big")
            assert frame == numbered(number), "a frame is torn"
            assert number > self.last - self.again, (
                f"frame {number} after {self.last}: twice, or out of order")
            self.last = max(number, self.last)
            self.received += 1

    def work_for(self, seconds):
        """Traffic for some time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.work()

    def settle(self):
        """Everything that was sent comes back, and nothing but that."""
        deadline = time.monotonic() + 5
        while self.tx.ring.outstanding:
            assert time.monotonic() < deadline, (
                f"{len(self.tx.ring.outstanding)} of {self.sent} descriptors are lost")
            self.reap()
            self.fill()
        assert self.returned == self.sent

    def go_round(self):
        """Each receive buffer is used: more frames than there are buffers."""
        goal = self.received + 2 * len(self.rx.ring.outstanding) + 64
        deadline = time.monotonic() + 10
        while self.received < goal:
            assert time.monotonic() < deadline, f"{goal - self.received} frames short"
            self.work()

    def meet(self):
        """A new back-end, told what a front-end tells that knows no better."""
        fe = self.fe
        fe.disconnect()
        fe.open()
        fe.negotiate()
        fe.share_memory()
        fe.share_inflight()
        for vring in fe.vrings:
            packed = fe.config.packed
            vring.base = self.first[vring.index] if packed else vring.ring.base()
        fe.start()


def kill_under_traffic(host, guest, rng):
    """SIGKILL at some moment of the guest's work."""
    killer = threading.Timer(rng.uniform(0.005, 0.06), host.pmd.kill)
    killer.start()
    while killer.is_alive() or host.pmd.alive():
        guest.work()
    killer.join()
    # The guest does not know yet.
    guest.work_for(rng.choice([0, 0.001, 0.01]))


@pytest.mark.parametrize("case", CASES)
def test_killed_backend_loses_no_descriptor(host, state_dir, case):
    rng = random.Random(case)
    kills = -(-KILLS // len(CASES))
    with host.frontend(**CASES[case]) as frontend:
        guest = Guest(frontend, again="lent" in case)
        guest.work_for(0.05)
        for _ in range(kills):
            kill_under_traffic(host, guest, rng)
            host.ensure()
            guest.meet()
            guest.work_for(rng.uniform(0, 0.02))
            if rng.random() < 0.5:
                guest.settle()
                guest.go_round()
        guest.settle()
        guest.go_round()
        guest.settle()
        # The driver keeps what nobody else does, and that a guest has IN_ORDER.
        kept = "record" not in case and any(word in case for word in ("packed", "lent", "order"))
        assert bool(os.listdir(state_dir)) == kept
        print(f"{case}: {kills} kills, {guest.sent} descriptors sent and back, "
              f"{guest.received} frames received")
    host.pmd.quit()
    assert not os.listdir(state_dir), "the state file was left behind"


@pytest.mark.parametrize("case", ["indirect", "lent"])
def test_front_end_drops_packets_meanwhile(host, case):
    # At an old position: somewhere in what the guest has offered.
    layout = INDIRECT if case == "indirect" else DIRECT
    dropped = kills = 0
    with host.frontend(packed=True, size=64, tx_layout=layout) as frontend:
        guest = Guest(frontend, again=case == "lent")
        while dropped < 2:
            kills += 1
            assert kills < 30, f"{dropped} dropped"
            guest.work_for(0.02)
            host.pmd.kill()
            for _ in range(3):
                guest.work()
                ring, before = guest.tx.ring, guest.first[1]
                ahead = before & 0x7fff != ring.last_used
                # What is lent there may have come back already: then the guest is told so twice.
                if ahead or case != "lent":
                    guest.first[1] = ring.drop(before)
                dropped += ahead and guest.first[1] != before
            host.ensure()
            guest.meet()
            guest.work_for(0.01)
            guest.settle()
            guest.go_round()
            guest.settle()


def test_new_ring_in_the_same_place_is_not_resumed(host):
    # The guest's driver was loaded again while no back-end was there.
    with host.frontend(packed=True, size=64) as frontend:
        guest = Guest(frontend)
        guest.work_for(0.05)
        guest.settle()
        for _ in range(4):
            host.pmd.kill()
            host.pmd.wait_exit()
            frontend._drop_rings()
            frontend.make_rings()
            guest = Guest(frontend)
            host.ensure()
            guest.meet()
            guest.work_for(0.03)
            guest.settle()
            guest.go_round()
            guest.settle()


def test_state_file_outlives_a_restart_while_a_ring_runs(host, state_dir):
    # An orderly end takes the socket away: nobody can ask for the position.
    with host.frontend(packed=True, size=64) as frontend:
        guest = Guest(frontend)
        for _ in range(3):
            guest.work_for(0.02)
            host.pmd.quit()
            assert len(os.listdir(state_dir)) == 1
            guest.work()
            host.ensure()
            guest.meet()
            guest.settle()
            guest.go_round()
        for base, vring in zip(frontend.stop(), frontend.vrings):
            guest.reap()
            assert base == vring.ring.base()
        host.pmd.quit()
        assert not os.listdir(state_dir)
