"""Every example of the Python client's documents, as printed, each on a fresh, halted and blank board."""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import textwrap
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple

import pytest
from protocol_check import Validator

import ocdmux
from conftest import ROOT
from harness.client import Client
from harness.stack import FLASH_BASE, KIB, Stack, make_image

DOCUMENT = ROOT / "tools" / "python" / "EXAMPLES.md"
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    code: str
    prints: str


TEXT = DOCUMENT.read_text() + (ROOT / "README.md").read_text()
EXAMPLES = [Example(*(group or "" for group in found.groups())) for found in BLOCK.finditer(TEXT)]
FIRMWARE = make_image(1 * KIB)


def _hex_file(data: bytes) -> str:
    lines = [bytes([2, 0, 0, 4]) + (FLASH_BASE >> 16).to_bytes(2, "big")]
    lines += [bytes([16]) + at.to_bytes(2, "big") + b"\0" + data[at:at + 16] for at in range(0, len(data), 16)]
    lines.append(bytes([0, 0, 0, 1]))
    return "".join(f":{line.hex().upper()}{-sum(line) & 0xFF:02X}\n" for line in lines)


def _run_example(code: str) -> None:
    """What stands at the top of a block may await; where it has no connection it gets one."""
    if "Session.connect" not in code:
        code = "async with Session.connect() as session:\n" + textwrap.indent(code, "    ")
    if re.search(r"^(async with|await)", code, re.MULTILINE):
        code = "async def example():\n" + textwrap.indent(code, "    ") + "\nasyncio.run(example())\n"
    names: Dict[str, Any] = {"asyncio": asyncio, "Session": ocdmux.Session, "RequestTimeout": ocdmux.RequestTimeout}
    exec(compile(code, str(DOCUMENT), "exec"), names)


def _matches(printed: str, wanted: str) -> bool:
    """A line of three dots stands for any further lines."""
    if wanted.endswith("...\n"):
        return printed.startswith(wanted[:-4])
    return printed == wanted


def _check_board(code: str, client: Client, directory: Path) -> None:
    """What the example should have done."""
    def flash(offset: int, size: int) -> str:
        return str(client.call("flash.read", offset=offset, size=size, encoding="hex")["data"])

    def ram(address: int, size: int) -> str:
        return str(client.call("memory.read_bytes", address=address, size=size, encoding="hex")["data"])

    checks: Dict[str, Callable[[], bool]] = {
        "read_to_file(": lambda: (directory / "flash_dump.bin").read_bytes() == b"\xff" * 256 * KIB,
        "flash.write(": lambda: flash(0x1000, 5) == "01020304ff",
        "write_image(": lambda: flash(0, KIB) == FIRMWARE.hex(),
        "flash.erase": lambda: flash(0, 16) == "ff" * 16,
        "protect(": lambda: [
            sector["protected"] for sector in client.call("flash.info")["sectors"][:9]
        ] == [True] * 2 + [False] * 7,
        "write_u32(": lambda: (ram(0x20000000, 12), ram(0x20001000, 4), ram(0x20002000, 5)) == (
            "111111112222222233333333", "34127856", "48656c6c6f"
        ),
        "write_bytes(": lambda: bytes.fromhex(ram(0x20000000, 14)) == b"Hello, target!",
        "memory.dump(": lambda: (directory / "flash_dump.bin").read_bytes() == b"\xff" * 128 * KIB,
    }
    for name, check in checks.items():
        assert name not in code or check(), name


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_run_as_printed(
    number: int, tmp_path: Path, validator: Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = EXAMPLES[number]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "firmware.hex").write_text(_hex_file(FIRMWARE))
    (tmp_path / "firmware.bin").write_bytes(FIRMWARE)
    (tmp_path / "golden.bin").write_bytes(FIRMWARE)
    (tmp_path / "stack").mkdir()
    with Stack(tmp_path / "stack", validator, flash_size=256 * KIB) as stack:
        client = stack.client()
        client.call("target.halt")
        monkeypatch.setenv("OCDMUX_SERVER", stack.daemon.address)
        monkeypatch.chdir(tmp_path)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            _run_example(example.code)
        assert _matches(out.getvalue(), example.prints), out.getvalue()
        _check_board(example.code, client, tmp_path)


def test_examples_are_all_found() -> None:
    used: List[str] = re.findall(r"(?:flash|memory)\.(\w+)\(", "".join(each.code for each in EXAMPLES))
    named = set("banks info read read_to_file write write_image erase_sector erase_all protect verify".split())
    named |= set("read_u8 read_u16 read_u32 read_bytes write_u8 write_u16 write_u32 write_bytes hexdump search dump".split())
    assert len(EXAMPLES) == TEXT.count("```python") and named <= set(used)
