"""Several boards in one daemon, and what the counters say of a link that failed."""

from __future__ import annotations

import base64
import struct
from typing import Any, Callable, Dict

import pytest

from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

SHORT_MS = 250


@pytest.fixture
def two(make_rig: Callable[..., Rig]) -> Rig:
    """A daemon with two boards, whose RAM begins with 100 and 200."""
    rig = make_rig(boards=2)
    for mock, value in zip(rig.mocks, (100, 200)):
        mock.poke(RAM, struct.pack("<I", value))
    return rig


def first(client: Any, board: str) -> int:
    """The first word of a board's RAM."""
    value: int = client.call("memory.read_u32", board=board, address=RAM, timeout_ms=LONG_MS)["values"][0]
    return value


def counters(rig: Rig, board: str) -> Dict[str, Any]:
    """What server.stats says of a board."""
    return next(each for each in rig.stats()["boards"] if each["board"] == board)


def test_stalled_board_does_not_delay_the_other(two: Rig) -> None:
    """Not even for the client whose request is stalled."""
    client, other = two.client(), two.client()
    stalled = two.stall(client, "read_memory", "memory.read_u32", board="b0", address=RAM)
    behind = other.send("memory.read_u32", board="b0", address=RAM, timeout_ms=LONG_MS)
    two.wait_queued(2)
    for each in (client, other):
        assert first(each, "b1") == 200
        assert each.call("flash.write_image", board="b1", data="AQIDBA==", prepare="halt")["verified"]
    assert two.mocks[1].peek(FLASH, 4) == b"\x01\x02\x03\x04"
    assert two.status("b0")["link"] == "busy"
    two.mock.release()
    assert client.result(stalled)["values"] == [100]
    assert other.result(behind)["values"] == [100]
    assert two.mocks[0].peek(FLASH, 4) == b"\xff\xff\xff\xff"


@pytest.mark.parametrize("ending", ["timeout", "crash", "drop"])
def test_ending_on_one_board_is_none_on_the_other(two: Rig, ending: str) -> None:
    """A deadline, a crash, a lost connection: the other board's request in flight and its link are as they were."""
    one, other = two.client(), two.client()
    two.mocks[1].fault("stall", match="write_memory")
    write = other.send("memory.write_u32", board="b1", address=RAM, values=[201], timeout_ms=LONG_MS)
    two.mocks[1].wait(stalled=True)
    write_ending = {"timeout": "timeout", "crash": "openocd_unavailable", "drop": "openocd_unavailable"}[ending]
    read = two.stall(one, "read_memory", "memory.read_u32", board="b0", address=RAM,
                     timeout_ms=SHORT_MS if ending == "timeout" else LONG_MS)
    if ending == "crash":
        two.mock.crash()
    elif ending == "drop":
        two.mock.drop()
        two.mock.release()
    assert one.error(read).kind == write_ending
    assert two.status("b1")["link"] == "busy"
    two.mocks[1].release()
    assert other.result(write)["count"] == 1
    assert counters(two, "b1")["reconnects"] == 0
    two.mock.restart()
    two.mock.release()
    assert first(one, "b1") == 201
    assert first(one, "b0") in (0, 100)  # a restarted one may have lost its memory


def test_board_that_is_gone_does_not_delay_the_other(two: Rig) -> None:
    client = two.client()
    two.mocks[1].crash()
    two.wait_link("down", "connecting", board="b1")
    waiting = client.send("memory.read_u32", board="b1", address=RAM, timeout_ms=LONG_MS)
    for _ in range(20):
        assert first(client, "b0") == 100
    two.mocks[1].restart()
    assert client.result(waiting)["values"][0] in (0, 200)


def test_two_boards_are_never_mixed_up(two: Rig) -> None:
    """Pipelined from several clients, with one board slow and in small writes."""
    two.mock.fault("split", size=7, times=0)
    two.mocks[1].fault("delay", ms=3, times=0)
    for number, mock in enumerate(two.mocks):
        mock.poke(RAM, bytes((i ^ (number * 0xFF)) & 0xFF for i in range(3 * KIB)))
    clients = [two.client() for _ in range(3)]
    calls = [(client, board, offset, client.send("memory.read_bytes", board=f"b{board}", address=RAM + offset,
                                                 size=700, timeout_ms=LONG_MS))
             for offset in (0, 512, 1024, 1500) for board in (0, 1) for client in clients]
    for client, board, offset, name in calls:
        expected = bytes((i ^ (board * 0xFF)) & 0xFF for i in range(offset, offset + 700))
        assert base64.b64decode(client.result(name)["data"]) == expected


def test_events_say_which_board(two: Rig) -> None:
    both, one = two.client(), two.client()
    both.call("events.subscribe", topics=["link", "target"])
    one.call("events.subscribe", topics=["link", "target"], board="b1")
    two.mocks[0].notify("type target_event event gdb-halt\r\n")
    two.mocks[1].notify("type target_event event gdb-start\r\n")
    seen = {}
    while len(seen) < 2:
        params = both.wait_notification(lambda note: note["params"].get("kind") == "event")["params"]
        seen[params["board"]] = params["value"]
    assert seen == {"b0": "gdb-halt", "b1": "gdb-start"}
    params = one.wait_notification(lambda note: note["params"].get("kind") == "event")["params"]
    assert (params["board"], params["value"]) == ("b1", "gdb-start")
    assert one.take_notifications("event") == []


# Counters.


def test_counters_of_a_stall(rig: Rig) -> None:
    """The command counts when it is sent; its time, its late reply and the error are there afterwards."""
    client = rig.client()
    before, errors = counters(rig, "b0"), rig.stats()["errors"]
    read = rig.stall(client, "read_memory", "memory.read_u32", address=RAM, timeout_ms=SHORT_MS)
    assert client.error(read).kind == "timeout"
    during = counters(rig, "b0")
    assert (during["link"], during["commands"]) == ("abandoned", before["commands"] + 1)
    assert rig.stats()["errors"] == errors + 1
    rig.mock.release()
    rig.wait_link("idle")
    after = counters(rig, "b0")
    assert after["link_busy_ms"] >= before["link_busy_ms"] + SHORT_MS - 1
    assert after["reconnects"] == 0
    assert after["bytes_read"] == before["bytes_read"]
    assert (after["queued"], after["running"]) == (before["queued"], before["running"])


def test_counters_of_lost_links(rig: Rig) -> None:
    client = rig.client()
    for lost in range(1, 4):
        rig.mock.drop()
        wait_until(lambda: counters(rig, "b0")["reconnects"] == lost, "the link to be there again")
        rig.wait_link("idle")
        client.call("memory.read_u32", address=RAM, count=4, timeout_ms=LONG_MS)
    assert counters(rig, "b0")["bytes_read"] >= 48


def test_reply_of_the_connection_before_is_nobodys(rig: Rig) -> None:
    """What OpenOCD still had to say on the lost connection does not come over the new one."""
    client = rig.client()
    rig.mock.poke(RAM, struct.pack("<2I", 1, 2))
    read = rig.stall(client, "read_memory 0x20000000", "memory.read_u32", address=RAM)
    rig.mock.drop()
    assert client.error(read).kind == "openocd_unavailable"
    behind = client.send("memory.read_u32", address=RAM + 4, timeout_ms=LONG_MS)
    rig.mock.release()
    assert client.result(behind)["values"] == [2]
    assert rig.sent("read_memory 0x20000000") == 1


# Between and inside replies.

HALTED = "type target_event event halted\r\n"


def test_notifications_before_between_and_behind_two_replies(rig: Rig) -> None:
    """Each is told once, in its order, and both replies are whole; some come in writes of three bytes."""
    client = rig.client()
    client.call("events.subscribe", topics=["target"])
    rig.mock.poke(RAM, struct.pack("<2I", 11, 22))
    words = iter(range(100))

    def frames(count: int) -> Any:
        return [f"type target_event event e{next(words)}\r\n" for _ in range(count)]

    for address in (RAM, RAM + 4):
        rig.mock.fault("notify", where="before", frames=frames(2), match=f"read_memory {address:#x}")
        rig.mock.fault("notify", where="after", frames=frames(3), match=f"read_memory {address:#x}")
    rig.mock.fault("split", size=3, match=f"read_memory {RAM + 4:#x}")
    calls = [client.send("memory.read_u32", address=address) for address in (RAM, RAM + 4)]
    assert [client.result(each)["values"] for each in calls] == [[11], [22]]
    told = [client.wait_notification(lambda note: note["method"] == "event")["params"]["value"] for _ in range(10)]
    assert told == [f"e{i}" for i in range(10)]


def test_replies_in_one_write_with_what_follows(rig: Rig) -> None:
    """A frame that begins behind the reply, and goes on much later, belongs to no reply."""
    client = rig.client()
    rig.mock.poke(RAM, struct.pack("<2I", 11, 22))
    rig.mock.fault("garbage", where="after", data=b"type target_event event ha".hex(), match="read_memory 0x20000000")
    assert client.call("memory.read_u32", address=RAM)["values"] == [11]
    client.call("events.subscribe", topics=["target"])
    rig.mock.notify("lf\r\n")
    params = client.wait_notification(lambda note: note["method"] == "event")["params"]
    assert (params["kind"], params["value"]) == ("event", "half")
    assert client.call("memory.read_u32", address=RAM + 4)["values"] == [22]


def test_memory_that_looks_like_replies(rig: Rig) -> None:
    """Raw bytes of memory pass the link: envelopes, ends of frames and notifications among them."""
    client = rig.client()
    client.call("events.subscribe", topics=["target"])
    data = (b"\x00" + b"0" * 32 + b" 0 3 0 0:0x1\x1a" + HALTED.encode() + b"\x1aline too long\n\x00\x1a") * 40
    rig.mock.poke(RAM, data)
    for size in (0, 1, 5):
        if size:
            rig.mock.fault("split", size=size, times=0)
        result = client.call("memory.read_bytes", address=RAM, size=len(data), timeout_ms=LONG_MS)
        assert base64.b64decode(result["data"]) == data
    assert client.take_notifications("event") == []
    assert counters(rig, "b0")["strays"] == 0
