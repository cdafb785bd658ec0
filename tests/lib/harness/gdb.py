"""gdb's remote protocol from both of its ends: a client that may be told anything, and a server in OpenOCD's place."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from contextlib import suppress
from typing import Any, Callable, Dict, List, Optional

from harness.waiting import LIMIT_S, wait_until


def packet(payload: str) -> bytes:
    """A framed packet of plain text."""
    return f"${payload}#{sum(payload.encode()) % 256:02x}".encode()


class GdbClient:
    """A connection to a gdb listener ("tcp:HOST:PORT", "tls:HOST:PORT" or "unix:PATH"); every wait has a limit."""

    def __init__(self, address: str, tls: Optional[ssl.SSLContext] = None) -> None:
        scheme, _, rest = address.partition(":")
        if scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(LIMIT_S)
            self.socket.connect(rest)
        else:
            host, _, port = rest.rpartition(":")
            self.socket = socket.create_connection((host, int(port)), LIMIT_S)
        if scheme == "tls":
            assert tls is not None
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.seen = b""

    def send(self, data: bytes) -> None:
        """As it is."""
        self.socket.sendall(data)

    def until(self, end: bytes) -> bytes:
        """What came up to the first `end`, which is included; raises EOFError with what came instead."""
        while end not in self.seen:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                raise EOFError(self.seen)
            self.seen += data
        at = self.seen.index(end) + len(end)
        result, self.seen = self.seen[:at], self.seen[at:]
        return result

    def answer(self) -> str:
        """The payload of the next packet; acknowledgements before it are passed over."""
        self.until(b"$")
        payload = self.until(b"#")[:-1].decode()
        while len(self.seen) < 2:
            self.seen += self.socket.recv(65536)
        check, self.seen = self.seen[:2], self.seen[2:]
        assert int(check, 16) == sum(payload.encode()) % 256
        return payload

    def ask(self, payload: str) -> str:
        """A packet and its answer."""
        self.send(packet(payload))
        return self.answer()

    def rest(self) -> bytes:
        """What came up to the end of the connection, for which it waits."""
        try:
            self.until(b"\x00never\x00")
        except EOFError as end:
            return bytes(end.args[0])
        raise AssertionError

    def preface(self, **members: Any) -> Dict[str, Any]:
        """Sends one; the object of its answer, with `ok` added."""
        self.send(b"ocdmux " + json.dumps(members).encode() + b"\n")
        word, _, text = self.until(b"\n").partition(b" ")
        assert word in (b"ok", b"error")
        return {**json.loads(text), "ok": word == b"ok"}

    def close(self) -> None:
        """Ends the connection."""
        self.socket.close()

    def __enter__(self) -> "GdbClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class GdbServer:
    """Answers each packet by `answer(payload)` (None: not at all), acknowledged, and keeps what came."""

    def __init__(self, answer: Callable[[str], Optional[str]] = lambda _: "OK") -> None:
        self.answer = answer
        self.received = b""
        self.packets: List[str] = []
        self.connections = 0
        self.ends = 0
        self.refuses = False
        self._open: List[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.refuses:
                connection.close()
                continue
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        pending = b""
        while True:
            try:
                data = connection.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.ends += 1
                return
            self.received += data
            pending += data
            while b"#" in pending and len(pending) >= pending.index(b"#") + 3:
                frame, pending = pending[: pending.index(b"#")], pending[pending.index(b"#") + 3 :]
                payload = frame[frame.index(b"$") + 1 :].decode("latin-1")
                self.packets.append(payload)
                answer = self.answer(payload)
                if answer is not None:
                    with suppress(OSError):  # who asked may have gone
                        connection.sendall(b"+" + packet(answer))

    def say(self, data: bytes) -> None:
        """Sends to the newest connection as it is."""
        self._open[-1].sendall(data)

    def hang_up(self) -> None:
        """Ends all connections, as an OpenOCD does that is killed."""
        for connection in self._open:
            with suppress(OSError):  # it has ended already
                connection.shutdown(socket.SHUT_RDWR)

    def wait_packets(self, count: int) -> None:
        """Until so many have come."""
        wait_until(lambda: len(self.packets) >= count, f"{count} packets")

    def close(self) -> None:
        """Ends everything."""
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def __enter__(self) -> "GdbServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
