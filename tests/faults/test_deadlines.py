"""Deadlines: of what is in flight, of what waits, and what becomes of the late reply."""

from __future__ import annotations

import base64
import struct
from typing import Any, Callable

import pytest

from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

# Long enough for whatever comes before the stall, short enough to wait for.
SHORT_MS = 250


@pytest.mark.parametrize("when", ["before", "after"])
def test_read_in_flight_times_out_and_nobody_gets_its_reply(rig: Rig, when: str) -> None:
    """The late reply is dropped by its nonce: the next request, which waited behind it, gets its own."""
    rig.mock.poke(RAM, struct.pack("<II", 0x11111111, 0x22222222))
    one, two = rig.client(), rig.client()
    rig.mock.fault("stall", when=when, match="read_memory 0x20000000")
    first = one.send("memory.read_u32", address=RAM, timeout_ms=SHORT_MS)
    rig.mock.wait(stalled=True)
    second = two.send("memory.read_u32", address=RAM + 4, timeout_ms=LONG_MS)
    error = one.error(first)
    assert error.kind == "timeout"
    assert rig.status()["link"] == "abandoned"
    commands = rig.mock.commands()
    third = one.send("memory.read_u32", address=RAM + 4, timeout_ms=LONG_MS)
    rig.wait_queued(2)
    assert rig.mock.commands() == commands  # nothing goes out behind an abandoned command
    rig.mock.release()
    assert two.result(second)["values"] == [0x22222222]
    assert one.result(third)["values"] == [0x22222222]
    assert rig.status()["link"] in ("idle", "busy")
    assert rig.sent("read_memory 0x20000000") == 1
    assert rig.stats()["boards"][0]["reconnects"] == 0


def test_time_that_passes_while_openocd_is_asked_anew(rig: Rig) -> None:
    """As it is behind raw Tcl. The link is not lost meanwhile, and nobody is told so."""
    admin, client = rig.client(), rig.client()
    admin.call("target.halt")
    rig.mock.fault("stall", match="tapisenabled")
    admin.call("openocd.command", command="set mine 1")
    rig.mock.wait(stalled=True)
    assert rig.status()["link"] == "handshake"
    assert client.fail("memory.read_u32", address=RAM, timeout_ms=SHORT_MS).kind == "timeout"
    assert "last_error" not in rig.status() and "problem" not in rig.status()
    rig.mock.release()
    client.call("memory.read_u32", address=RAM)
    assert rig.stats()["boards"][0]["reconnects"] == 0


CHANGES = [
    ("memory.write_u32", {"address": RAM, "values": [1]}, "write_memory"),
    ("memory.write_bytes", {"address": RAM, "data": "AQIDBA=="}, "write_memory"),
    ("target.halt", {}, "halt 0"),
    ("target.resume", {}, "resume"),
    ("target.reset", {"mode": "halt"}, "reset halt"),
    ("openocd.command", {"command": "set mine 1"}, "set mine"),
]


@pytest.mark.parametrize("method,params,pattern", CHANGES, ids=[each[0] for each in CHANGES])
def test_change_in_flight_has_an_unknown_outcome(rig: Rig, method: str, params: Any, pattern: str) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.reset_counters()
    rig.mock.fault("stall", match=pattern)
    identifier = client.send(method, timeout_ms=SHORT_MS, **params)
    rig.mock.wait(stalled=True)
    error = client.error(identifier)
    assert error.kind == "outcome_unknown"
    assert rig.status()["link"] == "abandoned"
    rig.mock.release()
    rig.wait_link("idle")
    rig.assert_works()
    assert rig.sent(pattern) == 1


READS = [
    ("memory.read_bytes", {"address": RAM, "size": 4}, "read_memory"),
    ("memory.hexdump", {"address": RAM, "size": 4}, "read_memory"),
    ("memory.search", {"pattern": "AA==", "start": RAM, "end": RAM + 4}, "read_memory"),
    ("memory.dump", {"address": RAM, "size": 4, "path": "x.bin"}, "read_memory"),
    ("target.list", {}, "target names"),
    ("target.state", {}, "target names"),
    ("flash.banks", {}, "flash list"),
    ("flash.info", {}, "flash probe"),
    ("flash.verify", {"data": "AA=="}, "flash read_bank"),
]


@pytest.mark.parametrize("method,params,pattern", READS, ids=[each[0] for each in READS])
def test_every_read_in_flight_times_out(rig: Rig, method: str, params: Any, pattern: str) -> None:
    client = rig.client()
    rig.mock.fault("stall", match=pattern)
    identifier = client.send(method, timeout_ms=SHORT_MS, **params)
    rig.mock.wait(stalled=True)
    assert client.error(identifier).kind == "timeout"
    rig.mock.release()
    client.call(method, **params)  # it works when nothing is in its way


def test_stalled_dump_leaves_no_file(rig: Rig, tmp_path: Any) -> None:
    client = rig.client()
    rig.mock.fault("stall", match="read_memory")
    error = client.fail("memory.dump", address=RAM, size=4, path="half.bin", timeout_ms=SHORT_MS)
    assert error.kind == "timeout"
    assert list(tmp_path.rglob("*half*")) == []
    wait_until(lambda: not list(tmp_path.rglob("*.part")), "the part to go")


def test_deadlines_of_queued_requests(rig: Rig) -> None:
    """Each ends at its own time, in whatever order, before its turn; none is ever sent."""
    rig.hold()
    client = rig.client()
    late = client.send("memory.read_u32", address=RAM, timeout_ms=500)
    early = client.send("memory.write_u32", address=RAM + 4, values=[7], timeout_ms=100)
    middle = client.send("memory.read_bytes", address=RAM + 8, size=4, timeout_ms=300)
    order = []
    for _ in range(3):
        reply = client.receive()
        assert reply["error"]["data"]["kind"] == "timeout"
        order.append(reply["id"])
    assert order == [early, middle, late]
    rig.mock.release()
    rig.wait_queued(0)
    assert rig.sent(r"0x2000000[0-8]\b") == 0
    assert rig.mock.peek(RAM + 4, 4) == bytes(4)


def test_deadline_counts_from_arrival(rig: Rig) -> None:
    """What waited until its deadline is not begun, even where the link is free the next moment."""
    rig.hold()
    client = rig.client()
    error = client.fail("memory.read_u32", address=RAM, timeout_ms=1)
    assert error.kind == "timeout"
    rig.mock.release()
    rig.assert_works()
    assert rig.sent("read_memory 0x20000000") == 0


def test_long_read_times_out_between_its_pieces(rig: Rig) -> None:
    client = rig.client()
    rig.mock.fault("delay", ms=100, match="read_memory|dump_image", times=0)
    error = client.fail("memory.read_bytes", address=RAM, size=20 * KIB, timeout_ms=350)
    assert error.kind == "timeout"
    assert 0 < error.data["done"] < 20 * KIB
    assert error.data["total"] == 20 * KIB
    assert client.call("operation.status", operation=error.data["operation"])["state"] == "failed"


def test_operation_that_waits_between_its_looks_has_its_deadline(rig: Rig) -> None:
    """A halt looks again and again; its deadline holds while one of those looks is in flight."""
    client = rig.client()
    rig.mock.target_state("running")
    rig.mock.fault("fail", match="halt 0", code=0, text="")  # asked, but it goes on
    rig.mock.fault("stall", match=r"curstate\Z", nth=3)
    identifier = client.send("target.halt", timeout_ms=SHORT_MS)
    rig.mock.wait(stalled=True)
    assert client.error(identifier).kind in ("timeout", "outcome_unknown")
    assert rig.status()["link"] == "abandoned"


def test_operation_that_waits_between_its_looks_times_out_there(rig: Rig) -> None:
    client = rig.client()
    rig.mock.target_state("running")
    rig.mock.fault("fail", match="halt 0", code=0, text="")
    error = client.fail("target.halt", timeout_ms=100)
    assert error.kind in ("timeout", "outcome_unknown")
    assert rig.status()["link"] == "idle"


def test_links_limit_ends_an_abandoned_command(make_rig: Callable[..., Rig]) -> None:
    """OpenOCD hangs for good: the link is reset, and what waits is told, or served by the OpenOCD that comes next."""
    rig = make_rig(link_limit_ms=1000)
    client = rig.client()
    rig.stall(client, "read_memory 0x20000000", "memory.read_u32", address=RAM, timeout_ms=SHORT_MS)
    waiting = client.send("memory.read_u32", address=RAM + 4, timeout_ms=LONG_MS)
    rig.wait_link("abandoned")
    rig.wait_link("down", "connecting", "handshake")
    rig.mock.crash()
    rig.mock.restart()
    assert client.result(waiting)["values"] == [0]
    assert rig.stats()["boards"][0]["reconnects"] >= 1
    rig.assert_works()


def test_links_limit_does_not_hold_for_commands_that_take_longer(make_rig: Callable[..., Rig]) -> None:
    """Erasing, programming and resetting may take minutes."""
    rig = make_rig(link_limit_ms=1000)
    client = rig.client()
    client.call("target.halt")
    for pattern in ("flash erase_sector", "flash write_bank"):
        rig.mock.fault("delay", ms=1200, match=pattern)
    rig.mock.fault("delay", ms=1200, match=r"reset run\Z")
    client.call("flash.write_image", data=base64.b64encode(bytes(16)).decode(), address=FLASH, reset="run")
    assert rig.stats()["boards"][0]["reconnects"] == 0
    rig.assert_works()


def test_raw_command_that_came_late_is_learned_from_all_the_same(rig: Rig) -> None:
    """It may have changed everything by the time that it ends: the survey is made anew then."""
    client = rig.client()
    rig.mock.fault("stall", match="set mine")
    error = client.fail("openocd.command", command="set mine 1", timeout_ms=SHORT_MS)
    assert error.kind == "outcome_unknown"
    surveys = rig.sent("target names")
    rig.mock.release()
    rig.wait_sent("target names", surveys + 1)
    rig.assert_works()


def test_progress_and_operation_of_what_timed_out(rig: Rig) -> None:
    client = rig.client()
    rig.mock.fault("stall", match="read_memory")
    identifier = client.send("memory.read_bytes", address=RAM, size=8, timeout_ms=SHORT_MS, progress="p")
    error = client.error(identifier)
    assert error.kind == "timeout"
    operation = client.call("operation.status", operation=error.data["operation"])
    assert operation["state"] == "failed"
    assert operation["error"]["data"]["kind"] == "timeout"
    assert client.take_notifications("progress")[0]["phase"] == "queued"


def test_operation_wait_times_out_by_itself(rig: Rig) -> None:
    """The one who waits gives up; the operation does not."""
    one, two = rig.client(), rig.client()
    rig.mock.fault("stall", match="read_memory")
    identifier = one.send("memory.read_bytes", address=RAM, size=4, timeout_ms=LONG_MS, progress=1)
    rig.mock.wait(stalled=True)
    name = two.call("operation.list")["operations"][0]["operation"]
    assert two.fail("operation.wait", operation=name, timeout_ms=50).kind == "timeout"
    waiting = two.send("operation.wait", operation=name, timeout_ms=LONG_MS)
    rig.mock.release()
    assert two.result(waiting)["state"] == "done"
    assert one.result(identifier)["size"] == 4
