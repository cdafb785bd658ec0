"""memory.dump and flash.read_to_file into stages, and memory.write_bytes out of one."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Callable, Dict, Tuple

import pytest

from flash_bank import noise
from harness.client import Client
from harness.gate import Gate
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image
from harness.waiting import wait_until
from stage_kit import begin, digest, fetch, files, listed, upload

CONTENT = make_image(16 * KIB)
WAYS: Tuple[Tuple[str, Dict[str, Any]], ...] = (
    ("memory.dump", {"address": FLASH_BASE, "size": 16 * KIB}),
    ("flash.read_to_file", {}),
)
BOTH = pytest.mark.parametrize("method, params", WAYS, ids=["memory", "flash"])


@pytest.mark.parametrize("offset, size", [(0, 1), (3, 1000), (0, 16 * KIB), (1, 16 * KIB - 1)])
def test_a_dump_becomes_a_complete_stage(stager: Client, offset: int, size: int) -> None:
    result = stager.call("memory.dump", address=FLASH_BASE + offset, size=size)
    data = CONTENT[offset : offset + size]
    assert "path" not in result and (result["size"], result["sha256"]) == (size, digest(data))
    assert fetch(stager, result["stage"], size) == data
    row = listed(stager, result["stage"])
    assert row is not None and row["complete"] is True and row["pinned"] is False
    assert row["name"] == f"memory-{FLASH_BASE + offset:#010x}.bin" and row["sha256"] == digest(data)
    assert begin(stager, data) == {"stage": result["stage"], "present": True, "offset": size}


@BOTH
def test_it_outlives_the_connection(
    stager: Client, stage_stack: Stack, method: str, params: Dict[str, Any]
) -> None:
    other = stage_stack.client()
    stage = other.call(method, **params)["stage"]
    other.close()
    assert fetch(stager, stage, 16 * KIB) == CONTENT


def test_what_was_dumped_is_written_back(stager: Client) -> None:
    data = noise(3000, 1)
    stage = upload(stager, data)
    assert stager.call("memory.write_bytes", address=RAM_BASE + 8 * KIB + 1, stage=stage)["size"] == 3000
    copy = stager.call("memory.dump", address=RAM_BASE + 8 * KIB + 1, size=3000)
    assert copy["sha256"] == digest(data) and copy["stage"] != stage
    assert fetch(stager, copy["stage"], 3000) == data
    again = stager.call("memory.write_bytes", address=RAM_BASE + 12 * KIB, stage=copy["stage"], timeout_ms=60000)
    assert again["size"] == 3000
    found = stager.call("memory.read_bytes", address=RAM_BASE + 12 * KIB, size=3000)
    assert base64.b64decode(found["data"]) == data


def test_writing_takes_one_source(stager: Client) -> None:
    stage = upload(stager, b"abc")
    for params in ({}, {"stage": stage, "data": "QQ=="}):
        error = stager.fail("memory.write_bytes", address=RAM_BASE, **params)
        assert error.kind == "invalid_params" and error.data["parameter"] == "data"
    error = stager.fail("memory.write_bytes", address=RAM_BASE, path="x")
    assert error.kind == "invalid_params" and error.data["parameter"] == "path"
    error = stager.fail("memory.write_bytes", address="0xffffffffffffffff", stage=stage)
    assert error.kind == "invalid_range"
    row = listed(stager, stage)
    assert row is not None and row["pinned"] is False


@BOTH
def test_the_quota_counts_while_it_waits(
    stager: Client, stage_stack: Stack, stage_gate: Gate, stage_place: Path, method: str, params: Dict[str, Any]
) -> None:
    """Where the size is known; else from when it is."""
    params = {**params, "size": 16 * KIB}
    worker = stage_stack.client()
    with stage_gate:
        request = worker.send(method, **params)
        row = worker.call("stage.list")["stages"][0]
        assert (row["size"], row["offset"], row["complete"], row["pinned"]) == (16 * KIB, 0, False, True)
        assert stager.call("stage.list")["used_bytes"] == 16 * KIB
        for name, more in (("stage.write", {"offset": 0, "data": "QQ=="}), ("stage.read", {"size": 1})):
            error = stager.fail(name, stage=row["stage"], **more)
            assert error.kind == "stage_error" and error.data["stage"] == row["stage"]
        assert stager.fail("stage.create", name="x", size=1008 * KIB + 1).data["limit"] == "max_stage_bytes"
    assert worker.result(request)["stage"] == row["stage"]
    assert files(stage_place / "stages") == [row["stage"]]


@BOTH
def test_no_room_is_told_before_anything_is_read(stager: Client, method: str, params: Dict[str, Any]) -> None:
    stager.call("stage.create", name="x", size=1024 * KIB - 100)
    error = stager.fail(method, **params)
    assert error.kind == "limit_exceeded" and error.data["limit"] == "max_stage_bytes"
    assert error.data.get("done", 0) == 0
    assert stager.call("stage.list")["used_bytes"] == 1024 * KIB - 100


@pytest.mark.parametrize("size", [1024 * KIB + 1, 1 << 40])
def test_more_than_the_quota(stager: Client, size: int) -> None:
    error = stager.fail("memory.dump", address=FLASH_BASE, size=size)
    assert error.kind == "limit_exceeded" and error.data["limit"] == "max_stage_bytes"


def test_a_dump_that_fails_leaves_nothing(stager: Client, stage_place: Path) -> None:
    error = stager.fail("memory.dump", address=RAM_BASE + 12 * KIB, size=9 * KIB)
    assert error.kind == "target_error" and error.data["done"] > 0
    wait_until(lambda: files(stage_place / "stages") == [], "the unfinished file to go")
    assert stager.call("stage.list")["stages"] == []


@BOTH
def test_cancel_leaves_nothing(
    stager: Client, stage_gate: Gate, stage_place: Path, method: str, params: Dict[str, Any]
) -> None:
    with stage_gate:
        request = stager.send(method, **params)
        assert stager.call("request.cancel", id=request)["found"] is True
        assert stager.error(request).kind == "cancelled"
        wait_until(lambda: files(stage_place / "stages") == [], "the file to go")
    assert stager.call("stage.list")["used_bytes"] == 0


@BOTH
def test_a_client_that_goes_leaves_nothing(
    stager: Client, stage_stack: Stack, stage_gate: Gate, stage_place: Path, method: str, params: Dict[str, Any]
) -> None:
    worker = stage_stack.client()
    with stage_gate:
        worker.send(method, **{**params, "size": 16 * KIB})
        wait_until(lambda: files(stage_place / "stages"), "the stage to be there")
        worker.reset()
        wait_until(lambda: files(stage_place / "stages") == [], "the file to go")
    assert stager.call("stage.list")["stages"] == []


@BOTH
def test_delete_while_it_is_made(
    stager: Client, stage_stack: Stack, stage_gate: Gate, stage_place: Path, method: str, params: Dict[str, Any]
) -> None:
    """There is nobody to keep it for: the read ends."""
    worker = stage_stack.client()
    with stage_gate:
        request = worker.send(method, **{**params, "size": 16 * KIB})
        stage = worker.call("stage.list")["stages"][0]["stage"]
        stager.call("stage.delete", stage=stage)
        assert listed(stager, stage) is None
    error = worker.error(request)
    assert error.kind == "stage_error" and error.data["stage"] == stage and "deleted" in error.message
    wait_until(lambda: files(stage_place / "stages") == [], "the file to go")


@BOTH
def test_openocd_dies_meanwhile(make_stack: Callable[..., Stack], method: str, params: Dict[str, Any]) -> None:
    """The read goes on when it is back, and every byte is in its place."""
    image = make_image(128 * KIB)
    stack = make_stack(image=image)
    client = stack.client()
    request = client.send(method, **{**params, "size": 128 * KIB}, timeout_ms=60000, progress="p")
    client.wait_notification(
        lambda note: note["method"] == "progress" and note["params"]["phase"] == "read" and note["params"]["done"] > 0
    )
    stack.openocd.kill()
    stack.restart_openocd()
    result = client.result(request)
    assert result["sha256"] == digest(image)
    assert fetch(client, result["stage"], 128 * KIB) == image
