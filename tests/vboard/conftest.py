"""Fixtures for the virtual board's tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable, Iterator, List, Sequence

import pytest

from vboard_bench import CONFIG, Openocd, Start, Vboard, make_image


@pytest.fixture(scope="session", autouse=True)
def one_processor() -> Iterator[None]:
    """Keep the tests, OpenOCD and the board on one processor: they take turns on every scan, and waking
    another processor for each turn costs more than twice the time."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[os.getpid() % len(before)]})
    yield
    os.sched_setaffinity(0, before)


@pytest.fixture
def start_board(tmp_path: Path) -> Iterator[Callable[..., Vboard]]:
    """Start boards with given flags; all are stopped at the end of the test."""
    boards: List[Vboard] = []

    def start(*arguments: str) -> Vboard:
        directory = tmp_path / f"board{len(boards)}"
        directory.mkdir()
        boards.append(Vboard(directory, arguments))
        return boards[-1]

    yield start
    for board in boards:
        board.stop()


@pytest.fixture
def start_openocd() -> Iterator[Callable[..., Openocd]]:
    """Attach OpenOCD to a board; all are stopped at the end of the test."""
    if shutil.which("openocd") is None:
        pytest.fail("openocd is not installed")
    running: List[Openocd] = []

    def start(board: Vboard, config: Path = CONFIG, setup: Sequence[str] = ()) -> Openocd:
        running.append(Openocd(board, config, setup))
        return running[-1]

    yield start
    for openocd in running:
        openocd.stop()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A 16 KiB image with a program that runs for ever."""
    path = tmp_path / "image.bin"
    path.write_bytes(make_image(16 * 1024))
    return path


@pytest.fixture
def board(start_board: Callable[..., Vboard], image: Path) -> Vboard:
    """A 64 KiB board that runs `image`."""
    return start_board("--image", str(image))


@pytest.fixture
def openocd(board: Vboard, start_openocd: Callable[..., Openocd]) -> Openocd:
    """OpenOCD on `board`, the core halted at the reset handler."""
    attached = start_openocd(board)
    attached.run("reset halt")
    return attached


@pytest.fixture
def load(start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], tmp_path: Path) -> Start:
    """Put a program into flash, attach, and stop at its first instruction."""

    def start(program: bytes, *arguments: str) -> Openocd:
        path = tmp_path / "program.bin"
        path.write_bytes(program)
        openocd = start_openocd(start_board("--image", str(path), *arguments))
        openocd.run("reset halt")
        return openocd

    return start
