"""The wall clock jumps, by minutes or by years, while the daemon runs and while it does not: nothing ends too early, too
late or never, for what counts is a clock that does not jump. Times that people read follow the wall clock."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterator

import pytest

from conftest import VALIDATOR
from control import MockControl
from daemon_place import Place
from harness.client import Client
from harness.fault_shim import AFTER, shim_library
from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM

pytestmark = pytest.mark.both  # the clock is that of a library that cannot be loaded beside ASan's

DAY = 24 * 3600
YEAR = 365 * DAY
HOUR_MS = 3600 * 1000
JUMPS = [-YEAR, -3600, 3600, 10 * YEAR]
SLACK_MS = 2 * 60 * 1000  # what a slow test may take of an hour


@pytest.fixture(name="mock", scope="module")
def fixture_mock() -> Iterator[MockControl]:
    shim_library()
    with MockControl.start() as mock:
        yield mock


@pytest.fixture(name="place")
def fixture_place(mock: MockControl, tmp_path: Path) -> Iterator[Place]:
    """A daemon whose stages expire after a second, on a board that is idle. It must work behind the test."""
    mock.clear_faults()
    mock.poke(RAM, bytes(16))
    with Place(tmp_path / "place", mock, VALIDATOR, limits={"stage_expiry_ms": 1000}) as place:
        start(place)
        yield place
        assert place.client().call("memory.read_u8", address=RAM, count=2)["values"]


def start(place: Place) -> Client:
    place.start()
    client = place.client()
    wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")
    return client


def parse(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)


def assert_now(text: str, jump: int, later: int = 0) -> None:
    """That a time is about now, or `later` seconds from now, by a clock that is off."""
    expected = datetime.now(timezone.utc) + timedelta(seconds=jump + later)
    assert abs(parse(text) - expected) < timedelta(seconds=SLACK_MS / 1000), f"{text} is not about {expected}"


def remaining_ms(client: Client) -> int:
    """Of a lease that somebody else holds."""
    wait: int = client.fail("lease.acquire").data["expected_wait_ms"]
    return wait


@pytest.mark.parametrize("jump", JUMPS)
def test_a_lease_lasts_as_long_as_it_was_granted(place: Place, jump: int) -> None:
    holder, other = place.client(), place.client()
    holder.call("lease.acquire", ttl_ms=HOUR_MS)
    place.shim.jump(jump)
    assert HOUR_MS - SLACK_MS < remaining_ms(other) <= HOUR_MS
    held = other.call("lease.status")["lease"]
    assert_now(held["since"], 0)  # when it was granted, by the clock of then
    assert_now(held["expires"], jump, 3600)
    assert_now(holder.call("lease.renew", ttl_ms=2 * HOUR_MS)["expires"], jump, 2 * 3600)


def test_a_lease_ends_when_its_time_is_over(place: Place) -> None:
    """However the clock jumps meanwhile."""
    lease = place.client().call("lease.acquire", ttl_ms=1000)["lease"]
    client = place.client()
    looks = 0

    def is_over() -> bool:
        nonlocal looks
        place.shim.jump(JUMPS[looks % len(JUMPS)])
        looks += 1
        return not client.call("lease.status", lease=lease)["yours"]

    wait_until(is_over, "the end of its time")
    assert looks > 2 * len(JUMPS)


@pytest.mark.parametrize("jump, end", zip(JUMPS, ["stop", "kill", "stop", "kill"]))
def test_a_lease_that_was_kept_has_the_time_that_was_left(place: Place, jump: int, end: str) -> None:
    """No lease of a year, none that is lost, whatever the clock says when the daemon is back."""
    lease = place.client().call("lease.acquire", ttl_ms=HOUR_MS, detach=True)["lease"]
    assert place.daemon is not None
    getattr(place.daemon, end)()
    place.shim.jump(jump)
    client = start(place)
    assert client.call("lease.status", lease=lease)["yours"]
    assert HOUR_MS - SLACK_MS < remaining_ms(client) <= HOUR_MS - 1000
    held = client.call("lease.status")["lease"]
    assert_now(held["since"], 0)
    assert_now(held["expires"], jump, 3600)
    client.call("lease.release", lease=lease)
    lease = client.call("lease.acquire", ttl_ms=1200, detach=True)["lease"]
    getattr(place.daemon, end)()
    place.shim.jump(-jump)
    client = start(place)
    wait_until(lambda: "lease" not in client.call("lease.status"), "the end of its time")


@pytest.mark.parametrize("jump", JUMPS)
def test_time_limits_and_waits(place: Place, jump: int) -> None:
    """A call that has time has it still; one whose time is over is answered; a wait for the lease too."""
    patient, hasty, holder, waiter = (place.client() for _ in range(4))
    holder.call("lease.acquire", ttl_ms=HOUR_MS)
    place.mock.fault("stall", match="read_memory 0x20000004")
    long = patient.send("memory.read_u32", address=RAM + 4, timeout_ms=LONG_MS)
    place.mock.wait(stalled=True)
    short = hasty.send("memory.read_u32", address=RAM, timeout_ms=500)
    wait = waiter.send("lease.acquire", wait_ms=500)
    waiter.call("server.hello")
    place.shim.jump(jump)
    assert hasty.error(short).kind == "timeout"
    assert waiter.error(wait).kind == "board_busy"
    assert holder.call("server.stats")["uptime_ms"] < SLACK_MS
    assert holder.call("board.status")["link"] == "busy"
    place.mock.release()
    assert patient.result(long)["values"] == [0]


@pytest.mark.parametrize("jump", [-YEAR, DAY])
def test_stages_watches_and_the_link(place: Place, jump: int) -> None:
    """A stage in use stays and one that is not goes; a watch is read on; a lost link comes back."""
    client, watcher = place.client(), place.client()
    watcher.call("memory.watch", ranges=[{"address": RAM + 8, "size": 4}], interval_ms=20)
    watcher.wait_notification(lambda note: note["method"] == "memory.changed")
    stage = client.call("stage.create", name="x", size=10)["stage"]
    place.shim.jump(jump)
    client.call("stage.write", stage=stage, offset=0, data=base64.b64encode(bytes(5)).decode())
    assert_now(client.call("stage.list")["stages"][0]["expires"], jump, 1)
    place.mock.poke(RAM + 8, b"\x01\x02\x03\x04")
    note = watcher.wait_notification(lambda note: note["method"] == "memory.changed")["params"]
    assert_now(note["time"], jump)
    wait_until(lambda: client.call("stage.list")["stages"] == [], "the stage to expire")
    place.mock.crash()
    wait_until(lambda: client.call("board.status")["link"] != "idle", "the link to be lost")
    place.shim.jump(-jump)
    place.mock.restart()
    wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")
    client.call("memory.write_u32", address=RAM, values=1)
    assert_now(str((place.audit_lines()[-1] or {})["time"]), -jump)


@pytest.mark.parametrize("jump", JUMPS)
def test_bytes_that_were_kept_are_put_back(place: Place, jump: int) -> None:
    """Whenever that was."""
    before, image = bytes(range(256)) * 4, b"image" * 100
    place.mock.poke(FLASH, before)
    params = {"data": base64.b64encode(image).decode(), "address": FLASH, "prepare": "halt"}
    place.shim.reset("/kept-")
    place.shim.kill_at(1, AFTER)
    writer = place.client()
    writer.send("flash.write_image", **params)
    writer.wait_end()
    place.mock.poke(FLASH, b"\xff" * KIB)
    place.shim.reset()
    place.shim.jump(jump)
    client = start(place)
    (pending,) = client.call("board.status")["pending_repairs"]
    assert_now(pending["since"], 0)
    client.call("flash.write_image", **params)
    assert place.mock.peek(FLASH, KIB) == image + before[len(image) :]
    assert client.call("board.status")["pending_repairs"] == []
