"""Tcl's glob patterns."""

from __future__ import annotations

import re


def glob_match(pattern: str, text: str, nocase: bool = False) -> bool:
    """Tcl's glob matching: * ? [set] and backslash."""
    out = ""
    pos = 0
    while pos < len(pattern):
        char = pattern[pos]
        pos += 1
        if char == "*":
            out += ".*"
        elif char == "?":
            out += "."
        elif char == "[":
            close = pattern.find("]", pos)
            close = len(pattern) if close < 0 else close
            inside = pattern[pos:close].replace("\\", "\\\\")
            out += "[" + inside + "]" if inside else "(?!)"
            pos = close + 1
        elif char == "\\" and pos < len(pattern):
            out += re.escape(pattern[pos])
            pos += 1
        else:
            out += re.escape(char)
    flags = re.S | (re.I if nocase else 0)
    return re.match(out + r"\Z", text, flags) is not None
