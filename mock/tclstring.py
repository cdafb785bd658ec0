"""`string`, `format`, `info` and `regexp` for the small Tcl interpreter."""

from __future__ import annotations

import re
import socket
import time
from typing import Callable, Dict, List

from tclglob import glob_match
from tcllist import index_of
from tclmini import Interp, Proc, TclError, wrong_args
from tclnumber import parse_number, to_int
from tclparse import join_list, parse_script, split_list

_SPACE = " \t\n\r\f\v\0"


def _options(argv: List[str]) -> "tuple[List[str], bool]":
    words = argv[2:]
    nocase = False
    if words and words[0] == "-nocase":
        nocase = True
        words = words[1:]
    return words, nocase


def _first(argv: List[str], backwards: bool) -> str:
    if len(argv) not in (4, 5):
        raise wrong_args(argv[:2], "subString string ?index?")
    text, what = argv[3], argv[2]
    if not what:
        return "-1"
    if backwards:
        end = len(text)
        if len(argv) == 5:
            end = index_of(argv[4], len(text)) + 1
        return str(text.rfind(what, 0, end))
    start = max(0, index_of(argv[4], len(text))) if len(argv) == 5 else 0
    return str(text.find(what, start))


def _map(argv: List[str]) -> str:
    words, nocase = _options(argv)
    if len(words) != 2:
        raise wrong_args(argv[:2], "?-nocase? mapList string")
    pairs = split_list(words[0])
    if len(pairs) % 2:
        raise TclError("list must contain an even number of elements")
    table: Dict[str, str] = {}
    for key, value in zip(pairs[::2], pairs[1::2]):
        if key:
            table.setdefault(key.lower() if nocase else key, value)
    if not table:
        return words[1]
    keys = [key for key in pairs[::2] if key]
    flags = re.S | (re.I if nocase else 0)
    pattern = re.compile("|".join(re.escape(key) for key in keys), flags)
    return pattern.sub(
        lambda match: table[match.group().lower() if nocase else match.group()], words[1]
    )


def _compare(argv: List[str]) -> str:
    words, nocase = _options(argv)
    if len(words) != 2:
        raise wrong_args(argv[:2], "?-nocase? ?-length int? string1 string2")
    a, b = (word.lower() for word in words) if nocase else words
    if argv[1] == "equal":
        return str(int(a == b))
    return str((a > b) - (a < b))


def _trim(argv: List[str]) -> str:
    if len(argv) not in (3, 4):
        raise wrong_args(argv[:2], "string ?trimchars?")
    chars = argv[3] if len(argv) == 4 else _SPACE
    if argv[1] == "trimleft":
        return argv[2].lstrip(chars)
    if argv[1] == "trimright":
        return argv[2].rstrip(chars)
    return argv[2].strip(chars)


def _range(argv: List[str]) -> str:
    if len(argv) != 5:
        raise wrong_args(argv[:2], "string first last")
    text = argv[2]
    first = max(0, index_of(argv[3], len(text)))
    last = min(len(text) - 1, index_of(argv[4], len(text)))
    return text[first:last + 1] if first <= last else ""


_IS: Dict[str, Callable[[str], bool]] = {
    "integer": lambda text: isinstance(parse_number(text), int),
    "double": lambda text: parse_number(text) is not None,
    "digit": lambda text: re.fullmatch(r"[0-9]+", text) is not None,
    "xdigit": lambda text: re.fullmatch(r"[0-9a-fA-F]+", text) is not None,
    "alpha": lambda text: re.fullmatch(r"[A-Za-z]+", text) is not None,
    "alnum": lambda text: re.fullmatch(r"[A-Za-z0-9]+", text) is not None,
    "space": lambda text: re.fullmatch(r"[ \t\n\r\f\v]+", text) is not None,
    "ascii": lambda text: all(char < "\x80" for char in text),
}


def _is(argv: List[str]) -> str:
    strict = len(argv) == 5 and argv[3] == "-strict"
    if len(argv) != (5 if strict else 4):
        raise wrong_args(argv[:2], "class ?-strict? string")
    if argv[2] not in _IS:
        raise TclError('bad class "%s": must be %s' % (argv[2], ", ".join(sorted(_IS))))
    if not argv[-1]:
        return str(int(not strict))
    return str(int(_IS[argv[2]](argv[-1])))


def _string(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "option ?arguments ...?")
    sub = argv[1]
    if sub in ("length", "bytelength"):
        if len(argv) != 3:
            raise wrong_args(argv[:2], "string")
        return str(len(argv[2]))
    if sub in ("equal", "compare"):
        return _compare(argv)
    if sub == "index":
        if len(argv) != 4:
            raise wrong_args(argv[:2], "string index")
        at = index_of(argv[3], len(argv[2]))
        return argv[2][at] if 0 <= at < len(argv[2]) else ""
    if sub == "range":
        return _range(argv)
    if sub == "byterange":
        return _range(argv)
    if sub == "repeat":
        if len(argv) != 4:
            raise wrong_args(argv[:2], "string count")
        return argv[2] * max(0, to_int(argv[3]))
    if sub in ("first", "last"):
        return _first(argv, sub == "last")
    if sub == "map":
        return _map(argv)
    if sub in ("trim", "trimleft", "trimright"):
        return _trim(argv)
    if sub in ("tolower", "toupper", "reverse"):
        if len(argv) != 3:
            raise wrong_args(argv[:2], "string")
        raw = argv[2].encode("latin-1")
        raw = {"tolower": raw.lower, "toupper": raw.upper, "reverse": lambda: raw[::-1]}[sub]()
        return raw.decode("latin-1")
    if sub == "match":
        words, nocase = _options(argv)
        if len(words) != 2:
            raise wrong_args(argv[:2], "?-nocase? pattern string")
        return str(int(glob_match(words[0], words[1], nocase)))
    if sub == "is":
        return _is(argv)
    if sub == "cat":
        return "".join(argv[2:])
    raise TclError('bad option "%s": must be %s' % (sub, _STRING_SUBS))


_STRING_SUBS = (
    "bytelength, byterange, cat, compare, equal, first, index, is, last, length, map, match, "
    "range, repeat, replace, reverse, tolower, totitle, toupper, trim, trimleft, or trimright"
)
_RE_FORMAT = re.compile(r"%(?:(\d+)\$)?([-+ 0#]*)(\*|\d+)?(?:\.(\*|\d+))?(ll|l|h)?(.)?", re.S)


def _format_one(flags: str, width: str, precision: str, size: str, kind: str, value: str) -> str:
    spec = "%" + flags + width + ("." + precision if precision else "")
    if kind in "dixXou":
        number = to_int(value)
        if kind == "u" or (kind in "xXo" and number < 0):
            number &= 0xFFFF if size == "h" else 0xFFFFFFFFFFFFFFFF
        return (spec + ("d" if kind == "u" else kind)) % number
    if kind == "b":
        body = bin(to_int(value) & 0xFFFFFFFFFFFFFFFF)[2:]
        return body.rjust(int(width or 0), "0" if "0" in flags else " ")
    if kind == "c":
        return (spec + "s") % chr(to_int(value) & 0xFF)
    if kind in "eEfFgG":
        number = parse_number(value)
        if number is None:
            raise TclError('expected floating-point number but got "%s"' % value)
        return (spec + kind) % float(number)
    if kind == "s":
        return (spec + "s") % value
    raise TclError('bad field specifier "%s"' % kind)


def _format(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "formatString ?arg arg ...?")
    values = argv[2:]
    used = 0
    text, out, pos = argv[1], [], 0

    def take() -> str:
        nonlocal used
        if used >= len(values):
            raise TclError("not enough arguments for all format specifiers")
        used += 1
        return values[used - 1]

    while True:
        at = text.find("%", pos)
        if at < 0:
            out.append(text[pos:])
            return "".join(out)
        out.append(text[pos:at])
        match = _RE_FORMAT.match(text, at)
        if match is None or match.group(6) is None:
            raise TclError("format string ended in middle of field specifier")
        pos = match.end()
        position, flags, width, precision, size, kind = match.groups()
        if kind == "%" and at + 2 == pos:
            out.append("%")
            continue
        if position:
            used = int(position) - 1
        width = take() if width == "*" else width or ""
        precision = take() if precision == "*" else precision or ""
        out.append(_format_one(flags, width, precision, size or "", kind, take()))


_INFO_USAGE = {"exists": "varName", "body": "procname", "args": "procname", "level": "?levelNum?"}


def _info(interp: Interp, argv: List[str]) -> str:
    sub = argv[1] if len(argv) > 1 else ""
    if sub == "exists" and len(argv) == 3:
        return str(int(interp.find_var(argv[2]) is not None))
    if sub in ("commands", "procs") and len(argv) in (2, 3):
        names = [
            name for name, command in interp.commands.items()
            if sub == "commands" or isinstance(command, Proc)
        ]
        if len(argv) == 3:
            names = [name for name in names if glob_match(argv[2], name)]
        return join_list(names)
    if sub in ("vars", "globals", "locals") and len(argv) in (2, 3):
        frame = interp.top if sub == "globals" else interp.frame
        names = [name for name in frame.vars if len(argv) == 2 or glob_match(argv[2], name)]
        return join_list(names)
    if sub in ("body", "args") and len(argv) == 3:
        command = interp.commands.get(argv[2])
        if command is None:
            raise TclError('invalid command name "%s"' % argv[2])
        if not isinstance(command, Proc):
            raise TclError('command "%s" is not a procedure' % argv[2])
        return command.body if sub == "body" else command.args
    if sub == "level" and len(argv) == 2:
        return str(interp.frame.level)
    if sub == "level" and len(argv) == 3:
        level = argv[2]
        frame = interp.frame_at("#" + level if not level.startswith("-") else level[1:])
        return join_list(frame.argv)
    if sub == "stacktrace" and len(argv) == 2:
        return join_list(interp.stack_trace)
    if sub == "complete" and len(argv) == 3:
        return str(int(parse_script(argv[2]).missing is None))
    if sub == "version":
        return "0.81"
    if sub == "patchlevel":
        return "0.81"
    if sub == "script":
        return interp.place()[0]
    if sub == "hostname":
        return socket.gethostname()
    if sub in ("exists", "commands", "procs", "body", "args", "level"):
        raise wrong_args(argv[:2], _INFO_USAGE.get(sub, "?pattern?"))
    raise TclError(
        'bad subcommand "%s": must be alias, args, body, channels, commands, complete, exists, frame,'
        " globals, hostname, level, locals, nameofexecutable, patchlevel, procs, references,"
        " returncodes, script, source, stacktrace, statics, vars, or version" % sub
    )


def _exists(interp: Interp, argv: List[str]) -> str:
    if len(argv) == 2:
        return str(int(interp.find_var(argv[1]) is not None))
    if len(argv) != 3 or argv[1] not in ("-var", "-command", "-proc", "-alias"):
        raise wrong_args(argv[:1], "?option? name")
    command = interp.commands.get(argv[2])
    if argv[1] == "-var":
        return str(int(interp.find_var(argv[2]) is not None))
    if argv[1] == "-proc":
        return str(int(isinstance(command, Proc)))
    return str(int(argv[1] == "-command" and command is not None))


def _regexp(interp: Interp, argv: List[str]) -> str:
    words = argv[1:]
    flags = 0
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--":
            break
        if option == "-nocase":
            flags |= re.I
        else:
            raise TclError('bad switch "%s"' % option)
    if len(words) < 2:
        raise wrong_args(argv[:1], "?-switch ...? exp string ?matchVar? ?subMatchVar ...?")
    try:
        match = re.search(words[0], words[1], flags)
    except re.error as problem:
        raise TclError("couldn't compile regular expression pattern: %s" % problem) from None
    if match is None:
        return "0"
    for position, name in enumerate(words[2:]):
        found = match.group(position) if position <= match.re.groups else ""
        interp.set_var(name, found or "")
    return "1"


def _regsub(interp: Interp, argv: List[str]) -> str:
    words = argv[1:]
    flags, count = 0, 1
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option == "--":
            break
        if option == "-all":
            count = 0
        elif option == "-nocase":
            flags = re.I
        else:
            raise TclError('bad switch "%s"' % option)
    if len(words) not in (3, 4):
        raise wrong_args(argv[:1], "?-switch ...? exp string subSpec ?varName?")
    target = re.sub(r"\\([0-9&\\])|&", _substitution, words[2])
    try:
        text, hits = re.subn(words[0], target, words[1], count, flags)
    except re.error as problem:
        raise TclError("couldn't compile regular expression pattern: %s" % problem) from None
    if len(words) == 3:
        return text
    interp.set_var(words[3], text)
    return str(hits)


def _substitution(match: "re.Match[str]") -> str:
    """A Tcl substitution mark as Python's `re` writes it."""
    mark = match.group(1)
    if mark is None:
        return r"\g<0>"
    return r"\g<%s>" % mark if mark.isdigit() else re.escape(mark)


def _clock(interp: Interp, argv: List[str]) -> str:
    """`clock milliseconds|seconds|microseconds`."""
    scale = {"seconds": 1, "milliseconds": 1000, "microseconds": 1000000, "clicks": 1000000}
    if len(argv) < 2 or argv[1] not in scale:
        raise TclError(
            'clock, unknown command "%s": should be clicks, format, microseconds, milliseconds, scan,'
            " seconds" % (argv[1] if len(argv) > 1 else "")
        )
    return str(int(time.time() * scale[argv[1]]))


COMMANDS = {
    "string": _string, "format": _format, "info": _info, "exists": _exists,
    "regexp": _regexp, "regsub": _regsub, "clock": _clock,
}
