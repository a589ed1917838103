"""How soon a run reached a loss."""

from __future__ import annotations

import math
from typing import Any

import pytest

from knowledge_base.target_time import time_to_target

STEPS = 100
HALFWAY = math.sqrt(11 * 41) - 1
"""Half way from step 10 to step 40 in the logarithm of the step."""


def curve(*points: tuple[int, float], passes: float | None = None, **more: Any) -> dict[str, Any]:
    steps = points[-1][0]
    return {
        "steps": steps, "passes": float(steps) if passes is None else passes,
        "final": points[-1][1], "diverged": False,
        "curve_steps": tuple(step for step, _ in points),
        "curve_validation": tuple(loss for _, loss in points), **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("record", "share"),
    [
        (curve((0, 2.0), (10, 1.0), (40, 0.5), (100, 0.2)), 0.4),
        (curve((0, 2.0), (10, 0.75), (40, 0.25), (100, 0.2)), HALFWAY / STEPS),
        (curve((0, 2.0), (10, 1.0), (100, 0.6)), 1.0),
        (curve((0, 2.0), (10, 1.0), (100, 0.5)), 1.0),
        (curve((0, 0.4), (100, 0.2)), 0.0),
        (curve((0, 2.0), (10, 0.5), (50, 0.5), passes=100.0), 0.2),
        (curve((0, 2.0), (10, 0.5), (50, 0.9)), 0.1),
        (curve((0, 2.0), (10, math.nan), (50, 0.4)), 0.5),
        (curve((0, 2.0), (10, math.inf), (50, 0.4)), 0.5),
        (curve((0, 2.0), (30, 1.0), (60, 1.0), final=0.4), 0.6),
        (curve((0, 2.0), final=2.0), 1.0),
        (curve((0, 2.0), (10, 1.0), (200, 0.5), passes=200.0), 1.0),
    ],
    ids=["at a point", "between two", "never", "at the end", "from the start", "dear steps",
         "the first time counts", "after not a number", "after infinity", "best weights put back",
         "no step", "beyond the budget"],
)  # fmt: skip
def test_time_to_target(record: dict[str, Any], share: float) -> None:
    assert time_to_target(record, 0.5, STEPS) == pytest.approx(share)
