"""`read_memory`, `write_memory` and their forms with a target's name."""

from __future__ import annotations

from typing import List

from ocdbase import OpenOCD, cut, fail
from simboard import BusFault
from tclmini import TclError, wrong_args
from tclnumber import parse_int, to_int
from tclparse import split_list

_WIDTHS = (8, 16, 32, 64)
_CHUNK = 4096
_M64 = (1 << 64) - 1


def address_text(address: int) -> str:
    """An address as OpenOCD prints it."""
    return "0x%08x" % address


def _physical(argv: List[str]) -> bool:
    if len(argv) == 4:
        return False
    word = cut(argv[4])
    if word != "phys":
        raise TclError("invalid argument '%s', must be 'phys'" % word)
    return True


def _refused(ocd: OpenOCD, width: int) -> bool:
    board = ocd.board
    return width in board.refused_widths or (width == 64 and not board.width64)


def bus_error(ocd: OpenOCD, verb: str, fault: BusFault) -> None:
    """Log what the debug port's driver says of a refused access."""
    ocd.error("JTAG-DP STICKY ERROR")
    ocd.error("Failed to %s memory at %s" % (verb, address_text(fault.address)))


def _read(ocd: OpenOCD, argv: List[str]) -> str:
    if not 4 <= len(argv) <= 5:
        raise wrong_args(argv[:1], "address width count ['phys']")
    address = to_int(argv[1]) & _M64
    width, count = to_int(argv[2]), to_int(argv[3]) & _M64
    _physical(argv)
    if width not in _WIDTHS:
        raise TclError("invalid width, must be 8, 16, 32 or 64")
    size = width // 8
    if ((address + count * size) & _M64) < address:
        raise TclError("read_memory: addr + count wraps to zero")
    if count > 65536:
        raise TclError("read_memory: too large read request, exeeds 64K elements")
    if count == 0 and ocd.head:
        raise fail("read_memory: count must be greater than zero")
    out: List[str] = []
    while count > 0:
        part = min(count, _CHUNK // size)
        try:
            if _refused(ocd, width):
                raise TclError("")
            data = ocd.board.read(address, size, part)
        except (BusFault, TclError) as problem:
            if isinstance(problem, BusFault):
                bus_error(ocd, "read", problem)
            ocd.error(
                "read_memory: read at %s with width=%d and count=%d failed"
                % (address_text(address), width, part)
            )
            if ocd.head:
                # Behind what was read before, without a blank.
                raise fail(" ".join(out) + "failed to read memory") from None
            raise TclError("read_memory: failed to read memory") from None
        out.append(" ".join(["0x%x" % value for value in ocd.board.unpack(data, size)]))
        count -= part
        address += part * size
    return " ".join(out)


def _elements(words: List[str], start: int) -> "tuple[List[int], str]":
    """Values of list elements; a bad one repeats the one before, as 0.12 does."""
    values: List[int] = []
    complaint = ""
    last = start
    for word in words:
        number = parse_int(word)
        if number is None:
            complaint = 'expected integer but got "%s"' % word
        else:
            last = number
        values.append(last)
    return values, complaint


def _write(ocd: OpenOCD, argv: List[str]) -> str:
    if not 4 <= len(argv) <= 5:
        raise wrong_args(argv[:1], "address width data ['phys']")
    address = to_int(argv[1]) & _M64
    width = to_int(argv[2])
    words = split_list(argv[3])
    _physical(argv)
    if width not in _WIDTHS:
        raise TclError("invalid width, must be 8, 16, 32 or 64")
    size = width // 8
    if ((address + len(words) * size) & _M64) < address:
        raise TclError("write_memory: addr + len wraps to zero")
    if len(words) > 65536:
        raise TclError("write_memory: too large memory write request, exceeds 64K elements")
    complaint = ""
    last = 0
    step = _CHUNK // size
    for start in range(0, len(words), step):
        values, problem = _elements(words[start:start + step], last)
        complaint = problem or complaint
        last = values[-1]
        try:
            if _refused(ocd, width):
                raise TclError("")
            ocd.board.write(address, size, ocd.board.pack(values, size))
        except (BusFault, TclError) as failure:
            if isinstance(failure, BusFault):
                bus_error(ocd, "write", failure)
            ocd.error(
                "write_memory: write at %s with width=%d and count=%d failed"
                % (address_text(address), width, len(values))
            )
            raise TclError("write_memory: failed to write memory") from None
        address += len(values) * size
    return complaint


COMMANDS = {
    "read_memory": _read, "write_memory": _write,
    "vb.cpu read_memory": _read, "vb.cpu write_memory": _write,
}
