"""`ocdmux shell` on a real board: running and stopping, files and images, errors in OpenOCD's own words."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Tuple

import pytest

from arm_program import build_counter
from harness.client import Client
from harness.paths import build_file
from harness.stack import RAM_BASE, Stack

LIMIT_S = 60.0


def start(stack: Stack, *arguments: str, **options: Any) -> subprocess.Popen:
    """Starts the shell."""
    return subprocess.Popen([str(build_file("ocdmux")), "--server", stack.daemon.address, "shell", *arguments],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def run(stack: Stack, *lines: str, keep_going: bool = False) -> Tuple[int, str, str]:
    """Runs lines; the status, and what came on standard output and error."""
    words = [word for line in lines for word in ("-c", line)]
    process = start(stack, *words, *(["--keep-going"] if keep_going else []))
    out, error = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, error


@pytest.fixture(name="halted")
def fixture_halted(stack: Stack, client: Client) -> Stack:
    """The board, halted behind a reset, and again behind the test."""
    client.call("target.reset", mode="halt")
    yield stack
    client.call("target.reset", mode="halt")
    assert client.call("breakpoint.list")["breakpoints"] == []


@pytest.fixture(scope="module", name="program")
def fixture_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that counts, for RAM."""
    return build_counter(tmp_path_factory.mktemp("program"), RAM_BASE + 0x100, RAM_BASE + 0x200)


def test_load_compare_break_continue_and_step(halted: Stack, program: Path) -> None:
    status, out, error = run(halted, f"load {program}", "compare-sections", "p $pc", "break *0x20000104", "continue",
                             "p $r0", "continue", "p $r0", "stepi", "p/x $pc", "info break", "delete", "stepi 2")
    assert status == 0, error
    assert re.sub(r"\d+ ms", "N ms", out) == (
        "520 bytes loaded, verified, N ms (elf, 1 segment), entry 0x20000101\nStart address 0x20000101\n"
        "Section .text, range 0x20000100 -- 0x20000108: matched.\n"
        "Section .data, range 0x20000200 -- 0x20000208: matched.\n"
        "$1 = (void (*)()) 0x20000100\nBreakpoint 1 at 0x20000104\n"
        "Continuing.\n\nBreakpoint 1, 0x20000104 in ?? ()\n$2 = 0\n"
        "Continuing.\n\nBreakpoint 1, 0x20000104 in ?? ()\n$3 = 1\n"
        "0x20000106 in ?? ()\n$4 = 0x20000106\n"
        "Num     Type           Disp Enb Address    What\n1       breakpoint     keep y   0x20000104 \n"
        "0x20000106 in ?? ()\n")


def test_compare_sections_fails_where_memory_differs(halted: Stack, program: Path) -> None:
    assert run(halted, f"load {program}")[0] == 0
    status, out, error = run(halted, "set *(char*)0x20000203 = 0", f"compare-sections {program}", "p 1")
    assert status == 1 and "$1" not in out
    assert out == ("Section .text, range 0x20000100 -- 0x20000108: matched.\n"
                   "Section .data, range 0x20000200 -- 0x20000208: MIS-MATCHED!\n")
    assert error == "warning: One or more sections of the target image does not match\nthe loaded file\n\n"


def test_watchpoints_and_the_points_of_others(halted: Stack, client: Client) -> None:
    client.call("breakpoint.add", address="0x08000200")
    status, out, error = run(halted, "watch *(short*)0x20000010", "info break", "delete 1", "info break")
    assert (status, error) == (0, "")
    head = "Num     Type           Disp Enb Address    What\n"
    other = "-       hw breakpoint  keep y   0x08000200 \n"
    assert out == ("Hardware watchpoint 1: *(short*)0x20000010\n"
                   f"{head}1       hw watchpoint  keep y              *(short*)0x20000010\n{other}{head}{other}")
    client.call("breakpoint.remove", address="0x08000200")


def test_unreadable_memory_is_an_error_and_not_zero(halted: Stack) -> None:
    status, out, error = run(halted, "x/xw 0x30000000", "p *(int*)0x30000000", "find 0x30000000, +64, 5",
                             "x/xw 0x08000000", keep_going=True)
    assert status == 1 and out.startswith("0x8000000:\t0x20005000\n")
    assert error.count("ocdmux: target_error: cannot read") == 3 and error.count("Failed to read memory at 0x30000000") == 3


def test_registers_of_a_running_target_are_refused(halted: Stack) -> None:
    status, out, error = run(halted, "continue &", "p $pc", "x/xw 0x08000000", "interrupt", "p $pc", keep_going=True)
    assert status == 1 and error.startswith("ocdmux: target_not_halted: ")
    assert out.startswith("Continuing.\n0x8000000:\t") and out.endswith("$1 = (void (*)()) 0x8000040\n")


def test_interrupt_halts_a_running_program(halted: Stack, client: Client) -> None:
    process = start(halted, "-c", "continue", "-c", "p 1")
    client.call("target.wait", state="running")
    assert process.stdout.readline() == "Continuing.\n"
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0 and error.startswith("ocdmux: cancelling; once more to stop waiting\nocdmux: cancelled: ")
    assert out == "\nProgram stopped by Ctrl-C.\n0x08000040 in ?? ()\n$1 = 1\n"
    assert client.call("target.state")["state"] == "halted"


def test_monitor_runs_openocd_commands(halted: Stack) -> None:
    assert run(halted, "monitor expr 6 * 7")[:2] == (0, "42\n")
    status, _, error = run(halted, "monitor no_such_command")
    assert status == 1 and 'OpenOCD (1): invalid command name "no_such_command"' in error


def test_restore_writes_a_file_in_pieces(halted: Stack, client: Client, tmp_path: Path) -> None:
    data = os.urandom(5000)
    (tmp_path / "in.bin").write_bytes(data)
    status, out, _ = run(halted, f"restore {tmp_path}/in.bin binary 0x20000100 8",
                         f"dump binary memory {tmp_path}/out.bin 0x20000108 0x20000108+4992")
    assert (status, out) == (0, f"Restoring binary file {tmp_path}/in.bin into memory (0x20000108 to 0x20001488)\n")
    assert (tmp_path / "out.bin").read_bytes() == data[8:]


@pytest.mark.parametrize("line", ["restore /nonexistent binary 0", "load /nonexistent", "compare-sections /nonexistent",
                                  "restore x elf", "dump memory x 5 4", "x/2i $pc", "set foo = 5", "break main",
                                  "stepi 0", "continue 5", "load", "info nothing", "p $pc = "])
def test_bad_lines_fail_and_touch_nothing(halted: Stack, client: Client, line: str) -> None:
    before = client.call("register.read", names=["pc"])
    status, out, error = run(halted, line)
    assert (status, out) == (1, "") and error != ""
    assert client.call("register.read", names=["pc"]) == before
