"""target.*, and what they do to the events."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.stack import KIB, Stack, make_image
from harness.waiting import wait_until

TARGET = "vb.cpu"


@pytest.fixture(name="own")
def fixture_own(client: Client) -> Iterator[Client]:
    """Halted before and behind, with a program that runs for ever."""
    client.call("target.reset", mode="halt")
    yield client
    client.call("target.halt")


def state(client: Client) -> str:
    """What OpenOCD says now."""
    result = client.call("target.state")
    assert result["target"] == TARGET
    text: str = result["state"]
    return text


def wait_state(client: Client, wanted: str) -> None:
    """Waits for it."""
    wait_until(lambda: state(client) == wanted, f"the target to be {wanted}")


def test_list(own: Client) -> None:
    expected = {"target": TARGET, "type": "cortex_m", "state": "halted", "endian": "little", "current": True}
    assert own.call("target.list") == {"targets": [expected]}
    assert own.call("board.status")["targets"] == [{**expected, "address_bits": 32}]


def test_resume_and_halt(own: Client) -> None:
    for _ in range(3):
        assert own.call("target.resume")["state"] == "running"
        wait_state(own, "running")
        assert own.call("target.halt") == {"target": TARGET, "state": "halted"}
        assert state(own) == "halted"


def test_halt_where_it_is_halted(own: Client) -> None:
    assert own.call("target.halt", target=TARGET) == {"target": TARGET, "state": "halted"}


def test_resume_where_it_runs(own: Client) -> None:
    own.call("target.resume")
    error = own.fail("target.resume")
    assert error.kind == "target_not_halted" and error.data["openocd"]["code"] == -304


def test_resume_at_an_address(own: Client) -> None:
    """A program in RAM that leaves a mark: movs r0, #7; ldr r1, [pc, #4]; str r0, [r1]; b .; .word."""
    own.call("memory.write_bytes", address=0x20000100, data="07200149" "0860fee7" "00040020", encoding="hex")
    own.call("memory.write_u32", address=0x20000400, values=0)
    own.call("target.resume", address="0x20000100")
    wait_until(lambda: own.call("memory.read_u32", address=0x20000400)["values"] == [7], "the program's mark")
    own.call("target.halt")
    pc = own.call("openocd.command", command="dict get [get_reg pc] pc")["text"]
    assert int(pc, 16) == 0x20000106


@pytest.mark.parametrize("mode, expected", [("run", "running"), ("halt", "halted"), ("init", "halted")])
def test_reset(own: Client, mode: str, expected: str) -> None:
    own.call("target.resume")
    result = own.call("target.reset", mode=mode)
    assert [each["target"] for each in result["targets"]] == [TARGET]
    wait_state(own, expected)


def test_reset_runs_by_default(own: Client) -> None:
    own.call("target.reset")
    wait_state(own, "running")


def test_reset_starts_at_the_reset_vector(own: Client) -> None:
    own.call("target.reset", mode="halt")
    pc = own.call("openocd.command", command="dict get [get_reg pc] pc")["text"]
    assert int(pc, 16) == 0x08000040


def test_raw_command(own: Client) -> None:
    result = own.call("openocd.command", command="expr {6 * 7}")
    assert result == {"code": 0, "text": "42", "log": ""}
    result = own.call("openocd.command", command="error {it went wrong}")
    assert result["code"] == 1 and result["text"] == "it went wrong"
    result = own.call("openocd.command", command='echo "said"; return 7')
    assert result["code"] in (0, 2) and result["text"] == "7" and "said" in result["log"]


@pytest.mark.parametrize(
    "command, text",
    [
        ('set x "}{"', "}{"),
        ("set x {$y [exit] \"; \\}", None),
        ("set x ümläut", "ümläut"),
        ('string repeat "a\\n" 3', "a\na\na\n"),
        ("# only a comment", ""),
        (";;;", ""),
        ("\n\n set x 5 \n", "5"),
        ("list a\tb", "a b"),
        ("set x [", None),
        ("set x {", None),
        ('set x "', None),
        ("}", None),
        ("break", None),
        ("string length [string repeat x 100000]", "100000"),
    ],
)
def test_raw_commands_that_look_dangerous(own: Client, command: str, text: Any) -> None:
    """Whatever it is, it is one script in one envelope; None: Tcl may say of it what it likes."""
    result = own.call("openocd.command", command=command)
    assert text is None or (result["code"], result["text"]) == (0, text)
    assert own.call("openocd.command", command="set still {all right}")["text"] == "all right"


def test_raw_bytes_that_are_no_text(own: Client) -> None:
    """Control characters come back as they are; what is no UTF-8 cannot, but breaks nothing."""
    assert own.call("openocd.command", command='set x "a\\x01\\x1a\\x07b"')["text"] == "a\x01\x1a\x07b"
    assert own.call("openocd.command", command='set x "\\xff\\xfe"')["code"] == 0
    assert own.call("openocd.command", command='set x "a\\x00b"')["code"] == 0


def test_raw_large_script_and_answer(own: Client) -> None:
    text = "x" * 500_000
    assert own.call("openocd.command", command=f"set x {text}")["text"] == text


def test_the_board_is_learned_anew_behind_raw_commands(make_stack: Callable[..., Stack]) -> None:
    """A bank that a script adds is there afterwards."""
    stack = make_stack(flash_size=8 * KIB, image=make_image(8 * KIB), daemon_flags=["--anonymous-role", "admin"])
    client = stack.client()
    assert len(client.call("flash.banks")["banks"]) == 1
    result = client.call("openocd.command", command="flash bank second faux 0x90000000 0x1000 0 0 vb.cpu")
    assert result["code"] in (0, 1)
    banks = client.call("board.status")["banks"]
    names: List[str] = [bank["name"] for bank in banks]
    listed = client.call("openocd.command", command="llength [flash list]")["text"]
    assert len(names) == int(listed)
    found: Dict[str, Any] = {bank["name"]: bank for bank in banks}
    assert found["vb.flash"]["size"] == 8 * KIB
