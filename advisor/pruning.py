"""When a trial is given up: at the same shares of its run as the trials it is compared with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from probes.training import Point

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.trial import Trial

RUNGS = (20, 40, 60)
"""Per cent of a run's own steps at which it is compared.

A recipe may run over a part of the budget or with another batch size; at the same share of its own
run every schedule is in the same phase. Earlier the rate has not begun to fall, and a high rate
that wins in the end is still behind; later little is left to save.
"""


def make_pruner() -> BasePruner:
    """Stops what is worse than the median of the finished trials at the same rung."""
    from optuna.pruners import MedianPruner

    return MedianPruner(n_startup_trials=5, n_warmup_steps=0, n_min_trials=3)


class TrialWatcher:
    """Reports a run to its trial and says when to end it; a ``probes.training.Watcher``.

    What is reported is the best validation loss so far: recipes that stop early keep their best
    weights, and all must be comparable.

    Args:
        trial: Where to report.
        total: Steps of the whole run.
        prunable: Whether it may be pruned; the ranking's own recipes may not.
        deadline: Value of ``time.monotonic()`` after which it ends, or None.

    Attributes:
        pruned: Whether it was ended as worse than others.
        late: Whether it was ended by the deadline.
    """

    def __init__(
        self, trial: Trial, total: int, *, prunable: bool, deadline: float | None = None
    ) -> None:
        self._trial, self._total, self._prunable, self._deadline = trial, total, prunable, deadline
        self._best = float("inf")
        self._rungs = list(RUNGS)
        self.pruned = self.late = False

    def __call__(self, point: Point) -> bool:
        """Takes a point of the curve; True ends the run."""
        if point.step >= self._total:
            return False  # nothing is saved any more
        self._best = min(self._best, point.validation["loss"])
        reached = False
        while self._rungs and 100 * point.step >= self._rungs[0] * self._total:
            self._trial.report(self._best, self._rungs.pop(0))
            reached = True
        self.pruned = reached and self._prunable and bool(self._trial.should_prune())
        self.late = not self.pruned and out_of_time(self._deadline)
        return self.pruned or self.late


def out_of_time(deadline: float | None) -> bool:
    """Whether the deadline, a value of ``time.monotonic()``, has passed; None never does."""
    return deadline is not None and time.monotonic() >= deadline
