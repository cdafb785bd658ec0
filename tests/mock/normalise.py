"""The one place that says what may differ between two runs of the same transcript.

Nothing else is excused: every other byte of the mock's answers must be the real
program's.
"""

from __future__ import annotations

import re
from typing import List, Tuple

# (pattern, what stands for it, why it cannot be the same)
TABLE: List[Tuple["re.Pattern[bytes]", bytes, str]] = [
    (
        re.compile(rb" in \d+\.\d{6}s(?: \((?:\d+\.\d{3}|-nan|inf) KiB/s\))?"),
        b" in <TIME>",
        "how long a command took, and the rate that follows from it",
    ),
    (
        re.compile(rb"/[^ \"{}\n]*/mock-differential-(?:real|mock)-[^/ \"{}\n]*"),
        b"<DIR>",
        "the directory with the transcript's files: each side has its own",
    ),
    (
        re.compile(rb"/tmp-[0-9A-Za-z]{6}\b"),
        b"/<TEMPORARY>",
        "a path that `file tempfile` made up",
    ),
    (
        re.compile(rb"\A\0n[0-9a-f]{7} "),
        b"\0<NONCE> ",
        "the nonce of an envelope",
    ),
]


def normalise(text: bytes) -> bytes:
    """`text` with all that cannot be the same replaced."""
    for pattern, stand_in, _why in TABLE:
        text = pattern.sub(stand_in, text)
    return text
