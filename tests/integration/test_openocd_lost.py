"""OpenOCD goes away: killed at the worst moments, hung, and with or without coming back."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

from flash_bank import SECTOR, Bank, encode, noise
from harness.client import Client, RpcError
from harness.paths import VBOARD_WORKAREA_CONFIG
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image
from harness.waiting import wait_until

SIZE = 64 * KIB
IMAGE = make_image(SIZE)


@pytest.fixture(name="own")
def fixture_own(make_stack: Callable[..., Stack], tmp_path: Path) -> Iterator[Stack]:
    """A stack to break. The daemon must have survived, and work once OpenOCD is back."""
    flags = ["--anonymous-role", "admin", "--dump-root", str(tmp_path)]
    stack = make_stack(flash_size=SIZE, image=IMAGE, daemon_flags=flags)
    stack.client().call("target.halt")
    yield stack
    if not stack.openocd.alive:
        stack.restart_openocd()
    assert stack.client().call("memory.read_u32", address=FLASH_BASE)["values"]
    assert stack.daemon.alive


def wait_running(client: Client, method: str) -> None:
    """Waits until a request of that method has begun."""

    def runs() -> bool:
        return bool(client.call("board.status").get("running", {}).get("method") == method)

    wait_until(runs, f"{method} to run")


def test_core_that_was_halted_before_openocd_came(own: Stack) -> None:
    """OpenOCD has not read its registers then: they are not told as zeros, and a step does not let it run away."""
    client = own.client()
    client.call("memory.write_bytes", address=RAM_BASE, data=encode(b"\x00\xbf" * 16))
    client.call("register.write", names=["r5", "sp"], values=["0x12345678", "0x20000400"])
    assert client.call("target.step", address=RAM_BASE)["pc"] == f"0x{RAM_BASE + 2:08x}"
    for _ in range(2):
        own.openocd.kill()
        own.restart_openocd()
        registers = client.call("register.read", names=["pc", "r5", "sp"])["registers"]
        assert [each["value"] for each in registers] == [f"0x{RAM_BASE + 2:08x}", "0x12345678", "0x20000400"]
    own.openocd.kill()
    own.restart_openocd()
    stepped = client.call("target.step", count=2)
    assert (stepped["state"], stepped["steps"], stepped["pc"]) == ("halted", 2, f"0x{RAM_BASE + 6:08x}")
    own.openocd.kill()
    own.restart_openocd()
    client.call("breakpoint.add", address=RAM_BASE + 6, kind="software")
    client.call("breakpoint.add", address=RAM_BASE + 10, kind="software")
    client.call("target.resume")
    client.call("target.wait", state="halted")
    assert client.call("register.read", names=["pc"])["registers"][0]["value"] == f"0x{RAM_BASE + 10:08x}"


def test_range_reads_go_on_where_they_were(own: Stack) -> None:
    client = own.client()
    read = client.send("memory.read_bytes", address=FLASH_BASE, size=SIZE, stream=True)
    client.wait_notification(lambda note: note["method"] == "data" and note["params"]["offset"] > 0)
    own.openocd.kill()
    own.restart_openocd()
    result = client.result(read)
    assert result["sha256"] == hashlib.sha256(IMAGE).hexdigest()
    assert result["disturbed"] is True, "nobody knows what happened to the board meanwhile"


def test_dump_goes_on_where_it_was(own: Stack, tmp_path: Path) -> None:
    client = own.client()
    dump = client.send("memory.dump", address=FLASH_BASE, size=SIZE, path="dump", progress="p")
    client.wait_notification(lambda note: note["method"] == "progress" and note["params"]["done"] > 0)
    own.openocd.kill()
    assert not (tmp_path / "dump").exists()
    own.restart_openocd()
    assert client.result(dump)["sha256"] == hashlib.sha256(IMAGE).hexdigest()
    assert (tmp_path / "dump").read_bytes() == IMAGE


@pytest.mark.parametrize("cacheable", [False, True])
def test_typed_read_in_flight(own: Stack, cacheable: bool) -> None:
    """A register may clear when it is read: only who says that it does not gets a second try."""
    client, other = own.client(), own.client()
    read = client.send("memory.read_u8", address=FLASH_BASE, count=65536, cacheable=cacheable)
    wait_running(other, "memory.read_u8")
    own.openocd.kill()
    own.restart_openocd()
    if cacheable:
        assert client.result(read)["values"] == list(IMAGE)
        return
    error = client.error(read)
    assert error.kind == "openocd_unavailable" and error.data["retry_in_ms"] >= 0


@pytest.mark.parametrize(
    "method, params",
    [
        ("memory.write_u8", {"address": RAM_BASE, "values": [7] * 16384}),
        ("memory.write_bytes", {"address": RAM_BASE, "data": encode(bytes(16384))}),
        ("openocd.command", {"command": "sleep 20000"}),
    ],
)
def test_change_in_flight(own: Stack, method: str, params: Dict[str, Any]) -> None:
    """Its outcome is unknown, and it is not tried again."""
    client, other = own.client(), own.client()
    change = client.send(method, **params)
    wait_running(other, method)
    own.openocd.kill()
    error = client.error(change)
    assert error.kind == "outcome_unknown", error.message
    commands = other.call("server.stats")["boards"][0]["commands"]
    own.restart_openocd()
    other.call("target.state")
    added = other.call("server.stats")["boards"][0]["commands"] - commands
    assert added < 10, "the handshake's commands and the question's own, and nothing more"


def test_flash_write_in_flight(own: Stack) -> None:
    """The flash is partly written, which the error says; the next write, here with a work area, sets it right."""
    bank = Bank(own)
    client = own.client()
    data = noise(10 * SECTOR, 1)
    write = client.send("flash.write_image", **bank.params(8 * SECTOR, data, prepare="halt", progress="w"))
    note = client.wait_notification(
        lambda note: note["method"] == "progress" and note["params"]["phase"] == "program"
            and note["params"]["done"] > 0
    )
    own.openocd.kill()
    error = client.error(write)
    assert error.kind == "outcome_unknown" and error.data["flash_state"] == "partial"
    assert 0 < error.data["done"] < 10 * SECTOR
    own.openocd_config = VBOARD_WORKAREA_CONFIG
    own.restart_openocd()
    record = client.call("operation.status", operation=note["params"]["operation"])
    assert record["state"] == "failed" and record["error"]["data"]["kind"] == "outcome_unknown"
    found = bank.read()
    assert found[: 8 * SECTOR] == IMAGE[: 8 * SECTOR] and found[18 * SECTOR :] == IMAGE[18 * SECTOR :]
    bank.write(8 * SECTOR, data)
    bank.check()


def test_what_waits_is_run_when_it_is_back(own: Stack) -> None:
    """Requests of several clients that were queued when the link was lost, and while it was down."""
    holder, clients = own.client(), [own.client() for _ in range(4)]
    holder.send("openocd.command", command="sleep 20000")
    wait_running(clients[0], "openocd.command")
    before = [each.send("memory.read_u32", address=FLASH_BASE + 4 * i) for i, each in enumerate(clients)]
    write = clients[0].send("memory.write_u32", address=RAM_BASE, values=77)
    clients[0].call("server.hello")
    own.openocd.kill()
    during = [each.send("memory.read_bytes", address=FLASH_BASE, size=100 + i) for i, each in enumerate(clients)]
    own.restart_openocd()
    for i, each in enumerate(clients):
        assert each.result(before[i])["values"] == [int.from_bytes(IMAGE[4 * i : 4 * i + 4], "little")]
        assert base64.b64decode(each.result(during[i])["data"]) == IMAGE[: 100 + i]
    assert clients[0].result(write) == {"count": 1}
    assert clients[0].call("memory.read_u32", address=RAM_BASE)["values"] == [77]


def test_not_coming_back(own: Stack) -> None:
    """Whatever needs the link waits ten seconds at the most, or less where it has less time; the rest works at once."""
    client, other = own.client(), own.client()
    own.openocd.kill()
    sent = {
        "memory.read_u32": client.send("memory.read_u32", address=FLASH_BASE),
        "memory.write_u32": client.send("memory.write_u32", address=RAM_BASE, values=1),
        "memory.read_bytes": client.send("memory.read_bytes", address=FLASH_BASE, size=5000),
        "flash.write_image": client.send("flash.write_image", data="AAAA"),
        "target.halt": client.send("target.halt"),
        "openocd.command": client.send("openocd.command", command="version", timeout_ms=3600000),
    }
    assert other.fail("memory.read_u32", address=FLASH_BASE, timeout_ms=30).kind == "openocd_unavailable"
    status = other.call("board.status")
    assert status["link"] in ("down", "connecting") and status["last_error"] and status["retry_in_ms"] >= 0
    assert status["queued"] == len(sent) and status["targets"][0]["target"] == "vb.cpu", "what was known last"
    assert other.call("request.cancel", id="x") == {"found": False}
    cancelled = client.send("memory.read_u32", address=FLASH_BASE)
    assert client.call("request.cancel", id=cancelled) == {"found": True}
    assert client.error(cancelled).kind == "cancelled"
    errors: Dict[str, RpcError] = {method: client.error(identifier) for method, identifier in sent.items()}
    for method, error in errors.items():
        assert error.kind == "openocd_unavailable", f"{method}: {error.message}"
        assert error.data["retry_in_ms"] >= 0 and f"127.0.0.1:{own.tcl_port}" in error.message
    assert errors["flash.write_image"].data["flash_state"] == "unchanged"
    assert errors["memory.read_bytes"].data["done"] == 0


def test_openocd_shut_down_by_a_command(own: Stack) -> None:
    client = own.client()
    shutdown = client.send("openocd.command", command="shutdown")
    try:
        client.result(shutdown)
    except RpcError as error:
        assert error.kind in ("outcome_unknown", "openocd_unavailable")
    own.openocd.wait()
    own.restart_openocd()
    assert client.call("target.state")["target"] == "vb.cpu"


def test_again_and_again(own: Stack) -> None:
    client = own.client()
    for i in range(3):
        own.openocd.kill()
        read = client.send("memory.read_bytes", address=FLASH_BASE + i, size=3000)
        own.restart_openocd()
        assert base64.b64decode(client.result(read)["data"]) == IMAGE[i : i + 3000]
    assert client.call("server.stats")["boards"][0]["reconnects"] >= 3


def test_the_virtual_board_goes(own: Stack) -> None:
    """OpenOCD lives on and fails; so does everything that needs the board, and nothing else."""
    client = own.client()
    own.vboard.kill()
    error = client.fail("memory.read_u32", address=FLASH_BASE)
    assert error.kind in ("target_error", "openocd_unavailable")
    assert client.call("server.hello")["server"] == "ocdmux"
    own.openocd.kill()
    own.restart_vboard()
    own.restart_openocd()
    assert base64.b64decode(client.call("memory.read_bytes", address=FLASH_BASE, size=64)["data"]) == IMAGE[:64]
    own.assert_alive()


def test_hung(stack: Stack, make_stack: Callable[..., Stack], validator: Any) -> None:
    """OpenOCD stopped: requests end at their time limits, the link at its own; afterwards all is as before."""
    config = '{"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%", "link_limit_ms": 1000}]}'
    own = make_stack(flash_size=8 * KIB, image=make_image(8 * KIB), config=config)
    client, other = own.client(), own.client()
    client.call("target.halt")
    client.call("events.subscribe", topics=["link"])
    os.kill(own.openocd.pid, signal.SIGSTOP)
    try:
        assert client.fail("memory.read_u32", address=FLASH_BASE, timeout_ms=50).kind == "timeout"
        write = other.send("memory.write_u32", address=RAM_BASE, values=1)
        assert client.call("board.list")["boards"][0]["link"] == "abandoned"
        down = client.wait_notification(lambda note: note["method"] == "event")["params"]
        assert down["state"] == "down" and "limit" in down["reason"]
    finally:
        os.kill(own.openocd.pid, signal.SIGCONT)
    assert other.result(write) == {"count": 1}
    assert client.call("memory.read_u32", address=RAM_BASE)["values"] == [1]


def test_nothing_listens_there(connect: Callable[..., Client], tmp_path: Path) -> None:
    """The daemon starts all the same, and says what is wrong."""
    with Daemon(["--openocd", "127.0.0.1:1", "--listen", "tcp:127.0.0.1:0"]) as daemon:
        client = connect(daemon)
        assert client.call("server.hello")["boards"] == ["board"]
        status = wait_until(
            lambda: status if "last_error" in (status := client.call("board.status")) else None,
                "the first attempt to fail"
        )
        assert "127.0.0.1:1" in status["openocd"] and status["targets"] == [] and "version" not in status
        assert client.fail("target.state", timeout_ms=30).kind == "openocd_unavailable"


def test_something_else_listens_there(connect: Callable[..., Client], stack: Stack) -> None:
    """Another daemon, say: it is no OpenOCD, and is told apart."""
    port = stack.daemon.address.rpartition(":")[2]
    with Daemon(["--openocd", f"127.0.0.1:{port}", "--listen", "tcp:127.0.0.1:0"]) as daemon:
        client = connect(daemon)
        assert client.fail("target.state", timeout_ms=300).kind == "openocd_unavailable"
        assert client.call("board.list")["boards"][0]["link"] in ("handshake", "down", "connecting")
