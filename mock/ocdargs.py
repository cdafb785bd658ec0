"""Arguments of OpenOCD commands, read and refused the way OpenOCD 0.12.0 does it."""

from __future__ import annotations

import re
from typing import List, Optional

from ocdbase import (
    ARGUMENT_INVALID,
    ARGUMENT_OVERFLOW,
    SYNTAX_ERROR,
    OpenOCD,
    cut,
    fail,
)

_RE_NUMBER = re.compile(r"[ \t\n\r\f\v]*([-+]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*))\Z")
_BOOLEANS = {
    "on": True, "off": False, "enable": True, "disable": False, "true": True,
    "false": False, "yes": True, "no": False, "1": True, "0": False,
}


def words_of(argv: List[str], least: int, most: int) -> List[str]:
    """The arguments as C strings; a syntax error unless there are `least` to `most`."""
    words = [cut(word) for word in argv[1:]]
    if not least <= len(words) <= most:
        raise fail("", SYNTAX_ERROR)
    return words


def parse(text: str, bits: int) -> "tuple[Optional[int], int]":
    """(value, 0) or (None, error code) of an unsigned number as strtoull(..., 0) reads it."""
    match = _RE_NUMBER.match(text)
    if match is None:
        return None, ARGUMENT_INVALID
    sign, hexa, octal, decimal = match.groups()
    if hexa is not None:
        value = int(hexa, 16)
    elif octal is not None:
        value = int(octal, 8) if octal else 0
    else:
        value = int(decimal)
    if value >= 1 << 64:
        return None, ARGUMENT_INVALID
    if sign == "-":
        value = -value % (1 << 64)
    if value >= 1 << bits:
        return None, ARGUMENT_OVERFLOW
    return value, 0


def number(ocd: OpenOCD, text: str, name: str, bits: int = 32) -> int:
    """An unsigned number; `name` is how OpenOCD calls the argument in its complaint."""
    value, code = parse(text, bits)
    if value is not None:
        return value
    if code == ARGUMENT_INVALID:
        ocd.error("Invalid command argument")
    raise fail("%s option value ('%s') is not valid\n" % (name, text), code)


def on_off(text: str) -> bool:
    """A word that must be `on` or `off` or one of their kin."""
    value = _BOOLEANS.get(text)
    if value is None:
        raise fail("", SYNTAX_ERROR)
    return value


def seconds(elapsed: float) -> str:
    """` in 0.001000s`."""
    return " in %fs" % elapsed


def bench(elapsed: float, count: int) -> str:
    """` in 0.001000s (12.345 KiB/s)`."""
    if elapsed < 0.5e-6 and not count:
        return " in %fs (-nan KiB/s)" % 0.0
    rate = count / (max(elapsed, 1e-6) * 1024.0)
    return " in %fs (%0.3f KiB/s)" % (elapsed, rate)
