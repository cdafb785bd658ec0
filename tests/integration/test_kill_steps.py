"""OpenOCD killed at every command of every method that changes the board: before the command, within it, behind it,
and with half of its answer on the way. What is acknowledged is there, what is called unchanged is unchanged, nothing is
done a second time, and the same call once more sets everything right.

By default each step is taken once that differs from others in more than numbers; OCDMUX_KILLS=all takes all, at all
moments.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Counter as CounterType, Iterator, Set, Tuple

import pytest

from change_kit import CHANGES, CHANGING, Change
from harness.chosen import ALL_KILLS
from harness.step_relay import ANSWERED, BEFORE, HALF, WITHIN
from kill_rig import NOT_REACHED, Rig, Whole, cut_off



@pytest.fixture(name="rig", scope="module")
def fixture_rig(tmp_path_factory: pytest.TempPathFactory, validator: Any) -> Iterator[Rig]:
    """Shared by all tests here."""
    rig = Rig(tmp_path_factory.mktemp("steps"), validator)
    yield rig
    rig.close()


def moments(change: Change, whole: Whole) -> Iterator[Tuple[int, str]]:
    """Steps and when in them."""
    whens = (BEFORE, WITHIN, ANSWERED, HALF)
    seen: Set[str] = set()
    for step, text in enumerate(whole.texts):
        alike = re.sub(r"(0x)?[0-9a-f]*\d[0-9a-f]*", "", text)
        changes = CHANGING.search(text) is not None
        telling = (whens[step % 3],) if change.many else whens[:3] if changes else (HALF,)
        if changes and change.method.startswith("flash.") and not change.many:
            telling = (whens[step % 2], ANSWERED)  # each takes as long as ten others
        for when in whens:
            if (ALL_KILLS or (alike not in seen and when in telling)) and (when != WITHIN or whole.probe_bytes[step] > 2):
                yield step, when
        seen.add(alike)


@pytest.mark.parametrize("change", [each for each in CHANGES if ALL_KILLS or not each.twin], ids=str)
def test_killed_at_every_step(rig: Rig, change: Change) -> None:
    whole = Whole(rig, change)
    kinds: CounterType[str] = Counter()
    for step, when in moments(change, whole):
        try:
            kinds[cut_off(rig, change, whole, step, when)] += 1
        except BaseException:
            print(f"at step {step} of {len(whole.texts)}, {when}: {whole.texts[step][-300:]}")
            raise
    print(change.name, len(whole.texts), "steps", dict(kinds))
    assert kinds["outcome_unknown"] >= 2 and kinds[NOT_REACHED] <= sum(kinds.values()) // 4
