"""OpenOCD, the daemon or the link between them gone in the middle of programming: nothing is ever lost.

The moments are picked by the bytes on the probe, so that they fall anywhere, also within a command, and by the
commands on the link.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from flash_bank import SECTOR, Bank
from flash_images import Segments, overlay, params, segments
from harness.client import Client, RpcError
from harness.paths import VBOARD_CONFIG, VBOARD_WORKAREA_CONFIG
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from harness.waiting import wait_until

SIZE = 8 * KIB
# Segments that begin and end in the middle of sectors: one sector with three, one that is whole, one byte alone.
PLACES = [(300, 101), (500, 77), (900, SECTOR + 300), (6 * SECTOR + 1, 1)]
SMALL_PLACES = [(300, 51), (900, 201)]
MOMENTS = 20
SLOW_MOMENTS = 6


class Kills:
    """A stack of which anything may be killed, what its flash should hold, and how long a write takes."""

    def __init__(self, stack: Stack, places: List[Tuple[int, int]]) -> None:
        self.stack = stack
        self.bank = Bank(stack)
        self.places = places
        self.client: Client = self.bank.client
        self.seed = 0
        self.hit = 0
        self.found = b""  # what the flash held when it was last looked at
        self.write()  # the first one halts, probes and learns
        image = self.image()
        before = stack.probe.passed
        self.client.call("flash.write_image", **params(image))
        self.found = bytes(self.bank.content)
        self.bytes = stack.probe.passed - before

    def image(self, places: Optional[List[Tuple[int, int]]] = None) -> Segments:
        """A new one, which the flash is to hold from now on."""
        self.seed += 1
        made = segments(places if places is not None else self.places, self.seed)
        overlay(self.bank.content, made)
        return made

    def write(self, image: Optional[Segments] = None, **more: Any) -> Dict[str, Any]:
        """Writes it to its end; then all must be well."""
        image = image if image is not None else self.image()
        result = self.client.call("flash.write_image", **params(image, **more))
        self.bank.check()
        self.found = bytes(self.bank.content)
        assert self.pending() == []
        return result

    def pending(self) -> List[int]:
        """The sectors of which the daemon keeps bytes."""
        found = self.client.call("board.status")["pending_repairs"]
        assert all((each["bank"], each["size"]) == ("vb.flash", SECTOR) for each in found)
        return sorted(each["offset"] // SECTOR for each in found)

    def erased(self) -> int:
        """How often a sector was erased since power-on."""
        return sum("flash: erase page" in line for line in list(self.stack.vboard.log))

    def check_lost(self, image: Segments, reply: Optional[Dict[str, Any]]) -> None:
        """Behind a write that was cut off, everything running again: what is wrong beside the image is kept, and nobody
        tries again unasked."""
        erased = self.erased()
        pending = self.pending()
        before, self.found = self.found, self.bank.read()
        found = self.found
        beside = bytearray(found)
        overlay(beside, image)
        damaged = {i // SECTOR for i in range(SIZE) if beside[i] != self.bank.content[i]}
        assert damaged <= set(pending), "bytes beside the image are lost"
        assert set(pending) <= {at // SECTOR for offset, data in image for at in range(offset, offset + len(data))}
        if reply is not None:
            error = RpcError(reply["error"])
            assert error.kind == "outcome_unknown", error.message
            assert error.data["flash_state"] == "partial" or found == before
            assert error.data["flash_state"] == "unchanged" or self.stack.link.seen("flash erase_sector")
            record = self.client.call("operation.status", operation=error.data["operation"])
            assert record["state"] == "failed" and record["error"]["data"]["kind"] == "outcome_unknown"
        assert self.client.call("board.status")["queued"] == 0
        assert self.erased() == erased

    def cut_off_by_openocd(self, image: Segments, share: float) -> bool:
        """Kills OpenOCD when that share of a write's traffic has been on the probe; False: the write was over."""
        stack = self.stack
        stack.link.commands.clear()
        stack.probe.trap_bytes(int(self.bytes * share), stack.openocd.kill, cut=True)
        request = self.client.send("flash.write_image", **params(image))
        stack.probe.wait_sprung()
        stack.restart_openocd()
        reply = self.client.reply(request)
        if "result" in reply:
            return False
        self.check_lost(image, reply)
        return True

    def cut_off_by_daemon(self, image: Segments, share: float) -> bool:
        """The same with the daemon. OpenOCD finishes the command that it was at."""
        stack = self.stack
        stack.probe.trap_bytes(int(self.bytes * share), stack.daemon.kill)
        request = self.client.send("flash.write_image", **params(image))
        stack.probe.wait_sprung()
        self.client.wait_end()
        over = self.client.has_replies
        if over:
            self.client.result(request)
        stack.restart_daemon()
        self.connect()
        if not over:
            self.check_lost(image, None)
        return not over

    def connect(self) -> None:
        """A new connection to the daemon."""
        self.client = self.bank.client = self.stack.client()


def start(directory: Path, validator: Any, config: Path) -> Stack:
    """A stack with relays, whose daemon keeps its state across restarts."""
    (directory / "state").mkdir(mode=0o700)
    return Stack(
        directory, validator, flash_size=SIZE, image=make_image(SIZE), vboard_flags=["--verbose"], relays=True,
        openocd_config=config, daemon_flags=["--anonymous-role", "admin", "--state-dir", str(directory / "state")],
    )


@pytest.fixture(name="kills", scope="module")
def fixture_kills(tmp_path_factory: pytest.TempPathFactory, validator: Any) -> Iterator[Kills]:
    """With a work area."""
    with start(tmp_path_factory.mktemp("kills"), validator, VBOARD_WORKAREA_CONFIG) as stack:
        yield Kills(stack, PLACES)


@pytest.fixture(name="slow", scope="module")
def fixture_slow(tmp_path_factory: pytest.TempPathFactory, validator: Any) -> Iterator[Kills]:
    """Without one, and a small image."""
    with start(tmp_path_factory.mktemp("slow"), validator, VBOARD_CONFIG) as stack:
        yield Kills(stack, SMALL_PLACES)


CutOff = Callable[[Kills, Segments, float], bool]
VICTIMS: Dict[str, CutOff] = {"openocd": Kills.cut_off_by_openocd, "daemon": Kills.cut_off_by_daemon}


def cut_off_again_and_again(kills: Kills, victim: str, moments: int) -> None:
    """Every other time the try that should mend it is the next to be cut off, with other bytes for the same places."""
    hit = 0
    for moment in range(moments):
        image = kills.image()
        hit += VICTIMS[victim](kills, image, (moment + 0.5) / moments)
        if moment % 2 == 1:
            kills.write(image)
    assert hit >= moments * 3 // 4


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_at_any_moment(kills: Kills, victim: str) -> None:
    cut_off_again_and_again(kills, victim, MOMENTS)


@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_at_any_moment_without_a_work_area(slow: Kills, victim: str) -> None:
    cut_off_again_and_again(slow, victim, SLOW_MOMENTS)


def cut_at(kills: Kills, image: Segments, pattern: str, when: str) -> RpcError:
    """A write whose link is lost at that command, OpenOCD itself being well; its error."""
    kills.stack.link.trap_command(pattern, lambda: None, when)
    request = kills.client.send("flash.write_image", **params(image))
    kills.stack.link.wait_sprung()
    error = kills.client.error(request)
    assert error.kind == "outcome_unknown" and error.data["flash_state"] == "partial"
    assert "since" in kills.client.call("board.status")["pending_repairs"][0]
    return error


@pytest.mark.parametrize(
    "pattern, when",
    [("flash erase_sector", "before"), ("flash erase_sector", "sent"), ("flash erase_sector", "answered"),
     ("flash write_bank", "before"), ("flash write_bank", "sent"), ("flash write_bank", "answered")],
)
def test_link_lost_at(kills: Kills, pattern: str, when: str) -> None:
    image = kills.image([(300, 200)])
    cut_at(kills, image, pattern, when)
    assert kills.pending() == [0]
    result = kills.write(image)
    assert result["repaired_bytes"] == SECTOR - 200 and result["sectors_erased"] == 1


def test_lost_during_the_second_try(kills: Kills) -> None:
    """What was kept is taken from the record, not from the flash, which has lost it."""
    image = kills.image([(300, 200)])
    for pattern, when in (("erase_sector", "answered"), ("erase_sector", "answered"), ("write_bank", "before")):
        cut_at(kills, image, pattern, when)
    kills.stack.daemon.kill()
    kills.stack.restart_daemon()
    kills.connect()
    assert kills.pending() == [0]
    assert kills.write(image)["repaired_bytes"] == SECTOR - 200


def test_another_image_in_the_same_sector(kills: Kills) -> None:
    """What the first one would have written is lost; all other bytes around the second come back."""
    first = kills.image([(300, 200)])
    cut_at(kills, first, "flash erase_sector", "answered")
    second = kills.image([(100, 300)])
    kills.bank.content[400:500] = b"\xff" * 100
    assert kills.write(second)["repaired_bytes"] == SECTOR - 400


def test_two_images_of_which_the_second_is_lost_too(kills: Kills) -> None:
    """The bytes that only the first one left alone are still there for it."""
    before = bytes(kills.bank.content)
    first = kills.image([(300, 200)])
    cut_at(kills, first, "flash erase_sector", "answered")
    second = kills.image([(100, 300)])
    cut_at(kills, second, "flash erase_sector", "answered")
    kills.bank.content[:] = before
    overlay(kills.bank.content, first)
    kills.write(first)


def test_an_image_elsewhere_leaves_the_record(kills: Kills) -> None:
    image = kills.image([(300, 200)])
    cut_at(kills, image, "flash erase_sector", "answered")
    kills.client.call("flash.write_image", **params(kills.image([(3 * SECTOR, 100)])))
    assert kills.pending() == [0]
    kills.write(image)


@pytest.mark.parametrize(
    "method, more", [("flash.erase_sector", {"first": 0, "last": 1}), ("flash.erase_all", {})], ids=["sector", "all"]
)
def test_erasing_forgets_the_record(kills: Kills, method: str, more: Dict[str, int]) -> None:
    cut_at(kills, kills.image([(300, 200), (SECTOR + 100, 10)]), "flash erase_sector", "answered")
    assert kills.pending() == [0]
    kills.client.call("target.halt")
    kills.client.call(method, **more)
    assert kills.pending() == []
    kills.bank.content[: 2 * SECTOR if more else SIZE] = b"\xff" * (2 * SECTOR if more else SIZE)
    assert kills.write(kills.image([(10, 10)]))["repaired_bytes"] == 0


def test_cancelled_before_the_erase_keeps_no_record(kills: Kills) -> None:
    """A sector that was not erased needs no repair; what others put there until the next write must stay."""
    before = bytes(kills.bank.content)
    image = kills.image([(300, 200)])
    other = kills.stack.client()

    def cancel() -> None:
        operation = other.call("board.status")["running"]["operation"]
        assert other.call("operation.cancel", operation=operation) == {"found": True}

    kills.stack.link.trap_command("flash read_bank", cancel, cut=False)
    error = kills.client.fail("flash.write_image", **params(image))
    assert kills.stack.link.sprung and error.kind == "cancelled" and error.data["flash_state"] == "unchanged"
    assert kills.pending() == []
    kills.bank.content[:] = before
    kills.bank.check()
