# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 net_vhostx developers
"""The program that stands for l3fwd-power: an lcore a queue, asleep when idle."""

import os
import re

from testpmd import START_TIMEOUT, Testpmd, wait_until

READY = r"(?m)^ready$"
STATE = re.compile(r"^lcore (\d+) (sleeps until|is waked up from)", re.M)


class Sleeper(Testpmd):
    """One vhostx-sleeper; worker lcore n + 1 serves queue n.

    With look it polls once more after asking for the interrupt, as a virtio port
    needs it whatever its back-end is.
    """

    def __init__(self, rig, program, device, queues, look):
        cpus = sorted(os.sched_getaffinity(0))
        lcores = ",".join(f"{n}@{cpus[n % len(cpus)]}" for n in range(queues + 1))
        self.queues = queues
        super().__init__(f"sleeper{len(rig.processes)}",
                         [f"--lcores={lcores}", "--main-lcore=0",
                          *rig.setup.memory(), *rig.setup.load(),
                          "--vdev", device],
                         [str(queues), *(["look"] if look else [])], program=str(program),
                         ignore_sigpipe=True)

    def _spawn(self, env):
        self.argv.remove("-i")
        super()._spawn(env)

    def wait_ready(self, timeout=START_TIMEOUT):
        """Wait until the port is started."""
        self.wait_log(READY, timeout)
        return self

    def _last_states(self):
        return dict(STATE.findall(self.log))

    def wait_asleep(self):
        """Wait until all lcores sleep, and see that they go on sleeping."""
        def all_asleep():
            states = self._last_states().values()
            return list(states) == ["sleeps until"] * self.queues
        wait_until(all_asleep, 10, f"{self.name}: {self.queues} lcores sleep")

    def wait_awake(self, mark):
        """Wait until every queue has woken its lcore since log position mark."""
        def all_woken():
            wakes = re.findall(r"lcore (\d+) is waked up from rx interrupt on "
                               r"port 0 queue (\d+)", self.log[mark:])
            return set(wakes) == {(str(q + 1), str(q)) for q in range(self.queues)}
        wait_until(all_woken, 10, f"{self.name}: {self.queues} lcores wake up")


def assert_wakes_with_traffic(sleeper, sender):
    """The lcores sleep; they wake when packets come; then they sleep again."""
    sender.set_fwd("txonly")
    for _ in range(2):
        sleeper.wait_asleep()
        mark = len(sleeper.log)
        sender.start()
        sleeper.wait_awake(mark)
        sender.stop()
    sleeper.wait_asleep()
