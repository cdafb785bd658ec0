"""memory.search, against a search in Python."""

from __future__ import annotations

import random
import re
from typing import Any, List, Optional

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, RAM_BASE

RAM_SIZE = 20 * KIB


def find(data: bytes, pattern: bytes, base: int, mask: Optional[bytes] = None, align: int = 1) -> List[str]:
    """All places of a pattern, as the daemon writes them."""
    if mask is None and align == 1:
        return [f"{base + match.start():#010x}" for match in re.finditer(b"(?=%s)" % re.escape(pattern), data,
            re.DOTALL)]
    mask = mask or b"\xff" * len(pattern)
    wanted = bytes(a & b for a, b in zip(pattern, mask))
    places = []
    for at in range(len(data) - len(pattern) + 1):
        if (base + at) % align == 0 and bytes(a & b for a, b in zip(data[at:], mask)) == wanted:
            places.append(f"{base + at:#010x}")
    return places


def search(client: Client, start: int, end: int, pattern: bytes, **more: Any) -> List[str]:
    """The matches of a search that must go through to its end."""
    result = client.call("memory.search", start=start, end=end, pattern=pattern.hex(), encoding="hex", **more)
    assert result["truncated"] is False
    assert result["scanned"] == end - start
    matches: List[str] = result["matches"]
    return matches


def fill(client: Client, data: bytes, at: int = 0) -> None:
    """Puts bytes into RAM."""
    client.call("memory.write_bytes", address=RAM_BASE + at, data=data.hex(), encoding="hex")


def test_overlapping_matches(client: Client) -> None:
    data = b"aaaaabaaab" + bytes(10)
    fill(client, data)
    for pattern in (b"a", b"aa", b"aaa", b"ab", b"aba", b"aaab", b"b", b"c", data):
        assert search(client, RAM_BASE, RAM_BASE + 20, pattern) == find(data, pattern, RAM_BASE)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 16, 64, 1000])
def test_patterns_at_and_across_command_borders(client: Client, length: int) -> None:
    """The commands' borders depend on how fast the board is, so the pattern goes to every place in turn where one may
    be: around each multiple of 512 bytes, across it and behind it."""
    noise = random.Random(length)
    pattern = bytes(noise.randrange(1, 256) for _ in range(length))
    for shift in sorted({-length + 1, -(length // 2), -1, 0}):
        model = bytearray(8 * KIB)
        step = 512 if length < 256 else 2048
        for border in range(step, 8 * KIB - step + 1, step):
            model[border + shift : border + shift + length] = pattern
        fill(client, bytes(model))
        assert search(client, RAM_BASE, RAM_BASE + 8 * KIB, pattern) == find(bytes(model), pattern, RAM_BASE)


def test_range_ends_cut_matches(client: Client) -> None:
    fill(client, b"needle" + bytes(20) + b"needle")
    for start, end in ((0, 32), (1, 32), (0, 31), (1, 31), (0, 6), (0, 5), (26, 32), (27, 32)):
        data = (b"needle" + bytes(20) + b"needle")[start:end]
        assert search(client, RAM_BASE + start, RAM_BASE + end, b"needle") == find(data, b"needle", RAM_BASE + start)


def test_pattern_longer_than_the_range(client: Client) -> None:
    assert search(client, RAM_BASE, RAM_BASE + 3, b"abcd") == []


def test_longest_pattern(client: Client, flash_content: bytes) -> None:
    pattern = flash_content[0x1234 : 0x1234 + 4096]
    assert search(client, FLASH_BASE, FLASH_BASE + 16 * KIB, pattern) == ["0x08001234"]


@pytest.mark.parametrize("mask", [b"\xff\x00", b"\xf0\x0f", b"\x00\x00", b"\x80\x01", b"\xff\xff"])
def test_mask(client: Client, flash_content: bytes, mask: bytes) -> None:
    data = flash_content[: 2 * KIB]
    found = search(client, FLASH_BASE, FLASH_BASE + 2 * KIB, b"\xa5\x5a", mask=mask.hex())
    assert found == find(data, b"\xa5\x5a", FLASH_BASE, mask)


@pytest.mark.parametrize("align", [1, 2, 3, 4, 7, 8, 64, 4096, 2**32])
def test_align(client: Client, align: int) -> None:
    """Of the address, not of the place in the range."""
    fill(client, bytes(6 * KIB))
    start = RAM_BASE + 3
    data = bytes(5000)
    assert search(client, start, start + 5000, b"\x00", align=align) == find(data, b"\x00", start, align=align)


def test_mask_and_align_together(client: Client, flash_content: bytes) -> None:
    found = search(client, FLASH_BASE, FLASH_BASE + 8 * KIB, b"\x12\x00\x34", mask="0f000f", align=2)
    assert found == find(flash_content[: 8 * KIB], b"\x12\x00\x34", FLASH_BASE, b"\x0f\x00\x0f", 2)


@pytest.mark.parametrize("limit", [1, 2, 99, 100])
def test_limit_reached(client: Client, limit: int) -> None:
    """`truncated` only where there is one more match than the limit."""
    fill(client, b"x" * 100 + bytes(100))
    result = client.call(
        "memory.search", start=RAM_BASE, end=RAM_BASE + 200, pattern=b"x".hex(), encoding="hex", limit=limit
    )
    assert result["matches"] == [f"{RAM_BASE + i:#010x}" for i in range(limit)]
    assert result["truncated"] is (limit < 100)


def test_limit_stops_the_reading(client: Client) -> None:
    """A match in the first bytes and a limit of one: the rest of the range is not read through."""
    fill(client, b"\x01\x01" + bytes(RAM_SIZE - 2))
    result = client.call(
        "memory.search", start=RAM_BASE, end=RAM_BASE + RAM_SIZE, pattern="01", encoding="hex", limit=1
    )
    assert result["matches"] == ["0x20000000"] and result["truncated"] is True
    assert 2 <= result["scanned"] < RAM_SIZE


def test_the_default_limit(client: Client) -> None:
    fill(client, bytes(12 * KIB))
    result = client.call("memory.search", start=RAM_BASE, end=RAM_BASE + 12 * KIB, pattern="00", encoding="hex")
    assert len(result["matches"]) == 10000 and result["truncated"] is True


@pytest.mark.parametrize("at", [0, 65535, 128 * KIB - 4])
def test_whole_flash(client: Client, flash_content: bytes, at: int) -> None:
    pattern = flash_content[at : at + 4]
    first = flash_content.find(pattern)
    expected = []
    while first >= 0:
        expected.append(f"{FLASH_BASE + first:#010x}")
        first = flash_content.find(pattern, first + 1)
    found = search(client, FLASH_BASE, FLASH_BASE + 128 * KIB, pattern, timeout_ms=60000)
    assert found == expected and f"{FLASH_BASE + at:#010x}" in found


def test_addresses_as_text_and_base64(client: Client) -> None:
    fill(client, b"....mark....")
    result = client.call("memory.search", start="0x20000000", end="536870924", pattern="bWFyaw==", physical=True)
    assert result["matches"] == ["0x20000004"]


@pytest.mark.parametrize("start, end", [(RAM_BASE + 4, RAM_BASE + 4), (RAM_BASE + 4, RAM_BASE)])
def test_end_not_behind_start(client: Client, start: int, end: int) -> None:
    error = client.fail("memory.search", start=start, end=end, pattern="00", encoding="hex")
    assert error.kind == "invalid_range" and "end" in error.message


def test_mask_of_another_length(client: Client) -> None:
    for mask in ("ff", "ffffff"):
        error = client.fail(
            "memory.search", start=RAM_BASE, end=RAM_BASE + 8, pattern="0102", mask=mask, encoding="hex"
        )
        assert error.kind == "invalid_params" and error.data["parameter"] == "mask"


def test_searching_into_nothing(client: Client) -> None:
    error = client.fail(
        "memory.search", start=RAM_BASE + RAM_SIZE - 8, end=RAM_BASE + RAM_SIZE + 8, pattern="77777777", encoding="hex"
    )
    assert error.kind == "target_error" and "failed to read memory" in error.data["openocd"]["text"]
