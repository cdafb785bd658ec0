"""One connection: lines out, lines in, and which answer belongs to which call.

All calls of a session share it. One reader, the event loop's own, hands each answer to who waits for it; calls that
are made at the same moment leave in one write. A connection ends once, for one reason, which every open call gets.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Set

from ._endpoint import Ssh
from ._fields import Json
from .errors import (
    ConnectionLost, InvalidParams, LineTooLong, OcdmuxError, ProtocolError, RequestTimeout, copy_of, from_reply,
)

MAX_LINE_BYTES = 64 << 20
# How long after its deadline a call still waits for the daemon's own answer, which says more than the client can.
GRACE_S = 1.0
# How long a cancelled call waits for its last answer.
CANCEL_WAIT_S = 5.0
# A connection on which nothing came for so long is asked for a sign of life, and given up after as long again.
SILENCE_S = 15.0
# Of the calls that the daemon takes at once, so many are left for such as must never wait: cancel, renew, status.
RESERVED_SLOTS = 16
# The longest time limit that the daemon takes.
LONGEST_MS = 86_400_000
# What a line needs around its data.
ENVELOPE_BYTES = 4096

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode

Notify = Callable[[str, Json], None]
Hook = Callable[[Json], None]


def encode_call(identifier: int, method: str, params: Json) -> bytes:
    """The line of a call. Raises InvalidParams for what the daemon would not even answer with the call's id."""
    try:
        text = _encode({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params})
        if "\\u0000" in text:
            _refuse_nul(params)
        return text.encode("utf-8") + b"\n"
    except InvalidParams:
        raise
    except (TypeError, ValueError, RecursionError) as reason:
        raise InvalidParams(f"{method}: the parameters are no JSON: {reason}") from reason


def _refuse_nul(value: Any) -> None:
    if isinstance(value, str) and "\0" in value:
        raise InvalidParams("a text holds a NUL character")
    if isinstance(value, dict):
        for key, each in value.items():
            _refuse_nul(key)
            _refuse_nul(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _refuse_nul(each)


class Pending:
    """A call that is under way. `sent` says whether the daemon may have seen it, `operation` which one it became."""

    __slots__ = ("identifier", "method", "future", "sent", "operation", "on_progress", "on_data", "failure", "slot")

    def __init__(self, method: str, on_progress: Optional[Hook], on_data: Optional[Hook]) -> None:
        self.method = method
        self.on_progress = on_progress
        self.on_data = on_data
        self.identifier = 0
        self.future: Optional[asyncio.Future[Any]] = None
        self.sent = False
        self.slot = False
        self.operation: Optional[str] = None
        self.failure: Optional[BaseException] = None

    def settle(self, result: Any = None, error: Optional[BaseException] = None) -> None:
        """Wakes who waits, if somebody does."""
        if self.future is None or self.future.done():
            return
        if error is not None:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class Connection(asyncio.Protocol):
    """See above. `on_notification` gets what belongs to no call, `on_end` is called once when all is over."""

    def __init__(self, server: str, on_notification: Notify, on_end: Callable[["Connection"], None]) -> None:
        self.server = server
        self.ssh: Optional[Ssh] = None
        self.ended: Optional[OcdmuxError] = None
        self.max_line_bytes = 8 << 20
        self.max_inline_bytes = 1 << 20
        self.max_elements = 65536
        self._on_notification = on_notification
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._transport: Optional[asyncio.Transport] = None
        self._gone = self._loop.create_future()
        self._buffer = bytearray()
        self._searched = 0
        self._pending: Dict[int, Pending] = {}
        self._given_up: Set[int] = set()
        self._last_id = 0
        self._out: List[bytes] = []
        self._slots = 16
        self._waiting: Deque[asyncio.Future[None]] = deque()
        self._paused = False
        self._heard = self._loop.time()
        self._probed = False
        self._stopping: Optional[asyncio.Future[None]] = None
        self._watchdog: Optional[asyncio.TimerHandle] = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._arm_watchdog()

    def connection_lost(self, exc: Optional[BaseException]) -> None:
        why = str(exc) if exc is not None else "the daemon closed it"
        self.end(ConnectionLost(f"the connection to {self.server} was lost: {why}"))
        if not self._gone.done():
            self._gone.set_result(None)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._wake(len(self._waiting))

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        self._probed = False
        self._buffer += data
        if self._buffer.find(b"\n", self._searched) < 0:
            self._searched = len(self._buffer)
            if self._searched > MAX_LINE_BYTES:
                self.end(ProtocolError(f"{self.server} sent a line longer than {MAX_LINE_BYTES} bytes"))
            return
        *lines, rest = bytes(self._buffer).split(b"\n")
        self._buffer = bytearray(rest)
        self._searched = len(rest)
        for line in lines:
            if self.ended is None and line.strip():
                self._take_line(line)

    # Lines.

    def _take_line(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self.end(ProtocolError(f"{self.server} sent what is no JSON: {line[:60]!r}"))
            return
        if not isinstance(message, dict):
            self.end(ProtocolError(f"{self.server} sent no JSON-RPC message: {line[:60]!r}"))
        elif "method" in message:
            self._take_notification(message)
        else:
            self._take_reply(message)

    def _take_reply(self, message: Json) -> None:
        identifier = message.get("id")
        if ("result" in message) == ("error" in message):
            self.end(ProtocolError(f"{self.server} sent an answer without result or error"))
            return
        if identifier is None and "error" in message:
            error = from_reply(message["error"])
            self.end(ProtocolError(f"{self.server} could not read a call: {error}", data={"reported": error.kind}))
            return
        known = identifier if type(identifier) is int else 0
        pending = self._pending.pop(known, None)
        if pending is None:
            if known not in self._given_up:
                self.end(ProtocolError(f"{self.server} answered a call that was not made: id {str(identifier)[:80]}"))
            self._given_up.discard(known)
            return
        self._free_slot(pending)
        if pending.failure is not None:
            pending.settle(error=pending.failure)
        elif "error" in message:
            pending.settle(error=from_reply(message["error"]))
        else:
            pending.settle(message["result"])

    def _take_notification(self, message: Json) -> None:
        params = message.get("params")
        if not isinstance(params, dict):
            self.end(ProtocolError(f"{self.server} sent a notification without params"))
            return
        method = message["method"]
        if method == "progress":
            self._take_progress(params)
        elif method == "data":
            identifier = params.get("id")
            pending = self._pending.get(identifier) if type(identifier) is int else None
            if pending is not None and pending.on_data is not None:
                self._run_hook(pending, pending.on_data, params)
        else:
            self._on_notification(str(method), params)

    def _take_progress(self, params: Json) -> None:
        token = params.get("token")
        pending = self._pending.get(token) if type(token) is int else None
        if pending is None:
            return
        if isinstance(params.get("operation"), str):
            pending.operation = params["operation"]
        if pending.on_progress is not None:
            self._run_hook(pending, pending.on_progress, params)

    def _run_hook(self, pending: Pending, hook: Hook, params: Json) -> None:
        """What a hook raises cancels its call, which then fails with it."""
        if pending.failure is not None:
            return
        try:
            hook(params)
        except Exception as reason:  # whatever a caller's own function raises
            pending.failure = reason
            self._send_cancel(pending.identifier)

    # Calls.

    async def call(
        self, pending: Pending, params: Json, deadline: Optional[float], urgent: bool = False,
        timed: bool = False, progress: bool = False,
    ) -> Any:
        """The result of a call; raises what the daemon answered, or why the connection ended.

        `deadline` is a moment of the loop's clock; GRACE_S later it is a RequestTimeout. `urgent` calls wait for no
        slot. With `timed` the daemon is told the time that is left, with `progress` it is asked for notifications. A
        task that is cancelled cancels the call, and waits CANCEL_WAIT_S for its answer at the most.
        """
        if not urgent:
            while self._slots <= 0 or self._paused:
                await self._wait_turn(deadline)
        self._check_open()
        self._last_id += 1
        pending.identifier = self._last_id
        if timed:
            left = LONGEST_MS if deadline is None else int((deadline - self._loop.time()) * 1000)
            if left < 1:
                raise RequestTimeout(f"{pending.method}: no time was left to ask")
            params = {**params, "timeout_ms": min(left, LONGEST_MS)}
        if progress:
            params = {**params, "progress": pending.identifier}
        line = encode_call(pending.identifier, pending.method, params)
        if len(line) > self.max_line_bytes:
            raise LineTooLong(f"{pending.method}: a call of {len(line)} bytes, where {self.max_line_bytes} are taken")
        if not urgent:
            self._slots -= 1
            pending.slot = True
        pending.future = self._loop.create_future()
        self._pending[pending.identifier] = pending
        self._send(line)
        pending.sent = True
        return await self._answer(pending, deadline)

    async def _answer(self, pending: Pending, deadline: Optional[float]) -> Any:
        assert pending.future is not None
        timer = None
        if deadline is not None:
            timer = self._loop.call_at(deadline + GRACE_S, self._expire, pending)
        try:
            return await pending.future
        except asyncio.CancelledError:
            await self._cancel(pending)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, pending: Pending) -> None:
        self._give_up(pending)
        data = {"operation": pending.operation} if pending.operation is not None else None
        pending.settle(error=RequestTimeout(f"{pending.method}: no answer within its time limit", data=data))

    def _give_up(self, pending: Pending) -> None:
        if self._pending.pop(pending.identifier, None) is not None:
            self._given_up.add(pending.identifier)
            self._free_slot(pending)
            self._send_cancel(pending.identifier)

    async def _cancel(self, pending: Pending) -> None:
        if pending.identifier not in self._pending or pending.method == "server.hello":
            return  # who gives up to say hello gives up the connection
        answer = pending.future = self._loop.create_future()
        self._send_cancel(pending.identifier)
        try:
            await asyncio.wait([answer], timeout=CANCEL_WAIT_S)
        finally:
            if answer.done():
                answer.exception()  # seen: who was cancelled gets no other error
            elif self._pending.pop(pending.identifier, None) is not None:
                self._given_up.add(pending.identifier)
                self._free_slot(pending)

    def _send_cancel(self, identifier: int) -> None:
        if self.ended is None:
            self._ask_and_forget("request.cancel", {"id": identifier})

    def _ask_and_forget(self, method: str, params: Json) -> None:
        self._last_id += 1
        self._given_up.add(self._last_id)
        self._send(encode_call(self._last_id, method, params))

    def _send(self, line: bytes) -> None:
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(line)

    def _flush(self) -> None:
        out, self._out = b"".join(self._out), []
        if self._transport is not None and self.ended is None:
            self._transport.write(out)

    # Turns.

    async def _wait_turn(self, deadline: Optional[float]) -> None:
        self._check_open()
        turn: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append(turn)
        timer = None if deadline is None else self._loop.call_at(deadline, turn.cancel)
        try:
            await turn
        except asyncio.CancelledError:
            if deadline is not None and self._loop.time() >= deadline:
                raise RequestTimeout("the time limit was over before the call could be sent") from None
            if not turn.cancelled():
                self._wake(1)  # it was this one's turn, and it does not take it
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _wake(self, count: int) -> None:
        while self._waiting and count > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1

    def _free_slot(self, pending: Pending) -> None:
        if pending.slot:
            pending.slot = False
            self._slots += 1
            self._wake(1)

    def set_limits(self, max_line_bytes: int, max_in_flight: int, max_inline_bytes: int, max_elements: int) -> None:
        """What the daemon said that it takes."""
        self.max_line_bytes = max_line_bytes
        self.max_inline_bytes = max_inline_bytes
        self.max_elements = max_elements
        self._slots = max(max_in_flight - RESERVED_SLOTS, max_in_flight // 2, 1)

    @property
    def room(self) -> int:
        """How many bytes of data a call or its answer may hold; at least 1."""
        return max(1, min((self.max_line_bytes - ENVELOPE_BYTES) // 4 * 3, self.max_inline_bytes))

    # Life and end.

    def _arm_watchdog(self) -> None:
        self._watchdog = self._loop.call_later(SILENCE_S, self._look_for_life)

    def _look_for_life(self) -> None:
        if self.ended is not None:
            return
        if self._loop.time() - self._heard >= SILENCE_S:
            if self._probed:
                self.end(ConnectionLost(f"no sign of life from {self.server} for {2 * SILENCE_S:g} s"))
                return
            self._probed = True
            self._ask_and_forget("request.cancel", {"id": ""})
        self._arm_watchdog()

    def _check_open(self) -> None:
        if self.ended is not None:
            raise copy_of(self.ended)

    def end(self, reason: OcdmuxError) -> None:
        """Ends it; every call that is under way fails with `reason`. The first reason counts."""
        if self.ended is not None:
            return
        self.ended = reason
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._transport is not None:
            self._transport.abort()
        pendings, self._pending = list(self._pending.values()), {}
        for pending in pendings:
            pending.settle(error=pending.failure or copy_of(reason))
        self._paused = False
        self._wake(len(self._waiting))
        if self.ssh is not None:
            self._stopping = self._loop.run_in_executor(None, self.ssh.stop)
        self._on_end(self)

    async def close(self) -> None:
        """Ends it by one's own will, after what is to be sent has been, for a second at the most."""
        if self.ended is None and self._transport is not None:
            self._flush()
            self._transport.close()
            await asyncio.wait([self._gone], timeout=1.0)
        self.end(ConnectionLost(f"the session with {self.server} was closed"))
        if self._stopping is not None:
            await self._stopping
