"""The clients that look at everybody's memory, and at what happens."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Dict

from actor import FLASH_BASE, PATIENCE_MS, POLL_S, RAM_BASE, Actor, World, decode, encode
from harness.client import Client, RpcError
from harness.waiting import wait_until
from model import Memory


class Reader(Actor):
    """Reads everybody's memory in every way."""

    WAYS = (("tcp", "olga"), ("net", "olga"), ("unix", "root"), ("tls", "carol"), ("tcp", "alice"), ("net", "bob"))

    def step(self, client: Client) -> None:
        memory = self.world.ram if self.chance.random() < 0.7 else self.world.flash
        total = len(memory.units) * memory.size
        what = self.chance.choice((self.typed, self.range, self.streamed, self.hexdump, self.search, self.dump,
                                   self.batch))
        at = 4 * self.chance.randrange(total // 4)
        try:
            what(client, memory, memory.base + at, min(total - at, 4 * self.chance.randrange(1, 129)))
        except RpcError:
            pass

    def typed(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """With one width."""
        width = self.chance.choice((8, 16, 32))
        count = min(size * 8 // width, 8)
        since = self.world.clock.tick()
        read = self.call(client, f"memory.read_u{width}", address=address, count=count,
                         cacheable=self.chance.random() < 0.5)
        self.check_values(memory, address, read, width, count, since)

    def check_values(self, memory: Memory, address: int, read: Dict[str, Any], width: int, count: int,
                     since: int) -> None:
        """What came of a typed read."""
        data = b"".join(value.to_bytes(width // 8, "little") for value in read["values"])
        assert len(data) == count * width // 8
        memory.check(address, data, since, f"{self.name} u{width}")

    def batch(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """Several words in one batch, and a call that must fail by itself."""
        count = min(size // 4, 6)
        since = self.world.clock.tick()
        calls = [client.make_call("memory.read_u32", {"address": address + 4 * i, "timeout_ms": PATIENCE_MS})
                 for i in range(count)]
        calls.append(client.make_call("memory.read_u32", {"address": -1}))
        for reply in self.batch_replies(client, since, calls):
            place = [call["id"] for call in calls].index(reply["id"])
            if place == count:
                assert reply["error"]["data"]["kind"] == "invalid_params", reply
            elif "error" in reply:
                kind = reply["error"]["data"]["kind"]
                self.world.count[kind] += 1
                assert self.world.faults.explain(kind, since), reply
            else:
                self.check_values(memory, address + 4 * place, reply["result"], 32, 1, since)

    def range(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """Bytes."""
        since = self.world.clock.tick()
        read = self.call(client, "memory.read_bytes", address=address, size=size, consistent=self.chance.random() < 0.1)
        self.check_range(memory, address, decode(read["data"]), read, size, since)

    def check_range(self, memory: Memory, address: int, data: bytes, read: Dict[str, Any], size: int,
                    since: int) -> None:
        """What came of it, which must be what its hash says."""
        assert len(data) == size == read["size"], read
        assert read.get("sha256", "") in ("", hashlib.sha256(data).hexdigest()), f"{self.name}: another hash"
        memory.check(address, data, since, f"{self.name} range")

    def streamed(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """Bytes in pieces, before the answer."""
        since = self.world.clock.tick()
        client.take_notifications("data")
        read = self.call(client, "memory.read_bytes", address=address, size=size, stream=True)
        data = b""
        for piece in client.take_notifications("data"):
            assert piece["offset"] == len(data), piece
            data += decode(piece["data"])
        self.check_range(memory, address, data, read, size, since)

    def hexdump(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """For people, with lines of 16 bytes."""
        since = self.world.clock.tick()
        text = self.call(client, "memory.hexdump", address=address, size=size)["text"]
        data = b""
        for line in text.splitlines():
            place, _, rest = line.partition(": ")
            assert int(place, 16) == address + len(data), line
            data += bytes.fromhex("".join(re.findall(r"\b[0-9A-F]{2}\b", rest.partition("|")[0])))
        assert len(data) == size, text
        memory.check(address, data, since, f"{self.name} hexdump")

    def search(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """For what a unit holds: every match must be possible, and none that must be there may be missing."""
        pattern = memory.value(address)
        if pattern is None:
            return
        since = self.world.clock.tick()
        sure = memory.sure(address, size, pattern)
        found = self.call(client, "memory.search", pattern=encode(pattern), start=address, end=address + size,
                          align=memory.size)
        matches = [int(match, 16) for match in found["matches"]]
        assert found["scanned"] == size and matches == sorted(set(matches)), found
        for match in matches:
            memory.check(match, pattern, since, f"{self.name} search")
        missing = {at for at, version in sure if memory.version(at) == version} - set(matches)
        assert not missing, f"{self.name}: {pattern.hex()} was not found at {[hex(at) for at in missing]}"

    def dump(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """Into a file of the daemon, or into a stage, which is read and deleted."""
        since = self.world.clock.tick()
        if self.chance.random() < 0.5:
            path = f"{self.name}.bin"
            made = self.call(client, "memory.dump", address=address, size=size, path=path)
            data = (self.world.programs.directory / "dumps" / path).read_bytes()
            self.check_range(memory, address, data, made, size, since)
            return
        made = self.call(client, "memory.dump", address=address, size=size)
        gone = ("not_found",) if self.world.faults.explain("forgotten", since) else ()
        read = self.call(client, "stage.read", stage=made["stage"], size=size, also=gone)
        self.check_range(memory, address, decode(read["data"]), made, size, since)
        self.call(client, "stage.delete", stage=made["stage"], also=gone)


class Watcher(Actor):
    """Watches words of writers: what is told must have been there, and in the end it must be what is there."""

    WAYS = (("tcp", "olga"), ("net", "alice"))

    def __init__(self, world: World, number: int, seed: str) -> None:
        super().__init__(world, number, seed)
        self.since = 0
        self.watch = ""
        self.seq = 0
        self.picture: Dict[int, int] = {}

    def connected(self, client: Client) -> None:
        self.watch = ""

    def begin(self, client: Client) -> None:
        """A new watch."""
        self.since = self.world.clock.tick()
        address = RAM_BASE + 64 * self.chance.randrange(8)
        try:
            self.watch = self.call(client, "memory.watch", ranges=[{"address": address, "size": 128}],
                                   interval_ms=20)["watch"]
        except RpcError:
            return
        self.seq, self.picture = 0, {}

    def step(self, client: Client) -> None:
        if not self.watch:
            self.begin(client)
            if not self.watch:
                return
        elif self.chance.random() < 0.02:
            watch, self.watch = self.watch, ""
            self.call(client, "memory.unwatch", watch=watch)
        self.call(client, "lease.status")
        self.take(client)
        # The turn of the link in which others are served.
        try:
            self.call(client, "memory.read_u32", address=RAM_BASE)
        except RpcError:
            pass
        self.pause(0.02)

    def take(self, client: Client) -> None:
        """What has come."""
        for each in client.take_notifications("memory.changed"):
            if each["watch"] != self.watch:
                continue
            self.world.count["memory.changed"] += 1
            assert each["seq"] == self.seq + 1 and each["whole"] == (self.seq == 0), each
            self.seq = each["seq"]
            for change in each["changes"]:
                address, data = int(change["address"], 16), decode(change["data"])
                self.world.ram.check(address, data, self.since, self.name)
                self.picture.update({address + i: byte for i, byte in enumerate(data)})


    def ended(self) -> None:
        """Nobody begins a change any more: what it was told must become what is there."""
        if self.client is None or not self.watch or not self.picture:
            return
        client = self.client

        def same() -> bool:
            first, count = min(self.picture), len(self.picture)
            try:
                data = decode(self.call(client, "memory.read_bytes", address=first, size=count)["data"])
            except RpcError:
                return False
            self.take(client)
            return all(self.picture.get(first + i) == byte for i, byte in enumerate(data))

        wait_until(same, f"{self.name}: what was told to be what is there", PATIENCE_MS / 1000, POLL_S)
        self.world.count["pictures"] += 1


class Listener(Actor):
    """Subscribes to every topic; the numbers of events must have no gaps."""

    WAYS = (("tcp", "root"), ("net", "root"))
    TOPICS = ["target", "link", "operation", "lease", "queue", "memory", "gdb", "log"]

    def __init__(self, world: World, number: int, seed: str) -> None:
        super().__init__(world, number, seed)
        self.seq = 0

    def connected(self, client: Client) -> None:
        self.seq = self.call(client, "events.subscribe", topics=self.TOPICS)["seq"]

    def step(self, client: Client) -> None:
        try:
            self.call(client, "memory.read_u32", address=FLASH_BASE)
        except RpcError:
            pass
        for each in client.take_notifications("event"):
            self.world.count["event"] += 1
            if each["topic"] != "dropped":
                assert each["seq"] == self.seq + 1, f"{self.name}: event {each['seq']} behind {self.seq}"
            self.seq = each["seq"]
        client.take_notifications("data")
        self.pause(0.02)
