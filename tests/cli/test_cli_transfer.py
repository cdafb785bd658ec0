"""dump and load-bytes: files on this machine."""

import base64
import hashlib
import os
import random
from typing import Any, Dict, Optional

import pytest

from fake_server import NO_ANSWER, RpcError

DATA = random.Random(5).randbytes(100000) if hasattr(random.Random, "randbytes") else bytes(range(256)) * 400


def stream(data: bytes, piece: int = 30000, sha256: Optional[str] = None, **changes: Any) -> Any:
    """A handler of memory.read_bytes that streams `data`; `changes` go into the result."""

    def handler(call: Any) -> Dict[str, Any]:
        assert call.params["stream"] is True
        for offset in range(0, len(data), piece):
            call.data(offset, data=base64.b64encode(data[offset:offset + piece]).decode())
        digest = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
        return {"size": len(data), "sha256": digest, "disturbed": False, "operation": "op-1", **changes}

    return handler


def files(tool: Any) -> set:
    """The names in the tool's directory, without the server's socket."""
    return set(os.listdir(tool.directory)) - {"server.sock"}


def test_dump_writes_the_file(tool, server) -> None:
    server.on("memory.read_bytes", stream(DATA))
    outcome = tool.run("dump", "0x20000000", str(len(DATA)), "out.bin")
    assert (outcome.status, outcome.out, outcome.error) == (0, "", "")
    assert (tool.directory / "out.bin").read_bytes() == DATA
    assert files(tool) == {"out.bin"}
    sent = server.params("memory.read_bytes")
    sent.pop("progress")
    assert sent == {"address": "0x20000000", "size": len(DATA), "stream": True, "timeout_ms": 86400000}


def test_dump_replaces_an_older_file_only_at_the_end(tool, server) -> None:
    (tool.directory / "out.bin").write_bytes(b"old")
    seen = []

    def handler(call: Any) -> Dict[str, Any]:
        seen.append((tool.directory / "out.bin").read_bytes())
        seen.append((tool.directory / "out.bin.part").exists())
        return stream(DATA)(call)

    server.on("memory.read_bytes", handler)
    assert tool.run("dump", "0", str(len(DATA)), "out.bin", "--physical").status == 0
    assert seen == [b"old", True]
    assert (tool.directory / "out.bin").read_bytes() == DATA
    assert server.params("memory.read_bytes")["physical"] is True


def test_dump_to_standard_output(tool, server) -> None:
    server.on("memory.read_bytes", stream(DATA))
    process = tool.start("dump", "0", str(len(DATA)), "-")
    out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, b"")
    assert out == DATA
    assert files(tool) == set()


def test_dump_to_a_fifo_keeps_the_fifo(tool, server) -> None:
    server.on("memory.read_bytes", stream(DATA))
    os.mkfifo(tool.directory / "pipe")
    process = tool.start("dump", "0", str(len(DATA)), "pipe")
    assert (tool.directory / "pipe").read_bytes() == DATA
    assert tool.finish(process).status == 0
    assert files(tool) == {"pipe"} and (tool.directory / "pipe").is_fifo()


def test_dump_json_prints_the_result(tool, server) -> None:
    server.on("memory.read_bytes", stream(b"abc"))
    outcome = tool.run("dump", "0", "3", "out.bin", "--json")
    assert '"sha256": "ba7816bf' in outcome.out and (tool.directory / "out.bin").read_bytes() == b"abc"


def test_dump_tells_of_disturbance(tool, server) -> None:
    server.on("memory.read_bytes", stream(b"abc", disturbed=True))
    assert tool.run("dump", "0", "3", "out.bin").error == "note: the board was changed while this was read\n"


def bad_pieces(*pieces: Dict[str, Any]) -> Any:
    """A handler that sends these `data` notifications and then waits to be cancelled."""

    def handler(call: Any) -> Dict[str, Any]:
        for piece in pieces:
            call.connection.send({"jsonrpc": "2.0", "method": "data", "params": {"id": call.id, **piece}})
        call.wait_cancel()
        raise RpcError("cancelled", "as asked")

    return handler


BAD = [
    (stream(b"abc", sha256="0" * 64), "the bytes have the SHA-256 ba7816bf"),
    (stream(b"ab"), "2 of 3 bytes arrived, and the server read 2"),
    (stream(b"ab", size=3), "2 of 3 bytes arrived, and the server read 3"),
    (stream(b"abc", size=4), "3 of 3 bytes arrived, and the server read 4"),
    (stream(b"", sha256=hashlib.sha256(b"").hexdigest(), size=3), "0 of 3 bytes arrived"),
    (bad_pieces({"offset": 1, "data": "YQ=="}), "after 0 bytes is not where the last one ended"),
    (bad_pieces({"offset": 0, "data": "YWI="}, {"offset": 1, "data": "YQ=="}), "after 2 bytes is not where"),
    (bad_pieces({"offset": 0, "data": "YWJjZA=="}), "after 0 bytes is more than was asked for"),
    (bad_pieces({"offset": 0, "data": "YWJj="}), "after 0 bytes is malformed"),
    (bad_pieces({"offset": 0, "data": 5}), "after 0 bytes is malformed"),
    (bad_pieces({"offset": 0, "text": "abc"}), "after 0 bytes is malformed"),
    (bad_pieces({"data": "YWJj"}), "after 0 bytes is malformed"),
]


@pytest.mark.parametrize("handler, message", BAD, ids=[case[1] for case in BAD])
def test_dump_leaves_nothing_of_wrong_data(tool, server, handler, message) -> None:
    (tool.directory / "out.bin").write_bytes(b"old")
    server.on("memory.read_bytes", handler)
    outcome = tool.run("dump", "0", "3", "out.bin")
    assert outcome.status == 1, outcome
    assert f"ocdmux: data_corrupted: " in outcome.error and message in outcome.error
    assert files(tool) == {"out.bin"} and (tool.directory / "out.bin").read_bytes() == b"old"


def test_dump_leaves_nothing_of_a_failed_request(tool, server) -> None:
    server.on("memory.read_bytes", RpcError("target_error", "bus fault", address="0x20000000"))
    outcome = tool.run("dump", "0x20000000", "3", "out.bin")
    assert (outcome.status, outcome.error) == (1, "ocdmux: target_error: bus fault\n  address: 0x20000000\n")
    assert files(tool) == set()


def test_dump_leaves_nothing_of_a_lost_connection(tool, server) -> None:
    def handler(call: Any) -> object:
        call.data(0, data="YQ==")
        call.close()
        return NO_ANSWER

    server.on("memory.read_bytes", handler)
    assert tool.run("dump", "0", "3", "out.bin").status == 3
    assert files(tool) == set()


def test_dump_touches_no_file_without_a_server(bare) -> None:
    assert bare.run("--server", "unix:nobody.sock", "dump", "0", "3", "out.bin").status == 3
    assert files(bare) == set()


def test_dump_asks_nothing_where_it_cannot_write(tool, server) -> None:
    (tool.directory / "out.bin.part").write_bytes(b"other")
    outcome = tool.run("dump", "0", "3", "out.bin")
    assert outcome.status == 1 and "out.bin.part: is there already" in outcome.error
    assert (tool.directory / "out.bin.part").read_bytes() == b"other"
    assert tool.run("dump", "0", "3", "nowhere/out.bin").error == (
        "ocdmux: nowhere/out.bin.part: No such file or directory\n")
    (tool.directory / "folder").mkdir()
    assert tool.run("dump", "0", "3", "folder").error == "ocdmux: folder: Is a directory\n"
    assert server.called("memory.read_bytes") == []


def test_dump_stops_when_the_disk_is_full(tool, server) -> None:
    server.on("memory.read_bytes", bad_pieces({"offset": 0, "data": "YWJj"}))
    outcome = tool.run("dump", "0", "3", "/dev/full")
    assert outcome.status == 1
    assert "ocdmux: /dev/full: No space left on device\n" in outcome.error


def load(memory: Dict[int, int]) -> Any:
    """A handler of memory.write_bytes that keeps the bytes by address."""

    def handler(call: Any) -> Dict[str, Any]:
        data = base64.b64decode(call.params["data"], validate=True)
        address = int(call.params["address"], 0)
        memory.update((address + index, byte) for index, byte in enumerate(data))
        call.progress("write", len(data), len(data))
        return {"size": len(data), "operation": "op-1"}

    return handler


@pytest.mark.parametrize("command", ["load-bytes", "write-bytes"])
def test_load_splits_into_pieces_that_fit_a_line(tool, server, command) -> None:
    memory: Dict[int, int] = {}
    server.limits["max_line_bytes"] = 40000
    server.on("memory.write_bytes", load(memory))
    (tool.directory / "in.bin").write_bytes(DATA)
    outcome = tool.run(command, "0x20000000", "in.bin")
    assert (outcome.status, outcome.error) == (0, "")
    assert outcome.out == f"{len(DATA)} bytes written at 0x20000000\n"
    assert bytes(memory[0x20000000 + index] for index in range(len(DATA))) == DATA and len(memory) == len(DATA)
    assert len(server.called("memory.write_bytes")) == 4
    assert max(len(line) for line in server.lines) <= 40001


def test_load_keeps_to_the_inline_limit_and_prints_each_result(tool, server) -> None:
    memory: Dict[int, int] = {}
    server.limits["max_inline_bytes"] = 2
    server.on("memory.write_bytes", load(memory))
    outcome = tool.run("load-bytes", "0xfffffffe", "-", "--json", "--physical", given=b"abcde")
    assert outcome.out.splitlines() == ['{"size": 2, "operation": "op-1"}'] * 2 + ['{"size": 1, "operation": "op-1"}']
    assert memory == {0xfffffffe + index: byte for index, byte in enumerate(b"abcde")}
    assert [call["params"]["address"] for call in server.called("memory.write_bytes")] == [
        "0xfffffffe", "0x100000000", "0x100000002"]
    assert all(call["params"]["physical"] is True for call in server.called("memory.write_bytes"))


def test_load_tells_how_far_it_came(tool, server) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        if call.params["address"] != "0x00000000":
            raise RpcError("target_error", "bus fault")
        return {"size": 2, "operation": "op-1"}

    server.limits["max_inline_bytes"] = 2
    server.on("memory.write_bytes", handler)
    outcome = tool.run("load-bytes", "0", "-", given=b"abcde")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error == "ocdmux: target_error: bus fault\n  written before that: 2 of 5 bytes\n"


def test_load_refuses_what_does_not_fit_the_address_space(tool, server) -> None:
    outcome = tool.run("load-bytes", "0xfffffffffffffffe", "-", given=b"abc")
    assert outcome.status == 2 and "FILE does not fit behind ADDRESS" in outcome.error
