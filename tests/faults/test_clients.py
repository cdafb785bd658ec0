"""Clients that half-close, vanish, do not read, send rubbish, or are many."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from typing import Any, Callable, List

import pytest

from harness.client import Client, read_to_end
from harness.waiting import wait_until
from rig import FLASH, KIB, LONG_MS, RAM, Rig

pytestmark = pytest.mark.both  # looks at memory, of which ASan says nothing


def raw(rig: Rig) -> socket.socket:
    """A bare connection to the daemon."""
    host, _, port = rig.daemon.address[len("tcp:"):].rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def descriptors(rig: Rig) -> int:
    """How many the daemon has open."""
    return len(os.listdir(f"/proc/{rig.daemon.pid}/fd"))


# Half-closed clients.


def test_half_closed_client_is_answered(rig: Rig) -> None:
    """All that it sent, and then its connection ends."""
    client = rig.client()
    calls = [client.send("memory.read_u32", address=RAM + 4 * i) for i in range(20)]
    client.half_close()
    assert [client.result(call)["values"] for call in calls] == [[0]] * 20
    client.wait_end()


def test_half_closed_client_waits_for_open_ones(rig: Rig) -> None:
    """Whoever still listens comes first, although it came later."""
    rig.hold()
    gone, here = rig.client(), rig.client()
    early = [gone.send("memory.read_u32", address=RAM + 0x100 + 4 * i, timeout_ms=LONG_MS) for i in range(3)]
    rig.wait_queued(4)
    gone.half_close()
    late = [here.send("memory.read_u32", address=RAM + 0x200 + 4 * i, timeout_ms=LONG_MS) for i in range(3)]
    rig.wait_queued(7)
    rig.mock.release()
    assert [here.result(call)["values"] for call in late] == [[0]] * 3
    assert [gone.result(call)["values"] for call in early] == [[0]] * 3
    order = [script for script in rig.mock.scripts() if "32 1" in script]
    assert [word in script for word, script in zip(["0x200002"] * 3 + ["0x200001"] * 3, order)] == [True] * 6


def test_half_closed_clients_change_does_not_keep_the_lease_from_others(rig: Rig) -> None:
    """Readers without end would else keep the change from ending, and so the lease from being granted."""
    rig.hold()
    gone, next_one, reader = rig.client(), rig.client(), rig.client()
    gone.send("memory.read_u32", address=RAM + 0x100, timeout_ms=LONG_MS)
    change = gone.send("memory.write_u32", address=RAM + 0x100, values=7, timeout_ms=LONG_MS)
    rig.wait_queued(3)
    lease = next_one.send("lease.acquire", wait_ms=LONG_MS)
    wait_until(lambda: rig.status()["lease_queue"], "the one who waits")
    gone.half_close()
    reads = [reader.send("memory.read_u32", address=RAM + 0x200, timeout_ms=LONG_MS) for _ in range(50)]
    rig.wait_queued(53)
    rig.mock.release()
    assert gone.result(change)["count"] == 1
    assert next_one.result(lease)["lease"]
    assert [reader.result(call)["values"] for call in reads] == [[0]] * 50
    order = ["write_memory 0x20000100" in script for script in rig.mock.scripts()
        if "memory 0x200001" in script or "memory 0x200002" in script]
    assert order.index(True) < 10, order
    next_one.call("lease.release")


def test_half_closed_client_has_two_seconds_of_link_time(rig: Rig) -> None:
    """Then what is left of its requests is dropped."""
    client = rig.client()
    rig.mock.fault("delay", ms=700, match="dump_image", times=0)
    calls = [client.send("memory.read_bytes", address=RAM + KIB * i, size=KIB, timeout_ms=LONG_MS) for i in range(8)]
    client.half_close()
    client.wait_end()
    rig.mock.clear_faults()
    rig.wait_queued(0)
    assert rig.sent("dump_image") == 3
    assert sum(1 for call in calls[:3] if client._replies.get(str(call))) >= 2  # noqa: SLF001


def test_half_closed_client_with_a_line_that_has_no_end(rig: Rig) -> None:
    """The half line was never a call."""
    connection = raw(rig)
    connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"board.list"}\n{"jsonrpc":"2.0","id":2,"met')
    connection.shutdown(socket.SHUT_WR)
    data = read_to_end(connection)
    assert data.count(b"\n") == 1 and b'"id":1' in data


def test_half_closed_client_while_the_link_is_down(rig: Rig) -> None:
    rig.mock.crash()
    rig.wait_link("down", "connecting")
    client = rig.client()
    call = client.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    client.half_close()
    rig.mock.restart()
    assert client.result(call)["values"] == [0]
    client.wait_end()


# Vanished clients.


@pytest.mark.parametrize("how", ["reset", "close"])
def test_vanished_clients_queued_requests_are_never_sent(rig: Rig, how: str) -> None:
    """A reset tells at once; a mere close with nothing unread is a half-close, and served when nobody else waits."""
    rig.hold()
    client, other = rig.client(), rig.client()
    for i in range(10):
        client.send("memory.write_u32", address=RAM + 4 * i, values=[7], timeout_ms=LONG_MS)
    rig.wait_queued(11)
    if how == "reset":
        rig.reset_client(client)
        rig.wait_queued(1)
    else:
        client.close()
    waiting = other.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.wait_queued(2 if how == "reset" else 12)
    rig.mock.release()
    assert other.result(waiting)["values"] == [0]
    wait_until(lambda: rig.status()["queued"] == 0, "the end")
    if how == "reset":
        assert rig.sent("write_memory") == 0


def test_vanished_clients_read_stops_at_its_next_step(rig: Rig) -> None:
    client = rig.client()
    rig.stall(client, "dump_image", "memory.read_bytes", address=RAM, size=16 * KIB)
    rig.reset_client(client)
    rig.mock.release()
    wait_until(lambda: rig.status()["queued"] == 0, "the end")
    assert rig.sent("dump_image") == 1


def test_vanished_clients_stream_stops(rig: Rig) -> None:
    """Found out by the write that fails."""
    client = rig.client()
    rig.mock.fault("delay", ms=20, match="dump_image", times=0)
    client.send("memory.read_bytes", address=FLASH, size=128 * KIB, stream=True, timeout_ms=LONG_MS)
    client.wait_notification(lambda note: note["method"] == "data")
    client.reset()
    wait_until(lambda: rig.status()["queued"] == 0, "the end")


def test_many_clients_that_vanish_with_work_queued(rig: Rig) -> None:
    rig.hold()
    before = descriptors(rig)
    for _ in range(5):
        clients = [rig.client() for _ in range(20)]
        for i, client in enumerate(clients):
            client.send("memory.read_bytes", address=RAM, size=64, timeout_ms=LONG_MS)
            client.send("operation.list")
            client.send("flash.write_image", data="AAAA")
            if i % 2:
                client.send("memory.dump", address=RAM, size=64, path=f"{i}.bin")
        for client in clients:
            client.reset()
        rig.wait_queued(1)
    rig.mock.release()
    rig.wait_queued(0)
    wait_until(lambda: descriptors(rig) <= before, "descriptors to go")
    assert rig.sent("flash probe|dump_image") == 0


def test_200_connections_in_a_row_leave_nothing_behind(rig: Rig) -> None:
    """Whatever they do at their end."""
    rig.status()
    before = descriptors(rig)
    for i in range(200):
        connection = raw(rig)
        if i % 4 == 1:
            connection.sendall(b'{"jsonrpc":"2.0","id":1,"method":"memory.read_u32","params":{"address":0}}\n')
        elif i % 4 == 2:
            connection.sendall(b"half a line")
        elif i % 4 == 3:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    wait_until(lambda: rig.stats()["clients"] == 1, "the clients to go")
    wait_until(lambda: descriptors(rig) <= before, "the descriptors to go")
    assert rig.stats()["clients_total"] >= 200


# Slow readers.


def test_slow_reader_is_bounded_and_pauses_only_its_own_reads(make_rig: Callable[..., Rig]) -> None:
    """A stream of megabytes that nobody takes: the daemon holds little of it, others do not notice."""
    rig = make_rig(limits={"max_output_bytes": 64 * KIB}, mock_flags=["--flash-size", str(512 * KIB)])
    slow, other = rig.client(receive_buffer=4096), rig.client()
    rig.mock.poke(FLASH, os.urandom(512 * KIB))
    before = rig.memory_kib()
    calls = [slow.send("memory.read_bytes", address=FLASH, size=512 * KIB, stream=True, timeout_ms=LONG_MS,
                       encoding="hex") for _ in range(20)]
    wait_until(lambda: rig.status()["queued"] > 0 and rig.status()["link"] == "idle", "the stream to pause")
    for _ in range(50):
        assert other.call("memory.read_u32", address=RAM)["values"] == [0]
        assert other.call("memory.write_u32", address=RAM, values=[0])["count"] == 1
    rig.assert_grown_at_most(before, 8 * 1024)
    assert rig.status()["link"] == "idle"
    for call in calls:  # it reads again: everything is there
        assert slow.result(call)["size"] == 512 * KIB
    assert len(slow.take_notifications("data")) > 20
    rig.assert_works()


def test_reader_that_is_too_slow_is_closed(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(limits={"max_output_bytes": 16 * KIB, "slow_reader_ms": 300})
    slow = rig.client(receive_buffer=4096)
    # As much as the kernel holds for it, many times over.
    for _ in range(100):
        slow.send("memory.read_bytes", address=FLASH, size=128 * KIB, stream=True, timeout_ms=LONG_MS)
    rig.daemon.wait_for_line("does not read its answers")
    wait_until(lambda: rig.stats()["clients"] == 1, "the client to go")
    wait_until(lambda: rig.status()["queued"] == 0, "its reads to go")
    rig.assert_works()


def test_reader_that_is_slow_but_reads_is_not_closed(make_rig: Callable[..., Rig]) -> None:
    """For several times the limit it takes a little now and then, and never all that there is."""
    rig = make_rig(limits={"max_output_bytes": 16 * KIB, "slow_reader_ms": 300})
    connection = raw(rig)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    params = {"address": FLASH, "size": 128 * KIB, "stream": True, "timeout_ms": LONG_MS}
    for i in range(100):
        call = {"jsonrpc": "2.0", "id": i, "method": "memory.read_bytes", "params": params}
        connection.sendall(json.dumps(call).encode() + b"\n")
    wait_until(lambda: rig.status()["queued"] > 0 and rig.status()["link"] == "idle", "the stream to pause")
    until = rig.stats()["uptime_ms"] + 1500
    while rig.stats()["uptime_ms"] < until:
        assert connection.recv(KIB)
    # Not by the queue: it is empty for a moment where the output is full between two of the calls.
    assert rig.stats()["boards"][0]["bytes_read"] < 100 * params["size"], "there must be more than it has taken"
    assert not any("does not read" in line for line in rig.daemon.log)
    connection.close()


def test_slow_readers_change_does_not_keep_the_lease_from_others(make_rig: Callable[..., Rig]) -> None:
    """It stands behind reads that nobody takes: the lease is granted, and the change comes when that has ended."""
    rig = make_rig(limits={"max_output_bytes": 64 * KIB}, mock_flags=["--flash-size", str(512 * KIB)])
    slow, other = rig.client(receive_buffer=4096), rig.client()
    calls = [slow.send("memory.read_bytes", address=FLASH, size=512 * KIB, stream=True, timeout_ms=LONG_MS,
                       encoding="hex") for _ in range(10)]
    change = slow.send("memory.write_u32", address=RAM, values=7, timeout_ms=LONG_MS)
    wait_until(lambda: rig.status()["queued"] > 0 and rig.status()["link"] == "idle", "the stream to pause")
    lease = other.call("lease.acquire", wait_ms=LONG_MS)["lease"]
    assert other.call("memory.write_u32", address=RAM, values=[1])["count"] == 1
    for call in calls:
        assert slow.result(call)["size"] == 512 * KIB
    assert slow.call("board.list")["boards"] and not slow.has_replies
    assert other.call("memory.read_u32", address=RAM)["values"] == [1]
    other.call("lease.release", lease=lease)
    assert slow.result(change)["count"] == 1
    assert other.call("memory.read_u32", address=RAM)["values"] == [7]


def test_slow_readers_immediate_requests_do_not_pile_up(make_rig: Callable[..., Rig]) -> None:
    """Thousands of calls with large answers, none of which is read: reading stops."""
    rig = make_rig(limits={"max_output_bytes": 64 * KIB})
    before = rig.memory_kib()
    connection = raw(rig)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    calls = b'{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}\n' * 100
    blocked = 0
    while blocked < 50:  # looks in a row
        try:
            connection.send(calls)
            blocked = 0
        except BlockingIOError:
            blocked += 1
            looked_at = rig.stats()["requests"]
    assert looked_at < 1000
    rig.assert_grown_at_most(before, 8 * 1024)
    rig.assert_works()
    connection.close()


def test_flash_write_does_not_pause_for_a_slow_reader(make_rig: Callable[..., Rig]) -> None:
    """Its progress is for nobody, its reply has room, and the flash is written."""
    rig = make_rig(limits={"max_output_bytes": 16 * KIB})
    client, other = rig.client(), rig.client(receive_buffer=4096)
    client.call("target.halt")
    for _ in range(50):
        other.send("memory.read_bytes", address=FLASH + 64 * KIB, size=64 * KIB, stream=True, timeout_ms=LONG_MS)
    wait_until(lambda: rig.status()["queued"] > 0 and rig.status()["link"] == "idle", "the stream to pause")
    data = os.urandom(16 * KIB)
    write = rig.client(receive_buffer=4096)
    write.send("flash.write_image", data=base64.b64encode(data).decode(), progress="p")
    wait_until(lambda: rig.mock.peek(FLASH, len(data)) == data, "the image to be written")
    rig.assert_works()


# Rubbish.


def test_half_a_line_for_ever(make_rig: Callable[..., Rig]) -> None:
    """Held up to the limit, then skipped; memory is bounded; others do not notice."""
    rig = make_rig(limits={"max_line_bytes": 64 * KIB})
    before = rig.memory_kib()
    connections = [raw(rig) for _ in range(20)]
    for connection in connections:
        for _ in range(32):
            connection.sendall(b"x" * 32 * KIB)
    rig.assert_works()
    rig.assert_grown_at_most(before, 16 * 1024)
    wait_until(lambda: rig.stats()["lines_refused"] == 20, "twenty refusals")
    for connection in connections:
        connection.sendall(b'\n{"jsonrpc":"2.0","id":"after","method":"board.list"}\n')
        data = b""
        while b"after" not in data:
            data += connection.recv(65536)
        assert data.count(b"line_too_long") == 1
        connection.close()


def test_garbage_for_ever(rig: Rig) -> None:
    """Each line is refused; the connection lives on; memory does not grow."""
    connection = raw(rig)
    before = rig.memory_kib()
    lines = [os.urandom(100).replace(b"\n", b"x") + b"\n", b"{}\n", b"[]\n", b"[[[[\n", b'{"id":1}\n', b"null\n",
             b"\n", b"\r\n", b'{"jsonrpc":"2.0","id":{},"method":"board.list"}\n',
             b'{"jsonrpc":"2.0","id":1,"method":"no.such"}\n']
    connection.settimeout(30)
    for _ in range(100):
        connection.sendall(b"".join(lines) * 5)
        answered = 0
        while answered < 8 * 5:  # the empty lines have no answer
            answered += connection.recv(1 << 20).count(b"\n")
        assert answered == 8 * 5
    connection.sendall(b'{"jsonrpc":"2.0","id":"alive","method":"board.list"}\n')
    data = b""
    while not data.endswith(b"\n"):
        data += connection.recv(65536)
    assert b'"alive"' in data
    rig.assert_grown_at_most(before, 8 * 1024)


def test_http_is_not_answered(rig: Rig) -> None:
    for line in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /rpc HTTP/1.1\r\n\r\n",
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        connection = raw(rig)
        connection.sendall(line)
        try:
            assert read_to_end(connection) == b""
        except ConnectionResetError:
            pass


# Many.


def test_full_connection_is_not_read_and_others_are(make_rig: Callable[..., Rig]) -> None:
    rig = make_rig(limits={"max_in_flight": 4})
    rig.hold()
    client, other = rig.client(), rig.client()
    calls = [client.send("memory.read_u32", address=RAM + 4 * i, timeout_ms=LONG_MS) for i in range(50)]
    rig.wait_queued(5)
    waiting = other.send("memory.read_u32", address=RAM, timeout_ms=LONG_MS)
    rig.wait_queued(6)
    rig.mock.release()
    assert other.result(waiting)["values"] == [0]
    assert [client.result(call)["values"] for call in calls] == [[0]] * 50


def test_more_clients_than_allowed_wait(make_rig: Callable[..., Rig]) -> None:
    """In the kernel's queue, until another has gone."""
    rig = make_rig(limits={"max_clients": 3})
    first: List[Client] = [rig.client() for _ in range(3)]
    for client in first:
        client.call("server.hello")
    late = raw(rig)
    late.sendall(b'{"jsonrpc":"2.0","id":1,"method":"server.hello"}\n')
    late.settimeout(0.2)
    with pytest.raises(socket.timeout):
        late.recv(10)
    first[0].close()
    late.settimeout(30)
    assert b'"result"' in late.recv(65536)
    late.close()
    first[1].close()
    first[2].close()


@pytest.mark.parametrize("role,method,params", [
    ("observer", "memory.write_u8", {"address": RAM, "values": [1]}), ("observer", "target.halt", {}),
    ("observer", "flash.write_image", {"data": "AAAA"}), ("observer", "openocd.command", {"command": "version"}),
    ("user", "openocd.command", {"command": "version"}),
])
def test_roles(make_rig: Callable[..., Rig], role: str, method: str, params: Any) -> None:
    """What a role does not allow is refused before anything is queued or sent."""
    rig = make_rig(role=role)
    client = rig.client()
    before = rig.mock.commands()
    error = client.fail(method, **params)
    assert error.kind == "forbidden"
    assert rig.mock.commands() == before
    assert client.call("memory.read_u32", address=RAM)["values"] == [0]
    assert client.call("server.hello")["role"] == role


def test_batch_across_a_crash(rig: Rig) -> None:
    """One array of answers, each call with its own fate."""
    client = rig.client()
    rig.mock.fault("stall", match="read_memory 0x20000000")
    calls = [client.make_call("memory.read_u32", {"address": RAM, "timeout_ms": LONG_MS})]
    calls += [client.make_call("memory.read_u32", {"address": RAM + 4 * i, "cacheable": True, "timeout_ms": LONG_MS})
              for i in range(1, 4)]
    calls.append(client.make_call("board.list"))
    calls.append(client.make_call("memory.write_bytes", {"address": RAM, "data": "AQ==", "timeout_ms": LONG_MS}))
    client.send_text(json.dumps(calls))
    rig.mock.wait(stalled=True)
    rig.mock.crash()
    rig.mock.restart()
    replies = {reply["id"]: reply for reply in client.batch()}
    assert len(replies) == 6
    assert replies[calls[0]["id"]]["error"]["data"]["kind"] == "openocd_unavailable"
    assert all("result" in replies[call["id"]] for call in calls[1:])
