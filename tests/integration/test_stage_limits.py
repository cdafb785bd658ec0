"""Quotas, expiry, and a full disk: what stages cost stays bounded, and others notice nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from flash_bank import noise
from harness.client import Client
from harness.gate import Gate
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack
from harness.waiting import wait_until
from stage_kit import begin, clear, config, digest, encode, fetch, files, listed, send, upload

pytestmark = pytest.mark.both  # ten thousand stages, and what they leave in memory


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> Path:
    """A stage root of the test's own."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture(name="limited")
def fixture_limited(
    root: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]
) -> Callable[..., Client]:
    """A client of a daemon with those limits and that stage root."""

    def start(**limits: Any) -> Client:
        return connect(make_daemon(config=config(root, limits=limits)))

    return start


def test_the_quota_counts_from_create(stager: Client) -> None:
    for size in (1024 * KIB + 1, (1 << 53) - 1, "0xffffffffffffffff"):
        error = stager.fail("stage.create", name="x", size=size)
        assert error.kind == "limit_exceeded"
        assert error.data["limit"] == "max_stage_bytes" and error.data["maximum"] == 1024 * KIB
    stage = stager.call("stage.create", name="x", size=1024 * KIB)["stage"]
    assert stager.call("stage.list")["used_bytes"] == 1024 * KIB
    assert stager.fail("stage.create", name="y", size=1).data["limit"] == "max_stage_bytes"
    stager.call("stage.delete", stage=stage)
    assert stager.call("stage.create", name="y", size=1)["offset"] == 0


def test_ten_thousand_creates(stager: Client, stage_stack: Stack, stage_place: Path) -> None:
    """End in limit_exceeded; another connection works meanwhile and afterwards, and what was there is still there."""
    data = noise(100, 1)
    kept = upload(stager, data)
    other = stage_stack.client()
    refused = 0
    for first in range(0, 10000, 100):
        requests = [stager.send("stage.create", name=f"n{first + i}", size=1) for i in range(100)]
        assert other.call("memory.read_u32", address=FLASH_BASE)["values"]
        for request in requests:
            reply = stager.reply(request)
            if "error" in reply:
                refused += 1
                assert reply["error"]["data"]["kind"] == "limit_exceeded"
                assert reply["error"]["data"]["limit"] == "max_stages" and reply["error"]["data"]["maximum"] == 16
    assert refused == 10000 - 15
    assert len(files(stage_place / "stages")) == 16
    assert fetch(other, kept, 100) == data
    clear(other)
    assert begin(stager, data)["present"] is False


def test_the_quota_of_all_together(limited: Callable[..., Client]) -> None:
    client = limited(max_total_stage_bytes=1000)
    client.call("stage.create", name="x", size=600)
    error = client.fail("stage.create", name="y", size=401)
    assert error.kind == "limit_exceeded"
    assert error.data["limit"] == "max_total_stage_bytes" and error.data["maximum"] == 1000
    assert client.call("stage.create", name="y", size=400)["offset"] == 0


def test_expiry(limited: Callable[..., Client], root: Path) -> None:
    """What nobody uses goes, file and all; what is used stays."""
    client = limited(stage_expiry_ms=1500)
    unused = [client.call("stage.create", name="x", size=5)["stage"], upload(client, b"hello")]
    assert set(files(root)) == set(unused)
    wait_until(lambda: files(root) == [], "the files to go")
    for stage in unused:
        error = client.fail("stage.read", stage=stage, size=1)
        assert error.kind == "not_found" and error.data["parameter"] == "stage"
    assert client.call("stage.list")["used_bytes"] == 0
    assert begin(client, b"hello")["present"] is False


def test_use_puts_expiry_off(limited: Callable[..., Client], root: Path) -> None:
    client = limited(stage_expiry_ms=2000)
    used = upload(client, b"hello")
    unused = upload(client, b"world")

    def unused_is_gone() -> bool:
        assert fetch(client, used, 5) == b"hello"
        return files(root) == [used]

    wait_until(unused_is_gone, "the unused one to go")
    assert listed(client, unused) is None


def test_what_is_pinned_does_not_expire(limited: Callable[..., Client], root: Path, tmp_path: Path) -> None:
    client = limited(stage_expiry_ms=1000)
    with Gate(client, tmp_path / "gate"):
        pinned = upload(client, b"hello")
        request = client.send("memory.write_bytes", address=RAM_BASE, stage=pinned)
        other = upload(client, b"world")
        wait_until(lambda: other not in files(root), "the other one to go")
        row = listed(client, pinned)
        assert row is not None and row["pinned"] is True
    assert client.result(request)["size"] == 5
    wait_until(lambda: files(root) == [], "it to go when it is used no more")


def test_an_image_has_its_limit(stager: Client) -> None:
    stage = upload(stager, noise(256 * KIB + 1, 2))
    for method in ("memory.write_bytes", "flash.write_image", "flash.verify"):
        params = {"address": RAM_BASE} if method == "memory.write_bytes" else {}
        error = stager.fail(method, stage=stage, **params)
        assert error.kind == "limit_exceeded"
        assert error.data["limit"] == "max_image_bytes" and error.data["maximum"] == 256 * KIB
    row = listed(stager, stage)
    assert row is not None and row["pinned"] is False


def test_what_waiting_calls_hold_is_bounded(limited: Callable[..., Client], tmp_path: Path) -> None:
    """One small call with the id of a large stage is a large call."""
    client = limited(max_total_queued_bytes=1000 * KIB)
    stage = upload(client, noise(300 * KIB, 3))
    with Gate(client, tmp_path / "gate"):
        requests = [client.send("memory.write_bytes", address=RAM_BASE, stage=stage) for _ in range(5)]
        for request in requests[3:]:
            error = client.error(request)
            assert error.kind == "limit_exceeded" and error.data["limit"] == "max_total_queued_bytes"
        for request in requests[:3]:
            client.call("request.cancel", id=request)
            assert client.error(request).kind == "cancelled"
        last = client.send("memory.write_bytes", address=RAM_BASE, stage=stage)
        client.call("request.cancel", id=last)
        assert client.error(last).kind == "cancelled"
    assert client.call("target.state")


# A full disk.


@pytest.fixture(name="small_disk")
def fixture_small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB. Needs root, as CI has it."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,nr_inodes=12", "tmpfs", str(place)], capture_output=True, text=True
    )
    assert mounted.returncode == 0, f"this test mounts a tmpfs, and must run as root: {mounted.stderr}"
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_full_disk(small_disk: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    """The chunk that does not fit is refused with the system's words; the stage stays what it was, and goes on when
    there is room."""
    client = connect(make_daemon(config=config(small_disk)))
    data, filler = noise(200 * KIB, 4), noise(150 * KIB, 5)
    held = upload(client, filler)
    stage = begin(client, data)["stage"]
    client.call("stage.write", stage=stage, offset=0, data=encode(data[: 10 * KIB]))
    error = client.fail("stage.write", stage=stage, offset=10 * KIB, data=encode(data[10 * KIB :]))
    assert error.kind == "stage_error" and error.data["stage"] == stage
    assert "No space left on device" in error.message
    assert begin(client, data) == {"stage": stage, "present": False, "offset": 10 * KIB}
    assert fetch(client, held, len(filler)) == filler
    client.call("stage.delete", stage=held)
    send(client, stage, data, 10 * KIB)
    assert fetch(client, stage, len(data)) == data


def test_full_disk_for_what_the_daemon_makes(
    small_disk: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]
) -> None:
    client = connect(make_daemon(config=config(small_disk)))
    held = upload(client, noise(240 * KIB, 6))
    error = client.fail("memory.dump", address=FLASH_BASE, size=64 * KIB)
    assert error.kind == "stage_error" and "No space left on device" in error.message
    wait_until(lambda: files(small_disk) == [held], "the unfinished file to go")
    client.call("stage.delete", stage=held)
    assert client.call("memory.dump", address=FLASH_BASE, size=64 * KIB)["size"] == 64 * KIB


def test_no_more_files(small_disk: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    client = connect(make_daemon(config=config(small_disk)))
    made = 0
    error = None
    while error is None:
        request = client.send("stage.create", name="x", size=1)
        reply = client.reply(request)
        made += "result" in reply
        error = reply.get("error")
    assert error["data"]["kind"] == "stage_error" and "No space left on device" in error["message"]
    assert client.call("stage.list")["used_bytes"] == made > 0
    clear(client)
    assert begin(client, b"x")["offset"] == 0


def test_hashes_of_other_sizes_do_not_find_each_other(stager: Client) -> None:
    data = noise(100, 7)
    stage = upload(stager, data)
    made = stager.call("stage.create", name="x", size=101, sha256=digest(data))
    assert made["stage"] != stage and made["present"] is False
