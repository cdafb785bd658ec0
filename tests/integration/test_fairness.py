"""Many clients at once: nobody waits for more than a piece of another's work."""

from __future__ import annotations

import base64
from typing import Dict, List

import pytest

from harness.client import Client
from harness.gate import Gate, wait_queued
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack

pytestmark = pytest.mark.both  # a thousand clients at the speed that users get


def test_words_between_the_pieces_of_a_dump(gate: Gate, stack: Stack, flash_content: bytes) -> None:
    """One for each piece at the least: the reader always has something waiting. Its connection gets the answers and the
    event of the dump's end in the order in which they happen."""
    dumper, reader = stack.client(), stack.client()
    reader.call("events.subscribe", topics=["operation"])
    count = 250
    with gate:
        dump = dumper.send("memory.read_bytes", address=FLASH_BASE, size=128 * KIB, stream=True, progress="d")
        wait_queued(dumper, "d")
        sent = [reader.send("memory.read_u32", address=FLASH_BASE + 4 * i) for i in range(count)]
        reader.call("server.hello")
    answered = 0
    while True:
        message = reader.receive()
        if message.get("method") == "event" and message["params"]["state"] == "done":
            break
        answered += "result" in message
        if answered == count:
            break
    assert base64.b64encode(flash_content[:3]) and dumper.result(dump)["size"] == 128 * KIB
    pieces = len(dumper.take_notifications("data"))
    assert pieces > 4, "the read was in a hurry"
    assert answered >= min(pieces - 1, count)
    assert len(sent) == count


def test_a_single_request_beside_a_long_queue(gate: Gate, client: Client, stack: Stack) -> None:
    """It has its turn behind the first of the others'."""
    busy, single = stack.client(), stack.client()
    with gate:
        sent = [busy.send("memory.write_u32", address=RAM_BASE, values=i) for i in range(200)]
        busy.call("server.hello")
        read = single.send("memory.read_u32", address=RAM_BASE)
        single.call("server.hello")
    assert single.result(read)["values"][0] <= 1
    assert all(busy.result(identifier) for identifier in sent)
    assert client.call("memory.read_u32", address=RAM_BASE)["values"] == [199]


def test_clients_take_turns(gate: Gate, stack: Stack) -> None:
    """Five with twenty requests each; each time one is served, no other has been served more than once more than it."""
    clients = [stack.client() for _ in range(5)]
    # Each adds its own mark to the same word in turn: what a read sees of the others tells the order.
    with gate:
        sent: List[List[int]] = []
        for number, each in enumerate(clients):
            ids = []
            for i in range(20):
                each.send("memory.write_u32", address=RAM_BASE + 4 * number, values=i + 1)
                ids.append(each.send("memory.read_u32", address=RAM_BASE, count=5))
            each.call("server.hello")
            sent.append(ids)  # type: ignore[arg-type]
        clients[0].call("server.hello")
    for number, each in enumerate(clients):
        for i, identifier in enumerate(sent[number]):
            values = each.result(identifier)["values"]
            if i > 0:
                assert values[number] == i + 1
                assert max(values) - min(values) <= 2, f"client {number}, request {i}: {values}"


def counters(client: Client) -> Dict[str, int]:
    board = client.call("server.stats")["boards"][0]
    return {name: board[name] for name in ("commands", "envelopes", "shared_reads", "bytes_read")}


def grown(client: Client, before: Dict[str, int]) -> Dict[str, int]:
    """By how much the counters have grown."""
    return {name: value - before[name] for name, value in counters(client).items()}


def test_a_hundred_readers_share_envelopes(gate: Gate, client: Client, stack: Stack, flash_content: bytes) -> None:
    """Each gets its own word, whatever the others ask for; a word that cannot be read, and a write, travel with them."""
    readers = [stack.client() for _ in range(100)]
    bad, writer = stack.client(), stack.client()
    with gate:
        before = counters(client)
        sent = [each.send("memory.read_u32", address=FLASH_BASE + 4 * i) for i, each in enumerate(readers)]
        fails = bad.send("memory.read_u32", address=0xE0000000 - 4)
        write = writer.send("memory.write_u32", address=RAM_BASE, values=[99])
        after_it = writer.send("memory.read_u32", address=RAM_BASE)
        for each in (*readers, bad, writer):
            each.call("server.hello")
    for i, each in enumerate(readers):
        assert each.result(sent[i])["values"] == [int.from_bytes(flash_content[4 * i : 4 * i + 4], "little")]
    error = bad.error(fails)
    assert error.kind == "target_error" and error.data["openocd"]["text"]
    assert error.data == bad.fail("memory.read_u32", address=0xE0000000 - 4).data  # as it is alone
    assert writer.result(write)["count"] == 1
    assert writer.result(after_it)["values"] == [99]
    more = grown(client, before)
    assert more["commands"] >= 103 and more["shared_reads"] == 0
    assert more["envelopes"] < 60


def test_a_range_that_many_wait_for_is_read_once(gate: Gate, client: Client, stack: Stack, flash_content: bytes) -> None:
    """Counted on the link, in bytes."""
    readers = [stack.client() for _ in range(20)]
    size = 8 * KIB
    with gate:
        before = counters(client)
        sent = [each.send("memory.read_bytes", address=FLASH_BASE, size=size) for each in readers]
        for each in readers:
            each.call("server.hello")
    for identifier, each in zip(sent, readers):
        result = each.result(identifier)
        assert base64.b64decode(result["data"]) == flash_content[:size] and result["disturbed"] is False
    more = grown(client, before)
    assert more["bytes_read"] == size
    assert more["shared_reads"] >= 19 and more["shared_reads"] % 19 == 0


def test_a_thousand_clients(stack: Stack, flash_content: bytes) -> None:
    """All connected at once, each with a word of its own to read; a dump runs beside them."""
    dumper = stack.client()
    dump = dumper.send("memory.read_bytes", address=FLASH_BASE, size=64 * KIB)
    clients = [stack.client() for _ in range(1000)]
    assert clients[-1].call("server.stats")["clients"] >= 1001
    sent = [each.send("memory.read_u32", address=FLASH_BASE + 4 * i) for i, each in enumerate(clients)]
    for i, each in enumerate(clients):
        assert each.result(sent[i])["values"] == [int.from_bytes(flash_content[4 * i : 4 * i + 4], "little")]
    assert base64.b64decode(dumper.result(dump)["data"]) == flash_content[: 64 * KIB]
