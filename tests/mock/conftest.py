"""Fixtures for the tests of the mock OpenOCD."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

MOCK = Path(__file__).resolve().parents[2] / "mock"
sys.path.insert(0, str(MOCK))

from control import MockControl  # noqa: E402
from tclwire import Wire  # noqa: E402


@pytest.fixture
def mock() -> Iterator[MockControl]:
    """A running mock; the test fails when it complains of a fault of its own."""
    with MockControl.start() as control:
        yield control


@pytest.fixture
def connect(mock: MockControl) -> Iterator[Callable[[], Wire]]:
    """Opens TCL connections to `mock`; all are closed at the end."""
    wires: List[Wire] = []

    def opened() -> Wire:
        wires.append(Wire(mock.tcl_port, 10.0))
        return wires[-1]

    yield opened
    for wire in wires:
        wire.close()


@pytest.fixture
def wire(connect: Callable[[], Wire]) -> Wire:
    """One TCL connection."""
    return connect()
