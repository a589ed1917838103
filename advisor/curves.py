"""How far behind a run may lie that could still end as the best of its task, from its curve so far.

A run that will be the best may lie behind for a long time: its rate has yet to fall. How far is
read off runs of the knowledge base that ended ahead of five good runs of their task
(``advisor.curve_fit``): an upper quantile of their distance to the best finished loss at the same
share of the run, as a linear function of the part of the schedule's area still to come and of how
far the task's finished runs still fell from there. Domhan et al. (2015) end a run by the same rule,
when it will hardly be the best, with curves fitted to that run alone. Losses are compared as
normalized regrets to the best finished run: the unit is the task's range, on the log scale, from
the untrained to that best loss.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from advisor.fitted_file import FOLDER, damaged, of_another, read_fitted
from knowledge_base.regret import Scale
from probes.recipe.choice import ScheduleChoice

FILE = "curves.json"
SCHEMA = 1
SHARES = (0.2, 0.65)
"""Part of a run, from and to, in which it is judged.

Earlier the rate has not begun to fall, and a high rate that wins in the end is still behind; later
little is left to save.
"""
FINISHED = 5
"""Best finished runs of the same task whose curves a run is compared with."""
_GRID = 200


@dataclass(frozen=True)
class Curve:
    """A finished run's way down.

    Attributes:
        initial: Validation loss after the first step, as good as untrained.
        shares: Shares of the run at which it was evaluated, rising, within (0, 1).
        losses: Best validation loss up to each share.
        final: Validation loss at the end.
    """

    initial: float
    shares: tuple[float, ...]
    losses: tuple[float, ...]
    final: float

    def regret_at(self, share: float, scale: Scale) -> float | None:
        """Normalized regret at a share, linear in between; None before the first evaluation."""
        if not self.shares or share < self.shares[0] - 0.01:
            return None
        places = (*self.shares, 1.0)
        heights = [scale.regret(loss) for loss in (*self.losses, self.final)]
        return float(np.interp(share, places, heights))


@dataclass(frozen=True)
class Allowance:
    """How far behind the best finished loss a run may lie that could still end below it.

    Attributes:
        constant: In units of the task's range, as the others.
        per_area: Times the part of the schedule's area that is still to come.
        per_fall: Times the farthest that a finished run of the task still fell from there.
    """

    constant: float
    per_area: float
    per_fall: float

    def __call__(self, area: float, fall: float) -> float:
        """The normalized regret above which a run is given up."""
        return max(self.constant + self.per_area * area + self.per_fall * fall, 0.0)


def area_left(schedule: ScheduleChoice, share: float) -> float:
    """Part of the area under a schedule's factor that lies after a share of its run; in [0, 1]."""
    sums = _areas(schedule)
    return float(1.0 - np.interp(share, np.linspace(0.0, 1.0, _GRID + 1), sums))


@lru_cache(maxsize=4096)
def _areas(schedule: ScheduleChoice) -> npt.NDArray[np.float64]:
    from probes.recipe.build import schedule_function

    factor = schedule_function(schedule)
    sums = np.cumsum([0.0, *(factor(step, _GRID) for step in range(_GRID))])
    result: npt.NDArray[np.float64] = sums / max(float(sums[-1]), 1e-12)
    return result


def farthest_fall(finished: Iterable[Curve], share: float, scale: Scale) -> float | None:
    """How far the one of these runs that fell farthest still fell from a share on, at least 0.

    Returns:
        The fall of normalized regret, or None where none was evaluated so early.
    """
    falls = [
        height - scale.regret(curve.final)
        for curve in finished
        if (height := curve.regret_at(share, scale)) is not None
    ]
    return max(0.0, *falls) if falls else None


def scale_of(finished: Sequence[Curve]) -> Scale:
    """The scale that finished runs of one task give: 0 their best loss, 1 the untrained one."""
    return Scale(min(curve.final for curve in finished), median(c.initial for c in finished))


@lru_cache(maxsize=4)
def load_allowance(folder: Path = FOLDER) -> Allowance:
    """Read what ``curve_fit.fit_curves`` wrote.

    Raises:
        UserError: It is not there, is damaged, or was written for another release.
    """
    data = read_fitted(folder / FILE, "an allowance fitted on learning curves")
    if data.get("schema") != SCHEMA:
        raise of_another(folder / FILE, "an allowance fitted for this release")
    try:
        return Allowance(*(float(data[name]) for name in ("constant", "per_area", "per_fall")))
    except (KeyError, TypeError, ValueError):
        raise damaged(folder / FILE, "an allowance fitted on learning curves") from None
