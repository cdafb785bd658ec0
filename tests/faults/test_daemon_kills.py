"""The daemon killed before, in the middle of and behind each call that changes its files, or told to end there: what was
acknowledged is there when it starts again, nothing else is, and nothing is done twice.

A few of the moments, one of each kind, unless OCDMUX_KILLS is `all`: then all of them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from conftest import VALIDATOR
from control import MockControl
from daemon_life import MOMENTS, Ledger, check_after, live_until_killed, moments_of, prepare
from daemon_place import Place
from harness.client import RpcError
from harness.fault_shim import AFTER, BEFORE, Call, shim_library
from harness.waiting import wait_until

pytestmark = pytest.mark.both  # the daemon's calls are counted by a library that cannot be loaded beside ASan's

@pytest.fixture(name="mock", scope="module")
def fixture_mock() -> Iterator[MockControl]:
    """One for all; the board outlives its daemons."""
    shim_library()
    with MockControl.start() as mock:
        yield mock


@pytest.fixture(name="calls", scope="module")
def fixture_calls(mock: MockControl, tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, List[Call]]:
    """Those of a life without faults, and where that was."""
    prepare(mock)
    with Place(tmp_path_factory.mktemp("whole"), mock, VALIDATOR) as place:
        whole = Ledger(place)
        whole.live()
        assert whole.done[-1] == "stop"
        calls = place.shim.trace()
        check_after(whole)
        return place.directory, calls


def test_killed_at_each_call_that_changes_a_file(
    mock: MockControl, calls: Tuple[Path, List[Call]], tmp_path: Path
) -> None:
    chosen = moments_of(calls[1], calls[0])
    hit: Dict[str, int] = {}
    for i, (call, moment) in enumerate(chosen):
        prepare(mock)
        mock.reset_counters()
        where = tmp_path / str(i)
        with Place(where, mock, VALIDATOR) as place:
            place.shim.kill_at(call.number, moment)
            ledger = Ledger(place)
            live_until_killed(ledger)
            hit[ledger.at] = hit.get(ledger.at, 0) + place.shim.killed
            try:
                check_after(ledger)
            except (AssertionError, EOFError, RpcError, RuntimeError, TimeoutError) as reason:
                raise AssertionError(f"killed {MOMENTS[moment]} {call}, at {ledger.at}: {reason}") from reason
        shutil.rmtree(where)
    print(f"{len(chosen)} kills at {len(calls[1])} calls: {hit}")
    assert sum(hit.values()) >= len(chosen) * 9 // 10
    assert set(hit) >= {"start", "acquire", "release", "flash", "dump", "stop"}


def test_told_to_end_at_each_call_that_changes_a_file(
    mock: MockControl, calls: Tuple[Path, List[Call]], tmp_path: Path
) -> None:
    """With status 0, and nothing left but what is to be kept."""
    chosen = [call for call, moment in moments_of(calls[1], calls[0]) if moment == BEFORE]
    for i, call in enumerate(chosen):
        prepare(mock)
        mock.reset_counters()
        where = tmp_path / str(i)
        with Place(where, mock, VALIDATOR) as place:
            place.shim.terminate_at(call.number)
            ledger = Ledger(place)
            live_until_killed(ledger)
            try:
                assert place.daemon is None or place.daemon.wait() == 0
                assert place.left("stages") == place.left("shares") == []
                assert not any(path.name.startswith(".") for path in place.left("dumps"))
                assert set(place.board_files()) <= {"lease", "kept-8000000-0", "kept-8000000-400"}
                check_after(ledger)
            except (AssertionError, EOFError, RpcError, RuntimeError, TimeoutError) as reason:
                raise AssertionError(f"told to end at {call}, at {ledger.at}: {reason}") from reason
        shutil.rmtree(where)


def first_life(mock: MockControl, place: Place) -> Ledger:
    """Killed right behind the first record of kept bytes, with a lease, a stage, files for OpenOCD and a line of the audit
    that was cut off."""
    prepare(mock)
    mock.reset_counters()
    place.shim.reset("/kept-")
    place.shim.kill_at(1, AFTER)
    ledger = Ledger(place)
    live_until_killed(ledger)
    assert ledger.at == "flash" and set(place.board_files()) == {"lease", "kept-8000000-0"}
    (board,) = place.left("state")
    (board / "new").write_bytes(b"half of somethi")
    with place.audit_path.open("ab") as audit:
        audit.write(b'{"time":"20')
    return ledger


def restart(ledger: Ledger) -> None:
    """A life in which nothing is asked but whether it works."""
    place = ledger.place
    place.shim.reset()
    try:
        daemon = place.start()
        client = place.client()
        wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")
        daemon.stop()
    except (EOFError, OSError, RuntimeError, AssertionError) as reason:
        assert place.shim.killed, reason
    wait_until(lambda: place.daemon is None or not place.daemon.alive, "the end of the daemon")


def test_killed_while_it_takes_up_what_another_left(mock: MockControl, tmp_path: Path) -> None:
    """And while it ends."""
    where, saved = tmp_path / "place", tmp_path / "saved"
    with Place(where, mock, VALIDATOR) as place:
        ledger = first_life(mock, place)
    shutil.copytree(where, saved)
    with Place(where, mock, VALIDATOR) as place:
        ledger.place = place
        restart(ledger)
        calls = place.shim.trace()
        check_after(ledger)
    assert {call.name for call in calls} >= {"unlink", "rename", "fsync", "write", "open", "mkdir"}
    for call, moment in moments_of(calls, where):
        shutil.rmtree(where)
        shutil.copytree(saved, where)
        prepare(mock)
        mock.reset_counters()
        with Place(where, mock, VALIDATOR) as place:
            ledger.place = place
            place.shim.kill_at(call.number, moment)
            restart(ledger)
            try:
                check_after(ledger)
            except (AssertionError, EOFError, RpcError, RuntimeError, TimeoutError) as reason:
                raise AssertionError(f"killed {MOMENTS[moment]} {call}: {reason}") from reason
