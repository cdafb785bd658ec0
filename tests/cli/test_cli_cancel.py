"""Ctrl-C: the first cancels and waits for the answer, the second does not wait."""

import os
import signal
import subprocess
import threading
from typing import Any, Dict

import pytest

from fake_server import NO_ANSWER, RpcError


def read_until(process: subprocess.Popen, text: bytes) -> bytes:
    """What comes on standard error until `text` has come; ends also at the end of it."""
    got = b""
    while text not in got:
        piece = os.read(process.stderr.fileno(), 4096)
        if not piece:
            break
        got += piece
    return got


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_cancels_and_reports_what_was_done(tool, server, number) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.progress("program", 0, 1000)
        call.wait_cancel()
        raise RpcError("cancelled", "cancelled while programming", flash_state="partial", done=512, total=1000,
                       unit="bytes", phase="program")

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x" * 1000)
    process = tool.start("flash", "fw.bin")
    error = read_until(process, b"(0 %)\n").decode()
    process.send_signal(number)
    outcome = tool.finish(process)
    assert server.params("request.cancel") == {"id": server.called("flash.write_image")[0]["id"]}
    assert outcome.status == 1
    assert error + outcome.error == ("program: 0 of 1000 bytes (0 %)\n"
                             "ocdmux: cancelling; once more to stop waiting\n"
                             "ocdmux: cancelled: cancelled while programming\n"
                             "  flash_state: partial\n  done: 512\n  total: 1000\n  unit: bytes\n  phase: program\n"
                             "  the flash is partly programmed (512 of 1000 bytes done): flash it again before you use it\n"
                             "  the target was left halted\n")


def test_success_in_spite_of_the_cancel_is_success(tool, server, examples) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.wait_cancel()
        return examples["flash.write_image"]

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    process = tool.start("flash", "fw.bin")
    server.wait_for("flash.write_image")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert outcome.status == 0 and outcome.out.startswith("8 bytes written")


def test_second_interrupt_does_not_wait(tool, server) -> None:
    release = threading.Event()

    def handler(call: Any) -> object:
        call.progress("erase", 0, 3, "sectors")
        release.wait(60)
        return NO_ANSWER

    server.on("flash.write_image", handler)
    (tool.directory / "fw.bin").write_bytes(b"x")
    process = tool.start("flash", "fw.bin")
    error = read_until(process, b"erase: ")
    process.send_signal(signal.SIGINT)
    error += read_until(process, b"cancelling")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    release.set()
    assert outcome.status == 1
    assert (error.decode() + outcome.error).endswith(
        "ocdmux: cancelled: interrupted again before the server had answered the cancel: the request may go on there\n"
        "  the state of the flash is not known before it is over\n"
        "  'ocdmux wait op-7' tells how it ends\n")
    assert len(server.called("request.cancel")) == 1


def test_interrupt_stops_before_the_next_piece(tool, server) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.wait_cancel()
        return {"size": 2, "operation": "op-1"}

    server.limits["max_inline_bytes"] = 2
    server.on("memory.write_bytes", handler)
    (tool.directory / "in.bin").write_bytes(b"abcd")
    process = tool.start("load-bytes", "0", "in.bin")
    server.wait_for("memory.write_bytes")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error == ("ocdmux: cancelling; once more to stop waiting\n"
                             "ocdmux: cancelled: stopped between two requests\n"
                             "  written before that: 2 of 4 bytes\n")
    assert len(server.called("memory.write_bytes")) == 1


def test_interrupted_dump_leaves_nothing(tool, server) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.data(0, data="YQ==")
        call.wait_cancel()
        raise RpcError("cancelled", "stopped", done=1, total=3, unit="bytes", phase="read")

    server.on("memory.read_bytes", handler)
    process = tool.start("dump", "0", "3", "out.bin")
    server.wait_for("memory.read_bytes")
    process.send_signal(signal.SIGINT)
    assert tool.finish(process).status == 1
    assert set(os.listdir(tool.directory)) == {"server.sock"}


def test_interrupt_before_hello_ends_the_program(tool, server) -> None:
    server.on("server.hello", lambda call: NO_ANSWER)
    process = tool.start("halt")
    server.wait_for("server.hello")
    process.send_signal(signal.SIGINT)
    assert tool.finish(process).status == -signal.SIGINT


def test_connection_lost_after_the_cancel(tool, server) -> None:
    def handler(call: Any) -> object:
        call.wait_cancel()
        call.close()
        return NO_ANSWER

    server.on("target.halt", handler)
    process = tool.start("halt")
    server.wait_for("target.halt")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert outcome.status == 3
    assert "ocdmux: connection_lost: the server closed the connection\n" in outcome.error
