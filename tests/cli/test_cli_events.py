"""events: lines as they happen."""

import json
import signal
import time
from typing import Any

import pytest

from fake_server import NO_ANSWER

EVENTS = [
    {"seq": 42, "topic": "target", "board": "b", "kind": "event", "value": "halted"},
    {"seq": 43, "topic": "link", "board": "b", "state": "down", "reason": "OpenOCD\nwent away"},
    {"seq": 44, "topic": "operation", "board": "b", "operation": "op-7", "method": "memory.dump", "identity": "al\u202eice",
     "state": "done"},
]
LINES = [
    "42 target b kind=event value=halted\n",
    "43 link b state=down reason=OpenOCD\\x0awent away\n",
    "44 operation b operation=op-7 method=memory.dump identity=al\\u202eice state=done\n",
]


def subscribe(server: Any, examples: Any) -> None:
    """The subscription, with the first event in the same write as its answer."""

    def handler(call: Any) -> object:
        answer = {"jsonrpc": "2.0", "id": call.id, "result": examples["events.subscribe"]}
        event = {"jsonrpc": "2.0", "method": "event", "params": EVENTS[0]}
        server.check(server.contract.check_notification, event)
        call.send_raw(json.dumps(answer).encode() + b"\n" + json.dumps(event).encode() + b"\n")
        for params in EVENTS[1:]:
            call.notify("event", params)
        return NO_ANSWER

    server.on("events.subscribe", handler)


def test_events_are_printed_until_interrupted(tool, server, examples) -> None:
    subscribe(server, examples)
    process = tool.start("events", "target", "link", "--board", "b")
    lines = [process.stdout.readline().decode() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert lines == ["41 link board state=busy\n", *LINES]
    assert (outcome.status, outcome.out, outcome.error) == (0, "", "")
    assert server.params("events.subscribe") == {"topics": ["target", "link"], "board": "b"}


def test_events_asks_for_all_topics(tool, server, examples) -> None:
    subscribe(server, examples)
    process = tool.start("events")
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert tool.finish(process).status == 0
    assert server.params("events.subscribe") == {"topics": ["target", "link", "operation", "lease", "queue", "memory", "gdb"]}


def test_events_json(tool, server, examples) -> None:
    subscribe(server, examples)
    process = tool.start("events", "--json")
    lines = [json.loads(process.stdout.readline()) for _ in range(4)]
    process.send_signal(signal.SIGINT)
    assert tool.finish(process).status == 0
    assert lines == [examples["events.subscribe"], *EVENTS]


def test_events_end_with_the_connection(tool, server, examples) -> None:
    subscribe(server, examples)
    process = tool.start("events")
    for _ in range(4):
        process.stdout.readline()
    server.close()
    outcome = tool.finish(process)
    assert (outcome.status, outcome.error) == (3, "ocdmux: connection_lost: the server closed the connection\n")


def test_events_tell_what_was_dropped_and_what_the_daemon_logs(tool, server, examples) -> None:
    def handler(call: Any) -> object:
        call.notify("event", {"seq": 44, "topic": "dropped", "lost": 2, "snapshot": {"boards": []}})
        call.notify("event", {"seq": 45, "topic": "log", "time": "2026-01-31T12:34:56.789Z", "level": "warn", "text": "\x9bx"})
        return examples["events.subscribe"]

    server.on("events.subscribe", handler)
    process = tool.start("events", "log", "link")
    lines = [process.stdout.readline().decode() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    assert tool.finish(process).status == 0
    assert lines[1:] == ["44 dropped - lost=2\n", "45 log - time=2026-01-31T12:34:56.789Z level=warn text=\\u009bx\n"]


@pytest.mark.parametrize("late", [False, True])
def test_events_end_when_nobody_reads_them(tool, server, examples, late) -> None:
    """Whether the first event comes with the answer or after it."""
    if late:
        server.on("events.subscribe", {**examples["events.subscribe"], "snapshot": {"boards": []}})
    else:
        subscribe(server, examples)
    end = time.monotonic() + 60
    with open("/dev/full", "wb") as full:
        process = tool.start("events", stdout=full)
        if late:
            server.wait_for("events.subscribe")
            while process.poll() is None and time.monotonic() < end:
                server.connections[-1].send({"jsonrpc": "2.0", "method": "event", "params": EVENTS[0]})
                time.sleep(0.01)
        error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1 and error.startswith("ocdmux: standard output: ")
