"""flash.banks, flash.info and flash.verify."""

from __future__ import annotations

import random
from typing import Any, Callable, Dict

import pytest

from flash_bank import Bank, encode
from harness.client import Client
from harness.stack import FLASH_BASE, KIB, Stack, make_image

BANK: Dict[str, Any] = {
    "index": 0,
    "name": "vb.flash",
    "driver": "stm32f1x",
    "base": "0x08000000",
    "size": 128 * KIB,
    "bus_width": 0,
    "chip_width": 0,
    "target": "vb.cpu",
}


def test_banks_are_probed_where_the_size_is_not_known(make_stack: Callable[..., Stack]) -> None:
    """What is known without asking, board.status, has the size only then."""
    client = make_stack(flash_size=16 * KIB).client()
    client.call("target.list")
    assert client.call("board.status")["banks"] == [{**BANK, "size": 0}]
    assert client.call("flash.banks") == {"banks": [{**BANK, "size": 16 * KIB}]}
    assert client.call("board.status")["banks"] == [{**BANK, "size": 16 * KIB}]


def test_sectors_are_not_protection_blocks(client: Client) -> None:
    info = client.call("flash.info", bank=0)
    sectors = [{"index": i, "offset": i * KIB, "size": KIB, "protected": False} for i in range(128)]
    blocks = [{"index": i, "offset": i * 4 * KIB, "size": 4 * KIB, "protected": False} for i in range(32)]
    assert info.pop("sectors") == sectors
    assert info.pop("protection_blocks") == blocks
    assert "STM32F10x" in info.pop("description")
    assert info == BANK


def test_a_board_with_bigger_sectors(make_stack: Callable[..., Stack]) -> None:
    info = make_stack(flash_size=256 * KIB).client().call("flash.info")
    assert [(each["offset"], each["size"]) for each in info["sectors"]] == [(i * 2048, 2048) for i in range(128)]
    assert [each["size"] for each in info["protection_blocks"]][0] == 4096


@pytest.mark.parametrize("method", ["flash.info", "flash.verify"])
@pytest.mark.parametrize("bank", [1, 9, 1023])
def test_no_such_bank(client: Client, method: str, bank: int) -> None:
    more = {"data": "AAAA"} if method == "flash.verify" else {}
    error = client.fail(method, bank=bank, **more)
    assert error.kind == "not_found" and error.data["parameter"] == "bank" and str(bank) in error.message


@pytest.mark.parametrize("offset, size", [(0, 1), (0, 1024), (1, 1), (1023, 2), (77, 5000), (0, 128 * KIB),
    (128 * KIB - 1, 1)])
def test_verify_match(client: Client, flash_content: bytes, offset: int, size: int) -> None:
    result = client.call("flash.verify", data=encode(flash_content[offset : offset + size]), offset=offset)
    del result["operation"]
    assert result == {"match": True, "size": size, "differences": [], "difference_count": 0, "disturbed": False}


def test_verify_hex_and_consistent(client: Client, flash_content: bytes) -> None:
    result = client.call("flash.verify", data=flash_content[:64].hex(), encoding="hex", bank=0, consistent=True)
    assert result["match"] is True


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 300])
def test_verify_differences(client: Client, flash_content: bytes, count: int) -> None:
    """The first 16 one by one, in order, and the number of all."""
    offset, size = 100, 20000
    data = bytearray(flash_content[offset : offset + size])
    places = sorted(random.Random(count).sample(range(size), count))
    for place in places:
        data[place] ^= 1 << (place % 8)
    result = client.call("flash.verify", data=encode(bytes(data)), offset=offset)
    assert result["match"] is False and result["difference_count"] == count
    assert result["differences"] == [
        {
            "offset": offset + place,
            "address": f"{FLASH_BASE + offset + place:#010x}",
            "expected": data[place],
            "found": flash_content[offset + place],
        }
        for place in places[:16]
    ]


def test_verify_everything_different(client: Client, flash_content: bytes) -> None:
    data = bytes(byte ^ 0xFF for byte in flash_content[:3000])
    assert client.call("flash.verify", data=encode(data))["difference_count"] == 3000


@pytest.mark.parametrize("offset, size", [(128 * KIB, 1), (128 * KIB - 1, 2), (0, 128 * KIB + 1), (2**32 - 1, 1),
    (2**53, 4)])
def test_verify_beyond_the_bank(client: Client, offset: int, size: int) -> None:
    error = client.fail("flash.verify", data=encode(bytes(size)), offset=str(offset))
    assert error.kind == "invalid_range", error.message
    assert "bank 0" in error.message


def test_verify_of_a_bank_that_was_not_probed_yet(make_stack: Callable[..., Stack]) -> None:
    """OpenOCD probes it on the way, and knows then what lies beyond it."""
    bank = Bank(make_stack(flash_size=8 * KIB, image=make_image(8 * KIB)))
    for offset, size in ((8 * KIB, 1), (0, 8 * KIB + 1), (2**32, 1), (2**53, 4)):
        error = bank.client.fail("flash.verify", data=encode(bytes(size)), offset=str(offset))
        assert error.kind == "invalid_range", error.message
    assert bank.client.call("flash.verify", data=encode(bytes(bank.content)))["match"] is True


def test_verify_reads_while_the_target_runs(make_stack: Callable[..., Stack]) -> None:
    bank = Bank(make_stack(flash_size=8 * KIB, image=make_image(8 * KIB)))
    assert bank.client.call("target.state")["state"] == "running"
    assert bank.client.call("flash.verify", data=encode(bytes(bank.content)))["match"] is True
    assert bank.client.call("target.state")["state"] == "running"
