"""Stages, sectors and RAM images by the command line, with the real daemon in front of a mock OpenOCD."""

import json
import random
import re
import signal
from typing import Any, Tuple

import pytest

from test_cli_daemon import FLASH, RAM, fixture_board, fixture_daemon  # noqa: F401  pylint: disable=unused-import

LARGE = random.Random(9).randbytes(3000000)


def bank_size(daemon: Any) -> int:
    """The size of bank 0."""
    return json.loads(daemon.run("banks", "--json").out)["banks"][0]["size"]


def test_daemon_upload_and_download(daemon) -> None:
    (daemon.directory / "big.bin").write_bytes(LARGE)
    outcome = daemon.run("upload", "big.bin")
    assert outcome.status == 0 and "upload: 3000000 of 3000000 bytes (100 %)" in outcome.error
    stage = outcome.out.strip()
    outcome = daemon.run("upload", "big.bin", "--json")
    assert json.loads(outcome.out)["present"] is True and json.loads(outcome.out)["stage"] == stage
    assert daemon.run("download", stage, "back.bin").status == 0
    assert (daemon.directory / "back.bin").read_bytes() == LARGE
    assert f"\n{stage}  big.bin" in daemon.run("stages").out
    assert daemon.run("stages", "--delete", stage).out == "deleted\n"
    assert daemon.run("stages").out.splitlines()[1].startswith("0 of ")
    assert daemon.run("download", stage, "back2.bin").error == f"ocdmux: not_found: there is no stage {stage}\n"


def test_daemon_upload_goes_on_after_an_interrupt(daemon) -> None:
    data = LARGE * 20
    (daemon.directory / "big.bin").write_bytes(data)
    process = daemon.start("upload", "big.bin")
    line = process.stderr.readline()
    while b"(10 %)" not in line:
        assert line, "the upload ended before it was a tenth"
        line = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    outcome = daemon.finish(process)
    assert outcome.status == 1, outcome
    stopped = int(re.search(r"uploaded: (\d+) of 60000000 bytes", outcome.error).group(1))
    outcome = daemon.run("upload", "big.bin")
    assert outcome.status == 0
    first = int(re.match(r"upload: (\d+) of 60000000 bytes", outcome.error).group(1))
    assert 0 < stopped <= first < 60000000


def image_and_rest(daemon: Any, board: Any) -> Tuple[bytes, int]:
    """An image of the second quarter of bank 0, and the size of the bank, all of which holds 0x55."""
    size = bank_size(daemon)
    board("poke", address=FLASH, data="55" * size)
    return random.Random(3).randbytes(size // 4), size


def test_daemon_download_of_a_bank(daemon, board) -> None:
    image, size = image_and_rest(daemon, board)
    board("poke", address=FLASH + size // 4, data=image.hex())
    assert daemon.run("download", "--bank", "0", "bank.bin").status == 0
    assert (daemon.directory / "bank.bin").read_bytes() == b"\x55" * (size // 4) + image + b"\x55" * (size // 2)
    assert daemon.run("download", "--bank", "0", "--offset", str(size // 4), "--size", "100").out.encode(
        "utf-8", "surrogateescape") == image[:100]
    assert daemon.run("stages").out.splitlines()[1].startswith("0 of ")
    assert daemon.run("download", "--bank", "9", "none.bin").status == 1
    assert not (daemon.directory / "none.bin").exists()


def test_daemon_erase(daemon, board) -> None:
    size = image_and_rest(daemon, board)[1]
    sectors = json.loads(daemon.run("info", "--json").out)["sectors"]
    assert daemon.run("halt").status == 0
    outcome = daemon.run("erase", "1-2")
    assert (outcome.status, outcome.out) == (0, "2 sectors erased\n")
    begin, end = sectors[1]["offset"], sectors[3]["offset"]
    expected = b"\x55" * begin + b"\xff" * (end - begin) + b"\x55" * (size - end)
    assert board("peek", address=FLASH, size=size)["data"] == expected.hex()
    outcome = daemon.run("erase", str(len(sectors)))
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: invalid_range: ")
    assert daemon.run("erase", "--all").out == f"{len(sectors)} sectors erased\n"
    assert board("peek", address=FLASH, size=size)["data"] == "ff" * size


def test_daemon_load(daemon, board) -> None:
    image = random.Random(4).randbytes(3000)
    (daemon.directory / "ram.bin").write_bytes(image)
    outcome = daemon.run("load", "ram.bin", "--address", hex(RAM))
    assert outcome.status == 0 and outcome.out.startswith("3000 bytes loaded, verified, ")
    assert board("peek", address=RAM, size=3000)["data"] == image.hex()
    outcome = daemon.run("load", "ram.bin")
    assert outcome.status == 1 and outcome.error.startswith("ocdmux: invalid_params: address: ")


@pytest.mark.parametrize("command", ["flash", "verify"])
def test_daemon_refuses_an_image_that_does_not_fit(daemon, command) -> None:
    (daemon.directory / "big.bin").write_bytes(LARGE)
    outcome = daemon.run(command, "big.bin")
    assert outcome.status == 1 and "3000000 bytes" in outcome.error
    assert daemon.run("halt").status == 0
