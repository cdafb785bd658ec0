"""Disks that are full, or fail in another way, at any one call that changes a file of the daemon: whoever caused that is
told, what he asks again succeeds, and what was acknowledged is on the disk.

One call of each kind, unless OCDMUX_KILLS is `all`: then all of them, each with every error.
"""

from __future__ import annotations

import base64
import errno
import os
import shutil
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from conftest import VALIDATOR
from control import MockControl
from daemon_life import AFTER_BYTES, BEFORE_BYTES, HOUR, IMAGE, MOMENTS, OFFSET, Ledger, check_after, moments_of, prepare
from daemon_place import Place, sha256
from harness.chosen import ALL_KILLS
from harness.client import RpcError
from harness.fault_shim import BEFORE, HALF, Call, shim_library
from harness.waiting import wait_until
from rig import FLASH, KIB, RAM

pytestmark = pytest.mark.both  # calls fail by a library that cannot be loaded beside ASan's

ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS]


@pytest.fixture(name="mock", scope="module")
def fixture_mock() -> Iterator[MockControl]:
    shim_library()
    with MockControl.start() as mock:
        yield mock


class Failing(Ledger):
    """A life in which one call fails, and whose end is a kill."""

    def end(self) -> None:
        assert self.place.daemon is not None
        self.place.daemon.kill()


@pytest.fixture(name="calls", scope="module")
def fixture_calls(mock: MockControl, tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, List[Call]]:
    """Those of a life without faults, and where that was."""
    prepare(mock)
    with Place(tmp_path_factory.mktemp("whole"), mock, VALIDATOR) as place:
        Failing(place).live()
        return place.directory, place.shim.trace()


def cases(calls: Tuple[Path, List[Call]]) -> List[Tuple[Call, int, int]]:
    """Which call fails, when, and with what."""
    chosen = [(call, moment) for call, moment in moments_of(calls[1], calls[0]) if moment in (BEFORE, HALF)]
    if ALL_KILLS:
        return [(call, moment, error) for call, moment in chosen for error in ERRORS]
    return [(call, moment, ERRORS[i % len(ERRORS)]) for i, (call, moment) in enumerate(chosen)]


def may_be_silent(call: Call, moment: int) -> bool:
    """Where nothing was lost: what is short is written on, and what was synced, or closed once, is closed."""
    return (moment == HALF and "/audit/" not in call.path) or call.name == "close"


def check_told(ledger: Ledger, call: Call, moment: int, error: int) -> None:
    """Who caused it learns of it in the system's words, or the log does where nothing that was asked failed."""
    daemon = ledger.place.daemon
    reason = os.strerror(errno.ENOSPC if moment == HALF else error)  # a short write does not say why
    assert len(ledger.errors) <= 1
    for each in ledger.errors:
        assert each.kind in ("stage_error", "internal_error") and reason in each.message, each
    logged = daemon is None or any(reason in line for line in daemon.log)
    assert ledger.errors or logged or may_be_silent(call, moment), "it was not told"


def test_one_call_fails(mock: MockControl, calls: Tuple[Path, List[Call]], tmp_path: Path) -> None:
    for i, (call, moment, error) in enumerate(cases(calls)):
        prepare(mock)
        mock.reset_counters()
        where = tmp_path / str(i)
        with Place(where, mock, VALIDATOR) as place:
            place.shim.fail(error, first=call.number, count=1, moment=moment)
            ledger = Failing(place, tries_again=True)
            ledger.record_stays = call.name == "unlink" and "/kept-" in call.path
            try:
                try:
                    ledger.live()
                except RuntimeError as reason:
                    assert ledger.at == "start" and os.strerror(error) in str(reason)
                check_told(ledger, call, moment, error)
                check_after(ledger)
            except (AssertionError, EOFError, RpcError, RuntimeError, TimeoutError) as reason:
                words = f"{os.strerror(error)} {MOMENTS[moment]} {call}, at {ledger.at}"
                raise AssertionError(f"{words}: {reason}") from reason
        shutil.rmtree(where)


# For as long as it lasts.


@pytest.fixture(name="place")
def fixture_place(mock: MockControl, tmp_path: Path) -> Iterator[Place]:
    """A daemon on a board that is idle and halted."""
    prepare(mock)
    mock.reset_counters()
    with Place(tmp_path / "place", mock, VALIDATOR) as place:
        place.start()
        client = place.client()
        wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")
        client.call("target.halt")
        yield place


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS])
def test_a_lease_that_cannot_be_written_down_says_so(place: Place, error: int) -> None:
    """It is good all the same; it is kept as soon as there is room."""
    client = place.client()
    place.shim.fail(error, match="/new")
    granted = client.call("lease.acquire", ttl_ms=HOUR, detach=True)
    assert granted["volatile"] is True
    assert client.call("lease.renew")["volatile"] is client.call("lease.status")["lease"]["volatile"] is True
    client.call("memory.write_u32", address=RAM, values=1)
    assert place.client().fail("memory.write_u32", address=RAM, values=2).kind == "board_busy"
    place.shim.reset()
    wait_until(lambda: "volatile" not in client.call("board.status")["lease"], "the lease to be written down")
    assert place.daemon is not None
    assert any("is right again" in line for line in place.daemon.log)
    place.daemon.kill()
    place.start()
    assert place.client().call("lease.status", lease=granted["lease"])["yours"]


def test_nothing_is_erased_whose_bytes_cannot_be_kept(place: Place, mock: MockControl) -> None:
    client = place.client()
    params = {"data": base64.b64encode(IMAGE).decode(), "address": FLASH + OFFSET}
    for error in ERRORS:
        place.shim.fail(error, match="/new")
        refused = client.fail("flash.write_image", **params)
        assert refused.kind == "stage_error" and os.strerror(error) in refused.message
        assert "nothing was erased" in refused.message and refused.data["flash_state"] == "unchanged"
    assert mock.peek(FLASH, len(BEFORE_BYTES)) == BEFORE_BYTES
    assert not any("erase_sector" in script for script in mock.scripts())
    assert client.call("board.status")["pending_repairs"] == [] and place.board_files() == {}
    place.shim.reset()
    client.call("flash.write_image", **params)
    assert mock.peek(FLASH, len(AFTER_BYTES)) == AFTER_BYTES


def test_a_dump_without_room_leaves_nothing(place: Place, mock: MockControl) -> None:
    client = place.client()
    (place.directory / "dumps" / "a.bin").write_bytes(b"the old one")
    for error in ERRORS:
        for match in ("open", "write", "rename"):
            place.shim.fail(error, match=match + " " + str(place.directory / "dumps")[: 79 - len(match)])
            refused = client.fail("memory.dump", path="a.bin", address=FLASH, size=2 * KIB)
            assert refused.kind == "stage_error" and os.strerror(error) in refused.message
            wait_until(lambda: len(place.left("dumps")) == 1, "the part to go")
            assert place.left("dumps")[0].read_bytes() == b"the old one"
    place.shim.reset()
    client.call("memory.dump", path="a.bin", address=FLASH, size=2 * KIB)
    assert (place.directory / "dumps" / "a.bin").read_bytes() == mock.peek(FLASH, 2 * KIB)


def test_nothing_is_changed_that_cannot_be_written_down(place: Place, mock: MockControl) -> None:
    """And how much is missing is said when there is room again."""
    client = place.client()
    for error in ERRORS:
        place.shim.fail(error, match="write " + str(place.audit_path)[:70])
        refused = client.fail("memory.write_u32", address=RAM, values=1)
        assert refused.kind == "internal_error" and os.strerror(error) in refused.message
        assert client.call("memory.read_u32", address=RAM)["values"] == [0]
    place.shim.reset()
    client.call("memory.write_u32", address=RAM, values=1)
    *_, gap, begun, ended = [line or {} for line in place.audit_lines()]
    assert gap["event"] == "gap" and gap["lines"] == 2 * len(ERRORS)
    assert (begun["event"], ended["event"]) == ("begun", "ended")


def test_an_upload_without_room_goes_on_when_there_is(place: Place) -> None:
    client = place.client()
    stage = client.call("stage.create", name="x", size=len(IMAGE), sha256=sha256(IMAGE))["stage"]
    client.call("stage.write", stage=stage, offset=0, data=base64.b64encode(IMAGE[:100]).decode())
    rest = base64.b64encode(IMAGE[100:]).decode()
    for error in ERRORS:
        for name in ("write", "close"):
            place.shim.fail(error, match=f"{name} ")
            refused = client.fail("stage.write", stage=stage, offset=100, data=rest)
            assert refused.kind == "stage_error" and os.strerror(error) in refused.message
            again = client.call("stage.create", name="x", size=len(IMAGE), sha256=sha256(IMAGE))
            assert (again["stage"], again["offset"]) == (stage, 100)
    place.shim.reset()
    client.call("stage.write", stage=stage, offset=100, data=rest)
    got = client.call("stage.read", stage=stage, offset=0, size=len(IMAGE))
    assert base64.b64decode(got["data"]) == IMAGE
