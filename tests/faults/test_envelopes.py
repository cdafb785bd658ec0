"""Commands that travel together: each ends as it would alone. Reads that several wait for: made once."""

from __future__ import annotations

import base64
import json
from random import Random
from typing import Any, Callable, List, Tuple

import pytest

from harness.client import Client
from rig import FLASH, KIB, LONG_MS, RAM, Rig


def fill(rig: Rig, count: int = 16) -> None:
    """Words of RAM that tell which they are."""
    rig.mock.poke(RAM, b"".join((0x1000 + i).to_bytes(4, "little") for i in range(count)))


def read_words(rig: Rig, count: int, **params: Any) -> List[Tuple[Client, Any]]:
    """So many clients with a word each, which wait."""
    readers = [rig.client() for _ in range(count)]
    return [(each, each.send("memory.read_u32", address=RAM + 4 * i, timeout_ms=LONG_MS, **params))
            for i, each in enumerate(readers)]


def envelopes(rig: Rig) -> int:
    return int(rig.mock.stats(0)["envelopes"])


def counters(rig: Rig) -> Tuple[int, int, int]:
    board = rig.stats()["boards"][0]
    return board["commands"], board["envelopes"], board["shared_reads"]


def test_words_travel_in_one_envelope(rig: Rig) -> None:
    fill(rig)
    rig.hold()
    calls = read_words(rig, 16)
    rig.wait_queued(17)
    before, commands = envelopes(rig), counters(rig)
    rig.mock.release()
    for i, (client, call) in enumerate(calls):
        assert client.result(call)["values"] == [0x1000 + i]
    assert envelopes(rig) == before + 1
    after = counters(rig)
    assert (after[0] - commands[0], after[1] - commands[1], after[2]) == (16, 1, 0)
    assert [rig.sent(rf"read_memory 0x{RAM + 4 * i:x} 32 1$") for i in range(16)] == [1] * 16


def test_everything_short_travels_together_in_its_order(rig: Rig) -> None:
    """Reads of all kinds and writes, of one connection and of others; each sees what was written before it."""
    fill(rig)
    rig.hold()
    first, second = rig.client(), rig.client()
    calls = [
        first.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS),
        first.send("memory.write_u32", address=RAM, values=[7], timeout_ms=LONG_MS),
        first.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS),
        first.send("memory.write_u32", address=RAM, values=[8], timeout_ms=LONG_MS),
        first.send("memory.read_bytes", address=RAM, size=4, encoding="hex", timeout_ms=LONG_MS),
        first.send("target.state", timeout_ms=LONG_MS),
    ]
    other = second.send("memory.read_u32", address=RAM + 4, timeout_ms=LONG_MS)
    rig.wait_queued(8)
    before = envelopes(rig)
    rig.mock.release()
    assert first.result(calls[0])["values"] == [0x1000]
    assert first.result(calls[1])["count"] == 1
    assert first.result(calls[2])["values"] == [7]
    assert first.result(calls[3])["count"] == 1
    result = first.result(calls[4])
    assert (result["data"], result["disturbed"]) == ("08000000", False)
    assert first.result(calls[5])["state"] == "running"
    assert second.result(other)["values"] == [0x1001]
    assert envelopes(rig) <= before + 2


def test_one_of_several_that_fails_fails_alone(rig: Rig) -> None:
    """With OpenOCD's own words, whatever they look like."""
    fill(rig)
    hostile = "16 0 1 0 0 0 1 0 0:0x1\0\0\0\x1a} \" ] $"
    rig.mock.fault("fail", match="read_memory 0x20000008", code=-4, text=hostile, log="Error: the bus is on fire\n")
    rig.hold()
    calls = read_words(rig, 5)
    rig.wait_queued(6)
    rig.mock.release()
    error = calls[2][0].error(calls[2][1])
    assert error.kind == "target_error" and error.data["openocd"]["code"] == -4
    assert error.data["openocd"]["text"] == hostile.replace("\0", "\ufffd") + "\nthe bus is on fire"
    for i, (client, call) in enumerate(calls):
        if i != 2:
            assert client.result(call)["values"] == [0x1000 + i]


def test_odd_output_hits_its_own_operation_only(rig: Rig) -> None:
    """An answer that looks like those of all the others, and one that is no number."""
    fill(rig)
    rig.mock.fault("fail", match="read_memory 0x20000004", code=0, text="5 0 3 0 0 0 3 0 0:0x7\0\0\0")
    rig.mock.fault("fail", match="read_memory 0x20000008", code=0, text="0x1 0x2")
    rig.mock.fault("fail", match="read_memory 0x2000000c", code=5, text="\x1a")
    rig.hold()
    calls = read_words(rig, 5)
    rig.wait_queued(6)
    before = envelopes(rig)
    rig.mock.release()
    assert calls[0][0].result(calls[0][1])["values"] == [0x1000]
    assert calls[4][0].result(calls[4][1])["values"] == [0x1004]
    kinds = [calls[i][0].error(calls[i][1]).kind for i in (1, 2, 3)]
    assert kinds == ["openocd_error", "openocd_error", "target_error"]
    assert envelopes(rig) == before + 1


def test_link_lost_with_several_on_it(rig: Rig) -> None:
    """Each as if it had been alone: what may be read twice is, a plain word is not, a change is unknown."""
    fill(rig)
    client = rig.client()
    rig.mock.fault("stall", match="read_memory 0x20000004")
    rig.hold()
    plain = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    stalls = client.send("memory.read_u32", address=RAM + 4, cacheable=True, timeout_ms=LONG_MS)
    write = client.send("memory.write_u32", address=RAM + 8, values=[5], timeout_ms=LONG_MS)
    state = rig.client()
    look = state.send("target.state", timeout_ms=LONG_MS)
    rig.wait_queued(5)
    rig.mock.release()
    rig.mock.wait(stalled=True)
    rig.mock.crash()
    rig.mock.restart()
    assert client.error(plain).kind == "openocd_unavailable"
    assert client.error(write).kind == "outcome_unknown"
    assert client.result(stalls)["values"] == [0x1001]
    assert state.result(look)["state"] == "running"
    assert rig.sent(r"read_memory 0x20000000 32 1$") == 1
    assert rig.sent(r"write_memory 0x20000008") == 1
    assert rig.sent(r"read_memory 0x20000004 32 1$") == 2


def test_lost_twice_is_lost(rig: Rig) -> None:
    """The second try, too, goes by itself: what breaks the link takes nobody with it twice."""
    fill(rig)
    rig.mock.fault("drop", match="read_memory 0x20000004", times=2)
    rig.hold()
    calls = read_words(rig, 4, cacheable=True)
    rig.wait_queued(5)
    rig.mock.release()
    for i in (0, 2, 3):
        assert calls[i][0].result(calls[i][1])["values"] == [0x1000 + i]
    assert calls[1][0].error(calls[1][1]).kind == "openocd_unavailable"


@pytest.mark.parametrize("lie", ["return 99", "return {1 0 1 0 0}", "return -code 1 {no counting today}", "return {}"])
def test_lie_about_the_answers_is_believed_by_nobody(rig: Rig, lie: str) -> None:
    """They go one by one then, and the link stays."""
    fill(rig)
    rig.client().call("openocd.command", command="rename incr the_incr; proc incr args {%s}" % lie)
    rig.wait_link("idle")
    rig.hold()
    calls = read_words(rig, 3, cacheable=True)
    plain, writer = rig.client(), rig.client()
    read = plain.send("memory.read_u32", address=RAM + 0x20, timeout_ms=LONG_MS)
    write = writer.send("memory.write_u32", address=RAM + 0x24, values=[1], timeout_ms=LONG_MS)
    rig.wait_queued(6)
    reconnects = rig.stats()["boards"][0]["reconnects"]
    rig.mock.release()
    for i, (client, call) in enumerate(calls):
        assert client.result(call)["values"] == [0x1000 + i]
    assert plain.error(read).kind == "openocd_unavailable"
    assert writer.error(write).kind == "outcome_unknown"
    rig.daemon.wait_for_line("one by one from now on")
    again = [rig.client() for _ in range(3)]
    rig.hold()
    calls = [(each, each.send("memory.read_u32", address=RAM + 4 * i, timeout_ms=LONG_MS)) for i, each in enumerate(again)]
    rig.wait_queued(4)
    before = envelopes(rig)
    rig.mock.release()
    for i, (client, call) in enumerate(calls):
        assert client.result(call)["values"] == [0x1000 + i]
    assert envelopes(rig) == before + 3
    assert rig.stats()["boards"][0]["reconnects"] == reconnects


def test_what_would_take_too_long_waits_for_another_envelope(rig: Rig) -> None:
    """Nobody waits for more than a piece's time. What was not begun is not lost, and not run twice."""
    fill(rig)
    rig.client().call("openocd.command", command="set now 0; proc ms {} {incr ::now 60}")
    rig.wait_link("idle")
    rig.hold()
    client = rig.client()
    calls = [client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)]
    for i in range(4):
        calls.append(client.send("memory.write_u32", address=RAM, values=[i], timeout_ms=LONG_MS))
        calls.append(client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS))
    calls.append(client.send("memory.read_bytes", address=RAM, size=4, consistent=True, timeout_ms=LONG_MS))
    reader = rig.client()
    consistent = reader.send("memory.read_bytes", address=RAM, size=4, consistent=True, timeout_ms=LONG_MS)
    rig.wait_queued(12)
    rig.mock.reset_counters()
    rig.mock.release()
    assert client.result(calls[0])["values"] == [0x1000]
    for i in range(4):
        assert client.result(calls[2 * i + 1])["count"] == 1
        assert client.result(calls[2 * i + 2])["values"] == [i]
    assert client.result(calls[9])["disturbed"] is False
    assert reader.result(consistent)["disturbed"] is False
    assert envelopes(rig) >= 5
    board = rig.stats()["boards"][0]
    assert board["queued"] == 0 and board["bytes_written"] == 16


def test_deadline_of_one_of_several(rig: Rig) -> None:
    """The others wait on, and get their answers."""
    fill(rig)
    rig.hold()
    rig.mock.fault("stall", match="read_memory 0x20000004")
    calls = read_words(rig, 3)
    hasty = rig.client()
    late = hasty.send("memory.write_u32", address=RAM + 0x20, values=[1], timeout_ms=600)
    rig.wait_queued(5)
    rig.mock.release()
    rig.mock.wait(stalled=True)
    assert hasty.error(late).kind == "outcome_unknown"
    assert rig.status()["link"] == "busy"
    rig.mock.release()
    for i, (client, call) in enumerate(calls):
        assert client.result(call)["values"] == [0x1000 + i]


def test_deadline_of_all_of_several(rig: Rig) -> None:
    """Nobody waits for the link's answer any more: it is dropped when it comes."""
    fill(rig)
    rig.hold()
    rig.mock.fault("stall", match="read_memory 0x20000004")
    readers = [rig.client() for _ in range(3)]
    calls = [each.send("memory.read_u32", address=RAM + 4 * i, timeout_ms=500) for i, each in enumerate(readers)]
    rig.wait_queued(4)
    rig.mock.release()
    rig.mock.wait(stalled=True)
    for client, call in zip(readers, calls):
        assert client.error(call).kind == "timeout"
    rig.wait_link("abandoned")
    rig.mock.release()
    rig.wait_link("idle")


def test_one_of_several_is_cancelled(rig: Rig) -> None:
    """Before it is sent it does not travel; on the link its answer is dropped."""
    fill(rig)
    rig.hold()
    rig.mock.fault("stall", match="read_memory 0x20000004")
    calls = read_words(rig, 4)
    rig.wait_queued(5)
    assert calls[3][0].call("request.cancel", id=calls[3][1])["found"]
    rig.mock.release()
    rig.mock.wait(stalled=True)
    assert calls[0][0].call("request.cancel", id=calls[0][1])["found"]
    rig.reset_client(calls[2][0])
    rig.mock.release()
    assert calls[1][0].result(calls[1][1])["values"] == [0x1001]
    assert calls[3][0].error(calls[3][1]).kind == "cancelled"
    calls[0][0].reply(calls[0][1])
    assert rig.sent("read_memory 0x2000000c") == 0


def test_turns_are_kept_within_envelopes(rig: Rig) -> None:
    """Twelve clients with one identity, each with thirty words that wait: after any number of commands no two have been
    served more than one apart; and one with few comes no later than the others' first."""
    rig.hold()
    clients = [rig.client() for _ in range(12)]
    calls = [(each, each.send("memory.read_u32", address=RAM + 4 * i, timeout_ms=LONG_MS))
             for i, each in enumerate(clients) for _ in range(30)]
    rig.wait_queued(361)
    late = rig.client()
    one = late.send("memory.read_u32", address=RAM + 4 * 12, timeout_ms=LONG_MS)
    rig.wait_queued(362)
    rig.mock.reset_counters()
    rig.mock.release()
    for client, call in calls:
        assert client.result(call)["values"] == [0]
    late.result(one)
    order = [int(script.split()[2], 0) for script in rig.mock.scripts() if script.endswith("32 1")]
    assert len(order) == 361 and RAM + 48 in order[:13]
    served = {RAM + 4 * i: 0 for i in range(12)}
    for address in order:
        if address in served:
            served[address] += 1
            assert max(served.values()) - min(served.values()) <= 1
    assert envelopes(rig) < 60


def test_turns_are_kept_where_most_of_an_envelope_is_not_begun(rig: Rig) -> None:
    """Each marks its turns in a word of its own and looks at all of them."""
    rig.client().call("openocd.command", command="set now 0; proc ms {} {incr ::now 30}")
    rig.wait_link("idle")
    rig.hold()
    clients = [rig.client() for _ in range(6)]
    calls = [(each, number, each.send("memory.write_u32", address=RAM + 4 * number, values=[i + 1], timeout_ms=LONG_MS),
              each.send("memory.read_u32", address=RAM, count=6, timeout_ms=LONG_MS), i)
             for number, each in enumerate(clients) for i in range(8)]
    rig.wait_queued(97)
    rig.mock.reset_counters()
    rig.mock.release()
    for client, number, write, read, i in calls:
        assert client.result(write)["count"] == 1
        values = client.result(read)["values"]
        assert values[number] == i + 1 and max(values) - min(values) <= 2
    assert envelopes(rig) >= 20


def test_long_read_has_its_turn_among_words(rig: Rig) -> None:
    """Its pieces travel alone, one behind as many words as there are clients with some."""
    rig.hold()
    words = [rig.client() for _ in range(5)]
    calls = [(each, each.send("memory.read_u32", address=RAM + 4 * i, timeout_ms=LONG_MS))
             for i, each in enumerate(words) for _ in range(8)]
    long = rig.client()
    read = long.send("memory.read_bytes", address=FLASH, size=8 * KIB, timeout_ms=LONG_MS)
    rig.wait_queued(42)
    rig.mock.reset_counters()
    rig.mock.release()
    assert long.result(read)["size"] == 8 * KIB
    for client, call in calls:
        client.result(call)
    scripts = [script for script in rig.mock.scripts() if "32 1" in script or "dump_image" in script]
    pieces = [i for i, script in enumerate(scripts) if "dump_image" in script]
    assert len(pieces) >= 2 and pieces[0] == 5 and pieces[1] == 11


def test_same_range_is_read_once_for_all(rig: Rig) -> None:
    """Every piece of it, whoever asked in whichever way."""
    content = bytes(i * 7 & 0xFF for i in range(4 * KIB))
    rig.mock.poke(RAM, content)
    rig.hold()
    clients = [rig.client() for _ in range(6)]
    calls = [each.send("memory.read_bytes", address=RAM, size=4 * KIB, timeout_ms=LONG_MS) for each in clients]
    dump, other = rig.client(), rig.client()
    hexdump = dump.send("memory.hexdump", address=RAM, size=4 * KIB, timeout_ms=LONG_MS)
    different = other.send("memory.read_bytes", address=RAM, size=2 * KIB, timeout_ms=LONG_MS)
    rig.wait_queued(9)
    rig.mock.reset_counters()
    before = counters(rig)
    rig.mock.release()
    for client, call in zip(clients, calls):
        result = client.result(call)
        assert base64.b64decode(result["data"]) == content and result["disturbed"] is False
    assert dump.result(hexdump)["text"].count("\n") == 256
    assert base64.b64decode(other.result(different)["data"]) == content[:2 * KIB]
    commands, _, shared = (after - was for after, was in zip(counters(rig), before))
    alone = rig.client()
    was = counters(rig)[0]
    alone.call("memory.read_bytes", address=RAM, size=4 * KIB)
    alone.call("memory.read_bytes", address=RAM, size=2 * KIB)
    assert commands <= counters(rig)[0] - was + 2
    assert shared >= 6


def test_error_of_a_shared_read_goes_to_all(rig: Rig) -> None:
    rig.hold()
    rig.mock.fault_range(RAM + 0x40, RAM + 0x4F)
    clients = [rig.client() for _ in range(4)]
    calls = [each.send("memory.read_bytes", address=RAM, size=0x80, timeout_ms=LONG_MS) for each in clients]
    rig.wait_queued(5)
    rig.mock.reset_counters()
    rig.mock.release()
    errors = [client.error(call) for client, call in zip(clients, calls)]
    assert [error.kind for error in errors] == ["target_error"] * 4
    assert len({json.dumps(error.data["openocd"]) for error in errors}) == 1
    assert rig.sent("read_memory 0x20000000 32 ") == 1


def test_shared_read_of_whoever_goes_is_read_for_the_others(rig: Rig) -> None:
    """Also where the one whose command it is has gone."""
    rig.mock.poke(RAM, b"\x11" * (4 * KIB))
    first, second = rig.client(), rig.client()
    rig.hold()
    rig.mock.fault("stall", match="dump_image")
    one = first.send("memory.read_bytes", address=RAM, size=4 * KIB, timeout_ms=LONG_MS)
    two = second.send("memory.read_bytes", address=RAM, size=4 * KIB, timeout_ms=LONG_MS)
    rig.wait_queued(3)
    rig.mock.release()
    rig.mock.wait(stalled=True)
    assert first.call("request.cancel", id=one)["found"]
    rig.mock.release()
    assert first.error(one).kind == "cancelled"
    assert base64.b64decode(second.result(two)["data"]) == b"\x11" * (4 * KIB)


def test_cacheable_words_are_shared_and_others_are_not(rig: Rig) -> None:
    fill(rig)
    for cacheable, commands in ((True, 1), (False, 5)):
        rig.hold()
        clients = [rig.client() for _ in range(5)]
        calls = [each.send("memory.read_u32", address=RAM + 8, cacheable=cacheable, timeout_ms=LONG_MS) for each in clients]
        rig.wait_queued(6)
        rig.mock.reset_counters()
        rig.mock.release()
        assert [client.result(call)["values"] for client, call in zip(clients, calls)] == [[0x1002]] * 5
        assert rig.sent("read_memory 0x20000008") == commands


def test_nothing_is_shared_across_a_change(rig: Rig) -> None:
    """A connection that wrote before it reads gets what it wrote; who did not wait for that got the old."""
    fill(rig)
    rig.hold()
    reader, writer = rig.client(), rig.client()
    old = reader.send("memory.read_bytes", address=RAM, size=4, encoding="hex", timeout_ms=LONG_MS)
    rig.wait_queued(2)
    write = writer.send("memory.write_u32", address=RAM, values=[0xAABBCCDD], timeout_ms=LONG_MS)
    new = writer.send("memory.read_bytes", address=RAM, size=4, encoding="hex", timeout_ms=LONG_MS)
    rig.wait_queued(4)
    rig.mock.release()
    assert reader.result(old)["data"] == "00100000"
    assert writer.result(write)["count"] == 1
    result = writer.result(new)
    assert (result["data"], result["disturbed"]) == ("ddccbbaa", False)


def test_queues_are_bounded(make_rig: Callable[..., Rig]) -> None:
    """Of an identity and of a board: what is too much is refused, names the limit, and leaves no trace."""
    for limit in ("max_identity_operations", "max_board_operations"):
        rig = make_rig(limits={limit: 5})
        fill(rig)
        rig.hold()
        calls = read_words(rig, 4)
        rig.wait_queued(5)
        client = rig.client()
        refused = client.fail("memory.write_u32", address=RAM, values=[1])
        assert (refused.kind, refused.data["limit"], refused.data["maximum"]) == ("limit_exceeded", limit, 5)
        long = client.fail("memory.read_bytes", address=RAM, size=4 * KIB)
        assert long.data["limit"] == limit and "operation" not in long.data
        assert client.call("board.status", board="b0")["queued"] == 5
        rig.mock.release()
        for i, (each, call) in enumerate(calls):
            assert each.result(call)["values"] == [0x1000 + i]
        assert client.call("memory.read_u32", address=RAM)["values"] == [0x1000]
        assert rig.sent("write_memory") == 0
        rig.assert_works()


def random_call(client: Client, random: Random, number: int, written: int) -> Tuple[Any, Callable[[Any], bool], int]:
    """One call of any kind; whether its result is what it must be; and what the client's own word holds then."""
    address = RAM + 4 * number
    common: Any = {"timeout_ms": LONG_MS}
    kind = random.randrange(7)
    if kind <= 1:
        return client.send("memory.write_u32", address=address, values=[written + 1], **common), \
            lambda result: bool(result["count"] == 1), written + 1
    if kind == 2:
        return client.send("memory.write_bytes", address=address, data=(written + 1).to_bytes(4, "little").hex(),
                           encoding="hex", **common), lambda result: bool(result["size"] == 4), written + 1
    if kind == 3:
        return client.send("memory.read_u32", address=address, cacheable=random.random() < 0.5, **common), \
            lambda result: bool(result["values"] == [written]), written
    if kind == 4:
        return client.send("memory.read_bytes", address=RAM, size=64, encoding="hex", consistent=random.random() < 0.5,
                           **common), \
            lambda result: bool(bytes.fromhex(result["data"])[4 * number:4 * number + 4] == written.to_bytes(4, "little")), \
            written
    if kind == 5:
        return client.send("memory.read_bytes", address=FLASH, size=2 * KIB, **common), \
            lambda result: bool(result["size"] == 2 * KIB), written
    return client.send("target.state", **common), lambda result: bool(result["state"] == "running"), written


@pytest.mark.parametrize("step_ms", [0, 30, 60])
def test_anything_at_once_comes_to_its_end(rig: Rig, step_ms: int) -> None:
    """Whatever waits beside what, and however much of an envelope is begun: each connection sees its own order."""
    random = Random(step_ms)
    rig.client().call("openocd.command", command="set now 0; proc ms {} {incr ::now %d}" % step_ms)
    rig.wait_link("idle")
    rig.hold()
    clients = [rig.client() for _ in range(6)]
    calls: List[Tuple[Client, Any, Callable[[Any], bool]]] = []
    for number, client in enumerate(clients):
        written = 0
        for _ in range(25):
            identifier, fits, written = random_call(client, random, number, written)
            calls.append((client, identifier, fits))
    rig.wait_queued(151)
    rig.mock.release()
    for client, identifier, fits in calls:
        result = client.result(identifier)
        assert fits(result), result
    assert rig.status()["queued"] == 0
