"""A Debian that runs: systemd is process 1 of a container that has a loopback interface and no other."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional

from protocol_check import Validator

from harness.client import Client
from harness.waiting import wait_until

LAB = "/srv/lab"
CONFIG = "/etc/ocdmux/ocdmuxd.json"
SOCKET = "/run/ocdmux/ocdmux.sock"  # the daemon's own
PASSED_SOCKET = "/run/ocdmux.sock"  # that of ocdmuxd.socket
LISTEN = ["tcp:127.0.0.1:6670", f"unix:{SOCKET}"]
DROP_INS = "/etc/systemd/system/ocdmuxd.service.d"
UNITS = ("ocdmuxd.socket", "ocdmuxd.service")
LIMIT_S = 120.0


def openocd(config: str = "vboard-workarea.cfg", tcl_port: int = 0) -> List[str]:
    """The command that starts OpenOCD on the virtual board."""
    return ["openocd", "-c", "set VBOARD_PORT 7000", "-c", f"tcl_port {tcl_port}", "-f", f"{LAB}/{config}"]


def spawning(config: str = "vboard-workarea.cfg", **members: Any) -> Dict[str, Any]:
    """A configuration whose daemon starts it; `members` are of the board."""
    return {"boards": [{"name": "board", "spawn": openocd(config), **members}], "listen": LISTEN}


class Machine:
    """A context manager; it is shut down with it."""

    def __init__(self, root: Path, validator: Validator) -> None:
        self.root = root
        self.validator = validator
        self._leader = 0  # process 1, as this side knows it; 0 before it runs
        self._installed = self.path(CONFIG).read_bytes()
        self._clients = ExitStack()
        # The hierarchy of control groups that systemd has by itself, whatever there is outside.
        self._process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", f"--directory={root}", f"--machine=ocdmux-{os.getpid()}", "--register=no",
             "--keep-unit", "--private-network", "--resolv-conf=off", "--timezone=off", "--link-journal=no",
             "--kill-signal=SIGRTMIN+3", "--console=pipe", "--boot", "systemd.show_status=false"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        try:
            wait_until(self._is_up, "systemd's start", LIMIT_S)
            self.run("systemctl", "is-system-running", "--wait")
        except BaseException:
            self.stop()
            raise

    def _is_up(self) -> bool:
        assert self._process.poll() is None, "the container ended"
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if len(children) != 1:
            return False
        self._leader = int(children[0])
        return self.path("/run/systemd/private").exists()

    def path(self, name: str) -> Path:
        """Of a file, as root of this side sees it. What is mounted in there is seen while it runs."""
        return (Path(f"/proc/{self._leader}/root") if self._leader else self.root) / name.lstrip("/")

    def enter(self, *command: str) -> List[str]:
        """The command that runs `command` in there."""
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd=/"]
        return ["nsenter", f"--target={self._leader}", *spaces, *command]

    def run(self, *command: str, check: bool = True) -> str:
        """What it says, on both streams, without white space around; with `check` it must end well."""
        done = subprocess.run(
            self.enter(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=LIMIT_S, check=False, env={**os.environ, "LC_ALL": "C.UTF-8", "SYSTEMD_PAGER": ""},
        )
        assert not check or done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}\n{self.tail()}"
        return done.stdout.strip()

    def popen(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            self.enter(*command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    # The service.

    def systemctl(self, *words: str) -> str:
        return self.run("systemctl", *words)

    def show(self, name: str, unit: str = "ocdmuxd.service") -> str:
        """A property of the unit."""
        return self.run("systemctl", "show", "--value", "-p", name, unit)

    def state(self, unit: str = "ocdmuxd.service") -> str:
        return self.show("ActiveState", unit)

    @property
    def pid(self) -> int:
        """Of the daemon."""
        return int(self.show("MainPID"))

    def journal(self) -> List[str]:
        """What was said of and by the service since the start of the machine."""
        self.run("journalctl", "--sync")
        return self.run("journalctl", "--boot", "--no-pager", "-o", "cat", "-u", "ocdmuxd.service").splitlines()

    def tail(self) -> str:
        done = subprocess.run(
            self.enter("journalctl", "--no-pager", "-n", "40", "-o", "short-monotonic"), capture_output=True, text=True,
            timeout=LIMIT_S, check=False,
        )
        return done.stdout

    def configure(self, config: Dict[str, Any]) -> None:
        self.path(CONFIG).write_text(json.dumps(config), encoding="utf-8")

    def drop_in(self, name: str, text: str) -> None:
        self.path(DROP_INS).mkdir(parents=True, exist_ok=True)
        (self.path(DROP_INS) / name).write_text(text, encoding="utf-8")
        self.systemctl("daemon-reload")

    def start(self, config: Optional[Dict[str, Any]] = None) -> Client:
        """The service, with another configuration; and a client that found OpenOCD there."""
        if config is not None:
            self.configure(config)
        self.systemctl("start", "ocdmuxd.service")
        return self.wait_for_board()

    def wait_for_board(self) -> Client:
        client = self.client()
        wait_until(lambda: client.call("board.status")["link"] in ("idle", "busy"), "OpenOCD")
        return client

    def client(self, path: str = SOCKET) -> Client:
        """Over a Unix socket, which can be reached from outside."""
        return self._clients.enter_context(Client(f"unix:{self.path(path)}", self.validator))

    def reset(self) -> None:
        """The service as it was installed, stopped, and with nothing kept."""
        self._clients.close()
        if self.show("LoadState") == "loaded":
            self.systemctl("stop", *UNITS)
            self.systemctl("reset-failed")
            self.path(CONFIG).unlink()
            self.path(CONFIG).write_bytes(self._installed)
            self.path(CONFIG).chmod(0o644)
            for directory in ("lib", "log"):
                shutil.rmtree(self.path(f"/var/{directory}/private/ocdmux"), ignore_errors=True)
        shutil.rmtree(self.path(DROP_INS), ignore_errors=True)
        self.systemctl("daemon-reload")

    # Its end.

    def stop(self) -> None:
        self._clients.close()
        self._process.terminate()
        try:
            self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(LIMIT_S)

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def matches(pattern: str, lines: List[str]) -> bool:
    return any(re.search(pattern, line) for line in lines)
