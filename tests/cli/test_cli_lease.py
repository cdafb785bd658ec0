"""Leases by the command line, with the real daemon in front of a mock OpenOCD."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from test_cli_daemon import LIMIT_S, RAM, fixture_board, wait_until  # noqa: F401  pylint: disable=unused-import

# A command that waits until it is told to end.
WAIT = 'touch began; while [ ! -e end ]; do sleep 0.02; done; '


class Daemon:
    """A daemon that can be killed and started again on the same socket with the same state."""

    def __init__(self, tool: Any, port: int, directory: Path) -> None:
        self.socket = directory / "daemon.sock"
        self.command = [
            str(tool.program.parent / "ocdmuxd"), "--openocd", f"127.0.0.1:{port}", "--listen", f"unix:{self.socket}",
            "--anonymous-role", "admin", "--state-dir", str(directory / "state"),
        ]  # fmt: skip
        self.log = directory / "daemon.log"
        self.start()

    def start(self) -> None:
        """Starts it."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(lambda: self.log.read_text().count("listening on") > self.starts(), "the daemon's listener")

    def starts(self) -> int:
        """How often it was killed."""
        return getattr(self, "killed", 0)

    def kill(self) -> None:
        """As a crash would."""
        self.process.kill()
        self.process.wait(LIMIT_S)
        self.killed = self.starts() + 1


@pytest.fixture(name="server_process")
def fixture_server_process(bare: Any, board: Any, tmp_path: Path) -> Iterator[Daemon]:
    """The daemon itself, which serves the mock."""
    daemon = Daemon(bare, board.port, tmp_path)
    bare.set(OCDMUX_SERVER=f"unix:{daemon.socket}", PATH=f"{bare.program.parent}:{os.environ['PATH']}")
    yield daemon
    daemon.process.terminate()
    assert daemon.process.wait(LIMIT_S) == 0, daemon.log.read_text()


@pytest.fixture(name="daemon")
def fixture_daemon(bare: Any, server_process: Daemon) -> Any:
    """The program, which finds that daemon."""
    return bare


def holder(daemon: Any) -> Any:
    """What `lease status` says of who holds it; None: nobody."""
    return json.loads(daemon.run("lease", "status", "--json").out).get("lease")


def began(daemon: Any) -> bool:
    """Whether WAIT has."""
    return (daemon.directory / "began").exists()


def end(daemon: Any) -> None:
    """Ends WAIT."""
    (daemon.directory / "end").touch()


def test_lease_by_hand(daemon) -> None:
    lease = daemon.run("lease", "acquire", "--reason", "night shift").out.strip()
    assert len(lease) == 32
    outcome = daemon.run("write", hex(RAM), "1")
    assert outcome.status == 1
    for line in ("ocdmux: board_busy: anonymous (ocdmux ", "  holder: anonymous (ocdmux ", "  reason: night shift\n",
                 "  position: 1\n"):
        assert line in outcome.error
    assert daemon.run("read", hex(RAM)).status == 0
    assert daemon.run("write", hex(RAM), "2", "--lease", lease).status == 0
    assert "lease: anonymous (ocdmux" in daemon.run("status").out
    daemon.set(OCDMUX_LEASE=lease)
    assert daemon.run("write", hex(RAM), "3").status == 0
    assert daemon.run("lease", "renew", "--ttl", "30").out.startswith("expires: ")
    assert daemon.run("lease", "status").out.endswith("it is yours\n")
    assert daemon.run("lease", "release").status == 0
    for command in (("write", hex(RAM), "4"), ("read", hex(RAM)), ("lease", "release")):
        outcome = daemon.run(*command)
        assert outcome.status == 1 and outcome.error.startswith("ocdmux: lease_lost: ")
        assert "'unset OCDMUX_LEASE'" in outcome.error
    daemon.set(OCDMUX_LEASE="")
    assert daemon.run("write", hex(RAM), "5").status == 0
    assert daemon.run("lease", "status").out == "lease: free\n"


def test_a_lease_that_may_end_with_the_daemon(daemon, tmp_path: Path) -> None:
    """There is no room where it would be kept."""
    (tmp_path / "state").write_text("no directory")
    warning = "ocdmux: the daemon cannot write the lease down: it may end with the daemon\n"
    acquired = daemon.run("lease", "acquire")
    assert (acquired.status, acquired.error) == (0, warning)
    daemon.set(OCDMUX_LEASE=acquired.out.strip())
    renewed = daemon.run("lease", "renew")
    assert (renewed.status, renewed.error) == (0, warning)
    assert daemon.run("lease", "release").status == 0
    daemon.set(OCDMUX_LEASE="")
    outcome = daemon.run("with-lease", "true")
    assert (outcome.status, outcome.error) == (0, warning)


def test_break_and_wait(daemon) -> None:
    daemon.run("lease", "acquire")
    process = daemon.start("lease", "acquire", "--wait", "60")
    wait_until(lambda: "lease queue: 1 anonymous" in daemon.run("lease", "status").out, "the queue")
    assert daemon.run("lease", "break").out == "broken\n"
    assert len(daemon.finish(process).out.strip()) == 32
    assert daemon.run("lease", "break").out == "broken\n"
    assert daemon.run("lease", "break").out == "nobody held it\n"


def test_waiting_is_interrupted(daemon) -> None:
    daemon.run("lease", "acquire")
    process = daemon.start("lease", "acquire", "--wait", "60")
    wait_until(lambda: "lease queue: 1 anonymous" in daemon.run("lease", "status").out, "the queue")
    process.send_signal(signal.SIGINT)
    outcome = daemon.finish(process)
    assert outcome.status == 1 and "cancelled" in outcome.error
    assert "lease queue" not in daemon.run("lease", "status").out


def test_with_lease_runs_its_command_under_it(daemon) -> None:
    script = f"ocdmux write {RAM:#x} 7 && ocdmux lease status && env -u OCDMUX_LEASE ocdmux write {RAM:#x} 8; exit 42"
    outcome = daemon.run("with-lease", "--reason", "CI", "--", "sh", "-c", script)
    assert outcome.status == 42
    assert outcome.out.startswith("1 value written\nlease: anonymous (ocdmux ")
    assert ": CI, held until " in outcome.out and outcome.out.endswith("it is yours\n")
    assert outcome.error.startswith("ocdmux: board_busy: ")
    assert holder(daemon) is None


def test_with_lease_inside_another_uses_that(daemon) -> None:
    outcome = daemon.run("with-lease", "sh", "-c", f"ocdmux with-lease ocdmux write {RAM:#x} 1 && ocdmux lease status")
    assert outcome.status == 0 and outcome.out.startswith("1 value written\nlease: ")
    assert outcome.out.endswith("it is yours\n") and holder(daemon) is None


@pytest.mark.parametrize("words, status, error", [
    (["true"], 0, ""),
    (["false"], 1, ""),
    (["sh", "-c", "exit 200"], 200, ""),
    (["sh", "-c", "kill -9 $$"], 128 + signal.SIGKILL, ""),
    (["no-such-program"], 127, "ocdmux: no-such-program: No such file or directory\n"),
    (["/"], 126, "ocdmux: /: Permission denied\n"),
])  # fmt: skip
def test_with_lease_ends_as_its_command_and_releases(daemon, words: List[str], status: int, error: str) -> None:
    outcome = daemon.run("with-lease", "--", *words)
    assert (outcome.status, outcome.out, outcome.error) == (status, "", error)
    assert holder(daemon) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_with_lease_passes_signals_on(daemon, number: int) -> None:
    process = daemon.start("with-lease", "sh", "-c", f"trap 'exit 9' INT TERM HUP; {WAIT}")
    wait_until(lambda: began(daemon), "the command")
    process.send_signal(number)
    assert daemon.finish(process).status == 9
    assert holder(daemon) is None


def test_with_lease_waits_for_its_turn_and_says_for_whom(daemon) -> None:
    first = daemon.start("with-lease", "--reason", "the first", "sh", "-c", WAIT)
    wait_until(lambda: began(daemon), "the command")
    assert daemon.run("with-lease", "--wait", "0", "true").error.startswith("ocdmux: board_busy: ")
    second = daemon.start("with-lease", "echo", "done")
    assert second.stderr.readline().startswith(b"ocdmux: waiting: anonymous (ocdmux ")
    assert second.stderr.readline() == b"ocdmux:   its reason: the first\n"
    end(daemon)
    assert daemon.finish(first).status == 0
    outcome = daemon.finish(second)
    assert (outcome.status, outcome.out) == (0, "done\n")


def test_with_lease_renews(daemon) -> None:
    process = daemon.start("with-lease", "--ttl", "1", "sh", "-c", WAIT)
    wait_until(lambda: began(daemon), "the command")
    seen = {holder(daemon)["expires"]}
    wait_until(lambda: seen.add(holder(daemon)["expires"]) or len(seen) > 6, "six renewals")
    assert holder(daemon)["state"] == "held"
    end(daemon)
    assert daemon.finish(process).status == 0
    assert holder(daemon) is None


def test_with_lease_killed_leaves_it_to_the_grace(daemon) -> None:
    process = daemon.start("with-lease", "sh", "-c", WAIT)
    wait_until(lambda: began(daemon), "the command")
    process.kill()
    process.wait(LIMIT_S)
    wait_until(lambda: holder(daemon)["state"] == "absent", "the grace")
    end(daemon)


def test_with_lease_outlives_the_daemon(daemon, server_process) -> None:
    """The lease goes on when the daemon is back, and is released."""
    script = f"{WAIT} ocdmux write {RAM:#x} 1"
    process = daemon.start("with-lease", "--ttl", "30", "sh", "-c", script)
    wait_until(lambda: began(daemon), "the command")
    server_process.kill()
    assert process.stderr.readline().startswith(b"ocdmux: the connection to the server is lost, trying again: ")
    server_process.start()
    wait_until(lambda: (holder(daemon) or {}).get("state") == "held", "the lease")
    assert daemon.run("write", hex(RAM), "2").error.startswith("ocdmux: board_busy: ")
    end(daemon)
    outcome = daemon.finish(process)
    assert (outcome.status, outcome.out) == (0, "1 value written\n")
    assert holder(daemon) is None


def test_with_lease_tells_when_it_is_lost(daemon) -> None:
    script = f"{WAIT} ocdmux write {RAM:#x} 1"
    process = daemon.start("with-lease", "--ttl", "1", "sh", "-c", script)
    wait_until(lambda: began(daemon), "the command")
    daemon.run("lease", "break")
    assert process.stderr.readline().startswith(b"ocdmux: the lease was lost: the command cannot change the board")
    end(daemon)
    outcome = daemon.finish(process)
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: lease_lost: ")
