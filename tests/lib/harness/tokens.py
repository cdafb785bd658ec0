"""Tokens and their entries in the configuration, made as `ocdmux token new` makes them."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any, Dict, Tuple


def make_token(identity: str, **members: Any) -> Tuple[str, Dict[str, Any]]:
    """A token, and its entry for `tokens`; `members` are `role` and `boards`."""
    token = "ocdmux_" + os.urandom(32).hex()
    salt = os.urandom(16)
    digest = hmac.new(salt, token.encode(), hashlib.sha256).hexdigest()
    return token, {"identity": identity, "hash": f"hmac-sha256:{salt.hex()}:{digest}", **members}
