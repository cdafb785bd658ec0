"""The package as a whole: types, the contract, and both kinds of session side by side."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest

import ocdmux
from conftest import ROOT
from harness.paths import PROTOCOL
from ocdmux import _core, errors, sync
from ocdmux.flash import Flash
from ocdmux.memory import Memory
from ocdmux.operations import Operations
from ocdmux.stages import Stages
from ocdmux.target import Breakpoints, Registers, TargetControl

PACKAGE = ROOT / "tools" / "python"
METHODS: Dict[str, Any] = {each["name"]: each for each in json.loads(PROTOCOL.read_text())["methods"]}


def test_package_is_typed_strictly_for_the_oldest_python(tmp_path: Path) -> None:
    words = ["mypy", "--cache-dir", str(tmp_path), "--config-file", "pyproject.toml"]
    done = subprocess.run(words, cwd=PACKAGE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_package_needs_the_standard_library_only() -> None:
    code = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); import ocdmux; print(ocdmux.__version__)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=True)
    built = re.search(r"project\(ocdmux VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    declared = re.search(r'^version = "(.*)"', (PACKAGE / "pyproject.toml").read_text(), re.MULTILINE)
    assert built and declared and done.stdout.strip() == built.group(1) == declared.group(1)


def test_methods_are_treated_as_the_contract_says() -> None:
    assert _core.CHANGES == {name for name, method in METHODS.items() if method.get("x-changes")}
    assert not _core.REPEATABLE & _core.CHANGES and _core.FOLLOWED <= _core.CHANGES
    known = set(METHODS) | {"memory.watch", "memory.unwatch"}
    assert _core.REPEATABLE | _core.URGENT <= known
    for name, method in METHODS.items():
        takes = any(str(each.get("name", each.get("$ref"))).endswith("timeout_ms") for each in method["params"])
        assert _core.is_timed(name) == takes, name


def test_every_kind_of_error_has_a_class() -> None:
    kinds = json.loads(PROTOCOL.read_text())["x-errors"]
    assert set(kinds) <= set(errors.KINDS)
    for kind, cls in errors.KINDS.items():
        assert getattr(ocdmux, cls.__name__) is cls and issubclass(errors.class_for(kind, ocdmux.FlashError), cls)


@pytest.mark.parametrize("one, other", [
    (Memory, sync.SyncMemory), (Flash, sync.SyncFlash), (TargetControl, sync.SyncTarget),
    (Registers, sync.SyncRegisters), (Breakpoints, sync.SyncBreakpoints), (Operations, sync.SyncOperations),
    (Stages, sync.SyncStages), (ocdmux.Session, ocdmux.SyncSession),
])
def test_sync_has_the_same_methods(one: type, other: type) -> None:
    def public(cls: type) -> Dict[str, Any]:
        return {name: member for name, member in inspect.getmembers(cls, inspect.isfunction) if name[0] != "_"}

    internal = {"where", "board_params", "timeout_or", "hold_lease", "drop_lease"}
    found = {name: member for name, member in public(one).items() if name not in internal}
    assert set(found) == set(public(other)) and found
    for name, member in found.items():
        signature = inspect.signature(member)
        assert signature.parameters == inspect.signature(public(other)[name]).parameters, name
        assert member.__doc__


def test_documented_signatures_hold() -> None:
    wanted = {
        Flash: {"banks": [], "info": ["bank"], "read": ["bank", "offset", "size"], "read_to_file": ["bank", "path"],
                "write": ["bank", "offset", "data"], "write_image": ["path", "erase", "verify"],
                "erase_sector": ["bank", "first", "last"], "erase_all": ["bank"],
                "protect": ["bank", "first", "last", "on"], "verify": ["bank", "path"]},
        Memory: {**{f"read_u{width}": ["addr", "count"] for width in (8, 16, 32, 64)},
                 **{f"write_u{width}": ["addr", "values"] for width in (8, 16, 32)},
                 "read_bytes": ["addr", "size"], "write_bytes": ["addr", "data"], "hexdump": ["addr", "size"],
                 "search": ["pattern", "start", "end"], "dump": ["addr", "size", "path"]},
    }
    for cls, methods in wanted.items():
        for name, names in methods.items():
            parameters = list(inspect.signature(getattr(cls, name)).parameters.values())[1:]
            assert [each.name for each in parameters if each.kind != each.KEYWORD_ONLY] == names
            assert all(each.default is not each.empty for each in parameters if each.kind == each.KEYWORD_ONLY)
