"""tests/lib/protocol_check.py: what it must not let pass."""
from __future__ import annotations

import pathlib
import sys
from typing import Any, Dict

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))

from protocol_check import SchemaChecker, SchemaError, Validator, Violation  # noqa: E402

Json = Dict[str, Any]


@pytest.fixture
def validator() -> Validator:
    return Validator(ROOT / "proto/protocol.json")


def reply(result: Any, **changes: Any) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "result": result, **changes}


def failure(kind: str, code: int = -32000, **details: Any) -> Json:
    return {"code": code, "message": "No.", "data": {"kind": kind, **details}}


def failed(error: Json, identifier: Any = 1) -> Json:
    return {"jsonrpc": "2.0", "id": identifier, "error": error}


@pytest.mark.parametrize(
    "schema, good, bad",
    [
        ({"type": "integer"}, [0, -1], [True, 1.0, "1", None]),
        ({"type": "number"}, [0, 1.5], [False, "1"]),
        ({"type": "boolean"}, [True], [1, None]),
        ({"type": ["boolean", "null"]}, [False, None], [0, ""]),
        ({"type": "integer", "minimum": 1, "maximum": 3}, [1, 3], [0, 4]),
        ({"type": "string", "minLength": 1, "maxLength": 2}, ["a", "ab"], ["", "abc"]),
        ({"type": "string", "pattern": "^a+$"}, ["a", "aa"], ["", "ab", "a\n"]),
        ({"enum": ["a", 1]}, ["a", 1], ["b", True]),
        ({"const": 1}, [1], [True, 2]),
        ({"items": {"type": "integer"}, "minItems": 1, "maxItems": 2}, [[1], [1, 2], "abc"], [[], [1, 2, 3], ["a"]]),
        ({"oneOf": [{"type": "integer"}, {"minimum": 5}]}, [1, "x"], [6]),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, [1, None], ["x"]),
        ({"type": "string", "not": {"const": "x"}}, ["y"], ["x"]),
        ({"$ref": "#/shape"}, [{"a": 1}, {"a": 1, "b": 2}], [{}, {"a": 1, "c": 1}, {"a": "x"}, []]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, [{}, {"a": 1}], [{"a": "x"}]),
        ({}, [None, 1, []], []),
    ],
)
def test_schema_checker(schema: Json, good: Any, bad: Any) -> None:
    properties = {"a": {"type": "integer"}, "b": {}}
    shape = {"type": "object", "properties": properties, "required": ["a"], "additionalProperties": False}
    checker = SchemaChecker({"shape": shape})
    for value in good:
        assert checker.faults(value, schema) == []
    for value in bad:
        assert checker.faults(value, schema) != []


def test_schema_checker_refuses_what_it_does_not_know() -> None:
    checker = SchemaChecker({})
    with pytest.raises(SchemaError, match="uniqueItems"):
        checker.faults([], {"uniqueItems": True})
    with pytest.raises(SchemaError, match="leads nowhere"):
        checker.faults([], {"$ref": "#/no/such"})


@pytest.mark.parametrize(
    "broken",
    [
        reply({"found": True}, jsonrpc="1.0"),
        reply({"found": True}, id=None),
        reply({"found": True}, id=1.5),
        reply({"found": True}, extra=1),
        reply({"found": True}, error=failure("timeout")),
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "result": {"found": True}},
        reply({"found": 1}),
        reply({}),
        reply({"found": True, "more": 1}),
        [],
    ],
)
def test_validator_refuses_broken_replies(validator: Validator, broken: Any) -> None:
    with pytest.raises(Violation):
        validator.check_reply("operation.cancel", broken)
    assert validator.exercised == set()


def test_validator_counts_what_it_saw(validator: Validator) -> None:
    validator.check_reply("operation.cancel", reply({"found": True}))
    validator.check_reply("target.halt", failed(failure("timeout")))
    assert validator.exercised == {"operation.cancel"}
    assert "target.halt" in validator.unexercised and "operation.cancel" not in validator.unexercised
    assert validator.failed["target.halt"] == 1
    assert validator.error_kinds["timeout"] == 1


def test_validator_knows_which_errors_a_method_has(validator: Validator) -> None:
    words = {"code": -4, "text": "failed"}
    validator.check_error(failure("target_error", address="0x20000000", openocd=words), "memory.read_u8")
    validator.check_error(failure("invalid_params", -32602, parameter="x"), "server.stats")
    validator.check_reply("no.such", failed(failure("method_not_found", -32601, method="no.such")))
    for broken in (
        failure("no_such_kind"), failure("timeout", -32603), failure("timeout", surprise=1),
        failure("flash_error", reason="bad luck"), failure("target_error", address=5),
        failure("target_error", openocd={"code": "-4", "text": ""}),
        {"code": -32000, "message": "", "data": {"kind": "timeout"}}, {"code": -32000, "message": "No."},
        {"code": -32000, "message": "No.", "data": {"kind": "timeout"}, "more": 1},
    ):
        with pytest.raises(Violation):
            validator.check_error(broken)
    with pytest.raises(Violation, match="does not answer with"):
        validator.check_error(failure("flash_error"), "memory.read_u8")


def test_validator_takes_id_null_for_lines_only(validator: Validator) -> None:
    validator.check_reply(None, failed(failure("parse_error", -32700, offset=3), None))
    validator.check_reply(None, failed(failure("line_too_long", maximum=8388608), None))
    with pytest.raises(Violation):
        validator.check_reply(None, failed(failure("timeout"), None))
    with pytest.raises(Violation):
        validator.check_reply(None, failed(failure("parse_error", -32700)))
    with pytest.raises(Violation):
        validator.check_reply("target.halt", failed(failure("timeout"), None))


def test_validator_looks_into_operations(validator: Validator) -> None:
    operation: Json = {"operation": "o", "board": "b", "method": "memory.write_bytes", "state": "done",
                       "created": "2026-01-31T12:34:56.789Z"}
    done = {**operation, "result": {"size": 4, "operation": "o"}}
    validator.check_reply("operation.status", reply(done))
    validator.check_reply("operation.wait", reply({**operation, "state": "failed", "error": failure("target_error")}))
    validator.check_reply("operation.list", reply({"operations": [operation], "truncated": False}))
    for method, broken in (
        ("operation.status", {**operation, "result": {"size": "4"}}),
        ("operation.status", {**done, "state": "running"}),
        ("operation.status", {**operation, "error": failure("target_error")}),
        ("operation.wait", {**operation, "state": "failed", "error": failure("flash_error")}),
        ("operation.list", {"operations": [done], "truncated": False}),
    ):
        with pytest.raises(Violation):
            validator.check_reply(method, reply(broken))


def test_validator_checks_notifications(validator: Validator) -> None:
    good = {"jsonrpc": "2.0", "method": "data", "params": {"id": 1, "offset": 0, "text": "00000000: ...\n"}}
    validator.check_notification(good)
    progress = {"token": "p", "operation": "o", "phase": "read", "done": 0, "unit": "bytes"}
    validator.check_notification({"jsonrpc": "2.0", "method": "progress", "params": progress})
    link = {"seq": 1, "topic": "link", "board": "b", "state": "down", "reason": "closed"}
    validator.check_notification({"jsonrpc": "2.0", "method": "event", "params": link})
    for broken in (
        {**good, "id": 1}, {**good, "method": "nothing"}, {"jsonrpc": "2.0", "method": "data"},
        {**good, "params": {"id": 1, "offset": 0, "text": "x", "data": "AA=="}},
        {"jsonrpc": "2.0", "method": "event", "params": {**link, "seq": 0}},
        {"jsonrpc": "2.0", "method": "event", "params": {**link, "topic": "target"}},
        {"jsonrpc": "2.0", "method": "progress", "params": {**progress, "token": 1.5}},
    ):
        with pytest.raises(Violation):
            validator.check_notification(broken)


def test_validator_checks_params(validator: Validator) -> None:
    validator.check_params("memory.read_u8", {"address": "0x10", "count": 2, "progress": 1, "board": "b"})
    for params in (
        {}, {"address": -1}, {"address": 0, "count": 0}, {"address": 0, "foo": 1}, {"address": 0, "board": "a\n"},
        {"address": 2**53}, {"address": "0X10"},
    ):
        with pytest.raises(Violation):
            validator.check_params("memory.read_u8", params)
