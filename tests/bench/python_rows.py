"""The rows about the Python client."""

from __future__ import annotations

import asyncio
import sys
from typing import List

from harness.paths import REPOSITORY
from harness.stack import FLASH_BASE
from rows import Rig, Row, timed

sys.path.insert(0, str(REPOSITORY / "tools" / "python"))

from ocdmux import Session  # noqa: E402

READS = 1000


class PythonRig:
    """One session, and the loop that it lives in. Made with the first row that needs it."""

    def __init__(self, address: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.session = self.loop.run_until_complete(self._connect(address))

    @staticmethod
    async def _connect(address: str) -> Session:
        return await Session.connect(address)

    async def read_all(self) -> List[List[int]]:
        memory = self.session.memory
        return await asyncio.gather(*(memory.read_u32(FLASH_BASE + 4 * index) for index in range(READS)))

    def close(self) -> None:
        self.loop.run_until_complete(self.session.close())
        self.loop.close()


def python_rig(rig: Rig) -> PythonRig:
    """The one that belongs to `rig`, closed with it."""
    made = rig.others.get("python")
    if made is None:
        made = rig.others["python"] = PythonRig(rig.stack.daemon.address)
        rig.exit.callback(made.close)
    assert isinstance(made, PythonRig)
    return made


def expected(rig: Rig) -> List[List[int]]:
    return [[int.from_bytes(rig.image[4 * index:4 * index + 4], "little")] for index in range(READS)]


def direct_reads(rig: Rig) -> float:
    found: List[List[int]] = []

    def work() -> None:
        for index in range(READS):
            found.append([int(rig.openocd.command(f"read_memory 0x{FLASH_BASE + 4 * index:x} 32 1"), 0)])

    seconds = timed(work)
    assert found == expected(rig)
    return seconds


def our_reads(rig: Rig) -> float:
    own = python_rig(rig)
    found: List[List[int]] = []
    seconds = timed(lambda: found.extend(own.loop.run_until_complete(own.read_all())))
    assert found == expected(rig)
    return seconds


PYTHON_ROWS: List[Row] = [
    Row("python-reads", "1,000 read_u32 of one Python session, awaited at once",
        "1,000 of the same, one after the other, straight on OpenOCD's port",
        direct_reads, our_reads, 1.0, "at least as fast"),
]
