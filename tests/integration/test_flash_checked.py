"""Nothing is changed before everything was checked; what prepares, unlocks and resets; the second bank; a crowd."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from flash_bank import BLOCK, SECTOR, Bank, encode, noise
from flash_images import ihex, overlay, params, segments
from harness.client import Client, RpcError
from harness.paths import VBOARD_WORKAREA_CONFIG
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from harness.waiting import wait_until
from protocol_check import Validator

SIZE = 16 * KIB
CHANGES = "flash erase_sector|flash write_bank|flash protect"
RESETS = "reset init|reset halt|reset run|halt 0"
SEVERAL_BANKS = Path(__file__).resolve().parent / "several_banks.cfg"

# write_bank that fails, in its driver's words.
FAIL = 'rename {flash write_bank} true_write_bank; proc {flash write_bank} {b f o} {error "flash write failed"}'
MEND = "rename {flash write_bank} {}; rename true_write_bank {flash write_bank}"


@pytest.fixture(scope="module", name="own_stack")
def fixture_own_stack(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("checked")
    (directory / "share").mkdir()
    with Stack(
        directory, validator, flash_size=SIZE, image=make_image(SIZE), relays=True,
        openocd_config=VBOARD_WORKAREA_CONFIG, vboard_flags=["--verbose"],
        daemon_flags=["--anonymous-role", "admin", "--share-dir", str(directory / "share")],
    ) as stack:
        yield stack


@pytest.fixture(scope="module", name="own_notes")
def fixture_own_notes(own_stack: Stack) -> Bank:
    return Bank(own_stack)


@pytest.fixture(name="own")
def fixture_own(own_notes: Bank) -> Iterator[Bank]:
    """Halted and not protected; as its notes say behind every test."""
    own_notes.client.call("target.halt")
    yield own_notes
    own_notes.check()
    assert own_notes.client.call("board.status")["pending_repairs"] == []
    own_notes.stack.assert_alive()


def refuse(bank: Bank, **call: Any) -> RpcError:
    """A write that must fail with nothing changed, and nothing that changes anything sent to OpenOCD."""
    link, board = bank.stack.link, bank.stack.vboard
    link.commands.clear()
    lines = len(board.log)
    error = bank.client.fail("flash.write_image", **call)
    assert link.seen(CHANGES + "|" + RESETS) == [], "OpenOCD was told to change something"
    assert not any("erase page" in line for line in list(board.log)[lines:])
    bank.check()
    assert error.data.get("flash_state", "unchanged") == "unchanged"
    assert bank.client.call("target.state")["target"] == "vb.cpu"
    return error


TOO_FAR = ihex([(0, b"\1" * 64), (SIZE - 1, b"\2\3")])
BAD: Dict[str, Dict[str, Any]] = {
    "a sum that is wrong": {"data": encode(ihex([(0, b"\1\2\3")]).replace(b"010203", b"010204"))},
    "cut short": {"data": encode(ihex([(0, b"\1" * 64)])[:-40])},
    "overlap": {"data": encode(ihex([(0, b"\1" * 64), (63, b"\2")]))},
    "in no bank": {"data": encode(TOO_FAR)},
    "not what it is called": {"data": encode(noise(100, 1)), "format": "elf"},
}


@pytest.mark.parametrize("name", BAD)
def test_images_that_are_bad(own: Bank, name: str) -> None:
    assert refuse(own, prepare="reset_init", reset="run", **BAD[name]).kind == "image_invalid"


def test_a_broken_image_names_the_format(own: Bank) -> None:
    error = refuse(own, **BAD["a sum that is wrong"])
    assert "Intel HEX" in error.message and error.data["line"] == 2
    error = refuse(own, **BAD["not what it is called"])
    assert "ELF" in error.message


def test_a_bin_with_two_addresses(own: Bank) -> None:
    error = refuse(own, data=encode(ihex([(0, b"\1")])), address=FLASH_BASE)
    assert error.kind == "invalid_params" and error.data["parameter"] == "address"


def test_not_halted(own: Bank) -> None:
    own.client.call("target.reset", mode="run")
    assert refuse(own, data=encode(ihex([(100, b"\1")]))).kind == "target_not_halted"


def test_no_such_target(own: Bank) -> None:
    assert refuse(own, data="AAAA", target="nobody", prepare="reset_halt").kind == "not_found"
    assert own.write(10, b"\1\2", target="vb.cpu")["bytes_written"] == 2


def protected(bank: Bank) -> List[int]:
    """The protection blocks that are."""
    blocks = bank.client.call("flash.info")["protection_blocks"]
    return [each["index"] for each in blocks if each["protected"]]


@pytest.fixture(name="locked")
def fixture_locked(own: Bank) -> Iterator[Bank]:
    """Block 1, sectors 4 to 7, is protected."""
    own.client.call("flash.protect", first=4, last=7, on=True)
    own.client.call("target.reset", mode="halt")
    assert protected(own) == [1]
    yield own
    own.client.call("target.halt")
    own.client.call("flash.protect", first=4, last=7, on=False)
    own.client.call("target.reset", mode="halt")


def test_protected(locked: Bank) -> None:
    """Told before the target is reset, wherever in the image the sector comes."""
    image = segments([(10, 20), (2 * BLOCK - 1, 1)], 1)
    error = refuse(locked, **params(image, prepare="reset_init", reset="run"))
    assert error.kind == "flash_error" and error.data["reason"] == "protected" and error.data["sector"] == 7
    assert error.data["address"] == f"{FLASH_BASE + 7 * SECTOR:#010x}"


@pytest.mark.parametrize("prepare", ["reset_init", "reset_halt"])
def test_unlock(locked: Bank, prepare: str) -> None:
    """It takes effect with a reset, which `prepare` allows; then the protection is off."""
    image = segments([(10, 20), (2 * BLOCK - 1, 1)], 2)
    locked.stack.link.commands.clear()
    result = locked.client.call("flash.write_image", **params(image, prepare=prepare, unlock=True, mode="full"))
    order = [each.split()[-1] for each in locked.stack.link.seen(CHANGES)]
    assert order[0] == "protect" and set(order[1:]) == {"erase_sector", "write_bank"}
    assert result["sectors_erased"] == 2 and result["verified"] is True
    overlay(locked.content, image)
    locked.check()
    assert protected(locked) == []


@pytest.mark.parametrize("prepare", ["none", "halt"])
def test_unlock_without_a_reset(locked: Bank, prepare: str) -> None:
    """It is told why that is not enough; after a reset it was."""
    image = segments([(2 * BLOCK - 1, 1)], 3)
    lines = len(locked.stack.vboard.log)
    error = locked.client.fail("flash.write_image", **params(image, prepare=prepare, unlock=True))
    assert error.kind == "flash_error" and error.data["reason"] == "protected"
    assert "reset" in error.message and error.data["flash_state"] == "unchanged"
    assert not any("erase page" in line for line in list(locked.stack.vboard.log)[lines:])
    locked.check()
    locked.client.call("target.reset", mode="halt")
    assert protected(locked) == []


def test_unlock_where_nothing_is_protected(own: Bank) -> None:
    own.stack.link.commands.clear()
    own.write(BLOCK, noise(10, 4), unlock=True)
    assert own.stack.link.seen("flash protect") == []


def test_failure_leaves_it_halted(own: Bank) -> None:
    """Whatever was to be reset: what is in the flash should not run."""
    data = noise(SECTOR, 5)
    assert own.client.call("openocd.command", command=FAIL)["code"] == 0
    try:
        error = own.client.fail("flash.write_image", **own.params(2 * SECTOR, data, prepare="reset_init", reset="run"))
    finally:
        assert own.client.call("openocd.command", command=MEND)["code"] == 0
    assert error.kind == "flash_error" and error.data["reason"] == "driver"
    assert error.data["address"] == f"{FLASH_BASE + 2 * SECTOR:#010x}" and error.data["flash_state"] == "partial"
    assert "flash write failed" in error.data["openocd"]["text"]
    assert own.client.call("target.state")["state"] == "halted"
    own.content[2 * SECTOR : 3 * SECTOR] = b"\xff" * SECTOR


@pytest.mark.parametrize("reset, state", [("run", "running"), ("halt", "halted")])
def test_unchanged_is_reset_all_the_same(own: Bank, reset: str, state: str) -> None:
    data = bytes(own.content[SECTOR : 2 * SECTOR])
    result = own.write(SECTOR, data, prepare="reset_init", reset=reset)
    assert result["sectors_erased"] == 0
    wait_until(lambda: own.client.call("target.state")["state"] == state, f"the target to be {state}")


# The second bank.


def test_a_segment_in_each_bank(make_stack: Callable[..., Stack]) -> None:
    """The second is a view of the first, which shows where its bytes went."""
    bank = Bank(make_stack(flash_size=8 * KIB, image=make_image(8 * KIB), openocd_config=SEVERAL_BANKS))
    image = segments([(300, 50), (2 * SECTOR - 20, 40)], 6)
    text = ihex(image[1:], base=0).rsplit(b":", 1)[0] + ihex(image[:1])
    result = bank.client.call("flash.write_image", data=encode(text), prepare="halt")
    assert (result["segments"], result["sectors_erased"], result["bytes_written"]) == (2, 3, 90)
    overlay(bank.content, image)
    bank.check()
    assert bank.client.call("flash.verify", data=encode(text), format="ihex")["match"] is True
    # In none, between them; in one that cannot be read: nothing is erased for either.
    for base, kind in ((0x10000000, "image_invalid"), (0x98000000, "flash_error")):
        error = bank.client.fail("flash.write_image", data=encode(ihex(image[:1], base=base)))
        assert error.kind == kind and error.data.get("flash_state", "unchanged") == "unchanged", error.message
    bank.check()


# A crowd.


def test_a_crowd_and_an_openocd_that_is_killed(own: Bank) -> None:
    """Everybody is answered; whoever was cut off tries again; then every byte is right."""
    stack = own.stack
    images = [segments([(i * 4 * SECTOR + 100, 1500), (i * 4 * SECTOR + 3000, 3)], 10 + i) for i in range(4)]
    writers = [stack.client() for _ in images]
    others = [stack.client() for _ in range(8)]
    sent: List[Any] = []
    stack.link.trap_command("flash write_bank", stack.openocd.kill, when="sent", skip=2)
    for writer, image in zip(writers, images):
        sent.append((writer, writer.send("flash.write_image", **params(image)), image))
    for i, other in enumerate(others):
        for method, call in (
            ("flash.verify", {"data": encode(own.content[:4000])}), ("flash.read", {"size": 3000, "offset": i}),
            ("memory.read_bytes", {"address": FLASH_BASE + i, "size": 2000}), ("target.state", {}),
        ):
            sent.append((other, other.send(method, **call), None))
    stack.link.wait_sprung()
    stack.restart_openocd()
    lost = 0
    for client, request, image in sent:
        reply = client.reply(request)
        if "error" in reply:
            error = RpcError(reply["error"])
            assert error.kind in ("outcome_unknown", "openocd_unavailable"), error.message
            assert image is None or error.kind == "outcome_unknown"
            lost += image is not None
    assert lost >= 1
    for writer, image in zip(writers, images):
        writer.call("flash.write_image", **params(image))
        overlay(own.content, image)
    for client in (*writers, *others):
        assert client.call("flash.verify", data=encode(bytes(own.content)))["match"] is True
        client.close()


def test_a_read_that_the_link_lost_leaves_no_file(own: Bank) -> None:
    """OpenOCD reads the flash before it opens the file, which the daemon has removed by then, and makes it anew."""
    stack = own.stack
    before = stack.probe.passed

    def reading() -> None:
        wait_until(lambda: stack.probe.passed > before + 2000, "OpenOCD to read")

    stack.link.trap_command("flash read_bank", reading, when="sent")
    assert own.client.call("flash.read", size=SIZE)["size"] == SIZE and stack.link.sprung
    assert own.client.call("board.status")["staging"] == "shared"
    assert [path for path in (stack.directory / "share").rglob("*") if path.is_file()] == []
