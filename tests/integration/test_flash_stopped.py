"""flash.write_image that is stopped half-way, and writers and readers beside each other."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, Iterator, List

import pytest

from flash_bank import SECTOR, Bank, noise
from harness.client import Client, RpcError
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from protocol_check import Validator

SIZE = 16 * KIB
OFFSET = 2 * SECTOR + 100  # neighbours before, behind, and in the first sector
IMAGE_SIZE = 8 * SECTOR


@pytest.fixture(scope="module", name="slow_stack")
def fixture_slow_stack(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> Iterator[Stack]:
    """No work area: writing IMAGE_SIZE takes seconds, and a piece is a sector or two."""
    with Stack(
        tmp_path_factory.mktemp("slow"),
        validator,
        flash_size=SIZE,
        image=make_image(SIZE),
        daemon_flags=["--anonymous-role", "admin"],
    ) as stack:
        yield stack


@pytest.fixture(scope="module", name="notes")
def fixture_notes(slow_stack: Stack) -> Bank:
    return Bank(slow_stack)


@pytest.fixture(name="slow")
def fixture_slow(notes: Bank) -> Iterator[Bank]:
    """The bank is as its notes say behind every test, and can be written."""
    yield notes
    notes.write(OFFSET, noise(10, 77))
    notes.check()
    notes.stack.assert_alive()


def start(bank: Bank, client: Client, seed: int, **more: Any) -> bytes:
    """Sends a long write as call "w"; returns its data."""
    data = noise(IMAGE_SIZE, seed)
    params = bank.params(OFFSET, data, prepare="halt", progress="w", **more)
    client.send_text(json.dumps(client.make_call("flash.write_image", params, "w")))
    return data


def wait_programming(client: Client) -> Dict[str, Any]:
    """Waits until something has been programmed; returns the progress."""
    note = client.wait_notification(
        lambda note: note["method"] == "progress" and note["params"]["phase"] == "program"
            and note["params"]["done"] > 0
    )
    params: Dict[str, Any] = note["params"]
    return params


def wait_idle(bank: Bank) -> None:
    """Waits until nothing changes the board any more: changes queue up behind each other."""
    bank.client.call("memory.write_u32", address=0x20000000, values=0)


def test_cancelled_half_way(slow: Bank) -> None:
    client = slow.stack.client()
    data = start(slow, client, 1)
    wait_programming(client)
    assert client.call("request.cancel", id="w") == {"found": True}
    error = client.error("w")
    assert error.kind == "cancelled" and error.data["flash_state"] == "partial"
    assert error.data["phase"] == "program" and error.data["unit"] == "bytes"
    new = slow.check_written_so_far(OFFSET, data)
    assert new == error.data["done"] > 0 and new < IMAGE_SIZE
    assert client.call("request.cancel", id="w") == {"found": False}


def test_operation_cancelled_by_another_client(slow: Bank) -> None:
    client, other = slow.stack.client(), slow.stack.client()
    data = start(slow, client, 2)
    operation = wait_programming(client)["operation"]
    assert other.call("operation.cancel", operation=operation) == {"found": True}
    assert client.error("w").kind == "cancelled"
    assert other.call("operation.status", operation=operation)["state"] == "cancelled"
    assert other.call("operation.cancel", operation=operation) == {"found": False}
    assert 0 < slow.check_written_so_far(OFFSET, data) < IMAGE_SIZE


def test_cancelled_before_it_began(slow: Bank) -> None:
    client, other = slow.stack.client(), slow.stack.client()
    first = start(slow, other, 3)
    wait_programming(other)
    start(slow, client, 4)
    assert client.call("request.cancel", id="w") == {"found": True}
    error = client.error("w")
    assert error.kind == "cancelled" and error.data["flash_state"] == "unchanged"
    other.result("w")
    slow.content[OFFSET : OFFSET + IMAGE_SIZE] = first


def test_time_limit_half_way(slow: Bank) -> None:
    """The piece under way is finished, so that no sector is left erased."""
    client = slow.stack.client()
    data = start(slow, client, 5, timeout_ms=800)
    error = client.error("w")
    assert error.kind in ("timeout", "outcome_unknown")
    wait_idle(slow)
    new = slow.check_written_so_far(OFFSET, data)
    assert new < IMAGE_SIZE
    assert error.data["flash_state"] == ("partial" if new > 0 else "unchanged")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_gone_and_detached(slow: Bank, how: str) -> None:
    """It goes on, and another connection gets the result."""
    client, other = slow.stack.client(), slow.stack.client()
    client.call("server.hello", client="the one that goes")
    data = start(slow, client, {"close": 6, "reset": 7}[how])
    operation = wait_programming(client)["operation"]
    getattr(client, how)()
    record = other.call("operation.wait", operation=operation, timeout_ms=60000)
    assert record["state"] == "done" and record["client"] == "the one that goes"
    assert record["result"]["bytes_written"] == IMAGE_SIZE and record["result"]["verified"] is True
    assert record["result"]["operation"] == operation
    slow.content[OFFSET : OFFSET + IMAGE_SIZE] = data
    slow.check()


def test_client_gone_and_not_detached(slow: Bank) -> None:
    client, other = slow.stack.client(), slow.stack.client()
    data = start(slow, client, 20, detach=False)
    operation = wait_programming(client)["operation"]
    client.reset()
    record = other.call("operation.wait", operation=operation, timeout_ms=60000)
    assert record["state"] == "cancelled" and record["error"]["data"]["flash_state"] == "partial"
    assert 0 < slow.check_written_so_far(OFFSET, data) < IMAGE_SIZE


def test_two_writers_at_once_and_a_reader(slow: Bank) -> None:
    """The second begins when the first has ended; the reader gets answers in between all the time."""
    first, second, reader = slow.stack.client(), slow.stack.client(), slow.stack.client()
    old = slow.read()
    reader.call("events.subscribe", topics=["operation"])
    data = start(slow, first, 30)
    began = wait_programming(first)["operation"]
    newer = start(slow, second, 31)
    order: List[str] = []
    ended: List[str] = []
    answers: Dict[str, int] = {"first": 0, "second": 0}
    while len(ended) < 2:
        reader.send("memory.read_u32", address=FLASH_BASE)
        while True:
            message = reader.receive()
            if "result" in message:
                break
            assert message["method"] == "event"
            if message["params"]["state"] == "running" and "progress" in message["params"]:
                continue
            order.append(message["params"]["state"])
            ended += [message["params"]["operation"]] if order[-1] == "done" else []
        assert message["result"]["values"] == [int.from_bytes(old[:4], "little")]
        answers["second" if ended else "first"] += 1
    assert order == ["queued", "running", "queued", "done", "running", "done"] and ended[0] == began
    assert min(answers.values()) >= 2 * IMAGE_SIZE // (4 * SECTOR), "less than one between two commands of a piece"
    first.result("w")
    second.result("w")
    assert data != newer
    slow.content[OFFSET : OFFSET + IMAGE_SIZE] = newer


def test_a_consistent_read_waits_for_the_writer(slow: Bank) -> None:
    client, reader = slow.stack.client(), slow.stack.client()
    data = start(slow, client, 40)
    wait_programming(client)
    found = reader.call("memory.read_bytes", address=FLASH_BASE + OFFSET, size=IMAGE_SIZE, consistent=True,
        encoding="hex")
    assert bytes.fromhex(found["data"]) == data and found["disturbed"] is False
    client.result("w")
    slow.content[OFFSET : OFFSET + IMAGE_SIZE] = data


def test_the_board_says_what_runs(slow: Bank) -> None:
    client = slow.stack.client()
    data = start(slow, client, 50)
    operation = wait_programming(client)["operation"]
    running = slow.client.call("board.status")["running"]
    assert running["operation"] == operation and running["method"] == "flash.write_image"
    assert running["progress"]["phase"] in ("erase", "program", "verify")
    client.result("w")
    assert "running" not in slow.client.call("board.status")
    slow.content[OFFSET : OFFSET + IMAGE_SIZE] = data


def test_daemon_stopped_half_way(make_stack: Callable[..., Stack]) -> None:
    """It ends with status 0, tells whoever was changing the board, and leaves no sector erased: what the touched
    sectors held beside the image is still there."""
    stack = make_stack(flash_size=SIZE, image=make_image(SIZE))
    bank = Bank(stack)
    client = stack.client()
    data = start(bank, client, 60)
    wait_programming(client)
    stack.daemon.terminate()
    with pytest.raises(RpcError) as stopped:
        client.result("w")
    assert (stopped.value.kind, stopped.value.message) == ("cancelled", "cancelled: the daemon stops")
    assert stack.daemon.wait() == 0
    client.wait_end()
    with Daemon(["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]) as daemon:
        bank.client = Client(daemon.address, stack.validator)
        with bank.client:
            assert bank.check_written_so_far(OFFSET, data) > 0
            bank.write(OFFSET, data)
            bank.check()
