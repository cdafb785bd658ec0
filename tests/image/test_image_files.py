"""src/image against binutils: what it finds in real files is what the linker put there and objcopy writes out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Dict, List, Sequence

import pytest

from image_files import (
    HOST, UF2_FAMILY, UF2_FILE_CONTAINER, UF2_NOT_MAIN_FLASH, Refused, Section, assert_covers, convert, link,
    linked_segments, parse, pattern, run, segments_of, uf2, uf2_block,
)

FLASH = 0x08000000

LAYOUTS: Dict[str, List[Section]] = {
    "one_byte": [Section(".text", FLASH, b"\x5a")],
    "one_section": [Section(".text", FLASH, pattern(1000, 1))],
    "low": [Section(".text", 0, pattern(300, 1)), Section(".more", 0x8001, pattern(77, 2))],
    "sixteen_bits_full": [Section(".text", 0xFF00, pattern(256, 1))],
    "odd": [
        Section(".a", FLASH + 1, pattern(1, 1)),
        Section(".b", FLASH + 3, pattern(3, 2)),
        Section(".c", FLASH + 7, pattern(255, 3)),
        Section(".d", FLASH + 0x107, pattern(257, 4)),
        Section(".e", FLASH + 0x801, pattern(13, 5)),
    ],
    "across_64k": [Section(".text", FLASH + 0xFEFD, pattern(0x11234, 1))],
    "several": [
        Section(".vectors", FLASH, pattern(0x188, 1)),
        Section(".text", FLASH + 0x400, pattern(0x2345, 2)),
        Section(".const", FLASH + 0x20000, pattern(999, 3)),
        Section(".data", FLASH + 0x2745, pattern(0x155, 4), vma=0x20000000),
        Section(".bss", 0x20000200, vma=0x20000200, zeros=0x1000),
    ],
    "out_of_order": [
        Section(".late", FLASH + 0x30000, pattern(40, 1)),
        Section(".early", FLASH + 0x100, pattern(40, 2)),
        Section(".middle", FLASH + 0x10000, pattern(40, 3)),
    ],
    "top": [Section(".text", 0xFFFFFF00, pattern(256, 1))],
    "two_memories": [
        Section(".text", FLASH, pattern(100, 1)),
        Section(".ram", 0x08100000, pattern(64, 2), vma=0x20000000),
    ],
}


@pytest.fixture(params=sorted(LAYOUTS))
def sections(request: pytest.FixtureRequest) -> List[Section]:
    return LAYOUTS[request.param]


def base_of(sections: Sequence[Section]) -> int:
    return min(section.lma for section in sections if section.data)


def loaded_size(sections: Sequence[Section]) -> int:
    return sum(len(section.data) for section in sections)


def check(path: Path, format_name: str, sections: Sequence[Section], binary: bytes) -> None:
    image = parse(path)
    assert image.format == format_name
    assert image.segments == segments_of(sections)
    assert_covers(image, base_of(sections), binary, loaded_size(sections))


def check_elf(path: Path, sections: Sequence[Section], binary: bytes) -> None:
    image = parse(path)
    assert image.format == "elf"
    assert image.segments == linked_segments(path)
    assert_covers(image, base_of(sections), binary, loaded_size(sections))


def test_elf_has_what_objcopy_writes(sections: List[Section], tmp_path: Path) -> None:
    elf = link(tmp_path, sections, entry=FLASH + 0x401)
    check_elf(elf, sections, convert(elf, "a.bin", "-O", "binary").read_bytes())
    assert parse(elf).entry == FLASH + 0x401


def test_elf_stripped_is_the_same(sections: List[Section], tmp_path: Path) -> None:
    elf = link(tmp_path, sections)
    stripped = convert(elf, "stripped.elf", "--strip-all")
    assert parse(stripped) == parse(elf)
    assert parse(elf).entry is None


@pytest.mark.parametrize("options", [["-EB"], ["-EL"]], ids=["big", "little"])
def test_elf_of_both_byte_orders(options: List[str], sections: List[Section], tmp_path: Path) -> None:
    elf = link(tmp_path, sections, entry=0x1235, options=options)
    check_elf(elf, sections, convert(elf, "a.bin", "-O", "binary").read_bytes())
    assert parse(elf).entry == 0x1235


def test_elf_of_64_bits(sections: List[Section], tmp_path: Path) -> None:
    elf = link(tmp_path, sections, entry=0x123456789, tools=HOST)
    assert elf.read_bytes()[4] == 2
    check_elf(elf, sections, convert(elf, "a.bin", "-O", "binary", tools=HOST).read_bytes())
    assert parse(elf).entry == 0x123456789


def test_elf_of_64_bits_far_up(tmp_path: Path) -> None:
    sections = [Section(".text", 0xFFFFFFFF80000000, pattern(333, 1)), Section(".low", 0x1000, pattern(5, 2))]
    assert parse(link(tmp_path, sections, tools=HOST)).segments == segments_of(sections)


def test_elf_with_pages_takes_padding_as_the_linker_did(tmp_path: Path) -> None:
    """Without -n, and with sections that are apart inside one segment: zeros of the file lie between them."""
    sections = [Section(".a", FLASH, pattern(10, 1)), Section(".b", FLASH + 0x40, pattern(10, 2))]
    elf = link(tmp_path, sections, link_options=())
    binary = convert(elf, "a.bin", "-O", "binary").read_bytes()
    check_elf(elf, sections, binary)
    assert [segment.size for segment in parse(elf).segments] == [0x4A]


def test_elf_with_mapped_headers_takes_segments_whole(tmp_path: Path) -> None:
    """The linker maps the file's headers where a page has room for them before its first section."""
    sections = [Section(".text", FLASH + 0x100, pattern(10, 1))]
    elf = link(tmp_path, sections, link_options=())
    assert [(segment.address, segment.size) for segment in parse(elf).segments] == [(FLASH, 0x10A)]
    assert parse(elf).segments == linked_segments(elf)


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_ihex_has_what_objcopy_writes(ending: str, sections: List[Section], tmp_path: Path) -> None:
    elf = link(tmp_path, sections, entry=FLASH + 0x401)
    text = convert(elf, "a.hex", "-O", "ihex").read_text().replace("\r\n", "\n")
    (tmp_path / "b.hex").write_bytes((text.replace("\n", ending) + 2 * ending).encode())
    check(tmp_path / "b.hex", "ihex", sections, convert(elf, "a.bin", "-O", "binary").read_bytes())
    assert parse(tmp_path / "b.hex").entry == FLASH + 0x401
    (tmp_path / "c.hex").write_text(text.lower())
    assert parse(tmp_path / "c.hex") == parse(tmp_path / "b.hex")


def test_ihex_with_a_segmented_start_address(tmp_path: Path) -> None:
    sections = [Section(".text", 0x12345, pattern(100, 1))]
    image = parse(convert(link(tmp_path, sections, entry=0x12345), "a.hex", "-O", "ihex"))
    assert image.entry == 0x12345
    assert image.segments == segments_of(sections)


@pytest.mark.parametrize("options", [[], ["--srec-forceS3"], ["--srec-len=1"], ["--srec-len=250"]])
def test_srec_has_what_objcopy_writes(options: List[str], sections: List[Section], tmp_path: Path) -> None:
    elf = link(tmp_path, sections, entry=base_of(sections) | 1)
    srec = convert(elf, "a.srec", "-O", "srec", *options)
    check(srec, "srec", sections, convert(elf, "a.bin", "-O", "binary").read_bytes())
    assert parse(srec).entry == base_of(sections) | 1


def test_text_formats_of_binaries_agree(tmp_path: Path) -> None:
    binary = pattern(0x12345, 9)
    (tmp_path / "a.bin").write_bytes(binary)
    move = ["-I", "binary", "--change-addresses", "0x08001233"]
    ihex = parse(convert(tmp_path / "a.bin", "a.hex", *move, "-O", "ihex"))
    srec = parse(convert(tmp_path / "a.bin", "a.srec", *move, "-O", "srec"))
    plain = parse(tmp_path / "a.bin", "bin", "0x08001233")
    assert ihex.segments == srec.segments == plain.segments == segments_of([Section(".", 0x08001233, binary)])
    assert (ihex.format, srec.format, plain.format) == ("ihex", "srec", "bin")


@pytest.mark.parametrize("payload", [1, 255, 256, 452])
def test_uf2_has_what_objcopy_writes(payload: int, sections: List[Section], tmp_path: Path) -> None:
    elf = link(tmp_path, sections)
    if payload == 1 and loaded_size(sections) > 1000:
        payload = 128
    (tmp_path / "a.uf2").write_bytes(uf2(sections, payload, UF2_FAMILY, 0xE48BFF56, md5=True))
    check(tmp_path / "a.uf2", "uf2", sections, convert(elf, "a.bin", "-O", "binary").read_bytes())


def test_uf2_leaves_out_comments_and_files(tmp_path: Path) -> None:
    data = pattern(476, 1)
    (tmp_path / "a.uf2").write_bytes(
        uf2_block(0, 4, FLASH, b"source text", UF2_NOT_MAIN_FLASH)
        + uf2_block(1, 4, FLASH, data)
        + uf2_block(2, 4, FLASH, b"a file", UF2_FILE_CONTAINER, 6)
        + uf2_block(3, 4, FLASH + 476, data)
    )
    assert parse(tmp_path / "a.uf2").segments == segments_of([Section(".", FLASH, data + data)])


def refusal(path: Path, *arguments: str) -> str:
    with pytest.raises(Refused) as caught:
        parse(path, *arguments)
    return str(caught.value)


def test_objects_and_archives_are_no_programs(tmp_path: Path) -> None:
    link(tmp_path, LAYOUTS["several"])
    words = refusal(tmp_path / "a.o")
    assert "not been linked" in words and 'give format "bin"' in words
    # An archive is none of the formats, and can only be forced to be one.
    run("arm-none-eabi-ar", "rc", tmp_path / "a.a", tmp_path / "a.o")
    assert parse(tmp_path / "a.a").format == "bin"
    assert "magic number" in refusal(tmp_path / "a.a", "elf")


def test_overlapping_load_addresses_are_refused(tmp_path: Path) -> None:
    sections = [
        Section(".text", FLASH, pattern(100, 1)),
        Section(".data", FLASH + 99, pattern(10, 2), vma=0x20000000),
    ]
    elf = link(tmp_path, sections, link_options=["-n", "--no-check-sections"])
    assert "address 0x08000063 comes twice" in refusal(elf)


def test_files_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    sections = LAYOUTS["odd"]
    elf = link(tmp_path, sections, entry=FLASH + 1)
    (tmp_path / "a.uf2").write_bytes(uf2(sections))
    files = [elf, convert(elf, "a.hex", "-O", "ihex"), convert(elf, "a.srec", "-O", "srec"), tmp_path / "a.uf2"]
    for path in files:
        image = parse(path)
        whole = path.read_bytes()
        for count in range(1, 12):
            (tmp_path / "cut").write_bytes(whole[: len(whole) * count // 12])
            assert "cut off" in refusal(tmp_path / "cut", image.format) or "too short" in refusal(
                tmp_path / "cut", image.format
            )


def test_scattered_bytes_take_little_memory(tmp_path: Path) -> None:
    """A million records of one byte, none next to the one before, in 15 MB of text."""
    lines = []
    for i in range(1_000_000):
        address = i * 2 % 0x10000
        total = 1 + (address >> 8) + (address & 0xFF) + 0x55
        lines.append(f":01{address:04X}0055{-total & 0xFF:02X}")
    (tmp_path / "a.hex").write_text("\n".join(lines) + "\n:00000001FF\n")
    with pytest.raises(Refused, match="comes twice"):
        parse(tmp_path / "a.hex", limit=256 << 20)


def test_binutils_are_here() -> None:
    """The tests above compare with them."""
    for name in ("as", "ld", "objcopy", "ar"):
        assert shutil.which(f"arm-none-eabi-{name}") and shutil.which(name)
