"""List commands for the small Tcl interpreter."""

from __future__ import annotations

import re
from typing import Callable, Dict, List

from tclcore import concat
from tclmini import Interp, TclError, wrong_args
from tclglob import glob_match
from tclnumber import parse_int, to_int
from tclparse import join_list, split_list

_RE_INDEX = re.compile(r"(end|-?(?:0[xX][0-9a-fA-F]+|[0-9]+))(?:([-+])(-?[0-9]+))?\Z")


def index_of(text: str, length: int) -> int:
    """The position that an index (`3`, `end`, `end-1`, `1+2`) names; may be out of range."""
    plain = parse_int(text)
    if plain is not None:
        return plain
    match = _RE_INDEX.match(text)
    if match is None:
        raise TclError(
            'bad index "%s": must be intexpr or end?[+-]intexpr?' % text
        )
    base = length - 1 if match.group(1) == "end" else int(match.group(1), 0)
    if match.group(2):
        step = int(match.group(3))
        base += step if match.group(2) == "+" else -step
    return base


def _list(interp: Interp, argv: List[str]) -> str:
    return join_list(argv[1:])


def _lindex(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "list ?index ...?")
    value = argv[1]
    for index in argv[2:]:
        items = split_list(value)
        at = index_of(index, len(items))
        if not 0 <= at < len(items):
            return ""
        value = items[at]
    return value


def _llength(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 2:
        raise wrong_args(argv[:1], "list")
    return str(len(split_list(argv[1])))


def _lappend(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "varName ?value value ...?")
    items = split_list(interp.find_var(argv[1]) or "")
    return interp.set_var(argv[1], join_list(items + argv[2:]))


def _lrange(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 4:
        raise wrong_args(argv[:1], "list first last")
    items = split_list(argv[1])
    first = max(0, index_of(argv[2], len(items)))
    last = min(len(items) - 1, index_of(argv[3], len(items)))
    return join_list(items[first:last + 1] if first <= last else [])


def _concat(interp: Interp, argv: List[str]) -> str:
    return concat(argv[1:])


def _join(interp: Interp, argv: List[str]) -> str:
    if len(argv) not in (2, 3):
        raise wrong_args(argv[:1], "list ?joinString?")
    return (argv[2] if len(argv) == 3 else " ").join(split_list(argv[1]))


def _split(interp: Interp, argv: List[str]) -> str:
    if len(argv) not in (2, 3):
        raise wrong_args(argv[:1], "string ?splitChars?")
    if not argv[1]:
        return ""
    chars = argv[2] if len(argv) == 3 else " \n\t\r"
    if not chars:
        return join_list(list(argv[1]))
    return join_list(re.split("[" + re.escape(chars) + "]", argv[1]))


def _lreverse(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 2:
        raise wrong_args(argv[:1], "list")
    return join_list(split_list(argv[1])[::-1])


def _lrepeat(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "count ?value ...?")
    return join_list(argv[2:] * max(0, to_int(argv[1])))


def _lsearch(interp: Interp, argv: List[str]) -> str:
    words = argv[1:]
    exact = glob = False
    while len(words) > 2 and words[0].startswith("-"):
        exact = exact or words[0] == "-exact"
        glob = glob or words[0] == "-glob"
        words = words[1:]
    if len(words) != 2:
        raise wrong_args(
            argv[:1],
            "?-exact|-glob|-regexp|-command 'command'? ?-bool|-inline? ?-not? ?-nocase? ?-all? ?-stride len? ?-index val?"
            " list value",
        )
    for position, item in enumerate(split_list(words[0])):
        if item == words[1] or (not exact and glob_match(words[1], item)):
            return str(position)
    return "-1"


def _lsort(interp: Interp, argv: List[str]) -> str:
    key: Callable[[str], object] = str
    reverse = unique = False
    for option in argv[1:-1]:
        if option == "-integer":
            key = to_int
        elif option == "-decreasing":
            reverse = True
        elif option == "-unique":
            unique = True
        elif option not in ("-increasing", "-ascii"):
            raise TclError(
                'bad option "%s": must be -ascii, -command, -decreasing, -increasing, -index,'
                " -integer, -nocase, -real, -stride, or -unique" % option
            )
    items = sorted(split_list(argv[-1]), key=key, reverse=reverse)  # type: ignore[type-var,arg-type]
    if unique:
        items = list(dict.fromkeys(items))
    return join_list(items)


def _linsert(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 3:
        raise wrong_args(argv[:1], "list index ?element ...?")
    items = split_list(argv[1])
    at = index_of(argv[2], len(items) + 1)
    at = max(0, min(len(items), at))
    return join_list(items[:at] + argv[3:] + items[at:])


def _lassign(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "varList list ?varName ...?")
    items = split_list(argv[1])
    for position, name in enumerate(argv[2:]):
        interp.set_var(name, items[position] if position < len(items) else "")
    return join_list(items[len(argv) - 2:])


def _range(interp: Interp, argv: List[str]) -> str:
    if not 2 <= len(argv) <= 4:
        raise wrong_args(argv[:1], "?start? end ?step?")
    numbers = [to_int(word) for word in argv[1:]]
    if len(numbers) == 1:
        numbers.insert(0, 0)
    return " ".join(str(value) for value in range(*numbers))


COMMANDS: Dict[str, object] = {
    "list": _list, "lindex": _lindex, "llength": _llength, "lappend": _lappend,
    "lrange": _lrange, "concat": _concat, "join": _join, "split": _split,
    "lreverse": _lreverse, "lrepeat": _lrepeat, "lsearch": _lsearch, "lsort": _lsort,
    "linsert": _linsert, "lassign": _lassign, "range": _range,
}
