"""Build the test programs in programs/ with an ARM cross compiler.

Run as a script, it writes programs/NAME.hex for every program, so that the tests need no cross compiler.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

PROGRAMS = Path(__file__).resolve().parent / "programs"
COMPILER = "arm-none-eabi-gcc"
COPIER = "arm-none-eabi-objcopy"
ASSEMBLY = ("counter", "exceptions", "rewriter", "vectors", "waiter")
BYTES_A_LINE = 32


def has_compiler() -> bool:
    """Whether the cross compiler is installed."""
    return shutil.which(COMPILER) is not None and shutil.which(COPIER) is not None


def link(source: Path, output: Path, *flags: str) -> None:
    """Assemble or compile one source, and link it to the start of flash."""
    place = f"-Wl,-T,{PROGRAMS}/program.ld" if source.suffix == ".c" else "-Wl,-Ttext=0x08000000"
    command = [COMPILER, "-mcpu=cortex-m3", "-mthumb", "-nostdlib", "-ffreestanding", "-Wl,--build-id=none"]
    command += ["-Wl,--no-warn-rwx-segments", "-Wl,-e,start", place, *flags, "-o", str(output), str(source)]
    subprocess.run([*command, "-lgcc"], check=True)


def build(name: str, optimisation: Optional[str] = None) -> bytes:
    """The flash image of one program; `optimisation` is 0, 1, 2, 3 or s for those in C."""
    source = PROGRAMS / f"{name}.{'S' if name in ASSEMBLY else 'c'}"
    with tempfile.TemporaryDirectory() as directory:
        linked = Path(directory) / "program.elf"
        image = Path(directory) / "program.bin"
        link(source, linked, *([f"-O{optimisation}"] if optimisation else []))
        subprocess.run([COPIER, "-O", "binary", str(linked), str(image)], check=True)
        return image.read_bytes()


def read_hex(name: str) -> bytes:
    """The committed flash image of one program."""
    return bytes.fromhex((PROGRAMS / f"{name}.hex").read_text())


def write_hex(name: str, image: bytes) -> None:
    """Commit a flash image: plain hexadecimal, 32 bytes a line."""
    lines = [image[i : i + BYTES_A_LINE].hex() for i in range(0, len(image), BYTES_A_LINE)]
    (PROGRAMS / f"{name}.hex").write_text("\n".join(lines) + "\n")


def main() -> int:
    """Rebuild every committed image."""
    if not has_compiler():
        print(f"{COMPILER} is not installed", file=sys.stderr)
        return 1
    for name in ASSEMBLY:
        write_hex(name, build(name))
    write_hex("selftest", build("selftest", "2"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
