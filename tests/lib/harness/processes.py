"""The three programs of a stack. Each is a context manager that ends its own process, and that one alone."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Type, TypeVar

from config_check import SCHEMA_FILE, config_faults

from harness.paths import VBOARD_CONFIG, build_file
from harness.waiting import wait_until

START_LIMIT_S = 30.0
STOP_LIMIT_S = 30.0

Self = TypeVar("Self", bound="Process")


class Process:
    """A child process whose stderr is kept, line by line, in `log`."""

    def __init__(self, command: Sequence[str], cwd: Optional[Path] = None, env: Optional[Dict[str,
        str]] = None) -> None:
        self.log: List[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=cwd, env=env
        )
        self._drain = threading.Thread(target=self._read_log, daemon=True)
        self._drain.start()

    def _read_log(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._changed:
                self.log.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def wait_for_line(self, pattern: str, limit_s: float = START_LIMIT_S) -> "re.Match[str]":
        """The first match of `pattern` in its log, old lines included; waits for it.

        Raises TimeoutError after `limit_s` seconds, RuntimeError where the process ends without it.
        """
        expression = re.compile(pattern)
        deadline = time.monotonic() + limit_s
        seen = 0
        with self._changed:
            while True:
                for line in self.log[seen:]:
                    found = expression.search(line)
                    if found:
                        return found
                seen = len(self.log)
                if self._ended:
                    raise RuntimeError(f"ended without {pattern!r}:\n{self.tail()}")
                if not self._changed.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"no {pattern!r} within {limit_s:g} s:\n{self.tail()}")

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        return "\n".join(self.log[-lines:])

    def wait(self, limit_s: float = STOP_LIMIT_S) -> int:
        """Its exit status once it has ended by itself; raises subprocess.TimeoutExpired."""
        status = self._process.wait(limit_s)
        self._close()
        return status

    def terminate(self) -> None:
        """SIGTERM."""
        self._process.terminate()

    def kill(self) -> None:
        """SIGKILL, as a crash would; returns when it is gone."""
        if self.alive:
            self._process.kill()
        self._process.wait(STOP_LIMIT_S)
        self._close()

    def stop(self) -> int:
        """SIGTERM and its exit status; SIGKILL where that does not help."""
        if self.alive:
            self._process.terminate()
        try:
            return self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(STOP_LIMIT_S)
        finally:
            self._close()

    def _close(self) -> None:
        self._drain.join(STOP_LIMIT_S)
        if self._process.stderr is not None and not self._drain.is_alive():
            self._process.stderr.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], *_: object) -> None:
        self.stop()


class Vboard(Process):
    """A virtual board. `flags` are its own; `directory` is where its port file goes."""

    def __init__(self, directory: Path, flags: Sequence[str] = ()) -> None:
        port_file = directory / "vboard.port"
        port_file.unlink(missing_ok=True)  # left by one that was killed
        super().__init__([str(build_file("mock", "vboard", "vboard")), "--port-file", str(port_file), *flags])
        try:
            wait_until(lambda: port_file.exists() or not self.alive, "the virtual board's port", START_LIMIT_S)
            if not self.alive:
                raise RuntimeError(f"the virtual board ended:\n{self.tail()}")
            self.port = int(port_file.read_text())
        except BaseException:
            self.stop()
            raise


class OpenOcd(Process):
    """Debian's OpenOCD on a virtual board. `tcl_port` 0 lets the kernel choose; `setup` is Tcl before the
    configuration, `then` behind it, `prefix` a command that runs the rest of its words."""

    def __init__(
        self,
        board_port: int,
        tcl_port: int = 0,
        config: Path = VBOARD_CONFIG,
        setup: Sequence[str] = (),
        then: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        command = [*prefix, "openocd", "-c", f"set VBOARD_PORT {board_port}", "-c", f"tcl_port {tcl_port}"]
        for line in setup:
            command += ["-c", line]
        command += ["-f", str(config)]
        for line in then:
            command += ["-c", line]
        super().__init__(command)
        try:
            self.port = int(self.wait_for_line(r"Listening on port (\d+) for tcl connections").group(1))
        except BaseException:
            self.stop()
            raise

    @property
    def gdb_port(self) -> int:
        """Of its gdb server, which its configuration must ask for."""
        return int(self.wait_for_line(r"Listening on port (\d+) for gdb connections").group(1))


class Daemon(Process):
    """ocdmuxd. Its end by SIGTERM must have exit status 0, which stop() checks."""

    def __init__(
        self,
        flags: Sequence[str],
        listeners: int = 1,
        env: Optional[Dict[str, str]] = None,
        prefix: Sequence[str] = (),
    ) -> None:
        """`flags` include the listeners; waits until `listeners` of them are open. Unless `env` or a flag says where
        its state goes, that is a directory that ends with this process. `prefix`: a command that runs the rest of its
        words in its own place."""
        self._state = tempfile.TemporaryDirectory(prefix="ocdmux-test-state-")
        environment = {**os.environ, "XDG_STATE_HOME": self._state.name, **(env or {})}
        environment.pop("STATE_DIRECTORY", None)
        super().__init__([*prefix, str(build_file("ocdmuxd")), *flags], env=environment)
        self.addresses: List[str] = []
        try:
            wait_until(lambda: self._listening(listeners), "the daemon's listeners", START_LIMIT_S)
            self._check_config(flags)
        except BaseException:
            super().stop()
            raise

    @staticmethod
    def _check_config(flags: Sequence[str]) -> None:
        """What the daemon takes its schema must take too."""
        for flag, path in zip(flags, flags[1:]):
            if flag == "--config":
                faults = config_faults(Path(path).read_text(encoding="utf-8"))
                assert not faults, f"{SCHEMA_FILE.name} refuses what the daemon takes: {faults}"

    def _listening(self, count: int) -> bool:
        self.addresses = re.findall(r"listening on (\S+)", "\n".join(list(self.log)))
        if len(self.addresses) < count and not self.alive:
            self._drain.join(STOP_LIMIT_S)
            raise RuntimeError(f"the daemon ended:\n{self.tail()}")
        return len(self.addresses) >= count

    @property
    def address(self) -> str:
        """Its first listener: "tcp:127.0.0.1:PORT" or "unix:PATH"."""
        return self.addresses[0]

    def stop(self) -> int:
        """As Process.stop(); raises AssertionError where the daemon, still alive, did not end with status 0."""
        was_alive = self.alive
        status = super().stop()
        if was_alive and status != 0:
            raise AssertionError(f"the daemon ended with status {status}:\n{self.tail()}")
        return status
