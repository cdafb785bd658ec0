"""The rounds of the soak, and what must be true behind each."""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Counter, Dict, List

from protocol_check import Validator

from actors import (
    FLASH_BASE,
    FLASH_BYTES,
    RAM_BASE,
    WORDS,
    Actor,
    Canceller,
    FlashWriter,
    LeaseHolder,
    Listener,
    Nuisance,
    Reader,
    Watcher,
    WordWriter,
    World,
    decode,
)
from faults import Programs, Troublemaker
from harness.client import Client
from harness.paths import PROTOCOL
from harness.stack import KIB, make_image
from harness.waiting import wait_until
from model import Clock, Faults, Memory

ROUND_S = 8.0  # and what the look at its end takes
DAEMON_FAULTS_EVERY = 4  # rounds; between them one daemon lives on, so that what it loses adds up
JOIN_S = 120.0
RAM_SIZE = 20 * KIB
WRITERS = 10
LEASE_HOLDERS = 2
CREW = ((WordWriter, WRITERS), (LeaseHolder, LEASE_HOLDERS), (FlashWriter, 6), (Reader, 6), (Watcher, 2), (Listener, 2),
        (Canceller, 2), (Nuisance, 2))
# What a daemon may have open beyond a fresh one that has one client too: its probe file, a temporary file.
MORE_DESCRIPTORS = 2
# What a daemon may keep beyond a fresh one: results of operations, which live ten minutes behind their end (here some
# thousand of a few hundred bytes, and a few of 22 KiB), the allocator's reserve for thirty clients, and under ASan its
# quarantine, 4 MiB here, and shadow. Seen: 3 MiB, under ASan 9 MiB.
MORE_KIB = 32 * KIB


class Soak:
    """One run."""

    def __init__(self, seed: int, programs: Programs, image: bytes) -> None:
        self.seed = seed
        self.rounds = 0
        self.grown = (0, 0)
        self.programs = programs
        self.clock = Clock()
        self.faults = Faults(self.clock)
        self.count: Counter[str] = Counter()
        self.fault_count: Counter[str] = Counter()
        with programs.connect() as client:
            client.call("target.halt")
            size = 4 * WORDS * (WRITERS + LEASE_HOLDERS)
            content = decode(client.call("memory.read_bytes", address=RAM_BASE, size=size)["data"])
            self.ram = Memory(self.clock, RAM_BASE, 4, content)
            self.flash = Memory(self.clock, FLASH_BASE, 2, image)
            self.descriptors = programs.descriptors()
            self.resident_kib = programs.resident_kib()

    def round(self, number: int, seconds: float) -> None:
        """Everybody at once for so long, then peace, and a look at what is there."""
        stop = threading.Event()
        world = World(self.programs, self.clock, self.faults, self.ram, self.flash, self.count, stop)
        crew: List[Actor] = []
        for kind, many in CREW:
            # Lease holders are writers with words of their own.
            first = WRITERS if kind is LeaseHolder else 0
            crew += [kind(world, first + i, f"{self.seed}/{number}") for i in range(many)]
        trouble = Troublemaker(self.programs, self.clock, self.faults, random.Random(f"{self.seed}/{number}"),
                               daemon_too=number % DAEMON_FAULTS_EVERY == 0)
        for actor in crew:
            actor.thread.start()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            trouble.run(lambda: self.count["calls"], stop)
        finally:
            stop.set()
            timer.cancel()
            for actor in crew:
                actor.thread.join(JOIN_S)
            self.fault_count += trouble.count
        for actor in crew:
            if actor.failure is not None:
                raise actor.failure
            assert not actor.thread.is_alive(), f"{actor.name} does not end"
        self.audit(world, number)
        self.faults.forget()

    def audit(self, world: World, number: int) -> None:
        """Nothing may be left over, and every acknowledged write must be there."""
        self.programs.assert_alive()
        with self.programs.connect() as client:
            wait_until(lambda: self._quiet(client), "peace")
            last = Client(self.programs.daemon.address, self.programs.validator)
            for i in range(dict(CREW)[FlashWriter]):
                writer = FlashWriter(world, i, f"{self.seed}/{number}/last")
                assert writer.program_last(last), "the last write failed"
            last.close()
            wait_until(lambda: self._quiet(client), "peace")
            status = client.call("board.status")
            assert status["pending_repairs"] == [], status["pending_repairs"]
            ended = client.call("operation.list")["operations"]
            assert all(each["state"] in ("done", "failed", "cancelled") for each in ended), ended
            size = len(self.ram.units) * 4
            ram = decode(client.call("memory.read_bytes", address=RAM_BASE, size=size)["data"])
            self.ram.collapse(RAM_BASE, ram, "RAM in the end")
            flash = decode(client.call("flash.read", offset=0, size=FLASH_BYTES)["data"])
            self.flash.collapse(FLASH_BASE, flash, "flash in the end")
            more_kib = self.programs.resident_kib() - self.resident_kib
            more = self.programs.descriptors() - self.descriptors
            self.grown = (max(self.grown[0], more), max(self.grown[1], more_kib))
            assert more <= MORE_DESCRIPTORS, f"{more} descriptors more than in the beginning"
            assert more_kib <= MORE_KIB, f"{more_kib} KiB more than in the beginning"
        self.programs.assert_alive()

    @staticmethod
    def _quiet(client: Client) -> bool:
        """Whether nothing runs, nobody waits, and nobody but this client is there."""
        status = client.call("board.status")
        lease = client.call("lease.status")
        return (
            status["queued"] == 0
            and not status["operations"]
            and status["link"] == "idle"
            and "lease" not in lease
            and not lease["lease_queue"]
            and status["watches"]["count"] == 0
            and client.call("client.list")["total"] == 1
        )

    def summary(self) -> str:
        """One line."""

        def line(count: Dict[str, int]) -> str:
            return ", ".join(f"{count[name]} {name}" for name in sorted(count))

        return (
            f"soak: seed {self.seed}, {self.rounds} rounds: {line(self.count)}; faults: {line(self.fault_count)}; "
            f"the daemon grew by {self.grown[0]} descriptors and {self.grown[1]} KiB at most"
        )


def _one_processor() -> None:
    """The programs take turns anyway: waking another processor for each turn costs more than it gives."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def soak(seed: int, seconds: float) -> Soak:
    """A run of about so many seconds; returns it, and raises what is wrong."""
    _one_processor()
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"
    image = make_image(FLASH_BYTES, RAM_SIZE, seed)
    with tempfile.TemporaryDirectory(prefix="ocdmux-soak-") as place:
        with Programs(Path(place), Validator(PROTOCOL), image, RAM_SIZE) as programs:
            run = Soak(seed, programs, image)
            end = time.monotonic() + seconds
            try:
                while run.rounds == 0 or time.monotonic() < end:
                    run.round(run.rounds, max(1.0, min(ROUND_S, end - time.monotonic())))
                    run.rounds += 1
            except BaseException:
                print(f"{run.summary()}\n-- the daemon\n{programs.daemon.tail()}", file=sys.stderr)
                raise
            return run
