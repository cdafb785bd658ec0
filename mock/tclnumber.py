"""Tcl's numbers: reading them from text and writing them back as Jim does."""

from __future__ import annotations

import math
import re
from typing import Optional, Union

from tclparse import TclError

_RE_INT = re.compile(
    r"[ \t\r\f\v\n]*([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|0[dD]([0-9]+)|([0-9]+))"
    r"[ \t\r\f\v\n]*\Z"
)
_RE_DOUBLE = re.compile(
    r"[ \t\r\f\v\n]*[-+]?(?:[0-9]+\.?[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|inf|nan)"
    r"[ \t\r\f\v\n]*\Z",
    re.I,
)


def wrap64(value: int) -> int:
    """`value` as a signed 64-bit integer."""
    if -(1 << 63) <= value < (1 << 63):
        return value
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def parse_int(text: str) -> Optional[int]:
    """The integer that `text` is, or None.  Values past 64 bits saturate like strtoull."""
    match = _RE_INT.match(text)
    if match is None:
        return None
    sign, hexa, octal, binary, decimal, plain = match.groups()
    if plain is not None:
        value = int(plain)
    elif hexa is not None:
        value = int(hexa, 16)
    elif octal is not None:
        value = int(octal, 8)
    elif binary is not None:
        value = int(binary, 2)
    else:
        value = int(decimal)
    if value >= 1 << 64:
        return None
    return wrap64(-value if sign == "-" else value)


def to_int(text: str) -> int:
    """The integer that `text` is; TclError in Jim's words when it is none."""
    value = parse_int(text)
    if value is None:
        raise TclError('expected integer but got "%s"' % text)
    return value


def to_int_expression(text: str) -> int:
    """As `to_int`, in the words of commands that would take an expression as well."""
    value = parse_int(text)
    if value is None:
        raise TclError('expected integer expression but got "%s"' % text)
    return value


def parse_number(text: str) -> Union[int, float, None]:
    """The integer or floating-point number that `text` is, or None."""
    value = parse_int(text)
    if value is not None:
        return value
    if _RE_DOUBLE.match(text):
        return float(text)
    return None


def format_double(value: float) -> str:
    """A double as Jim prints it: %.12g, with `.0` when it would look like an integer."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "-Inf" if value < 0 else "Inf"
    text = "%.12g" % value
    if "." not in text and "e" not in text:
        text += ".0"
    return text


def format_number(value: Union[int, float]) -> str:
    """An integer or a double as text."""
    return str(value) if isinstance(value, int) else format_double(value)
