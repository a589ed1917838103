"""How soon a run reached a loss, read off its learning curve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def time_to_target(record: Mapping[str, Any], target: float, steps: int) -> float:
    """Share of the task's passes after which the validation loss was first at or below the target.

    Between the last validation above the target and the first at it the loss is taken as linear in
    the logarithm of the step, as validations are log-spaced.

    Args:
        record: A run's record.
        target: Validation loss to reach.
        steps: The task's budget in batches.

    Returns:
        A share in [0, 1]; 1 where the target was never reached.
    """
    if not record["steps"]:
        return 1.0
    per_step = float(record["passes"]) / int(record["steps"])
    curve = list(zip(record["curve_steps"], record["curve_validation"], strict=True))
    for index, (step, loss) in enumerate(curve):
        if loss <= target:
            reached = _crossing(curve[index - 1], (step, loss), target) if index else float(step)
            return min(reached * per_step / steps, 1.0)
    if float(record["final"]) <= target:  # the best weights lie between two points of the curve
        return min(float(record["passes"]) / steps, 1.0)
    return 1.0


def _crossing(before: tuple[int, float], after: tuple[int, float], target: float) -> float:
    """The step at which the loss crosses the target between two validations."""
    (first, high), (last, low) = before, after
    if not math.isfinite(high) or high <= low:
        return float(last)
    share = (high - target) / (high - low)
    logs = math.log1p(first), math.log1p(last)
    return math.expm1(logs[0] + share * (logs[1] - logs[0]))
