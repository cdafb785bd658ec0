"""Several banks: a view of the first one, one whose protection nobody knows, one whose driver knows no protection."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest

from flash_bank import Bank
from harness.stack import KIB, Stack, make_image

CONFIG = Path(__file__).resolve().parent / "several_banks.cfg"
VIEW, MIXED, FAUX = 1, 2, 3
MIXED_SIZES = [8 * KIB] * 4 + [32 * KIB] + [64 * KIB] * 3


@pytest.fixture(name="banks")
def fixture_banks(make_stack: Callable[..., Stack]) -> Iterator[Bank]:
    """The board with four banks, running; the first holds its notes behind the test."""
    bank = Bank(make_stack(flash_size=16 * KIB, image=make_image(16 * KIB), openocd_config=CONFIG))
    yield bank
    bank.check()


def test_banks_are_probed_as_far_as_that_works(banks: Bank) -> None:
    """One cannot be probed while the core runs, which keeps the others from nothing."""
    client = banks.client
    client.call("target.list")
    sizes = [(each["name"], each["size"]) for each in client.call("board.status")["banks"]]
    assert sizes == [("vb.flash", 0), ("vb.view", 0), ("vb.mixed", 0), ("vb.faux", 256 * KIB)]
    listed = client.call("flash.banks")["banks"]
    assert [each["size"] for each in listed] == [16 * KIB, 16 * KIB, 0, 256 * KIB]
    assert [each["driver"] for each in listed] == ["stm32f1x", "virtual", "fm4", "faux"]
    assert [each["base"] for each in listed] == ["0x08000000", "0x00000000", "0x90000000", "0x98000000"]
    client.call("target.halt")
    assert [each["size"] for each in client.call("flash.banks")["banks"]] == [16 * KIB, 16 * KIB, 256 * KIB, 256 * KIB]


def test_info_of_a_bank_that_cannot_be_probed_now(banks: Bank) -> None:
    error = banks.client.fail("flash.info", bank=MIXED)
    assert error.kind == "target_not_halted" and "target not halted" in error.message
    banks.client.call("target.halt")
    assert banks.client.call("flash.info", bank=MIXED)["size"] == 256 * KIB


def test_protection_that_nobody_knows(banks: Bank) -> None:
    banks.client.call("target.halt")
    info = banks.client.call("flash.info", bank=MIXED)
    assert [each["size"] for each in info["sectors"]] == MIXED_SIZES
    assert [each["offset"] for each in info["sectors"]] == [sum(MIXED_SIZES[:i]) for i in range(8)]
    assert info["protection_blocks"] == info["sectors"]
    assert {each["protected"] for each in info["sectors"]} == {None}
    assert info["description"] == "MB9BFx64 MainFlash"


def test_a_driver_that_cannot_look_at_the_protection(banks: Bank) -> None:
    """What it says of it is made up, as OpenOCD tells in its log."""
    info = banks.client.call("flash.info", bank=FAUX)
    assert [(each["size"], each["protected"]) for each in info["sectors"]] == [(64 * KIB, None)] * 4


def test_a_view_of_another_bank(banks: Bank) -> None:
    client = banks.client
    client.call("target.halt")
    view, first = client.call("flash.info", bank=VIEW), client.call("flash.info", bank=0)
    assert view["index"] == VIEW and view["base"] == "0x00000000"
    for name in ("sectors", "protection_blocks", "size"):
        assert view[name] == first[name]
    assert client.call("flash.erase_sector", bank=VIEW, first=2, last=3)["sectors_erased"] == 2
    banks.content[2 * KIB : 4 * KIB] = b"\xff" * 2 * KIB
    assert client.call("flash.protect", bank=VIEW, first=4, last=7, on=True)["reset_needed"] is True
    client.call("target.reset", mode="halt")
    assert [each["protected"] for each in client.call("flash.info", bank=0)["protection_blocks"]] == [
        False, True, False, False]
    error = client.fail("flash.erase_sector", bank=VIEW, first=7, last=8)
    assert error.data["reason"] == "protected" and error.data["address"] == "0x00001c00"


@pytest.mark.parametrize("on", [True, False])
@pytest.mark.parametrize("bank", [MIXED, FAUX])
def test_drivers_that_know_no_protection(banks: Bank, bank: int, on: bool) -> None:
    banks.client.call("target.halt")
    error = banks.client.fail("flash.protect", bank=bank, first=1, last=2, on=on)
    assert error.kind == "unsupported" and "Flash protection is not supported." in error.message
    assert error.data["openocd"]["code"] == -908


def test_erase_goes_on_where_the_protection_is_not_known(banks: Bank) -> None:
    banks.client.call("target.halt")
    assert banks.client.call("flash.erase_all", bank=FAUX)["sectors_erased"] == 4
    assert banks.client.call("flash.erase_sector", bank=FAUX, first=1, last=3)["sectors_erased"] == 3


def test_erase_that_the_driver_fails(banks: Bank) -> None:
    """There is no such chip: its controller does not answer."""
    banks.client.call("target.halt")
    error = banks.client.fail("flash.erase_sector", bank=MIXED, first=3, last=5)
    assert error.kind == "flash_error" and error.data["reason"] == "driver"
    assert error.data["sector"] == 3 and error.data["address"] == "0x90006000" and error.data["bank"] == MIXED
    assert "failed erasing sectors 3 to 3" in error.data["openocd"]["text"]
    assert error.data["flash_state"] == "partial" and error.data["done"] == 0


def test_each_bank_has_its_own_last_sector(banks: Bank) -> None:
    banks.client.call("target.halt")
    for bank, last in ((0, 15), (VIEW, 15), (MIXED, 7), (FAUX, 3)):
        error = banks.client.fail("flash.erase_sector", bank=bank, first=0, last=last + 1)
        assert error.kind == "invalid_range" and (error.data["bank"], error.data["last"]) == (bank, last)
    error = banks.client.fail("flash.erase_all", bank=4)
    assert error.kind == "not_found"
