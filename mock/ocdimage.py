"""Images and memory files: load_image, dump_image, verify_image, flash write_image, md/mw."""

from __future__ import annotations

import time
import zlib
from typing import List, Optional, Tuple

from ocdargs import bench, number, words_of
from ocdbase import (
    FAIL,
    FILEIO_OPERATION_FAILED,
    IMAGE_TYPE_UNKNOWN,
    SYNTAX_ERROR,
    OpenOCD,
    fail,
)
from ocdflash import (
    NAME as BANK_NAME,
    bank_at,
    differences,
    driver_read,
    driver_write,
    erase_range,
    is_directory,
    open_read,
    sector_count,
    unlock_range,
)
from ocdmemory import address_text, bus_error
from simboard import FLASH_BASE, BusFault
from tclmini import TclError

Sections = List[Tuple[int, bytes]]
_CRC_SIZE = 52
_TYPES = ("bin", "ihex", "elf", "mem", "s19", "build")


def _detect(data: bytes) -> str:
    if len(data) < 9:
        raise fail("", FILEIO_OPERATION_FAILED)
    digits = b"0123456789abcdefABCDEF"
    if data[:4] == b"\x7fELF":
        return "elf"
    if data[0:1] == b":" and all(char in digits for char in data[1:7]):
        if data[7:8] == b"0" and data[8:9] in (b"0", b"1", b"2", b"3", b"4", b"5"):
            return "ihex"
    if data[0:1] == b"S" and data[1:2] in (b"0", b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8"):
        if all(char in digits for char in data[2:4]):
            return "s19"
    return "bin"


def _ihex(data: bytes) -> Sections:
    sections: Sections = []
    base = 0
    for line in data.split():
        record = bytes.fromhex(line[1:].decode("ascii"))
        if sum(record) & 0xFF:
            raise ValueError("incorrect record checksum found in IHEX file")
        count, address, kind = record[0], record[1] << 8 | record[2], record[3]
        body = record[4:4 + count]
        if kind == 0:
            where = base + address
            if sections and sections[-1][0] + len(sections[-1][1]) == where:
                sections[-1] = (sections[-1][0], sections[-1][1] + body)
            else:
                sections.append((where, body))
        elif kind == 1:
            return sections
        elif kind in (2, 4):
            base = (body[0] << 8 | body[1]) << (4 if kind == 2 else 16)
    raise ValueError("no end record")


def _srecord(data: bytes) -> Sections:
    sections: Sections = []
    widths = {"1": 2, "2": 3, "3": 4}
    for line in data.split():
        text = line.decode("ascii")
        record = bytes.fromhex(text[2:])
        if sum(record) & 0xFF != 0xFF:
            raise ValueError("incorrect record checksum found in S19 file")
        if text[1] in widths:
            width = widths[text[1]]
            where = int.from_bytes(record[1:1 + width], "big")
            body = record[1 + width:-1]
            if sections and sections[-1][0] + len(sections[-1][1]) == where:
                sections[-1] = (sections[-1][0], sections[-1][1] + body)
            else:
                sections.append((where, body))
        elif text[1] in "789":
            return sections
    raise ValueError("no end record")


def image_open(ocd: OpenOCD, path: str, kind: Optional[str], base: int) -> Sections:
    """Sections of an image file, moved by `base`."""
    if kind is None:
        kind = _detect(b"" if is_directory(path) else open_read(ocd, path))
    elif kind not in _TYPES:
        raise fail("", IMAGE_TYPE_UNKNOWN)
    if kind == "bin" and is_directory(path):
        return []
    if kind == "bin":
        return [(base, open_read(ocd, path))]
    if kind == "build":
        return []
    if kind in ("ihex", "s19"):
        data = open_read(ocd, path)
        try:
            sections = _ihex(data) if kind == "ihex" else _srecord(data)
        except (ValueError, IndexError) as problem:
            if "checksum" in str(problem):
                ocd.error(str(problem))
            ocd.error("failed buffering %s image, check server output for additional information"
                      % ("IHEX" if kind == "ihex" else "S19"))
            raise fail("", -1400) from None
        return [(where + base, body) for where, body in sections]
    # ELF and memory images are not what this mock is for.
    ocd.error("the mock reads no %s images" % kind)
    raise fail("", FAIL)


def _read(ocd: OpenOCD, address: int, count: int) -> bytes:
    try:
        return ocd.board.read(address, 1, count)
    except BusFault as fault:
        fault.address &= ~3
        bus_error(ocd, "read", fault)
        raise fail("", -107) from None


def _load_image(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 5)
    base = number(ocd, words[1], "addr", 64) if len(words) >= 2 else 0
    low = number(ocd, words[3], "*min_address", 64) if len(words) >= 4 else 0
    high = (1 << 64) - 1
    if len(words) == 5:
        high = low + number(ocd, words[4], "*max_address", 64)
    if low > high:
        raise fail("", SYNTAX_ERROR)
    began = time.perf_counter()
    try:
        sections = image_open(ocd, words[0], words[2] if len(words) >= 3 else None, base)
    except TclError:
        raise fail() from None
    out, total = "", 0
    for where, body in sections:
        if where + len(body) < low or where >= high:
            continue
        skip = max(0, low - where)
        part = body[skip:min(len(body), high - where)]
        try:
            ocd.board.write(where + skip, 1, part)
        except BusFault as fault:
            fault.address &= ~3
            bus_error(ocd, "write", fault)
            raise fail(out, -107) from None
        total += len(part)
        out += "%d bytes written at address %s\n" % (len(part), address_text(where + skip))
    return out + "downloaded %d bytes%s\n" % (total, bench(time.perf_counter() - began, total))


def _dump_image(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 3, 3)
    address = number(ocd, words[1], "address", 64)
    size = number(ocd, words[2], "size", 64)
    began = time.perf_counter()
    try:
        handle = open(words[0].encode("latin-1"), "wb")
    except OSError:
        ocd.error("couldn't open %s" % words[0])
        raise fail("", FILEIO_OPERATION_FAILED) from None
    with handle:
        done = 0
        while done < size:
            # What was read before a fault stays in the file, as with the real one.
            part = min(4096, size - done)
            handle.write(_read(ocd, address + done, part))
            done += part
    return "dumped %d bytes%s\n" % (size, bench(time.perf_counter() - began, size))


def _run_checksum(ocd: OpenOCD) -> None:
    """What is logged where the target cannot compute a checksum itself."""
    if ocd.work_area and ocd.state != "halted":
        ocd.log("target not halted\nerror executing cortex_m crc algorithm\n")
    else:
        ocd.take_work_area(_CRC_SIZE, "")


def _checked(ocd: OpenOCD, where: int, size: int) -> bytes:
    """What a checksum is made of.

    Where the target cannot read it, its code never comes back; OpenOCD believes that after
    20 seconds, and leaves the core's registers as they are then.  Neither is done here.
    """
    _run_checksum(ocd)
    try:
        found = ocd.board.read(where, 1, size)
    except BusFault:
        if ocd.work_area and ocd.state == "halted":
            ocd.log("timed out while waiting for target halted\nerror executing cortex_m crc algorithm\n")
        return _read(ocd, where, size)
    return found


def _verify(ocd: OpenOCD, argv: List[str], checksum_only: bool) -> str:
    words = words_of(argv, 1, 99)
    base = number(ocd, words[1], "addr", 64) if len(words) >= 2 else 0
    began = time.perf_counter()
    sections = image_open(ocd, words[0], words[2] if len(words) == 3 else None, base)
    out, total, count = "", 0, 0
    for where, body in sections:
        found = _checked(ocd, where, len(body))
        total += len(body)
        if zlib.crc32(found) == zlib.crc32(body) and found == body:
            continue
        if checksum_only:
            ocd.error("checksum mismatch")
            raise fail(out)
        if count == 0:
            ocd.error("checksum mismatch - attempting binary compare")
        lines = differences(found, body, where)
        out += lines
        count += lines.count("\n")
        if count > 128:
            raise fail(out)
    if count:
        raise fail(out + "No more differences found.\n")
    return out + "verified %d bytes%s\n" % (total, bench(time.perf_counter() - began, total))


def _verify_image(ocd: OpenOCD, argv: List[str]) -> str:
    return _verify(ocd, argv, False)


def _verify_checksum(ocd: OpenOCD, argv: List[str]) -> str:
    return _verify(ocd, argv, True)


def _runs(ocd: OpenOCD, sections: Sections) -> List[Tuple[int, bytes, int]]:
    """(address, data, number of the last section) of each stretch to write, gaps filled up."""
    runs: List[Tuple[int, bytes, int]] = []
    top = FLASH_BASE + len(ocd.board.flash)
    for index, (where, body) in enumerate(sorted(sections)):
        if not body:
            ocd.error("empty section %d" % index)
        elif not bank_at(ocd, where):
            ocd.error("no flash bank found for address %s" % address_text(where))
        elif runs and runs[-1][0] + len(runs[-1][1]) > where:
            end = runs[-1][0] + len(runs[-1][1])
            ocd.error("Section at %s overlaps section ending at %s"
                      % (address_text(where), address_text(end)))
            ocd.error("Flash write aborted.")
            raise fail()
        elif runs and _same_run(ocd, runs[-1], where):
            start, data, last = runs[-1]
            gap = where - start - len(data)
            if gap:
                ocd.error("Padding image section %d at %s with %d bytes"
                          % (last, address_text(start + len(data)), gap))
            runs[-1] = (start, data + b"\xff" * gap + body, index)
        else:
            runs.append((where, body, index))
    out = []
    for start, data, last in runs:
        out.append((start, data[:top - start], last))
        if start + len(data) > top:
            out.append((top, data[top - start:], last))
    return out


def _same_run(ocd: OpenOCD, run: Tuple[int, bytes, int], where: int) -> bool:
    """A gap within one page, or up to the next, is filled; a whole untouched page ends the run."""
    size = ocd.board.page_size
    end = run[0] + len(run[1])
    gap_first = -(-(end - FLASH_BASE) // size)
    gap_last = (where - FLASH_BASE) // size
    if gap_last <= gap_first:
        return True
    ocd.error("Flash write discontinued at %s, next section at %s"
              % (address_text(end), address_text(where)))
    return False


def _write_run(
    ocd: OpenOCD, run: Tuple[int, bytes, int], erase: bool, unlock: bool, verify: bool
) -> int:
    start, data, last = run
    if not bank_at(ocd, start):
        ocd.error("no flash bank found for address %s" % address_text(start))
        return 0
    if start & 1:
        ocd.error("Section start address %s breaks the required alignment of flash bank %s"
                  % (address_text(start), BANK_NAME))
        ocd.error("Padding 1 bytes from %s" % address_text(start - 1))
        start, data = start - 1, b"\xff" + data
    if len(data) & 1:
        ocd.error("Padding image section %d at %s with 1 bytes (bank write end alignment)"
                  % (last, address_text(start + len(data))))
        data += b"\xff"
    if unlock:
        unlock_range(ocd, start, len(data))
    if erase:
        erase_range(ocd, True, start, len(data))
    if verify:
        _run_checksum(ocd)
        if driver_read(ocd, start - FLASH_BASE, len(data)) != data:
            ocd.error("verify failed in bank at %s starting at 0x%08x"
                      % (address_text(FLASH_BASE), start - FLASH_BASE))
            raise fail()
    else:
        driver_write(ocd, data, start - FLASH_BASE)
    return len(data)


def _image_words(ocd: OpenOCD, words: List[str]) -> Sections:
    base = number(ocd, words[1], "image.base_address", 64) if len(words) >= 2 else 0
    return image_open(ocd, words[0], words[2] if len(words) == 3 else None, base)


def _write_image(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 99)
    out = ""
    erase = unlock = False
    while words and words[0] in ("erase", "unlock"):
        out += "auto %s enabled\n" % words[0]
        erase = erase or words[0] == "erase"
        unlock = unlock or words[0] == "unlock"
        words = words[1:]
    if not words:
        raise fail("", SYNTAX_ERROR)
    began = time.perf_counter()
    total = 0
    try:
        sections = _image_words(ocd, words)
        if erase:
            ocd.erased = [False] * sector_count(ocd)
        for run in _runs(ocd, sections):
            total += _write_run(ocd, run, erase, unlock, False)
    except TclError as error:
        raise fail(out + error.result, error.code) from None
    return out + "wrote %d bytes from file %s%s\n" % (
        total, words[0], bench(time.perf_counter() - began, total),
    )


def _flash_verify_image(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 99)
    began = time.perf_counter()
    total = 0
    for run in _runs(ocd, _image_words(ocd, words)):
        total += _write_run(ocd, run, False, False, True)
    return "verified %d bytes from file %s%s\n" % (
        total, words[0], bench(time.perf_counter() - began, total),
    )


def _hex_rows(ocd: OpenOCD, address: int, size: int, data: bytes) -> str:
    per_line = 32 // size
    values = ocd.board.unpack(data, size)
    out = []
    for start in range(0, len(values), per_line):
        row = "".join("%0*x " % (2 * size, value) for value in values[start:start + per_line])
        out.append("%s: %s\n" % (address_text(address + start * size), row))
    return "".join(out)


def _md(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 3)
    size = {"d": 8, "w": 4, "h": 2, "b": 1}[argv[0][-1]]
    if words[0] == "phys":
        words = words[1:]
    if not 1 <= len(words) <= 2:
        raise fail("", SYNTAX_ERROR)
    address = number(ocd, words[0], "address", 64)
    count = number(ocd, words[1], "count") if len(words) == 2 else 1
    try:
        data = ocd.board.read(address, size, count)
    except BusFault as fault:
        bus_error(ocd, "read", fault)
        raise fail("", -107) from None
    return _hex_rows(ocd, address, size, data)


def _mw(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 2, 4)
    size = {"d": 8, "w": 4, "h": 2, "b": 1}[argv[0][-1]]
    if words[0] == "phys":
        words = words[1:]
    if not 2 <= len(words) <= 3:
        raise fail("", SYNTAX_ERROR)
    address = number(ocd, words[0], "address", 64)
    value = number(ocd, words[1], "value", 64)
    count = number(ocd, words[2], "count") if len(words) == 3 else 1
    try:
        ocd.board.write(address, size, ocd.board.pack([value], size) * count)
    except BusFault as fault:
        bus_error(ocd, "write", fault)
        raise fail("", -107) from None
    return ""


COMMANDS = {
    "load_image": _load_image, "dump_image": _dump_image, "verify_image": _verify_image,
    "verify_image_checksum": _verify_checksum, "flash write_image": _write_image,
    "flash verify_image": _flash_verify_image, "mdw": _md, "mdh": _md, "mdb": _md,
    "mww": _mw, "mwh": _mw, "mwb": _mw,
    **{"vb.cpu " + name: _md for name in ("mdw", "mdh", "mdb")},
    **{"vb.cpu " + name: _mw for name in ("mww", "mwh", "mwb")},
}
