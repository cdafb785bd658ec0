"""Erasing, protecting and loading into RAM that fail, are stopped, or lose their link."""

from __future__ import annotations

import base64
import random
from typing import Any, Dict, Tuple

import pytest

from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

BEFORE = random.Random(3).randbytes(8 * KIB)
IMAGE = random.Random(4).randbytes(6000)
DATA = base64.b64encode(IMAGE).decode()
SHORT_MS = 300
# Sectors 0 to 6: the first piece is one sector, the second the others.
RANGE = {"first": 0, "last": 6}
FIRST, SECOND = r"erase_sector 0 0 0\Z", r"erase_sector 0 1 6\Z"
LOSSES: Dict[str, Dict[str, Any]] = {
    "command": {"action": "drop", "when": "command"},
    "before": {"action": "drop", "when": "before"},
    "inside": {"action": "drop", "when": "inside", "bytes": 10},
    "crash": {"action": "crash"},
}


@pytest.fixture
def halted(rig: Rig) -> Tuple[Rig, Any]:
    """A halted target, something in its flash, and a client."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.poke(FLASH, BEFORE)
    return rig, client


def flash(rig: Rig) -> bytes:
    """What is in the flash now."""
    return rig.mock.peek(FLASH, 8 * KIB)


def erased(sectors: int) -> bytes:
    """What must be in the flash when so many sectors from the first on are erased."""
    return b"\xff" * sectors * KIB + BEFORE[sectors * KIB:]


def lose(rig: Rig, pattern: str, loss: str) -> None:
    """The command that matches will lose its link."""
    fault = dict(LOSSES[loss])
    rig.mock.fault(fault.pop("action"), match=pattern, **fault)


def come_back(rig: Rig, loss: str) -> None:
    """OpenOCD runs again, if it was gone."""
    if loss == "crash":
        wait_until(lambda: not rig.mock.stats(0)["listening"], "the crash")
        rig.mock.restart()


# Erasing.

def test_erase_fails_in_the_middle(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    rig.mock.fault("fail", match=SECOND, command="flash erase_sector", code=-902,
                   log="timed out waiting for flash\nfailed erasing sectors 1 to 6\n")
    error = client.fail("flash.erase_sector", **RANGE)
    assert error.kind == "flash_error" and error.data["reason"] == "driver"
    assert error.data["openocd"] == {
        "code": -902, "text": "timed out waiting for flash\nfailed erasing sectors 1 to 6"}
    assert (error.data["sector"], error.data["address"]) == (1, "0x08000400")
    assert (error.data["phase"], error.data["done"], error.data["total"]) == ("erase", 1, 7)
    assert error.data["flash_state"] == "partial" and "sectors 1 to 6" in error.message
    assert flash(rig) == erased(1)
    assert client.call("flash.erase_sector", **RANGE)["sectors_erased"] == 7
    assert flash(rig) == erased(7)


@pytest.mark.parametrize("pattern, done", [(FIRST, 0), (SECOND, 1)])
@pytest.mark.parametrize("loss", LOSSES)
def test_erase_loses_its_link(halted: Tuple[Rig, Any], pattern: str, done: int, loss: str) -> None:
    """Nobody knows whether it was erased; it is not tried again."""
    rig, client = halted
    lose(rig, pattern, loss)
    error = client.error(client.send("flash.erase_sector", **RANGE, timeout_ms=LONG_MS))
    assert error.kind == "outcome_unknown"
    assert error.data["flash_state"] == "partial" and error.data["phase"] == "erase"
    assert (error.data["done"], error.data["total"], error.data["unit"]) == (done, 7, "sectors")
    come_back(rig, loss)
    rig.assert_works()
    assert rig.sent(pattern) == 1
    assert rig.sent("erase_sector") == done + 1


@pytest.mark.parametrize("loss", ["before", "crash"])
def test_erase_loses_its_link_while_it_looks(halted: Tuple[Rig, Any], loss: str) -> None:
    """Nothing was changed yet: it looks again, and erases."""
    rig, client = halted
    lose(rig, "flash probe 0", loss)
    identifier = client.send("flash.erase_sector", first=1, last=1, timeout_ms=LONG_MS)
    come_back(rig, loss)
    assert client.result(identifier)["sectors_erased"] == 1
    assert flash(rig) == BEFORE[:KIB] + b"\xff" * KIB + BEFORE[2 * KIB:]


@pytest.mark.parametrize("pattern, done", [("flash probe 0", 0), (FIRST, 1)])
def test_erase_is_cancelled_between_pieces(halted: Tuple[Rig, Any], pattern: str, done: int) -> None:
    rig, client = halted
    identifier = rig.stall(client, pattern, "flash.erase_sector", **RANGE)
    client.call("request.cancel", id=identifier)
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "cancelled"
    assert error.data["flash_state"] == ("partial" if done else "unchanged")
    if done:
        assert (error.data["done"], error.data["total"]) == (done, 7)
    assert flash(rig) == erased(done)
    assert client.call("operation.status", operation=error.data["operation"])["state"] == "cancelled"


def test_deadline_while_erasing(halted: Tuple[Rig, Any]) -> None:
    """Answered at once; what is in flight ends by itself, and nothing follows."""
    rig, client = halted
    rig.mock.fault("stall", match=FIRST)
    identifier = client.send("flash.erase_sector", **RANGE, timeout_ms=SHORT_MS)
    rig.mock.wait(stalled=True)
    error = client.error(identifier)
    assert error.kind == "outcome_unknown" and error.data["flash_state"] == "partial"
    rig.mock.release()
    wait_until(lambda: rig.status()["queued"] == 0, "the end of everything")
    assert client.call("memory.read_u32", address=RAM)["values"] == [0]
    assert flash(rig) == erased(1)
    assert rig.sent("erase_sector") == 1


def test_others_read_between_the_pieces_of_an_erase(halted: Tuple[Rig, Any]) -> None:
    """Changes wait until it is over."""
    rig, client = halted
    reader, writer = rig.client(), rig.client()
    identifier = rig.stall(client, FIRST, "flash.erase_sector", **RANGE)
    read = reader.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    write = writer.send("memory.write_u32", address=RAM, values=[9], timeout_ms=LONG_MS)
    rig.wait_queued(3)
    rig.mock.release()
    assert reader.result(read)["values"] == [0]
    assert writer.result(write)["count"] == 1
    assert client.result(identifier)["sectors_erased"] == 7
    scripts = rig.mock.scripts()
    place = [next(i for i, script in enumerate(scripts) if word in script)
             for word in ("erase_sector 0 0 0", "read_memory 0x20000000", "erase_sector 0 1 6",
                          "write_memory 0x20000000")]
    assert place == sorted(place)


def test_client_that_goes_takes_its_erase_with_it(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    rig.stall(client, FIRST, "flash.erase_sector", **RANGE)
    rig.reset_client(client)
    other = rig.client()
    name = other.call("operation.list")["operations"][0]["operation"]
    waiting = other.send("operation.wait", operation=name, timeout_ms=LONG_MS)
    rig.mock.release()
    ended = other.result(waiting)
    assert ended["state"] == "cancelled" and ended["error"]["data"]["flash_state"] == "partial"
    assert flash(rig) == erased(1)


def test_erase_all_on_a_board_that_says_otherwise(halted: Tuple[Rig, Any]) -> None:
    """The target was halted when we looked."""
    rig, client = halted
    identifier = rig.stall(client, "curstate", "flash.erase_all")
    rig.mock.fault("fail", match="erase_sector", command="flash erase_sector", code=-304,
                   log="Target not halted\nfailed erasing sectors 0 to 127\n")
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "target_not_halted" and error.data["flash_state"] == "partial"
    assert "Target not halted" in error.data["openocd"]["text"]


# Protecting.

@pytest.mark.parametrize("loss", LOSSES)
def test_protect_loses_its_link(halted: Tuple[Rig, Any], loss: str) -> None:
    rig, client = halted
    lose(rig, "flash protect", loss)
    error = client.error(client.send("flash.protect", first=0, last=3, on=True, timeout_ms=LONG_MS))
    assert error.kind == "outcome_unknown"
    come_back(rig, loss)
    rig.assert_works()
    assert rig.sent("flash protect") == 1


def test_protect_loses_its_link_while_it_reads_back(halted: Tuple[Rig, Any]) -> None:
    """The change is not made a second time, and whether it is still there nobody knows."""
    rig, client = halted
    rig.mock.fault("drop", match="flash probe", when="before", nth=2)
    error = client.fail("flash.protect", first=0, last=3, on=True, timeout_ms=LONG_MS)
    assert error.kind == "outcome_unknown"
    assert rig.sent("flash protect") == 1
    client.call("target.reset", mode="halt")
    assert client.call("flash.info")["sectors"][3]["protected"] is True
    assert client.call("flash.protect", first=0, last=3, on=True)["reset_needed"] is False


def test_protect_that_openocd_fails(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    rig.mock.fault("fail", match="flash protect", command="flash protect", code=-4,
                   log="stm32x failed to erase options\nfailed setting protection for blocks 0 to 0\n")
    error = client.fail("flash.protect", first=0, last=3, on=True)
    assert error.kind == "flash_error" and error.data["reason"] == "driver" and error.data["bank"] == 0
    assert "stm32x failed to erase options" in error.message


# Loading.

def ram(rig: Rig) -> bytes:
    """Where the image goes."""
    return rig.mock.peek(RAM, len(IMAGE))


@pytest.mark.parametrize("loss", LOSSES)
def test_load_loses_its_link_while_it_writes(rig: Rig, loss: str) -> None:
    client = rig.client()
    rig.mock.fault(**{**LOSSES[loss], "match": "write_memory", "nth": 2})
    error = client.error(client.send("memory.load_image", data=DATA, address=RAM, timeout_ms=LONG_MS))
    assert error.kind == "outcome_unknown" and error.data["phase"] == "write"
    assert error.data["done"] == KIB and error.data["total"] == len(IMAGE)
    come_back(rig, loss)
    rig.assert_works()
    assert ram(rig)[:KIB] == IMAGE[:KIB] and rig.sent("write_memory") == 2


@pytest.mark.parametrize("loss", ["before", "inside"])
def test_load_loses_its_link_while_it_verifies(rig: Rig, loss: str) -> None:
    """All is written, but what has become of it meanwhile nobody knows."""
    client = rig.client()
    lose(rig, r"read_memory 0x20000000 32", loss)
    error = client.fail("memory.load_image", data=DATA, address=RAM, timeout_ms=LONG_MS)
    assert error.kind == "outcome_unknown" and error.data["phase"] == "verify" and error.data["done"] == 0
    assert ram(rig) == IMAGE


@pytest.mark.parametrize("pattern, phase", [("write_memory", "write"), ("read_memory 0x20000000 32", "verify")])
def test_load_is_cancelled_between_chunks(rig: Rig, pattern: str, phase: str) -> None:
    client = rig.client()
    identifier = rig.stall(client, pattern, "memory.load_image", data=DATA, address=RAM)
    client.call("request.cancel", id=identifier)
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "cancelled" and error.data["phase"] == phase
    assert error.data["done"] == KIB and error.data["total"] == len(IMAGE)


def test_load_that_reads_back_something_else(rig: Rig) -> None:
    client = rig.client()
    identifier = rig.stall(client, r"read_memory 0x20000000 32", "memory.load_image", data=DATA, address=RAM)
    rig.mock.poke(RAM + 2000, bytes([IMAGE[2000] ^ 0x40]))
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "verify_mismatch" and error.data["address"] == "0x200007d0"
    assert (error.data["expected"], error.data["found"]) == (IMAGE[2000], IMAGE[2000] ^ 0x40)
    assert error.data["phase"] == "verify" and error.data["done"] <= 2000


def test_load_falls_back_to_narrow_accesses(rig: Rig) -> None:
    rig.mock.refuse_width(32)
    assert rig.client().call("memory.load_image", data=DATA, address=RAM)["bytes_written"] == len(IMAGE)
    assert ram(rig) == IMAGE and rig.sent(r"write_memory 0x\S+ 16 ") >= 1
