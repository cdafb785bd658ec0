"""1 MiB to OpenOCD's host and back: by hand, and with the daemon's own code for files over the link.

Through the daemon's clients the bytes would pay for JSON and base64, and through a target for its debug port: neither is
what is asked here. So exchange_tool, built from the daemon's own sources, drives its link and exchange against an OpenOCD
without a target; both sides are timed from the raw bytes to the whole answer, and leave nothing behind.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

from harness.paths import build_file
from harness.processes import OpenOcd
from harness.stack import KIB

HERE = Path(__file__).resolve().parent
TOTAL = 1024 * KIB
# One command's, as the daemon's (OP_FILE_MOST_BYTES).
OUR_BYTES = 512 * KIB
# Of the sizes from 64 to 256 KiB the one that is fastest.
PUT_BYTES = 256 * KIB
ENVELOPE = (
    b'apply {s {set l [capture {set c [catch -exit {uplevel #0 $s} r o];format {}}];return "\\x00NONCE $c '
    b'[string bytelength $r] [string bytelength $l] [string bytelength $o]:$r$l$o"}} {%s}'
)


def quote(data: bytes) -> bytes:
    """One word, as OpenOCD reads it back unchanged; `replace` costs about what the daemon's own quoting does."""
    for byte in (b"\\", b'"', b"$", b"["):
        data = data.replace(byte, b"\\" + byte)
    return b'"' + data.replace(b"\0", b"\\x00").replace(b"\x1a", b"\\x1a") + b'"'


class LinkFiles:
    """An OpenOCD without a target, a connection by hand, and exchange_tool on it."""

    def __init__(self, connect: Callable[[int], Any]) -> None:
        self._directory = tempfile.TemporaryDirectory(dir="/dev/shm")
        self.directory = Path(self._directory.name)
        self.openocd = OpenOcd(0, config=HERE / "no_target.cfg")
        self.hand = connect(self.openocd.port)
        self.data = random.Random(1).randbytes(TOTAL)
        (self.directory / "data").write_bytes(self.data)
        self._ours = subprocess.Popen(
            [str(build_file("tests", "exchange_tool")), str(self.openocd.port), "none"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        assert self._answer() == "link"

    def close(self) -> None:
        self._ours.communicate()
        self.hand.close()
        self.openocd.stop()
        self._directory.cleanup()

    def _answer(self) -> str:
        assert self._ours.stdout is not None
        return self._ours.stdout.readline().strip()

    def _ask(self, line: str, result: int) -> float:
        assert self._ours.stdin is not None
        self._ours.stdin.write(line + "\n")
        self._ours.stdin.flush()
        code, seconds, found = self._answer().split(" ", 2)
        assert (code, found) == ("0", str(result)), (code, found)
        return float(seconds)

    def our_put(self) -> float:
        return sum(
            self._ask(f"put {self.directory}/data {offset} {OUR_BYTES} file size $p", OUR_BYTES)
            for offset in range(0, TOTAL, OUR_BYTES)
        )

    def our_get(self) -> float:
        seconds = 0.0
        for offset in range(0, TOTAL, OUR_BYTES):
            piece, got = self.directory / "piece", self.directory / "got"
            piece.write_bytes(self.data[offset:offset + OUR_BYTES])
            seconds += self._ask(f"get {got} file rename -force {piece} $p", OUR_BYTES)
            assert got.read_bytes() == self.data[offset:offset + OUR_BYTES]
        return seconds

    def direct_put(self) -> float:
        """Escape, open, write, close, what OpenOCD says of the size, and nothing left behind."""
        path = str(self.directory / "hand").encode()
        begin = time.perf_counter()
        self.hand.command_bytes(b"set f [open %s wb]; format {}" % path)
        for offset in range(0, TOTAL, PUT_BYTES):
            self.hand.command_bytes(b"$f puts -nonewline " + quote(self.data[offset:offset + PUT_BYTES]))
        self.hand.command_bytes(b"$f close")
        size = self.hand.command_bytes(b"file size %s" % path)
        self.hand.command_bytes(b"file delete %s" % path)
        seconds = time.perf_counter() - begin
        assert size == b"%d" % TOTAL
        return seconds

    def direct_get(self) -> float:
        """The whole file at once; it is gone then."""
        path = self.directory / "hand"
        path.write_bytes(self.data)
        script = b"set f [open %s rb]; set d [$f read]; $f close; file delete %s; set d"
        name = str(path).encode()
        begin = time.perf_counter()
        reply = self.hand.command_bytes(ENVELOPE % (script % (name, name)))
        seconds = time.perf_counter() - begin
        head, _, rest = reply.partition(b":")
        assert head.startswith(b"\0NONCE 0 %d " % TOTAL) and rest[:TOTAL] == self.data
        return seconds
