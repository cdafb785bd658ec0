"""read-bank, write-bank and what stays on the server: the requests, the files and what is printed."""

import base64
import hashlib
import json
from typing import Any, Dict

import pytest

from fake_server import RpcError

DATA = bytes(range(250)) * 3
SHA256 = hashlib.sha256(DATA).hexdigest()


def streamed(call: Any) -> Dict[str, Any]:
    """DATA, in two pieces."""
    call.data(0, data=base64.b64encode(DATA[:500]).decode())
    call.data(500, data=base64.b64encode(DATA[500:]).decode())
    return {"size": len(DATA), "sha256": SHA256, "disturbed": False, "operation": "op-1"}


def test_read_bank_streams_into_a_file(tool, server) -> None:
    server.on("flash.read", streamed)
    outcome = tool.run("read-bank", "1K", "750", "out.bin", "--bank", "1", "--consistent")
    assert (outcome.status, outcome.out, outcome.error) == (0, "", "")
    assert (tool.directory / "out.bin").read_bytes() == DATA
    params = server.params("flash.read")
    params.pop("progress")
    assert params == {"bank": 1, "offset": 1024, "size": 750, "consistent": True, "stream": True, "timeout_ms": 86400000}
    assert tool.run("read-bank", "0", "750", "-").out.encode("utf-8", "surrogateescape") == DATA
    assert json.loads(tool.run("read-bank", "0", "750", "out.bin", "--json").out)["sha256"] == SHA256


def test_read_bank_that_fails_leaves_no_file(tool, server) -> None:
    server.on("flash.read", lambda call: {**streamed(call), "sha256": "0" * 64})
    outcome = tool.run("read-bank", "0", "750", "out.bin")
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: data_corrupted: ")
    assert list(tool.directory.glob("out*")) == []


def test_write_bank_sends_bytes_or_a_stage(tool, server) -> None:
    server.on("flash.write", {"size": 3, "sectors_erased": 1, "operation": "op-1"})
    (tool.directory / "fw.bin").write_bytes(b"abc")
    outcome = tool.run("write-bank", "4K", "fw.bin", "--erase")
    assert (outcome.status, outcome.out) == (0, "3 bytes written, 1 sectors erased\n")
    assert tool.run("write-bank", "0", "--stage", "s1", "--bank", "2").status == 0
    first, second = [dict(call["params"]) for call in server.called("flash.write")]
    for params in (first, second):
        params.pop("progress")
    assert first == {"bank": 0, "offset": 4096, "erase": True, "data": "YWJj"}
    assert second == {"bank": 2, "offset": 0, "stage": "s1"}


def test_write_bank_tells_the_state_of_the_flash(tool, server) -> None:
    server.on("flash.write", RpcError("flash_error", "not erased", reason="not_erased", flash_state="unchanged"))
    (tool.directory / "fw.bin").write_bytes(b"abc")
    outcome = tool.run("write-bank", "0", "fw.bin")
    assert outcome.status == 1 and "  the flash is unchanged\n" in outcome.error


def test_dump_to_a_stage(tool, server) -> None:
    server.on("memory.dump", {"stage": "s7", "size": 16, "sha256": SHA256, "disturbed": False, "operation": "op-1"})
    assert tool.run("dump", "0", "16", "--to-stage").out == f"s7: 16 bytes, SHA-256 {SHA256}\n"
    assert "path" not in server.params("memory.dump")


def test_bank_into_a_file_of_the_server(tool, server) -> None:
    server.on("flash.read_to_file", {"path": "a/b", "size": 16, "sha256": SHA256, "disturbed": False, "operation": "op-1"})
    outcome = tool.run("download", "--bank", "0", "--on-server", "a/b")
    assert (outcome.status, outcome.out) == (0, f"a/b: 16 bytes, SHA-256 {SHA256}\n")
    assert server.params("flash.read_to_file")["path"] == "a/b"


@pytest.mark.parametrize("line, method, expected", [
    ("state", "target.state", {}),
    ("operations op-7", "operation.status", {"operation": "op-7"}),
    ("read 0 --cacheable", "memory.read_u32", {"address": "0x00000000", "count": 1, "cacheable": True}),
    ("hexdump 0 16 --consistent --json", "memory.hexdump", {"address": "0x00000000", "size": 16, "consistent": True,
                                                            "timeout_ms": 86400000}),
    ("discover", "rpc.discover", {}),
])
def test_smaller_commands_ask_for_what_they_say(tool, server, examples, line, method, expected) -> None:
    tool.run(*line.split())
    assert server.params(method) == expected
