"""Leases: who may change the board, who is next, and how a lease ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from flash_bank import noise
from harness.client import Client
from harness.gate import Gate
from harness.paths import PROTOCOL
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image
from harness.waiting import wait_until
from protocol_check import Validator

pytestmark = pytest.mark.both  # its timers run beside changes of a fast daemon

METHODS = json.loads(PROTOCOL.read_text(encoding="utf-8"))["methods"]
CHANGING = [method["name"] for method in METHODS if method.get("x-changes")]
READING = [method["name"] for method in METHODS if method.get("x-board") and not method.get("x-changes")]
HOUR = 3600 * 1000


@pytest.fixture(autouse=True)
def free_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test leaves the lease of `shared_stack` to the next one."""
    if "stack" not in request.fixturenames:
        yield
        return
    stack: Stack = request.getfixturevalue("stack")
    yield
    admin = stack.client()
    while admin.call("lease.break")["found"]:
        pass


@pytest.fixture(name="holder")
def fixture_holder(stack: Stack) -> Client:
    """A connection that holds the lease of `shared_stack` for an hour."""
    connection = stack.client()
    connection.call("server.hello", client="holder")
    connection.call("lease.acquire", ttl_ms=HOUR, reason="a long night")
    return connection


def example(validator: Validator, method: str) -> Dict[str, Any]:
    """The parameters of the protocol's first example."""
    return {entry["name"]: entry["value"] for entry in validator.methods[method]["examples"][0].get("params", [])}


def write(client: Client, value: int = 1, **more: Any) -> Dict[str, Any]:
    """A change of the board."""
    return client.call("memory.write_u32", address=RAM_BASE, values=value, **more)


def state(client: Client) -> str:
    """Of the lease; "free" where nobody holds it."""
    found: str = client.call("lease.status").get("lease", {"state": "free"})["state"]
    return found


def wait_state(client: Client, wanted: str) -> None:
    """Waits for it."""
    wait_until(lambda: state(client) == wanted, f"the lease to be {wanted}")


def wait_waiting(client: Client, count: int) -> None:
    """Waits until so many wait for the lease."""
    wait_until(lambda: len(client.call("lease.status")["lease_queue"]) == count, f"{count} to wait for the lease")


def lease_kinds(client: Client) -> List[str]:
    """What happened to the lease, by the events that have come."""
    client.call("server.hello")
    return [event["kind"] for event in client.take_notifications("event") if event["topic"] == "lease"]


# Who may change.


def trace(client: Client) -> List[Any]:
    """What a call that did something would have changed."""
    board = client.call("server.stats")["boards"][0]
    return [board["commands"], board["bytes_written"], len(client.call("operation.list")["operations"])]


def leaves_no_trace(client: Client, calls: Callable[[], None]) -> None:
    """Makes the calls; again where the daemon's own look at the board fell in between."""

    def attempt() -> bool:
        before = trace(client)
        calls()
        return trace(client) == before

    wait_until(attempt, "calls that leave no trace on the link", 10)


@pytest.mark.parametrize("method", CHANGING)
def test_every_change_of_others_is_refused(
    holder: Client, client: Client, validator: Validator, method: str
) -> None:
    """At once, with who holds it and why, and without a trace on the link."""

    def call() -> None:
        error = client.fail(method, **example(validator, method))
        assert error.kind == "board_busy"
        assert error.data["holder"] == "anonymous (holder)" and error.data["reason"] == "a long night"
        assert error.data["position"] == 1 and error.data["expected_wait_ms"] <= HOUR
        assert error.data["since"] < error.data["expires"]

    leaves_no_trace(client, call)


@pytest.mark.parametrize("method", CHANGING + READING)
def test_every_call_that_names_no_lease_of_this_board_is_refused(
    holder: Client, client: Client, validator: Validator, method: str
) -> None:

    def call() -> None:
        for connection in (client, holder):
            error = connection.fail(method, **{**example(validator, method), "lease": "0" * 32})
            assert error.kind == "lease_lost"

    leaves_no_trace(client, call)


def test_the_holder_changes_and_others_read(holder: Client, client: Client) -> None:
    write(holder, 0x12345678)
    assert client.call("memory.read_u32", address=RAM_BASE)["values"] == [0x12345678]


def test_the_id_lets_another_connection_change(stack: Stack, client: Client) -> None:
    holder, other = stack.client(), stack.client()
    lease = holder.call("lease.acquire")["lease"]
    assert other.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    assert write(other, 2, lease=lease) == {"count": 1}
    assert client.call("lease.status", lease=lease)["yours"] and not client.call("lease.status")["yours"]
    assert other.call("lease.release", lease=lease) == {"board": "board"}
    assert holder.fail("lease.renew").kind == "lease_lost"
    assert other.fail("memory.read_u8", address=RAM_BASE, lease=lease).kind == "lease_lost"
    write(client, 3)


def test_status_names_the_holder_and_never_the_secret(holder: Client, client: Client) -> None:
    lease = client.call("board.status")["lease"]
    assert lease == client.call("lease.status")["lease"]
    assert lease["state"] == "held" and lease["identity"] == "anonymous" and lease["client"] == "holder"
    assert lease["reason"] == "a long night" and set(lease) == {
        "state", "identity", "client", "reason", "since", "expires"
    }  # fmt: skip


def test_the_same_connection_takes_it_once(holder: Client, client: Client) -> None:
    assert holder.fail("lease.acquire", wait_ms=HOUR).kind == "board_busy"
    client.send("lease.acquire", wait_ms=HOUR)
    assert client.fail("lease.acquire", wait_ms=HOUR).data["position"] == 1
    client.call("lease.status")


# The queue.


def test_first_come_first_served(stack: Stack, holder: Client, client: Client) -> None:
    """With place and expected wait; everybody in the queue hears that it moves."""
    waiting = [stack.client() for _ in range(3)]
    sent = []
    for i, each in enumerate(waiting):
        each.call("server.hello", client=f"waiter {i}")
        sent.append(each.send("lease.acquire", wait_ms=HOUR, ttl_ms=60000, reason=f"turn {i}"))
        wait_waiting(client, i + 1)
    queue = client.call("board.status")["lease_queue"]
    assert [each["place"] for each in queue] == [1, 2, 3]
    assert [each["client"] for each in queue] == ["waiter 0", "waiter 1", "waiter 2"]
    waits = [each["expected_wait_ms"] for each in queue]
    assert [later - first for first, later in zip(waits, waits[1:])] == [60000, 60000]
    assert waits[0] <= HOUR
    assert waiting[1].call("lease.status")["place"] == 2
    assert client.fail("lease.acquire").data["position"] == 4
    assert lease_kinds(holder) == ["queued", "queued", "queued"]
    holder.call("lease.release")
    for i, each in enumerate(waiting):
        assert len(each.result(sent[i])["lease"]) == 32
        write(each, i)
        assert waiting[(i + 1) % 3].fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
        each.call("lease.release")
    assert lease_kinds(waiting[2]) == ["released", "granted"] * 2 + ["released"] * 2
    wait_state(client, "free")


def test_a_wait_that_is_over(holder: Client, client: Client) -> None:
    error = client.fail("lease.acquire", wait_ms=50)
    assert error.kind == "board_busy" and error.data["reason"] == "a long night"
    assert client.call("lease.status")["lease_queue"] == []


def test_a_wait_that_is_cancelled(holder: Client, client: Client) -> None:
    waiting = client.send("lease.acquire", wait_ms=HOUR)
    assert client.call("request.cancel", id=waiting) == {"found": True}
    assert client.error(waiting).kind == "cancelled"
    assert client.call("lease.status")["lease_queue"] == []


@pytest.mark.parametrize("end", ["close", "reset", "half_close"])
def test_who_goes_waits_no_longer(stack: Stack, holder: Client, client: Client, end: str) -> None:
    gone, staying = stack.client(), stack.client()
    sent = gone.send("lease.acquire", wait_ms=HOUR)
    wait_waiting(client, 1)
    granted = staying.send("lease.acquire", wait_ms=HOUR)
    wait_waiting(client, 2)
    getattr(gone, end)()
    wait_waiting(client, 1)
    if end == "half_close":
        assert gone.error(sent).kind == "cancelled"
        gone.wait_end()
    holder.call("lease.release")
    assert staying.result(granted)["ttl_ms"] == 60000


def test_the_queue_has_an_end(stack: Stack, holder: Client, client: Client) -> None:
    for i in range(64):
        stack.client().send("lease.acquire", wait_ms=HOUR)
    wait_waiting(client, 64)
    error = client.fail("lease.acquire", wait_ms=HOUR)
    assert error.kind == "limit_exceeded" and error.data["limit"] == "max_lease_queue"
    assert error.data["maximum"] == 64
    for each in stack.clients:
        if each not in (holder, client):
            each.close()
    wait_waiting(client, 0)


def test_what_was_accepted_before_ends_first(gate: Gate, stack: Stack, client: Client) -> None:
    """From the moment that somebody waits for the lease no change of others is accepted any more."""
    early, taker, late = stack.client(), stack.client(), stack.client()
    with gate:
        first = early.send("memory.write_u32", address=RAM_BASE, values=0x11)
        early.call("server.hello")
        own = taker.send("memory.write_u32", address=RAM_BASE + 4, values=0x22)
        assert taker.fail("lease.acquire").kind == "board_busy"
        granted = taker.send("lease.acquire", wait_ms=HOUR)
        wait_waiting(client, 1)
        error = late.fail("memory.write_u32", address=RAM_BASE, values=0x33)
        assert error.kind == "board_busy" and "holder" in error.data and "since" not in error.data
        assert taker.send("memory.write_u32", address=RAM_BASE + 8, values=0x44)
        assert state(client) == "free"
    assert early.result(first) == {"count": 1} and taker.result(own) == {"count": 1}
    assert len(taker.result(granted)["lease"]) == 32
    assert client.call("memory.read_u32", address=RAM_BASE, count=3)["values"] == [0x11, 0x22, 0x44]
    taker.call("lease.release")


# Events.


def test_subscribers_see_it_all(stack: Stack, client: Client) -> None:
    watcher, holder = stack.client(), stack.client()
    snapshot = watcher.call("events.subscribe", topics=["lease"])["snapshot"]["boards"][0]
    assert snapshot["lease_queue"] == [] and "lease" not in snapshot
    lease = holder.call("lease.acquire", ttl_ms=HOUR, reason="seen")["lease"]
    holder.call("lease.renew")
    holder.reset()
    wait_state(client, "absent")
    client.call("lease.renew", lease=lease)
    client.call("lease.release")
    watcher.call("server.hello")
    events = watcher.take_notifications("event")
    assert [event["kind"] for event in events] == ["granted", "renewed", "absent", "resumed", "renewed", "released"]
    assert [event["seq"] for event in events] == list(range(1, 7))
    assert all(event["reason"] == "seen" and event["identity"] == "anonymous" for event in events)
    assert all(("expires" in event) == (event["kind"] != "released") for event in events)
    assert lease not in json.dumps(events)


# Its end.


def test_it_ends_with_its_time(stack: Stack, client: Client) -> None:
    """Its holder hears of that, and the next one gets it."""
    holder, waiter = stack.client(), stack.client()
    lease = holder.call("lease.acquire", ttl_ms=1000)["lease"]
    granted = waiter.send("lease.acquire", wait_ms=HOUR)
    assert waiter.result(granted)["lease"] != lease
    assert lease_kinds(holder) == ["queued", "expired"]
    assert holder.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    assert holder.fail("lease.renew").kind == "lease_lost"
    waiter.call("lease.release")


def test_renewed_it_ends_later(stack: Stack, client: Client) -> None:
    holder = stack.client()
    first = holder.call("lease.acquire", ttl_ms=1000)
    second = holder.call("lease.renew", ttl_ms=HOUR)
    assert second["ttl_ms"] == HOUR and second["expires"] > first["expires"]
    assert client.fail("lease.acquire", wait_ms=1500).kind == "board_busy"
    holder.call("lease.release")


def test_its_id_takes_it_up_again_after_a_disconnect(stack: Stack, client: Client) -> None:
    holder, again = stack.client(), stack.client()
    lease = holder.call("lease.acquire", ttl_ms=HOUR)["lease"]
    holder.reset()
    wait_state(client, "absent")
    assert client.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    write(again, 5, lease=lease)
    assert state(client) == "held"
    assert again.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    again.call("lease.renew", lease=lease)
    write(again, 6)
    again.call("lease.release")


def config(**board: Any) -> str:
    """Of a daemon with one board."""
    return json.dumps({"boards": [{"name": "board", "openocd": "127.0.0.1:%PORT%", **board}],
                       "anonymous_role": "admin"})  # fmt: skip


def test_after_the_grace_it_is_free(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    daemon = make_daemon(config=config(lease_grace_ms=300))
    holder, client = connect(daemon), connect(daemon)
    lease = holder.call("lease.acquire", ttl_ms=HOUR)["lease"]
    holder.reset()
    wait_state(client, "free")
    write(client)
    assert client.fail("lease.renew", lease=lease).kind == "lease_lost"


def test_detached_it_needs_no_connection(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client]
) -> None:
    daemon = make_daemon(config=config(lease_grace_ms=0))
    holder, client = connect(daemon), connect(daemon)
    lease = holder.call("lease.acquire", ttl_ms=HOUR, detach=True)["lease"]
    holder.reset()
    wait_until(lambda: client.call("server.stats")["clients"] == 1, "the holder to have gone")
    assert state(client) == "held"
    write(client, lease=lease)
    client.call("lease.release", lease=lease)


def test_required_nothing_changes_without(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], validator: Validator
) -> None:
    client = connect(make_daemon(config=config(require_lease=True)))
    wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")

    def call() -> None:
        for method in CHANGING:
            error = client.fail(method, **example(validator, method))
            assert error.kind == "board_busy" and "holder" not in error.data

    leaves_no_trace(client, call)
    assert client.call("lease.status")["require_lease"] and client.call("board.status")["require_lease"]
    client.call("memory.read_u32", address=RAM_BASE)
    client.call("lease.acquire")
    write(client)


def test_break_is_for_admins(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    client = connect(make_daemon("--anonymous-role", "user"))
    assert client.fail("lease.break").kind == "forbidden"
    client.call("lease.acquire")
    client.call("lease.release")


def test_nobody_holds_it(client: Client) -> None:
    assert client.call("lease.break") == {"found": False}
    assert client.fail("lease.release").kind == "lease_lost"
    assert client.fail("lease.renew", lease="f" * 32).kind == "lease_lost"
    assert not client.call("lease.status")["yours"]


# Beside a long change.


@pytest.fixture(scope="module", name="slow_stack")
def fixture_slow_stack(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> Iterator[Stack]:
    """No work area: a write of 8 KiB takes seconds."""
    with Stack(
        tmp_path_factory.mktemp("slow"),
        validator,
        flash_size=16 * KIB,
        image=make_image(16 * KIB),
        daemon_flags=["--anonymous-role", "admin"],
    ) as stack:
        yield stack


def start_write(client: Client, seed: int) -> None:
    """Sends a long write as call "w", and waits until it programs."""
    data = noise(8 * KIB, seed)
    params = {"address": FLASH_BASE, "data": data.hex(), "encoding": "hex", "prepare": "halt", "progress": "w"}
    client.send_text(json.dumps(client.make_call("flash.write_image", params, "w")))
    client.wait_notification(
        lambda note: note["method"] == "progress" and note["params"]["phase"] == "program"
        and note["params"]["done"] > 0
    )


def test_it_does_not_end_under_its_running_change(slow_stack: Stack) -> None:
    holder, client = slow_stack.client(), slow_stack.client()
    holder.call("lease.acquire", ttl_ms=HOUR)
    start_write(holder, 1)
    granted = client.send("lease.acquire", wait_ms=HOUR)
    wait_waiting(client, 1)
    holder.call("lease.renew", ttl_ms=1000)  # only now, for the write may be slow to begin
    wait_state(client, "overdue")
    assert client.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    assert holder.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "lease_lost"
    assert holder.result("w")["bytes_written"] > 0
    assert client.result(granted)["lease"]
    assert lease_kinds(holder) == ["queued", "overdue", "expired"]
    client.call("lease.release")


def test_broken_in_the_middle_of_a_write(slow_stack: Stack) -> None:
    """The write stops at the end of a piece; the next one gets the lease behind that."""
    holder, waiter, admin = slow_stack.client(), slow_stack.client(), slow_stack.client()
    holder.call("lease.acquire", ttl_ms=HOUR)
    start_write(holder, 2)
    queued = holder.send("memory.write_u32", address=RAM_BASE, values=7)
    granted = waiter.send("lease.acquire", wait_ms=HOUR)
    wait_waiting(admin, 1)
    assert admin.call("lease.break") == {"found": True}
    error = holder.error("w")
    assert error.kind == "cancelled" and "broken" in error.message
    assert error.data["flash_state"] == "partial" and error.data["done"] > 0
    assert holder.error(queued).kind == "cancelled"
    assert waiter.result(granted)["lease"]
    assert lease_kinds(holder) == ["queued", "broken"]
    assert holder.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    write(waiter, 8)
    waiter.call("lease.release")


def test_a_detached_write_keeps_the_lease_of_a_client_that_has_gone(slow_stack: Stack) -> None:
    holder, client = slow_stack.client(), slow_stack.client()
    holder.call("lease.acquire", ttl_ms=1000)
    start_write(holder, 3)
    holder.reset()
    wait_state(client, "overdue")
    granted = client.send("lease.acquire", wait_ms=HOUR)
    (operation,) = (each for each in client.call("operation.list")["operations"] if each["state"] == "running")
    assert client.result(granted)["lease"]
    ended = client.call("operation.status", operation=operation["operation"])
    assert ended["method"] == "flash.write_image" and ended["state"] == "done"
    client.call("lease.release")


# Over restarts of the daemon.


def find_file(state_dir: Path) -> Path:
    """The lease's, which must be there alone."""
    (found,) = state_dir.rglob("lease")
    return found


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_outlives_the_daemon(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path, end: str
) -> None:
    flags = ["--anonymous-role", "admin", "--state-dir", str(tmp_path / "state")]
    daemon = make_daemon(*flags)
    before = connect(daemon)
    before.call("server.hello", client="ci")
    lease = before.call("lease.acquire", ttl_ms=60000, reason="nightly")["lease"]
    found = before.call("lease.status")["lease"]
    getattr(daemon, end)()
    file = find_file(tmp_path / "state")
    assert file.stat().st_mode & 0o777 == 0o600 and lease not in file.read_text()
    daemon = make_daemon(*flags)
    holder, other = connect(daemon), connect(daemon)
    now = other.call("lease.status")["lease"]
    assert now["state"] == "absent" and now["since"] == found["since"] and now["reason"] == "nightly"
    assert other.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    write(holder, 9, lease=lease)
    assert holder.call("lease.renew", lease=lease)["ttl_ms"] == 60000
    holder.call("lease.release")
    assert not file.exists()
    write(other, 10)
    getattr(daemon, end)()
    assert state(connect(make_daemon(*flags))) == "free"


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"version": 1}', "\0" * 100, "x" * 100000],
                         ids=lambda value: ascii(value)[:40])
def test_a_file_that_cannot_be_read_is_told_and_is_no_lease(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path, text: str
) -> None:
    flags = ["--anonymous-role", "admin", "--state-dir", str(tmp_path / "state")]
    daemon = make_daemon(*flags)
    connect(daemon).call("lease.acquire")
    daemon.kill()
    find_file(tmp_path / "state").write_text(text)
    daemon = make_daemon(*flags)
    daemon.wait_for_line("lease cannot be read")
    client = connect(daemon)
    assert state(client) == "free"
    client.call("lease.acquire")
    write(client)
    client.call("lease.release")


def test_what_cannot_be_kept_is_told(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("no directory")
    daemon = make_daemon("--anonymous-role", "admin", "--state-dir", str(tmp_path / "state"))
    client = connect(daemon)
    client.call("lease.acquire")
    daemon.wait_for_line("will not outlive the daemon")
    write(client)
    client.call("lease.release")
