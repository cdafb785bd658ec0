"""The command line with the real daemon in front of a mock OpenOCD: both sides of the contract are the real ones here."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20.0
FLASH = 0x08000000
RAM = 0x20000000


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Waits for a condition, at most LIMIT_S seconds."""
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.01)


class Board:
    """A mock OpenOCD: its TCL port's number, and its control port to call."""

    def __init__(self, port: int, control: int) -> None:
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", control), LIMIT_S)
        self.lines = self.socket.makefile("rwb")

    def __call__(self, cmd: str, **arguments: Any) -> Dict[str, Any]:
        """Sends one control command; its reply."""
        self.lines.write(json.dumps({"cmd": cmd, **arguments}).encode() + b"\n")
        self.lines.flush()
        reply = json.loads(self.lines.readline())
        assert reply["ok"], reply
        return reply


@pytest.fixture(name="board")
def fixture_board(tmp_path: Path) -> Iterator[Board]:
    """A mock OpenOCD that runs."""
    ports = tmp_path / "ports.json"
    process = subprocess.Popen([sys.executable, str(ROOT / "mock" / "openocd_mock.py"), "--port-file", str(ports),
                                "--port", "0", "--control-port", "0"])
    wait_until(ports.exists, "the mock")
    found = json.loads(ports.read_text(encoding="utf-8"))
    board = Board(found["tcl"], found["control"])
    yield board
    board.lines.close()
    board.socket.close()
    process.terminate()
    process.wait(LIMIT_S)


@pytest.fixture(name="daemon")
def fixture_daemon(bare: Any, board: Any, tmp_path: Path) -> Iterator[Any]:
    """The program, which finds a daemon that serves the mock."""
    path = tmp_path / "daemon.sock"
    (tmp_path / "dumps").mkdir()
    (tmp_path / "stage").mkdir()
    with open(tmp_path / "daemon.log", "wb") as log:
        process = subprocess.Popen(
            [str(bare.program.parent / "ocdmuxd"), "--openocd", f"127.0.0.1:{board.port}", "--listen", f"unix:{path}",
             "--anonymous-role", "admin", "--dump-root", str(tmp_path / "dumps"), "--stage-dir", str(tmp_path / "stage")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_until(lambda: path.exists() or process.poll() is not None, "the daemon's socket")
    bare.set(OCDMUX_SERVER=f"unix:{path}")
    yield bare
    process.terminate()
    assert process.wait(LIMIT_S) == 0, (tmp_path / "daemon.log").read_text(encoding="utf-8")


def test_daemon_memory(daemon) -> None:
    assert daemon.run("write", hex(RAM), "0x44434241", "0xffffffff").out == "2 values written\n"
    assert daemon.run("read", hex(RAM), "2").out == "0x20000000: 0x44434241 0xffffffff\n"
    assert daemon.run("read", hex(RAM), "3", "--width", "8").out == "0x20000000: 0x41 0x42 0x43\n"
    assert daemon.run("write", hex(RAM + 8), "0xfedcba9876543210", "--width", "64").status == 0
    assert daemon.run("read", hex(RAM + 8), "--width", "64").out == "0x20000008: 0xfedcba9876543210\n"
    assert daemon.run("hexdump", hex(RAM), "8").out.startswith("20000000: 41 42 43 44 FF FF FF FF")
    assert daemon.run("search", "--text", "BCD", hex(RAM), hex(RAM + 64)).out == "0x20000001\n"
    assert daemon.run("search", "abcd", hex(RAM), hex(RAM + 64)).error == "no match\n"


def test_daemon_registers_and_breakpoints(daemon, board) -> None:
    assert daemon.run("halt").out == "vb.cpu: halted\n"
    assert daemon.run("wait-for", "halted").out == "vb.cpu: halted\n"
    assert daemon.run("register", "r0=42", f"pc={RAM + 0x100:#x}").out == (
        "register  bits  value\nr0          32  0x0000002a\npc          32  0x20000100\n")
    assert daemon.run("registers", "r0").out == "register  bits  value\nr0          32  0x0000002a\n"
    assert daemon.run("registers", "--list").out.splitlines()[1].split() == ["r0", "32", "arm", "v7m", "registers"]
    daemon.run("write", hex(RAM + 0x100), "0xbf00bf00", "0xe7febf00")
    assert daemon.run("step", "2").out == "vb.cpu: halted, pc 0x20000104\n"
    assert daemon.run("break", hex(RAM + 0x106), "--kind", "software").out.splitlines()[1].split() == [
        "0x20000106", "2", "software", "-", "-"]
    assert daemon.run("breakpoints").out.splitlines()[1].startswith("0x20000106")
    assert daemon.run("unbreak", hex(RAM + 0x106)).out == "address  length  kind  value  mask\n"
    outcome = daemon.run("unbreak", hex(RAM + 0x106))
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: not_found: ")
    board("target_state", state="running")
    assert daemon.run("wait-for", "running").out == "vb.cpu: running\n"
    outcome = daemon.run("registers")
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: target_not_halted: vb.cpu is running")
    outcome = daemon.run("wait-for", "halted", "--timeout", "50")
    assert outcome.status == 1 and "  state: running\n" in outcome.error


def test_daemon_transfers(daemon, board) -> None:
    data = bytes(random.Random(1).randrange(256) for _ in range(5000))
    (daemon.directory / "in.bin").write_bytes(data)
    assert daemon.run("load-bytes", hex(RAM), "in.bin").out == "5000 bytes written at 0x20000000\n"
    assert board("peek", address=RAM, size=5000)["data"] == data.hex()
    outcome = daemon.run("dump", hex(RAM), "5000", "out.bin")
    assert (outcome.status, outcome.out, outcome.error) == (0, "", "")
    assert (daemon.directory / "out.bin").read_bytes() == data
    assert daemon.run("dump", hex(RAM), "5000", "--on-server", "there.bin").status == 0
    assert (daemon.directory / "dumps" / "there.bin").read_bytes() == data


def test_daemon_flash_and_verify(daemon, board) -> None:
    image = bytes(random.Random(2).randrange(256) for _ in range(3001))
    (daemon.directory / "fw.bin").write_bytes(image)
    outcome = daemon.run("flash", "fw.bin")
    assert outcome.status == 0, outcome
    assert outcome.out.startswith("3001 bytes written, 0 unchanged, 3 sectors erased, verified, ")
    assert outcome.out.endswith(" (bin, 1 segment); reset and running\n")
    assert daemon.run("targets").out.split("\n")[1].split()[2] != "halted"
    assert board("peek", address=FLASH, size=3001)["data"] == image.hex()
    assert daemon.run("verify", "fw.bin").out == "3001 bytes match\n"
    board("poke", address=FLASH + 7, data=f"{image[7] ^ 0xff:02x}")
    outcome = daemon.run("verify", "fw.bin")
    assert outcome.status == 1
    assert outcome.out == (f"0x08000007: expected 0x{image[7]:02x}, found 0x{image[7] ^ 0xff:02x} (offset 7)\n"
                           "1 of 3001 bytes differ\n")


def test_daemon_error_has_openocds_words(daemon, board) -> None:
    board("fault", action="fail", match="read_memory", times=0, command="read_memory", code=1,
          text="read_memory: failed to read memory")
    outcome = daemon.run("read", hex(RAM))
    assert outcome.status == 1
    assert outcome.error.startswith("ocdmux: target_error: ")
    assert "\n  OpenOCD (1): read_memory: failed to read memory\n" in outcome.error
    assert "\n  address: 0x20000000\n" in outcome.error
    board("clear_faults")
    assert daemon.run("read", hex(RAM)).status == 0


def test_daemon_cancel_of_a_flash(daemon, board) -> None:
    (daemon.directory / "fw.bin").write_bytes(bytes(range(256)) * 64)
    board("fault", action="delay", match="flash", times=0, ms=300)
    process = daemon.start("flash", "fw.bin", "--prepare", "halt")
    seen = b""
    while b"program: " not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    process.send_signal(signal.SIGINT)
    outcome = daemon.finish(process)
    assert outcome.status == 1
    assert "\nocdmux: cancelled: " in outcome.error and "\n  flash_state: partial\n" in outcome.error
    assert "\n  the flash is partly programmed (" in outcome.error
    assert outcome.error.endswith("  the target was left halted\n")
    assert daemon.run("targets").out.split("\n")[1].split()[2] == "halted"


def test_daemon_targets_and_boards(daemon) -> None:
    assert daemon.run("halt").out.endswith(": halted\n")
    assert daemon.run("resume").out.endswith(": running\n")
    assert daemon.run("reset", "halt").out.endswith(": halted\n")
    for command in ("targets", "banks", "info", "status", "boards", "stats", "operations"):
        outcome = daemon.run(command)
        assert (outcome.status, outcome.error) == (0, ""), command
        assert json.loads(daemon.run(command, "--json").out)
    assert daemon.run("openocd", "expr", "6", "*", "7").out == "42\n"
    assert daemon.run("openocd", "no_such_command").error == (
        'ocdmux: openocd_error: the command failed\n  OpenOCD (1): invalid command name "no_such_command"\n')


def test_daemon_operations_and_events(daemon) -> None:
    events = daemon.start("events", "operation", "--json")
    events.stdout.readline()
    assert daemon.run("hexdump", hex(RAM), "16").status == 0
    operation = ""
    for state in ("queued", "running", "done"):
        event = json.loads(events.stdout.readline())
        assert (event["method"], event["state"]) == ("memory.hexdump", state)
        operation = event["operation"]
    events.send_signal(signal.SIGINT)
    assert daemon.finish(events).status == 0
    outcome = daemon.run("wait", operation)
    assert outcome.status == 0 and "state: done\n" in outcome.out and '"size":16' in outcome.out
    assert daemon.run("cancel", operation).out == "it had ended already\n"
    assert daemon.run("wait", "nothing").error.startswith("ocdmux: not_found: ")


def test_daemon_refuses_what_the_protocol_does_not_have(daemon) -> None:
    for arguments, kind in ((["call", "no.such"], "method_not_found"),
                            (["call", "target.halt", '{"no":1}'], "invalid_params"),
                            (["call", "memory.read_u8", '{"address":1,"address":2}'], "parse_error"),
                            (["call", "memory.read_u8", '{"address":9007199254740993}'], "invalid_params"),
                            (["--board", "other", "halt"], "not_found")):
        outcome = daemon.run(*arguments)
        assert outcome.status == 1 and outcome.error.startswith(f"ocdmux: {kind}: "), outcome
    assert daemon.run("halt").status == 0
