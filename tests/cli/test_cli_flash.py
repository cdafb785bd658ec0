"""flash, verify, load, erase and protect: what goes out, what is printed, and what is said about the state of the flash."""

import base64
import json
import random
from typing import Any, Dict

import pytest

from fake_server import NO_ANSWER, RpcError

LARGE = random.Random(7).randbytes(300000)
INLINE_MOST = 65536


def without_progress(server: Any, method: str) -> Dict[str, Any]:
    """The parameters of the only request for a method, whose progress token is the request's id."""
    sent = dict(server.params(method))
    assert sent.pop("progress") == server.called(method)[0]["id"]
    return sent


def test_flash_without_options_prepares_and_runs(tool, server, examples) -> None:
    image = bytes(range(256)) * 5
    (tool.directory / "fw.bin").write_bytes(image)
    outcome = tool.run("flash", "fw.bin")
    sent = without_progress(server, "flash.write_image")
    assert base64.b64decode(sent.pop("data"), validate=True) == image
    assert sent == {"prepare": "reset_init", "reset": "run"}
    assert (outcome.status, outcome.error) == (0, "")
    assert outcome.out == "8 bytes written, 0 unchanged, 1 sector erased, verified, 412 ms (bin, 1 segment); reset and running\n"


def test_flash_sends_all_options(tool, server, examples) -> None:
    (tool.directory / "fw.bin").write_bytes(b"x")
    outcome = tool.run("flash", "fw.bin", "--address", "0x08004000", "--format", "bin", "--no-erase", "--no-verify",
                       "--mode", "full", "--unlock", "--prepare", "none", "--reset", "halt", "--no-detach", "--board", "b",
                       "--target", "t", "--timeout", "9000")
    assert without_progress(server, "flash.write_image") == {
        "data": "eA==", "board": "b", "target": "t", "timeout_ms": 9000, "address": "0x08004000", "format": "bin",
        "erase": False, "verify": False, "mode": "full", "unlock": True, "prepare": "none", "reset": "halt", "detach": False}
    assert outcome.out.endswith("(bin, 1 segment); reset and halted\n")


def test_flash_without_reset_says_nothing_of_one(tool, server, examples) -> None:
    outcome = tool.run("flash", "-", "--reset", "none", given=b"\x00\x01")
    assert without_progress(server, "flash.write_image") == {"data": "AAE=", "prepare": "reset_init", "reset": "none"}
    assert outcome.out.endswith(" ms (bin, 1 segment)\n")


def test_flash_tells_what_was_put_back(tool, server, examples) -> None:
    server.on("flash.write_image", {**examples["flash.write_image"], "repaired_bytes": 24, "format": "elf", "segments": 2})
    lines = tool.run("flash", "-", given=b"x").out.splitlines()
    assert lines[0].endswith("(elf, 2 segments); reset and running")
    assert lines[1:] == ["24 bytes beside the image put back, which an earlier try had erased"]


@pytest.mark.parametrize("source", ["path", "stage"])
@pytest.mark.parametrize("command, method", [("flash", "flash.write_image"), ("verify", "flash.verify"),
                                             ("load", "memory.load_image")])
def test_other_sources_send_no_file(tool, server, examples, command, method, source) -> None:
    server.on("flash.verify", {"match": True, "size": 3, "differences": [], "difference_count": 0, "disturbed": False,
                               "operation": "op-1"})
    outcome = tool.run(command, f"--{source}", "lab/app", "--format", "elf")
    sent = without_progress(server, method)
    assert (outcome.status, outcome.error) == (0, "")
    assert sent[source] == "lab/app" and sent["format"] == "elf" and "data" not in sent
    assert [request["method"] for request in server.requests] == ["server.hello", method]


@pytest.mark.parametrize("command, method", [("flash", "flash.write_image"), ("load", "memory.load_image")])
def test_larger_image_is_uploaded_first(tool, server, examples, stages, command, method) -> None:
    (tool.directory / "build").mkdir()
    (tool.directory / "build" / "app.elf").write_bytes(LARGE)
    server.limits["max_inline_bytes"] = 100000
    outcome = tool.run(command, "build/app.elf")
    assert outcome.status == 0, outcome
    assert (stages.files["stage0"].data, stages.files["stage0"].name) == (LARGE, "app.elf")
    assert len(server.called("stage.write")) == 3
    sent = without_progress(server, method)
    assert sent["stage"] == "stage0" and "data" not in sent
    assert outcome.error.splitlines()[0] == "upload: 0 of 300000 bytes (0 %)"
    assert outcome.error.splitlines()[-1].startswith("upload: 300000 of 300000 bytes (100 %)")
    server.requests.clear()
    outcome = tool.run(command, "build/app.elf")
    assert (outcome.status, outcome.error) == (0, "")
    assert [request["method"] for request in server.requests] == ["server.hello", "stage.create", method]


def test_image_that_just_fits_goes_along(tool, server, examples, stages) -> None:
    (tool.directory / "fw.bin").write_bytes(bytes(INLINE_MOST))
    assert tool.run("flash", "fw.bin").status == 0
    assert server.called("stage.create") == []
    (tool.directory / "fw.bin").write_bytes(bytes(INLINE_MOST + 1))
    assert tool.run("flash", "fw.bin").status == 0
    assert len(server.called("stage.create")) == 1


def test_small_image_is_uploaded_where_lines_are_short(tool, server, examples, stages) -> None:
    server.limits["max_line_bytes"] = 10000
    (tool.directory / "fw.bin").write_bytes(LARGE[:20000])
    assert tool.run("flash", "fw.bin").status == 0
    assert stages.files["stage0"].data == LARGE[:20000]
    assert max(len(line) for line in server.lines) <= 10001


FAILURES = [
    (RpcError("flash_error", "sector 3 is protected", reason="protected", flash_state="unchanged"),
     "  the flash is unchanged\n"),
    (RpcError("flash_error", "cannot program", flash_state="partial", phase="program", done=1024, total=4096, unit="bytes"),
     "  the flash is partly programmed (1024 of 4096 bytes done): flash it again before you use it\n"
     "  the target was left halted\n"),
    (RpcError("timeout", "too slow", flash_state="partial", phase="erase", done=1, total=4, unit="sectors"),
     "  the flash is partly erased (1 of 4 sectors done): flash it again before you use it\n"
     "  the target was left halted\n"),
    (RpcError("openocd_unavailable", "gone", flash_state="partial"),
     "  the flash is partly programmed: flash it again before you use it\n"),
    (RpcError("flash_error", "no reset", flash_state="partial", phase="reset"),
     "  the flash is partly programmed: flash it again before you use it\n"),
    (RpcError("outcome_unknown", "lost", flash_state="partial"),
     "  the flash is partly programmed: flash it again before you use it\n"
     "  'ocdmux operations' lists what the server runs, and what ended\n"),
    (RpcError("outcome_unknown", "lost"),
     "  the state of the flash is not known before it is over\n"
     "  'ocdmux operations' lists what the server runs, and what ended\n"),
    (RpcError("image_invalid", "line 7: bad checksum", line=7), "  line: 7\n"),
]


@pytest.mark.parametrize("failure, end", FAILURES, ids=[f"{case[0].error['message']} {number}" for number, case in enumerate(FAILURES)])
def test_failure_says_what_state_the_flash_is_in(tool, server, failure, end) -> None:
    server.on("flash.write_image", failure)
    outcome = tool.run("flash", "-", given=b"x")
    assert (outcome.status, outcome.out) == (1, "")
    details = outcome.error.splitlines(keepends=True)
    assert "".join(details[-end.count("\n"):]) == end
    assert ("left halted" in outcome.error) == ("left halted" in end)


def test_wait_says_it_as_well(tool, server) -> None:
    server.on("operation.wait", {
        "operation": "op-7", "board": "b", "method": "flash.write_image", "state": "failed",
        "created": "2026-01-31T12:34:56.789Z",
        "error": {"code": -32000, "message": "it broke", "data": {"kind": "flash_error", "flash_state": "partial"}}})
    outcome = tool.run("wait", "op-7")
    assert outcome.status == 1
    assert outcome.error.endswith("  the flash is partly programmed: flash it again before you use it\n"
                                  "  the target was left halted\n")


def test_connection_lost_while_programming_says_how_to_get_the_result(tool, server) -> None:
    def handler(call: Any) -> object:
        call.progress("program", 100, 1000)
        call.close()
        return NO_ANSWER

    server.on("flash.write_image", handler)
    outcome = tool.run("flash", "-", given=b"x")
    assert outcome.status == 3
    assert outcome.error.endswith("ocdmux: connection_lost: the server closed the connection\n"
                                  "  the state of the flash is not known before it is over\n"
                                  "  'ocdmux wait op-7' tells how it ends\n")


def test_verify_match(tool, server) -> None:
    server.on("flash.verify", {"match": True, "size": 3, "differences": [], "difference_count": 0, "disturbed": False,
                               "operation": "op-1"})
    (tool.directory / "fw.bin").write_bytes(b"abc")
    outcome = tool.run("verify", "fw.bin", "--bank", "1", "--offset", "1K", "--consistent")
    assert without_progress(server, "flash.verify") == {"data": "YWJj", "bank": 1, "offset": 1024, "format": "auto",
                                                        "consistent": True}
    assert (outcome.status, outcome.out) == (0, "3 bytes match\n")


def test_verify_mismatch_lists_differences_and_fails(tool, server) -> None:
    server.on("flash.verify", {
        "match": False, "size": 100,
        "differences": [{"offset": 3, "address": "0x08000003", "expected": 33, "found": 255}],
        "difference_count": 40, "disturbed": True, "operation": "op-1"})
    (tool.directory / "fw.bin").write_bytes(b"x" * 100)
    outcome = tool.run("verify", "fw.bin", "--format", "bin")
    assert (outcome.status, outcome.error) == (1, "note: the board was changed while this was read\n")
    assert outcome.out == "0x08000003: expected 0x21, found 0xff (offset 3)\n40 of 100 bytes differ\n"
    assert server.params("flash.verify")["format"] == "bin"
    outcome = tool.run("verify", "fw.bin", "--json")
    assert outcome.status == 1 and '"difference_count": 40' in outcome.out


def test_load_sends_and_prints(tool, server, examples) -> None:
    outcome = tool.run("load", "-", "--address", "0x20000000", given=b"x")
    assert without_progress(server, "memory.load_image") == {"data": "eA==", "address": "0x20000000", "prepare": "halt"}
    assert outcome.out == "4120 bytes loaded, verified, 210 ms (elf, 2 segments), entry 0x20000101\n"
    server.on("memory.load_image", {**examples["memory.load_image"], "verified": False, "segments": 1, "format": "bin"})
    outcome = tool.run("load", "-", "--no-verify", "--prepare", "reset_halt", given=b"x")
    assert server.called("memory.load_image")[1]["params"]["verify"] is False
    assert server.called("memory.load_image")[1]["params"]["prepare"] == "reset_halt"
    assert outcome.out.startswith("4120 bytes loaded, not verified, 210 ms (bin, 1 segment)")


def test_erase_and_protect_report_openocds_words(tool, server) -> None:
    failure = RpcError("flash_error", "cannot erase sector 2", flash_state="partial", phase="erase", done=2, total=8,
                       unit="sectors", openocd={"code": -902, "text": "stm32x device protected"})
    server.on("flash.erase_sector", failure)
    outcome = tool.run("erase", "0-7")
    assert outcome.status == 1
    assert "\n  OpenOCD (-902): stm32x device protected\n" in outcome.error
    assert "  the flash is partly erased (2 of 8 sectors done): " in outcome.error
    server.on("flash.protect", RpcError("invalid_range", "the range cuts a block", first=0, last=3))
    outcome = tool.run("protect", "on", "1-2")
    assert (outcome.status, outcome.error) == (1, "ocdmux: invalid_range: the range cuts a block\n  first: 0\n  last: 3\n")


def test_target_that_runs_is_told_how_to_be_halted(tool, server) -> None:
    server.on("flash.erase_all", RpcError("target_not_halted", "vb.cpu is running", state="running", flash_state="unchanged"))
    assert tool.run("erase", "--all").error == (
        "ocdmux: target_not_halted: vb.cpu is running\n  state: running\n  flash_state: unchanged\n"
        "  the flash is unchanged\n  'ocdmux halt' halts it\n")


def test_json_leaves_out_the_plain_lines(tool, server, examples) -> None:
    def handler(call: Any) -> Dict[str, Any]:
        call.progress("program", 0, 1000)
        return examples["flash.write_image"]

    server.on("flash.write_image", handler)
    outcome = tool.run("flash", "-", "--json", given=b"x")
    assert (outcome.status, outcome.error) == (0, "") and json.loads(outcome.out) == examples["flash.write_image"]


def test_protect_that_is_in_effect_says_nothing_of_a_reset(tool, server) -> None:
    sectors = [{"index": index, "offset": 1024 * index, "size": 1024, "protected": True} for index in range(2)]
    server.on("flash.protect", {"sectors": sectors, "reset_needed": False})
    assert tool.run("protect", "on", "0-1").out == ("sector  offset  size  protected\n"
                                                    "     0       0  1024  yes\n     1    1024  1024  yes\n")


def test_status_lists_pending_repairs(tool, server, examples) -> None:
    server.on("board.status", {**examples["board.status"], "pending_repairs": [
        {"bank": "stm32.flash", "base": "0x08000000", "offset": 4096, "size": 1024, "since": "2026-01-31T12:34:56.789Z"}]})
    assert ("\npending repair: stm32.flash at 0x08001000, 1024 bytes, since 2026-01-31T12:34:56.789Z; "
            "the next flash of an image there mends it\n") in tool.run("status").out
