"""What the interface gives back. Addresses are integers, sizes and offsets bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, List, Optional, Tuple, Union


@dataclass(frozen=True)
class FlashSector:
    """A sector, or a protection block, of a flash bank.

    `offset` counts from the base of the bank. `protected` is False where OpenOCD does not know or say, and
    `protection_known` tells that apart.
    """

    index: int
    offset: int
    size: int
    protected: bool
    protection_known: bool = True


@dataclass(frozen=True)
class FlashBank:
    """A flash bank. `sectors` is filled by `info()` and empty from `banks()`, and so are `protection_blocks` (what is
    protected together; may be coarser than a sector) and `description` (the driver's own text).

    `size` is 0 where OpenOCD has not probed the bank yet, `target` the name of its target.
    """

    index: int
    name: str
    base: int
    size: int
    bus_width: int
    chip_width: int
    target: str
    sectors: List[FlashSector] = field(default_factory=list)
    driver: str = ""
    protection_blocks: List[FlashSector] = field(default_factory=list)
    description: str = ""


@dataclass(frozen=True)
class Difference:
    """A byte of flash that is not as it should be: `offset` from the base of its bank."""

    offset: int
    address: int
    expected: int
    found: int


@dataclass(frozen=True)
class Verification:
    """What a comparison found: the first differences (16 at the most), and how many there are."""

    match: bool
    size: int
    differences: List[Difference]
    difference_count: int


@dataclass(frozen=True)
class Programmed:
    """What programming an image did; the bytes are the image's, `repaired_bytes` were put back from an earlier try."""

    format: str
    segments: int
    bytes_written: int
    bytes_unchanged: int
    sectors_erased: int
    verified: bool
    repaired_bytes: int
    entry: Optional[int]
    duration_ms: int
    operation: str


@dataclass(frozen=True)
class Loaded:
    """What loading an image into RAM did; `entry` is its start address, if it has one."""

    format: str
    segments: int
    bytes_written: int
    verified: bool
    entry: Optional[int]
    duration_ms: int


@dataclass(frozen=True)
class Progress:
    """How far a call is: `done` of `total` `unit`s of `phase`. In the phase `queued`, `place` others go first.

    `upload` and `download` are the client's own phases: a file on its way to or from the daemon.
    """

    phase: str
    done: int
    total: Optional[int]
    unit: str
    operation: Optional[str] = None
    place: Optional[int] = None


ProgressFn = Callable[[Progress], None]


@dataclass(frozen=True)
class Target:
    """A target and its state, in OpenOCD's words: running, halted, reset, unknown, ..."""

    name: str
    type: str
    state: str
    endian: str
    current: bool


@dataclass(frozen=True)
class Stepped:
    """Where a target stands behind its steps; `pc` is None where OpenOCD knows no register of that name."""

    state: str
    pc: Optional[int]
    steps: int


@dataclass(frozen=True)
class Register:
    """A register that a target has."""

    name: str
    size_bits: int
    group: str


@dataclass(frozen=True)
class Breakpoint:
    """A breakpoint (`hardware`, `software`) or a watchpoint (`read`, `write`, `access`; with `value` and `mask`)."""

    address: int
    length: int
    kind: str
    value: Optional[int] = None
    mask: Optional[int] = None


@dataclass(frozen=True)
class Board:
    """A board of the daemon: `openocd` is HOST:PORT, `link` the state of the connection to it."""

    name: str
    openocd: str
    link: str
    version: Optional[str]


@dataclass(frozen=True)
class Operation:
    """What a request became. `state` is queued, running, done, failed or cancelled; `result` is the protocol's, once it
    is done; `error` why it ended otherwise."""

    id: str
    board: str
    method: str
    state: str
    client: str = ""
    progress: Optional[Progress] = None
    result: Optional[Dict[str, Any]] = None
    error: Optional[Exception] = None


@dataclass(frozen=True)
class Stage:
    """A file that the daemon keeps for an identity."""

    id: str
    name: str
    size: int
    complete: bool
    sha256: Optional[str]


@dataclass(frozen=True)
class CommandResult:
    """What OpenOCD answered to a script: 0 and 2 are success; `log` is what it logged meanwhile."""

    code: int
    text: str
    log: str


@dataclass(frozen=True)
class Event:
    """Something happened: `kind` is what, or the new state; `data` all that the protocol says of it.

    Of the topic `session`, which is the client's own, are `reconnected` (some may have been missed; `data` is the new
    snapshot) and `dropped` (so many were not taken in time: `data["count"]`).
    """

    topic: str
    kind: str
    board: str
    data: Dict[str, Any]


@dataclass(frozen=True)
class MemoryChange:
    """Watched memory that is not as it was, at `time` (RFC 3339, UTC).

    `changes` are the bytes that are new, by address. `whole`: all that can be read, as at the beginning and after a
    lost connection. `errors` are ranges (address, size, why) that cannot be read from now on, `recovered` (address,
    size) such as can be again. `interval_ms` is what really passes between two looks, once that is known.
    """

    changes: List[Tuple[int, bytes]]
    whole: bool
    time: str
    interval_ms: Optional[int] = None
    errors: List[Tuple[int, int, Exception]] = field(default_factory=list)
    recovered: List[Tuple[int, int]] = field(default_factory=list)


Ranges = Union[Tuple[int, int], List[Tuple[int, int]]]
