"""Upload, erase, program, verify, read back: every format, size and source; every byte of the bank is compared."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from flash_bank import encode
from harness.client import Client
from harness.paths import REPOSITORY, VBOARD_WORKAREA_CONFIG
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from stage_kit import upload

sys.path.insert(0, str(REPOSITORY / "tests" / "image"))

from image_files import Section, assembly, convert, pattern, run, uf2  # noqa: E402

pytestmark = pytest.mark.both  # every format is written once with the build that users run

SIZE = 16 * KIB
FORMATS = ("bin", "ihex", "srec", "elf", "uf2")
Place = Tuple[int, int]
SINGLE: Dict[int, int] = {  # size: offset; odd ones, over borders of sectors, and one that is a sector
    1: 1027, 2: 1023, 3: 2047, 255: 5, 1023: 3073, 1024: 4096, 1025: 6143, 4096: 9001, SIZE: 0,
}
SEVERAL: Dict[str, List[Place]] = {
    "holes in one sector": [(1, 1), (3, 2), (7, 3), (600, 101), (1023, 1)],
    "over sectors": [(300, 800), (1101, 1023), (2500, 3000)],
    "sectors between": [(0, 10), (5 * KIB + 1, 1), (9 * KIB - 1, 2), (SIZE - 3, 3)],
}


def sections_of(places: List[Place], seed: int) -> List[Section]:
    """A section of the program for each place."""
    return [Section(f".s{i}", FLASH_BASE + offset, pattern(size, seed + i)) for i, (offset, size) in enumerate(places)]


def link_apart(folder: Path, sections: List[Section]) -> Path:
    """As link(), with a segment of the ELF file for each section, so that what lies between is in none."""
    (folder / "a.s").write_text(assembly(sections).replace("START", hex(FLASH_BASE + 1)))
    headers = " ".join(f"p{i} PT_LOAD;" for i in range(len(sections)))
    body = "".join(
        f"{each.name} {each.lma:#x} : SUBALIGN(1) {{ *({each.name}) }} :p{i}\n" for i, each in enumerate(sections))
    (folder / "a.ld").write_text(
        f"ENTRY(start)\nPHDRS {{ {headers} }}\nSECTIONS {{\n{body}/DISCARD/ : {{ *(*) }}\n}}\n")
    run("arm-none-eabi-as", "-o", folder / "a.o", folder / "a.s")
    run("arm-none-eabi-ld", "-n", "-T", folder / "a.ld", "-o", folder / "a.elf", folder / "a.o")
    return folder / "a.elf"


def make_file(folder: Path, format_: str, sections: List[Section]) -> Path:
    """A firmware file, made with binutils where they know the format."""
    if format_ == "uf2":
        (folder / "a.uf2").write_bytes(uf2(sections))
        return folder / "a.uf2"
    elf = link_apart(folder, sections)
    kinds = {"bin": "binary", "ihex": "ihex", "srec": "srec"}
    return elf if format_ == "elf" else convert(elf, f"a.{format_}", "-O", kinds[format_])


def bank_of(client: Client, size: int = SIZE) -> bytearray:
    """What flash.read finds."""
    return bytearray(base64.b64decode(client.call("flash.read", size=size)["data"]))


@pytest.fixture(name="halted")
def fixture_halted(stager: Client) -> Client:
    """The stack of stages, halted."""
    stager.call("target.halt")
    return stager


@pytest.fixture(scope="module", name="content")
def fixture_content(stage_stack: Stack) -> Iterator[bytearray]:
    """What the bank holds; only the tests here write it meanwhile. Put back behind them."""
    with stage_stack.client() as client:
        before = bytes(bank_of(client))
    yield bytearray(before)
    with stage_stack.client() as client:
        client.call("target.halt")
        client.call("flash.write_image", data=encode(before), format="bin")


@pytest.fixture(name="root")
def fixture_root(stage_place: Path) -> Iterator[Path]:
    """An image root."""
    yield stage_place / "first"
    for path in (stage_place / "first").iterdir():
        path.unlink()


def cycle(
    client: Client, content: bytearray, file: Path, sections: List[Section], root: Path, source: str, **more: Any
) -> Dict[str, Any]:
    """Writes the file from that source; every byte of the bank is compared with what should be there."""
    data = file.read_bytes()
    for section in sections:
        at = section.lma - FLASH_BASE
        content[at : at + len(section.data)] = section.data
    if source == "stage":
        given = {"stage": upload(client, data, file.name)}
    elif source == "path":
        (root / file.name).write_bytes(data)
        given = {"path": file.name}
    else:
        given = {"data": encode(data)}
    result = client.call("flash.write_image", **given, **more)
    assert bank_of(client) == content
    assert result["verified"] is True and result["repaired_bytes"] == 0
    assert result["bytes_written"] + result["bytes_unchanged"] == sum(len(each.data) for each in sections)
    if "address" in more:
        given["offset"] = int(more["address"]) - FLASH_BASE
    assert client.call("flash.verify", format=result["format"], **given)["match"] is True
    return result


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("size", SINGLE)
def test_every_format_and_size(
    halted: Client, content: bytearray, root: Path, tmp_path: Path, format_: str, size: int
) -> None:
    sections = sections_of([(SINGLE[size], size)], size + FORMATS.index(format_))
    # A `bin` of a few bytes may look like nothing else.
    more = {"address": FLASH_BASE + SINGLE[size]} if format_ == "bin" else {}
    source = ("stage", "path", "data")[(FORMATS.index(format_) + list(SINGLE).index(size)) % 3]
    result = cycle(halted, content, make_file(tmp_path, format_, sections), sections, root, source, **more)
    assert result["format"] == format_ and result["segments"] == 1
    assert result.get("entry") == {"elf": f"{FLASH_BASE + 1:#010x}"}.get(format_, result.get("entry"))


@pytest.mark.parametrize("format_", FORMATS[1:])
@pytest.mark.parametrize("name", SEVERAL)
def test_segments_with_holes(
    halted: Client, content: bytearray, root: Path, tmp_path: Path, format_: str, name: str
) -> None:
    """What lies in the holes is kept."""
    sections = sections_of(SEVERAL[name], 100 + FORMATS.index(format_))
    result = cycle(halted, content, make_file(tmp_path, format_, sections), sections, root, "stage", mode="full")
    assert result["segments"] == len(sections) and result["bytes_unchanged"] == 0
    touched = {at // KIB for offset, size in SEVERAL[name] for at in range(offset, offset + size)}
    assert result["sectors_erased"] == len(touched)


@pytest.mark.parametrize("source", ["stage", "data", "path"])
def test_every_source(halted: Client, content: bytearray, root: Path, tmp_path: Path, source: str) -> None:
    sections = sections_of([(2000, 300)], 200 + len(source))
    assert cycle(halted, content, make_file(tmp_path, "elf", sections), sections, root, source)["format"] == "elf"


@pytest.mark.parametrize("format_", ["bin", "srec"])
def test_a_large_bank(make_stack: Callable[..., Stack], tmp_path: Path, format_: str) -> None:
    """64 KiB, the whole bank, through a stage."""
    stack = make_stack(flash_size=64 * KIB, image=make_image(64 * KIB), openocd_config=VBOARD_WORKAREA_CONFIG)
    client = stack.client()
    data = make_image(64 * KIB, seed=len(format_))
    (tmp_path / "a.bin").write_bytes(data)
    file = tmp_path / "a.bin"
    if format_ == "srec":
        file = convert(file, "a.srec", "-I", "binary", "-O", "srec", "--change-addresses", hex(FLASH_BASE))
    stage = upload(client, file.read_bytes())
    result = client.call("flash.write_image", stage=stage, prepare="reset_init", reset="halt")
    assert (result["format"], result["bytes_written"], result["sectors_erased"]) == (format_, 64 * KIB, 64)
    assert bank_of(client, 64 * KIB) == data
    assert client.call("flash.verify", stage=stage, format=format_)["match"] is True


# What must be refused before anything happens.


def test_a_format_that_it_is_not(halted: Client, content: bytearray) -> None:
    data = encode(make_image(2000))
    for format_ in FORMATS[1:]:
        error = halted.fail("flash.write_image", data=data, format=format_, prepare="reset_halt")
        assert error.kind == "image_invalid", error.message
    assert bank_of(halted) == content
    content[:2000] = base64.b64decode(data)
    assert halted.call("flash.write_image", data=data, format="bin")["format"] == "bin"
    assert bank_of(halted) == content


@pytest.mark.parametrize("format_", FORMATS[1:])
@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_what_was_recognised_is_never_taken_for_bin(
    halted: Client, content: bytearray, tmp_path: Path, format_: str, damage: str
) -> None:
    data = bytearray(make_file(tmp_path, format_, sections_of([(0, 3000)], 7)).read_bytes())
    if damage == "cut":
        del data[len(data) * 2 // 3 + 1 :]
    elif format_ in ("ihex", "srec"):
        place = data.index(b"\n") - 5
        data[place] = ord("0") if data[place] != ord("0") else ord("1")
    else:
        places = slice(32, 52) if format_ == "elf" else slice(16, 20)
        data[places] = b"\xff" * len(data[places])  # sizes and numbers that cannot be
    error = halted.fail("flash.write_image", data=encode(bytes(data)), prepare="reset_halt")
    assert error.kind == "image_invalid", error.message
    assert "operation" not in error.data and bank_of(halted) == content


@pytest.mark.parametrize("format_", ["ihex", "srec", "uf2"])
def test_overlapping_segments(halted: Client, content: bytearray, tmp_path: Path, format_: str) -> None:
    sections = sections_of([(0, 300), (1000, 20)], 8)
    again = sections_of([(299, 1)], 30)
    if format_ == "uf2":
        data = uf2(sections + [Section("", FLASH_BASE + 299, b"\1" * 4)])
    else:
        first, second = (make_file(tmp_path, format_, each).read_bytes().splitlines(True) for each in (sections, again))
        tail = 2 if format_ == "ihex" else 1
        data = b"".join(first[:-tail] + second)
    error = halted.fail("flash.write_image", data=encode(data))
    assert error.kind == "image_invalid" and "twice" in error.message, error.message
    assert error.data["address"] == f"{FLASH_BASE + 299:#010x}"
    assert bank_of(halted) == content


@pytest.mark.parametrize("format_", FORMATS[1:])
def test_a_segment_in_no_bank(halted: Client, content: bytearray, tmp_path: Path, format_: str) -> None:
    """Address and size are named; the segments that would fit are not written either."""
    sections = sections_of([(0, 64), (SIZE, 128)], 9)
    error = halted.fail("flash.write_image", data=encode(make_file(tmp_path, format_, sections).read_bytes()))
    assert error.kind == "image_invalid", error.message
    assert (error.data["address"], error.data["size"]) == (f"{FLASH_BASE + SIZE:#010x}", 128)
    assert bank_of(halted) == content
