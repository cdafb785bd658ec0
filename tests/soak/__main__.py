"""Everything at once, for as long as one likes: many clients, faults, and a model that knows what may be there.

    python3 tests/soak --seed 7 --seconds 60
    python3 tests/soak --hours 8

A run is made of rounds of some seconds. At the end of each all faults are healed, the clients leave, and
what the board holds is compared with every write that was acknowledged; nothing may be left over in the daemon.
The seed decides what each client does and which faults come; how they meet is the machine's. OCDMUX_BUILD names the
build directory (default: build/).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib")]

from rounds import soak  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="soak", description="many clients and faults at once, against a model")
    parser.add_argument("--seed", type=int, default=1, help="decides what happens (default 1)")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long (default 60)")
    parser.add_argument("--hours", type=float, default=0.0, help="and so many hours")
    parser.add_argument("--round", type=int, default=0, help="begin with this one, as the report of a failure names it")
    parser.add_argument("--verbose", action="store_true", help="a failure shows all of the daemon's log")
    options = parser.parse_args()
    seconds = options.seconds + 3600 * options.hours or 60.0
    try:
        print(soak(options.seed, seconds, options.round, options.verbose).summary())
    except BaseException:
        print(f"soak: failed with --seed {options.seed} --seconds {seconds:g}", file=sys.stderr)
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
