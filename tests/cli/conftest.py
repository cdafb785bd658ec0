"""What the tests of the command line share: the program under test, and a fake server for it to talk to."""

import os
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from fake_server import FakeServer
from fake_stages import Stages

LIMIT_S = 60.0


class Tool:
    """Runs $OCDMUX_BUILD/ocdmux in a clean environment."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program = program
        self.directory = directory
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith(("OCDMUX_", "XDG_"))}
        # Neither the terminal of whoever runs the tests nor his configuration is of any matter.
        for name in ("TERM", "NO_COLOR"):
            self.environment.pop(name, None)
        self.environment["HOME"] = str(directory)
        self.processes: List[subprocess.Popen] = []

    def set(self, **values: str) -> None:
        """Sets environment variables for all further runs."""
        self.environment.update(values)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen:
        """Starts it with pipes. The fixture ends it at last."""
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        process = subprocess.Popen(
            [str(self.program), *arguments],
            env=self.environment,
            cwd=self.directory,
            **options,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str, given: Optional[bytes] = None) -> "Outcome":
        """Runs it to its end, at most LIMIT_S seconds."""
        process = self.start(*arguments, stdin=subprocess.PIPE)
        return self.finish(process, given)

    def finish(self, process: subprocess.Popen, given: Optional[bytes] = None) -> "Outcome":
        """Waits for its end, at most LIMIT_S seconds."""
        out, error = process.communicate(given, timeout=LIMIT_S)
        return Outcome(process.returncode, out, error)


class Outcome:
    """How a run ended."""

    def __init__(self, status: int, out: bytes, error: bytes) -> None:
        self.status = status
        self.out = out.decode("utf-8", "surrogateescape")
        self.error = error.decode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return f"<status {self.status}, out {self.out!r}, error {self.error!r}>"


@pytest.fixture(scope="session", name="make_tool")
def fixture_make_tool() -> Callable[[Path, Path], Tool]:
    """For modules that share one."""
    return Tool


@pytest.fixture(name="bare")
def fixture_bare(tmp_path: Path) -> Iterator[Tool]:
    """The program without a server."""
    program = Path(os.environ.get("OCDMUX_BUILD", "build")) / "ocdmux"
    if not program.exists():
        pytest.fail(f"{program} does not exist: set OCDMUX_BUILD to a build directory")
    tool = Tool(program.resolve(), tmp_path)
    yield tool
    for process in tool.processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture(name="server")
def fixture_server(tmp_path: Path) -> Iterator[FakeServer]:
    """A fake server on a Unix socket; whatever it saw that breaks the contract fails the test."""
    server = FakeServer(str(tmp_path / "server.sock"))
    yield server
    server.close()
    assert server.problems == []


@pytest.fixture(name="tool")
def fixture_tool(bare: Tool, server: FakeServer) -> Tool:
    """The program, which finds the fake server."""
    bare.set(OCDMUX_SERVER=server.url)
    return bare


@pytest.fixture(name="stages")
def fixture_stages(server: FakeServer) -> Stages:
    """The stages of the fake server."""
    return Stages(server)


@pytest.fixture(name="examples")
def fixture_examples(server: FakeServer) -> Dict[str, Any]:
    """Each method's first example result in the protocol, by method; the server answers with it."""
    results = {}
    for name, method in server.contract.methods.items():
        result = method["examples"][0]["result"]["value"]
        results[name] = result
        if name not in ("server.hello", "request.cancel"):
            server.on(name, result)
    return results
