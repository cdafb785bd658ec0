"""Programs on the board's core: compiled C, single instructions, exceptions, stepping, breakpoints."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Callable, List, Tuple

import pytest

import build_programs
from make_instruction_vectors import RESULT_SIZE, TABLE_OFFSET, build_table, initial_scratch
from vboard_bench import (
    FLASH_BASE,
    RAM_BASE,
    RESULTS,
    START_LIMIT_S,
    Openocd,
    Start,
    Vboard,
    run_to_end,
    wait_until,
)

VECTORS = Path(__file__).resolve().parent / "instruction_vectors.txt"
COUNTER_LOOP = FLASH_BASE + 0xE
COUNTER_INCREMENT = FLASH_BASE + 0x14

needs_compiler = pytest.mark.skipif(not build_programs.has_compiler(), reason="no ARM cross compiler")


@pytest.mark.parametrize("name", build_programs.ASSEMBLY)
@needs_compiler
def test_program_images_are_what_their_sources_say(name: str) -> None:
    assert build_programs.build(name) == build_programs.read_hex(name)


@pytest.fixture(scope="module")
def selftest_results(tmp_path_factory: pytest.TempPathFactory) -> List[int]:
    """What programs/selftest.c computes on this machine."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler for this machine")
    program = tmp_path_factory.mktemp("host") / "selftest"
    source = build_programs.PROGRAMS / "selftest.c"
    subprocess.run([compiler, "-O1", "-DHOST", "-o", str(program), str(source)], check=True)
    output = subprocess.run([str(program)], check=True, capture_output=True, text=True, timeout=START_LIMIT_S).stdout
    return [int(line, 16) for line in output.split()]


@pytest.mark.parametrize(
    "optimisation", [None, *(pytest.param(level, marks=needs_compiler) for level in ("0", "1", "2", "3", "s"))]
)
def test_program_in_c_computes_what_this_machine_does(
    load: Start, selftest_results: List[int], optimisation: str
) -> None:
    image = build_programs.build("selftest", optimisation) if optimisation else build_programs.read_hex("selftest")
    openocd = load(image)
    run_to_end(openocd)
    assert openocd.read(RESULTS, 32, len(selftest_results)) == selftest_results


def test_program_in_c_gets_checksums_right(load: Start) -> None:
    openocd = load(build_programs.read_hex("selftest"))
    run_to_end(openocd)
    message = bytes((i * 7 + (i >> 3)) & 0xFF for i in range(1000))
    results = openocd.read(RESULTS + 4, 32, 9)
    assert results[0] == zlib.crc32(message)
    assert struct.pack(">8I", *results[1:]) == hashlib.sha256(message).digest()


def read_vectors() -> List[Tuple[bytes, List[int], bytes, str]]:
    """Cases as code, registers before, the expected result record, and source."""
    cases = []
    for line in VECTORS.read_text().splitlines():
        code, before, after, scratch, source = (part.strip() for part in line.split("|", 4))
        flags, *registers = (int(word, 16) for word in after.split())
        memory = initial_scratch() if scratch == "=" else bytes.fromhex(scratch)
        expected = struct.pack("<12I", *registers, flags) + memory
        cases.append((bytes.fromhex(code), [int(word, 16) for word in before.split()], expected, source))
    return cases


def test_program_instructions_agree_with_another_model(load: Start) -> None:
    cases = read_vectors()
    assert len(cases) >= 300
    program = build_programs.read_hex("vectors").ljust(TABLE_OFFSET, b"\xff")
    openocd = load(program + build_table([(code, before) for code, before, _, _ in cases]), "--ram-size", "64K")
    run_to_end(openocd)
    results = openocd.read_bytes(RESULTS, RESULT_SIZE * len(cases))
    wrong = [
        source
        for i, (_, _, expected, source) in enumerate(cases)
        if results[i * RESULT_SIZE : (i + 1) * RESULT_SIZE] != expected
    ]
    assert wrong == []


def test_program_takes_exceptions_as_the_architecture_says(load: Start) -> None:
    openocd = load(build_programs.read_hex("exceptions"))
    openocd.run(f"write_memory {RESULTS:#x} 32 {{{'0 ' * 80}}}")
    run_to_end(openocd)
    thread, handler, process = 0xFFFFFFF9, 0xFFFFFFF1, 0xFFFFFFFD
    line1 = 17
    expected = [
        *(5, thread, 1, 2, 0x1234),  # SVC: number, link, stacked r0 and r1, what it put into r0
        *(6, thread, 0x200, 0x201, 0x100),  # PendSV after SVC
        *(0x210, line1, handler, 0x211, 0x230, 0x101),  # line 1 preempts line 0, line 2 waits for its end
        *(0x102, line1, thread, 0x103),  # PRIMASK
        *(line1, thread, 0x104, 0x230, 0x105),  # BASEPRI
        *(7, process, 2),  # SVC from the process stack, CONTROL after it
        0x00010000,  # UNDEFINSTR
        0x02000000,  # DIVBYZERO
        0x01000000,  # UNALIGNED
        *(0x60000000, 0x8200),  # BFAR; PRECISERR, BFARVALID
        0x00080000,  # NOCP
        *(0x40000000, 0x60000004, 0x8200),  # FORCED
        *(0x40000000, 0xE000ED00, 0x8200),  # unprivileged
        *(0, 1, 8, thread, 0),  # PRIMASK and CONTROL unchanged; back to privileged by SVC
        *(0x106, 0x107, 4),  # ticks
        *(0x108, line1, thread, 0x109),  # WFI with PRIMASK set
        *(0, 0x20002000),  # IPSR, SP
    ]
    assert openocd.read(RESULTS, 32, len(expected) + 1) == expected + [0]


def test_program_runs_while_openocd_looks_on(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    openocd.run("resume")
    first = openocd.read_word(RESULTS)
    wait_until(lambda: openocd.read_word(RESULTS) > first + 1000, START_LIMIT_S, "the counter to move")
    assert openocd.state() == "running"
    openocd.run("halt")
    stopped = openocd.read_word(RESULTS)
    assert COUNTER_LOOP <= openocd.register("pc") < COUNTER_INCREMENT + 8
    assert openocd.read_word(RESULTS) == stopped


def test_step_executes_one_instruction(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    addresses = []
    for _ in range(9):
        openocd.run("step")
        addresses.append(openocd.register("pc") - FLASH_BASE)
    assert addresses == [0xA, 0xC, 0xE, 0x14, 0x16, 0x18, 0x1A, 0x12, 0xE]
    assert openocd.read_word(RESULTS) == 1
    assert openocd.register("lr") == FLASH_BASE + 0x13


def test_step_keeps_interrupts_out_when_masked(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    openocd.run("cortex_m maskisr on")
    openocd.write_word(0xE000E100, 1)
    openocd.write_word(0xE000E200, 1)
    openocd.run("step")
    assert openocd.register("pc") == FLASH_BASE + 0xA
    assert openocd.read_word(0xE000E200) == 1
    openocd.run("cortex_m maskisr off; step")
    assert openocd.register("xPSR") & 0x1FF == 16


def test_breakpoint_stops_before_its_instruction_every_time(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    openocd.run(f"bp {COUNTER_INCREMENT:#x} 2 hw")
    for count in range(4):
        openocd.run("resume; wait_halt 5000")
        assert openocd.register("pc") == COUNTER_INCREMENT
        assert openocd.read_word(RESULTS) == count
    openocd.run(f"rbp {COUNTER_INCREMENT:#x}; resume")
    wait_until(lambda: openocd.read_word(RESULTS) > 100, START_LIMIT_S, "the counter to move")
    assert openocd.state() == "running"


def test_breakpoint_comparators_run_out_after_six(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    for i in range(6):
        openocd.run(f"bp {FLASH_BASE + 0x100 + 4 * i:#x} 2 hw")
    assert "free FPB Comparator" in openocd.fail(f"bp {FLASH_BASE + 0x200:#x} 2 hw")


def test_breakpoint_instruction_in_ram_stops_the_core(load: Start) -> None:
    openocd = load(build_programs.read_hex("counter"))
    code = struct.unpack("<4H", bytes.fromhex("0130 0130 0130 fbe7"))  # three times adds r0, #1; b to the first
    openocd.run(f"write_memory {RAM_BASE:#x} 16 {{{' '.join(map(hex, code))}}}")
    openocd.run(f"set_reg {{r0 0}}; bp {RAM_BASE + 4:#x} 2; resume {RAM_BASE:#x}; wait_halt 5000")
    assert openocd.register("pc") == RAM_BASE + 4
    assert openocd.register("r0") == 2
    openocd.run("resume; wait_halt 5000")
    assert openocd.register("r0") == 5


@pytest.mark.parametrize(("kind", "address"), [("w", 0x18), ("r", 0x16), ("a", 0x16)])
def test_watchpoint_stops_after_the_access(load: Start, kind: str, address: int) -> None:
    openocd = load(build_programs.read_hex("counter"))
    openocd.run("step 0x08000008; step; step")
    openocd.run(f"wp {RESULTS:#x} 4 {kind}; resume; wait_halt 5000")
    assert openocd.register("pc") - FLASH_BASE in (address, address + 2)
    assert "watchpoint" in "".join(openocd.log) + openocd.run("poll")
    assert openocd.read_word(RESULTS) == (1 if kind == "w" else 0)
    openocd.run(f"rwp {RESULTS:#x}; resume")
    wait_until(lambda: openocd.read_word(RESULTS) > 100, START_LIMIT_S, "the counter to move")


def test_vector_catch_stops_in_the_hard_fault(load: Start) -> None:
    openocd = load(build_programs.read_hex("exceptions"))
    openocd.run("cortex_m vector_catch hard_err; resume; wait_halt 5000")
    assert openocd.register("xPSR") & 0x1FF == 3
    assert openocd.read_word(0xE000ED38) == 0x60000004


def is_asleep(process_id: int) -> bool:
    """Whether the process waits rather than runs."""
    stat = Path(f"/proc/{process_id}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0] == "S"


def test_waiting_loop_costs_nothing_and_ends_when_memory_changes(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], tmp_path: Path
) -> None:
    (tmp_path / "waiter.bin").write_bytes(build_programs.read_hex("waiter"))
    board = start_board("--image", str(tmp_path / "waiter.bin"))
    wait_until(lambda: all(is_asleep(board.process.pid) for _ in range(50)), START_LIMIT_S, "the board to wait")
    openocd = start_openocd(board)
    openocd.run("reset run")
    openocd.wait_state("running")
    openocd.write_word(RESULTS, 1)
    wait_until(lambda: openocd.read_word(0xE000EDF0) & (1 << 18) != 0, START_LIMIT_S, "the core to sleep in WFI")
    assert openocd.state() == "running"
    openocd.write_word(0xE000E100, 1)
    openocd.write_word(0xE000E200, 1)
    openocd.wait_state("halted")
    assert openocd.register("r2") == 3


def test_sleeping_core_can_be_halted(load: Start) -> None:
    openocd = load(build_programs.read_hex("waiter"))
    openocd.write_word(RESULTS, 1)
    openocd.run("resume")
    wait_until(lambda: openocd.read_word(0xE000EDF0) & (1 << 18) != 0, START_LIMIT_S, "the core to sleep in WFI")
    openocd.run("halt")
    assert openocd.register("r2") == 2
    openocd.run("resume; reset halt")
    assert openocd.register("pc") == FLASH_BASE + 8


def test_blank_board_waits_in_its_boot_loader(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], tmp_path: Path
) -> None:
    openocd = start_openocd(start_board())
    assert openocd.state() == "running"
    openocd.run("halt")
    assert 0x1FFFF000 <= openocd.register("pc") < 0x1FFFF800
    program = tmp_path / "counter.bin"
    program.write_bytes(build_programs.read_hex("counter"))
    openocd.run(f"reset halt; flash write_image {program} 0x08000000 bin; reset halt")
    assert openocd.register("pc") == FLASH_BASE + 8
    openocd.run("flash erase_sector 0 0 last; reset run")
    openocd.wait_state("running")
    assert not any("Error" in line for line in openocd.log if "work" not in line)


def test_blank_board_that_boots_from_flash_locks_up(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd]
) -> None:
    openocd = start_openocd(start_board("--boot-flash"))
    openocd.wait_state("halted")
    assert any("clearing lockup after double fault" in line for line in openocd.log)
    assert openocd.register("xPSR") & 0x1FF == 3
    openocd.run("reset halt")
    assert openocd.register("msp") == 0xFFFFFFFC
