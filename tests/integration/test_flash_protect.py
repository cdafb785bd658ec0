"""flash.protect: what reads back, what a reset makes of it, and that it protects."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List

import pytest

from flash_bank import BLOCK, SECTOR, Bank, noise
from harness.stack import KIB, Stack, make_image

SIZE = 16 * KIB


def protected(bank: Bank) -> List[int]:
    """The sectors that read back as protected."""
    sectors = bank.client.call("flash.info")["sectors"]
    return [each["index"] for each in sectors if each["protected"]]


def reset(bank: Bank) -> None:
    """Protection takes effect with a reset."""
    bank.client.call("target.reset", mode="halt")


@pytest.fixture(name="open_bank")
def fixture_open_bank(bank: Bank) -> Iterator[Bank]:
    """A halted target with no protection, before and behind the test."""
    bank.client.call("target.halt")
    yield bank
    bank.client.call("target.halt")
    bank.client.call("flash.protect", first=0, last=15, on=False)
    reset(bank)
    assert protected(bank) == []


def rows(first: int, last: int, on: bool) -> List[Dict[str, Any]]:
    """As `sectors` gives them."""
    return [{"index": i, "offset": i * SECTOR, "size": SECTOR, "protected": on} for i in range(first, last + 1)]


@pytest.mark.parametrize("first, last", [(0, 3), (4, 7), (12, 15), (0, 15), (4, 11)])
def test_takes_effect_with_a_reset(open_bank: Bank, first: int, last: int) -> None:
    bank = open_bank
    range_ = {"first": first, "last": last}
    result = bank.client.call("flash.protect", bank=0, on=True, **range_)
    assert result == {"sectors": rows(first, last, False), "reset_needed": True}
    assert protected(bank) == []
    reset(bank)
    assert protected(bank) == list(range(first, last + 1))
    assert bank.client.call("flash.protect", on=True, **range_) == {
        "sectors": rows(first, last, True), "reset_needed": False}
    assert bank.client.call("flash.protect", on=False, **range_) == {
        "sectors": rows(first, last, True), "reset_needed": True}
    reset(bank)
    assert protected(bank) == []


def test_a_protected_sector_is_neither_programmed_nor_erased(open_bank: Bank) -> None:
    bank = open_bank
    bank.client.call("flash.protect", first=4, last=7, on=True)
    reset(bank)
    params = bank.params(BLOCK + 100, noise(50, 1))
    error = bank.client.fail("flash.write_image", **params)
    assert error.kind == "flash_error" and error.data["reason"] == "protected"
    error = bank.client.fail("flash.erase_sector", first=5, last=5)
    assert error.kind == "flash_error" and error.data["reason"] == "protected"
    bank.check()
    bank.write(BLOCK - 50, noise(50, 2))
    bank.client.call("flash.protect", first=4, last=7, on=False)
    reset(bank)
    bank.write(BLOCK + 100, noise(50, 1))


def test_protection_changes_no_other_block(open_bank: Bank) -> None:
    bank = open_bank
    bank.client.call("flash.protect", first=0, last=3, on=True)
    reset(bank)
    bank.client.call("flash.protect", first=8, last=11, on=True)
    reset(bank)
    assert protected(bank) == [0, 1, 2, 3, 8, 9, 10, 11]
    bank.client.call("flash.protect", first=0, last=3, on=False)
    reset(bank)
    assert protected(bank) == [8, 9, 10, 11]


@pytest.mark.parametrize("first, last, low, high", [
    (0, 0, 0, 3), (1, 3, 0, 3), (3, 4, 0, 7), (4, 6, 4, 7), (15, 15, 12, 15), (5, 13, 4, 15)])
@pytest.mark.parametrize("on", [True, False])
def test_a_range_that_cuts_a_block(open_bank: Bank, first: int, last: int, low: int, high: int, on: bool) -> None:
    """The borders that it names do work."""
    bank = open_bank
    error = bank.client.fail("flash.protect", first=first, last=last, on=on)
    assert error.kind == "invalid_range" and "cut" in error.message
    assert (error.data["first"], error.data["last"], error.data["bank"]) == (low, high, 0)
    reset(bank)
    assert protected(bank) == []
    assert len(bank.client.call("flash.protect", first=low, last=high, on=on)["sectors"]) == high - low + 1


@pytest.mark.parametrize("first, last", [(0, 16), (16, 19), (2**20 - 1, 2**20 - 1)])
def test_sectors_that_do_not_exist(bank: Bank, first: int, last: int) -> None:
    error = bank.client.fail("flash.protect", first=first, last=last, on=True)
    assert error.kind == "invalid_range" and error.data["last"] == 15


def test_first_behind_last(bank: Bank) -> None:
    assert bank.client.fail("flash.protect", first=4, last=3, on=True).kind == "invalid_range"


BAD: Dict[str, Dict[str, Any]] = {
    "no on": {"first": 0, "last": 3},
    "on as a word": {"first": 0, "last": 3, "on": "on"},
    "on as a number": {"first": 0, "last": 3, "on": 1},
    "negative": {"first": -1, "last": 3, "on": True},
    "too large": {"first": 0, "last": 2**32, "on": True},
    "a word": {"first": 0, "last": "last", "on": True},
    "unknown": {"first": 0, "last": 3, "on": True, "blocks": True},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters(bank: Bank, name: str) -> None:
    assert bank.client.fail("flash.protect", **BAD[name]).kind == "invalid_params"


def test_no_such_bank(bank: Bank) -> None:
    error = bank.client.fail("flash.protect", bank=7, first=0, last=3, on=True)
    assert error.kind == "not_found" and error.data["parameter"] == "bank"


def test_running_target(bank: Bank) -> None:
    bank.client.call("target.reset", mode="run")
    error = bank.client.fail("flash.protect", first=0, last=3, on=True)
    assert error.kind == "target_not_halted", error.message
    assert "Target not halted" in error.data["openocd"]["text"]
    bank.client.call("target.reset", mode="halt")
    assert protected(bank) == []


def test_bigger_sectors_and_a_longer_last_block(make_stack: Callable[..., Stack]) -> None:
    """256 KiB: sectors of 2 KiB, blocks of two, and the 32nd block is from sector 62 to the end."""
    bank = Bank(make_stack(flash_size=256 * KIB, image=make_image(256 * KIB)))
    bank.client.call("target.halt")
    error = bank.client.fail("flash.protect", first=60, last=63, on=True)
    assert error.kind == "invalid_range" and (error.data["first"], error.data["last"]) == (60, 127)
    bank.client.call("flash.protect", first=62, last=127, on=True)
    reset(bank)
    assert protected(bank) == list(range(62, 128))
    assert bank.client.call("flash.erase_sector", first=60, last=61)["sectors_erased"] == 2
    assert bank.client.fail("flash.erase_sector", first=61, last=62).data["sector"] == 62
