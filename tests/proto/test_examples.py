"""The programs of proto/examples, run as they stand there and in PROTOCOL.md."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Iterator, List

import pytest

from protocol_check import Validator

from harness.paths import PROTOCOL, REPOSITORY
from harness.stack import FLASH_BASE, KIB, Stack, make_image

EXAMPLES = REPOSITORY / "proto/examples"
IMAGE = make_image(16 * KIB)
LIMIT_S = 60


@pytest.fixture(scope="module", name="board")
def fixture_board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("board"), Validator(PROTOCOL), flash_size=16 * KIB, image=IMAGE) as stack:
        stack.client().call("target.halt")
        yield stack
        stack.client().call("target.state")
        stack.assert_alive()


def run(board: Stack, name: str, *words: Any, status: int = 0) -> List[str]:
    """The lines that it prints; what it says on standard error where it fails."""
    assert shutil.which({"sh": "nc", "py": "python3", "js": "node"}[name.rsplit(".", 1)[1]]), "tools/setup installs it"
    _, host, port = board.daemon.address.split(":")
    command = [str(EXAMPLES / name), host, port, *[str(word) for word in words]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return (done.stdout if status == 0 else done.stderr).splitlines()


def test_examples_are_printed_as_they_are() -> None:
    reference = (REPOSITORY / "proto/PROTOCOL.md").read_text(encoding="utf-8")
    for path in sorted(EXAMPLES.iterdir()):
        printed = re.search(rf"^### {re.escape(path.name)}\n\n```\w+\n(.*?)^```$", reference, re.M | re.S)
        assert printed and printed.group(1) == path.read_text(encoding="utf-8"), path.name
        assert path.stat().st_mode & 0o111, f"{path.name} cannot be run"


def words(offset: int, count: int) -> List[int]:
    return [int.from_bytes(IMAGE[offset + 4 * i : offset + 4 * i + 4], "little") for i in range(count)]


def test_example_in_the_shell_reads(board: Stack) -> None:
    assert run(board, "read.sh", hex(FLASH_BASE)) == [",".join(map(str, words(0, 4)))]
    said = run(board, "read.sh", "0x30000000", status=1)
    assert len(said) == 1 and '"kind":"target_error"' in said[0]


def test_example_in_node_has_many_requests_at_once(board: Stack) -> None:
    said = run(board, "many.js", hex(FLASH_BASE + KIB))
    assert said[0] == "words: " + " ".join(map(str, words(KIB, 20)))
    assert said[1] == "bytes: " + IMAGE[KIB : KIB + 80].hex()
    assert said[2] == "wait: cancelled"
    assert said[3].startswith("events: ") and "done" in said[3].split()
    assert said[4] == "boards: board"
    assert run(board, "many.js", "0x30000000", status=1)[0].startswith("target_error: cannot read")


def test_example_in_python_flashes(board: Stack, tmp_path: Path) -> None:
    image = IMAGE[: 2 * KIB] + bytes(2 * KIB) + IMAGE[4 * KIB :]
    (tmp_path / "fw.bin").write_bytes(image)
    for _ in range(2):  # the second time everything is there already
        *progress, result = run(board, "flash.py", tmp_path / "fw.bin")
        assert re.fullmatch(r"\w+: \d+ of \d+ \w+", progress[-1]) and '"verified": true' in result
    assert '"bytes_written": 0' in result
    client = board.client()
    found = client.call("memory.read_bytes", address=FLASH_BASE, size=len(image), encoding="hex")
    assert bytes.fromhex(found["data"]) == image
    (tmp_path / "bad.hex").write_text(":0100000001FF\n")
    said = run(board, "flash.py", tmp_path / "bad.hex", status=1)
    assert said[0].startswith("image_invalid: Intel HEX, line 1")
    assert client.call("lease.status")["lease_queue"] == []
