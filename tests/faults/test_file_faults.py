"""Files of commands that go wrong: probes that lie, files that vanish, disks that are full, replies that are late."""

from __future__ import annotations

import base64
import os
import resource
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

CONTENT = bytes(range(256)) * 16
SHORT_MS = 250
READ_PROBE = r"\$f read 100"
WRITE_PROBE = r"error \{no file\}"


@pytest.fixture(name="share")
def fixture_share(tmp_path: Path) -> Path:
    """Where the shared directory is made."""
    path = tmp_path / "share"
    path.mkdir()
    return path


@pytest.fixture(name="shared")
def fixture_shared(make_rig: Callable[..., Rig], share: Path) -> Any:
    """A rig whose files go through a shared directory, with something in its memory. It must work behind the test, and
    no file may be left."""
    made = make_rig(share_dir=str(share))
    made.mock.poke(RAM, CONTENT)
    yield made
    made.assert_works()
    assert files_in(share) == []


def files_in(share: Path) -> List[Path]:
    """Of the daemon's directory."""
    return [path for directory in share.iterdir() for path in directory.iterdir()]


def read(client: Any) -> bytes:
    return base64.b64decode(client.call("memory.read_bytes", address=RAM, size=len(CONTENT), timeout_ms=LONG_MS)["data"])


def send_read(client: Any, **more: Any) -> Any:
    return client.send("memory.read_bytes", address=RAM, size=len(CONTENT), **more)


def result_of(client: Any, identifier: Any) -> bytes:
    return base64.b64decode(client.result(identifier)["data"])


def reconnect(rig: Rig) -> str:
    """A new handshake; the way that it finds."""
    before = rig.stats()["boards"][0]["reconnects"]
    rig.mock.drop()
    wait_until(lambda: rig.stats()["boards"][0]["reconnects"] > before, "the reconnect")
    way: str = rig.wait_link("idle")["staging"]
    return way


@pytest.mark.parametrize(
    "pattern,fault",
    [
        (READ_PROBE, {"code": 0, "text": "0" * 64}),
        (READ_PROBE, {"code": 0, "text": ""}),
        (READ_PROBE, {"code": 1, "text": "Permission denied"}),
        (WRITE_PROBE, {"code": 1, "text": "Read-only file system"}),
        (WRITE_PROBE, {"code": 0, "text": ""}),
    ],
    ids=["other bytes", "nothing", "unreadable", "unwritable", "written elsewhere"],
)
def test_probe_that_proves_nothing(shared: Rig, share: Path, pattern: str, fault: Dict[str, Any]) -> None:
    shared.mock.fault("fail", match=pattern, times=0, **fault)
    assert reconnect(shared) == "link"
    assert files_in(share) == []
    assert read(shared.client()) == CONTENT
    assert shared.sent("file tempfile.*dump_image") > 0
    shared.mock.clear_faults()
    assert reconnect(shared) == "shared"
    assert read(shared.client()) == CONTENT


@pytest.mark.parametrize("pattern", [READ_PROBE, WRITE_PROBE])
def test_link_lost_inside_the_probe(shared: Rig, share: Path, pattern: str) -> None:
    shared.mock.fault("drop", match=pattern, when="after", times=1)
    reconnect(shared)
    wait_until(lambda: shared.mock.faults() == [], "the probe")
    wait_until(lambda: shared.wait_link("idle")["staging"] == "shared", "the next handshake")
    assert files_in(share) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_file_of_an_abandoned_command_stays_until_openocd_is_done(shared: Rig, share: Path, when: str) -> None:
    client = shared.client()
    shared.mock.fault("stall", when=when, match="dump_image")
    identifier = send_read(client, timeout_ms=SHORT_MS)
    shared.mock.wait(stalled=True)
    assert client.error(identifier).kind == "timeout"
    assert shared.status()["link"] == "abandoned"
    assert len(files_in(share)) == 1
    shared.mock.release()
    wait_until(lambda: files_in(share) == [], "the file to go")
    assert read(client) == CONTENT


def test_file_of_an_abandoned_command_goes_with_the_link(make_rig: Callable[..., Rig], share: Path) -> None:
    rig = make_rig(share_dir=str(share), link_limit_ms=1000)
    client = rig.client()
    rig.mock.fault("stall", match="dump_image")
    identifier = send_read(client, timeout_ms=SHORT_MS)
    assert client.error(identifier).kind == "timeout"
    assert len(files_in(share)) == 1
    rig.wait_link("down", "connecting", "handshake")
    assert not [path for path in files_in(share) if path.stat().st_size == 0 and rig.status()["link"] == "abandoned"]
    rig.mock.release()
    rig.wait_link("idle")
    assert files_in(share) == []
    rig.assert_works()


@pytest.mark.parametrize("when", ["command", "before", "inside", "after"])
def test_link_lost_in_the_middle_of_a_read(either_rig: Rig, when: str) -> None:
    either_rig.mock.poke(RAM, CONTENT)
    either_rig.mock.fault("drop", match="dump_image", when=when)
    assert read(either_rig.client()) == CONTENT


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "nothing", "another"])
def test_what_stands_in_a_files_place_is_not_read(shared: Rig, share: Path, tmp_path: Path, kind: str) -> None:
    """The command, which may run twice, gets a second file."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * len(CONTENT))
    client = shared.client()
    shared.mock.fault("stall", when="after", match="dump_image")
    identifier = send_read(client, timeout_ms=LONG_MS)
    shared.mock.wait(stalled=True)
    path, = files_in(share)
    path.rename(tmp_path / "aside")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(secret)
    elif kind == "directory":
        path.mkdir()
    elif kind == "another":
        path.write_bytes(b"x" * 1024)
    shared.mock.release()
    assert result_of(client, identifier) == CONTENT
    assert secret.exists()
    if kind == "directory":
        path.rmdir()


def test_file_that_openocd_does_not_see(shared: Rig) -> None:
    """Once: the way is found out anew, and the command sent again. Twice: its own words."""
    client = shared.client()
    handshakes = shared.sent(r"\Aversion\Z")
    shared.mock.fault("fail", match="dump_image", code=7700, text="not there")
    assert read(client) == CONTENT
    assert shared.sent(r"\Aversion\Z") == handshakes + 1
    shared.mock.fault("fail", match="dump_image", code=7700, text="not there", times=2)
    error = client.fail("memory.read_bytes", address=RAM, size=4096)
    assert error.kind == "stage_error" and "not there" in error.message
    assert read(client) == CONTENT


def test_file_that_openocd_does_not_see_while_flash_is_written(shared: Rig) -> None:
    """Nothing was programmed then: the same piece comes again."""
    client = shared.client()
    client.call("target.halt")
    shared.mock.fault("fail", match="write_bank", code=7700, text="not there")
    client.call("flash.write_image", data=base64.b64encode(CONTENT).decode())
    assert shared.mock.peek(FLASH, len(CONTENT)) == CONTENT
    shared.mock.fault("fail", match="write_bank", code=7700, text="not there", times=2)
    error = client.fail("flash.write_image", data=base64.b64encode(CONTENT[::-1]).decode())
    assert error.kind == "stage_error" and "not there" in error.message
    client.call("flash.write_image", data=base64.b64encode(CONTENT).decode())
    assert shared.mock.peek(FLASH, len(CONTENT)) == CONTENT


def test_directory_that_is_taken_away(shared: Rig, share: Path) -> None:
    directory, = share.iterdir()
    directory.rmdir()
    client = shared.client()
    assert read(client) == CONTENT
    assert shared.sent("file tempfile.*dump_image") > 0
    assert reconnect(shared) == "link"
    assert read(client) == CONTENT


@pytest.mark.parametrize("what", [resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE], ids=["full", "no descriptors"])
def test_daemon_that_can_make_no_file(shared: Rig, what: int) -> None:
    """A full disk, too many open files: this file goes over the link."""
    client = shared.client()
    client.call("target.halt")
    pid = shared.daemon.pid
    before = resource.prlimit(pid, what)
    most = 100 if what == resource.RLIMIT_FSIZE else 1 + max(int(name) for name in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, what, (most, before[1]))
    client.call("flash.write_image", data=base64.b64encode(CONTENT).decode())
    resource.prlimit(pid, what, before)
    assert shared.mock.peek(FLASH, len(CONTENT)) == CONTENT
    assert shared.sent("file tempfile.*write_bank") > 0
    over_the_link = shared.sent("file tempfile.*write_bank")
    client.call("flash.write_image", data=base64.b64encode(CONTENT[::-1]).decode())
    assert shared.mock.peek(FLASH, len(CONTENT)) == CONTENT[::-1]
    assert shared.sent("file tempfile.*write_bank") == over_the_link


def test_openocd_whose_disk_is_full(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    stage = tmp_path / "stage"
    stage.mkdir()
    rig = make_rig(stage_dir=str(stage))
    client = rig.client()
    client.call("target.halt")
    assert rig.mock.process is not None
    pid = rig.mock.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, before[1]))
    error = client.fail("flash.write_image", data=base64.b64encode(CONTENT).decode(), mode="full")
    assert error.kind == "stage_error" and "cut short" in error.message
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    client.call("flash.write_image", data=base64.b64encode(CONTENT).decode())
    assert rig.mock.peek(FLASH, len(CONTENT)) == CONTENT
    assert list(stage.iterdir()) == []


def test_sharing_alone_is_enough(make_rig: Callable[..., Rig], share: Path) -> None:
    """An OpenOCD that finds no place of its own for a file."""
    rig = make_rig(share_dir=str(share), stage_dir="/nonexistent/directory")
    assert rig.status()["staging"] == "shared" and "flash_files" in rig.status()["features"]
    client = rig.client()
    client.call("target.halt")
    client.call("flash.write_image", data=base64.b64encode(CONTENT).decode())
    assert rig.mock.peek(FLASH, 4 * KIB) == CONTENT
    rig.assert_works()


def test_daemon_that_stops_leaves_nothing(make_rig: Callable[..., Rig], share: Path) -> None:
    """Also with a command in flight."""
    rig = make_rig(share_dir=str(share))
    client = rig.client()
    rig.mock.fault("stall", match="dump_image")
    send_read(client, timeout_ms=LONG_MS)
    rig.mock.wait(stalled=True)
    assert len(files_in(share)) == 1
    rig.stop_daemon()
    assert rig.daemon.wait() == 0
    assert list(share.iterdir()) == []
