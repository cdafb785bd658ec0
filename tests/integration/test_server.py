"""server.*, rpc.discover, board.*, roles, listeners and the command line."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from harness.client import Client
from harness.paths import PROTOCOL, build_file
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack
from harness.waiting import wait_until

pytestmark = pytest.mark.both  # short, and a look at everything

ROLES = ("observer", "user", "admin")


def test_hello(client: Client) -> None:
    hello = client.call("server.hello", client="a test")
    assert hello["identity"] == "anonymous" and hello["role"] == "admin" and hello["boards"] == ["board"]
    assert hello["protocol"] == 1 and hello["version"]
    assert hello["limits"]["max_batch"] == 64 and hello["limits"]["max_line_bytes"] == 8 * KIB * KIB


def test_features_name_what_there_is(client: Client) -> None:
    """Each word once and told of in the protocol; and one for each namespace of methods that a daemon may lack."""
    words = client.call("server.hello")["features"]
    methods = {method["name"]: method for method in json.loads(PROTOCOL.read_text(encoding="utf-8"))["methods"]}
    told = methods["server.hello"]["description"]
    assert len(words) == len(set(words)) and all(f"`{word}`" in told for word in words)
    spaces = {name.partition(".")[0] for name in methods} - {"server", "rpc", "request", "board", "client", "openocd"}
    assert {space if space != "operation" else "operations" for space in spaces} <= set(words)
    assert {"step", "wait", "load_image", "write_changed", "openocd.command"} <= set(words)
    assert not {"tls", "token", "image_from_path"} & set(words)


def test_hello_again_renames(client: Client) -> None:
    client.call("server.hello", client="x" * 128)
    client.call("server.hello", client="ümläut [exit] $x")
    client.call("server.hello")
    operation = client.call("memory.read_bytes", address=FLASH_BASE, size=1)["operation"]
    assert client.call("operation.status", operation=operation)["client"] == "ümläut [exit] $x"


def test_a_token_where_none_is_configured(client: Client) -> None:
    """Whoever sends one believes himself to be somebody: he must not go on as anonymous unawares."""
    error = client.fail("server.hello", client="x", token="secret")
    assert error.kind == "unauthenticated"
    assert "secret" not in error.message
    assert client.call("server.hello")["identity"] == "anonymous"


def test_discover_is_the_protocol(client: Client) -> None:
    assert client.call("rpc.discover") == json.loads(PROTOCOL.read_text(encoding="utf-8"))


def test_board_list(client: Client, stack: Stack) -> None:
    (board,) = client.call("board.list")["boards"]
    assert board["board"] == "board" and board["openocd"] == f"127.0.0.1:{stack.tcl_port}"
    assert board["link"] == "idle" and board["version"].startswith("Open On-Chip Debugger 0.12.0")


def test_stats_count(client: Client, stack: Stack) -> None:
    before = client.call("server.stats")
    other = stack.client()
    other.call("memory.read_bytes", address=FLASH_BASE, size=5000)
    other.call("memory.write_bytes", address=RAM_BASE, data="00" * 3000, encoding="hex")
    other.fail("memory.read_u32", address=0x60000000)
    other.send_text("nonsense")
    other.error(None)
    other.call("memory.read_bytes", address=FLASH_BASE, size=4, progress=1)
    after = client.call("server.stats")
    assert after["clients"] == before["clients"] + 1 and after["clients_total"] == before["clients_total"] + 1
    assert after["errors"] == before["errors"] + 2 and after["lines_refused"] == before["lines_refused"] + 1
    assert after["requests"] == before["requests"] + 5, "its own call counts, and that of `before` was counted there"
    assert after["notifications"] >= before["notifications"] + 2
    assert after["uptime_ms"] >= before["uptime_ms"]
    old, new = before["boards"][0], after["boards"][0]
    assert new["bytes_read"] == old["bytes_read"] + 5004 and new["bytes_written"] == old["bytes_written"] + 3000
    assert new["commands"] >= old["commands"] + 4 and new["link_busy_ms"] >= old["link_busy_ms"]
    assert (new["queued"], new["running"], new["reconnects"], new["link"]) == (0, 0, 0, "idle")
    other.close()
    wait_until(lambda: client.call("server.stats")["clients"] == before["clients"], "the other to be gone")


# Roles.

NEEDS: Dict[str, List[Any]] = {
    "observer": [
        ("memory.read_u32", {"address": FLASH_BASE}),
        ("memory.read_bytes", {"address": FLASH_BASE, "size": 4}),
        ("memory.search", {"start": FLASH_BASE, "end": FLASH_BASE + 4, "pattern": "AA=="}),
        ("flash.info", {}),
        ("flash.verify", {"data": "AAAA"}),
        ("target.state", {}),
        ("target.list", {}),
        ("board.status", {}),
        ("operation.list", {}),
        ("events.subscribe", {"topics": ["link"]}),
    ],
    "user": [
        ("memory.write_u8", {"address": RAM_BASE, "values": 1}),
        ("memory.write_u16", {"address": RAM_BASE, "values": 1}),
        ("memory.write_u32", {"address": RAM_BASE, "values": 1}),
        ("memory.write_u64", {"address": RAM_BASE, "values": 1}),
        ("memory.write_bytes", {"address": RAM_BASE, "data": "AAAA"}),
        ("target.reset", {"mode": "halt"}),
        ("target.resume", {}),
        ("target.halt", {}),
    ],
    "admin": [("openocd.command", {"command": "version"})],
}


@pytest.mark.parametrize("role", ROLES)
def test_roles(make_daemon: Callable[..., Daemon], connect: Callable[..., Client], role: str) -> None:
    """Each may do what the ones before it may, and nothing more."""
    client = connect(make_daemon("--anonymous-role", role))
    assert client.call("server.hello")["role"] == role
    for needed, calls in NEEDS.items():
        for method, params in calls:
            if ROLES.index(needed) <= ROLES.index(role):
                client.call(method, **params)
                continue
            error = client.fail(method, **params)
            assert error.kind == "forbidden" and error.data["role"] == needed
            assert needed in error.message and role in error.message
    if role == "observer":
        assert client.fail("flash.write_image", data="AAAA").kind == "forbidden"


def test_user_is_the_default_role(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    assert connect(make_daemon()).call("server.hello")["role"] == "user"


def test_what_is_forbidden_is_not_run(make_daemon: Callable[..., Daemon], connect: Callable[..., Client],
    client: Client) -> None:
    client.call("memory.write_u32", address=RAM_BASE, values=5)
    observer = connect(make_daemon("--anonymous-role", "observer"))
    assert observer.fail("memory.write_u32", address=RAM_BASE, values=6).kind == "forbidden"
    assert observer.fail("memory.write_u32", address="bad", values=[]).kind == "forbidden"
    assert observer.call("memory.read_u32", address=RAM_BASE)["values"] == [5]


# Listeners.


def test_several_listeners(make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path) -> None:
    path = tmp_path / "mux.sock"
    daemon = make_daemon(listen=["tcp:127.0.0.1:0", f"unix:{path}", "tcp:127.0.0.1:0"])
    assert len(set(daemon.addresses)) == 3 and f"unix:{path}" in daemon.addresses
    for address in daemon.addresses:
        assert connect(daemon, address=address).call("memory.read_u32", address=FLASH_BASE)["values"]
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o007 == 0, "others may connect"
    assert daemon.stop() == 0
    assert not path.exists()


def test_a_socket_file_that_was_left_behind(make_daemon: Callable[..., Daemon], connect: Callable[..., Client],
    tmp_path: Path) -> None:
    path = tmp_path / "mux.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    daemon = make_daemon(listen=[f"unix:{path}"])
    assert connect(daemon).call("server.hello")
    with pytest.raises(RuntimeError, match="somebody else listens"):
        make_daemon(listen=[f"unix:{path}"])
    assert connect(daemon).call("server.hello")


def test_default_listeners(stack: Stack, validator: Any, tmp_path: Path) -> None:
    """The Unix one; the TCP port may be somebody's, and is not tried here."""
    with Daemon(
        ["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", f"unix:{tmp_path}/only"],
        env={"XDG_RUNTIME_DIR": str(tmp_path)},
    ) as daemon:
        assert daemon.addresses == [f"unix:{tmp_path}/only"], "--listen replaces the defaults"


def test_more_clients_than_allowed_wait(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    """In the kernel's queue, until one has gone."""
    config = '{"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}], "limits": {"max_clients": 2}}'
    daemon = make_daemon(config=config)
    first, second = connect(daemon), connect(daemon)
    assert first.call("server.hello") and second.call("server.hello")
    third = connect(daemon)
    late = third.send("server.stats")
    assert first.call("server.stats")["clients"] == 2
    second.close()
    assert third.result(late)["clients"] == 2


# The command line.


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """ocdmuxd with arguments that make it end by itself."""
    command = [str(build_file("ocdmuxd")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_help() -> None:
    outcome = run("--help")
    assert outcome.returncode == 0 and outcome.stderr == ""
    for option in ("--openocd", "--config", "--listen", "--board", "--dump-root", "--stage-dir", "--anonymous-role",
        "--insecure"):
        assert option in outcome.stdout
    assert max(len(line) for line in outcome.stdout.splitlines()) <= 120


def test_version() -> None:
    outcome = run("--version")
    assert outcome.returncode == 0 and outcome.stdout.startswith("ocdmuxd ")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "no board"),
        (["--nonsense"], "nonsense"),
        (["--openocd"], "argument"),
        (["extra"], "no arguments"),
        (["--openocd", "127.0.0.1:1", "extra"], "no arguments"),
        (["--openocd", "127.0.0.1"], "127.0.0.1"),
        (["--openocd", "127.0.0.1:0"], "127.0.0.1:0"),
        (["--openocd", "127.0.0.1:65536"], "65536"),
        (["--openocd", "127.0.0.1:x"], "127.0.0.1:x"),
        (["--openocd", "127.0.0.1:1", "--board", "a b"], "name"),
        (["--openocd", "127.0.0.1:1", "--board", ""], "--board"),
        (["--openocd", "127.0.0.1:1", "--board", "x" * 65], "name"),
        (["--openocd", "127.0.0.1:1", "--listen", "127.0.0.1:1"], "--listen"),
        (["--openocd", "127.0.0.1:1", "--listen", "udp:127.0.0.1:1"], "--listen"),
        (["--openocd", "127.0.0.1:1", "--listen", "tcp:127.0.0.1:99999"], "--listen"),
        (["--openocd", "127.0.0.1:1", "--listen", "unix:"], "--listen"),
        (["--openocd", "127.0.0.1:1", "--listen", "unix:" + "x" * 200], "--listen"),
        (["--openocd", "127.0.0.1:1", "--listen", "tcp:0.0.0.0:0"], "insecure"),
        (["--openocd", "127.0.0.1:1", "--anonymous-role", "root"], "--anonymous-role"),
        (["--openocd", "127.0.0.1:1", "--log-level", "loud"], "--log-level"),
        (["--openocd", "127.0.0.1:1", "--dump-root", "/does/not/exist"], "/does/not/exist"),
        (["--openocd", "127.0.0.1:1", "--dump-root", "/dev/null"], "/dev/null"),
        (["--config", "/does/not/exist"], "/does/not/exist"),
        (["--config", "/tmp"], "/tmp"),
        (["--config", "/x", "--openocd", "127.0.0.1:1"], "--config"),
        (["--config", "/x", "--board", "b"], "--config"),
    ],
)
def test_bad_usage(arguments: List[str], words: str) -> None:
    """Exit status 2, one clear line, and nothing on stdout."""
    outcome = run(*arguments)
    assert outcome.returncode == 2, outcome
    assert words in outcome.stderr and "ocdmuxd" in outcome.stderr and outcome.stdout == ""


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = run("--openocd", "127.0.0.1:1", "--listen", f"tcp:127.0.0.1:{port}")
    assert outcome.returncode == 1 and str(port) in outcome.stderr


def test_insecure_allows_what_it_says(make_daemon: Callable[..., Daemon]) -> None:
    daemon = make_daemon("--insecure", listen=["tcp:0.0.0.0:0"])
    assert daemon.addresses[0].startswith("tcp:0.0.0.0:")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_signals_end_it_well(make_daemon: Callable[..., Daemon], connect: Callable[..., Client], name: str) -> None:
    """With status 0, even in the middle of work; clients see an end."""
    daemon = make_daemon()
    client = connect(daemon)
    client.send("memory.read_bytes", address=FLASH_BASE, size=128 * KIB, stream=True)
    client.wait_notification(lambda note: note["method"] == "data")
    os.kill(daemon.pid, getattr(signal, name))
    assert daemon.wait() == 0
    client.wait_end()
