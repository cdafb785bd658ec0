"""What is done to the programs of the soak: one fault at a time, healed before the next one."""

from __future__ import annotations

import random
import signal
import threading
from typing import Callable, Counter, List, NamedTuple, Tuple

from harness.client import RpcError
from harness.waiting import wait_until
from ledger import Leases
from model import Clock, Faults, Memory
from programs import CLOSED, Programs, send_signal

HEAL_S = 400.0
POLL_S = 0.02


class Fault(NamedTuple):
    """`kinds` as the model knows them, a name for the count, and what makes it."""

    kinds: Tuple[str, ...]
    name: str
    make: Callable[[], None]


class Troublemaker:
    """Makes faults, each after some more calls of the clients, until it is told to stop."""

    def __init__(self, programs: Programs, clock: Clock, faults: Faults, leases: Leases, ram: Memory,
                 chance: random.Random, daemon_too: bool, stop: threading.Event) -> None:
        """Without `daemon_too` the daemon is left alone."""
        self.programs = programs
        self.clock = clock
        self.faults = faults
        self.leases = leases
        self.ram = ram
        self.chance = chance
        self.stop = stop
        self.count: Counter[str] = Counter()
        self.kinds = [
            Fault(("openocd",), "openocd-kill", lambda: self.programs.kill_openocd(signal.SIGKILL)),
            Fault(("openocd",), "openocd-term", lambda: self.programs.kill_openocd(signal.SIGTERM)),
            Fault(("stall",), "openocd-stop", lambda: self._stop_for_a_while(self.programs.openocd_pid())),
            Fault(("stall",), "board-stop", lambda: self._stop_for_a_while(self.programs.vboard.pid)),
            Fault(("board",), "board-off", self._power),
            Fault(("network",), "network-cut", self.programs.network.cut),
            Fault(("network",), "network-stall", self._stall_network),
            Fault((), "network-split", self._split_network),
            Fault(("break",), "lease-break", self._break_lease),
        ]
        link = self.programs.link
        if link is not None:
            self.kinds.append(Fault(("link",), "link-cut", link.cut))
        if daemon_too:
            self.kinds += [
                Fault(("daemon",), "daemon-term", self._stop_daemon),
                Fault(("daemon",), "daemon-kill", self._kill_daemon),
            ]
        if self.programs.spawns:  # its OpenOCD ends with the daemon, and another starts
            self.kinds = [each._replace(kinds=(*each.kinds, "openocd")) if "daemon" in each.kinds else each
                          for each in self.kinds]
        self._bag: List[Fault] = []

    def run(self, calls: Callable[[], int]) -> None:
        """`calls` counts those of the clients."""
        while True:
            due = calls() + self.chance.randrange(5, 60)
            wait_until(lambda: self.stop.is_set() or calls() >= due, "calls to be answered", HEAL_S)
            if self.stop.is_set():
                return
            if not self._bag:
                self._bag = list(self.kinds)
                self.chance.shuffle(self._bag)
            fault = self._bag.pop()
            begun = self.faults.begin(*fault.kinds)
            fault.make()
            self.count[fault.name] += 1
            self._wait_healed()
            self.faults.end(begun)

    def _wait_healed(self) -> None:
        """Until the daemon reads from the board again."""

        def look() -> bool:
            try:
                with self.programs.connect() as client:
                    client.call("memory.read_u32", address=0x08000000, timeout_ms=100_000)
                return True
            except (RpcError, *CLOSED):
                return False

        wait_until(look, "the board to be read again", HEAL_S, POLL_S)

    def _stop_for_a_while(self, pid: int) -> None:
        if not pid:
            return
        send_signal(pid, signal.SIGSTOP)
        try:
            self.stop.wait(self.chance.uniform(0.05, 0.8))
        finally:
            send_signal(pid, signal.SIGCONT)

    def _power(self) -> None:
        """Off and on: what RAM held is gone, what flash held is not."""
        self.programs.power_off()
        self.ram.lose(b"\0" * self.ram.size)
        self.programs.power_on()
        self.programs.kill_openocd(signal.SIGTERM)

    def _stall_network(self) -> None:
        self.programs.network.stall(self.stop, self.chance.uniform(0.1, 1.0))

    def _split_network(self) -> None:
        self.programs.network.split = True
        try:
            self.stop.wait(self.chance.uniform(0.2, 1.0))
        finally:
            self.programs.network.split = False

    def _break_lease(self) -> None:
        self.leases.end_all()
        with self.programs.connect() as client:
            client.call("lease.break")
        self.leases.end_all()

    def _stop_daemon(self) -> None:
        self.leases.shorten()
        self.programs.daemon.stop()
        self.programs.start_daemon()

    def _kill_daemon(self) -> None:
        self.leases.shorten()
        self.programs.daemon_kills += 1
        self.programs.daemon.kill()
        self.programs.start_daemon()
