"""How soon contenders reach the target: speed-up and performance profile.

A task's time is the share of its budget of passes until the validation loss reaches the target, and
that of a run that misses it is the whole budget. A speed-up can also be told in seconds. The
profile is Dolan and Moré's (2002), Benchmarking optimization software with performance profiles;
its score is that of AlgoPerf (Dahl et al. 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from advisor.evaluate.bootstrap import interval
from advisor.evaluate.per_task import PerTask, TableEntry
from advisor.features import Matrix

RATIOS = (1, 2, 3, 4, 5, 6, 7, 8)
_SCORED_TO = 4.0


@dataclass(frozen=True)
class SpeedUp:
    """How much sooner one contender reaches the target than another.

    Attributes:
        ratio: Geometric mean over tasks of the other's time over its own; above 1 is sooner.
        low: Lower end of the 95 % bootstrap interval over leak groups.
        high: Upper end.
        tasks: Tasks that both have times for.
    """

    ratio: float
    low: float
    high: float
    tasks: int

    def shown(self) -> str:
        """As text: ``4.2 (3.1 to 5.6)``."""
        return f"{self.ratio:.1f} ({self.low:.1f} to {self.high:.1f})"


@dataclass(frozen=True)
class Profile:
    """The performance profile of one contender.

    Attributes:
        entry: The contender.
        ratios: Of each task: its time over the shortest of all contenders compared; sorted.
        score: Mean height of the profile between ratios 1 and 4, in [0, 1].
        reached: Share of tasks on which the target was reached before the budget's end.
    """

    entry: TableEntry
    ratios: tuple[float, ...]
    score: float
    reached: float

    def share(self, ratio: float) -> float:
        """Share of tasks on which it took at most this many times as long as the fastest."""
        return sum(r <= ratio * (1 + 1e-9) for r in self.ratios) / len(self.ratios)


def speed_up(
    table: PerTask,
    entry: TableEntry,
    over: TableEntry,
    by: Literal["passes", "seconds"] = "passes",
) -> SpeedUp | None:
    """How much sooner one contender reaches the target than another.

    Args:
        table: The outcomes.
        entry: The one.
        over: The other.
        by: Passes, which depend on no machine, or seconds as they were measured.

    Returns:
        The speed-up over the tasks that both have times for; None where there is none.
    """
    times = table.times if by == "passes" else table.seconds_to_target
    if entry not in times or over not in times:
        return None
    where = np.isfinite(times[entry]) & np.isfinite(times[over])
    if not where.any():
        return None
    logs = np.where(where, np.log(times[over]) - np.log(times[entry]), 0.0)
    low, high = interval(np.exp(table.draws(where) @ logs))
    return SpeedUp(math.exp(logs[where].mean()), low, high, int(where.sum()))


def profiles(table: PerTask, entries: Sequence[TableEntry] | None = None) -> tuple[Profile, ...]:
    """Performance profiles, best score first, over the tasks of those that have every task.

    Args:
        table: The outcomes.
        entries: Whom to compare; by default all guesses. Who misses an outcome is left out: the
            shortest time of a task would not be that of all.
    """
    asked = table.guesses() if entries is None else entries
    whole = [e for e in asked if e in table.times and np.isfinite(table.times[e]).all()]
    if not whole or not table.tasks:
        return ()
    times = np.stack([table.times[entry] for entry in whole])
    ratios = times / times.min(axis=0)
    found = [_profile(*row) for row in zip(whole, ratios, times, strict=True)]
    return tuple(sorted(found, key=lambda profile: (-profile.score, profile.entry)))


def _profile(entry: TableEntry, ratios: Matrix, times: Matrix) -> Profile:
    # the area under a step at r up to the end e is e - r
    score = np.clip(_SCORED_TO - ratios, 0.0, None).mean() / (_SCORED_TO - 1)
    return Profile(
        entry, tuple(np.sort(ratios).tolist()), float(score), float((times < 1.0).mean())
    )
