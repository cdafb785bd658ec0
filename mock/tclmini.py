"""A small Tcl interpreter with the manners of Jim Tcl 0.81 as OpenOCD 0.12 embeds it.

Strings are Latin-1 `str` objects: one character is one byte, so every byte
passes unchanged.  `Interp.eval` returns the result or raises `TclError` with a
return code; OpenOCD's own codes (-4, -304, ...) travel the same way.  The
commands live in tables in other files (tclcore, tclstring, tcllist, tclexpr,
tclfile); `Interp()` has them all.
"""

from __future__ import annotations

from typing import Callable, Dict, List, Optional, Tuple, Union

from tclparse import (
    Script,
    Src,
    TclError,
    W_CMD,
    W_ELEM,
    W_EXPAND,
    W_EXPR,
    W_VAR,
    Word,
    join_list,
    make_src,
    parse_script,
    split_list,
)

OK, ERROR, RETURN, BREAK, CONTINUE, SIGNAL, EXIT, EVAL = range(8)

RETURN_CODES = {
    "ok": OK, "error": ERROR, "return": RETURN, "break": BREAK,
    "continue": CONTINUE, "signal": SIGNAL, "exit": EXIT, "eval": EVAL,
}

MAX_EVAL_DEPTH = 2000
MAX_FRAME_DEPTH = 1000
_CACHE_ENTRIES = 512
_CACHE_TEXT = 16384

Command = Callable[["Interp", List[str]], str]


class TailCall(Exception):
    """Raised by `tailcall`; run by the procedure's caller once its frame is gone."""

    def __init__(self, argv: List[str]) -> None:
        super().__init__()
        self.argv = argv


class Link:
    """A variable that stands for another one (upvar, global)."""

    __slots__ = ("frame", "name")

    def __init__(self, frame: "Frame", name: str) -> None:
        self.frame = frame
        self.name = name


class Frame:
    """The variables of one procedure call."""

    __slots__ = ("vars", "level", "parent", "argv")

    def __init__(self, parent: Optional["Frame"], argv: List[str]) -> None:
        self.vars: Dict[str, Union[str, Link]] = {}
        self.parent = parent
        self.level = parent.level + 1 if parent else 0
        self.argv = argv


class Proc:
    """A procedure: parameters (name, default or None), body, static variables."""

    __slots__ = ("args", "params", "body", "statics", "rest", "required", "optional")

    def __init__(self, args: str, body: str, statics: Optional[Dict[str, str]] = None) -> None:
        self.args = args
        self.body = body
        self.statics = statics
        self.rest = -1
        self.required = 0
        self.optional = 0
        self.params: List[Tuple[str, Optional[str]]] = []
        for position, spec in enumerate(split_list(args)):
            parts = split_list(spec) or [""]
            if len(parts) > 2:
                raise TclError('too many fields in argument specifier "%s"' % spec)
            default = parts[1] if len(parts) == 2 else None
            if parts[0] == "args":
                if self.rest >= 0:
                    raise TclError("'args' specified more than once")
                self.rest = position
            elif default is None:
                self.required += 1
            else:
                self.optional += 1
            self.params.append((parts[0], default))

    def usage(self) -> str:
        """The parameters as an error message lists them."""
        out = ""
        for position, (name, default) in enumerate(self.params):
            if position == self.rest:
                out += " ?%s ...?" % (default if default is not None else "arg")
            elif default is not None:
                out += " ?%s?" % name
            else:
                out += " " + name.lstrip("&")
        return out


def wrong_args(words: List[str], usage: str) -> TclError:
    """The error of a command called with the wrong number of arguments."""
    text = " ".join(words + ([usage] if usage else []))
    return TclError('wrong # args: should be "%s"' % text)


class Interp:
    """One interpreter: commands, variables and the state of its last error."""

    def __init__(self) -> None:
        self.commands: Dict[str, Union[Command, Proc]] = {}
        self.top = Frame(None, [])
        self.frame = self.top
        self.depth = 0
        self.return_code = OK
        self.return_level = 0
        self.stack_trace: List[str] = []
        self.error_flag = False
        self.add_stack = 0
        self.error_proc = ""
        self._cache: Dict[object, Script] = {}
        self._place: List[Tuple[Script, int]] = []
        # These import this module.
        import tclcore
        import tclexpr
        import tclfile
        import tcllist
        import tclstring

        for module in (tclcore, tclexpr, tclfile, tcllist, tclstring):
            self.commands.update(module.COMMANDS)
        self.builtins = frozenset(self.commands)
        self.files = tclfile.Files()
        self._evaluate = tclexpr.evaluate
        self._truth = tclexpr.truth

    # --- evaluation --------------------------------------------------------

    def eval(self, text: str) -> str:
        """Run a script in the current frame; raise TclError unless it ends with OK."""
        if type(text) is Src:
            key: object = (str(text), text.file, text.line)
        else:
            key = text
        script = self._cache.get(key)
        if script is None:
            script = self._parse(text, key)
        return self.run(script)

    def eval_named(self, text: str, file: str, line: int) -> str:
        """Run a script that is to be known as FILE, LINE in error traces."""
        return self.eval(make_src(str(text), file, line))

    def _parse(self, text: str, key: object) -> Script:
        if type(text) is Src:
            script = parse_script(str(text), text.file, text.line)
        else:
            script = parse_script(text)
        if len(text) <= _CACHE_TEXT:
            if len(self._cache) >= _CACHE_ENTRIES:
                self._cache.clear()
            self._cache[key] = script
        return script

    def run(self, script: Script) -> str:
        """Run a parsed script."""
        if script.missing is not None:
            self._trace(script, script.missing_at)
            raise TclError(script.missing)
        self.error_flag = False
        result = ""
        offset = 0
        self.depth += 1
        subst = self.subst
        place = self._place
        place.append((script, 0))
        try:
            for offset, words in script.cmds:
                place[-1] = (script, offset)
                argv: List[str] = []
                for word in words:
                    if isinstance(word, str):
                        argv.append(word)
                    elif word[0] == W_EXPAND:
                        argv.extend(split_list(subst(word[1])))
                    else:
                        argv.append(subst(word))
                result = self.invoke(argv) if argv else ""
            self.add_stack = 0
            return result
        except TclError as error:
            if error.code == ERROR:
                self._trace(script, offset)
            elif error.code != RETURN or self.return_code != ERROR:
                self.add_stack = 0
            raise
        finally:
            place.pop()
            self.depth -= 1

    def subst(self, word: Word) -> str:
        """The value of one word."""
        if isinstance(word, str):
            return word
        kind = word[0]
        if kind == W_VAR:
            return self.get_var(word[1])
        if kind == W_CMD:
            return self.eval(word[1])
        if kind == W_ELEM:
            return self.get_elem(word[1], self.subst(word[2]))
        if kind == W_EXPR:
            return self.expr(word[1])
        return self._join(word[1])

    def _join(self, parts: List[Word]) -> str:
        out = []
        for part in parts:
            if isinstance(part, str):
                out.append(part)
                continue
            try:
                out.append(self.subst(part))
            except TclError as error:
                # Inside a longer word `return` is a value, and every other code an error.
                if error.code == RETURN:
                    out.append(error.result)
                elif error.code == ERROR:
                    raise
                else:
                    raise TclError(error.result) from None
        return "".join(out)

    def invoke(self, argv: List[str]) -> str:
        """Call one command with its words already substituted."""
        if self.depth > MAX_EVAL_DEPTH:
            raise TclError("Infinite eval recursion")
        while True:
            command = self.commands.get(argv[0])
            if command is None:
                command = self.find_command(argv[0])
            try:
                if isinstance(command, Proc):
                    return self.call(command, argv)
                return command(self, argv)
            except TailCall as tail:
                if isinstance(command, Proc):
                    argv = tail.argv
                    continue
                raise

    def find_command(self, name: str) -> Union[Command, Proc]:
        """The command of this name; TclError when there is none."""
        command = self.commands.get(name)
        if command is None and name.startswith("::"):
            command = self.commands.get(name[2:])
        if command is None:
            raise TclError('invalid command name "%s"' % name.partition("\0")[0])
        return command

    def call(self, proc: Proc, argv: List[str]) -> str:
        """Call a procedure; argv[0] is the name used in messages."""
        given = len(argv) - 1
        if given < proc.required or (
            proc.rest < 0 and given > proc.required + proc.optional
        ):
            raise TclError('wrong # args: should be "%s%s"' % (argv[0], proc.usage()))
        if not proc.body:
            return ""
        if self.frame.level >= MAX_FRAME_DEPTH:
            raise TclError("Too many nested calls. Infinite recursion?")
        frame = Frame(self.frame, argv)
        caller = self.frame
        self.frame = frame
        try:
            self._bind(proc, frame, caller, argv)
            return self.eval(proc.body)
        except TclError as error:
            if error.code == RETURN:
                self.return_level -= 1
                if self.return_level <= 0:
                    code, self.return_code, self.return_level = self.return_code, OK, 0
                    if code == OK:
                        return error.result
                    raise TclError(error.result, code) from None
            elif error.code == ERROR:
                self.add_stack += 1
                self.error_proc = argv[0]
            raise
        finally:
            self.frame = caller
            if proc.statics is not None:
                for name in proc.statics:
                    value = frame.vars.get(name)
                    if isinstance(value, str):
                        proc.statics[name] = value

    def _bind(self, proc: Proc, frame: Frame, caller: Frame, argv: List[str]) -> None:
        if proc.statics:
            frame.vars.update(proc.statics)
        spare = len(argv) - 1 - proc.required
        index = 1
        for position, (name, default) in enumerate(proc.params):
            if position == proc.rest:
                count = max(0, len(argv) - 1 - proc.required - proc.optional)
                frame.vars[default or name] = join_list(argv[index:index + count])
                index += count
                continue
            if default is None:
                value = argv[index]
                index += 1
            elif spare > 0:
                value = argv[index]
                index += 1
                spare -= 1
            else:
                value = default
            if name.startswith("&"):
                frame.vars[name[1:]] = Link(caller, value)
            else:
                frame.vars[name] = value

    # --- error traces ------------------------------------------------------

    def _trace(self, script: Script, offset: int) -> None:
        """Add this level to the stack trace as Jim does, when it is worth telling."""
        if not self.error_flag:
            self.error_flag = True
            self.stack_trace = []
            self.add_stack += 1
        if self.add_stack > 0:
            self._append_trace(self.error_proc, script.file, script.line_at(offset))
            if script.file:
                self.add_stack = 0
            self.error_proc = ""

    def _append_trace(self, proc: str, file: str, line: int) -> None:
        if proc == "unknown":
            proc = ""
        if not proc and not file:
            return
        trace = self.stack_trace
        if not proc and len(trace) >= 3 and trace[-3] and not trace[-2]:
            trace[-2:] = [file, str(line)]
            return
        self.stack_trace = trace + [proc, file, str(line)]

    def set_stack_trace(self, trace: List[str]) -> None:
        """What `error MSG TRACE` and `return -errorinfo` do."""
        self.stack_trace = trace
        self.error_flag = True
        if len(trace) >= 3 and not trace[-2]:
            self.add_stack = 1

    def error_message(self, result: str) -> str:
        """The text Jim makes of a failed top-level script: with its trace, trimmed."""
        # Jim makes it with Tcl procedures, which leave these behind.
        self.return_code, self.return_level, self.add_stack = OK, 0, 0
        trace = self.stack_trace
        out = ""
        if len(trace) >= 2 and trace[1]:
            out = "%s:%s: Error: " % (trace[1], trace[2] if len(trace) > 2 else "")
        lines = []
        for index in range(len(trace) - 3, -1, -3):
            proc, file, line = trace[index:index + 3]
            text = ""
            if proc:
                text = "in procedure '%s' " % proc
                if file:
                    text += "called "
            if file:
                text += 'at file "%s", line %s' % (file, line)
            if text:
                lines.append(text)
        return (out + result + "\n" + "\n".join(lines)).strip(" \t\n\r\f\v\0")

    # --- variables ---------------------------------------------------------

    def owner(self, name: str, frame: Optional[Frame]) -> Tuple[Frame, str]:
        """The frame and the name there that a name means, links followed."""
        frame = frame or self.frame
        if name.startswith("::"):
            frame, name = self.top, name.lstrip(":")
        value = frame.vars.get(name)
        hops = 0
        while type(value) is Link:
            frame, name = value.frame, value.name
            if name.startswith("::"):
                frame, name = self.top, name.lstrip(":")
            value = frame.vars.get(name)
            hops += 1
            if hops > 1000:
                raise TclError('can\'t upvar from variable to itself')
        return frame, name

    @staticmethod
    def _elem_name(name: str) -> Optional[Tuple[str, str]]:
        if name.endswith(")"):
            head, paren, index = name.partition("(")
            if paren:
                return head, index[:-1]
        return None

    def get_var(self, name: str) -> str:
        """Value of a variable or `array(index)`; TclError when there is none."""
        value = self.frame.vars.get(name)
        if type(value) is str:
            return value
        value = self.find_var(name)
        if value is None:
            element = self._elem_name(name)
            if element:
                return self.get_elem(*element)
            raise TclError('can\'t read "%s": no such variable' % name.partition("\0")[0])
        return value

    def find_var(self, name: str, frame: Optional[Frame] = None) -> Optional[str]:
        """Value of a variable, or None."""
        where, plain = self.owner(name, frame)
        value = where.vars.get(plain)
        if value is None:
            element = self._elem_name(plain)
            if element:
                owner = self.find_var(element[0], where)
                return None if owner is None else to_dict(owner).get(element[1])
        return value  # type: ignore[return-value]

    def get_elem(self, name: str, index: str) -> str:
        """Value of `name(index)`."""
        owner = self.get_var(name)
        try:
            value = to_dict(owner).get(index)
        except TclError:
            raise TclError('can\'t read "%s(%s)": variable isn\'t array' % (name, index)) from None
        if value is None:
            raise TclError('can\'t read "%s(%s)": no such element in array' % (name, index))
        return value

    def set_var(self, name: str, value: str, frame: Optional[Frame] = None) -> str:
        """Set a variable or an array element; returns the value."""
        where, plain = self.owner(name, frame)
        element = self._elem_name(plain)
        if element:
            owner = self.find_var(element[0], where)
            items = {} if owner is None else to_dict(owner)
            items[element[1]] = value
            self.set_var(element[0], from_dict(items), where)
        else:
            where.vars[plain] = value
        return value

    def unset_var(self, name: str) -> bool:
        """Remove a variable or an array element; false when there was none."""
        where, plain = self.owner(name, None)
        if plain in where.vars:
            del where.vars[plain]
            if self.frame is not where:
                self.frame.vars.pop(name, None)
            return True
        element = self._elem_name(plain)
        if not element:
            return False
        owner = self.find_var(element[0], where)
        items = {} if owner is None else to_dict(owner)
        if element[1] not in items:
            return False
        del items[element[1]]
        self.set_var(element[0], from_dict(items), where)
        return True

    def frame_at(self, level: Optional[str]) -> Frame:
        """The frame that `#N` or `N` (levels up; None: one up) names."""
        number = -1
        if level is None:
            number = self.frame.level - 1
        elif level.startswith("#"):
            number = int(level[1:]) if level[1:].isdigit() else -1
        elif level.isdigit():
            number = self.frame.level - int(level)
        frame: Optional[Frame] = self.frame
        if number == 0:
            return self.top
        while number > 0 and frame is not None:
            if frame.level == number:
                return frame
            frame = frame.parent
        raise TclError('bad level "%s"' % (level if level is not None else "1"))

    def eval_in(self, frame: Frame, text: str) -> str:
        """Run a script in another frame."""
        saved, self.frame = self.frame, frame
        try:
            return self.eval(text)
        finally:
            self.frame = saved

    def expr(self, text: str) -> str:
        """Value of an expression."""
        return self._evaluate(self, text)

    def expr_bool(self, text: str) -> bool:
        """Truth of an expression."""
        return self._truth(self._evaluate(self, text))

    def place(self) -> Tuple[str, int]:
        """File and line of the command that is running."""
        if not self._place:
            return "", 1
        script, offset = self._place[-1]
        return script.file, script.line_at(offset)


def to_dict(text: str) -> Dict[str, str]:
    """A Tcl dictionary as a dict; TclError for an odd number of elements."""
    items = split_list(text)
    if len(items) % 2:
        raise TclError("missing value to go with key")
    return dict(zip(items[::2], items[1::2]))


def from_dict(items: Dict[str, str]) -> str:
    """The text of a Tcl dictionary."""
    flat: List[str] = []
    for key, value in items.items():
        flat.append(key)
        flat.append(value)
    return join_list(flat)
