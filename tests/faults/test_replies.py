"""What may come over the link instead of the one expected reply, or around it."""

from __future__ import annotations

import base64
import struct
from typing import Any, Callable, Dict, Tuple

import pytest

from rig import FLASH, KIB, LONG_MS, RAM, Rig

WORD = r"read_memory 0x20000000 32 1\Z"


def shown(text: str) -> str:
    """As results show it: no JSON string of the protocol holds a NUL."""
    return text.replace("\x00", "\ufffd")


def word(rig: Rig, client: Any) -> int:
    """Reads the first word of RAM."""
    value: int = client.call("memory.read_u32", address=RAM, timeout_ms=LONG_MS)["values"][0]
    return value


@pytest.fixture
def pair(rig: Rig) -> Tuple[Rig, Any]:
    """A rig whose RAM begins with 0x11223344, and a client."""
    rig.mock.poke(RAM, struct.pack("<I", 0x11223344))
    return rig, rig.client()


@pytest.mark.parametrize("action", ["delay", "late"])
def test_reply_may_take_its_time(pair: Tuple[Rig, Any], action: str) -> None:
    rig, client = pair
    rig.mock.fault(action, ms=150, match=WORD)
    assert word(rig, client) == 0x11223344
    assert rig.stats()["boards"][0]["link_busy_ms"] >= 150


@pytest.mark.parametrize("size", [1, 2, 7])
def test_reply_in_small_writes(pair: Tuple[Rig, Any], size: int) -> None:
    rig, client = pair
    data = bytes(i * 7 & 0xFF for i in range(600))
    rig.mock.poke(RAM, data)
    rig.mock.fault("split", size=size, times=0)
    assert word(rig, client) == struct.unpack("<I", data[:4])[0]
    result = client.call("memory.read_bytes", address=RAM, size=600)
    assert base64.b64decode(result["data"]) == data
    assert client.call("openocd.command", command=r'return "\x00\x1a{"')["text"] == shown("\x00\x1a{")


@pytest.mark.parametrize("where", ["before", "after"])
def test_notifications_around_a_reply(pair: Tuple[Rig, Any], where: str) -> None:
    rig, client = pair
    client.call("events.subscribe", topics=["target"])
    frames = ["type target_event event gdb-halt\r\n", "type target_state state running\r\n",
              "type target_reset mode run\r\n"]
    rig.mock.fault("notify", where=where, frames=frames, match=WORD)
    assert word(rig, client) == 0x11223344
    seen = []
    while len(seen) < 3:
        params = client.wait_notification(lambda note: note["method"] == "event")["params"]
        seen.append((params["kind"], params["value"]))
    assert seen == [("event", "gdb-halt"), ("state", "running"), ("reset", "run")]


def test_notifications_inside_a_reply_are_its_bytes(pair: Tuple[Rig, Any]) -> None:
    """A result that looks like frames stays one result."""
    rig, client = pair
    client.call("events.subscribe", topics=["target"])
    text = "type target_event event halted\r\n\x1atype target_state state halted\r\n\x1aline too long\n\x00"
    command = 'return "%s"' % text.replace("\x1a", r"\x1a").replace("\x00", r"\x00")
    assert client.call("openocd.command", command=command)["text"] == shown(text)
    assert client.take_notifications("event") == []
    assert rig.stats()["boards"][0]["strays"] == 0


def test_notifications_while_nobody_asks(pair: Tuple[Rig, Any]) -> None:
    rig, client = pair
    client.call("events.subscribe", topics=["target"])
    rig.mock.notify("type target_event event gdb-halt\r\n")
    params = client.wait_notification(lambda note: note["method"] == "event")["params"]
    assert (params["kind"], params["value"], params["board"]) == ("event", "gdb-halt", "b0")
    assert word(rig, client) == 0x11223344


def test_hostile_notifications(pair: Tuple[Rig, Any]) -> None:
    """Strange bytes, no value, no end of line, a value without end: told as text or dropped, and nothing breaks."""
    rig, client = pair
    client.call("events.subscribe", topics=["target"])
    frames = ["type target_event", "type target_event event", "type target_event event \x00\x01\xff\"\\\n",
              "type target_%s state x" % ("y" * 100), "type target_state state " + "z" * 20000, "type ", ""]
    rig.mock.fault("notify", where="before", frames=frames, match=WORD)
    assert word(rig, client) == 0x11223344
    for note in client.take_notifications("event"):
        assert note["value"].isprintable() and len(note["value"]) < 16384


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize(
    "garbage",
    [b"\x1a", b"junk\x1a", b"\n\x1a\x1a\x1a", b"line too long\n\x00", b"line too long\n\x00line too long\n\x00",
     bytes(range(1, 0x1A)) * 4000 + b"\x1a", b"Error: something\r\n\x1a", b"\xff\xfe\x1a"],
    ids=["empty", "junk", "many", "too_long", "too_long_twice", "large", "text", "no_utf8"],
)
def test_garbage_around_a_reply(pair: Tuple[Rig, Any], where: str, garbage: bytes) -> None:
    """What answers nothing is dropped and counted; the reply is believed."""
    rig, client = pair
    rig.mock.fault("garbage", where=where, data=garbage.hex(), match=WORD)
    assert word(rig, client) == 0x11223344
    assert word(rig, client) == 0x11223344
    board = rig.stats()["boards"][0]
    assert board["strays"] >= 1
    assert board["reconnects"] == 0


def impossible(field: int, delta: int) -> Dict[str, Any]:
    """A fault that makes one length of the reply's header wrong."""
    return {"action": "lengths", "field": field, "delta": delta}


BROKEN = [
    pytest.param({"action": "garbage", "where": "instead", "data": b"\x00junk\x1a".hex()}, id="no header"),
    pytest.param({"action": "garbage", "where": "instead", "data": (b"\x00" + b"7" * 500).hex()}, id="long header"),
    pytest.param({"action": "garbage", "where": "instead", "data": b"\x00abc 0 99999999999 0 0:".hex()}, id="huge"),
    pytest.param({"action": "garbage", "where": "instead", "data": b"\x00abc 0 -1 0 0:\x1a".hex()}, id="negative"),
    pytest.param({"action": "garbage", "where": "instead", "data": b"\x00abc 0 1 1 1:xxxx".hex()}, id="short"),
    pytest.param(impossible(0, -1), id="result shorter"),
    pytest.param(impossible(1, -1000), id="log shorter"),
]


@pytest.mark.parametrize("fault", BROKEN)
def test_reply_that_cannot_be_read_resets_the_link(pair: Tuple[Rig, Any], fault: Dict[str, Any]) -> None:
    """A typed read is not repeated, a range read is, and the link is new."""
    rig, client = pair
    fault = dict(fault)
    action = fault.pop("action")
    if fault.get("field") == 1:  # a log that can be shortened
        rig.mock.fault("fail", match=WORD, code=1, text="no", log="x" * 1200)
    rig.mock.fault(action, match=WORD, **fault)
    error = client.fail("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    assert error.kind == "openocd_unavailable"
    assert rig.sent(WORD) == 1
    rig.mock.clear_faults()
    assert word(rig, client) == 0x11223344
    assert rig.stats()["boards"][0]["reconnects"] == 1
    rig.mock.fault(action, match=WORD, **fault)
    if fault.get("field") != 1:
        assert base64.b64decode(client.call("memory.read_bytes", address=RAM, size=4)["data"]) == b"\x44\x33\x22\x11"
        assert rig.stats()["boards"][0]["reconnects"] == 2


@pytest.mark.parametrize(
    "fault",
    [{"action": "nonce"}, {"action": "nonce", "nonce": "x"}, {"action": "lengths", "field": 0, "delta": 1},
     {"action": "lengths", "field": 2, "delta": 1000},
     {"action": "garbage", "where": "instead", "data": ""},
     {"action": "garbage", "where": "instead", "data": b"0x11223344".hex()}],
    ids=["other nonce", "short nonce", "result longer", "options longer", "nothing", "no end"],
)
def test_reply_that_never_comes_ends_with_the_links_limit(
    make_rig: Callable[..., Rig], fault: Dict[str, Any]
) -> None:
    """Without a deadline of the client's the link's own limit ends it: nobody gets another's reply."""
    rig = make_rig(link_limit_ms=1000)
    rig.mock.poke(RAM, struct.pack("<II", 1, 2))
    one, two = rig.client(), rig.client()
    fault = dict(fault)
    rig.mock.fault(fault.pop("action"), match=WORD, **fault)
    first = one.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.wait_sent(WORD, 1)
    second = two.send("memory.read_u32", address=RAM + 4, timeout_ms=LONG_MS)
    error = one.error(first)
    assert error.kind == "openocd_unavailable"
    assert "limit" in error.message
    assert two.result(second)["values"] == [2]
    assert one.call("memory.read_u32", address=RAM)["values"] == [1]
    assert rig.sent(WORD) == 2  # the first was never sent again
    rig.assert_works()


@pytest.mark.parametrize("data", [b"0x1\x1a", b"\x1a"], ids=["text", "empty"])
def test_reply_outside_the_envelope_resets_the_link_soon(pair: Tuple[Rig, Any], data: bytes) -> None:
    """Whatever answered, the envelope is lost: that is found out long before the link's limit of a minute."""
    rig, client = pair
    rig.mock.fault("garbage", where="instead", data=data.hex(), match=WORD)
    error = client.fail("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    assert error.kind == "openocd_unavailable"
    assert rig.sent(WORD) == 1
    assert word(rig, client) == 0x11223344


def test_command_that_is_too_long_for_openocd(pair: Tuple[Rig, Any]) -> None:
    """OpenOCD's own answer to that, 15 bytes without an end, is no reply to anything."""
    rig, client = pair
    rig.mock.fault("too_long", match=WORD)
    assert client.fail("memory.read_u32", address=RAM, timeout_ms=LONG_MS).kind == "openocd_unavailable"
    assert word(rig, client) == 0x11223344


def test_command_longer_than_openocd_takes_is_never_sent(pair: Tuple[Rig, Any]) -> None:
    rig, client = pair
    before = rig.mock.commands()
    error = client.fail("openocd.command", command="[" * 1048576 + "", target="vb.cpu")
    assert error.kind == "limit_exceeded"
    assert error.data["limit"] == "openocd_command_bytes"
    assert rig.mock.commands() == before
    assert word(rig, client) == 0x11223344


def test_openocd_that_forgets_everything(pair: Tuple[Rig, Any]) -> None:
    """Variables, procedures and switches are gone: no command of the daemon's needs any."""
    rig, client = pair
    client.call("openocd.command", command="set mine 1; proc p {} {return 2}")
    rig.mock.forget()
    assert word(rig, client) == 0x11223344
    data = bytes(range(256)) * 8
    assert client.call("target.halt")["state"] == "halted"
    rig.mock.fault("forget", times=0)
    client.call("flash.write_image", data=base64.b64encode(data).decode(), address=FLASH)
    assert rig.mock.peek(FLASH, len(data)) == data
    assert base64.b64decode(client.call("memory.read_bytes", address=FLASH, size=2 * KIB)["data"]) == data


def test_results_of_any_bytes(pair: Tuple[Rig, Any]) -> None:
    rig, client = pair
    for text in ("", "\x00", "\x1a", "}{", "]]", '"\\', "\x00\x1a\x00", "a\r\nb\n", "\u00e4"):
        quoted = "".join(r"\x%02x" % byte for byte in text.encode())
        answer = client.call("openocd.command", command=f'return "{quoted}"')
        assert (answer["code"], answer["text"]) == (2, shown(text))
    answer = client.call("openocd.command", command=r'return "\xff\xfe"')  # no UTF-8: still valid JSON
    assert len(answer["text"]) > 0


def test_result_of_a_mebibyte(pair: Tuple[Rig, Any]) -> None:
    rig, client = pair
    answer = client.call("openocd.command", command="string repeat 0123456789abcdef 65536")
    assert answer["text"] == "0123456789abcdef" * 65536
    rig.mock.fault("split", size=1000, match="string repeat")
    assert len(client.call("openocd.command", command="string repeat 0123456789abcdef 65536")["text"]) == 1 << 20


def test_raw_commands_that_leave_in_every_way(pair: Tuple[Rig, Any]) -> None:
    """break, continue, return with any code, errors: each comes back as its code, and the link goes on."""
    rig, client = pair
    for command, code in (("break", 3), ("continue", 4), ("return x", 2), ("error oh", 1),
                          ("return -code 7 x", 2), ("nonsense", 1), ("set", 1)):
        assert client.call("openocd.command", command=command)["code"] == code
        assert word(rig, client) == 0x11223344
