"""A network that drops between the client and the daemon: what is tried again, what is taken up, what is said."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Iterator

import pytest

from conftest import run
from harness.gate import Gate
from harness.relay import Relay
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image
from ocdmux import (
    ConnectionFailed, ConnectionLost, FlashError, OutcomeUnknown, Progress, Session, TargetError,
)

PLACE = RAM_BASE + 0x1000


@pytest.fixture
def relay(stack: Stack) -> Iterator[Relay]:
    """Between the client and the daemon."""
    with Relay(int(stack.daemon.address.rpartition(":")[2])) as made:
        yield made


@pytest.fixture
def relayed(relay: Relay) -> str:
    return f"tcp:127.0.0.1:{relay.port}"


async def in_flight(session: Session, count: int) -> None:
    """Until the daemon has that many requests waiting, the gate's own included."""
    while (await session.status())["queued"] < count:
        await asyncio.sleep(0.002)


def test_network_upload_goes_on_where_it_stopped(relay: Relay, relayed: str, tmp_path: Path) -> None:
    async def body() -> None:
        file = tmp_path / "file"
        file.write_bytes(os.urandom(1024 * KIB))
        async with Session.connect(relayed) as session:
            before = relay.passed
            relay.trap_bytes(800_000, lambda: None, cut=True)
            stage = await session.stages.upload(file)
            relay.wait_sprung()
            # In base64 all of it is 1.4 MB: only the piece that was under way, a quarter, was sent again.
            assert relay.passed - before < 1_800_000
            copy = tmp_path / "copy"
            cut = []

            def look(progress: Progress) -> None:
                if progress.done > 0 and not cut:
                    cut.append(progress.done)
                    relay.cut()

            await session.stages.download(stage, copy, progress=look)
            assert copy.read_bytes() == file.read_bytes()
            await session.stages.delete(stage)

    run(body())


def test_network_program_is_taken_up_again(relay: Relay, relayed: str, tmp_path: Path, flash_content: bytes) -> None:
    async def body() -> None:
        image = tmp_path / "image.bin"
        async with Session.connect(relayed) as session:
            image.write_bytes(make_image(16 * KIB, seed=3))
            cut = []

            def look(progress: Progress) -> None:
                if progress.phase not in ("upload", "queued") and not cut:
                    cut.append(progress.operation)
                    relay.cut()

            done = await session.flash.program(image, mode="full", progress=look)
            assert cut == [done.operation] and done.verified and done.bytes_written == 16 * KIB
            image.write_bytes(flash_content)
            await session.flash.program(image)

    run(body())


def test_network_changes_are_never_sent_twice(stack: Stack, relay: Relay, relayed: str, tmp_path: Path) -> None:
    async def body() -> None:
        async with Session.connect(relayed) as session, Session.connect(stack.daemon.address) as other:
            with Gate(stack.client(), tmp_path / "gate"):
                write = asyncio.ensure_future(session.memory.write_u32(PLACE, 77))
                typed = asyncio.ensure_future(session.memory.read_u32(PLACE))
                cached = asyncio.ensure_future(session.memory.read_u32(PLACE, cacheable=True))
                await in_flight(other, 4)
                relay.cut()
                with pytest.raises(OutcomeUnknown) as unknown:
                    await write
                assert isinstance(unknown.value, TargetError) and "not tried again" in str(unknown.value)
                with pytest.raises(ConnectionLost):
                    await typed
            assert len(await cached) == 1

    run(body())


def test_network_waits_and_ranges_are_asked_again(stack: Stack, relay: Relay, relayed: str, tmp_path: Path) -> None:
    async def body() -> None:
        async with Session.connect(relayed) as session, Session.connect(stack.daemon.address) as other:
            await other.target.resume()
            wait = asyncio.ensure_future(session.target.wait("halted"))
            await session.target.state()
            relay.cut()
            await session.target.state()
            await other.target.halt()
            assert await wait == "halted"
            await other.memory.write_bytes(PLACE, b"0123456789abcdef")
            with Gate(stack.client(), tmp_path / "gate"):
                read = asyncio.ensure_future(session.memory.read_bytes(PLACE, 16))
                await in_flight(other, 2)
                relay.cut()
            assert await read == b"0123456789abcdef"

    run(body())


def test_network_lease_and_events_outlive_it(stack: Stack, relay: Relay, relayed: str) -> None:
    async def body() -> None:
        async with Session.connect(relayed) as session, Session.connect(stack.daemon.address) as other:
            async with session.lease(ttl=30) as lease, session.events("lease") as events:
                relay.cut()
                await session.target.state()
                await session.memory.write_u32(PLACE, 5)
                assert (await other.lease_status())["lease"]["state"] == "held"
                while (await events.__anext__()).kind != "reconnected":
                    pass
                await lease.renew()
                while (await events.__anext__()).kind != "renewed":
                    pass
            assert "lease" not in await other.lease_status()

    run(body())


def test_network_lease_is_renewed_as_soon_as_there_is_one(stack: Stack, relay: Relay, relayed: str) -> None:
    async def body() -> None:
        async with Session.connect(relayed) as session, Session.connect(stack.daemon.address) as other:
            async with session.lease(ttl=3600) as lease:
                begun = lease.expires
                relay.cut()
                while (await other.lease_status())["lease"]["expires"] == begun or lease.expires == begun:
                    await asyncio.sleep(0.005)
                assert (await other.lease_status())["lease"]["state"] == "held"

    run(body())


def test_network_that_stays_away_ends_in_an_error(relay: Relay, relayed: str, stack: Stack, tmp_path: Path,
                                                  flash_content: bytes) -> None:
    async def body() -> None:
        image = tmp_path / "image.bin"
        image.write_bytes(flash_content)
        async with Session.connect(relayed, connect_timeout=0.3) as session:
            def look(progress: Progress) -> None:
                if progress.phase == "queued":
                    relay.close()

            with pytest.raises(OutcomeUnknown) as unknown:
                await session.flash.program(image, mode="full", progress=look)
            assert isinstance(unknown.value, FlashError) and unknown.value.operation
            with pytest.raises(ConnectionFailed):
                await session.target.state()
            with pytest.raises(TargetError):
                await session.memory.read_bytes(FLASH_BASE, 4, timeout=0.1)
        async with Session.connect(stack.daemon.address) as again:
            ended = await again.operations.wait(unknown.value.operation)
            assert ended.state in ("done", "cancelled")

    run(body())


def test_network_cut_again_and_again_leaves_nothing_behind(relay: Relay, relayed: str, tmp_path: Path,
                                                           flash_content: bytes,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    """Reads of ranges all succeed; of the others each ends in its result or says what is not known."""
    monkeypatch.setattr("ocdmux._core.MOST_TRIES", 1000)

    async def body() -> None:
        generator = random.Random(11)
        outcomes = set()

        async def work(session: Session, index: int) -> None:
            for turn in range(8):
                own = tmp_path / f"own{index}"
                try:
                    if turn % 4 == 0:
                        await session.memory.dump(FLASH_BASE, 300, own)
                        assert own.read_bytes() == flash_content[:300]
                    elif turn % 4 == 1:
                        assert await session.memory.read_bytes(FLASH_BASE, 500) == flash_content[:500]
                    elif turn % 4 == 2:
                        async with session.events("operation"):
                            await session.memory.write_u32(PLACE + 4 * index, index)
                    else:
                        assert await session.memory.read_u32(PLACE + 4 * index) in ([index], [0], [0xFFFFFFFF])
                    outcomes.add("done")
                except (OutcomeUnknown, ConnectionLost) as error:
                    assert turn % 4 >= 2
                    outcomes.add(error.kind)

        async def cut() -> None:
            while True:
                await asyncio.sleep(generator.uniform(0.05, 0.2))
                relay.cut()

        async with Session.connect(relayed) as session:
            await session.memory.write_u32(PLACE, [0] * 8)
            cutting = asyncio.ensure_future(cut())
            await asyncio.gather(*(work(session, index) for index in range(8)))
            cutting.cancel()
            assert await session.target.state() == "halted"
            core, connection = session.core, session.core.current
            assert connection is not None and not connection._pending and not core.streams
            while core.tasks:
                await asyncio.sleep(0.005)
        assert "done" in outcomes and len(asyncio.all_tasks()) <= 2
        assert sorted(os.listdir(tmp_path)) == [f"own{index}" for index in range(8)]

    run(body())
