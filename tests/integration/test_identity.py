"""Who a client is: tokens, and the users of Unix sockets."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest

from harness.client import Client
from harness.processes import Daemon
from harness.stack import FLASH_BASE
from harness.tokens import make_token
from harness.waiting import wait_until

WRONG = "ocdmux_" + "0" * 64
# Speaks one line to a Unix socket and prints the answer: for users that may not read this repository.
ASK = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
    "s.sendall(sys.argv[2].encode() + b'\\n'); print(s.makefile().readline())"
)


def config(**members: Any) -> str:
    return json.dumps({"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}], "log_level": "debug", **members})


@pytest.fixture(name="guarded")
def fixture_guarded(make_daemon: Callable[..., Daemon]) -> Callable[..., Any]:
    """Starts a daemon that knows tokens: (daemon, token, token, ...)."""

    def start(*entries: Dict[str, Any], **members: Any) -> List[Any]:
        made = [make_token(**entry) for entry in entries]
        tokens = [entry for _, entry in made]
        return [make_daemon(config=config(tokens=tokens, **members)), *[token for token, _ in made]]

    return start


def test_a_token_is_an_identity(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    daemon, alice, bob = guarded({"identity": "alice"}, {"identity": "bob@ci", "role": "admin"})
    client = connect(daemon)
    assert client.call("server.hello", token=alice, client="first")["identity"] == "alice"
    hello = client.call("server.hello")
    assert hello["role"] == "user" and "token" in hello["features"] and "openocd.command" not in hello["features"]
    assert client.call("memory.read_u8", address=FLASH_BASE)["values"]
    assert client.fail("openocd.command", command="version").kind == "forbidden"
    other = connect(daemon)
    hello = other.call("server.hello", token=bob)
    assert hello["identity"] == "bob@ci" and hello["role"] == "admin" and "roles" not in hello
    assert other.call("openocd.command", command="set x 1")["code"] == 0
    said = "\n".join(daemon.log)
    assert alice not in said and bob not in said


def test_without_a_token_nothing_but_hello(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    daemon, alice = guarded({"identity": "alice"})
    client = connect(daemon)
    hello = client.call("server.hello")
    assert (hello["identity"], hello["role"], hello["boards"]) == ("anonymous", "none", [])
    for method in ("board.list", "server.stats", "rpc.discover", "stage.list"):
        assert client.fail(method).kind == "unauthenticated"
    assert client.call("server.hello", token=alice)["boards"] == ["b"]
    assert client.call("board.list")["boards"]


def test_whoever_has_no_role_sends_short_lines(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    """Thousands who are nobody, each with a line that has no end, must not fill the memory."""
    daemon, alice = guarded({"identity": "alice"})
    client = connect(daemon)
    call = json.dumps(client.make_call("server.hello", {"client": "x"}))
    client.send_text(call.replace(" ", " " * 3000, 1))
    assert client.reply(1)["result"]["role"] == "none"
    client.send_bytes(b" " * 20000)
    error = client.error(None)
    assert error.kind == "line_too_long" and error.data["maximum"] == 16384
    client.send_bytes(b"\n")
    assert client.call("server.hello", token=alice)["role"] == "user"
    stage = client.call("stage.create", name="large", size=300000)["stage"]
    client.call("stage.write", stage=stage, offset=0, data="QUJD" * 100000)
    client.call("stage.delete", stage=stage)


def test_the_anonymous_may_keep_a_role(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    daemon, alice = guarded({"identity": "alice"}, anonymous_role="observer")
    client = connect(daemon)
    assert client.call("memory.read_u8", address=FLASH_BASE)["values"]
    assert client.fail("target.halt").kind == "forbidden"
    error = client.fail("server.hello", token=alice)
    assert error.kind == "invalid_params" and error.data["parameter"] == "token"
    assert connect(daemon).call("server.hello", token=alice)["role"] == "user"


def test_a_token_comes_once(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    daemon, alice, bob = guarded({"identity": "alice"}, {"identity": "bob"})
    client = connect(daemon)
    client.call("server.hello", token=alice)
    for token in (bob, alice, WRONG):
        assert client.fail("server.hello", token=token).kind == "invalid_params"
    assert client.call("server.hello")["identity"] == "alice"


def test_wrong_tokens_are_answered_ever_later(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    """By the daemon's own log; who has the right one does not wait, and the fifth ends the connection."""
    daemon, alice = guarded({"identity": "alice"})
    client = connect(daemon)
    for wrong in (WRONG, alice[:-1], alice + "0", ""):
        assert client.fail("server.hello", token=wrong).kind == "unauthenticated"
    waiting = client.send("server.hello", token=WRONG)
    daemon.wait_for_line(r"a wrong token, 5 on this connection by now: answered in 1600 ms")
    other = connect(daemon)
    assert other.call("server.hello", token=alice)["identity"] == "alice"
    assert not client.has_replies
    assert client.error(waiting).kind == "unauthenticated"
    with pytest.raises(EOFError):
        client.receive()
    delays = [line.rpartition(" in ")[2] for line in daemon.log if "a wrong token" in line]
    assert delays == ["100 ms", "200 ms", "400 ms", "800 ms", "1600 ms"]
    assert WRONG not in "\n".join(daemon.log)
    assert other.call("board.list")["boards"]


def test_wrong_tokens_count_for_their_address(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    """A new connection does not begin anew."""
    daemon, alice = guarded({"identity": "alice"})
    for delay in (100, 200, 400):
        client = connect(daemon)
        assert client.fail("server.hello", token=WRONG).kind == "unauthenticated"
        daemon.wait_for_line(rf"a wrong token, 1 on this connection by now: answered in {delay} ms")
    assert client.call("server.hello", token=alice)["role"] == "user"


def test_pipelined_guesses_wait_for_each_other(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    """Lines behind a wrong token are not read before its answer; in a batch no second one is looked at."""
    daemon, alice = guarded({"identity": "alice"})
    client = connect(daemon)
    calls = [client.make_call("server.hello", {"token": token}) for token in (WRONG, alice, WRONG)]
    client.send_text(json.dumps(calls))
    later = client.send("server.hello", token=alice)
    kinds = [reply["error"]["data"]["kind"] for reply in client.batch()]
    assert sorted(kinds) == ["invalid_params", "invalid_params", "unauthenticated"]
    assert client.result(later)["identity"] == "alice"
    assert sum("a wrong token" in line for line in daemon.log) == 1


def test_a_refusal_that_waits_is_not_cancelled(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    """Else a batch of a guess and its cancel would be answered at once."""
    daemon, _ = guarded({"identity": "alice"}, anonymous_role="observer")
    client = connect(daemon)
    calls = [client.make_call("server.hello", {"token": WRONG}, "guess"), client.make_call("request.cancel",
        {"id": "guess"}, "cancel")]
    client.send_text(json.dumps(calls))
    replies = {reply["id"]: reply for reply in client.batch()}
    assert replies["guess"]["error"]["data"]["kind"] == "unauthenticated"
    assert replies["cancel"]["result"] == {"found": True}
    assert client.call("board.list")["boards"]


def test_leaving_during_the_delay(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    daemon, alice = guarded({"identity": "alice"})
    for leave in ("close", "reset", "half_close"):
        client = connect(daemon)
        client.send("server.hello", token=WRONG)
        wait_until(lambda: sum("a wrong token" in line for line in daemon.log) > 0, "the token")
        getattr(client, leave)()
    client = connect(daemon)
    client.call("server.hello", token=alice)
    wait_until(lambda: client.call("server.stats")["clients"] == 1, "the end of the others")


def test_who_never_says_who_it_is_is_closed(guarded: Callable[..., Any], connect: Callable[..., Client]) -> None:
    daemon, alice = guarded({"identity": "alice"}, limits={"login_ms": 2000})
    client = connect(daemon)
    known = connect(daemon)
    known.call("server.hello", token=alice)
    with pytest.raises(EOFError):
        client.receive()
    daemon.wait_for_line("did not say who it is")
    assert known.call("board.list")["boards"]


def test_a_token_where_none_is_configured(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    client = connect(make_daemon())
    assert client.fail("server.hello", token=WRONG).kind == "unauthenticated"
    assert client.call("server.hello")["identity"] == "anonymous"


# Users of Unix sockets.


def ask_as(user: Sequence[str], path: Path, method: str) -> Dict[str, Any]:
    """What `method` is answered to a process of another user."""
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method})
    command = ["setpriv", *user, sys.executable, "-c", ASK, str(path), line]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    answer: Dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(name="socket_path")
def fixture_socket_path() -> Path:
    """Where everybody may go; pytest's own directories are private."""
    return Path("/tmp") / f"ocdmux-test-{os.getpid()}-{time.monotonic_ns()}.sock"


def test_users_of_a_unix_socket(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], socket_path: Path
) -> None:
    mine = pwd.getpwuid(os.getuid()).pw_name
    users = [{"user": mine, "role": "admin"}, {"user": "4321", "identity": "guest", "role": "observer"}]
    daemon = make_daemon(config=config(users=users), listen=[f"unix:{socket_path}", "tcp:127.0.0.1:0"])
    hello = connect(daemon, address=f"unix:{socket_path}").call("server.hello")
    assert (hello["identity"], hello["role"]) == (mine, "admin")
    assert socket_path.stat().st_mode & 0o777 == 0o666  # everybody may come who is known, and nobody else do anything
    # Nothing is known of who comes over TCP.
    assert connect(daemon, address=daemon.addresses[1]).fail("board.list").kind == "unauthenticated"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_other_users_of_a_unix_socket(make_daemon: Callable[..., Daemon], socket_path: Path) -> None:
    users = [
        {"user": "4321", "identity": "guest", "role": "observer"},
        {"group": "4400", "role": "user"},
        {"group": "4500", "identity": "lab", "role": "admin"},
    ]
    make_daemon(config=config(users=users), listen=[f"unix:{socket_path}"])
    assert socket_path.stat().st_mode & 0o777 == 0o666
    cases = [
        (["--reuid=4321", "--regid=4321", "--clear-groups"], "guest", "observer"),
        (["--reuid=4322", "--regid=4322", "--groups=4400"], "uid:4322", "user"),
        (["--reuid=4323", "--regid=4400", "--clear-groups"], "uid:4323", "user"),
        (["--reuid=4324", "--regid=4324", "--groups=4401,4500,4402"], "lab", "admin"),
        (["--reuid=4325", "--regid=4325", "--clear-groups"], "anonymous", "none"),
    ]
    for user, identity, role in cases:
        result = ask_as(user, socket_path, "server.hello")["result"]
        assert (result["identity"], result["role"]) == (identity, role)
    refused = ask_as(cases[4][0], socket_path, "board.list")["error"]
    assert refused["data"]["kind"] == "unauthenticated"
    assert "result" in ask_as(cases[0][0], socket_path, "board.list")


def test_the_socket_is_private_while_strangers_have_a_role(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], socket_path: Path
) -> None:
    users = [{"user": str(os.getuid()), "identity": "me"}]
    daemon = make_daemon(config=config(users=users, anonymous_role="observer"), listen=[f"unix:{socket_path}"])
    assert socket_path.stat().st_mode & 0o007 == 0
    assert connect(daemon).call("server.hello")["identity"] == "me"


def test_a_token_goes_before_the_user(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], socket_path: Path
) -> None:
    token, entry = make_token("alice", role="observer")
    users = [{"user": str(os.getuid()), "identity": "me", "role": "admin"}]
    daemon = make_daemon(config=config(users=users, tokens=[entry]), listen=[f"unix:{socket_path}"])
    client = connect(daemon)
    assert client.call("server.hello")["identity"] == "me"
    hello = client.call("server.hello", token=token)
    assert (hello["identity"], hello["role"]) == ("alice", "observer")
    assert connect(daemon).call("server.hello")["role"] == "admin"
