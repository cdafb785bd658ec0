"""memory.watch where something fails: the link, the memory, the reader, the limits."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from harness.client import Client
from harness.waiting import wait_until
from rig import KIB, LONG_MS, RAM, Rig

Note = Dict[str, Any]


def watch(client: Client, address: int, size: int, interval_ms: int = 10, **params: Any) -> str:
    ranges = [{"address": address, "size": size}]
    result = client.call("memory.watch", ranges=ranges, interval_ms=interval_ms, encoding="hex", **params)
    identifier: str = result["watch"]
    return identifier


def next_note(client: Client) -> Note:
    params: Note = client.wait_notification(lambda note: note["method"] == "memory.changed")["params"]
    return params


def changes(note: Note) -> Dict[int, str]:
    return {int(each["address"], 16): each["data"] for each in note["changes"]}


def kinds(note: Note) -> List[str]:
    return [each["error"]["data"]["kind"] for each in note.get("errors", [])]


def count(rig: Rig) -> int:
    number: int = rig.status()["watches"]["count"]
    return number


def still(rig: Rig) -> bool:
    """Whether nothing more is sent: what one's own looks ask does not go to the link."""
    before = rig.mock.commands()
    until = rig.stats()["uptime_ms"] + 60
    while rig.stats()["uptime_ms"] < until:
        pass
    return bool(rig.mock.commands() == before)


def test_link_loss_is_told_once_and_the_watch_goes_on(rig: Rig) -> None:
    client = rig.client()
    rig.mock.poke(RAM, b"\x01\x02\x03\x04")
    watch(client, RAM, 4)
    assert changes(next_note(client)) == {RAM: "01020304"}
    rig.mock.crash()
    down = next_note(client)
    assert kinds(down) == ["openocd_unavailable"] and changes(down) == {} and down["seq"] == 2
    rig.wait_link("down", "connecting")
    rig.mock.poke(RAM, b"\x01\x77")
    rig.mock.restart()
    back = next_note(client)
    assert back["seq"] == 3 and "errors" not in back and not back["whole"]
    assert changes(back) == {RAM + 1: "77"} and back["recovered"] == [{"address": "0x20000000", "size": 4}]
    rig.mock.poke(RAM, b"\x05")
    note = next_note(client)
    assert changes(note) == {RAM: "05"} and "recovered" not in note


def test_short_link_losses_are_told_too(rig: Rig) -> None:
    """Of which a client that is told once an hour would see nothing."""
    client = rig.client()
    watch(client, RAM, 4, interval_ms=3600000)
    next_note(client)
    rig.mock.drop()
    rig.wait_link("idle")
    note = next_note(client)
    while "recovered" not in note:
        assert kinds(note) == ["openocd_unavailable"]
        note = next_note(client)
    assert note["recovered"] == [{"address": "0x20000000", "size": 4}]


def test_watch_that_begins_while_the_link_is_down(rig: Rig) -> None:
    rig.mock.crash()
    rig.wait_link("down", "connecting")
    client = rig.client()
    rig.mock.poke(RAM, b"\x11\x22")
    watch(client, RAM, 2)
    first = next_note(client)
    assert first["whole"] and changes(first) == {} and kinds(first) == ["openocd_unavailable"]
    rig.mock.restart()
    second = next_note(client)
    assert changes(second) == {RAM: "1122"} and second["recovered"] == [{"address": "0x20000000", "size": 2}]


def test_memory_that_fails_and_comes_back(rig: Rig) -> None:
    """Told once each; the neighbour of another client, read with it before, notices nothing."""
    client, neighbour = rig.client(), rig.client()
    watch(client, RAM, 4)
    watch(neighbour, RAM + 4, 4)
    next_note(client)
    next_note(neighbour)
    rig.mock.fault_range(RAM, RAM + 3)
    failing = next_note(client)
    assert kinds(failing) == ["target_error"] and changes(failing) == {}
    for value in range(1, 6):
        rig.mock.poke(RAM + 4, bytes([value]))
        note = next_note(neighbour)
        assert changes(note) == {RAM + 4: "%02x" % value} and "errors" not in note
    client.call("board.list")
    assert client.take_notifications("memory.changed") == []
    rig.mock.poke(RAM, b"\x99")
    rig.mock.clear_fault_ranges()
    back = next_note(client)
    assert back["recovered"] == [{"address": "0x20000000", "size": 4}] and changes(back) == {RAM: "99"}


def test_stalled_link_is_told(rig: Rig) -> None:
    client = rig.client()
    watch(client, RAM, 4)
    next_note(client)
    rig.hold()
    stalled = next_note(client)
    assert kinds(stalled) == ["timeout"] and "busy" in stalled["errors"][0]["error"]["message"]
    late = rig.client()
    watch(late, RAM, 4)
    assert kinds(next_note(late)) == ["timeout"]
    rig.mock.poke(RAM, b"\x42")
    rig.mock.release()
    assert "recovered" in (note := next_note(client)) and changes(note) == {RAM: "42"}
    assert changes(next_note(late)) == {RAM: "42000000"}


def test_slow_reader_gets_the_newest_and_no_backlog(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    slow, quick = rig.client(receive_buffer=4096), rig.client()
    identifier = watch(slow, RAM, 8 * KIB)
    watch(quick, RAM, 1)
    next_note(slow)
    next_note(quick)
    before = rig.memory_kib()
    for value in range(1, 101):
        rig.mock.poke(RAM, bytes([value]) * 8 * KIB)
        note = next_note(quick)
        assert changes(note) == {RAM: "%02x" % value}
    rig.assert_grown_at_most(before, 4 * KIB)
    memory = bytearray(8 * KIB)
    told = 0
    while bytes(memory) != bytes([100]) * 8 * KIB:
        for address, data in changes(next_note(slow)).items():
            memory[address - RAM : address - RAM + len(data) // 2] = bytes.fromhex(data)
        told += 1
    assert told < 50  # of 100 states
    slow.call("memory.unwatch", watch=identifier)
    slow.notifications.clear()
    rig.assert_works()


@pytest.mark.parametrize("end", ["close", "reset", "half-close", "unwatch"])
def test_nothing_is_read_for_who_has_gone(rig: Rig, end: str) -> None:
    client = rig.client()
    identifier = watch(client, RAM, 4)
    next_note(client)
    if end == "close":
        client.close()
    elif end == "reset":
        rig.reset_client(client)
    elif end == "half-close":
        client.half_close()
        client.wait_end()
    else:
        client.call("memory.unwatch", watch=identifier)
    wait_until(lambda: count(rig) == 0, "the end of the watch")
    wait_until(lambda: still(rig), "the link to be still")


def test_limits_of_the_configuration(make_rig: Callable[..., Rig]) -> None:
    limits = {
        "max_watches": 2, "max_watch_bytes": 1000, "max_board_watches": 3, "max_board_watch_bytes": 1100,
        "min_watch_interval_ms": 50,
    }
    rig = make_rig(boards=2, limits=limits)
    first, second, third = rig.client(), rig.client(), rig.client()
    hello = first.call("server.hello")
    assert {name: hello["limits"][name] for name in limits} == limits and "watch" in hello["features"]

    def refused(client: Client, size: int, board: str = "b0") -> Any:
        error = client.fail("memory.watch", board=board, ranges=[{"address": RAM, "size": size}])
        assert error.kind == "limit_exceeded" and error.data["maximum"] == limits[error.data["limit"]]
        return error.data["limit"]

    one = [{"address": RAM, "size": 1}]
    result = first.call("memory.watch", board="b0", ranges=one, interval_ms=7)
    assert result["interval_ms"] == 50
    assert refused(first, 1000) == "max_watch_bytes"  # a range counts as 64
    first.call("memory.watch", board="b1", ranges=one)
    assert refused(first, 1) == "max_watches"
    second.call("memory.watch", board="b0", ranges=[{"address": RAM, "size": 936}])
    assert refused(third, 200) == "max_board_watch_bytes"
    third.call("memory.watch", board="b0", ranges=one)
    assert refused(second, 1) == "max_board_watches"
    first.call("memory.unwatch", watch=result["watch"])
    second.call("memory.watch", board="b0", ranges=one)
    rig.assert_works()


def test_a_watch_gets_its_turn_and_no_more(rig: Rig) -> None:
    """With more to read than it gets turns for: one command in every other envelope of others, of 64 commands each."""
    watcher, busy = rig.client(), rig.client()
    scattered = [{"address": RAM + 16 * i, "size": 4} for i in range(64)]
    watcher.call("memory.watch", ranges=scattered, interval_ms=10)
    next_note(watcher)
    rig.hold()
    calls = [busy.send("memory.read_u32", address=RAM + 0x800, timeout_ms=LONG_MS) for _ in range(250)]
    rig.wait_queued(251)
    rig.mock.reset_counters()
    rig.mock.release()
    assert [busy.result(call)["values"] for call in calls] == [[0]] * 250
    scripts = rig.mock.scripts()
    turns = [i for i, script in enumerate(scripts) if " 32 1" in script and "0x20000800" not in script]
    last = max(i for i, script in enumerate(scripts) if "0x20000800" in script)
    inside = [turn for turn in turns if turn < last]
    assert len(inside) >= 2 and inside[0] <= 65
    assert all(8 <= second - first - 1 <= 128 for first, second in zip(inside, inside[1:]))


def test_watches_of_a_daemon_that_stops(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    client = rig.client()
    watch(client, RAM, 4)
    next_note(client)
    rig.stop_daemon()
    client.wait_end()
    assert rig.daemon.wait() == 0
