"""Images of several segments, as Intel HEX, and the flash that they should make."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

from flash_bank import encode, noise
from harness.stack import FLASH_BASE

Segments = List[Tuple[int, bytes]]


def segments(places: Sequence[Tuple[int, int]], seed: int) -> Segments:
    """Random bytes for each (offset, size)."""
    return [(offset, noise(size, seed * 1000 + i)) for i, (offset, size) in enumerate(places)]


def _record(kind: int, address: int, data: bytes) -> str:
    line = bytes([len(data), address >> 8 & 0xFF, address & 0xFF, kind]) + data
    return ":" + (line + bytes([-sum(line) & 0xFF])).hex().upper()


def ihex(image: Segments, base: int = FLASH_BASE) -> bytes:
    """The text of an Intel HEX file with these segments, `base` further up."""
    lines = []
    for offset, data in image:
        for at in range(0, len(data), 16):
            address = base + offset + at
            lines.append(_record(4, 0, (address >> 16).to_bytes(2, "big")))
            lines.append(_record(0, address & 0xFFFF, data[at : at + 16]))
    return "\n".join([*lines, _record(1, 0, b""), ""]).encode()


def params(image: Segments, **more: Any) -> Dict[str, Any]:
    """What flash.write_image is called with, the target being reset and halted first."""
    return {"data": encode(ihex(image)), "prepare": "reset_halt", **more}


def overlay(content: bytearray, image: Segments) -> None:
    """Notes in `content` what the image makes of it."""
    for offset, data in image:
        content[offset : offset + len(data)] = data
