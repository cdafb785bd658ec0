"""Code that changes while it runs: what is executed is what memory holds, whoever wrote it, and breakpoints count
from the moment they are set."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Callable, List

import pytest

import build_programs
from vboard_bench import (
    FLASH_BASE,
    RAM_BASE,
    RESULTS,
    START_LIMIT_S,
    WORKAREA_CONFIG,
    Openocd,
    Start,
    Vboard,
    run_to_end,
    wait_until,
)

LOOP = RAM_BASE + 0x1000
CODE = 0x200  # of the code under test, in flash
INCREMENT = FLASH_BASE + 0x14  # of programs/counter.S
FP_CTRL = 0xE0002000
FP_COMP0 = 0xE0002008
DWT_COMP0 = 0xE0001020
BKPT = 0xBE00


def movs_r0(value: int) -> int:
    """The instruction that puts 0 to 255 into r0."""
    return 0x2000 | value


def write_code(openocd: Openocd, address: int, code: List[int]) -> None:
    """Half-words into RAM."""
    openocd.run(f"write_memory {address:#x} 16 {{{' '.join(map(hex, code))}}}")


def run_from(openocd: Openocd, address: int) -> int:
    """Run up to a breakpoint instruction; returns r0."""
    openocd.run(f"set_reg {{r0 0xbad}}; resume {address:#x}; wait_halt 5000")
    assert openocd.read(openocd.register("pc"), 16, 1) == [BKPT]
    return openocd.register("r0")


def make_program(size: int, code: List[int]) -> bytes:
    """An image that starts with a branch to itself and has `code` at CODE."""
    image = struct.pack("<2IH", RAM_BASE + 0x2000, FLASH_BASE + 9, 0xE7FE).ljust(CODE, b"\xff")
    return (image + struct.pack(f"<{len(code)}H", *code)).ljust(size, b"\xff")


def test_code_rewritten_by_the_program_itself(load: Start) -> None:
    openocd = load(build_programs.read_hex("rewriter"))
    run_to_end(openocd)
    pairs = [(1, 0x111), (2, 0x111), (2, 0x122), (3, 0x122), (3, 0x133)]
    pairs += [(4, 0x144), (5, 0x155), (6, 0x166), (7, 0x166)]
    expected = [*(word for pair in pairs for word in pair), 0x200A, 5]
    assert openocd.read(RESULTS, 32, len(expected)) == expected


@pytest.mark.parametrize(
    ("width", "address", "value"),
    [(8, LOOP + 2, 2), (16, LOOP + 2, movs_r0(3)), (32, LOOP, movs_r0(4) << 16 | 0xBF00)],
)
def test_code_rewritten_by_the_debugger_while_it_runs(load: Start, width: int, address: int, value: int) -> None:
    openocd = load(build_programs.read_hex("counter"))
    write_code(openocd, LOOP, [0xBF00, movs_r0(1), 0x6010, 0xE7FB])  # nop; movs r0, #1; str r0, [r2]; b to the nop
    openocd.run(f"set_reg {{r2 {RESULTS:#x}}}; resume {LOOP:#x}")
    wait_until(lambda: openocd.read_word(RESULTS) == 1, START_LIMIT_S, "the loop to run")
    openocd.run(f"write_memory {address:#x} {width} {value:#x}")
    wait_until(lambda: openocd.read_word(RESULTS) not in (0, 1), START_LIMIT_S, "the new instruction")
    assert openocd.read_word(RESULTS) == {8: 2, 16: 3, 32: 4}[width]
    assert openocd.state() == "running"


@pytest.mark.parametrize(("width", "offset", "value"), [(8, 4, 0x22), (16, 4, 0x0022), (32, 4, 0x60100022)])
def test_second_half_rewritten_by_the_debugger_while_it_runs(
    load: Start, width: int, offset: int, value: int
) -> None:
    openocd = load(build_programs.read_hex("counter"))
    write_code(openocd, LOOP, [0xBF00, 0xF240, 0x0011, 0x6010, 0xE7FA])  # nop; movw r0, #0x11; str; b to the nop
    openocd.run(f"set_reg {{r2 {RESULTS:#x}}}; resume {LOOP:#x}")
    wait_until(lambda: openocd.read_word(RESULTS) == 0x11, START_LIMIT_S, "the loop to run")
    openocd.run(f"write_memory {LOOP + offset:#x} {width} {value:#x}")
    wait_until(lambda: openocd.read_word(RESULTS) == 0x22, START_LIMIT_S, "the new instruction")
    assert openocd.state() == "running"


def test_code_rewritten_in_a_waiting_loop(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    write_code(openocd, LOOP, [0xE7FE])  # b to itself: nothing changes until somebody changes it
    openocd.run(f"resume {LOOP:#x}")
    openocd.wait_state("running")
    write_code(openocd, LOOP, [BKPT])
    openocd.wait_state("halted")
    assert openocd.register("pc") == LOOP


@pytest.mark.parametrize("place", [FLASH_BASE + CODE, CODE])  # flash is at 0 as well
@pytest.mark.parametrize("workarea", [False, True])
@pytest.mark.parametrize("erase", ["flash erase_sector 0 0 0", "stm32f1x mass_erase 0"])
def test_code_in_flash_erased_and_programmed_anew(
    start_board: Callable[..., Vboard],
    start_openocd: Callable[..., Openocd],
    tmp_path: Path,
    place: int,
    workarea: bool,
    erase: str,
) -> None:
    image = tmp_path / "image.bin"
    image.write_bytes(make_program(1024, [movs_r0(1), BKPT]))
    board = start_board("--image", str(image))
    openocd = start_openocd(board, WORKAREA_CONFIG) if workarea else start_openocd(board)
    openocd.run("reset halt")
    assert run_from(openocd, place) == 1
    openocd.run(erase)
    # Erased cells are no instruction, and the vector table has gone as well: the core locks up.
    assert "clearing lockup" in openocd.fail(f"set_reg {{r0 0xbad}}; resume {place:#x}; wait_halt 5000")
    openocd.wait_state("halted")
    assert openocd.register("r0") == 0xBAD
    assert openocd.register("xPSR") & 0x1FF == 3
    image.write_bytes(make_program(1024, [movs_r0(2), BKPT]))
    openocd.run(f"reset halt; flash write_bank 0 {image} 0; reset halt")
    assert run_from(openocd, place) == 2


@pytest.mark.parametrize("place", [FLASH_BASE + CODE, CODE])
def test_code_in_flash_programmed_over_without_an_erase(load: Start, place: int) -> None:
    openocd = load(make_program(1024, [movs_r0(1), BKPT]))
    assert run_from(openocd, place) == 1
    openocd.write_word(0x40022004, 0x45670123)
    openocd.write_word(0x40022004, 0xCDEF89AB)
    openocd.write_word(0x40022010, 1)
    write_code(openocd, FLASH_BASE + CODE, [0])  # zeros may be programmed over anything: movs r0, r0
    assert run_from(openocd, place) == 0xBAD


def test_code_at_zero_follows_the_boot_memory(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], tmp_path: Path
) -> None:
    openocd = start_openocd(start_board())
    openocd.run(f"reset halt; set_reg {{pc {CODE:#x}}}; step")
    assert openocd.register("pc") == CODE, "the boot loader branches to itself here"
    image = tmp_path / "image.bin"
    image.write_bytes(make_program(1024, [movs_r0(5), BKPT]))
    openocd.run(f"flash write_bank 0 {image} 0; reset halt")
    assert run_from(openocd, CODE) == 5


def test_breakpoint_set_while_the_loop_runs(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    openocd.run("resume")
    wait_until(lambda: openocd.read_word(RESULTS) > 1000, START_LIMIT_S, "the counter to move")
    openocd.write_word(FP_CTRL, 3)
    openocd.write_word(FP_COMP0, 0x40000000 | INCREMENT | 1)
    openocd.wait_state("halted")
    assert openocd.register("pc") == INCREMENT
    stopped = openocd.read_word(RESULTS)
    openocd.write_word(FP_COMP0, 0)
    openocd.run("resume")
    wait_until(lambda: openocd.read_word(RESULTS) > stopped + 1000, START_LIMIT_S, "the counter to move on")
    openocd.run("halt")
    openocd.write_word(FP_COMP0, 0x40000000 | INCREMENT | 1)
    openocd.write_word(FP_CTRL, 2)
    openocd.run("resume")
    moved = openocd.read_word(RESULTS)
    wait_until(lambda: openocd.read_word(RESULTS) > moved + 1000, START_LIMIT_S, "a disabled unit to be passed")


def test_breakpoint_instruction_written_while_the_loop_runs(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    write_code(openocd, LOOP, [0x3001, 0x6010, 0xE7FC])  # adds r0, #1; str r0, [r2]; b to the first
    openocd.run(f"set_reg {{r0 0 r2 {RESULTS:#x}}}; resume {LOOP:#x}")
    wait_until(lambda: openocd.read_word(RESULTS) > 1000, START_LIMIT_S, "the loop to run")
    write_code(openocd, LOOP + 2, [BKPT])
    openocd.wait_state("halted")
    assert openocd.register("pc") == LOOP + 2
    assert openocd.register("r0") == openocd.read_word(RESULTS) + 1


def test_watchpoint_set_while_the_loop_runs(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    openocd.run("resume")
    wait_until(lambda: openocd.read_word(RESULTS) > 1000, START_LIMIT_S, "the counter to move")
    openocd.run(f"write_memory {DWT_COMP0:#x} 32 {{{RESULTS:#x} 0}}")
    openocd.write_word(DWT_COMP0 + 8, 6)
    openocd.wait_state("halted")
    assert INCREMENT + 4 <= openocd.register("pc") <= INCREMENT + 6


def test_interrupt_pended_while_the_loop_runs(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    write_code(openocd, LOOP, [BKPT])
    openocd.run("resume")
    wait_until(lambda: openocd.read_word(RESULTS) > 1000, START_LIMIT_S, "the counter to move")
    table = RAM_BASE + 0x2000
    openocd.run(f"write_memory {table + 0x40:#x} 32 {LOOP + 1:#x}")
    openocd.write_word(0xE000ED08, table)
    openocd.write_word(0xE000E100, 1)
    openocd.write_word(0xE000E200, 1)
    openocd.wait_state("halted")
    assert openocd.register("pc") == LOOP
    assert openocd.register("xPSR") & 0x1FF == 16


def test_code_at_an_odd_address_is_none(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    write_code(openocd, LOOP, [0xE842, 0x0F00])  # strex pc, r0, [r2] without its ldrex: PC becomes 1
    openocd.run(f"cortex_m vector_catch hard_err; set_reg {{r2 {RESULTS:#x}}}; resume {LOOP:#x}; wait_halt 5000")
    assert openocd.register("xPSR") & 0x1FF == 3
    assert openocd.read_word(0xE000ED28) == 0x100, "an instruction bus error"
