"""A vboard process, and real OpenOCD attached to it and driven over its TCL port."""

from __future__ import annotations

import os
import random
import re
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG = REPOSITORY / "mock" / "vboard" / "vboard.cfg"
WORKAREA_CONFIG = REPOSITORY / "mock" / "vboard" / "vboard-workarea.cfg"
FLASH_BASE = 0x08000000
RAM_BASE = 0x20000000
RAM_SIZE = 20 * 1024
RESULTS = RAM_BASE + 0x100  # where the programs in programs/ leave theirs
START_LIMIT_S = 10.0
REPLY_LIMIT_S = 30.0


def vboard_executable() -> Path:
    """The board under test: $OCDMUX_BUILD/mock/vboard/vboard; fails where there is none."""
    build = os.environ.get("OCDMUX_BUILD")
    if build is None:
        pytest.fail("OCDMUX_BUILD must name the build directory")
    path = Path(build) / "mock" / "vboard" / "vboard"
    if not path.exists():
        pytest.fail(f"{path} is not built")
    return path


def wait_until(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Poll `condition` until it is true; fails with `what` after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"timed out waiting for {what}")
        time.sleep(0.002)


def make_image(size: int, seed: int = 1) -> bytes:
    """Random bytes behind a vector table whose reset handler, at 0x40, is `b .`; so it runs for ever."""
    body = bytearray(random.Random(seed).randbytes(size))
    body[0:64] = struct.pack("<16I", RAM_BASE + RAM_SIZE, *([FLASH_BASE + 0x41] * 15))
    body[64:66] = b"\xfe\xe7"
    return bytes(body)


class Vboard:
    """A running board; `arguments` are its command line flags."""

    def __init__(self, directory: Path, arguments: Sequence[str] = ()) -> None:
        self.port_file = directory / "port"
        self.socket_path: Optional[Path] = None
        self.port = 0
        command = [str(vboard_executable()), *arguments]
        if "--unix" in arguments:
            self.socket_path = Path(arguments[list(arguments).index("--unix") + 1])
        else:
            command += ["--port-file", str(self.port_file)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        wait_until(self._ready, START_LIMIT_S, "vboard to listen")
        if self.socket_path is None:
            self.port = int(self.port_file.read_text())

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            assert self.process.stderr is not None
            pytest.fail(f"vboard ended: {self.process.stderr.read()}")
        return self.socket_path.exists() if self.socket_path else self.port_file.exists()

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(START_LIMIT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            assert self.process.stderr is not None
            self.process.stderr.close()


class Openocd:
    """Real OpenOCD attached to `board`, and one TCL connection to it."""

    def __init__(self, board: Vboard, config: Path = CONFIG, setup: Sequence[str] = ()) -> None:
        where = f"set VBOARD_PORT {board.port}"
        if board.socket_path is not None:
            where = f"set VBOARD_HOST {board.socket_path}; set VBOARD_PORT 0"
        command = ["openocd", "-c", where, "-c", "tcl_port 0"]
        for line in setup:
            command += ["-c", line]
        self.log: List[str] = []
        self.process = subprocess.Popen([*command, "-f", str(config)], stderr=subprocess.PIPE, text=True)
        self._drain = threading.Thread(target=self._read_log, daemon=True)
        self._drain.start()
        self.port = self._find_port()
        self.connection = socket.create_connection(("127.0.0.1", self.port), REPLY_LIMIT_S)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)

    def _find_port(self) -> int:
        pattern = re.compile(r"Listening on port (\d+) for tcl connections")
        found: List[int] = []

        def look() -> bool:
            for line in list(self.log):
                match = pattern.search(line)
                if match:
                    found.append(int(match.group(1)))
                    return True
            if self.process.poll() is not None:
                pytest.fail("OpenOCD ended:\n" + "".join(self.log))
            return False

        wait_until(look, START_LIMIT_S, "OpenOCD's TCL port")
        return found[0]

    def send(self, script: str) -> None:
        """Send one script without waiting for its reply."""
        self.connection.sendall(script.encode() + b"\x1a")

    def receive(self) -> str:
        """One reply, without its terminator."""
        reply = b""
        while not reply.endswith(b"\x1a"):
            data = self.connection.recv(65536)
            if not data:
                pytest.fail("OpenOCD closed the connection\n" + "".join(self.log[-20:]))
            reply += data
        return reply[:-1].decode("latin-1")

    def attempt(self, script: str) -> Tuple[int, str]:
        """Run `script`; returns its catch code and its result with what was logged on the way."""
        guarded = f"set _l [capture {{set _c [catch {{{script}}} _r]; format {{}}}}]"
        self.send(f"{guarded}; format {{%s:%s%s}} $_c $_r $_l")
        code, text = self.receive().split(":", 1)
        return int(code), text

    def run(self, script: str) -> str:
        """Run `script`, which must succeed; returns its result with what was logged."""
        code, text = self.attempt(script)
        assert code == 0, f"{script}: code {code}: {text}"
        return text

    def fail(self, script: str) -> str:
        """Run `script`, which must fail; returns the error and what was logged."""
        code, text = self.attempt(script)
        assert code != 0, f"{script} succeeded: {text}"
        return text

    def read(self, address: int, width: int, count: int) -> List[int]:
        """`count` elements of `width` bits."""
        self.send(f"read_memory {address:#x} {width} {count}")
        return [int(word, 16) for word in self.receive().split()]

    def read_bytes(self, address: int, size: int) -> bytes:
        """`size` bytes from a word-aligned address; `size` is a multiple of 4."""
        words = self.read(address, 32, size // 4)
        return struct.pack(f"<{len(words)}I", *words)

    def read_word(self, address: int) -> int:
        """One 32-bit word."""
        return self.read(address, 32, 1)[0]

    def write_word(self, address: int, value: int) -> None:
        """One 32-bit word."""
        self.run(f"write_memory {address:#x} 32 {value:#x}")

    def register(self, name: str) -> int:
        """A core register's value; the core must be halted."""
        self.send(f"dict get [get_reg -force {name}] {name}")
        return int(self.receive(), 16)

    def state(self) -> str:
        """What OpenOCD thinks of the core: running, halted, ..."""
        return self.run("vb.cpu curstate").strip()

    def wait_state(self, state: str) -> None:
        """Wait until the core is in `state`."""
        wait_until(lambda: self.state() == state, START_LIMIT_S, f"target state {state}")

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self._drain.join(START_LIMIT_S)

    def stop(self) -> None:
        """Orderly end; killed where that does not come."""
        if self.process.poll() is None:
            try:
                self.send("shutdown")
                self.process.wait(START_LIMIT_S)
            except (OSError, subprocess.TimeoutExpired):
                pass
        self.kill()
        assert self.process.stderr is not None
        self.process.stderr.close()


# Puts a program into flash, with flags for the board; OpenOCD has halted at its first instruction.
Start = Callable[..., Openocd]


def run_to_end(openocd: Openocd) -> None:
    """Let the program run into its `bkpt #0`."""
    openocd.run("resume; wait_halt 10000")
    code = openocd.read(openocd.register("pc"), 16, 1)
    assert code == [0xBE00], f"stopped at {openocd.register('pc'):#x} by {code}"
