"""Each method of a session, and each promise of its documents, against real OpenOCD on the virtual board."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import pickle
import struct
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import pytest

from conftest import run
from harness.gate import Gate
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image
from ocdmux import (
    BoardBusy, Breakpoint, FlashError, ImageInvalid, InvalidParams, InvalidRange, LocalFileError, NotFound, OcdmuxError,
    Programmed, Progress, RequestTimeout, Session, TargetError, TargetNotHalted,
)

PLACE = RAM_BASE + 0x1000


def test_memory_typed_values_go_out_and_come_back(url: str) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            memory = session.memory
            for width, write, read in (
                (8, memory.write_u8, memory.read_u8), (16, memory.write_u16, memory.read_u16),
                (32, memory.write_u32, memory.read_u32), (64, memory.write_u64, memory.read_u64),
            ):
                top = (1 << width) - 1
                await write(PLACE, [1, top, top - 1])
                assert await read(PLACE, 3) == [1, top, top - 1]
                await write(PLACE, 5)
                assert await read(PLACE) == [5] and await read(PLACE, count=2, cacheable=True) == [5, top]
            assert await memory.read_u32(PLACE + 4, physical=True) == [0]

    run(body())


def test_memory_takes_more_values_than_one_call_may(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux.memory.MOST_VALUES", 100)

    async def body() -> None:
        async with Session.connect(url) as session:
            await session.memory.write_u16(PLACE, list(range(250)))
            assert await session.memory.read_u16(PLACE, 250) == list(range(250))
            with pytest.raises(TargetError) as stopped:
                await session.memory.write_u32(RAM_BASE + 20 * KIB - 400, list(range(150)))
            assert "100 values before were written" in str(stopped.value)

    run(body())


def test_memory_bytes_files_search_and_hexdump(url: str, tmp_path: Path, flash_content: bytes) -> None:
    async def body() -> None:
        seen: List[Progress] = []
        async with Session.connect(url) as session:
            data = os.urandom(1500)
            await session.memory.write_bytes(PLACE, data)
            assert await session.memory.read_bytes(PLACE, 1500, consistent=True) == data
            assert await session.memory.read_bytes(FLASH_BASE, 16 * KIB) == flash_content
            dump = tmp_path / "dump.bin"
            await session.memory.dump(PLACE, 1500, dump, progress=seen.append)
            assert dump.read_bytes() == data and os.listdir(tmp_path) == ["dump.bin"]
            assert {"read", "download"} <= {each.phase for each in seen}
            assert seen[-1] == Progress("download", 1500, 1500, "bytes")
            await session.memory.write_bytes(PLACE, array("H", [0x0201, 0x0403]))
            assert await session.memory.read_bytes(PLACE, 4) == bytes(array("H", [0x0201, 0x0403]))
            await session.memory.write_bytes(PLACE, b"abcabcabc\0ab")
            assert await session.memory.search(b"abcabc", PLACE, PLACE + 12) == [PLACE, PLACE + 3]
            assert await session.memory.search(b"abc", PLACE, PLACE + 12, limit=2) == [PLACE, PLACE + 3]
            assert await session.memory.search(b"AB", PLACE, PLACE + 12, mask=b"\xdf\xdf", align=2) == [PLACE, PLACE + 6, PLACE + 10]
            assert await session.memory.search(b"nowhere", PLACE, PLACE + 12) == []
            assert await session.memory.hexdump(PLACE, 18) == (
                "20001000: 61 62 63 61 62 63 61 62  63 00 61 62 "
                + " ".join(f"{byte:02X}" for byte in data[12:16]) + "  |abcabcabc.ab"
                + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[12:16]) + "|\n20001010: "
                + (f"{data[16]:02X} {data[17]:02X}").ljust(48) + "  |"
                + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data[16:18]) + "|"
            )
            image = tmp_path / "ram.bin"
            image.write_bytes(data)
            loaded = await session.memory.load_image(image, address=PLACE)
            assert (loaded.bytes_written, loaded.verified) == (1500, True)
        async with Session.connect(url) as other:
            assert await other.stages.list() == []  # neither what was sent nor what was fetched

    run(body())


def test_memory_streams_what_is_long(url: str, flash_content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux.memory.INLINE_BYTES", 64)

    async def body() -> None:
        async with Session.connect(url) as session:
            assert await session.memory.read_bytes(FLASH_BASE, 4097) == flash_content[:4097]
            assert await session.flash.read(0, 100, 3000) == flash_content[100:3100]
            text = await session.memory.hexdump(FLASH_BASE + 4, 1000)
            assert len(text.split("\n")) == 63 and text.split("\n")[-1].startswith("080003E4: ")

    run(body())


def test_memory_errors_are_target_errors_with_openocds_words(url: str, tmp_path: Path) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            memory = session.memory
            with pytest.raises(TargetError) as refused:
                await memory.read_u32(0x30000000)
            assert refused.value.kind == "target_error" and refused.value.openocd_code == 1
            assert "Failed to read memory at 0x30000000" in str(refused.value)
            for work in (
                memory.write_u32(0x30000000, 1), memory.read_bytes(0x30000000, 8), memory.hexdump(0x30000000, 8),
                memory.search(b"a", 0x30000000, 0x30000010), memory.dump(0x30000000, 8, tmp_path / "no"),
            ):
                with pytest.raises(TargetError):
                    await work
            assert os.listdir(tmp_path) == []
            with pytest.raises(InvalidRange) as beyond:
                await memory.read_u32(1 << 33)
            assert isinstance(beyond.value, TargetError)
            with pytest.raises(TargetError) as file:
                await memory.dump(PLACE, 8, tmp_path / "none" / "file")
            assert isinstance(file.value, LocalFileError) and isinstance(file.value, OSError)
            assert isinstance(pickle.loads(pickle.dumps(beyond.value)), type(beyond.value))

    run(body())


@pytest.mark.parametrize("call", [
    lambda memory: memory.read_u8(-1), lambda memory: memory.read_u8(1.5), lambda memory: memory.read_u8(PLACE, 0),
    lambda memory: memory.read_u8("no"), lambda memory: memory.read_u8(PLACE, True),
    lambda memory: memory.write_u8(PLACE, 256), lambda memory: memory.write_u8(PLACE, -1),
    lambda memory: memory.write_u16(PLACE, []), lambda memory: memory.write_u32(PLACE, [1, "2"]),
    lambda memory: memory.write_bytes(PLACE, b""), lambda memory: memory.write_bytes(PLACE, "text"),
    lambda memory: memory.write_bytes(PLACE, 7), lambda memory: memory.read_bytes(PLACE, 0),
    lambda memory: memory.search(b"", PLACE, PLACE + 8), lambda memory: memory.search("a", PLACE, PLACE + 8),
    lambda memory: memory.search(b"ab", PLACE + 8, PLACE), lambda memory: memory.search(b"ab", PLACE, PLACE + 8, mask=b"a"),
    lambda memory: memory.hexdump(None, 3), lambda memory: memory.load_image("/dev/null"),
    lambda memory: memory.read_u8(True), lambda memory: memory.write_u32(PLACE, 5, timeout="1"),
    lambda memory: memory.write_u32(PLACE, 5, timeout=math.nan), lambda memory: memory.write_bytes(PLACE, b"a", timeout=True),
    lambda memory: memory.write_bytes(PLACE, b"a", timeout=math.inf),
    lambda memory: memory.write_bytes(PLACE, b"a", progress=5), lambda memory: memory.dump(PLACE, 8, "no", progress=5),
])
def test_memory_refuses_bad_input_before_any_effect(url: str, call: "object") -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            await session.memory.write_u32(PLACE, [0x11223344] * 2)
            with pytest.raises(TargetError):
                await call(session.memory)  # type: ignore[operator]
            assert await session.memory.read_u32(PLACE, 2) == [0x11223344] * 2

    run(body())


def test_flash_cycle(url: str, tmp_path: Path, flash_content: bytes) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            flash = session.flash
            (bank,) = await flash.banks()
            assert (bank.index, bank.name, bank.base, bank.size, bank.target) == (0, "vb.flash", FLASH_BASE, 16 * KIB, "vb.cpu")
            assert bank.sectors == []
            info = await flash.info()
            assert [(each.index, each.offset, each.size, each.protected) for each in info.sectors] == [
                (index, index * KIB, KIB, False) for index in range(16)
            ]
            await flash.erase_sector(0, 2, 3)
            assert await flash.read(0, 1 * KIB, 4 * KIB) == flash_content[KIB:2 * KIB] + b"\xff" * 2 * KIB + flash_content[4 * KIB:5 * KIB]
            await flash.write(0, 2 * KIB + 4, b"12345678")
            assert await flash.read(0, 2 * KIB, 16) == b"\xff" * 4 + b"12345678" + b"\xff" * 4
            await flash.write(0, 2 * KIB + 4, b"abcd", erase=True)
            assert await flash.read(0, 2 * KIB, 16) == b"\xff" * 4 + b"abcd5678" + b"\xff" * 4
            image = tmp_path / "a file \u00e9.bin"
            image.write_bytes(make_image(6 * KIB, seed=5))
            seen: List[Progress] = []
            done = await flash.program(image, progress=seen.append)
            assert isinstance(done, Programmed) and done.verified and done.bytes_written + done.bytes_unchanged == 6 * KIB
            assert [each.phase for each in seen if each.done == each.total][-1] == "verify"
            assert any(each.operation == done.operation for each in seen)
            assert await flash.verify(0, image) is True
            assert (await flash.program(image)).sectors_erased == 0
            other = tmp_path / "other.bin"
            other.write_bytes(image.read_bytes()[:-1] + b"\x00")
            assert await flash.verify(0, other) is False
            (difference,) = (await flash.compare(0, other)).differences
            assert (difference.offset, difference.address, difference.expected) == (6 * KIB - 1, FLASH_BASE + 6 * KIB - 1, 0)
            copy = tmp_path / "copy.bin"
            copy.write_bytes(b"old")
            await flash.read_to_file(0, copy)
            assert copy.read_bytes()[:6 * KIB] == image.read_bytes() and copy.stat().st_size == 16 * KIB
            assert hashlib.sha256(copy.read_bytes()[6 * KIB:]).digest() == hashlib.sha256(flash_content[6 * KIB:]).digest()
            await flash.erase_all()
            assert await flash.read(0, 0, 16 * KIB) == b"\xff" * 16 * KIB
            original = tmp_path / "original.bin"
            original.write_bytes(flash_content)
            assert await flash.write_image(original, True, True) is None  # type: ignore[func-returns-value]

    run(body())


def test_flash_takes_hex_elf_and_odd_binaries(url: str, tmp_path: Path, flash_content: bytes) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            plain = tmp_path / "like_srec.bin"
            plain.write_bytes(b"S123 is no record here" + bytes(10))
            assert (await session.flash.program(plain, address=FLASH_BASE + 8 * KIB)).format == "bin"
            assert await session.flash.verify(0, plain, offset=8 * KIB)
            hexed = tmp_path / "some.hex"
            record = bytes([4, 0x28, 0, 0, 1, 2, 3, 4])
            hexed.write_text(f":020000040800F2\n:{record.hex()}{-sum(record) & 0xFF:02X}\n:00000001FF\n")
            assert (await session.flash.program(hexed)).format == "ihex"
            assert await session.flash.read(0, 0x2800, 4) == b"\1\2\3\4"
            elf = tmp_path / "named.bin"
            header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 40, 1, FLASH_BASE, 52, 0, 0, 52, 32, 1, 0, 0, 0)
            elf.write_bytes(header + struct.pack("<8I", 1, 84, FLASH_BASE + 0x2C00, FLASH_BASE + 0x2C00, 4, 4, 5, 4) + b"elf!")
            assert (await session.flash.program(elf)).format == "elf"
            assert await session.flash.read(0, 0x2C00, 4) == b"elf!"
            original = tmp_path / "original.bin"
            original.write_bytes(flash_content)
            await session.flash.write_image(original)

    run(body())


def test_flash_protection_is_in_force_when_it_returns(url: str) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            await session.flash.protect(0, 0, 7, True)
            await session.flash.protect(0, 4, 7, False)
            info = await session.flash.info(0)
            assert [each.protected for each in info.sectors] == [True] * 4 + [False] * 12
            with pytest.raises(FlashError) as refused:
                await session.flash.erase_sector(0, 3, 5)
            assert refused.value.data["reason"] == "protected"
            with pytest.raises(InvalidRange) as cut:
                await session.flash.protect(0, 1, 2, True)
            assert isinstance(cut.value, FlashError)
            await session.flash.protect(0, 0, 3, False, reset=False)
            assert (await session.flash.info(0)).sectors[0].protected
            await session.target.reset("halt")
            assert not (await session.flash.info(0)).sectors[0].protected

    run(body())


def test_flash_errors_are_flash_errors(url: str, tmp_path: Path, flash_content: bytes) -> None:
    async def body() -> None:
        empty, big, bad = tmp_path / "empty.bin", tmp_path / "big.bin", tmp_path / "bad.hex"
        empty.touch()
        big.write_bytes(bytes(17 * KIB))
        bad.write_text(":00000001FF\n:zz\n")
        os.mkfifo(tmp_path / "fifo")
        async with Session.connect(url) as session:
            flash = session.flash
            expected = [
                (flash.erase_sector(0, 3, 2), InvalidRange), (flash.erase_sector(0, 0, 99), InvalidRange),
                (flash.erase_sector(0, -1, 2), InvalidRange), (flash.erase_sector(0, "0", 2), InvalidParams),  # type: ignore[arg-type]
                (flash.erase_all(7), NotFound), (flash.info(7), NotFound), (flash.read(0, 16 * KIB, 1), InvalidRange),
                (flash.read(0, 0, 0), InvalidParams), (flash.write(0, 16 * KIB, b"a"), InvalidRange),
                (flash.write(0, 0, b""), InvalidParams), (flash.write(0, 0, "text"), InvalidParams),  # type: ignore[arg-type]
                (flash.write_image(tmp_path / "none.bin"), LocalFileError), (flash.write_image(tmp_path), LocalFileError),
                (flash.write_image(tmp_path / "fifo"), LocalFileError), (flash.verify(0, tmp_path / "none"), LocalFileError),
                (flash.write_image(empty), ImageInvalid), (flash.write_image(bad), ImageInvalid),
                (flash.write_image(big), OcdmuxError), (flash.verify(0, big), InvalidRange),
                (flash.read_to_file(0, tmp_path), LocalFileError), (flash.verify(0, "a\0b"), LocalFileError), (flash.read_to_file(9, tmp_path / "x"), NotFound),
                (flash.protect(0, 2, 1, True), InvalidRange), (flash.program(big, mode="never"), InvalidParams),
            ]
            for work, kind in expected:
                with pytest.raises(FlashError) as refused:
                    await work
                assert isinstance(refused.value, kind), refused.value
            assert await flash.read(0, 0, 16 * KIB) == flash_content and not (tmp_path / "x").exists()
            await session.target.resume()
            with pytest.raises(FlashError) as running:
                await flash.erase_sector(0, 1, 1)
            assert isinstance(running.value, TargetNotHalted)

    run(body())


def test_target_registers_and_breakpoints(url: str) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            (target,) = await session.target.list()
            assert (target.name, target.state, target.current) == ("vb.cpu", "halted", True)
            pc = await session.registers.get("pc")
            assert (await session.target.step(2)).steps == 2 and await session.registers.get("pc") == pc
            assert "r0" in {each.name for each in await session.registers.list()}
            assert await session.registers.write({"r0": 7, "r1": 0xFFFFFFFF}) == {"r0": 7, "r1": 0xFFFFFFFF}
            await session.registers.set("r1", 1)
            assert await session.registers.read(["r1", "r0"]) == {"r1": 1, "r0": 7}
            assert {"pc", "sp"} <= set(await session.registers.read())
            assert await session.breakpoints.add(FLASH_BASE + 0x40) == [Breakpoint(FLASH_BASE + 0x40, 2, "hardware")]
            (watch,) = [each for each in await session.breakpoints.add(PLACE, "write", length=4) if each.kind == "write"]
            assert (watch.address, watch.length) == (PLACE, 4) and len(await session.breakpoints.list()) == 2
            assert await session.breakpoints.remove(PLACE, "write") == [Breakpoint(FLASH_BASE + 0x40, 2, "hardware")]
            assert await session.breakpoints.remove(FLASH_BASE + 0x40) == []
            for work in (session.registers.read(["nope"]), session.registers.write({"r0": 1 << 32}),
                         session.registers.write({"r0": -1}), session.breakpoints.remove(PLACE)):
                with pytest.raises(TargetError):
                    await work
            assert await session.target.resume() == "running" and await session.target.wait("running") == "running"
            with pytest.raises(TargetNotHalted):
                await session.registers.get("pc")
            with pytest.raises(RequestTimeout) as waited:
                await session.target.wait("halted", timeout=0.05)
            assert waited.value.data["state"] == "running" and isinstance(waited.value, TargetError)
            assert await session.target.halt() == "halted" and await session.target.state() == "halted"
            assert await session.target.reset("halt") == {"vb.cpu": "halted"}

    run(body())


def test_session_knows_its_boards_operations_and_daemon(url: str) -> None:
    async def body() -> None:
        session = await Session.connect(url, client="a test")
        async with session:
            (board,) = await session.boards()
            assert (board.name, session.hello["role"], session.server) == ("board", "admin", url)
            assert (await session.status())["board"] == "board"
            await session.flash.read(0, 0, 8)
            last = (await session.operations.list())[-1]
            assert (last.method, last.client) == ("flash.read", "a test")
            ended = await session.operations.wait(last.id)
            assert ended.state == "done" and ended.result is not None and ended.result["size"] == 8
            assert (await session.operations.status(last.id)).state == "done"
            assert await session.operations.cancel(last.id) is False
            with pytest.raises(NotFound):
                await session.operations.status("none")
            assert (await session.command("expr 1 + 1")).text == "2"
            assert (await session.command("error no")).code == 1
            assert await session.call("memory.read_u8", address=PLACE, count=1) is not None
            named = session.on(board="board", target="vb.cpu")
            assert await named.target.state() == "halted"
            with pytest.raises(NotFound):
                await session.on(board="other").target.state()

    run(body())


def test_session_stages(url: str, tmp_path: Path) -> None:
    async def body() -> None:
        file = tmp_path / "some.bin"
        file.write_bytes(os.urandom(600 * KIB))
        async with Session.connect(url) as session:
            seen: List[Progress] = []
            stage = await session.stages.upload(file, progress=seen.append)
            assert [each.done for each in seen] == [0, 256 * KIB, 512 * KIB, 600 * KIB]
            assert await session.stages.upload(file) == stage
            await session.stages.download(stage, tmp_path / "copy.bin")
            assert (tmp_path / "copy.bin").read_bytes() == file.read_bytes()
            (found,) = [each for each in await session.stages.list() if each.id == stage]
            assert (found.name, found.size, found.complete) == ("some.bin", 600 * KIB, True)
            small = tmp_path / "small.bin"
            small.write_bytes(b"kept")
            kept = await session.stages.upload(small)
            async with Session.connect(url) as other:
                assert await other.flash.verify(0, small) is False
            assert kept in {each.id for each in await session.stages.list()}  # not the other's to delete
            await session.stages.delete(kept)
            await session.stages.delete(stage)
            with pytest.raises(NotFound):
                await session.stages.download(stage, tmp_path / "copy.bin")

    run(body())


def test_lease_keeps_others_out_and_renews_itself(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux.lease._RENEW_PART", 0.001)

    async def body() -> None:
        async with Session.connect(url, client="first") as first, Session.connect(url) as second:
            async with first.lease(ttl=60.0, reason="a test") as lease:
                begun = lease.expires
                with pytest.raises(BoardBusy) as busy:
                    await second.memory.write_u32(PLACE, 1)
                assert busy.value.data["reason"] == "a test" and isinstance(busy.value, TargetError)
                with pytest.raises(BoardBusy):
                    async with second.lease(wait=0):
                        raise AssertionError("two leases")
                while lease.expires == begun:
                    await asyncio.sleep(0.01)
                await first.memory.write_u32(PLACE, 2)
                waiting = asyncio.ensure_future(second.lease(wait=30).acquire())
                while not (await first.lease_status())["lease_queue"]:
                    await asyncio.sleep(0.01)
            granted = await waiting
            await second.memory.write_u32(PLACE, 3)
            with pytest.raises(BoardBusy):
                await first.memory.write_u32(PLACE, 4)
            await granted.release()
            assert await first.memory.read_u32(PLACE) == [3]

    run(body())


def test_lease_that_was_broken_is_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux.lease._RENEW_PART", 0.001)

    async def body() -> None:
        async with Session.connect(url) as session, Session.connect(url) as admin:
            with pytest.raises(OcdmuxError) as lost:
                async with session.lease(ttl=60.0) as lease:
                    assert await admin.break_lease() is True
                    with pytest.raises(TargetError) as refused:
                        await session.memory.write_u32(PLACE, 1)
                    assert refused.value.kind == "lease_lost"
                    while lease.lost is None:
                        await asyncio.sleep(0.01)
            assert lost.value.kind == "lease_lost"
            await session.memory.write_u32(PLACE, 1)

    run(body())


def test_events_tell_what_happens(url: str) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            async with session.events("lease") as events, session.events() as all_events:
                assert "boards" in events.snapshot
                async with session.lease():
                    pass
                assert [(await events.__anext__()).kind for _ in range(2)] == ["granted", "released"]
                await session.flash.read(0, 0, 8)
                while (await all_events.__anext__()).topic != "operation":
                    pass
            with pytest.raises(StopAsyncIteration):
                await events.__anext__()

    run(body())


def test_thousand_reads_at_once_get_the_right_answers(url: str) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            await session.memory.write_u32(PLACE, list(range(1000)))
            found = await asyncio.gather(*(session.memory.read_u32(PLACE + 4 * i) for i in range(1000)))
            assert found == [[i] for i in range(1000)]

    run(body())


def test_cancelled_task_stops_its_operation(stack: Stack, url: str, tmp_path: Path) -> None:
    async def body() -> None:
        image = tmp_path / "image.bin"
        image.write_bytes(make_image(KIB, seed=9))
        async with Session.connect(url) as session:
            queued = asyncio.Event()
            with Gate(stack.client(), tmp_path / "gate"):
                program = session.flash.program(image, progress=lambda note: note.phase == "queued" and queued.set())
                tasks = [asyncio.ensure_future(program), asyncio.ensure_future(session.memory.read_u32(PLACE))]
                await queued.wait()
                for task in tasks:
                    task.cancel()
                for task in tasks:
                    with pytest.raises(asyncio.CancelledError):
                        await task
                operation = [each for each in await session.operations.list() if each.method == "flash.write_image"][-1]
                assert operation.state == "cancelled"
            assert not await session.flash.verify(0, image)

    run(body())


def test_callback_that_fails_cancels_its_call(url: str, tmp_path: Path) -> None:
    async def body() -> None:
        async with Session.connect(url) as session:
            def look(_progress: Progress) -> None:
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                await session.memory.read_bytes(FLASH_BASE, 8 * KIB, progress=look)
            assert await session.target.state() == "halted"

    run(body())


def test_deadline_of_what_waits_for_its_turn(stack: Stack, url: str, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux._wire.GRACE_S", 30.0)  # the daemon's answer is what counts here, however late

    async def body() -> None:
        async with Session.connect(url) as session:
            await session.memory.write_u32(PLACE, 2)
            with Gate(stack.client(), tmp_path / "gate"):
                for work in (session.memory.write_u32(PLACE, 1, timeout=0.05),
                             session.memory.read_bytes(PLACE, 4, timeout=0.05), session.flash.erase_all(timeout=0.05)):
                    with pytest.raises(RequestTimeout):
                        await work
            assert await session.memory.read_u32(PLACE) == [2]

    run(body())


def test_sync_session_does_the_same(url: str, tmp_path: Path, flash_content: bytes) -> None:
    with Session.connect_sync(url) as session:
        session.memory.write_u32(PLACE, [1, 2])
        assert session.memory.read_u32(PLACE, count=2) == [1, 2]
        with pytest.raises(FlashError):
            session.flash.erase_sector(0, 2, 1)
        session.flash.read_to_file(0, tmp_path / "copy.bin")
        assert (tmp_path / "copy.bin").read_bytes() == flash_content and session.flash.verify(0, tmp_path / "copy.bin")
        with session.lease(ttl=30) as lease, session.events("lease") as events:
            assert lease.id and not lease.lost
            lease.renew(20)
            assert next(iter(events)).kind == "renewed"
        assert session.target.state() == "halted" and session.registers.get("pc") == FLASH_BASE + 0x40
        assert session.breakpoints.list() == [] and session.operations.list() and session.boards()[0].name == "board"
        assert session.on(board="board").status()["board"] == "board"
        assert session.command("version").code == 0
        with ThreadPoolExecutor(8) as pool:
            session.memory.write_u8(PLACE, list(range(200)))
            assert list(pool.map(lambda index: session.memory.read_u8(PLACE + index)[0], range(200))) == list(range(200))
        seen: List[Progress] = []
        session.memory.read_bytes(PLACE, 8, progress=seen.append)
        assert seen
        with pytest.raises(RuntimeError):
            session.memory.read_bytes(PLACE, 8, progress=lambda _progress: print(session.target.state()))
    session.close()
    with pytest.raises(OcdmuxError):
        session.target.state()
