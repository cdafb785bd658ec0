"""Reads that others' changes meet half-way: `disturbed`, and `consistent`, which makes changes wait."""

from __future__ import annotations

import base64
import struct
from typing import Any, Dict

import pytest

from harness.client import Client
from harness.gate import Gate, wait_queued
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack

SIZE = 16 * KIB  # several commands: the first has 1 KiB at the most
LAST = RAM_BASE + SIZE - 4
OLD, NEW = 0x01D01D01, 0x4E4E4E4E


def last_word(result: Dict[str, Any]) -> int:
    """The last word of a read of SIZE bytes."""
    return int(struct.unpack("<I", base64.b64decode(result["data"])[-4:])[0])


@pytest.fixture(name="reader")
def fixture_reader(stack: Stack) -> Client:
    reader = stack.client()
    reader.call("memory.write_u32", address=LAST, values=OLD)
    return reader


def test_a_write_in_between_disturbs(gate: Gate, reader: Client, stack_client: Client) -> None:
    """The reader's turn comes first; the writer's, by the rules of fairness, right behind the first piece."""
    with gate:
        read = reader.send("memory.read_bytes", address=RAM_BASE, size=SIZE, progress="r")
        wait_queued(reader, "r")
        write = stack_client.send("memory.write_u32", address=LAST, values=NEW)
        stack_client.call("server.hello")
    stack_client.result(write)
    result = reader.result(read)
    assert result["disturbed"] is True
    assert last_word(result) == NEW


def test_a_consistent_read_makes_the_write_wait(gate: Gate, reader: Client, stack_client: Client) -> None:
    with gate:
        read = reader.send("memory.read_bytes", address=RAM_BASE, size=SIZE, consistent=True, progress="r")
        wait_queued(reader, "r")
        write = stack_client.send("memory.write_u32", address=LAST, values=NEW)
        stack_client.call("server.hello")
    stack_client.result(write)
    result = reader.result(read)
    assert result["disturbed"] is False
    assert last_word(result) == OLD
    assert reader.call("memory.read_u32", address=LAST)["values"] == [NEW]


def test_a_write_is_not_starved_by_consistent_reads(
    gate: Gate, reader: Client, stack: Stack, stack_client: Client
) -> None:
    """One consistent read is under way, a write waits for it: a further consistent read does not overtake the write."""
    second = stack.client()
    with gate:
        read = reader.send("memory.read_bytes", address=RAM_BASE, size=SIZE, consistent=True, progress="r")
        wait_queued(reader, "r")
        write = stack_client.send("memory.write_u32", address=LAST, values=NEW)
        stack_client.call("server.hello")
        late = second.send("memory.read_bytes", address=RAM_BASE, size=SIZE, consistent=True, progress="s")
        wait_queued(second, "s")
    assert last_word(reader.result(read)) == OLD
    stack_client.result(write)
    result = second.result(late)
    assert last_word(result) == NEW and result["disturbed"] is False


def test_plain_reads_run_during_a_consistent_one(gate: Gate, reader: Client, stack_client: Client) -> None:
    """They change nothing, so they need not wait; and they disturb nobody. Which came first shows on the connection
    that gets both the answers and the event of the long read's end."""
    stack_client.call("events.subscribe", topics=["operation"])
    with gate:
        read = reader.send("memory.read_bytes", address=FLASH_BASE, size=128 * KIB, consistent=True, progress="r")
        wait_queued(reader, "r")
        answers = [stack_client.send("memory.read_u32", address=FLASH_BASE) for _ in range(5)]
        stack_client.call("server.hello")
    for answer in answers:
        stack_client.result(answer)
    assert "done" not in [event["state"] for event in stack_client.take_notifications("event")]
    assert reader.result(read)["disturbed"] is False


@pytest.mark.parametrize("method", ["memory.hexdump", "memory.search"])
def test_the_other_long_reads_say_it_too(gate: Gate, reader: Client, stack_client: Client, method: str) -> None:
    params: Dict[str, Any] = {"address": FLASH_BASE, "size": SIZE}
    if method == "memory.search":
        params = {"start": FLASH_BASE, "end": FLASH_BASE + SIZE, "pattern": "AA=="}
    for consistent in (False, True):
        with gate:
            read = reader.send(method, consistent=consistent, progress="r", **params)
            wait_queued(reader, "r")
            write = stack_client.send("memory.write_u32", address=LAST, values=NEW)
            stack_client.call("server.hello")
        stack_client.result(write)
        assert reader.result(read)["disturbed"] is not consistent


@pytest.mark.parametrize("method, params", [("target.resume", {}), ("target.reset", {"mode": "halt"})])
def test_resets_and_states_disturb(
    gate: Gate, reader: Client, stack_client: Client, method: str, params: Dict[str, Any]
) -> None:
    with gate:
        read = reader.send("memory.read_bytes", address=FLASH_BASE, size=SIZE, progress="r")
        wait_queued(reader, "r")
        change = stack_client.send(method, **params)
        stack_client.call("server.hello")
    stack_client.result(change)
    assert reader.result(read)["disturbed"] is True
    stack_client.call("target.halt")


def test_changes_before_and_behind_do_not_disturb(reader: Client) -> None:
    reader.call("memory.write_u32", address=LAST, values=NEW)
    result = reader.call("memory.read_bytes", address=RAM_BASE, size=SIZE)
    reader.call("memory.write_u32", address=LAST, values=OLD)
    assert result["disturbed"] is False and last_word(result) == NEW
