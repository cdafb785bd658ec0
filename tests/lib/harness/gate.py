"""Holding a board's link, so that a test decides in which order requests meet the scheduler."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from harness.client import Client, Id
from harness.waiting import wait_until


def hold_command(path: Path) -> str:
    """Tcl that ends when the file `path` appears, and after half a minute anyhow."""
    return "for {set i 0} {$i < 6000 && ![file exists {%s}]} {incr i} {sleep 5}" % path


class Gate:
    """While it is closed, an `openocd.command` of `admin` keeps the link busy and whatever else is sent waits in its
    queue.

    A context manager, to be entered as often as wanted: closed within, opened at the end; open() opens it before.
    `path` is a file that does not exist yet.
    """

    def __init__(self, admin: Client, path: Path) -> None:
        self._admin = admin
        self._path = path
        self._request: Optional[Id] = None

    def __enter__(self) -> "Gate":
        self._request = self._admin.send("openocd.command", command=hold_command(self._path), timeout_ms=60000)
        wait_until(self._is_closed, "the gate to close")
        return self

    def _is_closed(self) -> bool:
        running = self._admin.call("board.status").get("running", {})
        return running.get("method") == "openocd.command"

    def open(self) -> None:
        """Lets the link go; returns when the command has ended."""
        if self._request is not None:
            self._path.touch()
            request, self._request = self._request, None
            self._admin.result(request)
            self._path.unlink()

    def __exit__(self, *_: object) -> None:
        self.open()


def wait_queued(client: Client, token: str) -> None:
    """Waits until the daemon has queued the request that was sent with `progress=token`."""
    client.wait_notification(
        lambda note: note["method"] == "progress"
        and note["params"]["token"] == token
        and note["params"]["phase"] == "queued"
    )
