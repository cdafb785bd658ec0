"""proto/protocol.json agrees with itself, and tools/gen-proto makes of it what is committed."""
from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/lib"))

from protocol_check import SchemaChecker, Validator  # noqa: E402

GENERATOR = ROOT / "tools/gen-proto"
PROTOCOL = ROOT / "proto/protocol.json"
DOCUMENT: Dict[str, Any] = json.loads(PROTOCOL.read_text(encoding="utf-8"))
METHODS: List[Dict[str, Any]] = DOCUMENT["methods"]


def load_generator() -> Any:
    """tools/gen-proto as a module; nothing is written beside it."""
    loader = importlib.machinery.SourceFileLoader("gen_proto", str(GENERATOR))
    spec = importlib.util.spec_from_loader("gen_proto", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gen_proto"] = module  # dataclasses look there
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    loader.exec_module(module)
    sys.dont_write_bytecode = before
    return module


GEN = load_generator()


@pytest.fixture
def copy(tmp_path: pathlib.Path) -> pathlib.Path:
    """A tree that holds what the generator reads and writes."""
    programs = [f"proto/examples/{path.name}" for path in (ROOT / "proto/examples").iterdir()]
    for name in ["proto/protocol.json", "proto/transcripts.json", ".clang-format", *programs, *GEN.OUTPUTS]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def run(root: pathlib.Path, *flags: str, seed: str = "0") -> "subprocess.CompletedProcess[str]":
    """Runs the generator on a tree."""
    return subprocess.run(
        [sys.executable, str(GENERATOR), "--root", str(root), *flags], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def outputs(root: pathlib.Path) -> Dict[str, bytes]:
    return {name: (root / name).read_bytes() for name in GEN.OUTPUTS}


# ---- the generator


def test_gen_proto_committed_files_are_current() -> None:
    done = run(ROOT, "--check")
    assert (done.returncode, done.stderr) == (0, "")


def test_gen_proto_is_deterministic(copy: pathlib.Path) -> None:
    committed = outputs(copy)
    for seed in ("1", "2"):
        for name in GEN.OUTPUTS:
            (copy / name).unlink()
        done = run(copy, seed=seed)
        assert done.returncode == 0, done.stderr
        assert sorted(done.stdout.split()) == sorted(GEN.OUTPUTS)
        assert outputs(copy) == committed


def test_gen_proto_leaves_current_files_alone(copy: pathlib.Path) -> None:
    before = {name: (copy / name).stat().st_mtime_ns for name in GEN.OUTPUTS}
    done = run(copy)
    assert (done.returncode, done.stdout) == (0, "")
    assert {name: (copy / name).stat().st_mtime_ns for name in GEN.OUTPUTS} == before


def test_gen_proto_check_notices_an_edit_of_any_file(copy: pathlib.Path) -> None:
    texts = GEN.generate(copy)
    assert GEN.check(copy, texts) == 0
    for name in GEN.OUTPUTS:
        whole = (copy / name).read_text(encoding="utf-8")
        (copy / name).write_text(whole + "\n", encoding="utf-8")
        assert GEN.check(copy, texts) == 1, name
        (copy / name).unlink()
        assert GEN.check(copy, texts) == 1, name
        (copy / name).write_text(whole, encoding="utf-8")
    assert GEN.check(copy, texts) == 0


def test_gen_proto_check_names_the_file_and_writes_nothing(copy: pathlib.Path) -> None:
    place = copy / "src/rpc/methods_gen.h"
    edited = place.read_text(encoding="utf-8").replace("RPC_METHOD_COUNT", "RPC_COUNT", 1)
    place.write_text(edited, encoding="utf-8")
    done = run(copy, "--check")
    assert done.returncode == 1
    assert "src/rpc/methods_gen.h is not what tools/gen-proto makes" in done.stderr
    assert "-#define RPC_COUNT" in done.stderr
    assert place.read_text(encoding="utf-8") == edited


def test_gen_proto_check_notices_a_change_of_the_protocol(copy: pathlib.Path) -> None:
    text = (copy / "proto/protocol.json").read_text(encoding="utf-8")
    (copy / "proto/protocol.json").write_text(text.replace('"x-timeout-ms": 30000', '"x-timeout-ms": 20000', 1))
    done = run(copy, "--check")
    assert done.returncode == 1
    for name in ("methods_gen.c", "discover_gen.c", "PROTOCOL.md"):
        assert name in done.stderr
    assert run(copy).returncode == 0
    assert run(copy, "--check").returncode == 0


def method_named(document: Dict[str, Any], name: str) -> Dict[str, Any]:
    return next(method for method in document["methods"] if method["name"] == name)


def break_kind(document: Dict[str, Any]) -> None:
    method_named(document, "memory.read_u8")["params"][1]["x-kind"] = "u63"


def break_reference(document: Dict[str, Any]) -> None:
    method_named(document, "memory.read_u8")["errors"][0]["$ref"] = "#/x-errors/no_such"


def break_default(document: Dict[str, Any]) -> None:
    method_named(document, "memory.read_u8")["params"][1]["required"] = True


def break_common(document: Dict[str, Any]) -> None:
    del method_named(document, "memory.read_u8")["params"][-1]


def break_name(document: Dict[str, Any]) -> None:
    method_named(document, "memory.read_u8")["name"] = "memory.read_u16"


def break_error(document: Dict[str, Any]) -> None:
    document["x-errors"]["timeout"]["data"]["kind"] = "time_out"


def break_example(document: Dict[str, Any]) -> None:
    method_named(document, "memory.read_u8")["examples"] = []


@pytest.mark.parametrize(
    "damage, message",
    [
        (break_kind, "memory.read_u8: count: x-kind 'u63' is unknown"),
        (break_reference, "#/x-errors/no_such leads nowhere"),
        (break_default, "memory.read_u8: count: required, and has a default"),
        (break_common, "memory.read_u8: a board method ends its params with board, target, lease, timeout_ms, progress"),
        (break_name, "two methods have the same name"),
        (break_error, "x-errors: timeout: data.kind is 'time_out'"),
        (break_example, "memory.read_u8: examples is missing"),
    ],
)
def test_gen_proto_refuses_contradictions(
    copy: pathlib.Path, damage: Callable[[Dict[str, Any]], None], message: str
) -> None:
    document = json.loads((copy / "proto/protocol.json").read_text(encoding="utf-8"))
    damage(document)
    (copy / "proto/protocol.json").write_text(json.dumps(document), encoding="utf-8")
    before = outputs(copy)
    done = run(copy)
    assert done.returncode == 2
    assert message in done.stderr
    assert outputs(copy) == before


def test_gen_proto_output_says_that_it_is_generated() -> None:
    for name in GEN.OUTPUTS:
        assert "generated by tools/gen-proto; do not edit" in (ROOT / name).read_text().splitlines()[0], name


def test_gen_proto_output_is_formatted() -> None:
    for name in GEN.OUTPUTS:
        if name.endswith((".c", ".h")):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert GEN.clang_format(text, name, ROOT / ".clang-format") == text, name


def literals_of(text: str) -> List[str]:
    """The C string literals of discover_gen.c, each run of adjacent ones as one."""
    found = []
    for group in re.findall(r'\(((?:"(?:[^"\\]|\\.)*"\s*)+)\)', text):
        pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', group)
        found.append(re.sub(r"\\(.)", r"\1", "".join(pieces)))
    return found


def test_gen_proto_discover_text_is_the_document() -> None:
    literals = literals_of((ROOT / "src/rpc/discover_gen.c").read_text(encoding="utf-8"))
    assert max(len(literal) for literal in literals) < 4000
    assert json.loads("".join(literals)) == DOCUMENT


def test_gen_proto_reference_covers_everything() -> None:
    text = (ROOT / "proto/PROTOCOL.md").read_text(encoding="utf-8")
    for method in METHODS:
        assert f"\n### {method['name']}\n" in text
    for kind in DOCUMENT["x-errors"]:
        assert f"\n| `{kind}`" in text
    for name in DOCUMENT["x-notifications"]:
        assert f"\n### Notification {name}\n" in text
    anchors = {GEN.anchor(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) <= anchors


# ---- the protocol


def walk(value: Any, path: str = "#") -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Every object in a JSON value, with its place."""
    if isinstance(value, dict):
        yield path, value
        for key, item in value.items():
            yield from walk(item, f"{path}/{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from walk(item, f"{path}/{i}")


def test_protocol_references_lead_somewhere() -> None:
    checker = SchemaChecker(DOCUMENT)
    used = set()
    for path, entry in walk(DOCUMENT):
        if "$ref" in entry:
            assert set(entry) == {"$ref"}, f"{path}: what stands beside a $ref is ignored"
            checker.resolve(entry["$ref"])
            used.add(entry["$ref"])
    for kind in ("schemas", "contentDescriptors"):
        unused = {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]} - used
        assert not unused


def descriptors() -> Iterator[Tuple[str, Dict[str, Any]]]:
    for method in METHODS:
        for entry in method["params"]:
            if "$ref" not in entry:
                yield f"{method['name']}: {entry['name']}", entry
    yield from DOCUMENT["components"]["contentDescriptors"].items()


def test_protocol_describes_everything() -> None:
    for method in METHODS:
        assert method["summary"].endswith(".") and method["description"].endswith("."), method["name"]
        assert method["paramStructure"] == "by-name"
        assert method["examples"], method["name"]
    for name, entry in descriptors():
        assert entry["description"].endswith("."), name
        assert entry["required"] in (True, False), name
    for kind, error in DOCUMENT["x-errors"].items():
        assert error["message"].endswith("."), kind
        assert set(error) == {"code", "message", "data"}, f"{kind}: an OpenRPC error object has no more"
        assert error["code"] in (-32700, -32600, -32601, -32602, -32603, -32000), kind


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["name"])
def test_protocol_examples_fit(method: Dict[str, Any]) -> None:
    validator = Validator(PROTOCOL)
    for example in method["examples"]:
        params = {param["name"]: param["value"] for param in example["params"]}
        assert len(params) == len(example["params"])
        validator.check_params(method["name"], params)
        reply = {"jsonrpc": "2.0", "id": 1, "result": example["result"]["value"]}
        validator.check_reply(method["name"], reply)
    assert validator.exercised == {method["name"]}


def test_protocol_defaults_fit() -> None:
    checker = SchemaChecker(DOCUMENT)
    for name, entry in descriptors():
        schema = checker.resolve(entry["schema"]["$ref"]) if "$ref" in entry["schema"] else entry["schema"]
        if "default" in schema:
            assert checker.faults(schema["default"], schema) == [], name


def test_protocol_notification_examples_fit() -> None:
    validator = Validator(PROTOCOL)
    for name, entry in DOCUMENT["x-notifications"].items():
        validator.check_notification({"jsonrpc": "2.0", "method": name, "params": entry["example"]})
    assert set(validator.notified) == {"progress", "data", "event", "memory.changed"}


def test_protocol_results_are_closed() -> None:
    """No reply can carry a member that the protocol does not name; only the document of rpc.discover is open."""
    for path, entry in walk({"methods": METHODS, "shapes": DOCUMENT["components"]["schemas"]}):
        if entry.get("type") == "object" and "properties" in entry and "/rpc.discover" not in path:
            is_discover = path.startswith("#/methods/") and METHODS[int(path.split("/")[2])]["name"] == "rpc.discover"
            is_error = path.startswith("#/shapes/Error")  # closed by kind, in x-errors
            assert is_discover or is_error or "additionalProperties" in entry, path
            assert set(entry["required"]) <= set(entry["properties"]), path


def test_protocol_flags_agree() -> None:
    for method in METHODS:
        name = method["name"]
        changes, board = method.get("x-changes", False), method.get("x-board", False)
        is_lease = name.startswith("lease.")  # which change who may change the board
        assert changes == (method["x-role"] != "observer" and not is_lease), name
        assert not (board and method.get("x-immediate")), name
        assert ("x-timeout-ms" in method) == board, name
        kinds = {reference["$ref"].rsplit("/", 1)[1] for reference in method.get("errors", [])}
        assert not board or {"openocd_unavailable", "timeout", "cancelled", "not_found"} <= kinds, name
        assert ("outcome_unknown" in kinds) == changes, name
        assert is_lease or ("board_busy" in kinds) == changes, name
        assert is_lease or ("lease_lost" in kinds) == board, name


def test_protocol_error_details_do_not_clash() -> None:
    common = set(DOCUMENT["x-error-details"])
    for kind, entry in DOCUMENT["x-errors"].items():
        assert not {"kind", *common} & set(entry["data"].get("details", {})), kind
