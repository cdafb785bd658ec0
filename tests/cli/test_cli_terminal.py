"""What a person at a terminal sees: bars, and nothing that plays with the terminal."""

import json
import os
import pty
import re
import subprocess
from typing import Any, Dict, Tuple

from fake_server import NO_ANSWER


def run_on_terminal(tool: Any, *arguments: str, which: str = "stdout") -> Tuple[int, str]:
    """Runs with standard output or error on a terminal: the exit status and what came there."""
    leader, follower = pty.openpty()
    other = "stderr" if which == "stdout" else "stdout"
    process = tool.start(*arguments, **{which: follower, other: subprocess.DEVNULL})
    os.close(follower)
    got = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the last user of the terminal has gone
            break
        if not piece:
            break
        got += piece
    os.close(leader)
    return process.wait(60), got.decode("utf-8", "surrogateescape")


EVIL = "a\x1b]0;title\x07\x9b31m\x7f\u202eb\r\n\tnext"


def test_openocd_text_is_escaped_on_a_terminal(tool, server) -> None:
    server.on("openocd.command", {"code": 0, "text": EVIL, "log": EVIL})
    status, seen = run_on_terminal(tool, "openocd", "x")
    assert (status, seen) == (0, "a\\x1b]0;title\\x07\\u009b31m\\x7f\\u202eb\\x0d\r\n\tnext\r\n")
    status, seen = run_on_terminal(tool, "openocd", "x", which="stderr")
    assert (status, seen) == (0, "a\\x1b]0;title\\x07\\u009b31m\\x7f\\u202eb\\x0d\r\n\tnext\r\n")


def test_json_is_escaped_on_a_terminal_and_stays_the_same_json(tool, server) -> None:
    result = {"code": 0, "text": EVIL, "log": ""}

    def handler(call: Any) -> object:
        answer = {"jsonrpc": "2.0", "id": call.id, "result": result}
        call.send_raw(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
        return NO_ANSWER

    server.on("openocd.command", handler)
    status, seen = run_on_terminal(tool, "--json", "openocd", "x")
    assert status == 0 and json.loads(seen) == result
    assert "\x9b" not in seen and "\x7f" not in seen and "\u202e" not in seen


def test_hexdump_stream_is_escaped_on_a_terminal(tool, server) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.data(0, text="00000000: \x1b[2J\n")
        return {"size": 16, "disturbed": False, "operation": "op-1"}

    server.on("memory.hexdump", handler)
    assert run_on_terminal(tool, "hexdump", "0", "16") == (0, "00000000: \\x1b[2J\r\n")


def flash_progress(call: Any) -> None:
    """The phases of a flash."""
    call.progress("queued", 0, unit="operations", place=2)
    call.progress("queued", 0, unit="operations", place=0)
    call.progress("erase", 0, 4, unit="sectors")
    call.progress("erase", 4, 4, unit="sectors")
    for done in (0, 100, 250, 299, 300, 1000):
        call.progress("program", done, 1000)
    call.progress("reset", 1, unit="steps\x1b")


def test_progress_is_a_bar_on_a_terminal(tool, server, examples) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        flash_progress(call)
        return examples["flash.write_image"]

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    status, seen = run_on_terminal(tool, "flash", "fw.bin", which="stderr")
    assert status == 0
    # Rates depend on the time that passed; everything else does not.
    drawn = [re.sub(r", [0-9.]+ [^ ]*/s", "", line) for line in seen.replace("\x1b[K", "").split("\r") if line.strip()]
    assert drawn == [
        "queued   behind 2",
        "queued   next",
        "erase    [..............................]   0 %, 0 sectors",
        "erase    [##############################] 100 %, 4 sectors",
        "program  [..............................]   0 %, 0 bytes",
        "program  [###...........................]  10 %, 100 bytes",
        "program  [#######.......................]  25 %, 250 bytes",
        "program  [########......................]  29 %, 299 bytes",
        "program  [#########.....................]  30 %, 300 bytes",
        "program  [##############################] 100 %, 1000 bytes",
        "reset    1 steps\\x1b",
    ]
    assert seen.endswith("\r\n") and seen.count("\n") == 4


def test_progress_is_plain_lines_elsewhere(tool, server, examples) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        flash_progress(call)
        return examples["flash.write_image"]

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    outcome = tool.run("flash", "fw.bin")
    lines = [re.sub(r", [0-9.]+ [^ ]*/s$", "", line) for line in outcome.error.splitlines()]
    assert lines == [
        "queued: behind 2",
        "erase: 0 of 4 sectors (0 %)",
        "erase: 4 of 4 sectors (100 %)",
        "program: 0 of 1000 bytes (0 %)",
        "program: 100 of 1000 bytes (10 %)",
        "program: 250 of 1000 bytes (25 %)",
        "program: 300 of 1000 bytes (30 %)",
        "program: 1000 of 1000 bytes (100 %)",
        "reset: 1 steps\\x1b",
    ]


def test_pieces_of_a_file_are_one_bar(tool, server) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.progress("write", 2, 2)
        return {"size": 2, "operation": "op-1"}

    server.limits["max_inline_bytes"] = 2
    server.on("memory.write_bytes", handler)
    (tool.directory / "in.bin").write_bytes(b"abcdefgh")
    status, seen = run_on_terminal(tool, "load-bytes", "0", "in.bin", which="stderr")
    assert status == 0
    assert re.findall(r"\] +(\d+) %, (\d+) bytes", seen) == [("25", "2"), ("50", "4"), ("75", "6"), ("100", "8")]


def test_other_commands_show_no_progress_where_there_is_no_terminal(tool, server) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.progress("search", 1, 2)
        return {"matches": ["0x00000001"], "truncated": False, "scanned": 2, "disturbed": False, "operation": "op-1"}

    server.on("memory.search", handler)
    outcome = tool.run("search", "00", "0", "2")
    assert (outcome.out, outcome.error) == ("0x00000001\n", "")
