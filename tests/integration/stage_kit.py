"""Uploading, fetching and looking at stages."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import Any, Dict, List, Optional

from harness.client import Client

KIB = 1024


def digest(data: bytes) -> str:
    """Its SHA-256."""
    return hashlib.sha256(data).hexdigest()


def encode(data: bytes) -> str:
    """As `data` wants it."""
    return base64.b64encode(data).decode()


def begin(client: Client, data: bytes, name: str = "app.bin", **more: Any) -> Dict[str, Any]:
    """stage.create for that content, with its hash."""
    return client.call("stage.create", name=name, size=len(data), sha256=digest(data), **more)


def send(client: Client, stage: str, data: bytes, offset: int = 0, chunk: int = 64 * KIB) -> Dict[str, Any]:
    """Writes `data` from `offset` to its end, chunk by chunk; the last answer."""
    result: Dict[str, Any] = {}
    while offset < len(data):
        piece = data[offset : offset + chunk]
        result = client.call("stage.write", stage=stage, offset=offset, data=encode(piece))
        offset += len(piece)
        assert result["offset"] == offset and result["size"] == len(data)
        assert result["complete"] is (offset == len(data))
    return result


def upload(client: Client, data: bytes, name: str = "app.bin", chunk: int = 64 * KIB) -> str:
    """A complete stage of that content, as a new one where the identity has it not yet; its id."""
    made = begin(client, data, name)
    stage: str = made["stage"]
    if not made["present"]:
        assert send(client, stage, data, made["offset"], chunk)["sha256"] == digest(data)
    return stage


def fetch(client: Client, stage: str, size: int, chunk: int = 100 * KIB) -> bytes:
    """What the stage holds, chunk by chunk."""
    data = b""
    while len(data) < size:
        result = client.call("stage.read", stage=stage, offset=len(data), size=chunk)
        assert result["offset"] == len(data)
        piece = base64.b64decode(result["data"])
        assert result["size"] == len(piece) == min(chunk, size - len(data))
        data += piece
    return data


def listed(client: Client, stage: str) -> Optional[Dict[str, Any]]:
    """What stage.list says of it; None where it is not there."""
    for row in client.call("stage.list")["stages"]:
        if row["stage"] == stage:
            found: Dict[str, Any] = row
            return found
    return None


def clear(client: Client) -> None:
    """Deletes all stages of the identity."""
    for row in client.call("stage.list")["stages"]:
        client.call("stage.delete", stage=row["stage"])


def directories(root: Path) -> List[Path]:
    """The private directories below a stage root."""
    return sorted(root.glob(f"ocdmux-stage-{os.geteuid()}-*"))


def files(root: Path) -> List[str]:
    """The stages that have files below a stage root: a file's name begins with its stage's id."""
    return sorted(path.name[:16] for home in directories(root) for path in home.iterdir())


def file_of(root: Path, stage: str) -> Path:
    """A stage's file."""
    (found,) = [path for home in directories(root) for path in home.iterdir() if path.name.startswith(stage)]
    return found


def config(root: Path, **more: Any) -> str:
    """A configuration file with that stage root; `more` are further members."""
    boards = [{"name": "board", "openocd": "127.0.0.1:%PORT%"}]
    return json.dumps({"boards": boards, "stage_root": str(root), "anonymous_role": "admin", **more})
