"""The private directory of a daemon: its rights, what becomes of it, and what it does to those of others."""

from __future__ import annotations

import grp
import os
import stat
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from flash_bank import noise
from harness.client import Client
from harness.paths import build_file
from harness.processes import Daemon
from harness.stack import Stack
from stage_kit import begin, config, directories, fetch, file_of, files, upload


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path) -> Path:
    """A stage root of the test's own."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def mode(path: Path) -> int:
    """Its permission bits."""
    return stat.S_IMODE(path.lstat().st_mode)


def test_it_is_private_and_gone_after_a_clean_end(
    root: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]
) -> None:
    daemon = make_daemon("--stage-root", str(root))
    client = connect(daemon)
    stage = upload(client, b"hello")
    (home,) = directories(root)
    assert mode(home) == 0o700 and mode(file_of(root, stage)) == 0o600
    assert file_of(root, stage).read_bytes() == b"hello"
    assert daemon.stop() == 0
    assert list(root.iterdir()) == []


def test_a_group_may_read(root: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    group = grp.getgrnam("daemon")
    client = connect(make_daemon(config=config(root, stage_group="daemon")))
    stage = upload(client, b"hello")
    (home,) = directories(root)
    assert (mode(home), home.stat().st_gid) == (0o750, group.gr_gid)
    assert (mode(file_of(root, stage)), file_of(root, stage).stat().st_gid) == (0o640, group.gr_gid)


def test_what_a_killed_daemon_left_is_removed(
    root: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]
) -> None:
    killed = make_daemon("--stage-root", str(root))
    stage = upload(connect(killed), noise(1000, 1))
    begin(connect(killed), noise(1000, 2))
    left = directories(root)
    killed.kill()
    assert directories(root) == left and len(files(root)) == 2
    client = connect(make_daemon("--stage-root", str(root)))
    assert directories(root) != left and len(directories(root)) == 1 and files(root) == []
    assert client.fail("stage.read", stage=stage, size=1).kind == "not_found"
    assert begin(client, noise(1000, 1))["present"] is False


def test_daemons_side_by_side_leave_each_other_alone(
    root: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]
) -> None:
    first_daemon = make_daemon("--stage-root", str(root))
    first = connect(first_daemon)
    stage = upload(first, b"first")
    second_daemon = make_daemon("--stage-root", str(root))
    second = connect(second_daemon)
    assert len(directories(root)) == 2
    assert second.fail("stage.read", stage=stage, size=1).kind == "not_found"
    assert begin(second, b"first")["present"] is False
    assert fetch(first, stage, 5) == b"first"
    second_daemon.stop()
    assert len(directories(root)) == 1
    assert fetch(first, stage, 5) == b"first"


def test_many_daemons_that_start_at_once(root: Path, stack: Stack) -> None:
    """Each looks for leftovers while the others make their directories: none may take a new one for an old one."""
    command = [str(build_file("ocdmuxd")), "--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]
    daemons = [
        subprocess.Popen([*command, "--stage-root", str(root)], stderr=subprocess.PIPE, text=True) for _ in range(12)
    ]
    try:
        for daemon in daemons:
            assert daemon.stderr is not None
            for line in daemon.stderr:
                if "listening on" in line:
                    break
        assert len(directories(root)) == 12
    finally:
        for daemon in daemons:
            daemon.terminate()
        statuses = []
        for daemon in daemons:
            daemon.communicate(timeout=60)
            statuses.append(daemon.returncode)
    assert statuses == [0] * 12
    assert list(root.iterdir()) == []


def test_other_things_in_the_root_stay(
    root: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path
) -> None:
    """What only looks like a daemon's: a link, a file, a directory of another user, one with a directory in it."""
    begins = f"ocdmux-stage-{os.geteuid()}-"
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data").write_text("precious")
    (root / f"{begins}aaaaaaaaaaaaaaaa").symlink_to(tmp_path / "precious")
    (root / f"{begins}bbbbbbbbbbbbbbbb").write_text("a file")
    (root / f"{begins}cccccccccccccccc").mkdir()
    (root / f"{begins}cccccccccccccccc" / "deep").mkdir()
    (root / f"{begins}cccccccccccccccc" / "out").symlink_to(tmp_path / "precious" / "data")
    (root / f"{begins}cccccccccccccccc" / "deep" / "kept").touch()
    foreign = root / f"{begins}dddddddddddddddd"
    foreign.mkdir()
    (foreign / "kept").touch()
    os.chown(foreign, 1, 1)
    client = connect(make_daemon("--stage-root", str(root)))
    assert fetch(client, upload(client, b"works"), 5) == b"works"
    assert (tmp_path / "precious" / "data").read_text() == "precious"
    assert (root / f"{begins}aaaaaaaaaaaaaaaa").is_symlink()
    assert (root / f"{begins}bbbbbbbbbbbbbbbb").read_text() == "a file"
    assert (root / f"{begins}cccccccccccccccc" / "deep" / "kept").exists()
    assert not (root / f"{begins}cccccccccccccccc" / "out").is_symlink()
    assert (foreign / "kept").exists()


def test_the_default_is_the_runtime_directory(tmp_path: Path, stack: Stack) -> None:
    flags = ["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]
    with Daemon(flags, env={"XDG_RUNTIME_DIR": str(tmp_path)}):
        assert len(directories(tmp_path)) == 1
    assert directories(tmp_path) == []


def test_without_a_runtime_directory(tmp_path: Path, stack: Stack) -> None:
    flags = ["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]
    with Daemon(flags, env={"XDG_RUNTIME_DIR": str(tmp_path / "none")}) as daemon:
        place = daemon.wait_for_line(r"stages are kept in (\S+)/ocdmux-stage-").group(1)
        assert place in ("/dev/shm", "/tmp")


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--stage-root", "/nowhere"], "stage_root: /nowhere is no directory"),
        (["--image-root", "/tmp", "--image-root", "/nowhere"], "image_roots: /nowhere is no directory"),
        (["--image-root", "/tmp"] * 17, "too many image roots"),
    ],
)
def test_bad_roots_are_refused_at_start(flags: "list[str]", words: str) -> None:
    ended = subprocess.run(
        [str(build_file("ocdmuxd")), "--openocd", "127.0.0.1:1", "--listen", "tcp:127.0.0.1:0", *flags],
        capture_output=True, text=True, timeout=30,
    )
    assert ended.returncode == 2 and words in ended.stderr


def test_a_root_that_cannot_be_written_is_refused_at_start() -> None:
    ended = subprocess.run(
        [str(build_file("ocdmuxd")), "--openocd", "127.0.0.1:1", "--listen", "tcp:127.0.0.1:0", "--stage-root", "/proc"],
        capture_output=True, text=True, timeout=30,
    )
    assert ended.returncode == 1 and "no place for stages: cannot make the directory /proc/ocdmux-stage-" in ended.stderr


def test_an_observer_may_upload_and_not_flash(
    root: Path, make_daemon: Callable[..., Daemon], connect: Callable[..., Client]
) -> None:
    """Stages change no board: what an observer uploads it can verify a board with."""
    client = connect(make_daemon("--stage-root", str(root), "--anonymous-role", "observer"))
    stage = client.call("stage.create", name="x", size=1)["stage"]
    assert client.call("stage.write", stage=stage, offset=0, data="QQ==")["complete"]
    error = client.fail("flash.write_image", stage=stage)
    assert error.kind == "forbidden" and error.data["role"] == "user"
    assert client.call("stage.read", stage=stage, size=1)["data"] == "QQ=="
    assert client.call("stage.delete", stage=stage) == {"deleted": True}
