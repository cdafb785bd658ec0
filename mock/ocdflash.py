"""The `flash` commands over the simulated NOR flash: bank 0, `vb.flash`, driver stm32f1x."""

from __future__ import annotations

import os
import time
from typing import List, Optional, Tuple

from ocdargs import bench, number, on_off, seconds, words_of
from ocdbase import (
    ARGUMENT_INVALID,
    FAIL,
    FILEIO_OPERATION_FAILED,
    FLASH_BREAKS_ALIGNMENT,
    FLASH_OPERATION_FAILED,
    FLASH_PROTECTED,
    SYNTAX_ERROR,
    TARGET_NOT_HALTED,
    OpenOCD,
    fail,
)
from ocdmemory import address_text, bus_error
from simboard import BLOCK_SIZE, FLASH_BASE, BusFault
from tclmini import TclError, wrong_args

NAME = "vb.flash"
DRIVER = "stm32f1x"
_LOADER_SIZE = 60
_SLOW = (
    "no working area available, can't do block memory writes\n"
    "couldn't use block writes, falling back to single memory accesses\n"
)
_EXCEEDS = "File content exceeds flash bank size. Only %s the first %d bytes of the file"
_LIST_HEAD = (
    "{\n    name       {%s}\n    driver     %s\n    base       0x%08x\n    size       0x%x\n"
    "    bus_width  0\n    chip_width 0\n    target     %s\n}\n"
)
_VERSIONS = {0x20036410: "STM32F10x (Medium Density) - Rev: Y",
             0x10036414: "STM32F10x (High Density) - Rev: Y"}


# --- the bank ----------------------------------------------------------------


def probe(ocd: OpenOCD) -> None:
    """Learn the geometry, once."""
    if not ocd.probed:
        force_probe(ocd)


def force_probe(ocd: OpenOCD) -> None:
    """Learn the geometry anew, and tell."""
    ocd.error("device id = 0x%08x" % ocd.board.device_id)
    ocd.error("flash size = %d KiB" % (len(ocd.board.flash) // 1024))
    ocd.probed = True
    ocd.erased = [None] * sector_count(ocd)


def sector_count(ocd: OpenOCD) -> int:
    """Number of pages."""
    return len(ocd.board.flash) // ocd.board.page_size


def blocks(ocd: OpenOCD) -> List[Tuple[int, int]]:
    """Protection blocks: (offset, size).  The 32nd takes all that is left."""
    total = len(ocd.board.flash)
    count = min(32, total // BLOCK_SIZE)
    out = [(index * BLOCK_SIZE, BLOCK_SIZE) for index in range(count)]
    out[-1] = (out[-1][0], total - out[-1][0])
    return out


def _bank(ocd: OpenOCD, word: str, with_probe: bool = True) -> bool:
    """Find the bank; false when there is none and nobody has complained of it yet."""
    if word != NAME:
        index = number(ocd, word, "bank_num")
        if index != 0:
            ocd.error("flash bank %d does not exist" % index)
            if with_probe:
                raise fail()
            return False
    if with_probe:
        probe(ocd)
    return True


def bank_at(ocd: OpenOCD, address: int) -> bool:
    """True when the address is in the bank."""
    probe(ocd)
    return FLASH_BASE <= address < FLASH_BASE + len(ocd.board.flash)


def _need_bank(ocd: OpenOCD, address: int) -> None:
    if not bank_at(ocd, address):
        ocd.error("No flash at address %s" % address_text(address))
        raise fail()


# --- driver ------------------------------------------------------------------


def _need_halt(ocd: OpenOCD, then: str) -> None:
    if ocd.state != "halted":
        ocd.error("Target not halted")
        ocd.error(then)
        raise fail("", TARGET_NOT_HALTED)


def driver_erase(ocd: OpenOCD, first: int, last: int) -> None:
    """Erase pages `first` to `last`."""
    then = "failed erasing sectors %d to %d" % (first, last)
    _need_halt(ocd, then)
    board = ocd.board
    if first == 0 and last == sector_count(ocd) - 1:
        done = board.mass_erase()
    else:
        done = all(board.erase_page(page * board.page_size) for page in range(first, last + 1))
    if not done:
        ocd.error("stm32x device protected")
        ocd.error(then)
        raise fail("", FLASH_PROTECTED)


def driver_write(ocd: OpenOCD, data: bytes, offset: int) -> None:
    """Program half-words; stops at the first that refuses."""
    then = "error writing to flash at address %s at offset 0x%08x" % (address_text(FLASH_BASE), offset)
    _need_halt(ocd, then)
    loader = ocd.take_work_area(_LOADER_SIZE, _SLOW)
    for at in range(0, len(data), 2):
        problem = ocd.board.program(offset + at, data[at] | data[at + 1] << 8)
        if not problem:
            continue
        if loader:
            ocd.error("flash write algorithm aborted by target")
        ocd.error("stm32x device protected" if problem == "protected"
                  else "stm32x device programming failed / flash not erased")
        if loader:
            ocd.error("flash write failed just before address 0x%x" % (FLASH_BASE + offset + at + 2))
        ocd.error(then)
        raise fail("", FLASH_PROTECTED if problem == "protected" else FLASH_OPERATION_FAILED)


def driver_read(ocd: OpenOCD, offset: int, length: int) -> bytes:
    """Read the bank over the bus."""
    try:
        return ocd.board.read(FLASH_BASE + offset, 1, length)
    except BusFault as fault:
        bus_error(ocd, "read", fault)
        ocd.error(
            "error reading to flash at address %s at offset 0x%08x"
            % (address_text(FLASH_BASE), offset)
        )
        raise fail("", -107) from None


def driver_protect(ocd: OpenOCD, on: bool, first: int, last: int) -> None:
    """Set or clear protection of blocks in the option bytes; in force after a reset."""
    then = "failed setting protection for blocks %d to %d" % (first, last)
    _need_halt(ocd, then)
    bits = ocd.board.wrpr
    for block in range(first, last + 1):
        bits = bits & ~(1 << block) if on else bits | (1 << block)
    ocd.board.set_option_protection(bits & 0xFFFFFFFF)
    ocd.take_work_area(_LOADER_SIZE, _SLOW)


# --- ranges and padding ------------------------------------------------------


def _iterate(
    ocd: OpenOCD, reason: str, address: int, length: int, pieces: List[Tuple[int, int]]
) -> Tuple[int, int]:
    """First and last piece of a range; it must start and end on borders unless `reason`."""
    end = address + length - 1
    first: Optional[int] = None
    last: Optional[int] = None
    for index, (offset, size) in enumerate(pieces):
        low = FLASH_BASE + offset
        high = low + size - 1
        if first is None:
            if address < low:
                break
            if address == low:
                first = index
            elif address <= high and reason:
                ocd.error("Adding extra %s range, %s .. %s"
                          % (reason, address_text(low), address_text(address - 1)))
                first = index
            else:
                continue
        if end == high:
            last = index
            break
        if end < high and reason:
            ocd.error("Adding extra %s range, %s .. %s"
                      % (reason, address_text(end + 1), address_text(high)))
            last = index
            break
        if end < low:
            break
    if first is None or last is None:
        ocd.error("address range %s .. %s is not sector-aligned"
                  % (address_text(address), address_text(end)))
        raise fail("", FLASH_BREAKS_ALIGNMENT)
    return first, last


def _each_bank(ocd: OpenOCD, address: int, length: int) -> List[Tuple[int, int]]:
    """The part of a range in the bank; what lies behind it has no bank and is refused."""
    _need_bank(ocd, address)
    room = FLASH_BASE + len(ocd.board.flash) - address
    parts = [(address, min(length, room))]
    if length > room:
        parts.append((address + room, length - room))
    return parts


def erase_range(ocd: OpenOCD, pad: bool, address: int, length: int) -> None:
    """Erase every page of a range."""
    size = ocd.board.page_size
    pieces = [(index * size, size) for index in range(sector_count(ocd))]
    for start, count in _each_bank(ocd, address, length):
        _need_bank(ocd, start)
        driver_erase(ocd, *_iterate(ocd, "erase" if pad else "", start, count, pieces))


def unlock_range(ocd: OpenOCD, address: int, length: int) -> None:
    """Clear the protection of every block of a range."""
    for start, count in _each_bank(ocd, address, length):
        _need_bank(ocd, start)
        driver_protect(ocd, False, *_iterate(ocd, "unprotect", start, count, blocks(ocd)))


def _aligned(ocd: OpenOCD, data: bytes, address: int, what: str, shown: int) -> Tuple[bytes, int]:
    """Pad to whole half-words, and tell; `what` and `shown` name the start in the complaint."""
    before = address & 1
    if before:
        ocd.error("Start %s 0x%08x breaks the required alignment of flash bank %s" % (what, shown, NAME))
        ocd.error("Padding 1 bytes from %s" % address_text(address - 1))
        data = b"\xff" + data
    if len(data) & 1:
        ocd.error("Padding at %s with 1 bytes (bank write end alignment)"
                  % address_text(address - before + len(data)))
        data += b"\xff"
    return data, address - before


# --- files -------------------------------------------------------------------


def is_directory(path: str) -> bool:
    """True for a directory, which OpenOCD takes for an endless file."""
    return os.path.isdir(path.encode("latin-1"))


def open_read(ocd: OpenOCD, path: str) -> bytes:
    """Content of a file; -1202 and a complaint when it cannot be opened."""
    try:
        with open(path.encode("latin-1"), "rb") as handle:
            return handle.read()
    except OSError:
        ocd.error("couldn't open %s" % path)
        raise fail("", FILEIO_OPERATION_FAILED) from None


def write_file(ocd: OpenOCD, path: str, data: bytes) -> None:
    """Replace a file; -1202 and a complaint when it cannot be opened."""
    try:
        with open(path.encode("latin-1"), "wb") as handle:
            handle.write(data)
    except OSError:
        ocd.error("couldn't open %s" % path)
        raise fail("", FILEIO_OPERATION_FAILED) from None


# --- commands ----------------------------------------------------------------


def _banks(ocd: OpenOCD, argv: List[str]) -> str:
    words_of(argv, 0, 0)
    size = len(ocd.board.flash) if ocd.probed else 0
    return "#0 : %s (%s) at %s, size 0x%08x, buswidth 0, chipwidth 0\n" % (
        NAME, DRIVER, address_text(FLASH_BASE), size,
    )


def _list(ocd: OpenOCD, argv: List[str]) -> str:
    if len(argv) != 1:
        raise wrong_args(argv[:1], "no arguments to 'flash list' command")
    size = len(ocd.board.flash) if ocd.probed else 0
    if ocd.head:
        return _LIST_HEAD % (NAME, DRIVER, FLASH_BASE, size, "vb.cpu")
    return "{name %s driver %s base %d size %d bus_width 0 chip_width 0 target vb.cpu}" % (
        NAME, DRIVER, FLASH_BASE, size,
    )


def _probe(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 1)
    if not _bank(ocd, words[0], False):
        raise fail("flash bank '#%s' is out of bounds\n" % words[0])
    force_probe(ocd)
    return "flash '%s' found at %s\n" % (DRIVER, address_text(FLASH_BASE))


def _rows(pieces: List[Tuple[int, int]], states: List[str]) -> str:
    return "".join(
        "\t#%3d: 0x%08x (0x%x %dkB) %s\n" % (index, offset, size, size >> 10, states[index])
        for index, (offset, size) in enumerate(pieces)
    )


def _info(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 2)
    if len(words) == 2 and words[1] != "sectors":
        raise fail("", SYNTAX_ERROR)
    _bank(ocd, words[0])
    board = ocd.board
    out = "#0 : %s at %s, size 0x%08x, buswidth 0, chipwidth 0\n" % (
        DRIVER, address_text(FLASH_BASE), len(board.flash),
    )
    if len(words) == 2:
        size = board.page_size
        pieces = [(index * size, size) for index in range(sector_count(ocd))]
        out += _rows(pieces, [""] * len(pieces))
    else:
        pieces = blocks(ocd)
        states = [
            "protected" if board.is_protected(offset) else "not protected" for offset, _ in pieces
        ]
        out += _rows(pieces, states)
    return out + _VERSIONS[board.device_id] + "\n"


def _erase_check(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 1)
    _bank(ocd, words[0])
    if ocd.state != "halted":
        ocd.error("Target not halted")
        return _erase_report(ocd, words[0], False)
    ocd.take_work_area(36, "Running slow fallback erase check - add working memory\n")
    size = ocd.board.page_size
    blank = b"\xff" * size
    ocd.erased = [
        bool(ocd.board.flash[index * size:(index + 1) * size] == blank)
        for index in range(sector_count(ocd))
    ]
    return _erase_report(ocd, words[0], True)


def _erase_report(ocd: OpenOCD, word: str, checked: bool) -> str:
    size = ocd.board.page_size
    out = "successfully checked erase state\n"
    if not checked:
        out = "unknown error when checking erase state of flash bank #%s at %s\n" % (
            word, address_text(FLASH_BASE),
        )
    dirty = ""
    for index, erased in enumerate(ocd.erased):
        if erased:
            continue
        state = "not erased" if erased is False else "erase state unknown"
        dirty += "\t#%3d: 0x%08x (0x%x %dkB) %s\n" % (index, index * size, size, size >> 10, state)
    out += dirty or "\tBank is erased\n"
    if not checked:
        raise fail(out, TARGET_NOT_HALTED)
    return out


def _range_error(text: str) -> TclError:
    return fail("ERROR: %s\n" % text, FAIL)


def _erase_sector(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 3, 3)
    _bank(ocd, words[0])
    first = number(ocd, words[1], "first")
    highest = sector_count(ocd) - 1
    last = highest if words[2] == "last" else number(ocd, words[2], "last")
    if first > last:
        raise _range_error("first sector must be <= last")
    if last > highest:
        raise _range_error("last sector must be <= %d" % highest)
    began = time.perf_counter()
    driver_erase(ocd, first, last)
    return "erased sectors %d through %d on flash bank 0%s\n" % (
        first, last, seconds(time.perf_counter() - began),
    )


def _erase_address(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 99)
    pad = unlock = False
    while len(words) >= 3:
        if words[0] == "pad":
            pad = True
        elif words[0] == "unlock":
            unlock = True
        else:
            raise fail("", SYNTAX_ERROR)
        words = words[1:]
    if len(words) != 2:
        raise fail("", SYNTAX_ERROR)
    address = number(ocd, words[0], "address", 64)
    length = number(ocd, words[1], "length")
    if length == 0:
        raise fail("Length must be >0\n", SYNTAX_ERROR)
    _need_bank(ocd, address)
    ocd.erased = [False] * sector_count(ocd)
    began = time.perf_counter()
    if unlock:
        unlock_range(ocd, address, length)
    erase_range(ocd, pad, address, length)
    return "erased address %s (length %d)%s\n" % (
        address_text(address), length, bench(time.perf_counter() - began, length),
    )


def _protect(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 4, 4)
    _bank(ocd, words[0])
    highest = len(blocks(ocd)) - 1
    first = number(ocd, words[1], "first")
    last = highest if words[2] == "last" else number(ocd, words[2], "last")
    on = on_off(words[3])
    if first > last:
        raise _range_error("first block must be <= last")
    if last > highest:
        raise _range_error("last block must be <= %d" % highest)
    driver_protect(ocd, on, first, last)
    return "%s protection for blocks %d through %d on flash bank 0\n" % (
        "set" if on else "cleared", first, last,
    )


def _offset(ocd: OpenOCD, words: List[str]) -> int:
    offset = number(ocd, words[2], "offset") if len(words) > 2 else 0
    if offset > len(ocd.board.flash):
        ocd.error("Offset 0x%08x is out of range of the flash bank" % offset)
        raise fail("", ARGUMENT_INVALID)
    return offset


def _write_bank(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 2, 3)
    _bank(ocd, words[0])
    offset = _offset(ocd, words)
    began = time.perf_counter()
    if is_directory(words[1]):
        # It can be opened, has no end, and yields nothing.
        ocd.error(_EXCEEDS % ("writing", len(ocd.board.flash) - offset))
        ocd.error("Short read")
        raise fail()
    try:
        data = open_read(ocd, words[1])
    except TclError:
        raise fail() from None
    length = min(len(data), len(ocd.board.flash) - offset)
    if not length:
        ocd.error("Nothing to write to flash bank")
        return ""
    if length != len(data):
        ocd.error(_EXCEEDS % ("writing", length))
    padded, address = _aligned(ocd, data[:length], FLASH_BASE + offset, "offset", offset)
    driver_write(ocd, padded, address - FLASH_BASE)
    return "wrote %d bytes from file %s to flash bank 0 at offset 0x%08x%s\n" % (
        length, words[1], offset, bench(time.perf_counter() - began, length),
    )


def _read_bank(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 2, 4)
    _bank(ocd, words[0])
    offset = _offset(ocd, words)
    size = len(ocd.board.flash)
    length = number(ocd, words[3], "length") if len(words) > 3 else size - offset
    if (offset + length) & 0xFFFFFFFF > size:
        ocd.error("Length of %d bytes with offset 0x%08x is out of range of the flash bank"
                  % (length, offset))
        raise fail("", ARGUMENT_INVALID)
    began = time.perf_counter()
    try:
        data = driver_read(ocd, offset, length)
    except TclError:
        ocd.error("Read error")
        raise
    try:
        write_file(ocd, words[1], data)
    except TclError:
        ocd.error("Could not open file")
        raise
    return "wrote %d bytes to file %s from flash bank 0 at offset 0x%08x%s\n" % (
        length, words[1], offset, bench(time.perf_counter() - began, length),
    )


def differences(found: bytes, expected: bytes, base: int) -> str:
    """Lines that tell where two texts of equal length differ, at most 128."""
    out: List[str] = []
    for index, (was, wanted) in enumerate(zip(found, expected)):
        if was == wanted:
            continue
        out.append("diff %d address 0x%08x. Was 0x%02x instead of 0x%02x\n"
                   % (len(out), base + index, was, wanted))
        if len(out) == 128:
            out.append("More than 128 errors, the rest are not printed.\n")
            break
    return "".join(out)


def _verify_bank(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 2, 3)
    _bank(ocd, words[0])
    offset = _offset(ocd, words)
    began = time.perf_counter()
    try:
        data = open_read(ocd, words[1])
    except TclError:
        ocd.error("Could not open file")
        raise
    length = min(len(data), len(ocd.board.flash) - offset)
    if not length:
        ocd.error("Nothing to compare with flash bank")
        return ""
    if length != len(data):
        ocd.error(_EXCEEDS % ("comparing", length))
    try:
        found = driver_read(ocd, offset, length)
    except TclError:
        ocd.error("Flash read error")
        raise
    out = "read %d bytes from file %s and flash bank 0 at offset 0x%08x%s\n" % (
        length, words[1], offset, bench(time.perf_counter() - began, length),
    )
    if found == data[:length]:
        return out + "contents match\n"
    raise fail(out + "contents differ\n" + differences(found, data[:length], offset))


def _fill(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 3, 3)
    size = {"d": 8, "w": 4, "h": 2, "b": 1}[argv[0][-1]]
    address = number(ocd, words[0], "address", 64)
    pattern = number(ocd, words[1], "pattern", 64)
    count = number(ocd, words[2], "count")
    _need_bank(ocd, address)
    if pattern >> (8 * size):
        raise fail("Fill pattern 0x%x does not fit within %d-byte word\n" % (pattern, size))
    if count == 0:
        return ""
    total = count * size
    if address + total > FLASH_BASE + len(ocd.board.flash):
        ocd.error("Cannot cross flash bank borders")
        raise fail()
    data = ocd.board.pack([pattern], size) * count
    padded, start = _aligned(ocd, data, address, "address", address)
    began = time.perf_counter()
    driver_write(ocd, padded, start - FLASH_BASE)
    back = driver_read(ocd, address - FLASH_BASE, total)
    for index, value in enumerate(ocd.board.unpack(back, size)):
        if value != pattern:
            ocd.error("Verification error address %s, read back 0x%02x, expected 0x%02x"
                      % (address_text(address + index * size), value, pattern))
            raise fail()
    return "wrote %d bytes to %s%s\n" % (
        total, address_text(address), bench(time.perf_counter() - began, total),
    )


COMMANDS = {
    "flash banks": _banks, "flash list": _list, "flash probe": _probe, "flash info": _info,
    "flash erase_check": _erase_check, "flash erase_sector": _erase_sector,
    "flash erase_address": _erase_address, "flash protect": _protect,
    "flash write_bank": _write_bank, "flash read_bank": _read_bank,
    "flash verify_bank": _verify_bank, "flash fillw": _fill, "flash fillh": _fill,
    "flash fillb": _fill, "flash filld": _fill,
}
