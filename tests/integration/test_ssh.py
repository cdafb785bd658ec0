"""`--server ssh:HOST` with the real ssh and the real sshd, which ssh starts itself and talks to over a pipe: no port is
opened, and no file outside the test's directory is read but the system's account of who runs it."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from harness.client import Client
from harness.paths import build_file
from harness.processes import Daemon
from harness.stack import FLASH_BASE, RAM_BASE

LIMIT_S = 60
SSHD = Path("/usr/sbin/sshd")
# Where sshd goes before it knows who has come; it starts as root only where that is there.
EMPTY = Path("/run/sshd")
SSHD_CONFIG = """
HostKey {directory}/host
AuthorizedKeysFile {directory}/authorized
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv PATH={programs}:/usr/bin:/bin OCDMUX_SERVER={server}
"""
SSH_CONFIG = """
Host lab
ProxyCommand {sshd} -i -f {directory}/sshd_config
User {user}
HostKeyAlias lab
IdentityFile {directory}/key
IdentitiesOnly yes
GlobalKnownHostsFile /dev/null
UserKnownHostsFile {directory}/known
BatchMode yes
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(name="directory")
def fixture_directory() -> Iterator[Path]:
    """Short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="ocdmux-ssh-") as name:
        yield Path(name)


@pytest.fixture(name="far_end")
def fixture_far_end(directory: Path) -> Iterator[None]:
    """Keys, and what sshd wants to be there."""
    for name in ("host", "key", "stranger"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(directory / name)]
        subprocess.run(words, check=True, timeout=LIMIT_S)
    host = " ".join((directory / "host.pub").read_text().split()[:2])
    (directory / "known").write_text(f"lab {host}\n")
    (directory / "authorized").write_text((directory / "key.pub").read_text())
    made = os.getuid() == 0 and not EMPTY.exists()
    if made:
        EMPTY.mkdir(mode=0o755)
    yield
    if made:
        EMPTY.rmdir()


@pytest.fixture(name="over_ssh")
def fixture_over_ssh(directory: Path, far_end: None, make_daemon: Callable[..., Daemon]) -> Run:
    """Runs ocdmux here against a daemon there, which is reached by its Unix socket alone."""
    users = [{"user": str(os.getuid()), "identity": "lab-user", "role": "user"}]
    config = json.dumps({"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%"}], "users": users})
    daemon = make_daemon(config=config, listen=[f"unix:{directory}/socket"])
    programs = build_file("ocdmux").resolve().parent
    (directory / "sshd_config").write_text(
        SSHD_CONFIG.format(directory=directory, programs=programs, server=daemon.address))
    (directory / "config").write_text(
        SSH_CONFIG.format(directory=directory, sshd=SSHD, user=pwd.getpwuid(os.getuid()).pw_name))
    ssh = directory / "ssh"
    ssh.write_text(f'#!/bin/sh\nexec ssh -F {directory}/config "$@"\n')
    ssh.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OCDMUX_")}
    environment["OCDMUX_SSH"] = str(ssh)

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(programs / "ocdmux"), "--server", "ssh:lab", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S, check=False)

    return run


def test_a_board_behind_ssh(over_ssh: Run, client: Client, flash_content: bytes) -> None:
    """Reads and writes arrive, as the user that one is there; what is refused there is told here."""
    done = over_ssh("call", "server.hello")
    assert done.returncode == 0, done.stderr
    hello: Any = json.loads(done.stdout)
    assert (hello["identity"], hello["role"]) == ("lab-user", "user")
    done = over_ssh("read", "--json", hex(FLASH_BASE), "4")
    words = [int.from_bytes(flash_content[i : i + 4], "little") for i in range(0, 16, 4)]
    assert done.returncode == 0 and json.loads(done.stdout)["values"] == words, done
    done = over_ssh("write", hex(RAM_BASE), "0x5eed5eed")
    assert done.returncode == 0, done
    assert client.call("memory.read_u32", address=RAM_BASE)["values"] == [0x5EED5EED]
    done = over_ssh("call", "openocd.command", '{"command": "version"}')
    assert done.returncode != 0 and "needs the role admin" in done.stderr, done


def test_ssh_that_lets_nobody_in(over_ssh: Run, directory: Path) -> None:
    """Its own words reach the user, and nothing else happens."""
    (directory / "authorized").write_text((directory / "stranger.pub").read_text())
    done = over_ssh("boards")
    assert done.returncode == 3 and "Permission denied" in done.stderr, done
    host = " ".join((directory / "stranger.pub").read_text().split()[:2])
    (directory / "known").write_text(f"lab {host}\n")
    done = over_ssh("boards")
    assert done.returncode == 3 and "Host key verification failed" in done.stderr, done
