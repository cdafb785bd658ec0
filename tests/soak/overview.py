"""Who is connected and what is under way: one look for all who want to know."""

from __future__ import annotations

import threading
import time
from typing import FrozenSet, NamedTuple

from protocol_check import Violation

from programs import CLOSED, Programs

SHARED_S = 0.1  # so old may be what somebody else saw


class Seen(NamedTuple):
    """What clients that are there call themselves, and those whose operations wait or run; and who debugs."""

    clients: FrozenSet[str]
    busy: FrozenSet[str]
    debuggers: int


class Overview:
    """The daemon is asked no more often than every SHARED_S seconds, whoever wants to know."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._lock = threading.Lock()
        self._asked_s = 0.0
        self._seen = Seen(frozenset(), frozenset(), 0)

    def look(self, since_s: float) -> Seen:
        """As it was at some time behind `since_s` of time.monotonic(). Raises what is in CLOSED."""
        with self._lock:
            now = time.monotonic()
            if self._asked_s <= since_s or self._asked_s < now - SHARED_S:
                self._seen = self._ask()
                self._asked_s = now
            return self._seen

    def _ask(self) -> Seen:
        try:
            with self._programs.connect() as client:
                here = client.call("client.list", limit=4096)["clients"]
                status = client.call("board.status")
                operations = [*status["operations"], *client.call("operation.list")["operations"]]
        except Violation as reason:
            if "ended inside a line" not in str(reason):
                raise
            raise EOFError from reason
        return Seen(
            frozenset(each.get("client", "") for each in here),
            frozenset(each.get("client", "") for each in operations if each["state"] in ("queued", "running")),
            len(status["gdb"]["clients"]),
        )


def is_gone(overview: Overview, since_s: float, *names: str) -> bool:
    """Whether no client of these names is there any more, nor anything of theirs under way."""
    try:
        seen = overview.look(since_s)
    except CLOSED:
        return False
    return not {*names} & (seen.clients | seen.busy)


def nobody_debugs(overview: Overview, since_s: float) -> bool:
    """Whether no gdb is attached."""
    try:
        return overview.look(since_s).debuggers == 0
    except CLOSED:
        return False
