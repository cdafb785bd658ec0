"""Stacks and clients for the integration tests, and the check that no method of the protocol went without a test."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Callable, Iterator, List, Optional, Sequence

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
sys.path.insert(0, str(HERE))

from protocol_check import Validator  # noqa: E402

import stage_kit  # noqa: E402
from flash_bank import Bank  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.gate import Gate  # noqa: E402
from harness.paths import PROTOCOL, VBOARD_WORKAREA_CONFIG  # noqa: E402
from harness.processes import Daemon  # noqa: E402
from harness.stack import KIB, Stack, make_image  # noqa: E402

VALIDATOR = Validator(PROTOCOL)


def pytest_configure(config: pytest.Config) -> None:
    """The marks of this folder."""
    config.addinivalue_line("markers", "both: run on the plain build too, beside the one with sanitizers; with a reason")


@pytest.fixture(scope="session", autouse=True)
def one_processor() -> Iterator[None]:
    """Board, OpenOCD and daemon take turns on every scan: waking another processor for each turn costs more than twice
    the time."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture(scope="session")
def validator() -> Validator:
    """One for the whole run: it keeps count of what was exercised."""
    return VALIDATOR


@pytest.fixture(scope="session")
def flash_content() -> bytes:
    """What the flash of `shared_stack` holds, 128 KiB."""
    return make_image(128 * KIB)


@pytest.fixture(scope="session")
def dump_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the daemon of `shared_stack` writes dumps."""
    return tmp_path_factory.mktemp("dumps")


@pytest.fixture(scope="session")
def shared_stack(
    tmp_path_factory: pytest.TempPathFactory, validator: Validator, flash_content: bytes, dump_root: Path
) -> Iterator[Stack]:
    """128 KiB of flash that nobody writes, 20 KiB of RAM, everybody an admin."""
    flags = ["--dump-root", str(dump_root), "--anonymous-role", "admin"]
    directory = tmp_path_factory.mktemp("stack")
    with Stack(directory, validator, image=flash_content, daemon_flags=flags) as stack:
        stack.client().call("target.halt")
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """`shared_stack`, whose processes must be alive behind each test, and its clients gone."""
    yield shared_stack
    for client in shared_stack.clients:
        client.close()
    shared_stack.clients.clear()
    shared_stack.assert_alive()


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A connection to `shared_stack` that must still work behind the test."""
    connection = stack.client()
    yield connection
    connection.call("target.state")


@pytest.fixture
def stack_client(stack: Stack) -> Client:
    """Another connection to `shared_stack`, which the test may break."""
    return stack.client()


@pytest.fixture
def make_stack(tmp_path: Path, validator: Validator) -> Iterator[Callable[..., Stack]]:
    """Starts stacks of the test's own; all end with it."""
    started: List[Stack] = []

    def start(**options: Any) -> Stack:
        directory = tmp_path / f"stack{len(started)}"
        directory.mkdir()
        started.append(Stack(directory, validator, **options))
        return started[-1]

    yield start
    for each in reversed(started):
        each.close()


@pytest.fixture(scope="session")
def flash_stack(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> Iterator[Stack]:
    """16 KiB of flash to be written, with something everywhere, and a work area, which makes that fast."""
    flags = ["--anonymous-role", "admin"]
    with Stack(
        tmp_path_factory.mktemp("flash"),
        validator,
        flash_size=16 * KIB,
        image=make_image(16 * KIB),
        openocd_config=VBOARD_WORKAREA_CONFIG,
        daemon_flags=flags,
    ) as stack:
        yield stack


@pytest.fixture(scope="session")
def flash_bank_notes(flash_stack: Stack) -> Bank:
    """What the flash of `flash_stack` should hold."""
    return Bank(flash_stack)


@pytest.fixture
def bank(flash_bank_notes: Bank) -> Iterator[Bank]:
    """The bank of `flash_stack`, which every test must leave as its notes say."""
    yield flash_bank_notes
    flash_bank_notes.check()
    flash_bank_notes.stack.assert_alive()


@pytest.fixture(scope="session")
def stage_place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the daemon of `stage_stack` may use: "stages", "dumps", and the image roots "first" and "second"."""
    place = tmp_path_factory.mktemp("place")
    for name in ("stages", "dumps", "first", "second"):
        (place / name).mkdir()
    return place


@pytest.fixture(scope="session")
def stage_stack(
    tmp_path_factory: pytest.TempPathFactory, validator: Validator, stage_place: Path
) -> Iterator[Stack]:
    """16 KiB of flash to be written, with a work area; 1 MiB in 16 stages, 256 KiB a reply and an image."""
    limits = {
        "max_stage_bytes": 1024 * KIB,
        "max_stages": 16,
        "max_inline_bytes": 256 * KIB,
        "max_image_bytes": 256 * KIB,
    }
    config = stage_kit.config(
        stage_place / "stages",
        dump_root=str(stage_place / "dumps"),
        image_roots=[str(stage_place / "first"), str(stage_place / "second")],
        limits=limits,
    )
    with Stack(
        tmp_path_factory.mktemp("stages"),
        validator,
        flash_size=16 * KIB,
        image=make_image(16 * KIB),
        openocd_config=VBOARD_WORKAREA_CONFIG,
        config=config,
    ) as stack:
        stack.client().call("target.halt")
        yield stack


@pytest.fixture
def stager(stage_stack: Stack, stage_place: Path) -> Iterator[Client]:
    """A connection to `stage_stack` that must still work behind the test, whose identity has no stages before and none
    behind it, and no file of one is left."""
    connection = stage_stack.client()
    yield connection
    connection.call("target.state")
    stage_kit.clear(connection)
    assert connection.call("stage.list") == {"stages": [], "used_bytes": 0, "quota_bytes": 1024 * KIB}
    assert stage_kit.files(stage_place / "stages") == []
    for client in stage_stack.clients:
        client.close()
    stage_stack.clients.clear()
    stage_stack.assert_alive()


@pytest.fixture
def stage_gate(stage_stack: Stack, tmp_path: Path) -> Gate:
    """Holds the link of `stage_stack` while it is entered."""
    return Gate(stage_stack.client(), tmp_path / "gate")


@pytest.fixture
def make_daemon(stack: Stack, tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts further daemons on the OpenOCD of `shared_stack`: with flags, or with the text of a configuration file in
    which %PORT% stands for OpenOCD's. They listen on "tcp:127.0.0.1:0" unless told otherwise."""
    started: List[Daemon] = []

    def start(*flags: str, config: Optional[str] = None, listen: Sequence[str] = ("tcp:127.0.0.1:0",)) -> Daemon:
        what = ["--openocd", f"127.0.0.1:{stack.tcl_port}"]
        if config is not None:
            path = tmp_path / f"daemon{len(started)}.json"
            path.write_text(config.replace("%PORT%", str(stack.tcl_port)))
            what = ["--config", str(path)]
        listeners = [word for url in listen for word in ("--listen", url)]
        started.append(Daemon([*what, *listeners, *flags], listeners=len(listen)))
        return started[-1]

    yield start
    for daemon in started:
        daemon.stop()


@pytest.fixture
def connect(validator: Validator) -> Iterator[Callable[..., Client]]:
    """Connects to any daemon; closed behind the test."""
    opened: List[Client] = []

    def start(daemon: Daemon, **options: Any) -> Client:
        opened.append(Client(options.pop("address", daemon.address), validator, **options))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@pytest.fixture
def gate(stack: Stack, tmp_path: Path) -> Gate:
    """Holds the link of `shared_stack` while it is entered."""
    return Gate(stack.client(), tmp_path / "gate")


def _whole_directory_ran(session: pytest.Session) -> bool:
    """Whether every test of every file here was collected and none deselected."""
    files = {item.path for item in session.items}
    narrowed = any(session.config.getoption(name, None) for name in ("keyword", "markexpr", "deselect", "lf"))
    selected = any("::" in argument for argument in session.config.args)
    return not narrowed and not selected and files >= set(HERE.glob("test_*.py"))


def _gaps() -> List[str]:
    silent = [name for name in VALIDATOR.notifications if VALIDATOR.notified[name] == 0]
    return [f"method {name}" for name in VALIDATOR.unexercised] + [f"notification {name}" for name in silent]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fails the run where a method was never answered with a result."""
    if exitstatus == 0 and _whole_directory_ran(session) and _gaps():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says which."""
    session = terminalreporter._session
    if session is not None and _whole_directory_ran(session) and _gaps():
        terminalreporter.section("not exercised")
        terminalreporter.write_line(", ".join(_gaps()), red=True)
