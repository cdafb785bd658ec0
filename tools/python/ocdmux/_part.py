"""What the parts of a session have in common."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from ._core import Core, check_progress
from ._fields import Fields, Json, seconds
from ._wire import Hook
from .errors import Area, Disturbed, InvalidParams, OcdmuxError, ProtocolError, in_area
from .types import ProgressFn

if TYPE_CHECKING:
    from .session import Session


class Deadline:
    """The time that a call of several steps may take in all. `end` is a moment of the loop's clock; None: no limit.
    Raises InvalidParams."""

    def __init__(self, timeout: Optional[float]) -> None:
        self.end = None if timeout is None else asyncio.get_running_loop().time() + seconds(timeout)

    @property
    def left(self) -> Optional[float]:
        """Seconds, not below 0; None: no limit."""
        return None if self.end is None else max(self.end - asyncio.get_running_loop().time(), 0.0)


class Part:
    """A part of the interface. Its errors are of the class `area`."""

    area: Area = None

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _core(self) -> Core:
        return self._session.core

    def _error(self, kind: Callable[[str], OcdmuxError], message: str) -> OcdmuxError:
        return in_area(kind(message), self.area)

    async def _ask(
        self, method: str, params: Json, *, timeout: Optional[float], progress: Optional[ProgressFn] = None,
        on_data: Optional[Hook] = None, before_try: Optional[Callable[[], None]] = None, repeatable: bool = False,
    ) -> Any:
        """A call on the session's board and target, under its lease. Raises errors of this part."""
        try:
            return await self._core.call(
                method, {**self._session.board_params(), **params}, timeout=timeout, progress=progress,
                on_data=on_data, before_try=before_try, repeatable=repeatable,
            )
        except OcdmuxError as error:
            if self.area is None or isinstance(error, self.area):
                raise
            raise in_area(error, self.area) from error.__cause__

    async def _fields(self, method: str, params: Json, *, timeout: Optional[float],
                      progress: Optional[ProgressFn] = None, repeatable: bool = False) -> Fields:
        result = await self._ask(method, params, timeout=timeout, progress=progress, repeatable=repeatable)
        fields: Fields = self._read(lambda: Fields(result, method))
        return fields

    def _read(self, look: Callable[[], Any]) -> Any:
        """What `look` finds in a result; where that is not what the protocol says, the error is of this part."""
        try:
            return look()
        except ProtocolError as error:
            raise in_area(error, self.area) from None

    async def _write_pieces(
        self, method: str, data: bytes, piece: Callable[[int, bytes], Json], *, timeout: Optional[float],
        progress: Optional[ProgressFn],
    ) -> None:
        """Calls `method` for one piece of `data` after the other, as many bytes as a line takes, and at least once:
        with the parameters that `piece` makes of an offset and its bytes."""
        deadline = self._deadline(timeout, progress)
        done = 0
        try:
            room = (await self._core.connection(deadline.end)).room
            plain = bytes(memoryview(data))  # an array's length is not that of its bytes
            while done < len(plain) or done == 0:
                part = plain[done:done + room]
                fields = await self._fields(method, piece(done, part), timeout=deadline.left, progress=progress)
                if fields.integer("size") != len(part):
                    raise ProtocolError(f"{method}: not all of {len(part)} bytes were written")
                done += max(len(part), 1)
        except TypeError as error:
            raise self._error(InvalidParams, f"{method}: {error}") from None
        except OcdmuxError as error:
            if done > 0:
                error.message += f" ({done} bytes before were written)"
            raise in_area(error, self.area) from error.__cause__

    def _deadline(self, timeout: Optional[float], progress: Optional[ProgressFn] = None) -> Deadline:
        """For a call of several steps, before the first: the other arguments that all of them take are looked at too."""
        try:
            check_progress(progress)
            return Deadline(timeout)
        except InvalidParams as error:
            raise in_area(error, self.area) from None

    def _short(self, timeout: Optional[float]) -> Optional[float]:
        """The limit of a call that should be quick: the session's, unless one was given."""
        return self._session.timeout if timeout is None else timeout

    def _check_calm(self, fields: Fields, consistent: bool, what: str) -> None:
        """What is told about a read between whose pieces the board was changed."""
        if not self._read(lambda: fields.flag("disturbed")):
            return
        message = f"{what}: the board was changed while it was read"
        if consistent:
            raise self._error(Disturbed, message)
        warnings.warn(message, DisturbedWarning, stacklevel=4)


class DisturbedWarning(UserWarning):
    """A long read holds bytes from before and from after a change; `consistent=True` makes changes wait."""


def with_some(params: Dict[str, Any], **values: Any) -> Dict[str, Any]:
    """`params` with those of `values` that are there."""
    params.update((name, value) for name, value in values.items() if value is not None)
    return params
