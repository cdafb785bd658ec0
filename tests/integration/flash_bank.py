"""A bank of flash as it should be, to hold the real one against."""

from __future__ import annotations

import base64
import random
from typing import Any, Dict, Optional

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, Stack, make_image

SECTOR = KIB
BLOCK = 4 * KIB  # what the controller protects as one


def encode(data: bytes) -> str:
    """As `data` wants it."""
    return base64.b64encode(data).decode()


def noise(size: int, seed: int) -> bytes:
    """Random bytes, none of them 0xff, so that no sector looks blank."""
    source = random.Random(seed)
    return bytes(source.randrange(255) for _ in range(size))


class Bank:
    """The flash of a stack, what it should hold, and a client to write it with."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.client: Client = stack.client()
        self.size = stack.flash_size
        self.content = bytearray(make_image(self.size))

    def params(self, offset: int, data: bytes, **more: Any) -> Dict[str, Any]:
        """What flash.write_image is called with."""
        return {"address": FLASH_BASE + offset, "data": encode(data), **more}

    def write(self, offset: int, data: bytes, client: Optional[Client] = None, **more: Any) -> Dict[str, Any]:
        """Writes through the daemon, halting the target first, and notes what should be there now."""
        params = self.params(offset, data, **{"prepare": "halt", **more})
        result = (client or self.client).call("flash.write_image", **params)
        self.content[offset : offset + len(data)] = data
        return result

    def read(self) -> bytes:
        """What the bank really holds."""
        return base64.b64decode(self.client.call("memory.read_bytes", address=FLASH_BASE, size=self.size)["data"])

    def check(self) -> None:
        """Every byte of it is as it should be."""
        found = self.read()
        wrong = [i for i in range(self.size) if found[i] != self.content[i]]
        assert not wrong, f"{len(wrong)} bytes differ, from {wrong[0]:#x} to {wrong[-1]:#x}"

    def check_written_so_far(self, offset: int, data: bytes) -> int:
        """After a write of `data` that was stopped: whole sectors hold what should be there, from the first on, and the
        others what was there before. Returns how many bytes of the range are new, and takes them as what should be."""
        found = self.read()
        wanted = bytearray(self.content)
        wanted[offset : offset + len(data)] = data
        first = offset - offset % SECTOR
        new = 0
        for at in range(first, offset + len(data), SECTOR):
            if found[at : at + SECTOR] != wanted[at : at + SECTOR]:
                break
            new = at + SECTOR - first
        self.content[first : first + new] = wanted[first : first + new]
        self.check()
        return new
