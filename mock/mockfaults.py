"""Fault rules of the mock: which command they hit and what they do to it.

A rule is a JSON object, described in the docstring of openocd_mock.py.  This
module checks and matches rules and changes replies; openocd_mock.py carries out
what needs the connection or the clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

from tclparse import unescape

ACTIONS: Dict[str, Dict[str, Any]] = {
    # Every parameter with its default.
    "delay": {"ms": 0},
    "late": {"ms": 0},
    "stall": {"when": "before"},
    "drop": {"when": "before", "bytes": 0, "reset": False},
    "garbage": {"where": "before", "data": ""},
    "nonce": {"nonce": ""},
    "lengths": {"field": 0, "delta": 1},
    "notify": {"where": "before", "frames": []},
    "too_long": {},
    "fail": {"code": -4, "text": "", "log": "", "command": ""},
    "forget": {},
    "crash": {},
    "split": {"size": 1, "gap_ms": 0},
}
_CHOICES = {
    ("stall", "when"): ("before", "after"),
    ("drop", "when"): ("command", "before", "inside", "after"),
    ("garbage", "where"): ("before", "instead", "after"),
    ("notify", "where"): ("before", "after"),
}
_COMMON = ("cmd", "action", "match", "nth", "times", "at")
# The plain envelope, and the one whose script takes further words.
_RE_ENVELOPE = re.compile(rb'apply \{(?:s|\{s args\}) \{.*?\}\} "', re.S)
_RE_QUOTED = re.compile(rb'(?:[^"\\]|\\.)*', re.S)
# What runs the words behind it, each a command of its own.
_BUNDLE = b"apply {args {set n 0;"
_RE_WORD = re.compile(rb' "((?:[^"\\]|\\.)*)"', re.S)
_RE_HEADER = re.compile(rb"\0(\S+) (-?\d+) (\d+) (\d+) (\d+):")


class RuleError(ValueError):
    """A rule that makes no sense; the text says why."""


@dataclass
class Rule:
    """One fault: hits the `nth` command that matches, and the `times` - 1 after it."""

    number: int
    action: str
    params: Dict[str, Any]
    pattern: Optional["re.Pattern[str]"]
    nth: int
    times: int
    at: Optional[int]
    seen: int = field(default=0)
    hits: int = field(default=0)

    def applies(self, inner: str, count: int) -> bool:
        """True when this command, the `count`th, is to be hit; keeps the rule's own counts."""
        if self.pattern is not None and not self.pattern.search(inner):
            return False
        self.seen += 1
        if self.at is not None:
            hit = count == self.at
        else:
            hit = self.seen >= self.nth and (self.times == 0 or self.seen < self.nth + self.times)
        self.hits += int(hit)
        return hit

    def spent(self) -> bool:
        """True when the rule can never apply again."""
        if self.at is not None:
            return self.hits > 0
        return self.times != 0 and self.hits >= self.times

    def describe(self) -> Dict[str, Any]:
        """The rule for `faults`."""
        return {
            "id": self.number, "action": self.action, "nth": self.nth, "times": self.times,
            "at": self.at, "match": self.pattern.pattern if self.pattern else None,
            "seen": self.seen, "hits": self.hits, **self.params,
        }


def _integer(message: Dict[str, Any], name: str, default: int, least: int) -> int:
    value = message.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise RuleError("%s must be an integer of at least %d" % (name, least))
    return value


def _params(action: str, message: Dict[str, Any]) -> Dict[str, Any]:
    known = ACTIONS[action]
    strange = [name for name in message if name not in known and name not in _COMMON]
    if strange:
        raise RuleError("%s takes no %s" % (action, ", ".join(strange)))
    params = {}
    for name, default in known.items():
        value = message.get(name, default)
        if type(value) is not type(default):
            raise RuleError("%s must be a %s" % (name, type(default).__name__))
        choices = _CHOICES.get((action, name))
        if choices and value not in choices:
            raise RuleError("%s must be one of %s" % (name, ", ".join(choices)))
        params[name] = value
    return params


def make_rule(number: int, message: Dict[str, Any]) -> Rule:
    """A rule from its JSON object; RuleError when it is wrong."""
    action = message.get("action")
    if action not in ACTIONS:
        raise RuleError("action must be one of %s" % ", ".join(ACTIONS))
    params = _params(action, message)
    if action == "garbage":
        try:
            bytes.fromhex(params["data"])
        except ValueError:
            raise RuleError("data must be hexadecimal") from None
    pattern = None
    try:
        if message.get("match") is not None:
            pattern = re.compile(message["match"], re.S)
        if params.get("command"):
            re.compile(params["command"], re.S)
    except (re.error, TypeError) as error:
        raise RuleError("bad regular expression: %s" % error) from None
    at = _integer(message, "at", 0, 0) or None
    return Rule(number, action, params, pattern, _integer(message, "nth", 1, 1),
                _integer(message, "times", 1, 0), at)


class Faults:
    """The rules in force, oldest first."""

    def __init__(self) -> None:
        self.rules: List[Rule] = []
        self.counter = 0

    def add(self, message: Dict[str, Any]) -> int:
        """Add a rule; returns its number."""
        rule = make_rule(self.counter + 1, message)
        self.counter += 1
        self.rules.append(rule)
        return rule.number

    def take(self, line: bytes, count: int) -> List[Rule]:
        """The rules that hit this envelope, whose first command is the `count`th; spent rules are forgotten."""
        if not self.rules:
            return []
        hit = []
        for number, inner in enumerate(inner_scripts(line)):
            hit += [rule for rule in self.rules if rule.applies(inner, count + number) and rule not in hit]
        if hit:
            self.rules = [rule for rule in self.rules if not rule.spent()]
        return hit


def inner_script(line: bytes, limit: int = 0) -> str:
    """The script inside an envelope, without further words, or the whole command when it is in none.

    With a limit, what comes after so many bytes is left out.
    """
    match = _RE_ENVELOPE.match(line)
    if match is None or not line.endswith(b'"'):
        return (line[:limit] if limit else line).decode("latin-1")
    quoted = _RE_QUOTED.match(line, match.end())
    end = quoted.end() if quoted is not None else len(line) - 1
    if limit:
        end = min(end, match.end() + limit)
    return unescape(line[match.end():end].decode("latin-1"))


def _bundled(line: bytes) -> List["re.Match[bytes]"]:
    """The quoted scripts of an envelope that holds several; none where it does not."""
    match = _RE_ENVELOPE.match(line)
    if match is None or not line.startswith(_BUNDLE, match.end()):
        return []
    first = _RE_QUOTED.match(line, match.end())
    assert first is not None
    return list(_RE_WORD.finditer(line, first.end() + 1))


def inner_scripts(line: bytes, limit: int = 0) -> List[str]:
    """The commands of an envelope, each as inner_script gives it."""
    bundled = _bundled(line)
    if not bundled:
        return [inner_script(line, limit)]
    return [unescape(word.group(1)[:limit or None].decode("latin-1")) for word in bundled]


def replace_inner(line: bytes, script: bytes, pattern: Optional["re.Pattern[str]"] = None) -> bytes:
    """The command with another (plain, harmless) script inside; of several those that the pattern finds."""
    bundled = _bundled(line)
    if bundled:
        for word in reversed(bundled):
            if pattern is None or pattern.search(unescape(word.group(1).decode("latin-1"))):
                line = line[:word.start(1)] + script + line[word.end(1):]
        return line
    match = _RE_ENVELOPE.match(line)
    return script if match is None else match.group() + script + b'"'


def wrong_nonce(reply: bytes, nonce: str) -> bytes:
    """An enveloped reply with another nonce; others stay."""
    match = _RE_HEADER.match(reply)
    if match is None:
        return reply
    old = match.group(1)
    other = nonce.encode("latin-1") or bytes(0x7A if char != 0x7A else 0x79 for char in old)
    return b"\0" + other + reply[1 + len(old):]


def wrong_length(reply: bytes, which: int, delta: int) -> bytes:
    """An enveloped reply whose length field 0, 1 or 2 is off by `delta`; others stay."""
    match = _RE_HEADER.match(reply)
    if match is None or not 0 <= which <= 2:
        return reply
    group = 3 + which
    value = max(0, int(match.group(group)) + delta)
    return reply[:match.start(group)] + b"%d" % value + reply[match.end(group):]
