"""One set of calls, answered alike whether OpenOCD speaks like 0.12 or like the later head."""

from __future__ import annotations

import base64
from typing import Any, Iterator, Tuple

import pytest

from protocol_check import Validator

from harness.paths import PROTOCOL
from rig import FLASH, KIB, RAM, Rig

IMAGE = bytes(range(256)) * 4
DATA = base64.b64encode(IMAGE).decode()
GAP = RAM + 0x1000

Halted = Tuple[Rig, Any]


@pytest.fixture(scope="module", params=["0.12", "head"])
def spoken(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A rig in either dialect; it must work behind the last test."""
    with Rig(tmp_path_factory.mktemp("dialect"), Validator(PROTOCOL), dialect=request.param) as made:
        yield made
        made.assert_works()


@pytest.fixture
def halted(spoken: Rig) -> Halted:
    """The rig, and a client of it with the target halted."""
    client = spoken.client()
    client.call("target.halt")
    return spoken, client


def test_a_target_that_was_not_polled_yet_is_no_problem(spoken: Rig) -> None:
    status = spoken.client().call("board.status")
    assert "problem" not in status and status["targets"][0]["state"] == "running"


def test_memory_is_read_and_written(halted: Halted) -> None:
    rig, client = halted
    client.call("memory.write_u32", address=RAM, values=[1, 0xFFFFFFFF])
    assert rig.mock.peek(RAM, 8) == bytes.fromhex("01000000ffffffff")
    assert client.call("memory.read_u16", address=RAM, count=4)["values"] == [1, 0, 0xFFFF, 0xFFFF]
    # Of 64 bits there are none: halves are tried.
    assert client.call("memory.read_u64", address=RAM)["values"] == ["0xffffffff00000001"]
    client.call("memory.write_bytes", address=RAM + 0x100, data=DATA)
    assert client.call("memory.read_bytes", address=RAM + 0x100, size=KIB)["data"] == DATA


def test_memory_that_fails_says_so_in_openocds_words(halted: Halted) -> None:
    rig, client = halted
    rig.mock.fault_range(GAP, GAP + 3)
    for method, params in [("memory.read_u32", {"count": 4}), ("memory.write_u32", {"values": [7]}),
                           ("memory.read_bytes", {"size": 2 * KIB})]:
        error = client.fail(method, address=GAP, **params)
        assert error.kind == "target_error", method
        assert "Failed to %s memory at 0x20001000" % ("write" if "write" in method else "read") in error.data["openocd"]["text"]
        assert "Error: " not in error.data["openocd"]["text"]
    # The first 4 KiB can be read, what is behind them cannot: nothing of that is believed.
    error = client.fail("memory.read_u32", address=GAP - 0x1000 + 4, count=1024)
    assert error.kind == "target_error"
    rig.mock.clear_fault_ranges()
    assert client.call("memory.read_u32", address=GAP)["values"] == [0]


def test_flash_goes_its_whole_way(halted: Halted) -> None:
    rig, client = halted
    banks = client.call("flash.banks")["banks"]
    assert [(each["name"], each["driver"], int(each["base"], 16)) for each in banks] == [("vb.flash", "stm32f1x", FLASH)]
    info = client.call("flash.info")
    assert (info["size"], len(info["sectors"]), info["target"]) == (128 * KIB, 128, "vb.cpu")
    assert client.call("flash.write_image", data=DATA, format="bin", address=FLASH)["bytes_written"] == KIB
    assert rig.mock.peek(FLASH, KIB) == IMAGE
    assert client.call("flash.read", size=KIB)["data"] == DATA
    assert client.call("flash.verify", data=DATA)["match"] is True
    assert client.call("flash.erase_sector", first=0, last=0)["sectors_erased"] == 1
    assert rig.mock.peek(FLASH, KIB) == b"\xff" * KIB


def test_flash_protection_comes_with_a_reset(halted: Halted) -> None:
    rig, client = halted
    assert client.call("flash.protect", first=4, last=7, on=True)["reset_needed"] is True
    client.call("target.reset", mode="halt")
    error = client.fail("flash.erase_sector", first=4, last=4)
    assert error.kind == "flash_error" and error.data["reason"] == "protected"
    client.call("flash.protect", first=4, last=7, on=False)
    client.call("target.reset", mode="halt")
    assert client.call("flash.erase_sector", first=4, last=4)["sectors_erased"] == 1


@pytest.mark.parametrize("code, kind", [(-908, "unsupported"), (-304, "target_not_halted"), (-4, "flash_error")])
def test_codes_of_openocd_keep_their_meaning(halted: Halted, code: int, kind: str) -> None:
    rig, client = halted
    rig.mock.fault("fail", match="flash protect", command="flash protect", code=code, log="it did not work\n")
    error = client.fail("flash.protect", first=0, last=3, on=True)
    assert error.kind == kind and error.data["openocd"] == {"code": code, "text": "it did not work"}


def test_a_file_command_keeps_its_code(halted: Halted) -> None:
    rig, client = halted
    rig.mock.fault("fail", match="flash read_bank", command="flash read_bank", code=-107, log="the bus is gone\n")
    error = client.fail("flash.read", size=64)
    assert error.data["openocd"] == {"code": -107, "text": "the bus is gone"}


def test_target_runs_stops_and_steps(halted: Halted) -> None:
    _, client = halted
    assert client.call("target.reset", mode="halt")["targets"][0]["state"] == "halted"
    assert client.call("target.step")["steps"] == 1
    assert client.call("target.resume")["state"] == "running"
    for method, params in [("target.resume", {}), ("register.read", {"names": ["pc"]}),
                           ("flash.erase_sector", {"first": 0, "last": 0})]:
        assert client.fail(method, **params).kind == "target_not_halted", method
    assert client.call("target.halt")["state"] == "halted"


def test_registers_are_read_and_written(halted: Halted) -> None:
    _, client = halted
    names = [each["name"] for each in client.call("register.list")["registers"]]
    assert "pc" in names and "r0" in names
    written = client.call("register.write", names=["r0", "r1"], values=[5, "0xffffffff"])["registers"]
    assert [each["value"] for each in written] == ["0x00000005", "0xffffffff"]
    assert client.call("register.read", names=["r1"])["registers"][0]["value"] == "0xffffffff"
    assert client.fail("register.read", names=["nope"]).kind == "not_found"


def test_points_are_set_listed_and_removed(halted: Halted) -> None:
    _, client = halted
    points = [(FLASH + 0x10, "hardware"), (RAM + 0x10, "software"), (RAM + 0x80, "write")]
    for address, kind in points:
        client.call("breakpoint.add", address=address, kind=kind)
    listed = client.call("breakpoint.list")["breakpoints"]
    assert [(int(each["address"], 16), each["kind"]) for each in listed] == points
    for address, _kind in points:
        client.call("breakpoint.remove", address=address)
    assert client.call("breakpoint.list")["breakpoints"] == []


def test_raw_commands_bring_code_and_text(halted: Halted) -> None:
    _, client = halted
    assert client.call("openocd.command", command="set x result")["text"] == "result"
    client.call("target.resume")
    assert client.call("openocd.command", command="resume")["code"] == -304
