"""What a person at a terminal sees: bars, and nothing that plays with the terminal."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from typing import Any, Callable, Dict, List, Tuple

import pytest

from fake_server import NO_ANSWER


def run_on_terminal(tool: Any, *arguments: str, which: str = "stdout", columns: int = 120,
                    look: Callable[[str], None] = lambda got: None) -> Tuple[int, str]:
    """Runs with standard output or error on a terminal of that width: the exit status and what came there. `look` gets
    all of it each time that something has come."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
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
        look(got.decode("utf-8", "replace"))
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
    drawn = [re.sub(r", [0-9.]+ [^ ]*/s(, [0-9:]+ left)?", "", line) for line in seen.replace("\x1b[K", "").split("\r") if line.strip()]
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


@pytest.mark.parametrize("columns, bar", [(120, 30), (60, 19), (46, 5), (45, 0), (20, 0), (2, 0), (0, 30)])
def test_bar_keeps_to_the_width_of_the_terminal(tool, server, examples, columns, bar) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.progress("program", 1, 4, unit="pieces of something")
        return examples["flash.write_image"]

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    status, seen = run_on_terminal(tool, "flash", "fw.bin", which="stderr", columns=columns)
    assert status == 0
    line = seen.replace("\x1b[K", "").strip("\r\n")
    whole = "program  " + (f"[{'#' * (bar * 25 // 100):.<{bar}}]" if bar else "") + "  25 %, 1 pieces of something"
    assert line == (whole if columns == 0 else whole[:columns - 1])


def test_characters_that_may_be_wide_count_twice(tool, server, examples) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.progress("\u66f8" * 40, 1, unit="bytes")
        return examples["flash.write_image"]

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    seen = run_on_terminal(tool, "flash", "fw.bin", which="stderr", columns=16)[1]
    assert seen.replace("\x1b[K", "").strip("\r\n") == "\u66f8" * 7


def is_drawn(tool: Any, server: Any, result: Any, first: Tuple[int, int], then: Tuple[int, int], wanted: str) -> bool:
    """Whether a flash that tells `first`, and then `then` again and again, comes to draw a line that ends as wanted."""
    drawn = threading.Event()

    def handler(call: Any) -> Dict[str, Any]:
        call.progress("program", *first)
        for _ in range(2000):
            call.progress("program", *then)
            if drawn.wait(0.01):
                break
        return result

    def look(got: str) -> None:
        if re.search(wanted + "\x1b\\[K$", got):
            drawn.set()

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    run_on_terminal(tool, "flash", "fw.bin", which="stderr", look=look)
    return drawn.is_set()


@pytest.mark.parametrize("first, then, wanted", [
    ((0, 2048), (1024, 2048), r"\rprogram  \[#{15}\.{15}\]  50 %, 1024 bytes, [0-9.]+ KiB/s, [0-9]+:[0-9]{2} left"),
    ((0, 1 << 24), (64, 1 << 24), r"KiB/s, [0-9]{1,2}:[0-9]{2}:[0-9]{2} left"),
    ((0, 1 << 52), (1, 1 << 52), r"KiB/s, > 99 h left"),
    ((0, 2048), (2048, 2048), r"100 %, 2048 bytes, [0-9.]+ KiB/s"),
    ((0, 2048), (9999, 2048), r"100 %, 9999 bytes, [0-9.]+ KiB/s"),
    ((6, 10), (5, 10), r" 50 %, 5 bytes"),
])
def test_bar_tells_the_rate_and_the_time_left(tool, server, examples, first, then, wanted) -> None:
    assert is_drawn(tool, server, examples["flash.write_image"], first, then, wanted)


def test_upload_has_a_bar_of_its_own(tool, server, examples, stages) -> None:
    server.limits["max_inline_bytes"] = 40000
    (tool.directory / "fw.bin").write_bytes(bytes(100000))
    status, seen = run_on_terminal(tool, "flash", "fw.bin", which="stderr")
    assert status == 0
    assert re.findall(r"upload   \[[#.]{30}\] +(\d+) %, (\d+) bytes", seen) == [
        ("0", "0"), ("40", "40000"), ("80", "80000"), ("100", "100000")]
    assert seen.endswith("\r\n")


def sectors(*protected: Any) -> List[Dict[str, Any]]:
    """Sectors of 1 KiB, and one of 4 KiB at last."""
    rows = [{"index": index, "offset": 1024 * index, "size": 1024, "protected": value} for index, value in enumerate(protected)]
    return [*rows, {"index": len(rows), "offset": 1024 * len(rows), "size": 4096, "protected": False}]


def test_equal_sectors_share_a_line_on_a_terminal(tool, server, examples) -> None:
    info = {**examples["flash.info"], "sectors": sectors(True, True, False, False, None, False), "protection_blocks": []}
    server.on("flash.info", info)
    status, seen = run_on_terminal(tool, "info")
    assert status == 0
    assert seen.replace("\r", "").split("\n\n")[1] == (
        "sector  address     offset      size  protected\n"
        "   0-1  0x08000000       0  2 x 1024  yes\n"
        "   2-3  0x08000800    2048  2 x 1024  no\n"
        "     4  0x08001000    4096      1024  unknown\n"
        "     5  0x08001400    5120      1024  no\n"
        "     6  0x08001800    6144      4096  no\n")
    assert run_on_terminal(tool, "info", "--all")[1].replace("\r", "").split("\n\n")[1].count("\n") == 8
    server.on("flash.protect", {"sectors": sectors(True, True)[:2], "reset_needed": False})
    assert "   0-1       0  2 x 1024  yes" in run_on_terminal(tool, "protect", "on", "0-1")[1]


def test_sectors_with_holes_do_not_share_a_line(tool, server, examples) -> None:
    rows = sectors(False, False, False)[:3]
    rows[1]["offset"] = 4096
    rows[2]["index"] = 9
    server.on("flash.info", {**examples["flash.info"], "sectors": rows, "protection_blocks": []})
    assert run_on_terminal(tool, "info")[1].replace("\r", "").split("\n\n")[1].count("\n") == 4


def test_download_refuses_a_terminal(tool, server, stages) -> None:
    stages.add(b"abc")
    status, seen = run_on_terminal(tool, "download", "stage0")
    assert (status, seen) == (2, "") and server.requests == []
