"""Client of ocdmux, which shares one OpenOCD among many: memory, flash, targets, registers and breakpoints of a board.

    import asyncio
    from ocdmux import Session

    async def main():
        async with Session.connect() as session:
            await session.flash.write_image("build/app.hex")

    asyncio.run(main())

`Session.connect_sync()` is the same for programs without asyncio.
"""

from ._part import DisturbedWarning
from .errors import (
    BoardBusy, ConnectionFailed, ConnectionLost, Disturbed, FlashError, Forbidden, ImageInvalid, InternalError,
    InvalidParams, InvalidRange, InvalidRequest, LeaseLost, LimitExceeded, LineTooLong, LocalFileError, MethodNotFound,
    NotFound, OcdmuxError, OpenOcdError, OpenOcdUnavailable, OutcomeUnknown, ParseError, ProtocolError, RequestCancelled,
    RequestTimeout, StageError, TargetError, TargetNotHalted, Unauthenticated, Unsupported, VerifyMismatch,
)
from .session import Session
from .sync import SyncSession
from .types import (
    Board, Breakpoint, CommandResult, Difference, Event, FlashBank, FlashSector, Loaded, MemoryChange, Operation,
    Programmed, Progress, Register, Stage, Stepped, Target, Verification,
)

__version__ = "0.1.0"

__all__ = [
    "Board", "BoardBusy", "Breakpoint", "CommandResult", "ConnectionFailed", "ConnectionLost", "Difference", "Disturbed",
    "DisturbedWarning", "Event", "FlashBank", "FlashError", "FlashSector", "Forbidden", "ImageInvalid", "InternalError",
    "InvalidParams", "InvalidRange", "InvalidRequest", "LeaseLost", "LimitExceeded", "LineTooLong", "Loaded",
    "LocalFileError", "MemoryChange", "MethodNotFound", "NotFound", "OcdmuxError", "OpenOcdError", "OpenOcdUnavailable",
    "Operation", "OutcomeUnknown", "ParseError", "Programmed", "Progress", "ProtocolError", "Register",
    "RequestCancelled", "RequestTimeout", "Session", "Stage", "StageError", "Stepped", "SyncSession", "Target",
    "TargetError", "TargetNotHalted", "Unauthenticated", "Unsupported", "Verification", "VerifyMismatch",
]
