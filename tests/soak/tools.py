"""The clients that are programs of their own: the command line, and the Python package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

from actor import RAM_BASE, WORDS, Actor
from harness.client import Client
from harness.paths import REPOSITORY, build_file
from model import Change

sys.path.insert(0, str(REPOSITORY / "tools" / "python"))

import ocdmux  # noqa: E402

LIMIT_S = 120.0
# Exit statuses of the command line.
DONE, FAILED, NO_CONNECTION = 0, 1, 3


class Tool(Actor):
    """One that writes a word of its own and reads it, by other means than a connection of ours."""

    SLOT = 18
    WORD = 0
    WAYS = (("tcp", "alice"), ("unix", "root"), ("net", "bob"))

    @property
    def address(self) -> int:
        """Of its word."""
        return RAM_BASE + (self.SLOT * WORDS + self.WORD + 2 * self.number) * 4

    def step(self, client: Client) -> None:
        self.pause(1.0)
        value = self.chance.getrandbits(32)
        since = self.world.clock.tick()
        change = Change(self.world.ram, self.address, value.to_bytes(4, "little"))
        try:
            done = self.write(value)
        except BaseException:
            change.unknown()
            raise
        if not done:
            self.under_way.append(change)
            self.leave()
            self.wait_gone()
            return
        change.done()
        self.world.leases.check(self.name, since, None)
        since = self.world.clock.tick()
        words = self.read()
        if words is not None:
            data = b"".join(word.to_bytes(4, "little") for word in words)
            self.world.ram.check(self.address, data, since, self.name)
            self.world.count[type(self).__name__] += 1

    def write(self, value: int) -> bool:
        """Whether it was acknowledged."""
        raise NotImplementedError

    def read(self) -> Any:
        """The word as a list; None where it could not be read."""
        raise NotImplementedError


class CommandLine(Tool):
    """`ocdmux`, which is libocdmux."""

    @property
    def names(self) -> Tuple[str, ...]:
        return (self.name, "ocdmux")

    def run(self, *words: str) -> "subprocess.CompletedProcess[bytes]":
        """To its end."""
        token = {} if self.way == "unix" else {"OCDMUX_TOKEN": self.world.programs.tokens[self.identity]}
        environment = {**os.environ, "OCDMUX_SERVER": self.world.programs.server(self.way), **token}
        done = subprocess.run([str(build_file("ocdmux")), *words], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=LIMIT_S, check=False)
        self.note(f"ocdmux {words}: {done.returncode} {done.stdout!r} {done.stderr!r}")
        assert done.returncode in (DONE, FAILED, NO_CONNECTION), f"{self.name}: {done}"
        return done

    def write(self, value: int) -> bool:
        return self.run("write", hex(self.address), hex(value)).returncode == DONE

    def read(self) -> Any:
        done = self.run("--json", "read", hex(self.address), "1", "--width", "32")
        if done.returncode != DONE:
            return None
        words: List[int] = json.loads(done.stdout)["values"]
        return words


class Script(Tool):
    """The Python package, in this process."""

    WORD = 1

    def session(self) -> Any:
        """A new one."""
        token: Dict[str, Any] = {} if self.way == "unix" else {"token": self.world.programs.tokens[self.identity]}
        return ocdmux.Session.connect_sync(self.world.programs.server(self.way), client=self.name, **token)

    def write(self, value: int) -> bool:
        try:
            with self.session() as session:
                session.memory.write_u32(self.address, value)
        except (ocdmux.OcdmuxError, OSError) as error:
            self.note(f"write: {error!r}")
            return False
        return True

    def read(self) -> Any:
        try:
            with self.session() as session:
                return session.memory.read_u32(self.address, 1)
        except (ocdmux.OcdmuxError, OSError) as error:
            self.note(f"read: {error!r}")
            return None


def leftovers(place: Path) -> List[str]:
    """Files below it."""
    return sorted(str(each.relative_to(place)) for each in place.rglob("*") if not each.is_dir())
