"""TLS listeners: certificates on both sides, what is refused in the handshake, and new certificates on SIGHUP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional

import pytest

from harness.certificates import Authority, Pair
from harness.client import Client
from harness.processes import Daemon
from harness.stack import FLASH_BASE
from harness.tokens import make_token
from harness.waiting import wait_until

pytestmark = pytest.mark.both  # handshakes and megabytes at the speed that users get

LIMIT_S = 30.0


class Lab:
    """An authority, the daemon's certificate by it, and two clients'."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority(directory, "authority")
        self.server = self.authority.issue("server", "/CN=localhost", ["DNS:localhost", "IP:127.0.0.1"])
        self.alice = self.authority.issue("alice", "/O=Lab/CN=alice")
        self.bob = self.authority.issue("bob", "/CN=bob")
        self.stranger = Authority(directory, "stranger").issue("mallory", "/O=Lab/CN=alice")

    def tls(self, **members: Any) -> Any:
        """The member `tls` of a configuration; its files may be replaced by the test."""
        for name in ("certificate", "key"):
            shutil.copy(getattr(self.server, name), self.directory / f"live.{name}")
        return {"certificate": str(self.directory / "live.certificate"), "key": str(self.directory / "live.key"),
            **members}


@pytest.fixture(scope="module", name="lab")
def fixture_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(name="start")
def fixture_start(make_daemon: Callable[..., Daemon]) -> Callable[..., Daemon]:
    """Starts a daemon that listens on TLS, with these members of its configuration."""

    def start(**members: Any) -> Daemon:
        text = json.dumps({"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}], "log_level": "debug", **members})
        return make_daemon(config=text, listen=["tls:127.0.0.1:0"])

    return start


def port_of(daemon: Daemon) -> int:
    return int(daemon.address.rpartition(":")[2])


def plain(daemon: Daemon) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(daemon)), LIMIT_S)


def refused(daemon: Daemon, context: ssl.SSLContext) -> str:
    """Why no line gets through with this TLS; with TLS 1.3 a client hears of its refusal when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError)) as caught:
        with context.wrap_socket(plain(daemon), server_hostname="localhost") as connection:
            connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"server.hello"}\n')
            if not connection.recv(1):
                raise ConnectionError("closed")
    return str(caught.value)


def test_calls_over_tls(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    """Short ones, many at once, and long answers."""
    daemon = start(tls=lab.tls())
    assert daemon.address.startswith("tls:")
    client = connect(daemon, tls=lab.authority.context())
    assert "tls" in client.call("server.hello")["features"]
    values = client.call("memory.read_u8", address=FLASH_BASE, count=4)["values"]
    sent = [client.send("memory.read_u8", address=FLASH_BASE + i % 4) for i in range(200)]
    assert [client.result(identifier)["values"][0] for identifier in sent] == values * 50
    document = client.call("rpc.discover")
    assert all(client.call("rpc.discover") == document for _ in range(20))
    assert len(client.call("memory.read_bytes", address=FLASH_BASE, size=32768)["data"]) > 40000


def test_a_line_of_megabytes(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    client = connect(start(tls=lab.tls()), tls=lab.authority.context())
    stage = client.call("stage.create", name="large", size=3 << 20)["stage"]
    client.call("stage.write", stage=stage, offset=0, data="QUJD" * (1 << 20))
    assert client.call("stage.read", stage=stage, offset=(3 << 20) - 3, size=3)["data"] == "QUJD"


def test_a_slow_reader(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    """Tens of megabytes that nobody takes for now: others are served, the daemon holds no more than its bound, and
    nothing of it is lost."""
    daemon = start(tls=lab.tls())
    slow = connect(daemon, tls=lab.authority.context(), receive_buffer=65536)
    other = connect(daemon, tls=lab.authority.context())
    document = other.call("rpc.discover")
    sent = [slow.send("rpc.discover") for _ in range(300)]
    small = [slow.send("server.hello") for _ in range(300)]
    for _ in range(50):
        assert other.call("memory.read_u8", address=FLASH_BASE)["values"]
    assert other.call("server.stats")["requests"] < 300
    assert all(slow.result(identifier) == document for identifier in sent)
    assert all(slow.result(identifier)["protocol"] == 1 for identifier in small)


def test_a_peer_that_vanishes_in_the_middle(
    start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab
) -> None:
    """Reset while the daemon has much to send it."""
    daemon = start(tls=lab.tls())
    other = connect(daemon, tls=lab.authority.context())
    for _ in range(5):
        client = connect(daemon, tls=lab.authority.context(), receive_buffer=65536)
        for _ in range(100):
            client.send("rpc.discover")
        assert client.call("server.hello")
        client.reset()
    wait_until(lambda: other.call("server.stats")["clients"] == 1, "the end of the others")


def test_close_notify_is_a_half_close(start: Callable[..., Daemon], lab: Lab) -> None:
    """What was asked before it is still answered, and the daemon's own close_notify ends it all."""
    daemon = start(tls=lab.tls())
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = lab.authority.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with plain(daemon) as connection:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                connection.sendall(outgoing.read())
                incoming.write(connection.recv(65536))
        call = {"jsonrpc": "2.0", "id": 1, "method": "memory.read_u8", "params": {"address": FLASH_BASE}}
        session.write(json.dumps(call).encode() + b"\n")
        with pytest.raises(ssl.SSLWantReadError):
            session.unwrap()
        connection.sendall(outgoing.read())
        received = b""
        while data := connection.recv(65536):
            received += data
    # Two records at the least: the answer, and the end.
    assert len(received) > 60
    daemon.wait_for_line("closed: all answered")


def test_an_end_without_close_notify_is_a_failure(start: Callable[..., Daemon], lab: Lab) -> None:
    daemon = start(tls=lab.tls())
    connection = lab.authority.context().wrap_socket(plain(daemon), server_hostname="localhost")
    connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"server.hello"}\n')
    assert connection.recv(1) == b"{"
    os.close(connection.detach())
    daemon.wait_for_line("closed: (unexpected eof|connection lost|Connection reset)")


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64, b"\x16\x03\x01\xff\xff" + b"A" * 70000,
    b'{"jsonrpc":"2.0","id":1,"method":"server.hello"}\n', b"\x80", b"\x16\x03\x01\x00\x05hello"],
    ids=["http", "zeros", "long record", "plain json", "one byte", "short record"])
def test_garbage_on_the_port(
    start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab, garbage: bytes
) -> None:
    daemon = start(tls=lab.tls())
    with plain(daemon) as connection:
        try:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except OSError:  # closed already: even the half-close may come too late
            pass
    daemon.wait_for_line(r"client 127\.0\.0\.1:\d+: closed: ")
    assert connect(daemon, tls=lab.authority.context()).call("server.stats")["clients"] == 1


def test_a_stalled_handshake_ends(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    """Others are served meanwhile."""
    daemon = start(tls=lab.tls(), limits={"login_ms": 2000})
    with plain(daemon) as silent, plain(daemon) as halfway:
        halfway.sendall(b"\x16\x03\x01\x01\x00")
        client = connect(daemon, tls=lab.authority.context())
        assert client.call("server.stats")["clients"] == 3
        assert silent.recv(1) == b"" and halfway.recv(1) == b""
        daemon.wait_for_line("the TLS handshake took too long")
        assert client.call("server.stats")["clients"] == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_from_1_2(
    start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab, version: ssl.TLSVersion
) -> None:
    context = lab.authority.context()
    context.minimum_version = context.maximum_version = version
    assert connect(start(tls=lab.tls()), tls=context).call("server.hello")["protocol"] == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_older_versions_are_refused(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    daemon = start(tls=lab.tls())
    context = lab.authority.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    assert refused(daemon, context)
    daemon.wait_for_line("closed: unsupported protocol")
    assert connect(daemon, tls=lab.authority.context()).call("server.hello")


def test_renegotiation_is_refused(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    """s_client asks for it at a line of "R"."""
    daemon = start(tls=lab.tls())
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{port_of(daemon)}", "-CAfile",
        str(lab.authority.pair.certificate)]
    done = subprocess.run(command, input=b"R\n", capture_output=True, timeout=LIMIT_S, check=False)
    assert b"RENEGOTIATING" in done.stderr and b"no renegotiation" in done.stderr, done
    assert connect(daemon, tls=lab.authority.context()).call("board.list")["boards"]


def test_no_resumption(start: Callable[..., Daemon], lab: Lab) -> None:
    """Every connection shows anew who it is."""
    daemon = start(tls=lab.tls())
    context = lab.authority.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with context.wrap_socket(plain(daemon), server_hostname="localhost") as first:
        session = first.session
        with context.wrap_socket(plain(daemon), server_hostname="localhost", session=session) as second:
            assert not second.session_reused


# Certificates of clients.


def grants(lab: Lab) -> List[Any]:
    return [{"subject": "CN=alice,O=Lab", "identity": "alice", "role": "admin"},
        {"sha256": lab.bob.fingerprint, "identity": "bob", "role": "observer"}]


def hello(connect: Callable[..., Client], daemon: Daemon, lab: Lab, pair: Optional[Pair]) -> Any:
    answer = connect(daemon, tls=lab.authority.context(pair)).call("server.hello")
    return answer["identity"], answer["role"]


def test_certificates_are_identities(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    other = lab.authority.issue("carol", "/CN=carol")
    daemon = start(tls=lab.tls(client_ca=str(lab.authority.pair.certificate)), certificates=grants(lab))
    assert hello(connect, daemon, lab, lab.alice) == ("alice", "admin")
    assert hello(connect, daemon, lab, lab.bob) == ("bob", "observer")
    assert hello(connect, daemon, lab, None) == ("anonymous", "none")
    assert hello(connect, daemon, lab, other) == ("anonymous", "none")
    daemon.wait_for_line("the certificate of CN=carol, SHA-256 [0-9a-f]{64}, is of no identity")


def test_strangers_certificates_are_refused(
    start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab
) -> None:
    """The same subject, signed by another; and one that has run out."""
    late = lab.authority.issue("late", "/O=Lab/CN=alice", days="expired")
    daemon = start(tls=lab.tls(client_ca=str(lab.authority.pair.certificate)), certificates=grants(lab))
    for pair in (lab.stranger, late):
        assert refused(daemon, lab.authority.context(pair))
    daemon.wait_for_line("closed: certificate verify failed")
    assert hello(connect, daemon, lab, lab.alice) == ("alice", "admin")


def test_certificates_may_be_required(start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab) -> None:
    tls = lab.tls(client_ca=str(lab.authority.pair.certificate), client_certificates="required")
    daemon = start(tls=tls, certificates=grants(lab))
    assert refused(daemon, lab.authority.context())
    assert hello(connect, daemon, lab, lab.bob) == ("bob", "observer")


def test_a_token_goes_before_the_certificate(
    start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab
) -> None:
    token, entry = make_token("carol")
    tls = lab.tls(client_ca=str(lab.authority.pair.certificate))
    daemon = start(tls=tls, certificates=grants(lab), tokens=[entry])
    client = connect(daemon, tls=lab.authority.context(lab.alice))
    assert client.call("server.hello", token=token)["identity"] == "carol"


# SIGHUP.


@pytest.fixture(name="reloaded")
def fixture_reloaded() -> Iterator[Callable[[Daemon, str], None]]:
    def reload(daemon: Daemon, said: str) -> None:
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for_line(said)

    yield reload


def serial(daemon: Daemon, lab: Lab) -> Any:
    with lab.authority.context().wrap_socket(plain(daemon), server_hostname="localhost") as connection:
        certificate = connection.getpeercert()
        assert certificate is not None
        return certificate["serialNumber"]


def test_sighup_takes_new_certificates(
    start: Callable[..., Daemon], connect: Callable[..., Client], lab: Lab, reloaded: Callable[[Daemon, str], None]
) -> None:
    """For new connections; those that are open go on."""
    tls = lab.tls()
    daemon = start(tls=tls)
    client = connect(daemon, tls=lab.authority.context())
    client.call("server.hello")
    before = serial(daemon, lab)
    fresh = lab.authority.issue("fresh", "/CN=localhost", ["DNS:localhost"])
    shutil.copy(fresh.certificate, tls["certificate"])
    shutil.copy(fresh.key, tls["key"])
    assert serial(daemon, lab) == before
    reloaded(daemon, "the certificate and its key were reloaded")
    after = serial(daemon, lab)
    assert after != before
    assert client.call("board.list")["boards"]
    # Files that do not fit, are garbage, or are not there change nothing.
    shutil.copy(lab.server.key, tls["key"])
    reloaded(daemon, r"tls\.key: .*: key values mismatch: the old certificate and key stay")
    Path(tls["certificate"]).write_text("garbage")
    reloaded(daemon, r"tls\.certificate: .*: the old certificate and key stay")
    Path(tls["key"]).unlink()
    shutil.copy(fresh.certificate, tls["certificate"])
    reloaded(daemon, r"tls\.key: .*No such file or directory: the old certificate and key stay")
    assert serial(daemon, lab) == after and client.call("board.list")["boards"]


def test_sighup_without_tls_changes_nothing(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], reloaded: Callable[[Daemon, str], None]
) -> None:
    daemon = make_daemon()
    client = connect(daemon)
    reloaded(daemon, "no certificate is configured: none is reloaded")
    assert client.call("board.list")["boards"]


@pytest.mark.parametrize("broken, said", [("certificate", "tls.certificate"), ("key", "tls.key"),
    ("client_ca", "tls.client_ca")])
def test_bad_files_at_start(start: Callable[..., Daemon], lab: Lab, broken: str, said: str) -> None:
    tls = lab.tls(client_ca=str(lab.authority.pair.certificate))
    tls[broken] = str(lab.directory / "missing.pem")
    with pytest.raises(RuntimeError, match=f"{said}: .*missing.pem: No such file"):
        start(tls=tls)
