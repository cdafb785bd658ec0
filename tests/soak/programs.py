"""The programs of the soak: a board, OpenOCD behind a relay or started by the daemon, the daemon with all its
listeners, and a bad network before one of them."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

from protocol_check import Validator

from harness.certificates import Authority
from harness.client import Client
from harness.metrics import metrics_port
from harness.paths import VBOARD_WORKAREA_CONFIG
from harness.processes import Daemon, OpenOcd, Vboard
from harness.relay import Relay
from harness.tokens import make_token
from harness.waiting import wait_until
from network import BadNetwork

# The end of a connection as a client may see it.
CLOSED = (EOFError, ConnectionError, OSError)
ROLES = {"alice": "user", "bob": "user", "olga": "observer", "root": "admin"}
ANSWER_S = 400.0  # more than any call's own time limit
PATIENCE_MS = 120_000  # of the daemon with OpenOCD: a busy machine is no fault
MARK = "OCDMUX_SOAK"  # in the environment of all that belongs to a run


def _free_port() -> int:
    """One that stays free while nobody listens there: below those that the kernel gives to clients."""
    while True:
        port = random.randrange(10_000, 32_000)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            pass


def send_signal(pid: int, number: signal.Signals) -> None:
    """To a process that may have ended just now by itself."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


class Programs:
    """Everything that runs. A context manager; `directory` holds all their files."""

    def __init__(self, directory: Path, validator: Validator, image: bytes, ram_size: int, seed: int,
                 spawn: bool, verbose: bool) -> None:
        self.directory = directory
        self.validator = validator
        self.spawns = spawn
        self.verbose = verbose
        self.gdb_port = _free_port()
        os.environ[MARK] = str(directory)
        for name in ("state", "run", "files", "dumps", "images"):
            (directory / name).mkdir(mode=0o700)
        os.environ["XDG_RUNTIME_DIR"] = str(directory / "run")
        self._make_secrets()
        with ExitStack() as undo:
            self._vboard_flags = ["--port", str(_free_port()), "--flash-size", str(len(image)), "--ram-size",
                                  str(ram_size), "--state", str(directory / "flash")]
            (directory / "image.bin").write_bytes(image)
            self.vboard = Vboard(directory, [*self._vboard_flags, "--image", str(directory / "image.bin")])
            undo.callback(lambda: self.vboard.stop())
            self.daemon_kills = 0
            self.openocd: Optional[OpenOcd] = None
            self.link: Optional[Relay] = None
            if not spawn:
                self.tcl_port = _free_port()
                self.start_openocd()
                undo.callback(lambda: self.openocd and self.openocd.stop())
                self.link = Relay(self.tcl_port)
                undo.callback(self.link.close)
            self._write_config(seed)
            self.daemon = self._new_daemon()
            undo.callback(lambda: self.daemon.stop())
            self.network = BadNetwork(self._tcp_port(), f"{seed}/network")
            undo.callback(self.network.close)
            self._exit = undo.pop_all()

    def _make_secrets(self) -> None:
        self.tokens: Dict[str, str] = {}
        self._token_entries: List[Dict[str, Any]] = []
        for name, role in ROLES.items():
            self.tokens[name], entry = make_token(name, role=role)
            self._token_entries.append(entry)
        self.authority = Authority(self.directory, "authority")
        self.server_pair = self.authority.issue("server", "/CN=server", ["DNS:localhost", "IP:127.0.0.1"])
        self.carol_pair = self.authority.issue("carol", "/O=Lab/CN=carol")
        self.carol = self.authority.context(self.carol_pair)

    def _write_config(self, seed: int) -> None:
        place = self.directory
        board: Dict[str, Any] = {
            "name": "lab", "stage_dir": str(place / "files"), "gdb": {"listen": "tcp:127.0.0.1:0"},
            "health_every_ms": 300, "health_limit_ms": PATIENCE_MS, "link_limit_ms": PATIENCE_MS,
        }
        if self.spawns:
            board["spawn"] = self._openocd_words()
        else:
            board["openocd"] = f"127.0.0.1:{self.link.port}" if self.link else ""
            board["gdb"]["openocd"] = f"127.0.0.1:{self.gdb_port}"
        config = {
            "boards": [board],
            "listen": ["tcp:127.0.0.1:0", f"unix:{place}/socket", "tls:127.0.0.1:0"],
            "tokens": self._token_entries,
            "users": [{"user": str(os.getuid()), "identity": "root", "role": "admin"}],
            "tls": {"certificate": str(self.server_pair.certificate), "key": str(self.server_pair.key),
                    "client_ca": str(self.authority.pair.certificate)},
            "certificates": [{"subject": "CN=carol,O=Lab", "identity": "carol", "role": "user"}],
            "state_dir": str(place / "state"),
            "dump_root": str(place / "dumps"),
            "image_roots": [str(place / "images")],
            "audit": {"path": str(place / "audit"), "required": seed % 2 == 0},
            "metrics": {"listen": "tcp:127.0.0.1:0"},
            # Each way in which files can reach OpenOCD.
            "share_dir": "none" if seed % 3 == 0 else str(place / "run"),
            "log_level": "debug" if self.verbose else "info",
            "limits": {"slow_reader_ms": 10_000, "max_output_bytes": 262_144, "login_ms": PATIENCE_MS},
        }
        self.config = place / "ocdmuxd.json"
        self.config.write_text(json.dumps(config))

    def _openocd_words(self) -> List[str]:
        return ["openocd", "-c", f"set VBOARD_PORT {self.vboard.port}", "-c", f"set VBOARD_GDB_PORT {self.gdb_port}",
                "-c", "tcl_port 0", "-f", str(VBOARD_WORKAREA_CONFIG)]

    def _new_daemon(self) -> Daemon:
        daemon = Daemon(["--config", str(self.config)], listeners=3)
        self.gdb_address = daemon.wait_for_line(r"board lab: takes gdb on (\S+)").group(1)
        self.metrics_port = metrics_port(daemon)
        return daemon

    def _address(self, scheme: str) -> str:
        return next(each for each in self.daemon.addresses if each.startswith(scheme + ":"))

    def _tcp_port(self) -> int:
        return int(self._address("tcp").rpartition(":")[2])

    def server(self, way: str) -> str:
        """What a client that comes that way connects to: "net" is TCP through the bad network."""
        return f"tcp:127.0.0.1:{self.network.port}" if way == "net" else self._address(way)

    def connect(self, way: str = "tcp", identity: str = "root", name: str = "") -> Client:
        """A connection that has said who it is, as soon as there is one; raises what is in CLOSED where it ends before
        the daemon has answered."""

        def look() -> Optional[Client]:
            try:
                return Client(self.server(way), self.validator, ANSWER_S, tls=self.carol if way == "tls" else None)
            except CLOSED:
                return None

        client = wait_until(look, "a connection")
        hello = {"client": name} if name else {}
        if way in ("tcp", "net"):
            hello["token"] = self.tokens[identity]
        try:
            said = client.call("server.hello", **hello)
        except BaseException:
            client.close()
            raise
        assert said["identity"] == identity, said
        return client

    def openocd_pid(self) -> int:
        """Of the OpenOCD that runs just now; 0 while there is none."""
        if self.openocd is not None:
            return self.openocd.pid
        with self.connect() as client:
            process = client.call("board.status").get("process", {})
            return int(process.get("pid", 0))

    def kill_openocd(self, number: signal.Signals) -> None:
        """With SIGKILL or SIGTERM; it starts again."""
        if self.openocd is None:
            pid = self.openocd_pid()
            if pid:
                send_signal(pid, number)
            return
        if number == signal.SIGKILL:
            self.openocd.kill()
        else:
            self.openocd.stop()
        self.start_openocd()

    def start_openocd(self) -> None:
        """OpenOCD anew, on the ports that it had."""
        self.openocd = OpenOcd(self.vboard.port, self.tcl_port, VBOARD_WORKAREA_CONFIG,
                               setup=[f"set VBOARD_GDB_PORT {self.gdb_port}"])

    def start_daemon(self) -> None:
        """The daemon anew, with the state that it had."""
        self.daemon = self._new_daemon()
        self.network.upstream_port = self._tcp_port()

    def power_off(self) -> None:
        """The board's; its flash stays. OpenOCD does not live without."""
        self.vboard.stop()

    def power_on(self) -> None:
        """Again."""
        self.vboard = Vboard(self.directory, self._vboard_flags)

    def assert_alive(self) -> None:
        """Raises AssertionError where one of them has ended by itself."""
        for name, process in (("vboard", self.vboard), ("openocd", self.openocd), ("ocdmuxd", self.daemon)):
            assert process is None or process.alive, f"{name} has ended:\n{process.tail()}"

    def descriptors(self) -> List[str]:
        """What the daemon has open."""
        place = Path(f"/proc/{self.daemon.pid}/fd")
        return sorted(os.readlink(place / each) for each in os.listdir(place))

    def resident_kib(self) -> int:
        """How much memory of the daemon's is resident."""
        status = Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()


def family(directory: Path) -> List[str]:
    """The processes of a run that are there, zombies included, but for this one: what /proc says of them."""
    found = []
    for each in Path("/proc").iterdir():
        if not each.name.isdigit() or int(each.name) == os.getpid():
            continue
        try:
            if f"{MARK}={directory}".encode() in (each / "environ").read_bytes():
                found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            pass
    return found


@contextmanager
def place_for_run() -> Iterator[Path]:
    """Where a run keeps its files. They stay where it fails."""
    place = Path(tempfile.mkdtemp(prefix="ocdmux-soak-"))
    try:
        yield place
    except BaseException:
        print(f"soak: its files are in {place}", file=sys.stderr)
        raise
    shutil.rmtree(place)
