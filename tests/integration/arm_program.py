"""A small program for the virtual board, as an ELF file."""

import subprocess
from pathlib import Path

# Counts up r0 for ever; the loop begins four bytes behind the start.
COUNTER = """
.syntax unified
.thumb
.section .text
.global _start
.thumb_func
_start: movs r0, #0
    nop
loop: adds r0, #1
    b loop
.section .data
.word 0x11223344, 0x55667788
"""


def build_counter(place: Path, text: int, data: int) -> Path:
    """COUNTER with its code at `text` and eight bytes at `data`, made below `place`."""
    (place / "counter.s").write_text(COUNTER)
    for command in (["arm-none-eabi-as", "-mcpu=cortex-m3", "-o", "counter.o", "counter.s"],
                    ["arm-none-eabi-ld", "-Ttext", hex(text), "-Tdata", hex(data), "-o", "counter.elf", "counter.o"]):
        subprocess.run(command, cwd=place, check=True)
    return place / "counter.elf"
