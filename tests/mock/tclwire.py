"""A small TCL-RPC client for the mock's tests: bare commands, envelopes, notifications."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import List, Optional

END = b"\x1a"
LINE_TOO_LONG = b"line too long\n\0"
_NOTIFICATION = b"type target_"
_ENVELOPE = (
    b"apply {s {set l [capture {set c [catch -exit {uplevel #0 $s} r o];format {}}];"
    b'return "\\x00%b $c [string bytelength $r] [string bytelength $l] [string bytelength $o]'
    b':$r$l$o"}} "%b"'
)


def quote(script: bytes) -> bytes:
    """Any bytes as the inside of one double-quoted Tcl word."""
    for char in (b"\\", b'"', b"[", b"$"):
        script = script.replace(char, b"\\" + char)
    return script.replace(b"\0", b"\\x00").replace(END, b"\\x1a")


def envelope(script: bytes, nonce: bytes) -> bytes:
    """The command that runs `script` and answers with code, result, log and options."""
    return _ENVELOPE % (nonce, quote(script))


class Stray(Exception):
    """A frame that is neither the expected envelope nor a notification; its bytes are the text."""

    def __init__(self, frame: bytes) -> None:
        super().__init__(repr(frame[:200]))
        self.frame = frame


@dataclass
class Reply:
    """What an envelope brought back, and the notifications that came before it."""

    code: int
    result: bytes
    log: bytes
    options: bytes
    notifications: List[bytes]


class Wire:
    """One TCL connection.  Reads give up after `limit_s` seconds with TimeoutError."""

    def __init__(self, port: int, limit_s: float = 30.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), limit_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.count = 0

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def read(self, count: int) -> bytes:
        """Exactly `count` bytes; EOFError when the connection ends before."""
        pieces = [self.buffer]
        have = len(self.buffer)
        while have < count:
            piece = self.socket.recv(1 << 20)
            if not piece:
                self.buffer = b"".join(pieces)
                raise EOFError(self.buffer[:200])
            pieces.append(piece)
            have += len(piece)
        data = b"".join(pieces)
        self.buffer = data[count:]
        return data[:count]

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to `mark`, which is taken but not returned."""
        while mark not in self.buffer:
            piece = self.socket.recv(1 << 20)
            if not piece:
                raise EOFError(self.buffer[:200])
            self.buffer += piece
        data, _, self.buffer = self.buffer.partition(mark)
        return data

    def read_rest(self) -> bytes:
        """Everything up to the end of the connection."""
        while True:
            try:
                piece = self.socket.recv(1 << 20)
            except ConnectionResetError:
                piece = b""
            if not piece:
                data, self.buffer = self.buffer, b""
                return data
            self.buffer += piece

    def bare(self, script: bytes, notifications: Optional[List[bytes]] = None) -> bytes:
        """Run `script` as it is; returns the reply's text.  Notifications go to the list."""
        self.send(script + END)
        while True:
            frame = self.read_until(END)
            if not frame.startswith(_NOTIFICATION):
                return frame
            if notifications is not None:
                notifications.append(frame)

    def run(self, script: bytes) -> Reply:
        """Run `script` in an envelope with a fresh nonce."""
        self.count += 1
        nonce = b"n%07x" % self.count
        self.send(envelope(script, nonce) + END)
        return self.reply(nonce)

    def reply(self, nonce: bytes) -> Reply:
        """Read one enveloped reply; Stray when something else comes."""
        notifications: List[bytes] = []
        while True:
            first = self.read(1)
            if first == b"\0":
                break
            frame = first + self.read_until(END) if first != END else b""
            if not frame.startswith(_NOTIFICATION):
                raise Stray(frame)
            notifications.append(frame)
        header = self.read_until(b":")
        fields = header.split(b" ")
        if len(fields) != 5 or fields[0] != nonce:
            raise Stray(b"\0" + header)
        code, result, log, options = (int(field) for field in fields[1:])
        body = self.read(result + log + options + 1)
        if body[-1:] != END:
            raise Stray(body)
        return Reply(
            code, body[:result], body[result:result + log], body[result + log:-1], notifications
        )

    def ask(self, script: bytes) -> bytes:
        """Run `script`, which must succeed; returns its result."""
        reply = self.run(script)
        if reply.code not in (0, 2):
            raise AssertionError("%r failed: %r" % (script, reply))
        return reply.result
