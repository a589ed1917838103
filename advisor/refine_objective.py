"""What a run is worth by the goal of an advice: its end result, or its time to the target."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from advisor.goal import Goal
from knowledge_base.target_time import time_to_target
from probes.recipe.schema import Recipe
from probes.run import Point, Run

DIVERGED = 1e30
"""Stands for the value of a run that diverged or failed: finite, and above that of any other."""
SLACK = 2.0
"""A run that has taken so many times as long as the best is ended: on other seeds the order of
those closer together may be another, and how late a recipe is tells where not to look."""
_LATEST = 2.0
"""Values from here on are of runs that missed the target."""


@dataclass(frozen=True)
class Judged:
    """What became of a run.

    Attributes:
        value: What the search compares; lower is better, ``DIVERGED`` the worst.
        loss: Validation loss at its end, or ``DIVERGED``.
        to_target: Share of the budget's passes until the target, in [0, 1]; None where it missed
            the target, or there is none.
    """

    value: float
    loss: float
    to_target: float | None = None


FAILED = Judged(DIVERGED, DIVERGED)
"""A run that ended in an error."""


class Objective(Protocol):
    """How the runs of a search are valued, and when one need not go on."""

    @property
    def goal(self) -> Goal:
        """What it follows, the target in numbers."""

    @property
    def noun(self) -> str:
        """What is to be lowered, in words."""

    @property
    def by_curves(self) -> bool:
        """Whether the curves of the knowledge base tell which run will hardly be the best."""

    @property
    def stopping_helps(self) -> bool:
        """Whether a recipe can gain by early stopping."""

    def judge(self, run: Run, recipe: Recipe) -> Judged:
        """What became of a run by this recipe."""

    def settled(self, point: Point) -> bool:
        """Whether the value of a run is known from this point of its curve on."""

    def hopeless(self, recipe: Recipe, step: int, best: float) -> bool:
        """Whether a run that is not settled at a step will lie far behind the best value."""

    def least(self, recipe: Recipe, step: int) -> float | None:
        """The least value of a run that is not settled at a step; None where it may be any."""

    def shown(self, value: float) -> str:
        """A value for people."""


@dataclass(frozen=True)
class EndResult:
    """The validation loss at the end of a run."""

    goal = Goal("best", None)
    noun = "the loss"
    by_curves = True
    stopping_helps = True

    def judge(self, run: Run, recipe: Recipe) -> Judged:
        """See ``Objective``."""
        loss = _end_loss(run)
        return Judged(loss, loss)

    def settled(self, point: Point) -> bool:
        """Never before the end."""
        return False

    def hopeless(self, recipe: Recipe, step: int, best: float) -> bool:
        """Never: a loss may fall at any time."""
        return False

    def least(self, recipe: Recipe, step: int) -> None:
        """It may be any."""
        return

    def shown(self, value: float) -> str:
        """The loss."""
        return "diverged" if value >= DIVERGED else f"{value:.4g}"


@dataclass(frozen=True)
class TimeToTarget:
    """The time until the validation loss is at the target, in full trainings by AdamW.

    It is the share of the budget's passes until then (``knowledge_base.target_time``) x what a pass
    by the recipe is predicted to take over one by AdamW: what goal "fastest" ranks by. Wall time as
    measured in a search would also tell of what else the machine did, and no seed would give the
    same answer twice.

    A value up to 1 is that time. A longer time t, of a recipe with dear steps, has the value
    2 - 1 / t, and a run that misses the target has 1 + its final loss over the target, so 2 and
    more. Whoever reaches the target is before all who miss it, and both are ordered.

    Attributes:
        target: The validation loss.
        steps: The task's budget in batches.
        batch_size: The task's.
        a_pass: Predicted wall time of a pass by a recipe over that by AdamW
            (``advisor.step_time``).
    """

    target: float
    steps: int
    batch_size: int
    a_pass: Callable[[Recipe], float]
    noun = "the time to the target"
    by_curves = False
    stopping_helps = False

    @property
    def goal(self) -> Goal:
        """Soonest to the target."""
        return Goal("fastest", self.target)

    def judge(self, run: Run, recipe: Recipe) -> Judged:
        """See ``Objective``."""
        # where early stopping restored older weights, the run's last point may be the better
        loss = min(_end_loss(run), _or_diverged(run.curve[-1].validation["loss"]))
        share = self._share(run)
        if share is not None:
            return Judged(_value_of(share * self.a_pass(recipe)), loss, share)
        if run.diverged or loss >= DIVERGED:
            return FAILED
        above = (loss - self.target) / self._unit
        return Judged(min(_LATEST + above, DIVERGED / 2), loss)

    def settled(self, point: Point) -> bool:
        """From the target on nothing that follows counts."""
        return point.validation["loss"] <= self.target

    def hopeless(self, recipe: Recipe, step: int, best: float) -> bool:
        """Whether it has taken more than ``SLACK`` times as long as the best."""
        shortest = time_of(best)
        return shortest is not None and self._spent(recipe, step) > SLACK * shortest

    def least(self, recipe: Recipe, step: int) -> float:
        """That of reaching the target now."""
        return _value_of(self._spent(recipe, step))

    def shown(self, value: float) -> str:
        """The time, or that there is none."""
        time = time_of(value)
        if time is None:
            if value >= DIVERGED:
                return "diverged"
            loss = self.target + (value - _LATEST) * self._unit
            return f"target missed, {loss:.4g} at the end"
        return f"target after {time:.3g} of a full training by AdamW"

    @property
    def _unit(self) -> float:
        """Of losses above the target; a loss of one's own may be below 0."""
        return abs(self.target) or 1.0

    def _spent(self, recipe: Recipe, step: int) -> float:
        """The time that so many steps take."""
        samples = step * recipe.passes_per_step * (recipe.batch_size or self.batch_size)
        return samples / (self.steps * self.batch_size) * self.a_pass(recipe)

    def _share(self, run: Run) -> float | None:
        losses = [point.validation["loss"] for point in run.curve]
        if not any(loss <= self.target for loss in (*losses, run.final["loss"])):
            return None
        record = {
            "steps": run.steps, "passes": run.passes, "final": run.final["loss"],
            "curve_steps": [point.step for point in run.curve], "curve_validation": losses,
        }  # fmt: skip
        return time_to_target(record, self.target, self.steps)


def pooled(values: Sequence[float]) -> float:
    """One value, or loss, for runs of one recipe on several seeds: the median.

    Of two in the middle it is the worse: between a loss and a run that diverged, as between a time
    and a miss, there is none.
    """
    return statistics.median_high(values)


def time_of(value: float) -> float | None:
    """The time that a value of ``TimeToTarget`` stands for; None for a miss."""
    if value >= _LATEST:
        return None
    return value if value <= 1.0 else 1.0 / (2.0 - value)


def _value_of(time: float) -> float:
    return time if time <= 1.0 else 2.0 - 1.0 / time


def _end_loss(run: Run) -> float:
    return DIVERGED if run.diverged else _or_diverged(run.final["loss"])


def _or_diverged(loss: float) -> float:
    return loss if math.isfinite(loss) else DIVERGED
