"""The packages, made as users make them, and a Debian to try them in: small and fresh, with a systemd that boots.

All modules share it, in the order of their names: the last one upgrades and purges. $OCDMUX_DEBIAN names a folder to
use (made there unless there is one) and keep, in the place of one that ends with the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator, List

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
sys.path.insert(0, str(HERE))

from protocol_check import Validator  # noqa: E402

from debian import Debian  # noqa: E402
from harness.paths import PROTOCOL, REPOSITORY, VBOARD_CONFIG, VBOARD_WORKAREA_CONFIG, build_file  # noqa: E402
from harness.stack import KIB, make_image  # noqa: E402
from machine import LAB, Machine  # noqa: E402

PACKAGES = REPOSITORY / "build-package"
# What the tests need there, and the packages do not.
BESIDE = ["systemd", "openocd", "gcc", "libc6-dev", "pkg-config"]
LIMIT_S = 900


# What tools/package exits with where it cannot get the parts of a Debian.
NO_DEBIAN = 4


def why_not() -> str:
    """Why this machine cannot boot another Debian; nothing where it can."""
    if os.geteuid() != 0:
        return "only root can make another Debian and boot it"
    spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork", "--mount-proc"]
    tried = subprocess.run(["unshare", *spaces, "true"], stderr=subprocess.PIPE, text=True, check=False)
    return f"no container can be made here: {tried.stderr.strip()}" if tried.returncode != 0 else ""


def pytest_collection_modifyitems(items: List[pytest.Item]) -> None:
    reason = why_not()
    for item in items if reason else ():
        item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", name="folder")
def fixture_folder() -> Iterator[Path]:
    """Where the Debian is made."""
    kept = os.environ.get("OCDMUX_DEBIAN")
    if kept:
        yield Path(kept)
        return
    with tempfile.TemporaryDirectory(prefix="ocdmux-debian-") as directory:
        yield Path(directory) / "root"


@pytest.fixture(scope="session", name="tried")
def fixture_tried(folder: Path) -> str:
    """What tools/package says that makes the packages, looks at them with lintian, and tries them without anything
    beside them; raises CalledProcessError where one of that fails."""
    done = subprocess.run(
        [str(REPOSITORY / "tools/package"), "--try", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, check=False,
    )
    if done.returncode == NO_DEBIAN:
        pytest.skip(f"the machine's package source gives no Debian: {done.stdout[-400:]}")
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="session", name="packages")
def fixture_packages(tried: str) -> List[Path]:
    """The packages' files."""
    assert tried
    return sorted(PACKAGES.glob("*.deb"))


@pytest.fixture(scope="session", name="debian")
def fixture_debian(folder: Path, packages: List[Path]) -> Debian:
    """With the packages installed, and with the programs of the tests in /srv/lab."""
    debian = Debian(folder)
    lab = folder / LAB.lstrip("/")
    lab.mkdir(parents=True, exist_ok=True)
    (lab / "image.bin").write_bytes(make_image(60 * KIB))
    for path in (build_file("mock", "vboard", "vboard"), VBOARD_CONFIG, VBOARD_WORKAREA_CONFIG, HERE / "probe.py"):
        debian.copy(path, lab)
    debian.install(*BESIDE)
    debian.install(*packages)
    return debian


@pytest.fixture(scope="session", name="validator")
def fixture_validator() -> Validator:
    return Validator(PROTOCOL)


@pytest.fixture(scope="session", name="booted")
def fixture_booted(debian: Debian, validator: Validator) -> Iterator[Machine]:
    with Machine(debian.root, validator) as machine:
        board = [f"{LAB}/vboard", "--port", "7000", "--image", f"{LAB}/image.bin"]
        machine.run("systemd-run", "-q", "--unit=vboard", *board)
        yield machine


@pytest.fixture(name="machine")
def fixture_machine(booted: Machine) -> Iterator[Machine]:
    """That Debian, running; the service is as it was installed, and stopped."""
    yield booted
    booted.reset()
