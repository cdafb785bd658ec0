"""Ten thousand idle clients and a thousand busy ones: what each costs in memory, how long a word takes amid them."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from typing import Any, List, NamedTuple

from harness.masses import Busy, Idle, Job, call_line, private_kib, raise_descriptor_limit, result_line
from harness.processes import Daemon
from harness.stack import FLASH_BASE
from harness.waiting import wait_until

IDLE = 10000
BUSY = 1000
SUBSCRIBERS = 1000
PAIRS = 3
ROUNDS = 4
WORDS = 300

IDLE_MOST_KIB = 3.0
BUSY_MOST_KIB = 6.0
# What a crowd may leave behind.
SETTLED_MOST_KIB = 2048
# Against the time in which the link serves each of the busy clients once.
P99_MOST = 1.25
# Against the same without the idle ones.
BESIDE_MOST = 1.10


def percentile(waits: List[float], percent: int) -> float:
    """The wait that so many of a hundred do not exceed (nearest rank)."""
    ordered = sorted(waits)
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]


class Crowded(NamedTuple):
    """Busy clients for a while: seconds, and their reads in a second."""

    p50: float
    p99: float
    rate: float


class Words(NamedTuple):
    """One look at everything."""

    crowded: Crowded
    alone: float  # p50 of one client's words, one behind the other


class LoadRow:
    """A daemon of its own, on the bench's OpenOCD, with a TCP and a Unix socket."""

    name = "load"
    _fresh_kib = 0  # before any crowd

    def measure(self, rig: Any) -> bool:
        """Prints memory for each client and the waits of words; whether all goals are met."""
        if not raise_descriptor_limit(IDLE + BUSY + 500):
            raise RuntimeError(f"the hard limit on open files does not allow {IDLE + BUSY} clients")
        with ExitStack() as stack:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ocdmux-bench-"))
            flags = ["--openocd", f"127.0.0.1:{rig.stack.tcl_port}"]
            flags += ["--listen", "tcp:127.0.0.1:0", "--listen", f"unix:{directory}/socket"]
            return self._measure(rig, stack.enter_context(Daemon(flags, listeners=2)))

    def _measure(self, rig: Any, daemon: Daemon) -> bool:
        self._alone(rig, daemon)
        self._fresh_kib = private_kib(daemon.pid)
        busy_kib = self._busy_kib(rig, daemon)
        idle_kib: List[float] = []
        without: List[Words] = []
        beside: List[Words] = []
        for _ in range(PAIRS):
            without.append(self._look(rig, daemon))
            self._settle(daemon)
            before = private_kib(daemon.pid)
            idle = self._idle(daemon)
            idle_kib.append((private_kib(daemon.pid) - before) / IDLE)
            beside.append(self._look(rig, daemon))
            idle.close()
            self._settle(daemon)
        return self._report(idle_kib, busy_kib, without, beside)

    def _settle(self, daemon: Daemon) -> None:
        """Behind a crowd: until the daemon is as it was before it."""
        looker = Idle([daemon.address], 1)
        wait_until(lambda: b'"clients":1,' in looker.call(call_line("server.stats"))[0][-1], "the end of the crowd")
        looker.close()
        most = self._fresh_kib + SETTLED_MOST_KIB
        wait_until(lambda: private_kib(daemon.pid) <= most, f"the daemon's memory to be {most} KiB again")

    @staticmethod
    def _idle(daemon: Daemon) -> Idle:
        """Half of them have said hello, one of ten hears events."""
        idle = Idle(daemon.addresses, IDLE)
        idle.call(call_line("server.hello", client="an idle client"), idle.sockets[: IDLE // 2])
        idle.call(call_line("events.subscribe", topics=["target", "link", "lease"]), idle.sockets[:SUBSCRIBERS])
        return idle

    @staticmethod
    def _job(rig: Any, index: int) -> Job:
        word = int.from_bytes(rig.image[4 * index : 4 * index + 4], "little")
        return Job(call_line("memory.read_u32", address=FLASH_BASE + 4 * index), result_line(values=[word]))

    def _crowd(self, rig: Any, daemon: Daemon) -> Busy:
        busy = Busy()
        for i in range(BUSY):
            job = self._job(rig, i)
            busy.add(daemon.addresses[i % 2], lambda _, job=job: job)
        busy.send()
        return busy

    def _look(self, rig: Any, daemon: Daemon) -> Words:
        busy = self._crowd(rig, daemon)
        busy.serve(1, goes_on=True)
        begin = time.perf_counter()
        waits = busy.serve(ROUNDS, goes_on=True)
        rate = len(waits) / (time.perf_counter() - begin)
        busy.serve(1)
        busy.close()
        return Words(Crowded(percentile(waits, 50), percentile(waits, 99), rate), self._alone(rig, daemon))

    def _alone(self, rig: Any, daemon: Daemon) -> float:
        one = Busy()
        job = self._job(rig, 0)
        one.add(daemon.address, lambda _: job)
        one.send()
        wait = percentile(one.serve(WORDS), 50)
        one.close()
        return wait

    def _busy_kib(self, rig: Any, daemon: Daemon) -> float:
        """For each busy client, while all of them wait for their answers."""
        before = private_kib(daemon.pid)
        busy = self._crowd(rig, daemon)
        busy.serve(2, goes_on=True)
        kib = (private_kib(daemon.pid) - before) / BUSY
        busy.serve(1)
        busy.close()
        self._settle(daemon)
        return kib

    def _report(self, idle_kib: List[float], busy_kib: float, without: List[Words], beside: List[Words]) -> bool:
        print(f"{self.name}: {BUSY} clients that each have a word to read at any time, without and with {IDLE} idle "
              f"ones beside ({IDLE // 2} said hello, {SUBSCRIBERS} hear events; half over TCP, half over a Unix socket)")
        for what, looks in (("without", without), ("beside", beside)):
            for look in looks:
                turn = BUSY / look.crowded.rate
                print(f"    {what:7} {look.crowded.rate:6.0f} reads/s, each client's turn {turn * 1000:6.1f} ms; wait "
                      f"p50 {look.crowded.p50 * 1000:6.1f} ms, p99 {look.crowded.p99 * 1000:6.1f} ms = "
                      f"{look.crowded.p99 / turn:.3f} turns; one client alone, p50 {look.alone * 1000:.3f} ms")
        turns = statistics.median(look.crowded.p99 * look.crowded.rate / BUSY for look in beside)
        slower = statistics.median(b.crowded.p50 / w.crowded.p50 for w, b in zip(without, beside))
        slower_alone = statistics.median(b.alone / w.alone for w, b in zip(without, beside))
        met = True
        for what, value, most in (
            ("KiB of the daemon's memory for each idle client", statistics.median(idle_kib), IDLE_MOST_KIB),
            ("KiB for each busy client", busy_kib, BUSY_MOST_KIB),
            ("p99 of a word's wait amid all of them, in turns", turns, P99_MOST),
            ("the busy clients' wait (p50) beside the idle ones, against without", slower, BESIDE_MOST),
            ("one client's wait beside the idle ones, against without", slower_alone, BESIDE_MOST),
        ):
            print(f"  {what}: {value:.3f}, goal at most {most:.2f}: {'met' if value <= most else 'MISSED'}")
            met = met and value <= most
        return met
