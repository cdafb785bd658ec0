"""memory.dump: what the files hold, and that they stay under the dump root."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Callable, List

import pytest

from harness.client import Client
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE
from harness.waiting import wait_until


@pytest.fixture(name="room")
def fixture_room(dump_root: Path, request: pytest.FixtureRequest) -> Path:
    """A directory of the test's own under the dump root."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return Path(tempfile.mkdtemp(prefix=name[:60], dir=dump_root))


def everything_under(directory: Path) -> List[str]:
    """All names, those of temporary files too."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.mark.parametrize("offset, size", [(0, 1), (3, 1000), (0, 4096), (1, 70001), (0, 128 * KIB)])
def test_the_file_holds_the_range(client: Client, room: Path, flash_content: bytes, offset: int, size: int) -> None:
    path = f"{room.name}/flash.bin"
    result = client.call("memory.dump", address=FLASH_BASE + offset, size=size, path=path)
    data = flash_content[offset : offset + size]
    assert (room / "flash.bin").read_bytes() == data
    assert result["path"] == path and result["size"] == size
    assert result["sha256"] == hashlib.sha256(data).hexdigest()
    assert everything_under(room) == ["flash.bin"]


@pytest.mark.parametrize(
    "name",
    ["plain", "with space", "ümläut-日本", "...", "..a", ".hidden", "-rf", "a;b$c[d]{e}\"'", "n" * 255],
)
def test_names_that_are_fine(client: Client, room: Path, flash_content: bytes, name: str) -> None:
    client.call("memory.dump", address=FLASH_BASE, size=100, path=f"{room.name}/{name}")
    assert (room / name).read_bytes() == flash_content[:100]


def test_directories_below_the_root(client: Client, room: Path, flash_content: bytes) -> None:
    (room / "a" / "b").mkdir(parents=True)
    client.call("memory.dump", address=FLASH_BASE, size=10, path=f"{room.name}/a/b/c", physical=True)
    assert (room / "a" / "b" / "c").read_bytes() == flash_content[:10]


def test_a_file_that_is_there_is_replaced(client: Client, room: Path, flash_content: bytes) -> None:
    """By a new one: who has the old one open, or linked under another name, keeps it."""
    (room / "f").write_bytes(b"old, and longer than what comes" * 10)
    os.link(room / "f", room / "other-name")
    client.call("memory.dump", address=FLASH_BASE, size=20, path=f"{room.name}/f")
    assert (room / "f").read_bytes() == flash_content[:20]
    assert (room / "other-name").read_bytes().startswith(b"old")


@pytest.mark.parametrize(
    "path",
    ["..", ".", "/", "../f", "./f", "a/../f", "a/./f", "a/..", "/f", "//f", "a//f", "a/", "f/", "/etc/f",
    "../../../../tmp/f"],
)
def test_paths_that_lead_out_or_are_not_plain(client: Client, room: Path, dump_root: Path, path: str) -> None:
    (room / "a").mkdir()
    before = everything_under(dump_root.parent)
    for given in {path, f"{room.name}/{path}"} if not path.startswith("/") else {path}:
        error = client.fail("memory.dump", address=FLASH_BASE, size=4, path=given)
        assert error.kind == "forbidden" and "path" in error.message
    assert everything_under(dump_root.parent) == before


def test_the_root_by_its_full_path(client: Client, dump_root: Path, room: Path) -> None:
    error = client.fail("memory.dump", address=FLASH_BASE, size=4, path=f"{dump_root}/{room.name}/f")
    assert error.kind == "forbidden"


@pytest.mark.parametrize("inside", [True, False])
def test_symbolic_link_as_directory(client: Client, room: Path, tmp_path: Path, inside: bool) -> None:
    """Even where it leads back to below the root: what it leads to could change the next moment."""
    (room / "real").mkdir()
    target = room / "real" if inside else tmp_path
    (room / "link").symlink_to(target)
    error = client.fail("memory.dump", address=FLASH_BASE, size=4, path=f"{room.name}/link/f")
    assert error.kind == "forbidden" and "link" in error.message
    assert not (target / "f").exists()


@pytest.mark.parametrize("dangling", [True, False])
def test_symbolic_link_as_file(client: Client, room: Path, tmp_path: Path, dangling: bool) -> None:
    outside = tmp_path / "outside"
    if not dangling:
        outside.write_text("precious")
    (room / "link").symlink_to(outside)
    error = client.fail("memory.dump", address=FLASH_BASE, size=4, path=f"{room.name}/link")
    assert error.kind == "forbidden"
    assert (room / "link").is_symlink() and outside.exists() is not dangling
    assert dangling or outside.read_text() == "precious"


def test_things_in_the_way(client: Client, room: Path) -> None:
    (room / "directory").mkdir()
    os.mkfifo(room / "fifo")
    (room / "file").write_text("a file")
    for name in ("directory", "fifo", "file/below"):
        error = client.fail("memory.dump", address=FLASH_BASE, size=4, path=f"{room.name}/{name}")
        assert error.kind == "forbidden", f"{name}: {error.message}"
    assert everything_under(room) == ["directory", "fifo", "file"]


def test_missing_directory(client: Client, room: Path) -> None:
    error = client.fail("memory.dump", address=FLASH_BASE, size=4, path=f"{room.name}/missing/f")
    assert error.kind == "stage_error" and "No such file" in error.message
    assert everything_under(room) == []


@pytest.mark.parametrize("length", [256, 4000])
def test_names_too_long_for_the_file_system(client: Client, room: Path, length: int) -> None:
    for path in (f"{room.name}/{'n' * length}", f"{'n' * length}/f"):
        assert client.fail("memory.dump", address=FLASH_BASE, size=4, path=path).kind in ("forbidden", "stage_error")
    assert everything_under(room) == []


@pytest.mark.parametrize("length", [4097, 100000])
def test_paths_too_long(client: Client, length: int) -> None:
    error = client.fail("memory.dump", address=FLASH_BASE, size=4, path="n" * length)
    assert error.kind == "invalid_params" and error.data["parameter"] == "path"


def test_a_dump_that_fails_leaves_nothing_and_keeps_the_old(client: Client, room: Path) -> None:
    (room / "f").write_text("old")
    error = client.fail("memory.dump", address=RAM_BASE + 12 * KIB, size=9 * KIB, path=f"{room.name}/f")
    assert error.kind == "target_error" and error.data["done"] > 0
    wait_until(lambda: everything_under(room) == ["f"], "the unfinished file to go")
    assert (room / "f").read_text() == "old"


def test_a_dump_whose_client_goes_leaves_nothing(client: Client, stack_client: Client, room: Path) -> None:
    stack_client.send("memory.dump", address=FLASH_BASE, size=128 * KIB, path=f"{room.name}/f", progress="p")
    progress = stack_client.wait_notification(lambda note: note["method"] == "progress")["params"]
    stack_client.reset()
    operation = client.call("operation.wait", operation=progress["operation"])
    assert operation["state"] == "cancelled"
    wait_until(lambda: everything_under(room) == [], "the unfinished file to go")


def test_no_dump_root(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    other = connect(make_daemon())
    assert "dump_to_path" not in other.call("server.hello")["features"]
    error = other.fail("memory.dump", address=FLASH_BASE, size=4, path="f")
    assert error.kind == "forbidden" and "dump_root" in error.message
    assert other.call("memory.read_u32", address=FLASH_BASE)["values"]


def test_the_feature_is_announced(client: Client) -> None:
    assert "dump_to_path" in client.call("server.hello")["features"]
