"""Under a service manager: readiness, watchdog, sockets that are passed, a graceful end, SIGHUP, and the units."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.metrics import Page
from harness.paths import REPOSITORY, build_file
from harness.processes import Daemon, Process
from harness.stack import FLASH_BASE, Stack
from harness.tokens import make_token
from harness.waiting import wait_until

LIMIT_S = 30.0
MOST_EXPOSURE = 30  # tenths

# Makes the sockets of its first word, says what they are called, and becomes the daemon of the others, as a manager
# would: the first socket is descriptor 3.
ACTIVATE = """
import os, socket, sys
kinds, command = sys.argv[1].split(","), sys.argv[2:]
made = []
for kind in kinds:
    if kind == "tcp":
        made.append(socket.create_server(("127.0.0.1", 0)))
        print("passed tcp:127.0.0.1:%d" % made[-1].getsockname()[1], file=sys.stderr, flush=True)
    elif kind == "udp":
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    elif kind.startswith("tcp="):
        made.append(socket.create_server(("127.0.0.1", int(kind[4:]))))
    else:
        made.append(socket.socket(socket.AF_UNIX))
        made[-1].bind(kind)
        made[-1].listen()
for number, each in enumerate(made):
    os.dup2(os.dup(each.fileno()), 100 + number)
for number in range(len(made)):
    os.dup2(100 + number, 3 + number)
    os.close(100 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(made)))
os.execv(command[0], command)
"""


class Activated(Process):
    """A daemon that gets sockets passed."""

    def __init__(self, kinds: str, *flags: str) -> None:
        super().__init__([sys.executable, "-c", ACTIVATE, kinds, str(build_file("ocdmuxd")), *flags])

    def listeners(self, count: int) -> List[str]:
        for _ in range(count):
            self.wait_for_line(r"listening on ")
        self.wait_for_line(r"board \S+: ")
        return re.findall(r"listening on (\S+)", "\n".join(self.log))


@pytest.fixture(name="manager")
def fixture_manager(tmp_path: Path) -> Iterator[socket.socket]:
    """Where the daemon tells how it is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(LIMIT_S)
        yield manager


def notified(daemon_flags: List[str], manager: socket.socket, **env: str) -> Daemon:
    return Daemon(daemon_flags, env={"NOTIFY_SOCKET": manager.getsockname(), **env})


def test_a_manager_hears_of_every_change(stack: Stack, manager: socket.socket, tmp_path: Path) -> None:
    flags = ["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]
    daemon = notified(flags, manager)
    assert manager.recv(4096) == b"READY=1"
    os.kill(daemon.pid, signal.SIGHUP)
    assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(4096))
    assert manager.recv(4096) == b"READY=1"
    with Client(daemon.address, stack.validator) as client:
        assert client.call("memory.read_u32", address=FLASH_BASE)["values"]
    daemon.terminate()
    assert manager.recv(4096) == b"STOPPING=1"
    assert daemon.wait() == 0


def test_a_hangup_does_not_kill_a_daemon_that_ends(stack: Stack) -> None:
    with Daemon(["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]) as daemon:
        daemon.terminate()
        while daemon.alive:
            os.kill(daemon.pid, signal.SIGHUP)
        assert daemon.wait() == 0


def test_the_watchdog_is_told_while_the_loop_runs(stack: Stack, manager: socket.socket) -> None:
    flags = ["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]
    with notified(flags, manager, WATCHDOG_USEC="100000") as daemon:
        assert manager.recv(4096) == b"READY=1"
        assert [manager.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        with Client(daemon.address, stack.validator) as client:
            assert client.call("memory.read_u32", address=FLASH_BASE)["values"]
        assert manager.recv(4096) == b"WATCHDOG=1"


def test_the_watchdog_of_another_process_is_not_told(stack: Stack, manager: socket.socket) -> None:
    flags = ["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]
    with notified(flags, manager, WATCHDOG_USEC="1000", WATCHDOG_PID="1") as daemon:
        assert manager.recv(4096) == b"READY=1"
        daemon.terminate()
        assert manager.recv(4096) == b"STOPPING=1"
        assert daemon.wait() == 0


def test_passed_sockets_are_the_listeners(stack: Stack, tmp_path: Path) -> None:
    """TCP and Unix; the file of the latter stays when the daemon ends, for it is the manager's."""
    path = str(tmp_path / "socket")
    with Activated(f"tcp,{path}", "--openocd", f"127.0.0.1:{stack.tcl_port}") as daemon:
        passed = daemon.wait_for_line(r"passed (tcp:\S+)").group(1)
        assert daemon.listeners(2) == [passed, f"unix:{path}"]
        for address in (passed, f"unix:{path}"):
            with Client(address, stack.validator) as client:
                assert client.call("memory.read_u32", address=FLASH_BASE)["values"]
        assert daemon.stop() == 0
    assert os.path.exists(path)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as each:
        return int(each.getsockname()[1])


def test_a_passed_socket_serves_for_the_listener_of_its_address(stack: Stack, tmp_path: Path) -> None:
    """Also for that of metrics; other listeners stay."""
    one, metrics = free_port(), free_port()
    config = {
        "boards": [{"name": "b", "openocd": f"127.0.0.1:{stack.tcl_port}"}],
        "listen": [f"tcp:127.0.0.1:{one}", "tcp:127.0.0.1:0"],
        "metrics": {"listen": f"tcp:127.0.0.1:{metrics}"},
    }
    (tmp_path / "c.json").write_text(json.dumps(config))
    with Activated(f"tcp={one},tcp={metrics}", "--config", str(tmp_path / "c.json")) as daemon:
        first, second = daemon.listeners(2)
        assert first == f"tcp:127.0.0.1:{one}" and second != first
        assert Page(metrics).types
        for address in (first, second):
            with Client(address, stack.validator) as client:
                client.call("server.hello")
        assert daemon.stop() == 0


def test_bad_passed_sockets_are_refused(stack: Stack) -> None:
    with Activated("udp", "--openocd", f"127.0.0.1:{stack.tcl_port}") as daemon:
        assert daemon.wait() == 2
        assert "passed socket 3: is no stream socket that listens" in daemon.tail()


class Reloaded:
    """A daemon whose configuration file is written anew."""

    def __init__(self, make_daemon: Callable[..., Daemon], tmp_path: Path, port: int, **members: Any) -> None:
        self.path = tmp_path / "daemon0.json"
        self.config: Dict[str, Any] = {"boards": [{"name": "b", "openocd": f"127.0.0.1:{port}"}], **members}
        self.daemon = make_daemon(config=json.dumps(self.config))

    def reload(self, said: str = "daemon0.json: was read anew", text: str = "") -> List[str]:
        """SIGHUP with the configuration as it is by now, or that text; the log's lines of it."""
        self.path.write_text(text or json.dumps(self.config, indent=4))
        seen = len(self.daemon.log)
        os.kill(self.daemon.pid, signal.SIGHUP)
        wait_until(lambda: any(re.search(said, line) for line in self.daemon.log[seen:]), said)
        return self.daemon.log[seen:]


@pytest.fixture(name="reloaded")
def fixture_reloaded(stack: Stack, make_daemon: Callable[..., Daemon], tmp_path: Path) -> Callable[..., Reloaded]:
    return lambda **members: Reloaded(make_daemon, tmp_path, stack.tcl_port, **members)


def test_sighup_takes_limits_and_names_what_it_cannot(
    reloaded: Callable[..., Reloaded], connect: Callable[..., Client]
) -> None:
    lab = reloaded()
    client = connect(lab.daemon)
    before = client.call("server.hello")["limits"]
    lab.config["limits"] = {"max_inline_bytes": 1000}
    assert not any("restart" in line for line in lab.reload())  # other blanks alone are no change
    assert client.call("server.hello")["limits"] == {**before, "max_inline_bytes": 1000}
    assert client.fail("memory.read_bytes", address=FLASH_BASE, size=1001).data["limit"] == "max_inline_bytes"
    lab.reload(r"boards: must be an array.*: the old configuration stays", '{"boards": 1}')
    lab.reload(r"daemon0.json:1:2: .*: the old configuration stays", "{")
    assert client.call("server.hello")["limits"]["max_inline_bytes"] == 1000
    lab.config["boards"][0]["name"] = "c"
    lab.config["dump_root"] = "/"
    del lab.config["limits"]
    for _ in range(2):  # until it is restarted
        said = "\n".join(lab.reload())
        assert "boards: has changed, which takes effect with a restart only" in said
        assert "dump_root: is new, which takes effect with a restart only" in said
    assert client.call("server.hello")["limits"] == before
    assert client.call("server.hello")["boards"] == ["b"]


def login(connect: Callable[..., Client], daemon: Daemon, token: str) -> Client:
    client = connect(daemon)
    client.call("server.hello", token=token)
    return client


def is_closed(client: Client) -> bool:
    return client._socket.recv(1) == b""  # noqa: SLF001


def test_sighup_takes_identities(reloaded: Callable[..., Reloaded], connect: Callable[..., Client]) -> None:
    """Who has the rights that he had goes on; whose entry is another one, or gone, is disconnected."""
    (one, alice), (two, bob), (three, carol) = (make_token(name, role="user") for name in ("alice", "bob", "carol"))
    lab = reloaded(tokens=[alice, bob])
    first, second = login(connect, lab.daemon, one), login(connect, lab.daemon, two)
    nobody = connect(lab.daemon)
    lab.config["tokens"] = [carol, {**bob, "role": "observer"}, alice]
    assert not any("restart" in line for line in lab.reload())
    assert is_closed(second)
    assert first.call("memory.read_u32", address=FLASH_BASE)["values"]
    assert login(connect, lab.daemon, two).call("server.hello")["role"] == "observer"
    third = login(connect, lab.daemon, three)
    lab.config["tokens"] = [carol]
    lab.reload()
    assert is_closed(first) and third.call("target.state")
    assert connect(lab.daemon).fail("server.hello", token=one).kind == "unauthenticated"
    assert nobody.call("server.hello")["role"] == "none"
    lab.config["anonymous_role"] = "observer"
    lab.reload()
    assert is_closed(nobody) and third.call("target.state")
    assert connect(lab.daemon).call("memory.read_u32", address=FLASH_BASE)["values"]
    lab.config["boards"][0]["name"] = "c"
    lab.config["tokens"] = [alice]
    lab.reload("who may do what: takes effect with a restart only, as boards have changed")
    assert third.call("target.state")


def test_sighup_takes_users(
    reloaded: Callable[..., Reloaded], connect: Callable[..., Client], tmp_path: Path
) -> None:
    path = f"unix:{tmp_path / 'socket'}"
    lab = reloaded(listen=["tcp:127.0.0.1:0"])
    lab.daemon.stop()
    config = json.dumps({**lab.config, "users": [{"user": str(os.getuid()), "identity": "me", "role": "user"}]})
    lab.path.write_text(config)
    with Daemon(["--config", str(lab.path), "--listen", path]) as daemon:
        lab.daemon = daemon
        client = connect(daemon)
        assert client.call("server.hello")["identity"] == "me"
        lab.config = json.loads(config)
        lab.reload()
        assert client.call("target.state")
        lab.config["users"].insert(0, {"user": str(os.getuid()), "identity": "you", "role": "user"})
        lab.reload()
        assert is_closed(client)
        assert connect(daemon).call("server.hello")["identity"] == "you"


def test_units_are_hardened() -> None:
    unit = build_file("tools", "systemd", "ocdmuxd.service")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSURE}", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "Overall exposure level" in done.stdout


def test_units_are_well_formed(tmp_path: Path) -> None:
    """With the daemon of this build, for its place is looked at too."""
    text = build_file("tools", "systemd", "ocdmuxd.service").read_text(encoding="utf-8")
    (tmp_path / "ocdmuxd.service").write_text(re.sub(r"^ExecStart=\S+", f"ExecStart={build_file('ocdmuxd')}", text, flags=re.M))
    (tmp_path / "ocdmuxd.socket").write_bytes((REPOSITORY / "tools/systemd/ocdmuxd.socket").read_bytes())
    units = [str(tmp_path / name) for name in ("ocdmuxd.service", "ocdmuxd.socket")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, timeout=60, check=False
    )
    said = [line for line in done.stderr.splitlines() if "ocdmuxd" in line]
    assert (done.returncode, said) == (0, [])
