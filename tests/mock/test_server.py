"""The mock as a program: start and end, ports, connections, the control protocol."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from control import MockControl, MockError
from tclwire import END, Wire

PROGRAM = str(Path(__file__).resolve().parents[2] / "mock" / "openocd_mock.py")
VERSION = b"Open On-Chip Debugger 0.12.0"
Connect = Callable[[], Wire]


def test_server_prints_nothing_and_ends_on_sigterm(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        ports = tmp_path / f"ports{number}"
        process = subprocess.Popen(
            [sys.executable, PROGRAM, "--port", "0", "--control-port", "0", "--port-file", str(ports)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        try:
            for _ in range(1000):
                if ports.exists():
                    break
                assert process.poll() is None
                select.select([], [], [], 0.01)
            found = json.loads(ports.read_text())
            with Wire(found["tcl"], 10.0) as wire:
                assert wire.ask(b"version") == VERSION
            control = MockControl(found["control"])
            assert control.commands() == 1
            control.close()
            process.send_signal(number)
            out, complaint = process.communicate(timeout=10)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert (process.returncode, out, complaint) == (0, b"", b"")
        assert sorted(os.listdir(tmp_path))[-1] == ports.name


def test_server_takes_the_ports_it_is_given() -> None:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        tcl, control = one.getsockname()[1], two.getsockname()[1]
    with MockControl.start("--port", str(tcl), "--control-port", str(control)) as mock:
        assert (mock.tcl_port, mock.control_port) == (tcl, control)
        with Wire(tcl, 10.0) as wire:
            assert wire.ask(b"version") == VERSION
        with pytest.raises(MockError, match="Address already in use"):
            MockControl.start("--port", str(tcl))


@pytest.mark.parametrize("arguments", [["--flash-size", "5000"], ["--port", "x"], ["--nonsense"]])
def test_server_refuses_bad_arguments(arguments: list) -> None:
    with pytest.raises(MockError, match="the mock ended"):
        MockControl.start(*arguments)


def test_server_runs_a_script_before_it_serves() -> None:
    script: list = [
        {"cmd": "version", "text": "scripted"}, {"cmd": "poke", "address": 0x20000000, "data": "2a"},
        {"cmd": "fault", "action": "fail", "text": "from the script", "code": 1, "match": "echo"},
    ]
    with MockControl.start(script=script) as mock, Wire(mock.tcl_port, 10.0) as wire:
        assert wire.ask(b"version") == b"scripted"
        assert wire.ask(b"read_memory 0x20000000 8 1") == b"0x2a"
        assert wire.run(b"echo x").result == b"from the script"
    with pytest.raises(MockError, match="script:1: no such command"):
        MockControl.start(script=[{"cmd": "nonsense"}])


def test_server_serves_large_replies_to_a_slow_reader(connect: Connect, mock: MockControl) -> None:
    """A reply that nobody reads holds everybody up, as OpenOCD's blocking writes do."""
    slow, other = connect(), connect()
    size = 20 * 1024 * 1024
    slow.send(b"string repeat x %d" % size + END)
    mock.wait(commands=1)
    other.send(b"version" + END)
    assert mock.commands() == 1
    assert slow.read_until(END) == b"x" * size
    assert other.read_until(END) == VERSION
    assert mock.commands() == 2


def test_server_forgets_a_client_that_leaves_its_reply_unread(connect: Connect, mock: MockControl) -> None:
    slow, other = connect(), connect()
    slow.send(b"string repeat x 20000000" + END)
    mock.wait(commands=1)
    slow.close()
    assert other.ask(b"version") == VERSION
    mock.wait(connections=1)


def test_server_answers_pipelined_commands_in_order(wire: Wire) -> None:
    count = 500
    wire.send(b"".join(b"format %d" % number + END for number in range(count)))
    assert [wire.read_until(END) for _ in range(count)] == [b"%d" % number for number in range(count)]


def test_server_finds_commands_however_they_arrive(wire: Wire) -> None:
    for byte in b"format split" + END + b"format again" + END:
        wire.send(bytes([byte]))
    assert wire.read_until(END) == b"split"
    assert wire.read_until(END) == b"again"


def test_server_shares_variables_but_not_notifications(connect: Connect, mock: MockControl) -> None:
    one, other = connect(), connect()
    one.ask(b"set shared 7; proc hello {} {return hi}; tcl_notifications on")
    assert other.ask(b"list $shared [hello]") == b"7 hi"
    assert other.run(b"halt").notifications == []
    assert one.run(b"version").notifications == [
        b"type target_event event gdb-halt\r\n", b"type target_state state halted\r\n",
        b"type target_event event halted\r\n",
    ]


def test_server_tells_of_changes_by_itself(connect: Connect, mock: MockControl) -> None:
    wire = connect()
    wire.ask(b"tcl_notifications on")
    mock.target_state("halted")
    frames = [wire.read_until(END) for _ in range(3)]
    assert frames[1] == b"type target_state state halted\r\n"
    mock.target_state("running")
    assert wire.read_until(END) == b"type target_event event resumed\r\n"
    assert wire.read_until(END) == b"type target_state state running\r\n"
    mock.target_state("reset")
    assert wire.read_until(END) == b"type target_state state reset\r\n"
    wire.send(b"halt 0" + END)
    assert wire.read_until(END) == b""
    # The halt is found by the periodic poll, without another command.
    assert wire.read_until(END) == b"type target_event event gdb-halt\r\n"
    assert wire.read_until(END) == b"type target_state state halted\r\n"
    mock.notify("type target_trace data 00\r\n")
    assert wire.read_until(END) == b"type target_event event halted\r\n"
    assert wire.read_until(END) == b"type target_trace data 00\r\n"


def test_server_ends_on_shutdown() -> None:
    with MockControl.start() as mock:
        assert mock.process is not None
        with Wire(mock.tcl_port, 10.0) as wire:
            wire.send(b"shutdown" + END)
            assert wire.read_rest() == END
        assert mock.process.wait(10) == 0


def test_server_drops_connections_on_demand(mock: MockControl, connect: Connect) -> None:
    wires = []
    for _ in range(3):
        wires.append(connect())
        assert wires[-1].ask(b"version") == VERSION
    assert mock.drop() == 3
    assert all(wire.read_rest() == b"" for wire in wires)
    assert connect().ask(b"version") == VERSION


def test_control_counts_and_logs(mock: MockControl, connect: Connect) -> None:
    wire = connect()
    wire.ask(b'set a "[format {x}]\\x1a"')
    wire.bare(b"version")
    stats = mock.stats()
    assert (stats["commands"], stats["connections"], stats["accepted"]) == (2, 1, 1)
    assert stats["scripts"] == ['set a "[format {x}]\\x1a"', "version"]
    wire.ask(b"set a " + b"x" * 10000)
    assert mock.scripts(1) == ["set a " + "x" * 4090]
    mock.reset_counters()
    assert mock.commands() == 0 and mock.scripts() == []
    wire.close()
    mock.wait(connections=0)
    connect().ask(b"version")
    assert mock.stats()["accepted"] == 1


def test_control_wait_fails_after_its_time(mock: MockControl) -> None:
    with pytest.raises(MockError, match="not within the time: 0 commands"):
        mock.wait(commands=1, timeout_ms=20)
    assert mock.commands() == 0


@pytest.mark.parametrize("line, complaint", [
    (b"not json", "Expecting value"), (b"[1]", "a command is a JSON object"), (b"{}", "no such command"),
    (b'{"cmd": "peek", "address": 5}', "size must be an integer"),
    (b'{"cmd": "peek", "address": 805306368, "size": 4}', "no memory at 0x30000000"),
    (b'{"cmd": "poke", "address": 536870912, "data": "zz"}', "non-hexadecimal"),
    (b'{"cmd": "poke", "address": 536866816, "data": "00"}', "no memory at"),
    (b'{"cmd": "target_state", "state": "asleep"}', "state must be"),
    (b'{"cmd": "endian", "order": "middle"}', "order must be"), (b'{"cmd": "width64", "on": 1}', "true or false"),
    (b'{"cmd": "refuse_width", "width": 12}', "width must be"), (b'{"cmd": "version"}', "text must be"),
    (b'{"cmd": "fault_range", "first": 5, "last": 4}', "first must not"),
    (b'{"cmd": "protect", "first": 0, "last": 32, "on": true}', "blocks are"),
    (b'{"cmd": "notify", "frames": [1]}', "array of strings"),
])
def test_control_refuses_what_makes_no_sense(mock: MockControl, line: bytes, complaint: str) -> None:
    with socket.create_connection(("127.0.0.1", mock.control_port), 10) as sock:
        handle = sock.makefile("rb")
        sock.sendall(line + b"\n" + b'{"cmd": "stats"}\n')
        reply: Dict[str, Any] = json.loads(handle.readline())
        assert not reply["ok"] and complaint in reply["error"]
        assert json.loads(handle.readline())["ok"]
