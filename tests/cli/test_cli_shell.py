"""`ocdmux shell`: scripts, the prompt of a terminal, and what Ctrl-C does. What gdb would say of real memory is for
tests/integration/test_shell_gdb.py."""

import fcntl
import os
import pty
import select
import signal
import stat
import subprocess
import termios
import time
from typing import Any, Dict, Iterator, List

import pytest

from fake_server import RpcError

LIMIT_S = 20.0
PROMPT = "(ocdmux) "


@pytest.fixture(name="target")
def fixture_target(tool, server) -> Any:
    """A little-endian Arm target with two registers and 256 words of memory that hold their own numbers."""
    registers = [{"name": name, "size_bits": 32, "group": "core"} for name in ("r0", "pc")]
    values = {"r0": "0x0000002a", "pc": "0x08000040"}

    def read(call: Any) -> Dict[str, Any]:
        names = call.params.get("names", list(values))
        return {"target": "cpu", "registers": [{"name": n, "size_bits": 32, "value": values[n]} for n in names]}

    def read_u32(call: Any) -> Dict[str, Any]:
        first = (int(call.params["address"], 16) - 0x20000000) // 4
        if first >= 256:
            raise RpcError("target_error", "cannot read", openocd={"code": 1, "text": "\x1b[2Jno"},
                           address=call.params["address"])
        return {"values": list(range(first, first + call.params.get("count", 1)))}

    server.on("target.list", {"targets": [
        {"target": "cpu", "type": "cortex_m", "state": "halted", "endian": "little", "current": True}]})
    server.on("register.list", {"target": "cpu", "registers": registers})
    server.on("register.read", read)
    server.on("memory.read_u32", read_u32)
    return server


def test_script_from_a_pipe(tool, target) -> None:
    outcome = tool.run("shell", given=b"# a comment\n\nx/2xw 0x20000000\n  p $r0 + 1  \r\nquit\nnonsense\n")
    assert (outcome.status, outcome.out, outcome.error) == (0, "0x20000000:\t0x00000000\t0x00000001\n$1 = 43\n", "")


def test_script_stops_at_the_first_failure(tool, target) -> None:
    lines = b"p 1\np 1/0\np 2\nfrobnicate\n"
    outcome = tool.run("shell", given=lines)
    assert (outcome.status, outcome.out) == (1, "$1 = 1\n")
    assert outcome.error == "Division by zero\nocdmux: line 2 failed\n"
    outcome = tool.run("shell", "--keep-going", given=lines)
    assert (outcome.status, outcome.out) == (1, "$1 = 1\n$2 = 2\n")
    assert outcome.error == ('Division by zero\nocdmux: line 2 failed\n'
                             'Undefined command: "frobnicate".  Try "help".\nocdmux: line 4 failed\n')


def test_lines_with_a_nul_are_not_cut(tool, target) -> None:
    outcome = tool.run("shell", "--keep-going", given=b"p 1\0 + 1\np 2\n")
    assert (outcome.status, outcome.out) == (1, "$1 = 2\n")
    assert outcome.error == "a line holds a NUL byte\nocdmux: line 1 failed\n"


def test_lines_on_the_command_line(tool, target) -> None:
    outcome = tool.run("shell", "-c", "p 1", "--command", "p 2", "-c", "quit", "-c", "p 3")
    assert (outcome.status, outcome.out) == (0, "$1 = 1\n$2 = 2\n")
    outcome = tool.run("shell", "-c", "p 1/0", "-c", "p 2")
    assert (outcome.status, outcome.out, outcome.error) == (1, "", "Division by zero\n")
    assert tool.run("shell", "--keep-going", "-c", "p 1/0", "-c", "p 2").out == "$1 = 2\n"


def test_options_reach_every_request(tool, target) -> None:
    outcome = tool.run("shell", "--board", "b", "--target", "cpu", "--timeout", "700", "-c", "x/xw 0x20000000")
    assert outcome.status == 0
    common = {"board": "b", "target": "cpu", "timeout_ms": 700}
    assert target.params("memory.read_u32") == {**common, "address": "0x20000000", "count": 1}
    assert target.params("target.list") == target.params("register.list") == common


def test_what_writes_touches_nothing_else(tool, target) -> None:
    target.on("memory.write_u16", {"count": 1})
    assert tool.run("shell", "-c", "set *(short*)0x20000002 = -2").status == 0
    assert target.params("memory.write_u16") == {"address": "0x20000002", "values": [65534]}
    assert [request["method"] for request in target.requests][3:] == ["memory.write_u16"]


def test_failures_of_the_server_are_told_once_and_escaped(tool, target) -> None:
    outcome = tool.run("shell", "-c", "x/xw 0x20000400")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error == ("ocdmux: target_error: cannot read\n  OpenOCD (1): \\x1b[2Jno\n"
                             "  address: 0x20000400\n")


def test_without_a_server_it_is_status_3(bare) -> None:
    bare.set(OCDMUX_SERVER=f"unix:{bare.directory}/nobody.sock")
    outcome = bare.run("shell", "-c", "x/xw 0")
    assert outcome.status == 3 and outcome.error.startswith("ocdmux: connection_failed: ")
    assert bare.run("shell", "-c", "help").status == 0


def test_a_connection_that_broke_is_made_anew(tool, target) -> None:
    def once(call: Any) -> Any:
        target.on("register.read", {"target": "cpu", "registers": [{"name": "r0", "size_bits": 32, "value": "0x5"}]})
        call.close()
        return {"target": "cpu", "registers": []}

    target.check_results = False
    target.on("register.read", once)
    outcome = tool.run("shell", "--keep-going", "-c", "p $r0", "-c", "p $r0")
    assert (outcome.status, outcome.out) == (3, "$1 = 5\n")
    assert outcome.error.startswith("ocdmux: connection_lost: ")
    assert len(target.called("server.hello")) == 2


def test_hostile_names_and_texts_are_escaped(tool, target) -> None:
    evil = "r\x1b]0;t\x07\u202e"
    target.on("register.list", {"target": "cpu", "registers": [{"name": evil, "size_bits": 128, "group": evil}]})
    target.on("register.read", {"target": "cpu", "registers": [{"name": evil, "size_bits": 128, "value": "0x" + "ab" * 16}]})
    outcome = tool.run("shell", "-c", "info registers")
    assert outcome.status == 0 and outcome.out.startswith("r\\x1b]0;t\\x07\\u202e")
    target.on("openocd.command", {"code": 0, "text": "\x1b[2J", "log": ""})
    assert tool.run("shell", "-c", "monitor \x1b x").status == 0
    outcome = tool.run("shell", "-c", "p \x1b[2J")
    assert outcome.error == "Invalid character '\\x1b' in expression.\n"


def test_interrupt_of_continue_halts_the_target(tool, target) -> None:
    def wait(call: Any) -> Any:
        call.wait_cancel()
        raise RpcError("cancelled", "stopped waiting")

    target.on("target.resume", {"target": "cpu", "state": "running"})
    target.on("target.wait", wait)
    target.on("target.halt", {"target": "cpu", "state": "halted"})
    process = tool.start("shell", "-c", "continue", "-c", "p 7")
    target.wait_for("target.wait")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert (outcome.status, outcome.out) == (0, "Continuing.\n\nProgram stopped by Ctrl-C.\n0x08000040 in ?? ()\n$1 = 7\n")
    assert len(target.called("target.halt")) == 1


def test_interrupt_ends_a_script(tool, target) -> None:
    def search(call: Any) -> Any:
        call.wait_cancel()
        raise RpcError("cancelled", "stopped searching")

    target.on("memory.search", search)
    process = tool.start("shell", "--keep-going", "-c", "find 0x20000000, +64, 5", "-c", "p 1")
    target.wait_for("memory.search")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert (outcome.status, outcome.out) == (1, "") and "ocdmux: cancelled: stopped searching\n" in outcome.error


# --- at a terminal ---


class Terminal:
    """The shell on a terminal: keys to send, and text to wait for."""

    def __init__(self, tool: Any, *arguments: str) -> None:
        self.leader, follower = pty.openpty()
        tool.set(TERM="xterm", XDG_STATE_HOME=str(tool.directory / "state"))
        self.process = subprocess.Popen(
            [str(tool.program), "shell", *arguments], stdin=follower, stdout=follower, stderr=follower,
            env=tool.environment, cwd=tool.directory, start_new_session=True, preexec_fn=self.own_terminal)
        os.close(follower)
        tool.processes.append(self.process)
        self.seen = ""

    @staticmethod
    def own_terminal() -> None:
        """Makes the terminal the one whose Ctrl-C means this process."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def wait_for(self, text: str) -> str:
        """All that came since the last time, once `text` is in it."""
        deadline = time.monotonic() + LIMIT_S
        while text not in self.seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self.seen!r}"
            if select.select([self.leader], [], [], 0.5)[0]:
                try:
                    self.seen += os.read(self.leader, 4096).decode("utf-8", "replace")
                except OSError:
                    raise AssertionError(f"it ended: {self.seen!r}") from None
        end = self.seen.index(text) + len(text)
        got, self.seen = self.seen[:end], self.seen[end:]
        return got

    def type(self, keys: str, wanted: str) -> str:
        """Sends keys; what came up to `wanted`."""
        os.write(self.leader, keys.encode())
        return self.wait_for(wanted)

    def wait_until_edited(self) -> None:
        """Waits until keys go to the editor: before that Ctrl-D is the terminal's own."""
        deadline = time.monotonic() + LIMIT_S
        while termios.tcgetattr(self.leader)[3] & termios.ICANON:
            assert time.monotonic() < deadline, "the editor does not come"
            time.sleep(0.01)

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.write(self.leader, b"\x03")

    def close(self, keys: bytes = b"quit\r") -> int:
        """Ends it; its status."""
        os.write(self.leader, keys)
        deadline = time.monotonic() + LIMIT_S
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.leader], [], [], 0.2)[0]:
                try:
                    os.read(self.leader, 4096)
                except OSError:
                    break
        status = self.process.wait(LIMIT_S)
        os.close(self.leader)
        return status


@pytest.fixture(name="terminal")
def fixture_terminal(tool, target) -> Iterator[Terminal]:
    """A shell at its prompt, which must still work and end with status 0 behind the test."""
    terminal = Terminal(tool)
    terminal.wait_for(PROMPT)
    yield terminal
    assert "= 1234" in terminal.type("p 1200+34\r", "= 1234")
    assert terminal.close() == 0


def test_empty_lines_repeat(terminal) -> None:
    terminal.type("x/2xw 0x20000000\r", "0x00000001")
    terminal.wait_for(PROMPT)
    terminal.type("\r", "0x20000008:")
    terminal.type("\r", "0x20000010:")
    terminal.wait_for(PROMPT)
    terminal.type("p 5\r", "$1 = 5")
    terminal.type("\r", "$2 = 5")
    terminal.type("set $foo = $foo2 = 3\r", PROMPT)


def test_history_is_kept_for_its_owner(terminal, tool, target) -> None:
    terminal.type("p 41+1\r", "$1 = 42")
    terminal.wait_for(PROMPT)
    terminal.type("\x1b[A\r", "$2 = 42")
    terminal.type("p 1200+34\r", "= 1234")
    assert terminal.close() == 0
    path = tool.directory / "state" / "ocdmux" / "history"
    assert "p\\04041+1" in path.read_text() and stat.S_IMODE(path.stat().st_mode) == 0o600
    again = Terminal(tool)
    again.wait_for(PROMPT)
    again.type("\x1b[A\x1b[A\x1b[A\r", "$1 = 42")
    terminal.__dict__.update(again.__dict__)
    terminal.wait_for(PROMPT)


def test_tab_completes_verbs_registers_and_files(terminal, tool) -> None:
    (tool.directory / "app.elf").write_bytes(b"")
    terminal.type("p $r0", "p $r0")
    terminal.type("\x15", "")
    terminal.type("compa\t", "re-sections ")
    terminal.type("app\t\r", "app.elf")
    terminal.wait_for("is empty")
    terminal.wait_for(PROMPT)
    terminal.type("inf\tre\t\r", "0x8000040")
    terminal.wait_for(PROMPT)
    terminal.type("p/d 5+$r\t*2\r", "= 89")
    terminal.wait_for(PROMPT)
    listed = terminal.type("d\t\t", "delete")
    assert "dump" in listed
    terminal.type("\x15", "")


def test_interrupt_at_the_prompt_drops_the_line(terminal) -> None:
    terminal.type("p 99", "p 99")
    terminal.interrupt()
    terminal.wait_for("^C")
    terminal.wait_for(PROMPT)
    terminal.type("p 7\r", "$1 = 7")
    terminal.wait_for(PROMPT)


def test_interrupt_cancels_the_request_and_gives_the_prompt_back(terminal, target) -> None:
    def wait(call: Any) -> Any:
        call.wait_cancel()
        raise RpcError("cancelled", "cancelled while searching")

    target.on("memory.search", wait)
    os.write(terminal.leader, b"find 0x20000000, +64, 5\r")
    target.wait_for("memory.search")
    terminal.interrupt()
    terminal.wait_for("cancelled while searching")
    terminal.wait_for(PROMPT)
    assert target.params("request.cancel") == {"id": target.called("memory.search")[0]["id"]}
    assert "= 43" in terminal.type("p $r0+1\r", "= 43")


def test_a_failure_does_not_end_it(terminal) -> None:
    terminal.type("p 1/0\r", "Division by zero")
    terminal.type("frobnicate\r", 'Undefined command: "frobnicate"')
    terminal.type("x/xw 0x20000400\r", "target_error")
    terminal.wait_for(PROMPT)


def test_end_of_input_ends_it(tool, target) -> None:
    terminal = Terminal(tool)
    terminal.wait_for(PROMPT)
    terminal.wait_until_edited()
    assert terminal.close(b"\x04") == 0


def test_every_verb_has_help(tool, target) -> None:
    outcome = tool.run("shell", "-c", "help")
    verbs: List[str] = [line.split()[0] for line in outcome.out.split("\n\n")[0].splitlines()]
    assert len(verbs) > 20
    for verb in verbs:
        outcome = tool.run("shell", "-c", f"help {verb}")
        assert outcome.status == 0 and outcome.out.startswith(verb), verb
