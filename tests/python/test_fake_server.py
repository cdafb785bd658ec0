"""A server that answers wrongly, or not at all: every call ends, changes are never sent twice, and the next call works."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from fake_server import NO_ANSWER, Call, FakeServer, RpcError

from conftest import run
from ocdmux import (
    ConnectionFailed, ConnectionLost, FlashError, InvalidParams, LineTooLong, NotFound, OcdmuxError, OutcomeUnknown,
    Progress, ProtocolError, RequestCancelled, RequestTimeout, Session, TargetError, Unauthenticated, VerifyMismatch,
)

READ = {"data": "AAECAw==", "size": 4, "disturbed": False, "operation": "op-7"}
STATE = {"target": "cpu", "state": "halted"}
PROGRAMMED = {
    "format": "bin", "segments": 1, "bytes_written": 4, "bytes_unchanged": 0, "sectors_erased": 1, "verified": True,
    "repaired_bytes": 0, "duration_ms": 1, "operation": "op-7",
}


def sequence(*answers: Callable[[Call], Any]) -> Callable[[Call], Any]:
    """A handler that answers each call differently; the last one again and again."""
    left = list(answers)
    return lambda call: (left.pop(0) if len(left) > 1 else left[0])(call)


def raw(data: bytes) -> Callable[[Call], Any]:
    """Sends bytes instead of an answer."""
    def handler(call: Call) -> Any:
        call.send_raw(data.replace(b"%ID%", str(call.id).encode()))
        return NO_ANSWER

    return handler


def cut(call: Call) -> Any:
    call.close()
    return NO_ANSWER


def silent(_call: Call) -> Any:
    return NO_ANSWER


GARBAGE = [
    b"no json\n", b"[]\n", b"7\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"jsonrpc":"2.0","id":%ID%}\n',
    b'{"jsonrpc":"2.0","id":%ID%,"result":1,"error":{}}\n', b'{"jsonrpc":"2.0","id":99999,"result":{}}\n',
    b'{"jsonrpc":"2.0","id":"x","result":{}}\n', b'{"jsonrpc":"2.0","id":[1],"result":{}}\n',
    b'{"jsonrpc":"2.0","id":true,"result":{}}\n', b'{"jsonrpc":"2.0","method":"progress","params":[]}\n',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?","data":{"kind":"parse_error"}}}\n',
    b'{"jsonrpc":"2.0","id":null,"result":1}\n',
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_ends_the_connection_and_every_call(server: FakeServer, garbage: bytes) -> None:
    server.check_results = False
    server.on("memory.read_bytes", raw(garbage))
    server.on("memory.write_u32", silent)
    server.on("target.state", STATE)

    async def body() -> None:
        async with Session.connect(server.url) as session:
            write = asyncio.ensure_future(session.memory.write_u32(0, 1))
            await asyncio.get_running_loop().run_in_executor(None, server.wait_for, "memory.write_u32")
            with pytest.raises(ProtocolError) as refused:
                await session.memory.read_bytes(0, 4)
            assert isinstance(refused.value, TargetError)
            with pytest.raises(OutcomeUnknown):
                await write
            assert await session.target.state() == "halted"

    run(body())
    assert len(server.called("memory.write_u32")) == 1


RESULTS: List[Any] = [
    None, [], {}, {**READ, "data": 7}, {**READ, "data": "!"}, {**READ, "data": "AAEC"}, {**READ, "disturbed": 0},
]


@pytest.mark.parametrize("result", RESULTS, ids=range(len(RESULTS)))
def test_wrong_results_are_refused(server: FakeServer, result: Any) -> None:
    server.check_results = False
    server.on("memory.read_bytes", lambda _call: result)
    server.on("target.state", STATE)

    async def body() -> None:
        async with Session.connect(server.url) as session:
            with pytest.raises(TargetError) as refused:
                await session.memory.read_bytes(0, 4)
            assert refused.value.kind == "protocol_error"
            assert await session.target.state() == "halted"

    run(body())


def test_wrong_numbers_of_values_are_refused(server: FakeServer) -> None:
    server.check_results = False
    server.on("memory.read_u8", {"values": [1, 2]})
    server.on("memory.write_u8", {"count": 2})
    server.on("flash.erase_sector", {"sectors_erased": 1, "operation": "op-7"})
    server.on("flash.write", {"size": 1, "sectors_erased": 0, "operation": "op-7"})

    async def body() -> None:
        async with Session.connect(server.url) as session:
            for work in (session.memory.read_u8(0, 3), session.memory.write_u8(0, 1), session.flash.erase_sector(0, 0, 1),
                         session.flash.write(0, 0, b"ab")):
                with pytest.raises(ProtocolError):
                    await work

    run(body())


def test_stream_with_a_gap_or_another_hash_is_refused(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux.memory.INLINE_BYTES", 1)

    def gap(call: Call) -> Any:
        call.data(0, data="AAEC")
        call.data(4, data="AA==")
        return {"size": 5, "sha256": "0" * 64, "disturbed": False, "operation": "op-7"}

    def other(call: Call) -> Any:
        call.data(0, data="AAECAwQ=")
        return {"size": 5, "sha256": "0" * 64, "disturbed": False, "operation": "op-7"}

    server.on("memory.read_bytes", sequence(gap, other))

    async def body() -> None:
        async with Session.connect(server.url) as session:
            for _ in range(2):
                with pytest.raises(ProtocolError):
                    await session.memory.read_bytes(0, 5)

    run(body())


def test_huge_line_ends_the_connection(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux._wire.MAX_LINE_BYTES", 1 << 20)
    server.on("memory.read_bytes", raw(b"x" * (2 << 20)))

    async def body() -> None:
        async with Session.connect(server.url) as session:
            with pytest.raises(ProtocolError):
                await session.memory.read_bytes(0, 4)

    run(body())


def test_no_answer_ends_at_the_deadline(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux._wire.GRACE_S", 0.05)
    for method in ("memory.read_bytes", "memory.write_u32", "flash.erase_all", "stage.list", "lease.renew"):
        server.on(method, silent)
    server.on("target.state", STATE)

    async def body() -> None:
        async with Session.connect(server.url, timeout=0.05) as session:
            with pytest.raises(RequestTimeout):
                await session.memory.read_bytes(0, 4, timeout=0.05)
            with pytest.raises(RequestTimeout):
                await session.stages.list()
            with pytest.raises(OutcomeUnknown):
                await session.memory.write_u32(0, 1)
            with pytest.raises(OutcomeUnknown):
                await session.flash.erase_all(timeout=0.05)
            assert await session.target.state() == "halted"

    run(body())
    assert len(server.called("memory.write_u32")) == 1 and len(server.called("request.cancel")) == 4


def test_silence_without_a_deadline_ends_too(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux._wire.SILENCE_S", 0.05)
    server.on("request.cancel", silent)
    server.on("memory.read_bytes", silent)
    server.on("flash.erase_all", silent)

    async def body() -> None:
        async with Session.connect(server.url) as session:
            with pytest.raises(ConnectionLost):
                await session.memory.read_bytes(0, 4)
            with pytest.raises(OutcomeUnknown):
                await session.flash.erase_all()

    run(body())
    assert len(server.called("flash.erase_all")) == 1


def test_connect_needs_a_daemon_that_says_hello(server: FakeServer) -> None:
    hello = server.hello(None)  # type: ignore[arg-type]
    server.check_results = False
    answers: Dict[str, Any] = {
        "ConnectionFailed": [silent, cut],
        "ProtocolError": [raw(b"SSH-2.0-OpenSSH\r\n"), lambda _call: {}, lambda _call: {**hello, "protocol": 2}],
    }

    async def body() -> None:
        for name, handlers in answers.items():
            for handler in handlers:
                server.on("server.hello", handler)
                with pytest.raises(OcdmuxError) as refused:
                    await Session.connect(server.url, connect_timeout=0.1 if handler is silent else 30.0)
                assert type(refused.value).__name__ == name
        server.on("server.hello", RpcError("unauthenticated", "wrong token"))
        with pytest.raises(Unauthenticated):
            await Session.connect(server.url, token="wrong")
        with pytest.raises(ConnectionFailed):
            await Session.connect("tcp:127.0.0.1:1")

    run(body())


def test_reads_are_asked_again_and_changes_never(server: FakeServer) -> None:
    server.on("memory.read_bytes", sequence(cut, cut, lambda _call: READ))
    server.on("memory.read_u8", sequence(cut, lambda _call: {"values": [1]}))
    server.on("memory.write_u8", cut)
    server.on("flash.protect", cut)

    async def body() -> None:
        async with Session.connect(server.url) as session:
            assert await session.memory.read_bytes(0, 4) == b"\0\1\2\3"
            with pytest.raises(ConnectionLost):
                await session.memory.read_u8(0)
            with pytest.raises(OutcomeUnknown):
                await session.memory.write_u8(0, 1)
            with pytest.raises(OutcomeUnknown):
                await session.flash.protect(0, 0, 1, True)

    run(body())
    counts = [len(server.called(f"memory.{name}")) for name in ("read_bytes", "read_u8", "write_u8")]
    assert counts == [3, 1, 1] and len(server.called("flash.protect")) == 1


def operation(state: str, **more: Any) -> Dict[str, Any]:
    return {"operation": "op-7", "board": "board", "method": "flash.write_image", "state": state,
            "created": "2026-01-31T12:34:56.789Z", **more}


def begun_and_cut(call: Call) -> Any:
    call.progress("queued", 0, unit="operations", place=0)
    call.close()
    return NO_ANSWER


def not_yet(_call: Call) -> Any:
    raise RpcError("timeout", "not yet", timeout_ms=1)


def test_lost_program_is_asked_how_it_ended(server: FakeServer, tmp_path: Path) -> None:
    image = tmp_path / "image.bin"
    image.write_bytes(b"abcd")
    mismatch = {"code": -32000, "message": "differs", "data": {"kind": "verify_mismatch", "address": "0x08000000"}}
    waited: List[Any] = [
        lambda _call: operation("done", result=PROGRAMMED), lambda _call: operation("failed", error=mismatch),
        RpcError("not_found", "no such operation"),
    ]
    server.on("stage.create", {"stage": "s", "present": True, "offset": 4})
    server.on("flash.write_image", begun_and_cut)
    server.on("stage.delete", {"deleted": True})
    server.on("operation.status", operation("running", progress={"phase": "erase", "done": 1, "total": 2, "unit": "sectors"}))

    async def body() -> None:
        async with Session.connect(server.url) as session:
            server.on("operation.wait", sequence(cut, waited[0]))
            assert (await session.flash.program(image)).operation == "op-7"
            server.on("operation.wait", waited[1])
            with pytest.raises(VerifyMismatch) as differs:
                await session.flash.write_image(image)
            assert isinstance(differs.value, FlashError) and differs.value.operation == "op-7"
            server.on("operation.wait", waited[2])
            with pytest.raises(OutcomeUnknown) as unknown:
                await session.flash.write_image(image)
            assert unknown.value.operation == "op-7"
            cancelled = {"code": -32000, "message": "cancelled", "data": {"kind": "cancelled", "flash_state": "partial"}}
            server.on("operation.wait", operation("cancelled", error=cancelled))
            with pytest.raises(RequestCancelled, match="when the connection was lost") as stopped:
                await session.flash.write_image(image)
            assert stopped.value.data == {"flash_state": "partial", "operation": "op-7"}
            seen: List[Progress] = []
            server.on("operation.wait", sequence(not_yet, waited[0]))
            assert (await session.flash.program(image, progress=seen.append)).verified
            assert Progress("erase", 1, 2, "sectors", "op-7") in seen
            server.on("operation.wait", not_yet)
            with pytest.raises(OutcomeUnknown) as running:
                await session.flash.write_image(image, timeout=0.3)
            assert running.value.operation == "op-7"

    run(body())
    assert len(server.called("flash.write_image")) == 6


def test_cancel_waits_for_the_answer_and_not_for_ever(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux._wire.CANCEL_WAIT_S", 0.05)
    answered = threading.Event()

    def slow(call: Call) -> Any:
        call.wait_cancel()
        answered.set()
        raise RpcError("cancelled", "cancelled")

    server.on("memory.read_bytes", sequence(slow, silent))
    server.on("target.state", STATE)

    async def body() -> None:
        async with Session.connect(server.url) as session:
            for count in (1, 2):
                task = asyncio.ensure_future(session.memory.read_bytes(0, 4))
                await asyncio.get_running_loop().run_in_executor(None, server.wait_for, "memory.read_bytes", count)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert answered.is_set() and len(server.called("request.cancel")) == count
            assert await session.target.state() == "halted"

    run(body())


def test_interrupt_cancels_what_a_sync_session_waits_for(server: FakeServer) -> None:
    def slow(call: Call) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        call.wait_cancel()
        raise RpcError("cancelled", "cancelled")

    server.on("target.wait", slow)
    server.on("target.state", STATE)
    with Session.connect_sync(server.url) as session:
        with pytest.raises(KeyboardInterrupt):
            session.target.wait("halted")
        assert len(server.called("request.cancel")) == 1
        assert session.target.state() == "halted"


def test_lease_whose_wait_is_cancelled_is_not_kept(server: FakeServer) -> None:
    def granted_late(call: Call) -> Any:
        call.wait_cancel()
        return {"lease": "l", "board": "board", "ttl_ms": 60000, "expires": "2026-01-31T12:34:56.789Z"}

    server.on("lease.acquire", granted_late)
    server.on("lease.release", {"board": "board"})

    async def body() -> None:
        async with Session.connect(server.url) as session:
            task = asyncio.ensure_future(session.lease().acquire())
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, server.wait_for, "lease.acquire")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await loop.run_in_executor(None, server.wait_for, "lease.release")

    run(body())


def test_calls_wait_for_their_turn(server: FakeServer) -> None:
    server.limits["max_in_flight"] = 4
    most = [0]

    def count(call: Call) -> Any:
        most[0] = max(most[0], len(call.connection.calls))
        return {"values": [7]}

    server.on("memory.read_u8", count)

    async def body() -> None:
        async with Session.connect(server.url) as session:
            tasks = [asyncio.ensure_future(session.memory.read_u8(0)) for _ in range(40)]
            await asyncio.sleep(0)
            tasks[30].cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert [each for each in results if each == [7]] == [[7]] * 39

    run(body())
    assert most[0] <= 4


def test_what_the_daemon_could_not_answer_is_not_sent(server: FakeServer) -> None:
    server.on("target.state", STATE)
    server.limits["max_line_bytes"] = 10_000

    async def body() -> None:
        async with Session.connect(server.url) as session:
            for value in ("\0", "\ud800", float("nan"), object(), {"\0": 1}):
                with pytest.raises(InvalidParams):
                    await session.call("target.state", board=value)
            with pytest.raises(LineTooLong):
                await session.call("target.state", board="x" * 10_000)
            assert await session.target.state() == "halted"

    run(body())
    assert len(server.called("target.state")) == 1


def test_watch_gives_changes_and_outlives_the_connection(server: FakeServer) -> None:
    server.check_calls = server.check_results = False

    def changed(call: Call, **params: Any) -> None:
        note = {"watch": "w-1", "board": "board", "time": "2026-01-31T12:34:56.789Z", "whole": False, **params}
        call.connection.send({"jsonrpc": "2.0", "method": "memory.changed", "params": note})

    def watch(call: Call) -> Any:
        call.server.connections[-1].watch = call  # type: ignore[attr-defined]
        changed(call, seq=1, whole=True, changes=[{"address": "0x20000000", "data": "AAECAw=="}])
        return {"watch": "w-1", "interval_ms": 50}

    server.on("memory.watch", watch)
    server.on("memory.unwatch", {"watch": "w-1"})
    error = {"code": -32000, "message": "no", "data": {"kind": "target_error"}}

    async def body() -> None:
        async with Session.connect(server.url) as session:
            async with session.watch([(0x20000000, 4), (0x20000100, 8)], interval=0.05) as changes:
                first = await changes.__anext__()
                assert (first.changes, first.whole, changes.interval_ms) == ([(0x20000000, b"\0\1\2\3")], True, 50)
                call = server.connections[-1].watch  # type: ignore[attr-defined]
                changed(call, watch="other", seq=1, changes=[])
                changed(call, seq=2, changes=[], interval_ms=51,
                        errors=[{"address": "0x20000100", "size": 8, "error": error}])
                second = await changes.__anext__()
                assert second.interval_ms == 51 and second.errors[0][:2] == (0x20000100, 8)
                assert isinstance(second.errors[0][2], TargetError)
                server.connections[-1].close()
                assert (await changes.__anext__()).whole
            with pytest.raises(NotFound):
                server.on("memory.watch", RpcError("not_found", "no such board"))
                async with session.watch((0, 4)):
                    pass

    run(body())
    asked = server.called("memory.watch")
    assert len(asked) == 3 and asked[0]["params"]["ranges"][1] == {"address": 0x20000100, "size": 8}
    assert asked[0]["params"]["interval_ms"] == 50 and len(server.called("memory.unwatch")) == 1


def test_events_begin_anew_where_the_connection_was_lost_at_once(server: FakeServer) -> None:
    subscribed = {"topics": ["link"], "snapshot": {"boards": []}, "seq": 0}

    def one(call: Call) -> Any:
        threading.Timer(0.0, call.notify, ("event", {"seq": 1, "topic": "link", "board": "board", "state": "idle"})).start()
        return subscribed

    server.on("events.subscribe", sequence(cut, cut, one))
    server.on("events.unsubscribe", {"topics": []})

    async def body() -> None:
        async with Session.connect(server.url) as session, session.events("link") as events:
            assert (await events.__anext__()).kind == "idle"

    run(body())
    assert len(server.called("events.subscribe")) == 3


def test_slow_listener_is_told_what_it_lost(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocdmux.streams.MOST_WAITING", 3)
    server.check_results = False

    def subscribe(call: Call) -> Any:
        for seq in range(1, 8):
            call.notify("event", {"seq": seq, "topic": "link", "board": "board", "state": "idle"})
        return {"topics": ["link"], "snapshot": {"boards": []}, "seq": 2}

    server.on("events.subscribe", subscribe)
    server.on("events.unsubscribe", {"topics": []})

    async def body() -> None:
        async with Session.connect(server.url) as session, session.events("link") as events:
            dropped = await events.__anext__()
            assert (dropped.kind, dropped.data) == ("dropped", {"count": 2})
            assert [(await events.__anext__()).data["seq"] for _ in range(3)] == [5, 6, 7]

    run(body())


def test_program_sends_anew_what_somebody_deleted(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "image.bin").write_bytes(b"abcd")
    gone = RpcError("not_found", "there is no stage", parameter="stage")

    def refuse(_call: Call) -> Any:
        raise gone

    created = {"stage": "s", "present": False, "offset": 0}
    server.on("stage.create", created)
    written = {"offset": 4, "size": 4, "complete": True}
    server.on("stage.write", sequence(refuse, lambda _call: written))
    server.on("flash.write_image", sequence(refuse, lambda _call: PROGRAMMED, refuse))
    server.on("stage.delete", {"deleted": True})

    async def body() -> None:
        async with Session.connect(server.url) as session:
            assert (await session.flash.program(tmp_path / "image.bin")).operation == "op-7"
            with pytest.raises(NotFound) as lost:
                await session.flash.program(tmp_path / "image.bin")
            assert isinstance(lost.value, FlashError)

    run(body())
    assert len(server.called("flash.write_image")) == 4


def test_upload_makes_room_of_what_is_not_needed(server: FakeServer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    full = RpcError("limit_exceeded", "too many", limit="max_stages", maximum=1)

    def refuse(_call: Call) -> Any:
        raise full

    create = {"stage": "s", "present": False, "offset": 0}
    server.on("stage.create", sequence(lambda _call: create, refuse, lambda _call: create, refuse))
    server.on("stage.write", {"offset": 3, "size": 3, "complete": True})
    server.on("stage.delete", {"deleted": True})
    verified = {"match": True, "size": 3, "differences": [], "difference_count": 0, "disturbed": True, "operation": "op-7"}
    server.on("flash.verify", verified)

    async def body() -> None:
        async with Session.connect(server.url) as session:
            with pytest.warns(UserWarning, match="changed while"):
                assert await session.flash.verify(0, tmp_path / "one") and await session.flash.verify(0, tmp_path / "two")
            with pytest.raises(FlashError) as disturbed:
                await session.flash.verify(0, tmp_path / "two", consistent=True)
            assert disturbed.value.kind == "limit_exceeded"

    run(body())
    assert [each["params"]["stage"] for each in server.called("stage.delete")] == ["s", "s"]
