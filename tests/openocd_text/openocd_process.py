"""Starts OpenOCD, and the virtual board, for the tests in this directory."""

import contextlib
import os
import pathlib
import queue
import re
import shutil
import subprocess
import threading
from typing import IO, Iterator, List

START_LIMIT_S = 20.0
STOP_LIMIT_S = 10.0

DUMMY_CONFIG = """\
adapter driver dummy
adapter speed 1000
jtag newtap t cpu -irlen 4 -expected-id 0
target create t.cpu testee -chain-position t.cpu
flash bank f0 faux 0x08000000 0x100000 0 0 t.cpu
"""
SERVERS = ["-c", "gdb_port disabled; telnet_port disabled; tcl_port 0"]
LISTENING = re.compile(rb"Listening on port (\d+) for tcl connections")


def build_path(name: str) -> pathlib.Path:
    """The path of a built file; KeyError where OCDMUX_BUILD, the build directory, is not in the environment."""
    return pathlib.Path(os.environ["OCDMUX_BUILD"]) / name


@contextlib.contextmanager
def running(command: List[str], directory: pathlib.Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Runs a program, its stderr in a pipe; on leaving it is told to end, and killed after STOP_LIMIT_S seconds."""
    with subprocess.Popen(
        command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()


def drain(pipe: IO[bytes], ports: "queue.Queue[int]", log: List[bytes]) -> None:
    """Reads OpenOCD's stderr to its end: puts the TCL port it names (0: it names none) into `ports`."""
    for line in pipe:
        log.append(line)
        found = LISTENING.search(line)
        if found is not None:
            ports.put(int(found.group(1)))
    ports.put(0)


@contextlib.contextmanager
def openocd(arguments: List[str], directory: pathlib.Path) -> Iterator[int]:
    """Runs OpenOCD with these arguments; yields its TCL port. AssertionError with its words if it does not come up."""
    program = shutil.which("openocd")
    assert program is not None, "openocd is not installed"
    with running([program, *SERVERS, *arguments], directory) as process:
        assert process.stderr is not None
        ports: "queue.Queue[int]" = queue.Queue()
        log: List[bytes] = []
        reader = threading.Thread(target=drain, args=(process.stderr, ports, log))
        reader.start()
        try:
            port = ports.get(timeout=START_LIMIT_S)
            assert port != 0, b"".join(log).decode(errors="replace")
            yield port
        finally:
            process.terminate()
            reader.join(STOP_LIMIT_S)


@contextlib.contextmanager
def dummy(directory: pathlib.Path) -> Iterator[int]:
    """OpenOCD on the dummy adapter, with a target that has no memory and a bank of the faux driver, 1 MiB."""
    config = directory / "dummy.cfg"
    config.write_text(DUMMY_CONFIG)
    with openocd(["-f", str(config)], directory) as port:
        yield port


@contextlib.contextmanager
def board(directory: pathlib.Path) -> Iterator[int]:
    """OpenOCD on a virtual board with 16 KiB of blank flash, over a Unix socket in `directory`."""
    vboard = build_path("mock/vboard/vboard")
    config = pathlib.Path(__file__).resolve().parents[2] / "mock" / "vboard" / "vboard.cfg"
    sock = directory / "vboard.sock"
    with running([str(vboard), "--unix", str(sock), "--flash-size", "16K"], directory) as process:
        wait_for(sock, process)
        place = f"set VBOARD_HOST {{{sock}}}; set VBOARD_PORT 0"
        with openocd(["-c", place, "-f", str(config)], directory) as port:
            yield port


def wait_for(path: pathlib.Path, process: "subprocess.Popen[bytes]") -> None:
    """Waits until `path` exists; AssertionError if that takes over START_LIMIT_S seconds or the process ends."""
    waiting = threading.Event()
    for _ in range(int(START_LIMIT_S / 0.01)):
        if path.exists():
            return
        assert process.poll() is None, "the virtual board has ended"
        waiting.wait(0.01)
    raise AssertionError(f"{path} does not appear")
