"""Thousands of connections in one process and without threads: idle ones, and busy ones that always have a call
waiting."""

from __future__ import annotations

import json
import resource
import selectors
import socket
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence

from harness.waiting import LIMIT_S

# So many connections from one address of this host: their ports stay taken for a minute after their end.
_FROM_ONE_ADDRESS = 5000
_IP_BIND_ADDRESS_NO_PORT = 24
_made = 0


def raise_descriptor_limit(count: int) -> bool:
    """Lets this process have so many descriptors; False where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= count:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))
    except ValueError:
        return False
    return True


def private_kib(pid: int) -> int:
    """Memory of a process that nothing but it holds."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise RuntimeError("no RssAnon")


def connect(address: str) -> socket.socket:
    """To "tcp:HOST:PORT" or "unix:PATH"; over TCP from one of this host's many addresses."""
    global _made
    kind, _, rest = address.partition(":")
    if kind == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(LIMIT_S)
        connection.connect(rest)
        return connection
    host, _, port = rest.rpartition(":")
    number, _made = _made // _FROM_ONE_ADDRESS, _made + 1
    connection = socket.socket()
    connection.settimeout(LIMIT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
    connection.bind((f"127.0.{1 + number // 250 % 250}.{1 + number % 250}", 0))
    connection.connect((host, int(port)))
    return connection


def call_line(method: str, identifier: int = 1, **params: Any) -> bytes:
    """A call as it is sent."""
    return json.dumps({"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}).encode() + b"\n"


def result_line(identifier: int = 1, **result: Any) -> bytes:
    """The answer that the daemon gives, byte for byte."""
    answer = {"jsonrpc": "2.0", "id": identifier, "result": result}
    return json.dumps(answer, separators=(",", ":")).encode() + b"\n"


class Idle:
    """Connections that say something when they are told to."""

    def __init__(self, addresses: Sequence[str], count: int) -> None:
        """Connects to the addresses in turn."""
        self.sockets = [connect(addresses[i % len(addresses)]) for i in range(count)]

    def call(self, line: bytes, sockets: Optional[Iterable[socket.socket]] = None) -> List[List[bytes]]:
        """Sends it for all of them, or for these, at once; what each got, line by line, up to its answer and what
        came with that."""
        some = list(self.sockets if sockets is None else sockets)
        for each in some:
            each.sendall(line)
        begins = b'{"jsonrpc":"2.0","id":%d,' % json.loads(line)["id"]
        return [self._read_to(each, begins) for each in some]

    @staticmethod
    def _read_to(connection: socket.socket, begins: bytes) -> List[bytes]:
        got = bytearray()
        while not (got.endswith(b"\n") and begins in got):
            part = connection.recv(1 << 16)
            if not part:
                raise ConnectionError("the daemon closed an idle connection")
            got += part
        return bytes(got).splitlines()

    def close(self) -> None:
        """All at once."""
        for each in self.sockets:
            each.close()
        self.sockets.clear()


class Job(NamedTuple):
    """A call, and the answer that must come, as a whole or a part of a result."""

    line: bytes
    answer: Optional[bytes] = None
    part: bytes = b""

    def check(self, answer: bytes) -> None:
        """Raises AssertionError for another one."""
        right = answer == self.answer if self.answer is not None else b'"result":' in answer and self.part in answer
        if not right:
            raise AssertionError(f"asked {self.line!r}, wanted {self.answer or self.part!r}, answered {answer[:300]!r}")


class Worker:
    """One connection with one call in flight at the most."""

    def __init__(self, address: str, job: Callable[[int], Job]) -> None:
        """`job` says what the call of that number is."""
        self.socket = connect(address)
        self.answered = 0
        self._job = job
        self._current = job(0)
        self._buffer = b""
        self._sent_at = 0.0

    def send(self) -> None:
        self._current = self._job(self.answered)
        self._sent_at = time.perf_counter()
        self.socket.sendall(self._current.line)

    def take(self) -> Optional[float]:
        """How long the answer took, in seconds, if it is there."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionError("the daemon closed a busy connection")
        self._buffer += part
        if not self._buffer.endswith(b"\n"):
            return None
        answer, self._buffer = self._buffer, b""
        self._current.check(answer)
        self.answered += 1
        return time.perf_counter() - self._sent_at


class Busy:
    """Workers, each of which sends its next call as soon as the one before is answered."""

    def __init__(self) -> None:
        self.workers: List[Worker] = []
        self._selector = selectors.DefaultSelector()

    def add(self, address: str, job: Callable[[int], Job]) -> None:
        worker = Worker(address, job)
        self._selector.register(worker.socket, selectors.EVENT_READ, worker)
        self.workers.append(worker)

    def send(self) -> None:
        """The first call of each, or the next where it was left without one."""
        for worker in self.workers:
            worker.send()

    def serve(self, rounds: int, goes_on: bool = False) -> List[float]:
        """Until each has had so many answers more; how long each answer took. Everybody has a call waiting before, and
        behind it nobody, or everybody if it `goes_on`."""
        goals: Dict[Worker, int] = {worker: worker.answered + rounds for worker in self.workers}
        unfinished = len(goals)
        waits: List[float] = []
        deadline = time.monotonic() + LIMIT_S
        while unfinished > 0:
            for key, _ in self._selector.select(1.0):
                worker = key.data
                wait = worker.take()
                if wait is None:
                    continue
                waits.append(wait)
                unfinished -= worker.answered == goals[worker]
                if goes_on or worker.answered < goals[worker]:
                    worker.send()
            if time.monotonic() > deadline:
                raise TimeoutError(f"{unfinished} busy clients were not answered within {LIMIT_S:g} s")
        return waits

    def close(self) -> None:
        for worker in self.workers:
            worker.socket.close()
        self.workers.clear()
        self._selector.close()
