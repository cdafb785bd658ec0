"""The one connection of a session and the calls on it: deadlines, lost connections, and what may be asked twice."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any, Awaitable, Callable, Coroutine, Dict, List, Optional, Set

from ._endpoint import Ssh, TlsFiles, open_stream
from ._fields import Fields, Json, seconds
from ._wire import Connection, Hook, Pending
from .errors import (
    ConnectionFailed, ConnectionLost, InvalidParams, LocalFileError, NotFound, OcdmuxError, OutcomeUnknown,
    ProtocolError, RequestCancelled, RequestTimeout, copy_of, from_reply,
)
from .types import Progress, ProgressFn

PROTOCOL = 1
CONNECT_TIMEOUT_S = 10.0
LONGEST_S = 86400.0
# Pauses between tries to connect again.
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
# How long the end of a session may take to tidy up.
CLOSE_S = 2.0
# How often one call is asked anew after lost connections.
MOST_TRIES = 4
# How long one look at an operation that is taken up again waits for its end.
TAKE_UP_S = 30.0
TAKE_UP_WATCHED_S = 0.5

_BOARD_AREAS = ("memory.", "flash.", "target.", "register.", "breakpoint.", "openocd.")
# What changes the board: never asked twice.
CHANGES = frozenset(
    [f"memory.write_u{width}" for width in (8, 16, 32, 64)]
    + ["memory.write_bytes", "memory.load_image", "target.halt", "target.resume", "target.reset", "target.step"]
    + ["register.write", "breakpoint.add", "breakpoint.remove", "openocd.command"]
    + ["flash.write_image", "flash.erase_sector", "flash.erase_all", "flash.protect", "flash.write"]
)
# What may be asked again after a lost connection. Typed reads may not: a register may clear when it is read.
REPEATABLE = frozenset([
    "server.stats", "rpc.discover", "operation.list", "operation.status", "operation.wait", "operation.cancel",
    "board.list", "board.status", "memory.read_bytes", "memory.hexdump", "memory.search", "memory.dump",
    "target.list", "target.state", "target.wait", "register.list", "register.read", "breakpoint.list",
    "flash.banks", "flash.info", "flash.read", "flash.read_to_file", "flash.verify",
    "stage.create", "stage.write", "stage.read", "stage.list", "lease.renew", "lease.status",
])
# Changes that take long enough to have an operation, which is asked for its end when the connection is lost.
FOLLOWED = frozenset([
    "flash.write_image", "flash.erase_sector", "flash.erase_all", "flash.write", "memory.write_bytes",
    "memory.load_image",
])
# Calls that never wait for their turn.
URGENT = frozenset([
    "request.cancel", "operation.status", "operation.cancel", "lease.renew", "lease.release", "lease.status",
    "events.subscribe", "events.unsubscribe", "memory.watch", "memory.unwatch",
])


def is_timed(method: str) -> bool:
    """Whether it takes `timeout_ms`."""
    return method == "operation.wait" or (method.startswith(_BOARD_AREAS) and method != "memory.unwatch")


def check_progress(progress: Optional[ProgressFn]) -> None:
    """Before anything is sent, for it may be called when a change was made. Raises InvalidParams."""
    if progress is not None and not callable(progress):
        raise InvalidParams(f"progress: {progress!r:.80} cannot be called")


def read_progress(params: Json) -> Progress:
    """A progress notification, or the `progress` of an operation."""
    fields = Fields(params, "progress")
    return Progress(
        fields.text("phase"), fields.integer("done"), fields.maybe_integer("total"), fields.text("unit"),
        fields.maybe_text("operation"), fields.maybe_integer("place"),
    )


class Stream:
    """What gets notifications, and outlives a connection. `resume()` asks for them on a new one."""

    def take(self, method: str, params: Json) -> None:
        """A notification that may be its own."""

    async def resume(self) -> None:
        """There is a new connection."""

    def fail(self, error: OcdmuxError) -> None:
        """There will be none."""


class Core:
    """See above. `connect()` first, `close()` last."""

    def __init__(self, server: str, files: TlsFiles, token: Optional[str], client: Optional[str],
                 connect_timeout: float) -> None:
        self.server = server
        self.files = files
        self.token = token
        self.client = client or f"python {os.path.basename(sys.argv[0] or 'ocdmux')}"[:128]
        self.connect_timeout = connect_timeout
        self.hello: Json = {}
        self.streams: Set[Stream] = set()
        self.uploads: Dict[str, int] = {}  # stages that this session filled, oldest first, and how many use each now
        self.leases: Dict[Optional[str], str] = {}
        self.tasks: Set[asyncio.Task[Any]] = set()
        self._connection: Optional[Connection] = None
        self._connecting: Optional[asyncio.Task[Connection]] = None
        self._closed = False

    # Connecting.

    async def connect(self) -> None:
        """The first connection: one try. Raises ConnectionFailed, Unauthenticated, ProtocolError, InvalidParams."""
        self._connection = await self._connect_once(self.connect_timeout)

    async def _connect_once(self, limit: float) -> Connection:
        opened = asyncio.ensure_future(self._open())
        try:
            done, _ = await asyncio.wait([opened], timeout=limit)
        except asyncio.CancelledError:
            opened.cancel()
            raise
        if not done:
            opened.cancel()
            await asyncio.wait([opened])
            raise ConnectionFailed(f"cannot connect to {self.server}: no answer within {limit:g} s")
        return opened.result()

    async def _open(self) -> Connection:
        def make() -> Connection:
            return Connection(self.server, self._take_notification, self._on_end)

        connection, ssh = await open_stream(self.server, self.files, make)
        connection.ssh = ssh
        try:
            await self._say_hello(connection)
        except BaseException as reason:
            await self._abandon(connection, ssh)
            if isinstance(reason, ConnectionLost):
                raise ConnectionFailed(f"cannot connect to {self.server}: {reason}") from reason
            raise
        return connection

    @staticmethod
    async def _abandon(connection: Connection, ssh: Optional[Ssh]) -> None:
        connection.end(ConnectionLost("the connection was given up"))
        if ssh is not None:
            await connection.close()

    async def _say_hello(self, connection: Connection) -> None:
        params = {"client": self.client}
        if self.token is not None:
            params["token"] = self.token
        result = await connection.call(Pending("server.hello", None, None), params, None, urgent=True)
        fields = Fields(result, "server.hello")
        if fields.integer("protocol") != PROTOCOL:
            raise ProtocolError(f"{self.server} speaks version {fields.integer('protocol')} of the protocol, "
                                f"and this client version {PROTOCOL}")
        limits = fields.object("limits")
        names = ("max_line_bytes", "max_in_flight", "max_inline_bytes", "max_elements")
        connection.set_limits(*(limits.integer(name) for name in names))
        self.hello = fields.all

    async def connection(self, deadline: Optional[float]) -> Connection:
        """The connection, made anew where it was lost. Raises ConnectionFailed, RequestTimeout."""
        if self._closed:
            raise ConnectionLost("the session is closed")
        if self._connection is not None and self._connection.ended is None:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect_again())
            self._connecting.add_done_callback(self._connected)
        task = self._connecting
        left = None if deadline is None else max(deadline - asyncio.get_running_loop().time(), 0)
        done, _ = await asyncio.wait([task], timeout=left)
        if not done:
            raise RequestTimeout(f"no connection to {self.server} within the time limit")
        failure = None if task.cancelled() else task.exception()
        if isinstance(failure, OcdmuxError):
            raise copy_of(failure)
        return task.result()

    @property
    def current(self) -> Optional[Connection]:
        """The last connection, which may have ended."""
        return self._connection

    async def _connect_again(self) -> Connection:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.connect_timeout
        pause = FIRST_PAUSE_S
        while True:
            try:
                return await self._connect_once(max(end - loop.time(), 0.1))
            except ConnectionFailed:
                if loop.time() + pause >= end:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        failure = None if task.cancelled() else task.exception()
        if task.cancelled() or failure is not None:
            error = failure if isinstance(failure, OcdmuxError) else ConnectionLost("the session was closed")
            for stream in list(self.streams):
                stream.fail(copy_of(error))
            return
        self._connection = task.result()
        if self._connection.ended is not None:
            self._on_end(self._connection)
            return
        for stream in list(self.streams):
            self.spawn(stream.resume())

    def _on_end(self, connection: Connection) -> None:
        """Whoever gets notifications needs a new one at once; calls make theirs when they are made."""
        if connection is self._connection and self.streams and not self._closed:
            self.spawn(self._reconnect())

    async def _reconnect(self) -> None:
        try:
            await self.connection(None)
        except OcdmuxError:
            pass  # the streams were told

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Runs something beside the calls, until close() at the latest."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def _take_notification(self, method: str, params: Json) -> None:
        for stream in list(self.streams):
            stream.take(method, params)

    async def close(self) -> None:
        """Ends everything; calls that are under way fail with ConnectionLost. Files that were sent and nobody uses are
        deleted first, where the daemon is there to hear it."""
        if not self._closed and self._connection is not None and self._connection.ended is None:
            unused = [stage for stage, users in self.uploads.items() if users == 0]
            calls = [self.call("stage.delete", {"stage": stage}, timeout=CLOSE_S) for stage in unused]
            await asyncio.gather(*(self.quietly(call) for call in calls))
        self._closed = True
        tasks: List[asyncio.Task[Any]] = list(self.tasks)
        if self._connecting is not None:
            tasks.append(self._connecting)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for stream in list(self.streams):
            stream.fail(ConnectionLost("the session was closed"))
        if self._connection is not None:
            await self._connection.close()

    # Calls.

    async def call(
        self, method: str, params: Json, *, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
        on_data: Optional[Hook] = None, before_try: Optional[Callable[[], None]] = None, repeatable: bool = False,
    ) -> Any:
        """The result of a call. `timeout` in seconds counts from now, connecting and waiting for a turn included; None:
        no limit.

        Calls that may be asked twice (REPEATABLE, or `repeatable`) are, after a lost connection; `before_try` is called
        first each time. Changes never are: their operation is asked how it ended, and where there is none known the
        error is OutcomeUnknown.
        """
        check_progress(progress)
        if not isinstance(method, str):
            raise InvalidParams(f"{method!r:.80} is no name of a method")
        deadline = None if timeout is None else asyncio.get_running_loop().time() + seconds(timeout)
        changes = method in CHANGES
        again = (repeatable or method in REPEATABLE) and not changes
        hook: Optional[Hook] = None
        if progress is not None:
            told = progress
            hook = lambda note: told(read_progress(note))  # noqa: E731
        for tries in range(1, MOST_TRIES + 1):
            if before_try is not None:
                before_try()
            connection = await self.connection(deadline)
            pending = Pending(method, hook, on_data)
            try:
                return await connection.call(
                    pending, params, deadline, urgent=method in URGENT, timed=is_timed(method),
                    progress=is_timed(method) and (progress is not None or method in FOLLOWED),
                )
            except RequestTimeout as reason:
                if reason.code is None and pending.sent and changes:
                    raise self._unknown(pending, reason) from reason
                raise
            except (ConnectionLost, ProtocolError) as reason:
                if changes and pending.sent:
                    if pending.operation is None or self._closed:
                        raise self._unknown(pending, reason) from reason
                    return await self._take_up(pending, deadline, progress, reason)
                may = isinstance(reason, ConnectionLost) and (again or not pending.sent)
                if not may or self._closed or tries == MOST_TRIES:
                    raise
        raise AssertionError("not reached")

    @staticmethod
    def _unknown(pending: Pending, reason: OcdmuxError) -> OutcomeUnknown:
        data = {"operation": pending.operation} if pending.operation is not None else {}
        return OutcomeUnknown(f"{pending.method}: it may or may not have happened, and is not tried again: {reason}",
                              data=data)

    async def _take_up(self, pending: Pending, deadline: Optional[float], progress: Optional[ProgressFn],
                       reason: OcdmuxError) -> Any:
        """How the operation ends, or has ended, whose connection was lost."""
        assert pending.operation is not None
        try:
            operation = await self.wait_operation(pending.operation, deadline, progress)
        except asyncio.CancelledError:
            self.spawn(self.quietly(self.call("operation.cancel", {"operation": pending.operation}, timeout=5.0)))
            raise
        except OcdmuxError as error:
            why: OcdmuxError = error
            if isinstance(error, NotFound):
                why = NotFound("the daemon knows the operation no more")
            elif isinstance(error, RequestTimeout):
                why = RequestTimeout("it had not ended within the time limit")
            raise self._unknown(pending, why) from reason
        if operation.text("state") == "done":
            return operation.all.get("result")
        ended = from_reply(operation.all.get("error"))
        if isinstance(ended, RequestCancelled):
            ended.message = f"{pending.method}: stopped by the daemon when the connection was lost: {ended.message}"
        ended.data.setdefault("operation", pending.operation)
        raise ended from reason

    async def wait_operation(self, operation: str, deadline: Optional[float],
                             progress: Optional[ProgressFn]) -> Fields:
        """The operation once it has ended. Raises RequestTimeout at the deadline, NotFound."""
        loop = asyncio.get_running_loop()
        while True:
            left = LONGEST_S if deadline is None else deadline - loop.time()
            limit = min(left, TAKE_UP_WATCHED_S if progress is not None else TAKE_UP_S)
            try:
                params = {"operation": operation}
                return Fields(await self.call("operation.wait", params, timeout=max(limit, 0.001)), "operation.wait")
            except RequestTimeout:
                if left <= limit:
                    raise
            if progress is not None:
                status = Fields(await self.call("operation.status", params, timeout=TAKE_UP_S), "operation.status")
                if status.has("progress"):
                    progress(read_progress({**status.object("progress").all, "operation": operation}))

    @staticmethod
    async def quietly(work: Awaitable[Any]) -> None:
        """For what is only good manners: errors of the daemon and of the connection do not matter."""
        try:
            await work
        except (OcdmuxError, LocalFileError):
            pass
