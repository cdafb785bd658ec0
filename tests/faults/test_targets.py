"""Targets that refuse widths, are big endian, fault in places, never halt or change state by themselves."""

from __future__ import annotations

import base64
import random
import struct
from typing import Any, List

import pytest

from rig import FLASH, RAM, Rig

DATA = random.Random(3).randbytes(3000)


def read(client: Any, address: int, size: int) -> bytes:
    """memory.read_bytes."""
    return base64.b64decode(client.call("memory.read_bytes", address=address, size=size)["data"])


@pytest.mark.parametrize("refused", [[32], [32, 16], [16], [8]])
def test_byte_ranges_do_without_widths_that_are_refused(rig: Rig, refused: List[int]) -> None:
    """As long as the rest of the widths, and bytes at the ends, will do."""
    client = rig.client()
    rig.mock.poke(RAM, DATA)
    for width in refused:
        rig.mock.refuse_width(width)
    odd = 8 not in refused  # ends that are not aligned need bytes
    for offset, size in ((0, 400), (4, 8), (1, 99) if odd else (8, 16), (3, 1) if odd else (0, 4)):
        assert read(client, RAM + offset, size) == DATA[offset:offset + size]
        data = bytes(reversed(DATA[:size]))
        client.call("memory.write_bytes", address=RAM + 0x2000 + offset, data=base64.b64encode(data).decode())
        assert rig.mock.peek(RAM + 0x2000 + offset, size) == data


def test_typed_accesses_use_no_other_width(rig: Rig) -> None:
    client = rig.client()
    for width in (8, 16, 32):
        rig.mock.refuse_width(width)
        assert client.fail(f"memory.read_u{width}", address=RAM).kind == "target_error"
        assert client.fail(f"memory.write_u{width}", address=RAM, values=[1]).kind == "target_error"
        rig.mock.refuse_width(width, False)
    assert rig.mock.peek(RAM, 8) == bytes(8)


def test_everything_refused(rig: Rig) -> None:
    client = rig.client()
    for width in (8, 16, 32):
        rig.mock.refuse_width(width)
    for size in (1, 4, 400):
        error = client.fail("memory.read_bytes", address=RAM, size=size)
        assert error.kind == "target_error"
        assert (int(error.data["address"], 16), error.data["done"], error.data["total"]) == (RAM, 0, size)
    rig.mock.refuse_width(8, False)
    rig.mock.refuse_width(16, False)
    rig.mock.refuse_width(32, False)
    assert read(client, RAM, 400) == rig.mock.peek(RAM, 400)
    assert read(client, RAM, 2000) == rig.mock.peek(RAM, 2000)


@pytest.mark.parametrize("order", ["little", "big"])
def test_values_and_bytes_of_either_byte_order(rig: Rig, order: str) -> None:
    """Values are what the bus gives; bytes are what is in memory, whatever the order."""
    rig.mock.endian(order)
    rig.mock.drop()
    rig.wait_link("down", "connecting", "handshake")
    rig.wait_link("idle")
    client = rig.client()
    assert client.call("target.list")["targets"][0]["endian"] == order
    rig.mock.poke(RAM, DATA)
    sign = "<" if order == "little" else ">"
    assert client.call("memory.read_u16", address=RAM)["values"] == [struct.unpack(sign + "H", DATA[:2])[0]]
    assert client.call("memory.read_u32", address=RAM)["values"] == [struct.unpack(sign + "I", DATA[:4])[0]]
    assert client.call("memory.read_u64", address=RAM)["values"] == ["0x%08x" % struct.unpack(sign + "Q", DATA[:8])]
    assert read(client, RAM, 3000) == DATA
    assert read(client, RAM + 1, 7) == DATA[1:8]
    client.call("memory.write_u32", address=RAM + 0x1000, values=[0x01020304])
    assert rig.mock.peek(RAM + 0x1000, 4) == struct.pack(sign + "I", 0x01020304)
    client.call("memory.write_u64", address=RAM + 0x1000, values=["0x0102030405060708"])
    assert rig.mock.peek(RAM + 0x1000, 8) == struct.pack(sign + "Q", 0x0102030405060708)
    client.call("memory.write_bytes", address=RAM + 0x1001, data=base64.b64encode(DATA[:21]).decode())
    assert rig.mock.peek(RAM + 0x1001, 21) == DATA[:21]
    text = client.call("memory.hexdump", address=RAM, size=16)["text"]
    assert text.split(": ")[1].split("  |")[0].replace(" ", "") == DATA[:16].hex().upper()
    found = client.call("memory.search", pattern=base64.b64encode(DATA[100:108]).decode(), start=RAM, end=RAM + 3000)
    assert found["matches"] == ["0x%08x" % (RAM + 100)]


def test_width_64_where_the_bus_has_it(rig: Rig) -> None:
    """One access each, found out at the first."""
    rig.mock.width64(True)
    client = rig.client()
    rig.mock.poke(RAM, DATA)
    expected = ["0x%08x" % value for value in struct.unpack("<4Q", DATA[:32])]
    assert client.call("memory.read_u64", address=RAM, count=4)["values"] == expected
    assert rig.sent("read_memory 0x20000000 64 4") == 1
    assert rig.sent("read_memory") == 1
    assert read(client, RAM, 400) == DATA[:400]
    assert rig.sent("read_memory 0x20000000 64 50") == 1
    client.call("memory.write_u64", address=RAM, values=["0xffffffffffffffff"])
    assert rig.sent("write_memory 0x20000000 64 {0xffffffffffffffff}") == 1


def test_width_64_where_the_bus_has_it_not(rig: Rig) -> None:
    """Tried once, learned, and made of halves from then on."""
    client = rig.client()
    rig.mock.poke(RAM, DATA)
    for _ in range(3):
        expected = ["0x%08x" % value for value in struct.unpack("<2Q", DATA[:16])]
        assert client.call("memory.read_u64", address=RAM, count=2)["values"] == expected
    assert rig.sent("read_memory 0x20000000 64") == 1
    assert rig.sent("read_memory 0x20000000 32 4") == 3
    client.call("memory.write_u64", address=RAM + 8, values=["0x1122334455667788"])
    assert rig.sent("write_memory .* 64 ") == 0
    assert rig.mock.peek(RAM + 8, 8) == struct.pack("<Q", 0x1122334455667788)


def test_width_64_that_fails_on_the_bus_is_not_repeated(rig: Rig) -> None:
    """A fault is no refusal: the access may have happened."""
    rig.mock.width64(True)
    rig.mock.fault_range(RAM + 0x100, RAM + 0x1FF)
    client = rig.client()
    assert client.fail("memory.read_u64", address=RAM + 0x100).kind == "target_error"
    assert client.fail("memory.write_u64", address=RAM + 0x100, values=[1]).kind == "target_error"
    assert rig.sent("_memory 0x20000100") == 2
    assert client.call("memory.read_u64", address=RAM)["values"] == ["0x00000000"]


def test_fault_in_the_middle_of_a_range(rig: Rig) -> None:
    """What came before is told: as a count, and as pieces where they were streamed."""
    rig.mock.poke(RAM, DATA)
    rig.mock.fault_range(RAM + 2100, RAM + 2103)
    client = rig.client()
    identifier = client.send("memory.read_bytes", address=RAM, size=3000, stream=True)
    error = client.error(identifier)
    assert error.kind == "target_error"
    assert 1024 <= error.data["done"] <= 2100
    assert int(error.data["address"], 16) <= RAM + 2103
    pieces = b"".join(base64.b64decode(note["data"]) for note in client.take_notifications("data"))
    assert pieces == DATA[:error.data["done"]]
    assert client.fail("memory.search", pattern="AA==", start=RAM, end=RAM + 3000).kind == "target_error"
    assert client.fail("memory.dump", address=RAM, size=3000, path="f.bin").kind == "target_error"
    assert read(client, RAM, 2100) == DATA[:2100]
    assert read(client, RAM + 2104, 800) == DATA[2104:2904]


def test_write_that_faults_in_the_middle(rig: Rig) -> None:
    rig.mock.fault_range(RAM + 2048, RAM + 2051)
    client = rig.client()
    error = client.fail("memory.write_bytes", address=RAM, data=base64.b64encode(DATA).decode())
    assert error.kind == "target_error"
    assert 1024 <= error.data["done"] <= 2048
    assert rig.mock.peek(RAM, error.data["done"]) == DATA[:error.data["done"]]


def test_address_space_has_its_end(rig: Rig) -> None:
    """OpenOCD would wrap: nothing is sent."""
    client = rig.client()
    before = rig.mock.commands()
    for method, params in (
        ("memory.read_u32", {"address": "0xfffffffc", "count": 2}),
        ("memory.read_bytes", {"address": "0xffffffff", "size": 2}),
        ("memory.write_u8", {"address": "0x100000000", "values": 1}),
        ("memory.write_bytes", {"address": "0xfffffffe", "data": "AAAA"}),
        ("memory.search", {"pattern": "AA==", "start": "0xfffffff0", "end": "0x100000001"}),
        ("memory.hexdump", {"address": "0x100000000", "size": 1}),
    ):
        assert client.fail(method, **params).kind == "invalid_range"
    assert rig.mock.commands() == before


def test_halt_that_takes_its_time(rig: Rig) -> None:
    rig.mock.target_state("running")
    client = rig.client()
    rig.mock.fault("fail", match="halt 0", code=0, text="")
    halt = client.send("target.halt")
    rig.wait_sent(r"curstate\Z", 3)
    rig.mock.target_state("halted")
    assert client.result(halt) == {"target": "vb.cpu", "state": "halted"}


def test_target_that_changes_by_itself(rig: Rig) -> None:
    """The state that clients see follows OpenOCD's notifications."""
    client = rig.client()
    client.call("target.halt")
    for state in ("running", "halted", "running"):
        rig.mock.target_state(state)
        while rig.status()["targets"][0]["state"] != state:
            client.call("server.stats")
        assert client.call("target.state")["state"] == state


def test_protected_flash(rig: Rig) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.protect(1, 1, True)  # 4 KiB from 0x1000
    error = client.fail("flash.write_image", data="AAAA", address=FLASH + 0x1000)
    assert error.kind == "flash_error" and error.data["reason"] == "protected"
    assert error.data["flash_state"] == "unchanged"
    assert rig.sent("erase_sector") == 0
    client.call("flash.write_image", data="AAAA", address=FLASH + 0xFFC)
    assert [sector["protected"] for sector in client.call("flash.info")["sectors"][3:9]] == [
        False, True, True, True, True, False]
