"""The clients that nobody wants: they cancel, send garbage, stop in the middle, and do not read."""

from __future__ import annotations

from typing import Any, Dict, Tuple

from actor import FLASH_BASE, Actor, decode
from harness.client import Client, RpcError
from programs import CLOSED

HOSTILE = ("]", "[exit]", "$env(PATH)", "}{", "\\", "\"", ";shutdown", "a b", "{", "\u2028", "%s%n", "../../etc/passwd",
           "x" * 100)


class Canceller(Actor):
    """Cancels its own reads, early or late, by request and by operation."""

    def step(self, client: Client) -> None:
        since = self.world.clock.tick()
        size = self.chance.randrange(1024, 8192)
        request = self.send(client, since, "memory.read_bytes", address=FLASH_BASE, size=size, progress="p")
        try:
            if self.chance.random() < 0.5:
                self.call(client, "memory.read_u32", address=FLASH_BASE)
            if self.chance.random() < 0.5:
                self.call(client, "request.cancel", id=request)
            else:
                self.cancel_operation(client)
        except RpcError:
            pass
        try:
            read = self.receive(client, since, request, ("cancelled",))
        except RpcError:
            return
        self.world.flash.check(FLASH_BASE, decode(read["data"]), since, self.name)

    def cancel_operation(self, client: Client) -> None:
        """Which the first notification names, and waits for its end."""
        told = client.take_notifications("progress")
        if not told:
            return
        operation = told[-1]["operation"]
        self.call(client, "operation.cancel", operation=operation, also=("not_found",))
        ended = self.call(client, "operation.wait", operation=operation, also=("not_found",))
        assert ended["state"] in ("done", "failed", "cancelled"), ended


class Nuisance(Actor):
    """Sends what is no call, half of what is one, and texts that would be commands were they not quoted."""

    GARBAGE = (b"garbage\n", b"{}\n", b"[]\n", b"\xff\xfe\n", b'{"jsonrpc":"2.0","id":\n', b'"' + b"x" * 5000 + b"\n",
               b"[" * 40 + b"]" * 40 + b"\n", b'{"jsonrpc":"2.0","jsonrpc":"2.0"}\n', b"\x00\x1a\n")

    def step(self, client: Client) -> None:
        what = self.chance.random()
        if what < 0.3:
            self.stop_inside(client)
        elif what < 0.6:
            self.hostile(client)
        elif what < 0.62:
            self.wrong_token()
        else:
            self.garbage(client)
        self.pause(0.03)

    def stop_inside(self, client: Client) -> None:
        """A line."""
        try:
            client.send_bytes(b'{"jsonrpc":"2.0","id":7,"method":"memory.write_u32","params":{"address":')
        except OSError:
            pass
        self.world.count["half lines"] += 1
        self.leave(reset=self.chance.random() < 0.5)

    def garbage(self, client: Client) -> None:
        """A line that is no call, and one that is."""
        since = self.world.clock.tick()
        try:
            client.send_bytes(self.chance.choice(self.GARBAGE))
            error = client.error(None)
        except CLOSED as reason:
            raise self.lost(since, reason) from reason
        assert error.kind in ("parse_error", "invalid_request"), error
        self.world.count["garbage lines"] += 1
        self.prove(client)

    def hostile(self, client: Client) -> None:
        """Names that must stay names."""
        text = self.chance.choice(HOSTILE)
        wanted = ("not_found", "invalid_params", "forbidden", "unsupported", "stage_error")
        calls: Tuple[Tuple[str, Dict[str, Any]], ...] = (
            ("memory.read_u32", {"address": 0, "target": text}),
            ("register.read", {"names": [text]}),
            ("stage.read", {"stage": text, "size": 4}),
            ("flash.write_image", {"path": text}),
            ("operation.status", {"operation": text}),
            ("memory.read_u32", {"address": 0, "board": text}),
        )
        method, params = self.chance.choice(calls)
        try:
            self.call(client, method, also=(*wanted, "board_busy", "target_not_halted", "image_invalid"), **params)
        except RpcError:
            self.world.count["hostile texts"] += 1
            self.prove(client)
            return
        raise AssertionError(f"{self.name}: {method} {params} was done")

    def wrong_token(self) -> None:
        """Somebody nobody knows."""
        since = self.world.clock.tick()
        try:
            with Client(self.world.programs.server("tcp"), self.world.programs.validator) as stranger:
                assert stranger.fail("server.hello", token="ocdmux_" + "0" * 64).kind == "unauthenticated"
                assert stranger.fail("memory.read_u32", address=FLASH_BASE).kind == "unauthenticated"
        except CLOSED as reason:
            raise self.lost(since, reason) from reason
        self.world.count["strangers"] += 1

    def prove(self, client: Client) -> None:
        """The connection still works."""
        try:
            read = self.call(client, "memory.read_u32", address=FLASH_BASE)
        except RpcError:
            return
        assert read["values"][0].to_bytes(4, "little") == (self.world.flash.value(FLASH_BASE) or b"") + (
            self.world.flash.value(FLASH_BASE + 2) or b"")


class HalfCloser(Actor):
    """Says that nothing more will come, and takes what is still answered."""

    WAYS = (("tcp", "alice"), ("unix", "root"), ("tcp", "olga"))

    def step(self, client: Client) -> None:
        since = self.world.clock.tick()
        requests = [self.send(client, since, "memory.read_u32", address=FLASH_BASE) for _ in range(3)]
        try:
            client.half_close()
        except OSError as reason:
            raise self.lost(since, reason) from reason
        words = set()
        for request in requests:
            try:  # a board that others use is theirs first
                words.add(client.result(request)["values"][0])
            except (RpcError, *CLOSED):
                break
        assert len(words) <= 1, words
        self.world.count["half closed"] += 1
        self.leave()
        self.pause(0.1)


class Sleeper(Actor):
    """Asks for much and reads nothing: it is the one that suffers."""

    WAYS = (("tcp", "olga"), ("tcp", "bob"))

    def step(self, client: Client) -> None:
        since = self.world.clock.tick()
        self.call(client, "events.subscribe", topics=["operation", "queue"])
        self.send(client, since, "memory.hexdump", address=FLASH_BASE, size=2048)
        for _ in range(self.chance.randrange(4, 60)):
            self.send(client, since, "rpc.discover")
        self.pause(6.0)  # the daemon's patience ends at 3 s
        self.world.count["sleepers"] += 1
        self.leave(reset=self.chance.random() < 0.5)
