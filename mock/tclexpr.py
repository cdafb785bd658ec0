"""Tcl expressions: `expr` and the conditions of `if`, `while` and `for`."""

from __future__ import annotations

import math
import re
from typing import Callable, Dict, List, Tuple, Union

from tclmini import Interp, TclError
from tclnumber import format_number, parse_number, wrap64
from tclparse import Parser, Script, Word, split_list

_RE_TOKEN = re.compile(
    r"[ \t\r\f\v\n]*(?:"
    r"(?P<num>0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?|\.[0-9]+)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op><<<|>>>|\*\*|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%<>!~&^|?:(),])"
    r"|(?P<sub>[$\[\"{])"
    r"|(?P<end>\Z))"
)

# A node is a literal str/number, or (operator, operands...).
Node = Union[str, int, float, tuple]

_BINARY: Dict[str, int] = {
    "||": 9, "&&": 10, "|": 46, "^": 47, "&": 48,
    "in": 55, "ni": 55, "eq": 60, "ne": 60, "==": 70, "!=": 70,
    "<": 80, ">": 80, "<=": 80, ">=": 80,
    "<<": 90, ">>": 90, "<<<": 90, ">>>": 90,
    "+": 100, "-": 100, "*": 110, "/": 110, "%": 110, "**": 120,
}
_FUNCTIONS: Dict[str, Callable[[float], Union[int, float]]] = {
    "int": int, "wide": int, "abs": abs, "double": float,
    "round": lambda value: int(math.floor(abs(value) + 0.5)) * (1 if value >= 0 else -1),
    "sqrt": math.sqrt, "floor": lambda value: float(math.floor(value)),
    "ceil": lambda value: float(math.ceil(value)), "bool": lambda value: int(value != 0),
}
_cache: Dict[str, Node] = {}


class _Reader:
    """Turns one expression's text into a tree, by precedence climbing."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.kind = ""
        self.value: Word = ""
        self.advance()

    def fail(self) -> TclError:
        if self.kind == "end":
            return TclError('syntax error in expression "%s": premature end of expression' % self.text)
        return TclError('syntax error in expression: "%s"' % self.text)

    def advance(self) -> None:
        match = _RE_TOKEN.match(self.text, self.pos)
        if match is None:
            raise self.fail()
        self.kind = match.lastgroup or "end"
        self.value = match.group(self.kind)
        self.pos = match.end()
        if self.kind == "sub":
            self.substitution(match.start("sub"))

    def substitution(self, start: int) -> None:
        parser = Parser(Script(self.text, "", 1))
        parser.pos = start
        char = self.text[start]
        parts: List[Word] = []
        if char == '"':
            parser.pos += 1
            parser._quoted(parts, start)
            self.value = parser._finish(parts, start)
        elif char == "{":
            self.value = parser._word() if self.text.find("}", start) >= 0 else ""
        else:
            parser._part(parts, _RE_TOKEN)
            self.value = parts[0]
        self.pos = parser.pos

    def expression(self, level: int) -> Node:
        left = self.unary()
        while True:
            operator = self.value if self.kind in ("op", "word") else ""
            if operator == "?" and level <= 5:
                self.advance()
                middle = self.expression(5)
                if self.value != ":" or self.kind != "op":
                    raise self.fail()
                self.advance()
                left = ("?", left, middle, self.expression(5))
                continue
            strength = _BINARY.get(operator, -1) if isinstance(operator, str) else -1
            if strength < 0 or strength < level:
                return left
            self.advance()
            right = self.expression(strength if operator == "**" else strength + 1)
            left = (operator, left, right)

    def unary(self) -> Node:
        if self.kind == "op" and self.value in ("-", "+", "!", "~"):
            operator = self.value
            self.advance()
            return ("u" + str(operator), self.expression(115))
        return self.primary()

    def primary(self) -> Node:
        kind, value = self.kind, self.value
        if kind == "num":
            self.advance()
            number = parse_number(str(value))
            return ("num", str(value), number)
        if kind == "sub":
            self.advance()
            return value if isinstance(value, str) else ("subst", value)
        if kind == "op" and value == "(":
            self.advance()
            inner = self.expression(0)
            self.close()
            return inner
        if kind == "word":
            return self.word(str(value))
        if kind == "op" and value in _BINARY:
            raise TclError('missing operand to %s in expression: "%s"' % (value, self.text))
        raise self.fail()

    def close(self) -> None:
        if self.kind == "end":
            raise TclError("missing close parenthesis")
        if self.kind != "op" or self.value != ")":
            raise self.fail()
        self.advance()

    def word(self, name: str) -> Node:
        self.advance()
        if self.kind == "op" and self.value == "(":
            if name not in _FUNCTIONS:
                raise self.fail()
            self.advance()
            inner = self.expression(0)
            self.close()
            return ("call", name, inner)
        if name.lower() in ("true", "false", "yes", "no", "on", "off"):
            return name
        raise TclError('syntax error in expression: "%s"' % self.text)


def _tree(text: str) -> Node:
    node = _cache.get(text)
    if node is None:
        reader = _Reader(text)
        node = reader.expression(0)
        if reader.kind != "end":
            if reader.value == ")":
                raise TclError('unexpected closing parenthesis in expression: "%s"' % text)
            raise TclError('missing operator in expression: "%s"' % text)
        if len(_cache) > 512:
            _cache.clear()
        _cache[text] = node
    return node


def _number(value: Node) -> Union[int, float]:
    if isinstance(value, (int, float)):
        return value
    number = parse_number(str(value))
    if number is None:
        raise TclError('expected floating-point number but got "%s"' % value)
    return number


def truth(value: Node) -> bool:
    """The boolean that a value is; TclError when it is none."""
    if isinstance(value, (int, float)):
        return value != 0
    number = parse_number(str(value))
    if number is not None:
        return number != 0
    word = str(value).lower()
    if word in ("true", "yes", "on"):
        return True
    if word in ("false", "no", "off"):
        return False
    raise TclError('expected boolean but got "%s"' % value)


def _text(value: Node) -> str:
    return value if isinstance(value, str) else format_number(value)  # type: ignore[arg-type]


def _compare(operator: str, left: Node, right: Node) -> int:
    a = left if not isinstance(left, str) else parse_number(left)
    b = right if not isinstance(right, str) else parse_number(right)
    if a is None or b is None:
        a, b = _text(left), _text(right)  # type: ignore[assignment]
    if operator == "==":
        return int(a == b)
    if operator == "!=":
        return int(a != b)
    if operator == "<":
        return int(a < b)  # type: ignore[operator]
    if operator == ">":
        return int(a > b)  # type: ignore[operator]
    if operator == "<=":
        return int(a <= b)  # type: ignore[operator]
    return int(a >= b)  # type: ignore[operator]


def _integer(value: Node) -> int:
    number = _number(value)
    if not isinstance(number, int):
        raise TclError('expected integer but got "%s"' % _text(value))
    return number


def _arithmetic(operator: str, left: Node, right: Node) -> Union[int, float]:
    if operator in ("&", "|", "^", "%", "<<", ">>", "<<<", ">>>"):
        a, b = _integer(left), _integer(right)
        if operator == "&":
            return a & b
        if operator == "|":
            return a | b
        if operator == "^":
            return a ^ b
        if operator == "<<":
            return wrap64(a << (b & 63))
        if operator == ">>":
            return a >> (b & 63)
        if operator == "%":
            if b == 0:
                raise TclError("Division by zero")
            return a % b
        turn = b & 63 if operator == "<<<" else -b & 63
        bits = a & ((1 << 64) - 1)
        return wrap64(((bits << turn) | (bits >> (64 - turn))) & ((1 << 64) - 1))
    x, y = _number(left), _number(right)
    both = isinstance(x, int) and isinstance(y, int)
    if operator == "+":
        result = x + y
    elif operator == "-":
        result = x - y
    elif operator == "*":
        result = x * y
    elif operator == "**":
        result = x ** y if not both or y >= 0 else 0
    else:
        if both and y == 0:
            raise TclError("Division by zero")
        if both:
            result = x // y
        else:
            result = x / y if y else math.copysign(math.inf, x)
    return wrap64(result) if both and isinstance(result, int) else result


def _unary(operator: str, value: Node) -> Union[int, float]:
    if operator == "u!":
        return int(not truth(value))
    if operator == "u~":
        return ~_integer(value)
    number = _number(value)
    return -number if operator == "u-" else number


def _binary(interp: Interp, node: Tuple) -> Node:
    operator = node[0]
    if operator == "&&":
        return int(truth(_value(interp, node[1])) and truth(_value(interp, node[2])))
    if operator == "||":
        return int(truth(_value(interp, node[1])) or truth(_value(interp, node[2])))
    left, right = _value(interp, node[1]), _value(interp, node[2])
    if operator == "eq":
        return int(_text(left) == _text(right))
    if operator == "ne":
        return int(_text(left) != _text(right))
    if operator == "in":
        return int(_text(left) in split_list(_text(right)))
    if operator == "ni":
        return int(_text(left) not in split_list(_text(right)))
    if operator in ("==", "!=", "<", ">", "<=", ">="):
        return _compare(operator, left, right)
    return _arithmetic(operator, left, right)


def _value(interp: Interp, node: Node) -> Node:
    if not isinstance(node, tuple):
        return node
    operator = node[0]
    if operator == "num":
        return node[2]
    if operator == "subst":
        return interp.subst(node[1])
    if operator == "?":
        return _value(interp, node[2] if truth(_value(interp, node[1])) else node[3])
    if operator == "call":
        return _FUNCTIONS[node[1]](_number(_value(interp, node[2])))
    if operator[0] == "u":
        return _unary(operator, _value(interp, node[1]))
    return _binary(interp, node)


def evaluate(interp: Interp, text: str) -> str:
    """Value of an expression as text."""
    node = _tree(str(text))
    if isinstance(node, tuple) and node[0] == "num":
        return format_number(node[2])
    return _text(_value(interp, node))


def _expr(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 2:
        raise TclError('wrong # args: should be "expr expression"')
    return evaluate(interp, argv[1])


COMMANDS = {"expr": _expr}
