"""A blocking client that speaks one JSON text a line, and holds every line that comes against the protocol."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import time
from collections import defaultdict
from typing import Any, Callable, DefaultDict, Dict, List, Optional, Set, Tuple, Union

from protocol_check import Validator, Violation

from harness.waiting import LIMIT_S

Json = Dict[str, Any]
Id = Union[int, str]

_ENVELOPE_CODES = (-32700, -32600)
_READ_BYTES = 1 << 18


class RpcError(Exception):
    """An error reply. `kind`, `message` and `data` are what the daemon said."""

    def __init__(self, error: Json) -> None:
        super().__init__(json.dumps(error)[:2000])
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Json = error.get("data", {})
        self.kind: str = self.data.get("kind", "")


def _id_key(identifier: Any) -> str:
    return json.dumps(identifier)


def read_to_end(connection: socket.socket) -> bytes:
    """Everything up to the end, from a socket without a client."""
    data = b""
    while True:
        more = connection.recv(_READ_BYTES)
        if not more:
            return data
        data += more


class Client:
    """One connection. Replies and notifications that a call passes over while it waits are kept for later."""

    def __init__(
        self,
        address: str,
        validator: Validator,
        limit_s: float = LIMIT_S,
        receive_buffer: Optional[int] = None,
        tls: Optional[ssl.SSLContext] = None,
    ) -> None:
        """`address` is "tcp:HOST:PORT", "tls:HOST:PORT" or "unix:PATH"; each wait takes `limit_s` seconds at the most.

        `tls`: of a "tls:" address.

        `receive_buffer` bytes bound what the kernel takes for a client that does not read.
        """
        self.validator = validator
        self.limit_s = limit_s
        self.notifications: List[Json] = []
        self._replies: Dict[str, List[Json]] = defaultdict(list)
        self._methods: DefaultDict[str, List[str]] = defaultdict(list)
        self._done: DefaultDict[Tuple[str, str], int] = defaultdict(int)
        self._retired: Set[str] = set()
        self._last_id = 0
        self._unsent = b""
        self._buffer = bytearray()
        self._tls = tls
        self._socket = self._connect(address, receive_buffer)

    def _connect(self, address: str, receive_buffer: Optional[int]) -> socket.socket:
        kind, _, rest = address.partition(":")
        family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
        result = socket.socket(family, socket.SOCK_STREAM)
        try:
            if receive_buffer is not None:
                result.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            result.settimeout(self.limit_s)
            if kind == "unix":
                result.connect(rest)
            else:
                host, _, port = rest.rpartition(":")
                result.connect((host, int(port)))
                result.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if kind == "tls":
                assert self._tls is not None
                result = self._tls.wrap_socket(result, server_hostname="localhost")
        except BaseException:
            result.close()
            raise
        return result

    # Sending.

    def send_bytes(self, data: bytes) -> None:
        """Bytes as they are. Whatever calls are in them, once their lines are complete, are noted."""
        self._unsent += data
        *lines, self._unsent = self._unsent.split(b"\n")
        for line in lines:
            self._note_line(line)
        self._socket.sendall(data)

    def _note_line(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return
        for call in message if isinstance(message, list) else [message]:
            if isinstance(call, dict) and "id" in call and isinstance(call.get("method"), str):
                self._methods[_id_key(call["id"])].append(call["method"])
                self._retired.discard(_id_key(call["id"]))

    def note_call(self, identifier: Any, method: str) -> None:
        """Expects an answer to a call that the daemon can read and this client could not."""
        self._methods[_id_key(identifier)].append(method)

    def forget_call(self, identifier: Any) -> None:
        """Expects one answer less under that id: the last call will be answered with id null."""
        self._methods[_id_key(identifier)].pop()

    def forget_calls(self) -> None:
        """Expects no answers to anything sent so far, but such with id null."""
        self._methods.clear()

    def send_text(self, text: str) -> None:
        """A line; the LF is added."""
        self.send_bytes(text.encode() + b"\n")

    def make_call(self, method: str, params: Optional[Json] = None, identifier: Optional[Id] = None) -> Json:
        """A call as an object, with a fresh id unless one is given."""
        if identifier is None:
            self._last_id += 1
            identifier = self._last_id
        call: Json = {"jsonrpc": "2.0", "id": identifier, "method": method}
        if params is not None:
            call["params"] = params
        return call

    def send(self, method: str, /, **params: Any) -> Id:
        """Sends a call and returns its id."""
        call = self.make_call(method, params)
        self.send_text(json.dumps(call))
        identifier: Id = call["id"]
        return identifier

    # Receiving.

    def _read_line(self) -> Optional[bytes]:
        deadline = time.monotonic() + self.limit_s
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end >= 0:
                line = bytes(self._buffer[:end])
                del self._buffer[: end + 1]
                return line
            searched = len(self._buffer)
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(_READ_BYTES)
            except socket.timeout as reason:
                raise TimeoutError(f"no line within {self.limit_s:g} s") from reason
            if not data:
                if self._buffer:
                    raise Violation(f"the connection ended inside a line: {bytes(self._buffer[:200])!r}")
                return None
            self._buffer += data

    def receive(self) -> Any:
        """The next line, checked: a reply, a list of replies, or a notification. Raises EOFError at the end."""
        line = self._read_line()
        if line is None:
            raise EOFError("the daemon closed the connection")
        message = json.loads(line.decode("utf-8"))
        for part in message if isinstance(message, list) else [message]:
            self._check(part)
        return message

    def _check(self, message: Any) -> None:
        if isinstance(message, dict) and "method" in message:
            self.validator.check_notification(message)
            self._check_order(message)
        elif isinstance(message, dict) and message.get("id") is None:
            self._check_without_id(message)
        else:
            self._check_reply(message)

    def _check_order(self, notification: Json) -> None:
        params = notification["params"]
        if notification["method"] == "data" and _id_key(params["id"]) in self._retired:
            raise Violation(f"data behind the reply: {notification}")
        if notification["method"] == "progress":
            token = _id_key(params["token"])
            if params["phase"] == "queued":  # a token may be used again
                self._done = defaultdict(int, {key: value for key, value in self._done.items() if key[0] != token})
            place = (token, params["phase"])
            if params["done"] < self._done[place]:
                raise Violation(f"progress falls from {self._done[place]}: {notification}")
            self._done[place] = params["done"]

    def _check_without_id(self, message: Json) -> None:
        if set(message) != {"jsonrpc", "id", "error"} or message["jsonrpc"] != "2.0":
            raise Violation(f"neither reply nor notification: {message}")
        self.validator.check_error(message["error"])

    def _check_reply(self, message: Any) -> None:
        key = _id_key(message.get("id")) if isinstance(message, dict) else ""
        methods = self._methods.get(key)
        if not methods:
            raise Violation(f"a reply to nothing that was asked: {str(message)[:500]}")
        refused = "error" in message and message["error"]["code"] in _ENVELOPE_CODES
        method = methods.pop(-1 if refused else 0)
        self.validator.check_reply(method, message)
        if not methods:
            self._retired.add(key)

    def _keep(self, message: Any) -> None:
        if isinstance(message, list):
            self._replies["batch"].append({"batch": message})
        elif "method" in message:
            self.notifications.append(message)
        else:
            self._replies[_id_key(message["id"])].append(message)

    def reply(self, identifier: Optional[Id]) -> Json:
        """The whole reply to the call `identifier`; None: the next one whose id is null."""
        return self._reply(_id_key(identifier))

    def _reply(self, key: str) -> Json:
        while not self._replies[key]:
            self._keep(self.receive())
        return self._replies[key].pop(0)

    def batch(self) -> List[Json]:
        """The next array of replies."""
        replies: List[Json] = self._reply("batch")["batch"]
        return replies

    def result(self, identifier: Id) -> Json:
        """The result of the call `identifier`; raises RpcError where it failed."""
        reply = self.reply(identifier)
        if "error" in reply:
            raise RpcError(reply["error"])
        result: Json = reply["result"]
        return result

    def error(self, identifier: Optional[Id]) -> RpcError:
        """The error of the call `identifier`, which must have failed."""
        reply = self.reply(identifier)
        if "error" not in reply:
            raise AssertionError(f"succeeded: {str(reply)[:500]}")
        return RpcError(reply["error"])

    def call(self, method: str, /, **params: Any) -> Json:
        """Calls and waits for the result; raises RpcError."""
        return self.result(self.send(method, **params))

    def fail(self, method: str, /, **params: Any) -> RpcError:
        """Calls and waits for the error, which must come."""
        return self.error(self.send(method, **params))

    def wait_notification(self, fits: Callable[[Json], bool]) -> Json:
        """The first notification, one of those kept included, that `fits`; waits for it and takes it out."""
        for i, notification in enumerate(self.notifications):
            if fits(notification):
                return self.notifications.pop(i)
        while True:
            message = self.receive()
            if isinstance(message, dict) and "method" in message and fits(message):
                return message
            self._keep(message)

    @property
    def has_replies(self) -> bool:
        """Whether replies are kept that nobody asked for yet."""
        return any(self._replies.values())

    def take_reply(self) -> Json:
        """A reply that is kept and nobody asked for yet; it is kept no more. Raises StopIteration."""
        key = next(key for key, replies in self._replies.items() if replies)
        return self._replies[key].pop(0)

    def take_notifications(self, method: str) -> List[Json]:
        """The params of the kept notifications of that method, in their order; they are kept no more."""
        taken = [each["params"] for each in self.notifications if each["method"] == method]
        self.notifications = [each for each in self.notifications if each["method"] != method]
        return taken

    def wait_end(self) -> None:
        """Waits for the daemon to close the connection; what still comes before that is kept."""
        while True:
            try:
                self._keep(self.receive())
            except (EOFError, ConnectionResetError):
                return

    # Ends.

    def half_close(self) -> None:
        """Says that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
