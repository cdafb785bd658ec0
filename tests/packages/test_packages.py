"""What is in the packages, where it is, and that it works in a Debian that has nothing else. That they install, run and
are purged in the smallest Debian is what tools/package says in the end."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Dict, List, NamedTuple

import pytest

from debian import Debian
from harness.paths import REPOSITORY
from machine import LAB

LIMIT_S = 120
LIBRARIES = r"/usr/lib/[a-z0-9_]+-linux-gnu[a-z0-9]*"

# Where the files of each package may be, by Debian's policy.
PLACES = {
    "ocdmuxd": [
        r"/usr/bin/ocdmuxd", r"/etc/ocdmux/ocdmuxd\.json", r"/lib/systemd/system/ocdmuxd\.(service|socket)",
        r"/usr/share/man/man8/ocdmuxd\.8\.gz", r"/usr/share/man/man5/ocdmuxd\.conf\.5\.gz",
        r"/usr/share/ocdmux/(config\.schema|protocol|grafana/ocdmux)\.json",
        r"/usr/share/doc/ocdmux/(README\.md|PROTOCOL\.md|ocdmuxd\.json|adapter\.conf)",
    ],
    "ocdmux": [
        r"/usr/bin/ocdmux", r"/usr/share/man/man1/ocdmux\.1\.gz", r"/usr/share/bash-completion/completions/ocdmux",
        r"/usr/share/zsh/site-functions/_ocdmux",
    ],
    "libocdmux0": [rf"{LIBRARIES}/libocdmux\.so\.0", rf"{LIBRARIES}/libocdmux\.so\.0\.[0-9]+\.[0-9]+"],
    "libocdmux-dev": [
        r"/usr/include/ocdmux\.h", rf"{LIBRARIES}/libocdmux\.(a|so)", rf"{LIBRARIES}/pkgconfig/ocdmux\.pc",
    ],
    "python3-ocdmux": [r"/usr/lib/python3/dist-packages/ocdmux/(\w+\.py|py\.typed)"],
}


class Entry(NamedTuple):
    mode: str
    owner: str
    path: str
    target: str  # of a link


def run(*command: str, **env: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, check=False, env={**os.environ, "TZ": "UTC", **env}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="contents")
def fixture_contents(packages: List[Path]) -> Dict[str, List[Entry]]:
    """Of each package what is in it, without directories."""
    result = {}
    for package in packages:
        entries = []
        for line in run("dpkg-deb", "--contents", str(package)).splitlines():
            mode, owner, _, _, _, name = line.split(None, 5)
            path, _, target = name.partition(" -> ")
            if not mode.startswith("d"):
                entries.append(Entry(mode, owner, path[1:], target))
        result[run("dpkg-deb", "--field", str(package), "Package").strip()] = entries
    return result


def test_packages_are_without_errors(tried: str) -> None:
    """lintian's, and everything went that tools/package tries."""
    assert not re.search(r"^E:", tried, re.M)
    assert re.search(r"^installed, run and purged in ", tried, re.M)


def test_every_file_is_where_policy_wants_it(contents: Dict[str, List[Entry]]) -> None:
    assert sorted(contents) == sorted(PLACES)
    for package, entries in contents.items():
        wanted = [*PLACES[package], rf"/usr/share/doc/{package}/(copyright|changelog\.Debian\.gz)"]
        paths = [entry.path for entry in entries]
        for pattern in wanted:
            assert any(re.fullmatch(pattern, path) for path in paths), f"{package} has no {pattern}"
        for path in paths:
            assert any(re.fullmatch(pattern, path) for pattern in wanted), f"{package} has {path}"


def test_every_file_is_root_s_and_has_its_mode(contents: Dict[str, List[Entry]]) -> None:
    for entries in contents.values():
        for entry in entries:
            assert entry.owner == "root/root", entry
            if entry.target:
                assert "/" not in entry.target, entry
            else:
                assert entry.mode == ("-rwxr-xr-x" if entry.path.startswith("/usr/bin/") else "-rw-r--r--"), entry


def test_every_installed_file_is_in_one_package(contents: Dict[str, List[Entry]], tmp_path: Path) -> None:
    """man pages and changelogs are compressed in packages alone."""
    run("cmake", "--install", str(REPOSITORY / "build-package"), DESTDIR=str(tmp_path))
    installed = {
        "/" + str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_symlink() or path.is_file()
    }
    packed = Counter(
        re.sub(r"\.gz$", "", entry.path) for entries in contents.values() for entry in entries
    )
    assert set(packed) == installed
    assert [path for path, count in packed.items() if count > 1] == []


def test_configuration_is_marked_as_such(packages: List[Path], contents: Dict[str, List[Entry]]) -> None:
    for package in packages:
        name = run("dpkg-deb", "--field", str(package), "Package").strip()
        marked = run("dpkg-deb", "--info", str(package), "conffiles").split() if name == "ocdmuxd" else []
        assert marked == [entry.path for entry in contents[name] if entry.path.startswith("/etc/")]


def test_man_pages_are_those_of_the_source(debian: Debian) -> None:
    for name in ("man1/ocdmux.1", "man5/ocdmuxd.conf.5", "man8/ocdmuxd.8"):
        page = gzip.decompress(debian.path(f"/usr/share/man/{name}.gz").read_bytes())
        assert page == (REPOSITORY / "tools/man" / Path(name).name).read_bytes()


def test_programs_find_their_libraries(debian: Debian) -> None:
    for program in ("ocdmux", "ocdmuxd"):
        said = debian.run("ldd", f"/usr/bin/{program}")
        assert "libc.so.6" in said and "not found" not in said
        assert debian.run(program, "--version").startswith(f"{program} ")


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_a_program_builds_with_the_development_package(debian: Debian, static: bool) -> None:
    """Without warnings, and with the words of pkg-config alone; test_systemd.py runs it."""
    source = debian.copy(REPOSITORY / "src/client/examples/read.c", debian.path(LAB))
    program = f"{LAB}/read{'-static' if static else ''}"
    libraries = "pkg-config --libs ocdmux"
    if static:
        libraries = "pkg-config --static --libs ocdmux | sed 's/-locdmux/-l:libocdmux.a/'"
    command = f"cc -std=c11 -Wall -Wextra -Werror $(pkg-config --cflags ocdmux) {source} -o {program} $({libraries})"
    debian.run("sh", "-euc", command)
    assert ("libocdmux.so.0 => /" in debian.run("ldd", program)) != static


def test_python_modules_are_compiled_for_the_python_there(debian: Debian) -> None:
    assert debian.run("python3", "-c", "import ocdmux; print(ocdmux.__file__)").strip() == (
        "/usr/lib/python3/dist-packages/ocdmux/__init__.py")
    assert list(debian.path("/usr/lib/python3/dist-packages/ocdmux/__pycache__").glob("session.*.pyc"))
