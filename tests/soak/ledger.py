"""What is counted beside the bytes: changes that were acknowledged, for the audit file; leases, which shut others out;
and what the daemon may keep in memory of results."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import Deque, Dict, Optional, Tuple

from model import Clock, Faults

KEEP_S = 600.0  # results of operations live so long behind their end
KEPT_BYTES = 1200  # of an operation beside its result


class Ledger:
    """How the changing calls of each client ended, by the client's name and the method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sure: Counter[Tuple[str, str]] = Counter()
        self.unsure: Counter[Tuple[str, str]] = Counter()

    def done(self, client: str, method: str) -> None:
        """Acknowledged."""
        with self._lock:
            self.sure[(client, method)] += 1

    def unknown(self, client: str, method: str) -> None:
        """It may have been done."""
        with self._lock:
            self.unsure[(client, method)] += 1

    def check(self, done: Counter[Tuple[str, str]]) -> None:
        """`done` is what the audit file says was done. Raises AssertionError where an acknowledged change is not in it,
        or one was done more often than it was asked for."""
        with self._lock:
            for key in {*self.sure, *self.unsure}:
                least, most = self.sure[key], self.sure[key] + self.unsure[key]
                assert least <= done[key] <= most, f"audit: {key} {done[key]} times, acknowledged {least} to {most}"


class Leases:
    """Who holds the lease for sure. A change of anybody else that is acknowledged meanwhile is wrong."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self._clock = clock
        self._faults = faults
        self._held: Dict[str, Tuple[str, int, float]] = {}

    def hold(self, lease: str, holder: str, since: int, until_s: float) -> None:
        """`holder`, who asked at the tick `since`, was granted it, until that moment of time.monotonic() at the least;
        unless an admin has broken it meanwhile."""
        with self._clock.lock:
            if not self._faults.explain("broken", since):
                self._held[lease] = (holder, self._clock.tick(), until_s)

    def end(self, lease: str) -> None:
        """Its holder is about to give it back, or has lost it."""
        with self._clock.lock:
            self._held.pop(lease, None)

    def end_all(self) -> None:
        """An admin is about to break it, or has done so."""
        with self._clock.lock:
            self._held.clear()

    def shorten(self) -> None:
        """The daemon is about to be started anew, which costs a lease a second."""
        with self._clock.lock:
            self._held = {lease: (who, tick, until - 1.5) for lease, (who, tick, until) in self._held.items()}

    def is_sure(self, lease: str, margin_s: float) -> bool:
        """Whether it must be held still, and so much longer."""
        with self._clock.lock:
            held = self._held.get(lease)
            return held is not None and time.monotonic() + margin_s < held[2]

    def check(self, who: str, since: int, lease: Optional[str]) -> None:
        """A change of `who` that was sent at `since` was acknowledged."""
        with self._clock.lock:
            now = time.monotonic()
            for held, (holder, begun, until) in self._held.items():
                wrong = holder != who and held != lease and begun < since and now < until
                assert not wrong, f"{who} changed the board under the lease of {holder}"


class Kept:
    """How many bytes the results that the daemon keeps may take."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: Deque[Tuple[float, int]] = deque()

    def add(self, size: int) -> None:
        """A result of so many bytes of JSON."""
        with self._lock:
            self._rows.append((time.monotonic(), size + KEPT_BYTES))

    def kib(self) -> int:
        """All that still live."""
        with self._lock:
            oldest = time.monotonic() - KEEP_S
            while self._rows and self._rows[0][0] < oldest:
                self._rows.popleft()
            return sum(size for _, size in self._rows) // 1024
