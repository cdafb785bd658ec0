"""What the tests of images work with: firmware made with binutils, UF2 files, and what src/image finds in them."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, List, Optional, Sequence

ARM = "arm-none-eabi-"
HOST = ""


@dataclass(frozen=True)
class Segment:
    address: int
    size: int
    sha256: str


@dataclass(frozen=True)
class Image:
    format: str
    entry: Optional[int]
    segments: List[Segment]


class Refused(Exception):
    """src/image refused the file, in these words."""


def parse(path: Path, *arguments: str, limit: Optional[int] = None) -> Image:
    """Run image_segments; `limit` bounds its memory, in bytes."""
    program = Path(os.environ.get("OCDMUX_BUILD", "build")) / "tests" / "tools" / "image_segments"
    command: List[str] = [str(program), str(path), *arguments]
    if limit is not None:
        command = ["prlimit", f"--as={limit}", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == 1:
        raise Refused(done.stderr.strip())
    assert done.returncode == 0, f"status {done.returncode}: {done.stderr}"
    lines = [line.split() for line in done.stdout.splitlines()]
    entry = None if lines[1][1] == "none" else int(lines[1][1], 16)
    return Image(lines[0][1], entry, [Segment(int(a, 16), int(size), sha) for a, size, sha in lines[2:]])


def run(*command: object) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Section:
    """Bytes that the program has at `lma`, and expects at `vma` (the same if None); `zeros` more of BSS alone."""

    name: str
    lma: int
    data: bytes = b""
    vma: Optional[int] = None
    zeros: int = 0


def pattern(size: int, seed: int) -> bytes:
    """No zeros, for what lies between sections is zeros; no two seeds alike."""
    return bytes((i * 31 + (i >> 8) * 7 + seed * 53) % 255 + 1 for i in range(size))


def assembly(sections: Sequence[Section]) -> str:
    lines = [".global start", ".set start, START"]
    for section in sections:
        kind = "@nobits" if section.zeros else "@progbits"
        flags = '"aw"' if section.zeros or section.vma is not None else '"a"'
        lines.append(f'.section {section.name}, {flags}, {kind.replace("@", "%")}')
        lines += [f".byte {byte}" for byte in section.data]
        if section.zeros:
            lines.append(f".space {section.zeros}")
    return "\n".join(lines) + "\n"


def script(sections: Sequence[Section]) -> str:
    body = "\n".join(
        f"  {s.name} 0x{s.lma if s.vma is None else s.vma:x} : AT(0x{s.lma:x}) SUBALIGN(1) {{ *({s.name}) }}"
        for s in sections
    )
    return f"ENTRY(start)\nSECTIONS\n{{\n{body}\n  /DISCARD/ : {{ *(*) }}\n}}\n"


def link(folder: Path, sections: Sequence[Section], entry: int = 0, tools: str = ARM,
         options: Iterable[str] = (),
         link_options: Iterable[str] = ("-n",)) -> Path:
    """Assemble and link; `options` go to both programs (-EB). With -n nothing is aligned to pages, as firmware is linked."""
    (folder / "a.s").write_text(assembly(sections).replace("START", hex(entry)))
    (folder / "a.ld").write_text(script(sections))
    run(f"{tools}as", *options, "-o", folder / "a.o", folder / "a.s")
    run(f"{tools}ld", *options, *link_options, "-T", folder / "a.ld", "-o", folder / "a.elf", folder / "a.o")
    return folder / "a.elf"


def convert(source: Path, name: str, *options: str, tools: str = ARM) -> Path:
    target = source.with_name(name)
    run(f"{tools}objcopy", *options, source, target)
    return target


def assert_covers(image: Image, base: int, reference: bytes, loaded: int) -> None:
    """The segments hold the bytes of `reference`, which begins at `base`; what they leave out is zeros there, as
    objcopy fills gaps; at least the `loaded` bytes that are none of its filling are in them."""
    covered = bytearray(len(reference))
    for segment in image.segments:
        start = segment.address - base
        end = start + segment.size
        assert 0 <= start < end <= len(reference), f"0x{segment.address:x}: outside what objcopy wrote"
        assert hashlib.sha256(reference[start:end]).hexdigest() == segment.sha256, f"0x{segment.address:x}"
        assert not any(covered[start:end])
        covered[start:end] = b"\1" * segment.size
    assert not any(byte for byte, seen in zip(reference, covered) if not seen)
    assert sum(segment.size for segment in image.segments) >= loaded


def segments_of(sections: Sequence[Section]) -> List[Segment]:
    """What must come out: the sections with bytes, sorted, adjacent ones joined."""
    found: List[Section] = []
    for section in sorted((s for s in sections if s.data), key=lambda s: s.lma):
        if found and found[-1].lma + len(found[-1].data) == section.lma:
            before = found.pop()
            section = Section(before.name, before.lma, before.data + section.data)
        found.append(section)
    return [Segment(s.lma, len(s.data), hashlib.sha256(s.data).hexdigest()) for s in found]


def linked_segments(elf: Path) -> List[Segment]:
    """What readelf says that the linker made: one section of bytes for each segment with any, zeros between
    sections of one segment included."""
    contents = elf.read_bytes()
    found = []
    for line in run("readelf", "-lW", elf).splitlines():
        words = line.split()
        if words[:1] == ["LOAD"]:
            offset, _, physical, file_size = (int(word, 16) for word in words[1:5])
            found.append(Section("", physical, contents[offset:offset + file_size]))
    return segments_of(found)


UF2_NOT_MAIN_FLASH = 0x1
UF2_FILE_CONTAINER = 0x1000
UF2_FAMILY = 0x2000
UF2_MD5 = 0x4000


def uf2_block(number: int, total: int, address: int, payload: bytes, flags: int = 0, family: int = 0,
              md5_of: Optional[bytes] = None) -> bytes:
    data = payload.ljust(476, b"\xff")
    if md5_of is not None:
        flags |= UF2_MD5
        data = data[:452] + struct.pack("<II", address, len(md5_of)) + hashlib.md5(md5_of).digest()
    head = struct.pack("<8I", 0x0A324655, 0x9E5D5157, flags, address, len(payload), number, total, family)
    return head + data + struct.pack("<I", 0x0AB16F30)


def uf2(sections: Sequence[Section], payload: int = 256, flags: int = 0, family: int = 0, md5: bool = False) -> bytes:
    chunks = [
        (section.lma + at, section.data[at:at + payload])
        for section in sections
        for at in range(0, len(section.data), payload)
    ]
    return b"".join(
        uf2_block(i, len(chunks), address, data, flags, family, data if md5 else None)
        for i, (address, data) in enumerate(chunks)
    )
