"""What every client of the soak is: a thread with a connection and chance of its own, which makes one round of what it
is there for after the other until it is told to stop. What it gets is held against the model."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Counter, Deque, Dict, Iterable, Iterator, List, Optional, Tuple

from protocol_check import Violation

from harness.client import Client, RpcError
from harness.waiting import wait_until
from ledger import Kept, Ledger, Leases
from model import Change, Clock, Faults, Memory
from overview import Overview, is_gone
from programs import CLOSED, Programs

FLASH_BASE = 0x08000000
FLASH_BYTES = 24 * 1024
SECTOR = 1024
RAM_BASE = 0x20001000  # behind the work area, which flashing overwrites
WORDS = 16  # of each writer
# Kinds that say that nothing of a change was done, unless their details say otherwise.
NOTHING_DONE = ("board_busy", "lease_lost", "openocd_unavailable", "timeout", "cancelled", "target_not_halted",
                "forbidden", "not_found")
ON_BOARD = ("memory.read", "memory.write", "memory.hexdump", "memory.search", "memory.dump", "memory.watch", "target.",
            "register.", "breakpoint.", "flash.", "openocd.")
PATIENCE_MS = 300_000
POLL_S = 0.1  # between two looks at others' doings, which cost the daemon something
JOURNAL = 60  # of each client's last events


@dataclass(frozen=True)
class World:
    """What all share."""

    programs: Programs
    clock: Clock
    faults: Faults
    ram: Memory
    flash: Memory
    count: Counter[str]
    stop: threading.Event
    ledger: Ledger
    leases: Leases
    kept: Kept
    overview: Overview


class Lost(Exception):
    """The daemon has closed the connection, which a fault explains."""


def encode(data: bytes) -> str:
    """As the protocol wants it."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """Back."""
    return base64.b64decode(text, validate=True)


class Actor:
    """One client. Subclasses say in step() what it does, and in WAYS how it may come (Programs.connect)."""

    WAYS: Tuple[Tuple[str, str], ...] = (("tcp", "alice"), ("net", "alice"), ("unix", "root"), ("tls", "carol"),
                                         ("net", "bob"), ("tcp", "bob"))

    def __init__(self, world: World, number: int, seed: str) -> None:
        self.world = world
        self.name = f"{type(self).__name__}-{number}"
        self.number = number
        self.chance = random.Random(f"{seed}/{self.name}")
        self.way, self.identity = self.WAYS[(number + self.chance.randrange(2)) % len(self.WAYS)]
        self.failure: Optional[BaseException] = None
        self.scene = ""  # what the daemon said of the board when it failed
        self.client: Optional[Client] = None
        self.journal: Deque[str] = deque(maxlen=JOURNAL)
        self._look_behind = False
        self.under_way: List[Change] = []  # by connections that have ended; how they end nobody will say
        self._heard = 0  # when the connection last was open for sure
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def step(self, client: Client) -> None:
        """Some calls."""
        raise NotImplementedError

    def connected(self, client: Client) -> None:
        """Behind each new connection."""

    def ended(self) -> None:
        """All is over, and this is the last that it does."""

    @property
    def names(self) -> Tuple[str, ...]:
        """What its connections call themselves."""
        return (self.name,)

    def note(self, text: str) -> None:
        """For who looks for the cause of a failure."""
        self.journal.append(f"{self.world.clock.tick()} {time.strftime('%H:%M:%S')} {text[:300]}")

    def pause(self, most_s: float) -> None:
        """Lets others have their turn."""
        self.world.stop.wait(self.chance.uniform(0, most_s))

    def _run(self) -> None:
        try:
            while not self.world.stop.is_set():
                try:
                    self.step(self._connection())
                except Lost:
                    self.leave()
                    self._look_behind = True
            if self._look_behind:
                self.wait_gone()
            try:
                self.ended()
            except Lost:
                pass
            self.leave()
        except BaseException as failure:  # the main thread raises it
            self.note(f"failed: {failure}")
            self.failure = failure
            self.world.stop.set()
            self.scene = self._look_around()
            self.world.stop.set()

    def _look_around(self) -> str:
        try:
            with self.world.programs.connect() as other:
                return "\n".join(json.dumps(other.call(method)) for method in
                                 ("board.status", "lease.status", "client.list"))
        except (Violation, RpcError, *CLOSED) as reason:
            return repr(reason)

    def _connection(self) -> Client:
        if self._look_behind:
            self.wait_gone()
            self._look_behind = False
        if self.client is None:
            since = self.world.clock.tick()
            try:
                self.client = self.world.programs.connect(self.way, self.identity, self.name)
            except CLOSED as reason:
                raise self.lost(since, reason) from reason
            self._heard = since
            self.note(f"connected by {self.way} as {self.identity}")
            self.connected(self.client)
        return self.client

    def leave(self, reset: bool = False) -> None:
        """Ends the connection; step() gets another one."""
        if self.client is not None:
            self.note("resets" if reset else "leaves")
            if reset and self.way != "tls":
                self.client.reset()
            else:
                self.client.close()
            self.client = None

    def lost(self, since: int, reason: BaseException) -> Lost:
        """The connection ended under a call that was sent at `since`, or before."""
        since = min(since, self._heard)
        self.note(f"lost: {reason!r}")
        if isinstance(reason, TimeoutError):
            raise AssertionError(f"{self.name}: no answer: {reason}") from reason
        also = ("closed",) if self.way == "net" and self.world.faults.explain("net-closed", since) else ()
        if not self.world.faults.explain("closed", since, also):
            raise AssertionError(f"{self.name}: the connection was closed, and no fault explains it") from reason
        self.world.count["closed"] += 1
        return Lost()

    @contextmanager
    def _reading(self, since: int) -> Iterator[None]:
        """Of what was sent at `since`, or before: raises Lost where the connection ends."""
        try:
            yield
        except CLOSED as reason:
            raise self.lost(since, reason) from reason
        except Violation as reason:
            if "ended inside a line" not in str(reason):
                raise
            raise self.lost(since, reason) from reason

    def receive(self, client: Client, since: int, request: Any, also: Iterable[str] = ()) -> Dict[str, Any]:
        """The result of that request; raises RpcError for an error that is explained, and Lost."""
        try:
            with self._reading(since):
                result = client.result(request)
        except RpcError as error:
            self.note(f"{request} error {error}")
            self.world.count[error.kind] += 1
            if not self.world.faults.explain(error.kind, since, also):
                raise AssertionError(f"{self.name}: no fault explains {error}") from error
            raise
        self._heard = since
        self.world.count["result"] += 1
        text = json.dumps(result)
        self.note(f"{request} result {text}")
        if "operation" in result:
            self.world.kept.add(len(text))
        return result

    def send(self, client: Client, since: int, method: str, /, **params: Any) -> Any:
        """Sends a call and returns its id; raises Lost. What waits for its turn on the board waits longer than by
        default: a busy machine is no fault."""
        self.world.count["calls"] += 1
        if method.startswith(ON_BOARD):
            params.setdefault("timeout_ms", PATIENCE_MS)
        try:
            request = client.send(method, **params)
        except OSError as reason:
            raise self.lost(since, reason) from reason
        self.note(f"{request} {method} {params}")
        return request

    def batch_replies(self, client: Client, since: int, calls: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
        """Sends them as one batch; the array of their answers, one for each. Raises Lost."""
        self.world.count["calls"] += len(calls)
        self.note(f"batch {calls}")
        with self._reading(since):
            client.send_text(json.dumps(calls))
            replies = client.batch()
        assert sorted(each["id"] for each in replies) == sorted(call["id"] for call in calls)
        self.world.count["batches"] += 1
        return replies

    def call(self, client: Client, method: str, /, *, also: Iterable[str] = (), **params: Any) -> Dict[str, Any]:
        """Both. What ends a call by its own doing is in `also`."""
        since = self.world.clock.tick()
        if "timeout_ms" in params:
            also = (*also, "timeout")
        return self.receive(client, since, self.send(client, since, method, **params), also)

    def may_fail(self, method: str, params: Dict[str, Any]) -> Tuple[str, ...]:
        """Kinds of errors of a change that no fault need explain: others may hold the lease, and a time limit may be
        over while the command is on the link."""
        also = ["board_busy"]
        also += ["lease_lost"] if "lease" in params else []
        also += ["outcome_unknown", "timeout"] if "timeout_ms" in params else []
        return tuple(also)

    def change(self, client: Client, change: Change, method: str, /, **params: Any) -> Optional[Dict[str, Any]]:
        """A call that makes that change: the model learns how it ended. Returns the result if it was done, else None;
        raises Lost."""
        return self.made(client, change, method, self.world.clock.tick(), None, params)

    def made(self, client: Client, change: Change, method: str, since: int, request: Any, params: Dict[str, Any],
             also: Tuple[str, ...] = ()) -> Optional[Dict[str, Any]]:
        """The same of a call that was sent already, where `request` is given."""
        try:
            if request is None:
                request = self.send(client, since, method, **params)
            result = self.receive(client, since, request, (*self.may_fail(method, params), *also))
        except RpcError as error:
            untouched = error.data.get("flash_state", "unchanged") == "unchanged" and not error.data.get("done")
            if error.kind in NOTHING_DONE and untouched:
                change.nothing()
                self.pause(0.1)
            else:
                change.unknown()
                self.world.ledger.unknown(self.name, method)
            return None
        except Lost:
            self.under_way.append(change)
            self.world.ledger.unknown(self.name, method)
            raise
        change.done()
        self.world.ledger.done(self.name, method)
        self.world.leases.check(self.name, since, params.get("lease"))
        return result

    def wait_gone(self) -> None:
        """Until no call of the connections that this client left is under way any more."""
        begun = time.monotonic()
        wait_until(lambda: is_gone(self.world.overview, begun, *self.names), f"{self.name}: its old calls to end",
                   PATIENCE_MS / 1000, POLL_S)
        while self.under_way:
            self.under_way.pop().unknown()
