"""The configuration file: several boards, comments, limits; and files that are wrong, refused with place and reason."""

from __future__ import annotations

import base64
import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.gate import hold_command
from harness.paths import build_file
from harness.processes import Daemon, OpenOcd, Vboard
from harness.stack import FLASH_BASE, KIB, RAM_BASE, make_image

TWO_BOARDS = """// Comments may stand anywhere,
{
    /* also
       over several lines, */
    "boards": [ // and behind things
        {"name": "left", "openocd": "127.0.0.1:%LEFT%"},
        {"name": "right-2.x_y", "openocd": "127.0.0.1:%RIGHT%", "link_limit_ms": 5000 /* too */, "stage_dir": "/tmp"}
    ],
    "dump_root": "%ROOT%", // but "// not in /* texts"
    "anonymous_role": "admin",
    "log_level": "debug",
    "limits": {"max_in_flight": 7, "max_inline_bytes": 1000}
}
//"""
GOOD_BOARD = '{"name": "b", "openocd": "127.0.0.1:1"}'
LEFT, RIGHT = "left", "right-2.x_y"


@pytest.fixture(scope="module", name="two")
def fixture_two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with two boards: one of 8 KiB, one of 16 KiB, with different content."""
    with ExitStack() as stack:
        openocds: List[OpenOcd] = []
        for i, size in enumerate((8 * KIB, 16 * KIB)):
            directory = tmp_path_factory.mktemp(f"board{i}")
            (directory / "image").write_bytes(make_image(size, seed=i))
            flags = ["--flash-size", str(size), "--image", str(directory / "image")]
            vboard = stack.enter_context(Vboard(directory, flags))
            openocds.append(stack.enter_context(OpenOcd(vboard.port)))
        config = directory / "two boards.json"
        text = TWO_BOARDS.replace("%LEFT%", str(openocds[0].port)).replace("%RIGHT%", str(openocds[1].port))
        config.write_text(text.replace("%ROOT%", str(directory)))
        yield stack.enter_context(Daemon(["--config", str(config), "--listen", "tcp:127.0.0.1:0"]))
        assert all(openocd.alive for openocd in openocds)


@pytest.fixture(name="both")
def fixture_both(two: Daemon, connect: Callable[..., Client]) -> Client:
    return connect(two)


def test_boards_are_listed(both: Client) -> None:
    assert both.call("server.hello")["boards"] == [LEFT, RIGHT]
    assert [board["board"] for board in both.call("board.list")["boards"]] == [LEFT, RIGHT]
    assert [board["board"] for board in both.call("server.stats")["boards"]] == [LEFT, RIGHT]


def test_limits_and_role_are_taken(both: Client) -> None:
    hello = both.call("server.hello")
    assert hello["role"] == "admin" and "dump_to_path" in hello["features"]
    assert hello["limits"]["max_in_flight"] == 7 and hello["limits"]["max_inline_bytes"] == 1000
    error = both.fail("memory.read_bytes", board=LEFT, address=FLASH_BASE, size=1001)
    assert error.kind == "limit_exceeded" and error.data["maximum"] == 1000


@pytest.mark.parametrize("board, size, seed", [(LEFT, 8 * KIB, 0), (RIGHT, 16 * KIB, 1)])
def test_each_board_is_its_own(both: Client, board: str, size: int, seed: int) -> None:
    content = make_image(size, seed=seed)
    both.call("target.halt", board=board)
    data = both.call("memory.read_bytes", board=board, address=FLASH_BASE, size=1000)["data"]
    assert base64.b64decode(data) == content[:1000]
    assert both.call("flash.info", board=board)["size"] == size
    assert both.call("flash.verify", board=board, data=base64.b64encode(content).decode())["match"] is True
    both.call("memory.write_u32", board=board, address=RAM_BASE, values=seed + 100)
    status = both.call("board.status", board=board)
    assert status["board"] == board and status["targets"][0]["state"] == "halted"


def test_writing_one_board_leaves_the_other(both: Client) -> None:
    both.call("memory.write_u32", board=LEFT, address=RAM_BASE, values=1)
    both.call("memory.write_u32", board=RIGHT, address=RAM_BASE, values=2)
    both.call("target.halt", board=LEFT)
    both.call("target.reset", board=RIGHT, mode="halt")
    assert both.call("memory.read_u32", board=LEFT, address=RAM_BASE)["values"] == [1]
    image = base64.b64encode(b"x" * 100).decode()
    both.call("flash.write_image", board=LEFT, data=image, address=FLASH_BASE + 4096)
    content = make_image(16 * KIB, seed=1)
    assert both.call("flash.verify", board=RIGHT, data=base64.b64encode(content).decode())["match"] is True


@pytest.mark.parametrize("method, params", [("target.state", {}), ("memory.read_u32", {"address": 0}), ("board.status",
    {})])
def test_the_board_must_be_named(both: Client, method: str, params: Dict[str, Any]) -> None:
    error = both.fail(method, **params)
    assert error.kind == "invalid_params" and error.data["parameter"] == "board"
    for name in ("Left", "right", "left ", "board"):
        error = both.fail(method, board=name, **params)
        assert error.kind == "not_found" and error.data["parameter"] == "board"


def test_operations_and_events_of_one_board(both: Client) -> None:
    both.call("events.subscribe", topics=["operation"], board=RIGHT)
    left = both.call("memory.read_bytes", board=LEFT, address=FLASH_BASE, size=4)["operation"]
    right = both.call("memory.read_bytes", board=RIGHT, address=FLASH_BASE, size=4)["operation"]
    assert {note["params"]["operation"] for note in both.notifications} == {right}
    by_board = {board: [each["operation"] for each in both.call("operation.list", board=board)["operations"]]
    for board in (LEFT, RIGHT)}
    assert left in by_board[LEFT] and left not in by_board[RIGHT] and right in by_board[RIGHT]
    assert {left, right} <= {each["operation"] for each in both.call("operation.list")["operations"]}
    snapshot = both.call("events.subscribe", topics=["link"])["snapshot"]
    assert [board["board"] for board in snapshot["boards"]] == [LEFT, RIGHT]


def test_boards_work_side_by_side(both: Client, two: Daemon, connect: Callable[..., Client], tmp_path: Path) -> None:
    """One that is busy does not hold up the other."""


    other = connect(two)
    held = other.send("openocd.command", board=LEFT, command=hold_command(tmp_path / "go"), timeout_ms=60000)
    for _ in range(20):
        assert both.call("memory.read_u32", board=RIGHT, address=FLASH_BASE)["values"]
    (tmp_path / "go").touch()
    assert other.result(held)["code"] == 0


def test_no_more_in_flight_than_configured(both: Client) -> None:
    """Lines beyond that are read later."""
    lines = "".join(json.dumps(both.make_call("target.state", {"board": LEFT}, i)) + "\n" for i in range(50))
    both.send_bytes(lines.encode())
    assert all(both.result(i)["target"] == "vb.cpu" for i in range(50))


def complain(tmp_path: Path, text: bytes, *flags: str) -> str:
    """What ocdmuxd says of a file, besides its own name, before it ends with status 2."""
    path = tmp_path / "bad.json"
    path.write_bytes(text)
    command = [str(build_file("ocdmuxd")), "--config", str(path), "--listen", "tcp:127.0.0.1:0", *flags]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert outcome.returncode == 2, outcome
    assert outcome.stdout == "" and outcome.stderr.count("\n") == 1, outcome
    start = f"ocdmuxd: {path}"
    assert outcome.stderr.startswith(start), outcome.stderr
    return outcome.stderr[len(start) :]


@pytest.mark.parametrize(
    "text, place",
    [
        ("", ":1:1: "),
        ("   \n\n", ":3:1: "),
        ("{", ":1:2: "),
        ("{}\n}", ":2:1: "),
        ('{\n  "boards": [],\n}', ":3:1: "),
        ('{\n  "boards": [1 2]\n}', ":2:16: "),
        ('{"boards": [], "boards": []}', ":1:16: "),
        ('{\n\t"a": nul\n}', ":2:7: "),
        ("{\n  'boards': []\n}", ":2:3: "),
        ("/* no end\n{}", ":1:1: "),
        ('// a comment\n{ // another\n  "x" 1}', ":3:7: "),
        ('{"a": "two\nlines"}', ":1:11: "),
        ('{"a": 1e999}', ":1:7: "),
        ('{"a": "\\u0000"}', ":1:8: "),
        ("\ufeff{}", ":1:1: "),
    ],
)
def test_bad_json(tmp_path: Path, text: str, place: str) -> None:
    """File, line and column."""
    said = complain(tmp_path, text.encode())
    assert said.startswith(place) and len(said) > len(place) + 3, said


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    assert complain(tmp_path, b'{"a": "\xff"}').startswith(":1:8: ")
    assert complain(tmp_path, b"\x00").startswith(":1:1: ")


@pytest.mark.parametrize(
    "text, member",
    [
        ("[]", "object"),
        ("1", "object"),
        ("{}", "boards"),
        ('{"boards": []}', "boards"),
        ('{"boards": {}}', "boards"),
        ('{"boards": [1]}', "boards[0]"),
        ('{"boards": [{}]}', "boards[0].name"),
        ('{"boards": [{"name": "b"}]}', "boards[0].openocd"),
        ('{"boards": [{"name": "", "openocd": "127.0.0.1:1"}]}', "boards[0].name"),
        ('{"boards": [{"name": 1, "openocd": "127.0.0.1:1"}]}', "boards[0].name"),
        ('{"boards": [{"name": "a b", "openocd": "127.0.0.1:1"}]}', "boards[0]"),
        ('{"boards": [{"name": "b", "openocd": "nowhere"}]}', "boards[0]"),
        ('{"boards": [{"name": "b", "openocd": "127.0.0.1:0"}]}', "boards[0]"),
        ('{"boards": [%B%, %B%]}', "boards[1]"),
        ('{"boards": [%B%, {"name": "c", "openocd": "127.0.0.1:2", "Name": 1}]}', "boards[1].Name"),
        ('{"boards": [{"name": "c", "openocd": "127.0.0.1:2", "link_limit_ms": 999}]}', "boards[0].link_limit_ms"),
        ('{"boards": [{"name": "c", "openocd": "127.0.0.1:2", "stage_dir": ""}]}', "boards[0].stage_dir"),
        ('{"boards": [%B%], "board": 1}', "board"),
        ('{"boards": [%B%], "listen": "tcp:127.0.0.1:0"}', "listen"),
        ('{"boards": [%B%], "listen": [1]}', "listen"),
        ('{"boards": [%B%], "listen": ["tcp:127.0.0.1:0", "x"]}', "listen[1]"),
        ('{"boards": [%B%], "dump_root": ""}', "dump_root"),
        ('{"boards": [%B%], "dump_root": 1}', "dump_root"),
        ('{"boards": [%B%], "anonymous_role": "root"}', "anonymous_role"),
        ('{"boards": [%B%], "anonymous_role": 1}', "anonymous_role"),
        ('{"boards": [%B%], "log_level": "loud"}', "log_level"),
        ('{"boards": [%B%], "insecure": 1}', "insecure"),
        ('{"boards": [%B%], "insecure": "true"}', "insecure"),
        ('{"boards": [%B%], "limits": []}', "limits"),
        ('{"boards": [%B%], "limits": {"max_line": 1}}', "limits.max_line"),
        ('{"boards": [%B%], "limits": {"max_line_bytes": 1023}}', "limits.max_line_bytes"),
        ('{"boards": [%B%], "limits": {"max_line_bytes": 67108865}}', "limits.max_line_bytes"),
        ('{"boards": [%B%], "limits": {"max_line_bytes": "1024"}}', "limits.max_line_bytes"),
        ('{"boards": [%B%], "limits": {"max_in_flight": 0}}', "limits.max_in_flight"),
        ('{"boards": [%B%], "limits": {"max_in_flight": -1}}', "limits.max_in_flight"),
        ('{"boards": [%B%], "limits": {"max_in_flight": 1.5}}', "limits.max_in_flight"),
        ('{"boards": [%B%], "limits": {"max_queued_bytes": 0}}', "limits.max_queued_bytes"),
        ('{"boards": [%B%], "limits": {"max_output_bytes": 1}}', "limits.max_output_bytes"),
        ('{"boards": [%B%], "limits": {"max_inline_bytes": 0}}', "limits.max_inline_bytes"),
        ('{"boards": [%B%], "limits": {"max_clients": 0}}', "limits.max_clients"),
        ('{"boards": [%B%], "limits": {"slow_reader_ms": 99}}', "limits.slow_reader_ms"),
        ('{"boards": [%B%], "limits": {"slow_reader_ms": null}}', "limits.slow_reader_ms"),
        ('{"boards": [%B%], "limits": {"login_ms": 99}}', "limits.login_ms"),
    ],
)
def test_bad_members(tmp_path: Path, text: str, member: str) -> None:
    """File and member."""
    said = complain(tmp_path, text.replace("%B%", GOOD_BOARD).encode())
    assert said.startswith(": ") and f"{member}" in said.split(":")[1] + said, said
    assert said.startswith(f": {member}: ") or member == "object", said


def test_too_many(tmp_path: Path) -> None:
    boards = ",".join('{"name": "b%d", "openocd": "127.0.0.1:1"}' % i for i in range(65))
    assert "boards[64]" in complain(tmp_path, f'{{"boards": [{boards}]}}'.encode())
    listeners = ",".join('"tcp:127.0.0.1:0"' for _ in range(17))
    said = complain(tmp_path, f'{{"boards": [{GOOD_BOARD}], "listen": [{listeners}]}}'.encode())
    assert "listen[16]" in said
    assert "no regular file" in complain(tmp_path, b" " * (4 * KIB * KIB + 1))


def test_what_must_hold_between_members(tmp_path: Path) -> None:
    """Told without a file, for flags may have had a part in it."""
    for flags, text, words in (
        (["--listen", "tcp:0.0.0.0:0"], '{"boards": [%B%]}', "insecure"),
        ([], '{"boards": [%B%], "dump_root": "/does/not/exist"}', "dump_root"),
    ):
        path = tmp_path / "c.json"
        path.write_text(text.replace("%B%", GOOD_BOARD))
        command = [str(build_file("ocdmuxd")), "--config", str(path), "--listen", "tcp:127.0.0.1:0", *flags]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert outcome.returncode == 2 and words in outcome.stderr


@pytest.mark.parametrize("flag", ["--spawn", "--openocd", "--listen", "--state-dir"])
def test_flags_that_are_empty(flag: str) -> None:
    command = [str(build_file("ocdmuxd")), "--openocd", "127.0.0.1:1", "--listen", "tcp:127.0.0.1:0", f"{flag}="]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert outcome.returncode == 2 and outcome.stderr == f"ocdmuxd: {flag}: must not be empty\n"


def test_flags_override_the_file(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    config = """{"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}],
                 "listen": ["tcp:127.0.0.1:1"], "anonymous_role": "admin"}"""
    daemon = make_daemon("--anonymous-role", "observer", config=config)
    assert len(daemon.addresses) == 1 and not daemon.address.endswith(":1")
    assert connect(daemon).call("server.hello")["role"] == "observer"
