"""A small program for the virtual board, assembled and linked by Debian's binutils, and gdb to run it with."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, List, Optional, Sequence

SOURCE = """
    .syntax unified
    .cpu cortex-m3
    .thumb
    .word 0x20005000
    .word main + 1
    .rept 14
    .word hang + 1
    .endr
    .thumb_func
    .global main
main:
    movs r0, #0
loop:
    adds r0, #1
    .thumb_func
    .global turn
turn:
    nop
    b loop
    .thumb_func
hang:
    b hang
"""
LIMIT_S = 60.0


def build_program(directory: Path) -> Path:
    """`main` counts r0 up from 0 and comes past `turn` once for each; an ELF file for the start of the flash."""
    source, unit, program = (directory / f"program.{end}" for end in ("s", "o", "elf"))
    source.write_text(SOURCE)
    subprocess.run(["arm-none-eabi-as", "-g", "-o", unit, source], check=True, timeout=LIMIT_S)
    link = ["arm-none-eabi-ld", "-Ttext=0x08000000", "-e", "main", "-o", program, unit]
    subprocess.run(link, check=True, timeout=LIMIT_S)
    return program


def gdb_words(*commands: str, program: Optional[Path] = None) -> List[str]:
    """The arguments of a gdb that carries out the commands and ends."""
    words = ["-nx", "-batch", "-ex", "set confirm off"]
    for command in commands:
        words += ["-ex", command]
    return words + ([str(program)] if program is not None else [])


class Gdb:
    """A gdb that runs, or has run; its output is one text."""

    def __init__(self, words: Sequence[str], env: Optional[Dict[str, str]] = None) -> None:
        self.process = subprocess.Popen(
            list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env={**os.environ, **(env or {})}, errors="replace",
        )  # fmt: skip

    def finish(self) -> str:
        """What it has said, once it has ended by itself."""
        return self.process.communicate(timeout=LIMIT_S)[0]

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.communicate(timeout=LIMIT_S)


def run_gdb(address: str, *commands: str, program: Optional[Path] = None) -> str:
    """gdb-multiarch at a listener "tcp:HOST:PORT" or "unix:PATH"; what it says."""
    target = address.partition(":")[2]
    return Gdb(["gdb-multiarch", *gdb_words(f"target extended-remote {target}", *commands, program=program)]).finish()
