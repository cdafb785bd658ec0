"""The rows of the benchmark: what is timed on ocdmux, what against, and the goal."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from protocol_check import Validator

from harness.paths import PROTOCOL
from harness.stack import FLASH_BASE, KIB, Stack, make_image
from crowd_rows import direct_many, our_many
from link_rows import LinkFiles

FLASH_SIZE = 256 * KIB
BLOCK = 64 * KIB
WORDS = 300


class Direct:
    """A connection to OpenOCD's TCL-RPC port."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def command(self, text: str) -> bytes:
        """The reply to one command, without its 0x1a."""
        return self.command_bytes(text.encode())

    def command_bytes(self, command: bytes) -> bytes:
        """The same for a command of any bytes."""
        self._socket.sendall(command + b"\x1a")
        reply = bytearray()
        while not reply.endswith(b"\x1a"):
            part = self._socket.recv(1 << 18)
            if not part:
                raise ConnectionError("OpenOCD closed the connection")
            reply += part
        return bytes(reply[:-1])

    def close(self) -> None:
        self._socket.close()


class Json:
    """A bare connection to the daemon: no validation, which would be timed too."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp:").rpartition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._last_id = 0
        self._buffer = bytearray()

    def call(self, method: str, **params: Any) -> Dict[str, Any]:
        """The result; raises RuntimeError for an error."""
        self._last_id += 1
        line = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        self._socket.sendall(json.dumps(line).encode() + b"\n")
        while not self._buffer.endswith(b"\n"):
            part = self._socket.recv(1 << 18)
            if not part:
                raise ConnectionError("the daemon closed the connection")
            self._buffer += part
        reply = json.loads(self._buffer)
        self._buffer.clear()
        if "error" in reply:
            raise RuntimeError(str(reply["error"]))
        return reply["result"]

    def close(self) -> None:
        self._socket.close()


class Rig:
    """The programs and one connection of each kind."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.image = make_image(FLASH_SIZE)
        self.others: Dict[str, object] = {}  # what some rows need beside it, made when they do
        self.exit = ExitStack()

    def __enter__(self) -> "Rig":
        flags = ["--dump-root", str(self.directory)]
        self.stack = Stack(self.directory, Validator(PROTOCOL), flash_size=FLASH_SIZE, image=self.image, daemon_flags=flags)
        self.openocd = self.direct()
        self.ocdmux = self.json()
        self.ocdmux.call("target.halt")
        self.link_files = LinkFiles(Direct)
        return self

    def __exit__(self, *_: object) -> None:
        self.exit.close()
        self.link_files.close()
        self.openocd.close()
        self.ocdmux.close()
        self.stack.close()

    def direct(self) -> Direct:
        return Direct(self.stack.tcl_port)

    def json(self) -> Json:
        return Json(self.stack.daemon.address)


class Row(NamedTuple):
    """`direct` and `ours` give seconds; the ratio direct / ours must be at least `goal`."""

    name: str
    what: str
    against: str
    direct: Callable[[Rig], float]
    ours: Callable[[Rig], float]
    goal: float
    goal_text: str
    unit: str = "ms"  # of what the two give, times 1,000


def timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def reference_read(rig: Rig) -> float:
    """As the reference library reads bytes: 8-bit elements, sixteen pieces, each parsed into integers."""

    def work() -> None:
        data = bytearray()
        for offset in range(0, BLOCK, 4096):
            text = rig.openocd.command(f"read_memory 0x{FLASH_BASE + offset:x} 8 4096")
            data += bytes([int(element, 0) for element in text.split()])
        assert data == rig.image[:BLOCK]

    return timed(work)


def our_read(rig: Rig) -> float:
    def work() -> None:
        result = rig.ocdmux.call("memory.read_bytes", address=FLASH_BASE, size=BLOCK)
        assert base64.b64decode(result["data"]) == rig.image[:BLOCK]

    return timed(work)


def direct_dump(rig: Rig) -> float:
    path = rig.directory / "direct.bin"
    seconds = timed(lambda: rig.openocd.command(f"dump_image {path} 0x{FLASH_BASE:x} {BLOCK}"))
    assert path.read_bytes() == rig.image[:BLOCK]
    return seconds


def direct_words(rig: Rig) -> float:
    def work() -> None:
        for _ in range(WORDS):
            assert rig.openocd.command(f"read_memory 0x{FLASH_BASE:x} 32 1").startswith(b"0x")

    return timed(work) / WORDS


def our_words(rig: Rig) -> float:
    def work() -> None:
        for _ in range(WORDS):
            assert len(rig.ocdmux.call("memory.read_u32", address=FLASH_BASE)["values"]) == 1

    return timed(work) / WORDS


def percentile_99(waits: List[float]) -> float:
    """The wait that 99 of 100 do not exceed (nearest rank)."""
    ordered = sorted(waits)
    return ordered[max(0, -(-99 * len(ordered) // 100) - 1)]


def wait_beside(read_word: Callable[[], object], dump: Callable[[], object]) -> float:
    """p99 of one-word reads, one behind the other, that overlap with another client's dump."""
    problem: List[Optional[BaseException]] = [None]
    begun = threading.Event()
    ended = threading.Event()

    def run() -> None:
        begun.set()
        try:
            dump()
        except BaseException as error:  # told to the caller below
            problem[0] = error
        finally:
            ended.set()

    for _ in range(20):
        read_word()
    other = threading.Thread(target=run)
    other.start()
    begun.wait()
    waits = []
    while not ended.is_set():
        waits.append(timed(read_word))
    other.join()
    if problem[0] is not None:
        raise problem[0]
    return percentile_99(waits)


def direct_wait(rig: Rig) -> float:
    dumper = rig.direct()
    path = rig.directory / "direct.bin"
    try:
        return wait_beside(
            lambda: rig.openocd.command(f"read_memory 0x{FLASH_BASE:x} 32 1"),
            lambda: dumper.command(f"dump_image {path} 0x{FLASH_BASE:x} {FLASH_SIZE}"),
        )
    finally:
        dumper.close()


def our_wait(rig: Rig) -> float:
    dumper = rig.json()
    try:
        return wait_beside(
            lambda: rig.ocdmux.call("memory.read_u32", address=FLASH_BASE),
            lambda: dumper.call("memory.dump", address=FLASH_BASE, size=FLASH_SIZE, path="ours.bin"),
        )
    finally:
        dumper.close()


def our_dump(rig: Rig) -> float:
    return timed(lambda: rig.ocdmux.call("memory.dump", address=FLASH_BASE, size=FLASH_SIZE, path="ours.bin"))


def our_search(rig: Rig) -> float:
    pattern = rig.image[200_000:200_008]

    def work() -> None:
        result = rig.ocdmux.call(
            "memory.search", pattern=pattern.hex(), encoding="hex", start=FLASH_BASE, end=FLASH_BASE + FLASH_SIZE
        )
        assert result["matches"] == [f"0x{FLASH_BASE + 200_000:08x}"] and result["scanned"] == FLASH_SIZE

    return timed(work)


ROWS = [
    Row("read-bytes", "read_bytes of 64 KiB", "read_memory ADDR 8 4096 in sixteen pieces, as the reference library does",
        reference_read, our_read, 4.0, "at least 4 times as fast"),
    Row("read-dump", "read_bytes of 64 KiB", "one dump_image straight on OpenOCD",
        direct_dump, our_read, 1 / 1.05, "at most 5 % slower"),
    Row("read-word", "one read_u32", "the same command straight on OpenOCD's port",
        direct_words, our_words, 1 / 1.20, "at most 20 % slower"),
    Row("wait", "p99 of one-word reads while another client dumps 256 KiB", "the same two clients straight on OpenOCD",
        direct_wait, our_wait, 20.0, "at least 20 times better"),
    Row("search", "search of 256 KiB", "dump of the same range",
        our_dump, our_search, 1 / 1.05, "at most 5 % slower"),
    Row("many_words", "reads per second of 100 clients, each a word at a time", "one client, one read behind the other, straight on "
        "OpenOCD's port", direct_many, our_many, 1.3, "at least 1.3 times as many"),
    Row("link-put", "staging 1 MiB over the link, to OpenOCD's host (the daemon's link code, without clients or target)",
        "the same bytes escaped and sent in `puts` of 256 KiB, straight on the port of the same OpenOCD, which has no target",
        lambda rig: rig.link_files.direct_put(), lambda rig: rig.link_files.our_put(), 1 / 1.10,
        "at most 10 % slower"),
    Row("link-get", "staging 1 MiB over the link, from OpenOCD's host (the same)",
        "the whole file read raw through one envelope and deleted, straight on the port of the same OpenOCD",
        lambda rig: rig.link_files.direct_get(), lambda rig: rig.link_files.our_get(), 1 / 1.10,
        "at most 10 % slower"),
]
