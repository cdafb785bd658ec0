"""stage.create, write, read, list and delete: uploads in chunks, resumed, repeated, and refused."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Dict

import pytest

from flash_bank import noise
from harness.client import Client
from harness.gate import Gate
from harness.stack import KIB, RAM_BASE, Stack
from stage_kit import begin, clear, digest, file_of, encode, fetch, files, listed, send, upload


@pytest.mark.parametrize("size, chunk", [(1, 1), (1000, 7), (65536, 65536), (300000, 4096), (1024 * KIB, 200000)])
def test_upload_in_chunks(stager: Client, size: int, chunk: int) -> None:
    data = noise(size, size)
    stage = upload(stager, data, chunk=chunk)
    assert fetch(stager, stage, size) == data
    row = listed(stager, stage)
    assert row is not None and row.pop("expires")
    assert row == {
        "stage": stage, "name": "app.bin", "size": size, "offset": size, "complete": True, "sha256": digest(data),
        "pinned": False,
    }


def test_both_encodings(stager: Client) -> None:
    data = bytes(range(256))
    stage = begin(stager, data)["stage"]
    stager.call("stage.write", stage=stage, offset=0, data=data[:100].hex(), encoding="hex")
    stager.call("stage.write", stage=stage, offset=100, data=encode(data[100:]))
    assert stager.call("stage.read", stage=stage, size=256, encoding="hex")["data"] == data.hex()
    assert base64.b64decode(stager.call("stage.read", stage=stage, size=256)["data"]) == data


def test_without_a_hash(stager: Client) -> None:
    data = noise(1000, 1)
    stage = stager.call("stage.create", name="x", size=1000)["stage"]
    row = listed(stager, stage)
    assert row is not None and "sha256" not in row and row["complete"] is False
    assert send(stager, stage, data)["sha256"] == digest(data)
    again = begin(stager, data, "y")
    assert again == {"stage": stage, "present": True, "offset": 1000}
    assert stager.call("stage.create", name="x", size=1000)["stage"] != stage


def test_content_that_is_there_is_not_sent_again(stager: Client, stage_stack: Stack) -> None:
    data = noise(5000, 2)
    stage = upload(stager, data)
    other = stage_stack.client()
    assert begin(other, data) == {"stage": stage, "present": True, "offset": 5000}
    assert other.call("stage.create", name="x", size=5000, sha256=digest(data).upper())["present"] is True
    assert other.call("stage.create", name="x", size=4999, sha256=digest(data))["present"] is False


@pytest.mark.parametrize("ending", ["reset", "close"])
def test_an_upload_goes_on_after_the_connection_was_lost(stager: Client, stage_stack: Stack, ending: str) -> None:
    data = noise(100000, 3)
    first = stage_stack.client()
    stage = begin(first, data)["stage"]
    first.call("stage.write", stage=stage, offset=0, data=encode(data[:40000]))
    first.send("stage.write", stage=stage, offset=40000, data=encode(data[40000:60000]))
    getattr(first, ending)()
    made = begin(stager, data)
    assert made["stage"] == stage and made["present"] is False and made["offset"] in (40000, 60000)
    send(stager, stage, data, made["offset"])
    assert fetch(stager, stage, len(data)) == data


def test_a_line_cut_in_the_middle_adds_nothing(stager: Client, stage_stack: Stack) -> None:
    data = noise(1000, 4)
    stage = begin(stager, data)["stage"]
    broken = stage_stack.client()
    params = {"stage": stage, "offset": 0, "data": encode(data)}
    line = json.dumps(broken.make_call("stage.write", params)).encode()
    broken.send_bytes(line[: len(line) // 2])
    broken.close()
    assert begin(stager, data) == {"stage": stage, "present": False, "offset": 0}
    send(stager, stage, data)


def test_chunks_may_be_repeated(stager: Client) -> None:
    """Their answers may have been lost; the last one's too."""
    data = noise(3000, 5)
    stage = begin(stager, data)["stage"]

    def write(first: int, last: int) -> Dict[str, Any]:
        return stager.call("stage.write", stage=stage, offset=first, data=encode(data[first:last]))

    assert write(0, 1000)["offset"] == 1000
    assert write(0, 1000)["offset"] == 1000
    assert write(500, 1500)["offset"] == 1500
    assert write(0, 3000)["complete"] is True
    assert write(2000, 3000) == {"offset": 3000, "size": 3000, "complete": True, "sha256": digest(data)}
    assert fetch(stager, stage, 3000) == data


def test_other_bytes_are_refused(stager: Client) -> None:
    data = noise(3000, 6)
    stage = begin(stager, data)["stage"]
    stager.call("stage.write", stage=stage, offset=0, data=encode(data[:2000]))
    error = stager.fail("stage.write", stage=stage, offset=1999, data=encode(b"\xff" + data[2000:]))
    assert error.kind == "stage_error" and error.data["stage"] == stage and "other bytes" in error.message
    send(stager, stage, data, 2000)
    error = stager.fail("stage.write", stage=stage, offset=0, data=encode(b"\xff"))
    assert error.kind == "stage_error"
    assert fetch(stager, stage, 3000) == data


def test_another_hash_empties_the_stage(stager: Client, stage_place: Path) -> None:
    data, wrong = noise(3000, 7), noise(3000, 8)
    stage = begin(stager, data)["stage"]
    stager.call("stage.write", stage=stage, offset=0, data=encode(wrong[:2999]))
    error = stager.fail("stage.write", stage=stage, offset=2999, data=encode(wrong[2999:]))
    assert error.kind == "stage_error" and error.data["stage"] == stage
    assert digest(data) in error.message and digest(wrong) in error.message
    assert file_of(stage_place / "stages", stage).stat().st_size == 0
    assert begin(stager, data) == {"stage": stage, "present": False, "offset": 0}
    assert stager.fail("stage.read", stage=stage, size=1).kind == "stage_error"
    send(stager, stage, data)
    assert fetch(stager, stage, 3000) == data


@pytest.mark.parametrize("offset", [11, 4096, 1 << 40, (1 << 53) - 1, "0xffffffffffffffff", "18446744073709551615"])
def test_holes_and_bytes_past_the_end(stager: Client, offset: Any) -> None:
    stage = stager.call("stage.create", name="x", size=20)["stage"]
    stager.call("stage.write", stage=stage, offset=0, data=encode(b"0123456789"))
    error = stager.fail("stage.write", stage=stage, offset=offset, data=encode(b"x"))
    assert error.kind == "invalid_params" and error.data["parameter"] in ("offset", "data")
    error = stager.fail("stage.write", stage=stage, offset=10, data=encode(b"x" * 11))
    assert error.kind == "invalid_params" and error.data["parameter"] == "data" and "20 bytes" in error.message
    assert stager.call("stage.write", stage=stage, offset=10, data=encode(b"0123456789"))["complete"] is True


@pytest.mark.parametrize("offset", [-1, 1.5, "x", None, "0x10000000000000000", True, [0]])
def test_offsets_that_are_none(stager: Client, offset: Any) -> None:
    stage = stager.call("stage.create", name="x", size=20)["stage"]
    error = stager.fail("stage.write", stage=stage, offset=offset, data=encode(b"x"))
    assert error.kind == "invalid_params" and error.data["parameter"] == "offset"
    assert begin(stager, b"y")["offset"] == 0


@pytest.mark.parametrize("data", ["", "A", "QQ", "QQ=", "Q Q=", "\u00fc", 1, None])
def test_data_that_is_none(stager: Client, data: Any) -> None:
    stage = stager.call("stage.create", name="x", size=20)["stage"]
    error = stager.fail("stage.write", stage=stage, offset=0, data=data)
    assert error.kind == "invalid_params" and error.data["parameter"] == "data"
    assert stager.call("stage.write", stage=stage, offset=0, data=encode(b"x"))["offset"] == 1


@pytest.mark.parametrize("size", [0, -1, 1.0, "big", None, "0x1ffffffffffffffff"])
def test_sizes_that_are_none(stager: Client, size: Any) -> None:
    error = stager.fail("stage.create", name="x", size=size)
    assert error.kind == "invalid_params" and error.data["parameter"] == "size"


@pytest.mark.parametrize(
    "sha256",
    ["", "0" * 63, "0" * 65, "g" + "0" * 63, "0x" + "0" * 62, " " + "0" * 63, "\u0660" * 64, "../" * 21 + "0", 0, None],
    ids=lambda value: ascii(value)[:40],
)
def test_hashes_that_are_none(stager: Client, sha256: Any) -> None:
    error = stager.fail("stage.create", name="x", size=5, sha256=sha256)
    assert error.kind == "invalid_params" and error.data["parameter"] == "sha256"
    assert stager.call("stage.list")["stages"] == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "/", "../../../../etc/passwd", "/etc/passwd", "lock", "a b", "-rf", "$(touch x)", "%s%n%p", '"; exit',
    "\u65e5\u672c.elf", "n" * 255, "con\\..\\x"],
)
def test_names_are_only_shown(stager: Client, stage_place: Path, name: str) -> None:
    data = noise(10, 9)
    stage = upload(stager, data, name)
    row = listed(stager, stage)
    assert row is not None and row["name"] == name
    assert files(stage_place / "stages") == [stage]
    assert fetch(stager, stage, 10) == data


@pytest.mark.parametrize("name", ["n" * 256, "a\nb", "a\tb", "\x1b[2J", "\x7f", 1, None])
def test_names_that_are_none(stager: Client, name: Any) -> None:
    error = stager.fail("stage.create", name=name, size=5)
    assert error.kind == "invalid_params" and error.data["parameter"] == "name"


@pytest.mark.parametrize("stage", ["x", "lock", "..", "../lock", ".", "0" * 16, "%s", "n" * 64, "/etc/passwd"])
def test_stages_that_there_are_not(stager: Client, stage: str) -> None:
    upload(stager, b"something")
    for method, params in (
        ("stage.write", {"offset": 0, "data": encode(b"x")}),
        ("stage.read", {"size": 1}),
        ("stage.delete", {}),
        ("memory.write_bytes", {"address": RAM_BASE}),
    ):
        error = stager.fail(method, stage=stage, **params)
        assert error.kind == "not_found" and error.data["parameter"] == "stage"


@pytest.mark.parametrize("stage", ["", "n" * 65, "a\nb", 7, None])
def test_ids_that_are_none(stager: Client, stage: Any) -> None:
    error = stager.fail("stage.read", stage=stage, size=1)
    assert error.kind == "invalid_params" and error.data["parameter"] == "stage"


def test_reading_ranges(stager: Client) -> None:
    data = noise(1000, 10)
    stage = upload(stager, data)
    for offset, size, expected in ((0, 1, 1), (999, 1, 1), (999, 5, 1), (1, 999, 999), (500, 200000, 500)):
        result = stager.call("stage.read", stage=stage, offset=offset, size=size)
        assert base64.b64decode(result["data"]) == data[offset : offset + expected]
        assert (result["offset"], result["size"]) == (offset, expected)
    for offset in (1000, 1001, "0xffffffffffffffff"):
        error = stager.fail("stage.read", stage=stage, offset=offset, size=1)
        assert error.kind == "invalid_range" and error.data["size"] == 1000
    for size in (256 * KIB + 1, "0xffffffffffffffff"):
        error = stager.fail("stage.read", stage=stage, size=size)
        assert error.kind == "limit_exceeded" and error.data["limit"] == "max_inline_bytes"
    assert stager.fail("stage.read", stage=stage, size=0).kind == "invalid_params"


def test_an_incomplete_stage_is_for_nobody(stager: Client) -> None:
    stage = stager.call("stage.create", name="x", size=20)["stage"]
    stager.call("stage.write", stage=stage, offset=0, data=encode(b"0123456789"))
    for method, params in (
        ("stage.read", {"size": 1}),
        ("memory.write_bytes", {"address": RAM_BASE}),
        ("flash.write_image", {"format": "bin"}),
        ("flash.verify", {}),
    ):
        error = stager.fail(method, stage=stage, **params)
        assert error.kind == "stage_error" and error.data["stage"] == stage and "10 of its 20" in error.message


def test_the_list_has_the_newest_first(stager: Client) -> None:
    stages = [stager.call("stage.create", name=f"s{i}", size=100 + i)["stage"] for i in range(4)]
    found = stager.call("stage.list")
    assert [row["stage"] for row in found["stages"]] == stages[::-1]
    assert [row["name"] for row in found["stages"]] == ["s3", "s2", "s1", "s0"]
    assert found["used_bytes"] == 406
    stager.call("stage.delete", stage=stages[1])
    found = stager.call("stage.list")
    assert [row["stage"] for row in found["stages"]] == [stages[3], stages[2], stages[0]]
    assert found["used_bytes"] == 305


def test_delete(stager: Client, stage_place: Path) -> None:
    data = noise(100, 11)
    stage = upload(stager, data)
    assert stager.call("stage.delete", stage=stage) == {"deleted": True}
    assert stager.fail("stage.delete", stage=stage).kind == "not_found"
    assert files(stage_place / "stages") == []
    again = begin(stager, data)
    assert again["stage"] != stage and again["offset"] == 0


def test_delete_while_it_is_used(stager: Client, stage_stack: Stack, stage_gate: Gate, stage_place: Path) -> None:
    """It is gone for everybody at once; who uses it ends well, and then its file goes."""
    data = noise(2000, 12)
    stage = upload(stager, data)
    worker = stage_stack.client()
    with stage_gate:
        request = worker.send("memory.write_bytes", address=RAM_BASE + 8 * KIB, stage=stage)
        row = worker.call("stage.list")["stages"][0]
        assert row["pinned"] is True
        stager.call("stage.delete", stage=stage)
        assert listed(stager, stage) is None
        assert stager.fail("stage.read", stage=stage, size=1).kind == "not_found"
        assert stager.fail("memory.write_bytes", address=RAM_BASE, stage=stage).kind == "not_found"
        assert files(stage_place / "stages") == [stage]
        assert stager.call("stage.list")["used_bytes"] == 2000
        assert begin(stager, data)["present"] is False
    assert worker.result(request)["size"] == 2000
    found = stager.call("memory.read_bytes", address=RAM_BASE + 8 * KIB, size=2000)
    assert base64.b64decode(found["data"]) == data
    assert stage not in files(stage_place / "stages")


def test_a_stage_is_pinned_until_its_last_user_ends(stager: Client, stage_gate: Gate) -> None:
    stage = upload(stager, noise(100, 13))
    with stage_gate:
        requests = [stager.send("memory.write_bytes", address=RAM_BASE + 8 * KIB, stage=stage) for _ in range(3)]
        stager.call("request.cancel", id=requests[1])
        row = listed(stager, stage)
        assert row is not None and row["pinned"] is True
    for request in (requests[0], requests[2]):
        assert stager.result(request)["size"] == 100
    assert stager.error(requests[1]).kind == "cancelled"
    row = listed(stager, stage)
    assert row is not None and row["pinned"] is False


def test_in_a_batch(stager: Client) -> None:
    data = noise(300, 14)
    stage = begin(stager, data)["stage"]
    calls = [
        stager.make_call("stage.write", {"stage": stage, "offset": at, "data": encode(data[at : at + 100])})
        for at in (0, 100, 200)
    ]
    calls.append(stager.make_call("stage.read", {"stage": stage, "size": 300}))
    stager.send_text(json.dumps(calls))
    answers = {answer["id"]: answer["result"] for answer in stager.receive()}
    assert answers[calls[2]["id"]]["complete"] is True
    assert base64.b64decode(answers[calls[3]["id"]]["data"]) == data


def test_it_is_announced(stager: Client) -> None:
    hello = stager.call("server.hello")
    assert "stage" in hello["features"] and "image_from_path" in hello["features"]
    limits = hello["limits"]
    assert (limits["max_stage_bytes"], limits["max_stages"]) == (1024 * KIB, 16)
    assert (limits["max_image_bytes"], limits["stage_expiry_ms"]) == (256 * KIB, 3600000)


def test_clearing_leaves_an_empty_list(stager: Client) -> None:
    for i in range(5):
        upload(stager, noise(10 + i, i))
    clear(stager)
    assert stager.call("stage.list")["stages"] == []
