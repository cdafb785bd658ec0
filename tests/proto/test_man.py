"""The man pages say all that --help and the configuration's schema say, and mandoc likes them; what is installed is
where it is looked for."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from harness.paths import REPOSITORY, build_file

PAGES = REPOSITORY / "tools/man"
NAMES = ["ocdmux.1", "ocdmuxd.8", "ocdmuxd.conf.5"]


def run(*command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **env}
    )


def source(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def help_of(program: str, *words: str) -> str:
    return run(str(build_file(program)), *words, "--help").stdout


def options_in(text: str) -> List[str]:
    return re.findall(r"^  --([\w-]+)", text, re.M)


def test_pages_are_what_the_programs_say() -> None:
    done = run(str(REPOSITORY / "tools/gen-man"), "--check", str(build_file("ocdmuxd").parent))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_without_warnings(name: str) -> None:
    done = run("mandoc", "-T", "lint", "-W", "warning", str(PAGES / name))
    assert (done.returncode, done.stdout) == (0, "")


def test_no_option_is_missing() -> None:
    for page, text in (("ocdmuxd.8", help_of("ocdmuxd")), ("ocdmux.1", help_of("ocdmux"))):
        options = options_in(text)
        assert len(options) >= 10
        for option in options:
            assert re.search(rf"^\.It (.* )?Fl -{option}\b(?!-)", source(page), re.M), f"{page}: {option}"


def test_no_command_and_none_of_its_options_is_missing() -> None:
    commands = re.findall(r"^  ([a-z-]+)", help_of("ocdmux").partition("\nOptions")[0], re.M)
    text = source("ocdmux.1").partition(".Sh COMMANDS")[2]
    assert len(commands) >= 40
    for command in commands:
        (part,) = re.findall(rf"^\.It Ic {command}\b(?!-)(.*?)(?=^\.It Ic |^\.Sh )", text, re.M | re.S)
        for option in options_in(help_of("ocdmux", command).partition("\nOptions of every command")[0]):
            assert re.search(rf"^\.It Fl -{option}\b(?!-)", part, re.M), f"{command}: {option}"


def members(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value.get("properties", {})
        for item in value.values():
            yield from members(item)


def test_no_member_of_the_configuration_is_missing() -> None:
    schema: Dict[str, Any] = json.loads((REPOSITORY / "proto/config.schema.json").read_text(encoding="utf-8"))
    names = [name for name in members(schema) if not name.startswith("$")]
    said = re.findall(r"^\.It Cm (\w+)", source("ocdmuxd.conf.5"), re.M)
    assert sorted(said) == sorted(names)


def test_all_is_installed_where_it_is_looked_for(tmp_path: Path) -> None:
    build = build_file("ocdmuxd").parent
    done = run("cmake", "--install", str(build), "--prefix", "/usr", DESTDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for path in (
        "bin/ocdmux",
        "bin/ocdmuxd",
        "include/ocdmux.h",
        "lib/systemd/system/ocdmuxd.service",
        "lib/systemd/system/ocdmuxd.socket",
        "share/man/man1/ocdmux.1",
        "share/man/man5/ocdmuxd.conf.5",
        "share/man/man8/ocdmuxd.8",
        "share/ocdmux/config.schema.json",
        "share/ocdmux/grafana/ocdmux.json",
        "share/doc/ocdmux/README.md",
        "share/doc/ocdmux/PROTOCOL.md",
    ):
        assert (tmp_path / "usr" / path).is_file(), path
    assert list(tmp_path.glob("usr/lib/**/libocdmux.so.*")) and list(tmp_path.glob("usr/lib/**/ocdmux.pc"))
    for name, part in (("ocdmux.bash", "bash-completion"), ("_ocdmux", "zsh"), ("ocdmux.fish", "fish")):
        wanted = (REPOSITORY / "tools/completions" / name).exists()
        assert wanted == bool(list((tmp_path / "usr/share").glob(f"{part}/**/*ocdmux*"))), name
    unit = (tmp_path / "usr/lib/systemd/system/ocdmuxd.service").read_text(encoding="utf-8")
    assert "\nExecStart=/usr/bin/ocdmuxd --config /etc/ocdmux/ocdmuxd.json\n" in unit
    program = tmp_path / "usr/bin/ocdmuxd"
    assert run(str(program), "--version").stdout.startswith("ocdmuxd ")


@pytest.mark.parametrize("prefix", ["/usr/local", "/opt/lab-tools"])
def test_another_prefix_holds_everything_and_is_what_the_files_say(tmp_path: Path, prefix: str) -> None:
    done = run("cmake", "--install", str(build_file("ocdmuxd").parent), "--prefix", prefix, DESTDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    there = tmp_path / prefix.lstrip("/")
    for path in tmp_path.rglob("*"):
        assert path in there.parents or path == there or there in path.parents, path
    unit = (there / "lib/systemd/system/ocdmuxd.service").read_text(encoding="utf-8")
    config = f"{prefix}/etc/ocdmux/ocdmuxd.json"
    assert f"\nExecStart={prefix}/bin/ocdmuxd --config {config}\n" in unit
    assert run(str(there / "bin/ocdmuxd"), "--version").stdout.startswith("ocdmuxd ")
    page = (there / "share/man/man8/ocdmuxd.8").read_text(encoding="utf-8")
    assert page.replace(config, "/etc/ocdmux/ocdmuxd.json") == source("ocdmuxd.8") != page
    libraries = run("pkg-config", "--variable=libdir", "ocdmux", PKG_CONFIG_PATH=str(there / "lib/pkgconfig")).stdout
    assert (Path(libraries.strip()) / "libocdmux.so").resolve() == (there / "lib/libocdmux.so").resolve()
