"""Mock OpenOCDs, the daemon on them, and clients whose every line is held against the protocol."""

from __future__ import annotations

import json
import os
import re
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from control import MockControl
from protocol_check import Validator

from harness.client import Client
from harness.processes import Daemon
from harness.waiting import wait_until

RAM = 0x20000000
FLASH = 0x08000000
KIB = 1024
# What never comes within the time of a test. A timeout that is to pass is much shorter.
LONG_MS = 60000


class Rig:
    """A daemon with one board for each mock ("b0", "b1", ...). A context manager; all ends with it, newest first.

    Behind each test the daemon must be alive, end with status 0 and have said nothing of memory errors.
    """

    def __init__(
        self,
        directory: Path,
        validator: Validator,
        *,
        boards: int = 1,
        role: str = "admin",
        link_limit_ms: Optional[int] = None,
        limits: Optional[Dict[str, int]] = None,
        mock_flags: Sequence[str] = (),
        openocd: Optional[Sequence[int]] = None,
        stage_dir: Optional[str] = None,
        share_dir: str = "none",
        extra: Optional[Dict[str, Any]] = None,
        board: Optional[Dict[str, Any]] = None,
        flags: Sequence[str] = (),
        wait: bool = True,
        require_lease: Sequence[int] = (),
        members: Optional[Dict[str, Any]] = None,
        dialect: str = "0.12",
    ) -> None:
        """`share_dir`: files go over the link ("none"), or under this directory, which the mock sees too.

        `openocd`: ports of something else than mocks, one for each board. `extra`: further members of the configuration, `board`: of
        its boards, `flags`: of the command line.
        `wait`: until every link is idle. `require_lease`: boards that are changed under a lease only. `members`: further
        ones of each board. `dialect`: how the mocks speak, "0.12" or "head"."""
        self.validator = validator
        self.clients: List[Client] = []
        self.mocks: List[MockControl] = []
        self.stopped = False
        self._exit = ExitStack()
        with ExitStack() as undo:
            if openocd is None:
                for _ in range(boards):
                    self.mocks.append(undo.enter_context(MockControl.start("--dialect", dialect, *mock_flags)))
            ports = [mock.tcl_port for mock in self.mocks] if openocd is None else list(openocd)
            config: Dict[str, Any] = {"boards": [], "anonymous_role": role, "log_level": "debug"}
            for i, port in enumerate(ports):
                entry: Dict[str, Any] = {"name": f"b{i}", "openocd": f"127.0.0.1:{port}", **(board or {}), **(members or {})}
                if link_limit_ms is not None:
                    entry["link_limit_ms"] = link_limit_ms
                if i in require_lease:
                    entry["require_lease"] = True
                if stage_dir is not None:
                    entry["stage_dir"] = stage_dir
                config["boards"].append(entry)
            if limits is not None:
                config["limits"] = limits
            config["dump_root"] = str(directory)
            config["share_dir"] = share_dir
            config.update(extra or {})
            path = directory / "faults.json"
            path.write_text(json.dumps(config))
            self.config_path = path
            listen = ["--listen", "tcp:127.0.0.1:0", *flags]
            self.daemon = undo.enter_context(Daemon(["--config", str(path), *listen], listen.count("--listen")))
            undo.callback(self._close_clients)
            self._exit = undo.pop_all()
        if wait:
            for i in range(len(ports)):
                self.wait_link("idle", board=f"b{i}")

    @property
    def mock(self) -> MockControl:
        """The mock of board b0."""
        return self.mocks[0]

    def client(self, **options: Any) -> Client:
        """A new connection to the daemon, closed with the rig at the latest."""
        client = Client(self.daemon.address, self.validator, **options)
        self.clients.append(client)
        return client

    # Looking.

    def status(self, board: str = "b0") -> Dict[str, Any]:
        """board.status, over a connection of its own."""
        with Client(self.daemon.address, self.validator) as client:
            result: Dict[str, Any] = client.call("board.status", board=board)
            return result

    def stats(self) -> Dict[str, Any]:
        """server.stats, over a connection of its own."""
        with Client(self.daemon.address, self.validator) as client:
            result: Dict[str, Any] = client.call("server.stats")
            return result

    def wait_link(self, *states: str, board: str = "b0") -> Dict[str, Any]:
        """Waits until the link is in one of these states; returns board.status."""
        def look() -> Optional[Dict[str, Any]]:
            status = self.status(board)
            return status if status["link"] in states else None

        return wait_until(look, f"link {' or '.join(states)}")

    def wait_queued(self, count: int, board: str = "b0") -> None:
        """Waits until so many operations wait or run."""
        wait_until(lambda: self.status(board)["queued"] == count, f"{count} operations")

    def sent(self, pattern: str) -> int:
        """How many scripts that match came to the mock."""
        expression = re.compile(pattern, re.S)
        return sum(1 for script in self.mock.scripts() if expression.search(script))

    def wait_sent(self, pattern: str, count: int) -> None:
        """Waits until at least so many scripts that match came to the mock."""
        wait_until(lambda: self.sent(pattern) >= count, f"{count} of {pattern}")

    def memory_kib(self) -> int:
        """What the daemon holds in memory."""
        for line in Path(f"/proc/{self.daemon.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")

    def assert_grown_at_most(self, before: int, kib: int) -> None:
        """That the daemon's memory is not so much more than `before`. Says nothing of a build with AddressSanitizer,
        which keeps what is freed."""
        sanitized = "libasan" in Path(f"/proc/{self.daemon.pid}/maps").read_text()
        grown = self.memory_kib() - before
        assert sanitized or grown < kib, f"{grown} KiB more"

    # Doing.

    def reset_client(self, client: Client) -> None:
        """Ends a client's connection with a reset; waits until the daemon knows."""
        name = "%s:%d" % client._socket.getsockname()  # noqa: SLF001
        client.reset()
        self.daemon.wait_for_line(rf"client {re.escape(name)}: closed")

    def stall(self, client: Client, pattern: str, method: str, **params: Any) -> Any:
        """Sends a call whose command that matches `pattern` will stall; waits until it does, returns the call's id."""
        self.mock.fault("stall", match=pattern)
        params.setdefault("timeout_ms", LONG_MS)
        identifier = client.send(method, **params)
        self.mock.wait(stalled=True)
        return identifier

    def hold(self) -> Client:
        """Keeps the link busy until mock.release(): a read of nobody's interest stalls. Returns its client."""
        client = self.client()
        self.stall(client, r"read_memory 0x20000ff0 8 1\Z", "memory.read_u8", address=RAM + 0xFF0)
        return client

    def assert_works(self) -> None:
        """Reads bytes that the mock was told beforehand, over a new connection, once nothing hinders it any more."""
        if self.stopped:
            return
        for board, mock in enumerate(self.mocks):
            mock.clear_faults()
            mock.release()
            mock.clear_fault_ranges()
            mock.refuse_width(8, False)
            mock.poke(RAM + 0xF00, bytes([0x60, 0x0D, board]))
            with Client(self.daemon.address, self.validator) as client:
                values = client.call("memory.read_u8", board=f"b{board}", address=RAM + 0xF00, count=3)["values"]
            assert values == [0x60, 0x0D, board]

    # Ends.

    def stop_daemon(self, again: bool = False) -> None:
        """SIGTERM; it need not be alive at the end of the test. `again`: twice, once the first was taken in."""
        self.stopped = True
        os.kill(self.daemon.pid, signal.SIGTERM)
        self.daemon.wait_for_line(" stopping$")
        if again:
            os.kill(self.daemon.pid, signal.SIGTERM)

    def _close_clients(self) -> None:
        for client in self.clients:
            client.close()

    def close(self) -> None:
        """Ends everything, and looks whether the daemon was well."""
        assert self.daemon.alive or self.stopped, f"the daemon has ended:\n{self.daemon.tail()}"
        self._exit.close()
        said = "\n".join(self.daemon.log)
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ERROR:"):
            assert word not in said, said[-8000:]

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
