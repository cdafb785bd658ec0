"""The soak in small: one seed, some seconds. tests/soak/__main__.py is for more."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from rounds import soak  # noqa: E402

SEED = 20
SECONDS = 11.0


def test_soak_small() -> None:
    """Fails with the seed in front, and where nothing was done or no fault made."""
    print(f"python3 tests/soak --seed {SEED} --seconds {SECONDS:g}")
    run = soak(SEED, SECONDS)
    print(run.summary())
    for done in ("result", "images", "event", "garbage lines", "half lines", "stages", "batches"):
        assert run.world.count[done] > 0, done
    assert sum(run.fault_count.values()) > 0
