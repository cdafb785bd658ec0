"""Halting, resuming, resets, registers, and the debug port's own registers, through real OpenOCD."""

from __future__ import annotations

import struct
from typing import Callable

import pytest

from vboard_bench import FLASH_BASE, RAM_BASE, RAM_SIZE, START_LIMIT_S, Openocd, Vboard, wait_until

RESET_HANDLER = FLASH_BASE + 0x40


def test_attach_finds_a_running_cortex_m3(board: Vboard, start_openocd: Callable[..., Openocd]) -> None:
    openocd = start_openocd(board)
    assert openocd.state() == "running"
    log = "".join(openocd.log)
    assert "0x3ba00477" in log
    assert "Cortex-M3 r1p1 processor detected" in log
    assert "target has 6 breakpoints, 4 watchpoints" in log
    assert "Error" not in log


def test_halt_and_resume(board: Vboard, start_openocd: Callable[..., Openocd]) -> None:
    openocd = start_openocd(board)
    openocd.run("halt")
    assert openocd.state() == "halted"
    assert openocd.register("pc") == RESET_HANDLER
    openocd.run("resume")
    assert openocd.state() == "running"
    openocd.run("halt")
    assert openocd.state() == "halted"


def test_reset_halt_stops_at_the_reset_handler(openocd: Openocd) -> None:
    openocd.run("set_reg {pc 0x20000000 r0 5}")
    openocd.run("reset halt")
    assert openocd.state() == "halted"
    assert openocd.register("pc") == RESET_HANDLER
    assert openocd.register("msp") == RAM_BASE + RAM_SIZE
    assert openocd.register("xPSR") == 0x01000000
    assert openocd.register("r0") == 0
    assert openocd.register("lr") == 0xFFFFFFFF


def test_reset_run_leaves_the_core_running(openocd: Openocd) -> None:
    openocd.run("reset run")
    openocd.wait_state("running")
    openocd.run("halt")
    assert openocd.register("pc") == RESET_HANDLER


def test_reset_over_the_reset_line(board: Vboard, start_openocd: Callable[..., Openocd]) -> None:
    openocd = start_openocd(board)
    openocd.run("reset_config srst_only srst_nogate")
    openocd.run("reset halt")
    assert openocd.state() == "halted"
    assert openocd.register("pc") == RESET_HANDLER
    openocd.run("reset run")
    openocd.wait_state("running")


def test_reset_by_somebody_else_is_noticed(openocd: Openocd) -> None:
    openocd.run("resume")
    openocd.wait_state("running")
    openocd.send("write_memory 0xe000ed0c 32 0x05fa0004")
    wait_until(lambda: any("external reset detected" in line for line in openocd.log), START_LIMIT_S, "the reset")
    openocd.receive()
    openocd.wait_state("running")


def test_vectreset_resets_the_core_only(openocd: Openocd) -> None:
    openocd.write_word(0x40022004, 0x45670123)
    openocd.write_word(0x40022004, 0xCDEF89AB)
    openocd.run("set_reg {r4 77}")
    openocd.run("cortex_m reset_config vectreset; reset halt")
    assert openocd.register("r4") == 0
    assert openocd.read_word(0x40022010) & 0x80 == 0, "a core reset must not lock the flash controller"
    openocd.run("cortex_m reset_config sysresetreq; reset halt")
    assert openocd.read_word(0x40022010) & 0x80 == 0x80


@pytest.mark.parametrize("name", [*(f"r{i}" for i in range(13)), "lr", "msp", "psp"])
def test_registers_keep_what_is_written(openocd: Openocd, name: str) -> None:
    value = 0x13579BD0 ^ (ord(name[-1]) << 4)
    openocd.run(f"set_reg {{{name} {value:#x}}}")
    openocd.run("resume; halt")
    assert openocd.register(name) == value


def test_special_registers_keep_what_is_written(openocd: Openocd) -> None:
    openocd.run("set_reg {primask 1 basepri 0x40 faultmask 1 control 0}")
    openocd.run("resume; halt")
    assert openocd.register("primask") == 1
    assert openocd.register("basepri") == 0x40
    assert openocd.register("faultmask") == 1


def test_control_selects_the_process_stack(openocd: Openocd) -> None:
    openocd.run("set_reg {msp 0x20001000 psp 0x20002000}")
    openocd.run("resume; halt")
    assert openocd.register("sp") == 0x20001000
    openocd.run("set_reg {control 2}")
    openocd.run("resume; halt")
    assert openocd.register("sp") == 0x20002000
    assert openocd.register("msp") == 0x20001000


def test_memory_is_accessible_while_running(openocd: Openocd) -> None:
    openocd.run("resume")
    openocd.write_word(RAM_BASE, 0x600DF00D)
    assert openocd.read_word(RAM_BASE) == 0x600DF00D
    assert openocd.state() == "running"


def test_dhcsr_needs_its_key_and_reset_flag_clears_by_reading(openocd: Openocd) -> None:
    openocd.write_word(0xE000EDF0, 0x00000001)
    assert openocd.read_word(0xE000EDF0) & (1 << 17), "a write without the key must not resume the core"
    openocd.run("vb.dap apreg 0 4 0xe000edf0")
    openocd.write_word(0xE000ED0C, 0x05FA0004)
    first = openocd.read_word(0xE000EDF0)
    second = openocd.read_word(0xE000EDF0)
    assert second & (1 << 25) == 0
    assert first & (1 << 16)


def test_identification_registers(openocd: Openocd) -> None:
    assert openocd.read_word(0xE000ED00) == 0x411FC231
    assert openocd.read_word(0xE0042000) == 0x20036410
    assert openocd.read(0x1FFFF7E0, 16, 1) == [64]
    assert openocd.read_word(0xE0002000) & 0xFFE == 0x260
    assert openocd.read_word(0xE0001000) == 0x40000000
    assert int(openocd.run("vb.dap apreg 0 0xfc"), 16) == 0x14770011


def test_rom_table_names_the_debug_units(openocd: Openocd) -> None:
    text = openocd.run("dap info 0")
    for unit in ("0xe000e000", "0xe0001000", "0xe0002000"):
        assert unit in text
    assert "MEM-AP AHB3" in text


def test_breakpoint_comparators_are_registers(openocd: Openocd) -> None:
    openocd.run("bp 0x08000100 2 hw")
    assert openocd.read_word(0xE0002008) == 0x48000101
    openocd.run("bp 0x08000206 2 hw")
    assert openocd.read_word(0xE000200C) == 0x88000205
    openocd.run("rbp 0x08000100")
    assert openocd.read_word(0xE0002008) == 0


def test_vector_table_decides_where_reset_goes(openocd: Openocd, tmp_path) -> None:
    program = tmp_path / "other.bin"
    program.write_bytes(struct.pack("<2I", 0x20002000, FLASH_BASE + 0x11) + b"\xff" * 8 + b"\xfe\xe7")
    openocd.run(f"flash write_image erase {program} {FLASH_BASE:#x} bin")
    openocd.run("reset halt")
    assert openocd.register("pc") == FLASH_BASE + 0x10
    assert openocd.register("msp") == 0x20002000
