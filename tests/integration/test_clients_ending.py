"""Clients that stop sending, vanish, or come in crowds."""

from __future__ import annotations

import json
from typing import Callable

import pytest

from harness.client import Client
from harness.gate import Gate
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack
from harness.waiting import wait_until

pytestmark = pytest.mark.both  # who is faster, client or daemon, differs with the build


def clients(client: Client) -> int:
    """How many are connected."""
    count: int = client.call("server.stats")["clients"]
    return count


def test_half_closed_is_answered(client: Client, stack_client: Client, flash_content: bytes) -> None:
    """Everything it sent, in any case; then the daemon closes too."""
    sent = [stack_client.send("memory.read_u32", address=FLASH_BASE + 4 * i) for i in range(20)]
    stack_client.half_close()
    for i, identifier in enumerate(sent):
        assert stack_client.result(identifier)["values"] == [int.from_bytes(flash_content[4 * i : 4 * i + 4], "little")]
    with pytest.raises(EOFError):
        stack_client.receive()


def test_half_closed_with_a_long_answer(stack_client: Client) -> None:
    read = stack_client.send("memory.hexdump", address=FLASH_BASE, size=8 * KIB)
    stack_client.half_close()
    assert stack_client.result(read)["text"].count("\n") == 8 * 64
    stack_client.wait_end()


def test_half_closed_in_the_middle_of_a_line(client: Client, stack_client: Client) -> None:
    """What has no end is no request; what came before it is answered."""
    state = stack_client.send("target.state")
    stack_client.send_bytes(json.dumps(stack_client.make_call("memory.write_u8", {"address": RAM_BASE,
        "values": 1})).encode())
    stack_client.half_close()
    assert stack_client.result(state)["target"] == "vb.cpu"
    stack_client.wait_end()
    assert not stack_client.has_replies


def test_half_closed_without_a_request(client: Client, stack_client: Client) -> None:
    stack_client.half_close()
    stack_client.wait_end()


def test_who_still_listens_goes_before_who_is_half_closed(gate: Gate, client: Client, stack: Stack) -> None:
    """Of two writes to one word the later one stays: that of the client which sent first and closed."""
    closing, staying = stack.client(), stack.client()
    client.call("memory.write_u32", address=RAM_BASE, values=0)
    with gate:
        first = closing.send("memory.write_u32", address=RAM_BASE, values=1)
        closing.call("server.hello")
        closing.half_close()
        second = staying.send("memory.write_u32", address=RAM_BASE, values=2)
        third = staying.send("memory.read_u32", address=RAM_BASE)
        staying.call("server.hello")
    assert staying.result(second) and staying.result(third)["values"] == [2]
    assert closing.result(first) == {"count": 1}
    assert client.call("memory.read_u32", address=RAM_BASE)["values"] == [1]


def test_half_closed_has_two_seconds_of_the_link(client: Client, stack_client: Client) -> None:
    """Then it is closed, and what it still had is dropped."""
    count = 250  # four megabytes, of which the board gives a few hundred kilobytes in that time
    operations = set()
    for i in range(count):
        stack_client.send("memory.read_bytes", address=FLASH_BASE, size=16 * KIB, progress=i)
    while len(operations) < count:
        note = stack_client.wait_notification(lambda note: note["method"] == "progress")
        operations.add(note["params"]["operation"])
    stack_client.half_close()
    stack_client.wait_end()
    answered = 0
    while stack_client.has_replies:
        stack_client.take_reply()
        answered += 1
    assert 0 < answered < count
    wait_until(lambda: client.call("board.status")["queued"] == 0, "the rest to be dropped")
    listed = client.call("operation.list")["operations"]
    states = [each["state"] for each in listed if each["operation"] in operations]
    assert states.count("done") >= answered and states.count("cancelled") >= 1
    assert states.count("done") + states.count("cancelled") == count


@pytest.mark.parametrize("how", ["reset", "close"])
def test_vanished_client_s_queue_is_dropped(gate: Gate, client: Client, stack_client: Client, how: str) -> None:
    client.call("memory.write_u32", address=RAM_BASE, values=123)
    with gate:
        for i in range(50):
            stack_client.send("memory.write_u32", address=RAM_BASE, values=i)
        stack_client.call("server.hello")
        queued = client.call("board.status")["queued"]
        assert queued >= 50
        before = clients(client)
        if how == "reset":
            stack_client.reset()
            wait_until(lambda: clients(client) < before, "the client to be gone")
            assert client.call("board.status")["queued"] <= queued - 50
        else:
            stack_client.close()
    if how == "reset":
        assert client.call("memory.read_u32", address=RAM_BASE)["values"] == [123]
    wait_until(lambda: clients(client) < before, "the client to be gone")


def test_vanished_client_s_read_stops(client: Client, stack_client: Client) -> None:
    stack_client.send("memory.read_bytes", address=FLASH_BASE, size=128 * KIB, stream=True, progress="p")
    stack_client.wait_notification(lambda note: note["method"] == "data")
    operation = stack_client.take_notifications("progress")[0]["operation"]
    stack_client.reset()
    record = client.call("operation.wait", operation=operation)
    assert record["state"] == "cancelled" and record["error"]["data"]["done"] < 128 * KIB


def test_many_come_and_go(client: Client, stack: Stack) -> None:
    """Some say nothing, some half a line, some leave with a reset in the middle of a request."""
    before = clients(client)
    for i in range(200):
        visitor = stack.client()
        if i % 4 == 1:
            visitor.send_bytes(b'{"jsonrpc"')
        elif i % 4 == 2:
            visitor.send("memory.read_bytes", address=FLASH_BASE, size=3000)
        elif i % 4 == 3:
            visitor.send("memory.write_u32", address=RAM_BASE, values=i)
            visitor.reset()
        if i % 4 != 3:
            visitor.close()
    wait_until(lambda: clients(client) == before, "the visitors to be gone")
    wait_until(lambda: client.call("board.status")["queued"] == 0, "their requests to be over")


def test_output_of_one_bounds_nobody_else(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A client that sends requests and never reads an answer is closed after slow_reader_ms."""
    config = """{"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}],
                 "limits": {"max_output_bytes": 4096, "slow_reader_ms": 200, "max_in_flight": 10000}}"""
    daemon = make_daemon(config=config, listen=[f"unix:{tmp_path_factory.mktemp('s')}/s"])
    deaf, other = connect(daemon), connect(daemon)
    for _ in range(30):
        deaf.send("rpc.discover")

    def alone() -> bool:
        other.call("memory.read_u32", address=FLASH_BASE)
        return bool(other.call("server.stats")["clients"] == 1)

    wait_until(alone, "the deaf client to be closed")
    assert any("does not read" in line for line in daemon.log)
