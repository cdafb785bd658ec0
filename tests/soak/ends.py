"""What must be true behind a round, when all faults are healed and everybody has left, and behind the whole run."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

from actor import FLASH_BASE, FLASH_BYTES, POLL_S, RAM_BASE, World, decode
from harness.client import Client
from harness.waiting import wait_until
from programs import Programs, family
from tools import leftovers
from writers import FlashWriter, last_words

KIB = 1024
PEACE_S = 300.0  # a lease may have to run out, and a busy machine is no fault
# What a daemon may have open beyond a fresh one that has one client too: its probe file, a temporary file.
MORE_DESCRIPTORS = 2
# What a daemon may keep beyond a fresh one and the results of operations (ledger.Kept): the allocator's reserve for
# forty clients, and under ASan its quarantine, 4 MiB here, and shadow.
MORE_KIB = 6 * KIB
MORE_KIB_ASAN = 32 * KIB


def is_quiet(client: Client) -> bool:
    """Whether nothing runs, nobody waits, and nobody but this client is there."""
    status = client.call("board.status")
    lease = client.call("lease.status")
    return (
        status["queued"] == 0
        and not status["operations"]
        and status["link"] == "idle"
        and not status["gdb"]["clients"]
        and "lease" not in lease
        and not lease["lease_queue"]
        and status["watches"]["count"] == 0
        and client.call("client.list")["total"] == 1
    )


class Ends:
    """Looks at the end of each round. `grown`: the most descriptors and KiB that a daemon had more than a fresh one."""

    def __init__(self, world: World) -> None:
        programs = world.programs
        self.grown = (0, 0)
        self._offset = 0
        self._done: Counter[Tuple[str, str]] = Counter()
        self._asan = "libasan" in Path(f"/proc/{programs.daemon.pid}/maps").read_text(encoding="utf-8")
        with programs.connect() as client:
            wait_until(lambda: is_quiet(client), "peace in the beginning")
            self._descriptors = programs.descriptors()
            self._resident_kib = programs.resident_kib()

    def look(self, world: World, writers: List[FlashWriter]) -> None:
        """Nothing may be left over, and every acknowledged write must be there."""
        programs = world.programs
        programs.assert_alive()
        with programs.connect() as client:
            wait_until(lambda: is_quiet(client), "peace", PEACE_S, POLL_S)
            with programs.connect(name="Last") as last:
                failed = last_words(writers, last, "Last")
                assert failed is None, f"the last write of {failed} failed"
            wait_until(lambda: is_quiet(client), "peace", PEACE_S, POLL_S)
            self._status(client)
            self._bytes(world, client)
            self._growth(world)
        self._stages(programs)
        self._files(programs.directory, programs.daemon_kills)
        self._audit(world)
        programs.assert_alive()

    @staticmethod
    def _status(client: Client) -> None:
        status = client.call("board.status")
        assert status["pending_repairs"] == [], status["pending_repairs"]
        assert "problem" not in status, status["problem"]
        ended = client.call("operation.list")["operations"]
        assert all(each["state"] in ("done", "failed", "cancelled") for each in ended), ended

    @staticmethod
    def _bytes(world: World, client: Client) -> None:
        size = len(world.ram.units) * world.ram.size
        assert not world.ram.open and not world.flash.open, "a change that never ended"
        ram = decode(client.call("memory.read_bytes", address=RAM_BASE, size=size)["data"])
        world.ram.collapse(RAM_BASE, ram, "RAM in the end")
        flash = decode(client.call("flash.read", offset=0, size=FLASH_BYTES)["data"])
        world.flash.collapse(FLASH_BASE, flash, "flash in the end")

    def _growth(self, world: World) -> None:
        descriptors = world.programs.descriptors()
        more = len(descriptors) - len(self._descriptors)
        more_kib = world.programs.resident_kib() - self._resident_kib - world.kept.kib()
        self.grown = (max(self.grown[0], more), max(self.grown[1], more_kib))
        assert more <= MORE_DESCRIPTORS, f"{more} descriptors more: {self._descriptors} became {descriptors}"
        most = MORE_KIB_ASAN if self._asan else MORE_KIB
        assert more_kib <= most, f"{more_kib} KiB more than in the beginning, beside what results may take"
        zombies = _zombies(world.programs.daemon.pid)
        assert not zombies, f"processes that nobody waited for: {zombies}"

    @staticmethod
    def _stages(programs: Programs) -> None:
        """Each that is listed is a file, and there are no others; then all are deleted."""
        for way, identity in (("tcp", "alice"), ("tcp", "bob"), ("tcp", "olga"), ("unix", "root"), ("tls", "carol")):
            with programs.connect(way, identity) as client:
                rows = client.call("stage.list")["stages"]
                assert not [row for row in rows if row["pinned"]], rows
                there = [each.rpartition("/")[2][:16] for each in leftovers(programs.directory / "run")]
                assert {row["stage"] for row in rows} <= {*there}, f"{rows} without their files: {there}"
                for row in rows:
                    client.call("stage.delete", stage=row["stage"])

    @staticmethod
    def _files(place: Path, kills: int) -> None:
        """Between two rounds a daemon keeps its own files only. OpenOCD's own that a killed daemon was using are left
        for an hour, for all that the next daemon knows they may be somebody else's."""
        assert len(leftovers(place / "files")) <= kills, leftovers(place / "files")
        rest = [each for each in leftovers(place / "run") if "probe" not in each]
        assert rest == [], rest
        rest = [each for each in leftovers(place / "state") if Path(each).name not in ("lease", "lock", "identity")]
        assert rest == [], rest

    def _audit(self, world: World) -> None:
        """Each line whole; each change that was acknowledged is in it, none more often than it was asked for."""
        with (world.programs.directory / "audit").open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        self._offset += len(text)
        for line in text.splitlines():
            row: Dict[str, Any] = json.loads(line)
            assert row["event"] != "gap", row
            if row["event"] == "ended" and row["outcome"] == "done":
                self._done[(row.get("client", ""), row["method"])] += 1
        world.ledger.check(self._done)


def look_behind(directory: Path, kills: int) -> None:
    """All programs have ended: no process and no file of theirs is left, but what kills of the daemon explain."""
    wait_until(lambda: not family(directory), f"processes to end: {family(directory)}")
    assert leftovers(directory / "run") == [] and not any((directory / "run").iterdir()), leftovers(directory / "run")
    assert len(leftovers(directory / "files")) <= kills, leftovers(directory / "files")


def _zombies(parent: int) -> List[str]:
    found = []
    for each in os.listdir("/proc"):
        try:
            text = Path(f"/proc/{each}/stat").read_text(encoding="utf-8") if each.isdigit() else ""
        except OSError:
            continue
        state, _, rest = text.rpartition(")")[2].strip().partition(" ")
        if state == "Z" and int(rest.split()[0]) == parent:
            found.append(text)
    return found
