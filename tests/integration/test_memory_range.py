"""memory.read_bytes and memory.write_bytes."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, RAM_BASE

pytestmark = pytest.mark.both  # bytes of every alignment with the build that users run

RAM_SIZE = 20 * KIB


def read(client: Client, address: int, size: int) -> bytes:
    """The bytes at an address; checks what the reply says of them."""
    result = client.call("memory.read_bytes", address=address, size=size)
    data = base64.b64decode(result["data"], validate=True)
    assert result["size"] == size == len(data)
    assert result["sha256"] == hashlib.sha256(data).hexdigest()
    return data


def write(client: Client, address: int, data: bytes) -> None:
    """Writes bytes; checks the size in the reply."""
    result = client.call("memory.write_bytes", address=address, data=base64.b64encode(data).decode())
    assert result["size"] == len(data)


@pytest.mark.parametrize("alignment", range(8))
def test_read_every_alignment_and_size(client: Client, flash_content: bytes, alignment: int) -> None:
    for size in range(1, 41):
        at = 0x300 + alignment
        assert read(client, FLASH_BASE + at, size) == flash_content[at : at + size], f"{size} bytes at {at}"


@pytest.mark.parametrize("alignment", range(8))
def test_write_every_alignment_and_size(client: Client, alignment: int) -> None:
    """Nothing beside the range changes."""
    noise = random.Random(alignment)
    for size in range(1, 41):
        model = bytearray(noise.randbytes(64))
        write(client, RAM_BASE, bytes(model))
        data = noise.randbytes(size)
        model[8 + alignment : 8 + alignment + size] = data
        write(client, RAM_BASE + 8 + alignment, data)
        assert read(client, RAM_BASE, 64) == bytes(model), f"{size} bytes at {alignment}"


@pytest.mark.parametrize("offset, size", [(0, 128 * KIB), (1, 128 * KIB - 1), (0, 128 * KIB - 3), (3, 65537)])
def test_read_big_ranges(client: Client, flash_content: bytes, offset: int, size: int) -> None:
    assert read(client, FLASH_BASE + offset, size) == flash_content[offset : offset + size]


@pytest.mark.parametrize("offset, cut", [(0, 0), (1, 2), (3, 3), (2, 1)])
def test_write_big_ranges(client: Client, offset: int, cut: int) -> None:
    data = random.Random(offset).randbytes(RAM_SIZE - offset - cut)
    write(client, RAM_BASE + offset, data)
    assert read(client, RAM_BASE + offset, len(data)) == data


def test_random_reads_and_writes_agree_with_a_model(client: Client) -> None:
    noise = random.Random(2024)
    model = bytearray(noise.randbytes(RAM_SIZE))
    write(client, RAM_BASE, bytes(model))
    for _ in range(150):
        size = min(int(noise.paretovariate(0.5)), 3000)
        at = noise.randrange(RAM_SIZE - size + 1)
        if noise.random() < 0.5:
            data = noise.randbytes(size)
            model[at : at + size] = data
            write(client, RAM_BASE + at, data)
        else:
            assert read(client, RAM_BASE + at, size) == bytes(model[at : at + size]), f"{size} bytes at {at:#x}"
    assert read(client, RAM_BASE, RAM_SIZE) == bytes(model)


def test_pipelined_requests_of_one_client_run_in_order(client: Client) -> None:
    """Each read sees the write that was sent before it and none of those behind it."""
    sent = []
    for value in range(40):
        client.send("memory.write_u8", address=RAM_BASE + 100, values=value)
        sent.append((value, client.send("memory.read_bytes", address=RAM_BASE + 100, size=1, encoding="hex")))
    for value, identifier in sent:
        assert client.result(identifier)["data"] == f"{value:02x}"


@pytest.mark.parametrize("encoding", ["base64", "hex"])
def test_encodings(client: Client, encoding: str) -> None:
    data = bytes(range(256))
    text = data.hex() if encoding == "hex" else base64.b64encode(data).decode()
    client.call("memory.write_bytes", address=RAM_BASE, data=text, encoding=encoding)
    assert client.call("memory.read_bytes", address=RAM_BASE, size=256, encoding=encoding)["data"] == text
    assert read(client, RAM_BASE, 256) == data


def test_hex_of_either_case_is_taken(client: Client) -> None:
    client.call("memory.write_bytes", address=RAM_BASE, data="DEADbeef", encoding="hex")
    assert client.call("memory.read_bytes", address=RAM_BASE, size=4, encoding="hex")["data"] == "deadbeef"


def test_physical(client: Client, flash_content: bytes) -> None:
    client.call("memory.write_bytes", address=RAM_BASE, data="c0ffee", encoding="hex", physical=True)
    result = client.call("memory.read_bytes", address=RAM_BASE, size=3, encoding="hex", physical=True)
    assert result["data"] == "c0ffee"
    result = client.call("memory.read_bytes", address=FLASH_BASE, size=5000, physical=True)
    assert base64.b64decode(result["data"]) == flash_content[:5000]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 4096])
def test_the_ends_of_ram(client: Client, size: int) -> None:
    data = random.Random(size).randbytes(size)
    for at in (RAM_BASE, RAM_BASE + RAM_SIZE - size):
        write(client, at, data)
        assert read(client, at, size) == data


@pytest.mark.parametrize("good", [0, 1, 4, 1000, 1024, 5000])
def test_reading_into_nothing(client: Client, good: int) -> None:
    """Behind the end of RAM every access faults. The error says where, and how many bytes were read before."""
    error = client.fail("memory.read_bytes", address=RAM_BASE + RAM_SIZE - good, size=good + 100)
    assert error.kind == "target_error"
    assert "failed to read memory" in error.data["openocd"]["text"]
    assert RAM_BASE + RAM_SIZE - good <= int(error.data["address"], 16) <= RAM_BASE + RAM_SIZE
    assert 0 <= error.data["done"] <= good
    assert error.data["operation"]


@pytest.mark.parametrize("good", [0, 1, 4, 1000, 1024, 5000])
def test_writing_into_nothing(client: Client, good: int) -> None:
    """What the error counts as done is there."""
    data = random.Random(good).randbytes(good + 100)
    start = RAM_BASE + RAM_SIZE - good
    error = client.fail("memory.write_bytes", address=start, data=data.hex(), encoding="hex")
    assert error.kind == "target_error"
    assert "failed to write memory" in error.data["openocd"]["text"]
    done = error.data["done"]
    assert 0 <= done <= good
    if done > 0:
        assert read(client, start, done) == data[:done]


def test_beyond_the_targets_addresses(client: Client) -> None:
    for address, size in ((2**32, 1), (2**32 - 1, 2), (2**32 - 4, 5), (2**63, 1)):
        for error in (
            client.fail("memory.read_bytes", address=str(address), size=size),
            client.fail("memory.write_bytes", address=str(address), data="00" * size, encoding="hex"),
            client.fail("memory.hexdump", address=str(address), size=size),
            client.fail("memory.search", start=str(address), end=str(address + size), pattern="00", encoding="hex"),
        ):
            assert error.kind == "invalid_range", error.message
            assert "0xffffffff" in error.message


def test_more_than_one_reply_may_hold(client: Client) -> None:
    limit = client.call("server.hello")["limits"]["max_inline_bytes"]
    error = client.fail("memory.read_bytes", address=FLASH_BASE, size=limit + 1)
    assert error.kind == "limit_exceeded"
    assert error.data["limit"] == "max_inline_bytes" and "stream" in error.message
    assert client.fail("memory.hexdump", address=FLASH_BASE, size=limit).data["limit"] == "max_inline_bytes"
