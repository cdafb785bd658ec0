"""How much is tried: a run in CI takes one moment of each kind to kill something, $OCDMUX_KILLS=all takes every one."""

import os

ALL_KILLS = os.environ.get("OCDMUX_KILLS") == "all"
