"""Whose turn it is: between clients, between pieces, between reads and changes."""

from __future__ import annotations

import base64
from typing import Any, Callable, List, Tuple

import pytest

from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

pytestmark = pytest.mark.both  # whose turn it is depends on how fast the pieces are


def places(rig: Rig, *words: str) -> List[int]:
    """Where, among all commands, the first with each of these words stands."""
    scripts = rig.mock.scripts()
    return [next(i for i, script in enumerate(scripts) if word in script) for word in words]


def pipeline(rig: Rig, readers: int, calls: int) -> List[Tuple[Any, List[Any]]]:
    """Open clients that keep the link busy with reads of a word; with the ids of their calls."""
    made = []
    for _ in range(readers):
        client = rig.client()
        made.append((client, [client.send("memory.read_u32", address=RAM + 0x800, timeout_ms=LONG_MS)
                              for _ in range(calls)]))
    return made


def test_fair_shares(rig: Rig) -> None:
    """One connection with a hundred requests does not come before another with one."""
    rig.hold()
    greedy, modest = rig.client(), rig.client()
    many = [greedy.send("memory.read_u32", address=RAM + 0x100, timeout_ms=LONG_MS) for _ in range(100)]
    one = modest.send("memory.read_u32", address=RAM + 0x200, timeout_ms=LONG_MS)
    rig.wait_queued(102)
    rig.mock.release()
    assert modest.result(one)["values"] == [0]
    assert [greedy.result(call)["values"] for call in many] == [[0]] * 100
    order = [("0x20000200" in script) for script in rig.mock.scripts() if "32 1" in script]
    assert True in order[:2]


def test_long_read_gives_way_between_its_pieces(rig: Rig) -> None:
    long, short = rig.client(), rig.client()
    identifier = rig.stall(long, "dump_image", "memory.read_bytes", address=FLASH, size=128 * KIB)
    calls = [short.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS) for _ in range(2)]
    rig.wait_queued(3)
    rig.mock.release()
    for call in calls:
        short.result(call)
    assert long.result(identifier)["size"] == 128 * KIB
    scripts = rig.mock.scripts()
    order = ["read_memory" in script for script in scripts if "read_memory" in script or "dump_image" in script]
    assert order[:4] == [False, True, False, True]


def test_read_that_was_disturbed_says_so(rig: Rig) -> None:
    """A change between its pieces, whoever made it."""
    client, other = rig.client(), rig.client()
    rig.mock.fault("stall", match="dump_image")
    identifier = client.send("memory.read_bytes", address=RAM, size=8 * KIB)
    rig.mock.wait(stalled=True)
    write = other.send("memory.write_u8", address=RAM, values=[1])
    rig.wait_queued(2)
    rig.mock.release()
    assert other.result(write)["count"] == 1
    assert client.result(identifier)["disturbed"] is True
    assert client.call("memory.read_bytes", address=RAM, size=8 * KIB)["disturbed"] is False
    rig.mock.fault("notify", frames=["type target_state state running\r\n"], match="dump_image", nth=2)
    assert client.call("memory.read_bytes", address=RAM, size=8 * KIB)["disturbed"] is True


def test_consistent_read_makes_changes_wait(rig: Rig) -> None:
    client, other = rig.client(), rig.client()
    rig.mock.fault("stall", match="dump_image")
    identifier = client.send("memory.read_bytes", address=RAM, size=8 * KIB, consistent=True)
    rig.mock.wait(stalled=True)
    write = other.send("memory.write_u8", address=RAM, values=[1])
    rig.wait_queued(2)
    rig.mock.release()
    result = client.result(identifier)
    assert result["disturbed"] is False
    assert base64.b64decode(result["data"])[0] == 0
    assert other.result(write)["count"] == 1


def test_half_closed_clients_change_that_has_begun_does_not_hold_up_others_changes(rig: Rig) -> None:
    """It goes on among the open clients' requests, although it would wait for them had it not begun."""
    gone, writer = rig.client(), rig.client()
    write = rig.stall(gone, "write_memory 0x20000000", "memory.write_bytes", address=RAM,
                      data=base64.b64encode(bytes(3 * KIB)).decode())
    gone.half_close()
    readers = pipeline(rig, 3, 100)
    waiting = writer.send("memory.write_u32", address=RAM + 0x2000, values=[7], timeout_ms=LONG_MS)
    rig.wait_queued(302)
    rig.mock.release()
    assert writer.result(waiting)["count"] == 1
    assert gone.result(write)["size"] == 3 * KIB
    for client, calls in readers:
        for call in calls:
            client.result(call)
    scripts = rig.mock.scripts()
    last_read = max(i for i, script in enumerate(scripts) if "read_memory 0x20000800" in script)
    assert places(rig, "write_memory 0x20002000")[0] < last_read - 100


def test_half_closed_clients_change_that_waits_does_not_hold_up_consistent_reads(rig: Rig) -> None:
    """It would have to wait for all open clients: they do not wait for it."""
    gone, reader = rig.client(), rig.client()
    first = rig.stall(reader, "dump_image", "memory.read_bytes", address=RAM, size=2 * KIB, consistent=True)
    gone.send("memory.write_u32", address=RAM + 0x2000, values=[7], timeout_ms=LONG_MS)
    rig.wait_queued(2)
    gone.half_close()
    readers = pipeline(rig, 3, 100)
    second = rig.client()
    again = second.send("memory.read_bytes", address=RAM + 0x1000, size=64, consistent=True, timeout_ms=LONG_MS)
    rig.wait_queued(303)
    rig.mock.release()
    assert reader.result(first)["disturbed"] is False
    assert second.result(again)["disturbed"] is False
    for client, calls in readers:
        for call in calls:
            client.result(call)
    scripts = rig.mock.scripts()
    last_read = max(i for i, script in enumerate(scripts) if "read_memory 0x20000800" in script)
    assert places(rig, "read_memory 0x20001000")[0] < last_read - 100


def test_consistent_read_that_nobody_takes_does_not_stop_changes(make_rig: Callable[..., Rig]) -> None:
    """It gives its hold up, and says `disturbed`."""
    rig = make_rig(limits={"max_output_bytes": 16 * KIB})
    slow, writer = rig.client(receive_buffer=4096), rig.client()
    # Physical reads come in pieces of 16 KiB at the most, so that the stream pauses in the middle of one.
    calls = [slow.send("memory.hexdump", address=FLASH, size=128 * KIB, stream=True, consistent=True, physical=True,
                       timeout_ms=LONG_MS) for _ in range(30)]
    wait_until(lambda: rig.status()["queued"] > 0 and rig.status()["link"] == "idle", "the stream to pause")
    for i in range(5):
        assert writer.call("memory.write_u32", address=RAM, values=[i], timeout_ms=LONG_MS)["count"] == 1
    results = [slow.result(call) for call in calls]
    assert [result["size"] for result in results] == [128 * KIB] * 30
    assert any(result["disturbed"] for result in results)
    rig.assert_works()


def test_consistent_reads_do_not_starve_a_change(rig: Rig) -> None:
    """One after the other would never let it in: those that come later wait behind it."""
    readers = [rig.client() for _ in range(3)]
    first = rig.stall(readers[0], "dump_image", "memory.read_bytes", address=RAM, size=2 * KIB, consistent=True)
    writer = rig.client()
    write = writer.send("memory.write_u8", address=RAM, values=[9], timeout_ms=LONG_MS)
    rig.wait_queued(2)
    later = [(client, client.send("memory.read_bytes", address=RAM, size=2 * KIB, consistent=True, timeout_ms=LONG_MS))
             for client in readers[1:] for _ in range(5)]
    rig.wait_queued(12)
    rig.mock.release()
    assert base64.b64decode(readers[0].result(first)["data"])[0] == 0
    assert writer.result(write)["count"] == 1
    for client, call in later:
        result = client.result(call)
        assert base64.b64decode(result["data"])[0] == 9 and result["disturbed"] is False


def test_change_that_waits_for_consistent_reads_and_is_cancelled_lets_others_in(rig: Rig) -> None:
    reader, writer, other = rig.client(), rig.client(), rig.client()
    first = rig.stall(reader, "dump_image", "memory.read_bytes", address=RAM, size=2 * KIB, consistent=True)
    write = writer.send("memory.write_u8", address=RAM, values=[9], timeout_ms=LONG_MS)
    second = other.send("memory.read_bytes", address=RAM, size=64, consistent=True, timeout_ms=LONG_MS)
    rig.wait_queued(3)
    assert writer.call("request.cancel", id=write)["found"]
    assert writer.error(write).kind == "cancelled"
    rig.mock.release()
    assert reader.result(first)["disturbed"] is False
    assert other.result(second)["disturbed"] is False
    assert rig.sent("write_memory") == 0
