"""The programs of the soak, and what is done to them: one fault at a time, healed before the next one."""

from __future__ import annotations

import os
import random
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Counter, List, Optional, Tuple

from protocol_check import Validator

from harness.client import Client, RpcError
from harness.paths import VBOARD_WORKAREA_CONFIG
from harness.processes import Daemon, OpenOcd, Vboard
from harness.relay import Relay
from harness.waiting import wait_until
from model import Clock, Faults

# The end of a connection as a client may see it.
CLOSED = (EOFError, ConnectionError, OSError)


class Programs:
    """Board, OpenOCD, a relay and the daemon on top of each other. A context manager."""

    def __init__(self, directory: Path, validator: Validator, image: bytes, ram_size: int) -> None:
        (directory / "image.bin").write_bytes(image)
        (directory / "state").mkdir(mode=0o700)
        self.validator = validator
        with ExitStack() as undo:
            self.vboard = Vboard(directory, ["--flash-size", str(len(image)), "--ram-size", str(ram_size), "--image",
                                             str(directory / "image.bin")])
            undo.callback(self.vboard.stop)
            self.openocd = OpenOcd(self.vboard.port, config=VBOARD_WORKAREA_CONFIG)
            undo.callback(lambda: self.openocd.stop())
            self._tcl_port = self.openocd.port
            self.link = Relay(self._tcl_port)
            undo.callback(self.link.close)
            self._flags = ["--openocd", f"127.0.0.1:{self.link.port}", "--listen", "tcp:127.0.0.1:0",
                           "--anonymous-role", "admin", "--state-dir", str(directory / "state")]
            self.daemon = Daemon(self._flags)
            undo.callback(lambda: self.daemon.stop())
            self._exit = undo.pop_all()

    def connect(self) -> Client:
        """A connection to the daemon, as soon as there is one."""

        def look() -> Optional[Client]:
            try:
                return Client(self.daemon.address, self.validator)
            except CLOSED:
                return None

        return wait_until(look, "a connection")

    def start_openocd(self) -> None:
        """OpenOCD anew, on the port that it had."""
        self.openocd = OpenOcd(self.vboard.port, self._tcl_port, VBOARD_WORKAREA_CONFIG)

    def start_daemon(self) -> None:
        """The daemon anew, with the state that it had."""
        self.daemon = Daemon(self._flags)

    def assert_alive(self) -> None:
        """Raises AssertionError where one of them has ended by itself."""
        for name, process in (("vboard", self.vboard), ("openocd", self.openocd), ("ocdmuxd", self.daemon)):
            assert process.alive, f"{name} has ended:\n{process.tail()}"

    def descriptors(self) -> int:
        """How many the daemon has open."""
        return len(os.listdir(f"/proc/{self.daemon.pid}/fd"))

    def resident_kib(self) -> int:
        """How much memory of the daemon's is resident."""
        status = Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()


class Troublemaker:
    """Makes faults, each after some more calls of the clients, until it is told to stop."""

    def __init__(self, programs: Programs, clock: Clock, faults: Faults, chance: random.Random,
                 daemon_too: bool) -> None:
        """Without `daemon_too` the daemon is left alone."""
        self.programs = programs
        self.clock = clock
        self.faults = faults
        self.chance = chance
        self.count: Counter[str] = Counter()
        self.kinds: List[Tuple[str, str, Callable[[threading.Event], None]]] = [
            ("openocd", "openocd-kill", self._kill_openocd),
            ("openocd", "openocd-stop", self._stop_openocd),
            ("link", "link-cut", lambda _: self.programs.link.cut()),
            ("stall", "board-stall", self._stall),
        ]
        if daemon_too:
            self.kinds += [
                ("daemon", "daemon-term", self._stop_daemon),
                ("daemon", "daemon-kill", self._kill_daemon),
            ]
        self._bag: List[Tuple[str, str, Callable[[threading.Event], None]]] = []

    def run(self, calls: Callable[[], int], stop: threading.Event) -> None:
        """`calls` counts those of the clients."""
        while True:
            due = calls() + self.chance.randrange(10, 200)
            wait_until(lambda: stop.is_set() or calls() >= due, "calls to be answered", 120.0)
            if stop.is_set():
                return
            if not self._bag:
                self._bag = list(self.kinds)
                self.chance.shuffle(self._bag)
            kind, name, make = self._bag.pop()
            self.faults.begin(kind)
            make(stop)
            self.count[name] += 1
            self._wait_healed()
            self.faults.end()

    def _wait_healed(self) -> None:
        """Until the daemon reads from the board again."""

        def look() -> bool:
            try:
                with self.programs.connect() as client:
                    client.call("memory.read_u32", address=0x08000000, timeout_ms=20000)
                return True
            except (RpcError, *CLOSED):
                return False

        wait_until(look, "the board to be read again")

    def _kill_openocd(self, _: threading.Event) -> None:
        self.programs.openocd.kill()
        self.programs.start_openocd()

    def _stop_openocd(self, _: threading.Event) -> None:
        self.programs.openocd.stop()
        self.programs.start_openocd()

    def _stop_daemon(self, _: threading.Event) -> None:
        self.programs.daemon.stop()
        self.programs.start_daemon()

    def _kill_daemon(self, _: threading.Event) -> None:
        self.programs.daemon.kill()
        self.programs.start_daemon()

    def _stall(self, stop: threading.Event) -> None:
        """The board answers nothing for a while."""
        os.kill(self.programs.vboard.pid, signal.SIGSTOP)
        try:
            stop.wait(self.chance.uniform(0.05, 0.6))
        finally:
            os.kill(self.programs.vboard.pid, signal.SIGCONT)
