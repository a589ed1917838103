"""Normalized regret: the one scale on which results of different tasks are compared.

0 is the best known result of a task (the best median over three seeds, chosen on validation), 1 the
loss at initialization, on a log scale, clipped to [0, 1]; a diverged run has 1. A loss that can be
negative is first shifted so that its lowest known value lies a twentieth of its range above zero.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

_SHIFT = 0.05
_TINY = 1e-200
"""A best loss below this counts as this: ratios to it must stay finite."""


@dataclass(frozen=True)
class Scale:
    """A task's scale for one kind of loss.

    Attributes:
        best: Loss with regret 0.
        untrained: Loss with regret 1.
        best_recipe: Key of the recipe that has the best median.
        seed_spread: Standard deviation of regret between seeds, median over repeated recipes.
    """

    best: float
    untrained: float
    best_recipe: str = ""
    seed_spread: float = 0.0

    def regret(self, loss: float) -> float:
        """Normalized regret of a loss; 1 where it is not finite."""
        if not math.isfinite(loss):
            return 1.0
        span = self.untrained - self.best
        if span <= 0:
            return 0.0 if loss <= self.best else 1.0
        # log(loss / best) as log1p of the distance: exact where both are far from zero
        zero = self._zero
        return min(math.log1p(max(loss - self.best, 0.0) / zero) / math.log1p(span / zero), 1.0)

    def loss(self, regret: float) -> float:
        """The loss that has this regret, the inverse of ``regret`` between 0 and 1."""
        span = self.untrained - self.best
        if span <= 0:
            return self.best if regret <= 0.0 else self.untrained
        return self.best + self._zero * math.expm1(regret * math.log1p(span / self._zero))

    @property
    def log_range(self) -> float:
        """Natural log of the untrained over the best loss, both as far above zero as ``_zero``."""
        return math.log1p(max(self.untrained - self.best, 0.0) / self._zero)

    @property
    def _zero(self) -> float:
        """The best loss as far above zero as ratios to it stay meaningful."""
        shifted = _SHIFT * (self.untrained - self.best)
        return max(self.best, _TINY) if self.best > 0 else shifted


def scales(runs: Iterable[Mapping[str, Any]]) -> dict[str, tuple[Scale, Scale]]:
    """(validation, test) scales of every task.

    Args:
        runs: Records with task, recipe, seed, initial, final, test, diverged.

    The best recipe is chosen on validation alone, among recipes with at least three seeds (all
    recipes where none has); its median test loss is the zero of the test scale.
    """
    by_task: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        by_task[run["task"]][run["recipe"]].append(run)
    return {task: _task_scales(recipes) for task, recipes in by_task.items()}


def _task_scales(recipes: Mapping[str, list[Mapping[str, Any]]]) -> tuple[Scale, Scale]:
    def final(run: Mapping[str, Any], column: str) -> float:
        value = float(run[column])
        return math.inf if run["diverged"] or not math.isfinite(value) else value

    repeated = {key: runs for key, runs in recipes.items() if len(runs) >= 3} or dict(recipes)
    best = min(repeated, key=lambda key: median(final(run, "final") for run in repeated[key]))
    untrained = median(float(run["initial"]) for runs in recipes.values() for run in runs)
    found = []
    for column in ("final", "test"):
        scale = Scale(median(final(run, column) for run in repeated[best]), untrained, best)
        spreads = [
            _deviation([scale.regret(final(run, column)) for run in runs])
            for runs in recipes.values()
            if len(runs) >= 3
        ]
        spread = median(spreads) if spreads else 0.0
        found.append(Scale(scale.best, untrained, best, spread))
    return found[0], found[1]


def _deviation(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
