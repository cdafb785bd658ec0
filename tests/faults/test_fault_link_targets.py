"""Targets that are not as others: widths they refuse, the other byte order, 64 bits, and cores that do not halt."""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any, Iterator, Tuple

import pytest

from harness.waiting import wait_until
from rig import KIB, LONG_MS, RAM, Rig

DATA = bytes((i * 37 + i // 256) & 0xFF for i in range(9001))


@pytest.fixture
def rig(rig: Rig) -> Iterator[Rig]:
    """The rig, whose target is an ordinary one again behind the test."""
    yield rig
    for width in (8, 16, 32):
        rig.mock.refuse_width(width, False)
    rig.mock.clear_fault_ranges()


def encoded(data: bytes) -> str:
    """As results and parameters hold bytes."""
    return base64.b64encode(data).decode()


def read(rig: Rig, client: Any, address: int, size: int, **params: Any) -> bytes:
    """Reads a range."""
    result = client.call("memory.read_bytes", address=address, size=size, timeout_ms=LONG_MS, **params)
    return base64.b64decode(result["data"])


REFUSED = [(64,), (32,), (32, 16), (16,), (8, 16)]


@pytest.mark.parametrize("widths", REFUSED, ids=lambda widths: " ".join(map(str, widths)))
@pytest.mark.parametrize("physical", [False, True], ids=["virtual", "physical"])
def test_ranges_survive_widths_that_are_refused(rig: Rig, widths: Tuple[int, ...], physical: bool) -> None:
    """Short and long, aligned and not: with narrower accesses, and always the right bytes."""
    client = rig.client()
    for width in widths:
        rig.mock.refuse_width(width)
    # Where bytes cannot be had, only ranges that need none are there.
    aligned = 8 in widths
    for offset, size in ((0, 4), (0, 64), (0, 4096)) if aligned else ((0, 1), (1, 2), (3, 10), (1, 1027), (2, 9001)):
        part = DATA[:size]
        rig.mock.poke(RAM, bytes(12 * KIB))
        result = client.call(
            "memory.write_bytes", address=RAM + offset, data=encoded(part), physical=physical, timeout_ms=LONG_MS
        )
        assert result["size"] == size
        expected = bytes(offset) + part + bytes(16)
        assert rig.mock.peek(RAM, len(expected)) == expected
        assert read(rig, client, RAM + offset, size, physical=physical) == part


@pytest.mark.parametrize("size", [4, 600])
def test_refused_width_costs_one_question_each_time_at_most(rig: Rig, size: int) -> None:
    """The narrower access is kept for the rest of the range."""
    rig.mock.refuse_width(32)
    rig.mock.poke(RAM, DATA[:size])
    client = rig.client()
    assert read(rig, client, RAM, size, physical=True) == DATA[:size]
    assert rig.sent("read_memory 0x20000000 32 ") == 1
    assert rig.sent(r"read_memory 0x2\w+ 16 ") >= 1
    assert rig.sent(r"read_memory 0x2\w+ 32 ") == 1
    assert rig.sent(r"read_memory 0x2\w+ 8 ") == 0


def test_all_widths_refused(rig: Rig) -> None:
    client = rig.client()
    before = rig.mock.peek(RAM, 16)
    for width in (8, 16, 32, 64):
        rig.mock.refuse_width(width)
    for method, params in (
        ("memory.read_bytes", {"size": 16}),
        ("memory.hexdump", {"size": 16}),
        ("memory.dump", {"size": 16, "path": "none.bin"}),
        ("memory.write_bytes", {"data": encoded(b"x" * 16)}),
        ("memory.read_u8", {}),
        ("memory.read_u64", {}),
        ("memory.write_u16", {"values": [1]}),
        ("memory.write_u64", {"values": [1]}),
    ):
        error = client.fail(method, address=RAM, **params)
        assert error.kind == "target_error", method
        assert error.data["target"] == "vb.cpu"
        assert "failed to" in error.data["openocd"]["text"]
        assert int(error.data["address"], 0) == RAM
    assert rig.mock.peek(RAM, 16) == before
    for width in (8, 16, 32):
        rig.mock.refuse_width(width, False)
    assert read(rig, client, RAM, 16) == before


@pytest.mark.parametrize("width", [8, 16, 32])
def test_typed_access_uses_its_own_width_alone(rig: Rig, width: int) -> None:
    """Where that is refused, it fails: another width would be another access."""
    client = rig.client()
    rig.mock.refuse_width(width)
    rig.mock.reset_counters()
    assert client.fail(f"memory.read_u{width}", address=RAM).kind == "target_error"
    assert client.fail(f"memory.write_u{width}", address=RAM, values=[1]).kind == "target_error"
    assert rig.sent("_memory") == 2


def test_fault_in_the_middle_of_a_range(rig: Rig) -> None:
    """What came before it is told, its address is named, and no byte too many was written."""
    client = rig.client()
    rig.mock.fault_range(RAM + 5000, RAM + 5003)
    error = client.fail("memory.read_bytes", address=RAM, size=9000, timeout_ms=LONG_MS)
    assert error.kind == "target_error"
    assert error.data["done"] <= 5000
    assert RAM <= int(error.data["address"], 0) <= RAM + 5003
    error = client.fail("memory.write_bytes", address=RAM, data=encoded(DATA[:9000]), timeout_ms=LONG_MS)
    assert error.kind == "target_error"
    assert error.data["done"] <= 5000
    assert rig.mock.peek(RAM, error.data["done"]) == DATA[:error.data["done"]]
    assert rig.mock.peek(RAM + 5000, 4000) == bytes(4000)
    rig.mock.clear_fault_ranges()
    assert client.call("memory.write_bytes", address=RAM, data=encoded(DATA[:9000]))["size"] == 9000
    assert read(rig, client, RAM, 9000) == DATA[:9000]


# The other byte order.


@pytest.fixture
def big(rig: Rig) -> Iterator[Tuple[Rig, Any]]:
    """A rig with a big-endian target that the daemon has seen, and a client."""
    rig.mock.endian("big")
    client = rig.client()
    client.call("target.list")
    assert client.call("board.status")["targets"][0]["endian"] == "big"
    yield rig, client
    rig.mock.endian("little")
    client.call("target.list")


@pytest.mark.parametrize("width,code", [(8, "B"), (16, "H"), (32, "I"), (64, "Q")])
@pytest.mark.parametrize("wide", [False, True], ids=["in halves", "whole"])
def test_typed_access_of_a_big_endian_target(big: Tuple[Rig, Any], width: int, code: str, wide: bool) -> None:
    """64 bits the target may not have: then the half with the upper bits comes first."""
    rig, client = big
    rig.mock.width64(wide)
    values = [(0x0123456789ABCDEF + i * 0x1111111111111111) & ((1 << width) - 1) for i in range(5)]
    rig.mock.poke(RAM, struct.pack(f">5{code}", *values))
    got = client.call(f"memory.read_u{width}", address=RAM, count=5)["values"]
    assert [int(value, 0) if width == 64 else value for value in got] == values
    sent = [str(value) for value in values] if width == 64 else values
    client.call(f"memory.write_u{width}", address=RAM + 0x100, values=sent)
    assert rig.mock.peek(RAM + 0x100, 5 * width // 8) == struct.pack(f">5{code}", *values)


@pytest.mark.parametrize("refused", [(), (32,), (32, 16)], ids=["32 bits", "16 bits", "8 bits"])
def test_ranges_of_a_big_endian_target(big: Tuple[Rig, Any], refused: Tuple[int, ...]) -> None:
    """A range is bytes as they lie in memory: the byte order is nothing to it, whatever the access."""
    rig, client = big
    for width in refused:
        rig.mock.refuse_width(width)
    for offset, size in ((0, 16), (1, 21), (3, 2000)):
        rig.mock.poke(RAM, bytes(4 * KIB))
        client.call("memory.write_bytes", address=RAM + offset, data=encoded(DATA[:size]))
        assert rig.mock.peek(RAM + offset, size) == DATA[:size]
        assert read(rig, client, RAM + offset, size) == DATA[:size]
        assert read(rig, client, RAM + offset, size, physical=True) == DATA[:size]


# 64 bits.


def test_64_bits_in_halves_where_the_target_has_none(rig: Rig) -> None:
    """That is found out once."""
    client = rig.client()
    rig.mock.poke(RAM, struct.pack("<3Q", 1 << 63, 2, 0x1122334455667788))
    for _ in range(2):
        got = client.call("memory.read_u64", address=RAM, count=3)["values"]
        assert [int(value, 0) for value in got] == [1 << 63, 2, 0x1122334455667788]
    client.call("memory.write_u64", address=RAM + 64, values=["0xfedcba9876543210", 5])
    assert rig.mock.peek(RAM + 64, 16) == struct.pack("<2Q", 0xFEDCBA9876543210, 5)
    assert rig.sent(r"_memory 0x2\w+ 64 ") == 1


def test_64_bits_whole_where_the_target_has_them(rig: Rig) -> None:
    rig.mock.width64(True)
    client = rig.client()
    client.call("memory.write_u64", address=RAM, values=["0xfedcba9876543210", 5])
    got = client.call("memory.read_u64", address=RAM, count=2)["values"]
    assert [int(value, 0) for value in got] == [0xFEDCBA9876543210, 5]
    assert rig.sent(r"_memory 0x2\w+ 32 ") == 0
    assert rig.sent(r"_memory 0x2\w+ 64 ") == 2
    rig.mock.poke(RAM, DATA[:300])
    assert read(rig, client, RAM + 1, 290, physical=True) == DATA[1:291]


def test_64_bits_that_fault_are_not_written_again_in_halves(rig: Rig) -> None:
    """An access that went wrong is no refusal of its width: it may have happened."""
    rig.mock.width64(True)
    client = rig.client()
    rig.mock.fault_range(RAM, RAM + 7)
    assert client.fail("memory.write_u64", address=RAM, values=[1]).kind == "target_error"
    assert client.fail("memory.read_u64", address=RAM).kind == "target_error"
    assert rig.sent("write_memory 0x20000000") == 1
    assert rig.sent("read_memory 0x20000000") == 1


# Cores.


def test_target_that_halts_after_several_looks(rig: Rig) -> None:
    """`halt 0` only asks."""
    client = rig.client()
    rig.mock.target_state("running")
    rig.mock.fault("fail", match=r"curstate\Z", times=4, code=0, text="running")
    assert client.call("target.halt") == {"target": "vb.cpu", "state": "halted"}
    assert rig.sent(r"curstate\Z") == 5
    assert rig.sent("halt 0") == 1


@pytest.mark.parametrize("state", ["running", "unknown", "examine deferred"])
def test_others_are_served_while_a_halt_looks(rig: Rig, state: str) -> None:
    client, other = rig.client(), rig.client()
    rig.mock.fault("fail", match=r"curstate\Z", times=0, code=0, text=state)
    identifier = client.send("target.halt", timeout_ms=LONG_MS)
    rig.wait_sent(r"curstate\Z", 2)
    assert other.call("memory.read_u32", address=RAM)["values"] == [0]
    looks = rig.sent(r"curstate\Z")
    rig.wait_sent(r"curstate\Z", looks + 1)
    rig.mock.clear_faults()
    assert client.result(identifier)["state"] == "halted"


def test_target_that_never_halts(rig: Rig) -> None:
    """OpenOCD waits five seconds in its own `halt`; the error says what the target does instead."""
    client = rig.client()
    rig.mock.fault("fail", match=r"curstate\Z", times=0, code=0, text="debug-running")
    error = client.fail("target.halt", timeout_ms=LONG_MS)
    assert error.kind == "target_error"
    assert "debug-running" in error.message
    assert rig.sent("halt 0") == 1


def test_link_lost_while_a_halt_looks(rig: Rig) -> None:
    """It was asked for, once; nobody knows what came of it."""
    client = rig.client()
    rig.mock.fault("fail", match=r"curstate\Z", times=3, code=0, text="running")
    rig.mock.fault("drop", match=r"curstate\Z", nth=3)
    error = client.fail("target.halt", timeout_ms=LONG_MS)
    assert error.kind == "outcome_unknown"
    rig.wait_link("idle")
    assert rig.sent("halt 0") == 1


def test_reset_that_settles_later(rig: Rig) -> None:
    """`reset` is what a target is in right behind one; the state after it is the answer."""
    client = rig.client()
    rig.mock.fault("fail", match="target names", times=3, code=0,
                   text="vb.cpu {{vb.cpu cortex_m little reset 32}} {}")
    result = client.call("target.reset", mode="run")
    assert result["targets"] == [{"target": "vb.cpu", "state": "running"}]
    assert rig.sent(r"\Areset run\Z") == 1


def test_target_that_changes_by_itself_disturbs_a_long_read(rig: Rig) -> None:
    """Its notification comes between two pieces."""
    client = rig.client()
    rig.mock.poke(RAM, DATA)
    rig.mock.fault("notify", match="dump_image|read_memory", nth=2, frames=["type target_state state halted\r\n"])
    result = client.call("memory.read_bytes", address=RAM, size=len(DATA), timeout_ms=LONG_MS)
    assert result["disturbed"]
    assert base64.b64decode(result["data"]) == DATA
    wait_until(lambda: not client.call("board.status")["queued"], "the survey to end")
    assert not client.call("memory.read_bytes", address=RAM, size=len(DATA), timeout_ms=LONG_MS)["disturbed"]


def test_dump_of_a_target_that_takes_bytes_only(rig: Rig, tmp_path: Any) -> None:
    rig.mock.refuse_width(32)
    rig.mock.refuse_width(16)
    rig.mock.poke(RAM, DATA)
    rig.mock.fault("fail", match="dump_image", times=0, code=-4, log="Error: no such luck")
    client = rig.client()
    result = client.call("memory.dump", address=RAM, size=len(DATA), path="bytes.bin", timeout_ms=LONG_MS)
    assert result["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert next(tmp_path.rglob("bytes.bin")).read_bytes() == DATA
