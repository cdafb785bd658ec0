"""Crashes and failures at single calls of the daemon, and jumps of its wall clock: the test's side of
tests/shim/fault_shim.c."""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence

import pytest

from harness.paths import build_file

BEFORE, HALF, AFTER = 0, 1, 2
_PAGE = struct.Struct("=QQQqiiII80s")
_CALLS = struct.Struct("=Q")
_PLAN = struct.Struct("=QQ")
_HOW = struct.Struct("=ii")
_CLOCK_AT, _HOW_AT, _KILLED_AT, _MATCH_AT = 24, 32, 40, 48


def shim_library() -> Path:
    """Skips the test where there is none."""
    try:
        return build_file("tests", "libfault_shim.so")
    except FileNotFoundError:
        pytest.skip("the shim and AddressSanitizer cannot both come first in a process: run on the plain build")


class Call(NamedTuple):
    """A call that was counted."""

    number: int
    name: str
    path: str


class FaultShim:
    """Whoever runs with `env` has its calls on files below `directories` counted, until `close`."""

    def __init__(self, place: Path, directories: Sequence[Path]) -> None:
        library = shim_library()
        self._trace = place / "shim-trace"
        self._trace.write_bytes(b"")
        page = place / "shim-page"
        page.write_bytes(bytes(_PAGE.size))
        with page.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), _PAGE.size)
        self.env: Dict[str, str] = {
            "LD_PRELOAD": str(library),
            "OCDMUX_SHIM_PAGE": str(page),
            "OCDMUX_SHIM_TRACE": str(self._trace),
            "OCDMUX_SHIM_DIRS": ":".join(str(each) for each in directories),
        }

    def reset(self, match: str = "") -> None:
        """Counts anew, only calls that have `match` in "NAME PATH"; nothing fails."""
        _PLAN.pack_into(self._page, 8, 0, 0)
        _CALLS.pack_into(self._page, 0, 0)
        struct.pack_into("80s", self._page, _MATCH_AT, match.encode())
        struct.pack_into("=I", self._page, _KILLED_AT, 0)
        self._trace.write_bytes(b"")

    def kill_at(self, number: int, moment: int) -> None:
        """The process is killed at the call of that number, counted from `reset`."""
        self._plan(number, number, moment, 0)

    def terminate_at(self, number: int) -> None:
        """It gets a SIGTERM at that call."""
        self._plan(number, number, BEFORE, -1)

    def fail(self, error: int, *, match: str = "", first: int = 1, count: int = 1 << 62, moment: int = BEFORE) -> None:
        """So many calls that match fail with that errno. HALF: writes are just short; AFTER: they are done all the same."""
        self.reset(match)
        self._plan(first, first + count - 1, moment, error)

    def _plan(self, first: int, last: int, moment: int, error: int) -> None:
        _HOW.pack_into(self._page, _HOW_AT, moment, error)
        _PLAN.pack_into(self._page, 8, first, last)

    def jump(self, seconds: int) -> None:
        """The wall clock is off by so much from now on."""
        struct.pack_into("=q", self._page, _CLOCK_AT, seconds)

    @property
    def killed(self) -> bool:
        """Whether it was, or got its SIGTERM."""
        return bool(struct.unpack_from("=I", self._page, _KILLED_AT)[0])

    @property
    def calls(self) -> int:
        """How many were counted since `reset`."""
        return int(_CALLS.unpack_from(self._page, 0)[0])

    def trace(self) -> List[Call]:
        """What was counted since `reset`."""
        rows = [line.split(" ", 2) for line in self._trace.read_text().splitlines()]
        return [Call(int(number), name, path) for number, name, path in rows]

    def close(self) -> None:
        """Lets go of the page."""
        self._page.close()
