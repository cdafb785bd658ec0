#!/usr/bin/env python3
"""A mock OpenOCD, 0.12.0 or upstream's later head: a TCL-RPC server over a simulated board, with faults on demand.

Usage: openocd_mock.py [--port N] [--control-port N] [--port-file PATH] [--script FILE]
                       [--flash-size BYTES] [--ram-size BYTES] [--work-area BYTES]
                       [--dialect 0.12|head]

Both ports are on 127.0.0.1; 0 lets the kernel choose.  PATH gets, in one atomic
step and once both ports listen, `{"tcl": N, "control": N}`.  Nothing is printed.
SIGTERM and SIGINT end it with exit status 0; so does the command `shutdown`.

The control protocol: one JSON object per line in, one per line out, in order.
A reply has "ok": true and what the command returns, or "ok": false and "error".
Data are hexadecimal text.  FILE holds the same objects, one per line (empty
lines and lines starting with # are skipped); they are carried out before the
first connection is accepted, and one that fails ends the program with status 1.

    {"cmd": "fault", "action": A, ...}   add a rule; returns "id".  Which command it hits:
        "match": REGEX   searched in the inner script (the script inside the envelope,
                         unescaped, or the whole command); without it any command matches
        "nth": N         the Nth match from now on (1), "times": N  and N - 1 more (1; 0: all)
        "at": N          or: the command with this number (see stats), once
      Actions and their parameters with defaults:
        delay    ms=0                       wait, then execute and answer
        late     ms=0                       execute, then wait, then answer
        stall    when="before"|"after"      never go on until `release`; before/after executing
        drop     when="before", bytes=0, reset=false
                 close the connection: "command" unexecuted, "before" the reply, "inside" it
                 after `bytes` bytes, "after" it; `reset` sends RST instead of FIN
        garbage  where="before"|"instead"|"after", data=""    bytes around the reply, as they are
        nonce    nonce=""                   the enveloped reply carries another nonce
        lengths  field=0, delta=1           ... a wrong length: 0 result, 1 log, 2 options
        notify   where="before"|"after", frames=[]   text frames (0x1a is added) around the reply
        too_long                            `line too long\\n` and NUL, no 0x1a; not executed
        fail     code=-4, text="", log="", command=""
                 with `command` (a regex) the first OpenOCD command of this script whose words
                 match fails that way; else the whole inner script does
        forget                              lose all variables, procedures and notification
                                            switches, then execute
        crash                               as the command `crash`; not executed
        split    size=1, gap_ms=0           the reply in writes of `size` bytes
    {"cmd": "faults"}            "faults": the rules in force
    {"cmd": "clear_faults"}      remove all rules
    {"cmd": "release"}           let a stalled command go on; "released" tells whether there was one
    {"cmd": "forget"}            as the action
    {"cmd": "crash"}             close every connection, lose the interpreter, refuse connections
    {"cmd": "restart"}           after a crash: listen again on the same port
    {"cmd": "drop"}              close every TCL connection
    {"cmd": "version", "text": T}        what `version` says from now on
    {"cmd": "stats", "last": N}  counts, state, and the last N (20) "scripts": of each inner script
                                 up to 4096 bytes, of at most 1000 scripts. Where an envelope holds
                                 several commands, each counts and has a script of its own
    {"cmd": "reset_counters"}    counts and log start again
    {"cmd": "wait", "commands": N, "connections": N, "stalled": B, "timeout_ms": 5000}
                                 answers when all that is named holds (at least N commands,
                                 exactly N connections), or fails after the time
    {"cmd": "peek", "address": A, "size": N}    "data"; memory or flash as it is
    {"cmd": "poke", "address": A, "data": HEX}  change memory or flash without any rule
    {"cmd": "protect", "first": N, "last": N, "on": B}   blocks, in force at once
    {"cmd": "target_state", "state": "running"|"halted"|"reset"}   the core changes state by
                                 itself; connections that asked for it are told at once
    {"cmd": "endian", "order": "little"|"big"}
    {"cmd": "width64", "on": B}  whether accesses of 64 bits work (they do not at first)
    {"cmd": "refuse_width", "width": N, "on": true}      accesses of N bits fail
    {"cmd": "fault_range", "first": A, "last": A}        accesses there fault; `last` inclusive
    {"cmd": "clear_fault_ranges"}
    {"cmd": "notify", "frames": [T]}     send text frames to every TCL connection
    {"cmd": "shutdown"}          end the program

Left out: the code that OpenOCD runs on the target (where there is a working area, at the start of
RAM, it is overwritten with other bytes than the real code would leave there, and all is done at
once), ELF images, and a core that computes; see ocdtarget.py, ocdflash.py and their neighbours
for the commands there are.  tests/mock/test_differential.py holds every answer against real
OpenOCD on the virtual board.

OpenOCD serves one command at a time, and so does this: while a command waits, or
a client does not read its reply, no other TCL connection is served or accepted.
The control port always is.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import selectors
import signal
import socket
import struct
import sys
import time
from typing import Callable, Deque, Dict, Iterator, List, Optional

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import mockcommands  # noqa: E402
import mockfaults  # noqa: E402
from ocdbase import DIALECTS, Client, OpenOCD  # noqa: E402
from simboard import Board  # noqa: E402
from tclmini import TclError  # noqa: E402

LINE_MAX = 4194302
LINE_TOO_LONG = b"line too long\n\0"
SCRIPT_LOGGED = 4096
CONTROL_LINE_MAX = 8 * 1024 * 1024
POLL_PERIOD = 0.1
_READ = 65536


class Connection:
    """A non-blocking connection with an output queue, whose items are separate writes."""

    def __init__(self, server: "Server", sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.out: Deque[memoryview] = collections.deque()
        self.open = True
        self.closing = False
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Queue one write."""
        if not self.open or not data:
            return
        if not self.out:
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.close()
                return
            if sent == len(data):
                return
            self.out.append(memoryview(data)[sent:])
        else:
            self.out.append(memoryview(data))
        self.server.update(self)

    def flush(self) -> None:
        """Write what the socket takes."""
        while self.out and self.open:
            try:
                sent = self.sock.send(self.out[0])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.close()
                return
            if sent == len(self.out[0]):
                self.out.popleft()
            else:
                self.out[0] = self.out[0][sent:]
        if self.open and self.closing:
            self.close()
        elif self.open:
            self.server.update(self)

    def finish(self) -> None:
        """Close once the queue is empty."""
        self.closing = True
        self.flush()

    def close(self, reset: bool = False) -> None:
        """Close now; `reset` sends RST."""
        if not self.open:
            return
        self.open = False
        self.out.clear()
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.forget(self)
        self.sock.close()


class TclConnection(Connection):
    """A TCL client: collects its input and finds commands in it."""

    def __init__(self, server: "Server", sock: socket.socket) -> None:
        super().__init__(server, sock)
        self.buffer = bytearray()
        self.searched = 0
        self.dropping = False
        self.client = Client(self.send)
        self.client.last_state = server.ocd.state

    def read(self) -> None:
        """Take in what has arrived."""
        try:
            data = self.sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self.buffer += data

    def next_command(self) -> Optional[bytes]:
        """The next complete command, or None.  Over-long ones are answered here."""
        while True:
            at = self.buffer.find(b"\x1a", self.searched)
            if at < 0:
                if len(self.buffer) > LINE_MAX:
                    self.dropping = True
                    self.buffer.clear()
                self.searched = len(self.buffer)
                return None
            too_long = self.dropping or at > LINE_MAX
            line = b"" if too_long else bytes(self.buffer[:at])
            del self.buffer[:at + 1]
            self.searched = 0
            self.dropping = False
            if not too_long:
                return line
            self.send(LINE_TOO_LONG)


class ControlConnection(Connection):
    """A control client."""

    def __init__(self, server: "Server", sock: socket.socket) -> None:
        super().__init__(server, sock)
        self.buffer = bytearray()

    def read(self) -> None:
        """Take in and carry out what has arrived."""
        try:
            data = self.sock.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        self.buffer += data
        while b"\n" in self.buffer and self.open:
            line, _, rest = self.buffer.partition(b"\n")
            self.buffer = bytearray(rest)
            self.server.control(self, bytes(line))
        if not data or len(self.buffer) > CONTROL_LINE_MAX:
            self.close()


class Server:
    """The event loop, the connections and the command that is being served."""

    def __init__(self, ocd: OpenOCD) -> None:
        self.ocd = ocd
        self.selector = selectors.DefaultSelector()
        self.faults = mockfaults.Faults()
        self.commands = 0
        self.envelopes = 0
        self.accepted = 0
        self.scripts: Deque[str] = collections.deque(maxlen=1000)
        self.tcl: List[TclConnection] = []
        self.controls: List[ControlConnection] = []
        self.waiters: List["mockcommands.Waiter"] = []
        self.listener: Optional[socket.socket] = None
        self.tcl_port = 0
        self.control_port = 0
        self.running = True
        self.serving: Optional[Iterator[Optional[float]]] = None
        self.stalled = False
        self.resume_at = 0.0
        self.poll_at = 0.0

    # --- sockets ------------------------------------------------------------

    def listen(self, tcl_port: int, control_port: int) -> None:
        """Open both ports; OSError when one is taken."""
        self.listen_tcl(tcl_port)
        control = _listener(control_port, 8)
        self.control_port = control.getsockname()[1]
        self.selector.register(control, selectors.EVENT_READ, self._accept_control)

    def listen_tcl(self, port: int) -> None:
        """Open the TCL port."""
        # OpenOCD's own backlog.
        self.listener = _listener(port, 1)
        self.tcl_port = self.listener.getsockname()[1]

    def crash(self) -> None:
        """Close every TCL connection and the port, and lose what an OpenOCD process holds."""
        # The port first: a client may connect again as soon as it sees the end.
        if self.listener is not None:
            self._watch(self.listener, 0, None)
            self.listener.close()
            self.listener = None
        for connection in list(self.tcl):
            connection.close(reset=True)
        self.ocd.forget()

    def restart(self) -> None:
        """Listen again after a crash."""
        if self.listener is None:
            self.listen_tcl(self.tcl_port)
            self.update_all()

    def forget(self, connection: Connection) -> None:
        """A connection has been closed."""
        self._watch(connection.sock, 0, None)
        if isinstance(connection, TclConnection):
            self.tcl.remove(connection)
            self.ocd.clients.remove(connection.client)
        elif isinstance(connection, ControlConnection):
            self.controls.remove(connection)
            self.waiters = [item for item in self.waiters if item.connection is not connection]

    def _watch(self, sock: socket.socket, events: int, callback: Optional[Callable]) -> None:
        try:
            key: Optional[selectors.SelectorKey] = self.selector.get_key(sock)
        except KeyError:
            key = None
        if events == 0:
            if key is not None:
                self.selector.unregister(sock)
        elif key is None:
            self.selector.register(sock, events, callback)
        elif key.events != events:
            self.selector.modify(sock, events, callback)

    def update(self, connection: Connection) -> None:
        """Watch a connection for what it needs now."""
        if not connection.open:
            return
        events = selectors.EVENT_WRITE if connection.out else 0
        if not connection.closing and (isinstance(connection, ControlConnection) or self.idle()):
            events |= selectors.EVENT_READ
        self._watch(connection.sock, events, connection)

    def idle(self) -> bool:
        """True when no command is being served and every reply has been taken."""
        return self.serving is None and not any(connection.out for connection in self.tcl)

    def update_all(self) -> None:
        """Watch the TCL side or leave it alone, as the state demands."""
        for connection in list(self.tcl):
            self.update(connection)
        if self.listener is not None:
            events = selectors.EVENT_READ if self.idle() else 0
            self._watch(self.listener, events, self._accept_tcl)

    def _accept_tcl(self) -> None:
        if self.listener is None or not self.idle():
            return
        try:
            sock, _ = self.listener.accept()
        except OSError:
            return
        connection = TclConnection(self, sock)
        self.tcl.append(connection)
        self.ocd.clients.append(connection.client)
        self.accepted += 1
        self.update(connection)

    def _accept_control(self) -> None:
        listener = next(
            key.fileobj for key in self.selector.get_map().values()
            if key.data == self._accept_control
        )
        try:
            sock, _ = listener.accept()  # type: ignore[union-attr]
        except OSError:
            return
        connection = ControlConnection(self, sock)
        self.controls.append(connection)
        self.update(connection)

    # --- control ------------------------------------------------------------

    def control(self, connection: ControlConnection, line: bytes) -> None:
        """Carry out one control line and answer it, at once or when it is fulfilled."""
        reply = mockcommands.run(self, connection, line)
        if reply is not None:
            connection.send(json.dumps(reply).encode() + b"\n")

    # --- commands -----------------------------------------------------------

    def serve(self, connection: TclConnection, line: bytes) -> None:
        """Start serving one command."""
        scripts = mockfaults.inner_scripts(line, SCRIPT_LOGGED)
        rules = self.faults.take(line, self.commands + 1)
        self.envelopes += 1
        self.commands += len(scripts)
        self.scripts.extend(scripts)
        if rules:
            self.serving = self._faulty(connection, line, rules)
            self.advance()
        else:
            connection.send(self.ocd.run_line(connection.client, line) + b"\x1a")

    def advance(self) -> None:
        """Go on with the command being served until it waits again or is done."""
        serving = self.serving
        if serving is None:
            return
        self.stalled = False
        try:
            wait = next(serving)
        except StopIteration:
            self.serving = None
            return
        if wait is None:
            self.stalled = True
        else:
            self.resume_at = time.monotonic() + wait

    def _faulty(
        self, connection: TclConnection, line: bytes, rules: List[mockfaults.Rule]
    ) -> Iterator[Optional[float]]:
        """Serve one command with its faults; yields seconds to wait, None for a stall."""
        for rule in rules:
            params = rule.params
            if rule.action == "delay":
                yield params["ms"] / 1000.0
            elif rule.action == "stall" and params["when"] == "before":
                yield None
            elif rule.action == "forget":
                self.ocd.forget()
            elif rule.action == "crash":
                self.crash()
                return
            elif rule.action == "too_long":
                connection.send(LINE_TOO_LONG)
                return
            elif rule.action == "drop" and params["when"] == "command":
                connection.close(params["reset"])
                return
            elif rule.action == "fail":
                line = self._arm(line, rule)
        reply = self.ocd.run_line(connection.client, line)
        self.ocd.failures.clear()
        for rule in rules:
            if rule.action == "late":
                yield rule.params["ms"] / 1000.0
            elif rule.action == "stall" and rule.params["when"] == "after":
                yield None
        yield from self._answer(connection, reply, rules)

    def _arm(self, line: bytes, rule: mockfaults.Rule) -> bytes:
        """Make the command fail as the rule says; returns the command to run."""
        params = rule.params
        if params["command"]:
            self.ocd.failures.append(
                (re.compile(params["command"], re.S), params["code"], params["text"], params["log"])
            )
            return line

        def failing(_interp: object, _argv: List[str]) -> str:
            if params["log"]:
                self.ocd.log(params["log"])
            raise self.ocd.ended(TclError(params["text"], params["code"]))

        name = "__mock_fail%d" % rule.number
        self.ocd.interp.commands[name] = failing
        return mockfaults.replace_inner(line, name.encode(), rule.pattern)

    def _answer(
        self, connection: TclConnection, reply: bytes, rules: List[mockfaults.Rule]
    ) -> Iterator[Optional[float]]:
        before, after = b"", b""
        frame = reply
        size, gap = 0, 0.0
        drop: Optional[Dict] = None
        for rule in rules:
            params = rule.params
            if rule.action == "nonce":
                frame = mockfaults.wrong_nonce(frame, params["nonce"])
            elif rule.action == "lengths":
                frame = mockfaults.wrong_length(frame, params["field"], params["delta"])
            elif rule.action in ("garbage", "notify"):
                if rule.action == "garbage":
                    data = bytes.fromhex(params["data"])
                else:
                    data = b"".join(text.encode("latin-1") + b"\x1a" for text in params["frames"])
                before += data if params["where"] == "before" else b""
                after += data if params["where"] == "after" else b""
            elif rule.action == "split":
                size, gap = max(1, params["size"]), params["gap_ms"] / 1000.0
            elif rule.action == "drop":
                drop = params
        data = before + frame + b"\x1a" + after
        for rule in rules:
            if rule.action == "garbage" and rule.params["where"] == "instead":
                data = bytes.fromhex(rule.params["data"])
        if drop is not None and drop["when"] != "after":
            data = data[:drop["bytes"]] if drop["when"] == "inside" else b""
        pieces = [data[at:at + size] for at in range(0, len(data), size)] if size else [data]
        for piece in pieces:
            connection.send(piece)
            if gap:
                yield gap
        if drop is not None:
            if drop["reset"]:
                connection.close(True)
            else:
                connection.finish()

    # --- loop ---------------------------------------------------------------

    def _timeout(self) -> Optional[float]:
        deadlines = [waiter.deadline for waiter in self.waiters]
        if self.serving is not None and not self.stalled:
            deadlines.append(self.resume_at)
        if self.serving is None and self.ocd.polling and self.ocd.needs_poll():
            deadlines.append(self.poll_at)
        if not deadlines:
            return None
        return max(0.0, min(deadlines) - time.monotonic())

    def _timers(self) -> None:
        now = time.monotonic()
        if self.serving is not None and not self.stalled and now >= self.resume_at:
            self.advance()
        if self.serving is None and now >= self.poll_at:
            self.poll_at = now + POLL_PERIOD
            self.ocd.poll()

    def _answer_waiters(self) -> None:
        now = time.monotonic()
        for waiter in list(self.waiters):
            reply = waiter.check(self, now)
            if reply is not None:
                self.waiters.remove(waiter)
                waiter.connection.send(json.dumps(reply).encode() + b"\n")

    def _input(self) -> None:
        """Serve the commands that have arrived, as long as nothing holds them up."""
        progress = True
        while progress and self.running:
            progress = False
            for connection in list(self.tcl):
                while connection.open and self.idle():
                    line = connection.next_command()
                    if line is None:
                        break
                    progress = True
                    self.serve(connection, line)
                    if self.ocd.stop:
                        self.running = False
                        return

    def run(self) -> None:
        """Serve until stopped."""
        was_idle: Optional[bool] = None
        while self.running:
            idle = self.idle()
            if idle != was_idle:
                self.update_all()
                was_idle = idle
            for key, events in self.selector.select(self._timeout()):
                data = key.data
                if isinstance(data, Connection):
                    if events & selectors.EVENT_WRITE and data.open:
                        data.flush()
                    if events & selectors.EVENT_READ and data.open:
                        data.read()  # type: ignore[attr-defined]
                elif callable(data):
                    data()
            self._timers()
            self._input()
            self._answer_waiters()

    def close(self) -> None:
        """Flush what can be flushed and close everything."""
        for connection in list(self.tcl) + list(self.controls):
            connection.flush()
            connection.close()
        self.ocd.interp.files.close_all()
        self.selector.close()


def _listener(port: int, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(backlog)
    sock.setblocking(False)
    return sock


def _write_port_file(path: str, tcl: int, control: int) -> None:
    temporary = "%s.%d" % (path, os.getpid())
    with open(temporary, "w", encoding="ascii") as handle:
        json.dump({"tcl": tcl, "control": control}, handle)
    os.replace(temporary, path)


def _run_script(server: Server, path: str) -> None:
    with open(path, "rb") as handle:
        for number, line in enumerate(handle, 1):
            if not line.strip() or line.lstrip().startswith(b"#"):
                continue
            reply = mockcommands.run(server, None, line)
            if reply is None or not reply["ok"]:
                why = reply["error"] if reply else "cannot wait in a script"
                sys.exit("%s:%d: %s" % (path, number, why))


def _stop_on_signals(server: Server) -> None:
    receiver, sender = socket.socketpair()
    receiver.setblocking(False)
    sender.setblocking(False)

    def stop() -> None:
        server.running = False

    server.selector.register(receiver, selectors.EVENT_READ, stop)
    signal.set_wakeup_fd(sender.fileno())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop())
    # Both ends live as long as the process.
    server.signal_sockets = (receiver, sender)  # type: ignore[attr-defined]


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the mock; returns the exit status."""
    parser = argparse.ArgumentParser(description="A mock OpenOCD for tests.")
    parser.add_argument("--port", type=int, default=0, help="TCL port, 0: the kernel chooses")
    parser.add_argument("--control-port", type=int, default=0, help="control port, likewise")
    parser.add_argument("--port-file", help="where to write both ports once listening")
    parser.add_argument("--script", help="control commands to carry out first, one a line")
    parser.add_argument("--flash-size", type=int, default=128 * 1024, help="bytes (128 KiB)")
    parser.add_argument("--ram-size", type=int, default=20 * 1024, help="bytes (20 KiB)")
    parser.add_argument("--work-area", type=int, default=0, help="bytes at the start of RAM (0: none)")
    parser.add_argument("--dialect", choices=DIALECTS, default=DIALECTS[0], help="which OpenOCD it speaks like (0.12)")
    options = parser.parse_args(arguments)
    sys.setrecursionlimit(40000)
    try:
        server = Server(OpenOCD(Board(options.flash_size, options.ram_size), options.work_area, options.dialect))
        server.listen(options.port, options.control_port)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    _stop_on_signals(server)
    if options.script:
        _run_script(server, options.script)
    if options.port_file:
        _write_port_file(options.port_file, server.tcl_port, server.control_port)
    try:
        server.run()
    finally:
        server.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
