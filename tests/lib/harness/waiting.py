"""Waiting for conditions, with a limit."""

from __future__ import annotations

import time
from typing import Callable, Optional, TypeVar

Value = TypeVar("Value")

LIMIT_S = 60.0
_POLL_S = 0.002


def wait_until(
    look: Callable[[], Optional[Value]], what: str, limit_s: float = LIMIT_S, poll_s: float = _POLL_S
) -> Value:
    """Asks `look` again and again until it gives something true, and returns that.

    Raises TimeoutError, naming `what`, after `limit_s` seconds; `poll_s` seconds are between two looks.
    """
    deadline = time.monotonic() + limit_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit_s:g} s")
        time.sleep(poll_s)
