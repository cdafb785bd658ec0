"""`ocdmux gdb`: what it gives to gdb, and the pipe to the board's gdb listener, with the real daemon."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from test_cli_daemon import LIMIT_S, ROOT
from test_cli_identity import FAKE_SSH, make_token

sys.path.insert(0, str(ROOT / "mock"))

from control import MockControl  # noqa: E402

from harness.certificates import Authority  # noqa: E402
from harness.gdb import GdbServer, packet  # noqa: E402
from harness.paths import build_file  # noqa: E402
from harness.processes import Daemon  # noqa: E402

FAKE_GDB = """#!/bin/sh
for word in "$@"; do echo "word: $word"; done
env | grep '^OCDMUX_' | sort
exit 5
"""


class Lab:
    """Three boards of one mock, each with a gdb listener of another kind; `tool` shows the token of alice."""

    def __init__(self, tool: Any, server: GdbServer, daemon: Daemon, token: str) -> None:
        self.tool = tool
        self.server = server
        self.daemon = daemon
        self.token = token

    def pipe(self, *options: str) -> subprocess.Popen:
        """`ocdmux gdb --pipe` with pipes."""
        started: subprocess.Popen = self.tool.start("gdb", "--pipe", *options, stdin=subprocess.PIPE)
        return started

    def attach(self, *options: str) -> subprocess.Popen:
        """The same, through which a first packet was answered."""
        process = self.pipe(*options)
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"+" + packet("g"))
        process.stdin.flush()
        assert process.stdout.read(7) == b"+" + packet("OK")
        return process


@pytest.fixture(scope="module", name="shared_lab")
def fixture_shared_lab(tmp_path_factory: pytest.TempPathFactory, make_tool: Callable[..., Any]) -> Iterator[Lab]:
    place = tmp_path_factory.mktemp("lab")
    authority = Authority(place, "authority")
    issued = authority.issue("server", "/CN=localhost", ["DNS:localhost"])
    tool = make_tool(build_file("ocdmux").resolve(), place)
    made = make_token(tool, "alice")
    listeners = {"plain": "tcp:0.0.0.0:0", "secret": "tls:127.0.0.1:0", "here": f"unix:{place}/gdb.sock"}
    with MockControl.start() as mock, GdbServer() as server:
        boards: List[Dict[str, Any]] = [
            {"name": name, "openocd": f"127.0.0.1:{mock.tcl_port}",
             "gdb": {"listen": listen, "openocd": f"127.0.0.1:{server.port}"}}
            for name, listen in listeners.items()
        ]  # fmt: skip
        boards.append({"name": "none", "openocd": f"127.0.0.1:{mock.tcl_port}"})
        config = {
            "boards": boards,
            "tokens": [made["entry"]],
            "tls": {"certificate": str(issued.certificate), "key": str(issued.key)},
            "insecure": True,
            "listen": [f"unix:{place}/d.sock", "tls:127.0.0.1:0"],
        }
        (place / "lab.json").write_text(json.dumps(config))
        with Daemon(["--config", str(place / "lab.json")], listeners=2) as daemon:
            tool.set(OCDMUX_SERVER=daemon.addresses[0], OCDMUX_TOKEN=made["token"],
                     OCDMUX_CA=str(authority.pair.certificate))
            for name in listeners:
                assert tool.run("read", "0x20000000", "--board", name).status == 0
            yield Lab(tool, server, daemon, made["token"])


@pytest.fixture(name="lab")
def fixture_lab(shared_lab: Lab) -> Iterator[Lab]:
    """`shared_lab` with its own environment, whose pipe must work behind each test."""
    before = dict(shared_lab.tool.environment)
    yield shared_lab
    shared_lab.tool.environment = before
    for process in shared_lab.tool.processes:
        if process.poll() is None:
            process.kill()
            process.communicate()
    assert shared_lab.tool.finish(shared_lab.attach("--board", "here")).status == 0
    shared_lab.server.received = b""


@pytest.mark.parametrize("board_name", ["plain", "secret", "here"])
def test_the_pipe_goes_to_the_boards_listener(lab: Lab, board_name: str) -> None:
    """Found by board.status, and called by the name that the server itself was reached by."""
    server = lab.daemon.addresses[1].replace("127.0.0.1", "localhost")
    where = ["--server", server] if board_name == "secret" else []
    outcome = lab.tool.finish(lab.attach("--board", board_name, *where))
    assert (outcome.status, outcome.out, outcome.error) == (0, "", "")
    assert lab.server.received == b"+" + packet("g")


def test_the_pipe_tells_the_whole_reason(lab: Lab) -> None:
    lease = lab.tool.run("lease", "acquire", "--board", "here", "--reason", "night shift").out.strip()
    lab.tool.set(OCDMUX_TOKEN=lab.token)
    outcome = lab.tool.run("gdb", "--pipe", "--board", "here", "--target", "nope")
    assert outcome.status == 1
    assert outcome.error.startswith('ocdmux: not_found: the board has no target "nope"\n  parameter: target\n')
    held = lab.tool.run("gdb", "--pipe", "--board", "here", "--lease", "0" * 32)
    assert held.status == 1 and held.error.startswith("ocdmux: lease_lost: the lease has ended")
    assert lab.tool.finish(lab.attach("--board", "here", "--lease", lease)).status == 0
    assert lab.tool.run("lease", "release", "--board", "here", "--lease", lease).status == 0


def test_boards_without_gdb_are_told_before_gdb_starts(lab: Lab) -> None:
    for more in ([], ["--pipe"]):
        outcome = lab.tool.run("gdb", "--board", "none", *more)
        assert outcome.status == 1 and outcome.out == ""
        assert outcome.error.startswith("ocdmux: unsupported: the board takes no gdb")


def test_gdb_is_started_with_everything_set_up(lab: Lab, tmp_path: Path) -> None:
    """Secrets are in its environment alone."""
    fake = tmp_path / "fake gdb"
    fake.write_text(FAKE_GDB)
    fake.chmod(0o755)
    outcome = lab.tool.run("gdb", "--gdb", str(fake), "--board", "here", "--wait", "7", "--target", "vb.cpu", "--",
                           "-ex", "load", "program.elf")
    assert outcome.status == 5, outcome
    words = [line[6:] for line in outcome.out.splitlines() if line.startswith("word: ")]
    assert words == ["-iex", "set remotetimeout 17",
                     "-ex", f"target extended-remote | '{lab.tool.program}' gdb --pipe", "-ex", "load", "program.elf"]
    variables = dict(line.split("=", 1) for line in outcome.out.splitlines() if line.startswith("OCDMUX_"))
    assert variables["OCDMUX_TOKEN"] == lab.token and lab.token not in " ".join(words)
    assert variables["OCDMUX_BOARD"] == "here" and variables["OCDMUX_SERVER"] == lab.daemon.addresses[0]
    assert variables["OCDMUX_GDB_TARGET"] == "vb.cpu" and variables["OCDMUX_GDB_WAIT"] == "7"
    # What the variables say is what the pipe does.
    lab.tool.set(**{**variables, "OCDMUX_GDB_TARGET": "nope"})
    assert "no target" in lab.tool.run("gdb", "--pipe").error


def test_gdb_that_is_not_there(lab: Lab) -> None:
    outcome = lab.tool.run("gdb", "--gdb", "/nowhere/gdb", "--board", "here")
    assert outcome.status == 127 and outcome.error == "ocdmux: /nowhere/gdb: No such file or directory\n"


@pytest.mark.parametrize("words", [["--wait", "601"], ["--wait", "x"], ["--gdb"], ["--nope"], ["--pipe", "x"]])
def test_gdb_usage(lab: Lab, words: List[str]) -> None:
    outcome = lab.tool.run("gdb", *words)
    assert outcome.status == 2 and "bad usage" in outcome.error


@pytest.mark.parametrize("answer", [b"hello\n", b"ok {\n", b"x" * 20000 + b"\n", b""],
                         ids=["words", "cut", "long", "end"])
def test_listeners_that_are_none(lab: Lab, answer: bytes) -> None:
    """What answers is no listener of ocdmux's, or nothing answers."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:

        def serve() -> None:
            connection, _ = stranger.accept()
            with connection, suppress(OSError):  # the other end goes as soon as it has seen enough
                connection.recv(4096)
                connection.sendall(answer)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = stranger.getsockname()[1]
        outcome = lab.tool.run("gdb", "--pipe", "--board", "here", "--at", f"tcp:127.0.0.1:{port}")
        thread.join(LIMIT_S)
    assert outcome.status == 3 and outcome.out == ""
    assert ("connection_lost" if answer == b"" else "protocol_error") in outcome.error


def test_ssh_is_told_what_to_do(lab: Lab, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(FAKE_SSH.format(directory=tmp_path, server=lab.daemon.addresses[0], program=lab.tool.program))
    ssh.chmod(0o755)
    lab.tool.set(OCDMUX_SSH=str(ssh), OCDMUX_SERVER="ssh:lab")
    outcome = lab.tool.run("gdb", "--board", "here")
    assert outcome.status == 1
    assert "'target extended-remote | ssh lab ocdmux gdb --pipe'" in outcome.error, outcome


def test_status_shows_gdb(lab: Lab) -> None:
    process = lab.attach("--board", "here")
    shown = lab.tool.run("status", "--board", "here").out
    assert f"gdb: taken on unix:{os.path.dirname(lab.daemon.addresses[0][5:])}/gdb.sock" in shown
    assert "gdb: alice is attached to vb.cpu since " in shown and "lease: alice (gdb): gdb is attached" in shown
    assert lab.tool.finish(process).status == 0
