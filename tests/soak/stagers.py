"""The clients that bring files."""

from __future__ import annotations

import hashlib
from typing import Any, Dict

from actor import decode, encode
from harness.client import Client, RpcError
from writers import FlashWriter

CHUNK = 48
LOST_WITH_THE_DAEMON = ("not_found",)


class Stager(FlashWriter):
    """Programs its sectors out of stages, which it uploads in pieces, sometimes over several connections, and reads
    back."""

    FIRST = 6

    @property
    def first(self) -> int:
        return 2 + (self.FIRST + self.number) * self.SECTORS

    def image(self, client: Client, data: bytes) -> Dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        stage = self.upload(client, data, digest)
        if stage is None:
            return super().image(client, data)
        return {"stage": stage}

    def upload(self, client: Client, data: bytes, digest: str) -> Any:
        """The id of a complete stage; None where the daemon, and with it its stages, has ended meanwhile."""
        since = self.world.clock.tick()
        try:
            made = self.call(client, "stage.create", name=self.name, size=len(data), sha256=digest)
            stage, offset = made["stage"], made["offset"]
            while offset < len(data):
                piece = data[offset : offset + CHUNK]
                wrote = self.call(client, "stage.write", stage=stage, offset=offset, data=encode(piece),
                                  also=self.gone(since))
                offset += len(piece)
                assert wrote["offset"] == offset and wrote["complete"] == (offset == len(data)), wrote
                if self.chance.random() < 0.2:  # what was acknowledged is there, whoever asks
                    again = self.call(client, "stage.create", name=self.name, size=len(data), sha256=digest)
                    known = again["stage"] == stage and again["offset"] == offset
                    assert known or self.world.faults.explain("forgotten", since), f"{again} for {stage} {offset}"
                    stage, offset = again["stage"], again["offset"]
            read = self.call(client, "stage.read", stage=stage, size=len(data), also=self.gone(since))
            assert decode(read["data"]) == data, f"{self.name}: stage {stage} holds something else"
        except RpcError:
            return None
        self.world.count["stages"] += 1
        return stage

    def gone(self, since: int) -> Any:
        """What says that the daemon has ended meanwhile."""
        return LOST_WITH_THE_DAEMON if self.world.faults.explain("forgotten", since) else ()

    def may_fail(self, method: str, params: Dict[str, Any]) -> Any:
        return (*super().may_fail(method, params), *(("not_found",) if "stage" in params else ()))

    def step(self, client: Client) -> None:
        super().step(client)
        if self.chance.random() < 0.2:
            self.tidy(client)

    def tidy(self, client: Client) -> None:
        """Deletes what is its own."""
        for row in self.call(client, "stage.list")["stages"]:
            if row["name"] != self.name or row["pinned"]:
                continue
            try:
                self.call(client, "stage.delete", stage=row["stage"], also=("not_found",))
            except RpcError:
                pass

    def ended(self) -> None:
        self.tidy(self._connection())
