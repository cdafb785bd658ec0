"""The contract's own tests: what stands in proto/ beside protocol.json."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "lib", HERE.parent / "faults", HERE.parents[1] / "mock"):
    sys.path.insert(0, str(folder))
