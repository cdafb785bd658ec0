"""Flash writes that are stopped: a piece that was erased is programmed before anything ends."""

from __future__ import annotations

import base64
import random
from typing import Any, Tuple

import pytest

from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

BEFORE = random.Random(1).randbytes(8 * KIB)
IMAGE = random.Random(2).randbytes(4 * KIB)
DATA = base64.b64encode(IMAGE).decode()
SHORT_MS = 300


@pytest.fixture
def halted(either_rig: Rig) -> Tuple[Rig, Any]:
    """A halted target, something in its flash, and a client."""
    client = either_rig.client()
    client.call("target.halt")
    either_rig.mock.poke(FLASH, BEFORE)
    return either_rig, client


def state(rig: Rig) -> bytes:
    """What is in the flash now."""
    return rig.mock.peek(FLASH, 8 * KIB)


def pieces(done: int) -> bytes:
    """What must be in the flash when so many KiB of the image, which goes to its beginning, are programmed."""
    return IMAGE[:done * KIB] + BEFORE[done * KIB:]


def wait_idle(rig: Rig) -> None:
    """Until nothing runs any more."""
    wait_until(lambda: rig.status()["queued"] == 0, "the end of everything")


def test_cancel_while_erasing_ends_behind_the_piece(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    identifier = rig.stall(client, "erase_sector 0 0 0", "flash.write_image", data=DATA)
    client.call("request.cancel", id=identifier)
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "cancelled" and error.data["flash_state"] == "partial"
    assert state(rig) == pieces(1)
    operation = client.call("operation.status", operation=error.data["operation"])
    assert operation["state"] == "cancelled"


def test_cancel_before_anything_was_erased_changes_nothing(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    identifier = rig.stall(client, "flash probe", "flash.write_image", data=DATA)
    client.call("request.cancel", id=identifier)
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "cancelled" and error.data["flash_state"] == "unchanged"
    assert state(rig) == BEFORE
    assert rig.sent("erase_sector") == 0


@pytest.mark.parametrize("pattern", ["erase_sector 0 0 0", r"write_bank 0 \S+p 0x0"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_deadline_in_a_piece_is_answered_at_once_and_the_piece_finished(
    halted: Tuple[Rig, Any], pattern: str, when: str
) -> None:
    """The link is not abandoned: programming must follow the erase."""
    rig, client = halted
    rig.mock.fault("stall", when=when, match=pattern)
    identifier = client.send("flash.write_image", data=DATA, timeout_ms=SHORT_MS)
    rig.mock.wait(stalled=True)
    error = client.error(identifier)
    assert error.kind == "outcome_unknown" and error.data["flash_state"] == "partial"
    assert rig.status()["link"] == "busy"
    assert rig.status()["queued"] == 1  # it still keeps others waiting
    assert client.fail("request.cancel").kind == "invalid_params"
    assert client.call("request.cancel", id=identifier) == {"found": False}
    rig.mock.release()
    wait_idle(rig)
    assert state(rig) == pieces(1)
    client.call("flash.write_image", data=DATA)
    assert state(rig) == pieces(4)


def test_client_that_goes_when_its_deadline_was_answered(halted: Tuple[Rig, Any]) -> None:
    """The piece goes on without it, and the daemon does not stumble over what it left behind."""
    rig, client = halted
    other = rig.client()
    rig.mock.fault("stall", match="erase_sector 0 0 0")
    identifier = client.send("flash.write_image", data=DATA, timeout_ms=SHORT_MS)
    rig.mock.wait(stalled=True)
    assert client.error(identifier).kind == "outcome_unknown"
    rig.reset_client(client)
    waiting = other.send("memory.write_u8", address=RAM, values=[1], timeout_ms=LONG_MS)
    rig.mock.release()
    assert other.result(waiting)["count"] == 1
    wait_idle(rig)
    assert state(rig) == pieces(1)


def test_deadline_between_erase_and_program(halted: Tuple[Rig, Any]) -> None:
    """Somebody's read is in flight there: the answer comes at once, the programming when the read is over."""
    rig, client = halted
    reader = rig.client()
    rig.mock.fault("stall", match="erase_sector 0 0 0")
    rig.mock.fault("stall", match="read_memory 0x20000000")
    identifier = client.send("flash.write_image", data=DATA, timeout_ms=2 * SHORT_MS)
    rig.mock.wait(stalled=True)
    read = reader.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.wait_queued(2)
    rig.mock.release()
    wait_until(lambda: rig.sent("read_memory 0x20000000") == 1, "the read")
    error = client.error(identifier)
    assert error.kind in ("timeout", "outcome_unknown") and error.data["flash_state"] == "partial"
    assert rig.sent("write_bank") == 0
    client.close()
    rig.mock.release()
    assert reader.result(read)["values"] == [0]
    wait_idle(rig)
    assert state(rig) == pieces(1)


def test_link_that_goes_in_a_piece_whose_deadline_was_answered(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    rig.mock.fault("stall", match="erase_sector 0 0 0")
    identifier = client.send("flash.write_image", data=DATA, timeout_ms=SHORT_MS)
    rig.mock.wait(stalled=True)
    assert client.error(identifier).kind == "outcome_unknown"
    client.close()
    rig.mock.crash()
    rig.wait_link("down", "connecting")
    rig.mock.restart()
    wait_idle(rig)
    rig.assert_works()
    assert rig.sent("write_bank") == 0


def test_client_that_goes_leaves_its_write_to_be_finished(halted: Tuple[Rig, Any]) -> None:
    """Its result is kept under the operation's id."""
    rig, client = halted
    rig.stall(client, "erase_sector 0 0 0", "flash.write_image", data=DATA)
    rig.reset_client(client)
    other = rig.client()
    name = other.call("operation.list")["operations"][0]["operation"]
    assert other.call("operation.status", operation=name)["state"] == "running"
    waiting = other.send("operation.wait", operation=name, timeout_ms=LONG_MS)
    rig.mock.release()
    ended = other.result(waiting)
    assert ended["state"] == "done"
    assert ended["result"]["bytes_written"] == 4 * KIB and ended["result"]["verified"] is True
    assert state(rig) == pieces(4)


def test_client_that_goes_before_its_write_begins_takes_it_with_it(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    rig.hold()
    client.send("flash.write_image", data=DATA)
    rig.wait_queued(2)
    rig.reset_client(client)
    rig.wait_queued(1)
    rig.mock.release()
    wait_idle(rig)
    assert state(rig) == BEFORE
    assert rig.sent("flash probe") == 0
    assert rig.client().call("operation.list")["operations"][-1]["state"] == "cancelled"


def test_client_that_goes_takes_a_write_that_is_not_detached_with_it(halted: Tuple[Rig, Any]) -> None:
    """But not in the middle of a piece."""
    rig, client = halted
    rig.stall(client, "erase_sector 0 0 0", "flash.write_image", data=DATA, detach=False)
    rig.reset_client(client)
    other = rig.client()
    name = other.call("operation.list")["operations"][0]["operation"]
    waiting = other.send("operation.wait", operation=name, timeout_ms=LONG_MS)
    rig.mock.release()
    ended = other.result(waiting)
    assert ended["state"] == "cancelled"
    assert ended["error"]["data"]["flash_state"] == "partial"
    assert state(rig) == pieces(1)


def test_others_read_between_the_pieces(halted: Tuple[Rig, Any]) -> None:
    """Changes wait until the write is over."""
    rig, client = halted
    reader, writer = rig.client(), rig.client()
    identifier = rig.stall(client, "erase_sector 0 0 0", "flash.write_image", data=DATA)
    read = reader.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    write = writer.send("memory.write_u32", address=RAM, values=[9], timeout_ms=LONG_MS)
    rig.wait_queued(3)
    rig.mock.release()
    assert reader.result(read)["values"] == [0]
    assert writer.result(write)["count"] == 1
    assert client.result(identifier)["sectors_erased"] == 4
    scripts = rig.mock.scripts()
    place = {word: next(i for i, script in enumerate(scripts) if word in script)
             for word in ("erase_sector 0 0 0", "read_memory 0x20000000", "write_memory 0x20000000")}
    last = max(i for i, script in enumerate(scripts) if "read_bank" in script)
    assert place["erase_sector 0 0 0"] < place["read_memory 0x20000000"] < last < place["write_memory 0x20000000"]


def test_two_writes_go_one_after_the_other(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    other = rig.client()
    first = rig.stall(client, "flash probe", "flash.write_image", data=DATA)
    second = other.send("flash.write_image", data=DATA, address=FLASH + 4 * KIB)
    rig.wait_queued(2)
    rig.mock.release()
    assert client.result(first)["verified"] and other.result(second)["verified"]
    assert state(rig) == IMAGE + IMAGE
    erased = [script for script in rig.mock.scripts() if "erase_sector" in script]
    assert erased == sorted(erased, key=lambda script: int(script.split()[3]))


def test_kept_bytes_come_back(halted: Tuple[Rig, Any]) -> None:
    """In the middle of sectors, stopped or not."""
    rig, client = halted
    client.call("flash.write_image", data=base64.b64encode(IMAGE[:1500]).decode(), address=FLASH + 300)
    assert state(rig) == BEFORE[:300] + IMAGE[:1500] + BEFORE[1800:]
    rig.mock.poke(FLASH, BEFORE)
    rig.mock.clear_faults()
    identifier = rig.stall(client, "erase_sector 0 0 0", "flash.write_image",
                           data=base64.b64encode(IMAGE[:1500]).decode(), address=FLASH + 300)
    client.call("request.cancel", id=identifier)
    rig.mock.release()
    assert client.error(identifier).kind == "cancelled"
    assert state(rig) == BEFORE[:300] + IMAGE[:724] + BEFORE[1024:]


@pytest.mark.parametrize("pattern", ["erase_sector 0 0 0", r"write_bank 0 \S+p 0x0", "erase_sector 0 1"])
def test_daemon_that_is_stopped_in_a_piece_finishes_it(halted: Tuple[Rig, Any], pattern: str) -> None:
    """The client is told what was done; the flash holds whole sectors."""
    rig, client = halted
    identifier = rig.stall(client, pattern, "flash.write_image", data=DATA)
    rig.stop_daemon()
    rig.mock.release()
    error = client.error(identifier)
    assert error.kind == "cancelled" and "the daemon stops" in error.message
    assert error.data["flash_state"] == "partial"
    client.wait_end()
    assert rig.daemon.wait() == 0
    after = state(rig)
    assert after in [pieces(done) for done in range(1, 5)]
    assert rig.sent("erase_sector") == rig.sent("write_bank")


def test_daemon_that_is_told_twice_to_stop_stops_at_once(halted: Tuple[Rig, Any]) -> None:
    rig, client = halted
    identifier = rig.stall(client, "erase_sector 0 0 0", "flash.write_image", data=DATA)
    rig.stop_daemon(again=True)
    error = client.error(identifier)
    assert error.kind == "outcome_unknown" and error.data["flash_state"] == "partial"
    client.wait_end()
    assert rig.daemon.wait() == 0


def test_daemon_that_is_stopped_in_a_read_stops_at_once(halted: Tuple[Rig, Any]) -> None:
    """Others wait for it, half-closed ones among them, and for its operation."""
    rig, client = halted
    reading = rig.stall(client, "dump_image", "memory.read_bytes", address=RAM, size=4 * KIB)
    name = client.call("operation.list")["operations"][-1]["operation"]
    others = [rig.client() for _ in range(4)]
    for other in others:
        other.send("operation.wait", operation=name, timeout_ms=LONG_MS)
        other.send("memory.write_u8", address=RAM, values=[1])
    rig.wait_queued(5)
    for other in others[::2]:
        other.half_close()
    rig.status()  # the ends of input came before this
    rig.stop_daemon()
    assert rig.daemon.wait() == 0
    assert rig.sent("write_memory") == 0
    error = client.error(reading)
    assert error.kind == "cancelled" and "the daemon stops" in error.message
