"""How fast ocdmux is, as ratios against OpenOCD asked directly, on the virtual board, both in the same run.

    python3 tests/bench            prints the median of five paired runs of each row, and the runs themselves
    python3 tests/bench --check    the same, and exit status 1 when a row misses its goal
    python3 tests/bench ROW...     only these rows (see --list)

OCDMUX_BUILD names the build directory (default: build/). Board, OpenOCD, daemon and clients share one processor: they
take turns anyway, and waking another one for each turn would be most of what is measured. A ratio says how many times
as long the direct way took; "slower by" turns it around.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple, Union

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from crowd_rows import FairRow  # noqa: E402
from flash_rows import FLASH_ROWS  # noqa: E402
from load_rows import LoadRow  # noqa: E402
from python_rows import PYTHON_ROWS  # noqa: E402
from rows import ROWS, Rig, Row  # noqa: E402
from watch_rows import WATCH_ROWS  # noqa: E402

ALL_ROWS: List[Union[Row, FairRow, LoadRow]] = [*ROWS, FairRow(), LoadRow(), *FLASH_ROWS, *WATCH_ROWS, *PYTHON_ROWS]

PAIRS = 5


class Measured(NamedTuple):
    """One row's outcome: the pairs (direct s, ours s, ratio) and the median of the ratios."""

    row: Row
    pairs: List[Tuple[float, float, float]]
    median: float

    @property
    def met(self) -> bool:
        """Whether the median reaches the goal."""
        return self.median >= self.row.goal


def measure(rig: Rig, row: Row) -> Measured:
    """Runs both ways once to warm up, then PAIRS times, one behind the other."""
    row.direct(rig)
    row.ours(rig)
    pairs = []
    for _ in range(PAIRS):
        direct = row.direct(rig)
        ours = row.ours(rig)
        pairs.append((direct, ours, direct / ours))
    return Measured(row, pairs, statistics.median(pair[2] for pair in pairs))


def report(measured: Measured) -> bool:
    """Whether the goal was met."""
    row = measured.row
    print(f"{row.name}: {row.what}")
    print(f"  against: {row.against}")
    for direct, ours, ratio in measured.pairs:
        unit = measured.row.unit
        print(f"    direct {direct * 1000:10.3f} {unit}   ocdmux {ours * 1000:10.3f} {unit}   ratio {ratio:.3f}")
    print(f"  median ratio {measured.median:.3f}, goal at least {row.goal:.3f} ({row.goal_text}): "
          f"{'met' if measured.met else 'MISSED'}")
    return measured.met


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/bench", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit with status 1 when a goal is missed")
    parser.add_argument("--list", action="store_true", help="name the rows")
    parser.add_argument("rows", nargs="*", help="only these rows")
    options = parser.parse_args()
    by_name = {row.name: row for row in ALL_ROWS}
    if options.list:
        print("\n".join(by_name))
        return 0
    unknown = [name for name in options.rows if name not in by_name]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    met: Dict[str, bool] = {}
    with tempfile.TemporaryDirectory() as directory, Rig(Path(directory)) as rig:
        for row in [by_name[name] for name in options.rows] or ALL_ROWS:
            met[row.name] = report(measure(rig, row)) if isinstance(row, Row) else row.measure(rig)
    missed = [name for name, was_met in met.items() if not was_met]
    print(f"{len(met) - len(missed)} of {len(met)} goals met" + (f"; missed: {', '.join(missed)}" if missed else ""))
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
