"""A relay to OpenOCD's Tcl port in which a test picks one command by its number, and what happens at it."""

from __future__ import annotations

import re
import socket
import threading
from typing import Callable, List, Optional, Tuple

from harness.relay import Relay, _close
from harness.waiting import LIMIT_S

_COMMAND_END = b"\x1a"
_READ_BYTES = 1 << 16
# What differs between two sendings of the same command: the nonce in front of its answer, and names of files.
_FRESH = re.compile(r"\\?x00[0-9a-zA-Z]+ |/[^ \"\\]*/[^ \"\\]*")

# When it happens: the command has come and is not passed on; OpenOCD is at it, for it was passed on and so many bytes
# of what it takes have gone to the probe; its answer has come and is not passed on; half of that was.
BEFORE, WITHIN, ANSWERED, HALF = "before", "within", "answered", "half"


Action = Callable[[], None]
# When, what, and then: see StepRelay.arm(). Without "then" the connections stay.
_Trap = Tuple[str, Action, Optional[Action]]


class StepRelay(Relay):
    """Counts the commands that come from arm() on. At one of them something happens.

    Where that ends the connections, whoever connects then waits until it is over, as behind an OpenOCD whose port
    listens already and is not served yet. `commands` are those that came, as text; `marks` is how much had gone to the
    probe before each; `at` is where in them the trap sprang.
    """

    def __init__(self, upstream_port: int, probe: Relay) -> None:
        self.commands: List[str] = []
        self.marks: List[int] = []
        self.at: Optional[int] = None
        self.probe = probe
        self._passes = re.compile("$^")
        self._step: Optional[Tuple[int, int, _Trap]] = None
        self._answer: Optional[_Trap] = None
        self._serving = threading.Event()
        self._serving.set()
        self._flowing = threading.Event()
        self._flowing.set()
        super().__init__(upstream_port)

    def arm(self, step: int, when: str, action: Action, then: Optional[Action] = None, *, probe_bytes: int = 0,
            passes: str = "$^") -> None:
        """At the command with that number, counted from 0 and from now on, `action` runs. With `then` the connections
        end, also those of the probe, and `then` runs before further ones are served; without it all goes on. Commands
        that match `passes` do not count. `probe_bytes` are those of WITHIN."""
        with self._lock:
            self.commands.clear()
            self.marks.clear()
            self.at = None
            self._passes = re.compile(passes)
            self._sprung.clear()
            self._answer = None
            self._step = (step, probe_bytes, (when, action, then))

    def disarm(self) -> bool:
        """No trap any more; whether it sprang, and then all of it is over."""
        with self._lock:
            came = self._step is None
            self._step = None
        if not came or self.probe.drop_trap():
            return False
        self.wait_sprung()
        return True

    def stall(self) -> None:
        """From now on nothing is passed on, in neither direction."""
        self._flowing.clear()

    def flow(self) -> None:
        """What was held is passed on, and all that comes."""
        self._flowing.set()

    def texts(self) -> List[str]:
        """The commands, without what differs from one sending to the next."""
        return [_FRESH.sub("", command) for command in self.commands]

    def close(self) -> None:
        self.flow()
        super().close()

    def _wait_turn(self) -> None:
        self._serving.wait(LIMIT_S)
        self._flowing.wait(LIMIT_S)

    def _happen(self, trap: _Trap, *pair: socket.socket) -> None:
        """Raises ConnectionResetError where the connections have ended."""
        _, action, then = trap
        with self._lock:
            self.at = len(self.commands) - 1
        if then is None:
            self.spring(action)
            return
        self._serving.clear()
        try:
            action()
            _close(*pair)
            self.probe.cut()
            then()
        finally:
            self._serving.set()
            self._sprung.set()
        raise ConnectionResetError

    def _take(self, text: str) -> Optional[Tuple[int, _Trap]]:
        with self._lock:
            if self._passes.search(text):
                return None
            self.commands.append(text)
            self.marks.append(self.probe.passed)
            if self._step is None or self._step[0] != len(self.commands) - 1:
                return None
            _, probe_bytes, trap = self._step
            self._step = None
            if trap[0] in (ANSWERED, HALF):
                self._answer = trap
                return None
            return probe_bytes, trap

    def _pump_up(self, client: socket.socket, upstream: socket.socket) -> None:
        half = b""
        try:
            while data := client.recv(_READ_BYTES):
                *commands, half = (half + data).split(_COMMAND_END)
                for command in commands:
                    self._pass_command(command + _COMMAND_END, client, upstream)
        except OSError:
            pass
        _close(client, upstream)

    def _pass_command(self, command: bytes, client: socket.socket, upstream: socket.socket) -> None:
        taken = self._take(command.decode("latin-1"))
        if taken is not None and taken[1][0] == BEFORE:
            self._happen(taken[1], client, upstream)
        elif taken is not None:
            probe_bytes, trap = taken
            self.probe.trap_bytes(probe_bytes, lambda: self._happen(trap, client, upstream))
        self._flowing.wait(LIMIT_S)
        upstream.sendall(command)

    def _pump_down(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while data := upstream.recv(_READ_BYTES):
                # Notifications come in front of an answer, whose first byte is NUL.
                trap = self._answer
                if trap is not None and b"\x00" in data:
                    self._answer = None
                    start = data.index(b"\x00")
                    start += (len(data) - start) // 2 if trap[0] == HALF else 0
                    client.sendall(data[:start])
                    self._happen(trap, client, upstream)
                    data = data[start:]
                self._flowing.wait(LIMIT_S)
                client.sendall(data)
        except OSError:
            pass
        _close(client, upstream)


class Chain(Relay):
    """To a probe whose board answers nothing but ones while `dead`, as one that is not there; what is sent reaches it
    all the same, as over a cable of which that wire is loose."""

    dead = False

    def _pump_down(self, client: socket.socket, upstream: socket.socket) -> None:
        try:
            while data := upstream.recv(_READ_BYTES):
                client.sendall(b"1" * len(data) if self.dead else data)
        except OSError:
            pass
        _close(client, upstream)
