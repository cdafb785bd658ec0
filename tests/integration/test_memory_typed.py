"""Reading and writing values of 8 to 64 bits."""

from __future__ import annotations

import random
import struct
from typing import Any, List, Optional

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, RAM_BASE

RAM_SIZE = 20 * KIB
WIDTHS = (8, 16, 32, 64)
FORMATS = {8: "B", 16: "H", 32: "I", 64: "Q"}
# Around one command's elements (the first command has 1 KiB, none more than 2,048 elements), and whole RAM in bytes.
COUNTS = (1, 2, 3, 127, 128, 129, 255, 256, 257, 1023, 1024, 1025, 2047, 2048, 2049)


def unpack(data: bytes, width: int) -> List[int]:
    """`data` as little-endian values."""
    return list(struct.unpack(f"<{len(data) * 8 // width}{FORMATS[width]}", data))


def as_integers(values: List[Any]) -> List[int]:
    """What a reply holds: integers, or texts for 64 bits."""
    return [int(value, 16) if isinstance(value, str) else value for value in values]


def read(client: Client, width: int, address: int, count: Optional[int] = None, **more: Any) -> List[int]:
    """The values at an address."""
    if count is not None:
        more["count"] = count
    return as_integers(client.call(f"memory.read_u{width}", address=address, **more)["values"])


def as_given(width: int, values: List[int]) -> List[Any]:
    """64-bit values go as text."""
    return [f"{value:#x}" for value in values] if width == 64 else values


@pytest.mark.parametrize("width", WIDTHS)
def test_read_gives_what_is_there(client: Client, flash_content: bytes, width: int) -> None:
    for count in COUNTS:
        size = count * width // 8
        assert read(client, width, FLASH_BASE + 0x400, count) == unpack(flash_content[0x400 : 0x400 + size], width)


@pytest.mark.parametrize("width", WIDTHS)
def test_read_one_by_default(client: Client, flash_content: bytes, width: int) -> None:
    assert read(client, width, FLASH_BASE) == unpack(flash_content[: width // 8], width)


def test_read_the_most_elements_of_one_call(client: Client, flash_content: bytes) -> None:
    assert read(client, 8, FLASH_BASE, 65536) == list(flash_content[:65536])
    assert client.fail("memory.read_u8", address=FLASH_BASE, count=65537).kind == "invalid_params"


def test_read_u64_is_text_and_the_others_are_integers(client: Client) -> None:
    client.call("memory.write_u64", address=RAM_BASE, values=["0x0000000000000001", "0xfedcba9876543210", 2**53 - 1])
    values = client.call("memory.read_u64", address=RAM_BASE, count=3)["values"]
    assert values == ["0x00000001", "0xfedcba9876543210", "0x1fffffffffffff"]
    assert client.call("memory.read_u32", address=RAM_BASE, count=4)["values"] == [1, 0, 0x76543210, 0xFEDCBA98]


@pytest.mark.parametrize("width", WIDTHS)
def test_values_round_trip(client: Client, width: int) -> None:
    """The ends of each value's range, single bits, and random values, over more than one command."""
    top = 2**width - 1
    values = [0, 1, top, top - 1, top // 2, top // 2 + 1] + [1 << bit for bit in range(width)]
    values += [random.Random(width).randrange(top + 1) for _ in range(1100 - len(values))]
    given = as_given(width, values)
    assert client.call(f"memory.write_u{width}", address=RAM_BASE + 0x100, values=given) == {"count": 1100}
    assert read(client, width, RAM_BASE + 0x100, 1100) == values


@pytest.mark.parametrize("width", WIDTHS)
def test_write_touches_nothing_beside_it(client: Client, width: int) -> None:
    before = random.Random(7).randbytes(64)
    client.call("memory.write_u8", address=RAM_BASE, values=list(before))
    value = 0x1122334455667788 & (2**width - 1)
    assert client.call(f"memory.write_u{width}", address=RAM_BASE + 16, values=as_given(width, [value])) == {"count": 1}
    expected = before[:16] + value.to_bytes(width // 8, "little") + before[16 + width // 8 :]
    assert bytes(read(client, 8, RAM_BASE, 64)) == expected


@pytest.mark.parametrize("value", [7, "7", "0x7", "0x00000007", [7], ["0x7"]])
def test_write_takes_each_way_to_give_a_value(client: Client, value: Any) -> None:
    client.call("memory.write_u32", address=RAM_BASE, values=0)
    client.call("memory.write_u32", address=RAM_BASE, values=value)
    assert read(client, 32, RAM_BASE) == [7]


@pytest.mark.parametrize("address", [RAM_BASE, str(RAM_BASE), hex(RAM_BASE), "0x20000000"])
def test_each_way_to_give_an_address(client: Client, address: Any) -> None:
    client.call("memory.write_u32", address=address, values=[0xCAFE0001])
    assert client.call("memory.read_u32", address=address)["values"] == [0xCAFE0001]


@pytest.mark.parametrize("width", WIDTHS)
def test_physical_and_cacheable_read_the_same(client: Client, flash_content: bytes, width: int) -> None:
    expected = unpack(flash_content[:64], width)
    for more in ({"physical": True}, {"cacheable": True}, {"physical": True, "cacheable": True}, {"physical": False}):
        assert read(client, width, FLASH_BASE, 512 // width, **more) == expected


@pytest.mark.parametrize("width", WIDTHS)
def test_physical_write(client: Client, width: int) -> None:
    value = 2**width - 3
    client.call(f"memory.write_u{width}", address=RAM_BASE + 8, values=as_given(width, [value]), physical=True)
    assert read(client, width, RAM_BASE + 8) == [value]


@pytest.mark.parametrize("width", WIDTHS)
def test_read_where_nothing_is(client: Client, width: int) -> None:
    error = client.fail(f"memory.read_u{width}", address="0x60000000")
    assert error.kind == "target_error"
    assert error.data["address"] == "0x60000000"
    assert error.data["openocd"]["code"] == 1
    assert "failed to read memory" in error.data["openocd"]["text"]
    assert "0x60000000" in error.message and "failed to read memory" in error.message
    assert error.data["target"] == "vb.cpu"


@pytest.mark.parametrize("width", WIDTHS)
def test_write_where_nothing_is(client: Client, width: int) -> None:
    error = client.fail(f"memory.write_u{width}", address="0x60000000", values=1)
    assert error.kind == "target_error"
    assert "failed to write memory" in error.data["openocd"]["text"]
    assert error.data["address"] == "0x60000000"


@pytest.mark.parametrize("width", WIDTHS)
def test_read_over_the_end_of_ram(client: Client, width: int) -> None:
    """What lies before the end is read by commands of its own or not at all: no values come without an error."""
    step = width // 8
    last = RAM_BASE + RAM_SIZE - step
    assert len(read(client, width, last)) == 1
    assert client.fail(f"memory.read_u{width}", address=last, count=2).kind == "target_error"
    error = client.fail(f"memory.read_u{width}", address=RAM_BASE, count=RAM_SIZE // step + 1)
    assert error.kind == "target_error"
    assert 0 < error.data["done"] <= RAM_SIZE // step


def test_error_in_a_later_command_says_how_far_it_came(client: Client) -> None:
    values = list(range(512)) + [0] * 2048
    start = RAM_BASE + RAM_SIZE - 512 * 4
    error = client.fail("memory.write_u32", address=start, values=values)
    assert error.kind == "target_error"
    done = error.data["done"]
    assert 0 < done <= 512
    assert read(client, 32, start, done) == values[:done]


@pytest.mark.parametrize("width", (16, 32, 64))
def test_unaligned_access_is_left_to_the_target(client: Client, width: int) -> None:
    """This board's bus refuses it. What was asked for is one access of that width: it is not put together of bytes."""
    error = client.fail(f"memory.read_u{width}", address=RAM_BASE + 1)
    assert error.kind == "target_error"
    assert "failed to read memory" in error.data["openocd"]["text"]


def test_named_target(client: Client, flash_content: bytes) -> None:
    assert read(client, 32, FLASH_BASE, target="vb.cpu") == unpack(flash_content[:4], 32)
    error = client.fail("memory.read_u32", address=FLASH_BASE, target="vb.other")
    assert error.kind == "not_found" and error.data["parameter"] == "target" and "vb.other" in error.message


def test_named_board(client: Client, flash_content: bytes) -> None:
    assert read(client, 32, FLASH_BASE, board="board") == unpack(flash_content[:4], 32)
    error = client.fail("memory.read_u32", address=FLASH_BASE, board="other")
    assert error.kind == "not_found" and error.data["parameter"] == "board" and "other" in error.message


@pytest.mark.parametrize("width", WIDTHS)
def test_beyond_the_targets_addresses(client: Client, width: int) -> None:
    """OpenOCD would wrap around to address 0 and say nothing."""
    step = width // 8
    for address, count in ((2**32, 1), (2**32 - step, 2), (2**64 - step, 1), (2**64 - 1, 2)):
        for call in (
            ("memory.read_u", {"count": count}),
            ("memory.write_u", {"values": [0] * count}),
        ):
            error = client.fail(f"{call[0]}{width}", address=str(address), **call[1])
            assert error.kind == "invalid_range", error.message
            assert "0xffffffff" in error.message
