"""The audit file: every changing call, login and lease in it, no secret, and what a file that cannot be written does."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from harness.client import Client
from harness.processes import Daemon
from harness.stack import FLASH_BASE, RAM_BASE
from harness.tokens import make_token
from harness.waiting import wait_until

SECRET_WORD = "deadbeef"


def lines_of(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class Audited:
    """A daemon with an audit file, and two who may use it."""

    def __init__(self, make_daemon: Callable[..., Daemon], path: Path, **members: Any) -> None:
        self.path = path
        self.alice, entry = make_token(identity="alice", role="admin")
        self.carol, other = make_token(identity="carol", role="observer")
        config = {"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}], "audit": {"path": str(path), **members}}
        self.daemon = make_daemon(config=json.dumps({**config, "tokens": [entry, other]}))

    def lines(self, **wanted: Any) -> List[Dict[str, Any]]:
        return [line for line in lines_of(self.path) if all(line.get(key) == value for key, value in wanted.items())]


@pytest.fixture(name="audited")
def fixture_audited(make_daemon: Callable[..., Daemon], tmp_path: Path) -> Callable[..., Audited]:
    return lambda path=tmp_path / "audit", **members: Audited(make_daemon, path, **members)


def login(connect: Callable[..., Client], audited: Audited, token: str) -> Client:
    client = connect(audited.daemon)
    client.call("server.hello", token=token, client="the tool")
    return client


def test_a_change_has_a_beginning_and_an_end(audited: Callable[..., Audited], connect: Callable[..., Client]) -> None:
    kept = audited()
    alice = login(connect, kept, kept.alice)
    alice.call("target.halt")
    alice.call("memory.write_u32", address=RAM_BASE, values=[0xDEADBEEF])
    alice.call("memory.read_u32", address=RAM_BASE)
    begun, ended = kept.lines(method="memory.write_u32")
    assert (begun["event"], ended["event"]) == ("begun", "ended") and begun["call"] == ended["call"]
    for line in (begun, ended):
        assert (line["identity"], line["client"], line["board"]) == ("alice", "the tool", "b")
        assert line["peer"] and line["time"].endswith("Z") and line["params"] == {"address": RAM_BASE}
    assert ended["outcome"] == "done" and ended["result"] == {"count": 1} and ended["duration_ms"] >= 0
    assert not kept.lines(method="memory.read_u32")


def test_a_failure_and_a_refusal_are_told_apart(audited: Callable[..., Audited], connect: Callable[..., Client]) -> None:
    kept = audited()
    alice, carol = login(connect, kept, kept.alice), login(connect, kept, kept.carol)
    assert alice.fail("memory.write_u8", address="0x60000000", values=1).kind == "target_error"
    assert carol.fail("target.halt").kind == "forbidden"
    lease = alice.call("lease.acquire", reason="a night")["lease"]
    other = login(connect, kept, kept.alice)
    assert other.fail("memory.write_u8", address=RAM_BASE, values=1).kind == "board_busy"
    alice.call("lease.release", lease=lease)
    failed = kept.lines(method="memory.write_u8", outcome="failed")
    assert [line["error"]["kind"] for line in failed] == ["target_error"]
    refused = [(line["identity"], line["method"], line["error"]["kind"]) for line in kept.lines(event="refused")]
    assert refused == [("carol", "target.halt", "forbidden"), ("alice", "memory.write_u8", "board_busy")]
    kinds = [line["kind"] for line in kept.lines(event="lease")]
    assert kinds == ["granted", "released"] and kept.lines(event="lease")[0]["reason"] == "a night"


def test_the_image_is_named_by_its_hash(audited: Callable[..., Audited], connect: Callable[..., Client]) -> None:
    kept = audited()
    alice = login(connect, kept, kept.alice)
    alice.call("target.halt")
    image = bytes(range(64))
    sent = alice.call("memory.load_image", data=image.hex(), encoding="hex", format="bin", address=RAM_BASE)
    begun, ended = kept.lines(method="memory.load_image")
    assert begun["image"] == {"sha256": hashlib.sha256(image).hexdigest(), "size": 64}
    assert ended["result"]["bytes_written"] == sent["bytes_written"] == 64


def test_logins_and_nothing_secret(audited: Callable[..., Audited], connect: Callable[..., Client]) -> None:
    kept = audited()
    wrong = "ocdmux_" + "0" * 64
    assert connect(kept.daemon).fail("server.hello", token=wrong).kind == "unauthenticated"
    alice = login(connect, kept, kept.alice)
    lease = alice.call("lease.acquire")["lease"]
    alice.call("memory.write_bytes", address=RAM_BASE, data=SECRET_WORD, encoding="hex", lease=lease)
    alice.call("openocd.command", command="set audited 1")
    assert [line.get("error", line.get("identity")) for line in kept.lines(event="login")] == [
        "the token is wrong",
        "alice",
    ]
    assert kept.lines(method="openocd.command")[0]["params"] == {"command": "set audited 1"}
    text = kept.path.read_text()
    for secret in (kept.alice, kept.carol, wrong, lease, SECRET_WORD):
        assert secret not in text
    assert os.stat(kept.path).st_mode & 0o777 == 0o600


def test_a_rotated_file_is_opened_anew(audited: Callable[..., Audited], connect: Callable[..., Client]) -> None:
    kept = audited()
    alice = login(connect, kept, kept.alice)
    alice.call("target.halt")
    old = kept.path.with_suffix(".1")
    kept.path.rename(old)
    os.kill(kept.daemon.pid, signal.SIGHUP)
    wait_until(kept.path.exists, "a new audit file")
    alice.call("target.halt")
    assert [line["event"] for line in lines_of(kept.path)] == ["begun", "ended"]
    assert len([line for line in lines_of(old) if line.get("method") == "target.halt"]) == 2


@pytest.mark.parametrize("required", [False, True])
def test_a_full_disk_stops_only_who_wants_it(
    audited: Callable[..., Audited], connect: Callable[..., Client], required: bool
) -> None:
    kept = audited(path=Path("/dev/full"), required=required)
    alice = login(connect, kept, kept.alice)
    if required:
        error = alice.fail("target.halt")
        assert error.kind == "internal_error" and "No space left" in error.message
    else:
        alice.call("target.halt")
    kept.daemon.wait_for_line("audit file /dev/full: No space left on device: what happens is not written down")
    assert alice.call("memory.read_u8", address=FLASH_BASE)["values"]


def test_a_gap_is_said(audited: Callable[..., Audited], connect: Callable[..., Client], tmp_path: Path) -> None:
    path = tmp_path / "now_here"
    path.symlink_to("/dev/full")
    kept = audited(path=path)
    alice = login(connect, kept, kept.alice)
    alice.call("target.halt")
    path.unlink()
    os.kill(kept.daemon.pid, signal.SIGHUP)
    wait_until(path.exists, "a new audit file")
    alice.call("target.halt")
    lines = lines_of(path)
    assert lines[0]["event"] == "gap" and lines[0]["lines"] == 3
    assert [line["event"] for line in lines[1:]] == ["begun", "ended"]
    kept.daemon.wait_for_line("is written again; 3 lines are missing")


def test_a_path_that_cannot_be_opened_is_said_at_start(make_daemon: Callable[..., Daemon], tmp_path: Path) -> None:
    config = {"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}], "audit": {"path": str(tmp_path)}}
    with pytest.raises(RuntimeError, match="Is a directory"):
        make_daemon(config=json.dumps(config))
