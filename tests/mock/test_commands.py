"""What tests can change about the board, and what that does to OpenOCD's commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from control import MockControl
from tclwire import Wire

RAM = 0x20000000
FLASH = 0x08000000


def test_memory_byte_order_is_the_targets(mock: MockControl, wire: Wire) -> None:
    mock.poke(RAM, bytes.fromhex("11223344"))
    assert wire.ask(b"read_memory 0x20000000 32 1") == b"0x44332211"
    mock.endian("big")
    assert wire.ask(b"read_memory 0x20000000 32 1") == b"0x11223344"
    assert wire.ask(b"vb.cpu cget -endian") == b"big"
    wire.ask(b"write_memory 0x20000000 16 {0xaabb 0xccdd}")
    assert mock.peek(RAM, 4) == bytes.fromhex("aabbccdd")
    assert b" big    vb.cpu" in wire.ask(b"targets")


def test_memory_width_64_works_where_allowed(mock: MockControl, wire: Wire) -> None:
    mock.poke(RAM, bytes(range(16)))
    assert wire.run(b"read_memory 0x20000000 64 2").code == 1
    mock.width64(True)
    assert wire.ask(b"read_memory 0x20000000 64 2") == b"0x706050403020100 0xf0e0d0c0b0a0908"
    wire.ask(b"write_memory 0x20000008 64 0x1122334455667788")
    assert mock.peek(RAM + 8, 8) == bytes.fromhex("8877665544332211")
    mock.width64(False)
    assert wire.run(b"read_memory 0x20000000 64 2").code == 1


@pytest.mark.parametrize("width", [8, 16, 32])
def test_memory_width_is_refused_on_demand(mock: MockControl, wire: Wire, width: int) -> None:
    mock.refuse_width(width)
    reply = wire.run(b"read_memory 0x20000000 %d 4" % width)
    assert (reply.code, reply.result) == (1, b"read_memory: failed to read memory")
    assert wire.run(b"write_memory 0x20000000 %d 4" % width).code == 1
    for other in {8, 16, 32} - {width}:
        assert wire.run(b"read_memory 0x20000000 %d 4" % other).code == 0
    mock.refuse_width(width, False)
    assert wire.run(b"read_memory 0x20000000 %d 4" % width).code == 0


def test_memory_faults_where_told(mock: MockControl, wire: Wire, tmp_path: Path) -> None:
    mock.fault_range(RAM + 0x10, RAM + 0x13)
    assert wire.run(b"read_memory 0x20000000 32 4").code == 0
    reply = wire.run(b"read_memory 0x20000000 32 5")
    assert b"Failed to read memory at 0x20000010\n" in reply.log
    assert wire.run(b"write_memory 0x2000000c 32 {1 2 3}").code == 1
    assert mock.peek(RAM + 12, 8) == bytes.fromhex("0100000000000000")
    assert wire.run(b"dump_image " + str(tmp_path / "dump").encode() + b" 0x20000000 64").code == -107
    mock.clear_fault_ranges()
    assert wire.run(b"read_memory 0x20000000 32 5").code == 0


def test_memory_reads_up_to_64k_elements(mock: MockControl, wire: Wire) -> None:
    words = wire.ask(b"read_memory 0x20000000 8 20480").split()
    assert len(words) == 20480
    data = bytes(index * 31 & 0xFF for index in range(4096))
    mock.poke(RAM, data)
    assert bytes(int(word, 0) for word in wire.ask(b"read_memory 0x20000000 8 4096").split()) == data


def test_flash_keeps_the_rules_of_nor(mock: MockControl, wire: Wire, tmp_path: Path) -> None:
    wire.ask(b"halt")
    image = tmp_path / "image"
    image.write_bytes(b"\xf0\x0f" * 512)
    path = str(image).encode()
    wire.ask(b"flash write_bank 0 " + path + b" 0x400")
    assert mock.peek(FLASH + 0x400, 1024) == image.read_bytes()
    image.write_bytes(b"\x00\x00\x12\x34")
    reply = wire.run(b"flash write_bank 0 " + path + b" 0x400")
    # Zero may be written over anything, whatever comes next may not.
    assert reply.code == -902
    assert b"stm32x device programming failed / flash not erased\n" in reply.log
    assert mock.peek(FLASH + 0x400, 4) == b"\x00\x00\xf0\x0f"
    wire.ask(b"flash erase_sector 0 1 1")
    assert mock.peek(FLASH + 0x400, 1024) == b"\xff" * 1024


def test_flash_protection_can_be_set_from_outside(mock: MockControl, wire: Wire) -> None:
    wire.ask(b"halt")
    mock.protect(1, 1, True)
    assert b"#  1: 0x00001000 (0x1000 4kB) protected" in wire.ask(b"flash info 0")
    assert wire.run(b"flash erase_sector 0 4 4").code == -909
    assert wire.run(b"flash erase_sector 0 0 0").code == 0
    mock.protect(1, 1, False)
    assert wire.run(b"flash erase_sector 0 4 4").code == 0


def test_target_state_changed_from_outside_is_seen(mock: MockControl, wire: Wire) -> None:
    assert wire.ask(b"vb.cpu curstate") == b"running"
    assert wire.run(b"flash erase_sector 0 0 0").code == -304
    mock.target_state("halted")
    assert wire.ask(b"vb.cpu curstate") == b"halted"
    assert wire.run(b"flash erase_sector 0 0 0").code == 0
    mock.target_state("running")
    assert wire.run(b"step").code == -304


@pytest.mark.parametrize("size", [65536, 131072, 262144])
def test_flash_size_is_an_option(size: int) -> None:
    with MockControl.start("--flash-size", str(size), "--ram-size", "65536") as mock:
        with Wire(mock.tcl_port, 10.0) as wire:
            assert b"size 0x%08x" % size in wire.ask(b"flash info 0")
            assert wire.run(b"read_memory 0x2000fffc 32 1").code == 0
            assert wire.run(b"read_memory 0x20010000 32 1").code == 1


@pytest.mark.parametrize("text, kind", [
    (b":020000040800F2\n:10020000001122334455667788\n", b"IHEX"), (b":0402300001020304C1\n:00000001FF\n", b"IHEX"),
    (b"S3150800030000112233445566778899AABBCCDDEEFF00\n", b"S19"), (b":0402300001020304C0\n", b"IHEX"),
])
def test_images_with_broken_records_are_refused(
    wire: Wire, tmp_path: Path, text: bytes, kind: bytes
) -> None:
    """Real OpenOCD says this as well, but may not survive it."""
    path = tmp_path / "image"
    path.write_bytes(text)
    reply = wire.run(b"load_image " + str(path).encode())
    assert reply.code == -4
    assert b"failed buffering " + kind + b" image" in reply.log
