"""OpenOCD's own code on the board's core: flash loader, checksums, blank checks."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Callable

import pytest

from vboard_bench import FLASH_BASE, RAM_BASE, START_LIMIT_S, WORKAREA_CONFIG, Openocd, Vboard, wait_until


@pytest.fixture
def openocd(board: Vboard, start_openocd: Callable[..., Openocd]) -> Openocd:
    """OpenOCD with a work area, the core halted at the reset handler."""
    attached = start_openocd(board, WORKAREA_CONFIG)
    attached.run("reset halt")
    return attached


def test_workarea_write_image_uses_the_loader(openocd: Openocd, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    copy = tmp_path / "copy.bin"
    source.write_bytes(random.Random(5).randbytes(40001))
    text = openocd.run(f"flash write_image erase {source} {FLASH_BASE + 0x4000:#x} bin")
    assert "couldn't use block writes" not in text
    openocd.run(f"dump_image {copy} {FLASH_BASE + 0x4000:#x} 40001")
    assert copy.read_bytes() == source.read_bytes()


def test_workarea_verify_computes_the_checksum_on_the_core(openocd: Openocd, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(random.Random(6).randbytes(8192))
    openocd.run(f"flash write_image erase {source} {FLASH_BASE + 0x8000:#x} bin")
    before = openocd.read_bytes(RAM_BASE, 64)
    assert "verified 8192 bytes" in openocd.run(f"verify_image_checksum {source} {FLASH_BASE + 0x8000:#x} bin")
    assert openocd.read_bytes(RAM_BASE, 64) != before, "the checksum code runs from the work area"
    changed = bytearray(source.read_bytes())
    changed[4097] ^= 0x10
    source.write_bytes(changed)
    assert "checksum mismatch" in openocd.fail(f"verify_image_checksum {source} {FLASH_BASE + 0x8000:#x} bin")
    text = openocd.fail(f"verify_image {source} {FLASH_BASE + 0x8000:#x} bin")
    assert "diff 0 address 0x08009001" in text and "No more differences" in text


def test_workarea_erase_check_finds_the_sectors_in_use(openocd: Openocd) -> None:
    openocd.run("flash erase_sector 0 4 4; flash erase_sector 0 9 10")
    text = openocd.run("flash erase_check 0")
    blank = {4, 9, 10, *range(16, 64)}
    for sector in range(64):
        assert (f"#{sector:3d}: {sector * 1024:#010x} (0x400 1kB) not erased" in text) == (sector not in blank), sector


def test_workarea_write_over_used_cells_fails(openocd: Openocd, image: Path, tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(bytes([1]) * 512)
    openocd.run("flash erase_sector 0 8 8")
    text = openocd.fail(f"flash write_bank 0 {source} {0x2400 - 256:#x}")
    assert "flash not erased" in text
    assert openocd.read_bytes(FLASH_BASE + 0x2400 - 256, 256) == source.read_bytes()[:256]
    assert openocd.read_bytes(FLASH_BASE + 0x2400, 256) == image.read_bytes()[0x2400:0x2500]
    assert openocd.state() == "halted"
    openocd.run(f"flash write_image erase {source} {FLASH_BASE + 0x2400:#x} bin")


def test_workarea_registers_and_program_survive_an_algorithm(openocd: Openocd, tmp_path: Path) -> None:
    openocd.run("set_reg {r0 0x11 r1 0x22 r4 0x44 lr 0x55}")
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(range(256)))
    openocd.run(f"flash write_image erase {source} {FLASH_BASE + 0x8000:#x} bin")
    openocd.run("resume; halt")  # registers go back to the core when it runs
    for name, value in (("r0", 0x11), ("r1", 0x22), ("r4", 0x44), ("lr", 0x55), ("pc", FLASH_BASE + 0x40)):
        assert openocd.register(name) == value


def test_workarea_openocd_killed_while_the_loader_runs(
    board: Vboard, start_openocd: Callable[..., Openocd], tmp_path: Path
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(random.Random(8).randbytes(48 * 1024))
    openocd = start_openocd(board, WORKAREA_CONFIG)
    observer = tmp_path / "started"
    openocd.run("reset halt; flash erase_sector 0 16 63")
    openocd.send(f"close [open {observer} w]; flash write_bank 0 {source} 0x4000")
    wait_until(observer.exists, START_LIMIT_S, "OpenOCD to take the command")
    openocd.kill()
    openocd = start_openocd(board, WORKAREA_CONFIG)
    openocd.run("reset halt")
    openocd.run(f"flash write_image erase {source} {FLASH_BASE + 0x4000:#x} bin")
    assert "verified 49152 bytes" in openocd.run(f"verify_image {source} {FLASH_BASE + 0x4000:#x} bin")


def test_workarea_option_bytes_go_through_the_loader(openocd: Openocd) -> None:
    openocd.run("flash protect 0 1 1 on; reset halt")
    assert openocd.read_word(0x40022020) == 0xFFFFFFFD
    assert "protected" in openocd.fail("flash erase_sector 0 4 4")
