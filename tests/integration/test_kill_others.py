"""OpenOCD dies while others wait, as its client goes away, and again while it is connected to; and one that the daemon
itself starts anew."""

from __future__ import annotations

import os
import signal
from typing import Any, Iterator, List

import pytest

from change_kit import CHANGES, CHANGING, DATA, Change, fill, word
from harness.chosen import ALL_KILLS
from harness.client import Client
from harness.paths import VBOARD_WORKAREA_CONFIG
from harness.processes import Daemon
from harness.step_relay import ANSWERED, BEFORE
from harness.waiting import wait_until
from kill_rig import Rig, Whole, again, cut_off

BY_NAME = {each.name: each for each in CHANGES}
ADD = BY_NAME["command"]  # counts up: what is done twice is seen


@pytest.fixture(name="rig", scope="module")
def fixture_rig(tmp_path_factory: pytest.TempPathFactory, validator: Any) -> Iterator[Rig]:
    """Shared by the tests whose OpenOCD is somebody else's."""
    rig = Rig(tmp_path_factory.mktemp("others"), validator)
    yield rig
    rig.close()


def count(client: Client) -> int:
    """How often ADD was done since fill()."""
    return word(client, DATA) - 0xA5A5A5A5


def wait_queued(client: Client, queued: int) -> None:
    wait_until(lambda: client.call("board.status")["queued"] >= queued, f"{queued} to be queued")


@pytest.mark.parametrize("when, done", [(BEFORE, 0), (ANSWERED, 1)])
def test_changes_that_wait_are_done_once(rig: Rig, when: str, done: int) -> None:
    """Of three clients, OpenOCD dying over that of the first."""
    others = [Client(rig.daemon.address, rig.validator) for _ in range(2)]
    watcher = Client(rig.daemon.address, rig.validator)
    fill(rig.client)

    def kill() -> None:
        wait_queued(watcher, 3)
        rig.kill()

    rig.link.arm(0, when, kill, rig.restart, passes=ADD.passes)
    first = rig.client.send(ADD.method, **ADD.params)
    sent = [(each, each.send(ADD.method, **ADD.params)) for each in others]
    assert rig.client.error(first).kind == "outcome_unknown"
    for each, request in sent:
        assert each.result(request)["code"] == 0
    assert rig.link.disarm() and count(rig.client) == done + 2
    for each in (*others, watcher):
        assert not each.has_replies
        each.close()


def test_changes_wait_through_a_kill_at_each_step_of_the_handshake(rig: Rig) -> None:
    fill(rig.client)
    texts: List[str] = []
    for step in range(20):
        rig.link.arm(step, ANSWERED, rig.kill, rig.restart)
        rig.link.cut()
        reply = rig.client.reply(rig.client.send(ADD.method, **ADD.params))
        assert rig.link.disarm()
        texts.append(rig.link.texts()[rig.link.at or 0])
        if "error" in reply:
            break
        assert count(rig.client) == step + 1, texts[-1]
    assert "write_memory" in texts[-1] and len(texts) > 4
    assert reply["error"]["data"]["kind"] == "outcome_unknown" and count(rig.client) == len(texts)
    rig.client.call("target.state")


@pytest.mark.parametrize("when", [BEFORE, ANSWERED])
def test_client_that_goes_at_that_moment(rig: Rig, when: str) -> None:
    """What it had queued is not done; its lease waits for it; who comes next is served."""
    gone = Client(rig.daemon.address, rig.validator)
    fill(rig.client)
    lease = gone.call("lease.acquire", ttl_ms=60000)["lease"]

    def kill() -> None:
        wait_queued(rig.client, 2)
        gone.reset()
        rig.kill()

    rig.link.arm(0, when, kill, rig.restart, passes=ADD.passes)
    for _ in range(2):
        gone.send(ADD.method, **ADD.params)
    rig.link.wait_sprung()
    wait_until(lambda: rig.client.call("lease.status")["lease"]["state"] == "absent", "its client to be gone")
    assert rig.client.fail(ADD.method, **ADD.params).kind == "board_busy"
    done = count(rig.client)
    assert done == (1 if when == ANSWERED else 0)
    rig.client.call(ADD.method, **ADD.params, lease=lease)
    assert count(rig.client) == done + 1
    rig.client.call("lease.release", lease=lease)


@pytest.mark.parametrize("when", [BEFORE, ANSWERED])
def test_flash_write_whose_client_goes_at_that_moment(rig: Rig, when: str) -> None:
    """It ends like any other, for whoever asks, and the same one again mends the flash."""
    change = BY_NAME["write_image"]
    whole = Whole(rig, change)
    erase = next(i for i, text in enumerate(whole.texts) if "erase_sector" in text)
    whole.prepare(rig, change)
    gone = Client(rig.daemon.address, rig.validator)

    def kill() -> None:
        gone.reset()
        rig.kill()

    rig.link.arm(erase, when, kill, rig.restart, passes=change.passes)
    gone.send(change.method, **change.params)
    rig.link.wait_sprung()
    name = rig.client.call("operation.list")["operations"][-1]["operation"]
    ended = rig.client.call("operation.wait", operation=name)
    assert ended["state"] == "failed" and ended["error"]["data"]["kind"] == "outcome_unknown"
    assert ended["error"]["data"]["flash_state"] == "partial" and rig.pending() != []
    again(rig, change, whole, change.look(rig.client))


class SpawnRig(Rig):
    """Whose daemon starts OpenOCD. That says another port than its own, so that the relay is between them."""

    def start_daemon(self) -> None:
        """With a port that was free."""
        self.openocd.stop()
        self.probe.cut()
        script = self.directory / "openocd.sh"
        said = f"s/port {self.openocd.port} for tcl/port {self.link.port} for tcl/"
        script.write_text(
            f"#!/bin/bash\nexec openocd -c 'set VBOARD_PORT {self.probe.port}' -c 'tcl_port {self.openocd.port}' "
            f"-f '{VBOARD_WORKAREA_CONFIG}' > >(exec sed -u '{said}') 2>&1\n"
        )
        script.chmod(0o755)
        self.daemon = Daemon(
            ["--spawn", str(script), "--listen", "tcp:127.0.0.1:0", "--anonymous-role", "admin",
             "--state-dir", str(self.directory / "state")]
        )
        self.client = Client(self.daemon.address, self.validator)

    def kill(self) -> None:
        """The one that runs; `client` waits for its answer meanwhile."""
        with Client(self.daemon.address, self.validator) as other:
            os.kill(other.call("board.status")["process"]["pid"], signal.SIGKILL)

    def restart(self) -> None:
        """The daemon does."""

    def renew(self) -> None:
        """By starting the daemon anew, which also forgets that OpenOCD died."""
        self.restart_daemon()


@pytest.fixture(name="spawning", scope="module")
def fixture_spawning(tmp_path_factory: pytest.TempPathFactory, validator: Any) -> Iterator[SpawnRig]:
    """Shared by the tests whose OpenOCD is the daemon's."""
    rig = SpawnRig(tmp_path_factory.mktemp("spawning"), validator)
    yield rig
    rig.close()


SPAWNED = [each for each in CHANGES if ALL_KILLS or each.name in ("write_u32", "step", "erase_sector", "command")]


@pytest.mark.parametrize("change", SPAWNED, ids=str)
def test_spawned_openocd_killed_at_a_change(spawning: SpawnRig, change: Change) -> None:
    whole = Whole(spawning, change)
    last = max(i for i, text in enumerate(whole.texts) if CHANGING.search(text))
    for when in (BEFORE, ANSWERED) if ALL_KILLS else (ANSWERED,):
        assert cut_off(spawning, change, whole, last, when) == "outcome_unknown"
        process = spawning.client.call("board.status")["process"]
        assert process["restarts"] == 1 and process["last_end"]["signal"] == signal.SIGKILL
        spawning.renew()
