"""memory.hexdump: the exact text."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, RAM_BASE


def hexdump(address: int, data: bytes) -> str:
    """The text as the protocol describes it, made the slow way."""
    lines: List[str] = []
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        cells = [f"{byte:02X}" for byte in part] + ["  "] * (16 - len(part))
        text = "".join(chr(byte) if 0x20 <= byte <= 0x7E else "." for byte in part)
        lines.append(f"{address + at:08X}: {' '.join(cells[:8])}  {' '.join(cells[8:])}  |{text}|\n")
    return "".join(lines)


def test_the_example_of_the_protocol(client: Client) -> None:
    client.call("memory.write_bytes", address=RAM_BASE, data="00500020a1010008ab010008ad010008", encoding="hex")
    result = client.call("memory.hexdump", address=RAM_BASE, size=16)
    assert result["text"] == "20000000: 00 50 00 20 A1 01 00 08  AB 01 00 08 AD 01 00 08  |.P. ............|\n"
    assert result["size"] == 16


def test_short_last_line(client: Client) -> None:
    client.call("memory.write_bytes", address=RAM_BASE + 1, data=bytes(range(60, 80)).hex(), encoding="hex")
    result = client.call("memory.hexdump", address=RAM_BASE + 1, size=20)
    assert result["text"] == (
        "20000001: 3C 3D 3E 3F 40 41 42 43  44 45 46 47 48 49 4A 4B  |<=>?@ABCDEFGHIJK|\n"
        "20000011: 4C 4D 4E 4F                                       |LMNO|\n"
    )


@pytest.mark.parametrize("offset", [0, 1, 3, 8, 15])
def test_every_size_around_the_lines(client: Client, flash_content: bytes, offset: int) -> None:
    for size in [*range(1, 36), 1023, 1024, 1025]:
        at = 0x500 + offset
        result = client.call("memory.hexdump", address=FLASH_BASE + at, size=size)
        assert result["text"] == hexdump(FLASH_BASE + at, flash_content[at : at + size])


def test_every_byte_value(client: Client) -> None:
    client.call("memory.write_bytes", address=RAM_BASE, data=bytes(range(256)).hex(), encoding="hex")
    result = client.call("memory.hexdump", address=RAM_BASE, size=256, physical=True)
    assert result["text"] == hexdump(RAM_BASE, bytes(range(256)))


def test_a_whole_flash(client: Client, flash_content: bytes) -> None:
    """Many commands, cut anywhere."""
    result = client.call("memory.hexdump", address=FLASH_BASE + 5, size=len(flash_content) - 5, timeout_ms=60000)
    assert result["text"] == hexdump(FLASH_BASE + 5, flash_content[5:])


@pytest.mark.parametrize("size", [1, 16, 17, 1000, 40000])
def test_streamed(client: Client, flash_content: bytes, size: int) -> None:
    """Whole lines, and `offset` says how many bytes came before them."""
    result = client.call("memory.hexdump", address=FLASH_BASE + 0x101, size=size, stream=True)
    assert result["size"] == size and "text" not in result
    pieces: List[Dict[str, Any]] = client.take_notifications("data")
    text = ""
    for piece in pieces:
        assert piece["text"].endswith("\n")
        assert piece["offset"] == 16 * text.count("\n")
        text += piece["text"]
    assert text == hexdump(FLASH_BASE + 0x101, flash_content[0x101 : 0x101 + size])
    assert size < 4096 or len(pieces) > 1


def test_reading_into_nothing(client: Client) -> None:
    error = client.fail("memory.hexdump", address=RAM_BASE + 20 * 1024 - 16, size=32)
    assert error.kind == "target_error" and "failed to read memory" in error.data["openocd"]["text"]
