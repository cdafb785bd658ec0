"""What every OpenOCD command of the mock shares: registry, log, capture, connections.

Return codes and texts are those of OpenOCD 0.12.0, or of upstream's later head
where `ocd.head` is set: then every failure has Tcl's code 1, and OpenOCD's own
is in `errorCode`.  A command is a function `handler(ocd, words)` that returns
its output or raises `TclError` with the output and OpenOCD's own code.
"""

from __future__ import annotations

import re
import time
import traceback
from typing import Callable, Dict, List, Optional, Tuple

import ocdusage
from simboard import Board
from tclmini import Interp, TclError

FAIL = -4
TARGET_FAILURE = -107
TARGET_NOT_HALTED = -304
TARGET_TIMEOUT = -302
CLOSE_CONNECTION = -600
SYNTAX_ERROR = -601
ARGUMENT_INVALID = -603
ARGUMENT_OVERFLOW = -604
FLASH_BANK_INVALID = -901
FLASH_OPERATION_FAILED = -902
FLASH_BREAKS_ALIGNMENT = -904
FLASH_PROTECTED = -909
FLASH_UNSUPPORTED = -908
FILEIO_OPERATION_FAILED = -1202
IMAGE_TYPE_UNKNOWN = -1401
IMAGE_CHECKSUM = -1402

NO_WORK_AREA = (
    "No working memory available. Specify -work-area-phys to target.\n"
    "not enough working area available(requested %d)\n"
)
VERSION = "Open On-Chip Debugger 0.12.0"
VERSION_HEAD = "Open On-Chip Debugger 0.12.0+dev-02171-g3b5a4c1d2 (2026-01-31-12:34)"
DIALECTS = ("0.12", "head")
EXIT = 6
SOURCE_CAPTURE = ("command.c", 708)

Handler = Callable[["OpenOCD", List[str]], str]


def fail(output: str = "", code: int = FAIL) -> TclError:
    """The error of a command that printed `output` and ended with `code`."""
    return TclError(output, code)


def cut(text: str) -> str:
    """A word as a C string: up to its first NUL."""
    return text.partition("\0")[0]


class Client:
    """What the interpreter keeps for one TCL connection."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.send = send
        self.notify = False
        self.trace = False
        self.last_state = "unknown"


class OpenOCD:
    """One OpenOCD: an interpreter with its commands, a board and the connections."""

    def __init__(self, board: Board, work_area: int = 0, dialect: str = "0.12") -> None:
        """`work_area`: bytes at the start of RAM that code on the target may use, or 0; `dialect`: one of DIALECTS."""
        if not 0 <= work_area <= len(board.ram):
            raise ValueError("the working area must fit into the RAM")
        self.board = board
        self.work_area = work_area
        self.head = dialect == "head"
        self.version = VERSION_HEAD if self.head else VERSION
        self.clients: List[Client] = []
        self.client: Optional[Client] = None
        self.captures: List[List[str]] = []
        self.stop = False
        self.failures: List[Tuple["re.Pattern[str]", int, str, str]] = []
        # The head polls only when that is due: here, when it is told to or has another reason.
        self.state = "unknown" if self.head else "halted" if board.halted else "running"
        self.halt_reason = "debug-request"
        self.reset_seen = False
        # OpenOCD's copies of the core registers; those in `dirty` are to be written back.
        self.cache: Dict[str, int] = dict.fromkeys(board.registers, 0)
        self.dirty: set = set()
        self.breakpoints: list = []
        self.watchpoints: list = []
        self.watchpoint_slots = 4
        self.point_number = 0
        self.polling = True
        self.erased: List[Optional[bool]] = []
        self.probed = False
        self.interp = Interp()
        self.commands: Dict[str, Handler] = {}
        self.forget()

    def forget(self) -> None:
        """What a restart loses: variables, procedures, notifications, breakpoints, the geometry."""
        self.interp.files.close_all()
        self.interp = Interp()
        self.captures = []
        self.probed = False
        self.breakpoints = []
        self.watchpoints = []
        self.watchpoint_slots = 4
        self.point_number = 0
        self.board.stops.clear()
        for client in self.clients:
            client.notify = client.trace = False
        import ocdbreak
        import ocdflash
        import ocdimage
        import ocdmemory
        import ocdtarget

        self.commands = {"capture": capture, "version": version, "ms": milliseconds, "echo": echo, "usage": usage}
        for module in (ocdtarget, ocdmemory, ocdflash, ocdimage, ocdbreak):
            self.commands.update(module.COMMANDS)
        if self.head:
            self.commands.update(ocdtarget.HEAD_COMMANDS)
        for name in self.commands:
            self.interp.commands[name] = self._make(name)
        for group in {name.partition(" ")[0] for name in self.commands if " " in name}:
            self.interp.commands.setdefault(group, self._make(group))
        self.interp.builtins = frozenset(self.interp.commands)

    # --- commands -----------------------------------------------------------

    def _make(self, name: str) -> Callable[[Interp, List[str]], str]:
        handler = self.commands.get(name)
        table = self.interp.commands

        def dispatch(interp: Interp, argv: List[str]) -> str:
            if len(argv) > 1:
                longer = argv[0] + " " + argv[1]
                if longer in table:
                    return table[longer](interp, [longer] + argv[2:])  # type: ignore[operator]
            if handler is None:
                self.log(self.usage(argv[0]))
                raise TclError("")
            if name != "expr" and not self.head:
                self.poll()
            try:
                if self.failures:
                    self._injected(argv)
                result = handler(self, argv)
            except TclError as error:
                if error.code == SYNTAX_ERROR:
                    self.log(self.usage(argv[0]))
                    error = TclError("", SYNTAX_ERROR)
                raise self.ended(error) from None
            return result[:-1] if self.head and result.endswith("\n") else result

        return dispatch

    def ended(self, error: TclError) -> TclError:
        """How the dialect tells of a command that failed: the head has Tcl's code, and its own in errorCode."""
        if not self.head or error.code >= 0:
            return error
        result = error.result[:-1] if error.result.endswith("\n") else error.result
        if error.code == CLOSE_CONNECTION:
            return TclError(result, EXIT)
        self.interp.top.vars["errorCode"] = "OpenOCD %d" % error.code
        return TclError(result)

    def _injected(self, argv: List[str]) -> None:
        line = " ".join(argv)
        for index, (pattern, code, text, log) in enumerate(self.failures):
            if pattern.search(line):
                del self.failures[index]
                if log:
                    self.log(log)
                raise TclError(text, code)

    def usage(self, name: str) -> str:
        """The lines that OpenOCD logs for a command used wrongly."""
        return ocdusage.USAGE.get(name, name + "\n")

    # --- log ----------------------------------------------------------------

    def log(self, text: str) -> None:
        """Log `text` (whole lines, without prefixes) for whoever captures it."""
        for sink in self.captures:
            sink.append(text)

    def take_work_area(self, size: int, otherwise: str) -> bool:
        """Run something of `size` bytes in the working area, which it overwrites.

        False, and OpenOCD's complaint with `otherwise`, where there is none.
        """
        if self.work_area:
            self.board.ram[:self.work_area] = b"\xa5" * self.work_area
            self._run_on_target()
            return True
        self.log(NO_WORK_AREA % size + otherwise)
        return False

    def _run_on_target(self) -> None:
        """What every connection is told while OpenOCD's own code runs on the core."""
        self.event("resume-start")
        self.state = "debug-running"
        self.event("debug-resumed")
        self.event("resume-end")
        self.state = "halted"
        self.event("debug-halted")

    def error(self, text: str) -> None:
        """Log one line; the head keeps the level before it, for which there is one here."""
        self.log(("Error: " if self.head else "") + text + "\n")

    # --- one command line ---------------------------------------------------

    def run_line(self, client: Client, line: bytes) -> bytes:
        """Run one received command and return the text of its reply, without 0x1a."""
        text = line.partition(b"\0")[0].decode("latin-1")
        interp = self.interp
        self.client = client
        self.captures = []
        interp.frame = interp.top
        try:
            result = interp.eval(text)
        except TclError as error:
            if error.code == 6:
                result = error.result
            elif error.code == CLOSE_CONNECTION:
                result = error.result
            else:
                result = interp.error_message(error.result)
        except RecursionError:
            result = "Infinite eval recursion"
        except Exception as problem:  # a fault of the mock itself: tell, and live on
            traceback.print_exc()
            result = "mock: internal error: %r" % problem
        finally:
            self.client = None
            self.captures = []
            interp.frame = interp.top
            interp.depth = 0
        return result.encode("latin-1")

    # --- target state and notifications --------------------------------------

    def poll(self) -> None:
        """What OpenOCD's poll finds out before a command; not inside `capture`."""
        if not self.captures and self.polling and self.needs_poll():
            from ocdtarget import poll_target

            poll_target(self)

    def needs_poll(self) -> bool:
        """True when the board's state is not the one that OpenOCD knows of."""
        now = "halted" if self.board.halted else "running"
        return self.state not in (now, "unknown") or self.reset_seen

    def event(self, name: str) -> None:
        """Tell every connection of a target event, and of a state it has not heard of."""
        for client in self.clients:
            if client.notify:
                client.send(b"type target_event event %s\r\n\x1a" % name.encode())
            self._state_frame(client)

    def _state_frame(self, client: Client) -> None:
        if client.last_state != self.state:
            client.last_state = self.state
            if client.notify:
                client.send(b"type target_state state %s\r\n\x1a" % self.state.encode())

    def state_frame(self) -> None:
        """Tell every connection of a state it has not heard of, without an event."""
        for client in self.clients:
            self._state_frame(client)

    def reset_event(self, mode: str) -> None:
        """Tell every connection of a reset."""
        for client in self.clients:
            if client.notify:
                client.send(b"type target_reset mode %s\r\n\x1a" % mode.encode())


def capture(ocd: OpenOCD, argv: List[str]) -> str:
    """`capture SCRIPT`: what was logged replaces the result, or goes before it in the head; the code stays, or is 1."""
    if len(argv) != 2:
        raise TclError("")
    sink: List[str] = []
    ocd.captures.append(sink)
    script = cut(argv[1])
    try:
        result = ocd.interp.eval_named(script, *SOURCE_CAPTURE)
    except TclError as error:
        if sink and ocd.head:
            raise TclError("".join(sink) + "\n" + error.result, error.code if error.code == EXIT else 1) from None
        if sink:
            raise TclError("".join(sink), error.code) from None
        raise
    finally:
        ocd.captures.pop()
    if sink and ocd.head:
        return "".join(sink) + "\n" + result
    return "".join(sink) if sink else result


def version(ocd: OpenOCD, argv: List[str]) -> str:
    return ocd.version


def milliseconds(ocd: OpenOCD, argv: List[str]) -> str:
    """`ms`: for differences."""
    return "%d" % (time.monotonic() * 1000)


def usage(ocd: OpenOCD, argv: List[str]) -> str:
    """`usage NAME ...`, for the commands this knows."""
    name = " ".join(cut(word) for word in argv[1:])
    ocd.log(ocdusage.USAGE.get(name, ""))
    return ""


def echo(ocd: OpenOCD, argv: List[str]) -> str:
    words = [cut(word) for word in argv[1:]]
    if len(words) == 2 and words[0] == "-n":
        ocd.log(words[1])
    elif len(words) == 1:
        ocd.log(words[0] + "\n")
    else:
        raise fail()
    return ""
