"""Breakpoints and watchpoints: `bp`, `rbp`, `wp`, `rwp`.

A hardware breakpoint stops the simulated core when it comes by; a software one
is a BKPT instruction in RAM, which the core does not know and stands still at.
Watchpoints are kept and listed, and nothing ever hits them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List

from ocdargs import number, words_of
from ocdbase import SYNTAX_ERROR, TARGET_NOT_HALTED, OpenOCD, fail
from ocdmemory import address_text, bus_error
from simboard import BusFault
from tclmini import TclError

DUPLICATE = -312
NO_RESOURCE = -308
HARDWARE_BREAKPOINTS = 6
WATCHPOINTS = 4
_BKPT = b"\x11\xbe"
_ACCESS = {"r": (0, "read"), "w": (1, "write"), "a": (2, "access")}


@dataclass
class Breakpoint:
    """One breakpoint; `slot` is its comparator, `original` what a software one replaced."""

    number: int
    address: int
    length: int
    hardware: bool
    slot: int = 0
    original: bytes = b""


@dataclass
class Watchpoint:
    """One watchpoint; `access` 0 read, 1 write, 2 both."""

    number: int
    address: int
    length: int
    access: int
    value: int
    mask: int


def take_number(ocd: OpenOCD) -> int:
    """The next number: breakpoints and watchpoints share them, failed ones use them up."""
    ocd.point_number += 1
    return ocd.point_number - 1


def _refuse(ocd: OpenOCD, kind: str, code: int) -> TclError:
    reason = {NO_RESOURCE: "resource not available", TARGET_NOT_HALTED: "target running"}
    ocd.error("can't add %s%s" % (kind, reason.get(code, "unknown reason")))
    return fail("", code)


def _set_hardware(ocd: OpenOCD, point: Breakpoint) -> int:
    used = {other.slot for other in ocd.breakpoints if other.hardware}
    free = [slot for slot in range(HARDWARE_BREAKPOINTS) if slot not in used]
    if not free:
        ocd.error("[vb.cpu] Can not find free FPB Comparator!")
        return NO_RESOURCE
    if point.address > 0x1FFFFFFF:
        ocd.error("[vb.cpu] Cortex-M Flash Patch Breakpoint rev.1 cannot handle HW breakpoint above"
                  " address 0x1FFFFFFE")
        return -4
    point.slot = free[0]
    ocd.board.stops.add(point.address & ~1)
    return 0


def _set_software(ocd: OpenOCD, point: Breakpoint) -> int:
    where = point.address & 0xFFFFFFFE
    try:
        point.original = ocd.board.read(where, 2, 1)
    except BusFault as fault:
        bus_error(ocd, "read", fault)
        return -107
    try:
        ocd.board.write(where, 2, _BKPT)
    except BusFault as fault:
        bus_error(ocd, "write", fault)
        return -107
    return 0


def _add(ocd: OpenOCD, address: int, length: int, hardware: bool) -> str:
    for other in ocd.breakpoints:
        if other.address == address:
            ocd.error("Duplicate Breakpoint address: %s (BP %d)" % (address_text(address), other.number))
            raise fail("", DUPLICATE)
    point = Breakpoint(take_number(ocd), address, 2 if length == 3 else length, hardware)
    if point.length != 2:
        ocd.error("[vb.cpu] only breakpoints of two bytes length supported")
        raise _refuse(ocd, "breakpoint: ", NO_RESOURCE)
    code = _set_hardware(ocd, point) if hardware else _set_software(ocd, point)
    if code:
        raise _refuse(ocd, "breakpoint: ", code)
    ocd.breakpoints.append(point)
    return "breakpoint set at %s\n" % address_text(address)


def _row_of_head(point: Breakpoint) -> str:
    where = "addr=%s, len=0x%x" % (address_text(point.address), point.length)
    if point.hardware:
        return "Hardware breakpoint(IVA): %s, num=%d\n" % (where, point.slot)
    return "Software breakpoint(IVA): %s, orig_instr=0x%02x\n" % (where, point.original[0])


def _list(ocd: OpenOCD) -> str:
    out = ""
    for point in ocd.breakpoints:
        if ocd.head:
            out += _row_of_head(point)
        elif point.hardware:
            out += "Breakpoint(IVA): %s, 0x%x, %d\n" % (
                address_text(point.address), point.length, point.slot,
            )
        else:
            # OpenOCD takes the length for a number of bits here.
            shown = point.original[0] & ((1 << point.length) - 1)
            out += "IVA breakpoint: %s, 0x%x, 0x%02x\n" % (
                address_text(point.address), point.length, shown,
            )
    return out


def _bp(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 99)
    if not words:
        return _list(ocd)
    if len(words) not in (2, 3, 4):
        raise fail("", SYNTAX_ERROR)
    if len(words) == 2 or (len(words) == 3 and words[2] == "hw"):
        address = number(ocd, words[0], "addr", 64)
        return _add(ocd, address, number(ocd, words[1], "length"), len(words) == 3)
    if len(words) == 3 and words[2] == "hw_ctx":
        address, context = 0, number(ocd, words[0], "asid")
        length = number(ocd, words[1], "length")
    else:
        address = number(ocd, words[0], "addr", 64)
        context = number(ocd, words[1], "asid")
        length = number(ocd, words[2], "length")
    if context == 0:
        return _add(ocd, address, length, True)
    ocd.error("%s breakpoint not available" % ("Hybrid" if address else "Context"))
    raise fail("", NO_RESOURCE)


def _remove(ocd: OpenOCD, point: Breakpoint) -> None:
    if point.hardware:
        ocd.board.stops.discard(point.address & ~1)
    else:
        try:
            ocd.board.write(point.address & 0xFFFFFFFE, 2, point.original)
        except BusFault as fault:
            bus_error(ocd, "write", fault)
    ocd.breakpoints.remove(point)


def _rbp(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 1)
    if words[0] == "all":
        for point in list(ocd.breakpoints):
            _remove(ocd, point)
        return ""
    address = number(ocd, words[0], "addr", 64)
    for point in ocd.breakpoints:
        if point.address == address:
            _remove(ocd, point)
            return ""
    ocd.error("no breakpoint at address %s found" % address_text(address))
    return ""


def _wp_list(ocd: OpenOCD) -> str:
    return "".join(
        "address: %s, len: 0x%08x, r/w/a: %s, value: 0x%08x, mask: 0x%08x\n"
        % (address_text(point.address), point.length, "rwa"[point.access] if ocd.head else point.access,
           point.value, point.mask)
        for point in ocd.watchpoints
    )


def _wp_problem(ocd: OpenOCD, point: Watchpoint) -> int:
    if ocd.state != "halted":
        ocd.error("target vb.cpu is not halted (add watchpoint)")
        return TARGET_NOT_HALTED
    power = point.length in {1 << bits for bits in range(16)}
    if (
        ocd.watchpoint_slots < 1 or point.mask != 0xFFFFFFFF or point.value != 0 or not power
        or point.address & (point.length - 1)
    ):
        return NO_RESOURCE
    return 0


def _wp(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 99)
    if not words:
        return _wp_list(ocd)
    if not 2 <= len(words) <= 5:
        raise fail("", SYNTAX_ERROR)
    mask = number(ocd, words[4], "data_mask") if len(words) > 4 else 0xFFFFFFFF
    value = number(ocd, words[3], "data_value") if len(words) > 3 else 0
    kind = words[2][:1] if len(words) > 2 else "a"
    if kind not in _ACCESS:
        ocd.error("invalid watchpoint mode ('%s')" % kind)
        raise fail("", SYNTAX_ERROR)
    length = number(ocd, words[1], "length")
    address = number(ocd, words[0], "addr", 64)
    access, name = _ACCESS[kind]
    for other in ocd.watchpoints:
        if other.address == address:
            same = (other.length, other.access, other.value, other.mask)
            if same == (length, access, value, mask):
                return ""
            ocd.error("address %s already has watchpoint %d" % (address_text(address), other.number))
            ocd.error("Failure setting watchpoints")
            raise fail()
    point = Watchpoint(take_number(ocd), address, length, access, value, mask)
    code = _wp_problem(ocd, point)
    if code:
        error = _refuse(ocd, "%s watchpoint at %s, " % (name, address_text(address)), code)
        ocd.error("Failure setting watchpoints")
        raise error
    ocd.watchpoint_slots -= 1
    ocd.watchpoints.append(point)
    return ""


def _rwp(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 1)
    address = number(ocd, words[0], "addr", 64)
    for point in ocd.watchpoints:
        if point.address == address:
            if ocd.state == "halted":
                ocd.watchpoint_slots += 1
            else:
                # The watchpoint goes, its comparator stays taken.
                ocd.error("[vb.cpu] target not halted")
            ocd.watchpoints.remove(point)
            return ""
    ocd.error("no watchpoint at address %s found" % address_text(address))
    return ""


COMMANDS = {"bp": _bp, "rbp": _rbp, "wp": _wp, "rwp": _rwp}
