"""target.step and target.wait."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

from harness.client import Client
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image

TARGET = "vb.cpu"
CODE = RAM_BASE + 0x100


@pytest.fixture(name="own")
def fixture_own(client: Client) -> Iterator[Client]:
    """Halted, with eight NOPs and a `b .` in RAM at CODE."""
    client.call("target.reset", mode="halt")
    client.call("memory.write_bytes", address=CODE, data="00bf" * 8 + "fee7", encoding="hex")
    yield client
    client.call("target.halt")


def test_step(own: Client) -> None:
    first = own.call("target.step", address=CODE)
    assert first == {"target": TARGET, "state": "halted", "pc": f"0x{CODE + 2:08x}", "steps": 1}
    assert own.call("target.step")["pc"] == f"0x{CODE + 4:08x}"
    assert own.call("target.step", count=3, target=TARGET) == {**first, "pc": f"0x{CODE + 10:08x}", "steps": 3}
    assert own.call("target.step", count=1000) == {**first, "pc": f"0x{CODE + 16:08x}", "steps": 1000}
    assert own.call("register.read", names=["pc"])["registers"][0]["value"] == f"0x{CODE + 16:08x}"


def test_step_at_a_breakpoint(own: Client) -> None:
    own.call("breakpoint.add", address=CODE, kind="software")
    assert own.call("target.step", address=CODE, count=2)["pc"] == f"0x{CODE + 4:08x}"
    own.call("breakpoint.remove", address=CODE)
    assert own.call("memory.read_u16", address=CODE)["values"] == [0xBF00]


def test_step_where_it_runs(own: Client) -> None:
    own.call("target.resume")
    error = own.fail("target.step")
    assert error.kind == "target_not_halted" and error.data["openocd"]["code"] == -304
    assert own.call("target.state")["state"] == "running"


@pytest.mark.parametrize("params, parameter", [({"count": 0}, "count"), ({"count": 1001}, "count")])
def test_step_parameters(own: Client, params: Any, parameter: str) -> None:
    error = own.fail("target.step", **params)
    assert error.kind == "invalid_params" and error.data["parameter"] == parameter


def test_step_beyond_the_address_space(own: Client) -> None:
    assert own.fail("target.step", address=2**32).kind == "invalid_range"
    assert own.call("target.state")["state"] == "halted"


def test_step_can_be_cancelled(own: Client) -> None:
    """Between two steps; the error says how many there were."""
    call = own.send("target.step", count=1000, address=CODE)
    other = own.send("target.state")
    assert own.call("request.cancel", id=call)["found"]
    error = own.error(call)
    assert error.kind == "cancelled" and 0 <= error.data["done"] < 1000 and error.data["unit"] == "instructions"
    own.result(other)


def test_wait_for_the_state_that_is(own: Client) -> None:
    assert own.call("target.wait", state="halted") == {"target": TARGET, "state": "halted"}
    own.call("target.resume")
    assert own.call("target.wait", state="running", target=TARGET) == {"target": TARGET, "state": "running"}


def test_wait_holds_up_nobody(own: Client, shared_stack: Stack) -> None:
    """Neither the same connection nor others, which may well bring about what is waited for."""
    own.call("target.resume")
    other = shared_stack.client()
    waits = [own.send("target.wait", state="halted") for _ in range(5)] + [own.send("target.wait", state="running")]
    assert own.result(waits.pop())["state"] == "running"
    word = own.call("memory.read_u32", address=RAM_BASE)["values"]
    assert other.call("memory.read_u32", address=RAM_BASE)["values"] == word
    assert not own.has_replies
    behind = other.send("target.wait", state="halted")
    other.call("target.halt")
    for each in waits:
        assert own.result(each) == {"target": TARGET, "state": "halted"}
    assert other.result(behind)["state"] == "halted"


def test_wait_for_what_the_target_does_by_itself(own: Client) -> None:
    """It runs into a breakpoint."""
    wait = own.send("target.wait", state="running")
    own.call("target.resume", address=FLASH_BASE + 0x40)
    own.result(wait)
    own.call("target.halt")
    own.call("breakpoint.add", address=CODE + 6, kind="software")
    own.call("target.resume", address=CODE)
    assert own.call("target.wait", state="halted")["state"] == "halted"
    own.call("breakpoint.remove", address=CODE + 6)


def test_wait_times_out(own: Client) -> None:
    error = own.fail("target.wait", state="running", timeout_ms=50)
    assert error.kind == "timeout"
    assert (error.data["state"], error.data["target"], error.data["timeout_ms"]) == ("halted", TARGET, 50)
    assert own.call("target.state")["state"] == "halted"


def test_wait_can_be_cancelled(own: Client) -> None:
    wait = own.send("target.wait", state="running")
    assert own.call("request.cancel", id=wait)["found"]
    assert own.error(wait).kind == "cancelled"
    assert own.call("target.wait", state="halted")["state"] == "halted"


def test_wait_of_a_client_that_goes(own: Client, shared_stack: Stack) -> None:
    other = shared_stack.client()
    other.send("target.wait", state="running")
    other.call("target.state")
    other.reset()
    own.call("target.resume")
    assert own.call("target.wait", state="running")["state"] == "running"


def test_wait_for_an_unknown_target(own: Client) -> None:
    error = own.fail("target.wait", state="halted", target="nobody")
    assert error.kind == "not_found" and error.data["parameter"] == "target"
    error = own.fail("target.wait", state="asleep")
    assert error.kind == "invalid_params" and error.data["parameter"] == "state"


def test_wait_outlives_openocd(make_stack: Callable[..., Stack]) -> None:
    """The link goes, and comes back with what was waited for."""
    stack = make_stack(flash_size=8 * KIB, image=make_image(8 * KIB))
    client = stack.client()
    client.call("target.wait", state="running")
    wait = client.send("target.wait", state="halted", timeout_ms=60000)
    client.call("target.state")
    stack.openocd.kill()
    stack.restart_openocd()
    client.call("target.halt", timeout_ms=60000)
    assert client.result(wait)["state"] == "halted"
