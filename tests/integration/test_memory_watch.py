"""memory.watch and memory.unwatch on the real thing: what is told, to whom, how often, and what it costs the link."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack
from harness.waiting import wait_until

Note = Dict[str, Any]
PLACE = RAM_BASE + 0x800
CODE = RAM_BASE + 0x100
COUNTER = RAM_BASE + 0x400
# ldr r1, [r0]; adds r1, #1; str r1, [r0]; b to the first
COUNTING = "01680131 0160fbe7".replace(" ", "")
UNREADABLE = 0x60000000


def watch(client: Client, *ranges: Any, **params: Any) -> str:
    """Begins a watch; bytes are told in hex."""
    params.setdefault("interval_ms", 10)
    wanted = [{"address": address, "size": size} for address, size in ranges]
    result = client.call("memory.watch", ranges=wanted, encoding="hex", **params)
    assert result["interval_ms"] == max(params["interval_ms"], 10)
    identifier: str = result["watch"]
    return identifier


def next_note(client: Client, identifier: str) -> Note:
    """The next notification of that watch."""
    found = client.wait_notification(
        lambda note: note["method"] == "memory.changed" and note["params"]["watch"] == identifier
    )
    params: Note = found["params"]
    return params


def changes(note: Note) -> Dict[int, str]:
    return {int(each["address"], 16): each["data"] for each in note["changes"]}


def apply(memory: Dict[int, int], note: Note) -> None:
    """What the client knows behind the notification."""
    for address, data in changes(note).items():
        memory.update({address + i: byte for i, byte in enumerate(bytes.fromhex(data))})


def poke(client: Client, address: int, data: str) -> None:
    client.call("memory.write_bytes", address=address, data=data, encoding="hex")


def watches(client: Client) -> Dict[str, Any]:
    status: Dict[str, Any] = client.call("board.status")["watches"]
    return status


def commands(client: Client) -> int:
    count: int = client.call("server.stats")["boards"][0]["commands"]
    return count


@pytest.fixture(name="own")
def fixture_own(client: Client) -> Iterator[Client]:
    """Zeros at PLACE; nobody watches before, and nobody behind once this connection has ended its own."""
    poke(client, PLACE, "00" * 256)
    assert watches(client)["count"] == 0
    yield client


def test_the_whole_first_then_only_what_changes(own: Client, stack_client: Client) -> None:
    """Neighbours of a change go along where they are few; nothing else does."""
    identifier = watch(own, (PLACE, 64), (PLACE + 128, 4))
    first = next_note(own, identifier)
    assert first["whole"] and first["seq"] == 1 and first["board"] == "board"
    assert changes(first) == {PLACE: "00" * 64, PLACE + 128: "00" * 4}
    poke(stack_client, PLACE + 5, "aa")
    second = next_note(own, identifier)
    assert not second["whole"] and second["seq"] == 2
    assert changes(second) == {PLACE + 5: "aa"}
    poke(stack_client, PLACE + 60, "bbcc")
    memory = {PLACE + 60: 0, PLACE + 61: 0}
    while memory != {PLACE + 60: 0xBB, PLACE + 61: 0xCC}:  # a look may come between the two
        apply(memory, next_note(own, identifier))
    poke(stack_client, PLACE + 128, "01020304")
    poke(stack_client, PLACE + 64, "55")  # nobody watches that
    memory = {}
    while memory.get(PLACE + 131) != 4:
        note = next_note(own, identifier)
        apply(memory, note)
    assert note["interval_ms"] >= 10  # each place was looked at twice by now
    assert set(memory) <= {PLACE + 128 + i for i in range(4)}
    assert own.call("memory.unwatch", watch=identifier) == {"watch": identifier}
    poke(stack_client, PLACE, "01")
    own.call("target.state")
    assert own.take_notifications("memory.changed") == []
    assert watches(own) == {"count": 0, "bytes": 0, "reads": watches(own)["reads"]}


def test_a_target_that_counts(own: Client) -> None:
    """Each notification is newer than the one before, and none says what was said already."""
    poke(own, CODE, COUNTING)
    poke(own, COUNTER, "00000000")
    own.call("register.write", names=["r0"], values=[COUNTER])
    identifier = watch(own, (COUNTER, 4))
    assert changes(next_note(own, identifier)) == {COUNTER: "00000000"}
    own.call("target.resume", address=CODE)
    memory = {COUNTER + i: 0 for i in range(4)}
    seen = [0]
    for seq in range(2, 12):
        note = next_note(own, identifier)
        apply(memory, note)
        assert note["seq"] == seq
        seen.append(int.from_bytes(bytes(memory[COUNTER + i] for i in range(4)), "little"))
    own.call("target.halt")
    own.call("memory.unwatch", watch=identifier)
    assert seen == sorted(set(seen))


def test_odd_ends_and_overlaps(own: Client, stack_client: Client) -> None:
    ranges = [(PLACE + 1, 3), (PLACE + 2, 9), (PLACE + 40, 1), (FLASH_BASE + 1021, 7)]
    identifier = watch(own, *ranges)
    flash = own.call("memory.read_bytes", address=FLASH_BASE + 1021, size=7, encoding="hex")["data"]
    first = [(int(each["address"], 16), each["data"]) for each in next_note(own, identifier)["changes"]]
    assert first == [(PLACE + 1, "00" * 3), (PLACE + 2, "00" * 9), (PLACE + 40, "00"), (FLASH_BASE + 1021, flash)]
    poke(stack_client, PLACE + 3, "77")
    second = [(int(each["address"], 16), each["data"]) for each in next_note(own, identifier)["changes"]]
    assert second == [(PLACE + 3, "77"), (PLACE + 3, "77")]  # in both ranges
    own.call("memory.unwatch", watch=identifier)


def test_unreadable_is_told_once_and_the_rest_goes_on(own: Client, stack_client: Client) -> None:
    own.call("events.subscribe", topics=["memory"])
    identifier = watch(own, (PLACE, 4), (UNREADABLE, 4))
    first = next_note(own, identifier)
    assert changes(first) == {PLACE: "00000000"}
    (failing,) = first["errors"]
    assert failing["address"] == "0x60000000" and failing["size"] == 4
    assert failing["error"]["data"]["kind"] == "target_error" and "openocd" in failing["error"]["data"]
    for value in ("01", "02", "03"):
        poke(stack_client, PLACE, value)
        note = next_note(own, identifier)
        assert changes(note) == {PLACE: value} and "errors" not in note
    own.call("memory.unwatch", watch=identifier)
    own.call("events.unsubscribe")
    events = [each for each in own.take_notifications("event")]
    assert [each["kind"] for each in events] == ["watched", "failing", "unwatched"]
    assert events[0]["bytes"] == 8 and events[0]["interval_ms"] == 10 and events[0]["watches"] == 1
    assert events[1]["address"] == "0x60000000" and "cannot read" in events[1]["message"]


def test_bad_calls_change_nothing(own: Client, stack_client: Client) -> None:
    good = {"address": PLACE, "size": 4}
    for ranges, word in [
        ([], "from 1 to 64"), ([good] * 65, "from 1 to 64"), (good, "array"), ([PLACE], "object"),
        ([good, {"address": PLACE}], "ranges[1]: size: is missing"), ([{**good, "size": 0}], "ranges[0]: size"),
        ([{**good, "more": 1}], "unknown parameter"), ([{**good, "address": -1}], "ranges[0]: address"),
    ]:
        error = own.fail("memory.watch", ranges=ranges)
        assert error.kind == "invalid_params" and error.data["parameter"] == "ranges" and word in error.message
    assert own.fail("memory.watch", ranges=[good], interval_ms=0).data["parameter"] == "interval_ms"
    for address in (2**32 - 2, "0xfffffffffffffffe"):
        assert own.fail("memory.watch", ranges=[{"address": address, "size": 4}]).kind == "invalid_range"
    assert own.fail("memory.watch", ranges=[good], target="nobody").data["parameter"] == "target"
    limits = own.call("server.hello")["limits"]
    error = own.fail("memory.watch", ranges=[{"address": PLACE, "size": limits["max_watch_bytes"] + 1}])
    assert error.kind == "limit_exceeded" and error.data["limit"] == "max_watch_bytes"
    others = [watch(stack_client, (PLACE, 4)) for _ in range(limits["max_watches"])]
    error = stack_client.fail("memory.watch", ranges=[good])
    assert error.kind == "limit_exceeded" and error.data["limit"] == "max_watches"
    for identifier in (others[0], "watch-0", "no such"):
        error = own.fail("memory.unwatch", watch=identifier)
        assert error.kind == "not_found" and error.data["parameter"] == "watch"
    assert watches(own)["count"] == len(others)
    stack_client.close()
    wait_until(lambda: watches(own)["count"] == 0, "the watches to end")
    identifier = watch(own, (PLACE, 4))
    assert next_note(own, identifier)["seq"] == 1
    own.call("memory.unwatch", watch=identifier)


def count_cost(client: Client, reads: int) -> float:
    """Commands for each of so many reads for watches."""
    before = watches(client)["reads"], commands(client)
    wait_until(lambda: watches(client)["reads"] >= before[0] + reads, "reads")
    sent = commands(client) - before[1]
    return sent / (watches(client)["reads"] - before[0])


def cost_of(stack: Stack, watchers: int, reads: int) -> float:
    """Commands on the link for each time that the 64 bytes were read."""
    with stack.client() as admin:
        clients = [stack.client() for _ in range(watchers)]
        identifiers = [watch(each, (PLACE, 64), interval_ms=10 + i % 5) for i, each in enumerate(clients)]
        for each, identifier in zip(clients, identifiers):
            assert changes(next_note(each, identifier)) == {PLACE: "00" * 64}
        assert watches(admin)["bytes"] == 64
        cost = count_cost(admin, reads)
        status = watches(admin)
        assert status["count"] == watchers and status["interval_ms"] == 10 and status["reached_ms"] >= 9
        # All are told, by the same read.
        poke(admin, PLACE, "%02x" % watchers)
        for each, identifier in zip(clients, identifiers):
            assert changes(next_note(each, identifier)) == {PLACE: "%02x" % watchers}
        poke(admin, PLACE, "00")
        for each in clients:
            each.close()
        wait_until(lambda: watches(admin)["count"] == 0, "the watches to end")
    return cost


def test_a_hundred_watchers_cost_the_link_what_one_costs(own: Client, stack: Stack) -> None:
    """Counted in commands; at most 1.1 times as many, and one for each read."""
    one = cost_of(stack, 1, 40)
    hundred = cost_of(stack, 100, 40)
    assert hundred <= 1.1 * one and one <= 1.1, (one, hundred)


def test_neighbours_are_read_together(own: Client, stack: Stack) -> None:
    """Of different clients: one command for all of a period."""
    clients = [stack.client() for _ in range(8)]
    notes = []
    for i, each in enumerate(clients):
        notes.append((each, watch(each, (PLACE + 32 * i, 32), interval_ms=20)))
    for each, identifier in notes:
        next_note(each, identifier)
    status = watches(own)
    assert status["count"] == 8 and status["bytes"] == 256
    assert count_cost(own, 20) <= 1.1
    for i, (each, identifier) in enumerate(notes):
        poke(own, PLACE + 32 * i, "%02x" % (i + 1))
        assert changes(next_note(each, identifier)) == {PLACE + 32 * i: "%02x" % (i + 1)}
        each.close()


def test_only_the_same_memory_is_shared(own: Client, stack_client: Client) -> None:
    """The current target by its name is the same; physical addresses are others."""
    params: List[Dict[str, Any]] = [{}, {"target": "vb.cpu"}, {"physical": True}]
    identifiers = [watch(own, (PLACE, 4), **more) for more in params]
    for identifier in identifiers:
        assert changes(next_note(own, identifier)) == {PLACE: "00000000"}
    assert watches(own)["count"] == 3 and watches(own)["bytes"] == 8
    poke(stack_client, PLACE, "12")
    for identifier in identifiers:
        assert changes(next_note(own, identifier)) == {PLACE: "12"}
        own.call("memory.unwatch", watch=identifier)


def test_each_is_told_as_often_as_it_wants(own: Client, stack: Stack, stack_client: Client) -> None:
    """The fast one decides how often is read; the slow one gets the newest."""
    slow = watch(own, (PLACE, 4), interval_ms=3600000)
    fast = watch(stack_client, (PLACE, 4), interval_ms=10)
    next_note(own, slow)
    next_note(stack_client, fast)
    writer = stack.client()
    for value in range(1, 6):
        poke(writer, PLACE, "%02x" % value)
        assert changes(next_note(stack_client, fast)) == {PLACE: "%02x" % value}
    own.call("target.state")
    assert own.take_notifications("memory.changed") == []
    own.call("memory.unwatch", watch=slow)
    stack_client.call("memory.unwatch", watch=fast)


def test_large_ranges(own: Client, stack_client: Client) -> None:
    """In pieces; the first notification holds all of them."""
    identifier = watch(own, (RAM_BASE + 100, 5 * KIB))
    first = next_note(own, identifier)
    memory: Dict[int, int] = {}
    apply(memory, first)
    assert sorted(memory) == list(range(RAM_BASE + 100, RAM_BASE + 100 + 5 * KIB))
    poke(stack_client, RAM_BASE + 5000, "77")
    found: List[int] = []
    while not found:
        found = [address for address in changes(next_note(own, identifier)) if address == RAM_BASE + 5000]
    own.call("memory.unwatch", watch=identifier)


def test_watching_does_not_stop_work(own: Client, stack_client: Client) -> None:
    """Beside as much watching as there can be, requests go on, and the watch gets its turns among them."""
    identifier = watch(stack_client, (RAM_BASE, 16 * KIB))
    next_note(stack_client, identifier)
    before = watches(own)["reads"]
    for _ in range(30):
        own.call("memory.read_u32", address=FLASH_BASE)
    assert own.call("board.status")["queued"] == 0
    assert watches(own)["reads"] - before >= 3
    stack_client.call("memory.unwatch", watch=identifier)
