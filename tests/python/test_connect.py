"""The ways to a daemon, and who one is there."""

from __future__ import annotations

import asyncio
import json
import math
import os
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import pytest

from conftest import run
from harness.certificates import Authority, Pair
from harness.paths import build_file
from harness.processes import Daemon
from harness.stack import RAM_BASE, Stack
from harness.tokens import make_token
from ocdmux import ConnectionFailed, FlashError, Forbidden, InvalidParams, Session, SyncSession, TargetError, Unauthenticated


class Lab(NamedTuple):
    """A daemon with two boards (one OpenOCD behind both), a Unix socket, TCP, TLS, and identities."""

    daemon: Daemon
    unix: str
    tcp: str
    tls: str
    token: str
    authority: Authority
    alice: Pair


@pytest.fixture(scope="module")
def lab(shared_stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    place = tmp_path_factory.mktemp("lab")
    authority = Authority(place, "authority")
    server = authority.issue("server", "/CN=lab", ["DNS:localhost", "IP:127.0.0.1"])
    token, entry = make_token("ci", boards={"b": "user"})
    port = shared_stack.tcl_port
    config = {
        "boards": [{"name": name, "openocd": f"127.0.0.1:{port}"} for name in ("a", "b")],
        "listen": [f"unix:{place}/ocdmux.sock", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"],
        "tls": {"certificate": str(server.certificate), "key": str(server.key),
                "client_ca": str(authority.pair.certificate)},
        "tokens": [entry],
        "users": [{"user": "root" if os.getuid() == 0 else os.environ.get("USER", ""), "role": "admin"}],
        "certificates": [{"subject": "CN=alice", "identity": "alice", "role": "observer"}],
    }
    (place / "lab.json").write_text(json.dumps(config))
    with Daemon(["--config", str(place / "lab.json")], listeners=3) as daemon:
        unix, tcp, tls = (next(each for each in daemon.addresses if each.startswith(kind)) for kind in ("unix", "tcp", "tls"))
        yield Lab(daemon, unix, tcp, tls, token, authority, authority.issue("alice", "/CN=alice"))


def test_connect_by_token_on_one_of_several_boards(lab: Lab, stack: Stack) -> None:
    async def body() -> None:
        async with Session.connect(lab.tcp, board="b", token=lab.token) as session:
            assert (session.hello["identity"], session.hello["boards"]) == ("ci", ["b"])
            await session.memory.write_u32(RAM_BASE + 0x1000, 6)
            with pytest.raises(Forbidden) as other:
                await session.on(board="a").memory.read_u32(RAM_BASE)
            assert isinstance(other.value, TargetError)
            with pytest.raises(Forbidden):
                await session.command("version")
        with pytest.raises(Unauthenticated):
            await Session.connect(lab.tcp, token="ocdmux_wrong")
        async with Session.connect(lab.tcp) as nobody:
            with pytest.raises(Unauthenticated) as refused:
                await nobody.flash.banks()
            assert isinstance(refused.value, FlashError)

    run(body())


def test_connect_over_tls(lab: Lab, stack: Stack) -> None:
    async def body() -> None:
        ca = lab.authority.pair.certificate
        async with Session.connect(lab.tls, ca=ca, cert=lab.alice.certificate, key=lab.alice.key, board="a") as session:
            assert (session.hello["identity"], session.hello["role"]) == ("alice", "observer")
            assert len(await asyncio.gather(*(session.memory.read_u8(RAM_BASE) for _ in range(50)))) == 50
            with pytest.raises(Forbidden):
                await session.target.halt()
        with pytest.raises(ConnectionFailed):
            await Session.connect(lab.tls)  # the system knows this authority not
        with pytest.raises(InvalidParams):
            await Session.connect(lab.tls, ca="/nowhere")
        with pytest.raises(ConnectionFailed):
            await Session.connect("tls:" + lab.tcp[4:], ca=ca, connect_timeout=1.0)

    run(body())


def test_connect_by_socket_finds_the_default(lab: Lab, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    with Session.connect_sync(lab.unix, board="a") as session:
        assert isinstance(session, SyncSession) and session.hello["role"] == "admin"
        assert {each.name for each in session.boards()} == {"a", "b"}
        assert session.target.state() == session.on(board="b").target.state() == "halted"
        with pytest.raises(InvalidParams):
            session.call("target.state")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(Path(lab.unix[5:]).parent))
    monkeypatch.setenv("OCDMUX_BOARD", "b")
    with Session.connect_sync() as session:
        assert session.server == lab.unix and session.status()["board"] == "b"
    monkeypatch.setenv("OCDMUX_SERVER", lab.tcp)
    monkeypatch.setenv("OCDMUX_TOKEN", lab.token)
    with Session.connect_sync() as session:
        assert session.server == lab.tcp and session.hello["identity"] == "ci"
        with session.lease() as lease:
            monkeypatch.setenv("OCDMUX_LEASE", lease.id)
            with Session.connect_sync() as other:
                other.memory.write_u8(RAM_BASE + 0x1000, 1)


def test_connect_over_ssh_runs_ocdmux_there(lab: Lab, stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" > "{tmp_path}/said"\nOCDMUX_SERVER={lab.unix} exec {build_file("ocdmux")} stdio\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("OCDMUX_SSH", str(ssh))
    with Session.connect_sync("ssh:lab.example", board="a") as session:
        assert session.target.state() == "halted" and session.hello["role"] == "admin"
    assert (tmp_path / "said").read_text() == "lab.example ocdmux stdio\n"
    ssh.write_text("#!/bin/sh\nexit 3\n")
    with pytest.raises(ConnectionFailed):
        Session.connect_sync("ssh:lab.example")
    monkeypatch.setenv("OCDMUX_SSH", str(tmp_path / "none"))
    with pytest.raises(ConnectionFailed):
        Session.connect_sync("ssh:lab.example")


@pytest.mark.parametrize("server", ["", "127.0.0.1:6670", "tcp:host", "tcp:host:0", "tcp:host:99999", "tcp:a:b:1", "unix:",
                                    "ssh:", "ssh:-oProxyCommand=x", "http://x", "tls:[::1]", b"tcp:host:1", 6670])
def test_connect_refuses_what_names_no_server(server: Any) -> None:
    with pytest.raises(InvalidParams):
        Session.connect(server)


@pytest.mark.parametrize("limits", [{"timeout": "1"}, {"timeout": 0}, {"timeout": math.inf}, {"connect_timeout": math.nan}])
def test_connect_refuses_what_is_no_time(limits: Any) -> None:
    with pytest.raises(InvalidParams):
        Session.connect("tcp:127.0.0.1:1", **limits)


def test_connect_tells_that_nobody_is_there(tmp_path: Path) -> None:
    for server in (f"unix:{tmp_path}/none", "tcp:127.0.0.1:1", "tcp:[::1]:1"):
        with pytest.raises(ConnectionFailed) as refused:
            Session.connect_sync(server)
        assert server in str(refused.value) and isinstance(refused.value, ConnectionError)
