"""The rows about flashing: images through ocdmux against OpenOCD's own commands, with a work area on the target."""

from __future__ import annotations

import base64
import random
from itertools import cycle
from pathlib import Path
from typing import Dict, Iterator, List

from protocol_check import Validator

from harness.paths import PROTOCOL, VBOARD_CONFIG
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from rows import Direct, Json, Rig, Row, timed

IMAGE_SIZE = 64 * KIB
SECTOR = KIB
WORKAREA_CONFIG = VBOARD_CONFIG.with_name("vboard-workarea.cfg")


class FlashRig:
    """A stack of its own: a halted board with a work area. Made with the first row that needs it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "image.bin"
        self.image = make_image(IMAGE_SIZE)
        self.path.write_bytes(self.image)
        self.stack = Stack(directory, Validator(PROTOCOL), openocd_config=WORKAREA_CONFIG)
        self.openocd = Direct(self.stack.tcl_port)
        self.ocdmux = Json(self.stack.daemon.address)
        self.ocdmux.call("target.reset", mode="halt")
        # Which sector differs goes round the image, so that no place is the lucky one.
        self.sectors: Iterator[int] = cycle(random.Random(7).sample(range(IMAGE_SIZE // SECTOR), 16))

    def write(self, image: bytes, **params: object) -> Dict[str, object]:
        data = base64.b64encode(image).decode()
        return self.ocdmux.call("flash.write_image", data=data, format="bin", **params)

    def close(self) -> None:
        self.openocd.close()
        self.ocdmux.close()
        self.stack.close()


def flash_rig(rig: Rig) -> FlashRig:
    """The one that belongs to `rig`, closed with it."""
    made = rig.others.get("flash")
    if made is None:
        directory = rig.directory / "flash"
        directory.mkdir()
        made = rig.others["flash"] = FlashRig(directory)
        rig.exit.callback(made.close)
    assert isinstance(made, FlashRig)
    return made


def direct_flash(rig: Rig) -> float:
    own = flash_rig(rig)

    def work() -> None:
        wrote = own.openocd.command(f"flash write_image erase {own.path} 0x{FLASH_BASE:x} bin")
        assert f"wrote {IMAGE_SIZE} bytes".encode() in wrote, wrote
        verified = own.openocd.command(f"verify_image {own.path} 0x{FLASH_BASE:x} bin")
        assert f"verified {IMAGE_SIZE} bytes".encode() in verified, verified

    return timed(work)


def our_full(rig: Rig) -> float:
    own = flash_rig(rig)

    def work() -> None:
        result = own.write(own.image, mode="full")
        assert result["verified"] and result["bytes_written"] == IMAGE_SIZE

    return timed(work)


def our_changed(rig: Rig) -> float:
    own = flash_rig(rig)
    begin = next(own.sectors) * SECTOR
    own.write(own.image)
    image = own.image[:begin] + random.Random(begin).randbytes(SECTOR) + own.image[begin + SECTOR:]

    def work() -> None:
        result = own.write(image)
        assert result["verified"] and result["sectors_erased"] == 1

    return timed(work)


def our_same(rig: Rig) -> float:
    own = flash_rig(rig)
    own.write(own.image)

    def work() -> None:
        result = own.write(own.image)
        assert result["verified"] and result["sectors_erased"] == 0

    return timed(work)


AGAINST = "`flash write_image erase` and `verify_image` straight on OpenOCD"

FLASH_ROWS: List[Row] = [
    Row("flash-full", "write_image of 64 KiB, mode full", AGAINST,
        direct_flash, our_full, 1 / 1.10, "at most 10 % slower"),
    Row("flash-changed", "write_image of 64 KiB of which one sector differs", AGAINST,
        direct_flash, our_changed, 6.0, "at least 6 times as fast"),
    Row("flash-same", "write_image of 64 KiB that are there already", AGAINST,
        direct_flash, our_same, 20.0, "at least 20 times as fast, nothing erased"),
]
