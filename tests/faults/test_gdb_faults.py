"""gdb's listener between clients that do anything and gdb servers that do as much."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from harness.client import Client
from harness.gdb import GdbClient, GdbServer, packet
from harness.tokens import make_token
from harness.waiting import wait_until
from rig import FLASH, KIB, RAM, Rig

HELLO = "qSupported:multiprocess+"


class GdbRig:
    """A rig whose board b0 takes gdb and passes it on to `server`."""

    def __init__(self, rig: Rig, server: GdbServer, tokens: Dict[str, str]) -> None:
        self.rig = rig
        self.server = server
        self.tokens = tokens
        self.address = rig.daemon.wait_for_line(r"board b0: takes gdb on (\S+)").group(1)
        self.clients: List[GdbClient] = []

    def connect(self) -> GdbClient:
        self.clients.append(GdbClient(self.address))
        return self.clients[-1]

    def attach(self, **members: Any) -> GdbClient:
        """A client that was let in and whose first packet was answered."""
        client = self.connect()
        answer = client.preface(**members)
        assert answer["ok"], answer
        client.send(b"+")
        assert client.ask(HELLO) == "OK"
        return client

    def refused(self, **members: Any) -> Dict[str, Any]:
        """The error of a client that must not be let in, and whose connection must end with that."""
        client = self.connect()
        answer = client.preface(**members)
        assert not answer["ok"] and client.rest() == b""
        return {"message": answer["message"], **answer["data"]}

    def json_client(self, name: str) -> Client:
        client = self.rig.client()
        client.call("server.hello", token=self.tokens[name])
        return client

    def assert_serves(self) -> None:
        """That others read meanwhile."""
        self.rig.mock.poke(RAM, b"\x5a")
        assert self.rig.client().call("memory.read_u8", address=RAM)["values"] == [0x5A]

    def status(self) -> Dict[str, Any]:
        gdb: Dict[str, Any] = self.rig.status()["gdb"]
        return gdb

    def wait_free(self) -> None:
        """Until nobody is attached and nobody holds the lease."""
        wait_until(lambda: self.status()["clients"] == [] and "lease" not in self.rig.status(), "the end of gdb")


@pytest.fixture
def make_gdb_rig(make_rig: Callable[..., Rig]) -> Iterator[Callable[..., GdbRig]]:
    started: List[GdbRig] = []

    def start(**options: Any) -> GdbRig:
        server = GdbServer()
        names = {"alice": "user", "bob": "user", "root": "admin", "eve": "observer"}
        made = {name: make_token(name, role=role) for name, role in names.items()}
        board: Dict[str, Any] = {"gdb": {"listen": "tcp:127.0.0.1:0", "openocd": f"127.0.0.1:{server.port}"}}
        board.update(options.pop("board", {}))
        extra = {"tokens": [entry for _, entry in made.values()], **options.pop("extra", {})}
        rig = make_rig(extra=extra, board=board, **options)
        started.append(GdbRig(rig, server, {name: token for name, (token, _) in made.items()}))
        return started[-1]

    yield start
    for each in started:
        each.rig.assert_works()
        for client in each.clients:
            client.close()
        each.server.close()


@pytest.fixture
def gdb(make_gdb_rig: Callable[..., GdbRig]) -> GdbRig:
    return make_gdb_rig()


def assert_attaches(gdb: GdbRig) -> None:
    """That the listener works as if nothing had been, whatever is still being closed."""
    gdb.wait_free()
    with gdb.attach(token=gdb.tokens["alice"]) as client:
        assert client.ask("g") == "OK"
    gdb.wait_free()


# Who is let in.


def test_gdb_refuses_clearly(gdb: GdbRig) -> None:
    alice = gdb.tokens["alice"]
    wrong = gdb.refused(token="x" * 70)
    assert wrong["kind"] == "unauthenticated" and wrong["message"] == "the token is wrong"
    observer = gdb.refused(token=gdb.tokens["eve"])
    assert observer["kind"] == "forbidden" and observer["role"] == "user"
    assert gdb.refused(token=alice, board="b1")["parameter"] == "board"
    assert gdb.refused(token=alice, target="nope")["kind"] == "not_found"
    assert gdb.refused(token=alice, lease="0" * 32)["kind"] == "lease_lost"
    for members in ({"tokens": 1}, {"token": 1}, {"wait_ms": 600001}, {"wait_ms": -1}, {"target": ""}):
        assert gdb.refused(**members)["kind"] == "invalid_params"
    assert gdb.server.connections == 0
    assert_attaches(gdb)


def test_gdb_refuses_what_is_no_preface(gdb: GdbRig) -> None:
    for data in (b"ocdmux {\n", b"ocdmux []\n", b"ocdmux {}x\n", b"oops", b"ocdmux" + b" " * 5000):
        client = gdb.connect()
        client.send(data)
        assert json.loads(client.rest().partition(b" ")[2])["data"]["kind"] == "parse_error", data
    assert_attaches(gdb)


def test_gdb_ends_what_is_no_gdb(gdb: GdbRig) -> None:
    for data, said in (
        (b"GET / HTTP/1.1\r\n\r\n", ""), (b"\x00", ""), (b"+$g#00", "the checksum of a packet of gdb's is wrong"),
        (b"$g#6?", "the checksum of a packet of gdb's is wrong"), (b"$" + b"x" * 70000, "a packet of gdb's is too long"),
    ):
        client = gdb.connect()
        client.send(data)
        assert client.rest() == (b"+" + packet(f"E.invalid_request: {said}") if said else b""), data
    assert gdb.server.connections == 0
    assert_attaches(gdb)


def test_gdb_without_a_preface_is_told_in_its_own_way(make_gdb_rig: Callable[..., GdbRig]) -> None:
    gdb = make_gdb_rig(role="observer")
    client = gdb.connect()
    client.send(b"+")
    assert client.ask(HELLO) == "E.forbidden: gdb needs the role user; anonymous has the role observer on b0"
    assert client.rest() == b""
    assert_attaches(gdb)


def test_gdb_is_known_by_its_user_on_a_unix_socket(make_gdb_rig: Callable[..., GdbRig], tmp_path: Path) -> None:
    """Nothing needs to be said then."""
    users = [{"user": str(os.getuid()), "identity": "me", "role": "user"}]
    board = {"gdb": {"listen": f"unix:{tmp_path}/gdb.sock", "openocd": "127.0.0.1:1"}}
    gdb = make_gdb_rig(board=board, extra={"users": users})
    client = gdb.connect()
    assert client.ask(HELLO).startswith("E.openocd_unavailable: cannot connect to OpenOCD's gdb port 127.0.0.1:1: ")
    gdb.rig.daemon.wait_for_line(r"gdb unix, me: refused")
    gdb.wait_free()


def test_gdb_is_the_lease_holders(gdb: GdbRig) -> None:
    """By identity, or by the id from anybody; who is anonymous is nobody's equal."""
    alice, bob = gdb.json_client("alice"), gdb.json_client("bob")
    lease = alice.call("lease.acquire", ttl_ms=60000, reason="night shift")["lease"]
    refused = gdb.refused(token=gdb.tokens["bob"])
    assert refused["kind"] == "board_busy" and refused["reason"] == "night shift" and "alice" in refused["holder"]
    anonymous = gdb.connect()
    assert anonymous.ask(HELLO).startswith("E.board_busy: alice holds the lease of the board until ")
    for members in ({"token": gdb.tokens["alice"]}, {"token": gdb.tokens["bob"], "lease": lease}):
        with gdb.attach(**members) as client:
            assert client.ask("g") == "OK"
            # Who holds the lease goes on changing the board, and nobody else does.
            assert alice.call("memory.write_u32", address=RAM, values=[1])["count"] == 1
            assert bob.fail("memory.write_u32", address=RAM, values=[1]).kind == "board_busy"
            assert bob.call("memory.read_u32", address=RAM)["values"] == [1]
        wait_until(lambda: gdb.status()["clients"] == [], "the end of gdb")
    assert alice.call("lease.status")["lease"]["state"] == "held"
    alice.call("lease.release")
    assert_attaches(gdb)


def test_gdb_takes_a_lease_for_itself(make_gdb_rig: Callable[..., GdbRig]) -> None:
    gdb = make_gdb_rig(board={"require_lease": True})
    root = gdb.json_client("root")
    assert root.call("events.subscribe", topics=["gdb", "lease"])["snapshot"]["boards"][0]["gdb"]["clients"] == []
    with gdb.attach(token=gdb.tokens["alice"]) as client:
        lease = root.call("lease.status")["lease"]
        assert (lease["identity"], lease["client"], lease["reason"]) == ("alice", "gdb", "gdb is attached")
        (attached,) = gdb.status()["clients"]
        assert (attached["identity"], attached["target"]) == ("alice", "vb.cpu")
        assert root.fail("memory.write_u32", address=RAM, values=[1]).kind == "board_busy"
        second = gdb.refused(token=gdb.tokens["alice"])
        assert second["kind"] == "board_busy" and "is attached to vb.cpu already" in second["message"]
        assert client.ask("g") == "OK"
    gdb.wait_free()
    root.call("lease.status")  # behind all events
    kinds = [(event["topic"], event["kind"]) for event in root.take_notifications("event")]
    assert kinds == [("lease", "granted"), ("gdb", "attached"), ("lease", "released"), ("gdb", "detached")]


def test_gdb_waits_for_changes(gdb: GdbRig) -> None:
    client = gdb.rig.client()
    write = gdb.rig.stall(client, "write_memory", "memory.write_u32", address=RAM, values=[7])
    assert gdb.refused(token=gdb.tokens["alice"], wait_ms=0)["kind"] == "board_busy"
    late = gdb.refused(token=gdb.tokens["alice"], wait_ms=50)
    assert late["kind"] == "board_busy"
    waits = gdb.connect()
    waits.send(b'ocdmux {"token": "%s", "wait_ms": 60000}\n' % gdb.tokens["alice"].encode())
    wait_until(lambda: gdb.rig.status()["lease_queue"], "gdb to wait")
    gdb.rig.mock.release()
    assert waits.until(b"\n").startswith(b"ok ")
    assert client.result(write)["count"] == 1
    waits.close()
    assert_attaches(gdb)


def test_gdb_waits_for_changes_under_its_own_lease(gdb: GdbRig) -> None:
    alice = gdb.json_client("alice")
    alice.call("lease.acquire", ttl_ms=60000)
    write = gdb.rig.stall(alice, "write_memory", "memory.write_u32", address=RAM, values=[7])
    assert gdb.refused(token=gdb.tokens["alice"], wait_ms=0)["kind"] == "board_busy"
    waits = gdb.connect()
    waits.send(b'ocdmux {"token": "%s", "wait_ms": 60000}\n' % gdb.tokens["alice"].encode())
    gdb.rig.daemon.wait_for_line(rf"gdb {re.escape('%s:%d' % waits.socket.getsockname())}: \S+ -> waiting")
    gdb.rig.mock.release()
    assert waits.until(b"\n").startswith(b"ok ") and alice.result(write)["count"] == 1
    waits.close()
    alice.call("lease.release")
    assert_attaches(gdb)


# What OpenOCD gets.


def test_gdb_gets_no_connection_before_there_is_a_packet(gdb: GdbRig) -> None:
    """OpenOCD serves nobody while it waits for a packet's bytes: it gets it whole."""
    client = gdb.connect()
    assert client.preface(token=gdb.tokens["alice"])["ok"]
    client.send(b"+$qSupp")
    gdb.assert_serves()
    assert gdb.server.connections == 0
    client.send(b"orted#37")
    assert client.answer() == "OK" and gdb.server.received == b"+$qSupported#37"
    client.send(b"$m0,")
    gdb.assert_serves()
    assert gdb.server.received == b"+$qSupported#37"
    client.send(b"4#fd")
    assert client.answer() == "OK" and gdb.server.packets == ["qSupported", "m0,4"]


def test_gdb_packets_go_one_by_one(gdb: GdbRig) -> None:
    gdb.server.answer = lambda payload: None if payload == "m0,1" else "OK"
    client = gdb.attach(token=gdb.tokens["alice"])
    client.send(packet("m0,1") + packet("m0,2") * 500)
    gdb.server.wait_packets(2)
    gdb.assert_serves()
    assert gdb.server.packets == [HELLO, "m0,1"]
    gdb.server.say(packet("00"))
    assert client.answer() == "00"
    assert [client.answer() for _ in range(500)] == ["OK"] * 500
    # Who waits for a halt may interrupt.
    gdb.server.answer = lambda payload: None
    client.send(packet("vCont;c"))
    gdb.server.wait_packets(503)
    client.send(b"\x03")
    wait_until(lambda: gdb.server.received.endswith(b"\x03"), "the interrupt")
    gdb.server.say(packet("S02"))
    assert client.answer() == "S02"


def test_gdb_monitor_is_for_admins(gdb: GdbRig) -> None:
    """It is raw Tcl; an escaped letter hides nothing."""
    shutdown = "qRcmd," + b"shutdown".hex()
    client = gdb.attach(token=gdb.tokens["alice"])
    hidden = b"$q}r" + shutdown[2:].encode() + b"#%02x" % (sum(b"q}r" + shutdown[2:].encode()) % 256)
    for data in (packet(shutdown), hidden):
        client.send(data)
        assert b"needs the role admin" in bytes.fromhex(client.answer()[1:])
        assert client.answer() == "E01"
    assert client.ask("qRcmd," + b"reset halt".hex()) == "OK"
    assert gdb.server.packets == [HELLO, "qRcmd," + b"reset halt".hex()]
    client.close()
    gdb.wait_free()
    admin = gdb.attach(token=gdb.tokens["root"])
    assert admin.ask(shutdown) == "OK" and gdb.server.packets[-1] == shutdown


def test_gdb_disturbs_reads_that_it_changes(gdb: GdbRig) -> None:
    client = gdb.attach(token=gdb.tokens["alice"])
    reader = gdb.rig.client()
    for payload, disturbed in (("m20000000,4", False), ("M20000000,4:00000000", True), ("s", True)):
        read = gdb.rig.stall(reader, "dump_image", "memory.read_bytes", address=RAM, size=16 * KIB)
        gdb.server.answer = lambda sent: "S05" if sent == "s" else "OK"
        client.ask(payload)
        gdb.rig.mock.release()
        assert reader.result(read)["disturbed"] is disturbed, payload
        gdb.rig.mock.clear_faults()


def test_gdb_disturbs_reads_while_it_is_not_answered(gdb: GdbRig) -> None:
    """Nobody can tell when OpenOCD does what it was asked: not before a read, but perhaps in its middle."""
    gdb.server.answer = lambda sent: None if sent.startswith("M") else "OK"
    client = gdb.attach(token=gdb.tokens["alice"])
    reader = gdb.rig.client()
    assert reader.call("memory.read_bytes", address=RAM, size=16 * KIB)["disturbed"] is False
    client.send(packet("M20000000,1:00"))
    gdb.server.wait_packets(2)
    assert reader.call("memory.read_bytes", address=RAM, size=16 * KIB)["disturbed"] is True
    assert reader.call("memory.read_bytes", address=RAM, size=4)["disturbed"] is False
    gdb.server.say(packet("OK"))
    assert client.answer() == "OK"
    assert reader.call("memory.read_bytes", address=RAM, size=16 * KIB)["disturbed"] is False


def test_gdb_erase_gives_up_what_was_kept(make_gdb_rig: Callable[..., GdbRig], tmp_path: Path) -> None:
    """As flash.erase_sector does: what gdb writes there is not overwritten by old bytes later."""
    gdb = make_gdb_rig(flags=["--state-dir", str(tmp_path)])
    client = gdb.rig.client()
    client.call("target.halt")
    gdb.rig.mock.poke(FLASH, bytes(range(256)) * 8)
    gdb.rig.mock.fault("stall", match="write_bank 0", when="before")
    data = base64.b64encode(bytes(100)).decode()
    client.send("flash.write_image", data=data)
    gdb.rig.mock.wait(stalled=True)
    gdb.rig.mock.crash()
    wait_until(lambda: gdb.rig.status()["pending_repairs"], "a pending repair")
    gdb.rig.mock.restart()
    gdb.rig.mock.clear_faults()
    gdb.rig.wait_link("idle")
    (repair,) = gdb.rig.status()["pending_repairs"]
    debugger = gdb.connect()
    assert "given up" in debugger.preface(token=gdb.tokens["alice"])["warnings"][0]
    debugger.send(b"+")
    assert debugger.ask(HELLO) == "OK"
    end = FLASH + repair["size"]
    assert debugger.ask(f"vFlashErase:{end:x},{repair['size']:x}") == "OK"
    assert gdb.rig.status()["pending_repairs"] == [repair]
    gdb.server.answer = lambda _: "E01"
    assert debugger.ask(f"vFlashErase:{FLASH:x},{repair['size']:x}") == "E01"
    assert gdb.rig.status()["pending_repairs"] == [repair]
    gdb.server.answer = lambda _: "OK"
    assert debugger.ask(f"vFlashErase:{FLASH:x},{repair['size']:x}") == "OK"
    assert gdb.rig.status()["pending_repairs"] == []


# Ends.


def test_gdb_ends_free_the_board(gdb: GdbRig) -> None:
    """Its own, by a close, a reset or half of a packet; OpenOCD's; the lease's."""
    alice = gdb.tokens["alice"]

    def reset(client: GdbClient) -> None:
        client.send(b"$m")
        client.socket.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: a reset instead of an end
        client.close()

    for end in (GdbClient.close, reset, lambda _: gdb.server.hang_up()):
        client = gdb.attach(token=alice)
        ends = gdb.server.ends
        end(client)
        gdb.wait_free()
        wait_until(lambda: gdb.server.ends > ends, "OpenOCD's side to end")
    assert gdb.rig.client().call("memory.write_u32", address=RAM, values=[1])["count"] == 1
    assert_attaches(gdb)


def test_gdb_ends_with_the_lease(gdb: GdbRig) -> None:
    root, alice = gdb.json_client("root"), gdb.json_client("alice")
    client = gdb.attach(token=gdb.tokens["alice"])
    assert client.ask("QStartNoAckMode") == "OK"
    gdb.server.answer = lambda _: None
    client.send(packet("vCont;c"))
    gdb.server.wait_packets(3)
    root.call("lease.break")
    said = client.rest()
    assert b"ocdmux: the lease of the board was broken" in bytes.fromhex(said[said.index(b"$O") + 2 : -3].decode())
    gdb.wait_free()
    gdb.server.answer = lambda _: "OK"
    alice.call("lease.acquire", ttl_ms=60000)
    client = gdb.attach(token=gdb.tokens["alice"])
    alice.call("lease.release")
    assert client.rest() == b""
    assert_attaches(gdb)


def test_gdb_keeps_a_lease_whose_time_is_over(gdb: GdbRig) -> None:
    alice, bob = gdb.json_client("alice"), gdb.json_client("bob")
    alice.call("lease.acquire", ttl_ms=1000)
    client = gdb.attach(token=gdb.tokens["alice"])
    wait_until(lambda: gdb.rig.status()["lease"]["state"] == "overdue", "the lease's time to be over")
    assert bob.fail("memory.write_u32", address=RAM, values=[1]).kind == "board_busy"
    assert client.ask("g") == "OK"
    client.close()
    gdb.wait_free()
    assert bob.call("memory.write_u32", address=RAM, values=[1])["count"] == 1


def test_gdb_servers_that_do_not_answer(gdb: GdbRig) -> None:
    gdb.server.refuses = True
    client = gdb.connect()
    assert client.preface(token=gdb.tokens["alice"])["ok"]
    assert client.ask(HELLO).startswith("E.openocd_error: OpenOCD took gdb's connection and ended it at once")
    assert client.rest() == b""
    gdb.server.refuses = False
    assert_attaches(gdb)
    gdb.server.close()
    client = gdb.connect()
    assert client.preface(token=gdb.tokens["alice"])["ok"]
    assert client.ask(HELLO).startswith("E.openocd_unavailable: cannot connect to OpenOCD's gdb port 127.0.0.1:")
    gdb.wait_free()


def test_gdb_port_that_openocd_does_not_name(make_gdb_rig: Callable[..., GdbRig]) -> None:
    gdb = make_gdb_rig(board={"gdb": {"listen": "tcp:127.0.0.1:0"}})
    refused = gdb.refused(token=gdb.tokens["alice"])
    assert refused["kind"] == "unsupported" and "set `openocd`" in refused["message"]


def test_gdb_that_does_not_read_is_ended(gdb: GdbRig) -> None:
    """OpenOCD would serve nobody while it cannot write."""
    client = gdb.attach(token=gdb.tokens["alice"])
    text = packet("O" + "41" * 8000) * 1000
    with pytest.raises(OSError):
        gdb.server.say(text)
    gdb.wait_free()
    client.close()
    assert_attaches(gdb)


def test_gdb_floods_hold_up_nobody(gdb: GdbRig) -> None:
    """Connections past the limit wait, and take their turn when others have gone."""
    idle = [gdb.connect() for _ in range(70)]
    gdb.rig.daemon.wait_for_line("64 connections to its gdb listener: no more are taken for now")
    gdb.assert_serves()
    last = idle.pop()
    last.send(b'ocdmux {"token": "%s"}\n' % gdb.tokens["alice"].encode())
    for each in idle:
        each.close()
    assert last.until(b"\n").startswith(b"ok ")
    last.close()
    assert_attaches(gdb)


def test_gdb_and_the_link_are_lost_one_by_one(gdb: GdbRig) -> None:
    """gdb goes on where only the link breaks; while there is none, nobody is let in."""
    client = gdb.attach(token=gdb.tokens["alice"])
    gdb.rig.mock.crash()
    gdb.rig.wait_link("down", "connecting")
    assert client.ask("g") == "OK"
    client.close()
    gdb.wait_free()
    assert gdb.refused(token=gdb.tokens["alice"])["kind"] == "openocd_unavailable"
    gdb.rig.mock.restart()
    gdb.rig.wait_link("idle")
    assert_attaches(gdb)


def test_gdb_attached_past_the_daemon_is_seen(gdb: GdbRig) -> None:
    notify = gdb.rig.mock.notify
    event = "type target_event event gdb-%s\r\n"
    notify(event % "attach")
    wait_until(lambda: gdb.status()["outside"] == 1, "the stranger")
    client = gdb.attach(token=gdb.tokens["alice"])
    notify(event % "attach")
    wait_until(lambda: gdb.rig.daemon.log and gdb.status()["clients"] != [], "gdb")
    client.close()
    gdb.wait_free()
    notify(event % "detach", event % "detach")
    wait_until(lambda: gdb.status()["outside"] == 0, "the stranger to go")


def test_gdb_of_a_token_that_is_withdrawn_ends(gdb: GdbRig) -> None:
    """Once the configuration is read anew; the others go on."""
    client = gdb.attach(token=gdb.tokens["alice"])
    config = json.loads(gdb.rig.config_path.read_text())
    config["tokens"] = [entry for entry in config["tokens"] if entry["identity"] != "bob"]
    gdb.rig.config_path.write_text(json.dumps(config))
    os.kill(gdb.rig.daemon.pid, signal.SIGHUP)
    gdb.rig.daemon.wait_for_line("was read anew")
    assert client.ask("g") == "OK"
    config["tokens"] = [entry for entry in config["tokens"] if entry["identity"] != "alice"]
    gdb.rig.config_path.write_text(json.dumps(config))
    os.kill(gdb.rig.daemon.pid, signal.SIGHUP)
    assert client.rest() == b""
    root = gdb.json_client("root")
    wait_until(lambda: "lease" not in root.call("board.status"), "the end of gdb")


def test_daemon_stops_with_gdb_attached(gdb: GdbRig) -> None:
    client = gdb.attach(token=gdb.tokens["alice"])
    gdb.rig.stop_daemon()
    assert client.rest() == b""
    assert gdb.rig.daemon.wait() == 0
