"""An OpenOCD that the daemon starts: it is started again when it dies or hangs, says what is wrong, and never outlives
the daemon."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from protocol_check import Validator

from harness.client import Client
from harness.paths import VBOARD_CONFIG, build_file
from harness.processes import Daemon, Process, Vboard
from harness.relay import Relay
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image
from harness.waiting import wait_until

Json = Dict[str, Any]
IMAGE = make_image(8 * KIB)
FIRST = int.from_bytes(IMAGE[:4], "little")
IDCODE = "0x3ba00477"


def is_there(pid: int) -> bool:
    """Whether that process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


class Place:
    """A virtual board behind a Unix socket, and a daemon that starts an OpenOCD for it."""

    def __init__(self, directory: Path, validator: Validator) -> None:
        self.directory = directory
        self.path = directory / "board"
        self.validator = validator
        self.processes: List[Process] = []
        self.clients: List[Client] = []

    def start_board(self) -> Process:
        """At its path; waits until it is there."""
        self.path.unlink(missing_ok=True)
        (self.directory / "image.bin").write_bytes(IMAGE)
        flags = ["--unix", str(self.path), "--flash-size", str(len(IMAGE)), "--image", str(self.directory / "image.bin")]
        board = Process([str(build_file("mock", "vboard", "vboard")), *flags])
        self.processes.append(board)
        wait_until(self.path.exists, "the virtual board")
        return board

    def words(self, *then: str, config: Path = VBOARD_CONFIG, port: int = 0) -> List[str]:
        """OpenOCD for the board, on that TCL port."""
        first = [f"set VBOARD_HOST {self.path}", "set VBOARD_PORT 0", f"tcl_port {port}"]
        return ["openocd", *(word for line in first for word in ("-c", line)), "-f", str(config), *then]

    def start_daemon(self, spawn: Any, **members: Any) -> Client:
        """Of one board; a connection to it, everybody an admin."""
        text = json.dumps({"boards": [{"name": "b", "spawn": spawn, **members}]})
        (self.directory / "ocdmuxd.json").write_text(text)
        flags = ["--config", str(self.directory / "ocdmuxd.json"), "--anonymous-role", "admin"]
        return self.start_plain_daemon(*flags)

    def start_plain_daemon(self, *flags: str) -> Client:
        """With flags alone; a connection to it."""
        self.daemon = Daemon([*flags, "--listen", "tcp:127.0.0.1:0"])
        self.processes.append(self.daemon)
        return self.client()

    def client(self) -> Client:
        """Another connection."""
        self.clients.append(Client(self.daemon.address, self.validator))
        return self.clients[-1]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for process in reversed(self.processes):
            process.stop()


@pytest.fixture(name="place")
def fixture_place(tmp_path: Path, validator: Validator) -> Iterator[Place]:
    """Behind the test nothing of it is left."""
    place = Place(tmp_path, validator)
    yield place
    place.close()


def wait_status(client: Client, holds: Callable[[Json], Any], what: str) -> Json:
    """board.status once it is so."""

    def look() -> Any:
        status = client.call("board.status")
        return status if holds(status) else None

    result: Json = wait_until(look, what)
    return result


def wait_up(client: Client, restarts: int = 0) -> Json:
    """board.status of a board without problems, after so many restarts or more."""

    def holds(status: Json) -> bool:
        process = status["process"]
        return process["state"] == "running" and process["restarts"] >= restarts and "problem" not in status

    return wait_status(client, holds, "OpenOCD to run")


def wait_problem(client: Client, kind: str) -> Json:
    """board.status once that is the problem."""
    return wait_status(client, lambda status: status.get("problem", {}).get("kind") == kind, kind)


def wait_event(client: Client, state: str, word: str) -> None:
    """The link goes to that state for a reason with that word in it."""
    client.wait_notification(
        lambda note: note["method"] == "event" and note["params"].get("state") == state
            and word in note["params"].get("reason", "")
    )


def test_spawned_openocd_that_is_killed_is_started_again(place: Place) -> None:
    """What waits survives, clients are told why, and the command before each start ran twice."""
    place.start_board()
    notes = place.directory / "notes"
    client = place.start_daemon(place.words(), before_start=f"echo about to start >> {notes}; echo said")
    client.call("events.subscribe", topics=["link", "log"])
    status = wait_up(client)
    pid = status["process"]["pid"]
    assert status["openocd"].startswith("127.0.0.1:") and not status["openocd"].endswith(":0")
    assert "last_end" not in status["process"] and notes.read_text() == "about to start\n"
    client.wait_notification(
        lambda note: note["params"].get("topic") == "log"
            and "board b: openocd: Info : [vb.cpu] Cortex-M3" in note["params"]["text"]
    )
    assert place.daemon.wait_for_line("board b: openocd: said") and client.call("memory.read_u32", address=FLASH_BASE)
    os.kill(pid, signal.SIGKILL)
    wait_event(client, "down", "signal 9 (Killed)")
    assert client.call("memory.read_u32", address=FLASH_BASE) == {"values": [FIRST]}
    status = wait_up(client, 1)["process"]
    assert status["last_end"]["signal"] == 9 and status["pid"] != pid and status["restarts"] == 1
    assert any("Listening on port" in line for line in status["lines"])
    assert notes.read_text() == "about to start\n" * 2


def test_spawned_openocd_that_hangs_is_started_again(place: Place) -> None:
    place.start_board()
    client = place.start_daemon(place.words(), health_every_ms=50, health_limit_ms=300, stop_limit_ms=50)
    client.call("events.subscribe", topics=["link"])
    pid = wait_up(client)["process"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_event(client, "down", "nothing within 300 ms")
    assert client.call("memory.read_u32", address=FLASH_BASE) == {"values": [FIRST]}
    assert not is_there(pid)
    assert wait_up(client, 1)["process"]["last_end"]["signal"] == 9
    started = wait_up(client, 1)["process"]["pid"]
    assert client.call("openocd.command", command="sleep 600; concat long")["text"] == "long"
    assert wait_up(client, 1)["process"]["pid"] == started, "a long command is no hang"


def test_spawned_openocd_with_a_wrong_configuration(place: Place) -> None:
    """Started by flags. It says which line, and starts once that is mended."""
    place.start_board()
    config = place.directory / "board.cfg"
    config.write_text("adapter driver remote_bitbang\nnonsense {\x1b[31m}\n")
    line = " ".join(f"'{word}'" for word in place.words(config=config))
    client = place.start_plain_daemon("--spawn", line, "--before-start", f"echo x >> {place.directory}/starts; true")
    status = wait_problem(client, "configuration")
    assert "board.cfg:2: Error: invalid command name \"nonsense\" (exit status 1)" in status["problem"]["message"]
    assert status["last_error"] == status["problem"]["message"] and status["process"]["last_end"]["status"] == 1
    assert "pid" not in wait_status(client, lambda each: each["process"]["state"] == "waiting", "the pause")["process"]
    error = client.fail("memory.read_u32", address=FLASH_BASE, timeout_ms=20)
    assert error.kind == "openocd_unavailable" and "nonsense" in error.message
    assert error.message.startswith("OpenOCD is not available: "), "it has not said a port"
    config.write_text(VBOARD_CONFIG.read_text())
    assert client.call("memory.read_u32", address=FLASH_BASE) == {"values": [FIRST]}
    starts = wait_up(client)["process"]["restarts"] + 1
    assert (place.directory / "starts").read_text() == "x\n" * starts


def test_spawned_program_that_is_not_there(place: Place) -> None:
    place.start_board()
    program = place.directory / "openocd"
    client = place.start_daemon([str(program), *place.words()[1:]], before_start=["false"])
    status = wait_problem(client, "not_run")
    assert f"cannot run {program}: No such file or directory" in status["problem"]["message"]
    assert place.daemon.wait_for_line(r"before_start failed: .*\(?exit status 1")
    program.write_text("#!/bin/sh\nexec openocd \"$@\"\n")
    program.chmod(0o755)
    wait_up(client)


def test_spawned_openocd_whose_port_is_in_use(place: Place) -> None:
    """The stranger on the port is not connected to."""
    place.start_board()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        client = place.start_daemon(place.words(port=port), openocd=f"127.0.0.1:{port}")
        status = wait_problem(client, "port_in_use")
        assert f"couldn't bind tcl to socket on port {port}" in status["problem"]["message"]
        stranger.settimeout(0)
        with pytest.raises(BlockingIOError):
            stranger.accept()
    assert client.call("memory.read_u32", address=FLASH_BASE) == {"values": [FIRST]}
    assert wait_up(client)["openocd"] == f"127.0.0.1:{port}"


def test_spawned_openocd_without_a_probe(place: Place) -> None:
    """Missing at the start, there, gone while OpenOCD runs, and there again."""
    client = place.start_daemon(place.words())
    status = wait_problem(client, "probe_missing")
    assert "Error on socket" in status["problem"]["message"]
    board = place.start_board()
    status = wait_up(client)
    client.call("target.halt")
    board.kill()
    status = wait_problem(client, "probe_missing")
    place.start_board()
    assert wait_up(client, status["process"]["restarts"] + 1)
    assert client.call("memory.read_u32", address=FLASH_BASE) == {"values": [FIRST]}


class DeadChain(Relay):
    """To a probe whose board answers nothing while `dead`."""

    dead = False

    def _pump_down(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while data := upstream.recv(4096):
                client.sendall(b"1" * len(data) if self.dead else data)
        except OSError:
            pass
        client.close()
        upstream.close()


def test_target_that_is_lost_is_found_again(place: Place, tmp_path: Path) -> None:
    """Without power under a running OpenOCD, and when it starts: then 0.12 ends."""
    board = Vboard(tmp_path, ["--flash-size", str(8 * KIB)])
    place.processes.append(board)
    chain = DeadChain(board.port)
    try:
        spawn = ["openocd", "-c", f"set VBOARD_PORT {chain.port}", "-c", "tcl_port 0", "-f", str(VBOARD_CONFIG)]
        client = place.start_daemon(spawn, health_every_ms=50)
        pid = wait_up(client)["process"]["pid"]
        chain.dead = True
        status = wait_problem(client, "target_not_examined")
        assert status["problem"]["message"] == "OpenOCD does not find a target: vb.cpu" and status["link"] != "down"
        chain.dead = False
        assert wait_up(client)["process"]["restarts"] == 0
        chain.dead = True
        os.kill(pid, signal.SIGTERM)
        wait_problem(client, "ended")
        message = wait_status(
            client, lambda status: "exit status 1" in status.get("problem", {}).get("message", ""), "its next end"
        )["problem"]["message"]
        assert "OpenOCD does not find a target: JTAG scan chain interrogation failed: all ones (exit status 1)" in message
        chain.dead = False
        wait_up(client)
        client.call("target.halt")
        client.call("memory.write_u32", address=RAM_BASE, values=7)
        assert client.call("memory.read_u32", address=RAM_BASE) == {"values": [7]}
    finally:
        place.daemon.stop()
        chain.close()


def test_target_that_was_never_examined_is_looked_for(place: Place) -> None:
    """OpenOCD 0.12 itself does that once only."""
    place.start_board()
    config = place.directory / "board.cfg"
    config.write_text(VBOARD_CONFIG.read_text().replace("-dap vb.dap", "-dap vb.dap -ap-num 1"))
    client = place.start_daemon(place.words(config=config), health_every_ms=50)
    wait_problem(client, "target_not_examined")
    wait_until(lambda: sum("PARTNO 0x0 is unrecognized" in line for line in place.daemon.log) >= 4, "further looks")
    assert client.call("board.status")["process"]["restarts"] == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_spawned_openocd_does_not_outlive_the_daemon(place: Place, number: int) -> None:
    place.start_board()
    client = place.start_daemon(place.words())
    pid = wait_up(client)["process"]["pid"]
    assert is_there(pid)
    if number == signal.SIGKILL:
        place.daemon.kill()
    else:
        assert place.daemon.stop() == 0
        assert not is_there(pid), "it ends before the daemon does"
    wait_until(lambda: not is_there(pid), "its end")


EXPECT = [
    ({"idcodes": ["0x1ba00477"]}, f"no TAP has the IDCODE 0x1ba00477, there is {IDCODE}"),
    ({"command": "vb.cpu read_memory 0x08000000 32 1", "matches": "0x1?"}, '", not "0x1?"'),
    ({"command": "nobody here", "matches": "*"}, '"nobody here" fails: invalid command name "nobody"'),
]


def test_another_board_is_refused(make_daemon: Callable[..., Daemon], connect: Callable[..., Client], stack: Stack) -> None:
    """Before anything is changed, with what was expected and what is there; the expected one is taken."""
    before = stack.client().call("memory.read_u32", address=RAM_BASE)
    boards = [{"name": f"b{i}", "openocd": "127.0.0.1:%PORT%", "expect": each} for i, (each, _) in enumerate(EXPECT)]
    right = {"idcodes": [IDCODE], "command": "concat [target names] {a  b}", "matches": "vb.cpu a*b"}
    boards.append({"name": "right", "openocd": "127.0.0.1:%PORT%", "expect": right})
    client = connect(make_daemon(config=json.dumps({"boards": boards})))
    for i, (_, words) in enumerate(EXPECT):
        name = f"b{i}"
        problem = wait_until(lambda: client.call("board.status", board=name).get("problem"), "the refusal")
        assert problem["kind"] == "wrong_board" and words in problem["message"]
        change = {"address": RAM_BASE, "values": before["values"][0] ^ 1}
        error = client.fail("memory.write_u32", board=name, timeout_ms=20, **change)
        assert error.kind == "openocd_unavailable" and words in error.message, error.message
    assert client.call("memory.read_u32", address=RAM_BASE, board="right") == before
    assert "problem" not in client.call("board.status", board="right")


def test_another_board_behind_a_spawned_openocd(place: Place) -> None:
    """OpenOCD is started again and again, for only that reads the chain anew, until it is the right one."""
    place.start_board()
    config = place.directory / "board.cfg"
    config.write_text(VBOARD_CONFIG.read_text() + "\nset board 2\n")
    client = place.start_daemon(place.words(config=config), expect={"command": "set board", "matches": "1"})
    status = wait_problem(client, "wrong_board")
    assert 'not "1"' in status["problem"]["message"]
    config.write_text(VBOARD_CONFIG.read_text() + "\nset board 1\n")
    assert wait_up(client)["process"]["restarts"] >= 1


def test_hung_openocd_of_somebody_else_is_connected_to_anew(
    make_stack: Callable[..., Stack]
) -> None:
    config = '{"boards": [{"name": "b", "openocd": "127.0.0.1:%PORT%", "health_every_ms": 50, "health_limit_ms": 200}]}'
    own = make_stack(flash_size=8 * KIB, image=IMAGE, config=config)
    client = own.client()
    assert client.call("memory.read_u32", address=FLASH_BASE) == {"values": [FIRST]}
    client.call("events.subscribe", topics=["link"])
    os.kill(own.openocd.pid, signal.SIGSTOP)
    try:
        wait_event(client, "down", "nothing within 200 ms")
        read = client.send("memory.read_u32", address=FLASH_BASE)
        assert "process" not in client.call("board.status")
    finally:
        os.kill(own.openocd.pid, signal.SIGCONT)
    assert client.result(read) == {"values": [FIRST]}
    own.assert_alive()
