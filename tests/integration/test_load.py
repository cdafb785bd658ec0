"""Ten thousand idle clients and a thousand busy ones at once; descriptors that carry fewer."""

from __future__ import annotations

import re
import resource
import tempfile
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from harness.client import Client
from harness import masses
from harness.masses import Busy, Idle, Job, call_line, private_kib, result_line
from harness.metrics import Page, metrics_port
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack
from harness.waiting import wait_until

pytestmark = pytest.mark.both  # memory, and a crowd at the speed that users get

IDLE = 10000
WORDS, RANGES, WRITERS = 800, 100, 100
ROUNDS = 3
DEAF = 1000  # subscribers that do not read
# What server/events.c keeps for subscribers that do not read, all together, and what that costs beside.
KEPT_KIB = 64 * KIB
EVENT = re.compile(rb'"method":"event","params":{"seq":(\d+),"topic":"\w+"(?:,"lost":(\d+))?')
PING = call_line("server.hello", identifier=7)
LONG_MS = 60000  # what never comes within the time of a test


@pytest.fixture(autouse=True)
def enough_descriptors() -> Iterator[None]:
    """For the test itself, and for the daemons that it starts."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not masses.raise_descriptor_limit(IDLE + 3000):
        pytest.skip(f"the hard limit on open files does not allow {IDLE} connections")
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.fixture(name="place")
def fixture_place() -> Iterator[Path]:
    """A directory with a short path, for a socket."""
    with tempfile.TemporaryDirectory(prefix="ocdmux-test-") as directory:
        yield Path(directory)


def descriptors(daemon: Daemon) -> int:
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


def is_sanitized(daemon: Daemon) -> bool:
    """AddressSanitizer keeps what is freed: then memory says nothing."""
    return "libasan" in Path(f"/proc/{daemon.pid}/maps").read_text()


def wait_clients(client: Client, count: int) -> None:
    wait_until(lambda: client.call("server.stats")["clients"] == count, f"{count} clients")


def commands(client: Client) -> int:
    """That went over the link so far."""
    return int(client.call("server.stats")["boards"][0]["commands"])


def patient(method: str, address: int, **params: object) -> bytes:
    """A call whose deadline does not come."""
    return call_line(method, address=address, timeout_ms=LONG_MS, **params)


def crowd(daemon: Daemon, flash: bytes) -> Busy:
    """Each has a word or a range of its own to read, or writes a word of its own and reads it back."""
    busy = Busy()

    def word(index: int) -> Callable[[int], Job]:
        value = int.from_bytes(flash[4 * index : 4 * index + 4], "little")
        job = Job(patient("memory.read_u32", FLASH_BASE + 4 * index), result_line(values=[value]))
        return lambda _: job

    def span(index: int) -> Callable[[int], Job]:
        line = patient("memory.read_bytes", FLASH_BASE + 64 * index, size=64, encoding="hex")
        data = b'"data":"%s"' % flash[64 * index : 64 * index + 64].hex().encode()
        return lambda _: Job(line, part=data)

    def write(index: int) -> Callable[[int], Job]:
        address = RAM_BASE + 4 * index

        def job(turn: int) -> Job:
            value = 1000 * index + turn // 2
            if turn % 2 == 0:
                return Job(patient("memory.write_u32", address, values=[value]), part=b'"count":1')
            return Job(patient("memory.read_u32", address), result_line(values=[value]))

        return job

    makers = [word(i) for i in range(WORDS)] + [span(i) for i in range(RANGES)] + [write(i) for i in range(WRITERS)]
    for i, maker in enumerate(makers):
        busy.add(daemon.addresses[i % 2], maker)
    return busy


def lost_by(lines: List[bytes]) -> int:
    """How many events somebody who did not read is told to have lost; all others it has got, in order."""
    expected = lost_of_all = 0
    for seq, lost in EVENT.findall(b"\n".join(lines)):
        lost_of_all += int(lost or 0)
        expected += int(lost or 0) + 1
        assert int(seq) == expected
    return lost_of_all


def test_ten_thousand_idle_and_a_thousand_busy(
    make_daemon: Callable[..., Daemon], connect: Callable[..., Client], flash_content: bytes, place: Path
) -> None:
    """The busy ones get their answers, right ones, while the idle ones come, while they are there, and while they go;
    these are served whenever they ask; and those who do not read their events cost what they are allowed to."""
    daemon = make_daemon("--anonymous-role", "admin", listen=("tcp:127.0.0.1:0", f"unix:{place}/socket"))
    client = connect(daemon)
    client.call("target.halt")
    memory, files = private_kib(daemon.pid), descriptors(daemon)
    sanitized = is_sanitized(daemon)

    busy = crowd(daemon, flash_content)
    before = commands(client)
    busy.send()
    idle = Idle(daemon.addresses, IDLE)
    assert commands(client) > before  # the link goes on while they come
    wait_clients(client, IDLE + len(busy.workers) + 1)
    busy.serve(1)
    idle.call(call_line("server.hello", client="idle"), idle.sockets[: IDLE // 2])
    assert sanitized or private_kib(daemon.pid) - memory < 4 * IDLE + 16 * len(busy.workers)

    deaf = idle.sockets[1::2][:DEAF]  # over the Unix socket, where the kernel takes less for them
    idle.call(call_line("events.subscribe", topics=["operation", "link", "lease"]), deaf)
    busy.send()
    busy.serve(ROUNDS)
    lost = client.call("server.stats")["events_lost"]
    assert lost > 0
    grown = private_kib(daemon.pid) - memory
    assert sanitized or grown < 4 * IDLE + 16 * len(busy.workers) + KEPT_KIB * 5 // 4, f"{grown} KiB"

    listening = set(deaf)
    idle.call(PING, [each for each in idle.sockets if each not in listening])
    pairs = zip(idle.call(PING, deaf), idle.call(PING, deaf))  # what is lost is told when there is room again
    assert sum(lost_by(first + second) for first, second in pairs) == lost

    busy.send()
    idle.close()
    busy.serve(1)
    busy.send()
    busy.close()
    wait_clients(client, 1)
    wait_until(lambda: descriptors(daemon) == files, "the end of all descriptors")
    if not sanitized:  # what operations returned is kept for a while
        wait_until(lambda: private_kib(daemon.pid) < memory + 8 * KIB, "the memory of the crowd to go back")
    assert client.call("memory.read_u32", address=FLASH_BASE)["values"] == [int.from_bytes(flash_content[:4], "little")]


def test_descriptors_that_carry_fewer_clients(stack: Stack, connect: Callable[..., Client], tmp_path: Path) -> None:
    """It is said at the start, not found out by a client; what the daemon needs itself is left to it."""
    flags = ["--openocd", f"127.0.0.1:{stack.tcl_port}", "--listen", "tcp:127.0.0.1:0"]
    flags += ["--dump-root", str(tmp_path), "--metrics", "127.0.0.1:0"]
    with Daemon(flags, prefix=["prlimit", "--nofile=64:200"]) as daemon:
        said = daemon.wait_for_line(
            r"warn max_clients is 16384, but this process may open 200 files, of which it needs (\d+) itself: "
            r"(\d+) clients are taken at a time"
        )
        places = int(said.group(2))
        assert places == 200 - int(said.group(1))
        assert Page(metrics_port(daemon)).value("ocdmux_clients_limit") == places
        client = connect(daemon)
        client.call("server.hello")
        crowd_of = [masses.connect(daemon.address) for _ in range(places + 20)]
        daemon.wait_for_line(f"{places} clients are connected: no more are taken for now")
        assert client.call("memory.dump", address=FLASH_BASE, size=64, path="dump.bin")["size"] == 64
        stage = client.call("stage.create", name="a", size=4)["stage"]
        client.call("stage.delete", stage=stage)
        assert not any("Too many open files" in line for line in daemon.log)
        for each in crowd_of:
            each.close()
        wait_clients(client, 1)
