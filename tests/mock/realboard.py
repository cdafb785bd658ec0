"""Real OpenOCD on the virtual board, for comparison."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, List, Optional

import pytest

_CONFIGS = Path(__file__).resolve().parents[2] / "mock" / "vboard"
CONFIG = _CONFIGS / "vboard.cfg"
WORK_AREA_CONFIG = _CONFIGS / "vboard-workarea.cfg"
START_LIMIT_S = 10.0


def _executable() -> Path:
    build = os.environ.get("OCDMUX_BUILD")
    if build is None:
        pytest.fail("OCDMUX_BUILD must name the build directory")
    path = Path(build) / "mock" / "vboard" / "vboard"
    if not path.exists():
        pytest.fail(f"{path} is not built")
    return path


def _wait(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"timed out waiting for {what}")
        time.sleep(0.005)


class RealBoard:
    """The virtual board with `image` in its flash (sizes in bytes), and OpenOCD 0.12.0 on it."""

    def __init__(self, directory: Path, image: Path, flash_size: int, config: Path = CONFIG) -> None:
        if shutil.which("openocd") is None:
            pytest.fail("openocd is not installed")
        port_file = directory / "port"
        self.log: List[str] = []
        self.openocd: Optional["subprocess.Popen[str]"] = None
        self.board = subprocess.Popen(
            [str(_executable()), "--port", "0", "--port-file", str(port_file),
             "--flash-size", str(flash_size), "--image", str(image)],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        try:
            _wait(lambda: port_file.exists() and port_file.read_text().strip() != "", "vboard")
            self.openocd = subprocess.Popen(
                ["openocd", "-c", f"set VBOARD_PORT {port_file.read_text().strip()}",
                 "-c", "tcl_port 0", "-f", str(config)],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
                cwd=directory,
            )
            self._drain = threading.Thread(target=self._read_log, daemon=True)
            self._drain.start()
            _wait(lambda: self._find("gdb port disabled") is not None, "OpenOCD to be ready")
        except BaseException:
            self.close()
            raise
        match = self._find(r"Listening on port (\d+) for tcl connections")
        assert match is not None
        self.tcl_port = int(match.group(1))

    def _read_log(self) -> None:
        # OpenOCD stops when nobody reads what it logs.
        assert self.openocd is not None and self.openocd.stderr is not None
        for line in self.openocd.stderr:
            self.log.append(line)

    def _find(self, pattern: str) -> Optional["re.Match[str]"]:
        for line in list(self.log):
            match = re.search(pattern, line)
            if match:
                return match
        if self.openocd is not None and self.openocd.poll() is not None:
            pytest.fail("OpenOCD ended:\n" + "".join(self.log))
        return None

    def close(self) -> None:
        """End both programs."""
        for process in (self.openocd, self.board):
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self.openocd is not None and self.openocd.stderr is not None:
            self._drain.join(5)
            self.openocd.stderr.close()
