"""SIGTERM with everything going on at once: who waits is told how it ended, and nothing is left but what is to be kept."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import socket
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from harness.chosen import ALL_KILLS
from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

BEFORE = random.Random(1).randbytes(8 * KIB)
IMAGE = random.Random(2).randbytes(6 * KIB)
OFFSET = 300
HOUR = 3600 * 1000


@pytest.fixture(name="lab")
def fixture_lab(make_rig: Callable[..., Rig], tmp_path: Path) -> Rig:
    """A daemon whose places are all below `tmp_path`, and which has something in its flash."""
    for name in ("share", "stages", "state"):
        (tmp_path / name).mkdir()
    rig = make_rig(
        share_dir=str(tmp_path / "share"), extra={"stage_root": str(tmp_path / "stages"), "state_dir": str(tmp_path / "state")}
    )
    rig.client().call("target.halt")
    rig.mock.poke(FLASH, BEFORE)
    return rig


def pieces(done: int) -> bytes:
    """The flash with so many sectors programmed."""
    end = min(done * KIB, OFFSET + len(IMAGE)) if done > 0 else OFFSET
    return BEFORE[:OFFSET] + IMAGE[: end - OFFSET] + BEFORE[end:]


def assert_stops(error: Any, kind: str = "cancelled") -> None:
    assert error.kind == kind and "the daemon" in error.message, error


def is_open(address: str) -> bool:
    _, host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 5).close()
    except ConnectionRefusedError:
        return False
    return True


def test_everybody_is_told(lab: Rig, tmp_path: Path) -> None:
    """A write that erases, what waits behind it, who waits for a lease, for an operation and for the target, half a stage,
    a watch, subscribers, and who does nothing."""
    holder, reader, waiter, follower, watcher, stager, idle = clients = [lab.client() for _ in range(7)]
    lease = holder.call("lease.acquire", ttl_ms=HOUR, detach=True)["lease"]
    watcher.call("events.subscribe", topics=["operation", "lease", "log"])
    watcher.call("memory.watch", ranges=[{"address": RAM, "size": 4}], interval_ms=50)
    watcher.wait_notification(lambda note: note["method"] != "event")
    stage = stager.call("stage.create", name="half", size=100)["stage"]
    stager.call("stage.write", stage=stage, offset=0, data=base64.b64encode(bytes(50)).decode())
    data = base64.b64encode(IMAGE).decode()
    write = lab.stall(holder, "erase_sector 0 0 0", "flash.write_image", data=data, address=FLASH + OFFSET)
    operation = idle.call("operation.list")["operations"][0]["operation"]
    behind = holder.send("memory.write_u32", address=RAM, values=7, timeout_ms=LONG_MS)
    read = reader.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    granted = waiter.send("lease.acquire", wait_ms=HOUR)
    target = waiter.send("target.wait", state="running", timeout_ms=LONG_MS)
    follow = follower.send("operation.wait", operation=operation, timeout_ms=LONG_MS)
    lab.status()  # all of it has come
    lab.stop_daemon()
    lab.mock.release()
    error = holder.error(write)
    assert_stops(error)
    assert error.data["flash_state"] == "partial" and error.data["operation"] == operation
    for client, call in ((holder, behind), (reader, read), (waiter, granted), (waiter, target)):
        assert_stops(client.error(call))
    assert follower.result(follow)["state"] == "cancelled"
    for client in clients:
        client.wait_end()
    assert lab.daemon.wait() == 0
    seen = watcher.take_notifications("event")
    assert [event["state"] for event in seen if event["topic"] == "operation"][-1] == "cancelled"
    assert any(event["topic"] == "log" and "stopping" in json.dumps(event) for event in seen)
    assert lab.mock.peek(FLASH, 8 * KIB) == pieces(1)
    assert lab.mock.peek(RAM, 4) == bytes(4) and lab.sent("write_memory") == 0
    assert list((tmp_path / "share").iterdir()) == list((tmp_path / "stages").iterdir()) == []
    (file,) = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert file.name == "lease" and lease not in file.read_text()


def test_nobody_new_comes_in_while_it_stops(lab: Rig) -> None:
    """Nor does more of who is there."""
    client, other = lab.client(), lab.client()
    change = lab.stall(client, "write_memory", "memory.write_u32", address=RAM, values=7)
    lab.stop_daemon()
    other.send_text(json.dumps(other.make_call("memory.write_u32", {"address": RAM + 4, "values": 8}, "late")))
    wait_until(lambda: not is_open(lab.daemon.address), "the listener to close")
    lab.mock.release()
    assert client.result(change) == {"count": 1}  # it was done
    other.forget_calls()
    other.wait_end()
    assert not other.has_replies
    assert lab.daemon.wait() == 0
    assert lab.mock.peek(RAM, 8) == bytes([7]) + bytes(7)


LONG = pytest.mark.skipif(not ALL_KILLS, reason="takes a minute: OCDMUX_KILLS is not `all`")


@pytest.mark.parametrize("method", ["memory.write_u32", pytest.param("flash.write_image", marks=LONG)])
def test_it_ends_while_openocd_hangs(make_rig: Callable[..., Rig], method: str) -> None:
    """With the link's limit, or, where that is longer, with its own; who waits learns that nobody knows."""
    rig = make_rig(link_limit_ms=1000)
    client = rig.client()
    client.call("target.halt")
    params: Dict[str, Any] = {"address": RAM, "values": 7}
    if method == "flash.write_image":
        params = {"address": FLASH, "data": base64.b64encode(IMAGE).decode()}
    change = rig.stall(client, "write_memory|write_bank", method, **params)
    rig.stop_daemon()
    assert client.error(change).kind == "outcome_unknown"
    client.wait_end()
    assert rig.daemon.wait() == 0


def test_told_twice_it_waits_for_nothing(lab: Rig) -> None:
    """Not for OpenOCD, nor for who does not read; the others are told all the same."""
    client, deaf, reader = lab.client(), lab.client(receive_buffer=4096), lab.client()
    change = lab.stall(client, "write_memory", "memory.write_u32", address=RAM, values=7)
    for _ in range(64):
        deaf.send("rpc.discover")
    read = reader.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    lab.wait_queued(2)
    lab.stop_daemon(again=True)
    assert_stops(client.error(change), "outcome_unknown")
    assert_stops(reader.error(read))
    client.wait_end()
    assert lab.daemon.wait() == 0


def test_the_third_time_it_ends_at_once(lab: Rig) -> None:
    client = lab.client()
    lab.stall(client, "write_memory", "memory.write_u32", address=RAM, values=7)
    lab.stop_daemon(again=True)
    if lab.daemon.alive:
        os.kill(lab.daemon.pid, signal.SIGTERM)
    assert lab.daemon.wait() == 0


def test_told_before_anybody_has_come(make_rig: Callable[..., Rig]) -> None:
    """While OpenOCD is not there."""
    rig = make_rig(openocd=[1], wait=False)
    client = rig.client()
    read = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.wait_queued(1)
    rig.stop_daemon()
    assert_stops(client.error(read))
    assert rig.daemon.wait() == 0
