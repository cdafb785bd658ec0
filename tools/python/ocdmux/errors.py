"""What goes wrong, as exceptions: one class for each kind of the protocol, and one for each part of the interface.

Every error is an OcdmuxError. Its class says the kind (BoardBusy, InvalidRange, RequestTimeout, ...), and errors of
`session.flash` are FlashErrors as well, those of `session.memory`, `.target`, `.registers` and `.breakpoints`
TargetErrors: whoever catches either way gets them.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Optional, Tuple, Type

Area = Optional[Type["OcdmuxError"]]

KINDS: Dict[str, Type["OcdmuxError"]] = {}
"""The class of each kind."""


class OcdmuxError(Exception):
    """An error. `kind` is what programs switch on, str() what people read.

    `data` holds the details that the protocol lists for the kind (`operation`, `address`, `done`, `flash_state`, ...);
    `openocd_code` and `openocd_text` are OpenOCD's own words where it said something; `code` is JSON-RPC's, None for
    errors that the client found itself.
    """

    kind = "unknown_error"

    def __init_subclass__(cls, kind: Optional[str] = None, **others: Any) -> None:
        super().__init_subclass__(**others)
        if kind is not None:
            cls.kind = kind
            KINDS[kind] = cls

    def __init__(
        self,
        message: str,
        *,
        kind: Optional[str] = None,
        code: Optional[int] = None,
        data: Optional[Mapping[str, Any]] = None,
        openocd_code: Optional[int] = None,
        openocd_text: Optional[str] = None,
    ) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind
        self.message = message
        self.code = code
        self.data: Dict[str, Any] = dict(data or {})
        self.openocd_code = openocd_code
        self.openocd_text = openocd_text

    @property
    def operation(self) -> Optional[str]:
        """The id of the operation that it is about, where there is one."""
        found = self.data.get("operation")
        return found if isinstance(found, str) else None

    def __str__(self) -> str:
        said = self.openocd_text
        if not said or said in self.message:
            return self.message
        first, _, rest = said.partition("\n")
        return f"{self.message}; OpenOCD: {said if first not in self.message else rest}"

    def __reduce__(self) -> Tuple[Callable[..., OcdmuxError], Tuple[Any, ...]]:
        area: Area = next((each for each in (FlashError, TargetError) if isinstance(self, each)), None)
        details = (self.code, self.data, self.openocd_code, self.openocd_text)
        return _rebuild, (self.kind, area, self.message, *details)


class FlashError(OcdmuxError, kind="flash_error"):
    """Something of `session.flash` failed. By itself (kind `flash_error`): OpenOCD refused or failed to change flash;
    `data["reason"]` is then `protected`, `not_erased` or `driver`."""


class TargetError(OcdmuxError, kind="target_error"):
    """Something of memory, registers or the target failed. By itself (kind `target_error`): OpenOCD refused or failed."""


class OpenOcdError(OcdmuxError, kind="openocd_error"):
    """OpenOCD refused or failed in anything else."""


class TargetNotHalted(OcdmuxError, kind="target_not_halted"):
    """The command needs a halted target."""


class VerifyMismatch(OcdmuxError, kind="verify_mismatch"):
    """Programmed, and reads back differently: `data` has `address`, `expected` and `found` of the first difference."""


class OpenOcdUnavailable(OcdmuxError, kind="openocd_unavailable"):
    """The daemon has no connection to OpenOCD: `data["retry_in_ms"]`."""


class OutcomeUnknown(OcdmuxError, kind="outcome_unknown"):
    """A change was under way when a connection was lost or its time was over: it may or may not have happened.

    It is never tried again. Where `operation` is there, `session.operations.wait()` may still tell how it ended.
    """


class RequestTimeout(OcdmuxError, TimeoutError, kind="timeout"):
    """The time limit was over; `data` says what was done where that is known."""


class RequestCancelled(OcdmuxError, kind="cancelled"):
    """The daemon stopped the request: cancelled by its operation id, or its lease was broken."""


class BoardBusy(OcdmuxError, kind="board_busy"):
    """Somebody else holds the board's lease: `data` has `holder`, `reason`, `since`, `expires` and `position`."""


class LeaseLost(OcdmuxError, kind="lease_lost"):
    """The lease of this session has ended; nothing of the call was done."""


class Unauthenticated(OcdmuxError, kind="unauthenticated"):
    """Nobody knows who this client is, or its token is wrong."""


class Forbidden(OcdmuxError, kind="forbidden"):
    """The role does not allow it: `data["role"]` would."""


class InvalidRange(OcdmuxError, kind="invalid_range"):
    """Addresses, sectors or banks that do not exist."""


class NotFound(OcdmuxError, LookupError, kind="not_found"):
    """No board, target, operation, bank, register, breakpoint or stage of that name."""


class ImageInvalid(OcdmuxError, kind="image_invalid"):
    """The image cannot be read, or does not fit the flash."""


class LimitExceeded(OcdmuxError, kind="limit_exceeded"):
    """More than the daemon takes: `data["limit"]` names the limit."""


class StageError(OcdmuxError, kind="stage_error"):
    """A file on the daemon's side cannot be written or read, or is not what was said of it."""


class LineTooLong(OcdmuxError, kind="line_too_long"):
    """A call longer than the daemon takes."""


class Unsupported(OcdmuxError, kind="unsupported"):
    """This OpenOCD or this target cannot do it."""


class ParseError(OcdmuxError, kind="parse_error"):
    """The daemon could not read what was sent."""


class InvalidRequest(OcdmuxError, kind="invalid_request"):
    """The daemon took what was sent for no call."""


class MethodNotFound(OcdmuxError, kind="method_not_found"):
    """The daemon has no such method; it may be older than this client."""


class InvalidParams(OcdmuxError, ValueError, kind="invalid_params"):
    """A parameter is of the wrong kind or out of its range."""


class InternalError(OcdmuxError, kind="internal_error"):
    """The daemon failed; its log says how."""


class ConnectionFailed(OcdmuxError, ConnectionError, kind="connection_failed"):
    """No connection to the daemon could be made."""


class ConnectionLost(OcdmuxError, ConnectionError, kind="connection_lost"):
    """The connection to the daemon ended while something was asked that is not to be asked twice."""


class ProtocolError(OcdmuxError, kind="protocol_error"):
    """What the other end sent is not the protocol; the connection was ended."""


class LocalFileError(OcdmuxError, OSError, kind="file_error"):
    """A file on this machine cannot be read or written; the OSError is its `__cause__`."""


class Disturbed(OcdmuxError, kind="disturbed"):
    """A read with `consistent=True` was disturbed all the same, because somebody else was waiting to change the board."""


_both: Dict[Tuple[Type[OcdmuxError], Type[OcdmuxError]], Type[OcdmuxError]] = {}


def class_for(kind: str, area: Area) -> Type[OcdmuxError]:
    """The class of a kind in a part of the interface: both at once where they differ."""
    own = KINDS.get(kind, OcdmuxError)
    if area is None or issubclass(own, area):
        return own
    if own is OcdmuxError:
        return area
    if (own, area) not in _both:
        _both[own, area] = type(own.__name__, (own, area), {"__doc__": own.__doc__, "__module__": own.__module__})
    return _both[own, area]


def _rebuild(kind: str, area: Area, message: str, code: Optional[int], data: Mapping[str, Any],
             openocd_code: Optional[int], openocd_text: Optional[str]) -> OcdmuxError:
    return class_for(kind, area)(
        message, kind=kind, code=code, data=data, openocd_code=openocd_code, openocd_text=openocd_text
    )


def copy_of(error: OcdmuxError, area: Area = None) -> OcdmuxError:
    """The same error once more, for somebody else to raise, and as one of that part of the interface."""
    details = (error.message, error.code, error.data, error.openocd_code, error.openocd_text)
    copied = _rebuild(error.kind, area, *details)
    copied.__cause__ = error.__cause__
    return copied


def in_area(error: OcdmuxError, area: Area) -> OcdmuxError:
    """The error as one of that part of the interface: the same object where it is one."""
    return error if area is None or isinstance(error, area) else copy_of(error, area)


def from_reply(error: Any, area: Area = None) -> OcdmuxError:
    """The exception for an error object of the protocol."""
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return class_for("protocol_error", area)("the error that the server sent has no message")
    data = error.get("data")
    details: Dict[str, Any] = dict(data) if isinstance(data, dict) else {}
    kind = details.pop("kind", "unknown_error")
    said = details.pop("openocd", None)
    words: Dict[str, Any] = said if isinstance(said, dict) else {}
    return _rebuild(
        kind if isinstance(kind, str) else "unknown_error", area, error["message"], error.get("code"), details,
        words.get("code"), words.get("text"),
    )
