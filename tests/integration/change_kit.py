"""Every method that changes the board, small: how to get the board ready for it, what of the board it changes, and what
may be there when it was cut off."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Tuple

from flash_bank import SECTOR, encode, noise
from flash_images import ihex
from harness.client import Client, RpcError
from harness.stack import FLASH_BASE, KIB, RAM_BASE, make_image

Json = Dict[str, Any]

FLASH_SIZE = 4 * KIB  # one protection block
IMAGE = make_image(FLASH_SIZE)
ALL = base64.b64encode(IMAGE).decode()
DATA = RAM_BASE + 0x2000  # behind the work area
CODE = RAM_BASE + 0x3000  # instructions that do nothing
APART = CODE + 0x80
NOPS = b"\x00\xbf" * 128
DHCSR, HALTED = 0xE000EDF0, 1 << 17
VTOR = 0xE000ED08  # which a reset clears
OPTION_BYTES = 0x1FFFF800
# What a command of OpenOCD's must not do a second time.
CHANGING = re.compile(
    r"write_memory 0x|halt 0|resume|\bstep\b|reset (run|halt|init)|set_reg|\bbp 0x|\bwp 0x|rbp 0x|rwp 0x"
    r"|erase_sector|write_bank|flash protect"
)


def read(client: Client, address: int, size: int) -> bytes:
    """What the board holds there."""
    data: str = client.call("memory.read_bytes", address=address, size=size)["data"]
    return base64.b64decode(data)


def word(client: Client, address: int) -> int:
    """The word there."""
    value: int = client.call("memory.read_u32", address=address)["values"][0]
    return value


def runs(client: Client) -> bool:
    """Whether the core itself says that it does."""
    return not word(client, DHCSR) & HALTED


# Getting ready. The target ends halted, unless it is to run.


def halt(client: Client) -> None:
    client.call("target.halt")


def run(client: Client) -> None:
    halt(client)
    client.call("memory.write_u32", address=VTOR, values=0)
    client.call("target.resume", address=FLASH_BASE + 0x40)


def fill(client: Client) -> None:
    """Bytes that are none of those that will be written."""
    client.call("memory.write_bytes", address=DATA - 4, data=encode(b"\xa5" * 1200))


def settle(client: Client) -> None:
    """The core stands apart, with r5 and pc of its own: OpenOCD keeps what is written to them until it goes on."""
    halt(client)
    client.call("memory.write_bytes", address=CODE, data=encode(NOPS))
    client.call("register.write", names=["r5"], values=["0x11111111"])
    client.call("target.step", address=APART)


def mark(client: Client) -> None:
    """For resets: VTOR is something that they clear."""
    halt(client)
    client.call("memory.write_u32", address=VTOR, values=RAM_BASE)


def clear_points(client: Client) -> None:
    settle(client)
    for point in client.call("breakpoint.list")["breakpoints"]:
        client.call("breakpoint.remove", address=point["address"])


def set_points(client: Client) -> None:
    clear_points(client)
    client.call("breakpoint.add", address=FLASH_BASE + 0x100, kind="hardware")
    client.call("breakpoint.add", address=DATA, kind="write")


def restore(client: Client) -> None:
    """The flash as at power-on, nothing pending and nothing protected."""
    client.call("target.halt")
    if read(client, OPTION_BYTES, 16)[8:] != b"\xff\x00" * 4:
        client.call("flash.protect", first=0, last=3, on=False)
        client.call("target.reset", mode="halt")
    if read(client, FLASH_BASE, FLASH_SIZE) != IMAGE:
        client.call("flash.write_image", data=ALL, format="bin")
    assert client.call("board.status")["pending_repairs"] == []


def restore_blank(client: Client) -> None:
    """The same, but for the third sector, which is blank."""
    restore(client)
    client.call("flash.erase_sector", first=2, last=2)


# Looking.


def look_data(client: Client) -> bytes:
    return read(client, DATA - 4, 1200)


def look_flash(client: Client) -> bytes:
    return read(client, FLASH_BASE, FLASH_SIZE)


def look_core(client: Client) -> Tuple[str, ...]:
    """What a step and a register write change."""
    values = client.call("register.read", names=["pc", "r5"])["registers"]
    return tuple(each["value"] for each in values)


def look_reset(client: Client) -> Tuple[int, bool]:
    return word(client, VTOR), runs(client)


def look_points(client: Client) -> List[Tuple[str, str]]:
    points = client.call("breakpoint.list")["breakpoints"]
    return sorted((each["address"], each["kind"]) for each in points)


def look_options(client: Client) -> bytes:
    return look_flash(client) + read(client, OPTION_BYTES, 16)


# What may be there. Each raises AssertionError where something else is.


class Cut:
    """A call that was cut off: what there was before it, what there would be behind it, what was found, and the error.
    `torn`: in the middle of a scan, which ends with whatever bits had gone; so may a write that was meant."""

    def __init__(self, before: Any, after: Any, found: Any, error: RpcError, torn: bool) -> None:
        self.before, self.after, self.found, self.error, self.torn = before, after, found, error, torn
        self.done: int = error.data.get("done", 0)


def one_of_two(cut: Cut) -> None:
    assert cut.found in (cut.before, cut.after)


def any_bytes(width: int) -> Callable[[Cut], None]:
    """Each byte is old or new, those that are claimed to be done are new; `done` counts in so many bytes."""

    def check(cut: Cut) -> None:
        for found, old, new in zip(cut.found, cut.before, cut.after):
            assert found in (old, new) or (cut.torn and old != new)
        end = 4 + cut.done * width
        assert cut.error.data.get("phase") == "verify" or cut.found[:end] == cut.after[:end]

    return check


def steps(cut: Cut) -> None:
    """So many were made, or one more."""
    places = [cut.before[0], *(f"0x{CODE + 2 * i:08x}" for i in range(4))]
    made = places.index(cut.found[0]) - 1
    assert cut.done <= max(made, 0) <= cut.done + 1


def nothing_left(cut: Cut) -> None:
    """OpenOCD's own list ends with it."""
    assert cut.found == []


def any_sectors(cut: Cut) -> None:
    """Each is as it was or erased, in their order; none but those asked for."""
    for at in range(0, FLASH_SIZE, SECTOR):
        place = slice(at, at + SECTOR)
        assert cut.found[place] in (cut.before[place], cut.after[place]) or cut.error.data["flash_state"] == "partial"
    changed = [at for at in range(0, FLASH_SIZE, SECTOR) if cut.before[at : at + SECTOR] != cut.after[at : at + SECTOR]]
    for at in changed[: cut.done]:
        assert cut.found[at : at + SECTOR] == b"\xff" * SECTOR
    assert all(cut.found[i] in (cut.before[i], 0xFF) for i in range(FLASH_SIZE))


def any_flash(cut: Cut) -> None:
    """Bytes are old, new or blank; sectors that the image does not touch are as they were."""
    for i, (found, old, new) in enumerate(zip(cut.found, cut.before, cut.after)):
        sector = slice(i - i % SECTOR, i - i % SECTOR + SECTOR)
        touched = cut.before[sector] != cut.after[sector]
        assert found == old or (touched and found in (new, 0xFF)), f"{i:#x}: {found:#x}"


def any_options(cut: Cut) -> None:
    """The flash is as it was; option bytes are erased before they are written."""
    assert cut.found[:FLASH_SIZE] == cut.before[:FLASH_SIZE]


@dataclass
class Change:
    """`look` is what of the board it changes. `between` holds what is found against a cut; `kinds` are further errors
    that may be right: for what OpenOCD forgets as it dies. `follows` makes what there is behind the call out of what
    was found before it; without it that is always the same. `passes` are commands that are not its own."""

    name: str
    method: str
    params: Json
    prepare: Callable[[Client], None]
    look: Callable[[Client], Any]
    between: Callable[[Cut], None] = one_of_two
    kinds: Tuple[str, ...] = ()
    follows: Any = None
    passes: str = r"foreach t .{1,2}target names"
    twin: bool = False  # its steps are those of another
    fresh: bool = False  # the daemon learns something from it
    many: bool = False  # steps; it is killed at many moments elsewhere

    def __str__(self) -> str:
        return self.name


SEGMENTS = [(SECTOR + 300, noise(200, 1)), (3 * SECTOR + 5, noise(64, 2))]
BYTES = encode(noise(1030, 3))
SET_POINT = {"address": FLASH_BASE + 0x200, "kind": "hardware"}

CHANGES = [
    Change("write_u8", "memory.write_u8", {"address": DATA, "values": [1, 2, 3]}, fill, look_data, any_bytes(1)),
    Change(
        "write_u16", "memory.write_u16", {"address": DATA, "values": [1, 2]}, fill, look_data, any_bytes(2), twin=True
    ),
    Change("write_u32", "memory.write_u32", {"address": DATA, "values": 7}, fill, look_data, any_bytes(4), twin=True),
    Change(
        "write_u64", "memory.write_u64", {"address": DATA, "values": [1, 2]}, fill, look_data, any_bytes(8), fresh=True
    ),
    Change("write_bytes", "memory.write_bytes", {"address": DATA, "data": BYTES}, fill, look_data, any_bytes(1)),
    Change(
        "load_image", "memory.load_image", {"address": DATA, "data": BYTES, "format": "bin", "prepare": "halt"}, fill,
        look_data, any_bytes(1),
    ),
    Change("halt", "target.halt", {}, run, runs),
    Change("resume", "target.resume", {"address": FLASH_BASE + 0x40}, settle, runs),
    Change("reset_run", "target.reset", {"mode": "run"}, mark, look_reset, passes="$^"),
    Change("reset_halt", "target.reset", {"mode": "halt"}, mark, look_reset, passes="$^"),
    Change("reset_init", "target.reset", {"mode": "init"}, mark, look_reset, passes="$^", twin=True),
    Change("step", "target.step", {"address": CODE, "count": 3}, settle, look_core, steps),
    Change("register", "register.write", {"names": ["r5"], "values": ["0x22222222"]}, settle, look_core),
    Change("breakpoint_add", "breakpoint.add", SET_POINT, clear_points, look_points, nothing_left),
    Change(
        "watchpoint_add", "breakpoint.add", {"address": DATA, "kind": "write"}, clear_points, look_points, nothing_left,
        twin=True,
    ),
    Change(
        "breakpoint_remove", "breakpoint.remove", {"address": FLASH_BASE + 0x100}, set_points, look_points,
        nothing_left, kinds=("not_found",),
    ),
    Change(
        "watchpoint_remove", "breakpoint.remove", {"address": DATA}, set_points, look_points, nothing_left,
        kinds=("not_found",), twin=True,
    ),
    Change("erase_sector", "flash.erase_sector", {"first": 1, "last": 2}, restore, look_flash, any_sectors),
    Change("erase_all", "flash.erase_all", {}, restore, look_flash, any_sectors),
    Change("protect", "flash.protect", {"first": 0, "last": 3, "on": True}, restore, look_options, any_options),
    Change(
        "write_image", "flash.write_image", {"data": encode(ihex(SEGMENTS)), "prepare": "halt", "reset": "halt"},
        restore, look_flash, any_flash, many=True,
    ),
    Change(
        "write", "flash.write", {"offset": 2 * SECTOR + 8, "data": encode(noise(100, 4))}, restore_blank, look_flash,
        any_flash,
    ),
    Change(
        "write_erasing", "flash.write", {"offset": 2 * SECTOR + 8, "data": encode(noise(100, 5)), "erase": True},
        restore, look_flash, any_flash, twin=True,
    ),
    Change(
        "command", "openocd.command",
        {"command": f"write_memory {DATA:#x} 32 [expr {{[read_memory {DATA:#x} 32 1] + 1}}]"}, fill,
        lambda client: word(client, DATA), follows=lambda found: found + 1,
    ),
]
