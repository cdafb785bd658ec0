"""The stages of a fake server, as the protocol describes them: created, written, read, listed and deleted."""

import base64
import hashlib
from typing import Any, Dict

from fake_server import Call, FakeServer, RpcError


class Stage:
    """One file."""

    def __init__(self, name: str, size: int, sha256: str) -> None:
        self.name = name
        self.size = size
        self.sha256 = sha256
        self.data = b""

    def is_complete(self) -> bool:
        """Whether all bytes are there."""
        return len(self.data) == self.size


class Stages:
    """Answers the methods stage.* of `server`; `files` are the stages by id."""

    def __init__(self, server: FakeServer) -> None:
        self.files: Dict[str, Stage] = {}
        for name in ("create", "write", "read", "list", "delete"):
            server.on(f"stage.{name}", getattr(self, name))

    def add(self, data: bytes, size: int = 0, name: str = "app.bin", sha256: str = "") -> str:
        """Adds a stage that holds `data`, and will have `size` bytes if that is more; its id."""
        stage = Stage(name, max(size, len(data)), sha256 or hashlib.sha256(data).hexdigest())
        stage.data = data
        self.files[f"stage{len(self.files)}"] = stage
        return f"stage{len(self.files) - 1}"

    def find(self, call: Call) -> Stage:
        """The stage that a call names."""
        stage = self.files.get(call.params["stage"])
        if stage is None:
            raise RpcError("not_found", "there is no such stage", parameter="stage", name=call.params["stage"])
        return stage

    def create(self, call: Call) -> Dict[str, Any]:
        """stage.create"""
        size, sha256 = call.params["size"], call.params["sha256"]
        for key, stage in self.files.items():
            if (stage.size, stage.sha256) == (size, sha256):
                return {"stage": key, "present": stage.is_complete(), "offset": len(stage.data)}
        return {"stage": self.add(b"", size, call.params["name"], sha256), "present": False, "offset": 0}

    def write(self, call: Call) -> Dict[str, Any]:
        """stage.write"""
        stage, data = self.find(call), base64.b64decode(call.params["data"], validate=True)
        if call.params["offset"] != len(stage.data):
            raise RpcError("stage_error", f"{len(stage.data)} bytes are there", stage=call.params["stage"])
        stage.data += data
        answer: Dict[str, Any] = {"offset": len(stage.data), "size": stage.size, "complete": stage.is_complete()}
        if stage.is_complete():
            answer["sha256"] = hashlib.sha256(stage.data).hexdigest()
            if answer["sha256"] != stage.sha256:
                stage.data = b""
                raise RpcError("stage_error", "the content has another SHA-256", stage=call.params["stage"])
        return answer

    def read(self, call: Call) -> Dict[str, Any]:
        """stage.read"""
        stage, offset = self.find(call), call.params["offset"]
        data = stage.data[offset:offset + call.params["size"]]
        return {"data": base64.b64encode(data).decode(), "offset": offset, "size": len(data)}

    def list(self, _call: Call) -> Dict[str, Any]:
        """stage.list"""
        stages = [
            {"stage": key, "name": stage.name, "size": stage.size, "offset": len(stage.data), "complete": stage.is_complete(),
             "sha256": stage.sha256, "pinned": False, "expires": "2026-01-31T13:00:00.000Z"}
            for key, stage in self.files.items()
        ]
        return {"stages": stages, "used_bytes": sum(stage.size for stage in self.files.values()), "quota_bytes": 1 << 28}

    def delete(self, call: Call) -> Dict[str, Any]:
        """stage.delete"""
        self.find(call)
        del self.files[call.params["stage"]]
        return {"deleted": True}
