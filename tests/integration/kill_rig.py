"""A stack in which OpenOCD, the link to it and the board behind it can be taken away at a picked command."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List

from change_kit import CHANGING, FLASH_SIZE, IMAGE, Change, Cut
from flash_bank import SECTOR
from harness.client import Client, RpcError
from harness.paths import VBOARD_WORKAREA_CONFIG
from harness.processes import Daemon, OpenOcd, Vboard
from harness.stack import RAM_BASE
from harness.step_relay import BEFORE, WITHIN, Chain, StepRelay

Json = Dict[str, Any]
NOT_REACHED = "not reached"
_NEVER = 1 << 30


class Rig:
    """A board that outlives its OpenOCD, with relays before and behind that."""

    def __init__(self, directory: Path, validator: Any, **members: Any) -> None:
        """`members` are further ones of the board in the daemon's configuration."""
        self.members = members
        (directory / "image.bin").write_bytes(IMAGE)
        (directory / "state").mkdir(mode=0o700)
        flags = ["--flash-size", str(FLASH_SIZE), "--image", str(directory / "image.bin"), "--verbose"]
        self.board = Vboard(directory, flags)
        self.probe = Chain(self.board.port)
        self.openocd = self.start_openocd()
        self.link = StepRelay(self.openocd.port, self.probe)
        self.directory = directory
        self.validator = validator
        self.start_daemon()

    def start_daemon(self) -> None:
        """And a connection to it."""
        config = {"boards": [{"name": "b", "openocd": f"127.0.0.1:{self.link.port}", **self.members}]}
        (self.directory / "ocdmuxd.json").write_text(json.dumps(config))
        self.daemon = Daemon(
            ["--config", str(self.directory / "ocdmuxd.json"), "--listen", "tcp:127.0.0.1:0",
             "--anonymous-role", "admin", "--state-dir", str(self.directory / "state")]
        )
        self.client = Client(self.daemon.address, self.validator)

    def restart_daemon(self) -> None:
        """It has learned nothing."""
        self.stop_daemon()
        self.start_daemon()

    def stop_daemon(self) -> None:
        """It must have survived it all."""
        self.client.close()
        assert self.daemon.alive
        self.daemon.stop()

    def start_openocd(self) -> OpenOcd:
        """Another one, on a port of its own."""
        return OpenOcd(self.probe.port, config=VBOARD_WORKAREA_CONFIG)

    def kill(self) -> None:
        """OpenOCD dies."""
        self.openocd.kill()

    def restart(self) -> None:
        """And comes back."""
        self.openocd = self.start_openocd()
        self.link.upstream_port = self.openocd.port

    def renew(self) -> None:
        """Another OpenOCD, of which the daemon knows nothing yet."""
        self.kill()
        self.link.cut()
        self.probe.cut()
        self.restart()
        self.client.call("target.state")

    def unplug(self) -> None:
        """The board does not answer OpenOCD any more."""
        self.probe.dead = True

    def plug(self) -> None:
        """It does again, as it was."""
        self.probe.dead = False

    def resets(self) -> int:
        """How often the board was reset."""
        return sum("system reset" in line for line in list(self.board.log))

    def pending(self) -> List[int]:
        """The sectors of which the daemon keeps bytes."""
        return sorted(each["offset"] // SECTOR for each in self.client.call("board.status")["pending_repairs"])

    def close(self) -> None:
        """Ends everything."""
        self.stop_daemon()
        self.link.close()
        self.openocd.stop()
        self.probe.close()
        self.board.stop()


class Whole:
    """What a call does that nobody cuts off."""

    def __init__(self, rig: Rig, change: Change) -> None:
        rig.renew()
        self.after: Any = None
        self.before: Any = None
        self.prepare(rig, change)
        rig.link.arm(_NEVER, BEFORE, rig.kill, passes=change.passes)
        began = time.monotonic()
        rig.client.call(change.method, **change.params)
        self.took_ms = int((time.monotonic() - began) * 3000)
        rig.link.disarm()
        self.texts = rig.link.texts()
        marks = [*rig.link.marks, rig.probe.passed]
        self.probe_bytes = [after - before for before, after in zip(marks, marks[1:])]
        self.after = change.look(rig.client)
        assert self.texts and any(CHANGING.search(text) for text in self.texts), self.texts

    def prepare(self, rig: Rig, change: Change) -> None:
        """The board is as it was for the first."""
        if change.fresh:
            rig.restart_daemon()
        change.prepare(rig.client)
        before = change.look(rig.client)
        if change.follows:
            self.after = change.follows(before)
        else:
            assert self.before in (None, before)
        self.before = before


def check_sent(rig: Rig, whole: Whole) -> bool:
    """Behind the trap nothing changes the board, if anything before it could have; whether anything could."""
    at = rig.link.at
    assert at is not None
    texts = rig.link.texts()
    before = [text for text in texts[: at + 1] if CHANGING.search(text)]
    behind = [text for text in texts[at + 1 :] if CHANGING.search(text)]
    assert not (before and behind), f"sent again: {[text[-200:] for text in behind]}"
    assert not Counter(before + behind) - Counter(text for text in whole.texts if CHANGING.search(text))
    return bool(before)


def check_error(rig: Rig, change: Change, whole: Whole, error: RpcError, found: Any, when: str) -> None:
    """It says what it may, and what it says is true."""
    changed = check_sent(rig, whole)
    right = ("outcome_unknown",) if changed else ("openocd_unavailable", *change.kinds)
    assert error.kind in right, error.message
    if error.kind == "openocd_unavailable" or error.data.get("flash_state") == "unchanged":
        assert found == whole.before
    if error.kind == "outcome_unknown":
        change.between(Cut(whole.before, whole.after, found, error, when == WITHIN))
        assert error.message.endswith("what was done of it is not known")
    if "operation" in error.data:
        record = rig.client.call("operation.status", operation=error.data["operation"])
        assert record["state"] == "failed" and record["error"]["data"]["kind"] == error.kind


def check_kept(rig: Rig, whole: Whole, found: bytes) -> None:
    """What a flash write would not have changed and is not there any more is kept."""
    lost = [i for i in range(FLASH_SIZE) if found[i] != whole.before[i] and whole.before[i] == whole.after[i]]
    assert {i // SECTOR for i in lost} <= set(rig.pending()), "bytes beside the image are lost"


def again(rig: Rig, change: Change, whole: Whole, found: Any) -> None:
    """The same call, to its end."""
    if change.method == "breakpoint.remove" and found == whole.after:
        return
    if change.method == "breakpoint.remove" and not found:
        assert rig.client.fail(change.method, **change.params).kind == "not_found", "OpenOCD's list ended with it"
        return
    if change.method.startswith("flash.") or change.method == "target.resume":
        rig.client.call("target.halt")  # it may run: as the call wanted, or in OpenOCD's loader
    if not (change.method == "breakpoint.add" and found == whole.after):
        call_again(rig, change, {**change.params, "erase": True} if change.method == "flash.write" else change.params)
    wanted = change.follows(found) if change.follows else whole.after
    assert change.look(rig.client) == wanted
    assert rig.pending() == []


def call_again(rig: Rig, change: Change, params: Json) -> None:
    """Flash that got half of the key to its lock stays locked until a reset."""
    try:
        rig.client.call(change.method, **params)
    except RpcError as error:
        assert error.kind == "flash_error" and "Failed to write memory at 0x40022004" in error.data["openocd"]["text"]
        rig.client.call("target.reset", mode="halt")
        rig.client.call(change.method, **params)


def cut_off(rig: Rig, change: Change, whole: Whole, step: int, when: str) -> str:
    """One case; the kind of the error, or "done", or that the moment did not come."""
    whole.prepare(rig, change)
    resets = rig.resets()
    rig.link.arm(
        step, when, rig.kill, rig.restart, probe_bytes=whole.probe_bytes[step] // 2, passes=change.passes
    )
    reply = rig.client.reply(rig.client.send(change.method, **change.params))
    if not rig.link.disarm():
        assert "result" in reply and change.look(rig.client) == whole.after
        return NOT_REACHED
    found = change.look(rig.client)
    assert rig.resets() <= resets + 1 and not rig.client.has_replies
    kind = "done"
    if "result" in reply:
        check_sent(rig, whole)
        assert found == whole.after
    else:
        kind = reply["error"]["data"]["kind"]
        check_error(rig, change, whole, RpcError(reply["error"]), found, when)
    if change.method.startswith("flash.write"):
        check_kept(rig, whole, found)
    rig.client.call("memory.write_u32", address=RAM_BASE + 0x4000, values=step)
    again(rig, change, whole, found)
    return kind
