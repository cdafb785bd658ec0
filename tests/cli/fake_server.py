"""A server that speaks the wire contract from a script: for tests of clients that need every kind of answer.

Each method's handler is a function that gets a Call and returns the result, raises RpcError, or returns NO_ANSWER after it
has done something else with the Call. Requests, results and notifications are checked against proto/protocol.json; what
does not fit goes to `problems`, which the tests assert to be empty. Raw bytes are not checked.
"""

import json
import socket
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Union

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from protocol_check import Validator, Violation  # noqa: E402

PROTOCOL = Path(__file__).resolve().parents[2] / "proto" / "protocol.json"

NO_ANSWER = object()
LIMITS = {
    "max_line_bytes": 8388608,
    "max_in_flight": 64,
    "max_batch": 64,
    "max_inline_bytes": 4194304,
    "max_pattern_bytes": 4096,
    "max_elements": 65536,
}
WAIT_S = 20.0


class RpcError(Exception):
    """An error answer. `data` goes into error.data beside the kind."""

    def __init__(self, kind: str, message: str, code: int = -32000, **data: Any) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message, "data": {"kind": kind, **data}}


class Call:
    """One received request and the ways to treat it."""

    def __init__(self, server: "FakeServer", connection: "Connection", request: Dict[str, Any]) -> None:
        self.server = server
        self.connection = connection
        self.id = request.get("id")
        self.method = request["method"]
        self.params = request.get("params", {})
        self.cancelled = threading.Event()

    def notify(self, method: str, params: Dict[str, Any]) -> None:
        """Sends a notification."""
        notification = {"jsonrpc": "2.0", "method": method, "params": params}
        self.server.check(self.server.contract.check_notification, notification)
        self.connection.send(notification)

    def progress(self, phase: str, done: int, total: Optional[int] = None, unit: str = "bytes", **more: Any) -> None:
        """Sends a progress notification with the token that the request asked for."""
        params = {"token": self.params["progress"], "operation": "op-7", "phase": phase, "done": done, "unit": unit}
        if total is not None:
            params["total"] = total
        self.notify("progress", {**params, **more})

    def data(self, offset: int, **piece: str) -> None:
        """Sends a piece of a stream: data=... or text=..."""
        self.notify("data", {"id": self.id, "offset": offset, **piece})

    def send_raw(self, data: bytes) -> None:
        """Sends any bytes."""
        self.connection.send_raw(data)

    def close(self) -> None:
        """Closes the connection."""
        self.connection.close()

    def wait_cancel(self) -> None:
        """Waits until this request is cancelled; fails after WAIT_S seconds."""
        if not self.cancelled.wait(WAIT_S):
            self.server.problems.append(f"{self.method} was not cancelled")


Handler = Callable[[Call], Any]


class Connection:
    """One client's connection."""

    def __init__(self, server: "FakeServer", client: socket.socket) -> None:
        self.server = server
        self.socket = client
        self.lock = threading.Lock()
        self.calls: Dict[Any, Call] = {}

    def send(self, message: Dict[str, Any]) -> None:
        """Sends one JSON text as a line."""
        self.send_raw(json.dumps(message).encode() + b"\n")

    def send_raw(self, data: bytes) -> None:
        """Sends any bytes; a client that has gone is no problem."""
        with self.lock:
            try:
                self.socket.sendall(data)
            except OSError:
                pass

    def close(self) -> None:
        """Ends the connection in both directions."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def serve(self) -> None:
        """Reads lines until the client has gone."""
        with self.socket, self.socket.makefile("rb") as lines:
            try:
                for line in lines:
                    self.take(line)
            except OSError:
                pass

    def take(self, line: bytes) -> None:
        """Checks and dispatches one line."""
        self.server.lines.append(line)
        request = json.loads(line.decode("utf-8"))
        if set(request) - {"jsonrpc", "id", "method", "params"} or request.get("jsonrpc") != "2.0" or "id" not in request:
            self.server.problems.append(f"no JSON-RPC 2.0 call: {request!r:.80}")
        if request["id"] in self.calls:
            self.server.problems.append(f"id {request['id']} is in flight")
        if self.server.check_calls:
            self.server.check(self.server.contract.check_params, request["method"], request.get("params", {}))
        call = Call(self.server, self, request)
        self.calls[call.id] = call
        with self.server.arrived:
            self.server.requests.append(request)
            self.server.arrived.notify_all()
        thread = threading.Thread(target=self.answer, args=(call,), daemon=True)
        thread.start()

    def answer(self, call: Call) -> None:
        """Runs the handler and sends what it says."""
        handler = self.server.handlers.get(call.method)
        try:
            if handler is None:
                raise RpcError("method_not_found", f"the script has no {call.method}", -32601)
            result = handler(call)
        except RpcError as failure:
            self.server.check(self.server.contract.check_error, failure.error)
            self.finish(call, {"error": failure.error})
            return
        if result is not NO_ANSWER:
            if self.server.check_results:
                self.server.check(self.server.contract.check_result, call.method, result)
            self.finish(call, {"result": result})

    def finish(self, call: Call, answer: Dict[str, Any]) -> None:
        """Answers and frees the id."""
        self.calls.pop(call.id, None)
        self.send({"jsonrpc": "2.0", "id": call.id, **answer})


class FakeServer:
    """Listens at once; close() ends it. `address` is a path for a Unix socket, None for a port of 127.0.0.1."""

    def __init__(self, address: Optional[str] = None) -> None:
        self.contract = Validator(PROTOCOL)
        self.handlers: Dict[str, Handler] = {"server.hello": self.hello, "request.cancel": self.cancel}
        self.limits = dict(LIMITS)
        self.requests: List[Dict[str, Any]] = []
        self.lines: List[bytes] = []
        self.problems: List[str] = []
        self.check_calls = True
        self.check_results = True
        self.arrived = threading.Condition()
        self.connections: List[Connection] = []
        if address is None:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.url = f"tcp:127.0.0.1:{self.listener.getsockname()[1]}"
        else:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(address)
            self.listener.listen()
            self.url = f"unix:{address}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        """Takes connections until the listener is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            connection = Connection(self, client)
            self.connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()

    def close(self) -> None:
        """Ends everything."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for connection in self.connections:
            connection.close()

    def check(self, rule: Callable[..., None], *arguments: Any) -> None:
        """Runs one of the validator's checks and keeps what it finds for the test."""
        try:
            rule(*arguments)
        except (Violation, KeyError) as problem:
            self.problems.append(str(problem))

    def on(self, method: str, answer: Union[Handler, Dict[str, Any], RpcError]) -> None:
        """Sets what a method answers: a handler, a result, or an error."""
        if isinstance(answer, RpcError):
            failure = answer

            def raise_it(_call: Call) -> Any:
                raise failure

            self.handlers[method] = raise_it
        elif callable(answer):
            self.handlers[method] = answer
        else:
            self.handlers[method] = lambda _call: answer

    def hello(self, _call: Call) -> Dict[str, Any]:
        """The answer to server.hello."""
        return {
            "server": "ocdmux",
            "version": "0.1.0",
            "protocol": 1,
            "identity": "anonymous",
            "role": "user",
            "boards": ["board"],
            "limits": self.limits,
            "features": [],
        }

    def cancel(self, call: Call) -> Dict[str, Any]:
        """The answer to request.cancel."""
        wanted = call.connection.calls.get(call.params["id"])
        if wanted is not None:
            wanted.cancelled.set()
        return {"found": wanted is not None}

    def wait_for(self, method: str, count: int = 1) -> Dict[str, Any]:
        """Waits until `method` was called `count` times; its last request. AssertionError after WAIT_S seconds."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.called(method)) >= count, WAIT_S), f"no {method} came"
            return self.called(method)[-1]

    def called(self, method: str) -> List[Dict[str, Any]]:
        """All requests for a method so far."""
        return [request for request in self.requests if request["method"] == method]

    def params(self, method: str) -> Dict[str, Any]:
        """The parameters of the only request for a method."""
        found = self.called(method)
        assert len(found) == 1, f"{method} was called {len(found)} times"
        return found[0].get("params", {})
