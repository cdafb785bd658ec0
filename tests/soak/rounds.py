"""The rounds of the soak: everybody at once, then peace and a look at what is there."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import Counter, Dict, Iterator, List, Tuple, Type

from protocol_check import Validator

from actor import FLASH_BASE, FLASH_BYTES, RAM_BASE, WORDS, Actor, World, decode
from debuggers import Debugger, Stepper, with_sled
from ends import Ends, look_behind
from faults import Troublemaker
from harness.paths import PROTOCOL
from harness.stack import KIB, make_image
from ledger import Kept, Leases, Ledger
from model import Clock, Faults, Memory
from nuisances import Canceller, HalfCloser, Nuisance, Sleeper
from operators import Counter as ScriptCounter
from operators import Scraper
from overview import Overview
from programs import Programs, place_for_run
from readers import Listener, Reader, Watcher
from stagers import Stager
from tools import CommandLine, Script
from writers import FlashWriter, LeaseHolder, WordWriter

FIRST_ROUND_S = 8.0  # and what the look at its end takes
ROUND_S = (5.0, 20.0)  # of the others
JOIN_S = 600.0
RAM_SIZE = 20 * KIB
TELL_S = 120.0  # between two lines that say how far it is
SLOTS = 19  # of WORDS words each, in RAM
CREW: Tuple[Tuple[Type[Actor], int], ...] = (
    (WordWriter, 10), (LeaseHolder, 3), (FlashWriter, 5), (Stager, 2), (Reader, 6), (Watcher, 2), (Listener, 2),
    (Canceller, 2), (Nuisance, 2), (HalfCloser, 1), (Sleeper, 1), (Debugger, 1), (Stepper, 1), (CommandLine, 1),
    (Script, 1), (Scraper, 1), (ScriptCounter, 1),
)
# In the first rounds of each such many the daemon is ended now and then; in the others one daemon lives on, so that
# what it loses adds up.
CYCLE = 40
WITH_DAEMON_FAULTS = (0, 3, 6, 9)


class Soak:
    """One run."""

    def __init__(self, seed: int, programs: Programs, image: bytes) -> None:
        self.seed = seed
        self.rounds = 0
        self.programs = programs
        self.crew: List[Actor] = []
        self.fault_count: Counter[str] = Counter()
        clock = Clock()
        faults = Faults(clock)
        with programs.connect() as client:
            client.call("target.halt")
            content = decode(client.call("memory.read_bytes", address=RAM_BASE, size=4 * WORDS * SLOTS)["data"])
        ram = Memory(clock, RAM_BASE, 4, content)
        flash = Memory(clock, FLASH_BASE, 2, image)
        self.world = World(programs, clock, faults, ram, flash, Counter(), threading.Event(), Ledger(),
                           Leases(clock, faults), Kept(), Overview(programs))
        self.ends = Ends(self.world)

    def round(self, number: int, seconds: float) -> None:
        """Everybody at once for so long, then peace, and a look at what is there."""
        stop = threading.Event()
        world = self.world = replace(self.world, stop=stop)
        seed = f"{self.seed}/{number}"
        chance = random.Random(seed)
        self.crew = [kind(world, i, seed) for kind, many in CREW
                     for i in range(_some(chance, many) if number else many)]
        trouble = Troublemaker(self.programs, world.clock, world.faults, world.leases, world.ram, chance,
                               number % CYCLE in WITH_DAEMON_FAULTS, stop)
        for actor in self.crew:
            actor.thread.start()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            trouble.run(lambda: world.count["calls"])
        finally:  # where a program could not be started nobody need be waited for
            stop.set()
            timer.cancel()
            self.fault_count += trouble.count
        for actor in self.crew:
            actor.thread.join(JOIN_S)
        for actor in self.crew:
            if actor.failure is not None:
                raise actor.failure
            assert not actor.thread.is_alive(), f"{actor.name} does not end"
        writers = [type(each)(world, each.number, f"{seed}/last") for each in self.crew
                   if isinstance(each, FlashWriter)]
        self.ends.look(world, writers)
        self.programs.network.forget()
        world.faults.forget()

    def summary(self) -> str:
        """One line."""

        def line(count: Dict[str, int]) -> str:
            return ", ".join(f"{count[name]} {name}" for name in sorted(count))

        return (
            f"soak: seed {self.seed}, {self.rounds} rounds: {line(self.world.count)}; faults: "
            f"{line(self.fault_count)}; the daemon grew by {self.ends.grown[0]} descriptors and "
            f"{self.ends.grown[1]} KiB at most, beside results"
        )

    def tell(self) -> None:
        """What somebody needs who looks for the cause of a failure: of those who failed all, of others the end."""
        for actor in self.crew:
            lines = list(actor.journal)[-60 if actor.failure is not None else -6 :]
            print(f"-- {actor.name}", *lines, sep="\n", file=sys.stderr)
            if actor.scene:
                print(f"-- the board when {actor.name} failed", actor.scene, sep="\n", file=sys.stderr)
        for name, process in (("OpenOCD", self.programs.openocd), ("the daemon", self.programs.daemon)):
            if process is not None:
                print(f"-- {name}\n{process.tail(20_000 if self.programs.verbose else 60)}", file=sys.stderr)
        print(self.summary(), file=sys.stderr)


def _some(chance: random.Random, many: int) -> int:
    """How many of them there are in a round but the first, in which all are: often all, often fewer, sometimes none."""
    return chance.choice((many, many, chance.randrange(many + 1)))


@contextmanager
def _surroundings(seed: int) -> Iterator[None]:
    """All programs on one processor: they take turns anyway, and waking another one for each turn costs more than it
    gives. Under ASan little is kept of what was freed, so that what grows is seen."""
    before, processors = dict(os.environ), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(processors)[seed % len(processors)]})
    os.environ["ASAN_OPTIONS"] = before.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"
    try:
        yield
    finally:
        os.sched_setaffinity(0, processors)
        os.environ.clear()
        os.environ.update(before)


def soak(seed: int, seconds: float, first: int = 0, verbose: bool = False) -> Soak:
    """A run of about so many seconds, which begins with the round `first`; returns it, and raises what is wrong. Every
    other seed has an OpenOCD that the daemon starts. `verbose`: the daemon's log of a failure has everything."""
    image = with_sled(make_image(FLASH_BYTES, RAM_SIZE, seed))
    with _surroundings(seed), place_for_run() as place:
        with Programs(place, Validator(PROTOCOL), image, RAM_SIZE, seed, seed % 2 == 1, verbose) as programs:
            run = Soak(seed, programs, image)
            chance = random.Random(seed)
            told = time.monotonic()
            end = told + seconds
            try:
                while run.rounds == 0 or time.monotonic() < end:
                    length = chance.uniform(*ROUND_S) if run.rounds > 0 else FIRST_ROUND_S
                    run.round(first + run.rounds, max(1.0, min(length, end - time.monotonic())))
                    run.rounds += 1
                    if time.monotonic() > told + TELL_S:
                        told = time.monotonic()
                        print(run.summary(), file=sys.stderr, flush=True)
            except BaseException:
                run.tell()
                print(f"soak: failed in round {first + run.rounds}: --seed {seed} --round {first + run.rounds}",
                      file=sys.stderr)
                raise
        look_behind(place, programs.daemon_kills)
        return run
