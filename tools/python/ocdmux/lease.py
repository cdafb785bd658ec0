"""`session.lease()`: for as long as it is held, nobody else changes the board."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Optional, Type

from ._core import Stream
from ._fields import Fields, milliseconds, seconds
from ._part import Part, with_some
from .errors import ConnectionFailed, ConnectionLost, LeaseLost, OcdmuxError, RequestTimeout

if TYPE_CHECKING:
    from .session import Session

# A lease is renewed when this part of its time is over; a third of it is left for trouble.
_RENEW_PART = 1 / 3
_LONGEST_WAIT_S = 86400.0


class _Keeper(Stream):
    """Renews a lease as soon as a lost connection is made again: without one it is kept for a short grace only."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    async def resume(self) -> None:
        await self._lease.try_renew()


class Lease(Part):
    """A lease; made by `session.lease()`, and entered by `async with`, which waits for it.

    While it is held, every call of the session on that board names it: should it be lost, they fail with LeaseLost and
    do nothing. It is renewed by itself, over lost connections too, and released at the end. Leaving the block raises
    LeaseLost where it was lost in between and nothing else is raised.
    """

    def __init__(self, session: Session, ttl: float, wait: Optional[float], reason: Optional[str]) -> None:
        super().__init__(session)
        self.id = ""
        self.board: Optional[str] = None
        self.expires = ""
        self.lost: Optional[OcdmuxError] = None
        self._ttl = ttl
        self._wait = wait
        self._reason = reason
        self._renewer: Optional[asyncio.Task[None]] = None
        self._ends = 0.0
        self._keeper = _Keeper(self)

    async def acquire(self) -> "Lease":
        """Waits for it, first come, first served. Raises BoardBusy where it did not come within `wait`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + (_LONGEST_WAIT_S if self._wait is None else seconds(self._wait))
        while True:
            left = max(end - loop.time(), 0.0)
            params = with_some({"ttl_ms": milliseconds(self._ttl)}, reason=self._reason)
            if left > 0:
                params["wait_ms"] = milliseconds(left, 0)
            asked = loop.time()
            try:
                limit = max(left, 0.0) + self._session.timeout_or(30.0)
                call = self._core.call("lease.acquire", {**self._session.where(), **params}, timeout=limit)
                fields = Fields(await call, "lease.acquire")
                break
            except ConnectionLost:
                # Whether it was granted just then nobody knows: if so it ends by itself, and this one is next.
                if left <= 0:
                    raise
            except asyncio.CancelledError:
                # It may have been granted together with the cancel; then nobody would ever release it.
                if self._session.board not in self._core.leases:
                    given_up = self._core.call("lease.release", self._session.where(), timeout=5.0)
                    self._core.spawn(self._core.quietly(given_up))
                raise
        self.id, self.board, self.expires = fields.text("lease"), fields.text("board"), fields.text("expires")
        self._ends = max(asked, loop.time() - 1.0) + self._ttl
        self.lost = None
        self._session.hold_lease(self.id)
        self._core.streams.add(self._keeper)
        self._renewer = self._core.spawn(self._renew())
        return self

    async def _renew(self) -> None:
        pause = self._ttl * _RENEW_PART
        while self.lost is None:
            await asyncio.sleep(pause)
            well = await self.try_renew()
            pause = self._ttl * _RENEW_PART if well else min(1.0, self._ttl * _RENEW_PART)

    async def try_renew(self) -> bool:
        """Renews it; false where that was in vain, and `lost` says so where it is for good."""
        loop = asyncio.get_running_loop()
        try:
            await self.renew(timeout=max(self._ends - loop.time(), 1.0))
            return True
        except (ConnectionFailed, ConnectionLost, RequestTimeout) as error:
            # The daemon keeps it until its time is over, or the grace.
            if loop.time() >= self._ends:
                self.lost = error
        except OcdmuxError as error:
            self.lost = error
        return False

    async def renew(self, ttl: Optional[float] = None, *, timeout: Optional[float] = None) -> None:
        """Lets it last from now on for `ttl` seconds (1 to 86400; None: as before). Raises LeaseLost."""
        loop = asyncio.get_running_loop()
        self._ttl = self._ttl if ttl is None else ttl
        asked = loop.time()
        params = {**self._session.where(), "lease": self.id, "ttl_ms": milliseconds(self._ttl)}
        fields = Fields(await self._core.call("lease.renew", params, timeout=self._short(timeout)), "lease.renew")
        self.expires = fields.text("expires")
        self._ends = asked + self._ttl

    async def release(self) -> None:
        """Gives it back. Raises LeaseLost where it was lost before."""
        renewer, self._renewer = self._renewer, None
        if renewer is not None:
            renewer.cancel()
            await asyncio.wait([renewer])
        self._core.streams.discard(self._keeper)
        self._session.drop_lease(self.id)
        if self.lost is not None:
            raise LeaseLost(f"the lease of {self.board} was lost: {self.lost}")
        try:
            params = {**self._session.where(), "lease": self.id}
            await self._core.call("lease.release", params, timeout=self._session.timeout_or(30.0))
        except ConnectionLost:
            pass  # where the daemon did not hear it, it ends by its time limit or the grace

    async def __aenter__(self) -> "Lease":
        return await self.acquire()

    async def __aexit__(self, kind: Optional[Type[BaseException]], error: Optional[BaseException],
                        trace: Optional[TracebackType]) -> None:
        try:
            await self.release()
        except OcdmuxError:
            if kind is None:
                raise


