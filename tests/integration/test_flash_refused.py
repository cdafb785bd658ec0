"""flash.write_image that cannot be done: the reason is told, and nothing is changed that need not be."""

from __future__ import annotations

from typing import Iterator

import pytest

from flash_bank import BLOCK, SECTOR, Bank, encode, noise
from harness.client import RpcError
from harness.stack import FLASH_BASE, KIB

SIZE = 16 * KIB

# write_bank that only says that it wrote.
PRETEND = """
rename {flash write_bank} true_write_bank
proc {flash write_bank} {bank file offset} {
    return "wrote [file size $file] bytes from file x to flash bank 0 at offset 0x00000000 in 0.1s (1.000 KiB/s)"
}
"""
TELL_THE_TRUTH = "rename {flash write_bank} {}; rename true_write_bank {flash write_bank}"


def refuse(bank: Bank, offset: int, size: int = 100, **more: object) -> RpcError:
    """A write that must fail, of bytes that are nowhere in the bank."""
    params = bank.params(0, noise(size, size), **{"prepare": "halt", **more})
    params["address"] = str(FLASH_BASE + offset)
    return bank.client.fail("flash.write_image", **params)


@pytest.mark.parametrize(
    "offset, size",
    [(-1, 1), (-1, 2), (-100, 200), (SIZE, 1), (SIZE - 1, 2), (0, SIZE + 1), (SIZE - 100, 101), (0x18000000, 4), (2**32,
    1)],
)
def test_outside_the_bank(bank: Bank, offset: int, size: int) -> None:
    error = refuse(bank, offset, size)
    assert error.kind == "image_invalid", error.message
    first = SIZE if 0 <= offset < SIZE else offset  # what lies in the bank is not what is wrong
    beyond = -offset if -size < offset < 0 else offset + size - first
    assert f"{FLASH_BASE + first:#010x}" in error.message
    assert (error.data["address"], error.data["size"]) == (f"{FLASH_BASE + first:#010x}", beyond)


@pytest.mark.parametrize("address", [0, 2**63, 2**64 - 3])
def test_far_outside(bank: Bank, address: int) -> None:
    error = bank.client.fail("flash.write_image", data="AAAA", address=str(address), prepare="halt")
    assert error.kind == "image_invalid", error.message


@pytest.mark.parametrize("address", [2**64 - 2, 2**64 - 1])
def test_beyond_all_addresses(bank: Bank, address: int) -> None:
    error = bank.client.fail("flash.write_image", data="AAAA", address=str(address), prepare="halt")
    assert error.kind == "invalid_range", error.message
    assert error.data["size"] == 3


def test_running_target_without_prepare(bank: Bank) -> None:
    bank.client.call("target.reset", mode="run")
    error = refuse(bank, 0, prepare="none")
    assert error.kind == "target_not_halted"
    assert error.data["flash_state"] == "unchanged"
    assert error.data["target"] == "vb.cpu" and error.data["state"] in ("running", "reset")
    assert "prepare" in error.message


@pytest.mark.parametrize("offset, size", [(0, 2), (3 * SECTOR + 5, 2000)])
def test_no_erase_over_what_is_there(bank: Bank, offset: int, size: int) -> None:
    error = refuse(bank, offset, size, erase=False)
    assert error.kind == "flash_error"
    assert error.data["reason"] == "not_erased"
    assert error.data["openocd"]["code"] != 0 and "not erased" in error.data["openocd"]["text"]
    assert error.data["flash_state"] == "partial", "OpenOCD was told to program: what it changed is not known"


@pytest.fixture(name="protected")
def fixture_protected(bank: Bank) -> Iterator[Bank]:
    """Block 1, sectors 4 to 7, is protected; it takes effect with a reset."""
    bank.client.call("target.halt")
    assert bank.client.call("openocd.command", command="flash protect 0 1 1 on")["code"] == 0
    bank.client.call("target.reset", mode="halt")
    yield bank
    assert bank.client.call("openocd.command", command="flash protect 0 1 1 off")["code"] == 0
    bank.client.call("target.reset", mode="halt")
    assert not any(block["protected"] for block in bank.client.call("flash.info")["protection_blocks"])


def test_protected_sector(protected: Bank) -> None:
    bank = protected
    info = bank.client.call("flash.info")
    assert [block["protected"] for block in info["protection_blocks"]] == [False, True, False, False]
    assert [i for i, sector in enumerate(info["sectors"]) if sector["protected"]] == [4, 5, 6, 7]
    for offset, size in ((BLOCK, 1), (2 * BLOCK - 1, 1), (BLOCK - 1, 2), (2 * BLOCK - 1, 2), (0, SIZE)):
        error = refuse(bank, offset, size)
        assert error.kind == "flash_error" and error.data["reason"] == "protected"
        assert error.data["flash_state"] == "unchanged"
        assert "protected" in error.message and int(error.data["address"], 16) in range(0x08001000, 0x08002000)
    bank.check()
    bank.write(BLOCK - 100, noise(100, 1))
    bank.write(2 * BLOCK, noise(100, 2))


def pretend(bank: Bank, offset: int, size: int) -> RpcError:
    """A write for which programming is made to do nothing but say that it did; its error."""
    assert bank.client.call("openocd.command", command=PRETEND)["code"] == 0
    try:
        return refuse(bank, offset, size, mode="full")
    finally:
        assert bank.client.call("openocd.command", command=TELL_THE_TRUTH)["code"] == 0


def test_verify_mismatch(bank: Bank) -> None:
    offset, size = 2 * SECTOR, 2 * SECTOR
    error = pretend(bank, offset, size)
    assert error.kind == "verify_mismatch"
    assert error.data["address"] == f"{FLASH_BASE + offset:#010x}"
    assert error.data["expected"] == noise(size, size)[0] and error.data["found"] == 0xFF
    assert error.data["flash_state"] == "partial" and error.data["phase"] == "verify"
    bank.content[offset : offset + 2 * SECTOR] = b"\xff" * 2 * SECTOR


def test_kept_bytes_that_do_not_come_back(bank: Bank) -> None:
    """They are looked at before anything says that they are no longer needed; the next write puts them back."""
    bank.write(0, noise(SIZE, 21))
    offset, size = 3 * SECTOR, 300
    error = pretend(bank, offset, size)
    assert error.kind == "verify_mismatch" and error.data["flash_state"] == "partial"
    assert error.data["address"] == f"{FLASH_BASE + offset + size:#010x}"
    assert (error.data["expected"], error.data["found"]) == (bank.content[offset + size], 0xFF)
    pending = bank.client.call("board.status")["pending_repairs"]
    assert [(each["bank"], each["offset"], each["size"]) for each in pending] == [("vb.flash", offset, SECTOR)]
    assert bank.write(offset, noise(size, size))["repaired_bytes"] == SECTOR - size
    assert bank.client.call("board.status")["pending_repairs"] == []


def test_a_failed_write_keeps_no_other_from_working(bank: Bank) -> None:
    refuse(bank, 0, 10, erase=False)
    bank.write(0, noise(10, 3))
    assert bank.client.call("flash.verify", data=encode(noise(10, 3)))["match"] is True


def test_the_failed_operation_is_on_record(bank: Bank) -> None:
    error = refuse(bank, SIZE)
    record = bank.client.call("operation.status", operation=error.data["operation"])
    assert record["state"] == "failed" and record["method"] == "flash.write_image"
    assert record["error"]["data"]["kind"] == "image_invalid" and "result" not in record
