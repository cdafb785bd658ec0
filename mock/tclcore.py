"""Control flow, variables and procedures for the small Tcl interpreter."""

from __future__ import annotations

from typing import Dict, List, Optional

from tclmini import (
    BREAK,
    CONTINUE,
    ERROR,
    EVAL,
    EXIT,
    OK,
    RETURN,
    RETURN_CODES,
    SIGNAL,
    Frame,
    Interp,
    Link,
    Proc,
    TailCall,
    TclError,
    from_dict,
    to_dict,
    wrong_args,
)
from tclglob import glob_match
from tclnumber import to_int, to_int_expression
from tclparse import join_list, parse_subst, split_list


def _set(interp: Interp, argv: List[str]) -> str:
    if len(argv) == 3:
        return interp.set_var(argv[1], argv[2])
    if len(argv) == 2:
        return interp.get_var(argv[1])
    raise wrong_args(argv[:1], "varName ?newValue?")


def _unset(interp: Interp, argv: List[str]) -> str:
    names = argv[1:]
    complain = True
    if names and names[0] == "-nocomplain":
        complain = False
        names = names[1:]
    if names and names[0] == "--":
        names = names[1:]
    for name in names:
        if not interp.unset_var(name) and complain:
            raise TclError('can\'t unset "%s": no such variable' % name)
    return ""


def _incr(interp: Interp, argv: List[str]) -> str:
    if len(argv) not in (2, 3):
        raise wrong_args(argv[:1], "varName ?increment?")
    step = to_int_expression(argv[2]) if len(argv) == 3 else 1
    old = interp.find_var(argv[1])
    value = (to_int_expression(old) if old is not None else 0) + step
    value = (value + (1 << 63)) % (1 << 64) - (1 << 63)
    return interp.set_var(argv[1], str(value))


def _append(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "varName ?value ...?")
    if len(argv) == 2:
        return interp.get_var(argv[1])
    return interp.set_var(argv[1], (interp.find_var(argv[1]) or "") + "".join(argv[2:]))


def _if(interp: Interp, argv: List[str]) -> str:
    usage = "condition ?then? trueBody ?elseif ...? ?else? falseBody"
    if len(argv) < 3:
        raise wrong_args(argv[:1], usage)
    at, count = 1, len(argv)
    while True:
        if at >= count:
            raise wrong_args(argv[:1], usage)
        truth = interp.expr_bool(argv[at])
        at += 1
        if at < count and argv[at] == "then":
            at += 1
        if at >= count:
            raise wrong_args(argv[:1], usage)
        if truth:
            return interp.eval(argv[at])
        at += 1
        if at >= count:
            return ""
        word = argv[at]
        at += 1
        if word == "elseif":
            continue
        if word == "else":
            if at != count - 1:
                raise wrong_args(argv[:1], usage)
            return interp.eval(argv[at])
        if at != count:
            raise wrong_args(argv[:1], usage)
        return interp.eval(word)


def _while(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 3:
        raise wrong_args(argv[:1], "condition body")
    while interp.expr_bool(argv[1]):
        try:
            interp.eval(argv[2])
        except TclError as error:
            if error.code == BREAK:
                break
            if error.code != CONTINUE:
                raise
    return ""


def _for(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 5:
        raise wrong_args(argv[:1], "start test next body")
    interp.eval(argv[1])
    while interp.expr_bool(argv[2]):
        try:
            interp.eval(argv[4])
        except TclError as error:
            if error.code == BREAK:
                break
            if error.code != CONTINUE:
                raise
        try:
            interp.eval(argv[3])
        except TclError as error:
            if error.code == BREAK:
                break
            if error.code != CONTINUE:
                raise
    return ""


def _loop(interp: Interp, argv: List[str], collect: bool) -> str:
    if len(argv) < 4 or len(argv) % 2:
        raise wrong_args(argv[:1], "varList list ?varList list ...? script")
    pairs = [(split_list(argv[i]), split_list(argv[i + 1])) for i in range(1, len(argv) - 1, 2)]
    if any(not names for names, _ in pairs):
        raise TclError("foreach varlist is empty")
    rounds = max((len(items) + len(names) - 1) // len(names) for names, items in pairs)
    results: List[str] = []
    for turn in range(rounds):
        for names, items in pairs:
            base = turn * len(names)
            for position, name in enumerate(names):
                at = base + position
                interp.set_var(name, items[at] if at < len(items) else "")
        try:
            results.append(interp.eval(argv[-1]))
        except TclError as error:
            if error.code == BREAK:
                break
            if error.code != CONTINUE:
                raise
    return join_list(results) if collect else ""


def _foreach(interp: Interp, argv: List[str]) -> str:
    return _loop(interp, argv, False)


def _lmap(interp: Interp, argv: List[str]) -> str:
    return _loop(interp, argv, True)


def _switch(interp: Interp, argv: List[str]) -> str:
    at, mode = 1, "-exact"
    while at < len(argv) and argv[at].startswith("-"):
        if argv[at] == "--":
            at += 1
            break
        if argv[at] not in ("-exact", "-glob"):
            raise TclError(
                'bad option "%s": must be -exact, -glob, -regexp, -command procname or --'
                % argv[at]
            )
        mode = argv[at]
        at += 1
    if len(argv) - at < 2:
        raise wrong_args(
            argv[:1], "?options? string pattern body ... ?default body?   or   {pattern body ?pattern body ...?}"
        )
    value = argv[at]
    clauses = split_list(argv[at + 1]) if len(argv) - at == 2 else argv[at + 1:]
    if len(clauses) % 2:
        raise TclError("extra switch pattern with no body")
    for index in range(0, len(clauses), 2):
        pattern = clauses[index]
        last = index == len(clauses) - 2
        if (
            (pattern == "default" and last)
            or (mode == "-exact" and pattern == value)
            or (mode == "-glob" and glob_match(pattern, value))
        ):
            while clauses[index + 1] == "-":
                index += 2
                if index >= len(clauses):
                    raise TclError('no body specified for pattern "%s"' % pattern)
            return interp.eval(clauses[index + 1])
    return ""


def _break(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 1:
        raise wrong_args(argv[:1], "")
    raise TclError("", BREAK)


def _continue(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 1:
        raise wrong_args(argv[:1], "")
    raise TclError("", CONTINUE)


def _code(text: str) -> int:
    if text in RETURN_CODES:
        return RETURN_CODES[text]
    try:
        return to_int(text)
    except TclError:
        raise TclError('expected return code but got "%s"' % text) from None


def _return(interp: Interp, argv: List[str]) -> str:
    code, level, at = OK, 1, 1
    trace: Optional[str] = None
    error_code: Optional[str] = None
    while at < len(argv) - 1:
        if argv[at] == "-code":
            code = _code(argv[at + 1])
        elif argv[at] == "-errorinfo":
            trace = argv[at + 1]
        elif argv[at] == "-errorcode":
            error_code = argv[at + 1]
        elif argv[at] == "-level":
            try:
                level = to_int(argv[at + 1])
            except TclError:
                level = -1
            if level < 0:
                raise TclError('bad level "%s"' % argv[at + 1])
        else:
            break
        at += 2
    result = argv[at] if at == len(argv) - 1 else ""
    if at not in (len(argv) - 1, len(argv)):
        # Jim complains but goes on: the complaint is the value returned.
        result = wrong_args(
            argv[:1], "?-code code? ?-errorinfo stacktrace? ?-level level? ?result?"
        ).result
    if code == ERROR:
        if trace is not None:
            interp.set_stack_trace(split_list(trace))
        if error_code is not None:
            interp.top.vars["errorCode"] = error_code
    interp.return_code = code
    interp.return_level = level
    if level == 0:
        if code == OK:
            return result
        raise TclError(result, code)
    raise TclError(result, RETURN)


def _error(interp: Interp, argv: List[str]) -> str:
    if len(argv) not in (2, 3):
        raise wrong_args(argv[:1], "message ?stacktrace?")
    if len(argv) == 3:
        interp.set_stack_trace(split_list(argv[2]))
    else:
        interp.add_stack += 1
    raise TclError(argv[1])


def _throw(interp: Interp, argv: List[str]) -> str:
    if len(argv) not in (2, 3):
        raise TclError('wrong # args: should be "throw code ?msg?"')
    code = _code(argv[1])
    result = argv[2] if len(argv) == 3 else ""
    interp.return_code, interp.return_level = OK, 0
    if code == OK:
        return result
    raise TclError(result, code)


def _catch_options(argv: List[str], usage: str, ignored: set) -> int:
    at = 1
    while at < len(argv) - 1:
        word = argv[at]
        if word == "--":
            return at + 1
        if not word.startswith("-"):
            return at
        ignore = word.startswith("-no")
        name = word[3:] if ignore else word[1:]
        code = RETURN_CODES.get(name, -1)
        if name.isdigit():
            code = int(name)
        if code < 0:
            raise wrong_args(argv[:1], usage)
        (ignored.add if ignore else ignored.discard)(code)
        at += 1
    return at


def _run_caught(interp: Interp, text: str) -> "tuple[int, str]":
    frame = interp.frame
    try:
        code, result = OK, interp.eval(text)
    except TclError as error:
        code, result = error.code, error.result
    except RecursionError:
        code, result = ERROR, "Infinite eval recursion"
    interp.frame = frame
    interp.error_flag = False
    return code, result


def _options(interp: Interp, code: int) -> str:
    items = [
        "-code", str(interp.return_code if code == RETURN else code),
        "-level", str(interp.return_level),
    ]
    if code == ERROR:
        items += ["-errorinfo", join_list(interp.stack_trace)]
        error_code = interp.find_var("errorCode", interp.top)
        if error_code is not None:
            items += ["-errorcode", error_code]
    return join_list(items)


def _catch(interp: Interp, argv: List[str]) -> str:
    usage = "?-?no?code ... --? script ?resultVarName? ?optionVarName?"
    interp.top.vars["errorCode"] = "NONE"
    ignored = {EXIT, EVAL, SIGNAL}
    at = _catch_options(argv, usage, ignored)
    if len(argv) - at < 1:
        raise wrong_args(argv[:1], usage)
    code, result = _run_caught(interp, argv[at])
    if code in ignored:
        raise TclError(result, code)
    if len(argv) > at + 1 and argv[at + 1]:
        interp.set_var(argv[at + 1], result)
    if len(argv) > at + 2 and argv[at + 2]:
        interp.set_var(argv[at + 2], _options(interp, code))
    return str(code)


def _try(interp: Interp, argv: List[str]) -> str:
    usage = "?-?no?code ... --? script ?on codes vars script? ... ?finally script?"
    interp.top.vars["errorCode"] = "NONE"
    ignored = {EXIT, EVAL, SIGNAL}
    at = _catch_options(argv, usage, ignored)
    if len(argv) - at < 1:
        raise wrong_args(argv[:1], usage)
    code, result = _run_caught(interp, argv[at])
    handler: Optional[str] = None
    final: Optional[str] = None
    names: List[str] = []
    at += 1
    while at < len(argv):
        if argv[at] == "on" and at + 4 <= len(argv):
            codes = ["*" if item == "*" else str(_code(item)) for item in split_list(argv[at + 1])]
            if "*" in codes or str(code) in codes:
                names, handler = split_list(argv[at + 2]), argv[at + 3]
            at += 4
        elif argv[at] == "finally" and at + 2 == len(argv):
            final = argv[at + 1]
            at += 2
        else:
            raise wrong_args(argv[:1], usage)
    if code not in ignored:
        if names[0:1] and names[0]:
            interp.set_var(names[0], result)
        if names[1:2] and names[1]:
            interp.set_var(names[1], _options(interp, code))
        if handler is not None:
            code, result = _run_caught(interp, handler)
    if final is not None:
        interp.eval(final)
    if code == OK:
        return result
    raise TclError(result, code)


def _proc(interp: Interp, argv: List[str]) -> str:
    if len(argv) not in (4, 5):
        raise wrong_args(argv[:1], "name arglist ?statics? body")
    statics: Optional[Dict[str, str]] = None
    if len(argv) == 5:
        statics = {}
        for item in split_list(argv[3]):
            pair = split_list(item)
            statics[pair[0]] = pair[1] if len(pair) > 1 else interp.get_var(pair[0])
    name = argv[1][2:] if argv[1].startswith("::") else argv[1]
    interp.commands[name] = Proc(argv[2], argv[-1], statics)
    return argv[1]


def _apply(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "lambdaExpr ?arg ...?")
    parts = split_list(argv[1])
    if len(parts) not in (2, 3):
        raise TclError('can\'t interpret "%s" as a lambda expression' % argv[1])
    return interp.call(Proc(parts[0], parts[1]), ["apply lambdaExpr"] + argv[2:])


def _rename(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 3:
        raise wrong_args(argv[:1], "oldName newName")
    if argv[1] not in interp.commands:
        raise TclError('can\'t rename "%s": command doesn\'t exist' % argv[1])
    if argv[2] in interp.commands:
        raise TclError('can\'t rename "%s": command already exists' % argv[2])
    command = interp.commands.pop(argv[1])
    if argv[2]:
        interp.commands[argv[2]] = command
    elif not isinstance(command, Proc):
        interp.files.forget("::" + argv[1])
    return ""


def concat(words: List[str]) -> str:
    """What `concat` makes of its arguments."""
    stripped = [word.strip(" \t\n\r\f\v") for word in words]
    return " ".join(word for word in stripped if word)


def _eval(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "arg ?arg ...?")
    try:
        return interp.eval(argv[1] if len(argv) == 2 else concat(argv[1:]))
    except TclError as error:
        if error.code == ERROR:
            interp.add_stack += 1
        raise


def _uplevel(interp: Interp, argv: List[str]) -> str:
    usage = "?level? command ?arg ...?"
    if len(argv) < 2:
        raise wrong_args(argv[:1], usage)
    words = argv[1:]
    level: Optional[str] = None
    if words[0][:1].isdigit() or words[0].startswith("#"):
        level = words.pop(0)
    frame = interp.frame_at(level)
    if not words:
        raise wrong_args(argv[:1], usage)
    return interp.eval_in(frame, words[0] if len(words) == 1 else concat(words))


def _link(interp: Interp, frame: Frame, other: str, mine: str) -> None:
    if frame is interp.frame and other == mine:
        raise TclError("can't upvar from variable to itself")
    where, name = interp.owner(other, frame)
    if interp.frame is where and name == mine:
        raise TclError("can't upvar from variable to itself")
    if isinstance(interp.frame.vars.get(mine), str):
        raise TclError('variable "%s" already exists' % mine)
    interp.frame.vars[mine] = Link(where, name)


def _upvar(interp: Interp, argv: List[str]) -> str:
    usage = "?level? otherVar localVar ?otherVar localVar ...?"
    words = argv[1:]
    level: Optional[str] = None
    if len(words) > 2 and len(words) % 2:
        level = words.pop(0)
    frame = interp.frame_at(level)
    if not words or len(words) % 2:
        raise wrong_args(argv[:1], usage)
    for index in range(0, len(words), 2):
        _link(interp, frame, words[index], words[index + 1])
    return ""


def _global(interp: Interp, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(argv[:1], "varName ?varName ...?")
    if interp.frame is not interp.top:
        for name in argv[1:]:
            if name.startswith("::"):
                continue
            interp.frame.vars[name] = Link(interp.top, name)
    return ""


def _tailcall(interp: Interp, argv: List[str]) -> str:
    if interp.frame is interp.top:
        raise TclError("tailcall can only be called from a proc or lambda")
    if len(argv) < 2:
        return ""
    interp.find_command(argv[1])
    raise TailCall(argv[1:])


def _subst(interp: Interp, argv: List[str]) -> str:
    if len(argv) != 2:
        raise wrong_args(argv[:1], "?options? string")
    return interp.subst(parse_subst(argv[1]))


def _dict(interp: Interp, argv: List[str]) -> str:
    sub = argv[1] if len(argv) > 1 else ""
    if sub == "create":
        if len(argv) % 2:
            raise wrong_args(argv[:2], "?key value ...?")
        return from_dict(dict(zip(argv[2::2], argv[3::2])))
    if sub in ("get", "exists") and len(argv) > 2:
        value = argv[2]
        for key in argv[3:]:
            items = to_dict(value)
            if key not in items:
                if sub == "exists":
                    return "0"
                raise TclError('key "%s" not known in dictionary' % key)
            value = items[key]
        return value if sub == "get" else "1"
    if sub == "set" and len(argv) == 5:
        items = to_dict(interp.find_var(argv[2]) or "")
        items[argv[3]] = argv[4]
        return interp.set_var(argv[2], from_dict(items))
    if sub == "unset" and len(argv) == 4:
        items = to_dict(interp.find_var(argv[2]) or "")
        items.pop(argv[3], None)
        return interp.set_var(argv[2], from_dict(items))
    if sub == "keys" and len(argv) == 3:
        return join_list(list(to_dict(argv[2])))
    if sub == "values" and len(argv) == 3:
        return join_list(list(to_dict(argv[2]).values()))
    if sub == "size" and len(argv) == 3:
        return str(len(to_dict(argv[2])))
    raise TclError(
        'bad subcommand "%s": must be append, create, exists, for, get, getwithdefault, incr, info, keys,'
        " lappend, merge, remove, replace, set, size, unset, update, values, or with" % sub
    )


COMMANDS = {
    "set": _set, "unset": _unset, "incr": _incr, "append": _append, "if": _if,
    "while": _while, "for": _for, "foreach": _foreach, "lmap": _lmap,
    "switch": _switch, "break": _break, "continue": _continue, "return": _return,
    "error": _error, "throw": _throw, "catch": _catch, "try": _try,
    "proc": _proc, "apply": _apply, "rename": _rename, "eval": _eval,
    "uplevel": _uplevel, "upvar": _upvar, "global": _global, "tailcall": _tailcall,
    "subst": _subst, "dict": _dict,
}
