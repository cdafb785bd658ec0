"""Make instruction_vectors.txt: random Thumb-2 instructions, and what another processor model makes of them.

Needs arm-none-eabi-gcc and qemu-arm (user mode). Each line of the file is one case:
code | flags r0 ... r10 before | flags r0 ... r10 after | the 64 bytes of scratch memory after | source
all in hexadecimal, with `=` for scratch memory that stays as it was. The code ends with `bx r11` and may use
the scratch memory at 0x20000000.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, List, Sequence, Tuple

from build_programs import COMPILER, COPIER, PROGRAMS, link

OUTPUT = Path(__file__).resolve().parent / "instruction_vectors.txt"
SEED = 2023
CASES = 300
FLASH_BASE = 0x08000000
TABLE_OFFSET = 0x200
REGISTERS = 11
RESULT_SIZE = 4 * (REGISTERS + 1) + 64
TABLE_ENTRY_WORDS = REGISTERS + 2
CONDITIONS = "eq ne cs cc mi pl vs vc hi ls ge lt gt le".split()
NOTABLE = (0, 1, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, 0x80000001, 31, 32, 33, 255, 0x100, 0xFFFF, 0x10000)

Case = Tuple[bytes, List[int], str]


class Writer:
    """Random assembly, one instruction or a short sequence at a time."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def pick(self, *choices: str) -> str:
        """One of the choices."""
        return self.random.choice(choices)

    def number(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return self.random.randint(low, high)

    def any(self) -> str:
        """A register that wide instructions reach."""
        return f"r{self.number(0, 10)}"

    def low(self) -> str:
        """A register that narrow instructions reach."""
        return f"r{self.number(0, 7)}"

    def modified_immediate(self) -> int:
        """A number that fits into the twelve bits of a modified immediate."""
        byte = self.number(0, 255)
        rotation = self.number(8, 31)
        value = 0x80 | byte & 0x7F
        rotated = (value >> rotation | value << (32 - rotation)) & 0xFFFFFFFF
        return self.random.choice([byte, byte | byte << 16, byte << 8 | byte << 24, byte * 0x01010101, rotated])

    def shift(self) -> str:
        """An optional shift of the last operand."""
        return self.pick(
            "",
            f", lsl #{self.number(0, 31)}",
            f", lsr #{self.number(1, 32)}",
            f", asr #{self.number(1, 32)}",
            f", ror #{self.number(1, 31)}",
            ", rrx",
        )

    def narrow(self) -> str:
        """A 16-bit data instruction."""
        same = self.low()
        immediate = f"{self.pick('lsls', 'lsrs', 'asrs')}.n {self.low()}, {self.low()}, #{self.number(1, 31)}"
        register = self.pick("ands", "eors", "lsls", "lsrs", "asrs", "adcs", "sbcs", "rors", "orrs", "bics")
        return self.pick(
            immediate,
            f"{self.pick('lsrs', 'asrs')}.n {self.low()}, {self.low()}, #32",
            f"{self.pick('adds', 'subs')}.n {self.low()}, {self.low()}, {self.low()}",
            f"{self.pick('adds', 'subs')}.n {self.low()}, {self.low()}, #{self.number(0, 7)}",
            f"{self.pick('movs', 'cmp')}.n {self.low()}, #{self.number(0, 255)}",
            f"{self.pick('adds', 'subs')}.n {same}, {same}, #{self.number(0, 255)}",
            f"{register}.n {same}, {same}, {self.low()}",
            f"{register}.n {same}, {same}, {self.low()}",
            f"{self.pick('tst', 'cmp', 'cmn', 'mvns')}.n {self.low()}, {self.low()}",
            f"rsbs.n {self.low()}, {self.low()}, #0",
            f"muls.n {same}, {self.low()}, {same}",
            f"add.n {same}, {self.any()}",
            f"mov.n {self.any()}, {self.any()}",
            f"cmp.n r{self.number(8, 10)}, {self.any()}",
            f"{self.pick('sxth', 'sxtb', 'uxth', 'uxtb')}.n {self.low()}, {self.low()}",
            f"{self.pick('rev', 'rev16', 'revsh')}.n {self.low()}, {self.low()}",
            f"{self.pick('cbz', 'cbnz')} {self.low()}, 9f\n movs r1, #77\n nop.w\n9:",
        )

    def wide(self) -> str:
        """A 32-bit data instruction."""
        low = self.number(0, 31)
        width = self.number(1, 32 - low)
        first, second = self.random.sample(range(REGISTERS), 2)
        flags = self.pick("", "s")
        operation = self.pick("and", "bic", "orr", "eor", "add", "adc", "sbc", "sub", "rsb", "orn")
        compare = self.pick("tst", "teq", "cmp", "cmn")
        saturate = self.pick("", f", lsl #{self.number(1, 31)}", f", asr #{self.number(1, 31)}")
        return self.pick(
            f"{operation}{flags}.w {self.any()}, {self.any()}, #{self.modified_immediate():#x}",
            f"{operation}{flags}.w {self.any()}, {self.any()}, #{self.modified_immediate():#x}",
            f"{operation}{flags}.w {self.any()}, {self.any()}, {self.any()}{self.shift()}",
            f"{operation}{flags}.w {self.any()}, {self.any()}, {self.any()}{self.shift()}",
            f"{compare}.w {self.any()}, #{self.modified_immediate():#x}",
            f"{compare}.w {self.any()}, {self.any()}{self.shift()}",
            f"{self.pick('mov', 'mvn')}{flags}.w {self.any()}, #{self.modified_immediate():#x}",
            f"mvn{flags}.w {self.any()}, {self.any()}{self.shift()}",
            f"{self.pick('movw', 'movt')} {self.any()}, #{self.number(0, 65535)}",
            f"{self.pick('addw', 'subw')} {self.any()}, {self.any()}, #{self.number(0, 4095)}",
            f"{self.pick('sbfx', 'ubfx', 'bfi')} {self.any()}, {self.any()}, #{low}, #{width}",
            f"bfc {self.any()}, #{low}, #{width}",
            f"ssat {self.any()}, #{self.number(1, 32)}, {self.any()}{saturate}",
            f"usat {self.any()}, #{self.number(0, 31)}, {self.any()}{saturate}",
            f"{self.pick('lsl', 'lsr', 'asr', 'ror')}{flags}.w {self.any()}, {self.any()}, {self.any()}",
            f"{self.pick('sxth', 'sxtb', 'uxth', 'uxtb')}.w {self.any()}, {self.any()}, ror #{8 * self.number(1, 3)}",
            f"{self.pick('rbit', 'clz')} {self.any()}, {self.any()}",
            f"{self.pick('rev', 'rev16', 'revsh')}.w {self.any()}, {self.any()}",
            f"{self.pick('mla', 'mls')} {self.any()}, {self.any()}, {self.any()}, {self.any()}",
            f"{self.pick('smull', 'umull', 'smlal', 'umlal')} r{first}, r{second}, {self.any()}, {self.any()}",
            f"{self.pick('sdiv', 'udiv', 'mul')} {self.any()}, {self.any()}, {self.any()}",
        )

    def conditional(self) -> str:
        """An IT block."""
        condition = self.pick(*CONDITIONS)
        opposite = CONDITIONS[CONDITIONS.index(condition) ^ 1]
        pattern = "".join(self.pick("t", "e") for _ in range(self.number(0, 3)))
        lines = [f"it{pattern} {condition}"]
        for letter in "t" + pattern:
            now = condition if letter == "t" else opposite
            same = self.low()
            lines.append(
                self.pick(
                    f"mov{now} {self.low()}, #{self.number(0, 255)}",
                    f"lsl{now} {self.low()}, {self.low()}, #{self.number(1, 31)}",
                    f"cmp{now} {self.low()}, {self.low()}",
                    f"ands{now}.w {self.low()}, {self.low()}, #{self.modified_immediate():#x}",
                    f"mul{now} {same}, {self.low()}, {same}",
                    f"{self.pick('add', 'sub')}{now} {self.low()}, {self.low()}, {self.low()}",
                )
            )
        return "\n ".join(lines)

    def branch(self) -> str:
        """A branch of every kind."""
        condition = self.pick(*CONDITIONS)
        entries = "(5f-8b)/2, (6f-8b)/2, (7f-8b)/2, (9f-8b)/2"
        arms = "5: adds r1, #1\n6: adds r1, #2\n7: adds r1, #4\n9:"
        return self.pick(
            f"b{condition}.n 9f\n adds r0, #1\n9:",
            f"b{condition}.w 9f\n adds r0, #1\n9:",
            f"and r0, r0, #3\n tbb [pc, r0]\n8: .byte {entries}\n{arms}",
            f"and r0, r0, #3\n tbh [pc, r0, lsl #1]\n8: .hword {entries}\n{arms}",
            "b.w 7f\n8: adds r2, #5\n bx lr\n7: bl 8b\n adr r3, 6f\n orr r3, #1\n blx r3\n movs r3, #0\n"
            " b 9f\n .balign 4\n6: adds r4, #1\n bx lr\n9:",
        )

    def memory(self) -> str:
        """A load or a store."""
        offset = self.number(0, 39)
        here = f"movw r9, #{offset}\n movt r9, #0x2000\n "
        aligned = f"movw r9, #{offset & ~3}\n movt r9, #0x2000\n "
        middle = "movw r9, #24\n movt r9, #0x2000\n "
        access = self.pick("ldr", "ldrb", "ldrh", "ldrsb", "ldrsh", "str", "strb", "strh")
        target = f"r{self.number(0, 8)}"
        first, second = self.random.sample(range(9), 2)
        several = ", ".join(f"r{i}" for i in sorted(self.random.sample(range(9), self.number(2, 5))))
        exclusive = self.pick("", "b", "h")
        return self.pick(
            here + f"{access}.w {target}, [r9, #{self.number(0, 19)}]",
            here + f"{access} {target}, [r9], #{self.number(-255, 255)}",
            here + f"{access} {target}, [r9, #{self.number(1, 19)}]!",
            middle + f"{access} {target}, [r9, #-{self.number(1, 24)}]",
            here + f"and r10, r10, #7\n {access}.w {target}, [r9, r10, lsl #{self.number(0, 1)}]",
            aligned + f"{self.pick('ldrd', 'strd')} r{first}, r{second}, "
            + self.pick("[r9, #8]", "[r9], #-12", "[r9, #4]!", "[r9]"),
            middle + f"{self.pick('ldmia', 'stmia', 'ldmdb', 'stmdb')}.w r9{self.pick('', '!')}, {{{several}}}",
            f"movw r7, #16\n movt r7, #0x2000\n {self.pick('ldmia', 'stmia')} r7!, {{r0, r2, r5}}",
            f"movw r6, #4\n movt r6, #0x2000\n {self.pick('ldr', 'str')}.n r5, [r6, #{4 * self.number(0, 7)}]",
            f"movw r6, #5\n movt r6, #0x2000\n {self.pick('ldrb', 'strb')}.n r5, [r6, #{self.number(0, 29)}]",
            f"movw r6, #6\n movt r6, #0x2000\n {self.pick('ldrh', 'strh')}.n r5, [r6, #{2 * self.number(0, 11)}]",
            f"movw r2, #8\n movt r2, #0x2000\n and r3, r3, #15\n {access}.n r5, [r2, r3]",
            aligned + f"ldrex{exclusive} r0, [r9]\n adds r0, #3\n strex{exclusive} r1, r0, [r9]\n"
            f" strex{exclusive} r2, r0, [r9]",
        )

    def value(self) -> int:
        """A register's value: any, or one at the edge of something."""
        anything = self.random.getrandbits(32)
        small = self.number(-40, 40) & 0xFFFFFFFF
        return self.random.choice([anything, anything, small, self.random.choice(NOTABLE)])

    def case(self) -> Tuple[str, List[int]]:
        """Source, and the flags and registers before it."""
        kinds: Sequence[Callable[[], str]] = (self.narrow, self.wide, self.conditional, self.branch, self.memory)
        kind = self.random.choices(kinds, (30, 35, 10, 10, 15))[0]
        return kind(), [self.number(0, 31) << 27] + [self.value() for _ in range(REGISTERS)]


def run(*command: str) -> None:
    """Run a tool that must succeed."""
    subprocess.run(command, check=True)


def assemble(sources: Sequence[str], directory: Path) -> List[bytes]:
    """The machine code of each source, all ending with `bx r11`."""
    text = " .syntax unified\n .cpu cortex-m3\n .thumb\n"
    for i, source in enumerate(sources):
        text += f" .section .case{i}, \"ax\"\n {source}\n bx r11\n .balign 4\n"
    (directory / "cases.s").write_text(text)
    run(COMPILER, "-mcpu=cortex-m3", "-mthumb", "-c", str(directory / "cases.s"), "-o", str(directory / "cases.o"))
    codes = []
    for i in range(len(sources)):
        target = directory / "case.bin"
        run(COPIER, "-O", "binary", "-j", f".case{i}", str(directory / "cases.o"), str(target))
        codes.append(target.read_bytes())
    return codes


def build_table(cases: Sequence[Tuple[bytes, List[int]]]) -> bytes:
    """What programs/vectors.S works through, for flash offset 0x200: the table, and the code behind it."""
    address = FLASH_BASE + TABLE_OFFSET + 4 * (TABLE_ENTRY_WORDS * len(cases) + 1)
    table = b""
    code = b""
    for machine_code, before in cases:
        table += (address + len(code)).to_bytes(4, "little")
        table += b"".join(word.to_bytes(4, "little") for word in before)
        code += machine_code
    return table + bytes(4) + code


def run_reference(cases: Sequence[Tuple[bytes, List[int]]], directory: Path) -> bytes:
    """What qemu-arm leaves in the list of results."""
    (directory / "table.bin").write_bytes(build_table(cases))
    (directory / "linux.S").write_text(
        f'#include "{PROGRAMS}/vectors.S"\n .org {TABLE_OFFSET:#x}\n .incbin "{directory}/table.bin"\n'
        ' .section .ram, "aw", %nobits\n .space 0x80000\n'
    )
    program = str(directory / "linux.elf")
    link(directory / "linux.S", Path(program), "-DLINUX", "-Wl,--section-start=.ram=0x20000000")
    return subprocess.run(["qemu-arm", "-cpu", "cortex-a7", program], check=True, capture_output=True).stdout


def initial_scratch() -> bytes:
    """What programs/vectors.S fills the scratch memory with before every case."""
    value = 0x83C5A7E9
    filled = b""
    for _ in range(16):
        filled += value.to_bytes(4, "little")
        value = (value + (value >> 7 | value << 25)) & 0xFFFFFFFF
    return filled


def words(values: Sequence[int]) -> str:
    """Eight digits each."""
    return " ".join(f"{value:08x}" for value in values)


def main() -> int:
    """Write the file."""
    writer = Writer(SEED)
    made = [writer.case() for _ in range(CASES)]
    with tempfile.TemporaryDirectory() as name:
        codes = assemble([source for source, _ in made], Path(name))
        cases = [(code, before) for code, (_, before) in zip(codes, made)]
        results = run_reference(cases, Path(name))
    if len(results) != CASES * RESULT_SIZE:
        print(f"{len(results)} bytes of results, not {CASES * RESULT_SIZE}", file=sys.stderr)
        return 1
    lines = []
    for i, (source, before) in enumerate(made):
        result = results[i * RESULT_SIZE : (i + 1) * RESULT_SIZE]
        registers = [int.from_bytes(result[j : j + 4], "little") for j in range(0, 4 * (REGISTERS + 1), 4)]
        after = registers[REGISTERS:] + registers[:REGISTERS]
        text = "; ".join(line.strip() for line in source.splitlines())
        scratch = "=" if result[-64:] == initial_scratch() else result[-64:].hex()
        lines.append(f"{codes[i].hex()} | {words(before)} | {words(after)} | {scratch} | {text}")
    OUTPUT.write_text("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
