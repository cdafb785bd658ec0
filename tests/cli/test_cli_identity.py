"""Tokens, TLS and ssh on the command line, with the real daemon; no OpenOCD is needed to be told who one is."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lib"))

from harness.certificates import Authority  # noqa: E402
from harness.processes import Daemon  # noqa: E402

LIMIT_S = 20.0
FAKE_SSH = """#!/bin/sh
echo "$*" >> {directory}/ssh.log
shift
exec env OCDMUX_SERVER={server} {program} "$2"
"""


def make_token(tool: Any, identity: str, *options: str) -> Dict[str, Any]:
    outcome = tool.run("token", "new", identity, "--json", *options)
    assert outcome.status == 0, outcome
    made: Dict[str, Any] = json.loads(outcome.out)
    return made


@pytest.fixture(scope="module", name="authority")
def fixture_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(name="lab")
def fixture_lab(bare: Any, authority: Authority, tmp_path: Path) -> Iterator[Any]:
    """A daemon on tcp, tls and a Unix socket: (tool, [addresses], token of alice)."""
    server = authority.issue("server", "/CN=localhost", ["DNS:localhost"])
    made = make_token(bare, "alice", "--role", "admin")
    config = {
        "boards": [{"name": "b", "openocd": "127.0.0.1:1"}],
        "tokens": [made["entry"]],
        "users": [{"user": str(os.getuid()), "identity": "me", "role": "observer"}],
        "certificates": [{"subject": "CN=carol", "identity": "carol"}],
        "tls": {"certificate": str(server.certificate), "key": str(server.key),
                "client_ca": str(authority.pair.certificate)},
        "listen": ["tcp:127.0.0.1:0", "tls:127.0.0.1:0", f"unix:{tmp_path}/d.sock"],
    }
    (tmp_path / "lab.json").write_text(json.dumps(config))
    with Daemon(["--config", str(tmp_path / "lab.json")], listeners=3) as daemon:
        addresses = [daemon.addresses[0], daemon.addresses[1].replace("127.0.0.1", "localhost"), daemon.addresses[2]]
        yield bare, addresses, made["token"]


def identity(tool: Any, *options: str) -> str:
    outcome = tool.run("call", "server.hello", *options)
    assert outcome.status == 0, outcome
    return str(json.loads(outcome.out)["identity"])


# Tokens.


def test_token_new_prints_what_goes_where(bare: Any) -> None:
    outcome = bare.run("token", "new", "ci@lab", "--role", "observer")
    assert outcome.status == 0 and outcome.error == ""
    token = outcome.out.partition("export OCDMUX_TOKEN=")[2].split()[0]
    entry = json.loads(outcome.out[outcome.out.index("{") :])
    assert token.startswith("ocdmux_") and len(token) == 71
    assert entry["identity"] == "ci@lab" and entry["role"] == "observer" and token not in json.dumps(entry)
    assert make_token(bare, "a")["token"] != make_token(bare, "a")["token"]
    assert make_token(bare, "a")["entry"]["role"] == "user"


@pytest.mark.parametrize("words", [["new"], ["old", "a"], ["new", "a b"], ["new", ""], ["new", "anonymous"],
                                   ["new", "a" * 65], ["new", 'a"b'], ["new", "a", "--role", "root"]])
def test_token_new_refuses(bare: Any, words: List[str]) -> None:
    outcome = bare.run("token", *words)
    assert outcome.status == 2 and outcome.out == "" and "bad usage" in outcome.error


def test_the_environment_holds_the_token(lab: Any) -> None:
    tool, addresses, token = lab
    tool.set(OCDMUX_SERVER=addresses[0], OCDMUX_TOKEN=token)
    assert identity(tool) == "alice"
    tool.set(OCDMUX_TOKEN=token[:-1])
    outcome = tool.run("boards")
    assert outcome.status == 1 and outcome.error == "ocdmux: unauthenticated: the token is wrong\n"
    del tool.environment["OCDMUX_TOKEN"]
    outcome = tool.run("boards")
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: unauthenticated: ")


def test_the_user_of_a_unix_socket(lab: Any) -> None:
    tool, addresses, _ = lab
    assert identity(tool, "--server", addresses[2]) == "me"
    outcome = tool.run("write", "0x20000000", "1", "--server", addresses[2])
    assert outcome.status == 1 and "forbidden" in outcome.error and "role: user" in outcome.error


# TLS.


def test_tls_with_an_authority(lab: Any, authority: Authority) -> None:
    tool, addresses, token = lab
    tool.set(OCDMUX_TOKEN=token)
    ca = str(authority.pair.certificate)
    assert identity(tool, "--server", addresses[1], "--ca", ca) == "alice"
    tool.set(OCDMUX_CA=ca, OCDMUX_SERVER=addresses[1])
    assert identity(tool) == "alice"
    outcome = tool.run("call", "rpc.discover")
    assert outcome.status == 0 and len(outcome.out) > 100000


def test_tls_with_a_certificate(lab: Any, authority: Authority) -> None:
    tool, addresses, _ = lab
    carol = authority.issue("carol", "/CN=carol")
    shown = ["--cert", str(carol.certificate), "--key", str(carol.key), "--ca", str(authority.pair.certificate)]
    assert identity(tool, "--server", addresses[1], *shown) == "carol"
    outcome = tool.run("boards", "--server", addresses[1], *shown[:2], *shown[4:])
    assert outcome.status == 2 and "a certificate and its key go together" in outcome.error


def test_tls_refuses_whom_it_cannot_trust(lab: Any, authority: Authority, tmp_path: Path) -> None:
    """An unknown authority, another host's name, a certificate that has run out: nothing is sent."""
    tool, addresses, token = lab
    tool.set(OCDMUX_TOKEN=token)
    ca = str(authority.pair.certificate)
    outcome = tool.run("boards", "--server", addresses[1])
    assert outcome.status == 3 and "its certificate: unable to get local issuer certificate" in outcome.error
    outcome = tool.run("boards", "--server", addresses[1].replace("localhost", "127.0.0.1"), "--ca", ca)
    assert outcome.status == 3 and "its certificate: IP address mismatch" in outcome.error
    late = authority.issue("late", "/CN=localhost", ["DNS:localhost"], days="expired")
    other = authority.issue("other", "/CN=elsewhere", ["DNS:elsewhere"])
    for pair, reason in ((late, "certificate has expired"), (other, "hostname mismatch")):
        config = {"boards": [{"name": "b", "openocd": "127.0.0.1:1"}], "listen": ["tls:127.0.0.1:0"],
                  "tls": {"certificate": str(pair.certificate), "key": str(pair.key)}}
        (tmp_path / "bad.json").write_text(json.dumps(config))
        with Daemon(["--config", str(tmp_path / "bad.json")]) as daemon:
            address = daemon.address.replace("127.0.0.1", "localhost")
            outcome = tool.run("boards", "--server", address, "--ca", ca)
            assert outcome.status == 3 and f"its certificate: {reason}" in outcome.error, outcome


def test_tls_refuses_bad_files(lab: Any, authority: Authority, tmp_path: Path) -> None:
    tool, addresses, _ = lab
    (tmp_path / "garbage.pem").write_text("garbage")
    for name in ("garbage.pem", "missing.pem"):
        outcome = tool.run("boards", "--server", addresses[1], "--ca", str(tmp_path / name))
        assert outcome.status == 2 and name in outcome.error
    ca = str(authority.pair.certificate)
    outcome = tool.run("boards", "--server", addresses[1], "--ca", ca, "--cert", ca, "--key", "garbage.pem")
    assert outcome.status == 2 and "the key in garbage.pem" in outcome.error


def test_tls_to_something_else(lab: Any, authority: Authority) -> None:
    """To the plain port, and to a server that never answers the handshake."""
    tool, addresses, _ = lab
    tool.set(OCDMUX_CA=str(authority.pair.certificate))
    outcome = tool.run("boards", "--server", addresses[0].replace("tcp:", "tls:"))
    assert outcome.status == 3 and "connection_failed" in outcome.error
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outcome = tool.run("boards", "--server", f"tls:127.0.0.1:{silent.getsockname()[1]}", "--timeout", "300")
        assert outcome.status == 3 and "the TLS handshake took too long" in outcome.error


# ssh.


@pytest.fixture(name="fake_ssh")
def fixture_fake_ssh(lab: Any, tmp_path: Path) -> Path:
    """A program in the place of ssh that runs the command here, where the server is the daemon's Unix socket."""
    tool, addresses, _ = lab
    path = tmp_path / "fake_ssh"
    path.write_text(FAKE_SSH.format(directory=tmp_path, server=addresses[2], program=tool.program))
    path.chmod(0o755)
    tool.set(OCDMUX_SSH=str(path))
    return path


def test_ssh_runs_stdio_there(lab: Any, fake_ssh: Path, tmp_path: Path) -> None:
    tool, _, token = lab
    assert identity(tool, "--server", "ssh:user@lab") == "me"
    assert (tmp_path / "ssh.log").read_text() == "user@lab ocdmux stdio\n"
    tool.set(OCDMUX_TOKEN=token)
    assert identity(tool, "--server", "ssh:lab") == "alice"
    assert token not in (tmp_path / "ssh.log").read_text()
    outcome = tool.run("call", "rpc.discover", "--server", "ssh:lab")
    assert outcome.status == 0 and len(outcome.out) > 100000


@pytest.mark.parametrize("host", ["", "-oProxyCommand=touch pwned", "--"])
def test_ssh_takes_no_options_for_a_host(lab: Any, fake_ssh: Path, tmp_path: Path, host: str) -> None:
    tool, _, _ = lab
    outcome = tool.run("boards", "--server", f"ssh:{host}")
    assert outcome.status == 2 and "not ssh:HOST" in outcome.error
    assert not (tmp_path / "ssh.log").exists() and not (tmp_path / "pwned").exists()


def test_ssh_that_cannot_connect(lab: Any, fake_ssh: Path) -> None:
    tool, _, _ = lab
    fake_ssh.write_text("#!/bin/sh\necho 'no route' >&2\nexit 255\n")
    outcome = tool.run("boards", "--server", "ssh:lab")
    assert outcome.status == 3 and "no route" in outcome.error and "connection_lost" in outcome.error
    tool.set(OCDMUX_SSH="/nonexistent/ssh")
    outcome = tool.run("boards", "--server", "ssh:lab")
    assert outcome.status == 3 and "ssh cannot be started" in outcome.error


def test_ssh_that_stays_is_ended(lab: Any, fake_ssh: Path, tmp_path: Path) -> None:
    """It ignores the end of its input; the command ends all the same, and leaves no process."""
    tool, _, _ = lab
    text = fake_ssh.read_text().replace("exec env", "env").replace('"$2"\n', '"$2"\necho $$ > pid; exec sleep 600\n')
    fake_ssh.write_text(text)
    assert tool.run("boards", "--server", "ssh:lab").status == 0
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_interrupt_does_not_end_ssh(lab: Any, fake_ssh: Path, tmp_path: Path) -> None:
    """Ctrl-C goes to both; what waits for events ends well, over a connection that still stands."""
    tool, _, _ = lab
    fake_ssh.write_text(fake_ssh.read_text().replace("exec env", "env") + f"echo $? > {tmp_path}/ended\n")
    process = tool.start("events", "--json", "--server", "ssh:lab", start_new_session=True)
    assert b"snapshot" in process.stdout.readline()
    os.killpg(process.pid, signal.SIGINT)
    outcome = tool.finish(process)
    assert outcome.status == 0 and outcome.error == "", outcome
    assert (tmp_path / "ended").read_text() == "0\n"


# stdio.


def test_stdio_joins_both_ways(lab: Any) -> None:
    """The end of the input is passed on, and what was asked before is answered."""
    tool, addresses, _ = lab
    tool.set(OCDMUX_SERVER=addresses[2])
    lines = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"rpc.discover"}\n' % i for i in range(20))
    outcome = tool.run("stdio", given=lines)
    assert outcome.status == 0 and outcome.error == ""
    replies = [json.loads(line) for line in outcome.out.splitlines()]
    assert sorted(reply["id"] for reply in replies) == list(range(20))
    assert tool.run("stdio", given=b"").status == 0


def test_stdio_over_tls(lab: Any, authority: Authority) -> None:
    tool, addresses, token = lab
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "server.hello", "params": {"token": token}})
    outcome = tool.run("stdio", "--server", addresses[1], "--ca", str(authority.pair.certificate),
                       given=hello.encode() + b"\n")
    assert outcome.status == 0 and json.loads(outcome.out)["result"]["identity"] == "alice"


def test_stdio_without_a_server(bare: Any, tmp_path: Path) -> None:
    outcome = bare.run("stdio", "--server", f"unix:{tmp_path}/nobody.sock", given=b"{}\n")
    assert outcome.status == 3 and outcome.out == "" and "connection_failed" in outcome.error


def test_stdio_ends_with_its_reader(lab: Any) -> None:
    """Nobody takes what comes: it ends, and not by a signal."""
    tool, addresses, _ = lab
    process = tool.start("stdio", "--server", addresses[2], stdin=subprocess.PIPE)
    process.stdout.close()
    process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n')
    process.stdin.flush()
    assert process.wait(LIMIT_S) == 3
    assert b"standard output" in process.stderr.read()
    process.stdin.close()
