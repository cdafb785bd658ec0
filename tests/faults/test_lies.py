"""OpenOCD's failures reach the client in its own words; its successes are not believed blindly."""

from __future__ import annotations

import base64
from typing import Any, Dict, Tuple

import pytest

from rig import FLASH, KIB, RAM, Rig

IMAGE = base64.b64encode(bytes(range(256)) * 4).decode()

# A method, its parameters, the command that fails, the kind of the error.
FAILURES = [
    ("memory.read_u8", {"address": RAM}, "read_memory", "target_error"),
    ("memory.read_u16", {"address": RAM}, "read_memory", "target_error"),
    ("memory.read_u32", {"address": RAM}, "read_memory", "target_error"),
    ("memory.write_u8", {"address": RAM, "values": [1]}, "write_memory", "target_error"),
    ("memory.write_u32", {"address": RAM, "values": [1]}, "write_memory", "target_error"),
    ("memory.read_bytes", {"address": RAM, "size": 1}, "read_memory", "target_error"),
    ("memory.write_bytes", {"address": RAM, "data": "AA=="}, "write_memory", "target_error"),
    ("memory.hexdump", {"address": RAM, "size": 1}, "read_memory", "target_error"),
    ("memory.search", {"pattern": "AA==", "start": RAM, "end": RAM + 1}, "read_memory", "target_error"),
    ("memory.dump", {"address": RAM, "size": 1, "path": "x"}, "read_memory", "target_error"),
    ("target.list", {}, "target names", "openocd_error"),
    ("target.state", {}, "target names", "openocd_error"),
    ("target.halt", {}, "halt 0", "target_error"),
    ("target.halt", {}, "curstate", "target_error"),
    ("target.resume", {}, "resume", "target_error"),
    ("target.reset", {}, "reset run", "target_error"),
    ("flash.banks", {}, "flash list", "flash_error"),
    ("flash.info", {}, "flash probe", "flash_error"),
    ("flash.verify", {"data": IMAGE}, "flash read_bank", "flash_error"),
    ("flash.write_image", {"data": IMAGE}, "flash probe", "flash_error"),
    ("flash.write_image", {"data": IMAGE, "prepare": "reset_init"}, "reset init", "target_error"),
    ("flash.write_image", {"data": IMAGE}, "curstate", "target_error"),
    ("flash.write_image", {"data": IMAGE, "address": FLASH + 2}, "flash read_bank", "flash_error"),
    ("flash.write_image", {"data": IMAGE}, "erase_sector", "flash_error"),
    ("flash.write_image", {"data": IMAGE}, "write_bank", "flash_error"),
    ("flash.write_image", {"data": IMAGE, "reset": "run"}, "reset run", "target_error"),
]


@pytest.mark.parametrize("method,params,pattern,kind", FAILURES,
                         ids=[f"{method} {pattern}" for method, _, pattern, _ in FAILURES])
def test_openocds_words_reach_the_client(
    rig: Rig, method: str, params: Dict[str, Any], pattern: str, kind: str
) -> None:
    """Code and text as they are, quotes, braces and umlauts included; the message carries them too."""
    client = rig.client()
    client.call("target.halt")
    words = "Grüße: \"{[$x]}\" \\ end"
    rig.mock.fault("fail", match=pattern, code=-4, text=words.encode().decode("latin-1"), log="", times=0)
    error = client.fail(method, **params)
    assert error.kind == kind
    assert error.data["openocd"] == {"code": -4, "text": words}
    assert words in error.message
    rig.mock.clear_faults()
    client.call(method, **params)


@pytest.mark.parametrize("code", [1, -4, -107, -304, -306, -902, 5, 1000000])
def test_openocds_codes_reach_the_client(rig: Rig, code: int) -> None:
    client = rig.client()
    rig.mock.fault("fail", match="write_memory", code=code, text="first", log="second\nthird", times=0)
    error = client.fail("memory.write_u8", address=RAM, values=[1])
    assert error.kind == ("target_not_halted" if code == -304 else "target_error")
    assert error.data["openocd"] == {"code": code, "text": "first\nsecond\nthird"}


def test_failure_without_words(rig: Rig) -> None:
    client = rig.client()
    rig.mock.fault("fail", match="write_memory", code=-4, text="", log="", times=0)
    error = client.fail("memory.write_u8", address=RAM, values=[1])
    assert error.kind == "target_error" and error.message.endswith("0x20000000")
    assert error.data["openocd"] == {"code": -4, "text": ""}


def test_failure_with_too_many_words(rig: Rig) -> None:
    """They are cut; the end, where the reason stands, is kept."""
    client = rig.client()
    rig.mock.fault("fail", match="write_memory", code=-4, text="", log="blah\n" * 100000 + "the reason", times=0)
    error = client.fail("memory.write_u8", address=RAM, values=[1])
    assert error.data["openocd"]["text"].endswith("the reason")
    assert len(error.data["openocd"]["text"]) <= 2048


def test_failure_with_words_that_are_no_text(rig: Rig) -> None:
    client = rig.client()
    rig.mock.fault("fail", match="write_memory", code=-4, text="\x00\x01\x1a\x7f\xff\n", log="", times=0)
    error = client.fail("memory.write_u8", address=RAM, values=[1])
    assert error.kind == "target_error"


WORDS = r'read_memory 0x20000000 32 2\Z'
LIES = {
    "none": "", "too few": "0x1", "too many": "0x1 0x2 0x3", "no number": "0x1 zebra", "too wide": "0x1 0x100000000",
    "decimal": "1 2", "failure": "0x1 0x2read_memory: failed to read memory", "braces": "{0x1 0x2}", "sign": "0x1 -0x2",
    "no digits": "0x1 0x", "NUL": "0x1 \x000x2",
}


@pytest.mark.parametrize("text", list(LIES.values()), ids=list(LIES))
def test_read_memory_with_an_impossible_text(rig: Rig, text: str) -> None:
    client = rig.client()
    for method, params in (
        ("memory.read_u32", {"address": RAM, "count": 2}), ("memory.read_bytes", {"address": RAM, "size": 8}),
        ("memory.hexdump", {"address": RAM, "size": 8}),
        ("memory.search", {"pattern": "AA==", "start": RAM, "end": RAM + 8}),
        ("memory.dump", {"address": RAM, "size": 8, "path": "lie.bin"}),
    ):
        rig.mock.fault("fail", match=WORDS, code=0, text=text)
        error = client.fail(method, **params)
        assert error.kind == "openocd_error"
        assert rig.mock.faults() == []
        client.call(method, **params)


@pytest.mark.parametrize("method,params", [
    ("memory.write_u16", {"address": RAM, "values": [1, 2]}),
    ("memory.write_bytes", {"address": RAM, "data": "AQIDBA=="}),
])
def test_write_memory_that_says_something(rig: Rig, method: str, params: Dict[str, Any]) -> None:
    """0.12 complains of an element that it does not understand, with the code of success."""
    client = rig.client()
    rig.mock.fault("fail", match="write_memory", code=0, text='expected integer but got "0xg"')
    error = client.fail(method, **params)
    assert error.kind == "target_error" and "expected integer" in error.message


@pytest.mark.parametrize("size", [0, 1, 1023, 1025, 5000])
def test_dump_image_of_the_wrong_size_is_read_in_another_way(rig: Rig, size: int) -> None:
    data = bytes(i * 3 & 0xFF for i in range(2 * KIB))
    rig.mock.poke(RAM, data)
    client = rig.client()
    rig.mock.fault("fail", match="dump_image", code=0, text="x" * size)
    result = client.call("memory.read_bytes", address=RAM, size=2 * KIB)
    assert base64.b64decode(result["data"]) == data
    assert rig.mock.faults() == []


FLASH_LIES = [
    ("flash probe", ""), ("flash probe", "{} {} {}"), ("flash probe", "found at 0x08000000"),
    ("flash probe", "{{name f driver d base 134217728 size 131072 bus_width 0 chip_width 0 target vb.cpu}} {} {}"),
    ("curstate", ""), ("curstate", "halted, or so"),
    ("erase_sector", ""), ("erase_sector", "erased sectors 0 through 1 on flash bank 0 in 0.1s\n"),
    ("erase_sector", "erased address 0x08000000 (length 1024) in 0.1s (1 KiB/s)\n"),
    ("write_bank", ""),
    ("write_bank", "wrote 1023 bytes from file x to flash bank 0 at offset 0x0 in 1.0s (1 KiB/s)\n"),
    ("write_bank", "wrote 0 bytes from file x in 0.0s (0 KiB/s)\n"), ("write_bank", "done"),
    ("flash read_bank", ""), ("flash read_bank", "x" * 1023), ("flash read_bank", "x" * 1025),
]


@pytest.mark.parametrize("pattern,text", FLASH_LIES, ids=[f"{pattern} {text[:20]}" for pattern, text in FLASH_LIES])
@pytest.mark.parametrize("mode", ["changed", "full"])
def test_flash_write_image_with_an_impossible_text(rig: Rig, pattern: str, text: str, mode: str) -> None:
    """Never a success, and the error says whether the flash was touched."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match=pattern, code=0, text=text)
    error = client.fail("flash.write_image", data=IMAGE, mode=mode)
    assert rig.mock.faults() == []
    assert error.kind in ("flash_error", "openocd_error", "target_error", "target_not_halted", "not_found")
    touched = pattern in ("erase_sector", "write_bank") or (pattern == "flash read_bank" and mode == "full")
    if error.kind in ("flash_error", "target_not_halted"):
        assert error.data["flash_state"] == ("partial" if touched else "unchanged")
    assert touched or rig.sent("erase_sector") == 0
    client.call("flash.banks")  # whoever was told that there are none can ask again
    client.call("flash.write_image", data=IMAGE)
    assert rig.mock.peek(FLASH, 1024) == base64.b64decode(IMAGE)


def test_flash_verify_with_an_impossible_size(rig: Rig) -> None:
    client = rig.client()
    for size in (0, 1023, 1025):
        rig.mock.fault("fail", match="flash read_bank", code=0, text="x" * size)
        error = client.fail("flash.verify", data=IMAGE)
        assert error.kind == "flash_error" and error.data["reason"] == "driver"


def test_flash_info_with_an_impossible_text(rig: Rig) -> None:
    client = rig.client()
    for text in ("", "junk", "{a} {b}", "{{name f}} {x} {y}", "{ unbalanced"):
        rig.mock.fault("fail", match="flash probe", code=0, text=text)
        assert client.fail("flash.info").kind == "openocd_error"
    assert len(client.call("flash.info")["sectors"]) == 128


@pytest.mark.parametrize("method,pattern", [
    ("target.list", "target names"), ("target.state", "target names"), ("target.halt", r"curstate\Z"),
    ("target.resume", "resume"), ("flash.banks", "flash list"),
])
def test_lists_and_states_with_an_impossible_text(rig: Rig, method: str, pattern: str) -> None:
    client = rig.client()
    client.call("target.halt")
    for text in ("", "{ unbalanced", "x" * 200):
        if (method, text) == ("flash.banks", ""):
            continue  # that is a board without flash
        rig.mock.fault("fail", match=pattern, code=0, text=text)
        assert client.fail(method).kind == "openocd_error"
    rig.mock.clear_faults()
    client.call("target.list")


def test_verify_mismatch_names_the_byte(rig: Rig) -> None:
    """First, middle and last byte of an image that OpenOCD said it had programmed."""
    client = rig.client()
    client.call("target.halt")
    for place in (0, 700, 1023, 1024, 2999):
        rig.mock.fault("stall", match=r"flash read_bank 0 \S+p 0x0 0x400")
        identifier = client.send("flash.write_image", data=base64.b64encode(b"\x55" * 3000).decode(), mode="full")
        rig.mock.wait(stalled=True)
        rig.mock.poke(FLASH + place, b"\x54")
        rig.mock.release()
        error = client.error(identifier)
        assert error.kind == "verify_mismatch"
        assert int(error.data["address"], 16) == FLASH + place
        assert (error.data["expected"], error.data["found"]) == (0x55, 0x54)
        assert error.data["flash_state"] == "partial"


def difference(rig: Rig) -> Tuple[int, int]:
    """An offset in flash and what is there."""
    return 5, rig.mock.peek(FLASH + 5, 1)[0]


def test_flash_verify_names_the_bytes(rig: Rig) -> None:
    client = rig.client()
    data = bytearray(rig.mock.peek(FLASH, 64))
    offset, found = difference(rig)
    data[offset] ^= 0xFF
    result = client.call("flash.verify", data=base64.b64encode(bytes(data)).decode())
    assert result["match"] is False and result["difference_count"] == 1
    assert result["differences"] == [
        {"offset": offset, "address": "0x%08x" % (FLASH + offset), "expected": data[offset], "found": found}]
