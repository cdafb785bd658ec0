"""Servers that break the protocol: the client ends cleanly, says what was wrong, and shows nothing dangerous."""

import json
import signal
import subprocess
import threading
from typing import Any, Dict

import pytest

from fake_server import NO_ANSWER

# what is sent instead of an answer (ID is the request's id), and what the message says
BROKEN = [
    (b"garbage\n", "protocol_error", "not JSON): garbage"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol_error", "not JSON): HTTP/1.1 400 Bad Request"),
    (b"\x00\x1b[31m\n", "protocol_error", "\\x00\\x1b[31m"),
    (b"[]\n", "protocol_error", "not a JSON-RPC 2.0 object"),
    (b"null\n", "protocol_error", "not a JSON-RPC 2.0 object"),
    (b"{}\n", "protocol_error", "not a JSON-RPC 2.0 object"),
    (b'{"jsonrpc":"1.0","id":ID,"result":{}}\n', "protocol_error", "not a JSON-RPC 2.0 object"),
    (b'{"jsonrpc":"2.0","id":ID,"id":ID,"result":{}}\n', "protocol_error", "not a JSON-RPC 2.0 object"),
    (b'{"jsonrpc":"2.0","id":ID}\n', "protocol_error", "a result or an error"),
    (b'{"jsonrpc":"2.0","id":ID,"result":{},"error":{}}\n', "protocol_error", "a result or an error"),
    (b'{"jsonrpc":"2.0","id":ID,"error":7}\n', "protocol_error", "an unreadable result or error"),
    (b'{"jsonrpc":"2.0","id":ID,"result":{"a":"\xff"}}\n', "protocol_error", "not UTF-8"),
    (b'{"jsonrpc":"2.0","id":ID,"result":{"a":"\\ud800"}}\n', "protocol_error", "an unreadable result or error"),
    (b'{"jsonrpc":"2.0","id":ID,"result":{"a":"\t"}}\n', "protocol_error", "a control character in a string"),
    (b'{"jsonrpc":"2.0","id":ID,"result":{"a":01}}\n', "protocol_error", "an object without end"),
    (b'{"jsonrpc":"2.0","id":ID,"result":{"a":1,}}\n', "protocol_error", "an object's key is missing"),
    (b'{"jsonrpc":"2.0","id":ID,"result":{}} x\n', "protocol_error", "something behind the JSON text"),
    (b'{"jsonrpc":"2.0","id":99,"result":{}}\n', "protocol_error", "no request of that id is in flight"),
    (b'{"jsonrpc":"2.0","id":1,"result":{}}\n', "protocol_error", "no request of that id is in flight"),
    (b'{"jsonrpc":"2.0","id":"ID","result":{}}\n', "protocol_error", "no request of that id is in flight"),
    (b'{"jsonrpc":"2.0","id":null,"result":{}}\n', "protocol_error", "no request of that id is in flight"),
    (b'{"jsonrpc":"2.0","result":{}}\n', "protocol_error", "no request of that id is in flight"),
    (b'{"jsonrpc":"2.0","id":ID.0,"result":{}}\n', "protocol_error", "no request of that id is in flight"),
    (b'{"jsonrpc":"2.0","id":7,"method":"event","params":{}}\n', "protocol_error", "a server sends no requests"),
    (b'{"jsonrpc":"2.0","method":"event"}\n', "protocol_error", "a notification has a method and params"),
    (b'{"jsonrpc":"2.0","method":7,"params":{}}\n', "protocol_error", "a notification has a method and params"),
    (b'{"jsonrpc":"2.0","id":ID,"result":' + b"[" * 100000 + b"\n", "protocol_error", "nested too deep"),
    (b'{"jsonrpc":"2.0","id":ID,"result":[' + b"0," * 1100000 + b"0]}\n", "protocol_error", "too many values"),
    (b"", "connection_lost", "the server closed the connection"),
    (b'{"jsonrpc":"2.0","id":ID,"resu', "connection_lost", "closed the connection, in the middle of a line"),
    (b"x" * ((64 << 20) + 2), "protocol_error", "a line of more than 64 MiB"),
]


@pytest.mark.parametrize("data, kind, message", BROKEN, ids=[repr(case[0][:50]) for case in BROKEN])
def test_broken_answer_is_status_3(tool, server, data, kind, message) -> None:
    def handler(call: Any) -> object:
        call.send_raw(data.replace(b"ID", str(call.id).encode()))
        call.close()
        return NO_ANSWER

    server.on("target.halt", handler)
    outcome = tool.run("halt")
    assert (outcome.status, outcome.out) == (3, ""), outcome
    assert outcome.error.startswith(f"ocdmux: {kind}: ") and message in outcome.error
    assert len(outcome.error) < 400 and outcome.error.count("\n") == 1


# results that are JSON-RPC and not what the protocol says
STRANGE = [
    ("read 0", "memory.read_u32", {}),
    ("read 0", "memory.read_u32", {"values": []}),
    ("read 0", "memory.read_u32", {"values": [4294967296]}),
    ("read 0", "memory.read_u32", {"values": [-1]}),
    ("read 0", "memory.read_u32", {"values": [1.5]}),
    ("read 0", "memory.read_u32", {"values": [9007199254740993]}),
    ("read 0", "memory.read_u32", {"values": ["0x"]}),
    ("read 0", "memory.read_u32", {"Values": [1]}),
    ("write 0 1", "memory.write_u32", {"count": 2}),
    ("hexdump 0 16", "memory.hexdump", {"size": 15}),
    ("search 00 0 1", "memory.search", {"matches": "x", "scanned": 1}),
    ("search 00 0 1", "memory.search", {"matches": [None], "scanned": 1}),
    ("dump 0 1 --on-server x", "memory.dump", {"path": "x"}),
    ("dump 0 1 x", "memory.read_bytes", {"size": 1}),
    ("load-bytes 0 fw.bin", "memory.write_bytes", {"size": 2}),
    ("flash fw.bin", "flash.write_image", {"bytes_written": 1}),
    ("flash fw.bin", "flash.write_image", {"format": 7, "segments": 1, "bytes_written": 1, "bytes_unchanged": 0,
                                           "sectors_erased": 1, "repaired_bytes": 0, "duration_ms": 1}),
    ("flash fw.bin", "flash.write_image", [1]),
    ("load fw.bin", "memory.load_image", {"format": "elf", "segments": -1, "bytes_written": 1, "duration_ms": 1}),
    ("load fw.bin", "memory.load_image", None),
    ("erase 0", "flash.erase_sector", {"sectors_erased": "all"}),
    ("erase --all", "flash.erase_all", {}),
    ("protect on 0", "flash.protect", {"sectors": []}),
    ("protect on 0", "flash.protect", {"sectors": {}, "reset_needed": False}),
    ("stages", "stage.list", {"stages": {}, "used_bytes": 0, "quota_bytes": 0}),
    ("stages", "stage.list", {"stages": [], "used_bytes": -1, "quota_bytes": 0}),
    ("stages --delete s", "stage.delete", {"deleted": 1}),
    ("download s x", "stage.list", {"stages": 5}),
    ("download s x", "stage.list", {"stages": [{"stage": "s", "size": "many"}]}),
    ("verify fw.bin", "flash.verify", {"size": 1}),
    ("verify fw.bin", "flash.verify", {"match": False, "size": 1, "differences": [1], "difference_count": 1}),
    ("halt", "target.halt", []),
    ("reset", "target.reset", {"targets": [{}]}),
    ("targets", "target.list", None),
    ("banks", "flash.banks", {"banks": {}}),
    ("info", "flash.info", {"sectors": []}),
    ("status", "board.list", {"boards": 1}),
    ("status --board b", "board.status", {"link": 5}),
    ("boards", "board.list", 7),
    ("stats", "server.stats", {}),
    ("operations", "operation.list", {}),
    ("wait op-1", "operation.wait", {}),
    ("cancel op-1", "operation.cancel", {"found": "yes"}),
    ("events", "events.subscribe", {}),
    ("openocd x", "openocd.command", {"code": "0", "text": ""}),
]


@pytest.mark.parametrize("line, method, result", STRANGE, ids=[f"{case[0]} {case[2]}" for case in STRANGE])
def test_strange_result_is_told(tool, server, line, method, result) -> None:
    server.check_results = False
    server.on(method, lambda call: result)
    (tool.directory / "fw.bin").write_bytes(b"x")
    outcome = tool.run(*line.split())
    assert outcome.status == 3, outcome
    assert outcome.error.splitlines()[0] == f"ocdmux: protocol_error: the result of {method} is not what the protocol says"
    assert not (tool.directory / "x").exists() and not (tool.directory / "x.part").exists()


def test_empty_lines_and_carriage_returns_are_ignored(tool, server) -> None:
    def handler(call: Any) -> object:
        call.send_raw(b"\n\r\n" + b'{"jsonrpc":"2.0","id":%d,"result":{"target":"t","state":"s"}}\r\n' % call.id)
        return NO_ANSWER

    server.on("target.halt", handler)
    assert tool.run("halt").out == "t: s\n"


def test_answer_byte_by_byte(tool, server) -> None:
    def handler(call: Any) -> object:
        for byte in b'{"jsonrpc":"2.0","id":%d,"result":{"target":"\\u20ac","state":"s"}}\n' % call.id:
            call.send_raw(bytes([byte]))
        return NO_ANSWER

    server.on("target.halt", handler)
    assert tool.run("halt").out == "\u20ac: s\n"


def test_notifications_of_others_are_ignored(tool, server, examples) -> None:
    server.check_results = False

    def handler(call: Any) -> Dict[str, Any]:
        lines = [
            {"method": "progress", "params": {"token": 99, "phase": "x", "done": 1, "unit": "bytes"}},
            {"method": "progress", "params": {"token": "a"}},
            {"method": "data", "params": {"id": "zz", "offset": 0, "data": "AA=="}},
            {"method": "data", "params": {"id": 1, "offset": 0, "text": "never shown\n"}},
            {"method": "weather", "params": {"rain": True}},
            {"method": "event", "params": {"seq": 1}},
        ]
        for line in lines:
            call.send_raw(json.dumps({"jsonrpc": "2.0", **line}).encode() + b"\n")
        return examples["memory.hexdump"]

    server.on("memory.hexdump", handler)
    outcome = tool.run("hexdump", "0x08000000", "16")
    assert (outcome.status, outcome.out, outcome.error) == (0, examples["memory.hexdump"]["text"], "")


def test_malformed_progress_is_not_shown(tool, server, examples) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        for params in ({"token": call.id}, {"token": call.id, "phase": 5, "done": 1}, {"token": call.id, "phase": "x"},
                       {"token": call.id, "phase": "x", "done": -1}):
            call.send_raw(json.dumps({"jsonrpc": "2.0", "method": "progress", "params": params}).encode() + b"\n")
        return examples["flash.write_image"]

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    outcome = tool.run("flash", "fw.bin")
    assert (outcome.status, outcome.error) == (0, "")


EVIL = "\x1b[2J\x9b\x07\u202eevil\u2028\u00e9"
TAMED = "\\x1b[2J\\u009b\\x07\\u202eevil\\u2028\u00e9"


def test_names_and_errors_are_escaped_everywhere(tool, server) -> None:
    server.check_results = False
    server.on("target.halt", lambda call: {"target": EVIL, "state": "a\nb"})
    assert tool.run("halt").out == f"{TAMED}: a\\x0ab\n"

    def handler(call: Any) -> object:
        error = {"code": -32000, "message": EVIL, "data": {"kind": "x\x1b", EVIL: [EVIL],
                                                          "openocd": {"code": 1, "text": "a\n" + EVIL + "\tb\n"}}}
        call.send_raw(json.dumps({"jsonrpc": "2.0", "id": call.id, "error": error}).encode() + b"\n")
        return NO_ANSWER

    server.on("target.halt", handler)
    error = tool.run("halt").error
    assert error.startswith(f"ocdmux: x\\x1b: {TAMED}\n  OpenOCD (1): a\n    {TAMED}\tb\n  {TAMED}: [")
    assert not set(error) & set("\x1b\x9b\x07\u202e\u2028")


def test_nul_in_a_string_does_not_end_it(tool, server) -> None:
    server.on("openocd.command", {"code": 0, "text": "a\0b \\u0000 c", "log": ""})
    assert tool.run("openocd", "x").out == "a\ufffdb \\u0000 c\n"
    outcome = tool.run("--json", "openocd", "x")
    assert json.loads(outcome.out)["text"] == "a\0b \\u0000 c"


def test_openocd_text_is_unchanged_where_there_is_no_terminal(tool, server) -> None:
    server.on("openocd.command", {"code": 0, "text": EVIL, "log": ""})
    assert tool.run("openocd", "x").out == EVIL + "\n"


def test_strange_rows_are_shown_as_far_as_they_go(tool, server) -> None:
    server.check_results = False
    rows = [5, {}, {"index": EVIL, "offset": -1, "size": 1e300, "protected": "x"}, {"index": 7}]
    server.on("flash.protect", {"sectors": rows, "reset_needed": False})
    assert tool.run("protect", "on", "0").out.splitlines()[1:] == ["     -       -     -  unknown"] * 3 + [
        "     7       -     -  unknown"]
    server.on("stage.list", {"stages": [{"stage": EVIL, "name": EVIL}, None], "used_bytes": 1, "quota_bytes": 2})
    out = tool.run("stages").out
    assert out.splitlines()[1].startswith(f"{TAMED}  {TAMED}") and "\x1b" not in out


def test_endless_progress_does_not_hold_up_an_interrupt(tool, server) -> None:
    def handler(call: Any) -> object:
        line = {"jsonrpc": "2.0", "method": "progress",
                "params": {"token": call.id, "operation": "op-7", "phase": "program", "done": 0, "unit": "bytes"}}
        data = json.dumps(line).encode() + b"\n"
        while not ended.is_set():
            call.send_raw(data * 100)
        return NO_ANSWER

    ended = threading.Event()
    server.on("flash.write_image", handler)
    process = tool.start("flash", "-", stdin=subprocess.PIPE)
    process.stdin.write(b"x")
    process.stdin.close()
    assert process.stderr.readline() == b"program: 0 bytes\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == b"ocdmux: cancelling; once more to stop waiting\n"
    process.send_signal(signal.SIGINT)
    error = process.stderr.read().decode()
    assert process.wait(60) == 1
    ended.set()
    assert error.startswith("ocdmux: cancelled: interrupted again") and error.endswith("'ocdmux wait op-7' tells how it ends\n")
