"""What the board may hold: for each unit of memory the values that could be there, as far as the answers so far tell.

Every unit has one owner, who changes it with one call at a time; everybody reads. A value that is there no more may
still be the answer to a read that was sent before that was known: order is counted in ticks, never in time.
"""

from __future__ import annotations

import threading
from typing import Dict, Iterable, List, Optional, Set, Tuple


class Clock:
    """Counts what happens, so that two moments can be put in order. `lock` is that of the whole model."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._now = 0

    def tick(self) -> int:
        """A moment behind all others."""
        with self.lock:
            self._now += 1
            return self._now


class Unit:
    """`values`: one of them is there once the owner's last change has ended well; `passing`: what may be there until
    then; `past`: what was, and until which tick."""

    def __init__(self, value: bytes) -> None:
        self.values: Set[bytes] = {value}
        self.passing: Set[bytes] = set()
        self.past: List[Tuple[int, bytes]] = []
        self.changes = 0

    def fits(self, value: bytes, since: int) -> bool:
        """Whether a read that was sent at the tick `since` may answer that."""
        return value in self.values or value in self.passing or any(
            until > since and value == old for until, old in self.past
        )

    def settle(self, values: Set[bytes], now: int) -> None:
        """From now on it is one of these."""
        self.past += [(now, old) for old in (self.values | self.passing) - values]
        self.values, self.passing = set(values), set()


class Memory:
    """Memory from `base` on in units of `size` bytes, which are read and written as a whole."""

    def __init__(self, clock: Clock, base: int, size: int, content: bytes) -> None:
        self.clock = clock
        self.base = base
        self.size = size
        self.units = [Unit(content[at : at + size]) for at in range(0, len(content), size)]
        self.open: Set["Change"] = set()

    def check(self, address: int, data: bytes, since: int, what: str) -> None:
        """Raises AssertionError unless a read sent at `since` may answer `data`, whose ends need not be a unit's."""
        with self.clock.lock:
            at = address
            while at < address + len(data):
                index, inside = divmod(at - self.base, self.size)
                count = min(self.size - inside, address + len(data) - at)
                unit, found = self.units[index], data[at - address : at - address + count]
                if count == self.size:
                    fits = unit.fits(found, since)
                else:
                    known = unit.values | unit.passing | {old for until, old in unit.past if until > since}
                    fits = any(value[inside : inside + count] == found for value in known)
                assert fits, (
                    f"{what}: {found.hex()} at {at:#x}; could be {sorted(v.hex() for v in unit.values)}, "
                    f"in passing {sorted(v.hex() for v in unit.passing)}"
                )
                at += count

    def collapse(self, address: int, data: bytes, what: str) -> None:
        """Everything has ended well: `data` must be one of the values, and is the value from now on."""
        with self.clock.lock:
            for unit in self._range(address, len(data)):
                unit.passing, unit.past = set(), []
            self.check(address, data, self.clock.tick(), what)
            for at, unit in zip(range(0, len(data), self.size), self._range(address, len(data))):
                unit.values = {data[at : at + self.size]}

    def lose(self, content: bytes) -> None:
        """The power was off: each unit is now `content`, unless a change that is under way comes behind that."""
        with self.clock.lock:
            now = self.clock.tick()
            for unit in self.units:
                unit.settle({content}, now)
                unit.changes += 1
            for change in self.open:
                change.lose(content)

    def _range(self, address: int, count: int) -> List[Unit]:
        first = (address - self.base) // self.size
        return self.units[first : first + count // self.size]

    def value(self, address: int) -> Optional[bytes]:
        """What the unit holds; None where that is not known."""
        with self.clock.lock:
            unit = self._range(address, self.size)[0]
            return next(iter(unit.values)) if len(unit.values) == 1 and not unit.passing else None

    def sure(self, address: int, count: int, value: bytes) -> List[Tuple[int, int]]:
        """The addresses of whole units in that range that hold `value` for sure, and their versions."""
        with self.clock.lock:
            places = range(address, address + count, self.size)
            return [(at, self.version(at)) for at in places if self.value(at) == value]

    def version(self, address: int) -> int:
        """Is another once a change of that unit has begun."""
        with self.clock.lock:
            return self._range(address, self.size)[0].changes


class Change:
    """A change on its way, from before it is sent: `data` from `address` on, or single bytes of a unit. In flash the
    `sector` (address, size) around it may be blank in passing."""

    def __init__(self, memory: Memory, address: int, data: bytes, sector: Optional[Tuple[int, int]] = None) -> None:
        self.memory = memory
        self.blank = b"\xff" * memory.size if sector else None
        self._pieces: Dict[Unit, Tuple[int, bytes]] = {}
        self._before: Dict[Unit, Set[bytes]] = {}
        self._passing: Dict[Unit, Set[bytes]] = {}
        self._after: Dict[Unit, Set[bytes]] = {}
        with memory.clock.lock:
            at = address
            while at < address + len(data):
                index, inside = divmod(at - memory.base, memory.size)
                piece = data[at - address : at - address + memory.size - inside]
                unit = memory.units[index]
                self._pieces[unit] = (inside, piece)
                self._before[unit] = set(unit.values)
                self._after[unit] = {self._merge(unit, value) for value in unit.values}
                at += len(piece)
            self.around = memory._range(*sector) if sector else []
            for unit in self.around:
                self._passing[unit] = set(unit.passing)
                unit.passing |= {self.blank} if self.blank else set()
            for unit, values in self._after.items():
                unit.values = unit.values | values
            for unit in {*self._after, *self.around}:
                unit.changes += 1
            memory.open.add(self)

    def _merge(self, unit: Unit, value: bytes) -> bytes:
        inside, piece = self._pieces[unit]
        return value[:inside] + piece + value[inside + len(piece) :]

    def lose(self, content: bytes) -> None:
        """The power was off meanwhile, and all units hold `content`: what this does may come before or behind that."""
        for unit in self._pieces:
            self._before[unit] = {content}
            self._after[unit] = {content, self._merge(unit, content)}
            unit.values = unit.values | self._after[unit]

    def done(self) -> None:
        """It was acknowledged."""
        with self.memory.clock.lock:
            self.memory.open.discard(self)
            now = self.memory.clock.tick()
            for unit in self.around:
                unit.settle(unit.values, now)
            for unit, values in self._after.items():
                unit.settle(values, now)

    def nothing(self) -> None:
        """It was refused, and nothing of it done."""
        with self.memory.clock.lock:
            self.memory.open.discard(self)
            for unit, values in self._before.items():
                unit.values = values
            for unit, values in self._passing.items():
                unit.passing = values

    def unknown(self) -> None:
        """It may have been done, or half. Flash may be blank where it was to be written."""
        with self.memory.clock.lock:
            self.memory.open.discard(self)
            for unit in self._after:
                unit.values |= {self.blank} if self.blank else set()


class Faults:
    """Which faults there are and were, and which errors they explain. "closed" is the end of a connection, "net-closed"
    that of one through the bad network, "broken" that of a lease, "forgotten" of what lives in the daemon alone."""

    _OPENOCD = {"openocd_unavailable", "outcome_unknown", "timeout", "target_error", "flash_error", "openocd_error",
                "target_not_halted", "stage_error", "verify_mismatch", "gdb-closed", "state-lost"}
    EXPLAINS = {
        "openocd": _OPENOCD,
        "board": _OPENOCD | {"power"},
        "link": {"openocd_unavailable", "outcome_unknown", "timeout"},
        "stall": {"timeout", "outcome_unknown"},
        "network": {"net-closed", "lease_lost"},
        "break": {"broken", "cancelled", "lease_lost", "outcome_unknown", "gdb-closed"},
        "daemon": {"openocd_unavailable", "outcome_unknown", "cancelled", "lease_lost", "closed", "gdb-closed",
                   "forgotten"},
    }

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: Dict[int, Tuple[str, Optional[int]]] = {}

    def begin(self, *kinds: str) -> List[int]:
        """They are there from now on; what end() wants."""
        with self._clock.lock:
            made = []
            for kind in kinds:
                made.append(self._clock.tick())
                self._seen[made[-1]] = (kind, None)
            return made

    def end(self, begun: Iterable[int]) -> None:
        """They are healed."""
        with self._clock.lock:
            for each in begun:
                self._seen[each] = (self._seen[each][0], self._clock.tick())

    def explain(self, word: str, since: int, also: Iterable[str] = ()) -> bool:
        """Whether a call that was sent at `since` and ended just now may have ended with that kind of error, or with
        another of the words above; `also` is what the call itself explains."""
        with self._clock.lock:
            return word in also or any(
                word in self.EXPLAINS[kind] for kind, end in self._seen.values() if end is None or end > since
            )

    def forget(self) -> None:
        """All has ended; nothing is under way."""
        with self._clock.lock:
            self._seen.clear()
