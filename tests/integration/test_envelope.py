"""The envelope: lines, JSON, ids, batches. After each case the connection still works, which the fixture checks too."""

from __future__ import annotations

import json
from typing import Any, Callable, List, Tuple

import pytest

from harness.client import Client
from harness.gate import Gate
from harness.processes import Daemon
from harness.stack import FLASH_BASE, Stack
from harness.waiting import wait_until

STATE = {"jsonrpc": "2.0", "method": "target.state"}
READ = {"jsonrpc": "2.0", "method": "memory.read_u32", "params": {"address": FLASH_BASE}}


def line(**members: Any) -> bytes:
    """One line of JSON."""
    return json.dumps(members).encode() + b"\n"


def call(identifier: Any, method: str = "target.state", **params: Any) -> Any:
    """A call as an object."""
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}


def works(client: Client) -> None:
    """The connection still works."""
    assert client.call("target.state")["target"] == "vb.cpu"


# Malformed JSON.

DEEP = 32
BAD_JSON: List[bytes] = [
    b"x", b"{", b"}", b"[", b"]", b"{]", b"[}", b'"', b'"abc', b"nul", b"True", b"NaN", b"Infinity", b"-Infinity", b"-",
    b"+1", b"01",
    b"1.", b".5", b"1e", b"1e+", b"0x10", b"'a'", b"[1,]", b"[,1]", b"[1 2]", b"{,}", b'{"a"}', b'{"a":}', b'{"a":1,}',
    b'{"a" 1}',
    b"{a:1}", b"{1:1}", b'{"a":1 "b":2}', b'"\\x"', b'"\\u12"', b'"\\u12G4"', b'"\\ud800"', b'"\\udc00"',
    b'"\\ud800\\u0041"',
    b'"a\tb"', b'"a\x01b"', b"1 1", b"{} {}", b"{}x", b'{"a":1}}', b"// comment", b"/* c */ {}", b"\xef\xbb\xbf{}",
    b"\x00", b'"\x00"',
    b'"\\u0000"', b"1e999", b"-1e999", b"\xff", b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf4\x90\x80\x80"',
    b'"\xe2\x82"',
    b'"\x80"', b'{"a":1,"a":1}', b'{"a":1,"\\u0061":2}', b'[{"x":{"y":1,"y":2}}]',
    b"[" * (DEEP + 1) + b"]" * (DEEP + 1),
    b'{"jsonrpc":"2.0","id":1,"id":2,"method":"target.state"}', b'{"jsonrpc":"2.0","id":7,"method":"target.state"',
]  # fmt: skip


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:30].decode("latin-1"))
def test_malformed(client: Client, text: bytes) -> None:
    before = client.call("server.stats")["lines_refused"]
    client.send_bytes(text + b"\n")
    error = client.error(None)
    client.forget_calls()
    assert error.kind == "parse_error" or (b"[[[" in text and error.kind == "invalid_request"), error.message
    assert error.message.startswith("byte "), error.message
    works(client)
    assert client.call("server.stats")["lines_refused"] == before + 1


def test_too_many_tokens(client: Client) -> None:
    limit = client.call("server.hello")["limits"]["max_tokens"]
    client.send_bytes(b"[" + b"1," * limit + b"1]\n")
    error = client.error(None)
    assert error.kind == "invalid_request" and "too many" in error.message
    works(client)


def test_deepest_that_is_taken(client: Client) -> None:
    """The call is one level, its parameters another."""
    depth = DEEP - 2
    client.send_bytes(line(jsonrpc="2.0", id="d", method="target.state", params={"x": 1}))
    assert client.error("d").kind == "invalid_params"
    nested = "[" * depth + "]" * depth
    client.send_text('{"jsonrpc":"2.0","id":"d","method":"target.state","params":{"target":%s}}' % nested)
    assert client.error("d").kind == "invalid_params"
    client.send_text('{"jsonrpc":"2.0","id":"d","method":"target.state","params":{"target":[%s]}}' % nested)
    assert client.error(None).kind == "invalid_request"
    client.forget_calls()


# JSON that is no call.

NO_CALL: List[Tuple[str, Any]] = [
    ("null", None), ("true", None), ("1", None), ('"text"', None), ("{}", None),
    ('{"jsonrpc":"2.0"}', None), ('{"jsonrpc":"2.0","id":5}', 5), ('{"id":6,"method":"target.state"}', 6),
    ('{"jsonrpc":"1.0","id":6,"method":"target.state"}', 6), ('{"jsonrpc":2.0,"id":6,"method":"target.state"}', 6),
    ('{"jsonrpc":"2.0","id":6,"method":1}', 6), ('{"jsonrpc":"2.0","id":6,"method":null}', 6),
    ('{"jsonrpc":"2.0","id":6,"method":["target.state"]}', 6),
    ('{"jsonrpc":"2.0","id":6,"method":"target.state","params":1}', 6),
    ('{"jsonrpc":"2.0","id":6,"method":"target.state","params":"x"}', 6),
    ('{"jsonrpc":"2.0","id":6,"method":"target.state","params":null}', 6),
    ('{"jsonrpc":"2.0","id":6,"method":"target.state","extra":1}', 6), ('{"jsonrpc":"2.0","id":6,"result":{}}', 6),
    ('{"JSONRPC":"2.0","id":6,"method":"target.state"}', 6), ('{"jsonrpc":"2.0","ID":6,"method":"target.state"}', None),
]  # fmt: skip


@pytest.mark.parametrize("text, identifier", NO_CALL, ids=[text[:50] for text, _ in NO_CALL])
def test_no_call(client: Client, text: str, identifier: Any) -> None:
    """Answered under the id where one could be read."""
    client.note_call(identifier, "?")
    client.send_text(text)
    assert client.error(identifier).kind == "invalid_request"
    client.forget_calls()
    works(client)


@pytest.mark.parametrize(
    "method", ["", "target", "target.", "Target.State", "target.state ", "memory.read_u33", "rpc.", "x" * 5000,
    "[exit]", "\u0007"], ids=lambda value: ascii(value)[:40]
)
def test_unknown_method(client: Client, method: str) -> None:
    client.send_text(json.dumps(call("m", method)))
    error = client.error("m")
    assert error.kind == "method_not_found" and error.code == -32601
    assert len(error.message) < 1000
    works(client)


# Ids.


@pytest.mark.parametrize("identifier", [0, -1, 1, 2**53, -(2**63), 10**30, "", "a", "0", "ümläut", 'quo"te\\',
    "x" * 256, "\u0001\n"])
def test_ids_come_back_as_they_were(client: Client, identifier: Any) -> None:
    client.send_text(json.dumps(call(identifier)))
    assert client.reply(identifier)["id"] == identifier


@pytest.mark.parametrize("text", ["null", "1.5", "1.0", "1e3", "true", "[]", "{}", "[1]", '"' + "x" * 257 + '"',
    "1" * 300])
def test_ids_that_cannot_be(client: Client, text: str) -> None:
    """Refused with id null, and not run."""
    client.send_text('{"jsonrpc":"2.0","id":%s,"method":"target.state"}' % text)
    client.forget_calls()
    error = client.error(None)
    assert error.kind == "invalid_request" and "id" in error.message
    works(client)


@pytest.mark.parametrize("method", ["target.state", "memory.write_u32", "no.such.method", "server.hello"])
def test_no_id(client: Client, method: str) -> None:
    """A call that nobody could tell the outcome of is not run: the memory keeps its value."""
    client.call("memory.write_u32", address=0x20000000, values=1)
    params = {"address": 0x20000000, "values": 2} if method == "memory.write_u32" else {}
    client.send_bytes(line(jsonrpc="2.0", method=method, params=params))
    error = client.error(None)
    assert error.kind == "invalid_request" and "id" in error.message
    assert client.call("memory.read_u32", address=0x20000000)["values"] == [1]


def test_cancel_without_id_is_not_answered(client: Client) -> None:
    client.send_bytes(line(jsonrpc="2.0", method="request.cancel", params={"id": 12345}))
    client.send_bytes(line(jsonrpc="2.0", method="request.cancel", params={}))
    works(client)


def test_id_in_flight(gate: Gate, client: Client) -> None:
    """The second is refused, under the id null, so that nobody takes that for the answer to the first, which goes on;
    afterwards the id is free again."""
    with gate:
        client.send_text(json.dumps({**READ, "id": "same"}))
        client.send_text(json.dumps({**STATE, "id": "same"}))
        client.forget_call("same")
        error = client.error(None)
        assert error.kind == "invalid_request" and "in flight" in error.message and "same" in error.message
        client.send_text(json.dumps({**STATE, "id": 1}))
        client.send_text(json.dumps({**STATE, "id": "1"}))
    assert client.result("same")["values"]
    assert client.result(1) and client.result("1")
    client.send_text(json.dumps({**STATE, "id": "same"}))
    assert client.result("same")["target"] == "vb.cpu"


def test_ids_of_two_connections_are_apart(gate: Gate, client: Client, stack_client: Client) -> None:
    with gate:
        for each in (client, stack_client):
            each.send_text(json.dumps({**READ, "id": 99}))
        assert client.call("request.cancel", id=99) == {"found": True}
        assert client.error(99).kind == "cancelled"
    assert stack_client.result(99)["values"]


# Batches.


def test_batch_of_good_and_bad(client: Client) -> None:
    """One array of answers; those without an id are answered with id null, a cancel without an id is not."""
    batch = [
        call("a", "memory.read_u32", address=FLASH_BASE),
        call("b", "memory.read_u32", address="x"),
        call("c", "no.such"),
        {"jsonrpc": "2.0", "method": "target.state"},
        {"jsonrpc": "2.0", "method": "request.cancel", "params": {"id": "zz"}},
        1,
        call("d", "server.hello"),
    ]
    client.send_text(json.dumps(batch))
    replies = client.batch()
    by_id = {str(reply["id"]): reply for reply in replies}
    assert len(replies) == 6 and set(by_id) == {"a", "b", "c", "None", "d"}
    assert by_id["a"]["result"]["values"] and by_id["d"]["result"]["server"] == "ocdmux"
    assert by_id["b"]["error"]["code"] == -32602 and by_id["c"]["error"]["code"] == -32601
    assert [reply["error"]["code"] for reply in replies if reply["id"] is None] == [-32600, -32600]


@pytest.mark.parametrize("count", [1, 2, 64])
def test_batch_sizes(client: Client, count: int) -> None:
    client.send_text(json.dumps([call(i, "memory.read_u8", address=FLASH_BASE + i) for i in range(count)]))
    assert sorted(reply["id"] for reply in client.batch()) == list(range(count))


@pytest.mark.parametrize("count", [65, 1000])
def test_batch_too_big(client: Client, count: int) -> None:
    """Refused as a whole: nothing of it is run."""
    client.call("memory.write_u32", address=0x20000000, values=1)
    client.send_text(json.dumps([call(i, "memory.write_u32", address=0x20000000, values=2) for i in range(count)]))
    client.forget_calls()
    error = client.error(None)
    assert error.kind == "limit_exceeded" and error.data["limit"] == "max_batch"
    assert client.call("memory.read_u32", address=0x20000000)["values"] == [1]


def test_empty_batch(client: Client) -> None:
    client.send_text("[]")
    assert client.error(None).kind == "invalid_request"
    works(client)


def test_batch_of_nothing_to_answer(client: Client) -> None:
    client.send_text('[{"jsonrpc":"2.0","method":"request.cancel","params":{"id":1}}]')
    works(client)


def test_batch_in_a_batch(client: Client) -> None:
    client.send_text(json.dumps([[call(1)], call(2)]))
    replies = client.batch()
    assert [reply["id"] for reply in replies if "result" in reply] == [2]
    assert [reply["error"]["code"] for reply in replies if "error" in reply] == [-32600]


def test_same_id_twice_in_a_batch(client: Client) -> None:
    client.send_text(json.dumps([call(1), call(1), call(2)]))
    client.forget_call(1)
    replies = client.batch()
    assert sorted((str(reply["id"]), "error" in reply) for reply in replies) == [("1", False), ("2", False), ("None",
        True)]


def test_cancel_within_a_batch(gate: Gate, client: Client) -> None:
    with gate:
        client.send_text(json.dumps([call("x"), call("y", "request.cancel", id="x"), call("z")]))
    by_id = {reply["id"]: reply for reply in client.batch()}
    assert by_id["y"]["result"] == {"found": True}
    assert by_id["x"]["error"]["data"]["kind"] == "cancelled"
    assert by_id["z"]["result"]["target"] == "vb.cpu"


def test_batch_whose_client_goes(stack: Stack, client: Client, stack_client: Client) -> None:
    stack_client.send_text(json.dumps([call(i, "memory.read_bytes", address=FLASH_BASE, size=65536)
        for i in range(64)]))
    before = client.call("server.stats")["clients"]
    stack_client.reset()
    wait_until(lambda: client.call("server.stats")["clients"] < before, "the client to go")


# Lines.


def test_crlf_and_empty_lines(client: Client) -> None:
    a, b = (json.dumps(call(identifier)).encode() for identifier in "ab")
    client.send_bytes(b"\r\n\n\n" + a + b"\r\n\r\n" + b + b"\n\n")
    assert client.result("a") and client.result("b")


def test_white_space_around(client: Client) -> None:
    client.send_bytes(b" \t" + json.dumps(call("a"), indent=None).encode() + b" \t \r\n")
    assert client.result("a")


def test_byte_by_byte(client: Client) -> None:
    for byte in json.dumps(call("slow")).encode() + b"\n":
        client.send_bytes(bytes([byte]))
    assert client.result("slow")["target"] == "vb.cpu"


def test_many_requests_in_one_packet(client: Client) -> None:
    count = 200
    client.send_bytes(b"".join(json.dumps({**READ, "id": i}).encode() + b"\n" for i in range(count)))
    assert [client.result(i)["values"] for i in range(count)]


def test_more_requests_than_may_be_in_flight(client: Client) -> None:
    """The daemon stops reading for a while, and loses nothing."""
    limit = client.call("server.hello")["limits"]["max_in_flight"]
    count = 3 * limit
    client.send_bytes(b"".join(json.dumps({**READ, "id": i}).encode() + b"\n" for i in range(count)))
    assert [client.result(i)["values"] for i in range(count)]


def test_huge_line(client: Client) -> None:
    """Answered as soon as it is too long, skipped up to its end; the next line is read."""
    limit = client.call("server.hello")["limits"]["max_line_bytes"]
    assert limit == 8 * 1024 * 1024
    for extra in (1, 5_000_000):
        client.send_bytes(b'"' + b"x" * (limit + extra - 2) + b'"\n' + json.dumps(call("next")).encode() + b"\n")
        error = client.error(None)
        assert error.kind == "line_too_long" and error.data["maximum"] == limit
        assert client.result("next")


def test_longest_line(client: Client) -> None:
    limit = client.call("server.hello")["limits"]["max_line_bytes"]
    text = json.dumps(call("long")).encode()
    for ending in (b"\n", b"\r\n"):
        client.send_bytes(text + b" " * (limit - len(text)) + ending)
        assert client.result("long")


def test_line_limit_from_the_configuration(make_daemon: Callable[..., Daemon], connect: Callable[..., Client]) -> None:
    config = '{"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}], "limits": {"max_line_bytes": 1024}}'
    client = connect(make_daemon(config=config))
    assert client.call("server.hello")["limits"]["max_line_bytes"] == 1024
    client.send_bytes(b"x" * 1025 + b"\n")
    assert client.error(None).data["maximum"] == 1024
    client.send_bytes(b"\n" * 5000)
    client.send_bytes(b"x" * 100000 + b"\n" + b"y" * 100000 + b"\n")
    assert [client.error(None).kind for _ in range(2)] == ["line_too_long"] * 2
    assert client.call("target.state")["target"] == "vb.cpu"


@pytest.mark.parametrize(
    "first",
    [
        "GET / HTTP/1.1",
        "POST /rpc HTTP/1.0",
        "HEAD / HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PRI * HTTP/2.0",
        "CONNECT a:1 HTTP/1.1",
        "PUT /x",
    ],
)
def test_http_closes(stack: Stack, client: Client, first: str) -> None:
    """Without a reply, so that no browser can be made to talk to the daemon; what follows is not run."""
    client.call("memory.write_u32", address=0x20000000, values=1)
    browser = stack.client()
    write = json.dumps(call(1, "memory.write_u32", address=0x20000000, values=2))
    browser.send_bytes(f"{first}\r\nHost: x\r\n\r\n{write}\r\n".encode())
    browser.wait_end()
    assert not browser.has_replies
    assert client.call("memory.read_u32", address=0x20000000)["values"] == [1]


def test_http_later_is_just_no_json(client: Client) -> None:
    works(client)
    client.send_text("GET / HTTP/1.1")
    assert client.error(None).kind == "parse_error"
    works(client)


def test_answers_in_the_order_in_which_calls_finish(gate: Gate, client: Client) -> None:
    """What is answered without the link overtakes what waits for it."""
    with gate:
        read = client.send("memory.read_u32", address=FLASH_BASE)
        hello = client.send("server.hello")
        assert client.receive()["id"] == hello
    assert client.result(read)["values"]
