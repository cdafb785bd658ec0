"""flash.read and flash.read_to_file: what they give, and what they refuse."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Callable

import pytest

from harness.client import Client
from harness.gate import Gate
from harness.stack import KIB, Stack, make_image
from stage_kit import digest, fetch, listed

SIZE = 128 * KIB


@pytest.mark.parametrize("offset, size", [(0, 1), (1, 1), (3, 1000), (4095, 4098), (SIZE - 1, 1), (0, SIZE)])
def test_ranges(client: Client, flash_content: bytes, offset: int, size: int) -> None:
    data = flash_content[offset : offset + size]
    result = client.call("flash.read", offset=offset, size=size)
    assert base64.b64decode(result["data"]) == data
    assert (result["size"], result["sha256"], result["disturbed"]) == (size, digest(data), False)
    operation = client.call("operation.status", operation=result["operation"])
    assert operation["state"] == "done" and operation["method"] == "flash.read"


def test_in_hex(client: Client, flash_content: bytes) -> None:
    assert client.call("flash.read", size=64, encoding="hex")["data"] == flash_content[:64].hex()


@pytest.mark.parametrize("encoding", ["base64", "hex"])
def test_streamed(client: Client, flash_content: bytes, encoding: str) -> None:
    request = client.send("flash.read", offset=5, size=100000, stream=True, encoding=encoding, progress="p")
    result = client.result(request)
    data = b""
    for note in client.take_notifications("data"):
        assert note["id"] == request and note["offset"] == len(data)
        data += bytes.fromhex(note["data"]) if encoding == "hex" else base64.b64decode(note["data"])
    assert data == flash_content[5:100005]
    assert "data" not in result and result["sha256"] == digest(data)
    last = client.take_notifications("progress")[-1]
    assert (last["phase"], last["done"], last["total"], last["unit"]) == ("read", 100000, 100000, "bytes")


def test_while_the_target_runs(make_stack: Callable[..., Stack]) -> None:
    image = make_image(8 * KIB)
    client = make_stack(flash_size=8 * KIB, image=image).client()
    client.call("target.reset", mode="run")
    assert base64.b64decode(client.call("flash.read", size=8 * KIB)["data"]) == image
    assert client.call("target.state")["state"] == "running"


@pytest.mark.parametrize(
    "offset, size", [(0, SIZE + 1), (SIZE, 1), (SIZE - 1, 2), (1 << 40, 1), ("0xffffffffffffffff", 1)]
)
@pytest.mark.parametrize("method", ["flash.read", "flash.read_to_file"])
def test_beyond_the_bank(client: Client, method: str, offset: Any, size: int) -> None:
    error = client.fail(method, offset=offset, size=size)
    assert error.kind == "invalid_range"
    assert error.data["bank"] == 0 and error.data["size"] == size
    assert client.call("stage.list")["stages"] == []


@pytest.mark.parametrize("offset", [SIZE, SIZE + 1, "0xffffffffffffffff"])
def test_the_rest_of_nothing(client: Client, offset: Any) -> None:
    error = client.fail("flash.read_to_file", offset=offset)
    assert error.kind == "invalid_range" and error.data["bank"] == 0 and error.data["size"] == SIZE
    assert client.call("stage.list")["stages"] == []


@pytest.mark.parametrize("bank", [1, 1023])
def test_no_such_bank(client: Client, bank: int) -> None:
    for method, params in (("flash.read", {"size": 1}), ("flash.read_to_file", {}), ("flash.read_to_file", {"size": 1})):
        error = client.fail(method, bank=bank, **params)
        assert error.kind == "not_found" and error.data["parameter"] == "bank"
    assert client.call("stage.list")["stages"] == []


def test_bad_parameters(client: Client) -> None:
    for method in ("flash.read", "flash.read_to_file"):
        for params in ({"bank": 1024, "size": 1}, {"bank": -1, "size": 1}, {"size": 0}, {"size": 1, "offset": "x"}):
            assert client.fail(method, **params).kind == "invalid_params"
    assert client.fail("flash.read").data["parameter"] == "size"


def test_too_much_for_one_reply(client: Client) -> None:
    error = client.fail("flash.read", size=4096 * KIB + 1)
    assert error.kind == "limit_exceeded" and error.data["limit"] == "max_inline_bytes" and "stream" in error.message


# Into files.


def test_the_whole_bank_into_a_stage(client: Client, flash_content: bytes) -> None:
    result = client.call("flash.read_to_file")
    assert (result["size"], result["sha256"], result["disturbed"]) == (SIZE, digest(flash_content), False)
    assert fetch(client, result["stage"], SIZE) == flash_content
    row = listed(client, result["stage"])
    assert row is not None and row["name"] == "flash-0-0x00000000.bin"
    client.call("stage.delete", stage=result["stage"])


@pytest.mark.parametrize("offset", [1, 4096, SIZE - 1])
def test_the_rest_of_the_bank(client: Client, flash_content: bytes, dump_root: Path, offset: int) -> None:
    result = client.call("flash.read_to_file", offset=offset, path=f"rest-{offset}")
    data = flash_content[offset:]
    assert (dump_root / f"rest-{offset}").read_bytes() == data
    assert (result["path"], result["size"], result["sha256"]) == (f"rest-{offset}", len(data), digest(data))
    assert "stage" not in result


def test_a_part_of_the_bank(client: Client, flash_content: bytes, dump_root: Path) -> None:
    client.call("flash.read_to_file", offset=100, size=5000, path="part", bank=0)
    assert (dump_root / "part").read_bytes() == flash_content[100:5100]
    stage = client.call("flash.read_to_file", offset=100, size=5000)["stage"]
    assert fetch(client, stage, 5000) == flash_content[100:5100]
    client.call("stage.delete", stage=stage)


@pytest.mark.parametrize("path", ["..", "/x", "../x", "a/../x", "a//x", "x/"])
def test_paths_that_lead_out(client: Client, path: str) -> None:
    for params in ({}, {"size": 1}):
        error = client.fail("flash.read_to_file", path=path, **params)
        assert error.kind == "forbidden" and "path" in error.message


def test_a_missing_directory(client: Client) -> None:
    error = client.fail("flash.read_to_file", path="missing/x")
    assert error.kind == "stage_error" and "No such file" in error.message


def test_progress_knows_the_total_once_the_bank_is_probed(client: Client) -> None:
    result = client.call("flash.read_to_file", progress="p")
    notes = client.take_notifications("progress")
    assert notes[0]["phase"] == "queued"
    assert (notes[-1]["phase"], notes[-1]["done"], notes[-1]["total"]) == ("read", SIZE, SIZE)
    client.call("stage.delete", stage=result["stage"])


def test_a_bank_that_was_not_probed(make_stack: Callable[..., Stack]) -> None:
    """OpenOCD says that it has size 0 then."""
    image = make_image(16 * KIB)
    stack = make_stack(flash_size=16 * KIB, image=image)
    client = stack.client()
    client.call("target.state")
    assert client.call("board.status")["banks"][0]["size"] == 0
    result = client.call("flash.read_to_file", offset=1000)
    assert result["size"] == 16 * KIB - 1000
    assert fetch(client, result["stage"], 16 * KIB - 1000) == image[1000:]
    assert client.call("board.status")["banks"][0]["size"] == 16 * KIB


def test_openocd_gone_and_back(make_stack: Callable[..., Stack]) -> None:
    """A read that waits for the link goes on when it is back; the new OpenOCD has not probed the bank."""
    image = make_image(8 * KIB)
    stack = make_stack(flash_size=8 * KIB, image=image)
    client = stack.client()
    client.call("flash.read", size=4)
    stack.openocd.kill()
    request = client.send("flash.read_to_file")
    stack.restart_openocd()
    result = client.result(request)
    assert fetch(client, result["stage"], 8 * KIB) == image


def test_consistent_makes_changes_wait(stager: Client, stage_gate: Gate) -> None:
    with stage_gate:
        request = stager.send("flash.read_to_file", consistent=True)
        other = stager.send("memory.write_u32", address=0x20002000, values=1)
    result = stager.result(request)
    assert stager.result(other)
    assert result["disturbed"] is False and result["size"] == 16 * KIB
