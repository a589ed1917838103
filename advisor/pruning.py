"""When a run is given up: too far behind at a share of its run, or out of time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from advisor.curves import SHARES, Allowance
from advisor.refine_objective import EndResult, Objective
from probes.run import Point
from probes.training import evaluation_steps

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.trial import Trial


def rungs(total: int) -> dict[int, int]:
    """The steps at which a run of ``total`` steps is compared, and what per cent of it they are.

    They are the run's log-spaced evaluations within ``SHARES``, so a run of 1000 steps is compared
    at 25, 40 and 63 %. The evaluations that early stopping adds are none of them: every run of one
    length has the same rungs.
    """
    low, high = SHARES
    return {
        step: round(100 * step / total)
        for step in evaluation_steps(total)
        if low * total <= step <= high * total
    }


def make_pruner(allowance: Allowance | None = None) -> BasePruner:
    """Stops what lies too far behind the best finished trial (``advisor.curve_pruner``).

    A rung is a whole per cent of a trial's own steps, where schedules are in the same phase. Trials
    of another length (horizon, batch size, passes a step) are evaluated at other shares: their
    curves are read in between.

    Args:
        allowance: How far behind a trial may lie; None for the shipped one.
    """
    from advisor.curve_pruner import CurvePruner

    return CurvePruner(allowance)


class DeadlineWatcher:
    """Ends a run whose value is settled, or at a deadline; a ``probes.training.Watcher``.

    At its last point a run is complete, and so is one that is settled: no deadline ends them.

    Args:
        total: Steps of the whole run.
        deadline: Value of ``time.monotonic()`` after which it ends, or None.
        objective: Tells when a run's value is settled.

    Attributes:
        late: Whether it was ended by the deadline.
    """

    def __init__(
        self, total: int, deadline: float | None, objective: Objective | None = None
    ) -> None:
        self._total, self._deadline = total, deadline
        self._objective = objective or EndResult()
        self.late = False

    def __call__(self, point: Point) -> bool:
        """Takes a point of the curve; True ends the run."""
        if self._objective.settled(point):
            return True
        # a run that is complete is kept: nothing is saved any more
        self.late = point.step < self._total and out_of_time(self._deadline)
        return self.late


class TrialWatcher(DeadlineWatcher):
    """Reports a run to its trial as well, and ends it where it is too far behind others.

    What is reported is the best validation loss so far: recipes that stop early keep their best
    weights, and all must be comparable. That after the first step stands, at 0 per cent, for the
    loss before training, which a watcher is not told.

    Args:
        trial: Where to report.
        total: Steps of the whole run.
        prunable: Whether it may be pruned by the curves; the ranking's own recipes may not.
        deadline: Value of ``time.monotonic()`` after which it ends, or None.
        objective: Tells when a run's value is settled, and whether curves tell of it.
        hopeless: Whether a run that is not settled after so many steps is too far behind.

    Attributes:
        pruned: Whether it was ended as too far behind.
    """

    def __init__(
        self, trial: Trial, total: int, *, prunable: bool, deadline: float | None = None,
        objective: Objective | None = None, hopeless: Callable[[int], bool] = lambda step: False,
    ) -> None:  # fmt: skip
        super().__init__(total, deadline, objective)
        self._trial, self._hopeless = trial, hopeless
        self._prunable = prunable and self._objective.by_curves
        self._best = float("inf")
        self._rungs = rungs(total)
        self.pruned = False

    def __call__(self, point: Point) -> bool:
        """Takes a point of the curve; True ends the run."""
        self._best = min(self._best, point.validation["loss"])
        if point.step == 1:
            self._trial.report(self._best, 0)
        if point.step in self._rungs:
            self._trial.report(self._best, self._rungs[point.step])
            self.pruned = self._prunable and bool(self._trial.should_prune())
        if not self._objective.settled(point) and point.step < self._total:
            self.pruned = self.pruned or self._hopeless(point.step)
        return self.pruned or super().__call__(point)


def out_of_time(deadline: float | None) -> bool:
    """Whether the deadline, a value of ``time.monotonic()``, has passed; None never does."""
    return deadline is not None and time.monotonic() >= deadline
