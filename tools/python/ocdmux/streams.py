"""`session.events()` and `session.watch()`: what the daemon tells by itself, as asynchronous iterators.

Both begin when they are entered (`async with`) or first asked for an item, outlive a lost connection, and end with the
session. Who takes items too slowly loses the oldest ones, and is told so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType
from typing import Any, Deque, Dict, Generic, List, Optional, Tuple, Type, TypeVar

from ._core import Core, Stream
from ._fields import Fields, Json, number
from .errors import ConnectionLost, OcdmuxError, ProtocolError, from_reply
from .types import Event, MemoryChange

TOPICS = ("target", "link", "operation", "lease")
MOST_WAITING = 4096

Item = TypeVar("Item")
Self = TypeVar("Self", bound="Queue[Any]")


class Queue(Stream, Generic[Item]):
    """Items that wait to be taken."""

    def __init__(self, core: Core, timeout: Optional[float]) -> None:
        self._core = core
        self._timeout = timeout
        self._items: Deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._begun = False
        self._failure: Optional[OcdmuxError] = None
        self._starting = asyncio.Lock()
        self._connection: object = None  # the one on which the daemon was asked

    async def begin(self) -> None:
        """Asks the daemon for it; once, by itself."""
        if not self._begun:
            self._begun = True
            self._core.streams.add(self)
            try:
                await self._ask()
            except BaseException:
                self._core.streams.discard(self)
                self._begun = False
                raise

    async def _ask(self) -> bool:
        """Asks the daemon, unless it was asked on this connection; false then."""
        async with self._starting:
            if self._connection is not None and self._connection is self._core.current:
                return False
            await self._start()
            self._connection = self._core.current
            return True

    async def resume(self) -> None:
        try:
            if await self._ask():
                self._resumed()
        except ConnectionLost:
            return  # there will be another one
        except OcdmuxError as error:
            self.fail(error)

    def _resumed(self) -> None:
        """Something may have been missed."""

    async def _start(self) -> None:
        raise NotImplementedError

    async def _stop(self) -> None:
        raise NotImplementedError

    def _push(self, item: Item) -> None:
        self._items.append(item)
        self._arrived.set()

    def fail(self, error: OcdmuxError) -> None:
        self._failure = error
        self._core.streams.discard(self)
        self._arrived.set()

    async def close(self) -> None:
        """Ends it. What waits can still be taken."""
        if self._begun and self._failure is None:
            self.fail(ConnectionLost("it was closed"))
            await self._core.quietly(self._stop())

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> Item:
        """The next item. Raises what ended it: ConnectionFailed where no new connection could be made."""
        await self.begin()
        while not self._items:
            if self._failure is not None:
                if isinstance(self._failure, ConnectionLost):
                    raise StopAsyncIteration
                raise self._failure
            self._arrived.clear()
            await self._arrived.wait()
        return self._take()

    def _take(self) -> Item:
        return self._items.popleft()

    async def __aenter__(self: Self) -> Self:
        await self.begin()
        return self

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        await self.close()


class Events(Queue[Event]):
    """`session.events()`. `snapshot` is what was true when it began: the protocol's state of each board."""

    def __init__(self, core: Core, topics: Tuple[str, ...], board: Optional[str], timeout: Optional[float]) -> None:
        super().__init__(core, timeout)
        self.topics = topics or TOPICS
        self.board = board
        self.snapshot: Json = {}
        self._dropped = 0
        self._early: Optional[List[Event]] = None

    async def _start(self) -> None:
        params: Json = {"topics": list(self.topics)}
        if self.board is not None:
            params["board"] = self.board
        self._early = []
        result = await self._core.call("events.subscribe", params, timeout=self._timeout, repeatable=True)
        fields = Fields(result, "events.subscribe")
        self.snapshot, since = fields.object("snapshot").all, fields.integer("seq")
        early, self._early = self._early, None
        # What another stream of this connection caused to be sent before is in the snapshot.
        for event in early:
            if event.data.get("seq", 0) > since:
                self._put(event)

    def _resumed(self) -> None:
        self._put(Event("session", "reconnected", self.board or "", self.snapshot))

    async def _stop(self) -> None:
        others = {topic for each in self._core.streams if isinstance(each, Events) for topic in each.topics}
        unused = [topic for topic in self.topics if topic not in others]
        if unused:
            await self._core.call("events.unsubscribe", {"topics": unused}, timeout=self._timeout)

    def take(self, method: str, params: Json) -> None:
        if method != "event" or params.get("topic") not in self.topics:
            return
        board = params.get("board")
        if self.board is not None and board != self.board:
            return
        event = Event(str(params["topic"]), str(params.get("kind", params.get("state", ""))), str(board), params)
        if self._early is not None:
            self._early.append(event)
        else:
            self._put(event)

    def _put(self, event: Event) -> None:
        if len(self._items) >= MOST_WAITING:
            self._items.popleft()
            self._dropped += 1
        self._push(event)

    def _take(self) -> Event:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            return Event("session", "dropped", "", {"count": count})
        return super()._take()


class Watch(Queue[MemoryChange]):
    """`session.watch()`. Who takes changes too slowly gets them put together, the newest bytes of each place."""

    def __init__(self, core: Core, where: Json, ranges: List[Tuple[int, int]], interval_ms: int,
                 timeout: Optional[float]) -> None:
        super().__init__(core, timeout)
        self._params: Json = {
            **where, "interval_ms": interval_ms,
            "ranges": [{"address": number(address), "size": number(size)} for address, size in ranges],
        }
        self._id: Optional[str] = None
        self._early: List[Json] = []
        self.interval_ms = interval_ms

    async def _start(self) -> None:
        self._id, self._early = None, []
        result = await self._core.call("memory.watch", self._params, timeout=self._timeout, repeatable=True)
        fields = Fields(result, "memory.watch")
        self._id, self.interval_ms = fields.text("watch"), fields.integer("interval_ms")
        early, self._early = self._early, []
        for params in early:
            self.take("memory.changed", params)

    async def _stop(self) -> None:
        if self._id is not None:
            await self._core.call("memory.unwatch", {"watch": self._id}, timeout=self._timeout)

    def take(self, method: str, params: Json) -> None:
        if method != "memory.changed":
            return
        if self._id is None:
            self._early.append(params)  # the first may come together with the answer that names it
            return
        if params.get("watch") != self._id:
            return
        try:
            change = _read_change(params)
        except ProtocolError as error:
            self.fail(error)
            return
        if len(self._items) >= MOST_WAITING:
            change = _merge(self._items.pop(), change)
        self._push(change)


def _read_change(params: Json) -> MemoryChange:
    fields = Fields(params, "memory.changed")
    errors = fields.objects("errors") if fields.has("errors") else []
    recovered = fields.objects("recovered") if fields.has("recovered") else []
    return MemoryChange(
        [(each.integer("address"), each.data()) for each in fields.objects("changes")], fields.flag("whole"),
        fields.text("time"), fields.maybe_integer("interval_ms"),
        [(each.integer("address"), each.integer("size"), from_reply(each.all.get("error"))) for each in errors],
        [(each.integer("address"), each.integer("size")) for each in recovered],
    )


def _merge(older: MemoryChange, newer: MemoryChange) -> MemoryChange:
    """Both as one: of bytes in both the newer ones, and of a range that both speak of what is true last."""
    if newer.whole:
        return newer
    latest: Dict[int, int] = {}
    for address, data in [*older.changes, *newer.changes]:
        latest.update(enumerate(data, address))
    changes: List[Tuple[int, bytearray]] = []
    for address in sorted(latest):
        if not changes or changes[-1][0] + len(changes[-1][1]) != address:
            changes.append((address, bytearray()))
        changes[-1][1].append(latest[address])
    well = set(newer.recovered)
    ill = {(address, size) for address, size, _ in newer.errors}
    return MemoryChange(
        [(address, bytes(data)) for address, data in changes], older.whole, newer.time, newer.interval_ms,
        [each for each in older.errors if each[:2] not in well and each[:2] not in ill] + newer.errors,
        [each for each in older.recovered if each not in ill and each not in well] + newer.recovered,
    )
