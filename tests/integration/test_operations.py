"""operation.*, progress, request.cancel and time limits."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any, Dict, List

import pytest

from harness.client import Client
from harness.gate import Gate, hold_command, wait_queued
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack
from harness.waiting import wait_until

WHOLE = {"address": FLASH_BASE, "size": 128 * KIB}


def start_read(client: Client, token: str = "r", **more: Any) -> Any:
    """A read of the whole flash that has been queued: its id and its operation's id."""
    identifier = client.send("memory.read_bytes", progress=token, **{**WHOLE, **more})
    note = client.wait_notification(lambda note: note["method"] == "progress")["params"]
    return identifier, note["operation"]


# Records.


def test_result_is_kept_for_other_connections(client: Client, stack_client: Client, flash_content: bytes) -> None:
    stack_client.call("server.hello", client="somebody")
    result = stack_client.call("memory.read_bytes", address=FLASH_BASE, size=3000)
    stack_client.close()
    record = client.call("operation.status", operation=result["operation"])
    assert record["state"] == "done" and record["method"] == "memory.read_bytes"
    assert record["board"] == "board" and record["client"] == "somebody"
    assert record["result"] == result
    assert base64.b64decode(record["result"]["data"]) == flash_content[:3000]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", record["created"])
    assert record["progress"] == {"phase": "read", "done": 3000, "total": 3000, "unit": "bytes"}


def test_every_long_method_leaves_a_record(client: Client, dump_root: Any) -> None:
    calls: Dict[str, Dict[str, Any]] = {
        "memory.read_bytes": {"address": FLASH_BASE, "size": 4},
        "memory.write_bytes": {"address": RAM_BASE, "data": "AAAA"},
        "memory.hexdump": {"address": FLASH_BASE, "size": 4},
        "memory.search": {"start": FLASH_BASE, "end": FLASH_BASE + 4, "pattern": "AA=="},
        "memory.dump": {"address": FLASH_BASE, "size": 4, "path": "record"},
        "flash.verify": {"data": "AAAA"},
    }
    for method, params in calls.items():
        result = client.call(method, **params)
        record = client.call("operation.status", operation=result["operation"])
        assert record["method"] == method and record["result"] == result and "client" not in record
    listed = {each["operation"] for each in client.call("operation.list", board="board")["operations"]}
    assert result["operation"] in listed


def test_failed_operation(client: Client) -> None:
    error = client.fail("memory.read_bytes", address=RAM_BASE + 19 * KIB, size=2 * KIB)
    record = client.call("operation.status", operation=error.data["operation"])
    assert record["state"] == "failed" and "result" not in record
    assert record["error"]["data"] == error.data and record["error"]["message"] == error.message


def test_short_methods_leave_none(client: Client) -> None:
    before = len(client.call("operation.list")["operations"])
    client.call("memory.read_u32", address=FLASH_BASE, progress="not long enough")
    client.call("target.state")
    assert len(client.call("operation.list")["operations"]) == before
    assert client.take_notifications("progress") == []


def test_states_on_the_way(gate: Gate, client: Client, stack_client: Client) -> None:
    with gate:
        identifier, operation = start_read(stack_client)
        assert client.call("operation.status", operation=operation)["state"] == "queued"
        listed = client.call("operation.list")["operations"]
        assert [each["state"] for each in listed if each["operation"] == operation] == ["queued"]
        assert client.call("board.status")["queued"] >= 1
    wait_until(
        lambda: client.call("operation.status", operation=operation)["state"] == "running", "the operation to run"
    )
    stack_client.result(identifier)
    assert client.call("operation.status", operation=operation)["state"] == "done"


def test_wait(gate: Gate, client: Client, stack: Stack, stack_client: Client) -> None:
    """Several may wait for the same operation, on any connection; who waits is in nobody's way."""
    third = stack.client()
    with gate:
        identifier, operation = start_read(stack_client)
        waits = [(each, each.send("operation.wait", operation=operation)) for each in (client, client, third)]
        assert client.call("server.hello")["server"] == "ocdmux"
    for each, wait in waits:
        record = each.result(wait)
        assert record["state"] == "done" and record["result"]["size"] == 128 * KIB
    stack_client.result(identifier)
    again = client.call("operation.wait", operation=operation)
    assert again["state"] == "done"


def test_wait_with_a_time_limit(gate: Gate, client: Client, stack_client: Client) -> None:
    """The operation itself is left alone."""
    with gate:
        identifier, operation = start_read(stack_client)
        error = client.fail("operation.wait", operation=operation, timeout_ms=20)
        assert error.kind == "timeout"
        assert client.call("operation.status", operation=operation)["state"] == "queued"
    assert stack_client.result(identifier)["size"] == 128 * KIB


def test_wait_cancelled(gate: Gate, client: Client, stack_client: Client) -> None:
    with gate:
        identifier, operation = start_read(stack_client)
        wait = client.send("operation.wait", operation=operation)
        assert client.call("request.cancel", id=wait) == {"found": True}
        assert client.error(wait).kind == "cancelled"
    assert stack_client.result(identifier)


def test_client_that_waits_goes(gate: Gate, client: Client, stack: Stack, stack_client: Client) -> None:
    third = stack.client()
    with gate:
        identifier, operation = start_read(stack_client)
        third.send("operation.wait", operation=operation)
        third.call("server.hello")
        before = client.call("server.stats")["clients"]
        third.reset()
        wait_until(lambda: client.call("server.stats")["clients"] < before, "the third client to go")
    assert stack_client.result(identifier)


def test_a_client_that_waits_for_its_own_operation_goes(client: Client, gate: Gate, stack_client: Client) -> None:
    """Its read is cancelled, which ends what waits for it as well."""
    with gate:
        _, operation = start_read(stack_client)
        stack_client.send("operation.wait", operation=operation)
        stack_client.send("operation.wait", operation=operation)
        stack_client.call("server.hello")
        stack_client.reset()
        wait_until(lambda: client.call("operation.status", operation=operation)["state"] == "cancelled", "its end")


# Cancel.


def test_cancel_while_it_waits(gate: Gate, client: Client, stack_client: Client) -> None:
    with gate:
        identifier, operation = start_read(stack_client)
        assert stack_client.call("request.cancel", id=identifier) == {"found": True}
        error = stack_client.error(identifier)
        assert error.kind == "cancelled" and error.data["done"] == 0 and error.data["operation"] == operation
        assert client.call("operation.status", operation=operation)["state"] == "cancelled"


@pytest.mark.parametrize("method", ["request.cancel", "operation.cancel"])
def test_cancel_while_it_runs(client: Client, stack_client: Client, method: str) -> None:
    identifier = stack_client.send("memory.read_bytes", stream=True, progress="p", **WHOLE)
    stack_client.wait_notification(lambda note: note["method"] == "data")
    operation = stack_client.take_notifications("progress")[0]["operation"]
    if method == "request.cancel":
        assert stack_client.call(method, id=identifier) == {"found": True}
    else:
        assert client.call(method, operation=operation) == {"found": True}
    error = stack_client.error(identifier)
    assert error.kind == "cancelled" and 0 < error.data["done"] < 128 * KIB
    assert (error.data["total"], error.data["unit"], error.data["phase"]) == (128 * KIB, "bytes", "read")
    assert stack_client.call("request.cancel", id=identifier) == {"found": False}
    assert client.call("operation.cancel", operation=operation) == {"found": False}


def test_cancel_short_requests(gate: Gate, client: Client) -> None:
    with gate:
        sent = [client.send("memory.write_u32", address=RAM_BASE, values=i) for i in range(10)]
        for identifier in sent[1:]:
            assert client.call("request.cancel", id=identifier) == {"found": True}
    assert client.result(sent[0]) == {"count": 1}
    assert {client.error(identifier).kind for identifier in sent[1:]} == {"cancelled"}
    assert client.call("memory.read_u32", address=RAM_BASE)["values"] == [0]


@pytest.mark.parametrize("identifier", [1, "1", "none", 10**18, -1])
def test_cancel_nothing(client: Client, identifier: Any) -> None:
    """Not even itself."""
    assert client.call("request.cancel", id=identifier) == {"found": False}


def test_cancel_of_a_raw_command_waits_for_its_end(client: Client, gate: Gate, stack_client: Client) -> None:
    """OpenOCD cannot be interrupted; what is behind it in the queue can be."""
    with gate:
        behind = stack_client.send("target.state")
        assert stack_client.call("request.cancel", id=behind) == {"found": True}
        assert stack_client.error(behind).kind == "cancelled"


# Progress.


@pytest.mark.parametrize("token", ["p", "", "ümläut", 0, -5, 2**53, "x" * 256])
def test_progress_token_comes_back(client: Client, token: Any) -> None:
    result = client.call("memory.read_bytes", address=FLASH_BASE, size=5000, progress=token)
    notes = client.take_notifications("progress")
    assert [note["token"] for note in notes] == [token] * len(notes) and len(notes) >= 2
    assert {note["operation"] for note in notes} == {result["operation"]}
    assert notes[0] == {"token": token, "operation": result["operation"], "phase": "queued", "done": 0,
                        "unit": "operations", "place": 0}  # fmt: skip
    assert (notes[-1]["phase"], notes[-1]["done"], notes[-1]["total"]) == ("read", 5000, 5000)


def test_no_progress_unless_asked_for(client: Client) -> None:
    client.call("memory.read_bytes", **WHOLE)
    assert client.notifications == []


def test_progress_is_held_back(client: Client) -> None:
    """At most ten a second, measured by what this test itself takes, besides the first and the last; and the last is
    there whatever was sent just before it."""
    begun = time.monotonic()
    client.call("memory.hexdump", stream=True, progress="p", **WHOLE)
    took_s = time.monotonic() - begun
    notes = client.take_notifications("progress")
    assert len(notes) <= 2 + 10 * took_s + 1
    assert notes[-1]["done"] == 128 * KIB
    assert len(client.take_notifications("data")) > 2


def test_place_in_the_queue(gate: Gate, client: Client) -> None:
    """The gate's own command is before them."""
    with gate:
        for i in range(4):
            client.send("memory.read_bytes", address=FLASH_BASE, size=4, progress=i)
        notes: List[Dict[str, Any]] = []
        while len(notes) < 4:
            notes.append(client.wait_notification(lambda note: note["method"] == "progress")["params"])
    assert [(note["token"], note["place"]) for note in notes] == [(i, i + 1) for i in range(4)]


# Time limits.


def test_time_limit_of_a_long_read(client: Client, stack_client: Client) -> None:
    """Answered at once, with what was done; the link is usable again as soon as OpenOCD has answered."""
    error = stack_client.fail("memory.read_bytes", timeout_ms=100, **WHOLE)
    assert error.kind == "timeout" and 0 <= error.data["done"] < 128 * KIB
    assert client.call("operation.status", operation=error.data["operation"])["state"] == "failed"
    assert client.call("memory.read_u32", address=FLASH_BASE)["values"]


def test_time_limit_while_it_waits(gate: Gate, client: Client) -> None:
    with gate:
        for method, params in (
            ("memory.read_u32", {"address": FLASH_BASE}),
            ("memory.write_u32", {"address": RAM_BASE, "values": 1}),
            ("target.state", {}),
            ("memory.read_bytes", WHOLE),
        ):
            error = client.fail(method, timeout_ms=20, **params)
            assert error.kind == "timeout", f"{method}: {error.message}"


def test_time_limit_of_a_command_that_hangs(client: Client, stack_client: Client, tmp_path: Path) -> None:
    """A changing command's outcome is unknown. While the link is abandoned others wait; the late answer is dropped, and
    goes to nobody else."""
    before = client.call("server.stats")["boards"][0]
    hang = hold_command(tmp_path / "go")
    error = stack_client.fail("openocd.command", command=f"{hang}; set late answer", timeout_ms=30)
    assert error.kind == "outcome_unknown"
    assert client.call("board.list")["boards"][0]["link"] == "abandoned"
    answers = [client.send("openocd.command", command=f"set x {i}") for i in range(3)]
    assert client.call("board.list")["boards"][0]["link"] == "abandoned"
    (tmp_path / "go").touch()
    assert [client.result(answer)["text"] for answer in answers] == ["0", "1", "2"]
    after = client.call("server.stats")["boards"][0]
    assert (after["reconnects"], after["strays"]) == (before["reconnects"], before["strays"])


def test_long_enough_time_limits_change_nothing(client: Client) -> None:
    assert client.call("memory.read_bytes", timeout_ms=86400000, **WHOLE)["size"] == 128 * KIB
    assert client.call("memory.write_u8", address=RAM_BASE, values=1, timeout_ms=30000) == {"count": 1}


def test_wait_queued_is_what_the_gate_holds(gate: Gate, client: Client, stack_client: Client) -> None:
    """Between two operations of one connection the order is that of sending, also across a gate."""
    with gate:
        client.send("memory.write_u8", address=RAM_BASE, values=1)
        read = client.send("memory.read_bytes", address=RAM_BASE, size=1, encoding="hex", progress="x")
        wait_queued(client, "x")
        client.send("memory.write_u8", address=RAM_BASE, values=2)
    assert client.result(read)["data"] == "01"
