"""tools/check-protocol: today's contract keeps the released one, and every kind of break is seen."""

from __future__ import annotations

import copy
import importlib.machinery
import importlib.util
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOADER = importlib.machinery.SourceFileLoader("check_protocol", str(ROOT / "tools/check-protocol"))
SPEC = importlib.util.spec_from_loader("check_protocol", LOADER)
assert SPEC is not None
CHECK = importlib.util.module_from_spec(SPEC)
LOADER.exec_module(CHECK)

DOCUMENT: Dict[str, Any] = json.loads((ROOT / "proto/protocol.json").read_text(encoding="utf-8"))
Change = Callable[[Dict[str, Any]], Any]


def test_contract_keeps_what_was_released() -> None:
    released = json.loads(CHECK.released_file(DOCUMENT).read_text(encoding="utf-8"))
    assert released["methods"] and CHECK.Contract(released).protocol == 1
    assert CHECK.breaks(released, DOCUMENT) == []


def method(document: Dict[str, Any], name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = next(each for each in document["methods"] if each["name"] == name)
    return found


def param(document: Dict[str, Any], name: str, which: str) -> Dict[str, Any]:
    contract = CHECK.Contract(document)
    found: Dict[str, Any] = contract.params(contract.methods[name])[which]
    return found


def result(document: Dict[str, Any], name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = method(document, name)["result"]["schema"]
    return found


def takes(document: Dict[str, Any], name: str, which: str) -> Dict[str, Any]:
    found: Dict[str, Any] = param(document, name, which)["schema"]
    return found


def member(document: Dict[str, Any], name: str, which: str) -> Dict[str, Any]:
    found: Dict[str, Any] = result(document, name)["properties"][which]
    return found


def details(document: Dict[str, Any], kind: str) -> Dict[str, Any]:
    found: Dict[str, Any] = document["x-errors"][kind]["data"]["details"]
    return found


def says(document: Dict[str, Any], name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = document["x-notifications"][name]["params"]
    return found


def schema(document: Dict[str, Any], name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = document["components"]["schemas"][name]
    return found


def rename(entries: Dict[str, Any], old: str, new: str) -> None:
    entries[new] = entries.pop(old)


def drop_param(document: Dict[str, Any], name: str, index: int) -> None:
    del method(document, name)["params"][index]


NEW_PARAM = {"name": "extra", "description": "X.", "required": True, "schema": {"type": "boolean"}, "x-kind": "bool"}

BREAKS: List[Tuple[str, Change]] = [
    ("target.halt: is gone", lambda d: d["methods"].remove(method(d, "target.halt"))),
    ("target.halt: is gone", lambda d: method(d, "target.halt").update(name="target.stop")),
    ("memory.read_u8: count is gone", lambda d: drop_param(d, "memory.read_u8", 1)),
    ("memory.read_u8: count is gone", lambda d: param(d, "memory.read_u8", "count").update(name="number")),
    ("memory.read_u8: count: is required now", lambda d: param(d, "memory.read_u8", "count").update(required=True)),
    ("extra is new and required", lambda d: method(d, "server.stats")["params"].append(NEW_PARAM)),
    ("target.wait: state: 'running' is gone", lambda d: takes(d, "target.wait", "state")["enum"].remove("running")),
    ("events.subscribe: topics[]: 'link' is gone", lambda d: schema(d, "Topic")["enum"].remove("link")),
    ("server.hello: client: maxLength", lambda d: takes(d, "server.hello", "client").update(maxLength=8)),
    ("operation.wait: timeout_ms: alternative 1",
     lambda d: takes(d, "operation.wait", "timeout_ms")["oneOf"][0].update(minimum=5)),
    ("operation.wait: timeout_ms: the default", lambda d: takes(d, "operation.wait", "timeout_ms").update(default=5)),
    ("address: alternative 2 is gone", lambda d: schema(d, "Address")["oneOf"].pop()),
    ("stage.write: data: x-max", lambda d: param(d, "stage.write", "data").update({"x-max": 1000})),
    ("memory.read_bytes: stream: the type", lambda d: takes(d, "memory.read_bytes", "stream").update(type="string")),
    ("server.hello: client: the pattern", lambda d: takes(d, "server.hello", "client").update(pattern="^a$")),
    ("needs the role user", lambda d: method(d, "target.state").update({"x-role": "user"})),
    ("changes the board now", lambda d: method(d, "target.state").update({"x-changes": True})),
    ("waits for the link now", lambda d: method(d, "board.list").pop("x-immediate")),
    ("the time limit is 10 ms now", lambda d: method(d, "target.state").update({"x-timeout-ms": 10})),
    ("the time limit is 10 ms now", lambda d: method(d, "flash.write_image").update({"x-timeout-ms": 10})),
    ("target.state: the error timeout is gone",
     lambda d: method(d, "target.state")["errors"].remove({"$ref": "#/x-errors/timeout"})),
    ("result.operation: is gone", lambda d: result(d, "memory.read_bytes")["properties"].pop("operation")),
    ("result.size: is gone", lambda d: rename(result(d, "memory.read_bytes")["properties"], "size", "length")),
    ("result.size: may be missing now", lambda d: result(d, "memory.read_bytes")["required"].remove("size")),
    ("result.size: the type", lambda d: result(d, "memory.read_bytes")["properties"].update(size={"type": "string"})),
    ("result.protocol: was always 1", lambda d: member(d, "server.hello", "protocol").update(const=2)),
    ("result.role: 'admin' is gone", lambda d: member(d, "server.hello", "role")["enum"].remove("admin")),
    ("result.targets[].state: is gone", lambda d: schema(d, "Target")["properties"].pop("state")),
    ("the kind of its elements is no longer said", lambda d: member(d, "server.hello", "boards").pop("items")),
    ("result.limits: further members are gone",
     lambda d: member(d, "server.hello", "limits").update(additionalProperties=False)),
    ("may be something else now", lambda d: result(d, "memory.read_bytes")["properties"].update(
        size={"oneOf": [{"$ref": "#/components/schemas/Count"}, {"type": "string"}]})),
    ("the pattern changed", lambda d: schema(d, "AddressText").update(pattern="^[0-9]+$")),
    ("maximum was", lambda d: member(d, "memory.write_u8", "count").update(maximum=10**6)),
    ("error lease_lost: is gone", lambda d: d["x-errors"].pop("lease_lost")),
    ("error lease_lost: is gone", lambda d: rename(d["x-errors"], "lease_lost", "lease_over")),
    ("error timeout: the code", lambda d: d["x-errors"]["timeout"].update(code=-32001)),
    ("error not_found: the detail parameter is gone", lambda d: details(d, "not_found").pop("parameter")),
    ("error flash_error: bank: the type", lambda d: details(d, "flash_error").update(bank={"type": "string"})),
    ("error flash_error: reason: 'driver' is gone",
     lambda d: details(d, "flash_error")["reason"]["enum"].remove("driver")),
    ("every error: the detail openocd is gone", lambda d: d["x-error-details"].pop("openocd")),
    ("notification data: is gone", lambda d: d["x-notifications"].pop("data")),
    ("notification progress.done: may be missing", lambda d: says(d, "progress")["required"].remove("done")),
    ("notification event: alternative 1 is gone", lambda d: says(d, "event")["oneOf"].pop(0)),
    ("notification event: alternative 2 is gone", lambda d: says(d, "event")["oneOf"][1]["properties"].pop("state")),
]


@pytest.mark.parametrize("said, change", BREAKS, ids=[f"{i}-{said}" for i, (said, _) in enumerate(BREAKS)])
def test_contract_break_is_seen(said: str, change: Change) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    found = CHECK.breaks(DOCUMENT, document)
    assert any(said in each for each in found), found


def optional(name: str, **more: Any) -> Dict[str, Any]:
    return {**NEW_PARAM, "name": name, "required": False, **more}


ADDITIONS: List[Change] = [
    lambda d: d["methods"].append({**copy.deepcopy(method(d, "server.stats")), "name": "server.more"}),
    lambda d: method(d, "server.stats")["params"].append(optional("extra")),
    lambda d: takes(d, "target.wait", "state")["enum"].append("dreaming"),
    lambda d: schema(d, "Topic")["enum"].append("weather"),
    lambda d: schema(d, "LinkState")["enum"].append("dreaming"),
    lambda d: takes(d, "server.hello", "client").update(maxLength=4096),
    lambda d: param(d, "memory.read_u8", "address").update(required=False),
    lambda d: method(d, "openocd.command").update({"x-role": "user"}),
    lambda d: method(d, "target.state").update({"x-timeout-ms": 90000}),
    lambda d: method(d, "target.state")["errors"].append({"$ref": "#/x-errors/unsupported"}),
    lambda d: result(d, "memory.read_bytes")["properties"].update(more={"type": "string"}),
    lambda d: result(d, "memory.read_bytes")["required"].append("sha256"),
    lambda d: schema(d, "Target")["properties"].update(more={"type": "string"}),
    lambda d: d["x-errors"].update(new_kind={"code": -32000, "message": "X.", "data": {"kind": "new_kind"}}),
    lambda d: details(d, "timeout").update(more={"type": "string"}),
    lambda d: d["x-error-details"].update(more={"type": "string"}),
    lambda d: d["x-notifications"].update(more=copy.deepcopy(d["x-notifications"]["progress"])),
    lambda d: says(d, "event")["oneOf"].append({"type": "object", "properties": {}}),
    lambda d: method(d, "server.stats").update(description="Something else.", summary="More.", examples=[]),
    lambda d: d["x-reference"].clear(),
]


@pytest.mark.parametrize("change", ADDITIONS, ids=[str(i) for i in range(len(ADDITIONS))])
def test_contract_addition_passes(change: Change) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document)
    assert document != DOCUMENT
    assert CHECK.breaks(DOCUMENT, document) == []


def damaged(entry: Dict[str, Any]) -> Iterator[Tuple[str, Dict[str, Any]]]:
    """A method without each parameter, with each optional one required, without each member of its result."""
    for i in range(len(entry["params"])):
        yield f"parameter {i} dropped", {**entry, "params": entry["params"][:i] + entry["params"][i + 1 :]}
        own = CHECK.Contract(DOCUMENT).resolve(entry["params"][i])
        if not own.get("required"):
            yield f"parameter {i} required", {
                **entry, "params": [*entry["params"][:i], {**own, "required": True}, *entry["params"][i + 1 :]]}
    shape = CHECK.Contract(DOCUMENT).resolve(entry["result"]["schema"])
    for name in shape.get("properties", {}):
        rest = {key: value for key, value in shape["properties"].items() if key != name}
        yield f"result without {name}", {**entry, "result": {"schema": {**shape, "properties": rest}}}
    for name in shape.get("required", []):
        fewer = [each for each in shape["required"] if each != name]
        yield f"{name} optional", {**entry, "result": {"schema": {**shape, "required": fewer}}}


def test_contract_of_every_method_is_held() -> None:
    contract = CHECK.Contract(DOCUMENT)
    comparison = CHECK.Comparison(contract, contract)
    tried = 0
    for entry in DOCUMENT["methods"]:
        assert list(comparison.method(entry, entry)) == []
        for what, broken in damaged(entry):
            assert list(comparison.method(entry, broken)), f"{entry['name']}: {what}"
            tried += 1
    assert tried > 500


def test_contract_release_keeps_only_what_is_compared() -> None:
    released = CHECK.strip(DOCUMENT)
    assert "description" not in json.dumps(released["methods"][0]["params"])
    assert CHECK.breaks(released, DOCUMENT) == [] and CHECK.breaks(DOCUMENT, released) == []
