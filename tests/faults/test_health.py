"""An OpenOCD that does not answer, and a board that is another one from one moment to the next."""

from __future__ import annotations

from typing import Any, Callable, Dict

from harness.client import Client
from rig import LONG_MS, RAM, Rig

SERIAL = RAM + 0x100


def event(client: Client, **members: Any) -> Dict[str, Any]:
    """The next event with these members."""
    note = client.wait_notification(
        lambda note: note["method"] == "event"
            and all(note["params"].get(name) == value for name, value in members.items())
    )
    params: Dict[str, Any] = note["params"]
    return params


def test_board_that_was_exchanged_is_refused(make_rig: Callable[..., Rig]) -> None:
    """OpenOCD examined a target again: before the next command the board has to show who it is."""
    expect = {"command": f"read_memory {SERIAL:#x} 32 1", "matches": "0x1"}
    rig = make_rig(members={"expect": expect}, wait=False)
    mock = rig.mock
    mock.poke(SERIAL, (1).to_bytes(4, "little"))
    rig.wait_link("idle")
    client = rig.client()
    client.call("events.subscribe", topics=["target"])
    client.call("memory.write_u8", address=RAM, values=7)
    mock.poke(SERIAL, (2).to_bytes(4, "little"))
    mock.notify("type target_event event examine-end\r\n")
    event(client, kind="event", value="examine-end")
    error = client.fail("memory.write_u8", address=RAM, values=8, timeout_ms=200)
    assert error.kind == "openocd_unavailable" and 'says "0x2", not "0x1"' in error.message
    assert rig.status()["problem"]["kind"] == "wrong_board" and mock.peek(RAM, 1) == b"\x07"
    mock.poke(SERIAL, (1).to_bytes(4, "little"))
    client.call("memory.write_u8", address=RAM, values=9)
    assert mock.peek(RAM, 1) == b"\x09" and "problem" not in rig.status()
    rig.assert_works()


def test_silent_openocd_is_given_up_but_not_beside_a_debugger(make_rig: Callable[..., Rig]) -> None:
    """A debugger that is attached to OpenOCD may flash, which keeps it silent."""
    rig = make_rig(boards=2, members={"health_every_ms": 20, "health_limit_ms": 150})
    mocks = rig.mocks
    client = rig.client()
    client.call("events.subscribe", topics=["target", "link"])
    mocks[0].notify("type target_event event gdb-attach\r\n")
    event(client, board="b0", value="gdb-attach")
    for mock in mocks:
        mock.fault("stall", match="target names")
        mock.wait(stalled=True)
    read = client.send("memory.read_u8", board="b1", address=RAM + 1, timeout_ms=LONG_MS)
    assert "nothing within 150 ms" in event(client, board="b1", state="down")["reason"]
    assert rig.status("b0")["link"] == "busy"
    mocks[1].clear_faults()
    mocks[1].release()
    assert client.result(read) == {"values": [0]}
    assert rig.status("b0")["link"] == "busy", "for longer than a limit"
    mocks[0].notify("type target_event event gdb-detach\r\n")
    assert "nothing within 150 ms" in event(client, board="b0", state="down")["reason"]
    mocks[0].clear_faults()
    mocks[0].release()
    rig.assert_works()


def test_long_command_is_no_silence(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(boards=2, members={"health_every_ms": 20, "health_limit_ms": 100})
    mocks = rig.mocks
    client = rig.client()
    client.call("events.subscribe", topics=["link"])
    mocks[0].fault("stall", match="curious")
    mocks[1].fault("stall", match="target names")
    raw = client.send("openocd.command", board="b0", command="set curious 1", timeout_ms=LONG_MS)
    mocks[0].wait(stalled=True)
    event(client, board="b1", state="down")
    assert rig.status("b0")["link"] == "busy"
    mocks[0].clear_faults()
    mocks[0].release()
    assert client.result(raw)["text"] == "1"
    for mock in mocks:
        mock.clear_faults()
        mock.release()
    rig.assert_works()
