"""register.*, breakpoint.*, target.step and target.wait on an OpenOCD that fails, lies or goes away."""

from __future__ import annotations

from typing import Any, Dict, List

import pytest

from rig import LONG_MS, RAM, Rig

READS = [
    ("register.list", {}, r"\breg\b"),
    ("register.read", {"names": ["pc"]}, "get_reg"),
    ("breakpoint.list", {}, r"\[bp"),
]
CHANGES = [
    ("register.write", {"names": ["r0"], "values": [1]}, "set_reg"),
    ("breakpoint.add", {"address": RAM, "kind": "software"}, "bp 0x"),
    ("target.step", {}, "; step"),
]


def values(client: Any, *names: str) -> List[int]:
    """register.read."""
    return [int(each["value"], 16) for each in client.call("register.read", names=list(names))["registers"]]


@pytest.mark.parametrize("method, params, pattern", READS)
def test_read_in_flight_when_the_link_goes(rig: Rig, method: str, params: Dict[str, Any], pattern: str) -> None:
    """Asked again: nothing was changed."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("drop", match=pattern)
    assert client.call(method, **params)["target"] == "vb.cpu"


@pytest.mark.parametrize("method, params, pattern", CHANGES)
def test_change_in_flight_when_the_link_goes(rig: Rig, method: str, params: Dict[str, Any], pattern: str) -> None:
    """Never asked again."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("drop", match=pattern)
    assert client.fail(method, **params).kind == "outcome_unknown"
    assert rig.sent(pattern) == 1


def test_a_register_that_cannot_be_read(rig: Rig) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match="get_reg", code=1, text="failed to read register 'pc'")
    error = client.fail("register.read", names=["pc"])
    assert error.kind == "target_error" and error.data["openocd"] == {"code": 1, "text": "failed to read register 'pc'"}


@pytest.mark.parametrize(
    "text", ["", "halted", "halted {} halted", "halted {pc zz} halted", "halted {pc 0x1ffffffff} halted"]
)
def test_values_that_are_none(rig: Rig, text: str) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match="get_reg", code=0, text=text)
    error = client.fail("register.read", names=["pc"])
    assert error.kind == "openocd_error" and "cannot be read" in error.message


def test_wide_registers(rig: Rig) -> None:
    """None of their digits is lost, either way."""
    client = rig.client()
    client.call("target.halt")
    listed = "===== core\n(0) pc (/32): 0x00000000\n(1) q0 (/128)\n"
    wide = "0x112233445566778899aabbccddeeff00"
    rig.mock.fault("fail", match=r'"reg"', code=0, text=listed)
    rig.mock.fault("fail", match="get_reg", code=0, text=f"halted {{q0 {wide}}} halted")
    result = client.call("register.write", names=["q0"], values=[wide.upper().replace("0X", "0x")])
    assert result["registers"] == [{"name": "q0", "size_bits": 128, "value": wide}]
    assert rig.sent(f'"q0" {wide}') == 1
    rig.mock.fault("fail", match=r'"reg"', code=0, text=listed)
    error = client.fail("register.write", names=["q0"], values=["0x1" + wide[2:]])
    assert error.kind == "invalid_params" and error.data["parameter"] == "values"
    assert rig.sent("set_reg") == 1


def test_a_list_that_cannot_be_read(rig: Rig) -> None:
    client = rig.client()
    for method, match in (("register.list", r'"reg"'), ("register.read", r'"reg"'), ("breakpoint.list", r"\[bp")):
        rig.mock.fault("fail", match=match, code=0, text="(0) r0 of no size")
        error = client.fail(method)
        assert error.kind == "openocd_error" and error.data["openocd"]["text"] == "(0) r0 of no size"


def test_a_target_that_starts_to_run_between_list_and_read(rig: Rig) -> None:
    """Between the two commands; the second looks for itself."""
    client = rig.client()
    client.call("target.halt")
    read = rig.stall(client, r'"reg"', "register.read", names=["pc"])
    rig.mock.target_state("running")
    rig.mock.release()
    error = client.error(read)
    assert error.kind == "target_not_halted" and error.data["state"] == "running"


def test_removed_with_a_complaint(rig: Rig) -> None:
    """Code 0, and the instruction is still in RAM: OpenOCD says so in its log alone."""
    client = rig.client()
    client.call("target.halt")
    client.call("breakpoint.add", address=RAM + 0x100, kind="software")
    rig.mock.fault_range(RAM + 0x100, RAM + 0x103)
    error = client.fail("breakpoint.remove", address=RAM + 0x100)
    assert error.kind == "target_error" and error.data["openocd"]["code"] == 0
    assert "Failed to write memory" in error.data["openocd"]["text"]
    rig.mock.clear_fault_ranges()


def test_taken_and_not_listed(rig: Rig) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match="bp 0x", code=0, text="breakpoint set at 0x20000100\n")
    error = client.fail("breakpoint.add", address=RAM + 0x100, kind="software")
    assert error.kind == "target_error" and "does not list it" in error.message


def test_steps_that_fail_midway(rig: Rig) -> None:
    client = rig.client()
    client.call("target.halt")
    rig.mock.fault("fail", match="; step", code=-4, text="", log="JTAG-DP STICKY ERROR\n", nth=4)
    error = client.fail("target.step", count=10)
    assert error.kind == "target_error" and "STICKY" in error.data["openocd"]["text"]
    assert (error.data["done"], error.data["total"]) == (3, 10)


def test_wait_sees_what_no_notification_tells(rig: Rig) -> None:
    """It is looked at now and then: the second look finds the state changed."""
    client = rig.client()
    client.call("target.halt")
    client.call("target.wait", state="halted")
    text = "vb.cpu {{vb.cpu cortex_m little running 32}} {}"
    rig.mock.fault("fail", match="target names", nth=2, code=0, text=text)
    assert client.call("target.wait", state="running", timeout_ms=LONG_MS)["state"] == "running"


def test_wait_while_the_link_is_down(rig: Rig) -> None:
    """Goes on waiting, also past the time that other requests wait for a link; and beyond its own it ends."""
    client = rig.client()
    client.call("target.halt")
    rig.mock.crash()
    rig.wait_link("down", "connecting")
    wait = client.send("target.wait", state="running", timeout_ms=LONG_MS)
    error = client.fail("target.wait", state="running", timeout_ms=30)
    assert error.kind == "timeout" and error.data["state"] == "halted"
    rig.mock.restart()
    rig.mock.target_state("running")
    assert client.result(wait)["state"] == "running"


def test_wait_beside_a_command_that_hangs(rig: Rig) -> None:
    """Its time passes all the same."""
    client = rig.client()
    client.call("target.halt")
    stalled = rig.stall(client, "read_memory", "memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    error = client.fail("target.wait", state="running", timeout_ms=30)
    assert error.kind == "timeout" and error.data["state"] == "halted"
    rig.mock.release()
    client.result(stalled)


def test_many_wait_for_one_look(rig: Rig) -> None:
    """However many wait, OpenOCD is asked by one survey at a time."""
    clients = [rig.client() for _ in range(5)]
    clients[0].call("target.halt")
    waits = []
    for client in clients * 10:
        waits.append((client, client.send("target.wait", state="running", timeout_ms=LONG_MS)))
    for client in clients:
        client.call("target.state")
    rig.mock.target_state("running")
    for client, wait in waits:
        assert client.result(wait) == {"target": "vb.cpu", "state": "running"}
