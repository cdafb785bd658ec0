"""Real targets and directories whose names would do harm if they ever reached Tcl unquoted."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterator

import pytest

from harness.client import Client
from harness.processes import Daemon, OpenOcd
from harness.stack import KIB
from flash_bank import encode

NAMES = ["plain", "we[exit]rd $x", "br{ace", '"; shutdown; "', "back\\slash"]
DIRECTORIES = ["we[exit]rd $x", "br{ace", '"; shutdown; "', "back\\slash", "two words", "semi;colon #"]


@pytest.fixture(scope="module", name="dummy")
def fixture_dummy() -> Iterator[OpenOcd]:
    """OpenOCD without hardware."""
    with OpenOcd(0, config=Path(__file__).with_name("dummy.cfg")) as openocd:
        yield openocd


@pytest.fixture(name="dummy_client")
def fixture_dummy_client(dummy: OpenOcd, connect: Callable[..., Client]) -> Iterator[Client]:
    with Daemon(["--openocd", f"127.0.0.1:{dummy.port}", "--listen", "tcp:127.0.0.1:0", "--anonymous-role",
        "admin"]) as daemon:
        yield connect(daemon)
        assert dummy.alive and daemon.alive


def test_names_come_through(dummy_client: Client) -> None:
    targets = dummy_client.call("target.list")["targets"]
    assert [target["target"] for target in targets] == NAMES
    assert [target["current"] for target in targets] == [False] * (len(NAMES) - 1) + [True]
    assert [target["target"] for target in dummy_client.call("board.status")["targets"]] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_addressed(dummy_client: Client, name: str) -> None:
    """This kind of target refuses memory, in words that name it."""
    assert dummy_client.call("target.state", target=name)["target"] == name
    for error in (
        dummy_client.fail("memory.read_u32", address=0, target=name),
        dummy_client.fail("memory.write_u32", address=0, values=1, target=name),
        dummy_client.fail("memory.read_bytes", address=0, size=4096, target=name),
    ):
        assert error.kind == "target_error" and error.data["target"] == name
        assert name in error.data["openocd"]["text"]
    assert dummy_client.call("openocd.command", command="target current", target=name)["text"] == name
    assert dummy_client.call("openocd.command", command="target current")["text"] == NAMES[-1]


@pytest.mark.parametrize("name", NAMES)
def test_resume_of_what_openocd_would_crash_over(dummy_client: Client, name: str) -> None:
    assert dummy_client.fail("target.resume", target=name).kind in ("unsupported", "target_error")


@pytest.mark.parametrize("name", NAMES)
def test_registers_and_breakpoints(dummy_client: Client, name: str) -> None:
    """There are none of either, and OpenOCD would crash if it were asked to step or to set one."""
    assert dummy_client.call("register.list", target=name) == {"target": name, "registers": []}
    assert dummy_client.call("breakpoint.list", target=name) == {"target": name, "breakpoints": []}
    assert dummy_client.fail("register.read", names=["pc"], target=name).kind == "not_found"
    assert dummy_client.fail("register.write", names=["pc"], values=[1], target=name).kind == "not_found"
    assert dummy_client.fail("breakpoint.remove", address=0, target=name).kind == "not_found"
    for method, params in (
        ("target.step", {}), ("breakpoint.add", {"address": 0}), ("breakpoint.add", {"address": 0, "kind": "write"}),
    ):
        assert dummy_client.fail(method, target=name, **params).kind == "target_error"
    state = dummy_client.call("target.state", target=name)["state"]
    assert dummy_client.call("target.wait", state=state, target=name) == {"target": name, "state": state}


@pytest.mark.parametrize("name", DIRECTORIES)
def test_stage_directory(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path, flash_content: bytes, name: str
) -> None:
    directory = tmp_path / name
    directory.mkdir()
    client = connect(make_daemon("--stage-dir", str(directory), "--share-dir", "none"))
    assert client.call("flash.verify", data=encode(flash_content[: 2 * KIB]))["match"] is True
    assert list(directory.iterdir()) == [], "a temporary file was left behind"


def test_stage_directory_that_is_not_there(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path
) -> None:
    client = connect(make_daemon("--stage-dir", str(tmp_path / "missing"), "--share-dir", "none"))
    for error in (client.fail("flash.verify", data="AAAA"), client.fail("flash.write_image", data="AAAA")):
        assert error.kind == "stage_error" and "no directory" in error.message
    assert "flash_files" not in client.call("board.status")["features"]
    assert len(client.call("memory.read_bytes", address=0x08000000, size=8192)["data"]) > 8192
