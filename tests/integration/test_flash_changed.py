"""mode `changed`: only what differs is erased and programmed; what result and progress say of it is true."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from flash_bank import SECTOR, Bank, encode, noise
from flash_images import Segments, overlay, params, segments
from harness.client import Client
from harness.paths import VBOARD_CONFIG, VBOARD_WORKAREA_CONFIG
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from harness.waiting import LIMIT_S
from protocol_check import Validator

SIZE = 16 * KIB
SEVERAL = [(100, 50), (SECTOR + 7, 2 * SECTOR), (6 * SECTOR, SECTOR), (12 * SECTOR - 1, 2)]


class Counted(Bank):
    """A bank whose erased sectors are seen on the board itself."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self.seen = 0

    def erased(self) -> List[int]:
        """The sectors that the board erased since the last look."""
        lines = [line for line in list(self.stack.vboard.log) if "flash: erase page at" in line]
        new, self.seen = lines[self.seen :], len(lines)
        return [(int(line.split()[-1], 16) - FLASH_BASE) // SECTOR for line in new]

    def program(self, image: Segments, **more: Any) -> Dict[str, Any]:
        """Writes the image; every byte must be right."""
        result = self.client.call("flash.write_image", **params(image, **{"prepare": "none", **more}))
        overlay(self.content, image)
        self.check()
        assert result["bytes_written"] + result["bytes_unchanged"] == sum(len(data) for _, data in image)
        return result


def start(directory: Path, validator: Validator, config: Path) -> Stack:
    return Stack(
        directory, validator, flash_size=SIZE, image=make_image(SIZE), openocd_config=config,
        vboard_flags=["--verbose"], relays=True, daemon_flags=["--anonymous-role", "admin", "--log-level", "debug"],
    )


@pytest.fixture(scope="module", name="fast")
def fixture_fast(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> Iterator[Counted]:
    with start(tmp_path_factory.mktemp("fast"), validator, VBOARD_WORKAREA_CONFIG) as stack:
        yield Counted(stack)


@pytest.fixture(scope="module", name="slow")
def fixture_slow(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> Iterator[Counted]:
    with start(tmp_path_factory.mktemp("slow"), validator, VBOARD_CONFIG) as stack:
        yield Counted(stack)


def ready(bank: Counted) -> Iterator[Counted]:
    """Halted; behind each test every byte is as noted and nothing is left to be repaired."""
    bank.client.call("target.halt")
    bank.erased()
    yield bank
    bank.check()
    assert bank.client.call("board.status")["pending_repairs"] == []
    bank.stack.assert_alive()


@pytest.fixture(name="counted")
def fixture_counted(fast: Counted) -> Iterator[Counted]:
    """With a work area."""
    yield from ready(fast)


@pytest.fixture(name="either", params=["fast", "slow"])
def fixture_either(request: pytest.FixtureRequest) -> Iterator[Counted]:
    """With a work area, where checksums compare, and without one, where bytes are read back."""
    yield from ready(request.getfixturevalue(request.param))


def test_the_same_image_again_changes_nothing(either: Counted) -> None:
    image = segments(SEVERAL, 1)
    total = sum(size for _, size in SEVERAL)
    first = either.program(image)
    touched = [0, 1, 2, 3, 6, 11, 12]
    assert first["sectors_erased"] == 7 and either.erased() == touched
    either.stack.link.commands.clear()
    again = either.program(image)
    assert (again["bytes_written"], again["bytes_unchanged"], again["sectors_erased"]) == (0, total, 0)
    assert either.erased() == [] and either.stack.link.seen("erase_sector|write_bank") == []
    assert again["verified"] is True


@pytest.mark.parametrize("offset", [0, SECTOR - 1, 3 * SECTOR + 512, 6 * SECTOR - 1])
def test_one_byte_changed(either: Counted, offset: int) -> None:
    """One sector is erased, and the rest of it is programmed again."""
    data = bytearray(either.content[2 * SECTOR : 8 * SECTOR])
    data[offset] ^= 0x20
    result = either.program([(2 * SECTOR, bytes(data))])
    assert either.erased() == [2 + offset // SECTOR] and result["sectors_erased"] == 1
    assert result["bytes_written"] == SECTOR and result["bytes_unchanged"] == 5 * SECTOR


@pytest.mark.parametrize("sectors", [(2, 3), (2, 7), (3, 5, 7), (2, 3, 4, 5, 6, 7)], ids=str)
def test_these_sectors_changed(counted: Counted, sectors: Tuple[int, ...]) -> None:
    data = bytearray(counted.content[2 * SECTOR : 8 * SECTOR])
    for sector in sectors:
        data[(sector - 2) * SECTOR + 77 * sector % SECTOR] ^= 1
    result = counted.program([(2 * SECTOR, bytes(data))])
    assert counted.erased() == list(sectors) and result["sectors_erased"] == len(sectors)
    assert result["bytes_written"] == len(sectors) * SECTOR


def test_a_byte_beside_the_image_makes_no_difference(counted: Counted) -> None:
    at = 9 * SECTOR
    counted.program([(at, noise(SECTOR, 5))])
    counted.erased()
    result = counted.program([(at + 1, counted.content[at + 1 : at + SECTOR - 1])])
    assert result["bytes_unchanged"] == SECTOR - 2 and counted.erased() == []


def test_full_programs_what_is_the_same(counted: Counted) -> None:
    result = counted.program([(100, bytes(counted.content[100:1500]))], mode="full")
    assert result["sectors_erased"] == 2 and result["bytes_written"] == 1400 and counted.erased() == [0, 1]


def test_changed_needs_erase(counted: Counted) -> None:
    error = counted.client.fail("flash.write_image", data="AAAA", mode="changed", erase=False)
    assert error.kind == "invalid_params" and error.data["parameter"] == "mode"


def test_phases_and_their_totals(counted: Counted) -> None:
    """In their order, with totals that stay; nothing falls within one, which the client checks."""
    image = segments(SEVERAL, 2)
    image[1] = (image[1][0], bytes(counted.content[image[1][0] : image[1][0] + len(image[1][1])]))
    result = counted.program(image, progress="p", reset="halt")
    notes = counted.client.take_notifications("progress")
    order: List[str] = []
    last: Dict[str, Dict[str, Any]] = {}
    for note in notes:
        order += [note["phase"]] if note["phase"] not in order else []
        last[note["phase"]] = note
    # Erasing and programming take turns, and what is soon over is told together with what follows.
    rank = {"queued": 0, "compare": 1, "erase": 2, "program": 2, "verify": 3, "reset": 4}
    assert [rank[phase] for phase in order] == sorted(rank[phase] for phase in order)
    assert order[0] == "queued" and "program" in order and order[-1] == "reset"
    changed = result["sectors_erased"]
    totals = {
        "compare": (sum(size for _, size in SEVERAL), "bytes"), "erase": (changed, "sectors"),
        "program": (changed * SECTOR, "bytes"), "verify": (result["bytes_written"], "bytes"), "reset": (1, "resets"),
    }
    for phase, (total, unit) in totals.items():
        for note in notes:
            if note["phase"] == phase:
                assert (note["total"], note["unit"]) == (total, unit), note
    assert last["reset"]["done"] == 1
    assert changed == len(counted.erased())


def test_cancel_between_pieces(either: Counted) -> None:
    """Whole sectors are old or new, and the result says that the flash is neither."""
    data = noise(6 * SECTOR, 9)
    client, link = either.client, either.stack.link
    other = either.stack.client()

    def cancel() -> None:
        operation = other.call("board.status")["running"]["operation"]
        assert other.call("operation.cancel", operation=operation) == {"found": True}

    link.trap_command("flash erase_sector", cancel, cut=False)
    error = client.fail("flash.write_image", **either.params(3 * SECTOR + 100, data))
    assert error.kind == "cancelled" and error.data["flash_state"] == "partial"
    new = either.check_written_so_far(3 * SECTOR + 100, data)
    assert new == SECTOR and either.erased() == [3], "the first piece is one sector"
    either.program([(3 * SECTOR + 100, data)])


@pytest.mark.parametrize("detach", [True, False])
def test_client_gone(counted: Counted, detach: bool) -> None:
    data = noise(6 * SECTOR, 20 + detach)
    client, other = counted.stack.client(), counted.client
    names: List[str] = []

    def leave() -> None:
        names.append(other.call("board.status")["running"]["operation"])
        name = "%s:%d" % client._socket.getsockname()  # noqa: SLF001
        client.reset()
        counted.stack.daemon.wait_for_line(rf"client {re.escape(name)}: closed")

    counted.stack.link.trap_command("flash write_bank", leave, cut=False)
    client.send("flash.write_image", **counted.params(4 * SECTOR, data, detach=detach))
    counted.stack.link.wait_sprung()
    record = other.call("operation.wait", operation=names[0], timeout_ms=60000)
    new = counted.check_written_so_far(4 * SECTOR, data)
    if detach:
        assert record["state"] == "done" and record["result"]["sectors_erased"] == 6 and new == 6 * SECTOR
    else:
        assert record["state"] == "cancelled" and record["error"]["data"]["flash_state"] == "partial"
        assert 0 < new < 6 * SECTOR


def test_deadline_within_a_piece(counted: Counted) -> None:
    """Answered at once; the piece is programmed to its end."""
    data = noise(6 * SECTOR, 30)
    client, other = counted.client, counted.stack.client()
    answered = threading.Event()
    counted.stack.link.trap_command("flash write_bank", lambda: answered.wait(LIMIT_S), cut=False)
    request = client.send("flash.write_image", **counted.params(4 * SECTOR, data, timeout_ms=2500))
    error = client.error(request)
    answered.set()
    assert error.kind == "outcome_unknown" and error.data["flash_state"] == "partial"
    other.call("memory.write_u32", address=0x20004000, values=0)  # waits until nothing else changes the board
    new = counted.check_written_so_far(4 * SECTOR, data)
    assert 0 < new < 6 * SECTOR and len(counted.erased()) == new // SECTOR


def commands_of(link_commands: List[str]) -> List[str]:
    """The words of what changed the flash."""
    found = []
    for command in link_commands:
        for word in ("flash erase_sector", "flash write_bank"):
            if word in command:
                found.append(command[command.index(word) :])
    return found


def test_two_writers_never_interleave(counted: Counted) -> None:
    """All of the first, then all of the second; a reader is answered between the pieces; the third, which wants the
    same as the second, finds that nothing is left to do."""
    writers = [counted.stack.client() for _ in range(3)]
    reader = counted.stack.client()
    images = [noise(4 * SECTOR, 40), noise(4 * SECTOR, 41), noise(4 * SECTOR, 41)]
    places = [1 * SECTOR, 8 * SECTOR, 8 * SECTOR]
    link = counted.stack.link
    link.commands.clear()
    answered: List[int] = []
    requests: List[Any] = []

    def others() -> None:
        for i in (1, 2):
            requests.append(writers[i].send("flash.write_image", **counted.params(places[i], images[i])))
        # Each is with the daemon once this is answered.
        for each in writers[1:]:
            each.call("server.hello")
        requests.append(reader.send("memory.read_u32", address=FLASH_BASE))
        reader.call("server.hello")

    link.trap_command("flash erase_sector", others, cut=False)
    first = writers[0].send("flash.write_image", **counted.params(places[0], images[0]))
    link.wait_sprung()
    assert reader.result(requests[2])["values"] == [int.from_bytes(counted.content[:4], "little")]
    answered.append(len(counted.erased()))
    assert writers[0].result(first)["sectors_erased"] == 4
    assert writers[1].result(requests[0])["sectors_erased"] == 4
    assert writers[2].result(requests[1])["sectors_erased"] == 0
    assert answered[0] < 4, "the reader waited for the whole write"
    sectors = [int(each.split()[3]) for each in commands_of(link.commands) if each.startswith("flash erase_sector")]
    assert sectors == sorted(sectors) and len([each for each in sectors if each < 5]) >= 1
    for place, data in zip(places, images):
        counted.content[place : place + len(data)] = data


def test_flash_write_keeps_and_erases_as_write_image_does(counted: Counted) -> None:
    at, data = 5 * SECTOR + 33, noise(1500, 50)
    result = counted.client.call("flash.write", offset=at, data=encode(data), erase=True)
    assert result.pop("operation") and result == {"size": 1500, "sectors_erased": 2}
    counted.content[at : at + 1500] = data
    counted.check()
    assert counted.erased() == [5, 6]


def test_flash_write_lost_in_the_middle(counted: Counted) -> None:
    at, data = 5 * SECTOR + 33, noise(500, 51)
    counted.stack.link.trap_command("flash erase_sector", lambda: None, when="answered")
    error = counted.client.fail("flash.write", offset=at, data=encode(data), erase=True)
    assert error.kind == "outcome_unknown" and error.data["flash_state"] == "partial"
    pending = counted.client.call("board.status")["pending_repairs"]
    assert [each["offset"] for each in pending] == [5 * SECTOR]
    counted.client.call("flash.write", offset=at, data=encode(data), erase=True)
    counted.content[at : at + 500] = data


def test_no_state_directory(counted: Counted, tmp_path: Path) -> None:
    """Then nothing is erased that holds bytes beside the image; whole sectors need none."""
    counted.stack.daemon.stop()
    flags = counted.stack._started_with  # noqa: SLF001
    (tmp_path / "file").write_text("")
    try:
        counted.stack._started_with = [*flags, "--state-dir", str(tmp_path / "file")]  # noqa: SLF001
        counted.stack.restart_daemon()
        counted.client = counted.stack.client()
        error = counted.client.fail("flash.write_image", **counted.params(SECTOR + 10, b"\1\2\3"))
        assert error.kind == "stage_error" and error.data["flash_state"] == "unchanged", error.message
        assert counted.erased() == []
        counted.check()
        counted.write(2 * SECTOR, noise(SECTOR, 60), prepare="none")
        counted.stack.daemon.stop()
    finally:
        counted.stack._started_with = flags  # noqa: SLF001
        counted.stack.restart_daemon()
        counted.client = counted.stack.client()
