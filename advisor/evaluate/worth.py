"""What a guess is worth in trials of a cold search, and what it cost in seconds.

Worth is the smallest number of trials at which the mean regret over tasks of a cold search is at or
below the guess's own. Of several searches the one that needs fewest counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from advisor.evaluate.bootstrap import interval
from advisor.evaluate.per_task import PerTask, TableEntry
from advisor.features import Matrix

_TIE = 1e-12  # means of equal numbers may differ in their last bit


@dataclass(frozen=True)
class Worth:
    """Trials that something is worth.

    Attributes:
        trials: Their number; infinity where no search came as low within ``limit``.
        low: Lower end of the 95 % interval by bootstrap over leak groups, guess and searches
            resampled together.
        high: Upper end.
        limit: Trials up to which all the searches are known; what one of them alone did
            beyond says nothing of the better of them.
        tasks: Tasks on which the guess and the searches have outcomes.
        best: The mean regret at ``limit`` of the better search.
    """

    trials: float
    low: float
    high: float
    limit: int
    tasks: int
    best: float

    def shown(self) -> str:
        """As text: ``31 (12 to > 100)``."""
        ends = f"{self._count(self.low)} to {self._count(self.high)}"
        return f"{self._count(self.trials)} ({ends})"

    def _count(self, trials: float) -> str:
        return f"{trials:.0f}" if math.isfinite(trials) else f"> {self.limit}"


def tpe_searches(table: PerTask) -> tuple[str, ...]:
    """The searches that worth is counted in: Optuna's TPE, one for each space."""
    return tuple(name for name in table.searches() if name.startswith("TPE, "))


def worth(table: PerTask, entry: TableEntry, searches: Sequence[str] | None = None) -> Worth | None:
    """How many trials of a cold search an entry is worth.

    Args:
        table: The outcomes.
        entry: What to value.
        searches: The searches; by default those of TPE.

    Returns:
        The worth, or None where the entry or the searches have no outcomes in common.
    """
    names = tpe_searches(table) if searches is None else tuple(searches)
    if entry not in table.regrets or not names or not all(map(table.runs, names)):
        return None
    limit = min(table.runs(name)[-1] for name in names)
    counts = sorted({runs for name in names for runs in table.runs(name) if runs <= limit})
    tried = [(name, runs) for name in names for runs in table.runs(name) if runs <= limit]
    where = table.common([entry, *tried])
    if not where.any():
        return None

    def means(of: TableEntry, weights: Matrix) -> Matrix:
        return np.asarray(weights @ np.where(where, table.regrets[of], 0.0))

    def needed(weights: Matrix) -> Matrix:
        ours = means(entry, weights) + _TIE
        found = np.full(len(weights), np.inf)
        for runs in reversed(counts):
            for name in names:
                if (name, runs) in table.regrets:
                    found[means((name, runs), weights) <= ours] = runs
        return found

    whole = np.where(where, 1.0, 0.0)[None] / where.sum()
    low, high = interval(needed(table.draws(where)))
    best = min(float(means(of, whole)[0]) for of in tried if of[1] == limit)
    return Worth(float(needed(whole)[0]), low, high, limit, int(where.sum()), best)


def relative_seconds(table: PerTask, entry: TableEntry, unit: TableEntry) -> float | None:
    """What an entry cost in wall time, in units of what another one cost on the same task.

    A ratio of times that were measured side by side can be compared between machines.

    Args:
        table: The outcomes.
        entry: Whose cost.
        unit: What it is told in: one training by a recipe that is known to all.

    Returns:
        The geometric mean over the tasks whose times are known; None where there is none.
    """
    if entry not in table.seconds or unit not in table.seconds:
        return None
    ratios = table.seconds[entry] / table.seconds[unit]
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(np.exp(np.log(known).mean())) if len(known) else None
