"""The clients that change the board's RAM and flash, with and without the lease."""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional, Tuple

from actor import FLASH_BASE, RAM_BASE, SECTOR, WORDS, Actor, Lost, World, decode, encode
from harness.client import Client, RpcError
from model import Change


class WordWriter(Actor):
    """Writes its words in every width, one value or many, and reads them back; sometimes it vanishes in the middle, or
    takes back what it asked for."""

    @property
    def slot(self) -> int:
        """Which words are its own."""
        return self.number

    @property
    def base(self) -> int:
        """The address of its first word."""
        return RAM_BASE + self.slot * WORDS * 4

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
        what = self.chance.random()
        if what < 0.06:
            self.vanish(client)
            return
        change, method, params = self.write()
        if what < 0.12:
            self.cancel(client, change, method, params)
            return
        if self.chance.random() < 0.2:
            params["timeout_ms"] = self.chance.randrange(1, 200)
        self.change_and_read(client, change, method, params)

    def change_and_read(self, client: Client, change: Change, method: str, params: Dict[str, Any]) -> None:
        """A change, and what can be seen behind it."""
        done = self.change(client, change, method, **params)
        if done is not None:
            count = len(params["values"]) if "values" in params else len(decode(params["data"]))
            assert done.get("count", done.get("size")) == count, f"{self.name}: {done} of {count}"
        since = self.world.clock.tick()
        try:
            read = self.call(client, "memory.read_bytes", address=self.base, size=WORDS * 4)
        except RpcError:
            return
        self.world.ram.check(self.base, decode(read["data"]), since, self.name)

    def cancel(self, client: Client, change: Change, method: str, params: Dict[str, Any]) -> None:
        """A change that is taken back at once, or a little later."""
        since = self.world.clock.tick()
        try:
            request = self.send(client, since, method, **params)
            if self.chance.random() < 0.5:
                self.pause(0.03)
            self.call(client, "request.cancel", id=request)
        except RpcError:
            pass
        except Lost:
            self.under_way.append(change)
            self.world.ledger.unknown(self.name, method)
            raise
        # What was on the link already may or may not have been done.
        self.made(client, change, method, since, request, params, ("cancelled", "outcome_unknown"))

    def vanish(self, client: Client) -> None:
        """In the middle of a change; it goes on when that is over."""
        change, method, params = self.write()
        self.under_way.append(change)
        self.world.ledger.unknown(self.name, method)
        self.send(client, self.world.clock.tick(), method, **params)
        self.world.count["vanished"] += 1
        self.leave(reset=self.chance.random() < 0.5)
        self.wait_gone()


class LeaseHolder(WordWriter):
    """Writes its words, now and then under a lease, which it releases, lets run out, or leaves behind without a word.
    What it was granted outlives its connection, and the daemon."""

    FIRST_SLOT = 12

    def __init__(self, world: World, number: int, seed: str) -> None:
        super().__init__(world, number, seed)
        self.lease = ""

    @property
    def slot(self) -> int:
        return self.FIRST_SLOT + self.number

    def connected(self, client: Client) -> None:
        if not self.lease:
            return
        lease = self.lease
        sure = self.world.leases.is_sure(lease, 2.0)
        since = self.world.clock.tick()
        self.lease = ""
        try:
            self.call(client, "lease.renew", lease=lease, also=() if sure else ("lease_lost",))
            assert not sure or self.call(client, "lease.status", lease=lease, also=("lease_lost",))["yours"]
            self.world.count["leases taken up"] += 1
        except RpcError as error:
            # A fault may end it in time that it took; a lease that was surely there is there still.
            lost = error.kind == "lease_lost" and sure and self.world.leases.is_sure(lease, 0.5)
            assert not lost or self.world.faults.explain("broken", since), f"{self.name}: lost {lease}"
        self.give_back(client, lease)

    def give_back(self, client: Client, lease: str) -> None:
        """Releases it."""
        self.world.leases.end(lease)
        try:
            self.call(client, "lease.release", lease=lease, also=("lease_lost",))
        except RpcError:
            pass

    def step(self, client: Client) -> None:
        if self.chance.random() < 0.92:
            super().step(client)
            return
        ttl_ms = self.chance.choice((1000, 1000, 8000))
        since, asked = self.world.clock.tick(), time.monotonic()
        try:
            lease = self.call(client, "lease.acquire", also=("board_busy",), ttl_ms=ttl_ms,
                              wait_ms=self.chance.randrange(0, 800))["lease"]
        except RpcError:
            return
        self.world.leases.hold(lease, self.name, since, asked + ttl_ms / 1000)
        self.world.count["leases"] += 1
        self.lease = lease
        for _ in range(self.chance.randrange(1, 4)):
            change, method, params = self.write(lease=lease)
            self.change_and_read(client, change, method, params)
        what = self.chance.random()
        if what < 0.3:  # connected() takes it up
            self.leave(reset=True)
            return
        self.lease = ""
        if what < 0.4 and ttl_ms == 1000:  # and lets it run out
            self.world.leases.end(lease)
            return
        self.give_back(client, lease)

    def ended(self) -> None:
        if self.lease:
            self._connection()
            if self.lease and self.client:
                self.give_back(self.client, self.lease)


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

    def image(self, client: Client, data: bytes) -> Dict[str, Any]:
        """The parameters that name it."""
        return {"data": encode(data)}

    def program(self, client: Client, at: int, count: int) -> bool:
        """An image of so many bytes, both even, so far behind `base`. Returns whether it was done."""
        data = self.chance.randbytes(count)
        image = self.image(client, data)
        begin, end = at // SECTOR * SECTOR, -(-(at + count) // SECTOR) * SECTOR
        change = Change(self.world.flash, self.base + at, data, (self.base + begin, end - begin))
        result = self.change(client, change, "flash.write_image", format="bin", address=self.base + at,
                             mode="changed", prepare="halt", **image)
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
                self.call(client, "target.halt", also=self.may_fail("target.halt", {}))
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


def last_words(writers: List[FlashWriter], client: Client, name: str) -> Optional[str]:
    """All write once more through that client, so that nothing is left to be repaired; who could not."""
    for each in writers:
        who, each.name = each.name, name
        if not each.program_last(client):
            return who
    return None
