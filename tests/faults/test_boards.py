"""Several boards on one daemon: one's trouble is not another's."""

from __future__ import annotations

from typing import Callable

import pytest

from harness.waiting import wait_until
from rig import LONG_MS, RAM, Rig

pytestmark = pytest.mark.both  # short, and a look at several boards


def test_board_that_stalls_does_not_delay_the_other(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(boards=2)
    client, other = rig.client(), rig.client()
    stuck = rig.stall(client, "read_memory 0x20000000", "memory.read_u32", board="b0", address=RAM)
    rig.mocks[1].poke(RAM, b"\x2a\0\0\0")
    for _ in range(50):
        assert other.call("memory.read_u32", board="b1", address=RAM)["values"] == [42]
    # The same connection may go on with the other board as well.
    assert client.call("memory.read_u32", board="b1", address=RAM)["values"] == [42]
    assert rig.status("b0")["link"] == "busy" and rig.status("b0")["queued"] == 1
    rig.mock.release()
    assert client.result(stuck)["values"] == [0]
    rig.assert_works()


def test_board_that_crashes_does_not_touch_the_other(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(boards=2)
    client, other = rig.client(), rig.client()
    other.call("events.subscribe", topics=["link"], board="b1")
    client.call("events.subscribe", topics=["link"])
    waiting = rig.stall(client, "read_memory 0x20000000", "memory.read_u32", board="b0", address=RAM)
    on_other = rig.mocks[1].fault("stall", match="read_memory 0x20000000")
    assert on_other > 0
    alive = other.send("memory.read_u32", board="b1", address=RAM, timeout_ms=LONG_MS)
    rig.mocks[1].wait(stalled=True)
    rig.mocks[0].crash()
    assert client.error(waiting).kind == "openocd_unavailable"
    note = client.wait_notification(lambda each: each["method"] == "event")["params"]
    assert (note["board"], note["state"]) == ("b0", "down")
    rig.mocks[1].release()
    assert other.result(alive)["values"] == [0]
    assert other.take_notifications("event") == []
    assert rig.status("b1")["link"] == "idle"
    rig.mocks[0].restart()
    rig.wait_link("idle", board="b0")
    rig.assert_works()


def test_board_must_be_named_where_there_are_several(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(boards=2)
    client = rig.client()
    before = [mock.commands() for mock in rig.mocks]
    assert client.fail("memory.read_u32", address=RAM).kind == "invalid_params"
    assert client.fail("memory.read_u32", board="b2", address=RAM).kind == "not_found"
    assert [mock.commands() for mock in rig.mocks] == before
    assert [board["board"] for board in client.call("board.list")["boards"]] == ["b0", "b1"]


def test_client_that_goes_leaves_nothing_on_any_board(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(boards=3)
    holder = rig.client()
    for i, mock in enumerate(rig.mocks):
        mock.fault("stall", match="read_memory 0x20000ff0")
        holder.send("memory.read_u8", board=f"b{i}", address=RAM + 0xFF0, timeout_ms=LONG_MS)
        mock.wait(stalled=True)
    client = rig.client()
    for i in range(3):
        for _ in range(5):
            client.send("memory.write_u32", board=f"b{i}", address=RAM, values=[7], timeout_ms=LONG_MS)
    for i in range(3):
        rig.wait_queued(6, board=f"b{i}")
    client.reset()
    for i, mock in enumerate(rig.mocks):
        rig.wait_queued(1, board=f"b{i}")
        mock.release()
        wait_until(lambda name=f"b{i}": rig.status(name)["queued"] == 0, "the end")
        assert not any("write_memory" in script for script in mock.scripts())
    rig.assert_works()
