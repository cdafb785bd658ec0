"""Peers that vanish or stall, and nothing left to serve with: the others are served, what fails says why, and it passes
by itself."""

from __future__ import annotations

import base64
import re
import socket
import ssl
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Iterator, List, Tuple

import pytest

from harness.certificates import Authority
from harness.client import Client, RpcError
from harness.tokens import make_token
from harness.waiting import wait_until
from rig import FLASH, RAM, Rig
from test_floods import descriptors, limit_descriptors, wait_clients

pytestmark = pytest.mark.both  # descriptors and processor time are those of the daemon that users run

TCP_REPAIR = 19
TCP_KEEPALIVE_TIMER = "02"
LOGIN_MS = 2000
HELLO = b'{"jsonrpc":"2.0","id":1,"method":"server.hello"}\n'


@pytest.fixture(name="sockets")
def fixture_sockets() -> Iterator[ExitStack]:
    """What is opened in it is closed behind the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module", name="authority")
def fixture_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture(name="make_lab")
def fixture_make_lab(
    make_rig: Callable[..., Rig], authority: Authority, sockets: ExitStack, tmp_path: Path
) -> Callable[..., Rig]:
    """A rig that listens on TCP, TLS and a Unix socket."""
    server = authority.issue("server", "/CN=localhost", ["DNS:localhost"])
    tls = {"certificate": str(server.certificate), "key": str(server.key)}

    def make(**options: Any) -> Rig:
        path = sockets.enter_context(tempfile.TemporaryDirectory(prefix="ocdmux-test-")) + "/socket"
        extra = {"tls": tls, "state_dir": str(tmp_path / "state"), **options.pop("extra", {})}
        return make_rig(extra=extra, flags=["--listen", "tls:127.0.0.1:0", "--listen", f"unix:{path}"], **options)

    return make


def connect(sockets: ExitStack, address: str) -> socket.socket:
    """Without a word of TLS."""
    kind, _, rest = address.partition(":")
    if kind == "unix":
        connection = sockets.enter_context(socket.socket(socket.AF_UNIX))
        connection.settimeout(30)
        connection.connect(rest)
        return connection
    host, _, port = rest.rpartition(":")
    return sockets.enter_context(socket.create_connection((host, int(port)), 30))


def clients_of(rig: Rig, authority: Authority, sockets: ExitStack, **hello: str) -> List[Client]:
    """One for each listener, who has said hello."""
    clients = []
    for address in rig.daemon.addresses:
        clients.append(sockets.enter_context(Client(address, rig.validator, tls=authority.context())))
        clients[-1].call("server.hello", **hello)
    return clients


# Half-open connections.


def timer_of(connection: socket.socket) -> str:
    """The kernel's timer of the daemon's end of a connection, as proc(5) has it."""
    mine, daemons = connection.getsockname()[1], connection.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ports = tuple(int(field.rpartition(":")[2], 16) for field in fields[1:3])
        if ports == (daemons, mine):
            return fields[5].partition(":")[0]
    raise AssertionError("the daemon's end is not there")


def test_the_kernel_probes_idle_clients(make_lab: Callable[..., Rig], sockets: ExitStack) -> None:
    """So that one whose machine is gone does not keep its place, and its lease, for ever."""
    rig = make_lab()
    for address in rig.daemon.addresses[:2]:
        connection = connect(sockets, address)
        wait_until(lambda: timer_of(connection) == TCP_KEEPALIVE_TIMER, "the probes")


def vanish(connection: socket.socket) -> None:
    """Ends this end alone: no word of it goes to the other."""
    try:
        connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError:
        pytest.skip("only who administers the network can end one end of a connection")
    connection.close()


def test_a_holder_that_vanishes_without_a_word(rig: Rig) -> None:
    """Nothing says so until the daemon has something to send it. Then its lease is as after any disconnect."""
    other, holder = rig.client(), rig.client()
    holder.call("events.subscribe", topics=["operation"])
    holder.call("lease.acquire", ttl_ms=3600000)
    vanish(holder._socket)  # noqa: SLF001
    assert other.call("lease.status")["lease"]["state"] == "held"
    assert other.fail("memory.write_u8", address=RAM, values=1).kind == "board_busy"
    other.call("memory.read_bytes", address=RAM, size=4)
    wait_until(lambda: other.call("lease.status")["lease"]["state"] == "absent", "the end of its connection")
    wait_clients(other, 1)
    other.call("lease.break")
    other.call("memory.write_u8", address=RAM, values=1)


# Handshakes and logins that stall.


def shake(
    context: ssl.SSLContext, connection: socket.socket, until: str
) -> Tuple[ssl.SSLObject, ssl.MemoryBIO]:
    """A handshake as far as that: the client's hello is "half" sent, "sent", or all of it is "done". Gives the session
    and what it wants to send."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    while True:
        try:
            session.do_handshake()
            connection.sendall(outgoing.read())
            return session, outgoing
        except ssl.SSLWantReadError:
            said = outgoing.read()
        connection.sendall(said[: len(said) // 2] if until == "half" else said)
        if until != "done":
            return session, outgoing
        incoming.write(connection.recv(65536))


def contexts(authority: Authority) -> List[ssl.SSLContext]:
    """TLS 1.2 and 1.3."""
    made = []
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = authority.context()
        context.minimum_version = context.maximum_version = version
        made.append(context)
    return made


def stall_everywhere(rig: Rig, authority: Authority, sockets: ExitStack) -> List[socket.socket]:
    """Connections that stop at each point on the way to being somebody."""
    plain, tls, unix = rig.daemon.addresses
    stalled = [connect(sockets, address) for address in (plain, tls, unix)]
    for begun in (b"\x16", b"\x16\x03\x01", b"\x16\x03\x01\x02\x00", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
        stalled.append(connect(sockets, tls))
        stalled[-1].sendall(begun)
    for context in contexts(authority):
        for until in ("half", "sent", "done"):
            stalled.append(connect(sockets, tls))
            shake(context, stalled[-1], until)
        stalled.append(connect(sockets, tls))
        session, outgoing = shake(context, stalled[-1], "done")
        session.write(HELLO)
        stalled[-1].sendall(outgoing.read()[:-1])  # a record that lacks its last byte
    for address in (plain, unix):
        stalled.append(connect(sockets, address))
        stalled[-1].sendall(HELLO[:20])
        stalled.append(connect(sockets, address))
        stalled[-1].sendall(HELLO)
    return stalled


def read_to_end(connection: socket.socket) -> None:
    """Until the daemon ends it."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass


def test_stalled_at_each_point(make_lab: Callable[..., Rig], authority: Authority, sockets: ExitStack) -> None:
    """Nobody of them is known: each place is free again when its time is over, and others never wait."""
    token, entry = make_token("alice", role="admin")
    rig = make_lab(role="none", limits={"login_ms": LOGIN_MS}, extra={"tokens": [entry]}, wait=False)
    known = clients_of(rig, authority, sockets, token=token)
    before = descriptors(rig)
    stalled = stall_everywhere(rig, authority, sockets)
    for client in known:
        assert client.call("memory.read_u8", address=RAM)["values"] == [0]
    for connection in stalled:
        read_to_end(connection)
    wait_clients(known[0], len(known))
    rig.daemon.wait_for_line("the TLS handshake took too long")
    rig.daemon.wait_for_line("did not say who it is")
    assert descriptors(rig) <= before
    for client in known:
        assert client.call("memory.read_u8", address=RAM)["values"] == [0]


# Too many.


def test_floods_of_every_kind_past_the_limit(
    make_lab: Callable[..., Rig], authority: Authority, sockets: ExitStack
) -> None:
    """Whoever is connected is served over each listener meanwhile, and over each somebody new comes in afterwards."""
    rig = make_lab(limits={"max_clients": 30})
    inside = clients_of(rig, authority, sockets)
    before = descriptors(rig)
    with ExitStack() as flood:
        for _ in range(50):
            for address in rig.daemon.addresses:
                connect(flood, address)
        rig.daemon.wait_for_line("30 clients are connected: no more are taken for now")
        for client in inside:
            assert client.call("memory.read_u8", address=RAM)["values"] == [0]
        wait_clients(inside[0], 30)
    wait_clients(inside[0], len(inside))
    for client in clients_of(rig, authority, sockets):
        assert client.call("memory.read_u8", address=RAM)["values"] == [0]
        client.close()
    wait_clients(inside[0], len(inside))
    assert descriptors(rig) <= before


# No descriptors.


class Exhausted:
    """While this is entered the daemon can open nothing more."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def __enter__(self) -> None:
        # The lowest free number counts, and there may be holes: none is left below the highest in use.
        numbers = {int(entry.name) for entry in Path(f"/proc/{self.rig.daemon.pid}/fd").iterdir()}
        limit_descriptors(self.rig, min(set(range(max(numbers) + 2)) - numbers))

    def __exit__(self, *_: object) -> None:
        limit_descriptors(self.rig, 1024)


def processor_ticks(rig: Rig) -> int:
    """Hundredths of seconds that the daemon ran."""
    fields = Path(f"/proc/{rig.daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def rests(rig: Rig) -> int:
    """How often it had nothing to do."""
    found = re.search(r"^voluntary_ctxt_switches:\s+(\d+)", Path(f"/proc/{rig.daemon.pid}/status").read_text(), re.M)
    assert found
    return int(found.group(1))


def test_listeners_rest_while_nothing_can_be_accepted(
    make_lab: Callable[..., Rig], authority: Authority, sockets: ExitStack
) -> None:
    """Somebody is at each door, and the daemon looks now and then: it does not turn in a circle."""
    rig = make_lab()
    inside = rig.client()
    inside.call("server.hello")
    with Exhausted(rig):
        waiting = [connect(sockets, address) for address in rig.daemon.addresses]
        for address in rig.daemon.addresses:
            rig.daemon.wait_for_line(re.escape(address) + ": cannot accept connections: Too many open files")
        ticks, before = processor_ticks(rig), rests(rig)
        wait_until(lambda: rests(rig) >= before + 15, "the daemon's rest")
        assert processor_ticks(rig) - ticks < 10
        assert inside.call("memory.read_u8", address=RAM)["values"] == [0]
    for address in rig.daemon.addresses:
        rig.daemon.wait_for_line(re.escape(address) + ": accepts connections again")
    for connection in (waiting[0], waiting[2]):
        connection.sendall(HELLO)
        assert connection.recv(1) == b"{"
    for client in clients_of(rig, authority, sockets):
        assert client.call("memory.read_u8", address=RAM)["values"] == [0]


def refused_for_want_of_files(client: Client, method: str, **params: Any) -> RpcError:
    error = client.fail(method, **params)
    assert error.kind == "stage_error" and "Too many open files" in error.message, error
    return error


def test_files_that_cannot_be_opened(rig: Rig) -> None:
    """What needs one says so, and nothing of it is done: no flash is erased whose other bytes cannot be kept."""
    client = rig.client()
    client.call("target.halt")
    stage = client.call("stage.create", name="a", size=4)["stage"]
    data = base64.b64encode(b"abcd").decode()
    with Exhausted(rig):
        refused_for_want_of_files(client, "stage.write", stage=stage, offset=0, data=data)
        refused_for_want_of_files(client, "stage.create", name="b", size=4)
        refused_for_want_of_files(client, "memory.dump", address=RAM, size=64, path="dump.bin")
        refused_for_want_of_files(client, "memory.dump", address=RAM, size=64)
        refused_for_want_of_files(client, "flash.write_image", data=data, format="bin", address=FLASH + 4)
        assert rig.sent("flash erase") == 0
        assert client.call("memory.read_u8", address=RAM)["values"] == [0]
        client.call("memory.write_u8", address=RAM, values=7)
    assert client.call("stage.write", stage=stage, offset=0, data=data)["complete"] is True
    client.call("stage.delete", stage=stage)
    assert client.call("memory.dump", address=RAM, size=64, path="dump.bin")["size"] == 64
    client.call("flash.write_image", data=data, format="bin", address=FLASH + 4)
    assert rig.sent("flash erase") == 1


def test_a_record_that_cannot_be_opened_now(rig: Rig) -> None:
    """Of bytes that a sector lost: nobody is told to give them up for what passes by itself."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.poke(FLASH, b"kept")
    image = {"data": base64.b64encode(b"abcd").decode(), "format": "bin", "address": FLASH + 4}
    rig.mock.fault("drop", match="flash write_bank")
    assert client.fail("flash.write_image", **image).kind == "outcome_unknown"
    rig.wait_link("idle")
    assert len(client.call("board.status")["pending_repairs"]) == 1
    with Exhausted(rig):
        assert "give" not in refused_for_want_of_files(client, "flash.write_image", **image).message
    client.call("target.halt")
    assert client.call("flash.write_image", **image)["repaired_bytes"] > 0
    assert client.call("memory.read_u8", address=FLASH, count=8)["values"] == list(b"keptabcd")
    assert client.call("board.status")["pending_repairs"] == []


def test_a_lease_that_cannot_be_kept_is_kept_later(rig: Rig, tmp_path: Path, make_rig: Callable[..., Rig]) -> None:
    """Else a lease that was given back would come back with the next daemon."""
    state = tmp_path / "state"
    own = make_rig(extra={"state_dir": str(state)})
    client = own.client()
    client.call("lease.acquire")
    (file,) = state.glob("*/lease")
    kept = file.read_text()
    with Exhausted(own):
        client.call("lease.release")
        own.daemon.wait_for_line("the lease has ended, but its file cannot be removed: .*Too many open files")
        assert file.read_text() == kept
    wait_until(lambda: not file.exists(), "the end of the file")
    own.daemon.wait_for_line("lease is right again")
    with Exhausted(own):
        client.call("lease.acquire")
        own.daemon.wait_for_line("the lease will not outlive the daemon: .*Too many open files")
        assert not file.exists()
    wait_until(file.exists, "the file")
    client.call("lease.release")
    assert not file.exists()
