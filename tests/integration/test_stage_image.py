"""Images out of stages and from below the image roots: flash.write_image and flash.verify."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from flash_bank import noise
from harness.client import Client
from harness.gate import Gate
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, Stack
from stage_kit import encode, files, listed, upload

IMAGE = {"format": "bin", "mode": "full", "prepare": "halt"}


@pytest.fixture(name="roots")
def fixture_roots(stage_place: Path) -> Iterator[Path]:
    """Where the image roots "first" and "second" are; empty again behind the test."""
    yield stage_place
    for root in (stage_place / "first", stage_place / "second"):
        for path in sorted(root.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                path.rmdir()
            else:
                path.unlink()


def write(client: Client, offset: int, size: int, **source: Any) -> None:
    """flash.write_image, which must have written so many bytes."""
    result = client.call("flash.write_image", address=FLASH_BASE + offset, **source, **IMAGE)
    assert result["bytes_written"] == size and result["verified"] is True


@pytest.mark.parametrize("offset, size", [(0, 1), (1000, 3000), (0, 16 * KIB)])
def test_from_a_stage(stager: Client, stage_place: Path, offset: int, size: int) -> None:
    data = noise(size, size)
    stage = upload(stager, data)
    write(stager, offset, size, stage=stage)
    found = stager.call("flash.read", offset=offset, size=size)
    assert found["data"] == encode(data)
    assert stager.call("flash.verify", offset=offset, stage=stage)["match"] is True
    row = listed(stager, stage)
    assert row is not None and row["pinned"] is False
    assert files(stage_place / "stages") == [stage]


def test_from_a_path(stager: Client, roots: Path) -> None:
    data = noise(5000, 1)
    (roots / "first" / "build").mkdir()
    (roots / "first" / "build" / "app \u00fc.bin").write_bytes(data)
    write(stager, 2000, 5000, path="build/app \u00fc.bin")
    assert stager.call("flash.read", offset=2000, size=5000)["data"] == encode(data)
    assert stager.call("flash.verify", offset=2000, path="build/app \u00fc.bin")["match"] is True
    assert stager.call("flash.verify", offset=2001, path="build/app \u00fc.bin")["match"] is False


def test_a_stage_deleted_while_it_is_programmed(
    stager: Client, stage_stack: Stack, stage_gate: Gate, stage_place: Path
) -> None:
    data = noise(2000, 2)
    stage = upload(stager, data)
    worker = stage_stack.client()
    with stage_gate:
        request = worker.send("flash.write_image", address=FLASH_BASE, stage=stage, **IMAGE)
        worker.call("server.stats")
        stager.call("stage.delete", stage=stage)
        assert files(stage_place / "stages") == [stage]
    assert worker.result(request)["verified"] is True
    assert stager.call("flash.read", size=2000)["data"] == encode(data)
    assert files(stage_place / "stages") == []


def test_the_first_root_that_has_it(stager: Client, roots: Path) -> None:
    written = noise(100, 3)
    write(stager, 0, 100, data=encode(written))
    (roots / "second" / "only").write_bytes(written)
    (roots / "second" / "both").write_bytes(noise(100, 4))
    (roots / "first" / "both").write_bytes(written)
    (roots / "first" / "directory").mkdir()
    (roots / "second" / "directory").mkdir()
    (roots / "second" / "directory" / "deep").write_bytes(written)
    for path in ("only", "both", "directory/deep"):
        assert stager.call("flash.verify", path=path)["match"] is True


def refused(client: Client, path: str) -> Any:
    """The error that both methods give for that path, without any side effect."""
    errors = [client.fail(method, path=path) for method in ("flash.verify", "flash.write_image")]
    assert errors[0].kind == errors[1].kind
    return errors[0]


@pytest.mark.parametrize(
    "path",
    ["..", ".", "/", "../first/f", "./f", "a/../f", "a/./f", "a/..", "/f", "//f", "a//f", "f/", "/etc/passwd", "../../x",
    "n" * 256],
)
def test_paths_that_lead_out_or_are_not_plain(stager: Client, roots: Path, path: str) -> None:
    (roots / "first" / "f").write_bytes(b"x")
    (roots / "first" / "a").mkdir()
    error = refused(stager, path)
    assert error.kind == "forbidden" and "path" in error.message
    assert refused(stager, f"{roots}/first/f").kind == "forbidden"


@pytest.mark.parametrize("path", ["missing", "missing/deep", "a/missing", "F", "f ", "*", "~", "$HOME", "%s"])
def test_paths_that_there_are_not(stager: Client, roots: Path, path: str) -> None:
    (roots / "first" / "f").write_bytes(b"x")
    (roots / "first" / "a").mkdir()
    error = refused(stager, path)
    assert error.kind == "not_found" and error.data["parameter"] == "path"


@pytest.mark.parametrize("path", ["", "a\nb", "n" * 4097, 7, None], ids=lambda value: ascii(value)[:40])
def test_paths_that_are_none(stager: Client, path: Any) -> None:
    error = refused(stager, path)
    assert error.kind == "invalid_params" and error.data["parameter"] == "path"


def test_symbolic_links_are_not_followed(stager: Client, roots: Path, tmp_path: Path) -> None:
    """Not even where they lead back into the root: what they lead to could change the next moment."""
    (roots / "first" / "real").mkdir()
    (roots / "first" / "real" / "f").write_bytes(b"x")
    (tmp_path / "secret").write_bytes(b"secret")
    for name, target in (
        ("out", tmp_path), ("in", roots / "first" / "real"), ("file", tmp_path / "secret"), ("dangling", tmp_path / "n"),
        ("loop", roots / "first" / "loop"), ("inner", roots / "first" / "real" / "f"),
    ):
        (roots / "first" / name).symlink_to(target)
    for path in ("out/secret", "in/f", "file", "dangling", "loop", "loop/f", "inner", "out", "in"):
        assert refused(stager, path).kind == "forbidden", path


def test_only_regular_files(stager: Client, roots: Path) -> None:
    """None of them may hang the daemon."""
    first = roots / "first"
    os.mkfifo(first / "fifo")
    (first / "directory").mkdir()
    os.mknod(first / "zero", 0o020666, os.makedev(1, 5))
    (first / "plain").write_bytes(b"x")
    for path in ("fifo", "directory", "zero", "plain/below", "fifo/below"):
        error = refused(stager, path)
        assert error.kind == "forbidden", f"{path}: {error.message}"
    assert stager.call("target.state")


def test_sizes_of_files(stager: Client, roots: Path) -> None:
    (roots / "first" / "empty").touch()
    with (roots / "first" / "huge").open("wb") as file:
        file.truncate(1 << 40)
    (roots / "first" / "large").write_bytes(b"x" * (256 * KIB + 1))
    assert refused(stager, "empty").kind == "stage_error"
    for path in ("huge", "large"):
        error = refused(stager, path)
        assert error.kind == "limit_exceeded"
        assert error.data["limit"] == "max_image_bytes" and error.data["maximum"] == 256 * KIB


def test_exactly_one_source(stager: Client, roots: Path) -> None:
    (roots / "first" / "f").write_bytes(b"x")
    stage = upload(stager, b"x")
    sources = {"stage": stage, "path": "f", "data": "eA=="}
    for left_out in (*sources, None):
        given = {name: value for name, value in sources.items() if left_out is not None and name != left_out}
        for method in ("flash.verify", "flash.write_image"):
            error = stager.fail(method, **given)
            assert error.kind == "invalid_params" and error.data["parameter"] == "data"
    row = listed(stager, stage)
    assert row is not None and row["pinned"] is False


def test_no_image_roots(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    client = connect(make_daemon())
    assert "image_from_path" not in client.call("server.hello")["features"]
    error = client.fail("flash.verify", path="f")
    assert error.kind == "forbidden" and "image_roots" in error.message


def test_image_roots_by_flags(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path, flash_content: bytes
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "b" / "f").write_bytes(flash_content[:100])
    client = connect(make_daemon("--image-root", str(tmp_path / "a"), "--image-root", str(tmp_path / "b")))
    assert client.call("flash.verify", path="f")["match"] is True
