"""libocdmux as others get it: a board, and a daemon that is reached in every way that the library knows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

from protocol_check import Validator  # noqa: E402

from harness.certificates import Authority  # noqa: E402
from harness.paths import PROTOCOL, build_file  # noqa: E402
from harness.stack import KIB, Stack, make_image  # noqa: E402

IMAGE = make_image(16 * KIB)
# What is longer is streamed, and uploaded in pieces.
INLINE_BYTES = 4 * KIB


class Lab:
    """The stack, and what its daemon is called: `servers` by their kind."""

    def __init__(self, directory: Path) -> None:
        self.image = IMAGE
        self.authority = Authority(directory, "ca")
        pair = self.authority.issue("daemon", "/CN=daemon", ["IP:127.0.0.1"])
        config = {
            "boards": [{"name": "board", "openocd": "127.0.0.1:%PORT%"}],
            "tls": {"certificate": str(pair.certificate), "key": str(pair.key)},
            "limits": {"max_inline_bytes": INLINE_BYTES},
        }
        self.stack = Stack(
            directory, Validator(PROTOCOL), flash_size=16 * KIB, image=IMAGE, config=json.dumps(config),
            daemon_flags=["--listen", f"unix:{directory / 'daemon.sock'}", "--listen", "tls:127.0.0.1:0"],
        )
        tls = self.stack.daemon.wait_for_line(r"listening on (tls:\S+)").group(1)
        self.ssh = directory / "ssh"
        self.ssh.write_text(f'#!/bin/sh\ntest "$1" = lab || exit 1\nshift 2\nexec {build_file("ocdmux")} "$@"\n')
        self.ssh.chmod(0o755)
        self.servers = {
            "tcp": self.stack.daemon.address, "unix": f"unix:{directory / 'daemon.sock'}", "tls": tls, "ssh": "ssh:lab",
        }

    @property
    def environment(self) -> Any:
        """What the programs need to reach the server by TLS and ssh."""
        return {"OCDMUX_CA": str(self.authority.pair.certificate), "OCDMUX_SSH": str(self.ssh),
                "OCDMUX_SERVER": self.servers["tcp"]}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One for all tests, halted."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    with made.stack:
        made.stack.client().call("target.halt")
        yield made
        made.stack.assert_alive()
