"""register.*: names, sizes and values of the core's registers, and none at all while it runs."""

from __future__ import annotations

import random
from typing import Any, Dict, Iterator

import pytest

from harness.client import Client
from harness.stack import RAM_BASE, Stack
from harness.waiting import wait_until

TARGET = "vb.cpu"
PLAIN = [f"r{number}" for number in range(13)]


@pytest.fixture(name="own")
def fixture_own(client: Client) -> Iterator[Client]:
    """Halted at the first instruction, and halted again behind."""
    client.call("target.reset", mode="halt")
    yield client
    client.call("target.halt")


def read(client: Client, *names: str) -> Dict[str, int]:
    """Values by name."""
    result = client.call("register.read", **({"names": list(names)} if names else {}))
    assert result["target"] == TARGET
    return {entry["name"]: int(entry["value"], 16) for entry in result["registers"]}


def write(client: Client, **values: Any) -> Dict[str, int]:
    """What reads back."""
    result = client.call("register.write", names=list(values), values=list(values.values()))
    return {entry["name"]: int(entry["value"], 16) for entry in result["registers"]}


def test_list(own: Client) -> None:
    result = own.call("register.list")
    sizes = {entry["name"]: entry["size_bits"] for entry in result["registers"]}
    assert [entry["name"] for entry in result["registers"]][:17] == PLAIN + ["sp", "lr", "pc", "xPSR"]
    assert (sizes["pc"], sizes["primask"], sizes["basepri"], sizes["control"]) == (32, 1, 8, 3)
    assert {entry["group"] for entry in result["registers"]} == {"arm v7m registers"}


def test_list_while_it_runs(own: Client) -> None:
    before = own.call("register.list")
    own.call("target.resume")
    assert own.call("register.list") == before


def test_read_without_names_is_the_core(own: Client) -> None:
    listed = [entry["name"] for entry in own.call("register.list")["registers"]]
    values = read(own)
    assert list(values) == listed
    assert values["pc"] == 0x08000040 and values["sp"] == values["msp"]


def test_read_in_the_order_asked_for(own: Client) -> None:
    result = own.call("register.read", names=["sp", "primask", "pc"], target=TARGET)
    assert [entry["name"] for entry in result["registers"]] == ["sp", "primask", "pc"]
    assert result["registers"][1] == {"name": "primask", "size_bits": 1, "value": "0x00"}
    assert result["registers"][2] == {"name": "pc", "size_bits": 32, "value": "0x08000040"}


def test_write_reads_back(own: Client) -> None:
    numbers = {name: random.Random(5).getrandbits(32) for name in PLAIN}
    assert write(own, **numbers) == numbers
    assert read(own, *PLAIN) == numbers
    assert write(own, r0="0xFFFFFFFF", r1="17", primask=1, control="0x0") == {
        "r0": 0xFFFFFFFF, "r1": 17, "primask": 1, "control": 0,
    }
    raw = own.call("openocd.command", command="get_reg {r0 r1}")["text"]
    assert raw.split() == ["r0", "0xffffffff", "r1", "0x00000011"]


def test_written_values_reach_the_program(own: Client) -> None:
    """str r0, [r1]; b ."""
    own.call("memory.write_bytes", address=RAM_BASE + 0x100, data="0860fee7", encoding="hex")
    write(own, r0=0x1234, r1=RAM_BASE + 0x400, pc=RAM_BASE + 0x100)
    own.call("target.resume")
    wait_until(
        lambda: own.call("memory.read_u32", address=RAM_BASE + 0x400)["values"] == [0x1234], "the program's mark"
    )


@pytest.mark.parametrize(
    "values, words",
    [
        ({"r0": "0x100000000"}, "32 bits"), ({"primask": 2}, "1 bits"), ({"r0": 1, "control": 8}, "3 bits"),
        ({"r1": "0x1" + "0" * 900}, "32 bits"), ({"basepri": 256, "r0": 1}, "8 bits"),
    ],
)
def test_a_value_that_does_not_fit_writes_nothing(own: Client, values: Dict[str, Any], words: str) -> None:
    write(own, r0=0x55, r1=0x66)
    before = read(own)
    error = own.fail("register.write", names=list(values), values=list(values.values()))
    assert error.kind == "invalid_params" and error.data["parameter"] == "values" and words in error.message
    assert read(own) == before


def test_leading_zeros_do_not_count(own: Client) -> None:
    assert write(own, r0="0x" + "0" * 500 + "7", primask="0x" + "0" * 30 + "1") == {"r0": 7, "primask": 1}


@pytest.mark.parametrize("name", ["nope", "R0", "r0 r1", "r0]", "[exit]", "$x", '"; shutdown; "', "{", "}", "\\", "0"])
def test_unknown_registers(own: Client, name: str) -> None:
    """Also those that mean something to Tcl, and numbers, which `reg` would take."""
    before = read(own)
    for method, more in (("register.read", {}), ("register.write", {"values": [1, 1]})):
        error = own.fail(method, names=["r0", name], **more)
        assert error.kind == "not_found"
        assert (error.data["parameter"], error.data["name"]) == ("names", name)
    assert read(own) == before


@pytest.mark.parametrize(
    "method, params, parameter",
    [
        ("register.read", {"names": ["r0", "r1", "r0"]}, "names"),
        ("register.read", {"names": ["x"] * 257}, "names"),
        ("register.read", {"names": ["x" * 65]}, "names"),
        ("register.read", {"names": "r0"}, "names"),
        ("register.read", {"names": ["r0", 1]}, "names"),
        ("register.write", {"names": ["r0", "r0"], "values": [1, 2]}, "names"),
        ("register.write", {"names": ["r0"], "values": [1, 2]}, "values"),
        ("register.write", {"names": ["r0", "r1"], "values": [1]}, "values"),
        ("register.write", {"names": ["r0"], "values": 1}, "values"),
        ("register.write", {"names": ["r0"], "values": [2**53]}, "values"),
        ("register.write", {"names": ["r0"], "values": ["18446744073709551616"]}, "values"),
        ("register.write", {"names": ["r0"], "values": ["0x" + "1" * 1025]}, "values"),
        ("register.write", {"names": ["r0"], "values": ["0x" + "1" * 20 + "g"]}, "values"),
        ("register.write", {"names": ["r0"], "values": ["zz"]}, "values"),
    ],
)
def test_parameters_that_are_wrong(own: Client, method: str, params: Dict[str, Any], parameter: str) -> None:
    before = read(own)
    error = own.fail(method, **params)
    assert error.kind == "invalid_params" and error.data["parameter"] == parameter
    assert error.message.startswith(parameter)
    assert read(own) == before


def test_no_stale_values_while_it_runs(own: Client) -> None:
    """OpenOCD itself would answer, with code 0 and what it knew last."""
    own.call("target.resume")
    assert own.call("openocd.command", command="get_reg pc")["code"] == 0
    for method, params in (
        ("register.read", {}), ("register.read", {"names": ["pc"]}),
        ("register.write", {"names": ["r0"], "values": [1]}),
    ):
        error = own.fail(method, **params)
        assert error.kind == "target_not_halted", error.message
        assert (error.data["state"], error.data["target"]) == ("running", TARGET)
    own.call("target.halt")
    assert read(own, "pc")["pc"] == 0x08000040


def test_unknown_target(own: Client) -> None:
    for method, params in (
        ("register.list", {}), ("register.read", {}), ("register.write", {"names": ["r0"], "values": [1]}),
    ):
        error = own.fail(method, target="nobody", **params)
        assert error.kind == "not_found" and error.data["parameter"] == "target"


def test_reading_and_running_by_turns(own: Client, shared_stack: Stack) -> None:
    """Whatever another client does meanwhile, an answer has the values of a halt or none."""
    other = shared_stack.client()
    pending = []
    for _ in range(30):
        pending += [other.send("target.resume"), other.send("target.halt")]
    for _ in range(60):
        reply = own.reply(own.send("register.read", names=["pc"]))
        if "error" in reply:
            assert reply["error"]["data"]["kind"] == "target_not_halted"
        else:
            assert reply["result"]["registers"][0]["value"] == "0x08000040"
    for identifier in pending:
        other.result(identifier)
