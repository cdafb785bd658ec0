"""The link goes: before a command, before, inside or after its reply; with a crash; once and again."""

from __future__ import annotations

import base64
import struct
from typing import Any, Callable, Dict

import pytest

from harness.client import Client
from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

pytestmark = pytest.mark.both  # where the link is lost differs with the build

# Ways to lose the link while one command is in flight. Behind "after" the reply has come.
LOSSES: Dict[str, Dict[str, Any]] = {
    "command": {"action": "drop", "when": "command"},
    "before": {"action": "drop", "when": "before"},
    "before, reset": {"action": "drop", "when": "before", "reset": True},
    "inside the header": {"action": "drop", "when": "inside", "bytes": 10},
    "inside the result": {"action": "drop", "when": "inside", "bytes": 45},
    "inside, reset": {"action": "drop", "when": "inside", "bytes": 45, "reset": True},
    "crash": {"action": "crash"},
}


def lose(rig: Rig, pattern: str, loss: str, **rule: Any) -> None:
    """The command that matches will lose its link."""
    fault = dict(LOSSES[loss])
    rig.mock.fault(fault.pop("action"), match=pattern, **fault, **rule)


def back(rig: Rig) -> None:
    """OpenOCD runs again, if it was gone."""
    rig.mock.restart()


@pytest.fixture(params=list(LOSSES))
def loss(request: Any) -> str:
    """Every way to lose the link."""
    name: str = request.param
    return name


def wait_crashed(rig: Rig, loss: str) -> None:
    """Where the loss is a crash: until it has happened; OpenOCD comes back then."""
    if loss == "crash":
        wait_until(lambda: not rig.mock.stats(0)["listening"], "the crash")
        back(rig)


def test_typed_read_is_never_sent_twice(rig: Rig, loss: str) -> None:
    """A register may clear when it is read."""
    client = rig.client()
    lose(rig, "read_memory 0x20000000", loss)
    identifier = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    error = client.error(identifier)
    assert error.kind == "openocd_unavailable"
    assert error.data["retry_in_ms"] >= 0
    wait_crashed(rig, loss)
    rig.assert_works()
    assert rig.sent("read_memory 0x20000000") == 1


def test_cacheable_read_is_sent_again(rig: Rig, loss: str) -> None:
    client = rig.client()
    rig.mock.poke(RAM, struct.pack("<I", 77))
    lose(rig, "read_memory 0x20000000", loss)
    identifier = client.send("memory.read_u32", address=RAM, cacheable=True, timeout_ms=LONG_MS)
    wait_crashed(rig, loss)
    assert client.result(identifier)["values"] == [77]
    assert rig.sent("read_memory 0x20000000") == 2


def test_range_read_is_sent_again_and_completes(rig: Rig, loss: str) -> None:
    """In the middle of it; what had come before is not read again."""
    data = bytes(i * 13 & 0xFF for i in range(6000))
    rig.mock.poke(RAM, data)
    client = rig.client()
    lose(rig, "dump_image", loss, nth=2)
    identifier = client.send("memory.read_bytes", address=RAM, size=6000, timeout_ms=LONG_MS, stream=True)
    wait_crashed(rig, loss)
    result = client.result(identifier)
    pieces = client.take_notifications("data")
    assert b"".join(base64.b64decode(piece["data"]) for piece in pieces) == data
    assert result["disturbed"]  # nobody knows what happened to the board meanwhile
    assert rig.sent(r"dump_image [\\$]+p 0x20000000") == 1


def test_read_that_loses_the_link_twice_is_given_up(rig: Rig) -> None:
    client = rig.client()
    for method, params in (("memory.read_bytes", {"size": 4}), ("memory.read_u32", {"cacheable": True}),
                           ("memory.hexdump", {"size": 4})):
        rig.mock.reset_counters()
        lose(rig, "read_memory 0x20000000", "before", times=2)
        error = client.fail(method, address=RAM, timeout_ms=LONG_MS, **params)
        assert error.kind == "openocd_unavailable"
        assert rig.sent("read_memory 0x20000000") == 2
        client.call(method, address=RAM, timeout_ms=LONG_MS, **params)


def test_long_read_survives_more_than_one_loss(rig: Rig) -> None:
    """Each command may be sent twice, not only each operation."""
    rig.mock.poke(RAM, bytes(range(256)) * 64)
    client = rig.client()
    for nth in (1, 3, 5):
        lose(rig, "dump_image", "before", nth=nth)
    result = client.call("memory.read_bytes", address=RAM, size=16 * KIB, timeout_ms=LONG_MS)
    assert base64.b64decode(result["data"]) == bytes(range(256)) * 64


CHANGES = [
    ("memory.write_u32", {"address": RAM, "values": [1, 2]}, "write_memory"),
    ("memory.write_bytes", {"address": RAM, "data": "AQIDBA=="}, "write_memory"),
    ("target.halt", {}, "halt 0"),
    ("target.resume", {}, "resume"),
    ("target.reset", {"mode": "run"}, "reset run"),
    ("openocd.command", {"command": "set mine 1"}, "set mine"),
]


@pytest.mark.parametrize("method,params,pattern", CHANGES, ids=[each[0] for each in CHANGES])
@pytest.mark.parametrize("loss", ["command", "before", "inside the result", "crash"])
def test_change_has_an_unknown_outcome_and_is_never_sent_twice(
    rig: Rig, method: str, params: Any, pattern: str, loss: str
) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.reset_counters()
    lose(rig, pattern, loss)
    error = client.fail(method, timeout_ms=LONG_MS, **params)
    assert error.kind == "outcome_unknown"
    wait_crashed(rig, loss)
    rig.assert_works()
    assert rig.sent(pattern) == 1


def test_change_that_was_not_sent_yet_waits_for_the_link(rig: Rig) -> None:
    """It was queued when the link went: that changes nothing for it."""
    hold = rig.hold()
    client = rig.client()
    identifier = client.send("memory.write_u32", address=RAM, values=[0xABCD], timeout_ms=LONG_MS)
    rig.wait_queued(2)
    rig.mock.crash()
    rig.mock.restart()
    assert client.result(identifier)["count"] == 1
    assert rig.mock.peek(RAM, 4) == struct.pack("<I", 0xABCD)
    assert hold.receive()["error"]["data"]["kind"] == "openocd_unavailable"


def test_link_lost_right_behind_a_reply(rig: Rig) -> None:
    """The reply counts. A read that may be repeated comes through, whether it was sent before the loss was seen or not."""
    client = rig.client()
    rig.mock.fault("drop", when="after", match="write_memory")
    assert client.call("memory.write_u32", address=RAM, values=[5])["count"] == 1
    assert client.call("memory.read_u32", address=RAM, cacheable=True, timeout_ms=LONG_MS)["values"] == [5]


def test_link_lost_while_nobody_asks(rig: Rig) -> None:
    client = rig.client()
    client.call("events.subscribe", topics=["link"])
    rig.mock.drop()
    down = client.wait_notification(lambda note: note["method"] == "event")["params"]
    assert (down["state"], down["topic"]) == ("down", "link")
    assert down["reason"]
    up = client.wait_notification(lambda note: note["method"] == "event" and note["params"]["state"] == "idle")
    assert up["params"]["seq"] > down["seq"]
    rig.assert_works()


# Every kind of operation, and a command in the middle of it.
IMAGE = base64.b64encode(bytes(range(256)) * 16).decode()
KINDS = [
    ("memory.read_u32", {"address": RAM, "count": 600}, r"read_memory 0x20000400", "openocd_unavailable"),
    ("memory.write_u32", {"address": RAM, "values": [7] * 600}, r"write_memory 0x20000400", "outcome_unknown"),
    ("memory.read_bytes", {"address": RAM, "size": 8000}, r"dump_image [\\$]+p 0x20000400", None),
    ("memory.write_bytes", {"address": RAM, "data": IMAGE}, r"write_memory 0x20000400", "outcome_unknown"),
    ("memory.hexdump", {"address": RAM, "size": 8000}, r"dump_image [\\$]+p 0x20000400", None),
    ("memory.search", {"pattern": "AA==", "start": RAM, "end": RAM + 8000}, r"dump_image [\\$]+p 0x20000400", None),
    ("memory.dump", {"address": RAM, "size": 8000, "path": "d.bin"}, r"dump_image [\\$]+p 0x20000400", None),
    ("target.list", {}, "target names", None),
    ("target.state", {}, "target names", None),
    ("target.halt", {}, r"curstate\Z", "outcome_unknown"),
    ("target.reset", {"mode": "halt"}, "target names", "outcome_unknown"),
    ("flash.banks", {}, r"\{set i 0; foreach b", None),
    ("flash.info", {}, "flash probe", None),
    ("flash.verify", {"data": IMAGE}, r"read_bank 0 [\\$]+p 0x400", None),
    ("flash.write_image survey", {"data": IMAGE}, "flash probe", None),
    ("flash.write_image look", {"data": IMAGE}, r"curstate\Z", None),
    ("flash.write_image keep", {"data": IMAGE, "address": FLASH + 4}, r"read_bank 0 [\\$]+p 0x0 0x4\b", None),
    ("flash.write_image erase", {"data": IMAGE}, "erase_sector 0 0 0", "outcome_unknown"),
    ("flash.write_image program", {"data": IMAGE}, r"write_bank 0 [\\$]+p 0x0", "outcome_unknown"),
    ("flash.write_image compare", {"data": IMAGE}, r"read_bank 0 [\\$]+p 0x400", None),
    ("flash.write_image verify", {"data": IMAGE, "mode": "full"}, r"read_bank 0 [\\$]+p 0x400", "outcome_unknown"),
    ("flash.write_image reset", {"data": IMAGE, "reset": "run"}, r"\Areset run\Z", "outcome_unknown"),
]


@pytest.mark.parametrize("method,params,pattern,kind", KINDS, ids=[each[0] for each in KINDS])
def test_crash_in_the_middle_while_others_wait(
    rig: Rig, method: str, params: Any, pattern: str, kind: str
) -> None:
    """What was in flight ends as it must; what others had queued goes on when OpenOCD is there again."""
    rig.mock.poke(RAM + 0x3000, struct.pack("<III", 1, 2, 3))
    client = rig.client()
    client.call("target.halt")
    rig.mock.reset_counters()
    rig.mock.fault("stall", match=pattern)
    identifier = client.send(method.split()[0], timeout_ms=LONG_MS, **params)
    rig.mock.wait(stalled=True)
    others = [rig.client() for _ in range(3)]
    queued = [other.send("memory.read_u32", address=RAM + 0x3000 + 4 * i, timeout_ms=LONG_MS)
              for i, other in enumerate(others)]
    writer = rig.client()
    write = writer.send("memory.write_u32", address=RAM + 0x3100, values=[0xCAFE], timeout_ms=LONG_MS)
    rig.wait_queued(5)
    rig.mock.crash()
    rig.wait_link("down", "connecting")
    rig.mock.restart()
    assert [other.result(name)["values"] for other, name in zip(others, queued)] == [[1], [2], [3]]
    assert writer.result(write)["count"] == 1
    assert rig.mock.peek(RAM + 0x3100, 4) == struct.pack("<I", 0xCAFE)
    reply = client.reply(identifier)
    if kind is None:
        # A flash write that had changed nothing yet goes on, but nobody halted the new OpenOCD's target for it.
        assert "result" in reply or reply["error"]["data"]["kind"] == "target_not_halted"
    else:
        assert reply["error"]["data"]["kind"] == kind
        changes = r"write_memory 0x20000400|halt 0|\Areset|erase_sector 0 0 0|write_bank 0 [\\$]+p 0x0"
        assert all(rig.sent(each) <= 1 for each in changes.split("|"))
    if method.startswith("flash.write_image") and kind is not None and "reset" not in method:
        assert reply["error"]["data"]["flash_state"] == "partial"


def test_crash_between_the_pieces_of_a_change(rig: Rig) -> None:
    """Nothing is in flight at that moment, yet what was begun cannot go on: OpenOCD's state is gone."""
    client = rig.client()
    other = rig.client()
    rig.mock.fault("stall", match="read_memory 0x20003000")
    rig.mock.fault("delay", ms=20, match="write_memory", times=0)
    write = client.send("memory.write_bytes", address=RAM, data=base64.b64encode(bytes(12 * KIB)).decode(),
                        timeout_ms=LONG_MS)
    rig.wait_sent("write_memory", 1)
    read = other.send("memory.read_u32", address=RAM + 0x3000, timeout_ms=LONG_MS)
    rig.mock.wait(stalled=True)
    rig.mock.crash()
    error = client.error(write)
    assert error.kind == "outcome_unknown"
    assert 0 < error.data["done"] < 12 * KIB
    assert other.error(read).kind == "openocd_unavailable"
    rig.mock.clear_faults()
    rig.mock.restart()
    rig.assert_works()


def test_requests_wait_for_a_link_that_is_down(rig: Rig) -> None:
    """Up to their deadlines; then they are told that OpenOCD is not there, and when it is tried again."""
    rig.mock.crash()
    rig.wait_link("down")
    soon, long = rig.client(), rig.client()
    short = soon.send("memory.read_u32", address=RAM, timeout_ms=100)
    patient = long.send("memory.write_u32", address=RAM, values=[1], timeout_ms=LONG_MS)
    error = soon.error(short)
    assert error.kind == "openocd_unavailable" and "refused" in error.message
    assert 0 <= error.data["retry_in_ms"] <= 5000
    assert soon.call("board.list")["boards"][0]["link"] in ("down", "connecting")
    status = rig.status()
    assert status["last_error"] and status["retry_in_ms"] <= 5000
    rig.mock.restart()
    assert long.result(patient)["count"] == 1


def test_openocd_that_starts_after_the_daemon(make_rig: Callable[..., Rig], rig: Rig) -> None:
    rig.mock.crash()
    late = make_rig(openocd=[rig.mock.tcl_port], wait=False)
    client = late.client()
    identifier = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.mock.restart()
    assert client.result(identifier)["values"] == [0]
    assert "version" in client.call("board.list")["boards"][0]


def test_link_that_is_lost_over_and_over(rig: Rig) -> None:
    """Clients come and go meanwhile; in the end everything is well."""
    clients = [rig.client() for _ in range(5)]
    for round_ in range(4):
        calls = [each.send("memory.read_bytes", address=RAM, size=64, timeout_ms=LONG_MS) for each in clients]
        rig.mock.drop()
        if round_ % 2:
            rig.mock.crash()
            rig.mock.restart()
        for each, name in zip(clients, calls):
            reply = each.reply(name)
            assert "result" in reply or reply["error"]["data"]["kind"] == "openocd_unavailable"
        rig.wait_link("idle")
    assert rig.status()["queued"] == 0


def test_client_that_is_gone_when_the_link_comes_back(rig: Rig) -> None:
    """Its read was to be sent again: nobody wants it any more."""
    client = rig.client()
    rig.stall(client, "read_memory 0x20000000", "memory.read_bytes", address=RAM, size=4)
    rig.mock.crash()
    rig.wait_link("down", "connecting")
    rig.reset_client(client)
    rig.mock.restart()
    rig.wait_link("idle")
    rig.assert_works()
    assert rig.sent("read_memory 0x20000000") == 1


def test_cancel_while_the_link_is_down(rig: Rig) -> None:
    rig.mock.crash()
    rig.wait_link("down", "connecting")
    client: Client = rig.client()
    identifier = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    assert client.call("request.cancel", id=identifier)["found"]
    assert client.error(identifier).kind == "cancelled"
    rig.mock.restart()
    rig.wait_link("idle")
