"""The small Tcl interpreter by itself."""

from __future__ import annotations

import sys

import pytest

import tclwire as wire
from tclmini import BREAK, ERROR, EXIT, Interp, TclError
from tclparse import join_list, parse_script, quote_element, split_list, unescape


@pytest.fixture(autouse=True)
def deep_stack() -> None:
    """The limits of nesting are the interpreter's, not Python's."""
    sys.setrecursionlimit(40000)


@pytest.fixture
def tcl() -> Interp:
    """A fresh interpreter."""
    return Interp()


def fails(tcl: Interp, script: str) -> TclError:
    """The error that a script ends with."""
    with pytest.raises(TclError) as caught:
        tcl.eval(script)
    return caught.value


@pytest.mark.parametrize("script, result", [
    ("set a 5", "5"),
    ("set a 5; incr a; incr a 4", "10"),
    ("expr {(1 + 2) * 3}", "9"),
    ("expr {7 / -2}", "-4"),
    ("expr {1.0 / 4}", "0.25"),
    ("expr {0x7fffffffffffffff + 1}", "-9223372036854775808"),
    ("list a {b c} {} \\{", "a {b c} {} \\{"),
    ("lindex {a {b c} d} 1 end", "c"),
    ("string map {ab x b y} abbab", "xyx"),
    ("format %08x|%-4s|%c 255 ab 65", "000000ff|ab  |A"),
    ("foreach {a b} {1 2 3} {append r $a-$b,}; set r", "1-2,3-,"),
    ("proc f {a {b 2} args} {list $a $b $args}; f 1 9 8", "1 9 8"),
    ("proc f {&v} {incr v}; set x 1; f x; set x", "2"),
    ("proc f {} {uplevel 1 {set there 3}}; f; set there", "3"),
    ("proc a {} {tailcall b 5}; proc b {n} {info level}; a", "1"),
    ("catch {error boo} m o; list $m [lindex $o 1]", "boo 1"),
    ("try {error x} on error {m} {set r caught-$m} finally {set f 1}; list $r $f", "caught-x 1"),
    ("apply {{a {b 4}} {expr {$a * $b}}} 3", "12"),
    ("set arr(x) 1; set arr(y) 2; incr arr(x); set arr(x)", "2"),
    ("list {*}{a b} {*}[list c d]", "a b c d"),
    ("set v $(6 * 7)", "42"),
    ("set v \"[string length \\x00\\x1a]\"", "2"),
    ("switch -glob abc {x* {set r 1} a* {set r 2}}", "2"),
    ("dict get {a 1 b {c 2}} b c", "2"),
    ("regsub -all {b+} abbab <&> out; set out", "a<bb>a<b>"),
    ("unpack [pack v 513 -intle 16; set v] -uintbe 0 16", "258"),
    ("# comment {\nset v 1", "1"),
])
def test_tcl_evaluates(tcl: Interp, script: str, result: str) -> None:
    assert tcl.eval(script) == result


@pytest.mark.parametrize("script, code, text", [
    ("nosuch", ERROR, 'invalid command name "nosuch"'),
    ("set nope", ERROR, 'can\'t read "nope": no such variable'),
    ("set a {", ERROR, "missing close-brace"),
    ("set a [b", ERROR, 'unmatched "["'),
    ('set a "b', ERROR, "missing quote"),
    ("set a {b}c", ERROR, "extra characters after close-brace"),
    ("break", BREAK, ""),
    ("return -level 0 -code 9 x", 9, "x"),
    ("throw -304 late", -304, "late"),
    ("proc f {a} {}; f", ERROR, 'wrong # args: should be "f a"'),
    ("expr {1 / 0}", ERROR, "Division by zero"),
    ("proc f {} {f}; f", ERROR, "Too many nested calls. Infinite recursion?"),
    ('set a "x[break]y"', ERROR, ""),
])
def test_tcl_fails(tcl: Interp, script: str, code: int, text: str) -> None:
    error = fails(tcl, script)
    assert (error.code, error.result) == (code, text)


def test_tcl_incomplete_script_runs_nothing(tcl: Interp) -> None:
    fails(tcl, "set a 1; set b {")
    assert fails(tcl, "set a").code == ERROR


def test_tcl_catch_lets_exit_pass_unless_told(tcl: Interp) -> None:
    def leave(_interp: Interp, _argv: list) -> str:
        raise TclError("", EXIT)

    tcl.commands["leave"] = leave
    assert fails(tcl, "catch leave").code == EXIT
    assert tcl.eval("catch -exit leave") == str(EXIT)


def test_tcl_error_trace_names_procedures_and_lines(tcl: Interp) -> None:
    tcl.eval("proc inner {} {\n  error boo\n}\nproc outer {} {\n\n  inner\n}")
    tcl.eval_named("catch outer m o", "here.tcl", 7)
    assert tcl.eval("dict get $o -errorinfo") == "inner {} 6 outer here.tcl 7"


def test_tcl_every_byte_survives_quoting(tcl: Interp) -> None:
    every = bytes(range(256))
    for follower in range(256):
        data = every + bytes([follower]) + b"tail"
        script = b'set v "' + wire.quote(data) + b'"'
        assert tcl.eval(script.decode("latin-1")).encode("latin-1") == data


@pytest.mark.parametrize("items", [
    ["a", "b"], [""], ["a b", "{", "}", "\\"], ["#x", "#y"], ["[", "]", "[a", "a]"], ["$x", '"q', "q\""],
    ["a\nb", "\t", "\v"], ["{a b", "a}b", "a\\"], ["x\\\ny"], [chr(char) for char in range(256)],
])
def test_tcl_lists_survive_the_round_trip(items: list) -> None:
    assert split_list(join_list(items)) == items


def test_tcl_list_element_is_one_word(tcl: Interp) -> None:
    for char in range(256):
        item = "a" + chr(char) + "b"
        assert tcl.eval("set v " + quote_element(item)) == item


@pytest.mark.parametrize("text, result", [
    ("\\x41\\x4z", "A\x04z"),
    ("\\101\\0", "A\0"), ("\\u00e9", "\xc3\xa9"), ("\\u{1F600}", "\xf0\x9f\x98\x80"),
    ("\\\n   x", " x"), ("\\q\\\\", "q\\"), ("end\\", "end\\"), ("\\xz", "xz"),
])
def test_tcl_backslash_sequences(text: str, result: str) -> None:
    assert unescape(text) == result


def test_tcl_parser_keeps_offsets_of_commands() -> None:
    script = parse_script("set a 1\n\n  set b 2; set c 3")
    assert [script.line_at(offset) for offset, _ in script.cmds] == [1, 3, 3]


def test_tcl_files_are_written_and_read(tcl: Interp, tmp_path: object) -> None:
    path = str(tmp_path) + "/data"
    data = bytes(range(256)) * 4
    tcl.set_var("data", data.decode("latin-1"))
    tcl.eval(f"set f [open {path} wb]; $f puts -nonewline $data; $f close")
    with open(path, "rb") as handle:
        assert handle.read() == data
    assert tcl.eval(f"set f [open {path} rb]; $f seek 255; set d [$f read 2]; $f close; set d") == "\xff\0"
    assert tcl.eval(f"file size {path}") == "1024"
    tcl.eval(f"file delete {path}")
    assert fails(tcl, f"open {path} rb").result == f"{path}: No such file or directory"


def test_tcl_open_files_are_bounded(tcl: Interp) -> None:
    error = fails(tcl, "while 1 {lappend all [open /dev/null rb]}")
    assert error.result == "/dev/null: Too many open files"
    tcl.files.close_all()
