"""The daemon against mock OpenOCDs that fail on purpose."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
sys.path.insert(0, str(HERE.parents[1] / "mock"))
sys.path.insert(0, str(HERE))

from protocol_check import Validator  # noqa: E402

from harness.paths import PROTOCOL  # noqa: E402
from rig import Rig  # noqa: E402

VALIDATOR = Validator(PROTOCOL)


def pytest_configure(config: pytest.Config) -> None:
    """The marks of this folder."""
    config.addinivalue_line("markers", "both: run on the plain build too, beside the one with sanitizers; with a reason")


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    """Starts rigs of the test's own; all end with it."""
    started = []

    def start(**options: Any) -> Rig:
        directory = tmp_path / f"rig{len(started)}"
        directory.mkdir()
        started.append(Rig(directory, VALIDATOR, **options))
        return started[-1]

    yield start
    for each in reversed(started):
        each.close()


@pytest.fixture
def rig(make_rig: Callable[..., Rig]) -> Iterator[Rig]:
    """One board; everybody an admin. It must work behind the test."""
    made = make_rig()
    yield made
    made.assert_works()


@pytest.fixture(params=["link", "shared"])
def either_rig(request: Any, make_rig: Callable[..., Rig], tmp_path: Path) -> Iterator[Rig]:
    """As `rig`, once with files over the link and once with files in a directory that the mock sees too."""
    share = tmp_path / "share"
    share.mkdir()
    made = make_rig(share_dir=str(share) if request.param == "shared" else "none")
    assert made.status()["staging"] == request.param
    yield made
    made.assert_works()
    assert [path for directory in share.iterdir() for path in directory.iterdir()] == []
