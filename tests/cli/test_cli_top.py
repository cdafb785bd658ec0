"""top, on a terminal: what a person sees of a daemon, live."""

import copy
import re
import signal
import subprocess
import termios
from typing import Any, Dict, List

import pytest

from fake_server import FakeServer
from terminal import Terminal
from test_cli_daemon import RAM, fixture_board, fixture_daemon  # noqa: F401  pylint: disable=unused-import

EVIL = "a\x1b]0;title\x07\x9bb\u202ec\nd"
SAFE = "a\\x1b]0;title\\x07"


def percents(rows: List[str]) -> List[int]:
    """Of the bars that are shown."""
    return [int(found) for row in rows for found in re.findall(r"^runs   \[[#.]+\] +(\d+) %", row)]


def is_cooked(terminal: Terminal) -> bool:
    """Whether the terminal is as it was before."""
    flags = termios.tcgetattr(terminal._leader)[3]  # pylint: disable=protected-access
    return flags & termios.ICANON != 0 and flags & termios.ECHO != 0


def test_top_of_a_daemon(daemon, board) -> None:
    """Boards, the lease, progress and clients appear, change and go."""
    terminal = Terminal(daemon, "top", "--interval", "200")
    rows = terminal.wait(lambda rows: any(row.startswith("anonymous") and "target link" in row for row in rows), "itself")
    terminal.wait(lambda rows: re.match(r"ocdmux top  up 0:00:\d\d  1 client  \d+ requests/s  unix:/", rows[0]), "the title")
    assert rows[2].split() == ["BOARD", "LINK", "TARGETS", "LEASE", "WAIT", "QUEUE", "CMD/S", "BUSY", "%", "RUNS"]
    terminal.wait(lambda rows: re.match(r"board +(idle|busy) +vb.cpu running +- +0 +0 ", rows[3]), "the board")
    assert rows[-1] == "q quit  up/down board  s sort clients  r refresh"
    terminal.wait_text("lease  free")
    lease = daemon.run("lease", "acquire", "--reason", "night shift").out.strip()
    rows = terminal.wait_text("night shift")
    assert any(re.match(r"lease  anonymous \(ocdmux .*\), held until \d\d:\d\d:\d\d UTC: night shift$", row) for row in rows)
    assert lease not in terminal.raw.decode()
    waiting = daemon.start("lease", "acquire", "--reason", "day shift", "--wait", "60")
    terminal.wait(lambda rows: any(re.match("waits  1. anonymous .*: day shift", row) for row in rows), "who waits")
    board("fault", action="delay", ms=100, times=0, match="read_memory|dump_image")
    dump = daemon.start("dump", hex(RAM), "16000", "-", stdout=subprocess.DEVNULL)
    rows = terminal.wait(lambda rows: percents(rows) and percents(rows)[0] > 0, "progress")
    seen = percents(rows)[0]
    rows = terminal.wait(lambda rows: percents(rows) and percents(rows)[0] > seen, "more progress")
    assert re.match(r"board .* \d+ % memory", rows[3]), "\n".join(rows)
    terminal.wait(lambda rows: sum(row.startswith("anonymous") for row in rows) == 3, "the other clients")
    terminal.wait_text("queue  anonymous 1")
    board("clear_faults")
    assert dump.wait(60) == 0
    terminal.wait(lambda rows: not percents(rows), "its end")
    assert daemon.run("lease", "release", "--lease", lease).status == 0
    terminal.wait(lambda rows: any("day shift" in row and row.startswith("lease") for row in rows), "the next")
    other = daemon.finish(waiting).out.strip()
    daemon.run("lease", "release", "--lease", other)
    board("target_state", state="halted")
    terminal.wait_text("vb.cpu halted")
    terminal.wait(lambda rows: sum(row.startswith("anonymous") for row in rows) == 1, "the end of the others")
    assert terminal.end() == 0 and is_cooked(terminal)


def status(name: str, examples: Dict[str, Any], **members: Any) -> Dict[str, Any]:
    """A board like that of the example."""
    return {**copy.deepcopy(examples["board.status"]), "board": name, **members}


@pytest.fixture(name="boards")
def fixture_boards(server: FakeServer, examples: Dict[str, Any]) -> Dict[str, Dict[str, Any]]:
    """Three boards of the fake server, by name, as they are asked for; the snapshot has them too."""
    boards = {name: status(name, examples) for name in ("one", "two", "three")}
    boards["one"]["lease"].update(identity=EVIL, client=EVIL, reason=EVIL)
    boards["two"].update(operations=[], queue=[], queued=0)
    del boards["two"]["running"], boards["two"]["lease"]
    server.on("board.status", lambda call: boards[call.params["board"]])
    server.on("events.subscribe", lambda call: {
        "topics": call.params["topics"], "seq": 0, "snapshot": {"boards": copy.deepcopy(list(boards.values()))}})
    return boards


def event(server: FakeServer, seq: int, **members: Any) -> None:
    """Sends an event to the last connection."""
    notification = {"jsonrpc": "2.0", "method": "event", "params": {"seq": seq, **members}}
    server.check(server.contract.check_notification, notification)
    server.connections[-1].send(notification)


def test_events_change_the_picture(tool, server, boards, examples) -> None:
    terminal = Terminal(tool, "top", "--interval", "60000")
    terminal.wait_text("runs   [#.......................]   6 % memory.read_bytes by alice")
    running = {"board": "one", "operation": "op-7", "method": "memory.read_bytes", "identity": "alice", "state": "running"}
    progress = {"phase": "read", "done": 32768, "total": 65536, "unit": "bytes"}
    event(server, 1, topic="operation", **running, progress=progress)
    terminal.wait_text("runs   [############............]  50 % memory.read_bytes by alice")
    event(server, 2, topic="operation", **{**running, "operation": "op-8", "method": "flash.write_image", "state": "queued"})
    terminal.wait_text("queued flash.write_image by alice")
    event(server, 3, topic="operation", **{**running, "state": "done"})
    terminal.wait_no_text("memory.read_bytes by alice, read")
    event(server, 4, topic="queue", board="one", queued=9, queue=[{"identity": "bob", "queued": 9}])
    terminal.wait_text("queue  bob 9")
    boards["one"].update(lease_queue=[], require_lease=True)
    del boards["one"]["lease"]
    event(server, 5, topic="lease", board="one", kind="released", identity="x", waiting=0)
    terminal.wait_text("lease  free, and needed for changes")
    boards["one"].update(link="down", last_error="connection refused")
    event(server, 6, topic="link", board="one", state="down", reason="connection refused")
    terminal.wait_text("link   connection refused")
    event(server, 8, topic="dropped", lost=1, snapshot={"boards": [status("four", examples)]})
    terminal.wait(lambda rows: any(re.match("four +busy", row) for row in rows), "the board of the snapshot")
    assert terminal.end() == 0


def order(rows: List[str]) -> List[str]:
    """Of the two clients."""
    return [row.split()[0] for row in rows if row.startswith(("zoe", "amy"))]


def test_keys_choose_and_sort(tool, server, boards) -> None:
    row = server.handlers["client.list"](None)["clients"][0]
    server.on("client.list", {"total": 2, "clients": [
        {**row, "connection": 1, "identity": "zoe", "in_flight": 5}, {**row, "connection": 2, "identity": "amy", "in_flight": 1}]})
    terminal = Terminal(tool, "top")
    terminal.wait_text("board  one: ")
    terminal.wait(lambda rows: any("FLIGHT*" in row for row in rows) and order(rows) == ["zoe", "amy"], "the order")
    terminal.press(b"j")
    terminal.wait_text("board  two: ")
    terminal.press(b"\x1b[B\x1b[B\x1b[B")
    terminal.wait_text("board  three: ")
    terminal.press(b"\x1b[A")
    terminal.wait_text("board  two: ")
    terminal.press(b"sss")
    terminal.wait(lambda rows: any("IDENTITY*" in row for row in rows) and order(rows) == ["amy", "zoe"], "another order")
    asked = len(server.called("board.status"))
    terminal.press(b"r")
    server.wait_for("board.status", asked + 3)
    assert terminal.end(b"\x03") == 0 and is_cooked(terminal)


def test_nothing_of_others_plays_with_the_terminal(tool, server, boards) -> None:
    terminal = Terminal(tool, "top", columns=200)
    terminal.wait_text(f"lease  {SAFE}")
    terminal.end()
    assert b"\x07" not in terminal.raw and b"\x9b" not in terminal.raw and b"]0;t" not in terminal.raw.replace(b"\\x1b]0;t", b"")


def test_a_terminal_without_utf8(tool, server, boards) -> None:
    boards["one"]["lease"].update(identity="zo\u00eb", client="\u66f8", reason="\u0301")
    terminal = Terminal(tool, "top", charset="C")
    terminal.wait_text("lease  zo? (?), held until 12:35:56 UTC: ?")
    assert terminal.end() == 0 and all(byte < 0x80 for byte in terminal.raw)


def test_another_size(tool, server, boards) -> None:
    terminal = Terminal(tool, "top")
    terminal.wait_text("SUBSCRIBED")
    terminal.resize(24, 40)
    rows = terminal.wait(lambda rows: rows[2].split() == ["BOARD", "LINK", "RUNS"], "the narrow table")
    assert not any("SUBSCRIBED" in row for row in rows) and all(len(row) <= 40 for row in rows)
    terminal.resize(4, 12)
    terminal.wait(lambda rows: [row.split()[:1] for row in rows] == [["ocdmux"], [], ["BOARD"], ["one"]], "four rows")
    terminal.resize(30, 120)
    terminal.wait_text("SUBSCRIBED")
    assert terminal.end() == 0


def test_the_server_goes_and_comes_back(tool, server, boards, tmp_path) -> None:
    terminal = Terminal(tool, "top")
    terminal.wait_text("board  one: ")
    server.close()
    (tmp_path / "server.sock").unlink()
    terminal.wait(lambda rows: re.match(r"the server is gone, next try in \d\.\d s: cannot connect to ", rows[1]), "the first try")
    assert any("board  one: " in row for row in terminal.look())
    back = FakeServer(str(tmp_path / "server.sock"))
    back.handlers = {**server.handlers, "server.hello": back.hello}
    boards["one"]["version"] = "0.99"
    terminal.wait_text("0.99")
    terminal.wait_no_text("the server is gone")
    assert terminal.end() == 0 and is_cooked(terminal)
    back.close()
    assert back.problems == []


def test_a_signal_leaves_the_terminal_in_order(tool, server, boards) -> None:
    terminal = Terminal(tool, "top")
    terminal.wait_text("board  one: ")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.end(None) == 0 and is_cooked(terminal)


def test_top_without_a_terminal(tool, server) -> None:
    outcome = tool.run("top")
    assert (outcome.status, outcome.out, server.requests) == (2, "", [])
    assert outcome.error.startswith("ocdmux: bad usage: top needs a terminal; for scripts there is 'ocdmux status --json'\n")
    terminal = Terminal(tool, "top", "--json")
    assert terminal.end(None) == 2 and server.requests == []


def test_a_terminal_that_nobody_knows(tool, server, boards) -> None:
    terminal = Terminal(tool, "top", stderr=subprocess.PIPE, term="nonesuch")
    assert terminal.end(None) == 1
    assert terminal.process.stderr.read() == b"ocdmux: no_terminal: $TERM is 'nonesuch', which names no terminal to draw on\n"
