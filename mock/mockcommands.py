"""The commands of the mock's control protocol; openocd_mock.py's docstring describes them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional

from mockfaults import RuleError
from ocdtarget import poll_target

if TYPE_CHECKING:
    from openocd_mock import ControlConnection, Server

Message = Dict[str, Any]


class ControlError(ValueError):
    """A control command that cannot be carried out; the text says why."""


class Waiter:
    """A `wait` command whose conditions do not hold yet."""

    def __init__(self, connection: "ControlConnection", message: Message) -> None:
        self.connection = connection
        self.commands = _integer(message, "commands", -1)
        self.connections = _integer(message, "connections", -1)
        self.stalled = message.get("stalled")
        self.deadline = time.monotonic() + _integer(message, "timeout_ms", 5000) / 1000.0

    def check(self, server: "Server", now: float) -> Optional[Message]:
        """The reply, once there is one."""
        if (
            server.commands >= self.commands
            and self.connections in (-1, len(server.tcl))
            and self.stalled in (None, server.stalled)
        ):
            return {"ok": True, "commands": server.commands, "connections": len(server.tcl)}
        if now >= self.deadline:
            return {"ok": False, "error": "not within the time: %d commands, %d connections, stalled %s"
                    % (server.commands, len(server.tcl), server.stalled)}
        return None


def _integer(message: Message, name: str, default: Optional[int] = None) -> int:
    value = message.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ControlError("%s must be an integer" % name)
    return value


def _boolean(message: Message, name: str, default: Optional[bool] = None) -> bool:
    value = message.get(name, default)
    if not isinstance(value, bool):
        raise ControlError("%s must be true or false" % name)
    return value


def _text(message: Message, name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise ControlError("%s must be a string" % name)
    return value


def _fault(server: "Server", message: Message) -> Message:
    return {"id": server.faults.add(message)}


def _faults(server: "Server", message: Message) -> Message:
    return {"faults": [rule.describe() for rule in server.faults.rules]}


def _clear_faults(server: "Server", message: Message) -> Message:
    server.faults.rules.clear()
    return {}


def _release(server: "Server", message: Message) -> Message:
    was = server.stalled
    if was:
        server.advance()
    return {"released": was}


def _forget(server: "Server", message: Message) -> Message:
    server.ocd.forget()
    return {}


def _crash(server: "Server", message: Message) -> Message:
    server.serving = None
    server.stalled = False
    server.crash()
    return {}


def _restart(server: "Server", message: Message) -> Message:
    server.restart()
    return {"port": server.tcl_port}


def _drop(server: "Server", message: Message) -> Message:
    count = len(server.tcl)
    for connection in list(server.tcl):
        connection.close()
    return {"dropped": count}


def _version(server: "Server", message: Message) -> Message:
    server.ocd.version = _text(message, "text")
    return {}


def _stats(server: "Server", message: Message) -> Message:
    last = _integer(message, "last", 20)
    scripts = list(server.scripts)
    return {
        "commands": server.commands, "envelopes": server.envelopes,
        "connections": len(server.tcl), "accepted": server.accepted,
        "scripts": scripts[-last:] if last > 0 else [], "stalled": server.stalled,
        "busy": server.serving is not None, "state": server.ocd.state,
        "listening": server.listener is not None, "probed": server.ocd.probed,
        "notifying": sum(client.notify for client in server.ocd.clients),
    }


def _reset_counters(server: "Server", message: Message) -> Message:
    server.commands = 0
    server.envelopes = 0
    server.accepted = 0
    server.scripts.clear()
    return {}


def _peek(server: "Server", message: Message) -> Message:
    data = server.ocd.board.peek(_integer(message, "address"), _integer(message, "size"))
    return {"data": data.hex()}


def _poke(server: "Server", message: Message) -> Message:
    data = bytes.fromhex(_text(message, "data"))
    server.ocd.board.poke(_integer(message, "address"), data)
    return {}


def _protect(server: "Server", message: Message) -> Message:
    board = server.ocd.board
    first, last = _integer(message, "first"), _integer(message, "last")
    if not 0 <= first <= last <= 31:
        raise ControlError("blocks are 0 to 31")
    bits = board.wrpr
    for block in range(first, last + 1):
        bits = bits & ~(1 << block) if _boolean(message, "on") else bits | (1 << block)
    board.set_option_protection(bits)
    board.wrpr = bits
    return {}


def _target_state(server: "Server", message: Message) -> Message:
    state = _text(message, "state")
    ocd = server.ocd
    if state not in ("running", "halted", "reset"):
        raise ControlError("state must be running, halted or reset")
    if state == "reset":
        ocd.board.start()
        ocd.state = "reset"
        ocd.state_frame()
    else:
        if state == "running":
            ocd.board.resume()
        ocd.board.halted = state == "halted"
        ocd.halt_reason = "breakpoint"
        ocd.reset_seen = False
        poll_target(ocd)
    return {"state": ocd.state}


def _endian(server: "Server", message: Message) -> Message:
    order = _text(message, "order")
    if order not in ("little", "big"):
        raise ControlError("order must be little or big")
    server.ocd.board.endian = order
    return {}


def _width64(server: "Server", message: Message) -> Message:
    server.ocd.board.width64 = _boolean(message, "on")
    return {}


def _refuse_width(server: "Server", message: Message) -> Message:
    width = _integer(message, "width")
    if width not in (8, 16, 32, 64):
        raise ControlError("width must be 8, 16, 32 or 64")
    refused = server.ocd.board.refused_widths
    (refused.add if _boolean(message, "on", True) else refused.discard)(width)
    return {}


def _fault_range(server: "Server", message: Message) -> Message:
    first, last = _integer(message, "first"), _integer(message, "last")
    if first > last:
        raise ControlError("first must not be greater than last")
    server.ocd.board.faults.append((first, last + 1))
    return {}


def _clear_fault_ranges(server: "Server", message: Message) -> Message:
    server.ocd.board.faults.clear()
    return {}


def _notify(server: "Server", message: Message) -> Message:
    frames = message.get("frames")
    if not isinstance(frames, list) or not all(isinstance(item, str) for item in frames):
        raise ControlError("frames must be an array of strings")
    for connection in list(server.tcl):
        for frame in frames:
            connection.send(frame.encode("latin-1") + b"\x1a")
    return {}


def _shutdown(server: "Server", message: Message) -> Message:
    server.running = False
    return {}


COMMANDS: Dict[str, Callable[["Server", Message], Message]] = {
    "fault": _fault, "faults": _faults, "clear_faults": _clear_faults, "release": _release,
    "forget": _forget, "crash": _crash, "restart": _restart, "drop": _drop, "version": _version,
    "stats": _stats, "reset_counters": _reset_counters, "peek": _peek, "poke": _poke,
    "protect": _protect, "target_state": _target_state, "endian": _endian, "width64": _width64,
    "refuse_width": _refuse_width, "fault_range": _fault_range,
    "clear_fault_ranges": _clear_fault_ranges, "notify": _notify, "shutdown": _shutdown,
}


def run(
    server: "Server", connection: Optional["ControlConnection"], line: bytes
) -> Optional[Message]:
    """Carry out one line; None when the reply comes later (`wait`)."""
    try:
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ControlError("a command is a JSON object")
        name = message.get("cmd")
        if name == "wait" and connection is not None:
            server.waiters.append(Waiter(connection, message))
            return None
        command = COMMANDS.get(name) if isinstance(name, str) else None
        if command is None:
            raise ControlError("no such command: %s" % name)
        return {"ok": True, **command(server, message)}
    except (ControlError, RuleError, ValueError, OSError) as error:
        return {"ok": False, "error": str(error)}
