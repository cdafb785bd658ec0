"""memory.load_image: into RAM, checked before anything is written, and read back."""

from __future__ import annotations

import random
from typing import Any, Callable, Dict, Iterator

import pytest

from flash_bank import encode
from harness.client import Client
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image

RAM = 20 * KIB


def noise(size: int) -> bytes:
    """Random bytes."""
    return random.Random(size).randbytes(size)


@pytest.fixture(name="ram")
def fixture_ram(stack: Stack) -> Iterator[Client]:
    """A halted target, and a connection that still works behind the test."""
    client = stack.client()
    client.call("target.halt")
    yield client
    assert client.call("target.state")["target"] == "vb.cpu"


def read(client: Client, address: int, size: int) -> bytes:
    """What is there."""
    return bytes.fromhex(client.call("memory.read_bytes", address=address, size=size, encoding="hex")["data"])


@pytest.mark.parametrize("offset, size", [(0, 1), (0, 4), (1, 1), (1, 2), (3, 10), (2, 4097), (0, RAM), (RAM - 1, 1)])
def test_every_byte_arrives_and_none_around_it(ram: Client, offset: int, size: int) -> None:
    before = noise(RAM - 1) + b"\x55"
    ram.call("memory.write_bytes", address=RAM_BASE, data=encode(before))
    data = noise(size)
    result = ram.call("memory.load_image", address=RAM_BASE + offset, data=encode(data), format="bin")
    assert result.pop("operation") and result.pop("duration_ms") >= 0
    assert result == {"format": "bin", "segments": 1, "bytes_written": size, "verified": True}
    assert read(ram, RAM_BASE, RAM) == before[:offset] + data + before[offset + size :]


def test_without_verify_and_in_hex(ram: Client) -> None:
    result = ram.call("memory.load_image", address=f"{RAM_BASE:#x}", data="00ff10", encoding="hex", verify=False)
    assert result["verified"] is False and result["format"] == "bin"
    assert read(ram, RAM_BASE, 3) == b"\x00\xff\x10"


def test_progress(ram: Client) -> None:
    result = ram.call("memory.load_image", address=RAM_BASE, data=encode(noise(5000)), progress="l")
    notes = ram.take_notifications("progress")
    assert {note["phase"] for note in notes} <= {"queued", "write", "verify"}
    last = notes[-1]
    assert (last["phase"], last["done"], last["total"], last["unit"]) == ("verify", 5000, 5000, "bytes")
    assert last["operation"] == result["operation"]


@pytest.mark.parametrize("prepare", ["halt", "reset_halt", "reset_init"])
def test_prepare_from_running(make_stack: Callable[..., Stack], prepare: str) -> None:
    client = make_stack(image=make_image(4 * KIB)).client()
    assert client.call("target.state")["state"] == "running"
    client.call("memory.load_image", address=RAM_BASE, data=encode(noise(100)), prepare=prepare)
    assert client.call("target.state")["state"] == "halted"
    assert read(client, RAM_BASE, 100) == noise(100)


def test_a_running_target_need_not_be_halted(make_stack: Callable[..., Stack]) -> None:
    client = make_stack(image=make_image(4 * KIB)).client()
    client.call("memory.load_image", address=RAM_BASE + 100, data=encode(noise(3000)))
    assert client.call("target.state")["state"] == "running"
    assert read(client, RAM_BASE + 100, 3000) == noise(3000)


@pytest.mark.parametrize("offset, size", [(0, 4), (-4, 5), (128 * KIB - 1, 1), (1000, 5000)])
def test_a_segment_in_flash(ram: Client, offset: int, size: int) -> None:
    error = ram.fail("memory.load_image", address=str(FLASH_BASE + offset), data=encode(noise(size)), prepare="halt")
    assert error.kind == "image_invalid", error.message
    assert error.data["address"] == f"{FLASH_BASE + offset:#010x}" and error.data["size"] == size
    assert error.data["bank"] == 0


def test_a_segment_in_flash_that_was_not_probed(make_stack: Callable[..., Stack]) -> None:
    """Where it ends is found out first: beyond it is no flash."""
    client = make_stack(flash_size=8 * KIB, image=make_image(8 * KIB)).client()
    client.call("target.list")
    assert client.call("board.status")["banks"][0]["size"] == 0
    error = client.fail("memory.load_image", address=FLASH_BASE + 8 * KIB - 1, data="AA==")
    assert error.kind == "image_invalid"
    error = client.fail("memory.load_image", address=FLASH_BASE + 8 * KIB, data="AA==")
    assert error.kind == "target_error" and error.data["address"] == "0x08002000"


@pytest.mark.parametrize("address, size", [(0xFFFFFFFF, 2), (2**32, 1), (2**64 - 1, 1), (2**64 - 1, 2), (2**63, 4)])
def test_beyond_the_targets_addresses(ram: Client, address: int, size: int) -> None:
    error = ram.fail("memory.load_image", address=str(address), data=encode(noise(size)))
    assert error.kind == "invalid_range", error.message
    assert error.data["size"] == size


def test_no_memory_there(ram: Client) -> None:
    error = ram.fail("memory.load_image", address=RAM_BASE + RAM - 4, data=encode(noise(12)))
    assert error.kind == "target_error" and error.data["phase"] == "write"
    assert int(error.data["address"], 16) >= RAM_BASE + RAM - 4


def test_what_does_not_stay_written(ram: Client) -> None:
    """The controller's registers take the accesses and keep their values."""
    found = read(ram, 0x40022000, 4)
    error = ram.fail("memory.load_image", address=0x40022000, data=encode(bytes(byte ^ 0x11 for byte in found)))
    assert error.kind == "verify_mismatch" and error.data["address"] == "0x40022000"
    assert error.data["expected"] == found[0] ^ 0x11 and error.data["phase"] == "verify"


BAD: Dict[str, Dict[str, Any]] = {
    "nothing": {"address": RAM_BASE},
    "empty": {"address": RAM_BASE, "data": ""},
    "two sources": {"address": RAM_BASE, "data": "AA==", "stage": "0123456789abcdef"},
    "no base64": {"address": RAM_BASE, "data": "*"},
    "a format that is none": {"address": RAM_BASE, "data": "AA==", "format": "mem"},
    "a prepare that is none": {"address": RAM_BASE, "data": "AA==", "prepare": "run"},
    "an address that is none": {"address": "ram", "data": "AA=="},
    "a negative address": {"address": -4, "data": "AA=="},
    "verify as a word": {"address": RAM_BASE, "data": "AA==", "verify": "yes"},
    "unknown": {"address": RAM_BASE, "data": "AA==", "physical": True},
}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameters(ram: Client, name: str) -> None:
    error = ram.fail("memory.load_image", **BAD[name])
    assert error.kind == "invalid_params", error.message


@pytest.mark.parametrize("format_", ["auto", "bin"])
def test_bin_needs_an_address(ram: Client, format_: str) -> None:
    error = ram.fail("memory.load_image", data="AAECAwQFBgcI", format=format_)
    assert error.kind == "invalid_params" and error.data["parameter"] == "address"


@pytest.mark.parametrize("format_", ["ihex", "srec", "elf", "uf2"])
def test_other_formats_have_addresses_of_their_own(ram: Client, format_: str) -> None:
    error = ram.fail("memory.load_image", data="AAECAwQFBgcI", format=format_, address=RAM_BASE)
    assert error.kind == "invalid_params" and error.data["parameter"] == "address"


def test_no_such_target(ram: Client) -> None:
    assert ram.fail("memory.load_image", address=RAM_BASE, data="AA==", target="nobody").kind == "not_found"
