"""`session.flash`: banks, reading, erasing, programming, protection and verifying.

Every error is a FlashError. Offsets and sizes are bytes, offsets from the base of a bank, sectors those of `info()`. Paths
are files of this machine. A `timeout` is in seconds and counts from the call, transfer and waiting for a turn included;
None means the session's for `banks()`, `info()` and `protect()`, and no limit for the others.
"""

from __future__ import annotations

from typing import List, Optional, Union

from ._fields import Fields, Json, number, to_base64
from ._part import Part, with_some
from .errors import FlashError, InvalidRange, OcdmuxError, ProtocolError, in_area
from .memory import fetch_into, read_range
from .stages import FilePath
from .types import Difference, FlashBank, FlashSector, Programmed, ProgressFn, Verification

# A .bin that begins like this is what its name does not say.
_OTHER_MAGIC = (b"\x7fELF", b"UF2\n")


def _sector(fields: Fields) -> FlashSector:
    known = fields.all.get("protected") is not None
    return FlashSector(
        fields.integer("index"), fields.integer("offset"), fields.integer("size"),
        fields.flag("protected") if known else False, known,
    )


def _protected_by(sector: FlashSector, blocks: List[FlashSector]) -> FlashSector:
    """A sector of which OpenOCD says nothing is as protected as the blocks over it."""
    if sector.protection_known:
        return sector
    end = sector.offset + sector.size
    over = [each for each in blocks if each.offset < end and each.offset + each.size > sector.offset]
    known = bool(over) and all(each.protection_known for each in over)
    protected = any(each.protected for each in over)
    return FlashSector(sector.index, sector.offset, sector.size, protected, known or protected)


def _bank(fields: Fields) -> FlashBank:
    blocks = [_sector(each) for each in fields.objects("protection_blocks")] if fields.has("protection_blocks") else []
    sectors = [_sector(each) for each in fields.objects("sectors")] if fields.has("sectors") else []
    return FlashBank(
        fields.integer("index"), fields.text("name"), fields.integer("base"), fields.integer("size"),
        fields.integer("bus_width"), fields.integer("chip_width"), fields.text("target"),
        [_protected_by(each, blocks) for each in sectors], fields.text("driver"), blocks,
        fields.maybe_text("description") or "",
    )


class Flash(Part):
    """See above."""

    area = FlashError

    async def banks(self, *, timeout: Optional[float] = None) -> List[FlashBank]:
        """All flash banks, without their sectors."""
        fields = await self._fields("flash.banks", {}, timeout=self._short(timeout))
        found: List[FlashBank] = self._read(lambda: [_bank(each) for each in fields.objects("banks")])
        return found

    async def info(self, bank: int = 0, *, timeout: Optional[float] = None) -> FlashBank:
        """One bank with its sectors, each with its protection as it is in force."""
        fields = await self._fields("flash.info", {"bank": self._number(bank)}, timeout=self._short(timeout))
        found: FlashBank = self._read(lambda: _bank(fields))
        return found

    def _number(self, value: int) -> Union[int, str]:
        try:
            return number(value)
        except OcdmuxError as error:
            raise in_area(error, self.area) from None

    async def read(
        self, bank: int, offset: int, size: int, *, consistent: bool = False, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> bytes:
        """`size` bytes (1 or more) of a bank, by OpenOCD's flash driver."""
        params = {"bank": self._number(bank), "offset": self._number(offset)}
        self._number(size)
        return await read_range(self, "flash.read", params, size, consistent, timeout, progress)

    async def read_to_file(
        self, bank: int, path: FilePath, *, offset: int = 0, size: Optional[int] = None, consistent: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> None:
        """Reads a bank, or `size` bytes of it from `offset` on, into a file of this machine. It appears under its name
        when it is complete and its SHA-256 is right; what was there before stays until then."""
        params: Json = {"bank": self._number(bank), "offset": self._number(offset), "consistent": consistent}
        if size is not None:
            params["size"] = self._number(size)
        await fetch_into(self, "flash.read_to_file", params, size, path, consistent, timeout, progress)

    async def write(
        self, bank: int, offset: int, data: bytes, *, erase: bool = False, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> None:
        """Writes bytes (1 or more) into a bank. Without `erase` they are programmed over what is there, which works
        where that is blank; with it the sectors are erased first and keep their other bytes. Needs a halted target."""
        def piece(done: int, part: bytes) -> Json:
            place: Json = {"bank": number(bank), "offset": number(offset + done), "erase": erase}
            return {**place, "data": to_base64(part)}

        await self._write_pieces("flash.write", data, piece, timeout=timeout, progress=progress)

    async def write_image(
        self, path: FilePath, erase: bool = True, verify: bool = True, *, format: Optional[str] = None,
        address: Optional[int] = None, mode: Optional[str] = None, unlock: bool = False,
        prepare: Optional[str] = None, reset: Optional[str] = None, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> None:
        """Erases what an image needs, programs it and verifies it. Needs a halted target, or a `prepare`. Raises
        FlashError for whatever fails, VerifyMismatch where it reads back differently. As program(), which also returns
        what was done."""
        await self.program(
            path, erase, verify, format=format, address=address, mode=mode, unlock=unlock, prepare=prepare, reset=reset,
            timeout=timeout, progress=progress,
        )

    async def program(
        self, path: FilePath, erase: bool = True, verify: bool = True, *, format: Optional[str] = None,
        address: Optional[int] = None, mode: Optional[str] = None, unlock: bool = False,
        prepare: Optional[str] = None, reset: Optional[str] = None, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> Programmed:
        """Programs a firmware file.

        `format` is auto, bin, ihex, srec, elf or uf2; by default a file called .bin is bin and of others the content
        tells. `address` is where a bin goes (default: the base of bank 0). `mode` is changed (default with `erase`: only
        sectors that differ) or full. `unlock` lifts protection where that works at once. `prepare` is what happens to
        the target first: none, halt, reset_halt or reset_init; `reset` at the end: none, run or halt. Bytes of an erased
        sector that the image does not cover are kept.

        If the connection is lost the daemon goes on; this call connects again and returns how it ended. A task that is
        cancelled stops it between two pieces.
        """
        deadline = self._deadline(timeout, progress)

        async def work(stage: str, head: bytes) -> Programmed:
            params = with_some(
                {"stage": stage, "erase": erase, "verify": verify}, format=format or _format_of(path, head),
                address=None if address is None else number(address), mode=mode, unlock=unlock or None,
                prepare=prepare, reset=reset,
            )
            result = await self._fields("flash.write_image", params, timeout=deadline.left, progress=progress)
            return Programmed(
                result.text("format"), result.integer("segments"), result.integer("bytes_written"),
                result.integer("bytes_unchanged"), result.integer("sectors_erased"), result.flag("verified"),
                result.integer("repaired_bytes"), result.maybe_integer("entry"), result.integer("duration_ms"),
                result.text("operation"),
            )

        try:
            return await self._session.stages._with_file(path, deadline, progress, work)
        except OcdmuxError as error:
            raise in_area(error, self.area) from error.__cause__

    async def erase_sector(
        self, bank: int, first: int, last: int, *, timeout: Optional[float] = None,
        progress: Optional[ProgressFn] = None,
    ) -> None:
        """Erases sectors `first` to `last`, both included. Nothing is erased unless all of them exist and none is
        protected. Needs a halted target."""
        params = {"bank": self._number(bank), **self._span(first, last)}
        fields = await self._fields("flash.erase_sector", params, timeout=timeout, progress=progress)
        erased = self._read(lambda: fields.integer("sectors_erased"))
        if erased != last - first + 1:
            raise self._error(ProtocolError, f"flash.erase_sector: {erased} sectors instead of {last - first + 1}")

    def _span(self, first: int, last: int) -> Json:
        params = {"first": self._number(first), "last": self._number(last)}
        if not 0 <= first <= last:
            raise self._error(InvalidRange, f"sectors {first} to {last}: the first must be from 0 to the last")
        return params

    async def erase_all(self, bank: int = 0, *, timeout: Optional[float] = None,
                        progress: Optional[ProgressFn] = None) -> None:
        """Erases every sector of a bank; with one that is protected nothing is erased. Needs a halted target."""
        params = {"bank": self._number(bank)}
        fields = await self._fields("flash.erase_all", params, timeout=timeout, progress=progress)
        self._read(lambda: fields.integer("sectors_erased"))

    async def protect(self, bank: int, first: int, last: int, on: bool, *, reset: bool = True,
                      timeout: Optional[float] = None) -> None:
        """Sets or clears the write protection of sectors `first` to `last`, both included. Needs a halted target.

        Many chips take a change in only with a reset, and forget it with the next change before that. Where that is so
        all targets are reset and halted, and the sectors looked at again, so that the protection is in force when this
        returns; with `reset=False` that is left to the caller. What reads back differently then raises FlashError.
        """
        deadline = self._deadline(self._short(timeout))
        params = {"bank": self._number(bank), **self._span(first, last), "on": on}
        fields = await self._fields("flash.protect", params, timeout=deadline.left)
        if not self._read(lambda: fields.flag("reset_needed")) or not reset:
            return
        await self._fields("target.reset", {"mode": "halt"}, timeout=deadline.left)
        found = (await self.info(bank, timeout=deadline.left)).sectors[first:last + 1]
        if any(each.protection_known and each.protected != on for each in found):
            state = "protected" if on else "writable"
            raise self._error(FlashError, f"sectors {first} to {last} are not {state}, not even after a reset")

    async def verify(
        self, bank: int, path: FilePath, *, offset: int = 0, format: Optional[str] = None, consistent: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> bool:
        """Whether flash holds what a file holds: plain bytes from `offset` of the bank on, or with another `format` (auto,
        ihex, srec, elf, uf2) an image with addresses of its own."""
        found = await self.compare(bank, path, offset=offset, format=format, consistent=consistent, timeout=timeout,
                                   progress=progress)
        return found.match

    async def compare(
        self, bank: int, path: FilePath, *, offset: int = 0, format: Optional[str] = None, consistent: bool = False,
        timeout: Optional[float] = None, progress: Optional[ProgressFn] = None,
    ) -> Verification:
        """The same, and which bytes differ."""
        deadline = self._deadline(timeout, progress)

        async def work(stage: str, _head: bytes) -> Verification:
            params = with_some(
                {"bank": number(bank), "offset": number(offset), "stage": stage, "consistent": consistent},
                format=format,
            )
            result = await self._fields("flash.verify", params, timeout=deadline.left, progress=progress)
            self._check_calm(result, consistent, "flash.verify")
            differences = [
                Difference(each.integer("offset"), each.integer("address"), each.integer("expected"),
                           each.integer("found"))
                for each in result.objects("differences")
            ]
            count = result.integer("difference_count")
            return Verification(result.flag("match"), result.integer("size"), differences, count)

        try:
            return await self._session.stages._with_file(path, deadline, progress, work)
        except OcdmuxError as error:
            raise in_area(error, self.area) from error.__cause__


def _format_of(path: FilePath, head: bytes) -> Optional[str]:
    """What the name alone tells of an image: of .bin the content may look like anything."""
    named_bin = str(path).lower().endswith(".bin")
    return "bin" if named_bin and not head.startswith(_OTHER_MAGIC) else None


__all__ = ["Flash"]
