"""events.subscribe and what comes of it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image

Event = Dict[str, Any]


def subscribe(client: Client, *topics: str, **more: Any) -> Dict[str, Any]:
    """Subscribes; returns what the daemon answers."""
    return client.call("events.subscribe", topics=list(topics), **more)


def wait_event(client: Client, **members: Any) -> Event:
    """The next event with these members; those before it are checked to be in order, and dropped."""
    note = client.wait_notification(
        lambda note: note["method"] == "event" and all(note["params"].get(k) == v for k, v in members.items())
    )
    event: Event = note["params"]
    return event


def events_until(client: Client, **members: Any) -> List[Event]:
    """All events up to one with these members."""
    found: List[Event] = []
    while True:
        found.append(client.wait_notification(lambda note: note["method"] == "event")["params"])
        if all(found[-1].get(key) == value for key, value in members.items()):
            return found


def assert_numbered(events: List[Event], seq: int) -> None:
    """One after the other, from the number behind `seq`."""
    assert [event["seq"] for event in events] == list(range(seq + 1, seq + 1 + len(events)))


def test_the_answer(client: Client) -> None:
    answer = subscribe(client, "link")
    assert answer["topics"] == ["link"] and answer["seq"] == 0
    (board,) = answer["snapshot"]["boards"]
    assert board == client.call("board.status")
    assert board["link"] == "idle" and board["version"].startswith("Open On-Chip Debugger 0.12")
    assert board["targets"][0]["target"] == "vb.cpu" and board["banks"][0]["driver"] == "stm32f1x"


def test_topics_add_up_and_end_one_by_one(client: Client) -> None:
    assert subscribe(client, "target")["topics"] == ["target"]
    assert subscribe(client, "operation", "operation")["topics"] == ["target", "operation"]
    assert subscribe(client, "link", "target", board="board")["topics"] == ["target", "link", "operation"]
    assert client.call("events.unsubscribe", topics=["target"]) == {"topics": ["link", "operation"]}
    assert client.call("events.unsubscribe", topics=["target", "link"]) == {"topics": ["operation"]}
    assert client.call("events.unsubscribe") == {"topics": []}
    assert client.call("events.unsubscribe") == {"topics": []}


def test_operation_events(client: Client, stack_client: Client) -> None:
    """Of everybody's operations, in the order of their states, numbered without gaps, and equal for all who listen."""
    seq = subscribe(client, "operation")["seq"]
    subscribe(stack_client, "operation")
    result = stack_client.call("memory.read_bytes", address=FLASH_BASE, size=4096)
    error = stack_client.fail("memory.read_bytes", address=0x60000000, size=4)
    seen = events_until(client, state="failed")
    assert_numbered(seen, seq)
    changes = [each for each in seen if each["state"] != "running" or "progress" not in each]
    own = [(each["operation"], each["method"], each["board"], each["state"]) for each in changes]
    ids = (result["operation"], error.data["operation"])
    states = [("queued", ids[0]), ("running", ids[0]), ("done", ids[0]), ("queued", ids[1]), ("running", ids[1]),
        ("failed", ids[1])]
    assert own == [(operation, "memory.read_bytes", "board", state) for state, operation in states]
    assert [note["params"] for note in stack_client.notifications] == seen


def test_short_requests_make_no_operation_events(client: Client) -> None:
    subscribe(client, "operation")
    for _ in range(5):
        client.call("memory.read_u32", address=FLASH_BASE)
        client.call("memory.write_u32", address=RAM_BASE, values=1)
    assert client.notifications == []


def test_target_events(client: Client, stack_client: Client) -> None:
    """Halting, running and resetting are told to all who listen, and to nobody else."""
    quiet, seq = stack_client, subscribe(client, "target")["seq"]
    client.call("target.resume")
    seen = events_until(client, value="resumed")
    client.call("target.halt")
    seen += events_until(client, value="halted")
    client.call("target.reset", mode="halt")
    seen += events_until(client, kind="reset")
    assert_numbered(seen, seq)
    assert {each["topic"] for each in seen} == {"target"} and {each["board"] for each in seen} == {"board"}
    assert seen[-1]["value"] == "halt"
    quiet.call("server.hello")
    assert quiet.notifications == []


def test_seq_counts_only_what_was_subscribed_to(client: Client, stack_client: Client) -> None:
    """So a gap would mean a loss, whatever others do."""
    subscribe(client, "target")
    for _ in range(3):
        stack_client.call("memory.read_bytes", address=FLASH_BASE, size=4)
    client.call("target.resume")
    client.call("target.halt")
    seen = events_until(client, value="halted")
    assert_numbered(seen, 0)
    assert subscribe(client, "operation")["seq"] >= seen[-1]["seq"]


def test_no_events_behind_unsubscribe(client: Client) -> None:
    subscribe(client, "operation", "target")
    client.call("memory.read_bytes", address=FLASH_BASE, size=4)
    client.call("events.unsubscribe", topics=["operation"])
    client.notifications.clear()
    client.call("memory.read_bytes", address=FLASH_BASE, size=4)
    assert [note for note in client.notifications if note["params"]["topic"] == "operation"] == []
    client.call("events.unsubscribe")
    client.notifications.clear()
    client.call("target.resume")
    client.call("target.halt")
    client.call("target.state")
    assert client.notifications == []


def test_events_of_a_failed_subscription(client: Client) -> None:
    assert client.fail("events.subscribe", topics=["operation"], board="other").kind == "not_found"
    client.call("memory.read_bytes", address=FLASH_BASE, size=4)
    assert client.notifications == []


def test_link_down_and_up(make_stack: Callable[..., Stack]) -> None:
    """Once each, whatever number of attempts lies between them; and no raw command, which makes the link learn the
    board anew, looks like that."""
    stack = make_stack(flash_size=8 * KIB, image=make_image(8 * KIB), daemon_flags=["--anonymous-role", "admin"])
    client = stack.client()
    client.call("target.state")
    seq = subscribe(client, "link")["seq"]
    client.call("openocd.command", command="set x 1")
    client.call("target.state")
    assert client.notifications == []
    stack.openocd.kill()
    down = wait_event(client, topic="link")
    assert down["state"] == "down" and down["reason"] and down["board"] == "board" and down["seq"] == seq + 1
    status = client.call("board.status")
    assert status["link"] in ("down", "connecting", "handshake") and status["last_error"]
    stack.restart_openocd()
    up = wait_event(client, topic="link")
    assert up["state"] == "idle" and up["seq"] == seq + 2
    assert "last_error" not in client.call("board.status")
    assert client.call("memory.read_u32", address=FLASH_BASE)["values"]
    assert client.call("server.stats")["boards"][0]["reconnects"] == 1
    assert client.notifications == []


@pytest.mark.parametrize("topics", [["target"], ["link", "operation"], ["target", "link", "operation"]])
def test_a_subscriber_that_goes(client: Client, stack_client: Client, topics: List[str]) -> None:
    subscribe(stack_client, *topics)
    stack_client.reset()
    client.call("memory.read_bytes", address=FLASH_BASE, size=4)
    client.call("target.resume")
    client.call("target.halt")
