"""What the tests of the Python client share."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, Coroutine, Iterator, TypeVar

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tools" / "python"), str(HERE.parent / "lib"), str(HERE.parent / "cli"), str(HERE)]

from protocol_check import Validator  # noqa: E402

from fake_server import FakeServer  # noqa: E402
from harness.paths import PROTOCOL, VBOARD_WORKAREA_CONFIG  # noqa: E402
from harness.stack import KIB, Stack, make_image  # noqa: E402

LIMIT_S = 60.0
Result = TypeVar("Result")


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Runs a test's coroutine to its end; nothing may hang."""

    async def bounded() -> Result:
        return await asyncio.wait_for(work, LIMIT_S)

    return asyncio.run(bounded())


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """No server, token or lease of whoever runs the tests; one processor, as in tests/integration."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("OCDMUX_", "XDG_RUNTIME")) and name != "OCDMUX_BUILD":
            del os.environ[name]
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(processors)})
    yield
    os.sched_setaffinity(0, processors)
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="session")
def validator() -> Validator:
    return Validator(PROTOCOL)


@pytest.fixture(scope="session")
def flash_content() -> bytes:
    """What the flash of `stack` holds at first, 16 KiB."""
    return make_image(16 * KIB)


@pytest.fixture(scope="session")
def shared_stack(tmp_path_factory: pytest.TempPathFactory, validator: Validator, flash_content: bytes) -> Iterator[Stack]:
    with Stack(
        tmp_path_factory.mktemp("stack"), validator, flash_size=16 * KIB, image=flash_content,
        openocd_config=VBOARD_WORKAREA_CONFIG, daemon_flags=["--anonymous-role", "admin"],
    ) as stack:
        yield stack


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """16 KiB of flash and a work area, everybody an admin, the target halted; all alive behind each test, and the lease
    free."""
    client = shared_stack.client()
    client.call("target.reset", mode="halt")
    yield shared_stack
    assert "lease" not in client.call("lease.status")
    client.close()
    shared_stack.assert_alive()


@pytest.fixture
def url(stack: Stack) -> str:
    return stack.daemon.address


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeServer]:
    """A fake server on a port; whatever it saw that breaks the contract fails the test."""
    fake = FakeServer()
    yield fake
    fake.close()
    assert fake.problems == []
