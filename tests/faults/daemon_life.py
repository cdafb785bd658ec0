"""One life of a daemon in which everything that writes files is done once, what it acknowledged, and what must be true
behind that, however it ended."""

from __future__ import annotations

import base64
import random
from collections import Counter
from pathlib import Path
from typing import Any, Callable, List, Optional, Set, Tuple

from control import MockControl
from daemon_place import Place, sha256
from harness.chosen import ALL_KILLS
from harness.client import Client, RpcError
from harness.fault_shim import AFTER, BEFORE, HALF, Call
from harness.waiting import wait_until
from rig import FLASH, KIB, RAM

SECTOR = KIB
OFFSET = 300  # of the image; its end lies in the second sector
BEFORE_BYTES = random.Random(1).randbytes(2 * SECTOR)
IMAGE = random.Random(2).randbytes(1500)
AFTER_BYTES = BEFORE_BYTES[:OFFSET] + IMAGE + BEFORE_BYTES[OFFSET + len(IMAGE) :]
HOUR = 3600 * 1000
MOMENTS = {BEFORE: "before", HALF: "in the middle of", AFTER: "behind"}
CHANGES = ("write_memory", "erase_sector", "write_bank", "halt 0")


class Ledger:
    """What a life of the daemon has acknowledged, and what it was at when it ended."""

    def __init__(self, place: Place, tries_again: bool = False) -> None:
        """`tries_again`: what fails is asked for once more, and must succeed then."""
        self.place = place
        self.tries_again = tries_again
        self.errors: List[RpcError] = []
        self.record_stays = False  # of kept bytes, for it could not be removed
        self.done: List[str] = []
        self.at = "start"
        self.lease: Optional[str] = None  # acknowledged and not given back
        self.volatile = False  # nobody said that it would outlive the daemon
        self.lease_before: Optional[str] = None  # the one that was given back, or was about to be
        self.stage = ""
        self.client: Optional[Client] = None

    def step(self, name: str, call: Callable[[], Any]) -> Any:
        self.at = name
        try:
            result = call()
        except RpcError as error:
            if not self.tries_again:
                raise
            self.errors.append(error)
            result = call()
        self.done.append(name)
        return result

    def acquire(self) -> None:
        assert self.client is not None
        granted = self.client.call("lease.acquire", ttl_ms=HOUR, detach=True, reason="kills")
        self.lease, self.volatile = granted["lease"], "volatile" in granted

    def release(self) -> None:
        assert self.client is not None
        self.lease_before, self.lease = self.lease, None
        self.client.call("lease.release")

    def live(self) -> None:
        """Everything that writes files, once, from the start to the end."""
        place = self.place
        self.step("start", place.start)
        client = self.client = place.client()
        wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")
        self.step("acquire", self.acquire)
        self.step("renew", lambda: client.call("lease.renew", ttl_ms=2 * HOUR))
        made = self.step("create", lambda: client.call("stage.create", name="x", size=len(IMAGE), sha256=sha256(IMAGE)))
        self.stage = made["stage"]
        for i, (begin, end) in enumerate(((0, 700), (700, len(IMAGE)))):
            data = base64.b64encode(IMAGE[begin:end]).decode()
            self.step(f"write {i}", lambda: client.call("stage.write", stage=self.stage, offset=begin, data=data))
        self.step("halt", lambda: client.call("target.halt"))
        self.step("flash", lambda: client.call("flash.write_image", stage=self.stage, format="bin", address=FLASH + OFFSET))
        self.step("dump", lambda: client.call("memory.dump", path="a.bin", address=FLASH, size=2 * SECTOR))
        self.step("poke", lambda: client.call("memory.write_u32", address=RAM, values=0x12345678))
        self.step("release", self.release)
        self.step("acquire again", self.acquire)
        self.step("delete", lambda: client.call("stage.delete", stage=self.stage))
        self.end()

    def end(self) -> None:
        assert self.place.daemon is not None
        self.step("stop", self.place.daemon.stop)


def prepare(mock: MockControl, content: bytes = BEFORE_BYTES) -> None:
    mock.clear_faults()
    mock.poke(FLASH, content)
    mock.poke(RAM, bytes(4))
    mock.target_state("running")


def live_until_killed(ledger: Ledger) -> None:
    """The daemon's end is an exception of whatever was asked of it."""
    try:
        ledger.live()
    except (EOFError, OSError, RuntimeError, AssertionError, RpcError) as reason:
        assert ledger.place.shim.killed, f"{ledger.at}: {reason}"
    wait_until(lambda: ledger.place.daemon is None or not ledger.place.daemon.alive, "the end of the daemon")


def check_leases(ledger: Ledger, client: Client) -> None:
    """The one that was acknowledged, or was about to be, and no other."""
    status = client.call("lease.status")
    if ledger.volatile:
        assert "lease" not in status or client.call("lease.status", lease=ledger.lease)["yours"]
    elif ledger.lease is not None:
        assert client.call("lease.status", lease=ledger.lease)["yours"], f"the lease is lost: {status}"
        assert status["lease"]["reason"] == "kills"
    elif ledger.at not in ("acquire", "acquire again", "release"):
        assert "lease" not in status, f"a lease that nobody has: {status}"
    if ledger.lease_before is not None and ledger.at != "release":
        assert not client.call("lease.status", lease=ledger.lease_before)["yours"]
    if "lease" in status:
        most = (2 if "renew" in (ledger.at, *ledger.done) and "release" not in ledger.done else 1) * HOUR
        assert client.fail("lease.acquire").data["expected_wait_ms"] <= most
        client.call("lease.break")
    client.call("lease.acquire")
    client.call("lease.release")


def check_stages(ledger: Ledger, client: Client) -> None:
    """They went with the daemon, with every file."""
    place = ledger.place
    assert client.call("stage.list")["stages"] == []
    for name in ("stages", "shares"):
        (home,) = place.left(name)
        assert list(home.iterdir()) == []
    if ledger.stage:
        assert client.fail("stage.read", stage=ledger.stage, offset=0, size=1).kind == "not_found"


def damaged(content: bytes) -> Set[int]:
    """Sectors in which bytes beside the image are gone."""
    beside = [i for i in range(2 * SECTOR) if not OFFSET <= i < OFFSET + len(IMAGE)]
    return {i // SECTOR for i in beside if content[i] != BEFORE_BYTES[i]}


def check_flash(ledger: Ledger, client: Client, commands: int) -> None:
    """What is lost in the flash is kept, and comes back with the next write, not before."""
    mock = ledger.place.mock
    content = mock.peek(FLASH, 2 * SECTOR)
    pending = {each["offset"] // SECTOR for each in client.call("board.status")["pending_repairs"]}
    assert damaged(content) <= pending, "bytes beside the image are lost"
    if "flash" in ledger.done:
        assert content == AFTER_BYTES and (ledger.record_stays or pending == set())
    elif ledger.at != "flash":
        assert content == BEFORE_BYTES and pending == set()
    since = [script for script in mock.scripts() if any(word in script for word in CHANGES)]
    assert len(since) == commands, f"done twice: {since}"
    client.call("flash.write_image", data=base64.b64encode(IMAGE).decode(), address=FLASH + OFFSET, prepare="halt")
    assert mock.peek(FLASH, 2 * SECTOR) == AFTER_BYTES
    assert client.call("board.status")["pending_repairs"] == []
    assert set(ledger.place.board_files()) == set()


def check_dump(ledger: Ledger, client: Client) -> None:
    """Whole or not there; what a killed daemon left of one goes with the next."""
    place = ledger.place
    names = [path.name for path in place.left("dumps") if not path.name.startswith(".")]
    if "dump" in ledger.done:
        assert names == ["a.bin"]
    if names:
        assert names == ["a.bin"] and (place.directory / "dumps" / "a.bin").read_bytes() == AFTER_BYTES
        assert "dump" in (ledger.at, *ledger.done)
    client.call("memory.dump", path="b.bin", address=FLASH, size=4)
    assert [path.name for path in place.left("dumps")] == [*names, "b.bin"]


def check_audit(ledger: Ledger, before: bytes) -> None:
    """A beginning and an end of all that was acknowledged; a line that the kill cut stands alone."""
    place = ledger.place
    text = place.audit_path.read_bytes()
    assert text.startswith(before)
    assert before[-1:] in (b"", b"\n") or text[len(before) :].startswith(b"\n"), "two lines are one"
    lines = place.audit_lines()
    assert lines.count(None) <= 1 and lines[-1] is not None
    whole = [line for line in lines if line is not None]
    methods = {"halt": "target.halt", "flash": "flash.write_image", "poke": "memory.write_u32"}
    leases = {"acquire": "granted", "renew": "renewed", "release": "released", "acquire again": "granted"}
    expected: Counter[Tuple[str, str]] = Counter()
    for step in ledger.done:
        if step in methods:
            expected.update([(methods[step], "begun"), (methods[step], "ended")])
        elif step in leases:
            expected.update([("lease", leases[step])])
    found = Counter((line.get("method", "lease"), line.get("kind", line["event"])) for line in whole)
    gaps = sum(line["lines"] for line in whole if line["event"] == "gap")
    assert (expected - found).total() <= gaps, f"{expected - found} are missing, {gaps} are said to be"


def check_after(ledger: Ledger) -> None:
    """Another daemon in the same place, which says nothing bad of what it finds."""
    place = ledger.place
    place.shim.reset()
    audit = place.audit_path.read_bytes() if place.audit_path.exists() else b""
    commands = sum(any(word in script for word in CHANGES) for script in place.mock.scripts())
    daemon = place.start()
    client = place.client()
    wait_until(lambda: client.call("board.status")["link"] == "idle", "the link")
    check_stages(ledger, client)
    check_leases(ledger, client)
    if "poke" in ledger.done:
        assert place.mock.peek(RAM, 4) == bytes([0x78, 0x56, 0x34, 0x12])
    check_flash(ledger, client, commands)
    check_dump(ledger, client)
    check_audit(ledger, audit)
    said = [line for line in daemon.log if " error " in line]
    assert said == []
    assert daemon.stop() == 0
    assert place.left("stages") == place.left("shares") == [] and place.board_files() == {}


def kind_of(call: Call, place: Path) -> str:
    """Calls of one kind are as good as each other, as far as one may guess."""
    parts = Path(call.path).relative_to(place).parts
    last = parts[-1]
    random_name = len(last) == 32 or last.startswith("ocdmux-")
    return f"{call.name} {parts[0]} {len(parts)} {'?' if random_name else last.partition('-')[0]}"


def is_worth_it(call: Call, moment: int) -> bool:
    """Behind a call is mostly before the next one; but not where others see what it did."""
    return moment != AFTER or call.name in ("rename", "unlink", "mkdir") or "/audit/" in call.path


def moments_of(calls: List[Call], place: Path) -> List[Tuple[Call, int]]:
    """Which calls, and when."""
    chosen: List[Tuple[Call, int]] = []
    seen: Set[Tuple[str, int]] = set()
    for call in calls:
        for moment in (BEFORE, HALF, AFTER) if call.name == "write" else (BEFORE, AFTER):
            kind = (kind_of(call, place), moment)
            if ALL_KILLS or (kind not in seen and is_worth_it(call, moment)):
                chosen.append((call, moment))
            seen.add(kind)
    return chosen
