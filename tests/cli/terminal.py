"""A terminal as a person has it: a pty and what it shows, as a grid of characters."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from typing import Any, Callable, List, Optional

import pyte

LIMIT_S = 20.0


class Terminal:
    """Runs the program on a terminal of that size; end() or the fixture of `tool` ends it."""

    def __init__(self, tool: Any, *arguments: str, rows: int = 30, columns: int = 120, charset: str = "C.UTF-8",
                 term: str = "linux", **options: Any) -> None:
        tool.set(TERM=term, LC_ALL=charset)
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._leader, follower = pty.openpty()
        self._size(follower, rows, columns)
        self.process = tool.start(*arguments, stdin=follower, stdout=follower, start_new_session=True, **options)
        os.close(follower)

    @staticmethod
    def _size(terminal: int, rows: int, columns: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows: int, columns: int) -> None:
        """Another size, of which the program is told as by a real terminal."""
        self._size(self._leader, rows, columns)
        self.screen.resize(rows, columns)
        self.process.send_signal(signal.SIGWINCH)  # it is not in the foreground of a session of its own

    def press(self, keys: bytes) -> None:
        """Keys as the terminal sends them."""
        os.write(self._leader, keys)

    def look(self, limit_s: float = 0.05) -> List[str]:
        """The rows, after having taken what has come."""
        if select.select([self._leader], [], [], limit_s)[0]:
            try:
                data = os.read(self._leader, 65536)
            except OSError:  # the program has gone
                data = b""
            self.raw += data
            self._stream.feed(data)
        return [row.rstrip() for row in self.screen.display]

    def wait(self, condition: Callable[[List[str]], Any], what: str) -> List[str]:
        """The rows once they fulfil the condition."""
        end = time.monotonic() + LIMIT_S
        rows = self.look()
        while not condition(rows):
            assert time.monotonic() < end, f"{what} did not come:\n" + "\n".join(rows)
            rows = self.look()
        return rows

    def wait_text(self, text: str) -> List[str]:
        """The rows once the text stands in one of them."""
        return self.wait(lambda rows: any(text in row for row in rows), repr(text))

    def wait_no_text(self, text: str) -> List[str]:
        """The rows once the text stands in none of them."""
        return self.wait(lambda rows: not any(text in row for row in rows), f"the end of {text!r}")

    def end(self, keys: Optional[bytes] = b"q") -> int:
        """Presses keys, and waits for the program to end: its exit status."""
        if keys is not None:
            self.press(keys)
        self.wait(lambda rows: self.process.poll() is not None, "the end")
        self.look()
        return int(self.process.returncode)
