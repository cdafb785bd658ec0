"""The protocol's values: numbers and bytes into calls, and out of results that another program made."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any, Dict, List, Optional, Union

from .errors import InvalidParams, ProtocolError

Json = Dict[str, Any]

# Greater integers do not survive every JSON reader and travel as text.
LARGEST_JSON_INTEGER = (1 << 53) - 1


def number(value: int) -> Union[int, str]:
    """An integer as the protocol takes it. Raises InvalidParams for anything else, True and 1.0 included."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidParams(f"{value!r} is no integer")
    plain = value.__index__()
    return plain if plain <= LARGEST_JSON_INTEGER else hex(plain)


def seconds(value: float) -> float:
    """A time that is finite. Raises InvalidParams for anything else."""
    try:
        if not isinstance(value, bool) and hasattr(value, "__float__") and math.isfinite(value):
            return float(value)
    except OverflowError:
        pass
    raise InvalidParams(f"{value!r:.80} is no number of seconds")


def milliseconds(value: float, least: int = 1) -> int:
    """Seconds as the protocol's milliseconds, within its range. Raises InvalidParams."""
    return max(least, min(86_400_000, int(seconds(value) * 1000)))


def to_base64(data: Union[bytes, bytearray, memoryview]) -> str:
    """Bytes as the protocol takes them. Raises InvalidParams for what is none, texts included."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidParams(f"bytes are needed, not {type(data).__name__}")
    return base64.b64encode(data).decode("ascii")


class Fields:
    """A result, or an object in one. Every look raises ProtocolError where the server sent something else."""

    def __init__(self, value: Any, what: str) -> None:
        self.what = what
        if not isinstance(value, dict):
            raise ProtocolError(f"{what}: the server sent {type(value).__name__} instead of an object")
        self.all: Json = value

    def _fail(self, name: str, wanted: str) -> ProtocolError:
        return ProtocolError(f"{self.what}: {name} should be {wanted}, not {self.all.get(name)!r:.80}")

    def has(self, name: str) -> bool:
        """Whether it is there."""
        return name in self.all

    def integer(self, name: str) -> int:
        """A number, or one written as text ("0x...")."""
        return self._integer(name, self.all.get(name))

    def _integer(self, name: str, value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str):
            try:
                return int(value, 0)
            except ValueError:
                pass
        raise self._fail(name, "a number")

    def integers(self, name: str) -> List[int]:
        """An array of numbers."""
        return [self._integer(name, value) for value in self.array(name)]

    def maybe_integer(self, name: str) -> Optional[int]:
        """A number, or None where it is not there."""
        return self.integer(name) if name in self.all else None

    def text(self, name: str) -> str:
        """A text."""
        value = self.all.get(name)
        if not isinstance(value, str):
            raise self._fail(name, "a text")
        return value

    def maybe_text(self, name: str) -> Optional[str]:
        """A text, or None where it is not there."""
        return self.text(name) if name in self.all else None

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.all.get(name)
        if not isinstance(value, bool):
            raise self._fail(name, "true or false")
        return value

    def array(self, name: str) -> List[Any]:
        """An array."""
        value = self.all.get(name)
        if not isinstance(value, list):
            raise self._fail(name, "an array")
        return value

    def objects(self, name: str) -> List["Fields"]:
        """An array of objects."""
        return [Fields(value, f"{self.what}.{name}") for value in self.array(name)]

    def object(self, name: str) -> "Fields":
        """An object."""
        return Fields(self.all.get(name), f"{self.what}.{name}")

    def data(self, name: str = "data") -> bytes:
        """Bytes in base64."""
        try:
            return base64.b64decode(self.text(name).encode("ascii"), validate=True)
        except (binascii.Error, ValueError):
            raise self._fail(name, "bytes in base64") from None
