"""The lines of a connection, without a network: however they are cut, and whatever is done to them."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any, Dict, List, Optional

import pytest

from conftest import run
from ocdmux import OcdmuxError
from ocdmux._wire import Connection, Pending

LINES: List[Dict[str, Any]] = [
    {"jsonrpc": "2.0", "method": "progress", "params": {"token": 1, "operation": "op-1", "phase": "read", "done": 1, "unit": "bytes"}},
    {"jsonrpc": "2.0", "method": "data", "params": {"id": 1, "offset": 0, "data": "AAEC"}},
    {"jsonrpc": "2.0", "method": "event", "params": {"seq": 1, "topic": "link", "board": "b\u00e9", "state": "idle"}},
    {"jsonrpc": "2.0", "id": 2, "error": {"code": -32000, "message": "no", "data": {"kind": "target_error"}}},
    {"jsonrpc": "2.0", "id": 1, "result": {"size": 3}},
]
STREAM = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in LINES)


class Wire(asyncio.Transport):
    """Takes what is written and gives nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True


class Talk:
    """A connection on which two calls are under way."""

    def __init__(self) -> None:
        self.seen: List[Any] = []
        self.ends = 0
        self.wire = Wire()
        self.connection = Connection("test", lambda method, params: self.seen.append((method, params)), self._end)
        self.connection.connection_made(self.wire)
        first = Pending("memory.read_bytes", self.seen.append, self.seen.append)
        calls = [first, Pending("memory.read_u8", None, None)]
        self.calls = [asyncio.ensure_future(self.connection.call(each, {}, None)) for each in calls]

    def _end(self, _connection: Connection) -> None:
        self.ends += 1

    async def feed(self, data: bytes, sizes: Optional[random.Random] = None) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        while data:
            size = len(data) if sizes is None else sizes.randint(1, 40)
            self.connection.data_received(data[:size])
            data = data[size:]

    async def finish(self) -> List[Any]:
        """Ends it, and what became of the calls: results, or kinds of errors."""
        self.connection.connection_lost(None)
        ended = await asyncio.gather(*self.calls, return_exceptions=True)
        return [each.kind if isinstance(each, OcdmuxError) else each for each in ended]


@pytest.mark.parametrize("seed", [None, *range(20)])
def test_wire_takes_lines_however_they_are_cut(seed: Optional[int]) -> None:
    async def body() -> None:
        talk = Talk()
        await talk.feed(STREAM, None if seed is None else random.Random(seed))
        sent = [json.loads(line) for line in talk.wire.written.splitlines()]
        assert [(each["id"], each["method"]) for each in sent] == [(1, "memory.read_bytes"), (2, "memory.read_u8")]
        assert talk.seen == [LINES[0]["params"], LINES[1]["params"], ("event", LINES[2]["params"])]
        assert talk.connection.ended is None
        assert await talk.finish() == [{"size": 3}, "target_error"] and talk.ends == 1

    run(body())


def test_wire_survives_any_bytes() -> None:
    """Every call ends, in its own result or in an error of the client, and nothing else is raised."""
    async def body() -> None:
        generator = random.Random(20)
        outcomes = set()
        for _ in range(1500):
            data = bytearray(STREAM)
            for _ in range(generator.randint(1, 4)):
                at = generator.randrange(len(data))
                way = generator.randrange(4)
                if way == 0:
                    data[at] = generator.randrange(256)
                elif way == 1:
                    del data[at:at + generator.randint(1, 30)]
                elif way == 2:
                    data[at:at] = generator.choice([b"\n", b"null", b"[", b"1e999", b'"', b"\0", b"true", b"{}", b"-"])
                else:
                    data[at:at] = data[:generator.randint(1, 60)]
            talk = Talk()
            await talk.feed(bytes(data), generator)
            ended = await talk.finish()
            assert talk.ends == 1 and talk.wire.aborted
            for each in ended:
                assert not isinstance(each, BaseException), each
                outcomes.add(str(each))
        assert {"protocol_error", "connection_lost", "target_error", "{'size': 3}"} <= outcomes

    run(body())
