"""The clients of the soak. Each is a thread with a connection and chance of its own, and makes one round of what it is
there for after the other until it is told to stop; what it gets is held against the model."""

from __future__ import annotations

import base64
import random
import re
import threading
from typing import Any, Counter, Dict, Iterable, List, NamedTuple, Optional, Tuple

from protocol_check import Violation

from faults import CLOSED, Programs
from harness.client import Client, RpcError
from harness.waiting import wait_until
from model import Change, Clock, Faults, Memory

FLASH_BASE = 0x08000000
FLASH_BYTES = 16 * 1024
SECTOR = 1024
RAM_BASE = 0x20001000  # behind the work area, which flashing overwrites
WORDS = 16  # of each writer
# Kinds that say that nothing of a change was done, unless their details say otherwise.
NOTHING_DONE = ("board_busy", "lease_lost", "openocd_unavailable", "timeout", "cancelled", "target_not_halted")


class World(NamedTuple):
    """What all share."""

    programs: Programs
    clock: Clock
    faults: Faults
    ram: Memory
    flash: Memory
    count: Counter[str]
    stop: threading.Event


class Lost(Exception):
    """The daemon has closed the connection, which a fault explains."""


def encode(data: bytes) -> str:
    """As the protocol wants it."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """Back."""
    return base64.b64decode(text, validate=True)


class Actor:
    """One client. Subclasses say in step() what it does."""

    def __init__(self, world: World, number: int, seed: str) -> None:
        self.world = world
        self.name = f"{type(self).__name__}-{number}"
        self.number = number
        self.chance = random.Random(f"{seed}/{self.name}")
        self.failure: Optional[BaseException] = None
        self.client: Optional[Client] = None
        self.thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def step(self, client: Client) -> None:
        """Some calls."""
        raise NotImplementedError

    def connected(self, client: Client) -> None:
        """Behind each new connection."""

    def _run(self) -> None:
        try:
            while not self.world.stop.is_set():
                try:
                    self.step(self._connection())
                except Lost:
                    self.leave()
            self.leave()
        except BaseException as failure:  # the main thread raises it
            self.failure = failure
            self.world.stop.set()

    def _connection(self) -> Client:
        if self.client is None:
            self.client = self.world.programs.connect()
            self.call(self.client, "server.hello", client=self.name)
            self.connected(self.client)
        return self.client

    def leave(self, reset: bool = False) -> None:
        """Ends the connection; step() gets another one."""
        if self.client is not None:
            self.client.reset() if reset else self.client.close()
            self.client = None

    def lost(self, since: int, reason: BaseException) -> Lost:
        """The connection ended under a call that was sent at `since`."""
        if not self.world.faults.explain("closed", since):
            raise AssertionError(f"{self.name}: the connection was closed, and no fault explains it") from reason
        self.world.count["closed"] += 1
        return Lost()

    def receive(self, client: Client, since: int, request: Any, also: Iterable[str] = ()) -> Dict[str, Any]:
        """The result of that request; raises RpcError for an error that is explained, and Lost."""
        try:
            result = client.result(request)
        except RpcError as error:
            self.world.count[error.kind] += 1
            if not self.world.faults.explain(error.kind, since, also):
                raise AssertionError(f"{self.name}: no fault explains {error}") from error
            raise
        except CLOSED as reason:
            if isinstance(reason, TimeoutError):
                raise
            raise self.lost(since, reason) from reason
        except Violation as reason:
            if "ended inside a line" not in str(reason):
                raise
            raise self.lost(since, reason) from reason
        self.world.count["result"] += 1
        return result

    def send(self, client: Client, since: int, method: str, /, **params: Any) -> Any:
        """Sends a call and returns its id; raises Lost."""
        self.world.count["calls"] += 1
        try:
            return client.send(method, **params)
        except OSError as reason:
            raise self.lost(since, reason) from reason

    def call(self, client: Client, method: str, /, *, also: Iterable[str] = (), **params: Any) -> Dict[str, Any]:
        """Both. What ends a call by its own doing is in `also`."""
        since = self.world.clock.tick()
        if "timeout_ms" in params:
            also = (*also, "timeout")
        return self.receive(client, since, self.send(client, since, method, **params), also)

    def change(self, client: Client, change: Change, method: str, /, **params: Any) -> Optional[Dict[str, Any]]:
        """A call that makes that change: the model learns how it ended. Others may hold the lease, and a time limit may
        be over while the command is on the link. Returns the result if it was done, else None; raises Lost."""
        also = ["board_busy"]
        also += ["lease_lost"] if "lease" in params else []
        also += ["outcome_unknown"] if "timeout_ms" in params else []
        try:
            result = self.call(client, method, also=also, **params)
        except RpcError as error:
            untouched = error.data.get("flash_state", "unchanged") == "unchanged" and not error.data.get("done")
            if error.kind in NOTHING_DONE and untouched:
                change.nothing()
            else:
                change.unknown()
            return None
        except Lost:
            change.unknown()
            raise
        change.done()
        return result

    def wait_gone(self) -> None:
        """Until no call of the connections that this client left is under way any more."""

        def look() -> bool:
            try:
                with self.world.programs.connect() as other:
                    here = [each.get("client") for each in other.call("client.list", limit=4096)["clients"]]
                    runs = other.call("board.status")["operations"]
                    queue = other.call("operation.list")["operations"]
                    busy = [each for each in [*runs, *queue] if each.get("client") == self.name
                            and each["state"] in ("queued", "running")]
                    return self.name not in here and not busy
            except (Violation, *CLOSED):
                return False

        wait_until(look, f"{self.name}: its old calls to end")


class WordWriter(Actor):
    """Writes its words in every width, one value or many, and reads them back; sometimes it vanishes in the middle."""

    @property
    def base(self) -> int:
        """The address of its first word."""
        return RAM_BASE + self.number * WORDS * 4

    def write(self, **more: Any) -> Tuple[Change, str, Dict[str, Any]]:
        """A change, and the call that makes it."""
        width = self.chance.choice((8, 16, 32, 32, 64, 0))
        if width == 0:
            first = self.chance.randrange(WORDS)
            data = self.chance.randbytes(4 * self.chance.randrange(1, WORDS - first + 1))
            at = self.base + 4 * first
            return Change(self.world.ram, at, data), "memory.write_bytes", {"address": at, "data": encode(data), **more}
        size = width // 8
        at = self.base + size * self.chance.randrange(WORDS * 4 // size)
        count = self.chance.randrange(1, min(4, (self.base + WORDS * 4 - at) // size) + 1)
        values = [self.chance.getrandbits(width) for _ in range(count)]
        data = b"".join(value.to_bytes(size, "little") for value in values)
        given: List[Any] = [hex(value) for value in values]
        params = {"address": at, "values": given, **more}
        return Change(self.world.ram, at, data), f"memory.write_u{width}", params

    def step(self, client: Client) -> None:
        if self.chance.random() < 0.06:
            self.vanish(client)
            return
        change, method, params = self.write()
        if self.chance.random() < 0.2:
            params["timeout_ms"] = self.chance.randrange(1, 200)
        self.change_and_read(client, change, method, params)

    def change_and_read(self, client: Client, change: Change, method: str, params: Dict[str, Any]) -> None:
        """A change, and what can be seen behind it."""
        self.change(client, change, method, **params)
        since = self.world.clock.tick()
        try:
            read = self.call(client, "memory.read_bytes", address=self.base, size=WORDS * 4)
        except RpcError:
            return
        self.world.ram.check(self.base, decode(read["data"]), since, self.name)

    def vanish(self, client: Client) -> None:
        """In the middle of a change; it goes on when that is over."""
        change, method, params = self.write()
        change.unknown()
        self.send(client, self.world.clock.tick(), method, **params)
        self.world.count["vanished"] += 1
        self.leave(reset=self.chance.random() < 0.5)
        self.wait_gone()


class LeaseHolder(WordWriter):
    """Writes its words, now and then under a lease, which it releases, or leaves behind without a word."""

    def step(self, client: Client) -> None:
        if self.chance.random() < 0.8:
            super().step(client)
            return
        try:
            lease = self.call(client, "lease.acquire", also=("board_busy",), ttl_ms=1000,
                              wait_ms=self.chance.randrange(0, 2000))["lease"]
        except RpcError:
            return
        self.world.count["leases"] += 1
        for _ in range(self.chance.randrange(1, 4)):
            change, method, params = self.write(lease=lease)
            self.change_and_read(client, change, method, params)
        if self.chance.random() < 0.2:
            self.leave(reset=True)
            return
        try:
            self.call(client, "lease.release", also=("lease_lost",))
        except RpcError:
            pass


class FlashWriter(Actor):
    """Programs small images into its two sectors, whose other bytes must stay, erases them, and checks them."""

    SECTORS = 2

    @property
    def first(self) -> int:
        """Its first sector; those before are nobody's."""
        return 2 + self.number * self.SECTORS

    @property
    def base(self) -> int:
        """Its address."""
        return FLASH_BASE + self.first * SECTOR

    def program(self, client: Client, at: int, count: int) -> bool:
        """An image of so many bytes, both even, so far behind `base`. Returns whether it was done."""
        begin, end = at // SECTOR * SECTOR, -(-(at + count) // SECTOR) * SECTOR
        data = self.chance.randbytes(count)
        change = Change(self.world.flash, self.base + at, data, (self.base + begin, end - begin))
        result = self.change(client, change, "flash.write_image", data=encode(data), format="bin",
                             address=self.base + at, mode="changed", prepare="halt")
        if result is None:
            return False
        assert result["bytes_written"] + result["bytes_unchanged"] == len(data) and result["verified"], result
        self.world.count["images"] += 1
        self.world.count["repairs"] += result["repaired_bytes"] > 0
        return True

    def program_last(self, client: Client) -> bool:
        """An image that touches all its sectors."""
        return self.program(client, SECTOR - 32, (self.SECTORS - 2) * SECTOR + 64)

    def step(self, client: Client) -> None:
        what = self.chance.random()
        sector = self.first + self.chance.randrange(self.SECTORS)
        place = (FLASH_BASE + sector * SECTOR, SECTOR)
        if what < 0.5:
            count = 2 * self.chance.randrange(1, 64)
            self.program(client, 2 * self.chance.randrange((self.SECTORS * SECTOR - count) // 2), count)
        elif what < 0.8:
            try:  # OpenOCD may have ended while its code ran on the target
                self.call(client, "target.halt", also=("board_busy",))
            except RpcError:
                return
            change = Change(self.world.flash, place[0], b"\xff" * SECTOR, place)
            done = self.change(client, change, "flash.erase_sector", first=sector, last=sector)
            self.world.count["erasures"] += done is not None
        else:
            since = self.world.clock.tick()
            try:
                read = self.call(client, "flash.read", offset=sector * SECTOR, size=SECTOR)
            except RpcError:
                return
            self.world.flash.check(place[0], decode(read["data"]), since, self.name)


class Reader(Actor):
    """Reads everybody's memory in every way."""

    def step(self, client: Client) -> None:
        memory = self.world.ram if self.chance.random() < 0.7 else self.world.flash
        total = len(memory.units) * memory.size
        what = self.chance.choice((self.typed, self.bytes, self.hexdump, self.search))
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
        read = self.call(client, f"memory.read_u{width}", address=address, count=count)
        data = b"".join(value.to_bytes(width // 8, "little") for value in read["values"])
        assert len(data) == count * width // 8
        memory.check(address, data, since, f"{self.name} u{width}")

    def bytes(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """A range."""
        since = self.world.clock.tick()
        read = self.call(client, "memory.read_bytes", address=address, size=size, consistent=self.chance.random() < 0.1)
        data = decode(read["data"])
        assert len(data) == size == read["size"]
        memory.check(address, data, since, f"{self.name} range")

    def hexdump(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """For people, with lines of 16 bytes."""
        since = self.world.clock.tick()
        text = self.call(client, "memory.hexdump", address=address, size=size)["text"]
        found = re.findall(r"^\S+((?: +[0-9A-F]{2}\b){1,16})", text, re.MULTILINE)
        data = bytes.fromhex("".join(found).replace(" ", ""))
        assert len(data) == size, text
        memory.check(address, data, since, f"{self.name} hexdump")

    def search(self, client: Client, memory: Memory, address: int, size: int) -> None:
        """For what a unit holds: every match must be possible."""
        pattern = memory.value(address)
        if pattern is None:
            return
        since = self.world.clock.tick()
        found = self.call(client, "memory.search", pattern=encode(pattern), start=address, end=address + size,
                          align=memory.size)
        for match in found["matches"]:
            memory.check(int(match, 16), pattern, since, f"{self.name} search")


class Watcher(Actor):
    """Watches words of writers: what is told must have been there."""

    def __init__(self, world: World, number: int, seed: str) -> None:
        super().__init__(world, number, seed)
        self.since = 0
        self.watch = ""

    def connected(self, client: Client) -> None:
        self.watch = ""

    def step(self, client: Client) -> None:
        if not self.watch:
            self.since = self.world.clock.tick()
            address = RAM_BASE + 64 * self.chance.randrange(8)
            try:
                self.watch = self.call(client, "memory.watch", ranges=[{"address": address, "size": 128}],
                                       interval_ms=20)["watch"]
            except RpcError:
                return
        elif self.chance.random() < 0.02:
            watch, self.watch = self.watch, ""
            self.call(client, "memory.unwatch", watch=watch)
        self.call(client, "lease.status")
        for each in client.take_notifications("memory.changed"):
            self.world.count["memory.changed"] += 1
            for change in each["changes"]:
                self.world.ram.check(int(change["address"], 16), decode(change["data"]), self.since, self.name)
        # The turn of the link in which others are served.
        try:
            self.call(client, "memory.read_u32", address=RAM_BASE)
        except RpcError:
            pass


class Listener(Actor):
    """Subscribes to events, whose numbers must have no gaps."""

    def __init__(self, world: World, number: int, seed: str) -> None:
        super().__init__(world, number, seed)
        self.seq = 0

    def connected(self, client: Client) -> None:
        topics = ["target", "link", "operation", "lease", "queue", "memory"]
        self.seq = self.call(client, "events.subscribe", topics=topics)["seq"]

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


class Canceller(Actor):
    """Cancels its own reads, early or late."""

    def step(self, client: Client) -> None:
        since = self.world.clock.tick()
        size = self.chance.randrange(1024, FLASH_BYTES)
        request = self.send(client, since, "memory.read_bytes", address=FLASH_BASE, size=size)
        try:
            if self.chance.random() < 0.5:
                self.call(client, "memory.read_u32", address=FLASH_BASE)
            self.call(client, "request.cancel", id=request)
        except RpcError:
            pass
        try:
            read = self.receive(client, since, request, ("cancelled",))
        except RpcError:
            return
        self.world.flash.check(FLASH_BASE, decode(read["data"]), since, self.name)


class Nuisance(Actor):
    """Sends what is no call, and half of what is one."""

    GARBAGE = (b"garbage\n", b"{}\n", b"[]\n", b"\xff\xfe\n", b'{"jsonrpc":"2.0","id":\n', b'"' + b"x" * 5000 + b"\n")

    def step(self, client: Client) -> None:
        if self.chance.random() < 0.4:
            try:
                client.send_bytes(b'{"jsonrpc":"2.0","id":7,"method":"memory.write_u32","params":{"address":')
            except OSError:
                pass
            self.world.count["half lines"] += 1
            self.leave(reset=self.chance.random() < 0.5)
            return
        since = self.world.clock.tick()
        try:
            client.send_bytes(self.chance.choice(self.GARBAGE))
            error = client.error(None)
        except CLOSED as reason:
            if isinstance(reason, TimeoutError):
                raise
            raise self.lost(since, reason) from reason
        assert error.kind in ("parse_error", "invalid_request"), error
        self.world.count["garbage lines"] += 1
        try:
            self.call(client, "memory.read_u32", address=FLASH_BASE)
        except RpcError:
            pass
