"""Many clients at once: how fast they are together, and whether each gets its share."""

from __future__ import annotations

import json
import selectors
import socket
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from harness.stack import FLASH_BASE, KIB, RAM_BASE

READERS = 100
READS_EACH = 10
# Of each client's commands, one may lie before the first look or behind the last: few enough of so many.
FAIR_ROUNDS = 30
FAIR_MOST = 0.10
MEMORY_MOST_KIB = 64 * KIB

Call = Callable[[int], Dict[str, Any]]
Check = Callable[[Dict[str, Any]], bool]


class Member:
    """One connection with one call in flight at the most; nothing but the answers is looked at."""

    def __init__(self, address: Tuple[str, int], kind: str, call: Call, check: Check) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.kind = kind
        self.answered = 0
        self.commands = 0
        self._call = call
        self._check = check
        self._buffer = bytearray()

    def send(self) -> None:
        line = {"jsonrpc": "2.0", "id": self.answered + 1, **self._call(self.answered)}
        self.socket.sendall(json.dumps(line).encode() + b"\n")

    def take(self) -> bool:
        """Whether the answer is there. Each piece of a stream is a command, as is an answer that had none."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise ConnectionError("the daemon closed the connection")
        self._buffer += part
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        ended = False
        for line in lines:
            message = json.loads(line)
            if message.get("method") == "data":
                self.commands += 1
                continue
            if "result" not in message or not self._check(message["result"]):
                raise RuntimeError(f"{self.kind}: {str(message)[:300]}")
            self.answered += 1
            self.commands += self.kind != "dump"
            ended = True
        return ended


class Crowd:
    """Clients served by one loop. Each sends its next call when the one before was answered."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp:").rpartition(":")
        self._address = (host, int(port))
        self._selector = selectors.DefaultSelector()
        self.members: List[Member] = []

    def add(self, kind: str, call: Call, check: Check) -> None:
        member = Member(self._address, kind, call, check)
        self._selector.register(member.socket, selectors.EVENT_READ, member)
        self.members.append(member)

    def run(self, goes_on: Callable[[Member], bool], is_over: Callable[[], bool]) -> None:
        for member in self.members:
            member.send()
        while not is_over():
            for key, _ in self._selector.select(1.0):
                if key.data.take() and goes_on(key.data):
                    key.data.send()

    def close(self) -> None:
        for member in self.members:
            member.socket.close()
        self._selector.close()


def add_word_reader(crowd: Crowd, rig: Any, offset: int) -> None:
    expected = [int.from_bytes(rig.image[offset:offset + 4], "little")]
    crowd.add("word", lambda _: {"method": "memory.read_u32", "params": {"address": FLASH_BASE + offset}},
              lambda result: bool(result["values"] == expected))


def our_many(rig: Any) -> float:
    """Seconds for each read, of a hundred clients that always have one waiting."""
    crowd = Crowd(rig.stack.daemon.address)
    try:
        for i in range(READERS):
            add_word_reader(crowd, rig, 4 * i)
        begin = time.perf_counter()
        crowd.run(lambda member: member.answered < READS_EACH,
                  lambda: all(member.answered == READS_EACH for member in crowd.members))
        return (time.perf_counter() - begin) / (READERS * READS_EACH)
    finally:
        crowd.close()


def direct_many(rig: Any) -> float:
    begin = time.perf_counter()
    for i in range(READERS * READS_EACH):
        address = FLASH_BASE + 4 * (i % READERS)
        assert rig.openocd.command(f"read_memory 0x{address:x} 32 1").startswith(b"0x")
    return (time.perf_counter() - begin) / (READERS * READS_EACH)


def add_range_reader(crowd: Crowd, rig: Any, offset: int) -> None:
    expected = rig.image[offset:offset + 64].hex()
    params = {"address": FLASH_BASE + offset, "size": 64, "encoding": "hex"}
    crowd.add("range", lambda _: {"method": "memory.read_bytes", "params": params},
              lambda result: bool(result["data"] == expected))


def add_writer(crowd: Crowd, offset: int) -> None:
    crowd.add("write", lambda i: {"method": "memory.write_u32", "params": {"address": RAM_BASE + offset, "values": [i]}},
              lambda result: bool(result["count"] == 1))


def add_dumper(crowd: Crowd, size: int) -> None:
    params = {"address": FLASH_BASE, "size": size, "stream": True, "timeout_ms": 600000}
    crowd.add("dump", lambda _: {"method": "memory.read_bytes", "params": params},
              lambda result: bool(result["size"] == size))


def peak_kib(pid: int) -> int:
    """The most memory that the process has held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise RuntimeError("no VmHWM")


def kinds_of(members: List[Member]) -> Dict[str, List[Member]]:
    kinds: Dict[str, List[Member]] = {}
    for member in members:
        kinds.setdefault(member.kind, []).append(member)
    return kinds


class FairRow:
    """A thousand clients with one identity, each of which always has something waiting: words, ranges, writes, two dumps."""

    name = "fair"

    def measure(self, rig: Any) -> bool:
        """Prints what each kind of client got; whether all got their share, and the daemon stayed small."""
        crowd = Crowd(rig.stack.daemon.address)
        try:
            for i in range(700):
                add_word_reader(crowd, rig, 4 * i)
            for i in range(200):
                add_range_reader(crowd, rig, 64 * i)
            for i in range(98):
                add_writer(crowd, 4 * i)
            for i in range(2):
                add_dumper(crowd, (128 + 64 * i) * KIB)
            before = rig.ocdmux.call("server.stats")["boards"][0]
            begin = time.perf_counter()
            whole = FAIR_ROUNDS * len(crowd.members)
            crowd.run(lambda _: True, lambda: sum(member.commands for member in crowd.members) >= whole)
            seconds = time.perf_counter() - begin
            after = rig.ocdmux.call("server.stats")["boards"][0]
            return self._report(crowd.members, seconds, before, after, peak_kib(rig.stack.daemon.pid))
        finally:
            crowd.close()

    def _report(self, members: List[Member], seconds: float, before: Dict[str, Any], after: Dict[str, Any],
                kib: int) -> bool:
        fair = sum(member.commands for member in members) / len(members)
        print(f"{self.name}: each of {len(members)} clients' share of the commands, and the daemon's memory")
        for kind, some in kinds_of(members).items():
            shares = [member.commands / fair for member in some]
            print(f"    {len(some):4} x {kind:6} {min(shares):.3f} to {max(shares):.3f} of the fair share")
        shares = [member.commands / fair for member in members]
        commands, envelopes = (after[name] - before[name] for name in ("commands", "envelopes"))
        is_fair = min(shares) >= 1 - FAIR_MOST and max(shares) <= 1 + FAIR_MOST
        print(f"    {fair:.1f} commands each in {seconds:.1f} s; {commands} commands in {envelopes} envelopes; "
              f"the daemon held {kib / KIB:.1f} MiB at the most")
        met = is_fair and kib <= MEMORY_MOST_KIB
        print(f"  goal: within {FAIR_MOST * 100:.0f} % of the fair share, at most {MEMORY_MOST_KIB // KIB} MiB: "
              f"{'met' if met else 'MISSED'}")
        return met
