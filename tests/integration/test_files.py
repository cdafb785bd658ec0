"""How files reach OpenOCD and come back: through a directory that both see, or over the link where they do not.

OpenOCD elsewhere is OpenOCD in a mount namespace of its own, in which an empty file system lies over the directory.
"""

from __future__ import annotations

import base64
import os
import random
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence

import pytest

from flash_bank import encode, noise
from harness.client import Client
from harness.paths import VBOARD_CONFIG, VBOARD_WORKAREA_CONFIG, build_file
from harness.processes import Daemon, OpenOcd
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from harness.waiting import wait_until
from protocol_check import Validator

SIZE = 16 * KIB
IMAGE = make_image(SIZE)
MOST = 512 * KIB  # OP_FILE_MOST_BYTES
WAYS = ["shared", "link"]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")


def namespace() -> List[str]:
    """A command that runs the rest in a mount namespace of its own, with the same view to begin with."""
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


def elsewhere(directory: Path) -> List[str]:
    """The same, but with an empty file system over the directory."""
    return [*namespace(), "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(directory)]


def as_nobody() -> List[str]:
    return ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]


@pytest.fixture(name="parent")
def fixture_parent() -> Iterator[Path]:
    """Where shared directories are made: everybody may look at it. Nothing may be left there."""
    path = Path(tempfile.mkdtemp(prefix="ocdmux-test-files-", dir="/tmp"))
    path.chmod(0o755)
    yield path
    left = list(path.iterdir())
    shutil.rmtree(path)
    assert left == []


def files_in(parent: Path) -> List[Path]:
    """The files of all shared directories."""
    return [path for directory in parent.glob("ocdmux-share-*") for path in directory.iterdir()]


def left_by(openocd: OpenOcd) -> List[Path]:
    """What OpenOCD itself made for files over the link."""
    return [path for place in ("/dev/shm", "/tmp") for path in Path(place).glob(f"ocdmux-{openocd.pid}-*")]


# The exchange alone.


class Tool:
    """exchange_tool on an OpenOCD without hardware."""

    def __init__(self, openocd: OpenOcd, share: str, directory: Path) -> None:
        self.directory = directory
        self.openocd = openocd
        command = [str(build_file("tests", "exchange_tool")), str(openocd.port), share]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.way = self._line()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def ask(self, line: str) -> str:
        """The answer without its time: "CODE RESULT"."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        code, _, rest = self._line().partition(" ")
        return f"{code} {rest.partition(' ')[2]}" if code != "failed" else f"{code} {rest}"

    def put(self, data: bytes) -> bytes:
        """What OpenOCD finds in a file that was to hold these bytes; in pieces, where one command does not do."""
        source, target = self.directory / "source", self.directory / "target"
        source.write_bytes(data)
        found = b""
        for offset in range(0, len(data), MOST):
            size = min(MOST, len(data) - offset)
            script = (
                f"set f [open $p rb];set g [open {target} wb];$g puts -nonewline [$f read];$f close;$g close;"
                f"file size {target}"
            )
            assert self.ask(f"put {source} {offset} {size} {script}") == f"0 {size}"
            found += target.read_bytes()
        return found

    def get(self, data: bytes) -> bytes:
        """What comes back where OpenOCD writes these bytes into the file."""
        source, target = self.directory / "source", self.directory / "target"
        source.write_bytes(data)
        script = f"set f [open {source} rb];set g [open $p wb];$g puts -nonewline [$f read];$f close;$g close"
        assert self.ask(f"get {target} {script}") == f"0 {len(data)}"
        return target.read_bytes()

    def close(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0


@pytest.fixture(name="tool", params=WAYS)
def fixture_tool(request: Any, parent: Path, tmp_path: Path) -> Iterator[Tool]:
    """On OpenOCD here, and elsewhere. Nothing may be left behind in either place."""
    prefix = elsewhere(parent) if request.param == "link" else []
    with OpenOcd(0, config=Path(__file__).with_name("dummy.cfg"), prefix=prefix) as openocd:
        made = Tool(openocd, str(parent), tmp_path)
        assert made.way == request.param
        yield made
        assert [path for directory in parent.iterdir() for path in directory.iterdir()] == []
        assert left_by(openocd) == []
        made.close()


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 4096, 65535, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MOST - 1,
                                  MOST, MOST + 1, 3 * MOST + 5])
def test_bytes_come_through_both_ways(tool: Tool, size: int) -> None:
    data = (bytes(range(256)) + random.Random(size).randbytes(size))[-size:]
    assert tool.put(data) == data
    assert tool.get(data) == data


@pytest.mark.parametrize("unit", [bytes([byte]) for byte in b'\0\x1a"$[]{}\\\n\r;# \xff'] + [b"\\\n", b"$p", b"[exit]"])
def test_bytes_that_mean_something_to_tcl(tool: Tool, unit: bytes) -> None:
    data = unit * (MOST // len(unit))
    assert tool.put(data) == data
    assert tool.get(data) == data


def test_every_byte_before_every_other(tool: Tool) -> None:
    data = bytes(byte for first in range(256) for second in range(256) for byte in (first, second))
    assert tool.put(data) == data
    assert tool.get(data) == data


def test_return_codes_are_the_scripts_own(tool: Tool, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x")
    for script, answer in (
        ("apply {{} {return -code -902 {no flash}}}", "-902 no flash"), ("error broken", "1 broken"), ("break", "3 "),
        ("nosuch", '1 invalid command name "nosuch"'), ("return well", "2 well"), ("set x 5", "0 5"),
    ):
        assert tool.ask(f"put {source} 0 1 {script}") == answer
    for script, answer in (("apply {{} {return -code -107 {no target}}}", "-107 no target"), ("error broken", "1 broken")):
        assert tool.ask(f"get {tmp_path}/target {script}") == answer
    assert tool.put(b"still here") == b"still here"


def test_scripts_that_take_their_file_away(tool: Tool, tmp_path: Path) -> None:
    assert tool.ask(f"get {tmp_path}/target file delete $p").startswith("failed ")
    source = tmp_path / "source"
    source.write_bytes(b"x")
    assert tool.ask(f"put {source} 0 1 file delete $p; format done") == "0 done"
    assert tool.get(b"still here") == b"still here"


def test_nothing_stays_in_openocds_variables(tool: Tool, tmp_path: Path) -> None:
    def look() -> bytes:
        with socket.create_connection(("127.0.0.1", tool.openocd.port)) as wire:
            wire.sendall(b"list [lsort [info globals]] [lsort [info commands aio*]] [llength [info commands]]\x1a")
            answer = b""
            while not answer.endswith(b"\x1a"):
                answer += wire.recv(65536)
            return answer

    source = tmp_path / "source"
    source.write_bytes(b"x")
    before = look()
    tool.put(b"x" * 1000)
    tool.get(b"x" * 1000)
    tool.ask(f"put {source} 0 1 error broken")
    tool.ask(f"get {tmp_path}/target file delete $p")
    assert look() == before


# The daemon.


@pytest.fixture(name="make")
def fixture_make(parent: Path, tmp_path: Path, validator: Validator) -> Iterator[Callable[..., Stack]]:
    """Stacks whose daemon shares under `parent`."""
    with ExitStack() as stacks:

        def start(
            prefix: Sequence[str] = (), flags: Sequence[str] = (), config: Path = VBOARD_WORKAREA_CONFIG
        ) -> Stack:
            directory = tmp_path / f"stack{len(list(tmp_path.iterdir()))}"
            directory.mkdir()
            return stacks.enter_context(Stack(
                directory, validator, flash_size=SIZE, image=IMAGE, openocd_config=config,
                openocd_prefix=prefix,
                daemon_flags=["--anonymous-role", "admin", "--dump-root", str(directory), "--share-dir", str(parent),
                              *flags],
            ))

        yield start


def staging(stack: Stack) -> str:
    """The way, once the link is up."""
    status: Dict[str, Any] = {}

    def up() -> bool:
        status.update(stack.client().call("board.status"))
        return status["link"] == "idle"

    wait_until(up, "the link")
    way: str = status["staging"]
    return way


def check_flash(stack: Stack, seed: int = 1) -> None:
    """Writes the middle of the flash and reads all of it, byte-exact."""
    client = stack.client()
    client.call("target.halt")
    before = base64.b64decode(client.call("memory.read_bytes", address=FLASH_BASE, size=SIZE)["data"])
    data = bytes(range(256)) + noise(4 * KIB, seed)
    client.call("flash.write_image", address=FLASH_BASE + 0x1010, data=encode(data))
    after = base64.b64decode(client.call("memory.read_bytes", address=FLASH_BASE, size=SIZE)["data"])
    assert after == before[:0x1010] + data + before[0x1010 + len(data):]
    assert client.call("flash.verify", data=encode(after))["match"] is True


def test_openocd_here_shares(make: Callable[..., Stack], parent: Path) -> None:
    stack = make()
    assert staging(stack) == "shared"
    check_flash(stack)
    directory, = parent.iterdir()
    assert directory.stat().st_mode & 0o7777 == 0o700
    assert files_in(parent) == [] and left_by(stack.openocd) == []


def test_openocd_elsewhere_is_found_out(make: Callable[..., Stack], parent: Path) -> None:
    stack = make(prefix=elsewhere(parent))
    assert staging(stack) == "link"
    check_flash(stack)
    assert "flash_files" in stack.client().call("board.status")["features"]
    assert files_in(parent) == [] and left_by(stack.openocd) == []


def test_openocd_elsewhere_with_a_directory_of_that_name(make: Callable[..., Stack], parent: Path) -> None:
    """What the daemon made before its first connection was there is not what it makes later."""
    copy = [*namespace(), "sh", "-c",
            'cp -a "$0" "$0.copy" && mount --bind "$0.copy" "$0" && exec "$@"', str(parent)]
    stack = make()
    assert staging(stack) == "shared"
    stack.openocd.kill()
    stack.openocd_prefix = copy
    stack.restart_openocd()
    try:
        assert staging(stack) == "link"
        check_flash(stack)
        assert list(Path(f"{parent}.copy").glob("*/*")) == [], "a stranger's directory was written to"
    finally:
        shutil.rmtree(f"{parent}.copy")


@needs_root
def test_openocd_of_another_user(make: Callable[..., Stack], parent: Path) -> None:
    stack = make(prefix=as_nobody())
    assert staging(stack) == "link"
    check_flash(stack)
    assert files_in(parent) == [] and left_by(stack.openocd) == []


@needs_root
def test_openocd_of_another_user_in_the_group(make: Callable[..., Stack], parent: Path) -> None:
    stack = make(prefix=as_nobody(), flags=["--share-group", "nogroup"])
    assert staging(stack) == "shared"
    check_flash(stack)
    directory, = parent.iterdir()
    assert directory.stat().st_mode & 0o7777 == 0o710
    assert files_in(parent) == [] and left_by(stack.openocd) == []


def test_no_sharing_where_none_is_wanted(make: Callable[..., Stack], parent: Path) -> None:
    stack = make(flags=["--share-dir", "none"])
    assert staging(stack) == "link"
    check_flash(stack)
    assert list(parent.iterdir()) == []


def test_openocd_that_loses_sight_of_the_directory(make: Callable[..., Stack], parent: Path) -> None:
    """The file of the next command is not there: the way is found out anew, and the command goes over the link."""
    stack = make(prefix=namespace())
    assert staging(stack) == "shared"
    check_flash(stack)
    user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
    enter = ["nsenter", "--target", str(stack.openocd.pid), "--mount", *user]
    subprocess.run([*enter, "mount", "-t", "tmpfs", "none", str(parent)], check=True)
    check_flash(stack, 2)
    assert staging(stack) == "link"
    assert files_in(parent) == [] and left_by(stack.openocd) == []


def start_write(stack: Stack, client: Client) -> Any:
    """A write of the whole flash that has begun to program: half-word by half-word, which takes its time."""
    write = client.send("flash.write_image", address=FLASH_BASE, data=encode(noise(SIZE, 3)), prepare="halt", progress="p")
    client.wait_notification(
        lambda note: note["method"] == "progress" and note["params"]["phase"] in ("erase", "program")
        and note["params"]["done"] > 0
    )
    return write


@pytest.mark.parametrize("way", WAYS)
def test_openocd_killed_in_the_middle_of_a_command(make: Callable[..., Stack], parent: Path, way: str) -> None:
    stack = make(prefix=elsewhere(parent) if way == "link" else [], config=VBOARD_CONFIG)
    assert staging(stack) == way
    client = stack.client()
    write = start_write(stack, client)
    killed = stack.openocd
    stack.openocd.kill()
    assert client.error(write).kind in ("outcome_unknown", "openocd_unavailable")
    wait_until(lambda: files_in(parent) == [], "the file to be removed")
    stack.restart_openocd()
    assert staging(stack) == way
    assert left_by(killed) == [], "the next OpenOCD there cleans up"
    check_flash(stack)


def test_daemon_killed_and_started_again(make: Callable[..., Stack], parent: Path) -> None:
    stack = make(config=VBOARD_CONFIG)
    assert staging(stack) == "shared"
    start_write(stack, stack.client())
    dead, = parent.iterdir()
    stack.daemon.kill()
    assert dead.exists()
    with Daemon(["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0", "--share-dir",
                 str(parent)]):
        assert not dead.exists()
        assert len(list(parent.iterdir())) == 1


def test_two_daemons_on_one_directory(make: Callable[..., Stack], parent: Path) -> None:
    first, second = make(), make()
    assert staging(first) == staging(second) == "shared"
    assert len(list(parent.iterdir())) == 2
    check_flash(first)
    check_flash(second)
    assert second.daemon.stop() == 0
    assert len(list(parent.iterdir())) == 1
    check_flash(first, 2)


def test_directories_that_cannot_be_used(tmp_path: Path) -> None:
    """Each is refused at the start, with its name."""
    writable = tmp_path / "writable"
    writable.mkdir()
    writable.chmod(0o777)
    for flags, words in (
        (["--share-dir", "relative"], "share_dir"), (["--share-dir", str(tmp_path / "missing")], "missing"),
        (["--share-dir", str(writable)], "everybody"), (["--share-group", "no such group"], "no such group"),
    ):
        command = [str(build_file("ocdmuxd")), "--openocd", "127.0.0.1:1", "--listen", "tcp:127.0.0.1:0", *flags]
        ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        assert ended.returncode in (1, 2) and words in ended.stderr
