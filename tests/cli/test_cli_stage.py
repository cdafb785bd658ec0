"""upload, download and the uploads of other commands: pieces, resuming, cancelling, and servers that answer nonsense."""

import hashlib
import json
import os
import random
import signal
from typing import Any, Dict

import pytest

from fake_server import NO_ANSWER, RpcError

DATA = random.Random(8).randbytes(250000)
SHA = hashlib.sha256(DATA).hexdigest()
PIECE = 100000


@pytest.fixture(name="pieces")
def fixture_pieces(server: Any, stages: Any, tool: Any) -> Any:
    """The stages of a server that takes pieces of PIECE bytes, with DATA in the file fw.bin."""
    server.limits["max_inline_bytes"] = PIECE
    (tool.directory / "fw.bin").write_bytes(DATA)
    return stages


def files(tool: Any) -> set:
    """The names in the tool's directory, without the server's socket."""
    return set(os.listdir(tool.directory)) - {"server.sock"}


def offsets(server: Any) -> list:
    """Where the pieces went that were sent."""
    return [call["params"]["offset"] for call in server.called("stage.write")]


def test_upload_sends_pieces_and_prints_the_id(tool, server, pieces) -> None:
    outcome = tool.run("upload", "fw.bin")
    assert (outcome.status, outcome.out) == (0, "stage0\n")
    assert server.params("stage.create") == {"name": "fw.bin", "size": len(DATA), "sha256": SHA}
    assert offsets(server) == [0, PIECE, 2 * PIECE]
    assert pieces.files["stage0"].data == DATA


def test_upload_of_what_is_there_sends_nothing(tool, server, pieces) -> None:
    stage = pieces.add(DATA)
    outcome = tool.run("upload", "fw.bin")
    assert (outcome.status, outcome.out) == (0, stage + "\n")
    assert outcome.error == "note: the server had this content already\n"
    assert offsets(server) == []


def test_upload_goes_on_where_it_stopped(tool, server, pieces) -> None:
    pieces.add(DATA[:170000], len(DATA), sha256=SHA)
    outcome = tool.run("upload", "fw.bin")
    assert outcome.status == 0 and offsets(server) == [170000]
    assert outcome.error.startswith("upload: 170000 of 250000 bytes (68 %)\n")
    assert pieces.files["stage0"].data == DATA


def test_upload_json(tool, pieces) -> None:
    outcome = tool.run("upload", "-", "--json", given=DATA)
    assert outcome.error == ""
    assert json.loads(outcome.out) == {"stage": "stage0", "size": len(DATA), "sha256": SHA, "present": False}
    assert pieces.files["stage0"].name == "standard input"


@pytest.mark.parametrize("name, shown", [
    ("\x1b[2Jx", "\\x1b[2Jx"), ("a\nb", "a\\x0ab"), ("\udcffx", "\\xffx"), ("n" * 250 + "\u20ac", "n" * 250 + "\u20ac"),
    ("\x01" * 80, "\\x01" * 63 + "\\x0"), ("\u20ac" * 84, "\u20ac" * 84)], ids=range(6))
def test_name_of_a_stage_is_one_that_the_protocol_takes(tool, pieces, name, shown) -> None:
    (tool.directory / name).write_bytes(b"x")
    assert tool.run("upload", f"./{name}").status == 0
    assert pieces.files["stage0"].name == shown


def test_lost_connection_says_that_the_upload_goes_on(tool, server, pieces) -> None:
    def handler(call: Any) -> Any:
        if call.params["offset"] == PIECE:
            call.close()
            return NO_ANSWER
        return pieces.write(call)

    server.on("stage.write", handler)
    outcome = tool.run("flash", "fw.bin")
    assert outcome.status == 3
    assert outcome.error.endswith("ocdmux: connection_lost: the server closed the connection\n"
                                  "  uploaded: 100000 of 250000 bytes; the same command goes on from there\n"
                                  "  the flash is unchanged\n")
    server.on("stage.write", pieces.write)
    server.on("flash.write_image", {"format": "bin", "segments": 1, "bytes_written": len(DATA), "bytes_unchanged": 0,
                                    "sectors_erased": 250, "verified": True, "repaired_bytes": 0, "duration_ms": 5,
                                    "operation": "op-1"})
    assert tool.run("flash", "fw.bin").status == 0
    assert offsets(server) == [0, PIECE, PIECE, 2 * PIECE]
    assert pieces.files["stage0"].data == DATA


def test_interrupt_stops_an_upload_and_leaves_the_flash_alone(tool, server, pieces) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.wait_cancel()
        return pieces.write(call)

    server.on("stage.write", handler)
    process = tool.start("flash", "fw.bin")
    server.wait_for("stage.write")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error.endswith("ocdmux: cancelling; once more to stop waiting\n"
                                  "ocdmux: cancelled: stopped during the upload\n"
                                  "  uploaded: 100000 of 250000 bytes; the same command goes on from there\n"
                                  "  the flash is unchanged\n")
    assert server.called("flash.write_image") == [] and offsets(server) == [0]


def test_interrupt_with_the_last_piece_does_not_flash_either(tool, server, pieces) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        if call.params["offset"] == 2 * PIECE:
            call.wait_cancel()
        return pieces.write(call)

    server.on("stage.write", handler)
    process = tool.start("flash", "fw.bin")
    server.wait_for("stage.write", 3)
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error.endswith("ocdmux: cancelled: stopped after the upload\n  the flash is unchanged\n")
    assert server.called("flash.write_image") == [] and pieces.files["stage0"].is_complete()
    process = tool.start("upload", "fw.bin")
    assert tool.finish(process).out == "stage0\n"


def test_second_interrupt_ends_an_upload_that_gets_no_answer(tool, server, pieces) -> None:
    def handler(call: Any) -> object:
        call.wait_cancel()
        process.send_signal(signal.SIGINT)
        return NO_ANSWER

    server.on("stage.write", handler)
    process = tool.start("flash", "fw.bin")
    server.wait_for("stage.write")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert (outcome.status, outcome.out) == (1, "")
    assert "ocdmux: cancelled: interrupted again before the server had answered the cancel" in outcome.error
    assert outcome.error.endswith("  the flash is unchanged\n")
    assert server.called("flash.write_image") == []


def test_refused_upload_is_told(tool, server, pieces) -> None:
    server.on("stage.create", RpcError("limit_exceeded", "the quota is used up", limit="quota_bytes", maximum=1000))
    outcome = tool.run("flash", "fw.bin")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error == ("ocdmux: limit_exceeded: the quota is used up\n  limit: quota_bytes\n  maximum: 1000\n"
                             "  the flash is unchanged\n")
    server.on("stage.create", pieces.create)
    server.on("stage.write", RpcError("stage_error", "no space left", stage="stage0"))
    outcome = tool.run("load", "fw.bin")
    assert outcome.status == 1
    assert outcome.error.endswith("ocdmux: stage_error: no space left\n  stage: stage0\n  the memory is unchanged\n")


def test_server_that_takes_no_data_at_all(tool, server, pieces) -> None:
    server.limits["max_inline_bytes"] = 0
    outcome = tool.run("upload", "fw.bin")
    assert outcome.status == 1 and "too short for any data" in outcome.error


BAD_CREATED = [
    {}, [], None, {"stage": "s", "present": False}, {"stage": "s", "offset": 0}, {"stage": 5, "present": False, "offset": 0},
    {"stage": "", "present": False, "offset": 0}, {"stage": "s" * 65, "present": False, "offset": 0},
    {"stage": "s", "present": "yes", "offset": 0}, {"stage": "s", "present": False, "offset": -1},
    {"stage": "s", "present": False, "offset": "x"}, {"stage": "s", "present": False, "offset": 250000},
    {"stage": "s", "present": False, "offset": 2 ** 63},
]


@pytest.mark.parametrize("answer", BAD_CREATED, ids=repr)
def test_strange_stage_is_told(tool, server, pieces, answer) -> None:
    server.check_results = False
    server.on("stage.create", lambda call: answer)
    outcome = tool.run("upload", "fw.bin")
    assert (outcome.status, outcome.out) == (3, "")
    assert outcome.error == "ocdmux: protocol_error: the result of stage.create is not what the protocol says\n"


BAD_WRITTEN = [
    {}, None, {"offset": PIECE, "size": 250000}, {"offset": 0, "size": 250000, "complete": False},
    {"offset": 250001, "size": 250000, "complete": False}, {"offset": PIECE, "size": 1, "complete": False},
    {"offset": PIECE, "size": 250000, "complete": True}, {"offset": 250000, "size": 250000, "complete": False},
    {"offset": "x", "size": 250000, "complete": False}, {"offset": PIECE, "size": 250000, "complete": 0},
    {"offset": 250000, "size": 250000, "complete": True, "sha256": "0" * 64},
]


@pytest.mark.parametrize("answer", BAD_WRITTEN, ids=repr)
def test_strange_offsets_of_an_upload_end_it(tool, server, pieces, answer) -> None:
    server.check_results = False
    server.on("stage.write", lambda call: answer)
    outcome = tool.run("flash", "fw.bin")
    assert (outcome.status, outcome.out) == (3, "")
    assert "ocdmux: protocol_error: the result of stage.write is not what the protocol says\n" in outcome.error
    assert outcome.error.endswith("  the flash is unchanged\n")
    assert offsets(server) == [0] and server.called("flash.write_image") == []


def test_server_that_is_ahead_is_believed(tool, server, pieces) -> None:
    """Another client of the same identity may be sending the same content."""
    def handler(call: Any) -> Dict[str, Any]:
        pieces.files["stage0"].data = DATA[:200000] if call.params["offset"] == 0 else DATA
        sent = len(pieces.files["stage0"].data)
        return {"offset": sent, "size": len(DATA), "complete": sent == len(DATA)}

    server.on("stage.write", handler)
    assert tool.run("upload", "fw.bin").out == "stage0\n"
    assert offsets(server) == [0, 200000]


# --- download ---


@pytest.mark.parametrize("arguments", [("stage0", "out.bin"), ("stage0", "-"), ("stage0",)])
def test_download_writes_the_file(tool, server, pieces, arguments) -> None:
    pieces.add(DATA)
    process = tool.start("download", *arguments)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert ((tool.directory / "out.bin").read_bytes() if "out.bin" in arguments else out) == DATA
    assert [call["params"]["offset"] for call in server.called("stage.read")] == [0, PIECE, 2 * PIECE]
    assert pieces.files and files(tool) == {"fw.bin"} | ({"out.bin"} & set(arguments))


def test_download_json_prints_the_stage(tool, pieces) -> None:
    pieces.add(b"abc")
    outcome = tool.run("download", "stage0", "out.bin", "--json")
    assert (outcome.status, outcome.error) == (0, "")
    assert json.loads(outcome.out)["stage"] == "stage0" and (tool.directory / "out.bin").read_bytes() == b"abc"


def test_download_of_what_is_not_there_leaves_nothing(tool, pieces) -> None:
    pieces.add(DATA[:10], len(DATA), sha256=SHA)
    outcome = tool.run("download", "nothing", "out.bin")
    assert (outcome.status, outcome.error) == (1, "ocdmux: not_found: there is no stage nothing\n")
    outcome = tool.run("download", "stage0", "out.bin")
    assert (outcome.status, outcome.error) == (1, "ocdmux: stage_error: stage stage0 is not complete\n")
    assert files(tool) == {"fw.bin"}


def test_download_checks_the_hash(tool, pieces) -> None:
    pieces.add(b"abc", sha256="0" * 64)
    (tool.directory / "out.bin").write_bytes(b"old")
    outcome = tool.run("download", "stage0", "out.bin")
    assert outcome.status == 1
    assert f"ocdmux: data_corrupted: the bytes have the SHA-256 {hashlib.sha256(b'abc').hexdigest()}" in outcome.error
    assert (tool.directory / "out.bin").read_bytes() == b"old" and files(tool) == {"fw.bin", "out.bin"}


BAD_READ = [
    {}, {"offset": 0, "size": 3}, {"data": "YWJj", "offset": 1, "size": 3}, {"data": "YWJj", "offset": 0, "size": 2},
    {"data": "YWJjZA==", "offset": 0, "size": 4}, {"data": "", "offset": 0, "size": 0}, {"data": 5, "offset": 0, "size": 3},
    {"data": "YWJj", "offset": -1, "size": 3}, {"data": "YW=Jj", "offset": 0, "size": 3},
]


@pytest.mark.parametrize("answer", BAD_READ, ids=repr)
def test_strange_piece_of_a_download_ends_it(tool, server, pieces, answer) -> None:
    pieces.add(b"abc")
    server.check_results = False
    server.on("stage.read", lambda call: answer)
    outcome = tool.run("download", "stage0", "out.bin")
    assert outcome.status == 3
    assert outcome.error == "ocdmux: protocol_error: the result of stage.read is not what the protocol says\n"
    assert files(tool) == {"fw.bin"} and len(server.called("stage.read")) == 1


def test_interrupted_download_leaves_nothing(tool, server, pieces) -> None:
    pieces.add(DATA)

    def handler(call: Any) -> Dict[str, Any]:
        call.wait_cancel()
        return pieces.read(call)

    server.on("stage.read", handler)
    process = tool.start("download", "stage0", "out.bin")
    server.wait_for("stage.read")
    process.send_signal(signal.SIGINT)
    outcome = tool.finish(process)
    assert outcome.status == 1 and outcome.error.endswith("ocdmux: cancelled: stopped during the download\n")
    assert files(tool) == {"fw.bin"} and len(server.called("stage.read")) == 1


def read_bank(stages: Any, data: bytes, **changes: Any) -> Any:
    """A handler of flash.read_to_file that makes a stage of `data`."""

    def handler(call: Any) -> Dict[str, Any]:
        call.progress("read", len(data), len(data))
        return {"stage": stages.add(data), "size": len(data), "sha256": hashlib.sha256(data).hexdigest(),
                "disturbed": False, "operation": "op-1", **changes}

    return handler


def test_download_of_a_bank_removes_the_stage(tool, server, pieces) -> None:
    server.on("flash.read_to_file", read_bank(pieces, DATA, disturbed=True))
    outcome = tool.run("download", "--bank", "1", "--offset", "1K", "--size", "250000", "out.bin", "--consistent", "--board", "b")
    assert (outcome.status, outcome.out) == (0, "")
    sent = server.params("flash.read_to_file")
    sent.pop("progress")
    assert sent == {"board": "b", "bank": 1, "offset": 1024, "size": 250000, "consistent": True}
    assert (tool.directory / "out.bin").read_bytes() == DATA
    assert pieces.files == {} and "note: the board was changed while this was read\n" in outcome.error
    outcome = tool.run("download", "--bank", "0", "out.bin", "--json")
    assert (outcome.status, outcome.error) == (0, "note: the board was changed while this was read\n")
    assert json.loads(outcome.out)["sha256"] == SHA
    assert server.called("flash.read_to_file")[1]["params"].keys() == {"bank", "progress"}


def test_download_of_a_bank_by_an_observer_leaves_the_stage(tool, server, pieces) -> None:
    server.on("flash.read_to_file", read_bank(pieces, b"abc"))
    server.on("stage.delete", RpcError("forbidden", "needs the role user", role="user"))
    outcome = tool.run("download", "--bank", "0", "out.bin")
    assert outcome.status == 0 and (tool.directory / "out.bin").read_bytes() == b"abc"
    assert outcome.error.endswith("note: stage stage0 stays on the server until it expires: needs the role user\n")


def test_failed_download_of_a_bank_keeps_the_stage(tool, server, pieces) -> None:
    server.on("flash.read_to_file", read_bank(pieces, b"abc"))
    server.on("stage.read", RpcError("stage_error", "cannot be read", stage="stage0"))
    outcome = tool.run("download", "--bank", "0", "out.bin")
    assert outcome.status == 1
    assert outcome.error.endswith("  the server keeps what it read: 'ocdmux download stage0 FILE' tries again\n")
    assert files(tool) == {"fw.bin"} and "stage0" in pieces.files
    server.on("stage.read", pieces.read)
    assert tool.run("download", "stage0", "out.bin").status == 0


def test_failed_read_of_a_bank_is_told(tool, server, pieces) -> None:
    server.on("flash.read_to_file", RpcError("not_found", "there is no bank 9", parameter="bank", name="9"))
    outcome = tool.run("download", "--bank", "9", "out.bin")
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: not_found: there is no bank 9\n")
    server.check_results = False
    for answer in ({}, {"stage": "s", "size": 3}, {"stage": "s", "size": 3, "sha256": "short"}, {"path": "x", "size": 3}):
        server.on("flash.read_to_file", lambda call: answer)
        outcome = tool.run("download", "--bank", "0", "out.bin")
        assert (outcome.status, outcome.error) == (
            3, "ocdmux: protocol_error: the result of flash.read_to_file is not what the protocol says\n")
    assert files(tool) == {"fw.bin"}


def test_download_touches_nothing_where_it_cannot_write(tool, server, pieces) -> None:
    pieces.add(DATA)
    (tool.directory / "folder").mkdir()
    assert tool.run("download", "stage0", "folder").error == "ocdmux: folder: Is a directory\n"
    assert tool.run("download", "--bank", "0", "nowhere/out.bin").status == 1
    outcome = tool.run("download", "stage0", "/dev/full")
    assert outcome.status == 1 and "ocdmux: /dev/full: No space left on device\n" in outcome.error
    assert server.called("flash.read_to_file") == []


def test_piece_of_a_download_fits_the_limit_of_the_server(tool, server, pieces) -> None:
    server.limits["max_inline_bytes"] = 2
    pieces.add(b"abcde")
    assert tool.run("download", "stage0").out == "abcde"
    assert [call["params"]["size"] for call in server.called("stage.read")] == [2, 2, 1]
