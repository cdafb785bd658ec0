"""What the transcripts of proto/transcripts.json show: for each method a call that succeeds, for each kind of error one
that fails so.

To add a method: a line `record.call("NAME", "What it shows", ...)` in the function of its namespace, where the board is
in the state that it needs; to add a kind of error: `record.fail("KIND", ...)` where it can be provoked. What is said in
several lines goes into `with record.take(...) as client:`. Then run tools/gen-transcripts.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List

from protocol_check import Validator
from recorder import Json, Recorder, RecordingClient
from rig import Rig

from harness.paths import PROTOCOL, VBOARD_WORKAREA_CONFIG
from harness.processes import Daemon
from harness.stack import FLASH_BASE, KIB, RAM_BASE, Stack, make_image
from harness.tokens import make_token
from harness.waiting import wait_until

FLASH, RAM = f"0x{FLASH_BASE:08x}", f"0x{RAM_BASE:08x}"
# The mock's own places.
MOCK_RAM = "0x20000000"
FIRMWARE = b"\x00\x50\x00\x20\x45\x00\x00\x08"  # not what the flash holds at first
PRETEND = (
    "rename {flash write_bank} true_write_bank; proc {flash write_bank} {bank file offset} {"
    'return "wrote [file size $file] bytes from file x to flash bank 0 at offset 0x00000000 in 0.1s (1.000 KiB/s)"}'
)
TELL_THE_TRUTH = "rename {flash write_bank} {}; rename true_write_bank {flash write_bank}"


def encode(data: bytes) -> str:
    """As the protocol writes bytes."""
    return base64.b64encode(data).decode()


# ---- methods, on a board of 16 KiB flash that is halted


def record_server(record: Recorder) -> None:
    record.call("server.hello", "Who is there, and what it takes", client="an example")
    record.call("rpc.discover", "The OpenRPC document, cut here behind the first method")
    with record.take("method request.cancel", "A request that waits is cancelled: both are answered") as client:
        waiting = client.send("target.wait", state="running", timeout_ms=60000)
        assert client.call("request.cancel", id=waiting)["found"] is True
        assert client.error(waiting).kind == "cancelled"


def record_operations(record: Recorder) -> None:
    with record.take("method operation.status", "An operation outlives its request") as client:
        operation = client.call("memory.read_bytes", address=RAM, size=4)["operation"]
        client.call("operation.status", operation=operation)
    with record.take("method operation.wait", "Its end, from any connection") as client:
        operation = client.call("memory.read_bytes", address=RAM, size=4)["operation"]
        client.call("operation.wait", operation=operation, timeout_ms=1000)
    with record.take("method operation.cancel", "Too late: it has ended") as client:
        operation = client.call("memory.read_bytes", address=RAM, size=4)["operation"]
        client.call("operation.cancel", operation=operation)


def record_boards(record: Recorder) -> None:
    record.call("board.list", "One board")
    record.call("board.status", "What is known of it")


def record_memory(record: Recorder) -> None:
    record.call("memory.read_u8", "Four values", address=FLASH, count=4)
    record.call("memory.read_u16", "One value", address=FLASH)
    record.call("memory.read_u32", "The initial stack pointer and the reset vector", address=FLASH, count=2)
    record.call("memory.read_u64", "64-bit values are texts", address=FLASH)
    record.call("memory.write_u8", "Two values", address=RAM, values=[0, 80])
    record.call("memory.write_u16", "One value", address=RAM, values=4660)
    record.call("memory.write_u32", "Two values, one as text", address=RAM, values=["0xdeadbeef", 1])
    record.call("memory.write_u64", "Beyond 2^53-1 only as text", address=RAM, values=["0xffffffffffffffff"])
    record.call("memory.write_bytes", "Four bytes", address=RAM, data="AQIDBA==")
    record.call("memory.read_bytes", "Four bytes", address=RAM, size=4)
    record.call("memory.read_bytes", "The same as hex digits", address=RAM, size=4, encoding="hex")
    record.call("memory.read_bytes", "Streamed: data comes before the reply", address=RAM, size=4, stream=True)
    record.call("memory.load_image", "Plain bytes into RAM", data=encode(FIRMWARE), format="bin", address=RAM)
    record.call("memory.hexdump", "For people", address=FLASH, size=32)
    record.call("memory.search", "Every place of two bytes", pattern="QQA=", start=FLASH, end="0x08000010")
    record.call("memory.dump", "Into a file below dump_root", address=FLASH, size=1024, path="flash.bin")


def record_targets(record: Recorder) -> None:
    record.call("target.list", "One target")
    record.call("target.state", "The current one")
    record.call("target.reset", "To the first instruction, and halted there", mode="halt")
    record.call("target.step", "One instruction")
    record.call("register.list", "What there is")
    record.call("register.write", "Two registers", names=["r0", "r1"], values=["0x2a", 7])
    record.call("register.read", "The program counter and another", names=["pc", "r0"])
    record.call("breakpoint.add", "An instruction", address="0x08000040", length=2)
    record.call("breakpoint.list", "What is set")
    record.call("breakpoint.remove", "By its address", address="0x08000040")
    record.call("target.resume", "From where it stands")
    record.fail("target_not_halted", "Registers of a running target are not known", "register.read", names=["pc"])
    record.call("target.wait", "At once, because it is so", state="running")
    record.call("target.halt", "Between any two instructions")


def record_flash(record: Recorder) -> None:
    record.call("flash.banks", "One bank")
    record.call("flash.info", "Its sectors and their protection", bank=0)
    with record.take("method flash.write_image", "Only what differs, with progress") as client:
        client.call("flash.write_image", data=encode(FIRMWARE), progress="p1")
    record.call("flash.verify", "Bytes at an offset", bank=0, offset=0, data=encode(FIRMWARE))
    record.call("flash.verify", "What differs is no error", bank=0, offset=0, data=encode(b"\x00\x51"))
    record.call("flash.read", "The first bytes", bank=0, offset=0, size=8)
    record.call("flash.read_to_file", "Into a file below dump_root", bank=0, path="bank.bin")
    record.call("flash.erase_sector", "One sector", bank=0, first=15, last=15)
    record.call("flash.write", "Into an erased sector", bank=0, offset=15 * KIB, data="AQIDBA==", erase=False)
    record.call("flash.protect", "What takes effect at the next reset", bank=0, first=12, last=15, on=True)
    with record.connect() as client:
        client.call("target.reset", mode="halt")
    record.fail("flash_error", "A protected sector", "flash.erase_sector", bank=0, first=15, last=15)
    with record.connect() as client:
        client.call("flash.protect", bank=0, first=12, last=15, on=False)
        client.call("target.reset", mode="halt")
    record.call("flash.erase_all", "The whole bank", bank=0)
    with record.connect() as client:
        assert client.call("openocd.command", command=PRETEND)["code"] == 0
        record.fail("verify_mismatch", "OpenOCD said that it was done", "flash.write_image", data=encode(FIRMWARE))
        assert client.call("openocd.command", command=TELL_THE_TRUTH)["code"] == 0


def record_stages(record: Recorder) -> None:
    digest = hashlib.sha256(FIRMWARE).hexdigest()
    with record.take("method stage.create", "An upload in two pieces, and what comes of it") as client:
        stage = client.call("stage.create", name="fw.bin", size=len(FIRMWARE), sha256=digest)["stage"]
        client.call("stage.write", stage=stage, offset=0, data=encode(FIRMWARE[:4]))
        client.call("stage.write", stage=stage, offset=4, data=encode(FIRMWARE[4:]))
        client.call("stage.create", name="fw.bin", size=len(FIRMWARE), sha256=digest)
    again = {"stage": stage, "offset": 0, "data": encode(FIRMWARE[:4])}
    record.call("stage.write", "A piece that is there already does no harm", **again)
    record.call("stage.read", "What it holds", stage=stage, offset=0, size=8)
    record.call("stage.list", "The stages of this identity")
    record.call("stage.delete", "Before it expires", stage=stage)
    with record.take("error stage_error", "Not what its hash said") as client:
        stage = client.call("stage.create", name="fw.bin", size=4, sha256=digest)["stage"]
        assert client.fail("stage.write", stage=stage, offset=0, data="AQIDBA==").kind == "stage_error"


def record_leases(record: Recorder) -> None:
    with record.connect() as client, record.connect() as other:
        for each, name in ((client, "ci"), (other, "desk")):
            each.call("server.hello", client=name)
        with record.take("method lease.acquire", "It is free", client=client):
            client.call("lease.acquire", ttl_ms=60000, reason="nightly tests")
        with record.take("method lease.renew", "From the connection that acquired it", client=client):
            client.call("lease.renew", ttl_ms=60000)
        with record.take("method lease.status", "Seen by another connection", client=other):
            other.call("lease.status")
        with record.take("error board_busy", "Somebody else holds the lease", client=other):
            assert other.fail("target.resume").kind == "board_busy"
        with record.take("method lease.release", "At once", client=client):
            client.call("lease.release")
        client.call("lease.acquire", ttl_ms=60000, reason="nightly tests")
        with record.take("method lease.break", "By an admin, whoever holds it", client=other):
            other.call("lease.break")
    record.fail("lease_lost", "No such lease, or no more", "target.resume", lease="4b1d")


def record_events(record: Recorder) -> None:
    with record.connect() as client:
        # Behind raw Tcl the daemon asks for everything anew.
        wait_until(lambda: client.call("board.status")["link"] == "idle", "an idle link")
        with record.take("method events.subscribe", "The snapshot first, then what happens", client=client):
            client.call("events.subscribe", topics=["lease"])
            client.call("lease.acquire", ttl_ms=60000)
            client.wait_notification(lambda each: each["method"] == "event" and each["params"]["kind"] == "granted")
        client.call("lease.release")
    record.call("events.unsubscribe", "All topics")


def record_watching(record: Recorder) -> None:
    ranges = [{"address": "0x20000000", "size": 16}]
    with record.connect() as client:
        with record.take("method memory.watch", "What is there now comes first", client=client):
            watch = client.call("memory.watch", ranges=ranges, interval_ms=1000)["watch"]
            client.wait_notification(lambda each: each["method"] == "memory.changed")
        with record.take("method memory.unwatch", "No more of it", client=client):
            client.call("memory.unwatch", watch=watch)
    record.call("client.list", "Who is connected")


def record_refusals(record: Recorder) -> None:
    with record.take("error parse_error", "Not JSON") as client:
        client.send_text('{"jsonrpc":"2.0","id":1,"method":')
        assert client.error(None).kind == "parse_error"
    with record.take("error invalid_request", "No id") as client:
        client.send_text('{"jsonrpc": "2.0", "method": "board.list"}')
        assert client.error(None).kind == "invalid_request"
    record.fail("method_not_found", "No such method", "board.destroy")
    record.fail("invalid_params", "A value that does not fit its width", "memory.write_u8", address=RAM, values=[256])
    record.fail("target_error", "No memory there; with OpenOCD's own words", "memory.read_u32", address="0x30000000")
    record.fail("invalid_range", "Beyond the target's addresses", "memory.read_bytes", address="0xfffffffe", size=8)
    record.fail("not_found", "No such board", "board.status", board="other")
    record.fail("image_invalid", "A checksum is wrong", "flash.write_image", data=encode(b":0100000001FF\n"))
    record.fail("limit_exceeded", "More than one reply may hold", "memory.read_bytes", address=FLASH, size=8388608)
    with record.take("error cancelled", "With what was done") as client:
        waiting = client.send("target.wait", state="running", timeout_ms=60000)
        client.send("request.cancel", id=waiting)
        assert client.error(waiting).kind == "cancelled"
    record.fail("timeout", "The target does not run by then", "target.wait", state="running", timeout_ms=50)


def record_real(directory: Path, into: List[Json]) -> None:
    """Everything that the real OpenOCD on the virtual board shows."""
    dumps = directory / "dumps"
    dumps.mkdir()
    config = {
        "boards": [{"name": "board", "openocd": "127.0.0.1:%PORT%"}], "anonymous_role": "admin",
        "dump_root": str(dumps), "stage_root": str(directory),
    }
    validator = Validator(PROTOCOL)
    with Stack(
        directory, validator, flash_size=16 * KIB, image=make_image(16 * KIB), openocd_config=VBOARD_WORKAREA_CONFIG,
        config=json.dumps(config),
    ) as stack, stack.client() as waiter:
        waiter.call("target.halt")
        record = Recorder(
            lambda: RecordingClient(stack.daemon.address, validator), {str(directory): "/srv/ocdmux"}, into)
        record_server(record)
        record_operations(record)
        record_boards(record)
        record_memory(record)
        record_targets(record)
        record_flash(record)
        record_stages(record)
        record_leases(record)
        record.call("openocd.command", "Tcl, for admins", command="version")
        record_events(record)
        record_watching(record)
        record_refusals(record)


def record_counters(directory: Path, into: List[Json]) -> None:
    """What counts everything, on a daemon that nobody else has used."""
    with Rig(directory, Validator(PROTOCOL)) as rig:
        record = recorder_of(rig, into)
        record.call("operation.list", "None, yet")
        record.call("server.stats", "Shortly after the start")


# ---- errors that need a fault


def recorder_of(rig: Rig, into: List[Json]) -> Recorder:
    return Recorder(lambda: RecordingClient(rig.daemon.address, rig.validator), {}, into)


def record_faults(directory: Path, into: List[Json]) -> None:
    """On a mock that fails when it is told to."""
    with Rig(directory, Validator(PROTOCOL)) as rig:
        record = recorder_of(rig, into)
        rig.mock.fault("fail", match="target names", code=0, text="{")
        record.fail("openocd_error", "An answer that cannot be understood", "target.list")
        rig.mock.clear_faults()
        rig.mock.fault("fail", match="flash protect", code=-908, text="Flash protection is not supported.")
        with rig.client() as client:
            client.call("target.halt")
        sectors = {"bank": 0, "first": 0, "last": 3}
        record.fail("unsupported", "The flash driver has no protection", "flash.protect", **sectors, on=True)
        rig.mock.clear_faults()
        with record.take("error outcome_unknown", "The time was over while OpenOCD wrote") as client:
            rig.mock.fault("stall", match="write_memory")
            assert client.fail("memory.write_u32", address=MOCK_RAM, values=1, timeout_ms=100).kind == "outcome_unknown"
            rig.mock.release()
        rig.wait_link("idle")
        rig.mock.clear_faults()
        rig.mock.crash()
        wait_until(lambda: "refused" in rig.status().get("last_error", ""), "a link that cannot be made")
        record.fail("openocd_unavailable", "OpenOCD is not there", "target.state", timeout_ms=100)
        rig.mock.restart()
        rig.wait_link("idle")


def record_short_lines(directory: Path, into: List[Json]) -> None:
    with Rig(directory, Validator(PROTOCOL), limits={"max_line_bytes": 1024}) as rig:
        record = recorder_of(rig, into)
        with record.take("error line_too_long", "Where a line may have 1024 bytes") as client:
            text = '{"jsonrpc":"2.0","id":1,"method":"memory.write_bytes","params":{"data":"'
            client.send_text(text + (1025 - len(text)) * "A")
            assert client.error(None).kind == "line_too_long"
            client.call("board.list")
        client.lines.clear()
    for line in into[-1]["lines"]:  # nobody wants to read them all
        if "client_text" in line:
            line["client_text"] = text + "AAAA... (1025 bytes)"


def record_roles(directory: Path, into: List[Json]) -> None:
    """Where clients must say who they are."""
    token, entry = make_token("ci", role="user")
    with Rig(directory, Validator(PROTOCOL), role="none", extra={"tokens": [entry]}, wait=False) as rig:
        rig.stopped = True  # nobody without a token can look whether it works
        record = recorder_of(rig, into)
        record.fail("unauthenticated", "Nobody knows who asks", "board.list")
        with record.take("method server.hello", "With a token") as client:
            client.call("server.hello", client="a CI job", token=token)
        with record.take("error forbidden", "The role does not allow it") as client:
            client.call("server.hello", token=token)
            assert client.fail("openocd.command", command="version").kind == "forbidden"


# Fails only what the daemon asks for behind its start, once the file is there.
NO_RANDOM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>
ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
    ssize_t (*real)(void *, size_t, unsigned) = (ssize_t (*)(void *, size_t, unsigned))dlsym(RTLD_NEXT, "getrandom");
    if (access(getenv("NO_RANDOM"), F_OK) == 0) {
        errno = ENOSYS;
        return -1;
    }
    return real(bytes, size, flags);
}
"""


def record_internal(directory: Path, into: List[Json]) -> None:
    """A system that is out of order: it gives no random numbers."""
    (directory / "shim.c").write_text(NO_RANDOM)
    shim, switch = directory / "shim.so", directory / "none"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(shim), str(directory / "shim.c")], check=True, timeout=60)
    environment = {"LD_PRELOAD": str(shim), "NO_RANDOM": str(switch)}
    flags = ["--openocd", "127.0.0.1:1", "--listen", "tcp:127.0.0.1:0"]
    with Daemon(flags, env=environment) as daemon:
        switch.touch()
        record = Recorder(lambda: RecordingClient(daemon.address, Validator(PROTOCOL)), {}, into)
        record.fail("internal_error", "The system gives no random numbers", "lease.acquire")
        switch.unlink()


def record_all(directory: Path) -> List[Json]:
    """Every transcript, in the order of the protocol: methods, then errors."""
    made: List[Json] = []
    for record in (record_real, record_counters, record_faults, record_short_lines, record_roles, record_internal):
        place = directory / record.__name__
        place.mkdir()
        record(place, made)
    document: Dict[str, Any] = json.loads(PROTOCOL.read_text(encoding="utf-8"))
    order = [f"method {method['name']}" for method in document["methods"]]
    order += [f"error {kind}" for kind in document["x-errors"]]
    return sorted(made, key=lambda transcript: order.index(transcript["shows"]))
