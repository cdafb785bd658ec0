"""Memory accesses of every width, files, and faults, through real OpenOCD."""

from __future__ import annotations

import random
import struct
from pathlib import Path
from typing import Callable

import pytest

from vboard_bench import FLASH_BASE, RAM_BASE, RAM_SIZE, Openocd, Vboard


@pytest.mark.parametrize("width", [8, 16, 32])
def test_read_memory_gives_the_bytes_of_flash(openocd: Openocd, image: Path, width: int) -> None:
    expected = image.read_bytes()
    size = width // 8
    for offset in (0, 3 * size, 4096 - 2 * size, len(expected) - 8 * size):
        values = openocd.read(FLASH_BASE + offset, width, 8)
        data = b"".join(value.to_bytes(size, "little") for value in values)
        assert data == expected[offset : offset + 8 * size]


@pytest.mark.parametrize("width", [8, 16, 32])
def test_write_memory_changes_only_its_lanes(openocd: Openocd, width: int) -> None:
    size = width // 8
    before = random.Random(width).randbytes(64)
    words = " ".join(hex(word) for word in struct.unpack("<16I", before))
    openocd.run(f"write_memory {RAM_BASE:#x} 32 {{{words}}}")
    expected = bytearray(before)
    for lane in range(0, 16, size):
        value = random.Random(lane).getrandbits(width)
        openocd.run(f"write_memory {RAM_BASE + 16 + lane:#x} {width} {value:#x}")
        expected[16 + lane : 16 + lane + size] = value.to_bytes(size, "little")
        assert openocd.read_bytes(RAM_BASE, 64) == expected


def test_long_write_crosses_the_auto_increment_boundary(openocd: Openocd) -> None:
    values = [random.Random(i).getrandbits(32) for i in range(64)]
    openocd.run(f"write_memory {RAM_BASE + 4096 - 128:#x} 32 {{{' '.join(map(hex, values))}}}")
    assert openocd.read(RAM_BASE + 4096 - 128, 32, 64) == values


def test_auto_increment_wraps_at_4_kib(openocd: Openocd) -> None:
    openocd.write_word(RAM_BASE, 0x11111111)
    openocd.write_word(RAM_BASE + 4096, 0x22222222)
    # All in one script: OpenOCD polls the core between two, which moves TAR.
    tar = openocd.run(
        f"vb.dap apreg 0 0 0x23000012; vb.dap apreg 0 4 {RAM_BASE + 4092:#x}; vb.dap apreg 0 0x0c 0x33333333;"
        "vb.dap apreg 0 0x0c 0x44444444; vb.dap apreg 0 4"
    )
    assert int(tar, 16) == RAM_BASE + 4
    openocd.run("reset halt")
    assert openocd.read(RAM_BASE + 4092, 32, 2) == [0x33333333, 0x22222222]
    assert openocd.read_word(RAM_BASE) == 0x44444444


def test_flash_is_also_at_address_zero(openocd: Openocd, image: Path) -> None:
    assert openocd.read_bytes(0x100, 64) == image.read_bytes()[0x100:0x140]


def test_load_dump_and_verify_image(openocd: Openocd, tmp_path: Path) -> None:
    source = tmp_path / "ram.bin"
    copy = tmp_path / "copy.bin"
    source.write_bytes(random.Random(7).randbytes(5003))
    assert "5003 bytes written" in openocd.run(f"load_image {source} {RAM_BASE + 1:#x} bin")
    openocd.run(f"dump_image {copy} {RAM_BASE + 1:#x} 5003")
    assert copy.read_bytes() == source.read_bytes()
    assert "verified 5003 bytes" in openocd.run(f"verify_image {source} {RAM_BASE + 1:#x} bin")
    openocd.run(f"write_memory {RAM_BASE + 99:#x} 8 {source.read_bytes()[98] ^ 1}")
    assert f"diff 0 address {RAM_BASE + 99:#x}" in openocd.fail(f"verify_image {source} {RAM_BASE + 1:#x} bin")


@pytest.mark.parametrize(
    "address",
    [FLASH_BASE + 64 * 1024, RAM_BASE + RAM_SIZE, RAM_BASE - 4, 0x40000000, 0x60000000, 0xE0041000, 0xFFFFFFFC],
)
def test_unmapped_reads_and_writes_fail_and_the_next_command_works(openocd: Openocd, address: int) -> None:
    openocd.write_word(RAM_BASE, 0xCAFEF00D)
    assert "failed to read memory" in openocd.fail(f"read_memory {address:#x} 32 1")
    assert openocd.read_word(RAM_BASE) == 0xCAFEF00D
    assert "failed to write memory" in openocd.fail(f"write_memory {address:#x} 32 0x1234")
    assert openocd.read_word(RAM_BASE) == 0xCAFEF00D
    assert openocd.state() == "halted"


def test_misaligned_access_faults(openocd: Openocd) -> None:
    openocd.fail(f"read_memory {RAM_BASE + 2:#x} 32 1")
    openocd.fail(f"write_memory {RAM_BASE + 1:#x} 16 1")
    openocd.write_word(RAM_BASE, 5)
    assert openocd.read_word(RAM_BASE) == 5


def test_read_that_runs_off_the_end_of_ram_fails(openocd: Openocd, tmp_path: Path) -> None:
    openocd.fail(f"dump_image {tmp_path}/out {RAM_BASE + RAM_SIZE - 64:#x} 128")
    openocd.run(f"dump_image {tmp_path}/out {RAM_BASE + RAM_SIZE - 64:#x} 64")
    assert (tmp_path / "out").stat().st_size == 64


def test_fault_address_flag_makes_ranges_fault(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], image: Path
) -> None:
    board = start_board(
        "--image", str(image), "--fault-address", f"{RAM_BASE + 0x100:#x}", "--fault-address", "0x08002000:1"
    )
    openocd = start_openocd(board)
    openocd.run("reset halt")
    openocd.write_word(RAM_BASE + 0xFC, 1)
    openocd.write_word(RAM_BASE + 0x104, 2)
    openocd.fail(f"write_memory {RAM_BASE + 0x100:#x} 32 3")
    openocd.fail(f"read_memory {RAM_BASE + 0x103:#x} 8 1")
    openocd.fail("read_memory 0x08002000 8 1")
    assert openocd.read(0x08002001, 8, 1) == [image.read_bytes()[0x2001]]
    assert openocd.read(RAM_BASE + 0xFC, 32, 1) + openocd.read(RAM_BASE + 0x104, 32, 1) == [1, 2]


def test_access_delay_is_taken_and_harmless(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], image: Path
) -> None:
    openocd = start_openocd(start_board("--image", str(image), "--access-delay-us", "200"))
    openocd.run("reset halt")
    assert openocd.read_bytes(FLASH_BASE, 256) == image.read_bytes()[:256]
