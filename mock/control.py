"""Driving the mock OpenOCD from tests.

    with MockControl.start() as mock:
        ...                      # connect to 127.0.0.1, mock.tcl_port
        mock.fault("delay", ms=50, match="read_memory")

`MockControl.start()` runs the mock as a subprocess and ends it on exit;
`MockControl(port)` connects to the control port of one that runs already.
A command that the mock refuses raises `MockError`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List, Optional

_MOCK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "openocd_mock.py")
_START_SECONDS = 10.0


class MockError(Exception):
    """The mock refused a control command, or did not start."""


class MockControl:
    """The control connection of one mock, and the process where this started it."""

    def __init__(self, control_port: int, tcl_port: int = 0) -> None:
        self.control_port = control_port
        self.tcl_port = tcl_port
        self.process: Optional["subprocess.Popen[bytes]"] = None
        self._directory: Optional["tempfile.TemporaryDirectory[str]"] = None
        self._socket = socket.create_connection(("127.0.0.1", control_port), timeout=30)
        self._file = self._socket.makefile("rb")

    @classmethod
    def start(cls, *arguments: str, script: Optional[List[Dict[str, Any]]] = None) -> "MockControl":
        """Run the mock with these further arguments; `script`: control commands for --script."""
        directory = tempfile.TemporaryDirectory(prefix="openocd-mock-")
        port_file = os.path.join(directory.name, "ports")
        command = [sys.executable, _MOCK, "--port-file", port_file, *arguments]
        if script is not None:
            script_file = os.path.join(directory.name, "script")
            with open(script_file, "w", encoding="utf-8") as handle:
                handle.writelines(json.dumps(item) + "\n" for item in script)
            command += ["--script", script_file]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            ports = _await_ports(process, port_file)
            control = cls(ports["control"], ports["tcl"])
        except BaseException:
            _end(process)
            directory.cleanup()
            raise
        control.process = process
        control._directory = directory
        return control

    def __enter__(self) -> "MockControl":
        return self

    def __exit__(self, *_unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; end the process where `start` made it.

        MockError when the mock wrote anything on stderr: it does so for its own faults only.
        """
        self._file.close()
        self._socket.close()
        complaint = ""
        if self.process is not None:
            complaint = _end(self.process)
            self.process = None
        if self._directory is not None:
            self._directory.cleanup()
            self._directory = None
        if complaint:
            raise MockError("the mock complained:\n" + complaint)

    def call(self, cmd: str, **parameters: Any) -> Dict[str, Any]:
        """One control command and its reply; MockError when it is refused."""
        message = {"cmd": cmd, **parameters}
        self._socket.sendall(json.dumps(message).encode() + b"\n")
        line = self._file.readline()
        if not line:
            raise MockError("the mock closed the control connection")
        reply: Dict[str, Any] = json.loads(line)
        if not reply.get("ok"):
            raise MockError("%s: %s" % (cmd, reply.get("error")))
        return reply

    # --- faults -------------------------------------------------------------

    def fault(self, action: str, **parameters: Any) -> int:
        """Add a fault rule (match, nth, times, at, and the action's own); returns its id."""
        return int(self.call("fault", action=action, **parameters)["id"])

    def faults(self) -> List[Dict[str, Any]]:
        """The rules in force with their counts."""
        return list(self.call("faults")["faults"])

    def clear_faults(self) -> None:
        """Remove all rules."""
        self.call("clear_faults")

    def release(self) -> bool:
        """Let a stalled command go on; false when none was stalled."""
        return bool(self.call("release")["released"])

    def forget(self) -> None:
        """Lose variables, procedures and notification switches."""
        self.call("forget")

    def crash(self) -> None:
        """Close everything and refuse connections until `restart`."""
        self.call("crash")

    def restart(self) -> None:
        """Listen again on the same port."""
        self.call("restart")

    def drop(self) -> int:
        """Close every TCL connection; returns how many there were."""
        return int(self.call("drop")["dropped"])

    def set_version(self, text: str) -> None:
        """What `version` answers from now on."""
        self.call("version", text=text)

    def notify(self, *frames: str) -> None:
        """Send frames (without 0x1a) to every TCL connection."""
        self.call("notify", frames=list(frames))

    # --- what it has seen ---------------------------------------------------

    def stats(self, last: int = 20) -> Dict[str, Any]:
        """Counts, state and the last inner scripts."""
        return self.call("stats", last=last)

    def scripts(self, last: int = 1000) -> List[str]:
        """The last inner scripts, oldest first (at most 1000)."""
        return list(self.stats(last)["scripts"])

    def commands(self) -> int:
        """Commands received since the counters were reset."""
        return int(self.stats(0)["commands"])

    def reset_counters(self) -> None:
        """Start counting anew and empty the log of scripts."""
        self.call("reset_counters")

    def wait(
        self, commands: Optional[int] = None, connections: Optional[int] = None,
        stalled: Optional[bool] = None, timeout_ms: int = 5000,
    ) -> None:
        """Wait until at least so many commands came, exactly so many connections are open, a
        command is (or is not) stalled; MockError after the time."""
        wanted = {"commands": commands, "connections": connections, "stalled": stalled}
        given = {name: value for name, value in wanted.items() if value is not None}
        self.call("wait", timeout_ms=timeout_ms, **given)

    # --- the board ----------------------------------------------------------

    def peek(self, address: int, size: int) -> bytes:
        """Memory or flash as it is."""
        return bytes.fromhex(self.call("peek", address=address, size=size)["data"])

    def poke(self, address: int, data: bytes) -> None:
        """Change memory or flash without any rule."""
        self.call("poke", address=address, data=data.hex())

    def protect(self, first: int, last: int, on: bool) -> None:
        """Protect 4 KiB blocks or lift it, in force at once."""
        self.call("protect", first=first, last=last, on=on)

    def target_state(self, state: str) -> None:
        """The core becomes `running`, `halted` or `reset` by itself; notifications go out."""
        self.call("target_state", state=state)

    def endian(self, order: str) -> None:
        """Byte order of the target: `little` or `big`."""
        self.call("endian", order=order)

    def width64(self, on: bool) -> None:
        """Whether accesses of 64 bits work."""
        self.call("width64", on=on)

    def refuse_width(self, width: int, on: bool = True) -> None:
        """Make accesses of this width fail, or work again."""
        self.call("refuse_width", width=width, on=on)

    def fault_range(self, first: int, last: int) -> None:
        """Make accesses from `first` to `last` inclusive fault."""
        self.call("fault_range", first=first, last=last)

    def clear_fault_ranges(self) -> None:
        """No range faults any more."""
        self.call("clear_fault_ranges")


def _await_ports(process: "subprocess.Popen[bytes]", path: str) -> Dict[str, int]:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if os.path.exists(path):
            with open(path, encoding="ascii") as handle:
                ports: Dict[str, int] = json.load(handle)
            return ports
        if process.poll() is not None:
            assert process.stderr is not None
            raise MockError("the mock ended: %s" % process.stderr.read().decode(errors="replace"))
        time.sleep(0.005)
    raise MockError("the mock did not start within %g s" % _START_SECONDS)


def _end(process: "subprocess.Popen[bytes]") -> str:
    """End the process; returns what it wrote on stderr."""
    process.terminate()
    try:
        _, complaint = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        _, complaint = process.communicate()
    return complaint.decode(errors="replace")
