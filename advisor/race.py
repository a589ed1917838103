"""Races: the first of a ranking trained over a quarter of their schedule, and ranked anew.

A race is a whole training by a recipe with its schedule compressed, so that the rate has come down
at its end as it will in a full one. ``python -m benchmarks.races`` tells what that is worth: among
the five first of a ranking made without the task, on 70 known tasks, a race over a quarter of the
budget has a rank correlation of 0.34 with the final result (over a tenth: 0.15). The mean regret of
the first recipe falls from 0.116 to 0.113 with two raced, 0.106 with three and 0.095 with five;
shorter races make it no better. So two are the least, and a budget that does not pay for two beside
a profile, as the default of 10 %, is spent on the profile alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from advisor.features import Matrix
from advisor.goal import Goal
from advisor.meta_model import MetaModel, outcome_of, regret_of
from advisor.race_run import SHARE, Left, Race, price_of, run_race, validation_passes
from advisor.ranking import Ranked, expected_of
from advisor.wording import amount
from knowledge_base.regret import Scale
from probes.profile import Profile
from probes.sandbox import sandbox
from probes.task import Task

LEAST, MOST = 2, 5
"""Recipes that race: one alone would tell nothing, and more than five were not measured."""
WEIGHT = 2.0
"""What a race as bad as no training adds to an outcome, log(regret + 0.05)."""
REACH = 0.7
"""A prior outcome this far above the first's is not raced for.

Of the five recipes with the least mean regret over the other tasks (and no two alike), the first
ends on nine of ten known tasks at most 0.36 of the task's range behind the best of them; seen in a
race, that would raise its outcome by ``WEIGHT`` x 0.36. What is predicted further behind would be
first on fewer than one task in ten even if it raced best: too seldom for a quarter of a training.
"""


def least_passes(task: Task) -> float:
    """Passes that the fewest races cost, of recipes that run over the whole budget."""
    with sandbox(task.train, task.validation, task.test):  # counting may iterate a loader
        return LEAST * (SHARE * task.prepared.steps + 2 * validation_passes(task))


def race(
    task: Task, ranked: Ranked, goal: Goal, model: MetaModel, profile: Profile, left: Left, *,
    seed: int, say: Callable[[str], None],
) -> tuple[Ranked, float, float]:  # fmt: skip
    """Race the first of a ranking while the budget pays for it and it can change the answer.

    The first races, then each next one, until the budget is spent, five have raced, or the next is
    predicted so far behind that it would not be first even if it raced best (``REACH``; the entries
    of a portfolio, whose means predict nothing about this task, never are). No race is begun unless
    two can be run. Each raced outcome is raised by ``WEIGHT`` x the normalized regret of its race
    (0 the best race, 1 untrained or diverged), and all are ranked anew. What is "fastest" is not
    raced for: a race tells of the result at the end.

    Args:
        task: The task.
        ranked: The ranking, with the scores that it goes by.
        goal: "best", or nothing is done.
        model: Tells the interval of a score.
        profile: Of the task: where it was taken, and the seconds of a pass.
        left: Of the budget.
        seed: Of weights and batch order, the same in every race.
        say: Told of each race.

    Returns:
        The ranking, and the passes and seconds spent.
    """
    entrants = ranked.candidates[:MOST]
    if goal.name != "best" or len(entrants) < LEAST or SHARE * task.prepared.steps > left.passes:
        return ranked, 0.0, 0.0
    with sandbox(task.train, task.validation, task.test):
        prices = [price_of(task, entrant, profile) for entrant in entrants]
    # a portfolio's means may fall along it: its order is what speaks for its entries
    prior = np.maximum.accumulate(outcome_of(np.asarray(ranked.scores)))
    # ... and what serves where the first fails has a high mean: none is too far behind
    reach = math.inf if ranked.abstained else REACH
    races: list[Race] = []
    slower = 1.0  # seconds as they were over those predicted
    outcomes = prior
    for place, entrant in enumerate(entrants):
        due = prices[place:LEAST] or prices[place : place + 1]
        due = [replace(price, seconds=price.seconds * slower) for price in due]
        reached = prior[max(place, 1)] - outcomes[: max(place, 1)].min() <= reach
        if not (reached and left.pays(*due)):
            break
        say(f"racing number {place + 1} over {SHARE:.0%} of its schedule")
        one = run_race(task, entrant.recipe, prices[place].passes, seed, profile.device)
        races.append(one)
        left = left.less(Left(one.passes, one.seconds))
        slower = max(slower, one.seconds / max(prices[place].seconds, 1e-9))
        outcomes = prior + WEIGHT * _padded(setbacks(races), len(prior))
    if not races:
        return ranked, 0.0, 0.0
    passes, seconds = sum(one.passes for one in races), sum(one.seconds for one in races)
    return _ranked_anew(ranked, races, outcomes, model), passes, seconds


def setbacks(races: Sequence[Race]) -> Matrix:
    """(n,) normalized regrets among n races: 0 the best, 1 untrained, diverged or failed."""
    losses = [one.loss for one in races]
    if not any(map(math.isfinite, losses)):
        return np.ones(len(losses))
    initial = median(one.initial for one in races if math.isfinite(one.loss))
    scale = Scale(min(losses), initial)
    return np.asarray([scale.regret(loss) for loss in losses])


def _padded(values: Matrix, length: int) -> Matrix:
    return np.concatenate([values, np.zeros(length - len(values))])


def _ranked_anew(
    ranked: Ranked, races: Sequence[Race], outcomes: Matrix, model: MetaModel
) -> Ranked:
    """The ranking in the order of its outcomes, told what the races told."""
    scores = list(ranked.scores)
    candidates = list(ranked.candidates)
    for i, (one, setback) in enumerate(zip(races, setbacks(races), strict=True)):
        update: dict[str, Any] = {"evidence": (*candidates[i].evidence, _told(one, races))}
        if setback > 0:
            raised = outcome_of(np.asarray([scores[i]])) + WEIGHT * setback
            scores[i] = float(regret_of(raised)[0])
            update["expected"] = expected_of(model, scores[i])
        candidates[i] = candidates[i].model_copy(update=update)
    order = [int(i) for i in outcomes.argsort(kind="stable")]
    first = order[0] + 1
    moved = "left the first in front" if first == 1 else f"brought number {first} to the front"
    failed = [one.error for one in races if one.error]
    if failed:
        moved += f" ({len(failed)} failed: {failed[0]})"
    return ranked._replace(
        candidates=tuple(candidates[i] for i in order),
        scores=tuple(scores[i] for i in order),
        reason=f"{ranked.reason}; races of the first {len(races)} over a quarter of their "
        f"schedules {moved}",
    )


def _told(one: Race, races: Sequence[Race]) -> str:
    """A race in words."""
    if one.error:
        return f"a race over a quarter of its schedule failed: {one.error}"
    if not math.isfinite(one.loss):
        return "diverged in a race over a quarter of its schedule on your task"
    best = min(other.loss for other in races)
    above = one.loss - best
    beside = f"the best of {len(races)} raced"
    if above > 0:
        size = f"{above / best:.1%}" if best > 0 else amount(above)
        beside = f"{size} above the best of {len(races)}"
    return f"raced over a quarter of its schedule: validation loss {amount(one.loss)}, {beside}"
