"""First steps: the first of a ranking are begun, and who does not begin to learn is moved down.

What a tenth of a training leaves beside a profile pays for no race (``advisor.race``), but for the
first steps of a few recipes by their own schedules. Who is a little better after a few steps says
nothing about the end, and nothing is made of it; but a recipe whose validation loss has hardly
fallen where another's has does not suit this model: its rate is far off, or a part that it inserts
hurts. ``python -m benchmarks.first_steps`` tells what that is worth on known tasks. A schedule that
has not risen yet is not judged.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from advisor.advice import Candidate
from advisor.goal import Goal
from advisor.meta_model import MetaModel, outcome_of
from advisor.race import LEAST, MOST, raised, ranked_anew
from advisor.race_run import Left, Race, run_part, validation_passes
from advisor.ranking import Ranked
from advisor.wording import amount
from probes.profile import Profile
from probes.recipe.build import schedule_function
from probes.recipe.schema import Recipe
from probes.sandbox import sandbox
from probes.task import Task

FALL = 0.3
"""Share of the best one's fall of the validation loss below which a recipe does not learn."""
RISEN = 0.5
"""Mean of a schedule's factor over the first steps, as a share of its peak, that is judged."""
LEAST_STEPS = 3
MOST_SHARE = 0.05
"""Of a recipe's steps: what is left of a large budget is not spent on what tells so little."""
SAMPLES = 32
"""Validation samples, or a batch where that is larger."""


class _Start(NamedTuple):
    """An entrant: its place in the ranking, its recipe, its steps and the passes they cost."""

    place: int
    recipe: Recipe
    steps: int
    passes: float


def first_steps(
    task: Task, ranked: Ranked, goal: Goal, model: MetaModel, profile: Profile, left: Left, *,
    seed: int, say: Callable[[str], None],
) -> tuple[Ranked, float, float]:  # fmt: skip
    """Begin the first of a ranking with what is left of the budget, and move down who falls behind.

    As many of the first five begin as the budget pays for at ``LEAST_STEPS`` steps each, two at
    least, and for as many steps as it pays for, the same for each, ``MOST_SHARE`` of its training
    at most. Whose loss fell by less than ``FALL`` of the largest fall has its outcome raised as
    that of a race is. Where none has fallen, nothing is moved.

    Args:
        task: The task.
        ranked: The ranking, with the scores that it goes by.
        goal: "best", or nothing is done.
        model: Tells the interval of a score.
        profile: Of the task: where it was taken, and the seconds of a pass.
        left: Of the budget.
        seed: Of weights and batch order, the same for each.
        say: Told what is begun.

    Returns:
        The ranking, and the passes and seconds spent.
    """
    if goal.name != "best":
        return ranked, 0.0, 0.0
    samples = max(task.prepared.batch_size, SAMPLES)
    with sandbox(task.train, task.validation, task.test):  # counting may iterate a loader
        entrants = _paid(task, ranked.candidates[:MOST], profile, left, samples)
    if len(entrants) < LEAST:
        return ranked, 0.0, 0.0
    say(f"the first {max(one.steps for one in entrants)} steps of {len(entrants)} recipes")
    runs = [
        run_part(task, one.recipe, one.passes, seed, profile.device, one.steps, samples)
        for one in entrants
    ]
    told: dict[int, tuple[float, str]] = {}
    setbacks = np.zeros(len(ranked.scores))
    for one, run, setback in zip(entrants, runs, fallen_behind(runs), strict=True):
        told[one.place], setbacks[one.place] = (setback, _told(run, one.steps, setback)), setback
    prior = np.maximum.accumulate(outcome_of(np.asarray(ranked.scores)))
    anew, _ = ranked_anew(ranked, told, raised(prior, setbacks), model)
    moved = np.count_nonzero(setbacks)
    if moved:
        anew = anew._replace(
            reason=f"{ranked.reason}; {moved} of the {len(runs)} that were begun hardly learned in "
            "their first steps and moved down"
        )
    return anew, sum(run.passes for run in runs), sum(run.seconds for run in runs)


def fallen_behind(runs: Sequence[Race], least: float = FALL) -> list[float]:
    """Setback of each: 0, or above 1 - ``least`` and up to 1 for who does not learn.

    Args:
        runs: The first steps of each.
        least: Share of the largest fall of the validation loss below which one does not learn.
    """
    falls = [one.initial - one.loss if math.isfinite(one.loss) else -math.inf for one in runs]
    best = max(falls, default=-math.inf)
    if not best > 0:
        return [0.0] * len(runs)
    return [min(1.0 - fall / best, 1.0) if fall < least * best else 0.0 for fall in falls]


def _paid(
    task: Task, candidates: Sequence[Candidate], profile: Profile, left: Left, samples: int
) -> list[_Start]:
    """Who begins: as many of the first as are paid for, less those whose schedule is still low."""
    for count in range(len(candidates), LEAST - 1, -1):
        starts = _starts(task, candidates[:count], profile, left, samples)
        if starts:
            return [one for one in starts if has_risen(one.recipe, one.steps, _total(task, one))]
    return []


def _starts(
    task: Task, candidates: Sequence[Candidate], profile: Profile, left: Left, samples: int
) -> list[_Start]:
    """The candidates with the steps that the budget pays for; none where those are too few."""
    prepared = task.prepared
    validated = 2 * validation_passes(task, samples)
    seconds_a_pass = 0.0
    if math.isfinite(left.seconds):
        if profile.seconds_per_pass is None:
            return []
        seconds_a_pass = profile.seconds_per_pass
    dear = [
        max(one.cost.step_ratio or 0.0, one.recipe.passes_per_step) if seconds_a_pass
        else one.recipe.passes_per_step
        for one in candidates
    ]  # fmt: skip
    passes = left.seconds / seconds_a_pass if seconds_a_pass else left.passes
    steps = int((passes - len(candidates) * validated) / sum(dear) + 1e-9)  # rounding
    steps = min(steps, round(MOST_SHARE * prepared.steps))
    if steps < LEAST_STEPS:
        return []
    found = []
    for place, (one, each) in enumerate(zip(candidates, dear, strict=True)):
        size = one.recipe.batch_size or prepared.batch_size
        own = max(1, round(steps * prepared.batch_size / size))  # as many samples for each
        found.append(_Start(place, one.recipe, own, steps * each + validated))
    return found


def _total(task: Task, one: _Start) -> int:
    return one.recipe.steps_for(task.prepared.steps, task.prepared.batch_size)


def has_risen(recipe: Recipe, steps: int, total: int) -> bool:
    """Whether a schedule is, over its first steps, about where it trains.

    Args:
        recipe: Whose schedule.
        steps: The first steps.
        total: All steps that the schedule is laid out for.
    """
    factor = schedule_function(recipe.schedule)
    factors = [factor(step, total) for step in range(total)]
    return sum(factors[:steps]) / steps >= RISEN * max(factors)


def _told(run: Race, steps: int, setback: float) -> str:
    """First steps in words."""
    began = f"its first {steps} steps on your task"
    if run.error:
        return f"{began} failed: {run.error}"
    if not math.isfinite(run.loss):
        return f"diverged in {began}"
    course = f"validation loss {amount(run.initial)} to {amount(run.loss)} in {began}"
    return f"{course}, hardly any fall beside others" if setback else course
