"""flash.write_image that goes well: every byte of the bank is looked at behind each write."""

from __future__ import annotations

from typing import Any, Dict

import pytest

from flash_bank import SECTOR, Bank, encode, noise
from harness.stack import FLASH_BASE, KIB, make_image
from harness.waiting import wait_until

SIZE = 16 * KIB


def expected(offset: int, size: int) -> Dict[str, Any]:
    """A result, without what differs from run to run."""
    sectors = (offset + size - 1) // SECTOR - offset // SECTOR + 1
    return {"format": "bin", "segments": 1, "bytes_written": size, "bytes_unchanged": 0, "sectors_erased": sectors,
            "verified": True, "repaired_bytes": 0}


def strip(result: Dict[str, Any]) -> Dict[str, Any]:
    """A result without what differs from run to run, which must be there."""
    assert result.pop("operation") and result.pop("duration_ms") >= 0
    return result


@pytest.mark.parametrize("offset", [0, 1, 2, 511, 1022, 1023, 3 * SECTOR])
@pytest.mark.parametrize("size", [1, 2, 3, 1023, 1024, 1025])
def test_sizes_and_places(bank: Bank, offset: int, size: int) -> None:
    """What the touched sectors hold beside the image is kept."""
    result = bank.write(offset, noise(size, offset + size), mode="full")
    assert strip(result) == expected(offset, size)
    bank.check()


@pytest.mark.parametrize(
    "offset, size",
    [
        (2 * SECTOR, 4 * SECTOR),
        (2 * SECTOR + 1, 4 * SECTOR),
        (2 * SECTOR - 1, 4 * SECTOR + 2),
        (5 * SECTOR + 700, 3 * SECTOR - 5),
        (SIZE - 1, 1),
        (SIZE - SECTOR - 1, SECTOR + 1),
        (SIZE - 2500, 2500),
    ],
)
def test_over_several_sectors_and_at_the_end(bank: Bank, offset: int, size: int) -> None:
    assert strip(bank.write(offset, noise(size, offset), mode="full")) == expected(offset, size)


def test_the_whole_bank(bank: Bank) -> None:
    assert strip(bank.write(0, noise(SIZE, 99), mode="full")) == expected(0, SIZE)


def test_the_default_address_is_the_base_of_bank_0(bank: Bank) -> None:
    data = noise(300, 5)
    bank.client.call("flash.write_image", data=data.hex(), encoding="hex", format="bin", mode="full", prepare="halt")
    bank.content[:300] = data


def test_without_verify(bank: Bank) -> None:
    assert bank.write(4000, noise(700, 6), verify=False)["verified"] is False


def test_blank_data_makes_blank_flash(bank: Bank) -> None:
    bank.write(SECTOR, b"\xff" * 2 * SECTOR)
    assert bank.read()[SECTOR : 3 * SECTOR] == b"\xff" * 2 * SECTOR


@pytest.mark.parametrize("offset, size", [(0, 2), (0, SECTOR), (100, 1500), (SECTOR - 2, 4), (0, 4 * SECTOR)])
def test_no_erase_on_blank_flash(bank: Bank, offset: int, size: int) -> None:
    bank.write(4 * SECTOR, b"\xff" * 4 * SECTOR)
    result = bank.write(4 * SECTOR + offset, noise(size, size), erase=False)
    assert strip(result) == {**expected(offset, size), "sectors_erased": 0}


@pytest.mark.parametrize("offset, size", [(1, 1), (1, 2), (0, 1), (0, 3), (7, 1001)])
def test_no_erase_at_odd_places_of_blank_flash(bank: Bank, offset: int, size: int) -> None:
    """The flash takes half-words: OpenOCD fills up with blank bytes, and counts what it was given."""
    bank.write(4 * SECTOR, b"\xff" * 2 * SECTOR)
    result = bank.write(4 * SECTOR + offset, noise(size, size), erase=False)
    assert strip(result) == {**expected(offset, size), "sectors_erased": 0}


@pytest.mark.parametrize("prepare", ["halt", "reset_halt", "reset_init"])
def test_prepare_from_running(bank: Bank, prepare: str) -> None:
    bank.client.call("target.reset", mode="run")
    bank.write(2000, noise(100, len(prepare)), prepare=prepare)
    assert bank.client.call("target.state")["state"] == "halted"


def test_no_prepare_needed_where_it_is_halted(bank: Bank) -> None:
    bank.client.call("target.halt")
    bank.write(3000, noise(10, 8), prepare="none")


@pytest.mark.parametrize("reset, state", [("none", "halted"), ("run", "running"), ("halt", "halted")])
def test_reset_at_the_end(bank: Bank, reset: str, state: str) -> None:
    bank.write(0, make_image(SECTOR), reset=reset)
    wait_until(lambda: bank.client.call("target.state")["state"] == state, f"the target to be {state}")


def test_reset_run_starts_what_was_written(bank: Bank) -> None:
    """The old program waits at its first instruction, the new one leaves a mark in RAM."""
    program = bytearray(make_image(SECTOR, seed=3))
    # ldr r0, [pc, #8]; movs r1, #42; str r1, [r0]; b .; nop; nop; .word 0x20001000
    program[0x40:0x50] = bytes.fromhex("02482a210160fee700bf00bf00100020")
    bank.client.call("target.halt")
    bank.client.call("memory.write_u32", address=0x20001000, values=0)
    bank.write(0, bytes(program), reset="run")

    def runs() -> bool:
        return bool(bank.client.call("memory.read_u32", address=0x20001000)["values"] == [42])

    wait_until(runs, "the new program to run")


def test_progress(bank: Bank) -> None:
    """The first names the queue, the last the end of the last phase; between them nothing falls within its phase, which
    the client checks with every one."""
    result = bank.write(SECTOR, noise(8 * SECTOR, 4), progress="w", mode="full")
    notes = bank.client.take_notifications("progress")
    assert all(note["operation"] == result["operation"] and note["token"] == "w" for note in notes)
    assert notes[0]["phase"] == "queued" and notes[0]["place"] == 0
    assert {note["phase"] for note in notes} <= {"queued", "erase", "program", "verify"}
    last = notes[-1]
    assert (last["phase"], last["done"], last["total"], last["unit"]) == ("verify", 8 * SECTOR, 8 * SECTOR, "bytes")


def test_progress_ends_with_the_reset(bank: Bank) -> None:
    bank.write(0, make_image(SECTOR), reset="halt", progress=17)
    last = bank.client.take_notifications("progress")[-1]
    assert (last["token"], last["phase"], last["done"], last["total"]) == (17, "reset", 1, 1)


def test_verify_agrees(bank: Bank) -> None:
    data = noise(3000, 12)
    bank.write(5000, data)
    assert bank.client.call("flash.verify", data=encode(data), offset=5000)["match"] is True
    assert bank.client.call("memory.read_u8", address=FLASH_BASE + 5000, count=3000)["values"] == list(data)
