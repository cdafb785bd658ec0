"""proto/transcripts.json: complete, true to the protocol, and the same in every run."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List

import pytest

from protocol_check import Validator, Violation
from recorder import MEASURED, TIME, Stabiliser, few_progress

ROOT = Path(__file__).resolve().parents[2]
PROTOCOL = ROOT / "proto/protocol.json"
TRANSCRIPTS: List[Dict[str, Any]] = json.loads((ROOT / "proto/transcripts.json").read_text(encoding="utf-8"))
VALIDATOR = Validator(PROTOCOL)
HOW = "tests/proto/scenarios.py says what is recorded; then run tools/gen-transcripts and tools/gen-proto"


def play(transcript: Dict[str, Any]) -> None:
    """Holds each line against the protocol: calls, their replies, notifications. Raises Violation."""
    methods: Dict[Any, str] = {}
    for line in transcript["lines"]:
        (side, message), = line.items()
        if side == "client":
            if "id" in message:
                methods[message["id"]] = message["method"]
                if message["method"] in VALIDATOR.methods and transcript["shows"] != "error invalid_params":
                    VALIDATOR.check_params(message["method"], message.get("params", {}))
        elif side == "server" and "method" in message:
            VALIDATOR.check_notification(message)
        elif side == "server" and message["id"] is None:
            VALIDATOR.check_reply(None, message)
        elif side == "server":
            VALIDATOR.check_reply(methods.pop(message["id"]), message)
        else:
            assert side == "client_text"


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda each: f"{each['shows']}: {each['title']}")
def test_transcript_keeps_to_the_protocol(transcript: Dict[str, Any]) -> None:
    what, _, name = transcript["shows"].partition(" ")
    counts = VALIDATOR.succeeded if what == "method" else VALIDATOR.error_kinds
    before = counts[name]
    play(transcript)
    assert counts[name] > before, f"there is no such {'result' if what == 'method' else 'error'} in it"


def test_transcripts_show_every_method_and_every_error() -> None:
    document = json.loads(PROTOCOL.read_text(encoding="utf-8"))
    wanted = {f"method {method['name']}" for method in document["methods"]}
    wanted |= {f"error {kind}" for kind in document["x-errors"]}
    shown = {transcript["shows"] for transcript in TRANSCRIPTS}
    assert not wanted - shown, f"no transcript of {sorted(wanted - shown)}: {HOW}"
    assert not shown - wanted, f"there is no {sorted(shown - wanted)} any more: {HOW}"


def test_transcripts_hold_nothing_of_one_run() -> None:
    stabiliser = Stabiliser({})
    for transcript in TRANSCRIPTS:
        assert stabiliser.lines(transcript["lines"]) == transcript["lines"], f"{transcript['shows']}: {HOW}"
    text = (ROOT / "proto/transcripts.json").read_text(encoding="utf-8")
    assert "/tmp/" not in text and "/dev/shm" not in text


def test_transcripts_stand_in_the_reference() -> None:
    reference = (ROOT / "proto/PROTOCOL.md").read_text(encoding="utf-8")
    for transcript in TRANSCRIPTS:
        assert f"\n{transcript['title']}:\n\n```\n--> " in reference, transcript["title"]
        for line in transcript["lines"]:
            if "server" in line:
                assert f"\n<-- {json.dumps(line['server'])}\n" in reference, transcript["title"]


def test_a_transcript_that_lies_is_seen() -> None:
    """What a recording of another daemon could hold."""
    changes = Counter()
    for transcript in TRANSCRIPTS:
        for i, line in enumerate(transcript["lines"]):
            reply = line.get("server", {})
            if "result" not in reply and "error" not in reply:
                continue
            if transcript["shows"] == "method rpc.discover":
                continue  # the one result that is open
            part = "result" if "result" in reply else "error"
            lines = list(transcript["lines"])
            lines[i] = {"server": {**reply, part: {**reply[part], "surprise": 1}}}
            with pytest.raises(Violation):
                play({**transcript, "lines": lines})
            changes[part] += 1
    assert changes["result"] > 50 and changes["error"] > 20


def test_stabiliser_makes_two_runs_the_same() -> None:
    def run(one: str, two: str, port: int, wall: str, took: int) -> List[Dict[str, Any]]:
        return [
            {"client": {"id": 1, "params": {"stage": one}}},
            {"server": {"id": 1, "result": {"stage": two, "operation": one, "duration_ms": took, "expires": wall}}},
            {"server": {"id": 2, "error": {"message": f"stage {two} of /run/x{port}/y: 127.0.0.1:{port} at {wall}"}}},
        ]

    first = run("0123456789abcdef", "fedcba9876543210", 40001, "2026-05-06T07:08:09.123Z", 17)
    second = run("1111111111111111", "2222222222222222", 50002, "2027-12-31T23:59:59Z", 4000)
    made = Stabiliser({"/run/x40001": "/srv"}).lines(first)
    assert made == Stabiliser({"/run/x50002": "/srv"}).lines(second) == Stabiliser({}).lines(made)
    text = json.dumps(made)
    assert TIME in text and f'"duration_ms": {MEASURED["duration_ms"]}' in text and "/srv/y: 127.0.0.1:6666" in text
    result, said = made[1]["server"]["result"], made[2]["server"]["error"]["message"]
    assert made[0]["client"]["params"]["stage"] != result["stage"] and result["stage"] in said


def test_stabiliser_keeps_both_ends_of_progress() -> None:
    def progress(token: str, done: int) -> Dict[str, Any]:
        return {"server": {"method": "progress", "params": {"token": token, "done": done}}}

    lines = [progress("a", 0), progress("b", 0), progress("a", 1), progress("a", 2), {"server": {"id": 1}}]
    assert few_progress(lines) == [lines[0], lines[1], lines[3], lines[4]]
