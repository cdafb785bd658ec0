"""`session.memory`: typed and raw access, search, hexdump and files.

Addresses and values are integers; every error is a TargetError. A `timeout` is in seconds and counts from the call,
connecting, transfer and waiting for a turn included: None means the session's for single reads and writes, and no limit
for what may take long. The answer or the error is there at most a second after it.
"""

from __future__ import annotations

import hashlib
from typing import Callable, List, Optional, Sequence, Union

from ._fields import Fields, Json, number, to_base64
from ._part import Part, with_some
from .errors import InvalidParams, OcdmuxError, ProtocolError, TargetError, in_area
from .stages import FilePath
from .types import Loaded, ProgressFn

# Reads up to this many bytes come in one answer; what is longer is streamed.
INLINE_BYTES = 1 << 16
# Values of one call.
MOST_VALUES = 65536
# Matches for which one search stops; the next goes on behind them.
MATCHES = 100_000


class Collector:
    """Puts the pieces of a streamed read together: their order, number and SHA-256 must be right."""

    def __init__(self, member: str) -> None:
        self._member = member
        self.parts: List[bytes] = []
        self.size = 0

    def begin(self) -> None:
        """From the start, once more where the connection was lost."""
        self.parts = []
        self.size = 0

    def take(self, params: Json) -> None:
        """A `data` notification."""
        fields = Fields(params, "data")
        if fields.integer("offset") != self.size:
            raise ProtocolError(f"data: a piece for {fields.integer('offset')} came where {self.size} goes on")
        if self._member == "text":
            # Sixteen bytes a line, the last one may be short: how many it tells only the end.
            self.parts.append(fields.text("text").encode("utf-8"))
            self.size += 16 * self.parts[-1].count(b"\n")
        else:
            self.parts.append(fields.data())
            self.size += len(self.parts[-1])

    def finish(self, result: Fields, size: int) -> bytes:
        """All of it."""
        whole = b"".join(self.parts)
        if result.integer("size") != size or (self._member == "data" and len(whole) != size):
            raise ProtocolError(f"{result.what}: {result.integer('size')} bytes came, {size} were asked for")
        sha256 = result.maybe_text("sha256")
        if self._member == "data" and sha256 is not None and hashlib.sha256(whole).hexdigest() != sha256:
            raise ProtocolError(f"{result.what}: what came is not what was read (another SHA-256)")
        return whole


async def read_range(
    part: Part, method: str, params: Json, size: int, consistent: bool, timeout: Optional[float],
    progress: Optional[ProgressFn], member: str = "data",
) -> bytes:
    """Reads `size` bytes by `method`, or their text: in one answer, or streamed."""
    params = {**params, "size": number(size), "consistent": consistent}
    if size <= INLINE_BYTES:
        fields = await part._fields(method, params, timeout=timeout, progress=progress)
        look: Callable[[], bytes] = fields.data
        if member == "text":
            look = lambda: fields.text("text").encode("utf-8")  # noqa: E731
        data: bytes = part._read(look)
        if member == "data" and len(data) != size:
            raise part._error(ProtocolError, f"{method}: {len(data)} bytes came, {size} were asked for")
    else:
        collector = Collector(member)
        result = await part._ask(
            method, {**params, "stream": True}, timeout=timeout, progress=progress, on_data=collector.take,
            before_try=collector.begin,
        )
        fields = part._read(lambda: Fields(result, method))
        data = part._read(lambda: collector.finish(fields, size))
    part._check_calm(fields, consistent, method)
    return data


class Memory(Part):
    """See above. `physical` goes past an MMU; `consistent` makes changes of others wait until a long read is over."""

    area = TargetError

    async def _read_typed(self, width: int, addr: int, count: int, cacheable: bool, physical: bool,
                          timeout: Optional[float]) -> List[int]:
        method = f"memory.read_u{width}"
        values: List[int] = []
        deadline = self._deadline(self._short(timeout))
        while True:
            try:
                number(addr)
                params: Json = {"address": number(addr + len(values) * (width // 8))}
                part = number(count) if count <= MOST_VALUES else min(MOST_VALUES, count - len(values))
            except (TypeError, OcdmuxError):
                raise self._error(InvalidParams, f"{method}: address and count are integers") from None
            if part != 1:
                params["count"] = part
            if cacheable:
                params["cacheable"] = True
            if physical:
                params["physical"] = True
            fields = await self._fields(method, params, timeout=deadline.left, repeatable=cacheable)
            found: List[int] = self._read(lambda: fields.integers("values"))
            if len(found) != part:
                raise self._error(ProtocolError, f"{method}: {len(found)} values came, {part} were asked for")
            if not values and len(found) == count:
                return found
            values += found
            if len(values) >= count:
                return values

    async def read_u8(self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
                      timeout: Optional[float] = None) -> List[int]:
        """`count` values of 8 bits (1 or more), each read once with one access of that width.

        A read whose connection is lost is not tried again unless it is `cacheable`, that is without a side effect; then
        its value may also come from another's read of a moment ago. Raises TargetError.
        """
        return await self._read_typed(8, addr, count, cacheable, physical, timeout)

    async def read_u16(self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
                       timeout: Optional[float] = None) -> List[int]:
        """`count` values of 16 bits; as read_u8()."""
        return await self._read_typed(16, addr, count, cacheable, physical, timeout)

    async def read_u32(self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
                       timeout: Optional[float] = None) -> List[int]:
        """`count` values of 32 bits; as read_u8()."""
        return await self._read_typed(32, addr, count, cacheable, physical, timeout)

    async def read_u64(self, addr: int, count: int = 1, *, cacheable: bool = False, physical: bool = False,
                       timeout: Optional[float] = None) -> List[int]:
        """`count` values of 64 bits; as read_u8(), but two accesses each where the target has no wider ones."""
        return await self._read_typed(64, addr, count, cacheable, physical, timeout)

    async def _write_typed(self, width: int, addr: int, values: Union[int, Sequence[int]], physical: bool,
                           timeout: Optional[float]) -> None:
        method = f"memory.write_u{width}"
        deadline = self._deadline(self._short(timeout))
        try:
            several = list(values) if isinstance(values, Sequence) else [values]
            given = [number(value) for value in several]
            for value in several:
                if not 0 <= value < 1 << width:
                    raise InvalidParams(f"{method}: {value} does not fit {width} bits")
            if not given:
                raise InvalidParams(f"{method}: there is no value")
            number(addr)
        except OcdmuxError as error:
            raise in_area(error, self.area) from None
        for done in range(0, len(given), MOST_VALUES):
            part = given[done:done + MOST_VALUES]
            params: Json = {"address": number(addr + done * (width // 8)), "values": part}
            if physical:
                params["physical"] = True
            try:
                fields = await self._fields(method, params, timeout=deadline.left)
            except OcdmuxError as error:
                if done > 0:
                    error.message += f" ({done} values before were written)"
                raise
            if self._read(lambda: fields.integer("count")) != len(part):
                raise self._error(ProtocolError, f"{method}: another number of values was written than {len(part)}")

    async def write_u8(self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False,
                       timeout: Optional[float] = None) -> None:
        """Writes one value of 8 bits, or several to addresses that follow each other: each once, in that order, with
        one access of that width. Never tried twice: OutcomeUnknown where the connection was lost. Raises TargetError."""
        await self._write_typed(8, addr, values, physical, timeout)

    async def write_u16(self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False,
                        timeout: Optional[float] = None) -> None:
        """Writes values of 16 bits; as write_u8()."""
        await self._write_typed(16, addr, values, physical, timeout)

    async def write_u32(self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False,
                        timeout: Optional[float] = None) -> None:
        """Writes values of 32 bits; as write_u8()."""
        await self._write_typed(32, addr, values, physical, timeout)

    async def write_u64(self, addr: int, values: Union[int, Sequence[int]], *, physical: bool = False,
                        timeout: Optional[float] = None) -> None:
        """Writes values of 64 bits; as write_u8(), but two accesses each where the target has no wider ones."""
        await self._write_typed(64, addr, values, physical, timeout)

    async def read_bytes(self, addr: int, size: int, *, consistent: bool = False, physical: bool = False,
                         timeout: Optional[float] = None, progress: Optional[ProgressFn] = None) -> bytes:
        """`size` bytes (1 or more), with the widest accesses that the target takes. Raises TargetError; Disturbed where
        `consistent` was asked for and could not be kept."""
        params = self._place(addr, size, physical)
        return await read_range(self, "memory.read_bytes", params, size, consistent, timeout, progress)

    def _place(self, addr: int, size: int, physical: bool) -> Json:
        try:
            number(size)
            params: Json = {"address": number(addr)}
        except OcdmuxError as error:
            raise in_area(error, self.area) from None
        if physical:
            params["physical"] = True
        return params

    async def write_bytes(self, addr: int, data: bytes, *, physical: bool = False, timeout: Optional[float] = None,
                          progress: Optional[ProgressFn] = None) -> None:
        """Writes bytes (1 or more), with the widest accesses that the target takes, and piece by piece where there are
        many. Raises TargetError."""
        def piece(done: int, part: bytes) -> Json:
            return {**self._place(addr + done, 1, physical), "data": to_base64(part)}

        await self._write_pieces("memory.write_bytes", data, piece, timeout=timeout, progress=progress)

    async def hexdump(self, addr: int, size: int, *, consistent: bool = False, physical: bool = False,
                      timeout: Optional[float] = None, progress: Optional[ProgressFn] = None) -> str:
        """`size` bytes as text: a line for 16 bytes, with the address (8 digits, 16 beyond 32 bits), two groups of eight
        upper-case bytes and the printable ASCII; no line feed at the end. Raises TargetError."""
        params = self._place(addr, size, physical)
        text = await read_range(self, "memory.hexdump", params, size, consistent, timeout, progress, member="text")
        return text.decode("utf-8").rstrip("\n")

    async def search(
        self, pattern: bytes, start: int, end: int, *, mask: Optional[bytes] = None, align: int = 1,
        limit: Optional[int] = None, consistent: bool = False, physical: bool = False, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> List[int]:
        """All addresses from `start` up to, not including, `end` at which `pattern` (1 to 4096 bytes) stands as a whole;
        overlapping ones too, in ascending order.

        `mask`, as long as the pattern: only bits that are 1 in it are compared. `align`: multiples of this only.
        `limit`: the first so many. Raises TargetError.
        """
        matches: List[int] = []
        deadline = self._deadline(timeout, progress)
        try:
            params: Json = {"pattern": to_base64(pattern), "end": number(end), "consistent": consistent}
            number(start)
            with_some(params, mask=None if mask is None else to_base64(mask), align=align if align != 1 else None,
                      physical=physical or None)
        except OcdmuxError as error:
            raise in_area(error, self.area) from None
        while True:
            params["start"] = number(start)
            params["limit"] = MATCHES if limit is None else min(MATCHES, number(limit - len(matches)))
            fields = await self._fields("memory.search", params, timeout=deadline.left, progress=progress)
            self._check_calm(fields, consistent, "memory.search")
            found: List[int] = self._read(lambda: fields.integers("matches"))
            matches += found
            truncated = self._read(lambda: fields.flag("truncated"))
            if not truncated or not found or (limit is not None and len(matches) >= limit):
                return matches
            start = found[-1] + 1
            if start + len(pattern) > end:
                return matches

    async def dump(self, addr: int, size: int, path: FilePath, *, consistent: bool = False, physical: bool = False,
                   timeout: Optional[float] = None, progress: Optional[ProgressFn] = None) -> None:
        """Reads `size` bytes (1 or more) into a file of this machine. It appears under its name when it is complete and
        its SHA-256 is right; what was there before stays until then. Raises TargetError, also for the file."""
        params = self._place(addr, size, physical)
        params.update(size=number(size), consistent=consistent)
        await fetch_into(self, "memory.dump", params, size, path, consistent, timeout, progress)

    async def load_image(
        self, path: FilePath, *, format: Optional[str] = None, address: Optional[int] = None, verify: bool = True,
        prepare: Optional[str] = None, timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> Loaded:
        """Loads a build that runs from RAM: `format` is auto (default), bin, ihex, srec, elf or uf2; bin needs an
        `address`. `prepare` is none, halt, reset_halt or reset_init. Raises TargetError; ImageInvalid."""
        deadline = self._deadline(timeout, progress)

        async def work(stage: str, _head: bytes) -> Loaded:
            params = with_some({"stage": stage, "verify": verify}, format=format, prepare=prepare,
                               address=None if address is None else number(address))
            result = await self._fields("memory.load_image", params, timeout=deadline.left, progress=progress)
            return Loaded(
                result.text("format"), result.integer("segments"), result.integer("bytes_written"),
                result.flag("verified"), result.maybe_integer("entry"), result.integer("duration_ms"),
            )

        try:
            return await self._session.stages._with_file(path, deadline, progress, work)
        except OcdmuxError as error:
            raise in_area(error, self.area) from error.__cause__


async def fetch_into(
    part: Part, method: str, params: Json, size: Optional[int], path: FilePath, consistent: bool,
    timeout: Optional[float], progress: Optional[ProgressFn],
) -> None:
    """Lets the daemon read a range into a stage, and fetches that. The stage is gone then."""
    deadline = part._deadline(timeout, progress)
    stages = part._session.stages
    try:
        async with stages._file_to_fill(path) as file:
            fields = await part._fields(method, params, timeout=deadline.left, progress=progress)
            stage, length = fields.text("stage"), fields.integer("size")
            gone = part._core.quietly(part._core.call("stage.delete", {"stage": stage}, timeout=5.0))
            try:
                if size is not None and length != size:
                    raise ProtocolError(f"{method}: {length} bytes were read, {size} were asked for")
                part._check_calm(fields, consistent, method)
                await stages._fetch(stage, length, fields.text("sha256"), file, path, deadline, progress)
            except BaseException:
                part._core.spawn(gone)
                raise
            await gone
    except OcdmuxError as error:
        raise in_area(error, part.area) from error.__cause__


__all__ = ["Memory"]
