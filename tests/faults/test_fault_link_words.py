"""What OpenOCD says: its refusals reach the client word for word, and what cannot be success is never taken for it."""

from __future__ import annotations

import base64
import re
import struct
from typing import Any, Dict

import pytest

from rig import FLASH, KIB, LONG_MS, RAM, Rig

IMAGE = base64.b64encode(bytes(i * 11 & 0xFF for i in range(2 * KIB))).decode()

# Each method, a command of its that can be refused, and the kind that the refusal has.
REFUSALS = [
    ("memory.read_u8", {"address": RAM, "count": 3}, "read_memory", "target_error"),
    ("memory.read_u32", {"address": RAM}, "read_memory", "target_error"),
    ("memory.read_bytes", {"address": RAM, "size": 3}, "read_memory", "target_error"),
    ("memory.read_bytes", {"address": RAM, "size": 4, "physical": True}, "read_memory", "target_error"),
    ("memory.hexdump", {"address": RAM, "size": 4}, "read_memory", "target_error"),
    ("memory.search", {"pattern": "AA==", "start": RAM, "end": RAM + 4}, "read_memory", "target_error"),
    ("memory.dump", {"address": RAM, "size": 4, "path": "x.bin"}, "read_memory", "target_error"),
    ("memory.write_u16", {"address": RAM, "values": [1, 2]}, "write_memory", "target_error"),
    ("memory.write_bytes", {"address": RAM, "data": "AQIDBA=="}, "write_memory", "target_error"),
    ("target.list", {}, "target names", "openocd_error"),
    ("target.state", {}, "target names", "openocd_error"),
    ("target.halt", {}, "halt 0", "target_error"),
    ("target.halt", {}, r"curstate\Z", "target_error"),
    ("target.resume", {}, "resume", "target_error"),
    ("target.reset", {"mode": "init"}, "reset init", "target_error"),
    ("flash.banks", {}, "flash list", "flash_error"),
    ("flash.info", {}, "flash probe", "flash_error"),
    ("flash.verify", {"data": "AA=="}, "flash read_bank", "flash_error"),
    ("flash.write_image", {"data": IMAGE}, "flash probe", "flash_error"),
    ("flash.write_image", {"data": IMAGE}, "flash erase_sector", "flash_error"),
    ("flash.write_image", {"data": IMAGE}, "flash write_bank", "flash_error"),
    ("flash.write_image", {"data": IMAGE}, "flash read_bank", "flash_error"),
    ("flash.write_image", {"data": IMAGE, "mode": "full"}, "flash read_bank", "flash_error"),
    ("flash.write_image", {"data": IMAGE, "reset": "run"}, r"\Areset run\Z", "target_error"),
    ("flash.write_image", {"data": IMAGE, "prepare": "reset_init"}, r"\Areset init\Z", "target_error"),
]


@pytest.mark.parametrize(
    "method,params,pattern,kind", REFUSALS, ids=[f"{each[0]} {each[2]} {each[1].get('mode', '')}" for each in REFUSALS]
)
def test_refusal_comes_with_openocds_own_code_and_words(
    rig: Rig, method: str, params: Dict[str, Any], pattern: str, kind: str
) -> None:
    client = rig.client()
    client.call("target.halt")
    words = 'odd words: {"a" \\ [b] $c}\nand a second line \u00e4'
    rig.mock.fault("fail", match=pattern, times=0, code=-777, text=words.encode().decode("latin-1"))
    error = client.fail(method, timeout_ms=LONG_MS, **params)
    assert (error.kind, error.data["openocd"]) == (kind, {"code": -777, "text": words})
    assert "odd words" in error.message
    if method.startswith("flash.write_image"):
        touched = pattern in ("flash erase_sector", "flash write_bank") or "mode" in params
        if "reset" not in pattern:
            assert error.data["flash_state"] == ("partial" if touched else "unchanged")


@pytest.mark.parametrize(
    "text,log,words",
    [
        ("", "only the log knows", "only the log knows"),
        ("the result", "the log", "the result\nthe log"),
        ("the same", "before it: the same", "before it: the same"),
        ("", "", ""),
    ],
    ids=["log", "both", "same", "nothing"],
)
def test_words_are_taken_from_result_and_log(rig: Rig, text: str, log: str, words: str) -> None:
    """OpenOCD tells the reason now in the one, now in the other."""
    client = rig.client()
    rig.mock.fault("fail", match="read_memory 0x20000000", code=-4, text=text, log=log)
    error = client.fail("memory.read_u32", address=RAM)
    assert error.kind == "target_error"
    assert error.data["openocd"]["code"] == -4
    assert error.data["openocd"]["text"].strip() == words


def test_words_of_any_bytes_and_length(rig: Rig) -> None:
    """They become valid JSON text, and are not without bound in the message."""
    client = rig.client()
    for text in ("\x00\x01\x02\x1a\x7f", "\xff\xfe\xc3", "}}}{{{", "x" * 100000):
        rig.mock.fault("fail", match="read_memory 0x20000000", code=1, text=text)
        error = client.fail("memory.read_u32", address=RAM)
        assert error.kind == "target_error"
        assert len(error.message) < 1000
        assert len(error.data["openocd"]["text"]) > 0


def test_typed_access_that_is_refused_is_not_tried_again(rig: Rig) -> None:
    """Neither narrower nor anew: a register may have changed by the first."""
    client = rig.client()
    rig.mock.fault("fail", match="_memory 0x20000000", times=0, code=1, text="no")
    assert client.fail("memory.read_u32", address=RAM, cacheable=True).kind == "target_error"
    assert client.fail("memory.write_u32", address=RAM, values=[1]).kind == "target_error"
    assert rig.sent("read_memory 0x20000000") == 1
    assert rig.sent("write_memory 0x20000000") == 1


# Success by its return code, with a text that OpenOCD never gives for two values of the width.
VALUES = {
    "empty": "",
    "blank": "  ",
    "too few": "0x1",
    "too many": "0x1 0x2 0x3",
    "no numbers": "one two",
    "half a number": "0x1 0x",
    "not a digit": "0x1 0xg",
    "decimal": "11 22",
    "negative": "0x1 -0x1",
    "too wide": "0x1 0x100000000",
    "much too wide": "0x1 0x" + "f" * 40,
    "text behind": "0x1 0x2failed to read memory",
    "text between": "0x1, 0x2",
    "a NUL inside": "0x1\x00 0x2",
    "other words": "read_memory: failed to read memory",
    "large": "0x1 " * 50000,
}


@pytest.mark.parametrize("text", VALUES.values(), ids=VALUES.keys())
def test_impossible_values_are_no_success(rig: Rig, text: str) -> None:
    """In typed reads and in ranges, which go word by word where they are short."""
    client = rig.client()
    rig.mock.fault("fail", match="read_memory 0x20000000", times=0, code=0, text=text)
    for method, params in (
        ("memory.read_u32", {"count": 2}),
        ("memory.read_u32", {"count": 2, "cacheable": True}),
        ("memory.read_bytes", {"size": 8}),
        ("memory.hexdump", {"size": 8}),
        ("memory.dump", {"size": 8, "path": "never.bin"}),
    ):
        error = client.fail(method, address=RAM, **params)
        assert error.kind == "openocd_error", method
        assert error.data["openocd"]["code"] == 0
    error = client.fail("memory.search", start=RAM, end=RAM + 8, pattern="AA==")
    assert error.kind == "openocd_error"


@pytest.mark.parametrize("width", [8, 16, 32])
def test_value_too_wide_for_its_width_is_no_success(rig: Rig, width: int) -> None:
    client = rig.client()
    rig.mock.fault("fail", match=f"read_memory 0x20000000 {width} ", code=0, text=hex(1 << width))
    assert client.fail(f"memory.read_u{width}", address=RAM).kind == "openocd_error"
    rig.mock.fault("fail", match=f"read_memory 0x20000000 {width} ", code=0, text=hex((1 << width) - 1))
    assert client.call(f"memory.read_u{width}", address=RAM)["values"] == [(1 << width) - 1]


def test_file_of_the_wrong_length_is_read_word_by_word_instead(rig: Rig) -> None:
    """A range comes through a file; where that is not what was asked for, its bytes are not believed."""
    data = bytes(i * 7 & 0xFF for i in range(3000))
    rig.mock.poke(RAM, data)
    client = rig.client()
    for text in ("", "x", "y" * 2999, "z" * 3001, "w" * 100000):
        rig.mock.fault("fail", match=r"dump_image \S+ 0x20000000", code=0, text=text)
        result = client.call("memory.read_bytes", address=RAM, size=3000, timeout_ms=LONG_MS)
        assert base64.b64decode(result["data"]) == data
        assert rig.mock.faults() == []  # it did answer that


@pytest.mark.parametrize("text", ['expected integer but got "0x"', "0x1", " "], ids=["complaint", "value", "blank"])
def test_write_that_says_anything_is_no_success(rig: Rig, text: str) -> None:
    """0.12 complains of an element with a code of success; what was written then is not what was asked for."""
    client = rig.client()
    rig.mock.fault("fail", match="write_memory", times=0, code=0, text=text)
    for method, params in (("memory.write_u32", {"values": [5]}), ("memory.write_bytes", {"data": "AQIDBA=="})):
        rig.mock.reset_counters()
        assert client.fail(method, address=RAM, **params).kind == "target_error"
        assert rig.sent("write_memory") == 1


STATES = {"empty": "", "endless": "h" * 5000, "a NUL": "halted\x00", "no state": "\x00"}


@pytest.mark.parametrize("text", STATES.values(), ids=STATES.keys())
def test_impossible_state_is_no_success(rig: Rig, text: str) -> None:
    """Halting is over when OpenOCD says so, not when it says nothing that can be read."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match=r"curstate\Z|resume", times=0, code=0, text=text)
    assert client.fail("target.halt").kind == "openocd_error"
    assert client.fail("target.resume").kind == "openocd_error"
    error = client.fail("flash.write_image", data=IMAGE)
    assert error.kind in ("openocd_error", "target_not_halted")
    assert rig.sent("erase_sector") == 0


SURVEYS = {
    "empty": "",
    "open brace": "{",
    "one word": "vb.cpu",
    "two words": "vb.cpu {}",
    "short row": "vb.cpu {{vb.cpu cortex_m little}} {}",
    "broken row": "vb.cpu {{vb.cpu {cortex_m little halted 32}} {}",
    "endless name": "a {{%s cortex_m little halted 32}} {}" % ("n" * 5000),
    "too many targets": "a {%s} {}" % ("{a b little halted 32} " * 5000),
    "nameless": "vb.cpu {{{} cortex_m little halted 32}} {}",
    "typeless": "vb.cpu {{vb.cpu {} little halted 32}} {}",
    "stateless": "vb.cpu {{vb.cpu cortex_m little {} 32}} {}",
    "broken banks": "vb.cpu {{vb.cpu cortex_m little halted 32}} {{name}}",
    "words": "invalid command name",
}


@pytest.mark.parametrize("text", SURVEYS.values(), ids=SURVEYS.keys())
def test_impossible_list_of_targets_is_no_success(rig: Rig, text: str) -> None:
    """And what was known before stays known."""
    client = rig.client()
    rig.mock.fault("fail", match="target names", times=0, code=0, text=text)
    for method in ("target.list", "target.state"):
        error = client.fail(method)
        assert error.kind == "openocd_error"
    error = client.fail("target.reset")
    assert error.kind == "openocd_error"
    assert [each["target"] for each in client.call("board.status")["targets"]] == ["vb.cpu"]
    assert client.call("memory.read_u32", address=RAM)["values"] == [0]


def test_list_without_the_target_is_believed(rig: Rig) -> None:
    """Somebody may have taken it away; it is found again where it comes back."""
    client = rig.client()
    rig.mock.fault("fail", match="target names", code=0, text="{} {} {}")
    assert client.call("target.list")["targets"] == []
    assert client.fail("memory.read_u32", address=RAM).kind == "not_found"
    assert client.fail("memory.read_u32", address=RAM, target="vb.cpu").kind == "not_found"
    assert [each["target"] for each in client.call("target.list")["targets"]] == ["vb.cpu"]


BANK = "{name a driver b base 134217728 size 131072 bus_width 0 chip_width 0 target vb.cpu}"
BANKS = {
    "open brace": "{",
    "no base": "{name a driver b size 1 bus_width 0 chip_width 0 target vb.cpu}",
    "no number": BANK.replace("131072", "many"),
    "negative size": BANK.replace("131072", "-1"),
    "driverless": BANK.replace("driver b", "driver {}"),
    "larger than everything": BANK.replace("131072", "9223372036854775807"),
    "endless name": BANK.replace("name a", "name " + "a" * 5000),
    "odd words": BANK[:-1] + " odd}",
    "too many": (BANK + " ") * 5000,
    "words": "invalid command name",
}


@pytest.mark.parametrize("text", BANKS.values(), ids=BANKS.keys())
def test_impossible_list_of_banks_is_no_success(rig: Rig, text: str) -> None:
    client = rig.client()
    rig.mock.fault("fail", match="foreach b .flash list", code=0, text=text)
    assert client.fail("flash.banks").kind == "openocd_error"
    rig.mock.fault("fail", match="flash probe", times=2, code=0, text="{%s} {} {}" % text)
    assert client.fail("flash.info").kind in ("openocd_error", "not_found")
    assert client.fail("flash.write_image", data=IMAGE).kind in ("openocd_error", "not_found")
    assert len(client.call("flash.banks")["banks"]) == 1
    assert rig.sent("erase_sector") == 0


def geometry(sectors: str) -> str:
    """The answer to the question for a bank of 128 KiB."""
    head = "#0 : b at 0x08000000, size 0x00020000, buswidth 0, chipwidth 0"
    return "{%s} {%s\n%s} {%s\n%s}" % (BANK, head, sectors, head, sectors)


def row(index: int, offset: int, size: int) -> str:
    """One sector's row."""
    return "\t#%3d: 0x%08x (0x%x %dkB) not protected\n" % (index, offset, size, size >> 10)


SECTORS = {
    "none": "",
    "a gap": row(0, 0, 1024) + row(1, 4096, 1024),
    "overlapping": row(0, 0, 1024) + row(1, 512, 1024) + row(2, 1536, 1024),
    "backwards": row(0, 1024, 1024) + row(1, 0, 1024),
    "empty sectors": row(0, 0, 0) + row(1, 0, 0),
    "not from the start": row(0, 1024, 4096),
    "beyond the bank": row(0, 0, 0x40000),
    "beyond everything": row(0, 0, 0xFFFFFFFF),
}


@pytest.mark.parametrize("sectors", SECTORS.values(), ids=SECTORS.keys())
def test_impossible_sectors_stop_a_write_before_it_begins(rig: Rig, sectors: str) -> None:
    client = rig.client()
    client.call("target.halt")
    before = rig.mock.peek(FLASH, 8 * KIB)
    rig.mock.fault("fail", match="flash probe", code=0, text=geometry(sectors))
    error = client.fail("flash.write_image", data=IMAGE)
    assert error.kind in ("flash_error", "openocd_error")
    assert error.data.get("flash_state", "unchanged") == "unchanged"
    assert rig.sent("erase_sector|write_bank") == 0
    assert rig.mock.peek(FLASH, 8 * KIB) == before


ERASED = "erased sectors %s through %s on flash bank 0 in 0.1s\n"
WRITES = {
    "erase says nothing": ("flash erase_sector", ""),
    "erase is done": ("flash erase_sector", "done\n"),
    "other sectors": ("flash erase_sector", ERASED % (5, 5)),
    "sectors before": ("flash erase_sector", ERASED % (-1, 0)),
    "too many sectors": ("flash erase_sector", ERASED % (0, 127)),
    "no sector number": ("flash erase_sector", ERASED % ("x", "y")),
    "endless number": ("flash erase_sector", ERASED % ("0" * 3000, "0" * 3000 + "1")),
    "program says nothing": ("flash write_bank", ""),
    "no count": ("flash write_bank", "wrote bytes from file x to flash bank 0\n"),
    "nothing written": ("flash write_bank", "wrote 0 bytes from file x to flash bank 0\n"),
    "too few": ("flash write_bank", "wrote 1023 bytes from file x to flash bank 0\n"),
    "too many": ("flash write_bank", "wrote 1025 bytes from file x to flash bank 0\n"),
    "negative": ("flash write_bank", "wrote -1024 bytes from file x to flash bank 0\n"),
    "wraps": ("flash write_bank", "wrote 18446744073709552640 bytes from file x to flash bank 0\n"),
    "hexadecimal": ("flash write_bank", "wrote 0x400 bytes from file x to flash bank 0\n"),
    "another verb": ("flash write_bank", "read 1024 bytes from file x to flash bank 0\n"),
    "reads nothing back": ("flash read_bank", ""),
    "reads too little back": ("flash read_bank", "x" * 1023),
    "reads too much back": ("flash read_bank", "x" * 1025),
}


@pytest.mark.parametrize("pattern,text", WRITES.values(), ids=WRITES.keys())
def test_impossible_success_while_flash_is_written(rig: Rig, pattern: str, text: str) -> None:
    """Pieces of one sector: only the whole sentence with the right numbers is success."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match=pattern, times=0, code=0, text=text)
    error = client.fail("flash.write_image", data=IMAGE, mode="full", timeout_ms=LONG_MS)
    assert error.kind == "flash_error"
    assert error.data["flash_state"] == "partial"
    rig.mock.clear_faults()
    result = client.call("flash.write_image", data=IMAGE, mode="full")
    assert (result["bytes_written"], result["verified"]) == (2 * KIB, True)
    assert rig.mock.peek(FLASH, 2 * KIB) == base64.b64decode(IMAGE)


def test_erase_of_the_wrong_sectors_is_never_followed_by_programming(rig: Rig) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match="flash erase_sector", code=0, text=ERASED % (1, 1))
    client.fail("flash.write_image", data=IMAGE)
    assert rig.sent("write_bank") == 0


def test_keeping_too_few_bytes_stops_a_write_before_it_begins(rig: Rig) -> None:
    """What stands beside the image is put back after the erase: it has to have been read in full."""
    client = rig.client()
    client.call("target.halt")
    beside = bytes(range(100))
    rig.mock.poke(FLASH, beside)
    for text in ("", "x" * 1023, "x" * 1025):
        rig.mock.fault("fail", match=r"read_bank 0 \S+ 0x0 0x400\b", code=0, text=text)
        error = client.fail("flash.write_image", data="AQIDBA==", address=FLASH + 100)
        assert (error.kind, error.data["flash_state"]) == ("flash_error", "unchanged")
    assert rig.sent("erase_sector") == 0
    client.call("flash.write_image", data="AQIDBA==", address=FLASH + 100)
    assert rig.mock.peek(FLASH, 104) == beside + b"\x01\x02\x03\x04"


def test_flash_that_reads_back_differently(rig: Rig) -> None:
    client = rig.client()
    client.call("target.halt")
    wrong = bytearray(base64.b64decode(IMAGE)[:1024])
    wrong[513] ^= 0x80
    rig.mock.fault("fail", match="flash read_bank", code=0, text=wrong.decode("latin-1"))
    error = client.fail("flash.write_image", data=IMAGE, mode="full")
    assert error.kind == "verify_mismatch"
    assert int(error.data["address"], 0) == FLASH + 513
    assert error.data["found"] == error.data["expected"] ^ 0x80 == wrong[513]


@pytest.mark.parametrize("text", ["", "x" * 15, "x" * 17], ids=["empty", "short", "long"])
def test_comparing_with_the_wrong_number_of_bytes_is_no_match(rig: Rig, text: str) -> None:
    client = rig.client()
    rig.mock.fault("fail", match="flash read_bank", times=0, code=0, text=text)
    error = client.fail("flash.verify", data=base64.b64encode(b"x" * 16).decode())
    assert error.kind == "flash_error"
    rig.mock.clear_faults()
    rig.mock.poke(FLASH, b"x" * 16)
    assert client.call("flash.verify", data=base64.b64encode(b"x" * 16).decode())["match"]


def test_nothing_impossible_reaches_another_request(rig: Rig) -> None:
    """A reply full of another's values, in the right form, still belongs to the one who asked."""
    rig.mock.poke(RAM, struct.pack("<4I", 1, 2, 3, 4))
    clients = [rig.client() for _ in range(4)]
    rig.mock.fault("fail", match=re.escape(f"read_memory {RAM + 8:#x}"), code=0, text="0x1 0x2 0x3")
    calls = [each.send("memory.read_u32", address=RAM + 4 * i) for i, each in enumerate(clients)]
    assert clients[2].error(calls[2]).kind == "openocd_error"
    for i in (0, 1, 3):
        assert clients[i].result(calls[i])["values"] == [i + 1]
