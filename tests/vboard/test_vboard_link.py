"""The adapter's connection: disconnects, crashes, waiting adapters, Unix sockets, command line, exit."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
from pathlib import Path
from typing import Callable

import pytest

from vboard_bench import FLASH_BASE, RAM_BASE, START_LIMIT_S, Openocd, Vboard, vboard_executable, wait_until

TAP_RESET = b"2626262626"


def read_idcode(connection: socket.socket) -> int:
    """Reset the TAP bit by bit and shift out IDCODE; no OpenOCD involved."""
    to_shift_dr = b"04" + b"26" + b"04" + b"04"
    connection.sendall(TAP_RESET + to_shift_dr + b"0R4" * 32)
    reply = b""
    while len(reply) < 32:
        data = connection.recv(64)
        assert data, "the board closed the connection"
        reply += data
    return sum(1 << bit for bit, value in enumerate(reply) if value == ord("1"))


def test_link_speaks_jtag_bit_by_bit(board: Vboard) -> None:
    with socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S) as connection:
        assert read_idcode(connection) == 0x3BA00477
        connection.sendall(b"\x00\xff?Bb\n")
        assert read_idcode(connection) == 0x3BA00477


def test_link_bypass_is_one_bit_and_ir_captures_one(board: Vboard) -> None:
    with socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S) as connection:
        to_shift_ir = b"04" + b"26" + b"26" + b"04" + b"04"
        bypass = b"1R5" * 3 + b"3R7"
        to_shift_dr = b"26" + b"26" + b"04" + b"04"
        connection.sendall(TAP_RESET + to_shift_ir + bypass + to_shift_dr + b"1R5" + b"0R4" + b"1R5" + b"1R5")
        reply = b""
        while len(reply) < 8:
            reply += connection.recv(64)
        assert reply[:4] == b"1000"
        assert reply[4:] == b"0101"


def test_link_keeps_everything_over_a_reconnect(board: Vboard, start_openocd: Callable[..., Openocd]) -> None:
    openocd = start_openocd(board)
    openocd.run("reset halt; set_reg {r5 0x1234}; flash erase_sector 0 4 4; set_reg {pc 0x08000040}")
    openocd.run("resume; halt")
    openocd.write_word(RAM_BASE + 64, 0xFEEDBEEF)
    openocd.stop()
    openocd = start_openocd(board)
    assert openocd.state() == "halted"
    assert openocd.register("r5") == 0x1234
    assert openocd.read_word(RAM_BASE + 64) == 0xFEEDBEEF
    assert openocd.read_word(FLASH_BASE + 0x1000) == 0xFFFFFFFF


def test_link_survives_a_killed_openocd_in_the_middle(
    board: Vboard, start_openocd: Callable[..., Openocd], image: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new.bin"
    new.write_bytes(random.Random(11).randbytes(16 * 1024))
    for _ in range(3):
        openocd = start_openocd(board)
        openocd.run("reset halt; flash erase_sector 0 32 63")
        openocd.send(f"flash write_bank 0 {new} 0x8000")
        wait_until(lambda: any("falling back to single" in line for line in openocd.log), START_LIMIT_S, "the write")
        openocd.kill()
    openocd = start_openocd(board)
    assert openocd.state() == "halted"
    openocd.run("reset halt")
    assert openocd.read_bytes(FLASH_BASE, 1024) == image.read_bytes()[:1024]
    assert openocd.read_bytes(FLASH_BASE + 0xBFF0, 16) == b"\xff" * 16, "the write was cut short"
    new.write_bytes(new.read_bytes()[:512])
    openocd.run(f"flash write_image erase {new} 0x08008000 bin")
    assert openocd.read_bytes(FLASH_BASE + 0x8000, 512) == new.read_bytes()


def test_link_second_adapter_waits_for_the_first(board: Vboard) -> None:
    first = socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S)
    assert read_idcode(first) == 0x3BA00477
    second = socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S)
    second.sendall(TAP_RESET + b"R")
    second.settimeout(0.05)
    with pytest.raises(socket.timeout):
        second.recv(1)
    assert read_idcode(first) == 0x3BA00477
    first.close()
    second.settimeout(START_LIMIT_S)
    assert second.recv(1) in (b"0", b"1")
    assert read_idcode(second) == 0x3BA00477
    second.close()


def test_link_quit_byte_ends_the_connection(board: Vboard) -> None:
    with socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S) as connection:
        connection.sendall(b"Q")
        assert connection.recv(1) == b""
    with socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S) as connection:
        assert read_idcode(connection) == 0x3BA00477


def test_link_takes_a_flood_of_samples_before_any_is_read(board: Vboard) -> None:
    samples = 4 * 1024 * 1024
    with socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S) as connection:
        connection.setblocking(False)
        sent = received = 0
        chunk = b"R" * 65536
        while sent < samples:
            try:
                sent += connection.send(chunk[: samples - sent])
            except BlockingIOError:
                break  # both directions are full: the board has stopped reading
        connection.settimeout(START_LIMIT_S)
        while received < sent:
            received += len(connection.recv(65536))
        assert received == sent
        assert read_idcode(connection) == 0x3BA00477


def test_link_over_a_unix_socket(
    start_board: Callable[..., Vboard], start_openocd: Callable[..., Openocd], tmp_path: Path, image: Path
) -> None:
    path = tmp_path / "board.sock"
    board = start_board("--unix", str(path), "--image", str(image))
    openocd = start_openocd(board)
    openocd.run("reset halt")
    assert openocd.read_bytes(FLASH_BASE, 256) == image.read_bytes()[:256]
    openocd.stop()
    assert board.stop() == 0
    assert not path.exists()


def test_link_takes_over_a_stale_unix_socket(start_board: Callable[..., Vboard], tmp_path: Path) -> None:
    path = tmp_path / "board.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    board = start_board("--unix", str(path))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(START_LIMIT_S)
        wait_until(lambda: connection.connect_ex(str(path)) == 0, START_LIMIT_S, "the board's socket")
        assert read_idcode(connection) == 0x3BA00477
    assert board.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("connected", [False, True])
def test_link_ends_cleanly_on_a_signal(board: Vboard, number: signal.Signals, connected: bool) -> None:
    connection = socket.create_connection(("127.0.0.1", board.port), START_LIMIT_S) if connected else None
    if connection is not None:
        assert read_idcode(connection) == 0x3BA00477
    board.process.send_signal(number)
    assert board.process.wait(START_LIMIT_S) == 0
    assert not board.port_file.exists()
    assert board.process.stderr is not None and board.process.stderr.read() == "", "silent unless --verbose"
    if connection is not None:
        connection.close()


def run_vboard(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the board with flags that make it end at once."""
    return subprocess.run(
        [str(vboard_executable()), *arguments], capture_output=True, text=True, timeout=START_LIMIT_S, check=False
    )


def test_options_help_documents_every_flag() -> None:
    result = run_vboard("--help")
    assert result.returncode == 0
    flags = "port unix port-file flash-size ram-size image state boot-flash access-delay-us fault-address"
    for flag in [*flags.split(), "verbose", "help"]:
        assert f"--{flag}" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--port", "x"),
        ("--flash-size", "3K"),
        ("--flash-size", "516K"),
        ("--flash-size", "65"),
        ("--flash-size", "64M"),
        ("--ram-size", "0"),
        ("--ram-size", "99999999999999999999K"),
        ("--access-delay-us", "1000001"),
        ("--fault-address", "0x100000000"),
        ("--fault-address", "0x0:0"),
        ("--fault-address", "0xffffffff:2"),
        ("--fault-address", "12:"),
        ("--image", "/nonexistent/image"),
        ("--state", "/"),
        ("--unix", "/tmp/x", "--port-file", "/tmp/y"),
        ("--unix", "/" + "x" * 200),
        ("--port-file", "/nonexistent/port"),
        ("--nonsense",),
        ("stray",),
    ],
)
def test_options_refuse_what_makes_no_sense(arguments: tuple) -> None:
    result = run_vboard(*arguments)
    assert result.returncode == 1
    assert result.stderr.strip() and not result.stdout


def test_options_refuse_an_image_larger_than_flash(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(4097))
    result = run_vboard("--flash-size", "4K", "--image", str(path))
    assert result.returncode == 1
    assert "longer than 4096 bytes" in result.stderr


def test_options_refuse_a_port_in_use(board: Vboard) -> None:
    result = run_vboard("--port", str(board.port))
    assert result.returncode == 1
    assert str(board.port) in result.stderr
