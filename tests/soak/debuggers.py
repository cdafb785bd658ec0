"""The clients that debug: one speaks gdb's own protocol, one steps and sets breakpoints. Both hold the lease."""

from __future__ import annotations

import time
from typing import Any, Dict, Optional, Tuple

from actor import FLASH_BASE, PATIENCE_MS, POLL_S, RAM_BASE, WORDS, Actor, Lost
from harness.client import Client, RpcError
from harness.gdb import GdbClient
from harness.waiting import wait_until
from model import Change
from overview import nobody_debugs
from programs import CLOSED

SLED = 0x200  # in flash, where nobody writes
NOP = b"\x00\xbf"
NOPS = 64
FOR_EVER = b"\xfe\xe7"


def with_sled(image: bytes) -> bytes:
    """The image with instructions for the stepper in it."""
    sled = NOP * NOPS + FOR_EVER
    return image[:SLED] + sled + image[SLED + len(sled) :]


class Debugger(Actor):
    """Attaches as gdb does, writes its words and reads them back through gdb's packets, and detaches, or just goes."""

    SLOT = 16
    WAYS = (("tcp", "alice"), ("tcp", "bob"))

    @property
    def base(self) -> int:
        """The address of its first word."""
        return RAM_BASE + self.SLOT * WORDS * 4

    def step(self, client: Client) -> None:
        since = self.world.clock.tick()
        try:
            gdb = GdbClient(self.world.programs.gdb_address)
        except CLOSED as reason:
            raise self.lost(since, reason) from reason
        with gdb:
            try:
                said = gdb.preface(token=self.world.programs.tokens[self.identity], wait_ms=1500)
                if said["ok"]:
                    self.session(gdb, since)
                else:
                    self.refused(said, since)
            except (AssertionError, *CLOSED) as reason:
                if isinstance(reason, AssertionError) or not self.world.faults.explain("gdb-closed", since):
                    raise
                self.note(f"gdb: {reason!r}")
                self.world.count["gdb closed"] += 1
        self.wait_detached()
        self.pause(9.0)

    def refused(self, said: Dict[str, Any], since: int) -> None:
        """Somebody else holds the lease, or its own identity does and its time is over; or a fault explains it."""
        kind = said["data"]["kind"]
        self.note(f"gdb refused: {said}")
        self.world.count[f"gdb {kind}"] += 1
        assert self.world.faults.explain(kind, since, ("board_busy", "lease_lost")), f"{self.name}: {said}"

    def session(self, gdb: GdbClient, since: int) -> None:
        """Some packets."""
        gdb.send(b"+")
        hello = gdb.ask("qSupported:multiprocess+;swbreak+;hwbreak+")
        self.note(f"gdb attached: {hello}")
        if hello.startswith("E"):
            assert self.world.faults.explain("gdb-closed", since) or "board_busy" in hello, f"{self.name}: {hello}"
            return
        assert "PacketSize=" in hello, hello
        for _ in range(self.chance.randrange(1, 6)):
            self.write_and_read(gdb, since)
        self.world.count["gdb sessions"] += 1
        if self.chance.random() < 0.5:
            assert gdb.ask("D") == "OK"

    def write_and_read(self, gdb: GdbClient, since: int) -> None:
        """A range of its words."""
        first = self.chance.randrange(WORDS)
        data = self.chance.randbytes(4 * self.chance.randrange(1, WORDS - first + 1))
        at = self.base + 4 * first
        change = Change(self.world.ram, at, data)
        try:
            wrote = gdb.ask(f"M{at:x},{len(data):x}:{data.hex()}")
        except BaseException:
            change.unknown()
            raise
        self.note(f"gdb wrote {at:#x} {data.hex()}: {wrote}")
        if wrote != "OK":
            change.unknown()
            assert self.world.faults.explain("target_error", since), f"{self.name}: M {wrote}"
            return
        change.done()
        sent = self.world.clock.tick()
        read = gdb.ask(f"m{self.base:x},{WORDS * 4:x}")
        self.note(f"gdb read {read}")
        if read.startswith("E"):
            assert self.world.faults.explain("target_error", since), f"{self.name}: m {read}"
            return
        self.world.ram.check(self.base, bytes.fromhex(read), sent, f"{self.name} gdb")

    def wait_detached(self) -> None:
        """The daemon sees that it has gone."""
        begun = time.monotonic()
        wait_until(lambda: nobody_debugs(self.world.overview, begun), f"{self.name}: gdb to be gone",
                   PATIENCE_MS / 1000, POLL_S)


class Stepper(Actor):
    """Under the lease: as many instructions as it asks for are executed, no more and no less; a register holds what was
    written; the target stops where a breakpoint stands."""

    WAYS = (("tcp", "alice"), ("unix", "root"))

    @property
    def base(self) -> int:
        """Where its instructions are."""
        return FLASH_BASE + SLED

    def step(self, client: Client) -> None:
        since, asked = self.world.clock.tick(), time.monotonic()
        try:
            lease = self.call(client, "lease.acquire", also=("board_busy",), ttl_ms=30000, wait_ms=5000)["lease"]
        except RpcError:
            self.pause(1.0)
            return
        self.world.leases.hold(lease, self.name, since, asked + 30)
        try:
            self.work(client, lease, since)
        except RpcError:
            pass
        finally:
            self.world.leases.end(lease)
        try:
            self.call(client, "lease.release", lease=lease, also=("lease_lost",))
        except RpcError:
            pass
        self.pause(9.0)

    def work(self, client: Client, lease: str, since: int) -> None:
        """All of it, under a lease that was asked for at `since`; raises RpcError where a fault ended it."""

        def call(method: str, *, also: Tuple[str, ...] = (), **params: Any) -> Dict[str, Any]:
            # A lease that was broken between two calls, or while one only read, is missed by the next.
            if self.world.faults.explain("lease_lost", since):
                also = (*also, "lease_lost")
            return self.call(client, method, also=also, lease=lease, **params)

        begun = self.world.clock.tick()
        call("target.halt")
        value = self.chance.getrandbits(32)
        call("register.write", names=["pc", "r7"], values=[self.base, value])
        count = self.chance.randrange(1, 8)
        stepped = call("target.step", count=count)
        read = call("register.read", names=["pc", "r7"])["registers"]
        if self.disturbed(begun):
            return
        want = self.base + 2 * count
        assert stepped["steps"] == count and int(str(stepped["pc"]), 0) == want, f"{self.name}: {stepped} for {count}"
        assert [int(str(each["value"]), 0) for each in read] == [want, value], f"{self.name}: {read}"
        self.world.count["steps"] += count
        self.to_breakpoint(call, begun, want + 2 * self.chance.randrange(2, 10))

    def to_breakpoint(self, call: Any, begun: int, stop: int) -> None:
        """Runs up to there."""
        call("breakpoint.add", address=stop)
        try:
            call("target.resume")
            halted = self.wait_halted(call)
            read = call("register.read", names=["pc"])["registers"] if halted else None
        finally:
            self.world.count["breakpoints"] += 1
            self.remove(call, stop)
        if read is not None and not self.disturbed(begun):
            assert int(str(read[0]["value"]), 0) == stop, f"{self.name}: {read} for {stop:#x}"

    def wait_halted(self, call: Any) -> Optional[Dict[str, Any]]:
        """What target.wait says; None where the time is over, which a fault may explain."""
        begun = self.world.clock.tick()
        try:
            done: Dict[str, Any] = call("target.wait", state="halted", timeout_ms=60_000)
            return done
        except RpcError as error:
            assert error.kind != "timeout" or self.disturbed(begun), f"{self.name}: never halted"
            raise

    def remove(self, call: Any, stop: int) -> None:
        """Whatever became of it."""
        try:
            call("breakpoint.remove", address=stop, also=("not_found",))
        except (RpcError, Lost):
            pass

    def disturbed(self, since: int) -> bool:
        """Whether a fault may have changed the target's state meanwhile."""
        return self.world.faults.explain("state-lost", since) or self.world.faults.explain("broken", since)
