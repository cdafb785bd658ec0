"""The mock against real OpenOCD 0.12.0 on the virtual board: the same transcript, the same answers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Tuple

import pytest

import transcript
from control import MockControl
from normalise import normalise
from realboard import CONFIG, WORK_AREA_CONFIG, RealBoard
from tclwire import END, LINE_TOO_LONG, Wire, envelope

SETTLE_LIMIT_S = 10.0
FLASH_SIZE = 32 * 1024
WORK_AREA = 0x1000
NOTIFICATION = b"type target_"


@dataclass
class Record:
    """What one side made of a transcript: a list of (what was said, what came back)."""

    said: List[Tuple[str, bytes]] = field(default_factory=list)
    heard: List[object] = field(default_factory=list)
    files: Dict[str, bytes] = field(default_factory=dict)


class Player:
    """Plays a transcript on one TCL port."""

    def __init__(self, port: int, directory: Path) -> None:
        self.wire = Wire(port, 60.0)
        self.listener = Wire(port, 60.0)
        self.listener.bare(b"tcl_notifications on")
        self.directory = str(directory).encode()
        self.syncs = 0
        self.record = Record()

    def close(self) -> None:
        """Close both connections."""
        self.wire.close()
        self.listener.close()

    def stream(self, wire: Wire, data: bytes) -> bytes:
        """Send `data`, then a command whose answer is known; all that comes before that answer.

        So an answer is compared whole, however many 0x1a bytes it has.
        """
        self.syncs += 1
        mark = b"SYNC%07d" % self.syncs
        wire.send(data)
        wire.send(b"format " + mark + END)
        return wire.read_until(mark + END)

    def enveloped(self, script: bytes) -> object:
        """The answer to a script in an envelope: its fields, or the bytes when it has none."""
        self.syncs += 1
        nonce = b"n%07x" % self.syncs
        answer = self.stream(self.wire, envelope(script, nonce) + END)
        frames: List[bytes] = []
        while answer.startswith(NOTIFICATION):
            frame, _, answer = answer.partition(END)
            frames.append(frame)
        header, colon, body = answer.partition(b":")
        fields = header.split(b" ")
        if not colon or len(fields) != 5 or fields[0] != b"\0" + nonce:
            return frames, normalise(answer)
        result, log, options = (int(item) for item in fields[2:])
        if len(body) != result + log + options + 1 or body[-1:] != END:
            return frames, "lengths do not fit", normalise(answer)
        return (
            frames, int(fields[1]), normalise(body[:result]),
            normalise(body[result:result + log]), normalise(body[result + log:-1]),
        )

    def settle(self, state: str) -> List[bytes]:
        """Wait for a target state; the notifications that came meanwhile."""
        frames: List[bytes] = []
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while self.wire.bare(b"vb.cpu curstate", frames) != state.encode():
            if time.monotonic() > deadline:
                pytest.fail("the target never was " + state)
            time.sleep(0.002)
        return frames

    def play(self, steps: List[transcript.Step]) -> Record:
        """Play all steps and return what came of them."""
        for step in steps:
            script = step.script.replace(b"DIR", self.directory)
            forms = [("envelope", script)]
            if END not in script:
                forms.append(("bare", script))
            for form, text in forms:
                if form == "envelope":
                    answer = self.enveloped(text)
                else:
                    answer = normalise(self.stream(self.wire, text + END))
                frames = self.settle(step.settle) if step.settle else []
                self.record.said.append((form, step.script))
                self.record.heard.append((answer, frames))
        self.record.said.append(("all", b"what another connection was told"))
        self.record.heard.append(self.stream(self.listener, b""))
        for path in sorted(Path(self.directory.decode()).rglob("*")):
            if path.is_file():
                self.record.files[path.name] = path.read_bytes()
        return self.record


def make_directory(tmp_path: Path, side: str) -> Path:
    """A directory with the transcript's files."""
    directory = tmp_path / f"mock-differential-{side}-1"
    directory.mkdir()
    for name, content in transcript.FILES.items():
        (directory / name).write_bytes(content)
    return directory


def on_real(
    tmp_path: Path, steps: List[transcript.Step], flash_size: int, config: Path = CONFIG
) -> Record:
    """Play on real OpenOCD."""
    image = tmp_path / "image"
    image.write_bytes(transcript.RUNS_FOR_EVER)
    real = RealBoard(tmp_path, image, flash_size, config)
    try:
        player = Player(real.tcl_port, make_directory(tmp_path, "real"))
        try:
            return player.play(steps)
        finally:
            player.close()
    finally:
        real.close()


def start_mock(flash_size: int = FLASH_SIZE, work_area: int = 0) -> MockControl:
    """A mock whose board is in the state of the real one's."""
    program = transcript.RUNS_FOR_EVER.hex()
    return MockControl.start("--flash-size", str(flash_size), "--work-area", str(work_area), script=[
        {"cmd": "poke", "address": 0x08000000, "data": program},
        {"cmd": "target_state", "state": "reset"},
        {"cmd": "target_state", "state": "running"},
    ])


def on_mock(
    tmp_path: Path, steps: List[transcript.Step], flash_size: int, work_area: int = 0
) -> Record:
    """Play on the mock."""
    with start_mock(flash_size, work_area) as control:
        player = Player(control.tcl_port, make_directory(tmp_path, "mock"))
        try:
            return player.play(steps)
        finally:
            player.close()


def difference(real: Record, mock: Record) -> str:
    """The first five differences, or nothing."""
    out: List[str] = []
    for said, right, wrong in zip(real.said, real.heard, mock.heard):
        if right != wrong and len(out) < 5:
            out.append(f"{said[0]}: {said[1][:300]!r}\n  real: {right!r:.1500}\n  mock: {wrong!r:.1500}")
    for name in sorted(set(real.files) | set(mock.files)):
        if real.files.get(name) != mock.files.get(name) and len(out) < 5:
            out.append(f"file {name}: {real.files.get(name)!r:.200} {mock.files.get(name)!r:.200}")
    return "\n".join(out)


def compare(
    tmp_path: Path, steps: List[transcript.Step], flash_size: int, work_area: int = 0
) -> None:
    """Play on both and demand the same."""
    real = on_real(tmp_path, steps, flash_size, WORK_AREA_CONFIG if work_area else CONFIG)
    mock = on_mock(tmp_path, steps, flash_size, work_area)
    assert len(real.heard) == len(mock.heard) > len(steps)
    found = difference(real, mock)
    assert not found, found


@pytest.mark.parametrize("section", transcript.SECTIONS)
def test_mock_answers_as_real_openocd(section: str, tmp_path: Path) -> None:
    compare(tmp_path, transcript.SECTIONS[section], FLASH_SIZE)


@pytest.mark.parametrize("section", transcript.WORK_AREA_SECTIONS)
def test_mock_with_a_work_area_answers_as_real_openocd(section: str, tmp_path: Path) -> None:
    compare(tmp_path, transcript.WORK_AREA_SECTIONS[section], FLASH_SIZE, WORK_AREA)


@pytest.mark.parametrize("kibibytes", [4, 64, 128, 132, 256, 512])
def test_mock_has_the_geometry_of_the_real_part(kibibytes: int, tmp_path: Path) -> None:
    compare(tmp_path, transcript.GEOMETRY, kibibytes * 1024)


# What is sent as it is, to see how input is cut into commands.
RAW: List[bytes] = [
    END, END * 3, b"version" + END + b"echo x" + END, b"version\0garbage" + END, b"\0" + END,
    b"set a 5\nset b 6" + END, b"\n" + END, b"x" * 5000 + END, b"#" * 100000 + END,
    b"set a {" + b"y" * (4194302 - 8) + b"}" + END + b"string length $a" + END,
    b"set a {" + b"y" * (4194303 - 8) + b"}" + END + b"string length $a" + END,
    b"z" * 5000000 + END + b"version" + END,
]


def raw_answers(port: int) -> List[bytes]:
    """What comes back for each of RAW."""
    wire = Wire(port, 60.0)
    try:
        out = []
        for number, data in enumerate(RAW):
            mark = b"SYNC%03d" % number
            wire.send(data + b"format " + mark + END)
            answer = wire.read_until(mark + END)
            out.append(answer)
        return out
    finally:
        wire.close()


def test_mock_cuts_input_as_real_openocd(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(transcript.RUNS_FOR_EVER)
    real = RealBoard(tmp_path, image, FLASH_SIZE)
    try:
        right = raw_answers(real.tcl_port)
    finally:
        real.close()
    with start_mock() as control:
        got = raw_answers(control.tcl_port)
    for data, one, other in zip(RAW, right, got):
        assert other == one, data[:60]
    assert any(LINE_TOO_LONG in answer for answer in right)
