"""Streams: `data` notifications, their order, their hash, and clients that read slowly."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest

from harness.client import Client
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE
from harness.waiting import wait_until

pytestmark = pytest.mark.both  # slow readers of a fast daemon

SLOW = """{
    "boards": [{"name": "board", "openocd": "127.0.0.1:%PORT%"}],
    "limits": {"max_output_bytes": 4096, "slow_reader_ms": %MS%}
}"""
RAM_SIZE = 20 * KIB


def join(pieces: List[Dict[str, Any]], encoding: str = "base64") -> bytes:
    """What the pieces hold, which must come in order and without gaps."""
    content = b""
    for piece in pieces:
        assert piece["offset"] == len(content)
        data = bytes.fromhex(piece["data"]) if encoding == "hex" else base64.b64decode(piece["data"], validate=True)
        assert data
        content += data
    return content


@pytest.mark.parametrize("size", [1, 1024, 16 * KIB, 16 * KIB + 1, 64 * KIB, 128 * KIB])
@pytest.mark.parametrize("encoding", ["base64", "hex"])
def test_flash(client: Client, flash_content: bytes, size: int, encoding: str) -> None:
    result = client.call("memory.read_bytes", address=FLASH_BASE, size=size, stream=True, encoding=encoding)
    pieces = client.take_notifications("data")
    assert join(pieces, encoding) == flash_content[:size]
    assert result["sha256"] == hashlib.sha256(flash_content[:size]).hexdigest()
    assert result["size"] == size and "data" not in result and result["disturbed"] is False
    assert len(pieces) > 1 or size <= 1024, "the first command has 1 KiB at the most"


def test_whole_ram(client: Client) -> None:
    data = bytes((i * 7 + i // 256) & 0xFF for i in range(RAM_SIZE))
    client.call("memory.write_bytes", address=RAM_BASE, data=base64.b64encode(data).decode())
    result = client.call("memory.read_bytes", address=RAM_BASE, size=RAM_SIZE, stream=True)
    assert join(client.take_notifications("data")) == data
    assert result["sha256"] == hashlib.sha256(data).hexdigest()


def test_two_streams_of_one_connection(client: Client, flash_content: bytes) -> None:
    """The pieces name their call, here one by a text and one by a number."""
    calls: Dict[Any, int] = {"a": 0, 17: 32 * KIB}
    for identifier, offset in calls.items():
        params = {"address": FLASH_BASE + offset, "size": 20 * KIB, "stream": True}
        client.send_text(json.dumps(client.make_call("memory.read_bytes", params, identifier)))
    for identifier in calls:
        client.result(identifier)
    pieces = client.take_notifications("data")
    for identifier, offset in calls.items():
        own = [piece for piece in pieces if piece["id"] == identifier]
        assert join(own) == flash_content[offset : offset + 20 * KIB]


def test_two_connections_stream_at_once(client: Client, stack_client: Client, flash_content: bytes) -> None:
    both = (client, stack_client)
    sent = [each.send("memory.read_bytes", address=FLASH_BASE, size=40 * KIB, stream=True) for each in both]
    for each, identifier in zip(both, sent):
        each.result(identifier)
        assert join(each.take_notifications("data")) == flash_content[: 40 * KIB]


def test_a_stream_that_fails_half_way(client: Client) -> None:
    """The pieces sent before the error are right, and the error says how many bytes they are."""
    start = RAM_BASE + RAM_SIZE - 6 * KIB
    data = bytes(range(256)) * 24
    client.call("memory.write_bytes", address=start, data=data.hex(), encoding="hex")
    error = client.fail("memory.read_bytes", address=start, size=7 * KIB, stream=True)
    assert error.kind == "target_error"
    content = join(client.take_notifications("data"))
    assert content == data[: len(content)] and len(content) == error.data["done"] >= 1024


def slow_client(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path, limit_ms: int
) -> List[Client]:
    """A client that has asked for a hexdump stream of 650 KB and does not read, and another one. On a Unix socket,
    whose buffers in the kernel are small."""
    config = SLOW.replace("%MS%", str(limit_ms))
    daemon = make_daemon(config=config, listen=[f"unix:{tmp_path}/sock"])
    slow, other = connect(daemon), connect(daemon)
    slow.send("memory.hexdump", address=FLASH_BASE, size=128 * KIB, stream=True, timeout_ms=3600000)
    return [slow, other]


def test_a_slow_reader_pauses_its_own_stream_only(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path, flash_content: bytes
) -> None:
    slow, other = slow_client(make_daemon, connect, tmp_path, 3600000)
    seen: List[int] = []

    def stands_still() -> bool:
        """Between any two of the other's reads the stream would have its turn, were it not paused."""
        other.call("memory.read_u32", address=FLASH_BASE)
        operations = other.call("operation.list")["operations"]
        seen.append(operations[0]["progress"]["done"] if operations else -1)
        return seen[-1] > 0 and len(seen) > 50 and len(set(seen[-50:])) == 1

    wait_until(stands_still, "the stream to pause")
    assert 0 < seen[-1] < 128 * KIB
    slow.result(1)
    text = "".join(piece["text"] for piece in slow.take_notifications("data"))
    content = b"".join(bytes.fromhex(line[10:59]) for line in text.splitlines())
    assert content == flash_content


def test_a_reader_too_slow_is_closed(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], tmp_path: Path
) -> None:
    slow, other = slow_client(make_daemon, connect, tmp_path, 200)

    def alone() -> bool:
        other.call("memory.read_u32", address=FLASH_BASE)
        return bool(other.call("server.stats")["clients"] == 1)

    wait_until(alone, "the slow client to be closed")
    operations = other.call("operation.list")["operations"]
    assert [operation["state"] for operation in operations] == ["cancelled"]
    assert other.call("memory.read_u32", address=FLASH_BASE)["values"]
    del slow
