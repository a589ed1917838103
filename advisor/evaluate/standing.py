"""Where every contender stands after some full trainings: mean and median regret over tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from advisor.evaluate.bootstrap import interval
from advisor.evaluate.per_task import ADVICE, PerTask, TableEntry

SHOWN = (1, 3, 5, 10, 25, 50, 100)
"""Full trainings that tables have a column for."""


@dataclass(frozen=True)
class RegretSummary:
    """A contender after some full trainings.

    Attributes:
        contender: Its name.
        runs: Full trainings it chose by.
        mean: Mean normalized test regret over the tasks that it has an outcome for.
        low: Lower end of the 95 % bootstrap interval over leak groups.
        high: Upper end.
        median: Median over these tasks.
        tasks: Their number.
    """

    contender: str
    runs: int
    mean: float
    low: float
    high: float
    median: float
    tasks: int


def regret_summary(table: PerTask, entry: TableEntry) -> RegretSummary | None:
    """Where one contender stands; None where it has no outcome."""
    regrets = table.regrets.get(entry)
    if regrets is None:
        return None
    where = np.isfinite(regrets)
    low, high = interval(table.draws(where) @ np.where(where, regrets, 0.0))
    kept = regrets[where]
    return RegretSummary(
        entry[0], entry[1], float(kept.mean()), low, high, float(np.median(kept)), len(kept)
    )


def curve(table: PerTask, contender: str) -> tuple[RegretSummary, ...]:
    """A contender after each number of full trainings it has outcomes for, rising."""
    found = (regret_summary(table, (contender, runs)) for runs in table.runs(contender))
    return tuple(point for point in found if point is not None)


def ordered(table: PerTask) -> tuple[str, ...]:
    """Names as tables list them: the advice, other guesses and lists, cold searches; best first."""

    def place(name: str) -> tuple[int, float, str]:
        first = regret_summary(table, (name, table.runs(name)[0]))
        ours = name == "refine" or name.startswith(ADVICE[0])
        rank = 0 if name == ADVICE[0] else 1 if ours else 3 if name in searches else 2
        return rank, first.mean if first is not None else np.inf, name

    searches = table.searches()
    return tuple(sorted({name for name, _ in table.entries}, key=place))
