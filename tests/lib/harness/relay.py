"""A relay between two programs that talk over TCP, in which a test picks the moment at which something happens."""

from __future__ import annotations

import re
import socket
import threading
from typing import Callable, List, Optional, Tuple

from harness.waiting import LIMIT_S

_READ_BYTES = 1 << 16
_COMMAND_END = b"\x1a"


def _close(*sockets: socket.socket) -> None:
    for each in sockets:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        each.close()


class Relay:
    """Passes bytes between whoever connects to `port` and the port that it was made for.

    A trap is a moment in what goes towards that port. When it comes, `action` runs while nothing of what lies behind
    the moment has been passed on; then all goes on, or both connections end where that was asked for. A context
    manager.
    """

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.passed = 0
        self._lock = threading.Lock()
        self._trap: Optional[Tuple[int, Callable[[], object], bool]] = None
        self._sprung = threading.Event()
        self._pairs: List[Tuple[socket.socket, socket.socket]] = []
        self._threads: List[threading.Thread] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _wait_turn(self) -> None:
        """Runs before each connection to the other end."""

    def _accept(self) -> None:
        while True:
            try:
                client = self._server.accept()[0]
            except OSError:
                return
            self._wait_turn()
            try:
                upstream = socket.create_connection(("127.0.0.1", self.upstream_port), LIMIT_S)
            except OSError:
                client.close()
                continue
            upstream.settimeout(None)
            for each in (client, upstream):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._pairs.append((client, upstream))
            self._start(self._pump_up, client, upstream)
            self._start(self._pump_down, client, upstream)

    def _pump_up(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while True:
                data = client.recv(_READ_BYTES)
                if not data:
                    break
                self._pass_up(data, upstream)
        except OSError:
            pass
        _close(client, upstream)

    def _pump_down(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while True:
                data = upstream.recv(_READ_BYTES)
                if not data:
                    break
                client.sendall(data)
        except OSError:
            pass
        _close(client, upstream)

    def _pass_up(self, data: bytes, upstream: socket.socket) -> None:
        with self._lock:
            trap = self._trap
            if trap is None or self.passed + len(data) < trap[0]:
                self.passed += len(data)
                trap = None
            else:
                self._trap = None
        if trap is None:
            upstream.sendall(data)
            return
        before = max(trap[0] - self.passed, 0)
        upstream.sendall(data[:before])
        self.spring(trap[1])
        if trap[2]:
            raise ConnectionResetError
        self.passed += len(data)
        upstream.sendall(data[before:])

    def spring(self, action: Callable[[], object]) -> None:
        """The moment has come."""
        try:
            action()
        finally:
            self._sprung.set()

    def trap_bytes(self, count: int, action: Callable[[], object], cut: bool = False) -> None:
        """A trap behind so many further bytes. `cut`: the connections end then."""
        with self._lock:
            self._sprung.clear()
            self._trap = (self.passed + count, action, cut)

    def drop_trap(self) -> bool:
        """Whether there was one of bytes that has not sprung; there is none any more."""
        with self._lock:
            dropped, self._trap = self._trap is not None, None
        return dropped

    def wait_sprung(self) -> None:
        """Until the action of the last trap has ended."""
        if not self._sprung.wait(LIMIT_S):
            raise TimeoutError(f"the moment did not come within {LIMIT_S:g} s")

    @property
    def sprung(self) -> bool:
        """Whether it has."""
        return self._sprung.is_set()

    def cut(self) -> None:
        """Ends all connections."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(*pair)

    def close(self) -> None:
        """Ends everything."""
        _close(self._server)
        self.cut()
        for thread in self._threads:
            thread.join(LIMIT_S)

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class CommandRelay(Relay):
    """A relay to OpenOCD's Tcl port, which knows where commands and replies end.

    `commands` are those that came, in their order, as text.
    """

    def __init__(self, upstream_port: int) -> None:
        self.commands: List[str] = []
        self._half = b""
        self._cut = True
        self._command_trap: Optional[Tuple["re.Pattern[str]", int, str, Callable[[], object]]] = None
        self._reply_trap: Optional[Callable[[], object]] = None
        super().__init__(upstream_port)

    def trap_command(self, pattern: str, action: Callable[[], object], when: str = "before", skip: int = 0,
                     cut: bool = True) -> None:
        """A trap at the command that matches, behind `skip` others that do. `when` is "before" it is passed on, "sent"
        when it has been, or "answered": OpenOCD's reply has come and is not passed on. The connections end then, unless
        `cut` is false."""
        with self._lock:
            self._sprung.clear()
            self._reply_trap = None
            self._command_trap = (re.compile(pattern), skip, when, action)
            self._cut = cut

    def seen(self, pattern: str, since: int = 0) -> List[str]:
        """The commands that match, from the one with the index `since` on: what matched of each."""
        expression = re.compile(pattern)
        found = [expression.search(command) for command in self.commands[since:]]
        return [match.group(0) for match in found if match]

    def _pass_up(self, data: bytes, upstream: socket.socket) -> None:
        *commands, self._half = (self._half + data).split(_COMMAND_END)
        for command in commands:
            self._pass_command(command + _COMMAND_END, upstream)

    def _pass_command(self, command: bytes, upstream: socket.socket) -> None:
        text = command.decode("latin-1")
        with self._lock:
            self.commands.append(text)
            trap = self._take_trap(text)
            if trap is not None and trap[0] == "answered":
                self._reply_trap = trap[1]
                trap = None
        if trap is None:
            upstream.sendall(command)
            return
        if trap[0] == "sent":
            upstream.sendall(command)
        self.spring(trap[1])
        if self._cut:
            raise ConnectionResetError
        if trap[0] == "before":
            upstream.sendall(command)

    def _take_trap(self, text: str) -> Optional[Tuple[str, Callable[[], object]]]:
        if self._command_trap is None or not self._command_trap[0].search(text):
            return None
        pattern, skip, when, action = self._command_trap
        if skip > 0:
            self._command_trap = (pattern, skip - 1, when, action)
            return None
        self._command_trap = None
        return when, action

    def _pump_up(self, client: socket.socket, upstream: socket.socket) -> None:
        self._half = b""
        super()._pump_up(client, upstream)

    def _pump_down(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while True:
                data = upstream.recv(_READ_BYTES)
                if not data:
                    break
                action = self._reply_trap
                # Notifications come in front of a reply, whose first byte is NUL.
                if action is not None and b"\x00" in data:
                    self._reply_trap = None
                    self.spring(action)
                    if self._cut:
                        break
                client.sendall(data)
        except OSError:
            pass
        _close(client, upstream)
