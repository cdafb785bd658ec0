"""libocdmux: what it exports, what is installed, and its examples against the real thing."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from pathlib import Path
from typing import Any, List

import pytest

from harness.paths import REPOSITORY, build_file
from harness.stack import FLASH_BASE, KIB

LIMIT_S = 60
EXAMPLES = REPOSITORY / "src/client/examples"
HEADER = REPOSITORY / "src/client/ocdmux.h"


def run(*command: Any, status: int = 0, env: Any = None) -> str:
    """Its standard output; what it says on standard error goes before that of one that must fail."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**os.environ, **(env or {})},
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr + done.stdout


@pytest.fixture(scope="module", name="prefix")
def fixture_prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the library is installed, and moved to behind that."""
    first = tmp_path_factory.mktemp("install") / "first"
    for component in ("library", "development"):
        run("cmake", "--install", build_file("ocdmux").parent, "--prefix", first, "--component", component)
    return first.rename(first.parent / "moved")


def pkg_config(prefix: Path, *words: str) -> List[str]:
    """What pkg-config says of the installed library alone."""
    return run("pkg-config", *words, "ocdmux", env={"PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}).split()


def build(prefix: Path, directory: Path, name: str, static: bool = False) -> Path:
    """An example, as the documentation of pkg-config has it."""
    program = directory / f"{name}{'-static' if static else ''}"
    libraries = pkg_config(prefix, "--libs")
    if static:
        words = pkg_config(prefix, "--static", "--libs")
        libraries = ["-l:libocdmux.a" if word == "-locdmux" else word for word in words]
    run("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *pkg_config(prefix, "--cflags"), EXAMPLES / f"{name}.c",
        "-o", program, *libraries)
    return program


def declared() -> List[str]:
    """The functions that the header declares."""
    code = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    return sorted({name for name in re.findall(r"\b(ocdmux_[a-z0-9_]+)\(", code) if not name.endswith("_fn")})


def defined(*command: Any) -> List[str]:
    return sorted(line.split()[-1] for line in run(*command).splitlines() if len(line.split()) == 3)


def test_clib_exports_what_the_header_declares_and_no_more() -> None:
    assert len(declared()) > 40
    assert defined("nm", "-D", "--defined-only", build_file("libocdmux.so")) == declared()
    assert defined("nm", "-g", "--defined-only", build_file("libocdmux.a")) == declared()


def test_clib_has_a_version(prefix: Path) -> None:
    version = pkg_config(prefix, "--modversion")[0]
    assert (prefix / f"lib/libocdmux.so.{version}").is_file()
    assert os.readlink(prefix / "lib/libocdmux.so") == "libocdmux.so.0"
    assert "[libocdmux.so.0]" in run("readelf", "-d", prefix / "lib/libocdmux.so")


def test_clib_starts_no_threads_and_changes_no_handlers() -> None:
    """By what it calls of libc: only the child of ssh sets signals, and SIGPIPE is held back for one thread."""
    wanted = run("nm", "-D", "--undefined-only", build_file("libocdmux.so"))
    names = {line.split()[-1].split("@")[0] for line in wanted.splitlines()}
    assert not names & {"pthread_create", "sigaction", "setitimer", "alarm", "atexit", "printf", "puts"}


def test_clib_has_no_state_of_its_own() -> None:
    """Nothing of ours is ever written to, but for the clock that tests set."""
    rows = [line.split("|") for line in run("nm", "--format=sysv", build_file("libocdmux.so")).splitlines()]
    variables = [(row[0].strip(), row[-1].strip()) for row in rows if len(row) == 7 and row[3].strip() == "OBJECT"]
    assert variables
    written = {name for name, section in variables if section in (".data", ".bss")}
    assert {name for name in written if not name.startswith(("_", "completed"))} == {"fake_now_us"}


def test_clib_header_is_good_cpp(prefix: Path, tmp_path: Path) -> None:
    source = tmp_path / "user.cpp"
    source.write_text(
        "#include <ocdmux.h>\n"
        "int main()\n{\n    struct ocdmux_error error = OCDMUX_ERROR_INIT;\n"
        "    struct ocdmux_result result = OCDMUX_RESULT_INIT;\n    struct ocdmux *connection = NULL;\n"
        "    bool opened = ocdmux_open(\"nonsense\", 0, &connection, &error);\n"
        "    bool told = ocdmux_error_is(&error, OCDMUX_KIND_INVALID_PARAMS);\n"
        "    ocdmux_result_fini(&result);\n    ocdmux_error_fini(&error);\n    return !opened && told ? 0 : 1;\n}\n"
    )
    run("c++", "-std=c++11", "-Wall", "-Wextra", "-pedantic", "-Werror", *pkg_config(prefix, "--cflags"), source,
        "-o", tmp_path / "user", *pkg_config(prefix, "--libs"))
    run(tmp_path / "user", env={"LD_LIBRARY_PATH": str(prefix / "lib")})


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_clib_installed_example_reads(prefix: Path, tmp_path: Path, lab: Any, static: bool) -> None:
    program = build(prefix, tmp_path, "read", static)
    assert ("libocdmux.so.0" in run("readelf", "-d", program)) != static
    env = {**lab.environment, "LD_LIBRARY_PATH": "" if static else str(prefix / "lib")}
    words, data = run(program, lab.servers["tcp"], hex(FLASH_BASE), 64, env=env).splitlines()
    assert bytes.fromhex(data) == lab.image[:64]
    assert words.split()[1] == f"{int.from_bytes(lab.image[:4], 'little'):08x}"
    said = run(program, lab.servers["tcp"], "0x30000000", 4, status=1, env=env)
    assert said.startswith("target_error: ") and "OpenOCD: " in said
    assert "connection_failed: " in run(program, "tcp:127.0.0.1:1", "0", 4, status=1, env=env)


def test_clib_reads_long_ranges_in_pieces(lab: Any) -> None:
    _, data = run(build_file("src/client/example_read"), lab.servers["tcp"], hex(FLASH_BASE), 16 * KIB).splitlines()
    assert bytes.fromhex(data) == lab.image


def test_clib_installed_example_flashes(prefix: Path, tmp_path: Path, lab: Any) -> None:
    program = build(prefix, tmp_path, "flash")
    env = {"LD_LIBRARY_PATH": str(prefix / "lib")}
    image = lab.image[: 3 * KIB] + bytes(3 * KIB)
    (tmp_path / "fw.bin").write_bytes(image)
    *lines, result = run(program, lab.servers["unix"], tmp_path / "fw.bin", env=env).splitlines()
    assert lines[:3] == [f"upload: {done} of {len(image)}" for done in (0, 4 * KIB, 6 * KIB)]
    assert {line.partition(":")[0] for line in lines} >= {"upload", "compare", "program"}
    assert '"verified":true' in result
    client = lab.stack.client()
    client.call("target.reset", mode="halt")
    assert client.call("lease.status")["board"] == "board" and "holder" not in client.call("lease.status")
    end = base64.b64encode(image[-4 * KIB :]).decode()
    assert client.call("flash.verify", bank=0, data=end, offset=2 * KIB)["match"] is True
    assert "invalid_params: " in run(program, lab.servers["unix"], "/no/such/file", status=1, env=env)


@pytest.mark.parametrize("kind", ["tcp", "unix", "tls", "ssh"])
def test_clib_event_loop(lab: Any, kind: str) -> None:
    """Many requests in flight and events beside them, over each way to the server."""
    client = lab.stack.client()
    values = client.call("memory.read_u32", address=FLASH_BASE + KIB, count=50)["values"]
    said = run(build_file("src/client/example_loop"), lab.servers[kind], hex(FLASH_BASE + KIB), 50, env=lab.environment)
    assert said == f"50 words, sum 0x{sum(values):x}; 200 bytes; with events\n"
