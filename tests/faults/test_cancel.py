"""request.cancel and operation.cancel: of what waits, of what is in flight, twice, too late."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from harness.waiting import wait_until
from rig import KIB, LONG_MS, RAM, Rig

pytestmark = pytest.mark.both  # who is faster, the cancel or the command, differs with the build


def test_cancel_of_what_waits_is_answered_at_once_and_never_sent(rig: Rig) -> None:
    rig.hold()
    client = rig.client()
    identifier = client.send("memory.write_u32", address=RAM, values=[7], timeout_ms=LONG_MS)
    behind = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    assert client.call("request.cancel", id=identifier) == {"found": True}
    error = client.error(identifier)
    assert error.kind == "cancelled" and "before it began" in error.message
    assert client.call("request.cancel", id=identifier) == {"found": False}
    rig.mock.release()
    assert client.result(behind)["values"] == [0]
    assert rig.sent("write_memory") == 0


def test_cancel_of_what_is_in_flight_waits_for_the_step(rig: Rig) -> None:
    """OpenOCD cannot be told to stop; the next piece is not sent."""
    client = rig.client()
    identifier = rig.stall(client, "dump_image", "memory.read_bytes", address=RAM, size=8 * KIB)
    assert client.call("request.cancel", id=identifier) == {"found": True}
    assert client.call("request.cancel", id=identifier) == {"found": True}  # twice: still to be answered
    assert not client.has_replies
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "cancelled"
    assert error.data["done"] == 1024
    assert rig.sent("dump_image|read_memory") == 1
    assert client.call("request.cancel", id=identifier) == {"found": False}


def test_cancel_of_the_last_step_comes_too_late(rig: Rig) -> None:
    """It is done: then that is the answer."""
    client = rig.client()
    identifier = rig.stall(client, "write_memory", "memory.write_u32", address=RAM, values=[7])
    assert client.call("request.cancel", id=identifier) == {"found": True}
    rig.mock.release()
    reply = client.reply(identifier)
    assert "result" in reply or reply["error"]["data"]["kind"] == "cancelled"
    assert rig.mock.peek(RAM, 4) == b"\7\0\0\0"


def test_cancel_in_flight_and_the_link_goes(rig: Rig) -> None:
    """Not sent again, for nobody wants it."""
    client = rig.client()
    identifier = rig.stall(client, "read_memory 0x20000000", "memory.read_bytes", address=RAM, size=4)
    client.call("request.cancel", id=identifier)
    rig.mock.drop()
    assert client.error(identifier).kind in ("cancelled", "openocd_unavailable")
    rig.mock.clear_faults()
    rig.mock.release()
    rig.assert_works()
    assert rig.sent("read_memory 0x20000000") == 1


def test_cancel_without_an_id_is_not_answered(rig: Rig) -> None:
    rig.hold()
    client = rig.client()
    identifier = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    client.send_text('{"jsonrpc":"2.0","method":"request.cancel","params":{"id":%s}}' % identifier)
    assert client.error(identifier).kind == "cancelled"
    assert client.call("request.cancel", id=identifier) == {"found": False}


def test_cancel_finds_only_its_own_connections_requests(rig: Rig) -> None:
    rig.hold()
    one, two = rig.client(), rig.client()
    identifier = one.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.wait_queued(2)
    assert two.call("request.cancel", id=identifier + 1000) == {"found": False}
    assert two.call("request.cancel", id=str(identifier)) == {"found": False}
    rig.mock.release()
    assert one.result(identifier)["values"] == [0]


@pytest.mark.parametrize("identifier", ["a", "", "\u00fc \"\\", 0, -5, 9007199254740991])
def test_cancel_by_any_id(rig: Rig, identifier: Any) -> None:
    rig.hold()
    client = rig.client()
    call = client.make_call("memory.read_u32", {"address": RAM, "timeout_ms": LONG_MS}, identifier)
    client.send_text(json.dumps(call))
    assert client.call("request.cancel", id=identifier) == {"found": True}
    assert client.error(identifier).kind == "cancelled"


def test_operation_cancel_from_another_connection(rig: Rig) -> None:
    one, two = rig.client(), rig.client()
    identifier = rig.stall(one, "dump_image", "memory.read_bytes", address=RAM, size=8 * KIB)
    name = two.call("operation.list")["operations"][0]["operation"]
    waiting = two.send("operation.wait", operation=name, timeout_ms=LONG_MS)
    assert two.call("operation.cancel", operation=name) == {"found": True}
    rig.mock.release()
    assert one.error(identifier).kind == "cancelled"
    ended = two.result(waiting)
    assert ended["state"] == "cancelled" and ended["error"]["data"]["kind"] == "cancelled"
    assert two.call("operation.cancel", operation=name) == {"found": False}
    assert two.fail("operation.cancel", operation="0123456789abcdef").kind == "not_found"


def test_cancel_of_a_wait_does_not_cancel_the_operation(rig: Rig) -> None:
    one, two = rig.client(), rig.client()
    identifier = rig.stall(one, "dump_image", "memory.read_bytes", address=RAM, size=8 * KIB)
    name = two.call("operation.list")["operations"][0]["operation"]
    waiting = two.send("operation.wait", operation=name, timeout_ms=LONG_MS)
    assert two.call("request.cancel", id=waiting) == {"found": True}
    assert two.error(waiting).kind == "cancelled"
    rig.mock.release()
    assert len(base64.b64decode(one.result(identifier)["data"])) == 8 * KIB


def test_cancel_of_a_halt_that_waits(rig: Rig) -> None:
    rig.mock.target_state("running")
    client = rig.client()
    rig.mock.fault("fail", match="halt 0", code=0, text="")
    identifier = client.send("target.halt")
    rig.wait_sent(r"curstate\Z", 2)
    client.call("request.cancel", id=identifier)
    assert client.error(identifier).kind == "cancelled"
    # The next change is not held up by what was cancelled.
    assert client.call("memory.write_u8", address=RAM, values=[1])["count"] == 1


def test_cancel_of_many_in_any_order(rig: Rig) -> None:
    rig.hold()
    clients = [rig.client() for _ in range(4)]
    calls = [(client, client.send("memory.read_bytes", address=RAM + 4 * i, size=4, timeout_ms=LONG_MS))
             for i in range(10) for client in clients]
    rig.wait_queued(41)
    for client, identifier in calls[1::3] + calls[::3]:
        client.call("request.cancel", id=identifier)
    rig.mock.release()
    for i, (client, identifier) in enumerate(calls):
        if i % 3 == 2:
            assert client.result(identifier)["size"] == 4
        else:
            assert client.error(identifier).kind == "cancelled"
    wait_until(lambda: rig.status()["queued"] == 0, "the queue to be empty")
