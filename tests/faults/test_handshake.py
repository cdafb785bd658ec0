"""What the daemon finds where OpenOCD should be, and what it learns of one that is there."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict

import pytest

from harness.waiting import wait_until
from rig import LONG_MS, RAM, Rig
from strangers import Stranger, banner, echo, flood, frames, http, silent, slammer

pytestmark = pytest.mark.both  # looks at memory, of which ASan says nothing


def wait_error(rig: Rig, board: str, word: str) -> Dict[str, Any]:
    """Waits until board.status names that reason; returns it."""
    def look() -> Any:
        status = rig.status(board)
        return status if word in status.get("last_error", "") else None

    result: Dict[str, Any] = wait_until(look, f"last_error with {word!r} on {board}")
    return result


def test_openocd_0_11_is_refused_with_a_reason(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    client = rig.client()
    rig.mock.set_version("Open On-Chip Debugger 0.11.0")
    rig.mock.drop()
    rig.wait_link("down")
    status = wait_error(rig, "b0", "too old")
    assert status["last_error"] == "OpenOCD 0.11 is too old: ocdmux needs 0.12 or later"
    assert status["version"] == "Open On-Chip Debugger 0.11.0"
    assert status["retry_in_ms"] > 5000  # it will not change by itself soon
    assert client.fail("memory.read_u32", address=RAM, timeout_ms=50).kind == "openocd_unavailable"


@pytest.mark.parametrize("version", ["Open On-Chip Debugger 0.12.0-rc2", "Open On-Chip Debugger 1.0.0+dev-1-gabc",
                                     "xPack Open On-Chip Debugger 0.13.0"])
def test_newer_versions_are_taken(make_rig: Callable[..., Rig], version: str) -> None:
    rig = make_rig()
    rig.mock.set_version(version + "\nLicensed under GNU GPL v2")
    rig.mock.drop()
    wait_until(lambda: rig.status().get("version") == version and rig.status()["link"] == "idle", "the new version")
    rig.assert_works()


@pytest.mark.parametrize("version", ["", "ocdmux 0.1", "Open On-Chip Debugger", "Open On-Chip Debugger x.y"])
def test_what_does_not_say_its_version_is_refused(make_rig: Callable[..., Rig], version: str) -> None:
    rig = make_rig()
    rig.mock.set_version(version)
    rig.mock.drop()
    wait_error(rig, "b0", "does not say which OpenOCD it is")


def test_strangers_are_told_apart_and_cost_little(make_rig: Callable[..., Rig], rig: Rig) -> None:
    """A board whose address is wrong gives its reason; one that is right, on the same daemon, is served meanwhile."""
    with ExitStack() as stack:
        nobody = stack.enter_context(socket.socket())  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        kinds = (silent, http, banner, echo, slammer, flood, frames)
        strangers = [stack.enter_context(Stranger(serve)) for serve in kinds]
        ports = [each.port for each in strangers] + [rig.mock.tcl_port, nobody.getsockname()[1]]
        odd = make_rig(openocd=ports, wait=False, link_limit_ms=2000)
        odd.wait_link("idle", board="b7")
        before = odd.memory_kib()
        client = odd.client()
        closed = wait_error(odd, "b1", "closed the connection")
        assert closed["link"] in ("down", "connecting", "handshake")
        wait_error(odd, "b4", "closed the connection")
        for board in ("b0", "b2", "b3", "b5", "b6"):
            wait_error(odd, board, "does not answer the handshake")
            assert client.call("memory.read_u32", board="b7", address=RAM)["values"] == [0]
        for i in range(7):
            error = client.fail("memory.read_u32", board=f"b{i}", address=RAM, timeout_ms=20)
            assert error.kind == "openocd_unavailable"
            assert client.fail("memory.read_u32", board=f"b{i}", address=RAM, target="x", timeout_ms=20)
        odd.assert_grown_at_most(before, 64 * 1024)
        refused = wait_error(odd, "b8", "refused")
        assert 0 <= refused["retry_in_ms"] <= 5000
        # Who is not there is asked ever less often.
        assert strangers[4].connections < 60


@pytest.mark.parametrize(
    "pattern,fault,word",
    [
        (r"\Aversion\Z", {"action": "fail", "code": 1, "text": "no"}, "does not say which OpenOCD"),
        (r"\Aversion\Z", {"action": "drop"}, "closed the connection"),
        (r"\Aversion\Z", {"action": "drop", "reset": True}, "link lost"),
        ("target names", {"action": "fail", "code": 1, "text": "broken"}, "does not list its targets: broken"),
        ("target names", {"action": "fail", "log": "no such thing"}, "does not list its targets: no such thing"),
        ("target names", {"action": "fail", "code": 0, "text": "nonsense {"}, "cannot be read"),
        ("target names", {"action": "fail", "code": 0, "text": "a {} {{name x}}"}, "not understood"),
        ("target names", {"action": "lengths", "delta": -3}, "cannot be read"),
    ],
    ids=["version fails", "version drops", "version resets", "survey fails", "survey fails in the log", "survey lies",
         "banks lie", "broken"],
)
def test_handshake_that_goes_wrong_is_tried_again(
    make_rig: Callable[..., Rig], pattern: str, fault: Dict[str, Any], word: str
) -> None:
    rig = make_rig()
    fault = dict(fault)
    # For good, so that the reason stands until it was seen.
    rig.mock.fault(fault.pop("action"), match=pattern, times=0, **fault)
    rig.mock.drop()
    status = wait_error(rig, "b0", word)
    assert status["link"] != "idle"
    rig.mock.clear_faults()
    if "which" not in word:  # that is not tried again soon
        rig.wait_link("idle")
        rig.assert_works()


def test_handshake_with_everything_around_its_replies(make_rig: Callable[..., Rig]) -> None:
    """Garbage, notifications, small writes: at every step."""
    rig = make_rig()
    rig.mock.fault("garbage", where="before", data=b"junk\x1a".hex(), times=0)
    rig.mock.fault("notify", where="before", frames=["type target_event event halted\r\n"], times=0)
    rig.mock.fault("split", size=1, times=0)
    rig.mock.drop()
    wait_until(lambda: rig.stats()["boards"][0]["reconnects"] == 1, "the reconnect")
    rig.wait_link("idle")
    rig.assert_works()


def test_openocd_without_notifications_is_taken(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig()
    rig.mock.fault("fail", match="tcl_notifications", code=1, text="invalid command name", times=0)
    rig.mock.drop()
    wait_until(lambda: rig.stats()["boards"][0]["reconnects"] == 1, "the reconnect")
    rig.wait_link("idle")
    rig.assert_works()
    assert any("refuses to send notifications" in line for line in rig.daemon.log)


def test_openocd_that_has_no_directory_for_files(make_rig: Callable[..., Rig]) -> None:
    """Memory works all the same; what needs files says so."""
    rig = make_rig(stage_dir="/nonexistent/directory")
    client = rig.client()
    rig.mock.poke(RAM, bytes(range(256)) * 16)
    assert "flash_files" not in rig.status()["features"]
    result = client.call("memory.read_bytes", address=RAM, size=4096, encoding="hex")
    assert result["data"] == bytes(range(256)).hex() * 16
    assert rig.sent("dump_image") == 0
    client.call("target.halt")
    error = client.fail("flash.write_image", data="AAAA")
    assert error.kind == "stage_error" and "no directory" in error.message
    error = client.fail("flash.verify", data="AAAA")
    assert error.kind == "stage_error" and "no directory" in error.message
    assert client.call("flash.info")["sectors"]


@pytest.mark.parametrize(
    "name", ["plain", "with space", "br[ack]et$x", "quo\"te", "back\\slash", "brace{s", "semi;colon"]
)
def test_directory_for_files_may_have_any_name(make_rig: Callable[..., Rig], tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    rig = make_rig(stage_dir=str(directory))
    client = rig.client()
    assert "flash_files" in rig.status()["features"]
    client.call("target.halt")
    client.call("flash.write_image", data="q80=")
    assert rig.mock.peek(0x08000000, 2) == b"\xab\xcd"
    rig.mock.poke(RAM, b"\x17" * 2048)
    assert client.call("memory.read_bytes", address=RAM, size=2048, encoding="hex")["data"] == "17" * 2048
    assert rig.sent("dump_image") >= 1
    assert list(directory.iterdir()) == []  # nothing stays behind


def test_files_are_gone_even_where_commands_fail(make_rig: Callable[..., Rig], tmp_path: Path) -> None:
    directory = tmp_path / "stage"
    directory.mkdir()
    rig = make_rig(stage_dir=str(directory))
    client = rig.client()
    client.call("target.halt")
    for pattern, code in (("flash write_bank", -902), ("flash read_bank", -4), ("dump_image", -107)):
        rig.mock.fault("fail", match=pattern, command=pattern.replace(" ", ".*"), code=code, text="", log="no")
    client.call("memory.read_bytes", address=RAM, size=2048)
    assert client.fail("flash.write_image", data="q80=", erase=False).kind == "flash_error"
    assert client.fail("flash.verify", data="q80=").kind == "flash_error"
    assert rig.mock.faults() == []
    assert list(directory.iterdir()) == []


def test_busy_openocd_is_waited_for(make_rig: Callable[..., Rig], rig: Rig) -> None:
    """It accepts a connection and serves it later, as it does while another client's command runs."""
    rig.hold()
    late = make_rig(openocd=[rig.mock.tcl_port], wait=False)
    client = late.client()
    late.wait_link("handshake")
    identifier = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.mock.release()
    assert client.result(identifier)["values"] == [0]
