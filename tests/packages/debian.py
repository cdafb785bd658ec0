"""A folder that holds a Debian."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Union

LIMIT_S = 600


class Debian:
    """Commands in it see no other files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Of a file by its absolute name in there."""
        return self.root / name.lstrip("/")

    def run(self, *command: str) -> str:
        """What it says; raises AssertionError where it fails."""
        done = subprocess.run(
            ["chroot", str(self.root), "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout[-4000:]}"
        return done.stdout

    def copy(self, path: Path, directory: Path) -> str:
        """Its name in there."""
        return "/" + str(Path(shutil.copy(path, directory)).relative_to(self.root))

    def install(self, *packages: Union[str, Path]) -> None:
        """By name, or from files, with what they depend on and nothing else."""
        names = [self.copy(each, self.root / "tmp") if isinstance(each, Path) else each for each in packages]
        self.run("apt-get", "-qq", "install", "-y", "--no-install-recommends", *names)
