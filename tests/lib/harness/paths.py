"""Where things are."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PROTOCOL = REPOSITORY / "proto" / "protocol.json"
VBOARD_CONFIG = REPOSITORY / "mock" / "vboard" / "vboard.cfg"
VBOARD_WORKAREA_CONFIG = REPOSITORY / "mock" / "vboard" / "vboard-workarea.cfg"


def build_file(*parts: str) -> Path:
    """A file of the build directory; raises FileNotFoundError where it has not been built."""
    build = Path(os.environ.get("OCDMUX_BUILD", str(REPOSITORY / "build")))
    path = build.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built; OCDMUX_BUILD names the build directory")
    return path
