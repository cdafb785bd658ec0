"""proto/config.schema.json says what the daemon takes, no less and no more. That no configuration which any test starts
a daemon with is against it is seen to by tests/lib/harness/processes.py."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, Tuple

import pytest

from config_check import config_faults, schema

from harness.paths import REPOSITORY, build_file

SOURCES = sorted((REPOSITORY / "src/server").glob("config*.c"))
CODE = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
HEADERS = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "src/server").glob("config*.h"))
MACROS = dict(re.findall(r"^#define (\w+) ([^\n]+)$", HEADERS + CODE, re.M))
HOW = "src/server/config*.c and proto/config.schema.json must name the same members"


def objects(value: Any) -> Iterator[Dict[str, Any]]:
    """Every schema of an object with named members."""
    if isinstance(value, dict):
        if isinstance(value.get("properties"), dict):
            yield value
        for item in value.values():
            yield from objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from objects(item)


def taken() -> List[FrozenSet[str]]:
    """The lists of members that the daemon allows in its objects."""
    lists = re.findall(r"static const char \*const \w*members\w*\[\] = \{(.*?)\};", CODE, re.S)
    return [frozenset(re.findall(r'"(\w+)"', each)) for each in lists] + [frozenset(row[0] for row in limits())]


def limits() -> List[Tuple[str, str, str, str]]:
    """Name, default, least and most of the rows of the table of limits."""
    return re.findall(r"\{LIMIT\((\w+)\), ([^,{}]+), ([^,{}]+), ([^,{}]+)\}", CODE)


def test_config_schema_names_the_members_that_the_daemon_takes() -> None:
    calls = len(re.findall(r"\bconfig_check_members\(", CODE)) - 1  # the function itself is no call
    assert calls >= len(taken()) >= 6, "each list of members is called so: static const char *const members[] = {...}"
    named = {frozenset(each["properties"]) for each in objects(schema())}
    assert sorted(map(sorted, named - set(taken()))) == [], f"only in the schema: {HOW}"
    assert sorted(map(sorted, set(taken()) - named)) == [], f"only in the daemon: {HOW}"


def test_config_schema_is_closed_and_described() -> None:
    for each in objects(schema()):
        assert each.get("additionalProperties") is False
        assert set(each.get("required", [])) <= set(each["properties"])
        for name, member in each["properties"].items():
            described = "description" in member or "$ref" in member or name in ("limits", "log_level")
            assert described, name


def number(text: str) -> int:
    """A C expression of integers and shifts."""
    while any(name in MACROS for name in re.findall(r"\w+", text)):
        text = re.sub(r"\w+", lambda each: MACROS.get(each.group(), each.group()), text)
    plain = re.sub(r"\b(\d+)[uUlL]+\b", r"\1", text)
    assert re.fullmatch(r"[\d\s<()*+-]+", plain), f"{text!r} is no constant that this test understands"
    value: int = eval(plain)  # noqa: S307 - digits and operators alone
    return value


def bounds() -> List[Tuple[str, int, int]]:
    """Name, least and most of every number that the daemon reads."""
    rows = re.findall(r'\{"(\w+)", [^,{}"]+, ([^,{}]+), ([^,{}]+)\}', CODE)
    rows += [(name, least, most) for name, _, least, most in limits()]
    return [(name, number(least), number(most)) for name, least, most in rows]


def test_config_schema_has_the_bounds_of_the_daemon() -> None:
    members: Dict[str, List[Dict[str, Any]]] = {}
    for each in objects(schema()):
        for name, member in each["properties"].items():
            if member.get("type") == "integer":
                members.setdefault(name, []).append(member)
    rows = bounds()
    assert sorted(members) == sorted({name for name, _, _ in rows}), "every integer has bounds in both"
    for name, least, most in rows:
        assert (least, most) in [(each["minimum"], each["maximum"]) for each in members[name]], name


def test_config_schema_has_the_default_limits_of_the_daemon() -> None:
    members = next(each["properties"] for each in objects(schema()) if "max_in_flight" in each["properties"])
    assert {name: member["default"] for name, member in members.items()} == {
        name: number(preset) for name, preset, _, _ in limits()
    }


def test_config_schema_takes_what_the_readme_shows() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    shown = [block for block in re.findall(r"^```\w*\n(\{.*?)^```$", text, re.M | re.S) if '"boards"' in block]
    assert len(shown) >= 2
    for block in shown:
        assert config_faults(block) == [], block


LITERAL = r'"(?:[^"\\]|\\.)*"'


def texts_in_c(path: Path) -> List[str]:
    """What the unit tests of the configuration give to must_read(), where that is plain text: whole files, or members
    beside `boards`."""
    code = path.read_text(encoding="utf-8").replace("\\\n", " ")
    shared = (path.parent / "config_text.h").read_text(encoding="utf-8")
    macros = dict(re.findall(r"^#define (\w+) +(.*)$", shared + code, re.M))
    found = []
    for words in re.findall(rf"\bmust_read\((?:config,)?((?:\s*(?:{LITERAL}|\w+))+)\);", code):
        while any(name in macros for name in re.findall(rf"{LITERAL}|\w+", words)):
            words = re.sub(rf"{LITERAL}|\w+", lambda each: macros.get(each.group(), each.group()), words)
        if re.fullmatch(rf"(\s*{LITERAL})+\s*", words):
            text = "".join(json.loads(literal) for literal in re.findall(LITERAL, words))
            found.append(text if "{" == text.lstrip()[:1] or "/" == text.lstrip()[:1] else f"{{{BOARD}, {text}}}")
    return found


BOARD = '"boards": [{"name": "b", "openocd": "127.0.0.1:1"}]'


@pytest.mark.parametrize("name", ["test_config.c", "test_config_identity.c", "test_config_spawn.c"])
def test_config_schema_takes_what_the_unit_tests_take(name: str) -> None:
    texts = texts_in_c(REPOSITORY / "tests/unit" / name)
    assert len(texts) >= 3
    for text in texts:
        faults = [fault for fault in config_faults(text) if fault != "$: boards is missing"]
        assert faults == [], text


BAD = [
    '{}', '{"boards": []}', '{"boards": [{"name": "b"}]}', '{"boards": [{"name": "a b", "openocd": "127.0.0.1:1"}]}',
    f'{{{BOARD}, "surprise": 1}}', f'{{{BOARD}, "limits": {{"max_clients": 0}}}}', f'{{{BOARD}, "log_level": "loud"}}',
    f'{{{BOARD}, "listen": ["http:80"]}}', f'{{{BOARD}, "state_dir": "here"}}', f'{{{BOARD}, "share_dir": "here"}}',
    f'{{{BOARD}, "metrics": {{"listen": "unix:/m"}}}}', f'{{{BOARD}, "metrics": {{}}}}',
    f'{{{BOARD}, "users": [{{"user": "root", "group": "root"}}]}}',
    f'{{{BOARD}, "tokens": [{{"identity": "x", "hash": "y"}}]}}',
    f'{{{BOARD}, "tls": {{"key": "k"}}}}', f'{{{BOARD}, "anonymous_role": "king"}}',
    f'{{{BOARD}, "certificates": [{{"identity": "anonymous", "subject": "CN=a"}}]}}',
    '{"boards": [{"name": "b", "spawn": []}]}', '{"boards": [{"name": "b", "spawn": "openocd", "expect": {}}]}',
    '{"boards": [{"name": "b", "spawn": "openocd", "expect": {"idcodes": [1], "command": "version"}}]}',
    '{"boards": [{"name": "b", "spawn": "openocd", "health_limit_ms": 1}]}',
]


@pytest.mark.parametrize("text", BAD)
def test_config_schema_and_daemon_refuse_the_same(text: str, tmp_path: Path) -> None:
    assert config_faults(text) != []
    (tmp_path / "bad.json").write_text(text)
    command = [str(build_file("ocdmuxd")), "--config", str(tmp_path / "bad.json"), "--listen", "tcp:127.0.0.1:0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2 and done.stderr.startswith("ocdmuxd: "), done.stderr
