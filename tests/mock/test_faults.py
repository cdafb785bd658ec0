"""Each fault that can be asked of the mock, and that it serves on afterwards."""

from __future__ import annotations

import select
from typing import Any, Callable, Dict

import pytest

from control import MockControl, MockError
from tclwire import END, LINE_TOO_LONG, Stray, Wire, envelope

VERSION = b"Open On-Chip Debugger 0.12.0"
Connect = Callable[[], Wire]


def silent(wire: Wire) -> bool:
    """True when nothing has arrived that was not read."""
    return not wire.buffer and not select.select([wire.socket], [], [], 0)[0]


def still_works(wire: Wire) -> None:
    """The connection answers as it should."""
    assert wire.ask(b"version") == VERSION


def test_fault_delay_answers_later_and_serves_nobody_meanwhile(
    mock: MockControl, connect: Connect
) -> None:
    one, other = connect(), connect()
    still_works(other)
    mock.fault("delay", ms=300, match="version")
    one.send(b"version" + END)
    mock.wait(commands=2)
    other.send(b"echo x" + END)
    quiet = silent(one) and silent(other)
    # Only what was seen while the command was being held up counts.
    assert quiet or not mock.stats()["busy"]
    assert one.read_until(END) == VERSION
    assert other.read_until(END) == b""
    assert mock.scripts()[-2:] == ["version", "echo x"]


def test_fault_stall_lasts_until_release(mock: MockControl, connect: Connect) -> None:
    one, other = connect(), connect()
    mock.fault("stall", match="set a")
    one.send(b"set a 1" + END)
    mock.wait(stalled=True)
    other.send(b"info exists a" + END)
    assert silent(one) and silent(other)
    assert mock.stats()["busy"]
    assert mock.release()
    assert one.read_until(END) == b"1"
    assert other.read_until(END) == b"1"
    assert not mock.release()
    still_works(one)


def test_fault_stall_before_has_not_executed_and_after_has(mock: MockControl, wire: Wire) -> None:
    for when, executed in (("before", b"\0"), ("after", b"\x07")):
        mock.poke(0x20000000, b"\0")
        mock.fault("stall", when=when, match="write_memory")
        wire.send(b"write_memory 0x20000000 8 7" + END)
        mock.wait(stalled=True)
        assert mock.peek(0x20000000, 1) == executed
        mock.release()
        assert wire.read_until(END) == b""


def test_fault_stall_holds_new_connections_up(mock: MockControl, wire: Wire) -> None:
    mock.fault("stall")
    wire.send(b"version" + END)
    mock.wait(stalled=True)
    with Wire(mock.tcl_port, 10.0) as late:
        late.send(b"version" + END)
        assert silent(late)
        assert mock.stats()["connections"] == 1
        mock.release()
        assert late.read_until(END) == VERSION
    assert wire.read_until(END) == VERSION


def test_fault_late_executes_first(mock: MockControl, wire: Wire) -> None:
    mock.fault("late", ms=100, match="write_memory")
    wire.send(b"write_memory 0x20000000 8 9" + END + b"version" + END)
    mock.wait(commands=1)
    assert mock.peek(0x20000000, 1) == b"\x09"
    assert wire.read_until(END) == b""
    assert wire.read_until(END) == VERSION


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("when, executed", [("command", b"\0"), ("before", b"\x05")])
def test_fault_drop_without_an_answer(
    mock: MockControl, connect: Connect, when: str, executed: bytes, reset: bool
) -> None:
    wire = connect()
    mock.fault("drop", when=when, reset=reset, match="write_memory")
    wire.send(b"write_memory 0x20000000 8 5" + END)
    assert wire.read_rest() == b""
    assert mock.peek(0x20000000, 1) == executed
    mock.wait(connections=0)
    still_works(connect())


def test_fault_drop_inside_and_after_an_answer(mock: MockControl, connect: Connect) -> None:
    wire = connect()
    mock.fault("drop", when="inside", bytes=7, match="version")
    wire.send(b"version" + END)
    assert wire.read_rest() == VERSION[:7]
    wire = connect()
    mock.fault("drop", when="after", match="version")
    wire.send(b"version" + END)
    assert wire.read_rest() == VERSION + END
    still_works(connect())


def test_fault_garbage_before_instead_and_after(mock: MockControl, wire: Wire) -> None:
    junk = b"\xff\0junk"
    for where, answer in (
        ("before", junk + VERSION + END), ("instead", junk), ("after", VERSION + END + junk),
    ):
        mock.fault("garbage", where=where, data=junk.hex())
        wire.send(b"version" + END)
        assert wire.read(len(answer)) == answer
        still_works(wire)


def test_fault_nonce_is_another(mock: MockControl, wire: Wire) -> None:
    mock.fault("nonce")
    with pytest.raises(Stray) as caught:
        wire.run(b"version")
    assert caught.value.frame.startswith(b"\0zzzzzzzz 0 28 0 16")
    wire.read(28 + 16 + 1)
    still_works(wire)
    mock.fault("nonce", nonce="mine")
    wire.send(envelope(b"version", b"yours") + END)
    assert wire.reply(b"mine").result == VERSION


@pytest.mark.parametrize("field, delta, header", [
    (0, 1, b"\0N 0 29 0 16:"), (0, -30, b"\0N 0 0 0 16:"), (1, 5, b"\0N 0 28 5 16:"),
    (2, 99999, b"\0N 0 28 0 100015:"),
])
def test_fault_lengths_are_wrong(
    mock: MockControl, wire: Wire, field: int, delta: int, header: bytes
) -> None:
    mock.fault("lengths", field=field, delta=delta)
    wire.send(envelope(b"version", b"N") + END)
    assert wire.read_until(END) == header + VERSION + b"-code 0 -level 0"
    still_works(wire)


def test_fault_notify_puts_frames_around_an_answer(mock: MockControl, wire: Wire) -> None:
    before, after = "type target_event event halted\r\n", "type target_state state reset\r\n"
    mock.fault("notify", frames=[before, before], match="version")
    mock.fault("notify", where="after", frames=[after], match="version")
    reply = wire.run(b"version")
    assert reply.result == VERSION
    assert reply.notifications == [before.encode()] * 2
    assert wire.run(b"version").notifications == [after.encode()]


def test_fault_too_long_answers_without_a_terminator(mock: MockControl, wire: Wire) -> None:
    mock.fault("too_long", match="set a")
    wire.send(b"set a 1" + END + b"info exists a" + END)
    assert wire.read(len(LINE_TOO_LONG)) == LINE_TOO_LONG
    assert wire.read_until(END) == b"0"


def test_fault_fail_replaces_the_inner_script(mock: MockControl, wire: Wire) -> None:
    mock.fault("fail", code=-902, text="text", log="why\n", match="erase")
    reply = wire.run(b"set ran 1; flash erase_sector 0 0 1")
    assert (reply.code, reply.result, reply.log) == (-902, b"text", b"why\n")
    assert reply.options == b"-code -902 -level 0"
    assert wire.ask(b"info exists ran") == b"0"
    mock.fault("fail", code=1, text="plain")
    assert wire.run(b"version").result == b"plain"
    mock.fault("fail", code=1, text="bare text")
    assert wire.bare(b"version") == b"bare text"
    still_works(wire)


def test_fault_fail_hits_one_command_of_a_script(mock: MockControl, wire: Wire) -> None:
    mock.fault("fail", code=-107, text="no", log="bus\n", command="^read_memory 0x20000004 ")
    script = (
        b"set r {}; foreach a {0x20000000 0x20000004 0x20000008} "
        b"{lappend r [catch {read_memory $a 32 1}]}; set r"
    )
    assert wire.run(script).result == b"0 -107 0"
    assert wire.run(script).result == b"0 0 0"


def test_fault_forget_loses_state_but_not_the_connection(mock: MockControl, wire: Wire) -> None:
    wire.ask(b"tcl_notifications on; set a 1; proc p {} {}; halt; flash probe 0; bp 0x08000000 2 hw")
    mock.fault("forget", match="version")
    still_works(wire)
    assert wire.ask(b"list [info exists a] [info procs p] [bp]") == b"0 {} {}"
    assert b"size 0 " in wire.ask(b"flash list")
    mock.target_state("running")
    assert wire.run(b"version").notifications == []
    assert mock.stats()["notifying"] == 0


def test_crash_refuses_connections_until_restart(mock: MockControl, connect: Connect) -> None:
    one, other = connect(), connect()
    one.ask(b"set a 1")
    mock.poke(0x08000000, b"kept")
    mock.fault("crash", match="version")
    one.send(b"version" + END)
    assert one.read_rest() == b""
    assert other.read_rest() == b""
    with pytest.raises(ConnectionRefusedError):
        connect()
    assert not mock.stats()["listening"]
    mock.restart()
    again = connect()
    assert again.ask(b"info exists a") == b"0"
    assert mock.peek(0x08000000, 4) == b"kept"


def test_crash_ends_a_stalled_command(mock: MockControl, connect: Connect) -> None:
    wire = connect()
    mock.fault("stall")
    wire.send(b"version" + END)
    mock.wait(stalled=True)
    mock.crash()
    assert wire.read_rest() == b""
    mock.restart()
    still_works(connect())


def test_fault_split_sends_every_byte(mock: MockControl, wire: Wire) -> None:
    mock.fault("split", times=2)
    still_works(wire)
    data = wire.run(b"string repeat \\x1a\\x00 2000")
    assert data.result == b"\x1a\0" * 2000
    mock.fault("split", size=10, gap_ms=1)
    still_works(wire)


def test_version_is_what_was_asked_for(mock: MockControl, wire: Wire) -> None:
    mock.set_version("Open On-Chip Debugger 0.11.0")
    assert wire.ask(b"version") == b"Open On-Chip Debugger 0.11.0"


@pytest.mark.parametrize("rule, hit", [
    ({"match": "two"}, [2, 4]), ({"match": "two", "times": 1}, [2]), ({"nth": 3, "times": 1}, [3]),
    ({"nth": 2, "times": 2}, [2, 3]), ({"at": 4}, [4]), ({"match": "two", "nth": 2, "times": 1}, [4]),
    ({"times": 0}, [1, 2, 3, 4, 5]), ({"match": "^echo .*e$"}, [1, 3, 5]),
])
def test_fault_rules_hit_the_commands_they_name(
    mock: MockControl, wire: Wire, rule: Dict[str, Any], hit: list
) -> None:
    rule.setdefault("times", 0)
    mock.fault("fail", code=9, text="hit", **rule)
    words = [b"one", b"two", b"three", b"two", b"five"]
    words[2] = b"one"
    words[4] = b"one"
    codes = [wire.run(b"echo " + word).code for word in words]
    assert [number for number, code in enumerate(codes, 1) if code == 9] == hit


def test_fault_rules_are_listed_and_cleared(mock: MockControl, wire: Wire) -> None:
    number = mock.fault("delay", ms=1, times=0, match="version")
    still_works(wire)
    rule = mock.faults()[0]
    assert (rule["id"], rule["hits"], rule["match"]) == (number, 1, "version")
    mock.clear_faults()
    assert mock.faults() == []
    mock.fault("delay", ms=1)
    still_works(wire)
    assert mock.faults() == []


@pytest.mark.parametrize("rule, complaint", [
    ({"action": "explode"}, "action must be one of"), ({"action": "delay", "ms": "5"}, "ms must be a int"),
    ({"action": "drop", "when": "never"}, "when must be one of"), ({"action": "split", "match": "("}, "bad regular"),
    ({"action": "delay", "msec": 5}, "takes no msec"), ({"action": "garbage", "data": "xyz"}, "hexadecimal"),
    ({"action": "delay", "nth": 0}, "nth must be"), ({"action": "fail", "command": "("}, "bad regular"),
])
def test_fault_rules_that_make_no_sense_are_refused(
    mock: MockControl, rule: Dict[str, Any], complaint: str
) -> None:
    with pytest.raises(MockError, match=complaint):
        mock.call("fault", **rule)
    assert mock.faults() == []


def test_fault_works_with_scripts_of_another_shape(mock: MockControl, wire: Wire) -> None:
    """A client's own envelope: several commands, each in its own catch."""
    mock.fault("fail", code=-304, text="no", command="^resume")
    script = (
        b"set out {}; foreach s {{halt} {resume} {vb.cpu curstate}} "
        b"{lappend out [list [catch -exit $s m] $m]}; set out"
    )
    assert wire.bare(script) == b"{0 {}} {-304 no} {0 halted}"
