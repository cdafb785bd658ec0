"""Servers that are no OpenOCD."""

from __future__ import annotations

import socket
import threading
from typing import Callable, List

_STEP_S = 0.02


class Stranger:
    """Listens on a port of 127.0.0.1 and does to every connection what `serve` does; a context manager."""

    def __init__(self, serve: Callable[["Stranger", socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_STEP_S)
        self._stopped = threading.Event()
        self._threads: List[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._run, args=(connection,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _run(self, connection: socket.socket) -> None:
        connection.settimeout(_STEP_S)
        with connection:
            try:
                self._serve(self, connection)
            except OSError:
                pass

    def wait(self, connection: socket.socket) -> None:
        """Takes what comes and says nothing, until the peer or the test ends it."""
        while not self._stopped.is_set():
            try:
                if not connection.recv(65536):
                    return
            except socket.timeout:
                continue

    @property
    def stopped(self) -> bool:
        """Whether the test is over."""
        return self._stopped.is_set()

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._listener.close()
        for thread in [self._acceptor, *self._threads]:
            thread.join(5)


def silent(stranger: Stranger, connection: socket.socket) -> None:
    """Never says a word."""
    stranger.wait(connection)


def http(stranger: Stranger, connection: socket.socket) -> None:
    """A web server: waits for a request, complains, and closes."""
    connection.settimeout(5)
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\x1a</html>")


def banner(stranger: Stranger, connection: socket.socket) -> None:
    """Introduces itself and waits, as SSH and SMTP servers do."""
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    stranger.wait(connection)


def echo(stranger: Stranger, connection: socket.socket) -> None:
    """Sends back what it gets."""
    while not stranger.stopped:
        try:
            data = connection.recv(65536)
        except socket.timeout:
            continue
        if not data:
            return
        connection.sendall(data)


def slammer(stranger: Stranger, connection: socket.socket) -> None:
    """Closes at once."""


def flood(stranger: Stranger, connection: socket.socket) -> None:
    """Sends without end, and never the end of a frame."""
    while not stranger.stopped:
        try:
            connection.send(b"all work and no play makes jack a dull boy " * 1000)
        except socket.timeout:
            continue


def frames(stranger: Stranger, connection: socket.socket) -> None:
    """Sends empty frames without end."""
    while not stranger.stopped:
        try:
            connection.send(b"\x1a" * 20000)
        except socket.timeout:
            continue
