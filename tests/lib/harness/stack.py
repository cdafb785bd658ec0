"""A virtual board, OpenOCD and the daemon on top of each other."""

from __future__ import annotations

import random
import struct
from contextlib import ExitStack
from pathlib import Path
from typing import Any, List, Optional, Sequence

from protocol_check import Validator

from harness.client import Client
from harness.paths import VBOARD_CONFIG
from harness.processes import Daemon, OpenOcd, Vboard
from harness.relay import CommandRelay, Relay

FLASH_BASE = 0x08000000
RAM_BASE = 0x20000000
KIB = 1024


def make_image(size: int, ram_size: int = 20 * KIB, seed: int = 1) -> bytes:
    """Random bytes behind a vector table whose reset handler, at 0x40, is `b .`: the core runs for ever."""
    body = bytearray(random.Random(seed).randbytes(size))
    body[0:64] = struct.pack("<16I", RAM_BASE + ram_size, *([FLASH_BASE + 0x41] * 15))
    body[64:66] = b"\xfe\xe7"
    return bytes(body)


class Stack:
    """The three processes, and the clients that tests open. A context manager; all ends with it, newest first."""

    def __init__(
        self,
        directory: Path,
        validator: Validator,
        *,
        flash_size: int = 128 * KIB,
        ram_size: int = 20 * KIB,
        image: Optional[bytes] = None,
        vboard_flags: Sequence[str] = (),
        openocd_config: Path = VBOARD_CONFIG,
        openocd_then: Sequence[str] = (),
        openocd_prefix: Sequence[str] = (),
        daemon_flags: Sequence[str] = (),
        config: Optional[str] = None,
        relays: bool = False,
    ) -> None:
        """`image` is what the flash holds at power-on (None: blank). `config` is the text of a configuration file for
        the daemon, in which %PORT% stands for OpenOCD's and %GDBPORT% for that of its gdb server; without one the daemon gets flags. With `relays` there is
        one between OpenOCD and the board (`probe`) and one between the daemon and OpenOCD (`link`)."""
        self.directory = directory
        self.validator = validator
        self.flash_size = flash_size
        self.ram_size = ram_size
        self.openocd_config = openocd_config
        self.openocd_then = list(openocd_then)
        self.openocd_prefix = list(openocd_prefix)
        self.clients: List[Client] = []
        self._relayed = relays
        self._exit = ExitStack()
        with ExitStack() as undo:
            flags = ["--flash-size", str(flash_size), "--ram-size", str(ram_size), *vboard_flags]
            if image is not None:
                (directory / "image.bin").write_bytes(image)
                flags += ["--image", str(directory / "image.bin")]
            self._vboard_flags = flags
            self.vboard = Vboard(directory, flags)
            undo.callback(lambda: self.vboard.stop())
            if relays:
                self.probe = Relay(self.vboard.port)
                undo.callback(self.probe.close)
            self._board_port = self.probe.port if relays else self.vboard.port
            self.openocd = OpenOcd(
                self._board_port, config=openocd_config, then=openocd_then, prefix=openocd_prefix
            )
            undo.callback(lambda: self.openocd.stop())
            self.tcl_port = self.openocd.port
            if relays:
                self.link = CommandRelay(self.tcl_port)
                undo.callback(self.link.close)
            self.link_port = self.link.port if relays else self.tcl_port
            self._started_with = self._daemon_flags(daemon_flags, config)
            self.daemon = Daemon(self._started_with)
            undo.callback(lambda: self.daemon.stop())
            undo.callback(self._close_clients)
            self._exit = undo.pop_all()

    def _daemon_flags(self, flags: Sequence[str], config: Optional[str]) -> List[str]:
        listen = ["--listen", "tcp:127.0.0.1:0"]
        if config is None:
            return ["--openocd", f"127.0.0.1:{self.link_port}", *listen, *flags]
        path = self.directory / "ocdmuxd.json"
        text = config.replace("%PORT%", str(self.link_port))
        if "%GDBPORT%" in text:
            text = text.replace("%GDBPORT%", str(self.openocd.gdb_port))
        path.write_text(text)
        return ["--config", str(path), *listen, *flags]

    def client(self, **options: Any) -> Client:
        """A new connection to the daemon, closed with the stack at the latest."""
        client = Client(self.daemon.address, self.validator, **options)
        self.clients.append(client)
        return client

    def restart_openocd(self) -> None:
        """OpenOCD anew, on the port that it had, after openocd.kill() or .stop()."""
        self.openocd = OpenOcd(
            self._board_port, self.tcl_port, self.openocd_config, then=self.openocd_then, prefix=self.openocd_prefix
        )

    def restart_daemon(self) -> None:
        """The daemon anew, with the flags that it had, after daemon.kill() or .stop(). A state directory that is to
        outlive it must be among them."""
        self.daemon = Daemon(self._started_with)

    def restart_vboard(self) -> None:
        """The virtual board anew, as it was at power-on, after vboard.kill() or .stop(); OpenOCD must be restarted
        then."""
        self.vboard = Vboard(self.directory, self._vboard_flags)
        if self._relayed:
            self.probe.upstream_port = self.vboard.port
        else:
            self._board_port = self.vboard.port

    def assert_alive(self) -> None:
        """Raises AssertionError where one of the processes has ended."""
        for name, process in (("vboard", self.vboard), ("openocd", self.openocd), ("ocdmuxd", self.daemon)):
            assert process.alive, f"{name} has ended:\n{process.tail()}"

    def _close_clients(self) -> None:
        for client in self.clients:
            client.close()

    def close(self) -> None:
        """Ends everything; raises AssertionError where the daemon, still alive, does not end with status 0."""
        self._exit.close()

    def __enter__(self) -> "Stack":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
