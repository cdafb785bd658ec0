"""watch: memory as it changes, as lines, as JSON, and drawn on a terminal."""

import json
import signal
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from fake_server import NO_ANSWER, RpcError
from test_cli_terminal import run_on_terminal

NOW = "2026-01-31T12:34:56.789Z"
UNREADABLE = {"code": -32000, "message": "cannot read 4 bytes\n at 0x60000000", "data": {"kind": "target_error"}}


def note(seq: int, changes: Dict[int, str], **more: Any) -> Dict[str, Any]:
    listed = [{"address": f"0x{address:08x}", "data": data} for address, data in changes.items()]
    return {"watch": "watch-1", "seq": seq, "board": "board", "time": NOW, "whole": seq == 1, "changes": listed, **more}


FIRST = note(1, {0x20000000: "01000000" "02000000" "03000000" "04000000" "05000000", 0x20000100: "ff"})
SECOND = note(2, {0x20000005: "aa", 0x20000100: "00"}, interval_ms=101)
WORDS = ["0x20000000:20", "0x20000100:4"]
LINES = [
    f"{NOW} 0x20000000: 0x00000001 0x00000002 0x00000003 0x00000004\n",
    f"{NOW} 0x20000010: 0x00000005\n",
    f"{NOW} 0x20000100:          -\n",
    f"{NOW} 0x20000000: 0x00000001 0x0000aa02 0x00000003 0x00000004\n",
]


def watched(server: Any, examples: Any, *notes: Dict[str, Any]) -> None:
    """Answers memory.watch with these notifications behind it, the first in the same write."""

    def handler(call: Any) -> object:
        answer = {"jsonrpc": "2.0", "id": call.id, "result": examples["memory.watch"]}
        first = {"jsonrpc": "2.0", "method": "memory.changed", "params": notes[0]}
        server.check(server.contract.check_notification, first)
        call.send_raw(json.dumps(answer).encode() + b"\n" + json.dumps(first).encode() + b"\n")
        for params in notes[1:]:
            call.notify("memory.changed", params)
        return NO_ANSWER

    server.on("memory.watch", handler)


def read_lines(process: Any, count: int) -> List[str]:
    return [process.stdout.readline().decode() for _ in range(count)]


def test_lines_until_interrupted(tool, server, examples) -> None:
    whole = note(1, {0x20000000: "01000000" "02000000" "03000000" "04000000" "05000000", 0x20000100: "ff000000"})
    watched(server, examples, whole, SECOND)
    process = tool.start("watch", *WORDS, "--interval", "50", "--target", "cpu", "--board", "board")
    lines = read_lines(process, 5)
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert (outcome.status, outcome.out, outcome.error) == (0, "", "")
    second = [LINES[3], f"{NOW} 0x20000100: 0x00000000\n"]
    assert lines == [LINES[0], LINES[1], f"{NOW} 0x20000100: 0x000000ff\n", *second]
    assert server.params("memory.watch") == {
        "board": "board", "target": "cpu", "interval_ms": 50, "encoding": "hex",
        "ranges": [{"address": "0x20000000", "size": 20}, {"address": "0x20000100", "size": 4}],
    }


def test_count_ends_it(tool, server, examples) -> None:
    """The first notification is no change, and neither is one that only tells of a failure."""
    failing = note(2, {}, errors=[{"address": "0x20000000", "size": 4, "error": UNREADABLE}])
    back = note(3, {0x20000000: "07"}, recovered=[{"address": "0x20000000", "size": 4}])
    watched(server, examples, note(1, {0x20000000: "01000000"}), failing, back, note(4, {0x20000000: "08"}))
    outcome = tool.run("watch", "0x20000000", "--count", "2", "--physical")
    place = f"{NOW} 0x20000000: "
    assert outcome.out.splitlines() == [
        place + "0x00000001", place + "4 bytes cannot be read: target_error: cannot read 4 bytes\\x0a at 0x60000000",
        place + "4 bytes can be read again", place + "0x00000007", place + "0x00000008",
    ]
    assert (outcome.status, outcome.error) == (0, "")
    assert server.params("memory.watch")["physical"] is True


@pytest.mark.parametrize("width,endian,shown", [
    ("8", "little", "0x12 0x34 0x56 0x78"), ("16", "little", "0x3412 0x7856"), ("16", "big", "0x1234 0x5678"),
    ("32", "little", "0x78563412"), ("32", "big", "0x12345678"),
])
def test_widths_and_byte_orders(tool, server, examples, width, endian, shown) -> None:
    status = examples["board.status"]
    target = {**status["targets"][0], "endian": endian}
    server.on("board.status", {**status, "targets": [target]})
    watched(server, examples, note(1, {0x20000000: "12345678"}), note(2, {0x20000000: "12345678"}))
    outcome = tool.run("watch", "0x20000000:4", "--width", width, "--count", "1")
    assert outcome.status == 0 and outcome.out == f"{NOW} 0x20000000: {shown}\n"


def test_json(tool, server, examples) -> None:
    watched(server, examples, FIRST, SECOND)
    outcome = tool.run("watch", *WORDS, "--json", "--count", "1")
    assert [json.loads(line) for line in outcome.out.splitlines()] == [examples["memory.watch"], FIRST, SECOND]
    assert outcome.status == 0 and server.called("board.status") == []


def test_what_is_on_a_terminal(tool, server, examples) -> None:
    """Drawn over what was there; changed units are marked; what is not known is a dash."""
    watched(server, examples, FIRST, SECOND)
    status, seen = run_on_terminal(tool, "watch", *WORDS, "--count", "1")
    first, second = seen.replace("\r\n", "\n").split("\x1b[4A\r\x1b[J")
    assert status == 0
    assert first.removeprefix("\r\x1b[J").splitlines() == [
        f"{NOW}  0 changes", "0x20000000: 0x00000001 0x00000002 0x00000003 0x00000004", "0x20000010: 0x00000005",
        "0x20000100:          -",
    ]
    assert second.splitlines() == [
        f"{NOW}  1 changes, every 101 ms",
        "0x20000000: 0x00000001 \x1b[7m0x0000aa02\x1b[0m 0x00000003 0x00000004", "0x20000010: 0x00000005",
        "0x20000100:          -",
    ]


def test_more_than_a_terminal_holds_is_cut(tool, server, examples) -> None:
    whole = note(1, {0x20000000: "00" * 1024})
    error = {**UNREADABLE, "message": "ä" * 200}
    failing = note(2, {0x20000000: "01"}, errors=[{"address": "0x20000000", "size": 1024, "error": error}])
    watched(server, examples, whole, failing)
    status, seen = run_on_terminal(tool, "watch", "0x20000000:1K", "--count", "1", columns=80)
    lines = seen.split("\x1b[23A\r\x1b[J")[1].replace("\r\n", "\n").splitlines()
    assert status == 0 and len(lines) == 23 and lines[-1] == "... 44 lines more"
    assert lines[1].startswith("cannot be read: target_error: ää") and 45 < len(lines[1]) < 80
    assert lines[2] == "0x20000000: \x1b[7m0x00000001\x1b[0m" + " 0x00000000" * 3


def test_narrow_terminals_get_lines(tool, server, examples) -> None:
    watched(server, examples, FIRST, SECOND)
    status, seen = run_on_terminal(tool, "watch", *WORDS, "--count", "1", columns=40)
    assert status == 0 and "\x1b" not in seen and seen.count(NOW) == 5


@pytest.mark.parametrize("words,message", [
    ([], "ADDRESS"), (["x"], "'x' is not ADDRESS or ADDRESS:SIZE"), (["0:"], "'0:' is not"), (["0:0"], "multiple of 4"),
    (["0:6"], "multiple of 4"), (["0:2M"], "from 4 to 1048576"), (["0xfffffffffffffffe"], "64-bit addresses"),
    (["0", "--interval", "0"], "interval"), (["0", "--count", "x"], "count"), (["0", "--width", "64"], "width"),
    (["0"] * 65, "at most 64"),
])
def test_bad_usage(tool, server, words, message) -> None:
    outcome = tool.run("watch", *words)
    assert outcome.status == 2 and outcome.out == "" and message in outcome.error
    assert server.requests == []


def test_what_goes_wrong(tool, server, examples) -> None:
    server.on("memory.watch", RpcError("limit_exceeded", "too many", limit="max_watches", maximum=32))
    outcome = tool.run("watch", "0")
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: limit_exceeded: too many\n")
    watched(server, examples, FIRST)
    process = tool.start("watch", *WORDS)
    read_lines(process, 3)
    server.close()
    assert tool.finish(process).status == 3


@pytest.mark.parametrize("broken", [
    {"seq": 1}, note(1, {0: "0"}), {**note(1, {}), "changes": [{"address": "x", "data": "00"}]},
    {**note(1, {}), "errors": [{}]},
])
def test_notifications_of_another_kind_are_refused(tool, server, examples, broken) -> None:
    def handler(call: Any) -> Optional[Dict[str, Any]]:
        line = {"jsonrpc": "2.0", "method": "memory.changed", "params": broken}
        call.send_raw(json.dumps(line).encode() + b"\n")
        result: Dict[str, Any] = examples["memory.watch"]
        return result

    server.on("memory.watch", handler)
    outcome = tool.run("watch", "0")
    assert outcome.status == 3 and "memory.changed is not what the protocol says" in outcome.error


def test_on_a_daemon(bare, tmp_path) -> None:
    """Another's write is seen."""
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here.parent / "lib"), str(here.parents[1] / "mock")]
    from control import MockControl
    from harness.processes import Daemon

    with MockControl.start() as mock:
        with Daemon(["--openocd", f"127.0.0.1:{mock.tcl_port}", "--listen", "tcp:127.0.0.1:0"]) as daemon:
            bare.set(OCDMUX_SERVER=daemon.address)
            process = bare.start("watch", "0x20000000:8", "--interval", "10", "--count", "1")
            first = process.stdout.readline().decode()
            assert first.split(" ", 1)[1] == "0x20000000: 0x00000000 0x00000000\n"
            assert "watches: 1, of 8 bytes, every 10 ms" in bare.run("status").out
            mock.poke(0x20000004, b"\x2a")
            outcome = bare.finish(process)
            assert outcome.status == 0 and outcome.out.split(" ", 1)[1] == "0x20000000: 0x00000000 0x0000002a\n"
