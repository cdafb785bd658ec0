"""The mock with --dialect head: how OpenOCD after 0.12 answers, beside how 0.12 does."""

from __future__ import annotations

from typing import Iterator

import pytest

from control import MockControl
from tclwire import Reply, Wire

FLASH = 0x08000000


@pytest.fixture(scope="module")
def head() -> Iterator[Wire]:
    """A connection to a mock that speaks like the later head."""
    with MockControl.start("--dialect", "head") as mock, Wire(mock.tcl_port, 10.0) as wire:
        yield wire


def error_code(reply: Reply) -> bytes:
    """The value of -errorcode, which comes last."""
    return reply.options.partition(b"-errorcode ")[2]


@pytest.mark.parametrize("script, code", [
    (b"resume", b"-304"), (b"flash erase_sector 0 9 1", b"-4"), (b"flash erase_address 0x08000000 0", b"-601"),
    (b"flash write_bank 0 x 0xffffffff", b"-603"), (b"flash verify_bank 0 /nowhere/x", b"-1202"),
])
def test_failures_have_code_one_and_their_own_in_errorcode(head: Wire, mock: MockControl, script: bytes, code: bytes) -> None:
    reply = head.run(script)
    assert (reply.code, error_code(reply)) == (1, b"{OpenOCD " + code + b"}")
    with Wire(mock.tcl_port, 10.0) as old:
        assert old.run(script).code == int(code)


def test_exit_escapes_a_plain_catch_only(head: Wire) -> None:
    assert head.ask(b"catch -exit {exit} r") == b"6"
    assert head.run(b"catch {exit} r; set after 1").code == 6
    assert head.run(b"set after").code == 1


def test_the_last_line_end_is_cut(head: Wire, wire: Wire) -> None:
    for each in (head, wire):
        each.ask(b"flash probe 0")
    assert head.ask(b"flash banks") + b"\n" == wire.ask(b"flash banks")
    rows = head.ask(b"targets").splitlines()
    assert len(rows) == 3 and rows[2].startswith(b" 0* vb.cpu ")


def test_capture_keeps_log_and_result(head: Wire, wire: Wire) -> None:
    script = b"capture {echo told; set x result}"
    assert (head.ask(script), wire.ask(script)) == (b"told\n\nresult", b"told\n")
    assert head.ask(b"capture {set x result}") == b"result"
    failed = b"catch {capture {resume}} r"
    assert (head.ask(failed), wire.ask(failed)) == (b"1", b"-304")


def test_memory_tells_of_nothing_and_of_half_a_read(head: Wire, wire: Wire) -> None:
    assert head.run(b"read_memory 0x20000000 32 0").code == 1
    assert wire.ask(b"read_memory 0x20000000 32 0") == b""
    reply = head.run(b"read_memory 0x20004ffc 32 2000")
    assert (reply.code, reply.result) == (1, b"failed to read memory")
    # 4 KiB are read at a time.
    reply = head.run(b"read_memory 0x20004000 32 1025")
    assert reply.code == 1 and reply.result.startswith(b"0x0 ") and reply.result.endswith(b" 0x0failed to read memory")
    assert len(reply.result.split()) == 1024 + 3


def test_flash_list_has_lines_braces_and_hex(head: Wire) -> None:
    head.ask(b"flash probe 0")
    text = head.ask(b"flash list")
    assert text.count(b"\n") > 6 and b"{vb.flash}" in text
    words = dict(zip(*[iter(head.ask(b"lindex [flash list] 0").split())] * 2))
    assert (words[b"base"], words[b"size"], words[b"target"]) == (b"0x08000000", b"0x20000", b"vb.cpu")
    assert head.ask(b"dict get [lindex [flash list] 0] name") == b"vb.flash"


def test_notifications_have_a_second_name(head: Wire, wire: Wire) -> None:
    head.ask(b"tcl notifications on")
    assert any(b"event halted" in each for each in head.run(b"halt").notifications)
    head.ask(b"tcl notifications off; tcl trace off")
    assert wire.run(b"tcl notifications on").code == 1


def test_points_are_listed_in_words(head: Wire) -> None:
    head.ask(b"halt; bp 0x08000010 2 hw; bp 0x20000010 2; wp 0x20000080 4 r")
    assert head.ask(b"bp").splitlines() == [
        b"Hardware breakpoint(IVA): addr=0x08000010, len=0x2, num=0",
        b"Software breakpoint(IVA): addr=0x20000010, len=0x2, orig_instr=0x00",
    ]
    assert b", r/w/a: r, " in head.ask(b"wp")
    head.ask(b"rbp 0x08000010; rbp 0x20000010; rwp 0x20000080")
    assert (head.ask(b"bp"), head.ask(b"wp")) == (b"", b"")
