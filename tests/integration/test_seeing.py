"""What everybody sees of the others: events, board.status and client.list, each by role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.gate import Gate, hold_command
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack
from harness.tokens import make_token
from harness.waiting import wait_until

Event = Dict[str, Any]
Party = Dict[str, Client]
WRONG = "ocdmux_" + "0" * 64
UNREADABLE = 0x60000000


@pytest.fixture(scope="module", name="daemon")
def fixture_daemon(shared_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with four identities, on the OpenOCD of `shared_stack`; `tokens` are theirs."""
    made = {
        name: make_token(name, **grant)
        for name, grant in {
            "alice": {"role": "user"},
            "bob": {"role": "observer"},
            "root": {"role": "admin"},
            "half": {"boards": {"b": "admin"}},
        }.items()
    }
    board = {"openocd": f"127.0.0.1:{shared_stack.tcl_port}"}
    config = {
        "boards": [{"name": "b", **board}, {"name": "c", "openocd": "127.0.0.1:1"}],
        "tokens": [entry for _, entry in made.values()],
        "limits": {"max_output_bytes": 16 * KIB},
    }
    path = tmp_path_factory.mktemp("seeing") / "daemon.json"
    path.write_text(json.dumps(config))
    with Daemon(["--config", str(path), "--listen", "tcp:127.0.0.1:0"]) as daemon:
        daemon.tokens = {name: token for name, (token, _) in made.items()}  # type: ignore[attr-defined]
        yield daemon


@pytest.fixture(name="enter")
def fixture_enter(daemon: Daemon, connect: Callable[..., Client]) -> Callable[..., Client]:
    """Connects as one of them."""

    def enter(name: str, **options: Any) -> Client:
        client = connect(daemon, **options)
        client.call("server.hello", token=daemon.tokens[name], client=f"{name}'s")  # type: ignore[attr-defined]
        return client

    return enter


@pytest.fixture(name="party")
def fixture_party(enter: Callable[..., Client]) -> Iterator[Party]:
    """One connection of each; all still work behind the test."""
    party = {name: enter(name) for name in ("alice", "bob", "root", "half")}
    party["root"].call("target.state", board="b")
    yield party
    for client in party.values():
        assert client.call("target.state", board="b")["target"] == "vb.cpu"


@pytest.fixture(name="closed")
def fixture_closed(party: Party, tmp_path: Path) -> Gate:
    """Holds the link of board b while it is entered."""
    client = party["root"]

    class BoardGate(Gate):
        """Of a daemon with several boards."""

        def __enter__(self) -> Gate:
            command = hold_command(self._path)
            self._request = client.send("openocd.command", board="b", command=command, timeout_ms=60000)
            wait_until(lambda: client.call("board.status", board="b").get("running"), "the gate to close")
            return self

    return BoardGate(client, tmp_path / "gate")


def events(client: Client, **wanted: Any) -> List[Event]:
    """All events up to the first with these members, which must be numbered without gaps."""
    found: List[Event] = []
    while not found or any(found[-1].get(key) != value for key, value in wanted.items()):
        found.append(client.wait_notification(lambda note: note["method"] == "event")["params"])
    numbers = [each["seq"] for each in found]
    assert numbers == list(range(numbers[0], numbers[0] + len(found)))
    return found


def test_operations_of_others_without_their_results(party: Party) -> None:
    for client in party.values():
        client.call("events.subscribe", topics=["operation"], board="b")
    alice = party["alice"]
    done = alice.call("memory.read_bytes", board="b", address=FLASH_BASE, size=4)
    failed = alice.fail("memory.read_bytes", board="b", address=UNREADABLE, size=4).data["operation"]
    seen = {name: events(client, state="failed", operation=failed) for name, client in party.items()}
    for name, each in seen.items():
        changes = [event for event in each if event["state"] != "running" or "progress" not in event]
        states = [(event["operation"], event["state"]) for event in changes]
        assert states == [(id_, state) for id_ in (done["operation"], failed) for state in
            ("queued", "running", "done" if id_ == done["operation"] else "failed")]
        assert {(event["identity"], event["client"], event["method"]) for event in each} == {
            ("alice", "alice's", "memory.read_bytes")}
        ends = [event for event in each if event["state"] in ("done", "failed")]
        assert ends[0]["progress"] == {"phase": "read", "done": 4, "total": 4, "unit": "bytes"}
        if name == "bob":
            assert all("result" not in event and "error" not in event for event in each)
        else:  # its own, and admins of the board
            assert ends[0]["result"] == done and ends[1]["error"]["data"]["kind"] == "target_error"


def test_long_results_are_asked_for(party: Party) -> None:
    party["alice"].call("events.subscribe", topics=["operation"], board="b")
    whole = party["alice"].call("memory.read_bytes", board="b", address=FLASH_BASE, size=4 * KIB)
    end = events(party["alice"], state="done")[-1]
    assert "result" not in end and "error" not in end
    assert party["alice"].call("operation.status", operation=end["operation"])["result"] == whole


def test_progress_of_others(party: Party) -> None:
    """Never falls, and comes with the end at the latest."""
    party["bob"].call("events.subscribe", topics=["operation"], board="b")
    party["alice"].call("memory.read_bytes", board="b", address=FLASH_BASE, size=64 * KIB)
    seen = events(party["bob"], state="done")
    done = [event["progress"]["done"] for event in seen if "progress" in event]
    assert len(done) >= 2 and done == sorted(done) and done[-1] == 64 * KIB
    assert all(event["progress"]["total"] == 64 * KIB for event in seen if "progress" in event)


def test_queue_and_what_runs(party: Party, closed: Gate) -> None:
    """Merged to the newest state, the same as board.status says."""
    bob, alice = party["bob"], party["alice"]
    with closed:
        assert bob.call("events.subscribe", topics=["queue"], board="b")["snapshot"]["boards"][0]["queued"] == 1
        reads = [alice.send("memory.read_u32", board="b", address=RAM_BASE) for _ in range(3)]
        long = alice.send("memory.read_bytes", board="b", address=FLASH_BASE, size=8)
        queue = events(bob, queued=5)[-1]
        assert queue["board"] == "b"
        assert {(each["identity"], each["queued"]) for each in queue["queue"]} == {("root", 1), ("alice", 4)}
        status = bob.call("board.status", board="b")
        assert status["queued"] == 5 and status["queue"] == queue["queue"]
        assert status["running"] == {"method": "openocd.command", "identity": "root", "client": "root's"}
        (operation,) = status["operations"]
        assert (operation["identity"], operation["client"], operation["method"], operation["state"]) == (
            "alice", "alice's", "memory.read_bytes", "queued")
        assert status["connected_since"] <= operation["created"]
    assert [alice.result(each)["values"] for each in reads] and alice.result(long)["operation"] == operation["operation"]
    assert events(bob, queued=0)[-1]["queue"] == []
    status = bob.call("board.status", board="b")
    assert status["operations"] == [] and status["queue"] == [] and "running" not in status
    down = bob.fail("board.status", board="nowhere")
    assert down.kind == "not_found" and "connected_since" not in party["root"].call("board.status", board="c")


def test_waiting_for_a_lease_since(party: Party) -> None:
    party["alice"].call("lease.acquire", board="b", ttl_ms=60000, reason="mine")
    waits = party["half"].send("lease.acquire", board="b", ttl_ms=60000, wait_ms=60000, reason="next")
    wait_until(lambda: party["bob"].call("board.status", board="b")["lease_queue"], "the queue")
    status = party["bob"].call("board.status", board="b")
    (waiter,) = status["lease_queue"]
    assert status["lease"]["reason"] == "mine" and waiter["reason"] == "next" and waiter["place"] == 1
    assert status["lease"]["since"] <= waiter["since"] < status["lease"]["expires"]
    party["alice"].call("lease.release", board="b")
    party["half"].call("lease.release", board="b", lease=party["half"].result(waits)["lease"])


def test_the_log_is_for_admins_of_every_board(daemon: Daemon, party: Party, connect: Callable[..., Client]) -> None:
    for name in ("alice", "bob", "half"):
        error = party[name].fail("events.subscribe", topics=["log", "link"])
        assert error.kind == "forbidden" and error.data["role"] == "admin"
        assert party[name].call("events.unsubscribe")["topics"] == []
    assert party["root"].call("events.subscribe", topics=["log"])["topics"] == ["log"]
    stranger = connect(daemon)
    assert stranger.fail("server.hello", token=WRONG).kind == "unauthenticated"
    line = events(party["root"], topic="log", level="warn")[-1]
    assert "a wrong token" in line["text"] and WRONG not in line["text"]
    assert f"{line['time']} warn {line['text']}" in daemon.log
    assert party["alice"].notifications == []


def test_a_slow_subscriber_is_told_what_it_lost(enter: Callable[..., Client], party: Party) -> None:
    """And nobody else loses anything."""
    slow = enter("bob", receive_buffer=4096)
    first = slow.call("events.subscribe", topics=["operation"], board="b")["seq"]
    party["bob"].call("events.subscribe", topics=["operation"], board="b")
    before = party["root"].call("server.stats")["events_lost"]
    documents = [slow.send("rpc.discover") for _ in range(48)]

    def lose() -> bool:
        party["alice"].call("memory.read_bytes", board="b", address=FLASH_BASE, size=4)
        return int(party["root"].call("server.stats")["events_lost"]) >= before + 6

    wait_until(lose, "events to be lost")
    for document in documents:
        slow.result(document)
    last = party["alice"].call("memory.read_bytes", board="b", address=FLASH_BASE, size=4)["operation"]
    slow.wait_notification(lambda note: note["params"].get("state") == "done" and note["params"]["operation"] == last)
    got, lost = slow.take_notifications("event"), 0
    for event in got:
        lost += event.get("lost", 0)
        first += event.get("lost", 0) + 1
        assert event["seq"] == first
    dropped = [event for event in got if event["topic"] == "dropped"]
    assert lost >= 6 and lost == party["root"].call("server.stats")["events_lost"] - before
    (board,) = dropped[-1]["snapshot"]["boards"]
    assert board["board"] == "b" and board["link"] in ("idle", "busy")
    assert len(events(party["bob"], state="done", operation=last)) >= 3 * 3


def test_client_list(party: Party) -> None:
    rows = {row["identity"]: row for row in party["root"].call("client.list")["clients"]}
    assert set(rows) == {"alice", "bob", "root", "half"}
    assert [name for name, row in rows.items() if row["you"]] == ["root"]
    for name, row in rows.items():
        assert row["client"] == f"{name}'s" and row["transport"] == "tcp" and row["address"].startswith("127.0.0.1:")
        assert row["bytes_in"] > 0 and row["bytes_out"] > 0 and row["topics"] == []
    assert rows["half"]["boards"] == ["b"] and rows["half"]["role"] == "admin"
    assert rows["bob"]["boards"] == ["b", "c"] and rows["bob"]["role"] == "observer"
    assert len({row["connection"] for row in rows.values()}) == 4
    party["bob"].call("events.subscribe", topics=["link", "target"])
    seen = party["half"].call("client.list")["clients"]
    assert all("address" not in row and row["boards"] == ["b"] for row in seen) and len(seen) == 4
    assert [row["topics"] for row in seen if row["identity"] == "bob"] == [["target", "link"]]


def test_client_list_is_bounded_and_shows_who_works_first(party: Party, closed: Gate) -> None:
    with closed:
        read = party["alice"].send("memory.read_u32", board="b", address=RAM_BASE)
        wait_until(lambda: party["bob"].call("board.status", board="b")["queued"] == 2, "the read")
        answer = party["bob"].call("client.list", limit=3)
        assert answer["total"] == 4 and len(answer["clients"]) == 3
        assert {(row["identity"], row["in_flight"]) for row in answer["clients"]} == {("alice", 1), ("bob", 1), ("root", 1)}
    party["alice"].result(read)
    for limit in (0, 4097, -1, "many"):
        error = party["bob"].fail("client.list", limit=limit)
        assert error.kind == "invalid_params" and error.data["parameter"] == "limit"


def test_a_stranger_sees_no_clients(daemon: Daemon, connect: Callable[..., Client], party: Party) -> None:
    stranger = connect(daemon)
    assert stranger.fail("client.list").kind == "unauthenticated"
    stranger.call("server.hello")
    names = [row["identity"] for row in party["bob"].call("client.list")["clients"]]
    assert "anonymous" not in names and "anonymous" in [
        row["identity"] for row in party["root"].call("client.list")["clients"]]
