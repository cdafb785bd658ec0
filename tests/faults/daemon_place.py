"""A daemon on a mock, with all the places where it keeps files, which a test may kill and start again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional

from control import MockControl
from protocol_check import Validator

from harness.client import Client
from harness.fault_shim import FaultShim
from harness.processes import Daemon

PLACES = ("state", "stages", "shares", "dumps", "audit")


class Place:
    """Everything of one daemon below `directory`. A context manager; what runs ends with it."""

    def __init__(self, directory: Path, mock: MockControl, validator: Validator, **members: Any) -> None:
        """`members`: further ones of the configuration."""
        self.directory = directory
        self.mock = mock
        self.validator = validator
        self.daemon: Optional[Daemon] = None
        self.clients: List[Client] = []
        for name in PLACES:
            (directory / name).mkdir(parents=True, exist_ok=True)
        self.shim = FaultShim(directory, [directory / name for name in PLACES])
        config: Dict[str, Any] = {
            "boards": [{"name": "b0", "openocd": f"127.0.0.1:{mock.tcl_port}"}],
            "anonymous_role": "admin",
            "log_level": "debug",
            "state_dir": str(directory / "state"),
            "stage_root": str(directory / "stages"),
            "share_dir": str(directory / "shares"),
            "dump_root": str(directory / "dumps"),
            "audit": {"path": str(self.audit_path), "required": True},
            **members,
        }
        self.config = directory / "config.json"
        self.config.write_text(json.dumps(config))

    @property
    def audit_path(self) -> Path:
        return self.directory / "audit" / "lines"

    def start(self) -> Daemon:
        """Raises RuntimeError where it does not come to listen."""
        flags = ["--config", str(self.config), "--listen", "tcp:127.0.0.1:0"]
        self.daemon = Daemon(flags, env=self.shim.env)
        return self.daemon

    def client(self) -> Client:
        assert self.daemon is not None
        self.clients.append(Client(self.daemon.address, self.validator))
        return self.clients[-1]

    # What is on the disk.

    def board_files(self) -> Dict[str, bytes]:
        """In the board's directory, by name."""
        return {path.name: path.read_bytes() for path in (self.directory / "state").rglob("*") if path.is_file()}

    def left(self, name: str) -> List[Path]:
        """Directories of daemons, or files."""
        return sorted((self.directory / name).iterdir())

    def audit_lines(self) -> List[Optional[Dict[str, Any]]]:
        """None for a line that is none."""
        lines: List[Optional[Dict[str, Any]]] = []
        for line in self.audit_path.read_bytes().splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                lines.append(None)
        return lines

    def close(self) -> None:
        for client in self.clients:
            client.close()
        if self.daemon is not None:
            self.daemon.stop()
        self.shim.close()

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
