"""The shell lines of README.md, run as they are printed against real OpenOCD on the virtual board: each block in a fresh
folder on a fresh board. What is replaced is the number of a port that is printed, and nothing else. Python's blocks are
run by tests/python, the configurations are checked by tests/proto."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from protocol_check import Validator
from harness.paths import PROTOCOL, VBOARD_WORKAREA_CONFIG, build_file
from harness.stack import KIB, Stack, make_image

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIMIT_S = 60
WATCHED = 0x20000400
# Beginnings of lines that cannot be run here, and what shows that they work.
ELSEWHERE = {
    "./tools/demo": "runs in a minute by itself",
    "./tools/test": "this is a part of it",
    "cmake -S . -B build": "tools/test builds so",
    "openocd -f your-board.cfg": "needs your board",
    "build/ocdmuxd --openocd 127.0.0.1:6666": "every stack starts it so, on other ports",
    "build/ocdmux status": "'ocdmux status', run from elsewhere",
    "ocdmux --server tls:lab.example": "tests/integration/test_tls.py and tests/cli/test_cli_identity.py",
    "ocdmux --server ssh:lab.example": "tests/integration/test_ssh.py",
    "export OCDMUX_TOKEN=ocdmux_...": "no token",
    "cc app.c": "tests/clib",
    "openocd ": "lines of OpenOCD's configuration: tests/integration/test_gdb.py",
}
# Until somebody ends them: Ctrl-C, or the key that the README names.
UNTIL_INTERRUPTED = ("ocdmux watch 0x20000400:16", "ocdmux events")
ON_A_TERMINAL = ("ocdmux top",)
# For the lines that name files.
MAKEFILE = "test:\n\tocdmux read 0x20000000 1\ndebug:\n\ttrue\n"
RAM_PROGRAM = ".cpu cortex-m3\n.thumb\n.syntax unified\n.global main\n.thumb_func\nmain: b main\n.fill 64, 4, 7\n"


def shell_blocks() -> List[List[str]]:
    """The blocks without a language, or with "sh", that hold commands."""
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    starts = ("ocdmux ", "printf ", "$ printf", "export ", "build/", "cmake ", "./tools", "gdb-multiarch ", "source ", "cc ")
    return [block.splitlines() for block in blocks if block.startswith(starts)]


BLOCKS = shell_blocks()


def commands_of(block: List[str]) -> Iterator[Tuple[str, List[str]]]:
    """Each command with the lines that are printed as its answer, which stand in blocks with "$" before commands."""
    prompted = any(line.startswith("$ ") for line in block)
    command, answer = "", []  # type: str, List[str]
    for line in block:
        if not prompted or line.startswith("$ "):
            if command:
                yield command, answer
            command, answer = (line[2:] if prompted else line), []
        else:
            answer.append(line)
    if command:
        yield command, answer


def is_elsewhere(command: str) -> bool:
    return not command.strip() or command.startswith("#") or any(command.startswith(each) for each in ELSEWHERE)


class Place:
    """A folder with what the README's lines name, and the environment of somebody who has `ocdmux` in his PATH."""

    def __init__(self, directory: Path, stack: Stack) -> None:
        self.directory = directory
        self.stack = stack
        self.gdb_port = stack.daemon.wait_for_line(r"takes gdb on tcp:127\.0\.0\.1:(\d+)").group(1)
        self.port = stack.daemon.address.rsplit(":", 1)[1]
        self.environment: Dict[str, str] = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("OCDMUX_", "XDG_"))},
            "PATH": f"{build_file('ocdmux').parent}:{os.environ['PATH']}",
            "OCDMUX_SERVER": stack.daemon.address,
            "HOME": str(directory),
            "TERM": "xterm",
        }
        self._make_files()

    def _make_files(self) -> None:
        (self.directory / "build").mkdir()
        (self.directory / "Makefile").write_text(MAKEFILE)
        (self.directory / "app.bin").write_bytes(bytes(range(256)) * 16)
        (self.directory / "tools").symlink_to(ROOT / "tools")
        for name, address in (("app", 0x08000000), ("ram", 0x20001000)):
            source, made = self.directory / f"{name}.s", self.directory / f"{name}.o"
            vectors = ".word 0x20005000, main + 1\n" if name == "app" else ""
            source.write_text(RAM_PROGRAM.replace(".global", vectors + ".global"))
            subprocess.run(["arm-none-eabi-as", "-g", "-o", made, source], check=True)
            elf = self.directory / "build" / f"{name}.elf"
            subprocess.run(
                ["arm-none-eabi-ld", f"-Ttext={address:#x}", "-e", "main", "-o", elf, made], check=True
            )

    def fill_in(self, command: str) -> str:
        """The ports that were free here, for those that are printed."""
        return command.replace("127.0.0.1 6670", f"127.0.0.1 {self.port}").replace("127.0.0.1:3334",
            f"127.0.0.1:{self.gdb_port}")

    def start(self, script: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["bash", "-c", script], cwd=self.directory, env=self.environment, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, script: str) -> str:
        """What it prints; it must do well."""
        process = self.start(script)
        out, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, f"{script}\n{out}{error}"
        return out

    def interrupt(self, command: str) -> None:
        """A command that goes on until Ctrl-C: it must have said something, and end well."""
        process = self.start(f"exec {command}")
        assert process.stdout is not None
        assert process.stdout.readline(), command
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, f"{command}\n{out}{error}"


@pytest.fixture(name="place")
def fixture_place(tmp_path: Path) -> Iterator[Place]:
    gdb = {"listen": "tcp:127.0.0.1:0", "openocd": "127.0.0.1:%GDBPORT%"}
    config = {"boards": [{"name": "board", "openocd": "127.0.0.1:%PORT%", "gdb": gdb}], "anonymous_role": "admin"}
    (tmp_path / "stack").mkdir()
    (tmp_path / "home").mkdir()
    with Stack(
        tmp_path / "stack", Validator(PROTOCOL), flash_size=128 * KIB, image=make_image(128 * KIB),
        config=json.dumps(config), openocd_config=VBOARD_WORKAREA_CONFIG, openocd_then=["gdb_port 0"],
    ) as stack:  # fmt: skip
        stack.client().call("target.halt")
        yield Place(tmp_path / "home", stack)


@contextmanager
def counting(place: Place) -> Iterator[None]:
    """Somebody counts in the word that the README watches."""
    client = place.stack.client()
    ended = threading.Event()

    def count() -> None:
        value = 0
        while not ended.wait(0.02):
            value += 1
            client.call("memory.write_u32", address=WATCHED, values=value)

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(LIMIT_S)


def ask_with_q(place: Place, command: str) -> None:
    """On a terminal of its own, ended by the key q."""
    process = place.start(f"script -qec {command!r} /dev/null")
    assert process.stdout is not None and process.stdin is not None
    seen = ""
    deadline = time.monotonic() + LIMIT_S
    while "board" not in seen and time.monotonic() < deadline:
        seen += os.read(process.stdout.fileno(), 4096).decode("utf-8", "replace")
    process.stdin.write("q")
    process.stdin.flush()
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0 and "board" in seen


def fits(printed: List[str], said: str) -> bool:
    """Whether the answer is what is printed, where "..." stands for anything, and numbers for numbers."""
    pattern = "\n".join(
        re.sub(r"\d+", r"\\d+", re.escape(line).replace(r"\.\.\.", ".*")) for line in printed
    )
    return re.fullmatch(pattern, said.strip()) is not None


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0][:48])
def test_every_line_does_what_it_says(place: Place, block: List[str]) -> None:
    """In one shell for each run of lines, since one may set what the next uses."""
    if "ocdmux watch" in block[0]:
        with counting(place):
            run_block(place, block)
    else:
        run_block(place, block)


def run_block(place: Place, block: List[str]) -> None:
    together: List[str] = []

    def run_together() -> None:
        if together:
            place.run("set -e\n" + "\n".join(together))
            kept = [line for line in together if line.startswith("export ")]
            together[:] = kept

    for printed, answer in commands_of(block):
        command = place.fill_in(printed)
        if is_elsewhere(command):
            continue
        if command.startswith(UNTIL_INTERRUPTED):
            run_together()
            place.interrupt(re.sub(r"\s+#.*", "", command))
        elif command.startswith(ON_A_TERMINAL):
            run_together()
            ask_with_q(place, re.sub(r"\s+#.*", "", command))
        elif answer:
            said = place.run(command)
            assert fits(answer, said), f"{command}\n{said}"
        else:
            together.append(command)
    run_together()


def test_nothing_is_left_out() -> None:
    """Each line is run above, or has a reason; and each reason a line."""
    lines = [command for block in BLOCKS for command, _ in commands_of(block)]
    assert sum(not is_elsewhere(line) for line in lines) >= 40
    unused = [start for start in ELSEWHERE if start != "openocd " and not any(line.startswith(start) for line in lines)]
    assert not unused
    for start in (*UNTIL_INTERRUPTED, *ON_A_TERMINAL):
        assert any(line.startswith(start) for line in lines), start
