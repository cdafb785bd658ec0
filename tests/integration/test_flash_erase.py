"""flash.erase_sector and flash.erase_all: every byte of the bank is looked at behind each."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator

import pytest

from flash_bank import BLOCK, SECTOR, Bank
from harness.client import RpcError
from harness.stack import FLASH_BASE, KIB, Stack, make_image

SIZE = 16 * KIB
SECTORS = SIZE // SECTOR


def blank(bank: Bank, first: int, last: int) -> None:
    """Notes that these sectors should be blank now."""
    size = (last - first + 1) * SECTOR
    bank.content[first * SECTOR : first * SECTOR + size] = b"\xff" * size


def fill(bank: Bank) -> None:
    """Something in every byte."""
    bank.write(0, make_image(SIZE, seed=7), mode="full")


@pytest.fixture(name="full")
def fixture_full(bank: Bank) -> Bank:
    """The bank with something in every byte, and a halted target."""
    fill(bank)
    return bank


@pytest.mark.parametrize("first, last", [(0, 0), (15, 15), (3, 4), (1, 15), (0, 14), (2, 9)])
def test_erases_these_sectors_and_no_other_byte(full: Bank, first: int, last: int) -> None:
    result = full.client.call("flash.erase_sector", bank=0, first=first, last=last)
    assert result.pop("operation")
    assert result == {"sectors_erased": last - first + 1}
    blank(full, first, last)


@pytest.mark.parametrize("method, params", [("flash.erase_all", {}), ("flash.erase_sector", {"first": 0, "last": 15})])
def test_erases_the_whole_bank(full: Bank, method: str, params: Dict[str, int]) -> None:
    assert full.client.call(method, **params)["sectors_erased"] == SECTORS
    blank(full, 0, SECTORS - 1)
    full.check()
    fill(full)


def test_progress_counts_sectors(full: Bank) -> None:
    result = full.client.call("flash.erase_sector", first=1, last=12, progress="e")
    notes = full.client.take_notifications("progress")
    assert {note["phase"] for note in notes} == {"queued", "erase"}
    assert all(note["operation"] == result["operation"] for note in notes)
    last = notes[-1]
    assert (last["phase"], last["done"], last["total"], last["unit"]) == ("erase", 12, 12, "sectors")
    blank(full, 1, 12)


@pytest.mark.parametrize("first, last", [(1, 0), (15, 3), (2**20 - 1, 0)])
def test_first_behind_last(bank: Bank, first: int, last: int) -> None:
    error = bank.client.fail("flash.erase_sector", first=first, last=last)
    assert error.kind == "invalid_range"
    assert (error.data["first"], error.data["last"]) == (first, last)


@pytest.mark.parametrize("first, last", [(0, 16), (16, 16), (15, 2**20 - 1)])
def test_sectors_that_do_not_exist(bank: Bank, first: int, last: int) -> None:
    error = bank.client.fail("flash.erase_sector", first=first, last=last)
    assert error.kind == "invalid_range", error.message
    assert error.data["last"] == 15 and error.data["bank"] == 0


BAD: Dict[str, Dict[str, Any]] = {
    "no first": {"last": 1},
    "no last": {"first": 1},
    "negative": {"first": -1, "last": 1},
    "too large": {"first": 0, "last": 2**20},
    "a word": {"first": 0, "last": "last"},
    "a fraction": {"first": 0.5, "last": 1},
    "null": {"first": 0, "last": None},
    "an array": {"first": [0], "last": 1},
    "a bad bank": {"bank": "0; shutdown", "first": 0, "last": 1},
    "an unknown one": {"first": 0, "last": 1, "unlock": True},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters(bank: Bank, name: str) -> None:
    assert bank.client.fail("flash.erase_sector", **BAD[name]).kind == "invalid_params"


@pytest.mark.parametrize("method, params", [("flash.erase_all", {}), ("flash.erase_sector", {"first": 0, "last": 0})])
def test_no_such_bank_or_not_that_target(bank: Bank, method: str, params: Dict[str, int]) -> None:
    error = bank.client.fail(method, bank=1, **params)
    assert error.kind == "not_found" and error.data["parameter"] == "bank"
    error = bank.client.fail(method, target="nobody", **params)
    assert error.kind == "not_found" and error.data["parameter"] == "target"


@pytest.mark.parametrize("method, params", [("flash.erase_all", {}), ("flash.erase_sector", {"first": 0, "last": 0})])
def test_running_target(bank: Bank, method: str, params: Dict[str, int]) -> None:
    bank.client.call("target.reset", mode="run")
    error = bank.client.fail(method, **params)
    assert error.kind == "target_not_halted" and error.data["flash_state"] == "unchanged"
    assert error.data["target"] == "vb.cpu" and error.data["state"] in ("running", "reset")


@pytest.fixture(name="protected")
def fixture_protected(full: Bank) -> Iterator[Bank]:
    """Sectors 4 to 7 are protected."""
    full.client.call("flash.protect", first=4, last=7, on=True)
    full.client.call("target.reset", mode="halt")
    yield full
    full.client.call("flash.protect", first=4, last=7, on=False)
    full.client.call("target.reset", mode="halt")


def is_protected(error: RpcError, sector: int) -> bool:
    """An error that names this sector, before anything was changed."""
    data = error.data
    place = data["address"] == f"{FLASH_BASE + sector * SECTOR:#010x}" and data["sector"] == sector
    return place and data["reason"] == "protected" and data["flash_state"] == "unchanged"


@pytest.mark.parametrize("first, last, named", [(4, 4, 4), (7, 7, 7), (3, 4, 4), (7, 8, 7), (0, 15, 4)])
def test_protected_sectors(protected: Bank, first: int, last: int, named: int) -> None:
    error = protected.client.fail("flash.erase_sector", first=first, last=last)
    assert error.kind == "flash_error" and is_protected(error, named)


def test_erase_all_with_a_protected_sector_erases_nothing(protected: Bank) -> None:
    error = protected.client.fail("flash.erase_all")
    assert error.kind == "flash_error" and is_protected(error, 4)
    protected.check()
    protected.client.call("flash.erase_sector", first=8, last=9)
    blank(protected, 8, 9)


def test_a_bank_whose_last_block_is_longer(make_stack: Callable[..., Stack]) -> None:
    """132 KiB: 66 sectors of 2 KiB, 32 blocks, the last of which has all that is left."""
    bank = Bank(make_stack(flash_size=132 * KIB, image=make_image(132 * KIB)))
    bank.client.call("target.halt")
    assert bank.client.call("flash.erase_all")["sectors_erased"] == 66
    bank.content[:] = b"\xff" * len(bank.content)
    bank.check()


def test_openocd_that_does_something_else(full: Bank) -> None:
    """An erase that only says that it was done, and of other sectors at that."""
    lie = 'rename {flash erase_sector} true_erase; proc {flash erase_sector} {b f l} ' \
          '{return "erased sectors 0 through 9 on flash bank 0 in 0.1s"}'
    assert full.client.call("openocd.command", command=lie)["code"] == 0
    try:
        error = full.client.fail("flash.erase_sector", first=2, last=5)
    finally:
        full.client.call("openocd.command", command="rename {flash erase_sector} {}; "
                                                    "rename true_erase {flash erase_sector}")
    assert error.kind == "flash_error" and error.data["reason"] == "driver" and error.data["sector"] == 2
    assert "sectors 2 to 2" in error.message and error.data["done"] == 0


def test_the_record_of_an_erase(full: Bank) -> None:
    result = full.client.call("flash.erase_sector", first=BLOCK // SECTOR, last=BLOCK // SECTOR)
    record = full.client.call("operation.status", operation=result["operation"])
    assert record["state"] == "done" and record["method"] == "flash.erase_sector"
    assert record["result"]["sectors_erased"] == 1
    blank(full, 4, 4)
