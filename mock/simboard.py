"""The simulated board: memory map, NOR flash with its option bytes, core registers.

An STM32F1-like part: flash at 0x08000000, RAM at 0x20000000, DBGMCU, the flash
controller's readable registers, system memory with a boot loader and the size
word.  What the part booted from is mirrored at 0: flash, or the boot loader when
the first word of flash was erased.  Accesses anywhere else fault, as do misaligned ones.  The core knows no
instruction but NOP and the plain branch: a running one goes on from one to the
next until it finds another or has come round, and then stands still.
"""

from __future__ import annotations

import struct
from typing import Dict, List, Optional, Set, Tuple, Union

FLASH_BASE = 0x08000000
RAM_BASE = 0x20000000
OPTION_BASE = 0x1FFFF800
SYSTEM_BASE = 0x1FFFF000
SYSTEM_SIZE = 0x800
SIZE_WORD = 0x1FFFF7E0
UNIQUE_ID = 0x1FFFF7E8
LOADER_ENTRY = 0x1FFFF200
LOADER_STACK = 0x20000200
FPEC_BASE = 0x40022000
FPEC_SIZE = 0x400
DBGMCU_IDCODE = 0xE0042000
DBGMCU_CR = 0xE0042004
BLOCK_SIZE = 4096

_DEFAULT_OPTIONS = bytes([0xA5, 0x5A] + [0xFF, 0x00] * 7)


def _system_memory(flash_size: int) -> bytes:
    """Factory-programmed bytes: a boot loader that loops, the flash size in KiB, a unique id."""
    memory = bytearray(b"\xff" * SYSTEM_SIZE)
    entry = LOADER_ENTRY - SYSTEM_BASE
    memory[:entry] = struct.pack("<I", LOADER_ENTRY | 1) * (entry // 4)
    struct.pack_into("<I", memory, 0, LOADER_STACK)
    struct.pack_into("<H", memory, entry, 0xE7FE)
    struct.pack_into("<H", memory, SIZE_WORD - SYSTEM_BASE, flash_size // 1024)
    memory[UNIQUE_ID - SYSTEM_BASE:UNIQUE_ID - SYSTEM_BASE + 12] = bytes(range(0x10, 0x1C))
    return bytes(memory)


_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}

CORE_REGISTERS = [
    ("r0", 32), ("r1", 32), ("r2", 32), ("r3", 32), ("r4", 32), ("r5", 32), ("r6", 32),
    ("r7", 32), ("r8", 32), ("r9", 32), ("r10", 32), ("r11", 32), ("r12", 32), ("sp", 32),
    ("lr", 32), ("pc", 32), ("xPSR", 32), ("msp", 32), ("psp", 32),
    ("pmsk_bpri_fltmsk_ctrl", 32), ("primask", 1), ("basepri", 8), ("faultmask", 1), ("control", 3),
]
_RUN_LIMIT = 64


class BusFault(Exception):
    """An access that the bus refused; `address` is that of the element that failed."""

    def __init__(self, address: int) -> None:
        super().__init__("0x%08x" % address)
        self.address = address


class Board:
    """Memory and core of the board.  Sizes in bytes; flash in steps of 4 KiB."""

    def __init__(self, flash_size: int = 128 * 1024, ram_size: int = 20 * 1024) -> None:
        if flash_size % BLOCK_SIZE or not BLOCK_SIZE <= flash_size <= 512 * 1024:
            raise ValueError("flash size must be 4 KiB to 512 KiB in steps of 4 KiB")
        self.flash = bytearray(b"\xff" * flash_size)
        self.ram = bytearray(ram_size)
        self.system = _system_memory(flash_size)
        self.boots_loader = True
        self.page_size = 1024 if flash_size <= 128 * 1024 else 2048
        self.options = bytearray(_DEFAULT_OPTIONS)
        self.dbgmcu_cr = 0
        self.endian = "little"
        self.width64 = False
        self.refused_widths: Set[int] = set()
        self.faults: List[Tuple[int, int]] = []
        self.registers: Dict[str, int] = {}
        self.halted = False
        self.stops: Set[int] = set()
        self.wrpr = 0xFFFFFFFF
        self.start()

    # --- reset and option bytes ---------------------------------------------

    def reset(self) -> None:
        """System reset: core registers from the vector table, option bytes loaded."""
        self.boots_loader = self.flash[:4] == b"\xff\xff\xff\xff"
        stack, entry = struct.unpack_from("<II", self.system if self.boots_loader else self.flash, 0)
        self.registers = {name: 0 for name, _ in CORE_REGISTERS}
        self.registers.update(
            sp=stack & ~3, msp=stack & ~3, pc=entry & ~1, lr=0xFFFFFFFF,
            xPSR=0x01000000 if entry & 1 else 0,
        )
        self.halted = False
        self.wrpr = self.option_protection()

    def start(self) -> None:
        """Reset, and run."""
        self.reset()
        self.resume()

    @property
    def device_id(self) -> int:
        """DBGMCU_IDCODE of the part with this much flash."""
        return 0x20036410 if len(self.flash) <= 128 * 1024 else 0x10036414

    def option_protection(self) -> int:
        """Write protection bits in the option bytes: 0 is protected."""
        value = 0
        for index in range(4):
            value |= self.options[8 + 2 * index] << (8 * index)
        return value

    def set_option_protection(self, bits: int) -> None:
        """Write the option bytes; in force after the next reset."""
        self.options[:] = _DEFAULT_OPTIONS
        for index in range(4):
            byte = (bits >> (8 * index)) & 0xFF
            self.options[8 + 2 * index] = byte
            self.options[9 + 2 * index] = byte ^ 0xFF

    def block_count(self) -> int:
        """Number of protection blocks."""
        return len(self.flash) // BLOCK_SIZE

    def is_protected(self, offset: int) -> bool:
        """True when the block at this flash offset is write protected (as loaded)."""
        bit = min(offset // BLOCK_SIZE, 31)
        return not (self.wrpr >> bit) & 1

    # --- the core -----------------------------------------------------------

    def step(self) -> bool:
        """Go to the next instruction; false (and stay) when the one at PC cannot be read."""
        pc = self.registers["pc"]
        try:
            first = struct.unpack("<H", self.read(pc, 2, 1))[0]
        except BusFault:
            return False
        if first >> 11 == 0b11100:
            offset = (first & 0x7FF) << 1
            pc += 4 + (offset - 0x1000 if offset & 0x800 else offset)
        else:
            pc += 4 if first >> 11 > 0b11100 else 2
        self.registers["pc"] = pc & 0xFFFFFFFF
        return True

    def resume(self) -> None:
        """Let the core run, up to an address in `stops`."""
        self.halted = False
        for _ in range(_RUN_LIMIT):
            pc = self.registers["pc"]
            found = self._find(pc, 2)
            code = b"" if found is None else bytes(found[0][found[1]:found[1] + 2])
            if code != b"\x00\xbf" and (not code or code[1] >> 3 != 0b11100):
                return
            self.step()
            if self.registers["pc"] in self.stops:
                self.halted = True
            if self.halted or self.registers["pc"] == pc:
                return

    # --- flash cells --------------------------------------------------------

    def erase_page(self, offset: int) -> bool:
        """Erase the page at `offset`; false when it is protected."""
        if self.is_protected(offset):
            return False
        start = offset - offset % self.page_size
        self.flash[start:start + self.page_size] = b"\xff" * self.page_size
        return True

    def mass_erase(self) -> bool:
        """Erase everything; false when anything is protected."""
        if any(self.is_protected(block * BLOCK_SIZE) for block in range(self.block_count())):
            return False
        self.flash[:] = b"\xff" * len(self.flash)
        return True

    def program(self, offset: int, value: int) -> str:
        """Program a half-word: "" on success, else "protected" or "not erased"."""
        if self.is_protected(offset):
            return "protected"
        if self.flash[offset:offset + 2] != b"\xff\xff" and value != 0:
            return "not erased"
        struct.pack_into("<H", self.flash, offset, value)
        return ""

    # --- the bus ------------------------------------------------------------

    def _find(self, address: int, size: int) -> Optional[Tuple[Union[bytearray, bytes], int]]:
        mirrored = self.system if self.boots_loader else self.flash
        for base, memory in (
            (RAM_BASE, self.ram), (FLASH_BASE, self.flash), (SYSTEM_BASE, self.system), (0, mirrored),
        ):
            if base <= address and address + size <= base + len(memory):
                return memory, address - base
        return None

    def _faulting(self, address: int, size: int) -> bool:
        return any(address < last and first < address + size for first, last in self.faults)

    def _register(self, address: int) -> Optional[int]:
        if address == DBGMCU_IDCODE:
            return self.device_id
        if address == DBGMCU_CR:
            return self.dbgmcu_cr
        if FPEC_BASE <= address < FPEC_BASE + FPEC_SIZE:
            known = {0x10: 0x80, 0x1C: 0x03FFFFFC, 0x20: self.wrpr}
            return known.get(address - FPEC_BASE, 0)
        return None

    def _read_one(self, address: int, size: int) -> bytes:
        if address % size or self._faulting(address, size):
            raise BusFault(address)
        found = self._find(address, size)
        if found is not None:
            return bytes(found[0][found[1]:found[1] + size])
        if OPTION_BASE <= address < OPTION_BASE + 16:
            return bytes(self.options[address - OPTION_BASE:address - OPTION_BASE + size])
        word = self._register(address & ~3)
        if word is None:
            raise BusFault(address)
        return struct.pack("<I", word)[address & 3:(address & 3) + size]

    def _write_one(self, address: int, data: bytes) -> None:
        size = len(data)
        if address % size or self._faulting(address, size):
            raise BusFault(address)
        found = self._find(address, size)
        if found is not None and found[0] is self.ram:
            self.ram[found[1]:found[1] + size] = data
        elif address == DBGMCU_CR and size == 4:
            self.dbgmcu_cr = struct.unpack("<I", data)[0] & 0x007FFFE7
        elif self._register(address & ~3) is None:
            raise BusFault(address)

    def read(self, address: int, size: int, count: int) -> bytes:
        """Read `count` elements of 1, 2, 4 or 8 bytes; BusFault when one is refused."""
        address &= 0xFFFFFFFF
        total = size * count
        found = self._find(address, total)
        if found is not None and address % min(size, 4) == 0 and not self._faulting(address, total):
            return bytes(found[0][found[1]:found[1] + total])
        return b"".join(
            self._read_one((address + index * size) & 0xFFFFFFFF, size) for index in range(count)
        )

    def write(self, address: int, size: int, data: bytes) -> None:
        """Write elements of `size` bytes; those before the refused one are written."""
        address &= 0xFFFFFFFF
        found = self._find(address, len(data))
        if (
            found is not None and found[0] is self.ram and address % min(size, 4) == 0
            and not self._faulting(address, len(data))
        ):
            self.ram[found[1]:found[1] + len(data)] = data
            return
        for index in range(0, len(data), size):
            self._write_one((address + index) & 0xFFFFFFFF, data[index:index + size])

    def unpack(self, data: bytes, size: int) -> Tuple[int, ...]:
        """Elements of `size` bytes in the target's byte order."""
        order = "<" if self.endian == "little" else ">"
        return struct.unpack("%s%d%s" % (order, len(data) // size, _FORMATS[size]), data)

    def pack(self, values: List[int], size: int) -> bytes:
        """The reverse of `unpack`; values are cut to the width."""
        order = "<" if self.endian == "little" else ">"
        mask = (1 << (8 * size)) - 1
        return struct.pack(
            "%s%d%s" % (order, len(values), _FORMATS[size]), *[value & mask for value in values]
        )

    # --- direct access for tests --------------------------------------------

    def peek(self, address: int, size: int) -> bytes:
        """Memory as it is, without faults of any kind; ValueError outside memory."""
        found = self._find(address, size)
        if found is None:
            raise ValueError("no memory at 0x%08x..0x%08x" % (address, address + size - 1))
        return bytes(found[0][found[1]:found[1] + size])

    def poke(self, address: int, data: bytes) -> None:
        """Change memory, flash included, without any rule; ValueError outside memory."""
        found = self._find(address, len(data))
        if found is None or not isinstance(found[0], bytearray):
            raise ValueError("no memory at 0x%08x..0x%08x" % (address, address + len(data) - 1))
        found[0][found[1]:found[1] + len(data)] = data
