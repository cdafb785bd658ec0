"""What src/openocd writes and reads, against the real OpenOCD. See roundtrip.c for what each check does."""

import pathlib
import random
import subprocess

import pytest
from openocd_process import board, build_path, dummy

CHECK_LIMIT_S = 60.0
IMAGE_SIZE = 3000


def run_check(port: int, check: str, directory: pathlib.Path) -> None:
    """Runs one check against OpenOCD's TCL port; AssertionError with its words if it fails."""
    image = directory / "image $b [c] {d \"e\".bin"
    image.write_bytes(random.Random(1).randbytes(IMAGE_SIZE))
    program = build_path("tests/openocd_text/openocd_text_roundtrip")
    done = subprocess.run(
        [str(program), str(port), check, str(image)], capture_output=True, timeout=CHECK_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")


@pytest.mark.parametrize(
    "check",
    ["quoting", "lists", "results", "errors", "random", "notifications", "limits", "strays", "flash"],
)
def test_openocd_text_on_the_dummy_adapter(check: str, tmp_path: pathlib.Path) -> None:
    with dummy(tmp_path) as port:
        run_check(port, check, tmp_path)


def test_openocd_text_on_the_virtual_board(tmp_path: pathlib.Path) -> None:
    with board(tmp_path) as port:
        run_check(port, "board", tmp_path)


def test_openocd_text_program_can_fail(tmp_path: pathlib.Path) -> None:
    """A check made for the virtual board has to fail on the dummy adapter, with words."""
    with dummy(tmp_path) as port:
        with pytest.raises(AssertionError, match="flash list"):
            run_check(port, "board", tmp_path)
