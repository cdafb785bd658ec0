"""Connections that do nothing, far too many of them, and no descriptors left: the others are served, and it passes."""

from __future__ import annotations

import resource
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest

from harness.certificates import Authority
from harness.client import Client
from harness.tokens import make_token
from harness.waiting import wait_until
from rig import RAM, Rig

pytestmark = pytest.mark.both  # looks at memory, of which ASan says nothing


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    """For the test itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(name="sockets")
def fixture_sockets() -> Iterator[ExitStack]:
    """What is opened in it is closed behind the test."""
    with ExitStack() as stack:
        yield stack


def open_many(sockets: ExitStack, rig: Rig, count: int, address: str = "") -> List[socket.socket]:
    host, _, port = (address or rig.daemon.address).partition(":")[2].rpartition(":")
    return [sockets.enter_context(socket.create_connection((host, int(port)), 30)) for _ in range(count)]


def descriptors(rig: Rig) -> int:
    return len(list(Path(f"/proc/{rig.daemon.pid}/fd").iterdir()))


def limit_descriptors(rig: Rig, count: int) -> None:
    subprocess.run(["prlimit", f"--pid={rig.daemon.pid}", f"--nofile={count}:"], check=True)


def wait_clients(client: Client, count: int) -> None:
    wait_until(lambda: client.call("server.stats")["clients"] == count, f"{count} clients")


def test_a_thousand_silent_connections(rig: Rig, sockets: ExitStack) -> None:
    """Half of them have begun a line."""
    client = rig.client()
    before = rig.memory_kib()
    silent = open_many(sockets, rig, 1000)
    for each in silent[::2]:
        each.sendall(b'{"jsonrpc":"2.0","id":1,"method":"target.ha')
    wait_clients(client, 1001)
    assert client.call("memory.read_u8", address=RAM)["values"]
    rig.assert_grown_at_most(before, 16 * 1024)
    sockets.close()
    wait_clients(client, 1)


def test_silent_connections_of_nobody_end_by_themselves(make_rig: Callable[..., Rig], sockets: ExitStack) -> None:
    """Where everybody must say who he is, a flood that fills every place passes when their time is over."""
    token, entry = make_token("alice", role="admin")
    rig = make_rig(role="none", limits={"max_clients": 50, "login_ms": 2000}, extra={"tokens": [entry]}, wait=False)
    known = rig.client()
    known.call("server.hello", token=token)
    open_many(sockets, rig, 60)
    rig.daemon.wait_for_line("50 clients are connected: no more are taken for now")
    late = rig.client()
    assert known.call("server.stats")["clients"] == 50
    assert late.call("server.hello", token=token)["role"] == "admin"  # once its turn has come


def test_floods_past_the_limit(make_rig: Callable[..., Rig], sockets: ExitStack) -> None:
    """Whoever is connected is served; the rest wait, and come in as places are free."""
    rig = make_rig(limits={"max_clients": 20})
    client = rig.client()
    client.call("server.hello")
    flood = open_many(sockets, rig, 300)
    rig.daemon.wait_for_line("20 clients are connected")
    for _ in range(20):
        assert client.call("memory.read_u8", address=RAM)["values"]
    assert client.call("server.stats")["clients"] == 20
    late = rig.client()
    identifier = late.send("memory.read_u8", address=RAM)
    for each in flood:
        each.close()
    assert late.result(identifier)["values"]
    wait_clients(client, 2)


def test_no_descriptors_left(make_rig: Callable[..., Rig], sockets: ExitStack) -> None:
    """Accepting fails, what is open works, and once some are free everybody comes in."""
    rig = make_rig()
    client = rig.client()
    client.call("server.hello")
    limit = descriptors(rig) + 10
    limit_descriptors(rig, limit)
    flood = open_many(sockets, rig, 100)
    rig.daemon.wait_for_line("cannot accept connections: Too many open files")
    for value in range(20):
        client.call("memory.write_u8", address=RAM, values=value)
        assert client.call("memory.read_u8", address=RAM)["values"] == [value]
    late = rig.client()
    identifier = late.send("memory.read_u8", address=RAM)
    for each in flood:
        each.close()
    assert late.result(identifier)["values"] == [19]
    rig.daemon.wait_for_line("accepts connections again")
    wait_clients(client, 2)


def test_a_link_that_is_lost_without_descriptors(make_rig: Callable[..., Rig], sockets: ExitStack) -> None:
    """It comes back once there are some again."""
    rig = make_rig()
    client = rig.client()
    client.call("server.hello")
    limit = descriptors(rig)
    limit_descriptors(rig, limit)
    flood = open_many(sockets, rig, 50)
    rig.daemon.wait_for_line("cannot accept connections: Too many open files")
    rig.mock.drop()
    wait_until(lambda: client.call("board.status")["link"] != "idle", "the link's end")
    for each in flood:
        each.close()
    limit_descriptors(rig, limit + 50)
    wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")
    assert client.call("memory.read_u8", address=RAM)["values"]


@pytest.fixture(name="tls_rig")
def fixture_tls_rig(make_rig: Callable[..., Rig], tmp_path: Path) -> Any:
    """A rig with a TLS listener beside the plain one: (rig, address of TLS, authority)."""
    authority = Authority(tmp_path, "authority")
    server = authority.issue("server", "/CN=localhost", ["DNS:localhost"])
    tls = {"certificate": str(server.certificate), "key": str(server.key)}
    rig = make_rig(extra={"tls": tls}, limits={"login_ms": 3000}, flags=["--listen", "tls:127.0.0.1:0"])
    return rig, rig.daemon.addresses[1], authority


def test_a_thousand_stalled_handshakes(tls_rig: Any, sockets: ExitStack) -> None:
    """Silent ones, and some in the middle: TLS clients and plain ones are served, and all stalled ones end."""
    rig, address, authority = tls_rig
    plain = rig.client()
    stalled = open_many(sockets, rig, 1000, address)
    for each in stalled[::3]:
        each.sendall(b"\x16\x03\x01\x01\x00\x01\x00")
    with Client(address, rig.validator, tls=authority.context()) as client:
        assert client.call("memory.read_u8", address=RAM)["values"]
        assert plain.call("memory.read_u8", address=RAM)["values"]
        for each in stalled:
            each.settimeout(30)
            assert each.recv(1) == b""
        wait_clients(client, 2)
    wait_clients(plain, 1)


def test_many_tls_clients_come_and_go(tls_rig: Any) -> None:
    """None of them leaves a descriptor or memory."""
    rig, address, authority = tls_rig
    plain = rig.client()
    context = authority.context()

    def visit(count: int) -> None:
        for i in range(count):
            with Client(address, rig.validator, tls=context) as client:
                assert client.call("memory.read_u8", address=RAM)["values"]
                if i % 3 == 0:
                    client.send("memory.read_u8", address=RAM)

    visit(50)
    wait_clients(plain, 1)
    before, memory = descriptors(rig), rig.memory_kib()
    visit(300)
    wait_clients(plain, 1)
    assert descriptors(rig) <= before
    rig.assert_grown_at_most(memory, 2048)
