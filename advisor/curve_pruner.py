"""Ends a trial that will hardly be the best, by the curves of the knowledge base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optuna.pruners import BasePruner
from optuna.trial import TrialState

from advisor.curves import (
    FINISHED,
    Allowance,
    Curve,
    area_left,
    farthest_fall,
    load_allowance,
    scale_of,
)
from advisor.refine_objective import DIVERGED
from probes.recipe.schema import Recipe

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

LEAST_FINISHED = 3
"""Finished trials with a curve without which nothing is pruned."""


class CurvePruner(BasePruner):  # type: ignore[misc]
    """Prunes what lies further behind the best finished trial than a future best one would.

    A trial reports whole per cents of its own steps, at 0 its loss before training, and holds its
    recipe ("recipe", "plain") as a user attribute. Of the finished trials the best five count.

    Args:
        allowance: How far behind a trial may lie; None for what was fitted on the knowledge base.
    """

    def __init__(self, allowance: Allowance | None = None) -> None:
        self._allowance = allowance or load_allowance()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial, at the per cent it reported last, is to be ended."""
        per_cent = trial.last_step
        if not per_cent or "recipe" not in trial.user_attrs:
            return False
        done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        curves = sorted(filter(None, map(_curve, done)), key=lambda curve: curve.final)[:FINISHED]
        if len(curves) < LEAST_FINISHED:
            return False
        scale = scale_of(curves)
        fall = farthest_fall(curves, per_cent / 100, scale)
        if fall is None or scale.untrained <= scale.best:
            return False
        recipe = Recipe.parse(trial.user_attrs["recipe"]["plain"])
        left = area_left(recipe.schedule, per_cent / 100)
        return scale.regret(trial.intermediate_values[per_cent]) > self._allowance(left, fall)


def _curve(trial: FrozenTrial) -> Curve | None:
    """The curve of a finished trial; None where it diverged or reported no way down."""
    known = dict(sorted(trial.intermediate_values.items()))
    initial = known.pop(0, None)
    if initial is None or not known or trial.value is None or trial.value >= DIVERGED:
        return None
    shares = tuple(per_cent / 100 for per_cent in known)
    return Curve(initial, shares, tuple(known.values()), trial.value)
