"""Parsing of Tcl scripts and lists the way Jim Tcl 0.81 (not UTF-8) does it.

All text is `str` holding one byte per character (Latin-1), so that binary data
passes unharmed.  A script becomes a `Script`: a list of commands, each a list
of words.  A word is a plain `str` when nothing in it is to be substituted,
otherwise a tuple whose first item is one of the W_ constants below.
"""

from __future__ import annotations

import re
from typing import List, Optional, Tuple, Union

W_VAR = 1  # (W_VAR, name)
W_ELEM = 2  # (W_ELEM, name, index word)
W_CMD = 3  # (W_CMD, script text)
W_EXPR = 4  # (W_EXPR, expression text): $(...)
W_JOIN = 5  # (W_JOIN, [words]): the words' values one after the other
W_EXPAND = 6  # (W_EXPAND, word): {*}

Word = Union[str, tuple]

_SPACE = " \t\r\f\v\n"
_RE_SEP = re.compile(r"(?:[ \t\r\f\v]|\\\n)+")
_RE_EOL = re.compile(r"[ \t\r\f\v\n;]+")
_RE_COMMENT = re.compile(r"#(?:[^\\\n]|\\.)*(\n|\\\Z|\Z)", re.S)
_RE_BARE = re.compile(r"[^\\$\[ \t\n\r\f;]+")
_RE_QUOTED = re.compile(r'[^"\\$\[]*(?:\\.[^"\\$\[]*)*', re.S)
_RE_QUOTED_NOSUBST = re.compile(r"[^\\$\[]*(?:\\.[^\\$\[]*)*", re.S)
_RE_BRACE = re.compile(r"[\\{}]")
_RE_SUBCMD = re.compile(r'[\\\[\]"{]')
_RE_SUBQUOTE = re.compile(r'[\\"\[]')
_RE_NAME = re.compile(r"(?:::+|[A-Za-z0-9_\x80-\xff])*")
_RE_ESCAPE = re.compile(
    r"\\(?:x[0-9a-fA-F]{1,2}|u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{1,4}|"
    r"U[0-9a-fA-F]{1,8}|[0-7]{1,3}|\n[ \t]*|.|\Z)",
    re.S,
)
_SIMPLE_ESCAPES = {
    "\\a": "\a", "\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r",
    "\\t": "\t", "\\v": "\v", "\\": "\\", "\\\0": "\\", "\\\\": "\\",
    "\\x1a": "\x1a", "\\x00": "\0", '\\"': '"', "\\[": "[", "\\$": "$",
}


class TclError(Exception):
    """A command that ended with a code other than OK (1: an error), and its result text."""

    def __init__(self, result: str = "", code: int = 1) -> None:
        super().__init__(result, code)
        self.result = result
        self.code = code


class Src(str):
    """A literal that remembers the file and line it was read from, for -errorinfo."""

    __slots__ = ("file", "line")

    file: str
    line: int


def make_src(text: str, file: str, line: int) -> str:
    """`text` as a `Src`, or unchanged when place is the default (no file, line 1)."""
    if not file and line == 1:
        return text
    src = Src(text)
    src.file = file
    src.line = line
    return src


class Script:
    """A parsed script.  `missing` is the complaint when it is not complete."""

    __slots__ = ("text", "file", "line", "cmds", "missing", "missing_at")

    def __init__(self, text: str, file: str, line: int) -> None:
        self.text = text
        self.file = file
        self.line = line
        self.cmds: List[Tuple[int, List[Word]]] = []
        self.missing: Optional[str] = None
        self.missing_at = 0

    def line_at(self, offset: int) -> int:
        """Line number of a character offset."""
        return self.line + self.text.count("\n", 0, offset)


class _Missing(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


def _escape(match: "re.Match[str]") -> str:
    text = match.group()
    simple = _SIMPLE_ESCAPES.get(text)
    if simple is not None:
        return simple
    kind = text[1]
    if kind == "x" and len(text) > 2:
        return chr(int(text[2:], 16))
    if kind in "uU" and len(text) > 2:
        code = int(text[2:].strip("{}"), 16)
        if code > 0x1FFFFF or (code > 0x10FFFF and text[2] == "{"):
            return text[1:]
        return _utf8(code)
    if kind in "01234567":
        return chr(int(text[1:], 8) & 0xFF)
    if kind == "\n":
        return " "
    return text[1:]


def _utf8(code: int) -> str:
    if code > 0x10FFFF:
        code = 0xFFFD
    return chr(code).encode("utf-8", "surrogatepass").decode("latin-1")


def unescape(text: str) -> str:
    """Replace backslash sequences as in a bare or quoted word."""
    if "\\" not in text:
        return text
    return _RE_ESCAPE.sub(_escape, text)


def _brace_end(text: str, pos: int, at: int) -> int:
    """Offset of the brace that closes the one just before `pos`."""
    level = 1
    search = _RE_BRACE.search
    while True:
        match = search(text, pos)
        if match is None:
            raise _Missing("missing close-brace", at)
        pos = match.end()
        char = match.group()
        if char == "\\":
            pos += 1
        elif char == "{":
            level += 1
        else:
            level -= 1
            if level == 0:
                return pos - 1


def _quote_end(text: str, pos: int, at: int) -> int:
    """Offset after the quote that closes the one just before `pos`."""
    while True:
        match = _RE_SUBQUOTE.search(text, pos)
        if match is None:
            raise _Missing("missing quote", at)
        pos = match.end()
        char = match.group()
        if char == "\\":
            pos += 1
        elif char == '"':
            return pos
        else:
            try:
                pos = _cmd_end(text, pos, at) + 1
            except _Missing:
                raise _Missing("missing quote", at) from None


def _cmd_end(text: str, start: int, at: int) -> int:
    """Offset of the bracket that closes the one just before `start`."""
    pos = start
    level = 1
    # Where a quote would start a word although no blank precedes it.
    wordstart = start
    while True:
        match = _RE_SUBCMD.search(text, pos)
        if match is None:
            raise _Missing('unmatched "["', at)
        here = match.start()
        pos = here + 1
        char = match.group()
        if char == "\\":
            pos += 1
        elif char == "[":
            level += 1
        elif char == "]":
            level -= 1
            if level == 0:
                return here
        elif char == "{":
            try:
                pos = _brace_end(text, pos, at) + 1
            except _Missing:
                raise _Missing('unmatched "["', at) from None
        elif here == wordstart or text[here - 1] in _SPACE:
            pos = _quote_end(text, pos, at)
            wordstart = pos


def _elem_end(text: str, pos: int) -> int:
    """Offset after the parenthesis that closes the one at `pos`, as Jim looks for it."""
    count = 1
    paren = -1
    end = len(text)
    while count and pos < end:
        pos += 1
        char = text[pos:pos + 1]
        if char == "\\" and pos < end:
            pos += 1
        elif char == "(":
            count += 1
        elif char == ")":
            paren = pos
            count -= 1
    if count == 0:
        return pos + 1
    return paren + 1 if paren >= 0 else end


class Parser:
    """One pass over one script; see `parse_script`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.text = script.text
        self.pos = 0
        self.extra: Optional[int] = None

    def run(self) -> None:
        """Fill `script.cmds`."""
        text, end = self.text, len(self.text)
        try:
            while self.pos < end:
                match = _RE_EOL.match(text, self.pos)
                if match:
                    self.pos = match.end()
                    continue
                match = _RE_SEP.match(text, self.pos)
                if match:
                    self.pos = match.end()
                    continue
                if text[self.pos] == "#":
                    match = _RE_COMMENT.match(text, self.pos)
                    assert match is not None
                    self.pos = match.end()
                    continue
                self._command()
        except _Missing as missing:
            self.script.missing = missing.message
            self.script.missing_at = missing.at
            return
        if self.extra is not None:
            self.script.missing = "extra characters after close-brace"
            self.script.missing_at = self.extra

    def _command(self) -> None:
        text, end = self.text, len(self.text)
        start = self.pos
        words: List[Word] = []
        while self.pos < end:
            char = text[self.pos]
            if char == "\n" or char == ";":
                break
            match = _RE_SEP.match(text, self.pos)
            if match:
                self.pos = match.end()
                continue
            words.append(self._word())
        if words:
            self.script.cmds.append((start, words))

    def _literal(self, text: str, at: int) -> str:
        script = self.script
        if script.file or script.line != 1 or "\n" in script.text:
            return make_src(text, script.file, script.line_at(at))
        return text

    def _word(self) -> Word:
        text, end, start = self.text, len(self.text), self.pos
        if text[start] == "{":
            close = _brace_end(text, start + 1, start)
            self.pos = close + 1
            body = text[start + 1:close]
            if self._at_word_end():
                return self._literal(body, start)
            if body in ("*", "expand"):
                return (W_EXPAND, self._word())
            if self.extra is None:
                self.extra = self.pos
            self._word()
            return body
        parts: List[Word] = []
        if text[start] == '"':
            self.pos += 1
            self._quoted(parts, start)
        while self.pos < end:
            char = text[self.pos]
            if char in " \t\n\r\f;":
                break
            if char == "\\" and text.startswith("\n", self.pos + 1):
                break
            self._part(parts, _RE_BARE)
        return self._finish(parts, start)

    def _at_word_end(self) -> bool:
        char = self.text[self.pos:self.pos + 1]
        return char in ("", " ", "\t", "\r", "\f", "\n", ";") or (
            char == "\\" and self.text.startswith("\n", self.pos + 1)
        )

    def _quoted(self, parts: List[Word], at: int) -> None:
        text, end = self.text, len(self.text)
        while True:
            match = _RE_QUOTED.match(text, self.pos)
            assert match is not None
            if match.end() > self.pos:
                parts.append(unescape(match.group()))
                self.pos = match.end()
            if self.pos >= end or (text[self.pos] == "\\" and self.pos + 1 >= end):
                raise _Missing("missing quote", at)
            if text[self.pos] == '"':
                self.pos += 1
                if not parts:
                    parts.append("")
                return
            self._part(parts, _RE_QUOTED)

    def _part(self, parts: List[Word], plain: "re.Pattern[str]") -> None:
        text, pos = self.text, self.pos
        char = text[pos]
        if char == "$":
            parts.append(self._variable())
        elif char == "[":
            close = _cmd_end(text, pos + 1, pos)
            self.pos = close + 1
            parts.append((W_CMD, self._literal(text[pos + 1:close], pos)))
        elif char == "\\":
            match = _RE_ESCAPE.match(text, pos)
            assert match is not None
            parts.append(_escape(match))
            self.pos = match.end()
        else:
            match = plain.match(text, pos)
            assert match is not None
            parts.append(match.group())
            self.pos = match.end()

    def _variable(self) -> Word:
        text = self.text
        pos = self.pos + 1
        if text.startswith("{", pos):
            close = text.find("}", pos)
            if close < 0:
                self.pos = len(text)
                return (W_VAR, text[pos + 1:])
            self.pos = close + 1
            return (W_VAR, text[pos + 1:close])
        match = _RE_NAME.match(text, pos)
        assert match is not None
        after = match.end()
        if text.startswith("(", after):
            stop = _elem_end(text, after)
            self.pos = stop
            if after == pos:
                return (W_EXPR, text[pos + 1:stop - 1])
            inner = text[after + 1:stop - 1] if text[stop - 1] == ")" else text[after + 1:stop]
            return (W_ELEM, match.group(), parse_subst(inner))
        self.pos = after
        if after == pos:
            return "$"
        return (W_VAR, match.group())

    def _finish(self, parts: List[Word], at: int) -> Word:
        if len(parts) == 1:
            only = parts[0]
            return self._literal(only, at) if isinstance(only, str) else only
        if all(isinstance(part, str) for part in parts):
            return self._literal("".join(parts), at)  # type: ignore[arg-type]
        return (W_JOIN, parts)


def parse_script(text: str, file: str = "", line: int = 1) -> Script:
    """Parse `text`.  Never raises: an incomplete script has `missing` set."""
    script = Script(text, file, line)
    Parser(script).run()
    return script


def parse_subst(text: str) -> Word:
    """`text` as the inside of a quoted word, for `subst` and array indices."""
    parser = Parser(Script(text, "", 1))
    parts: List[Word] = []
    end = len(text)
    while parser.pos < end:
        match = _RE_QUOTED_NOSUBST.match(text, parser.pos)
        if match and match.end() > parser.pos:
            parts.append(unescape(match.group()))
            parser.pos = match.end()
        if parser.pos < end:
            try:
                parser._part(parts, _RE_QUOTED_NOSUBST)
            except _Missing:
                # Jim substitutes what it has; the rest goes through as it is.
                parts.append(text[parser.pos:])
                break
    if not parts:
        return ""
    return parser._finish(parts, 0)


# --- lists -----------------------------------------------------------------

_RE_LIST_PLAIN = re.compile(r'[^\\"{}]*')
_RE_LIST_WORD = re.compile(r"[^ \t\r\f\v\n\\]*(?:\\.?[^ \t\r\f\v\n\\]*)*", re.S)
_RE_LIST_SPACE = re.compile(r"[ \t\r\f\v\n]*")
_RE_LIST_QUOTED = re.compile(r'[^"\\]*(?:\\.?[^"\\]*)*', re.S)
_RE_SPLIT = re.compile(r"[ \t\r\f\v\n]+")
_RE_SIMPLE = re.compile(r'[^ $"\[\];\\\r\n\t\f\v{}]+\Z')
_RE_NEEDS_BRACE = re.compile(r'[ $"\[\];\\\r\n\t\f\v]')
_RE_QUOTE = re.compile(r'[ $"\[\]{};\\\n\r\t\f\v]')
_QUOTE_NAMES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\f": "\\f", "\v": "\\v"}


def split_list(text: str) -> List[str]:
    """The elements of a Tcl list.  Jim takes any string; nothing is an error."""
    if "\\" not in text and '"' not in text and "{" not in text:
        return [item for item in _RE_SPLIT.split(text) if item]
    items: List[str] = []
    pos, end = 0, len(text)
    while True:
        match = _RE_LIST_SPACE.match(text, pos)
        pos = match.end() if match else pos
        if pos >= end:
            return items
        char = text[pos]
        if char == "{":
            try:
                close = _brace_end(text, pos + 1, pos)
            except _Missing:
                close = end
            items.append(text[pos + 1:close])
            pos = close + 1
            continue
        if char == '"':
            match = _RE_LIST_QUOTED.match(text, pos + 1)
            assert match is not None
            pos = match.end() + 1
        else:
            match = _RE_LIST_WORD.match(text, pos)
            assert match is not None
            pos = match.end()
        items.append(unescape(match.group()))


def _needs_backslashes(item: str) -> bool:
    if item.endswith("\\"):
        return True
    level = brackets = 0
    pos, end = 0, len(item)
    while pos < end:
        char = item[pos]
        if char == "{":
            level += 1
        elif char == "}":
            level -= 1
            if level < 0:
                return True
        elif char == "[":
            brackets += 1
        elif char == "]":
            brackets -= 1
        elif char == "\\":
            following = item[pos + 1:pos + 2]
            if following == "\n":
                return True
            if following != "\0":
                pos += 1
        pos += 1
    return level != 0 or brackets < 0


def quote_element(item: str, first: bool = False) -> str:
    """`item` as one element of a list's text."""
    if not item:
        return "{}"
    if _RE_SIMPLE.match(item):
        return "{" + item + "}" if first and item[0] == "#" else item
    if _needs_backslashes(item):
        quoted = _RE_QUOTE.sub(lambda m: _QUOTE_NAMES.get(m.group(), "\\" + m.group()), item)
        return "\\" + quoted if first and item[0] == "#" else quoted
    if item[0] in '"{' or _RE_NEEDS_BRACE.search(item) or (first and item[0] == "#"):
        return "{" + item + "}"
    return item


def join_list(items: List[str]) -> str:
    """The text of a Tcl list with these elements."""
    if not items:
        return ""
    out = [item if _RE_SIMPLE.match(item) else quote_element(item) for item in items]
    if items[0][:1] == "#":
        out[0] = quote_element(items[0], True)
    return " ".join(out)
