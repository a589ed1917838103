"""A learning-rate finder as people use it: one ramp, and the rate in the longest valley.

The rate rises geometrically over a short run of its own (Smith 2017). The suggestion is the
*valley* rule, fastai's default: the longest decreasing subsequence of the smoothed losses, and in
it the point halfway along its middle third.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from probes.measures.base import Context
from probes.measures.short_training import short_training
from probes.recipe.schema import Recipe
from probes.task import Task

LOW, HIGH = 1e-7, 10.0
STEPS = 100
_SMOOTHING = 0.98
_BLOWN_UP = 4.0
"""A smoothed loss so many times the best ends the ramp."""
_LEFT_OUT_FIRST, _LEFT_OUT_LAST = 10, 5
"""Points at the ends of the ramp that the suggestion does not look at."""


class Found(BaseModel):
    """What a learning-rate finder answers.

    Attributes:
        rate: The suggested learning rate.
        passes: What the ramp cost.
    """

    model_config = ConfigDict(frozen=True)
    rate: float
    passes: float


def find_rate(task: Task, seed: int = 0, device: str = "cpu") -> Found:
    """Run the ramp with AdamW and read the valley.

    The ramp has 100 steps, or a third of the task's budget where that is less.
    """
    steps = max(min(STEPS, task.prepared.steps // 3), 2)
    context = Context(task=task, device=device, seed=seed, tier=0)
    recipe = Recipe.parse({"optimizer": {"name": "adamw", "lr": HIGH}, "schedule": "constant"})
    losses, _ = short_training(
        context, recipe, steps, seed,
        lambda step, total: (LOW / HIGH) ** (1.0 - step / (steps - 1)),
    )  # fmt: skip
    rates = [HIGH * (LOW / HIGH) ** (1.0 - step / (steps - 1)) for step in range(len(losses))]
    return Found(rate=suggestion(rates, losses), passes=context.spent)


def suggestion(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate in the longest valley.

    Args:
        rates: Ascending learning rates.
        losses: The training loss of the step at each.
    """
    smooth: list[float] = []
    average, best = 0.0, math.inf
    for step, loss in enumerate(losses, start=1):
        average = _SMOOTHING * average + (1.0 - _SMOOTHING) * loss
        smooth.append(average / (1.0 - _SMOOTHING**step))
        best = min(best, smooth[-1])
        if not math.isfinite(smooth[-1]) or smooth[-1] > _BLOWN_UP * abs(best):
            break
    first = min(_LEFT_OUT_FIRST, len(smooth) // 4)
    last = max(len(smooth) - min(_LEFT_OUT_LAST, len(smooth) // 4), first + 1)
    start, end = _longest_valley(smooth[first:last])
    third = (end - start) / 3.0
    return rates[first + start + int(third) + int(third / 2.0)]


def _longest_valley(losses: Sequence[float]) -> tuple[int, int]:
    """First and last index of the longest strictly decreasing subsequence; quadratic."""
    lengths, starts = [1] * len(losses), list(range(len(losses)))
    for i in range(len(losses)):
        for j in range(i):
            if losses[j] > losses[i] and lengths[j] + 1 > lengths[i]:
                lengths[i], starts[i] = lengths[j] + 1, starts[j]
    end = max(range(len(losses)), key=lengths.__getitem__, default=0)
    return (starts[end], end) if losses else (0, 0)
