"""breakpoint.*: what OpenOCD lists, takes and refuses; and that a target stops there."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, RAM_BASE

TARGET = "vb.cpu"
CODE = RAM_BASE + 0x100
SLOTS = 6
WATCHPOINTS = 4


@pytest.fixture(name="own")
def fixture_own(client: Client) -> Iterator[Client]:
    """Halted, with four NOPs and a `b .` in RAM at CODE, and nothing set; the same behind."""
    client.call("target.reset", mode="halt")
    client.call("memory.write_bytes", address=CODE, data="00bf" * 4 + "fee7", encoding="hex")
    yield client
    client.call("target.halt")
    for point in points(client):
        client.call("breakpoint.remove", address=point["address"], kind=point["kind"])


def points(client: Client) -> List[Dict[str, Any]]:
    """What is set."""
    result = client.call("breakpoint.list")
    assert result["target"] == TARGET
    listed: List[Dict[str, Any]] = result["breakpoints"]
    return listed


def point(address: int, length: int, kind: str) -> Dict[str, Any]:
    """As it is listed."""
    found: Dict[str, Any] = {"address": f"0x{address:08x}", "length": length, "kind": kind}
    if kind in ("read", "write", "access"):
        found.update(value="0x00000000", mask="0xffffffff")
    return found


def test_each_kind_is_added_listed_and_removed(own: Client) -> None:
    wanted = [
        point(FLASH_BASE + 0x100, 2, "hardware"), point(CODE, 2, "software"), point(RAM_BASE + 0x400, 4, "read"),
        point(RAM_BASE + 0x410, 4, "write"), point(RAM_BASE + 0x420, 8, "access"),
    ]
    assert points(own) == []
    for count, each in enumerate(wanted, 1):
        result = own.call("breakpoint.add", address=each["address"], length=each["length"], kind=each["kind"])
        assert result == {"target": TARGET, "breakpoints": wanted[:count]}
    assert points(own) == wanted
    for count, each in enumerate(wanted, 1):
        assert own.call("breakpoint.remove", address=each["address"])["breakpoints"] == wanted[count:]
    assert points(own) == []


def test_defaults(own: Client) -> None:
    own.call("breakpoint.add", address=FLASH_BASE)
    own.call("breakpoint.add", address=RAM_BASE, kind="write", target=TARGET)
    assert points(own) == [point(FLASH_BASE, 2, "hardware"), point(RAM_BASE, 4, "write")]


def test_both_at_one_address(own: Client) -> None:
    own.call("breakpoint.add", address=CODE, kind="software")
    own.call("breakpoint.add", address=CODE, kind="read")
    assert own.call("breakpoint.remove", address=CODE, kind="read")["breakpoints"] == [point(CODE, 2, "software")]
    own.call("breakpoint.add", address=CODE, kind="read")
    assert own.call("breakpoint.remove", address=CODE)["breakpoints"] == []
    assert own.call("memory.read_u16", address=CODE)["values"] == [0xBF00]


def test_a_second_one_at_the_same_address(own: Client) -> None:
    own.call("breakpoint.add", address=CODE, kind="software")
    for kind in ("software", "hardware"):
        error = own.fail("breakpoint.add", address=CODE, kind=kind)
        assert error.kind == "target_error" and error.data["address"] == f"0x{CODE:08x}"
        assert error.data["openocd"]["code"] == -312 and "Duplicate Breakpoint" in error.message
    own.call("breakpoint.add", address=RAM_BASE, kind="read")
    assert len(own.call("breakpoint.add", address=RAM_BASE, kind="read")["breakpoints"]) == 2
    error = own.fail("breakpoint.add", address=RAM_BASE, kind="write")
    assert error.kind == "target_error" and "already has watchpoint" in error.data["openocd"]["text"]
    assert points(own) == [point(CODE, 2, "software"), point(RAM_BASE, 4, "read")]


def test_no_comparator_is_free(own: Client) -> None:
    for index in range(SLOTS):
        own.call("breakpoint.add", address=FLASH_BASE + 16 * index)
    error = own.fail("breakpoint.add", address=FLASH_BASE + 0x200)
    assert error.kind == "target_error" and "Can not find free FPB Comparator" in error.data["openocd"]["text"]
    for index in range(WATCHPOINTS):
        own.call("breakpoint.add", address=RAM_BASE + 16 * index, kind="access")
    error = own.fail("breakpoint.add", address=RAM_BASE + 0x200, kind="access")
    assert error.kind == "target_error" and "resource not available" in error.message
    assert len(points(own)) == SLOTS + WATCHPOINTS
    own.call("breakpoint.remove", address=FLASH_BASE)
    own.call("breakpoint.add", address=FLASH_BASE + 0x200)


@pytest.mark.parametrize(
    "params",
    [
        {"address": CODE, "length": 4, "kind": "software"}, {"address": FLASH_BASE, "length": 1},
        {"address": RAM_BASE + 1, "length": 4, "kind": "write"}, {"address": RAM_BASE, "length": 3, "kind": "read"},
        {"address": RAM_BASE, "kind": "write", "value": 5},
        {"address": RAM_BASE, "kind": "write", "value": 0, "mask": 1},
        {"address": 0x30000000, "kind": "software"},
    ],
)
def test_what_the_target_cannot_do(own: Client, params: Dict[str, Any]) -> None:
    """In OpenOCD's words; nothing is set."""
    error = own.fail("breakpoint.add", **params)
    assert error.kind == "target_error" and error.data["openocd"]["code"] != 0
    assert error.data["openocd"]["text"] != "" and points(own) == []


@pytest.mark.parametrize(
    "params, parameter",
    [
        ({"value": 1}, "value"), ({"kind": "software", "value": 1, "mask": 1}, "value"), ({"mask": 1}, "mask"),
        ({"kind": "write", "mask": 1}, "mask"), ({"length": 0}, "length"), ({"length": 65537}, "length"),
        ({"kind": "read", "value": 2**32}, "value"), ({"kind": "hw"}, "kind"),
    ],
)
def test_parameters_that_are_wrong(own: Client, params: Dict[str, Any], parameter: str) -> None:
    error = own.fail("breakpoint.add", address=RAM_BASE, **params)
    assert error.kind == "invalid_params" and error.data["parameter"] == parameter
    assert points(own) == []


def test_beyond_the_address_space(own: Client) -> None:
    for address in (2**32, 2**32 - 1, "0xffffffffffffffff"):
        error = own.fail("breakpoint.add", address=address)
        assert error.kind == "invalid_range" and error.data["address_bits"] == 32
    assert points(own) == []


def test_removing_what_is_not_there(own: Client) -> None:
    own.call("breakpoint.add", address=FLASH_BASE)
    for params in ({"address": CODE}, {"address": FLASH_BASE, "kind": "software"}, {"address": "0xfffffffffffff800"}):
        error = own.fail("breakpoint.remove", **params)
        assert error.kind == "not_found" and error.data["parameter"] == "address"
    assert points(own) == [point(FLASH_BASE, 2, "hardware")]


def test_while_it_runs(own: Client) -> None:
    """A watchpoint removed then would leave its comparator taken; OpenOCD would say nothing."""
    own.call("breakpoint.add", address=RAM_BASE, kind="write")
    own.call("target.resume")
    for method, params in (
        ("breakpoint.add", {"address": CODE, "kind": "software"}), ("breakpoint.add", {"address": 0, "kind": "read"}),
        ("breakpoint.remove", {"address": RAM_BASE}),
    ):
        assert own.fail(method, **params).kind == "target_not_halted"
    own.call("breakpoint.add", address=FLASH_BASE + 0x300)
    assert own.call("breakpoint.remove", address=FLASH_BASE + 0x300)["breakpoints"] == points(own)
    assert points(own) == [point(RAM_BASE, 4, "write")]


@pytest.mark.parametrize("start, stop, kind", [(CODE, CODE + 4, "software"), (FLASH_BASE + 0x40, 0, "hardware")])
def test_a_target_stops_there(own: Client, start: int, stop: int, kind: str) -> None:
    """Flash holds `b .` where it starts."""
    stop = stop or start
    own.call("breakpoint.add", address=stop, kind=kind)
    own.call("target.resume", address=start)
    assert own.call("target.wait", state="halted") == {"target": TARGET, "state": "halted"}
    assert own.call("register.read", names=["pc"])["registers"][0]["value"] == f"0x{stop:08x}"


def test_they_outlive_a_reset(own: Client) -> None:
    own.call("breakpoint.add", address=FLASH_BASE + 0x100)
    own.call("breakpoint.add", address=RAM_BASE, kind="write")
    before = points(own)
    own.call("target.reset", mode="halt")
    assert points(own) == before


def test_unknown_target(own: Client) -> None:
    for method, params in (
        ("breakpoint.list", {}), ("breakpoint.add", {"address": 0}), ("breakpoint.remove", {"address": 0}),
    ):
        error = own.fail(method, target="nobody", **params)
        assert error.kind == "not_found" and error.data["parameter"] == "target"
