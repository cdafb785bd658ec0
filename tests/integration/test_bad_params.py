"""Parameters that are wrong. Each error names the parameter, nothing reaches OpenOCD, and the connection goes on."""

from __future__ import annotations

import json
from typing import Any, Dict, List

import pytest

from harness.client import Client
from harness.paths import PROTOCOL
from harness.stack import FLASH_BASE, RAM_BASE
from protocol_check import Validator

PROTOCOL_METHODS = [method["name"] for method in json.loads(PROTOCOL.read_text(encoding="utf-8"))["methods"]]
WITHOUT_PARAMS = ("rpc.discover", "server.stats", "board.list", "stage.list")
WITH_PARAMS = [name for name in PROTOCOL_METHODS if name not in WITHOUT_PARAMS]

# JSON texts; those that a parameter's schema takes are left out for it.
WRONG = [
    "null", "true", "false", "-1", "-9007199254740992", "1.5", "1.0", "1e3", "1E400", "0.1",
    "9007199254740992", "9007199254740993", "18446744073709551615", "18446744073709551616",
    "99999999999999999999999999",
    '""', '" "', '" 1"', '"1 "', '"+1"', '"-1"', '"1.5"', '"1e3"', '"0x"', '"0xg"', '"0X10"', '"abc"', '"١"', '"true"',
    '"0x1 0000"', '"1\\n"', '"\\u0001"', '"a\\tb"', "[]", "{}", "[[]]", '[""]', "[null]", "[-1]", "[1.5]", '{"a": 1}',
]  # fmt: skip
HOSTILE = [
    "[exit]", "$x", "${x}", "$x(1)", '"; shutdown; "', "; shutdown", "{", "}", "}{", "{}", "{*}", "\\", "\\\\", "\\n",
    "#", "a b",
    "vb.cpu; shutdown", "vb.cpu]", "[vb.cpu", "vb.cpu\\", '"vb.cpu', "vb.cpu $", "\u2028", "%s%n", "-all", "..",
    "VB.CPU", "vb.cpu ",
]  # fmt: skip


def example_params(validator: Validator, method: str) -> Dict[str, Any]:
    """The parameters of the protocol's first example: good ones."""
    entries = validator.methods[method]["examples"][0].get("params", [])
    return {entry["name"]: entry["value"] for entry in entries}


def moved(client: Client) -> List[Any]:
    """What a call that did something would have changed."""
    board = client.call("server.stats")["boards"][0]
    operations = client.call("operation.list")["operations"]
    return [board["bytes_read"], board["bytes_written"], len(operations), client.call("target.state")["state"]]


def parse(text: str) -> Any:
    """A JSON value; None where Python cannot hold it."""
    try:
        return json.loads(text)
    except ValueError:
        return None


@pytest.mark.parametrize("method", WITH_PARAMS)
def test_every_parameter_given_every_wrong_value(client: Client, validator: Validator, method: str) -> None:
    """Whatever the parameter's schema does not take is refused, by name, before any side effect."""
    before = moved(client)
    good = example_params(validator, method)
    sent = []
    for name, descriptor in validator.params_of(method).items():
        for text in WRONG:
            value = parse(text)
            if text != "1E400" and not validator.schema.faults(value, descriptor["schema"]):
                continue
            call = json.dumps(client.make_call(method, {**good, name: "@"})).replace('"@"', text)
            client.send_text(call)
            sent.append((name, text, json.loads(call.replace("1E400", "1"))["id"]))
            if len(sent) % 100 == 0:
                client.call("server.hello")  # so that neither side's buffers fill up
    for name, text, identifier in sent:
        if text == "1E400":
            assert client.error(None).kind == "parse_error"
            continue
        error = client.error(identifier)
        assert error.kind == "invalid_params", f"{name}: {text}: {error.message}"
        assert error.data["parameter"] == name and error.message.startswith(name), f"{name}: {text}: {error.message}"
    assert len(sent) >= 10
    assert moved(client) == before


@pytest.mark.parametrize("method", PROTOCOL_METHODS)
@pytest.mark.parametrize("name", ["adress", "Address", "", "x" * 300, "ünknown", "[exit]", "id ", "address\u0007"],
                         ids=lambda value: ascii(value)[:40])
def test_unknown_parameter(client: Client, validator: Validator, method: str, name: str) -> None:
    error = client.fail(method, **{**example_params(validator, method), name: 1})
    assert error.kind == "invalid_params" and "unknown parameter" in error.message
    assert name[:20].encode().decode("ascii", "ignore")[:6] in error.message


@pytest.mark.parametrize("method", PROTOCOL_METHODS)
def test_missing_parameter(client: Client, validator: Validator, method: str) -> None:
    good = example_params(validator, method)
    for name, descriptor in validator.params_of(method).items():
        if descriptor.get("required"):
            error = client.fail(method, **{key: value for key, value in good.items() if key != name})
            assert error.kind == "invalid_params" and error.data["parameter"] == name
            assert error.message == f"{name}: is missing"


@pytest.mark.parametrize("method", PROTOCOL_METHODS)
@pytest.mark.parametrize("params", ["[]", "[1]"])
def test_positional_parameters(client: Client, method: str, params: str) -> None:
    client.send_text(f'{{"jsonrpc": "2.0", "id": "p", "method": "{method}", "params": {params}}}')
    error = client.error("p")
    assert error.kind == "invalid_params" and "name" in error.message


READ = {"address": FLASH_BASE, "size": 4}
SEARCH = {"start": FLASH_BASE, "end": FLASH_BASE + 16, "pattern": "AA=="}
IMAGE = {"data": "AAAA"}
TERABYTE = 2**40

# method, good parameters, the bad ones, and what the error is about: a parameter, or else its kind
TABLE = [
    # Ranges of numbers.
    ("memory.read_u8", {"address": 0}, {"count": 0}, "count"),
    ("memory.read_u8", {"address": 0}, {"count": 65537}, "count"),
    ("memory.read_u8", {"address": 0}, {"count": "65537"}, "count"),
    ("memory.read_u64", {"address": 0}, {"count": "0x10001"}, "count"),
    ("memory.read_u32", {}, {"address": "18446744073709551616"}, "address"),
    ("memory.read_u32", {}, {"address": "0x10000000000000000"}, "address"),
    ("memory.read_u32", {}, {"address": "9" * 100000}, "address"),
    ("memory.read_bytes", READ, {"size": 0}, "size"),
    ("memory.read_bytes", READ, {"size": "0x0"}, "size"),
    ("memory.hexdump", READ, {"size": 0}, "size"),
    ("memory.dump", {**READ, "path": "f"}, {"size": 0}, "size"),
    ("memory.search", SEARCH, {"align": 0}, "align"),
    ("memory.search", SEARCH, {"align": 2**32 + 1}, "align"),
    ("memory.search", SEARCH, {"limit": 0}, "limit"),
    ("memory.search", SEARCH, {"limit": 200001}, "limit"),
    ("flash.info", {}, {"bank": 1024}, "bank"),
    ("flash.verify", IMAGE, {"bank": 1024}, "bank"),
    ("memory.read_u8", {"address": 0}, {"timeout_ms": 0}, "timeout_ms"),
    ("memory.read_u8", {"address": 0}, {"timeout_ms": 86400001}, "timeout_ms"),
    ("operation.wait", {"operation": "x"}, {"timeout_ms": 0}, "timeout_ms"),
    # Values to write.
    ("memory.write_u8", {"address": RAM_BASE}, {"values": []}, "values"),
    ("memory.write_u8", {"address": RAM_BASE}, {"values": [0] * 65537}, "values"),
    ("memory.write_u8", {"address": RAM_BASE}, {"values": [1, 256]}, "values"),
    ("memory.write_u8", {"address": RAM_BASE}, {"values": 256}, "values"),
    ("memory.write_u8", {"address": RAM_BASE}, {"values": "0x100"}, "values"),
    ("memory.write_u8", {"address": RAM_BASE}, {"values": [1, [2]]}, "values"),
    ("memory.write_u16", {"address": RAM_BASE}, {"values": [65536]}, "values"),
    ("memory.write_u32", {"address": RAM_BASE}, {"values": [2**32]}, "values"),
    ("memory.write_u64", {"address": RAM_BASE}, {"values": [2**53]}, "values"),
    ("memory.write_u64", {"address": RAM_BASE}, {"values": ["0x10000000000000000"]}, "values"),
    ("memory.write_u64", {"address": RAM_BASE}, {"values": [1, "two"]}, "values"),
    # Bytes.
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": ""}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "A"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AA"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AAA"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AA="}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AB=="}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "===="}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AA==AAAA"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AA AA"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AAA\n"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "AA-_"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE}, {"data": "äAAA"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE, "encoding": "hex"}, {"data": ""}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE, "encoding": "hex"}, {"data": "a"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE, "encoding": "hex"}, {"data": "abc"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE, "encoding": "hex"}, {"data": "0x12"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE, "encoding": "hex"}, {"data": "12 34"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE, "encoding": "hex"}, {"data": "zz"}, "data"),
    ("memory.write_bytes", {"address": RAM_BASE, "data": "AAAA"}, {"encoding": "HEX"}, "encoding"),
    ("memory.write_bytes", {"address": RAM_BASE, "data": "AAAA"}, {"encoding": "base32"}, "encoding"),
    ("memory.search", SEARCH, {"pattern": ""}, "pattern"),
    ("memory.search", SEARCH, {"pattern": "00" * 4097, "encoding": "hex"}, "pattern"),
    ("memory.search", SEARCH, {"mask": ""}, "mask"),
    ("memory.search", SEARCH, {"mask": "AAAA"}, "mask"),
    ("flash.write_image", {}, {"data": ""}, "data"),
    ("flash.write_image", IMAGE, {"format": "coff"}, "format"),
    ("flash.write_image", IMAGE, {"mode": "fast"}, "mode"),
    ("flash.write_image", IMAGE, {"prepare": "init"}, "prepare"),
    ("flash.write_image", IMAGE, {"reset": "init"}, "reset"),
    # Texts.
    ("memory.dump", READ, {"path": ""}, "path"),
    ("memory.dump", READ, {"path": "a\nb"}, "path"),
    ("memory.dump", READ, {"path": "a\u0001b"}, "path"),
    ("memory.dump", READ, {"path": "a\u007fb"}, "path"),
    ("memory.dump", READ, {"path": "a\u0085b"}, "path"),
    ("memory.read_u8", {"address": 0}, {"target": ""}, "target"),
    ("memory.read_u8", {"address": 0}, {"target": "x" * 129}, "target"),
    ("memory.read_u8", {"address": 0}, {"target": "vb.cpu\n"}, "target"),
    ("memory.read_u8", {"address": 0}, {"target": "vb.cpu\u001a"}, "target"),
    ("memory.read_u8", {"address": 0}, {"board": ""}, "board"),
    ("memory.read_u8", {"address": 0}, {"board": "x" * 65}, "board"),
    ("board.status", {}, {"board": "a\tb"}, "board"),
    ("server.hello", {}, {"client": "x" * 129}, "client"),
    ("server.hello", {}, {"client": "evil\nlog line"}, "client"),
    ("server.hello", {}, {"client": "\u001b[2J"}, "client"),
    ("server.hello", {}, {"token": "t" * 1025}, "token"),
    ("operation.status", {}, {"operation": ""}, "operation"),
    ("operation.status", {}, {"operation": "x" * 65}, "operation"),
    ("openocd.command", {}, {"command": ""}, "command"),
    ("openocd.command", {}, {"command": "x" * 1048577}, "command"),
    # Tokens, ids and words.
    ("memory.read_bytes", READ, {"progress": "x" * 257}, "progress"),
    ("memory.read_bytes", READ, {"progress": 1.5}, "progress"),
    ("request.cancel", {}, {"id": "x" * 257}, "id"),
    ("target.reset", {}, {"mode": "Run"}, "mode"),
    ("target.reset", {}, {"mode": "run; shutdown"}, "mode"),
    ("events.subscribe", {}, {"topics": []}, "topics"),
    ("events.subscribe", {}, {"topics": ["target", "weather"]}, "topics"),
    ("events.subscribe", {}, {"topics": "target"}, "topics"),
    ("events.unsubscribe", {}, {"topics": ["Target"]}, "topics"),
    # What is well-formed but cannot be.
    ("memory.search", SEARCH, {"end": FLASH_BASE}, "invalid_range"),
    ("memory.search", SEARCH, {"end": 0}, "invalid_range"),
    ("memory.read_bytes", {"address": str(2**64 - 1)}, {"size": 2}, "invalid_range"),
    ("memory.read_bytes", {"address": 1}, {"size": str(2**64 - 1), "stream": True}, "invalid_range"),
    ("memory.read_bytes", {"address": 2}, {"size": str(2**64 - 1), "stream": True}, "invalid_range"),
    ("memory.read_bytes", {"address": FLASH_BASE}, {"size": TERABYTE, "stream": True}, "invalid_range"),
    ("memory.read_bytes", {"address": FLASH_BASE}, {"size": TERABYTE}, "limit_exceeded"),
    ("memory.hexdump", {"address": FLASH_BASE}, {"size": TERABYTE}, "limit_exceeded"),
    ("memory.hexdump", {"address": FLASH_BASE}, {"size": TERABYTE, "stream": True}, "invalid_range"),
    ("memory.dump", {"address": FLASH_BASE, "path": "f"}, {"size": TERABYTE}, "invalid_range"),
    ("memory.search", {"start": 0, "pattern": "AA=="}, {"end": TERABYTE}, "invalid_range"),
    ("memory.search", {"start": 0, "pattern": "AA=="}, {"end": str(2**64 - 1)}, "invalid_range"),
    ("memory.read_u32", {}, {"address": 2**32}, "invalid_range"),
    ("memory.write_u32", {"values": 1}, {"address": 2**32}, "invalid_range"),
    ("memory.write_u32", {"values": 1}, {"address": "0xfffffffe"}, "invalid_range"),
    ("flash.verify", IMAGE, {"offset": str(2**64 - 1)}, "invalid_range"),
    ("flash.write_image", IMAGE, {"address": str(2**64 - 1)}, "invalid_range"),
    ("target.resume", {}, {"address": 2**32}, "invalid_range"),
    ("operation.status", {}, {"operation": "0123456789abcdef"}, "not_found"),
    ("operation.wait", {}, {"operation": "[exit]"}, "not_found"),
    ("operation.cancel", {}, {"operation": "0"}, "not_found"),
    ("operation.list", {}, {"board": "other"}, "not_found"),
    ("events.subscribe", {"topics": ["link"]}, {"board": "other"}, "not_found"),
    ("server.hello", {}, {"token": "secret"}, "unauthenticated"),
]


@pytest.mark.parametrize("method, good, bad, about", TABLE)
def test_refused(client: Client, method: str, good: Dict[str, Any], bad: Dict[str, Any], about: str) -> None:
    error = client.fail(method, **{**good, **bad})
    if about in client.validator.errors:
        assert error.kind == about, error.message
    else:
        assert error.kind == "invalid_params" and error.data["parameter"] == about, error.message
        assert error.message.startswith(about)
    assert client.call("memory.read_u32", address=FLASH_BASE)["values"]


def test_too_large_for_a_json_number(client: Client) -> None:
    """The message says what to do."""
    for value in (2**53, 2**53 + 1, 2**64 - 1):
        error = client.fail("memory.read_u32", address=value)
        assert error.kind == "invalid_params" and "write it as a string" in error.message
    assert client.fail("memory.read_u32", address=2**53 - 1).kind == "invalid_range"
    assert client.fail("memory.read_u32", address=str(2**53)).kind == "invalid_range"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_target(client: Client, name: str) -> None:
    for method, params in (
        ("memory.read_u32", {"address": FLASH_BASE}),
        ("memory.write_u8", {"address": RAM_BASE, "values": 1}),
        ("memory.read_bytes", READ),
        ("target.halt", {}),
        ("target.state", {}),
        ("openocd.command", {"command": "version"}),
    ):
        error = client.fail(method, target=name, **params)
        assert error.kind == "not_found" and error.data["parameter"] == "target", f"{method}: {error.message}"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_board(client: Client, name: str) -> None:
    for method in ("target.state", "board.status", "operation.list"):
        error = client.fail(method, board=name)
        assert error.kind == "not_found" and error.data["parameter"] == "board", f"{method}: {error.message}"


def test_nul_in_texts(client: Client) -> None:
    """JSON's own way to write it, and the bare byte."""
    lines: List[bytes] = [
        b'{"jsonrpc":"2.0","id":"n","method":"target.state","params":{"target":"vb.cpu\\u0000x"}}\n',
        b'{"jsonrpc":"2.0","id":"n","method":"target.state","params":{"target":"vb.cpu\x00x"}}\n',
        b'{"jsonrpc":"2.0","id":"n","method":"target.state\x00"}\n',
    ]
    for line in lines:
        client.send_bytes(line)
        error = client.error(None)
        assert error.kind == "parse_error" and "NUL" in error.message
        client.forget_calls()
