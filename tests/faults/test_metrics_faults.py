"""Health while boards come and go, and whatever comes over HTTP: nobody else is hurt."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import Any, Callable, Dict, Iterator

import pytest

from protocol_check import Validator

from harness.client import read_to_end
from harness.metrics import Page, get, metrics_port
from harness.paths import PROTOCOL
from harness.waiting import wait_until
from rig import RAM, Rig
from test_floods import descriptors, limit_descriptors, open_many

METRICS = {"metrics": {"listen": "tcp:127.0.0.1:0"}}
MAX_CONNECTIONS = 16


@pytest.fixture(name="sockets")
def fixture_sockets() -> Iterator[ExitStack]:
    """What is opened in it is closed behind the test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module", name="shared_lab")
def fixture_shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two boards, and HTTP."""
    with Rig(tmp_path_factory.mktemp("lab"), Validator(PROTOCOL), boards=2, extra=METRICS) as rig:
        yield rig


@pytest.fixture(name="lab")
def fixture_lab(shared_lab: Rig) -> Iterator[Rig]:
    """`shared_lab`, which must work behind each test."""
    yield shared_lab
    shared_lab.assert_works()


def readiness(port: int) -> Dict[str, Any]:
    status, headers, body = get(port, "/readyz")
    said: Dict[str, Any] = json.loads(body)
    assert headers["Content-Type"] == "application/json"
    assert status == (200 if said["ready"] else 503)
    return said


def test_readiness_names_the_boards_that_are_down(lab: Rig) -> None:
    port = metrics_port(lab.daemon)
    assert readiness(port) == {"ready": True, "stopping": False, "boards_not_ready": []}
    lab.mocks[1].crash()
    wait_until(lambda: not readiness(port)["ready"], "the link's end")
    (board,) = readiness(port)["boards_not_ready"]
    assert board["board"] == "b1" and board["link"] in ("down", "connecting") and board["reason"]
    assert get(port, "/healthz")[0] == 200
    page = Page(port)
    assert (page.value("ocdmux_link_up", board="b0"), page.value("ocdmux_link_up", board="b1")) == (1, 0)
    lab.mocks[1].restart()
    wait_until(lambda: readiness(port)["ready"], "the link")
    assert Page(port).value("ocdmux_link_restarts_total", board="b1") == 1


def ask(port: int, request: bytes) -> bytes:
    """All that is answered."""
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(request)
        return read_to_end(connection)


def status_of(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer
    return int(answer.split(b" ", 2)[1])


def test_bad_requests_get_their_status_and_the_next_one_its_page(lab: Rig) -> None:
    port = metrics_port(lab.daemon)
    host = b"Host: x\r\n"
    for request, status in (
        (b"GET /metrics HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n", 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"server.stats"}\n', 400),
        (b"POST /metrics HTTP/1.1\r\n" + host + b"\r\n", 405),
        (b"GET /metrics HTTP/1.1\r\n" + host + b"Content-Length: 10\r\n\r\n0123456789", 413),
        (b"GET /metrics HTTP/3.0\r\n", 505),
        (b"GET /" + b"a" * 5000, 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100, 431),
        (b"GET / HTTP/1.1\r\n" + (b"A: " + b"b" * 2000 + b"\r\n") * 5, 431),
    ):
        answer = ask(port, request)
        assert status_of(answer) == status, request[:80]
        assert (b"\r\nAllow: GET, HEAD\r\n" in answer) == (status == 405)
        assert get(port, "/healthz")[2] == b"OK\n"


def test_a_head_has_no_body_and_a_second_request_no_answer(lab: Rig) -> None:
    port = metrics_port(lab.daemon)
    status, headers, body = get(port, "/metrics", "HEAD")
    assert status == 200 and body == b"" and int(headers["Content-Length"]) > 1000
    twice = ask(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
    assert twice.count(b"HTTP/1.1 ") == 1 and b"\r\nConnection: close\r\n" in twice


def test_requests_in_pieces_and_half_closed(lab: Rig) -> None:
    port = metrics_port(lab.daemon)
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        for byte in b"GET /healthz HTTP/1.0\n\n":
            connection.sendall(bytes([byte]))
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    with socket.create_connection(("127.0.0.1", port), 30) as connection:
        connection.sendall(b"GET /healthz HT")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65536) == b""
    assert get(port, "/healthz")[0] == 200


def test_a_flood_of_http_hurts_no_client(lab: Rig, sockets: ExitStack) -> None:
    """It gets a few descriptors and no more; those who ask for pages meanwhile get them when a place is free."""
    port, client = metrics_port(lab.daemon), lab.client()
    client.call("server.hello")
    before = descriptors(lab)
    flood = open_many(sockets, lab, 200, f"tcp:127.0.0.1:{port}")
    for each in flood[::2]:
        each.sendall(b"GET /metrics HT")
    wait_until(lambda: descriptors(lab) == before + MAX_CONNECTIONS, "the bound")
    for value in range(20):
        client.call("memory.write_u8", board="b0", address=RAM, values=value)
        assert client.call("memory.read_u8", board="b0", address=RAM)["values"] == [value]
    assert descriptors(lab) == before + MAX_CONNECTIONS
    for each in flood:
        each.close()
    assert get(port, "/healthz")[0] == 200
    wait_until(lambda: descriptors(lab) == before, "the end of all of them")


def test_those_who_read_slowly_keep_nobody_waiting(make_rig: Callable[..., Rig], sockets: ExitStack) -> None:
    """The page of many boards, more than a socket takes at once, is whole for each; their names, as long and odd as
    they may be, break no line."""
    names = [("A.b-c_9" * 10)[:60] + f"{number:04}" for number in range(64)]
    boards = [{"name": name, "openocd": "127.0.0.1:1"} for name in names]
    rig = make_rig(extra={**METRICS, "boards": boards, "log_level": "info"}, wait=False)
    rig.stopped = True
    port, slow = metrics_port(rig.daemon), []
    for _ in range(MAX_CONNECTIONS - 2):
        slow.append(sockets.enter_context(socket.socket()))
        slow[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow[-1].settimeout(30)
        slow[-1].connect(("127.0.0.1", port))
        slow[-1].sendall(b"GET /metrics HTTP/1.0\n\n")
    page = Page(port)
    assert [page.value("ocdmux_link_up", board=name) for name in names] == [0] * 64
    with rig.client() as client:
        assert client.call("server.stats")["clients"] == 1
    head, body = read_to_end(slow[0]).split(b"\r\n\r\n", 1)
    assert f"Content-Length: {len(body)}\r\n".encode() in head and len(body) > 200000


def test_no_descriptor_left_for_http(lab: Rig, sockets: ExitStack) -> None:
    """Clients that are there go on, and pages come back."""
    port, client = metrics_port(lab.daemon), lab.client()
    client.call("server.hello")
    limit_descriptors(lab, descriptors(lab) + 2)
    flood = open_many(sockets, lab, 10, f"tcp:127.0.0.1:{port}")
    lab.daemon.wait_for_line(f":{port}: cannot accept connections: Too many open files")
    client.call("memory.write_u8", board="b0", address=RAM, values=7)
    assert client.call("memory.read_u8", board="b0", address=RAM)["values"] == [7]
    for each in flood:
        each.close()
    assert get(port, "/healthz")[0] == 200
    limit_descriptors(lab, 1024)


def test_silent_connections_end_by_themselves(lab: Rig, sockets: ExitStack) -> None:
    port = metrics_port(lab.daemon)
    (silent,) = open_many(sockets, lab, 1, f"tcp:127.0.0.1:{port}")
    assert status_of(silent.recv(65536)) == 408


def test_the_page_outlives_a_stop_that_waits(make_rig: Callable[..., Rig]) -> None:
    """While a change ends, health still answers, and says that no more is taken."""
    lab = make_rig(extra=METRICS)
    port = metrics_port(lab.daemon)
    client = lab.client()
    lab.stall(client, "write_memory", "memory.write_u8", board="b0", address=RAM, values=1)
    lab.stop_daemon()
    said = readiness(port)
    assert not said["ready"] and said["stopping"]
    lab.mock.release()
    assert lab.daemon.wait() == 0
