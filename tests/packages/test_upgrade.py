"""An upgrade and the end of the packages, where the service runs. The last of the modules: behind it nothing is
installed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import List

from harness.stack import FLASH_BASE
from harness.waiting import wait_until
from machine import CONFIG, LAB, PASSED_SOCKET, Machine, spawning

LIMIT_S = 120


def next_version(package: Path, directory: Path) -> Path:
    """The same, one revision later, with another file in the place of the configuration as it is shipped."""
    tree, result = directory / "tree", directory / "next.deb"
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(tree)], check=True, timeout=LIMIT_S)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^(Version: .*)$", r"\g<1>.1", control.read_text(), flags=re.M))
    (tree / CONFIG.lstrip("/")).write_text("{}\n")
    command = ["dpkg-deb", "--build", str(tree), str(result)]
    subprocess.run(command, check=True, timeout=LIMIT_S, stdout=subprocess.DEVNULL)
    return result


def test_upgrade_keeps_everything_and_restarts(booted: Machine, packages: List[Path], tmp_path: Path) -> None:
    """What was configured, the lease that is held, and the listeners; the new program runs."""
    (package,) = [each for each in packages if each.name.startswith("ocdmuxd_")]
    config = {**spawning(), "listen": ["tcp:127.0.0.1:6670"]}
    booted.configure(config)
    booted.systemctl("enable", "ocdmuxd.service", "ocdmuxd.socket")
    booted.systemctl("start", "ocdmuxd.socket")
    client = booted.client(PASSED_SOCKET)
    wait_until(lambda: client.call("board.status")["link"] in ("idle", "busy"), "OpenOCD")
    client.call("lease.acquire", ttl_ms=600000, reason="an upgrade")
    written, pid = booted.path(CONFIG).read_bytes(), booted.pid
    booted.path(f"{LAB}/next.deb").write_bytes(next_version(package, tmp_path).read_bytes())
    booted.run("dpkg", "--force-confold", "-i", f"{LAB}/next.deb")
    assert booted.state() == "active" and booted.pid != pid
    assert booted.show("Result") == "success" and booted.show("NRestarts") == "0"
    assert booted.state("ocdmuxd.socket") == "active"
    assert booted.path(CONFIG).read_bytes() == written
    client = booted.client(PASSED_SOCKET)
    assert client.call("lease.status")["lease"]["reason"] == "an upgrade"
    assert booted.run("ocdmux", "read", hex(FLASH_BASE), "1").startswith("0x08000000:")


def test_removal_stops_it_and_keeps_what_was_configured(booted: Machine) -> None:
    written = booted.path(CONFIG).read_bytes()
    pid = booted.pid
    booted.run("dpkg", "--remove", "ocdmuxd")
    assert not booted.path(f"/proc/{pid}").exists() and not booted.path(PASSED_SOCKET).exists()
    assert booted.show("LoadState") == "not-found"
    assert booted.path(CONFIG).read_bytes() == written
    assert booted.path("/var/lib/private/ocdmux").is_dir()


def test_purge_leaves_nothing(booted: Machine) -> None:
    booted.run("sh", "-euc", "apt-get -qq purge -y '*ocdmux*'")
    booted.run("sh", "-euc", f"rm -rf {LAB}")
    left = booted.run("find", "/", "/run", "/dev/shm", "/tmp", "-xdev", "-iname", "*ocdmux*").splitlines()
    assert [path for path in left if "/systemd-private-" not in path] == []
    assert booted.run("systemctl", "--failed", "--plain", "--no-legend") == ""
