"""The link to OpenOCD stalls, or the board behind OpenOCD is unplugged, at steps of every method that changes the
board: the error says what is known, with OpenOCD's own words, and when the cause goes away all goes on.

By default at a change of each; OCDMUX_KILLS=all takes first, middle and last steps, and all methods.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

import pytest

from change_kit import CHANGES, CHANGING, Change, Cut
from harness.chosen import ALL_KILLS
from harness.client import RpcError
from harness.stack import RAM_BASE
from harness.step_relay import ANSWERED, BEFORE
from harness.waiting import wait_until
from kill_rig import Rig, Whole, again, check_kept

CHOSEN = [each for each in CHANGES if ALL_KILLS or not each.twin]
# With flash OpenOCD itself takes its time until it gives up.
FAST = ("write_bytes", "reset_run", "step", "register", "breakpoint_add", "erase_all", "command")
UNPLUGGED = [each for each in CHOSEN if ALL_KILLS or each.name in FAST]
WAIT_MS = 150


@pytest.fixture(name="rig", scope="module")
def fixture_rig(tmp_path_factory: pytest.TempPathFactory, validator: Any) -> Iterator[Rig]:
    """Shared by all tests here."""
    rig = Rig(tmp_path_factory.mktemp("cut"), validator, health_every_ms=50)
    yield rig
    rig.close()


@pytest.fixture(name="whole", scope="module")
def fixture_whole() -> Dict[str, Whole]:
    """What each change is when nothing happens, as far as it was looked at."""
    return {}


def whole_of(rig: Rig, whole: Dict[str, Whole], change: Change) -> Whole:
    """Looks at it once."""
    if change.name not in whole:
        whole[change.name] = Whole(rig, change)
    return whole[change.name]


def steps_of(whole: Whole) -> List[int]:
    """Where it is cut."""
    changes = [i for i, text in enumerate(whole.texts) if CHANGING.search(text)]
    more = {0, changes[0], len(whole.texts) // 2, len(whole.texts) - 1}
    return sorted({changes[-1]} | (more if ALL_KILLS else set()))


def check_truth(rig: Rig, change: Change, whole: Whole, error: RpcError, found: Any) -> None:
    """What it says of what was done is so."""
    if error.data.get("flash_state") == "unchanged":
        assert found == whole.before
    if found not in (whole.before, whole.after):
        change.between(Cut(whole.before, whole.after, found, error, False))
    if change.method.startswith("flash.write"):
        check_kept(rig, whole, found)


def count_changes(texts: List[str]) -> int:
    """How many of these commands change the board."""
    return sum(CHANGING.search(text) is not None for text in texts)


def stall(rig: Rig, change: Change, whole: Whole, step: int, when: str) -> None:
    """One case: until the time limit of the call has passed, and what was held goes on then."""
    whole.prepare(rig, change)
    rig.link.arm(step, when, rig.link.stall, passes=change.passes)
    try:
        request = rig.client.send(change.method, **change.params, timeout_ms=WAIT_MS + whole.took_ms)
        reply = rig.client.reply(request)
    finally:  # in this order: what OpenOCD is asked behind the reply must not spring the trap and stay held
        stalled = rig.link.disarm()
        rig.link.flow()
    found = change.look(rig.client)
    assert not rig.client.has_replies
    if "result" in reply:  # it took fewer steps this time
        assert not stalled and found == whole.after
        return
    error = RpcError(reply["error"])
    texts = rig.link.texts()
    assert count_changes(texts) <= count_changes(whole.texts)
    if stalled and CHANGING.search(texts[step]):
        assert error.kind == "outcome_unknown", error.message
    assert error.kind in ("outcome_unknown", "timeout")
    if count_changes(texts) == 0:
        assert found == whole.before
    check_truth(rig, change, whole, error, found)
    again(rig, change, whole, found)


@pytest.mark.parametrize("change", CHOSEN, ids=str)
def test_link_that_stalls(rig: Rig, whole: Dict[str, Whole], change: Change) -> None:
    known = whole_of(rig, whole, change)
    for step in steps_of(known):
        for when in (BEFORE, ANSWERED) if ALL_KILLS else (ANSWERED,):
            stall(rig, change, known, step, when)


def unplug(rig: Rig, change: Change, whole: Whole, step: int) -> None:
    """One case."""
    rig.renew()
    rig.client.call("target.reset", mode="halt")
    whole.prepare(rig, change)
    rig.link.arm(step, BEFORE, rig.unplug, passes=change.passes)
    try:
        reply = rig.client.reply(rig.client.send(change.method, **change.params))
    finally:
        rig.plug()
    came = rig.link.disarm()
    wait_until(lambda: answers(rig), "the board")
    found = change.look(rig.client)
    if change.method == "openocd.command":
        assert reply["result"]["code"] == 1 and "STICKY ERROR" in reply["result"]["log"] and found == whole.before
        return
    if "result" in reply:  # it was done before, and OpenOCD knows the rest itself; or the moment did not come
        assert not came or CHANGING.search(rig.link.texts()[step]) is None
        assert found == whole.after
        return
    error = RpcError(reply["error"])
    assert error.kind in ("target_error", "target_not_halted", "flash_error"), error.message
    assert "openocd" in error.data or "unknown" in error.message, "OpenOCD's own words"
    check_truth(rig, change, whole, error, found)
    again(rig, change, whole, found)


def answers(rig: Rig) -> bool:
    """Whether OpenOCD knows the board again. What asks all the time must not keep it from being found."""
    reply = rig.client.reply(rig.client.send("memory.read_u32", address=RAM_BASE))
    return "result" in reply and rig.client.call("target.state")["state"] in ("halted", "running")


@pytest.mark.parametrize("change", UNPLUGGED, ids=str)
def test_board_that_is_unplugged(rig: Rig, whole: Dict[str, Whole], change: Change) -> None:
    known = whole_of(rig, whole, change)
    for step in steps_of(known):
        unplug(rig, change, known, step)
