"""The STM32F1 flash controller, through OpenOCD's stm32f1x driver and through its registers."""

from __future__ import annotations

import random
import re
import struct
from pathlib import Path
from typing import Callable

import pytest

from vboard_bench import FLASH_BASE, RAM_BASE, Openocd, Vboard, make_image

KEYR = 0x40022004
OPTKEYR = 0x40022008
SR = 0x4002200C
CR = 0x40022010
AR = 0x40022014
OBR = 0x4002201C
WRPR = 0x40022020
KEYS = (0x45670123, 0xCDEF89AB)

PG, PER, MER, OPTPG, OPTER, STRT, LOCK, OPTWRE = 1, 2, 4, 0x10, 0x20, 0x40, 0x80, 0x200
PGERR, WRPRTERR, EOP = 4, 0x10, 0x20


def unlock(openocd: Openocd) -> None:
    """Open the flash controller."""
    for key in KEYS:
        openocd.write_word(KEYR, key)


def unlock_options(openocd: Openocd) -> None:
    """Open the flash controller and the option bytes."""
    unlock(openocd)
    for key in KEYS:
        openocd.write_word(OPTKEYR, key)


def write_half(openocd: Openocd, address: int, value: int) -> None:
    """One 16-bit write."""
    openocd.run(f"write_memory {address:#x} 16 {value:#x}")


def read_half(openocd: Openocd, address: int) -> int:
    """One 16-bit read."""
    return openocd.read(address, 16, 1)[0]


def test_flash_probe_reports_the_geometry(openocd: Openocd) -> None:
    openocd.run("flash probe 0")
    assert "size 0x00010000" in openocd.run("flash banks")
    blocks = re.findall(r"#\s*\d+: (0x\w+) \((0x\w+) 4kB\) not protected", openocd.run("flash info 0"))
    assert len(blocks) == 16
    sectors = re.findall(r"#\s*\d+: (0x\w+) \((0x\w+) 1kB\)", openocd.run("flash info 0 sectors"))
    assert [int(offset, 16) for offset, _ in sectors] == list(range(0, 65536, 1024))


@pytest.mark.parametrize(
    ("size", "page", "device"),
    [("4K", 1024, 0x20036410), ("128K", 1024, 0x20036410), ("132K", 2048, 0x10036414), ("512K", 2048, 0x10036414)],
)
def test_flash_size_decides_page_and_device(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], size: str, page: int, device: int
) -> None:
    openocd = start_openocd(start_board("--flash-size", size, "--ram-size", "64K"))
    openocd.run("reset halt")
    kib = int(size[:-1])
    assert openocd.read_word(0xE0042000) == device
    assert read_half(openocd, 0x1FFFF7E0) == kib
    sectors = re.findall(r"#\s*\d+: 0x\w+ \((0x\w+) \d+kB\)", openocd.run("flash info 0 sectors"))
    assert [int(length, 16) for length in sectors] == [page] * (kib * 1024 // page)
    openocd.read_word(FLASH_BASE + kib * 1024 - 4)
    openocd.fail(f"read_memory {FLASH_BASE + kib * 1024:#x} 32 1")


def test_flash_erase_sector_erases_just_that(openocd: Openocd, image: Path, tmp_path: Path) -> None:
    expected = bytearray(image.read_bytes())
    openocd.run("flash erase_sector 0 3 5")
    expected[3 * 1024 : 6 * 1024] = b"\xff" * 3 * 1024
    openocd.run(f"dump_image {tmp_path}/flash {FLASH_BASE:#x} {len(expected)}")
    assert (tmp_path / "flash").read_bytes() == expected


def test_flash_mass_erase_empties_the_bank(openocd: Openocd, tmp_path: Path) -> None:
    openocd.run("flash erase_sector 0 0 last")
    openocd.run(f"dump_image {tmp_path}/flash {FLASH_BASE:#x} 65536")
    assert (tmp_path / "flash").read_bytes() == b"\xff" * 65536
    assert read_half(openocd, 0x1FFFF800) == 0x5AA5, "option bytes are not part of the main flash"


def test_flash_write_image_programs_and_verifies(openocd: Openocd, image: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.bin"
    new.write_bytes(random.Random(3).randbytes(1500))
    assert "wrote" in openocd.run(f"flash write_image erase {new} {FLASH_BASE + 0x1000:#x} bin")
    assert "verified 1500 bytes" in openocd.run(f"verify_image {new} {FLASH_BASE + 0x1000:#x} bin")
    openocd.run(f"dump_image {tmp_path}/flash {FLASH_BASE:#x} 16384")
    expected = bytearray(image.read_bytes())
    expected[0x1000:0x1800] = b"\xff" * 0x800
    expected[0x1000 : 0x1000 + 1500] = new.read_bytes()
    assert (tmp_path / "flash").read_bytes() == expected


def test_flash_write_over_used_cells_fails_and_keeps_them(openocd: Openocd, image: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.bin"
    new.write_bytes(b"\x12\x34" * 8)
    text = openocd.fail(f"flash write_bank 0 {new} 0x800")
    assert "flash not erased" in text
    assert openocd.read_bytes(FLASH_BASE + 0x800, 16) == image.read_bytes()[0x800:0x810]
    openocd.run("flash erase_sector 0 2 2")
    openocd.run(f"flash write_bank 0 {new} 0x800")
    assert openocd.read_bytes(FLASH_BASE + 0x800, 16) == new.read_bytes()


def test_flash_programming_follows_the_nor_rules(openocd: Openocd) -> None:
    cell = FLASH_BASE + 0x8000
    unlock(openocd)
    openocd.write_word(CR, PG)
    write_half(openocd, cell, 0xA5F0)
    assert openocd.read_word(SR) == EOP
    openocd.write_word(SR, EOP)
    assert openocd.read_word(SR) == 0
    write_half(openocd, cell, 0xA5F0 & 0xFF00)
    assert openocd.read_word(SR) == PGERR, "only erased cells take a value, even one that clears bits only"
    assert read_half(openocd, cell) == 0xA5F0
    openocd.write_word(SR, PGERR)
    write_half(openocd, cell, 0)
    assert (openocd.read_word(SR), read_half(openocd, cell)) == (EOP, 0)
    openocd.fail(f"write_memory {cell + 4:#x} 32 0x12345678")
    openocd.fail(f"write_memory {cell + 4:#x} 8 0x12")
    assert openocd.read_word(cell + 4) == 0xFFFFFFFF


def test_flash_is_not_written_without_pg_or_while_locked(openocd: Openocd) -> None:
    cell = FLASH_BASE + 0x8000
    openocd.fail(f"write_memory {cell:#x} 16 0x1234")
    openocd.write_word(CR, PG)
    assert openocd.read_word(CR) == LOCK, "the control register cannot be written while locked"
    unlock(openocd)
    assert openocd.read_word(CR) == 0
    openocd.fail(f"write_memory {cell:#x} 16 0x1234")
    openocd.write_word(CR, LOCK)
    assert openocd.read_word(CR) == LOCK
    assert read_half(openocd, cell) == 0xFFFF


def test_flash_pg_left_set_still_programs_and_keeps_erase_from_working(openocd: Openocd, image: Path) -> None:
    unlock(openocd)
    openocd.write_word(CR, PG | PER)
    openocd.write_word(AR, FLASH_BASE + 0x1000)
    openocd.write_word(CR, PG | PER | STRT)
    assert openocd.read_bytes(FLASH_BASE + 0x1000, 64) == image.read_bytes()[0x1000:0x1040]
    openocd.write_word(CR, PG | LOCK)
    assert openocd.read_word(CR) == PG | LOCK
    write_half(openocd, FLASH_BASE + 0x8000, 0x1234)
    assert read_half(openocd, FLASH_BASE + 0x8000) == 0x1234


@pytest.mark.parametrize("keys", [(0x11111111,), (KEYS[1],), (KEYS[0], KEYS[0])])
def test_flash_wrong_key_locks_until_reset(openocd: Openocd, keys: tuple) -> None:
    for key in keys[:-1]:
        openocd.write_word(KEYR, key)
    openocd.fail(f"write_memory {KEYR:#x} 32 {keys[-1]:#x}")
    openocd.attempt(f"write_memory {KEYR:#x} 32 {KEYS[0]:#x}")
    openocd.attempt(f"write_memory {KEYR:#x} 32 {KEYS[1]:#x}")
    assert openocd.read_word(CR) == LOCK
    openocd.run("reset halt")
    unlock(openocd)
    assert openocd.read_word(CR) == 0


def test_flash_page_erase_by_register(openocd: Openocd, image: Path) -> None:
    unlock(openocd)
    openocd.write_word(CR, PER)
    openocd.write_word(AR, FLASH_BASE + 0x1234)
    assert openocd.read_word(FLASH_BASE + 0x1234) != 0xFFFFFFFF
    openocd.write_word(CR, PER | STRT)
    assert openocd.read_word(SR) == EOP
    assert openocd.read_word(CR) == PER, "STRT is cleared when the erase is done"
    assert openocd.read_bytes(FLASH_BASE + 0x1000, 1024) == b"\xff" * 1024
    assert openocd.read_bytes(FLASH_BASE + 0xFF0, 16) == image.read_bytes()[0xFF0:0x1000]
    assert openocd.read_bytes(FLASH_BASE + 0x1400, 16) == image.read_bytes()[0x1400:0x1410]


def protected_blocks(openocd: Openocd) -> list:
    """Indexes of the blocks that `flash info` calls protected."""
    rows = re.findall(r"#\s*(\d+): 0x\w+ \(0x\w+ \d+kB\) (\w[\w ]*)", openocd.run("flash info 0"))
    return [int(index) for index, state in rows if state.strip() == "protected"]


def test_flash_protection_takes_effect_at_reset(openocd: Openocd, image: Path, tmp_path: Path) -> None:
    openocd.run("flash protect 0 2 3 on")
    assert openocd.read_word(WRPR) == 0xFFFFFFFF
    openocd.run("reset halt")
    assert openocd.read_word(WRPR) == 0xFFFFFFF3
    assert protected_blocks(openocd) == [2, 3]
    assert "protected" in openocd.fail("flash erase_sector 0 8 8")
    assert "protected" in openocd.fail("flash erase_sector 0 0 last")
    new = tmp_path / "new.bin"
    new.write_bytes(bytes(16))
    assert "protected" in openocd.fail(f"flash write_bank 0 {new} 0x2000")
    openocd.run(f"dump_image {tmp_path}/flash {FLASH_BASE:#x} 16384")
    assert (tmp_path / "flash").read_bytes() == image.read_bytes()
    openocd.run("flash erase_sector 0 7 7")
    openocd.run("flash protect 0 2 3 off; reset halt")
    assert protected_blocks(openocd) == []
    openocd.run("flash erase_sector 0 8 8")
    assert openocd.read_bytes(FLASH_BASE + 0x2000, 64) == b"\xff" * 64


def test_flash_last_protection_bit_covers_the_rest(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd]
) -> None:
    openocd = start_openocd(start_board("--flash-size", "256K"))
    openocd.run("reset halt; flash protect 0 31 31 on; reset halt")
    assert protected_blocks(openocd) == [31]
    openocd.run("flash erase_sector 0 61 61")
    assert "protected" in openocd.fail("flash erase_sector 0 62 62")
    assert "protected" in openocd.fail("flash erase_sector 0 127 127")


def test_flash_option_bytes_are_programmed_with_their_complement(openocd: Openocd) -> None:
    assert openocd.read_word(OBR) & 0x03FFFC1F == 0x03FFFC1C
    unlock_options(openocd)
    assert openocd.read_word(CR) == OPTWRE
    openocd.write_word(CR, OPTER | OPTWRE)
    openocd.write_word(CR, OPTER | STRT | OPTWRE)
    assert openocd.read_bytes(0x1FFFF800, 16) == b"\xff" * 16
    openocd.write_word(CR, OPTPG | OPTWRE)
    write_half(openocd, 0x1FFFF800, 0x00A5)
    write_half(openocd, 0x1FFFF804, 0x0012)
    write_half(openocd, 0x1FFFF806, 0x0034)
    assert openocd.read_bytes(0x1FFFF800, 8) == bytes.fromhex("a55affff12ed34cb")
    write_half(openocd, 0x1FFFF804, 0x0011)
    assert openocd.read_word(SR) & PGERR
    assert openocd.read_word(OBR) >> 10 & 0xFFFF == 0xFFFF, "loaded at reset, not before"
    openocd.run("reset halt")
    assert openocd.read_word(OBR) >> 10 & 0xFFFF == 0x3412
    assert openocd.read_word(OBR) & 3 == 0


def test_flash_readout_protection_hides_and_unlocking_erases(openocd: Openocd, image: Path) -> None:
    openocd.run("stm32f1x lock 0; reset halt")
    assert openocd.read_word(OBR) & 2
    openocd.fail(f"read_memory {FLASH_BASE + 0x100:#x} 32 1")
    openocd.write_word(RAM_BASE, 1)
    openocd.run("stm32f1x unlock 0; reset halt")
    assert openocd.read_word(OBR) & 2 == 0
    assert openocd.read_bytes(FLASH_BASE, 1024) == b"\xff" * 1024


def test_flash_state_file_keeps_flash_and_options(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], tmp_path: Path
) -> None:
    state = tmp_path / "state"
    image = tmp_path / "image.bin"
    image.write_bytes(make_image(4096, seed=9))
    board = start_board("--state", str(state), "--image", str(image))
    openocd = start_openocd(board)
    openocd.run("reset halt; flash erase_sector 0 1 1; flash protect 0 5 5 on")
    openocd.stop()
    assert board.stop() == 0
    expected = image.read_bytes()[:1024] + b"\xff" * 1024 + image.read_bytes()[2048:]
    assert state.read_bytes()[:4096] == expected
    assert state.stat().st_size == 65536 + 16
    openocd = start_openocd(start_board("--state", str(state)))
    openocd.run("reset halt")
    assert openocd.read_bytes(FLASH_BASE, 4096) == expected
    assert openocd.read_word(WRPR) == 0xFFFFFFDF


def test_flash_word_patterns_survive_write_and_dump(openocd: Openocd, tmp_path: Path) -> None:
    source = tmp_path / "patterns.bin"
    patterns = [0, 0xFFFFFFFF, 0xFFFF0000, 0x0000FFFF, 0x55AA55AA, 0x80000001]
    source.write_bytes(struct.pack("<6I", *patterns) + b"\x5a")
    openocd.run(f"flash write_image erase {source} {FLASH_BASE + 0xFC00:#x} bin")
    assert openocd.read(FLASH_BASE + 0xFC00, 32, 6) == patterns
    assert openocd.read_word(FLASH_BASE + 0xFC18) == 0xFFFFFF5A
