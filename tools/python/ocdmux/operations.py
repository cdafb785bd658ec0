"""`session.operations`: what requests became. An operation outlives the connection that began it for ten minutes."""

from __future__ import annotations

from typing import List, Optional

from ._core import read_progress
from ._fields import Fields
from ._part import Part
from .errors import from_reply
from .types import Operation, ProgressFn


def read_operation(fields: Fields) -> Operation:
    """An operation of the protocol."""
    error = fields.all.get("error")
    return Operation(
        fields.text("operation"), fields.text("board"), fields.text("method"), fields.text("state"),
        fields.maybe_text("client") or "",
        read_progress(fields.object("progress").all) if fields.has("progress") else None,
        fields.object("result").all if fields.has("result") else None,
        from_reply(error) if error is not None else None,
    )


class Operations(Part):
    """See above. NotFound for one that the daemon does not know, or that is another's."""

    async def list(self, *, timeout: Optional[float] = None) -> List[Operation]:
        """Those of the board, or of all where the session names none; without results."""
        params = self._session.where()
        fields = Fields(await self._core.call("operation.list", params, timeout=self._short(timeout)), "operation.list")
        return [read_operation(each) for each in fields.objects("operations")]

    async def status(self, operation: str, *, timeout: Optional[float] = None) -> Operation:
        """One, with its result or its error where it has ended."""
        params = {"operation": operation}
        result = await self._core.call("operation.status", params, timeout=self._short(timeout))
        return read_operation(Fields(result, "operation.status"))

    async def wait(self, operation: str, *, timeout: Optional[float] = None,
                   progress: Optional[ProgressFn] = None) -> Operation:
        """One, once it has ended, over lost connections too; None: however long that takes. RequestTimeout."""
        deadline = self._deadline(timeout, progress)
        return read_operation(await self._core.wait_operation(operation, deadline.end, progress))

    async def cancel(self, operation: str, *, timeout: Optional[float] = None) -> bool:
        """Stops one at its next step; False where it had ended already."""
        params = {"operation": operation}
        result = await self._core.call("operation.cancel", params, timeout=self._short(timeout))
        return Fields(result, "operation.cancel").flag("found")
